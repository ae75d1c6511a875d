//! Users: people who sign in. The hash of a password stands in no object, history or answer; it is
//! sealed elsewhere, as the values of secrets are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::name::Invalid;
use crate::object::{Explained, Spec};

/// Somebody who signs in. What they may is said by roles bound to them and their teams.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// How they are called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Their address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// They may not sign in, and no token that speaks for them is good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Names the sealed hash of their password; they have none, if absent. A manifest that leaves
    /// it out keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Who they are to the identity provider: its address, `#`, and what it calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Users have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserStatus {}

impl Explained for UserStatus {}

impl Spec for User {
    const KIND: Kind = Kind::User;
    type Status = UserStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let is_id = |id: &String| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
        invalid.add_if(
            !self.password.as_ref().is_none_or(is_id),
            "password",
            "is set by the server; use atoll user password NAME",
        );
        let whole =
            |s: &String| s.split_once('#').is_some_and(|(a, b)| a.contains("://") && !b.is_empty());
        invalid.add_if(
            !self.subject.as_ref().is_none_or(whole),
            "subject",
            "is not ISSUER#SUBJECT, as https://id.example#1234",
        );
        invalid.into_result()
    }

    fn validate_name(name: &str, _: &User) -> Result<(), Invalid> {
        if name == "local" {
            return Err(Invalid::one("", "user/local is whoever the server runs as"));
        }
        crate::name::check_simple(name)
    }
}
