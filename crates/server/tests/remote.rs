//! Another server has all metrics too and answers for this one: Debian's prometheus and
//! victoria-metrics, each started late, so that what was written before waits for it.

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use atoll_metrics::Sample;
use atoll_metrics::remote::Version;
use atoll_metrics::remote::write::Encoder;
use atoll_model::Level;
use atoll_server::Remote;
use serde_json::json;
use support::{serve_with, until};

/// A program that is stopped when the test ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, arguments: &[String]) -> Program {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    Program(command.spawn().expect("it starts"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

async fn is_told_and_asked(program: &str, arguments: impl Fn(u16, &Path) -> Vec<String>) {
    if !Path::new(program).exists() {
        eprintln!("skipped: {program} is not installed; run `make packages`");
        return;
    }
    let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port());
    let url = format!("http://127.0.0.1:{port}");
    let server = serve_with(|options| options.metrics.remote = Some(Remote::at(&url))).await;
    let operator = server.caller_with(Level::Operator).await;
    let at = server.running.server.clock.now().0;
    let mut encoder = Encoder::new(Version::V1);
    for app in ["a", "b"] {
        let labels = [("__name__", "kept"), ("app", app)];
        encoder.add(labels.into_iter(), &[Sample { at, value: 2.0 }]);
    }
    let body = encoder.finish().expect("it is small");
    let kind = "application/x-protobuf";
    let (status, text) = operator.send_bytes("/api/v1/write", kind, &body).await;
    assert_eq!(status, 204, "a remote that is away hurts nobody: {text}");
    let (status, problem) = operator.form("/api/v1/query", "query=sum(kept)").await;
    assert_eq!((status, &problem["errorType"]), (422, &json!("execution")), "{problem}");
    let _program = start(program, &arguments(port, dir.path()));
    let found = until(async || {
        let (_, found) = operator.form("/api/v1/query", "query=sum(kept)").await;
        (found["data"]["result"][0]["value"][1] == json!("4")).then_some(found)
    });
    let found = found.await;
    assert_eq!(found["atoll"]["series"], json!(2), "{found}");
    assert_eq!(found["atoll"]["completeness"], json!(1.0), "{found}");
    let form = format!("query=kept&start={}&end={}&step=15", at / 1000 - 30, at / 1000 + 1);
    let (_, range) = operator.form("/api/v1/query_range", &form).await;
    assert_eq!(range["data"]["resultType"], json!("matrix"), "{range}");
    let (_, values) = operator.call("GET", "/api/v1/label/app/values?match[]=kept", None).await;
    assert_eq!(values["data"], json!(["a", "b"]), "{values}");
    let (_, wrong) = operator.form("/api/v1/query", "query=sum(").await;
    assert_eq!(wrong["errorType"], json!("bad_data"), "{wrong}");
    // A server that takes nothing late refuses a message for one sample of it, and gets the rest.
    let mut encoder = Encoder::new(Version::V1);
    let late = [("__name__", "kept"), ("app", "a")];
    encoder.add(late.into_iter(), &[Sample { at: at - 60_000, value: 1.0 }]);
    for name in ["new_one", "new_other"] {
        encoder.add([("__name__", name)].into_iter(), &[Sample { at, value: 3.0 }]);
    }
    let body = encoder.finish().expect("it is small");
    let (status, text) = operator.send_bytes("/api/v1/write", kind, &body).await;
    assert_eq!(status, 204, "{text}");
    let several = until(async || {
        let query = "query=sum({__name__=~\"new_.*\"})";
        let (_, found) = operator.form("/api/v1/query", query).await;
        (found["data"]["result"][0]["value"][1] == json!("6")).then_some(found)
    });
    let several = several.await;
    assert_eq!(several["atoll"]["seen"], json!(2), "{several}");
    let text = server.caller_with(Level::Viewer).await.text("/metrics").await;
    assert!(text.contains("atoll_remote_up 1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_is_told_and_asked() {
    let arguments = |port: u16, dir: &Path| {
        let config = dir.join("config.yml");
        std::fs::write(&config, "global: {}\n").expect("the directory is ours");
        vec![
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", dir.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--web.enable-remote-write-receiver".to_owned(),
        ]
    };
    is_told_and_asked("/usr/bin/prometheus", arguments).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn victoria_metrics_is_told_and_asked() {
    let arguments = |port: u16, dir: &Path| {
        vec![
            format!("-storageDataPath={}", dir.join("data").display()),
            format!("-httpListenAddr=127.0.0.1:{port}"),
            "-search.latencyOffset=0s".to_owned(),
        ]
    };
    is_told_and_asked("/usr/bin/victoria-metrics", arguments).await;
}
