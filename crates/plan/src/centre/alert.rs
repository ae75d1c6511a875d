//! People are called where a policy has acted in vain: an alert about what the decision is about,
//! for as long as that is open, also where another policy goes first. It goes to receivers as
//! alerts of rules do.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::alerting::{AlertPhase, AlertStatus};
use atoll_model::centre::decision::{DecisionPhase, DecisionStatus, HeldBy};
use atoll_model::{Alert, Any, Application, Decision, Kind, Object, Snapshot, Write};

use super::ALERTS;
use super::limit::ESCALATED;
use super::subject::Subject;
use crate::{Context, Plan, checksum};

/// Brings the alert of a decision to where it is to be, with the plan's other writes.
pub(super) fn settle(cx: &Context, decision: &Object<Decision>, mut plan: Plan) -> Plan {
    let status = &decision.status;
    let calls = status.ended_at.is_none() && in_vain(status).is_some();
    let name = format!("{ALERTS}.{:016x}", checksum([decision.name().as_bytes()]));
    match (calls, cx.world.get::<Alert>(&name)) {
        (true, None) => {
            plan.writes.push(Write::Put(Any::Alert(Arc::new(call(cx, decision, name)))))
        }
        (false, Some(alert)) => {
            let revision = alert.meta.revision;
            plan.writes.push(Write::Delete { kind: Kind::Alert, name, revision });
        }
        _ => {}
    }
    plan
}

/// The policy that acted in vain, if one of those that are asked for did.
fn in_vain(status: &DecisionStatus) -> Option<&str> {
    if status.phase == DecisionPhase::Escalated {
        return Some(&status.policy);
    }
    let yields = status.votes.iter().find(|vote| vote.held_by == Some(HeldBy::People));
    yields.map(|vote| vote.policy.as_str())
}

fn call(cx: &Context, decision: &Object<Decision>, name: String) -> Object<Alert> {
    let status = &decision.status;
    let id = &decision.spec.subject;
    let subject = Subject::find(cx.world, id);
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut label = |key: &str, value: &str| labels.insert(key.to_owned(), value.to_owned());
    label("alertname", "DecisionsInVain");
    label("severity", "page");
    label("policy", in_vain(status).unwrap_or_default());
    label("decision", decision.name());
    if let Some((kind, of)) = id.split_once('/') {
        label(kind, of);
    }
    if let Some(deployment) = subject.as_ref().and_then(|subject| subject.deployment) {
        label("deployment", deployment.name());
        label("application", &deployment.spec.application);
        label("environment", &deployment.spec.environment);
    }
    let said = status.reasons.iter().find(|reason| reason.code == ESCALATED);
    let summary = said.map(|reason| reason.message.clone()).unwrap_or_default();
    let spec = Alert {
        rule: ALERTS.to_owned(),
        group: ALERTS.to_owned(),
        labels,
        annotations: [("summary".to_owned(), summary)].into(),
        subject: Some(id.clone()),
        owner: owner(cx.world, subject.as_ref()),
        suspect: status.suspects.first().cloned(),
    };
    let mut alert = Object::new(name, spec);
    alert.meta.generation = 1;
    alert.meta.created_at = Some(cx.now);
    alert.status = AlertStatus {
        phase: AlertPhase::Firing,
        active_at: cx.now,
        fired_at: Some(cx.now),
        value: "1".to_owned(),
        ..AlertStatus::default()
    };
    alert
}

fn owner(world: &Snapshot, subject: Option<&Subject>) -> Option<String> {
    let application = subject?.application?;
    world.get::<Application>(application.name())?.spec.owner.clone()
}
