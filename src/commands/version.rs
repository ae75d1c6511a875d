//! `atoll version`: of this program, and of the server where one is reached at once.

use std::time::Duration;

use serde_json::json;

use crate::args::{Global, Output};
use crate::exit::Exit;
use crate::output;

/// What `atoll version` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

/// The time a server has to tell its version.
const PATIENCE: Duration = Duration::from_millis(500);

/// Prints it. That no server is reached is no failure here.
///
/// # Errors
/// Standard output's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    let server = match global.client() {
        Ok(client) => tokio::time::timeout(PATIENCE, client.whoami()).await.ok(),
        Err(_) => None,
    };
    let server = server.and_then(Result::ok).map(|w| w.server_version);
    let value = json!({ "version": version, "server": server });
    let text = output::value(&value, args.output.output, || {
        let server = server.as_ref().map(|s| format!("server {s}\n")).unwrap_or_default();
        format!("atoll {version}\n{server}")
    });
    output::print(&text?)?;
    Ok(Exit::Done)
}
