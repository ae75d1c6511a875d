//! One writer per field: targets belong to people, statuses and what is derived to planners and
//! agents, and a release to nobody once it is made.

use atoll_model::{Any, Intent, Kind, Reason, Write};

use super::{Case, Opinion};

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

/// An agent writes how it and its own instances are, and nothing else.
fn of_agent(case: &Case, write: &Write) -> Option<Reason> {
    let Write::Put(any) = write else {
        return not_yours(format!("a report deletes nothing, not {}", write.name()));
    };
    let host = match any {
        Any::Host(host) => host.name(),
        Any::Instance(instance) => &instance.spec.host,
        _ => return not_yours(format!("a report changes hosts and instances, not {}", any.id())),
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

/// A planner writes statuses, and the targets of what it derives.
fn of_planner(case: &Case, write: &Write) -> Option<Reason> {
    let Write::Put(any) = write else { return None };
    let stored = case.stored(any)?;
    if any.kind() == Kind::Instance || stored.same_spec(any) {
        return None;
    }
    not_yours(format!("the target of {} is written by people", any.id()))
}

/// A person writes targets.
fn of_person(case: &Case, write: &Write) -> Option<Reason> {
    let Write::Put(any) = write else {
        let derived = write.kind() == Kind::Instance;
        return derived
            .then(|| not_yours(format!("{} goes when it has stopped", write.name())))
            .flatten();
    };
    let stored = case.stored(any);
    let kept = match &stored {
        Some(stored) => *any == any.with_status_of(stored),
        None => *any == any.with_fresh_status(),
    };
    if !kept {
        return not_yours(format!("the status of {} is written by the platform", any.id()));
    }
    let changed = stored.as_ref().is_none_or(|stored| !stored.same_spec(any));
    match any.kind() {
        Kind::Instance if changed => {
            let reason = Reason::new(
                "not-yours",
                format!("{} is made and changed by its deployment", any.id()),
            );
            Some(reason.hint("change the deployment; an instance may be deleted to be made anew"))
        }
        Kind::Release | Kind::Package if changed && stored.is_some() => {
            let reason = Reason::new("immutable", format!("{} never changes", any.id()));
            Some(reason.hint("make a new one under another name"))
        }
        _ => None,
    }
}
