//! One writer per field: targets belong to people, statuses and what is derived to planners and
//! agents, and a release to nobody once it is made.

use atoll_model::{Analysis, Any, Freeze, Intent, Job, Kind, Reason, Run, Write};

use super::{Case, DECISION_CENTRE, Opinion};
use crate::permission::Permissions;
use crate::{centre, edit, elasticity, pool};

/// **Invariant:** nobody writes a field that is another's.
pub(super) fn one_writer(case: &Case) -> Opinion {
    let rule = if case.plan.intent == Intent::Report {
        of_agent
    } else if case.by_planner() {
        of_planner
    } else {
        of_person
    };
    let objections: Vec<Reason> =
        case.plan.writes.iter().filter_map(|write| rule(case, write)).collect();
    objections.into()
}

fn not_yours(message: String) -> Option<Reason> {
    Some(Reason::new("not-yours", message))
}

/// An agent writes how it and its own instances and tasks are, and nothing else.
fn of_agent(case: &Case, write: &Write) -> Option<Reason> {
    let Write::Put(any) = write else {
        return not_yours(format!("a report deletes nothing, not {}", write.name()));
    };
    let host = match any {
        Any::Host(host) => host.name(),
        Any::Instance(instance) => &instance.spec.host,
        Any::Task(task) => task.spec.host.as_deref().unwrap_or_default(),
        Any::Release(_) if pins(case, any) => return None,
        // A part of the facts is made by the first report of it.
        Any::Facts(facts) if case.stored(any).is_none() => {
            let own = case.actor.host.as_deref().is_none_or(|own| own == facts.spec.host);
            let message = format!("{} may not say what {} is", case.actor.name, facts.spec.host);
            return (!own).then(|| Reason::new("not-yours", message));
        }
        Any::Facts(facts) => &facts.spec.host,
        _ => {
            let message = format!("a report is of hosts and what is on them, not of {}", any.id());
            return not_yours(message);
        }
    };
    let own = case.actor.host.as_deref().is_none_or(|own| own == host);
    let same = case.stored(any).is_some_and(|s| s.same_spec(any) && s.meta() == any.meta());
    if own && same {
        return None;
    }
    not_yours(format!(
        "{} may report on what is on it only, not change {}",
        case.actor.name,
        any.id()
    ))
}

/// Whether a write fixes the image of a release and does nothing else.
fn pins(case: &Case, any: &Any) -> bool {
    let (Some(Any::Release(old)), Any::Release(new)) = (case.stored(any), any) else {
        return false;
    };
    let host = case.actor.host.as_deref();
    let here = |host| case.cx.world.instances_on(host).any(|i| i.spec.release == *new.name());
    let mut pinned = atoll_model::Object::clone(&old);
    pinned.status.image.clone_from(&new.status.image);
    old.pinned_image().is_none() && **new == pinned && host.is_none_or(here)
}

/// A planner writes statuses, and the targets of what it derives.
fn of_planner(case: &Case, write: &Write) -> Option<Reason> {
    let Write::Put(any) = write else { return None };
    let stored = case.stored(any)?;
    if is_derived(any.kind(), any.name()) || stored.same_spec(any) || is_theirs(case, any) {
        return None;
    }
    if case.actor.name == DECISION_CENTRE && is_carried_out(any.kind()) {
        // In a person's place: what no person may say, it may not either.
        return not_to_be_said(case, Some(&stored), any);
    }
    not_yours(format!("the target of {} is written by people", any.id()))
}

/// Targets that some planners change though people may too: an application as its commit declares
/// it, and the end of an environment that was made for a branch.
fn is_theirs(case: &Case, any: &Any) -> bool {
    match any {
        Any::Application(_) => case.actor.name == "controller/package",
        Any::Environment(environment) => environment.spec.ephemeral.is_some(),
        _ => false,
    }
}

/// Targets that the decision centre changes, as people could by hand.
fn is_carried_out(kind: Kind) -> bool {
    matches!(kind, Kind::Deployment | Kind::Host | Kind::Config | Kind::Autoscaler)
}

/// What people may not say though the kind is theirs to write: that a package was built here, that
/// somebody else approves, or that a promotion is another's.
fn not_to_be_said(case: &Case, stored: Option<&Any>, any: &Any) -> Option<Reason> {
    match (any, stored) {
        (Any::Package(package), None) if package.spec.built.is_some() => {
            let reason = Reason::new("not-yours", "only a run here says how a package was built");
            Some(reason.hint("leave spec.built out, or release the commit through its pipeline"))
        }
        (Any::Approval(_), Some(_)) => {
            Some(Reason::new("immutable", format!("{} never changes", any.id())))
        }
        (Any::Approval(approval), None) => {
            let decision = approval.spec.subject.strip_prefix("decision/");
            if let Some(decision) = decision.filter(|d| !centre::decision::waits(case.cx.world, d))
            {
                let message = format!("decision/{decision} does not wait for anybody's approval");
                let hint = format!("see why: atoll why decision/{decision}");
                return Some(Reason::new("not-waiting", message).hint(hint));
            }
            let permissions = Permissions::of(case.cx.world, case.actor);
            let (name, role) = (&case.actor.name, &approval.spec.role);
            let own = approval.spec.by == *name && permissions.roles().contains(role);
            let called = permissions.called();
            let message = format!("you are {called}, and approve as nobody else");
            (!own).then(|| Reason::new("not-yours", message))
        }
        (Any::Deployment(new), Some(Any::Deployment(old)))
            if new.spec.instances != old.spec.instances =>
        {
            let kept = elasticity::kept(case.cx.world, new.name())?;
            let message = format!("its autoscaler keeps {} at {kept} instances", any.id());
            let hint = "change its bounds: atoll autoscale deployment/NAME --min N --max N; or \
                        --mode observe first, and then scale";
            Some(Reason::new("autoscaled", message).hint(hint.replace("NAME", new.name())))
        }
        (Any::Pool(new), Some(Any::Pool(old))) => pool::not_to_be_said(old, new),
        (Any::Promotion(new), Some(Any::Promotion(old))) => {
            let same = (&new.spec.release, &new.spec.environment, &new.spec.application)
                == (&old.spec.release, &old.spec.environment, &old.spec.application);
            let what = format!("what {} is of never changes", any.id());
            (!same).then(|| Reason::new("immutable", what))
        }
        _ => None,
    }
}

/// Whether the target of an object is made and changed by planners.
fn is_derived(kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Instance
        | Kind::Objective
        | Kind::Alert
        | Kind::Notification
        | Kind::Analysis
        | Kind::Scorecard
        | Kind::Facts
        | Kind::Drift
        | Kind::Decision
        | Kind::Task => true,
        // The rule of a deployment is named as it is.
        Kind::Rule => name.contains('.'),
        // That of a peak too.
        Kind::Freeze => Freeze::is_derived(name),
        _ => false,
    }
}

/// What is derived is deleted by those who made it. An alert that still holds comes back, and a
/// message is only a record.
fn deleted_by_person(kind: Kind, name: &str) -> Option<Reason> {
    match kind {
        Kind::Instance => not_yours(format!("{name} goes when it has stopped")),
        Kind::Alert | Kind::Notification => None,
        kind if is_derived(kind, name) => {
            let message = format!("{}/{name} goes with what it is derived from", kind.lower());
            Some(Reason::new("not-yours", message).hint(made_from(kind)))
        }
        _ => None,
    }
}

/// What a person changes instead.
fn made_from(kind: Kind) -> &'static str {
    match kind {
        Kind::Objective | Kind::Rule => "change the application's objectives",
        Kind::Alert => "change its rule, or silence it: atoll silence",
        Kind::Freeze => "change freezes or lead.freeze of its peak, or override it and say why",
        Kind::Task => {
            "cancel its run, or its job: atoll pipeline cancel RUN, atoll cancel job/NAME"
        }
        Kind::Scorecard => "change what it is of, a standard, or waive one: atoll waive",
        Kind::Facts => "it is what the host's agent finds",
        Kind::Drift => "it closes by itself: atoll drift accept, or atoll drift mend",
        Kind::Analysis | Kind::Decision => "its feedback is yours to write, and nothing else",
        _ => "change the receiver",
    }
}

/// People say what they think of a verdict, and nothing else of it.
fn only_feedback(stored: Option<&Any>, any: &Any) -> bool {
    match (stored, any) {
        (Some(Any::Analysis(old)), Any::Analysis(new)) => {
            Analysis { feedback: None, ..old.spec.clone() }
                == Analysis { feedback: None, ..new.spec.clone() }
        }
        (Some(Any::Decision(old)), Any::Decision(new)) => old.spec.subject == new.spec.subject,
        _ => false,
    }
}

/// Of a job that was begun, people ask for the end, for what is behind a pause, or for another
/// round, and change nothing else.
fn goes_on(stored: Option<&Any>, any: &Any) -> bool {
    let Some(Any::Job(old)) = stored else { return stored.is_none() };
    let Any::Job(new) = any else { return false };
    let Job { round, resumed, cancelled, .. } = new.spec;
    let same = Job { round, resumed, cancelled, ..old.spec.clone() } == new.spec;
    let anew = round > old.spec.round;
    same && round >= old.spec.round
        && (anew || (resumed >= old.spec.resumed && (cancelled || !old.spec.cancelled)))
}

/// Of a run that was begun, people ask for the end and change nothing else.
fn only_cancelled(stored: Option<&Any>, any: &Any) -> bool {
    match (stored, any) {
        (Some(Any::Run(old)), Any::Run(new)) => {
            let cancelled = new.spec.cancelled;
            Run { cancelled, ..old.spec.clone() } == new.spec && (cancelled || !old.spec.cancelled)
        }
        _ => stored.is_none(),
    }
}

/// A person writes targets.
fn of_person(case: &Case, write: &Write) -> Option<Reason> {
    let Write::Put(any) = write else {
        return deleted_by_person(write.kind(), write.name());
    };
    let stored = case.stored(any);
    let kept = match &stored {
        Some(stored) => *any == any.with_status_of(stored) || edit::is_said(stored, any),
        None => *any == any.with_fresh_status(),
    };
    if !kept {
        return not_yours(format!("the status of {} is written by the platform", any.id()));
    }
    let changed = stored.as_ref().is_none_or(|stored| !stored.same_spec(any));
    let asked = stored.as_ref().is_some_and(|s| any.meta().deleting() && !s.meta().deleting());
    if asked && any.kind() != Kind::Instance {
        return deleted_by_person(any.kind(), any.name());
    }
    if changed && let Some(reason) = not_to_be_said(case, stored.as_ref(), any) {
        return Some(reason);
    }
    match any.kind() {
        Kind::Instance if changed => {
            let reason = Reason::new(
                "not-yours",
                format!("{} is made and changed by its deployment", any.id()),
            );
            Some(reason.hint("change the deployment; an instance may be deleted to be made anew"))
        }
        Kind::Release | Kind::Package
            if changed && stored.as_ref().is_some_and(|stored| !edit::is_veto(any, stored)) =>
        {
            let reason = Reason::new("immutable", format!("{} never changes", any.id()));
            Some(reason.hint("make a new one under another name"))
        }
        Kind::Job if changed && !goes_on(stored.as_ref(), any) => {
            let reason = Reason::new("immutable", format!("{} never changes", any.id()));
            Some(reason.hint("begin another: atoll run"))
        }
        Kind::Run if changed && !only_cancelled(stored.as_ref(), any) => {
            let reason = Reason::new("immutable", format!("{} never changes", any.id()));
            Some(reason.hint("begin another: atoll pipeline run"))
        }
        kind if changed && is_derived(kind, any.name()) && !only_feedback(stored.as_ref(), any) => {
            let reason = Reason::new("not-yours", format!("{} is made by the platform", any.id()));
            Some(reason.hint(made_from(kind)))
        }
        _ => None,
    }
}
