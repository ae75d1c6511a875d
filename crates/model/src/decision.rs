//! What holds decisions back: freezes. The gate itself is the planner of the same name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::monitoring::OVERRIDE_BUDGET_ANNOTATION;
use crate::name::{self, Invalid};
use crate::object::{Explained, Spec};
use crate::policy::BREAK_GLASS_ANNOTATION;
use crate::selector::Selector;
use crate::time::Timestamp;

/// A time in which changes are held. Healing and rollback pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Freeze {
    /// When it begins; at once, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// When it ends; when it is deleted, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The environments it holds in; all, if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// The applications it holds for, by their labels; all, if absent.
    #[serde(default)]
    pub applications: Selector,
    /// Only for these applications, by their names; for all of the others too, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<String>,
    /// What it holds.
    #[serde(default, skip_serializing_if = "Holds::is_changes")]
    pub holds: Holds,
    /// Why, for those it stops.
    pub reason: String,
}

/// What a freeze holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Holds {
    /// Changes and rollouts.
    #[default]
    Changes,
    /// Releases and what else is rolled out; not how many instances there are.
    Releases,
    /// Whatever the decision centre would do by itself, healing too, and nothing else.
    Decisions,
}

impl Holds {
    fn is_changes(&self) -> bool {
        *self == Holds::Changes
    }
}

impl Freeze {
    /// Whether one of that name is made for a peak, and goes with it.
    pub fn is_derived(name: &str) -> bool {
        name.contains('.')
    }

    /// Whether it is in force.
    pub fn active(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// The annotation by which a person overrides a freeze for one change; its value says why, and
/// the audit keeps it.
pub const OVERRIDE_ANNOTATION: &str = "atoll/override-freeze";

/// The annotations by which a person lets one change through that would be held, each with the
/// parameter that says why in a rollback.
pub const OVERRIDES: [(&str, &str); 3] = [
    ("overrideFreeze", OVERRIDE_ANNOTATION),
    ("overrideBudget", OVERRIDE_BUDGET_ANNOTATION),
    ("breakGlass", BREAK_GLASS_ANNOTATION),
];

/// Freezes have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FreezeStatus {}

impl Explained for FreezeStatus {}

impl Spec for Freeze {
    const KIND: Kind = Kind::Freeze;
    type Status = FreezeStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.reason.trim().is_empty(), "reason", "is empty; say why");
        if let (Some(from), Some(until)) = (self.from, self.until) {
            invalid.add_if(until <= from, "until", "is not after from");
        }
        let named = !self.named.is_empty();
        let narrow = named || !self.environments.is_empty() || !self.applications.0.is_empty();
        let message = "is decisions, which are stopped everywhere; leave out environments and \
                       applications";
        invalid.add_if(self.holds == Holds::Decisions && narrow, "holds", message);
        for (i, environment) in self.environments.iter().enumerate() {
            invalid.nest(&format!("environments[{i}]"), name::check_simple(environment));
        }
        for (i, application) in self.named.iter().enumerate() {
            invalid.nest(&format!("named[{i}]"), name::check_simple(application));
        }
        invalid.into_result()
    }

    fn validate_name(name: &str, _: &Freeze) -> Result<(), Invalid> {
        name::check_derived(name)
    }
}
