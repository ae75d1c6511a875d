//! `atoll label`: sets labels of an object (`k=v`) or removes them (`k-`).

use std::collections::BTreeMap;

use atoll_model::name;
use serde_json::{Map, Value, json};

use crate::args::{Global, Override};
use crate::change;
use crate::exit::{Exit, Failure};
use crate::subject::Subject;

/// What `atoll label` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// KIND/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// KEY=VALUE to set a label, KEY- to remove it
    #[arg(required = true, value_name = "LABEL")]
    labels: Vec<String>,
    #[command(flatten)]
    over: Override,
}

/// Sets and removes.
///
/// # Errors
/// A label that is none; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let mut patch = json!({ "metadata": { "labels": patch(&args.labels)? } });
    for (name, reason) in args.over.annotations() {
        patch["metadata"]["annotations"][name] = json!(reason);
    }
    let client = global.client()?;
    let outcome = client.patch(args.what.kind, &args.what.name, patch, None, false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[args.what])?;
    Ok(Exit::Done)
}

fn patch(labels: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut patch = Map::new();
    for label in labels {
        let (key, value) = match (label.split_once('='), label.strip_suffix('-')) {
            (Some((key, value)), _) => (key, Some(value)),
            (None, Some(key)) => (key, None),
            (None, None) => {
                let message =
                    format!("{label:?}: write KEY=VALUE to set a label, KEY- to remove it");
                return Err(Failure::usage(message));
            }
        };
        let one = BTreeMap::from([(key.to_owned(), value.unwrap_or_default().to_owned())]);
        name::check_labels(&one).map_err(|e| Failure::usage(e.to_string()))?;
        patch.insert(key.to_owned(), value.map_or(Value::Null, Value::from));
    }
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_removed() {
        let labels = ["a=b".to_owned(), "c-".to_owned(), "d=".to_owned()];
        assert_eq!(json!(patch(&labels).unwrap()), json!({ "a": "b", "c": null, "d": "" }));
        for bad in ["a", "=b", "a b=c", "-"] {
            assert!(patch(&[bad.to_owned()]).is_err(), "{bad:?} was taken");
        }
    }
}
