//! Teams: people who answer for something together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::name::{self, Invalid};
use crate::object::{Explained, Spec};

/// People who answer for something together: `owner: team/NAME`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Team {
    /// What they answer for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Names of users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Groups of the identity provider whose people are members too, while they are signed in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Where they are reached: an address, a channel, a telephone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub contact: String,
}

impl Team {
    /// Whether somebody is a member: by name, or by a group they are in.
    pub fn has(&self, user: Option<&str>, groups: &[String]) -> bool {
        user.is_some_and(|user| self.members.iter().any(|member| member == user))
            || groups.iter().any(|group| self.groups.contains(group))
    }
}

/// Teams have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamStatus {}

impl Explained for TeamStatus {}

impl Spec for Team {
    const KIND: Kind = Kind::Team;
    type Status = TeamStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        for (i, member) in self.members.iter().enumerate() {
            invalid.nest(&format!("members[{i}]"), name::check_simple(member));
        }
        for (i, group) in self.groups.iter().enumerate() {
            invalid.add_if(group.is_empty(), &format!("groups[{i}]"), "is empty");
        }
        invalid.into_result()
    }

    fn validate_name(name: &str, _: &Team) -> Result<(), Invalid> {
        if name == super::role::OWN {
            return Err(Invalid::one("", "own stands for everybody's own teams in roles"));
        }
        name::check_simple(name)
    }
}
