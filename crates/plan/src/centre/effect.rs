//! What came of an action: whether what was expected is so, for long enough and in time. What is
//! not measured is never taken for help.

use atoll_model::centre::action::Action;
use atoll_model::centre::decision::{DecisionStatus, Effect, Expected, Helped};
use atoll_model::{Decision, Deployment, Object, Policy, Span, Timestamp};

use super::facts::{Firing, Scene, VALUES};
use super::measure::Values;
use super::subject::Subject;
use super::vote::{self, Ready, Told, holds};
use crate::Context;

/// What tells whether it helped may be as late as this.
const LATE: Span = Span::seconds(60);

/// What is expected of following a policy.
pub(super) fn expected(policy: &Policy, action: &Action) -> Expected {
    let that = match policy.expect.that.trim() {
        _ if matches!(action, Action::GiveBack(_)) => format!("!({})", policy.when),
        "" => format!("!({})", policy.when),
        that => that.to_owned(),
    };
    Expected { that, by: None, since: None }
}

/// How long that has to be so. What was given back is not to be asked for again for as long as
/// anything else is given to help.
pub(super) fn hold(policy: &Policy, status: &DecisionStatus) -> Span {
    match status.action {
        Some(Action::GiveBack(_)) => policy.expect.within,
        _ => policy.expect.hold,
    }
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
    if let Some(message) = undone(cx, decision, acted) {
        return Some(Effect { verdict: Helped::DidNot, at, message });
    }
    let expect = &policy.spec.expect;
    let by = acted + expect.within;
    let is_so = look(cx, decision, policy);
    let hold = hold(&policy.spec, status);
    let action = status.action.as_ref().unwrap_or(&policy.spec.action);
    let expected = status.expected.get_or_insert_with(|| expected(&policy.spec, action));
    expected.by = Some(by);
    match &is_so {
        Ok(true) => expected.since = expected.since.or(Some(at)),
        Ok(false) | Err(_) => expected.since = None,
    }
    if let Some(since) = expected.since {
        let long_enough = at.since(since) >= hold;
        let message =
            format!("{} is so since {since}, {} after", expected.that, after(acted, since));
        return long_enough.then_some(Effect { verdict: Helped::Helped, at, message });
    }
    let again = wanted_again(decision, policy).is_some_and(|again| again <= at);
    if at < by && !(again && is_so == Ok(false)) {
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

/// How a deployment that went back is on its way to where it was again: it gave up the release it
/// was taken to. Nothing more is to be seen of it, and what people are paged for is still so.
fn undone(cx: &Context, decision: &Object<Decision>, acted: Timestamp) -> Option<String> {
    if !matches!(decision.status.action, Some(Action::RollBack)) {
        return None;
    }
    let name = decision.spec.subject.strip_prefix("deployment/")?;
    let deployment = cx.world.get::<Deployment>(name)?;
    let failed = deployment.status.failed.as_ref();
    let wanted = deployment.spec.release.as_ref();
    let failed = failed.filter(|f| f.at >= acted && Some(&f.release) == wanted)?;
    Some(format!(
        "{name} gave {} up, which it was taken back to, {} after: {}",
        failed.release,
        after(acted, failed.at),
        failed.reason.message
    ))
}

/// The deployment that gave up what it was taken back to, asking again for what it asked for
/// before: else it would take no newer release by itself. None, where somebody has changed that
/// since.
pub(super) fn restored(cx: &Context, decision: &Object<Decision>) -> Option<Object<Deployment>> {
    undone(cx, decision, decision.status.acted_at?)?;
    let name = decision.spec.subject.strip_prefix("deployment/")?;
    let mut new = Object::clone(cx.world.get::<Deployment>(name)?);
    let before = decision.status.inputs.get("deployment")?.pointer("/spec/release");
    new.spec.release = before.and_then(|release| release.as_str()).map(str::to_owned);
    Some(new)
}

/// When what was given back has been wanted again for as long as the policy asks for: from then on
/// nothing more is to be seen of it.
pub(super) fn wanted_again(
    decision: &Object<Decision>,
    policy: &Object<Policy>,
) -> Option<Timestamp> {
    let mut votes = policy.status.standing.iter();
    let again = votes.find(|one| {
        one.subject == decision.spec.subject && one.blind.is_none() && one.gives_back.is_none()
    });
    let back = matches!(decision.status.action, Some(Action::GiveBack(_)));
    again.filter(|_| back).map(|again| again.since + policy.spec.hold)
}

fn after(from: Timestamp, to: Timestamp) -> Span {
    to.since(from).rough()
}

/// Whether what a policy does not vote about is over. In none of its phases nothing is voted about,
/// and what it asks for may be so all the same; what has become well is over, as where the phases
/// are the trouble themselves.
///
/// # Errors
/// Why it cannot be told.
pub(super) fn is_over(cx: &Context, policy: &Object<Policy>, id: &str) -> Result<bool, String> {
    let elsewhere = Subject::find(cx.world, id)
        .filter(|subject| !subject.is_in_phase(&policy.spec) && !subject.is_well());
    match elsewhere.map(|subject| vote::about(cx, &policy.spec, &subject)) {
        None | Some(Told::No) => Ok(true),
        Some(Told::Yes { .. }) => Ok(false),
        Some(Told::Unknown(why)) => Err(why),
    }
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
    let back = matches!(decision.status.action, Some(Action::GiveBack(_)));
    let Some(that) = ready.that.as_ref().filter(|_| !back) else {
        if policy.spec.off {
            return Err(format!("policy/{} is off", policy.name()));
        }
        let votes = policy.status.standing.iter().filter(|one| one.gives_back.is_none());
        let mut standing = votes.filter(|one| one.subject == *id);
        return match standing.next() {
            None => is_over(cx, policy, id),
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
