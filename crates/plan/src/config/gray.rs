//! The steps of a gray release: who has the newer version at each, when the next is taken, and
//! when it is taken back. What the guard thinks of it is in `watch.rs`.

use std::collections::BTreeMap;

use atoll_model::cmdb::HostPhase;
use atoll_model::config::{ConfigStatus, Gray, GrayStatus, GrayStep};
use atoll_model::deployment::InstancePhase;
use atoll_model::{Intent, Reason, Timestamp};

use super::acknowledged::all_of_gray;
use super::delivery::Member;
use super::watch::Watched;
use super::{Move, Subject};
use crate::deployment::watch::Word;
use crate::{checksum, instances, sooner};

/// Takes a gray release one step further, if it is time to.
pub(super) fn step(
    subject: &Subject,
    rules: &Gray,
    version: u64,
    status: &mut ConfigStatus,
) -> Move {
    let now = subject.cx.now;
    let under_way = status.gray.take().filter(|gray| gray.version == version);
    let begins = under_way.is_none();
    let mut gray = under_way.unwrap_or_else(|| GrayStatus {
        version,
        content: subject.target.clone(),
        since: now,
        ..GrayStatus::default()
    });
    let affected: Vec<&Member> =
        subject.members.iter().filter(|m| m.feels(&status.live, &subject.target)).collect();
    gray.affected = affected.len() as u32;
    let watched = Watched::of(subject, rules, &gray);
    gray.guard = watched.said();
    let back = broken(&affected, &gray).or_else(|| watched.takes_back());
    if let Some(reason) = back {
        return subject.give_up(version, reason, status);
    }
    let mut done = Move::new(Intent::Observe);
    done.again_at = watched.again_at;
    if !begins && let Some(reason) = watched.stops() {
        done.reasons.push(reason);
        done.asks = true;
        status.gray = Some(gray);
        return done;
    }
    if fill(&mut gray, rules, &affected, now) || begins {
        done.intent = Intent::Rollout;
    }
    status.gray = Some(gray);
    if all_of_gray(subject, status) {
        soak(subject, rules, &watched, status, &mut done);
    }
    done
}

/// Puts the instances of the present step on the newer version; true if more have it now.
///
/// **Invariant:** no more instances have the newer version than the present step says.
fn fill(gray: &mut GrayStatus, rules: &Gray, affected: &[&Member], now: Timestamp) -> bool {
    let wanted = up_to(rules, gray.step, affected, &gray.instances);
    let more = wanted.iter().any(|name| !gray.instances.contains_key(name));
    let since = |name: &String| gray.instances.get(name).copied().unwrap_or(now);
    gray.instances = wanted.iter().map(|name| (name.clone(), since(name))).collect();
    more
}

/// Who is to have it at a step: all of the steps before, and those of this one.
fn up_to(
    rules: &Gray,
    step: u32,
    affected: &[&Member],
    have: &BTreeMap<String, Timestamp>,
) -> Vec<String> {
    let mut chosen: Vec<&Member> = Vec::new();
    for rule in rules.steps.iter().take(step as usize + 1) {
        let more = of_step(rule, affected, &chosen, have);
        chosen.extend(more);
    }
    let last = rules.steps.get(step as usize).and_then(|rule| rule.instances);
    if let Some(portion) = last {
        chosen.truncate((portion.ceil_of(affected.len() as u32) as usize).max(1));
    }
    chosen.into_iter().map(|member| member.name().to_owned()).collect()
}

/// Those one step adds to the ones chosen before it.
fn of_step<'m, 'a>(
    rule: &GrayStep,
    affected: &[&'m Member<'a>],
    chosen: &[&'m Member<'a>],
    have: &BTreeMap<String, Timestamp>,
) -> Vec<&'m Member<'a>> {
    let is_new = |m: &&&'m Member<'a>| !chosen.iter().any(|c| c.name() == m.name());
    let rest = affected.iter().filter(is_new).copied();
    if let Some(portion) = rule.instances {
        let wanted = (portion.ceil_of(affected.len() as u32) as usize).max(1);
        // Those that have it keep it; then those that can take it up; then those of environments
        // a release passes through first; then by chance, which is the same for every version so
        // that one instance is not like the next by its number.
        let mut rest: Vec<&Member> = rest.collect();
        rest.sort_by_key(|member| {
            let (name, depth) = (member.name(), member.depth);
            let chance = checksum([name.as_bytes()]);
            (!have.contains_key(name), !can_take_up(member), depth, chance, name)
        });
        rest.truncate(wanted.saturating_sub(chosen.len()));
        return rest;
    }
    let named = |member: &&Member| match &rule.labels {
        Some(selector) => selector.matches(&member.labels),
        None => rule.names.iter().any(|name| name == member.name()),
    };
    rest.filter(named).collect()
}

fn can_take_up(member: &Member) -> bool {
    let heard = member.host.is_some_and(|host| host.status.phase != HostPhase::Unknown);
    heard && member.instance.status.phase == InstancePhase::Ready
}

/// Instances that have broken since they got the newer version, while those without it are well.
fn broken(affected: &[&Member], gray: &GrayStatus) -> Option<Reason> {
    let is_broken = |member: &&&Member, after: Timestamp| {
        let status = &member.instance.status;
        let bad = matches!(status.phase, InstancePhase::CrashLoop | InstancePhase::Unready);
        bad && status.since.is_some_and(|since| since >= after)
    };
    let with = |m: &&&Member| gray.instances.contains_key(m.name());
    let newer: Vec<&&Member> = affected.iter().filter(with).collect();
    let changed_at = |m: &Member| gray.instances.get(m.name()).copied().unwrap_or(gray.since);
    let bad: Vec<&&Member> =
        newer.iter().filter(|m| is_broken(m, changed_at(m))).copied().collect();
    let older = affected.iter().filter(|m| !with(m));
    let (others, others_bad) =
        older.fold((0, 0), |(all, bad), m| (all + 1, bad + usize::from(is_broken(&m, gray.since))));
    // More of the newer ones than one in twenty, and a larger share than of the others.
    let many = bad.len() * 20 > newer.len();
    let worse = bad.len() * others > others_bad * newer.len() || (others == 0 && !bad.is_empty());
    if !many || !worse {
        return None;
    }
    let first = bad.first()?;
    let why = first
        .instance
        .status
        .reasons
        .first()
        .map_or(String::new(), |reason| format!("; {}: {}", first.name(), reason.message));
    let message = format!(
        "{} of {} with version {} broke since they got it, {others_bad} of {others} without{why}",
        bad.len(),
        instances(newer.len()),
        gray.version,
    );
    Some(Reason::new("unhealthy", message))
}

/// All of this step have taken it up: it is watched, and then left.
fn soak(
    subject: &Subject,
    rules: &Gray,
    watched: &Watched,
    status: &mut ConfigStatus,
    done: &mut Move,
) {
    let now = subject.cx.now;
    let Some(gray) = &mut status.gray else { return };
    let since = *gray.soaking_since.get_or_insert(now);
    let rule = rules.steps.get(gray.step as usize);
    let over = since + rule.map_or_else(Default::default, |rule| rule.soak);
    if now < over {
        done.again_at = sooner(done.again_at, Some(over));
        return;
    }
    match watched.word(over) {
        Word::Go => {}
        Word::Wait(reason) => return done.reasons.push(reason),
        Word::Ask(reason) => {
            done.reasons.push(reason);
            done.asks = true;
            return;
        }
    }
    gray.step += 1;
    gray.soaking_since = None;
    gray.guard.clear();
    done.intent = Intent::Rollout;
    if gray.step as usize >= rules.steps.len() {
        let version = gray.version;
        subject.make_live(version, status);
        return;
    }
    let affected: Vec<&Member> =
        subject.members.iter().filter(|m| m.feels(&status.live, &subject.target)).collect();
    fill(gray, rules, &affected, now);
}
