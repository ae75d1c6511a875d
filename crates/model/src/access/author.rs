//! Who wrote something that acts by itself later, kept so that it may no more then than they may.
//! Not who asks now, which is an [`Actor`], nor what they may, which the gate works out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actor, Level};

/// Who wrote the target of an object last, as the server knew them. Nobody sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Author {
    /// `user/anna`, `token/t-…`.
    pub name: String,
    /// What they might then whatever was bound to them.
    pub level: Level,
    /// The user they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The groups an identity provider said they are in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The roles their token was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The token they showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl From<&Actor> for Author {
    fn from(actor: &Actor) -> Author {
        Author {
            name: actor.name.clone(),
            level: actor.level,
            user: actor.user.clone(),
            groups: actor.groups.clone(),
            roles: actor.roles.clone(),
            token: actor.token.clone(),
        }
    }
}

impl From<&Author> for Actor {
    fn from(author: &Author) -> Actor {
        Actor {
            user: author.user.clone(),
            groups: author.groups.clone(),
            roles: author.roles.clone(),
            token: author.token.clone(),
            ..Actor::new(author.name.clone(), author.level)
        }
    }
}
