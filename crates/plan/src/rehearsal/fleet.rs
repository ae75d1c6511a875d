//! A fleet that is made up: its hosts join and its applications are deployed by the planners, as
//! they would be, before the rehearsal begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::cmdb::{Amount, ZONE_LABEL};
use atoll_model::manifest::read_value;
use atoll_model::rehearsal::{MadeApplication, MadeFleet, Scenario};
use atoll_model::{Any, Deployment, Invalid, Object, Reason, Snapshot, Span, Timestamp};
use serde_json::{Value, json};

use super::load::Loads;
use super::measures::{Carries, Measures};
use super::unknown::{at, unknown};
use super::{BEFORE, Rehearsal, Stop, USUAL_FROM, each, owns, twin};
use crate::sim::Sim;

/// The environment of its applications.
const ENVIRONMENT: &str = "prod";

/// The twin of a fleet that is made up.
pub(super) fn made<'a>(
    scenario: &'a Scenario,
    fleet: &MadeFleet,
    stop: &Stop,
) -> Result<Rehearsal<'a>, Vec<Reason>> {
    let spec = &scenario.spec;
    let from = spec.from.unwrap_or(USUAL_FROM);
    let mut twin = twin(scenario, Measures::default(), from, stop);
    let starts = fleet.applications.iter();
    twin.starts = starts.filter_map(|(name, a)| Some((name.clone(), a.start?))).collect();
    let mut sim = Sim::twin(spec.seed, Snapshot::default(), from - BEFORE, twin);
    for (zone, count) in &fleet.zones {
        let size = fleet.host;
        let capacity = Amount { cpu: size.cpu, memory: size.memory, instances: 0 };
        for i in 0..*count {
            sim.join(&format!("{zone}-{i:05}"), &[(ZONE_LABEL, zone)], capacity);
        }
    }
    sim.apply(objects(fleet)?)?;
    // Deployments follow from applications.
    sim.advance(Span::seconds(1));
    let mut assumed = Vec::new();
    let mut carries = each(&sim.world, &mut assumed);
    for (deployment, each) in &mut carries {
        let name = deployment.rsplit_once('.').map_or("", |(name, _)| name);
        if let Some(application) = fleet.applications.get(name) {
            *each = Carries::exactly(application.capacity);
        }
    }
    // Whoever makes an application up says what it carries.
    assumed.retain(|_| carries.len() > fleet.applications.len());
    let own = owns(spec, &sim.world, &carries, None, from, &mut assumed);
    let own = own.map_err(|missing| {
        missing.into_iter().chain(unknown(spec, &sim.world, from)).collect::<Vec<_>>()
    })?;
    let loads = Loads::new(&sim.world, own, from, spec.seed);
    let begin = instances(&sim.world, fleet, &loads, sim.now());
    if let Some(twin) = sim.as_twin() {
        twin.measures = Measures::new(loads, carries);
    }
    if !begin.is_empty() {
        sim.apply(begin)?;
    }
    sim.advance(from.since(sim.now()));
    assumed.push(format!("an instance serves after {}, where nothing else is said", spec.start));
    Rehearsal::ready(scenario, sim, from, assumed)
}

/// Everything there is but hosts.
fn objects(fleet: &MadeFleet) -> Result<Vec<Any>, Vec<Reason>> {
    let mut values: Vec<Value> = fleet.objects.clone();
    let is = |value: &Value| {
        value["kind"] == json!("Environment") && value["metadata"]["name"] == json!(ENVIRONMENT)
    };
    if !fleet.applications.is_empty() && !values.iter().any(is) {
        values.push(json!({
            "apiVersion": "atoll/v1", "kind": "Environment", "metadata": { "name": ENVIRONMENT },
            "spec": {},
        }));
    }
    values.extend(fleet.applications.iter().map(|(name, made)| manifest(name, made)));
    let within = |all: Vec<Reason>| all.into_iter().map(|wrong| at("fleet", wrong));
    let mut objects = parse(&values).map_err(|all| within(all).collect::<Vec<_>>())?;
    objects.sort_by_key(Any::kind);
    Ok(objects)
}

/// Manifests as objects.
pub(super) fn parse(values: &[Value]) -> Result<Vec<Any>, Vec<Reason>> {
    let mut objects = Vec::new();
    let mut wrong = Vec::new();
    for (i, value) in values.iter().enumerate() {
        match read_value(value) {
            Ok(any) => objects.push(any),
            Err(Invalid(all)) => wrong.extend(all.into_iter().map(|problem| {
                let at = if problem.path.is_empty() { ": " } else { "." };
                Reason::new("invalid", format!("objects[{i}]{at}{problem}"))
            })),
        }
    }
    if wrong.is_empty() { Ok(objects) } else { Err(wrong) }
}

fn manifest(name: &str, made: &MadeApplication) -> Value {
    let mut spec = json!({
        "run": { "command": ["./run"], "resources": made.resources },
        "environments": [ENVIRONMENT],
        "spread": ["zone", "host"],
        "scaling": {
            "min": made.min, "max": made.max, "predict": made.predict, "calls": made.calls,
            "perInstance": { "query": "load", "target": made.aim() },
        },
    });
    if let Some(promise) = &made.promise {
        spec["objectives"] = json!([
            {
                "name": "success", "good": "good", "total": "all", "target": promise,
                "critical": made.critical,
            }
        ]);
    }
    if let Some(rollout) = &made.rollout {
        spec["rollout"] = json!(rollout);
    }
    json!({
        "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": name }, "spec": spec,
    })
}

/// The deployments with as many instances as they begin with.
fn instances(world: &Snapshot, fleet: &MadeFleet, loads: &Loads, at: Timestamp) -> Vec<Any> {
    let mut all: BTreeMap<String, Any> = BTreeMap::new();
    for (name, made) in &fleet.applications {
        let name = format!("{name}.{ENVIRONMENT}");
        let Some(deployment) = world.get::<Deployment>(&name) else { continue };
        let load = loads.at(&name, at).filter(|load| load.is_finite()).unwrap_or_default();
        let needed = (load / made.aim()).ceil().clamp(0.0, 1e6) as u32;
        let count = made.instances.unwrap_or(needed).clamp(made.min, made.max.max(made.min));
        if deployment.spec.instances != count {
            let mut new = Object::clone(deployment);
            new.spec.instances = count;
            all.insert(name, Any::Deployment(Arc::new(new)));
        }
    }
    all.into_values().collect()
}
