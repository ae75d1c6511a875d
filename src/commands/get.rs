//! `atoll get`: lists objects of a kind, or shows some by name, once or as they change.

use std::collections::BTreeMap;

use atoll_client::{Client, ClientError};
use atoll_model::api::WatchEvent;
use atoll_model::{Any, Kind, Selector};
use futures::StreamExt;

use crate::args::{Global, Output};
use crate::clock::now;
use crate::columns::{self, Cell, cell};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format, Layout};
use crate::subject::{Asked, Subject, asked};
use crate::terminal::{self, Paint, Tone};

/// What `atoll get` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// KIND, KIND NAME…, KIND/NAME…, or all
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
    /// Only those whose labels this selects: zone in (a, b), tier=core
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<Selector>,
    /// Go on and show changes
    #[arg(short = 'w', long)]
    watch: bool,
    #[command(flatten)]
    output: Output,
}

/// Lists or shows.
///
/// # Errors
/// The client's; a usage failure.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let asked = asked(&args.what)?;
    if args.selector.is_some() && matches!(asked, Asked::Subjects(_)) {
        return Err(Failure::usage("a selector goes with a kind, not with names").into());
    }
    let client = global.client()?;
    let format = args.output.output;
    if args.watch {
        return watch(&client, asked, args.selector, format).await;
    }
    match asked {
        Asked::Subjects(subjects) => show(&client, &subjects, format).await,
        Asked::Everything => list(&client, Kind::ALL, args.selector, format).await,
        Asked::Kinds(kinds) => list(&client, &kinds, args.selector, format).await,
    }
}

/// Shows objects by name; those not there are told after the others.
async fn show(client: &Client, subjects: &[Subject], format: Format) -> anyhow::Result<Exit> {
    if let [subject] = subjects {
        let any = client.get(subject.kind, &subject.name).await?;
        output::print(&output::object(&any, format, now())?)?;
        return Ok(Exit::Done);
    }
    let (mut items, mut missing) = (Vec::new(), Vec::new());
    for subject in subjects {
        match client.get(subject.kind, &subject.name).await {
            Ok(any) => items.push(any),
            Err(ClientError::NotFound(_)) => missing.push(subject.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    let revision = items.iter().map(|any| any.meta().revision).max().unwrap_or(0);
    output::print(&output::list(items, revision, format, now())?)?;
    match missing[..] {
        [] => Ok(Exit::Done),
        _ => Err(Failure::not_found(format!("there is no {}", missing.join(", "))).into()),
    }
}

async fn list(
    client: &Client,
    kinds: &[Kind],
    selector: Option<Selector>,
    format: Format,
) -> anyhow::Result<Exit> {
    let selector = selector.map(|s| s.to_string());
    let asks = kinds.iter().map(|kind| client.list_all(*kind, selector.as_deref()));
    let (mut items, mut revision) = (Vec::new(), u64::MAX);
    let mut refused = None;
    for list in futures::future::join_all(asks).await {
        match list {
            Ok(mut list) => {
                items.append(&mut list.items);
                // A watch from the oldest of them misses nothing.
                revision = revision.min(list.revision);
            }
            // Of everything, one sees what one may see.
            Err(error @ ClientError::Refused(_)) if kinds.len() > 1 => refused = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    // Of what one may see nothing of, it is not said that there is none.
    if let Some(error) = refused.filter(|_| revision == u64::MAX) {
        return Err(error.into());
    }
    if items.is_empty() && format.is_table() {
        let what: Vec<&str> = kinds.iter().map(|k| k.plural()).collect();
        let what = if kinds.len() == Kind::ALL.len() { "objects".into() } else { what.join(", ") };
        let which = if selector.is_some() { " with such labels" } else { "" };
        let hint = match kinds == [Kind::Zone] && selector.is_none() {
            true => "; those that hosts name are in: atoll get hosts -o wide",
            false => "",
        };
        output::say(&format!("there are no {what}{which}{hint}"));
        return Ok(Exit::Done);
    }
    output::print(&output::list(items, revision, format, now())?)?;
    Ok(Exit::Done)
}

async fn watch(
    client: &Client,
    asked: Asked,
    selector: Option<Selector>,
    format: Format,
) -> anyhow::Result<Exit> {
    let (kinds, names) = match asked {
        // Tokens are for administrators; whoever is one can name them.
        Asked::Everything => {
            (Kind::ALL.iter().copied().filter(|k| *k != Kind::Token).collect(), Vec::new())
        }
        Asked::Kinds(kinds) => (kinds, Vec::new()),
        Asked::Subjects(subjects) => {
            let mut kinds: Vec<Kind> = subjects.iter().map(|s| s.kind).collect();
            kinds.dedup();
            (kinds, subjects)
        }
    };
    for subject in &names {
        // What is not there is told at once, not waited for.
        client.get(subject.kind, &subject.name).await?;
    }
    let name = match &names[..] {
        [only] => Some(only.name.as_str()),
        _ => None,
    };
    let shown = |any: &Any| {
        let named = |s: &Subject| s.kind == any.kind() && s.name == any.name();
        (names.is_empty() || names.iter().any(named))
            && selector.as_ref().is_none_or(|s| s.matches(&any.meta().labels))
    };
    let mut events = client.watch(&kinds, name, None);
    let mut live = Live { format, first: Some(Vec::new()), widths: BTreeMap::new(), last: None };
    while let Some(event) = events.next().await {
        let event = event?;
        if event.object.as_ref().is_none_or(shown) {
            output::print(&live.take(event)?)?;
        }
    }
    Ok(Exit::Done)
}

/// Objects shown as they change. What is there at the start is one table.
struct Live {
    format: Format,
    /// Until all that is there at the start has come.
    first: Option<Vec<Any>>,
    widths: BTreeMap<Kind, Vec<usize>>,
    last: Option<Kind>,
}

impl Live {
    fn take(&mut self, event: WatchEvent) -> anyhow::Result<String> {
        match self.format {
            Format::Json => Ok(serde_json::to_string(&event)? + "\n"),
            Format::Yaml => {
                let text = event.object.as_ref().map(output::yaml).transpose()?;
                Ok(text.map(|t| format!("---\n{t}")).unwrap_or_default())
            }
            Format::Name => Ok(event.object.map(|any| any.id() + "\n").unwrap_or_default()),
            Format::Table | Format::Wide => Ok(self.lines(event)),
        }
    }

    fn lines(&mut self, event: WatchEvent) -> String {
        let (all, deleted) = match (event.event.as_str(), event.object) {
            ("sync", _) => (self.first.take().unwrap_or_default(), false),
            (_, None) => return String::new(),
            (word, Some(any)) => match &mut self.first {
                Some(first) => {
                    first.push(any);
                    return String::new();
                }
                None => (vec![any], word == "delete"),
            },
        };
        let mut text = String::new();
        for same in all.chunk_by(|a, b| a.kind() == b.kind()) {
            text.push_str(&self.table(same, deleted));
        }
        text
    }

    fn table(&mut self, same: &[Any], deleted: bool) -> String {
        let Some(kind) = same.first().map(Any::kind) else { return String::new() };
        let lines = same.iter().map(|any| match deleted {
            true => gone(columns::line(any, now())),
            false => columns::line(any, now()),
        });
        let mut layout = Layout::of(lines.collect(), self.format == Format::Wide);
        // As wide as the longest phase there is.
        layout.at_least("PHASE", "rollingBack".len());
        let widths = self.widths.entry(kind).or_default();
        layout.widen(widths);
        let titles = self.last != Some(kind);
        self.last = Some(kind);
        let limit = if self.format == Format::Wide { None } else { terminal::width() };
        layout.render(titles, Paint::stdout(), limit)
    }
}

/// The line of an object that has been deleted: the phase says so, or the last cell.
fn gone(mut cells: Vec<Cell>) -> Vec<Cell> {
    let at = cells.iter().position(|c| c.title == "PHASE").unwrap_or(cells.len() - 1);
    cells.iter_mut().for_each(|c| c.tone = Tone::Dim);
    cells[at] = cell(cells[at].title, "deleted").tone(Tone::Dim);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(word: &str, phase: &str) -> WatchEvent {
        let object = Any::from_json(&format!(
            r#"{{"apiVersion":"atoll/v1","kind":"Host","metadata":{{"name":"h1"}},
                "spec":{{}},"status":{{"phase":"{phase}"}}}}"#
        ));
        WatchEvent { event: word.into(), revision: 1, object: Some(object.unwrap()) }
    }

    #[test]
    fn what_is_there_comes_first_and_then_what_changes() {
        let mut live = Live {
            format: Format::Table,
            first: Some(vec![]),
            widths: BTreeMap::new(),
            last: None,
        };
        assert_eq!(live.take(event("put", "ready")).unwrap(), "");
        let sync = WatchEvent { event: "sync".into(), revision: 2, object: None };
        let wanted = "\
NAME   PHASE         ZONE      CPU   MEMORY   INSTANCES   AGE   REASON
h1     ready         default   0/0   0/0      0           -     -
";
        assert_eq!(live.take(sync).unwrap(), wanted);
        let wanted = "h1     unknown       default   0/0   0/0      0           -     -\n";
        assert_eq!(live.take(event("put", "unknown")).unwrap(), wanted);
        let wanted = "h1     deleted       default   0/0   0/0      0           -     -\n";
        assert_eq!(live.take(event("delete", "ready")).unwrap(), wanted);
    }
}
