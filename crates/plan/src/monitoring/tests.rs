//! Tests of what the prober sees and of what promises become.

use std::collections::BTreeMap;

use atoll_model::Span;
use atoll_model::monitoring::{MonitorProbe, MonitorStatus, Promise};

use super::*;
use crate::Measurements;
use crate::testing::world;

fn promise(target: &str, window: &str) -> Promise {
    let value = serde_json::json!({
        "name": "success", "good": "ok", "total": "all", "target": target, "window": window,
    });
    serde_json::from_value(value).unwrap()
}

#[test]
fn burn_rates_follow_from_the_window() {
    let burns = |target, window| -> Vec<(Span, f64)> {
        let burns = series::burns(&promise(target, window));
        burns.into_iter().map(|b| (b.long, (b.factor * 100.0).round() / 100.0)).collect()
    };
    let hours = |n: u64| Span::seconds(n * 3600);
    let usual = [(hours(1), 14.4), (hours(6), 6.0), (hours(24), 3.0), (hours(72), 1.0)];
    assert_eq!(burns("99.9%", "30d"), usual);
    let week = [(hours(1), 3.36), (hours(6), 2.0), (hours(24), 1.0), (hours(72), 1.0)];
    assert_eq!(burns("99.9%", "7d"), week);
    // Who is woken has less than half of the window left; in an hour's own hour all is spent.
    assert_eq!(burns("99.9%", "1d"), [(hours(1), 2.0), (hours(6), 2.0)]);
    assert_eq!(burns("99.9%", "1h"), [(hours(1), 1.0)]);
    // Of what may be bad in half of all cases, no share is fourteen times too much.
    assert_eq!(burns("50%", "30d"), [(hours(72), 1.0)]);
}

#[test]
fn an_alert_needs_both_windows_and_enough_events() {
    let items = series::fast(&promise("99.9%", "30d"), "web.prod");
    let alert = items.iter().find(|item| item.alert.is_some()).unwrap();
    let of = "{deployment=\"web.prod\",objective=\"success\"}";
    let (bad, events) = ("objective:bad:increase5m", "objective:events:increase5m");
    let expected = format!(
        "objective:bad:ratio_rate1h{of} / 0.001 > 14.4 and objective:bad:ratio_rate5m{of} > 0.0144 \
         and (sum_over_time({bad}{of}[1h]) * 0.1) >= 1.5 \
         and ((sum_over_time({events}{of}[1h]) * 0.1) >= 10 \
         or (sum_over_time({bad}{of}[1h]) * 0.1) >= 0.000020000 * objective:events:expected{of})"
    );
    assert_eq!(alert.expr, expected);
    // The value is how fast the budget goes, which is what people are told.
    let facts = crate::alerting::template::Facts { labels: &BTreeMap::new(), value: 20.26 };
    let said = crate::alerting::template::expand(&alert.annotations["summary"], facts);
    let fast = "web.prod spends the error budget of success 20.3 times too fast";
    assert_eq!(said, (fast.to_owned(), None));
}

#[test]
fn what_is_bounded_is_bad_or_not() {
    let value = serde_json::json!({
        "name": "fast", "query": "latency[{{window}}]", "below": "300ms",
    });
    let promise: Promise = serde_json::from_value(value).unwrap();
    let items = series::fast(&promise, "web.prod");
    assert_eq!(items[0].expr, "10 * max(((latency[5m]) >= -Inf) >= bool 0.3)");
    assert_eq!(items[0].labels.get("objective").map(String::as_str), Some("fast"));
}

fn monitor() -> Object<Monitor> {
    let urls = vec!["http://a".to_owned(), "http://b".to_owned()];
    let spec = serde_json::json!({ "probe": MonitorProbe::Scrape { urls } });
    Object::new("site", serde_json::from_value(spec).unwrap())
}

fn result(target: &str, failures: u32, problem: &str) -> TargetResult {
    TargetResult {
        target: target.to_owned(),
        up: failures == 0,
        problem: Some(problem.to_owned()),
        failures,
        refused: None,
    }
}

/// What is written after these results, one after another.
fn statuses(rounds: &[[TargetResult; 2]]) -> Vec<Option<MonitorStatus>> {
    let mut world = world([Any::Monitor(Arc::new(monitor()))]);
    let measured = Measurements::default();
    let mut said = Vec::new();
    for (at, round) in rounds.iter().enumerate() {
        let now = atoll_model::Timestamp(1000 * at as i64);
        let plan = observed(&Context { world: &world, measured: &measured, now }, "site", round);
        for write in &plan.writes {
            crate::follow::apply(&mut world, write);
        }
        let status = &world.get::<Monitor>("site").unwrap().status;
        said.push((!plan.writes.is_empty()).then(|| status.clone()));
    }
    said
}

#[test]
fn one_that_never_answered_is_not_up_and_what_is_not_kept_of_another_is_said() {
    let full = |target: &str| TargetResult {
        refused: Some("3 series are beyond the limit of 2".to_owned()),
        ..result(target, 0, "")
    };
    let said = statuses(&[
        [result("http://a", 1, "no route"), result("http://b", 1, "no route")],
        [result("http://a", 2, "no route"), full("http://b")],
        [result("http://a", 3, "no route"), full("http://b")],
    ]);
    assert_eq!(said[0].as_ref().map(|s| (s.phase, s.up)), None, "nothing is known yet");
    let status = said[1].as_ref().unwrap();
    assert_eq!((status.phase, status.up, status.down), (MonitorPhase::Degraded, 1, 1));
    let codes: Vec<&str> = status.reasons.iter().map(|r| r.code.as_str()).collect();
    assert_eq!(codes, ["target-down", "samples-refused"]);
    assert!(said[2].is_none());
}

#[test]
fn a_monitor_is_written_when_something_changes_only() {
    let said = statuses(&[
        [result("http://a", 0, ""), result("http://b", 0, "")],
        [result("http://a", 0, ""), result("http://b", 1, "no route")],
        [result("http://a", 0, ""), result("http://b", 2, "no route")],
        [result("http://a", 0, ""), result("http://b", 3, "timed out after 5.1s")],
        [result("http://a", 0, ""), result("http://b", 4, "timed out after 5.2s")],
        [result("http://a", 2, "no route"), result("http://b", 4, "no route")],
        [result("http://a", 0, ""), result("http://b", 0, "")],
    ]);
    let phases: Vec<_> = said.iter().map(|s| s.as_ref().map(|s| s.phase)).collect();
    let (up, degraded, down) = (MonitorPhase::Up, MonitorPhase::Degraded, MonitorPhase::Down);
    assert_eq!(
        phases,
        [Some(up), None, Some(degraded), Some(degraded), None, Some(down), Some(up)]
    );
    let degraded = said[2].as_ref().unwrap();
    assert_eq!((degraded.up, degraded.down), (1, 1));
    assert_eq!(degraded.reasons[0].message, "http://b is down: no route");
    let other = said[3].as_ref().unwrap();
    assert_eq!(other.reasons[0].message, "http://b is down: timed out after 5.1s");
}
