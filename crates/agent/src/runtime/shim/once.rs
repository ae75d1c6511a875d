//! What is different about work that is done once: it is never started a second time, its end is
//! the end, its time is bounded, and its secrets come over the shim's standard input.

use std::collections::BTreeMap;
use std::io::{self, Read};

use atoll_model::Span;

use super::{Aim, Shim};
use crate::clock;
use crate::runtime::orders::{How, Orders, Phase};
use crate::runtime::process::Process;
use crate::runtime::sandbox;

/// The longest that is read of secrets, in bytes.
const LONGEST: u64 = 4 << 20;

/// The secrets handed over, if any are announced.
pub fn secrets(orders: &Orders) -> io::Result<BTreeMap<String, String>> {
    if !orders.once.as_ref().is_some_and(|once| once.secrets) {
        return Ok(BTreeMap::new());
    }
    let mut text = String::new();
    io::stdin().take(LONGEST).read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(|e| io::Error::other(format!("no secrets came: {e}")))
}

impl Shim {
    /// Bounds the time of the work, and tells whether it was begun before.
    pub(super) fn begin_once(&mut self) -> bool {
        let Some(once) = &self.orders.once else { return false };
        let now = clock::now();
        let gone = self.state.started_at.map_or(Span(0), |at| now.since(at));
        let left = Span(once.timeout.0.saturating_sub(gone.0));
        self.late_at = clock::instant().checked_add(left.std());
        self.state.started_at.is_some()
    }

    /// Starts the work. That it may have begun is on the disk before it does:
    /// **Invariant:** it is never begun a second time.
    pub(super) fn spawn_once(&mut self) -> io::Result<Process> {
        self.state.started_at = Some(clock::now());
        self.state.phase = Phase::Running;
        self.publish();
        let sandbox = self.orders.once.as_ref().and_then(|once| once.sandbox.as_ref());
        let Some(sandbox) = sandbox else {
            return self.spawn(&self.secrets);
        };
        let mut launch = self.orders.launch.clone();
        launch.env.extend(self.secrets.clone());
        sandbox::start(sandbox, &launch, &self.output()?, &self.place.verdict())
    }

    /// The work has ended, and with it everything.
    pub(super) fn end_once(&mut self, how: &mut How) {
        if self.orders.once.is_none() {
            return;
        }
        if !matches!(how, How::NotStarted(..))
            && let Some(verdict) = sandbox::verdict(&self.place.verdict())
        {
            *how = verdict;
        }
        if self.aim != Aim::Stop {
            // What it left behind was not asked to stop, and has no time to.
            self.aim = Aim::Stop;
            self.kill_at = None;
        }
    }

    /// Writes what was kept back of its log, and what was not kept.
    pub(super) fn finish_log(&mut self) {
        if let Some(tap) = &mut self.tap {
            let last = tap.finish();
            self.log.write(&last, clock::now());
        }
    }
}
