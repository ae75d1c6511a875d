//! `atoll scale`: sets the number of instances of a deployment, or of hosts of a pool.

use atoll_model::Kind;
use serde_json::json;

use crate::args::{Global, Override, Wait};
use crate::change;
use crate::exit::Exit;
use crate::subject::Subject;

/// What `atoll scale` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// deployment/NAME or pool/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// How many instances, or hosts, there are to be
    #[arg(value_name = "N")]
    count: u32,
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
    let what = args.what.of(&[Kind::Deployment, Kind::Pool])?;
    let client = global.client()?;
    let before = client.get(what.kind, &what.name).await?;
    let spec = match what.kind {
        Kind::Pool => json!({ "count": args.count }),
        _ => json!({ "instances": args.count }),
    };
    let revision = Some(before.meta().revision);
    let outcome = change::patch_spec(&client, &what, spec, revision, &args.over).await?;
    change::conclude(&client, &what, &outcome, Some(&before), args.wait).await
}
