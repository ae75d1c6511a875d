//! What runs beside a step: real servers in sandboxes of their own. These tests need root, and
//! PostgreSQL.

use std::fs;

use atoll_model::agent::AssignedTask;
use atoll_model::ci::task::TaskPhase;
use serde_json::{Value, json};

use crate::stage::{Stage, started, task, until};

const NAME: &str = "shop.1.unit.0";
/// Reads from the server beside it.
const READ: &str = "/usr/bin/python3 -c 'import os, urllib.request as r; print(r.urlopen(\
    \"http://\" + os.environ[\"WEB_HOST\"] + \":\" + os.environ[\"WEB_PORT_HTTP\"] + \"/page\")\
    .read().decode())'";

/// A step that runs a script with those beside it.
fn with(script: &str, services: Value) -> AssignedTask {
    let command = ["/bin/sh", "-e", "-c", script];
    let limits = json!({ "grace": "1s" });
    task(NAME, json!({ "command": command, "services": services, "limits": limits }))
}

/// A server of the files of its home, of which there is one.
fn web() -> Value {
    let script = "cd $HOME; echo from beside > page; \
                  exec /usr/bin/python3 -u -m http.server -b 127.0.0.1 $PORT_HTTP";
    json!({
        "name": "web", "command": ["/bin/sh", "-c", script], "ports": { "http": 0 },
        "health": { "http": "/page", "every": "100ms" },
    })
}

/// The first process beside the step.
fn pid(stage: &Stage, name: &str) -> i64 {
    let path = stage.task_place(NAME).join("beside").join(name).join("state.json");
    let state: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    state["app"]["pid"].as_i64().unwrap()
}

#[tokio::test]
async fn a_step_begins_once_what_runs_beside_it_is_well_and_ends_it() {
    let stage = Stage::new().await;
    let script = format!("{READ}; while [ ! -e go ]; do sleep 0.05; done");
    stage.assign_tasks(&[with(&script, json!([web()]))]);
    stage.wait_task(NAME, |r| r.phase == TaskPhase::Running).await;
    let pid = pid(&stage, "web");
    assert!(started(pid).is_some());
    fs::write(stage.task_place(NAME).join("work/go"), "").unwrap();
    let report = stage.over(NAME).await;
    let log = stage.blob(report.yields.log.as_ref().unwrap());
    assert_eq!((report.phase, log.trim()), (TaskPhase::Succeeded, "from beside"), "{report:?}");
    assert_eq!(started(pid), None, "it ends with its step");
    stage.end().await;
}

#[tokio::test]
async fn what_runs_beside_a_step_outlives_the_agent_and_not_the_step() {
    let mut stage = Stage::new().await;
    let script = format!("while [ ! -e go ]; do sleep 0.05; done; {READ}");
    stage.assign_tasks(&[with(&script, json!([web()]))]);
    stage.wait_task(NAME, |r| r.phase == TaskPhase::Running).await;
    stage.stop_agent().await;
    let pid = pid(&stage, "web");
    fs::write(stage.task_place(NAME).join("work/go"), "").unwrap();
    until("the step has ended", || stage.task_state(NAME)["phase"] == "stopped").await;
    assert!(started(pid).is_some());
    stage.start_agent();
    let report = stage.over(NAME).await;
    let log = stage.blob(report.yields.log.as_ref().unwrap());
    assert_eq!((report.phase, log.trim()), (TaskPhase::Succeeded, "from beside"));
    assert_eq!(started(pid), None);
    stage.end().await;
}

#[tokio::test]
async fn what_runs_beside_a_step_is_asked_to_end_by_a_later_agent_too() {
    let mut stage = Stage::new().await;
    let polite = "trap 'sleep 0.1; echo bye > $ATOLL_WORKSPACE/bye; exit' TERM; \
                  while :; do sleep 0.05; done";
    let services = json!([{ "name": "polite", "command": ["/bin/sh", "-c", polite] }]);
    let mut step = with("while [ ! -e go ]; do sleep 0.05; done", services);
    step.work.artifacts =
        serde_json::from_value(json!([{ "name": "bye", "paths": ["bye"] }])).unwrap();
    stage.assign_tasks(&[step]);
    stage.wait_task(NAME, |r| r.phase == TaskPhase::Running).await;
    stage.stop_agent().await;
    stage.start_agent();
    fs::write(stage.task_place(NAME).join("work/go"), "").unwrap();
    let report = stage.over(NAME).await;
    let kept = report.yields.artifacts.get("bye").map(|kept| kept.entries);
    assert_eq!((report.phase, kept), (TaskPhase::Succeeded, Some(1)), "{report:?}");
    stage.end().await;
}

#[tokio::test]
async fn a_step_does_not_begin_where_something_beside_it_dies_or_is_never_well() {
    let dies = json!({ "name": "db", "command": ["/bin/sh", "-c", "echo no space; exit 3"],
        "ports": { "sql": 0 }, "health": { "tcp": true } });
    let silent = json!({ "name": "db", "command": ["/bin/sh", "-c", "echo busy; exec sleep 1000"],
        "ports": { "sql": 0 }, "health": { "tcp": true, "startTimeout": "300ms" } });
    for (beside, code, said) in [
        (dies, "service-ended", ["db exited with code 3", "no space"]),
        (silent, "service-not-well", ["not well after 300ms", "busy"]),
    ] {
        let stage = Stage::new().await;
        stage.assign_tasks(&[with("echo begun", json!([beside, web()]))]);
        let report = stage.over(NAME).await;
        assert_eq!((report.phase, report.exit_code), (TaskPhase::Failed, None), "{report:?}");
        let reason = &report.reasons[0];
        assert_eq!(reason.code, code);
        assert!(said.iter().all(|word| reason.message.contains(word)), "{reason}");
        assert_eq!(report.yields.log, None, "the step has not begun");
        stage.end().await;
    }
}

#[tokio::test]
async fn a_step_that_fails_is_told_what_died_beside_it() {
    let stage = Stage::new().await;
    let dies = "while [ ! -e /workspace/die ]; do sleep 0.05; done; echo out of luck; exit 4";
    let dies = json!({ "name": "db", "command": ["/bin/sh", "-c", dies] });
    let script = "touch die; while [ ! -e go ]; do sleep 0.05; done; exit 7";
    stage.assign_tasks(&[with(script, json!([dies]))]);
    let state = stage.task_place(NAME).join("beside/db/state.json");
    let said = || fs::read_to_string(&state).unwrap_or_default();
    until("it has died", || said().contains("\"stopped\"")).await;
    fs::write(stage.task_place(NAME).join("work/go"), "").unwrap();
    let report = stage.over(NAME).await;
    let codes: Vec<&str> = report.reasons.iter().map(|r| r.code.as_str()).collect();
    assert_eq!((report.exit_code, codes), (Some(7), vec!["exited", "service-ended"]));
    assert!(report.reasons[1].message.contains("out of luck"), "{}", report.reasons[1]);
    stage.end().await;
}

#[tokio::test]
async fn a_task_that_is_cancelled_before_all_is_well_begins_nothing() {
    let stage = Stage::new().await;
    let never = json!({ "name": "db", "command": ["/bin/sleep", "1000"], "ports": { "sql": 0 },
        "health": { "tcp": true } });
    let mut task = with("echo begun", json!([never]));
    stage.assign_tasks(std::slice::from_ref(&task));
    let state = stage.task_place(NAME).join("beside/db/state.json");
    until("it runs beside", || state.exists()).await;
    (task.cancel, task.generation) = (true, 2);
    stage.assign_tasks(&[task]);
    let report = stage.over(NAME).await;
    assert_eq!((report.phase, report.exit_code), (TaskPhase::Cancelled, None));
    stage.end().await;
}

#[tokio::test]
async fn a_database_runs_beside_a_step() {
    let stage = Stage::new().await;
    let path = "PATH=$(echo /usr/lib/postgresql/*/bin):$PATH";
    let serve = format!(
        "{path}; initdb -D $HOME/db -U step -A trust --no-sync >/dev/null; \
         exec postgres -D $HOME/db -p $PORT_SQL -k $TMPDIR -c listen_addresses=127.0.0.1"
    );
    let well = format!("{path}; pg_isready -h 127.0.0.1 -p $PORT_SQL");
    let db = json!({
        "name": "db", "command": ["/bin/sh", "-e", "-c", serve], "ports": { "sql": 0 },
        "health": { "command": ["/bin/sh", "-c", well], "every": "200ms" },
    });
    let ask = "psql -h $DB_HOST -p $DB_PORT_SQL -U step postgres -Atc 'select 40 + 2'";
    stage.assign_tasks(&[with(&format!("{path}; {ask}"), json!([db]))]);
    let report = stage.over(NAME).await;
    let log = report.yields.log.as_ref().map(|digest| stage.blob(digest)).unwrap_or_default();
    assert_eq!((report.phase, log.as_str()), (TaskPhase::Succeeded, "42\n"), "{report:?}");
    stage.end().await;
}
