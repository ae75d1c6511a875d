//! How a change of release is rolled out: the rules a team declares. Not where a rollout is, which
//! is a deployment's status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guard::Guard;
use crate::name::Invalid;
use crate::quantity::Portion;
use crate::time::Span;

/// How a change of release is rolled out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// The order of events.
    #[serde(default)]
    pub strategy: Strategy,
    /// For `canary`: how many instances run the new release at each step, and for how long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// How many of the wanted instances may be missing: so many are updated at once where they are.
    #[serde(default = "Rollout::usual_unavailable")]
    pub max_unavailable: Portion,
    /// How many instances there may be beyond those wanted: so many are made beside the old ones,
    /// where there is room, while others are updated where they are.
    #[serde(default = "Rollout::usual_surge")]
    pub max_surge: Portion,
    /// How long an instance must stay ready before it counts as updated.
    #[serde(default = "Rollout::usual_healthy_for")]
    pub healthy_for: Span,
    /// Without progress for this long, the rollout has failed.
    #[serde(default = "Rollout::usual_deadline")]
    pub deadline: Span,
    /// More updated instances than this failing means the rollout has failed.
    #[serde(default = "Rollout::usual_failures")]
    pub failure_ratio: Portion,
    /// What a failed rollout does.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// How it is watched.
    #[serde(default)]
    pub guard: Guard,
}

impl Rollout {
    fn usual_unavailable() -> Portion {
        Portion::Count(0)
    }
    fn usual_surge() -> Portion {
        Portion::percent(25)
    }
    fn usual_healthy_for() -> Span {
        Span::seconds(5)
    }
    fn usual_deadline() -> Span {
        Span::seconds(600)
    }
    fn usual_failures() -> Portion {
        Portion::percent(5)
    }

    /// How many of `wanted` instances must be ready all the time.
    pub fn min_ready(&self, wanted: u32) -> u32 {
        match self.strategy {
            Strategy::Recreate => 0,
            _ => wanted.saturating_sub(self.max_unavailable.floor_of(wanted)),
        }
    }

    /// How many instances there may be in all while `wanted` are wanted. Where neither a surplus
    /// nor a shortage is allowed after rounding, one instance of surplus is.
    pub fn max_total(&self, wanted: u32) -> u32 {
        match self.strategy {
            Strategy::Recreate => wanted,
            Strategy::BlueGreen => wanted.saturating_mul(2),
            Strategy::Rolling | Strategy::Canary => {
                let surge = self.max_surge.ceil_of(wanted);
                let stuck = surge == 0 && self.min_ready(wanted) == wanted;
                wanted.saturating_add(if stuck { 1 } else { surge })
            }
        }
    }

    /// Checks the section by itself.
    ///
    /// # Errors
    /// Every problem found.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(
            !self.steps.is_empty() && self.strategy != Strategy::Canary,
            "steps",
            "go with strategy canary only",
        );
        invalid.add_if(self.steps.len() > 50, "steps", "are more than 50");
        for (i, step) in self.steps.iter().enumerate() {
            invalid.add_if(
                matches!(step.instances, Portion::Count(0) | Portion::Percent(0)),
                &format!("steps[{i}].instances"),
                "is 0; a step updates at least one instance",
            );
        }
        invalid.nest("guard", self.guard.validate());
        invalid.add_if(self.deadline.0 < 1000, "deadline", "is less than 1s");
        invalid.into_result()
    }
}

impl Default for Rollout {
    fn default() -> Rollout {
        Rollout {
            strategy: Strategy::default(),
            steps: Vec::new(),
            max_unavailable: Rollout::usual_unavailable(),
            max_surge: Rollout::usual_surge(),
            healthy_for: Rollout::usual_healthy_for(),
            deadline: Rollout::usual_deadline(),
            failure_ratio: Rollout::usual_failures(),
            on_failure: OnFailure::default(),
            guard: Guard::default(),
        }
    }
}

/// The order of events of a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A batch after the other, as fast as the bounds allow.
    #[default]
    Rolling,
    /// Steps, each watched for a while.
    Canary,
    /// All new ones beside the old ones, then the switch.
    BlueGreen,
    /// Stop all old ones, then start the new ones.
    Recreate,
}

/// A step of a canary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// How many instances run the new release from now on.
    pub instances: Portion,
    /// How long this is watched before the next step.
    #[serde(default)]
    pub soak: Span,
}

/// What a failed rollout does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Goes back to the last good release.
    #[default]
    Rollback,
    /// Stops where it is and asks.
    Pause,
}
