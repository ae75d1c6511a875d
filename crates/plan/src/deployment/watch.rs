//! How a rollout is watched: what the guard says of the step it is at, and what that does to it.
//! How a step is judged is `guard.rs`; how far the rollout is, `progress.rs`.

use std::sync::Arc;

use atoll_model::deployment::RolloutStatus;
use atoll_model::guard::{
    Analysis, AnalysisStatus, Evidence, GuardMode, GuardStatus, Missing, Verdict,
};
use atoll_model::{
    Any, Application, Deployment, Kind, Object, Reason, Snapshot, Span, Timestamp, Write,
};

use super::Subject;
use crate::query::Query;
use crate::{Context, guard};

/// A rollout younger than this shows nothing yet, and what is over by then is not asked about.
const YOUNG: Span = Span::seconds(10);
/// So many analyses of a deployment are kept.
const KEPT: usize = 20;

/// What the guard says of the step a rollout is at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// As it is to be stored.
    pub status: Option<GuardStatus>,
    /// What it says has an effect.
    enforced: bool,
    /// A step is not left without a verdict.
    binding: bool,
    /// How long a verdict is waited for before a person is asked.
    patience: Span,
    /// When more may be known.
    pub again_at: Option<Timestamp>,
}

/// What is to become of a step that is otherwise over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// It is left.
    Go,
    /// More data is waited for.
    Wait(Reason),
    /// A person is asked.
    Ask(Reason),
}

/// What the planner of deployments wants measured for one of them.
pub(crate) fn queries(cx: &Context, name: &str) -> Vec<Query> {
    let Some((deployment, _)) = watched(cx, name) else { return Vec::new() };
    let young = |since: Timestamp| cx.now.since(since) < YOUNG;
    match &deployment.status.rollout {
        Some(rollout) if !young(rollout.since) => guard::queries(cx.world, deployment, cx.now),
        _ => Vec::new(),
    }
}

/// The deployment with its application, if it is in a rollout that is watched.
fn watched<'a>(
    cx: &Context<'a>,
    name: &str,
) -> Option<(&'a Arc<Object<Deployment>>, &'a Object<Application>)> {
    let deployment = cx.world.get::<Deployment>(name)?;
    let application = cx.world.get::<Application>(&deployment.spec.application)?;
    let status = &deployment.status;
    let replaces = status.release.is_some() || status.last_good.is_some();
    // Before anything was moved there is nothing to see.
    let moved = |rollout: &RolloutStatus| !rollout.back && rollout.moved > 0;
    let moving = replaces && status.rollout.as_ref().is_some_and(moved);
    let watching = guard::is_watching(&application.spec.rollout.guard);
    (moving && watching && !deployment.meta.deleting()).then_some((deployment, application))
}

impl Watch {
    /// Judges the rollout by what was measured; without that, what was said of this step holds.
    pub fn of(cx: &Context, deployment: &Object<Deployment>) -> Watch {
        let Some((deployment, application)) = watched(cx, deployment.name()) else {
            return Watch::default();
        };
        let Some(rollout) = &deployment.status.rollout else { return Watch::default() };
        let rules = &application.spec.rollout.guard;
        let stored = rollout.guard.as_ref().filter(|said| said.step == rollout.step);
        let closed = rules.signals.iter().any(|signal| signal.missing == Missing::Closed);
        let mut watch = Watch {
            status: stored.cloned(),
            enforced: rules.mode == GuardMode::Enforce,
            binding: closed || !application.spec.objectives.is_empty(),
            patience: rules.patience,
            again_at: Some((rollout.since + YOUNG).max(cx.now + YOUNG)),
        };
        if cx.measured.answers.is_empty() {
            return watch;
        }
        let Some(observation) = guard::observe(cx.world, deployment, &cx.measured.answers, cx.now)
        else {
            return watch;
        };
        let judgement = guard::judge(&observation, rules);
        let measured = judgement.evidence.iter().any(|evidence| evidence.after.is_some());
        if !measured && !watch.binding && rules.signals.is_empty() {
            // Nobody asked for it to be watched, and nothing was: that is not worth a word.
            return watch;
        }
        if stored.is_some_and(|stored| is_kept(stored.verdict, judgement.verdict)) {
            return watch;
        }
        let first = stored.filter(|stored| stored.verdict == judgement.verdict);
        let said = GuardStatus {
            verdict: judgement.verdict,
            step: rollout.step,
            at: first.map_or(cx.now, |stored| stored.at),
            message: judgement.message,
            evidence: judgement.evidence,
        };
        if !stored.is_some_and(|stored| says_the_same(stored, &said)) {
            watch.status = Some(said);
        }
        watch
    }

    /// The verdict that takes the rollout back at once.
    pub fn takes_back(&self) -> Option<Reason> {
        let said = self.status.as_ref().filter(|_| self.enforced)?;
        (said.verdict == Verdict::RollBack).then(|| Reason::new("guard", said.message.clone()))
    }

    /// The verdict that stops the rollout where it is.
    pub fn stops(&self, name: &str) -> Option<Reason> {
        let said = self.status.as_ref().filter(|_| self.enforced)?;
        let stops = said.verdict == Verdict::Stop;
        stops.then(|| ask(Reason::new("guard-stop", said.message.clone()), name))
    }

    /// What becomes of a step that is otherwise over since `over`.
    ///
    /// **Invariant:** where the rules are fail-closed, a step is not left without a verdict of
    /// this step that lets it pass, or a person who says so; too little data never goes back.
    pub fn word(&self, name: &str, over: Timestamp, now: Timestamp) -> Word {
        let verdict = self.status.as_ref().map(|said| said.verdict);
        let passes = matches!(verdict, Some(Verdict::Pass | Verdict::Warn));
        let known = verdict.is_some_and(|verdict| verdict != Verdict::InsufficientData);
        if !self.enforced || passes || (!self.binding && !known) {
            return Word::Go;
        }
        let message = match &self.status {
            Some(said) => said.message.clone(),
            None => "nothing was measured yet".to_owned(),
        };
        if now.since(over) < self.patience {
            let until =
                format!("waited for until {}, then a person is asked", over + self.patience);
            return Word::Wait(Reason::new("guard-waiting", message).hint(until));
        }
        Word::Ask(ask(Reason::new("guard-insufficient", message), name))
    }
}

fn ask(reason: Reason, name: &str) -> Reason {
    reason.hint(format!(
        "atoll promote deployment/{name} goes on all the same; atoll abort deployment/{name} goes \
         back"
    ))
}

/// **Invariant:** a rollout that was stopped waits for a person, or goes back: what looks better
/// later does not let it go on by itself.
fn is_kept(stored: Verdict, now: Verdict) -> bool {
    stored == Verdict::Stop && !matches!(now, Verdict::Stop | Verdict::RollBack)
}

/// Whether a verdict differs from the one before in no more than its numbers, and rests on less
/// than twice as much data: then the first one stands, so that watching does not write at every
/// look. What is lacking is said anew whenever that changes.
fn says_the_same(before: &GuardStatus, now: &GuardStatus) -> bool {
    let same = |a: &Evidence, b: &Evidence| {
        a.signal == b.signal
            && a.verdict == b.verdict
            && match (a.after, b.after) {
                (Some(a), Some(b)) => b.samples < a.samples.saturating_mul(2),
                (None, None) => a.message == b.message,
                _ => false,
            }
    };
    let known = |b: &Evidence| before.evidence.iter().any(|a| same(a, b));
    before.verdict == now.verdict
        && before.step == now.step
        && before.evidence.len() == now.evidence.len()
        && now.evidence.iter().all(known)
}

/// Keeps the record of how the rollout is judged, and lets go of the oldest.
pub(crate) fn record(subject: &Subject) -> Vec<Write> {
    let (deployment, said) = (subject.object, &subject.watch.status);
    let rollout = deployment.status.rollout.as_ref().filter(|rollout| !rollout.back);
    let (Some(rollout), Some(said)) = (rollout, said) else { return Vec::new() };
    let name = format!("{}.{}", deployment.name(), rollout.to);
    let stored = subject.world.get::<Analysis>(&name);
    let made = || Analysis {
        deployment: deployment.name().to_owned(),
        release: rollout.to.clone(),
        from: deployment.status.release.clone(),
        feedback: None,
    };
    let mut analysis = match stored {
        Some(stored) => Object::clone(stored),
        None => Object::new(name, made()),
    };
    let mut steps = match analysis.status.since {
        Some(since) if since == rollout.since => std::mem::take(&mut analysis.status.steps),
        _ => Vec::new(),
    };
    steps.retain(|step| step.step < said.step);
    steps.push(said.clone());
    analysis.status = AnalysisStatus {
        verdict: said.verdict,
        trial: subject.rules.guard.mode == GuardMode::Trial,
        since: Some(rollout.since),
        at: Some(said.at),
        steps,
        reasons: Vec::new(),
    };
    if stored.is_some_and(|stored| stored.status == analysis.status) {
        return Vec::new();
    }
    let mut writes = match stored {
        Some(_) => Vec::new(),
        None => oldest(subject.world, deployment.name()),
    };
    writes.push(Write::Put(Any::Analysis(Arc::new(analysis))));
    writes
}

/// Deletes analyses until there is room for one more.
fn oldest(world: &Snapshot, deployment: &str) -> Vec<Write> {
    let mut all: Vec<&Arc<Object<Analysis>>> = world.derived::<Analysis>(deployment).collect();
    all.sort_by_key(|analysis| analysis.status.since);
    let over = (all.len() + 1).saturating_sub(KEPT);
    all.into_iter().take(over).map(|analysis| forget(analysis)).collect()
}

/// Deletes all analyses of a deployment that goes.
pub(crate) fn forget_all(cx: &Context, deployment: &str) -> Vec<Write> {
    cx.world.derived::<Analysis>(deployment).map(|analysis| forget(analysis)).collect()
}

fn forget(analysis: &Object<Analysis>) -> Write {
    Write::Delete {
        kind: Kind::Analysis,
        name: analysis.name().to_owned(),
        revision: analysis.meta.revision,
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::guard::Summary;

    use super::*;

    fn said(verdict: Verdict, message: &str, samples: u32) -> GuardStatus {
        let some = Summary { median: 1.0, low: 1.0, high: 1.0, samples, instances: 1 };
        let evidence = Evidence {
            signal: "latency".to_owned(),
            verdict,
            message: message.to_owned(),
            critical: false,
            before: None,
            after: (samples > 0).then_some(some),
            unchanged: None,
            effect: 0.0,
            chance: 1.0,
            points: 0,
            band: None,
        };
        GuardStatus { verdict, evidence: vec![evidence], ..GuardStatus::default() }
    }

    /// A deployment in a rollout of which nothing at all is measured.
    fn unmeasured(signals: serde_json::Value) -> Watch {
        let application: Application = serde_json::from_value(serde_json::json!({
            "environments": ["dev"],
            "run": { "command": ["./shop"] },
            "rollout": { "guard": { "signals": signals } },
        }))
        .unwrap();
        let deployment: Deployment = serde_json::from_value(serde_json::json!({
            "application": "shop", "environment": "dev",
        }))
        .unwrap();
        let mut deployment = Object::new("shop.dev", deployment);
        deployment.status.release = Some("shop-1".to_owned());
        let rollout = serde_json::json!({
            "to": "shop-2", "moved": 1, "since": Timestamp(0), "progressAt": Timestamp(0),
        });
        deployment.status.rollout = serde_json::from_value(rollout).unwrap();
        let application = Any::Application(Arc::new(Object::new("shop", application)));
        let of = Any::Deployment(Arc::new(deployment.clone()));
        let world = crate::testing::world([application, of]);
        let mut measured = crate::Measurements::default();
        let nothing = Arc::new(crate::query::Answer::default());
        measured.answers.insert("none".to_owned(), Ok(nothing));
        let now = Timestamp(600_000);
        Watch::of(&Context { world: &world, measured: &measured, now }, &deployment)
    }

    #[test]
    fn what_somebody_asked_for_and_nobody_saw_is_on_record() {
        let none = unmeasured(serde_json::json!([]));
        assert!(none.status.is_none() && !none.binding);
        let asked = serde_json::json!([{ "name": "q", "query": "nosuch", "missing": "open" }]);
        let asked = unmeasured(asked);
        let said = asked.status.as_ref().unwrap();
        assert!(said.evidence.iter().any(|evidence| evidence.signal == "q"), "{said:?}");
        assert_eq!(asked.word("shop.dev", Timestamp(0), Timestamp(600_000)), Word::Go);
    }

    #[test]
    fn a_stop_stays_until_it_gets_worse() {
        use Verdict::{InsufficientData, Pass, RollBack, Stop, Warn};
        assert!([Pass, Warn, InsufficientData].iter().all(|now| is_kept(Stop, *now)));
        assert!(!is_kept(Stop, RollBack) && !is_kept(Stop, Stop));
        assert!([Pass, Warn, InsufficientData].iter().all(|before| !is_kept(*before, Pass)));
    }

    #[test]
    fn evidence_is_renewed_as_it_grows_and_not_at_every_look() {
        let pass = |message: &str, samples| said(Verdict::Pass, message, samples);
        let lacks = |message: &str| said(Verdict::InsufficientData, message, 0);
        assert!(says_the_same(&pass("at 20 ms", 10), &pass("at 21 ms", 19)));
        assert!(!says_the_same(&pass("at 20 ms", 10), &pass("at 21 ms", 20)));
        assert!(says_the_same(&lacks("0 points"), &lacks("0 points")));
        assert!(!says_the_same(&lacks("0 points"), &lacks("2 points")));
        assert!(!says_the_same(&lacks("0 points"), &pass("at 20 ms", 10)));
    }
}
