//! Standards: what a company asks of everything it runs, who is excused from it for how long, and
//! how each application stands. Not how one is judged, which is the planner of the same name.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Kind;
use crate::cmdb::explained;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::selector::Selector;
use crate::time::{Span, Timestamp};

/// The kinds a standard may be about.
pub const SUBJECTS: [Kind; 7] = [
    Kind::Application,
    Kind::Release,
    Kind::Deployment,
    Kind::Environment,
    Kind::Host,
    Kind::Config,
    Kind::Pipeline,
];

/// The annotation by which a person passes over enforced standards for one change. Its value says
/// why; it counts in the change that sets it or gives another reason, and the audit keeps it.
pub const BREAK_GLASS_ANNOTATION: &str = "atoll/break-glass";

/// The label of standards that came with the program.
pub const BUILT_IN_LABEL: &str = "atoll/built-in";

/// So many findings are kept with one scorecard or standard; more are only counted.
pub const MOST_FINDINGS: usize = 200;

/// The scores of so many days are kept.
pub const KEPT_DAYS: usize = 35;

/// What is asked of objects of some kinds, as a condition over each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Standard {
    /// What it is good for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The kinds it is about.
    pub kinds: Vec<Kind>,
    /// Only objects of applications with these labels; of all, if empty.
    #[serde(default, skip_serializing_if = "Selector::is_all")]
    pub applications: Selector,
    /// Only where one of these environments is meant: deployments there, releases that enter it,
    /// and the environment itself. Anywhere, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Only where this is true, in CEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What has to be true, in CEL.
    pub require: String,
    /// How far an object is from it, as a number, in CEL. An object that broke the standard before
    /// a change may go on breaking it, but not by more than this said before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// What is wrong, in one sentence; `{{ CEL }}` is filled in.
    pub message: String,
    /// The field it is about: `spec.run.health`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What to do; `{{ CEL }}` is filled in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
    /// What is done about what breaks it.
    #[serde(default)]
    pub mode: Mode,
    /// When it is looked at; always, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Point>,
    /// What an object counts as over which it cannot be evaluated.
    #[serde(default)]
    pub failure: Failing,
    /// How much it counts in the score, beside others.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// Objects that keep it and objects that break it. They are tried whenever it is applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

fn one() -> u32 {
    1
}

fn is_one(weight: &u32) -> bool {
    *weight == 1
}

/// What is done about what breaks a standard.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing; it is not looked at.
    Off,
    /// It is recorded, and nobody is told. It counts in no score.
    #[default]
    Trial,
    /// Whoever makes a change that breaks it is told.
    Warn,
    /// Such a change is refused.
    Enforce,
}

/// When a standard is looked at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Point {
    /// When somebody changes an object.
    Commit,
    /// Before a release enters an environment.
    Promotion,
    /// All the time, of what is.
    Audit,
}

/// What an object counts as over which a standard cannot be evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Failing {
    /// As one that keeps it; the failure is told.
    #[default]
    Open,
    /// As one that breaks it.
    Closed,
}

/// An object, and whether it keeps the standard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// Whether it keeps the standard, or the standard does not mean it.
    pub passes: bool,
    /// The object as a manifest. `apiVersion`, `metadata`, and `kind` where the standard is about
    /// one only, may be left out.
    pub object: Value,
    /// What else an expression sees, by its name; null or empty, where left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<String, Value>,
}

impl Standard {
    /// Whether it is looked at here.
    pub fn looks_at(&self, point: Point) -> bool {
        self.mode != Mode::Off && (self.points.is_empty() || self.points.contains(&point))
    }
}

/// How a standard is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StandardStatus {
    /// The generation this speaks of.
    #[serde(default)]
    pub observed_generation: u64,
    /// Objects that break it, those excused left out.
    #[serde(default)]
    pub broken: u32,
    /// Objects that break it and are excused.
    #[serde(default)]
    pub waived: u32,
    /// Objects over which it cannot be evaluated.
    #[serde(default)]
    pub unknown: u32,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What stands in its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// One object that does not keep one standard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The standard.
    pub standard: String,
    /// The object: `deployment/shop.prod`.
    pub subject: String,
    /// The standard's mode.
    pub mode: Mode,
    /// In one word.
    pub state: FindingState,
    /// What is wrong.
    pub message: String,
    /// The field it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
    /// Since when it is known.
    pub since: Timestamp,
    /// Until when it is excused, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// How an object that does not keep a standard stands to it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// It breaks it.
    Broken,
    /// The standard cannot be evaluated over it.
    Unknown,
    /// It breaks it and is excused.
    Waived,
}

explained!(StandardStatus);

impl Spec for Standard {
    const KIND: Kind = Kind::Standard;
    type Status = StandardStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.kinds.is_empty(), "kinds", "is empty; name what it is about");
        for (i, kind) in self.kinds.iter().enumerate() {
            let known: Vec<&str> = SUBJECTS.iter().map(|kind| kind.name()).collect();
            let message = format!("{kind} has no standards; there are {}", known.join(", "));
            invalid.add_if(!SUBJECTS.contains(kind), &format!("kinds[{i}]"), message);
        }
        for (i, environment) in self.environments.iter().enumerate() {
            invalid.nest(&format!("environments[{i}]"), name::check_simple(environment));
        }
        invalid.add_if(self.require.trim().is_empty(), "require", "is empty; say what has to be");
        let message = "is empty; say what is wrong with what breaks it";
        invalid.add_if(self.message.trim().is_empty(), "message", message);
        let weight = "is to be 1 to 100; to leave it out of scores, write mode: trial";
        invalid.add_if(!(1..=100).contains(&self.weight), "weight", weight);
        invalid.add_if(self.examples.len() > 50, "examples", "are more than 50");
        let mut names = BTreeSet::new();
        for (i, example) in self.examples.iter().enumerate() {
            let again = !names.insert(&example.name);
            invalid.add_if(again, &format!("examples[{i}].name"), "names two examples");
        }
        invalid.into_result()
    }
}

/// Excuses objects from a standard, for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Waiver {
    /// The standard.
    pub standard: String,
    /// The object, as `deployment/shop.prod`; an application stands for everything of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Instead of `subject`: everything of applications with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<Selector>,
    /// Who answers for it, as `team/NAME` or `user/NAME`.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it ends.
    pub ends: Timestamp,
}

impl Waiver {
    /// Whether it holds.
    pub fn active(&self, now: Timestamp) -> bool {
        now < self.ends
    }
}

/// Waivers have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaiverStatus {}

impl Explained for WaiverStatus {}

impl Spec for Waiver {
    const KIND: Kind = Kind::Waiver;
    type Status = WaiverStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("standard", name::check_simple(&self.standard));
        let both = self.subject.is_some() == self.applications.is_some();
        invalid.add_if(both, "subject", "and applications: give one of them");
        if let Some(subject) = &self.subject {
            let kind = subject.split_once('/').and_then(|(kind, _)| Kind::parse(kind));
            let known = kind.is_some_and(|kind| SUBJECTS.contains(&kind));
            let message = format!("{subject:?} is nothing with standards; write application/NAME");
            invalid.add_if(!known, "subject", message);
        }
        let none = self.applications.as_ref().is_some_and(Selector::is_all);
        invalid.add_if(none, "applications", "selects all; set the standard's mode instead");
        invalid.add_if(self.owner.trim().is_empty(), "owner", "is empty; say who answers for it");
        invalid.add_if(self.reason.trim().is_empty(), "reason", "is empty; say why");
        invalid.into_result()
    }
}

/// How one application, or one other object that belongs to none, keeps the standards: written by
/// the platform. Its object is named `KIND.NAME`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scorecard {
    /// Of what: `application/shop`, with its deployments and the releases they run.
    pub subject: String,
}

/// What a scorecard says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScorecardStatus {
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// 0 to 100: the share of what is asked that is kept, by weight. What is on trial or excused
    /// does not count. Absent where nothing is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u32>,
    /// Standards that count, each for each object it means.
    #[serde(default)]
    pub checks: u32,
    /// Of them, broken.
    #[serde(default)]
    pub broken: u32,
    /// What is not kept, what is enforced first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Findings that are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
    /// The score at the end of each day on which it changed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trend: Vec<DayScore>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The score of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DayScore {
    /// When the day began, in UTC.
    pub day: Timestamp,
    /// 0 to 100; absent where nothing was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u32>,
}

impl Explained for ScorecardStatus {}

impl Spec for Scorecard {
    const KIND: Kind = Kind::Scorecard;
    type Status = ScorecardStatus;

    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn validate_name(name: &str, _: &Scorecard) -> Result<(), Invalid> {
        name::check_derived(name)
    }
}

/// `POST /v1/replay/standards`: which past changes a standard would have stopped.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayRequest {
    /// The standard as a manifest, stored or not.
    pub standard: Value,
    /// Changes since so long; all that are kept, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Span>,
}

/// What came of a replay. Only the changed object is as it was: what else an expression sees is
/// as it is now.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// The standard.
    pub standard: String,
    /// The oldest change that was looked at; absent, if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Changes of objects it means.
    pub changes: u32,
    /// Of them, those it would have stopped, were it enforced.
    pub stopped: u32,
    /// Changes over which it could not be evaluated.
    pub unknown: u32,
    /// Of the objects it means there are now, so many break it.
    pub broken_now: u32,
    /// So many of them there are.
    pub objects_now: u32,
    /// The newest of those it would have stopped.
    pub stops: Vec<Stopped>,
    /// Not all changes that are kept were looked at: there are too many.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// A past change that a standard would have stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// The revision it was committed with.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// The object.
    pub subject: String,
    /// What the standard would have said.
    pub message: String,
}

/// `GET /v1/figures/standards`: how well the standards are kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scores {
    /// By `application`, by `team` or of the whole `fleet`.
    pub by: String,
    /// One row for each, the lowest score first.
    pub items: Vec<ScoreRow>,
}

/// How well one application, one team or the fleet keeps the standards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoreRow {
    /// Of whom.
    pub name: String,
    /// Who answers, of an application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// 0 to 100; absent where nothing is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u32>,
    /// How many scorecards it is the middle of.
    pub cards: u32,
    /// Checks that count.
    pub checks: u32,
    /// Of them, broken.
    pub broken: u32,
    /// Findings that are excused.
    pub waived: u32,
    /// The score at the end of each day, oldest first, today last.
    pub trend: Vec<DayScore>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standards_say_what_they_lack() {
        let standard: Standard = serde_json::from_str(
            r#"{"kinds":["Token"],"require":" ","message":"","weight":0,"examples":[
                {"name":"a","passes":true,"object":{}},{"name":"a","passes":false,"object":{}}]}"#,
        )
        .unwrap();
        let said = standard.validate().unwrap_err().to_string();
        for path in ["kinds[0]", "require", "message", "weight", "examples[1].name"] {
            assert!(said.contains(path), "{path} in {said}");
        }
        assert_eq!((standard.mode, standard.failure), (Mode::Trial, Failing::Open));
    }

    #[test]
    fn waivers_are_of_something_and_end() {
        let waiver = |fields: &str| -> Waiver {
            let rest =
                r#""standard":"s","owner":"team/a","reason":"r","ends":"2026-12-01T00:00:00Z""#;
            serde_json::from_str(&format!("{{{fields}{rest}}}")).unwrap()
        };
        assert!(waiver(r#""subject":"application/shop","#).validate().is_ok());
        assert!(waiver(r#""applications":"tier=lab","#).validate().is_ok());
        for bad in ["", r#""subject":"token/x","#, r#""applications":"","#] {
            assert!(waiver(bad).validate().is_err(), "{bad}");
        }
        let ends = waiver("").ends;
        assert!(waiver("").active(Timestamp(ends.0 - 1)) && !waiver("").active(ends));
    }
}
