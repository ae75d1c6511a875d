//! How far a configuration is on its way to the instances.

use atoll_model::config::ConfigPhase;
use atoll_model::{Config, Kind, Object, Snapshot};

use super::{State, because, pending};
use crate::subject::Subject;

pub(super) fn config(world: &Snapshot, name: &str, generation: u64) -> State {
    let id = Subject { kind: Kind::Config, name: name.to_owned() };
    let seen = world.get::<Config>(name).filter(|object| {
        object.meta.generation >= generation
            && object.status.observed_generation >= object.meta.generation
    });
    let Some(object) = seen else {
        let text = format!("{id} waits for the server to act on the change");
        return pending(id, text);
    };
    let status = &object.status;
    let taken = format!("{} of {}", status.acknowledged, status.instances);
    if let Some(failed) = status.failed.as_ref().filter(|f| f.content == object.spec.content()) {
        let settled = status.phase == ConfigPhase::Settled;
        if settled {
            let (version, live) = (failed.version, status.version);
            let text = format!("{id} was taken back from version {version} to {live}");
            return State::Failed(text, vec![failed.reason.clone()]);
        }
    }
    match status.phase {
        ConfigPhase::Settled => State::Settled(format!(
            "{id} is settled: version {} taken up by {taken}",
            status.version
        )),
        ConfigPhase::Paused => {
            let text = format!("{id} has stopped on its way: {}", gray(object));
            State::Failed(text, status.reasons.clone())
        }
        ConfigPhase::Gray => {
            let text = format!("{id} {}{}", gray(object), because(&status.reasons, "; "));
            pending(id, text)
        }
        ConfigPhase::Waiting | ConfigPhase::Delivering => {
            let first = status.laggards.first();
            let behind = first.map(|l| format!("; {}: {}", l.instance, l.why));
            let behind = behind.unwrap_or_default();
            let version = status.version;
            pending(id.clone(), format!("{id}: version {version} taken up by {taken}{behind}"))
        }
    }
}

fn gray(object: &Object<Config>) -> String {
    object.status.gray.as_ref().map_or_else(String::new, |gray| {
        format!(
            "version {} on {} of {} instances, step {}",
            gray.version,
            gray.instances.len(),
            gray.affected,
            gray.step + 1
        )
    })
}
