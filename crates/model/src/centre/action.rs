//! What the decision centre may do by itself, and what it has taken by that. How it is done is a
//! planner's.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::Kind;
use crate::quantity::Portion;
use crate::selector::Selector;
use crate::time::Timestamp;

mod written;

/// What can be done: each a change of a target that an operator could make by hand, and take back.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// The instance is made anew.
    Restart,
    /// What runs on the host is moved elsewhere, and nothing new is placed there.
    Drain,
    /// The deployment goes back: a rollout under way is given up; otherwise to the last release
    /// that was good before the present one.
    RollBack,
    /// The deployment gets more instances.
    Raise(Change),
    /// The deployment gets fewer instances.
    Lower(Change),
    /// A value of a configuration is set, to do less so that the rest is done: for the subject's
    /// environment, and where it is the application's own configuration, for that application.
    Switch(Setting),
    /// Another deployment of the same environment, that is not of the core tier and has the most
    /// instances, gives some up, so that this one finds room.
    Borrow(Change),
    /// What runs in the zone is moved to others, in waves.
    Evacuate,
    /// What an earlier decision took is given back: its cause is over. No policy asks for it; it
    /// follows from one that asked for `switch` or `borrow`.
    GiveBack(GiveBack),
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Action, D::Error> {
        from.deserialize_enum("Action", &written::WORDS, written::Written)
    }
}

impl Action {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Restart => "restart",
            Action::Drain => "drain",
            Action::RollBack => "roll back",
            Action::Raise(_) => "raise",
            Action::Lower(_) => "lower",
            Action::Switch(_) => "switch",
            Action::Borrow(_) => "borrow",
            Action::Evacuate => "evacuate",
            Action::GiveBack(_) => "give back",
        }
    }

    /// What is done and to whom: what is taken of others or given back to them is so for this one.
    pub fn phrase(&self, subject: &str) -> String {
        let towards = match self {
            Action::Switch(_) | Action::Borrow(_) | Action::GiveBack(_) => "for ",
            _ => "",
        };
        format!("{} {towards}{subject}", self.word())
    }

    /// Whether it gives a deployment more to serve with, less, or neither.
    pub fn direction(&self) -> Direction {
        match self {
            Action::Raise(_) | Action::Borrow(_) => Direction::Up,
            // What was switched off or borrowed served it.
            Action::Lower(_) | Action::GiveBack(_) => Direction::Down,
            _ => Direction::Other,
        }
    }

    /// What it can be done to.
    pub fn subject(&self) -> Kind {
        match self {
            Action::Restart => Kind::Instance,
            Action::Drain => Kind::Host,
            Action::Evacuate => Kind::Zone,
            Action::RollBack
            | Action::Raise(_)
            | Action::Lower(_)
            | Action::Switch(_)
            | Action::Borrow(_)
            | Action::GiveBack(_) => Kind::Deployment,
        }
    }

    /// Where several are asked for at once, the one with the least number is done first: what may
    /// be the cause before what only carries it.
    pub fn rank(&self) -> u8 {
        match self {
            Action::RollBack => 0,
            Action::Evacuate => 1,
            Action::Drain => 2,
            Action::Restart => 3,
            Action::Raise(_) => 4,
            Action::Borrow(_) => 5,
            Action::Switch(_) => 6,
            Action::Lower(_) => 7,
            Action::GiveBack(_) => 8,
        }
    }
}

/// Whether an action gives more to serve with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It does.
    Up,
    /// It takes some away.
    Down,
    /// Neither.
    Other,
}

/// How many instances more, or fewer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    /// So many, or this share of those there are; one at least.
    #[serde(default = "Change::usual")]
    pub by: Portion,
    /// Not beyond this: the most when it is more, the least when it is fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<u32>,
}

impl Change {
    fn usual() -> Portion {
        Portion::percent(25)
    }
}

/// A value of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Setting {
    /// The configuration; the first of the application's, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The key.
    pub key: String,
    /// What it becomes.
    pub value: Value,
}

/// Which decision took what is given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GiveBack {
    /// Its name.
    pub decision: String,
}

/// What a decision took, for as long as it is to be given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// What.
    pub what: What,
    /// When it was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_at: Option<Timestamp>,
}

/// What was taken: how it was, and how it was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// A value of a configuration.
    Value {
        /// The configuration.
        config: String,
        /// The key.
        key: String,
        /// For these environments; for all, if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        environments: Vec<String>,
        /// For what has these labels; for all, if empty.
        #[serde(default, rename = "where", skip_serializing_if = "Selector::is_all")]
        labels: Selector,
        /// What was said there; nothing, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<Value>,
        /// What it became.
        is: Value,
    },
    /// Instances of a deployment.
    Instances {
        /// The deployment.
        deployment: String,
        /// How many it was to have.
        was: u32,
        /// How many it was left.
        is: u32,
    },
    /// Instances of a deployment whose autoscaler acts: the most it may keep became less.
    Most {
        /// The deployment.
        deployment: String,
        /// What its autoscaler said of the most; nothing, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<u32>,
        /// What that became.
        is: u32,
        /// How many it kept then.
        kept: u32,
    },
}
