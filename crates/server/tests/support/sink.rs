//! Somebody who is told by HTTP: one that takes every message, and one that never answers.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A message with the key it came under.
type Message = (String, Value);

pub struct Sink {
    pub url: String,
    messages: Arc<Mutex<Vec<Message>>>,
    connections: Arc<Mutex<usize>>,
}

impl Sink {
    /// One that takes every message.
    pub async fn start() -> Sink {
        Sink::listen(true).await
    }

    /// One that never answers.
    pub async fn hanging() -> Sink {
        Sink::listen(false).await
    }

    async fn listen(answers: bool) -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let sink = Sink { url, messages: Arc::default(), connections: Arc::default() };
        let (messages, connections) = (sink.messages.clone(), sink.connections.clone());
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().expect("no panic") += 1;
                if answers {
                    tokio::spawn(take(stream, messages.clone()));
                } else {
                    kept.push(stream);
                }
            }
        });
        sink
    }

    /// The bodies that came, in order.
    pub fn received(&self) -> Vec<Value> {
        self.messages.lock().expect("no panic").iter().map(|(_, body)| body.clone()).collect()
    }

    /// The keys they came under.
    pub fn keys(&self) -> Vec<String> {
        self.messages.lock().expect("no panic").iter().map(|(key, _)| key.clone()).collect()
    }

    /// How often somebody connected.
    pub fn connected(&self) -> usize {
        *self.connections.lock().expect("no panic")
    }
}

async fn take(mut stream: TcpStream, messages: Arc<Mutex<Vec<Message>>>) {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let Ok(length) = stream.read(&mut piece).await else { return };
        if length == 0 {
            return;
        }
        all.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(':'));
            let mut found = lines.filter(|(n, _)| n.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.trim().to_owned())
        };
        let wanted = header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        if body.len() < wanted {
            continue;
        }
        let key = header("idempotency-key").unwrap_or_default();
        let body = serde_json::from_str(&body[..wanted]).unwrap_or(Value::Null);
        messages.lock().expect("no panic").push((key, body));
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        // Who asked may have gone.
        let _ = stream.write_all(answer.as_bytes()).await;
        return;
    }
}
