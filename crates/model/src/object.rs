//! What every stored thing is: `apiVersion`, `kind`, `metadata`, `spec`, `status`. It is not the
//! list of kinds, which stands in `lib.rs`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::name::{self, Invalid};
use crate::time::Timestamp;
use crate::{Any, Kind};

/// The only version of the objects so far.
pub const API_VERSION: &str = "atoll/v1";

impl Kind {
    /// Finds a kind by its name, plural or alias, in any case.
    pub fn parse(text: &str) -> Option<Kind> {
        let text = text.to_ascii_lowercase();
        Kind::ALL.iter().copied().find(|kind| {
            kind.name().eq_ignore_ascii_case(&text)
                || kind.plural() == text
                || kind.aliases().contains(&text.as_str())
        })
    }

    /// The name as typed before the slash in `kind/name`.
    pub fn lower(self) -> String {
        self.name().to_ascii_lowercase()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Kind, String> {
        Kind::parse(text).ok_or_else(|| {
            let near = name::nearest(text, Kind::ALL.iter().map(|k| k.name()));
            let hint = near.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default();
            format!("there is no kind {text:?}{hint}")
        })
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Kind {
    fn schema_name() -> Cow<'static, str> {
        "Kind".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Kind::ALL.iter().map(|k| k.name()).collect();
        schemars::json_schema!({ "type": "string", "enum": names })
    }
}

/// A kind's target, and the type of its status.
pub trait Spec:
    Clone
    + fmt::Debug
    + PartialEq
    + Serialize
    + de::DeserializeOwned
    + JsonSchema
    + Send
    + Sync
    + 'static
{
    /// The kind this is the target of.
    const KIND: Kind;
    /// What is, as its planner or agent last wrote it.
    type Status: Clone
        + fmt::Debug
        + Default
        + PartialEq
        + Serialize
        + de::DeserializeOwned
        + JsonSchema
        + Explained
        + Send
        + Sync;

    /// Checks the target by itself, without any other object.
    ///
    /// # Errors
    /// Every problem found, each with the path of its field below `spec`.
    fn validate(&self) -> Result<(), Invalid>;

    /// Checks the name, where a kind has a rule of its own.
    ///
    /// # Errors
    /// What is wrong with the name.
    fn validate_name(name: &str, _spec: &Self) -> Result<(), Invalid> {
        name::check_simple(name)
    }
}

/// A status that may carry reasons.
pub trait Explained {
    /// Why it is as it is.
    fn reasons(&self) -> &[Reason] {
        &[]
    }
    /// Adds reasons not yet there.
    fn add(&mut self, _reasons: &[Reason]) {}
}

/// A kind that a snapshot keeps a table of; written for every kind by the list in `lib.rs`.
pub trait Stored: Spec {
    /// The table of this kind.
    fn table(tables: &crate::Tables) -> &crate::snapshot::Table<Self>
    where
        Self: Sized;
    /// The object as one of any kind.
    fn wrap(object: Arc<Object<Self>>) -> Any
    where
        Self: Sized;
    /// The object, if it is of this kind.
    fn unwrap(any: &Any) -> Option<&Arc<Object<Self>>>
    where
        Self: Sized;
}

/// Why something is as it is, or why it was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// A stable code in kebab case, the same in CLI, API and console.
    pub code: String,
    /// One sentence, lower case: what is so.
    pub message: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Reason {
    /// A reason without a hint.
    pub fn new(code: &str, message: impl Into<String>) -> Reason {
        Reason { code: code.to_owned(), message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Reason {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// What is known of every object whatever its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Meta {
    /// Unique within the kind.
    pub name: String,
    /// What selectors select by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Free text for people and tools; never interpreted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Counts changes of what people write: `spec`, labels and annotations; set by the server.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u64,
    /// The store's revision of the last write; sent back, it guards against lost updates.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// When it was made; set by the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When its deletion was asked for; it goes once what hangs on it has gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

impl Meta {
    /// The metadata of a new object.
    pub fn named(name: impl Into<String>) -> Meta {
        Meta { name: name.into(), ..Meta::default() }
    }

    /// Whether its deletion has been asked for.
    pub fn deleting(&self) -> bool {
        self.deleted_at.is_some()
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// One stored thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Object<S: Spec> {
    /// Name, labels and revision.
    pub meta: Meta,
    /// The target.
    pub spec: S,
    /// What is.
    pub status: S::Status,
}

impl<S: Spec> Object<S> {
    /// A new object with the status of one just made.
    pub fn new(name: impl Into<String>, spec: S) -> Object<S> {
        Object { meta: Meta::named(name), spec, status: S::Status::default() }
    }

    /// The name, short.
    pub fn name(&self) -> &str {
        &self.meta.name
    }

    /// Checks name, labels and spec.
    ///
    /// # Errors
    /// Every problem found, each with the path of its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("metadata.name", S::validate_name(&self.meta.name, &self.spec));
        invalid.nest("metadata.labels", name::check_labels(&self.meta.labels));
        invalid.nest("spec", self.spec.validate());
        invalid.into_result()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a, S: Spec> {
    api_version: &'static str,
    kind: Kind,
    metadata: &'a Meta,
    spec: &'a S,
    status: &'a S::Status,
}

impl<S: Spec> Serialize for Object<S> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        View {
            api_version: API_VERSION,
            kind: S::KIND,
            metadata: &self.meta,
            spec: &self.spec,
            status: &self.status,
        }
        .serialize(to)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound = "")]
#[schemars(bound = "S: Spec")]
struct Wire<S: Spec> {
    api_version: String,
    kind: Kind,
    metadata: Meta,
    spec: S,
    #[serde(default)]
    status: Option<S::Status>,
}

impl<'de, S: Spec> Deserialize<'de> for Object<S> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Object<S>, D::Error> {
        let wire = Wire::<S>::deserialize(from)?;
        if wire.api_version != API_VERSION {
            return Err(de::Error::custom(format!(
                "apiVersion {:?} is not known here; write {API_VERSION:?}",
                wire.api_version
            )));
        }
        if wire.kind != S::KIND {
            return Err(de::Error::custom(format!("kind is {}, not {}", wire.kind, S::KIND)));
        }
        Ok(Object { meta: wire.metadata, spec: wire.spec, status: wire.status.unwrap_or_default() })
    }
}

impl<S: Spec> JsonSchema for Object<S> {
    fn schema_name() -> Cow<'static, str> {
        S::KIND.name().into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Wire::<S>::json_schema(generator);
        if let Some(kind) = schema.pointer_mut("/properties/kind") {
            *kind = serde_json::json!({ "const": S::KIND.name() });
        }
        if let Some(version) = schema.pointer_mut("/properties/apiVersion") {
            *version = serde_json::json!({ "const": API_VERSION });
        }
        schema
    }
}

impl Any {
    /// The name, short.
    pub fn name(&self) -> &str {
        &self.meta().name
    }

    /// `kind/name`, as people type it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind().lower(), self.name())
    }

    /// The object, if it is of the asked kind.
    pub fn of<S: Stored>(&self) -> Option<&Arc<Object<S>>> {
        S::unwrap(self)
    }

    /// Reads the JSON form; unknown fields are errors.
    ///
    /// # Errors
    /// The path of the field, what is wrong with it, and the near one where there is one.
    pub fn from_json(text: &str) -> Result<Any, Invalid> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| Invalid::one("", format!("not JSON: {e}")))?;
        Any::from_value(value)
    }

    /// The same from a parsed value.
    ///
    /// # Errors
    /// As [`Any::from_json`].
    pub fn from_value(value: serde_json::Value) -> Result<Any, Invalid> {
        Any::read(value).map_err(|wrong| wrong.invalid())
    }

    /// The same, with the whole path of what cannot be read.
    pub(crate) fn read(value: serde_json::Value) -> Result<Any, Unread> {
        let kind = value
            .get("kind")
            .and_then(|k| k.as_str())
            .ok_or_else(|| Unread::kind("is missing; write for example kind: Application"))?
            .parse::<Kind>()
            .map_err(Unread::kind)?;
        let mut track = serde_path_to_error::Track::new();
        let from = serde_path_to_error::Deserializer::new(value, &mut track);
        Any::of_kind(kind, from).map_err(|e| Unread::at(track, &e))
    }

    /// The JSON form.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("objects have string keys and finite numbers only")
    }

    /// The JSON form as a value.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("objects have string keys and finite numbers only")
    }
}

/// Why a value is not read.
pub(crate) struct Unread {
    /// The path of what could not be read, a field nobody knows with it.
    pub(crate) path: String,
    /// What the reader says.
    message: String,
}

impl Unread {
    fn kind(message: impl Into<String>) -> Unread {
        Unread { message: message.into(), path: "kind".to_owned() }
    }

    /// What a reader says where it was.
    pub(crate) fn at(track: serde_path_to_error::Track, error: &impl fmt::Display) -> Unread {
        Unread { path: track.path().to_string(), message: error.to_string() }
    }

    /// What is wrong, in words for people.
    pub(crate) fn invalid(&self) -> Invalid {
        name::explain_serde(&self.path, &self.message)
    }

    /// Whether another says the same, wherever it was.
    pub(crate) fn says(&self, other: &Unread) -> bool {
        self.message == other.message
    }

    /// The field that is missing at the path, if it is that.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.message.strip_prefix("missing field `")?.split('`').next()
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Any, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        Any::from_value(value).map_err(de::Error::custom)
    }
}

impl JsonSchema for Any {
    fn schema_name() -> Cow<'static, str> {
        "Object".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let each: Vec<Schema> = Kind::ALL.iter().map(|k| k.subschema(generator)).collect();
        schemars::json_schema!({ "oneOf": each })
    }
}
