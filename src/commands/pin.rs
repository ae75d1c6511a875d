//! `atoll pin` and `atoll unpin`: keep a deployment at a release, or let it follow again.

use atoll_model::{Deployment, Kind};
use serde_json::json;

use crate::args::{Global, Override};
use crate::change;
use crate::exit::{Exit, Failure};
use crate::subject::Subject;

/// What `atoll pin` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// deployment/NAME
    #[arg(value_name = "deployment/NAME")]
    what: Subject,
    /// The release it stays at [default: the last good one there]
    #[arg(long, value_name = "RELEASE")]
    release: Option<String>,
    /// Why; those who wonder are told
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    over: Override,
}

/// What `atoll unpin` takes.
#[derive(Debug, clap::Args)]
pub struct Undo {
    /// deployment/NAME
    #[arg(value_name = "deployment/NAME")]
    what: Subject,
    #[command(flatten)]
    over: Override,
}

/// Pins.
///
/// # Errors
/// There is nothing good to stay at; the client's; a refusal of the gate.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let what = args.what.of(&[Kind::Deployment])?;
    let client = global.client()?;
    let any = client.get(what.kind, &what.name).await?;
    let good = any.of::<Deployment>().and_then(|d| d.status.last_good.clone());
    let release = args.release.or(good).ok_or_else(|| {
        Failure::failed(format!("{what} has had no good release yet; say --release"))
    })?;
    let spec = json!({ "release": release, "pin": args.reason });
    let outcome = change::patch_spec(&client, &what, spec, None, &args.over).await?;
    change::tell(&outcome, &[what])?;
    Ok(Exit::Done)
}

/// Lets it follow again.
///
/// # Errors
/// The client's; a refusal of the gate.
pub async fn undo(global: &Global, args: Undo) -> anyhow::Result<Exit> {
    let what = args.what.of(&[Kind::Deployment])?;
    let client = global.client()?;
    let spec = json!({ "release": null, "pin": null });
    let outcome = change::patch_spec(&client, &what, spec, None, &args.over).await?;
    change::tell(&outcome, &[what])?;
    Ok(Exit::Done)
}
