//! What of the measurements somebody may see who does not read everything: the series of
//! deployments they may read, told by their label. Every selector of what they ask is narrowed to
//! those; series that are of no deployment, those of hosts and of the platform, are not for them.

use atoll_metrics::{Matcher, promql};
use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::{Any, Deployment, Snapshot};
use atoll_plan::permission::Permissions;

use super::answer::{Result, Wrong};

/// The label that names the deployment of a series.
const LABEL: &str = "deployment";

/// The deployments whose series somebody may see; none, where they see all there are.
pub fn limit(world: &Snapshot, actor: &Actor) -> Option<Vec<String>> {
    let may = Permissions::of(world, actor);
    if may.reads_everything() {
        return None;
    }
    let all = world.all::<Deployment>().cloned().map(Any::Deployment);
    let seen = all.filter(|any| may.allows(world, Verb::Read, any));
    Some(seen.map(|any| any.name().to_owned()).collect())
}

/// The question, narrowed to what may be seen.
///
/// # Errors
/// It is no question.
pub fn narrowed(query: &str, limit: Option<&[String]>) -> Result<String> {
    match limit {
        None => Ok(query.to_owned()),
        Some(names) => Ok(promql::restricted(query, LABEL, names)?),
    }
}

/// Sets of matchers, each narrowed; one that takes all that may be seen, where there is none.
///
/// # Errors
/// They cannot be narrowed.
pub fn narrowed_sets(
    mut sets: Vec<Vec<Matcher>>,
    limit: Option<&[String]>,
) -> Result<Vec<Vec<Matcher>>> {
    let Some(names) = limit else { return Ok(sets) };
    let only = promql::one_of(LABEL, names)?;
    if sets.is_empty() {
        return Ok(vec![only]);
    }
    sets.iter_mut().for_each(|set| set.extend(only.iter().cloned()));
    Ok(sets)
}

/// What is answered elsewhere is not narrowed there.
///
/// # Errors
/// Whoever asks does not see everything.
pub fn whole(limit: Option<&[String]>) -> Result<()> {
    match limit {
        None => Ok(()),
        Some(_) => Err(Wrong::denied(
            "this is asked of another server, which cannot tell what you may see; it takes a role \
             that reads everything",
        )),
    }
}
