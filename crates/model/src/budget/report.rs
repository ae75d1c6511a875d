//! What the fleet costs, and whose that is: the answer of `GET /v1/costs`. Nothing of it is stored.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Money;
use crate::time::Timestamp;

/// The row of what whoever asks may not see.
pub const OTHERS: &str = "others";
/// The row of what is nobody's.
pub const NOBODY: &str = "-";

/// What the fleet costs an hour, as it is now. What is used, shared and idle is all there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostReport {
    /// Of these prices; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Of this time.
    pub at: Timestamp,
    /// `team`, `application`, `environment` or `host`.
    pub by: String,
    /// Whose it is, the dearest first.
    pub rows: Vec<CostRow>,
    /// All of it.
    pub total: CostRow,
    /// Hosts for which prices are missing, each with which. They are not among the above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpriced: Vec<Unpriced>,
    /// So many hosts are paid in other currencies, by these. They are not among the above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<String, u32>,
}

/// What one of them costs an hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostRow {
    /// Its name; `-` for what is nobody's, `others` for all that whoever asks may not see.
    pub name: String,
    /// So many instances.
    pub instances: u32,
    /// What its instances take.
    pub used: Money,
    /// Its share of what hosts keep for themselves, of disks, and of work of runs and jobs.
    pub shared: Money,
    /// Its share of what nobody takes.
    pub idle: Money,
    /// The three together.
    pub total: Money,
}

impl CostReport {
    /// Makes one row of all that is not to be seen, named [`OTHERS`], and leaves out hosts without
    /// prices that are not to be seen. The total stays what it is.
    pub fn hide(&mut self, seen: impl Fn(&str) -> bool, host_seen: impl Fn(&str) -> bool) {
        let all = std::mem::take(&mut self.rows);
        let (mut rows, hidden): (Vec<_>, Vec<_>) = all.into_iter().partition(|r| seen(&r.name));
        let sum = |mut sum: CostRow, row: CostRow| {
            sum.instances += row.instances;
            sum.used = sum.used + row.used;
            sum.shared = sum.shared + row.shared;
            sum.idle = sum.idle + row.idle;
            sum.total = sum.total + row.total;
            sum
        };
        if !hidden.is_empty() {
            let others = CostRow { name: OTHERS.to_owned(), ..CostRow::default() };
            rows.push(hidden.into_iter().fold(others, sum));
        }
        self.rows = rows;
        self.unpriced.retain(|host| host_seen(&host.host));
    }
}

/// A host that has no price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unpriced {
    /// Which.
    pub host: String,
    /// The prices that are missing: `cpuHour`.
    pub missing: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_seen_is_one_sum() {
        let row = |name: &str, used: i64| CostRow {
            name: name.to_owned(),
            instances: 1,
            used: Money(used),
            total: Money(used),
            ..CostRow::default()
        };
        let unpriced = |host: &str| Unpriced { host: host.to_owned(), missing: Vec::new() };
        let mut report = CostReport {
            rows: vec![row("trade", 3), row("desk", 2), row("bus", 1)],
            total: row("", 6),
            unpriced: vec![unpriced("h1"), unpriced("h2")],
            ..CostReport::default()
        };
        report.hide(|name| name == "desk", |host| host == "h2");
        let others = CostRow { instances: 2, ..row(OTHERS, 4) };
        assert_eq!(report.rows, [row("desk", 2), others]);
        assert_eq!((report.total.used, report.unpriced), (Money(6), vec![unpriced("h2")]));
    }
}
