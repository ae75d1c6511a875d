//! What is given back: a value that was set, instances that were lent, once what they were taken
//! for has been over for a while. It is a vote of the same policy, and all that holds for others
//! holds for it. What somebody has changed since is theirs, and stays as they left it.

use std::sync::Arc;

use atoll_model::centre::Standing;
use atoll_model::centre::action::{Action, GiveBack, Taken, What};
use atoll_model::{
    Any, Autoscaler, Config, Decision, Deployment, Object, Policy, Reason, Snapshot, Span,
    Timestamp, Write,
};

use super::action::{Deed, deed, set, whom};
use crate::placement::{Need, Placer};
use crate::{Context, edit, elasticity, instances};

const DAY: Span = Span::seconds(86_400);
/// It is waited twice as long after each time it came again, so often at most.
const DOUBLED: u32 = 6;

/// What a vote asks for.
pub(super) fn wanted(policy: &Policy, standing: &Standing) -> Action {
    match &standing.gives_back {
        Some(decision) => Action::GiveBack(GiveBack { decision: decision.clone() }),
        None => policy.action.clone(),
    }
}

/// How long a vote has to hold.
pub(super) fn hold(world: &Snapshot, policy: &Object<Policy>, standing: &Standing) -> Span {
    if standing.gives_back.is_none() {
        return policy.spec.hold;
    }
    let own = world.all::<Decision>().filter(|decision| {
        let status = &decision.status;
        status.policy == policy.name() && decision.spec.subject == standing.subject
    });
    let lately = |at: &Timestamp| standing.since.since(*at) < DAY;
    let back = own.filter(|d| matches!(d.status.action, Some(Action::GiveBack(_))));
    let before = back.filter_map(|d| d.status.acted_at).filter(lately).count() as u32;
    Span(policy.spec.give_back_after.0.saturating_mul(1 << before.min(DOUBLED)))
}

/// What a policy took and has not given back, as it left it: the latest of each subject.
pub(super) fn outstanding<'a>(
    world: &'a Snapshot,
    policy: &Object<Policy>,
) -> Vec<&'a Arc<Object<Decision>>> {
    if policy.spec.give_back_after == Span(0) {
        return Vec::new();
    }
    let name = policy.name();
    let own = world.all::<Decision>().filter(|d| d.status.policy == name && is_open(world, d));
    let mut all: Vec<&Arc<Object<Decision>>> = own.collect();
    all.sort_by_key(|d| (&d.spec.subject, std::cmp::Reverse(d.status.acted_at)));
    all.dedup_by_key(|d| &d.spec.subject);
    all
}

/// Whether a decision took something that is still as it left it.
pub(crate) fn is_open(world: &Snapshot, decision: &Object<Decision>) -> bool {
    let status = &decision.status;
    let taken = status.taken.as_ref().filter(|taken| taken.returned_at.is_none());
    taken.is_some_and(|taken| status.acted_at.is_some() && is_as_left(world, &taken.what))
}

/// The decisions for which a deployment has given instances up that were not given back yet.
pub(crate) fn lent<'a>(
    world: &'a Snapshot,
    deployment: &'a str,
) -> impl Iterator<Item = &'a Arc<Object<Decision>>> {
    world.all::<Decision>().filter(move |decision| {
        let what = decision.status.taken.as_ref().map(|taken| &taken.what);
        let ours = match what {
            Some(What::Instances { deployment: of, .. } | What::Most { deployment: of, .. }) => {
                of == deployment
            }
            _ => false,
        };
        ours && is_open(world, decision)
    })
}

fn is_as_left(world: &Snapshot, what: &What) -> bool {
    match what {
        What::Value { config, key, environments, labels, is, .. } => world
            .get::<Config>(config)
            .is_some_and(|config| config.spec.value_for(environments, labels, key) == Some(is)),
        What::Instances { deployment, is, .. } => {
            let lender = world.get::<Deployment>(deployment).filter(|d| !d.meta.deleting());
            lender.is_some_and(|lender| lender.spec.instances == *is)
                && elasticity::kept(world, deployment).is_none()
        }
        What::Most { deployment, is, .. } => {
            let stored = world.get::<Autoscaler>(deployment);
            stored.is_some_and(|autoscaler| autoscaler.spec.max == Some(*is))
        }
    }
}

/// Works out what is to be written.
///
/// # Errors
/// Why there is nothing to be done, or nothing yet.
pub(super) fn make(cx: &Context, back: &GiveBack) -> Result<Deed, Reason> {
    let taken = cx.world.get::<Decision>(&back.decision).filter(|d| is_open(cx.world, d));
    let Some(taken) = taken.and_then(|decision| decision.status.taken.as_ref()) else {
        let message = format!("what decision/{} took is somebody else's by now", back.decision);
        return Err(Reason::new("nothing-to-do", message));
    };
    match &taken.what {
        What::Value { config, key, environments, labels, was, is } => {
            let stored = cx.world.get::<Config>(config);
            let mut new = stored
                .map(|config| Object::clone(config))
                .ok_or_else(|| Reason::new("gone", format!("config/{config} is no more")))?;
            set(&mut new.spec, environments, labels, (key, was.as_ref()));
            let was =
                was.as_ref().map_or_else(|| "what is usual".to_owned(), |was| was.to_string());
            let whom = whom(environments, labels);
            let words = format!("{key} of config/{config} goes back from {is} to {was} for {whom}");
            deed(edit::apply(cx, vec![Any::Config(Arc::new(new))]), words)
        }
        What::Instances { deployment, was, is } => {
            let stored = cx.world.get::<Deployment>(deployment);
            let mut new = stored.map(|lender| Object::clone(lender)).ok_or_else(|| {
                Reason::new("gone", format!("deployment/{deployment} is no more"))
            })?;
            has_room(cx.world, &new, was.saturating_sub(*is))?;
            new.spec.instances = *was;
            let words = format!(
                "deployment/{deployment} goes back from {is} to {}",
                instances(*was as usize)
            );
            deed(edit::apply(cx, vec![Any::Deployment(Arc::new(new))]), words)
        }
        What::Most { deployment, was, is, kept } => {
            let gone = || Reason::new("gone", format!("deployment/{deployment} is no more"));
            let lender = cx.world.get::<Deployment>(deployment).ok_or_else(gone)?;
            has_room(cx.world, lender, kept.saturating_sub(*is))?;
            let stored = cx.world.get::<Autoscaler>(deployment).ok_or_else(gone)?;
            let mut new = Object::clone(stored);
            new.spec.max = *was;
            let was = was.map_or_else(|| "what is usual".to_owned(), |was| was.to_string());
            let words =
                format!("the most autoscaler/{deployment} may keep goes back from {is} to {was}");
            deed(edit::apply(cx, vec![Any::Autoscaler(Arc::new(new))]), words)
        }
    }
}

/// Looks whether so many more instances of a deployment find a host: what was lent is not to be
/// missing again as soon as it is back.
///
/// # Errors
/// That they find none.
fn has_room(world: &Snapshot, lender: &Object<Deployment>, more: u32) -> Result<(), Reason> {
    let message =
        format!("no host has room yet for {} of {}", instances(more as usize), lender.name());
    let none = || Reason::new("no-room", message);
    let Some(need) = Need::of(world, lender) else { return Err(none()) };
    let mut placer = Placer::new(world, need, world.seats(lender.name()));
    let all = (0..more).all(|seed| placer.place(u64::from(seed)).is_some());
    if all { Ok(()) } else { Err(none()) }
}

/// The mark on the decision whose taking is given back.
pub(super) fn mark(world: &Snapshot, action: &Action, now: Timestamp) -> Option<Write> {
    let Action::GiveBack(back) = action else { return None };
    let mut new = Object::clone(world.get::<Decision>(&back.decision)?);
    let taken: &mut Taken = new.status.taken.as_mut()?;
    taken.returned_at = Some(now);
    Some(Write::Put(Any::Decision(Arc::new(new))))
}
