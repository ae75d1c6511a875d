//! Who listens and who talks to whom, from `/proc`: listeners of the whole machine, and
//! connections of the processes of instances. Nothing of what is said is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use atoll_model::cmdb::facts::{Link, Listener};

use super::system::text;

/// A socket as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Socket {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    state: u8,
    inode: u64,
}

const ESTABLISHED: u8 = 0x01;
const TCP_LISTEN: u8 = 0x0A;
const UDP_UNCONNECTED: u8 = 0x07;

/// The connections of each network there is, as they are at one look: reading them costs the
/// kernel's whole table, however few there are, so that each network is read once.
#[derive(Default)]
pub struct Tables {
    tcp: BTreeMap<PathBuf, Vec<Socket>>,
}

impl Tables {
    /// Connections and listeners of the network a process is in; in a container that is another
    /// than the host's.
    fn tcp(&mut self, pid: &str) -> &[Socket] {
        let dir = Path::new("/proc").join(pid);
        // Without a name for its network, it is one of its own.
        let network = fs::read_link(dir.join("ns/net")).unwrap_or_else(|_| dir.clone());
        self.tcp.entry(network).or_insert_with(|| table(&dir.join("net"), "tcp"))
    }
}

/// What listens on this machine.
pub struct Listening(Vec<(&'static str, Socket)>);

impl Listening {
    /// As it is now.
    pub fn look(tables: &mut Tables) -> Listening {
        let tcp = tables.tcp("self").iter().filter(|s| s.state == TCP_LISTEN).cloned();
        let udp = table(Path::new("/proc/self/net"), "udp");
        // A datagram socket on a port the kernel chose is somebody asking, not listening.
        let fixed = |s: &Socket| s.state == UDP_UNCONNECTED && s.local.1 < 32_768;
        let udp = udp.into_iter().filter(fixed);
        Listening(tcp.map(|s| ("tcp", s)).chain(udp.map(|s| ("udp", s))).collect())
    }

    /// The inodes of everything that listens: while these are the same, so are the listeners.
    pub fn inodes(&self) -> BTreeSet<(u64, u16)> {
        self.0.iter().map(|(_, socket)| (socket.inode, socket.local.1)).collect()
    }
}

/// Every port that is listened on, with the name of the process.
pub fn listeners(listening: Listening) -> Vec<Listener> {
    let Listening(sockets) = listening;
    let wanted: BTreeSet<u64> = sockets.iter().map(|(_, socket)| socket.inode).collect();
    let owners = owners(&wanted);
    let mut found: BTreeSet<Listener> = BTreeSet::new();
    for (protocol, socket) in sockets {
        found.insert(Listener {
            port: socket.local.1,
            protocol: protocol.to_owned(),
            address: socket.local.0.to_string(),
            process: owners.get(&socket.inode).cloned().unwrap_or_default(),
        });
    }
    found.into_iter().collect()
}

/// The names of the processes that hold these sockets.
fn owners(wanted: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let mut owners = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        for inode in inodes(pid) {
            if wanted.contains(&inode) {
                owners.entry(inode).or_insert_with(|| text(format!("/proc/{pid}/comm")));
            }
        }
        if owners.len() == wanted.len() {
            break;
        }
    }
    owners
}

/// The sockets a process holds.
fn inodes(pid: u32) -> Vec<u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    descriptors.filter_map(inode).collect()
}

/// A process and everything it has started.
fn family(pid: u32) -> Vec<u32> {
    let (mut all, mut at) = (vec![pid], 0);
    while let Some(pid) = all.get(at).copied() {
        at += 1;
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = text(thread.path().join("children"));
            let children = children.split_whitespace().filter_map(|c| c.parse().ok());
            all.extend(children.collect::<Vec<u32>>());
        }
    }
    all
}

/// Whom the processes of an instance talk to: connections they have opened, not those that were
/// opened to them.
pub fn links(tables: &mut Tables, instance: &str, pid: u32) -> BTreeSet<Link> {
    let mut found = BTreeSet::new();
    let family = family(pid);
    let ours: BTreeSet<u64> = family.iter().flat_map(|pid| inodes(*pid)).collect();
    let all = tables.tcp(&pid.to_string());
    let own = |socket: &&Socket| ours.contains(&socket.inode);
    let served: BTreeSet<u16> = all
        .iter()
        .filter(own)
        .filter(|socket| socket.state == TCP_LISTEN)
        .map(|socket| socket.local.1)
        .collect();
    for socket in all.iter().filter(own) {
        if socket.state == ESTABLISHED && !served.contains(&socket.local.1) {
            found.insert(Link {
                instance: instance.to_owned(),
                address: socket.remote.0.to_string(),
                port: socket.remote.1,
            });
        }
    }
    found
}

/// The sockets of a protocol, of both families.
fn table(dir: &Path, protocol: &str) -> Vec<Socket> {
    let names = [dir.join(protocol), dir.join(format!("{protocol}6"))];
    names.into_iter().flat_map(|path| sockets(&text(path))).collect()
}

/// The rows of a table of sockets.
fn sockets(table: &str) -> Vec<Socket> {
    let read = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (local, remote) = (end(fields.nth(1)?)?, end(fields.next()?)?);
        let state = u8::from_str_radix(fields.next()?, 16).ok()?;
        let inode = fields.nth(5)?.parse().ok()?;
        Some(Socket { local, remote, state, inode })
    };
    table.lines().skip(1).filter_map(read).collect()
}

/// `0100007F:1F90` is 127.0.0.1:8080: words of four bytes, each in the machine's order.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes)
    };
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(words.iter().flatten()).for_each(|(to, from)| *to = *from);
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some((ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn ends_are_read() {
        let (ip, port) = end("0100007F:1F90").unwrap();
        assert_eq!((ip.to_string().as_str(), port), ("127.0.0.1", 8080));
        let mapped = "0000000000000000FFFF00000100007F:0016";
        assert_eq!(end(mapped).unwrap().0.to_string(), "127.0.0.1");
        assert_eq!(end("nonsense"), None);
        assert_eq!(end("0100:99"), None);
    }

    #[test]
    fn a_connection_that_was_opened_is_a_link_and_one_that_was_taken_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let opened = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (taken, _) = listener.accept().unwrap();
        let mut tables = Tables::default();
        let all = links(&mut tables, "a.b.0", std::process::id());
        let link = Link { instance: "a.b.0".into(), address: "127.0.0.1".into(), port };
        assert!(all.contains(&link), "{all:?}");
        let back = opened.local_addr().unwrap().port();
        assert!(!all.iter().any(|link| link.port == back), "{all:?}");
        let listening = Listening::look(&mut tables);
        let own = listeners(listening).into_iter().find(|l| l.port == port && l.protocol == "tcp");
        assert!(own.is_some_and(|l| !l.process.is_empty()), "the listener has its process");
        drop((opened, taken));
    }
}
