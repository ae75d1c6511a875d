//! Signing in to the console through an identity provider: there, and back. What must be remembered
//! on the way goes with the browser, sealed, so that any replica may take it back.

use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::{Any, Level, Object, Reason, Snapshot, User};
use atoll_plan::edit;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::{Answer, ApiError};
use super::session::session_cookie;
use crate::audit::Note;
use crate::listen::PeerAddress;
use crate::provider::{Errand, PATIENCE_OF_PEOPLE, Person};
use crate::{App, Server, auth};

/// The cookie that goes with somebody who is away at the provider.
const ERRAND: &str = "atoll_errand";

/// What the provider sends back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct CallbackQuery {
    /// What is traded for the ID token.
    #[serde(default)]
    pub code: Option<String>,
    /// What was sent along.
    #[serde(default)]
    pub state: Option<String>,
    /// Why it refuses.
    #[serde(default)]
    pub error: Option<String>,
    /// The same in a sentence.
    #[serde(default)]
    pub error_description: Option<String>,
}

fn absent() -> ApiError {
    ApiError::not_found("identity provider here; see --oidc-issuer of atoll server")
}

/// `GET /v1/oidc/start`: sends the browser to the provider.
pub async fn start(State(app): State<App>, headers: HeaderMap) -> Answer<Response> {
    let provider = app.provider.as_ref().ok_or_else(absent)?;
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let scheme = if app.secure { "https" } else { "http" };
    let base = provider.base().map_or_else(|| format!("{scheme}://{host}"), str::to_owned);
    let now = app.clock.now();
    let errand = Errand {
        state: auth::secret(),
        nonce: auth::secret(),
        verifier: auth::secret(),
        back: format!("{}/v1/oidc/callback", base.trim_end_matches('/')),
        until: now + PATIENCE_OF_PEOPLE,
    };
    let address = provider.address(&errand, now).await.map_err(unreachable)?;
    let text = serde_json::to_vec(&errand).map_err(ApiError::internal)?;
    let sealed = app.vault.seal(ERRAND, &text);
    let sealed = sealed.ok_or_else(|| ApiError::internal("the errand could not be sealed"))?;
    let secure = if app.secure { "; Secure" } else { "" };
    let cookie = format!(
        "{ERRAND}={}; Path=/v1/oidc; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
        URL_SAFE_NO_PAD.encode(sealed),
        PATIENCE_OF_PEOPLE.0 / 1_000
    );
    let mut response = StatusCode::FOUND.into_response();
    let value = |text: &str| HeaderValue::from_str(text).map_err(ApiError::internal);
    response.headers_mut().insert(LOCATION, value(&address)?);
    response.headers_mut().insert(SET_COOKIE, value(&cookie)?);
    Ok(response)
}

fn unreachable(why: String) -> ApiError {
    ApiError::new(StatusCode::BAD_GATEWAY, "provider", why)
}

/// `GET /v1/oidc/callback`: the browser comes back.
pub async fn callback(
    State(app): State<App>,
    ConnectInfo(PeerAddress(peer)): ConnectInfo<PeerAddress>,
    Query(query): Query<CallbackQuery>,
    headers: HeaderMap,
) -> Response {
    let from = peer.ip().to_string();
    match app.come_back(query, &headers, &from).await {
        Ok(secret) => {
            let mut response = page(StatusCode::OK, "Signed in", "You are signed in.", true);
            let gone = format!("{ERRAND}=; Path=/v1/oidc; Max-Age=0; HttpOnly; SameSite=Lax");
            let headers = response.headers_mut();
            headers.append(SET_COOKIE, session_cookie(&app, &secret));
            headers.extend(HeaderValue::from_str(&gone).ok().map(|gone| (SET_COOKIE, gone)));
            response
        }
        Err(ApiError(problem)) => {
            let note = Note::new("unknown", "login-failed", "provider");
            let note = note.because(&problem.code, problem.title.clone());
            app.auditor.put(note.from(Some(from)));
            let status = StatusCode::from_u16(problem.status);
            page(status.unwrap_or(StatusCode::BAD_REQUEST), "Not signed in", &problem.title, false)
        }
    }
}

impl Server {
    /// Takes back whom the provider sends; returns the secret of their session.
    async fn come_back(
        &self,
        query: CallbackQuery,
        headers: &HeaderMap,
        from: &str,
    ) -> Answer<String> {
        let provider = self.provider.as_ref().ok_or_else(absent)?;
        let refused = |title: &str| ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", title);
        let now = self.clock.now();
        let errand = self.errand(headers).filter(|errand| errand.until > now);
        let errand = errand.ok_or_else(|| {
            refused("this sign-in was not begun here, or too long ago; begin again")
        })?;
        if query.state.as_deref() != Some(&errand.state) {
            return Err(refused("this answer belongs to another sign-in; begin again"));
        }
        if let Some(error) = query.error {
            let said = query.error_description.unwrap_or_default();
            return Err(refused(&format!("the identity provider refuses: {error} {said}")));
        }
        let code = query.code.ok_or_else(|| refused("the identity provider sent no code"))?;
        let person = provider.person(&code, &errand, now).await;
        let person = person.map_err(|why| refused(&why))?;
        let user = self.user_of(&person).await?;
        let made = self.open_session(&user, person.groups, "provider", from).await?;
        Ok(made.token)
    }

    fn errand(&self, headers: &HeaderMap) -> Option<Errand> {
        let sealed = URL_SAFE_NO_PAD.decode(auth::cookie_named(headers, ERRAND)?).ok()?;
        serde_json::from_slice(&self.vault.unseal(ERRAND, &sealed)?).ok()
    }

    /// The user somebody is here; made, if it is the first time they come.
    async fn user_of(&self, person: &Person) -> Answer<String> {
        let world = self.cache.world();
        if let Some(user) = known(&world, person) {
            if user.spec.disabled {
                let title = format!("user/{} is disabled here", user.name());
                return Err(ApiError::new(StatusCode::FORBIDDEN, "denied", title));
            }
            return Ok(user.name().to_owned());
        }
        let name = plain(&person.name);
        if world.get::<User>(&name).is_some() {
            let title = format!(
                "there is a user/{name} here who is not known to be you; an admin puts {} into \
                 its spec.subject",
                person.subject
            );
            return Err(ApiError::conflict(title));
        }
        let spec = User {
            display_name: person.display_name.clone(),
            email: person.email.clone(),
            subject: Some(person.subject.clone()),
            ..User::default()
        };
        let user = Any::User(Arc::new(Object::new(name.clone(), spec)));
        let server = Actor::new(format!("user/{name}"), Level::Admin);
        self.commit(&server, None, |cx| {
            let mut plan = edit::apply(cx, vec![user.clone()])?;
            let message = format!("{name} came from the identity provider for the first time");
            plan.reasons.push(Reason::new("user-made", message));
            Ok(plan)
        })
        .await?;
        Ok(name)
    }
}

fn known(world: &Snapshot, person: &Person) -> Option<Arc<Object<User>>> {
    let same = |user: &&Arc<Object<User>>| user.spec.subject.as_ref() == Some(&person.subject);
    world.all::<User>().find(same).cloned()
}

/// A name of a user from whatever a provider calls somebody.
fn plain(name: &str) -> String {
    let name = name.split('@').next().unwrap_or(name).to_ascii_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(plain).take(60).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "user".to_owned() } else { name.to_owned() }
}

/// A page of its own: the browser goes on from a page of ours, so that the cookie, which is for
/// our own pages only, goes with it.
fn page(status: StatusCode, title: &str, text: &str, goes_on: bool) -> Response {
    let goes = if goes_on { "<meta http-equiv=\"refresh\" content=\"0;url=/\">" } else { "" };
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">{goes}<title>{}</title>\
         <h1>{}</h1><p>{}</p><p><a href=\"/\">To the console</a></p></html>",
        escaped(title),
        escaped(title),
        escaped(text)
    );
    let policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";
    let head = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (axum::http::header::CONTENT_SECURITY_POLICY, policy),
        (axum::http::header::CACHE_CONTROL, "no-store"),
    ];
    (status, head, body).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_become_names_of_users() {
        for (given, name) in
            [("Anna.B@x.example", "anna-b"), ("ünï", "n"), ("--", "user"), ("a_b", "a-b")]
        {
            assert_eq!(plain(given), name, "{given}");
        }
        let long = "x".repeat(200);
        assert!(atoll_model::name::check_simple(&plain(&long)).is_ok());
    }

    #[test]
    fn a_page_shows_no_script() {
        assert_eq!(escaped("<script>\"&"), "&lt;script&gt;&quot;&amp;");
    }
}
