//! Providers of machines in the simulated fleet: they make machines, forget to say so, lose them,
//! and do not answer. They are asked as a server asks them; what follows from their answers is
//! decided elsewhere.

use std::collections::BTreeMap;

use atoll_model::access::Actor;
use atoll_model::cmdb::Amount;
use atoll_model::pool::provider::Provider;
use atoll_model::pool::{Given, MachinePhase, Pool};
use atoll_model::{Cpu, Host, Memory, Object, Snapshot, Span, Timestamp};

use super::{Event, Sim};
use crate::Plan;
use crate::pool::ask::{self, About, Listing, Question, Unanswered};
use crate::pool::labels;

/// A provider answers after this time, where it does.
const ANSWER: Span = Span::seconds(1);

/// A machine joins so long after it was asked for, where none was seen to.
pub(crate) const BOOT: Span = Span::seconds(20);

/// What a server says of a program that it cannot begin.
const UNSTARTED: &str = "there is no such program";
/// Where machines are.
const HOME: &str = "home";

/// One provider.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// What there is, by what the provider calls it.
    pub machines: BTreeMap<String, Made>,
    /// It answers nothing and does nothing.
    pub down: bool,
    /// Its program cannot be begun.
    pub unstarted: bool,
    /// So many in a thousand questions are done and never answered.
    pub hangs: u64,
    /// So many in a thousand are not done, and answered as if they were.
    pub short: u64,
    /// So many in a thousand are refused.
    pub refuses: u64,
    /// So many machines in a thousand never join.
    pub deaf: u64,
    /// What was made is listed after this time only.
    pub lag: Span,
    /// A machine joins so long after it was asked for.
    pub boot: Span,
    /// Where it says its machines are; it lists none, where that is elsewhere.
    pub account: String,
    /// Where they really are.
    home: String,
    /// How much each machine has.
    pub size: Amount,
    /// The most machines there ever were.
    pub most: usize,
    made: u64,
    last: Timestamp,
    next: Option<Timestamp>,
    listing: bool,
}

/// One machine of a provider.
#[derive(Clone, Debug)]
pub struct Made {
    /// The key it was made with.
    pub key: String,
    /// When.
    pub at: Timestamp,
}

impl Default for Cloud {
    fn default() -> Cloud {
        Cloud {
            machines: BTreeMap::new(),
            down: false,
            unstarted: false,
            hangs: 0,
            short: 0,
            refuses: 0,
            deaf: 0,
            lag: Span(0),
            boot: BOOT,
            account: HOME.to_owned(),
            home: HOME.to_owned(),
            size: Amount { cpu: Cpu(4000), memory: Memory(8 << 30), instances: 0 },
            most: 0,
            made: 0,
            last: Timestamp(0),
            next: None,
            listing: false,
        }
    }
}

/// What happens between a server and a provider.
pub(super) enum Happening {
    /// It is time to ask for a list.
    List,
    /// A list that was begun then is there.
    Listed(Timestamp, Result<Listing, String>),
    /// A question that was asked then is answered.
    Answered(Question, Timestamp, Result<Option<Given>, Unanswered>),
    /// A machine has started.
    Booted(String),
}

impl Sim {
    /// The provider of a pool. One that was not heard of yet has the machines the pool has on
    /// record, and makes more like them.
    pub(crate) fn cloud(&mut self, pool: &str) -> &mut Cloud {
        if !self.clouds.contains_key(pool) {
            let stored = self.world.get::<Pool>(pool);
            let cloud = stored.map(|pool| Cloud::of(&self.world, pool)).unwrap_or_default();
            let stored = stored.into_iter().flat_map(|pool| &pool.status.machines);
            let starts = stored.filter(|(key, machine)| {
                let phases = [MachinePhase::Creating, MachinePhase::Joining];
                phases.contains(&machine.phase) && cloud.has(key)
            });
            let starts: Vec<String> = starts.map(|(key, _)| key.clone()).collect();
            for key in starts {
                let booted = Event::Cloud(pool.to_owned(), Happening::Booted(key));
                self.enqueue(cloud.boot, booted);
            }
            self.clouds.insert(pool.to_owned(), cloud);
        }
        self.clouds.entry(pool.to_owned()).or_default()
    }

    /// Asks providers what they are to be asked now; false, if that was nothing.
    pub(super) fn ask_clouds(&mut self) -> bool {
        let questions = ask::due(&self.world, self.now);
        let any = !questions.is_empty();
        for question in questions {
            self.ask_cloud(question);
        }
        let lists: Vec<(String, Option<Timestamp>)> = self
            .world
            .all::<Pool>()
            .map(|pool| {
                let last = self.clouds.get(pool.name()).map_or(Timestamp(0), |cloud| cloud.last);
                (pool.meta.name.clone(), ask::list_at(pool, last))
            })
            .collect();
        for (pool, at) in lists {
            let Some(at) = at.map(|at| at.max(self.now)) else { continue };
            let cloud = self.cloud(&pool);
            if !cloud.listing && cloud.next.is_none_or(|next| next > at) {
                cloud.next = Some(at);
                self.enqueue(at.since(self.now), Event::Cloud(pool, Happening::List));
            }
        }
        any
    }

    fn commit_cloud(&mut self, plan: Plan) {
        // It is a status; nothing holds it.
        let _ = self.commit(&Actor::controller("pool"), plan);
    }

    fn ask_cloud(&mut self, question: Question) {
        // It has nothing yet of what it is asked for now.
        self.cloud(&question.pool);
        let plan = ask::asking(&self.context(), &question);
        self.commit_cloud(plan);
        let (now, pool) = (self.now, question.pool.clone());
        let Some(stored) = self.world.get::<Pool>(&pool) else { return };
        let timeout = stored.spec.provider.timeout();
        let (Some(cloud), random) = (self.clouds.get_mut(&pool), &mut self.random) else { return };
        let [hangs, short, refuses] =
            [cloud.hangs, cloud.short, cloud.refuses].map(|share| random.per_mille(share));
        let late = || Unanswered::from(format!("no answer within {timeout}"));
        let (after, answer) = if cloud.unstarted {
            (ANSWER, Err(Unanswered::unasked(UNSTARTED)))
        } else if cloud.down {
            (timeout, Err(late()))
        } else if refuses {
            (ANSWER, Err("quota exceeded".to_owned().into()))
        } else if short {
            (ANSWER, Ok(None))
        } else {
            let (given, booting) = cloud.act(&question.about, now);
            let deaf = random.per_mille(cloud.deaf);
            let boot = cloud.boot;
            if let Some(key) = booting.filter(|_| !deaf) {
                self.enqueue(boot, Event::Cloud(pool.clone(), Happening::Booted(key)));
            }
            match hangs {
                true => (timeout, Err(late())),
                false => (ANSWER, Ok(given)),
            }
        };
        self.enqueue(after, Event::Cloud(pool, Happening::Answered(question, now, answer)));
    }

    pub(super) fn happen_in_cloud(&mut self, pool: String, what: Happening) {
        let now = self.now;
        match what {
            Happening::List => {
                let cloud = self.cloud(&pool);
                if cloud.next.is_none_or(|next| next > now) || cloud.listing {
                    return;
                }
                (cloud.next, cloud.listing) = (None, true);
                let answer = cloud.list(now);
                self.enqueue(ANSWER, Event::Cloud(pool, Happening::Listed(now, answer)));
            }
            Happening::Listed(began, answer) => {
                let cloud = self.cloud(&pool);
                (cloud.last, cloud.listing) = (now, false);
                let plan = ask::listed(&self.context(), &pool, began, &answer);
                self.commit_cloud(plan);
            }
            Happening::Answered(question, asked, answer) => {
                let plan = ask::answered(&self.context(), &question, asked, &answer);
                self.commit_cloud(plan);
            }
            Happening::Booted(key) => self.boot(&pool, &key),
        }
    }

    /// A machine that still is there joins: its token is good while the pool knows it.
    fn boot(&mut self, pool: &str, key: &str) {
        let Some(cloud) = self.clouds.get(pool) else { return };
        let (there, size) = (cloud.has(key), cloud.size);
        let labels = labels(&self.world, key);
        if there && !labels.is_empty() {
            let labels: Vec<(&str, &str)> =
                labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            self.join(key, &labels, size);
        }
    }
}

impl Cloud {
    /// The provider of a pool as it is known.
    fn of(world: &Snapshot, pool: &Object<Pool>) -> Cloud {
        let mut cloud = Cloud::default();
        if !pool.status.account.is_empty() {
            cloud.home.clone_from(&pool.status.account);
            cloud.account.clone_from(&pool.status.account);
        }
        cloud.size = size(world, pool).unwrap_or(cloud.size);
        cloud.boot = pool.status.boots_in().unwrap_or(cloud.boot);
        for (key, machine) in &pool.status.machines {
            // What is asked for now, it makes. What it did not list, it does not have.
            let asked = machine.phase != MachinePhase::Creating || machine.ask.is_some();
            if asked && machine.missing == 0 {
                let id = machine.id.clone().unwrap_or_else(|| key.clone());
                cloud.machines.insert(id, Made { key: key.clone(), at: machine.since });
            }
        }
        cloud.most = cloud.machines.len();
        cloud
    }

    fn has(&self, key: &str) -> bool {
        self.machines.values().any(|made| made.key == key)
    }

    /// Does what it is asked: what it gives, and what is about to start.
    fn act(&mut self, about: &About, now: Timestamp) -> (Option<Given>, Option<String>) {
        match about {
            About::Create(key) => {
                let given = |id: &String| Given { key: key.clone(), id: id.clone() };
                if let Some((id, _)) = self.machines.iter().find(|(_, made)| made.key == *key) {
                    return (Some(given(id)), None);
                }
                let id = format!("i-{}", self.made);
                self.made += 1;
                self.machines.insert(id.clone(), Made { key: key.clone(), at: now });
                self.most = self.most.max(self.machines.len());
                (Some(given(&id)), Some(key.clone()))
            }
            About::Delete(key) => {
                self.machines.retain(|_, made| made.key != *key);
                (None, None)
            }
            About::Orphan(id) => {
                self.machines.remove(id);
                (None, None)
            }
        }
    }

    fn list(&self, now: Timestamp) -> Result<Listing, String> {
        if self.unstarted {
            return Err(UNSTARTED.to_owned());
        }
        if self.down {
            return Err("connection refused".to_owned());
        }
        let here = self.account == self.home;
        let listed = |made: &Made| here && now.since(made.at) >= self.lag;
        let shown = self.machines.iter().filter(|(_, made)| listed(made));
        let given = |(id, made): (&String, &Made)| Given { key: made.key.clone(), id: id.clone() };
        Ok(Listing { account: self.account.clone(), machines: shown.map(given).collect() })
    }
}

/// How much a machine of a pool has: as much as those there are, or as is asked for.
fn size(world: &Snapshot, pool: &Object<Pool>) -> Option<Amount> {
    let hosts = pool.status.machines.keys().filter_map(|key| world.get::<Host>(key));
    let seen = hosts.map(|host| host.status.capacity).find(|size| size.cpu.0 > 0);
    let Provider::Docker(containers) = &pool.spec.provider else { return seen };
    let asked = containers.cpu.zip(containers.memory);
    seen.or_else(|| asked.map(|(cpu, memory)| Amount { cpu, memory, instances: 0 }))
}
