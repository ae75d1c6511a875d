//! What steps leave for each other by keys, over HTTP and through a sweep.

mod support;

use std::collections::HashSet;
use std::time::Duration;

use atoll_model::{Level, Timestamp};
use serde_json::json;
use support::{Caller, TestServer, serve};

/// An agent of a host.
async fn host(server: &TestServer) -> Caller {
    let facts = json!({
        "capacity": { "cpu": "8", "memory": "64Gi", "instances": 0 },
        "address": "127.0.0.1", "agent": {},
    });
    let ask = json!({ "name": "h1", "labels": {}, "facts": facts });
    let join = server.caller_with(Level::Join).await;
    let (status, joined) = join.call("POST", "/v1/agents/join", Some(&ask)).await;
    assert_eq!(status, 200, "{joined}");
    server.caller(joined["token"].as_str().map(str::to_owned))
}

/// Hands in a piece, and gives its digest.
async fn piece(host: &Caller, text: &str) -> String {
    let digest = blake3::hash(text.as_bytes()).to_hex().to_string();
    assert_eq!(host.call_text("PUT", &format!("/v1/blobs/{digest}"), text).await, 204);
    digest
}

/// Notes something under a key, as it would have been at other times.
async fn note(server: &TestServer, key: &str, digest: &str, kept: Timestamp, used: Timestamp) {
    let text = json!({ "digest": digest, "kept": kept, "used": used }).to_string();
    let name = format!("caches/shop/{key}");
    server.running.server.store.put_blob(&name, text.as_bytes()).await.expect("it is kept");
}

#[tokio::test]
async fn what_is_kept_under_a_key_stays_and_is_found_by_its_beginning() {
    let server = serve().await;
    let host = host(&server).await;
    let (one, two) = (piece(&host, "one").await, piece(&host, "two").await);
    let put = async |key: &str, digest: &str| {
        let body = json!({ "digest": digest });
        host.call("PUT", &format!("/v1/caches/shop/{key}"), Some(&body)).await.0
    };
    let found = async |path: &str| {
        let (status, found) = host.call("GET", &format!("/v1/caches/{path}"), None).await;
        (status == 200).then(|| (found["key"].clone(), found["digest"].clone()))
    };
    let is = |key: &str, digest: &str| Some((json!(key), json!(digest)));
    assert_eq!(found("shop/k-1").await, None);
    assert_eq!(put("k-1", &"0".repeat(64)).await, 422, "its package is not there");
    assert_eq!(put("k-1", &one).await, 204);
    assert_eq!(put("k-1", &two).await, 204);
    assert_eq!(found("shop/k-1").await, is("k-1", &one), "what is there already stays");
    let now = server.running.server.clock.now();
    note(&server, "k-0", &two, Timestamp(1), now).await;
    assert_eq!(found("shop/k-9?or=x-%0Ak-").await, is("k-1", &one), "it is the newest");
    assert_eq!(found("shop/k-9?or=k-0").await, is("k-0", &two));
    assert_eq!(found("shop/k-9").await, None);
    assert_eq!(found("other/k-1").await, None, "it is another pipeline's");
    let viewer = server.caller_with(Level::Viewer).await;
    assert_eq!(viewer.call("GET", "/v1/caches/shop/k-1", None).await.0, 403);
}

#[tokio::test]
async fn what_is_kept_is_not_swept_away_until_nobody_has_used_it_for_long() {
    let server = serve().await;
    let host = host(&server).await;
    let (kept, old) = (piece(&host, "kept").await, piece(&host, "old").await);
    let app = &server.running.server;
    let now = app.clock.now();
    let days = |n: i64| Timestamp(now.0 - n * 86_400_000);
    note(&server, "kept", &kept, days(90), days(29)).await;
    note(&server, "old", &old, days(90), days(31)).await;
    let mut idle = HashSet::new();
    for _ in 0..2 {
        app.sweep(Duration::ZERO, &mut idle).await.expect("it is swept");
    }
    let missing = app.blobs.missing(vec![kept, old.clone()]).await.expect("it is asked");
    assert_eq!(missing, [old]);
    assert_eq!(host.call("GET", "/v1/caches/shop/old", None).await.0, 404);
    assert_eq!(host.call("GET", "/v1/caches/shop/kept", None).await.0, 200);
}
