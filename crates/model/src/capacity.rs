//! What a deployment can carry: how much load one instance has proven to bear, how much is
//! expected, and how many instances that takes. Not how it is found out, which is a planner's, and
//! not the number of instances that is kept, which is `elasticity.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::{Amount, explained};
use crate::elasticity::{NO_AMOUNT, is_amount};
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::Timestamp;

pub mod size;

/// The capacity of one deployment. It is made from the application's `scaling`, has the
/// deployment's name, and what people write in it comes before what is found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capacity {
    /// The deployment.
    pub deployment: String,
    /// The load one instance carries, in place of what was declared and what has been proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<f64>,
    /// So much more than the load takes is planned for as a spare, as a share: 0.1 is a tenth. An
    /// autoscaler keeps its own margins beyond what is asked for, and not this.
    #[serde(default = "Capacity::usual_buffer")]
    pub buffer: f64,
}

impl Capacity {
    fn usual_buffer() -> f64 {
        0.1
    }
}

impl Default for Capacity {
    fn default() -> Capacity {
        Capacity { deployment: String::new(), each: None, buffer: Capacity::usual_buffer() }
    }
}

/// What a deployment can carry, and what it will have to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityStatus {
    /// In one word.
    #[serde(default)]
    pub phase: CapacityPhase,
    /// The load one instance carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<f64>,
    /// How that is known.
    #[serde(default)]
    pub known: Known,
    /// What instances of each release were seen to carry, the newest release first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<Carried>,
    /// The load now, of all instances together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// The same of the last minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_now: Option<f64>,
    /// So many instances serve.
    #[serde(default)]
    pub ready: u32,
    /// So many instances the present load takes, the buffer among them.
    #[serde(default)]
    pub needed: u32,
    /// The highest load that is expected on each of the next days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Peak>,
    /// How the next days were forecast, or why they were not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// When the next days were last forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast_at: Option<Timestamp>,
    /// When what is above was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// Whether a deployment can carry its load, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CapacityPhase {
    /// Its load is not measured.
    #[default]
    Unknown,
    /// It can, also in the next days with as many instances as it may have.
    Ample,
    /// It can now; what is expected in the next days is more than it may have instances for.
    Tight,
    /// It cannot: what serves is less than the load takes.
    Short,
}

/// How it is known what an instance carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Known {
    /// Its developers say so; more has not been seen yet.
    #[default]
    Declared,
    /// A person has set it here.
    Set,
    /// It was seen to carry that with all objectives held.
    Proven,
    /// With more than that, an objective was broken.
    Bounded,
}

/// What instances of one release were seen to carry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// The release.
    pub release: String,
    /// The most load of one instance, over five minutes, with all objectives held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The least load of one instance, above `most`, with an objective broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke: Option<f64>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke_at: Option<Timestamp>,
}

/// The highest load of a day to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peak {
    /// When.
    pub at: Timestamp,
    /// What is expected.
    pub expected: f64,
    /// It is higher one time in ten.
    pub high: f64,
    /// So many instances the higher one takes, the buffer among them.
    pub instances: u32,
}

/// What the fleet can carry, as it is or as it would be: the answer to a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityReport {
    /// Each deployment whose application says what an instance carries, those that lack most first.
    pub deployments: Vec<CapacityRow>,
    /// Each environment such deployments are in.
    pub environments: Vec<GroupRow>,
    /// All of them together.
    pub fleet: GroupRow,
    /// Each zone.
    pub zones: Vec<ZoneRoom>,
    /// So many instances would be lacking, and no host has room for them.
    pub unplaced: u32,
    /// Deployments whose applications do not say what an instance carries: they are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undeclared: Vec<String>,
    /// What these, and those whose load is not measured, would lose with a zone or a host; what of
    /// that finds no room counts in `unplaced`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lose: Vec<LossRow>,
}

/// What a deployment would lose of which nobody knows how many instances it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LossRow {
    /// Which.
    pub deployment: String,
    /// So many of its instances.
    pub lost: u32,
    /// So many would be left.
    pub left: u32,
    /// So many of those that are lost find room on other hosts.
    pub placed: u32,
}

/// One deployment of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityRow {
    /// Which.
    pub deployment: String,
    /// The load of all its instances together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// The load one instance carries.
    pub each: f64,
    /// How that is known.
    pub known: Known,
    /// So many instances serve.
    pub ready: u32,
    /// So many of them would be left.
    pub left: u32,
    /// So many the load takes, the buffer among them.
    pub needed: u32,
    /// So many of those are the buffer: the load is carried without them.
    pub spare: u32,
    /// The share of what serves that is not used; below zero where it is too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<f64>,
    /// So many are lacking that the load cannot be carried without: those of the buffer are not.
    pub missing: u32,
    /// So many of those that are lacking find room on hosts.
    pub placed: u32,
    /// So many more find room on hosts, were it alone to grow.
    pub room: u32,
    /// When more is expected than it may have instances for, or hosts have room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_out: Option<Timestamp>,
    /// What to know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Several deployments of a report together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupRow {
    /// The environment; empty where it is all of them.
    pub name: String,
    /// So many deployments.
    pub deployments: u32,
    /// The load of so many of them is not known: they count in none of what follows.
    pub unmeasured: u32,
    /// So many instances of the others would be left.
    pub left: u32,
    /// So many the loads take, the buffers among them.
    pub needed: u32,
    /// So many of those are the buffers.
    pub spare: u32,
    /// The share of what serves that is not used, weighed by instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<f64>,
    /// The deployment that has the least of it: what the whole has is no use to one that lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tightest: Option<String>,
    /// So many are lacking that the loads cannot be carried without.
    pub missing: u32,
    /// So many of those that are lacking find room on hosts.
    pub placed: u32,
}

/// What hosts of a zone have room for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRoom {
    /// Which.
    pub zone: String,
    /// So many hosts instances may be placed on.
    pub hosts: u32,
    /// What instances may use of them.
    pub capacity: Amount,
    /// What of it is reserved.
    pub used: Amount,
    /// So many more hosts are closed to new instances.
    #[serde(default)]
    pub closed: u32,
    /// So many more are not heard from.
    #[serde(default)]
    pub silent: u32,
    /// It is taken to be lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

explained!(CapacityStatus);

impl Spec for Capacity {
    const KIND: Kind = Kind::Capacity;
    type Status = CapacityStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("deployment", name::check_derived(&self.deployment));
        let wrong = self.each.is_some_and(|each| !is_amount(each));
        invalid.add_if(wrong, "each", NO_AMOUNT);
        let wrong = !(0.0..=10.0).contains(&self.buffer);
        invalid.add_if(wrong, "buffer", "is not a share of 0 to 10; a tenth is 0.1");
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Capacity) -> Result<(), Invalid> {
        if name == spec.deployment {
            return name::check_derived(name);
        }
        Err(Invalid::one("", format!("this capacity is named {}", spec.deployment)))
    }
}
