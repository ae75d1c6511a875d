//! How far a rollout is: its step, its soak, whether it has proved itself, failed or got stuck.
//! It looks and judges; the steps themselves are taken in `rollout.rs`.

use atoll_model::deployment::{Failed, RolloutStatus};
use atoll_model::rollout::{Rollout, Step, Strategy};
use atoll_model::{Deployment, Object, Portion, Reason, Span, Timestamp};

use super::fleet::Counts;
use super::target::{Target, edit_of};
use super::watch::{Watch, Word};
use crate::sooner;

/// How far a rollout is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// As it is to be stored; none when nothing is being rolled out.
    pub rollout: Option<RolloutStatus>,
    /// So many instances may be on the target by now.
    pub bound: u32,
    /// So many may be at the next step.
    pub next_bound: u32,
    /// Until when it is watched before it goes on.
    pub soaking: Option<Timestamp>,
    /// All of it has proved itself: the target is good.
    pub complete: bool,
    /// The guard holds it where it is: until more is known, or until a person says.
    pub held: Option<Held>,
    /// It has just failed.
    pub failing: Option<Failed>,
    /// What an operator should know.
    pub reasons: Vec<Reason>,
    /// When something changes by itself.
    pub again_at: Option<Timestamp>,
}

/// How the guard holds a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// More data is waited for.
    Waits,
    /// A person is asked.
    Asks,
}

/// What is looked at.
pub(crate) struct View<'a> {
    pub deployment: &'a Object<Deployment>,
    pub rules: &'a Rollout,
    pub target: &'a Target<'a>,
    pub counts: &'a Counts,
    pub watch: &'a Watch,
    pub now: Timestamp,
}

impl View<'_> {
    fn wanted(&self) -> u32 {
        self.deployment.wanted()
    }

    /// The target has proved itself here before.
    fn is_good(&self) -> bool {
        self.deployment.status.last_good.as_deref() == Some(self.target.name())
    }

    fn is_halted(&self) -> bool {
        self.target.failed_for_good()
    }

    fn is_promoted(&self) -> bool {
        self.deployment.spec.promoted.as_deref() == Some(self.target.name())
    }

    /// Nothing is there yet that a change could be compared with or make worse.
    fn is_first(&self) -> bool {
        self.deployment.status.last_good.is_none() && self.counts.old == 0
    }

    /// What the guard says counts: of a release on its way out, where nobody has decided.
    fn is_watched(&self, rollout: &RolloutStatus) -> bool {
        !rollout.back
            && !self.is_good()
            && !self.is_halted()
            && !self.is_promoted()
            && !self.is_first()
    }

    /// The steps of a canary, the whole at their end.
    fn steps(&self) -> Vec<Step> {
        if self.rules.strategy != Strategy::Canary || self.is_good() || self.is_first() {
            return Vec::new();
        }
        let soak = Span::seconds(30);
        let mut steps = match self.rules.steps.as_slice() {
            [] => vec![
                Step { instances: Portion::Count(1), soak },
                Step { instances: Portion::percent(25), soak },
            ],
            given => given.to_vec(),
        };
        let whole = Portion::percent(100);
        if steps.last().is_none_or(|step| step.instances != whole) {
            steps.push(Step { instances: whole, soak: Span(0) });
        }
        steps
    }

    fn bound_of(&self, step: &Step) -> u32 {
        step.instances.ceil_of(self.wanted()).min(self.wanted()).max(1)
    }

    /// So many of `of` may be broken.
    fn tolerated(&self, of: u32) -> u32 {
        self.rules.failure_ratio.floor_of(of).min(of.saturating_sub(1))
    }

    fn fail(&self, reason: Reason) -> Failed {
        Failed {
            release: self.target.name().to_owned(),
            at: self.now,
            reason,
            edit: edit_of(self.deployment),
        }
    }
}

/// Judges how far the rollout of the target is.
pub(crate) fn judge(view: &View) -> Progress {
    let mut progress = Progress { bound: view.wanted(), ..Progress::default() };
    progress.next_bound = progress.bound;
    if !is_active(view) {
        return progress;
    }
    let mut rollout = start_or_go_on(view);
    // On the way back there is nothing to prove: what has been good only has to be ready.
    let proven = if view.is_good() { view.counts.updated_ready } else { view.counts.proven };
    if proven > rollout.proven {
        rollout.proven = proven;
        rollout.progress_at = view.now;
    }
    let watched = view.is_watched(&rollout);
    if watched {
        rollout.guard = view.watch.status.clone();
        progress.again_at = view.watch.again_at;
    }
    if view.rules.strategy == Strategy::Canary && !view.steps().is_empty() {
        walk(view, &mut rollout, &mut progress);
    } else {
        let all = proven >= view.wanted();
        let going = rollout.back && view.counts.stopping > 0;
        progress.complete = all && view.counts.old == 0 && !going;
        if view.rules.strategy == Strategy::BlueGreen && !rollout.back {
            progress.soaking = view.counts.proven_next.filter(|_| {
                view.counts.updated_ready >= view.wanted() && !all && view.counts.old > 0
            });
        }
        if progress.complete && !may_leave(view, &rollout, rollout.progress_at, &mut progress) {
            progress.complete = false;
        }
    }
    if watched && let Some(reason) = view.watch.stops(view.deployment.name()) {
        progress.complete = false;
        progress.bound = progress.bound.min(view.counts.updated);
        hold(&mut progress, Held::Asks, reason);
    }
    let own = sooner(progress.soaking, view.counts.proven_next);
    progress.again_at = sooner(progress.again_at, own);
    progress.rollout = Some(rollout);
    if !progress.complete {
        look_for_trouble(view, &mut progress);
    }
    progress
}

fn hold(progress: &mut Progress, held: Held, reason: Reason) {
    progress.held = Some(held);
    progress.reasons.retain(|said| !said.code.starts_with("guard"));
    progress.reasons.push(reason);
}

/// Whether the guard lets a step pass that is otherwise over since then.
fn may_leave(
    view: &View,
    rollout: &RolloutStatus,
    over: Timestamp,
    progress: &mut Progress,
) -> bool {
    if !view.is_watched(rollout) {
        return true;
    }
    match view.watch.word(view.deployment.name(), over, view.now) {
        Word::Go => return true,
        Word::Wait(reason) => hold(progress, Held::Waits, reason),
        Word::Ask(reason) => hold(progress, Held::Asks, reason),
    }
    false
}

fn is_active(view: &View) -> bool {
    let stored = view.deployment.status.rollout.as_ref();
    let unfinished = |back: bool| {
        view.counts.updated_ready < view.wanted() || (back && view.counts.stopping > 0)
    };
    let under_way = stored.is_some_and(|r| r.to == view.target.name() && unfinished(r.back));
    view.wanted() > 0 && (!view.is_good() || view.counts.old > 0 || under_way)
}

fn start_or_go_on(view: &View) -> RolloutStatus {
    let stored = view.deployment.status.rollout.as_ref();
    let to = view.target.name();
    // Going back is also what happens when an operator changes their mind half-way.
    let turned = stored.is_some_and(|r| r.to != to || r.back);
    let back = view.is_good() && (view.target.given_up || turned);
    match stored {
        Some(stored) if stored.to == to && stored.back == back => stored.clone(),
        _ => RolloutStatus {
            to: to.to_owned(),
            back,
            step: 0,
            soaking_since: None,
            since: view.now,
            progress_at: view.now,
            proven: view.counts.proven,
            moved: view.counts.updated.min(view.wanted()),
            guard: None,
        },
    }
}

/// Walks through the steps of a canary that are over.
///
/// **Invariant:** a step is left only after all instances it allows were proven for its soak and
/// the guard lets it pass, or an operator promoted the release, or the deadline accepted what is
/// left within the ratio.
fn walk(view: &View, rollout: &mut RolloutStatus, progress: &mut Progress) {
    let steps = view.steps();
    let counts = view.counts;
    loop {
        let at = (rollout.step as usize).min(steps.len() - 1);
        let step = &steps[at];
        progress.bound = view.bound_of(step);
        progress.next_bound = steps.get(at + 1).map_or(progress.bound, |s| view.bound_of(s));
        let full = counts.updated >= progress.bound;
        if !full || (counts.proven < counts.updated && !accepts(view, rollout)) {
            rollout.soaking_since = None;
            return;
        }
        let until = *rollout.soaking_since.get_or_insert(view.now) + step.soak;
        if until > view.now && !view.is_promoted() {
            progress.soaking = Some(until);
            return;
        }
        if !may_leave(view, rollout, until, progress) {
            return;
        }
        if at + 1 == steps.len() {
            progress.complete = counts.old == 0;
            return;
        }
        if view.is_halted() || view.deployment.spec.paused {
            return;
        }
        rollout.step += 1;
        rollout.soaking_since = None;
        rollout.progress_at = view.now;
        rollout.guard = None;
    }
}

fn is_late(view: &View, rollout: &RolloutStatus) -> bool {
    view.now.since(rollout.progress_at) >= view.rules.deadline
}

/// Whether the deadline has passed with so few unproven that they do not count.
fn accepts(view: &View, rollout: &RolloutStatus) -> bool {
    let unproven = view.counts.updated - view.counts.proven;
    is_late(view, rollout) && unproven <= view.tolerated(view.counts.updated)
}

/// Finds failures, accepts what is late but tolerable, and says what is stuck.
fn look_for_trouble(view: &View, progress: &mut Progress) {
    let Some(rollout) = progress.rollout.clone() else { return };
    let (counts, target) = (view.counts, view.target.name());
    let judged = !view.is_good() && !view.is_halted();
    if view.is_watched(&rollout)
        && let Some(reason) = view.watch.takes_back()
    {
        progress.failing = Some(view.fail(reason));
        return;
    }
    let base = progress.bound;
    if judged && counts.broken > view.tolerated(base) {
        let (broken, updated) = (counts.broken, counts.updated);
        let message = format!("{broken} of {updated} updated instances broke on {target}");
        progress.failing = Some(view.fail(Reason::new("instances-failed", message)));
        return;
    }
    let held = progress.soaking.is_some() || progress.held.is_some();
    if held || view.deployment.spec.paused || view.is_halted() {
        return;
    }
    let late_at = rollout.progress_at + view.rules.deadline;
    if !is_late(view, &rollout) {
        progress.again_at = sooner(progress.again_at, Some(late_at));
        return;
    }
    let unproven = counts.updated - counts.proven;
    let deadline = view.rules.deadline;
    if judged && unproven > view.tolerated(counts.updated) {
        let message = format!(
            "{unproven} of {} updated instances were not ready on {target} within {deadline}",
            counts.updated
        );
        progress.failing = Some(view.fail(Reason::new("deadline", message)));
    } else if judged && counts.updated >= view.wanted() && counts.old == 0 {
        progress.complete = true;
        progress.reasons.push(Reason::new(
            "accepted",
            format!("{unproven} of {} instances on {target} are not ready", counts.updated),
        ));
    } else {
        let message = format!(
            "no progress since {}: {} of {} are on {target}, {} proven",
            rollout.progress_at, counts.updated, progress.bound, counts.proven
        );
        let reason = Reason::new("stuck", message);
        progress.reasons.push(match view.deployment.status.last_good {
            Some(_) if !rollout.back => {
                reason.hint(format!("atoll abort deployment/{} goes back", view.deployment.name()))
            }
            _ => reason,
        });
    }
}
