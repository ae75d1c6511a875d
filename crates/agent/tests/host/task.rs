//! Work that is done once: real processes in real sandboxes, and the death of agent, shim and
//! server at each state of a task. These tests need root, as sandboxes do.

use std::fs;

use atoll_model::agent::{Ask, AssignedTask, LogFilter};
use atoll_model::ci::run::Content;
use atoll_model::ci::task::TaskPhase;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::sessions::all;
use crate::stage::{Stage, started, step, task, until};

const NAME: &str = "shop.1.unit.0";

/// Runs a script to its end, and gives its exit code, its log and the code of its first reason.
async fn run(stage: &Stage, script: &str) -> (TaskPhase, Option<i32>, String, String) {
    end_of(stage, step(NAME, script)).await
}

async fn end_of(stage: &Stage, task: AssignedTask) -> (TaskPhase, Option<i32>, String, String) {
    stage.assign_tasks(&[task]);
    let report = stage.over(NAME).await;
    let log = report.yields.log.as_ref().map(|digest| stage.blob(digest)).unwrap_or_default();
    let code = report.reasons.first().map(|r| r.code.clone()).unwrap_or_default();
    (report.phase, report.exit_code, log, code)
}

fn limited(script: &str, limits: serde_json::Value) -> AssignedTask {
    task(NAME, json!({ "command": ["/bin/sh", "-c", script], "limits": limits }))
}

#[tokio::test]
async fn a_task_is_done_once_and_its_end_is_told() {
    let stage = Stage::new().await;
    let (phase, code, log, reason) = run(&stage, "echo hello; pwd; exit 3").await;
    assert_eq!((phase, code, reason.as_str()), (TaskPhase::Failed, Some(3), "exited"));
    assert_eq!(log, "hello\n/workspace\n");
    assert!(!stage.task_place(NAME).join("work").exists(), "what is kept is not kept twice");
    stage.end().await;
}

#[tokio::test]
async fn a_workspace_holds_source_and_artefacts() {
    let stage = Stage::new().await;
    let source = stage.held.package(&[("build.sh", "#!/bin/sh\necho built > out\n")]).digest;
    let input = stage.held.package(&[("data.txt", "from before\n")]).digest;
    let work = json!({
        "command": ["/bin/sh", "-e", "-c", "./build.sh; cat out data.txt; touch $HOME/x $TMPDIR/y"],
        "source": source, "inputs": { "data": input }, "env": { "GREETING": "hi" },
    });
    let (phase, code, log, _) = end_of(&stage, task(NAME, work)).await;
    assert_eq!((phase, code), (TaskPhase::Succeeded, Some(0)), "{log}");
    assert_eq!(log, "built\nfrom before\n");
    stage.end().await;
}

#[tokio::test]
async fn a_step_sees_nothing_of_the_agent_and_writes_only_its_own() {
    let stage = Stage::new().await;
    let agent = stage.dir.path().join("agent");
    until("the agent has its directory", || agent.join("agent.json").exists()).await;
    fs::write(agent.join("secret"), "key").unwrap();
    let script = format!(
        "cat {0}/secret {0}/agent.json {0}/tasks/*/task.json || echo unseen\n\
         ls {0} || echo nothing\n\
         for d in /usr /etc / /bin; do touch $d/x 2>/dev/null && echo wrote $d; done\n\
         ls /proc | grep -c '^[0-9]'; id -u | grep -vx 0 >/dev/null && echo not root\n\
         grep NoNewPrivs /proc/self/status; hostname; getent passwd $(id -u) | cut -d: -f1",
        agent.display()
    );
    let (_, code, log, _) = run(&stage, &format!("set +e; exec 2>/dev/null\n{script}")).await;
    assert_eq!(code, Some(0), "{log}");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[..2], ["unseen", "nothing"], "{log}");
    assert!(lines[2].parse::<u32>().unwrap() < 8, "it sees others' processes: {log}");
    assert_eq!(lines[3..], ["not root", "NoNewPrivs:\t1", "shop-1-unit-0", "step"], "{log}");
    stage.end().await;
}

#[tokio::test]
async fn a_step_that_forks_for_ever_is_bounded_and_ends() {
    let stage = Stage::new().await;
    let script = "f() { f & f & wait; }; (f) & exec sleep 1000";
    let limits = json!({ "processes": 50, "timeout": "2s", "grace": "1s" });
    let (phase, _, log, reason) = end_of(&stage, limited(script, limits)).await;
    assert_eq!((phase, reason.as_str()), (TaskPhase::TimedOut, "time-limit"), "{log}");
    stage.end().await;
}

#[tokio::test]
async fn a_step_that_fails_for_want_of_processes_is_told_so() {
    let stage = Stage::new().await;
    let script = "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i + 1)); done";
    let limits = json!({ "processes": 50 });
    let (phase, code, log, reason) = end_of(&stage, limited(script, limits)).await;
    assert_eq!((phase, reason.as_str()), (TaskPhase::OverLimit, "process-limit"), "{log}");
    assert_eq!(code, Some(2), "{log}");
    stage.end().await;
}

#[tokio::test]
async fn a_step_that_ignores_being_asked_is_killed() {
    let stage = Stage::new().await;
    let script = "trap '' TERM; (trap '' TERM; sleep 1000) & while :; do sleep 1; done";
    let limits = json!({ "timeout": "1s", "grace": "500ms" });
    let (phase, code, _, reason) = end_of(&stage, limited(script, limits)).await;
    assert_eq!((phase, reason.as_str()), (TaskPhase::TimedOut, "time-limit"));
    assert_eq!(code, Some(137));
    stage.end().await;
}

#[tokio::test]
async fn a_step_that_fills_the_disk_is_killed() {
    let stage = Stage::new().await;
    let script = "trap '' TERM; head -c 64M /dev/zero > fill; sleep 1000";
    let (phase, _, _, reason) = end_of(&stage, limited(script, json!({ "disk": "16Mi" }))).await;
    assert_eq!((phase, reason.as_str()), (TaskPhase::OverLimit, "disk-limit"));
    stage.end().await;
}

#[tokio::test]
async fn a_flood_of_output_is_counted_and_holds_nobody_up() {
    let stage = Stage::new().await;
    let script = "head -c 1G /dev/zero; echo end >&2";
    let (phase, _, log, _) = end_of(&stage, limited(script, json!({ "log": "64Ki" }))).await;
    assert_eq!(phase, TaskPhase::Succeeded);
    assert!(log.len() < 66 << 10, "{}", log.len());
    let dropped = (1_u64 << 30) + 4 - (64 << 10);
    let note = format!("\n[… {dropped} bytes left out here: the limit is 65536 …]\n");
    assert!(log.contains(&note) && log.ends_with("\0end\n"), "its end is kept");
    stage.end().await;
}

#[tokio::test]
async fn secrets_are_in_the_environment_and_nowhere_else() {
    let stage = Stage::new().await;
    let secret = "correct-horse-battery";
    let script = "echo token $TOKEN; printf %s $TOKEN | base64; printf correct-; sleep 0.2; \
                  echo horse-battery; test ${#TOKEN} = 21";
    let mut task = task(
        NAME,
        json!({ "command": ["/bin/sh", "-e", "-c", script], "secrets": { "TOKEN": "deploy" } }),
    );
    task.secrets.insert("TOKEN".to_owned(), secret.to_owned());
    stage.assign_tasks(std::slice::from_ref(&task));
    let report = stage.over(NAME).await;
    let log = stage.blob(report.yields.log.as_ref().unwrap());
    assert_eq!(report.exit_code, Some(0), "{log}");
    assert!(log.starts_with("token ***\n***"), "{log}");
    assert!(log.ends_with("\n***\n") && !log.contains("horse"), "{log}");
    let entries = fs::read_dir(stage.task_place(NAME)).unwrap().flatten();
    for entry in entries.filter(|entry| entry.file_type().unwrap().is_file()) {
        let text = fs::read(entry.path()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(secret));
    }
    stage.end().await;
}

#[tokio::test]
async fn a_task_that_is_cancelled_ends() {
    let stage = Stage::new().await;
    let mut long = step(NAME, "echo begun; exec sleep 1000");
    stage.assign_tasks(std::slice::from_ref(&long));
    stage.wait_task(NAME, |r| r.phase == TaskPhase::Running).await;
    let pid = stage.task_state(NAME)["app"]["pid"].as_i64().unwrap();
    (long.cancel, long.generation) = (true, 2);
    stage.assign_tasks(&[long]);
    let report = stage.over(NAME).await;
    assert_eq!(report.phase, TaskPhase::Cancelled);
    assert_eq!(stage.blob(report.yields.log.as_ref().unwrap()), "begun\n");
    assert_eq!(started(pid), None);
    stage.end().await;
}

#[tokio::test]
async fn a_task_outlives_the_agent_and_its_shim() {
    let mut stage = Stage::new().await;
    let script = "while [ ! -e /workspace/go ]; do sleep 0.05; done; echo went; exit 7";
    stage.assign_tasks(&[step(NAME, script)]);
    stage.wait_task(NAME, |r| r.phase == TaskPhase::Running).await;
    stage.stop_agent().await;
    let shim = stage.task_state(NAME)["shim"]["pid"].as_i64().unwrap();
    kill(Pid::from_raw(shim as i32), Signal::SIGKILL).unwrap();
    until("the shim is dead", || started(shim).is_none()).await;
    stage.start_agent();
    until("another shim lives", || {
        stage.task_state(NAME)["shim"]["pid"].as_i64().is_some_and(|pid| pid != shim)
    })
    .await;
    fs::write(stage.task_place(NAME).join("work/go"), "").unwrap();
    let report = stage.over(NAME).await;
    assert_eq!((report.phase, report.exit_code), (TaskPhase::Failed, Some(7)));
    assert_eq!(stage.blob(report.yields.log.as_ref().unwrap()), "went\n");
    stage.end().await;
}

#[tokio::test]
async fn an_end_is_told_though_agent_and_server_were_away() {
    let mut stage = Stage::new().await;
    let script = "while [ ! -e /workspace/go ]; do sleep 0.05; done; echo done";
    stage.assign_tasks(&[step(NAME, script)]);
    stage.wait_task(NAME, |r| r.phase == TaskPhase::Running).await;
    stage.held.away.send_replace(true);
    fs::write(stage.task_place(NAME).join("work/go"), "").unwrap();
    until("it has ended", || stage.task_state(NAME)["phase"] == "stopped").await;
    stage.stop_agent().await;
    stage.start_agent();
    until("the agent has seen it", || {
        let text = fs::read_to_string(stage.task_place(NAME).join("task.json"));
        text.unwrap_or_default().contains("\"ended\"")
    })
    .await;
    stage.held.away.send_replace(false);
    let report = stage.over(NAME).await;
    assert_eq!((report.phase, report.exit_code), (TaskPhase::Succeeded, Some(0)));
    assert_eq!(stage.blob(report.yields.log.as_ref().unwrap()), "done\n");
    // What is over is said again by an agent that comes later.
    stage.stop_agent().await;
    stage.held.tasks.lock().unwrap().clear();
    stage.start_agent();
    assert_eq!(stage.over(NAME).await, report);
    stage.end().await;
}

#[tokio::test]
async fn a_log_is_read_while_it_grows_and_ends_with_its_task() {
    let stage = Stage::new().await;
    stage.assign_tasks(&[step(NAME, "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two")]);
    stage.wait_task(NAME, |r| r.phase == TaskPhase::Running).await;
    let ask = Ask::Logs { follow: true, tail: None, since: None, filter: LogFilter::default() };
    let mut socket = stage.session("s1", NAME, ask).await;
    fs::write(stage.task_place(NAME).join("work/go"), "").unwrap();
    assert_eq!(all(&mut socket).await.0, "one\ntwo\n");
    stage.end().await;
}

#[tokio::test]
async fn what_cannot_begin_says_so() {
    let stage = Stage::new().await;
    let (phase, code, _, reason) =
        end_of(&stage, task(NAME, json!({ "command": ["no-such-program"] }))).await;
    assert_eq!((phase, code, reason.as_str()), (TaskPhase::Failed, Some(127), "no-such-program"));
    stage.end().await;
    let stage = Stage::new().await;
    let work = json!({ "command": ["true"], "source": "0".repeat(64) });
    let (phase, _, _, reason) = end_of(&stage, task(NAME, work)).await;
    assert_eq!((phase, reason.as_str()), (TaskPhase::Lost, "package-missing"));
    stage.end().await;
}

#[tokio::test]
async fn what_a_step_leaves_is_kept() {
    let stage = Stage::new().await;
    let script = "mkdir -p out/sub; echo built > out/sub/shop; ln -s /etc/shadow out/key; \
                  echo '<testsuite name=\"t\"><testcase name=\"a\"/><testcase name=\"b\"><failure/>\
                  </testcase></testsuite>' > r1.xml; echo '<broken' > r2.xml";
    let work = json!({
        "command": ["/bin/sh", "-e", "-c", script],
        "artifacts": [{ "name": "binary", "paths": ["out"] }],
        "tests": [{ "junit": "r*.xml", "suite": "integration" }],
    });
    stage.assign_tasks(&[task(NAME, work)]);
    let report = stage.over(NAME).await;
    assert_eq!(report.phase, TaskPhase::Succeeded, "{report:#?}");
    let kept = &report.yields.artifacts["binary"];
    assert_eq!((kept.size, kept.entries), (6, 3));
    assert!(stage.blob(&kept.digest).contains("out/sub/shop"), "{}", stage.blob(&kept.digest));
    let totals = report.yields.tests.values().next().unwrap();
    assert_eq!((totals.passed, totals.failed), (1, 1));
    assert!(stage.blob(report.yields.cases.as_ref().unwrap()).contains("\"integration\""));
    let codes: Vec<&str> = report.reasons.iter().map(|r| r.code.as_str()).collect();
    assert_eq!(codes, ["artifact-incomplete", "report-broken"]);
    // The next step gets it; one that leaves nothing where it was to has failed.
    let work = json!({
        "command": ["/bin/sh", "-e", "-c", "cat out/sub/shop"],
        "inputs": { "binary": kept.digest },
        "artifacts": [{ "name": "other", "paths": ["dist/*.tar"] }],
    });
    let mut next = task(NAME, work);
    next.created_at = atoll_model::Timestamp(2);
    stage.assign_tasks(&[next]);
    let report = stage.wait_task(NAME, |r| r.phase == TaskPhase::Failed).await;
    assert_eq!(stage.blob(report.yields.log.as_ref().unwrap()), "built\n");
    assert_eq!(report.reasons[0].code, "artifact-missing");
    stage.end().await;
}

#[tokio::test]
async fn a_cache_is_brought_along_under_what_it_is_of() {
    let stage = Stage::new().await;
    let source = stage.held.package(&[("lock", "one")]).digest;
    let other = stage.held.package(&[("lock", "two")]).digest;
    let script = "if [ -e deps/x ]; then cat deps/x; else echo cold; fi; mkdir -p deps; \
                  echo from $(cat lock) > deps/x";
    let mut runs = Vec::new();
    for (at, source) in [&source, &source, &other, &other].into_iter().enumerate() {
        if at == 3 {
            // As on another host: only the server has it.
            fs::remove_dir_all(stage.dir.path().join("agent/caches")).unwrap();
        }
        let work = json!({
            "command": ["/bin/sh", "-e", "-c", script], "source": source, "cacheScope": "shop",
            "caches": [{ "key": "deps-{{hash(\"lock\")}}", "or": ["deps-"], "paths": ["deps"] }],
        });
        let name = format!("shop.{at}.unit.0");
        stage.assign_tasks(&[task(&name, work)]);
        let report = stage.over(&name).await;
        let log = stage.blob(report.yields.log.as_ref().unwrap());
        runs.push((log, report.yields.cache_hits.len()));
    }
    let told = [("cold\n", 0), ("from one\n", 1), ("from one\n", 1), ("from two\n", 1)];
    assert_eq!(runs, told.map(|(log, hits)| (log.to_owned(), hits)));
    stage.end().await;
}

/// An agent that finds a task on its disk as far as that, with what its shim said last.
async fn found(task: &AssignedTask, how_far: &str, state: Option<serde_json::Value>) -> Stage {
    let mut stage = Stage::new().await;
    until("it has joined", || stage.dir.path().join("agent/agent.json").exists()).await;
    stage.stop_agent().await;
    let place = stage.task_place(&task.name);
    fs::create_dir_all(place.join("work/half")).unwrap();
    let record = json!({ "task": task, "user": null, "stage": how_far });
    fs::write(place.join("task.json"), record.to_string()).unwrap();
    if let Some(state) = state {
        fs::write(place.join("state.json"), state.to_string()).unwrap();
    }
    stage.assign_tasks(std::slice::from_ref(task));
    stage.start_agent();
    stage
}

#[tokio::test]
async fn what_had_not_begun_is_begun_by_the_next_agent() {
    let task = step(NAME, "ls; echo fresh");
    let stage = found(&task, "preparing", None).await;
    let report = stage.over(NAME).await;
    assert_eq!(stage.blob(report.yields.log.as_ref().unwrap()), "fresh\n");
    stage.end().await;
}

#[tokio::test]
async fn what_a_restart_of_the_host_ended_is_lost_unless_its_end_is_known() {
    let task = step(NAME, "echo never again");
    let state = json!({
        "boot": "another", "shim": { "pid": 2147483647, "start": 0 }, "release": NAME, "phase": "running",
        "app": null, "started_at": null, "restarts": 0, "last": null, "deaths": [], "streak": 0,
    });
    let stage = found(&task, "begun", Some(state)).await;
    let report = stage.over(NAME).await;
    assert_eq!(report.phase, TaskPhase::Lost);
    assert_eq!(report.reasons[0].code, "host-restarted");
    stage.end().await;
}

#[tokio::test]
async fn a_release_is_made_with_the_list_of_its_parts() {
    let stage = Stage::new().await;
    let lock = "[[package]]\nname = \"serde\"\nversion = \"1.0.1\"\n";
    let source = stage.held.package(&[("Cargo.lock", lock)]).digest;
    let work = json!({
        "command": ["/bin/sh", "-e", "-c", "mkdir -p dist/bin; echo shop > dist/bin/shop"],
        "source": source,
        "release": { "application": "shop", "version": "7", "form": { "package": "dist" } },
    });
    stage.assign_tasks(&[task(NAME, work)]);
    let report = stage.over(NAME).await;
    let made = report.yields.made.as_ref().unwrap_or_else(|| panic!("{report:#?}"));
    let Content::Files { digest, size, entries } = &made.content else { panic!("{made:?}") };
    assert_eq!((made.version.as_str(), *size, *entries), ("7", 5, 2));
    assert!(stage.blob(digest).contains("\"bin/shop\""), "{}", stage.blob(digest));
    let list = stage.blob(made.sbom.as_ref().unwrap());
    assert!(list.contains("pkg:cargo/serde@1.0.1") && list.contains("file:bin/shop"), "{list}");
    stage.end().await;
}
