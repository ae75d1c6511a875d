//! How writes and objects are printed in the text cases.

use atoll_model::{Any, Instance, Object, Snapshot, Write};
use atoll_plan::explain::in_words;

use super::{instances_of, word};

/// What writes change in the world, in words.
pub fn writes(before: &Snapshot, writes: &[Write]) -> Vec<String> {
    writes.iter().filter_map(|write| in_words(before, write)).collect()
}

/// One object with what is worth knowing of it.
pub fn one(world: &Snapshot, id: &str) -> Result<Vec<String>, String> {
    let (kind, name) = id.split_once('/').unwrap_or(("deployment", id));
    let Some(any) = world.find(kind.parse()?, name) else {
        return Ok(vec![format!("{kind}/{name} is not there")]);
    };
    let mut said = vec![match &any {
        Any::Deployment(d) => {
            let s = &d.status;
            let name = |text: &Option<String>| text.clone().unwrap_or("none".to_owned());
            format!(
                "{name}: {phase}, {ready} of {wanted} ready, {updated} updated, {instances} in \
                 all, release {release}, last good {good}",
                name = d.name(),
                phase = word(&s.phase),
                ready = s.ready,
                wanted = d.wanted(),
                updated = s.updated,
                instances = s.instances,
                release = name(&s.release),
                good = name(&s.last_good),
            )
        }
        Any::Instance(i) => format!(
            "{}: {} on {}, {} of {}",
            i.name(),
            word(&i.status.phase),
            i.spec.host,
            i.status.release.as_deref().unwrap_or("nothing"),
            i.spec.release
        ),
        Any::Host(h) => format!("{}: {}", h.name(), word(&h.status.phase)),
        Any::Application(a) => {
            format!("{}: release {}", a.name(), a.status.release.as_deref().unwrap_or("none"))
        }
        Any::Release(r) => {
            format!("{}: image {}", r.name(), r.pinned_image().unwrap_or("none"))
        }
        other => other.id(),
    }];
    said.extend(any.reasons().iter().map(|reason| format!("  {reason}")));
    Ok(said)
}

/// The instances of a deployment.
pub fn instances(world: &Snapshot, deployment: &str) -> Vec<String> {
    let tell = |i: &Object<Instance>| {
        let going = if i.meta.deleting() { ", going" } else { "" };
        let ports: Vec<String> = i.spec.ports.iter().map(|(k, v)| format!(" {k}={v}")).collect();
        let (name, phase) = (i.name(), word(&i.status.phase));
        format!("{name} {} on {}: {phase}{}{going}", i.spec.release, i.spec.host, ports.concat())
    };
    instances_of(world, deployment).into_iter().map(|i| tell(i)).collect()
}
