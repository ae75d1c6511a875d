//! Judges a change by what is measured: what to ask ([`queries`]), how answers become an
//! [`Observation`] ([`observe`]), and what to think of it ([`judge`]). Pure: the same observation
//! gives the same judgement. What a verdict does to a rollout is the deployment's planner.

use atoll_model::Timestamp;
use atoll_model::guard::{Evidence, Guard, Signal, Verdict};

mod ask;
pub mod case;
mod contrast;
mod events;
pub mod generate;
mod grid;
mod history;
mod leak;
mod level;
mod observe;
mod outlier;
pub mod replay;
mod sentence;
mod shape;
mod statistics;
mod verdict;

pub use ask::queries;
pub use observe::observe;
pub use verdict::judge;

/// All that a change is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation<'a> {
    /// What is measured.
    pub signals: Vec<Observed<'a>>,
    /// When the first instance of the present step was changed.
    pub step_at: Timestamp,
    /// When the rollout began.
    pub since: Timestamp,
    /// When the present step's watch ends, if that is known.
    pub soak_until: Option<Timestamp>,
    /// Earlier changes of this application.
    pub history: Vec<Past>,
    /// The time of the judgement; nothing later is looked at.
    pub now: Timestamp,
}

/// One signal of an [`Observation`].
#[derive(Clone, Debug, PartialEq)]
pub struct Observed<'a> {
    /// What is measured.
    pub signal: Signal,
    /// Of instances on the new release: from before their change until now.
    pub changed: Vec<Track<'a>>,
    /// Of instances still on the old one, over the same time.
    pub unchanged: Vec<Track<'a>>,
    /// Of the same instances as `changed`, at the same hours of earlier days.
    pub background: Vec<Day<'a>>,
    /// Of the deployment as a whole, for what has no series by instance.
    pub whole: Vec<Track<'a>>,
    /// Why there are no data, where asking for them failed.
    pub failed: Option<String>,
}

/// The same hours of an earlier day.
#[derive(Clone, Debug, PartialEq)]
pub struct Day<'a> {
    /// How many days earlier.
    pub ago: u32,
    /// What was measured then, at the time of then.
    pub tracks: Vec<Track<'a>>,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Track<'a> {
    /// The instance, or what stands for a group of them.
    pub instance: &'a str,
    /// When it was changed; none where it was not.
    pub changed_at: Option<Timestamp>,
    /// Values by time, in order; what is missing is left out, not zero.
    pub points: &'a [(Timestamp, f64)],
}

/// What one signal did in an earlier change of the same application.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The signal.
    pub signal: String,
    /// How much of a change was put down to the release, relative to before.
    pub effect: f64,
    /// What it alone said.
    pub verdict: Verdict,
    /// What a person said of the verdict, if anybody did.
    pub right: Option<bool>,
}

/// What is thought of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The worst of the evidence that counts.
    pub verdict: Verdict,
    /// One for each signal, the worst first.
    pub evidence: Vec<Evidence>,
    /// In one sentence.
    pub message: String,
    /// When more is known by the passing of time alone.
    pub again_at: Option<Timestamp>,
}

/// Whether the rules ask for anything at all.
pub fn is_watching(rules: &Guard) -> bool {
    rules.mode != atoll_model::guard::GuardMode::Off
}
