//! Clearing away: what was stopped, and a whole deployment that is to go.

use std::sync::Arc;

use atoll_model::deployment::{DeploymentStatus, InstancePhase, Phase};
use atoll_model::snapshot::Standing;
use atoll_model::{Deployment, Environment, Intent, Kind, Object, Reason, Write};

use super::draft::{self, Draft};
use super::fleet::{Fleet, Member};
use super::{Subject, forget, put_status};
use crate::{Context, Plan, instances};

/// Removes the objects of instances that have stopped for good.
pub(super) fn clear<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let stopped = subject.fleet.0.iter().filter(|member| has_stopped(member));
    for member in stopped {
        draft.forget(member);
    }
    let count = draft.writes.len();
    if count > 0 {
        draft.because("stopped", format!("{} stopped and forgotten", instances(count)));
    }
}

fn has_stopped(member: &Member) -> bool {
    member.seat.deleting && member.object.status.phase == InstancePhase::Stopped
}

/// Plans for a deployment that is being deleted: its instances are stopped, then it goes.
pub(super) fn plan(cx: &Context, object: &Arc<Object<Deployment>>) -> Plan {
    let fleet = Fleet::of(cx.world, object);
    let mut plan = Plan::new(Intent::Remove);
    let (mut left, mut lost) = (0, Vec::new());
    for member in &fleet.0 {
        if has_stopped(member) || member.place == Standing::Gone {
            plan.writes.push(draft::forget(member.object));
            continue;
        }
        left += 1;
        if member.place == Standing::Lost {
            lost.push(member);
        }
        if !member.seat.deleting {
            plan.writes.push(draft::stop(member.object, cx.now));
        }
    }
    if left == 0 {
        plan.writes.push(forget(object));
        plan.writes.extend(super::watch::forget_all(cx, object.name()));
        plan.writes.extend(environment(cx, object));
        plan.reasons.push(Reason::new("deleted", "nothing of it is left"));
        return plan;
    }
    plan.reasons.push(Reason::new("deleting", "its deletion was asked for"));
    let mut reasons = vec![Reason::new("deleting", "its instances are being stopped")];
    if let Some(first) = lost.first() {
        let host = &first.object.spec.host;
        let message = format!("{} is on {host}, which is not heard from", first.name());
        reasons.push(Reason::new("host-unknown", message).hint(format!(
            "bring {host} back, or delete it if it is gone: atoll delete host/{host}"
        )));
    }
    let ready = fleet.ready();
    let status = DeploymentStatus {
        observed_generation: object.meta.generation,
        phase: Phase::Waiting,
        instances: fleet.0.len() as u32,
        ready,
        unavailable: 0,
        rollout: None,
        reasons,
        ..object.status.clone()
    };
    put_status(object, status, &mut plan);
    plan
}

/// An environment that is being deleted goes with the last deployment in it.
fn environment(cx: &Context, last: &Object<Deployment>) -> Option<Write> {
    let environment = cx.world.get::<Environment>(&last.spec.environment)?;
    let others = cx.world.all::<Deployment>().any(|other| {
        other.spec.environment == last.spec.environment && other.name() != last.name()
    });
    (environment.meta.deleting() && !others).then(|| Write::Delete {
        kind: Kind::Environment,
        name: environment.meta.name.clone(),
        revision: environment.meta.revision,
    })
}
