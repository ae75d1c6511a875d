//! `atoll guard`: replays recorded changes through the judge of rollouts, makes such records, and
//! keeps what people say of a verdict. Replaying needs no server.

use std::path::PathBuf;

use atoll_model::Kind;
use serde_json::json;

use crate::args::{Global, Output};
use crate::change;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::subject::Subject;

/// What `atoll guard` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Judge recorded changes, and say how often that was right
    Replay(Replay),
    /// Make recorded changes whose right verdict is known
    Generate(Generate),
    /// Say whether a verdict was right; it is kept with the analysis
    Feedback(Feedback),
}

/// What `atoll guard replay` takes.
#[derive(Debug, clap::Args)]
pub struct Replay {
    /// A directory of recorded changes; docs/guide/guard.md tells their format
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// What `atoll guard generate` takes.
#[derive(Debug, clap::Args)]
pub struct Generate {
    /// Where to write them; made where it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The same seed makes the same changes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many
    #[arg(long, default_value_t = 100)]
    count: usize,
}

/// What `atoll guard feedback` takes.
#[derive(Debug, clap::Args)]
pub struct Feedback {
    /// analysis/NAME, as `atoll get analyses` lists them
    #[arg(value_name = "ANALYSIS")]
    analysis: Subject,
    /// Whether the verdict was right
    #[arg(value_enum)]
    said: Said,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    comment: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Said {
    /// It was.
    Right,
    /// It was not.
    Wrong,
}

/// Does it.
///
/// # Errors
/// A record that cannot be read; the client's.
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Replay(args) => replay(&args),
        Command::Generate(args) => {
            let count = atoll_server::replay::generate(&args.directory, args.seed, args.count)
                .map_err(|e| Failure::failed(e.to_string()))?;
            output::say(&format!("{count} recorded changes in {}", args.directory.display()));
            Ok(Exit::Done)
        }
        Command::Feedback(args) => feedback(global, args).await,
    }
}

fn replay(args: &Replay) -> anyhow::Result<Exit> {
    let report =
        atoll_server::replay::replay(&args.directory).map_err(|e| Failure::usage(e.to_string()))?;
    output::print(&output::value(&report, args.output.output, || report.to_string())?)?;
    Ok(if report.left_out.is_empty() { Exit::Done } else { Exit::Usage })
}

async fn feedback(global: &Global, args: Feedback) -> anyhow::Result<Exit> {
    let subject = args.analysis.of(&[Kind::Analysis])?;
    let said = json!({ "right": args.said == Said::Right, "comment": args.comment });
    let patch = json!({ "spec": { "feedback": said } });
    let outcome = global.client()?.patch(subject.kind, &subject.name, patch, None, false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[subject])?;
    Ok(Exit::Done)
}
