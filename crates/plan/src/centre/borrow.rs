//! Whose instances are given up for a deployment that finds no room: of what is not of the core
//! tier, the largest whose number a person keeps, or else the largest whose autoscaler acts. Of
//! that the most it may keep becomes less; its number is the autoscaler's own. Nothing is taken of
//! what a policy asks more for.

use std::cmp::Reverse;
use std::sync::Arc;

use atoll_model::centre::ActMode;
use atoll_model::centre::action::{Change, Direction, What};
use atoll_model::{Any, Autoscaler, Deployment, Object, Policy, Reason, Write};

use super::action::{Deed, application, deed, lower};
use super::subject::Subject;
use crate::{Context, edit, elasticity, instances, peak};

/// Works out what is written.
///
/// # Errors
/// That nobody has instances to give up.
pub(super) fn make(
    cx: &Context,
    deployment: &Object<Deployment>,
    by: &Change,
) -> Result<Deed, Reason> {
    let mut lenders: Vec<Lender> = cx
        .world
        .all::<Deployment>()
        .filter(|other| may_lend(cx, deployment, other))
        .filter_map(|other| Lender::of(cx, other, by))
        .collect();
    lenders.sort_by_key(|it| (it.kept.is_some(), Reverse(it.has()), it.deployment.name()));
    let Some(lender) = lenders.first() else {
        let message = format!(
            "nobody in {} has instances to give up for {}",
            deployment.spec.environment,
            deployment.name()
        );
        let hint = "core applications give none up, nor does what has the least it may, or is kept \
                    for a peak";
        return Err(Reason::new("nothing-to-do", message).hint(hint));
    };
    match lender.kept {
        None => fewer(cx, lender.deployment, by),
        Some(kept) => bounded(cx, lender, kept, by),
    }
}

fn may_lend(cx: &Context, to: &Object<Deployment>, of: &Object<Deployment>) -> bool {
    let labels = application(cx.world, of).map(|application| &application.meta.labels);
    let core = labels.is_some_and(|l| l.get("tier").is_some_and(|tier| tier == "core"));
    of.spec.environment == to.spec.environment
        && of.name() != to.name()
        && !core
        && !of.meta.deleting()
        && !wants_more(cx, of)
}

/// Whether a policy asks for more of a deployment: nothing is taken from it then. One that cannot
/// tell asks for nothing, or nobody would lend where load is not measured.
fn wants_more(cx: &Context, of: &Object<Deployment>) -> bool {
    let id = format!("deployment/{}", of.name());
    let Some(subject) = Subject::find(cx.world, &id) else { return false };
    let mut policies = cx.world.all::<Policy>().filter(|policy| !policy.spec.off);
    policies.any(|policy| {
        let (spec, mut standing) = (&policy.spec, policy.status.standing.iter());
        spec.action.direction() == Direction::Up
            && spec.mode_for(subject.environment(), subject.tier()) != ActMode::Observe
            && standing.any(|one| one.subject == id && one.votes())
    })
}

struct Lender<'a> {
    deployment: &'a Arc<Object<Deployment>>,
    /// So many its autoscaler keeps, if one acts.
    kept: Option<u32>,
    /// No fewer are left to it.
    least: u32,
}

impl<'a> Lender<'a> {
    /// One that has more than it is left.
    fn of(cx: &Context, deployment: &'a Arc<Object<Deployment>>, by: &Change) -> Option<Self> {
        let name = deployment.name();
        let kept = elasticity::kept(cx.world, name);
        let scaling = application(cx.world, deployment).and_then(|a| a.spec.scaling.as_ref());
        let least = match kept {
            Some(_) => elasticity::least(cx.world, name),
            None => scaling.map_or(1, |scaling| scaling.min),
        };
        let least = least.max(by.bound.unwrap_or(1)).max(1);
        let free = kept.is_none() || peak::kept(cx.world, name).is_none();
        let lender = Lender { deployment, kept, least };
        (free && lender.has() > least).then_some(lender)
    }

    fn has(&self) -> u32 {
        self.kept.unwrap_or_else(|| self.deployment.wanted())
    }
}

fn fewer(cx: &Context, lender: &Object<Deployment>, by: &Change) -> Result<Deed, Reason> {
    let done = lower(cx, lender, by)?;
    let left = done.writes.iter().find_map(|write| match write {
        Write::Put(Any::Deployment(new)) if new.name() == lender.name() => Some(new.spec.instances),
        _ => None,
    });
    let (deployment, was) = (lender.name().to_owned(), lender.wanted());
    let is = left.unwrap_or(was);
    Ok(done.takes(What::Instances { deployment, was, is }))
}

fn bounded(cx: &Context, lender: &Lender, kept: u32, by: &Change) -> Result<Deed, Reason> {
    let name = lender.deployment.name();
    let stored = cx.world.get::<Autoscaler>(name);
    let mut new = stored
        .map(|autoscaler| Object::clone(autoscaler))
        .ok_or_else(|| Reason::new("gone", format!("autoscaler/{name} is no more")))?;
    let is = kept.saturating_sub(by.by.floor_of(kept).max(1)).max(lender.least);
    let was = new.spec.max.replace(is);
    let words = format!(
        "autoscaler/{name} may keep {} at most, and keeps {kept} now",
        instances(is as usize)
    );
    let done = deed(edit::apply(cx, vec![Any::Autoscaler(Arc::new(new))]), words)?;
    Ok(done.takes(What::Most { deployment: name.to_owned(), was, is, kept }))
}
