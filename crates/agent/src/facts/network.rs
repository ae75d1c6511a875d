//! Interfaces, their addresses, and routes, as the kernel tells them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use atoll_model::cmdb::facts::{Interface, NetworkFacts, NetworkRoute};
use atoll_model::cmdb::prefix::Prefix;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::system::text;

/// Routes beyond this number say nothing about a host.
const MOST_ROUTES: usize = 200;

/// Everything about how this machine is connected.
pub fn network() -> NetworkFacts {
    let mut routes = routes_four(&text("/proc/net/route"));
    routes.extend(routes_six(&text("/proc/net/ipv6_route")));
    routes.sort();
    routes.dedup();
    routes.truncate(MOST_ROUTES);
    let resolvers = text("/etc/resolv.conf");
    let resolvers = resolvers.lines().filter_map(|l| l.strip_prefix("nameserver"));
    NetworkFacts {
        interfaces: interfaces(),
        routes,
        resolvers: resolvers.map(|l| l.trim().to_owned()).collect(),
    }
}

/// Changes whenever the network may have.
pub fn stamp() -> String {
    let files = ["/proc/net/route", "/proc/net/fib_trie", "/proc/net/if_inet6", "/etc/resolv.conf"];
    files.map(text).join("\n")
}

fn interfaces() -> Vec<Interface> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for address in getifaddrs().into_iter().flatten() {
        if address.flags.contains(InterfaceFlags::IFF_LOOPBACK) || is_made(&address.interface_name)
        {
            continue;
        }
        let name = &address.interface_name;
        let interface = found.entry(name.clone()).or_insert_with(|| Interface {
            name: name.clone(),
            mac: mac(name),
            up: address.flags.contains(InterfaceFlags::IFF_UP),
            mtu: text(format!("/sys/class/net/{name}/mtu")).parse().unwrap_or(0),
            addresses: Vec::new(),
        });
        let four =
            |a: &nix::sys::socket::SockaddrStorage| a.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let six =
            |a: &nix::sys::socket::SockaddrStorage| a.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip()));
        let ip = address.address.as_ref().and_then(|a| four(a).or_else(|| six(a)));
        let mask = address.netmask.as_ref().and_then(|a| four(a).or_else(|| six(a)));
        if let (Some(ip), Some(mask)) = (ip, mask) {
            interface.addresses.push(format!("{ip}/{}", ones(mask)));
        }
    }
    for interface in found.values_mut() {
        interface.addresses.sort();
    }
    found.into_values().collect()
}

/// Interfaces of containers, which come and go with them.
fn is_made(name: &str) -> bool {
    name.starts_with("veth") || name.starts_with("cali") || name.starts_with("br-")
}

fn mac(name: &str) -> String {
    let mac = text(format!("/sys/class/net/{name}/address"));
    if mac == "00:00:00:00:00:00" { String::new() } else { mac }
}

fn ones(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(mask) => mask.to_bits().count_ones(),
        IpAddr::V6(mask) => mask.to_bits().count_ones(),
    }
}

fn routes_four(table: &str) -> Vec<NetworkRoute> {
    let read = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let address =
            |text: &str| u32::from_str_radix(text, 16).ok().map(|n| Ipv4Addr::from(n.swap_bytes()));
        let (interface, to) = (*fields.first()?, address(fields.get(1)?)?);
        let (via, mask) = (address(fields.get(2)?)?, address(fields.get(7)?)?);
        let length = mask.to_bits().count_ones() as u8;
        Some(NetworkRoute {
            to: Prefix::around(to.into(), length)?.to_string(),
            via: if via.is_unspecified() { String::new() } else { via.to_string() },
            interface: interface.to_owned(),
        })
    };
    table.lines().skip(1).filter_map(read).filter(|r| !is_made(&r.interface)).collect()
}

fn routes_six(table: &str) -> Vec<NetworkRoute> {
    let read = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let address = |text: &str| {
            let bits = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
            Some(Ipv6Addr::from(bits))
        };
        let to = address(fields.first()?)?;
        let length = u8::from_str_radix(fields.get(1)?, 16).ok()?;
        let (via, interface) = (address(fields.get(4)?)?, fields.get(9)?);
        // The machine's own addresses, and what goes to everybody, lead nowhere.
        let nowhere = *interface == "lo" || to.is_multicast() || to.is_unicast_link_local();
        if nowhere || length == 128 {
            return None;
        }
        Some(NetworkRoute {
            to: Prefix::around(to.into(), length)?.to_string(),
            via: if via.is_unspecified() { String::new() } else { via.to_string() },
            interface: (*interface).to_owned(),
        })
    };
    table.lines().filter_map(read).filter(|r| !is_made(&r.interface)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let said: Vec<String> =
            routes_four(table).iter().map(|r| format!("{} via {:?}", r.to, r.via)).collect();
        assert_eq!(said, ["0.0.0.0/0 via \"10.0.0.1\"", "10.0.0.0/24 via \"\""]);
        let six = "fd000000000000000000000000000000 40 0 0 0 0 0 0 0 eth0";
        assert!(routes_six(six).is_empty(), "a line of another kind is left out");
        let zero = "0".repeat(32);
        let six = format!("fd{} 40 {zero} 00 {zero} 100 1 0 1 eth0", "0".repeat(30));
        assert_eq!(routes_six(&six)[0].to, "fd00::/64");
    }
}
