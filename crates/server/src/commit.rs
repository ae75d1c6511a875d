//! The one way in: every change is planned on the present world, passes the gate, is committed in
//! one transaction and applied to the cache. It decides nothing itself.

use atoll_model::access::Actor;
use atoll_model::object::Reason;
use atoll_model::{Any, Intent, Kind, Timestamp, Write};
use atoll_plan::decision::{Verdict, decide};
use atoll_plan::query::Answers;
use atoll_plan::{Context, Measurements, Plan};
use atoll_store::{Batch, Change, CommitError, Epoch, Expect};

use crate::Server;
use crate::cache::Applied;
use crate::measure::validity;
use crate::own;

/// What became of a plan.
#[derive(Debug)]
pub struct Committed {
    /// What the gate held back, with its reasons; what is committed then is a status only.
    pub held: Option<Vec<Reason>>,
    /// The plan's own reasons.
    pub reasons: Vec<Reason>,
    /// What was written, as stored.
    pub objects: Vec<Any>,
    /// What was deleted.
    pub deleted: Vec<(Kind, String)>,
    /// The revision of the last write; none, where nothing was to be written.
    pub revision: Option<u64>,
    /// When the planner wants to look again.
    pub again_at: Option<Timestamp>,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The plan could not be made: what was asked is not valid.
    #[error("invalid: {}", join(.0))]
    Invalid(Vec<Reason>),
    /// The gate refuses it.
    #[error("denied: {}", join(.0))]
    Denied(Vec<Reason>),
    /// The store refuses it: somebody else was faster, or it is away.
    #[error(transparent)]
    Store(#[from] CommitError),
}

fn join(reasons: &[Reason]) -> String {
    let all: Vec<String> = reasons.iter().map(Reason::to_string).collect();
    all.join("; ")
}

impl Server {
    /// Makes a plan on the present world, passes it through the gate and commits it.
    ///
    /// **Invariant:** from reading the world to applying the writes nobody else on this replica
    /// writes, so the gate judges the world the plan will change. Other replicas are kept out by
    /// the revisions each write expects and, for controllers, by the lease's epoch.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn commit(
        &self,
        actor: &Actor,
        fence: Option<Epoch>,
        make: impl FnOnce(&Context) -> Result<Plan, Vec<Reason>>,
    ) -> Result<Committed, Refusal> {
        self.commit_knowing(actor, fence, Answers::new(), make).await
    }

    /// The same with answers to the planner's questions.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn commit_knowing(
        &self,
        actor: &Actor,
        fence: Option<Epoch>,
        answers: Answers,
        make: impl FnOnce(&Context) -> Result<Plan, Vec<Reason>>,
    ) -> Result<Committed, Refusal> {
        let mut intent = Intent::Observe;
        let make = |cx: &Context| {
            let plan = make(cx)?;
            intent = plan.intent;
            Ok(plan)
        };
        let done = self.commit_plan(actor, fence, answers, make).await;
        let outcome = match &done {
            Ok(Committed { revision: None, .. }) => return done,
            Ok(Committed { held: Some(_), .. }) => "held",
            Ok(_) => own::COMMITTED,
            Err(Refusal::Invalid(_)) => "invalid",
            Err(Refusal::Denied(_)) => "denied",
            Err(Refusal::Store(CommitError::Conflict { .. })) => "conflict",
            Err(Refusal::Store(_)) => "failed",
        };
        self.figures.commits(intent, outcome, 1);
        done
    }

    async fn commit_plan(
        &self,
        actor: &Actor,
        fence: Option<Epoch>,
        answers: Answers,
        make: impl FnOnce(&Context) -> Result<Plan, Vec<Reason>>,
    ) -> Result<Committed, Refusal> {
        let _turn = self.turn.lock().await;
        let (world, now) = (self.cache.world(), self.clock.now());
        let measured = Measurements { answers, ..self.measure.read() };
        let cx = Context { world: &world, measured: &measured, now };
        let plan = make(&cx).map_err(Refusal::Invalid)?;
        let problems = validity::problems(&plan);
        if !problems.is_empty() {
            return Err(Refusal::Invalid(problems));
        }
        if plan.writes.is_empty() {
            return Ok(Committed::nothing(plan));
        }
        let (plan, held) = match decide(&cx, actor, plan) {
            Verdict::Commit(plan) => (plan, None),
            Verdict::Hold(plan, reasons) => {
                self.tell_refused(actor, &plan, &reasons);
                (plan, Some(reasons))
            }
            Verdict::Deny(reasons) => return Err(Refusal::Denied(reasons)),
        };
        if plan.writes.is_empty() {
            return Ok(Committed { held, ..Committed::nothing(plan) });
        }
        let began = self.clock.elapsed();
        let revisions = self.store.commit(batch(&plan, &actor.name, now, fence)).await;
        let took = self.clock.elapsed().saturating_sub(began);
        self.figures.observe("atoll_store_duration_seconds", &[("what", "commit")], took);
        let revisions = match revisions {
            Ok(revisions) => revisions,
            Err(conflict @ CommitError::Conflict { .. }) => {
                // Another replica wrote; whoever tries again must see it.
                self.catch_up().await;
                return Err(conflict.into());
            }
            Err(other) => return Err(other.into()),
        };
        let committed = self.absorb(plan, held, &revisions);
        if let Some(revision) = committed.revision
            && self.cache.revision() < revision
        {
            self.catch_up().await;
        }
        Ok(committed)
    }

    /// Puts on record that what would have begun by itself was refused for want of a right.
    fn tell_refused(&self, actor: &Actor, held: &Plan, reasons: &[Reason]) {
        let denied = reasons.iter().any(|reason| reason.code == "denied");
        if let Some(write) = held.writes.first().filter(|_| denied) {
            let about = format!("{}/{}", write.kind().lower(), write.name());
            self.auditor.refused(actor, &about, None, reasons.to_vec());
        }
    }

    /// Commits many plans that touch different objects, in one transaction of the store; each
    /// passes the gate and succeeds or fails by itself.
    pub async fn commit_each(
        &self,
        plans: impl FnOnce(&Context) -> Vec<(Actor, Plan)>,
    ) -> Vec<Result<Committed, Refusal>> {
        let _turn = self.turn.lock().await;
        let (world, measured, now) = (self.cache.world(), self.measure.read(), self.clock.now());
        let cx = Context { world: &world, measured: &measured, now };
        let mut outcomes = Vec::new();
        let (mut batches, mut waiting) = (Vec::new(), Vec::new());
        for (actor, plan) in plans(&cx) {
            let at = outcomes.len();
            if plan.writes.is_empty() {
                outcomes.push(Ok(Committed::nothing(plan)));
                continue;
            }
            match decide(&cx, &actor, plan) {
                Verdict::Commit(plan) => {
                    batches.push(batch(&plan, &actor.name, now, None));
                    outcomes.push(Err(Refusal::Invalid(Vec::new())));
                    waiting.push((at, plan));
                }
                Verdict::Hold(_, reasons) | Verdict::Deny(reasons) => {
                    outcomes.push(Err(Refusal::Denied(reasons)));
                }
            }
        }
        if batches.is_empty() {
            return outcomes;
        }
        let began = self.clock.elapsed();
        let stored = self.store.commit_all(batches).await;
        let took = self.clock.elapsed().saturating_sub(began);
        self.figures.observe("atoll_store_duration_seconds", &[("what", "reports")], took);
        let mut behind = false;
        for ((at, plan), revisions) in waiting.into_iter().zip(stored) {
            outcomes[at] = match revisions {
                Ok(revisions) => Ok(self.absorb(plan, None, &revisions)),
                Err(error) => {
                    behind = true;
                    Err(error.into())
                }
            };
        }
        if behind {
            self.catch_up().await;
        }
        outcomes
    }

    /// Applies what the store has taken to the cache.
    fn absorb(&self, plan: Plan, held: Option<Vec<Reason>>, revisions: &[u64]) -> Committed {
        let mut done = Committed {
            held,
            reasons: plan.reasons,
            objects: Vec::new(),
            deleted: Vec::new(),
            revision: revisions.last().copied(),
            again_at: plan.again_at,
        };
        let mut applied = Vec::with_capacity(revisions.len());
        for (write, revision) in plan.writes.into_iter().zip(revisions.iter().copied()) {
            let (kind, name) = (write.kind(), write.name().to_owned());
            let new = match write {
                Write::Put(mut any) => {
                    any.meta_mut().revision = revision;
                    done.objects.push(any.clone());
                    Some(any)
                }
                Write::Delete { .. } => {
                    done.deleted.push((kind, name.clone()));
                    None
                }
            };
            applied.push(Applied { revision, kind, name, new });
        }
        self.cache.apply(applied);
        done
    }

    /// Reads what other replicas wrote; what fails is tried again by the follower.
    pub(crate) async fn catch_up(&self) {
        if let Err(error) = self.cache.catch_up(&self.store).await {
            tracing::warn!("could not read what other replicas wrote: {error}");
        }
    }
}

impl Committed {
    fn nothing(plan: Plan) -> Committed {
        Committed {
            held: None,
            reasons: plan.reasons,
            objects: Vec::new(),
            deleted: Vec::new(),
            revision: None,
            again_at: plan.again_at,
        }
    }
}

fn text<R: serde::Serialize>(reasons: &[R]) -> String {
    serde_json::to_string(reasons).expect("reasons are plain text")
}

fn batch(plan: &Plan, actor: &str, now: Timestamp, fence: Option<Epoch>) -> Batch {
    let writes = plan.writes.iter().map(|write| {
        let (expect, change) = match write {
            Write::Put(any) => {
                let expect = match any.meta().revision {
                    0 => Expect::Absent,
                    revision => Expect::Revision(revision),
                };
                (expect, Change::Put(any.to_json()))
            }
            Write::Delete { revision, .. } => (Expect::Revision(*revision), Change::Delete),
        };
        let kind = write.kind().name().to_owned();
        let reasons = plan.reasons_of(write).map(|reasons| text(&reasons));
        atoll_store::Write { kind, name: write.name().to_owned(), expect, reasons, change }
    });
    Batch {
        writes: writes.collect(),
        actor: actor.to_owned(),
        intent: plan.intent.name().to_owned(),
        reasons: text(&plan.reasons),
        at: now.0,
        fence,
    }
}
