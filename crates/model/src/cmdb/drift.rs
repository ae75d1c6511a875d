//! Findings: where what is recorded of something is not so, or was found to be of no use. They are
//! opened and closed by the planner; people only say which way a difference is to be mended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Kind;
use crate::cmdb::explained;
use crate::cmdb::item::{Observed, Used, check_id};
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::Timestamp;

/// One finding: of what, and in which attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    /// `host/h1`, `item/rack-3`.
    pub subject: String,
    /// `os.version`; `relations.rack` for what a relation leads to; `identity` and `schema` stand
    /// for the whole.
    pub attribute: String,
}

impl Drift {
    /// What all findings of a subject begin with, followed by a dot.
    pub fn prefix(subject: &str) -> String {
        subject.replacen('/', ".", 1)
    }

    /// What the finding of an attribute of a subject is called.
    pub fn object_name(subject: &str, attribute: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let word: String = attribute.chars().map(plain).collect();
        format!("{}.{}", Drift::prefix(subject), word.trim_matches('-'))
    }
}

/// In what way it is not so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DriftCause {
    /// Another value was seen.
    #[default]
    Differs,
    /// It was looked for, and there is none.
    Missing,
    /// Whoever relied on it failed.
    Unusable,
    /// Nobody has looked for too long.
    Stale,
    /// It does not fit its class any more.
    Unfit,
    /// Something else may be the same thing.
    Twin,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftStatus {
    /// In what way.
    #[serde(default)]
    pub cause: DriftCause,
    /// What it should be; absent, where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should: Option<Value>,
    /// What it is, by whom and when; absent, where nobody has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<Observed>,
    /// What a consumer met who relied on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
    /// Since when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Who answers for the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What was found, in words, and what can be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

explained!(DriftStatus);

impl Spec for Drift {
    const KIND: Kind = Kind::Drift;
    type Status = DriftStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("subject", check_id(&self.subject));
        invalid.add_if(self.attribute.is_empty(), "attribute", "is empty");
        invalid.into_result()
    }

    fn validate_name(name: &str, _spec: &Self) -> Result<(), Invalid> {
        name::check_derived(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_named_after_their_subject() {
        let name = Drift::object_name("host/h1", "os.version");
        assert_eq!(name, "host.h1.os-version");
        assert!(name.starts_with(&format!("{}.", Drift::prefix("host/h1"))));
        let drift = Drift { subject: "host/h1".into(), attribute: "os.version".into() };
        assert!(Drift::validate_name(&name, &drift).is_ok() && drift.validate().is_ok());
        let bad = Drift { subject: "h1".into(), attribute: String::new() };
        assert_eq!(bad.validate().unwrap_err().0.len(), 2);
    }
}
