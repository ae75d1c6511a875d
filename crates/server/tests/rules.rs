//! Rules, alerts and messages end to end in one server: samples come in, a message goes out. When
//! an alert fires is tested where it is planned.

mod support;

use std::time::Duration;

use atoll_metrics::Sample;
use atoll_metrics::remote::Version;
use atoll_metrics::remote::write::Encoder;
use atoll_model::Level;
use serde_json::{Value, json};
use support::sink::Sink;
use support::{Caller, TestServer, serve, until};

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "atoll/v1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

async fn apply(caller: &Caller, objects: &[Value]) -> (u16, Value) {
    caller.call("POST", "/v1/apply", Some(&json!({ "objects": objects }))).await
}

/// Keeps a series alive: a sample now, and one a little earlier.
async fn feed(server: &TestServer, caller: &Caller, labels: &[(&str, &str)], value: f64) {
    let at = server.running.server.clock.now().0;
    let mut encoder = Encoder::new(Version::V1);
    let samples = [Sample { at: at - 1_000, value }, Sample { at, value }];
    encoder.add(labels.iter().copied(), &samples);
    let body = encoder.finish().expect("it is small");
    let (status, text) = caller.send_bytes("/api/v1/write", "application/x-protobuf", &body).await;
    assert!(status == 204 || status == 400, "{status} {text}");
}

fn rule() -> Value {
    object(
        "Rule",
        "web",
        &json!({ "groups": [{
        "name": "g",
        "interval": "1s",
        "rules": [
            { "record": "load:sum", "expr": "sum by (app) (load)", "labels": { "by": "rule" } },
            { "alert": "Loaded", "expr": "load:sum > 5", "labels": { "severity": "page" },
              "annotations": { "summary": "load is {{ $value }}" } },
        ],
    }] }),
    )
}

fn receiver(name: &str, url: &str) -> Value {
    object(
        "Receiver",
        name,
        &json!({
            "channel": { "webhook": { "url": url } },
            "routes": [{ "groupBy": ["alertname"], "groupWait": "0s", "groupInterval": "1s" }],
            "timeout": "2s",
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_becomes_a_series_an_alert_and_one_message() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let (hanging, sink) = (Sink::hanging().await, Sink::start().await);
    let objects = [rule(), receiver("hangs", &hanging.url), receiver("ops", &sink.url)];
    let (status, outcome) = apply(&operator, &objects).await;
    assert_eq!(status, 200, "{outcome}");
    let labels = [("__name__", "load"), ("app", "shop")];
    let told = until(async || {
        feed(&server, &operator, &labels, 7.0).await;
        sink.received().first().cloned()
    });
    let told = told.await;
    assert!(hanging.connected() > 0, "the receiver that hangs was tried as well");
    assert_eq!((&told["version"], &told["status"]), (&json!("4"), &json!("firing")), "{told}");
    let alert = &told["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], json!("Loaded"), "{told}");
    assert_eq!(alert["annotations"]["summary"], json!("load is 7"), "{told}");
    let (_, found) = operator.form("/api/v1/query", "query=load:sum").await;
    let recorded = &found["data"]["result"][0]["metric"];
    assert_eq!(*recorded, json!({ "__name__": "load:sum", "app": "shop", "by": "rule" }));
    let (_, rules) = operator.call("GET", "/api/v1/rules?type=alert", None).await;
    let view = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!((&view["state"], &view["health"]), (&json!("firing"), &json!("ok")), "{rules}");
    let (_, alerts) = operator.call("GET", "/api/v1/alerts", None).await;
    assert_eq!(alerts["data"]["alerts"][0]["state"], json!("firing"), "{alerts}");
    let ended = until(async || {
        feed(&server, &operator, &labels, 1.0).await;
        sink.received().into_iter().find(|told| told["status"] == json!("resolved"))
    });
    let ended = ended.await;
    assert_eq!(ended["alerts"][0]["labels"]["alertname"], json!("Loaded"), "{ended}");
    let keys = sink.keys();
    let unique: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!(keys.len(), unique.len(), "no message came twice: {keys:?}");
    assert!(!keys.is_empty(), "each message names itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_asked_for_when_it_is_due_and_not_with_every_other() {
    const SLOW: usize = 20;
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let group = |name: &str, interval: &str, rules: usize| {
        let rule = |n| json!({ "record": format!("{name}:r{n}"), "expr": format!("vector({n})") });
        json!({ "name": name, "interval": interval, "rules": (0..rules).map(rule).collect::<Vec<_>>() })
    };
    let groups = [group("fast", "1s", 1), group("slow", "30s", SLOW)];
    let (status, outcome) =
        apply(&operator, &[object("Rule", "two", &json!({ "groups": groups }))]).await;
    assert_eq!(status, 200, "{outcome}");
    let mut times = std::collections::BTreeSet::new();
    while times.len() < 5 {
        let next = until(async || {
            let (_, rules) = operator.call("GET", "/api/v1/rules", None).await;
            let last = rules["data"]["groups"][0]["lastEvaluation"].as_str()?.to_owned();
            (!times.contains(&last)).then_some(last)
        });
        let next = next.await;
        times.insert(next);
    }
    let text = operator.text("/metrics").await;
    let figure = "atoll_query_duration_seconds_count{lane=\"planners\"} ";
    let asked = text.lines().find_map(|line| line.strip_prefix(figure)).expect("it is counted");
    // The slow one at first, and once more where it has become due meanwhile.
    let asked: usize = asked.parse().expect("a number");
    assert!(asked < 3 * SLOW, "{asked} for {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_cannot_be_evaluated_is_refused_with_its_place() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let mut wrong = rule();
    wrong["spec"]["groups"][0]["rules"][1]["expr"] = json!("sum(load");
    for path in ["/v1/apply", "/v1/apply?dryRun=true"] {
        let ask = json!({ "objects": [wrong] });
        let (status, problem) = operator.call("POST", path, Some(&ask)).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid")), "{problem}");
        let text = problem["reasons"][0].to_string();
        assert!(text.contains("spec.groups[0].rules[1].expr"), "{text}");
    }
    let application = object(
        "Application",
        "shop",
        &json!({
            "run": { "command": ["true"] },
            "objectives": [{ "name": "fast", "query": "sum(rate(x[{{window}}])", "target": "99%" }],
        }),
    );
    let (status, problem) = apply(&operator, &[application]).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem.to_string().contains("spec.objectives[0].query"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_shown_as_it_is_evaluated() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let mut narrowed = rule();
    narrowed["spec"]["groups"][0]["narrow"] =
        json!({ "label": "deployment", "value": "shop.prod" });
    assert_eq!(apply(&operator, &[narrowed]).await.0, 200);
    let (_, rules) = operator.call("GET", "/api/v1/rules", None).await;
    let query = &rules["data"]["groups"][0]["rules"][0]["query"];
    assert_eq!(*query, json!("sum by (app) (load{deployment=\"shop.prod\"})"), "{rules}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_is_no_longer_recorded_ends() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    assert_eq!(apply(&operator, &[rule()]).await.0, 200);
    let labels = [("__name__", "load"), ("app", "shop")];
    let query = async || {
        let (_, found) = operator.form("/api/v1/query", "query=load:sum").await;
        found["data"]["result"].as_array().map_or(0, Vec::len)
    };
    until(async || {
        feed(&server, &operator, &labels, 1.0).await;
        (query().await == 1).then_some(())
    })
    .await;
    let stale = [("__name__", "load"), ("app", "shop")];
    until(async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        feed(&server, &operator, &stale, atoll_metrics::STALE).await;
        (query().await == 0).then_some(())
    })
    .await;
}
