//! `atoll whoami`: who the server takes us for.

use crate::args::{Global, Output};
use crate::exit::Exit;
use crate::output;

/// What `atoll whoami` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

/// Asks and shows.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let whoami = client.whoami().await?;
    let text = output::value(&whoami, args.output.output, || {
        let roles = match whoami.roles.as_slice() {
            [] => whoami.role.name().to_owned(),
            roles => roles.join(", "),
        };
        format!("{} ({roles})\n", whoami.name)
    });
    output::print(&text?)?;
    if args.output.output.is_table() {
        if !whoami.teams.is_empty() {
            output::say(&format!("in team {}", whoami.teams.join(", ")));
        }
        if let Some(until) = whoami.until {
            output::say(&format!("until {until}"));
        }
        let server = client.servers().into_iter().next().unwrap_or_default();
        output::say(&format!("at {server}, version {}", whoami.server_version));
    }
    Ok(Exit::Done)
}
