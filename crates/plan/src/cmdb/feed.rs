//! The inventory for other programs, in their own forms: Ansible's dynamic inventory, and targets
//! of Prometheus' HTTP service discovery.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::cmdb::HostPhase;
use atoll_model::cmdb::view::TargetGroup;
use atoll_model::deployment::InstancePhase;
use atoll_model::{Any, Application, Deployment, Host, Instance, Object};
use serde_json::{Map, Value, json};

use super::facts;
use super::filter::{Filter, Search};
use crate::Context;

/// What hosts are scraped at, where nobody says: node_exporter's port.
pub const USUAL_PORT: u16 = 9_100;

/// Hosts that pass a filter, as Ansible's `--list` has them: in groups by zone, by label, by system
/// and by what runs on them.
pub fn ansible(cx: Context, filter: &Filter) -> Value {
    let search = Search::new(cx);
    let (mut groups, mut variables): (BTreeMap<String, BTreeSet<String>>, Map<String, Value>) =
        Default::default();
    for host in hosts(&cx, &search, filter) {
        let name = host.name().to_owned();
        let mut join = |group: String| {
            groups.entry(group).or_default().insert(name.clone());
        };
        join(format!("zone_{}", word(host.zone())));
        for (key, value) in &host.meta.labels {
            join(format!("label_{}_{}", word(key), word(value)));
        }
        let mut own = json!({
            "ansible_host": host.status.address,
            "atoll_zone": host.zone(),
            "atoll_labels": host.meta.labels,
            "atoll_phase": host.status.phase,
        });
        if let Some((system, _)) = facts::system(cx.world, host.name()) {
            join(format!("os_{}", word(&system.os.name)));
            own["atoll_facts"] = serde_json::to_value(system).unwrap_or_default();
        }
        for instance in cx.world.instances_on(host.name()) {
            let deployment = &instance.spec.deployment;
            let application = deployment.split_once('.').map_or(deployment.as_str(), |(a, _)| a);
            join(format!("app_{}", word(application)));
        }
        variables.insert(host.name().to_owned(), own);
    }
    let names: Vec<&String> = groups.keys().collect();
    let mut list = json!({
        "_meta": { "hostvars": &variables },
        "all": {
            "children": names,
            "hosts": variables.keys().collect::<Vec<&String>>(),
        },
    });
    for (group, hosts) in &groups {
        list[group.as_str()] = json!({ "hosts": hosts });
    }
    list
}

/// Names of groups are identifiers there.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn hosts<'a>(
    cx: &'a Context,
    search: &'a Search,
    filter: &'a Filter,
) -> impl Iterator<Item = &'a Object<Host>> {
    let all = cx.world.all::<Host>().map(|host| &**host);
    all.filter(|host| {
        let any = cx.world.find(atoll_model::Kind::Host, host.name());
        any.is_some_and(|any| filter.matches(search, &any))
    })
}

/// What of the inventory is to be scraped: hosts that pass a filter at a port, and instances that
/// pass it at the port their application names for metrics.
pub fn targets(cx: Context, filter: &Filter, port: u16) -> Vec<TargetGroup> {
    let search = Search::new(cx);
    let groups = search.find(filter).into_iter().filter_map(|found| match &found.whole() {
        Any::Host(host) => of_host(&cx, host, port),
        Any::Instance(instance) => of_instance(&cx, instance),
        _ => None,
    });
    groups.collect()
}

fn place(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn of_host(cx: &Context, host: &Object<Host>, port: u16) -> Option<TargetGroup> {
    if host.status.address.is_empty() {
        return None;
    }
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut label = |key: &str, value: &str| {
        labels.insert(format!("__meta_atoll_{key}"), value.to_owned());
    };
    label("kind", "host");
    label("host", host.name());
    label("zone", host.zone());
    label("up", if host.status.phase == HostPhase::Unknown { "false" } else { "true" });
    for (key, value) in &host.meta.labels {
        label(&format!("label_{}", word(key)), value);
    }
    if let Some((system, _)) = facts::system(cx.world, host.name()) {
        label("os", &system.os.name);
        label("os_version", &system.os.version);
    }
    Some(TargetGroup { targets: vec![place(&host.status.address, port)], labels })
}

fn of_instance(cx: &Context, instance: &Object<Instance>) -> Option<TargetGroup> {
    let (spec, status) = (&instance.spec, &instance.status);
    let deployment = cx.world.get::<Deployment>(&spec.deployment)?;
    let application = cx.world.get::<Application>(&deployment.spec.application)?;
    let metrics = application.spec.run.metrics.as_ref()?;
    let port = spec.ports.get(&metrics.port)?;
    let address = match status.address.is_empty() {
        true => &cx.world.get::<Host>(&spec.host)?.status.address,
        false => &status.address,
    };
    let ready = if status.phase == InstancePhase::Ready { "true" } else { "false" };
    let labels = [
        ("__metrics_path__", metrics.path.as_str()),
        ("__meta_atoll_kind", "instance"),
        ("__meta_atoll_instance", instance.name()),
        ("__meta_atoll_deployment", &spec.deployment),
        ("__meta_atoll_application", application.name()),
        ("__meta_atoll_environment", &deployment.spec.environment),
        ("__meta_atoll_host", &spec.host),
        ("__meta_atoll_release", &spec.release),
        ("__meta_atoll_ready", ready),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Some(TargetGroup { targets: vec![place(address, *port)], labels })
}
