//! Lays the series of one signal on a grid of time and on a scale where effects add up. What lies
//! before and after its own change is told for each instance. It compares nothing.

use atoll_model::guard::{Guard, SignalKind};
use atoll_model::{Span, Timestamp};

use super::statistics::{mean, median, quantile};
use super::{Observation, Observed, Track};

/// More intervals than this are not looked at: they are made longer instead.
const MOST_INTERVALS: i64 = 360;

/// The time a signal is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The beginning of the first interval, in milliseconds.
    pub start: i64,
    /// The length of an interval, in milliseconds.
    pub width: i64,
    /// How many there are until now.
    pub count: usize,
    /// The first interval after the rollout began.
    pub since: usize,
    /// How long a changed instance may need to find its feet, in milliseconds.
    pub grace: i64,
    /// How long the step is watched, in milliseconds.
    pub watch: i64,
    /// The part of the watch that is left out as the beginning: one of so many.
    share: i64,
    /// How much of that is looked at, at most.
    pub seen: i64,
    /// How much of the watch is over, 0 to 1.
    pub over: f64,
    /// Only what is newer counts as after.
    pub oldest: usize,
}

impl Frame {
    pub fn of(observation: &Observation, observed: &Observed, rules: &Guard) -> Frame {
        let whole = |span: u64| i64::try_from(span).unwrap_or(i64::MAX / 8).min(i64::MAX / 8);
        let (since, now) = (observation.since.0, observation.now.0.max(observation.since.0));
        let before = whole(rules.before.0);
        let sampled = sampled(observed).unwrap_or(15_000);
        let least = (before.saturating_add(now - since) / MOST_INTERVALS).max(1);
        let width = sampled * ((least + sampled - 1) / sampled).max(1);
        let lead = before / width;
        let start = since.saturating_sub(lead * width);
        let watch = observation
            .soak_until
            .map_or(whole(rules.after.0), |end| end.0.saturating_sub(observation.step_at.0));
        let watch = watch.max(60_000);
        let gentle = matches!(observed.signal.measure, SignalKind::Errors | SignalKind::Events);
        let share = if gentle { 14 } else { 7 };
        let most = if gentle { 45_000 } else { 120_000 };
        let place = |at: i64| ((at - 1 - start).div_euclid(width)).max(0) as usize;
        Frame {
            start,
            width,
            count: place(now) + 1,
            since: lead as usize,
            grace: (watch / share).clamp(15_000, most),
            watch,
            share,
            seen: watch.min(whole(rules.after.0)),
            over: ((now - observation.step_at.0) as f64 / watch as f64).clamp(0.0, 1.0),
            oldest: place(now.saturating_sub(whole(rules.after.0))),
        }
    }

    /// How long a step would have to be watched for so many points to be judged by.
    pub fn watch_for(&self, points: usize) -> Span {
        let seconds = |millis: i64| (millis + 9_999) / 10_000 * 10_000;
        let all = points as i64 * self.width;
        let most = (all + self.width + 15_000).max(all * self.share / (self.share - 1));
        Span(seconds(most).unsigned_abs())
    }

    /// The interval that ends with a time or after it.
    pub fn place(&self, at: i64) -> Option<usize> {
        let place = usize::try_from((at - 1 - self.start).div_euclid(self.width)).ok()?;
        (place < self.count).then_some(place)
    }

    fn first_after(&self, changed_at: Timestamp) -> usize {
        let from = changed_at.0.saturating_add(self.grace) - self.start;
        usize::try_from(from.div_euclid(self.width) + i64::from(from % self.width != 0))
            .unwrap_or(0)
            .max(self.oldest)
    }
}

/// The usual distance of points; where most are missing, so long that two series will mostly both
/// have one.
fn sampled(observed: &Observed) -> Option<i64> {
    let all = [&observed.changed, &observed.unchanged, &observed.whole];
    let (mut gaps, mut apart) = (Vec::new(), Vec::new());
    for track in all.into_iter().flat_map(|tracks| tracks.iter().take(8)) {
        let points = &track.points[track.points.len().saturating_sub(120)..];
        gaps.extend(points.windows(2).map(|p| (p[1].0.0 - p[0].0.0) as f64));
        if let [first, .., last] = points {
            apart.push((last.0.0 - first.0.0) as f64 / (points.len() - 1) as f64);
        }
    }
    // Gaps only make distances longer.
    let usual = (quantile(&mut gaps, 0.3)? as i64).clamp(1_000, 600_000);
    let mean = quantile(&mut apart, 0.5)? as i64;
    if mean < usual * 13 / 10 {
        return Some(usual);
    }
    Some((usual * (mean * 2 / usual)).clamp(usual, usual.max(120_000)))
}

/// The scale values are compared on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// As they are.
    Plain,
    /// Logarithms, so that a difference is a factor; the number keeps zero finite.
    Factor(f64),
}

impl Scale {
    pub fn of(observed: &Observed) -> Scale {
        if matches!(observed.signal.measure, SignalKind::Errors | SignalKind::Events) {
            return Scale::Plain;
        }
        let all = [&observed.changed, &observed.unchanged, &observed.whole];
        let mut some = Vec::new();
        for track in all.into_iter().flat_map(|tracks| tracks.iter().take(50)) {
            let step = (track.points.len() / 40).max(1);
            some.extend(track.points.iter().step_by(step).map(|point| point.1));
        }
        let negative = some.iter().filter(|v| **v < 0.0).count();
        let positive: Vec<f64> = some.iter().copied().filter(|v| *v > 0.0).collect();
        match median(&mut positive.clone()) {
            Some(usual) if negative == 0 && positive.len() * 4 > some.len() => {
                Scale::Factor(usual * 0.02)
            }
            _ => Scale::Plain,
        }
    }

    pub fn put(self, value: f64) -> f64 {
        match self {
            Scale::Plain => value,
            Scale::Factor(least) => (value.max(0.0) + least).ln(),
        }
    }

    pub fn back(self, value: f64) -> f64 {
        match self {
            Scale::Plain => value,
            Scale::Factor(least) => value.exp() - least,
        }
    }

    /// How much a shift from `base`, both on this scale, is of what was there, as people say it:
    /// 0.45 for 45 % more. Levels below `least` count as that much.
    pub fn relative(self, base: f64, shift: f64, least: f64) -> f64 {
        let level = self.back(base);
        match self {
            Scale::Factor(_) if level > 0.0 => self.back(base + shift) / level - 1.0,
            Scale::Factor(_) => shift.exp() - 1.0,
            Scale::Plain => shift / level.abs().max(least),
        }
    }
}

/// One series on the grid.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub instance: &'a str,
    /// A value an interval; NaN where nothing was measured.
    pub values: Vec<f64>,
    /// Intervals below this are before the change.
    pub before: usize,
    /// Intervals from here on are after the change and its grace.
    pub after: usize,
    /// The middle of what was before, if enough was measured.
    pub base: Option<f64>,
}

impl<'a> Row<'a> {
    /// `shift` moves an earlier day onto this one; `counted` adds values up instead of averaging.
    pub fn of(
        track: &Track<'a>,
        frame: &Frame,
        scale: Scale,
        shift: i64,
        counted: bool,
    ) -> Row<'a> {
        let mut values = vec![f64::NAN; frame.count];
        let mut many = vec![0_u32; frame.count];
        for (at, value) in track.points {
            let Some(place) = frame.place(at.0.saturating_add(shift)) else { continue };
            if !value.is_finite() {
                continue;
            }
            let known = if values[place].is_nan() { 0.0 } else { values[place] };
            values[place] = known + if counted { *value } else { scale.put(*value) };
            many[place] += 1;
        }
        if !counted {
            for (value, many) in values.iter_mut().zip(&many).filter(|(_, many)| **many > 1) {
                *value /= f64::from(*many);
            }
        }
        let (before, after) = match track.changed_at {
            Some(at) => (frame.place(at.0 + 1).unwrap_or(frame.count), frame.first_after(at)),
            None => (frame.since, frame.since),
        };
        let mut row = Row { instance: track.instance, values, before, after, base: None };
        let known = row.known(0, before.min(frame.since));
        if known.len() >= 4 {
            let errors = scale == Scale::Plain && !counted;
            row.base = if errors { Some(mean(&known)) } else { median(&mut known.clone()) };
        }
        row
    }

    /// What was measured in these intervals.
    pub fn known(&self, from: usize, to: usize) -> Vec<f64> {
        let to = to.min(self.values.len());
        let range = self.values.get(from.min(to)..to).unwrap_or_default();
        range.iter().copied().filter(|value| !value.is_nan()).collect()
    }
}

/// The series of one signal.
pub(super) struct Rows<'a> {
    pub changed: Vec<Row<'a>>,
    pub unchanged: Vec<Row<'a>>,
    pub days: Vec<Vec<Row<'a>>>,
}

impl<'a> Rows<'a> {
    pub fn of(observed: &Observed<'a>, frame: &Frame, scale: Scale) -> Rows<'a> {
        let counted = observed.signal.measure == SignalKind::Events;
        let row = |track: &Track<'a>| Row::of(track, frame, scale, 0, counted);
        let split = !observed.changed.is_empty();
        let changed = if split { &observed.changed } else { &observed.whole };
        let unchanged = if split { observed.unchanged.as_slice() } else { &[] };
        let days = observed.background.iter().map(|day| {
            let shift = i64::from(day.ago) * 86_400_000;
            day.tracks.iter().map(|t| Row::of(t, frame, scale, shift, counted)).collect()
        });
        Rows {
            changed: changed.iter().map(row).collect(),
            unchanged: unchanged.iter().map(row).collect(),
            days: days.collect(),
        }
    }
}
