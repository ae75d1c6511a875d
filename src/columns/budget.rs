//! Lines of budgets and of the price book.

use atoll_model::budget::{BudgetPhase, Money, Spend, Take};
use atoll_model::{Budget, Object, Price, Timestamp};

use super::{Cell, aged, cell, cores, name, reason, size, word};
use crate::terminal::Tone;

/// Boxes of a bar.
const BOXES: usize = 10;

/// With what is spent until now.
pub(super) fn budget(o: &Object<Budget>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        BudgetPhase::Within => Tone::Good,
        BudgetPhase::Unknown => Tone::Plain,
        BudgetPhase::Tight => Tone::Busy,
        BudgetPhase::Over => Tone::Bad,
    };
    let blind = status.is_blind();
    let spend = status.spend.as_ref().filter(|_| !blind);
    let limit = spec.month.as_ref().map(|month| month.limit);
    let money = |amount: Option<Money>| amount.map(Money::rounded).unwrap_or_default();
    let spent = spend.map(|spend| spend.spent_at(now));
    // Where prices are missing, what goes on is not what is spent until the end.
    let priced = |_: &&Spend| status.phase != BudgetPhase::Unknown;
    let of = [&spec.team, &spec.application, &spec.environment];
    let of: Vec<&str> = of.into_iter().flatten().map(String::as_str).collect();
    let share = status.share.map(|share| format!("{} of {}", take(share.wanted), take(share.may)));
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("OF", of.join(",")),
        cell("SPENT", if blind { "no price".to_owned() } else { money(spent) }),
        cell("RATE/H", spend.map(|spend| spend.rate.fine()).unwrap_or_default()),
        cell("FORECAST", money(spend.filter(priced).map(|spend| spend.forecast))).tone(tone),
        cell("MONTH", money(limit)),
        cell("CURRENCY", spec.month.as_ref().map(|m| m.currency.clone()).unwrap_or_default()),
        cell("USED", spent.zip(limit).map(|(spent, of)| bar(spent, of)).unwrap_or_default())
            .tone(tone),
        cell("SHARE", share.unwrap_or_default()),
        cell("EXCEED", word(&spec.exceed)).wide(),
        cell("INSTANCES", status.instances.to_string()).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

/// `2.5/4Gi`.
fn take(take: Take) -> String {
    format!("{}/{}", cores(take.cpu), size(take.memory))
}

/// How much of a whole something is: `[####......]  41%`.
fn bar(part: Money, whole: Money) -> String {
    let (part, whole) = (i128::from(part.0.max(0)), i128::from(whole.0));
    let percent = match whole {
        ..=0 => return String::new(),
        whole => part * 100 / whole,
    };
    let full = usize::try_from(percent * BOXES as i128 / 100).unwrap_or(BOXES).min(BOXES);
    format!("[{}{}] {percent:3}%", "#".repeat(full), ".".repeat(BOXES - full))
}

pub(super) fn price(o: &Object<Price>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let (state, tone) = match () {
        () if spec.holds(now) => ("holds", Tone::Good),
        () if spec.from > now => ("ahead", Tone::Plain),
        () => ("over", Tone::Dim),
    };
    let hosts = spec.hosts.to_string();
    let mut cells = vec![
        name(&o.meta),
        cell("STATE", state).tone(tone),
        cell("CURRENCY", spec.currency.clone()),
        cell("HOSTS", if hosts.is_empty() { "all".to_owned() } else { hosts }),
    ];
    let titles = ["HOST/H", "CPU/H", "MEMORY/GIB/H", "DISK/GIB/H"];
    cells.extend(titles.into_iter().zip(spec.all()).map(|(title, (_, price))| {
        cell(title, price.map(|price| price.to_string()).unwrap_or_default())
    }));
    cells.push(cell("FROM", spec.from.to_string()));
    cells.push(cell("UNTIL", spec.until.map(|until| until.to_string()).unwrap_or_default()));
    cells.push(aged(&o.meta, now));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_price_does_not_cost_nothing() {
        let told = |instances: u32| -> Vec<String> {
            let text = format!(
                r#"{{"apiVersion":"atoll/v1","kind":"Budget","metadata":{{"name":"b"}},
                "spec":{{"team":"x","month":{{"limit":"100","currency":"EUR"}}}},
                "status":{{"instances":{instances},"spend":{{"currency":"EUR","month":"2026-01",
                "spent":"0","rate":"0","forecast":"0","countedUntil":"2026-01-01T00:00:00Z",
                "countedFrom":"2026-01-01T00:00:00Z"}}}}}}"#
            );
            let any = atoll_model::Any::from_json(&text).unwrap();
            let cells = budget(any.of::<Budget>().unwrap(), Timestamp(1_767_225_600_000));
            let titles = ["SPENT", "RATE/H", "FORECAST", "USED"];
            let shown = cells.iter().filter(|cell| titles.contains(&cell.title));
            shown.map(|cell| cell.text.clone()).collect()
        };
        assert_eq!(told(2), ["no price", "", "", ""]);
        assert_eq!(told(0)[0], "0.00", "nothing is of it");
    }

    #[test]
    fn a_bar_is_as_full_as_the_budget() {
        let of = |part: i64, whole: i64| bar(Money(part), Money(whole));
        assert_eq!(of(41, 100), "[####......]  41%");
        assert_eq!(of(250, 100), "[##########] 250%");
        assert_eq!((of(0, 100).as_str(), of(1, 0).as_str()), ("[..........]   0%", ""));
    }
}
