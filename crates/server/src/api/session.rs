//! Who one is: the console's sessions, whoami, and the making of tokens.

use std::sync::Arc;

use atoll_model::access::{Actor, Role};
use atoll_model::api::{TokenMade, TokenRequest, Whoami};
use atoll_model::{Any, Intent, Reason, Span, Write};
use atoll_plan::Plan;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{Answer, ApiError};
use crate::{App, Server, auth};

/// `POST /v1/session`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignIn {
    /// A token of a person.
    pub token: String,
}

/// `GET /v1/whoami`.
pub async fn whoami(Extension(actor): Extension<Actor>) -> Json<Whoami> {
    let server_version = env!("CARGO_PKG_VERSION").to_owned();
    Json(Whoami { name: actor.name, role: actor.role, server_version })
}

/// `POST /v1/session`: signs in to the console.
pub async fn sign_in(State(app): State<App>, Json(ask): Json<SignIn>) -> Answer<Response> {
    let now = app.clock.now();
    let actor = auth::bearer(&app.cache.world(), ask.token.trim(), now)
        .filter(|actor| actor.role >= Role::Viewer)
        .ok_or_else(|| {
            let title = "this token is not valid for people, or has ended; make one with \
                         `atoll token create`";
            ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", title)
        })?;
    Ok(signed_in(&app, actor, StatusCode::NO_CONTENT))
}

/// An answer that opens a session for the actor.
pub fn signed_in(app: &Server, actor: Actor, status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert(SET_COOKIE, session_cookie(app, actor));
    response
}

/// The cookie of a new session.
pub fn session_cookie(app: &Server, actor: Actor) -> HeaderValue {
    let secret = app.sessions.open(actor, app.clock.now());
    let secure = if app.secure { "; Secure" } else { "" };
    let cookie =
        format!("{}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}", auth::COOKIE_NAME);
    HeaderValue::from_str(&cookie).expect("a hex secret can stand in a header")
}

/// `DELETE /v1/session`: signs out.
pub async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(secret) = auth::cookie(&headers) {
        app.sessions.close(secret);
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let gone = format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", auth::COOKIE_NAME);
    let gone = HeaderValue::from_str(&gone).expect("a fixed text can stand in a header");
    response.headers_mut().insert(SET_COOKIE, gone);
    response
}

/// `POST /v1/tokens/create`.
pub async fn create_token(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Json(ask): Json<TokenRequest>,
) -> Answer<Json<TokenMade>> {
    if ask.role == Role::Host {
        let title = "tokens of role host are made by joining; make one of role join";
        return Err(ApiError::invalid(title, Vec::new()));
    }
    let secret = auth::secret();
    let expires = app.clock.now() + ask.ttl.unwrap_or(Span::seconds(24 * 3600));
    let name = app.keep_token(&actor, &secret, ask.role, ask.owner, Some(expires)).await?;
    let token = match (&app.authority, ask.role) {
        (Some(authority), Role::Join) => format!("{secret}.{}", authority.fingerprint()),
        _ => secret,
    };
    Ok(Json(TokenMade { name, token, expires }))
}

impl Server {
    /// Stores a token for a secret; returns the name of its object.
    ///
    /// # Errors
    /// Why it was not stored.
    pub async fn keep_token(
        &self,
        actor: &Actor,
        secret: &str,
        role: Role,
        owner: Option<String>,
        expires: Option<atoll_model::Timestamp>,
    ) -> Answer<String> {
        let token = auth::token(secret, role, owner, expires);
        let name = token.meta.name.clone();
        self.commit(actor, None, |cx| {
            let mut token = token.clone();
            token.meta.created_at = Some(cx.now);
            token.meta.generation = 1;
            let message = format!("token of role {} made", role.name());
            Ok(Plan {
                intent: Intent::Edit,
                writes: vec![Write::Put(Any::Token(Arc::new(token)))],
                reasons: vec![Reason::new("token-made", message)],
                again_at: None,
            })
        })
        .await?;
        Ok(name)
    }
}
