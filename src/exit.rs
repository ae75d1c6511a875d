//! How a command ends: the exit codes scripts rely on, and failures that carry one. Not the
//! printing of errors, which is `output.rs`.

use std::fmt;

use atoll_model::Reason;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done.
    Done,
    /// The operation failed, or did not settle in time.
    Failed,
    /// The command line or a manifest is wrong.
    Usage,
    /// The gate refused.
    Refused,
    /// No server was reached.
    Unreachable,
    /// There is no such object.
    NotFound,
    /// Somebody else changed the object meanwhile.
    Conflict,
    /// The exit code of a command that was run elsewhere.
    Code(u8),
}

impl Exit {
    /// The number a shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::Unreachable => 4,
            Exit::NotFound => 5,
            Exit::Conflict => 6,
            Exit::Code(code) => code,
        }
    }
}

impl From<u8> for Exit {
    fn from(code: u8) -> Exit {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::Unreachable,
            Exit::NotFound,
            Exit::Conflict,
        ];
        all.into_iter().find(|exit| exit.code() == code).unwrap_or(Exit::Code(code))
    }
}

/// A failure that knows its exit code.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What was attempted on what, and what to do; empty where everything has been said.
    pub message: String,
    /// Each single reason.
    pub reasons: Vec<Reason>,
}

impl Failure {
    /// A wrong command line or manifest.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure { exit: Exit::Usage, message: message.into(), reasons: Vec::new() }
    }

    /// An operation that did not succeed.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure { exit: Exit::Failed, message: message.into(), reasons: Vec::new() }
    }

    /// An object that is not there.
    pub fn not_found(message: impl Into<String>) -> Failure {
        Failure { exit: Exit::NotFound, message: message.into(), reasons: Vec::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
