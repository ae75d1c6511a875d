//! The number of instances over load traces: how often it was too low, and what it cost beside the
//! clairvoyant optimum and beside a reactive baseline. Instances take a minute to start.
//!
//! The table of all traces is printed by
//! `cargo test -p atoll-plan --release --test elasticity -- --nocapture`; without optimisation
//! there is no time for forecasts, and they are run without.

use atoll_model::{Span, Timestamp};
use atoll_plan::elasticity::ahead;
use atoll_plan::elasticity::decide::{EVERY, Needs, Question, decide};
#[cfg(not(debug_assertions))]
use atoll_plan::forecast::traces::random::{self, Random};
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
/// So many values of the past are looked at: those of 40 minutes.
const LOOKED: usize = 160;
/// Decisions in a minute.
const PARTS: i64 = MINUTE / EVERY.0 as i64;

/// What came of one way of deciding.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Minutes in which there was more load than instances carry, of all.
    violated: f64,
    /// Instance minutes over those of the optimum.
    cost: f64,
    /// The same over what is needed in each minute, as if instances were there at once.
    over: f64,
    /// How often the number was changed.
    changes: f64,
}

type Points<'p> = &'p [(Timestamp, f64)];

/// Decides from the loads up to now, one each 15 s, and how many there are to be since when.
type Decider<'a> = Box<dyn FnMut(Timestamp, Points, (u32, Option<Timestamp>)) -> u32 + 'a>;

/// Runs the last day of a trace.
fn run(trace: &Trace, loads: &[f64], mut decider: Decider) -> Outcome {
    let first = loads.len() - DAY;
    let mut points: Vec<(Timestamp, f64)> = Vec::new();
    let at = |minute: usize| Timestamp(trace.start + minute as i64 * MINUTE);
    for (minute, load) in loads.iter().enumerate().take(first).skip(first - LOOKED / PARTS as usize)
    {
        let time = |part: i64| Timestamp(at(minute).0 + part * EVERY.0 as i64);
        points.extend((0..PARTS).map(|part| (time(part), load / EACH)));
    }
    let mut wanted = ((loads[first - 1] / EACH).ceil() as u32).max(LEAST);
    let mut since = None;
    // When each instance serves.
    let mut instances: Vec<Timestamp> = vec![Timestamp(0); wanted as usize];
    let (mut violated, mut cost, mut changes) = (0_u32, 0.0, 0_u32);
    for (minute, load) in loads.iter().copied().enumerate().skip(first) {
        let serving = instances.iter().filter(|ready| **ready <= at(minute)).count();
        violated += u32::from(load > serving as f64 * EACH * 1.000_001);
        for part in 0..PARTS {
            let now = Timestamp(at(minute).0 + part * EVERY.0 as i64);
            points.push((now, load / EACH));
            let start = points.len().saturating_sub(LOOKED);
            let next = decider(now, &points[start..], (wanted, since)).clamp(LEAST, MOST);
            if next != wanted {
                (wanted, since) = (next, Some(now));
                changes += 1;
            }
            // The youngest go first.
            instances.truncate(wanted as usize);
            instances.resize(wanted as usize, now + START);
            cost += instances.len() as f64 / PARTS as f64;
        }
    }
    let (needed, begun) = optimum(&loads[first..]);
    Outcome {
        violated: f64::from(violated) / DAY as f64,
        cost: cost / (needed + begun),
        over: cost / needed,
        changes: f64::from(changes),
    }
}

/// What the clairvoyant optimum costs, who knows every minute and never has too few: the instance
/// minutes that are needed, and those in which instances start that are not there yet. It is under
/// the same rules as everybody: an instance costs from when it is begun, a minute before it serves.
/// One that is not needed for a minute or more may as well go and be begun again.
fn optimum(loads: &[f64]) -> (f64, f64) {
    let needs: Vec<f64> = loads.iter().map(|load| need(*load)).collect();
    let begun = needs.windows(2).map(|pair| (pair[1] - pair[0]).max(0.0));
    (needs.iter().sum(), begun.sum())
}

fn need(load: f64) -> f64 {
    (load / EACH).ceil().max(f64::from(LEAST))
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
            let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
            // What is known: the highest of whole stretches of five minutes until now.
            let known = loads[..minutes as usize].chunks_exact(5).enumerate();
            let time = |i: usize| Timestamp(trace.start + (i as i64 + 1) * 5 * MINUTE);
            let points = known.map(|(i, part)| (time(i), most(part))).collect();
            let series = vec![Series { points, ..Series::default() }];
            let answer = Answer { series, ..Answer::default() };
            // And each minute of the coming hour on the days before.
            let then = (1..=7).map(|days| minutes as usize - days * DAY);
            let then = then.flat_map(|from| from..from + 60);
            let end = |minute: usize| Timestamp(trace.start + (minute as i64 + 1) * MINUTE);
            let days: Vec<_> = then.map(|minute| (end(minute), loads[minute])).collect();
            forecast = Some(ahead::made(&answer, &days, now, &[]));
        }
        let signals = [Needs { name: "load", points, old: None }];
        let need = |forecast| ahead::need(forecast, EACH, now, START);
        decide(&Question {
            before: None,
            now,
            current,
            since,
            min: LEAST,
            max: MOST,
            floor: 0,
            peak: 0,
            expected: forecast.as_ref().and_then(need),
            signals: &signals,
            down_after: DOWN_AFTER,
            foreseen_after: START,
            start: START,
        })
        .desired
    })
}

/// One who knows all that happens but the chance of each minute: when a minute is measured, it is
/// too late to start for it. Nobody can do better than he does.
#[cfg(not(debug_assertions))]
struct Informed {
    /// For each minute of the last day how likely each number is too low, from the least on.
    too_low: Vec<Vec<f64>>,
    /// What the optimum costs.
    optimum: f64,
}

#[cfg(not(debug_assertions))]
impl Informed {
    fn of(random: &Random) -> Self {
        let (loads, times) = (scaled(&random.trace), times(&random.trace));
        let first = loads.len() - DAY;
        let chance = |minute, count| random.above(minute, f64::from(count) * EACH / times);
        let minute = |minute| (LEAST..=MOST).map(|count| chance(minute, count)).collect();
        let (needed, begun) = optimum(&loads[first..]);
        Self { too_low: (first..loads.len()).map(minute).collect(), optimum: needed + begun }
    }

    /// The share of minutes in which there are too few and what it costs over the optimum, if a
    /// minute of too few is worth so many instances for a minute. Starts are not counted.
    fn outcome(&self, worth: f64) -> (f64, f64) {
        let best = |chances: &Vec<f64>| {
            let cost = |count: usize| count as f64 + worth * chances[count];
            let count = (0..chances.len()).min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
            count.map_or((0.0, 0.0), |count| (chances[count], (LEAST as usize + count) as f64))
        };
        let minutes = self.too_low.iter().map(best);
        let (too_low, cost) = minutes.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (too_low / DAY as f64, cost / self.optimum)
    }

    /// What it costs at least over the optimum, on average, to have too few in no more than this
    /// share of minutes of all of them together.
    fn least_cost(all: &[Informed], share: f64) -> f64 {
        let mean = |worth: f64| {
            let outcomes = all.iter().map(|one| one.outcome(worth));
            let sum = outcomes.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            (sum.0 / all.len() as f64, sum.1 / all.len() as f64)
        };
        let (mut low, mut high) = (0.1_f64, 1e6_f64);
        for _ in 0..30 {
            let middle = (low * high).sqrt();
            match mean(middle).0 > share {
                true => low = middle,
                false => high = middle,
            }
        }
        mean(low).1
    }
}

/// By how much a trace is multiplied to be load for about [`MEAN`] instances.
fn times(trace: &Trace) -> f64 {
    let known = filled(trace);
    MEAN * EACH * known.len() as f64 / known.iter().sum::<f64>()
}

/// A trace as load for about [`MEAN`] instances; what was not measured is as it was before.
fn scaled(trace: &Trace) -> Vec<f64> {
    let times = times(trace);
    filled(trace).into_iter().map(|load| load * times).collect()
}

fn filled(trace: &Trace) -> Vec<f64> {
    let mut last = 0.0;
    let filled = trace.values.iter().map(|value| {
        last = value.filter(|v| v.is_finite() && (0.0..1e9).contains(v)).unwrap_or(last);
        last
    });
    filled.collect()
}

/// What it comes to over traces: with a forecast, without one, and the baseline.
fn mean(traces: &[Trace], predict: bool) -> [Outcome; 3] {
    let mut sums = [Outcome::default(); 3];
    let count = traces.len() as f64;
    for trace in traces {
        let loads = scaled(trace);
        let outcomes = [
            run(trace, &loads, own(trace, &loads, predict)),
            run(trace, &loads, own(trace, &loads, false)),
            run(trace, &loads, baseline(EACH * 0.9)),
        ];
        let mut line = format!("{:16}", trace.name);
        for (sum, outcome) in sums.iter_mut().zip(outcomes) {
            sum.violated += outcome.violated / count;
            sum.cost += outcome.cost / count;
            sum.over += outcome.over / count;
            sum.changes += outcome.changes / count;
            let violated = outcome.violated * 100.0;
            let Outcome { cost, over, changes, .. } = outcome;
            line += &format!("  {violated:6.2} % {cost:6.3} × ({over:.3}) {changes:4}");
        }
        println!("{line}");
    }
    let [own, blind, baseline] = sums;
    println!("all: own {own:?}, without forecast {blind:?}, baseline {baseline:?}");
    sums
}

#[test]
fn the_optimum_pays_for_what_starts_and_keeps_nothing() {
    let loads = [3.0, 5.0, 5.0, 3.0, 4.0, 1.0].map(|need| need * EACH);
    // Two start for the second minute, one for the fifth; two are the least.
    assert_eq!(optimum(&loads), (22.0, 3.0));
}

#[test]
fn the_number_follows_the_load_traces() {
    let optimised = !cfg!(debug_assertions);
    let mut traces = traces::all(5);
    traces.retain(|trace| trace.seasonal);
    let [own, _, baseline] = mean(&traces, optimised);
    assert!(own.cost <= baseline.cost, "it costs more: {own:?} against {baseline:?}");
    // A third as often as the baseline, where there is time to forecast.
    let forecast = (baseline.violated / 3.0).min(0.005);
    let most = if optimised { forecast } else { baseline.violated * 0.75 };
    assert!(own.violated <= most, "it is too low too often: {own:?} against {baseline:?}");
}

/// Others than those by which the planner's numbers were chosen. Many are so noisy that nobody
/// could be too low in half a percent of minutes for 1.15 times the optimum; where somebody could,
/// it is so.
#[cfg(not(debug_assertions))]
#[test]
fn the_number_follows_random_load_traces() {
    const FEW: f64 = 0.005;
    let random = random::all(2, 40);
    let informed: Vec<_> = random.iter().map(Informed::of).collect();
    let least = Informed::least_cost(&informed, FEW);
    println!("whoever knows all but chance pays {least:.3} for half a percent");
    assert!(least > 1.15, "it could be had for {least:.3}: more is to be asked for here");
    let quiet = |one: &Informed| Informed::least_cost(std::slice::from_ref(one), FEW) <= 1.15;
    let quiet: Vec<bool> = informed.iter().map(quiet).collect();
    let traces: Vec<Trace> = random.into_iter().map(|random| random.trace).collect();
    let [own, _, baseline] = mean(&traces, true);
    assert!(own.cost <= baseline.cost, "it costs more: {own:?} against {baseline:?}");
    let most = baseline.violated / 2.0;
    assert!(own.violated <= most, "it is too low too often: {own:?} against {baseline:?}");
    let mut quiet = quiet.into_iter();
    let traces: Vec<Trace> =
        traces.into_iter().filter(|_| quiet.next().unwrap_or_default()).collect();
    println!("those {} where it could be had:", traces.len());
    let [own, _, baseline] = mean(&traces, true);
    assert!(own.cost <= baseline.cost, "it costs more: {own:?} against {baseline:?}");
    assert!(own.violated <= FEW, "it is too low too often: {own:?}");
    assert!(own.cost <= 1.15, "it costs too much: {own:?}");
}
