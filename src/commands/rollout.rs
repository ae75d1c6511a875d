//! `atoll pause`, `resume`, `promote` and `abort`: what a person can say to a rollout under way;
//! `resume` and `cancel`: to a job; `pause`, `resume` and `cancel`: to a migration.

use atoll_client::Client;
use atoll_model::api::Outcome;
use atoll_model::job::JobPhase;
use atoll_model::migration::MigrationPhase;
use atoll_model::{Any, Deployment, Job, Kind, Migration, Object};
use serde_json::{Value, json};

use crate::args::{Global, Override, Wait};
use crate::exit::{Exit, Failure};
use crate::goal::Goal;
use crate::subject::Subject;
use crate::{change, wait};

/// What the verbs take.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// deployment/NAME, job/NAME with resume and cancel, or migration/NAME with those and pause
    #[arg(value_name = "KIND/NAME")]
    pub what: Subject,
    #[command(flatten)]
    pub over: Override,
}

/// What verbs take that lead somewhere.
#[derive(Debug, clap::Args)]
pub struct Waiting {
    #[command(flatten)]
    pub args: Args,
    #[command(flatten)]
    pub wait: Wait,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Stop where it is.
    Pause,
    /// Go on.
    Resume,
    /// Skip what is left of the soaks.
    Promote,
    /// Go back.
    Abort,
    /// End.
    Cancel,
}

/// Says it.
///
/// # Errors
/// Nothing is being rolled out; the client's.
pub async fn run(global: &Global, step: Step, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let (what, _, outcome) = say(&client, step, args).await?;
    change::tell(&outcome, &[what])?;
    Ok(Exit::Done)
}

/// Says it, and waits for what comes of it where that is asked for.
///
/// # Errors
/// Nothing is being rolled out; it does not come to that; the client's.
pub async fn follow(global: &Global, step: Step, asked: Waiting) -> anyhow::Result<Exit> {
    let Waiting { args, wait } = asked;
    let client = global.client()?;
    let (what, before, outcome) = say(&client, step, args).await?;
    let rolling = before.of::<Deployment>().and_then(|it| it.status.rollout.as_ref());
    let (Step::Abort, Some(rolling)) = (step, rolling) else {
        return change::conclude(&client, &what, &outcome, Some(&before), wait).await;
    };
    change::tell(&outcome, std::slice::from_ref(&what))?;
    if !wait.wait {
        return Ok(Exit::Done);
    }
    let generation = change::written(&outcome, what.kind, &what.name);
    let generation = generation.unwrap_or(&before).meta().generation;
    let goal = Goal::Back { name: what.name, generation, from: rolling.to.clone() };
    wait::settle(&client, vec![goal], wait.timeout).await
}

/// Writes what is said; returns of what, how that was before, and what came of it.
async fn say(client: &Client, step: Step, args: Args) -> anyhow::Result<(Subject, Any, Outcome)> {
    let what = args.what.of(match step {
        Step::Resume => &[Kind::Deployment, Kind::Job, Kind::Migration],
        Step::Cancel => &[Kind::Job, Kind::Migration],
        Step::Pause => &[Kind::Deployment, Kind::Migration],
        _ => &[Kind::Deployment],
    })?;
    let any = client.get(what.kind, &what.name).await?;
    let spec = match &any {
        Any::Deployment(deployment) => target(step, deployment)?,
        Any::Job(job) => of_job(step, job)?,
        Any::Migration(migration) => of_migration(step, migration)?,
        other => {
            let message = format!("the server answered with {} for {what}", other.id());
            return Err(Failure::failed(message).into());
        }
    };
    let revision = Some(any.meta().revision);
    let outcome = change::patch_spec(client, &what, spec, revision, &args.over).await?;
    Ok((what, any, outcome))
}

fn target(step: Step, object: &Object<Deployment>) -> Result<Value, Failure> {
    let release = || {
        object.status.rollout.as_ref().map(|r| r.to.clone()).ok_or_else(|| {
            let on = object.status.release.as_deref().unwrap_or("no release");
            let id = format!("deployment/{}", object.name());
            Failure::failed(format!("nothing is being rolled out to {id}; it is on {on}"))
        })
    };
    Ok(match step {
        Step::Pause => json!({ "paused": true }),
        Step::Resume => json!({ "paused": false }),
        Step::Promote => json!({ "promoted": release()? }),
        Step::Abort | Step::Cancel => json!({ "aborted": release()? }),
    })
}

fn of_migration(step: Step, object: &Object<Migration>) -> Result<Value, Failure> {
    if object.status.phase.is_over() {
        let id = format!("migration/{}", object.name());
        let closed = object.spec.retire && object.status.phase == MigrationPhase::Done;
        return Err(Failure::failed(match closed {
            true => format!("{id} is over; its hosts stay closed until: atoll delete {id}"),
            false => format!("{id} is over"),
        }));
    }
    Ok(match step {
        Step::Cancel => json!({ "cancelled": true }),
        step => json!({ "paused": step == Step::Pause }),
    })
}

fn of_job(step: Step, object: &Object<Job>) -> Result<Value, Failure> {
    let (name, phase) = (object.name(), object.status.phase);
    if phase.is_over() {
        return Err(Failure::failed(format!("job/{name} is over")));
    }
    match step {
        Step::Cancel => Ok(json!({ "cancelled": true })),
        _ if phase != JobPhase::Paused => {
            Err(Failure::failed(format!("job/{name} waits for nobody")))
        }
        _ => Ok(json!({ "resumed": object.spec.resumed + 1 })),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_rollout_is_promoted_and_aborted_by_its_release() {
        let read = |status: &str| {
            let text = format!(
                r#"{{"apiVersion":"atoll/v1","kind":"Deployment","metadata":{{"name":"shop.prod"}},
                "spec":{{"application":"shop","environment":"prod"}},"status":{status}}}"#
            );
            Any::from_json(&text).unwrap().of::<Deployment>().unwrap().clone()
        };
        let rolling = read(
            r#"{"rollout":{"to":"shop-2","since":"2026-01-01T00:00:00Z",
            "progressAt":"2026-01-01T00:00:00Z"}}"#,
        );
        assert_eq!(target(Step::Promote, &rolling).unwrap(), json!({ "promoted": "shop-2" }));
        assert_eq!(target(Step::Abort, &rolling).unwrap(), json!({ "aborted": "shop-2" }));
        let still = read(r#"{"release":"shop-1"}"#);
        assert_eq!(target(Step::Pause, &still).unwrap(), json!({ "paused": true }));
        let wrong = target(Step::Abort, &still).unwrap_err();
        assert!(wrong.message.contains("it is on shop-1"), "{wrong}");
    }
}
