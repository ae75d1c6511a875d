//! From what signals ask for, what is expected and what is scheduled, to one number. Pure
//! arithmetic over times and numbers: it knows no objects, asks nothing, and is what the load
//! traces are run through.
//!
//! One number for each target, with every signal as an input: what asks for most decides. It grows
//! at once, within bounds; it shrinks only after all signals have asked for fewer for a whole
//! window, and never on missing data or on a sudden fall, which is how an outage before a storm of
//! retries looks. A forecast and a schedule may raise the number and never lower it.

use atoll_model::{Reason, Span, Timestamp};

/// From one decision to the next.
pub const EVERY: Span = Span::seconds(15);
/// What is older is not what is.
const FRESH: Span = Span::seconds(60);
/// A trend is taken from so much of the past.
const TREND: Span = Span::seconds(600);
/// What is needed goes up and down from one moment to the next; its level is the mean of this.
const LEVEL: Span = Span::seconds(300);
/// A level above all of this has passed.
const LATEST: Span = Span::seconds(120);
/// So many standard deviations of what it goes up and down by are kept beyond the level: it is
/// above that one time in two hundred.
const SPREAD: f64 = 2.6;
/// The share of the window that has to be measured before anything is taken away.
const COMPLETE: f64 = 0.8;
/// A fall to less than this share of what was before the window is sudden.
const SUDDEN: f64 = 0.25;
/// In one decision it at most doubles, or grows by this if that is more.
const STEP_UP: u32 = 4;
/// Nothing is taken away so soon after a change.
const CALM: Span = Span::seconds(60);

/// What one signal asks for.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many instances it asked for, as an exact number, over the last while, in order.
    pub points: &'a [(Timestamp, f64)],
}

impl Needs<'_> {
    /// What it asks for now; none without fresh data.
    pub fn now(&self, now: Timestamp) -> Option<f64> {
        let (at, need) = self.points.last()?;
        (now.since(*at) <= FRESH).then_some(*need)
    }

    /// What it will ask for if it goes on as in the last minutes, with what it goes up and down by.
    /// A trend is one that holds in both halves of them: what jumped and stays is none.
    fn ahead(&self, now: Timestamp, lead: Span) -> Option<f64> {
        let level = self.levels(now, FRESH).pop()?;
        // What has just fallen is not asked for any more.
        let latest = self.since(now - LATEST).iter().map(|(_, need)| *need);
        let level = level.min(latest.max_by(f64::total_cmp)?);
        let recent = self.since(now - TREND);
        let (early, late) = recent.split_at(recent.len() / 2);
        let slope = match slope(early) {
            falls if falls <= 0.0 => 0.0,
            rises => rises.min(slope(late)).max(0.0),
        };
        // The level is that of half its time ago.
        let lead = (lead.0 + LEVEL.0 / 2) as f64;
        Some((level + slope * lead).min(level * 2.0))
    }

    fn since(&self, from: Timestamp) -> &[(Timestamp, f64)] {
        &self.points[self.points.partition_point(|(at, _)| *at <= from)..]
    }

    /// The level at each time of a window.
    fn levels(&self, now: Timestamp, window: Span) -> Vec<f64> {
        let first = self.points.len() - self.since(now - window).len();
        let mut levels = Vec::with_capacity(self.points.len() - first);
        // A sum that goes along: this is most of what a decision costs.
        let (mut start, mut sum) = (0, 0.0);
        for (end, (at, need)) in self.points.iter().enumerate() {
            sum += need;
            while self.points[start].0 <= *at - LEVEL {
                sum -= self.points[start].1;
                start += 1;
            }
            if end >= first {
                levels.push((sum / (end + 1 - start) as f64).max(0.0));
            }
        }
        levels
    }

    /// What is kept beyond the level: what it goes up and down by, from the median of how far it
    /// was from where it usually was beside its level. A jump or a spike does not move that, and a
    /// trend is none of it.
    pub fn spread(&self, now: Timestamp) -> f64 {
        let levels = self.levels(now, Span(u64::MAX));
        let each = self.points.iter().zip(&levels);
        let beside: Vec<f64> = each.map(|((_, need), level)| need - level).collect();
        let usual = median(beside.clone());
        let apart = median(beside.into_iter().map(|beside| (beside - usual).abs()).collect());
        // Of a normal distribution the standard deviation is so much more.
        SPREAD * 1.4826 * apart
    }

    /// The highest level of a window, if enough of that is measured.
    fn most(&self, now: Timestamp, window: Span) -> Option<f64> {
        let levels = self.levels(now, window);
        let expected = (window.0 / EVERY.0) as f64;
        let complete = levels.len() as f64 >= (expected * COMPLETE).floor();
        let most = levels.into_iter().max_by(f64::total_cmp)?;
        complete.then_some(most)
    }

    /// What it usually asked for before a window; none where that is not known.
    fn before(&self, now: Timestamp, window: Span) -> Option<f64> {
        let end = self.points.partition_point(|(at, _)| *at <= now - window);
        (end > 0).then(|| median(self.points[..end].iter().map(|(_, need)| *need).collect()))
    }
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
    /// How many a forecast asks for, for the time a new instance will be there.
    pub expected: Option<f64>,
    /// What signals ask for.
    pub signals: &'a [Needs<'a>],
    /// See [`atoll_model::elasticity::Scaling::down_after`].
    pub down_after: Span,
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
    let mut wanted = reactive(question, &mut reasons);
    let raises = [
        ("scheduled", Some(question.floor), "its schedule asks for"),
        ("expected", expected(question), "its forecast asks for"),
    ];
    for (code, least, who) in raises {
        if let Some(least) = least.filter(|least| *least > wanted && *least > question.min) {
            wanted = least;
            reasons.retain(|reason: &Reason| reason.code == "no-data");
            reasons.push(Reason::new(code, format!("{who} {least} at least")));
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
        let hint = "raise max in the application's scaling, or in the autoscaler";
        reasons.push(Reason::new("at-max", message).hint(hint));
    }
    let desired = wanted.clamp(question.min, question.max.max(question.min));
    Decision { desired, blind, reasons }
}

/// What a forecast asks for: the level it expects, and what the first signal goes up and down by.
fn expected(question: &Question) -> Option<u32> {
    let spread = question.signals.first().map_or(0.0, |signal| signal.spread(question.now));
    question.expected.map(|expected| whole(expected + spread))
}

/// Says which signals have no fresh data; whether none has.
fn silent(question: &Question, reasons: &mut Vec<Reason>) -> bool {
    let silent = |signal: &&Needs| signal.now(question.now).is_none();
    for signal in question.signals.iter().filter(silent) {
        let message = format!("there is no fresh data for {}: nothing is taken away", signal.name);
        reasons.push(Reason::new("no-data", message));
    }
    !question.signals.is_empty() && question.signals.iter().all(|signal| silent(&signal))
}

/// What the signals make of the number.
fn reactive<'a>(question: &Question<'a>, reasons: &mut Vec<Reason>) -> u32 {
    let (now, current) = (question.now, question.current);
    if question.signals.is_empty() {
        return question.min;
    }
    // What was begun is there only after the time to start, so that is how far one looks.
    let lead = Span(question.start.0 + EVERY.0);
    let spreads: Vec<f64> = question.signals.iter().map(|signal| signal.spread(now)).collect();
    let ask = |(signal, spread): (&Needs<'a>, &f64)| {
        let ahead = signal.ahead(now, lead)?;
        Some((signal.now(now)?.max(ahead + spread), signal.name))
    };
    let asks = question.signals.iter().zip(&spreads).filter_map(ask);
    let Some((need, name)) = asks.max_by(|a, b| a.0.total_cmp(&b.0)) else { return current };
    let up = whole(need);
    if up > current {
        reasons.push(Reason::new("signal", format!("{name} asks for {up}")));
        return up;
    }
    if up == current {
        return current;
    }
    down(question, &spreads, reasons).unwrap_or(current).min(current)
}

/// To how many it may shrink; none where it may not.
fn down(question: &Question, spreads: &[f64], reasons: &mut Vec<Reason>) -> Option<u32> {
    let (now, window) = (question.now, question.down_after);
    if question.since.is_some_and(|since| now.since(since) < CALM) {
        return None;
    }
    let mut most = 0_u32;
    for (signal, spread) in question.signals.iter().zip(spreads) {
        // One that is silent was told of already.
        let latest = signal.now(now)?;
        let Some(need) = signal.most(now, window) else {
            let message = format!("too little is known of {} over {window}", signal.name);
            reasons.push(Reason::new("gaps", message + ": nothing is taken away"));
            return None;
        };
        let before = signal.before(now, window);
        if before.is_some_and(|before| before > 1.0 && latest < before * SUDDEN) {
            let message = format!(
                "{} fell suddenly, from {} to {}: that may be an outage, and nothing is taken away \
                 for a while",
                signal.name,
                round(before.unwrap_or_default()),
                round(latest)
            );
            reasons.push(Reason::new("sudden-fall", message));
            return None;
        }
        most = most.max(whole(need + spread));
    }
    if most < question.current {
        let message = format!("no signal asked for more than {most} for {window}");
        reasons.push(Reason::new("fewer", message));
    }
    Some(most)
}

/// Theil and Sen's slope for each millisecond, the median over all pairs: one outlier does not move
/// it. None where there are too few points for one.
fn slope(points: &[(Timestamp, f64)]) -> f64 {
    let mut slopes: Vec<f64> = Vec::new();
    for (i, (from, a)) in points.iter().enumerate() {
        let later = points[i + 1..].iter();
        slopes.extend(later.map(|(to, b)| (b - a) / to.since(*from).0.max(1) as f64));
    }
    if points.len() < 4 { 0.0 } else { median(slopes) }
}

/// The one in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
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

    fn decided(current: u32, points: &[(Timestamp, f64)]) -> (u32, Vec<String>) {
        let signals = [Needs { name: "load", points }];
        let question = Question {
            now: NOW,
            current,
            since: None,
            min: 2,
            max: 20,
            floor: 0,
            expected: None,
            signals: &signals,
            down_after: Span::seconds(300),
            start: Span::seconds(30),
        };
        let decision = decide(&question);
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
    fn a_sudden_fall_takes_nothing_away() {
        let fallen = points((0..80).map(|i| if i < 58 { 8.0 } else { 0.0 }));
        assert_eq!(decided(8, &fallen), (8, vec!["sudden-fall".to_owned()]));
        let long_ago = points((0..80).map(|i| if i < 25 { 8.0 } else { 0.0 }));
        assert_eq!(decided(8, &long_ago).0, 2);
    }
}
