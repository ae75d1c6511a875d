//! The number of instances over load traces: how often it was too low, and what it cost beside the
//! clairvoyant optimum and beside a reactive baseline. Instances take a minute to start.
//!
//! The table of all traces is printed by
//! `cargo test -p atoll-plan --release --test elasticity -- --nocapture`; without optimisation only
//! a few of them are run.

use atoll_model::{Span, Timestamp};
use atoll_plan::elasticity::ahead;
use atoll_plan::elasticity::decide::{EVERY, Needs, Question, decide};
use atoll_plan::forecast::traces::{self, Trace};
use atoll_plan::query::{Answer, Series};

/// What one instance carries.
const EACH: f64 = 100.0;
/// The mean of a trace, in instances.
const MEAN: f64 = 20.0;
const LEAST: u32 = 2;
const MOST: u32 = 400;
const START: Span = Span::seconds(60);
const DOWN_AFTER: Span = Span::seconds(300);
const MINUTE: i64 = 60_000;
const DAY: usize = 1440;
/// Decisions in a minute.
const PARTS: i64 = MINUTE / EVERY.0 as i64;

/// What came of one way of deciding.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Minutes in which there was more load than instances carry, of all.
    violated: f64,
    /// Instance minutes over those of the optimum.
    cost: f64,
}

type Points<'p> = &'p [(Timestamp, f64)];

/// Decides from the loads up to now, one each 15 s, and how many there are to be since when.
type Decider<'a> = Box<dyn FnMut(Timestamp, Points, (u32, Option<Timestamp>)) -> u32 + 'a>;

/// Runs the last day of a trace.
fn run(trace: &Trace, loads: &[f64], mut decider: Decider) -> Outcome {
    let first = loads.len() - DAY;
    let mut points: Vec<(Timestamp, f64)> = Vec::new();
    let at = |minute: usize| Timestamp(trace.start + minute as i64 * MINUTE);
    for (minute, load) in loads.iter().enumerate().take(first).skip(first - 20) {
        let time = |part: i64| Timestamp(at(minute).0 + part * EVERY.0 as i64);
        points.extend((0..PARTS).map(|part| (time(part), load / EACH)));
    }
    let mut wanted = ((loads[first - 1] / EACH).ceil() as u32).max(LEAST);
    let mut since = None;
    // When each instance serves.
    let mut instances: Vec<Timestamp> = vec![Timestamp(0); wanted as usize];
    let (mut violated, mut cost, mut optimum) = (0_u32, 0.0, 0.0);
    for (minute, load) in loads.iter().copied().enumerate().skip(first) {
        let serving = instances.iter().filter(|ready| **ready <= at(minute)).count();
        violated += u32::from(load > serving as f64 * EACH * 1.000_001);
        optimum += (load / EACH).ceil().max(f64::from(LEAST));
        for part in 0..PARTS {
            let now = Timestamp(at(minute).0 + part * EVERY.0 as i64);
            points.push((now, load / EACH));
            let start = points.len().saturating_sub(80);
            let next = decider(now, &points[start..], (wanted, since)).clamp(LEAST, MOST);
            if next != wanted {
                (wanted, since) = (next, Some(now));
            }
            // The youngest go first.
            instances.truncate(wanted as usize);
            instances.resize(wanted as usize, now + START);
            cost += instances.len() as f64 / PARTS as f64;
        }
    }
    Outcome { violated: f64::from(violated) / DAY as f64, cost: cost / optimum }
}

/// What users know: the ratio of what is and what is aimed at, a tolerance of a tenth, at most
/// double or four more in a step, and down to the most of five minutes.
fn baseline<'a>(target: f64) -> Decider<'a> {
    let mut asked: Vec<(Timestamp, u32)> = Vec::new();
    Box::new(move |now, points, (current, _)| {
        let load = points.last().map_or(0.0, |(_, need)| need * EACH);
        let ratio = load / target / f64::from(current);
        let desired = match (ratio - 1.0).abs() <= 0.1 {
            true => current,
            false => (load / target).ceil() as u32,
        };
        asked.push((now, desired));
        asked.retain(|(at, _)| now.since(*at) <= DOWN_AFTER);
        if desired > current {
            return desired.min((current * 2).max(current + 4));
        }
        asked.iter().map(|(_, desired)| *desired).max().unwrap_or(current).min(current)
    })
}

/// The planner's own way, with or without a forecast.
fn own<'a>(trace: &'a Trace, loads: &'a [f64], predict: bool) -> Decider<'a> {
    let mut forecast = None;
    Box::new(move |now, points, (current, since)| {
        let minutes = (now.0 - trace.start) / MINUTE;
        if predict && now.0 % (5 * MINUTE) == 0 {
            let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
            // What is known: whole stretches of five minutes until now.
            let known = loads[..minutes as usize].chunks_exact(5).enumerate();
            let time = |i: usize| Timestamp(trace.start + (i as i64 + 1) * 5 * MINUTE);
            let points = known.map(|(i, part)| (time(i), mean(part))).collect();
            let series = vec![Series { labels: Default::default(), points }];
            let answer = Answer { series, ..Answer::default() };
            forecast = Some(ahead::made(&answer, now));
        }
        let signals = [Needs { name: "load", points }];
        let lately = points.iter().map(|(_, need)| *need).fold(0.0, f64::max);
        let until = now + START + EVERY;
        let need = |forecast| ahead::need(forecast, EACH, lately, (now, until));
        decide(&Question {
            now,
            current,
            since,
            min: LEAST,
            max: MOST,
            floor: 0,
            expected: forecast.as_ref().and_then(need),
            signals: &signals,
            down_after: DOWN_AFTER,
            start: START,
        })
        .desired
    })
}

/// A trace as load for about [`MEAN`] instances; what was not measured is as it was before.
fn scaled(trace: &Trace) -> Vec<f64> {
    let mut last = 0.0;
    let mut loads: Vec<f64> = Vec::with_capacity(trace.values.len());
    for value in &trace.values {
        last = value.filter(|v| v.is_finite() && (0.0..1e9).contains(v)).unwrap_or(last);
        loads.push(last);
    }
    let mean = loads.iter().sum::<f64>() / loads.len() as f64;
    loads.iter_mut().for_each(|load| *load *= MEAN * EACH / mean);
    loads
}

#[test]
fn the_number_follows_the_load_traces() {
    let optimised = !cfg!(debug_assertions);
    let mut sums = [Outcome::default(); 3];
    let mut count = 0.0;
    let few = ["daily", "double peak", "business hours"];
    for trace in traces::all(5) {
        if !trace.seasonal || !(optimised || few.contains(&trace.name)) {
            continue;
        }
        let loads = scaled(&trace);
        let outcomes = [
            run(&trace, &loads, own(&trace, &loads, optimised)),
            run(&trace, &loads, own(&trace, &loads, false)),
            run(&trace, &loads, baseline(EACH * 0.9)),
        ];
        count += 1.0;
        let mut line = format!("{:16}", trace.name);
        for (sum, outcome) in sums.iter_mut().zip(outcomes) {
            sum.violated += outcome.violated;
            sum.cost += outcome.cost;
            let violated = outcome.violated * 100.0;
            line += &format!("  {violated:6.2} % {:6.3} ×", outcome.cost);
        }
        println!("{line}");
    }
    let mean = |sum: Outcome| (sum.violated / count, sum.cost / count);
    let [own, blind, baseline] = sums.map(mean);
    println!("all: own {own:?}, without forecast {blind:?}, baseline {baseline:?}");
    assert!(own.1 <= baseline.1, "it costs more: {own:?} against {baseline:?}");
    let most = if optimised { baseline.0 } else { 0.015 };
    assert!(own.0 <= most, "it is too low more often: {own:?} against {baseline:?}");
}
