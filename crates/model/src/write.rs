//! What a plan writes and what for. Not how it is committed, which is the store's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Any, Kind};

/// What a change is for; the gate treats each differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// A person edits a target.
    Edit,
    /// A person takes an object back to an earlier revision.
    Revert,
    /// Missing or broken instances are replaced.
    Heal,
    /// Instances are moved: off hosts that are emptied, as a migration asks, to lie evenly; or
    /// there are too many after that. Nothing is missing or broken.
    Migrate,
    /// A failed release is taken back.
    Rollback,
    /// The number of instances is brought to the target.
    Scale,
    /// A release is rolled out.
    Rollout,
    /// What was deleted is cleared away.
    Remove,
    /// Nothing changes in the world: a status, or an object derived from others.
    Observe,
    /// An agent says how it is.
    Report,
}

impl Intent {
    /// Every one.
    pub const ALL: [Intent; 10] = [
        Intent::Edit,
        Intent::Revert,
        Intent::Heal,
        Intent::Migrate,
        Intent::Rollback,
        Intent::Scale,
        Intent::Rollout,
        Intent::Remove,
        Intent::Observe,
        Intent::Report,
    ];

    /// The word used in history and audit.
    pub fn name(self) -> &'static str {
        match self {
            Intent::Edit => "edit",
            Intent::Revert => "revert",
            Intent::Heal => "heal",
            Intent::Migrate => "migrate",
            Intent::Rollback => "rollback",
            Intent::Scale => "scale",
            Intent::Rollout => "rollout",
            Intent::Remove => "remove",
            Intent::Observe => "observe",
            Intent::Report => "report",
        }
    }
}

/// One write of a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Stores the object. `meta.revision` is the one it was read at; 0 means it must be new.
    Put(Any),
    /// Removes the object, if it still has this revision.
    Delete {
        /// Of this kind.
        kind: Kind,
        /// Of this name.
        name: String,
        /// As it was read.
        revision: u64,
    },
}

impl Write {
    /// The kind written.
    pub fn kind(&self) -> Kind {
        match self {
            Write::Put(any) => any.kind(),
            Write::Delete { kind, .. } => *kind,
        }
    }

    /// The name written.
    pub fn name(&self) -> &str {
        match self {
            Write::Put(any) => any.name(),
            Write::Delete { name, .. } => name,
        }
    }
}
