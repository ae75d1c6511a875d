//! Ends what agents have measured of instances and hosts that are gone: an agent may be gone too,
//! and cannot say so. The replica that leads does it, and passes it on as what it measures itself.
//! What an agent sends after all goes on; series of anybody else are not touched.

use std::collections::BTreeSet;
use std::time::Duration;

use atoll_metrics::{LabelQuery, Labels, Matcher, Source, SourceError};
use atoll_model::access::Actor;
use atoll_model::cmdb::HostPhase;
use atoll_model::{Any, Host, Object, Snapshot, Span, Timestamp};
use tokio::time::MissedTickBehavior;

use crate::cache::Event;
use crate::metrics::write::TakeError;
use crate::{App, Server};

/// Between two looks. An agent that is there says by then itself what has ended.
const EVERY: Duration = Duration::from_secs(5);
/// Who begins to lead, or has missed events, looks at all hosts after this time: those that were
/// lost only for want of a server have been heard again by then.
const SETTLED: Duration = Duration::from_secs(60);
/// What is older has left every answer by itself.
const LATELY: Span = Span::seconds(300);

/// Runs until it is dropped; ends series only while this replica leads.
pub async fn run(app: App) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looking = Looking::from(&app);
    loop {
        every.tick().await;
        if app.epoch().is_none() {
            looking = Looking::from(&app);
            continue;
        }
        let of = app.clone();
        let look = tokio::task::spawn_blocking(move || {
            looking.look(&of);
            looking
        });
        looking = look.await.unwrap_or_else(|error| {
            tracing::warn!("could not end the series of what is gone: {error}");
            Looking::from(&app)
        });
    }
}

/// What is known from one look to the next.
struct Looking {
    /// Up to where the feed has been read.
    revision: u64,
    /// When it is to look at all hosts, on a clock that only counts; none, if it is not to.
    all_due: Option<Duration>,
    /// The hosts on which something was gone at the last look, for what was on its way then.
    last: BTreeSet<String>,
}

impl Looking {
    /// Before the first look of a replica that leads, should it do so from now on.
    fn from(app: &Server) -> Looking {
        let all_due = Some(app.clock.elapsed() + SETTLED);
        Looking { revision: app.cache.revision(), all_due, last: BTreeSet::new() }
    }

    /// Costs what has gone lately and not the fleet, unless it is to look at all hosts.
    fn look(&mut self, app: &Server) {
        let mut hosts = BTreeSet::new();
        match app.cache.since(self.revision) {
            Ok(events) => {
                hosts.extend(events.iter().filter_map(|event| left(event)));
                self.revision = events.last().map_or(self.revision, |event| event.revision);
            }
            Err(_) => {
                self.revision = app.cache.revision();
                // Not at once: where so much happens, it happens again and again.
                self.all_due.get_or_insert(app.clock.elapsed() + SETTLED);
            }
        }
        // Not before the events: what came back since is not gone.
        let world = app.cache.world();
        let last = std::mem::replace(&mut self.last, hosts.clone());
        hosts.extend(last);
        if self.all_due.is_some_and(|due| due <= app.clock.elapsed()) {
            self.all_due = None;
            match app.metrics.storage.label_values("host", &LabelQuery::default()) {
                Ok(all) => hosts.extend(all),
                Err(error) => tracing::warn!("could not see what hosts are measured: {error}"),
            }
        }
        for host in &hosts {
            if let Err(error) = app.end_series_of_gone(&world, host) {
                tracing::warn!("could not end the series of what is gone on {host}: {error}");
            }
        }
    }
}

/// The host on which something may be gone after an event.
fn left(event: &Event) -> Option<String> {
    match (event.old.as_ref()?, &event.new) {
        (Any::Instance(old), Some(Any::Instance(new))) if old.spec.host == new.spec.host => None,
        (Any::Instance(old), _) => Some(old.spec.host.clone()),
        (Any::Host(old), Some(Any::Host(new))) if is_lost(old) || !is_lost(new) => None,
        (Any::Host(old), _) => Some(old.meta.name.clone()),
        _ => None,
    }
}

fn is_lost(host: &Object<Host>) -> bool {
    host.status.phase == HostPhase::Unknown
}

/// Whether a series is of an instance that is on a host no more. Instances are named by their
/// deployment and a number; what has such labels and is not named so speaks of something else.
fn is_of_gone_instance(world: &Snapshot, host: &str, labels: &Labels) -> bool {
    let instance = labels.get("instance");
    let deployment = instance.rsplit_once('.').map(|(deployment, _)| deployment);
    deployment == Some(labels.get("deployment")) && world.instance_on(host, instance).is_none()
}

impl Server {
    /// Ends the series an agent has sent of what is gone on its host: of all there, if that is
    /// lost or deleted.
    fn end_series_of_gone(&self, world: &Snapshot, host: &str) -> Result<(), EndError> {
        let (agent, now) = (Actor::host(host).name, self.clock.now());
        let since = (now - LATELY).0;
        let on_it = [Matcher::equal("host", host)];
        let mut found = self.metrics.storage.unended(&agent, &on_it, since)?;
        if world.host(host).is_some_and(|object| !is_lost(object)) {
            found.retain(|(labels, _)| is_of_gone_instance(world, host, labels));
        }
        if found.is_empty() {
            return Ok(());
        }
        self.append(&agent, |intake| {
            for (labels, last) in &found {
                let pairs: Vec<(&str, &str)> = labels.iter().collect();
                // The host's clock may be ahead of this one.
                intake.end(&pairs, now.max(Timestamp(last.at + 1)));
            }
        })?;
        Ok(())
    }
}

/// Why no series were ended.
#[derive(Debug, thiserror::Error)]
enum EndError {
    #[error(transparent)]
    Find(#[from] SourceError),
    #[error(transparent)]
    Take(#[from] TakeError),
}
