//! An agent's duty to its server: releases and packages, probes, and what it does when the server
//! is away, forgetful or wrong.

use std::fs;
use std::sync::atomic::Ordering;

use atoll_model::agent::{Assignment, InstanceReport};
use atoll_model::deployment::InstancePhase;
use serde_json::json;

use crate::stage::{Stage, instance, script, started, until, web};

fn code<'a>(report: &'a InstanceReport, code: &str) -> Option<&'a str> {
    report.reasons.iter().find(|r| r.code == code).map(|r| r.message.as_str())
}

#[tokio::test]
async fn an_update_keeps_ports_and_data_and_the_old_runs_until_the_new_is_here() {
    let stage = Stage::new().await;
    let serve = "#!/bin/sh\necho $1 >> $ATOLL_DATA_DIR/seen\n\
                 exec python3 -u -m http.server $PORT_HTTP\n";
    let run = |word: &str| json!({ "command": ["./serve", word], "ports": { "http": 0 }, "health": { "tcp": true } });
    let mut old = instance("web.prod.0", "web-1", run("one"));
    old.1.package = Some(stage.held.package(&[("serve", serve), ("version", "1")]));
    stage.assign(&[old.clone()]);
    let before = stage.ready("web.prod.0").await;

    let mut new = instance("web.prod.0", "web-2", run("two"));
    let package = stage.held.package(&[("serve", serve), ("version", "2")]);
    new.1.package = Some(package.clone());
    new.0.ports = old.0.ports.clone();
    new.0.generation = 2;
    let index = stage.held.blobs.lock().unwrap().remove(&package.digest).unwrap();
    stage.assign(&[new]);
    let waiting = stage.wait("web.prod.0", |r| code(r, "package-missing").is_some()).await;
    assert_eq!(waiting.phase, InstancePhase::Ready, "the old one serves on");
    assert_eq!((waiting.pid, waiting.release.as_deref()), (before.pid, Some("web-1")));
    assert_eq!(waiting.generation, 1);

    stage.held.blobs.lock().unwrap().insert(package.digest, index);
    let updated = |r: &InstanceReport| r.generation == 2 && r.phase == InstancePhase::Ready;
    let after = stage.wait("web.prod.0", updated).await;
    assert_eq!(after.release.as_deref(), Some("web-2"));
    assert_eq!(code(&after, "package-missing"), None);
    assert_ne!(after.pid, before.pid);
    let place = stage.place("web.prod.0");
    assert_eq!(fs::read_to_string(place.join("data/seen")).unwrap(), "one\ntwo\n");
    assert_eq!(fs::read_to_string(place.join("release/version")).unwrap(), "2");
    let fetched = stage.held.fetched.lock().unwrap().clone();
    let serve = blake3::hash(serve.as_bytes()).to_hex().to_string();
    let times = fetched.iter().filter(|d| **d == serve).count();
    assert_eq!(times, 1, "what the old package holds is not fetched again");
    stage.end().await;
}

#[tokio::test]
async fn a_missing_package_is_told() {
    let stage = Stage::new().await;
    let mut web = instance("web.prod.0", "web-1", json!({ "command": ["./serve"] }));
    let package = stage.held.package(&[("serve", "#!/bin/sh\nexec sleep 1000\n")]);
    let blobs = std::mem::take(&mut *stage.held.blobs.lock().unwrap());
    web.1.package = Some(package);
    stage.assign(&[web]);
    let report = stage.wait("web.prod.0", |r| code(r, "package-missing").is_some()).await;
    assert_eq!(report.phase, InstancePhase::CrashLoop);
    *stage.held.blobs.lock().unwrap() = blobs;
    assert!(stage.ready("web.prod.0").await.reasons.is_empty());
    stage.end().await;
}

#[tokio::test]
async fn a_rotten_package_is_fetched_again() {
    let stage = Stage::new().await;
    let package = stage.held.package(&[("serve", "#!/bin/sh\nexec sleep 1000\n")]);
    let cache = stage.dir.path().join("agent/packages").join(&package.digest);
    let with = |name: &str| {
        let mut web = instance(name, "web-1", json!({ "command": ["./serve"] }));
        web.1.package = Some(package.clone());
        web
    };
    let mut ahead = script("job.prod.0", "job-1", "exec sleep 1000");
    ahead.0.prefetch = Some("web-1".to_owned());
    stage.held.assignment.send_modify(|a| {
        a.releases.insert("web-1".to_owned(), with("x").1);
    });
    stage.assign(&[ahead.clone()]);
    stage.wait("job.prod.0", |r| r.prefetched.as_deref() == Some("web-1")).await;
    assert!(cache.join("tree/serve").exists());
    fs::write(cache.join("tree/serve"), "#!/bin/sh\nexec sleep 9999\n").unwrap();
    stage.assign(&[ahead, with("web.prod.0")]);
    stage.ready("web.prod.0").await;
    let text = fs::read_to_string(stage.place("web.prod.0").join("release/serve")).unwrap();
    assert_eq!(text, "#!/bin/sh\nexec sleep 1000\n");
    stage.end().await;
}

#[tokio::test]
async fn bad_answers_make_it_unready_and_good_ones_ready_again() {
    let stage = Stage::new().await;
    let text = "
import http.server, os, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        bad = os.path.exists(os.environ['HOME'] + '/bad')
        self.send_response(500 if bad else 200)
        self.end_headers()
http.server.HTTPServer(('', int(sys.argv[1])), H).serve_forever()
";
    let run = json!({
        "command": ["python3", "-c", text, "{{ports.http}}"],
        "ports": { "http": 0 },
        "health": { "http": "/healthz", "every": "100ms", "unhealthyAfter": 2 },
    });
    let web = instance("web.prod.0", "web-1", run);
    let port = web.0.ports["http"];
    stage.assign(&[web]);
    let before = stage.ready("web.prod.0").await;
    let bad = stage.place("web.prod.0").join("data/bad");
    fs::write(&bad, "").unwrap();
    let report = stage.wait("web.prod.0", |r| r.phase == InstancePhase::Unready).await;
    let told = format!("GET /healthz on port {port} answered 500");
    assert_eq!(code(&report, "probe-failed"), Some(told.as_str()));
    fs::remove_file(bad).unwrap();
    let after = stage.ready("web.prod.0").await;
    assert_eq!((after.pid, after.restarts, after.reasons), (before.pid, 0, vec![]));
    stage.end().await;
}

#[tokio::test]
async fn only_a_restart_helps_where_the_second_question_fails() {
    let stage = Stage::new().await;
    let run = json!({
        "command": ["sh", "-c", "rm -f $HOME/hung; touch $HOME/begun; exec sleep 1000"],
        "health": {
            "command": ["test", "-e", "{{dirs.data}}/begun"], "every": "100ms",
            "live": { "command": ["sh", "-c", "! test -e $HOME/hung"], "unhealthyAfter": 2 },
        },
    });
    stage.assign(&[instance("web.prod.0", "web-1", run)]);
    let before = stage.ready("web.prod.0").await;
    fs::write(stage.place("web.prod.0").join("data/hung"), "").unwrap();
    let restarted = |r: &InstanceReport| r.restarts == 1 && r.phase == InstancePhase::Ready;
    let after = stage.wait("web.prod.0", restarted).await;
    assert_ne!(after.pid, before.pid);
    let why = code(&after, "exited").unwrap();
    assert!(why.contains("stopped because probe"), "{why}");
    stage.end().await;
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_told() {
    let stage = Stage::new().await;
    let run = json!({
        "command": ["sleep", "1000"],
        "ports": { "http": 0 },
        "health": { "tcp": true, "every": "100ms", "startTimeout": "300ms" },
    });
    stage.assign(&[instance("web.prod.0", "web-1", run)]);
    let report = stage.wait("web.prod.0", |r| r.phase == InstancePhase::CrashLoop).await;
    let told = code(&report, "start-timeout").unwrap();
    assert!(told.starts_with("was not ready within 300ms of its start"), "{told}");
    assert!(told.contains("nothing listens there"), "{told}");
    assert!(report.pid.is_some(), "it may still come");
    stage.end().await;
}

#[tokio::test]
async fn an_older_assignment_stops_nothing() {
    let mut stage = Stage::new().await;
    stage.assign(&[web("web.prod.0", "web-1")]);
    let before = stage.ready("web.prod.0").await;
    let good = stage.held.assignment.borrow().clone();
    stage.held.assignment.send_replace(Assignment::default());
    // The agent has asked again once it has been answered with the old one.
    stage.stop_agent().await;
    stage.start_agent();
    let agent = stage.dir.path().join("agent/agent.json");
    stage.held.reports.send_modify(Vec::clear);
    until("it reports", || !stage.held.reports.borrow().is_empty()).await;
    assert_eq!(stage.ready("web.prod.0").await.pid, before.pid);
    let memory: serde_json::Value = serde_json::from_slice(&fs::read(agent).unwrap()).unwrap();
    assert_eq!(memory["revision"], good.revision);
    stage.held.assignment.send_replace(good);
    stage.end().await;
}

#[tokio::test]
async fn a_server_that_is_away_changes_nothing() {
    let mut stage = Stage::new().await;
    stage.assign(&[web("web.prod.0", "web-1")]);
    let before = stage.ready("web.prod.0").await;
    stage.held.away.send_replace(true);
    stage.stop_agent().await;
    stage.start_agent();
    let pid = i64::from(before.pid.unwrap());
    let shim = stage.state("web.prod.0")["shim"]["pid"].as_i64().unwrap();
    // Even without a server the agent keeps what it knows of.
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(shim as i32),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    let other = || stage.state("web.prod.0")["shim"]["pid"].as_i64().is_some_and(|p| p != shim);
    until("another shim", other).await;
    assert!(started(pid).is_some());
    stage.held.reports.send_modify(Vec::clear);
    stage.held.away.send_replace(false);
    until("a full report", || stage.held.reports.borrow().iter().any(|r| r.full)).await;
    let after = stage.ready("web.prod.0").await;
    assert_eq!((after.pid, after.restarts), (before.pid, 0));
    stage.end().await;
}

#[tokio::test]
async fn a_new_instance_of_an_old_name_starts_afresh() {
    let stage = Stage::new().await;
    let mut one = script("web.prod.0", "web-1", "echo x >> $HOME/seen; exec sleep 1000");
    stage.assign(&[one.clone()]);
    let before = stage.ready("web.prod.0").await;
    one.0.created_at = atoll_model::Timestamp(2);
    stage.assign(&[one]);
    let other = |r: &InstanceReport| r.phase == InstancePhase::Ready && r.pid != before.pid;
    stage.wait("web.prod.0", other).await;
    let seen = stage.place("web.prod.0").join("data/seen");
    assert_eq!(fs::read_to_string(seen).unwrap(), "x\n");
    stage.end().await;
}

#[tokio::test]
async fn a_stop_of_what_is_unknown_is_answered() {
    let stage = Stage::new().await;
    let mut ghost = web("web.prod.0", "web-1");
    ghost.0.stop = true;
    stage.assign(&[ghost]);
    stage.wait("web.prod.0", |r| r.phase == InstancePhase::Stopped).await;
    stage.end().await;
}

#[tokio::test]
async fn the_cache_is_bounded_and_spares_what_is_needed() {
    let mut stage = Stage::new().await;
    stage.stop_agent().await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let options = atoll_agent::Options { cache_bytes: 50_000, ..stage.options() };
    let agent = tokio::spawn(atoll_agent::run(options, async move { drop(receiver.await) }));
    let count = std::sync::atomic::AtomicUsize::new(0);
    let with = |filler: &str| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let release = format!("web-{number}");
        let run = json!({ "command": ["./serve"] });
        let mut web = instance("web.prod.0", &release, run);
        let serve = "#!/bin/sh\nexec sleep 1000\n";
        web.1.package = Some(stage.held.package(&[("filler", filler), ("serve", serve)]));
        web
    };
    let mut digests = Vec::new();
    for filler in ["a", "b", "c"] {
        let web = with(&filler.repeat(30_000));
        let (release, digest) = (web.0.release.clone(), web.1.package.clone().unwrap().digest);
        stage.held.assignment.send_modify(|a| a.releases.clear());
        stage.assign(&[web]);
        let running = |r: &InstanceReport| {
            r.phase == InstancePhase::Ready && r.release.as_ref() == Some(&release)
        };
        stage.wait("web.prod.0", running).await;
        digests.push(digest);
    }
    let cache = stage.dir.path().join("agent/packages");
    assert!(cache.join(&digests[2]).exists());
    assert!(!cache.join(&digests[0]).exists(), "the longest unused one has gone");
    sender.send(()).unwrap();
    agent.await.unwrap().unwrap();
    stage.start_agent();
    stage.end().await;
}
