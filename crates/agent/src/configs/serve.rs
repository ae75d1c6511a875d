//! What programs of this host may ask over HTTP: their own configuration, once, as soon as it
//! changes, or as a stream. Answered from the copy here, whether a server is reached or not. On
//! loopback, and to whoever bears an instance's token; not an API for people.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atoll_model::Span;
use atoll_model::config::AssignedConfig;
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Configs, deliver};
use crate::machine::Machine;

/// A program is kept waiting at most this long.
const LONGEST: Span = Span::seconds(300);
/// Ports that are tried: below those the system gives to outgoing connections, so that the one
/// that instances were told is free again after a restart.
const PORTS: std::ops::Range<u16> = 17_000..19_000;

/// Opens the port that instances were told, or another if there is none or it is taken.
///
/// # Errors
/// When none of them can be had.
pub async fn listen(configs: &Configs) -> io::Result<TcpListener> {
    let before = configs.kept().port;
    let seed = u16::from_le_bytes([configs.key[0], configs.key[1]]);
    let count = PORTS.end - PORTS.start;
    let others = (0..count).map(|i| PORTS.start + (seed % count + i) % count);
    let mut last = io::Error::other("no port was tried");
    for port in Some(before).filter(|port| *port != 0).into_iter().chain(others) {
        match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
            Ok(listener) => {
                if before != 0 && port != before {
                    tracing::warn!(
                        before,
                        port,
                        "the port programs ask for configuration is taken; those that run have \
                         their files only, until they are restarted"
                    );
                }
                let mut kept = configs.kept();
                if kept.port != port {
                    kept.port = port;
                    configs.keep(&kept);
                }
                return Ok(listener);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Answers programs, for ever.
pub async fn serve(machine: &Arc<Machine>, listener: TcpListener) {
    let routes = Router::new()
        .route("/v1/configs", get(all))
        .route("/v1/configs/{name}", get(one))
        .with_state(Arc::clone(machine));
    // It ends with the agent only.
    let _ = axum::serve(listener, routes).await;
}

#[derive(Debug, Default, Deserialize)]
struct Wait {
    /// How long to wait for another version than the one named by `If-None-Match`.
    wait: Option<Span>,
}

type Shared = State<Arc<Machine>>;

/// Every configuration of the instance that asks.
async fn all(State(machine): Shared, headers: HeaderMap) -> Response {
    let Some(instance) = bearer(&machine, &headers) else { return unknown() };
    let configs = machine.configs.of(&instance);
    for config in &configs {
        fetched(&machine, &instance, config, false);
    }
    let shown = |c: AssignedConfig| (c.name, json!({ "version": c.version, "values": c.values }));
    let all: serde_json::Map<String, Value> = configs.into_iter().map(shown).collect();
    Json(Value::Object(all)).into_response()
}

/// One configuration: its values, with the version as the tag of the answer.
async fn one(
    State(machine): Shared,
    Path(name): Path<String>,
    Query(query): Query<Wait>,
    headers: HeaderMap,
) -> Response {
    let Some(instance) = bearer(&machine, &headers) else { return unknown() };
    let mut follow = machine.configs.follow();
    let Some(mut config) = find(&machine, &instance, &name) else { return missing(&name) };
    let text = |header| headers.get(header).and_then(|value| value.to_str().ok());
    if text(ACCEPT).is_some_and(|accept| accept.contains("text/event-stream")) {
        return stream(machine, instance, name, follow).into_response();
    }
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let has: Vec<&str> = known.filter(|known| !known.trim().is_empty()).collect();
    let follows = !has.is_empty() && query.wait.is_some();
    let _following = follows.then(|| machine.configs.followers.begin(&instance, &name));
    let same = |config: &AssignedConfig| has.iter().any(|known| matches(known, &tag(config)));
    if same(&config) {
        let wait = query.wait.map(|wait| wait.min(LONGEST).std());
        fetched(&machine, &instance, &config, follows);
        let news = async {
            while same(&config) {
                // The sender lives as long as the machine.
                let _ = follow.changed().await;
                match find(&machine, &instance, &name) {
                    Some(newer) => config = newer,
                    None => return false,
                }
            }
            true
        };
        match tokio::time::timeout(wait.unwrap_or(Duration::ZERO), news).await {
            Ok(true) => {}
            Ok(false) => return missing(&name),
            Err(_) => return (StatusCode::NOT_MODIFIED, [(ETAG, tag(&config))]).into_response(),
        }
    }
    // Who has nothing yet may be somebody who looks once; who follows comes again with what it has.
    fetched(&machine, &instance, &config, follows);
    let head = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (ETAG, tag(&config)),
        (axum::http::HeaderName::from_static("atoll-version"), config.version.to_string()),
    ];
    (head, body(&config)).into_response()
}

/// The values now, and again whenever they change.
fn stream(
    machine: Arc<Machine>,
    instance: String,
    name: String,
    follow: watch::Receiver<u64>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let following = machine.configs.followers.begin(&instance, &name);
    let begin = (machine, instance, name, follow, String::new());
    let events =
        futures::stream::unfold(begin, |(machine, instance, name, mut follow, last)| async move {
            loop {
                follow.borrow_and_update();
                let config = find(&machine, &instance, &name)?;
                let tag = tag(&config);
                if tag != last {
                    fetched(&machine, &instance, &config, true);
                    let event = Event::default().id(tag.trim_matches('"')).data(body(&config));
                    return Some((Ok(event), (machine, instance, name, follow, tag)));
                }
                follow.changed().await.ok()?;
            }
        });
    // Whoever reads the stream follows for as long as it does.
    let events = events.inspect(move |_| {
        let _ = &following;
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

fn find(machine: &Machine, instance: &str, name: &str) -> Option<AssignedConfig> {
    machine.configs.of(instance).into_iter().find(|config| config.name == name)
}

fn body(config: &AssignedConfig) -> String {
    serde_json::to_string(&config.values).expect("values have string keys")
}

/// The version, and what it says here: an overlay may make the same version another.
fn tag(config: &AssignedConfig) -> String {
    let hash = blake3::hash(body(config).as_bytes()).to_hex();
    format!("\"{}-{}\"", config.version, &hash[..8])
}

/// Whether what stands in `If-None-Match` names a tag: `*`, or a list of tags, weak ones too, as
/// RFC 9110 compares them there.
fn matches(header: &str, tag: &str) -> bool {
    if header.trim() == "*" {
        return true;
    }
    let mut rest = header;
    while let Some((_, begun)) = rest.split_once('"') {
        let Some((known, after)) = begun.split_once('"') else { return false };
        if known == tag.trim_matches('"') {
            return true;
        }
        rest = after;
    }
    false
}

/// Notes that a program has a version.
fn fetched(machine: &Machine, instance: &str, config: &AssignedConfig, follows: bool) {
    deliver::note(machine, instance, |acks| {
        let ack = acks.entry(config.name.clone()).or_default();
        ack.fetched = Some(config.version);
        ack.follows |= follows;
    });
}

fn bearer(machine: &Machine, headers: &HeaderMap) -> Option<String> {
    let offered = headers.get(AUTHORIZATION)?.to_str().ok()?;
    machine.configs.bearer(offered.strip_prefix("Bearer ")?.trim())
}

fn unknown() -> Response {
    let title = "no instance bears this token; send $ATOLL_CONFIG_TOKEN as Bearer";
    problem(StatusCode::UNAUTHORIZED, title)
}

fn missing(name: &str) -> Response {
    let title = format!("no configuration {name} for this instance; see config.dynamic");
    problem(StatusCode::NOT_FOUND, &title)
}

fn problem(status: StatusCode, title: &str) -> Response {
    let body = json!({ "status": status.as_u16(), "title": title }).to_string();
    (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_as_http_has_it() {
        let ours = "\"7-abcd\"";
        for known in ["*", " * ", "\"7-abcd\"", "W/\"7-abcd\"", "\"1,2\", W/\"7-abcd\" , \"x\""] {
            assert!(matches(known, ours), "{known}");
        }
        for other in ["", "7-abcd", "\"7-abc\"", "W/\"8-abcd\"", "\"6\", \"8\"", "\"7-abcd"] {
            assert!(!matches(other, ours), "{other}");
        }
    }
}
