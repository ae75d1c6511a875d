//! `atoll rehearse`: what would come of a scenario, or of one object, on a twin of the fleet. The
//! server plays it: only that knows the planners.

use std::path::Path;

use atoll_model::Kind;

use crate::args::{Global, Output};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output;
use crate::subject::Subject;
use crate::whereabouts;

/// What `atoll rehearse` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A scenario, or - for standard input; or deployment, migration, peak or pool/NAME
    #[arg(value_name = "FILE|KIND/NAME")]
    what: String,
    #[command(flatten)]
    output: Output,
}

/// Rehearses and shows what came of it. It fails where a check does not hold.
///
/// # Errors
/// A wrong scenario; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = || global.client();
    let report = match named(&args.what)? {
        Some(subject) => client()?.rehearse_object(subject.kind, &subject.name).await?,
        None => {
            let (scenario, texts) = files::scenario(Path::new(&args.what))?;
            let done = client()?.rehearse(&scenario).await;
            whereabouts::placed(&texts, done.map_err(anyhow::Error::from))?
        }
    };
    output::print(&output::value(&report, args.output.output, || report.to_string())?)?;
    Ok(if report.held { Exit::Done } else { Exit::Failed })
}

/// The object that is meant, unless it is a file.
fn named(what: &str) -> Result<Option<Subject>, Failure> {
    if what == "-" || Path::new(what).exists() {
        return Ok(None);
    }
    let known = [Kind::Deployment, Kind::Migration, Kind::Peak, Kind::Pool];
    match what.parse::<Subject>() {
        Ok(subject) => subject.of(&known).map(Some),
        Err(_) => Err(Failure::usage(format!(
            "{what}: there is no such file, and it is not deployment/NAME, migration/NAME, \
             peak/NAME or pool/NAME"
        ))),
    }
}
