//! `atoll agent`: makes this machine a host.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;

use super::server::{init_logging, until_stopped};
use crate::args::{Cached, Global, Steps};
use crate::exit::{Exit, Failure};

/// Flags of `agent`, beside `--server` and `--token`, which every verb takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name of this host [default: the machine's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Labels of this host; zone=… says where it is
    #[arg(long, value_name = "K=V,…", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Where instances and packages are kept [default: as `up`]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where others reach instances on this host [default: the address of the route to the server]
    #[arg(long, value_name = "IP")]
    pub address: Option<IpAddr>,
    /// How it does the steps of pipelines
    #[command(flatten)]
    pub steps: Steps,
    /// What it keeps though nobody needs it
    #[command(flatten)]
    pub cached: Cached,
}

/// Runs until told to stop; instances run on.
///
/// # Errors
/// The data cannot be used, or no server lets this host join.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    init_logging();
    let whom = global.resolve()?;
    let options = atoll_agent::Options {
        servers: whom.servers,
        token: whom.token,
        name: args.name.unwrap_or_else(atoll_agent::default_name),
        labels: labels(&args.labels)?,
        data: args.data.unwrap_or_else(|| super::up::default_data().join("agent")),
        address: args.address,
        ca_pem: whom.ca,
        program: std::env::current_exe().context("finding this program")?,
        cache_bytes: args.cached.bytes.0,
        engine: None,
        collect_every: atoll_agent::Options::COLLECT_EVERY,
        bare_tasks: args.steps.bare,
        task_paths: args.steps.paths.clone(),
    };
    atoll_agent::run(options, until_stopped()).await?;
    Ok(Exit::Done)
}

fn labels(words: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    words
        .iter()
        .filter(|word| !word.is_empty())
        .map(|word| {
            let pair = word.split_once('=');
            let pair = pair.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
            pair.ok_or_else(|| Failure::usage(format!("--labels {word:?}: write key=value")).into())
        })
        .collect()
}
