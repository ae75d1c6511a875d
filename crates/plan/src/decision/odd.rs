//! What people write that can be read and hardly be meant: owners nobody is, names given twice,
//! times that never come. What can only be a mistake is refused, all else told.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::{Any, Application, Budget, Environment, Kind, Object, Reason, Snapshot, cron};

use crate::budget::scope::{self, Meant};
use crate::cmdb::filter::{Filter, Search, names};
use crate::{Context, migration};

/// An owner that is neither a team nor a user: whatever goes by owners passes it over.
pub(super) fn nobodys(any: &Any) -> Option<Reason> {
    // A token is a user's, by the bare name.
    if any.kind() == Kind::Token {
        return None;
    }
    let value = any.to_value();
    let owner = value.pointer("/spec/owner")?.as_str()?;
    let is_one = |(kind, name): (&str, &str)| matches!(kind, "team" | "user") && !name.is_empty();
    if owner.split_once('/').is_some_and(is_one) {
        return None;
    }
    let message = format!(
        "{}: owner {owner:?} is neither team/NAME nor user/NAME: no right, budget or message goes \
         by it",
        any.id()
    );
    let name = owner.rsplit('/').next().unwrap_or_default();
    let reason = Reason::new("odd-owner", message);
    Some(match name {
        "" => reason,
        name => reason.hint(format!("write team/{name} or user/{name}")),
    })
}

/// Environments that an application newly names and nobody has.
pub(super) fn nowhere(world: &Snapshot, stored: Option<&Any>, any: &Any) -> Vec<Reason> {
    let Any::Application(application) = any else { return Vec::new() };
    let before = stored.and_then(|stored| stored.of::<Application>());
    let before = before.and_then(|before| before.spec.environments.as_ref());
    let named: BTreeSet<&String> = application.spec.environments.iter().flatten().collect();
    let gone = named.into_iter().filter(|name| {
        let known = before.is_some_and(|before| before.contains(name));
        !known && world.get::<Environment>(name).is_none()
    });
    let told = |name: &String| {
        let message =
            format!("there is no environment/{name} yet; {} is for when there is", any.id());
        Reason::new("not-there-yet", message)
    };
    gone.map(told).collect()
}

/// Environments that an application names more than once.
pub(super) fn doubled(any: &Any) -> Vec<Reason> {
    let Any::Application(application) = any else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let names = application.spec.environments.iter().flatten();
    let again: BTreeSet<&String> = names.filter(|name| !seen.insert(*name)).collect();
    let told = |name: &String| {
        let message = format!("{} names environment {name} more than once", any.id());
        Reason::new("doubled", message).hint("once is enough; was another one meant?")
    };
    again.into_iter().map(told).collect()
}

/// What two budgets guarantee of the same hosts to the same: it is claimed twice.
pub(super) fn guaranteed_twice(world: &Snapshot, any: &Any) -> Option<Reason> {
    let Any::Budget(new) = any else { return None };
    let guarantees = |budget: &Budget| {
        let quota = budget.resources.as_ref();
        quota.is_some_and(|quota| quota.cpu.plain().0 > 0 || quota.memory.plain().0 > 0)
    };
    if !guarantees(&new.spec) {
        return None;
    }
    let own: BTreeSet<String> = scope::deployments(world, &new.spec).into_iter().collect();
    let beside = |other: &&Arc<Object<Budget>>| {
        let same = other.spec.environment == new.spec.environment && other.name() != new.name();
        same && !other.meta.deleting() && guarantees(&other.spec)
    };
    let shared = |other: &Arc<Object<Budget>>| {
        let theirs = scope::deployments(world, &other.spec);
        let is_both = |name: &String| own.contains(name) && Meant::of(world, name).is_some();
        let found = theirs.into_iter().find(is_both)?;
        Some((other.meta.name.clone(), found))
    };
    let (other, deployment) = world.all::<Budget>().filter(beside).find_map(shared)?;
    let message = format!(
        "{} and budget/{other} both guarantee what {deployment} takes: it is claimed twice, and \
         others find less",
        any.id()
    );
    let hint = "give guarantees to teams or to their applications, and not to both";
    Some(Reason::new("guaranteed-twice", message).hint(hint))
}

/// A migration that is made for hosts there are none of.
pub(super) fn off_nobody(cx: &Context, stored: Option<&Any>, any: &Any) -> Option<Reason> {
    let Any::Migration(new) = any else { return None };
    let (spec, known) = (&new.spec, stored.is_some());
    if known || spec.balance || !migration::sources(cx, spec).is_empty() {
        return None;
    }
    let filter = Filter::parse(&format!("kind = host and ({})", spec.off)).ok()?;
    let unknown = names::unknown(&Search::new(*cx), &filter).into_iter().next();
    let look =
        || "atoll find takes the same filter, atoll facts host/NAME shows all of one".to_owned();
    let message =
        format!("{}: no host passes {}: it is done as soon as it begins", any.id(), spec.off);
    Some(Reason::new("no-hosts", message).hint(unknown.map_or_else(look, |reason| reason.message)))
}

/// Schedules whose time never comes.
pub(super) fn never(any: &Any) -> Vec<Reason> {
    let (path, all): (&str, Vec<&str>) = match any {
        Any::Application(application) => {
            let scaling = application.spec.scaling.iter();
            let all = scaling.flat_map(|scaling| &scaling.schedules);
            ("spec.scaling.schedules", all.map(|floor| floor.cron.as_str()).collect())
        }
        Any::Pipeline(pipeline) => {
            let all = pipeline.spec.triggers.schedules.iter();
            ("spec.triggers.schedules", all.map(|schedule| schedule.cron.as_str()).collect())
        }
        _ => return Vec::new(),
    };
    let all = all.into_iter().enumerate().filter(|(_, text)| cron::is_never(text));
    let told = |(i, text): (usize, &str)| {
        let message = format!("{}: {path}[{i}].cron: {text:?} never comes", any.id());
        Reason::new("invalid", message).hint("is there such a day in that month?")
    };
    all.map(told).collect()
}

#[cfg(test)]
mod tests {
    use atoll_model::{Object, Timestamp};
    use serde_json::{Value, json};

    use super::*;
    use crate::decision::{Verdict, decide};
    use crate::sim::Sim;
    use crate::{Measurements, edit};

    /// What the gate says of an application: what it is told, or why it is refused.
    fn told(spec: &Value) -> Result<Vec<String>, Vec<String>> {
        let prod = Object::new("prod", Environment::default());
        let world = crate::testing::world([Any::Environment(std::sync::Arc::new(prod))]);
        let mut value = json!({
            "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": "web" },
            "spec": { "run": { "command": ["x"] } },
        });
        value["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: Timestamp(1) };
        let plan = edit::apply(&cx, vec![Any::from_value(value).unwrap()]).unwrap();
        let messages = |all: Vec<Reason>| all.into_iter().map(|reason| reason.message).collect();
        match decide(&cx, &Sim::person(), plan) {
            Verdict::Commit(plan) => {
                Ok(messages(plan.about.into_iter().map(|(_, reason)| reason).collect()))
            }
            Verdict::Deny(reasons) => Err(messages(reasons)),
            Verdict::Hold(..) => panic!("held"),
        }
    }

    #[test]
    fn an_owner_nobody_is_and_environments_nobody_has_are_told() {
        assert_eq!(told(&json!({ "owner": "team/web", "environments": ["prod"] })), Ok(vec![]));
        assert_eq!(told(&json!({ "owner": "user/bob" })), Ok(vec![]));
        let all = told(&json!({ "owner": "bob", "environments": ["lab", "lab", "prod"] })).unwrap();
        assert_eq!(all.len(), 3, "{all:#?}");
        for part in ["\"bob\" is neither", "no environment/lab yet", "environment lab more than"] {
            assert_eq!(all.iter().filter(|told| told.contains(part)).count(), 1, "{all:#?}");
        }
    }

    #[test]
    fn a_time_that_never_comes_is_refused() {
        let spec = |cron: &str| {
            let floor = json!({ "cron": cron, "lasts": "1h", "atLeast": 2 });
            json!({ "scaling": { "min": 1, "max": 9, "schedules": [floor] } })
        };
        assert_eq!(told(&spec("0 8 29 2 *")), Ok(vec![]), "it comes in some years");
        let refused = told(&spec("0 8 30 2 *")).unwrap_err();
        let message = "application/web: spec.scaling.schedules[0].cron: \"0 8 30 2 *\" never comes";
        assert_eq!(refused, [message]);
    }
}
