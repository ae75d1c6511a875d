//! Webhooks of GitHub, GitLab and Gitea. A push begins a run that is in the store before the answer
//! goes out; the same push told again begins no other. Who may send is told by the signature alone.

use std::collections::BTreeMap;

use atoll_model::access::{Actor, Level};
use atoll_model::ci::run::Cause;
use atoll_model::{Object, Pipeline};
use atoll_plan::ci::begin::Ask;
use aws_lc_rs::{constant_time, hmac};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

use super::error::{Answer, ApiError};
use crate::App;
use crate::source::heads::{concerns, is_wanted, key};

/// The hash of no commit: the branch was deleted.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// How a webhook shows that it is meant.
enum Proof<'a> {
    /// HMAC-SHA256 of the body, in hex.
    Signature(&'a str),
    /// The secret itself.
    Token(&'a str),
}

/// `POST /v1/hooks/{name}`.
pub async fn hook(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let world = app.cache.world();
    let unknown = || ApiError::not_found(format!("pipeline {name} that takes webhooks"));
    let pipeline = world.get::<Pipeline>(&name).ok_or_else(unknown)?;
    let (event, proof) = told(&headers).ok_or_else(|| {
        let title = "this is no webhook of GitHub, GitLab or Gitea, or it is not signed";
        ApiError::new(StatusCode::UNAUTHORIZED, "unsigned", title)
    })?;
    let secret = match &pipeline.spec.triggers.webhook {
        Some(secret) => app.secret(&world, &name, secret).await,
        None => None,
    };
    if !secret.is_some_and(|secret| is_proven(&proof, &secret, &body)) {
        let title = format!("the signature is not that of the secret of pipeline {name}");
        return Err(ApiError::new(StatusCode::FORBIDDEN, "unsigned", title));
    }
    if !matches!(event.as_str(), "push" | "Push Hook") {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let payload = payload(&headers, &body)?;
    if !is_its_own(pipeline, &payload) {
        return Err(ApiError::not_found(format!("such repository of pipeline {name}")));
    }
    let Some((branch, commit)) = pushed(&payload) else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let wanted =
        is_wanted(&pipeline.spec, &branch) && concerns(&pipeline.spec, paths(&payload).into_iter());
    if !wanted {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let ask = Ask {
        pipeline: name,
        cause: Cause::Webhook,
        key: key(&branch, &commit),
        branch: Some(branch),
        commit: Some(commit),
        source: None,
        definition: None,
        params: BTreeMap::new(),
    };
    let actor = Actor::new("webhook", Level::Admin);
    let begun = app.begin(&actor, &ask).await?;
    let status = if begun.existed { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(begun)).into_response())
}

/// What is told: the body, or the field `payload` of a form, which is how GitHub and Gitea send it
/// unless they are told otherwise. The signature is of the body as it came, either way.
fn payload(headers: &HeaderMap, body: &[u8]) -> Answer<Value> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    let field = form_urlencoded::parse(body).find(|(name, _)| is_form && name == "payload");
    let json = field.as_ref().map_or(body, |(_, value)| value.as_bytes());
    serde_json::from_slice(json)
        .map_err(|e| ApiError::invalid(format!("the payload is no JSON: {e}"), Vec::new()))
}

/// The event and its proof. Gitea sends GitHub's headers too, so its own are looked at first.
fn told(headers: &HeaderMap) -> Option<(String, Proof<'_>)> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(event) = header("x-gitea-event") {
        let signature = header("x-gitea-signature")?;
        return Some((event.to_owned(), Proof::Signature(signature)));
    }
    if let Some(event) = header("x-github-event") {
        let signature = header("x-hub-signature-256")?.strip_prefix("sha256=")?;
        return Some((event.to_owned(), Proof::Signature(signature)));
    }
    let event = header("x-gitlab-event")?;
    Some((event.to_owned(), Proof::Token(header("x-gitlab-token")?)))
}

/// Compares in a time that tells nothing of the secret.
fn is_proven(proof: &Proof, secret: &[u8], body: &[u8]) -> bool {
    match proof {
        Proof::Signature(hex) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            from_hex(hex).is_some_and(|tag| hmac::verify(&key, body, &tag).is_ok())
        }
        Proof::Token(token) => {
            constant_time::verify_slices_are_equal(token.as_bytes(), secret).is_ok()
        }
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Whether the payload is of the repository of the pipeline.
fn is_its_own(pipeline: &Object<Pipeline>, payload: &Value) -> bool {
    let source = pipeline.spec.source.as_ref().and_then(|source| source.git.as_ref());
    let Some(wanted) = source.map(|git| plain(git)) else { return false };
    let fields = [
        "clone_url",
        "ssh_url",
        "git_url",
        "html_url",
        "url",
        "git_http_url",
        "git_ssh_url",
        "homepage",
    ];
    ["repository", "project"].iter().any(|of| {
        let of = &payload[of];
        fields.iter().filter_map(|field| of[field].as_str()).any(|url| plain(url) == wanted)
    })
}

/// An address without what differs between its spellings: protocol, user, port of ssh, `.git`.
fn plain(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let (host, path) = rest.split_once(['/', ':']).unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or(host);
    // A port stands before the path where there is a protocol.
    let path = match path.split_once('/') {
        Some((port, path)) if port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() => path,
        _ => path,
    };
    let path = path.trim_matches('/').trim_end_matches(".git");
    format!("{host}/{path}").to_ascii_lowercase()
}

/// Branch and commit of a push; none for tags, and where a branch was deleted.
fn pushed(payload: &Value) -> Option<(String, String)> {
    let branch = payload["ref"].as_str()?.strip_prefix("refs/heads/")?;
    let commit = payload["after"].as_str()?;
    let is_hash =
        (40..=64).contains(&commit.len()) && commit.bytes().all(|b| b.is_ascii_hexdigit());
    (is_hash && !commit.starts_with(NOTHING)).then(|| (branch.to_owned(), commit.to_owned()))
}

/// The paths a push says it has changed.
fn paths(payload: &Value) -> Vec<String> {
    let commits = payload["commits"].as_array().into_iter().flatten();
    let of = |commit: &Value| {
        let lists = ["added", "modified", "removed"].map(|list| commit[list].clone());
        let all = lists.into_iter().filter_map(|list| list.as_array().cloned()).flatten();
        all.filter_map(|path| path.as_str().map(str::to_owned)).collect::<Vec<String>>()
    };
    commits.flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        for same in [
            "https://git.example/trade/shop.git",
            "http://git.example/trade/shop",
            "ssh://git@git.example:22/trade/shop.git",
            "git@git.example:trade/shop.git",
            "https://token@Git.example/trade/Shop/",
        ] {
            assert_eq!(plain(same), "git.example/trade/shop", "{same}");
        }
        assert_ne!(plain("https://git.example/other/shop"), "git.example/trade/shop");
    }
}
