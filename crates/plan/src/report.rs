//! What agents say and what they are told: a report becomes status writes, and a host's
//! instances become its assignment. Not the transport of either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::agent::{
    AssignedInstance, AssignedRelease, Assignment, HostFacts, InstanceReport, Report,
};
use atoll_model::deployment::{InstancePhase, InstanceStatus};
use atoll_model::{Any, Host, Instance, Intent, Object, Reason, Release, Snapshot, Write};

use crate::{Context, Plan};

/// Turns a host's report into writes of what it says has changed.
///
/// **Invariant:** a report changes nothing but the statuses of the host and of its own instances,
/// and a report that says nothing new writes nothing.
pub fn report(cx: &Context, host: &str, report: &Report) -> Plan {
    let mut plan = Plan::new(Intent::Report);
    let Some(object) = cx.world.get::<Host>(host) else {
        plan.reasons.push(Reason::new("host-missing", format!("there is no host {host}")));
        return plan;
    };
    let mut address = object.status.address.as_str();
    if let Some(facts) = &report.facts {
        address = &facts.address;
        write_facts(object, facts, &mut plan);
    }
    let mut mentioned = BTreeSet::new();
    for said in &report.instances {
        mentioned.insert(said.name.as_str());
        let Some(instance) = cx.world.get::<Instance>(&said.name) else { continue };
        if instance.spec.host != host {
            let message = format!("{} is not on {host}; what it said is ignored", said.name);
            plan.reasons.push(Reason::new("not-its-own", message));
        } else if said.generation >= instance.status.observed_generation
            && said.generation <= instance.meta.generation
        {
            let status = status(cx, instance, said, address);
            write_status(instance, status, &mut plan);
        }
    }
    if report.full {
        let silent = cx.world.instances_on(host).filter(|i| !mentioned.contains(i.name()));
        for instance in silent {
            write_status(instance, absent(cx, instance), &mut plan);
        }
    }
    plan
}

fn write_facts(host: &Arc<Object<Host>>, facts: &HostFacts, plan: &mut Plan) {
    let mut new = Object::clone(host);
    new.status.capacity = facts.capacity;
    new.status.address = facts.address.clone();
    new.status.agent = facts.agent.clone();
    new.status.taken_ports = facts.taken_ports.clone();
    if new.status != host.status {
        plan.writes.push(Write::Put(Any::Host(Arc::new(new))));
    }
}

fn write_status(instance: &Arc<Object<Instance>>, status: InstanceStatus, plan: &mut Plan) {
    if status != instance.status {
        let mut new = Object::clone(instance);
        new.status = status;
        plan.writes.push(Write::Put(Any::Instance(Arc::new(new))));
    }
}

fn status(
    cx: &Context,
    instance: &Object<Instance>,
    said: &InstanceReport,
    address: &str,
) -> InstanceStatus {
    let old = &instance.status;
    // Another process is another state, even if both are called ready.
    let same = old.phase == said.phase
        && old.release == said.release
        && (old.pid, old.restarts) == (said.pid, said.restarts);
    InstanceStatus {
        observed_generation: said.generation,
        phase: said.phase,
        since: old.since.filter(|_| same).or(Some(cx.now)),
        host: instance.spec.host.clone(),
        address: address.to_owned(),
        ports: instance.spec.ports.clone(),
        pid: said.pid,
        release: said.release.clone(),
        restarts: said.restarts,
        started_at: said.started_at,
        prefetched: said.prefetched.clone(),
        reasons: said.reasons.clone(),
    }
}

/// The status of an instance of which its host knows nothing.
fn absent(cx: &Context, instance: &Object<Instance>) -> InstanceStatus {
    let phase = match instance.meta.deleting() {
        true => InstancePhase::Stopped,
        false => InstancePhase::Pending,
    };
    if instance.status.phase == phase {
        return instance.status.clone();
    }
    InstanceStatus {
        observed_generation: instance.status.observed_generation,
        phase,
        since: Some(cx.now),
        ..InstanceStatus::default()
    }
}

/// Everything that is to be on a host.
pub fn assignment(world: &Snapshot, host: &str) -> Assignment {
    let mut assignment = Assignment { revision: world.revision, ..Assignment::default() };
    for instance in world.instances_on(host) {
        let (meta, spec) = (&instance.meta, &instance.spec);
        let (application, environment) =
            spec.deployment.split_once('.').unwrap_or((&spec.deployment, ""));
        assignment.instances.push(AssignedInstance {
            name: meta.name.clone(),
            generation: meta.generation,
            created_at: meta.created_at.unwrap_or_default(),
            deployment: spec.deployment.clone(),
            application: application.to_owned(),
            environment: environment.to_owned(),
            ordinal: spec.ordinal,
            release: spec.release.clone(),
            prefetch: spec.prefetch.clone(),
            ports: spec.ports.clone(),
            resources: spec.resources,
            stop: meta.deleting(),
        });
        for name in [Some(&spec.release), spec.prefetch.as_ref()].into_iter().flatten() {
            add_release(world, name, &mut assignment.releases);
        }
    }
    assignment
}

fn add_release(world: &Snapshot, name: &str, releases: &mut BTreeMap<String, AssignedRelease>) {
    let Some(release) = world.get::<Release>(name).filter(|_| !releases.contains_key(name)) else {
        return;
    };
    let assigned = AssignedRelease {
        run: release.spec.run.clone(),
        config: release.spec.config.clone(),
        package: release.spec.package.clone(),
    };
    releases.insert(name.to_owned(), assigned);
}
