//! Roles: what may be done to what, and by whom. Not how that is judged, which is the gate's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Level, check_subject};
use crate::Kind;
use crate::name::{self, Invalid};
use crate::object::{Explained, Spec};
use crate::selector::Selector;

/// Stands for the teams of whoever asks.
pub const OWN: &str = "own";

/// Kinds that say who may what. A permission covers them only where it names them.
pub const OF_ACCESS: [Kind; 4] = [Kind::Token, Kind::User, Kind::Team, Kind::Role];

/// Something one may do, or not.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// See it: list, get, watch, its history, what is measured of it.
    Read,
    /// Make it, or change it.
    Write,
    /// Delete it.
    Delete,
    /// Read its logs.
    Logs,
    /// Run a command beside it.
    Exec,
    /// Begin and end runs of it: of a pipeline.
    Run,
    /// Approve that it goes on: a promotion; or that it is broken: a budget.
    Approve,
    /// Do it in spite of a freeze, a spent budget, or what its environment asks.
    Override,
}

impl Verb {
    /// Every one.
    pub const ALL: [Verb; 8] = [
        Verb::Read,
        Verb::Write,
        Verb::Delete,
        Verb::Logs,
        Verb::Exec,
        Verb::Run,
        Verb::Approve,
        Verb::Override,
    ];

    /// The word used in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Read => "read",
            Verb::Write => "write",
            Verb::Delete => "delete",
            Verb::Logs => "logs",
            Verb::Exec => "exec",
            Verb::Run => "run",
            Verb::Approve => "approve",
            Verb::Override => "override",
        }
    }

    /// The same in a sentence, before the name of an object.
    pub fn words(self) -> &'static str {
        match self {
            Verb::Logs => "read logs of",
            Verb::Exec => "run a command in",
            Verb::Override => "override what holds back",
            other => other.name(),
        }
    }
}

/// What may be done to some objects. What is left out is no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Permission {
    /// What may be done.
    pub verbs: Vec<Verb>,
    /// To objects of these kinds; of all but Token, User, Team and Role, if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    /// To what belongs to these environments; what belongs to none is then not covered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// To what these teams answer for; `own` stands for those of whoever asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// To what has these labels, its own or its application's.
    #[serde(default, skip_serializing_if = "is_everything")]
    pub labels: Selector,
}

fn is_everything(selector: &Selector) -> bool {
    selector.0.is_empty()
}

impl Permission {
    /// Whether it covers every object of its kinds.
    pub fn is_unlimited(&self) -> bool {
        self.environments.is_empty() && self.teams.is_empty() && is_everything(&self.labels)
    }

    /// Whether it may cover objects of a kind.
    pub fn is_of(&self, kind: Kind) -> bool {
        match self.kinds.is_empty() {
            true => !OF_ACCESS.contains(&kind),
            false => self.kinds.contains(&kind),
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.verbs.is_empty(), "verbs", "is empty; write for example [read, logs]");
        for (i, environment) in self.environments.iter().enumerate() {
            invalid.nest(&format!("environments[{i}]"), name::check_simple(environment));
        }
        for (i, team) in self.teams.iter().enumerate() {
            invalid.nest(&format!("teams[{i}]"), name::check_simple(team));
        }
        let changes = self.verbs.iter().any(|verb| matches!(verb, Verb::Write | Verb::Delete));
        for (i, kind) in self.kinds.iter().enumerate() {
            let guarded = matches!(kind, Kind::Token | Kind::User | Kind::Role);
            invalid.add_if(
                changes && guarded,
                &format!("kinds[{i}]"),
                "is changed by admins only: bind the role admin instead",
            );
        }
        invalid.into_result()
    }
}

/// What may be done, and by whom. The built-in roles `viewer`, `operator` and `admin` are bound
/// by an object of that name, which has no rules of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who has it: `user/NAME`, `team/NAME`, `token/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// What it lets them do. Nothing else is permitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Permission>,
}

/// Roles have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleStatus {}

impl Explained for RoleStatus {}

impl Spec for Role {
    const KIND: Kind = Kind::Role;
    type Status = RoleStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        for (i, subject) in self.to.iter().enumerate() {
            let of = ["user", "team", "token"];
            invalid.nest(&format!("to[{i}]"), check_subject(subject, &of));
        }
        for (i, rule) in self.rules.iter().enumerate() {
            invalid.nest(&format!("rules[{i}]"), rule.validate());
        }
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Role) -> Result<(), Invalid> {
        if matches!(name, "join" | "host" | "member") {
            return Err(Invalid::one("", format!("{name} is built in, and is not for people")));
        }
        if Level::of_role(name).is_some() && !spec.rules.is_empty() {
            let message = format!(
                "what {name} may is built in; leave spec.rules out, or \
                                   give the role another name"
            );
            return Err(Invalid::one("", message));
        }
        name::check_simple(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Any;

    fn role(name: &str, spec: &str) -> Result<(), Invalid> {
        let text = format!(
            r#"{{"apiVersion":"atoll/v1","kind":"Role","metadata":{{"name":"{name}"}},
               "spec":{spec}}}"#
        );
        Any::from_json(&text)?.validate()
    }

    #[test]
    fn roles_are_checked() {
        let good = r#"{"to":["team/trade","user/anna"],"rules":[{"verbs":["read","logs"]},
            {"verbs":["write"],"kinds":["Deployment"],"environments":["staging"],
             "teams":["own"],"labels":"tier=core"}]}"#;
        role("trade-staging", good).unwrap();
        role("operator", r#"{"to":["team/ops"]}"#).unwrap();
        for (name, bad, why) in [
            ("operator", r#"{"rules":[{"verbs":["read"]}]}"#, "built in"),
            ("member", "{}", "not for people"),
            ("r", r#"{"to":["anna"]}"#, "user/NAME"),
            ("r", r#"{"to":["host/h1"]}"#, "user/NAME"),
            ("r", r#"{"rules":[{"verbs":[]}]}"#, "is empty"),
            ("r", r#"{"rules":[{"verbs":["read"],"kind":["Host"]}]}"#, "kinds"),
            ("r", r#"{"rules":[{"verbs":["write"],"kinds":["Role"]}]}"#, "admins only"),
            ("r", r#"{"rules":[{"verbs":["destroy"]}]}"#, "destroy"),
        ] {
            let said = role(name, bad).unwrap_err().to_string();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn a_permission_covers_kinds_of_access_only_by_name() {
        let all = Permission { verbs: vec![Verb::Read], ..Permission::default() };
        assert!(all.is_of(Kind::Deployment) && all.is_unlimited());
        assert!(OF_ACCESS.iter().all(|kind| !all.is_of(*kind)));
        let named = Permission { kinds: vec![Kind::Team], ..all };
        assert!(named.is_of(Kind::Team) && !named.is_of(Kind::Deployment));
    }
}
