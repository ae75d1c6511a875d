//! How far a deployment is whose rollout was given up: there is where it runs another release. Not
//! how it gets there, nor what comes after.

use atoll_model::deployment::Phase;
use atoll_model::{Deployment, Kind, Object};

use super::{State, pending, progress};
use crate::subject::Subject;

/// How far it is; `from` is the release that was given up.
pub(super) fn back(object: &Object<Deployment>, generation: u64, from: &str) -> State {
    let status = &object.status;
    let id = Subject { kind: Kind::Deployment, name: object.name().to_owned() };
    if status.observed_generation < generation.max(object.meta.generation) {
        let text = format!("{id} waits for the server to act on the change");
        return pending(id, text);
    }
    let on = status.release.as_deref().unwrap_or("no release");
    match status.phase {
        Phase::Failed => {
            let text = format!("{id} failed on its way back from {from}, and is on {on}");
            State::Failed(text, status.reasons.clone())
        }
        Phase::Settled if on == from => {
            let text = format!("{id} is settled on {from}: it was through before it was given up");
            State::Failed(text, Vec::new())
        }
        Phase::Settled => State::Settled(format!(
            "{id} is back from {from}: {} of {} ready on {on}",
            status.ready,
            object.wanted()
        )),
        _ => pending(id, progress(object, None)),
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::Any;

    use super::*;

    #[test]
    fn being_taken_back_is_what_was_asked_for() {
        let at = |status: &str| {
            let text = format!(
                r#"{{"apiVersion":"atoll/v1","kind":"Deployment",
                "metadata":{{"name":"shop.prod","generation":3}},
                "spec":{{"application":"shop","environment":"prod","aborted":"shop-2"}},
                "status":{status}}}"#
            );
            let any = Any::from_json(&text).unwrap();
            back(any.of::<Deployment>().unwrap(), 3, "shop-2")
        };
        let waits = |state: &State| matches!(state, State::Pending { .. });
        let early = r#"{"observedGeneration":2,"phase":"settled","release":"shop-1"}"#;
        assert!(waits(&at(early)), "it does not know yet");
        let going = r#"{"observedGeneration":3,"phase":"rollingBack","release":"shop-1"}"#;
        assert!(waits(&at(going)));
        let done = r#"{"observedGeneration":3,"phase":"settled","release":"shop-1","ready":1,
            "reasons":[{"code":"rolled-back","message":"shop-2 was taken back to shop-1"}]}"#;
        let State::Settled(text) = at(done) else { panic!("{:?}", at(done)) };
        assert!(text.contains("is back from shop-2"), "{text}");
        let through = r#"{"observedGeneration":3,"phase":"settled","release":"shop-2"}"#;
        assert!(at(through).failed());
        let paused = r#"{"observedGeneration":3,"phase":"paused","release":"shop-1"}"#;
        assert!(waits(&at(paused)));
    }
}
