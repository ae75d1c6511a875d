//! A server on a free port of loopback, and callers that speak plain HTTP to it.

#![allow(dead_code, reason = "not every test uses all of it")]

pub mod sink;

use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::{Level, Span};
use atoll_server::{Encryption, Keep, MetricsOptions, Options, Running, auth};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct TestServer {
    pub running: Running,
    _dir: tempfile::TempDir,
}

/// A server of options that a test chooses, in a directory of its own.
pub async fn serve_with(change: impl FnOnce(&mut Options)) -> TestServer {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(dir.path());
    change(&mut options);
    let running = atoll_server::start(options).await.expect("it starts");
    TestServer { running, _dir: dir }
}

/// Starts a server with everything in a directory of its own.
pub async fn serve() -> TestServer {
    serve_with(|_| {}).await
}

fn options(dir: &std::path::Path) -> Options {
    Options {
        keep: Keep::Directory(dir.to_path_buf()),
        listen: "127.0.0.1:0".parse().expect("an address"),
        advertise: None,
        encryption: Encryption::Off,
        host_timeout: Span::seconds(30),
        provider: None,
        secret_key: None,
        repositories: vec![std::env::temp_dir()],
        pools: atoll_server::pool::Places { program: None, programs: vec![dir.join("programs")] },
        metrics: MetricsOptions::new(dir.join("metrics")),
    }
}

/// Tries until there is an answer, with a bound.
///
/// # Panics
/// When there is none in time.
pub async fn until<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let tries = async {
        loop {
            if let Some(found) = attempt().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, tries).await.expect("it comes to pass in time")
}

/// Somebody who calls the server.
pub struct Caller {
    address: std::net::SocketAddr,
    token: Option<String>,
}

/// A path of the route table with its parameters filled in.
pub fn concrete(path: &str) -> String {
    let digest = "0".repeat(64);
    path.replace("{plural}", "deployments")
        .replace("{name}", "x")
        .replace("{digest}", &digest)
        .replace("{id}", "x")
}

impl TestServer {
    pub fn caller(&self, token: Option<String>) -> Caller {
        Caller { address: self.running.server.listen, token }
    }

    /// A caller with a token of a role.
    pub async fn caller_with(&self, level: Level) -> Caller {
        let actor = Actor::new("test", Level::Admin);
        let secret = auth::secret();
        let made = self.running.server.keep_token(&actor, &secret, level, None, None).await;
        made.expect("a token");
        self.caller(Some(secret))
    }
}

impl Caller {
    /// The same caller at another server.
    pub fn at(self, server: &TestServer) -> Caller {
        Caller { address: server.running.server.listen, ..self }
    }

    /// The server's address with the token as a password, for programs that know no other way.
    pub fn url(&self) -> String {
        format!("http://any:{}@{}", self.token.as_deref().unwrap_or_default(), self.address)
    }

    /// Status and JSON of an answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string).unwrap_or_default();
        let (status, text) = self.send(method, path, &body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Status of an answer to any body.
    pub async fn call_text(&self, method: &str, path: &str, body: &str) -> u16 {
        self.send(method, path, body).await.0
    }

    /// The text of a page.
    pub async fn text(&self, path: &str) -> String {
        self.send("GET", path, "").await.1
    }

    /// Status of a patch of what was read at a revision.
    pub async fn patch_at(&self, path: &str, patch: &Value, revision: u64) -> u16 {
        let more = format!("If-Match: {revision}\r\n");
        self.send_with("PATCH", path, &patch.to_string(), &more).await.0
    }

    /// Status and text of an answer to any bytes of a media type.
    pub async fn send_bytes(&self, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let more = format!("Content-Type: {kind}\r\n");
        self.exchange("POST", path, body, &more).await
    }

    /// Status and JSON of an answer to a body that is posted with more headers.
    pub async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let more: String = headers.iter().map(|(k, v)| format!("{k}: {v}\r\n")).collect();
        let (status, text) = self.send_with("POST", path, body, &more).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Status and JSON of an answer to the parameters of a form.
    pub async fn form(&self, path: &str, parameters: &str) -> (u16, Value) {
        let kind = "application/x-www-form-urlencoded";
        let (status, text) = self.send_bytes(path, kind, parameters.as_bytes()).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn open(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        more: &str,
    ) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let token = self.token.as_ref().map(|t| format!("Authorization: Bearer {t}\r\n"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {}\r\n{more}{}\r\n",
            body.len(),
            token.unwrap_or_default()
        );
        stream.write_all(head.as_bytes()).await.expect("it reads");
        // A server that refuses a body need not read all of it.
        let _ = stream.write_all(body).await;
        BufReader::new(stream)
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.send_with(method, path, body, "").await
    }

    async fn send_with(&self, method: &str, path: &str, body: &str, more: &str) -> (u16, String) {
        let json = "Content-Type: application/json\r\n";
        let kind = if more.contains("Content-Type:") { "" } else { json };
        self.exchange(method, path, body.as_bytes(), &format!("{kind}{more}")).await
    }

    async fn exchange(&self, method: &str, path: &str, body: &[u8], more: &str) -> (u16, String) {
        let answer = async {
            let mut reader = self.open(method, path, body, more).await;
            let mut all = Vec::new();
            // Refused bodies end in a reset after the answer.
            let _ = reader.read_to_end(&mut all).await;
            String::from_utf8_lossy(&all).into_owned()
        };
        let text = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let chunked = text.to_ascii_lowercase().contains("transfer-encoding: chunked");
        (status, if chunked { unchunk(body) } else { body.to_owned() })
    }

    /// A stream of events, as it is told.
    pub async fn stream(&self, path: &str) -> Events {
        Events(self.open("GET", path, b"", "").await.lines())
    }

    /// The data of the first events of a stream.
    pub async fn events(&self, path: &str, count: usize) -> Vec<Value> {
        self.stream(path).await.next(count).await
    }
}

/// Events that are told as they happen.
pub struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    /// The data of the next so many.
    pub async fn next(&mut self, count: usize) -> Vec<Value> {
        let read = async {
            let mut events = Vec::new();
            while events.len() < count {
                let line = self.0.next_line().await.expect("a line").expect("no end");
                if let Some(data) = line.strip_prefix("data:") {
                    events.push(serde_json::from_str(data).expect("JSON"));
                }
            }
            events
        };
        tokio::time::timeout(PATIENCE, read).await.expect("events in time")
    }
}

fn unchunk(body: &str) -> String {
    let mut rest = body;
    let mut text = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || after.len() < size {
            break;
        }
        text.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    text
}
