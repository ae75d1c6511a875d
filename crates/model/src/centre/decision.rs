//! What the decision centre decided about one thing at one time: who voted for what and why, what
//! was done, what was expected of it, and what came of it. How it is decided is a planner's.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ActMode;
use super::action::{Action, Taken};
use crate::Kind;
use crate::alerting::Suspect;
use crate::cmdb::explained;
use crate::guard::Feedback;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::Timestamp;

/// One decision. It is made by the centre and named `KIND.SUBJECT.NUMBER`; people say whether it
/// was right, and nothing else of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// What it is about, as `instance/shop.prod.3`.
    pub subject: String,
    /// Whether it was right, and why, as a person sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
}

/// How far a decision is, and all it rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionStatus {
    /// In one word.
    #[serde(default)]
    pub phase: DecisionPhase,
    /// The policy that was followed; while none is, the one it was made for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// What is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// How far the policy went here.
    #[serde(default)]
    pub mode: ActMode,
    /// Who voted, the one that was followed first; those that were not say why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<Vote>,
    /// What changes, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// What the gate says of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<GateSays>,
    /// What it took and nobody else has changed since, until that is given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
    /// What is expected of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What may have caused what it is about, the most likely first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspects: Vec<Suspect>,
    /// All that expressions saw, so that it can be decided again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    /// Who approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<String>,
    /// When it was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted_at: Option<Timestamp>,
    /// When it was over: measured, or with nothing left to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The state of a decision in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DecisionPhase {
    /// It was just made.
    #[default]
    Open,
    /// It is only recorded.
    Observed,
    /// It is said to people.
    Advised,
    /// It is done once somebody approves.
    Waiting,
    /// It is not done, for now; the reasons say why.
    Skipped,
    /// It was done, and is being measured.
    Acting,
    /// It is known what came of it.
    Measured,
    /// It did not help, again and again: people are called.
    Escalated,
}

/// One vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vote {
    /// Whose.
    pub policy: String,
    /// For what.
    pub action: Action,
    /// Since when it holds.
    pub since: Timestamp,
    /// What had to be so, in CEL.
    pub when: String,
    /// What was measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
    /// What is so.
    pub message: String,
    /// Why it was not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_followed: Option<String>,
    /// It does not count yet: it has to hold longer, or comes and goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// Though it counts, this keeps it from being carried out, so that others go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<HeldBy>,
}

/// What keeps a vote that counts from being carried out, where there are others about the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HeldBy {
    /// There is nothing to be done for it, or that is somebody else's to do.
    Impossible,
    /// The gate refuses it.
    Gate,
    /// Its policy has acted as often as it may, or rests.
    Limit,
    /// What its policy did was in vain: people are called.
    People,
}

/// What the gate says of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateSays {
    /// Whether it lets it through.
    pub passes: bool,
    /// Its objections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// What is expected of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// What is to be so, in CEL.
    pub that: String,
    /// By when, once it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Timestamp>,
    /// Since when it is so, while that is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// In one word.
    pub verdict: Helped,
    /// When that was known.
    pub at: Timestamp,
    /// In one sentence.
    pub message: String,
}

/// Whether an action helped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Helped {
    /// What was expected came.
    Helped,
    /// It did not come.
    DidNot,
    /// What tells it is not measured.
    Unknown,
}

explained!(DecisionStatus);

impl DecisionStatus {
    /// What is to be done, or would be: where no vote is followed, what its policy votes for.
    pub fn wanted(&self) -> Option<&Action> {
        let own = || self.votes.iter().find(|vote| vote.policy == self.policy);
        self.action.as_ref().or_else(|| own().map(|vote| &vote.action))
    }

    /// Whether it was carried out and what came of it is not known yet.
    pub fn is_in_flight(&self) -> bool {
        self.acted_at.is_some() && self.ended_at.is_none()
    }
}

impl Spec for Decision {
    const KIND: Kind = Kind::Decision;
    type Status = DecisionStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let known = self.subject.split_once('/').is_some_and(|(kind, name)| {
            Kind::parse(kind).is_some_and(|kind| super::SUBJECTS.contains(&kind))
                && name::check_derived(name).is_ok()
        });
        invalid.add_if(!known, "subject", "is nothing a decision is about");
        invalid.into_result()
    }

    fn validate_name(name: &str, _: &Decision) -> Result<(), Invalid> {
        name::check_derived(name)
    }
}
