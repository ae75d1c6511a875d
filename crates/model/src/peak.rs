//! Peaks: a time with so many times the usual load, known ahead, and what is done before, in and
//! after it. Not how many instances that takes nor whether all is ready, which a planner finds and
//! which is in `peak/status.rs`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::name::{self, Invalid};
use crate::object::Spec;
use crate::time::{Span, Timestamp};

pub use status::{
    Known, PeakApplication, PeakBudget, PeakCheck, PeakCost, PeakHosts, PeakPhase, PeakReport,
    PeakSlot, PeakStatus, Rehearsed, Shortfall, State, Times,
};

mod status;
pub mod when;

/// The longest peak: what lasts longer is a season, and a forecast knows it.
pub const LONGEST: Span = Span::seconds(14 * 86_400);

/// A time with so many times the usual load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peak {
    /// When it starts: `2026-11-11T00:00:00` on the clocks of `timeZone`, or a point in time
    /// with an offset or `Z`.
    pub starts: String,
    /// When it ends, written alike.
    pub ends: String,
    /// The zone whose clocks are meant, and by whose days the usual load is known:
    /// `Asia/Shanghai`. UTC, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Where.
    pub environment: String,
    /// What is expected of each application by its name: so many times its usual load of that
    /// hour, or a volume. What they call follows.
    pub applications: BTreeMap<String, Expected>,
    /// How long before it starts what is due, and how long afterwards is given back.
    #[serde(default)]
    pub lead: Lead,
    /// Of what releases are held, from `lead.freeze` before it until it ends.
    #[serde(default)]
    pub freezes: Freezes,
    /// Switches that must be ready: each there, with an owner, and taken up by all that have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<Ready>,
    /// Limits that must be set: no lower than what is expected, no higher than what is proven.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitAt>,
}

/// What is expected of one application.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields, expecting = "a number of times, or volume: a load")]
pub enum Expected {
    /// So many times the usual load of each hour.
    Times(f64),
    /// So much load, whatever is usual.
    Volume {
        /// In what its load is counted in: mostly, requests a second.
        volume: f64,
    },
}

/// How long before a peak what is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Lead {
    /// The plan stands, and budgets hold.
    pub plan: Span,
    /// Hosts begin to be made.
    pub hosts: Span,
    /// Packages and images begin to be fetched to hosts.
    pub prefetch: Span,
    /// It has been rehearsed.
    pub rehearse: Span,
    /// Instances begin to be made.
    pub scale: Span,
    /// Releases are held from here on.
    pub freeze: Span,
    /// What was kept for it is let go bit by bit for so long after it.
    pub give_back: Span,
}

impl Default for Lead {
    fn default() -> Lead {
        const HOUR: u64 = 3_600;
        Lead {
            plan: Span::seconds(7 * 24 * HOUR),
            hosts: Span::seconds(48 * HOUR),
            prefetch: Span::seconds(24 * HOUR),
            rehearse: Span::seconds(12 * HOUR),
            scale: Span::seconds(6 * HOUR),
            freeze: Span::seconds(2 * HOUR),
            give_back: Span::seconds(HOUR),
        }
    }
}

/// Of what releases are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Freezes {
    /// Of its applications, and of all they call.
    #[default]
    Applications,
    /// Of all in its environment.
    Environment,
    /// Of none.
    Nothing,
}

/// A switch that must be ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ready {
    /// The configuration it is in.
    pub config: String,
    /// Its name there; all of them, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
    /// Somebody will want it first when all else fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kill: bool,
}

/// A limit that must be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitAt {
    /// The configuration it is in.
    pub config: String,
    /// The key of its values, or the switch, that is a number.
    pub key: String,
    /// The application it limits the load of.
    pub application: String,
}

impl Peak {
    /// From when to when it is.
    ///
    /// # Errors
    /// Every problem found, each with the path of its field.
    pub fn window(&self) -> Result<(Timestamp, Timestamp), Invalid> {
        let mut invalid = Invalid::default();
        let zone = self.time_zone.as_deref();
        let read = |path: &str, text: &str, invalid: &mut Invalid| match when::read(text, zone) {
            Ok(at) => Some(at),
            Err(wrong) => {
                invalid.add(path, wrong);
                None
            }
        };
        let starts = read("starts", &self.starts, &mut invalid);
        let ends = read("ends", &self.ends, &mut invalid);
        match starts.zip(ends) {
            Some((starts, ends)) if ends <= starts => {
                Err(Invalid::one("ends", "is not after starts"))
            }
            Some((starts, ends)) if ends.since(starts) > LONGEST => {
                Err(Invalid::one("ends", format!("is more than {LONGEST} after starts")))
            }
            Some(window) => Ok(window),
            None => Err(invalid),
        }
    }

    /// When what is due; nothing of a peak that is not one.
    pub fn times(&self) -> Option<Times> {
        let (starts, ends) = self.window().ok()?;
        let lead = &self.lead;
        Some(Times {
            plan: starts - lead.plan,
            hosts: starts - lead.hosts,
            prefetch: starts - lead.prefetch,
            rehearse: starts - lead.rehearse,
            scale: starts - lead.scale,
            freeze: starts - lead.freeze,
            starts,
            ends,
            back: ends + lead.give_back,
        })
    }
}

impl Spec for Peak {
    const KIND: Kind = Kind::Peak;
    type Status = PeakStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        if let Some(zone) = &self.time_zone
            && let Err(wrong) = when::zone(Some(zone))
        {
            invalid.add("timeZone", wrong);
        } else {
            invalid.nest("", self.window().map(drop));
        }
        invalid.nest("environment", name::check_simple(&self.environment));
        let none = self.applications.is_empty();
        invalid.add_if(none, "applications", "is empty; name one, with its multiple: {shop: 5}");
        for (name, expected) in &self.applications {
            let path = format!("applications.{name}");
            invalid.nest(&path, name::check_simple(name));
            let (Expected::Times(amount) | Expected::Volume { volume: amount }) = expected;
            let wrong = !(amount.is_finite() && *amount > 0.0 && *amount <= 1e12);
            invalid.add_if(wrong, &path, "is to be more than zero, and at most 1e12");
        }
        invalid.nest("lead", self.lead.validate());
        for (i, ready) in self.switches.iter().enumerate() {
            invalid.nest(&format!("switches[{i}].config"), name::check_simple(&ready.config));
        }
        let mut seen = BTreeSet::new();
        for (i, limit) in self.limits.iter().enumerate() {
            let path = format!("limits[{i}]");
            invalid.nest(&format!("{path}.config"), name::check_simple(&limit.config));
            let application = name::check_simple(&limit.application);
            invalid.nest(&format!("{path}.application"), application);
            let again = !seen.insert((&limit.config, &limit.key));
            invalid.add_if(again, &path, "is named twice");
        }
        invalid.into_result()
    }

    fn validate_name(name: &str, _: &Peak) -> Result<(), Invalid> {
        name::check_simple(name)
    }
}

impl Lead {
    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let order = [
            ("plan", self.plan),
            ("hosts", self.hosts),
            ("prefetch", self.prefetch),
            ("scale", self.scale),
        ];
        for pair in order.windows(2) {
            let ((before, longer), (field, shorter)) = (pair[0], pair[1]);
            let message = format!("is more than {before}, which comes first");
            invalid.add_if(shorter > longer, field, message);
        }
        let late = self.rehearse > self.plan || self.freeze > self.plan;
        invalid.add_if(late, "plan", "is less than rehearse or freeze, which come after it");
        let all = [self.plan, self.give_back];
        let long = all.iter().any(|lead| *lead > Span::seconds(90 * 86_400));
        invalid.add_if(long, "", "has a span of more than 90d");
        invalid.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak(more: &str) -> Result<Peak, String> {
        let text = format!(
            r#"{{"starts":"2026-11-11T00:00:00","ends":"2026-11-12T00:00:00",
                "timeZone":"Asia/Shanghai","environment":"prod","applications":{{"shop":5}}{more}}}"#
        );
        let spec: Peak = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        spec.validate().map_err(|e| e.to_string()).map(|()| spec)
    }

    #[test]
    fn what_is_due_is_counted_from_the_start() {
        let times = peak("").unwrap().times().unwrap();
        assert_eq!(times.starts.to_string(), "2026-11-10T16:00:00.000Z");
        assert_eq!(times.plan.to_string(), "2026-11-03T16:00:00.000Z");
        assert_eq!(times.scale.to_string(), "2026-11-10T10:00:00.000Z");
        assert_eq!(times.back.to_string(), "2026-11-11T17:00:00.000Z");
    }

    #[test]
    fn what_cannot_be_is_told_with_its_place() {
        let wrong = |more: &str| peak(more).unwrap_err();
        assert!(wrong(r#","lead":{"scale":"3d"}"#).contains("lead.scale: is more than prefetch"));
        assert!(wrong(r#","lead":{"plan":"1h"}"#).contains("lead.hosts: is more than plan"));
        let mut spec = peak("").unwrap();
        spec.ends = "2026-11-10T00:00:00".to_owned();
        let told = spec.validate().unwrap_err().to_string();
        assert!(told.starts_with("ends: is not after starts"), "{told}");
        spec.ends = "2026-12-10T00:00:00".to_owned();
        assert!(spec.validate().unwrap_err().to_string().contains("more than 14d"));
        spec.time_zone = Some("Asia/Nowhere".to_owned());
        assert!(spec.validate().unwrap_err().to_string().contains("timeZone"));
        let mut spec = peak("").unwrap();
        spec.applications.insert("pay".to_owned(), Expected::Volume { volume: 0.0 });
        assert!(spec.validate().unwrap_err().to_string().contains("applications.pay"));
    }
}
