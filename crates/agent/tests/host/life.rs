//! The life of instances: real processes under a real shim, told by a server what to be, and
//! every death of application, shim and agent.

use std::fs;

use atoll_model::deployment::InstancePhase;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::stage::{Stage, instance, script, started, until, web};

fn kill_9(pid: i64) {
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
}

fn alive(pid: i64) -> bool {
    started(pid).is_some()
}

#[tokio::test]
async fn ten_instances_start_at_once() {
    let stage = Stage::new().await;
    let all: Vec<_> = (0..10).map(|i| web(&format!("web.prod.{i}"), "web-1")).collect();
    stage.assign(&all);
    for (instance, _) in &all {
        let report = stage.ready(&instance.name).await;
        assert!(report.pid.is_some() && report.restarts == 0 && report.reasons.is_empty());
        assert_eq!((report.generation, report.release.as_deref()), (1, Some("web-1")));
    }
    stage.end().await;
}

#[tokio::test]
async fn an_agent_comes_back_and_nobody_notices() {
    let mut stage = Stage::new().await;
    stage.assign(&[web("web.prod.0", "web-1"), script("job.prod.0", "job-1", "exec sleep 1000")]);
    let before = (stage.ready("web.prod.0").await, stage.ready("job.prod.0").await);
    stage.stop_agent().await;
    assert!(alive(i64::from(before.0.pid.unwrap())));
    stage.held.reports.send_modify(Vec::clear);
    stage.start_agent();
    until("a full report", || stage.held.reports.borrow().iter().any(|r| r.full)).await;
    assert_eq!(stage.ready("web.prod.0").await, before.0);
    assert_eq!(stage.ready("job.prod.0").await, before.1);
    let reports = stage.held.reports.borrow().clone();
    let mut phases = reports.iter().flat_map(|r| &r.instances).map(|i| i.phase);
    assert!(phases.all(|p| p == InstancePhase::Ready), "{reports:#?}");
    stage.end().await;
}

#[tokio::test]
async fn a_dead_supervisor_is_replaced_under_a_running_application() {
    let stage = Stage::new().await;
    let text = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done";
    stage.assign(&[script("web.prod.0", "web-1", text)]);
    let before = stage.ready("web.prod.0").await;
    let shim = stage.state("web.prod.0")["shim"]["pid"].as_i64().unwrap();
    kill_9(shim);
    let other = || stage.state("web.prod.0")["shim"]["pid"].as_i64().is_some_and(|p| p != shim);
    until("another shim", other).await;
    let lines = stage.log("web.prod.0").lines().count();
    until("the log goes on", || stage.log("web.prod.0").lines().count() > lines + 50).await;
    let numbers: Vec<u32> =
        stage.log("web.prod.0").lines().map(|l| l[5..].parse().unwrap_or(0)).collect();
    let count = numbers.len() as u32;
    assert!(numbers[..numbers.len() - 1].iter().copied().eq(1..count), "no line is lost");
    let after = stage.ready("web.prod.0").await;
    assert_eq!((after.pid, after.restarts), (before.pid, 0));

    // The death of an application that is no child of its shim is noticed as well.
    kill_9(i64::from(before.pid.unwrap()));
    let again = stage.wait("web.prod.0", |r| r.restarts == 1 && r.pid.is_some()).await;
    assert_ne!(again.pid, before.pid);
    stage.end().await;
}

#[tokio::test]
async fn both_dead_means_started_again() {
    let stage = Stage::new().await;
    stage.assign(&[script("web.prod.0", "web-1", "exec sleep 1000")]);
    let before = stage.ready("web.prod.0").await;
    let state = stage.state("web.prod.0");
    kill_9(state["shim"]["pid"].as_i64().unwrap());
    kill_9(state["app"]["pid"].as_i64().unwrap());
    let gone = |r: &atoll_model::agent::InstanceReport| r.pid.is_some() && r.pid != before.pid;
    let after = stage.wait("web.prod.0", gone).await;
    assert_eq!(after.restarts, 1);
    stage.end().await;
}

#[tokio::test]
async fn a_dead_application_is_started_again_at_once() {
    let stage = Stage::new().await;
    stage.assign(&[web("web.prod.0", "web-1")]);
    let before = stage.ready("web.prod.0").await;
    kill_9(i64::from(before.pid.unwrap()));
    let after = stage.wait("web.prod.0", |r| r.restarts == 1).await;
    let ready = stage.ready("web.prod.0").await;
    assert_ne!(ready.pid, before.pid);
    let died = after.reasons.iter().find(|r| r.code == "exited").unwrap();
    assert!(died.message.starts_with("was ended by SIGKILL after"), "{died}");
    let down = ready.started_at.unwrap().since(before.started_at.unwrap());
    assert!(down.0 < 10_000, "started {down} after the first start");
    stage.end().await;
}

#[tokio::test]
async fn a_stop_ends_everything_that_ignores_it() {
    let stage = Stage::new().await;
    let text = "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & \
                setsid sh -c \"trap '' TERM; while :; do sleep 1; done\" & \
                echo started; while :; do sleep 1; done";
    let run = json!({ "command": ["sh", "-c", text], "stop": { "grace": "300ms" } });
    let mut stubborn = instance("web.prod.0", "web-1", run);
    stage.assign(&[stubborn.clone()]);
    stage.ready("web.prod.0").await;
    let own = |p: &i64| {
        let data = format!("ATOLL_DATA_DIR={}", stage.place("web.prod.0").join("data").display());
        let environment = fs::read(format!("/proc/{p}/environ")).unwrap_or_default();
        environment.split(|b| *b == 0).any(|e| e == data.as_bytes())
    };
    let pids = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let all = all.filter_map(|e| e.file_name().to_str()?.parse::<i64>().ok());
        all.filter(|p| own(p) && alive(*p)).collect::<Vec<i64>>()
    };
    until("all three run", || pids().len() >= 3).await;
    stubborn.0.stop = true;
    stubborn.0.generation = 2;
    stage.assign(&[stubborn]);
    let report = stage.wait("web.prod.0", |r| r.phase == InstancePhase::Stopped).await;
    assert_eq!((report.generation, report.pid), (2, None));
    assert_eq!(pids(), Vec::<i64>::new());
    assert!(stage.place("web.prod.0").exists(), "it is forgotten only when no longer listed");
    stage.end().await;
}

#[tokio::test]
async fn a_stop_is_graceful() {
    let stage = Stage::new().await;
    let text = "trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done";
    let mut polite = script("web.prod.0", "web-1", text);
    stage.assign(&[polite.clone()]);
    stage.ready("web.prod.0").await;
    polite.0.stop = true;
    stage.assign(&[polite]);
    stage.wait("web.prod.0", |r| r.phase == InstancePhase::Stopped).await;
    assert!(stage.log("web.prod.0").ends_with("bye\n"));
    stage.end().await;
}

#[tokio::test]
async fn a_crash_loop_is_told_with_its_last_words() {
    let stage = Stage::new().await;
    let run = json!({
        "command": ["sh", "-c", "echo no database at db:5432 >&2; exit 7"],
        "restart": { "backoff": "10ms..50ms" },
    });
    stage.assign(&[instance("web.prod.0", "web-1", run)]);
    let report = stage.wait("web.prod.0", |r| r.phase == InstancePhase::CrashLoop).await;
    let reason = &report.reasons[0];
    assert_eq!(reason.code, "crash-loop");
    assert!(reason.message.contains("exited with code 7 after 0."), "{reason}");
    assert!(reason.message.ends_with("\"no database at db:5432\""), "{reason}");
    stage.wait("web.prod.0", |r| r.restarts >= 4).await;

    // A release that works ends it.
    stage.assign(&[script("web.prod.0", "web-2", "exec sleep 1000")]);
    let report = stage.ready("web.prod.0").await;
    assert_eq!((report.release.as_deref(), report.restarts), (Some("web-2"), 0));
    stage.end().await;
}

#[tokio::test]
async fn programs_that_are_not_there_are_named() {
    let stage = Stage::new().await;
    stage.assign(&[
        instance("a.prod.0", "a-1", json!({ "command": ["no-such-thing"] })),
        instance("b.prod.0", "b-1", json!({ "command": ["./missing"] })),
    ]);
    for (name, word) in [("a.prod.0", "nowhere in"), ("b.prod.0", "no such file")] {
        let report = stage.wait(name, |r| r.phase == InstancePhase::CrashLoop).await;
        let reason = report.reasons.iter().find(|r| r.code == "no-such-program").unwrap();
        assert!(reason.message.contains(word), "{reason}");
    }
    stage.end().await;
}

#[tokio::test]
async fn a_taken_port_is_told_until_it_is_free() {
    let stage = Stage::new().await;
    let taken = web("web.prod.0", "web-1");
    let port = taken.0.ports["http"];
    let squatter = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    stage.assign(&[taken]);
    let report = stage.wait("web.prod.0", |r| !r.reasons.is_empty()).await;
    assert_eq!(report.reasons[0].code, "port-taken");
    assert_eq!(report.reasons[0].message, format!("port {port} is taken by another process"));
    assert_eq!(report.pid, None);
    drop(squatter);
    assert!(stage.ready("web.prod.0").await.reasons.is_empty());
    stage.end().await;
}

#[tokio::test]
async fn a_memory_limit_is_a_limit() {
    let stage = Stage::new().await;
    until("facts", || stage.held.reports.borrow().iter().any(|r| r.facts.is_some())).await;
    let reports = stage.held.reports.borrow().clone();
    let facts = reports.iter().find_map(|r| r.facts.clone()).unwrap();
    if facts.agent.isolation.contains(&"no-cgroup".to_owned()) {
        eprintln!("not run: there is no cgroup that may be written");
        return stage.end().await;
    }
    let run = json!({
        "command": ["python3", "-c", "x = bytearray(200 << 20); print('fine')"],
        "resources": { "memory": "32Mi" },
        "restart": { "backoff": "10ms..50ms" },
    });
    stage.assign(&[instance("web.prod.0", "web-1", run)]);
    let starved = |r: &atoll_model::Reason| r.code == "out-of-memory";
    stage.wait("web.prod.0", |r| r.reasons.iter().any(starved)).await;
    assert_eq!(stage.log("web.prod.0"), "");
    stage.end().await;
}

#[tokio::test]
async fn the_log_stays_within_its_bounds() {
    let stage = Stage::new().await;
    let run = json!({
        "command": ["sh", "-c", "seq 1 200000; echo done >&2; exec sleep 1000"],
        "logs": { "size": "64Ki", "files": 3 },
    });
    stage.assign(&[instance("web.prod.0", "web-1", run)]);
    until("it has written all", || stage.log("web.prod.0").ends_with("200000\ndone\n")).await;
    let files = fs::read_dir(stage.place("web.prod.0").join("log")).unwrap().flatten();
    let sizes: Vec<u64> = files.map(|f| f.metadata().unwrap().len()).collect();
    assert!(sizes.iter().sum::<u64>() <= 3 << 16 && sizes.len() == 6, "{sizes:?}");
    stage.end().await;
}

#[tokio::test]
async fn an_instance_is_kept_apart_and_told_who_it_is() {
    let stage = Stage::new().await;
    let run = json!({
        "command": ["sh", "-c", "env | sort; id -u; pwd; ulimit -n; ulimit -c; \
            grep NoNewPrivs /proc/self/status; touch $HOME/kept && echo writable; \
            touch here 2>/dev/null || echo closed; exec sleep 1000"],
        "env": { "GREETING": "hello {{instance.name}} in {{host.zone}}" },
        "ports": { "http-alt": 0 },
    });
    let mut web = instance("web.prod.0", "web-1", run);
    web.1.config.insert("REGION".to_owned(), "eu".to_owned());
    let port = web.0.ports["http-alt"];
    stage.assign(&[web]);
    stage.ready("web.prod.0").await;
    let log = stage.log("web.prod.0");
    let place = stage.place("web.prod.0");
    // Without the right to raise it, there is no more than the bound that is.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    for line in [
        "ATOLL_APPLICATION=web".to_owned(),
        "ATOLL_ENVIRONMENT=prod".to_owned(),
        "ATOLL_HOST=h1".to_owned(),
        "ATOLL_INSTANCE=web.prod.0".to_owned(),
        "ATOLL_RELEASE=web-1".to_owned(),
        format!("ATOLL_DATA_DIR={}", place.join("data").display()),
        format!("HOME={}", place.join("data").display()),
        "GREETING=hello web.prod.0 in z1".to_owned(),
        "REGION=eu".to_owned(),
        format!("PORT_HTTP_ALT={port}"),
        place.join("release").display().to_string(),
        "0".to_owned(),
        hard.min(65_536).to_string(),
        "NoNewPrivs:\t1".to_owned(),
        "writable".to_owned(),
    ] {
        assert!(log.lines().any(|l| l == line), "{line} is not in\n{log}");
    }
    assert!(!log.contains("CARGO"), "nothing of the agent's environment\n{log}");
    if nix::unistd::geteuid().is_root() {
        let user: u32 = log.lines().find_map(|l| l.parse().ok().filter(|u| *u > 1000)).unwrap();
        assert!((20_000..60_000).contains(&user), "{user}");
        assert!(log.contains("closed\n"), "its program's files are not its own\n{log}");
    }
    stage.end().await;
}
