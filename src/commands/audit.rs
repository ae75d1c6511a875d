//! `atoll audit`: who did what, across all objects; and whether all records of it are as they were
//! written.

use atoll_client::AuditAsk;
use atoll_model::access::wire::AuditEntry;
use atoll_model::{Kind, Span, Timestamp};

use crate::args::{Global, Output};
use crate::clock::{now, short};
use crate::columns::{Cell, cell};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::terminal::Tone;

/// What `atoll audit` takes.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only by this actor: user/anna, host/h1, controller/deployment
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only since then: 10m, 24h, or a time
    #[arg(long, value_name = "SPAN|TIME")]
    since: Option<String>,
    /// Only of this kind; audit stands for what is no write: sign-ins, refusals, commands
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only what was refused
    #[arg(long)]
    refused: bool,
    /// At most so many records are looked at
    #[arg(long, value_name = "N", default_value_t = 500)]
    limit: usize,
    /// Every write, also those by which planners and agents say how far something is
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

/// What else `atoll audit` does.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Walk along the chain of records and name the first that does not fit
    Verify(Verify),
}

/// What `atoll audit verify` takes.
#[derive(Debug, clap::Args)]
struct Verify {
    /// What was noted of an earlier walk, as REVISION:HASH: that record must still be there
    #[arg(long, value_name = "REVISION:HASH")]
    head: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Shows the records, newest first.
///
/// # Errors
/// The client's; a usage failure.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    if let Some(Command::Verify(args)) = args.command {
        return verify(global, args).await;
    }
    let since = args.since.as_deref().map(|text| since(text, now())).transpose()?;
    let kind = args.kind.as_deref().map(kind).transpose()?;
    let ask =
        AuditAsk { actor: args.actor, kind, refused: args.refused, since, limit: Some(args.limit) };
    let mut audit = global.client()?.audit(&ask).await?;
    let format = args.output.output;
    if format.is_table() && !args.all {
        audit.entries.retain(telling);
    }
    let text = output::value(&audit, format, || {
        let lines = audit.entries.iter().map(|e| line(e, now())).collect();
        output::table(lines, format == Format::Wide)
    });
    output::print(&text?)?;
    Ok(Exit::Done)
}

fn kind(text: &str) -> Result<String, Failure> {
    if text.eq_ignore_ascii_case("audit") {
        return Ok("audit".to_owned());
    }
    let kind: Kind = text.parse().map_err(Failure::usage)?;
    Ok(kind.plural().to_owned())
}

/// Whether a record says more than how far something is.
fn telling(entry: &AuditEntry) -> bool {
    let ours = entry.actor.starts_with("controller/") || entry.actor.starts_with("host/");
    !(ours && matches!(entry.intent.as_str(), "observe" | "report")) || entry.op != "update"
}

fn line(entry: &AuditEntry, now: Timestamp) -> Vec<Cell> {
    let record = entry.kind == "Audit";
    let about = match record {
        true => entry.name.clone(),
        false => format!("{}/{}", entry.kind.to_ascii_lowercase(), entry.name),
    };
    let tone = match entry.op.as_str() {
        "refused" | "login-failed" => Tone::Bad,
        "override" | "exec" => Tone::Busy,
        _ => Tone::Plain,
    };
    let told = |r: &atoll_model::Reason| format!("{}: {}", r.code, r.message);
    let reasons: Vec<String> = entry.reasons.iter().map(told).collect();
    let mut why = reasons.join("; ");
    if let Some(times) = entry.times {
        why += &format!(" ({times} times)");
    }
    vec![
        cell("RECORD", entry.revision.to_string()).tone(Tone::Strong),
        cell("AGO", short(now.since(entry.at))),
        cell("AT", entry.at.to_string()).wide(),
        cell("ACTOR", entry.actor.clone()),
        cell("WHAT", entry.op.clone()).tone(tone),
        cell("ABOUT", about),
        cell("FROM", entry.from.clone().unwrap_or_default()).wide(),
        cell("WHY", why.trim().to_owned()),
    ]
}

/// Walks along the chain.
async fn verify(global: &Global, args: Verify) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let noted = args.head.as_deref().map(head).transpose()?;
    let found = client.verify_audit(noted.as_ref().map(|(revision, _)| *revision)).await?;
    let lost = noted.and_then(|(revision, hash)| match &found.noted {
        Some(now) if *now == hash => None,
        Some(_) => Some(format!("record {revision} is not the one that was noted")),
        None => Some(format!("record {revision} is no longer there; note a newer one")),
    });
    let text = output::value(&found, args.output.output, || {
        let mut said = format!("{} records", found.records);
        if found.pruned > 0 {
            said += &format!(", {} more no longer kept", found.pruned);
        }
        if found.unchained > 0 {
            said += &format!(", {} from before records were chained", found.unchained);
        }
        format!("{said}\nhead {}:{}\n", found.revision, found.head)
    });
    output::print(&text?)?;
    let broken = found.broken_at.map(|at| {
        format!("record {at} does not fit: {}", found.what.as_deref().unwrap_or_default())
    });
    match broken.or(lost) {
        None => {
            output::say("every record fits");
            Ok(Exit::Done)
        }
        Some(what) => {
            output::say(&what);
            Ok(Exit::Failed)
        }
    }
}

fn head(text: &str) -> Result<(u64, String), Failure> {
    let wrong = || Failure::usage(format!("{text:?} is not REVISION:HASH, as verify prints it"));
    let (revision, hash) = text.split_once(':').ok_or_else(wrong)?;
    Ok((revision.parse().map_err(|_| wrong())?, hash.to_owned()))
}

/// A point in time, or a span before now.
fn since(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(span) = text.parse::<Span>() {
        return Ok(now - span);
    }
    text.parse().map_err(|_| {
        Failure::usage(format!(
            "{text:?} is neither a span like 10m nor a time like 2026-11-11T00:00:00Z"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_span_or_a_time() {
        let now = Timestamp(10_000);
        assert_eq!(since("4s", now).unwrap(), Timestamp(6_000));
        assert_eq!(since("1970-01-01T00:00:01Z", now).unwrap(), Timestamp(1_000));
        assert!(since("yesterday", now).is_err());
    }

    #[test]
    fn a_head_is_a_record_and_its_hash() {
        assert_eq!(head("12:ab").unwrap(), (12, "ab".to_owned()));
        assert!(head("ab").is_err() && head("x:ab").is_err());
        assert_eq!(kind("deploy").unwrap(), "deployments");
        assert_eq!(kind("Audit").unwrap(), "audit");
        assert!(kind("nonsense").is_err());
    }
}
