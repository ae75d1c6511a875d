//! `atoll pipeline`: runs pipelines, follows and ends their runs, and shows what came of them. How
//! a run goes on is decided by the server.

use std::path::PathBuf;

use atoll_client::Client;
use atoll_model::api::RunRequest;
use atoll_model::{Any, Kind, Object, Pipeline, Run};
use serde_json::json;

use crate::args::{Global, Output};
use crate::clock::now;
use crate::exit::{Exit, Failure};
use crate::output;

pub mod begin;
mod follow;
mod show;

/// What `atoll pipeline` does.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run a pipeline of the server, or that of a directory here, and follow it to its end
    Run(begin::Args),
    /// List pipelines
    List(Output),
    /// The newest runs of a pipeline, or the steps of one run
    Show(Show),
    /// End a run
    Cancel(OneRun),
    /// Run the same once more
    Retry(Retry),
    /// The logs of a run, a step after another
    Logs(Logs),
    /// The tests of a run, or those of a pipeline that were not always well
    Tests(Show),
    /// What a run left, or one thing of it as a file or directory here
    Artifacts(Artifacts),
}

/// What takes a pipeline or a run.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// A pipeline, like shop, or a run, like shop.12
    #[arg(value_name = "NAME|RUN")]
    name: String,
    #[command(flatten)]
    output: Output,
}

/// What takes a run.
#[derive(Debug, clap::Args)]
pub struct OneRun {
    /// Like shop.12
    #[arg(value_name = "RUN")]
    run: String,
}

/// What `atoll pipeline retry` takes.
#[derive(Debug, clap::Args)]
pub struct Retry {
    /// Like shop.12
    #[arg(value_name = "RUN")]
    run: String,
    /// Begin it only, and print its name
    #[arg(long)]
    no_follow: bool,
}

/// What `atoll pipeline logs` takes.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// Like shop.12
    #[arg(value_name = "RUN")]
    run: String,
    /// Only those of this step
    #[arg(value_name = "STEP")]
    step: Option<String>,
    /// Go on until the run is over
    #[arg(short = 'f', long)]
    follow: bool,
}

/// What `atoll pipeline artifacts` takes.
#[derive(Debug, clap::Args)]
pub struct Artifacts {
    /// Like shop.12
    #[arg(value_name = "RUN")]
    run: String,
    /// The one to fetch; all are listed, if absent
    #[arg(value_name = "NAME")]
    artifact: Option<String>,
    /// A file for the archive, or - for standard output [default: NAME.tar]
    #[arg(long, value_name = "FILE", requires = "artifact")]
    to: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// The client's; a run that is not there, or failed.
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    let client = global.client()?;
    match command {
        Command::Run(args) => begin::run(&client, args).await,
        Command::List(args) => list(&client, args).await,
        Command::Show(args) => show::show(&client, &args.name, args.output.output).await,
        Command::Cancel(args) => cancel(&client, &args.run).await,
        Command::Retry(args) => retry(&client, args).await,
        Command::Logs(args) => {
            let of = follow::Of { run: args.run, step: args.step };
            if args.follow {
                return follow::follow(&client, &of).await;
            }
            follow::logs(&client, &of).await
        }
        Command::Tests(args) => show::tests(&client, &args.name, args.output.output).await,
        Command::Artifacts(args) => show::artifacts(&client, args).await,
    }
}

async fn list(client: &Client, args: Output) -> anyhow::Result<Exit> {
    let list = client.list_all(Kind::Pipeline, None).await?;
    if list.items.is_empty() && args.output.is_table() {
        output::say(
            "there are no pipelines; apply one, or run a directory: atoll pipeline run DIR",
        );
        return Ok(Exit::Done);
    }
    output::print(&output::list(list.items, list.revision, args.output, now())?)?;
    Ok(Exit::Done)
}

/// The run of that name.
async fn find(client: &Client, name: &str) -> anyhow::Result<Object<Run>> {
    let any = client.get(Kind::Run, name).await?;
    let run = any.of::<Run>().map(|run| Object::clone(run));
    Ok(run.ok_or_else(|| Failure::failed(format!("{} is no run", any.id())))?)
}

async fn cancel(client: &Client, name: &str) -> anyhow::Result<Exit> {
    let run = find(client, name).await?;
    if run.status.phase.is_over() {
        let phase = crate::columns::word(&run.status.phase);
        output::say(&format!("run/{name} is over already: {phase}"));
        return Ok(Exit::Done);
    }
    let patch = json!({ "spec": { "cancelled": true } });
    let outcome = client.patch(Kind::Run, name, patch, None, false).await?;
    crate::change::judge(&outcome)?;
    output::print_line(&format!("run {name} is being ended"))?;
    Ok(Exit::Done)
}

/// A run of the same source with the same parameters.
async fn retry(client: &Client, args: Retry) -> anyhow::Result<Exit> {
    let old = find(client, &args.run).await?;
    let commit = old.status.commit.as_ref().map(|commit| commit.id.clone());
    let request = RunRequest {
        key: None,
        branch: old.spec.branch.clone(),
        commit: commit.or(old.spec.commit),
        source: old.spec.source,
        definition: old.spec.definition,
        params: old.spec.params,
    };
    let begun = client.begin_run(&old.spec.pipeline, &request).await?;
    output::say(&format!("run {} begins, as {} once more", begun.run, args.run));
    if args.no_follow {
        output::print_line(&begun.run)?;
        return Ok(Exit::Done);
    }
    follow::follow(client, &follow::Of { run: begun.run, step: None }).await
}

/// The pipeline an object is, if it is one.
fn as_pipeline(any: &Any) -> Option<&Object<Pipeline>> {
    any.of::<Pipeline>().map(|pipeline| &**pipeline)
}
