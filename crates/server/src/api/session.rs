//! Who one is: the console's cookie, whoami, and the making of tokens.

use atoll_model::access::role::Verb;
use atoll_model::access::wire::Login;
use atoll_model::access::{Actor, Level, Token};
use atoll_model::api::{TokenMade, TokenRequest, Whoami};
use atoll_model::{Kind, Object, Reason, Role, Span, Timestamp, User};
use atoll_plan::permission::Permissions;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{AUTHORIZATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{Answer, ApiError};
use super::login::term;
use crate::audit::Note;
use crate::listen::PeerAddress;
use crate::{App, Server, auth};

/// A token one makes for oneself ends within this time.
const LONGEST_OWN: Span = Span::seconds(90 * 86_400);

/// `POST /v1/session`: a token, or a user and a password.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignIn {
    /// A token of a person.
    #[serde(default)]
    pub token: Option<String>,
    /// The name of a user.
    #[serde(default)]
    pub user: Option<String>,
    /// Their password.
    #[serde(default)]
    pub password: Option<String>,
}

/// `GET /v1/whoami`.
pub async fn whoami(State(app): State<App>, Extension(actor): Extension<Actor>) -> Json<Whoami> {
    let may = Permissions::of(&app.cache.world(), &actor);
    let (until, session) = term(&app, &actor);
    Json(Whoami {
        role: may.level(),
        roles: may.roles().to_vec(),
        teams: may.teams().map(str::to_owned).collect(),
        verbs: may.verbs(),
        name: actor.name,
        until,
        session,
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// `POST /v1/session`: signs in to the console.
pub async fn sign_in(
    State(app): State<App>,
    ConnectInfo(PeerAddress(peer)): ConnectInfo<PeerAddress>,
    Json(ask): Json<SignIn>,
) -> Result<Response, Response> {
    let from = peer.ip().to_string();
    if let (Some(user), Some(password)) = (&ask.user, &ask.password) {
        let ask = Login { user: user.clone(), password: password.clone() };
        let made = app.sign_in(&ask, &from).await?;
        return Ok(signed_in(&app, &made.token, StatusCode::NO_CONTENT));
    }
    let secret = ask.token.as_deref().unwrap_or_default().trim();
    let actor = auth::bearer(&app.cache.world(), secret, app.clock.now());
    let Some(actor) = actor.filter(|actor| actor.level >= Level::Member) else {
        let note = Note::new("unknown", "login-failed", "token");
        let note = note.because("login-failed", "the token is not known, or not for people");
        app.auditor.put(note.from(Some(from)));
        let title = "this token is not valid for people, or has ended; make one with \
                     `atoll token create`";
        let refusal = ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", title);
        return Err(refusal.into_response());
    };
    let note = Note::new(&actor.name, "login", "token").from(Some(from));
    let recorded = app.put_on_record(vec![note]).await.map_err(ApiError::from);
    recorded.map_err(IntoResponse::into_response)?;
    Ok(signed_in(&app, secret, StatusCode::NO_CONTENT))
}

/// An answer whose cookie shows a secret from now on.
fn signed_in(app: &Server, secret: &str, status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert(SET_COOKIE, session_cookie(app, secret));
    response
}

/// The cookie that shows a secret. Scripts cannot read it, and other sites cannot send it.
pub fn session_cookie(app: &Server, secret: &str) -> HeaderValue {
    let secure = if app.secure { "; Secure" } else { "" };
    let cookie =
        format!("{}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}", auth::COOKIE_NAME);
    HeaderValue::from_str(&cookie).expect("a hex secret can stand in a header")
}

/// `DELETE /v1/session`: signs out, whoever shows a session.
pub async fn sign_out(
    State(app): State<App>,
    ConnectInfo(PeerAddress(peer)): ConnectInfo<PeerAddress>,
    headers: HeaderMap,
) -> Answer<Response> {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(auth::offered);
    let secret = shown.or_else(|| auth::cookie(&headers).map(str::to_owned));
    if let Some(secret) = secret {
        app.close_session(&secret, Some(peer.ip().to_string())).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let gone = format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", auth::COOKIE_NAME);
    let gone = HeaderValue::from_str(&gone).expect("a fixed text can stand in a header");
    response.headers_mut().insert(SET_COOKIE, gone);
    Ok(response)
}

/// `POST /v1/tokens/create`: admins make any; whoever has signed in makes some that let their
/// bearers do what they themselves may.
pub async fn create_token(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Json(ask): Json<TokenRequest>,
) -> Answer<Json<TokenMade>> {
    let secret = auth::secret();
    let wanted = app.wanted_token(&actor, &ask)?;
    let expires = app.clock.now() + ask.ttl.unwrap_or(Span::seconds(24 * 3600));
    let hash = auth::hash(&secret);
    let spec = Token { hash, expires: Some(expires), ..wanted };
    let level = spec.level;
    let token = Object::new(auth::token_name(&spec.hash), spec);
    // Whether it may be made was asked above, of the right to this token and not to all.
    let server = Actor { level: Level::Admin, ..actor };
    let name = app.put_token(&server, token).await?;
    let token = match (&app.authority, level) {
        (Some(authority), Level::Join) => format!("{secret}.{}", authority.fingerprint()),
        _ => secret,
    };
    Ok(Json(TokenMade { name, token, expires }))
}

impl Server {
    /// What a token that is asked for would be worth, if whoever asks may make it.
    fn wanted_token(&self, actor: &Actor, ask: &TokenRequest) -> Answer<Token> {
        let world = self.cache.world();
        let may = Permissions::of(&world, actor);
        let user = match (&ask.role, &ask.user) {
            (None, Some(user)) => Some(user.clone()),
            (None, None) => actor.user.clone(),
            (Some(_), _) => None,
        };
        let own = user.is_some() && user == actor.user;
        let session = term(self, actor).1;
        let short = ask.ttl.is_none_or(|ttl| ttl <= LONGEST_OWN);
        let for_oneself = own && session && short;
        if !may.is_admin() && !for_oneself {
            let message = match own && session {
                true => format!("{} may make tokens for up to {LONGEST_OWN}", actor.name),
                false => format!("{} may make no such token", may.called()),
            };
            let hint = format!(
                "sign in and make one for yourself, or {}",
                may.missing(&world, Verb::Write, Some(Kind::Token))
            );
            return Err(ApiError::denied(Reason::new("denied", message).hint(hint)));
        }
        let owner = ask.owner.clone();
        if let Some(user) = user {
            if world.get::<User>(&user).is_none() {
                return Err(ApiError::not_found(format!("user/{user}")));
            }
            return Ok(Token {
                user: Some(user),
                owner,
                ..Token::new(Level::Member, String::new())
            });
        }
        let Some(role) = &ask.role else {
            let title = "say what it is for: a role, or a user whom it speaks for";
            return Err(ApiError::invalid(title, Vec::new()));
        };
        let level = match role.as_str() {
            "host" => {
                let title = "tokens of role host are made by joining; make one of role join";
                return Err(ApiError::invalid(title, Vec::new()));
            }
            "join" => Some(Level::Join),
            role => Level::of_role(role),
        };
        if let Some(level) = level {
            return Ok(Token { owner, ..Token::new(level, String::new()) });
        }
        if world.get::<Role>(role).is_none() {
            let known: Vec<&str> = world.all::<Role>().map(|role| role.name()).collect();
            let title = format!(
                "there is no role {role}; there are join, viewer, operator, admin {}",
                known.join(", ")
            );
            return Err(ApiError::not_found(title.trim_start_matches("there is no ")));
        }
        let roles = vec![role.clone()];
        Ok(Token { roles, owner, ..Token::new(Level::Member, String::new()) })
    }

    /// Stores a token for a secret; returns the name of its object.
    ///
    /// # Errors
    /// Why it was not stored.
    pub async fn keep_token(
        &self,
        actor: &Actor,
        secret: &str,
        level: Level,
        owner: Option<String>,
        expires: Option<Timestamp>,
    ) -> Answer<String> {
        self.put_token(actor, auth::token(secret, level, owner, expires)).await
    }
}
