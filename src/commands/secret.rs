//! `atoll secret`: sets, lists and deletes secrets. A value is read from standard input or a file,
//! never from the command line, which others can see; and none is ever shown.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use atoll_model::Kind;

use crate::args::{Global, Output};
use crate::clock::now;
use crate::exit::{Exit, Failure};
use crate::output;

/// What `atoll secret` does.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Give a secret its value, from standard input or a file
    Set(Set),
    /// List secrets, without their values
    List(Output),
    /// Delete secrets
    Delete(Delete),
}

/// What `atoll secret set` takes.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Read the value from this file, as it is
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// What `atoll secret delete` takes.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Does it.
///
/// # Errors
/// The client's; a value that cannot be read.
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    let client = global.client()?;
    match command {
        Command::Set(args) => {
            let value = read(&args)?;
            client.set_secret(&args.name, value.into()).await?;
            output::print_line(&format!("secret {} set", args.name))?;
        }
        Command::List(args) => {
            let list = client.list_all(Kind::Secret, None).await?;
            if list.items.is_empty() && args.output.is_table() {
                output::say("there are no secrets; set one: atoll secret set NAME < FILE");
                return Ok(Exit::Done);
            }
            output::print(&output::list(list.items, list.revision, args.output, now())?)?;
        }
        Command::Delete(args) => {
            for name in &args.names {
                let outcome = client.delete(Kind::Secret, name, false).await?;
                crate::change::judge(&outcome)?;
                output::print_line(&format!("secret {name} deleted"))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// The value; what a person types ends with a line's end that is not meant.
fn read(args: &Set) -> anyhow::Result<Vec<u8>> {
    if let Some(file) = &args.from_file {
        return std::fs::read(file).with_context(|| format!("reading {}", file.display()));
    }
    let mut value = Vec::new();
    std::io::stdin().lock().read_to_end(&mut value).context("reading the value")?;
    if value.ends_with(b"\n") {
        value.pop();
    }
    if value.is_empty() {
        return Err(Failure::usage("the value is empty; write it to standard input").into());
    }
    Ok(value)
}
