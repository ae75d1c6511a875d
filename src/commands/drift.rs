//! `atoll drift`: where what is recorded is not so, and mending it either way.

use atoll_model::api::{Outcome, WriteView};
use atoll_model::cmdb::view::UseReport;
use atoll_model::{Drift, Kind};

use crate::args::{Global, Output};
use crate::change;
use crate::clock::now;
use crate::csv;
use crate::exit::Exit;
use crate::output;
use crate::subject::Subject;

/// What `atoll drift` takes: nothing lists the findings.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only of this: KIND/NAME, or a class
    #[arg(long, value_name = "SUBJECT")]
    of: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// What is done about a finding.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Take what is for what should be
    Accept(Named),
    /// Have the world made to match: the host's agent runs its program of the attribute's name
    Mend(Named),
    /// Say what was met by somebody who relied on a recorded value
    Report(Report),
}

/// The name of a finding, with or without its kind.
#[derive(Debug, clap::Args)]
struct Named {
    /// A finding, as atoll drift lists it
    #[arg(value_name = "NAME")]
    name: String,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Report {
    /// host/NAME or item/NAME
    #[arg(value_name = "KIND/NAME")]
    subject: Subject,
    /// The attribute that was relied on
    #[arg(value_name = "ATTRIBUTE")]
    attribute: String,
    /// The value it had
    #[arg(value_name = "VALUE")]
    value: String,
    /// It was of no use, and this was met; without, it was
    #[arg(long, value_name = "MESSAGE")]
    failed: Option<String>,
    /// Who relied on it [default: you]
    #[arg(long, value_name = "WHO")]
    consumer: Option<String>,
}

/// Lists findings, or does something about one.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let (named, how) = match args.command {
        None => return list(global, args.of, args.output).await,
        Some(Command::Report(report)) => {
            let evidence = UseReport {
                subject: report.subject.to_string(),
                attribute: report.attribute,
                value: csv::value(&report.value, None),
                works: report.failed.is_none(),
                consumer: report.consumer,
                message: report.failed.unwrap_or_default(),
            };
            let outcome = client.evidence(&evidence).await?;
            return tell(&outcome);
        }
        Some(Command::Accept(named)) => (named, "accept"),
        Some(Command::Mend(named)) => (named, "mend"),
    };
    let name = named.name.trim_start_matches("drift/");
    let outcome = client.mend(name, how, named.dry_run).await?;
    change::judge(&outcome)?;
    match named.dry_run {
        true => would(&outcome),
        false => tell(&outcome),
    }
}

/// Says what a change would do that was only rehearsed.
///
/// # Errors
/// Standard output's.
pub(super) fn would(outcome: &Outcome) -> anyhow::Result<Exit> {
    match rehearsed(outcome) {
        text if text.is_empty() => output::say("nothing would be done"),
        text => output::print(&text)?,
    }
    for reason in &outcome.reasons {
        output::say(&format!("it would say: {reason}"));
    }
    Ok(Exit::Done)
}

fn rehearsed(outcome: &Outcome) -> String {
    let line = |write: &WriteView| {
        let word = match write.op.as_str() {
            "create" => "created",
            "delete" => "deleted",
            _ => "updated",
        };
        format!("{}/{} would be {word}\n", write.kind.lower(), write.name)
    };
    outcome.writes.iter().filter(|write| write.op != "unchanged").map(line).collect()
}

fn tell(outcome: &Outcome) -> anyhow::Result<Exit> {
    change::tell(outcome, &[])?;
    if outcome.writes.is_empty() {
        output::say("nothing new");
    }
    Ok(Exit::Done)
}

async fn list(global: &Global, of: Option<String>, how: Output) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let mut list = client.list_all(Kind::Drift, None).await?;
    if let Some(of) = of {
        let class = match of.contains('/') || of == "host" {
            true => Vec::new(),
            false => {
                let search = atoll_client::Search {
                    filter: format!("type = \"{of}\""),
                    ..atoll_client::Search::default()
                };
                let (items, _) = client.find_all(&search).await?;
                items.iter().map(atoll_model::Any::id).collect()
            }
        };
        list.items.retain(|any| {
            let subject = any.of::<Drift>().map(|drift| drift.spec.subject.as_str());
            let subject = subject.unwrap_or_default();
            subject == of
                || class.iter().any(|id| id == subject)
                || of == "host" && subject.starts_with("host/")
        });
    }
    if list.items.is_empty() && how.output.is_table() {
        output::say("no findings");
        return Ok(Exit::Done);
    }
    output::print(&output::list(list.items, list.revision, how.output, now())?)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_says_that_nothing_was_done_yet() {
        let outcome: Outcome = serde_json::from_str(
            r#"{"verdict":"commit","reasons":[],"writes":[
                {"op":"update","kind":"Host","name":"h1","diff":[],"by":"you"},
                {"op":"unchanged","kind":"Item","name":"i1","diff":[],"by":"you"},
                {"op":"delete","kind":"Drift","name":"host.h1.os","diff":[],"by":"drift"}]}"#,
        )
        .unwrap();
        let said = "host/h1 would be updated\ndrift/host.h1.os would be deleted\n";
        assert_eq!(rehearsed(&outcome), said);
    }
}
