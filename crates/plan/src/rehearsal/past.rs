//! The load that is known of the fleet there is: as it was measured, or as it is forecast from
//! that.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::elasticity::LOAD;
use atoll_model::peak::{PeakApplication, Times};
use atoll_model::rehearsal::{Known, Load};
use atoll_model::{
    Application, Autoscaler, Capacity, Deployment, Object, Peak, Snapshot, Span, Timestamp,
};

use super::about::peak::Beyond;
use super::load::{Base, Stretch};
use super::{HISTORY_STEP, Today, about};
use crate::capacity::calls::callers;
use crate::forecast::{Series, forecast};
use crate::{elasticity, peak};

/// Where the last so many steps are looked at for how wrong forecasts were.
const LEAD: usize = 12;

/// What is known of a deployment's load; none where nothing is.
pub(super) fn known(
    today: &Today,
    deployment: &str,
    load: &Load,
    (from, lasts): (Timestamp, Span),
    assumed: &mut Vec<String>,
) -> Option<Base> {
    let measured = today.history.get(deployment).map(Vec::as_slice).unwrap_or_default();
    assumed.extend(doubtful(today, deployment));
    let level = level(&today.world, deployment);
    let most = most(&today.world, deployment);
    let sound = measured.iter().filter(|(_, value)| *value <= most);
    let measured: Vec<(Timestamp, f64)> = sound.copied().collect();
    let Some((start, values)) = grid(&measured) else {
        let Some(level) = level else {
            let has = match callers(&today.world).contains_key(deployment) {
                true => "it has what comes with its callers, which nobody measures here either",
                false => "it has none",
            };
            assumed.push(format!("nothing is known of the load of {deployment}: {has}"));
            return None;
        };
        assumed.push(format!("the load of {deployment} stays at {level}: no past is known of it"));
        return Some(Base::Shape(level, vec![1.0]));
    };
    let mut filled = fill(&values);
    // The last minutes may be those of a peak that is over.
    if let (Some(last), Some(level)) = (filled.last_mut(), level) {
        *last = level;
    }
    let base = recorded(start, filled.clone(), level);
    let told = match &base {
        Base::Shape(level, _) => format!("the load of {deployment} stays at {level}"),
        Base::Values(..) => format!("the load of {deployment} is what was measured days before"),
    };
    if load.known == Some(Known::Recorded) {
        assumed.push(told);
        return Some(base);
    }
    let end = start + Span(HISTORY_STEP.0 * values.len() as u64);
    let steps = ((from + lasts).since(end).0 / HISTORY_STEP.0) as usize + 1;
    let series = Series { start: start.0, step: HISTORY_STEP.0 as i64, values: &values };
    // Peaks that were are nothing usual; those to come are put on top.
    let mut events = peak::brought(&today.world, deployment, HISTORY_STEP);
    events.retain(|event| event.from < end.0);
    events.iter_mut().for_each(|event| event.to = event.to.min(end.0));
    match forecast(&series, &events, steps, LEAD) {
        Ok(found) => {
            let mut all = filled;
            all.extend(found.points.iter().map(|point| point.expected.max(0.0)));
            let error = found.accuracy.wape * 100.0;
            assumed.push(format!(
                "the load of {deployment} is forecast: {}, usually {error:.0} % wrong",
                found.method.words()
            ));
            Some(Base::Values(start, HISTORY_STEP, all))
        }
        Err(refused) => {
            assumed.push(format!("{told}: it cannot be forecast, {refused}"));
            Some(base)
        }
    }
}

/// What declared peaks make of the load of a deployment, where its load is forecast and the
/// scenario supposes no peak of its own. What a scenario says otherwise of a load is the whole of
/// it, and told where a peak is declared.
pub(super) fn peaks(
    today: &Today,
    deployment: &str,
    (load, base): (&Load, &Base),
    (from, lasts): (Timestamp, Span),
    assumed: &mut Vec<String>,
) -> Vec<Stretch> {
    let mut all: Vec<Declared> = Vec::new();
    let said = match load.known {
        _ if !load.peaks.is_empty() => Some("a peak of its own"),
        Some(Known::Forecast) => None,
        Some(Known::Recorded) => Some("what was measured"),
        None => Some("a level"),
    };
    for (peak, row) in peak::rows(&today.world, deployment) {
        let times = &peak.status.times;
        if times.starts >= from + lasts || times.ends <= from {
            continue;
        }
        if let Some(said) = said {
            // One at the same time is that peak, as the scenario sees it.
            let same = load.peaks.iter().map(|own| from + own.at);
            let mut same = same.zip(&load.peaks).map(|(at, own)| (at, at + own.lasts));
            if !same.any(|(at, over)| at < times.ends && over > times.starts) {
                assumed.push(format!(
                    "peak/{} brings {deployment} no load: the scenario supposes {said} for it, and \
                     that is the whole",
                    peak.name()
                ));
            }
            continue;
        }
        match Declared::of(today, peak, row) {
            Some(declared) => {
                assumed.extend(declared.beyond.as_ref().map(Beyond::to_string));
                all.push(declared);
            }
            None => assumed.push(format!(
                "peak/{} brings {deployment} no load: what is usual of it is not known (atoll \
                 rehearse peak/{} plays what it is expected to bring)",
                peak.name(),
                peak.name()
            )),
        }
    }
    // What is measured now may be that of a peak which is there, and goes when that ends.
    let live = all.iter().filter(|declared| declared.times.starts <= today.now);
    let near = live.filter_map(|one| Some((one, one.factor?, distance(today, base, one.row)?)));
    let there = near.min_by(|a, b| a.2.total_cmp(&b.2)).map(|(one, factor, _)| (one.name, factor));
    assumed.extend(all.iter().map(|declared| declared.told(deployment, there)));
    // To behind the end, at which it is looked at for the last time.
    let end = from + lasts + HISTORY_STEP;
    stretches(&all, there.map_or(1.0, |(_, factor)| factor), end)
}

/// A peak that is declared, and what it brings a deployment.
struct Declared<'a> {
    name: &'a str,
    row: &'a PeakApplication,
    times: Times,
    /// So many times the usual load, where that is known.
    factor: Option<f64>,
    /// So much, whatever is usual, where that is what is declared.
    volume: Option<f64>,
    /// What is measured of it now, where that is more.
    beyond: Option<Beyond>,
}

impl<'a> Declared<'a> {
    /// None where nobody knows how much it brings.
    fn of(today: &Today, peak: &'a Object<Peak>, row: &'a PeakApplication) -> Option<Declared<'a>> {
        let world = &today.world;
        let factor = about::peak::times(world, peak, row);
        let volume = about::peak::volume(world, peak, row);
        let known = factor.is_some() || volume.is_some();
        let (name, times) = (peak.name(), peak.status.times);
        let beyond = || about::peak::beyond(world, peak, row, today.now);
        known.then(|| Declared { name, row, times, factor, volume, beyond: beyond() })
    }

    /// What is said of it, where the load of now is that of another peak or of it.
    fn told(&self, deployment: &str, there: Option<(&str, f64)>) -> String {
        let (name, Times { starts, ends, .. }) = (self.name, &self.times);
        let factor = self.factor.unwrap_or(1.0);
        match (there.filter(|(it, _)| *it == name), self.volume) {
            (Some(_), volume) => {
                let that = self.beyond.as_ref().map(|beyond| beyond.load).or(volume);
                let that = that.map_or("that of it".to_owned(), |load| load.to_string());
                let after = 1.0 / factor;
                format!(
                    "peak/{name} is there: the load of {deployment} is {that} until {ends}, and \
                     {after:.2} times that afterwards"
                )
            }
            (None, Some(volume)) => {
                format!(
                    "peak/{name} brings {deployment} a load of {volume} from {starts} to {ends}"
                )
            }
            (None, None) => format!(
                "peak/{name} brings {deployment} {factor:.2} times its load from {starts} to {ends}"
            ),
        }
    }
}

/// What comes when of what is taken for the load, where that is so many times the usual already.
/// Of several peaks at a time what asks for more holds.
fn stretches(peaks: &[Declared], already: f64, end: Timestamp) -> Vec<Stretch> {
    let bounds = peaks.iter().flat_map(|peak| [peak.times.starts, peak.times.ends]);
    let bounds: BTreeSet<Timestamp> = bounds.chain([end]).collect();
    let bounds: Vec<Timestamp> = bounds.into_iter().collect();
    let mut all: Vec<Stretch> = Vec::new();
    for (from, to) in bounds.iter().zip(bounds.iter().skip(1)) {
        let here = |peak: &&Declared| peak.times.starts <= *from && *to <= peak.times.ends;
        let here = || peaks.iter().filter(here);
        let beyond = |peak: &Declared| peak.beyond.as_ref().map(|beyond| beyond.load);
        let least = here().flat_map(|peak| [peak.volume, beyond(peak)]).flatten();
        let least = least.max_by(f64::total_cmp);
        let factors = here().filter(|peak| peak.volume.is_none()).filter_map(|peak| peak.factor);
        // A volume is all there is, unless so many times the usual is more.
        let usual = if here().any(|peak| peak.volume.is_some()) { 0.0 } else { 1.0 };
        let times = factors.max_by(f64::total_cmp).unwrap_or(usual) / already;
        let one = Stretch { from: *from, to: *to, times, least: least.unwrap_or(0.0) };
        let same = |last: &&mut Stretch| {
            (last.to, last.times, last.least) == (one.from, one.times, one.least)
        };
        match all.last_mut().filter(same) {
            Some(last) => last.to = one.to,
            None if times == 1.0 && least.is_none() => {}
            None => all.push(one),
        }
    }
    all
}

/// How far the load that is taken for what comes is from what is expected of a peak which is there,
/// if it is that of it: nearer to that than to what is usual. One that has not brought its load may
/// still.
fn distance(today: &Today, base: &Base, row: &PeakApplication) -> Option<f64> {
    let (usual, expected) = row.usual.zip(row.expected).filter(|_| peak::is_known(row))?;
    let next = base.at(today.now + HISTORY_STEP);
    let above = next - f64::midpoint(usual, expected);
    (above * (expected - usual) > 0.0).then_some((next - expected).abs())
}

/// The highest load that is believed, as its autoscaler believes it.
fn most(world: &Snapshot, deployment: &str) -> f64 {
    let of = world.get::<Deployment>(deployment).map(|d| d.spec.application.as_str());
    let application = of.and_then(|name| world.get::<Application>(name));
    let scaling = application.and_then(|application| application.spec.scaling.as_ref());
    let each = scaling.and_then(|scaling| scaling.per_instance.as_ref().map(|load| load.target));
    let scaler = world.get::<Autoscaler>(deployment);
    let max = scaler.and_then(|scaler| scaler.spec.max).or(scaling.map(|scaling| scaling.max));
    let most = each.zip(max).map(|(each, max)| elasticity::most_believed(each, max));
    most.unwrap_or(f64::INFINITY)
}

/// What is odd about the load of now, as its autoscaler says it: it is rehearsed all the same.
fn doubtful(today: &Today, deployment: &str) -> Option<String> {
    let scaler = today.world.get::<Autoscaler>(deployment)?;
    let odd = ["frozen", "no-data", "absurd", "sudden-fall", "many-series"];
    let mut reasons = scaler.status.reasons.iter();
    let reason = reasons.find(|reason| odd.contains(&reason.code.as_str()))?;
    Some(format!("the load of {deployment} may be another than what is known: {}", reason.message))
}

/// Whether anything was measured of the load of a deployment.
pub(super) fn is_measured(today: &Today, deployment: &str) -> bool {
    let history = today.history.get(deployment).is_some_and(|history| !history.is_empty());
    history || level(&today.world, deployment).is_some()
}

/// The load of a deployment as it is now.
pub(super) fn level(world: &Snapshot, deployment: &str) -> Option<f64> {
    let scaler = world.get::<Autoscaler>(deployment);
    let mut signals = scaler.iter().flat_map(|scaler| &scaler.status.signals);
    let latest = signals.find(|signal| signal.name == LOAD).and_then(|signal| signal.value);
    let capacity = world.get::<Capacity>(deployment);
    latest.or(capacity.and_then(|capacity| capacity.status.load))
}

/// The load of a deployment as it is now, without what comes with that of its callers; none where
/// its autoscaler does not believe it.
pub(super) fn own_level(world: &Snapshot, deployment: &str) -> Option<f64> {
    let believed = |name: &str| level(world, name).filter(|load| *load <= most(world, name));
    let whole = believed(deployment)?;
    let callers = callers(world).remove(deployment).unwrap_or_default();
    let brought = callers.iter().filter_map(|(caller, each)| Some(believed(caller)? * each));
    Some((whole - brought.sum::<f64>()).max(0.0))
}

/// What was measured; less than a day of it stays as it was last.
fn recorded(start: Timestamp, values: Vec<f64>, level: Option<f64>) -> Base {
    let day = 86_400_000 / HISTORY_STEP.0 as usize;
    if values.len() < day {
        let last = values.last().copied().unwrap_or_default();
        return Base::Shape(level.unwrap_or(last), vec![1.0]);
    }
    Base::Values(start, HISTORY_STEP, values)
}

/// Values at regular times, from the first measured to the last.
fn grid(measured: &[(Timestamp, f64)]) -> Option<(Timestamp, Vec<Option<f64>>)> {
    let slot = |at: Timestamp| at.0.div_euclid(HISTORY_STEP.0 as i64);
    let known: BTreeMap<i64, f64> = measured.iter().map(|(at, v)| (slot(*at), *v)).collect();
    let (first, last) = (*known.keys().next()?, *known.keys().next_back()?);
    let values = (first..=last).map(|slot| known.get(&slot).copied()).collect();
    Some((Timestamp(first * HISTORY_STEP.0 as i64), values))
}

/// What is missing is as it was before.
fn fill(values: &[Option<f64>]) -> Vec<f64> {
    let mut last = values.iter().flatten().next().copied().unwrap_or_default();
    values
        .iter()
        .map(|value| {
            last = value.filter(|value| value.is_finite() && *value >= 0.0).unwrap_or(last);
            last
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::peak::{PeakReport, Shortfall};
    use atoll_model::rehearsal::Peak as Rise;
    use atoll_model::{Any, Kind};

    use super::*;
    use crate::rehearsal::load::{Loads, Own};

    const HOUR: Span = Span::seconds(3_600);

    fn hours(count: u64) -> Timestamp {
        Timestamp(0) + Span(HOUR.0 * count)
    }

    fn times(from: u64, to: u64, times: f64) -> Stretch {
        Stretch { from: hours(from), to: hours(to), times, least: 0.0 }
    }

    /// A peak from the fifth hour to the sixth, of which that load was seen.
    fn sale(seen: Option<f64>) -> Snapshot {
        let spec = serde_json::json!({
            "starts": "1970-01-01T05:00:00Z", "ends": "1970-01-01T06:00:00Z",
            "environment": "prod", "applications": { "shop": 4 },
        });
        let mut peak = Object::new("sale", serde_json::from_value::<Peak>(spec).unwrap());
        peak.status.times = Times { starts: hours(5), ends: hours(6), ..Times::default() };
        peak.status.applications = vec![PeakApplication {
            deployment: "shop.prod".to_owned(),
            usual: Some(40.0),
            expected: Some(160.0),
            ..PeakApplication::default()
        }];
        peak.status.report = seen.map(|highest| {
            let one = Shortfall { highest: Some(highest), ..Shortfall::default() };
            let applications = [("shop.prod".to_owned(), one)].into();
            PeakReport { until: hours(5), applications, ..PeakReport::default() }
        });
        crate::testing::world([Any::Peak(Arc::new(peak))])
    }

    #[test]
    fn a_peak_that_is_there_has_brought_what_was_seen_of_it_by_now() {
        let by = |seen| peak::brought(&sale(seen), "shop.prod", HISTORY_STEP)[0].factor;
        assert_eq!((by(None), by(Some(44.0)), by(Some(150.0))), (4.0, 1.1, 3.75));
    }

    #[test]
    fn of_several_peaks_at_a_time_what_asks_for_more_holds() {
        let row = PeakApplication::default();
        let one = |starts: u64, ends: u64, factor: f64| Declared {
            name: "sale",
            row: &row,
            times: Times { starts: hours(starts), ends: hours(ends), ..Times::default() },
            factor: Some(factor),
            volume: None,
            beyond: None,
        };
        let both = [one(1, 5, 2.0), one(3, 4, 3.0)];
        let of = |already: f64| stretches(&both, already, hours(9));
        let stepped = [times(1, 3, 2.0), times(3, 4, 3.0), times(4, 5, 2.0)];
        assert_eq!(of(1.0), stepped);
        let later = [times(3, 4, 1.5), times(5, 9, 0.5)];
        assert_eq!(of(2.0), later, "the load of the first is there");
        let volume = Declared { volume: Some(150.0), ..one(1, 5, 2.0) };
        let level = |from: u64, to: u64, times: f64| Stretch {
            least: 150.0,
            ..self::times(from, to, times)
        };
        let with = stretches(&[volume, one(3, 4, 3.0)], 1.0, hours(9));
        assert_eq!(with, [level(1, 3, 0.0), level(3, 4, 3.0), level(4, 5, 0.0)]);
    }

    #[test]
    fn a_declared_volume_is_what_comes_whatever_the_load_of_now_is() {
        let mut world = sale(None);
        let Some(Any::Peak(peak)) = world.find(Kind::Peak, "sale") else { panic!("no peak") };
        let mut peak = Object::clone(&peak);
        let volume = serde_json::json!({ "shop": { "volume": 160 } });
        peak.spec.applications = serde_json::from_value(volume).unwrap();
        world.put(Any::Peak(Arc::new(peak)));
        let load = Load { known: Some(Known::Forecast), ..Load::default() };
        // There is more than was usual when the peak was planned.
        let base = Base::Shape(60.0, vec![1.0]);
        let played = |now: u64, base: Base| {
            let today = Today { world: world.clone(), now: hours(now), ..Today::default() };
            let (when, mut told) = ((hours(now), Span(HOUR.0 * 8)), Vec::new());
            let declared = peaks(&today, "shop.prod", (&load, &base), when, &mut told);
            let own = Own { declared, ..Own::new(base, &load) };
            let at = |minutes: u64| {
                let own = [("shop.prod".to_owned(), own.clone())].into();
                let loads = Loads::new(&world, own, hours(now), 1);
                loads.at("shop.prod", hours(4) + Span::seconds(minutes * 60)).unwrap()
            };
            ((at(30), at(90), at(150)), told)
        };
        let (loads, told) = played(1, base);
        assert_eq!(loads, (60.0, 160.0, 60.0));
        assert!(told[0].starts_with("peak/sale brings shop.prod a load of 160 from"), "{told:?}");
        let (loads, told) = played(5, Base::Shape(150.0, vec![1.0]));
        assert_eq!((loads.1, loads.2), (160.0, 37.5));
        assert!(told[0].starts_with("peak/sale is there"), "{told:?}");
    }

    #[test]
    fn of_two_peaks_that_are_there_the_load_is_that_of_the_nearer() {
        let mut world = sale(None);
        let Some(Any::Peak(first)) = world.find(Kind::Peak, "sale") else { panic!("no peak") };
        let mut other = Object::clone(&first);
        other.meta.name = "match".to_owned();
        other.status.applications[0].expected = Some(80.0);
        world.put(Any::Peak(Arc::new(other)));
        let today = Today { world, now: hours(5), ..Today::default() };
        let load = Load { known: Some(Known::Forecast), ..Load::default() };
        let (when, mut told) = ((hours(5), HOUR), Vec::new());
        let high = Base::Shape(82.0, vec![1.0]);
        let all = peaks(&today, "shop.prod", (&load, &high), when, &mut told);
        let after = Stretch { to: hours(6) + HISTORY_STEP, ..times(6, 6, 0.5) };
        assert_eq!(all, [times(5, 6, 2.0), after]);
        assert!(told[0].starts_with("peak/match is there"), "{told:?}");
        assert!(told[1].starts_with("peak/sale brings"), "{told:?}");
    }

    #[test]
    fn a_declared_peak_is_put_on_top_of_what_is_forecast() {
        let world = sale(None);
        let today = |now: u64| Today { world: world.clone(), now: hours(now), ..Today::default() };
        let load = Load { known: Some(Known::Forecast), ..Load::default() };
        let values = Base::Values(hours(0), HISTORY_STEP, vec![40.0; 500]);
        let level = Base::Shape(40.0, vec![1.0]);
        let told = |now: u64, name: &str, load: &Load, base: &Base, lasts: u64| {
            let when = (hours(now), Span(HOUR.0 * lasts));
            let mut told = Vec::new();
            let all = peaks(&today(now), name, (load, base), when, &mut told);
            (all, told)
        };
        let of = |now: u64, name: &str, load: &Load, base: &Base, lasts: u64| {
            told(now, name, load, base, lasts).0
        };
        let whole = vec![times(5, 6, 4.0)];
        assert_eq!(of(1, "shop.prod", &load, &values, 8), whole);
        assert_eq!(of(5, "shop.prod", &load, &values, 8), whole, "it has begun");
        assert_eq!(of(5, "shop.prod", &load, &level, 8), whole, "its load has not come yet");
        let after = vec![Stretch { to: hours(13) + HISTORY_STEP, ..times(6, 13, 0.25) }];
        let high = Base::Shape(150.0, vec![1.0]);
        let (stays, why) = told(5, "shop.prod", &load, &high, 8);
        assert_eq!(stays, after, "what stays is that of the peak");
        assert!(why[0].ends_with("and 0.25 times that afterwards"), "{why:?}");
        assert_eq!(of(1, "shop.prod", &load, &values, 4), [], "it comes later");
        assert_eq!(of(1, "stock.prod", &load, &values, 8), []);
        let (at, rise) = (HOUR, Span::seconds(60));
        let own = Load { peaks: vec![Rise { at, times: 2.0, rise, lasts: HOUR }], ..load };
        let early = told(1, "shop.prod", &own, &values, 8);
        assert_eq!(early.0, [], "the scenario has one of its own");
        assert!(early.1[0].contains("supposes a peak of its own"), "{:?}", early.1);
        assert_eq!(told(4, "shop.prod", &own, &values, 8), (vec![], vec![]), "it is the same one");
        let said = Load { level: Some(40.0), ..Load::default() };
        let (none, why) = told(1, "shop.prod", &said, &level, 8);
        assert_eq!((none, why.len()), (vec![], 1), "its level is the whole");
        assert!(why[0].starts_with("peak/sale brings shop.prod no load"), "{why:?}");
        assert_eq!(told(1, "shop.prod", &said, &level, 4), (vec![], vec![]), "it comes later");
    }
}
