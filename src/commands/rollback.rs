//! `atoll rollback`: takes an object back to an earlier revision. Not the rollback of a failed
//! release, which the platform does by itself.

use atoll_client::Client;
use atoll_model::Any;
use atoll_model::api::{HistoryEntry, Outcome};

use crate::args::{Global, Override, Wait};
use crate::change;
use crate::commands::plan;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::subject::Subject;

/// What `atoll rollback` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// KIND/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// The revision to go back to; to the target before the present one, if absent
    #[arg(long, value_name = "REV")]
    to: Option<u64>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

impl Args {
    /// To take this object back.
    pub fn of(what: Subject, to: Option<u64>, wait: Wait, over: Override) -> Args {
        Args { what, to, wait, over }
    }
}

/// Goes back, and waits where that is asked for.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let before = client.get(args.what.kind, &args.what.name).await?;
    let outcome = match args.over.annotations().next() {
        None => client.rollback(args.what.kind, &args.what.name, args.to, false).await?,
        Some(_) => write_back(&client, &args, &before).await?,
    };
    change::judge(&outcome)?;
    changed(&outcome).iter().for_each(|line| output::say(line));
    change::conclude(&client, &args.what, &outcome, Some(&before), args.wait).await
}

/// What it takes back, field by field: `spec.instances: 4 -> 2`.
fn changed(outcome: &Outcome) -> Vec<String> {
    let fields = outcome.writes.iter().flat_map(plan::fields);
    fields.map(plan::change_of).collect()
}

/// Writes the earlier target by hand, so that the override can be noted on it.
async fn write_back(client: &Client, args: &Args, present: &Any) -> anyhow::Result<Outcome> {
    let Subject { kind, name } = &args.what;
    let revision = match args.to {
        Some(revision) => revision,
        None => earlier(&client.history(*kind, name, None).await?.entries).ok_or_else(|| {
            Failure::failed(format!("{} has had no other target; nothing to go back to", args.what))
        })?,
    };
    let mut object = client.at_revision(*kind, name, revision).await?;
    *object.meta_mut() = present.meta().clone();
    change::annotate(&mut object, &args.over);
    Ok(client.put(&object, false).await?)
}

/// The revision of the target before the present one; `entries` are newest first.
fn earlier(entries: &[HistoryEntry]) -> Option<u64> {
    let target = |path: &str| path.starts_with("spec.") || path.starts_with("metadata.labels.");
    let changed = |entry: &HistoryEntry| entry.diff.iter().any(|f| target(&f.path));
    let last = entries.iter().position(|e| e.op == "update" && changed(e))?;
    entries.get(last + 1).map(|before| before.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_before_is_that_before_the_last_change_of_the_target() {
        let entry = |revision: u64, op: &str, path: &str| -> HistoryEntry {
            serde_json::from_str(&format!(
                r#"{{"revision":{revision},"at":"2026-01-01T00:00:00Z","kind":"Zone","name":"a",
                "op":"{op}","actor":"x","intent":"edit","reasons":[],
                "diff":[{{"path":"{path}","to":1}}]}}"#
            ))
            .unwrap()
        };
        let (status, spec) = ("status.phase", "spec.instances");
        let entries = [
            entry(9, "update", status),
            entry(7, "update", spec),
            entry(5, "update", status),
            entry(3, "create", spec),
        ];
        assert_eq!(earlier(&entries), Some(5));
        assert_eq!(earlier(&entries[3..]), None);
    }
    #[test]
    fn what_is_taken_back_is_told_field_by_field() {
        let outcome: Outcome = serde_json::from_str(
            r#"{"verdict":"commit","reasons":[],"writes":[
                {"op":"update","kind":"Deployment","name":"web.lab","by":"you","diff":[
                    {"path":"spec.instances","from":4,"to":2},
                    {"path":"status.phase","from":"settled","to":"rolling"}]}]}"#,
        )
        .unwrap();
        assert_eq!(changed(&outcome), ["spec.instances: 4 -> 2"]);
    }
}
