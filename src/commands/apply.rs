//! `atoll apply`: brings objects to what manifests say, all or none.

use atoll_model::{Any, Kind};

use crate::args::{Files, Global, Output, Override, Wait};
use crate::change;
use crate::commands::plan;
use crate::exit::Exit;
use crate::files;
use crate::goal::Goal;
use crate::output::{self, Format};
use crate::subject::Subject;
use crate::{wait, whereabouts};

/// What `atoll apply` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Only say what would change, as `atoll plan` does
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
    #[command(flatten)]
    output: Output,
}

/// Applies, and waits where that is asked for.
///
/// # Errors
/// A wrong manifest; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let (mut objects, texts) = files::read_with_texts(&args.files.files)?;
    if args.dry_run {
        return plan::show((objects, texts), args.output.output, &args.over, global).await;
    }
    objects.iter_mut().for_each(|any| change::annotate(any, &args.over));
    let client = global.client()?;
    let done = client.apply(objects.iter().map(Any::to_value).collect(), false).await;
    let mut outcome = whereabouts::placed(&texts, done.map_err(anyhow::Error::from))?;
    whereabouts::placed(&texts, change::judge(&outcome).map_err(anyhow::Error::from))?;
    match args.output.output {
        Format::Table | Format::Wide => {
            for reason in &mut outcome.reasons {
                texts.place(reason);
            }
            change::tell(&outcome, &objects.iter().map(Subject::is).collect::<Vec<_>>())?;
        }
        Format::Name => {
            output::print(&objects.iter().map(|any| any.id() + "\n").collect::<String>())?;
        }
        Format::Json => output::print(&output::json(&outcome)?)?,
        Format::Yaml => output::print(&output::yaml(&outcome)?)?,
    }
    if !args.wait.wait {
        return Ok(Exit::Done);
    }
    let mut goals = Vec::new();
    for any in &objects {
        let stored = change::written(&outcome, any.kind(), any.name());
        goals.extend(match (stored, any.kind()) {
            (Some(stored), _) => Goal::of(stored),
            // An environment that is as it was has nothing new to settle.
            (None, Kind::Environment) => None,
            (None, _) if Goal::of(any).is_none() => None,
            (None, kind) => Goal::of(&client.get(kind, any.name()).await?),
        });
    }
    wait::settle(&client, goals, args.wait.timeout).await
}
