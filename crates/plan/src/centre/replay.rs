//! Decides again what was decided, on the inputs that were kept, with other policies: what would
//! have come out differently. Only what led to a decision is kept, so a policy that would have
//! voted where nobody did is not found here.

use std::collections::BTreeMap;

use atoll_model::centre::action::{Action, Direction};
use atoll_model::centre::decision::{DecisionStatus, HeldBy, Vote};
use atoll_model::centre::wire::{DecidedOtherwise, DecisionReplay, Untold};
use atoll_model::centre::{ActMode, Measured};
use atoll_model::{Decision, Object, Policy, Reason, Span, Timestamp};
use serde_json::Value;

use super::facts::Kept;
use super::vote::Ready;
use crate::Context;

/// What a policy says of the inputs that were kept.
enum Said {
    No,
    /// What is so, in the words of the policy.
    Yes(String),
    Unknown(String),
}

/// Decides again with these policies in place of those of the same names.
///
/// # Errors
/// What is wrong with them.
pub fn replay(
    cx: &Context,
    changed: &[Object<Policy>],
    since: Option<Span>,
) -> Result<DecisionReplay, Vec<Reason>> {
    let stored: BTreeMap<&str, &Policy> =
        cx.world.all::<Policy>().map(|policy| (policy.name(), &policy.spec)).collect();
    let mut policies = stored.clone();
    let mut wrong = Vec::new();
    for policy in changed {
        policies.insert(policy.name(), &policy.spec);
        let said = super::check::problems(&policy.spec).into_iter();
        wrong.extend(said.map(|p| Reason::new("invalid", format!("{}: {p}", policy.name()))));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let from = since.map_or(Timestamp(i64::MIN), |span| cx.now - span);
    let made = |decision: &Object<Decision>| decision.meta.created_at.unwrap_or_default();
    let mut all: Vec<_> = cx.world.all::<Decision>().filter(|d| made(d) >= from).collect();
    all.sort_by_key(|decision| std::cmp::Reverse((made(decision), decision.meta.name.clone())));
    let remarks = changed.iter().flat_map(|policy| super::check::remarks(cx, policy)).collect();
    let mut told = DecisionReplay { remarks, ..DecisionReplay::default() };
    let untold = |decision: &Object<Decision>, why: String| {
        let (subject, decision) = (decision.spec.subject.clone(), decision.meta.name.clone());
        Untold { decision, subject, why }
    };
    // What is given back follows from what was decided before, and from nothing that was seen.
    all.retain(|decision| !matches!(decision.status.action, Some(Action::GiveBack(_))));
    for decision in all {
        told.decisions += 1;
        if decision.status.inputs.is_empty() {
            told.untold.push(untold(decision, "nothing was kept of what was seen".to_owned()));
            continue;
        }
        match again(cx, decision, &policies, changed) {
            Ok((would, because)) => {
                let was = in_words(&decision.status);
                // What comes out the same without the changes is no difference they make: the
                // policies there are may be others than those that decided.
                let same = |(now, _): (String, String)| now == would;
                let alike =
                    !changed.is_empty() && again(cx, decision, &stored, &[]).is_ok_and(same);
                if was == would || alike {
                    told.same += 1;
                } else {
                    told.differences.push(DecidedOtherwise {
                        decision: decision.meta.name.clone(),
                        subject: decision.spec.subject.clone(),
                        at: decision.meta.created_at,
                        was,
                        would,
                        because,
                    });
                }
            }
            Err(why) => told.untold.push(untold(decision, why)),
        }
    }
    told.unknown = told.untold.len() as u32;
    Ok(told)
}

fn in_words(status: &DecisionStatus) -> String {
    let Some(action) = &status.action else { return "nothing".to_owned() };
    word(&status.policy, action, status.mode)
}

fn word(policy: &str, action: &Action, mode: ActMode) -> String {
    let mode = serde_json::to_value(mode).ok();
    let mode = mode.as_ref().and_then(Value::as_str).unwrap_or_default();
    format!("{mode}: {} by policy/{policy}", action.word())
}

/// One policy with what it says of what was seen.
struct Voter<'a> {
    name: &'a str,
    policy: &'a Policy,
    said: Said,
    mode: ActMode,
    /// What it voted for then, where that is the same.
    kept: Option<&'a Vote>,
}

impl Voter<'_> {
    /// Where it stands among others, as in `weigh.rs`: what was in the way then still is.
    fn order(&self, stored: Option<&Policy>) -> impl Ord + use<'_> {
        let held_by = self.kept.and_then(|vote| vote.held_by);
        let by = |what: HeldBy| held_by == Some(what);
        let limits = |policy: &Policy| (policy.limits.clone(), policy.escalate_after);
        let as_then = stored.is_some_and(|stored| limits(stored) == limits(self.policy));
        let says = self.mode < ActMode::Approve;
        let held = (by(HeldBy::Limit) || by(HeldBy::People)) && as_then && !says;
        let (impossible, refused) = (by(HeldBy::Impossible), by(HeldBy::Gate));
        (impossible, refused, says, held, self.policy.action.rank(), self.name)
    }

    /// What nobody asked of it then.
    fn unknown(&self) -> &'static str {
        match self.kept {
            None if self.mode >= ActMode::Approve => {
                "; what the gate would have said of that is not known"
            }
            _ => "",
        }
    }
}

/// What would be decided, and why; why not, where it cannot be told, also of one of those that are
/// tried. As in `weigh.rs`, but for what nobody kept: whether what was not voted for could have
/// been done, and what the gate would have said of it.
fn again(
    cx: &Context,
    decision: &Object<Decision>,
    policies: &BTreeMap<&str, &Policy>,
    tried: &[Object<Policy>],
) -> Result<(String, String), String> {
    let (status, inputs) = (&decision.status, &decision.status.inputs);
    let kind = decision.spec.subject.split_once('/').map_or("", |(kind, _)| kind);
    let of_kind = policies.iter().filter(|(_, policy)| {
        policy.subjects.kind.lower() == kind && !policy.off && meant(policy, inputs)
    });
    let said: Vec<Voter> = of_kind
        .map(|(name, policy)| {
            let mut mode = policy.mode_for(environment(inputs), tier(inputs));
            let held_back = status.reasons.iter().any(|reason| reason.code == "record");
            if held_back && status.policy == *name {
                mode = mode.min(status.mode);
            }
            let seen = seen(cx, decision, name, policy);
            let is_same = |vote: &&Vote| vote.policy == *name && vote.action == policy.action;
            let kept = status.votes.iter().find(is_same);
            Voter { name, policy, said: ask(policy, &seen), mode, kept }
        })
        .collect();
    let is_tried = |voter: &Voter| tried.iter().any(|policy| policy.name() == voter.name);
    let unknown = |voter: &Voter| match &voter.said {
        Said::Unknown(why) => Some(format!("policy/{}: {why}", voter.name)),
        _ => None,
    };
    if let Some(why) = said.iter().filter(|voter| is_tried(voter)).find_map(unknown) {
        return Err(why);
    }
    let up = |voter: &Voter| {
        voter.policy.action.direction() == Direction::Up && voter.mode != ActMode::Observe
    };
    let more = said.iter().any(|voter| up(voter) && matches!(voter.said, Said::Yes(_)));
    let down = |voter: &Voter| voter.policy.action.direction() == Direction::Down;
    let counts = |voter: &&Voter| {
        matches!(voter.said, Said::Yes(_))
            && !waited(cx, decision, voter.name, voter.policy)
            && !(more && down(voter))
    };
    let mut yes: Vec<&Voter> = said.iter().filter(counts).collect();
    let stored = |name: &str| cx.world.get::<Policy>(name).map(|policy| &policy.spec);
    yes.sort_by(|a, b| a.order(stored(a.name)).cmp(&b.order(stored(b.name))));
    if let Some(first @ Voter { name, policy, mode, said: Said::Yes(so), .. }) = yes.first() {
        let because = format!("policy/{name} would be followed: {so}{}", first.unknown());
        return Ok((word(name, &policy.action, *mode), because));
    }
    let own = status.policy.as_str();
    match said.iter().find(|voter| voter.name == own) {
        Some(Voter { said: Said::Unknown(why), .. }) => Err(format!("policy/{own}: {why}")),
        Some(Voter { said: Said::Yes(_), .. }) => {
            Ok(("nothing".to_owned(), format!("policy/{own} would not have held long enough")))
        }
        Some(Voter { policy, .. }) => {
            Ok(("nothing".to_owned(), format!("not so on what was seen then: {}", policy.when)))
        }
        None => {
            Ok(("nothing".to_owned(), format!("policy/{own} is off, gone, or not meant for it")))
        }
    }
}

/// Whether a vote had not held long enough when it was decided, or was not listened to: as it was
/// kept, and of a policy that asks for another time by that. One that was followed did count. Of
/// one that did not vote, it is taken to be so for as long as anything that was voted for.
fn waited(cx: &Context, decision: &Object<Decision>, name: &str, policy: &Policy) -> bool {
    let status = &decision.status;
    let kept = status.votes.iter().find(|vote| vote.policy == name);
    let as_it_was =
        cx.world.get::<Policy>(name).is_some_and(|stored| stored.spec.hold == policy.hold);
    if let Some(vote) = kept.filter(|_| as_it_was) {
        let followed = status.policy == name && status.action.is_some();
        return vote.waits && !followed;
    }
    let first = status.votes.iter().map(|vote| vote.since).min();
    let Some(since) = kept.map(|vote| vote.since).or(first) else { return false };
    let at = status.acted_at.or(status.ended_at).unwrap_or(cx.now);
    at.since(since) < policy.hold
}

/// What a policy would have seen: all that was kept, with its own values. A value is that which was
/// asked for by the same query, whoever voted with it and whatever it is called there.
fn seen(
    cx: &Context,
    decision: &Object<Decision>,
    name: &str,
    policy: &Policy,
) -> BTreeMap<String, Value> {
    let votes = &decision.status.votes;
    let known = |wanted: &Measured| {
        // Its own first: that of another of the same query may be of another moment.
        let own = votes.iter().filter(|vote| vote.policy == name);
        own.chain(votes.iter().filter(|vote| vote.policy != name)).find_map(|vote| {
            let stored = cx.world.get::<Policy>(&vote.policy)?;
            let same = |it: &&Measured| (&it.query, &it.by) == (&wanted.query, &wanted.by);
            let it = stored.spec.values.iter().find(same)?;
            vote.values.get(&it.name).copied()
        })
    };
    let values = policy
        .values
        .iter()
        .filter_map(|wanted| Some((wanted.name.clone(), Value::from(known(wanted)?))));
    let mut inputs = decision.status.inputs.clone();
    inputs.insert("values".to_owned(), Value::Object(values.collect()));
    inputs
}

fn ask(policy: &Policy, inputs: &BTreeMap<String, Value>) -> Said {
    let ready = match Ready::read(policy) {
        Ok(ready) => ready,
        Err((path, wrong)) => return Said::Unknown(format!("{path}: {wrong}")),
    };
    let facts = Kept(inputs);
    match ready.judge(&facts) {
        Ok(true) => Said::Yes(ready.told(policy, &facts)),
        Ok(false) => Said::No,
        Err(failure) => Said::Unknown(failure),
    }
}

fn text<'a>(inputs: &'a BTreeMap<String, Value>, fact: &str, path: &str) -> Option<&'a str> {
    inputs.get(fact)?.pointer(path)?.as_str()
}

fn environment(inputs: &BTreeMap<String, Value>) -> Option<&str> {
    text(inputs, "deployment", "/spec/environment")
}

fn tier(inputs: &BTreeMap<String, Value>) -> &str {
    text(inputs, "application", "/metadata/labels/tier").unwrap_or_default()
}

/// Whether the inputs are of what a policy is about.
fn meant(policy: &Policy, inputs: &BTreeMap<String, Value>) -> bool {
    let of = &policy.subjects;
    let here = of.environments.is_empty()
        || environment(inputs).is_some_and(|name| of.environments.iter().any(|e| e == name));
    let application = text(inputs, "deployment", "/spec/application");
    let named = of.applications.is_empty()
        || application.is_some_and(|name| of.applications.iter().any(|a| a == name));
    let phase = text(inputs, "subject", "/status/phase");
    let phase = of.phases.is_empty() || phase.is_some_and(|p| of.phases.iter().any(|o| o == p));
    let whose = if of.kind == atoll_model::Kind::Host { "subject" } else { "application" };
    let labels = inputs.get(whose).and_then(|fact| fact.pointer("/metadata/labels")).cloned();
    let labels: BTreeMap<String, String> =
        labels.and_then(|labels| serde_json::from_value(labels).ok()).unwrap_or_default();
    here && named && phase && of.labels.matches(&labels)
}
