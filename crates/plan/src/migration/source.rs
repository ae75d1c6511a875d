//! Which hosts a migration empties: those its filter lets through when it begins, and those that
//! join while it is not over and that it lets through. Were they left open, what it moves off would
//! go there: a pool makes hosts for what finds no room, alike those that are emptied.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::migration::MigrationPhase;
use atoll_model::pool::Pool;
use atoll_model::pool::provider::Provider;
use atoll_model::{Any, Host, Kind, Migration, Object};

use crate::cmdb::filter::{Filter, Search};
use crate::{Context, pool};

fn filter(spec: &Migration) -> Option<Filter> {
    Filter::parse(&format!("kind = host and ({})", spec.off)).ok()
}

/// The hosts a migration's filter lets through.
pub(crate) fn sources(cx: &Context, spec: &Migration) -> BTreeSet<String> {
    let Some(filter) = filter(spec) else { return BTreeSet::new() };
    let found = Search::new(*cx).find(&filter).into_iter();
    found.filter(|found| found.kind() == Kind::Host).map(|host| host.name().to_owned()).collect()
}

/// Whether what runs on its hosts is moved off them for good: what joins meanwhile is emptied too.
pub(super) fn empties(migration: &Object<Migration>) -> bool {
    use MigrationPhase::{Moving, Paused, Stuck};
    !migration.spec.balance && matches!(migration.status.phase, Moving | Paused | Stuck)
}

/// Whether a host has joined since a migration began, and is not known to it yet.
pub(super) fn is_new(migration: &Object<Migration>, host: &Object<Host>) -> bool {
    let began = migration.status.started_at;
    let since = began.is_some_and(|began| host.meta.created_at >= Some(began));
    since && empties(migration) && !migration.status.hosts.contains(host.name())
}

/// Whether a migration takes a host in that has joined since it began.
pub(super) fn takes_in(cx: &Context, migration: &Object<Migration>, host: &Object<Host>) -> bool {
    is_new(migration, host) && passes(cx, &migration.spec, host)
}

/// The migration that is about to keep new instances off a host that has just joined.
pub(crate) fn joining<'a>(
    cx: &Context<'a>,
    host: &Object<Host>,
) -> Option<&'a Arc<Object<Migration>>> {
    cx.world.all::<Migration>().find(|migration| takes_in(cx, migration, host))
}

/// Whether a host passes a migration's filter whatever runs there: what has come there by the
/// migration itself says nothing of it.
fn passes(cx: &Context, spec: &Migration, host: &Object<Host>) -> bool {
    let Some(filter) = filter(spec) else { return false };
    let mut world = cx.world.clone();
    for instance in cx.world.instances_on(host.name()) {
        world.remove(Kind::Instance, instance.name());
    }
    let any = Any::Host(Arc::new(host.clone()));
    world.put(any.clone());
    filter.matches(&Search::new(Context { world: &world, ..*cx }), &any)
}

/// The migration that would empty any host a pool takes into use from now on. Such a pool makes
/// none while that goes on: nothing would be placed there.
pub(crate) fn shuts<'a>(cx: &Context<'a>, pool: &Object<Pool>) -> Option<&'a Object<Migration>> {
    let all = cx.world.all::<Migration>().filter(|migration| empties(migration));
    all.map(Arc::as_ref).find(|migration| would_empty(cx, &migration.spec, pool))
}

/// Whether a migration empties, or would empty, any host a pool takes into use from now on.
pub(super) fn would_empty(cx: &Context, spec: &Migration, pool: &Object<Pool>) -> bool {
    match &pool.spec.provider {
        Provider::Static(listed) => {
            let known = listed.hosts.iter().filter_map(|name| cx.world.get::<Host>(name));
            let used = |host: &&Arc<Object<Host>>| pool.status.machines.contains_key(host.name());
            let (used, spare): (Vec<_>, Vec<_>) = known.partition(used);
            let next = if spare.is_empty() { used } else { spare };
            !next.is_empty() && next.iter().all(|host| passes(cx, spec, host))
        }
        Provider::Docker(_) | Provider::Exec(_) => {
            passes(cx, spec, &pool::next_host(cx.world, pool))
        }
    }
}

/// Whether other pools may make hosts from now on, or fewer may: a migration has begun, has ended
/// or is to empty others.
pub(crate) fn shuts_others(old: Option<&Any>, new: Option<&Any>) -> bool {
    let what = |any: Option<&Any>| match any {
        Some(Any::Migration(it)) if empties(it) => Some(it.spec.off.clone()),
        _ => None,
    };
    what(old) != what(new)
}
