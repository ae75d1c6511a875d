//! `atoll veto`: says that a release is to run nowhere, or takes that back.

use atoll_model::Kind;
use serde_json::json;

use crate::args::{Global, Override};
use crate::change;
use crate::exit::Exit;
use crate::output;
use crate::subject::Subject;

/// What `atoll veto` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// release/NAME
    #[arg(value_name = "release/NAME")]
    what: Subject,
    /// Why; those who wonder are told
    #[arg(long, value_name = "TEXT", required_unless_present = "withdraw")]
    reason: Option<String>,
    /// Take it back where it runs already
    #[arg(long, conflicts_with = "withdraw")]
    rollback: bool,
    /// Take the veto back
    #[arg(long, conflicts_with = "reason")]
    withdraw: bool,
}

/// Says it.
///
/// # Errors
/// The client's; a refusal of the gate.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let what = args.what.of(&[Kind::Release])?;
    let veto = match args.withdraw {
        true => serde_json::Value::Null,
        false => json!({ "reason": args.reason, "rollback": args.rollback }),
    };
    let client = global.client()?;
    let over = Override::default();
    let spec = json!({ "veto": veto });
    let outcome = change::patch_spec(&client, &what, spec, None, &over).await?;
    change::tell(&outcome, std::slice::from_ref(&what))?;
    if args.withdraw {
        output::say(&format!("{what} is vetoed no more, and goes on where it may"));
    }
    Ok(Exit::Done)
}
