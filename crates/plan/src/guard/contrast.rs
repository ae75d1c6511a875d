//! The difference that is put down to a release: what changed instances do beyond what unchanged
//! ones do at the same time, or beyond the same hours of earlier days, over time. How large is too
//! large is `level.rs`.

use super::grid::{Frame, Row, Rows, Scale};
use super::statistics::{deviation, effective, mean, median, persistence, spread, trend};

/// So many values after its change and grace an instance needs to count among the others.
const SETTLED: usize = 4;

/// What changed instances are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// So many unchanged instances over the same time.
    Unchanged(usize),
    /// The same hours of earlier days.
    Days,
    /// Nothing but their own past.
    Past,
}

/// Differences over time, on the signal's scale; higher is more.
#[derive(Clone, Debug)]
pub(super) struct Contrast {
    /// Before the rollout began, in order.
    pub before: Vec<f64>,
    /// After each instance's change and grace: interval and difference, in order.
    pub after: Vec<(usize, f64)>,
    /// The same with the grace.
    pub since: Vec<f64>,
    /// The changed instances' own difference from before, in the same intervals as `after`.
    pub own: Vec<f64>,
    pub against: Against,
    /// An error that no length of time takes away: instances differ.
    pub differ: f64,
    /// The usual level of the changed instances.
    pub base: f64,
    /// Changed instances that could be used.
    pub instances: usize,
    /// Changed instances have no past: levels are compared with levels.
    pub crossed: bool,
}

/// How a group is taken together at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Together {
    Middle,
    Mean,
}

impl Together {
    pub fn of(self, values: &mut [f64]) -> Option<f64> {
        match self {
            _ if values.is_empty() => None,
            Together::Middle => median(values),
            Together::Mean => Some(mean(values)),
        }
    }
}

/// One value an interval: of each row that has one there, relative to what `base` gives.
fn column<'r>(
    rows: &[&'r Row<'r>],
    place: usize,
    base: fn(&Row) -> f64,
    wanted: impl Fn(&Row) -> bool,
    together: Together,
    room: &mut Vec<f64>,
) -> Option<f64> {
    room.clear();
    for row in rows {
        let value = row.values[place];
        if !value.is_nan() && wanted(row) {
            room.push(value - base(row));
        }
    }
    together.of(room)
}

fn own_base(row: &Row) -> f64 {
    row.base.unwrap_or(0.0)
}

fn no_base(_: &Row) -> f64 {
    0.0
}

/// What would have been there without the change.
struct Usual<'a> {
    against: Against,
    unchanged: &'a [&'a Row<'a>],
    days: &'a [Vec<&'a Row<'a>>],
    together: Together,
}

impl Usual<'_> {
    /// How far it is from its own level, at one place in time.
    fn at(&self, place: usize, room: &mut Vec<f64>) -> Option<f64> {
        let mut column =
            |rows: &[&Row]| column(rows, place, own_base, |_| true, self.together, room);
        match self.against {
            Against::Unchanged(_) => column(self.unchanged),
            Against::Days => {
                let mut each: Vec<f64> = self.days.iter().filter_map(|day| column(day)).collect();
                median(&mut each)
            }
            Against::Past => Some(0.0),
        }
    }
}

/// The earlier days that have something to compare with their own level.
fn days_with_base<'a>(rows: &'a Rows<'a>) -> Vec<Vec<&'a Row<'a>>> {
    let day = |day: &'a Vec<Row<'a>>| day.iter().filter(|row| row.base.is_some()).collect();
    rows.days.iter().map(day).filter(|day: &Vec<&Row>| !day.is_empty()).collect()
}

/// Builds the contrast; none where nothing is comparable.
pub(super) fn contrast(
    rows: &Rows,
    frame: &Frame,
    scale: Scale,
    together: Together,
) -> Option<Contrast> {
    let with_base = |rows: &'_ [Row]| rows.iter().filter(|row| row.base.is_some()).count();
    let unchanged: Vec<&Row> = rows.unchanged.iter().filter(|row| row.base.is_some()).collect();
    let known = with_base(&rows.changed);
    let crossed = known == 0 || known * 4 < rows.changed.len() && !rows.unchanged.is_empty();
    if crossed {
        return levels(rows, frame, scale, together);
    }
    let changed = settled(rows.changed.iter().filter(|row| row.base.is_some()).collect(), frame);
    let days = days_with_base(rows);
    let against = match (unchanged.len(), days.len()) {
        (0, 0) => Against::Past,
        (0, _) => Against::Days,
        (count, _) => Against::Unchanged(count),
    };
    let usual = Usual { against, unchanged: &unchanged, days: &days, together };
    let mut room = Vec::new();
    let mut found = Contrast {
        before: Vec::new(),
        after: Vec::new(),
        since: Vec::new(),
        own: Vec::new(),
        against,
        differ: 0.0,
        base: together.of(&mut changed.iter().map(|row| own_base(row)).collect::<Vec<_>>())?,
        instances: changed.len(),
        crossed: false,
    };
    let mut own_room = Vec::new();
    let whole = half_settled(&changed, frame);
    for place in 0..frame.count {
        let Some(other) = usual.at(place, &mut room) else { continue };
        let mut of = |wanted: &dyn Fn(&Row) -> bool| {
            column(&changed, place, own_base, wanted, together, &mut own_room)
        };
        if place < frame.since {
            found.before.extend(of(&|_| true).map(|own| own - other));
            continue;
        }
        found.since.extend(of(&|row| place > row.before).map(|own| own - other));
        if place < whole {
            continue;
        }
        if let Some(own) = of(&|row| place >= row.after) {
            found.after.push((place, own - other));
            found.own.push(own);
        }
    }
    if against == Against::Past {
        straighten(&mut found, frame);
    }
    if unchanged.len() >= 4 {
        found.differ = restlessness(&unchanged, frame, together)
            * (1.0 / changed.len() as f64 + 1.0 / unchanged.len() as f64).sqrt();
    }
    Some(found)
}

/// Of changed instances those that can be told of. While those of a new step find their feet, only
/// the ones of earlier steps: what one instance does after must not be held against how little the
/// middle of many moves.
fn settled<'r>(changed: Vec<&'r Row<'r>>, frame: &Frame) -> Vec<&'r Row<'r>> {
    let ready = |row: &&Row| row.known(row.after, frame.count).len() >= SETTLED;
    let settled: Vec<&Row> = changed.iter().copied().filter(ready).collect();
    if settled.is_empty() { changed } else { settled }
}

/// The first interval at which half of these are past their grace: before it there were so few that
/// their middle is another one's.
fn half_settled(changed: &[&Row], frame: &Frame) -> usize {
    let mut after: Vec<usize> = changed.iter().map(|row| row.after).collect();
    after.sort_unstable();
    after.get(after.len().saturating_sub(1) / 2).copied().unwrap_or(frame.since)
}

/// Without anything to compare with, a drift that was there before is taken to go on.
fn straighten(found: &mut Contrast, frame: &Frame) {
    let drift = trend(&found.before);
    let middle = found.before.len() as f64 / 2.0;
    // Noise that lasts wanders, which looks like a drift: what is left beside the line tells.
    let beside = |(i, value): (usize, &f64)| value - drift.slope * (i as f64 - middle);
    let rest: Vec<f64> = found.before.iter().enumerate().map(beside).collect();
    let worth = effective(rest.len(), persistence(&rest)) / rest.len().max(1) as f64;
    if drift.z.abs() * worth.sqrt() < 4.0 || rest.len() < 20 {
        return;
    }
    let ahead = |place: usize| {
        // Not further than as long again as it was seen.
        let steps = (place as f64 - frame.since as f64 + 2.0 * middle).min(4.0 * middle);
        drift.slope * (steps - middle)
    };
    for (i, value) in found.before.iter_mut().enumerate() {
        *value -= drift.slope * (i as f64 - middle);
    }
    for (place, value) in &mut found.after {
        *value -= ahead(*place);
    }
    for (i, value) in found.since.iter_mut().enumerate() {
        *value -= ahead(frame.since + i);
    }
}

/// How differently instances that were not touched have moved since.
fn restlessness(unchanged: &[&Row], frame: &Frame, together: Together) -> f64 {
    let moves: Vec<f64> = unchanged
        .iter()
        .filter_map(|row| {
            let after = together.of(&mut row.known(frame.since, frame.count))?;
            Some(after - own_base(row))
        })
        .collect();
    spread(&moves)
}

/// Changed instances without a past: their levels against those of unchanged ones.
fn levels(rows: &Rows, frame: &Frame, scale: Scale, together: Together) -> Option<Contrast> {
    let unchanged: Vec<&Row> = rows.unchanged.iter().collect();
    let changed = settled(rows.changed.iter().collect(), frame);
    let whole = half_settled(&changed, frame);
    let mut found = Contrast {
        before: Vec::new(),
        after: Vec::new(),
        since: Vec::new(),
        own: Vec::new(),
        against: Against::Unchanged(unchanged.len()),
        differ: 0.0,
        base: 0.0,
        instances: changed.len(),
        crossed: true,
    };
    let mut room = Vec::new();
    let mut usual = Vec::new();
    for place in frame.since..frame.count {
        let other = column(&unchanged, place, no_base, |_| true, together, &mut room);
        let Some(other) = other else { continue };
        let mut of = |wanted: &dyn Fn(&Row) -> bool| {
            column(&changed, place, no_base, wanted, together, &mut room)
        };
        found.since.extend(of(&|row| place > row.before).map(|own| own - other));
        if place < whole {
            continue;
        }
        if let Some(own) = of(&|row| place >= row.after) {
            found.after.push((place, own - other));
            found.own.push(own - other);
            usual.push(other);
        }
    }
    found.base = median(&mut usual)?;
    let each: Vec<f64> =
        unchanged.iter().filter_map(|row| together.of(&mut row.known(0, frame.count))).collect();
    // With so few to go by, instances are taken to differ as they usually do.
    let usual = if scale == Scale::Plain { 0.1 * found.base.abs() } else { 0.06 };
    let apart = if each.len() >= 4 { spread(&each).max(deviation(&each) * 0.7) } else { usual };
    let apart = apart.max(usual * 0.3);
    let count = unchanged.len().max(1) as f64;
    found.differ = apart * (1.0 / changed.len().max(1) as f64 + 1.0 / count).sqrt();
    // Chance over time, seen at the unchanged instances before and after.
    let (mut flow, half) = (Vec::new(), unchanged.len().div_ceil(2));
    for place in 0..frame.count {
        let (a, b) = unchanged.split_at(half);
        let a = column(a, place, own_base, |row| row.base.is_some(), together, &mut room);
        let b = column(b, place, own_base, |row| row.base.is_some(), together, &mut room);
        flow.extend(a.map(|a| a - b.unwrap_or(0.0)));
    }
    let middle = median(&mut flow.clone()).unwrap_or(0.0);
    found.before = flow.into_iter().map(|value| value - middle).collect();
    Some(found)
}
