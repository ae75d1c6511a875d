//! `atoll cordon`, `uncordon` and `drain`: what is wanted of a host.

use atoll_client::Client;
use atoll_model::Kind;
use serde_json::json;

use crate::args::{Global, Override, Wait};
use crate::change;
use crate::exit::Exit;
use crate::subject::Subject;

/// What the three verbs take.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// host/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing new on it.
    Cordon,
    /// Open to new instances.
    Uncordon,
    /// Nothing on it.
    Drain,
}

/// The codes of reasons that say who else keeps a host closed.
const KEEPERS: [&str; 2] = ["migrating", "in-reserve"];

/// Writes it, and waits where that is asked for.
///
/// # Errors
/// The client's; a refusal of the gate.
pub async fn run(global: &Global, step: Step, args: Args) -> anyhow::Result<Exit> {
    let what = args.what.of(&[Kind::Host])?;
    let client = global.client()?;
    let spec = match step {
        Step::Cordon => json!({ "cordon": true }),
        Step::Uncordon => json!({ "cordon": false, "drain": false }),
        Step::Drain => json!({ "drain": true }),
    };
    let outcome = change::patch_spec(&client, &what, spec, None, &args.over).await?;
    let exit = change::conclude(&client, &what, &outcome, None, args.wait).await?;
    if step == Step::Uncordon && exit == Exit::Done {
        tell_who_keeps_it(&client, &what).await?;
    }
    Ok(exit)
}

/// Says who else keeps a host closed that nobody has closed by hand any more.
async fn tell_who_keeps_it(client: &Client, what: &Subject) -> anyhow::Result<()> {
    let any = client.get(Kind::Host, &what.name).await?;
    for reason in any.reasons().iter().filter(|r| KEEPERS.contains(&r.code.as_str())) {
        let hint = reason.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        println!("{what} stays closed: {}{hint}", reason.message);
    }
    Ok(())
}
