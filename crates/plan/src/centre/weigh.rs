//! From all votes about one thing to the one that is followed. The rule: votes count once they
//! have held long enough; whoever asks for more, or cannot tell, keeps anything from being taken
//! away; of what is left, what can be done goes before what the gate refuses, that before what
//! cannot be done, what may be done before what is only said, what its policy may do now before
//! what limits of its own hold back, what may be the cause before what only carries it
//! (`Action::rank`), and then the name decides. All are kept.

use std::sync::Arc;

use atoll_model::centre::action::{Action, Direction, What};
use atoll_model::centre::decision::{HeldBy, Vote};
use atoll_model::centre::{ActMode, Standing};
use atoll_model::{Decision, Object, Policy, Reason, Timestamp};

use super::action::{self, Deed};
use super::back;
use super::limit::{self, Asked};
use super::subject::Subject;
use crate::Context;

/// One policy with what it says of the thing.
struct Voter<'a> {
    policy: &'a Arc<Object<Policy>>,
    standing: &'a Standing,
    /// What it asks for.
    action: Action,
    due: Timestamp,
    /// What is to be done for it; nothing, where that cannot be done or is somebody else's to do.
    deed: Option<Deed>,
    /// Why the gate refuses that.
    refused: Option<String>,
    /// What of its policy's own keeps that from being done now, where it does more than to say.
    held: Option<(HeldBy, Reason)>,
    /// It only says.
    says: bool,
    /// It only records: nobody is kept from anything by it.
    observes: bool,
}

impl Voter<'_> {
    fn direction(&self) -> Direction {
        self.action.direction()
    }

    /// What keeps it from being carried out.
    fn held_by(&self) -> Option<HeldBy> {
        let impossible = self.deed.is_none().then_some(HeldBy::Impossible);
        let gate = self.refused.as_ref().map(|_| HeldBy::Gate);
        impossible.or(gate).or(self.held.as_ref().map(|(by, _)| *by))
    }

    /// Where it stands among others: the least goes first.
    fn order(&self) -> impl Ord + use<'_> {
        // What is refused today may pass tomorrow.
        (
            self.deed.is_none(),
            self.refused.is_some(),
            self.says,
            // Whoever only says does nothing instead.
            self.held.is_some(),
            self.action.rank(),
            self.policy.name(),
        )
    }
}

/// What came of weighing.
pub(super) struct Weighed<'a> {
    /// All votes, the one that is followed first.
    pub votes: Vec<Vote>,
    /// The policy that is followed, and in what.
    pub followed: Option<(&'a Arc<Object<Policy>>, Action)>,
    /// Why none is, where there are votes or it cannot be told.
    pub why_not: Option<Reason>,
    /// Why people are called beside, where one that counts acted in vain and another goes first.
    pub calls: Option<Reason>,
    /// The policies that cannot tell.
    pub blind: Vec<&'a str>,
}

/// Weighs all votes about what a decision is about.
///
/// Reasons of the policy that was followed before are told before those of others. What `beside`
/// waits to be approved does not go before what is asked for here.
pub(super) fn weigh<'a>(
    cx: &Context<'a>,
    decision: &Object<Decision>,
    of: Option<&Subject>,
    beside: Option<&Arc<Object<Decision>>>,
) -> Weighed<'a> {
    let (subject, own) = (&decision.spec.subject, &decision.status.policy);
    let policies = cx.world.all::<Policy>().filter(|policy| !policy.spec.off);
    let said = policies.filter_map(|policy| {
        let mut all = policy.status.standing.iter();
        let standing = all.find(|one| one.subject == *subject)?;
        let due = super::due(cx.world, policy, standing);
        let spec = &policy.spec;
        let action = back::wanted(spec, standing);
        let deed = of.and_then(|of| {
            let deed = action::make(cx, of, &action).ok()?;
            limit::somebody_else(cx, of, &action).is_none().then_some(deed)
        });
        let mode = of.map_or(spec.mode, |of| spec.mode_for(of.environment(), of.tier()));
        Some(Voter {
            policy,
            standing,
            action,
            due,
            deed,
            refused: None,
            held: None,
            says: mode < ActMode::Approve,
            observes: mode == ActMode::Observe,
        })
    });
    let (mut blind, mut voters): (Vec<Voter>, Vec<Voter>) =
        said.partition(|voter| voter.standing.blind.is_some());
    blind.sort_by_key(|voter| voter.policy.name() != *own);
    if let Some(of) = of {
        ask(cx, decision, of, &mut voters);
    }
    voters.sort_by(|a, b| a.order().cmp(&b.order()));
    let more = against_less(&voters, &blind);
    let mut followed: Option<(&Arc<Object<Policy>>, Action)> = None;
    let (mut votes, mut calls) = (Vec::new(), None);
    let name = |of: &Option<(&'a Arc<Object<Policy>>, Action)>| of.as_ref().map(|(p, _)| p.name());
    for voter in &voters {
        let kept = wanted_as_it_is(cx, voter, &voters).or_else(|| asks_people(voter, beside));
        let mut why = kept.or_else(|| not_counted(cx, voter, more.as_deref()));
        let counts = why.is_none();
        if let (true, Some(first)) = (counts, name(&followed)) {
            why = Some(goes_first(voter, first));
            let in_vain = voter.held.as_ref().filter(|(by, _)| *by == HeldBy::People);
            calls = calls.or_else(|| in_vain.map(|(_, reason)| reason.clone()));
        } else if counts {
            followed = Some((voter.policy, voter.action.clone()));
        }
        let held_by = voter.held_by().filter(|_| counts && voters.len() > 1);
        votes.push(Vote { held_by, ..vote(cx, voter, why) });
    }
    // Stable: the others stay in their order.
    votes.sort_by_key(|vote| vote.not_followed.is_some());
    let why_not = match &followed {
        Some(_) => None,
        None => {
            // Those that only have to wait say least.
            let first = votes.iter().find(|vote| !vote.waits).or(votes.first());
            none_followed(first, &blind)
        }
    };
    let blind = blind.iter().map(|voter| voter.policy.name()).collect();
    Weighed { votes, followed, why_not, calls, blind }
}

/// Asks the gate of what each wants, and what limits the policy of each, where there is a choice.
fn ask(cx: &Context, decision: &Object<Decision>, subject: &Subject, voters: &mut [Voter]) {
    if voters.len() < 2 {
        return;
    }
    for voter in voters {
        let Some(deed) = &voter.deed else { continue };
        let said = limit::gate(cx, deed);
        let first = || said.reasons.first().map(|r| r.message.clone()).unwrap_or_default();
        voter.refused = (!said.passes).then(first);
        if !voter.says {
            let (policy, action) = (voter.policy, &voter.action);
            let asked = Asked { cx, decision, subject, policy, action };
            voter.held = asked.held(&deed.words);
        }
    }
}

/// Why nothing is taken away, if somebody asks for more or cannot tell whether they would.
fn against_less(voters: &[Voter], blind: &[Voter]) -> Option<String> {
    let up = |voter: &&Voter| voter.direction() == Direction::Up && !voter.observes;
    if let Some(more) = voters.iter().find(up) {
        let name = more.policy.name();
        return Some(format!("policy/{name} asks for more, which goes before less"));
    }
    let cannot = blind.iter().find(up)?;
    let (name, why) = (cannot.policy.name(), cannot.standing.blind.as_deref().unwrap_or_default());
    Some(format!("policy/{name} cannot tell whether more is needed: {why}"))
}

/// Why a switch is not given back, if another policy wants it as it is.
fn wanted_as_it_is(cx: &Context, voter: &Voter, voters: &[Voter]) -> Option<String> {
    let Action::GiveBack(back) = &voter.action else { return None };
    let taken = cx.world.get::<Decision>(&back.decision)?.status.taken.as_ref()?;
    let What::Value { config, key, is, .. } = &taken.what else { return None };
    let same = |other: &&Voter| match &other.action {
        Action::Switch(to) => {
            to.key == *key && to.value == *is && to.config.as_ref().is_none_or(|it| it == config)
        }
        _ => false,
    };
    let other = voters.iter().filter(|other| !other.observes).find(same)?;
    Some(format!("policy/{} wants it as it is", other.policy.name()))
}

/// Why a vote is none for what is given back beside a decision that people are asked about.
fn asks_people(voter: &Voter, beside: Option<&Arc<Object<Decision>>>) -> Option<String> {
    let beside = beside?;
    let gives_back = matches!(voter.action, Action::GiveBack(_));
    let other = beside.status.policy == voter.policy.name() || !gives_back;
    other.then(|| format!("decision/{} waits for somebody to approve it", beside.name()))
}

/// Why a vote does not count.
fn not_counted(cx: &Context, voter: &Voter, more: Option<&str>) -> Option<String> {
    if let Some(until) = voter.standing.damped_until.filter(|until| cx.now < *until) {
        return Some(format!("it comes and goes, and is not listened to until {until}"));
    }
    if cx.now < voter.due {
        return Some(format!("it has to hold until {}", voter.due));
    }
    more.filter(|_| voter.direction() == Direction::Down).map(str::to_owned)
}

/// Why a vote that counts is not followed.
fn goes_first(voter: &Voter, first: &str) -> String {
    match (&voter.refused, &voter.held) {
        (Some(why), _) => format!("policy/{first} goes first, as this is refused: {why}"),
        (None, Some((_, Reason { message: why, .. }))) => {
            format!("policy/{first} goes first, as this is not done now: {why}")
        }
        (None, None) => format!("policy/{first} goes first"),
    }
}

fn vote(cx: &Context, voter: &Voter, why: Option<String>) -> Vote {
    let damped = voter.standing.damped_until.is_some_and(|until| cx.now < until);
    Vote {
        waits: damped || cx.now < voter.due,
        policy: voter.policy.name().to_owned(),
        action: voter.action.clone(),
        since: voter.standing.since,
        when: match voter.action {
            Action::GiveBack(_) => format!("!({})", voter.policy.spec.when),
            _ => voter.policy.spec.when.clone(),
        },
        values: voter.standing.values.clone(),
        message: voter.standing.message.clone(),
        not_followed: why,
        held_by: None,
    }
}

fn none_followed(first: Option<&Vote>, blind: &[Voter]) -> Option<Reason> {
    if let Some(vote) = first {
        let why = vote.not_followed.clone().unwrap_or_default();
        let message = format!("policy/{} is not followed: {why}", vote.policy);
        return Some(Reason::new("not-followed", message));
    }
    let first = blind.first()?;
    let why = first.standing.blind.as_deref().unwrap_or_default();
    let message = format!("policy/{} cannot tell any more: {why}", first.policy.name());
    let hint = "nothing is done on what is not measured";
    Some(Reason::new("no-data", message).hint(hint))
}
