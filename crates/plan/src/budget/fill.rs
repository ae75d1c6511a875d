//! The world once deployments are as they are meant to be: what is to come is placed, one
//! deployment after another, and what cannot stay where it is, because it is to ask for something
//! else, is replaced in the steps of a rollout. It prices nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::run::{Resources, Run};
use atoll_model::{
    Any, Application, Deployment, Environment, Instance, Kind, Object, Release, Snapshot,
};

use super::scope::{Meant, parts, staying};
use crate::placement::{self, Need};

/// The world once instances of these deployments are as they are meant to be: what one takes of the
/// cheap hosts, the next does not find there. What finds no room is left out.
pub fn filled(world: &Snapshot, deployments: &BTreeSet<String>) -> Snapshot {
    let mut filled = world.clone();
    for name in deployments {
        fill(&mut filled, world, name);
    }
    filled
}

/// A rollout is followed in no more steps.
const STEPS: u32 = 64;

fn fill(filled: &mut Snapshot, world: &Snapshot, name: &str) -> Option<()> {
    let meant = Meant::of(world, name)?;
    let need = need(world, name, meant.each)?;
    let used: BTreeSet<u32> = world.seats(name).map(|seat| seat.ordinal).collect();
    let mut coming = Coming { name, need, ordinals: (0..).filter(|o| !used.contains(o)) };
    let keeps = run(world, name).is_none_or(|run| !run.volumes.is_empty());
    let (mut old, stay): (Vec<_>, Vec<_>) = staying(world, name)
        .into_iter()
        .partition(|instance| !keeps && instance.spec.resources != meant.each);
    let rules = world.get::<Application>(parts(name).0)?.spec.rules();
    let (wanted, stay) = (meant.instances, stay.len() as u32);
    let batch = wanted.saturating_sub(rules.min_ready(wanted)).max(wanted.div_ceil(STEPS)).max(1);
    let surplus = rules.max_total(wanted).saturating_sub(wanted);
    // As a rollout goes: some beside the old ones, the others where a batch of those made room.
    let mut open = wanted.saturating_sub(stay).min(old.len() as u32);
    open -= coming.place(filled, surplus.min(open));
    while open > 0 && !old.is_empty() {
        for gone in old.drain(..old.len().min(batch as usize)) {
            filled.remove(Kind::Instance, gone.name());
        }
        open -= coming.place(filled, batch.min(open));
    }
    for gone in old {
        filled.remove(Kind::Instance, gone.name());
    }
    let there = staying(filled, name).len() as u32;
    coming.place(filled, wanted.saturating_sub(there));
    Some(())
}

/// How many instances of a deployment find room again, each once it is gone and what replaces those
/// before it is placed.
pub(crate) fn replaceable<'a>(
    world: &Snapshot,
    deployment: &str,
    need: Need,
    old: impl Iterator<Item = &'a str>,
) -> u32 {
    let mut after = world.clone();
    let used: BTreeSet<u32> = world.seats(deployment).map(|seat| seat.ordinal).collect();
    let ordinals = (0..).filter(|ordinal| !used.contains(ordinal));
    let mut coming = Coming { name: deployment, need, ordinals };
    let found = old.take_while(|name| {
        after.remove(Kind::Instance, name);
        coming.place(&mut after, 1) == 1
    });
    found.count() as u32
}

/// Instances of a deployment that are to come.
struct Coming<'a, O> {
    name: &'a str,
    need: Need<'a>,
    /// Those that are free.
    ordinals: O,
}

impl<O: Iterator<Item = u32>> Coming<'_, O> {
    /// Places so many; how many found room.
    fn place(&mut self, world: &mut Snapshot, count: u32) -> u32 {
        let seeds = (0..count).map(u64::from);
        let places = placement::place_all(world, self.need, world.seats(self.name), seeds);
        let placed = places.len() as u32;
        for (place, ordinal) in places.into_iter().zip(&mut self.ordinals) {
            let instance = Instance {
                deployment: self.name.to_owned(),
                ordinal,
                release: String::new(),
                host: place.host,
                ports: place.ports,
                resources: self.need.resources,
                prefetch: None,
                runtime: self.need.runtime,
                replaces: None,
            };
            let object = Object::new(format!("{}.{ordinal}", self.name), instance);
            world.put(Any::Instance(Arc::new(object)));
        }
        placed
    }
}

/// How what a deployment is meant to be runs, also before there is any of it.
fn run<'a>(world: &'a Snapshot, deployment: &str) -> Option<&'a Run> {
    let application = world.get::<Application>(parts(deployment).0)?;
    let there = world.get::<Deployment>(deployment);
    let named = there.and_then(|d| d.spec.release.as_ref().or(d.status.release.as_ref()));
    let release = named.and_then(|name| world.get::<Release>(name));
    Some(release.map_or(&application.spec.run, |release| &release.spec.run))
}

/// What an instance of a deployment needs of its host, also before there is any.
pub(crate) fn need<'a>(world: &'a Snapshot, deployment: &str, each: Resources) -> Option<Need<'a>> {
    let (application, environment) = parts(deployment);
    let application = world.get::<Application>(application)?;
    let place = world.get::<Environment>(environment)?;
    let there = world.get::<Deployment>(deployment);
    Some(Need {
        resources: each,
        ports: &run(world, deployment)?.ports,
        hosts: &place.spec.hosts,
        to: None,
        dear: None,
        misfits: there.map(|there| &there.status.misfits),
        spread: &application.spec.spread,
        runtime: place.spec.runtime,
    })
}

#[cfg(test)]
mod tests {
    use atoll_model::cmdb::Amount;
    use atoll_model::{Cpu, Memory, Span};

    use super::*;
    use crate::sim::Sim;

    #[test]
    fn two_that_come_together_do_not_find_the_same_room() {
        let mut sim = Sim::new(1);
        let capacity = Amount { cpu: Cpu(1_000), memory: Memory(4 << 30), instances: 0 };
        sim.join("h0", &[], capacity);
        let prod = Any::Environment(Arc::new(Object::new("prod", Environment::default())));
        sim.apply(vec![prod]).unwrap();
        sim.advance(Span::seconds(60));
        let mut world = sim.world.clone();
        for name in ["a", "b"] {
            let application = serde_json::json!({
                "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": name },
                "spec": { "run": { "command": ["x"],
                    "resources": { "cpu": "600m", "memory": "64Mi" } } },
            });
            world.put(Any::from_value(application).unwrap());
        }
        let placed = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            filled(&world, &names).all::<Instance>().map(|i| i.meta.name.clone()).collect()
        };
        let alone: Vec<String> = placed(&["b.prod"]);
        assert_eq!(alone, ["b.prod.0"]);
        let both: Vec<String> = placed(&["a.prod", "b.prod"]);
        assert_eq!(both, ["a.prod.0"]);
    }
}
