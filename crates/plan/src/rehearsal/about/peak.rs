//! What is rehearsed of a peak: itself, from when hosts are made for it until all is given back,
//! with the load that is expected, which comes at once. Whether hosts, instances and budgets do is
//! what the planners on the twin find.

use std::collections::BTreeMap;
use std::fmt;

use atoll_model::peak::{Expected, PeakApplication};
use atoll_model::rehearsal::{Check, Known, LONGEST, Load, Peak as Rise, Rehearsal};
use atoll_model::{Application, Kind, Object, Peak, Reason, Snapshot, Span, Timestamp};

use crate::elasticity::decide;
use crate::peak::{is_brought, is_known, is_measured};
use crate::rehearsal::past;
use crate::rehearsal::unknown::no_such;

/// It begins so long before instances are made.
const BEFORE: Span = Span::seconds(1_800);
/// And ends so long after all is given back.
const AFTER: Span = Span::seconds(1_800);
/// The load comes within this.
const RISE: Span = Span::seconds(60);
/// So small a share of what is expected stands for no load: nothing times anything brings none.
const NEXT_TO_NOTHING: f64 = 1e-6;

pub(super) fn scenario(
    world: &Snapshot,
    name: &str,
    now: Timestamp,
) -> Result<Rehearsal, Vec<Reason>> {
    let wrong = |code: &str, message: String| vec![Reason::new(code, message)];
    let Some(peak) = world.get::<Peak>(name) else {
        return Err(vec![no_such(world, Kind::Peak, name)]);
    };
    let times = peak.spec.times().filter(|times| now < times.ends);
    let Some(times) = times else {
        return Err(wrong("over", format!("peak/{name} is over: there is nothing to rehearse")));
    };
    let all = &peak.status.applications;
    let (rows, without): (Vec<_>, Vec<_>) = all.iter().partition(|row| row.needed.is_some());
    let unplanned = without.iter().map(|row| {
        let why = row.reasons.first().map(|reason| reason.message.clone()).unwrap_or_default();
        format!("nothing of the peak is played for {}, which has no plan: {why}", row.deployment)
    });
    let mut notes: Vec<String> = unplanned.collect();
    if rows.is_empty() {
        let why = notes.first().cloned().unwrap_or_else(|| "it was not planned for yet".to_owned());
        return Err(wrong("no-plan", format!("nothing of peak/{name} can be rehearsed: {why}")));
    }
    let unusual = rows.iter().filter(|row| !is_known(row));
    notes.extend(unusual.map(|row| {
        let (name, usual) = (&row.deployment, row.usual.unwrap_or_default());
        format!(
            "the usual load of {name} is not known: {usual}, what its instances carry, is played"
        )
    }));
    let from = now.max(times.hosts.max(times.scale - BEFORE) - RISE);
    let lasts = (times.back + AFTER).since(from);
    let at = times.starts.since(from);
    let mut load: BTreeMap<String, Load> = BTreeMap::new();
    load.insert("*".to_owned(), Load { known: Some(Known::Forecast), ..Load::default() });
    for row in rows.iter().filter(|row| !is_brought(row)) {
        let lasts = times.ends.since(times.starts.max(from));
        let Some(mut own) = load_of(world, peak, row) else { continue };
        let beyond = beyond(world, peak, row, now);
        // Of one that is there, what is measured now is nothing usual to forecast from.
        let forecast = is_measured(row) && now < times.starts;
        if let Some(beyond) = beyond {
            own.expected = beyond.load;
            notes.push(beyond.to_string());
        }
        load.insert(row.deployment.clone(), own.load(forecast, at, lasts));
    }
    let served = |row: &&PeakApplication| Check::Served {
        of: Some(row.deployment.clone()),
        at_least: "99%".to_owned(),
    };
    Ok(Rehearsal {
        from: Some(from),
        lasts: if lasts > LONGEST { LONGEST } else { lasts },
        load,
        checks: rows.iter().map(served).collect(),
        notes,
        ..Rehearsal::default()
    })
}

/// The load of one of its applications that is its own: what comes with its callers comes with
/// them, usually and in the peak.
fn load_of(world: &Snapshot, peak: &Object<Peak>, row: &PeakApplication) -> Option<Own> {
    let mut own = Own { usual: row.usual?, expected: row.expected?, called: false };
    let application = row.deployment.rsplit_once('.').map_or("", |(name, _)| name);
    for caller in &peak.status.applications {
        let name = caller.deployment.rsplit_once('.').map_or("", |(name, _)| name);
        let scaling = world.get::<Application>(name).and_then(|a| a.spec.scaling.as_ref());
        let Some(each) = scaling.and_then(|scaling| scaling.calls.get(application)) else {
            continue;
        };
        own.called = true;
        own.usual = (own.usual - each * caller.usual.unwrap_or(0.0)).max(0.0);
        own.expected = (own.expected - each * caller.expected.unwrap_or(0.0)).max(0.0);
    }
    Some(own)
}

/// How many times its usual load, of that which is its own, an application has in a peak.
pub(in crate::rehearsal) fn times(
    world: &Snapshot,
    peak: &Object<Peak>,
    row: &PeakApplication,
) -> Option<f64> {
    let own = load_of(world, peak, row).filter(|_| is_known(row))?;
    (own.usual > 0.0).then(|| own.expected / own.usual)
}

/// How much load, of that which is its own, an application has in a peak that says how much it is
/// and not how many times the usual.
pub(in crate::rehearsal) fn volume(
    world: &Snapshot,
    peak: &Object<Peak>,
    row: &PeakApplication,
) -> Option<f64> {
    let (application, _) = row.deployment.rsplit_once('.')?;
    match peak.spec.applications.get(application)? {
        Expected::Volume { .. } => Some(load_of(world, peak, row)?.expected),
        Expected::Times(_) => None,
    }
}

/// More load of one of its applications than is expected in a peak, measured while that is there.
/// It is played until the peak ends: a twin of today does not begin with less than there is.
pub(in crate::rehearsal) struct Beyond {
    of: String,
    /// What is measured now, of that which is its own.
    pub load: f64,
    expected: f64,
    until: Timestamp,
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Beyond { of, load, expected, until } = self;
        write!(
            f,
            "the load of {of} is {load}, and {expected} at most was expected: {load} is played \
             until {until}"
        )
    }
}

/// What is measured now, where that is more than is expected of a peak which is there.
pub(in crate::rehearsal) fn beyond(
    world: &Snapshot,
    peak: &Object<Peak>,
    row: &PeakApplication,
    now: Timestamp,
) -> Option<Beyond> {
    let times = peak.spec.times().filter(|times| times.starts <= now && now < times.ends)?;
    let own = load_of(world, peak, row)?;
    let load = past::own_level(world, &row.deployment).filter(|load| *load > own.expected)?;
    let (load, expected) = (decide::round(load), decide::round(own.expected));
    let of = match own.called {
        true => format!("{} without what its callers bring", row.deployment),
        false => row.deployment.clone(),
    };
    Some(Beyond { of, load, expected, until: times.ends })
}

struct Own {
    usual: f64,
    expected: f64,
    called: bool,
}

impl Own {
    fn load(&self, forecast: bool, at: Span, lasts: Span) -> Load {
        let usual = self.usual.max(self.expected * NEXT_TO_NOTHING);
        let base = match forecast && !self.called && self.usual > 0.0 {
            true => Load { known: Some(Known::Forecast), ..Load::default() },
            false => Load { level: Some(usual), ..Load::default() },
        };
        let times = if usual > 0.0 { self.expected / usual } else { 1.0 };
        Load { peaks: vec![Rise { at, times, rise: RISE, lasts }], ..base }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::Any;
    use atoll_model::peak::Times;

    use super::*;

    #[test]
    fn what_has_no_plan_is_told_and_keeps_nothing_from_being_rehearsed() {
        let at = |hours: i64| Timestamp(hours * 3_600_000);
        let spec = serde_json::json!({
            "starts": "1970-01-01T05:00:00Z", "ends": "1970-01-01T06:00:00Z",
            "environment": "prod", "applications": { "shop": 4, "gone": 2 },
        });
        let mut peak = Object::new("sale", serde_json::from_value::<Peak>(spec).unwrap());
        peak.status.times = Times { starts: at(5), ends: at(6), ..Times::default() };
        let row = |name: &str| PeakApplication {
            deployment: name.to_owned(),
            reasons: vec![Reason::new("no-application", "there is no application/gone")],
            ..PeakApplication::default()
        };
        let planned = PeakApplication {
            usual: Some(40.0),
            expected: Some(160.0),
            needed: Some(4),
            ..row("shop.prod")
        };
        let rehearsed = |rows: Vec<PeakApplication>| {
            let mut peak = peak.clone();
            peak.status.applications = rows;
            let world = crate::testing::world([Any::Peak(Arc::new(peak))]);
            scenario(&world, "sale", at(1))
        };
        let both = rehearsed(vec![row("gone.prod"), planned]).unwrap();
        assert_eq!(both.load.keys().collect::<Vec<_>>(), ["*", "shop.prod"]);
        assert_eq!((both.checks.len(), both.notes.len()), (1, 1));
        assert!(both.notes[0].contains("for gone.prod"), "{:?}", both.notes);
        assert_eq!(rehearsed(vec![row("gone.prod")]).unwrap_err()[0].code, "no-plan");
        let told = Reason::new("usual-there", "what its instances carry is taken as usual");
        let unusual = PeakApplication {
            usual: Some(40.0),
            expected: Some(160.0),
            needed: Some(4),
            reasons: vec![told],
            ..row("shop.prod")
        };
        let unusual = rehearsed(vec![unusual]).unwrap();
        let load = &unusual.load["shop.prod"];
        assert_eq!((load.level, load.peaks[0].times), (Some(40.0), 4.0));
        assert!(unusual.notes[0].contains("what its instances carry"), "{:?}", unusual.notes);
    }

    #[test]
    fn what_usually_has_no_load_has_it_in_the_peak_alone() {
        let own = Own { usual: 0.0, expected: 160.0, called: false };
        let load = own.load(true, Span::seconds(3_600), Span::seconds(3_600));
        let (level, times) = (load.level.unwrap(), load.peaks[0].times);
        assert!(level < 0.001 && (level * times - 160.0).abs() < 0.001, "{level} times {times}");
    }
}
