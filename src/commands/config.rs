//! `atoll config`: dynamic configuration as those who turn switches want it. What it changes is a
//! Config object like any other; changes of values stand in `config/edit.rs`.

use std::str::FromStr;

use atoll_client::Client;
use atoll_model::config::{ConfigStatus, Content, Labels};
use atoll_model::{Config, Instance, Kind, Object, Selector, name};
use serde_json::{Value, json};

use crate::args::{Global, Output, Override, Wait};
use crate::change;
use crate::columns::{Cell, cell, word};
use crate::commands::{history, rollback};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::subject::Subject;
use crate::terminal::Tone;

mod edit;

/// What `atoll config` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The values that are live, for everybody or for some
    Get(Get),
    /// Set values: atoll config set shop-switches checkout=false --env prod --wait
    Set(edit::Set),
    /// Make the draft live, or the values of a file
    Push(edit::Push),
    /// What differs between what is live and what is wanted or drafted, or two revisions
    Diff(Diff),
    /// Who changed it, when, and why
    History(Named),
    /// Give all what only some have so far, or what was taken back
    Promote(Decide),
    /// Give a gray release up: all go back to what is live
    Abort(Decide),
    /// How far it is, and who has taken it up
    Status(Status),
    /// Go back to the values before, at once
    Rollback(Back),
}

/// The name of a configuration, with or without its kind.
#[derive(Clone, Debug)]
pub struct Name(String);

impl FromStr for Name {
    type Err = String;
    fn from_str(text: &str) -> Result<Name, String> {
        let bare = match text.split_once('/') {
            None => text,
            Some((kind, name)) if kind.parse() == Ok(Kind::Config) => name,
            Some(_) => return Err(format!("{text:?} is no configuration; see atoll get configs")),
        };
        name::check_simple(bare).map_err(|e| e.to_string())?;
        Ok(Name(bare.to_owned()))
    }
}

impl Name {
    fn subject(&self) -> Subject {
        Subject { kind: Kind::Config, name: self.0.clone() }
    }

    async fn read(&self, client: &Client) -> anyhow::Result<Object<Config>> {
        let any = client.get(Kind::Config, &self.0).await?;
        let object = any.of::<Config>().map(|object| Object::clone(object));
        Ok(object.ok_or_else(|| Failure::failed(format!("the server sent {}", any.id())))?)
    }
}

/// Whom values are for.
#[derive(Clone, Debug, clap::Args)]
pub struct For {
    /// In this environment only; may be repeated
    #[arg(long = "env", value_name = "ENV")]
    environments: Vec<String>,
    /// Only where these labels are
    #[arg(long = "where", value_name = "SELECTOR")]
    labels: Option<Selector>,
}

/// What `atoll config get` takes.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// NAME or config/NAME
    #[arg(value_name = "NAME")]
    name: Name,
    /// Only this value
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// As it is in this environment
    #[arg(long = "env", value_name = "ENV")]
    environment: Option<String>,
    /// As it is where this label is; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// What `atoll config diff` takes.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// NAME or config/NAME
    #[arg(value_name = "NAME")]
    name: Name,
    /// From the values of this revision; from what is live, if absent
    #[arg(long, value_name = "REV")]
    from: Option<u64>,
    /// To the values of that revision; to the draft or what is wanted, if absent
    #[arg(long, value_name = "REV")]
    to: Option<u64>,
    #[command(flatten)]
    output: Output,
}

/// What `atoll config history` takes.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// NAME or config/NAME
    #[arg(value_name = "NAME")]
    name: Name,
    #[command(flatten)]
    output: Output,
}

/// What `atoll config promote` and `abort` take.
#[derive(Debug, clap::Args)]
pub struct Decide {
    /// NAME or config/NAME
    #[arg(value_name = "NAME")]
    name: Name,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

/// What `atoll config status` takes.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// NAME or config/NAME
    #[arg(value_name = "NAME")]
    name: Name,
    #[command(flatten)]
    output: Output,
}

/// What `atoll config rollback` takes.
#[derive(Debug, clap::Args)]
pub struct Back {
    /// NAME or config/NAME
    #[arg(value_name = "NAME")]
    name: Name,
    /// The revision to go back to; to the values before, if absent
    #[arg(long, value_name = "REV")]
    to: Option<u64>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

/// Does it.
///
/// # Errors
/// The client's; a refusal of the gate.
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Get(args) => get(global, args).await,
        Command::Set(args) => edit::set(global, args).await,
        Command::Push(args) => edit::push(global, args).await,
        Command::Diff(args) => diff(global, args).await,
        Command::History(args) => {
            history::run(global, history::Args::of(args.name.subject(), args.output)).await
        }
        Command::Promote(args) => decide(global, args, true).await,
        Command::Abort(args) => decide(global, args, false).await,
        Command::Status(args) => status(global, args).await,
        Command::Rollback(args) => {
            let what = args.name.subject();
            rollback::run(global, rollback::Args::of(what, args.to, args.wait, args.over)).await
        }
    }
}

async fn get(global: &Global, args: Get) -> anyhow::Result<Exit> {
    let object = args.name.read(&global.client()?).await?;
    let mut labels = Labels::new();
    for pair in &args.labels {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("{pair:?}: write labels as KEY=VALUE")))?;
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels.extend(args.environment.map(|e| ("environment".to_owned(), e)));
    let values = object.status.live.for_labels(&labels);
    if let Some(key) = &args.key {
        let pointer = format!("/{}", key.replace('.', "/"));
        let all = json!(values);
        let found = values.get(key).or_else(|| all.pointer(&pointer)).ok_or_else(|| {
            Failure::not_found(format!("config/{} has no value {key}", object.name()))
        })?;
        output::print_line(&shown(found))?;
        return Ok(Exit::Done);
    }
    let text = output::value(&values, args.output.output, || {
        let line = |(key, value): (&String, &Value)| {
            let switch = object.spec.switches.get(key);
            let owner = switch.map(|switch| switch.owner.clone()).unwrap_or_default();
            let usual = switch.map(|switch| shown(&switch.default)).unwrap_or_default();
            let about = switch.map(|switch| switch.description.clone()).unwrap_or_default();
            let tone = match switch {
                Some(switch) if switch.default != *value => Tone::Busy,
                _ => Tone::Plain,
            };
            vec![
                cell("KEY", key.clone()).tone(Tone::Strong),
                cell("VALUE", shown(value)).tone(tone),
                cell("DEFAULT", usual),
                cell("OWNER", owner),
                cell("ABOUT", about).wide(),
            ]
        };
        output::table(values.iter().map(line).collect(), args.output.output == Format::Wide)
    });
    output::print(&text?)?;
    Ok(Exit::Done)
}

/// A value as a person reads it: text without quotes.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn diff(global: &Global, args: Diff) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let object = args.name.read(&client).await?;
    let at = async |revision: u64| -> anyhow::Result<Content> {
        let any = client.at_revision(Kind::Config, object.name(), revision).await?;
        Ok(any.of::<Config>().map(|past| past.spec.content()).unwrap_or_default())
    };
    let from = match args.from {
        Some(revision) => at(revision).await?,
        None => object.status.live.clone(),
    };
    let to = match args.to {
        Some(revision) => at(revision).await?,
        None => object.spec.draft_content().unwrap_or_else(|| object.spec.content()),
    };
    let fields = edit::differences(&from, &to);
    if fields.is_empty() {
        output::say("they do not differ");
    }
    let text = output::value(&fields, args.output.output, || {
        fields.iter().map(|field| format!("{}\n", edit::change_in_words(field))).collect()
    });
    output::print(&text?)?;
    Ok(Exit::Done)
}

async fn decide(global: &Global, args: Decide, promote: bool) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let object = args.name.read(&client).await?;
    let spec = decision(&object, promote)?;
    let what = args.name.subject();
    let revision = Some(object.meta.revision);
    let outcome = change::patch_spec(&client, &what, spec, revision, &args.over).await?;
    change::conclude(&client, &what, &outcome, None, args.wait).await
}

fn decision(object: &Object<Config>, promote: bool) -> Result<Value, Failure> {
    let status = &object.status;
    let gray = status.gray.as_ref().map(|gray| gray.version);
    let failed = status.failed.as_ref().map(|failed| failed.version);
    let none = || {
        let (name, version) = (object.name(), status.version);
        Failure::failed(format!("config/{name} has no gray release; all have version {version}"))
    };
    if promote {
        return Ok(json!({ "promoted": gray.or(failed).ok_or_else(none)?, "aborted": null }));
    }
    Ok(json!({ "aborted": gray.ok_or_else(none)? }))
}

async fn status(global: &Global, args: Status) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let object = args.name.read(&client).await?;
    let format = args.output.output;
    if !format.is_table() {
        output::print(&output::value(&object.status, format, String::new)?)?;
        return Ok(Exit::Done);
    }
    let mut text = summary(&object);
    let all = client.list_all(Kind::Instance, None).await?;
    let has = |any: &atoll_model::Any| {
        let instance = any.of::<Instance>()?;
        line(&object.status, object.name(), instance)
    };
    let lines: Vec<Vec<Cell>> = all.items.iter().filter_map(has).collect();
    if !lines.is_empty() {
        text.push_str(&output::table(lines, format == Format::Wide));
    }
    output::print(&text)?;
    Ok(Exit::Done)
}

/// How far it is, in a few lines.
fn summary(object: &Object<Config>) -> String {
    let status = &object.status;
    let mut text = format!(
        "config/{} is {}: version {} is live; {} of {} instances have taken up what is theirs\n",
        object.name(),
        word(&status.phase),
        status.version,
        status.acknowledged,
        status.instances
    );
    if let Some(gray) = &status.gray {
        let steps = object.spec.gray.as_ref().map_or(0, |rules| rules.steps.len());
        text.push_str(&format!(
            "version {} is gray: step {} of {steps}, on {} of {} instances it concerns\n",
            gray.version,
            gray.step + 1,
            gray.instances.len(),
            gray.affected
        ));
        for (deployment, said) in &gray.guard {
            let verdict = said.verdict.words();
            text.push_str(&format!("the guard of {deployment}: {verdict}, {}\n", said.message));
        }
    }
    for reason in &status.reasons {
        text.push_str(&format!("{reason}\n"));
    }
    text
}

fn line(status: &ConfigStatus, config: &str, instance: &Object<Instance>) -> Option<Vec<Cell>> {
    let name = instance.name();
    let laggard = status.laggards.iter().find(|laggard| laggard.instance == name);
    let ack = instance.status.configs.get(config);
    if ack.is_none() && laggard.is_none() {
        return None;
    }
    let gray = status.gray.as_ref().filter(|gray| gray.instances.contains_key(name));
    let wanted = gray.map_or(status.version, |gray| gray.version);
    let number = |version: Option<u64>| version.map(|v| v.to_string()).unwrap_or_default();
    let tone = if laggard.is_some() { Tone::Bad } else { Tone::Good };
    Some(vec![
        cell("INSTANCE", name).tone(Tone::Strong),
        cell("HOST", instance.spec.host.clone()),
        cell("WANTED", wanted.to_string()),
        cell("FILE", number(ack.map(|ack| ack.version))).tone(tone),
        cell("FETCHED", number(ack.and_then(|ack| ack.fetched))),
        cell("WHY", laggard.map(|laggard| laggard.why.clone()).unwrap_or_default()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_named_with_or_without_its_kind() {
        for text in ["shop-switches", "config/shop-switches", "configs/shop-switches"] {
            assert_eq!(text.parse::<Name>().unwrap().0, "shop-switches", "{text}");
        }
        assert!("host/h1".parse::<Name>().is_err());
        assert!("a.b".parse::<Name>().is_err());
    }
}
