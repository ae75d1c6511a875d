//! Who asks: levels, tokens and actors; teams, users and roles stand below it. Not who may what,
//! which is worked out by the planner's gate, nor how a secret is made or compared, which is the
//! server's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::name::{self, Invalid};
use crate::object::{Explained, Spec};
use crate::time::Timestamp;

pub mod author;
pub mod role;
pub mod team;
pub mod user;
pub mod wire;

pub use author::Author;

/// The roles that are built in: what a token lets its bearer do by itself, whatever else is bound
/// to it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// May join one host, and nothing else.
    Join,
    /// An agent: reads its own assignment and reports on itself.
    Host,
    /// Nothing by itself: what the roles give that are bound to it, its user or their teams.
    Member,
    /// Reads everything but tokens.
    Viewer,
    /// Reads and writes everything but tokens, users, teams and roles.
    Operator,
    /// Everything.
    Admin,
}

impl Level {
    /// The word used in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Level::Join => "join",
            Level::Host => "host",
            Level::Member => "member",
            Level::Viewer => "viewer",
            Level::Operator => "operator",
            Level::Admin => "admin",
        }
    }

    /// The level a role of this name stands for, where it is one that people may have.
    pub fn of_role(name: &str) -> Option<Level> {
        [Level::Viewer, Level::Operator, Level::Admin].into_iter().find(|l| l.name() == name)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `user/anna`, `host/h1`, `controller/deployment`, `local`.
    pub name: String,
    /// What they may whatever is bound to them.
    pub level: Level,
    /// The host an agent's token stands for.
    pub host: Option<String>,
    /// The user they are.
    pub user: Option<String>,
    /// The groups an identity provider says they are in.
    pub groups: Vec<String>,
    /// The roles their token was given.
    pub roles: Vec<String>,
    /// The token they showed.
    pub token: Option<String>,
}

impl Actor {
    /// An actor to whom nothing is bound.
    pub fn new(name: impl Into<String>, level: Level) -> Actor {
        Actor {
            name: name.into(),
            level,
            host: None,
            user: None,
            groups: Vec::new(),
            roles: Vec::new(),
            token: None,
        }
    }

    /// A planner acting by itself.
    pub fn controller(name: &str) -> Actor {
        Actor::new(format!("controller/{name}"), Level::Admin)
    }

    /// The user the server runs as.
    pub fn local() -> Actor {
        Actor::new("user/local", Level::Admin)
    }

    /// The agent of a host.
    pub fn host(host: &str) -> Actor {
        let host = host.to_owned();
        Actor { host: Some(host.clone()), ..Actor::new(format!("host/{host}"), Level::Host) }
    }
}

/// A credential. The secret itself is never stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    /// What it lets its bearer do by itself.
    #[serde(rename = "role")]
    pub level: Level,
    /// BLAKE3 of the secret, in hex; secrets are 256 random bits, so a fast hash is enough.
    pub hash: String,
    /// The host this token stands for, with role `host`; the only one it may join, with `join`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whom it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it ends; never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The user it speaks for, with role `member`: it lets its bearer do what they may, as long as
    /// they are there and not disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Roles it has by itself, with role `member`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The groups an identity provider said its user is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// It was made by signing in, and goes with signing out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub session: bool,
}

impl Token {
    /// A token of this hash to which nothing is bound.
    pub fn new(level: Level, hash: String) -> Token {
        Token {
            level,
            hash,
            host: None,
            owner: None,
            expires: None,
            user: None,
            roles: Vec::new(),
            groups: Vec::new(),
            session: false,
        }
    }

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
        let wrong = match self.level {
            Level::Host => self.host.is_none(),
            Level::Join => false,
            _ => self.host.is_some(),
        };
        invalid.add_if(wrong, "host", "goes with role host, or with join for one only");
        let bound = self.user.is_some() || !self.roles.is_empty();
        invalid.add_if(
            bound && self.level != Level::Member,
            "role",
            "is member where a user or roles are named",
        );
        if let Some(user) = &self.user {
            invalid.nest("user", name::check_simple(user));
        }
        for (i, role) in self.roles.iter().enumerate() {
            invalid.nest(&format!("roles[{i}]"), name::check_simple(role));
        }
        invalid.into_result()
    }
}

/// Checks who is named in a list, as `user/NAME`, `team/NAME` or `token/NAME`.
fn check_subject(subject: &str, kinds: &[&str]) -> Result<(), Invalid> {
    let wrong = || {
        let all: Vec<String> = kinds.iter().map(|kind| format!("{kind}/NAME")).collect();
        Err(Invalid::one("", format!("{subject:?}: write it as {}", all.join(" or "))))
    };
    match subject.split_once('/') {
        Some((kind, name)) if kinds.contains(&kind) => name::check_simple(name),
        _ => wrong(),
    }
}
