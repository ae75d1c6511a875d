//! What verbs that change something have in common: the patch, the word of the gate, and what is
//! said of what was done.

use std::collections::BTreeMap;

use atoll_client::Client;
use atoll_model::api::{Outcome, VerdictWord};
use atoll_model::{Any, Kind};
use serde_json::{Value, json};

use crate::args::{Override, Wait};
use crate::exit::{Exit, Failure};
use crate::goal::Goal;
use crate::output;
use crate::subject::Subject;
use crate::wait;

/// Patches part of the target of an object, over the revision it was read at where one is given.
///
/// # Errors
/// The client's; a refusal of the gate.
pub async fn patch_spec(
    client: &Client,
    subject: &Subject,
    spec: Value,
    revision: Option<u64>,
    over: &Override,
) -> anyhow::Result<Outcome> {
    patch(client, subject, spec, BTreeMap::new(), revision, over).await
}

/// The same, with annotations besides.
///
/// # Errors
/// The client's; the gate's word, if it is not `commit`.
pub async fn patch(
    client: &Client,
    subject: &Subject,
    spec: Value,
    mut annotations: BTreeMap<&str, String>,
    revision: Option<u64>,
    over: &Override,
) -> anyhow::Result<Outcome> {
    annotations.extend(over.annotations().map(|(name, reason)| (name, reason.clone())));
    let mut patch = json!({ "spec": spec });
    if !annotations.is_empty() {
        patch["metadata"] = json!({ "annotations": annotations });
    }
    let outcome = client.patch(subject.kind, &subject.name, patch, revision, false).await?;
    judge(&outcome)?;
    Ok(outcome)
}

/// Marks an object as one that is written in spite of what would hold it.
pub fn annotate(any: &mut Any, over: &Override) {
    for (name, reason) in over.annotations() {
        any.meta_mut().annotations.insert(name.to_owned(), reason.clone());
    }
}

/// Turns a word of the gate that is not `commit` into a failure.
///
/// # Errors
/// What the gate said.
pub fn judge(outcome: &Outcome) -> Result<(), Failure> {
    let message = match outcome.verdict {
        VerdictWord::Commit => return Ok(()),
        VerdictWord::Hold => "held by the gate: not now",
        VerdictWord::Deny => "denied by the gate",
    };
    let reasons = outcome.reasons.clone();
    Err(Failure { exit: Exit::Refused, message: message.to_owned(), reasons })
}

/// Prints what was done to each object asked about, and to others on the way:
/// `deployment/shop.prod updated`.
///
/// # Errors
/// Standard output's.
pub fn tell(outcome: &Outcome, asked: &[Subject]) -> anyhow::Result<()> {
    output::print(&done(outcome, asked))?;
    if let Some(cost) = &outcome.cost {
        output::say(&format!("cost: {cost}"));
    }
    for reason in &outcome.reasons {
        output::say(&reason.to_string());
    }
    Ok(())
}

fn done(outcome: &Outcome, asked: &[Subject]) -> String {
    let mine = outcome.writes.iter().filter(|w| w.by == "you" || w.by.is_empty());
    let written = mine.map(|write| {
        let word = match write.op.as_str() {
            "create" => "created",
            "update" if deleting(outcome, write.kind, &write.name) => "is being deleted",
            "update" => "updated",
            "delete" => "deleted",
            other => other,
        };
        (Subject { kind: write.kind, name: write.name.clone() }, word)
    });
    let written: Vec<(Subject, &str)> = written.collect();
    let still = outcome.reasons.iter().any(|r| r.code == "deleting");
    let word = if still { "is being deleted" } else { "unchanged" };
    let rest = asked.iter().filter(|subject| !written.iter().any(|(w, _)| w == *subject));
    let rest: Vec<(Subject, &str)> = rest.map(|subject| (subject.clone(), word)).collect();
    written.iter().chain(&rest).map(|(subject, word)| format!("{subject} {word}\n")).collect()
}

fn deleting(outcome: &Outcome, kind: Kind, name: &str) -> bool {
    written(outcome, kind, name).is_some_and(|any| any.meta().deleting())
}

/// The object as it was stored by this change.
pub fn written<'a>(outcome: &'a Outcome, kind: Kind, name: &str) -> Option<&'a Any> {
    outcome.objects.iter().find(|any| any.kind() == kind && any.name() == name)
}

/// Prints what was done to one object and, where asked for, waits until it has settled.
/// `before` is the object as it was, where an old failure is not one of this change.
///
/// # Errors
/// The client's.
pub async fn conclude(
    client: &Client,
    subject: &Subject,
    outcome: &Outcome,
    before: Option<&Any>,
    wait: Wait,
) -> anyhow::Result<Exit> {
    tell(outcome, std::slice::from_ref(subject))?;
    if !wait.wait {
        return Ok(Exit::Done);
    }
    let stored = match written(outcome, subject.kind, &subject.name) {
        Some(any) => any.clone(),
        None => client.get(subject.kind, &subject.name).await?,
    };
    let goals = Goal::of_change(&stored, before).into_iter().collect();
    wait::settle(client, goals, wait.timeout).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> Outcome {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_was_done_is_told_of_ones_own_writes() {
        let outcome = outcome(
            r#"{"verdict":"commit","reasons":[],"writes":[
                {"op":"create","kind":"Zone","name":"a","diff":[],"by":"you"},
                {"op":"update","kind":"Host","name":"h1","diff":[],"by":"you"},
                {"op":"create","kind":"Instance","name":"x.y.0","diff":[],"by":"deployment"}]}"#,
        );
        let asked = ["host/h1".parse().unwrap(), "zone/b".parse().unwrap()];
        assert_eq!(done(&outcome, &asked), "zone/a created\nhost/h1 updated\nzone/b unchanged\n");
    }

    #[test]
    fn the_gate_refuses_with_its_reasons() {
        let held = outcome(
            r#"{"verdict":"hold","writes":[],"reasons":[{"code":"frozen","message":"peak"}]}"#,
        );
        let failure = judge(&held).unwrap_err();
        assert_eq!((failure.exit, failure.reasons.len()), (Exit::Refused, 1));
        assert!(judge(&outcome(r#"{"verdict":"commit","writes":[],"reasons":[]}"#)).is_ok());
    }
}
