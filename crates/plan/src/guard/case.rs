//! A recorded change: series, what was changed when, and whether it was bad. The format of the
//! replay bench, described in `docs/guide/guard.md`. Not how it is replayed, which is `replay.rs`.

use std::collections::BTreeSet;
use std::fmt;

use atoll_model::guard::{Guard, Missing, Signal, SignalKind, Verdict, Worse};
use atoll_model::{Span, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The version of the format.
pub const FORMAT: u32 = 1;
/// More values than this in one file are refused.
const MOST_VALUES: usize = 50_000_000;

/// One recorded change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// The version of the format, [`FORMAT`].
    pub format: u32,
    /// What it is called in reports.
    pub name: String,
    /// Whether it ought to be stopped.
    pub label: Label,
    /// What kind of change it is; reports have a row for each.
    #[serde(default = "unclassed")]
    pub class: String,
    /// The verdict that is right, where it is known more exactly than by the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Verdict>,
    /// What was changed when.
    pub change: Change,
    /// The guard's rules; the usual ones, if absent.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub rules: Guard,
    /// What was measured.
    pub signals: Vec<CaseSignal>,
    /// The values.
    pub series: Vec<CaseSeries>,
    /// Values of the same hours of earlier days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub background: Vec<CaseSeries>,
    /// What earlier changes of the application showed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<CasePast>,
}

fn unclassed() -> String {
    "other".to_owned()
}

fn is_usual(rules: &Guard) -> bool {
    *rules == Guard::default()
}

/// Whether a change ought to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// It is harmless.
    Good,
    /// It does harm.
    Bad,
}

/// What was changed when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// When it began.
    #[serde(deserialize_with = "moment")]
    pub at: Timestamp,
    /// How long each step is watched.
    #[serde(default = "usual_soak", deserialize_with = "length")]
    pub soak: Span,
    /// The instances changed at each step; all others are unchanged. May be absent where all series
    /// are of the deployment as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<ChangeStep>,
}

fn usual_soak() -> Span {
    Span::seconds(900)
}

/// The instances that were changed together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeStep {
    /// When.
    #[serde(deserialize_with = "moment")]
    pub at: Timestamp,
    /// Which. None where all series are of the deployment as a whole.
    #[serde(default)]
    pub instances: Vec<String>,
}

/// One signal; the fields mean what they mean in a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseSignal {
    /// What its series name.
    pub name: String,
    /// What is measured.
    #[serde(default)]
    pub measure: SignalKind,
    /// Which way is worse.
    #[serde(default)]
    pub worse: Worse,
    /// A breach takes the rollout back.
    #[serde(default)]
    pub critical: bool,
    /// The smallest relative change that matters.
    #[serde(default = "a_tenth")]
    pub effect: f64,
    /// The smallest absolute change that matters.
    #[serde(default)]
    pub least: f64,
    /// What happens where there is too little data.
    #[serde(default)]
    pub missing: Missing,
}

fn a_tenth() -> f64 {
    0.1
}

impl CaseSignal {
    /// As the judge knows it.
    pub fn signal(&self) -> Signal {
        Signal {
            name: self.name.clone(),
            query: String::new(),
            worse: self.worse,
            measure: self.measure,
            critical: self.critical,
            missing: self.missing,
            effect: self.effect,
            least: self.least,
        }
    }
}

/// Values at even distances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseSeries {
    /// The name of its signal.
    pub signal: String,
    /// Of which instance; absent or null, of the deployment as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_none")]
    pub instance: String,
    /// For the background: how many days earlier, as -1, -2 …
    #[serde(default, skip_serializing_if = "is_today")]
    pub day: i32,
    /// The time of the first value.
    #[serde(deserialize_with = "moment")]
    pub start: Timestamp,
    /// From one value to the next.
    #[serde(deserialize_with = "length")]
    pub step: Span,
    /// The values; `null` where nothing was measured.
    pub values: Vec<Option<f64>>,
}

fn is_today(day: &i32) -> bool {
    *day == 0
}

impl CaseSeries {
    /// The values that were measured, with their times.
    pub fn points(&self) -> Vec<(Timestamp, f64)> {
        let mut at = self.start;
        let mut points = Vec::with_capacity(self.values.len());
        for value in &self.values {
            points.extend(value.filter(|value| value.is_finite()).map(|value| (at, value)));
            at = at + self.step;
        }
        points
    }
}

/// What one signal did in an earlier change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CasePast {
    /// The signal.
    pub signal: String,
    /// The change put down to the release, relative to before.
    pub effect: f64,
    /// What was said then.
    pub verdict: Verdict,
    /// Whether a person called that right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<bool>,
}

impl Case {
    /// Checks what types alone do not.
    ///
    /// # Errors
    /// The first thing that is wrong, in words.
    pub fn validate(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("format is {}; this version reads {FORMAT}", self.format));
        }
        let problems = self.rules.validate().err().map(|invalid| format!("rules: {invalid}"));
        if let Some(problems) = problems {
            return Err(problems);
        }
        let told = self.change.steps.iter().any(|step| !step.instances.is_empty());
        if !told && self.series.iter().any(|series| !series.instance.is_empty()) {
            return Err("change.steps name no instance; say which were changed".to_owned());
        }
        if self.change.soak.0 == 0 {
            return Err("change.soak is 0; say how long a step is watched".to_owned());
        }
        let early = self.change.steps.iter().any(|step| step.at < self.change.at);
        if early || !self.change.steps.is_sorted_by_key(|step| step.at) {
            return Err("change.steps are not in order of time from change.at on".to_owned());
        }
        let mut names = BTreeSet::new();
        for signal in &self.signals {
            if !names.insert(signal.name.as_str()) {
                return Err(format!("signals name {:?} twice", signal.name));
            }
            if !(signal.effect >= 0.0 && signal.least >= 0.0) {
                return Err(format!("signal {:?} has an effect or least below 0", signal.name));
            }
        }
        if names.is_empty() {
            return Err("signals are empty".to_owned());
        }
        let all = self.series.iter().map(|s| ("series", s));
        let all = all.chain(self.background.iter().map(|s| ("background", s)));
        let mut values = 0;
        for (what, series) in all {
            let of = format!("{what} of {:?} {:?}", series.signal, series.instance);
            if !names.contains(series.signal.as_str()) {
                return Err(format!("{of} has a signal that signals do not name"));
            }
            if series.step.0 == 0 {
                return Err(format!("{of} has a step of 0"));
            }
            if (what == "background") != (series.day < 0) {
                return Err(format!(
                    "{of} has day {}; -1 is the day before, 0 no background",
                    series.day
                ));
            }
            values += series.values.len();
        }
        if self.series.iter().all(|series| series.points().is_empty()) {
            return Err("series hold no value that is a number".to_owned());
        }
        if values > MOST_VALUES {
            return Err(format!("{values} values are more than {MOST_VALUES}"));
        }
        Ok(())
    }
}

fn or_none<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A time as RFC 3339, or in seconds since 1970.
fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    struct Read;
    impl de::Visitor<'_> for Read {
        type Value = Timestamp;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time like 2026-11-11T00:00:00Z, or seconds since 1970")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
            text.parse().map_err(E::custom)
        }
        fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Timestamp, E> {
            Ok(Timestamp(i64::try_from(seconds).map_err(E::custom)?.saturating_mul(1000)))
        }
        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Timestamp, E> {
            Ok(Timestamp(seconds.saturating_mul(1000)))
        }
        fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Timestamp, E> {
            Ok(Timestamp((seconds * 1000.0).round() as i64))
        }
    }
    from.deserialize_any(Read)
}

/// A span as `15s`, or in seconds.
fn length<'de, D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
    struct Read;
    impl de::Visitor<'_> for Read {
        type Value = Span;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a span of time like 15s, or seconds")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
            text.parse().map_err(E::custom)
        }
        fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
            Ok(Span::seconds(seconds))
        }
        fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Span, E> {
            Ok(Span((seconds * 1000.0).round().max(0.0) as u64))
        }
    }
    from.deserialize_any(Read)
}
