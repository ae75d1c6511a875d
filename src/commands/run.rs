//! `atoll run`: a command, or a runbook, on many hosts. It makes the job and shows what comes of
//! it; which host does it when is the planner's.

mod follow;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_client::Client;
use atoll_model::api::JobRequest;
use atoll_model::ci::pipeline::ParamKind;
use atoll_model::job::{Deed, JobPhase, Pause};
use atoll_model::{Any, Job, Kind, Object, Portion, Reason, Runbook, Selector, Span, name};
use serde_json::{Value, json};

use crate::args::{Global, Output, Override};
use crate::change;
use crate::clock::now;
use crate::commands::pipeline::begin::pair;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::subject::Subject;

/// Flags of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A runbook, as runbook/NAME, in place of a command
    #[arg(value_name = "RUNBOOK")]
    runbook: Option<Subject>,
    /// The hosts it is done on, by their labels; all, without this and --host
    #[arg(long, value_name = "SELECTOR")]
    on: Option<Selector>,
    /// Hosts by name; may be repeated, or given with commas
    #[arg(long = "host", value_name = "NAME", value_delimiter = ',')]
    hosts: Vec<String>,
    /// How many hosts at a time: the last size is repeated
    #[arg(long = "batch", value_name = "1,10%,50%", value_delimiter = ',')]
    batches: Vec<Portion>,
    /// No further batch once more hosts than that have failed
    #[arg(long, value_name = "N|P%")]
    max_errors: Option<Portion>,
    /// Wait for `atoll resume` between batches: first, each or never
    #[arg(long, value_name = "WHEN", value_parser = pause)]
    pause: Option<Pause>,
    /// A host may take so long
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Span>,
    /// The user of the host it is done as [default: root]
    #[arg(long, value_name = "USER")]
    run_as: Option<String>,
    /// An environment variable; may be repeated
    #[arg(short = 'e', long = "env", value_name = "KEY=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// A parameter of the runbook; may be repeated
    #[arg(short = 'p', long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// Once on each host for this key, however often it is submitted
    #[arg(long, value_name = "KEY")]
    once: Option<String>,
    /// The team whose job it is, which decides who may read it [default: yours, if you are in one]
    #[arg(long, value_name = "team/NAME", value_parser = team)]
    owner: Option<String>,
    /// A label of the job; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Begin it only, and print its name
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    over: Override,
    /// Program and arguments, after --
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

fn pause(text: &str) -> Result<Pause, String> {
    serde_json::from_value(json!(text)).map_err(|_| format!("{text:?}: first, each or never"))
}

/// The name of a team, which may be written as `team/NAME`.
fn team(text: &str) -> Result<String, String> {
    let team = text.strip_prefix("team/").unwrap_or(text);
    match name::check_simple(team) {
        Ok(()) => Ok(team.to_owned()),
        Err(_) => Err(format!("{text:?}: a job is of a team: team/NAME")),
    }
}

/// The label that says whose a job is: rights per team go by it.
const TEAM_LABEL: &str = "team";

/// The labels of a job: those that were given, and the team that was named or, where nobody says
/// otherwise, the only one its author is in.
fn labels(
    given: &[(String, String)],
    owner: Option<&str>,
    teams: &[String],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut labels: BTreeMap<String, String> = given.iter().cloned().collect();
    match (owner, labels.get(TEAM_LABEL), teams) {
        (Some(owner), Some(other), _) if owner != other => {
            let what = format!("--owner says team/{owner} and --label says team/{other}");
            return Err(Failure::usage(format!("{what}: give one of them")));
        }
        (Some(team), ..) => drop(labels.insert(TEAM_LABEL.to_owned(), team.to_owned())),
        (None, None, [only]) => drop(labels.insert(TEAM_LABEL.to_owned(), only.clone())),
        _ => {}
    }
    name::check_labels(&labels).map_err(|e| Failure::usage(format!("--label: {e}")))?;
    Ok(labels)
}

/// Begins the job and follows it to its end.
///
/// # Errors
/// The client's; what is wrong with what was asked.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let (no_follow, format) = (args.no_follow, args.output.output);
    let (job, round) = match &args.runbook {
        Some(runbook) => (of_runbook(&client, runbook.clone(), &args).await?, 1),
        None => of_command(&client, args).await?,
    };
    if no_follow {
        output::print_line(&format!("job/{job}"))?;
        return Ok(Exit::Done);
    }
    follow::follow(&client, &job, round, format).await
}

/// `atoll retry job/NAME`: once more where it has not succeeded.
///
/// # Errors
/// The client's.
pub async fn retry(global: &Global, args: Retry) -> anyhow::Result<Exit> {
    let what = args.what.of(&[Kind::Job])?;
    let (client, format) = (global.client()?, args.output.output);
    let any = client.get(Kind::Job, &what.name).await?;
    if any.of::<Job>().is_some_and(|job| nothing_left(job)) {
        output::say(&format!("nothing is left to retry: every host of {what} has done it"));
        if !shows(format) {
            let none = json!({ "job": what.name, "phase": "succeeded", "hosts": {} });
            output::print(&output::value(&none, format, || format!("{what}\n"))?)?;
        }
        return Ok(Exit::Done);
    }
    let round = next_round(&client, &what.name).await?;
    follow::follow(&client, &what.name, round, format).await
}

/// Whether every host of a job has done it. One that is done once looks for new hosts each time.
fn nothing_left(job: &Object<Job>) -> bool {
    let status = &job.status;
    let all = status.targets.iter().all(|host| status.done.contains(host));
    !job.spec.once && status.phase == JobPhase::Succeeded && !status.done.is_empty() && all
}

/// What `atoll retry` takes.
#[derive(Debug, clap::Args)]
pub struct Retry {
    /// job/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    #[command(flatten)]
    output: Output,
}

async fn next_round(client: &Client, name: &str) -> anyhow::Result<u32> {
    let any = client.get(Kind::Job, name).await?;
    let Any::Job(job) = &any else {
        return Err(Failure::failed(format!("{} is no job", any.id())).into());
    };
    if !job.status.phase.is_over() {
        let hint = "wait for its end, or end it: atoll cancel";
        return Err(Failure::failed(format!("job/{name} still goes on; {hint}")).into());
    }
    let round = job.spec.round + 1;
    let patch = json!({ "spec": { "round": round, "cancelled": false } });
    client.patch(Kind::Job, name, patch, Some(any.meta().revision), false).await?;
    Ok(round)
}

async fn of_runbook(client: &Client, runbook: Subject, args: &Args) -> anyhow::Result<String> {
    let runbook = runbook.of(&[Kind::Runbook])?;
    let alone = args.command.is_empty()
        && args.batches.is_empty()
        && args.env.is_empty()
        && args.once.is_none()
        && args.run_as.is_none();
    if args.over.annotations().next().is_some() {
        let what =
            "a runbook is not begun in spite of anything; the runbook itself may be edited so";
        return Err(Failure::usage(what).into());
    }
    if args.owner.is_some() || !args.labels.is_empty() {
        let what = "the jobs of a runbook are of whoever the runbook is of";
        return Err(Failure::usage(format!("{what}: atoll edit {runbook}")).into());
    }
    if !alone {
        let what = "a runbook says itself what is done, as whom and in which batches";
        return Err(Failure::usage(format!("{what}; give it only --on, --host and -p")).into());
    }
    let any = client.get(Kind::Runbook, &runbook.name).await?;
    let Any::Runbook(book) = &any else {
        return Err(Failure::failed(format!("{} is no runbook", any.id())).into());
    };
    let params = args.params.iter().map(|(key, text)| (key.clone(), value(&book.spec, key, text)));
    let request =
        JobRequest { params: params.collect(), on: args.on.clone(), hosts: args.hosts.clone() };
    Ok(client.begin_job(&runbook.name, &request).await?.job)
}

/// A value of the type the runbook wants; text, where it knows of none.
fn value(book: &Runbook, key: &str, text: &str) -> Value {
    let kind = book.params.get(key).map(|param| param.kind);
    let read = matches!(kind, Some(ParamKind::Integer | ParamKind::Number | ParamKind::Boolean));
    let value = read.then(|| serde_json::from_str(text).ok()).flatten();
    value.unwrap_or_else(|| text.into())
}

async fn of_command(client: &Client, args: Args) -> anyhow::Result<(String, u32)> {
    if args.command.is_empty() {
        let what = "what is to be done? write it after --, or name a runbook";
        return Err(Failure::usage(format!("{what}: atoll run --on zone=a -- uptime")).into());
    }
    if !args.params.is_empty() {
        return Err(Failure::usage("-p is for runbooks; write it into the command").into());
    }
    let name = match &args.once {
        Some(key) => format!("once-{key}"),
        None => new_name(&args.command[0]),
    };
    let once = args.once.is_some();
    let (how, over) = (How::of(&args), args.over.clone());
    // Whoever cannot be told whose they are has no team.
    let teams = client.whoami().await.map(|who| who.teams).unwrap_or_default();
    let labels = labels(&args.labels, args.owner.as_deref(), &teams)?;
    let usual = Deed::of(args.command);
    let deed = Deed {
        env: args.env.into_iter().collect(),
        run_as: args.run_as.unwrap_or(usual.run_as),
        timeout: args.timeout.unwrap_or(usual.timeout),
        batches: args.batches,
        max_errors: args.max_errors.unwrap_or(usual.max_errors),
        pause: args.pause.unwrap_or(usual.pause),
        ..usual
    };
    let spec = Job {
        on: args.on.unwrap_or_default(),
        hosts: args.hosts,
        deed,
        once,
        runbook: None,
        round: 1,
        resumed: 0,
        cancelled: false,
    };
    if once && let Some(round) = submitted(client, &name, &spec, &how).await? {
        return Ok((name, round));
    }
    let mut job = Object::new(name.clone(), spec);
    job.meta.labels = labels;
    let mut any = Any::Job(Arc::new(job));
    change::annotate(&mut any, &over);
    let outcome = client.put(&any, false).await?;
    change::judge(&outcome)?;
    Ok((name, 1))
}

/// The round of a job that was submitted before under its key, and goes on or is begun again.
async fn submitted(
    client: &Client,
    name: &str,
    spec: &Job,
    how: &How,
) -> anyhow::Result<Option<u32>> {
    let any = match client.get(Kind::Job, name).await {
        Ok(any) => any,
        Err(atoll_client::ClientError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Any::Job(job) = &any else { return Ok(None) };
    let reasons = differences(&job.spec, spec);
    if !reasons.is_empty() {
        let key = name.trim_start_matches("once-");
        let of: Vec<&str> = reasons.iter().map(|reason| reason.code.as_str()).collect();
        let of = of.join(", of ").replace('-', " ");
        let message = format!("the key {key} is that of {of}: atoll describe job/{name}");
        return Err(Failure { exit: Exit::Conflict, message, reasons }.into());
    }
    let without = how.passed_over(&job.spec.deed);
    if !without.is_empty() {
        let flags = without.join(" and ");
        output::say(&format!("job/{name} stays as it was begun, without regard to {flags}"));
    }
    match job.status.phase.is_over() {
        true => Ok(Some(next_round(client, name).await?)),
        false => Ok(Some(job.spec.round)),
    }
}

/// In what two jobs of one key are not one: what is done, as whom, and on which hosts. How it goes
/// from host to host is none of it.
fn differences(was: &Job, now: &Job) -> Vec<Reason> {
    let mut found = Vec::new();
    let mut add = |same: bool, code: &str, message: String| {
        if !same {
            found.push(Reason::new(code, message));
        }
    };
    let (old, new) = (&was.deed, &now.deed);
    let message = format!("it is {:?}, and not {:?}", old.command, new.command);
    add(old.command == new.command, "another-command", message);
    let message = format!("it is done as {}, and not as {}", old.run_as, new.run_as);
    add(old.run_as == new.run_as, "another-user", message);
    // Values are nobody's business: some are passwords.
    let keys: BTreeSet<&String> = old.env.keys().chain(new.env.keys()).collect();
    let keys = keys.into_iter().filter(|key| old.env.get(*key) != new.env.get(*key));
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    let message = format!("its environment has another {}", keys.join(", "));
    add(keys.is_empty(), "another-environment", message);
    let hosts = |job: &Job| job.hosts.iter().cloned().collect::<BTreeSet<String>>();
    let same = was.on == now.on && hosts(was) == hosts(now);
    let message = format!("it is for {}, and not for {}", meant(was), meant(now));
    add(same, "other-hosts", message);
    found
}

/// The hosts of a job, in words.
fn meant(job: &Job) -> String {
    let named = job.hosts.join(", ");
    match (job.on.0.is_empty(), job.hosts.is_empty()) {
        (true, true) => "all hosts".to_owned(),
        (true, false) => named,
        (false, true) => format!("hosts with {}", job.on),
        (false, false) => format!("hosts with {} and {named}", job.on),
    }
}

/// What was said of how a job goes from host to host.
struct How {
    timeout: Option<Span>,
    batches: Vec<Portion>,
    max_errors: Option<Portion>,
    pause: Option<Pause>,
}

impl How {
    fn of(args: &Args) -> How {
        let Args { timeout, max_errors, pause, .. } = args;
        let batches = args.batches.clone();
        How { timeout: *timeout, batches, max_errors: *max_errors, pause: *pause }
    }

    /// The flags a job that was begun otherwise does not heed: a job never changes.
    fn passed_over(&self, deed: &Deed) -> Vec<&'static str> {
        let other = |given: bool, flag| given.then_some(flag);
        let all = [
            other(self.timeout.is_some_and(|it| it != deed.timeout), "--timeout"),
            other(!self.batches.is_empty() && self.batches != deed.batches, "--batch"),
            other(self.max_errors.is_some_and(|it| it != deed.max_errors), "--max-errors"),
            other(self.pause.is_some_and(|it| it != deed.pause), "--pause"),
        ];
        all.into_iter().flatten().collect()
    }
}

/// A name nobody has: the program's, and the time in a short form.
fn new_name(program: &str) -> String {
    let word = program.rsplit('/').next().unwrap_or_default().to_lowercase();
    let word: String = word.chars().filter(|c| c.is_ascii_alphanumeric()).take(16).collect();
    let word = match word.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => word,
        false => format!("run{word}"),
    };
    let mut number = now().0.unsigned_abs() * 1000 + u64::from(std::process::id() % 1000);
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
    }
    let digits: String = digits.iter().rev().collect();
    format!("{word}-{digits}")
}

/// Whether results are shown as text while they come.
fn shows(format: Format) -> bool {
    matches!(format, Format::Table | Format::Wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(spec: Value) -> Job {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a_job_is_of_the_team_that_was_named_or_of_its_authors_only_one() {
        let of = |given: &[(&str, &str)], owner: Option<&str>, teams: &[&str]| {
            let given: Vec<_> = given.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let teams: Vec<String> = teams.iter().map(|team| (*team).to_owned()).collect();
            labels(&given, owner, &teams).map(|labels| labels.get(TEAM_LABEL).cloned())
        };
        let dc = Some("dc".to_owned());
        assert_eq!(of(&[], None, &["dc"]).unwrap(), dc);
        assert_eq!(of(&[], None, &["dc", "web"]).unwrap(), None, "which of them nobody says");
        assert_eq!(of(&[], Some("dc"), &["web"]).unwrap(), dc);
        assert_eq!(of(&[("team", "dc"), ("a", "b")], None, &["web"]).unwrap(), dc);
        assert!(of(&[("team", "web")], Some("dc"), &[]).is_err(), "two that contradict each other");
        assert!(of(&[("no label!", "x")], None, &[]).is_err());
        assert_eq!((team("team/dc"), team("dc")), (Ok("dc".to_owned()), Ok("dc".to_owned())));
        assert!(team("user/anna").is_err());
    }

    #[test]
    fn a_key_is_of_what_is_done_and_where_and_not_of_how() {
        let was = job(json!({ "on": "zone=a", "do": { "command": ["true"], "maxErrors": "1" } }));
        let mut now = was.clone();
        (now.deed.timeout, now.deed.max_errors) = (Span::seconds(9), Deed::of(vec![]).max_errors);
        (now.round, now.deed.batches) = (3, vec![Portion::Count(2)]);
        assert!(differences(&was, &now).is_empty());
        let how = How {
            timeout: Some(Span::seconds(9)),
            batches: Vec::new(),
            max_errors: Some(Portion::Count(1)),
            pause: None,
        };
        assert_eq!(how.passed_over(&was.deed), ["--timeout"]);
        now.deed.env.insert("KEY".to_owned(), "secret".to_owned());
        (now.deed.command, now.hosts) = (vec!["false".to_owned()], vec!["h1".to_owned()]);
        now.deed.run_as = "nobody".to_owned();
        let found = differences(&was, &now);
        let codes: Vec<&str> = found.iter().map(|reason| reason.code.as_str()).collect();
        let all = ["another-command", "another-user", "another-environment", "other-hosts"];
        assert_eq!(codes, all);
        let said: Vec<&str> = found.iter().map(|reason| reason.message.as_str()).collect();
        assert_eq!(said[2], "its environment has another KEY");
        assert_eq!(said[3], "it is for hosts with zone=a, and not for hosts with zone=a and h1");
    }

    #[test]
    fn what_everybody_has_done_is_not_done_again() {
        let mut of = Object::new("j", job(json!({ "do": { "command": ["true"] } })));
        of.status.targets = vec!["a".to_owned(), "b".to_owned()];
        of.status.done = ["a".to_owned()].into();
        of.status.phase = JobPhase::Succeeded;
        assert!(!nothing_left(&of), "one failed, and was let pass");
        of.status.done.insert("b".to_owned());
        assert!(nothing_left(&of));
        of.spec.once = true;
        assert!(!nothing_left(&of), "there may be new hosts");
    }
}
