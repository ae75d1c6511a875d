//! `atoll edit`: an object in an editor, as a manifest. What is wrong comes back into the editor;
//! what others changed meanwhile is merged where nobody touched the same field.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use atoll_client::ClientError;
use atoll_model::{Any, manifest};
use serde_json::Value;

use crate::args::{Global, Override, Wait};
use crate::caret;
use crate::change;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::subject::Subject;
use crate::terminal::Paint;

/// What `atoll edit` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// KIND/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

/// Edits until it is stored or given up.
///
/// # Errors
/// The client's; no editor; an edit that was given up.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let before = client.get(args.what.kind, &args.what.name).await?;
    let mut base = before.clone();
    let (mut text, mut round) = (document(&base)?, Round::First);
    loop {
        let edited = match ask(&args.what, &text, &round)? {
            Edited::Text(edited) => edited,
            Edited::Unchanged => {
                output::say("nothing was changed");
                return Ok(Exit::Done);
            }
            Edited::GivenUp(path) => {
                let message = format!("given up; the edit is kept in {}", path.display());
                return Err(Failure::usage(message).into());
            }
        };
        let mut object = match read(&args.what, &edited) {
            Ok(object) => object,
            Err(wrong) => {
                (text, round) = (edited, Round::Wrong(wrong));
                continue;
            }
        };
        keep(&mut object, &base);
        if object == base {
            output::say("nothing was changed");
            return Ok(Exit::Done);
        }
        let mut sent = object.clone();
        change::annotate(&mut sent, &args.over);
        match client.put(&sent, false).await {
            Ok(outcome) => {
                change::judge(&outcome)?;
                let before = Some(&before);
                return change::conclude(&client, &args.what, &outcome, before, args.wait).await;
            }
            Err(ClientError::Invalid(problem)) => {
                let wrong = output::problem(&problem.title, &problem.reasons, Paint::OFF);
                (text, round) = (edited, Round::Wrong(wrong));
            }
            Err(ClientError::Conflict(_)) => {
                let theirs = client.get(args.what.kind, &args.what.name).await?;
                let (merged, clashes) = rebase(&base, &object, &theirs)?;
                (text, round, base) = (document(&merged)?, Round::Merged(clashes), theirs);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Why the editor is opened.
enum Round {
    First,
    /// What was edited is wrong; how.
    Wrong(String),
    /// Somebody else changed the object meanwhile; the fields both sides changed.
    Merged(Vec<String>),
}

/// What came out of the editor.
enum Edited {
    Text(String),
    Unchanged,
    /// It was wrong before and was left as it was.
    GivenUp(PathBuf),
}

/// The manifest of an object: without its status, and without what the server sets.
fn document(any: &Any) -> anyhow::Result<String> {
    let mut any = any.clone();
    let meta = any.meta_mut();
    (meta.generation, meta.revision, meta.created_at) = (0, 0, None);
    let text = output::yaml(&any)?;
    // The status comes last, and nothing else begins in the first column with its name.
    let end = text.find("\nstatus:").map_or(text.len(), |at| at + 1);
    Ok(text[..end].to_owned())
}

/// Opens the editor on a text with a few words above it.
fn ask(what: &Subject, text: &str, round: &Round) -> anyhow::Result<Edited> {
    let mut file = tempfile::Builder::new()
        .prefix(&format!("atoll-{}-", what.name))
        .suffix(".yaml")
        .tempfile()
        .context("making a file to edit")?;
    let head = head(what, round);
    file.write_all(format!("{head}{text}").as_bytes()).context("writing the file to edit")?;
    file.flush().context("writing the file to edit")?;
    open(file.path())?;
    let edited = std::fs::read_to_string(file.path()).context("reading the edited file")?;
    // What stands above is for the person only.
    let body = edited.strip_prefix(&head).unwrap_or(&edited);
    Ok(match round {
        _ if body.trim().is_empty() => Edited::Unchanged,
        Round::First if body == text => Edited::Unchanged,
        Round::Wrong(_) if body == text => {
            Edited::GivenUp(file.keep().context("keeping the edited file")?.1)
        }
        _ => Edited::Text(body.to_owned()),
    })
}

fn head(what: &Subject, round: &Round) -> String {
    let mut head = format!("# {what}: save and leave to store it; leave it empty to cancel.\n");
    let notes = match round {
        Round::First => String::new(),
        Round::Wrong(wrong) => format!("This is wrong; left as it is, it is given up.\n{wrong}"),
        Round::Merged(clashes) => {
            let clash = |path: &String| format!("\n{path}: changed on both sides; yours is shown");
            let clashes: String = clashes.iter().map(clash).collect();
            format!("Somebody else changed it meanwhile; look again.{clashes}")
        }
    };
    for line in notes.lines() {
        head.push_str(&format!("# {line}\n"));
    }
    head
}

/// Runs `$VISUAL` or `$EDITOR`, which may carry arguments.
fn open(path: &Path) -> anyhow::Result<()> {
    let set = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(path)
        .status()
        .with_context(|| format!("starting the editor {editor:?}; set EDITOR"))?;
    if !status.success() {
        let message = format!("the editor {editor:?} ended with {status}; nothing was changed");
        return Err(Failure::failed(message).into());
    }
    Ok(())
}

/// Reads what was edited: one object, and still the same one.
fn read(what: &Subject, text: &str) -> Result<Any, String> {
    let objects = manifest::read("edited", text.as_bytes()).map_err(|errors| {
        let sources = BTreeMap::from([("edited".to_owned(), text.to_owned())]);
        caret::render(&errors, &sources, Paint::OFF)
    })?;
    match <[Any; 1]>::try_from(objects) {
        Ok([any]) if any.kind() == what.kind && any.name() == what.name => Ok(any),
        Ok([any]) => Err(format!("this was {what} and is now {}; a name is for life", any.id())),
        Err(_) => Err(format!("this was {what} alone; keep it so")),
    }
}

/// Gives an edited object back what the manifest does not show.
fn keep(object: &mut Any, base: &Any) {
    let status = object.with_status_of(base);
    *object = status;
    let (meta, old) = (object.meta_mut(), base.meta());
    meta.generation = old.generation;
    meta.revision = old.revision;
    meta.created_at = old.created_at;
    meta.deleted_at = old.deleted_at;
}

/// The edit brought onto the object as it is now, and the fields both sides changed; there the
/// edit wins, for the person to look at.
fn rebase(base: &Any, edited: &Any, theirs: &Any) -> anyhow::Result<(Any, Vec<String>)> {
    let (base, edited) = (base.to_value(), edited.to_value());
    let (mut value, mut clashes) = (theirs.to_value(), Vec::new());
    for part in ["metadata", "spec"] {
        merge(part, &base[part], &edited[part], &mut value[part], &mut clashes);
    }
    let mut merged = Any::from_value(value).map_err(|e| Failure::failed(e.to_string()))?;
    keep(&mut merged, theirs);
    Ok((merged, clashes))
}

/// Carries the changes from `base` to `mine` over into `theirs`, field by field.
fn merge(path: &str, base: &Value, mine: &Value, theirs: &mut Value, clashes: &mut Vec<String>) {
    if base == mine || mine == theirs {
        return;
    }
    if let (Value::Object(base), Value::Object(mine), Value::Object(theirs)) =
        (base, mine, &mut *theirs)
    {
        let keys: BTreeSet<&String> = base.keys().chain(mine.keys()).collect();
        for key in keys {
            let none = Value::Null;
            let (was, is) = (base.get(key).unwrap_or(&none), mine.get(key).unwrap_or(&none));
            let mut field = theirs.remove(key).unwrap_or(Value::Null);
            merge(&format!("{path}.{key}"), was, is, &mut field, clashes);
            if !field.is_null() {
                theirs.insert(key.clone(), field);
            }
        }
        return;
    }
    if base != theirs {
        clashes.push(path.to_owned());
    }
    *theirs = mine.clone();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Any {
        Any::from_json(
            r#"{"apiVersion":"atoll/v1","kind":"Deployment","metadata":{"name":"shop.prod",
            "generation":3,"revision":12,"createdAt":"2026-01-01T00:00:00Z"},
            "spec":{"application":"shop","environment":"prod","instances":3},
            "status":{"phase":"settled","ready":3}}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_manifest_shows_what_can_be_edited() {
        let wanted = "\
apiVersion: atoll/v1
kind: Deployment
metadata:
  name: shop.prod
spec:
  application: shop
  environment: prod
  instances: 3
";
        assert_eq!(document(&deployment()).unwrap(), wanted);
    }

    #[test]
    fn an_edit_is_of_the_same_object_and_keeps_its_revision() {
        let what: Subject = "deployment/shop.prod".parse().unwrap();
        let text = document(&deployment()).unwrap();
        let mut edited = read(&what, &text.replace("instances: 3", "instances: 5")).unwrap();
        keep(&mut edited, &deployment());
        assert_eq!(edited.meta(), deployment().meta());
        assert_eq!(edited.to_value()["status"], deployment().to_value()["status"]);
        assert_eq!(edited.to_value()["spec"]["instances"], 5);
        let wrong = read(&what, &text.replace("instances", "replicas")).unwrap_err();
        assert!(wrong.contains("edited:8:3:"), "{wrong}");
        let other = text.replace("shop.prod", "shop.test").replace(": prod", ": test");
        assert!(read(&what, &other).unwrap_err().contains("a name is for life"));
    }

    #[test]
    fn changes_of_both_sides_are_merged() {
        let base = json!({ "instances": 3, "paused": false, "labels": { "a": "1", "b": "1" } });
        let mine = json!({ "instances": 5, "paused": false, "labels": { "a": "2" } });
        let mut theirs =
            json!({ "instances": 4, "paused": true, "labels": { "a": "1", "b": "1", "c": "1" } });
        let mut clashes = Vec::new();
        merge("spec", &base, &mine, &mut theirs, &mut clashes);
        let wanted = json!({ "instances": 5, "paused": true, "labels": { "a": "2", "c": "1" } });
        assert_eq!(theirs, wanted);
        assert_eq!(clashes, ["spec.instances"]);
    }
}
