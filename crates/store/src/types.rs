//! The store's vocabulary: what is asked of it and what it answers.
//!
//! Plain data. It names no database and none of a database's types.

use std::fmt;

/// The answer of everything but a commit.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Changes that become true together, or not at all.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Applied in this order; a later write sees an earlier one.
    pub writes: Vec<Write>,
    /// Who asked, for the history.
    pub actor: String,
    /// What for, for the history.
    pub intent: String,
    /// Why, for the history: a JSON array.
    pub reasons: String,
    /// When, in milliseconds since 1970 by the caller's clock.
    pub at: i64,
    /// If given, the batch is refused unless the lease `controllers` still has this epoch.
    pub fence: Option<Epoch>,
}

impl Batch {
    /// Why one of its writes is made.
    pub(crate) fn reasons_of<'a>(&'a self, write: &'a Write) -> &'a str {
        write.reasons.as_deref().unwrap_or(&self.reasons)
    }
}

/// One change to one object.
#[derive(Clone, Debug)]
pub struct Write {
    /// The kind of the object; with `name` its identity.
    pub kind: String,
    /// The name of the object within its kind.
    pub name: String,
    /// What must be true of the stored object for the batch to go ahead.
    pub expect: Expect,
    /// Why, for the history, where that is not what its batch says: a JSON array.
    pub reasons: Option<String>,
    /// What becomes of it.
    pub change: Change,
}

/// What must be true of the stored object. Deleting also needs it to be there, whatever is
/// expected besides: there is no history of a deletion that deleted nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// It is not there.
    Absent,
    /// It is there, as this revision left it.
    Revision(u64),
}

/// What becomes of an object.
#[derive(Clone, Debug)]
pub enum Change {
    /// It has this body, JSON as text.
    Put(String),
    /// It is gone.
    Delete,
    /// Nothing: something happened that is to be known, told by this body. It enters the history
    /// and changes no object; its kind is [`RECORD`].
    Record(String),
}

/// The kind of records that are of no object.
pub const RECORD: &str = "Audit";

/// The number of a lease's holding: greater whenever the holder changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The revision of the write that left it so.
    pub revision: u64,
    /// Its body, JSON as text.
    pub body: String,
}

/// One committed write: a row of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number; one more than that of the write before it.
    pub revision: u64,
    /// When, in milliseconds since 1970 by the writer's clock.
    pub at: i64,
    /// The kind of the object.
    pub kind: String,
    /// The name of the object.
    pub name: String,
    /// Whether the write deleted the object.
    pub deleted: bool,
    /// Who asked.
    pub actor: String,
    /// What for.
    pub intent: String,
    /// Why: a JSON array.
    pub reasons: String,
    /// The body the write left or, if it deleted, the last the object had.
    pub body: String,
    /// Covers all of this and the hash of the record before it, in hex; empty, where it was
    /// written before records were chained.
    pub hash: String,
}

/// How long history is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Entries younger than this are kept, in milliseconds since 1970.
    pub after_ms: i64,
    /// So many of each object are kept whatever their age, at least one.
    pub per_object: u32,
    /// Records of no object younger than this are kept, in milliseconds since 1970.
    pub records_after_ms: i64,
    /// Now, by the caller's clock.
    pub now_ms: i64,
}

/// What a walk along the chain of records has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// So many records were found, and each covers the one before.
    pub records: u64,
    /// So many are no longer kept; their place in the chain is.
    pub pruned: u64,
    /// So many are from before records were chained; of them nothing can be said.
    pub unchained: u64,
    /// The newest record.
    pub revision: u64,
    /// Its hash, which stands for everything before it.
    pub head: String,
    /// The first that does not fit.
    pub fault: Option<Fault>,
}

/// A record that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its revision.
    pub revision: u64,
    /// What is wrong, in one sentence.
    pub what: String,
}

/// Which entries an audit shows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only those of this actor.
    pub actor: Option<String>,
    /// Only those of this kind. Given with an actor, it is the actor that is looked up by.
    pub kind: Option<String>,
    /// Only those at or after this time, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// The state of a lease after an attempt to take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The number of this holding.
    pub epoch: Epoch,
    /// Who holds it.
    pub holder: String,
    /// Whether that is who asked.
    pub held_by_us: bool,
    /// In how many milliseconds it is free, unless renewed.
    pub expires_in_ms: i64,
}

/// A server that has checked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its own name for itself.
    pub id: String,
    /// Where the others reach it.
    pub address: String,
    /// How long ago it checked in, in milliseconds by the database's clock.
    pub age_ms: i64,
    /// Whom it heard from: a JSON object of host to milliseconds ago.
    pub heard: String,
}

/// Why the store could not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The database is away or busy; the same call may succeed later.
    #[error("the database is not available: {0}; try again shortly")]
    Unavailable(String),
    /// There is no room for a write. Nothing was changed.
    #[error("the database has no space left; free some on its disk")]
    Full,
    /// The entries asked for are no longer all kept; read a snapshot and go on from there.
    #[error("history before revision {oldest} is not kept in full, revision {asked} was asked")]
    Compacted {
        /// The revision asked to begin after.
        asked: u64,
        /// The smallest that can be asked.
        oldest: u64,
    },
    /// Anything else: a damaged file, a text that cannot be stored, a newer schema.
    #[error("the database failed: {0}")]
    Other(String),
}

impl Error {
    /// What a caller is told once nobody serves the store any more.
    pub(crate) fn stopped() -> Error {
        Error::Unavailable("the store's writer has stopped".to_owned())
    }
}

/// Why a batch was not committed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// An object is not as a write expected it.
    #[error("{kind}/{name} is not as expected: expected {expected}, found {}", Found(*.actual))]
    Conflict {
        /// The kind of the object.
        kind: String,
        /// The name of the object.
        name: String,
        /// What the write expected.
        expected: Expect,
        /// The revision stored, if the object is.
        actual: Option<u64>,
    },
    /// The lease the batch was made under has passed on.
    #[error("the lease of epoch {held} was lost, the epoch is now {current}")]
    Fenced {
        /// The epoch the batch was made under.
        held: Epoch,
        /// The lease's epoch now, 0 if it was never taken.
        current: Epoch,
    },
    /// There is no room for it.
    #[error("the database has no space left; free some on its disk")]
    Full,
    /// The database is away or busy. The batch may have been committed nevertheless if the
    /// connection broke at the very end; its expectations tell when it is tried again.
    #[error("the database is not available: {0}; try again shortly")]
    Unavailable(String),
    /// Anything else.
    #[error("the database failed: {0}")]
    Other(String),
}

impl From<Error> for CommitError {
    fn from(error: Error) -> CommitError {
        match error {
            Error::Unavailable(message) => CommitError::Unavailable(message),
            Error::Full => CommitError::Full,
            Error::Other(message) => CommitError::Other(message),
            Error::Compacted { .. } => CommitError::Other(error.to_string()),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Any => f.write_str("anything"),
            Expect::Absent => f.write_str("nothing"),
            Expect::Revision(revision) => write!(f, "revision {revision}"),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

struct Found(Option<u64>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(revision) => write!(f, "revision {revision}"),
            None => f.write_str("nothing"),
        }
    }
}
