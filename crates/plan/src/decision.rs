//! The one gate: every plan of everybody passes here before it is committed, and here only is a
//! change refused. It changes no plan but to hold it, and to sign what begins by itself later with
//! who wrote it.
//!
//! The rules are asked in order and the first that objects decides: whoever asked is told all its
//! reasons. For a person an objection denies the change; for a planner it holds it, and the
//! planner's status says why.

use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::{
    Any, Deployment, Instance, Intent, Kind, Object, Reason, Snapshot, Timestamp, Write,
};

use crate::{Context, Plan, sooner};

mod access;
mod budget;
mod cost;
mod count;
mod entry;
pub(crate) mod freeze;
mod inventory;
mod odd;
mod owner;
mod price;
mod radius;
mod standard;
mod validity;

pub use cost::COST;
pub(crate) use cost::of_migration;
pub(crate) use radius::is_disturbed;

/// The actor that carries out what policies want.
const DECISION_CENTRE: &str = "controller/decision";

/// What the gate says.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Do it.
    Commit(Plan),
    /// Not now. The plan holds what may still be written: the subject's status, which says why.
    Hold(Plan, Vec<Reason>),
    /// Not at all: why, and then what it would have cost where that was worked out.
    Deny(Vec<Reason>),
}

/// What a rule says of a plan.
#[derive(Debug, Default)]
struct Opinion {
    /// Why it may not be done.
    objections: Vec<Reason>,
    /// What is to be kept of it in the history if it is done.
    notes: Vec<Reason>,
    /// Notes about one of the objects, by its id.
    about: Vec<(String, Reason)>,
    /// When to ask again.
    again_at: Option<Timestamp>,
}

impl Opinion {
    /// Notes something about one of the objects.
    fn note(&mut self, of: &Any, notes: impl IntoIterator<Item = Reason>) {
        self.about.extend(notes.into_iter().map(|note| (of.id(), note)));
    }
}

impl From<Vec<Reason>> for Opinion {
    fn from(objections: Vec<Reason>) -> Opinion {
        Opinion { objections, ..Opinion::default() }
    }
}

/// What is judged.
struct Case<'a> {
    cx: &'a Context<'a>,
    actor: &'a Actor,
    plan: &'a Plan,
}

impl Case<'_> {
    fn by_planner(&self) -> bool {
        self.actor.name.starts_with("controller/")
    }

    /// A person, or a program in a person's place, edits.
    fn is_edit(&self) -> bool {
        matches!(self.plan.intent, Intent::Edit | Intent::Revert)
    }

    fn puts(&self) -> impl Iterator<Item = &Any> {
        self.plan.writes.iter().filter_map(|write| match write {
            Write::Put(any) => Some(any),
            Write::Delete { .. } => None,
        })
    }

    fn stored(&self, any: &Any) -> Option<Any> {
        self.cx.world.find(any.kind(), any.name())
    }

    /// The world as the plan would leave it.
    fn after(&self) -> Snapshot {
        let mut world = self.cx.world.clone();
        for write in &self.plan.writes {
            crate::follow::apply(&mut world, write);
        }
        world
    }
}

type Rule = fn(&Case) -> Opinion;

/// The rules, in the order they are asked.
const RULES: [Rule; 13] = [
    access::access,
    validity::valid,
    validity::references,
    inventory::inventory,
    owner::one_writer,
    entry::entry,
    radius::room,
    radius::min_ready,
    radius::zone,
    freeze::freeze,
    budget::budget,
    cost::cost,
    standard::standard,
];

/// Judges a plan.
pub fn decide(cx: &Context, actor: &Actor, mut plan: Plan) -> Verdict {
    if plan.writes.is_empty() {
        return Verdict::Commit(plan);
    }
    let (mut notes, mut about) = (Vec::new(), Vec::new());
    let case = Case { cx, actor, plan: &plan };
    for rule in RULES {
        let opinion = rule(&case);
        if opinion.objections.is_empty() {
            notes.extend(opinion.notes);
            notes.extend(opinion.about.iter().map(|(_, note)| note.clone()));
            about.extend(opinion.about);
        } else if case.by_planner() {
            return hold(&case, opinion);
        } else {
            // What it would have cost is told as well.
            let costs = notes.into_iter().chain(opinion.notes).filter(|note| note.code == COST);
            return Verdict::Deny(opinion.objections.into_iter().chain(costs).collect());
        }
    }
    if case.is_edit() && !case.by_planner() {
        let signed = plan.writes.iter().map(|write| access::signed(&case, write)).collect();
        plan.writes = signed;
    }
    plan.reasons.extend(notes);
    plan.about.extend(about);
    Verdict::Commit(plan)
}

/// What may still be written of a planner's plan: its subject's status, with the objections.
///
/// **Invariant:** a held plan changes nothing but the status of its subject, and the same held
/// plan made again writes nothing.
fn hold(case: &Case, opinion: Opinion) -> Verdict {
    let mut plan = Plan::nothing();
    plan.again_at = sooner(case.plan.again_at, opinion.again_at);
    plan.reasons = opinion.objections.clone();
    if let Some((mut status, stored)) = subject(case) {
        match (&mut status, &stored) {
            (Any::Deployment(new), Any::Deployment(old)) => keep_clock(Arc::make_mut(new), old),
            (Any::Promotion(new), Any::Promotion(old)) => {
                // It is not let in, whatever else is so.
                let status = &mut Arc::make_mut(new).status;
                status.admitted_at = old.status.admitted_at;
                status.phase = old.status.phase;
            }
            (Any::Peak(new), Any::Peak(old)) => {
                crate::peak::held(case.cx.now, &mut Arc::make_mut(new).status, &old.status);
            }
            (Any::Package(new), Any::Package(old)) => {
                Arc::make_mut(new).status.offered = old.status.offered;
            }
            (Any::Decision(new), Any::Decision(old)) => {
                let status = &mut Arc::make_mut(new).status;
                crate::centre::decision::held(status, &old.status, &opinion.objections);
            }
            _ => {}
        }
        if let (Any::Config(new), Any::Config(old)) = (&mut status, &stored) {
            crate::config::keep_content(&mut Arc::make_mut(new).status, &old.status);
        }
        status.add_reasons(&opinion.objections);
        if status != stored {
            plan.writes.push(Write::Put(status));
        }
    }
    Verdict::Hold(plan, opinion.objections)
}

/// The subject of a planner's plan as planned and as stored.
fn subject(case: &Case) -> Option<(Any, Any)> {
    for any in case.puts().filter(|any| any.kind() != Kind::Instance) {
        if let Some(stored) = case.stored(any).filter(|stored| stored.same_spec(any)) {
            return Some((any.with_status_of(any), stored));
        }
    }
    case.plan.writes.iter().find_map(|write| {
        let name = match write {
            Write::Put(Any::Instance(instance)) => instance.spec.deployment.clone(),
            Write::Delete { kind: Kind::Instance, name, .. } => {
                case.cx.world.get::<Instance>(name)?.spec.deployment.clone()
            }
            _ => return None,
        };
        let stored = case.cx.world.find(Kind::Deployment, &name)?;
        Some((stored.clone(), stored))
    })
}

/// A step that is not taken moves nothing, and the time allowed for it does not begin.
fn keep_clock(new: &mut Object<Deployment>, old: &Object<Deployment>) {
    crate::deployment::spread::held(&mut new.status, &old.status);
    let Some(rollout) = &mut new.status.rollout else { return };
    match &old.status.rollout {
        Some(old) if old.to == rollout.to && old.back == rollout.back => {
            rollout.moved = old.moved;
            if (rollout.proven, rollout.step) == (old.proven, old.step) {
                rollout.progress_at = old.progress_at;
            }
        }
        _ => rollout.moved = 0,
    }
}
