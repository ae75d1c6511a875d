//! Migrations: what runs on some hosts is moved off them, in waves. Not how a wave is chosen, which
//! is a planner's, nor the moving itself, which the deployments do as when a host is emptied.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::Money;
use crate::cmdb::explained;
use crate::name::Invalid;
use crate::object::{Explained, Reason, Spec};
use crate::quantity::Portion;
use crate::selector::Selector;
use crate::time::{Span, Timestamp};
use crate::{Instance, Kind, Object};

/// The code of a migration's reason where what it moves finds no host.
pub const NO_ROOM: &str = "no-room";

/// Moves what runs on some hosts to others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Migration {
    /// A filter of hosts, as `atoll find` takes it: they are emptied. Which they are is fixed when
    /// it begins, but for those that join while it is not over.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub off: String,
    /// Instead of `off`: from hosts that are fuller than the average, as much as that takes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub balance: bool,
    /// Only instances of applications with these labels; of all, if absent.
    #[serde(default)]
    pub applications: Selector,
    /// The hosts they go to, by their labels; all others, if absent.
    #[serde(default)]
    pub to: Selector,
    /// So many instances at a time, of all that are to be moved.
    #[serde(default = "Migration::usual_wave")]
    pub wave: Portion,
    /// How long it waits between two waves.
    #[serde(default)]
    pub pause: Span,
    /// A wave that takes longer is said to be stuck.
    #[serde(default = "Migration::usual_timeout")]
    pub wave_timeout: Span,
    /// The hosts stay closed to new instances afterwards, for as long as this migration is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retire: bool,
    /// No further wave is begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// It ends with the wave under way; the hosts are opened again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// The last so many waves are taken back: the hosts are opened, and as many instances of the
    /// same deployments are moved again, to where there is most room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub back: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Migration {
    fn usual_wave() -> Portion {
        Portion::percent(10)
    }
    fn usual_timeout() -> Span {
        Span::seconds(600)
    }
}

/// How far a migration is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationStatus {
    /// In one word.
    #[serde(default)]
    pub phase: MigrationPhase,
    /// The hosts that are emptied.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hosts: BTreeSet<String>,
    /// Where it balances: so many instances are to leave each host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quota: BTreeMap<String, u32>,
    /// Counts the waves.
    #[serde(default)]
    pub wave: u32,
    /// The instances of the wave under way, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub moving: BTreeMap<String, Move>,
    /// When the wave under way began, or the last one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave_at: Option<Timestamp>,
    /// So many instances were there to be moved when it began; not counted where it balances.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub found: u32,
    /// So many instances were moved.
    #[serde(default)]
    pub moved: u32,
    /// So many are left to be moved, those under way among them.
    #[serde(default)]
    pub left: u32,
    /// The waves that have ended, for those that are taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<Wave>,
    /// So many of `back` are dealt with: these waves were taken back, or there was none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub back: u32,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The state of a migration in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MigrationPhase {
    /// It has not begun.
    #[default]
    Waiting,
    /// A wave is under way, or the next one waits for its time.
    Moving,
    /// A person has stopped it between two waves.
    Paused,
    /// A wave does not end.
    Stuck,
    /// Waves are taken back.
    GoingBack,
    /// All is moved.
    Done,
    /// It was ended before.
    Cancelled,
}

impl MigrationPhase {
    /// Nothing more happens by itself.
    pub fn is_over(self) -> bool {
        matches!(self, MigrationPhase::Done | MigrationPhase::Cancelled)
    }
}

/// One instance that is moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    /// Of what.
    pub deployment: String,
    /// From where.
    pub from: String,
}

/// A wave that has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wave {
    /// Which.
    pub number: u32,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How many instances of which deployments were moved.
    pub moved: BTreeMap<String, u32>,
    /// It takes an earlier one back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// So many of them left without another having been made for them where they were to go: their
    /// deployment was changed meanwhile.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub elsewhere: u32,
}

/// What a migration would do: the answer to a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationForecast {
    /// The hosts that would be emptied.
    pub hosts: Vec<String>,
    /// So many instances would be moved.
    pub instances: u32,
    /// Why none would be, if so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nothing: String,
    /// So many of each deployment, and in how many waves.
    pub deployments: Vec<MovedDeployment>,
    /// So many waves.
    pub waves: u32,
    /// About how long, from how long instances took to become ready.
    pub takes: Span,
    /// So many hosts have to take them, were they filled one after the other.
    pub packed: u32,
    /// No fewer hosts could.
    pub least: u32,
    /// So many find no room, on hosts that pools make for it neither.
    pub unplaced: u32,
    /// What pools make for it, where the hosts there are do not have room for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_make: Option<HostsToMake>,
    /// What it moves costs an hour, in each currency there are prices of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<MovedCost>,
    /// What to know about it before.
    pub risks: Vec<String>,
}

/// Hosts that pools are still to make for what a migration moves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostsToMake {
    /// So many instances find room there, and on no host there is.
    pub instances: u32,
    /// The pools that make them.
    pub pools: Vec<String>,
    /// How long a host takes from being asked for to being there, where one was seen; in the time
    /// all takes it is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_in: Option<Span>,
}

/// What instances cost an hour where they are, and where they may be moved to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MovedCost {
    /// In this.
    pub currency: String,
    /// Where they are.
    pub was: Money,
    /// On the mean of the hosts they may go to.
    pub is: Money,
}

/// What of one deployment would be moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MovedDeployment {
    /// Which.
    pub deployment: String,
    /// So many instances.
    pub instances: u32,
    /// So many at a time.
    pub at_once: u32,
}

explained!(MigrationStatus);

impl Migration {
    /// Whether new instances are kept off a host by it.
    pub fn closes(&self, status: &MigrationStatus, host: &str) -> bool {
        let holds = match status.phase {
            MigrationPhase::Done => self.retire,
            MigrationPhase::Cancelled | MigrationPhase::GoingBack => false,
            _ => true,
        };
        holds && status.hosts.contains(host)
    }
}

impl MigrationStatus {
    /// Whether a wave waits for room.
    pub fn has_no_room(&self) -> bool {
        self.reasons.iter().any(|reason| reason.code == NO_ROOM)
    }

    /// So many of what it found have left by none of its waves: others moved or stopped them. Once
    /// waves are taken back, what did not come back to its hosts is among them.
    pub fn others(&self) -> u32 {
        self.found.saturating_sub(self.moved.saturating_add(self.left))
    }

    /// What became of all it was to move, in words.
    pub fn how_far(&self) -> String {
        let others = match self.others() {
            0 => String::new(),
            others => format!("{others} gone otherwise, "),
        };
        format!("{} moved, {others}{} left", self.moved, self.left)
    }

    /// So many waves could be taken back, that under way among them.
    pub fn forth(&self) -> usize {
        let back = self.phase == MigrationPhase::GoingBack;
        let under_way = usize::from(!self.moving.is_empty() && !back);
        let ended = self.waves.iter().filter(|wave| !wave.back).count();
        (ended + under_way).saturating_sub(self.back as usize)
    }

    /// Whether the wave under way moves an instance. One that was made since, elsewhere or for
    /// another that moves, may have the name of one that is gone, and is not moved.
    pub fn moves(&self, instance: &Object<Instance>) -> bool {
        let there = |one: &Move| one.from == instance.spec.host;
        let before = self.wave_at.is_none_or(|at| instance.meta.created_at <= Some(at));
        before && !self.phase.is_over() && self.moving.get(instance.name()).is_some_and(there)
    }
}

impl Spec for Migration {
    const KIND: Kind = Kind::Migration;
    type Status = MigrationStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let one = self.off.trim().is_empty() == self.balance;
        invalid.add_if(!one, "off", "give either a filter of hosts, or balance: true");
        let none = matches!(self.wave, Portion::Count(0) | Portion::Percent(0));
        invalid.add_if(none, "wave", "is nothing; a wave moves one instance at least");
        let short = self.wave_timeout.0 < 10_000;
        invalid.add_if(short, "waveTimeout", "is less than 10s");
        invalid.into_result()
    }
}
