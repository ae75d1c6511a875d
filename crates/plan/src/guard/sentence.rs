//! Puts evidence into a sentence a person reads at night, and groups of samples into a summary.
//! Every number that leaves here is finite.

use atoll_model::guard::{Signal, SignalKind, Summary, Worse};
use atoll_model::many;

use super::contrast::{Against, Contrast};
use super::grid::{Frame, Row, Rows, Scale};
use super::level::Finding;
use super::statistics::quantile;

/// What changed instances were before and are now, and what the others are.
pub(super) struct Summaries {
    pub before: Option<Summary>,
    pub after: Option<Summary>,
    pub unchanged: Option<Summary>,
}

/// At most so many rows are summed up: more of them change no digit.
const ENOUGH: usize = 200;

impl Summaries {
    pub fn of(rows: &Rows, frame: &Frame, scale: Scale, only: Option<&str>) -> Summaries {
        let changed: Vec<&Row> = rows
            .changed
            .iter()
            .filter(|row| only.is_none_or(|only| row.instance == only))
            .collect();
        let unchanged: Vec<&Row> = rows.unchanged.iter().collect();
        let before = |row: &Row| row.known(0, row.before.min(frame.since));
        let after = |row: &Row| row.known(row.after, frame.count);
        let start = changed.iter().map(|row| row.after).min().unwrap_or(frame.since);
        Summaries {
            before: summary(&changed, scale, before),
            after: summary(&changed, scale, after),
            unchanged: summary(&unchanged, scale, |row| row.known(start, frame.count)),
        }
    }
}

fn summary(rows: &[&Row], scale: Scale, known: impl Fn(&Row) -> Vec<f64>) -> Option<Summary> {
    let (mut values, mut instances) = (Vec::new(), 0);
    let stride = rows.len().div_ceil(ENOUGH).max(1);
    for row in rows.iter().step_by(stride) {
        let own = known(row);
        instances += u32::from(!own.is_empty());
        values.extend(own.into_iter().map(|value| scale.back(value)));
    }
    let samples = u32::try_from(values.len()).unwrap_or(u32::MAX);
    let mut at = |share| quantile(&mut values, share).map(finite);
    Some(Summary {
        median: at(0.5)?,
        low: at(0.1)?,
        high: at(0.9)?,
        samples,
        instances: if stride > 1 { rows.len() as u32 } else { instances },
    })
}

/// A hundred times as much and more is next to nothing before, and no percentage tells more.
const BEYOND: f64 = 100.0;

/// Stored objects hold no infinities.
pub(super) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// What a value is called, by the signal.
fn written(signal: &Signal, value: f64) -> String {
    match signal.measure {
        SignalKind::Errors => format!("{} %", short(100.0 * value)),
        SignalKind::Latency if signal.query.contains("seconds") && value < 1.0 => {
            format!("{} ms", short(1000.0 * value))
        }
        SignalKind::Latency if signal.query.contains("seconds") => format!("{} s", short(value)),
        _ if signal.query.contains("_bytes") => format!("{} MB", short(value / 1e6)),
        _ => short(value),
    }
}

/// Three digits.
fn short(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        // Below that it is what was left of a subtraction.
        _ if size < 1e-9 => return "0".to_owned(),
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ if size >= 0.001 => 4,
        _ => return format!("{value:.1e}"),
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn count(instances: u32, what: &str) -> String {
    many(instances, &format!("{what} instance"))
}

/// What is measured, in words. A promise is named after what is good, and measured by what is bad.
fn subject(signal: &Signal) -> String {
    match signal.measure {
        SignalKind::Errors if signal.worse == Worse::Lower => signal.name.clone(),
        SignalKind::Errors if signal.name != "errors" => format!("{}: the bad share", signal.name),
        _ => signal.name.clone(),
    }
}

/// The sentence for a level, a leak or one bad instance.
pub(super) fn level(
    signal: &Signal,
    found: &Finding,
    sums: &Summaries,
    contrast: &Contrast,
    effect: f64,
) -> String {
    let Some(after) = sums.after else { return format!("{}: no values yet", signal.name) };
    let name = subject(signal);
    let who = match &found.instance {
        Some(instance) => format!("updated instance {instance}"),
        None => count(after.instances, "updated"),
    };
    let now = written(signal, after.median);
    let mut said = match sums.before {
        Some(before) if !contrast.crossed => {
            let then = written(signal, before.median);
            let moved = if then == now {
                format!("stayed at {now}")
            } else if after.median > before.median {
                format!("rose from {then} to {now}")
            } else {
                format!("fell from {then} to {now}")
            };
            format!("{name} of {who} {moved}")
        }
        _ => format!("{name} of {who} is {now}"),
    };
    if effect.abs() > BEYOND {
        said += " (far more than before, put down to the release)";
    } else if signal.measure != SignalKind::Errors || sums.before.is_some_and(|b| b.median > 0.0) {
        said += &format!(" ({:+.0} % put down to the release)", 100.0 * effect);
    }
    said += &match (contrast.against, sums.unchanged) {
        (Against::Unchanged(_), Some(other)) => {
            let word = written(signal, other.median);
            format!("; {} at {word}", count(other.instances, "unchanged"))
        }
        (Against::Days, _) => "; compared with earlier days".to_owned(),
        _ => "; there is nothing unchanged to compare with".to_owned(),
    };
    if found.points > 1 {
        said += &format!("; {} points in a row", found.points);
    }
    if !found.note.is_empty() {
        said += &format!("; {}", found.note);
    }
    said
}

/// The sentence for events.
pub(super) fn events(signal: &Signal, found: &Finding, rows: &Rows, frame: &Frame) -> String {
    let chosen = |row: &&Row| found.instance.as_deref().is_none_or(|one| row.instance == one);
    let sum = |values: Vec<f64>| values.iter().sum::<f64>();
    let changed: Vec<&Row> = rows.changed.iter().filter(chosen).collect();
    let after: f64 = changed.iter().map(|row| sum(row.known(row.after, frame.count))).sum();
    let before: f64 =
        changed.iter().map(|row| sum(row.known(0, row.before.min(frame.since)))).sum();
    let other: f64 =
        rows.unchanged.iter().map(|row| sum(row.known(frame.since, frame.count))).sum();
    let minutes =
        |from: usize, to: usize| (to.saturating_sub(from) as i64 * frame.width / 60_000).max(1);
    let start = changed.iter().map(|row| row.after).min().unwrap_or(frame.since);
    let who = match &found.instance {
        Some(instance) => format!("updated instance {instance}"),
        None => count(changed.len() as u32, "updated"),
    };
    let mut said = format!(
        "{}: {} in {} min on {who}, {} in {} min before",
        signal.name,
        short(after),
        minutes(start, frame.count),
        short(before),
        minutes(0, frame.since),
    );
    if !rows.unchanged.is_empty() {
        let many = count(rows.unchanged.len() as u32, "unchanged");
        said += &format!("; {} on {many} since", short(other));
    }
    if !found.note.is_empty() {
        said += &format!("; {}", found.note);
    }
    said
}
