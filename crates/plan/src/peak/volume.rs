//! How much load a peak brings: the usual one of each hour, by the days of its time zone, so many
//! times as much, and what comes with that to whatever is called. How many instances that takes is
//! said where somebody knows what one carries, and is not guessed where nobody does.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::capacity::Known;
use atoll_model::peak::{Expected, Peak, PeakApplication, PeakSlot, PeakStatus, Times, when};
use atoll_model::{Application, Capacity, Object, Reason, Snapshot, Span, Timestamp};

use crate::Context;
use crate::budget::scope::Meant;
use crate::capacity::ahead;
use crate::capacity::ask::{Carries, carries};
use crate::capacity::calls::{called, callers, fan};
use crate::elasticity::decide;
use crate::peak::absent::absent;
use crate::peak::{growth, report};

const HOUR: Span = Span::seconds(3_600);
/// A usual load is the middle one of so many weeks.
const WEEKS: usize = 4;
/// So many parts of what is expected are told at most.
const SLOTS: usize = 48;
/// A usual load was never measured at such a time: the code of the reason that says so.
const USUAL_NOW: &str = "usual-now";
/// A usual load is not measured at all: the code of the reason that says what is taken.
const USUAL_CALLED: &str = "usual-called";
/// A usual load is not known, nor what callers bring: the code of the reason that says what is
/// taken.
const USUAL_THERE: &str = "usual-there";
/// So much less than they carry is taken, as loads are told to three digits: it never takes more
/// instances than there are.
const HAIR: f64 = 0.995;

/// The deployments of what is named and called: `false` for those that are only called.
pub(super) fn concerned(world: &Snapshot, peak: &Peak) -> BTreeMap<String, bool> {
    let mut all: BTreeMap<String, bool> = BTreeMap::new();
    let mut left: Vec<(String, bool)> =
        peak.applications.keys().map(|name| (name.clone(), true)).collect();
    while let Some((name, named)) = left.pop() {
        let deployment = format!("{name}.{}", peak.environment);
        if all.contains_key(&deployment) {
            continue;
        }
        all.insert(deployment, named || peak.applications.contains_key(&name));
        if let Some(application) = world.get::<Application>(&name) {
            left.extend(called(application).into_iter().map(|name| (name, false)));
        }
    }
    all
}

/// What the past of a deployment's load is asked by.
pub(super) fn past_of(deployment: &str) -> String {
    format!("past {deployment}")
}

/// The load that is known of each deployment.
struct Past<'a> {
    hours: BTreeMap<&'a str, BTreeMap<Timestamp, f64>>,
    /// How many times as much each is from week to week.
    growth: BTreeMap<&'a str, f64>,
    now: BTreeMap<&'a str, f64>,
    zone: when::Zone,
}

impl<'a> Past<'a> {
    fn of(
        cx: &'a Context,
        object: &'a Object<Peak>,
        names: &'a BTreeMap<String, bool>,
    ) -> Past<'a> {
        let (peak, status) = (&object.spec, &object.status);
        let hours = names.keys().filter_map(|name| {
            let answer = cx.measured.answers.get(&past_of(name))?.as_ref().ok()?;
            let points = answer.series.first()?.points.iter();
            let sound = points.filter(|(_, load)| load.is_finite() && *load >= 0.0);
            Some((name.as_str(), sound.copied().collect()))
        });
        let here = cx.world.all::<Capacity>().filter(|capacity| {
            capacity.meta.name.rsplit_once('.').is_some_and(|(_, e)| e == peak.environment)
        });
        let mut now: BTreeMap<&str, f64> =
            here.filter_map(|c| Some((c.name(), c.status.load?))).collect();
        if begun(object, cx.now) {
            // What the peak itself brings is nothing usual.
            let before = status.applications.iter().filter(|row| is_known(row));
            now.extend(before.filter_map(|row| Some((row.deployment.as_str(), row.usual?))));
        }
        if cx.now < status.times.starts {
            // It brings nothing before it starts: what is there by then is usual.
            let nothing = status.applications.iter().filter(|row| is_nothing(row));
            let there = |row: &'a PeakApplication| {
                Some((row.deployment.as_str(), report::load(cx, &row.deployment)?))
            };
            now.extend(nothing.filter_map(there));
        }
        // What is not measured for a moment is as usual as it was.
        let own = |row: &&PeakApplication| is_known(row) && !says(row, USUAL_CALLED);
        let before = status.applications.iter().filter(own);
        for (name, usual) in before.filter_map(|row| Some((row.deployment.as_str(), row.usual?))) {
            now.entry(name).or_insert(usual);
        }
        let hours: BTreeMap<&str, BTreeMap<Timestamp, f64>> = hours.collect();
        let growth = hours.iter().map(|(name, hours)| (*name, growth::per_week(hours)));
        Past {
            growth: growth.collect(),
            hours,
            now,
            zone: when::zone(peak.time_zone.as_deref()).unwrap_or(when::Zone::UTC),
        }
    }

    /// The usual load of an hour that begins then: of the same hour of the same day of the week,
    /// with what it grows until then, or of any day; the load of now where no such hour was
    /// measured.
    fn usual(&self, deployment: &str, hour: Timestamp) -> Option<(f64, bool)> {
        let known = self.hours.get(deployment);
        let seen = |days: u32| {
            let then = ahead::grid(when::days_before(hour, days, &self.zone)) + HOUR;
            known?.get(&then).copied()
        };
        let weeks = (1..=60).filter_map(|week| Some((f64::from(week), seen(week * 7)?)));
        let (back, weeks): (Vec<f64>, Vec<f64>) = weeks.take(WEEKS).unzip();
        let days = || (1..=400).filter_map(seen).take(7).collect::<Vec<f64>>();
        let found = match middle(weeks) {
            Some(load) => {
                let per_week = self.growth.get(deployment).copied().unwrap_or(1.0);
                let since = back.iter().sum::<f64>() / back.len() as f64;
                Some(load * growth::after(per_week, since))
            }
            None => middle(days()),
        };
        found.map(|load| (load, true)).or_else(|| Some((*self.now.get(deployment)?, false)))
    }
}

fn middle(mut loads: Vec<f64>) -> Option<f64> {
    loads.sort_by(f64::total_cmp);
    let half = loads.len() / 2;
    match loads.len() {
        0 => None,
        even if even % 2 == 0 => Some(f64::midpoint(loads[half - 1], loads[half])),
        _ => Some(loads[half]),
    }
}

/// At each time, what is usual, where that is known, and what is expected.
type Course = Vec<(Timestamp, Option<f64>, f64)>;

/// Plans for all that a peak concerns. What was found before stands where nothing is asked.
pub(super) fn plan(cx: &Context, object: &Object<Peak>, times: &Times) -> Vec<PeakApplication> {
    let peak = &object.spec;
    let names = concerned(cx.world, peak);
    let past = Past::of(cx, object, &names);
    let slots = slots(times);
    let mut courses: BTreeMap<&str, Course> = BTreeMap::new();
    let mut by_now: BTreeSet<&str> = BTreeSet::new();
    let mut by_callers: BTreeSet<&str> = BTreeSet::new();
    let callers = callers_of(cx.world, &names);
    for slot in &slots {
        let mut base: BTreeMap<String, f64> =
            past.now.iter().map(|(name, load)| ((*name).to_owned(), *load)).collect();
        let mut usual = BTreeMap::new();
        for name in names.keys() {
            if let Some((load, measured)) = past.usual(name, *slot) {
                usual.insert(name.as_str(), load);
                base.insert(name.clone(), load);
                if !measured {
                    by_now.insert(name);
                }
            } else if carries(cx.world, name).is_some() {
                base.insert(name.clone(), 0.0);
            }
        }
        for (name, load) in brought(&callers, &base, &usual) {
            usual.insert(name, load);
            base.insert(name.to_owned(), load);
            by_callers.insert(name);
        }
        let mut loads = base.clone();
        let named = named(peak, &usual);
        let more: Vec<(String, f64)> = named
            .iter()
            .map(|(name, load)| (name.clone(), load - base.get(name).copied().unwrap_or(0.0)))
            .collect();
        loads.extend(named);
        fan(cx.world, &base, &more, &mut loads);
        for name in names.keys() {
            let known = usual.get(name.as_str()).copied();
            let grows = loads.get(name).filter(|load| known.is_some() || **load > 0.0);
            if let Some(load) = grows {
                courses.entry(name).or_default().push((*slot, known, *load));
            }
        }
    }
    let each = names.iter();
    each.map(|(name, named)| {
        let course = courses.remove(name.as_str()).unwrap_or_default();
        let mut row = row(cx, object, name, *named, &course);
        let grows = past.growth.get(name.as_str()).copied().unwrap_or(1.0);
        if grows > 1.0 && is_known(&row) {
            let message = format!(
                "its usual load grows by {:.0} % a week, until then",
                (grows - 1.0) * 100.0
            );
            row.reasons.push(Reason::new("usual-grows", message));
        }
        if by_now.contains(name.as_str()) && row.expected.is_some() {
            let taken = as_taken(cx, object, &row);
            row.reasons.push(taken);
        }
        if by_callers.contains(name.as_str()) && row.expected.is_some() {
            let message =
                "its own load is not measured: what comes with its callers is taken as usual";
            row.reasons.push(Reason::new(USUAL_CALLED, message));
        }
        row
    })
    .collect()
}

/// That the load of a moment is taken as usual, and of which: what is the same since then is of
/// then.
fn as_taken(cx: &Context, object: &Object<Peak>, row: &PeakApplication) -> Reason {
    let mut rows = object.status.applications.iter();
    let before = rows.find(|it| it.deployment == row.deployment && it.usual == row.usual);
    let mut reasons = before.into_iter().flat_map(|before| &before.reasons);
    reasons.find(|reason| reason.code == USUAL_NOW).cloned().unwrap_or_else(|| {
        let at = when::shown(cx.now, object.spec.time_zone.as_deref());
        let message =
            format!("its load at that time was never measured; that of {at} is taken as usual");
        Reason::new(USUAL_NOW, message)
    })
}

/// Whether no load was there when that of a moment was taken as usual: nothing comes of that.
fn is_nothing(row: &PeakApplication) -> bool {
    row.usual == Some(0.0) && says(row, USUAL_NOW)
}

/// Who calls each deployment and how often.
type Callers = BTreeMap<String, Vec<(String, f64)>>;

/// Who calls those that are only called, where somebody knows what an instance of these carries.
fn callers_of(world: &Snapshot, names: &BTreeMap<String, bool>) -> Callers {
    let mut all = callers(world);
    all.retain(|name, _| names.get(name) == Some(&false) && carries(world, name).is_some());
    all
}

/// The usual load of what is only called and whose own is not known: what comes with that of its
/// callers, as far as theirs is.
fn brought<'a>(
    callers: &'a Callers,
    base: &BTreeMap<String, f64>,
    usual: &BTreeMap<&str, f64>,
) -> BTreeMap<&'a str, f64> {
    let mut found: BTreeMap<&str, f64> = BTreeMap::new();
    // Who is called by what is called takes its turn after that.
    for _ in 0..callers.len() {
        let load = |name: &str| {
            let known = found.get(name).or(usual.get(name)).copied();
            known.or(base.get(name).copied()).unwrap_or(0.0)
        };
        let unknown = callers.iter().filter(|(name, _)| !usual.contains_key(name.as_str()));
        let sums = unknown.map(|(name, by)| {
            let sum: f64 = by.iter().map(|(caller, each)| load(caller) * each).sum();
            (name.as_str(), sum)
        });
        let next: BTreeMap<&str, f64> = sums.filter(|(_, sum)| *sum > 0.0).collect();
        if next == found {
            break;
        }
        found = next;
    }
    found
}

/// The hours of a peak.
fn slots(times: &Times) -> Vec<Timestamp> {
    let hours = std::iter::successors(Some(ahead::grid(times.starts)), |hour| Some(*hour + HOUR));
    hours.take_while(|hour| *hour < times.ends).collect()
}

/// What is expected of those that are named.
fn named(peak: &Peak, usual: &BTreeMap<&str, f64>) -> BTreeMap<String, f64> {
    let each = peak.applications.iter();
    each.filter_map(|(name, expected)| {
        let name = format!("{name}.{}", peak.environment);
        let load = match expected {
            Expected::Volume { volume } => *volume,
            Expected::Times(times) => usual.get(name.as_str())? * times,
        };
        Some((name, load))
    })
    .collect()
}

fn row(
    cx: &Context,
    object: &Object<Peak>,
    name: &str,
    named: bool,
    course: &[(Timestamp, Option<f64>, f64)],
) -> PeakApplication {
    let (world, peak) = (cx.world, &object.spec);
    let highest = course.iter().max_by(|a, b| a.2.total_cmp(&b.2).then(b.0.cmp(&a.0)));
    let mut row = PeakApplication {
        deployment: name.to_owned(),
        called: !named,
        usual: highest.and_then(|(_, usual, _)| *usual).map(decide::round),
        expected: highest.map(|(_, _, load)| decide::round(*load)),
        course: told(course),
        ..PeakApplication::default()
    };
    let application = name.rsplit_once('.').map_or(name, |(application, _)| application);
    if let Some(reason) = absent(world, peak, application, name) {
        row.reasons.push(reason);
        return row;
    }
    let Some(carries) = carries(world, name) else {
        let message = format!("what an instance of {name} carries is not known");
        let hint = format!("say it in scaling.perInstance of application/{application}");
        row.reasons.push(Reason::new("no-capacity", message).hint(hint));
        return row;
    };
    row.each = Some(decide::round(carries.each));
    row.known = carries.known;
    match highest {
        Some((_, usual, load)) => {
            row.needed = Some(carries.takes(*load));
            if usual.is_none() {
                by_instances(cx, object, &carries, &mut row);
            }
        }
        None => {
            let message = format!("the usual load of {name} is not known");
            let is_called = callers(world).contains_key(name);
            let hint = match named {
                true => format!("write a volume: {application}: {{volume: 1000}}"),
                false if is_called => "that of who calls it has to be measured first".to_owned(),
                false => format!("say how it is called: scaling.calls.{application}"),
            };
            row.reasons.push(Reason::new("no-volume", message).hint(hint));
        }
    }
    row.reasons.extend(told_of(&row, &carries));
    row
}

/// Takes for the usual load of one whose load is not known what its instances carry, those that
/// there are before any is made for the peak: what these cost is no cost of it.
fn by_instances(cx: &Context, object: &Object<Peak>, carries: &Carries, row: &mut PeakApplication) {
    let rows = &object.status.applications;
    let before = rows.iter().find(|before| before.deployment == row.deployment);
    let before = before.filter(|before| says(before, USUAL_THERE) && begun(object, cx.now));
    let there = Meant::of(cx.world, &row.deployment).map_or(0, |meant| meant.instances);
    let load = f64::from(there) * carries.each / (1.0 + carries.buffer) * HAIR;
    let taken = before.and_then(|before| before.usual).unwrap_or(decide::round(load));
    row.usual = row.expected.map(|expected| taken.min(expected));
    let message = "its usual load is not known: what its instances carry is taken as usual";
    row.reasons.push(Reason::new(USUAL_THERE, message));
}

/// Whether instances may have been made for a peak.
fn begun(peak: &Object<Peak>, now: Timestamp) -> bool {
    now >= peak.status.times.scale && !peak.status.applications.is_empty()
}

/// What to know about a row that can be planned for.
fn told_of(row: &PeakApplication, carries: &Carries) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if row.known == Known::Declared {
        let message = format!("that an instance carries {} is declared, not proven", carries.each);
        let hint = "let it carry that once, under its objectives: see docs/guide/peaks.md";
        reasons.push(Reason::new("declared", message).hint(hint));
    }
    if let Some(needed) = row.needed.filter(|needed| *needed > carries.max) {
        let message =
            format!("it takes {needed} instances, and {} may have {}", row.deployment, carries.max);
        let hint = format!("atoll autoscale deployment/{} --max {needed}", row.deployment);
        reasons.push(Reason::new("max", message).hint(hint));
    }
    reasons
}

/// A course in no more parts than are told.
fn told(course: &[(Timestamp, Option<f64>, f64)]) -> Vec<PeakSlot> {
    let together = course.len().div_ceil(SLOTS).max(1);
    let parts = course.chunks(together);
    parts
        .filter_map(|part| {
            let highest = part.iter().map(|(_, _, load)| *load).max_by(f64::total_cmp)?;
            Some(PeakSlot { at: part.first()?.0, expected: decide::round(highest) })
        })
        .collect()
}

fn says(row: &PeakApplication, code: &str) -> bool {
    row.reasons.iter().any(|reason| reason.code == code)
}

/// Whether the usual load of one is known, be it that of now or of its callers.
pub(crate) fn is_known(row: &PeakApplication) -> bool {
    row.usual.is_some() && !says(row, USUAL_THERE)
}

/// Whether the load of one is what comes with its callers, as far as anybody knows.
pub(crate) fn is_brought(row: &PeakApplication) -> bool {
    says(row, USUAL_CALLED)
}

/// Whether the usual load of one is what was measured at such times.
pub(crate) fn is_measured(row: &PeakApplication) -> bool {
    ![USUAL_NOW, USUAL_CALLED, USUAL_THERE].iter().any(|code| says(row, code))
}

/// Whether the usual load of all is known, and from the past.
pub(super) fn is_whole(status: &PeakStatus) -> bool {
    let known = |row: &PeakApplication| row.expected.is_some() && is_measured(row);
    status.applications.iter().all(known)
}

/// Whether what is asked of the past has been answered at all.
pub(super) fn is_answered(cx: &Context, peak: &Object<Peak>) -> bool {
    let mut names = concerned(cx.world, &peak.spec).into_keys();
    names.any(|name| match cx.measured.answers.get(&past_of(&name)) {
        Some(Ok(answer)) => answer.series.iter().any(|series| !series.points.is_empty()),
        Some(Err(_)) | None => false,
    })
}

/// Rows as they were, for whoever plans without having asked anew: only what can be counted on
/// hosts is looked at again. What had no plan gets one as soon as it can, until the peak brings
/// load that is not usual.
pub(super) fn again(
    cx: &Context,
    peak: &Object<Peak>,
    times: &Times,
    fixed: bool,
) -> Vec<PeakApplication> {
    let mut rows = peak.status.applications.clone();
    let lacks = |row: &PeakApplication| row.expected.is_none() || is_nothing(row);
    if cx.now < times.starts && rows.iter().any(lacks) {
        let mut planned = plan(cx, peak, times);
        planned.retain(|row| row.expected.is_some());
        for row in rows.iter_mut().filter(|row| lacks(row)) {
            let found = planned.iter().find(|found| found.deployment == row.deployment);
            if let Some(found) = found {
                row.clone_from(found);
            }
        }
    }
    for row in &mut rows {
        let Some(carries) = carries(cx.world, &row.deployment) else { continue };
        let Some(expected) = row.expected else { continue };
        let takes = carries.takes(expected);
        row.each = Some(decide::round(carries.each));
        row.known = carries.known;
        row.needed = match row.needed {
            // What was begun is not taken back because less seems to do.
            Some(before) if fixed && cx.now < times.ends => Some(takes.max(before)),
            Some(before) if fixed => Some(before),
            _ => Some(takes),
        };
        let own = |code: &str| matches!(code, "declared" | "max");
        row.reasons.retain(|reason| !own(&reason.code));
        let told = told_of(row, &carries);
        row.reasons.extend(told);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_grows_until_then() {
        let hour = |n: i64| Timestamp(n * 3_600_000);
        let of = |per_week: f64| -> BTreeMap<Timestamp, f64> {
            let load = |n: i64| 100.0 * per_week.powf(n as f64 / 168.0);
            (0..=4 * 168).map(|n| (hour(n), load(n))).collect()
        };
        let usual = |per_week: f64, weeks: i64| {
            let hours = of(per_week);
            let growth = [("web.prod", growth::per_week(&hours))].into();
            let hours = [("web.prod", hours)].into();
            let past = Past { hours, growth, now: BTreeMap::new(), zone: when::Zone::UTC };
            past.usual("web.prod", hour((4 + weeks) * 168 - 1)).unwrap().0
        };
        let expected = |weeks: i32| 100.0 * 1.05f64.powi(4 + weeks);
        for weeks in [1, 3] {
            let grown = usual(1.05, i64::from(weeks));
            assert!((grown / expected(weeks) - 1.0).abs() < 0.02, "{grown} in {weeks} weeks");
        }
        assert_eq!(usual(1.0, 3), 100.0);
    }
}
