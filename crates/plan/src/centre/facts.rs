//! What expressions of policies see. Each fact is turned into JSON once, when it is first asked
//! for. What is measured is handed in; what is not there is left out, so that an expression that
//! needs it cannot be told and nothing is done on it.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use atoll_model::alerting::AlertPhase;
use atoll_model::{
    Alert, Any, Autoscaler, Capacity, Deployment, Environment, Host, Instance, Kind, Object,
    Snapshot, Timestamp,
};
use serde_json::{Map, Value, json};

use super::subject::{Subject, zone, zone_of};
use crate::budget::scope;
use crate::expression::Facts;

/// The names of the facts.
pub const NAMES: [&str; 15] = [
    "subject",
    "application",
    "deployment",
    "environment",
    "host",
    "alerts",
    "values",
    "capacity",
    "autoscaler",
    "budget",
    "peers",
    "instances",
    "zone",
    "seconds",
    "before",
];
/// Where `values` stands.
pub(super) const VALUES: usize = 6;
/// Where `before` stands; it is known only once something was done.
pub(super) const BEFORE: usize = 14;
/// So many instances are seen of one host or deployment.
const MOST_INSTANCES: usize = 50;

/// The alerts that fire, by what they are about.
pub(super) struct Firing<'a>(BTreeMap<&'a str, Vec<&'a Object<Alert>>>);

impl<'a> Firing<'a> {
    pub fn of(world: &'a Snapshot) -> Firing<'a> {
        let mut all: BTreeMap<&str, Vec<&Object<Alert>>> = BTreeMap::new();
        for alert in world.all::<Alert>().filter(|a| a.status.phase == AlertPhase::Firing) {
            // What the centre says itself is no evidence for it.
            let own = alert.spec.rule == super::ALERTS;
            if let Some(subject) = alert.spec.subject.as_deref().filter(|_| !own) {
                all.entry(subject).or_default().push(alert);
            }
        }
        Firing(all)
    }

    /// Those about a subject; of a deployment, those about its instances and application too.
    fn about(&self, world: &Snapshot, subject: &Subject) -> Vec<&'a Object<Alert>> {
        let mut ids = vec![subject.id()];
        if let (Kind::Deployment, Some(deployment)) = (subject.kind, subject.deployment) {
            ids.push(format!("application/{}", deployment.spec.application));
            let instances = world.derived::<Instance>(deployment.name());
            ids.extend(instances.map(|instance| format!("instance/{}", instance.name())));
        }
        let found = ids.iter().filter_map(|id| self.0.get(id.as_str()));
        found.flatten().copied().collect()
    }
}

/// One subject with all that is known of it.
pub(super) struct Scene<'a> {
    pub world: &'a Snapshot,
    pub subject: &'a Subject<'a>,
    pub firing: &'a Firing<'a>,
    pub values: &'a BTreeMap<String, f64>,
    pub now: Timestamp,
    /// What was seen when something was done about it.
    pub before: Option<&'a BTreeMap<String, Value>>,
    pub cells: [OnceCell<Value>; NAMES.len()],
}

impl<'a> Scene<'a> {
    pub fn new(
        cx: &crate::Context<'a>,
        subject: &'a Subject<'a>,
        firing: &'a Firing<'a>,
        values: &'a BTreeMap<String, f64>,
    ) -> Scene<'a> {
        let (world, now, cells) = (cx.world, cx.now, Default::default());
        Scene { world, subject, firing, values, now, before: None, cells }
    }

    /// All facts, to be kept.
    pub fn all(&self) -> BTreeMap<String, Value> {
        let named = NAMES.iter().enumerate();
        let all = named.map(|(at, name)| ((*name).to_owned(), self.fact(at).clone()));
        all.filter(|(_, value)| !value.is_null()).collect()
    }

    fn make(&self, name: &str) -> Value {
        let (world, subject) = (self.world, self.subject);
        let object = |kind: Kind, name: Option<&str>| {
            let found = name.and_then(|name| world.find(kind, name));
            found.map_or(Value::Null, |any| any.to_value())
        };
        let deployment = subject.deployment.map(|deployment| deployment.name());
        match name {
            "subject" => subject.value(),
            "application" => object(Kind::Application, subject.application.map(|a| a.name())),
            "deployment" => object(Kind::Deployment, deployment),
            "environment" => {
                match subject.environment().and_then(|e| world.get::<Environment>(e)) {
                    Some(environment) => Any::Environment(environment.clone()).to_value(),
                    None => Value::Null,
                }
            }
            "host" => match &subject.any {
                Some(Any::Instance(instance)) => object(Kind::Host, Some(&instance.spec.host)),
                Some(Any::Host(host)) => object(Kind::Host, Some(host.name())),
                _ => Value::Null,
            },
            "alerts" => {
                let all = self.firing.about(world, subject).into_iter();
                Value::Array(all.map(|alert| self.alert(alert)).collect())
            }
            "values" => json!(self.values),
            "capacity" => deployment.map_or(Value::Null, |name| capacity(world, name)),
            "autoscaler" => {
                let name = deployment.filter(|name| world.get::<Autoscaler>(name).is_some());
                object(Kind::Autoscaler, name)
            }
            "budget" => deployment.map_or(Value::Null, |name| budget(world, name)),
            "peers" => {
                let (count, ready) = subject.peers(world);
                json!({ "count": count, "ready": ready })
            }
            "instances" => self.instances(),
            "before" => self.before.map_or(Value::Null, |before| json!(before)),
            "zone" => zone_of(world, subject).map_or(Value::Null, |name| zone(world, &name)),
            _ => self.seconds(),
        }
    }

    fn alert(&self, alert: &Object<Alert>) -> Value {
        let since = alert.status.fired_at.unwrap_or(alert.status.active_at);
        let suspect = alert.spec.suspect.as_ref();
        json!({
            "name": alert.spec.alertname(),
            "severity": alert.spec.labels.get("severity").map_or("", String::as_str),
            "subject": alert.spec.subject,
            "seconds": self.now.since(since).0 / 1000,
            "suspect": suspect.map_or("", |suspect| suspect.object.as_str()),
            "labels": alert.spec.labels,
        })
    }

    fn instances(&self) -> Value {
        let (world, name) = (self.world, self.subject.name.as_str());
        let tell = |instance: &std::sync::Arc<Object<Instance>>| {
            let since = instance.status.since;
            json!({
                "name": instance.name(), "phase": instance.status.phase,
                "deployment": instance.spec.deployment, "host": instance.spec.host,
                "seconds": since.map(|since| self.now.since(since).0 / 1000),
            })
        };
        let all: Vec<Value> = match self.subject.kind {
            Kind::Host => world.instances_on(name).take(MOST_INSTANCES).map(tell).collect(),
            Kind::Deployment => {
                world.derived::<Instance>(name).take(MOST_INSTANCES).map(tell).collect()
            }
            _ => return Value::Null,
        };
        Value::Array(all)
    }

    /// For how long things have been so.
    fn seconds(&self) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, since: Option<Timestamp>| {
            let seconds = since.map(|since| json!(self.now.since(since).0 / 1000));
            all.extend(seconds.map(|seconds| (name.to_owned(), seconds)));
        };
        match &self.subject.any {
            Some(Any::Instance(instance)) => put("phase", instance.status.since),
            Some(Any::Host(host)) => put("phase", host.status.since),
            _ => {}
        }
        if let Some(deployment) = self.subject.deployment {
            put("release", released(deployment));
        }
        put("age", self.subject.any.as_ref().and_then(|any| any.meta().created_at));
        Value::Object(all)
    }
}

/// Since when a deployment runs, or is on its way to, its release.
fn released(deployment: &Object<Deployment>) -> Option<Timestamp> {
    let rollout = deployment.status.rollout.as_ref().map(|rollout| rollout.since);
    rollout.or(deployment.status.good_since)
}

/// What a deployment can carry. Without a load that is measured, there is no headroom.
fn capacity(world: &Snapshot, deployment: &str) -> Value {
    let Some(capacity) = world.get::<Capacity>(deployment) else { return Value::Null };
    let status = &capacity.status;
    let mut told = json!({
        "phase": status.phase, "ready": status.ready, "needed": status.needed,
    });
    if let (Some(each), Some(load)) = (status.each, status.load)
        && each > 0.0
        && status.ready > 0
        && let Value::Object(told) = &mut told
    {
        told.insert("load".to_owned(), json!(load));
        let headroom = 1.0 - load / (each * f64::from(status.ready));
        told.insert("headroom".to_owned(), json!(headroom));
    }
    told
}

/// How the budgets stand that a deployment is of, the worst of them.
fn budget(world: &Snapshot, deployment: &str) -> Value {
    let worst = scope::budgets_of(world, deployment).max_by_key(|budget| budget.status.phase);
    worst.map_or(
        Value::Null,
        |budget| json!({ "name": budget.name(), "phase": budget.status.phase }),
    )
}

impl Facts for Scene<'_> {
    fn fact(&self, index: usize) -> &Value {
        self.cells[index].get_or_init(|| self.make(NAMES[index]))
    }
}

/// Facts as they were kept with a decision.
pub(super) struct Kept<'a>(pub &'a BTreeMap<String, Value>);

impl Facts for Kept<'_> {
    fn fact(&self, index: usize) -> &Value {
        self.0.get(NAMES[index]).unwrap_or(&Value::Null)
    }
}

/// The host a subject is on or is.
pub(super) fn host_of<'a>(world: &'a Snapshot, subject: &Subject) -> Option<&'a Object<Host>> {
    match &subject.any {
        Some(Any::Instance(instance)) => world.get::<Host>(&instance.spec.host).map(|h| &**h),
        Some(Any::Host(host)) => world.get::<Host>(host.name()).map(|h| &**h),
        _ => None,
    }
}
