//! What a hollow host says it is: all parts of the facts an agent finds on an ordinary server of a
//! few years, of about the size they have there. Nothing is found; hosts differ where real ones do.

use std::collections::BTreeMap;

use atoll_model::cmdb::facts::{
    CpuFacts, Disk, FactsData, FactsReport, Filesystem, FoundFacts, HardwareFacts, Interface, Link,
    Listener, NetworkFacts, NetworkRoute, OsFacts, StorageFacts, SystemFacts,
};
use atoll_model::{Memory, Timestamp};
use serde_json::json;

/// A filter that lets every such host through, and looks at what only its facts say.
pub const EVERY: &str = "kind = host and os.name = debian and memory > 8Gi and \
                         interfaces.3.mac exists and packages.libexample0399 exists and \
                         custom.rack.row exists";
const PACKAGES: usize = 400;
const ROUTES: usize = 10;

/// Whose ports are listened on, besides those of services of the host's own.
const USUAL: [(u16, &str, &str); 6] = [
    (22, "tcp", "sshd"),
    (25, "tcp", "master"),
    (53, "udp", "systemd-resolve"),
    (111, "tcp", "rpcbind"),
    (123, "udp", "chronyd"),
    (9100, "tcp", "node_exporter"),
];
const SERVICES: usize = 24;

/// The name of a host, as the fleet has it.
pub fn name(number: usize) -> String {
    format!("h{number:05}")
}

/// Everything a host says when it is asked for the first time.
pub fn report(number: usize) -> FactsReport {
    let parts = [
        FactsData::System(Box::new(system(number))),
        FactsData::Storage(storage(number)),
        FactsData::Network(network(number)),
        FactsData::Listeners(listeners()),
        FactsData::Links(links(number)),
        FactsData::Packages(packages(number)),
        FactsData::Custom(
            [
                ("rack".to_owned(), json!({ "row": number / 40, "unit": number % 40 })),
                ("backup".to_owned(), json!({ "last": "2026-11-01T03:12:44Z", "ok": true })),
            ]
            .into(),
        ),
    ];
    let found = parts.map(|data| {
        let text = serde_json::to_vec(&data).unwrap_or_default();
        let digest = blake3::hash(&text).to_hex()[..32].to_owned();
        FoundFacts { digest, data }
    });
    let digests = found.iter().map(|found| (found.data.part(), found.digest.clone())).collect();
    FactsReport { digests, parts: found.into() }
}

fn system(number: usize) -> SystemFacts {
    SystemFacts {
        hostname: format!("{}.example.internal", name(number)),
        os: OsFacts {
            name: "debian".to_owned(),
            version: "12".to_owned(),
            pretty: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        },
        kernel: format!("6.1.0-{}-amd64", 18 + number % 9),
        architecture: "x86_64".to_owned(),
        cpu: CpuFacts {
            model: "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz".to_owned(),
            cores: 64,
            sockets: 2,
        },
        memory: Memory((256 << 30) - (number as u64 % 7) * 4_096),
        swap: Memory(8 << 30),
        virtualization: "none".to_owned(),
        hardware: HardwareFacts {
            vendor: "Dell Inc.".to_owned(),
            product: "PowerEdge R650".to_owned(),
            serial: format!("5CD{number:07}"),
            uuid: format!("4c4c4544-0034-4d10-8052-{number:012x}"),
            machine_id: format!("{:032x}", number as u128 + (0xa7_011 << 96)),
        },
        booted_at: Some(Timestamp(1_790_000_000_000 + number as i64 * 1_000)),
        ..SystemFacts::default()
    }
}

fn storage(number: usize) -> StorageFacts {
    let disks = (0..5).map(|at| Disk {
        name: format!("nvme{at}n1"),
        size: Memory(3_840_755_982_336),
        model: "SAMSUNG MZQL23T8HCLS-00A07".to_owned(),
        serial: format!("S64HNE0T{:06}", number * 5 + at),
        rotational: false,
    });
    let mounts = ["/", "/boot", "/boot/efi", "/var/lib/atoll", "/srv/data"];
    let filesystems = mounts.iter().enumerate().map(|(at, mount)| Filesystem {
        mount: (*mount).to_owned(),
        device: format!("/dev/nvme{at}n1p{}", at + 1),
        of: if at == 2 { "vfat" } else { "ext4" }.to_owned(),
        size: Memory(1 << (30 + at)),
        read_only: false,
    });
    StorageFacts { disks: disks.collect(), filesystems: filesystems.collect() }
}

fn network(number: usize) -> NetworkFacts {
    let (high, low) = (number / 250, number % 250 + 1);
    let names = ["bond0", "eno1", "eno2", "ens3f0"];
    let interfaces = names.iter().enumerate().map(|(at, name)| Interface {
        name: (*name).to_owned(),
        mac: format!("b0:7b:{:02x}:{at:02x}:{:02x}:{low:02x}", 25, high),
        addresses: vec![
            format!("10.{}.{high}.{low}/24", 16 + at),
            format!("fd00:{at}:{high:x}::{low:x}/64"),
            format!("fe80::b27b:25ff:fe{high:02x}:{low:02x}/64"),
        ],
        up: true,
        mtu: 9_000,
    });
    let route = |at: usize| NetworkRoute {
        to: if at == 0 { "0.0.0.0/0".to_owned() } else { format!("10.{}.0.0/16", 100 + at) },
        via: format!("10.16.{high}.254"),
        interface: "bond0".to_owned(),
    };
    NetworkFacts {
        interfaces: interfaces.collect(),
        routes: (0..ROUTES).map(route).collect(),
        resolvers: vec!["10.16.0.2".to_owned(), "10.16.0.3".to_owned()],
    }
}

fn listeners() -> Vec<Listener> {
    let usual = USUAL.iter().map(|(port, protocol, process)| (*port, *protocol, *process, "::"));
    let own = (0..SERVICES).map(|at| (8_000 + at as u16 * 10, "tcp", "java", "0.0.0.0"));
    let all = usual.chain(own).map(|(port, protocol, process, address)| Listener {
        port,
        protocol: protocol.to_owned(),
        address: address.to_owned(),
        process: process.to_owned(),
    });
    all.collect()
}

fn links(number: usize) -> Vec<Link> {
    let link = |at: usize| Link {
        instance: format!("shop.prod.{number}"),
        address: format!("10.20.{at}.{}", number % 250 + 1),
        port: 5_432,
    };
    (0..5).map(link).collect()
}

/// Versions by name; one in fifty is of another version than on other hosts.
fn packages(number: usize) -> BTreeMap<String, String> {
    let version = |at: usize| {
        let patch = if (at + number).is_multiple_of(50) { number % 10 } else { 0 };
        format!("{}.{}.{patch}-{}+deb12u{}", at % 9, at % 31, at % 5 + 1, at % 4)
    };
    (0..PACKAGES).map(|at| (format!("libexample{at:04}"), version(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_says_as_much_as_an_ordinary_one() {
        let report = report(7);
        assert_eq!((report.parts.len(), report.digests.len()), (7, 7));
        assert!(report.parts.iter().all(|found| found.data.check().is_ok()));
        let bytes = serde_json::to_vec(&report).unwrap().len();
        assert!((15_000..40_000).contains(&bytes), "{bytes} bytes");
        assert_ne!(report.digests, super::report(8).digests);
    }
}
