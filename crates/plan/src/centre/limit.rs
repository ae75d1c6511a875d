//! What keeps an action from being carried out by itself: somebody else who does it, another one
//! under way, how often and how much at once. The gate is asked besides.

use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::centre::action::{Action, Direction};
use atoll_model::centre::decision::{GateSays, HeldBy, Helped};
use atoll_model::cmdb::HostPhase;
use atoll_model::guard::GuardMode;
use atoll_model::{
    Any, Decision, Host, Intent, Kind, Migration, Object, Policy, Pool, Reason, Snapshot, Span,
    Timestamp,
};

use super::action::Deed;
use super::decision::NAME;
use super::facts::host_of;
use super::record;
use super::subject::{Subject, root_of};
use crate::decision::{Verdict, decide};
use crate::{Context, Plan, elasticity};

/// Of what is left to people.
pub(super) const ESCALATED: &str = "escalated";
const HOUR: Span = Span::seconds(3_600);
const DAY: Span = Span::seconds(86_400);

/// Who does it without the centre, or would undo it: there is one writer for each field.
pub(super) fn somebody_else(cx: &Context, subject: &Subject, action: &Action) -> Option<Reason> {
    let who = match action {
        Action::Restart => restarts(cx, subject),
        Action::Drain => drains(cx, subject),
        Action::RollBack => rolls_back(subject),
        Action::Raise(_) | Action::Lower(_) => {
            let name = subject.deployment?.name();
            let kept = elasticity::kept(cx.world, name)?;
            Some(format!("autoscaler/{name} acts: it keeps {kept} instances"))
        }
        Action::Switch(_) | Action::Borrow(_) | Action::GiveBack(_) => None,
        Action::Evacuate => evacuates(cx, subject),
    };
    who.map(|who| Reason::new("other-acts", who))
}

fn restarts(cx: &Context, subject: &Subject) -> Option<String> {
    let deployment = subject.deployment?;
    let host = host_of(cx.world, subject);
    if host.is_none_or(|host| host.status.phase == HostPhase::Unknown) {
        return Some(format!("deployment/{} acts: it replaces what is lost", deployment.name()));
    }
    if let Some(Any::Instance(instance)) = &subject.any
        && crate::migration::moves(cx.world, instance).is_some()
    {
        return Some("a migration moves it".to_owned());
    }
    let rollout = deployment.status.rollout.as_ref()?;
    Some(format!("the rollout of {} acts: it goes on, or back", rollout.to))
}

fn drains(cx: &Context, subject: &Subject) -> Option<String> {
    let host = host_of(cx.world, subject)?;
    if host.status.phase == HostPhase::Unknown {
        return Some("deployments act: they replace what was on a lost host".to_owned());
    }
    let closing = crate::migration::closing(cx.world, host.name());
    if let Some(migration) = closing.filter(|migration| !migration.status.phase.is_over()) {
        return Some(format!("migration/{} acts: it moves what runs there", migration.name()));
    }
    let mut pools = cx.world.all::<Pool>();
    let pool = pools.find(|pool| {
        let machine = pool.status.machines.get(host.name());
        machine.is_some_and(|machine| {
            use atoll_model::pool::MachinePhase;
            machine.failed.is_some()
                || !matches!(machine.phase, MachinePhase::Ready | MachinePhase::Joining)
        })
    })?;
    Some(format!("pool/{} acts: it replaces the machine", pool.name()))
}

fn rolls_back(subject: &Subject) -> Option<String> {
    let rollout = subject.deployment?.status.rollout.as_ref()?;
    if rollout.back {
        return Some(format!("it is on its way back to {} already", rollout.to));
    }
    let guard = &subject.application?.spec.rollout.guard;
    if guard.mode != GuardMode::Enforce {
        return None;
    }
    let (deployment, to) = (subject.deployment?, &rollout.to);
    let asks = |reason: &Reason| ["guard-stop", "guard-insufficient"].contains(&&*reason.code);
    if !deployment.status.reasons.iter().any(asks) {
        return Some(format!("the guard acts: it watches the rollout of {to}"));
    }
    let id = format!("deployment/{}", deployment.name());
    Some(format!(
        "the guard has stopped the rollout of {to} and asks somebody: atoll abort {id} goes back, \
         atoll promote {id} goes on"
    ))
}

fn evacuates(cx: &Context, subject: &Subject) -> Option<String> {
    let of_zone = |host: &&Arc<Object<Host>>| host.zone() == subject.name;
    let mut hosts = cx.world.all::<Host>().filter(of_zone);
    let closing = |host: &Arc<Object<Host>>| {
        let migration: Option<&Arc<Object<Migration>>> =
            crate::migration::closing(cx.world, host.name());
        migration.filter(|migration| !migration.status.phase.is_over())
    };
    let migration = hosts.find_map(closing)?;
    Some(format!("migration/{} acts: it moves what runs there", migration.name()))
}

/// What the gate would say.
pub(super) fn gate(cx: &Context, deed: &Deed) -> GateSays {
    let plan = Plan { writes: deed.writes.clone(), ..Plan::new(Intent::Edit) };
    match decide(cx, &Actor::controller(NAME), plan) {
        Verdict::Commit(_) => GateSays { passes: true, reasons: Vec::new() },
        Verdict::Hold(_, reasons) | Verdict::Deny(reasons) => GateSays { passes: false, reasons },
    }
}

/// Whether one is a host and the other the zone it is in.
fn is_in(world: &Snapshot, host: &str, zone: &str) -> bool {
    let names = host.strip_prefix("host/").zip(zone.strip_prefix("zone/"));
    names.is_some_and(|(host, zone)| world.get::<Host>(host).is_some_and(|h| h.zone() == zone))
}

/// Why a policy does nothing more for now: it has acted as often as it may.
pub(crate) fn used_up(cx: &Context, policy: &Object<Policy>) -> Option<Reason> {
    let (name, limits) = (policy.name(), &policy.spec.limits);
    let own = || cx.world.all::<Decision>().filter(|decision| decision.status.policy == name);
    let acted = |within: Span| {
        let times = own().filter_map(|decision| decision.status.acted_at);
        times.filter(|at| cx.now.since(*at) < within).count() as u32
    };
    let often = |within: Span, most: u32, of: &str| {
        let count = acted(within);
        (count >= most).then(|| {
            let message =
                format!("policy/{name} has acted {count} times within {of}; its limit is {most}");
            Reason::new("rate", message).hint("do it by hand, or raise its limits")
        })
    };
    often(HOUR, limits.per_hour, "an hour").or_else(|| often(DAY, limits.per_day, "a day"))
}

/// One decision and what it is about, for whom limits are asked.
pub(super) struct Asked<'a> {
    pub cx: &'a Context<'a>,
    pub decision: &'a Object<Decision>,
    pub subject: &'a Subject<'a>,
    pub policy: &'a Object<Policy>,
    /// What is to be done.
    pub action: &'a Action,
}

impl Asked<'_> {
    fn others(&self) -> impl Iterator<Item = &Arc<Object<Decision>>> {
        let own = self.decision.name();
        self.cx.world.all::<Decision>().filter(move |other| other.name() != own)
    }

    /// Why it is not done now, and when to look again.
    ///
    /// **Invariant:** no policy acts more often than its limits say, nor on more at once, nor on
    /// one thing that something is done to already.
    pub fn limit(&self) -> Option<(Reason, Option<Timestamp>)> {
        let under_way = self.under_way().map(|reason| (reason, None));
        let own = under_way.or_else(|| self.own_limit());
        own.or_else(|| self.radius().map(|reason| (reason, None)))
    }

    /// Why its policy does nothing about it now, whatever others do.
    fn own_limit(&self) -> Option<(Reason, Option<Timestamp>)> {
        self.rest().or_else(|| used_up(self.cx, self.policy).map(|reason| (reason, None)))
    }

    /// What of its policy's own keeps it from being done, so that others may go first.
    pub fn held(&self, changes: &[String]) -> Option<(HeldBy, Reason)> {
        if let Some(message) = self.acts_in_vain(changes) {
            let reason = Reason::new(ESCALATED, message);
            // It is not what this decision is about: what was done last can be judged.
            let hint = self.unseen().first().map(|last| {
                let judge = format!("atoll decisions right {}, or wrong", last.name());
                format!("to have it tried again, say what came of it last: {judge}")
            });
            return Some((HeldBy::People, Reason { hint, ..reason }));
        }
        self.own_limit().map(|(reason, _)| (HeldBy::Limit, reason))
    }

    /// Something else is done to what it hangs together with.
    fn under_way(&self) -> Option<Reason> {
        let root = self.subject.root();
        let flying = self.others().filter(|other| other.status.is_in_flight());
        let flying = flying.filter(|other| !self.is_given_back_beside(other));
        let mut near = flying.filter(|other| {
            let peer = self.subject.kind == Kind::Instance
                && other.spec.subject.starts_with("instance/")
                && other.spec.subject != self.subject.id();
            let whole = is_in(self.cx.world, &self.subject.id(), &other.spec.subject)
                || is_in(self.cx.world, &other.spec.subject, &self.subject.id());
            (root_of(&other.spec.subject) == root || whole) && !peer
        });
        let other = near.next()?;
        let message = format!("decision/{} is under way, and not measured yet", other.name());
        Some(Reason::new("in-flight", message))
    }

    /// Whether another gives back what it took while this one waited for people.
    fn is_given_back_beside(&self, other: &Object<Decision>) -> bool {
        matches!(other.status.action, Some(Action::GiveBack(_)))
            && other.spec.subject == self.decision.spec.subject
            && other.meta.created_at > self.decision.meta.created_at
    }

    fn rest(&self) -> Option<(Reason, Option<Timestamp>)> {
        let id = self.subject.id();
        let own = self.others().filter(|other| other.status.policy == self.policy.name());
        let same = own.filter(|other| other.spec.subject == id);
        let last = same.filter_map(|other| other.status.acted_at).max()?;
        let until = last + self.policy.spec.limits.cool_down;
        (self.cx.now < until).then(|| {
            let message = format!(
                "policy/{} did something to {id} at {last}, and rests until {until}",
                self.policy.name()
            );
            (Reason::new("cool-down", message), Some(until))
        })
    }

    /// Too much of what is like it would be under way.
    fn radius(&self) -> Option<Reason> {
        let world = self.cx.world;
        // Whoever gives more does not wait for who takes some away.
        let gives = self.action.direction() == Direction::Up;
        let counts = |other: &&Arc<Object<Decision>>| {
            let towards = other.status.action.as_ref().map(Action::direction);
            other.status.is_in_flight() && !(gives && towards == Some(Direction::Down))
        };
        let flying = self.others().filter(counts);
        let flying = flying.filter(|other| !self.is_given_back_beside(other));
        let like = |other: &&Arc<Object<Decision>>| match Subject::find(world, &other.spec.subject)
        {
            Some(other) => self.subject.is_peer(&other),
            // An instance that is being replaced.
            None => root_of(&other.spec.subject) == self.subject.root(),
        };
        let flying = flying.filter(like).count() as u32;
        let (peers, _) = self.subject.peers(world);
        let most = self.policy.spec.limits.share.floor_of(peers).max(1);
        (flying >= most).then(|| {
            let message = format!(
                "{flying} of {peers} like {} are under way; at most {most} may be at once",
                self.subject.id()
            );
            Reason::new("radius", message)
        })
    }

    /// Why people are called instead: what was done about the thing did not help.
    pub fn calls_people(&self, changes: &[String]) -> Option<Reason> {
        let message = self.acts_in_vain(changes)?;
        let hint = format!(
            "to have it tried once more: atoll decisions right {}; or wrong, and it is not",
            self.decision.name()
        );
        Some(Reason::new(ESCALATED, message).hint(hint))
    }

    fn acts_in_vain(&self, changes: &[String]) -> Option<String> {
        let (vain, after) = (self.in_vain(), self.policy.spec.escalate_after);
        let (name, root) = (self.policy.name(), self.subject.root());
        // That taking did not help keeps nobody from getting it back.
        if after == 0 || self.is_judged() || matches!(self.action, Action::GiveBack(_)) {
            return None;
        }
        let done = match self.would_repeat(changes) {
            true => format!("policy/{name} has done the very same to {root} without help"),
            false if vain >= after => {
                format!("policy/{name} has acted {vain} times about {root} without help")
            }
            false => return None,
        };
        Some(format!("{done}; a person is to look"))
    }

    /// Whether a person has said what they think of what this policy wants here.
    fn is_judged(&self) -> bool {
        let decision = self.decision;
        decision.spec.feedback.is_some() && decision.status.policy == self.policy.name()
    }

    /// How many actions of the policy in a row did not help the thing, as far as is known, since
    /// a person last looked.
    fn in_vain(&self) -> u32 {
        let vain = |other: &&&Arc<Object<Decision>>| {
            other.status.effect.as_ref().is_some_and(|e| e.verdict != Helped::Helped)
        };
        self.unseen().iter().take_while(vain).count() as u32
    }

    /// Whether the same was done last, and certainly did not help: going back from one release to
    /// another comes out as it did.
    fn would_repeat(&self, changes: &[String]) -> bool {
        let did_not = |other: &&Arc<Object<Decision>>| {
            let effect = other.status.effect.as_ref();
            effect.is_some_and(|effect| effect.verdict == Helped::DidNot)
                && other.status.changes == changes
        };
        matches!(self.action, Action::RollBack) && self.unseen().first().is_some_and(did_not)
    }

    /// The actions of the policy about the thing that were measured lately, since a person last
    /// looked, the latest first.
    fn unseen(&self) -> Vec<&Arc<Object<Decision>>> {
        let root = self.subject.root();
        // What was given back too soon says nothing of what was taken.
        let own = self.others().filter(|other| {
            record::is_of(other, self.policy)
                && root_of(&other.spec.subject) == root
                && !matches!(other.status.action, Some(Action::GiveBack(_)))
        });
        let lately = |at: Timestamp| self.cx.now.since(at) < DAY;
        let mut measured: Vec<&Arc<Object<Decision>>> = own
            .filter(|other| other.status.acted_at.is_some_and(lately))
            .filter(|other| other.status.effect.is_some())
            .collect();
        measured.sort_by_key(|other| std::cmp::Reverse(other.status.acted_at));
        measured.into_iter().take_while(|other| other.spec.feedback.is_none()).collect()
    }
}
