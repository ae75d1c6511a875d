//! What freezes hold of dynamic configuration: another version for instances in a frozen
//! environment. Drafts change nothing and pass; so do giving up and the way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::config::Content;
use atoll_model::{Any, Application, Config, Intent, Object, Snapshot, Write};

use super::super::Case;
use super::Change;

/// What people change of configurations.
pub(super) fn edited(case: &Case) -> Vec<Change> {
    let mut changes = Vec::new();
    for write in &case.plan.writes {
        match write {
            Write::Put(Any::Config(new)) => {
                let old = case.cx.world.get::<Config>(new.name());
                let (live, target) = (live(old), new.spec.content());
                let promotes = new.spec.promoted.is_some()
                    && old.is_none_or(|old| old.spec.promoted != new.spec.promoted);
                let changes_it = old.is_none_or(|old| old.spec.content() != target);
                let back = case.plan.intent == Intent::Revert
                    || old.is_some_and(|old| old.status.previous.as_ref() == Some(&target));
                if (changes_it && !back) || promotes {
                    changes.extend(felt(case.cx.world, new, &live, &target));
                }
            }
            Write::Delete { kind: atoll_model::Kind::Config, name, .. } => {
                if let Some(old) = case.cx.world.get::<Config>(name) {
                    let nothing = Content::default();
                    changes.extend(felt(case.cx.world, old, &old.status.live, &nothing));
                }
            }
            _ => {}
        }
    }
    changes
}

/// What a planner changes: a version that becomes live, or reaches more instances.
pub(super) fn planned(case: &Case) -> Vec<Change> {
    let configs = case.puts().filter_map(|any| match any {
        Any::Config(config) => Some(config),
        _ => None,
    });
    let mut changes = Vec::new();
    for new in configs {
        let old = case.cx.world.get::<Config>(new.name());
        let (before, target) = (live(old), new.spec.content());
        changes.extend(felt(case.cx.world, new, &before, &target));
    }
    changes
}

fn live(old: Option<&Arc<Object<Config>>>) -> Content {
    old.map(|old| old.status.live.clone()).unwrap_or_default()
}

/// One change for each application and environment in which an instance would feel it.
fn felt(
    world: &Snapshot,
    config: &Arc<Object<Config>>,
    before: &Content,
    after: &Content,
) -> Vec<Change> {
    let members = crate::config::members(world, config.name());
    let places: BTreeSet<(String, String)> = members
        .iter()
        .filter(|member| member.feels(before, after))
        .map(|member| (member.label("application"), member.label("environment")))
        .collect();
    places
        .into_iter()
        .filter(|(application, _)| world.get::<Application>(application).is_some())
        .map(|(application, environment)| Change {
            application,
            environment: Some(environment),
            object: Any::Config(config.clone()),
            emergency: None,
            release: false,
        })
        .collect()
}
