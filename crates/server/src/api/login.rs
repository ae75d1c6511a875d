//! Signing in with a password, and setting one. Whoever is wrong is told nothing but that: not
//! whether there is such a user.

use std::sync::Arc;

use atoll_model::access::wire::{Login, LoginWays, NewPassword};
use atoll_model::access::{Actor, Token};
use atoll_model::api::TokenMade;
use atoll_model::{Any, Intent, Kind, Level, Object, Reason, Span, Timestamp, User, Write};
use atoll_plan::permission::Permissions;
use atoll_plan::{Plan, edit};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::error::{Answer, ApiError};
use crate::audit::Note;
use crate::listen::PeerAddress;
use crate::{App, Server, auth, passwords};

/// How long one is signed in.
pub const SESSION: Span = Span::seconds(12 * 3_600);

/// `GET /v1/login`.
pub async fn ways(State(app): State<App>) -> Json<LoginWays> {
    let world = app.cache.world();
    let password = world.all::<User>().any(|user| user.spec.password.is_some());
    let provider = app.provider.as_ref().map(|provider| provider.name());
    Json(LoginWays { password, provider })
}

/// `POST /v1/login`.
pub async fn login(
    State(app): State<App>,
    ConnectInfo(PeerAddress(peer)): ConnectInfo<PeerAddress>,
    Json(ask): Json<Login>,
) -> Result<Json<TokenMade>, Response> {
    let from = peer.ip().to_string();
    app.sign_in(&ask, &from).await.map(Json)
}

impl Server {
    /// Signs a user in with a password; what is made is a token that ends.
    ///
    /// # Errors
    /// That it is wrong, or that one has to wait.
    pub(crate) async fn sign_in(&self, ask: &Login, from: &str) -> Result<TokenMade, Response> {
        let now = self.clock.now();
        if let Some(wait) = self.passwords.wait(&ask.user, from, now) {
            let seconds = wait.0.div_ceil(1_000).max(1);
            let title = format!("too many wrong passwords; try again in {seconds}s");
            let refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too-many", title);
            let mut response = refusal.into_response();
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            return Err(response);
        }
        let world = self.cache.world();
        let user = world.get::<User>(&ask.user);
        let kept = match user.and_then(|user| user.spec.password.clone()) {
            Some(id) => self.unsealed(&place(&ask.user), &id).await,
            None => None,
        };
        let kept = kept.and_then(|bytes| String::from_utf8(bytes).ok());
        let short = if ask.password.len() > *passwords::LENGTHS.end() { "" } else { &ask.password };
        let fits = self.passwords.fits(kept.as_deref(), short).await;
        let Some(user) = user.filter(|user| fits && !user.spec.disabled) else {
            self.passwords.note_failure(&ask.user, from, now);
            // Whoever guesses at one replica waits at all of them.
            self.tell_others();
            // What is no user's name may be a password typed at the wrong place.
            let who = user.map_or("unknown".to_owned(), |user| format!("user/{}", user.name()));
            let why = match (fits, user) {
                (true, Some(_)) => "the user is disabled",
                (_, Some(_)) => "the password is wrong",
                (_, None) => "there is no such user",
            };
            let note = Note::new(&who, "login-failed", "password").because("login-failed", why);
            self.auditor.put(note.from(Some(from.to_owned())));
            let title = "this user and this password do not go together";
            return Err(
                ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", title).into_response()
            );
        };
        self.passwords.note_success(&ask.user, from);
        let made = self.open_session(user.name(), Vec::new(), "password", from).await;
        made.map_err(IntoResponse::into_response)
    }

    /// Makes the token of somebody who has shown who they are, and puts it on record first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn open_session(
        &self,
        user: &str,
        groups: Vec<String>,
        how: &str,
        from: &str,
    ) -> Answer<TokenMade> {
        let name = format!("user/{user}");
        let note = Note::new(&name, "login", how).from(Some(from.to_owned()));
        self.put_on_record(vec![note]).await?;
        let secret = auth::secret();
        let expires = self.clock.now() + SESSION;
        let mut token = auth::token(&secret, Level::Member, None, Some(expires));
        token.spec = Token { user: Some(user.to_owned()), groups, session: true, ..token.spec };
        let name = self.put_token(&Actor::new(name, Level::Admin), token).await?;
        Ok(TokenMade { name, token: secret, expires })
    }

    /// Ends the session of a secret, if it is one.
    pub(crate) async fn close_session(&self, secret: &str, from: Option<String>) -> Answer<()> {
        self.sessions.close(secret);
        let world = self.cache.world();
        let Some(actor) = auth::bearer(&world, secret, self.clock.now()) else { return Ok(()) };
        let Some(name) = actor.token.clone() else { return Ok(()) };
        if !world.get::<Token>(&name).is_some_and(|token| token.spec.session) {
            return Ok(());
        }
        self.put_on_record(vec![Note::new(&actor.name, "logout", "").from(from)]).await?;
        let server = Actor::new(actor.name, Level::Admin);
        self.commit(&server, None, |cx| edit::remove(cx, Kind::Token, &name)).await?;
        Ok(())
    }

    /// Stores a token as it is.
    ///
    /// # Errors
    /// Why it was not stored.
    pub(crate) async fn put_token(&self, actor: &Actor, token: Object<Token>) -> Answer<String> {
        let name = token.meta.name.clone();
        let what = match &token.spec.user {
            Some(user) => format!("token of user {user} made"),
            None => format!("token of role {} made", token.spec.level.name()),
        };
        self.commit(actor, None, |cx| {
            let mut token = token.clone();
            token.meta.created_at = Some(cx.now);
            token.meta.generation = 1;
            Ok(Plan {
                writes: vec![Write::Put(Any::Token(Arc::new(token)))],
                reasons: vec![Reason::new("token-made", what.clone())],
                ..Plan::new(Intent::Edit)
            })
        })
        .await?;
        Ok(name)
    }
}

/// What a sealed hash is bound to: no secret has such a name.
fn place(user: &str) -> String {
    format!("user/{user}")
}

/// `PUT /v1/users/{name}/password`: by an admin, or by oneself with the present one. All sessions
/// of the user end, but the one that asks.
pub async fn set_password(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    ConnectInfo(PeerAddress(peer)): ConnectInfo<PeerAddress>,
    Path(name): Path<String>,
    Json(ask): Json<NewPassword>,
) -> Result<StatusCode, Response> {
    let from = peer.ip().to_string();
    may_set(&app, &actor, &name, &ask, &from).await?;
    app.give_password(&actor, &name, &ask.password, &from)
        .await
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(IntoResponse::into_response)
}

async fn may_set(
    app: &Server,
    actor: &Actor,
    name: &str,
    ask: &NewPassword,
    from: &str,
) -> Result<(), Response> {
    let world = app.cache.world();
    let may = Permissions::of(&world, actor);
    let own = actor.user.as_deref() == Some(name);
    if !own && !may.is_admin() {
        let message = format!("{} may not set the password of user/{name}", may.called());
        let hint = may.missing(&world, atoll_model::access::role::Verb::Write, Some(Kind::User));
        return Err(ApiError::denied(Reason::new("denied", message).hint(hint)).into_response());
    }
    if world.get::<User>(name).is_none() {
        return Err(ApiError::not_found(format!("user/{name}")).into_response());
    }
    if !passwords::LENGTHS.contains(&ask.password.len()) {
        let (least, most) = (passwords::LENGTHS.start(), passwords::LENGTHS.end());
        let title = format!("a password has {least} to {most} bytes, not {}", ask.password.len());
        return Err(ApiError::invalid(title, Vec::new()).into_response());
    }
    if own && !may.is_admin() {
        // Whoever finds a browser open must not be able to keep it.
        let user = name.to_owned();
        let password = ask.current.clone().unwrap_or_default();
        let made = app.sign_in(&Login { user, password }, from).await?;
        let closed = app.close_session(&made.token, Some(from.to_owned())).await;
        closed.map_err(IntoResponse::into_response)?;
    }
    Ok(())
}

impl Server {
    async fn give_password(
        &self,
        actor: &Actor,
        name: &str,
        password: &str,
        from: &str,
    ) -> Answer<()> {
        let hash = self.passwords.hash(password).await.map_err(ApiError::internal)?;
        let sealed = self.keep_sealed(&place(name), hash.as_bytes()).await;
        let id = sealed.map_err(ApiError::internal)?;
        let note = Note::new(&actor.name, "password", format!("user/{name}"));
        self.put_on_record(vec![note.from(Some(from.to_owned()))]).await?;
        let server = Actor::new(actor.name.clone(), Level::Admin);
        self.commit(&server, None, |cx| {
            let stored = cx.world.get::<User>(name).map(|stored| Object::clone(stored));
            let mut user = stored.ok_or_else(|| {
                vec![Reason::new("not-found", format!("there is no user/{name}"))]
            })?;
            user.spec.password = Some(id.clone());
            let mut plan = edit::apply(cx, vec![Any::User(Arc::new(user))])?;
            plan.reasons
                .push(Reason::new("password-set", format!("the password of {name} was set")));
            let sessions = cx.world.all::<Token>().filter(|token| {
                let theirs = token.spec.session && token.spec.user.as_deref() == Some(name);
                theirs && actor.token.as_deref() != Some(token.name())
            });
            plan.writes.extend(sessions.map(|token| Write::Delete {
                kind: Kind::Token,
                name: token.name().to_owned(),
                revision: token.meta.revision,
            }));
            Ok(plan)
        })
        .await?;
        Ok(())
    }
}

/// When an actor's credential ends, and whether it is a session.
pub fn term(app: &Server, actor: &Actor) -> (Option<Timestamp>, bool) {
    let world = app.cache.world();
    let token = actor.token.as_ref().and_then(|name| world.get::<Token>(name));
    token.map_or((None, false), |token| (token.spec.expires, token.spec.session))
}
