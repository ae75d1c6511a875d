//! What an edit of a pool may not say, and which hosts it concerns.

use std::collections::BTreeMap;

use atoll_model::pool::Pool;
use atoll_model::pool::provider::Provider;
use atoll_model::{Any, Object, Reason, many};

/// What people may not change of a pool: who makes its machines, while there are some, and a number
/// that follows what runs.
pub(crate) fn not_to_be_said(old: &Object<Pool>, new: &Object<Pool>) -> Option<Reason> {
    let id = format!("pool/{}", new.name());
    if old.spec.provider.word() != new.spec.provider.word() && !old.status.machines.is_empty() {
        let message = format!("{id} has machines, which another provider knows nothing of");
        let hint = "make another pool, and let this one go: atoll scale, then atoll delete";
        return Some(Reason::new("immutable", message).hint(hint));
    }
    let follows = old.spec.acts() && new.spec.acts();
    (follows && old.spec.count != new.spec.count).then(|| {
        let count = old.spec.count;
        let hint =
            format!("leave count at {count}; change min and max, or write autoscale.mode: observe");
        let message =
            format!("the number of hosts of {id} follows what runs on them, and not count");
        Reason::new("autoscaled", message).hint(hint)
    })
}

/// That what is changed of a pool holds for machines that are made from then on, and for none of
/// those there are.
pub(crate) fn for_new_only(stored: Option<&Any>, any: &Any) -> Option<Reason> {
    let (Some(Any::Pool(old)), Any::Pool(new)) = (stored, any) else { return None };
    let there = old.status.machines.len();
    if there == 0 || matches!(new.spec.provider, Provider::Static(_)) {
        return None;
    }
    let what = match (old.spec.zone != new.spec.zone, old.spec.labels != new.spec.labels) {
        (true, true) => "zone and labels hold",
        (true, false) => "the zone holds",
        (false, true) => "labels hold",
        (false, false) => return None,
    };
    let keep = if there == 1 { "keeps its own" } else { "keep theirs" };
    let message = format!(
        "pool/{}: {what} for machines made from now on; {} {keep}",
        new.name(),
        many(there, "machine")
    );
    let hint = "one that is deleted is made anew: atoll delete host/NAME";
    Some(Reason::new("new-only", message).hint(hint))
}

/// The hosts an edit or a turn of a pool begins or ceases to empty or to reserve.
pub(crate) fn hosts_changed(old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let known = |any: Option<&Any>| -> BTreeMap<String, (bool, bool)> {
        let Some(Any::Pool(pool)) = any else { return BTreeMap::new() };
        let machines = &pool.status.machines;
        let mut hosts: BTreeMap<String, (bool, bool)> =
            machines.iter().map(|(name, m)| (name.clone(), (m.phase.stays(), m.closed))).collect();
        if let Provider::Static(listed) = &pool.spec.provider {
            let spare = listed.hosts.iter().filter(|name| !machines.contains_key(*name));
            hosts.extend(spare.map(|name| (name.clone(), (false, true))));
        }
        hosts
    };
    let (old, new) = (known(old), known(new));
    let all = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let how = |of: &BTreeMap<String, (bool, bool)>, name: &String| {
        of.get(name).copied().unwrap_or((true, false))
    };
    all.filter(|name| how(&old, name) != how(&new, name)).cloned().collect()
}
