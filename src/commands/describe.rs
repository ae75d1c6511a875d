//! `atoll describe`: everything about an object, to read.

use atoll_model::api::HistoryEntry;
use atoll_model::cmdb::view::{Standing, ThingView};
use atoll_model::{Any, Kind, Timestamp};

use crate::args::Global;
use crate::clock::{now, short};
use crate::columns::inventory::said;
use crate::columns::word;
use crate::commands::why::lately;
use crate::exit::Exit;
use crate::output;
use crate::subject::named;
use crate::terminal::{Paint, Tone, plain};

/// What `atoll describe` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// KIND/NAME
    #[arg(required = true, value_name = "KIND/NAME")]
    what: Vec<String>,
}

/// So many of the last writes are read; those that say little are not shown.
const READ: u32 = 30;

/// Shows the objects.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let subjects = named(&args.what)?;
    let client = global.client()?;
    for (i, subject) in subjects.iter().enumerate() {
        let any = client.get(subject.kind, &subject.name).await?;
        let history = client.history(subject.kind, &subject.name, Some(READ)).await?;
        if i > 0 {
            output::print("\n")?;
        }
        output::print(&render(&any, &history.entries, now(), Paint::stdout())?)?;
        if matches!(subject.kind, Kind::Host | Kind::Item) {
            let thing = client.thing(subject.kind, &subject.name).await?;
            output::print(&inventory(&thing, now(), Paint::stdout()))?;
        }
    }
    Ok(Exit::Done)
}

fn render(
    any: &Any,
    entries: &[HistoryEntry],
    now: Timestamp,
    paint: Paint,
) -> anyhow::Result<String> {
    let meta = any.meta();
    let mut text = format!("{}\n", paint.tone(Tone::Strong, &any.id()));
    let mut line = |title: &str, value: String| {
        text.push_str(&format!("  {} {value}\n", paint.tone(Tone::Dim, &format!("{title:<11}"))));
    };
    let pairs = meta.labels.iter().map(|(k, v)| format!("{k}={v}"));
    if !meta.labels.is_empty() {
        line("labels", pairs.collect::<Vec<String>>().join(", "));
    }
    for (key, value) in &meta.annotations {
        line("annotation", format!("{key}: {}", plain(value)));
    }
    if let Some(at) = meta.created_at {
        line("made", format!("{} ago ({at})", short(now.since(at))));
    }
    if let Some(at) = meta.deleted_at {
        line("deleted", format!("{} ago ({at}); being cleared away", short(now.since(at))));
    }
    line("generation", format!("{}, revision {}", meta.generation, meta.revision));
    let manifest = plain(&output::yaml(any)?);
    for part in ["spec", "status"] {
        let fields = section(&manifest, part);
        if !fields.is_empty() {
            text.push_str(&format!("{}\n{fields}", paint.tone(Tone::Dim, part)));
        }
    }
    if !any.reasons().is_empty() {
        let reasons = output::problem(&paint.tone(Tone::Dim, "reasons"), any.reasons(), paint);
        text.push_str(&format!("{reasons}\n"));
    }
    let mut entries = entries.iter().filter(|e| e.is_telling()).peekable();
    if entries.peek().is_some() {
        text.push_str(&format!("{}\n", paint.tone(Tone::Dim, "lately")));
        for entry in entries {
            text.push_str(&format!("  {}\n", lately(entry, now, paint)));
        }
    }
    Ok(text)
}

/// What the inventory knows of a thing: its attributes, who it is, its relations and findings.
fn inventory(thing: &ThingView, now: Timestamp, paint: Paint) -> String {
    let head = |title: &str| format!("{}\n", paint.tone(Tone::Dim, title));
    let mut text = String::new();
    if !thing.attributes.is_empty() {
        text.push_str(&head("attributes"));
    }
    for of in &thing.attributes {
        let is = of.is.first();
        let value = is.map(|is| said(&is.value)).unwrap_or_else(|| "not seen".to_owned());
        let since = of.seen.or(is.map(|is| is.at)).map(|at| short(now.since(at)));
        let source = is.map(|is| is.source.as_str()).unwrap_or_default();
        let mut line = format!("{:<18} {}", of.name, plain(&value));
        match of.standing {
            Standing::Undeclared | Standing::Agrees => {}
            Standing::Differs | Standing::Unseen => {
                let should = of.should.as_ref().map(said).unwrap_or_default();
                let word = paint.tone(Tone::Bad, &word(&of.standing));
                line.push_str(&format!("   {word}, should be {}", plain(&should)));
            }
            Standing::Unusable => {
                let who = of.used.as_ref().map(|used| plain(&used.consumer)).unwrap_or_default();
                let word = paint.tone(Tone::Bad, &word(&of.standing));
                line.push_str(&format!("   {word}, {who} failed with it"));
            }
            Standing::Stale => {
                line.push_str(&format!("   {}", paint.tone(Tone::Busy, "stale")));
            }
        }
        let told = format!("   {source}, {} ago", since.unwrap_or_default());
        text.push_str(&format!("  {line}{}\n", paint.tone(Tone::Dim, &told)));
    }
    let relations: Vec<String> =
        thing.relations.iter().map(|r| format!("{} {} {}", r.from, r.relation, r.to)).collect();
    for (title, lines) in [("identity", &thing.identity), ("relations", &relations)] {
        if !lines.is_empty() {
            text.push_str(&head(title));
            text.extend(lines.iter().map(|line| format!("  {}\n", plain(line))));
        }
    }
    if !thing.drift.is_empty() {
        text.push_str(&head("findings"));
        text.extend(thing.drift.iter().map(|name| format!("  drift/{name}\n")));
    }
    text
}

/// The lines of a part of a manifest, without its reasons, which are shown apart and stand last.
fn section(manifest: &str, part: &str) -> String {
    let head = format!("{part}:");
    let lines = manifest.lines().skip_while(|line| *line != head).skip(1);
    let lines = lines.take_while(|line| line.starts_with(' ') && !line.starts_with("  reasons:"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shown_once() {
        let any = Any::from_json(
            r#"{"apiVersion":"atoll/v1","kind":"Host","metadata":{"name":"h1",
            "labels":{"zone":"a"},"generation":2,"revision":9,
            "createdAt":"2026-01-01T00:00:00Z"},"spec":{"cordon":true},
            "status":{"phase":"cordoned","reasons":[{"code":"cordoned","message":"closed",
            "hint":"atoll uncordon host/h1"}]}}"#,
        );
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let text = render(&any.unwrap(), &[], now, Paint::OFF).unwrap();
        let wanted = "\
host/h1
  labels      zone=a
  made        1h ago (2026-01-01T00:00:00.000Z)
  generation  2, revision 9
spec
  cordon: true
status
  phase: cordoned
  capacity:
    cpu: \"0\"
    memory: \"0\"
    instances: 0
  allocated:
    cpu: \"0\"
    memory: \"0\"
    instances: 0
  agent: {}
reasons
  cordoned: closed
    -> atoll uncordon host/h1
";
        assert_eq!(text, wanted);
    }
}
