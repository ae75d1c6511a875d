//! The watch: every object of the asked kinds, then every change, as server-sent events that can
//! be resumed from any revision. It has no knowledge of kinds.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::api::WatchEvent;
use atoll_model::{Any, Kind};
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse;
use futures::Stream;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;

use super::error::{Answer, ApiError};
use super::objects::kind_of;
use super::sight::Sight;
use crate::cache::Event;
use crate::{App, auth};

/// A comment is sent after this time of silence, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Parameters of a watch.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WatchQuery {
    /// Plural names, separated by commas; all that may be read, if absent.
    #[serde(default)]
    pub kinds: Option<String>,
    /// Leave out kinds of which one may read none, and refuse nothing for them.
    #[serde(default)]
    pub permitted: bool,
    /// Only the object of this name.
    #[serde(default)]
    pub name: Option<String>,
    /// Resume after this revision; what is there now is then not sent again.
    #[serde(default)]
    pub from: Option<u64>,
}

struct Watcher {
    app: App,
    kinds: Vec<Kind>,
    name: Option<String>,
    at: u64,
    ready: VecDeque<sse::Event>,
    follow: watch::Receiver<u64>,
    actor: Actor,
}

/// `GET /v1/watch`.
pub async fn watch(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<WatchQuery>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>> {
    let sight = app.sight(&actor);
    let kinds = asked_kinds(&sight, query.kinds.as_deref(), query.permitted)?;
    let last_id = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.parse().ok());
    let follow = app.cache.follow();
    let from: Option<u64> = last_id.or(query.from);
    let mut watcher =
        Watcher { follow, kinds, name: query.name, at: 0, ready: VecDeque::new(), actor, app };
    match from.filter(|from| watcher.app.cache.since(*from).is_ok()) {
        Some(from) => watcher.at = from,
        None => watcher.start_over(),
    }
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok(event), watcher))
    });
    Ok(Sse::new(stream).keep_alive(sse::KeepAlive::new().interval(KEEP_ALIVE)))
}

fn asked_kinds(sight: &Sight, kinds: Option<&str>, permitted: bool) -> Answer<Vec<Kind>> {
    let may = |kind: &Kind| sight.may.somewhere(Verb::Read, Some(*kind));
    let Some(kinds) = kinds.filter(|k| !k.is_empty()) else {
        return Ok(Kind::ALL.iter().copied().filter(may).collect());
    };
    let mut kinds = kinds.split(',').map(kind_of).collect::<Answer<Vec<Kind>>>()?;
    if permitted {
        kinds.retain(may);
    }
    for kind in &kinds {
        sight.may.check_kind(&sight.world, Verb::Read, *kind).map_err(ApiError::denied)?;
    }
    Ok(kinds)
}

impl Watcher {
    /// Sends everything as it is now; also what follows when memory does not reach back to where
    /// a slow watcher is.
    fn start_over(&mut self) {
        let sight = self.app.sight(&self.actor);
        let world = sight.world.clone();
        self.at = world.revision;
        let all = self.kinds.iter().flat_map(|kind| world.after(*kind, ""));
        let all = all.filter(|any| self.wants_name(any) && sight.sees(any)).map(|any| {
            let revision = any.meta().revision;
            let object = Some(self.app.shown(&world, any));
            message(None, &WatchEvent { event: "put".to_owned(), revision, object })
        });
        let all: Vec<sse::Event> = all.collect();
        self.ready.extend(all);
        let sync = WatchEvent { event: "sync".to_owned(), revision: world.revision, object: None };
        self.ready.push_back(message(Some(world.revision), &sync));
    }

    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if *self.follow.borrow_and_update() <= self.at {
                // Fails only when the server is going away, which ends the stream.
                match tokio::time::timeout(KEEP_ALIVE, self.follow.changed()).await {
                    Ok(changed) => changed.ok()?,
                    Err(_) if !self.is_known() => return None,
                    Err(_) => continue,
                }
            }
            if !self.is_known() {
                return None;
            }
            match self.app.cache.since(self.at) {
                Ok(events) => {
                    let sight = self.app.sight(&self.actor);
                    for event in events {
                        self.at = event.revision;
                        if self.wants(&event) {
                            let told = self.told(&sight, &event);
                            self.ready.extend(told);
                        }
                    }
                }
                Err(_) => self.start_over(),
            }
        }
    }

    /// Whether what was shown when the watch began is still good.
    fn is_known(&self) -> bool {
        auth::still_good(&self.app.cache.world(), &self.actor, self.app.clock.now())
    }

    /// The event as it is told to one who sees what they may: what has become another's is gone.
    fn told(&self, sight: &Sight, event: &Event) -> Option<sse::Event> {
        let sees = |any: &Option<Any>| any.as_ref().is_some_and(|any| sight.sees(any));
        let id = event.revision.to_string();
        if sees(&event.new) || (event.new.is_none() && sees(&event.old)) {
            return Some(sse::Event::default().id(id).data(event.text()));
        }
        if !sees(&event.old) {
            return None;
        }
        let revision = event.revision;
        let gone = WatchEvent { event: "delete".to_owned(), revision, object: event.old.clone() };
        Some(message(Some(revision), &gone))
    }

    fn wants(&self, event: &Event) -> bool {
        event.object().is_some_and(|any| self.kinds.contains(&any.kind()) && self.wants_name(any))
    }

    fn wants_name(&self, any: &Any) -> bool {
        self.name.as_deref().is_none_or(|name| any.name() == name)
    }
}

/// Only what ends a state that can be resumed from carries an id.
fn message(id: Option<u64>, event: &WatchEvent) -> sse::Event {
    let text = serde_json::to_string(event).expect("objects have string keys");
    let message = sse::Event::default().data(text);
    match id {
        Some(id) => message.id(id.to_string()),
        None => message,
    }
}
