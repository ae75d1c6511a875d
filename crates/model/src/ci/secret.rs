//! Something that must not be seen: a password, a token, a key. The object says only that it is
//! there; the value is sealed elsewhere and stands in no object, history, audit or answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::name::Invalid;
use crate::object::{Explained, Spec};

/// Something that must not be seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Names the sealed value in the store; none was given yet, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
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
        invalid.into_result()
    }
}
