//! Setting values, by hand or from a file, at once, gray or as a draft. It only says what is
//! wanted; when who gets it is decided by the server.

use std::path::PathBuf;

use atoll_client::{Client, ClientError};
use atoll_model::api::{FieldDiff, Outcome};
use atoll_model::config::{Content, Draft, Gray, GrayStep, Labels, Overlay, SwitchType, Values};
use atoll_model::{Any, Config, Kind, Object, Portion, Span};
use serde_json::Value;

use super::{For, Name};
use crate::args::{Global, Override, Wait};
use crate::change;
use crate::commands::plan::change_of;
use crate::exit::{Exit, Failure};
use crate::output;

/// Somebody else may be faster so often before it is given up.
const ATTEMPTS: usize = 5;

/// How a change goes out.
#[derive(Clone, Debug, clap::Args)]
pub struct How {
    /// Only prepare it; `atoll config push NAME` makes it live
    #[arg(long, conflicts_with_all = ["now", "gray"])]
    draft: bool,
    /// What for; kept with a draft
    #[arg(long, value_name = "TEXT", requires = "draft")]
    note: Option<String>,
    /// To all at once, whatever steps it has otherwise
    #[arg(long, conflicts_with = "gray")]
    now: bool,
    /// To so many instances first, watched; this and later changes
    #[arg(long, value_name = "N|P%")]
    gray: Option<Portion>,
    /// How long that is watched
    #[arg(long, value_name = "SPAN", requires = "gray", default_value = "1m")]
    soak: Span,
}

/// What `atoll config set` takes.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// NAME or config/NAME
    #[arg(value_name = "NAME")]
    name: Name,
    /// Values: JSON, or plain text; KEY- takes one away; a.b=1 sets b in a
    #[arg(value_name = "KEY=VALUE", required = true)]
    values: Vec<String>,
    #[command(flatten)]
    whom: For,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

/// What `atoll config push` takes.
#[derive(Debug, clap::Args)]
pub struct Push {
    /// NAME or config/NAME
    #[arg(value_name = "NAME")]
    name: Name,
    /// A file of values, JSON or YAML, that replaces those there are; the draft, if absent
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    whom: For,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

/// Sets values.
///
/// # Errors
/// The client's; what the schema or the gate refuses.
pub async fn set(global: &Global, args: Set) -> anyhow::Result<Exit> {
    let client = global.client()?;
    // A value for one that is not there reaches nobody, which a mistyped switch must not hide.
    for environment in &args.whom.environments {
        client.get(Kind::Environment, environment).await?;
    }
    let edit = |object: &mut Object<Config>| {
        let mut content = said(&object.spec, args.how.draft);
        for pair in &args.values {
            let (key, value) = assignment(pair, &object.spec)?;
            place(&mut content, &args.whom, |values| assign(values, &key, value));
        }
        for warning in hidden(&content, &args) {
            output::say(&warning);
        }
        write(object, content, &args.how);
        Ok(())
    };
    let (before, outcome) = store(&client, &args.name, &args.over, edit).await?;
    tell_steps(&before, &args.how);
    change::conclude(&client, &args.name.subject(), &outcome, Some(&before), args.wait).await
}

/// Makes the draft live, or the values of a file.
///
/// # Errors
/// The client's; a file that is no object of values; no draft.
pub async fn push(global: &Global, args: Push) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let file = args.file.as_ref().map(read).transpose()?;
    let edit = |object: &mut Object<Config>| {
        let Some(values) = &file else {
            let draft = object.spec.draft.take().ok_or_else(|| {
                let name = object.name();
                Failure::failed(format!(
                    "config/{name} has no draft; give -f FILE, or draft one with \
                     atoll config set {name} KEY=VALUE --draft"
                ))
            })?;
            write(object, Content { values: draft.values, overlays: draft.overlays }, &args.how);
            return Ok(());
        };
        let mut content = said(&object.spec, args.how.draft);
        place(&mut content, &args.whom, |there| there.clone_from(values));
        write(object, content, &args.how);
        Ok(())
    };
    let (before, outcome) = store(&client, &args.name, &args.over, edit).await?;
    tell_steps(&before, &args.how);
    change::conclude(&client, &args.name.subject(), &outcome, Some(&before), args.wait).await
}

/// Whoever is in a hurry is told that it is not for all at once.
fn tell_steps(before: &Any, how: &How) {
    let steps = before.of::<Config>().and_then(|config| config.spec.gray.as_ref());
    if let Some(gray) = steps.filter(|_| !how.draft && !how.now && how.gray.is_none()) {
        let steps = gray.steps.len();
        output::say(&format!("note: it goes out gray, in steps ({steps}); --now gives it to all"));
    }
}

/// Reads, edits and writes; again, where somebody else wrote in between.
async fn store(
    client: &Client,
    name: &Name,
    over: &Override,
    edit: impl Fn(&mut Object<Config>) -> Result<(), Failure>,
) -> anyhow::Result<(Any, Outcome)> {
    let mut attempt = 1;
    loop {
        let before = name.read(client).await?;
        let mut object = before.clone();
        edit(&mut object)?;
        let mut any = Any::Config(object.into());
        change::annotate(&mut any, over);
        match client.put(&any, false).await {
            Err(ClientError::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
            Ok(outcome) => {
                change::judge(&outcome)?;
                return Ok((Any::Config(before.into()), outcome));
            }
        }
    }
}

/// What is edited: the draft, where one is being written, or what is wanted.
fn said(spec: &Config, draft: bool) -> Content {
    match spec.draft.as_ref().filter(|_| draft) {
        Some(draft) => Content { values: draft.values.clone(), overlays: draft.overlays.clone() },
        None => Content { values: spec.values.clone(), overlays: spec.overlays.clone() },
    }
}

/// Edits the values, or those of the overlay for these, which is made where there is none.
fn place(content: &mut Content, whom: &For, edit: impl FnOnce(&mut Values)) {
    content.edit_for(&whom.environments, &whom.labels.clone().unwrap_or_default(), edit);
}

/// Puts edited content where it belongs.
fn write(object: &mut Object<Config>, content: Content, how: &How) {
    let generation = object.meta.generation;
    let spec = &mut object.spec;
    if how.draft {
        let note = how.note.clone().or(spec.draft.take().map(|draft| draft.note));
        let note = note.unwrap_or_default();
        spec.draft = Some(Draft { values: content.values, overlays: content.overlays, note });
        return;
    }
    (spec.values, spec.overlays) = (content.values, content.overlays);
    (spec.promoted, spec.aborted) = (None, None);
    if let Some(portion) = how.gray {
        let step = GrayStep { instances: Some(portion), soak: how.soak, ..GrayStep::default() };
        let guard = spec.gray.take().map(|gray| gray.guard).unwrap_or_default();
        spec.gray = Some(Gray { steps: vec![step], guard });
    }
    if how.now && spec.gray.is_some() {
        // The version is the generation this edit makes; another edit in between is a conflict.
        spec.promoted = Some(generation + 1);
    }
}

/// One `KEY=VALUE` or `KEY-`.
fn assignment(pair: &str, spec: &Config) -> Result<(String, Value), Failure> {
    let Some((key, text)) = pair.split_once('=') else {
        return match pair.strip_suffix('-') {
            Some(key) if !key.is_empty() => Ok((key.to_owned(), Value::Null)),
            _ => Err(Failure::usage(format!("{pair:?}: write KEY=VALUE, or KEY- to take it away"))),
        };
    };
    let is_text = spec.switches.get(key).is_some_and(|s| s.of == SwitchType::String)
        || spec.schema.as_ref().is_some_and(|s| s["properties"][key]["type"] == "string");
    let value = match serde_json::from_str(text) {
        Ok(value) if !is_text => value,
        _ => Value::from(text),
    };
    Ok((key.to_owned(), value))
}

/// Sets one value; dots lead into objects, unless there is such a key.
fn assign(values: &mut Values, key: &str, value: Value) {
    if value.is_null() {
        values.remove(key);
        return;
    }
    let nested = match key.split_once('.') {
        Some((first, rest)) if !values.contains_key(key) => {
            let inner = rest.rsplit('.').fold(value, |inner, part| {
                Value::Object([(part.to_owned(), inner)].into_iter().collect())
            });
            (first.to_owned(), inner)
        }
        _ => (key.to_owned(), value),
    };
    // As an overlay for everybody, it is merged by the same rules.
    let over = Overlay { values: [nested].into(), ..Overlay::default() };
    let content = Content { values: std::mem::take(values), overlays: vec![over] };
    *values = content.for_labels(&Labels::new());
}

/// Values that are set for all and yet say something else for some.
fn hidden(content: &Content, args: &Set) -> Vec<String> {
    let whom = &args.whom;
    if !whom.environments.is_empty() || whom.labels.is_some() {
        return Vec::new();
    }
    let keys = args.values.iter().filter_map(|pair| pair.split_once('=').map(|(key, _)| key));
    let mut said = Vec::new();
    for key in keys {
        for overlay in content.overlays.iter().filter(|o| o.values.contains_key(key)) {
            let mut to: Vec<String> = overlay.environments.clone();
            to.extend(Some(overlay.labels.to_string()).filter(|labels| !labels.is_empty()));
            let (to, value) = (to.join(" "), &overlay.values[key]);
            said.push(format!("note: {key} stays {value} for {to}, where an overlay says so"));
        }
    }
    said
}

fn read(path: &PathBuf) -> Result<Values, Failure> {
    let wrong = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|e| wrong(format!("no object of values: {e}")))
}

/// What differs between two contents, field by field.
pub fn differences(from: &Content, to: &Content) -> Vec<FieldDiff> {
    let object = |content: &Content| {
        let spec = Config {
            values: content.values.clone(),
            overlays: content.overlays.clone(),
            ..Config::default()
        };
        Any::Config(Object::new("x", spec).into())
    };
    let mut fields = atoll_model::api::diff(Some(&object(from)), Some(&object(to)));
    for field in &mut fields {
        field.path = field.path.trim_start_matches("spec.").to_owned();
    }
    fields
}

/// One difference in a line.
pub fn change_in_words(field: &FieldDiff) -> String {
    change_of(field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whom(environments: &[&str]) -> For {
        let environments = environments.iter().map(|e| (*e).to_owned()).collect();
        For { environments, labels: None }
    }

    #[test]
    fn values_are_set_where_they_are_asked_for() {
        let spec: Config = serde_json::from_value(json!({
            "switches": { "theme": { "type": "string", "default": "a", "owner": "team/web" } },
            "values": { "pool": { "size": 1, "idle": 2 } },
        }))
        .unwrap();
        let mut content = said(&spec, false);
        for (pair, env) in [
            ("pool.size=10", &[][..]),
            ("checkout=false", &["prod"]),
            ("theme=1", &["prod"]),
            ("checkout-", &["prod"]),
            ("name=plain text", &[]),
        ] {
            let (key, value) = assignment(pair, &spec).unwrap();
            place(&mut content, &whom(env), |values| assign(values, &key, value));
        }
        let wanted = json!({
            "values": { "name": "plain text", "pool": { "size": 10, "idle": 2 } },
            "overlays": [{ "environments": ["prod"], "values": { "theme": "1" } }],
        });
        assert_eq!(json!(content), wanted);
        place(&mut content, &whom(&["prod"]), |values| assign(values, "theme", Value::Null));
        assert_eq!(content.overlays, [], "an overlay that says nothing is none");
        assert!(assignment("checkout", &spec).is_err());
    }
}
