//! `atoll impact` and `atoll path`: what has to do with what.

use atoll_model::cmdb::view::{LossWord, RelationSource};

use crate::args::{Global, Output};
use crate::columns::{cell, word};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::terminal::Tone;

/// What `atoll impact` takes.
#[derive(Debug, clap::Args)]
pub struct Impact {
    /// What is lost: host/NAME, zone/NAME, network/NAME, application/NAME, item/NAME
    #[arg(value_name = "KIND/NAME")]
    of: String,
    #[command(flatten)]
    output: Output,
}

/// Shows who suffers.
///
/// # Errors
/// The client's.
pub async fn impact(global: &Global, args: Impact) -> anyhow::Result<Exit> {
    let told = global.client()?.impact(&args.of).await?;
    let format = args.output.output;
    let text = output::value(&told, format, || {
        let lines = told.losses.iter().map(|loss| {
            let tone = if loss.word == LossWord::Lost { Tone::Bad } else { Tone::Busy };
            vec![
                cell("SUFFERS", loss.subject.clone()).tone(Tone::Strong),
                cell("HOW", word(&loss.word)).tone(tone),
                cell("LEFT", loss.left.map(|left| left.to_string()).unwrap_or_default()),
                cell("WHY", loss.why.clone()),
            ]
        });
        output::table(lines.collect(), format == Format::Wide)
    })?;
    let more = "more suffers than you may read";
    if told.losses.is_empty() && format.is_table() {
        output::say(&match told.hidden {
            true => format!("{more} when {} is lost", told.subject),
            false => format!("nothing suffers when {} is lost", told.subject),
        });
        return Ok(Exit::Done);
    }
    output::print(&text)?;
    if told.hidden {
        output::say(more);
    }
    Ok(Exit::Done)
}

/// What `atoll path` takes.
#[derive(Debug, clap::Args)]
pub struct Path {
    /// One end: KIND/NAME
    #[arg(value_name = "FROM")]
    from: String,
    /// The other
    #[arg(value_name = "TO")]
    to: String,
    #[command(flatten)]
    output: Output,
}

/// Shows the way.
///
/// # Errors
/// The client's.
pub async fn path(global: &Global, args: Path) -> anyhow::Result<Exit> {
    let told = global.client()?.path(&args.from, &args.to).await?;
    let format = args.output.output;
    let text = output::value(&told, format, || {
        let lines = told.relations.iter().map(|relation| {
            let how =
                if relation.source == RelationSource::Declared { "declared" } else { "found" };
            vec![
                cell("FROM", relation.from.clone()),
                cell("RELATION", relation.relation.clone()).tone(Tone::Strong),
                cell("TO", relation.to.clone()),
                cell("KNOWN", how),
            ]
        });
        output::table(lines.collect(), format == Format::Wide)
    })?;
    output::print(&text)?;
    Ok(Exit::Done)
}
