//! Rules, the alerts they raise, and what keeps alerts quiet. Not when an alert is raised, which is
//! the planner of the same name, and not who is told, which is `notification.rs`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::explained;
use crate::matcher::check_matchers;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::{Span, Timestamp};

/// Rules as Prometheus reads them: a rule file is the `spec` of such an object as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Groups whose rules are worked out one after the other, at the same time.
    #[serde(default)]
    pub groups: Vec<RuleGroup>,
    /// Who answers for its alerts where the object an alert is about names nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Rules that are worked out one after the other, at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleGroup {
    /// Unique within the object.
    pub name: String,
    /// How often.
    #[serde(default = "RuleGroup::usual_interval")]
    pub interval: Span,
    /// At most so many alerts or series of one rule; 0 means no limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub limit: u32,
    /// How far back the data is taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_offset: Option<Span>,
    /// Labels of all its rules, where a rule has not its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Narrows every selector of its expressions that does not mention this label to this value.
    /// Atoll's own; Prometheus does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrow: Option<Narrow>,
    /// In order.
    pub rules: Vec<RuleItem>,
}

/// A label and the value selectors are narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Narrow {
    /// The label.
    pub label: String,
    /// Its value.
    pub value: String,
}

impl RuleGroup {
    fn usual_interval() -> Span {
        Span::seconds(15)
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// One rule: of `record` and `alert` exactly one is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleItem {
    /// The name of the series its results are kept as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The name of the alerts it raises, one for each series of its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// PromQL.
    pub expr: String,
    /// How long it must hold before the alert fires.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// How long an alert fires on after it no longer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<Span>,
    /// Labels added to its alerts or series.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Text for people; `{{ $value }}` and `{{ $labels.NAME }}` are filled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What became of the rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
    /// How many of its alerts fire.
    #[serde(default)]
    pub firing: u32,
    /// How many wait for their time.
    #[serde(default)]
    pub pending: u32,
    /// While some wait: when the rule was last seen to be evaluated, to a minute. Time in which
    /// nobody was there to evaluate it does not count towards `for`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_at: Option<Timestamp>,
    /// Rules that could not be worked out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

impl Spec for Rule {
    const KIND: Kind = Kind::Rule;
    type Status = RuleStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let mut names = BTreeSet::new();
        for (i, group) in self.groups.iter().enumerate() {
            let path = format!("groups[{i}]");
            invalid.add_if(group.name.is_empty(), &format!("{path}.name"), "is empty");
            let again = !names.insert(&group.name);
            invalid.add_if(again, &format!("{path}.name"), "names two groups");
            let short = group.interval.0 < 1000;
            invalid.add_if(short, &format!("{path}.interval"), "is less than 1s");
            for (j, rule) in group.rules.iter().enumerate() {
                invalid.nest(&format!("{path}.rules[{j}]"), rule.validate());
            }
        }
        invalid.into_result()
    }

    fn validate_name(name: &str, _: &Rule) -> Result<(), Invalid> {
        name::check_derived(name)
    }
}

impl RuleItem {
    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(
            self.record.is_some() == self.alert.is_some(),
            "",
            "gives neither or both of record and alert; give one",
        );
        invalid.add_if(self.expr.trim().is_empty(), "expr", "is empty");
        let alone = self.hold.is_some() || self.keep_firing_for.is_some();
        invalid.add_if(
            self.record.is_some() && (alone || !self.annotations.is_empty()),
            "",
            "for, keep_firing_for and annotations go with alert only",
        );
        if let Some(record) = &self.record {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            let wrong = record.is_empty()
                || !record.chars().all(good)
                || record.starts_with(|c: char| c.is_ascii_digit());
            invalid.add_if(wrong, "record", format!("{record:?} is not a name of a metric"));
        }
        invalid.into_result()
    }
}

/// Something that needs attention, made and ended by the planner of its rule. Its object is named
/// `RULE.HASH`, the hash being that of the alert's labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alert {
    /// The rule object.
    pub rule: String,
    /// The group in it.
    pub group: String,
    /// Its labels, `alertname` among them: what it is told apart by.
    pub labels: BTreeMap<String, String>,
    /// Text for people, filled in when it was raised.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The object it is about, as `instance/shop.prod.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who answers for that object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The change that most likely caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<Suspect>,
}

impl Alert {
    /// Its name, the same for many.
    pub fn alertname(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }
}

/// A change that may have caused an alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Suspect {
    /// The object that changed, as `deployment/shop.prod`.
    pub object: String,
    /// What changed, in one sentence.
    pub change: String,
    /// When.
    pub at: Timestamp,
    /// Why it is suspected.
    pub why: String,
}

/// How an alert is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// In one word.
    #[serde(default)]
    pub phase: AlertPhase,
    /// Since when its expression holds.
    #[serde(default)]
    pub active_at: Timestamp,
    /// Since when it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// Since when its expression no longer holds, while it fires on or after it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<Timestamp>,
    /// Since when there is no data to tell whether it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_since: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// The value when it last changed its phase, as PromQL prints it.
    #[serde(default)]
    pub value: String,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The state of an alert in one word.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum AlertPhase {
    /// It holds, not yet for long enough.
    #[default]
    Pending,
    /// It holds; people are told.
    Firing,
    /// It ended.
    Resolved,
}

impl Spec for Alert {
    const KIND: Kind = Kind::Alert;
    type Status = AlertStatus;

    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn validate_name(name: &str, _: &Alert) -> Result<(), Invalid> {
        name::check_derived(name)
    }
}

/// Keeps alerts quiet: for a time, or while another alert fires.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Silence {
    /// The alerts it keeps quiet: those all of these match, as `severity="page"`, `app=~"shop.*"`.
    pub matchers: Vec<String>,
    /// When it begins; at once, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// When it ends; when it is deleted, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only while an alert fires that all of these match (an inhibition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub while_firing: Vec<String>,
    /// With `whileFiring`: labels both alerts must have the same value of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equal: Vec<String>,
    /// Why.
    pub reason: String,
}

impl Silence {
    /// Whether the time is one it holds in.
    pub fn active(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// Silences have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SilenceStatus {}

impl Explained for SilenceStatus {}

impl Spec for Silence {
    const KIND: Kind = Kind::Silence;
    type Status = SilenceStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.matchers.is_empty(), "matchers", "is empty; it would quieten all");
        invalid.nest("", check_matchers("matchers", &self.matchers));
        invalid.nest("", check_matchers("whileFiring", &self.while_firing));
        invalid.add_if(self.reason.trim().is_empty(), "reason", "is empty; say why");
        let lone = self.while_firing.is_empty() && !self.equal.is_empty();
        invalid.add_if(lone, "equal", "goes with whileFiring only");
        if let (Some(from), Some(until)) = (self.from, self.until) {
            invalid.add_if(until <= from, "until", "is not after from");
        }
        invalid.into_result()
    }
}

explained!(RuleStatus, AlertStatus);
