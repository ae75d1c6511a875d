//! What is seen of a peak while it is there: kept in its status turn after turn, so that whichever
//! server goes on, goes on from there. A time in which no server looked is told as not looked at.

use std::sync::Arc;

use atoll_model::alerting::AlertPhase;
use atoll_model::budget::{Money, worth};
use atoll_model::monitoring::ObjectivePhase;
use atoll_model::peak::{PeakReport, PeakStatus};
use atoll_model::{Alert, Decision, Object, Snapshot, Span, Timestamp};

use super::{EVERY, hosts, now_of, ready};
use crate::Context;
use crate::budget::book::{self, Book};
use crate::budget::scope;

/// Of what comes in numbers, so many are named.
const NAMED: usize = 100;
/// What lasted longer since the last turn was not looked at.
const GAP: Span = Span(EVERY.0 * 5);

/// The load of a deployment, as it was in the last minute.
pub(super) fn load(cx: &Context, deployment: &str) -> Option<f64> {
    let answer = cx.measured.answers.get(&now_of(deployment))?.as_ref().ok()?;
    let (_, load) = answer.series.first()?.points.last()?;
    (load.is_finite() && *load >= 0.0).then_some(*load)
}

/// Adds what was seen since the last turn, of a peak that was declared at that time.
pub(super) fn watch(
    cx: &Context,
    declared: Option<Timestamp>,
    environment: &str,
    status: &mut PeakStatus,
) {
    let times = status.times;
    if cx.now < times.starts {
        status.report = None;
        return;
    }
    let mut report =
        status.report.take().unwrap_or(PeakReport { until: times.starts, ..PeakReport::default() });
    // Who gives one that was over a later end has it there again.
    report.closed &= cx.now >= times.back;
    if report.closed {
        status.report = Some(report);
        return;
    }
    let over = cx.now > times.ends + EVERY;
    if over && report.applications.is_empty() {
        // Nobody looked while it was there: what is so afterwards is nothing of it.
        report.closed = cx.now >= times.back;
        status.report = Some(report);
        return;
    }
    let to = cx.now.min(times.back);
    let passed = to.since(report.until);
    let passed = if passed > GAP { GAP } else { passed };
    if !over {
        seen(status, cx.now, &mut report);
        broken(cx, status, passed, &mut report);
        let since = times.scale.max(declared.unwrap_or_default());
        told(cx, status, (since, times.ends), &mut report);
    }
    spent(cx, status, passed, &mut report);
    let there = u32::try_from(hosts::open(cx.world, environment).count()).unwrap_or(u32::MAX);
    report.hosts = report.hosts.max(there);
    report.until = to;
    report.closed = cx.now >= times.back;
    status.report = Some(report);
}

/// What of a report is written as soon as it is seen, since it may be gone before the next write:
/// none of it changes often. The highest load is in the next minute's too.
pub(super) fn extremes(report: &PeakReport) -> (bool, u32, Vec<(u32, u32)>, usize, usize) {
    let served = report.applications.values().map(|one| (one.least, one.most)).collect();
    (report.closed, report.hosts, served, report.alerts.len(), report.decisions.len())
}

fn seen(status: &PeakStatus, now: Timestamp, report: &mut PeakReport) {
    for row in &status.applications {
        let first = !report.applications.contains_key(&row.deployment);
        let one = report.applications.entry(row.deployment.clone()).or_default();
        one.expected = row.expected;
        if row.load.is_some_and(|load| one.highest.is_none_or(|highest| load > highest)) {
            (one.highest, one.at) = (row.load, Some(now));
        }
        one.least = if first { row.have } else { one.least.min(row.have) };
        one.most = one.most.max(row.have);
    }
}

fn broken(cx: &Context, status: &PeakStatus, passed: Span, report: &mut PeakReport) {
    for objective in ready::objectives(cx, status) {
        let bad = matches!(objective.status.phase, ObjectivePhase::Burning | ObjectivePhase::Spent);
        // Of one that was never broken too: what has none promises nothing.
        let broken = report.broken.entry(objective.meta.name.clone()).or_default();
        *broken += if bad { passed.0 } else { 0 };
    }
}

fn spent(cx: &Context, status: &PeakStatus, passed: Span, report: &mut PeakReport) {
    for currency in book::currencies(cx.world, cx.now) {
        let book = Book::of(cx.world, currency, cx.now);
        let rows = status.applications.iter();
        let rate = rows.map(|row| scope::rate(cx.world, &book, &row.deployment)).sum();
        let more = worth(rate, passed, 0).0;
        if let Some(sum) = report.spent.get_mut(currency) {
            *sum = *sum + more;
        } else if more != Money(0) || report.spent.is_empty() {
            // What nothing was paid in is not told beside what was.
            report.spent.insert(currency.to_owned(), more);
        }
    }
}

/// What fired and what was decided about it, each once.
fn told(
    cx: &Context,
    status: &PeakStatus,
    (since, ends): (Timestamp, Timestamp),
    report: &mut PeakReport,
) {
    let mine = |name: &str| {
        let rows = status.applications.iter();
        let mut all = rows.map(|row| &row.deployment);
        all.any(|of| is_of(name, of))
    };
    let within = |at: Option<Timestamp>| at.is_some_and(|at| at >= since && at < ends);
    let decided = cx.world.all::<Decision>().filter(|decision| {
        is_about(&decision.spec.subject, mine) && within(decision.meta.created_at)
    });
    for decision in decided {
        note(&mut report.decisions, decision.name());
    }
    for alert in firing(cx.world, mine) {
        note(&mut report.alerts, alert.name());
    }
}

/// Whether a name is that of a deployment, or of something of it.
pub(super) fn is_of(name: &str, deployment: &str) -> bool {
    name.strip_prefix(deployment).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn is_about(subject: &str, mine: impl Fn(&str) -> bool) -> bool {
    subject.split_once('/').is_some_and(|(_, name)| mine(name))
}

/// The alerts that fire about what passes.
pub(super) fn firing<'a>(
    world: &'a Snapshot,
    mine: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = &'a Arc<Object<Alert>>> {
    world.all::<Alert>().filter(move |alert| {
        let of = alert.spec.labels.get("deployment").is_some_and(|of| mine(of));
        let of = of || alert.spec.subject.as_deref().is_some_and(|it| is_about(it, &mine));
        of && alert.status.phase == AlertPhase::Firing
    })
}

fn note(all: &mut Vec<String>, name: &str) {
    if all.len() < NAMED && !all.iter().any(|known| known == name) {
        all.push(name.to_owned());
    }
}
