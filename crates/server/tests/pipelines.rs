//! Pipelines on a real server, with an agent that is played by the test: it takes assignments and
//! reports, and runs nothing. How steps follow each other is tested in the planners' cases.

mod support;

use std::collections::BTreeMap;

use atoll_model::Level;
use serde_json::{Value, json};
use support::{Caller, TestServer, serve, until};

/// A host whose agent the test plays.
struct Host {
    agent: Caller,
    acted: u64,
    seen: Vec<Value>,
}

impl Host {
    async fn join(server: &TestServer, name: &str) -> Host {
        let facts = json!({
            "capacity": { "cpu": "8", "memory": "64Gi", "instances": 0 },
            "address": "127.0.0.1", "agent": {},
        });
        let ask = json!({ "name": name, "labels": { "zone": "a" }, "facts": facts });
        let join = server.caller_with(Level::Join).await;
        let (status, joined) = join.call("POST", "/v1/agents/join", Some(&ask)).await;
        assert_eq!(status, 200, "{joined}");
        let agent = server.caller(joined["token"].as_str().map(str::to_owned));
        Host { agent, acted: 0, seen: Vec::new() }
    }

    /// Takes what is assigned once, and ends each task as `how` says.
    async fn turn(&mut self, how: &impl Fn(&Value) -> Value) {
        let path = format!("/v1/agents/h1/assignment?after={}&wait=100ms", self.acted);
        let (status, assigned) = self.agent.call("GET", &path, None).await;
        if status != 200 {
            return;
        }
        self.acted = assigned["revision"].as_u64().unwrap_or(0);
        let mut tasks = Vec::new();
        for task in assigned["tasks"].as_array().into_iter().flatten() {
            let mut said = json!({ "name": task["name"], "generation": task["generation"] });
            let end = match task["cancel"] == json!(true) {
                true => json!({ "phase": "cancelled" }),
                false => how(task),
            };
            for (key, value) in end.as_object().into_iter().flatten() {
                said[key] = value.clone();
            }
            self.seen.push(task.clone());
            tasks.push(said);
        }
        let report = json!({ "tasks": tasks });
        let (status, _) = self.agent.call("POST", "/v1/agents/h1/report", Some(&report)).await;
        assert_eq!(status, 204);
    }

    /// Works until a run is over; returns it.
    async fn finish(&mut self, admin: &Caller, run: &str, how: impl Fn(&Value) -> Value) -> Value {
        let path = format!("/v1/runs/{run}");
        until(async || {
            self.turn(&how).await;
            let (_, run) = admin.call("GET", &path, None).await;
            (!run["status"]["endedAt"].is_null()).then_some(run)
        })
        .await
    }

    fn names(&self) -> Vec<&str> {
        self.seen.iter().filter_map(|task| task["name"].as_str()).collect()
    }
}

fn well(_: &Value) -> Value {
    json!({ "phase": "succeeded", "exitCode": 0 })
}

async fn begin(admin: &Caller, pipeline: &str, ask: &Value) -> String {
    let path = format!("/v1/pipelines/{pipeline}/runs");
    let (status, begun) = admin.call("POST", &path, Some(ask)).await;
    assert_eq!(status, 200, "{begun}");
    begun["run"].as_str().expect("a name").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_step_to_step_to_its_end() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let mut host = Host::join(&server, "h1").await;
    let status = admin.call_text("PUT", "/v1/secrets/token/value", "hunter2").await;
    assert_eq!(status, 204);
    let definition = json!({
        "params": { "level": { "type": "number", "default": 3 } },
        "steps": [
            { "name": "build", "run": "make {{params.level}}", "secrets": { "TOKEN": "token" } },
            { "name": "unit", "needs": ["build"], "run": "test {{matrix.os}}",
              "matrix": { "axes": { "os": ["old", "new"] } } },
            { "name": "ship", "needs": ["unit"], "when": "branch == 'main'", "run": "ship" },
            { "name": "tell", "needs": ["ship"], "run": "tell" },
        ],
    });
    let source = "0".repeat(64);
    let ask = json!({ "definition": definition, "source": source, "key": "once" });
    let run = begin(&admin, "shop", &ask).await;
    assert_eq!(run, "shop.1");
    assert_eq!(begin(&admin, "shop", &ask).await, run, "the same key begins one run");
    let done = host.finish(&admin, &run, well).await;
    assert_eq!(done["status"]["phase"], json!("succeeded"), "{done}");
    let names = ["shop.1.build.0", "shop.1.unit.0", "shop.1.unit.1", "shop.1.tell.0"];
    assert_eq!(host.names(), names);
    let first = &host.seen[0];
    assert_eq!(first["work"]["command"], json!(["/bin/sh", "-e", "-c", "make 3"]));
    assert_eq!(first["work"]["source"], json!(source));
    assert_eq!(first["secrets"], json!({ "TOKEN": "hunter2" }));
    // The value is nowhere but in the assignment of its host.
    for path in ["/v1/secrets/token", "/v1/tasks/shop.1.build.0", "/v1/audit", "/v1/runs/shop.1"] {
        assert!(!admin.text(path).await.contains("hunter2"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_fails_the_run_and_is_told() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let mut host = Host::join(&server, "h1").await;
    let cases = json!({ "cases": [{
        "suite": "unit", "group": "shop", "name": "adds", "outcome": "failed", "millis": 3,
        "message": "1 is not 2",
    }] });
    let text = cases.to_string();
    let digest = blake3::hash(text.as_bytes()).to_hex().to_string();
    let path = format!("/v1/blobs/{digest}");
    assert_eq!(admin.call_text("PUT", &path, &text).await, 204);
    let definition = json!({ "steps": [
        { "name": "unit", "run": "test" },
        { "name": "ship", "needs": ["unit"], "run": "ship" },
        { "name": "clean", "needs": ["ship"], "always": true, "run": "clean" },
    ] });
    let ask = json!({ "definition": definition });
    let run = begin(&admin, "shop", &ask).await;
    let done = host
        .finish(&admin, &run, |task| match task["name"].as_str() {
            Some("shop.1.unit.0") => json!({
                "phase": "failed", "exitCode": 1, "yields": {
                    "log": digest, "cases": digest,
                    "tests": { "unit": { "passed": 0, "failed": 1, "skipped": 0, "millis": 3 } },
                },
            }),
            _ => well(task),
        })
        .await;
    assert_eq!(done["status"]["phase"], json!("failed"), "{done}");
    assert_eq!(host.names(), ["shop.1.unit.0", "shop.1.clean.0"]);
    let message = done["status"]["reasons"][0]["message"].as_str().unwrap_or_default();
    assert_eq!(message, "step unit failed with exit code 1");
    assert_eq!(done["status"]["tests"]["unit"]["failed"], json!(1));
    assert_eq!(admin.text("/v1/tasks/shop.1.unit.0/log").await, text);
    let (_, tests) = admin.call("GET", "/v1/runs/shop.1/tests", None).await;
    assert_eq!(tests["tests"][0]["message"], json!("1 is not 2"), "{tests}");
    let (_, tests) = admin.call("GET", "/v1/pipelines/shop/tests", None).await;
    assert_eq!(tests["tests"][0]["lastFailed"], json!("shop.1"), "{tests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_ended_when_it_is_asked() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let mut host = Host::join(&server, "h1").await;
    let definition = json!({ "steps": [
        { "name": "long", "run": "sleep 1000" },
        { "name": "more", "needs": ["long"], "run": "more" },
    ] });
    let run = begin(&admin, "shop", &json!({ "definition": definition })).await;
    until(async || {
        host.turn(&|_| json!({ "phase": "running" })).await;
        (!host.seen.is_empty()).then_some(())
    })
    .await;
    let (status, why) = admin.call("GET", "/v1/why/runs/shop.1", None).await;
    assert_eq!(status, 200);
    assert!(why["waitingFor"].to_string().contains("shop.1.long.0, running on h1"), "{why}");
    let patch = json!({ "spec": { "cancelled": true } });
    let (status, _) = admin.call("PATCH", "/v1/runs/shop.1", Some(&patch)).await;
    assert_eq!(status, 200);
    let done = host.finish(&admin, &run, |_| json!({ "phase": "running" })).await;
    assert_eq!(done["status"]["phase"], json!("cancelled"), "{done}");
    let other = json!({ "spec": { "branch": "x" } });
    assert_eq!(admin.call("PATCH", "/v1/runs/shop.1", Some(&other)).await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artefact_is_given_as_an_archive() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let mut host = Host::join(&server, "h1").await;
    let piece = "content\n";
    let name = blake3::hash(piece.as_bytes()).to_hex().to_string();
    let long = format!("{}/file", "d".repeat(120));
    let dir = "d".repeat(120);
    let index = json!({ "entries": [
        { "path": dir, "type": "directory" },
        { "path": long, "type": "file", "executable": true, "size": piece.len(),
          "chunks": [{ "digest": name, "size": piece.len() }] },
    ] })
    .to_string();
    let digest = blake3::hash(index.as_bytes()).to_hex().to_string();
    for (name, content) in [(&name, piece), (&digest, index.as_str())] {
        assert_eq!(admin.call_text("PUT", &format!("/v1/blobs/{name}"), content).await, 204);
    }
    let definition = json!({ "steps": [
        { "name": "build", "run": "make", "artifacts": [{ "name": "out", "paths": ["out"] }] },
        { "name": "use", "needs": ["build"], "inputs": ["out"], "run": "use" },
    ] });
    let run = begin(&admin, "shop", &json!({ "definition": definition })).await;
    let kept = json!({ "digest": digest, "size": piece.len(), "entries": 2 });
    let done = host
        .finish(
            &admin,
            &run,
            |_| json!({ "phase": "succeeded", "yields": { "artifacts": { "out": kept } } }),
        )
        .await;
    assert_eq!(done["status"]["phase"], json!("succeeded"), "{done}");
    assert_eq!(host.seen[1]["work"]["inputs"], json!({ "out": digest }));
    let path = "/v1/tasks/shop.1.build.0/artifacts/out";
    let archive = admin.text(path).await;
    let mut read = tar::Archive::new(archive.as_bytes());
    let mut found = BTreeMap::new();
    for entry in read.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).expect("text");
        found.insert(path.trim_end_matches('/').to_owned(), text);
    }
    assert_eq!(found, [(dir, String::new()), (long, piece.to_owned())].into());
    assert_eq!(admin.call("GET", "/v1/tasks/shop.1.build.0/artifacts/x", None).await.0, 404);
}
