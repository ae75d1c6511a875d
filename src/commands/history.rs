//! `atoll history`: who changed an object, when, and why.

use atoll_model::Timestamp;
use atoll_model::api::HistoryEntry;

use crate::args::{Global, Output};
use crate::clock::{now, short};
use crate::columns::{Cell, cell};
use crate::commands::why::{because, summary};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::subject::Subject;
use crate::terminal::Tone;

/// What `atoll history` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// KIND/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// Only the last so many
    #[arg(long, value_name = "N", default_value_t = 30)]
    limit: u32,
    /// Every write, also those that only say how far it is
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// The last changes of an object.
    pub fn of(what: Subject, output: Output) -> Args {
        Args { what, limit: 30, all: false, output }
    }
}

/// Shows the history, newest first.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let Subject { kind, name } = &args.what;
    let format = args.output.output;
    let some = format.is_table() && !args.all;
    // Writes that tell little are many; more are read than are shown.
    let read = if some { args.limit.saturating_mul(10) } else { args.limit };
    let mut history = global.client()?.history(*kind, name, Some(read)).await?;
    if some {
        history.entries.retain(HistoryEntry::is_telling);
        history.entries.truncate(usize::try_from(args.limit).unwrap_or(usize::MAX));
    }
    let text = output::value(&history, format, || {
        let lines = history.entries.iter().map(|e| line(e, false, now())).collect();
        output::table(lines, format == Format::Wide)
    });
    output::print(&text?)?;
    Ok(Exit::Done)
}

/// One write as a line, with the object's name where several are shown.
pub fn line(entry: &HistoryEntry, named: bool, now: Timestamp) -> Vec<Cell> {
    let mut cells = vec![
        cell("REVISION", entry.revision.to_string()).tone(Tone::Strong),
        cell("AGO", short(now.since(entry.at))),
        cell("AT", entry.at.to_string()).wide(),
        cell("ACTOR", entry.actor.clone()),
        cell("INTENT", entry.intent.clone()),
    ];
    if named {
        cells.push(cell("OBJECT", format!("{}/{}", entry.kind.lower(), entry.name)));
    }
    cells.push(cell("CHANGE", summary(entry)));
    cells.push(cell("WHY", because(entry).join("; ")));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Layout;
    use crate::terminal::Paint;

    #[test]
    fn a_history_is_a_table_of_changes() {
        let entries: Vec<HistoryEntry> = serde_json::from_str(
            r#"[{"revision":12,"at":"2026-01-01T00:01:00Z","kind":"Deployment","name":"shop.prod",
            "op":"update","actor":"user/anna","intent":"edit","reasons":[],
            "diff":[{"path":"spec.instances","from":3,"to":5}]},
            {"revision":3,"at":"2026-01-01T00:00:00Z","kind":"Deployment","name":"shop.prod",
            "op":"create","actor":"controller/application","intent":"observe",
            "reasons":[{"code":"derived","message":"shop lives in prod"}]}]"#,
        )
        .unwrap();
        let now: Timestamp = "2026-01-01T00:02:00Z".parse().unwrap();
        let lines = entries.iter().map(|e| line(e, false, now)).collect();
        let wanted = "\
REVISION   AGO   ACTOR                    INTENT    CHANGE                   WHY
12         1m    user/anna                edit      spec.instances: 3 -> 5   -
3          2m    controller/application   observe   create                   derived: shop lives in prod
";
        assert!(entries.iter().all(HistoryEntry::is_telling));
        let mut small = entries[0].clone();
        (small.intent, small.diff[0].path) = ("observe".into(), "status.ready".into());
        small.actor = "controller/deployment".into();
        assert!(!small.is_telling());
        assert_eq!(Layout::of(lines, false).render(true, Paint::OFF, None), wanted);
    }
}
