//! Which fields the facts of a policy have at all, as the types of what they are made of declare
//! them: whatever there is, and whatever phase it is in. How they are made is in `facts.rs`.

use atoll_model::Kind;
use serde_json::{Value, json};

use crate::expression::ELEMENT;

/// The fields of one fact of subjects of one kind.
pub(super) struct Declared(Value);

/// What is declared of a fact of subjects of a kind; nothing, where these never have it.
pub(super) fn of(fact: &str, kind: Kind) -> Option<Declared> {
    let is = |kinds: &[Kind]| kinds.contains(&kind);
    let deployed = is(&[Kind::Instance, Kind::Deployment]);
    let schema = match fact {
        "subject" if kind == Kind::Zone => {
            json!({ "properties": { "metadata": fields(&["name"]) } })
        }
        "subject" => Value::from(kind.schema()),
        "application" if deployed => Value::from(Kind::Application.schema()),
        "deployment" if deployed => Value::from(Kind::Deployment.schema()),
        "environment" if deployed => Value::from(Kind::Environment.schema()),
        "autoscaler" if deployed => Value::from(Kind::Autoscaler.schema()),
        "host" if is(&[Kind::Instance, Kind::Host]) => Value::from(Kind::Host.schema()),
        "capacity" if deployed => fields(&["phase", "ready", "needed", "load", "headroom"]),
        "budget" if deployed => fields(&["name", "phase"]),
        "peers" => fields(&["count", "ready"]),
        "zone" if kind != Kind::Deployment => {
            fields(&["name", "hosts", "ready", "unknown", "instances"])
        }
        "seconds" => fields(match kind {
            Kind::Instance => &["phase", "release", "age"],
            Kind::Host => &["phase", "age"],
            Kind::Deployment => &["release", "age"],
            _ => &[],
        }),
        "alerts" => {
            let mut alert = fields(&["name", "severity", "seconds", "subject", "suspect"]);
            let texts = json!({ "type": "string" });
            alert["properties"]["labels"] =
                json!({ "type": "object", "additionalProperties": texts });
            json!({ "type": "array", "items": alert })
        }
        "instances" if is(&[Kind::Host, Kind::Deployment]) => {
            let instance = fields(&["name", "phase", "deployment", "host", "seconds"]);
            json!({ "type": "array", "items": instance })
        }
        _ => return None,
    };
    Some(Declared(schema))
}

/// A schema of what has these fields and no others, all of them texts or numbers.
fn fields(names: &[&str]) -> Value {
    let plain = json!({ "type": ["string", "number"] });
    let all = names.iter().map(|name| ((*name).to_owned(), plain.clone()));
    json!({ "type": "object", "properties": all.collect::<serde_json::Map<_, _>>() })
}

/// The schema of what may be anything.
static ANY: Value = Value::Bool(true);

impl Declared {
    /// Whether there may be a field at a path.
    pub fn has(&self, path: &[&str]) -> bool {
        let mut found = Vec::new();
        self.find(&self.0, path, &mut found);
        !found.is_empty()
    }

    /// Whether what is at a path may be true or false.
    pub fn may_be_true(&self, path: &[&str]) -> bool {
        let mut found = Vec::new();
        self.find(&self.0, path, &mut found);
        found.into_iter().any(|schema| self.is_boolean(schema))
    }

    /// The schemas of what may be at a path below what has a schema.
    fn find<'a>(&'a self, at: &'a Value, path: &[&str], found: &mut Vec<&'a Value>) {
        let Some((name, rest)) = path.split_first() else { return found.push(at) };
        let Value::Object(schema) = at else {
            found.extend((*at == ANY).then_some(&ANY));
            return;
        };
        let own = schema.get("properties").and_then(|all| all.get(*name));
        let other = schema.get("additionalProperties").filter(|it| **it != Value::Bool(false));
        let items = schema.get("items").filter(|_| *name == ELEMENT);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let patterns = patterns.into_iter().flat_map(|all| all.values());
        // What says nothing of its form may have any; nor is it known which of its fields is meant
        // by a name that is reckoned.
        let unknown = *name == ELEMENT && items.is_none() && schema.contains_key("properties");
        if unknown || !FORMS.iter().any(|word| schema.contains_key(*word)) {
            found.push(&ANY);
        }
        for schema in items.or(own).or(other).into_iter().chain(patterns) {
            self.find(schema, rest, found);
        }
        for schema in self.same(at) {
            self.find(schema, path, found);
        }
    }

    /// The schemas a schema refers to for what it is of itself.
    fn same<'a>(&'a self, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
        let refers = schema.get("$ref").and_then(Value::as_str);
        let refers = refers.and_then(|to| self.0.pointer(to.trim_start_matches('#')));
        let one_of = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|word| schema.get(word));
        one_of.filter_map(Value::as_array).flatten().chain(refers)
    }

    fn is_boolean(&self, at: &Value) -> bool {
        let Value::Object(schema) = at else { return *at == ANY };
        let is = |word: &str, here: &dyn Fn(&Value) -> bool| {
            schema.get(word).is_some_and(|said| match said {
                Value::Array(all) => all.iter().any(here),
                one => here(one),
            })
        };
        !FORMS.iter().any(|word| schema.contains_key(*word))
            || is("type", &|name| name == "boolean")
            || is("enum", &Value::is_boolean)
            || is("const", &Value::is_boolean)
            || self.same(at).any(|schema| self.is_boolean(schema))
    }
}

/// What a schema says of the form of a value.
const FORMS: [&str; 8] = ["type", "properties", "$ref", "allOf", "anyOf", "oneOf", "enum", "const"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use atoll_model::{Any, Object, Timestamp};

    use super::super::facts::{Firing, NAMES, Scene};
    use super::super::subject::Subject;
    use super::*;
    use crate::testing::{instance, world};
    use crate::{Context, Measurements};

    /// Every path below a value.
    fn paths<'a>(value: &'a Value, at: &[&'a str], into: &mut Vec<Vec<&'a str>>) {
        if let Value::Array(elements) = value {
            let path = [at, &[ELEMENT]].concat();
            elements.iter().for_each(|element| paths(element, &path, into));
        }
        let Value::Object(fields) = value else { return };
        for (name, below) in fields {
            let path = [at, &[name]].concat();
            paths(below, &path, into);
            into.push(path);
        }
    }

    fn put(kind: &str, name: &str, spec: Value, status: Value) -> Any {
        let since = "2026-01-01T00:00:00Z";
        let labels = json!({ "tier": "core" });
        Any::from_value(json!({
            "apiVersion": "atoll/v1", "kind": kind, "spec": spec, "status": status,
            "metadata": { "name": name, "labels": labels, "createdAt": since },
        }))
        .unwrap()
    }

    #[test]
    fn whatever_a_policy_may_see_is_declared() {
        let since = "2026-01-01T00:00:00Z";
        let run = json!({ "run": { "command": ["x"], "env": { "A": "b" } } });
        let shop = json!({ "application": "shop", "environment": "prod" });
        let rollout = json!({ "to": "shop-2", "since": since, "progressAt": since });
        let runs = json!({ "release": "shop-1", "goodSince": since, "rollout": rollout });
        let carries = json!({ "each": 2.0, "load": 1.0, "ready": 1 });
        let mut one = match instance("shop.prod.0", "h0") {
            Any::Instance(one) => Object::clone(&one),
            _ => unreachable!(),
        };
        one.status.since = Some(Timestamp(1_000));
        one.meta.created_at = one.status.since;
        let world = world([
            put("Host", "h0", json!({}), json!({ "phase": "ready", "since": since })),
            put("Application", "shop", run, json!({})),
            put("Environment", "prod", json!({}), json!({})),
            put("Deployment", "shop.prod", shop, runs),
            put("Autoscaler", "shop.prod", json!({ "deployment": "shop.prod" }), json!({})),
            put("Capacity", "shop.prod", json!({ "deployment": "shop.prod" }), carries),
            put("Budget", "all", json!({}), json!({})),
            Any::Instance(Arc::new(one)),
        ]);
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: Timestamp(2_000_000) };
        let (firing, values) = (Firing::of(&world), BTreeMap::new());
        for id in ["instance/shop.prod.0", "host/h0", "deployment/shop.prod", "zone/default"] {
            let subject = Subject::find(&world, id).unwrap();
            for (name, value) in Scene::new(&cx, &subject, &firing, &values).all() {
                if ["values", "before"].contains(&name.as_str()) {
                    continue;
                }
                let declared = of(&name, subject.kind);
                let declared = declared.unwrap_or_else(|| panic!("{id}: {name} is not declared"));
                let mut all = Vec::new();
                paths(&value, &[], &mut all);
                for path in all {
                    assert!(declared.has(&path), "{id}: {name}.{} is not declared", path.join("."));
                }
            }
        }
    }

    #[test]
    fn what_is_misspelt_is_not() {
        let has = |fact: &str, kind: Kind, path: &[&str]| of(fact, kind).unwrap().has(path);
        assert!(has("subject", Kind::Instance, &["status", "phase"]));
        assert!(!has("subject", Kind::Instance, &["status", "phse"]));
        assert!(!has("subject", Kind::Instance, &["status", "phase", "word"]));
        assert!(has("subject", Kind::Deployment, &["status", "rollout", "to"]));
        assert!(!has("subject", Kind::Deployment, &["status", "rollout", "too"]));
        assert!(has("application", Kind::Instance, &["metadata", "labels", "whatever"]));
        assert!(!has("seconds", Kind::Host, &["release"]));
        assert!(!has("alerts", Kind::Host, &["severity"]));
        assert!(has("alerts", Kind::Host, &[ELEMENT, "severity"]));
        assert!(has("alerts", Kind::Host, &[ELEMENT, "labels", "team"]));
        assert!(!has("alerts", Kind::Host, &[ELEMENT, "sevrity"]));
        let may = |fact: &str, path: &[&str]| of(fact, Kind::Deployment).unwrap().may_be_true(path);
        assert!(!may("subject", &["status", "ready"]) && !may("subject", &["status", "phase"]));
        assert!(may("application", &["spec", "scaling", "predict"]));
        let never = NAMES.iter().filter(|name| of(name, Kind::Zone).is_none());
        assert!(never.copied().any(|name| name == "deployment"));
    }
}
