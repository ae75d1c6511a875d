//! From a promise to PromQL: what is recorded of it and when its budget burns too fast. Text only;
//! nothing here is evaluated.
//!
//! Every promise is brought to two series over five minutes: events and bad events. Where a
//! promise counts neither, each evaluation is an event, ten in five minutes, and bad by the share
//! that is bad. All longer windows are sums of these, so they cost a few samples and weigh busy
//! times more. A slow copy every two minutes serves windows of days.
//!
//! An alert on a burning budget asks three things:
//! * the share of bad events over the long window and over the short one is more than `factor`
//!   times what is allowed: it matters, and it is going on;
//! * at least two events were bad: one alone never wakes anybody;
//! * there were enough events in the long window for a share to say something (`leastEvents`), or,
//!   with fewer, the bad ones alone have spent the part of the budget this alert stands for; the
//!   budget is counted in events, of the traffic there is on average. So an application with a
//!   request a minute is neither blind nor noisy.

use atoll_model::Span;
use atoll_model::alerting::RuleItem;
use atoll_model::monitoring::Promise;

/// How often the short windows are evaluated.
pub(super) const FAST: Span = Span::seconds(30);
/// How often windows of hours and days are: less than the five minutes after which a series
/// counts as gone.
pub(super) const SLOW: Span = Span::seconds(120);
/// What everything is made of.
const BASE: Span = Span::seconds(300);

const HOUR: Span = Span::seconds(3600);

/// The recorded series of one objective.
pub const EVENTS: &str = "objective:events:increase5m";
/// Bad events over five minutes.
pub const BAD: &str = "objective:bad:increase5m";
/// The share of bad events over five minutes.
pub const BAD_5M: &str = "objective:bad:ratio_rate5m";
/// The share of bad events over the last hour.
pub const BAD_1H: &str = "objective:bad:ratio_rate1h";
/// All events there were in the promise's window.
pub const EVENTS_SO_FAR: &str = "objective:events:window";
/// All bad events there were in the promise's window.
pub const BAD_SO_FAR: &str = "objective:bad:window";
/// The events of a whole window, by the average of what there was of it.
pub const EVENTS_EXPECTED: &str = "objective:events:expected";
const EVENTS_SLOW: &str = "objective:events:sampled5m";
const BAD_SLOW: &str = "objective:bad:sampled5m";

/// One alert on a burning budget.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Burn {
    /// It matters over this time.
    pub long: Span,
    /// It goes on over this time.
    pub short: Span,
    /// So many times as fast as the budget allows.
    pub factor: f64,
    /// How urgent.
    pub severity: &'static str,
}

/// The windows of Google's SRE workbook, with the share of the budget each stands for.
const BURNS: [(u64, u64, f64, &str); 4] = [
    (3600, 300, 0.02, "page"),
    (6 * 3600, 1800, 0.05, "page"),
    (86_400, 2 * 3600, 0.10, "ticket"),
    (3 * 86_400, 6 * 3600, 0.10, "ticket"),
];

/// Nobody is woken for a budget that lasts more than half of its window at this rate.
const LEAST_PAGED: f64 = 2.0;

/// The alerts of a promise. A factor follows from the window: two hundredths of thirty days'
/// budget in an hour is 14.4 times. It is never less than 1, and for a page never less than 2,
/// unless its time is most of the window, in which the budget is then spent. Windows that are no
/// part of the promise's, or could never be reached, are left out.
pub(crate) fn burns(promise: &Promise) -> Vec<Burn> {
    let window = promise.window.0.max(HOUR.0);
    let mut burns = Vec::new();
    for (index, (long, short, share, severity)) in BURNS.into_iter().enumerate() {
        let (long, short) = (Span::seconds(long), Span::seconds(short));
        let is_part = long.0 * 2 <= window;
        let least = if severity == "page" && is_part { LEAST_PAGED } else { 1.0 };
        let factor = (share * window as f64 / long.0 as f64).max(least);
        let fits = index == 0 || is_part;
        if fits && factor * promise.allowed() < 1.0 {
            burns.push(Burn { long, short, factor, severity });
        }
    }
    burns
}

/// Selects the recorded series of one objective.
pub(crate) fn selector(deployment: &str, objective: &str) -> String {
    format!("{{deployment=\"{deployment}\",objective=\"{objective}\"}}")
}

fn record(
    metric: impl Into<String>,
    promise: &Promise,
    deployment: &str,
    expr: String,
) -> RuleItem {
    let labels = [("deployment", deployment), ("objective", promise.name.as_str())];
    RuleItem {
        record: Some(metric.into()),
        expr,
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..RuleItem::default()
    }
}

/// What is evaluated often: the base, windows up to an hour, and the first alert.
pub(super) fn fast(promise: &Promise, deployment: &str) -> Vec<RuleItem> {
    let item = |metric: String, expr| record(metric, promise, deployment, expr);
    let of = selector(deployment, &promise.name);
    let mut items = Vec::new();
    if let (Some(good), Some(total)) = (&promise.good, &promise.total) {
        items.push(item(EVENTS.into(), format!("sum(increase({total}[{BASE}]))")));
        // Where nothing was good there may be no series of it yet.
        let good = format!("(sum(increase({good}[{BASE}])) or vector(0))");
        items.push(item(
            BAD.into(),
            format!("clamp_min(sum(increase({total}[{BASE}])) - {good}, 0)"),
        ));
    } else {
        let slots = BASE.0 / FAST.0;
        items.push(item(BAD.into(), format!("{slots} * {}", bad_share(promise))));
        items.push(item(EVENTS.into(), format!("0 * {BAD}{of} + {slots}")));
    }
    for window in [BASE, Span::seconds(1800), HOUR] {
        items.push(item(ratio_name(window), ratio(window, &of)));
    }
    items.extend(alerts(promise, deployment).into_iter().take(1));
    items
}

/// What is evaluated seldom: longer windows, the promise's own, and the other alerts.
pub(super) fn slow(promise: &Promise, deployment: &str) -> Vec<RuleItem> {
    let item = |metric: String, expr| record(metric, promise, deployment, expr);
    let of = selector(deployment, &promise.name);
    let window = promise.window;
    let mut items = vec![
        item(EVENTS_SLOW.into(), format!("{EVENTS}{of}")),
        item(BAD_SLOW.into(), format!("{BAD}{of}")),
        item(EVENTS_SO_FAR.into(), count(EVENTS_SLOW, SLOW, window, &of)),
        item(BAD_SO_FAR.into(), count(BAD_SLOW, SLOW, window, &of)),
    ];
    let whole = window.0 as f64 / BASE.0 as f64;
    let expected = format!("avg_over_time({EVENTS_SLOW}{of}[{window}]) * {whole}");
    items.push(item(EVENTS_EXPECTED.into(), expected));
    let mut windows: Vec<Span> = burns(promise).iter().flat_map(|b| [b.long, b.short]).collect();
    windows.retain(|window| *window > HOUR);
    windows.sort();
    windows.dedup();
    items.extend(windows.into_iter().map(|window| item(ratio_name(window), ratio(window, &of))));
    items.extend(alerts(promise, deployment).into_iter().skip(1));
    items
}

fn ratio_name(window: Span) -> String {
    format!("objective:bad:ratio_rate{window}")
}

/// The number of events in a window: each evaluation stands for the time until the next.
fn count(metric: &str, every: Span, window: Span, of: &str) -> String {
    let weight = every.0 as f64 / BASE.0 as f64;
    format!("sum_over_time({metric}{of}[{window}]) * {weight}")
}

fn counts(window: Span, of: &str) -> (String, String) {
    let (bad, events, every) = match window.0 > 6 * HOUR.0 {
        true => (BAD_SLOW, EVENTS_SLOW, SLOW),
        false => (BAD, EVENTS, FAST),
    };
    (count(bad, every, window, of), count(events, every, window, of))
}

/// The share of bad events; none, where there were no events at all.
fn ratio(window: Span, of: &str) -> String {
    if window == BASE {
        return format!("{BAD}{of} / clamp_min({EVENTS}{of}, 0.000001)");
    }
    let (bad, events) = counts(window, of);
    format!("({bad}) / clamp_min({events}, 0.000001)")
}

/// The share that is bad, where only a share or a value is known. What is NaN is no data.
fn bad_share(promise: &Promise) -> String {
    let query = promise.query.replace("{{window}}", &BASE.to_string());
    match promise.bound() {
        Some(bound) => format!("max((({query}) >= -Inf) >= bool {bound})"),
        None => format!("clamp(1 - avg(({query}) >= -Inf), 0, 1)"),
    }
}

fn alerts(promise: &Promise, deployment: &str) -> Vec<RuleItem> {
    burns(promise).iter().map(|burn| alert(promise, deployment, burn)).collect()
}

fn alert(promise: &Promise, deployment: &str, burn: &Burn) -> RuleItem {
    let of = selector(deployment, &promise.name);
    let Burn { long, short, factor, severity } = burn;
    let plain = |share: f64| {
        let text = format!("{share:.9}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let (allowed, bound) = (plain(promise.allowed()), plain(factor * promise.allowed()));
    let times = plain(*factor);
    let (bad, events) = counts(*long, &of);
    let share = factor * long.0 as f64 / promise.window.0.max(HOUR.0) as f64;
    let part = share * promise.allowed();
    let (long_ratio, short_ratio) = (ratio_name(*long), ratio_name(*short));
    // One that counts by evaluations has as many events as there is data.
    let least = if promise.good.is_some() { promise.least_events } else { 0.0 };
    let enough = format!("(({events}) >= {least} or ({bad}) >= {part:.9} * {EVENTS_EXPECTED}{of})");
    // The value of the alert is how fast the budget goes.
    let expr = format!(
        "{long_ratio}{of} / {allowed} > {times} and {short_ratio}{of} > {bound} \
         and ({bad}) >= 1.5 and {enough}"
    );
    let name = &promise.name;
    let labels = [
        ("deployment", deployment),
        ("objective", name.as_str()),
        ("severity", severity),
        ("window", &long.to_string()),
    ];
    let summary = format!(
        "{deployment} spends the error budget of {name} \
         {{{{ $value | printf \"%.1f\" }}}} times too fast"
    );
    let text = format!(
        "More than {} of the events over {long} were bad; {} may be. \
         See atoll why objective/{deployment}.{name}",
        percent(factor * promise.allowed()),
        percent(promise.allowed())
    );
    let annotations = [("summary", summary), ("description", text)];
    RuleItem {
        alert: Some("BudgetBurn".to_owned()),
        expr,
        keep_firing_for: Some(Span(short.0.min(900_000))),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        annotations: annotations.map(|(key, value)| (key.to_owned(), value)).into(),
        ..RuleItem::default()
    }
}

/// A share in percent, as short as it is exact.
pub(crate) fn percent(share: f64) -> String {
    format!("{}%", crate::alerting::number::significant(share * 100.0, 4))
}
