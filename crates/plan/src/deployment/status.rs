//! What a deployment says of itself: counts, a phase, and reasons an operator can act on.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::deployment::{DeploymentStatus, InstancePhase, Phase, Rolled};
use atoll_model::rollout::OnFailure;
use atoll_model::snapshot::Standing;
use atoll_model::{Reason, Release, Timestamp};

use super::Subject;
use super::draft::Draft;
use super::fleet::Member;
use super::progress::Held;
use super::target::VETOED;
use super::{heal, misfit, spread};
use crate::sooner;

/// The reason of what waits before another host is tried for a fixed port of its.
pub(crate) const PORT_AWAITED: &str = "port-awaited";
/// So many instances are named in a reason; the rest is counted.
const NAMED: usize = 3;

/// The status as the world is before the plan, and when to look again.
pub(super) fn status(subject: &Subject, draft: &Draft) -> (DeploymentStatus, Option<Timestamp>) {
    let stored = &subject.object.status;
    let (progress, counts, target) = (&subject.progress, &subject.counts, &subject.target);
    let ready = subject.fleet.ready();
    let mut status = DeploymentStatus {
        observed_generation: subject.object.meta.generation,
        phase: Phase::Waiting,
        instances: subject.fleet.0.len() as u32,
        ready,
        updated: subject.fleet.count(|member| runs(member, target.name())),
        scaled: stored.scaled,
        unavailable: subject.wanted.saturating_sub(ready),
        reached: stored.reached.min(subject.wanted),
        release: stored.release.clone(),
        last_good: stored.last_good.clone(),
        good_since: stored.good_since,
        good_before: stored.good_before.clone(),
        rolled: stored.rolled.clone(),
        failed: target.failed.clone(),
        rollout: progress.rollout.clone(),
        uneven: None,
        port_tries: draft.port_tries.or(stored.port_tries),
        misfits: stored.misfits.clone(),
        reasons: Vec::new(),
    };
    if progress.complete {
        status.rollout = None;
        if stored.last_good.as_deref() != Some(target.name()) {
            status.good_before = stored.last_good.clone();
            status.good_since = Some(subject.now);
        }
        status.last_good = Some(target.name().to_owned());
        status.rolled = rolled(subject).or(status.rolled);
        if !target.given_up {
            status.failed = None;
        }
    }
    if let Some(rollout) = &mut status.rollout {
        if draft.begun && counts.updated == counts.proven {
            // Nothing was awaited until now, so the time allowed begins with this step.
            rollout.progress_at = subject.now;
        }
        if draft.moving > 0 {
            rollout.moved = rollout.moved.max(counts.updated + draft.moving);
        }
        rollout.moved = rollout.moved.min(subject.wanted);
    }
    let rest = Rest::of(subject);
    let settled = status.rollout.is_none() && rest.is_settled && draft.obstacles.is_empty();
    if settled {
        status.port_tries = None;
        status.reached = subject.wanted;
        if subject.wanted > 0 {
            status.release = Some(target.name().to_owned());
        }
    }
    status.phase = phase(subject, draft, &status, settled);
    status.reasons = reasons(subject, draft, &status);
    let look = spread::look(subject, draft, settled);
    status.reasons.extend(look.reason);
    status.uneven = look.uneven;
    let unfit = misfit::look(subject);
    status.reasons.extend(unfit.reason);
    status.misfits = unfit.hosts;
    let again_at = sooner(progress.again_at, sooner(draft.again_at, look.again_at));
    let again_at = sooner(again_at, unfit.again_at);
    (status, sooner(again_at, rest.again_at))
}

/// The rollout that is over now, if it changed what runs. Who or what moved the target is no
/// matter: a person, a newer release that is followed, or a way back.
fn rolled(subject: &Subject) -> Option<Rolled> {
    let (stored, to) = (&subject.object.status, subject.target.name());
    let rollout = stored.rollout.as_ref().filter(|rollout| rollout.to == to)?;
    let from = stored.release.clone().filter(|from| from != to)?;
    Some(Rolled { from, to: to.to_owned(), since: rollout.since, at: subject.now })
}

fn runs(member: &Member, release: &str) -> bool {
    !member.seat.deleting && member.is_on(release) && member.seat.runs
}

/// Whether everything but a rollout is as it is meant to be.
pub(super) struct Rest {
    pub is_settled: bool,
    again_at: Option<Timestamp>,
}

impl Rest {
    /// **Invariant:** a deployment is settled only if exactly the wanted instances are where they
    /// may stay and are ready, except for so few that the failure ratio forgives them, each of
    /// them older than the deadline: new ones are always waited for.
    pub fn of(subject: &Subject) -> Rest {
        let deadline = subject.rules.deadline;
        let (mut unready, mut again_at) = (0, None);
        for member in subject.fleet.0.iter().filter(|m| m.stays() && !m.ready) {
            unready += 1;
            let late = member.object.meta.created_at.unwrap_or_default() + deadline;
            again_at = sooner(again_at, Some(late).filter(|at| *at > subject.now));
        }
        let forgiven = subject.rules.failure_ratio.floor_of(subject.wanted);
        let forgiven = forgiven.min(subject.wanted.saturating_sub(1));
        let counts = &subject.counts;
        // What is to stop on a host that is not heard from is not waited for.
        let stopping = |m: &Member| m.seat.deleting && m.place != Standing::Lost;
        let moving = subject.fleet.0.iter().any(stopping);
        let is_settled = counts.staying == subject.wanted
            && counts.leaving == 0
            && (unready == 0 || (unready <= forgiven && again_at.is_none()))
            && !moving;
        Rest { is_settled, again_at: again_at.filter(|_| unready <= forgiven) }
    }
}

fn phase(subject: &Subject, draft: &Draft, status: &DeploymentStatus, settled: bool) -> Phase {
    let (progress, target) = (&subject.progress, &subject.target);
    let nothing_moves = subject.counts.updated_ready == subject.counts.updated;
    let waits = !draft.obstacles.is_empty() && nothing_moves;
    let Some(rollout) = &status.rollout else {
        return match settled {
            true => Phase::Settled,
            false if waits => Phase::Waiting,
            false => Phase::Rolling,
        };
    };
    if target.failed_for_good() {
        match subject.rules.on_failure {
            OnFailure::Pause => Phase::Paused,
            OnFailure::Rollback => Phase::Failed,
        }
    } else if rollout.back {
        Phase::RollingBack
    } else if subject.object.spec.paused || progress.held == Some(Held::Asks) {
        Phase::Paused
    } else if progress.soaking.is_some() || progress.held == Some(Held::Waits) {
        Phase::Soaking
    } else if waits {
        Phase::Waiting
    } else {
        Phase::Rolling
    }
}

fn reasons(subject: &Subject, draft: &Draft, status: &DeploymentStatus) -> Vec<Reason> {
    let mut reasons = Vec::new();
    reasons.extend(failure(subject, status));
    reasons.extend(vetoed(subject, status));
    reasons.extend(subject.target.missing.clone());
    if status.phase == Phase::Paused && subject.object.spec.paused {
        let name = subject.object.name();
        let to = subject.target.name();
        reasons.push(
            Reason::new("paused", format!("the rollout of {to} was paused by hand"))
                .hint(format!("atoll resume deployment/{name}")),
        );
    }
    // Whoever has a step to take is not stuck, though the gate may hold it.
    let said = subject.progress.reasons.iter();
    reasons.extend(said.filter(|r| r.code != "stuck" || draft.is_empty()).cloned());
    for obstacle in &draft.obstacles {
        if !reasons.contains(obstacle) {
            reasons.push(obstacle.clone());
        }
    }
    reasons.extend(bounded(subject));
    reasons.extend(lost(subject));
    reasons.extend(broken(subject));
    reasons.extend(awaited_port(subject));
    reasons
}

/// That it runs what is vetoed, and stays there.
fn vetoed(subject: &Subject, status: &DeploymentStatus) -> Option<Reason> {
    let failed = status.failed.as_ref().map(|failed| failed.release.as_str());
    let runs = subject.fleet.0.iter().filter(|member| member.present());
    let mut names: Vec<&Arc<str>> = runs.map(|member| &member.seat.release).collect();
    // Most siblings share the text.
    names.dedup_by(|a, b| Arc::ptr_eq(a, b));
    let names: BTreeSet<&str> = names.into_iter().map(|name| &**name).collect();
    let releases = names.into_iter().filter(|name| failed != Some(*name));
    let mut releases = releases.filter_map(|name| subject.world.get::<Release>(name));
    let (release, veto) = releases.find_map(|r| Some((r, r.spec.veto.as_ref()?)))?;
    let name = release.name();
    let message = format!("{name} is vetoed, and still runs here: {}", veto.reason);
    let hint = match veto.rollback {
        false => format!(
            "atoll veto release/{name} --rollback takes it back; --withdraw takes the veto back"
        ),
        true => "there is none to go back to; release a better one".to_owned(),
    };
    Some(Reason::new(VETOED, message).hint(hint))
}

/// What its autoscaler wants and budgets do not leave it.
fn bounded(subject: &Subject) -> Option<Reason> {
    let name = subject.object.name();
    let kept =
        crate::elasticity::kept(subject.world, name).filter(|kept| *kept > subject.wanted)?;
    let message = format!(
        "its autoscaler wants {}, and budgets leave it {}",
        crate::instances(kept as usize),
        subject.wanted
    );
    Some(
        Reason::new("budget", message)
            .hint("atoll budget shows them; whoever answers may raise one"),
    )
}

/// What became of the release that failed.
fn failure(subject: &Subject, status: &DeploymentStatus) -> Vec<Reason> {
    let Some(failed) = &status.failed else { return Vec::new() };
    let (name, release) = (subject.object.name(), &failed.release);
    let spec = &subject.object.spec;
    let follows = if spec.release.is_some() { "" } else { "; a newer one is tried by itself" };
    let retry = format!(
        "atoll deploy {} --env {} --release {release} tries it again{follows}",
        spec.application, spec.environment
    );
    let retry = match failed.reason.code == VETOED {
        true => format!("atoll veto release/{release} --withdraw takes the veto back{follows}"),
        false => retry,
    };
    let why = &failed.reason.message;
    if subject.target.given_up {
        let good = subject.target.name();
        let (code, what) = match status.rollout {
            Some(_) => ("rolling-back", "is taken back to"),
            None => ("rolled-back", "was taken back to"),
        };
        return vec![Reason::new(code, format!("{release} {what} {good}: {why}")).hint(retry)];
    }
    let mut reasons = vec![Reason::new(&failed.reason.code, format!("{release} failed: {why}"))];
    if status.last_good.is_none() {
        let message = "no release has been good here, so there is none to go back to";
        let hint = format!("release a better one, or look: atoll logs deployment/{name}");
        reasons.push(Reason::new("no-last-good", message).hint(hint));
    } else {
        let hint = format!("atoll abort deployment/{name} goes back; {retry}");
        reasons.push(Reason::new("paused", "it goes on when it is told to").hint(hint));
    }
    reasons
}

fn named(members: &[&Member], say: impl Fn(&Member) -> String) -> String {
    let mut said: Vec<String> = members.iter().take(NAMED).map(|m| say(m)).collect();
    if members.len() > NAMED {
        said.push(format!("and {} more", members.len() - NAMED));
    }
    said.join(", ")
}

fn lost(subject: &Subject) -> Option<Reason> {
    let all = subject.fleet.0.iter();
    let lost: Vec<&Member> = all.filter(|member| member.place == Standing::Lost).collect();
    if lost.is_empty() {
        return None;
    }
    let message = named(&lost, |m| format!("{} on {}", m.name(), m.object.spec.host));
    let hint = "they are replaced; a host that will not come back is taken out with atoll delete";
    Some(Reason::new("host-unknown", format!("not heard from: {message}")).hint(hint))
}

fn broken(subject: &Subject) -> Option<Reason> {
    let broken = |m: &&Member| m.present() && (m.broken() || m.lacks_port());
    let broken: Vec<&Member> = subject.fleet.0.iter().filter(broken).collect();
    let first = broken.first()?;
    let message = named(&broken, |member| {
        let phase = match member.object.status.phase {
            _ if member.lacks_port() => "cannot start",
            InstancePhase::CrashLoop => "dies again and again",
            _ => "is not ready any more",
        };
        let why = member.object.status.reasons.first();
        let why = why.map(|reason| format!(" ({})", reason.message)).unwrap_or_default();
        format!("{} {phase}{why}", member.name())
    });
    let hint = format!("atoll why instance/{0}; atoll logs instance/{0}", first.name());
    Some(Reason::new("unready", message).hint(hint))
}

/// For which fixed ports another host is tried, after which, and when next: no host tells that they
/// are taken.
fn awaited_port(subject: &Subject) -> Option<Reason> {
    let mut next = None;
    let mut waits = |member: &&Member| {
        let at = heal::tried_at(subject, member).filter(|at| *at > subject.now);
        next = sooner(next, at);
        at.is_some()
    };
    let lacking = subject.fleet.0.iter().filter(|member| member.lacks_port());
    let waiting: Vec<&Member> = lacking.filter(|member| waits(member)).collect();
    let next = next?;
    let ports: BTreeSet<u16> =
        waiting.iter().flat_map(|member| heal::fixed_ports(subject, member)).collect();
    let word = if ports.len() == 1 { "port" } else { "one of ports" };
    let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let hosts = named(&waiting, |m| format!("{} ({})", m.object.spec.host, m.name()));
    let message =
        format!("{word} {ports} cannot be had on {hosts}; another host is tried at {next}");
    let hint = "free it where something else has it, or write 0 for any free port";
    Some(Reason::new(PORT_AWAITED, message).hint(hint))
}
