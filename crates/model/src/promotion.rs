//! What may enter an environment, and what became of what did: rules, promotions and approvals.
//! Not how a release is rolled out once it may, which is `deployment.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::ci::run::Commit;
use crate::ci::step::Suite;
use crate::cmdb::explained;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::{Span, Timestamp};

/// What an environment asks of a release before it may enter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Require {
    /// Its package is signed by the pipelines here, and is what was signed. Nothing skips this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
    /// Its run had tests of each of these suites, and none failed. Nothing skips this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<Suite>,
    /// It has run in the environment before for so long since it proved itself there.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub soak: Span,
    /// No error budget of the application is spent in the environment before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub objectives: bool,
    /// It enters at these times only; at any, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
}

fn is_nothing(span: &Span) -> bool {
    span.0 == 0
}

impl Require {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Require::default()
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        for (i, window) in self.windows.iter().enumerate() {
            let path = format!("windows[{i}]");
            let (from, to) = (minutes(&window.from), minutes(&window.to));
            invalid.add_if(from.is_none(), &format!("{path}.from"), CLOCK);
            invalid.add_if(to.is_none(), &format!("{path}.to"), CLOCK);
            let backwards = from.zip(to).is_some_and(|(from, to)| to <= from);
            invalid.add_if(backwards, &path, "ends before it begins; write two, one for each day");
        }
        invalid.into_result()
    }
}

const CLOCK: &str = "is no time of day; write it like 09:30, in UTC";
const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

/// A time of the week, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// On these days; on all, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// From this time of day on: `09:00`.
    #[serde(default = "midnight")]
    pub from: String,
    /// Until this one: `17:00`.
    #[serde(default = "end_of_day")]
    pub to: String,
}

fn midnight() -> String {
    "00:00".to_owned()
}

fn end_of_day() -> String {
    "24:00".to_owned()
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// Minutes since midnight.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let all = hours * 60 + minutes;
    ((0..=24).contains(&hours) && (0..60).contains(&minutes) && all <= 1_440).then_some(all)
}

impl Window {
    /// Whether it is open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let at = now.0.rem_euclid(DAY);
        self.is_on(now) && self.begins() <= at && at < self.ends()
    }

    /// When it opens next after now, unless it is open.
    pub fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.0 - now.0.rem_euclid(DAY);
        let openings = (0..8).map(|days| Timestamp(today + days * DAY + self.begins()));
        openings.into_iter().find(|at| *at > now && self.is_on(*at))
    }

    fn is_on(&self, at: Timestamp) -> bool {
        const WEEK: [Day; 7] =
            [Day::Thu, Day::Fri, Day::Sat, Day::Sun, Day::Mon, Day::Tue, Day::Wed];
        let day = WEEK[at.0.div_euclid(DAY).rem_euclid(7) as usize];
        self.days.is_empty() || self.days.contains(&day)
    }

    fn begins(&self) -> i64 {
        minutes(&self.from).unwrap_or(0) * MINUTE
    }

    fn ends(&self) -> i64 {
        minutes(&self.to).unwrap_or(1_440) * MINUTE
    }
}

/// Whether a release that may enter does so by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromotionMode {
    /// It does.
    #[default]
    Auto,
    /// Somebody asks for it: `atoll promote RELEASE --to ENVIRONMENT`.
    Manual,
}

impl PromotionMode {
    /// Whether it is the usual one.
    pub fn is_usual(&self) -> bool {
        *self == PromotionMode::Auto
    }
}

/// One release's entry into one environment: whether it may, and what became of it there. Its
/// object is named `RELEASE.ENVIRONMENT`. The platform makes one for each; people say in it that
/// they want it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Promotion {
    /// The application.
    pub application: String,
    /// The release.
    pub release: String,
    /// The environment.
    pub environment: String,
    /// Somebody asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// Why it may not wait: the environment before, soaks, objectives, approvals, times and
    /// freezes are passed over. Signatures, tests and vetoes never are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<String>,
}

/// How far a promotion is. Its times outlive the release, as the figures of delivery are made of
/// them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotionStatus {
    /// The generation this speaks of.
    #[serde(default)]
    pub observed_generation: u64,
    /// In one word.
    #[serde(default)]
    pub phase: PromotionPhase,
    /// What the environment asks, each with what is so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// The content that enters: the same in every environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The commit it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// A person had a hand in it: made the package, asked, approved, or pushed it on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// When it was let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted_at: Option<Timestamp>,
    /// When its rollout began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
    /// When it had proved itself there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_at: Option<Timestamp>,
    /// When it failed there, or was taken back because of a veto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// When the deployment was whole again after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_at: Option<Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

impl PromotionStatus {
    /// Since when what failed here did harm: since its rollout began, unless it had been good.
    pub fn harmed_at(&self) -> Option<Timestamp> {
        let failed = self.failed_at?;
        let good = self.good_at.is_some_and(|good| good < failed);
        Some(self.began_at.filter(|began| !good && *began < failed).unwrap_or(failed))
    }
}

/// The state of a promotion in one word.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum PromotionPhase {
    /// Not everything asked is there.
    #[default]
    Waiting,
    /// It may enter, and its rollout has not begun.
    Admitted,
    /// It is being rolled out.
    Rolling,
    /// It has proved itself there.
    Good,
    /// It failed there.
    Failed,
    /// It never will enter: it lacks what cannot come.
    Refused,
    /// A newer one went in before it.
    Superseded,
}

/// One thing an environment asks of a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What is asked: `signed`, `tests`, `before`, `soak`, `objectives`, `approval`, `window`,
    /// `asked`, `standards` or `veto`.
    pub name: String,
    /// Whether it is there.
    pub state: CheckState,
    /// In one sentence.
    pub message: String,
    /// When that changes by itself, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Whether what is asked is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// It is.
    Passed,
    /// Not yet.
    Waiting,
    /// It cannot come any more.
    Refused,
    /// It is not, and an emergency passes it over.
    Skipped,
}

explained!(PromotionStatus);

impl Spec for Promotion {
    const KIND: Kind = Kind::Promotion;
    type Status = PromotionStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("application", name::check_simple(&self.application));
        invalid.nest("release", name::check_simple(&self.release));
        invalid.nest("environment", name::check_simple(&self.environment));
        let silent = self.emergency.as_ref().is_some_and(|reason| reason.trim().is_empty());
        invalid.add_if(silent, "emergency", "is empty; say why it may not wait");
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Promotion) -> Result<(), Invalid> {
        let right = format!("{}.{}", spec.release, spec.environment);
        if name == right {
            return name::check_derived(name);
        }
        Err(Invalid::one("", format!("this promotion is named {right}")))
    }
}

/// One person's consent. It is made by whom it names, and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// What is approved: `promotion/NAME`, that `budget/NAME` is broken this month, or that
    /// `decision/NAME` is carried out.
    pub subject: String,
    /// Who approves: `user/anna`.
    pub by: String,
    /// With this role.
    pub role: String,
    /// What they say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// Approvals have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalStatus {}

impl Explained for ApprovalStatus {}

impl Spec for Approval {
    const KIND: Kind = Kind::Approval;
    type Status = ApprovalStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        match self.subject.split_once('/') {
            Some(("promotion", name)) => invalid.nest("subject", name::check_derived(name)),
            Some(("budget", name)) => invalid.nest("subject", name::check_simple(name)),
            Some(("decision", name)) => invalid.nest("subject", name::check_derived(name)),
            _ => {
                let ways = "is none; write promotion/RELEASE.ENVIRONMENT, budget/NAME or \
                            decision/NAME";
                invalid.add("subject", ways);
            }
        }
        invalid.into_result()
    }

    fn validate_name(name: &str, _: &Approval) -> Result<(), Invalid> {
        name::check_derived(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_open_on_their_days() {
        let text = r#"{"days":["mon","fri"],"from":"09:00","to":"17:30"}"#;
        let window: Window = serde_json::from_str(text).unwrap();
        // 27 November 2026 is a Friday.
        assert!(window.is_open(at("2026-11-27T09:00:00Z")));
        assert!(!window.is_open(at("2026-11-27T17:30:00Z")));
        assert!(!window.is_open(at("2026-11-26T12:00:00Z")));
        assert_eq!(window.opens(at("2026-11-26T12:00:00Z")), Some(at("2026-11-27T09:00:00Z")));
        assert_eq!(window.opens(at("2026-11-27T18:00:00Z")), Some(at("2026-11-30T09:00:00Z")));
    }

    #[test]
    fn windows_are_times_of_day() {
        let require = |window: &str| -> Require {
            serde_json::from_str(&format!(r#"{{"windows":[{window}]}}"#)).unwrap()
        };
        assert!(require("{}").validate().is_ok());
        for bad in [r#"{"from":"9"}"#, r#"{"to":"24:30"}"#, r#"{"from":"22:00","to":"06:00"}"#] {
            assert!(require(bad).validate().is_err(), "{bad}");
        }
    }
}
