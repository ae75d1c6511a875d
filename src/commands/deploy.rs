//! `atoll deploy`: rolls a release of an application out to an environment, or makes one of a
//! package first. How it is rolled out is the platform's.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_client::{Client, ClientError};
use atoll_model::decision::Holds;
use atoll_model::deployment::RETRY_ANNOTATION;
use atoll_model::{Application, Deployment, Environment, Freeze, Kind, Object, Package};
use serde_json::json;

use crate::args::{Global, Override, Wait};
use crate::change;
use crate::clock;
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
            Made::Followed(_) => {
                tell_entry(&client, &deployment, &args.environment).await?;
                tell_freezes(&client, &args.application, &args.environment).await?;
                return Ok(Exit::Done);
            }
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

/// Says that a release enters an environment that asks for something only once that is there.
async fn tell_entry(client: &Client, deployment: &Subject, name: &str) -> anyhow::Result<()> {
    let any = client.get(Kind::Environment, name).await?;
    if any.of::<Environment>().is_some_and(|environment| environment.spec.has_rules()) {
        output::say(&format!(
            "it enters {name} once all {name} asks of a release is there: atoll why {deployment}"
        ));
    }
    Ok(())
}

/// Says which freezes hold what was asked for, and that it goes out when they end.
async fn tell_freezes(client: &Client, application: &str, name: &str) -> anyhow::Result<()> {
    let now = clock::now();
    let any = client.get(Kind::Application, application).await?;
    let list = client.list_all(Kind::Freeze, None).await?;
    let all = list.items.iter().filter_map(|any| any.of::<Freeze>());
    let holds = |freeze: &&Arc<Object<Freeze>>| {
        let spec = &freeze.spec;
        let named =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n == name);
        spec.holds != Holds::Decisions
            && spec.active(now)
            && named(&spec.environments, name)
            && named(&spec.named, application)
            && spec.applications.matches(&any.meta().labels)
    };
    for freeze in all.filter(holds) {
        let until = freeze.spec.until.map_or(String::new(), |until| format!(" until {until}"));
        output::say(&format!(
            "it is held in {name} by freeze/{}{until}, and goes out then: {}; so that it \
             never does: atoll pin deployment/{application}.{name} --reason WHY",
            freeze.name(),
            freeze.spec.reason
        ));
    }
    Ok(())
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

/// That there is such a package: of another no release is made, and nothing is deployed. Whether
/// the name is one at all the server says.
async fn is_there(client: &Client, package: &str) -> anyhow::Result<()> {
    let Some((name, version)) = package.split_once(':') else { return Ok(()) };
    let object = Package::object_name(name, version);
    match client.get(Kind::Package, &object).await {
        Err(ClientError::NotFound(_)) => Err(Failure::not_found(format!(
            "there is no package {package}; push it first: atoll package push {package} PATH"
        ))
        .into()),
        // Who may not read it may deploy it all the same.
        Err(ClientError::Refused(_)) => Ok(()),
        found => Ok(found.map(drop)?),
    }
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
    is_there(client, package).await?;
    let any = client.get(deployment.kind, &deployment.name).await?;
    let follows = any.of::<Deployment>().is_some_and(|d| d.spec.release.is_none());
    let application = Subject { kind: Kind::Application, name: args.application.clone() };
    tell_others(client, &args.application, deployment).await?;
    let spec = json!({ "package": package });
    let mut outcome = change::patch_spec(client, &application, spec, None, &args.over).await?;
    if !follows {
        // What takes no release by itself is told to run this one next.
        outcome.reasons.retain(|reason| reason.code != "release-named");
    }
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
