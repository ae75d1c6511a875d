//! What an engine, or the registry it asks, answers instead of doing what it was asked.

use std::error::Error as _;
use std::path::PathBuf;

use bollard::errors::Error;

/// Why an engine did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers on the socket.
    #[error("docker at {} does not answer: {why}", socket.display())]
    Missing {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        why: String,
    },
    /// It stopped answering in the middle.
    #[error("docker stopped answering: {0}")]
    Away(String),
    /// It has no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It exists already, or is in use.
    #[error("{0}")]
    Conflict(String),
    /// The registry does not know the image.
    #[error("{0}")]
    ImageMissing(String),
    /// The registry wants somebody else.
    #[error("{0}")]
    Unauthorised(String),
    /// The registry is not reached.
    #[error("{0}")]
    RegistryDown(String),
    /// It will not.
    #[error("{0}")]
    Refused(String),
}

impl EngineError {
    /// Whether the engine itself is not there, so that it says nothing about what was asked.
    pub fn is_away(&self) -> bool {
        matches!(self, EngineError::Missing { .. } | EngineError::Away(_))
    }

    /// The same, of something that was asked of a registry: Docker tells its answers in words.
    #[must_use]
    pub fn of_registry(self) -> EngineError {
        let (EngineError::NotFound(text) | EngineError::Refused(text)) = self else { return self };
        let lower = text.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if says(&["unauthorized", "authentication required", "no basic auth", "access denied"]) {
            EngineError::Unauthorised(text)
        } else if says(&["manifest unknown", "name unknown", "not found", "no such image"]) {
            EngineError::ImageMissing(text)
        } else if says(&["dial tcp", "connection refused", "no such host", "timeout", "eof"])
            || says(&["connection reset", "unexpected http status: 5", "temporary failure"])
            // It went while something was on its way to it.
            || says(&["server closed idle connection", "broken pipe"])
        {
            EngineError::RegistryDown(text)
        } else {
            EngineError::Refused(text)
        }
    }
}

impl From<Error> for EngineError {
    fn from(error: Error) -> EngineError {
        match error {
            Error::DockerResponseServerError { status_code: 404, message } => {
                EngineError::NotFound(plain(message))
            }
            Error::DockerResponseServerError { status_code: 409 | 304, message } => {
                EngineError::Conflict(plain(message))
            }
            Error::DockerResponseServerError { message, .. } => {
                EngineError::Refused(plain(message))
            }
            Error::DockerStreamError { error } => EngineError::Refused(plain(error)),
            Error::DockerContainerWaitError { error, .. } => EngineError::Refused(plain(error)),
            // It says nothing of what was asked for.
            Error::JsonDataError { message, .. } => {
                EngineError::Away(format!("its answer could not be read: {message}"))
            }
            other => EngineError::Away(told(&other)),
        }
    }
}

/// An error with what caused it.
pub(super) fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    plainer(&text)
}

/// Without the names of what this program is made of.
fn plainer(text: &str) -> String {
    let mut text = text;
    for inner in ["Error in the hyper legacy client: ", "client error (Connect): "] {
        text = text.strip_prefix(inner).unwrap_or(text);
    }
    text.to_owned()
}

/// One line, without what Docker puts before everything.
fn plain(message: String) -> String {
    let message = message.trim().replace('\n', " ");
    message.strip_prefix("Error response from daemon: ").map(str::to_owned).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_away_is_told_in_plain_words() {
        let inner = "Error in the hyper legacy client: client error (Connect): Connection refused";
        assert_eq!(plainer(inner), "Connection refused");
        assert_eq!(plainer("no answer"), "no answer");
    }

    #[test]
    fn what_registries_answer_is_told_apart() {
        let of = |text: &str| EngineError::Refused(text.to_owned()).of_registry();
        let down = "Get \"http://127.0.0.1:5/v2/\": dial tcp 127.0.0.1:5: connect: refused";
        assert!(matches!(of(down), EngineError::RegistryDown(_)));
        let gone = "Get \"http://127.0.0.1:5/v2/\": http: server closed idle connection";
        assert!(matches!(of(gone), EngineError::RegistryDown(_)));
        let unknown = "manifest for 127.0.0.1:5/shop:2 not found: manifest unknown";
        assert!(matches!(of(unknown), EngineError::ImageMissing(_)));
        let denied = "Head \"http://127.0.0.1:5/v2/shop/manifests/1\": no basic auth credentials";
        assert!(matches!(of(denied), EngineError::Unauthorised(_)));
        assert!(matches!(of("no space left on device"), EngineError::Refused(_)));
        let away = EngineError::Away("closed".to_owned());
        assert_eq!(away.clone().of_registry(), away, "that is no word of a registry");
    }
}
