//! The guard before every route: who asks, whether they may use the route at all, and what is put
//! on record if not. What they may do to one object is asked where the object is known.

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::{Kind, Level, Reason, Snapshot};
use atoll_plan::permission::Permissions;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Access;
use crate::api::error::{ApiError, Refused};
use crate::api::objects::kind_of;
use crate::{App, audit, auth};

/// **Invariant:** every route of the table stands behind this guard.
pub(super) async fn guard(
    State((app, access, path, stays_open)): State<(App, Access, &'static str, bool)>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let began = app.clock.elapsed();
    let response = admit(&app, access, path, request, next).await;
    let (method, status) = (method.as_str(), response.status());
    let labels = [("route", path), ("method", method), ("status", status.as_str())];
    app.figures.count("atoll_http_requests_total", &labels);
    if !stays_open {
        let took = app.clock.elapsed().saturating_sub(began);
        let labels = [("route", path), ("method", method)];
        app.figures.observe("atoll_http_request_duration_seconds", &labels, took);
    }
    response
}

/// Finds who asks, and lets them pass if they may.
async fn admit(
    app: &App,
    access: Access,
    path: &'static str,
    mut request: Request,
    next: Next,
) -> Response {
    let is_query = matches!(access, Access::Read | Access::ReadAll);
    let writes = request.method() != Method::GET && !is_query;
    let now = app.clock.now();
    let actor =
        auth::authenticate(&app.cache.world(), &app.sessions, request.headers(), writes, now);
    if access == Access::Public {
        return next.run(request).await;
    }
    if matches!(access, Access::Collect | Access::Session)
        && let Some(source) = app.passed_on(request.headers())
    {
        request.extensions_mut().insert(Actor::new(source, Level::Operator));
        return next.run(request).await;
    }
    let from = audit::origin(&request);
    let Some(actor) = actor else {
        // Git sends what it knows only once it is asked: the token is the password.
        let git = path.starts_with("/git/");
        if !git || request.headers().contains_key(AUTHORIZATION) {
            app.auditor.unknown(path, from.as_deref());
        }
        let title = "no valid token; use --token, ATOLL_TOKEN or `atoll login`";
        let mut answer =
            ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", title).into_response();
        if git {
            let asks = HeaderValue::from_static("Basic realm=\"atoll\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, asks);
        }
        return answer;
    };
    let refused = permit(app, &actor, access, path, request.uri());
    let method = request.method().clone();
    let what = format!("{method} {}", request.uri().path());
    let response = match refused {
        Err(refusal) => refusal.into_response(),
        Ok(()) => {
            request.extensions_mut().insert(actor.clone());
            next.run(request).await
        }
    };
    if let Some(Refused(reasons)) = response.extensions().get() {
        app.auditor.refused(&actor, &what, from, reasons.clone());
    }
    response
}

/// Whether an actor may use a route for what the path names.
fn permit(app: &App, actor: &Actor, access: Access, path: &str, uri: &Uri) -> Result<(), ApiError> {
    let named = |parameter: &str| {
        let mut parts = path.split('/').zip(uri.path().split('/'));
        parts.find(|(pattern, _)| *pattern == parameter).map(|(_, value)| value.to_owned())
    };
    let kind = match named("{plural}") {
        Some(plural) => Some(kind_of(&plural)?),
        None => None,
    };
    let world = app.cache.world();
    let may = Permissions::of(&world, actor);
    // One who reads everything reads each kind, and each kind of route is of one.
    let writes_all = |may: &Permissions| may.always(Verb::Write, Kind::Host);
    let (allowed, verb) = match access {
        Access::Public | Access::Anybody => (true, Verb::Read),
        Access::Join => (may.may_join(), Verb::Write),
        Access::OwnHost => (named("{name}").is_some_and(|host| may.may_be(&host)), Verb::Write),
        Access::Read | Access::Session => (may.somewhere(Verb::Read, kind), Verb::Read),
        Access::ReadAll => (may.reads_everything(), Verb::Read),
        Access::Write => (may.changes_somewhere(kind), Verb::Write),
        Access::Collect => (actor.host.is_some() || writes_all(&may), Verb::Write),
        Access::Fetch => (may.is_agent() || may.somewhere(Verb::Read, None), Verb::Read),
        Access::Deposit => (may.is_agent() || may.changes_somewhere(None), Verb::Write),
    };
    if allowed {
        return Ok(());
    }
    Err(denied(&may, &world, access, verb, kind))
}

/// What is missing, and who gives it.
fn denied(
    may: &Permissions,
    world: &Snapshot,
    access: Access,
    verb: Verb,
    kind: Option<Kind>,
) -> ApiError {
    let agent = "this is for agents, with the token they were given when they joined";
    let (what, hint) = match access {
        Access::Join => {
            ("join a host".to_owned(), "use a token from atoll token create --for host".to_owned())
        }
        Access::OwnHost => ("act as this host".to_owned(), agent.to_owned()),
        Access::ReadAll => (
            "do this, which needs a role that reads everything".to_owned(),
            may.missing(world, verb, None),
        ),
        _ => match kind {
            Some(kind) => (
                format!("{} {}", verb.words(), kind.plural()),
                may.missing(world, verb, Some(kind)),
            ),
            None => (format!("{} anything", verb.words()), may.missing(world, verb, None)),
        },
    };
    ApiError::denied(Reason::new("denied", format!("{} may not {what}", may.called())).hint(hint))
}
