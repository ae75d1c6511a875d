//! `atoll logout`: ends the session of the context file, and forgets its token.

use anyhow::Context as _;

use crate::args::Global;
use crate::context;
use crate::exit::Exit;
use crate::output;

/// What `atoll logout` takes: nothing.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Signs out.
///
/// # Errors
/// No server is reached; the context file cannot be written.
pub async fn run(global: &Global, _: Args) -> anyhow::Result<Exit> {
    global.client()?.logout().await?;
    let path = context::path()
        .context("finding the context file: neither HOME is set nor XDG_CONFIG_HOME")?;
    let mut file = context::read(&path)?;
    if file.token.take().is_some() {
        context::write(&path, &file)?;
    }
    output::say("logged out");
    Ok(Exit::Done)
}
