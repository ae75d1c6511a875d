//! `POST /api/v1/write`: remote write, versions 1 and 2. What a sender can mend it is told with
//! 400, which it does not send again; what will pass with 429 or 503, which it does.

use std::sync::Arc;

use atoll_metrics::remote::{Decoded, Refused, RemoteError, Version};
use atoll_metrics::storage::Appended;
use atoll_model::access::Actor;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::metrics::forward::{SECRET_HEADER, SOURCE_HEADER};
use crate::metrics::write::{Giver, TakeError, Taken};
use crate::{App, Server};

/// The largest message, decompressed.
const LARGEST: usize = 64 << 20;
/// So many messages are taken at a time, and so many more wait; others are asked to come back.
const AT_A_TIME: usize = 4;
const MOST_WAITING: usize = 256;

/// Bounds the messages in memory.
#[derive(Debug)]
pub struct Door {
    places: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Door {
    fn default() -> Door {
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        Door { places, waiting: Semaphore::new(MOST_WAITING) }
    }
}

impl Server {
    /// The source of a message that another replica passes on, if it is one.
    pub(crate) fn passed_on(&self, headers: &HeaderMap) -> Option<String> {
        let secret = headers.get(SECRET_HEADER)?.to_str().ok()?;
        let source = headers.get(SOURCE_HEADER)?.to_str().ok()?;
        let peers = self.metrics.peers.as_ref()?;
        peers.knows(secret).then(|| source.to_owned())
    }

    fn giver(&self, actor: Actor, headers: &HeaderMap) -> Giver {
        match self.passed_on(headers) {
            Some(source) => Giver { source, host: None, passed_on: true },
            None => Giver { source: actor.name, host: actor.host, passed_on: false },
        }
    }
}

/// `POST /api/v1/write`.
pub async fn write(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let giver = app.giver(actor, &headers);
    let version = match version_of(&headers) {
        Ok(version) => version,
        Err(why) => {
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{why}\n")).into_response();
        }
    };
    let Ok(_waiting) = app.door.waiting.try_acquire() else {
        let message = "too many messages wait to be stored; send this one again\n";
        let retry = [(RETRY_AFTER, "5")];
        return (StatusCode::TOO_MANY_REQUESTS, retry, message).into_response();
    };
    let Ok(place) = app.door.places.clone().acquire_owned().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is going away\n").into_response();
    };
    let (metrics, now) = (app.metrics.clone(), app.clock.now());
    let taken = tokio::task::spawn_blocking(move || {
        let _place = place;
        let taken = metrics.take_message(&giver, version, &body, LARGEST, now);
        (giver, taken)
    });
    match taken.await {
        Ok((giver, Ok(mut taken))) => {
            app.pass_on(&giver, taken.message.take());
            app.metrics.describe(std::mem::take(&mut taken.decoded.families));
            count(&app, &taken.appended);
            answer(&taken)
        }
        Ok((_, Err(error))) => refusal(&error),
        Err(error) => {
            let message = format!("could not store the message: {error}\n");
            (StatusCode::SERVICE_UNAVAILABLE, message).into_response()
        }
    }
}

/// The version, or why the media type is not one of ours.
fn version_of(headers: &HeaderMap) -> Result<Version, String> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let encoding = text(CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(format!("could not read {encoding:?}: send snappy"));
    }
    let kind = match text(CONTENT_TYPE) {
        "" => "application/x-protobuf",
        kind => kind,
    };
    Version::from_content_type(kind).map_err(|error| error.to_string())
}

fn answer(taken: &Taken) -> Response {
    let a = &taken.appended;
    let mut response = match refused(a, &taken.decoded.refused) {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(message) => (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
    };
    for (name, value) in Decoded::written(a.accepted) {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What was not stored of a message, and why, in one sentence.
fn refused(appended: &Appended, unread: &Refused) -> Option<String> {
    let a = appended;
    let stored = match a.accepted {
        1 => "1 sample was stored".to_owned(),
        count => format!("{count} samples were stored"),
    };
    let left_out = a.too_old + a.too_new + a.over_limit + a.invalid;
    match (&a.refusal, unread.rows) {
        (None, 0) => None,
        (Some(why), _) => Some(format!("{stored}, {left_out} refused: {why}")),
        (None, 1) => Some(format!("{stored}, and 1 series was refused: {}", unread.reason)),
        (None, rows) => {
            Some(format!("{stored}, and {rows} series were refused: {}", unread.reason))
        }
    }
}

fn refusal(error: &TakeError) -> Response {
    let status = match error {
        TakeError::Message(RemoteError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        TakeError::Message(RemoteError::ContentType(_)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        TakeError::Message(_) => StatusCode::BAD_REQUEST,
        TakeError::Denied(_) => StatusCode::FORBIDDEN,
        TakeError::Storage(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!("could not store metrics: {error}");
    }
    (status, format!("{error}\n")).into_response()
}

fn count(app: &Server, appended: &Appended) {
    let all = [
        ("accepted", appended.accepted),
        ("duplicate", appended.duplicates),
        ("conflicting", appended.conflicting),
        ("too_old", appended.too_old),
        ("too_new", appended.too_new),
        ("over_limit", appended.over_limit),
        ("invalid", appended.invalid),
    ];
    for (outcome, samples) in all.into_iter().filter(|(_, samples)| *samples > 0) {
        app.figures.add("atoll_metrics_received_samples_total", &[("outcome", outcome)], samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_stored_is_said_in_one_sentence() {
        let unread = |rows| Refused { rows, reason: "a series has no name".to_owned() };
        let mut appended = Appended::default();
        assert_eq!(refused(&appended, &unread(0)), None);
        let one = "0 samples were stored, and 1 series was refused: a series has no name";
        assert_eq!(refused(&appended, &unread(1)).as_deref(), Some(one));
        (appended.accepted, appended.too_old) = (1, 2);
        appended.refusal = Some("it is too old".to_owned());
        let other = "1 sample was stored, 2 refused: it is too old";
        assert_eq!(refused(&appended, &unread(1)).as_deref(), Some(other));
    }
}
