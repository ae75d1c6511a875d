//! Who may do what: roles, tokens and actors. Not how a secret is made or compared, which is the
//! server's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Invalid;
use crate::object::{Explained, Spec};
use crate::time::Timestamp;
use crate::{Intent, Kind};

/// What a token lets its bearer do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May join one host, and nothing else.
    Join,
    /// An agent: reads its own assignment and reports on itself.
    Host,
    /// Reads everything but tokens.
    Viewer,
    /// Reads and writes everything but tokens.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// The word used in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Role::Join => "join",
            Role::Host => "host",
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// A right a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing: health of the server and the console's files.
    Public,
    /// To join a host.
    Join,
    /// To act as the host named in the path.
    OwnHost,
    /// To read objects of a kind, or of any where none is named.
    Read(Option<Kind>),
    /// To change objects of a kind, or of any where none is named.
    Write(Option<Kind>),
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `user/anna`, `host/h1`, `controller/deployment`, `local`.
    pub name: String,
    /// What they may.
    pub role: Role,
    /// The host an agent's token stands for.
    pub host: Option<String>,
}

impl Actor {
    /// A planner acting by itself.
    pub fn controller(name: &str) -> Actor {
        Actor { name: format!("controller/{name}"), role: Role::Admin, host: None }
    }

    /// Whether the actor has a right; `host` is the one named in the path, if any.
    ///
    /// **Invariant:** this is the only place where a role is turned into permission.
    pub fn may(&self, right: Right, host: Option<&str>) -> bool {
        match right {
            Right::Public => true,
            Right::Join => matches!(self.role, Role::Join | Role::Admin),
            Right::OwnHost => {
                self.role == Role::Admin
                    || (self.role == Role::Host
                        && self.host.is_some()
                        && self.host.as_deref() == host)
            }
            Right::Read(Some(Kind::Token)) | Right::Write(Some(Kind::Token)) => {
                self.role == Role::Admin
            }
            Right::Read(_) => self.role >= Role::Viewer,
            Right::Write(_) => self.role >= Role::Operator,
        }
    }

    /// Whether the actor may commit a plan of this intent.
    pub fn may_intend(&self, intent: Intent) -> bool {
        intent != Intent::Report || matches!(self.role, Role::Host | Role::Admin)
    }
}

/// A credential. The secret itself is never stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    /// What it lets its bearer do.
    pub role: Role,
    /// BLAKE3 of the secret, in hex; secrets are 256 random bits, so a fast hash is enough.
    pub hash: String,
    /// The host this token stands for, with role `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whom it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it ends; never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Token {
    /// Whether it has ended.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// Tokens have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenStatus {}

impl Explained for TokenStatus {}

impl Spec for Token {
    const KIND: Kind = Kind::Token;
    type Status = TokenStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let hex = self.hash.len() == 64 && self.hash.bytes().all(|b| b.is_ascii_hexdigit());
        invalid.add_if(
            !hex,
            "hash",
            "is not 64 hexadecimal digits; make tokens with `atoll token create`",
        );
        invalid.add_if(
            (self.role == Role::Host) != self.host.is_some(),
            "host",
            "goes with role host, and only with it",
        );
        invalid.into_result()
    }
}
