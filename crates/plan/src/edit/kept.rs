//! What policies have set in a configuration and have not given back: a manifest that does not know
//! of it leaves it as it is. Whoever has read the configuration, or says another value than there
//! was, takes it over; what is taken back to an earlier revision is not asked.

use std::sync::Arc;

use atoll_model::centre::action::What;
use atoll_model::{Any, Config, Decision, Object, Reason, Selector, Snapshot, Spec};
use serde_json::Value;

use crate::centre::action::{set, whom};
use crate::centre::back;

/// One value that was set by decisions, the latest of which can give it back.
struct Taken<'a> {
    by: &'a Object<Decision>,
    key: &'a str,
    environments: &'a [String],
    labels: &'a Selector,
    is: &'a Value,
}

/// A manifest of a configuration with what policies have set there, and what is to be said of it.
///
/// **Invariant:** a manifest that says what it said before changes nothing, whatever policies have
/// set meanwhile.
pub(super) fn with_taken(world: &Snapshot, any: Any) -> (Any, Vec<Reason>) {
    let Any::Config(new) = &any else { return (any, Vec::new()) };
    let Some(stored) = world.get::<Config>(new.name()) else { return (any, Vec::new()) };
    let is_manifest = new.meta.generation == 0 && new.meta.revision == 0;
    if !is_manifest {
        return (any, Vec::new());
    }
    let (mut kept, mut reasons) = (Object::clone(new), Vec::new());
    for taken in taken(world, stored.name()) {
        let (environments, labels, key) = (taken.environments, taken.labels, taken.key);
        let says = new.spec.value_for(environments, labels, key);
        if says == Some(taken.is) || !was(world, stored.name(), &taken, says) {
            continue;
        }
        let mut with = kept.clone();
        set(&mut with.spec, environments, labels, (key, Some(taken.is)));
        // What the manifest has no room for any more is not kept in its way.
        if with.spec.validate().is_err() && kept.spec.validate().is_ok() {
            continue;
        }
        kept = with;
        reasons.push(told(stored.name(), &taken));
    }
    in_order(&mut kept.spec, &new.spec, &stored.spec);
    if reasons.is_empty() {
        return (any, reasons);
    }
    (Any::Config(Arc::new(kept)), reasons)
}

/// What decisions have set in a configuration that is still as they left it.
fn taken<'a>(world: &'a Snapshot, config: &'a str) -> impl Iterator<Item = Taken<'a>> {
    world.all::<Decision>().filter_map(move |by| match &by.status.taken.as_ref()?.what {
        What::Value { config: of, key, environments, labels, is, .. }
            if of == config && back::is_open(world, by) =>
        {
            Some(Taken { by, key, environments, labels, is })
        }
        _ => None,
    })
}

/// Whether a value is what was said before decisions set another, one after the other.
fn was(world: &Snapshot, config: &str, taken: &Taken, says: Option<&Value>) -> bool {
    world.all::<Decision>().any(|decision| match &decision.status.taken {
        Some(other) if other.returned_at.is_none() => match &other.what {
            What::Value { config: of, key, environments, labels, was, .. } => {
                of == config
                    && key == taken.key
                    && environments == taken.environments
                    && labels == taken.labels
                    && was.as_ref() == says
            }
            _ => false,
        },
        _ => false,
    })
}

fn told(config: &str, taken: &Taken) -> Reason {
    let (key, decision) = (taken.key, taken.by.name());
    let message = format!(
        "{key} of config/{config} stays {} for {}: decision/{decision} set it and gives it back",
        taken.is,
        whom(taken.environments, taken.labels)
    );
    let hint = format!("to set it yourself: atoll config set {config}, or atoll edit");
    Reason::new("set-by-policy", message).hint(hint)
}

/// Overlays that only policies made stand where they stood.
fn in_order(kept: &mut Config, manifest: &Config, stored: &Config) {
    let own = manifest.overlays.len().min(kept.overlays.len());
    kept.overlays[own..].sort_by_key(|overlay| {
        let mut there = stored.overlays.iter();
        let place = there.position(|it| it.is_exactly(&overlay.environments, &overlay.labels));
        place.unwrap_or(usize::MAX)
    });
}

#[cfg(test)]
mod tests {
    use atoll_model::{Kind, Write};
    use serde_json::json;

    use super::*;
    use crate::testing::world;
    use crate::{Context, Measurements, edit};

    fn read(kind: &str, name: &str, more: serde_json::Value) -> Any {
        let mut value = json!({
            "apiVersion": "atoll/v1", "kind": kind, "metadata": { "name": name },
        });
        let fields = more.as_object().unwrap().iter();
        fields.for_each(|(key, field)| value[key] = field.clone());
        Any::from_json(&value.to_string()).unwrap()
    }

    fn config(overlays: Value) -> Any {
        let switch = |owner: &str| json!({ "type": "boolean", "default": false, "owner": owner });
        let switches = json!({ "degraded": switch("team/x"), "slow": switch("team/x") });
        read("Config", "web", json!({ "spec": { "switches": switches, "overlays": overlays } }))
    }

    fn decision(number: u32, key: &str, place: &str) -> Any {
        let value = json!({
            "config": "web", "key": key, "environments": [place], "is": true,
        });
        let status = json!({
            "policy": "degrade", "actedAt": "2026-01-01T00:00:00Z",
            "taken": { "what": { "value": value } },
        });
        let name = format!("deployment.web.{place}.{number}");
        let spec = json!({ "subject": format!("deployment/web.{place}") });
        read("Decision", &name, json!({ "spec": spec, "status": status }))
    }

    /// As it is stored: what policies set stands in another order than they are named in.
    fn stored() -> Any {
        let mut stored = config(json!([
            { "environments": ["prod"], "values": { "slow": true } },
            { "environments": ["lab"], "values": { "degraded": true } },
        ]));
        (stored.meta_mut().generation, stored.meta_mut().revision) = (3, 7);
        stored
    }

    fn applied(any: Any) -> (Option<Value>, Vec<String>) {
        let world = world([stored(), decision(1, "degraded", "lab"), decision(1, "slow", "prod")]);
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: atoll_model::Timestamp(1) };
        let plan = edit::apply(&cx, vec![any]).unwrap();
        let new = plan.writes.iter().find_map(|write| match write {
            Write::Put(any) if any.kind() == Kind::Config => Some(any.to_value()),
            _ => None,
        });
        let overlays = new.map(|new| new["spec"]["overlays"].clone());
        (overlays, plan.reasons.into_iter().map(|reason| reason.message).collect())
    }

    #[test]
    fn a_manifest_that_is_applied_again_changes_nothing_and_says_why() {
        let (overlays, told) = applied(config(json!([])));
        assert_eq!(overlays, None);
        assert_eq!(
            told,
            [
                "degraded of config/web stays true for lab: decision/deployment.web.lab.1 set it \
                 and gives it back",
                "slow of config/web stays true for prod: decision/deployment.web.prod.1 set it \
                 and gives it back",
            ]
        );
    }

    #[test]
    fn what_a_manifest_says_otherwise_is_its_owners() {
        let lab = json!([{ "environments": ["lab"], "values": { "degraded": false } }]);
        let (overlays, told) = applied(config(lab));
        let wanted = json!([
            { "environments": ["lab"], "values": { "degraded": false } },
            { "environments": ["prod"], "values": { "slow": true } },
        ]);
        assert_eq!(overlays, Some(wanted));
        assert_eq!(told.len(), 1);
    }

    #[test]
    fn whoever_has_read_it_takes_it_away() {
        let mut read = config(json!([]));
        read.meta_mut().generation = 3;
        assert_eq!(applied(read), (Some(Value::Null), Vec::new()));
    }

    #[test]
    fn what_is_taken_back_to_before_is_rid_of_it() {
        let world = world([stored(), decision(1, "degraded", "lab")]);
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: atoll_model::Timestamp(1) };
        let mut past = config(json!([]));
        (past.meta_mut().generation, past.meta_mut().revision) = (1, 2);
        let plan = edit::revert(&cx, past, &std::collections::BTreeMap::new()).unwrap();
        assert!(matches!(&plan.writes[..], [Write::Put(Any::Config(new))]
            if new.spec.overlays.is_empty()));
    }
}
