//! Whether a signal's level got worse: latency, errors, fullness, traffic and plain values. A
//! breach needs size, rank, certainty and duration together; the earlier it is said, the more of
//! them. Counts of events are in `events.rs`.

use atoll_model::guard::{SignalKind, Verdict};

use super::contrast::{Against, Contrast};
use super::grid::{Frame, Row, Rows, Scale};
use super::shape::{in_a_row, lasts, recedes};
use super::statistics::{
    above, at_least, deviation, effective, mann_whitney, mean, median_of, persistence, spread,
};

/// What one way of looking at a signal found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// Pass, warn, insufficient data, or stop for any breach.
    pub verdict: Verdict,
    /// What was found, in words that follow the numbers.
    pub note: String,
    /// On the signal's scale, towards worse.
    pub shift: f64,
    pub chance: f64,
    pub points: u32,
    /// The one instance it is about.
    pub instance: Option<String>,
}

impl Finding {
    pub fn pass() -> Finding {
        Finding {
            verdict: Verdict::Pass,
            note: String::new(),
            shift: 0.0,
            chance: 1.0,
            points: 0,
            instance: None,
        }
    }
}

/// How a signal is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub kind: SignalKind,
    /// 1 where higher is worse, -1 where lower is.
    pub sign: f64,
    /// The smallest shift that matters, on the signal's scale.
    pub tolerance: f64,
    /// The smallest that matters in the signal's own unit, and the scale all others are on.
    pub least: f64,
    pub scale: Scale,
    /// So many signals are looked at.
    pub signals: usize,
    /// Load moved everywhere since the rollout began, which moves unchanged instances too.
    pub loaded: bool,
}

impl Measure {
    fn is_errors(&self) -> bool {
        self.kind == SignalKind::Errors
    }
}

/// Worse by so many times what matters, and not certain: that is no pass.
const UNSURE: f64 = 2.0;

/// The least number of points after the change.
pub(super) fn least_points(kind: SignalKind) -> usize {
    if kind == SignalKind::Errors { 3 } else { 4 }
}

/// How certain chance can make a window of so many points, from the time before.
struct Noise {
    middle: f64,
    spread: f64,
    rho: f64,
    before: usize,
}

impl Noise {
    fn of(contrast: &Contrast, sign: f64, errors: bool) -> Noise {
        let before: Vec<f64> = contrast.before.iter().map(|v| sign * v).collect();
        let own = if before.len() >= 8 {
            before
        } else {
            let middle = median_of(&contrast.since).unwrap_or(0.0);
            contrast.since.iter().map(|v| sign * (v - middle)).collect()
        };
        let wide = if errors { deviation(&own) } else { spread(&own).max(0.5 * deviation(&own)) };
        Noise {
            middle: match (contrast.crossed, errors) {
                (true, _) => 0.0,
                (false, true) => mean(&own),
                (false, false) => median_of(&own).unwrap_or(0.0),
            },
            spread: wide,
            rho: persistence(&own),
            before: own.len(),
        }
    }

    /// `now` is the spread of the window itself, where more events bring more of it.
    fn error(&self, points: usize, now: f64, differ: f64, crossed: bool) -> f64 {
        let one = |spread: f64, count| 1.25 * spread / effective(count, self.rho).sqrt();
        let past = if crossed { 0.0 } else { one(self.spread, self.before) };
        (one(self.spread.max(now), points).powi(2) + past.powi(2) + differ.powi(2)).sqrt()
    }
}

/// Judges the group as a whole.
pub(super) fn level(
    contrast: &Contrast,
    rows: &Rows,
    frame: &Frame,
    measure: &Measure,
    requests: Option<&Rows>,
) -> Finding {
    let errors = measure.is_errors();
    let noise = Noise::of(contrast, measure.sign, errors);
    let after: Vec<f64> =
        contrast.after.iter().map(|v| measure.sign * v.1 - noise.middle).collect();
    let least = least_points(measure.kind);
    let mut worst = Finding::pass();
    if after.len() < least {
        return worst;
    }
    let mut sizes = vec![after.len()];
    for quarters in [3, 2, 1] {
        let size = after.len() * quarters / 4;
        if size >= least.max(5) {
            sizes.push(size);
        }
    }
    for size in sizes {
        let window = Window {
            values: &after[after.len() - size..],
            from: contrast.after[after.len() - size].0,
            tail: size < after.len(),
        };
        let found = window.judge(contrast, rows, frame, measure, &noise, requests);
        let better = found.verdict > worst.verdict
            || found.verdict == worst.verdict && found.shift > worst.shift && worst.shift <= 0.0;
        if better {
            worst = found;
        }
    }
    worst
}

struct Window<'a> {
    values: &'a [f64],
    from: usize,
    tail: bool,
}

impl Window<'_> {
    fn judge(
        &self,
        contrast: &Contrast,
        rows: &Rows,
        frame: &Frame,
        measure: &Measure,
        noise: &Noise,
        requests: Option<&Rows>,
    ) -> Finding {
        let errors = measure.is_errors();
        let middle = if errors { mean(self.values) } else { median_of(self.values).unwrap_or(0.0) };
        let now = if errors { deviation(self.values) } else { 0.0 };
        let error = noise.error(self.values.len(), now, contrast.differ, contrast.crossed);
        let z = if error > 0.0 { (middle / error).min(40.0) } else { 40.0 * middle.signum() };
        let past: Vec<f64> =
            contrast.before.iter().map(|v| measure.sign * v - noise.middle).collect();
        let worth = (1.0 - noise.rho) / (1.0 + noise.rho);
        let ranks = mann_whitney(&past, self.values, worth);
        let mut found = Finding {
            shift: middle,
            chance: if past.is_empty() { above(z) } else { ranks.chance.max(above(z)) },
            points: in_a_row(self.values.iter().copied(), measure.tolerance / 2.0),
            ..Finding::pass()
        };
        if middle < measure.tolerance || z < if errors { 1.0 } else { 2.5 } {
            return found;
        }
        found.verdict = Verdict::Warn;
        let since: Vec<f64> =
            contrast.since.iter().map(|v| measure.sign * v - noise.middle).collect();
        let held = self.why_not(contrast, rows, frame, measure, &since);
        let needed = 3.6 + 2.0 * (1.0 - frame.over) + if self.tail { 0.5 } else { 0.0 };
        // No value after among those before, and far off: that need not be as certain.
        let far = ranks.delta >= 0.95 && middle >= 3.0 * measure.tolerance;
        let needed = if far && self.values.len() >= 8 { needed - 0.6 } else { needed };
        // What only one series or only its own past says, and little of it, has to be surer.
        let weak = contrast.instances == 1 || contrast.against == Against::Past;
        let slight = weak && !errors && middle < 2.0 * measure.tolerance;
        let needed = if slight { needed + 1.0 } else { needed };
        // Few failures are told from chance by counting them, not by how they spread.
        let by_count = errors && z < needed;
        let certain = z >= needed || by_count;
        // Ranks of few values cannot say more, however clear they are: size and certainty do.
        let limit = (0.05 / measure.signals.max(1) as f64).max(0.01);
        let apart = ranks.delta >= 0.9 && z >= 6.0;
        // Noise that lasts leaves few independent values, of which no order is unlikely enough. How
        // long it lasts is part of the certainty as well, and that has no such bound.
        let overwhelming = far && z >= 8.0;
        let ranked = errors
            || past.len() < 8
            || ranks.delta >= 0.45 && ranks.chance <= limit
            || apart && ranks.chance <= 0.05
            || overwhelming;
        if let Some(why) = held {
            found.note = why.to_owned();
        } else if !certain || !ranked {
            found.note = "not certain yet".to_owned();
            if middle >= UNSURE * measure.tolerance && z >= 3.0 {
                found.verdict = Verdict::InsufficientData;
            }
        } else if errors && !self.counted(rows, frame, requests, measure, by_count) {
            found.note = "too few failures to tell from chance".to_owned();
        } else {
            found.verdict = Verdict::Stop;
        }
        found
    }

    /// What speaks against a breach although the level is worse.
    fn why_not(
        &self,
        contrast: &Contrast,
        rows: &Rows,
        frame: &Frame,
        measure: &Measure,
        since: &[f64],
    ) -> Option<&'static str> {
        let (errors, tolerance) = (measure.is_errors(), measure.tolerance);
        let long = (frame.count - self.from) as i64 * frame.width;
        let alone = contrast.instances == 1 && !errors;
        let needed = match (alone, errors) {
            (true, _) => (frame.watch * 45 / 100).max(180_000),
            (false, true) => 45_000,
            (false, false) => (frame.watch / 5).max(90_000),
        };
        if long < needed.min(frame.seen * 3 / 4) {
            return Some("too short so far");
        }
        let sure = if errors { 2.3 } else { 1.3 };
        if recedes(since, sure) {
            return Some("going back by itself");
        }
        if !lasts(self.values, if errors { 2 } else { 4 }, 0.5 * tolerance, errors) {
            return Some("not lasting");
        }
        let few = matches!(contrast.against, Against::Unchanged(1..=2)) && !contrast.crossed;
        let own = &contrast.own[contrast.own.len() - self.values.len()..];
        let own = measure.sign * if errors { mean(own) } else { median_of(own).unwrap_or(0.0) };
        let shift = median_of(self.values).unwrap_or(0.0);
        if few && own < 0.3 * shift && !errors && !measure.loaded {
            return Some("only because the few unchanged instances got better");
        }
        if !errors && !self.is_broad(rows, contrast, measure) {
            return Some("on few of the updated instances only");
        }
        None
    }

    /// Half of the changed instances show it, each by itself; of two, both.
    fn is_broad(&self, rows: &Rows, contrast: &Contrast, measure: &Measure) -> bool {
        let group = measure.sign * median_of(&contrast.own).unwrap_or(0.0);
        let other = group - median_of(self.values).unwrap_or(0.0);
        let base = |row: &Row| {
            if contrast.crossed { Some(contrast.base) } else { row.base }
        };
        let mut many = 0;
        let mut with = 0;
        for row in &rows.changed {
            let Some(base) = base(row) else { continue };
            let known = row.known(self.from.max(row.after), row.values.len());
            let Some(middle) = median_of(&known) else { continue };
            many += 1;
            let other = if contrast.crossed { 0.0 } else { other };
            with += usize::from(measure.sign * (middle - base) - other >= 0.5 * measure.tolerance);
        }
        with * 2 > many || many >= 4 && with * 2 >= many
    }

    /// Failures are counted where it is known of how many requests they are, and estimated from
    /// the smallest share seen where not; chance alone must not give so many.
    fn counted(
        &self,
        rows: &Rows,
        frame: &Frame,
        requests: Option<&Rows>,
        measure: &Measure,
        alone: bool,
    ) -> bool {
        let sign = measure.sign;
        let count = |row: &Row, rate: Option<&Row>, from: usize, to: usize| {
            tally(row, rate, frame, from, to, sign)
        };
        let rate_of = |changed: bool, row: &Row| {
            requests.and_then(|rows| {
                let group = if changed { &rows.changed } else { &rows.unchanged };
                group.iter().find(|rate| rate.instance == row.instance)
            })
        };
        let (mut after, mut before, mut other) = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0));
        let add = |sum: &mut (f64, f64), part: (f64, f64)| {
            sum.0 += part.0;
            sum.1 += part.1;
        };
        // Past some hundred instances more of them prove nothing more.
        for row in rows.changed.iter().take(400) {
            let rate = rate_of(true, row);
            add(&mut after, count(row, rate, self.from.max(row.after), frame.count));
            add(&mut before, count(row, rate, 0, row.before.min(frame.since)));
        }
        let mut earlier = (0.0, 0.0);
        for row in rows.unchanged.iter().take(400) {
            let rate = rate_of(false, row);
            add(&mut other, count(row, rate, self.from, frame.count));
            add(&mut earlier, count(row, rate, 0, frame.since));
        }
        let chance = |here: (f64, f64), there: (f64, f64)| {
            let known = here.1 > 0.0 && there.1 > 0.0;
            if known { at_least(here.0, there.0, here.1 / (here.1 + there.1)) } else { 0.0 }
        };
        // Where the unchanged fail more as well, only they are a fair measure.
        let risen = earlier.1 > 0.0 && chance(other, earlier) < 0.02;
        let all = (before.0 + other.0, before.1 + other.1);
        // Bunches of failures would deceive a count; many of them show in the spread.
        let few = !alone || after.0 <= 60.0 && before.0 <= 10.0;
        few && after.0 >= 3.0
            && chance(after, all) <= if alone { 1e-5 } else { 2e-4 }
            && chance(after, before) <= 0.02
            && chance(after, other) <= if risen { 1e-5 } else { 0.02 }
    }
}

/// Failures and requests of one instance over a time.
pub(super) fn tally(
    row: &Row,
    rate: Option<&Row>,
    frame: &Frame,
    from: usize,
    to: usize,
    sign: f64,
) -> (f64, f64) {
    let seconds = frame.width as f64 / 1000.0;
    let bad = |share: f64| if sign < 0.0 { 1.0 - share } else { share }.clamp(0.0, 1.0);
    let smallest = row.values.iter().filter(|v| !v.is_nan()).map(|v| bad(*v));
    let smallest = smallest.filter(|v| *v > 0.0).fold(1.0, f64::min);
    let (mut failed, mut all) = (0.0, 0.0);
    for place in from..to.min(row.values.len()) {
        let share = row.values[place];
        if share.is_nan() {
            continue;
        }
        let known = rate.map(|rate| rate.values[place]).filter(|rate| !rate.is_nan());
        let many = known.map_or(1.0 / smallest, |rate| (rate * seconds).max(1.0));
        failed += bad(share) * many;
        all += many;
    }
    (failed, all)
}
