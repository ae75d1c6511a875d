//! The only loop: keys that may need work are planned, decided and committed, one after another,
//! on the replica that holds the lease. It knows no kind of work.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::{Kind, Reason, Span, Timestamp};
use atoll_plan::query::{Answers, Query};
use atoll_plan::{CONTROLLERS, Context};
use atoll_store::{CommitError, Epoch};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Server;
use crate::commit::Refusal;

/// The lease that lets a replica's controllers write.
const LEASE: &str = "controllers";
/// The lease falls to another replica this long after its holder was last able to renew it.
const LEASE_MS: i64 = 3_000;
/// Between two attempts to take or renew the lease.
const RENEW: Duration = Duration::from_millis(700);
/// Everything is planned again after this time, whatever signals were lost.
const FULL_PASS_MS: i64 = 60_000;
/// The controller works at most this long before it looks after its lease.
const TURN: Span = Span(300);
/// A key whose commit failed is tried again after this time.
const RETRY_MS: i64 = 500;

/// One key of one controller: the controller's index, and the name of its subject.
type Key = (usize, String);

#[derive(Debug, Default)]
struct Agenda {
    dirty: BTreeSet<Key>,
    due: BTreeMap<Key, Timestamp>,
    by_time: BTreeSet<(Timestamp, Key)>,
    seen: u64,
    full_pass_at: Timestamp,
    measuring: Measuring,
}

/// Keys whose planners' questions are being asked. A slow question holds up no other key.
#[derive(Debug, Default)]
struct Measuring {
    /// True, where the key was touched meanwhile and is to be measured again.
    keys: BTreeMap<Key, bool>,
    tasks: JoinSet<(Key, Answers)>,
    answered: VecDeque<(Key, Answers)>,
}

/// Runs until the server shuts down.
pub async fn run(server: Arc<Server>, mut shutdown: watch::Receiver<bool>) {
    let mut agenda = Agenda::default();
    let mut leads: Option<Epoch> = None;
    let mut renew = tokio::time::interval(RENEW);
    let mut follow = server.cache.follow();
    while !*shutdown.borrow() {
        let wait = agenda.next_due(server.clock.now());
        tokio::select! {
            _ = renew.tick() => leads = lead(&server, leads, &mut agenda).await,
            _ = follow.changed(), if leads.is_some() => {}
            () = server.news.notified(), if leads.is_some() => {}
            () = tokio::time::sleep(wait), if leads.is_some() => {}
            Some(done) = agenda.measuring.tasks.join_next() => agenda.take(done),
            _ = shutdown.changed() => break,
        }
        if let Some(epoch) = leads
            && !work(&server, epoch, &mut agenda).await
        {
            leads = None;
            server.set_leading(None);
            server.set_epoch(None);
        }
    }
    if leads.is_some() {
        // A lease not given back is only waited for; the next leader needs no word from us.
        let _ = server.store.release_lease(LEASE, &server.replica).await;
        server.set_leading(None);
        server.set_epoch(None);
    }
}

/// Takes or renews the lease.
async fn lead(server: &Server, leads: Option<Epoch>, agenda: &mut Agenda) -> Option<Epoch> {
    let lease = match server.store.acquire_lease(LEASE, &server.replica, LEASE_MS).await {
        Ok(lease) => lease,
        Err(error) => {
            tracing::warn!("could not renew the lease: {error}");
            return leads;
        }
    };
    let now_leads = lease.held_by_us.then_some(lease.epoch);
    if now_leads != leads {
        if now_leads.is_some() {
            server.catch_up().await;
            let world = server.cache.world();
            server.measure.grace(&world, server.clock.now());
            *agenda = Agenda { seen: world.revision, ..Agenda::default() };
            tracing::info!("leading, epoch {}", lease.epoch);
        } else {
            tracing::info!("{} leads", lease.holder);
        }
    }
    server.set_epoch(now_leads);
    server.set_leading(Some((lease.holder, lease.held_by_us)));
    now_leads
}

/// Plans every key that needs it. False, when the lease is lost.
///
/// It returns after a turn even if more is to be done, so that the lease is renewed in time.
async fn work(server: &Arc<Server>, epoch: Epoch, agenda: &mut Agenda) -> bool {
    let began = server.clock.now();
    while server.clock.now().since(began) < TURN {
        agenda.gather(server);
        agenda.tell(server);
        let (key, answers) = match agenda.measuring.answered.pop_front() {
            Some(answered) => answered,
            None => {
                let Some(key) = agenda.dirty.pop_first() else { return true };
                if agenda.measure(server, &key) {
                    continue;
                }
                (key, Answers::new())
            }
        };
        if !plan(server, epoch, agenda, key, answers).await {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

/// Plans one key. False, when the lease is lost.
async fn plan(
    server: &Server,
    epoch: Epoch,
    agenda: &mut Agenda,
    key: Key,
    answers: Answers,
) -> bool {
    agenda.forget(&key);
    let controller = &CONTROLLERS[key.0];
    let actor = Actor::controller(controller.name);
    let make = |cx: &Context| Ok::<_, Vec<Reason>>((controller.plan)(cx, &key.1));
    let (now, began) = (server.clock.now(), server.clock.elapsed());
    let done = server.commit_knowing(&actor, Some(epoch), answers, make).await;
    let took = server.clock.elapsed().saturating_sub(began);
    let by = ("controller", controller.name);
    server.figures.observe("atoll_plan_duration_seconds", &[by], took);
    let outcome = match &done {
        Ok(done) if done.held.is_some() => "held",
        Ok(done) if done.revision.is_some() => "wrote",
        Ok(_) => "nothing",
        Err(_) => "failed",
    };
    server.figures.count("atoll_plans_total", &[by, ("outcome", outcome)]);
    let again_at = match done {
        Ok(done) => done.again_at,
        Err(Refusal::Store(CommitError::Fenced { .. })) => return false,
        Err(Refusal::Store(CommitError::Conflict { .. })) => {
            agenda.dirty.insert(key);
            return true;
        }
        Err(error) => {
            tracing::warn!("{} {}: {error}", controller.name, key.1);
            Some(Timestamp(now.0 + RETRY_MS))
        }
    };
    if let Some(at) = again_at {
        agenda.at(key, at);
    }
    true
}

/// What a planner wants to know before it plans.
fn questions(server: &Server, key: &Key) -> Vec<Query> {
    let (world, measured) = (server.cache.world(), server.measure.read());
    let cx = Context { world: &world, measured: &measured, now: server.clock.now() };
    (CONTROLLERS[key.0].queries)(&cx, &key.1)
}

impl Agenda {
    /// Sends a key's questions off, if there are any: it is planned when the answers are there.
    /// One that is touched meanwhile is planned at once with what is known, and measured again.
    fn measure(&mut self, server: &Arc<Server>, key: &Key) -> bool {
        if let Some(again) = self.measuring.keys.get_mut(key) {
            *again = true;
            return false;
        }
        let queries = questions(server, key);
        if queries.is_empty() {
            return false;
        }
        self.measuring.keys.insert(key.clone(), false);
        let (server, key) = (server.clone(), key.clone());
        self.measuring.tasks.spawn(async move {
            let answers = server.ask_all(CONTROLLERS[key.0].kind, &key.1, queries).await;
            (key, answers)
        });
        true
    }

    /// Takes a key whose questions have been answered.
    fn take(&mut self, done: Result<(Key, Answers), tokio::task::JoinError>) {
        match done {
            Ok((key, answers)) => {
                if self.measuring.keys.remove(&key) == Some(true) {
                    self.dirty.insert(key.clone());
                }
                self.measuring.answered.push_back((key, answers));
            }
            Err(error) => {
                // Whose it was is not known any more: all are looked at again.
                tracing::error!("asking for a planner failed: {error}");
                self.dirty.extend(std::mem::take(&mut self.measuring.keys).into_keys());
            }
        }
    }

    /// Takes what has been answered meanwhile, and says how much is left to do.
    fn tell(&mut self, server: &Server) {
        while let Some(done) = self.measuring.tasks.try_join_next() {
            self.take(done);
        }
        server.backlog.0.store(self.dirty.len(), Ordering::Relaxed);
        server.backlog.1.store(self.measuring.keys.len(), Ordering::Relaxed);
    }

    /// Collects the keys that events, times and the full pass call for.
    fn gather(&mut self, server: &Server) {
        let now = server.clock.now();
        while let Some((at, key)) = self.by_time.first().cloned() {
            if at > now {
                break;
            }
            self.forget(&key);
            self.dirty.insert(key);
        }
        let hosts = CONTROLLERS.iter().position(|c| c.kind == Kind::Host);
        if let Some(index) = hosts {
            self.dirty.extend(server.take_returned().into_iter().map(|name| (index, name)));
        }
        let Ok(events) = server.cache.since(self.seen) else {
            self.full_pass_at = Timestamp(0);
            self.seen = server.cache.revision();
            return self.gather_all(server, now);
        };
        if now >= self.full_pass_at {
            self.gather_all(server, now);
        }
        let Some(last) = events.last() else { return };
        self.seen = last.revision;
        let world = server.cache.world();
        for event in &events {
            for (index, controller) in CONTROLLERS.iter().enumerate() {
                let touched = (controller.touched)(&world, event.old.as_ref(), event.new.as_ref());
                self.dirty.extend(touched.into_iter().map(|name| (index, name)));
            }
        }
    }

    fn gather_all(&mut self, server: &Server, now: Timestamp) {
        self.full_pass_at = Timestamp(now.0 + FULL_PASS_MS);
        let world = server.cache.world();
        for (index, controller) in CONTROLLERS.iter().enumerate() {
            let names = world.after(controller.kind, "").map(|any| any.name().to_owned());
            self.dirty.extend(names.map(|name| (index, name)));
        }
    }

    fn at(&mut self, key: Key, at: Timestamp) {
        self.forget(&key);
        self.by_time.insert((at, key.clone()));
        self.due.insert(key, at);
    }

    fn forget(&mut self, key: &Key) {
        if let Some(at) = self.due.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    fn next_due(&self, now: Timestamp) -> Duration {
        if !self.dirty.is_empty() || !self.measuring.answered.is_empty() {
            return Duration::ZERO;
        }
        let next = self.by_time.first().map_or(self.full_pass_at, |(at, _)| *at);
        next.min(self.full_pass_at).since(now).std() + Duration::from_millis(1)
    }
}
