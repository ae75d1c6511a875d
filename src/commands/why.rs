//! `atoll why`: why an object is as it is, what it waits for, what happens next and when. For
//! somebody who was woken up: short, the most telling first.

use atoll_model::Timestamp;
use atoll_model::api::{Explanation, HistoryEntry};

use crate::args::{Global, Output};
use crate::clock::{now, short};
use crate::commands::plan::change_of;
use crate::exit::Exit;
use crate::output;
use crate::subject::named;
use crate::terminal::{Paint, Tone, plain};

/// What `atoll why` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// KIND/NAME
    #[arg(required = true, value_name = "KIND/NAME")]
    what: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// Asks and shows.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let subjects = named(&args.what)?;
    let client = global.client()?;
    for (i, subject) in subjects.iter().enumerate() {
        let explanation = client.why(subject.kind, &subject.name).await?;
        let text = output::value(&explanation, args.output.output, || {
            render(&explanation, now(), Paint::stdout())
        })?;
        if i > 0 {
            output::print("\n")?;
        }
        output::print(&text)?;
    }
    Ok(Exit::Done)
}

/// An explanation to be read by people.
pub fn render(why: &Explanation, now: Timestamp, paint: Paint) -> String {
    let state = if why.state.is_empty() { String::new() } else { format!(": {}", why.state) };
    let mut text = format!("{}{}\n", paint.tone(Tone::Strong, &why.subject), plain(&state));
    text.push_str(&brief(why, paint));
    let entries: Vec<&HistoryEntry> = why.lately.iter().filter(|e| e.is_telling()).collect();
    section(&mut text, paint, "lately", &entries, |entry| lately(entry, now, paint));
    let commands: Vec<String> = why.see.iter().map(|s| format!("atoll why {s}")).collect();
    section(&mut text, paint, "see", &commands, Clone::clone);
    text
}

/// The part that says what is wrong and what will be.
pub fn brief(why: &Explanation, paint: Paint) -> String {
    let mut text = String::new();
    section(&mut text, paint, "because", &why.reasons, |reason| {
        let code = paint.tone(Tone::Busy, &reason.code);
        let hint = reason
            .hint
            .as_ref()
            .map(|hint| format!("\n    {} {}", paint.tone(Tone::Good, "->"), plain(hint)));
        format!("{}  ({code}){}", plain(&reason.message), hint.unwrap_or_default())
    });
    section(&mut text, paint, "waiting for", &why.waiting_for, |line| plain(line));
    section(&mut text, paint, "next", &why.next, |line| plain(line));
    text
}

fn section<T>(
    text: &mut String,
    paint: Paint,
    title: &str,
    lines: &[T],
    show: impl Fn(&T) -> String,
) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&paint.tone(Tone::Dim, title));
    text.push('\n');
    for line in lines {
        text.push_str(&format!("  {}\n", show(line)));
    }
}

/// One write in one line: how long ago, who, what, why.
pub fn lately(entry: &HistoryEntry, now: Timestamp, paint: Paint) -> String {
    let ago = format!("{:>6} ago", short(now.since(entry.at)));
    // A change may cost in several currencies: of a kind of reason, all are told.
    let code = entry.reasons.first().map(|first| first.code.as_str());
    let told = entry.reasons.iter().filter(|reason| Some(reason.code.as_str()) == code);
    let told: Vec<String> = told.map(|reason| plain(&reason.message)).collect();
    let because = (!told.is_empty()).then(|| format!(" ({})", told.join("; ")));
    format!(
        "{}  {}  {}{}",
        paint.tone(Tone::Dim, &ago),
        entry.actor,
        summary(entry),
        because.unwrap_or_default()
    )
}

/// What a write did, in a few words: of the target if it changed, else of what is, without
/// what changes at every step.
pub fn summary(entry: &HistoryEntry) -> String {
    const SHOWN: usize = 3;
    const TELLING: [&str; 10] = [
        "status.phase",
        "status.desired",
        "status.wanted",
        "status.release",
        "status.ready",
        "status.updated",
        "status.host",
        "status.restarts",
        "status.lastGood",
        "status.rollout.to",
    ];
    if entry.op != "update" {
        return entry.op.clone();
    }
    let written = |path: &str| path.starts_with("spec.") || path.starts_with("metadata.");
    let mut fields: Vec<String> =
        entry.diff.iter().filter(|f| written(&f.path)).map(change_of).collect();
    if fields.is_empty() {
        let found = TELLING.iter().filter_map(|path| entry.diff.iter().find(|f| f.path == *path));
        fields = found.map(|f| change_of(f).replacen("status.", "", 1)).collect();
        fields.truncate(SHOWN);
    }
    match fields.len() {
        0 => entry.intent.clone(),
        n if n <= SHOWN => fields.join(", "),
        n => format!("{}, and {} more", fields[..SHOWN].join(", "), n - SHOWN),
    }
}

/// Why it was written, each thing once.
pub fn because(entry: &HistoryEntry) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for reason in &entry.reasons {
        let text = format!("{}: {}", reason.code, reason.message);
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_short_and_says_what_to_do() {
        let why: Explanation = serde_json::from_str(
            r#"{"subject":"deployment/shop.prod","state":"rolling to shop-42, 1 of 3 updated",
            "reasons":[{"code":"unready","message":"shop.prod.3 answers 503",
                "hint":"atoll logs instance/shop.prod.3"}],
            "waitingFor":["instance/shop.prod.3 to be ready, since 40s"],
            "next":["rolls back in 9m20s unless it gets further"],
            "lately":[{"revision":7,"at":"2026-01-01T00:00:00Z","kind":"Deployment",
                "name":"shop.prod","op":"update","actor":"user/anna","intent":"edit",
                "reasons":[],"diff":[{"path":"spec.release","from":"shop-41","to":"shop-42"},
                {"path":"status.phase","to":"rolling"}]}],
            "see":["instance/shop.prod.3"]}"#,
        )
        .unwrap();
        let wanted = "\
deployment/shop.prod: rolling to shop-42, 1 of 3 updated
because
  shop.prod.3 answers 503  (unready)
    -> atoll logs instance/shop.prod.3
waiting for
  instance/shop.prod.3 to be ready, since 40s
next
  rolls back in 9m20s unless it gets further
lately
     40s ago  user/anna  spec.release: shop-41 -> shop-42
see
  atoll why instance/shop.prod.3
";
        let now: Timestamp = "2026-01-01T00:00:40Z".parse().unwrap();
        assert_eq!(render(&why, now, Paint::OFF), wanted);
    }
}
