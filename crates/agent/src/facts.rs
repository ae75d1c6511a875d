//! What this machine is: cores, memory, system, address, and the ports others listen on: what
//! placing instances needs. What it is in full is found below `facts/`.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::ops::Range;
use std::path::Path;

use atoll_model::agent::HostFacts;
use atoll_model::cmdb::{AgentStatus, Amount};
use atoll_model::{Cpu, Memory};
use nix::sys::utsname::uname;

use crate::runtime::cgroup::Layout;
use crate::runtime::users;

mod custom;
mod network;
mod packages;
mod sockets;
mod system;
pub mod watch;

/// Ports that instances may be given, or name themselves. Those above are lent by the system for a
/// moment, and come and go.
const PORTS: Range<u16> = 1..32_768;

/// Everything a server is told of this machine. Ports of `ours` are not among those taken.
pub fn facts(address: IpAddr, layout: &Layout, data: &Path, ours: &BTreeSet<u16>) -> HostFacts {
    let user = if users::possible(data).is_ok() { "user-per-instance" } else { NO_USER };
    let isolation = [layout.fact(), user, "no-new-privileges"].map(str::to_owned).into();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    // Whoever asks the engine adds it.
    let agent = AgentStatus { version, system: system(), isolation, ..AgentStatus::default() };
    let taken = listening().into_iter().filter(|p| PORTS.contains(p) && !ours.contains(p));
    HostFacts {
        capacity: capacity(),
        address: address.to_string(),
        agent,
        taken_ports: taken.collect(),
    }
}

const NO_USER: &str = "no-user-per-instance";

/// The address others reach this machine by: the one from which the first server that has a route
/// is reached.
pub fn address(servers: &[String]) -> IpAddr {
    way(servers).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// The same; none, where no server has a route now.
pub fn way(servers: &[String]) -> Option<IpAddr> {
    servers.iter().find_map(|server| route(server))
}

/// Every port of this machine that is listened on.
pub fn listening() -> BTreeSet<u16> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().filter_map(listener).collect::<Vec<u16>>())
        .collect()
}

/// The port of a line of `/proc/net/tcp`, if it is listened on.
fn listener(line: &str) -> Option<u16> {
    let mut fields = line.split_ascii_whitespace();
    let (_, local) = (fields.next()?, fields.next()?);
    let (_, state) = (fields.next()?, fields.next()?);
    let (_, port) = local.rsplit_once(':')?;
    (state == "0A").then(|| u16::from_str_radix(port, 16).ok())?
}

fn route(server: &str) -> Option<IpAddr> {
    let (scheme, rest) = server.split_once("://")?;
    let host = rest.trim_end_matches('/');
    let port = if scheme == "https" { 443 } else { 80 };
    let addresses: Vec<SocketAddr> = host
        .to_socket_addrs()
        .or_else(|_| format!("{host}:{port}").to_socket_addrs())
        .ok()?
        .collect();
    addresses.into_iter().find_map(|to| {
        let any: SocketAddr = if to.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(any).ok()?;
        // Nothing is sent; the kernel only chooses the way.
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

fn capacity() -> Amount {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:"))
        .and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .unwrap_or(0);
    let bound = |paths: [&str; 2], bound: fn(&str) -> Option<u64>| {
        let texts = paths.into_iter().filter_map(|path| fs::read_to_string(path).ok());
        texts.filter_map(|text| bound(&text)).min().unwrap_or(u64::MAX)
    };
    Amount {
        cpu: Cpu((cores * 1000).min(bound(CPU_BOUND, bounded_cpu).max(1))),
        memory: Memory((kib << 10).min(bound(MEMORY_BOUND, bounded_memory))),
        instances: 0,
    }
}

/// Where a container finds what it may have: version 2 of cgroups, and version 1.
const MEMORY_BOUND: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
const CPU_BOUND: [&str; 2] = ["/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"];
/// Quotas of version 1 are of this period, unless somebody went out of their way.
const USUAL_PERIOD: u64 = 100_000;

/// Thousandths of a core: `50000 100000`, `max 100000`, or a quota alone; -1 is none.
fn bounded_cpu(text: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace();
    let quota: u64 = words.next()?.parse().ok()?;
    let period: u64 = words.next().map_or(Some(USUAL_PERIOD), |word| word.parse().ok())?;
    quota.checked_mul(1000)?.checked_div(period)
}

fn bounded_memory(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn system() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    let name = name.map_or("Linux", |n| n.trim_matches('"'));
    match uname() {
        Ok(uname) => format!("{name}, kernel {}", uname.release().to_string_lossy()),
        Err(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_container_are_read() {
        assert_eq!(bounded_cpu("50000 100000\n"), Some(500));
        assert_eq!(bounded_cpu("150000\n"), Some(1500));
        assert_eq!([bounded_cpu("max 100000\n"), bounded_cpu("-1\n")], [None, None]);
        assert_eq!((bounded_memory("268435456\n"), bounded_memory("max")), (Some(1 << 28), None));
    }

    #[tokio::test]
    async fn listeners_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listening().contains(&port));
        drop(listener);
        // A child another test is about to start may hold it for a moment longer.
        let gone = async {
            while listening().contains(&port) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.unwrap();
        assert_eq!(super::listener("  sl  local_address rem_address   st tx_queue"), None);
        let line = "   0: 0100007F:4E20 0100007F:9999 01 00000000:00000000 00:00000000";
        assert_eq!(super::listener(line), None, "connected, not listening");
    }

    #[test]
    fn ports_others_listen_on_are_taken_where_instances_may_name_them() {
        let free = |ports: Range<u16>| {
            let mut all =
                ports.map(|port| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
            let bound = all.find_map(Result::ok).unwrap();
            let port = bound.local_addr().unwrap().port();
            (bound, port)
        };
        let ((_named, named), (_lent, lent)) = (free(2_000..PORTS.end), free(PORTS.end..u16::MAX));
        let taken = |ours: BTreeSet<u16>| {
            let (layout, data) = (Layout::None("none".to_owned()), Path::new("/"));
            facts(IpAddr::V4(Ipv4Addr::LOCALHOST), &layout, data, &ours).taken_ports
        };
        let nobody = taken(BTreeSet::new());
        assert_eq!((nobody.contains(&named), nobody.contains(&lent)), (true, false));
        assert!(!taken(BTreeSet::from([named])).contains(&named), "an instance has it");
    }

    #[test]
    fn a_server_on_this_machine_is_reached_over_loopback() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(address(&["http://127.0.0.1:7411".to_owned()]), loopback);
        assert_eq!(address(&[]), loopback);
        assert_eq!(address(&["nonsense".to_owned()]), loopback);
    }

    #[test]
    fn a_machine_has_something() {
        let facts = facts(
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            &Layout::None("none".to_owned()),
            Path::new("/"),
            &BTreeSet::new(),
        );
        assert!(facts.capacity.cpu.0 >= 1000 && facts.capacity.memory.0 > 1 << 20);
        assert!(facts.agent.system.contains("kernel"));
        assert!(facts.agent.isolation.contains(&"no-cgroup".to_owned()));
    }
}
