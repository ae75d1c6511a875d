//! Whether one changed instance of many is bad while the others are well: against its own past and
//! against all its peers, from its change until now. A neighbour on its host comes and goes at
//! other times, and hits unchanged instances as well.

use atoll_model::guard::{SignalKind, Verdict};

use super::grid::{Frame, Row, Rows};
use super::level::{Finding, Measure, tally};
use super::shape::{in_a_row, lasts, recedes};
use super::statistics::{
    above, at_least, deviation, effective, mean, median, median_of, persistence, spread,
};

/// How far one instance is from where its past and its peers say it should be.
struct Peer<'a> {
    row: &'a Row<'a>,
    values: Vec<f64>,
    middle: f64,
}

/// All instances of a deployment, each relative to its own past and to what all have in common.
struct Peers<'a> {
    changed: Vec<Peer<'a>>,
    /// How far the unchanged ones are off.
    bystanders: Vec<f64>,
    /// There is no past: levels are compared.
    crossed: bool,
    common: f64,
    apart: f64,
}

/// Judges every changed instance.
pub(super) fn outlier(
    rows: &Rows,
    frame: &Frame,
    measure: &Measure,
    requests: Option<&Rows>,
) -> Finding {
    let many = rows.changed.len();
    let all = many + rows.unchanged.len();
    if many < 2 || all < 3 || measure.kind == SignalKind::Traffic {
        return Finding::pass();
    }
    // The middle of three is one of two that happen to agree: the third has to be far off.
    let times = if all == 3 { 3.0 } else { 1.5 };
    let Some(peers) = Peers::of(rows, frame, measure) else { return Finding::pass() };
    let worst_bystander = peers.bystanders.iter().map(|m| m - peers.common).fold(0.0, f64::max);
    let mut worst = Finding::pass();
    for one in &peers.changed {
        let off = one.middle - peers.common;
        let least = (times * measure.tolerance).max(1.5 * worst_bystander).max(worst.shift);
        // The tolerance is that of the usual level; this instance may be far from it.
        let level = one.row.base.unwrap_or(0.0);
        let back = |shift: f64| measure.scale.back(level + measure.sign * shift);
        let slight = one.row.base.is_some() && (back(off) - back(0.0)).abs() < measure.least;
        if off < least || slight {
            continue;
        }
        let mut found = peers.weigh(one, frame, measure);
        let errors = measure.kind == SignalKind::Errors && found.verdict == Verdict::Stop;
        if errors && !counted(one.row, rows, requests, frame, measure) {
            found.verdict = Verdict::Warn;
            "too few failures to tell from chance".clone_into(&mut found.note);
        }
        if found.verdict >= worst.verdict && found.verdict != Verdict::Pass {
            worst = found;
        }
    }
    worst
}

impl<'a> Peers<'a> {
    fn of(rows: &'a Rows<'a>, frame: &Frame, measure: &Measure) -> Option<Peers<'a>> {
        let errors = measure.kind == SignalKind::Errors;
        let crossed = rows.changed.iter().all(|row| row.base.is_none());
        let usable = |row: &&Row| crossed || row.base.is_some();
        let start = rows.changed.iter().map(|row| row.after).min().unwrap_or(frame.since);
        // Without a past, levels are compared with levels: of the unchanged as well.
        let base = |row: &Row| if crossed { 0.0 } else { row.base.unwrap_or(0.0) };
        let course = course(rows, frame, start, usable, base);
        let peer = |row: &'a Row<'a>, from: usize| {
            let values: Vec<f64> = (from..frame.count)
                .map(|place| row.values[place] - base(row) - course[place])
                .filter(|value| !value.is_nan())
                .map(|value| measure.sign * value)
                .collect();
            let middle = if errors { mean(&values) } else { median_of(&values).unwrap_or(0.0) };
            (values.len() >= 4).then_some(Peer { row, values, middle })
        };
        let changed: Vec<Peer> =
            rows.changed.iter().filter(usable).filter_map(|row| peer(row, row.after)).collect();
        let unchanged = rows.unchanged.iter().filter(usable);
        let bystanders: Vec<f64> =
            unchanged.filter_map(|row| peer(row, start)).map(|peer| peer.middle).collect();
        let all: Vec<f64> =
            changed.iter().map(|p| p.middle).chain(bystanders.iter().copied()).collect();
        let apart = if all.len() >= 4 { spread(&all) } else { 0.0 };
        let common = median_of(&all)?;
        Some(Peers { changed, bystanders, crossed, common, apart })
    }

    fn weigh(&self, one: &Peer, frame: &Frame, measure: &Measure) -> Finding {
        let errors = measure.kind == SignalKind::Errors;
        let off = one.middle - self.common;
        let past = one.row.known(0, one.row.before.min(frame.since));
        let now = match (errors, past.len()) {
            (true, _) => deviation(&one.values),
            (false, 0..8) => spread(&one.values),
            _ => 0.0,
        };
        let count = effective(one.values.len(), persistence(&past));
        let own = 1.25 * spread(&past).max(now) / count.sqrt();
        // Without a past instances are taken to differ.
        let floor = if self.crossed { 0.4 } else { 0.1 } * measure.tolerance;
        // Many peers show by themselves what chance does over this time.
        let enough = self.changed.len() + self.bystanders.len() >= 10;
        let own = if enough { 0.5 * own } else { own };
        let z = off / (self.apart.powi(2) + own.powi(2) + floor.powi(2)).sqrt();
        // The more instances, the farther off the farthest is by chance.
        if z < 5.0 + (self.changed.len() as f64).ln() / 2.5 {
            return Finding::pass();
        }
        let values: Vec<f64> = one.values.iter().map(|value| value - self.common).collect();
        let long = (frame.count - one.row.after.min(frame.count)) as i64 * frame.width;
        let needed = if errors { 120_000 } else { (frame.watch * 45 / 100).max(180_000) };
        let held = long < needed.min(frame.seen * 3 / 4)
            || recedes(&values, 1.3)
            || !lasts(&values, 4, 0.5 * off, errors);
        Finding {
            verdict: if held { Verdict::Warn } else { Verdict::Stop },
            note: if held { "on one instance, not lasting so far" } else { "" }.to_owned(),
            shift: off,
            chance: (above(z) * self.changed.len() as f64).min(1.0),
            points: in_a_row(values.iter().copied(), measure.tolerance),
            instance: Some(one.row.instance.to_owned()),
        }
    }
}

/// One instance has failed more often than chance makes the worst of so many, counted against its
/// own past and all others.
fn counted(
    one: &Row,
    rows: &Rows,
    requests: Option<&Rows>,
    frame: &Frame,
    measure: &Measure,
) -> bool {
    let count = |row: &Row, from: usize, to: usize| {
        let mut rates = requests.into_iter().flat_map(|of| of.changed.iter().chain(&of.unchanged));
        let rate = rates.find(|rate| rate.instance == row.instance);
        tally(row, rate, frame, from, to, measure.sign)
    };
    let here = count(one, one.after, frame.count);
    let mut rest = count(one, 0, one.before.min(frame.since));
    // Past some hundred instances more of them prove nothing more.
    let others = rows.changed.iter().chain(&rows.unchanged).take(400);
    for row in others.filter(|row| row.instance != one.instance) {
        let part = count(row, row.after.max(one.after), frame.count);
        rest = (rest.0 + part.0, rest.1 + part.1);
    }
    let share = here.1 / (here.1 + rest.1).max(f64::MIN_POSITIVE);
    let many = rows.changed.len() as f64;
    here.0 >= 3.0 && many * at_least(here.0, rest.0, share) <= 2e-4
}

/// What all have in common at each time.
fn course<'r>(
    rows: &'r Rows,
    frame: &Frame,
    start: usize,
    usable: impl Fn(&&'r Row<'r>) -> bool,
    base: impl Fn(&Row) -> f64,
) -> Vec<f64> {
    let all: Vec<&Row> = rows.changed.iter().chain(&rows.unchanged).filter(usable).collect();
    let mut room = Vec::new();
    (0..frame.count)
        .map(|place| {
            if place < start {
                return f64::NAN;
            }
            room.clear();
            let known = all.iter().filter(|row| !row.values[place].is_nan());
            room.extend(known.map(|row| row.values[place] - base(row)));
            median(&mut room).unwrap_or(f64::NAN)
        })
        .collect()
}
