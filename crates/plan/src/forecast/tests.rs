//! Tests of the forecast as a whole, on made-up traces.

use super::traces::{self, Chance, Trace};
use super::*;

/// Without optimisation not every trace is looked at: it takes long.
const EACH: usize = if cfg!(debug_assertions) { 6 } else { 1 };
const MINUTE: i64 = 60_000;
const STEPS: usize = 1440;

fn named(name: &str, seed: u64) -> Trace {
    traces::all(seed).into_iter().find(|trace| trace.name == name).expect("a trace of that name")
}

fn of(trace: &Trace) -> Series<'_> {
    Series { start: trace.start, step: trace.step, values: &trace.values }
}

/// The trace up to so many steps before its end.
fn cut(trace: &Trace, by: usize) -> Series<'_> {
    let values = &trace.values[..trace.values.len() - by];
    Series { start: trace.start, step: trace.step, values }
}

/// A smooth day with a little noise, for so many days.
fn days(count: usize) -> Vec<Option<f64>> {
    let mut chance = Chance::new(7);
    let day = |at: usize| 100.0 - 50.0 * (std::f64::consts::TAU * at as f64 / 1440.0).cos();
    (0..count * STEPS).map(|at| Some(day(at) * (0.03 * chance.normal()).exp())).collect()
}

fn run(values: &[Option<f64>], horizon: usize) -> Result<Forecast, Refused> {
    forecast(&Series { start: 0, step: MINUTE, values }, &[], horizon, 15)
}

#[test]
fn a_season_is_forecast_a_tenth_better_than_repeating() {
    for trace in traces::all(11).iter().filter(|trace| trace.seasonal).step_by(EACH) {
        let found = forecast(&of(trace), &[], 30, 15).expect(trace.name);
        let (own, best) = (found.accuracy.wape, found.accuracy.best_simple());
        assert!(own <= 0.9 * best, "{}: {own} against {best}", trace.name);
    }
}

#[test]
fn without_a_season_it_says_so() {
    for trace in traces::all(3).iter().filter(|trace| !trace.seasonal) {
        let why = forecast(&of(trace), &[], 30, 15).expect_err(trace.name);
        match why {
            Refused::Constant { value } => assert_eq!(value, 42.0),
            Refused::NoPattern { own, last } => assert!(own > 0.9 * last),
            other => panic!("{}: {other}", trace.name),
        }
    }
}

/// What was said about the past must not change with what came after.
#[test]
fn the_past_is_forecast_without_what_came_after() {
    for (length, name) in
        [(28, "weekly"), (28, "frozen"), (28, "outages"), (3, "gaps"), (9, "lunch")]
    {
        let trace = named(name, 5);
        let values = &trace.values[..length * STEPS];
        let from = first(values.len(), Pace { day: STEPS }, if length < 14 { 1 } else { MEASURED });
        let known = values.len() - STEPS / 2;
        let mut changed = values.to_vec();
        for (at, value) in changed.iter_mut().enumerate().skip(known) {
            *value = if at % 3 == 0 { None } else { Some(900.0 + (at % 50) as f64) };
        }
        let said = |values: &[Option<f64>], lead: usize| {
            let series = Series { start: 0, step: MINUTE, values };
            let clean = clean(&series, &[], 60);
            Model::new(&clean, Pace { day: STEPS }, from).try_out(lead, 1).said
        };
        for lead in [1, 15, 600, 1440] {
            let (one, two) = (said(values, lead), said(&changed, lead));
            let before = |(time, _): &&(usize, f64)| *time - lead < known;
            let one: Vec<_> = one.iter().filter(before).collect();
            let two: Vec<_> = two.iter().filter(before).collect();
            assert!(one.len() > STEPS / 3);
            assert_eq!(one, two, "{name}, {lead} steps ahead");
        }
    }
}

#[test]
fn bounds_hold_about_eight_times_in_ten() {
    for trace in traces::all(2).iter().filter(|trace| trace.seasonal).step_by(EACH) {
        let (mut within, mut all) = (0, 0);
        for by in (0..4).map(|part| 60 + part * 617) {
            let found = forecast(&cut(trace, by), &[], 60, 15);
            let Ok(found) = found else { continue };
            let after = trace.values.len() - by;
            for (point, value) in found.points.iter().zip(&trace.values[after..]) {
                let Some(value) = value.filter(|value| (0.0..1e9).contains(value)) else {
                    continue;
                };
                assert!(point.low <= point.expected && point.expected <= point.high);
                within += usize::from((point.low..=point.high).contains(&value));
                all += 1;
            }
        }
        let share = f64::from(within as u32) / f64::from(all as u32);
        // When the whole day has moved, that bounds are too narrow is found out bit by bit.
        let least = if trace.name == "two-hour shift" { 0.6 } else { 0.7 };
        assert!(all >= 180 && (least..=0.95).contains(&share), "{}: {share}", trace.name);
    }
}

#[test]
fn a_spike_is_not_copied_to_the_next_day() {
    for count in [2, 3, 14] {
        let calm = days(count);
        let mut spiked = calm.clone();
        let at = (count - 1) * STEPS + 30;
        spiked[at..at + 3].fill(Some(5000.0));
        let (calm, spiked) = (run(&calm, 60).expect("calm"), run(&spiked, 60).expect("spiked"));
        for (calm, spiked) in calm.points.iter().zip(&spiked.points) {
            let ratio = spiked.expected / calm.expected;
            assert!((0.9..1.15).contains(&ratio), "{count} days: {ratio}");
        }
    }
}

#[test]
fn a_release_that_doubles_the_load_is_followed_within_the_hour() {
    let mut values = days(14);
    let at = values.len() - 60;
    values[at..].iter_mut().for_each(|value| *value = value.map(|value| 2.0 * value));
    let found = run(&values, 30).expect("a forecast");
    let steady = run(&days(14), 30).expect("a forecast");
    for (new, old) in found.points.iter().zip(&steady.points) {
        let ratio = new.expected / old.expected;
        assert!((1.8..2.2).contains(&ratio), "{ratio} times");
    }
}

#[test]
fn gaps_are_missing_and_not_zero() {
    let whole = days(10);
    let mut holes = whole.clone();
    for from in (200..holes.len() - 300).step_by(700) {
        holes[from..from + 250].fill(None);
    }
    let end = holes.len();
    holes[end - 40..].fill(None);
    let (whole, holes) = (run(&whole, 120).expect("whole"), run(&holes, 120).expect("holes"));
    for (one, two) in whole.points.iter().zip(&holes.points) {
        let ratio = two.expected / one.expected;
        assert!((0.93..1.07).contains(&ratio), "{ratio}");
    }
}

#[test]
fn values_that_cannot_be_are_ignored() {
    let good = days(10);
    let mut bad = good.clone();
    let absurd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, 1e300, 1e12, f64::MAX];
    for (place, at) in (0..bad.len()).step_by(211).enumerate() {
        bad[at] = Some(absurd[place % absurd.len()]);
    }
    let (good, bad) = (run(&good, 120).expect("good"), run(&bad, 120).expect("bad"));
    assert!(bad.accuracy.wape < 1.1 * good.accuracy.wape);
    for (one, two) in good.points.iter().zip(&bad.points) {
        assert!((0.97..1.03).contains(&(two.expected / one.expected)));
    }
}

#[test]
fn an_event_is_put_in_and_taken_out() {
    let calm = days(10);
    let plain = run(&calm, 120).expect("a forecast");
    let end = calm.len() as i64 * MINUTE;
    let ahead = Event { from: end + 30 * MINUTE, to: end + 60 * MINUTE, factor: 3.0 };
    // A sale a day ago, and one going on now.
    let past = Event { from: end - 1440 * MINUTE, to: end - 1380 * MINUTE, factor: 5.0 };
    let now = Event { from: end - 20 * MINUTE, to: end + 10 * MINUTE, factor: 2.0 };
    let bad = Event { from: 0, to: end * 2, factor: f64::NAN };
    let mut values = calm.clone();
    for event in [past, now] {
        for (at, value) in values.iter_mut().enumerate() {
            if (event.from..event.to).contains(&(at as i64 * MINUTE)) {
                *value = value.map(|value| event.factor * value);
            }
        }
    }
    let series = Series { start: 0, step: MINUTE, values: &values };
    let found = forecast(&series, &[ahead, past, now, bad], 120, 15).expect("a forecast");
    for (index, (one, two)) in plain.points.iter().zip(&found.points).enumerate() {
        let wanted = match index {
            ..10 => 2.0,
            30..60 => 3.0,
            _ => 1.0,
        };
        let ratio = two.expected / one.expected / wanted;
        assert!((0.98..1.02).contains(&ratio), "{ratio} after {index} minutes");
    }
}

#[test]
fn a_frozen_metric_does_not_spoil_the_next_day() {
    let good = days(10);
    let mut frozen = good.clone();
    let at = 9 * STEPS;
    let held = frozen[at];
    frozen[at..at + 400].fill(held);
    let (good, frozen) = (run(&good, 240).expect("good"), run(&frozen, 240).expect("frozen"));
    for (one, two) in good.points.iter().zip(&frozen.points) {
        let ratio = two.expected / one.expected;
        assert!((0.93..1.07).contains(&ratio), "{ratio}");
    }
}

#[test]
fn an_outage_is_followed_and_then_forgotten() {
    let mut values = days(14);
    let at = values.len() - 30;
    values[at..].fill(Some(0.0));
    let during = run(&values, 15).expect("a forecast");
    assert!(during.points.iter().all(|point| point.expected < 8.0), "{:?}", during.points[0]);
    let mut values = days(14);
    values[at - 60..at].fill(Some(0.0));
    let (after, calm) = (run(&values, 60).expect("after"), run(&days(14), 60).expect("calm"));
    for (one, two) in calm.points.iter().zip(&after.points) {
        let ratio = two.expected / one.expected;
        assert!((0.85..1.1).contains(&ratio), "{ratio}");
    }
}

#[test]
fn growth_goes_on() {
    let mut values = days(28);
    let grow = |at: usize| 1.2_f64.powf(at as f64 / (7 * STEPS) as f64);
    for (at, value) in values.iter_mut().enumerate() {
        *value = value.map(|value| value * grow(at));
    }
    let found = run(&values, 2 * STEPS).expect("a forecast");
    let wanted = |at: usize| {
        let day = 100.0 - 50.0 * (std::f64::consts::TAU * at as f64 / 1440.0).cos();
        day * grow(values.len() + at)
    };
    for (at, point) in found.points.iter().enumerate() {
        let ratio = point.expected / wanted(at);
        assert!((0.88..1.1).contains(&ratio), "{ratio} after {at} minutes");
    }
}

#[test]
fn what_cannot_be_forecast_is_refused_in_words() {
    let short = run(&days(1), 10).expect_err("short");
    assert_eq!(short.to_string(), "only 24.0 h were measured; a forecast needs 48.0 h");
    let mut holes = days(8);
    for (at, value) in holes.iter_mut().enumerate() {
        *value = value.filter(|_| at % 5 < 2);
    }
    let holes = run(&holes, 10).expect_err("holes");
    assert_eq!(holes.to_string(), "only 40 % of the last week was measured");
    let mut old = days(8);
    let end = old.len();
    old[end - 300..].fill(None);
    assert_eq!(run(&old, 10).expect_err("old").to_string(), "nothing was measured for 5.0 h");
    let same = run(&vec![Some(4.5); 4 * STEPS], 10).expect_err("same");
    assert_eq!(same.to_string(), "the load has been 4.5 for days");
    let step = Series { start: 0, step: 7 * MINUTE + 1, values: &days(3) };
    let step = forecast(&step, &[], 10, 1).expect_err("step");
    assert!(step.to_string().starts_with("values every 420001 ms do not divide"), "{step}");
    let walk = forecast(&of(&named("random steps", 1)), &[], 10, 15).expect_err("walk");
    assert!(walk.to_string().starts_with("the load follows no pattern: "), "{walk}");
}

#[test]
fn as_long_as_a_forecast_a_day_ahead_has_too_little_the_same_is_said_to_be_enough() {
    let hours: Vec<_> = days(3).into_iter().step_by(60).collect();
    let of = |count: usize| {
        let series = Series { start: 0, step: 60 * MINUTE, values: &hours[..count] };
        forecast(&series, &[], 10, 24)
    };
    for count in [1, 47, 48, 49] {
        let told = of(count).unwrap_err().to_string();
        assert_eq!(told, format!("only {count}.0 h were measured; a forecast needs 50.0 h"));
    }
    assert!(!matches!(of(50), Err(Refused::TooShort { .. })), "{:?}", of(50).err());
}

#[test]
fn a_day_that_repeats_exactly_is_repeated() {
    let mut chance = Chance::new(3);
    let day: Vec<_> = (0..STEPS).map(|_| Some(chance.between(1.0, 100.0))).collect();
    let values: Vec<_> = day.iter().copied().cycle().take(6 * STEPS).collect();
    let found = run(&values, 60).expect("a forecast");
    for (point, value) in found.points.iter().zip(&day) {
        assert!((point.expected - value.expect("a value")).abs() < 1.0, "{point:?} {value:?}");
    }
}

#[test]
fn any_input_has_an_answer() {
    let mut chance = Chance::new(9);
    for round in 0..60 {
        let step = [1, MINUTE, 5 * MINUTE, 60 * MINUTE, 360 * MINUTE, 0, -5, i64::MAX][round % 8];
        let length = chance.between(0.0, 6000.0) as usize;
        let size = 10.0_f64.powf(chance.between(-320.0, 308.0));
        let some = chance.even();
        let values: Vec<_> = (0..length)
            .map(|_| (chance.even() < some).then(|| size * chance.between(-0.1, 1.0)))
            .collect();
        let start = [0, i64::MAX, i64::MIN][round % 3];
        let series = Series { start, step, values: &values };
        let event =
            Event { from: i64::MIN, to: i64::MAX, factor: chance.between(-0.1, 2.0).max(0.0) };
        let horizon = [0, 1, 50, usize::MAX][round % 4];
        if let Ok(found) = forecast(&series, &[event], horizon, [0, 3, usize::MAX][round % 3]) {
            assert!(found.points.len() <= length);
            for point in &found.points {
                assert!(point.expected.is_finite() && point.high.is_finite(), "{point:?}");
                assert!(0.0 <= point.low && point.low <= point.expected, "{point:?}");
            }
        }
    }
}

#[test]
fn coarser_steps_are_forecast_too() {
    let fine = named("lunch", 4);
    for minutes in [5, 15, 60] {
        let mean = |part: &[Option<f64>]| {
            Some(part.iter().flatten().sum::<f64>() / part.iter().flatten().count() as f64)
        };
        let values: Vec<_> = fine.values.chunks(minutes).map(mean).collect();
        let step = minutes as i64 * MINUTE;
        let series = Series { start: fine.start, step, values: &values };
        let found = forecast(&series, &[], 200, 60 / minutes).expect("a forecast");
        let (own, best) = (found.accuracy.wape, found.accuracy.best_simple());
        // An hour's mean has so little noise that repeating last week is hard to beat.
        assert!(own < 0.95 * best, "{minutes} minutes: {own} against {best}");
        assert_eq!(found.points.len(), 200);
    }
}
