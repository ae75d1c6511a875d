//! Rehearsals: the real planners and the real gate drive a twin of a fleet for some hours of its
//! own time, under the load and the faults a scenario supposes. Nothing of the world is written;
//! the same scenario comes out the same. What a twin is, is the simulator's (`sim/twin.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::capacity::Known;
use atoll_model::deployment::InstancePhase;
use atoll_model::rehearsal::report::RehearsalReport;
use atoll_model::rehearsal::{
    Fleet, Load, MOST_HOSTS, MOST_INSTANCES, Rehearsal as Scene, Scenario,
};
use atoll_model::{
    Application, Capacity, Deployment, Instance, Kind, Pool, Reason, Snapshot, Span, Timestamp,
};

use crate::Measurements;
use crate::capacity::calls::callers;
use crate::sim::Sim;
use crate::sim::clouds::BOOT;
use crate::sim::twin::Twin;
use course::Courses;
use deeds::Deeds;
use load::{Base, Loads, Own, is_of};
use measures::{Carries, Measures};
use stage::Stage;

pub mod about;
mod checks;
mod course;
pub(crate) mod deeds;
mod fleet;
mod load;
pub(crate) mod measures;
mod past;
mod report;
pub mod sample;
mod stage;
mod unknown;
mod watched;

/// A fleet that is made up is given so much time before the beginning.
const BEFORE: Span = Span::seconds(1_800);
/// When a rehearsal of a fleet that is made up begins, where nobody says: a Monday.
const USUAL_FROM: Timestamp = Timestamp(1_767_571_200_000);

/// What was to begin less than this ago begins now, and nobody is told that it is late.
const MOMENT: Span = Span::seconds(60);

/// The fleet there is.
#[derive(Clone, Debug, Default)]
pub struct Today {
    /// All objects.
    pub world: Snapshot,
    /// What is measured of hosts, and who signs packages.
    pub measured: Measurements,
    /// The load of deployments as it was measured, each in steps of [`HISTORY_STEP`].
    pub history: BTreeMap<String, Vec<(Timestamp, f64)>>,
    /// The time.
    pub now: Timestamp,
}

/// From one value of a history to the next.
pub const HISTORY_STEP: Span = Span::seconds(300);

/// Asked now and then whether to stop before the end.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Rehearses a scenario.
///
/// # Errors
/// What the scenario names and is not there; that it was stopped.
pub fn run(
    scenario: &Scenario,
    today: &Today,
    stop: &Stop,
) -> Result<RehearsalReport, Vec<Reason>> {
    let mut rehearsal = match &scenario.spec.fleet {
        Fleet::Today => of_today(scenario, today, stop)?,
        Fleet::Made(made) => fleet::made(scenario, made, stop)?,
    };
    rehearsal.play()?;
    Ok(report::report(&mut rehearsal))
}

/// One rehearsal under way.
struct Rehearsal<'a> {
    scenario: &'a Scenario,
    sim: Sim,
    from: Timestamp,
    to: Timestamp,
    courses: Courses,
    stage: Stage,
    assumed: Vec<String>,
}

impl<'a> Rehearsal<'a> {
    /// One whose twin is ready, its load known.
    fn ready(
        scenario: &'a Scenario,
        mut sim: Sim,
        from: Timestamp,
        assumed: Vec<String>,
    ) -> Result<Rehearsal<'a>, Vec<Reason>> {
        let to = from + scenario.spec.lasts;
        let unknown = unknown::unknown(&scenario.spec, &sim.world, from);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let stage = Stage::new(&scenario.spec, from, &mut sim)?;
        let courses = Courses::new(from, scenario.spec.lasts, scenario.spec.step);
        let assumed = scenario.spec.notes.iter().cloned().chain(assumed).collect();
        Ok(Rehearsal { scenario, sim, from, to, courses, stage, assumed })
    }

    fn play(&mut self) -> Result<(), Vec<Reason>> {
        let step = self.scenario.spec.step;
        let mut at = self.from;
        self.courses.begin(&mut self.sim);
        while at < self.to {
            let next = (at + step).min(self.to);
            while let Some(due) = self.stage.next().filter(|due| *due < next) {
                self.sim.advance(due.since(self.sim.now()));
                self.stage.act(&mut self.sim, self.from);
            }
            self.sim.advance(next.since(self.sim.now()));
            if self.sim.was_stopped() {
                let message = format!(
                    "it took too long: stopped {} after its beginning",
                    self.sim.now().since(self.from).rough()
                );
                let hint = "rehearse a shorter time, or a smaller fleet";
                return Err(vec![Reason::new("too-long", message).hint(hint)]);
            }
            if next == self.to {
                self.sim.look_now();
            }
            self.courses.look(&mut self.sim, next, step, &self.stage);
            at = next;
        }
        self.courses.end();
        Ok(())
    }
}

fn twin(scenario: &Scenario, measures: Measures, from: Timestamp, stop: &Stop) -> Twin {
    let end = from + scenario.spec.lasts + Span::seconds(86_400);
    Twin::new(measures, Deeds::new(from), (end, scenario.spec.start), Arc::clone(stop))
}

/// The twin of the fleet there is.
fn of_today<'a>(
    scenario: &'a Scenario,
    today: &Today,
    stop: &Stop,
) -> Result<Rehearsal<'a>, Vec<Reason>> {
    let spec = &scenario.spec;
    let counts = [(Kind::Host, MOST_HOSTS), (Kind::Instance, MOST_INSTANCES)];
    for (kind, most) in counts {
        let count = today.world.count(kind);
        if count > most as usize {
            let message = format!("there are {count} {}; {most} can be rehearsed", kind.plural());
            return Err(vec![Reason::new("too-many", message)]);
        }
    }
    let from = spec.from.unwrap_or(today.now).max(today.now);
    let mut assumed = Vec::new();
    if from > today.now {
        let ahead = from.since(today.now).rough();
        assumed.push(format!("the fleet is as it is now, {ahead} before the beginning"));
    }
    if let Some(past) = spec.from.filter(|past| today.now.since(*past) >= MOMENT) {
        assumed.push(format!("it begins now: {past} is over, and the fleet is that of now"));
    }
    let each = each(&today.world, &mut assumed);
    let own = owns(spec, &today.world, &each, Some(today), from, &mut assumed);
    let own = own.map_err(|missing| {
        missing.into_iter().chain(unknown::unknown(spec, &today.world, from)).collect::<Vec<_>>()
    })?;
    let blind = each.keys().filter(|name| !past::is_measured(today, name));
    let (supposed, unmeasured): (Vec<String>, Vec<String>) =
        blind.cloned().partition(|name| own.contains_key(name));
    if !supposed.is_empty() {
        let names = named(&supposed);
        assumed.push(format!("the load of {names} is measured here, and nobody measures it today"));
    }
    let loads = Loads::new(&today.world, own, from, spec.seed);
    let mut measures = Measures::new(loads, each);
    measures.unmeasured = unmeasured.into_iter().collect();
    if measures.go_on(&today.world, from) {
        let told = "error budgets are left as they are today; what was bad goes out of them evenly";
        assumed.push(told.to_owned());
    }
    let mut twin = twin(scenario, measures, from, stop);
    twin.starts = starts(&today.world);
    assumed.push(started(&twin.starts, spec.start));
    assumed.extend(booted(&today.world));
    let mut sim = Sim::twin(spec.seed, today.world.clone(), from, twin);
    sim.trust(&today.measured);
    Rehearsal::ready(scenario, sim, from, assumed)
}

/// What one instance of each deployment carries, and what is taken for granted of it.
fn each(world: &Snapshot, assumed: &mut Vec<String>) -> BTreeMap<String, Carries> {
    let mut all = BTreeMap::new();
    let mut declared = Vec::new();
    for deployment in world.all::<Deployment>() {
        let name = deployment.meta.name.clone();
        let application = world.get::<Application>(&deployment.spec.application);
        let scaling = application.and_then(|application| application.spec.scaling.as_ref());
        let Some(load) = scaling.and_then(|scaling| scaling.per_instance.as_ref()) else {
            continue;
        };
        let capacity = world.get::<Capacity>(&name);
        let known = capacity.map_or(Known::Declared, |capacity| capacity.status.known);
        let set = capacity.and_then(|capacity| capacity.spec.each);
        let seen = capacity.and_then(|capacity| capacity.status.each);
        let each = match known {
            Known::Declared => set,
            Known::Set | Known::Proven | Known::Bounded => set.or(seen),
        };
        if each.is_none() {
            declared.push(name.clone());
        }
        let mut releases = capacity.into_iter().flat_map(|capacity| &capacity.status.releases);
        let broke = releases.find_map(|carried| carried.broke);
        let each = each.unwrap_or(load.target);
        let breaks = if set.is_some() { set } else { broke.filter(|broke| *broke >= each) };
        all.insert(name, Carries { each, breaks });
    }
    if !declared.is_empty() {
        let names = named(&declared);
        assumed.push(format!(
            "what an instance carries is not measured of {names}: what is declared is taken"
        ));
    }
    all
}

/// The first few of some names.
fn named(names: &[String]) -> String {
    let more = names.len().saturating_sub(5);
    let first = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

/// How long instances took to serve, for each application: in the middle.
fn starts(world: &Snapshot) -> BTreeMap<String, Span> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for instance in world.all::<Instance>() {
        let ready = instance.status.phase == InstancePhase::Ready;
        if let Some(took) = instance.took().filter(|_| ready) {
            let application = instance.spec.deployment.rsplit_once('.').map_or("", |(a, _)| a);
            all.entry(application.to_owned()).or_default().push(took.0);
        }
    }
    let middle = |mut took: Vec<u64>| {
        let half = took.len() / 2;
        Span(*took.select_nth_unstable(half).1)
    };
    all.into_iter().map(|(name, took)| (name, middle(took))).collect()
}

fn started(known: &BTreeMap<String, Span>, usual: Span) -> String {
    match known.len() {
        0 => format!("an instance serves after {usual}"),
        1 => format!("an instance serves after {usual}; of one application, after what its took"),
        n => {
            format!("an instance serves after {usual}; of {n} applications, after what theirs took")
        }
    }
}

/// How long hosts of pools take to join.
fn booted(world: &Snapshot) -> Vec<String> {
    let (mut seen, mut others) = (Vec::new(), 0);
    for pool in world.all::<Pool>() {
        match pool.status.boots_in() {
            Some(boot) => seen.push(format!("{} after {}", pool.name(), boot.rough())),
            None => others += 1,
        }
    }
    let mut told = Vec::new();
    if !seen.is_empty() {
        told.push(format!("hosts join as the last of their pool did: of {}", named(&seen)));
    }
    if others > 0 {
        told.push(format!("hosts of {} join after {BOOT}", atoll_model::many(others, "pool")));
    }
    told
}

/// The own load of each deployment, as the scenario supposes it.
fn owns(
    spec: &Scene,
    world: &Snapshot,
    each: &BTreeMap<String, Carries>,
    today: Option<&Today>,
    from: Timestamp,
    assumed: &mut Vec<String>,
) -> Result<BTreeMap<String, Own>, Vec<Reason>> {
    let usual = Load { known: Some(atoll_model::rehearsal::Known::Forecast), ..Load::default() };
    let all = spec.load.get("*").or(spec.load.is_empty().then_some(&usual));
    let mut own = BTreeMap::new();
    let mut missing = Vec::new();
    for name in spec.load.keys().filter(|name| *name != "*") {
        if !each.keys().any(|deployment| is_of(deployment, name)) {
            missing.push(unknown::load(name, world));
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    for deployment in each.keys() {
        let Some(load) = load_for(spec, all, deployment) else { continue };
        let found = match today.filter(|_| load.known.is_some()) {
            Some(today) => past::known(today, deployment, load, (from, spec.lasts), assumed),
            None if load.known.is_some() => {
                let message = format!("load of {deployment}: nothing is known of what is made up");
                return Err(vec![Reason::new("no-data", message).hint("write level")]);
            }
            None => Some(Base::of(load)),
        };
        let Some(base) = found else { continue };
        let when = (from, spec.lasts);
        let declared =
            today.map(|today| past::peaks(today, deployment, (load, &base), when, assumed));
        let mut of = Own::new(base, load);
        of.declared.extend(declared.into_iter().flatten());
        own.insert(deployment.clone(), of);
    }
    if let Some(today) = today {
        let known = |name: &str| load_for(spec, all, name).is_some_and(|l| l.known.is_some());
        let when = (from, spec.lasts);
        own.iter_mut().filter(|(name, _)| known(name)).for_each(|(name, own)| {
            own.brought = brought(today, name, when, assumed);
        });
    }
    Ok(own)
}

/// What a scenario supposes of the load of a deployment; `all` is of those it does not name.
fn load_for<'a>(spec: &'a Scene, all: Option<&'a Load>, deployment: &str) -> Option<&'a Load> {
    let named = || spec.load.iter().find(|(name, _)| is_of(deployment, name));
    spec.load.get(deployment).or_else(|| named().map(|(_, load)| load)).or(all)
}

/// What of the measured load of a deployment came with that of others.
fn brought(
    today: &Today,
    deployment: &str,
    when: (Timestamp, Span),
    assumed: &mut Vec<String>,
) -> Vec<(Base, f64)> {
    let usual = Load { known: Some(atoll_model::rehearsal::Known::Forecast), ..Load::default() };
    let called = callers(&today.world).remove(deployment).unwrap_or_default();
    let mut all = Vec::new();
    for (caller, each) in called {
        let Some(base) = past::known(today, &caller, &usual, when, &mut Vec::new()) else {
            continue;
        };
        assumed.push(format!("{each} of the load of {caller} is part of that of {deployment}"));
        all.push((base, each));
    }
    all
}
