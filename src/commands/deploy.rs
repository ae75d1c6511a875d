//! `atoll deploy`: rolls a release of an application out to an environment, or makes one of a
//! package first. How it is rolled out is the platform's.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_client::Client;
use atoll_model::deployment::RETRY_ANNOTATION;
use atoll_model::{Application, Deployment, Kind, Object};
use serde_json::json;

use crate::args::{Global, Override, Wait};
use crate::change;
use crate::exit::{Exit, Failure};
use crate::goal::Goal;
use crate::output;
use crate::subject::Subject;
use crate::wait;

/// What `atoll deploy` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application
    #[arg(value_name = "APPLICATION")]
    application: String,
    /// Where to
    #[arg(short = 'e', long = "env", value_name = "ENVIRONMENT")]
    environment: String,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

/// What is deployed: one of the two.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A release, as `atoll get releases` shows them
    #[arg(long, value_name = "RELEASE")]
    release: Option<String>,
    /// A package as NAME:VERSION, of which a release is made
    #[arg(long, value_name = "NAME:VERSION")]
    package: Option<String>,
}

/// Deploys, and waits where that is asked for.
///
/// # Errors
/// The client's; a refusal of the gate.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let name = format!("{}.{}", args.application, args.environment);
    let deployment = Subject { kind: Kind::Deployment, name };
    let release = match (&args.what.release, &args.what.package) {
        (Some(release), _) => release.clone(),
        (None, Some(package)) => match pack(&client, package, &args, &deployment).await? {
            Made::Pinned(release) => release,
            Made::Followed(generation) if args.wait.wait => {
                let goal = Goal::Application {
                    name: args.application,
                    generation,
                    environment: Some(args.environment),
                };
                return wait::settle(&client, vec![goal], args.wait.timeout).await;
            }
            Made::Followed(_) => return Ok(Exit::Done),
            Made::Late(exit) => return Ok(exit),
        },
        (None, None) => return Err(Failure::usage("say --release or --package").into()),
    };
    let spec = json!({ "release": release });
    let retry = retry(&client, &deployment, &release).await?;
    let outcome = change::patch(&client, &deployment, spec, retry, None, &args.over).await?;
    // A release that failed before and is asked for again is waited for anew.
    change::conclude(&client, &deployment, &outcome, None, args.wait).await
}

/// Says what else takes a new release by itself, as a release is the application's: it is made once
/// and goes wherever the application goes.
async fn tell_others(client: &Client, application: &str, asked: &Subject) -> anyhow::Result<()> {
    let list = client.list_all(Kind::Deployment, None).await?;
    let all = list.items.iter().filter_map(|any| any.of::<Deployment>());
    let follows = |d: &&Arc<Object<Deployment>>| {
        d.spec.application == application && d.spec.release.is_none() && d.name() != asked.name
    };
    let names: Vec<String> =
        all.filter(follows).map(|d| format!("deployment/{}", d.name())).collect();
    let Some(first) = names.first() else { return Ok(()) };
    output::say(&format!(
        "a release made of it is the application's: {} will take it too, as soon as it may enter \
         there; to keep one where it is: atoll pin {first} --reason WHY",
        names.join(", ")
    ));
    Ok(())
}

/// What says that a release that failed here is wanted all the same: an edit of its own, as the
/// target may name it already.
async fn retry(
    client: &Client,
    deployment: &Subject,
    release: &str,
) -> anyhow::Result<BTreeMap<&'static str, String>> {
    let any = client.get(deployment.kind, &deployment.name).await?;
    let failed = any.of::<Deployment>().and_then(|d| d.status.failed.as_ref());
    let failed = failed.filter(|failed| failed.release == release);
    Ok(failed.map(|failed| (RETRY_ANNOTATION, failed.at.to_string())).into_iter().collect())
}

/// What became of a package.
enum Made {
    /// The deployment follows the newest release: there is nothing more to write than this
    /// generation of the application.
    Followed(u64),
    /// The deployment names its release, so the new one must be named.
    Pinned(String),
    /// No release came of it in time.
    Late(Exit),
}

/// Names the package in the application, of which the platform makes a release.
async fn pack(
    client: &Client,
    package: &str,
    args: &Args,
    deployment: &Subject,
) -> anyhow::Result<Made> {
    let any = client.get(deployment.kind, &deployment.name).await?;
    let follows = any.of::<Deployment>().is_some_and(|d| d.spec.release.is_none());
    let application = Subject { kind: Kind::Application, name: args.application.clone() };
    tell_others(client, &args.application, deployment).await?;
    let spec = json!({ "package": package });
    let outcome = change::patch_spec(client, &application, spec, None, &args.over).await?;
    change::tell(&outcome, std::slice::from_ref(&application))?;
    let stored = match change::written(&outcome, application.kind, &application.name) {
        Some(any) => any.clone(),
        None => client.get(application.kind, &application.name).await?,
    };
    let generation = stored.meta().generation;
    if follows {
        return Ok(Made::Followed(generation));
    }
    let goal = Goal::Released { name: application.name.clone(), generation };
    match wait::settle(client, vec![goal], args.wait.timeout).await? {
        Exit::Done => {}
        late => return Ok(Made::Late(late)),
    }
    let any = client.get(application.kind, &application.name).await?;
    let release = any.of::<Application>().and_then(|a| a.status.release.clone());
    let message = format!("no release was made of {package}; ask `atoll why {application}`");
    Ok(Made::Pinned(release.ok_or_else(|| Failure::failed(message))?))
}
