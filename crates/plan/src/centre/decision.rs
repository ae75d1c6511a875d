//! One decision: who voted, which vote is followed, how far that may go, what the gate says of it,
//! and afterwards whether it helped. Until it is carried out it is decided anew at every turn; once
//! it was, it is only measured.

use std::sync::Arc;

use atoll_model::centre::action::Action;
use atoll_model::centre::decision::{DecisionPhase, DecisionStatus, GateSays, Vote};
use atoll_model::centre::{ActMode, Policy, PolicyStatus};
use atoll_model::{Any, Approval, Decision, Intent, Kind, Object, Reason, Snapshot, Span, Write};

use super::action::{self, Deed};
use super::facts::{Firing, Scene};
use super::limit::{self, Asked};
use super::subject::Subject;
use super::weigh::Weighed;
use super::{EVERY, alert, back, effect, measure, open, weigh};
use crate::alerting::suspect::suspects;
use crate::query::Query;
use crate::{Context, Plan, edit, sooner};

pub(crate) use super::open::{about as open_about, near as open_near};

/// The planner's name, by which the gate knows it.
pub const NAME: &str = "decision";
/// What is over stays at least so long.
const DAY: Span = Span::seconds(86_400);

/// What is to be measured of one that was carried out.
pub fn queries(cx: &Context, name: &str) -> Vec<Query> {
    let decision = cx.world.get::<Decision>(name).filter(|d| d.status.is_in_flight());
    let policy = decision.and_then(|d| cx.world.get::<Policy>(&d.status.policy));
    policy.map(|policy| measure::queries(&policy.spec, cx.now)).unwrap_or_default()
}

/// Plans for one decision.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(decision) = cx.world.get::<Decision>(name) else { return Plan::nothing() };
    if decision.status.ended_at.is_some() {
        let plan = Plan { writes: forgotten(cx, decision), ..Plan::new(Intent::Observe) };
        return alert::settle(cx, decision, plan);
    }
    let plan = Plan { again_at: Some(cx.now + EVERY), ..Plan::new(Intent::Observe) };
    let (status, votes) = (decision.status.clone(), Vec::new());
    let mut turn = Turn { cx, decision, plan, status, votes };
    if decision.status.acted_at.is_some() {
        turn.measure();
    } else {
        turn.decide();
    }
    turn.done()
}

/// What is over goes with its policy, a day after that; while that is there, it sees to it.
fn forgotten(cx: &Context, decision: &Object<Decision>) -> Vec<Write> {
    let status = &decision.status;
    let old = status.ended_at.is_some_and(|ended| cx.now.since(ended) >= DAY);
    if !old || cx.world.get::<Policy>(&status.policy).is_some() {
        return Vec::new();
    }
    forget(cx.world, decision)
}

/// Deletes a decision with what people approved of it.
pub(super) fn forget(world: &Snapshot, decision: &Object<Decision>) -> Vec<Write> {
    let approvals = world.derived::<Approval>(decision.name()).map(|approval| Write::Delete {
        kind: Kind::Approval,
        name: approval.meta.name.clone(),
        revision: approval.meta.revision,
    });
    let mut writes: Vec<Write> = approvals.collect();
    let (name, revision) = (decision.meta.name.clone(), decision.meta.revision);
    writes.push(Write::Delete { kind: Kind::Decision, name, revision });
    writes
}

/// One turn of one decision.
struct Turn<'a> {
    cx: &'a Context<'a>,
    decision: &'a Arc<Object<Decision>>,
    plan: Plan,
    status: DecisionStatus,
    /// The votes with what is measured now; those of the status are as they were first given.
    votes: Vec<Vote>,
}

impl Turn<'_> {
    fn measure(&mut self) {
        let policy = self.cx.world.get::<Policy>(&self.status.policy);
        let asks = policy.is_some_and(|policy| !policy.spec.values.is_empty());
        if asks && self.cx.measured.answers.is_empty() {
            return;
        }
        let policy = policy.map(|policy| &**policy);
        let again = policy.and_then(|policy| effect::wanted_again(self.decision, policy));
        let again = again.filter(|at| *at > self.cx.now);
        self.plan.again_at = sooner(self.plan.again_at, again);
        let came = effect::measure(self.cx, self.decision, policy, &mut self.status);
        let by = self.status.expected.as_ref().and_then(|expected| expected.by);
        self.plan.again_at = sooner(self.plan.again_at, by.filter(|by| *by > self.cx.now));
        let since = self.status.expected.as_ref().and_then(|expected| expected.since);
        let held = since
            .zip(policy)
            .map(|(since, policy)| since + effect::hold(&policy.spec, &self.status));
        self.plan.again_at = sooner(self.plan.again_at, held);
        if let Some(effect) = came {
            let message = format!("{} {}", self.status.policy, effect.message);
            self.plan.reasons.push(Reason::new("measured", message));
            self.restore();
            self.status.phase = DecisionPhase::Measured;
            self.status.effect = Some(effect);
            self.status.ended_at = Some(self.cx.now);
        }
    }

    /// Lets a deployment that gave up what it was taken back to ask for what it did before, unless
    /// that may not be: then it stays as it is, and people see to it.
    fn restore(&mut self) {
        let asks = effect::restored(self.cx, self.decision);
        let asks = asks.map(|deployment| Any::Deployment(Arc::new(deployment)));
        let Some(Ok(plan)) = asks.map(|any| edit::apply(self.cx, vec![any])) else { return };
        let deed = Deed { writes: plan.writes, words: Vec::new(), taken: None };
        if limit::gate(self.cx, &deed).passes {
            self.plan.writes.extend(deed.writes);
            self.plan.intent = Intent::Edit;
        }
    }

    fn decide(&mut self) {
        let id = &self.decision.spec.subject;
        let subject = Subject::find(self.cx.world, id);
        let back = matches!(self.status.action, Some(Action::GiveBack(_)));
        let beside =
            open::waits_for_people(self.cx.world, id, self.decision.name()).filter(|_| back);
        let weighed = weigh::weigh(self.cx, self.decision, subject.as_ref(), beside);
        self.status.reasons.clear();
        self.status.verdict = None;
        // Who never asked for anything and cannot tell now keeps nothing open.
        let asked = |name: &str| {
            self.status.policy == name || self.status.votes.iter().any(|vote| vote.policy == name)
        };
        let open = !weighed.votes.is_empty() || weighed.blind.iter().any(|name| asked(name));
        let Some(subject) = subject.filter(|_| open) else {
            let own = &self.status.policy;
            let why = self.no_policy(own);
            return self.over(why.unwrap_or_else(|| "nobody votes for it any more".to_owned()));
        };
        if let Some(why) = self.is_another(&weighed) {
            return self.over(why);
        }
        self.votes.clone_from(&weighed.votes);
        self.keep_votes(weighed.votes);
        let Some((policy, action)) = weighed.followed else {
            self.keep_to_own(&subject);
            let why = weighed.why_not;
            return self.skip(why.unwrap_or_else(|| Reason::new("not-followed", "no vote counts")));
        };
        self.status.policy = policy.meta.name.clone();
        self.status.action = Some(action.clone());
        self.status.expected = Some(effect::expected(&policy.spec, &action));
        if self.status.inputs.is_empty() {
            self.keep_inputs(&subject);
        }
        let mode = policy.spec.mode_for(subject.environment(), subject.tier());
        self.status.mode = self.allowed(policy, mode);
        self.status.reasons.extend(weighed.calls);
        let deed = action::make(self.cx, &subject, &action);
        let other = limit::somebody_else(self.cx, &subject, &action);
        self.status.changes = deed.as_ref().map(|deed| deed.words.clone()).unwrap_or_default();
        self.status.verdict = deed.as_ref().ok().map(|deed| limit::gate(self.cx, deed));
        if self.status.mode < ActMode::Approve {
            let against = other.or(deed.err());
            self.status.phase = match self.status.mode {
                ActMode::Observe => DecisionPhase::Observed,
                // What cannot be done, or is somebody else's, is no advice.
                _ if against.is_some() => DecisionPhase::Skipped,
                _ => DecisionPhase::Advised,
            };
            self.status.reasons.splice(0..0, against);
            return;
        }
        match (other, deed) {
            (Some(reason), _) | (None, Err(reason)) => self.skip(reason),
            (None, Ok(deed)) => self.go_on(&subject, policy, deed),
        }
    }

    /// Why what is decided now is another thing than what this decision was about, and than what
    /// people were asked about: it ends then, and another one is made.
    fn is_another(&self, weighed: &Weighed) -> Option<String> {
        let (own, known) = (self.status.policy.as_str(), self.status.action.as_ref());
        let just_made = self.status.phase == DecisionPhase::Open && known.is_none();
        // It was made for whoever asked first, and becomes that of whoever goes first then.
        if just_made && weighed.followed.is_some() {
            return None;
        }
        let asks = weighed.votes.iter().any(|vote| vote.policy == own);
        if !asks && !weighed.blind.contains(&own) {
            let ended = || format!("policy/{own} does not vote for it any more");
            return Some(self.no_policy(own).unwrap_or_else(ended));
        }
        let (policy, action) = weighed.followed.as_ref()?;
        match policy.name() == own {
            true if known.is_none_or(|known| action == known) => None,
            true => Some(format!("policy/{own} wants something else by now")),
            false => Some(format!("policy/{} goes first by now", policy.name())),
        }
    }

    /// Says what the policy it was made for wants and how far that may go, while none is followed.
    fn keep_to_own(&mut self, subject: &Subject) {
        let Some(policy) = self.cx.world.get::<Policy>(&self.status.policy) else { return };
        let mut votes = self.votes.iter();
        let wanted = votes.find(|vote| vote.policy == policy.name());
        let wanted = wanted.map(|vote| vote.action.clone());
        self.status.action = self.status.action.take().or(wanted);
        let mode = policy.spec.mode_for(subject.environment(), subject.tier());
        self.status.mode = self.allowed(policy, mode);
    }

    /// Why a policy can vote for nothing any more.
    fn no_policy(&self, own: &str) -> Option<String> {
        match self.cx.world.get::<Policy>(own) {
            None => Some(format!("policy/{own} is no more")),
            Some(policy) => policy.spec.off.then(|| format!("policy/{own} is off")),
        }
    }

    /// How far it may go, with the record its policy has.
    fn allowed(&mut self, policy: &Object<Policy>, mode: ActMode) -> ActMode {
        let asked = policy.spec.requires.as_ref().filter(|_| mode == ActMode::Act);
        let record = policy.status.record;
        let Some(asked) = asked.filter(|asked| !record.meets(asked)) else { return mode };
        let message = format!(
            "policy/{} acts once {} of its decisions were judged and {} of them right; so far {} \
             were right and {} wrong",
            policy.name(),
            asked.decisions,
            asked.right,
            record.right,
            record.wrong
        );
        let hint = "until then it asks; say of its decisions: atoll decisions right NAME";
        self.status.reasons.push(Reason::new("record", message).hint(hint));
        ActMode::Approve
    }

    /// Carries it out, unless something speaks against that.
    fn go_on(&mut self, subject: &Subject, policy: &Arc<Object<Policy>>, deed: Deed) {
        let cx = self.cx;
        let said = self.decision.spec.feedback.as_ref();
        if let Some(said) = said.filter(|said| !said.right) {
            let comment = said.comment.trim();
            let comment = if comment.is_empty() { String::new() } else { format!(": {comment}") };
            let message = format!("somebody said that it is wrong{comment}");
            return self.skip(Reason::new("judged-wrong", message));
        }
        let action = self.status.action.clone().unwrap_or_else(|| policy.spec.action.clone());
        let asked = Asked { cx, decision: self.decision, subject, policy, action: &action };
        if let Some(reason) = asked.calls_people(&self.status.changes) {
            self.status.phase = DecisionPhase::Escalated;
            return self.status.reasons.insert(0, reason);
        }
        // What stops everything is the gate's, and is said before what holds this one.
        if let Some(verdict) = self.status.verdict.as_ref().filter(|verdict| !verdict.passes) {
            let reasons = verdict.reasons.clone();
            self.status.phase = DecisionPhase::Skipped;
            self.status.reasons.splice(0..0, reasons);
            return;
        }
        if let Some((reason, again)) = asked.limit() {
            self.plan.again_at = sooner(self.plan.again_at, again);
            return self.skip(reason);
        }
        if self.status.mode == ActMode::Approve {
            let given = cx.world.derived::<Approval>(self.decision.name());
            let subject = format!("decision/{}", self.decision.name());
            let given = given.filter(|approval| approval.spec.subject == subject);
            self.status.approved_by = given.map(|approval| approval.spec.by.clone()).collect();
            if self.status.approved_by.is_empty() {
                self.status.phase = DecisionPhase::Waiting;
                return;
            }
        }
        self.act(subject, policy, deed);
    }

    fn act(&mut self, subject: &Subject, policy: &Object<Policy>, deed: Deed) {
        let now = self.cx.now;
        // What comes of it is told from how things are now, and not from when it was first wanted.
        self.status.votes = std::mem::take(&mut self.votes);
        self.keep_inputs(subject);
        self.status.phase = DecisionPhase::Acting;
        self.status.acted_at = Some(now);
        if let Some(expected) = &mut self.status.expected {
            expected.by = Some(now + policy.spec.expect.within);
        }
        let because = self.status.votes.first().map_or("", |vote| vote.message.as_str());
        let by = match self.status.approved_by.as_slice() {
            [] => String::new(),
            some => format!(", approved by {}", some.join(", ")),
        };
        let action = self.status.action.as_ref().unwrap_or(&policy.spec.action);
        let message = format!(
            "decision/{}: policy/{}, {}{by}: {because}",
            self.decision.name(),
            policy.name(),
            action.word()
        );
        self.plan.intent = Intent::Edit;
        self.plan.reasons.push(Reason::new("decision", message));
        self.plan.writes = deed.writes;
        self.plan.writes.extend(back::mark(self.cx.world, action, now));
        self.status.taken = deed.taken;
    }

    /// Nothing is left to be decided.
    fn over(&mut self, why: String) {
        self.status.reasons.push(Reason::new("ended", why));
        self.status.ended_at = Some(self.cx.now);
    }

    /// Nothing is done for now. Why not is said before what else there is to say: it is what lists
    /// show.
    fn skip(&mut self, reason: Reason) {
        self.status.phase = DecisionPhase::Skipped;
        self.status.reasons.insert(0, reason);
    }

    /// Votes as they were, where nothing but what was measured has changed: that goes up and down.
    fn keep_votes(&mut self, votes: Vec<Vote>) {
        let old = std::mem::take(&mut self.status.votes);
        let same = |new: &Vote| {
            let mut old = old.iter();
            let is = |o: &&Vote| {
                (&o.policy, &o.action, o.since, &o.when, &o.not_followed, o.held_by)
                    == (
                        &new.policy,
                        &new.action,
                        new.since,
                        &new.when,
                        &new.not_followed,
                        new.held_by,
                    )
            };
            old.find(is).cloned()
        };
        self.status.votes = votes.into_iter().map(|new| same(&new).unwrap_or(new)).collect();
    }

    /// Keeps all that expressions see now, and what may be the cause.
    fn keep_inputs(&mut self, subject: &Subject) {
        let votes = self.status.votes.iter();
        let values = votes.flat_map(|vote| vote.values.clone()).collect();
        let firing = Firing::of(self.cx.world);
        self.status.inputs = Scene::new(self.cx, subject, &firing, &values).all();
        let since = self.status.votes.first().map_or(self.cx.now, |vote| vote.since);
        let mut suspects = suspects(self.cx.world, &subject.id(), since);
        for suspect in &mut suspects {
            suspect.why = suspect.why.replace("the alert began to hold", "this began");
        }
        self.status.suspects = suspects;
    }

    fn done(mut self) -> Plan {
        if self.status == self.decision.status {
            return alert::settle(self.cx, self.decision, self.plan);
        }
        let mut new = Object::clone(self.decision);
        new.status = self.status;
        let new = Arc::new(new);
        self.plan.reasons.extend(match self.plan.intent {
            Intent::Edit => Vec::new(),
            _ => new.status.reasons.clone(),
        });
        self.plan.writes.insert(0, Write::Put(Any::Decision(new.clone())));
        alert::settle(self.cx, &new, self.plan)
    }
}

/// What a decision is, if the gate holds what it would do: it was not done.
pub(crate) fn held(status: &mut DecisionStatus, old: &DecisionStatus, reasons: &[Reason]) {
    if status.acted_at.is_some() && old.acted_at.is_none() {
        status.phase = DecisionPhase::Skipped;
        status.acted_at = None;
        status.taken = None;
        status.verdict = Some(GateSays { passes: false, reasons: reasons.to_vec() });
        if let Some(expected) = &mut status.expected {
            expected.by = None;
        }
    }
}

/// The decisions a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let open = |subject: &str| -> Vec<String> {
        open::all_about(world, subject).map(|d| d.meta.name.clone()).collect()
    };
    match (old, new) {
        (Some(Any::Decision(old)), Some(Any::Decision(new)))
            if old.status.ended_at == new.status.ended_at && old.spec == new.spec =>
        {
            Vec::new()
        }
        (_, Some(Any::Decision(decision))) => vec![decision.meta.name.clone()],
        (_, Some(Any::Approval(approval))) => {
            let name = approval.spec.subject.strip_prefix("decision/");
            name.map(str::to_owned).into_iter().collect()
        }
        (Some(Any::Freeze(_)), _) | (_, Some(Any::Freeze(_))) => all_open(world),
        (old @ (Some(Any::Policy(_)) | None), Some(Any::Policy(new))) => {
            let old = old.and_then(|old| old.of::<Policy>());
            if old.is_none_or(|old| old.spec != new.spec || old.status.record != new.status.record)
            {
                return all_open(world);
            }
            let before = old.map_or(&[][..], |old| subjects(&old.status));
            let after = subjects(&new.status);
            let differs = |a: &[atoll_model::centre::Standing], id: &str| {
                let one = a.iter().find(|one| one.subject == id);
                one.map(|one| (one.since, one.blind.is_some(), one.damped_until))
            };
            let ids = before.iter().chain(after).map(|one| one.subject.as_str());
            let changed = ids.filter(|id| differs(before, id) != differs(after, id));
            changed.flat_map(open).collect()
        }
        (Some(Any::Policy(_)), None) => all_open(world),
        (_, Some(any @ (Any::Instance(_) | Any::Host(_) | Any::Deployment(_))))
        | (Some(any @ (Any::Instance(_) | Any::Host(_) | Any::Deployment(_))), None) => {
            if world.count(Kind::Decision) == 0 {
                return Vec::new();
            }
            let same = old
                .zip(new)
                .is_some_and(|(old, new)| super::subject::phase(old) == super::subject::phase(new));
            let own = if same { Vec::new() } else { open(&any.id()) };
            own.into_iter().chain(of_instances(world, old, new)).collect()
        }
        _ => Vec::new(),
    }
}

/// What was done to instances shows in how many their deployment lacks.
fn of_instances(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let (Some(Any::Deployment(old)), Some(Any::Deployment(new))) = (old, new) else {
        return Vec::new();
    };
    if old.status.unavailable == new.status.unavailable {
        return Vec::new();
    }
    let parent = format!("instance.{}", new.name());
    let flying =
        world.derived::<Decision>(&parent).filter(|decision| decision.status.is_in_flight());
    flying.map(|decision| decision.meta.name.clone()).collect()
}

fn subjects(status: &PolicyStatus) -> &[atoll_model::centre::Standing] {
    &status.standing
}

fn all_open(world: &Snapshot) -> Vec<String> {
    let open = world.all::<Decision>().filter(|decision| decision.status.ended_at.is_none());
    open.map(|decision| decision.meta.name.clone()).collect()
}

/// Whether somebody's approval is waited for.
pub(crate) fn waits(world: &Snapshot, name: &str) -> bool {
    world.get::<Decision>(name).is_some_and(|decision| {
        let status = &decision.status;
        status.phase == DecisionPhase::Waiting && status.ended_at.is_none()
    })
}
