//! The route table: every path, the right it needs, and who answers. The router, the guard, the
//! OpenAPI document and the tests are all made from it.

use std::time::Duration;

use atoll_model::Any;
use atoll_model::access::Actor;
use atoll_model::agent::{Assignment, Join, Joined, Report};
use atoll_model::api::{
    Apply, Digests, Explanation, History, List, Outcome, Readiness, WatchEvent, Whoami,
};
use atoll_model::cmdb::facts::{FactsReport, FactsWanted};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use axum::{Router, http::HeaderMap};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::timeout::TimeoutLayer;

use super::agents::{self, PollQuery, SessionQuery};
use super::configs::{self, ValueQuery};
use super::error::{self, ApiError};
use super::history::{self, HistoryQuery, RollbackQuery};
use super::logs::{self, LogLines, LogQuery};
use super::objects::{self, GetQuery, ListQuery, WriteQuery};
use super::session;
use super::watch::{self, WatchQuery};
use super::{
    capacity, costs, decisions, delivery, inventory, packages, rehearsal, standards, state,
};
use crate::listen::PeerAddress;
use crate::{App, auth, blobs, console};

mod access;
mod guard;
mod pipelines;
mod prometheus;

/// The largest request, in bytes; pieces of packages apart.
const LARGEST_REQUEST: usize = 16 << 20;
/// The largest handing in of facts, in bytes: every part at its largest.
const LARGEST_FACTS: usize = 8 << 20;
/// A request that is not a stream is answered within this time.
const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// The right a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// None.
    Public,
    /// Any valid credential.
    Anybody,
    /// To join a host.
    Join,
    /// To act as the host named in the path.
    OwnHost,
    /// To read the kind named in the path, or anything where none is.
    Read,
    /// To read everything: what cannot be told apart by object.
    ReadAll,
    /// To write the kind named in the path, or anything where none is.
    Write,
    /// To open a session with what the path names, or to search logs: as to read; and another
    /// replica, for a person whom it has let.
    Session,
    /// To hand in metrics: agents of themselves, and people who may write.
    Collect,
    /// To read pieces of packages: people and agents.
    Fetch,
    /// To hand in pieces of packages: people who may write, and agents what tasks have left.
    Deposit,
}

/// Makes the schema of a body or a query.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One route.
pub struct Route {
    /// `GET`, `PUT`, …
    pub method: Method,
    /// With `{parameters}`.
    pub path: &'static str,
    /// The right it needs.
    pub access: Access,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// The parameters of its query.
    pub query: Option<SchemaOf>,
    /// The body of its request; the media type where it is not JSON.
    pub request: Option<Body>,
    /// The body of its answer.
    pub response: Option<Body>,
    /// Whether it may stay open: it is then not cut off by the time limit.
    pub stays_open: bool,
    handler: MethodRouter<App>,
}

/// A body of a request or an answer.
#[derive(Clone, Copy)]
pub enum Body {
    /// JSON of this schema.
    Json(SchemaOf),
    /// The same, or text of that media type that says it.
    Text(SchemaOf, &'static str),
    /// Anything else, by its media type.
    Raw(&'static str),
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    pub(super) fn new(
        method: Method,
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: MethodRouter<App>,
    ) -> Route {
        Route {
            method,
            path,
            access,
            summary,
            query: None,
            request: None,
            response: None,
            stays_open: false,
            handler,
        }
    }

    pub(super) fn query<T: JsonSchema>(mut self) -> Route {
        // Inline, so that each of its properties becomes a parameter.
        self.query = Some(|generator| T::json_schema(generator));
        self
    }

    pub(super) fn takes<T: JsonSchema>(mut self) -> Route {
        self.request = Some(Body::Json(schema::<T>));
        self
    }

    /// JSON, or text of that media type which is read as the same.
    pub(super) fn takes_text<T: JsonSchema>(mut self, kind: &'static str) -> Route {
        self.request = Some(Body::Text(schema::<T>, kind));
        self
    }

    pub(super) fn gives<T: JsonSchema>(mut self) -> Route {
        self.response = Some(Body::Json(schema::<T>));
        self
    }

    fn takes_raw(mut self, kind: &'static str) -> Route {
        self.request = Some(Body::Raw(kind));
        self
    }

    pub(super) fn gives_raw(mut self, kind: &'static str) -> Route {
        self.response = Some(Body::Raw(kind));
        self
    }

    pub(super) fn open(mut self) -> Route {
        self.stays_open = true;
        self
    }
}

/// Every route of the API.
pub fn routes() -> Vec<Route> {
    let mut all = server_routes();
    all.extend(access::routes());
    all.extend(object_routes());
    all.extend(history_routes());
    all.extend(agent_routes());
    all.extend(prometheus::routes());
    all.extend(pipelines::routes());
    all.extend(delivery::routes());
    all.extend(standards::routes());
    all.extend(decisions::routes());
    all.extend(inventory::routes());
    all.extend(capacity::routes());
    all.extend(costs::routes());
    all.extend(rehearsal::routes());
    all
}

fn server_routes() -> Vec<Route> {
    use Access::{Anybody, Deposit, Fetch, Public, ReadAll};
    let r = Route::new;
    vec![
        r(Method::GET, "/healthz", Public, "The process runs.", get(state::healthz))
            .gives_raw("text/plain"),
        r(Method::GET, "/readyz", Public, "It can serve.", get(state::readyz)).gives::<Readiness>(),
        r(Method::GET, "/metrics", ReadAll, "The server's own figures.", get(state::metrics))
            .gives_raw("text/plain"),
        r(Method::GET, "/v1/ca", Public, "The certificate of the server's CA.", get(state::ca))
            .gives_raw("application/x-pem-file"),
        r(Method::GET, "/v1/openapi.json", Public, "This document.", get(state::openapi))
            .gives_raw("application/json"),
        r(Method::GET, "/v1/whoami", Anybody, "Who asks.", get(session::whoami)).gives::<Whoami>(),
        r(Method::POST, "/v1/blobs/missing", Deposit, "Which pieces the server lacks.", {
            post(packages::missing)
        })
        .takes::<Digests>()
        .gives::<Digests>(),
        r(Method::PUT, "/v1/blobs/{digest}", Deposit, "Keeps a piece of a package.", {
            put(packages::put).layer(DefaultBodyLimit::max(blobs::LARGEST))
        })
        .takes_raw("application/octet-stream"),
        r(Method::GET, "/v1/blobs/{digest}", Fetch, "Gives a piece of a package.", {
            get(packages::get)
        })
        .gives_raw("application/octet-stream"),
    ]
}

fn object_routes() -> Vec<Route> {
    use Access::{Read, Write};
    let r = Route::new;
    vec![
        r(Method::GET, "/v1/{plural}", Read, "Lists objects of a kind.", get(objects::list))
            .query::<ListQuery>()
            .gives::<List>(),
        r(Method::GET, "/v1/{plural}/{name}", Read, "Gets an object.", get(objects::get))
            .query::<GetQuery>()
            .gives::<Any>(),
        r(Method::PUT, "/v1/{plural}/{name}", Write, "Creates or replaces.", put(objects::put))
            .query::<WriteQuery>()
            .takes::<Any>()
            .gives::<Outcome>(),
        r(Method::PATCH, "/v1/{plural}/{name}", Write, "Merges a patch into an object.", {
            patch(objects::patch)
        })
        .query::<WriteQuery>()
        .takes_raw("application/merge-patch+json")
        .gives::<Outcome>(),
        r(Method::DELETE, "/v1/{plural}/{name}", Write, "Deletes an object.", {
            delete(objects::delete)
        })
        .query::<WriteQuery>()
        .gives::<Outcome>(),
        r(Method::POST, "/v1/apply", Write, "Applies manifests, all or none.", {
            post(objects::apply)
        })
        .query::<WriteQuery>()
        .takes::<Apply>()
        .gives::<Outcome>(),
        r(Method::GET, "/v1/watch", Read, "Watches objects.", get(watch::watch))
            .query::<WatchQuery>()
            .gives::<WatchEvent>()
            .open(),
        r(Method::GET, "/v1/configs/{name}/values", Read, "Values that are live.", {
            get(configs::values)
        })
        .query::<ValueQuery>()
        .gives_raw("application/json")
        .open(),
        r(Method::GET, "/v1/configs/{name}/watch", Read, "Watches values.", get(configs::watch))
            .query::<ValueQuery>()
            .gives_raw("text/event-stream")
            .open(),
    ]
}

fn history_routes() -> Vec<Route> {
    use Access::{Read, Write};
    let r = Route::new;
    vec![
        r(Method::GET, "/v1/history/{plural}/{name}", Read, "What was written.", {
            get(history::history)
        })
        .query::<HistoryQuery>()
        .gives::<History>(),
        r(Method::POST, "/v1/rollback/{plural}/{name}", Write, "Goes back to a revision.", {
            post(history::rollback)
        })
        .query::<RollbackQuery>()
        .gives::<Outcome>(),
        r(Method::GET, "/v1/why/{plural}/{name}", Read, "Why it is as it is.", get(history::why))
            .gives::<Explanation>(),
    ]
}

fn agent_routes() -> Vec<Route> {
    use Access::{Join as MayJoin, OwnHost, Session};
    let r = Route::new;
    vec![
        r(Method::POST, "/v1/agents/join", MayJoin, "A machine becomes a host.", {
            post(agents::join)
        })
        .takes::<Join>()
        .gives::<Joined>(),
        r(Method::GET, "/v1/agents/{name}/assignment", OwnHost, "What is to be on a host.", {
            get(agents::assignment)
        })
        .query::<PollQuery>()
        .gives::<Assignment>()
        .open(),
        r(Method::POST, "/v1/agents/{name}/report", OwnHost, "How a host is.", {
            post(agents::report_in)
        })
        .takes::<Report>(),
        r(Method::POST, "/v1/agents/{name}/facts", OwnHost, "What a host is, in full.", {
            post(agents::facts_in).layer(DefaultBodyLimit::max(LARGEST_FACTS))
        })
        .takes::<FactsReport>()
        .gives::<FactsWanted>(),
        r(Method::GET, "/v1/agents/{name}/sessions/{id}", OwnHost, "An agent's end.", {
            get(agents::answer_session)
        })
        .open(),
        r(Method::GET, "/v1/logs", Session, "Searches logs over the agents.", get(logs::search))
            .query::<LogQuery>()
            .gives::<LogLines>(),
        r(Method::GET, "/v1/instances/{name}/session", Session, "Logs or a command.", {
            get(agents::open_session)
        })
        .query::<SessionQuery>()
        .open(),
    ]
}

/// The router with every route behind its guard, and the console for everything else.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let (access, path, stays_open) = (route.access, route.path, route.stays_open);
        let state = (app.clone(), access, path, stays_open);
        let mut handler = route.handler.layer(middleware::from_fn_with_state(state, guard::guard));
        if !stays_open {
            let limit =
                TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LONGEST_REQUEST);
            handler = handler.layer(limit);
        }
        router = router.route(path, handler);
    }
    let worth = SizeAbove::new(1024).and(NotForContentType::SSE).and(NotForContentType::IMAGES);
    router
        .fallback(fallback)
        .layer(middleware::from_fn(error::as_problem))
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .layer(CompressionLayer::new().compress_when(worth))
        .layer(CatchPanicLayer::new())
        .with_state(app)
}

/// Everything that is not a route: the console, or a clear 404 below `/v1`.
async fn fallback(
    State(app): State<App>,
    ConnectInfo(PeerAddress(peer)): ConnectInfo<PeerAddress>,
    headers: HeaderMap,
    method: Method,
    uri: Uri,
) -> Response {
    let path = uri.path();
    if path.starts_with("/v1") || path.starts_with("/api/") {
        return ApiError::not_found(format!("route {method} {path}; see /v1/openapi.json"))
            .into_response();
    }
    // Clients of Prometheus take the console's page for metrics.
    if path == "/federate" {
        let said = "route /federate: nothing is federated; ask /api/v1/query, or have everything \
                    sent on with --metrics-remote";
        return ApiError::not_found(said).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let mut response = console::answer(path, &headers);
    let page = console::is_page(path);
    let known = auth::cookie(&headers).is_some()
        && auth::authenticate(&app.cache.world(), &app.sessions, &headers, false, app.clock.now())
            .is_some();
    if page && !known && auth::is_local_user(peer, app.listen, &headers) {
        let secret = app.sessions.open(Actor::local(), app.clock.now());
        let cookie = session::session_cookie(&app, &secret);
        response.headers_mut().insert(axum::http::header::SET_COOKIE, cookie);
    }
    response
}
