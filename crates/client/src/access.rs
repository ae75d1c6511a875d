//! Signing in and out, passwords, tokens and the audit.

use atoll_model::Timestamp;
use atoll_model::access::wire::{Audit, AuditVerified, Login, NewPassword};
use atoll_model::api::{TokenMade, TokenRequest, Whoami};
use reqwest::Method;

use crate::error::ClientError;
use crate::pages::{object, with_query};
use crate::transport::{Ask, Client};

/// What of the audit is wanted.
#[derive(Clone, Debug, Default)]
pub struct AuditAsk {
    /// Only what this actor did.
    pub actor: Option<String>,
    /// Only of this kind: a plural, or `audit` for what is no write.
    pub kind: Option<String>,
    /// Only what was refused.
    pub refused: bool,
    /// Only since then.
    pub since: Option<Timestamp>,
    /// At most so many rows.
    pub limit: Option<usize>,
}

impl Client {
    /// Who the server takes us for.
    ///
    /// # Errors
    /// `Refused`, if it does not know the token.
    pub async fn whoami(&self) -> Result<Whoami, ClientError> {
        self.read(Ask::get("/v1/whoami".to_owned())).await
    }

    /// Makes a token. Its secret is shown this once.
    ///
    /// # Errors
    /// `Refused`, if one may not.
    pub async fn create_token(&self, request: &TokenRequest) -> Result<TokenMade, ClientError> {
        self.read(Ask::of(Method::POST, "/v1/tokens/create".to_owned()).json(request)).await
    }

    /// Signs in with a password; what comes back is a token that ends.
    ///
    /// # Errors
    /// `Refused`, if user and password do not go together, or one has to wait.
    pub async fn login(&self, login: &Login) -> Result<TokenMade, ClientError> {
        self.read(Ask::of(Method::POST, "/v1/login".to_owned()).json(login)).await
    }

    /// Signs out: a token that was made by signing in is worth nothing from now on.
    ///
    /// # Errors
    /// When no server is reached.
    pub async fn logout(&self) -> Result<(), ClientError> {
        self.send(Ask::of(Method::DELETE, "/v1/session".to_owned())).await.map(drop)
    }

    /// Gives a user a password.
    ///
    /// # Errors
    /// `Refused`, if one may not; `Invalid`, if it is too short or too long.
    pub async fn set_password(&self, user: &str, new: &NewPassword) -> Result<(), ClientError> {
        let path = object("", atoll_model::Kind::User, user)?;
        self.send(Ask::of(Method::PUT, format!("{path}/password")).json(new)).await.map(drop)
    }

    /// Who did what, across all objects, newest first.
    ///
    /// # Errors
    /// When no server is reached, or one may not read it.
    pub async fn audit(&self, ask: &AuditAsk) -> Result<Audit, ClientError> {
        let query = [
            ("actor", ask.actor.clone()),
            ("kind", ask.kind.clone()),
            ("refused", ask.refused.then(|| "true".to_owned())),
            ("since", ask.since.map(|t| t.to_string())),
            ("limit", ask.limit.map(|l| l.to_string())),
        ];
        self.read(Ask::get(with_query("/v1/audit", &query))).await
    }

    /// Walks along the chain of records, and tells the hash of one of them.
    ///
    /// # Errors
    /// When no server is reached, or one may not.
    pub async fn verify_audit(&self, noted: Option<u64>) -> Result<AuditVerified, ClientError> {
        let query = [("revision", noted.map(|revision| revision.to_string()))];
        self.read(Ask::get(with_query("/v1/audit/verify", &query)).timeout(None)).await
    }
}
