//! The decision centre in words: what a policy sees, and how far a decision is.

use std::sync::Arc;

use atoll_model::centre::action::Action;
use atoll_model::centre::decision::{DecisionPhase, Helped, Vote};
use atoll_model::centre::{ActMode, PolicyPhase};
use atoll_model::decision::Holds;
use atoll_model::{Decision, Deployment, Freeze, Kind, Object, Policy, Reason, many};

use super::{NAMED, Told, word};
use crate::Context;
use crate::centre::limit;
use crate::decision::freeze;

pub(super) fn policy(cx: &Context, it: &Object<Policy>, told: &mut Told) {
    let (name, spec, status) = (it.name(), &it.spec, &it.status);
    let votes: Vec<_> = status.standing.iter().filter(|one| one.blind.is_none()).collect();
    let back = votes.iter().filter(|one| one.gives_back.is_some()).count();
    let sees = match status.phase {
        PolicyPhase::Off => "is switched off".to_owned(),
        PolicyPhase::Quiet => "sees nothing to be done".to_owned(),
        PolicyPhase::Voting => format!("votes about {}", many(votes.len() - back, "thing")),
        PolicyPhase::GivingBack => {
            format!("votes for nothing any more, and gives back what it took of {}", {
                many(back, "thing")
            })
        }
        PolicyPhase::Damped => "comes and goes, and is not listened to".to_owned(),
        PolicyPhase::Blind => "cannot tell everywhere".to_owned(),
    };
    let mode = match spec.mode {
        ActMode::Observe => "only records",
        ActMode::Advise => "says",
        ActMode::Approve => "asks somebody to approve",
        ActMode::Act => "does",
    };
    let other = if spec.modes.is_empty() { "" } else { ", elsewhere by its other modes" };
    let record = &status.record;
    told.state = format!(
        "{name} {sees}. It {mode} what is to be done{other}: {}. Of {} {} were carried out; \
         {} helped, {} did not, of {} it is not known; people said of {} that they were right, of \
         {} wrong.",
        spec.action.phrase(&one(spec.subjects.kind)),
        many(record.decisions as usize, "decision"),
        record.acted,
        record.helped,
        record.did_not,
        record.unknown,
        record.right,
        record.wrong,
    );
    let may_act = spec.mode == ActMode::Act || spec.modes.iter().any(|m| m.mode == ActMode::Act);
    let asked = spec.requires.as_ref().filter(|asked| may_act && !record.meets(asked));
    if let Some(asked) = asked {
        told.waiting_for.push(format!(
            "its record, before it acts: {} decisions that people judged, {} of them right",
            asked.decisions, asked.right
        ));
    }
    in_the_way(cx, it, told);
    for one in votes {
        let due = crate::centre::due(cx.world, it, one);
        if cx.now < due {
            told.waiting_for.push(match one.gives_back {
                Some(_) => format!("{} to need nothing more until {due}", one.subject),
                None => format!("{} to be so until {due}", one.subject),
            });
        }
        told.see(one.subject.clone());
    }
    let open = cx
        .world
        .all::<Decision>()
        .filter(|decision| decision.status.policy == name && decision.status.ended_at.is_none());
    open.take(5).for_each(|decision| told.see(format!("decision/{}", decision.name())));
}

/// What keeps a policy from doing what it votes for.
fn in_the_way(cx: &Context, it: &Object<Policy>, told: &mut Told) {
    let (name, spec) = (it.name(), &it.spec);
    let mut modes = spec.modes.iter().map(|rule| rule.mode).chain([spec.mode]);
    if !spec.off && modes.any(|mode| mode >= ActMode::Approve) {
        let stops = cx.world.all::<Freeze>().filter(|freeze| freeze.spec.active(cx.now));
        let mut stops = stops.filter(|freeze| freeze.spec.holds == Holds::Decisions);
        told.reasons.extend(stops.next().map(|freeze| freeze::stopped(freeze)));
        told.reasons.extend(limit::used_up(cx, it));
    }
    let votes = it.status.standing.iter().filter(|one| one.blind.is_none());
    let others = votes.filter_map(|one| {
        let open = crate::centre::decision::open_about(cx.world, &one.subject)?;
        let mut own = open.status.votes.iter().filter(|vote| vote.policy == name && !vote.waits);
        let own = own.next().and_then(|vote| vote.not_followed.clone());
        let why = own.or_else(|| goes_first(open, name))?;
        told.see(format!("decision/{}", open.name()));
        Some(Reason::new("not-followed", format!("about {}: {why}", one.subject)))
    });
    let others: Vec<Reason> = others.take(NAMED).collect();
    told.reasons.extend(others);
}

/// That what another policy wanted about the same thing was carried out and is being measured:
/// votes that came to count since are heard once that is over.
fn goes_first(open: &Object<Decision>, policy: &str) -> Option<String> {
    let (first, id) = (&open.status.policy, open.name());
    let other = open.status.acted_at.is_some() && first != policy;
    other.then(|| format!("policy/{first} goes first: decision/{id} is being measured"))
}

/// One of a kind, with its article.
fn one(kind: Kind) -> String {
    let word = kind.lower();
    let article = if word.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {word}")
}

pub(super) fn decision(cx: &Context, it: &Object<Decision>, told: &mut Told) {
    let status = &it.status;
    let over = status.ended_at.is_some();
    told.state = state(it);
    if let Some(now) = told_by_now(cx, it) {
        told.reasons.push(atoll_model::Reason::new("now", format!("by now: {now}")));
    }
    // One of them may be told of already, as what nothing is done for.
    let told_of = |vote: &Vote| {
        let begins = format!("policy/{} is not followed", vote.policy);
        status.reasons.iter().any(|reason| reason.message.starts_with(&begins))
    };
    let others = status.votes.iter().filter(|vote| !told_of(vote));
    let others = others.filter_map(|vote| Some((vote, vote.not_followed.as_ref()?)));
    for (vote, why) in others {
        // What was so when it was carried out or closed stays what is told of it.
        let past = over || status.acted_at.is_some();
        let wants = if past { "wanted" } else { "wants" };
        let why = match vote.waits && (past || counts_by_now(cx, it, vote)) {
            true => "it did not count yet when votes were weighed",
            false => why,
        };
        let message = format!("policy/{} {wants} to {}: {why}", vote.policy, vote.action.word());
        told.reasons.push(atoll_model::Reason::new("other-vote", message));
    }
    match status.phase {
        DecisionPhase::Waiting if !over => {
            told.waiting_for.push(format!("an approval: atoll approve decision/{}", it.name()));
        }
        DecisionPhase::Acting => {
            if let Some(expected) = &status.expected {
                let by = expected.by.map(|by| format!(" by {by}")).unwrap_or_default();
                told.waiting_for.push(format!("{}{by}", expected.that));
            }
        }
        _ => {}
    }
    if let Some(effect) = &status.effect {
        told.reasons.push(atoll_model::Reason::new("effect", effect.message.clone()));
    }
    for suspect in &status.suspects {
        let message = format!("{}: {}", suspect.change, suspect.why);
        told.reasons.push(atoll_model::Reason::new("suspect", message));
    }
    deeds(it, told);
    told.next.extend(given_back(cx, it));
    told.see(it.spec.subject.clone());
    told.see(format!("policy/{}", status.policy));
    let subject = it.spec.subject.strip_prefix("instance/").and_then(|i| i.rsplit_once('.'));
    if let Some((deployment, _)) = subject {
        told.see(format!("deployment/{deployment}"));
    }
}

/// Whether a vote that had to wait has not to any more, or is none any more.
fn counts_by_now(cx: &Context, it: &Object<Decision>, vote: &Vote) -> bool {
    let policy = cx.world.get::<Policy>(&vote.policy);
    let standing = policy.and_then(|policy| {
        let mut all = policy.status.standing.iter();
        Some((policy, all.find(|one| one.subject == it.spec.subject)?))
    });
    standing.is_none_or(|(policy, standing)| {
        let due = crate::centre::due(cx.world, policy, standing);
        cx.now >= standing.damped_until.map_or(due, |until| until.max(due))
    })
}

/// What it is about and how far it is, in one sentence.
fn state(it: &Object<Decision>) -> String {
    let status = &it.status;
    let what = match &status.action {
        Some(action) => format!("to {}", action.phrase(&it.spec.subject)),
        None => format!("about {}", it.spec.subject),
    };
    let over = status.ended_at.is_some();
    let how = match status.phase {
        DecisionPhase::Open => "was just made",
        DecisionPhase::Observed => "is only recorded",
        DecisionPhase::Advised => "is advice",
        DecisionPhase::Waiting if over => "waited for an approval, and nobody gave one",
        DecisionPhase::Waiting => "waits for somebody to approve",
        DecisionPhase::Skipped if over || is_judged_wrong(it) => "was not carried out",
        DecisionPhase::Skipped => "is not carried out for now",
        DecisionPhase::Acting => "was carried out, and is being measured",
        DecisionPhase::Measured => match status.effect.as_ref().map(|effect| effect.verdict) {
            Some(Helped::Helped) => "was carried out, and helped",
            Some(Helped::DidNot) => "was carried out, and did not help",
            Some(Helped::Unknown) | None => "was carried out; whether it helped is not known",
        },
        DecisionPhase::Escalated => "is left to people",
    };
    let mut own = status.votes.iter().filter(|vote| vote.policy == status.policy);
    let because = own.next().map(|vote| format!(": {}", vote.message));
    let ended = if over && status.acted_at.is_none() { "; it is over" } else { "" };
    format!(
        "The decision {what}, of policy/{} in mode {}, {how}{ended}{}.",
        status.policy,
        word(&status.mode),
        because.unwrap_or_default()
    )
}

fn is_judged_wrong(it: &Object<Decision>) -> bool {
    it.spec.feedback.as_ref().is_some_and(|said| !said.right)
}

/// What was done, or would be.
fn deeds(it: &Object<Decision>, told: &mut Told) {
    let status = &it.status;
    match status.acted_at {
        Some(_) => {
            let done = status.changes.iter().map(|change| Reason::new("done", change.clone()));
            told.reasons.extend(done);
        }
        None if status.ended_at.is_none() && !is_judged_wrong(it) => {
            let changes = status.changes.iter();
            told.next.extend(changes.map(|change| format!("would be done: {change}")));
        }
        None => {}
    }
}

/// What the decision centre wants for a deployment or its instances, and what of it others have for
/// a while.
pub(super) fn about(cx: &Context, it: &Object<Deployment>, told: &mut Told) {
    let id = format!("deployment/{}", it.name());
    let mut open = crate::centre::decision::open_near(cx.world, &id);
    // What is about it goes before what is about one of its instances.
    open.sort_by_key(|decision| decision.spec.subject != id);
    let more = open.len().saturating_sub(NAMED);
    open.into_iter().take(NAMED).for_each(|decision| wanted(decision, told));
    if more > 0 {
        let message = format!("{} more are about instances of it", many(more, "decision"));
        told.reasons.push(Reason::new("decision", message));
    }
    lent(cx, it.name(), told);
}

/// What the decision centre wants for an instance.
pub(super) fn about_instance(cx: &Context, name: &str, told: &mut Told) {
    let open = crate::centre::decision::open_about(cx.world, &format!("instance/{name}"));
    open.into_iter().for_each(|decision| wanted(decision, told));
}

/// What a decision that is not over wants, to whom it is about.
fn wanted(open: &Object<Decision>, told: &mut Told) {
    let (id, status) = (format!("decision/{}", open.name()), &open.status);
    let what = status.action.as_ref().map(|action| action.phrase(&open.spec.subject));
    let what = what.unwrap_or_else(|| "do something".to_owned());
    match status.phase {
        DecisionPhase::Waiting => {
            told.waiting_for.push(format!("an approval to {what}: atoll approve {id}"));
        }
        phase => {
            let (policy, phase) = (&status.policy, word(&phase));
            let message = format!("policy/{policy} is to {what}: {id} is {phase}");
            told.reasons.push(Reason::new("decision", message));
        }
    }
    told.see(id);
}

/// What of a deployment others have for a while.
pub(super) fn lent(cx: &Context, deployment: &str, told: &mut Told) {
    for lent in crate::centre::back::lent(cx.world, deployment) {
        let (subject, id) = (&lent.spec.subject, format!("decision/{}", lent.name()));
        let message = format!("it gave instances up for {subject}, until that is over: {id}");
        told.reasons.push(Reason::new("lent", message));
        told.see(id);
    }
}

/// What its policy sees now of what a decision is about that was not carried out, where that is
/// something else than when it was first wanted.
fn told_by_now<'a>(cx: &'a Context, it: &Object<Decision>) -> Option<&'a str> {
    let status = &it.status;
    if status.ended_at.is_some() || status.acted_at.is_some() {
        return None;
    }
    let first = status.votes.iter().find(|vote| vote.policy == status.policy)?;
    let standing = &cx.world.get::<Policy>(&status.policy)?.status.standing;
    let now = standing.iter().find(|one| one.subject == it.spec.subject)?;
    (now.blind.is_none() && now.message != first.message).then_some(now.message.as_str())
}

/// What becomes of what a decision took, while that is still as it was left.
fn given_back(cx: &Context, it: &Object<Decision>) -> Option<String> {
    let taken = it.status.taken.as_ref()?;
    let of_this = |decision: &&Arc<Object<Decision>>| match &decision.status.action {
        Some(Action::GiveBack(back)) => back.decision == it.name(),
        _ => false,
    };
    if let Some(at) = taken.returned_at {
        return Some(format!("what it took was given back at {at}"));
    }
    if !crate::centre::back::is_open(cx.world, it) {
        let later = |other: &&Arc<Object<Decision>>| {
            let (own, of_it) = (&it.status, &other.status);
            own.policy == of_it.policy
                && it.spec.subject == other.spec.subject
                && of_it.acted_at > own.acted_at
                && of_it.taken.as_ref().is_some_and(|taken| taken.returned_at.is_none())
        };
        if let Some(later) = cx.world.all::<Decision>().find(later) {
            let id = format!("decision/{}", later.name());
            return Some(format!("{id} took more of it since, which is given back first"));
        }
        return it.status.acted_at.map(|_| "somebody has changed what it took since".to_owned());
    }
    let mut open = cx.world.all::<Decision>().filter(|d| d.status.ended_at.is_none());
    if let Some(back) = open.find(of_this) {
        let (id, phase) = (format!("decision/{}", back.name()), word(&back.status.phase));
        let why = back.status.reasons.first().map(|why| format!(", {}", why.message));
        let why = why.unwrap_or_default();
        return Some(format!("what it took is given back by {id}, which is {phase}{why}"));
    }
    let policy = cx.world.get::<Policy>(&it.status.policy).filter(|policy| !policy.spec.off);
    let after = policy.map(|policy| policy.spec.give_back_after).filter(|after| after.0 > 0);
    let standing = policy.map(|policy| &policy.status.standing).into_iter().flatten();
    let mut blind = standing.filter(|one| one.subject == it.spec.subject);
    let blind = blind.find_map(|one| one.blind.as_ref());
    Some(match (after, blind) {
        (Some(after), Some(why)) => format!(
            "whether that is over cannot be told: {why}; what it took stays as it is until it can, \
             and is given back once that is over for {after}"
        ),
        (Some(after), None) => {
            format!("what it took is given back once that is over for {after}")
        }
        (None, _) => "what it took stays as it is until somebody gives it back".to_owned(),
    })
}
