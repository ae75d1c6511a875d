//! The ways a message is sent by HTTP: a webhook, a Slack-compatible one, and Alertmanager's API.
//! Mail is in `email.rs`.

use std::path::Path;

use atoll_model::notification::Channel;
use atoll_model::{Notification, Object, Receiver};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;

use super::{NotSent, email, message};
use crate::metrics::remote::{chain, read_secret};

/// Sends messages.
#[derive(Debug)]
pub struct Sender {
    http: reqwest::Client,
}

impl Sender {
    /// Prepares to send.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new() -> Result<Sender, String> {
        Ok(Sender { http: http_client()? })
    }

    /// Sends one message; the caller bounds the time.
    ///
    /// # Errors
    /// See [`NotSent`].
    pub async fn send(
        &self,
        receiver: &Object<Receiver>,
        notification: &Object<Notification>,
        address: &str,
    ) -> Result<(), NotSent> {
        let spec = &receiver.spec;
        let key = notification.name();
        match &spec.channel {
            Channel::Webhook { url, token_file } => {
                let body = message::webhook(spec, notification, address);
                let mut request = self.http.post(url).json(&body);
                if let Some(file) = token_file {
                    request = request.bearer_auth(secret(file).await?);
                }
                post(request, key).await
            }
            Channel::Slack { url, url_file, channel } => {
                let url = match (url, url_file) {
                    (Some(url), _) => url.clone(),
                    (None, Some(file)) => secret(file).await?,
                    (None, None) => return Err(NotSent::never("neither url nor urlFile is given")),
                };
                let (title, text) = message::text(spec, notification, address)?;
                let colour = match message::status(&notification.spec) {
                    "firing" => "danger",
                    _ => "good",
                };
                let mut body = json!({
                    "text": title,
                    "attachments": [{
                        "color": colour, "fallback": title, "text": text, "mrkdwn_in": ["text"],
                    }],
                });
                if let Some(channel) = channel {
                    body["channel"] = json!(channel);
                }
                post(self.http.post(url).json(&body), key).await
            }
            Channel::Alertmanager { urls } => {
                let body = message::alertmanager(spec, &notification.spec, address);
                let all = urls.iter().map(|url| {
                    let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
                    post(self.http.post(url).json(&body), key)
                });
                let outcomes = futures::future::join_all(all).await;
                // They tell each other: one that has it is enough.
                match outcomes.iter().any(Result::is_ok) {
                    true => Ok(()),
                    false => outcomes.into_iter().next().unwrap_or(Ok(())),
                }
            }
            Channel::Email { .. } => email::send(receiver, notification, address).await,
        }
    }
}

/// A client that trusts what the system does, and speaks plain HTTP where there is nothing to
/// trust.
///
/// # Errors
/// TLS cannot be set up.
pub fn http_client() -> Result<reqwest::Client, String> {
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(5))
    };
    let plain = |_| builder().tls_certs_only([]).build();
    builder().build().or_else(plain).map_err(|e| chain(&e))
}

async fn secret(file: &str) -> Result<String, NotSent> {
    // It may be put there later.
    read_secret(&Path::new(file).to_path_buf()).await.map_err(NotSent::later)
}

/// Posts under a key that lets the other end tell a second attempt from a second message.
async fn post(request: RequestBuilder, key: &str) -> Result<(), NotSent> {
    let answer = request.header("Idempotency-Key", key).send().await;
    // Addresses may hold secrets.
    let answer = answer.map_err(|e| NotSent::later(chain(&e.without_url())))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let text = answer.text().await.unwrap_or_default();
    let cut = text.floor_char_boundary(200);
    let why = format!("status {status}: {}", text[..cut].trim());
    let passes = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
        );
    Err(NotSent { why, permanent: !passes })
}
