//! Metrics over HTTP, in and out: remote write, and the API as Prometheus serves it. What PromQL
//! means is tested where it is evaluated.

mod support;

use atoll_metrics::Sample;
use atoll_metrics::remote::write::Encoder;
use atoll_metrics::remote::{Version, headers};
use atoll_model::{Level, Span};
use serde_json::{Value, json};
use support::{Caller, TestServer, serve, serve_with, until};

/// A message of one sample for each series.
fn message(version: Version, series: &[(&[(&str, &str)], f64)], at: i64) -> Vec<u8> {
    let mut encoder = Encoder::new(version);
    for (labels, value) in series {
        encoder.add(labels.iter().copied(), &[Sample { at, value: *value }]);
    }
    encoder.finish().expect("it is small")
}

async fn write(caller: &Caller, version: Version, body: &[u8]) -> (u16, String) {
    caller.send_bytes("/api/v1/write", headers(version)[0].1, body).await
}

fn now(server: &TestServer) -> i64 {
    server.running.server.clock.now().0
}

/// A token of the agent of a host.
async fn host(server: &TestServer, name: &str) -> Caller {
    let join = server.caller_with(Level::Join).await;
    let facts = json!({
        "capacity": { "cpu": "2", "memory": "1Gi", "instances": 0 },
        "address": "127.0.0.1", "agent": {},
    });
    let ask = json!({ "name": name, "labels": {}, "facts": facts });
    let (status, joined) = join.call("POST", "/v1/agents/join", Some(&ask)).await;
    assert_eq!(status, 200, "{joined}");
    server.caller(joined["token"].as_str().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_answered_with_its_completeness() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let at = now(&server);
    for (version, app) in [(Version::V1, "a"), (Version::V2, "b")] {
        let series: [(&[(&str, &str)], f64); 1] = [(&[("__name__", "x"), ("app", app)], 2.0)];
        let (status, text) = write(&operator, version, &message(version, &series, at)).await;
        assert_eq!(status, 204, "{text}");
    }
    let path = format!("/api/v1/query?query=sum(x)&time={}", at as f64 / 1000.0);
    let (status, body) = operator.call("GET", &path, None).await;
    assert_eq!((status, &body["status"]), (200, &json!("success")), "{body}");
    assert_eq!(body["data"]["resultType"], json!("vector"));
    assert_eq!(body["data"]["result"][0]["value"][1], json!("4"), "{body}");
    assert_eq!(body["atoll"]["series"], json!(2), "{body}");
    assert_eq!(body["atoll"]["completeness"], json!(1.0), "{body}");
    assert!(body["atoll"]["freshness_seconds"].as_f64().is_some(), "{body}");
    let (_, none) = operator.call("GET", "/api/v1/query?query=nothing_like_it", None).await;
    assert_eq!(none["atoll"]["completeness"], Value::Null, "no data is not all well: {none}");
    let form = format!("query=x&start={}&end={}&step=15", at / 1000 - 60, at / 1000 + 1);
    let (status, body) = operator.form("/api/v1/query_range", &form).await;
    assert_eq!((status, &body["data"]["resultType"]), (200, &json!("matrix")), "{body}");
    let (_, series) = operator.form("/api/v1/series", "match[]=x").await;
    assert_eq!(
        series["data"],
        json!([{"__name__": "x", "app": "a"}, {"__name__": "x", "app": "b"}])
    );
    let (_, values) = operator.call("GET", "/api/v1/label/app/values?limit=1", None).await;
    assert_eq!((&values["data"], values["warnings"].is_array()), (&json!(["a"]), true));
    let (_, names) = operator.call("GET", "/api/v1/labels?match[]=x", None).await;
    assert_eq!(names["data"], json!(["__name__", "app"]));
    for path in [
        "rules",
        "alerts",
        "targets",
        "targets/metadata",
        "targets/metadata?match_target={job=%22a%22}&metric=a.b",
        "metadata",
        "status/config",
        "status/flags",
        "status/runtimeinfo",
        "status/buildinfo",
        "status/tsdb",
        "status/walreplay",
    ] {
        let (status, body) = operator.call("GET", &format!("/api/v1/{path}"), None).await;
        assert_eq!((status, &body["status"]), (200, &json!("success")), "{path}: {body}");
    }
    let (status, body) = operator.call("GET", "/federate", None).await;
    assert_eq!(status, 404, "no page of the console: {body}");
    let nobody = server.caller(None);
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(nobody.call("GET", path, None).await.0, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_those_clients_of_prometheus_know() {
    let server = serve().await;
    let viewer = server.caller_with(Level::Viewer).await;
    let cases = [
        ("query?query=sum(", 400, "bad_data"),
        ("query", 400, "bad_data"),
        ("query?query=up&time=never", 400, "bad_data"),
        ("query?query=up&timeout=x", 400, "bad_data"),
        ("query_range?query=up&start=2&end=1&step=1", 400, "bad_data"),
        ("query_range?query=up&start=1&end=2&step=0", 400, "bad_data"),
        ("query_range?query=up&start=1&end=99999999&step=1", 400, "bad_data"),
        ("query?query=vector(1)%2Bon()vector(1)&timeout=0", 503, "timeout"),
        ("series", 400, "bad_data"),
        ("series?match[]=sum(x)", 400, "bad_data"),
    ];
    for (path, expected, kind) in cases {
        let (status, body) = viewer.call("GET", &format!("/api/v1/{path}"), None).await;
        assert_eq!((status, &body["errorType"]), (expected, &json!(kind)), "{path}: {body}");
        assert_eq!(body["status"], json!("error"), "{path}");
    }
    let (status, body) = viewer.form("/api/v1/format_query", "query=sum(x)by(a)").await;
    assert_eq!((status, &body["data"]), (200, &json!("sum by (a) (x)")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_speaks_of_itself_only() {
    let server = serve().await;
    let h1 = host(&server, "h1").await;
    let at = now(&server);
    let own: [(&[(&str, &str)], f64); 2] =
        [(&[("__name__", "y"), ("host", "h1")], 1.0), (&[("__name__", "y"), ("zone", "z")], 1.0)];
    assert_eq!(write(&h1, Version::V1, &message(Version::V1, &own, at)).await.0, 204);
    let mixed: [(&[(&str, &str)], f64); 2] = [
        (&[("__name__", "good"), ("host", "h1")], 1.0),
        (&[("__name__", "y"), ("host", "h2")], 1.0),
    ];
    let (status, text) = write(&h1, Version::V1, &message(Version::V1, &mixed, at)).await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("h2"), "{text}");
    assert_eq!(h1.call("GET", "/api/v1/query?query=y", None).await.0, 403, "agents do not read");
    let viewer = server.caller_with(Level::Viewer).await;
    let (_, found) = viewer.form("/api/v1/series", "match[]=y&match[]=good").await;
    let y = |more: (&str, &str)| json!({"__name__": "y", "host": "h1", more.0: more.1});
    let expected = json!([{"__name__": "y", "host": "h1"}, y(("zone", "z"))]);
    assert_eq!(found["data"], expected, "a refused batch leaves nothing behind");
    let (_, status) = viewer.call("GET", "/api/v1/status/tsdb", None).await;
    let sources = status["data"]["atoll"]["sources"].to_string();
    assert!(sources.contains("host/h1"), "{sources}");
    let body = message(Version::V1, &own, at);
    assert_eq!(write(&viewer, Version::V1, &body).await.0, 403, "viewers do not write");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_said_and_not_asked_for_again() {
    let server = serve_with(|options| options.metrics.series_per_source = 10).await;
    let operator = server.caller_with(Level::Operator).await;
    let at = now(&server);
    let numbers: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let labels: Vec<[(&str, &str); 2]> =
        numbers.iter().map(|n| [("__name__", "many"), ("n", n.as_str())]).collect();
    let series: Vec<(&[(&str, &str)], f64)> = labels.iter().map(|l| (&l[..], 1.0)).collect();
    let (status, text) = write(&operator, Version::V1, &message(Version::V1, &series, at)).await;
    assert_eq!(status, 400, "{text}");
    assert!(
        text.contains("10 samples were stored, 10 refused") && text.contains("limit"),
        "{text}"
    );
    let old = message(Version::V1, &series[..1], at - 86_400_000 * 2 - 60_000);
    let (status, text) = write(&operator, Version::V1, &old).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("too old"), "{text}");
    assert_eq!(write(&operator, Version::V1, b"not snappy").await.0, 400);
    let json = operator.send_bytes("/api/v1/write", "application/json", b"{}").await;
    assert_eq!(json.0, 415, "{}", json.1);
    // A few bytes that claim to be a gigabyte.
    let claim = [0x80, 0x80, 0x80, 0x80, 0x04, 0x00];
    assert_eq!(write(&operator, Version::V1, &claim).await.0, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_figures_are_metrics() {
    let server = serve().await;
    let viewer = server.caller_with(Level::Viewer).await;
    viewer.call("GET", "/v1/hosts", None).await;
    let text = viewer.text("/metrics").await;
    let mut names = std::collections::BTreeSet::new();
    let limits = atoll_metrics::exposition::Limits::default();
    let format = atoll_metrics::exposition::Format::Prometheus;
    let parsed = atoll_metrics::exposition::parse(&text, format, &limits, |row| {
        let name = row.labels.iter().find(|(name, _)| *name == "__name__");
        names.extend(name.map(|(_, name)| (*name).to_owned()));
    });
    assert!(parsed.is_ok_and(|parsed| parsed.duplicates == 0), "{text}");
    for name in [
        "atoll_revision",
        "atoll_leads",
        "atoll_objects",
        "atoll_http_requests_total",
        "atoll_http_request_duration_seconds_bucket",
        "atoll_commits_total",
        "atoll_store_duration_seconds_count",
        "atoll_metrics_series",
        "process_resident_memory_bytes",
    ] {
        assert!(names.contains(name), "{name} is not in {text}");
    }
    let route = "atoll_http_requests_total{route=\"/v1/{plural}\",method=\"GET\",status=\"200\"} 1";
    assert!(text.contains(route), "{text}");
    // What has not happened yet stands at 0, so that the first time is seen as a rise.
    let healed = "atoll_commits_total{intent=\"heal\",outcome=\"committed\"} 0";
    assert!(text.contains(healed), "{text}");
    // What nobody gave a price costs nothing that could be told.
    assert!(!names.contains("atoll_cost_per_hour"), "{text}");
    let price = json!({
        "apiVersion": "atoll/v1", "kind": "Price", "metadata": { "name": "list" },
        "spec": { "from": "2023-01-01T00:00:00Z", "currency": "EUR", "hostHour": 0.1 },
    });
    let operator = server.caller_with(Level::Operator).await;
    let (status, said) = operator.call("PUT", "/v1/prices/list", Some(&price)).await;
    assert!(status < 300, "{said}");
    let text = viewer.text("/metrics").await;
    let idle = "atoll_cost_per_hour{currency=\"EUR\",part=\"idle\"} 0";
    assert!(text.contains(idle), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_leaves_blocks_and_no_long_log() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let (now, metrics) = (now(&server), server.running.server.metrics.clone());
    let status = || metrics.storage.status();
    let mut step = 0;
    while status().log_bytes < 2 << 20 {
        let at = now - 3_600_000 + step * 1000;
        let mut encoder = Encoder::new(Version::V1);
        for series in 0..2000 {
            // Nothing in it repeats, so that it takes room.
            let value = f64::from(series * 7919 % 1013).sqrt() * (step + 1) as f64;
            let name = series.to_string();
            encoder.add(
                [("__name__", "x"), ("series", name.as_str())].into_iter(),
                &[Sample { at, value }],
            );
        }
        let body = encoder.finish().expect("it is small");
        assert_eq!(write(&operator, Version::V1, &body).await.0, 204);
        step += 1;
    }
    let samples = status().samples;
    server.running.stop().await;
    let left = status();
    assert_eq!((left.head_samples, left.samples), (0, samples), "{left:?}");
    assert!(left.log_bytes < 1 << 20, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_speaks_to_us() {
    const PROGRAM: &str = "/usr/bin/promtool";
    if !std::path::Path::new(PROGRAM).exists() {
        eprintln!("skipped: {PROGRAM} is not installed; run `make packages`");
        return;
    }
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let at = now(&server);
    let series: [(&[(&str, &str)], f64); 1] = [(&[("__name__", "x"), ("app", "a")], 2.5)];
    assert_eq!(write(&operator, Version::V1, &message(Version::V1, &series, at)).await.0, 204);
    let (start, end) = (format!("--start={}", at / 1000 - 60), format!("--end={}", at / 1000 + 1));
    let url = operator.url();
    let asks: [(&[&str], &str); 4] = [
        (&["query", "instant", &url, "x * 2"], "5"),
        (&["query", "range", &start, &end, &url, "x"], "2.5"),
        (&["query", "series", "--match=x", &url], "app=\"a\""),
        (&["query", "labels", &url, "app"], "a"),
    ];
    for (arguments, expected) in asks {
        let mut program = tokio::process::Command::new(PROGRAM);
        let output = program.args(arguments).output().await.expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {text}{wrong}", arguments[1]);
        assert!(text.contains(expected), "{}: {text}{wrong}", arguments[1]);
    }
}

/// A value now, as `who` sends it.
async fn measure(server: &TestServer, who: &Caller, labels: &[(&str, &str)]) {
    let body = message(Version::V1, &[(labels, 1.0)], now(server));
    let (status, text) = write(who, Version::V1, &body).await;
    assert_eq!(status, 204, "{text}");
}

/// Name and host of each series that a query finds now, and who else it is by.
async fn found(caller: &Caller, query: &str) -> Vec<String> {
    let (status, body) = caller.form("/api/v1/query", &format!("query={query}")).await;
    assert_eq!(status, 200, "{body}");
    let of = |series: &Value| {
        let labels = ["__name__", "host", "by"].map(|l| series["metric"][l].as_str());
        labels.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    let mut found: Vec<String> =
        body["data"]["result"].as_array().expect("a list").iter().map(of).collect();
    found.sort();
    found
}

/// Waits until a query finds just these.
async fn finds(caller: &Caller, query: &str, expected: &[&str]) {
    until(async || (found(caller, query).await == expected).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_on_a_host_that_is_lost_has_ended() {
    let server = serve_with(|options| options.host_timeout = Span::seconds(1)).await;
    let admin = server.caller_with(Level::Admin).await;
    let h1 = host(&server, "h1").await;
    measure(&server, &h1, &[("__name__", "node"), ("instance", "h1")]).await;
    finds(&admin, "node", &[]).await;
    measure(&server, &h1, &[("__name__", "node"), ("instance", "h1")]).await;
    assert_eq!(found(&admin, "node").await, ["node h1"], "what comes back goes on");
}

/// Puts one instance of `web.prod` on a host, and gives the host's agent.
async fn one_instance(server: &TestServer, admin: &Caller, host_name: &str) -> Caller {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({ "apiVersion": "atoll/v1", "kind": kind, "metadata": { "name": name },
                "spec": spec })
    };
    let apply = async |objects: &[Value]| {
        let (status, said) =
            admin.call("POST", "/v1/apply", Some(&json!({ "objects": objects }))).await;
        assert_eq!(status, 200, "{said}");
    };
    let there = async |path: &str| {
        until(async || (admin.call("GET", path, None).await.0 == 200).then_some(())).await;
    };
    let agent = host(server, host_name).await;
    let run = json!({ "run": { "command": ["/bin/true"] } });
    apply(&[object("Environment", "prod", json!({})), object("Application", "web", run)]).await;
    there("/v1/releases/web-1").await;
    let spec = json!({ "application": "web", "environment": "prod", "instances": 1 });
    apply(&[object("Deployment", "web.prod", spec)]).await;
    there("/v1/instances/web.prod.0").await;
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_of_what_is_gone_has_ended() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let h1 = one_instance(&server, &admin, "h1").await;
    let h2 = host(&server, "h2").await;
    let of_instance =
        [("__name__", "load"), ("deployment", "web.prod"), ("instance", "web.prod.0")];
    measure(&server, &h1, &of_instance).await;
    let of_other =
        [("__name__", "load"), ("by", "scrape"), ("deployment", "db"), ("instance", "a")];
    measure(&server, &h1, &of_other).await;
    measure(&server, &h1, &[("__name__", "node"), ("instance", "h1")]).await;
    measure(&server, &h2, &[("__name__", "node"), ("instance", "h2")]).await;
    let by_others = [&of_instance[..], &[("by", "others"), ("host", "h1")]].concat();
    measure(&server, &admin, &by_others).await;
    measure(&server, &admin, &[("__name__", "node"), ("by", "others"), ("host", "h2")]).await;
    assert_eq!(found(&admin, "load").await, ["load h1", "load h1 others", "load h1 scrape"]);
    assert_eq!(found(&admin, "node").await, ["node h1", "node h2", "node h2 others"]);

    // Its agent says that nothing runs there, and nothing of its series.
    let none = json!({ "spec": { "instances": 0 } });
    let (status, said) = admin.call("PATCH", "/v1/deployments/web.prod", Some(&none)).await;
    assert_eq!(status, 200, "{said}");
    let path = "/v1/instances/web.prod.0";
    let stops =
        async || admin.call("GET", path, None).await.1["metadata"].get("deletedAt").cloned();
    until(stops).await;
    let report = json!({ "full": true, "instances": [] });
    assert_eq!(h1.call("POST", "/v1/agents/h1/report", Some(&report)).await.0, 204);
    until(async || (admin.call("GET", path, None).await.0 == 404).then_some(())).await;
    finds(&admin, "load", &["load h1 others", "load h1 scrape"]).await;
    assert_eq!(found(&admin, "node").await, ["node h1", "node h2", "node h2 others"]);

    assert_eq!(admin.call("DELETE", "/v1/hosts/h2", None).await.0, 200);
    finds(&admin, "node", &["node h1", "node h2 others"]).await;
    let h2 = host(&server, "h2").await;
    measure(&server, &h2, &[("__name__", "node"), ("instance", "h2")]).await;
    let all = ["node h1", "node h2", "node h2 others"];
    assert_eq!(found(&admin, "node").await, all, "what comes back goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hosts_start_again_by_themselves_is_counted() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let h1 = one_instance(&server, &admin, "h1").await;
    let counted = async || {
        let text = admin.text("/metrics").await;
        let of = |line: &str| {
            let rest = line.strip_prefix("atoll_restarts_total{crash_loop=\"")?.to_owned();
            rest.split_once("\"} ").map(|(looping, count)| format!("{looping} {count}"))
        };
        text.lines().filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!(counted().await, ["false 0", "true 0"], "before there is any");
    let tells = async |phase: &str, restarts: u32| {
        let said = json!({ "name": "web.prod.0", "generation": 1, "phase": phase,
                           "release": "web-1", "pid": 7 + restarts, "restarts": restarts });
        let report = json!({ "instances": [said] });
        assert_eq!(h1.call("POST", "/v1/agents/h1/report", Some(&report)).await.0, 204);
    };
    tells("ready", 2).await;
    assert_eq!(counted().await, ["false 0", "true 0"], "it was not known before");
    tells("starting", 3).await;
    tells("ready", 3).await;
    tells("ready", 3).await;
    assert_eq!(counted().await, ["false 1", "true 0"]);
    tells("crashLoop", 5).await;
    tells("starting", 6).await;
    assert_eq!(counted().await, ["false 1", "true 3"], "which mends nothing");
    // Another release begins at 0.
    tells("ready", 0).await;
    assert_eq!(counted().await, ["false 1", "true 3"]);
}
