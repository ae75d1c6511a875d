//! What expressions of standards see. Each fact is turned into JSON once, when it is first asked
//! for, and shared by all standards that look at the same object. There is no time among them: an
//! object that keeps a standard does not begin to break it by itself.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use atoll_model::access::Actor;
use atoll_model::{
    Any, Application, Environment, Host, Instance, Object, Release, Snapshot, Team, User,
    cmdb::DEFAULT_ZONE,
};
use serde_json::{Value, json};

use crate::delivery::admission::package_of;
use crate::expression::Facts;
use crate::permission::Permissions;

/// The names of the facts.
pub const NAMES: [&str; 10] = [
    "object",
    "old",
    "actor",
    "application",
    "environment",
    "release",
    "pkg",
    "instances",
    "owner",
    "zones",
];

/// So many instances of a deployment are seen.
const MOST_INSTANCES: usize = 1_000;

/// One object, with what a standard may look at beside it.
pub(crate) struct Scene<'a> {
    pub world: &'a Snapshot,
    pub subject: &'a Any,
    old: Option<&'a Any>,
    actor: Option<&'a Actor>,
    environment: Option<&'a str>,
    release: Option<&'a str>,
    /// What an example says instead.
    given: Option<&'a BTreeMap<String, Value>>,
    cells: [OnceCell<Value>; NAMES.len()],
}

impl<'a> Scene<'a> {
    /// An object as it is.
    pub fn of(world: &'a Snapshot, subject: &'a Any) -> Scene<'a> {
        let release = match subject {
            Any::Release(release) => Some(release.name()),
            Any::Deployment(deployment) => {
                let status = &deployment.status;
                let heads = status.rollout.as_ref().filter(|rollout| !rollout.back);
                let heads = heads.map(|rollout| rollout.to.as_str());
                heads.or(status.release.as_deref()).or(deployment.spec.release.as_deref())
            }
            _ => None,
        };
        let environment = match subject {
            Any::Deployment(deployment) => Some(deployment.spec.environment.as_str()),
            Any::Environment(environment) => Some(environment.name()),
            _ => None,
        };
        let (old, actor, given, cells) = (None, None, None, Default::default());
        Scene { world, subject, old, actor, environment, release, given, cells }
    }

    /// The same as a change by somebody.
    pub fn changed(mut self, old: Option<&'a Any>, actor: &'a Actor) -> Scene<'a> {
        (self.old, self.actor) = (old, Some(actor));
        self
    }

    /// The same where a release enters an environment.
    pub fn entering(mut self, release: &'a str, environment: &'a str) -> Scene<'a> {
        (self.release, self.environment) = (Some(release), Some(environment));
        self
    }

    /// The same as an example has it.
    pub fn given(mut self, given: &'a BTreeMap<String, Value>) -> Scene<'a> {
        self.given = Some(given);
        self
    }

    /// The environment that is meant.
    pub fn environment(&self) -> Option<&str> {
        let said = self.given.and_then(|given| given.get("environment"));
        let said = said.and_then(|value| value.pointer("/metadata/name")).and_then(Value::as_str);
        said.or(self.environment)
    }

    /// The labels of the application it belongs to.
    pub fn labels(&self) -> BTreeMap<String, String> {
        if let Some(given) = self.given.and_then(|given| given.get("application")) {
            let labels = given.pointer("/metadata/labels").cloned().unwrap_or_default();
            return serde_json::from_value(labels).unwrap_or_default();
        }
        if let Any::Application(application) = self.subject {
            return application.meta.labels.clone();
        }
        let application = application_of(self.subject);
        let application = application.and_then(|name| self.world.get::<Application>(name));
        application.map(|application| application.meta.labels.clone()).unwrap_or_default()
    }

    fn make(&self, name: &str) -> Value {
        if let Some(said) = self.given.and_then(|given| given.get(name)) {
            return said.clone();
        }
        match name {
            "object" => self.subject.to_value(),
            "old" => self.old.map_or(Value::Null, Any::to_value),
            "actor" => self.actor.map_or(Value::Null, |actor| {
                let may = Permissions::of(self.world, actor);
                let teams: Vec<&str> = may.teams().collect();
                json!({ "name": actor.name, "roles": may.roles(), "teams": teams })
            }),
            "application" => match self.subject {
                Any::Application(_) => self.subject.to_value(),
                other => application_of(other)
                    .and_then(|name| self.world.get::<Application>(name))
                    .map_or(Value::Null, |it| Any::Application(it.clone()).to_value()),
            },
            "environment" => match self.subject {
                Any::Environment(_) => self.subject.to_value(),
                _ => (self.environment)
                    .and_then(|name| self.world.get::<Environment>(name))
                    .map_or(Value::Null, |it| Any::Environment(it.clone()).to_value()),
            },
            "release" => match self.subject {
                Any::Release(_) => self.subject.to_value(),
                _ => self
                    .stored_release()
                    .map_or(Value::Null, |it| serde_json::to_value(it).unwrap_or_default()),
            },
            "pkg" => {
                let release = match self.subject {
                    Any::Release(release) => Some(&**release),
                    _ => self.stored_release(),
                };
                let package = release.and_then(|it| package_of(self.world, &it.spec));
                package.map_or(Value::Null, |it| serde_json::to_value(it).unwrap_or_default())
            }
            "owner" => self.owner().unwrap_or_default(),
            "instances" => Value::Array(self.instances().map(|(value, _)| value).collect()),
            _ => {
                let zones: BTreeSet<String> = self.instances().map(|(_, zone)| zone).collect();
                json!(zones)
            }
        }
    }

    /// The team or user that the subject says answers for it; none, where there is no such.
    fn owner(&self) -> Option<Value> {
        let subject = self.subject.to_value();
        let (kind, name) = subject.pointer("/spec/owner")?.as_str()?.split_once('/')?;
        let there = match kind {
            "team" => self.world.get::<Team>(name).is_some(),
            // The user the server runs as is no object.
            "user" => name == "local" || self.world.get::<User>(name).is_some(),
            _ => false,
        };
        there.then(|| json!({ "kind": kind, "name": name }))
    }

    fn stored_release(&self) -> Option<&'a Object<Release>> {
        let release = self.world.get::<Release>(self.release?)?;
        Some(release)
    }

    /// The instances of a deployment that stay, each with its zone.
    fn instances(&self) -> impl Iterator<Item = (Value, String)> {
        let name = match self.subject {
            Any::Deployment(deployment) => Some(deployment.name()),
            _ => None,
        };
        let all = name.into_iter().flat_map(|name| self.world.derived::<Instance>(name));
        all.filter(|instance| !instance.meta.deleting()).take(MOST_INSTANCES).map(|instance| {
            let host = &instance.spec.host;
            let zone = self.world.get::<Host>(host).map_or(DEFAULT_ZONE, |host| host.zone());
            let seen = json!({ "name": instance.name(), "host": host, "zone": zone });
            (seen, zone.to_owned())
        })
    }
}

impl Facts for Scene<'_> {
    fn fact(&self, index: usize) -> &Value {
        self.cells[index].get_or_init(|| self.make(NAMES[index]))
    }
}

/// The application an object belongs to.
pub(crate) fn application_of(subject: &Any) -> Option<&str> {
    match subject {
        Any::Application(application) => Some(application.name()),
        Any::Release(release) => Some(&release.spec.application),
        Any::Deployment(deployment) => Some(&deployment.spec.application),
        Any::Pipeline(pipeline) => {
            Some(pipeline.spec.application.as_deref().unwrap_or(pipeline.name()))
        }
        _ => None,
    }
}
