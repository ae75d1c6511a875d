//! What may go wrong between a client and a server, and with packages, and the exit code each has
//! on the command line. Not why a package is refused, which `atoll-pack` says.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use atoll_model::Reason;
use atoll_model::api::{Outcome, ProblemJson};

use atoll_pack::{PackError, Refusal};

/// Why a request had no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No server could be reached, or none answered to the end.
    #[error(
        "no server reached at {}: {why}; is it running, and is its address right?",
        servers.join(", ")
    )]
    Unreachable {
        /// Those that were tried.
        servers: Vec<String>,
        /// What the last one failed with.
        why: String,
    },
    /// What was asked for is not there.
    #[error("{}", tell(.0))]
    NotFound(Box<ProblemJson>),
    /// It has been changed by somebody else meanwhile, or exists already.
    #[error("{}", tell(.0))]
    Conflict(Box<ProblemJson>),
    /// The request is not valid.
    #[error("{}", tell(.0))]
    Invalid(Box<ProblemJson>),
    /// The gate, or a missing right, stands against it.
    #[error("{}", tell(.0))]
    Refused(Box<ProblemJson>),
    /// The server failed.
    #[error("{}", tell(.0))]
    Problem(Box<ProblemJson>),
    /// A server shows another CA than the one it was to be known by.
    #[error(
        "the CA of {server} has another fingerprint than the one given: take token or fingerprint \
         from this very server, and make sure that nobody stands in between"
    )]
    Distrusted {
        /// The server.
        server: String,
    },
    /// The answer is not what this version expects.
    #[error("the answer to {what} was not understood: {why}; client and server may differ")]
    Strange {
        /// Method and path.
        what: String,
        /// What is odd about it.
        why: String,
    },
}

impl ClientError {
    /// The exit code of the command line.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Unreachable { .. } => 4,
            ClientError::NotFound(_) => 5,
            ClientError::Conflict(_) => 6,
            ClientError::Invalid(_) => 2,
            ClientError::Refused(_) => 3,
            ClientError::Problem(_)
            | ClientError::Strange { .. }
            | ClientError::Distrusted { .. } => 1,
        }
    }

    /// What the server said, if one spoke.
    pub fn problem(&self) -> Option<&ProblemJson> {
        match self {
            ClientError::NotFound(p)
            | ClientError::Conflict(p)
            | ClientError::Invalid(p)
            | ClientError::Refused(p)
            | ClientError::Problem(p) => Some(p),
            ClientError::Unreachable { .. }
            | ClientError::Strange { .. }
            | ClientError::Distrusted { .. } => None,
        }
    }

    /// The HTTP status, if a server spoke.
    pub fn status(&self) -> Option<u16> {
        self.problem().map(|p| p.status)
    }

    /// The stable code: the server's, or `unreachable` or `strange-answer`.
    pub fn code(&self) -> &str {
        match self {
            ClientError::Unreachable { .. } => "unreachable",
            ClientError::Strange { .. } => "strange-answer",
            _ => self.problem().map_or("", |p| p.code.as_str()),
        }
    }

    pub(crate) fn of(problem: ProblemJson) -> ClientError {
        let problem = Box::new(problem);
        match (problem.code.as_str(), problem.status) {
            ("denied" | "held", _) | (_, 401 | 403) => ClientError::Refused(problem),
            (_, 404) => ClientError::NotFound(problem),
            (_, 409 | 412) => ClientError::Conflict(problem),
            (_, 400 | 422) => ClientError::Invalid(problem),
            _ => ClientError::Problem(problem),
        }
    }

    /// A problem found on this side that a server would answer with that status.
    pub(crate) fn local(status: u16, code: &str, title: String) -> ClientError {
        ClientError::of(ProblemJson {
            type_: "about:blank".to_owned(),
            title,
            status,
            code: code.to_owned(),
            reasons: Vec::new(),
        })
    }
}

/// Why a package could not be made, sent, fetched or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The server did not help.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It is no package, or too large for one.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk is full, or would be; nothing half-written is left.
    #[error("the disk of {} is full; make room there", path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
    },
    /// The version exists with other content, and versions never change.
    #[error("{name}:{version} exists with other content ({digest}); push it as another version")]
    Exists {
        /// The name of the package.
        name: String,
        /// The version.
        version: String,
        /// The digest it has on the server.
        digest: String,
    },
    /// What is on the disk is not what it should be.
    #[error("{} was altered or damaged: it is not what its digest says", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
    },
    /// The gate did not let it in.
    #[error("the package was not taken: {}", told(.0))]
    NotTaken(Box<Outcome>),
    /// The disk failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, …
        what: &'static str,
        /// What of.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl From<PackError> for PackageError {
    fn from(error: PackError) -> PackageError {
        match error {
            PackError::Refused(refusal) => PackageError::Refused(refusal),
            PackError::Full { path } => PackageError::Full { path },
            PackError::Corrupt { path } => PackageError::Corrupt { path },
            PackError::Io { what, path, source } => PackageError::Io { what, path, source },
        }
    }
}

impl PackageError {
    pub(crate) fn io(what: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        let path = path.as_ref().to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                PackageError::Full { path }
            }
            _ => PackageError::Io { what, path, source },
        }
    }

    /// The exit code of the command line.
    pub fn exit_code(&self) -> u8 {
        match self {
            PackageError::Client(error) => error.exit_code(),
            PackageError::Refused(_) => 2,
            PackageError::Exists { .. } => 6,
            PackageError::NotTaken(_) => 3,
            PackageError::Full { .. } | PackageError::Corrupt { .. } | PackageError::Io { .. } => 1,
        }
    }
}

fn told(outcome: &Outcome) -> String {
    outcome.reasons.iter().map(Reason::to_string).collect::<Vec<_>>().join("; ")
}

fn tell(problem: &ProblemJson) -> String {
    let mut text = problem.title.clone();
    for Reason { message, hint, .. } in &problem.reasons {
        if *message == problem.title {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {message}");
        if let Some(hint) = hint {
            let _ = write!(text, " ({hint})");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_exit_code() {
        let code = |status, code: &str| ClientError::local(status, code, "x".into()).exit_code();
        assert_eq!(code(404, "not-found"), 5);
        assert_eq!(code(409, "conflict"), 6);
        assert_eq!(code(412, "conflict"), 6);
        assert_eq!(code(400, "invalid"), 2);
        assert_eq!(code(422, "invalid"), 2);
        assert_eq!(code(401, "unauthorized"), 3);
        assert_eq!(code(403, "denied"), 3);
        assert_eq!(code(409, "held"), 3, "the gate's word counts more than the status");
        assert_eq!(code(500, "internal"), 1);
        let none = ClientError::Unreachable { servers: vec![], why: "x".into() };
        assert_eq!(none.exit_code(), 4);
    }
}
