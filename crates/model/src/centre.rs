//! Policies of the decision centre: what may be done by itself about what is seen, by whom it has
//! to be allowed, and within which limits. Not standards, which are in `policy.rs` and forbid; not
//! the gate, which judges what a policy wants as it judges everybody. What was decided is in
//! `centre/decision.rs`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::{HostPhase, explained};
use crate::deployment::{InstancePhase, Phase};
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::quantity::Portion;
use crate::selector::Selector;
use crate::time::{Span, Timestamp};
use action::Action;

pub mod action;
pub mod decision;
pub mod wire;

/// The kinds a policy may be about.
pub const SUBJECTS: [Kind; 4] = [Kind::Instance, Kind::Host, Kind::Deployment, Kind::Zone];
/// So many subjects of one policy are followed at a time; more are only counted.
pub const MOST_STANDING: usize = 100;

/// One thing that may be done by itself, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// What it is good for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it is about.
    pub subjects: Subjects,
    /// What is measured of each subject. Where one of them is missing, stale or frozen, nothing is
    /// decided by an expression that looks at any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Measured>,
    /// When something is to be done about a subject, in CEL.
    pub when: String,
    /// What is so, in one sentence; `{{ CEL }}` is filled in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How long that has to hold.
    #[serde(default, rename = "for")]
    pub hold: Span,
    /// What is to be done.
    pub action: Action,
    /// Whether it is, where no rule of `modes` says otherwise.
    #[serde(default)]
    pub mode: ActMode,
    /// Other modes for some environments and tiers. The first that fits holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<ModeRule>,
    /// How often, and how much of it at once.
    #[serde(default)]
    pub limits: ActLimits,
    /// The record it must have before it acts. Without it, it asks for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Requirement>,
    /// What is to be so afterwards. Absent, that `when` no longer holds.
    #[serde(default)]
    pub expect: Expectation,
    /// After so many actions in a row that did not help, about one thing, people are called
    /// instead; never, if 0.
    #[serde(default = "Policy::usual_escalation")]
    pub escalate_after: u32,
    /// What `switch` and `borrow` took is given back once `when` has not held for so long; twice as
    /// long after each time within a day that it came again. Never, if 0.
    #[serde(default = "Policy::usual_return")]
    pub give_back_after: Span,
    /// It is left out, without being deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
}

impl Policy {
    fn usual_escalation() -> u32 {
        2
    }

    fn usual_return() -> Span {
        Span::seconds(900)
    }

    /// The mode for what is of an environment and a tier.
    pub fn mode_for(&self, environment: Option<&str>, tier: &str) -> ActMode {
        let fits = |rule: &&ModeRule| {
            let here = rule.environments.is_empty()
                || environment.is_some_and(|name| rule.environments.iter().any(|e| e == name));
            here && (rule.tiers.is_empty() || rule.tiers.iter().any(|t| t == tier))
        };
        self.modes.iter().find(fits).map_or(self.mode, |rule| rule.mode)
    }
}

/// What a policy is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subjects {
    /// Instance, Host, Deployment or Zone.
    pub kind: Kind,
    /// Only of applications with these labels; of hosts, those with these labels of their own.
    #[serde(default, skip_serializing_if = "Selector::is_all")]
    pub labels: Selector,
    /// Only of these applications; of all, if empty. Hosts and zones are of none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// Only in these environments; in all, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Only in one of these phases; in any, if empty. Others are not looked at, which is cheap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<String>,
}

/// Why nothing of a kind is ever in a phase; none, if it may be.
fn no_phase(kind: Kind, phase: &str) -> Option<String> {
    let word = || serde_json::Value::from(phase);
    let wrong = match kind {
        Kind::Instance => serde_json::from_value::<InstancePhase>(word()).err(),
        Kind::Host => serde_json::from_value::<HostPhase>(word()).err(),
        Kind::Deployment => serde_json::from_value::<Phase>(word()).err(),
        _ => return Some(format!("is {phase:?}, and a {} has no phase", kind.lower())),
    };
    wrong.map(|wrong| format!("is none of a {}'s: {wrong}", kind.lower()))
}

/// Something measured of each subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measured {
    /// Expressions see it as `values.NAME`.
    pub name: String,
    /// PromQL that gives one series for each subject.
    pub query: String,
    /// The label that names the subject; the kind of the subject, if absent; the query gives one
    /// series for all, if empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// It may stand still for long. Of others, what has not moved at all for ten minutes is taken
    /// to be frozen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub steady: bool,
    /// It may stand still for long at its `least` and nowhere else, as a rate of zero does while
    /// nothing happens. The rate of a counter that froze is zero too, so this is for what does
    /// nothing at zero.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rests: bool,
    /// What is less cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// What is more cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
}

/// How far a policy goes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum ActMode {
    /// It is recorded what would be done, and nobody is told.
    Observe,
    /// It is said what is to be done.
    #[default]
    Advise,
    /// It is done once somebody who may has approved.
    Approve,
    /// It is done.
    Act,
}

/// A mode for some environments and tiers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModeRule {
    /// In these; in all, if empty. What is of no environment, as a host, is in none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Of applications whose label `tier` is one of these; of all, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<String>,
    /// The mode there.
    pub mode: ActMode,
}

/// How often a policy acts, and on how much at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActLimits {
    /// So many actions in any hour.
    #[serde(default = "ActLimits::usual_hour")]
    pub per_hour: u32,
    /// So many in any day.
    #[serde(default = "ActLimits::usual_day")]
    pub per_day: u32,
    /// So much of what is like the subject may be under way at once: instances of one deployment,
    /// hosts of one zone, deployments of one environment. One always may.
    #[serde(default = "ActLimits::usual_share")]
    pub share: Portion,
    /// So long it does nothing more to the same subject.
    #[serde(default = "ActLimits::usual_rest")]
    pub cool_down: Span,
}

impl ActLimits {
    fn usual_hour() -> u32 {
        6
    }
    fn usual_day() -> u32 {
        20
    }
    fn usual_share() -> Portion {
        Portion::percent(25)
    }
    fn usual_rest() -> Span {
        Span::seconds(600)
    }
}

impl Default for ActLimits {
    fn default() -> ActLimits {
        ActLimits {
            per_hour: ActLimits::usual_hour(),
            per_day: ActLimits::usual_day(),
            share: ActLimits::usual_share(),
            cool_down: ActLimits::usual_rest(),
        }
    }
}

/// What a policy has to have shown before it acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requirement {
    /// People have said of so many of its decisions whether they were right.
    pub decisions: u32,
    /// So many of these were.
    pub right: Portion,
}

/// What is to be so after an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// In CEL, over what `when` sees, and what it saw when something was done, as `before`; that
    /// `when` no longer holds, if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub that: String,
    /// Within so long.
    #[serde(default = "Expectation::usual")]
    pub within: Span,
    /// It has to be so for this long, to count.
    #[serde(default = "Expectation::usual_hold", rename = "for")]
    pub hold: Span,
}

impl Expectation {
    fn usual() -> Span {
        Span::seconds(300)
    }
    fn usual_hold() -> Span {
        Span::seconds(30)
    }
}

impl Default for Expectation {
    fn default() -> Expectation {
        Expectation {
            that: String::new(),
            within: Expectation::usual(),
            hold: Expectation::usual_hold(),
        }
    }
}

/// How a policy stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// In one word.
    #[serde(default)]
    pub phase: PolicyPhase,
    /// What it votes for, and of what it cannot tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<Standing>,
    /// So many more subjects it would vote about are not followed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
    /// When its votes began lately, to tell that it flaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Start>,
    /// What became of all its decisions.
    #[serde(default)]
    pub record: TrackRecord,
    /// Of these, of those that are no longer kept.
    #[serde(default)]
    pub forgotten: TrackRecord,
    /// When its figures were last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The state of a policy in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PolicyPhase {
    /// Nothing is to be done.
    #[default]
    Quiet,
    /// It votes for something.
    Voting,
    /// It votes for nothing any more, and gives back what it took.
    GivingBack,
    /// It cannot tell, of some subject at least.
    Blind,
    /// It changes its mind too often, and is not listened to for a while.
    Damped,
    /// It is switched off.
    Off,
}

/// A vote that stands, or that cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// About this, as `instance/shop.prod.3`.
    pub subject: String,
    /// Since when.
    pub since: Timestamp,
    /// What was measured of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
    /// What is so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// It does not hold any more, and what this decision took is to be given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gives_back: Option<String>,
    /// Why it cannot be told: then it is no vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind: Option<String>,
    /// Until then it is not listened to, since it came and went too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damped_until: Option<Timestamp>,
}

impl Standing {
    /// Whether it is listened to.
    pub fn votes(&self) -> bool {
        self.blind.is_none() && self.damped_until.is_none()
    }
}

/// A vote that began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// About this.
    pub subject: String,
    /// When.
    pub at: Timestamp,
}

/// What became of decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrackRecord {
    /// So many there were.
    pub decisions: u32,
    /// So many were carried out.
    pub acted: u32,
    /// Of so many people say that they were right.
    pub right: u32,
    /// Of so many that they were wrong.
    pub wrong: u32,
    /// So many actions helped.
    pub helped: u32,
    /// So many did not.
    pub did_not: u32,
    /// Of so many it is not known.
    pub unknown: u32,
}

impl TrackRecord {
    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: TrackRecord) -> TrackRecord {
        TrackRecord {
            decisions: self.decisions.saturating_add(other.decisions),
            acted: self.acted.saturating_add(other.acted),
            right: self.right.saturating_add(other.right),
            wrong: self.wrong.saturating_add(other.wrong),
            helped: self.helped.saturating_add(other.helped),
            did_not: self.did_not.saturating_add(other.did_not),
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }

    /// Whether it is what is asked for.
    pub fn meets(self, asked: &Requirement) -> bool {
        let judged = self.right.saturating_add(self.wrong);
        judged >= asked.decisions && self.right >= asked.right.ceil_of(judged)
    }
}

explained!(PolicyStatus);

impl Spec for Policy {
    const KIND: Kind = Kind::Policy;
    type Status = PolicyStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let (kind, action) = (self.subjects.kind, &self.action);
        if !SUBJECTS.contains(&kind) {
            invalid.add("subjects.kind", "is none of Instance, Host, Deployment and Zone");
        } else if kind != action.subject() {
            let of = action.subject();
            let message = format!("{} is done to what is of kind {of}, not {kind}", action.word());
            invalid.add("action", message);
        }
        let of_none = matches!(kind, Kind::Host | Kind::Zone);
        let named = !self.subjects.applications.is_empty();
        let message = format!("a {} is of no application", kind.lower());
        invalid.add_if(of_none && named, "subjects.applications", message);
        for (i, phase) in self.subjects.phases.iter().enumerate() {
            if let Some(wrong) = no_phase(kind, phase) {
                invalid.add(&format!("subjects.phases[{i}]"), wrong);
            }
        }
        let back = matches!(action, Action::GiveBack(_));
        let message = "is what follows from switch and borrow; no policy asks for it";
        invalid.add_if(back, "action", message);
        invalid.add_if(self.when.trim().is_empty(), "when", "is empty");
        let mut names = BTreeSet::new();
        for (i, signal) in self.values.iter().enumerate() {
            let path = format!("values[{i}]");
            invalid.nest(&format!("{path}.name"), name::check_simple(&signal.name));
            let dashed = signal.name.contains('-');
            let message = "has a '-', which an expression would take for a minus";
            invalid.add_if(dashed, &format!("{path}.name"), message);
            invalid.add_if(signal.query.trim().is_empty(), &format!("{path}.query"), "is empty");
            let again = !names.insert(&signal.name);
            invalid.add_if(again, &format!("{path}.name"), "names two values");
            let none = signal.least.zip(signal.most).is_some_and(|(least, most)| least > most);
            invalid.add_if(none, &format!("{path}.least"), "is more than most");
        }
        if let Action::Switch(setting) = action {
            invalid.add_if(setting.key.is_empty(), "action.switch.key", "is empty");
        }
        let none = self.expect.within < self.expect.hold;
        invalid.add_if(none, "expect.within", "is less than expect.for");
        invalid.into_result()
    }
}
