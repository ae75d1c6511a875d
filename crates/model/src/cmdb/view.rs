//! What the inventory says of things when it is asked: worked out, never stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cmdb::item::{Observed, Used};
use crate::time::Timestamp;

/// One attribute of something in its three columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// `os.version`.
    pub name: String,
    /// What it should be; absent, where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should: Option<Value>,
    /// What sources say it is, the one that is believed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub is: Vec<Observed>,
    /// When the one that is believed was last known to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// What a consumer met who relied on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
    /// How they stand to each other.
    pub standing: Standing,
}

/// How should, is and used stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// It is as it should be.
    Agrees,
    /// It is something else.
    Differs,
    /// It should be something, and nobody has seen what it is.
    Unseen,
    /// It was seen, too long ago.
    Stale,
    /// Whoever relied on it failed.
    Unusable,
    /// It is something, and nobody says what it should be.
    Undeclared,
}

/// `GET /v1/inventory/{plural}/{name}`: one thing, in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThingView {
    /// `host/h1`.
    pub subject: String,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// Why it is taken for what it is.
    pub identity: Vec<String>,
    /// What it has to do with others.
    pub relations: Vec<Relation>,
    /// The names of its findings.
    pub drift: Vec<String>,
}

/// What one thing has to do with another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Relation {
    /// From: `instance/shop.prod.0`.
    pub from: String,
    /// `runs-on`, `needs`, `talks-to`, `in`, or a relation of a class.
    pub relation: String,
    /// To: `host/h1`.
    pub to: String,
    /// `declared` by people, or `discovered`.
    pub source: RelationSource,
}

/// How a relation is known.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum RelationSource {
    /// Somebody has written it.
    Declared,
    /// It was found.
    Discovered,
}

/// `GET /v1/inventory/impact`: who suffers when something is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// What is lost: `host/h1`.
    pub subject: String,
    /// Who suffers, the worst first.
    pub losses: Vec<Loss>,
    /// More suffers than whoever asks may read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// One that suffers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// Who.
    pub subject: String,
    /// How badly.
    pub word: LossWord,
    /// Along which relations.
    pub why: String,
    /// How many ready instances are left of it, where it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u32>,
}

/// How badly somebody suffers.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum LossWord {
    /// Nothing is left of it.
    Lost,
    /// Something is left, or it goes on without what it needs.
    Degraded,
}

/// Relations between things: a path, or a part of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Relations {
    /// In order, where they are a path.
    pub relations: Vec<Relation>,
}

/// `POST /v1/inventory/evidence`: what a consumer met who relied on a recorded value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UseReport {
    /// `host/h1`, `item/rack-3`.
    pub subject: String,
    /// The attribute: `address`.
    pub attribute: String,
    /// The value that was relied on.
    pub value: Value,
    /// Whether it was good for anything.
    pub works: bool,
    /// Who relied on it; whoever says so, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// What was met.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// `POST /v1/inventory/import` and `/observe`: records of one class from one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Records {
    /// The class.
    #[serde(rename = "type")]
    pub of: String,
    /// Who says so: `import/dc.csv`, `scan`.
    pub source: String,
    /// What is said.
    pub records: Vec<Record>,
}

/// One record. Described under a longer name: the short one is TypeScript's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ItemRecord")]
pub struct Record {
    /// What the source calls it.
    pub key: String,
    /// What it is like.
    #[serde(default)]
    pub attributes: std::collections::BTreeMap<String, Value>,
    /// What it is related to.
    #[serde(default)]
    pub relations: std::collections::BTreeMap<String, Vec<String>>,
    /// Who answers for it; left as it is, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Labels it is to have; others it has stay.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub labels: std::collections::BTreeMap<String, String>,
    /// Annotations it is to have; others it has stay.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// `GET /v1/inventory`: what a filter lets through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The objects, by kind and name; at most as many as were asked for.
    pub items: Vec<crate::Any>,
    /// How many there are in all.
    pub total: usize,
    /// For each facet that was asked for, how many have which value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facets: Vec<Facet>,
    /// Names in the filter that nothing has, and those there are, where nothing passes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<crate::Reason>,
    /// The revision this is true of.
    pub revision: u64,
    /// Send back as `continue` for the next page; absent on the last.
    #[serde(default, rename = "continue", skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How many have which value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Facet {
    /// The path.
    pub path: String,
    /// Values with their counts, the most frequent first.
    pub values: Vec<FacetValue>,
    /// How many further values there are.
    pub more: usize,
}

/// One value of a facet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FacetValue {
    /// The value, as it is typed in a filter.
    pub value: String,
    /// How many have it.
    pub count: usize,
}

/// `GET /v1/inventory/figures`: how good the inventory is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryFigures {
    /// Each class, hosts first.
    pub classes: Vec<ClassFigures>,
}

/// How good the inventory is of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClassFigures {
    /// `host`, or the name of a class.
    pub class: String,
    /// How many things there are.
    pub things: usize,
    /// The share of them that somebody has seen.
    pub coverage: f64,
    /// Of what was seen, the share that is not stale; not known, where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<f64>,
    /// Of what should be and was seen, the share that is so; not known, where nothing was seen
    /// that should be something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correctness: Option<f64>,
    /// Open findings.
    pub drift: usize,
}

/// `GET /v1/inventory/networks/{name}/next`: what is free next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextFree {
    /// An address or, where a length was given, a prefix.
    pub next: String,
}

/// One group of targets, as Prometheus' HTTP service discovery has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetGroup {
    /// `host:port`.
    pub targets: Vec<String>,
    /// Labels of all of them.
    pub labels: std::collections::BTreeMap<String, String>,
}
