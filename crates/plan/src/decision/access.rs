//! Whether whoever asks may write what they write: each object as it is and as it would be, so that
//! nothing is moved out of, or into, where one has no right. What a right is worth is said by
//! [`Permissions`].

use std::sync::Arc;

use atoll_model::access::Author;
use atoll_model::access::role::Verb;
use atoll_model::decision::OVERRIDE_ANNOTATION;
use atoll_model::monitoring::OVERRIDE_BUDGET_ANNOTATION;
use atoll_model::{Any, Config, Host, Intent, Kind, Object, Reason, Runbook, Snapshot, Write};

use super::{Case, Opinion};
use crate::permission::Permissions;

/// So many hosts are named on which the clock may not begin something.
const MOST_REFUSED: usize = 3;

/// One thing a write needs.
struct Need {
    verb: Verb,
    any: Any,
    /// Judged in the world as it would be, and not as it is.
    after: bool,
}

/// **Invariant:** nobody writes an object without the right to it, before and after.
pub(super) fn access(case: &Case) -> Opinion {
    let world = case.cx.world;
    let permissions = Permissions::of(world, case.actor);
    if case.plan.intent == Intent::Report {
        if permissions.may_report() {
            return Opinion::default();
        }
        let message = format!("{} may not report for a host", permissions.called());
        let hint = "agents report, with the token they were given when they joined";
        return vec![Reason::new("denied", message).hint(hint)].into();
    }
    if case.by_planner() {
        return by_clock(case);
    }
    let needs: Vec<Need> = case.plan.writes.iter().flat_map(|write| needs(case, write)).collect();
    let mut opinion = Opinion::default();
    // Worked out for those only to whom it matters.
    let limited = |need: &Need| !permissions.always(need.verb, need.any.kind());
    let after = needs.iter().any(|need| need.after && limited(need)).then(|| case.after());
    for need in &needs {
        let there: &Snapshot = match &after {
            Some(after) if need.after => after,
            _ => world,
        };
        if let Err(reason) = permissions.check(there, need.verb, &need.any) {
            // Before and after are one refusal, where they say the same.
            if opinion.objections.iter().all(|said| said.message != reason.message) {
                opinion.objections.push(reason);
            }
        } else if need.verb == Verb::Override && !case.by_planner() {
            let message =
                format!("{} overrides what holds back {}", case.actor.name, need.any.id());
            opinion.notes.push(Reason::new("override", message));
        }
    }
    opinion
}

/// What the clock begins is held against the rights of whoever wrote last what it is made of, as
/// they are now.
fn by_clock(case: &Case) -> Opinion {
    let world = case.cx.world;
    let mut objections: Vec<Reason> = Vec::new();
    for write in &case.plan.writes {
        let Write::Put(any @ Any::Job(job)) = write else { continue };
        let Some(book) = job.spec.runbook.as_ref().filter(|_| case.stored(any).is_none()) else {
            continue;
        };
        let author = world.get::<Runbook>(book).and_then(|book| book.status.author.as_ref());
        let permissions = match author {
            Some(author) => Permissions::of_author(world, author, case.cx.now),
            None => Err(unsigned(book)),
        };
        match permissions {
            Err(reason) => objections.push(reason),
            Ok(permissions) => {
                let after = case.after();
                let refused = needs(case, write).into_iter().filter_map(|need| {
                    let there: &Snapshot = if need.after { &after } else { world };
                    permissions.check(there, need.verb, &need.any).err()
                });
                objections.extend(refused.take(MOST_REFUSED));
            }
        }
    }
    objections.into()
}

/// A runbook from before its author was put on record.
fn unsigned(book: &str) -> Reason {
    let message = format!("nobody is known to have written runbook {book}, so it begins nothing");
    let hint = "change its spec, be it its description, and apply it: it then goes by your rights";
    Reason::new("denied", message).hint(hint)
}

/// A write with what the server puts on record of it. Its author, where what is written begins by
/// itself later: whoever changes no more than labels makes it do nothing else, and signs nothing.
/// And what a draft was begun on.
pub(super) fn signed(case: &Case, write: &Write) -> Write {
    match write {
        Write::Put(any @ Any::Runbook(book))
            if case.stored(any).is_none_or(|stored| !stored.same_spec(any)) =>
        {
            let mut book = book.clone();
            Arc::make_mut(&mut book).status.author = Some(Author::from(case.actor));
            Write::Put(Any::Runbook(book))
        }
        Write::Put(any @ Any::Config(config)) => {
            let stored = case.stored(any);
            let before = match &stored {
                Some(Any::Config(stored)) => Some(&stored.spec),
                _ => None,
            };
            let on = match (before.and_then(|spec| spec.draft.as_ref()), &config.spec.draft) {
                (_, None) => None,
                (None, Some(_)) => Some(before.map(Config::content).unwrap_or_default()),
                (Some(_), Some(_)) => return write.clone(),
            };
            let mut config = config.clone();
            Arc::make_mut(&mut config).status.drafted_on = on;
            Write::Put(Any::Config(config))
        }
        _ => write.clone(),
    }
}

fn needs(case: &Case, write: &Write) -> Vec<Need> {
    let world = case.cx.world;
    let before = |verb, any: &Any| Need { verb, any: any.clone(), after: false };
    let new = match write {
        Write::Put(new) => new,
        Write::Delete { kind, name, .. } => {
            let stored = world.find(*kind, name);
            let verb = if is_begun(*kind) { Verb::Run } else { Verb::Delete };
            return stored.iter().map(|any| before(verb, any)).collect();
        }
    };
    let after = |verb| Need { verb, any: new.clone(), after: true };
    let Some(stored) = case.stored(new) else {
        let mut needs = match new {
            Any::Approval(approval) => {
                let id = approval.spec.subject.split_once('/');
                let subject = id.and_then(|(kind, name)| world.find(Kind::parse(kind)?, name));
                vec![before(Verb::Approve, &subject.unwrap_or_else(|| new.clone()))]
            }
            Any::Run(_) | Any::Job(_) => vec![after(Verb::Run)],
            _ => vec![after(Verb::Write)],
        };
        needs.extend(overrides(None, new).then(|| after(Verb::Override)));
        needs.extend(hosts(world, new).iter().map(|host| before(Verb::Exec, host)));
        return needs;
    };
    if new.meta().deleting() && !stored.meta().deleting() {
        let verb = if is_begun(new.kind()) { Verb::Run } else { Verb::Delete };
        return vec![before(verb, &stored)];
    }
    let verb = if is_begun(new.kind()) { Verb::Run } else { Verb::Write };
    let mut needs = vec![before(verb, &stored), after(verb)];
    needs.extend(overrides(Some(&stored), new).then(|| after(Verb::Override)));
    // To end a job one need not be able to begin it.
    let begins = match (&stored, new) {
        (Any::Job(old), Any::Job(new)) => {
            (old.spec.round, old.spec.resumed) != (new.spec.round, new.spec.resumed)
        }
        _ => !stored.same_spec(new),
    };
    if begins {
        needs.extend(hosts(world, new).iter().map(|host| before(Verb::Exec, host)));
    }
    needs
}

/// What is begun and ended, and not written.
fn is_begun(kind: Kind) -> bool {
    matches!(kind, Kind::Run | Kind::Job)
}

/// The hosts on which commands are run by what is written; a runbook may begin by itself.
fn hosts(world: &Snapshot, any: &Any) -> Vec<Any> {
    let (on, named) = match any {
        Any::Job(job) => (&job.spec.on, job.spec.hosts.as_slice()),
        Any::Runbook(runbook) => (&runbook.spec.on, &[][..]),
        _ => return Vec::new(),
    };
    let all = on.0.is_empty() && named.is_empty();
    let picked = |host: &&std::sync::Arc<Object<Host>>| {
        let by_labels = !on.0.is_empty() && on.matches(&host.meta.labels);
        all || by_labels || named.iter().any(|name| name == host.name())
    };
    world.all::<Host>().filter(picked).cloned().map(Any::Host).collect()
}

/// Whether a write says that something is to be done in spite of what holds it back.
fn overrides(old: Option<&Any>, new: &Any) -> bool {
    let said = |key: &str| {
        let now = new.meta().annotations.get(key);
        now.is_some() && now != old.and_then(|old| old.meta().annotations.get(key))
    };
    let emergency = |any: &Any| match any {
        Any::Promotion(promotion) => promotion.spec.emergency.clone(),
        _ => None,
    };
    let now = emergency(new);
    said(OVERRIDE_ANNOTATION)
        || said(OVERRIDE_BUDGET_ANNOTATION)
        || now.is_some() && now != old.and_then(emergency)
}
