//! What the server found in a repository, as writes: the source of a run, the newest commits of a
//! pipeline, and that a commit's state was told. Not the fetching.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::ci::run::{Commit, RunPhase};
use atoll_model::{
    Any, Application, Intent, Object, Pipeline, Reason, Run, Snapshot, Timestamp, Write,
};

use crate::{Context, Plan};

/// What a commit holds.
#[derive(Clone, Debug)]
pub struct Sourced {
    /// The commit.
    pub commit: Commit,
    /// Its files, as the digest of a package's index.
    pub source: String,
    /// The pipeline it declares, if it does.
    pub definition: Option<Box<Pipeline>>,
    /// The application it declares, if it does.
    pub application: Option<Box<Application>>,
}

/// Why there is no source.
#[derive(Clone, Debug)]
pub struct NotSourced {
    /// What was found.
    pub reasons: Vec<Reason>,
    /// Whether trying again is of no use.
    pub permanent: bool,
}

/// The runs whose source is to be fetched.
pub fn wanted(world: &Snapshot) -> Vec<String> {
    let wants = |run: &&Arc<Object<Run>>| {
        let (spec, status) = (&run.spec, &run.status);
        let pipeline = world.get::<Pipeline>(&spec.pipeline);
        status.phase == RunPhase::Pending
            && status.definition.is_none()
            && spec.source.is_none()
            && spec.definition.is_none()
            && !spec.cancelled
            && pipeline.is_some_and(|pipeline| pipeline.spec.source.is_some())
    };
    world.all::<Run>().filter(wants).map(|run| run.meta.name.clone()).collect()
}

/// Notes the source of a run, or why there is none.
pub fn sourced(cx: &Context, name: &str, found: Result<Sourced, NotSourced>) -> Plan {
    let mut plan = Plan::new(Intent::Observe);
    let Some(run) = cx.world.get::<Run>(name) else { return plan };
    if run.status.phase != RunPhase::Pending || run.status.definition.is_some() {
        return plan;
    }
    let mut new = Object::clone(run);
    let status = &mut new.status;
    match found {
        Ok(found) => {
            let stored = cx.world.get::<Pipeline>(&run.spec.pipeline);
            let stored = stored.filter(|stored| !stored.spec.steps.is_empty());
            let definition = found.definition.or_else(|| {
                // Where the commit declares no pipeline, the steps of the stored one hold.
                stored.map(|stored| Box::new(stored.spec.clone()))
            });
            status.commit = Some(found.commit);
            status.source = Some(found.source);
            status.application = found.application;
            status.reasons.clear();
            match definition {
                Some(definition) => status.definition = Some(definition),
                None => {
                    let of = &run.spec.pipeline;
                    let stored = cx.world.get::<Pipeline>(of);
                    let source = stored.and_then(|stored| stored.spec.source.as_ref());
                    let file = source.map_or("atoll.yaml", |source| source.file.as_str());
                    let message = format!("its {file} is missing, or holds no pipeline {of}");
                    let hint = "write a Pipeline into that file of the repository";
                    status.phase = RunPhase::Failed;
                    status.ended_at = Some(cx.now);
                    status.reasons = vec![Reason::new("no-steps", message).hint(hint)];
                }
            }
        }
        Err(not) => {
            status.reasons = not.reasons;
            if not.permanent {
                status.phase = RunPhase::Failed;
                status.ended_at = Some(cx.now);
            }
        }
    }
    if new.status != run.status {
        plan.reasons.clone_from(&new.status.reasons);
        plan.writes.push(Write::Put(Any::Run(Arc::new(new))));
    }
    plan
}

/// The pipelines whose repository is to be looked at for new commits.
pub fn to_poll(world: &Snapshot, now: Timestamp) -> Vec<String> {
    let due = |pipeline: &&Arc<Object<Pipeline>>| {
        let poll = pipeline.spec.source.as_ref().and_then(|source| source.poll);
        let last = pipeline.status.polled_at;
        poll.is_some_and(|every| last.is_none_or(|last| now.since(last) >= every))
    };
    world.all::<Pipeline>().filter(due).map(|pipeline| pipeline.meta.name.clone()).collect()
}

/// Notes the newest commits of branches. `polled` is whether the repository was asked for them.
pub fn seen(
    cx: &Context,
    name: &str,
    heads: &BTreeMap<String, String>,
    polled: Result<bool, Reason>,
) -> Plan {
    let mut plan = Plan::new(Intent::Observe);
    let Some(pipeline) = cx.world.get::<Pipeline>(name) else { return plan };
    let mut new = Object::clone(pipeline);
    for (branch, commit) in heads {
        new.status.heads.insert(branch.clone(), commit.clone());
    }
    if !matches!(polled, Ok(false)) {
        new.status.polled_at = Some(cx.now);
    }
    new.status.unseen = polled.err();
    if new.status != pipeline.status {
        plan.writes.push(Write::Put(Any::Pipeline(Arc::new(new))));
    }
    plan
}

/// The runs whose phase the place they come from does not know yet.
pub fn to_tell(world: &Snapshot) -> Vec<(String, RunPhase)> {
    let news = |run: &&Arc<Object<Run>>| {
        let told = run.status.told.map(word);
        run.status.commit.is_some()
            && run.spec.source.is_none()
            && told != Some(word(run.status.phase))
    };
    world.all::<Run>().filter(news).map(|run| (run.meta.name.clone(), run.status.phase)).collect()
}

/// Notes what was told of a run.
pub fn told(cx: &Context, name: &str, phase: RunPhase) -> Plan {
    let mut plan = Plan::new(Intent::Observe);
    let Some(run) = cx.world.get::<Run>(name) else { return plan };
    if run.status.told != Some(phase) || run.status.untold.is_some() {
        let mut new = Object::clone(run);
        new.status.told = Some(phase);
        new.status.untold = None;
        plan.writes.push(Write::Put(Any::Run(Arc::new(new))));
    }
    plan
}

/// Notes that the place a run comes from could not be told of it, and why. Where that is not tried
/// again, `given_up` is the phase it will not hear of.
pub fn untold(cx: &Context, name: &str, why: &str, given_up: Option<RunPhase>) -> Plan {
    let mut plan = Plan::new(Intent::Observe);
    let Some(run) = cx.world.get::<Run>(name) else { return plan };
    let mut new = Object::clone(run);
    let message = match given_up {
        None => format!("the state of its commit could not be told and is told again: {why}"),
        Some(_) => format!("the state of its commit was not told: {why}"),
    };
    let hint = format!("atoll get pipeline/{} -o yaml shows where it is told", run.spec.pipeline);
    new.status.untold = Some(Reason::new("state-not-told", message).hint(hint));
    new.status.told = given_up.or(run.status.told);
    if new.status != run.status {
        plan.writes.push(Write::Put(Any::Run(Arc::new(new))));
    }
    plan
}

/// The state of a commit, in the word that GitHub, GitLab and Gitea share or have one for.
pub fn word(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Pending | RunPhase::Waiting => "pending",
        RunPhase::Running => "running",
        RunPhase::Succeeded => "success",
        RunPhase::Failed | RunPhase::TimedOut => "failed",
        RunPhase::Cancelled => "cancelled",
    }
}
