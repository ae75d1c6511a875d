//! Pools of hosts: how many machines there are to be, who makes them, and how far each of them is.
//! Not which machine is made or let go next, which is a planner's, nor how a provider is asked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::{Amount, ZONE_LABEL, explained};
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::{Span, Timestamp};

use self::provider::Provider;

pub mod provider;

/// The label that names a host's pool.
pub const POOL_LABEL: &str = "pool";
/// No pool has more machines.
pub const MOST: u32 = 10_000;

/// Hosts that are made and let go as they are needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pool {
    /// So many hosts there are to be.
    pub count: u32,
    /// No fewer may be asked for.
    #[serde(default)]
    pub min: u32,
    /// No more may be asked for.
    pub max: u32,
    /// Who makes the machines.
    pub provider: Provider,
    /// Labels that its hosts are given when they join, beside `pool`, which is its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The zone its hosts are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// A machine that was made and has not joined after this long is given up.
    #[serde(default = "Pool::usual_wait")]
    pub join_within: Span,
    /// A host that is not heard for this long is given up, and another one made.
    #[serde(default = "Pool::usual_wait")]
    pub replace_after: Span,
    /// So many machines there may be beyond `count`, while some are on their way out.
    #[serde(default = "Pool::usual_surge")]
    pub surge: u32,
    /// So many machines at most are made, emptied or given up at a time.
    #[serde(default = "Pool::usual_at_once")]
    pub at_once: u32,
    /// Whether `count` follows what runs on the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
}

/// The number of hosts follows what is to run on them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Autoscale {
    /// So many hundredths of the room are kept free.
    #[serde(default = "Autoscale::usual_headroom")]
    pub headroom: u32,
    /// Whether the number is changed, or only said.
    #[serde(default)]
    pub mode: AutoscaleMode,
    /// Fewer are asked for only after fewer have been enough for this long.
    #[serde(default = "Autoscale::usual_steady")]
    pub steady: Span,
}

/// Whether an advice is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AutoscaleMode {
    /// It is only said.
    #[default]
    Observe,
    /// It is followed.
    Act,
}

impl Pool {
    /// Whether its number follows what runs on its hosts.
    pub fn acts(&self) -> bool {
        self.autoscale.as_ref().is_some_and(|follows| follows.mode == AutoscaleMode::Act)
    }

    fn usual_wait() -> Span {
        Span::seconds(600)
    }
    fn usual_surge() -> u32 {
        1
    }
    fn usual_at_once() -> u32 {
        10
    }

    /// The labels of its hosts.
    pub fn labels_of_hosts(&self, name: &str) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert(POOL_LABEL.to_owned(), name.to_owned());
        labels.extend(self.zone.iter().map(|zone| (ZONE_LABEL.to_owned(), zone.clone())));
        labels
    }
}

impl Autoscale {
    fn usual_headroom() -> u32 {
        20
    }
    fn usual_steady() -> Span {
        Span::seconds(600)
    }
}

/// How far a pool is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// In one word.
    #[serde(default)]
    pub phase: PoolPhase,
    /// The generation this speaks of.
    #[serde(default)]
    pub observed_generation: u64,
    /// So many machines there are to be: `count`, or what is followed instead.
    #[serde(default)]
    pub wanted: u32,
    /// So many machines are at each point.
    #[serde(default)]
    pub counts: Counts,
    /// So many machines were asked for in all: the number of the next.
    #[serde(default)]
    pub made: u64,
    /// Each machine that was asked for and is not known to be gone, by its key, which is the name
    /// of its host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub machines: BTreeMap<String, Machine>,
    /// Machines the provider lists under this pool's name that are none of these, by what the
    /// provider calls them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orphans: BTreeMap<String, Orphan>,
    /// The provider, where it does not answer as it should.
    #[serde(default, skip_serializing_if = "Trouble::is_none")]
    pub provider: Trouble,
    /// It has said at least once which machines there are: before that it is asked for none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listed: bool,
    /// When it answered again after it had not: what was silent meanwhile is given time from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Timestamp>,
    /// Where the provider said its machines are: an account, an engine. Answers from elsewhere are
    /// not believed while there are machines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// So many machines in a row were asked for and did not join.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unjoined: u32,
    /// Why the last of those did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjoined_by: Option<Unjoined>,
    /// No further machine is asked for before this time, for that reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_until: Option<Timestamp>,
    /// What the number of hosts would be by what runs on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    /// While it followed that, and until `count` is edited: `count` as it was then, and how many
    /// hosts there were to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<LeftAt>,
    /// How long the last machines took from being asked for to being hosts, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub took: Vec<Span>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The number of hosts a pool was left at that followed what runs on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftAt {
    /// Its `count` then.
    pub count: u32,
    /// So many there were to be.
    pub wanted: u32,
}

impl PoolStatus {
    /// So many hosts there are to be where nothing is followed: as it was left when it ceased to
    /// follow, until somebody says how many.
    pub fn stays_at(&self, spec: &Pool) -> u32 {
        match self.left_at.filter(|left| left.count == spec.count) {
            Some(left) => left.wanted.clamp(spec.min, spec.max),
            None => spec.count,
        }
    }

    /// How long a machine takes from being asked for to being a host, by the last that did: the
    /// middle of them; nothing, where none was seen.
    pub fn boots_in(&self) -> Option<Span> {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The state of a pool in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PoolPhase {
    /// Nothing was looked at yet.
    #[default]
    Waiting,
    /// There are as many hosts as there are to be.
    Settled,
    /// Machines are made, or join.
    Growing,
    /// Machines are emptied, or deleted.
    Shrinking,
    /// Something stands in the way; the reasons say what.
    Stuck,
}

/// How many machines of a pool are at which point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// The provider is asked for them.
    pub creating: u32,
    /// They were made and have not joined.
    pub joining: u32,
    /// They are hosts and heard.
    pub ready: u32,
    /// They are hosts and not heard.
    pub lost: u32,
    /// What runs on them is moved.
    pub draining: u32,
    /// The provider is asked to delete them.
    pub deleting: u32,
    /// Of these, so many because they broke.
    pub failed: u32,
}

/// One machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// How far it is.
    #[serde(default)]
    pub phase: MachinePhase,
    /// Since when.
    #[serde(default)]
    pub since: Timestamp,
    /// What the provider calls it, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the provider was asked last, for as long as that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Asked>,
    /// When the provider was asked for it, until it has joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// Lists of the provider in a row that did not name it though they should have.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u32,
    /// It will go before long, and gets nothing new until then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// Why it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Why a machine that was asked for did not become a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Unjoined {
    /// The provider did not make it, as often as it was asked.
    Unmade,
    /// The provider said that it made it, and its list does not have it.
    Unlisted,
    /// It is there, and nothing was heard of it.
    Unheard,
}

/// How far a machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MachinePhase {
    /// The provider is, or will be, asked for it.
    #[default]
    Creating,
    /// It was made and has not joined.
    Joining,
    /// It is a host, and heard.
    Ready,
    /// It is a host, and not heard.
    Lost,
    /// What runs on it is moved.
    Draining,
    /// The provider is, or will be, asked to delete it.
    Deleting,
}

/// What a provider is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Deed {
    /// To make a machine.
    #[default]
    Create,
    /// To delete it.
    Delete,
}

/// One question to a provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// What was asked for.
    #[serde(default)]
    pub deed: Deed,
    /// When it was asked last.
    pub at: Timestamp,
    /// When that ended, in whatever way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How often it was asked in all.
    #[serde(default)]
    pub times: u32,
    /// What went wrong the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A list of the provider that was begun after it ended shows that nothing came of it, or the
    /// provider was never asked: it may be asked again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_vain: bool,
    /// However often it was tried, the provider cannot have heard of it: its program was not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unheard: bool,
}

/// A machine that nobody asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The key it carries.
    pub key: String,
    /// When it was first seen.
    pub since: Timestamp,
    /// It carries a key this pool has given out and taken back: it is deleted.
    #[serde(default)]
    pub ours: bool,
    /// The last question to delete it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Asked>,
}

/// A provider that does not answer as it should.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Since when it cannot be asked which machines there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How often that failed in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub times: u32,
    /// When it is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// What it said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

impl Trouble {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.since.is_none()
    }
}

/// What the number of hosts would be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// So many.
    pub count: u32,
    /// So many more would be needed than its most.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beyond: u32,
    /// What one of the hosts has for instances, as far as that was ever seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Amount>,
    /// Fewer would be enough, so many: followed once that was so for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fewer: Option<u32>,
    /// Since when fewer would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// From what, in words.
    pub because: String,
}

/// A machine as a provider lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    /// The key it was made with.
    pub key: String,
    /// What the provider calls it.
    #[serde(default)]
    pub id: String,
}

explained!(PoolStatus);

impl MachinePhase {
    /// It is to be, or to stay, a host.
    pub fn stays(self) -> bool {
        !matches!(self, MachinePhase::Draining | MachinePhase::Deleting)
    }
}

impl Asked {
    /// Whether nothing is known yet of what came of it.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}

impl Spec for Pool {
    const KIND: Kind = Kind::Pool;
    type Status = PoolStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let message = format!("is more than max, {}; raise max first, or with it", self.max);
        invalid.add_if(self.count > self.max, "count", message);
        let message = format!("is less than min, {}; lower min first, or with it", self.min);
        invalid.add_if(self.count < self.min, "count", message);
        invalid.add_if(self.max > MOST, "max", format!("is more than {MOST}"));
        invalid.nest("provider", self.provider.validate());
        invalid.nest("labels", name::check_labels(&self.labels));
        for own in [POOL_LABEL, ZONE_LABEL].iter().filter(|own| self.labels.contains_key(**own)) {
            let instead = if *own == ZONE_LABEL { "write spec.zone" } else { "leave it out" };
            invalid.add("labels", format!("{own:?} is given by the platform; {instead}"));
        }
        if let Provider::Static(_) = &self.provider {
            let own = "is not given to hosts that are there already; label them: atoll label";
            invalid.add_if(self.zone.is_some(), "zone", own);
            invalid.add_if(!self.labels.is_empty(), "labels", own);
        }
        if let Some(zone) = &self.zone {
            invalid.nest("zone", name::check_simple(zone));
        }
        invalid.add_if(self.join_within.0 < 10_000, "joinWithin", "is less than 10s");
        invalid.add_if(self.replace_after.0 < 10_000, "replaceAfter", "is less than 10s");
        invalid.add_if(self.at_once == 0, "atOnce", "is 0; nothing would ever be done");
        if let Some(autoscale) = &self.autoscale {
            let most = autoscale.headroom > 90;
            invalid.add_if(most, "autoscale.headroom", "is more than 90 hundredths");
        }
        invalid.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(text: &str) -> Result<(), Invalid> {
        let spec = format!("{{\"count\":2,\"max\":4,\"provider\":{{\"docker\":{{}}}}{text}}}");
        serde_json::from_str::<Pool>(&spec).expect("a pool").validate()
    }

    #[test]
    fn a_count_stays_within_its_bounds() {
        assert_eq!(pool(""), Ok(()));
        let wrong = pool(",\"min\":3").unwrap_err().to_string();
        assert!(wrong.contains("count: is less than min, 3"), "{wrong}");
        let spec: Pool =
            serde_json::from_str("{\"count\":5,\"max\":4,\"provider\":{\"docker\":{}}}").unwrap();
        let wrong = spec.validate().unwrap_err().to_string();
        assert!(wrong.contains("count: is more than max, 4"), "{wrong}");
    }

    #[test]
    fn labels_of_the_platform_are_not_given_by_hand() {
        let wrong = pool(",\"labels\":{\"zone\":\"a\"}").unwrap_err().to_string();
        assert!(wrong.contains("spec.zone"), "{wrong}");
    }
}
