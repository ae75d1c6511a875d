//! How a rehearsal goes, looked at in regular steps: what each deployment has to carry and can,
//! what is not served and why, and what hosts cost.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::rehearsal::report::{AtBest, Broken, Cost, Course};
use atoll_model::{
    Application, Autoscaler, Deployment, Host, Objective, Snapshot, Span, Timestamp,
};

use super::measures::Carries;
use super::stage::Stage;
use crate::budget::book::{Book, usual};
use crate::budget::cost::Tariff;
use crate::sim::Sim;
use crate::sim::twin::Twin;

/// So small a share of requests that fail counts as none.
pub(super) const NONE_FAILS: f64 = 0.001;
/// So many values a course has.
const VALUES: u64 = 240;
/// What fails again within this time has not been mended in between.
const TOGETHER: Span = Span::seconds(120);
/// Costs are looked at so often, in a rehearsal.
const LOOKS: u64 = 192;
const MINUTE: i64 = 60_000;
/// What fails is followed from who is called to who calls, so far.
const DEEPEST: usize = 8;

/// The courses of all.
pub(super) struct Courses {
    from: Timestamp,
    bucket: Span,
    /// Each deployment that has load.
    pub all: BTreeMap<String, One>,
    /// The fewest and most instances of each other deployment.
    others: BTreeMap<String, (u32, u32)>,
    /// How many instances those have together, the fewest in each part of the time.
    other_parts: Vec<u32>,
    /// Hosts that are up, for each part of the time.
    hosts: Vec<u32>,
    /// Hosts that were up, in the last minute that was looked at.
    counted: (u32, u64),
    /// The fewest and most hosts.
    pub host_range: Option<(u32, u32)>,
    pub cost: Option<Cost>,
    /// So many hosts had no price.
    pub unpriced: u32,
    costs_every: Span,
    costs_at: Timestamp,
    /// Hosts and instances at the beginning.
    pub begun: (u32, u32),
}

/// The course of one deployment.
#[derive(Debug, Default)]
pub(super) struct One {
    pub carries: Carries,
    minutes: u32,
    bad_minutes: Failed<u32>,
    minute: Option<(i64, Failed<bool>)>,
    pub load: f64,
    pub lost: Failed<f64>,
    /// The most load that was asked of one instance.
    asked: f64,
    pub least: u32,
    pub most: u32,
    pub broken: Vec<Broken>,
    parts: Vec<Part>,
    /// Whom it calls, and how often.
    calls: Vec<(String, f64)>,
}

/// What fails, by what is taken an instance to carry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Failed<T> {
    /// If it is no more than it is known to.
    pub known: T,
    /// Whatever it is, short of what is known to be too much.
    pub surely: T,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    instances: u32,
    load: f64,
    capacity: f64,
    errors: f64,
}

/// What one deployment has and can, at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Now {
    instances: u32,
    load: f64,
    capacity: f64,
    own: Failed<f64>,
    errors: Failed<f64>,
}

impl Courses {
    pub fn new(from: Timestamp, lasts: Span, step: Span) -> Courses {
        Courses {
            from,
            bucket: Span((lasts.0 / VALUES).max(step.0)),
            all: BTreeMap::new(),
            others: BTreeMap::new(),
            other_parts: Vec::new(),
            hosts: Vec::new(),
            counted: (0, 0),
            host_range: None,
            cost: None,
            unpriced: 0,
            costs_every: Span((lasts.0 / LOOKS).max(step.0)),
            costs_at: from,
            begun: (0, 0),
        }
    }

    /// Notes what there is at the beginning.
    pub fn begin(&mut self, sim: &mut Sim) {
        let hosts = sim.reached();
        let world = sim.world.clone();
        let Some(twin) = sim.as_twin() else { return };
        let mut instances = 0;
        for name in twin.measures.loads.names() {
            // Of what nobody says what an instance carries, it is not known what it fails.
            let Some(carries) = twin.measures.each.get(name).copied() else { continue };
            let calls = called(&world, name);
            let one = One { carries, least: u32::MAX, calls, ..One::default() };
            self.all.insert(name.clone(), one);
        }
        for all in twin.serving.values() {
            instances += all.values().sum::<u32>();
        }
        let names = world.all::<Deployment>().map(|deployment| deployment.meta.name.clone());
        let others = names.filter(|name| !self.all.contains_key(name));
        self.others = others.map(|name| (name, (u32::MAX, 0))).collect();
        self.begun = (hosts, instances);
    }

    /// Looks at a step that ends now.
    pub fn look(&mut self, sim: &mut Sim, at: Timestamp, step: Span, stage: &Stage) {
        // Once a minute: of a large fleet that is not for nothing.
        let minute = at.since(self.from).0 / 60_000;
        if minute != self.counted.1 || self.hosts.is_empty() {
            self.counted = (sim.reached(), minute);
        }
        let up = self.counted.0;
        let part = (at.since(self.from).0.saturating_sub(1) / self.bucket.0.max(1)) as usize;
        self.hosts.resize(self.hosts.len().max(part + 1), up);
        self.hosts[part] = self.hosts[part].min(up);
        let (least, most) = self.host_range.unwrap_or((up, up));
        self.host_range = Some((least.min(up), most.max(up)));
        self.pay(&sim.world, at);
        let promised: BTreeSet<String> = sim
            .world
            .all::<Objective>()
            .map(|objective| objective.spec.deployment.clone())
            .collect();
        let Some(twin) = sim.as_twin() else { return };
        self.count(twin, part);
        let now = self.now(twin, at, stage);
        for (name, now) in now.iter().filter(|(name, _)| promised.contains(*name)) {
            twin.measures.note(name, at, now.load * step.0 as f64 / 1_000.0, now.errors.known);
        }
        let world = &sim.world;
        for (name, now) in now {
            let since = at.since(self.from);
            let Some(one) = self.all.get_mut(&name) else { continue };
            one.note(at, (step, since), part, &now);
            if now.errors.known > NONE_FAILS {
                let why = || why(world, &name, &now, stage, &one.calls);
                fail(
                    &mut one.broken,
                    (Span(since.0.saturating_sub(step.0)), since),
                    now.errors.known,
                    why,
                );
            }
        }
    }

    /// Counts the instances of those that have no load.
    fn count(&mut self, twin: &Twin, part: usize) {
        for name in twin.serving.keys().filter(|name| !self.all.contains_key(*name)) {
            if !self.others.contains_key(name) {
                self.others.insert(name.clone(), (u32::MAX, 0));
            }
        }
        let mut together = 0;
        for (name, (least, most)) in &mut self.others {
            let serving = twin.serving.get(name).map_or(0, |all| all.values().sum::<u32>());
            (*least, *most) = ((*least).min(serving), (*most).max(serving));
            together += serving;
        }
        self.other_parts.resize(self.other_parts.len().max(part + 1), together);
        self.other_parts[part] = self.other_parts[part].min(together);
    }

    /// The fewest and most instances of each deployment, whether it has load or not.
    pub fn counts(&self) -> impl Iterator<Item = (&str, (u32, u32))> {
        let all = self.all.iter().map(|(name, one)| (name.as_str(), (one.least, one.most)));
        let others = self.others.iter().map(|(name, (least, most))| {
            let counted = ((*least).min(*most), *most);
            (name.as_str(), counted)
        });
        all.chain(others)
    }

    fn now(&self, twin: &Twin, at: Timestamp, stage: &Stage) -> BTreeMap<String, Now> {
        let mut all = BTreeMap::new();
        let mut any = false;
        for (name, one) in &self.all {
            let now = one.now(name, twin, at, stage);
            any |= now.own.known > 0.0;
            all.insert(name.clone(), now);
        }
        for _ in 0..if any { DEEPEST } else { 0 } {
            let before: BTreeMap<String, Failed<f64>> =
                all.iter().map(|(name, now)| (name.clone(), now.errors)).collect();
            for (name, one) in self.all.iter().filter(|(_, one)| !one.calls.is_empty()) {
                let Some(now) = all.get_mut(name).filter(|now| now.load > 0.0) else { continue };
                let (mut known, mut surely) = (1.0 - now.own.known, 1.0 - now.own.surely);
                for (callee, times) in &one.calls {
                    let failed = before.get(callee).copied().unwrap_or_default();
                    known *= 1.0 - failed.known * times.min(1.0);
                    surely *= 1.0 - failed.surely * times.min(1.0);
                }
                now.errors = Failed { known: 1.0 - known, surely: 1.0 - surely };
            }
        }
        all
    }

    fn pay(&mut self, world: &Snapshot, at: Timestamp) {
        if at < self.costs_at + self.costs_every {
            return;
        }
        let hours = at.since(self.costs_at).0 as f64 / 3_600_000.0;
        self.costs_at = at;
        // It stays what it was at first, whatever prices there are later.
        let first = self.cost.as_ref().map(|cost| cost.currency.clone());
        let Some(currency) = first.or_else(|| usual(world, at).map(str::to_owned)) else { return };
        let book = Book::of(world, &currency, at);
        let (mut rate, mut unpriced) = (0.0, 0);
        for host in world.all::<Host>() {
            match Tariff::of(world, &book, host) {
                Ok(tariff) => rate += tariff.total.0 as f64 / 1e6,
                Err(_) => unpriced += 1,
            }
        }
        self.unpriced = self.unpriced.max(unpriced);
        let empty = || Cost { amount: 0.0, currency };
        self.cost.get_or_insert_with(empty).amount += rate * hours;
    }

    /// Ends what is open.
    pub fn end(&mut self) {
        for one in self.all.values_mut() {
            one.close();
            one.least = one.least.min(one.most);
        }
    }

    /// The whole fleet over time.
    pub fn fleet(&self) -> Course {
        let mut course = Course { step: self.bucket, ..Course::default() };
        course.hosts = self.hosts.iter().map(|hosts| f64::from(*hosts)).collect();
        for (i, others) in self.other_parts.iter().enumerate() {
            let parts = self.all.values().filter_map(|one| one.parts.get(i));
            let (mut instances, mut load, mut lost) = (f64::from(*others), 0.0, 0.0);
            for part in parts {
                instances += f64::from(part.instances);
                load += part.load;
                lost += part.load * part.errors;
            }
            course.instances.push(instances);
            course.errors.push(if load > 0.0 { lost / load } else { 0.0 });
        }
        course
    }

    /// One deployment over time.
    pub fn course(&self, one: &One) -> Course {
        Course {
            step: self.bucket,
            hosts: Vec::new(),
            instances: one.parts.iter().map(|part| f64::from(part.instances)).collect(),
            load: one.parts.iter().map(|part| part.load).collect(),
            capacity: one.parts.iter().map(|part| part.capacity).collect(),
            errors: one.parts.iter().map(|part| part.errors).collect(),
        }
    }
}

impl One {
    /// What it has to carry and can. What fails with those it calls is not in it.
    fn now(&self, name: &str, twin: &Twin, at: Timestamp, stage: &Stage) -> Now {
        let load = twin.measures.loads.at(name, at).filter(|load| load.is_finite());
        let mut now = Now { load: load.unwrap_or_default(), ..Now::default() };
        let (mut failing, mut breaks) = (0.0, 0.0);
        let serving = twin.serving.get(name).into_iter().flatten();
        for (release, count) in serving.filter(|(_, count)| **count > 0) {
            // Half of what is known is all that is said of a weak one.
            let weak = stage.weak.contains(release).then_some(self.carries.each * 0.5);
            let carries = f64::from(*count) * weak.unwrap_or(self.carries.each);
            now.instances += count;
            now.capacity += carries;
            breaks += f64::from(*count) * weak.or(self.carries.breaks).unwrap_or(f64::INFINITY);
            failing += carries * twin.measures.failing.get(release).copied().unwrap_or(0.0);
        }
        if now.load > 0.0 {
            let failing = if now.capacity > 0.0 { failing / now.capacity } else { 0.0 };
            let fails = |capacity: f64| 1.0 - (capacity / now.load).min(1.0) * (1.0 - failing);
            now.own = Failed { known: fails(now.capacity), surely: fails(breaks) };
        }
        now.errors = now.own;
        now
    }

    fn note(&mut self, at: Timestamp, (step, _): (Span, Span), part: usize, now: &Now) {
        let Failed { known, surely } = now.errors;
        let failed = Failed { known: known > NONE_FAILS, surely: surely > NONE_FAILS };
        let minute = (at.0 - 1).div_euclid(MINUTE);
        match &mut self.minute {
            Some((of, bad)) if *of == minute => {
                bad.known |= failed.known;
                bad.surely |= failed.surely;
            }
            _ => {
                self.close();
                self.minute = Some((minute, failed));
            }
        }
        let seconds = step.0 as f64 / 1_000.0;
        self.load += now.load * seconds;
        self.lost.known += now.load * known * seconds;
        self.lost.surely += now.load * surely * seconds;
        if now.instances > 0 {
            self.asked = self.asked.max(now.load / f64::from(now.instances));
        }
        self.least = self.least.min(now.instances);
        self.most = self.most.max(now.instances);
        let new = Part {
            instances: now.instances,
            load: now.load,
            capacity: now.capacity,
            errors: known,
        };
        self.parts.resize(self.parts.len().max(part + 1), new);
        let kept = &mut self.parts[part];
        kept.instances = kept.instances.min(new.instances);
        kept.load = kept.load.max(new.load);
        kept.capacity = kept.capacity.min(new.capacity);
        kept.errors = kept.errors.max(new.errors);
    }

    fn close(&mut self) {
        if let Some((_, bad)) = self.minute.take() {
            self.minutes += 1;
            self.bad_minutes.known += u32::from(bad.known);
            self.bad_minutes.surely += u32::from(bad.surely);
        }
    }

    /// The share of minutes in which everything was served.
    pub fn served(&self) -> f64 {
        1.0 - f64::from(self.bad_minutes.known) / f64::from(self.minutes.max(1))
    }

    /// How it served if an instance carries what nobody has seen it break with, where that makes
    /// a difference.
    pub fn at_best(&self) -> Option<AtBest> {
        let minutes = f64::from(self.minutes.max(1));
        let at_best = AtBest {
            served: 1.0 - f64::from(self.bad_minutes.surely) / minutes,
            lost: self.share(self.lost.surely),
            asked: self.asked,
            breaks: self.carries.breaks,
        };
        (self.lost.surely < self.lost.known * (1.0 - 1e-9)).then_some(at_best)
    }

    /// So much of all its load.
    pub fn share(&self, load: f64) -> f64 {
        if self.load > 0.0 { load / self.load } else { 0.0 }
    }
}

fn fail(
    broken: &mut Vec<Broken>,
    (from, to): (Span, Span),
    errors: f64,
    why: impl FnOnce() -> String,
) {
    match broken.last_mut() {
        Some(last) if from.0 <= last.to.0 + TOGETHER.0 => {
            last.to = to;
            if errors > last.worst + 0.02 {
                (last.why, last.worst_at) = (why(), to);
            }
            last.worst = last.worst.max(errors);
        }
        _ => broken.push(Broken { from, to, worst: errors, worst_at: to, why: why() }),
    }
}

/// Why not everything is served, as far as that is seen.
fn why(world: &Snapshot, name: &str, now: &Now, stage: &Stage, calls: &[(String, f64)]) -> String {
    let mut all: Vec<String> = Vec::new();
    if now.own.known < now.errors.known / 2.0 {
        let called: Vec<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
        all.push(format!("it calls {}", called.join(", ")));
    } else {
        let few = now.capacity < now.load;
        all.push(match few {
            true => format!(
                "{} {:.0} of {:.0}",
                crate::instances_do(now.instances as usize, "carries", "carry"),
                now.capacity,
                now.load
            ),
            false => "requests to a release fail".to_owned(),
        });
        let scaler = world.get::<Autoscaler>(name).map(|scaler| &scaler.status.reasons);
        let limits = ["at-max", "budget", "blind", "no-data", "sudden-fall"];
        let limit = scaler
            .into_iter()
            .flatten()
            .find(|reason| limits.iter().any(|code| reason.code.starts_with(code)));
        all.extend(limit.filter(|_| few).map(|reason| reason.message.clone()));
        let deployment = world.get::<Deployment>(name);
        let stuck = ["unplaceable", "frozen", "budget", "rolled-back", "guard", "no-room"];
        let reasons = deployment.into_iter().flat_map(|deployment| &deployment.status.reasons);
        let told = reasons.filter(|reason| stuck.iter().any(|code| reason.code.starts_with(code)));
        all.extend(told.take(1).map(|reason| reason.message.clone()));
    }
    all.extend(stage.wrong(name));
    all.join("; ")
}

/// Whom a deployment calls.
fn called(world: &Snapshot, name: &str) -> Vec<(String, f64)> {
    let Some(deployment) = world.get::<Deployment>(name) else { return Vec::new() };
    let application = world.get::<Application>(&deployment.spec.application);
    let scaling = application.and_then(|application| application.spec.scaling.as_ref());
    let environment = &deployment.spec.environment;
    let calls = scaling.map(|scaling| &scaling.calls);
    calls.into_iter().flatten().map(|(to, each)| (format!("{to}.{environment}"), *each)).collect()
}
