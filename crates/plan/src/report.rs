//! What agents say and what they are told: a report becomes status writes, and a host's
//! instances become its assignment. Not the transport of either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::agent::{
    AssignedInstance, AssignedRelease, AssignedTask, Assignment, InstanceReport, Report, TaskReport,
};
use atoll_model::ci::task::{TaskPhase, TaskStatus};
use atoll_model::delivery::PackageRef;
use atoll_model::deployment::{InstancePhase, InstanceStatus};
use atoll_model::image;
use atoll_model::{
    Any, Deployment, Host, Instance, Intent, Kind, Object, Reason, Release, Snapshot, Task, Write,
};

use crate::{Context, Plan};

/// Turns a host's report into writes of what it says has changed.
///
/// **Invariant:** a report changes nothing but the statuses of the host, of its facts and of its
/// own instances, and the image of a release of theirs that nobody has fixed yet; a report that
/// says nothing new writes nothing.
pub fn report(cx: &Context, host: &str, report: &Report) -> Plan {
    let mut plan = Plan::new(Intent::Report);
    let Some(object) = cx.world.get::<Host>(host) else {
        plan.reasons.push(Reason::new("host-missing", format!("there is no host {host}")));
        return plan;
    };
    let mut address = object.status.address.as_str();
    if let Some(facts) = &report.facts {
        address = &facts.address;
    }
    write_host(object, report, &mut plan);
    crate::cmdb::facts::take(cx, host, &report.found, &mut plan);
    let mut mentioned = BTreeSet::new();
    let mut changed: BTreeMap<&str, InstanceStatus> = BTreeMap::new();
    for said in &report.instances {
        mentioned.insert(said.name.as_str());
        let Some(instance) = cx.world.instance_on(host, &said.name) else {
            if cx.world.get::<Instance>(&said.name).is_some() {
                let message = format!("{} is not on {host}; what it said is ignored", said.name);
                plan.reasons.push(Reason::new("not-its-own", message));
            }
            continue;
        };
        let created_at = instance.meta.created_at.unwrap_or_default();
        if said.created_at.is_none_or(|at| at == created_at)
            && said.generation >= instance.status.observed_generation
            && said.generation <= instance.meta.generation
        {
            changed.insert(instance.name(), status(cx, instance, said, address));
            pin(cx, instance, said, &mut plan);
        }
    }
    if address != object.status.address {
        // The host has moved, and all that runs there with it, also what has nothing to report.
        let there = |i: &&Arc<Object<Instance>>| {
            let told = !report.full || mentioned.contains(i.name());
            told && !i.status.address.is_empty()
        };
        for instance in cx.world.instances_on(host).filter(there) {
            let status = changed.entry(instance.name());
            status.or_insert_with(|| instance.status.clone()).address = address.to_owned();
        }
    }
    for (name, said) in &report.configs {
        let Some(instance) = cx.world.instance_on(host, name) else { continue };
        let status = changed.entry(instance.name()).or_insert_with(|| instance.status.clone());
        status.configs = crate::config::believed(cx.world, instance, said);
    }
    for (name, status) in changed {
        let instance = cx.world.instance_on(host, name);
        instance.into_iter().for_each(|instance| write_status(instance, status.clone(), &mut plan));
    }
    if report.full {
        let silent = cx.world.instances_on(host).filter(|i| !mentioned.contains(i.name()));
        for instance in silent {
            write_status(instance, absent(cx, instance), &mut plan);
        }
    }
    tasks(cx, host, report, &mut plan);
    plan
}

/// Takes what a host says of its tasks.
///
/// **Invariant:** a task that is over stays as it is, whatever is said of it later.
fn tasks(cx: &Context, host: &str, report: &Report, plan: &mut Plan) {
    for said in &report.tasks {
        let Some(task) = cx.world.get::<Task>(&said.name) else { continue };
        let ours = task.spec.host.as_deref() == Some(host);
        if ours && !task.status.phase.is_over() && said.generation <= task.meta.generation {
            write_task(task, task_status(cx, task, said), plan);
        }
    }
    if !report.full {
        return;
    }
    let mentioned: BTreeSet<&str> = report.tasks.iter().map(|said| said.name.as_str()).collect();
    for task in cx.world.tasks_on(host).filter(|task| !mentioned.contains(task.name())) {
        if task.status.phase != TaskPhase::Pending {
            let mut status = task.status.clone();
            status.phase = TaskPhase::Lost;
            status.since = Some(cx.now);
            status.reasons = vec![Reason::new("task-lost", format!("{host} knows nothing of it"))];
            write_task(task, status, plan);
        }
    }
}

fn write_task(task: &Arc<Object<Task>>, status: TaskStatus, plan: &mut Plan) {
    if status != task.status {
        let mut new = Object::clone(task);
        new.status = status;
        plan.writes.push(Write::Put(Any::Task(Arc::new(new))));
    }
}

fn task_status(cx: &Context, task: &Object<Task>, said: &TaskReport) -> TaskStatus {
    let old = &task.status;
    TaskStatus {
        phase: said.phase,
        since: old.since.filter(|_| old.phase == said.phase).or(Some(cx.now)),
        observed_generation: said.generation,
        exit_code: said.exit_code,
        started_at: said.started_at,
        ended_at: said.ended_at,
        yields: said.yields.clone(),
        reasons: said.reasons.clone(),
    }
}

/// Fixes the content of the image of a release by what the first host has found.
///
/// **Invariant:** an image is fixed once, and the same for every instance of a release.
fn pin(cx: &Context, instance: &Object<Instance>, said: &InstanceReport, plan: &mut Plan) {
    let found = said.image.as_ref().filter(|found| found.release == instance.spec.release);
    let Some(found) = found.filter(|found| image::is_pinned(&found.image)) else { return };
    let Some(release) = cx.world.get::<Release>(&found.release) else { return };
    let image = &found.image;
    let this = |write: &Write| write.kind() == Kind::Release && write.name() == release.name();
    let open = release.spec.image.is_some() && release.pinned_image().is_none();
    if !open || plan.writes.iter().any(this) {
        return;
    }
    let mut new = Object::clone(release);
    new.status.image = Some(image.clone());
    plan.reasons.push(Reason::new("pinned", format!("{} is made of {image}", release.name())));
    plan.writes.push(Write::Put(Any::Release(Arc::new(new))));
}

fn write_host(host: &Arc<Object<Host>>, report: &Report, plan: &mut Plan) {
    let mut new = Object::clone(host);
    if let Some(facts) = &report.facts {
        new.status.capacity = facts.capacity;
        new.status.address = facts.address.clone();
        new.status.agent = facts.agent.clone();
        new.status.taken_ports = facts.taken_ports.clone();
    }
    if let Some(ahead) = &report.ahead {
        new.status.fetched.clone_from(ahead);
    }
    if let Some(seconds) = report.clock_ahead {
        new.status.clock_ahead = Some(seconds).filter(|seconds| *seconds != 0);
    }
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
        configs: old.configs.clone(),
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
    assignment_since(world, host, 0)
}

/// What is to be on a host, without the instances that have not changed since a revision. What
/// these have beside them, as their configuration, may have changed.
pub(crate) fn assignment_since(world: &Snapshot, host: &str, revision: u64) -> Assignment {
    let mut assignment = Assignment { revision: world.revision, ..Assignment::default() };
    for instance in world.instances_on(host).filter(|i| i.meta.revision > revision) {
        let (meta, spec) = (&instance.meta, &instance.spec);
        let (application, environment) =
            spec.deployment.split_once('.').unwrap_or((&spec.deployment, ""));
        let deployment = world.get::<Deployment>(&spec.deployment);
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
            runtime: spec.runtime,
            purge: deployment.is_none_or(|d| d.meta.deleting()),
            stop: meta.deleting(),
            config: overrides(world, &spec.release, environment),
        });
        let configs = crate::config::assigned(world, instance);
        // What it has and is no longer to have is to be taken away.
        let named = !configs.is_empty() || !instance.status.configs.is_empty();
        if named && !meta.deleting() {
            assignment.configs.insert(meta.name.clone(), configs);
        }
        for name in [Some(&spec.release), spec.prefetch.as_ref()].into_iter().flatten() {
            add_release(world, name, &mut assignment.releases);
        }
    }
    assignment.tasks = world.tasks_on(host).map(|task| assigned_task(task)).collect();
    if let Some(object) = world.get::<Host>(host) {
        (assignment.look, assignment.mend, assignment.mend_round) =
            crate::cmdb::asked(world, object);
        for name in crate::peak::ahead(world, object) {
            add_release(world, &name, &mut assignment.releases);
            assignment.ahead.insert(name);
        }
    }
    assignment
}

/// A task as its agent is told of it; the values of its secrets are the server's to add.
fn assigned_task(task: &Object<Task>) -> AssignedTask {
    AssignedTask {
        name: task.meta.name.clone(),
        generation: task.meta.generation,
        created_at: task.meta.created_at.unwrap_or_default(),
        work: task.spec.work.clone(),
        secrets: BTreeMap::new(),
        cancel: task.spec.cancelled || task.meta.deleting(),
    }
}

fn overrides(world: &Snapshot, release: &str, environment: &str) -> BTreeMap<String, String> {
    let release = world.get::<Release>(release);
    release.map(|release| release.spec.overrides_in(environment)).unwrap_or_default()
}

fn add_release(world: &Snapshot, name: &str, releases: &mut BTreeMap<String, AssignedRelease>) {
    let Some(release) = world.get::<Release>(name).filter(|_| !releases.contains_key(name)) else {
        return;
    };
    let assigned = AssignedRelease {
        run: release.spec.run.clone(),
        config: release.spec.config.clone(),
        // An image is fetched by the engine of containers, not by the agent.
        package: release.spec.package.clone().filter(PackageRef::is_files),
        image: release.spec.image.clone(),
        pinned: release.pinned_image().map(str::to_owned),
    };
    releases.insert(name.to_owned(), assigned);
}

#[cfg(test)]
mod tests {
    use atoll_model::agent::HostFacts;
    use atoll_model::{Span, Timestamp};

    use super::*;
    use crate::Measurements;
    use crate::testing::{host, instance, world};

    fn said(name: &str, generation: u64, phase: InstancePhase) -> InstanceReport {
        InstanceReport {
            name: name.to_owned(),
            created_at: None,
            generation,
            phase,
            release: Some("web-1".to_owned()),
            pid: Some(7),
            restarts: 0,
            started_at: None,
            prefetched: None,
            image: None,
            reasons: Vec::new(),
        }
    }

    fn tell(
        world: &Snapshot,
        now: Timestamp,
        host: &str,
        full: bool,
        all: &[InstanceReport],
    ) -> Plan {
        let measured = Measurements::default();
        let cx = Context { world, measured: &measured, now };
        report(&cx, host, &Report { full, instances: all.to_vec(), ..Report::default() })
    }

    fn statuses(plan: &Plan) -> Vec<(String, InstancePhase)> {
        let of = |write: &Write| match write {
            Write::Put(Any::Instance(i)) => Some((i.meta.name.clone(), i.status.phase)),
            _ => None,
        };
        plan.writes.iter().filter_map(of).collect()
    }

    #[test]
    fn what_says_nothing_new_writes_nothing() {
        let (start, later) = (Timestamp(0), Timestamp(0) + Span::seconds(60));
        let mut world = world([host("h0"), instance("web.prod.0", "h0")]);
        let ready = said("web.prod.0", 1, InstancePhase::Ready);
        let plan = tell(&world, start, "h0", false, std::slice::from_ref(&ready));
        assert_eq!(statuses(&plan), [("web.prod.0".to_owned(), InstancePhase::Ready)]);
        for write in &plan.writes {
            crate::follow::apply(&mut world, write);
        }
        for full in [false, true] {
            let again = tell(&world, later, "h0", full, std::slice::from_ref(&ready));
            assert_eq!(again.writes, [], "full: {full}");
        }
        let since = |world: &Snapshot| world.get::<Instance>("web.prod.0").unwrap().status.since;
        assert_eq!(since(&world), Some(start));
        // Another process is not the one that has been ready since then.
        let anew = InstanceReport { pid: Some(8), restarts: 1, ..ready };
        for write in &tell(&world, later, "h0", false, &[anew]).writes {
            crate::follow::apply(&mut world, write);
        }
        assert_eq!(since(&world), Some(later));
    }

    #[test]
    fn instances_move_with_the_address_of_their_host() {
        let mut world = world([host("h0"), instance("web.prod.0", "h0")]);
        let ready = said("web.prod.0", 1, InstancePhase::Ready);
        let told = |world: &Snapshot, address: &str, instances: &[InstanceReport]| {
            let facts = HostFacts { address: address.to_owned(), ..HostFacts::default() };
            let told =
                Report { facts: Some(facts), instances: instances.to_vec(), ..Report::default() };
            let measured = Measurements::default();
            let cx = Context { world, measured: &measured, now: Timestamp(0) };
            report(&cx, "h0", &told).writes
        };
        for (address, instances) in [("10.0.0.1", vec![ready]), ("10.0.0.2", Vec::new())] {
            for write in &told(&world, address, &instances) {
                crate::follow::apply(&mut world, write);
            }
            assert_eq!(world.get::<Instance>("web.prod.0").unwrap().status.address, address);
            assert_eq!(world.get::<Host>("h0").unwrap().status.address, address);
        }
        assert_eq!(told(&world, "10.0.0.2", &[]), []);
    }

    #[test]
    fn a_host_speaks_of_its_own_instances_only() {
        let world = world([host("h0"), host("h1"), instance("web.prod.0", "h1")]);
        let ready = said("web.prod.0", 1, InstancePhase::Ready);
        let plan = tell(&world, Timestamp(0), "h0", true, &[ready]);
        assert_eq!(plan.writes, []);
        assert_eq!(plan.reasons[0].code, "not-its-own");
        let nobody = tell(&world, Timestamp(0), "h9", true, &[]);
        assert_eq!(nobody.reasons[0].code, "host-missing");
    }

    #[test]
    fn what_is_older_than_what_is_known_is_not_believed() {
        let mut any = instance("web.prod.0", "h0");
        any.meta_mut().generation = 3;
        if let Any::Instance(object) = &mut any {
            Arc::make_mut(object).status.observed_generation = 2;
        }
        let world = world([host("h0"), any]);
        for (generation, taken) in [(1, 0), (2, 1), (3, 1), (4, 0)] {
            let said = said("web.prod.0", generation, InstancePhase::Ready);
            let plan = tell(&world, Timestamp(0), "h0", false, &[said]);
            assert_eq!(plan.writes.len(), taken, "generation {generation}");
        }
    }

    #[test]
    fn what_was_said_of_another_of_that_name_is_not_believed() {
        let mut any = instance("web.prod.0", "h0");
        any.meta_mut().created_at = Some(Timestamp(5));
        let world = world([host("h0"), any]);
        for (created_at, taken) in [(Some(4), 0), (Some(5), 1), (None, 1)] {
            let created_at = created_at.map(Timestamp);
            let said = said("web.prod.0", 1, InstancePhase::Stopped);
            let said = InstanceReport { created_at, ..said };
            let plan = tell(&world, Timestamp(9), "h0", false, &[said]);
            assert_eq!(plan.writes.len(), taken, "made at {created_at:?}");
        }
    }

    #[test]
    fn what_a_full_report_leaves_out_is_not_there() {
        let mut going = instance("web.prod.1", "h0");
        going.meta_mut().deleted_at = Some(Timestamp(0));
        let mut ran = instance("web.prod.2", "h0");
        if let Any::Instance(object) = &mut ran {
            Arc::make_mut(object).status.phase = InstancePhase::Unknown;
        }
        let fresh = instance("web.prod.0", "h0");
        let world = world([host("h0"), fresh, going, ran]);
        let plan = tell(&world, Timestamp(0), "h0", true, &[]);
        let expected =
            [("web.prod.1", InstancePhase::Stopped), ("web.prod.2", InstancePhase::Pending)];
        assert_eq!(statuses(&plan), expected.map(|(name, phase)| (name.to_owned(), phase)));
        assert_eq!(tell(&world, Timestamp(0), "h0", false, &[]).writes, []);
    }

    #[test]
    fn an_assignment_lists_what_is_on_the_host() {
        let mut going = instance("web.prod.1", "h0");
        going.meta_mut().deleted_at = Some(Timestamp(0));
        let elsewhere = instance("web.prod.2", "h1");
        let world = world([host("h0"), instance("web.prod.0", "h0"), going, elsewhere]);
        let told = assignment(&world, "h0");
        let said: Vec<_> = told.instances.iter().map(|i| (i.name.as_str(), i.stop)).collect();
        assert_eq!(said, [("web.prod.0", false), ("web.prod.1", true)]);
        assert_eq!((told.instances[0].application.as_str(), told.instances[0].ordinal), ("web", 0));
        assert!(told.releases.is_empty(), "a release that is not there cannot be sent");
    }
}
