//! Lines of the decision centre: its policies and what was decided.

use atoll_model::centre::decision::{DecisionPhase, Effect, Helped};
use atoll_model::centre::{ActMode, PolicyPhase};
use atoll_model::{Decision, Object, Policy, Timestamp};

use super::{Cell, aged, cell, name, reason, word};
use crate::clock::short;
use crate::terminal::Tone;

/// With its record.
pub(super) fn policy(o: &Object<Policy>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        PolicyPhase::Quiet => Tone::Good,
        PolicyPhase::Voting | PolicyPhase::GivingBack | PolicyPhase::Damped => Tone::Busy,
        PolicyPhase::Blind => Tone::Plain,
        PolicyPhase::Off => Tone::Dim,
    };
    let record = &status.record;
    let more = if spec.modes.is_empty() { "" } else { "*" };
    // Without the record that is required of it, it asks where it might act.
    let unproven = spec.requires.as_ref().is_some_and(|asked| !record.meets(asked));
    let asks = if unproven && spec.mode == ActMode::Act { " (asks yet)" } else { "" };
    let votes = status.standing.iter().filter(|one| one.blind.is_none()).count();
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("MODE", format!("{}{more}{asks}", word(&spec.mode))).tone(mode(spec.mode)),
        cell("ACTION", spec.action.word()),
        cell("OF", spec.subjects.kind.lower()),
        cell("FOR", spec.hold.to_string()),
        cell("VOTES", votes.to_string()),
        cell("DECISIONS", record.decisions.to_string()),
        cell("ACTED", record.acted.to_string()),
        cell("RIGHT", format!("{}/{}", record.right, record.right + record.wrong)),
        cell("HELPED", format!("{}/{}", record.helped, record.helped + record.did_not)),
        cell("UNKNOWN", record.unknown.to_string()).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

fn mode(mode: ActMode) -> Tone {
    match mode {
        ActMode::Act => Tone::Strong,
        ActMode::Observe => Tone::Dim,
        ActMode::Advise | ActMode::Approve => Tone::Plain,
    }
}

/// With what came of it.
pub(super) fn decision(o: &Object<Decision>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let over = status.ended_at.is_some();
    let tone = match status.phase {
        DecisionPhase::Escalated => Tone::Bad,
        DecisionPhase::Waiting | DecisionPhase::Acting => Tone::Busy,
        _ if over => Tone::Dim,
        _ => Tone::Plain,
    };
    let said = o.spec.feedback.as_ref().map(|f| if f.right { "right" } else { "wrong" });
    let phase = word(&status.phase);
    let phase = match over && status.phase != DecisionPhase::Measured {
        true => format!("{phase}, over"),
        false => phase,
    };
    vec![
        name(&o.meta),
        cell("PHASE", phase).tone(tone),
        cell("ACTION", status.wanted().map_or("", |action| action.word())),
        cell("POLICY", status.policy.clone()),
        cell("MODE", word(&status.mode)),
        effect(status.effect.as_ref()),
        cell("SAID", said.unwrap_or_default()),
        cell("ACTED", status.acted_at.map(|at| short(now.since(at))).unwrap_or_default()).wide(),
        cell("CHANGES", status.changes.join("; ")).wide(),
        aged(&o.meta, now),
        cell("BECAUSE", because(o)),
    ]
}

/// What is against it, or else what speaks for it.
fn because(o: &Object<Decision>) -> String {
    let against = o.status.reasons.first().map(|reason| reason.message.clone());
    let vote = o.status.votes.first().map(|vote| vote.message.clone());
    let acted = o.status.acted_at.is_some();
    let text = if acted { vote.or(against) } else { against.or(vote) };
    text.unwrap_or_default().replace('\n', " ")
}

fn effect(effect: Option<&Effect>) -> Cell {
    let (word, tone) = match effect.map(|effect| effect.verdict) {
        None => ("", Tone::Plain),
        Some(Helped::Helped) => ("helped", Tone::Good),
        Some(Helped::DidNot) => ("did not help", Tone::Bad),
        Some(Helped::Unknown) => ("not known", Tone::Busy),
    };
    cell("EFFECT", word).tone(tone)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_vote_of_was_followed_shows_what_is_voted_for() {
        let vote = |policy: &str, action: &str| {
            json!({ "policy": policy, "action": action, "since": Timestamp(0), "when": "true",
                "message": "m", "notFollowed": "it has to hold longer" })
        };
        let votes = [vote("other", "drain"), vote("own", "rollBack")];
        let shown = |status: serde_json::Value| {
            let spec = json!({ "subject": "deployment/shop.prod" });
            let spec: Decision = serde_json::from_value(spec).unwrap();
            let mut object = Object::new("deployment.shop.prod.1", spec);
            object.status = serde_json::from_value(status).unwrap();
            let cells = decision(&object, Timestamp(0));
            cells.into_iter().find(|cell| cell.title == "ACTION").unwrap().text
        };
        assert_eq!(shown(json!({ "policy": "own", "votes": votes })), "roll back");
        assert_eq!(
            shown(json!({ "policy": "own", "votes": votes, "action": "restart" })),
            "restart"
        );
        assert_eq!(shown(json!({ "policy": "own" })), "");
    }
}
