//! Becoming a host: with a join token once, with the host's own token ever after.

use std::net::IpAddr;
use std::time::Duration;

use atoll_client::{Backoff, Client, ClientError, Endpoint, fetch_authority};
use atoll_model::Level;
use atoll_model::agent::{HostFacts, Join};

use crate::state::StateFile;
use crate::{AgentError, Options};

/// Fetches the certificate of the servers' own CA, where a join token names it by its fingerprint.
/// The token's word holds even where another CA is given: whoever made the token knew its server.
/// Tries for ever while no server is reached.
///
/// # Errors
/// When a server shows another CA.
pub async fn authority(options: &mut Options, state: &StateFile) -> Result<(), AgentError> {
    let token = options.token.as_deref().and_then(|t| t.split_once('.'));
    let (None, Some((_, fingerprint))) = (&state.memory.token, token) else {
        return Ok(());
    };
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let fetched = loop {
        match fetch_authority(&options.servers, Some(fingerprint)).await {
            Err(error) if passing(&error) => tokio::time::sleep(backoff.next_wait()).await,
            other => break other.map_err(AgentError::Join)?,
        }
    };
    options.ca_pem = Some(fetched);
    Ok(())
}

/// A client for the servers of the options and those remembered.
pub fn client(options: &Options, state: &StateFile) -> Result<Client, AgentError> {
    let mut servers = options.servers.clone();
    servers.extend(state.memory.servers.iter().filter(|s| !options.servers.contains(s)).cloned());
    let ca_pem = options.ca_pem.clone().or_else(|| state.memory.ca_pem.clone());
    let token = state.memory.token.clone().or_else(|| options.token.clone());
    Client::new(&Endpoint { servers, token, ca_pem }).map_err(AgentError::Options)
}

/// Joins, trying for ever while no server is reached, and remembers what came of it.
///
/// # Errors
/// When a server refuses, or what it answers cannot be written down.
pub async fn join(
    options: &Options,
    facts: &HostFacts,
    client: &Client,
    state: &mut StateFile,
) -> Result<Client, AgentError> {
    let request =
        Join { name: options.name.clone(), labels: options.labels.clone(), facts: facts.clone() };
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut told = false;
    let (host, token, servers) = loop {
        match attempt(client, &request, options).await {
            Ok(joined) => break joined,
            Err(error) if passing(&error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "joining is tried again");
                }
                tokio::time::sleep(backoff.next_wait()).await;
            }
            Err(error) => return Err(AgentError::Join(error)),
        }
    };
    let remembered = state.change(|memory| {
        memory.host = Some(host.clone());
        memory.token = Some(token.clone());
        memory.servers = servers.clone();
        memory.ca_pem = options.ca_pem.clone();
        // What another server counted means nothing to this one.
        memory.revision = 0;
    });
    remembered.map_err(|source| AgentError::Data { path: options.data.clone(), source })?;
    tracing::info!(host, "this machine is a host now");
    client.learn_servers(&servers);
    client.with_token(&token).map_err(AgentError::Join)
}

/// One attempt: name, token and servers. A token that may not join may be a host's own.
async fn attempt(
    client: &Client,
    request: &Join,
    options: &Options,
) -> Result<(String, String, Vec<String>), ClientError> {
    let refused = match client.join(request).await {
        Ok(joined) => return Ok((joined.host, joined.token, joined.servers)),
        Err(error @ ClientError::Refused(_)) => error,
        Err(error) => return Err(error),
    };
    let (Some(token), Ok(who)) = (&options.token, client.whoami().await) else {
        return Err(refused);
    };
    match who.name.strip_prefix("host/") {
        Some(host) if who.role == Level::Host => Ok((host.to_owned(), token.clone(), Vec::new())),
        _ => Err(refused),
    }
}

/// Whether another attempt may fare better.
pub fn passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        other => other.status().is_some_and(|s| s >= 500 || s == 429),
    }
}

/// The address of this host: the one given, or that of the way to a server.
pub fn address(options: &Options, client: &Client) -> IpAddr {
    options.address.unwrap_or_else(|| crate::facts::address(&client.servers()))
}
