//! `atoll audit`: who changed what, across all objects.

use atoll_model::{Span, Timestamp};

use crate::args::{Global, Output};
use crate::clock::now;
use crate::commands::history::{line, telling};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// What `atoll audit` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only by this actor: user/anna, host/h1, controller/deployment
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only since then: 10m, 24h, or a time
    #[arg(long, value_name = "SPAN|TIME")]
    since: Option<String>,
    /// At most so many writes are looked at
    #[arg(long, value_name = "N", default_value_t = 500)]
    limit: usize,
    /// Every write, also those that only say how far something is
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

/// Shows the writes, newest first.
///
/// # Errors
/// The client's; a usage failure.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let since = args.since.as_deref().map(|text| since(text, now())).transpose()?;
    let client = global.client()?;
    let mut history = client.audit(args.actor.as_deref(), since, Some(args.limit)).await?;
    let format = args.output.output;
    if format.is_table() && !args.all {
        history.entries.retain(telling);
    }
    let text = output::value(&history, format, || {
        let lines = history.entries.iter().map(|e| line(e, true, now())).collect();
        output::table(lines, format == Format::Wide)
    });
    output::print(&text?)?;
    Ok(Exit::Done)
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
}
