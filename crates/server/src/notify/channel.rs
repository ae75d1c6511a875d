//! The ways a message is sent by HTTP: a webhook, a Slack-compatible one, and Alertmanager's API.
//! Mail is in `email.rs`.

use std::path::Path;

use atoll_model::notification::Channel;
use atoll_model::{Notification, Object, Receiver};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;

use super::{NotSent, email, message};
use crate::abroad;
use crate::metrics::remote::{chain, read_secret};

/// So many redirects are followed.
const REDIRECTS: usize = 5;

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
    let builder =
        || reqwest::Client::builder().user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")));
    let builder = || abroad::guarded(builder(), REDIRECTS);
    let plain = |_| builder().tls_certs_only([]).build();
    builder().build().or_else(plain).map_err(|e| chain(&e))
}

async fn secret(file: &str) -> Result<String, NotSent> {
    // It may be put there later.
    read_secret(&Path::new(file).to_path_buf()).await.map_err(NotSent::later)
}

/// Posts under a key that lets the other end tell a second attempt from a second message. What the
/// other end says is not told: a receiver may be pointed at what only this server reaches.
async fn post(request: RequestBuilder, key: &str) -> Result<(), NotSent> {
    let (client, request) = request.header("Idempotency-Key", key).build_split();
    let request = request.map_err(|e| NotSent::never(chain(&e.without_url())))?;
    abroad::check(request.url()).map_err(NotSent::never)?;
    let answer = client.execute(request).await;
    // Addresses may hold secrets.
    let answer = answer.map_err(|e| NotSent::later(chain(&e.without_url())))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let why = format!("it answered with status {status}");
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_a_receiver_answers_is_not_told() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\n\r\ns3cret";
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let http = http_client().unwrap();
        let said = post(http.post(format!("http://{at}/")), "a").await.unwrap_err();
        assert!(said.why.contains("400") && !said.why.contains("s3cret"), "{said:?}");
        let never = post(http.post("http://169.254.169.254/latest"), "a").await.unwrap_err();
        assert!(never.permanent && never.why.contains("never asked"), "{never:?}");
    }
}
