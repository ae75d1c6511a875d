//! How many instances a deployment is to have: what its developers declare, and what the platform
//! makes of it. Not how the number is found, which is a planner's.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cmdb::explained;
use crate::name::{self, Invalid};
use crate::object::{Explained, Spec};
use crate::{Kind, Object, Reason, Span, Timestamp, cron};

mod forecast;

pub use forecast::{ForecastPoint, ForecastStatus, Simplest};

/// The name of the signal that [`Scaling::per_instance`] is.
pub const LOAD: &str = "load";

/// Bounds and signals of the number of instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scaling {
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// What one instance can carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_instance: Option<PerInstance>,
    /// What else is looked at. The signal that asks for most decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<Signal>,
    /// Times with a least number of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Floor>,
    /// Whether a forecast may raise the number. It never lowers it.
    #[serde(default)]
    pub predict: bool,
    /// Whether it is done, or only said what would be.
    #[serde(default)]
    pub mode: ScalingMode,
    /// The score it must have before it acts. Without it, it observes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<ScoreRequirement>,
    /// So much load on another application comes with one unit of load on this one, by the other's
    /// name: how a peak here is a peak there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, f64>,
    /// So much load comes with one a second of what the business counts, by its name: `orders: 12`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub demand: BTreeMap<String, f64>,
    /// Instances are taken away only after every signal has asked for fewer for this long. Where
    /// nothing is said that is five minutes, and for as long as a load is as its forecast says only
    /// the time an instance takes to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_after: Option<Span>,
}

impl Scaling {
    /// How long every signal has to have asked for fewer, where [`Scaling::down_after`] says
    /// nothing.
    pub const DOWN_AFTER: Span = Span::seconds(300);
}

/// What an autoscaler must have shown while it only observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoreRequirement {
    /// For so long it was known what was needed.
    pub observed: Span,
    /// For at most this share of that time it would have had too few instances: 0.01 is a
    /// hundredth.
    #[serde(default = "ScoreRequirement::usual_too_few")]
    pub too_few: f64,
    /// It would have taken at most so many times the instances there were, or were needed where
    /// that is more. As many as it likes, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<f64>,
}

impl ScoreRequirement {
    fn usual_too_few() -> f64 {
        0.01
    }

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.observed.0 == 0, "observed", "is no time");
        let share = (0.0..=1.0).contains(&self.too_few);
        invalid.add_if(!share, "tooFew", "is no share: 0.01 is a hundredth");
        let times = self.times.is_none_or(is_amount);
        invalid.add_if(!times, "times", NO_AMOUNT);
        invalid.into_result()
    }
}

/// What one instance can carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PerInstance {
    /// PromQL of the whole load.
    pub query: String,
    /// The load of one instance that is aimed at.
    pub target: f64,
}

/// One thing the number of instances goes by. One of `per_instance` and `below` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signal {
    /// Names it.
    pub name: String,
    /// PromQL of one number.
    pub query: String,
    /// The number is of all instances together, and one is to have so much of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_instance: Option<f64>,
    /// The number is the same for each, like a utilization or a response time, and is to be no
    /// more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
}

/// A least number of instances for a time that comes again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Floor {
    /// When it begins: five fields as in crontab, in UTC.
    pub cron: String,
    /// How long it lasts.
    pub lasts: Span,
    /// So many instances at least.
    pub at_least: u32,
}

/// Whether the number of instances is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScalingMode {
    /// It is.
    #[default]
    Act,
    /// It is only said what it would be.
    Observe,
}

/// One thing the number of instances goes by, wherever that is declared; see [`Signal`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked<'a> {
    /// Names it.
    pub name: &'a str,
    /// PromQL of one number.
    pub query: &'a str,
    /// See [`Signal::per_instance`].
    pub per_instance: Option<f64>,
    /// See [`Signal::below`].
    pub below: Option<f64>,
}

impl Scaling {
    /// Everything the number goes by.
    pub fn all_signals(&self) -> impl Iterator<Item = Asked<'_>> {
        let load = self.per_instance.as_ref().map(|load| Asked {
            name: LOAD,
            query: &load.query,
            per_instance: Some(load.target),
            below: None,
        });
        load.into_iter().chain(self.signals.iter().map(|signal| Asked {
            name: &signal.name,
            query: &signal.query,
            per_instance: signal.per_instance,
            below: signal.below,
        }))
    }

    /// Whether there is anything to go by.
    pub fn is_automatic(&self) -> bool {
        self.per_instance.is_some() || !self.signals.is_empty() || !self.schedules.is_empty()
    }

    /// Checks it by itself.
    ///
    /// # Errors
    /// Every problem found, each with the path of its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.min > self.max, "min", "is more than max");
        let mut names = BTreeSet::new();
        if let Some(load) = &self.per_instance {
            names.insert(LOAD);
            let path = "perInstance.target";
            invalid.add_if(!is_amount(load.target), path, NO_AMOUNT);
            invalid.add_if(load.query.trim().is_empty(), "perInstance.query", "is empty");
        }
        for (i, signal) in self.signals.iter().enumerate() {
            let path = format!("signals[{i}]");
            invalid.nest(&format!("{path}.name"), name::check_simple(&signal.name));
            let again = !names.insert(&signal.name);
            invalid.add_if(again, &format!("{path}.name"), "names two signals");
            let empty = signal.query.trim().is_empty();
            invalid.add_if(empty, &format!("{path}.query"), "is empty");
            let one = signal.per_instance.is_some() != signal.below.is_some();
            invalid.add_if(!one, &path, "needs one of perInstance and below");
            let amounts = [("perInstance", signal.per_instance), ("below", signal.below)];
            for (field, amount) in amounts {
                let wrong = amount.is_some_and(|amount| !is_amount(amount));
                invalid.add_if(wrong, &format!("{path}.{field}"), NO_AMOUNT);
            }
        }
        if let Some(asked) = &self.requires {
            invalid.nest("requires", asked.validate());
        }
        if self.per_instance.is_none() {
            let message = "goes by the load, which perInstance says how to measure";
            let calls = !self.calls.is_empty();
            let demand = !self.demand.is_empty();
            let all = [("predict", self.predict), ("calls", calls), ("demand", demand)];
            all.into_iter().for_each(|(field, given)| invalid.add_if(given, field, message));
        }
        for (field, all) in [("calls", &self.calls), ("demand", &self.demand)] {
            for (name, each) in all {
                let path = format!("{field}.{name}");
                invalid.nest(&path, name::check_simple(name));
                invalid.add_if(!is_amount(*each), &path, NO_AMOUNT);
            }
        }
        for (i, floor) in self.schedules.iter().enumerate() {
            let path = format!("schedules[{i}]");
            if let Err(wrong) = cron::check(&floor.cron) {
                invalid.add(&format!("{path}.cron"), wrong);
            }
            invalid.add_if(floor.lasts.0 == 0, &format!("{path}.lasts"), "is no time");
            let beyond = floor.at_least > self.max;
            invalid.add_if(beyond, &format!("{path}.atLeast"), "is more than max");
        }
        invalid.into_result()
    }
}

/// What is wrong with a number that is no amount.
pub(crate) const NO_AMOUNT: &str = "is not more than zero and at most 1e12";

/// Whether a number says how much of something there is, and may be meant.
pub(crate) fn is_amount(value: f64) -> bool {
    value > 0.0 && value <= 1e12
}

impl Floor {
    /// Until when it holds, if it does at a time.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let began = cron::next_after(&self.cron, now - self.lasts)?;
        (began <= now).then(|| began + self.lasts)
    }

    /// When it begins next.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        cron::next_after(&self.cron, now)
    }
}

/// What keeps the number of instances of one deployment. It is made from the application's
/// `scaling`, has the deployment's name, and what it says itself comes before what that says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Autoscaler {
    /// The deployment.
    pub deployment: String,
    /// The least here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// The most here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Whether it is done here, or only said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ScalingMode>,
    /// The score it must have here before it acts, in place of the application's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<ScoreRequirement>,
}

/// How many there are to be, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalerStatus {
    /// In one word.
    #[serde(default)]
    pub phase: AutoscalerPhase,
    /// So many instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<u32>,
    /// Since when it is that number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The bounds that are in force.
    #[serde(default)]
    pub min: u32,
    /// The most that is in force.
    #[serde(default)]
    pub max: u32,
    /// What each signal asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<SignalStatus>,
    /// What is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastStatus>,
    /// How it would have done since it only observes, or the last time it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// When metrics of its instances could not be read last: what was seen then was not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_at: Option<Timestamp>,
    /// When what is above was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// How an autoscaler that only observes would have done, and how its deployment did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// Since when it observes.
    pub since: Timestamp,
    /// Until when this is counted.
    pub at: Timestamp,
    /// For so many seconds it is known what was needed.
    pub seconds: f64,
    /// For so many of them those it would have had were too few,
    pub short: f64,
    /// and for so many those that served.
    pub was_short: f64,
    /// Instance seconds it would have taken,
    pub instances: f64,
    /// and those there were to be, or were needed, where that is more.
    pub were: f64,
    /// The numbers it wanted lately, the oldest first: what it would begin serves after a start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<Wanted>,
    /// Tells apart what it goes by: of another scaling or other bounds nothing is known.
    #[serde(default)]
    pub basis: u32,
    /// It is let act, and observes until its score is what is required.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub let_act: bool,
}

/// A number of instances from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// Since when.
    pub at: Timestamp,
    /// So many.
    pub instances: u32,
}

impl Score {
    /// The share of the time in which it would have had too few, and in which there were.
    pub fn too_few(&self) -> (f64, f64) {
        let all = self.seconds.max(1.0);
        (self.short / all, self.was_short / all)
    }

    /// How many times the instances it would have taken that there were, or were needed.
    pub fn times(&self) -> f64 {
        self.instances / self.were.max(1.0)
    }

    /// What it lacks of what is asked for, in words; nothing, if it has all of it.
    pub fn lacks(&self, asked: &ScoreRequirement) -> Vec<String> {
        let observed = Span((self.seconds * 1_000.0) as u64);
        let (too_few, _) = self.too_few();
        let mut lacks = Vec::new();
        if observed < asked.observed {
            lacks.push(format!("observed for {} of {}", observed.rough(), asked.observed));
        }
        if too_few > asked.too_few {
            let (has, may) = (too_few * 100.0, asked.too_few * 100.0);
            lacks.push(format!("too few for {has:.2} % of the time, of {may} % it may"));
        }
        if let Some(times) = asked.times.filter(|times| self.times() > *times) {
            let has = self.times();
            lacks.push(format!("{has:.2} times the instances that are needed, of {times} it may"));
        }
        lacks
    }
}

/// The state of an autoscaler in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AutoscalerPhase {
    /// Nothing was measured yet: the deployment's own number holds.
    #[default]
    Waiting,
    /// The number is kept.
    Acting,
    /// The number is only said.
    Observing,
    /// What it goes by is not measured: nothing is taken away but what a peak raised.
    Blind,
}

/// What one signal says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalStatus {
    /// Its name.
    pub name: String,
    /// What was measured, to three digits; absent without fresh data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// How many instances that asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<u32>,
    /// When it was measured last, where it is not measured now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
}

explained!(AutoscalerStatus);

impl Spec for Autoscaler {
    const KIND: Kind = Kind::Autoscaler;
    type Status = AutoscalerStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("deployment", name::check_derived(&self.deployment));
        let above = self.min.zip(self.max).is_some_and(|(min, max)| min > max);
        invalid.add_if(above, "min", "is more than max");
        if let Some(asked) = &self.requires {
            invalid.nest("requires", asked.validate());
        }
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Autoscaler) -> Result<(), Invalid> {
        if name == spec.deployment {
            return name::check_derived(name);
        }
        Err(Invalid::one("", format!("this autoscaler is named {}", spec.deployment)))
    }
}

impl Object<Autoscaler> {
    /// How many instances its deployment is to have by it; none where the deployment's own number
    /// holds.
    pub fn keeps(&self) -> Option<u32> {
        match self.status.phase {
            AutoscalerPhase::Acting | AutoscalerPhase::Blind => self.status.desired,
            AutoscalerPhase::Waiting | AutoscalerPhase::Observing => None,
        }
    }
}
