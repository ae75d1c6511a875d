//! What is asked and answered about signing in and the audit that is no object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::object::Reason;
use crate::time::Timestamp;

/// One row of the audit: a write, or something else that is to be known.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its number among all records.
    pub revision: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Of this kind: of an object, or `Audit`.
    pub kind: String,
    /// The object's name; of what is of no object, whom or what it was about.
    pub name: String,
    /// `create`, `update`, `delete`; or `refused`, `login`, `login-failed`, `logout`, `exec`,
    /// `password`, `override`, `prune`.
    pub op: String,
    /// Who did it, or wanted to.
    pub actor: String,
    /// What for.
    pub intent: String,
    /// Why.
    pub reasons: Vec<Reason>,
    /// So often within a minute; absent, if once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// From where, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Covers this record and the one before it.
    pub hash: String,
}

/// `GET /v1/audit`: newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// The rows.
    pub entries: Vec<AuditEntry>,
}

/// What is kept in the body of a record that is of no object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditNote {
    /// So often within a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// `GET /v1/audit/verify`: a walk along the chain of records.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditVerified {
    /// Whether every record fits.
    pub holds: bool,
    /// So many records were walked.
    pub records: u64,
    /// So many are no longer kept, and their place is.
    pub pruned: u64,
    /// So many are from before records were chained.
    pub unchained: u64,
    /// The newest record.
    pub revision: u64,
    /// Its hash; noted elsewhere, it shows later whether the chain was made anew.
    pub head: String,
    /// The hash of the record that was asked about; absent, where it is no longer kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<String>,
    /// The first record that does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<u64>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

/// `POST /v1/login`: a user signs in with a password.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// Their password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.user)
    }
}

/// `PUT /v1/users/{name}/password`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPassword {
    /// The new password.
    pub password: String,
    /// The present one, where one changes one's own.
    #[serde(default)]
    pub current: Option<String>,
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword")
    }
}

/// `GET /v1/login`: how one may sign in here.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginWays {
    /// Some user has a password.
    pub password: bool,
    /// The identity provider, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}
