//! What things cost, and how much of it whom is allowed: budgets in money and in resources. Prices
//! are in `budget/price.rs`. Not how a cost is worked out, which is the planner of the same name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::explained;
use crate::name::{self, Invalid};
use crate::object::{Explained, Object, Reason, Spec};
use crate::quantity::{Cpu, Memory};
use crate::time::{Span, Timestamp};
pub use money::Money;
use price::check_currency;

pub mod money;
pub mod month;
pub mod price;
pub mod report;

/// Milliseconds of an hour: what rates are of.
pub const HOUR: u64 = 3_600_000;
/// Hours of the month that costs are told for; the usual mean, 8,760 in twelve.
pub const MONTH_HOURS: u64 = 730;
/// So many past months are kept.
pub const KEPT_MONTHS: usize = 12;

/// How much may be spent, or used, on what is of a team, an application or an environment; where
/// it names several, on what is of all of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Of the applications this team owns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Of this application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// In this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// How much money in a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<Limit>,
    /// How much of the hosts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Quota>,
    /// What becomes of a change that would break it.
    #[serde(default)]
    pub exceed: Exceed,
}

/// Money for a month of the calendar, in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// So much.
    pub limit: Money,
    /// Three letters, as in ISO 4217: `EUR`.
    pub currency: String,
}

/// A share of the hosts. What one does not use of what it is guaranteed is lent to others, and
/// given back once it is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// Of processor time.
    #[serde(default)]
    pub cpu: CpuBounds,
    /// Of memory.
    #[serde(default)]
    pub memory: MemoryBounds,
    /// What nobody is guaranteed, or does not use, is shared in proportion to this.
    #[serde(default = "one")]
    pub weight: u32,
    /// Who comes first where there is too little for all.
    #[serde(default)]
    pub tier: Tier,
}

fn one() -> u32 {
    1
}

/// From how much cpu is always had to how much may be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpuBounds {
    /// So much is always had.
    #[serde(default)]
    pub guaranteed: Cpu,
    /// More than this never is; as much as there is, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Cpu>,
}

/// From how much memory is always had to how much may be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryBounds {
    /// So much is always had.
    #[serde(default)]
    pub guaranteed: Memory,
    /// More than this never is; as much as there is, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Memory>,
}

/// Who comes first where there is too little for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Tier {
    /// What the company lives by: it is served first, and borrows from the others in need.
    Core,
    /// What can wait.
    #[default]
    BestEffort,
}

/// What becomes of a change that would break a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Exceed {
    /// It is done, and told.
    #[default]
    Warn,
    /// It is refused until somebody who may approves: `atoll approve budget/NAME`. An approval
    /// holds for the rest of the month.
    Approve,
    /// It is refused.
    Refuse,
}

/// How a budget stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// The generation of the target this speaks of.
    #[serde(default)]
    pub observed_generation: u64,
    /// In one word.
    #[serde(default)]
    pub phase: BudgetPhase,
    /// So many instances are of it.
    #[serde(default)]
    pub instances: u32,
    /// What they cost, where it has a limit in money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<Spend>,
    /// What they use, where it has a share of the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// What was spent in past months, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<Spent>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

impl Object<Budget> {
    /// Why an approval of it changes nothing; none where it asks for one.
    pub fn asks_nobody(&self) -> Option<Reason> {
        let does = match self.spec.exceed {
            Exceed::Approve => return None,
            Exceed::Refuse => "refuses whatever would break it",
            Exceed::Warn => "lets everything through",
        };
        let name = self.name();
        let message = format!("budget/{name} {does}: an approval changes nothing");
        let hint = format!("to have it ask: exceed: approve in atoll edit budget/{name}");
        Some(Reason::new("no-use", message).hint(hint))
    }
}

impl BudgetStatus {
    /// Whether nothing of it has a price: what would be told as zero is not known.
    pub fn is_blind(&self) -> bool {
        let nothing = |spend: &Spend| spend.spent.0 == 0 && spend.rate.0 == 0;
        self.phase == BudgetPhase::Unknown
            && self.instances > 0
            && self.spend.as_ref().is_some_and(nothing)
    }
}

/// The state of a budget in one word, the best first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum BudgetPhase {
    /// It was not looked at yet, or prices are missing.
    #[default]
    Unknown,
    /// It will do.
    Within,
    /// It is forecast to be broken before the month ends, or more is used than there is a right to.
    Tight,
    /// It is broken.
    Over,
}

/// What was spent in the current month, exact to a millionth and a fraction of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spend {
    /// Of the limit.
    pub currency: String,
    /// The month's name: `2026-11`.
    pub month: String,
    /// So much until `counted_until`.
    pub spent: Money,
    /// What is not yet a millionth, in parts of [`HOUR`].
    #[serde(default)]
    pub carry: u64,
    /// So much an hour from then on.
    pub rate: Money,
    /// It is counted until here.
    pub counted_until: Timestamp,
    /// When counting began in this month: its beginning, unless the budget is younger.
    pub counted_from: Timestamp,
    /// So much at the end of the month, if it goes on at this rate.
    pub forecast: Money,
}

impl Spend {
    /// Counts on to a time at its rate. It makes no difference in how many steps.
    pub fn count(&mut self, until: Timestamp) {
        let span = until.since(self.counted_until);
        let (whole, carry) = worth(self.rate, span, self.carry);
        self.spent = self.spent + whole;
        self.carry = carry;
        self.counted_until = self.counted_until.max(until);
    }

    /// What is spent at a time in the same month.
    pub fn spent_at(&self, at: Timestamp) -> Money {
        self.spent + worth(self.rate, at.since(self.counted_until), self.carry).0
    }
}

/// What a rate comes to over a span, after a carry; and the new carry.
pub fn worth(rate: Money, span: Span, carry: u64) -> (Money, u64) {
    let hour = i128::from(HOUR);
    let parts = i128::from(rate.0) * i128::from(span.0) + i128::from(carry);
    let whole = i64::try_from(parts.div_euclid(hour)).unwrap_or(i64::MAX);
    (Money(whole), parts.rem_euclid(hour) as u64)
}

/// What was spent in a past month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// `2026-10`.
    pub month: String,
    /// Of this currency.
    pub currency: String,
    /// So much.
    pub spent: Money,
}

/// What of the hosts is used, and may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// The instances that are wanted take so much.
    pub wanted: Take,
    /// They may take so much, as others stand now.
    pub may: Take,
    /// Of what others are guaranteed, or nobody is, it has so much.
    pub borrowed: Take,
    /// Of what it is guaranteed, others have so much.
    pub lent: Take,
}

/// An amount of cpu and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Take {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
}

explained!(BudgetStatus);

impl Spec for Budget {
    const KIND: Kind = Kind::Budget;
    type Status = BudgetStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let of = [
            ("team", &self.team),
            ("application", &self.application),
            ("environment", &self.environment),
        ];
        let nobody = of.iter().all(|(_, name)| name.is_none());
        invalid.add_if(nobody, "", "is of nothing; name a team, an application or an environment");
        for (field, name) in of {
            invalid.nest(field, name.as_deref().map_or(Ok(()), name::check_simple));
        }
        let empty = self.month.is_none() && self.resources.is_none();
        invalid.add_if(empty, "", "limits nothing; give month or resources");
        if let Some(month) = &self.month {
            check_currency(&mut invalid, "month.currency", &month.currency);
            invalid.add_if(month.limit.0 < 0, "month.limit", "is less than nothing");
        }
        if let Some(quota) = &self.resources {
            invalid.add_if(quota.weight == 0, "resources.weight", "is 0; write 1 or more");
            let crossed = |bounds: (u64, Option<u64>)| bounds.1.is_some_and(|most| most < bounds.0);
            for (resource, bounds) in [("cpu", quota.cpu.plain()), ("memory", quota.memory.plain())]
            {
                let path = format!("resources.{resource}.ceiling");
                invalid.add_if(crossed(bounds), &path, "is less than guaranteed");
            }
        }
        invalid.into_result()
    }
}

impl CpuBounds {
    /// Both as plain numbers, in thousandths of a core.
    pub fn plain(&self) -> (u64, Option<u64>) {
        (self.guaranteed.0, self.ceiling.map(|most| most.0))
    }
}

impl MemoryBounds {
    /// Both as plain numbers, in bytes.
    pub fn plain(&self) -> (u64, Option<u64>) {
        (self.guaranteed.0, self.ceiling.map(|most| most.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_of_something_and_limits_something() {
        let read = |text: &str| serde_json::from_str::<Budget>(text).unwrap().validate();
        let limit = r#""month":{"limit":500,"currency":"EUR"}"#;
        assert!(read(&format!(r#"{{"team":"trade",{limit}}}"#)).is_ok());
        for bad in [
            format!("{{{limit}}}"),
            r#"{"team":"trade"}"#.to_owned(),
            r#"{"team":"trade","month":{"limit":-1,"currency":"EUR"}}"#.to_owned(),
            r#"{"team":"t","resources":{"cpu":{"guaranteed":4,"ceiling":2}}}"#.to_owned(),
            r#"{"team":"t","resources":{"weight":0}}"#.to_owned(),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn how_often_it_is_counted_makes_no_difference() {
        let begun = Spend {
            currency: "EUR".to_owned(),
            month: "2026-11".to_owned(),
            spent: Money(0),
            carry: 0,
            rate: Money(123_457),
            counted_until: Timestamp(0),
            counted_from: Timestamp(0),
            forecast: Money(0),
        };
        let (mut once, mut often) = (begun.clone(), begun);
        once.count(Timestamp(7_200_001));
        for at in (0..=7_200_001).step_by(777) {
            often.count(Timestamp(at));
        }
        often.count(Timestamp(7_200_001));
        assert_eq!(once, often);
        assert_eq!(once.spent, Money(246_914));
        assert_eq!(once.spent_at(Timestamp(7_200_001 + 3_600_000)), Money(370_371));
    }
}
