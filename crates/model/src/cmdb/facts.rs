//! What a machine is, in full, as its agent finds it: system, storage, network, listeners, links,
//! packages, and what its owner's plug-ins say. Each part is an object of its own, so that a port
//! that opens rewrites no list of packages. Not how facts are found, which is the agent's.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Kind;
use crate::name::{self, Invalid};
use crate::object::{Explained, Spec};
use crate::quantity::Memory;
use crate::time::Timestamp;

/// One part may have so many bytes as JSON; what is larger is refused.
pub const LARGEST_PART: usize = 1 << 20;
/// Lists of a part may have so many entries.
pub const LONGEST_LIST: usize = 20_000;
/// The deepest facts may be nested.
const DEEPEST: usize = 32;

/// One part of the facts of one host: whose, and which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// The host.
    pub host: String,
    /// The part.
    pub part: FactsPart,
}

/// Which part of a host's facts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum FactsPart {
    /// Operating system, kernel, processor, memory, virtualization, cloud, serial numbers.
    System,
    /// Disks and filesystems.
    Storage,
    /// Interfaces, addresses, routes.
    Network,
    /// Ports that are listened on, and by whom.
    Listeners,
    /// Whom the processes of instances talk to.
    Links,
    /// Installed packages.
    Packages,
    /// What plug-ins of the host's owner say.
    Custom,
    /// What was to be made so and could not.
    Mends,
}

impl FactsPart {
    /// Every part, in the order it is shown.
    pub const ALL: [FactsPart; 8] = [
        FactsPart::System,
        FactsPart::Storage,
        FactsPart::Network,
        FactsPart::Listeners,
        FactsPart::Links,
        FactsPart::Packages,
        FactsPart::Custom,
        FactsPart::Mends,
    ];

    /// The word used in names and manifests.
    pub fn name(self) -> &'static str {
        match self {
            FactsPart::System => "system",
            FactsPart::Storage => "storage",
            FactsPart::Network => "network",
            FactsPart::Listeners => "listeners",
            FactsPart::Links => "links",
            FactsPart::Packages => "packages",
            FactsPart::Custom => "custom",
            FactsPart::Mends => "mends",
        }
    }

    /// What the object of this part of a host is called.
    pub fn of_host(self, host: &str) -> String {
        format!("{host}.{}", self.name())
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactsStatus {
    /// What the agent takes for this content; never interpreted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// When it became so, by the server's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<FactsData>,
}

impl Explained for FactsStatus {}

impl Spec for Facts {
    const KIND: Kind = Kind::Facts;
    type Status = FactsStatus;

    fn validate(&self) -> Result<(), Invalid> {
        name::check_simple(&self.host)
    }

    fn validate_name(name: &str, spec: &Self) -> Result<(), Invalid> {
        if name == spec.part.of_host(&spec.host) {
            return Ok(());
        }
        Err(Invalid::one("", format!("is not HOST.PART: {}", spec.part.of_host(&spec.host))))
    }
}

/// The content of a part, told apart by its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FactsData {
    /// See [`FactsPart::System`].
    System(Box<SystemFacts>),
    /// See [`FactsPart::Storage`].
    Storage(StorageFacts),
    /// See [`FactsPart::Network`].
    Network(NetworkFacts),
    /// See [`FactsPart::Listeners`].
    Listeners(Vec<Listener>),
    /// See [`FactsPart::Links`].
    Links(Vec<Link>),
    /// Versions by name; see [`FactsPart::Packages`].
    Packages(BTreeMap<String, String>),
    /// By the name of the plug-in; see [`FactsPart::Custom`].
    Custom(BTreeMap<String, Value>),
    /// Why, by the path of the fact; see [`FactsPart::Mends`].
    Mends(BTreeMap<String, String>),
}

/// Operating system, kernel, processor, memory, virtualization, cloud, serial numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SystemFacts {
    /// The name the machine gives itself.
    pub hostname: String,
    /// The operating system.
    pub os: OsFacts,
    /// The kernel's release: `6.1.0-18-amd64`.
    pub kernel: String,
    /// The architecture: `x86_64`.
    pub architecture: String,
    /// The processor.
    pub cpu: CpuFacts,
    /// Memory in all.
    pub memory: Memory,
    /// Swap in all.
    pub swap: Memory,
    /// What it runs in: `kvm`, `docker`, `none`, …
    pub virtualization: String,
    /// Who lends it, if anybody.
    #[serde(skip_serializing_if = "CloudFacts::is_empty")]
    pub cloud: CloudFacts,
    /// What tells this machine from others.
    pub hardware: HardwareFacts,
    /// When it was started, rounded to seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booted_at: Option<Timestamp>,
}

impl SystemFacts {
    /// The signs a machine may be told by, the strongest first: what each is called, and what it
    /// is made of. Parts may be empty, or junk.
    pub fn signs(&self) -> [(&'static str, Vec<&str>); 5] {
        let hardware = &self.hardware;
        [
            ("cloud-instance", vec![&self.cloud.provider, &self.cloud.instance]),
            ("uuid-and-serial", vec![&hardware.uuid, &hardware.serial]),
            ("uuid", vec![&hardware.uuid]),
            ("serial", vec![&hardware.serial]),
            ("machine-id", vec![&hardware.machine_id]),
        ]
    }
}

/// An operating system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OsFacts {
    /// `debian`.
    pub name: String,
    /// `12`.
    pub version: String,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub pretty: String,
}

/// A processor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CpuFacts {
    /// What it calls itself.
    pub model: String,
    /// Threads it runs at a time.
    pub cores: u32,
    /// Processors that can be taken out.
    pub sockets: u32,
}

/// Who lends a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CloudFacts {
    /// `aws`, `gcp`, `azure`, …
    pub provider: String,
    /// Its name for the machine.
    pub instance: String,
    /// Its name for the place.
    pub zone: String,
}

impl CloudFacts {
    fn is_empty(&self) -> bool {
        *self == CloudFacts::default()
    }
}

/// What tells a machine from others. Any of it may be empty, or junk that its maker left in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HardwareFacts {
    /// Its maker.
    pub vendor: String,
    /// Its model.
    pub product: String,
    /// Its serial number.
    pub serial: String,
    /// The board's universally unique id.
    pub uuid: String,
    /// The installation's id, from `/etc/machine-id`.
    pub machine_id: String,
}

/// Disks and filesystems.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageFacts {
    /// Disks, by name.
    pub disks: Vec<Disk>,
    /// What is mounted, by where. How full it is, is measured and no fact.
    pub filesystems: Vec<Filesystem>,
}

/// One disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Disk {
    /// `sda`.
    pub name: String,
    /// Its size.
    pub size: Memory,
    /// Its model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Its serial number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Whether it has platters.
    pub rotational: bool,
}

/// One filesystem.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Filesystem {
    /// Where it is mounted.
    pub mount: String,
    /// What is mounted.
    pub device: String,
    /// `ext4`.
    #[serde(rename = "type")]
    pub of: String,
    /// Its size.
    pub size: Memory,
    /// Whether it cannot be written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// Interfaces, addresses, routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkFacts {
    /// Interfaces, by name.
    pub interfaces: Vec<Interface>,
    /// Routes.
    pub routes: Vec<NetworkRoute>,
    /// Servers that are asked for names.
    pub resolvers: Vec<String>,
}

/// One network interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Interface {
    /// `eth0`.
    pub name: String,
    /// Its hardware address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac: String,
    /// Its addresses, as `10.0.0.1/24`.
    pub addresses: Vec<String>,
    /// Whether it is up.
    pub up: bool,
    /// The largest packet, in bytes.
    pub mtu: u32,
}

/// One route.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkRoute {
    /// Where to, as a prefix.
    pub to: String,
    /// Through whom; empty for neighbours.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub via: String,
    /// Over which interface.
    pub interface: String,
}

/// One port that is listened on.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase", default)]
pub struct Listener {
    /// Its number.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// On which addresses.
    pub address: String,
    /// Whose process it is; empty, where the agent may not see that.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub process: String,
}

/// A connection somebody's process has opened and keeps, or has kept lately.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase", default)]
pub struct Link {
    /// The instance whose process opened it.
    pub instance: String,
    /// The other end's address.
    pub address: String,
    /// The other end's port.
    pub port: u16,
}

impl FactsData {
    /// Which part it is.
    pub fn part(&self) -> FactsPart {
        match self {
            FactsData::System(_) => FactsPart::System,
            FactsData::Storage(_) => FactsPart::Storage,
            FactsData::Network(_) => FactsPart::Network,
            FactsData::Listeners(_) => FactsPart::Listeners,
            FactsData::Links(_) => FactsPart::Links,
            FactsData::Packages(_) => FactsPart::Packages,
            FactsData::Custom(_) => FactsPart::Custom,
            FactsData::Mends(_) => FactsPart::Mends,
        }
    }

    /// Checks that it is of a size that may be kept.
    ///
    /// # Errors
    /// What is too much, or no such thing.
    pub fn check(&self) -> Result<(), Invalid> {
        let part = self.part().name();
        let entries = match self {
            FactsData::System(_) => 0,
            FactsData::Storage(all) => all.disks.len() + all.filesystems.len(),
            FactsData::Network(all) => all.interfaces.len() + all.routes.len(),
            FactsData::Listeners(all) => all.len(),
            FactsData::Links(all) => all.len(),
            FactsData::Packages(all) => all.len(),
            FactsData::Custom(all) => all.len(),
            FactsData::Mends(all) => all.len(),
        };
        if entries > LONGEST_LIST {
            let message = format!("has {entries} entries; at most {LONGEST_LIST} are kept");
            return Err(Invalid::one(part, message));
        }
        let size = serde_json::to_vec(self).map_or(usize::MAX, |text| text.len());
        if size > LARGEST_PART {
            let message = format!("has {size} bytes; at most {LARGEST_PART} are kept");
            return Err(Invalid::one(part, message));
        }
        self.misshapen().map_or(Ok(()), |message| Err(Invalid::one(part, message)))
    }

    /// What of it cannot be what an agent finds.
    fn misshapen(&self) -> Option<String> {
        if let FactsData::Network(all) = self {
            let no_address = |text: &&String| {
                let bare = text.split(['/', '%']).next().unwrap_or_default();
                bare.parse::<std::net::IpAddr>().is_err()
            };
            for interface in &all.interfaces {
                if let Some(wrong) = interface.addresses.iter().find(no_address) {
                    return Some(format!("{:?} of {:?} is no address", wrong, interface.name));
                }
            }
        }
        serde_json::to_value(self).ok().and_then(|value| odd(&value, 0))
    }
}

/// What no store keeps and nobody reads: texts with NUL, and what is nested without end.
fn odd(value: &Value, depth: usize) -> Option<String> {
    let text = |text: &String| {
        text.contains('\0').then(|| format!("{:?}… holds a NUL", text.get(..20).unwrap_or(text)))
    };
    if depth > DEEPEST {
        return Some(format!("is nested more than {DEEPEST} deep"));
    }
    match value {
        Value::String(value) => text(value),
        Value::Array(all) => all.iter().find_map(|value| odd(value, depth + 1)),
        Value::Object(all) => {
            all.iter().find_map(|(key, value)| text(key).or_else(|| odd(value, depth + 1)))
        }
        _ => None,
    }
}

/// One part, as an agent hands it in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundFacts {
    /// What the agent takes for this content.
    pub digest: String,
    /// The content.
    pub data: FactsData,
}

/// `POST /v1/agents/{host}/facts`: what has changed, and the digest of everything, so that what got
/// lost on the way is found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactsReport {
    /// The digest of every part the agent has.
    pub digests: BTreeMap<FactsPart, String>,
    /// Parts that have changed.
    #[serde(default)]
    pub parts: Vec<FoundFacts>,
}

/// The answer to [`FactsReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactsWanted {
    /// Parts whose digest is not the one known here, to be handed in.
    pub parts: Vec<FactsPart>,
    /// Parts that were not taken, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<crate::Reason>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_refused() {
        let many = (0..=LONGEST_LIST).map(|i| (format!("p{i}"), String::new())).collect();
        let said = FactsData::Packages(many).check().unwrap_err().to_string();
        assert_eq!(said, "packages: has 20001 entries; at most 20000 are kept");
        let fat = [("x".to_owned(), Value::String("y".repeat(LARGEST_PART)))].into();
        assert!(FactsData::Custom(fat).check().is_err());
        assert!(FactsData::Listeners(vec![Listener::default()]).check().is_ok());
    }

    #[test]
    fn what_no_agent_finds_is_refused() {
        let network = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
            let eth0 = Interface { name: "eth0".into(), addresses, ..Interface::default() };
            FactsData::Network(NetworkFacts { interfaces: vec![eth0], ..NetworkFacts::default() })
        };
        assert!(network(&["10.0.0.1/24", "fe80::1%eth0/64", "::1"]).check().is_ok());
        let said = network(&["10.0.0.1/24", "<script>"]).check().unwrap_err().to_string();
        assert_eq!(said, r#"network: "<script>" of "eth0" is no address"#);
        let custom = |value: Value| FactsData::Custom([("x".to_owned(), value)].into()).check();
        assert!(custom(serde_json::json!({ "two\nlines": ["a\tb"] })).is_ok());
        assert!(custom(serde_json::json!({ "a": ["b\0c"] })).is_err());
        assert!(custom(serde_json::json!({ "a\0": 1 })).is_err());
        let deep = (0..40).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert!(custom(deep).unwrap_err().to_string().contains("nested more than 32 deep"));
    }

    #[test]
    fn a_part_is_named_after_its_host() {
        let of = Facts { host: "h1".into(), part: FactsPart::Packages };
        assert!(Facts::validate_name("h1.packages", &of).is_ok());
        assert!(Facts::validate_name("h2.packages", &of).is_err());
        let text = serde_json::to_string(&FactsData::Links(Vec::new())).unwrap();
        assert_eq!(text, r#"{"links":[]}"#);
    }
}
