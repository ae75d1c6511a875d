//! What one signal has asked for lately: its level, its trend, what it goes up and down by, whether
//! it stands still. Pure arithmetic over times and numbers; what follows from it is in `decide.rs`.

use std::f64::consts::SQRT_2;

use atoll_model::{Span, Timestamp};

use super::decide::EVERY;

/// The standard deviation of a normal distribution is so many times the median of how far its
/// values are from their middle.
const NORMAL: f64 = 1.4826;
/// What goes up and down by no more than this share of its level is not looked at more closely.
const SMALL: f64 = 0.1;
/// What is older is not what is.
const FRESH: Span = Span::seconds(60);
/// A minute of which so many points are known is known.
const MINUTE: usize = 4;
/// So many times as much is a jump; less is what a signal goes up and down by.
const JUMP: f64 = 1.5;
/// A trend is taken from so much of the past.
const TREND: Span = Span::seconds(600);
/// What is needed goes up and down from one moment to the next; its level is the mean of this.
pub(super) const LEVEL: Span = Span::seconds(300);
/// A level above all of this has passed;
pub(super) const LATEST: Span = Span::seconds(120);
/// one that was foreseen to pass has after this.
pub(super) const PASSED: Span = Span::seconds(45);
/// What a point goes up and down by is no more than it differs from that of so long before, which
/// is at another point of whatever comes each half a minute, minute or two.
const APART: Span = Span::seconds(105);
/// The share of the window that has to be measured before anything is taken away.
const COMPLETE: f64 = 0.8;
/// What was usual before a window is looked for this far back.
const USUAL: Span = Span::seconds(1_200);
/// A past of less than this is short.
const SHORT: Span = Span::seconds(900);
/// What has not changed at all for so long stands still,
const STILL: Span = Span::seconds(180);
/// which is odd of what changed so often before.
const MOVED: usize = 16;
/// Of fewer points nobody can tell what is usual.
const FEW: usize = 6;
/// Of little that was seen before, one in so many changes is often.
const OFTEN: usize = 4;

/// What one signal asks for.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many instances it asked for, as an exact number, over the last while, in order.
    pub points: &'a [(Timestamp, f64)],
    /// How old its newest sample is, where samples should have come since.
    pub old: Option<Span>,
}

impl Needs<'_> {
    /// What it asks for now; none without fresh data.
    pub fn now(&self, now: Timestamp) -> Option<f64> {
        let (at, need) = self.points.last().filter(|_| self.old.is_none())?;
        (now.since(*at) <= FRESH).then_some(*need)
    }

    fn since(&self, from: Timestamp) -> &[(Timestamp, f64)] {
        &self.points[self.points.partition_point(|(at, _)| *at <= from)..]
    }

    /// The level at the time of each point.
    pub(super) fn levels(&self) -> Vec<f64> {
        // A sum that goes along, of what comes before a place and what comes after it. Nothing is
        // taken from it, so that of what has left, however absurd it was, nothing is left in it.
        let mut before = vec![0.0; self.points.len()];
        let (mut start, mut place, mut after) = (0, 0, 0.0);
        let level = |(end, (at, need)): (usize, &(Timestamp, f64))| {
            while self.points[start].0 <= *at - LEVEL {
                start += 1;
            }
            after += need;
            if start >= place {
                (place, after) = (end + 1, 0.0);
                let mut sum = 0.0;
                for i in (start..place).rev() {
                    sum += self.points[i].1;
                    before[i] = sum;
                }
            }
            ((before[start] + after) / (end + 1 - start) as f64).max(0.0)
        };
        self.points.iter().enumerate().map(level).collect()
    }

    /// The highest of the last while.
    pub(super) fn latest(&self, now: Timestamp, window: Span) -> Option<f64> {
        let latest = self.since(now - window).iter().map(|(_, need)| *need);
        latest.max_by(f64::total_cmp)
    }

    /// What it stands still at, where it moved before. What does not move for as long as is looked
    /// back over is what is so; of what is young, what was usual is forgotten as soon.
    pub(super) fn frozen(&self, now: Timestamp) -> Option<f64> {
        let (_, value) = *self.points.last()?;
        let run = self.points.iter().rev().take_while(|(_, need)| *need == value).count();
        let before = self.points.len() - run;
        let moves = self.points.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
        let still = self.since(now - STILL);
        let count = (STILL.0 / EVERY.0) as usize;
        let stands = still.len() >= count && run >= still.len();
        let young = (USUAL.0 / EVERY.0) as usize;
        // Of little that was seen nobody can know so many moves: that it did move is enough, but a
        // single step to where it stands is none, as of a schedule.
        let little = run <= young && moves > 1 && OFTEN * moves >= before;
        let old = stands && (moves >= MOVED || little);
        // What moved nearly all the time is odd sooner.
        let few = (FRESH.0 / EVERY.0) as usize..=young;
        let restless = before >= FEW && few.contains(&run) && 4 * moves >= 3 * before;
        (old || restless).then_some(value)
    }

    /// What it usually asked for in the time before a window; none where that is not known.
    pub(super) fn before(&self, now: Timestamp, window: Span) -> Option<f64> {
        let recent = self.since(now - USUAL.max(window));
        let end = recent.partition_point(|(at, _)| *at <= now - window);
        (end > 0).then(|| median(recent[..end].iter().map(|(_, need)| *need)))
    }
}

/// What one signal asks for, and what that goes up and down around.
pub(super) struct Seen<'a> {
    pub(super) needs: Needs<'a>,
    /// The level at the time of each point.
    levels: Vec<f64>,
    /// The standard deviation of what it goes up and down by.
    pub(super) spread: f64,
}

impl<'a> Seen<'a> {
    pub(super) fn of(needs: &Needs<'a>) -> Seen<'a> {
        let levels = needs.levels();
        Seen { needs: *needs, spread: spread(needs.points, &levels), levels }
    }

    /// The levels of a window.
    fn since(&self, from: Timestamp) -> &[f64] {
        &self.levels[self.needs.points.partition_point(|(at, _)| *at <= from)..]
    }

    /// The level now: what has fallen for so long is not asked for any more.
    pub(super) fn level(&self, now: Timestamp, latest: Span) -> Option<f64> {
        Some(self.since(now - FRESH).last()?.min(self.needs.latest(now, latest)?))
    }

    /// How far beyond a level it may go: of what is known for a short time only, no farther than it
    /// was seen, as what it goes up and down by is hardly known.
    pub(super) fn room(&self, level: f64) -> f64 {
        let points = self.needs.points;
        let ends = points.first().zip(points.last());
        let Some(((first, _), (last, _))) = ends else { return 0.0 };
        if last.since(*first) >= SHORT {
            return f64::INFINITY;
        }
        let highest = points.iter().map(|(_, need)| *need).fold(level, f64::max);
        highest - level
    }

    /// What it will ask for if it goes on from its level as in the last minutes. A trend is one
    /// that holds in both halves of them: what jumped and stays is none.
    pub(super) fn ahead(&self, now: Timestamp, lead: Span, level: f64) -> f64 {
        let recent = self.needs.since(now - TREND);
        let (early, late) = recent.split_at(recent.len() / 2);
        let slope = match rises(early) && rises(late) {
            true => slope(early).min(slope(late)).max(0.0),
            false => 0.0,
        };
        // The level is that of half its time ago.
        let lead = (lead.0 + LEVEL.0 / 2) as f64;
        (level + slope * lead).min(level * 2.0)
    }

    /// The highest level of a window, if enough of that is measured.
    pub(super) fn most(&self, now: Timestamp, window: Span) -> Option<f64> {
        let levels = self.since(now - window);
        let expected = (window.0 / EVERY.0) as f64;
        let complete = levels.len() as f64 >= (expected * COMPLETE).floor();
        complete.then(|| levels.iter().copied().max_by(f64::total_cmp))?
    }

    /// The most that was asked for all through some minute of a window, where that is a jump. The
    /// level follows one late, and never shows what passes sooner. What came and went as high
    /// before the window is what it goes up and down by.
    pub(super) fn jump(&self, now: Timestamp, window: Span) -> Option<f64> {
        let all = self.needs.points;
        let first = all.partition_point(|(at, _)| *at <= now - window);
        let held = highest_minute(all, first);
        let began = began(&all[..first], held);
        // What has been so for as long as is looked back is the level, which knows it.
        let is_level = began == 0 && first > 0;
        (!is_level && held > highest_minute(&all[..began], 0) * JUMP).then_some(held)
    }
}

/// Where a jump to `held` began that goes on behind the last of these points: what of it lies
/// before is no other one. A minute of less ends it.
fn began(before: &[(Timestamp, f64)], held: f64) -> usize {
    let mut less = 0;
    for (at, (_, need)) in before.iter().enumerate().rev() {
        less = if *need * JUMP > held { 0 } else { less + 1 };
        if less == MINUTE {
            return at + MINUTE;
        }
    }
    0
}

/// The most that was asked for all through some minute that ends with one of the points from
/// `first` on.
fn highest_minute(points: &[(Timestamp, f64)], first: usize) -> f64 {
    let least = |last: usize| {
        let minute =
            points[..=last].iter().rev().take_while(|(at, _)| *at > points[last].0 - FRESH);
        let (count, least) =
            minute.fold((0, f64::INFINITY), |(n, least), (_, need)| (n + 1, least.min(*need)));
        if count >= MINUTE { least } else { 0.0 }
    };
    (first..points.len()).map(least).fold(0.0, f64::max)
}

/// The standard deviation of what points go up and down by, from the median of how far each was
/// from where they usually were beside their level. A jump or a spike does not move that, and a
/// trend is none of it.
///
/// Where it jumps to and fro between levels, as by jobs each quarter of an hour, its mean is
/// neither of them for most of the time, and how far points are from that says nothing: so it is no
/// more than points differ that are almost two minutes apart, of which few do by a jump. What goes
/// up and down slowly differs by more than it is from its level.
///
/// In a past that is short a jump would be most of it, for as long as the level takes to follow.
/// Of one it is no more than a point goes up and down by from one minute to the next.
pub(super) fn spread(points: &[(Timestamp, f64)], levels: &[f64]) -> f64 {
    let beside = points.iter().zip(levels).map(|((_, need), level)| need - level);
    let all = deviation(beside);
    let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else { return all };
    let short = last.since(*first) < SHORT;
    if !short && levels.last().is_some_and(|level| all <= level * SMALL) {
        return all;
    }
    let steps = steps(points, if short { FRESH } else { APART });
    if steps.len() < 2 {
        return all;
    }
    all.min(match short {
        // What differs goes up and down too, as much.
        true => deviation(steps.into_iter()) / SQRT_2,
        false => NORMAL * median(steps.into_iter().map(f64::abs)),
    })
}

/// The standard deviation of values, by their medians.
fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let usual = median(values.clone());
    NORMAL * median(values.map(|value| (value - usual).abs()))
}

/// How much each point is more than the last that is so much older.
fn steps(points: &[(Timestamp, f64)], apart: Span) -> Vec<f64> {
    let mut before = 0;
    let step = |(at, need): &(Timestamp, f64)| {
        let old = |point: usize| points.get(point).filter(|(then, _)| *then <= *at - apart);
        while old(before + 1).is_some() {
            before += 1;
        }
        old(before).map(|(_, was)| need - was)
    };
    points.iter().filter_map(step).collect()
}

/// Whether [`slope`] is more than nothing, which takes a fraction of the time to find out.
fn rises(points: &[(Timestamp, f64)]) -> bool {
    let later = |(i, (_, a)): (usize, &(Timestamp, f64))| {
        points[i + 1..].iter().filter(|(_, b)| b > a).count()
    };
    let up: usize = points.iter().enumerate().map(later).sum();
    let pairs = points.len() * points.len().saturating_sub(1) / 2;
    points.len() >= 4 && 2 * up >= pairs
}

/// Theil and Sen's slope for each millisecond, the median over all pairs: one outlier does not move
/// it. 0 where there are too few points for one.
fn slope(points: &[(Timestamp, f64)]) -> f64 {
    let Some((first, _)) = points.first().filter(|_| points.len() >= 4) else { return 0.0 };
    let points: Vec<(f64, f64)> =
        points.iter().map(|(at, value)| (at.since(*first).0 as f64, *value)).collect();
    let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    for (i, (from, a)) in points.iter().enumerate() {
        let later = points[i + 1..].iter();
        slopes.extend(later.map(|(to, b)| key((b - a) / (to - from).max(1.0))));
    }
    middle(slopes)
}

/// The one in the middle; 0 of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    middle(values.map(key).collect())
}

/// The same of keys, which are put in order in half the time values take.
fn middle(mut keys: Vec<i64>) -> f64 {
    let middle = keys.len() / 2;
    if keys.is_empty() { 0.0 } else { value(*keys.select_nth_unstable(middle).1) }
}

/// A whole number for each value, in the order of [`f64::total_cmp`].
fn key(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    // Of what is negative all bits but the sign count the other way.
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// The value of a [`key`].
fn value(key: i64) -> f64 {
    f64::from_bits((key ^ ((key >> 63) as u64 >> 1) as i64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_their_values() {
        let values = [f64::NEG_INFINITY, -2.5, -1e-300, -0.0, 0.0, 1e-300, 2.5, f64::INFINITY];
        let keys = values.map(key);
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(keys.map(value).map(f64::to_bits), values.map(f64::to_bits));
        assert_eq!(median([3.0, -1.0, 2.0].into_iter()), 2.0);
    }

    #[test]
    fn what_jumps_to_and_fro_does_not_go_up_and_down_by_its_jumps() {
        // Four minutes of each quarter of an hour there is much, and each minute it differs.
        let value = |minute: i64| {
            let of = if minute % 15 < 4 { 45.0 } else { 3.0 };
            of + [0.1, -0.2, 0.0, 0.3, -0.1, 0.2, -0.3][(minute * minute % 7) as usize]
        };
        let at = |i: i64| (Timestamp(i * EVERY.0 as i64), value(i / 4));
        let points: Vec<_> = (0..160).map(at).collect();
        let needs = Needs { name: "load", points: &points, old: None };
        let spread = Seen::of(&needs).spread;
        assert!((0.1..0.5).contains(&spread), "{spread}");
    }
}
