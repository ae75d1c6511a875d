//! How a run begins: whoever tells of a commit, a time or a wish, the same thing told twice begins
//! one run. Not what the run does then, which is `run.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::ci::run::Cause;
use atoll_model::{Any, Intent, Object, Pipeline, Reason, Run, Snapshot, Write};

use super::run::names;
use crate::{Context, Plan};

/// What is to be run, and why.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The pipeline.
    pub pipeline: String,
    /// What begins the run.
    pub cause: Cause,
    /// The same cause with the same key begins one run, however often it is told.
    pub key: String,
    /// The branch; the pipeline's own, if absent.
    pub branch: Option<String>,
    /// The commit; the newest of the branch, if absent.
    pub commit: Option<String>,
    /// Source that is handed in, as the digest of a package's index.
    pub source: Option<String>,
    /// Steps that are handed in.
    pub definition: Option<Box<Pipeline>>,
    /// What is given to the run.
    pub params: BTreeMap<String, serde_json::Value>,
}

/// A plan that begins a run, and the run's name. Where the same was told before, the plan writes
/// nothing and the name is that of the run begun then.
///
/// **Invariant:** one cause with one key begins one run.
///
/// # Errors
/// There is no such pipeline, or nothing that could be run.
pub fn begin(cx: &Context, ask: &Ask) -> Result<(Plan, String), Vec<Reason>> {
    let pipeline = cx.world.get::<Pipeline>(&ask.pipeline);
    if pipeline.is_none() && ask.definition.is_none() {
        let message = format!("there is no pipeline {}", ask.pipeline);
        let hint = "apply it, or run a directory that holds one: atoll pipeline run DIR";
        return Err(vec![Reason::new("not-found", message).hint(hint)]);
    }
    if pipeline.is_some_and(|pipeline| pipeline.meta.deleting()) {
        let message = format!("pipeline {} is being deleted", ask.pipeline);
        return Err(vec![Reason::new("deleting", message)]);
    }
    let mut plan = Plan::new(Intent::Edit);
    if let Some(run) = told_before(cx.world, ask) {
        let message = format!("{} was begun for this already", run.name());
        plan.reasons.push(Reason::new("told-before", message));
        return Ok((plan, run.meta.name.clone()));
    }
    let wrong = wrong_params(pipeline, ask);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let number = next_number(cx.world, &ask.pipeline);
    let name = format!("{}.{number}", ask.pipeline);
    let spec = Run {
        pipeline: ask.pipeline.clone(),
        number,
        cause: ask.cause,
        key: ask.key.clone(),
        branch: ask.branch.clone().or_else(|| own_branch(pipeline, ask)),
        commit: ask.commit.clone(),
        source: ask.source.clone(),
        definition: ask.definition.clone(),
        params: ask.params.clone(),
        cancelled: false,
    };
    let mut run = Object::new(name.clone(), spec);
    run.meta.generation = 1;
    run.meta.created_at = Some(cx.now);
    plan.writes.push(Write::Put(Any::Run(Arc::new(run))));
    Ok((plan, name))
}

/// What is wrong with what a person gives to a run, where what it takes is known before the run:
/// what a repository declares is known only once its commit was fetched.
fn wrong_params(pipeline: Option<&Arc<Object<Pipeline>>>, ask: &Ask) -> Vec<Reason> {
    let own = pipeline.map(|pipeline| &pipeline.spec).filter(|spec| spec.source.is_none());
    match ask.definition.as_deref().or(own).filter(|_| ask.cause == Cause::Manual) {
        Some(definition) => names::wrong_params(&definition.params, &ask.params),
        None => Vec::new(),
    }
}

/// The branch whose newest commit is run, where nobody names a branch, a commit, or files.
fn own_branch(pipeline: Option<&Arc<Object<Pipeline>>>, ask: &Ask) -> Option<String> {
    let source = pipeline?.spec.source.as_ref()?;
    let newest = ask.commit.is_none() && ask.source.is_none();
    newest.then(|| source.branch.clone())
}

fn told_before<'a>(world: &'a Snapshot, ask: &Ask) -> Option<&'a Arc<Object<Run>>> {
    // A commit is one cause, whether it was pushed, told of or found.
    let of = |cause: Cause| match cause {
        Cause::Webhook | Cause::Poll | Cause::Push => Cause::Push,
        other => other,
    };
    let same =
        |run: &&Arc<Object<Run>>| run.spec.key == ask.key && of(run.spec.cause) == of(ask.cause);
    world.derived::<Run>(&ask.pipeline).find(same)
}

/// One more than that of the newest run there is or was.
fn next_number(world: &Snapshot, pipeline: &str) -> u64 {
    let known = world.get::<Pipeline>(pipeline).map_or(0, |pipeline| pipeline.status.last_run);
    let newest = world.derived::<Run>(pipeline).map(|run| run.spec.number).max();
    known.max(newest.unwrap_or(0)) + 1
}
