//! `atoll provider docker`: the program a server runs to make hosts that are containers. It speaks
//! as every program of a pool does; the server starts it, and nobody else.

use std::io::Read;

use anyhow::Context as _;
use atoll_agent::pool::{Hosts, Wanted};
use atoll_server::pool::exec::{Request, Said};

use crate::exit::Exit;

/// Who makes machines.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The container engine of this machine
    Docker,
}

/// Answers one question on standard output.
///
/// # Errors
/// What the engine says.
pub async fn run(command: Command) -> anyhow::Result<Exit> {
    let Command::Docker = command;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("reading the question")?;
    let request: Request = serde_json::from_str(&text).context("reading the question")?;
    let hosts = Hosts::new(request.containers.clone().unwrap_or_default());
    let mut said = Said { account: hosts.account().await?, machines: Vec::new() };
    let key = request.key.clone().unwrap_or_default();
    match request.action.as_str() {
        "create" => {
            let wanted = Wanted {
                pool: request.pool,
                key,
                servers: request.servers,
                token: request.token.unwrap_or_default(),
                labels: request.labels,
            };
            said.machines.push(hosts.make(&wanted).await?);
        }
        "list" => said.machines = hosts.list(&request.pool).await?,
        "delete" => hosts.delete(&request.pool, &key, request.id.as_deref()).await?,
        other => anyhow::bail!("{other} is not known; there are create, list and delete"),
    }
    println!("{}", serde_json::to_string(&said)?);
    Ok(Exit::Done)
}
