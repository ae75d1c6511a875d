//! From what signals ask for, what is expected and what is scheduled, to one number. Pure
//! arithmetic over times and numbers: it knows no objects, asks nothing, and is what the load
//! traces are run through.
//!
//! One number for each target, with every signal as an input: what asks for most decides. It grows
//! at once, within bounds; it shrinks only after all signals have asked for fewer for a whole
//! window, and never on missing data or on a sudden fall, which is how an outage before a storm of
//! retries looks: of what is not measured at all, only what a peak raised is given back. A forecast
//! and a schedule may raise the number and never lower it; what a load no longer needs that goes as
//! it was foreseen is given back sooner.

use atoll_model::{Reason, Span, Timestamp};

pub use super::seen::Needs;
use super::seen::{LATEST, LEVEL, PASSED, Seen};

/// From one decision to the next.
pub const EVERY: Span = Span::seconds(15);
/// A minute of too few instances is as bad as one of so many times those that are needed. How much
/// is kept beyond what is expected follows from it: as long as one more instance avoids more than
/// it costs. Of a noisy load that is fewer deviations than of a quiet one, as each is dearer.
///
/// Source: the newsvendor's problem, Edgeworth (1888), Arrow, Harris and Marschak (1951).
const WORTH: f64 = 10.0;
/// At least and at most so many standard deviations are kept,
const KEPT: (f64, f64) = (1.65, 3.8);
/// and more than the least only up to this share of the level: what is dearest is kept least of.
const DEAREST: f64 = 0.3;
/// Beside a forecast that holds, so many are kept beyond the level of now.
const BESIDE: f64 = 0.8;
/// The highest of a step of five minutes is so many deviations above its mean as often as not,
const MEDIAN: f64 = 1.13;
/// and one time in ten this many more.
const TENTH: f64 = 0.907;
/// A forecast is kept for all of a step, and the number that follows is whole: less is enough.
const STEADY: f64 = 0.87;
/// A fall to less than this share of what was usual before the window is sudden.
const SUDDEN: f64 = 0.25;
/// In one decision it at most doubles, or grows by this if that is more.
const STEP_UP: u32 = 4;
/// A number is not changed by less than this share of it: each change costs work on hosts, and what
/// is gained by one in hundreds is lost in what the load goes up and down by;
const GRAIN: u32 = 100;
/// and twice that has to be too many before any is taken away, so that it does not go to and fro.
const IDLE_GRAINS: u32 = 2;
/// So many deviations beyond what is kept have to be too many as well before any is taken away, but
/// not more than this share of an instance: a load at the edge of a number does not make it go to
/// and fro.
const EDGE: (f64, f64) = (1.0, 0.12);
/// More than so many times the most that there may be is asked for by what is wrong sooner than by
/// what is so.
const DOUBTED: u32 = 10;
/// Nothing is taken away so soon after a change.
const CALM: Span = Span::seconds(60);

/// What a forecast says will be needed until a new instance serves, as exact numbers of instances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foreseen {
    /// The most that is needed is as likely above this as not.
    pub expected: f64,
    /// It is above this one time in ten.
    pub high: f64,
}

impl Foreseen {
    /// What is kept beyond what is expected, for how wrong forecasts like it were.
    fn margin(self) -> f64 {
        let deviation = (self.high - self.expected).max(0.0) / TENTH;
        let level = (self.expected - MEDIAN * deviation).max(deviation);
        STEADY * (kept(deviation, level) - MEDIAN) * deviation
    }
}

/// How many standard deviations are kept beyond a level.
fn kept(deviation: f64, level: f64) -> f64 {
    // The height of the normal distribution in its middle is 0.4 over its deviation.
    let times = (level / deviation).max(0.0);
    let most = (DEAREST * times).clamp(KEPT.0, KEPT.1);
    (2.0 * (WORTH * 0.4 * times).max(1.0).ln()).sqrt().clamp(KEPT.0, most)
}

/// What a number is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The time.
    pub now: Timestamp,
    /// How many there are to be so far.
    pub current: u32,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// The least a schedule asks for now.
    pub floor: u32,
    /// The least that is kept for a peak now.
    pub peak: u32,
    /// So many there were before a peak raised them to more, where nothing else asks for that.
    pub before: Option<u32>,
    /// What a forecast of the first signal says.
    pub expected: Option<Foreseen>,
    /// What signals ask for.
    pub signals: &'a [Needs<'a>],
    /// See [`atoll_model::elasticity::Scaling::down_after`].
    pub down_after: Span,
    /// The same for the first signal while it is as a forecast says.
    pub foreseen_after: Span,
    /// How long a new instance takes to serve.
    pub start: Span,
}

/// A number and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// So many.
    pub desired: u32,
    /// No signal has fresh data, though there are signals.
    pub blind: bool,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// Decides.
pub fn decide(question: &Question) -> Decision {
    let mut reasons = Vec::new();
    let blind = silent(question, &mut reasons);
    let seen: Vec<Seen> = question.signals.iter().map(Seen::of).collect();
    let raises = [
        ("scheduled", question.floor, "its schedule asks for"),
        ("peak", question.peak, "a peak asks for"),
        ("expected", expected(question), "its forecast asks for"),
    ];
    let least = raises.iter().map(|(_, least, _)| *least).max().unwrap_or_default();
    let mut wanted = reactive(question, least, &seen, &mut reasons);
    let doubted = wanted > question.max.saturating_mul(DOUBTED);
    for (code, least, who) in raises {
        if least > wanted && least > question.min {
            wanted = least;
            reasons.retain(|reason: &Reason| reason.code == "no-data");
            let why = question.expected.filter(|_| code == "expected").map(|foreseen| {
                let (expected, margin) = (round(foreseen.expected), round(foreseen.margin()));
                format!(": {expected}, and {margin} for how wrong it usually is")
            });
            let message = format!("{who} {least} at least{}", why.unwrap_or_default());
            reasons.push(Reason::new(code, message));
        }
    }
    let most = question.current.saturating_mul(2).max(question.current + STEP_UP);
    if wanted > most {
        let message = format!("{wanted} are asked for; {most} is the most in one step");
        reasons.push(Reason::new("step", message));
        wanted = most;
    }
    if wanted > question.max {
        let message = format!("{wanted} are asked for, and {} is the most", question.max);
        let hint = match doubted {
            true => {
                "look first whether what it goes by is right: that asks for more than ten times \
                 max; if it is, raise max in the application's scaling, or in the autoscaler"
            }
            false => "raise max in the application's scaling, or in the autoscaler",
        };
        reasons.push(Reason::new("at-max", message).hint(hint));
    }
    still(question, &mut reasons);
    let desired = wanted.clamp(question.min, question.max.max(question.min));
    Decision { desired, blind, reasons }
}

/// How many a forecast asks for.
fn expected(question: &Question) -> u32 {
    question.expected.map_or(0, |foreseen| whole(foreseen.expected + foreseen.margin()))
}

/// The level of a signal, what is kept beyond it, and whether it is as it was foreseen.
#[derive(Clone, Copy)]
struct Margin {
    level: f64,
    beyond: f64,
    foreseen: bool,
}

/// The margins of each signal. A forecast of less than there is looks after nothing.
fn margins(question: &Question, seen: &[Seen]) -> Vec<Margin> {
    let margin = |(i, signal): (usize, &Seen)| {
        let level = |latest| signal.level(question.now, latest).unwrap_or_default();
        let forecast = question.expected.filter(|_| i == 0);
        let foreseen = forecast.is_some_and(|forecast| forecast.expected >= level(PASSED));
        // Whoever gives back soon does not wait for what has passed as long as others do.
        let latest = LATEST.min(question.down_after.max(PASSED));
        let (level, by) = match foreseen {
            true => (level(PASSED), BESIDE),
            false => (level(latest), kept(signal.spread, level(latest))),
        };
        let beyond = (by * signal.spread).min(signal.room(level));
        Margin { level, beyond, foreseen }
    };
    seen.iter().enumerate().map(margin).collect()
}

/// Says which signals have no fresh data; whether none has.
fn silent(question: &Question, reasons: &mut Vec<Reason>) -> bool {
    let silent = |signal: &&Needs| signal.now(question.now).is_none();
    for signal in question.signals.iter().filter(silent) {
        let age = signal.old.map(|old| format!(", its newest sample is {} old", old.rough()));
        let (name, age) = (signal.name, age.unwrap_or_default());
        let but = question.before.map_or("", |_| " but what a peak raised");
        let message = format!("there is no fresh data for {name}{age}: nothing{but} is taken away");
        reasons.push(Reason::new("no-data", message));
    }
    !question.signals.is_empty() && question.signals.iter().all(|signal| silent(&signal))
}

/// What the signals make of the number, which will be so many at least.
fn reactive<'a>(
    question: &Question<'a>,
    least: u32,
    seen: &[Seen<'a>],
    reasons: &mut Vec<Reason>,
) -> u32 {
    let (now, current) = (question.now, question.current);
    if question.signals.is_empty() {
        return question.min;
    }
    // What was begun is there only after the time to start, so that is how far one looks.
    let lead = Span(question.start.0 + EVERY.0);
    let margins = margins(question, seen);
    let ask = |(signal, margin): (&Seen<'a>, &Margin)| {
        let latest = signal.needs.now(now)?;
        let ahead = signal.ahead(now, lead, margin.level);
        Some((latest.max(ahead + margin.beyond), signal.needs.name, ahead, margin.beyond))
    };
    let asks = seen.iter().zip(&margins).filter_map(ask);
    let most = asks.max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((need, name, ahead, margin)) = most else {
        return unmeasured(question, reasons);
    };
    let up = whole(need);
    let beyond = margin >= 1e-6 && need <= ahead + margin;
    // What is there is told too where it is more than the signals say by themselves.
    if up > current || (up == current && beyond && whole(ahead) < current) {
        let why = match beyond {
            false => format!("{} now", round(need)),
            true => {
                let (ahead, margin) = (round(ahead), round(margin));
                format!("{ahead}, and {margin} for what it goes up and down by")
            }
        };
        reasons.push(Reason::new("signal", format!("{name} asks for {up}: {why}")));
    }
    if up > current {
        return up.max(current + grain(current));
    }
    // Where it does not shrink anyhow it need not be found out how far it may.
    if up == current || least.max(question.min) >= current {
        return up;
    }
    let known = reasons.len();
    // Never to fewer than are asked for at this moment.
    let fewer = down(question, seen, &margins, up, reasons).unwrap_or(current).min(current);
    if fewer == current && reasons.len() == known {
        let (up, window) = (up.max(question.min), question.down_after);
        let message = format!(
            "{name} asks for {up}: some are given back once all signals have clearly asked for \
             fewer for {window}"
        );
        reasons.push(Reason::new("waits", message));
    }
    fewer
}

/// The number of which nothing is measured: that of now, or what there was before a peak.
fn unmeasured(question: &Question, reasons: &mut Vec<Reason>) -> u32 {
    let Some(before) = question.before else { return question.current };
    let message = format!(
        "what a peak raised is given back: there were {before} before, and nobody measured that \
         more are needed"
    );
    reasons.push(Reason::new("given-back", message));
    before
}

/// To how many it may shrink, and not below so many; none where it may not.
fn down(
    question: &Question,
    seen: &[Seen],
    margins: &[Margin],
    least: u32,
    reasons: &mut Vec<Reason>,
) -> Option<u32> {
    let now = question.now;
    if question.since.is_some_and(|since| now.since(since) < CALM) {
        return None;
    }
    let (mut most, mut waited) = (least, Span(0));
    for (seen, margin) in seen.iter().zip(margins) {
        let signal = &seen.needs;
        // One that is silent was told of already.
        let latest = signal.now(now)?;
        let sooner = margin.foreseen && question.foreseen_after < question.down_after;
        let window = if sooner { question.foreseen_after } else { question.down_after };
        // What was foreseen to pass has passed, and the level is slower than a short window.
        let passed = match sooner || window < LEVEL {
            true => signal.latest(now, window.max(CALM))?,
            false => f64::INFINITY,
        };
        let Some(need) = seen.most(now, window).map(|most| most.min(passed)) else {
            let message = format!("too little is known of {} over {window}", signal.name);
            reasons.push(Reason::new("gaps", message + ": nothing is taken away"));
            return None;
        };
        if let Some(value) = signal.frozen(now) {
            reasons.push(frozen(signal, value));
            return None;
        }
        let before = signal.before(now, question.down_after);
        if before.is_some_and(|before| before > 1.0 && latest < before * SUDDEN) {
            let message = format!(
                "{} fell suddenly, from asking for {} to {}: that may be an outage, and nothing is \
                 taken away for a while",
                signal.name,
                round(before.unwrap_or_default()),
                round(latest)
            );
            reasons.push(Reason::new("sudden-fall", message));
            return None;
        }
        let edge = (EDGE.0 * seen.spread).min(EDGE.1);
        let jump = seen.jump(now, window).map_or(0.0, |jump| jump.min(passed));
        let fewest = whole(need.max(jump) + margin.beyond + edge);
        (most, waited) = (most.max(fewest), waited.max(window));
    }
    let grain = grain(question.current);
    if grain > 1 && most + IDLE_GRAINS * grain > question.current {
        return None;
    }
    if most < question.current {
        let message = format!("no signal asked for more than {most} for {waited}");
        reasons.push(Reason::new("fewer", message));
    }
    Some(most)
}

fn frozen(signal: &Needs, value: f64) -> Reason {
    let message = format!(
        "{} stands still, asking for {}, and moved before: it may be frozen, and nothing is taken \
         away",
        signal.name,
        round(value)
    );
    Reason::new("frozen", message)
}

/// Says which signals stand still, where that is not said yet: whoever needs more than they ask for
/// is to know. What rests at nothing asks for nothing.
fn still(question: &Question, reasons: &mut Vec<Reason>) {
    if reasons.iter().any(|reason| reason.code == "frozen") {
        return;
    }
    // Of one that is carried on it is known why.
    for signal in question.signals.iter().filter(|signal| signal.old.is_none()) {
        let value = signal.frozen(question.now).filter(|value| *value > 0.0);
        reasons.extend(value.map(|value| frozen(signal, value)));
    }
}

/// The least by which a number is changed.
fn grain(number: u32) -> u32 {
    (number / GRAIN).max(1)
}

/// The instances an exact number of them needs; a hair above a whole number is that number.
pub fn whole(need: f64) -> u32 {
    (need - 1e-6).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// To three digits.
pub fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(2 - value.abs().log10().floor().clamp(-12.0, 12.0) as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::super::seen::spread;
    use super::*;

    const NOW: Timestamp = Timestamp(10_000_000);

    /// One point each 15 s up to now.
    fn points(needs: impl DoubleEndedIterator<Item = f64>) -> Vec<(Timestamp, f64)> {
        let back = needs.rev().enumerate();
        let mut all: Vec<_> =
            back.map(|(i, need)| (NOW - Span(EVERY.0 * i as u64), need)).collect();
        all.reverse();
        all
    }

    fn question<'a>(current: u32, signals: &'a [Needs<'a>]) -> Question<'a> {
        Question {
            now: NOW,
            current,
            since: None,
            min: 2,
            max: 20,
            floor: 0,
            peak: 0,
            before: None,
            expected: None,
            signals,
            down_after: Span::seconds(300),
            foreseen_after: Span::seconds(60),
            start: Span::seconds(30),
        }
    }

    fn decided(current: u32, points: &[(Timestamp, f64)]) -> (u32, Vec<String>) {
        let signals = [Needs { name: "load", points, old: None }];
        let decision = decide(&question(current, &signals));
        (decision.desired, decision.reasons.into_iter().map(|r| r.code).collect())
    }

    fn flat(need: f64, count: usize) -> Vec<(Timestamp, f64)> {
        points(std::iter::repeat_n(need, count))
    }

    #[test]
    fn it_grows_at_once_and_within_bounds() {
        assert_eq!(decided(3, &flat(4.2, 80)), (5, vec!["signal".to_owned()]));
        assert_eq!(decided(3, &flat(12.0, 80)), (7, vec!["signal".to_owned(), "step".to_owned()]));
        let (desired, why) = decided(15, &flat(25.0, 80));
        assert_eq!((desired, why), (20, vec!["signal".to_owned(), "at-max".to_owned()]));
    }

    #[test]
    fn a_large_number_changes_by_a_hundredth_and_not_to_and_fro() {
        let decided = |current: u32, need: f64| {
            let points = flat(need, 80);
            let signals = [Needs { name: "load", points: &points, old: None }];
            decide(&Question { max: 2_000, ..question(current, &signals) }).desired
        };
        assert_eq!(decided(500, 500.5), 505, "one more is five more");
        assert_eq!(decided(500, 509.5), 510, "what is asked for is there");
        assert_eq!(decided(500, 490.5), 500, "nine are kept");
        assert_eq!(decided(500, 489.5), 490);
        assert_eq!(decided(199, 197.5), 198, "a smaller one follows one by one");
    }

    #[test]
    fn what_is_kept_for_a_peak_raises_and_never_lowers() {
        let points = flat(4.2, 80);
        let signals = [Needs { name: "load", points: &points, old: None }];
        let asked = |peak: u32| {
            let question = Question { peak, ..question(4, &signals) };
            let decision = decide(&question);
            let codes: Vec<String> = decision.reasons.into_iter().map(|r| r.code).collect();
            (decision.desired, codes)
        };
        assert_eq!(asked(0), (5, vec!["signal".to_owned()]));
        assert_eq!(asked(3), (5, vec!["signal".to_owned()]));
        assert_eq!(asked(8), (8, vec!["peak".to_owned()]));
        assert_eq!(asked(18), (8, vec!["peak".to_owned(), "step".to_owned()]));
    }

    #[test]
    fn it_looks_as_far_ahead_as_a_start_takes() {
        let rising = points((0..80).map(|i| 4.0 + f64::from(i) * 0.05));
        let now = 4.0 + 79.0 * 0.05;
        assert_eq!(decided(7, &rising).0, whole(now) + 1);
    }

    #[test]
    fn it_shrinks_only_once_the_whole_window_asks_for_fewer() {
        let late = points((0..80).map(|i| if i < 65 { 8.0 } else { 3.0 }));
        assert_eq!(decided(8, &late).0, 8);
        let long = points((0..80).map(|i| if i < 35 { 8.0 } else { 3.0 }));
        assert_eq!(decided(8, &long), (3, vec!["fewer".to_owned()]));
    }

    #[test]
    fn a_short_window_is_not_made_long_by_the_level() {
        let decided = |down_after: u64, low: u64| {
            let fallen = points((0..80).map(|i| if i < 80 - low { 8.0 } else { 4.0 }));
            let signals = [Needs { name: "load", points: &fallen, old: None }];
            let down_after = Span::seconds(down_after);
            decide(&Question { down_after, ..question(8, &signals) }).desired
        };
        assert_eq!(decided(20, 3), 8, "a minute is not over");
        assert_eq!(decided(20, 5), 4);
        assert_eq!(decided(120, 5), 8, "the window is not over");
        assert_eq!(decided(120, 9), 4);
        assert_eq!(decided(300, 9), 8);
    }

    #[test]
    fn a_load_at_the_edge_of_a_number_does_not_make_it_go_to_and_fro() {
        // Beyond the deviations that are kept another one, of 0.06, has to be too many.
        let beside = |need: f64| points((0..80).map(move |i| need + f64::from(i % 3 - 1) * 0.04));
        let spread = spread(&beside(3.0), &[3.0; 80]);
        assert!((0.05..0.07).contains(&spread), "{spread}");
        let most = 3.0 - kept(spread, 3.0) * spread;
        assert_eq!(decided(3, &beside(most + 0.03)).0, 4, "it grows");
        assert_eq!(decided(4, &beside(most - 0.03)).0, 4, "it is kept");
        assert_eq!(decided(4, &beside(most - 0.15)).0, 3, "it is given back");
    }

    #[test]
    fn what_jumped_and_stays_keeps_what_it_was_given() {
        // A noisy load that jumps to five times as much: nothing that serves it is taken away while
        // the level follows, whatever it goes up and down by.
        for seed in 0..20_u32 {
            let noise = |i: u32| f64::from((i * 7919 + seed * 104_729) % 101) / 50.0 - 1.0;
            let level = |i: u32| if i < 60 { 2.5 } else { 12.5 };
            let all: Vec<f64> = (0..160).map(|i| level(i) * (1.0 + 0.08 * noise(i))).collect();
            let (mut current, mut least) = (4, u32::MAX);
            for count in 50..160 {
                current = decided(current, &points(all[..count].iter().copied())).0;
                if count > 66 {
                    least = least.min(current);
                }
            }
            assert!(least >= 13, "seed {seed}: {least}");
        }
    }

    #[test]
    fn what_was_asked_for_a_minute_is_kept_for_the_whole_window() {
        // However long it was asked for, and however much of that lies before the window.
        for minutes in 2..=8_u32 {
            let end = 80 + 4 * minutes;
            let all = (0..end + 19).map(|i| if (80..end).contains(&i) { 9.0 } else { 3.0 });
            let all: Vec<f64> = all.collect();
            for after in 1..=19 {
                let seen = points(all[..(end + after) as usize].iter().copied());
                assert!(decided(9, &seen).0 >= 9, "{after} looks after {minutes} minutes of it");
            }
        }
    }

    #[test]
    fn a_jump_soon_after_the_beginning_is_no_noise() {
        // A load that stands still but for one jump, looked at from four to nineteen minutes on.
        let all: Vec<f64> = (0..80).map(|i| if i < 12 { 1.1 } else { 3.6 }).collect();
        let mut current = 2;
        let numbers = (16..76).map(|count| {
            current = decided(current, &points(all[..count].iter().copied())).0;
            current
        });
        let numbers: Vec<u32> = numbers.collect();
        assert_eq!(numbers, [4; 60]);
    }

    #[test]
    fn of_a_noisier_load_fewer_deviations_and_more_instances_are_kept() {
        let kept = |deviation: f64| (kept(deviation, 100.0), deviation * kept(deviation, 100.0));
        let (quiet, usual, noisy) = (kept(1.0), kept(5.0), kept(25.0));
        assert!(quiet.0 > usual.0 && usual.0 > noisy.0, "{quiet:?} {usual:?} {noisy:?}");
        assert!(quiet.1 < usual.1 && usual.1 < noisy.1, "{quiet:?} {usual:?} {noisy:?}");
        assert_eq!(kept(1000.0).0, KEPT.0, "never less");
        assert_eq!(kept(0.0).0, KEPT.1, "never more");
    }

    #[test]
    fn what_was_absurd_and_has_passed_leaves_nothing_behind() {
        let usual = |i: u32| 8.0 + f64::from(i % 3) * 0.1;
        let odd = |i: u32| if (20..30).contains(&i) { 1e22 } else { usual(i) };
        let decided = |all: &[(Timestamp, f64)]| {
            let signals = [Needs { name: "load", points: all, old: None }];
            decide(&question(9, &signals)).desired
        };
        let (with, without) = (points((0..160).map(odd)), points((0..160).map(usual)));
        assert_eq!(decided(&with), decided(&without));
    }

    #[test]
    fn beyond_a_forecast_as_much_is_kept_as_it_was_wrong_by() {
        let points = flat(4.2, 80);
        let signals = [Needs { name: "load", points: &points, old: None }];
        let asked = |high: f64| {
            let expected = Some(Foreseen { expected: 6.0, high });
            let decision = decide(&Question { expected, ..question(5, &signals) });
            (decision.desired, decision.reasons.into_iter().map(|r| r.message).collect::<String>())
        };
        let said = |least: u32, margin: &str| {
            let why = format!("6, and {margin} for how wrong it usually is");
            (least, format!("its forecast asks for {least} at least: {why}"))
        };
        assert_eq!(asked(6.0), said(6, "0"));
        assert_eq!(asked(6.2), said(7, "0.368"));
        assert_eq!(asked(7.5), said(7, "0.748"));
    }

    #[test]
    fn a_load_that_goes_as_foreseen_gives_back_sooner() {
        let late = points((0..80).map(|i| if i < 65 { 8.0 } else { 3.0 }));
        let signals = [Needs { name: "load", points: &late, old: None }];
        let decided = |expected: f64, foreseen_after: Span| {
            let expected = Some(Foreseen { expected, high: expected });
            decide(&Question { expected, foreseen_after, ..question(8, &signals) }).desired
        };
        let minute = Span::seconds(60);
        assert_eq!(decided(3.5, minute), 4, "what is foreseen is kept");
        assert_eq!(decided(2.5, minute), 8, "there is more than was foreseen");
        assert_eq!(decided(3.5, Span::seconds(300)), 8, "so long is waited");
    }

    #[test]
    fn missing_data_takes_nothing_away() {
        assert_eq!(decided(8, &[]), (8, vec!["no-data".to_owned()]));
        let mut old = flat(3.0, 80);
        old.truncate(70);
        assert_eq!(decided(8, &old), (8, vec!["no-data".to_owned()]));
        let mut gaps = flat(3.0, 80);
        gaps.drain(65..75);
        assert_eq!(decided(8, &gaps), (8, vec!["gaps".to_owned()]));
    }

    #[test]
    fn what_stands_still_and_moved_before_takes_nothing_away() {
        // At zero too, which is what the rate of a counter that froze is.
        let frozen = |at: f64, since: u32| {
            points((0..160).map(move |i| if i < since { 8.0 + f64::from(i % 7) * 0.1 } else { at }))
        };
        assert_eq!(decided(9, &frozen(0.0, 100)), (9, vec!["frozen".to_owned()]));
        assert_eq!(decided(9, &frozen(3.0, 130)), (9, vec!["frozen".to_owned()]));
        // Nothing would be taken away: more may be needed than it says.
        assert!(decided(9, &frozen(9.0, 100)).1.contains(&"frozen".to_owned()));
        assert_eq!(decided(1, &frozen(0.0, 100)).1, [""; 0], "it rests");
        assert_eq!(decided(9, &frozen(0.0, 10)).0, 2, "so it has been for all one knows");
        // Two minutes of a new deployment, and then its exporter is gone.
        let young = |still: u32| {
            points((0..8 + still).map(|i| if i < 8 { 4.0 + f64::from(i % 7) * 0.1 } else { 0.0 }))
        };
        assert_eq!(decided(5, &young(6)).0, 5);
        assert_eq!(decided(5, &young(10)).0, 5);
        assert_eq!(decided(5, &young(20)), (5, vec!["frozen".to_owned()]));
        assert_eq!(decided(5, &young(78)), (5, vec!["frozen".to_owned()]));
        assert_eq!(decided(5, &young(90)).0, 2, "it has been so for most of the time");
    }

    #[test]
    fn what_was_seen_to_move_for_less_than_a_minute_may_be_frozen_too() {
        let young = |moved: [f64; 4], still: u32, at: f64| {
            points((0..4 + still).map(move |i| moved.get(i as usize).copied().unwrap_or(at)))
        };
        let moves = |still| decided(5, &young([4.0, 4.2, 4.1, 4.3], still, 2.6));
        assert_eq!(moves(20), (5, vec!["frozen".to_owned()]));
        assert_eq!(moves(78), (5, vec!["frozen".to_owned()]));
        assert_eq!(moves(90).0, 3, "it has been so for most of the time");
        let steps = |still| decided(5, &young([4.0; 4], still, 2.6));
        assert_eq!(steps(30), (3, vec!["fewer".to_owned()]), "one step is what a schedule does");
        let never = |still| decided(5, &young([2.6; 4], still, 2.6));
        assert_eq!(never(30), (3, vec!["fewer".to_owned()]));
    }

    #[test]
    fn a_sudden_fall_takes_nothing_away() {
        let fallen = points((0..80).map(|i| if i < 58 { 8.0 } else { 0.0 }));
        assert_eq!(decided(8, &fallen), (8, vec!["sudden-fall".to_owned()]));
        let long_ago = points((0..80).map(|i| if i < 25 { 8.0 } else { 0.0 }));
        assert_eq!(decided(8, &long_ago).0, 2);
    }
}
