//! Where in a person's files that stands which a server says is wrong: it sees no file, and names
//! object and path. Not the reading of files, which is `files.rs`.

use atoll_client::ClientError;
use atoll_model::manifest::texts::Texts;

use crate::exit::{Exit, Failure};

/// The same outcome; what it says of something in the files is told with its place.
///
/// # Errors
/// What it was.
pub fn placed<T>(texts: &Texts, done: anyhow::Result<T>) -> anyhow::Result<T> {
    done.map_err(|error| failure(texts, &error).map_or(error, anyhow::Error::from))
}

/// The failure with places, where any is found.
fn failure(texts: &Texts, error: &anyhow::Error) -> Option<Failure> {
    let mut failure = match (error.downcast_ref::<Failure>(), error.downcast_ref::<ClientError>()) {
        (Some(failure), _) => failure.clone(),
        (None, Some(client)) => {
            let problem = client.problem()?;
            Failure {
                exit: Exit::from(client.exit_code()),
                message: problem.title.clone(),
                reasons: problem.reasons.clone(),
            }
        }
        (None, None) => return None,
    };
    let first = failure.reasons.first().is_some_and(|first| first.message == failure.message);
    let any = failure.reasons.iter_mut().fold(false, |any, reason| texts.place(reason) | any);
    if let Some(reason) = failure.reasons.first().filter(|_| first) {
        failure.message.clone_from(&reason.message);
    }
    any.then_some(failure)
}

#[cfg(test)]
mod tests {
    use atoll_model::Reason;

    use super::*;

    #[test]
    fn what_a_server_finds_wrong_is_told_with_its_line() {
        let mut texts = Texts::default();
        let file = "kind: Application\nmetadata: { name: shop }\nspec:\n  owner: bob\n";
        texts.add("a.yaml", file);
        let wrong = "application/shop: spec.owner: is nobody";
        let failure = |message: &str| Failure {
            exit: Exit::Refused,
            message: message.to_owned(),
            reasons: vec![Reason::new("invalid", wrong), Reason::new("frozen", "peak")],
        };
        for (message, told) in [
            (wrong, "a.yaml:4:10: application/shop: spec.owner: is nobody"),
            ("denied by the gate", "denied by the gate"),
        ] {
            let error = placed::<()>(&texts, Err(failure(message).into())).unwrap_err();
            let failure = error.downcast_ref::<Failure>().unwrap();
            assert_eq!((failure.exit, failure.message.as_str()), (Exit::Refused, told));
            assert!(failure.reasons[0].message.starts_with("a.yaml:4:10: "), "{failure:?}");
            assert_eq!(failure.reasons[1].message, "peak");
        }
    }
}
