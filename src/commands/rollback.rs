//! `atoll rollback`: takes an object back to an earlier revision. Not the rollback of a failed
//! release, which the platform does by itself.

use atoll_model::api::Outcome;

use crate::args::{Global, Override, Wait};
use crate::change;
use crate::commands::plan;
use crate::exit::Exit;
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
    let said = args.over.annotations().map(|(name, reason)| (name, reason.clone())).collect();
    let outcome = client.rollback(args.what.kind, &args.what.name, args.to, &said, false).await?;
    change::judge(&outcome)?;
    changed(&outcome).iter().for_each(|line| output::say(line));
    change::conclude(&client, &args.what, &outcome, Some(&before), args.wait).await
}

/// What it takes back, field by field: `spec.instances: 4 -> 2`.
fn changed(outcome: &Outcome) -> Vec<String> {
    let fields = outcome.writes.iter().flat_map(plan::fields);
    fields.map(plan::change_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
