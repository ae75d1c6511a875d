//! Rehearsals: what is supposed of a fleet for some hours, and what must hold in them. Not how it
//! comes out, which the planners find on a twin of the fleet, nor what is told of that, which is in
//! `rehearsal/report.rs`. A rehearsal is not stored.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::{self, Invalid};
use crate::object::API_VERSION;
use crate::rollout::Rollout;
use crate::run::Resources;
use crate::time::{Span, Timestamp};

pub use fault::{Bad, Change, Check, Fault, share};
pub use fleet::Fleet;

mod fault;
mod fleet;
pub mod page;
pub mod report;

/// The kind a scenario says it is.
pub const KIND: &str = "Rehearsal";
/// The longest time that is rehearsed.
pub const LONGEST: Span = Span::seconds(14 * 86_400);
/// The most steps that are looked at.
pub const MOST_STEPS: u64 = 100_000;
/// The most hosts of a fleet.
pub const MOST_HOSTS: u32 = 20_000;
/// The most instances of a fleet, as they are at the beginning.
pub const MOST_INSTANCES: u32 = 250_000;

/// A scenario as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// `atoll/v1`.
    pub api_version: String,
    /// `Rehearsal`.
    pub kind: String,
    /// Its name.
    pub metadata: ScenarioMeta,
    /// What is supposed.
    pub spec: Rehearsal,
}

/// The JSON Schema of scenarios.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Scenario)
}

/// What a scenario is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScenarioMeta {
    /// Its name.
    pub name: String,
}

/// What is supposed of a fleet for some hours, and what must hold in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rehearsal {
    /// The same scenario with the same seed comes out the same.
    #[serde(default = "Rehearsal::usual_seed")]
    pub seed: u64,
    /// When it begins; now, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// How long it lasts.
    #[serde(default = "Rehearsal::usual_length")]
    pub lasts: Span,
    /// Load and capacity are compared so often.
    #[serde(default = "Rehearsal::usual_step")]
    pub step: Span,
    /// An instance serves so long after it was put on a host, where nothing else is known.
    #[serde(default = "Rehearsal::usual_start")]
    pub start: Span,
    /// The fleet: `today`, as the server knows it, or one that is made up.
    #[serde(default)]
    pub fleet: Fleet,
    /// The load of each application or deployment, by its name; `*` for all others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub load: BTreeMap<String, Load>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What people do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What must hold. With checks a scenario is a test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// What its author takes for granted; told with what the rehearsal itself does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A fleet that is made up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MadeFleet {
    /// So many hosts in each zone.
    pub zones: BTreeMap<String, u32>,
    /// What each host has.
    #[serde(default = "MadeFleet::usual_host")]
    pub host: Resources,
    /// The applications, each in the environment `prod`.
    #[serde(default)]
    pub applications: BTreeMap<String, MadeApplication>,
    /// Further objects, as manifests: prices, budgets, pools, whole applications.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
}

/// An application of a fleet that is made up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MadeApplication {
    /// So many instances there are at the beginning; as many as the load takes, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Its number is kept between this and `max`.
    #[serde(default = "MadeApplication::usual_min")]
    pub min: u32,
    /// See `min`. Where both are the same the number stays.
    #[serde(default = "MadeApplication::usual_max")]
    pub max: u32,
    /// The load one instance carries.
    pub capacity: f64,
    /// The load of one instance that is aimed at; four fifths of `capacity`, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Whether a forecast may raise its number.
    #[serde(default)]
    pub predict: bool,
    /// So much load on another application comes with one unit of load on this one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, f64>,
    /// What an instance may use.
    #[serde(default)]
    pub resources: Resources,
    /// An instance serves so long after it was put on a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Span>,
    /// The share of requests it promises to serve, as `99.9%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<String>,
    /// The guard of a rollout takes back what breaks the promise, and does not only ask.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// How it is rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// The load of a deployment over the time of a rehearsal. One of `level` and `known` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Load {
    /// The load where the shape of the day is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<f64>,
    /// Instead: what was measured a day ago, or what is forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// With `level`, the shape of a day: values for times evenly spread over it from 00:00 UTC,
    /// with what lies between drawn straight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub day: Vec<f64>,
    /// So many times as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<f64>,
    /// It goes up and down by chance by up to this share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Peaks on top of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peaks: Vec<Peak>,
}

/// What is known of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Known {
    /// What was measured a whole number of days before, as few as there are.
    Recorded,
    /// What is forecast from what was measured.
    Forecast,
}

/// A peak of load: it rises straight, stays, and falls as it rose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peak {
    /// When it is reached, after the beginning.
    pub at: Span,
    /// So many times what it would be.
    pub times: f64,
    /// It takes so long to be reached, and so long to be over.
    #[serde(default = "Peak::usual_rise")]
    pub rise: Span,
    /// It stays so long.
    #[serde(default = "Peak::usual_length")]
    pub lasts: Span,
}

impl Peak {
    fn usual_rise() -> Span {
        Span::seconds(1_800)
    }
    fn usual_length() -> Span {
        Span::seconds(3_600)
    }
}

impl Rehearsal {
    fn usual_seed() -> u64 {
        1
    }
    fn usual_length() -> Span {
        Span::seconds(86_400)
    }
    fn usual_step() -> Span {
        Span::seconds(15)
    }
    fn usual_start() -> Span {
        Span::seconds(60)
    }
}

impl Default for Rehearsal {
    fn default() -> Rehearsal {
        Rehearsal {
            seed: Rehearsal::usual_seed(),
            from: None,
            lasts: Rehearsal::usual_length(),
            step: Rehearsal::usual_step(),
            start: Rehearsal::usual_start(),
            fleet: Fleet::default(),
            load: BTreeMap::new(),
            faults: Vec::new(),
            changes: Vec::new(),
            checks: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl MadeApplication {
    fn usual_min() -> u32 {
        1
    }
    fn usual_max() -> u32 {
        1_000
    }

    /// The load of one instance that is aimed at.
    pub fn aim(&self) -> f64 {
        self.target.unwrap_or(self.capacity * 0.8)
    }
}

impl Scenario {
    /// One of that name.
    pub fn new(name: impl Into<String>, spec: Rehearsal) -> Scenario {
        Scenario {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            metadata: ScenarioMeta { name: name.into() },
            spec,
        }
    }

    /// Checks it by itself.
    ///
    /// # Errors
    /// Every problem found, each with the path of its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let version = self.api_version != API_VERSION;
        invalid.add_if(version, "apiVersion", format!("is not {API_VERSION}"));
        invalid.add_if(self.kind != KIND, "kind", format!("is not {KIND}"));
        invalid.nest("metadata.name", name::check_simple(&self.metadata.name));
        invalid.nest("spec", self.spec.validate());
        invalid.into_result()
    }
}

impl Rehearsal {
    /// Checks it by itself.
    ///
    /// # Errors
    /// Every problem found, each with the path of its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let out = self.lasts.0 < 60_000 || self.lasts > LONGEST;
        invalid.add_if(out, "lasts", format!("is not between 1m and {LONGEST}"));
        let out = !(1_000..=300_000).contains(&self.step.0);
        invalid.add_if(out, "step", "is not between 1s and 5m");
        let many = self.lasts.0 / self.step.0.max(1) > MOST_STEPS;
        invalid.add_if(many && !out, "step", format!("makes more than {MOST_STEPS} steps of it"));
        invalid.add_if(self.start > Span::seconds(86_400), "start", "is more than 1d");
        if let Fleet::Made(made) = &self.fleet {
            invalid.nest("fleet", made.validate());
        }
        for (name, load) in &self.load {
            invalid.nest(&format!("load.{name}"), load.validate(self.lasts));
        }
        for (i, fault) in self.faults.iter().enumerate() {
            invalid.nest(&format!("faults[{i}]"), fault.validate(self.lasts));
        }
        for (i, change) in self.changes.iter().enumerate() {
            invalid.nest(&format!("changes[{i}]"), change.validate(self.lasts));
        }
        for (i, check) in self.checks.iter().enumerate() {
            invalid.nest(&format!("checks[{i}]"), check.validate());
        }
        invalid.into_result()
    }
}

impl Load {
    fn validate(&self, lasts: Span) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let one = self.level.is_some() != self.known.is_some();
        invalid.add_if(!one, "", "needs one of level and known");
        let amounts = [("level", self.level), ("times", self.times), ("noise", self.noise)];
        for (field, amount) in amounts {
            let wrong = amount.is_some_and(|a| !is_amount(a));
            invalid.add_if(wrong, field, NO_AMOUNT);
        }
        invalid.add_if(self.noise.is_some_and(|noise| noise > 1.0), "noise", "is more than 1");
        let wrong = self.day.iter().any(|value| !is_amount(*value)) || self.day.len() > 1_440;
        invalid.add_if(wrong, "day", "is not a list of up to 1440 numbers between 0 and 1e12");
        for (i, peak) in self.peaks.iter().enumerate() {
            let path = format!("peaks[{i}].times");
            invalid.add_if(!is_amount(peak.times), &path, NO_AMOUNT);
            let path = format!("peaks[{i}].at");
            invalid.add_if(peak.at >= lasts, &path, "is after the end");
        }
        invalid.into_result()
    }
}

/// What is wrong with a number that is no amount.
const NO_AMOUNT: &str = "is not between 0 and 1e12";

fn is_amount(amount: f64) -> bool {
    amount.is_finite() && (0.0..=1e12).contains(&amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Scenario, String> {
        let read = crate::manifest::read_scenario("s.yaml", text.as_bytes());
        read.map_err(|all| all.iter().map(|e| format!("{e}\n")).collect())
    }

    const HEAD: &str = "apiVersion: atoll/v1\nkind: Rehearsal\nmetadata: { name: one }\nspec:\n";

    #[test]
    fn a_scenario_is_read_as_it_is_written() {
        let text = "  lasts: 6h\n  fleet:\n    zones: { a: 2, b: 2 }\n    host: { cpu: 4, memory: \
                    8Gi }\n    applications:\n      shop: { capacity: 100, calls: { stock: 0.5 } \
                    }\n      stock: { capacity: 200 }\n  load:\n    shop: { level: 300, day: [1, \
                    0.5], peaks: [{ at: 2h, times: 3 }] }\n  faults:\n    - { fault: loss, at: 2h, \
                    of: zone/a, for: 30m }\n  changes:\n    - { change: scale, at: 1h, of: \
                    deployment/shop.prod, to: 4 }\n  checks:\n    - { check: served, of: shop, \
                    atLeast: 99.5% }\n";
        let scenario = read(&format!("{HEAD}{text}")).unwrap();
        let Fleet::Made(made) = &scenario.spec.fleet else { unreachable!("it is made up") };
        assert_eq!(made.zones.len(), 2);
        assert_eq!(made.applications["shop"].aim(), 80.0);
        assert!(matches!(scenario.spec.faults[..], [Fault::Loss { .. }]));
        let today = read(&format!("{HEAD}  fleet: today\n")).unwrap();
        assert_eq!(today.spec.fleet, Fleet::Today);
        let written = serde_json::to_value(&scenario).unwrap();
        assert_eq!(serde_json::from_value::<Scenario>(written).unwrap(), scenario);
    }

    #[test]
    fn all_mistakes_of_entries_are_told_where_they_stand() {
        let told = read(&format!(
            "{HEAD}  lasts: 6h
  faults:
    - at: soon
      fault: loss
      of: [a]
      fur: 30m
    - {{ fault: los, at: 1h }}
    - loss
    - {{ fault: loss, at: 8h, of: zone/a }}
    - {{ fault: slow, of: shop,
        at: 1h }}
  changes:
    - {{ change: scale, at: -1h, of: deployment/shop.prod, to: -2 }}
"
        ));
        let expected = [
            ("7:11", "faults[0].at: "),
            ("9:7", "faults[0].of: invalid type: a list, expected a string"),
            ("10:7", "unknown field \"fur\" at spec.faults[0]"),
            ("11:16", "unknown value \"los\" at spec.faults[1].fault; did you mean \"loss\"?"),
            ("12:7", "faults[2]: invalid type: string \"loss\", expected fields with values"),
            ("13:26", "faults[3].at: is after the end"),
            ("14:7", "field \"by\" is missing at spec.faults[4]"),
            ("17:28", "changes[0].at: "),
            ("17:63", "changes[0].to: "),
        ];
        let told = told.unwrap_err();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{told}");
        for (line, (place, message)) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("s.yaml:{place}")), "{place}: {told}");
            assert!(line.contains(message), "{message}: {told}");
        }
        let told = read(&format!("{HEAD}  fleet: [a]\n")).unwrap_err();
        assert!(!told.contains("enum") && !told.contains("map"), "{told}");
        // What follows only from what could not be read is not told: it may last longer.
        let told = read(&format!(
            "{HEAD}  lasts: long\n  faults:\n    - {{ fault: load, at: 30h, times: 2 }}\n"
        ));
        assert_eq!(told.unwrap_err().lines().count(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |text: &str| read(&format!("{HEAD}{text}")).unwrap_err();
        let told = wrong("  lasts: 6h\n  faults:\n    - { fault: loss, at: 8h, of: zone/a }\n");
        assert!(told.starts_with("s.yaml:7:") && told.contains("faults[0].at"), "{told}");
        let told = wrong("  fleet: { zone: { a: 2 } }\n");
        assert!(told.starts_with("s.yaml:5:") && told.contains("zone"), "{told}");
        let told = wrong("  fleet: tomorrow\n");
        assert!(told.contains("today"), "{told}");
        let told = wrong("  load:\n    shop: { times: 2 }\n");
        assert!(told.contains("needs one of level and known"), "{told}");
        let told = wrong("  fleet:\n    zones: { a: 30000 }\n");
        assert!(told.contains("20000 hosts"), "{told}");
    }

    #[test]
    fn numbers_beyond_what_is_meant_are_told_the_bounds() {
        let told = read(&format!(
            "{HEAD}  fleet: {{ zones: {{ a: 1 }}, applications: {{ shop: {{ capacity: 1e18 }} }} }}
  faults:
    - {{ fault: load, at: 1h, times: 1e18 }}
    - {{ fault: loss, at: 1h, of: zone/a, for: 0s }}
    - {{ fault: slow, at: 1h, by: 0s }}
  changes:
    - {{ change: edit, at: 1h, of: deploymnt/shop.prod, patch: {{}} }}
  checks:
    - {{ check: cost, atMost: -1 }}
"
        ));
        let told = told.unwrap_err();
        for part in [
            "capacity: is not more than zero and at most 1e12",
            "faults[0].times: is not between 0 and 1e12",
            "faults[1].for: is no time at all",
            "faults[2].by: is no time at all",
            "changes[0].of: \"deploymnt/shop.prod\": there is no kind \"deploymnt\"; did you mean",
            "checks[0].atMost: is not between 0 and 1e12",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
