//! Whether events that should not happen became more: restarts, error lines. Rates are compared
//! exactly, and events that come in bunches count for less. Not for values that are always there.

use atoll_model::guard::Verdict;

use super::grid::{Frame, Row, Rows};
use super::level::{Finding, Measure};
use super::statistics::{at_least, deviation, mean};

/// Events and the intervals they were counted in.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    events: f64,
    time: f64,
}

impl Count {
    fn of(rows: &[Row], from: impl Fn(&Row) -> usize, to: impl Fn(&Row) -> usize) -> Count {
        let mut count = Count::default();
        for row in rows {
            let known = row.known(from(row), to(row));
            count.events += known.iter().sum::<f64>();
            count.time += known.len() as f64;
        }
        count
    }

    fn rate(self) -> f64 {
        if self.time > 0.0 { self.events / self.time } else { 0.0 }
    }

    fn and(self, other: Count) -> Count {
        Count { events: self.events + other.events, time: self.time + other.time }
    }

    /// The chance of so many here, if both had the same rate; bunches count as one.
    fn beyond(self, other: Count, bunch: f64) -> f64 {
        if other.time <= 0.0 || self.time <= 0.0 {
            return 1.0;
        }
        at_least(self.events / bunch, other.events / bunch, self.time / (self.time + other.time))
    }
}

/// What a rate is compared with, summed up once: sums from each interval until now.
struct Around {
    unchanged_before: Count,
    /// Of unchanged instances.
    beside: Vec<Count>,
    /// Of changed instances after their change.
    changed: Vec<Count>,
    bunch: f64,
}

impl Around {
    fn of(rows: &Rows, frame: &Frame) -> Around {
        Around {
            unchanged_before: Count::of(&rows.unchanged, |_| 0, |_| frame.since),
            beside: sums(&rows.unchanged, frame),
            changed: sums(&rows.changed, frame),
            bunch: bunching(rows, frame),
        }
    }
}

fn sums(rows: &[Row], frame: &Frame) -> Vec<Count> {
    let mut sums = vec![Count::default(); frame.count + 1];
    for row in rows {
        let after = row.values.iter().zip(&mut sums).take(frame.count).skip(row.after);
        for (value, sum) in after.filter(|(value, _)| !value.is_nan()) {
            *sum = sum.and(Count { events: *value, time: 1.0 });
        }
    }
    for place in (0..frame.count).rev() {
        sums[place] = sums[place].and(sums[place + 1]);
    }
    sums
}

/// Judges the changed instances together, then each by itself.
pub(super) fn events(rows: &Rows, frame: &Frame, measure: &Measure) -> Finding {
    let around = Around::of(rows, frame);
    let together = of(&rows.changed, &around, frame, measure, 1.0);
    if together.verdict == Verdict::Stop || rows.changed.len() < 2 {
        return together;
    }
    let mut worst = together;
    let many = rows.changed.len() as f64;
    for row in &rows.changed {
        let mut found = of(std::slice::from_ref(row), &around, frame, measure, many);
        if found.verdict > worst.verdict {
            found.instance = Some(row.instance.to_owned());
            worst = found;
        }
    }
    worst
}

/// `many` is among how many these were picked.
fn of(changed: &[Row], around: &Around, frame: &Frame, measure: &Measure, many: f64) -> Finding {
    let newest = frame.count;
    let longest = changed.iter().map(|row| newest.saturating_sub(row.after)).max().unwrap_or(0);
    let before = Count::of(changed, |_| 0, |row| row.before.min(frame.since));
    let bunch = around.bunch;
    let mut worst = Finding::pass();
    for part in [1, 2, 4] {
        let long = longest / part;
        if long == 0 || part > 1 && long < 4 {
            continue;
        }
        let from = newest - long;
        let after = Count::of(changed, |row| row.after.max(from), |_| newest);
        let beside = around.beside[from];
        // What was changed at the same time and is well is a witness too.
        let every = around.changed[from];
        let peers = Count { events: every.events - after.events, time: every.time - after.time };
        let all = before.and(around.unchanged_before).and(beside).and(peers);
        let mut found = Finding {
            shift: after.rate() - all.rate(),
            chance: (after.beyond(all, bunch) * many).min(1.0),
            points: filled(changed, from, newest),
            ..Finding::pass()
        };
        let times = 1.0 + measure.tolerance.max(0.5);
        let more = after.rate() > times * all.rate() && after.rate() > times * beside.rate();
        if more && found.chance <= 0.02 && after.events >= 2.0 {
            let risen = beside.beyond(around.unchanged_before, bunch) < 0.05;
            let beside_ok = !risen || many * after.beyond(beside, bunch) <= 1e-4;
            let limit = if all.events <= 0.0 { 1e-3 } else { 2e-4 };
            let own = before.time <= 0.0 || after.beyond(before, bunch) <= 0.02;
            let recent = filled(changed, newest - (long / 3).max(1), newest) > 0;
            let steady = found.points >= 3 && recent;
            found.verdict = Verdict::Warn;
            let doubt = match found.chance <= limit {
                false => "too few to tell from chance",
                _ if !beside_ok => "unchanged instances have more of them as well",
                _ if !own => "it had not surely fewer before",
                _ if !steady => "not long enough to tell",
                true => {
                    found.verdict = Verdict::Stop;
                    ""
                }
            };
            doubt.clone_into(&mut found.note);
        }
        if found.verdict > worst.verdict || part == 1 {
            worst = found;
        }
    }
    worst
}

/// In how many intervals there were any.
fn filled(rows: &[Row], from: usize, to: usize) -> u32 {
    let any =
        |place: &usize| rows.iter().any(|row| *place >= row.after && row.values[*place] > 0.0);
    u32::try_from((from..to).filter(any).count()).unwrap_or(u32::MAX)
}

/// How many events come at once: the variance beyond that of single ones.
fn bunching(rows: &Rows, frame: &Frame) -> f64 {
    let mut sums = vec![0.0; frame.since];
    let mut any = vec![false; frame.since];
    let all = rows.changed.iter().chain(&rows.unchanged);
    let mut single: Vec<f64> = Vec::new();
    for row in all {
        let mut own = Vec::new();
        for place in 0..frame.since.min(row.before) {
            let value = row.values[place];
            if !value.is_nan() {
                sums[place] += value;
                any[place] = true;
                own.push(value);
            }
        }
        if own.len() >= 10 && mean(&own) > 0.0 {
            single.push(deviation(&own).powi(2) / mean(&own));
        }
    }
    let known: Vec<f64> = sums.into_iter().zip(any).filter(|v| v.1).map(|v| v.0).collect();
    let middle = mean(&known);
    let whole = if middle > 0.0 { deviation(&known).powi(2) / middle } else { 1.0 };
    whole.max(mean(&single)).clamp(1.0, 1e6)
}
