//! `atoll standard`: how well standards are kept, and what one would have stopped.

use std::path::PathBuf;

use atoll_client::Client;
use atoll_model::policy::{Replay, ReplayRequest, ScoreRow};
use atoll_model::{Any, Kind, Span};
use clap::{Subcommand, ValueEnum};

use crate::args::{Global, Output};
use crate::columns::policy::tone;
use crate::columns::{Cell, cell};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::{self, Format};
use crate::terminal::{Paint, Tone, plain};

/// What `atoll standard` takes.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// How well standards are kept, the worst first
    Score(Score),
    /// Which past changes a standard would have stopped, were it enforced
    Replay(ReplayArgs),
}

/// What `atoll standard score` takes.
#[derive(Debug, clap::Args)]
pub struct Score {
    /// A row for each of these
    #[arg(long, value_enum, default_value_t = By::Application)]
    by: By,
    /// The trend over so many days, 35 at most
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    days: u32,
    #[command(flatten)]
    output: Output,
}

/// What scores are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Applications
    Application,
    /// Owners
    Team,
    /// Everything
    Fleet,
}

/// What `atoll standard replay` takes.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The standard
    #[arg(value_name = "NAME", required_unless_present = "file", conflicts_with = "file")]
    name: Option<String>,
    /// A manifest of a standard that need not be there yet
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Changes since so long; all that are kept, if absent
    #[arg(long, value_name = "SPAN")]
    since: Option<Span>,
    #[command(flatten)]
    output: Output,
}

/// Runs one of them.
///
/// # Errors
/// The client's; a manifest that holds no standard.
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    let client = global.client()?;
    match command {
        Command::Score(args) => score(&client, args).await,
        Command::Replay(args) => replay(&client, args).await,
    }
}

async fn score(client: &Client, args: Score) -> anyhow::Result<Exit> {
    let by = match args.by {
        By::Application => "application",
        By::Team => "team",
        By::Fleet => "fleet",
    };
    let told = client.scores(by, args.days).await?;
    let format = args.output.output;
    let text = output::value(&told, format, || {
        output::table(told.items.iter().map(line).collect(), format == Format::Wide)
    })?;
    output::print(&text)?;
    Ok(Exit::Done)
}

fn line(row: &ScoreRow) -> Vec<Cell> {
    vec![
        cell("NAME", row.name.clone()).tone(Tone::Strong),
        cell("SCORE", row.score.map(|score| score.to_string()).unwrap_or_default())
            .tone(tone(row.score)),
        cell("TREND", trend(row)),
        cell("BROKEN", format!("{}/{}", row.broken, row.checks)),
        cell("WAIVED", row.waived.to_string()),
        cell("SCORECARDS", row.cards.to_string()).wide(),
        cell("OWNER", row.owner.clone().unwrap_or_default()),
    ]
}

/// How the score differs from that of the first day that has one.
fn trend(row: &ScoreRow) -> String {
    let first = row.trend.iter().find_map(|point| point.score);
    match first.zip(row.score) {
        Some((first, now)) if now > first => format!("+{}", now - first),
        Some((first, now)) if now < first => format!("-{}", first - now),
        Some(_) => "=".to_owned(),
        None => String::new(),
    }
}

async fn replay(client: &Client, args: ReplayArgs) -> anyhow::Result<Exit> {
    let any = match (&args.name, &args.file) {
        (Some(name), _) => {
            let name = name.strip_prefix("standard/").unwrap_or(name);
            client.get(Kind::Standard, name).await?
        }
        (None, Some(file)) => {
            let mut all = files::read(std::slice::from_ref(file))?;
            all.retain(|any| matches!(any, Any::Standard(_)));
            match all.len() {
                1 => all.remove(0),
                count => {
                    let file = file.display();
                    let message = format!("{file} holds {count} standards; replay one at a time");
                    return Err(Failure::usage(message).into());
                }
            }
        }
        (None, None) => return Err(Failure::usage("name a standard".to_owned()).into()),
    };
    let request = ReplayRequest { standard: any.to_value(), since: args.since };
    let told = client.replay_standard(&request).await?;
    let text = output::value(&told, args.output.output, || render(&told, Paint::stdout()))?;
    output::print(&text)?;
    Ok(Exit::Done)
}

fn render(told: &Replay, paint: Paint) -> String {
    let since = told.from.map(|from| format!(" since {from}")).unwrap_or_default();
    let tone = if told.stopped > 0 { Tone::Busy } else { Tone::Good };
    let verdict = format!("would have stopped {} of {} changes", told.stopped, told.changes);
    let mut text = format!("{} {}{since}\n", told.standard, paint.tone(tone, &verdict));
    for stop in &told.stops {
        let (revision, at, actor, subject) = (stop.revision, stop.at, &stop.actor, &stop.subject);
        text.push_str(&format!("  {at}  {subject}  by {actor}, revision {revision}\n"));
        text.push_str(&format!("    {}\n", paint.tone(Tone::Dim, &plain(&stop.message))));
    }
    let more = told.stopped as usize - told.stops.len();
    if more > 0 {
        text.push_str(&format!("  and {more} before these\n"));
    }
    if told.unknown > 0 {
        text.push_str(&format!("it could not be evaluated over {} changes\n", told.unknown));
    }
    let (broken, all) = (told.broken_now, told.objects_now);
    let objects = if all == 1 { "object" } else { "objects" };
    let breaks = if broken == 1 { "breaks" } else { "break" };
    text.push_str(&format!("of the {all} {objects} it means now, {broken} {breaks} it\n"));
    if told.cut {
        text.push_str("there are more changes than are looked at; give --since\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use atoll_model::Timestamp;
    use atoll_model::policy::{DayScore, Stopped};

    use super::*;

    #[test]
    fn a_replay_says_what_would_have_been_stopped() {
        let stop = Stopped {
            revision: 7,
            at: Timestamp(0),
            actor: "user/anna".to_owned(),
            subject: "application/shop".to_owned(),
            message: "shop has no owner".to_owned(),
        };
        let told = Replay {
            standard: "owner-declared".to_owned(),
            changes: 9,
            stopped: 2,
            stops: vec![stop],
            objects_now: 4,
            broken_now: 1,
            ..Replay::default()
        };
        let text = render(&told, Paint::OFF);
        assert!(text.starts_with("owner-declared would have stopped 2 of 9 changes\n"), "{text}");
        assert!(text.contains("application/shop  by user/anna, revision 7"), "{text}");
        assert!(text.contains("and 1 before these"), "{text}");
        assert!(text.ends_with("of the 4 objects it means now, 1 breaks it\n"), "{text}");
    }

    #[test]
    fn trends_are_against_the_first_day_known() {
        let row = |first: Option<u32>, now| {
            let points = [None, first, Some(50)].map(|score| DayScore { day: Timestamp(0), score });
            trend(&ScoreRow { score: Some(now), trend: points.to_vec(), ..ScoreRow::default() })
        };
        assert_eq!((row(Some(40), 50), row(Some(60), 50)), ("+10".to_owned(), "-10".to_owned()));
        assert_eq!(row(None, 50), "=");
    }
}
