//! `atoll schema`: the JSON Schema of a kind, for editors and checks of manifests.

use std::str::FromStr;

use atoll_model::{Kind, rehearsal};

use crate::exit::Exit;
use crate::output;

/// What `atoll schema` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind, in any spelling; or rehearsal, for scenarios
    #[arg(value_name = "KIND")]
    kind: Of,
}

/// What there is a schema of.
#[derive(Clone, Copy, Debug)]
enum Of {
    Kind(Kind),
    Scenario,
}

impl FromStr for Of {
    type Err = String;
    fn from_str(text: &str) -> Result<Of, String> {
        match text.eq_ignore_ascii_case(rehearsal::KIND) {
            true => Ok(Of::Scenario),
            false => text.parse().map(Of::Kind),
        }
    }
}

/// Prints it.
///
/// # Errors
/// Standard output's.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let schema = match args.kind {
        Of::Kind(kind) => kind.schema(),
        Of::Scenario => rehearsal::schema(),
    };
    output::print(&output::json(&schema)?)?;
    Ok(Exit::Done)
}
