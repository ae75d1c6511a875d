//! Values of a configuration watched by many: what they see, who may, and that those who vanish
//! disturb nobody.

use std::time::Duration;

use atoll_model::Level;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

mod support;
use support::{Caller, TestServer, serve, until};

const WATCH: &str = "/v1/configs/c/watch?environment=prod";

fn config(level: u32) -> Value {
    json!({
        "apiVersion": "atoll/v1", "kind": "Config", "metadata": { "name": "c" },
        "spec": {
            "schema": { "properties": { "level": { "type": "integer" } } },
            "values": { "level": level },
            "overlays": [{ "environments": ["prod"], "values": { "here": "prod" } }],
        },
    })
}

async fn with_config() -> (TestServer, Caller) {
    let server = serve().await;
    let caller = server.caller_with(Level::Operator).await;
    assert_eq!(caller.call("PUT", "/v1/configs/c", Some(&config(1))).await.0, 200);
    let values = until(async || {
        let (status, values) = caller.call("GET", "/v1/configs/c/values", None).await;
        (status == 200).then_some(values)
    });
    assert_eq!(values.await, json!({ "level": 1 }));
    (server, caller)
}

/// A stream of values, as it comes over the wire.
struct Stream(TcpStream);

impl Stream {
    async fn open(server: &TestServer, token: &str) -> Stream {
        let mut stream =
            TcpStream::connect(server.running.server.listen).await.expect("it listens");
        let head =
            format!("GET {WATCH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("it takes it");
        let mut stream = Stream(stream);
        stream.reads("\"here\":\"prod\"").await;
        stream
    }

    /// Reads until this text has come.
    async fn reads(&mut self, text: &str) {
        let mut all = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&all).contains(text) {
                let mut piece = [0; 4096];
                let count = self.0.read(&mut piece).await.expect("it is open");
                assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&all));
                all.extend_from_slice(&piece[..count]);
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(20), read).await;
        assert!(done.is_ok(), "no {text} in {}", String::from_utf8_lossy(&all));
    }
}

fn token_of(caller: &Caller) -> String {
    let url = caller.url();
    let secret = url.split_once("any:").and_then(|(_, rest)| rest.split_once('@'));
    secret.expect("it has a token").0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watchers_that_vanish_disturb_nobody() {
    // Both ends of every connection are in this process.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a bound");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(4_096)), hard)
        .expect("up to the hard one");
    let (server, caller) = with_config().await;
    let token = token_of(&caller);
    let mut stays = Stream::open(&server, &token).await;
    let mut all = Vec::new();
    for _ in 0..1_000 {
        all.push(Stream::open(&server, &token).await);
    }
    assert_eq!(server.running.server.fan.watchers(), 1_001);
    assert_eq!(caller.call("PUT", "/v1/configs/c", Some(&config(2))).await.0, 200);
    for stream in all.iter_mut().chain([&mut stays]) {
        stream.reads("\"level\":2").await;
    }
    // Gone without a word, in the middle of the next change.
    drop(all);
    assert_eq!(caller.call("PUT", "/v1/configs/c", Some(&config(3))).await.0, 200);
    stays.reads("\"level\":3").await;
    until(async || (server.running.server.fan.watchers() == 1).then_some(())).await;
    drop(stays);
    until(async || (server.running.server.fan.watchers() == 0).then_some(())).await;
    assert_eq!(caller.call("GET", "/v1/configs/c", None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_for_those_who_may_read_and_are_waited_for() {
    let (server, caller) = with_config().await;
    let nobody = server.caller(None);
    assert_eq!(nobody.call("GET", "/v1/configs/c/values", None).await.0, 401);
    assert_eq!(caller.call("GET", "/v1/configs/d/values", None).await.0, 404);
    let bad = caller.call("GET", "/v1/configs/c/values?labels=zone", None).await;
    assert!(bad.1["title"].as_str().is_some_and(|title| title.contains("KEY=VALUE")), "{bad:?}");
    let here = caller.call("GET", "/v1/configs/c/values?environment=prod", None).await;
    assert_eq!(here.1, json!({ "here": "prod", "level": 1 }));
    let wrong = json!({ "spec": { "values": { "level": "high" } } });
    let (status, said) = caller.call("PATCH", "/v1/configs/c", Some(&wrong)).await;
    assert!((400..500).contains(&status), "{status}");
    assert!(said.to_string().contains("values.level"), "{said}");
}
