//! `atoll delete`: deletes objects, by name or by their manifests.

use std::path::PathBuf;

use atoll_client::ClientError;

use crate::args::{Global, Wait};
use crate::change;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::goal::Goal;
use crate::output;
use crate::subject::{Subject, named};
use crate::wait;

/// What `atoll delete` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// KIND/NAME…, or KIND NAME…
    #[arg(value_name = "KIND/NAME", required_unless_present = "files", conflicts_with = "files")]
    what: Vec<String>,
    /// The objects of a manifest, a directory of them, or - for standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Objects that are not there count as deleted
    #[arg(long)]
    ignore_not_found: bool,
    #[command(flatten)]
    wait: Wait,
}

/// Deletes; goes on where one is not there, and tells at the end.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let subjects = if args.files.is_empty() {
        named(&args.what)?
    } else {
        // What was applied last goes first.
        let objects = files::read(&args.files)?;
        objects.iter().rev().map(Subject::is).collect()
    };
    let client = global.client()?;
    let (mut goals, mut missing) = (Vec::new(), Vec::new());
    for subject in subjects {
        match client.delete(subject.kind, &subject.name, false).await {
            Ok(outcome) => {
                change::judge(&outcome)?;
                change::tell(&outcome, std::slice::from_ref(&subject))?;
                goals.push(Goal::Gone(subject));
            }
            Err(ClientError::NotFound(_)) if args.ignore_not_found => {
                output::say(&format!("{subject} is not there"));
            }
            Err(ClientError::NotFound(_)) => missing.push(subject.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    let mut exit = Exit::Done;
    if args.wait.wait {
        exit = wait::settle(&client, goals, args.wait.timeout).await?;
    }
    match missing[..] {
        [] => Ok(exit),
        _ => Err(Failure::not_found(format!("there is no {}", missing.join(", "))).into()),
    }
}
