//! `atoll delivery`: how fast and how well is delivered, from the records.

use atoll_model::Span;
use atoll_model::figures::DeliveryFigure;
use clap::ValueEnum;

use crate::args::{Global, Output};
use crate::clock::short;
use crate::columns::{Cell, cell};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::terminal::Tone;

/// What `atoll delivery` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of so long, up to now; 35d at most
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    window: Span,
    /// A row for each of these
    #[arg(long, value_enum, default_value_t = By::Application)]
    by: By,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Applications
    Application,
    /// Owners of applications
    Team,
}

/// Shows them.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let by = match args.by {
        By::Application => "application",
        By::Team => "team",
    };
    let told = global.client()?.delivery(args.window, by).await?;
    let format = args.output.output;
    let text = output::value(&told, format, || {
        let lines = told.items.iter().map(line).collect();
        output::table(lines, format == Format::Wide)
    })?;
    output::print(&text)?;
    Ok(Exit::Done)
}

fn line(of: &DeliveryFigure) -> Vec<Cell> {
    let span = |span: Option<Span>| span.map(short).unwrap_or_default();
    let share =
        |share: Option<f64>| share.map(|s| format!("{:.0}%", s * 100.0)).unwrap_or_default();
    vec![
        cell("NAME", of.name.clone()).tone(Tone::Strong),
        cell("CHANGES", of.changes.to_string()),
        cell("PER-DAY", format!("{:.2}", of.per_day)),
        cell("LEAD-TIME", span(of.lead_time)),
        cell("LEAD-P90", span(of.lead_time_p90)).wide(),
        cell("FAILED", share(of.failure_rate)),
        cell("RESTORE", span(of.time_to_restore)),
        cell("UNTOUCHED", share(of.untouched)),
        cell("EMERGENCIES", of.emergencies.to_string()),
    ]
}
