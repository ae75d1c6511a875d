//! A whole fleet in one thread: the planners and the gate as a server drives them, hosts with
//! agents, a clock, and faults, all from one seed. It keeps nothing and opens nothing; what it
//! lacks of the world outside is only real processes and a real network.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use atoll_model::access::{Actor, Level};
use atoll_model::cmdb::{Amount, HostPhase};
use atoll_model::{Any, Host, Intent, Kind, Object, Reason, Snapshot, Span, Timestamp, Write};
use serde_json::Value;

use crate::decision::{Verdict, decide};
use crate::delivery::package;
use crate::query::{Answer, Answers, Period, Query};
use crate::{CONTROLLERS, Context, Measurements, Plan, config, edit, follow};
use agent::Agent;
use process::Due;
use twin::Twin;

mod agent;
pub(crate) mod clouds;
mod hosts;
mod jobs;
mod process;
mod quiet;
mod random;
pub(crate) mod twin;

pub use clouds::{Cloud, Made};
pub use process::Behaviour;
pub use random::Random;

/// Everything is planned again after this time, whatever signals were lost.
const FULL_PASS: Span = Span::seconds(60);

/// How often messages go astray, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Reports that never arrive.
    pub lost: u64,
    /// Reports that arrive twice.
    pub doubled: u64,
    /// Reports that arrive only after later ones.
    pub late: u64,
    /// Processes that take half a minute longer to start.
    pub slow: u64,
}

/// How a host is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing reaches it; what runs there runs on.
    Cut,
    /// It is off; nothing runs there.
    Off,
}

/// One committed plan.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// What for.
    pub intent: Intent,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What was written.
    pub writes: Vec<Write>,
    /// The gate held the rest of it.
    pub held: bool,
    /// The world before.
    pub before: Snapshot,
}

enum Event {
    /// An agent asks for its assignment.
    Poll(String),
    /// An agent says what is new.
    Say(String),
    /// A report arrives that was on its way.
    Arrive(String, Box<atoll_model::agent::Report>),
    /// Something happens to a process.
    Process(String, Due),
    /// Something happens between the server and the provider of a pool.
    Cloud(String, clouds::Happening),
}

type Key = (usize, String);

/// What packages are signed with here.
const SECRET: [u8; 32] = [42; 32];

/// A simulated fleet and the server it belongs to.
pub struct Sim {
    /// What is stored.
    pub world: Snapshot,
    /// How messages go astray.
    pub faults: Faults,
    /// How the processes of a release, or of one instance, behave, where not well.
    pub behaviours: BTreeMap<String, Behaviour>,
    /// What the metrics store answers to an expression at a time or times; what it answers without
    /// filters, with `unfiltered ` before the expression.
    pub metrics: BTreeMap<String, Box<dyn Fn(Period) -> Answer>>,
    /// The providers of pools, by the pool's name.
    pub clouds: BTreeMap<String, Cloud>,
    /// Every commit since it was last emptied.
    pub journal: Vec<Entry>,
    /// The secret key packages are signed with; none are, without.
    pub keys: Option<[u8; 32]>,
    unsigned: bool,
    now: Timestamp,
    measured: Measurements,
    random: Random,
    /// By host. Never gone through in the order of the map, which differs from run to run.
    agents: HashMap<String, Agent>,
    queue: BTreeMap<(Timestamp, u64), Event>,
    queued: u64,
    polls: HashMap<String, Timestamp>,
    says: HashSet<String>,
    dirty: BTreeSet<Key>,
    due: BTreeMap<Key, Timestamp>,
    by_time: BTreeSet<(Timestamp, Key)>,
    full_pass_at: Timestamp,
    /// Who each controller acts as.
    actors: Arc<[Actor]>,
    /// What is different in a rehearsal.
    twin: Option<Box<Twin>>,
}

impl Sim {
    /// An empty fleet.
    pub fn new(seed: u64) -> Sim {
        let now = Timestamp(1_700_000_000_000);
        Sim {
            world: Snapshot::default(),
            faults: Faults::default(),
            behaviours: BTreeMap::new(),
            clouds: BTreeMap::new(),
            metrics: BTreeMap::new(),
            journal: Vec::new(),
            keys: Some(SECRET),
            unsigned: false,
            now,
            measured: Measurements {
                signers: Arc::new(vec![atoll_model::provenance::public_key(&SECRET)]),
                ..Measurements::default()
            },
            random: Random::new(seed),
            agents: HashMap::new(),
            queue: BTreeMap::new(),
            queued: 0,
            polls: HashMap::new(),
            says: HashSet::new(),
            dirty: BTreeSet::new(),
            due: BTreeMap::new(),
            by_time: BTreeSet::new(),
            full_pass_at: now + FULL_PASS,
            actors: CONTROLLERS.iter().map(|one| Actor::controller(one.name)).collect(),
            twin: None,
        }
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What a planner would be given now.
    pub fn context(&self) -> Context<'_> {
        Context { world: &self.world, measured: &self.measured, now: self.now }
    }

    /// The person who edits.
    pub fn person() -> Actor {
        Actor::new("local", Level::Admin)
    }

    /// A machine joins.
    pub fn join(&mut self, name: &str, labels: &[(&str, &str)], capacity: Amount) {
        if self.world.get::<Host>(name).is_none() {
            let mut host = Object::new(name, Host::default());
            let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            host.meta.labels = labels.collect();
            // A host joins by itself; what the gate says of people's edits does not apply.
            let _ = self.apply(vec![Any::Host(host.into())]);
        }
        let mut agent = Agent::new(capacity);
        agent.terse = self.twin.is_some();
        if !labels.contains(&("engine", "none")) {
            agent.engine = "docker 20.10.24".to_owned();
        }
        self.agents.insert(name.to_owned(), agent);
        self.wake(name, Span(1));
    }

    /// A person applies manifests.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn apply(&mut self, objects: Vec<Any>) -> Result<(), Vec<Reason>> {
        let plan = edit::apply(&self.context(), objects)?;
        self.commit(&Sim::person(), plan).map(|_| ())
    }

    /// A person patches an object, which makes `new` of it. What the patch names is meant, as it is
    /// at the API, also where it is what is declared already.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn patch(&mut self, stored: &Any, new: Any, patch: &Value) -> Result<(), Vec<Reason>> {
        let cx = self.context();
        let mut plan = edit::apply(&cx, vec![new])?;
        edit::said(cx.world, &mut plan, stored, patch);
        self.commit(&Sim::person(), plan).map(|_| ())
    }

    /// A person deletes an object.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn remove(&mut self, kind: Kind, name: &str) -> Result<(), Vec<Reason>> {
        let plan = edit::remove(&self.context(), kind, name)?;
        self.commit(&Sim::person(), plan).map(|_| ())
    }

    /// Passes a plan through the gate and commits it; returns when to look again.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn commit(&mut self, actor: &Actor, plan: Plan) -> Result<Option<Timestamp>, Vec<Reason>> {
        let (mut plan, held) = match decide(&self.context(), actor, plan) {
            Verdict::Commit(plan) => (plan, false),
            Verdict::Hold(plan, _) => (plan, true),
            Verdict::Deny(reasons) => return Err(reasons),
        };
        if plan.writes.is_empty() {
            return Ok(plan.again_at);
        }
        // A copy makes every write after it dear; nobody looks back in a rehearsal.
        let before = self.twin.is_none().then(|| (self.world.clone(), plan.writes.clone()));
        for write in std::mem::take(&mut plan.writes) {
            self.check_revision(&write)?;
            let (old, new) = follow::put(&mut self.world, write);
            self.signal(old.as_ref(), new.as_ref());
            if let Some(twin) = &mut self.twin {
                twin.note(self.now, actor, &plan, old.as_ref(), new.as_ref());
                if let (Some(Any::Host(gone)), None) = (&old, &new) {
                    self.scrap(gone.name());
                }
            }
        }
        let Some((before, writes)) = before else { return Ok(plan.again_at) };
        self.journal.push(Entry {
            at: self.now,
            actor: actor.name.clone(),
            intent: plan.intent,
            reasons: plan.reasons,
            writes,
            held,
            before,
        });
        Ok(plan.again_at)
    }

    fn check_revision(&self, write: &Write) -> Result<(), Vec<Reason>> {
        let expected = match write {
            Write::Put(any) => any.meta().revision,
            Write::Delete { revision, .. } => *revision,
        };
        let stored = self.world.find(write.kind(), write.name());
        let actual = stored.map_or(0, |any| any.meta().revision);
        if actual == expected {
            return Ok(());
        }
        let message = format!("{} is at {actual}, not at {expected}", write.name());
        Err(vec![Reason::new("conflict", message)])
    }

    /// What the loop of a server does with a change: it marks what may need work, and wakes the
    /// agents that wait for their assignment.
    fn signal(&mut self, old: Option<&Any>, new: Option<&Any>) {
        for (at, controller) in CONTROLLERS.iter().enumerate() {
            if self.leaves_out(at) {
                continue;
            }
            let touched = (controller.touched)(&self.world, old, new);
            self.dirty.extend(touched.into_iter().map(|name| (at, name)));
        }
        self.unsigned |= matches!(new, Some(Any::Package(_)));
        self.wake_for_config(old, new);
        let host = match new.or(old) {
            Some(Any::Instance(instance)) => Some(&instance.spec.host),
            Some(Any::Task(task)) => task.spec.host.as_ref(),
            _ => None,
        };
        let same = old.zip(new).is_some_and(|(old, new)| {
            old.same_spec(new) && old.meta().deleted_at == new.meta().deleted_at
        });
        if let Some(host) = host.filter(|_| !same) {
            let host = host.clone();
            let delay = self.random.span(Span(1), Span(40));
            self.wake(&host, delay);
        }
    }

    /// Another version of a configuration is news to every host that has an instance of it.
    fn wake_for_config(&mut self, old: Option<&Any>, new: Option<&Any>) {
        for host in config::hosts_to_wake(&self.world, old, new) {
            if let Some(agent) = self.agents.get_mut(&host) {
                agent.forget_told();
            }
            let delay = self.random.span(Span(1), Span(40));
            self.wake(&host, delay);
        }
    }

    /// The server dies, and starts after this time: what it had in memory is gone.
    pub fn restart_server(&mut self, away: Span) {
        self.now = self.now + away;
        self.dirty.clear();
        self.due.clear();
        self.by_time.clear();
        self.measured.last_heard.clear();
        let known = self.world.all::<Host>().filter(|h| h.status.phase != HostPhase::Unknown);
        let heard = known.map(|host| (host.meta.name.clone(), self.now));
        self.measured.last_heard = heard.collect();
        self.mark_all();
    }

    fn mark_all(&mut self) {
        self.full_pass_at = match &self.twin {
            // Signals do not get lost in a twin.
            Some(twin) => twin.end + FULL_PASS,
            None => self.now + FULL_PASS,
        };
        for (at, controller) in CONTROLLERS.iter().enumerate() {
            let names = self.world.after(controller.kind, "").map(|any| any.name().to_owned());
            self.dirty.extend(names.map(|name| (at, name)));
        }
    }

    /// Lets the time pass, with all that happens in it.
    pub fn advance(&mut self, span: Span) {
        let until = self.now + span;
        while self.turn(until) {}
        self.now = until;
        self.work();
    }

    /// Lets time pass until nothing moves any more; false if that is not within `limit`.
    ///
    /// Freezes are not waited for.
    pub fn settle(&mut self, limit: Span) -> bool {
        let until = self.now + limit;
        self.work();
        while !self.is_quiet() {
            if !self.turn(until) {
                return false;
            }
        }
        true
    }

    /// Does the next thing that happens until then; false if nothing does.
    pub fn turn(&mut self, until: Timestamp) -> bool {
        self.work();
        let event = self.queue.first_key_value().map(|((at, _), _)| *at);
        let due = self.by_time.first().map(|(at, _)| *at);
        let times = [event, due, Some(self.full_pass_at)];
        let Some(next) = times.into_iter().flatten().min().filter(|at| *at <= until) else {
            return false;
        };
        self.now = self.now.max(next);
        if self.now >= self.full_pass_at {
            self.mark_all();
        }
        while self.by_time.first().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, key)) = self.by_time.pop_first()
        {
            self.due.remove(&key);
            self.dirty.insert(key);
        }
        if event == Some(next)
            && let Some((_, event)) = self.queue.pop_first()
        {
            self.happen(event);
            self.happen_with_it();
        }
        self.work();
        !self.was_stopped()
    }

    /// The loop of a server: plan, decide, commit, until nothing is marked.
    fn work(&mut self) {
        loop {
            self.sign();
            let Some(key) = self.dirty.pop_first() else {
                if self.ask_clouds() {
                    continue;
                }
                return;
            };
            if let Some(at) = self.due.remove(&key) {
                self.by_time.remove(&(at, key.clone()));
            }
            let controller = &CONTROLLERS[key.0];
            if self.is_stopped() || self.leaves_out(key.0) {
                continue;
            }
            let queries = (controller.queries)(&self.context(), &key.1);
            self.measured.answers = self.measure(controller.name, &key.1, queries);
            let plan = (controller.plan)(&self.context(), &key.1);
            self.measured.answers.clear();
            let actors = Arc::clone(&self.actors);
            let later = self.looks_later(controller, &plan);
            let done = self.commit(&actors[key.0], plan).map(|at| match later {
                Some(later) => {
                    self.dirty.remove(&key);
                    Some(later)
                }
                None => at,
            });
            match done {
                Ok(Some(at)) => {
                    self.by_time.insert((at, key.clone()));
                    self.due.insert(key, at);
                }
                Ok(None) => {}
                Err(reasons) => self.refused(&format!("{} {}", controller.name, key.1), reasons),
            }
        }
    }

    /// What the worker of a server does: signs what runs have made.
    fn sign(&mut self) {
        let key = self.keys.filter(|_| std::mem::take(&mut self.unsigned));
        let Some(key) = key else { return };
        for name in package::unsigned(&self.world) {
            let plan = package::signed(&self.context(), &name, &key);
            // It is a status; nothing holds it.
            let _ = self.commit(&Actor::controller("provenance"), plan);
        }
    }

    /// What is asked is answered from `metrics`; there is no data of what is not there.
    fn measure(&mut self, controller: &str, subject: &str, queries: Vec<Query>) -> Answers {
        if let Some(twin) = &mut self.twin {
            let all = queries.into_iter();
            let world = &self.world;
            return all.map(|query| twin.answer(world, controller, subject, query)).collect();
        }
        let answer = |query: Query| {
            let bare = if query.unfiltered { "unfiltered " } else { "" };
            let known = self.metrics.get(&format!("{bare}{}", query.expression));
            let answer = known.map_or_else(Answer::default, |answer| answer(query.period));
            (query.name, Ok(Arc::new(answer)))
        };
        queries.into_iter().map(answer).collect()
    }

    fn enqueue(&mut self, after: Span, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), event);
    }
}
