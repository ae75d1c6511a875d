//! What comes of relying on a host's recorded address where work is placed: a rollout whose health
//! checks nothing answers, a task whose host was lost. A refused port is none of it: the host has
//! answered, and only what was to listen there is wrong, which its instance says itself.

use std::sync::Arc;

use atoll_model::ci::task::{HOST_LOST, TaskPhase};
use atoll_model::cmdb::item::Used;
use atoll_model::deployment::InstancePhase;
use atoll_model::{Any, Host, Instance, Intent, Object, Snapshot, Task, Timestamp};
use serde_json::Value;

use super::super::attribute::EVIDENCE_LIFE;
use super::{answered, on_host};
use crate::{Context, Plan};

/// The attribute work relies on.
const ADDRESS: &str = "address";
/// How an agent calls that a probe did not find its instance well.
const PROBES: [&str; 2] = ["probe-failed", "start-timeout"];

/// What was met by whoever relied on the address of a host.
struct Met {
    host: String,
    consumer: String,
    /// Why it was of no use; nothing, where it was of use.
    failure: Option<String>,
    /// Since when.
    at: Timestamp,
}

/// Plans for one instance: its deployment relies on the address of its host.
pub fn plan_instance(cx: &Context, name: &str) -> Plan {
    let instance = cx.world.get::<Instance>(name);
    keep(cx, instance.and_then(|instance| met_by_instance(cx.world, instance)))
}

/// Plans for one task: whoever made it relies on its host.
pub fn plan_task(cx: &Context, name: &str) -> Plan {
    keep(cx, cx.world.get::<Task>(name).and_then(|task| met_by_task(task)))
}

/// Keeps what was met, once: whoever looks again, at whatever time, finds nothing new in it.
fn keep(cx: &Context, met: Option<Met>) -> Plan {
    let mut plan = Plan::new(Intent::Observe);
    let Some(met) = met.filter(|met| cx.now.since(met.at) < EVIDENCE_LIFE) else { return plan };
    let Some(host) = cx.world.get::<Host>(&met.host) else { return plan };
    let known = host.status.used.get(ADDRESS);
    if host.status.address.is_empty() || known.is_some_and(|known| known.at >= met.at) {
        return plan;
    }
    // What works is worth a word only where the same one has failed before.
    if met.failure.is_none() && !has_failed(host, &met.consumer) {
        return plan;
    }
    let used = Used {
        value: Value::from(host.status.address.clone()),
        consumer: met.consumer,
        works: met.failure.is_none(),
        message: met.failure.unwrap_or_default(),
        at: met.at,
    };
    on_host(host, ADDRESS, used, &mut plan);
    plan
}

fn has_failed(host: &Object<Host>, consumer: &str) -> bool {
    host.status.used.get(ADDRESS).is_some_and(|used| !used.works && used.consumer == consumer)
}

fn met_by_instance(world: &Snapshot, instance: &Object<Instance>) -> Option<Met> {
    let spec = &instance.spec;
    let at = instance.status.since?;
    let met = |failure: Option<String>| Met {
        host: spec.host.clone(),
        consumer: format!("deployment/{}", spec.deployment),
        failure,
        at,
    };
    match instance.status.phase {
        InstancePhase::Ready => Some(met(None)),
        InstancePhase::Starting | InstancePhase::Unready | InstancePhase::CrashLoop => {
            let message = silence(instance)?;
            // Where another one serves, the address is not what is wrong.
            let serves = |other: &Arc<Object<Instance>>| {
                other.status.phase == InstancePhase::Ready && other.name() != instance.name()
            };
            (!world.instances_on(&spec.host).any(serves)).then(|| met(Some(message.to_owned())))
        }
        _ => None,
    }
}

/// What an agent says of an instance that gives no answer at all to its health check.
fn silence(instance: &Object<Instance>) -> Option<&str> {
    let mut reasons = instance.status.reasons.iter();
    let failed = reasons.find(|reason| PROBES.contains(&reason.code.as_str()))?;
    // At its first questions a program may still be busy with its start.
    let early =
        instance.status.phase == InstancePhase::Starting && failed.code.as_str() != "start-timeout";
    (!early && !answered(&failed.message) && silent(&failed.message)).then_some(&failed.message)
}

/// Whether a message says that nothing came back at all: a command that fails says nothing of an
/// address.
fn silent(message: &str) -> bool {
    ["no answer", "timed out", "unreachable", "No route"].iter().any(|word| message.contains(word))
}

fn met_by_task(task: &Object<Task>) -> Option<Met> {
    let host = task.spec.host.clone()?;
    let kind = if task.spec.work.run_as.is_some() { "job" } else { "run" };
    let consumer = format!("{kind}/{}", task.spec.run);
    let failure = match task.status.phase {
        TaskPhase::Succeeded | TaskPhase::Failed => None,
        TaskPhase::Lost => {
            let reason = task.status.reasons.first().filter(|reason| reason.code == HOST_LOST)?;
            Some(reason.message.clone())
        }
        _ => return None,
    };
    Some(Met { host, consumer, failure, at: task.status.since? })
}

/// The instances a changed object may concern: those that have found something else, and beside
/// one that serves no more those nothing has answered before.
pub fn touched_instances(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let mut names = Vec::new();
    let serves = |any: Option<&Any>| match any {
        Some(Any::Instance(instance)) => instance.status.phase == InstancePhase::Ready,
        _ => false,
    };
    if let Some(Any::Instance(gone)) = old.filter(|old| serves(Some(old)) && !serves(new)) {
        let beside = world.instances_on(&gone.spec.host);
        let beside = beside.filter(|instance| silence(instance).is_some());
        names.extend(beside.map(|instance| instance.name().to_owned()));
    }
    let Some(Any::Instance(instance)) = new else { return names };
    let before = match old {
        Some(Any::Instance(old)) => met_by_instance(world, old).map(|met| met.failure.is_some()),
        _ => None,
    };
    if let Some(met) = met_by_instance(world, instance) {
        names.extend(one(world, before, &met, instance.name()));
    }
    names.dedup();
    names
}

/// The tasks a changed object may concern: those that have just ended.
pub fn touched_tasks(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let Some(Any::Task(task)) = new else { return Vec::new() };
    let before = match old {
        Some(Any::Task(old)) => met_by_task(old).map(|met| met.failure.is_some()),
        _ => None,
    };
    let Some(met) = met_by_task(task) else { return Vec::new() };
    one(world, before, &met, task.name())
}

fn one(world: &Snapshot, before: Option<bool>, met: &Met, name: &str) -> Vec<String> {
    let failed = met.failure.is_some();
    let heals = || world.get::<Host>(&met.host).is_some_and(|host| has_failed(host, &met.consumer));
    let concerned = before != Some(failed) && (failed || heals());
    if concerned { vec![name.to_owned()] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use atoll_model::Reason;

    use super::*;
    use crate::testing::{host, instance, world};
    use crate::{Measurements, follow};

    fn there(phase: InstancePhase, reason: Option<(&str, &str)>, name: &str, at: i64) -> Any {
        let Any::Instance(it) = instance(name, "h0") else { unreachable!("it is an instance") };
        let mut it = Object::clone(&it);
        it.status.phase = phase;
        it.status.since = Some(Timestamp(at));
        it.status.reasons =
            reason.iter().map(|(code, message)| Reason::new(code, *message)).collect();
        Any::Instance(Arc::new(it))
    }

    fn start() -> Snapshot {
        let Any::Host(h0) = host("h0") else { unreachable!("it is a host") };
        let mut h0 = Object::clone(&h0);
        h0.status.address = "10.0.0.1".to_owned();
        world([Any::Host(Arc::new(h0))])
    }

    fn task(name: &str, phase: TaskPhase, code: &str, at: i64) -> Any {
        let spec = serde_json::json!({
            "run": "job-1", "step": "r1", "cell": 0, "host": "h0",
            "work": { "command": ["true"], "runAs": "root" },
        });
        let spec: Task = serde_json::from_value(spec).unwrap();
        let mut task = Object::new(name, spec);
        task.status.phase = phase;
        task.status.since = Some(Timestamp(at));
        task.status.reasons = vec![Reason::new(code, "host h0 is not heard from")];
        Any::Task(Arc::new(task))
    }

    /// Puts an object in and does what is planned for it.
    fn put(world: &mut Snapshot, any: Any, at: i64) -> Option<Used> {
        let old = world.put(any.clone());
        let measured = Measurements::default();
        let cx = Context { world, measured: &measured, now: Timestamp(at) };
        let instances = touched_instances(world, old.as_ref(), Some(&any));
        let tasks = touched_tasks(world, old.as_ref(), Some(&any));
        let plans = instances.iter().map(|name| plan_instance(&cx, name));
        let plans: Vec<Plan> = plans.chain(tasks.iter().map(|name| plan_task(&cx, name))).collect();
        for write in plans.iter().flat_map(|plan| &plan.writes) {
            drop(follow::apply(world, write));
        }
        world.get::<Host>("h0").unwrap().status.used.get(ADDRESS).cloned()
    }

    #[test]
    fn a_health_check_nothing_answers_is_evidence_and_a_refused_port_is_none() {
        let mut world = start();
        let one = |phase, reason, at| there(phase, reason, "web.prod.0", at);
        let (unready, silent) = (InstancePhase::Unready, "GET / on port 80: no answer within 1s");
        let silence = Some(("probe-failed", silent));
        let refused = Some(("probe-failed", "GET / on port 80 refused the connection"));
        assert_eq!(put(&mut world, one(unready, refused, 0), 0), None, "the host has answered");
        let early = one(InstancePhase::Starting, silence, 0);
        assert_eq!(put(&mut world, early, 0), None, "it may be busy with its start");
        assert_eq!(put(&mut world, one(InstancePhase::Ready, None, 1), 1), None, "all is well");
        let used = put(&mut world, one(unready, silence, 2), 2).unwrap();
        assert_eq!((used.consumer.as_str(), used.works), ("deployment/web.prod", false));
        assert_eq!((used.value, used.message.as_str()), (Value::from("10.0.0.1"), silent));
        assert!(put(&mut world, one(InstancePhase::Ready, None, 3), 3).unwrap().works);
        let other = there(unready, silence, "web.prod.1", 4);
        assert!(put(&mut world, other, 4).unwrap().works, "another one serves at that address");
        // That one serves no more: nothing answers there.
        assert!(!put(&mut world, one(InstancePhase::Stopping, None, 5), 5).unwrap().works);
    }

    #[test]
    fn what_was_met_once_is_not_written_again_whenever_somebody_looks() {
        let mut world = start();
        let silence = Some(("probe-failed", "GET / on port 80: no answer within 1s"));
        // Two have failed, one after the other: what is known is the later one's word.
        put(&mut world, there(InstancePhase::Unready, silence, "a.prod.0", 7), 7);
        let known = put(&mut world, task("a.h0", TaskPhase::Lost, HOST_LOST, 8), 8).unwrap();
        assert_eq!(known.consumer, "job/job-1");
        for at in [8, 90_000, 800_000] {
            let measured = Measurements::default();
            let cx = Context { world: &world, measured: &measured, now: Timestamp(at) };
            for plan in [plan_instance(&cx, "a.prod.0"), plan_task(&cx, "a.h0")] {
                assert_eq!(plan.writes, [], "at {at}");
            }
        }
    }

    #[test]
    fn a_task_whose_host_was_lost_is_evidence_until_one_comes_through() {
        let mut world = start();
        assert_eq!(put(&mut world, task("job-1.r1.h0", TaskPhase::Lost, "stuck", 0), 0), None);
        let lost = put(&mut world, task("job-1.r2.h0", TaskPhase::Lost, HOST_LOST, 1), 1).unwrap();
        assert_eq!((lost.consumer.as_str(), lost.works), ("job/job-1", false));
        let done = put(&mut world, task("job-1.r3.h0", TaskPhase::Failed, "exit", 2), 2).unwrap();
        assert!(done.works, "what fails by itself was reached");
        for at in [2, 900_001] {
            let measured = Measurements::default();
            let cx = Context { world: &world, measured: &measured, now: Timestamp(at) };
            let again = plan_task(&cx, "job-1.r2.h0");
            assert!(again.writes.is_empty(), "it was lost once, and not again with each look");
        }
    }
}
