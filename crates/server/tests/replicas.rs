//! Two replicas on one PostgreSQL: each has what the other was given, and what they tell people is
//! told once.

mod support;

#[path = "../../store/tests/support/cluster.rs"]
mod cluster;

use atoll_metrics::Sample;
use atoll_metrics::remote::Version;
use atoll_metrics::remote::write::Encoder;
use atoll_model::Level;
use atoll_server::Keep;
use cluster::Cluster;
use serde_json::{Value, json};
use support::sink::Sink;
use support::{Caller, TestServer, serve_with, until};

async fn feed(server: &TestServer, caller: &Caller) {
    let at = server.running.server.clock.now().0;
    let mut encoder = Encoder::new(Version::V2);
    let labels = [("__name__", "load"), ("app", "shop")];
    encoder.add(labels.into_iter(), &[Sample { at, value: 7.0 }]);
    let body = encoder.finish().expect("it is small");
    let kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let (status, text) = caller.send_bytes("/api/v1/write", kind, &body).await;
    assert_eq!(status, 204, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_know_and_one_tells() {
    let cluster = tokio::task::spawn_blocking(Cluster::shared).await.expect("it starts");
    let url = cluster.create_database();
    let first = serve_with(|options| options.keep = Keep::Postgres(url.clone())).await;
    let second = serve_with(|options| options.keep = Keep::Postgres(url.clone())).await;
    let (here, there) =
        (first.caller_with(Level::Operator).await, second.caller_with(Level::Operator).await);
    let sink = Sink::start().await;
    let rule = json!({
        "apiVersion": "atoll/v1", "kind": "Rule", "metadata": { "name": "web" },
        "spec": { "groups": [{ "name": "g", "interval": "1s",
            "rules": [{ "alert": "Loaded", "expr": "load > 5" }] }] },
    });
    let receiver = json!({
        "apiVersion": "atoll/v1", "kind": "Receiver", "metadata": { "name": "ops" },
        "spec": { "channel": { "webhook": { "url": sink.url } },
            "routes": [{ "groupBy": ["alertname"], "groupWait": "0s", "groupInterval": "1h" }] },
    });
    let ask = json!({ "objects": [rule, receiver] });
    assert_eq!(here.call("POST", "/v1/apply", Some(&ask)).await.0, 200);
    // Each is given some, and each can answer for all.
    let has_it = async |caller: &Caller| {
        let (_, found) = caller.form("/api/v1/query", "query=load").await;
        found["data"]["result"][0]["value"][1] == json!("7")
    };
    until(async || {
        feed(&first, &here).await;
        (has_it(&there).await && has_it(&here).await).then_some(())
    })
    .await;
    until(async || {
        feed(&second, &there).await;
        let sent = async |caller: &Caller| {
            let (_, list) = caller.call("GET", "/v1/notifications", None).await;
            let items: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
            items.iter().any(|item| item["status"]["phase"] == json!("sent"))
        };
        (sent(&here).await && sent(&there).await).then_some(())
    })
    .await;
    let told = sink.received();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["alerts"][0]["labels"]["alertname"], json!("Loaded"));
    // What the leader works out is known at the other as well.
    until(async || {
        let (_, found) = there.form("/api/v1/query", "query=atoll_leads").await;
        let both = found["data"]["result"].as_array().is_some_and(|all| all.len() == 2);
        both.then_some(())
    })
    .await;
    // A stranger cannot pass for a replica.
    let stranger = second.caller(None);
    let (status, _) = stranger.send_bytes("/api/v1/write", "application/x-protobuf", b"").await;
    assert_eq!(status, 401);
}
