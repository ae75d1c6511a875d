//! `atoll agent`: makes this machine a host.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;

use super::server::{init_logging, until_stopped};
use crate::args::Global;
use crate::exit::{Exit, Failure};

/// The most bytes of packages kept on a host.
pub const CACHE_BYTES: u64 = 10 << 30;

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
}

/// Runs until told to stop; instances run on.
///
/// # Errors
/// The data cannot be used, or the server's CA is not the one the token names.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    init_logging();
    let whom = global.resolve()?;
    let mut ca_pem = whom.ca.clone();
    let token = whom.token.clone();
    let fingerprint = token.as_deref().and_then(|t| t.split_once('.')).map(|(_, f)| f.to_owned());
    if let Some(fingerprint) = fingerprint {
        let ca = atoll_client::fetch_authority(&whom.servers, Some(&fingerprint)).await?;
        ca_pem = Some(ca);
    }
    let options = atoll_agent::Options {
        servers: whom.servers,
        token,
        name: args.name.unwrap_or_else(machine_name),
        labels: labels(&args.labels)?,
        data: args.data.unwrap_or_else(|| super::up::default_data().join("agent")),
        address: args.address,
        ca_pem,
        program: std::env::current_exe().context("finding this program")?,
        cache_bytes: CACHE_BYTES,
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

/// The machine's name, as the name of a host.
pub fn machine_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok());
    let short = name.unwrap_or_default().to_ascii_lowercase();
    let short = short.split('.').next().unwrap_or_default();
    let plain: String =
        short.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { "host".to_owned() } else { plain.to_owned() }
}
