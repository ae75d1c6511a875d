//! What watches a rollout and what it says: the rules an application gives, verdicts and their
//! evidence. How a verdict is reached is the planner of the same name.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::explained;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::{Span, Timestamp};

/// How the rollouts of an application are watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guard {
    /// What a verdict does.
    #[serde(default)]
    pub mode: GuardMode,
    /// How long before a step is compared with after it.
    #[serde(default = "Guard::usual_before")]
    pub before: Span,
    /// How long after a step its effect is looked at, at most.
    #[serde(default = "Guard::usual_after")]
    pub after: Span,
    /// How long a step without enough data is waited for before a person is asked.
    #[serde(default = "Guard::usual_patience")]
    pub patience: Span,
    /// Signals beyond the application's objectives and the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<Signal>,
    /// Built-in signals that are left out, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<String>,
}

impl Guard {
    fn usual_before() -> Span {
        Span::seconds(1800)
    }
    fn usual_after() -> Span {
        Span::seconds(900)
    }
    fn usual_patience() -> Span {
        Span::seconds(300)
    }

    /// Checks the section by itself.
    ///
    /// # Errors
    /// Every problem found.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.before.0 < 60_000, "before", "is less than 1m");
        invalid.add_if(self.after.0 < 10_000, "after", "is less than 10s");
        let mut names = BTreeSet::new();
        for (i, signal) in self.signals.iter().enumerate() {
            let path = format!("signals[{i}]");
            invalid.nest(&format!("{path}.name"), name::check_simple(&signal.name));
            invalid.add_if(signal.query.trim().is_empty(), &format!("{path}.query"), "is empty");
            let again = !names.insert(&signal.name);
            invalid.add_if(again, &format!("{path}.name"), "names two signals");
        }
        invalid.into_result()
    }
}

impl Default for Guard {
    fn default() -> Guard {
        Guard {
            mode: GuardMode::default(),
            before: Guard::usual_before(),
            after: Guard::usual_after(),
            patience: Guard::usual_patience(),
            signals: Vec::new(),
            without: BTreeSet::new(),
        }
    }
}

/// What a verdict does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GuardMode {
    /// Nothing is watched.
    Off,
    /// Verdicts are recorded and do nothing.
    Trial,
    /// A verdict stops a rollout or takes it back.
    #[default]
    Enforce,
}

/// Something measured of every instance that a rollout is judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signal {
    /// Unique within the application.
    pub name: String,
    /// PromQL that gives one series an instance, told apart by the label `instance`.
    pub query: String,
    /// Which way is worse.
    #[serde(default)]
    pub worse: Worse,
    /// What is measured, which decides how noise is treated.
    #[serde(default)]
    pub measure: SignalKind,
    /// A breach takes the rollout back at once; otherwise it is stopped and a person is asked.
    #[serde(default)]
    pub critical: bool,
    /// What happens where there is too little data.
    #[serde(default)]
    pub missing: Missing,
    /// The smallest relative change that matters, as a share: 0.1 is 10 %.
    #[serde(default = "Signal::usual_effect")]
    pub effect: f64,
    /// The smallest absolute change that matters, in the signal's own unit.
    #[serde(default)]
    pub least: f64,
}

impl Signal {
    fn usual_effect() -> f64 {
        0.1
    }
}

/// Which way a signal gets worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Worse {
    /// Higher is worse: errors, latency.
    #[default]
    Higher,
    /// Lower is worse: a success rate, traffic served.
    Lower,
    /// Either way is.
    Either,
}

/// What a signal measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignalKind {
    /// Any value.
    #[default]
    Value,
    /// A time requests take.
    Latency,
    /// A share of requests that fail, 0 to 1.
    Errors,
    /// Requests a second. Evidence of load; a fall on updated instances alone is a breach.
    Traffic,
    /// How full something is: cpu, memory, a queue.
    Saturation,
    /// Events that should not happen: restarts, error lines; counted, often zero.
    Events,
}

/// What happens to a verdict where a signal has too little data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// Fail-closed: the verdict is that data is insufficient.
    #[default]
    Closed,
    /// Fail-open: the signal is left out, and the evidence says so.
    Open,
}

/// What the guard says of a step.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing got worse.
    Pass,
    /// Something got worse that does not matter enough to stop.
    Warn,
    /// Too little is known; neither passes nor goes back.
    #[default]
    InsufficientData,
    /// Something got worse: stay here and ask.
    Stop,
    /// Something critical got worse: go back.
    RollBack,
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::InsufficientData => "insufficient data",
            Verdict::Stop => "stop",
            Verdict::RollBack => "roll back",
        }
    }
}

/// What one signal showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The signal's name.
    pub signal: String,
    /// What it alone would say.
    pub verdict: Verdict,
    /// Whether a breach of it takes the rollout back.
    #[serde(default)]
    pub critical: bool,
    /// One sentence for a person, with numbers.
    pub message: String,
    /// The changed instances before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Summary>,
    /// The changed instances after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Summary>,
    /// Instances not changed, over the same time as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<Summary>,
    /// The change that is put down to the release, relative to before: 0.3 is 30 % more.
    #[serde(default)]
    pub effect: f64,
    /// The chance of a change at least so large where the release did nothing.
    #[serde(default)]
    pub chance: f64,
    /// The last so many points in a row are outside the band.
    #[serde(default)]
    pub points: u32,
    /// Lowest and highest value that counts as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<(f64, f64)>,
}

/// A group of samples in short.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The middle value.
    pub median: f64,
    /// A tenth lies below.
    pub low: f64,
    /// A tenth lies above.
    pub high: f64,
    /// How many samples.
    pub samples: u32,
    /// Of how many instances.
    pub instances: u32,
}

/// How the guard sees the step a rollout is at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardStatus {
    /// What it says.
    pub verdict: Verdict,
    /// Of this step.
    #[serde(default)]
    pub step: u32,
    /// When this was first said.
    #[serde(default)]
    pub at: Timestamp,
    /// In one sentence.
    #[serde(default)]
    pub message: String,
    /// Why, the worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// The record of how one rollout was judged, written by the deployment's planner; people add their
/// feedback. Its object is named `DEPLOYMENT.RELEASE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Analysis {
    /// The deployment.
    pub deployment: String,
    /// The release that was rolled out.
    pub release: String,
    /// The release it replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What a person says of the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
}

/// What a person says of a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Feedback {
    /// Whether the verdict was right.
    pub right: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// How a rollout was judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisStatus {
    /// The last verdict.
    #[serde(default)]
    pub verdict: Verdict,
    /// Whether it was given in trial mode, without effect.
    #[serde(default)]
    pub trial: bool,
    /// When the rollout began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the last verdict was first given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Verdicts of the steps, in order, the last for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<GuardStatus>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

explained!(AnalysisStatus);

impl Spec for Analysis {
    const KIND: Kind = Kind::Analysis;
    type Status = AnalysisStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("deployment", name::check_derived(&self.deployment));
        invalid.nest("release", name::check_simple(&self.release));
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Analysis) -> Result<(), Invalid> {
        let right = format!("{}.{}", spec.deployment, spec.release);
        if name == right {
            return name::check_derived(name);
        }
        Err(Invalid::one("", format!("this analysis is named {right}")))
    }
}
