//! Who gets which version of a configuration, and what it says for them. Not when that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::config::{AssignedConfig, ConfigAck, ConfigStatus, Content, Labels};
use atoll_model::{
    Any, Application, Config, Deployment, Environment, Host, Instance, Object, Snapshot,
};

use crate::delivery::journey::depth;

/// An instance a configuration is delivered to.
pub(crate) struct Member<'a> {
    pub instance: &'a Arc<Object<Instance>>,
    pub labels: Labels,
    pub host: Option<&'a Arc<Object<Host>>>,
    /// So many environments come before its own on the way of a release.
    pub depth: usize,
}

impl Member<'_> {
    pub fn name(&self) -> &str {
        self.instance.name()
    }

    pub fn label(&self, name: &str) -> String {
        self.labels.get(name).cloned().unwrap_or_default()
    }

    /// Whether two contents differ for it.
    pub fn feels(&self, one: &Content, other: &Content) -> bool {
        one.for_labels(&self.labels) != other.for_labels(&self.labels)
    }

    /// What it has of a configuration.
    pub fn ack(&self, config: &str) -> Option<&ConfigAck> {
        self.instance.status.configs.get(config)
    }
}

/// The instances of every application that names a configuration.
pub fn instances_of<'a>(
    world: &'a Snapshot,
    config: &'a str,
) -> impl Iterator<Item = &'a Arc<Object<Instance>>> {
    let names = move |a: &&Arc<Object<Application>>| {
        a.spec.config.dynamic.iter().any(|name| name == config)
    };
    world
        .all::<Application>()
        .filter(names)
        .flat_map(|application| world.derived::<Deployment>(application.name()))
        .flat_map(|deployment| world.derived::<Instance>(deployment.name()))
}

/// The same with what they are known by, less those that go.
pub(crate) fn members<'a>(world: &'a Snapshot, config: &'a str) -> Vec<Member<'a>> {
    let staying = instances_of(world, config).filter(|instance| !instance.meta.deleting());
    staying
        .map(|instance| Member {
            instance,
            labels: labels_of(world, instance),
            host: world.get::<Host>(&instance.spec.host),
            depth: depth_of(world, instance),
        })
        .collect()
}

fn depth_of(world: &Snapshot, instance: &Object<Instance>) -> usize {
    let environment = instance.spec.deployment.split_once('.').map_or("", |(_, name)| name);
    world.get::<Environment>(environment).map_or(0, |environment| depth(world, environment))
}

/// What an instance is known by: the labels of its application and its host, and where it is.
fn labels_of(world: &Snapshot, instance: &Object<Instance>) -> Labels {
    let spec = &instance.spec;
    let (application, environment) =
        spec.deployment.split_once('.').unwrap_or((&spec.deployment, ""));
    let mut labels = Labels::new();
    if let Some(application) = world.get::<Application>(application) {
        labels.extend(application.meta.labels.clone());
    }
    if let Some(host) = world.get::<Host>(&spec.host) {
        labels.extend(host.meta.labels.clone());
    }
    let own = [
        ("application", application),
        ("environment", environment),
        ("deployment", &spec.deployment),
        ("instance", instance.name()),
        ("host", &spec.host),
    ];
    labels.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    labels
}

/// The version an instance is to have, and its content.
pub fn version_for<'a>(status: &'a ConfigStatus, instance: &str) -> (u64, &'a Content) {
    match &status.gray {
        Some(gray) if gray.instances.contains_key(instance) => (gray.version, &gray.content),
        _ => (status.version, &status.live),
    }
}

/// What is to be delivered to an instance.
pub fn assigned(world: &Snapshot, instance: &Object<Instance>) -> Vec<AssignedConfig> {
    let application = instance.spec.deployment.split_once('.').map_or("", |(name, _)| name);
    let Some(application) = world.get::<Application>(application) else { return Vec::new() };
    let wanted = &application.spec.config.dynamic;
    if wanted.is_empty() {
        return Vec::new();
    }
    let labels = labels_of(world, instance);
    let live = wanted.iter().filter_map(|name| world.get::<Config>(name));
    live.filter(|config| config.status.version > 0)
        .map(|config| {
            let (version, content) = version_for(&config.status, instance.name());
            AssignedConfig {
                name: config.meta.name.clone(),
                version,
                values: content.for_labels(&labels),
                file: config.spec.file.clone(),
                then: config.spec.then.clone(),
            }
        })
        .collect()
}

/// What is believed of what an agent says an instance has.
///
/// **Invariant:** an acknowledged version gives way to another only if that is newer, or is the one
/// the instance is to have: reports that arrive late do not bring the past back.
pub(crate) fn believed(
    world: &Snapshot,
    instance: &Object<Instance>,
    said: &BTreeMap<String, ConfigAck>,
) -> BTreeMap<String, ConfigAck> {
    let one = |(name, said): (&String, &ConfigAck)| {
        let known = instance.status.configs.get(name);
        let config = world.get::<Config>(name);
        let wanted = config.map(|config| version_for(&config.status, instance.name()).0);
        let is_wanted = |ack: &ConfigAck| Some(ack.version) == wanted;
        let late = |known: &&ConfigAck| {
            !is_wanted(said) && (is_wanted(known) || said.version < known.version)
        };
        let known = known.filter(late);
        (name.clone(), known.unwrap_or(said).clone())
    };
    said.iter().map(one).collect()
}

/// The hosts whose agents are to be told, after a change, that configuration has changed for them.
pub fn hosts_to_wake(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> BTreeSet<String> {
    let mut hosts = BTreeSet::new();
    match (old, new) {
        (_, Some(Any::Config(config))) => {
            let before = match old {
                Some(Any::Config(old)) => Some(old),
                _ => None,
            };
            if before.is_none_or(|before| delivers_otherwise(before, config)) {
                hosts.extend(instances_of(world, config.name()).map(|i| i.spec.host.clone()));
            }
        }
        (Some(Any::Config(config)), None) => {
            hosts.extend(instances_of(world, config.name()).map(|i| i.spec.host.clone()));
        }
        (Some(Any::Application(old)), Some(Any::Application(new))) => {
            let same = old.spec.config.dynamic == new.spec.config.dynamic
                && old.meta.labels == new.meta.labels;
            if !same {
                let deployments = world.derived::<Deployment>(new.name());
                let of = deployments.flat_map(|d| world.derived::<Instance>(d.name()));
                hosts.extend(of.map(|instance| instance.spec.host.clone()));
            }
        }
        (Some(Any::Host(old)), Some(Any::Host(new))) if old.meta.labels != new.meta.labels => {
            hosts.insert(new.meta.name.clone());
        }
        _ => {}
    }
    hosts
}

fn delivers_otherwise(old: &Object<Config>, new: &Object<Config>) -> bool {
    let given = |c: &Object<Config>| {
        let gray = c.status.gray.as_ref();
        (c.status.version, gray.map(|gray| (gray.version, gray.instances.clone())))
    };
    given(old) != given(new) || old.spec.file != new.spec.file || old.spec.then != new.spec.then
}
