//! `atoll network`: what is free next in a network, and taking it. A network itself is an object
//! like any other.

use atoll_client::Client;
use atoll_model::{Any, Kind, Network, Object};
use serde_json::json;

use crate::args::Global;
use crate::change;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::subject::Subject;

/// What `atoll network` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The next free address, or with --length the next free prefix
    Next(Next),
    /// Give an address back
    Free(Free),
}

/// What `atoll network free` takes.
#[derive(Debug, clap::Args)]
pub struct Free {
    /// The network
    #[arg(value_name = "NAME")]
    name: String,
    /// The address
    #[arg(value_name = "ADDRESS")]
    address: std::net::IpAddr,
}

/// What `atoll network next` takes.
#[derive(Debug, clap::Args)]
pub struct Next {
    /// The network
    #[arg(value_name = "NAME")]
    name: String,
    /// A prefix of this length, in place of an address
    #[arg(long, value_name = "BITS")]
    length: Option<u8>,
    /// Take it for this: host/NAME or words for an address, the name of a new network for a prefix
    #[arg(long = "for", value_name = "WHOM")]
    take: Option<String>,
}

/// Somebody else may take the same at the same time; it is tried again this often.
const ATTEMPTS: usize = 5;

/// Shows what is free next, or takes it.
///
/// # Errors
/// The client's; nothing is left.
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let args = match command {
        Command::Next(args) => args,
        Command::Free(args) => return free(&client, args).await,
    };
    let name = args.name.trim_start_matches("network/");
    let Some(whom) = &args.take else {
        output::print_line(&client.next_free(name, args.length).await?.next)?;
        return Ok(Exit::Done);
    };
    for attempt in 1.. {
        match take(&client, name, args.length, whom).await {
            Ok(taken) => {
                output::print_line(&taken)?;
                break;
            }
            Err(error) if attempt < ATTEMPTS && raced(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Exit::Done)
}

/// Gives an address back.
async fn free(client: &Client, args: Free) -> anyhow::Result<Exit> {
    let name = args.name.trim_start_matches("network/");
    let subject = Subject { kind: Kind::Network, name: name.to_owned() };
    let any = client.get(Kind::Network, name).await?;
    let given = any.of::<Network>().and_then(|n| n.spec.assigned.get(&args.address).cloned());
    let Some(whom) = given else {
        output::say(&format!("{} of {subject} is given to nobody", args.address));
        return Ok(Exit::Done);
    };
    let patch = json!({ "spec": { "assigned": { args.address.to_string(): null } } });
    let revision = Some(any.meta().revision);
    let outcome = client.patch(Kind::Network, name, patch, revision, false).await?;
    change::judge(&outcome)?;
    output::say(&format!("{} of {subject} is {whom}'s no more", args.address));
    Ok(Exit::Done)
}

fn raced(error: &anyhow::Error) -> bool {
    let client = error.downcast_ref::<atoll_client::ClientError>();
    client.is_some_and(|error| error.status() == Some(409))
}

async fn take(
    client: &Client,
    name: &str,
    length: Option<u8>,
    whom: &str,
) -> anyhow::Result<String> {
    let any = client.get(Kind::Network, name).await?;
    let free = client.next_free(name, length).await?.next;
    let outcome = match length {
        None => {
            let patch = json!({ "spec": { "assigned": { &free: whom } } });
            // Over the revision that was read: of two who take the same, one is told to try again.
            let revision = Some(any.meta().revision);
            client.patch(Kind::Network, name, patch, revision, false).await?
        }
        Some(_) => {
            let parent = any.of::<Network>().map(|network| network.spec.clone());
            let parent = parent.ok_or_else(|| Failure::failed("the server sent no network"))?;
            let spec = Network {
                prefixes: vec![free.parse().map_err(Failure::failed)?],
                parent: Some(name.to_owned()),
                domain: parent.domain,
                owner: parent.owner,
                ..Network::default()
            };
            let child = Any::Network(std::sync::Arc::new(Object::new(whom, spec)));
            client.apply(vec![child.to_value()], false).await?
        }
    };
    change::judge(&outcome)?;
    let subject = Subject { kind: Kind::Network, name: name.to_owned() };
    output::say(&format!("{free} of {subject} is {whom}'s now"));
    Ok(free)
}
