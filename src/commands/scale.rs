//! `atoll scale`: sets the number of instances of a deployment.

use atoll_model::Kind;
use serde_json::json;

use crate::args::{Global, Override, Wait};
use crate::change;
use crate::exit::Exit;
use crate::subject::Subject;

/// What `atoll scale` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// deployment/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// How many instances there are to be
    #[arg(value_name = "N")]
    instances: u32,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

/// Scales, and waits where that is asked for.
///
/// # Errors
/// The client's; a refusal of the gate.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let what = args.what.of(&[Kind::Deployment])?;
    let client = global.client()?;
    let before = client.get(what.kind, &what.name).await?;
    let spec = json!({ "instances": args.instances });
    let revision = Some(before.meta().revision);
    let outcome = change::patch_spec(&client, &what, spec, revision, &args.over).await?;
    change::conclude(&client, &what, &outcome, Some(&before), args.wait).await
}
