//! What an alert is about and who answers for it. Not what caused it, which is `suspect.rs`.

use std::collections::BTreeMap;

use atoll_model::{Kind, Snapshot};

use crate::permission;

/// Labels that may name the object an alert is about, the closest first. Series of a host itself
/// have its name as their `instance`, which is all that is left of it in a sum by `instance`.
const NAMING: [(&str, Kind); 6] = [
    ("instance", Kind::Instance),
    ("deployment", Kind::Deployment),
    ("host", Kind::Host),
    ("instance", Kind::Host),
    ("monitor", Kind::Monitor),
    ("application", Kind::Application),
];

/// The object an alert with these labels is about, as `kind/name`.
pub(super) fn subject(world: &Snapshot, labels: &BTreeMap<String, String>) -> Option<String> {
    NAMING.iter().find_map(|(label, kind)| {
        let name = labels.get(*label)?;
        world.find(*kind, name).map(|any| any.id())
    })
}

/// The kind and name of a subject.
pub(super) fn parts(subject: &str) -> Option<(Kind, &str)> {
    let (kind, name) = subject.split_once('/')?;
    Some((Kind::parse(kind)?, name))
}

/// Whether the object is still there.
pub(super) fn exists(world: &Snapshot, subject: &str) -> bool {
    parts(subject).is_some_and(|(kind, name)| world.find(kind, name).is_some())
}

/// Who answers for the object: as permissions see it, by what it is a part of and by its label.
pub(super) fn owner(world: &Snapshot, subject: &str) -> Option<String> {
    let (kind, name) = parts(subject)?;
    permission::owner(world, &world.find(kind, name)?)
}
