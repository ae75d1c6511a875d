//! What came of an action: whether what was expected is so, for long enough and in time. What is
//! not measured is never taken for help.

use atoll_model::centre::decision::{DecisionStatus, Effect, Expected, Helped};
use atoll_model::{Decision, Object, Policy, Span, Timestamp};

use super::facts::{Firing, Scene, VALUES};
use super::measure::Values;
use super::subject::Subject;
use super::vote::{Ready, holds};
use crate::Context;

/// What tells whether it helped may be as late as this.
const LATE: Span = Span::seconds(60);

/// What is expected of following a policy.
pub(super) fn expected(policy: &Policy) -> Expected {
    let that = match policy.expect.that.trim() {
        "" => format!("!({})", policy.when),
        that => that.to_owned(),
    };
    Expected { that, by: None, since: None }
}

/// Looks once more. None, while it is not known yet.
pub(super) fn measure(
    cx: &Context,
    decision: &Object<Decision>,
    policy: Option<&Object<Policy>>,
    status: &mut DecisionStatus,
) -> Option<Effect> {
    let at = cx.now;
    let acted = status.acted_at?;
    let Some(policy) = policy else {
        let message = "its policy is no more, so nobody knows what to look at".to_owned();
        return Some(Effect { verdict: Helped::Unknown, at, message });
    };
    let expect = &policy.spec.expect;
    let by = acted + expect.within;
    let is_so = look(cx, decision, policy);
    let expected = status.expected.get_or_insert_with(|| expected(&policy.spec));
    expected.by = Some(by);
    match &is_so {
        Ok(true) => expected.since = expected.since.or(Some(at)),
        Ok(false) | Err(_) => expected.since = None,
    }
    if let Some(since) = expected.since {
        let long_enough = at.since(since) >= expect.hold;
        let message =
            format!("{} is so since {since}, {} after", expected.that, after(acted, since));
        return long_enough.then_some(Effect { verdict: Helped::Helped, at, message });
    }
    if at < by {
        return None;
    }
    let that = &expected.that;
    match is_so {
        Ok(_) => {
            let message = format!("{that} is not so, {} after", after(acted, at));
            Some(Effect { verdict: Helped::DidNot, at, message })
        }
        // One look more for what may only be late.
        Err(_) if at < by + LATE => None,
        Err(why) => {
            let message = format!("whether {that} is so cannot be told: {why}");
            Some(Effect { verdict: Helped::Unknown, at, message })
        }
    }
}

fn after(from: Timestamp, to: Timestamp) -> Span {
    to.since(from).rough()
}

/// Whether what was expected is so.
///
/// # Errors
/// Why it cannot be told.
fn look(
    cx: &Context,
    decision: &Object<Decision>,
    policy: &Object<Policy>,
) -> Result<bool, String> {
    let id = &decision.spec.subject;
    let ready = Ready::read(&policy.spec).map_err(|(path, wrong)| format!("{path}: {wrong}"))?;
    let Some(that) = &ready.that else {
        if policy.spec.off {
            return Err(format!("policy/{} is off", policy.name()));
        }
        let mut standing = policy.status.standing.iter().filter(|one| one.subject == *id);
        return match standing.next() {
            None => Ok(true),
            Some(one) => one.blind.clone().map_or(Ok(false), Err),
        };
    };
    let subject = Subject::left(cx.world, id).ok_or_else(|| format!("{id} is no more"))?;
    let values = Values::of(&policy.spec, &cx.measured.answers, cx.now);
    let measured = match values.about(&subject.name) {
        Ok(measured) => measured,
        Err(why) if that.uses(VALUES) => return Err(why),
        Err(_) => std::collections::BTreeMap::new(),
    };
    let firing = Firing::of(cx.world);
    let mut scene = Scene::new(cx, &subject, &firing, &measured);
    scene.before = Some(&decision.status.inputs);
    holds(that, &scene)
}
