//! The server's own figures: counted where things happen, written as metrics at `/metrics`, and
//! kept in the own store. It measures nothing of the fleet.

pub mod costs;
pub mod inventory;
pub mod process;
pub mod restarts;
pub mod text;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atoll_metrics::exposition::{self, Format, Limits};
use atoll_model::Intent;

use self::restarts::Restarts;
use crate::measure::alerts::Written;
use crate::{App, Server};

/// Own figures are kept this often.
const EVERY: Duration = Duration::from_secs(15);
/// Bounds of the buckets of times, in seconds.
pub const BOUNDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// What became of a plan that was committed.
pub const COMMITTED: &str = "committed";

/// A metric with its labels.
type Key = (&'static str, Vec<(&'static str, String)>);

/// What has been counted so far.
#[derive(Debug)]
pub struct Figures {
    inner: Mutex<Inner>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    counters: BTreeMap<Key, u64>,
    times: BTreeMap<Key, Times>,
}

/// How long something took.
#[derive(Clone, Debug, Default)]
struct Times {
    counts: [u64; BOUNDS.len() + 1],
    sum: f64,
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    (name, labels.iter().map(|(n, v)| (*n, (*v).to_owned())).collect())
}

impl Default for Figures {
    /// Nothing has been counted. What happens seldom stands at 0 from the beginning: of a series
    /// that is born at 1 nobody sees that it has risen, and the first time would be missed.
    fn default() -> Figures {
        let figures = Figures { inner: Mutex::default() };
        Intent::ALL.into_iter().for_each(|intent| figures.commits(intent, COMMITTED, 0));
        Restarts::default().count(&figures);
        figures
    }
}

impl Figures {
    /// Counts plans by what they were for and what became of them.
    pub fn commits(&self, intent: Intent, outcome: &str, count: u64) {
        let labels = [("intent", intent.name()), ("outcome", outcome)];
        self.add("atoll_commits_total", &labels, count);
    }

    /// Counts one.
    pub fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        self.add(name, labels, 1);
    }

    /// Counts several.
    pub fn add(&self, name: &'static str, labels: &[(&'static str, &str)], count: u64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.counters.entry(key(name, labels)).or_default() += count;
    }

    /// Notes how long something took.
    pub fn observe(&self, name: &'static str, labels: &[(&'static str, &str)], took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let times = inner.times.entry(key(name, labels)).or_default();
        times.counts[bucket] += 1;
        times.sum += seconds;
    }
}

/// Keeps the own figures in the own store, and what the leader writes beside them.
pub async fn keep(app: App) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut alerts = Written::default();
    loop {
        every.tick().await;
        // It looks at everything there is, which no request is to wait for.
        let figures = app.clone();
        let kept = tokio::task::spawn_blocking(move || {
            keep_text(&figures, &text::text(&figures, Format::Prometheus));
        });
        if let Err(error) = kept.await {
            tracing::warn!("the own figures were not kept: {error}");
        }
        if app.leads_here() {
            app.write_alerts(&mut alerts);
            app.end_series_of_gone_rules();
        } else {
            alerts = Written::default();
        }
    }
}

fn keep_text(app: &Server, text: &str) {
    let now = app.clock.now();
    let mut rows: Vec<(Vec<(String, String)>, f64)> = Vec::new();
    let parsed = exposition::parse(text, Format::Prometheus, &Limits::default(), |row| {
        let labels = row.labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        rows.push((labels.collect(), row.value));
    });
    match parsed {
        Ok(parsed) => app.metrics.describe(parsed.families),
        Err(error) => return tracing::warn!("could not read the own figures: {error}"),
    }
    let done = app.append("atoll", |intake| {
        for (labels, value) in &rows {
            let mut labels: Vec<(&str, &str)> =
                labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            labels.extend([("job", "atoll"), ("instance", app.replica.as_str())]);
            intake.value(&labels, *value, now);
        }
    });
    if let Err(error) = done {
        tracing::warn!("could not keep the own figures: {error}");
    }
}
