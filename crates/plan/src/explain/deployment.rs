//! Why deployments and instances are as they are.

use std::sync::Arc;

use atoll_model::deployment::{InstancePhase, Phase, RolloutStatus};
use atoll_model::pool::PoolPhase;
use atoll_model::rollout::Strategy;
use atoll_model::run::Volume;
use atoll_model::snapshot::Standing;
use atoll_model::{
    Application, Autoscaler, Deployment, Host, Instance, Object, Pool, Reason, Release, Timestamp,
    many,
};

use super::{Told, ago, word};
use crate::Context;
use crate::deployment::fleet::{Fleet, Member};
use crate::deployment::status::PORT_AWAITED;
use crate::edit::release_named;

pub(super) fn tell(cx: &Context, it: &Arc<Object<Deployment>>, told: &mut Told) {
    let status = &it.status;
    told.state = sentence(it);
    if status.observed_generation < it.meta.generation {
        told.waiting_for.push("its planner to take up the last edit".to_owned());
    }
    let fleet = Fleet::of(cx.world, it);
    let application = cx.world.get::<Application>(&it.spec.application);
    if let (Some(rollout), Some(application)) = (&status.rollout, application) {
        tell_rollout(cx, it, application, rollout, told);
    }
    let each = fleet.0.iter().filter_map(|member| awaited(cx, it, application, member));
    told.wait_each(each.collect());
    for reason in &status.reasons {
        outside(reason, told);
    }
    if status.reasons.iter().any(|reason| reason.code == "unplaceable") {
        pools(cx, it, told);
    }
    told.reasons.extend(kept_at(cx, it));
    super::centre::about(cx, it, told);
    super::elasticity::blind(cx, it.name(), told);
    ailing(&fleet, told);
    if let Some(application) = application.filter(|_| fleet.0.is_empty()) {
        for needed in application.spec.needed() {
            told.see(format!("deployment/{needed}.{}", it.spec.environment));
        }
    }
    for member in fleet.0.iter().filter(|m| m.present() && m.broken()).take(super::NAMED) {
        told.see(format!("instance/{}", member.name()));
    }
    for member in fleet.0.iter().filter(|m| matches!(m.place, Standing::Lost | Standing::Leaving)) {
        if told.see.len() < 2 * super::NAMED {
            told.see(format!("host/{}", member.object.spec.host));
        }
    }
    told.see(format!("application/{}", it.spec.application));
    if cx.world.get::<Autoscaler>(it.name()).is_some() {
        told.see(format!("autoscaler/{}", it.name()));
    }
}

/// What the pools that make hosts for it do about it that it finds no room.
fn pools(cx: &Context, it: &Object<Deployment>, told: &mut Told) {
    let all = cx.world.all::<Pool>();
    for pool in all.filter(|pool| crate::pool::serves(cx.world, pool, &it.spec.environment)) {
        let (id, status) = (format!("pool/{}", pool.name()), &pool.status);
        let more = status.wanted.saturating_sub(status.counts.ready);
        if status.reasons.iter().any(|reason| reason.code == "at-max") {
            let message =
                format!("{id} has {} of {}, its most", status.counts.ready, pool.spec.max);
            told.reasons.push(Reason::new("pool-at-max", message).hint("raise its max"));
        } else if let Some(why) = stuck(pool) {
            told.reasons.push(Reason::new("pool-stuck", format!("{id} makes none: {why}")));
        } else if more > 0 {
            told.waiting_for.push(format!("{} of {id}", many(more as usize, "host")));
        }
        told.see(id);
    }
}

/// What keeps a pool from making hosts.
fn stuck(pool: &Object<Pool>) -> Option<&str> {
    let status = &pool.status;
    let reason = status.reasons.first().filter(|_| status.phase == PoolPhase::Stuck)?;
    Some(&reason.message)
}

/// Why it takes no newer release by itself, if so.
fn kept_at(cx: &Context, it: &Object<Deployment>) -> Option<Reason> {
    let (name, release) = (it.name(), it.spec.release.as_ref()?);
    if let Some(why) = &it.spec.pin {
        let message = format!("{name} is pinned to {release}: {why}");
        let hint = format!("let it follow again: atoll unpin deployment/{name}");
        return Some(Reason::new("pinned", message).hint(hint));
    }
    let newest = cx.world.newest_release(&it.spec.application)?;
    (newest.name() != release && newest.spec.number > number(cx, release))
        .then(|| release_named(name, release))
}

fn number(cx: &Context, release: &str) -> u64 {
    cx.world.get::<Release>(release).map_or(0, |release| release.spec.number)
}

/// What instances that are not ready say of themselves, each thing once: whoever asks for the
/// deployment at night is not to look for the instance that knows.
fn ailing(fleet: &Fleet, told: &mut Told) {
    let mut said: Vec<(&Reason, Vec<&str>)> = Vec::new();
    for member in fleet.0.iter().filter(|m| m.present() && !m.ready) {
        for reason in &member.object.status.reasons {
            match said.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, names)) => names.push(member.name()),
                None => said.push((reason, vec![member.name()])),
            }
        }
    }
    for (reason, names) in said.into_iter().take(super::NAMED) {
        let more = match names.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let (first, message) = (names[0], &reason.message);
        told.see(format!("instance/{first}"));
        // A deployment's own reason may hold the words already, but not what to do.
        let told_already = told.reasons.iter().any(|known| known.message.contains(message));
        if reason.hint.is_some() || !told_already {
            let message = format!("{first}{more}: {message}");
            told.reasons.push(Reason { message, ..reason.clone() });
        }
    }
}

fn sentence(it: &Object<Deployment>) -> String {
    let (name, status, wanted) = (it.name(), &it.status, it.wanted());
    let ready = match status.ready > wanted {
        // An update may have more for a while.
        true => {
            let more = crate::instances(status.ready as usize);
            format!("{more} are ready, {wanted} are wanted")
        }
        false => format!("{} of {wanted} instances are ready", status.ready),
    };
    let to = status.rollout.as_ref().map_or("", |rollout| rollout.to.as_str());
    let runs = status.release.as_deref().unwrap_or("nothing yet");
    let (updated, good) =
        (crate::instances(status.updated as usize), status.last_good.as_deref().unwrap_or("none"));
    match status.phase {
        Phase::Settled => format!("{name} is settled on {runs}: {ready}."),
        Phase::Waiting => format!("{name} waits for something it needs: {ready}."),
        Phase::Rolling if to.is_empty() => format!("{name} is brought to its target: {ready}."),
        Phase::Rolling => format!("{name} rolls out {to}: it runs on {updated}, {ready}."),
        Phase::Soaking => format!("{name} watches {to} on {updated}: {ready}."),
        Phase::Paused => {
            format!("{name} is paused on the way to {to}: it runs on {updated}, {ready}.")
        }
        Phase::RollingBack => format!("{name} goes back to {to}: it runs on {updated}, {ready}."),
        Phase::Failed => {
            format!("{name} failed with {to}, and the last good release is {good}: {ready}.")
        }
    }
}

fn tell_rollout(
    cx: &Context,
    it: &Object<Deployment>,
    application: &Object<Application>,
    rollout: &RolloutStatus,
    told: &mut Told,
) {
    let rules = application.spec.rules();
    if let (Phase::Soaking, Some(since)) = (it.status.phase, rollout.soaking_since) {
        let steps = rules.steps.len().max(1);
        let soak = rules.steps.get(rollout.step as usize).map(|step| step.soak);
        let until = soak.map(|soak| since + soak);
        let step = rollout.step + 1;
        told.waiting_for.push(match until {
            Some(until) if until > cx.now => {
                format!("the soak of step {step} of {steps} until {until}")
            }
            Some(_) => format!("a verdict of the guard on step {step} of {steps}"),
            None => format!("the soak of step {step} of {steps}"),
        });
        told.next.push(format!("skip the soaks with: atoll promote deployment/{}", it.name()));
    } else if it.status.phase == Phase::Soaking && rules.strategy == Strategy::BlueGreen {
        told.waiting_for
            .push(format!("all of {} to be ready for {}", rollout.to, rules.healthy_for));
    }
    let waits = it.status.phase == Phase::Rolling
        && it.status.updated > 0
        && it.status.reasons.iter().all(|reason| reason.code != "frozen");
    let late = rollout.progress_at + rules.deadline;
    if waits && late > cx.now && !rollout.back {
        told.next.push(format!("without progress it is judged at {late}"));
    }
}

/// What an instance lacks, if its deployment waits for it.
fn awaited(
    cx: &Context,
    it: &Object<Deployment>,
    application: Option<&Arc<Object<Application>>>,
    member: &Member,
) -> Option<String> {
    let (name, host) = (member.name(), &member.object.spec.host);
    let status = &member.object.status;
    if member.place == Standing::Lost {
        return None;
    }
    if member.object.meta.deleting() {
        return Some(format!("{name} on {host} to stop"));
    }
    if status.observed_generation < member.object.meta.generation {
        return Some(format!("the agent of {host} to take up {name}"));
    }
    if !member.ready {
        let (phase, since) = (word(&status.phase), ago(cx, status.since));
        return Some(format!("{name} on {host} to be ready; it is {phase}{since}"));
    }
    let rollout = it.status.rollout.as_ref().filter(|rollout| !rollout.back)?;
    let healthy_for = application?.spec.rollout.healthy_for;
    let at: Timestamp = member.proven_at(healthy_for)?;
    (member.is_on(&rollout.to) && at > cx.now)
        .then(|| format!("{name} on {host} to be ready for {healthy_for}, at {at}"))
}

/// What a reason says is awaited from elsewhere.
fn outside(reason: &Reason, told: &mut Told) {
    let what = match reason.code.as_str() {
        "frozen" => "the freeze to end",
        "unplaceable" => "room on a host",
        "needs" | "not-proven" => "the other deployment",
        "release-missing" => "a release",
        "application-missing" => "its application",
        "environment-missing" => "its environment",
        "runtime-mismatch" => "a release that can run here",
        "paused" => "somebody to tell it to go on",
        PORT_AWAITED => "the time to try another host for its port",
        _ => return,
    };
    told.waiting_for.push(what.to_owned());
}

/// What an instance keeps, and for how long.
fn volumes(volumes: &[Volume], spec: &Instance) -> String {
    let names: Vec<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    let what = if names.len() == 1 { "volume" } else { "volumes" };
    let (names, host, deployment) = (names.join(", "), &spec.host, &spec.deployment);
    format!(" Its {what} {names} on {host} is kept until deployment/{deployment} is deleted.")
}

pub(super) fn tell_instance(cx: &Context, it: &Arc<Object<Instance>>, told: &mut Told) {
    let (name, status, spec) = (it.name(), &it.status, &it.spec);
    let runs = match status.release.as_deref() {
        Some(release) if release == spec.release => format!("runs {release}"),
        Some(release) => format!("runs {release} and is to run {}", spec.release),
        None => format!("is to run {}", spec.release),
    };
    let (phase, since) = (word(&status.phase), ago(cx, status.since));
    told.state = format!("{name} on {} {runs}; it is {phase}{since}.", spec.host);
    if status.restarts > 0 {
        told.state
            .push_str(&format!(" It was restarted {}.", many(status.restarts as usize, "time")));
    }
    if let Some(release) = cx.world.get::<Release>(&spec.release) {
        told.state.push_str(&volumes(&release.spec.run.volumes, spec));
    }
    super::centre::about_instance(cx, name, told);
    match cx.world.get::<Host>(&spec.host) {
        None => told.waiting_for.push(format!("nothing: there is no host {} any more", spec.host)),
        Some(host) if host.status.phase == atoll_model::cmdb::HostPhase::Unknown => {
            told.waiting_for.push(format!("{} to be heard", spec.host));
        }
        Some(_) if it.meta.deleting() => told.waiting_for.push("its process to stop".to_owned()),
        Some(_) if status.observed_generation < it.meta.generation => {
            told.waiting_for.push(format!("the agent of {} to take up its target", spec.host));
        }
        Some(_) => match status.phase {
            InstancePhase::Fetching => {
                let what = if spec.runtime.is_process() { "its package" } else { "its image" };
                told.waiting_for.push(what.to_owned());
            }
            InstancePhase::Starting => told.waiting_for.push("its first good answer".to_owned()),
            InstancePhase::CrashLoop => {
                let release = cx.world.get::<Release>(&spec.release);
                let longest = release.map(|release| release.spec.run.restart.backoff.to);
                let when =
                    longest.map(|longest| format!(", {longest} after the last time at most"));
                told.next.push(format!("its agent tries again{}", when.unwrap_or_default()));
            }
            InstancePhase::Unready => told.waiting_for.push("a good answer".to_owned()),
            _ => {}
        },
    }
    if matches!(status.phase, InstancePhase::CrashLoop | InstancePhase::Unready) {
        told.next.push(format!("look at: atoll logs instance/{name}"));
    }
    told.see(format!("deployment/{}", spec.deployment));
    told.see(format!("host/{}", spec.host));
}
