//! Plays recorded changes forward: at every moment the judge sees what was known by then. Says how
//! often it was right. Files are read by the server's `replay.rs`.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::guard::Verdict;
use atoll_model::{Span, Timestamp};
use serde::Serialize;

use super::case::{Case, CaseSeries, ChangeStep, Label};
use super::{Day, Observation, Observed, Past, Track, judge};

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The case.
    pub name: String,
    /// What kind of change it is.
    pub class: String,
    /// What it is known to be.
    pub label: Label,
    /// The verdict it ended with.
    pub verdict: Verdict,
    /// The verdict that would have been right, if the case says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Verdict>,
    /// From the change to the verdict that stopped it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_after: Option<Span>,
    /// A step ended without enough data, so that a person was asked.
    pub interrupted: bool,
    /// Why, in one sentence.
    pub message: String,
}

impl Outcome {
    /// A bad change was let through, or a good one stopped.
    pub fn is_wrong(&self) -> bool {
        (self.label == Label::Bad) != self.stopped_after.is_some()
    }
}

/// How good the verdicts are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// Cases.
    pub cases: u32,
    /// Of them, bad.
    pub bad: u32,
    /// Bad ones that were stopped.
    pub caught: u32,
    /// Good ones that were stopped.
    pub disturbed: u32,
    /// Good ones where a person was asked for lack of data.
    pub interrupted: u32,
    /// Caught of the bad, 0 to 1; 1 where there are none.
    pub recall: f64,
    /// Caught of the stopped; 1 where there are none.
    pub precision: f64,
    /// Disturbed of all.
    pub disturbance: f64,
    /// From the change to the stop of a bad one: half of them within this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_time: Option<Span>,
    /// Nine tenths within this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_time: Option<Span>,
}

impl Score {
    /// Of these outcomes.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Score {
        let mut score = Score::default();
        let mut times = Vec::new();
        for outcome in outcomes {
            score.cases += 1;
            match (outcome.label, outcome.stopped_after) {
                (Label::Bad, after) => {
                    score.bad += 1;
                    score.caught += u32::from(after.is_some());
                    times.extend(after);
                }
                (Label::Good, Some(_)) => score.disturbed += 1,
                (Label::Good, None) => score.interrupted += u32::from(outcome.interrupted),
            }
        }
        let share = |part: u32, of: u32, empty: f64| {
            if of == 0 { empty } else { f64::from(part) / f64::from(of) }
        };
        score.recall = share(score.caught, score.bad, 1.0);
        score.precision = share(score.caught, score.caught + score.disturbed, 1.0);
        score.disturbance = share(score.disturbed, score.cases, 0.0);
        times.sort_unstable();
        let at = |tenths: usize| times.get((times.len() * tenths / 10).min(times.len().max(1) - 1));
        score.median_time = at(5).copied();
        score.slow_time = at(9).copied();
        score
    }
}

/// One point after the other, as they came.
type Points = Vec<(Timestamp, f64)>;

/// One signal of one instance on one day, of all pieces it was recorded in.
struct Recorded<'a> {
    signal: usize,
    instance: &'a str,
    day: i32,
    points: Points,
}

/// Plays one case.
pub fn replay(case: &Case) -> Outcome {
    let signals: BTreeMap<&str, usize> =
        case.signals.iter().enumerate().map(|(i, signal)| (signal.name.as_str(), i)).collect();
    let today = recorded(&case.series, &signals);
    let earlier = recorded(&case.background, &signals);
    let whole = [ChangeStep { at: case.change.at, instances: Vec::new() }];
    let told = case.change.steps.iter().any(|step| !step.instances.is_empty());
    let given = if case.change.steps.is_empty() { &whole[..] } else { &case.change.steps };
    let steps: Vec<&ChangeStep> =
        given.iter().filter(|step| !told || !step.instances.is_empty()).collect();
    let newest = today.iter().filter_map(|r| r.points.last()).map(|point| point.0).max();
    let soaked = steps.last().map(|step| step.at + case.change.soak);
    let end = soaked.into_iter().chain(newest).min().unwrap_or(case.change.at);
    let every = every(case);
    let mut outcome = Outcome {
        name: case.name.clone(),
        class: case.class.clone(),
        label: case.label,
        verdict: Verdict::InsufficientData,
        expected: case.expected,
        stopped_after: None,
        interrupted: false,
        message: "there are no values after the change".to_owned(),
    };
    for (i, step) in steps.iter().enumerate() {
        let until = (step.at + case.change.soak).min(end);
        let until = steps.get(i + 1).map_or(until, |next| until.min(next.at));
        let mut now = step.at;
        loop {
            now = (now + every).min(until);
            let seen = observation(case, &steps[..=i], &today, &earlier, now, until);
            let judged = judge(&seen, &case.rules);
            outcome.verdict = judged.verdict;
            outcome.message = judged.message;
            if matches!(judged.verdict, Verdict::Stop | Verdict::RollBack) {
                outcome.stopped_after = Some(now.since(case.change.at));
                return outcome;
            }
            if now >= until {
                break;
            }
        }
        outcome.interrupted |= outcome.verdict == Verdict::InsufficientData;
    }
    outcome
}

fn recorded<'a>(all: &'a [CaseSeries], signals: &BTreeMap<&str, usize>) -> Vec<Recorded<'a>> {
    let mut pieces: BTreeMap<(usize, &str, i32), Points> = BTreeMap::new();
    for series in all {
        let Some(signal) = signals.get(series.signal.as_str()) else { continue };
        let known = pieces.entry((*signal, &series.instance, series.day)).or_default();
        known.extend(series.points());
    }
    let one = |((signal, instance, day), mut points): ((usize, &'a str, i32), Points)| {
        // Of two values of one moment the first counts.
        points.sort_by_key(|point| point.0);
        points.dedup_by_key(|point| point.0);
        Recorded { signal, instance, day, points }
    };
    pieces.into_iter().map(one).collect()
}

/// As often as there is something new, but at most every 15 seconds and at least every minute.
fn every(case: &Case) -> Span {
    let step = case.series.iter().map(|series| series.step.0).min().unwrap_or(15_000);
    Span(step.clamp(15_000, 60_000))
}

fn observation<'a>(
    case: &'a Case,
    steps: &[&'a ChangeStep],
    today: &'a [Recorded],
    earlier: &'a [Recorded],
    now: Timestamp,
    until: Timestamp,
) -> Observation<'a> {
    let mut changed: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for step in steps {
        for instance in &step.instances {
            changed.entry(instance).or_insert(step.at);
        }
    }
    let mut signals: Vec<Observed> = case
        .signals
        .iter()
        .map(|signal| Observed {
            signal: signal.signal(),
            changed: Vec::new(),
            unchanged: Vec::new(),
            background: Vec::new(),
            whole: Vec::new(),
            failed: None,
        })
        .collect();
    for recorded in today {
        let Some(observed) = signals.get_mut(recorded.signal) else { continue };
        let instance = recorded.instance;
        let changed_at = changed.get(instance).copied();
        let track = Track { instance, changed_at, points: known(&recorded.points, now) };
        match changed_at {
            _ if instance.is_empty() => {
                observed.whole.push(Track { changed_at: Some(case.change.at), ..track });
            }
            Some(_) => observed.changed.push(track),
            None => observed.unchanged.push(track),
        }
    }
    let days: BTreeSet<u32> = earlier.iter().map(|r| r.day.unsigned_abs()).collect();
    for ago in days {
        for (i, observed) in signals.iter_mut().enumerate() {
            let of = earlier.iter().filter(|r| r.signal == i && r.day.unsigned_abs() == ago);
            let tracks: Vec<Track> = of
                .map(|r| Track { instance: r.instance, changed_at: None, points: &r.points })
                .collect();
            if !tracks.is_empty() {
                observed.background.push(Day { ago, tracks });
            }
        }
    }
    Observation {
        signals,
        step_at: steps.last().map_or(case.change.at, |step| step.at),
        since: case.change.at,
        soak_until: Some(until),
        history: case.history.iter().map(past).collect(),
        now,
    }
}

fn past(past: &super::case::CasePast) -> Past {
    Past {
        signal: past.signal.clone(),
        effect: past.effect,
        verdict: past.verdict,
        right: past.right,
    }
}

fn known(points: &[(Timestamp, f64)], now: Timestamp) -> &[(Timestamp, f64)] {
    &points[..points.partition_point(|point| point.0 <= now)]
}
