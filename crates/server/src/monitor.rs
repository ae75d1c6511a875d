//! Looks at what monitors name: the one task of the server that leads which asks targets outside
//! the agents' reach. What it measures goes into the metrics store; how targets are, into the
//! monitors' status, by their planner.

mod dns;
mod probe;
mod schedule;
mod series;
mod tls;
mod web;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::monitoring::MonitorPhase;
use atoll_model::{Monitor, Object, Reason, Timestamp};
use atoll_plan::Context;
use atoll_plan::monitoring::{TargetResult, observed};
use futures::FutureExt;
use tokio::task::JoinSet;

use crate::{App, Server};
use probe::{Eyes, Job};
use schedule::{Gone, Key, Schedule, Seen};
use series::Series;

/// So many targets are looked at at once.
const AT_ONCE: usize = 64;
/// Between two looks at the monitors, where no target is due sooner.
const REFRESH: Duration = Duration::from_millis(250);

/// What became of a look.
struct Done {
    key: Key,
    /// Tells a target from one of the same name that came after it.
    turn: u64,
    job: Arc<Job>,
    series: Series,
    seen: Seen,
}

/// Runs until it is dropped; looks only while this replica leads.
pub async fn run(app: App) {
    let own = app.authority.as_ref().map(|authority| authority.certificate.clone());
    let eyes = match Eyes::new(own.as_deref()) {
        Ok(eyes) => Arc::new(eyes),
        Err(error) => return tracing::error!("monitors cannot be looked at: {error}"),
    };
    let mut schedule = Schedule::default();
    let mut looks: JoinSet<Done> = JoinSet::new();
    loop {
        if app.epoch().is_none() {
            // Another looks now. What is under way writes nothing any more.
            schedule.clear();
            looks.abort_all();
        } else {
            refresh(&app, &mut schedule);
            start_due(&app, &eyes, &mut schedule, &mut looks);
        }
        let wait = schedule.next_due(app.clock.now()).min(REFRESH);
        tokio::select! {
            // One that was given up, because another leads, says nothing.
            Some(ended) = looks.join_next(), if !looks.is_empty() => if let Ok(done) = ended {
                take(&app, &mut schedule, done).await;
            },
            () = tokio::time::sleep(wait), if looks.len() < AT_ONCE => {}
        }
    }
}

/// Takes up monitors that have come or changed, and ends the series of those that have gone.
fn refresh(app: &App, schedule: &mut Schedule) {
    let world = app.cache.world();
    let monitors = world.all::<Monitor>().filter(|monitor| !monitor.meta.deleting());
    for gone in schedule.refresh(monitors, app.clock.now()) {
        end(app, gone);
    }
}

/// Begins the looks that are due.
fn start_due(app: &App, eyes: &Arc<Eyes>, schedule: &mut Schedule, looks: &mut JoinSet<Done>) {
    while looks.len() < AT_ONCE {
        let Some((key, turn, job, before)) = schedule.pop_due(app.clock.now()) else { return };
        let (app, eyes) = (app.clone(), eyes.clone());
        looks.spawn(async move {
            let look = AssertUnwindSafe(look(&app, &eyes, &job, before)).catch_unwind().await;
            let broke = |_| {
                let problem = Some("the look broke; see the log".to_owned());
                (Series::default(), Seen { problem, refused: None })
            };
            let (series, seen) = look.unwrap_or_else(broke);
            Done { key, turn, job, series, seen }
        });
    }
}

/// Looks at a target and keeps what was measured.
async fn look(app: &App, eyes: &Eyes, job: &Job, before: Series) -> (Series, Seen) {
    let looked = eyes.look(job, app.clock).await;
    let outcome = if looked.problem.is_none() { "up" } else { "down" };
    let labels = [("probe", job.spec.probe.word()), ("outcome", outcome)];
    app.figures.count("atoll_probes_total", &labels);
    if app.epoch().is_none() {
        return (before, Seen { problem: looked.problem, refused: None });
    }
    app.metrics.describe(looked.families);
    let (rows, server, source) = (looked.rows, app.clone(), source(job));
    let kept = tokio::task::spawn_blocking(move || {
        let mut now = Series::default();
        let refused = match server.append(&source, |intake| now = rows.append(&before, intake)) {
            Ok(appended) => appended.refusal.map(|why| why.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let ahead = (rows.ahead > 0).then(|| format!("{} are of the future", rows.ahead));
        (now, refused.or(ahead))
    });
    let (series, refused) = kept.await.unwrap_or_default();
    (series, Seen { problem: looked.problem, refused })
}

/// The name the store counts the series of a monitor under.
fn source(job: &Job) -> String {
    format!("monitor/{}", job.monitor)
}

/// Marks the series of a target that is no longer looked at as ended.
fn end(app: &App, gone: Gone) {
    if gone.series.is_empty() {
        return;
    }
    let (server, source) = (app.clone(), source(&gone.job));
    tokio::task::spawn_blocking(move || {
        let now = server.clock.now();
        if let Err(error) = server.append(&source, |intake| gone.series.end(intake, now)) {
            tracing::warn!("{source}: its series were not ended: {error}");
        }
    });
}

/// Takes over what a look has brought.
async fn take(app: &App, schedule: &mut Schedule, done: Done) {
    let Done { key, turn, job, series, seen } = done;
    match schedule.done(&key, turn, series, seen) {
        Ok(()) => note(app, &key.0, &schedule.results(&key.0)).await,
        Err(series) if app.epoch().is_some() => end(app, Gone { job, series }),
        Err(_) => {}
    }
}

/// Commits how the targets of a monitor are, under the lease, where that is news.
async fn note(server: &Server, monitor: &str, results: &[TargetResult]) {
    let Some(epoch) = server.epoch() else { return };
    if results.is_empty() {
        return;
    }
    {
        // Looked at first without taking a turn: mostly it is none.
        let (world, measured) = (server.cache.world(), server.measure.read());
        let cx = Context { world: &world, measured: &measured, now: server.clock.now() };
        if observed(&cx, monitor, results).writes.is_empty() {
            return;
        }
    }
    let actor = Actor::controller("monitor");
    let plan = |cx: &Context| Ok::<_, Vec<Reason>>(observed(cx, monitor, results));
    if let Err(error) = server.commit(&actor, Some(epoch), plan).await {
        // It is still news at the next look.
        tracing::warn!("could not note how monitor {monitor} is: {error}");
    }
}

/// How often in a row a target has failed before its first look: as far as its monitor's status
/// tells, so that one that is down stays down until it answers, whoever leads.
fn failed_before(monitor: &Object<Monitor>, target: &str) -> u32 {
    let begins = format!("{target} ");
    let status = &monitor.status;
    let named = |reason: &Reason| reason.message.starts_with(&begins);
    let down = status.phase == MonitorPhase::Down || status.reasons.iter().any(named);
    if down { monitor.spec.failures } else { 0 }
}

/// A number that spreads targets over time; the same for the same target on every replica.
fn spread(monitor: &str, target: &str) -> u64 {
    let hash = blake3::hash(format!("{monitor}\n{target}").as_bytes());
    u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap_or(&[0; 8]))
}

/// The time after `now` on the grid of a target: multiples of `every`, shifted by its own part.
fn next_on_grid(now: Timestamp, every: i64, spread: u64) -> Timestamp {
    let every = every.max(1);
    let shift = i64::try_from(spread % every.unsigned_abs()).unwrap_or(0);
    Timestamp(now.0.saturating_add(every - (now.0 - shift).rem_euclid(every)))
}
