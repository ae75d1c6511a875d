//! Writes in words, as they are told to people.

use atoll_model::{
    Any, Autoscaler, Budget, Capacity, Config, Decision, Deployment, Environment, Instance, Kind,
    Migration, Object, Pool, Promotion, Reason, Snapshot, Write,
};

use super::{monitoring, word};

/// What a write changes in the world, in one line; `None` where it only keeps the record of an
/// instance, a host or an application.
pub fn in_words(before: &Snapshot, write: &Write) -> Option<String> {
    let any = match write {
        Write::Put(Any::Promotion(promotion)) if is_record(before, promotion) => return None,
        Write::Put(any) => any,
        Write::Delete { kind: Kind::Promotion, name, .. }
            if before.get::<Promotion>(name).is_none_or(|it| is_record(before, it)) =>
        {
            return None;
        }
        Write::Delete { kind, name, .. } => {
            let verb = if *kind == Kind::Instance { "forget" } else { "delete" };
            return Some(format!("{verb} {}/{name}", kind.lower()));
        }
    };
    let stored = before.find(any.kind(), any.name());
    match (any, &stored) {
        (Any::Instance(new), Some(Any::Instance(old))) => instance(old, new),
        (Any::Instance(new), _) => {
            let (name, spec) = (new.name(), &new.spec);
            Some(format!("create instance/{name} of {} on {}", spec.release, spec.host))
        }
        (_, Some(old)) if any.meta().deleting() && !old.meta().deleting() => {
            Some(format!("ask for the deletion of {}", any.id()))
        }
        (Any::Task(new), Some(Any::Task(old))) if new.spec.host != old.spec.host => {
            let host = new.spec.host.as_deref().unwrap_or_default();
            Some(format!("give {} to {host}", any.id()))
        }
        (_, Some(old)) if !old.same_spec(any) => Some(format!("edit {}", any.id())),
        (_, None) => Some(format!("create {}", any.id())),
        (Any::Deployment(new), Some(Any::Deployment(old))) => deployment(old, new),
        (Any::Host(new), Some(Any::Host(old))) => (new.status.phase != old.status.phase)
            .then(|| format!("{} is {}", any.id(), word(&new.status.phase))),
        (Any::Run(new), Some(Any::Run(old))) => (new.status.phase != old.status.phase)
            .then(|| format!("{} is {}", any.id(), word(&new.status.phase))),
        (Any::Task(new), Some(Any::Task(old))) => (new.status.phase != old.status.phase)
            .then(|| format!("{} is {}", any.id(), word(&new.status.phase))),
        (Any::Config(new), Some(Any::Config(old))) => config(old, new),
        (Any::Autoscaler(new), Some(Any::Autoscaler(old))) => autoscaler(old, new),
        (Any::Capacity(new), Some(Any::Capacity(old))) => capacity(old, new),
        (Any::Migration(new), Some(Any::Migration(old))) => migration(old, new),
        (Any::Peak(new), Some(Any::Peak(old))) => super::peak::words(old, new),
        (Any::Pool(new), Some(Any::Pool(old))) => pool(old, new),
        (Any::Budget(new), Some(Any::Budget(old))) => budget(old, new),
        (Any::Promotion(new), Some(Any::Promotion(old))) => (new.status.phase != old.status.phase)
            .then(|| format!("{} is {}", any.id(), word(&new.status.phase))),
        (Any::Policy(new), Some(Any::Policy(old))) => (new.status.phase != old.status.phase)
            .then(|| format!("{} is {}", any.id(), word(&new.status.phase))),
        (Any::Decision(new), Some(Any::Decision(old))) => decision(old, new),
        (new, Some(old)) if monitoring::phase(new) != monitoring::phase(old) => {
            let phase = monitoring::phase(new).unwrap_or_default();
            Some(format!("{} is {phase}", any.id()))
        }
        (new, Some(old)) => (new.reasons() != old.reasons()).then(|| {
            format!("{} is {}", any.id(), codes(new.reasons()).unwrap_or("well".to_owned()))
        }),
    }
}

fn decision(old: &Object<Decision>, new: &Object<Decision>) -> Option<String> {
    let told = |of: &Object<Decision>| {
        let status = &of.status;
        let why = codes(&status.reasons).map(|codes| format!(" ({codes})")).unwrap_or_default();
        let over = if status.ended_at.is_some() { ", over" } else { "" };
        let came = status.effect.as_ref().map(|effect| format!(", {}", word(&effect.verdict)));
        let came = came.unwrap_or_default();
        format!("decision/{} is {}{came}{over}{why}", of.name(), word(&status.phase))
    };
    let (was, is) = (told(old), told(new));
    (was != is).then_some(is)
}

/// A promotion where nothing is asked only keeps what became of a release.
fn is_record(world: &Snapshot, promotion: &Object<Promotion>) -> bool {
    let environment = world.get::<Environment>(&promotion.spec.environment);
    environment.is_none_or(|environment| !environment.spec.has_rules())
}

fn instance(old: &Object<Instance>, new: &Object<Instance>) -> Option<String> {
    let name = new.name();
    if new.meta.deleting() && !old.meta.deleting() {
        Some(format!("stop instance/{name} on {}", new.spec.host))
    } else if new.spec.release != old.spec.release {
        Some(format!("update instance/{name} to {}", new.spec.release))
    } else if new.spec.prefetch != old.spec.prefetch {
        let release = new.spec.prefetch.as_deref().unwrap_or("nothing");
        Some(format!("fetch {release} ahead for instance/{name}"))
    } else {
        None
    }
}

fn deployment(old: &Object<Deployment>, new: &Object<Deployment>) -> Option<String> {
    let tell = |d: &Object<Deployment>| {
        let why = codes(&d.status.reasons).map(|codes| format!(" ({codes})")).unwrap_or_default();
        format!("deployment/{} is {}{why}", d.name(), word(&d.status.phase))
    };
    (tell(old) != tell(new) || old.wanted() != new.wanted())
        .then(|| format!("{}, {} of {} ready", tell(new), new.status.ready, new.wanted()))
}

fn autoscaler(old: &Object<Autoscaler>, new: &Object<Autoscaler>) -> Option<String> {
    let tell = |a: &Object<Autoscaler>| {
        let why = codes(&a.status.reasons).map(|codes| format!(" ({codes})")).unwrap_or_default();
        let number = a.status.desired.map(|desired| format!(", {desired}")).unwrap_or_default();
        format!("autoscaler/{} is {}{number}{why}", a.name(), word(&a.status.phase))
    };
    (tell(old) != tell(new)).then(|| tell(new))
}

fn budget(old: &Object<Budget>, new: &Object<Budget>) -> Option<String> {
    let tell = |b: &Object<Budget>| {
        let why = codes(&b.status.reasons).map(|codes| format!(" ({codes})")).unwrap_or_default();
        let spend = b
            .status
            .spend
            .as_ref()
            .map(|spend| format!(", {} {} an hour", spend.rate.fine(), spend.currency));
        let spend = spend.unwrap_or_default();
        format!("budget/{} is {}{spend}{why}", b.name(), word(&b.status.phase))
    };
    (tell(old) != tell(new)).then(|| tell(new))
}

fn capacity(old: &Object<Capacity>, new: &Object<Capacity>) -> Option<String> {
    let tell = |c: &Object<Capacity>| {
        let each = c.status.each.unwrap_or_default();
        let (phase, known) = (word(&c.status.phase), word(&c.status.known));
        format!("capacity/{} is {phase}, {each} an instance ({known})", c.name())
    };
    (tell(old) != tell(new)).then(|| tell(new))
}

fn migration(old: &Object<Migration>, new: &Object<Migration>) -> Option<String> {
    let tell = |m: &Object<Migration>| {
        let why = codes(&m.status.reasons).map(|codes| format!(" ({codes})")).unwrap_or_default();
        let (phase, wave, moved) = (word(&m.status.phase), m.status.wave, m.status.moved);
        let on_the_way = m.status.moving.len();
        let name = m.name();
        format!(
            "migration/{name} is {phase}, wave {wave}, {moved} moved, {on_the_way} on the way{why}"
        )
    };
    (tell(old) != tell(new)).then(|| tell(new))
}

fn pool(old: &Object<Pool>, new: &Object<Pool>) -> Option<String> {
    let tell = |pool: &Object<Pool>| {
        let why = codes(&pool.status.reasons);
        let why = why.map(|codes| format!(" ({codes})")).unwrap_or_default();
        let counts = &pool.status.counts;
        let all = [
            (counts.creating, "created"),
            (counts.joining, "joining"),
            (counts.ready, "ready"),
            (counts.lost, "lost"),
            (counts.draining, "draining"),
            (counts.deleting, "deleted"),
        ];
        let said: Vec<String> = all
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let said = if said.is_empty() { "none".to_owned() } else { said.join(", ") };
        let (phase, wanted) = (word(&pool.status.phase), pool.status.wanted);
        format!("pool/{} is {phase}, of {wanted}: {said}{why}", pool.name())
    };
    (tell(old) != tell(new)).then(|| tell(new))
}

fn config(old: &Object<Config>, new: &Object<Config>) -> Option<String> {
    let tell = |c: &Object<Config>| {
        let status = &c.status;
        let gray = status.gray.as_ref().map(|gray| {
            let mut names: Vec<&str> = gray.instances.keys().map(String::as_str).collect();
            let more = names.len().saturating_sub(5);
            names.truncate(5);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(", {} on {}{more}", gray.version, names.join(", "))
        });
        let why = codes(&status.reasons).map(|codes| format!(" ({codes})")).unwrap_or_default();
        let phase = word(&status.phase);
        let gray = gray.unwrap_or_default();
        format!("config/{} is {phase} at version {}{gray}{why}", c.name(), status.version)
    };
    let told = tell(new);
    (told != tell(old))
        .then(|| format!("{told}, {} of {}", new.status.acknowledged, new.status.instances))
}

fn codes(reasons: &[Reason]) -> Option<String> {
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code.as_str()).collect();
    (!codes.is_empty()).then(|| codes.join(", "))
}
