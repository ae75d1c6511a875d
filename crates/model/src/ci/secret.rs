//! Something that must not be seen: a password, a token, a key. The object says only that it is
//! there; the value is sealed elsewhere and stands in no object, history, audit or answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::name::{self, Invalid};
use crate::object::{Explained, Spec};

/// Something that must not be seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The pipelines that may use it; any may, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipelines: Option<Vec<String>>,
    /// Names the sealed value in the store; none was given yet, if absent. A
    /// manifest that leaves it out keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

impl Secret {
    /// Whether a pipeline may use it.
    pub fn is_for(&self, pipeline: &str) -> bool {
        self.pipelines.as_ref().is_none_or(|all| all.iter().any(|name| name == pipeline))
    }
}

/// Secrets have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretStatus {}

impl Explained for SecretStatus {}

impl Spec for Secret {
    const KIND: Kind = Kind::Secret;
    type Status = SecretStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let is_id = |id: &String| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
        invalid.add_if(
            !self.sealed.as_ref().is_none_or(is_id),
            "sealed",
            "is given by the server; set the value with atoll secret set NAME",
        );
        for (i, pipeline) in self.pipelines.iter().flatten().enumerate() {
            invalid.nest(&format!("pipelines[{i}]"), name::check_simple(pipeline));
        }
        invalid.into_result()
    }
}
