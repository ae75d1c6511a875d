//! The rows of the route table about signing in, tokens and the audit.

use atoll_model::access::wire::{Audit, AuditVerified, Login, LoginWays, NewPassword};
use atoll_model::api::{TokenMade, TokenRequest};
use axum::http::Method;
use axum::routing::{delete, get, post, put};

use super::{Access, Route};
use crate::api::history::{self, AuditQuery, VerifyQuery};
use crate::api::session::{self, SignIn};
use crate::api::{login, oidc};

/// Every row.
pub(super) fn routes() -> Vec<Route> {
    use Access::{Anybody, Public, Read, ReadAll};
    let r = Route::new;
    vec![
        r(Method::POST, "/v1/session", Public, "Signs in to the console.", {
            post(session::sign_in)
        })
        .takes::<SignIn>(),
        r(Method::DELETE, "/v1/session", Public, "Signs out.", delete(session::sign_out)),
        r(Method::GET, "/v1/login", Public, "How one may sign in.", get(login::ways))
            .gives::<LoginWays>(),
        r(Method::POST, "/v1/login", Public, "Signs in with a password.", post(login::login))
            .takes::<Login>()
            .gives::<TokenMade>(),
        r(Method::GET, "/v1/oidc/start", Public, "Goes to the identity provider.", {
            get(oidc::start)
        }),
        r(Method::GET, "/v1/oidc/callback", Public, "Comes back from it.", get(oidc::callback))
            .query::<oidc::CallbackQuery>()
            .gives_raw("text/html"),
        r(Method::PUT, "/v1/users/{name}/password", Anybody, "Gives a user a password.", {
            put(login::set_password)
        })
        .takes::<NewPassword>(),
        r(Method::POST, "/v1/tokens/create", Anybody, "Makes a token.", {
            post(session::create_token)
        })
        .takes::<TokenRequest>()
        .gives::<TokenMade>(),
        r(Method::GET, "/v1/audit", Read, "Who did what.", get(history::audit))
            .query::<AuditQuery>()
            .gives::<Audit>(),
        r(Method::GET, "/v1/audit/verify", ReadAll, "Whether every record fits.", {
            get(history::verify)
        })
        .query::<VerifyQuery>()
        .gives::<AuditVerified>()
        .open(),
    ]
}
