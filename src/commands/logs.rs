//! `atoll logs`: the log of an instance, or those of all instances of a deployment side by side.
//! Where a log is kept and how it gets here is the agent's and the server's.

use std::collections::HashSet;

use atoll_client::{Client, Frame};
use atoll_model::agent::{Ask, LogFilter, SessionNote};
use atoll_model::{Any, Instance, Kind, Object, Span, Task, Timestamp};
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::subject::Subject;
use crate::terminal::{Paint, Tone};

/// What `atoll logs` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// deployment/NAME, instance/NAME or task/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// Go on as they grow
    #[arg(short = 'f', long)]
    follow: bool,
    /// Only what is younger
    #[arg(long, value_name = "SPAN")]
    since: Option<Span>,
    /// Only the last so many lines of each
    #[arg(long, value_name = "N")]
    tail: Option<u32>,
    #[command(flatten)]
    filter: Filter,
}

/// Which lines are wanted; the hosts search, and send only these.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which lines")]
struct Filter {
    /// Only what is at least so old
    #[arg(long, value_name = "SPAN", conflicts_with = "follow")]
    until: Option<Span>,
    /// Only lines that hold this text
    #[arg(long, value_name = "TEXT", visible_alias = "grep", allow_hyphen_values = true)]
    contains: Option<String>,
    /// The text is a regular expression
    #[arg(long, requires = "contains")]
    regex: bool,
    /// Only lines of JSON or logfmt with this field; may be repeated
    #[arg(long = "field", value_name = "KEY=VALUE", value_parser = field)]
    fields: Vec<(String, String)>,
    /// Only lines of this level: trace, debug, info, warn, error or fatal
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
}

fn field(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| format!("{text:?}: write it as KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Filter {
    /// Whether it leaves anything out.
    fn is_any(&self) -> bool {
        let texts = self.contains.is_some() || self.level.is_some() || !self.fields.is_empty();
        texts || self.until.is_some()
    }

    fn ask(self) -> LogFilter {
        let Filter { until, contains, regex, fields, level } = self;
        LogFilter { until, contains, regex, fields: fields.into_iter().collect(), level }
    }
}

/// Shows the logs.
///
/// # Errors
/// The client's; an instance whose host does not answer.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let what = args.what.of(&[Kind::Deployment, Kind::Instance, Kind::Task])?;
    let client = global.client()?;
    if what.kind == Kind::Task && of_ended(&client, &what.name).await? {
        return Ok(Exit::Done);
    }
    let searches = args.since.is_some() || args.filter.is_any();
    let filter = args.filter.ask();
    let show = async |receiver: &mut mpsc::Receiver<Word>, width| {
        let (any, exit) = show(receiver, width, args.follow).await?;
        if !any && searches && exit == Exit::Done {
            output::say("no line matches");
        }
        Ok(exit)
    };
    let ask = Ask::Logs { follow: args.follow, tail: args.tail, since: args.since, filter };
    let (sender, mut receiver) = mpsc::channel(256);
    if what.kind != Kind::Deployment {
        tokio::spawn(one(client, what, ask, sender));
        return show(&mut receiver, None).await;
    }
    client.get(what.kind, &what.name).await?;
    let list = client.list_all(Kind::Instance, None).await?;
    let started = list.items.iter().filter(|any| running(any));
    let instances: Vec<(String, Born)> =
        started.filter_map(|any| belongs(any, &what.name)).collect();
    if instances.is_empty() && !args.follow {
        output::say(&format!("no instance of {what} has been started yet"));
        return Ok(Exit::Done);
    }
    let width = instances.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, _) in &instances {
        let what = Subject { kind: Kind::Instance, name: name.clone() };
        tokio::spawn(one(client.clone(), what, ask.clone(), sender.clone()));
    }
    if args.follow {
        let seen = instances.into_iter().collect();
        tokio::spawn(newcomers(client, what.name, ask, seen, list.revision, sender));
    } else {
        drop(sender);
    }
    show(&mut receiver, Some(width)).await
}

/// Tells a new instance from an old one of the same name.
type Born = Option<Timestamp>;

fn belongs(any: &Any, deployment: &str) -> Option<(String, Born)> {
    any.of::<Instance>().filter(|instance| instance.spec.deployment == deployment).map(
        |instance: &std::sync::Arc<Object<Instance>>| {
            (instance.name().to_owned(), instance.meta.created_at)
        },
    )
}

/// What a log has to say.
enum Word {
    /// Whole lines of an instance, or what is left at its end.
    Lines(String, Vec<u8>),
    /// It could not be read, or broke off.
    Failed(String, anyhow::Error),
}

/// The whole log of a task that has ended; false, if it has not.
async fn of_ended(client: &Client, name: &str) -> anyhow::Result<bool> {
    let any = client.get(Kind::Task, name).await?;
    if !any.of::<Task>().is_some_and(|task| task.status.phase.is_over()) {
        return Ok(false);
    }
    let whole = client.task_log(name).await?;
    std::io::Write::write_all(&mut std::io::stdout().lock(), &whole)?;
    Ok(true)
}

/// Opens the log of one instance or task and hands on whole lines.
async fn one(client: Client, what: Subject, ask: Ask, out: mpsc::Sender<Word>) {
    if let Err(error) = read(&client, &what, &ask, &out).await {
        // Nobody listens any more once the output is closed.
        let _ = out.send(Word::Failed(what.name, error)).await;
    }
}

async fn read(
    client: &Client,
    what: &Subject,
    ask: &Ask,
    out: &mpsc::Sender<Word>,
) -> anyhow::Result<()> {
    let instance = &what.name;
    let mut socket = match what.kind {
        Kind::Task => client.open_task_session(instance, ask).await?,
        _ => client.open_session(instance, ask).await?,
    };
    let mut rest = Vec::new();
    while let Some(frame) = socket.next().await? {
        match frame {
            Frame::Data(_, data) => {
                rest.extend_from_slice(&data);
                if let Some(end) = rest.iter().rposition(|b| *b == b'\n') {
                    let after = rest.split_off(end + 1);
                    let lines = std::mem::replace(&mut rest, after);
                    out.send(Word::Lines(instance.to_owned(), lines)).await?;
                }
            }
            Frame::Note(SessionNote::Failed { message }) => {
                return Err(Failure::failed(message).into());
            }
            Frame::Note(_) => {}
        }
    }
    if !rest.is_empty() {
        rest.push(b'\n');
        out.send(Word::Lines(instance.to_owned(), rest)).await?;
    }
    Ok(())
}

/// Opens the logs of instances that come up later.
async fn newcomers(
    client: Client,
    deployment: String,
    ask: Ask,
    mut seen: HashSet<(String, Born)>,
    from: u64,
    out: mpsc::Sender<Word>,
) {
    let mut watch = client.watch(&[Kind::Instance], None, Some(from));
    while let Some(event) = watch.next().await {
        let found = match event {
            Ok(event) if event.event == "put" => event
                .object
                .as_ref()
                .and_then(|any| belongs(any, &deployment).map(|b| (b, running(any)))),
            Ok(_) => None,
            Err(error) => {
                let _ = out.send(Word::Failed(deployment, error.into())).await;
                return;
            }
        };
        // One that is not running yet has no log to open.
        if let Some(((name, born), true)) = found
            && seen.insert((name.clone(), born))
        {
            let what = Subject { kind: Kind::Instance, name };
            tokio::spawn(one(client.clone(), what, ask.clone(), out.clone()));
        }
    }
}

fn running(any: &Any) -> bool {
    any.of::<Instance>().is_some_and(|instance| instance.status.started_at.is_some())
}

/// Prints what comes, with names in front where there is a width for them, and says whether
/// anything came. It fails only where nothing could be read at all. What several have in common
/// is said once, and, unless they are followed, at the end.
async fn show(
    words: &mut mpsc::Receiver<Word>,
    width: Option<usize>,
    follow: bool,
) -> anyhow::Result<(bool, Exit)> {
    let paint = Paint::stdout();
    let (mut any, mut failures) = (false, Vec::<(String, anyhow::Error)>::new());
    let say = |(name, error): &(String, anyhow::Error)| {
        output::say(&format!("instance/{name}: {error:#}"));
    };
    while let Some(word) = words.recv().await {
        match word {
            Word::Lines(name, lines) => {
                any = true;
                let mut out = std::io::stdout().lock();
                let text = match width {
                    Some(width) => {
                        prefixed(&paint.tone(Tone::Dim, &format!("{name:<width$} | ")), &lines)
                    }
                    None => lines,
                };
                std::io::Write::write_all(&mut out, &text)?;
                std::io::Write::flush(&mut out)?;
            }
            Word::Failed(name, error) if width.is_some() => {
                let text = format!("{error:#}");
                if failures.iter().all(|(_, known)| format!("{known:#}") != text) {
                    failures.push((name, error));
                    failures.last().filter(|_| follow).into_iter().for_each(say);
                }
            }
            Word::Failed(_, error) => return Err(error),
        }
    }
    if failures.is_empty() {
        return Ok((any, Exit::Done));
    }
    if any {
        failures.iter().filter(|_| !follow).for_each(say);
        return Ok((any, Exit::Failed));
    }
    let first = failures.remove(0);
    failures.iter().filter(|_| !follow).for_each(say);
    Err(first.1)
}

fn prefixed(prefix: &str, lines: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines.len() + prefix.len());
    for line in lines.split_inclusive(|b| *b == b'\n') {
        text.extend_from_slice(prefix.as_bytes());
        text.extend_from_slice(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_carries_its_instance() {
        let text = prefixed("a.b.0 | ", b"one\ntwo\n");
        assert_eq!(String::from_utf8(text).unwrap(), "a.b.0 | one\na.b.0 | two\n");
    }

    #[tokio::test]
    async fn logs_that_could_not_be_read_are_a_failure() {
        let (sender, mut receiver) = mpsc::channel(4);
        let gone = |name: &str| Word::Failed(name.into(), Failure::not_found("gone").into());
        sender.send(gone("a")).await.ok();
        sender.send(gone("b")).await.ok();
        drop(sender);
        let error = show(&mut receiver, Some(3), false).await.unwrap_err();
        assert_eq!(error.to_string(), "gone");
    }
}
