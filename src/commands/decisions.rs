//! `atoll decisions`: what was decided by itself and why, whether it was right, what other policies
//! would have decided, and the switch that stops all of it at once.

use std::path::PathBuf;

use atoll_client::{Client, ClientError};
use atoll_model::centre::wire::{DecisionReplay, DecisionReplayRequest};
use atoll_model::decision::Holds;
use atoll_model::{Any, Decision, Freeze, Kind, Object, Reason, Selector, Span};
use serde_json::json;

use crate::args::{Global, Output};
use crate::change;
use crate::clock::now;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output;
use crate::subject::Subject;
use crate::terminal::{Paint, Tone, plain};

/// The freeze by which the decision centre is stopped here.
const STOP: &str = "decisions";

/// What `atoll decisions` takes.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Only those about this: instance/shop.prod.3, or deployment/shop.prod with its instances
    #[arg(long, value_name = "KIND/NAME")]
    subject: Option<Subject>,
    /// Only those that followed this policy
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Only those that are not over
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What else can be done.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say that a decision was right; it counts in the record of its policy
    Right(Said),
    /// Say that a decision was wrong; one that waits is not carried out
    Wrong(Said),
    /// Have a decision that waits not carried out; one that was is only said to be wrong
    Refuse(Said),
    /// Stop all policies at once, until they are let go on; autoscalers and pools are not
    Pause(Pause),
    /// Let it go on
    Resume,
    /// What other policies would have decided on what was seen then
    Replay(Replay),
}

/// What is said of a decision.
#[derive(Debug, clap::Args)]
struct Said {
    /// decision/NAME, or the name
    #[arg(value_name = "NAME")]
    name: String,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    because: String,
}

/// What it takes to stop.
#[derive(Debug, clap::Args)]
struct Pause {
    /// Why; those who wonder are told
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Until so much later; until it is let go on, if absent
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<Span>,
}

/// What it takes to decide again.
#[derive(Debug, clap::Args)]
struct Replay {
    /// Manifests of policies, in place of those of the same names
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// Decisions since so long; all that are kept, if absent
    #[arg(long, value_name = "SPAN")]
    since: Option<Span>,
    #[command(flatten)]
    output: Output,
}

/// Does it.
///
/// # Errors
/// The client's; a refusal of the gate; a manifest that cannot be read.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    match args.command {
        None => list(&client, &args).await,
        Some(Command::Right(said)) => judge(&client, said, true, None).await,
        Some(Command::Wrong(said)) => judge(&client, said, false, None).await,
        Some(Command::Refuse(said)) => refuse(&client, said).await,
        Some(Command::Pause(pause)) => stop(&client, pause).await,
        Some(Command::Resume) => resume(&client).await,
        Some(Command::Replay(args)) => replay(&client, args).await,
    }
}

async fn list(client: &Client, args: &Args) -> anyhow::Result<Exit> {
    let all = client.list_all(Kind::Decision, None).await?;
    let revision = all.revision;
    let about = |decision: &Object<Decision>| {
        args.subject.as_ref().is_none_or(|Subject { kind, name }| {
            let subject = format!("{}/{name}", kind.lower());
            let own = decision.spec.subject == subject;
            let name = subject.strip_prefix("deployment/");
            let instance = decision.spec.subject.strip_prefix("instance/");
            let of = instance.and_then(|name| name.rsplit_once('.')).map(|(of, _)| of);
            own || name.is_some_and(|name| of == Some(name))
        })
    };
    let wanted = |any: &Any| {
        any.of::<Decision>().is_some_and(|decision| {
            let policy = args.policy.as_ref().is_none_or(|name| {
                let name = name.strip_prefix("policy/").unwrap_or(name);
                decision.status.policy == name
            });
            let open = !args.open || decision.status.ended_at.is_none();
            policy && open && about(decision)
        })
    };
    let mut items: Vec<Any> = all.items.into_iter().filter(wanted).collect();
    items.sort_by_key(|any| std::cmp::Reverse(any.meta().created_at));
    tell_stop(client).await;
    let format = args.output.output;
    if let Some(policy) = args.policy.as_ref().filter(|_| items.is_empty()) {
        // A name that is misspelt is not to look as if all were quiet.
        client.get(Kind::Policy, policy.strip_prefix("policy/").unwrap_or(policy)).await?;
    }
    if items.is_empty() && format.is_table() {
        output::say(match args.open {
            true => "nothing is open; what was decided is in: atoll decisions",
            false => "nothing was decided; what may be is in: atoll get policies",
        });
        return Ok(Exit::Done);
    }
    output::print(&output::list(items, revision, format, now())?)?;
    Ok(Exit::Done)
}

/// Says that no policy does anything, while that is so.
async fn tell_stop(client: &Client) {
    let Ok(all) = client.list_all(Kind::Freeze, None).await else { return };
    for any in &all.items {
        let Some(freeze) = any.of::<Freeze>() else { continue };
        if freeze.spec.holds == Holds::Decisions && freeze.spec.active(now()) {
            let until = freeze.spec.until.map(|until| format!(" until {until}"));
            let (until, why) = (until.unwrap_or_default(), &freeze.spec.reason);
            output::say(&format!(
                "no policy does anything{until} (freeze/{}): {why}",
                freeze.name()
            ));
        }
    }
}

/// Keeps one from being carried out, as long as that is to come.
async fn refuse(client: &Client, said: Said) -> anyhow::Result<Exit> {
    let name = said.name.strip_prefix("decision/").unwrap_or(&said.name);
    let any = client.get(Kind::Decision, name).await?;
    if let Some(decision) = any.of::<Decision>() {
        refusable(decision)?;
    }
    let revision = Some(any.meta().revision);
    judge(client, said, false, revision).await
}

/// Whether there is still something to refuse.
///
/// # Errors
/// That it was carried out, or is over.
fn refusable(decision: &Object<Decision>) -> Result<(), Failure> {
    let (name, status) = (decision.name(), &decision.status);
    let how = match (status.acted_at, status.ended_at) {
        (Some(at), _) => format!("was carried out at {at}"),
        (None, Some(at)) => format!("is closed since {at}, and was not carried out"),
        (None, None) => return Ok(()),
    };
    let message = format!("decision/{name} {how}: nothing was changed");
    let hint = format!("to say that it was wrong: atoll decisions wrong {name} --because WHY");
    let reasons = vec![Reason::new("not-waiting", message.clone()).hint(hint)];
    Err(Failure { exit: Exit::Refused, message, reasons })
}

async fn judge(
    client: &Client,
    said: Said,
    right: bool,
    revision: Option<u64>,
) -> anyhow::Result<Exit> {
    let name = said.name.strip_prefix("decision/").unwrap_or(&said.name).to_owned();
    let subject = Subject { kind: Kind::Decision, name };
    let feedback = json!({ "right": right, "comment": said.because });
    let patch = json!({ "spec": { "feedback": feedback } });
    let outcome = client.patch(subject.kind, &subject.name, patch, revision, false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[subject])?;
    Ok(Exit::Done)
}

async fn stop(client: &Client, pause: Pause) -> anyhow::Result<Exit> {
    let spec = Freeze {
        from: None,
        until: pause.span.map(|span| now() + span),
        environments: Vec::new(),
        applications: Selector::default(),
        named: Vec::new(),
        holds: Holds::Decisions,
        reason: pause.because,
    };
    let any = Any::Freeze(Object::new(STOP, spec).into());
    let subject = Subject::is(&any);
    let outcome = client.apply(vec![any.to_value()], false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[subject])?;
    output::say("no policy does anything from now on; to go on: atoll decisions resume");
    Ok(Exit::Done)
}

async fn resume(client: &Client) -> anyhow::Result<Exit> {
    let all = client.list_all(Kind::Freeze, None).await?;
    let stops = all.items.iter().filter(|any| {
        any.of::<Freeze>().is_some_and(|freeze| freeze.spec.holds == Holds::Decisions)
    });
    let mut ended = 0;
    for stop in stops {
        match client.delete(Kind::Freeze, stop.name(), false).await {
            Ok(outcome) => {
                change::judge(&outcome)?;
                change::tell(&outcome, &[Subject::is(stop)])?;
            }
            Err(ClientError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
        ended += 1;
    }
    output::say(match ended {
        0 => "it was not stopped",
        _ => "what policies may do is done by itself again",
    });
    Ok(Exit::Done)
}

async fn replay(client: &Client, args: Replay) -> anyhow::Result<Exit> {
    let mut policies = Vec::new();
    for any in files::read(&args.policies)? {
        match any {
            Any::Policy(_) => policies.push(any.to_value()),
            other => {
                let message = format!("{} is no policy", other.id());
                return Err(Failure::usage(message).into());
            }
        }
    }
    let request = DecisionReplayRequest { policies, since: args.since };
    let told = client.replay_decisions(&request).await?;
    let text = output::value(&told, args.output.output, || render(&told, Paint::stdout()))?;
    output::print(&text)?;
    Ok(Exit::Done)
}

fn render(told: &DecisionReplay, paint: Paint) -> String {
    let other = told.differences.len();
    let tone = if other > 0 { Tone::Busy } else { Tone::Good };
    let said = format!("{other} of {} decisions would come out otherwise", told.decisions);
    let remark = |it: &Reason| format!("{}\n", paint.tone(Tone::Busy, &plain(&it.to_string())));
    let mut text: String = told.remarks.iter().map(remark).collect();
    text.push_str(&format!("{}\n", paint.tone(tone, &said)));
    for one in &told.differences {
        let at = one.at.map(|at| format!("{at}  ")).unwrap_or_default();
        text.push_str(&format!("  {at}{}  {}\n", one.decision, one.subject));
        text.push_str(&format!("    was {}; would be {}\n", one.was, one.would));
        text.push_str(&format!("    {}\n", paint.tone(Tone::Dim, &plain(&one.because))));
    }
    if told.unknown > 0 {
        text.push_str(&format!("{} cannot be told with what was kept\n", told.unknown));
    }
    for one in &told.untold {
        text.push_str(&format!("  {}  {}\n", one.decision, one.subject));
        text.push_str(&format!("    {}\n", paint.tone(Tone::Dim, &plain(&one.why))));
    }
    text.push_str("only what led to a decision is kept: votes nobody cast then are not found\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_not_refused_any_more() {
        let decision = |status: serde_json::Value| -> Object<Decision> {
            let spec = Decision { subject: "deployment/web.prod".to_owned(), feedback: None };
            let mut decision = Object::new("deployment.web.prod.1", spec);
            decision.status = serde_json::from_value(status).unwrap();
            decision
        };
        let (at, later) = ("2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z");
        assert!(refusable(&decision(json!({ "phase": "waiting" }))).is_ok());
        for (status, told) in [
            (json!({ "phase": "acting", "actedAt": at }), "was carried out at 2026-01-01T00:00"),
            (json!({ "phase": "measured", "actedAt": at, "endedAt": later }), "was carried out"),
            (json!({ "phase": "waiting", "endedAt": later }), "is closed since 2026-01-01T00:05"),
        ] {
            let failure = refusable(&decision(status)).unwrap_err();
            assert_eq!(failure.exit, Exit::Refused);
            assert!(failure.message.contains(told), "{failure}");
            assert!(failure.message.ends_with("nothing was changed"), "{failure}");
        }
    }
}
