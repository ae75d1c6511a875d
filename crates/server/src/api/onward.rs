//! Passes a person's session on to the replica that the host polls, byte by byte, and a search of
//! its logs. A browser follows no redirect of a WebSocket, and its cookie may be of this replica
//! only; so what replicas share is shown instead. Who may is asked and put on record here, where
//! the person is known.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::agents::Wish;
use super::error::{Answer, ApiError};
use super::logs::LogLines;
use crate::App;

/// Another replica answers a handshake within this time.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// The other replica says why a session ends within this time: it asks every few seconds.
const SAID_THERE: Duration = Duration::from_secs(8);

/// A session opened at another replica, which is to be the person's.
pub(super) struct Opened {
    accept: HeaderValue,
    far: reqwest::Upgraded,
}

fn away(address: &str, why: &str) -> ApiError {
    let title = format!("the host talks to the replica at {address}, which {why}");
    ApiError::new(StatusCode::BAD_GATEWAY, "unavailable", title)
}

/// Opens a session at the replica of an address, in the name of whoever wants it.
///
/// # Errors
/// It does not answer, or opens none.
pub(super) async fn open(
    app: &App,
    address: &str,
    path: &str,
    headers: &HeaderMap,
    name: &str,
) -> Answer<Opened> {
    let Some(peers) = &app.metrics.peers else { return Err(away(address, "is unknown here")) };
    let mut asked = HeaderMap::new();
    asked.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    asked.insert(UPGRADE, HeaderValue::from_static("websocket"));
    for key in [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION] {
        if let Some(value) = headers.get(&key) {
            asked.insert(key, value.clone());
        }
    }
    let answer = peers.ask(&format!("{address}{path}"), name, asked, OPENS_WITHIN).await;
    let answer = answer.map_err(|e| away(address, &format!("does not answer: {e}")))?;
    let accept = answer.headers().get(SEC_WEBSOCKET_ACCEPT).cloned();
    let (StatusCode::SWITCHING_PROTOCOLS, Some(accept)) = (answer.status(), accept) else {
        return Err(away(address, &format!("answers {}", answer.status())));
    };
    let far = answer.upgrade().await;
    let far = far.map_err(|e| away(address, &format!("breaks off: {e}")))?;
    Ok(Opened { accept, far })
}

/// What a search of logs finds at the replica of an address, asked in the name of whoever searches.
///
/// # Errors
/// Why it finds nothing.
pub(super) async fn search(
    app: &App,
    address: &str,
    query: &str,
    name: &str,
    within: Duration,
) -> Result<LogLines, String> {
    let title = |why: &str| format!("its host talks to the replica at {address}, which {why}");
    let Some(peers) = &app.metrics.peers else { return Err(title("is unknown here")) };
    let url = format!("{address}/v1/logs?{query}");
    let answer = peers.ask(&url, name, HeaderMap::new(), within).await;
    let answer = answer.map_err(|e| title(&format!("does not answer: {e}")))?;
    if answer.status() != StatusCode::OK {
        return Err(title(&format!("answers {}; search again", answer.status())));
    }
    let found = answer.json::<LogLines>().await;
    found.map_err(|e| title(&format!("breaks off: {e}; search again")))
}

/// Answers the person's handshake as the other replica has, and passes on what either says.
pub(super) fn join(app: &App, wish: Wish, near: OnUpgrade, opened: Opened) -> Response {
    let Opened { accept, mut far } = opened;
    let app = app.clone();
    tokio::spawn(async move {
        // One who has gone before it began needs nothing.
        let Ok(near) = near.await else { return };
        let mut near = TokioIo::new(near);
        tokio::select! {
            // Either end breaking off ends the other.
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            () = async {
                wish.taken_away(&app).await;
                // The other replica finds so too, and says it; then there is nothing left to cut.
                tokio::time::sleep(SAID_THERE).await;
            } => {}
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let told: [(HeaderName, HeaderValue); 3] = [
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ];
    response.headers_mut().extend(told);
    response
}
