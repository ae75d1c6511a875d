//! Networks: whether two overlap, which address or prefix is free next, and which network an
//! address is in. It gives nothing out: that is an edit of the network.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use atoll_model::cmdb::facts::FactsData;
use atoll_model::cmdb::prefix::Prefix;
use atoll_model::{Facts, Host, Item, Network, Object, Reason, Snapshot};

/// What keeps a network from being as it is written, in the world with it.
pub(crate) fn conflicts(world: &Snapshot, network: &Object<Network>) -> Vec<Reason> {
    let mut found = Vec::new();
    let name = network.name();
    for other in world.all::<Network>().filter(|other| other.name() != name) {
        let related = is_within(world, network, other.name()) || is_within(world, other, name);
        if other.spec.domain() != network.spec.domain() || related {
            continue;
        }
        for (own, theirs) in pairs(&network.spec, &other.spec) {
            let message =
                format!("network/{name}: {own} overlaps {theirs} of network/{}", other.name());
            found.push(Reason::new("overlap", message).hint(format!(
                "take the next free prefix of a network, write parent: {} where it is cut out of \
                 it, or another domain where addresses are used twice",
                other.name()
            )));
        }
    }
    let Some(parent) = &network.spec.parent else { return found };
    let Some(parent) = world.get::<Network>(parent) else { return found };
    for prefix in &network.spec.prefixes {
        if !parent.spec.prefixes.iter().any(|whole| whole.covers(prefix)) {
            let message =
                format!("network/{name}: {prefix} is not within network/{}", parent.name());
            found.push(Reason::new("outside-parent", message));
        }
    }
    found
}

fn pairs<'a>(
    a: &'a Network,
    b: &'a Network,
) -> impl Iterator<Item = (&'a Prefix, &'a Prefix)> + use<'a> {
    let each = |own: &'a Prefix| b.prefixes.iter().map(move |theirs| (own, theirs));
    a.prefixes.iter().flat_map(each).filter(|(own, theirs)| own.overlaps(theirs))
}

/// Whether a network is cut out of another, at any depth.
fn is_within(world: &Snapshot, network: &Object<Network>, other: &str) -> bool {
    let (mut at, mut seen) = (network.spec.parent.clone(), BTreeSet::new());
    while let Some(parent) = at {
        if parent == other {
            return true;
        }
        if !seen.insert(parent.clone()) {
            return false;
        }
        at = world.get::<Network>(&parent).and_then(|parent| parent.spec.parent.clone());
    }
    false
}

/// The network an address is in: the one with the longest prefix.
pub fn of_address(world: &Snapshot, address: IpAddr) -> Option<&Arc<Object<Network>>> {
    let longest = |network: &Arc<Object<Network>>| {
        let all = network.spec.prefixes.iter().filter(|prefix| prefix.contains(address));
        all.map(Prefix::length).max()
    };
    let with = world.all::<Network>().filter_map(|network| Some((longest(network)?, network)));
    with.max_by_key(|(length, _)| *length).map(|(_, network)| network)
}

/// Every address of a network that somebody has: given out, found on a host, recorded of an item,
/// or a gateway's that hosts send through.
pub fn taken(world: &Snapshot, network: &Network) -> BTreeSet<IpAddr> {
    let mut taken: BTreeSet<IpAddr> = network.assigned.keys().copied().collect();
    let mut add = |text: &str| {
        let bare = text.split_once('/').map_or(text, |(address, _)| address);
        let address = bare.parse().ok().filter(|address| network.contains(*address));
        taken.extend(address);
    };
    world.all::<Host>().for_each(|host| add(&host.status.address));
    for facts in world.all::<Facts>() {
        if let Some(FactsData::Network(found)) = &facts.status.data {
            found.interfaces.iter().flat_map(|i| &i.addresses).for_each(|a| add(a));
            found.routes.iter().for_each(|route| add(&route.via));
        }
    }
    for item in world.all::<Item>() {
        item.spec.attributes.values().filter_map(|value| value.as_str()).for_each(&mut add);
    }
    taken
}

/// The next address of a network that nobody has.
///
/// # Errors
/// There is none, or no such network.
pub fn free_address(world: &Snapshot, name: &str) -> Result<IpAddr, Reason> {
    let network = find(world, name)?;
    let mut taken = taken(world, &network.spec);
    // Given out of one network is given out of all it shares addresses with.
    let related = world.all::<Network>().filter(|n| n.spec.domain() == network.spec.domain());
    related.for_each(|other| taken.extend(other.spec.assigned.keys()));
    let mut back = network.spec.reserved.clone();
    back.extend(children(world, name).flat_map(|child| child.spec.prefixes.iter().copied()));
    let free = network.spec.prefixes.iter().find_map(|prefix| {
        let edges = edges(prefix);
        let free = |a: &IpAddr| !taken.contains(a) && !edges.contains(a);
        spans(prefix, &back).into_iter().find_map(|part| part.addresses().find(free))
    });
    free.ok_or_else(|| {
        let message = format!("network/{name} has no free address left");
        Reason::new("network-full", message).hint("add a prefix to it, or give addresses back")
    })
}

/// The parts of a prefix that are not kept back, in order: what is kept back is stepped over, not
/// through.
fn spans(prefix: &Prefix, back: &[Prefix]) -> Vec<Prefix> {
    let mut parts = vec![*prefix];
    let mut free = Vec::new();
    while let Some(part) = parts.pop() {
        if back.iter().any(|other| other.covers(&part)) {
            continue;
        }
        if back.iter().any(|other| part.covers(other)) {
            // Halved until what is kept back is apart from what is not; the first half goes first.
            let length = part.length() + 1;
            parts.extend(Prefix::around(part.last(), length));
            parts.extend(Prefix::around(part.first(), length));
        } else {
            free.push(part);
        }
    }
    free
}

/// Addresses that stand for a whole prefix of IPv4.
fn edges(whole: &Prefix) -> [IpAddr; 2] {
    let narrow = !whole.is_six() && whole.length() >= 31;
    let nobody = IpAddr::from([0u8; 16]);
    if narrow { [nobody, nobody] } else { [whole.first(), whole.last()] }
}

/// The next prefix of a length within a network that no other network has.
///
/// # Errors
/// There is none, or no such network.
pub fn free_prefix(world: &Snapshot, name: &str, length: u8) -> Result<Prefix, Reason> {
    let network = find(world, name)?;
    let mut taken = network.spec.reserved.clone();
    taken.extend(children(world, name).flat_map(|child| child.spec.prefixes.iter().copied()));
    // Addresses that somebody has are in the way as well.
    let single =
        |address: IpAddr| Prefix::around(address, if address.is_ipv4() { 32 } else { 128 });
    taken.extend(self::taken(world, &network.spec).into_iter().filter_map(single));
    let free = network.spec.prefixes.iter().find_map(|prefix| prefix.free_prefix(length, &taken));
    free.ok_or_else(|| {
        let message = format!("network/{name} has no free prefix of length {length} left");
        Reason::new("network-full", message).hint("ask for a longer one, or add a prefix to it")
    })
}

fn find<'a>(world: &'a Snapshot, name: &str) -> Result<&'a Arc<Object<Network>>, Reason> {
    let missing = || Reason::new("not-found", format!("there is no network/{name}"));
    world.get::<Network>(name).ok_or_else(missing)
}

fn children<'a>(
    world: &'a Snapshot,
    name: &'a str,
) -> impl Iterator<Item = &'a Arc<Object<Network>>> {
    world.all::<Network>().filter(move |other| other.spec.parent.as_deref() == Some(name))
}

#[cfg(test)]
mod tests {
    use atoll_model::Any;
    use atoll_model::cmdb::facts::{FactsPart, NetworkFacts, NetworkRoute};

    use super::*;
    use crate::testing::world;

    fn network(name: &str, prefixes: &[&str], parent: Option<&str>) -> Object<Network> {
        let prefixes = prefixes.iter().map(|text| text.parse().unwrap()).collect();
        let parent = parent.map(str::to_owned);
        Object::new(name, Network { prefixes, parent, ..Network::default() })
    }

    fn any(network: Object<Network>) -> Any {
        Any::Network(Arc::new(network))
    }

    #[test]
    fn overlaps_are_found_and_nesting_is_none() {
        let office = network("office", &["10.0.0.0/16"], None);
        let floor = network("floor", &["10.0.3.0/24"], Some("office"));
        let lab = network("lab", &["10.0.3.128/25"], None);
        let all = world([any(office), any(floor.clone()), any(lab.clone())]);
        let codes = |of: &Object<Network>| -> Vec<String> {
            conflicts(&all, of).into_iter().map(|reason| reason.message).collect()
        };
        assert_eq!(
            codes(&floor),
            ["network/floor: 10.0.3.0/24 overlaps 10.0.3.128/25 of network/lab"]
        );
        assert_eq!(codes(&lab).len(), 2, "with the office and with its floor");
        let mut apart = lab.clone();
        apart.spec.domain = Some("customer".to_owned());
        assert!(codes(&apart).is_empty());
        let outside = network("attic", &["10.1.0.0/24"], Some("office"));
        assert_eq!(conflicts(&all, &outside)[0].code, "outside-parent");
    }

    #[test]
    fn a_gateway_has_its_address() {
        let mut facts =
            Object::new("h1.network", Facts { host: "h1".to_owned(), part: FactsPart::Network });
        let route = |to: &str, via: &str| NetworkRoute {
            to: to.to_owned(),
            via: via.to_owned(),
            interface: "eth0".to_owned(),
        };
        let routes = vec![route("0.0.0.0/0", "10.0.0.1"), route("10.0.0.0/24", "")];
        facts.status.data =
            Some(FactsData::Network(NetworkFacts { routes, ..NetworkFacts::default() }));
        let eth = network("eth", &["10.0.0.0/24"], None);
        let all = world([any(eth), Any::Facts(Arc::new(facts))]);
        assert_eq!(free_address(&all, "eth").unwrap().to_string(), "10.0.0.2");
    }

    #[test]
    fn what_is_free_is_neither_given_out_nor_kept_back() {
        let mut office = network("office", &["10.0.0.0/24"], None);
        office.spec.reserved = vec!["10.0.0.0/30".parse().unwrap()];
        office.spec.assigned.insert("10.0.0.8".parse().unwrap(), "host/h1".to_owned());
        let floor = network("floor", &["10.0.0.4/30"], Some("office"));
        let mut item = Item { of: "router".to_owned(), ..Item::default() };
        item.attributes.insert("address".to_owned(), "10.0.0.9".into());
        let item = Any::Item(Arc::new(Object::new("r1", item)));
        let all = world([any(office), any(floor), item]);
        assert_eq!(free_address(&all, "office").unwrap().to_string(), "10.0.0.10");
        assert_eq!(free_address(&all, "floor").unwrap().to_string(), "10.0.0.5");
        assert_eq!(free_prefix(&all, "office", 30).unwrap().to_string(), "10.0.0.12/30");
        assert_eq!(free_prefix(&all, "office", 8).unwrap_err().code, "network-full");
        let cut = network("cut", &["10.0.0.8/29"], Some("office"));
        let mut with = all.clone();
        let mut office = Object::clone(with.get::<Network>("office").unwrap());
        office.spec.assigned.insert("10.0.0.10".parse().unwrap(), "host/h2".to_owned());
        with.put(any(office));
        with.put(any(cut));
        assert_eq!(free_address(&with, "cut").unwrap().to_string(), "10.0.0.11", "10 is h2's");
        assert_eq!(free_address(&all, "cellar").unwrap_err().code, "not-found");
        let of = of_address(&all, "10.0.0.6".parse().unwrap()).unwrap();
        assert_eq!(of.name(), "floor");
    }
}
