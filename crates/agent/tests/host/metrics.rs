//! What an agent collects and forwards, seen from the server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use atoll_metrics::remote::{self, Version};
use atoll_metrics::{Labels, Sample, is_stale};
use atoll_model::agent::{Ask, AssignedInstance, AssignedRelease, InstanceReport, LogFilter};
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::json;

use crate::stage::{BOUND, Stage, instance, until};

/// Everything written so far.
fn samples(stage: &Stage) -> Vec<(Labels, Sample)> {
    let mut all = Vec::new();
    for body in stage.held.written.borrow().iter() {
        let message = remote::decompress(body, 64 << 20).unwrap();
        remote::decode(Version::V1, &message, |labels, samples| {
            let labels = Labels::new(labels.iter().copied());
            all.extend(samples.iter().map(|sample| (labels.clone(), *sample)));
        })
        .unwrap();
    }
    all
}

/// Waits until a sample of that series, by its name and some labels, is as wanted.
async fn arrives(
    stage: &Stage,
    name: &str,
    labels: &[(&str, &str)],
    wanted: impl Fn(f64) -> bool,
) -> Labels {
    let mut written = stage.held.written.subscribe();
    let seen = async {
        loop {
            written.mark_unchanged();
            let hit = samples(stage).into_iter().find(|(series, sample)| {
                let is = |(name, value): &(&str, &str)| series.get(name) == *value;
                series.metric() == name && labels.iter().all(is) && wanted(sample.value)
            });
            match hit {
                Some((series, _)) => return series,
                None => written.changed().await.unwrap(),
            }
        }
    };
    let seen = tokio::time::timeout(BOUND, seen).await;
    seen.unwrap_or_else(|_| panic!("not in time: {name} {labels:?}"))
}

/// An instance that sleeps, for which the test itself answers on its port.
fn exposing(name: &str, script: &str) -> (AssignedInstance, AssignedRelease) {
    let run = json!({
        "command": ["sh", "-c", format!("{script}; exec sleep 1000")],
        "ports": { "http": 0 },
        "metrics": { "path": "/metrics", "port": "http", "every": "1s" },
    });
    instance(name, "web-1", run)
}

async fn answer_for(instance: &AssignedInstance, router: Router) {
    let address = SocketAddr::from(([127, 0, 0, 1], instance.ports["http"]));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
}

/// An endpoint whose text can be changed.
fn text_of(text: &Arc<Mutex<String>>) -> Router {
    let text = Arc::clone(text);
    Router::new().route("/metrics", get(async move || text.lock().unwrap().clone()))
}

#[tokio::test]
async fn host_instances_and_what_they_expose_arrive_without_set_up() {
    let stage = Stage::new().await;
    let log = "echo INFO up; echo ERROR no route to 10.0.0.7; echo ERROR no route to 10.0.0.8";
    let (web, release) = exposing("web.prod.0", log);
    stage.assign(&[(web.clone(), release)]);
    stage.ready("web.prod.0").await;
    let text = "# TYPE requests_total counter\nrequests_total{instance=\"own\",code=\"200\"} 7\n\
                old 1\n";
    let text = Arc::new(Mutex::new(text.to_owned()));
    answer_for(&web, text_of(&text)).await;

    let found = arrives(&stage, "requests_total", &[], |v| v == 7.0).await;
    assert_eq!(
        found.to_string(),
        "requests_total{application=\"web\", code=\"200\", deployment=\"web.prod\", \
         environment=\"prod\", exported_instance=\"own\", host=\"h1\", instance=\"web.prod.0\", \
         job=\"web\", release=\"web-1\"}"
    );
    let of = |job| [("instance", "web.prod.0"), ("job", job), ("host", "h1")];
    arrives(&stage, "up", &of("web"), |v| v == 1.0).await;
    arrives(&stage, "scrape_samples_scraped", &of("web"), |v| v == 2.0).await;
    for name in ["atoll_instance_up", "container_processes"] {
        arrives(&stage, name, &of("instances"), |v| v == 1.0).await;
    }
    for name in ["container_memory_working_set_bytes", "container_start_time_seconds"] {
        arrives(&stage, name, &of("instances"), |v| v > 0.0).await;
    }
    arrives(&stage, "container_cpu_usage_seconds_total", &[("cpu", "total")], |v| v >= 0.0).await;
    let errors = [("template", "ERROR no route to <ip>"), ("instance", "web.prod.0")];
    arrives(&stage, "atoll_instance_log_errors_total", &errors, |v| v == 2.0).await;
    let level = [("level", "error"), ("deployment", "web.prod")];
    arrives(&stage, "atoll_instance_log_lines_total", &level, |v| v == 2.0).await;
    let node = [("instance", "h1"), ("job", "node"), ("host", "h1")];
    arrives(&stage, "node_memory_MemAvailable_bytes", &node, |v| v > 0.0).await;
    arrives(&stage, "atoll_agent_samples_forwarded_total", &[("host", "h1")], |v| v > 0.0).await;

    *text.lock().unwrap() = "requests_total{instance=\"own\",code=\"200\"} 8\n".to_owned();
    arrives(&stage, "old", &[], is_stale).await;
    stage.assign(&[]);
    for name in ["requests_total", "up", "atoll_instance_up", "container_memory_rss"] {
        arrives(&stage, name, &[("instance", "web.prod.0")], is_stale).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn an_outage_and_a_restart_lose_nothing_and_change_no_order() {
    let mut stage = Stage::new().await;
    arrives(&stage, "node_time_seconds", &[], |_| true).await;
    stage.held.away.send_replace(true);
    let before = samples(&stage).len();
    let queue = stage.dir.path().join("agent/metrics");
    let waiting = || {
        let files = std::fs::read_dir(&queue).into_iter().flatten().flatten();
        let segments = files.filter(|f| f.path().extension().is_some_and(|e| e == "seg"));
        segments.map(|f| f.metadata().map_or(0, |meta| meta.len())).sum::<u64>()
    };
    until("metrics are kept on the disk", || waiting() > 0).await;
    let kept = waiting();
    until("more are kept", || waiting() > kept).await;
    stage.stop_agent().await;
    assert_eq!(samples(&stage).len(), before, "nobody took any");
    stage.start_agent();
    stage.held.away.send_replace(false);
    until("nothing waits any more", || waiting() == 0).await;
    let count = samples(&stage).len();
    until("fresh ones follow", || samples(&stage).len() > count).await;
    let times: Vec<i64> = samples(&stage)
        .iter()
        .filter(|(series, _)| series.metric() == "node_time_seconds")
        .map(|(_, sample)| sample.at)
        .collect();
    assert!(times.len() >= 4 && times.is_sorted(), "{times:?}");
    stage.end().await;
}

#[tokio::test]
async fn what_the_server_refuses_is_dropped_and_counted() {
    let stage = Stage::new().await;
    *stage.held.refuse_writes.lock().unwrap() = Some(StatusCode::BAD_REQUEST);
    let (web, release) = exposing("web.prod.0", "true");
    stage.assign(&[(web, release)]);
    stage.ready("web.prod.0").await;
    let refused = [("reason", "refused")];
    arrives(&stage, "atoll_agent_samples_dropped_total", &refused, |v| v > 0.0).await;
    // Nobody answers for it: it is down, and that is told.
    arrives(&stage, "up", &[("instance", "web.prod.0")], |v| v == 0.0).await;
    stage.end().await;
}

#[tokio::test]
async fn hostile_endpoints_harm_only_themselves() {
    let stage = Stage::new().await;
    let names = ["web.prod.0", "web.prod.1", "web.prod.2", "web.prod.3", "web.prod.4"];
    let instances = names.map(|name| exposing(name, "true"));
    stage.assign(&instances);
    for name in names {
        stage.ready(name).await;
    }
    let million = || (0..1_000_000).map(|i| format!("m{{i=\"{i}\"}} 1\n")).collect::<String>();
    let million = Arc::new(Mutex::new(million()));
    let long = Arc::new(Mutex::new(format!("a 1\nb{{x=\"{}\"}} 1\n", "y".repeat(1 << 20))));
    let fine = Arc::new(Mutex::new("fine 1\nfine 1\n".to_owned()));
    let hang = Router::new().route("/metrics", get(async || std::future::pending::<()>().await));
    let endless = async || {
        let line = Ok::<_, std::convert::Infallible>("a 1\n".repeat(1000));
        Body::from_stream(futures::stream::repeat(line))
    };
    let endless = Router::new().route("/metrics", get(endless));
    let routers = [text_of(&million), text_of(&long), hang, endless, text_of(&fine)];
    for ((instance, _), router) in instances.iter().zip(routers) {
        answer_for(instance, router).await;
    }
    arrives(&stage, "fine", &[("instance", names[4])], |v| v == 1.0).await;
    for name in &names[..4] {
        arrives(&stage, "up", &[("instance", name)], |v| v == 0.0).await;
    }
    arrives(&stage, "up", &[("instance", names[4])], |v| v == 1.0).await;
    // Why stands at the instance, for as long as it is so.
    let failed = |r: &InstanceReport| r.reasons.iter().any(|r| r.code == "metrics-failed");
    let report = stage.wait(names[1], failed).await;
    assert!(report.reasons[0].message.contains("/metrics: "), "{report:?}");
    *long.lock().unwrap() = "a 1\n".to_owned();
    stage.wait(names[1], |r| !failed(r)).await;
    assert!(!failed(&stage.ready(names[4]).await));
    let duplicates = [("reason", "duplicate")];
    arrives(&stage, "atoll_agent_samples_dropped_total", &duplicates, |v| v > 0.0).await;
    assert!(samples(&stage).iter().all(|(series, _)| series.get("x").is_empty()));
    assert!(samples(&stage).iter().all(|(series, _)| series.metric() != "m"));
    stage.end().await;
}

#[tokio::test]
async fn a_log_is_searched_where_it_lies() {
    let stage = Stage::new().await;
    let log = "for i in $(seq 300); do echo level=info n=$i msg=fine; done; \
               echo level=error n=301 msg=bad; echo end";
    let (web, release) = exposing("web.prod.0", log);
    stage.assign(&[(web, release)]);
    stage.ready("web.prod.0").await;
    until("all is written", || stage.log("web.prod.0").ends_with("end\n")).await;
    let field = |name: &str, value: &str| LogFilter {
        fields: [(name.to_owned(), value.to_owned())].into(),
        ..LogFilter::default()
    };
    for (id, filter, tail, wanted) in [
        ("s1", field("n", "17"), None, "level=info n=17 msg=fine\n"),
        ("s2", field("level", "info"), Some(1), "level=info n=300 msg=fine\n"),
        ("s3", field("level", "none"), None, ""),
    ] {
        let ask = Ask::Logs { follow: false, tail, since: None, filter };
        let mut socket = stage.session(id, "web.prod.0", ask).await;
        assert_eq!(crate::sessions::all(&mut socket).await.0, wanted, "{id}");
    }
    let filter = LogFilter { level: Some("loud".to_owned()), ..LogFilter::default() };
    let ask = Ask::Logs { follow: false, tail: None, since: None, filter };
    let mut socket = stage.session("s4", "web.prod.0", ask).await;
    let note = crate::sessions::all(&mut socket).await.2;
    assert!(format!("{note:?}").contains("is not a level"), "{note:?}");
    stage.end().await;
}
