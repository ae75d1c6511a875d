//! How far a migration is.

use atoll_model::migration::MigrationPhase;
use atoll_model::{Kind, Migration, Snapshot};

use super::{State, because, pending};
use crate::columns::word;
use crate::subject::Subject;

pub(super) fn migration(world: &Snapshot, name: &str, generation: u64) -> State {
    let id = Subject { kind: Kind::Migration, name: name.to_owned() };
    let seen = world.get::<Migration>(name).filter(|object| object.meta.generation >= generation);
    let Some(object) = seen else {
        let text = format!("{id} waits for the server to act on the change");
        return pending(id, text);
    };
    let status = &object.status;
    let taken_back = status.back >= object.spec.back;
    let how = format!("{}, wave {}", status.how_far(), status.wave);
    match status.phase {
        MigrationPhase::Done if taken_back => State::Settled(format!("{id} is done: {how}")),
        MigrationPhase::Cancelled if taken_back && object.spec.back > 0 => {
            State::Settled(format!("{id} is taken back: {how}"))
        }
        MigrationPhase::Cancelled if taken_back => {
            State::Failed(format!("{id} was ended: {how}"), status.reasons.clone())
        }
        phase => {
            let because = because(&status.reasons, "; ");
            pending(id.clone(), format!("{id} {}: {how}{because}", word(&phase)))
        }
    }
}
