//! `atoll schema`: the JSON Schema of a kind, for editors and checks of manifests.

use atoll_model::Kind;

use crate::exit::Exit;
use crate::output;

/// What `atoll schema` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind, in any spelling
    #[arg(value_name = "KIND")]
    kind: Kind,
}

/// Prints it.
///
/// # Errors
/// Standard output's.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    output::print(&output::json(&args.kind.schema())?)?;
    Ok(Exit::Done)
}
