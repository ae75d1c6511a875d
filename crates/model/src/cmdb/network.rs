//! Networks: which prefixes they have and to whom their addresses were given. Which is the next
//! free, and whether two overlap, is worked out by the planner.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::prefix::Prefix;
use crate::name::{self, Invalid};
use crate::object::{Explained, Spec};

/// Prefixes of addresses that belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who answers for it, as `team/NAME` or `user/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its prefixes. Those of two networks of one domain share no address, unless one network is
    /// within the other.
    pub prefixes: Vec<Prefix>,
    /// Where addresses are unique; the same prefix may be used once in each. `default`, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The network its prefixes are cut out of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The zone it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The number of its virtual network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Prefixes of which no address is given out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<Prefix>,
    /// Addresses that were given out, and to whom: `host/h1`, or words. A manifest adds to them and
    /// takes none back, since it may be older than what was given out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assigned: BTreeMap<IpAddr, String>,
}

impl Network {
    /// Where its addresses are unique.
    pub fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or("default")
    }

    /// Whether an address is in one of its prefixes.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.prefixes.iter().any(|prefix| prefix.contains(address))
    }
}

/// Networks have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkStatus {}

impl Explained for NetworkStatus {}

impl Spec for Network {
    const KIND: Kind = Kind::Network;
    type Status = NetworkStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.prefixes.is_empty(), "prefixes", "is empty; name at least one");
        for (i, prefix) in self.prefixes.iter().enumerate() {
            if let Some(other) = self.prefixes[..i].iter().find(|other| other.overlaps(prefix)) {
                invalid.add(&format!("prefixes[{i}]"), format!("{prefix} overlaps {other}"));
            }
        }
        for (i, prefix) in self.reserved.iter().enumerate() {
            let inside = self.prefixes.iter().any(|own| own.covers(prefix));
            let path = format!("reserved[{i}]");
            invalid.add_if(!inside, &path, format!("{prefix} is in none of the prefixes"));
        }
        for (address, to) in &self.assigned {
            let path = format!("assigned.{address}");
            invalid.add_if(!self.contains(*address), &path, "is in none of the prefixes");
            invalid.add_if(to.is_empty(), &path, "says not to whom; write host/NAME, or words");
        }
        for (field, named) in
            [("domain", &self.domain), ("parent", &self.parent), ("zone", &self.zone)]
        {
            if let Some(named) = named {
                invalid.nest(field, name::check_simple(named));
            }
        }
        invalid.add_if(self.vlan.is_some_and(|v| v == 0 || v > 4094), "vlan", "is not 1 to 4094");
        invalid.into_result()
    }
}
