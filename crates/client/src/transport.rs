//! One request to whichever server answers: addresses, tokens, retries and errors. It knows no
//! path of the API.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use atoll_model::api::ProblemJson;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ClientError;

/// Where servers are, and what they know us by.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// `http://host:port` or `https://host:port`, tried in turn.
    pub servers: Vec<String>,
    /// The secret sent with every request.
    pub token: Option<String>,
    /// Certificates of the authority that servers are trusted by, instead of the system's.
    pub ca_pem: Option<String>,
}

/// A connection to a group of servers of equal rank. Clones share connections, and the memory of
/// which server answered last.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    authorization: Option<HeaderValue>,
}

struct Shared {
    http: reqwest::Client,
    servers: RwLock<Vec<String>>,
    /// Index of the server that answered last.
    last: AtomicUsize,
}

/// One request, before a server is chosen.
pub(crate) struct Ask {
    pub method: Method,
    /// Path and query, beginning with `/`.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// From the first byte sent to the last received; none for streams.
    pub timeout: Option<Duration>,
    /// Whether doing it twice is as good as doing it once.
    pub again: bool,
}

const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

impl Ask {
    pub fn get(path: String) -> Ask {
        Ask {
            method: Method::GET,
            path,
            headers: HeaderMap::new(),
            body: None,
            timeout: Some(USUAL_TIMEOUT),
            again: true,
        }
    }

    pub fn of(method: Method, path: String) -> Ask {
        let again = matches!(method, Method::GET | Method::PUT | Method::DELETE);
        Ask { method, again, ..Ask::get(path) }
    }

    pub fn json<T: Serialize>(self, body: &T) -> Ask {
        let body = serde_json::to_vec(body).expect("wire types have string keys and no NaN");
        self.bytes("application/json", body.into())
    }

    pub fn bytes(mut self, content_type: &'static str, body: Bytes) -> Ask {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = Some(body);
        self
    }

    pub fn repeatable(mut self) -> Ask {
        self.again = true;
        self
    }

    pub fn timeout(mut self, timeout: Option<Duration>) -> Ask {
        self.timeout = timeout;
        self
    }

    fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// An answer with a status below 400.
pub(crate) struct Reply {
    pub status: StatusCode,
    /// All of it, or nothing where the response is a stream.
    pub body: Bytes,
    /// The stream, where one was asked for.
    pub stream: Option<Response>,
    what: String,
}

impl Reply {
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body)
            .map_err(|e| ClientError::Strange { what: self.what.clone(), why: e.to_string() })
    }
}

impl Client {
    /// Prepares a client; connects to nothing yet. [`crate::install_crypto`] must have been
    /// called.
    ///
    /// # Errors
    /// `Invalid`, when there is no server, an address is not one, or the certificates or the
    /// token cannot be read.
    pub fn new(endpoint: &Endpoint) -> Result<Client, ClientError> {
        let wrong = |title: String| ClientError::local(400, "invalid", title);
        let servers = clean(&endpoint.servers).map_err(wrong)?;
        if servers.is_empty() {
            return Err(wrong("no server is named; give --server http://host:port".to_owned()));
        }
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .tcp_keepalive(Duration::from_secs(15))
            .tcp_keepalive_interval(Duration::from_secs(5))
            .tcp_keepalive_retries(3)
            .tcp_nodelay(true)
            .no_proxy()
            // Only sessions are ever sent elsewhere, and those with their token.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &endpoint.ca_pem {
            let certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| {
                wrong(format!("the CA's certificate cannot be read: {}", chain(&e)))
            })?;
            http = http.tls_certs_only(certificates);
        } else if servers.iter().all(|s| s.starts_with("http://")) {
            // A machine without any certificates can still speak plain HTTP.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|e| wrong(format!("TLS: {}", chain(&e))))?;
        let shared = Shared { http, servers: RwLock::new(servers), last: AtomicUsize::new(0) };
        let client = Client { shared: Arc::new(shared), authorization: None };
        match &endpoint.token {
            Some(token) => client.with_token(token),
            None => Ok(client),
        }
    }

    /// The same servers and connections with another token.
    ///
    /// # Errors
    /// `Invalid`, when the token holds what a header cannot.
    pub fn with_token(&self, token: &str) -> Result<Client, ClientError> {
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| {
                ClientError::local(400, "invalid", "the token holds characters none has".into())
            })?;
        value.set_sensitive(true);
        Ok(Client { shared: Arc::clone(&self.shared), authorization: Some(value) })
    }

    /// The servers, the one that answered last first.
    pub fn servers(&self) -> Vec<String> {
        let mut servers =
            self.shared.servers.read().unwrap_or_else(PoisonError::into_inner).clone();
        let last = self.shared.last.load(Ordering::Relaxed);
        let count = servers.len().max(1);
        servers.rotate_left(last % count);
        servers
    }

    /// Adds servers not yet known; those known are kept, as they may be the only way back.
    /// Addresses that are none are passed over.
    pub fn learn_servers(&self, more: &[String]) {
        let mut servers = self.shared.servers.write().unwrap_or_else(PoisonError::into_inner);
        for server in more.iter().filter_map(|s| clean(std::slice::from_ref(s)).ok()).flatten() {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
    }

    pub(crate) async fn read<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, ClientError> {
        self.send(ask).await?.read()
    }

    /// Sends and reads the whole answer.
    pub(crate) async fn send(&self, ask: Ask) -> Result<Reply, ClientError> {
        self.try_servers(ask, false).await
    }

    /// The same client, asking one server only: where a server has sent us.
    pub(crate) fn at(&self, server: String) -> Client {
        let shared = Shared {
            http: self.shared.http.clone(),
            servers: RwLock::new(vec![server]),
            last: AtomicUsize::new(0),
        };
        Client { shared: Arc::new(shared), authorization: self.authorization.clone() }
    }

    /// Sends and leaves the answer to be read as it comes.
    pub(crate) async fn open(&self, ask: Ask) -> Result<Reply, ClientError> {
        self.try_servers(ask, true).await
    }

    async fn try_servers(&self, ask: Ask, stream: bool) -> Result<Reply, ClientError> {
        let servers = self.servers();
        let mut why = String::new();
        for (i, server) in servers.iter().enumerate() {
            match self.attempt(server, &ask, stream).await {
                // One that does not know us may be another's server at an address of ours; it has
                // done nothing.
                Ok(Err(error))
                    if i + 1 < servers.len()
                        && (error.status() == Some(401)
                            || ask.again && matches!(error.status(), Some(502..=504))) => {}
                Ok(answer) => {
                    self.remember(server);
                    return answer;
                }
                Err(error) => {
                    why = chain(&error);
                    // Unless it never arrived, a request may have been carried out.
                    if !ask.again && !error.is_connect() {
                        break;
                    }
                }
            }
        }
        Err(ClientError::Unreachable { servers, why })
    }

    async fn attempt(
        &self,
        server: &str,
        ask: &Ask,
        stream: bool,
    ) -> Result<Result<Reply, ClientError>, reqwest::Error> {
        let mut request = self
            .shared
            .http
            .request(ask.method.clone(), format!("{server}{}", ask.path))
            .headers(ask.headers.clone());
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        if let Some(timeout) = ask.timeout {
            request = request.timeout(timeout);
        }
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        let response = request.send().await?;
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let body = response.bytes().await?;
            return Ok(Err(ClientError::of(problem(ask, status, &body))));
        }
        let what = ask.what();
        if stream {
            return Ok(Ok(Reply { status, body: Bytes::new(), stream: Some(response), what }));
        }
        let body = response.bytes().await?;
        Ok(Ok(Reply { status, body, stream: None, what }))
    }

    fn remember(&self, server: &str) {
        let servers = self.shared.servers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = servers.iter().position(|s| s == server) {
            self.shared.last.store(at, Ordering::Relaxed);
        }
    }
}

fn clean(servers: &[String]) -> Result<Vec<String>, String> {
    servers
        .iter()
        .map(|server| {
            let server = server.trim().trim_end_matches('/');
            let wrong = || format!("{server:?} is not an address like http://host:port");
            let url = reqwest::Url::parse(server).map_err(|_| wrong())?;
            let plain = url.path() == "/" && url.query().is_none() && url.has_host();
            if !plain || !matches!(url.scheme(), "http" | "https") {
                return Err(wrong());
            }
            Ok(server.to_owned())
        })
        .collect()
}

fn problem(ask: &Ask, status: StatusCode, body: &[u8]) -> ProblemJson {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(body);
        let line = text.lines().next().unwrap_or_default();
        ProblemJson {
            type_: "about:blank".to_owned(),
            title: format!("{} was answered with {status}: {line}", ask.what()),
            status: status.as_u16(),
            code: "strange-answer".to_owned(),
            reasons: Vec::new(),
        }
    })
}

/// The whole chain of an error, as its outermost part alone seldom tells what happened.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.ends_with(&part) {
            let gap = if text.is_empty() { "" } else { ": " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{gap}{part}");
        }
        source = error.source();
    }
    if error.is_timeout() {
        text = "no answer in time".to_owned();
    }
    if text.is_empty() { error.to_string() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_none_are_refused() {
        crate::install_crypto();
        for bad in ["", "localhost:1", "ftp://a", "http://", "http://a/b", "http://a?x"] {
            let endpoint = Endpoint { servers: vec![bad.to_owned()], ..Endpoint::default() };
            assert!(Client::new(&endpoint).is_err(), "{bad:?} was taken");
        }
        let endpoint = Endpoint { servers: vec!["http://a:1/".to_owned()], ..Endpoint::default() };
        let client = Client::new(&endpoint).unwrap();
        client.learn_servers(&["http://b:2".into(), "http://a:1".into(), "x".into()]);
        assert_eq!(client.servers(), ["http://a:1", "http://b:2"]);
    }
}
