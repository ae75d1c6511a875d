//! The only loop: keys that may need work are planned, decided and committed, one after another,
//! on the replica that holds the lease. It knows no kind of work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::{Kind, Reason, Span, Timestamp};
use atoll_plan::{CONTROLLERS, Context};
use atoll_store::{CommitError, Epoch};
use tokio::sync::watch;

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
            _ = shutdown.changed() => break,
        }
        if let Some(epoch) = leads
            && !work(&server, epoch, &mut agenda).await
        {
            leads = None;
            server.set_leading(None);
        }
    }
    if leads.is_some() {
        // A lease not given back is only waited for; the next leader needs no word from us.
        let _ = server.store.release_lease(LEASE, &server.replica).await;
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
    server.set_leading(Some((lease.holder, lease.held_by_us)));
    now_leads
}

/// Plans every key that needs it. False, when the lease is lost.
///
/// It returns after a turn even if more is to be done, so that the lease is renewed in time.
async fn work(server: &Server, epoch: Epoch, agenda: &mut Agenda) -> bool {
    let began = server.clock.now();
    while server.clock.now().since(began) < TURN {
        agenda.gather(server);
        let Some(key) = agenda.dirty.pop_first() else { return true };
        agenda.forget(&key);
        let controller = &CONTROLLERS[key.0];
        let actor = Actor::controller(controller.name);
        let make = |cx: &Context| Ok::<_, Vec<Reason>>((controller.plan)(cx, &key.1));
        let now = server.clock.now();
        let again_at = match server.commit(&actor, Some(epoch), make).await {
            Ok(done) => done.again_at,
            Err(Refusal::Store(CommitError::Fenced { .. })) => return false,
            Err(Refusal::Store(CommitError::Conflict { .. })) => {
                agenda.dirty.insert(key);
                continue;
            }
            Err(error) => {
                tracing::warn!("{} {}: {error}", controller.name, key.1);
                Some(Timestamp(now.0 + RETRY_MS))
            }
        };
        if let Some(at) = again_at {
            agenda.at(key, at);
        }
        tokio::task::yield_now().await;
    }
    true
}

impl Agenda {
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
        if !self.dirty.is_empty() {
            return Duration::ZERO;
        }
        let next = self.by_time.first().map_or(self.full_pass_at, |(at, _)| *at);
        next.min(self.full_pass_at).since(now).std() + Duration::from_millis(1)
    }
}
