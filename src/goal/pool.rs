//! How far a pool of hosts is.

use atoll_model::pool::{Pool, PoolPhase};
use atoll_model::{Kind, Snapshot};

use super::{State, because, pending};
use crate::columns::word;
use crate::subject::Subject;

pub(super) fn pool(world: &Snapshot, name: &str, generation: u64) -> State {
    let id = Subject { kind: Kind::Pool, name: name.to_owned() };
    let seen = world.get::<Pool>(name).filter(|o| o.status.observed_generation >= generation);
    let Some(object) = seen else {
        let text = format!("{id} waits for the server to act on the change");
        return pending(id, text);
    };
    let status = &object.status;
    let counts = &status.counts;
    let how = format!(
        "{} of {} ready, {} coming, {} going",
        counts.ready,
        status.wanted,
        counts.creating + counts.joining,
        counts.draining + counts.deleting
    );
    match status.phase {
        PoolPhase::Settled => State::Settled(format!("{id} is settled: {how}")),
        phase => {
            let because = because(&status.reasons, "; ");
            pending(id.clone(), format!("{id} {}: {how}{because}", word(&phase)))
        }
    }
}
