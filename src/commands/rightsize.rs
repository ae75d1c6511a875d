//! `atoll rightsize`: what instances ask for beside what they use, and what they should ask for.

use atoll_model::budget::MONTH_HOURS;
use atoll_model::capacity::size::{SizeReport, SizeRow, SizeVerdict};
use atoll_model::run::Resources;
use atoll_model::{Span, many};

use crate::args::{Global, Output};
use crate::columns::{Cell, cell, cores, size, word};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::terminal::Tone;

/// What `atoll rightsize` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this deployment, or those of this application
    #[arg(value_name = "NAME")]
    of: Option<String>,
    /// Look so far back
    #[arg(long, value_name = "TIME", default_value = "7d")]
    over: Span,
    /// What is saved, in this currency
    #[arg(long, value_name = "EUR")]
    currency: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Shows it.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let of = args.of.as_deref().map(|of| of.rsplit('/').next().unwrap_or(of).to_owned());
    let asked = [("of", of), ("over", Some(args.over.to_string())), ("currency", args.currency)];
    let (report, format) = (global.client()?.sizes(&asked).await?, args.output.output);
    output::print(&output::value(&report, format, || text(&report, format))?)?;
    if format.is_table() {
        tell(&report);
    }
    Ok(Exit::Done)
}

fn text(report: &SizeReport, format: Format) -> String {
    output::table(report.rows.iter().map(line).collect(), format == Format::Wide)
}

fn line(row: &SizeRow) -> Vec<Cell> {
    let tone = match row.verdict {
        SizeVerdict::Unknown => Tone::Dim,
        SizeVerdict::Fits => Tone::Good,
        SizeVerdict::TooMuch => Tone::Busy,
        SizeVerdict::TooLittle => Tone::Bad,
    };
    let of = |what: Option<Resources>, say: fn(Resources) -> String| what.map(say);
    let cpu = |what| of(what, |what| cores(what.cpu)).unwrap_or_default();
    let memory = |what| of(what, |what| size(what.memory)).unwrap_or_default();
    vec![
        cell("DEPLOYMENT", row.deployment.clone()).tone(Tone::Strong),
        cell("INSTANCES", row.instances.to_string()),
        cell("VERDICT", word(&row.verdict)).tone(tone),
        cell("CPU ASKED", cpu(Some(row.asked))),
        cell("USED", cpu(row.used)),
        cell("ADVISED", cpu(row.advised)).tone(tone),
        cell("MEMORY ASKED", memory(Some(row.asked))),
        cell("USED", memory(row.used)),
        cell("ADVISED", memory(row.advised)).tone(tone),
        cell("SAVES/H", row.saves.map(|saves| saves.fine()).unwrap_or_default()),
        cell("NOTES", row.notes.join("; ")),
    ]
}

/// Says what the table does not hold.
fn tell(report: &SizeReport) {
    if report.rows.is_empty() {
        return output::say("nothing runs");
    }
    let wrong = |row: &&SizeRow| row.advised.is_some_and(|advised| advised != row.asked);
    let wrong = report.rows.iter().filter(wrong).count();
    if wrong == 0 {
        return;
    }
    let wrong = many(wrong as u32, "deployment");
    output::say(&format!("to change for {wrong}: run.resources, in the next release"));
    if let (Some(saves), Some(currency)) = (report.saves, &report.currency) {
        let month = saves.times(MONTH_HOURS).rounded();
        output::say(&format!("that is {month} {currency} a month, once no host is kept for it"));
    }
}
