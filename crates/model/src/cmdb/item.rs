//! Users' own classes of things, and the things: racks, licences, switches, contracts. What an item
//! should be is its target; what was seen of it, and by whom, its status. Which of two sources is
//! believed is worked out by the planner.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Kind;
use crate::cmdb::explained;
use crate::name::{self, Invalid};
use crate::object::{Explained, Object, Reason, Spec};
use crate::schema::Compiled;
use crate::time::{Span, Timestamp};

/// The most choices of values a rule looks at for one item whose sources disagree.
const MOST_CHOICES: usize = 64;
/// The most bytes the attributes of one item may have as JSON.
pub const LARGEST_ITEM: usize = 64 << 10;
/// Sources one attribute may have.
pub const MOST_SOURCES: usize = 8;

/// A class of things: what they are like, what they are related to, and how one is told from
/// another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemType {
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who answers for its items, where they name nobody: `team/NAME` or `user/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The JSON Schema the attributes of each item must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// What its items may be related to, by the name of the relation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub relations: BTreeMap<String, RelationRule>,
    /// How two records are found to be of one thing; the first rule that speaks decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<IdentityRule>,
    /// Values that say nothing about who somebody is, besides those known everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub junk: Vec<String>,
    /// Which sources are believed of an attribute, the first before the second.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authority: BTreeMap<String, Authority>,
    /// What was last seen so long ago is stale, and the next source is believed.
    #[serde(default = "ItemType::usual_staleness")]
    pub stale_after: Span,
}

impl ItemType {
    fn usual_staleness() -> Span {
        Span::seconds(7 * 86_400)
    }
}

/// What a relation may lead to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelationRule {
    /// Kinds, as `host`, or classes, as `item/rack`; anything, if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Whether it may lead to several.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub many: bool,
    /// Whether whoever has it suffers when what it leads to is lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub depends: bool,
}

/// Attributes that together tell a thing from all others of its class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityRule {
    /// What it is called in explanations.
    pub name: String,
    /// The attributes; all must be there, be no junk, and agree.
    pub attributes: Vec<String>,
    /// Only points out that two may be one, and never matches them by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub weak: bool,
}

impl IdentityRule {
    /// The values it looks at, as they are compared: one key for each choice of values, of which
    /// an attribute has several where sources disagree; none, where an attribute has none.
    pub fn keys(&self, values: impl Fn(&str) -> Vec<String>) -> Vec<Vec<String>> {
        let mut keys: Vec<Vec<String>> = vec![Vec::new()];
        for attribute in &self.attributes {
            let mut all: Vec<String> = values(attribute).iter().map(|v| plain(v)).collect();
            all.sort();
            all.dedup();
            let longer = |key: &Vec<String>| -> Vec<Vec<String>> {
                let with = |value: &String| key.iter().chain([value]).cloned().collect();
                all.iter().map(with).collect()
            };
            keys = keys.iter().flat_map(longer).take(MOST_CHOICES).collect();
        }
        if self.attributes.is_empty() { Vec::new() } else { keys }
    }
}

/// A value as it is compared: in small letters, and a hardware address without what makers write
/// between its digits: `aa:bb:cc:dd:ee:01`, `AA-BB-CC-DD-EE-01` and `aabb.ccdd.ee01` are one.
pub fn plain(value: &str) -> String {
    let value = value.trim().to_lowercase();
    let is_hex = |part: &str| part.bytes().all(|c| c.is_ascii_hexdigit());
    let parts = |sign: char, each: usize, count: usize| {
        let all: Vec<&str> = value.split(sign).collect();
        all.len() == count && all.iter().all(|part| part.len() == each && is_hex(part))
    };
    match parts(':', 2, 6) || parts('-', 2, 6) || parts('.', 4, 3) {
        true => value.replace([':', '-', '.'], ""),
        false => value,
    }
}

/// Which sources are believed of an attribute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authority {
    /// Sources, the one believed most first. Those not named come after all of them.
    pub sources: Vec<String>,
    /// After so long without a word the next source is believed; the class's, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Span>,
}

/// One thing of a class of users' own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Item {
    /// Its class, by the name of an ItemType.
    #[serde(rename = "type")]
    pub of: String,
    /// Who answers for it; whoever answers for its class, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it should be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
    /// What it is related to, by the name of the relation: `kind/name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub relations: BTreeMap<String, Vec<String>>,
    /// It was found to be the same as this other item, which stands for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
}

impl Object<Item> {
    /// All an attribute is said to be, by its target and by what sources have seen, as text.
    pub fn said(&self, attribute: &str) -> Vec<String> {
        let seen = self.status.seen.get(attribute).into_iter().flatten();
        let all = self.spec.attributes.get(attribute).into_iter();
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        all.chain(seen.map(|said| &said.value)).map(text).collect()
    }
}

/// What was seen of an item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemStatus {
    /// What sources say it is, for each attribute one word a source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, Vec<Observed>>,
    /// What consumers met who relied on a recorded value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used: BTreeMap<String, Used>,
    /// Why records of sources were taken to be of this item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Match>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

explained!(ItemStatus);

/// What one source says of one attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The value.
    pub value: Value,
    /// Who says so: `agent/h1`, `import/dc.csv`, `scan`.
    pub source: String,
    /// When it was last said.
    pub at: Timestamp,
}

/// What a consumer met who relied on a recorded value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// The value that was relied on.
    pub value: Value,
    /// Who relied on it: `monitor/web`, `task/shop.12.unit.0`, `user/anna`.
    pub consumer: String,
    /// Whether it was good for anything.
    pub works: bool,
    /// What was met.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// Why a record of a source was taken to be of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// The source.
    pub source: String,
    /// What the source calls it.
    pub key: String,
    /// The rule that decided; `new`, where no rule spoke.
    pub rule: String,
    /// In words.
    pub explanation: String,
    /// When.
    pub at: Timestamp,
}

/// Classes have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ItemTypeStatus {}

impl Explained for ItemTypeStatus {}

impl Spec for ItemType {
    const KIND: Kind = Kind::ItemType;
    type Status = ItemTypeStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        if let Some(schema) = &self.schema
            && let Err(why) = Compiled::of(schema.clone())
        {
            invalid.add("schema", format!("is no JSON Schema: {why}"));
        }
        for (relation, rule) in &self.relations {
            let path = format!("relations.{relation}");
            invalid.nest(&path, check_key(relation));
            for to in &rule.to {
                let known = match to.split_once('/') {
                    Some(("item", class)) => name::check_simple(class).is_ok(),
                    Some(_) => false,
                    None => Kind::parse(to).is_some(),
                };
                let message = format!("{to:?} is neither a kind nor item/CLASS");
                invalid.add_if(!known, &format!("{path}.to"), message);
            }
        }
        for (i, rule) in self.identity.iter().enumerate() {
            let path = format!("identity[{i}]");
            invalid.add_if(rule.attributes.is_empty(), &path, "names no attribute");
            invalid.add_if(rule.name.is_empty(), &path, "has no name");
        }
        invalid.add_if(self.stale_after.0 == 0, "staleAfter", "is to be more than nothing");
        invalid.into_result()
    }
}

impl Spec for Item {
    const KIND: Kind = Kind::Item;
    type Status = ItemStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("type", name::check_simple(&self.of));
        for attribute in self.attributes.keys() {
            invalid.nest(&format!("attributes.{attribute}"), check_key(attribute));
        }
        let size = serde_json::to_vec(&self.attributes).map_or(usize::MAX, |text| text.len());
        let message = format!("has {size} bytes; at most {LARGEST_ITEM} are kept");
        invalid.add_if(size > LARGEST_ITEM, "attributes", message);
        for (relation, all) in &self.relations {
            for to in all {
                let path = format!("relations.{relation}");
                invalid.nest(&path, check_id(to));
            }
        }
        if let Some(other) = &self.merged_into {
            invalid.nest("mergedInto", name::check_simple(other));
        }
        invalid.into_result()
    }
}

/// Checks the name of an attribute or a relation.
///
/// # Errors
/// What is wrong with it.
pub fn check_key(key: &str) -> Result<(), Invalid> {
    let good = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    if !key.is_empty() && key.len() <= name::LONGEST && key.bytes().all(good) {
        return Ok(());
    }
    Err(Invalid::one("", format!("{key:?} may hold letters, digits and -_. only")))
}

/// Checks that a text is `kind/name`.
///
/// # Errors
/// What is wrong with it.
pub fn check_id(id: &str) -> Result<(), Invalid> {
    let wrong = || Invalid::one("", format!("{id:?}: write it as KIND/NAME"));
    let (kind, name) = id.split_once('/').ok_or_else(wrong)?;
    kind.parse::<Kind>().map_err(|e| Invalid::one("", e))?;
    name::check_derived(name)
}
