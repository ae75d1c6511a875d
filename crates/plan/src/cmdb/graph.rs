//! What has to do with what: relations people have declared and those that were found, who suffers
//! when something is lost, and the way from one thing to another. It is worked out from the world
//! each time it is asked for; nothing of it is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use atoll_model::cmdb::facts::{FactsData, Link};
use atoll_model::cmdb::view::{Relation, RelationSource};
use atoll_model::{
    Application, Deployment, Facts, Host, Instance, Item, ItemType, Kind, Network, Object, Snapshot,
};

use super::network;

/// Relations by both of their ends.
#[derive(Debug, Default)]
pub struct Graph {
    out: BTreeMap<String, BTreeSet<Edge>>,
    back: BTreeMap<String, BTreeSet<Edge>>,
}

/// One end of a relation, seen from the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The other end.
    pub to: String,
    /// What it is called.
    pub relation: String,
    /// How it is known.
    pub source: RelationSource,
    /// Whether whoever has it suffers when what it leads to is lost.
    pub depends: bool,
}

impl Graph {
    /// Everything there is.
    pub fn of(world: &Snapshot) -> Graph {
        let mut graph = Graph::default();
        for host in world.all::<Host>() {
            graph.host(world, host);
        }
        for instance in world.all::<Instance>() {
            graph.instance(instance);
        }
        for deployment in world.all::<Deployment>() {
            let (own, spec) = (id(Kind::Deployment, deployment.name()), &deployment.spec);
            graph.add(&own, "of", &id(Kind::Application, &spec.application), declared(false));
            graph.add(&own, "in", &id(Kind::Environment, &spec.environment), declared(false));
        }
        for application in world.all::<Application>() {
            let own = id(Kind::Application, application.name());
            for needed in application.spec.needed() {
                graph.add(&own, "needs", &id(Kind::Application, needed), declared(true));
            }
        }
        for network in world.all::<Network>() {
            let own = id(Kind::Network, network.name());
            let named = [(Kind::Network, &network.spec.parent), (Kind::Zone, &network.spec.zone)];
            for (kind, name) in named {
                let Some(name) = name else { continue };
                graph.add(&own, "in", &id(kind, name), declared(true));
            }
        }
        for item in world.all::<Item>() {
            graph.item(world, item);
        }
        graph.links(world);
        graph
    }

    fn add(&mut self, from: &str, relation: &str, to: &str, how: (RelationSource, bool)) {
        let edge = |to: &str| Edge {
            to: to.to_owned(),
            relation: relation.to_owned(),
            source: how.0,
            depends: how.1,
        };
        self.out.entry(from.to_owned()).or_default().insert(edge(to));
        self.back.entry(to.to_owned()).or_default().insert(edge(from));
    }

    fn host(&mut self, world: &Snapshot, host: &Object<Host>) {
        let own = id(Kind::Host, host.name());
        self.add(&own, "in", &id(Kind::Zone, host.zone()), declared(true));
        let address = host.status.address.parse::<IpAddr>().ok();
        if let Some(network) = address.and_then(|address| network::of_address(world, address)) {
            let to = id(Kind::Network, network.name());
            self.add(&own, "in", &to, (RelationSource::Discovered, true));
        }
    }

    fn instance(&mut self, instance: &Object<Instance>) {
        let own = id(Kind::Instance, instance.name());
        self.add(&own, "runs-on", &id(Kind::Host, &instance.spec.host), declared(true));
        let deployment = id(Kind::Deployment, &instance.spec.deployment);
        self.add(&own, "of", &deployment, declared(false));
    }

    fn item(&mut self, world: &Snapshot, item: &Object<Item>) {
        let own = id(Kind::Item, item.name());
        let class = world.get::<ItemType>(&item.spec.of);
        for (relation, all) in &item.spec.relations {
            let rule = class.and_then(|class| class.spec.relations.get(relation));
            let depends = rule.is_some_and(|rule| rule.depends);
            for to in all {
                self.add(&own, relation, to, declared(depends));
            }
        }
        if let Some(other) = &item.spec.merged_into {
            self.add(&own, "merged-into", &id(Kind::Item, other), declared(false));
        }
    }

    /// Who talks to whom, from the sockets of the processes of instances. Both ends are matched
    /// with instances; what is outside is named by its address.
    fn links(&mut self, world: &Snapshot) {
        let ends = ends(world);
        for facts in world.all::<Facts>() {
            let Some(FactsData::Links(links)) = &facts.status.data else { continue };
            for link in links {
                let Some(from) = world.get::<Instance>(&link.instance) else { continue };
                // A host speaks of its own instances only.
                if from.spec.host != facts.spec.host {
                    continue;
                }
                self.link(world, from, link, &ends);
            }
        }
    }

    fn link(
        &mut self,
        world: &Snapshot,
        from: &Object<Instance>,
        link: &Link,
        ends: &HashMap<(String, u16), String>,
    ) {
        let how = (RelationSource::Discovered, true);
        let own = id(Kind::Instance, from.name());
        let Some(to) = end(world, from, link, ends) else {
            self.add(&own, "talks-to", &outside(link), (RelationSource::Discovered, false));
            return;
        };
        if to == from.name() {
            return;
        }
        // An instance outlives another of a deployment's, so only the applications depend.
        let talks = (RelationSource::Discovered, false);
        self.add(&own, "talks-to", &id(Kind::Instance, to), talks);
        let application = |instance: &str| {
            let name = world.get::<Instance>(instance)?.spec.deployment.clone();
            let application = world.get::<Deployment>(&name)?.spec.application.clone();
            Some(id(Kind::Application, &application))
        };
        if let (Some(one), Some(other)) = (application(from.name()), application(to))
            && one != other
        {
            self.add(&one, "talks-to", &other, how);
        }
    }

    /// What a thing has to do with others, from its own side and from theirs.
    pub fn around(&self, subject: &str) -> Vec<Relation> {
        let relation = |from: &str, edge: &Edge, to: &str| Relation {
            from: from.to_owned(),
            relation: edge.relation.clone(),
            to: to.to_owned(),
            source: edge.source,
        };
        let out = self.out.get(subject).into_iter().flatten();
        let back = self.back.get(subject).into_iter().flatten();
        out.map(|edge| relation(subject, edge, &edge.to))
            .chain(back.map(|edge| relation(&edge.to, edge, subject)))
            .collect()
    }

    /// Every relation.
    pub fn all(&self) -> Vec<Relation> {
        let each = |(from, edges): (&String, &BTreeSet<Edge>)| -> Vec<Relation> {
            let one = |edge: &Edge| Relation {
                from: from.clone(),
                relation: edge.relation.clone(),
                to: edge.to.clone(),
                source: edge.source,
            };
            edges.iter().map(one).collect()
        };
        self.out.iter().flat_map(each).collect()
    }

    /// What a relation of a name leads to from a thing.
    pub fn leads<'a>(&'a self, from: &str, relation: &'a str) -> impl Iterator<Item = &'a str> {
        let edges = self.out.get(from).into_iter().flatten();
        edges.filter(move |edge| edge.relation == relation).map(|edge| edge.to.as_str())
    }

    /// Everything that suffers when a thing is lost, each with the way from it: the nearest first.
    pub fn suffering(&self, lost: &str) -> Vec<Vec<Relation>> {
        let mut ways: BTreeMap<String, Vec<Relation>> = BTreeMap::new();
        let mut found = Vec::new();
        let mut queue = VecDeque::from([lost.to_owned()]);
        ways.insert(lost.to_owned(), Vec::new());
        while let Some(at) = queue.pop_front() {
            let way = ways.get(&at).cloned().unwrap_or_default();
            for edge in self.back.get(&at).into_iter().flatten().filter(|edge| edge.depends) {
                if ways.contains_key(&edge.to) {
                    continue;
                }
                let mut longer = way.clone();
                longer.push(Relation {
                    from: edge.to.clone(),
                    relation: edge.relation.clone(),
                    to: at.clone(),
                    source: edge.source,
                });
                ways.insert(edge.to.clone(), longer.clone());
                found.push(longer);
                queue.push_back(edge.to.clone());
            }
        }
        found
    }

    /// The shortest way from one thing to another along relations in either direction.
    pub fn path(&self, from: &str, to: &str) -> Option<Vec<Relation>> {
        let mut came: BTreeMap<String, Relation> = BTreeMap::new();
        let mut queue = VecDeque::from([from.to_owned()]);
        let mut seen = BTreeSet::from([from.to_owned()]);
        while let Some(at) = queue.pop_front() {
            if at == to {
                return Some(walked(&came, from, to));
            }
            for relation in self.around(&at) {
                let next = if relation.from == at { &relation.to } else { &relation.from };
                if seen.insert(next.clone()) {
                    queue.push_back(next.clone());
                    came.insert(next.clone(), relation);
                }
            }
        }
        None
    }

    /// Whether anything is known of a thing.
    pub fn knows(&self, subject: &str) -> bool {
        self.out.contains_key(subject) || self.back.contains_key(subject)
    }
}

fn walked(came: &BTreeMap<String, Relation>, from: &str, to: &str) -> Vec<Relation> {
    let (mut at, mut way) = (to.to_owned(), Vec::new());
    while at != from {
        let Some(relation) = came.get(&at) else { break };
        way.push(relation.clone());
        at = if relation.from == at { relation.to.clone() } else { relation.from.clone() };
    }
    way.reverse();
    way
}

fn declared(depends: bool) -> (RelationSource, bool) {
    (RelationSource::Declared, depends)
}

/// `kind/name`, as it is typed.
pub fn id(kind: Kind, name: &str) -> String {
    format!("{}/{name}", kind.lower())
}

fn outside(link: &Link) -> String {
    match link.address.contains(':') {
        true => format!("address/[{}]:{}", link.address, link.port),
        false => format!("address/{}:{}", link.address, link.port),
    }
}

/// Who is reached at an address and port: every port of every instance, by its host's addresses.
fn ends(world: &Snapshot) -> HashMap<(String, u16), String> {
    let mut ends = HashMap::new();
    for instance in world.all::<Instance>() {
        let mut addresses = BTreeSet::from([instance.status.address.clone()]);
        if let Some(host) = world.get::<Host>(&instance.spec.host) {
            addresses.insert(host.status.address.clone());
        }
        addresses.extend(network_addresses(world, &instance.spec.host));
        for address in addresses.into_iter().filter(|address| !is_loopback(address)) {
            for port in instance.spec.ports.values() {
                ends.insert((address.clone(), *port), instance.meta.name.clone());
            }
        }
    }
    ends
}

fn is_loopback(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn network_addresses(world: &Snapshot, host: &str) -> Vec<String> {
    let part = super::facts::part(world, host, atoll_model::cmdb::facts::FactsPart::Network);
    let Some((FactsData::Network(found), _)) = part else { return Vec::new() };
    let all = found.interfaces.iter().flat_map(|interface| &interface.addresses);
    all.filter_map(|a| a.split_once('/')).map(|(address, _)| address.to_owned()).collect()
}

/// The instance at the other end of a link.
fn end<'a>(
    world: &'a Snapshot,
    from: &Object<Instance>,
    link: &Link,
    ends: &'a HashMap<(String, u16), String>,
) -> Option<&'a str> {
    if is_loopback(&link.address) {
        // Of the same host: nobody else is reached there.
        let here = world.instances_on(&from.spec.host);
        let serves = |i: &&std::sync::Arc<Object<Instance>>| {
            i.spec.ports.values().any(|port| *port == link.port)
        };
        return here.into_iter().find(serves).map(|instance| instance.name());
    }
    ends.get(&(link.address.clone(), link.port)).map(String::as_str)
}
