//! Steps of pipelines in containers, on a real engine: what they see, what runs beside them, what
//! stops them, and what becomes of them when the agent or the engine goes.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::dock::Dock;
use crate::site::{Site, eventually};

const LIMITS: &str = "resources: { cpu: 500m, memory: 64Mi }, timeout: 1m, grace: 1s";

fn site_on(dock: &Dock) -> Site {
    let mut site = Site::empty();
    site.env.push(("DOCKER_HOST".to_owned(), format!("unix://{}", dock.socket().display())));
    site.start_up();
    site
}

/// A directory with a pipeline of these steps.
fn project(site: &Site, name: &str, steps: &str) -> String {
    std::fs::create_dir_all(site.path(name)).expect("a directory");
    let text = format!(
        "apiVersion: atoll/v1
kind: Pipeline
metadata: {{ name: {name} }}
spec:
  steps:
{steps}
---
apiVersion: atoll/v1
kind: Application
metadata: {{ name: {name} }}
spec:
  run: {{ command: [./{name}] }}
"
    );
    site.write(&format!("{name}/atoll.yaml"), &text);
    site.path(name).to_string_lossy().into_owned()
}

impl Site {
    fn task_log(&self, task: &str) -> String {
        self.atoll(&["logs", &format!("task/{task}")]).ok()
    }

    /// Waits until a task has said something.
    fn says(&self, task: &str, word: &str) {
        eventually(&format!("{task} says {word}"), || {
            let said = self.atoll(&["logs", &format!("task/{task}")]);
            (said.code == 0 && said.out.contains(word)).then_some(())
        });
    }

    fn phase(&self, task: &str) -> serde_json::Value {
        self.field(&format!("task/{task}"), "/status/phase")
    }
}

/// Nothing is left with the engine of what was made for tasks.
fn nothing_is_left(dock: &Dock, task: &str) {
    eventually("no container and no network of the task is left", || {
        let label = format!("label=io.atoll.task={task}");
        let containers = dock.docker(&["ps", "-aq", "--filter", &label]);
        let networks = dock.docker(&["network", "ls", "-q", "--filter", &label]);
        (containers.is_empty() && networks.is_empty()).then_some(())
    });
}

#[test]
fn a_step_in_a_container_finds_its_workspace_and_what_runs_beside_it() {
    let dock = Dock::shared();
    let image = dock.pushed("steps/web:1", "beside");
    let site = site_on(&dock);
    let secret = site.write("secret", "correct-horse");
    site.atoll(&["secret", "set", "pass", "--from-file", &secret]).ok();
    let dir = project(
        &site,
        "boxed",
        &format!(
            "    - name: build
      image: {image}
      env: {{ COLOUR: green }}
      secrets: {{ PASS: pass }}
      services:
        - {{ name: web, image: \"{image}\", ports: {{ http: 8080 }}, health: {{ tcp: true, every: 100ms }} }}
      run: |
        test ! -e /usr/bin && echo \"in $COLOUR as $(id -u) at $PWD\"
        echo \"the word is $PASS\"; test ${{#PASS}} = 13
        wget -q -O got \"http://$WEB_HOST:$WEB_PORT_HTTP/index.html\" && cat got
        echo \"#!/bin/sh\" > boxed
      artifacts: [{{ name: program, paths: [boxed] }}]
      limits: {{ {LIMITS} }}
    - name: check
      needs: [build]
      inputs: [program]
      services:
        - {{ name: web, image: \"{image}\", ports: {{ http: 8080 }}, health: {{ http: /healthz }} }}
      run: |
        test \"$(cat boxed)\" = '#!/bin/sh' && test -e /usr/bin
        python3 -c 'import os, urllib.request as r; print(r.urlopen(\"http://%s:%s/index.html\"
        % (os.environ[\"WEB_HOST\"], os.environ[\"WEB_PORT_HTTP\"])).read().decode())'
      limits: {{ {LIMITS} }}"
        ),
    );
    let said = site.atoll(&["pipeline", "run", &dir]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let log = site.task_log("boxed.1.build.0");
    assert!(log.contains("in green as 0 at /workspace") && log.contains("beside"), "{log}");
    assert!(log.contains("the word is ***") && !log.contains("horse"), "{log}");
    let log = site.task_log("boxed.1.check.0");
    assert!(log.contains("beside"), "a step on the host reaches a container: {log}");
    nothing_is_left(&dock, "boxed.1.build.0");
    nothing_is_left(&dock, "boxed.1.check.0");
}

#[test]
fn a_step_in_a_container_is_bounded_and_told_why_it_ended() {
    let dock = Dock::shared();
    dock.image("steps/bounded:1", "x");
    let site = site_on(&dock);
    let step = |name: &str, run: &str, limits: &str| {
        format!(
            "    - name: {name}
      image: steps/bounded:1
      run: \"{run}\"
      limits: {{ resources: {{ cpu: 300m, memory: 32Mi }}, grace: 1s, {limits} }}
"
        )
    };
    let steps = [
        step("late", "trap '' TERM; while true; do sleep 1; done", "timeout: 2s"),
        step("fails", "echo it breaks; exit 3", "timeout: 30s"),
        step(
            "talks",
            "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done",
            "timeout: 30s, log: 1Ki",
        ),
        step("fills", "cat /dev/zero > /tmp/fill", "timeout: 30s, disk: 8Mi"),
        step("eats", "x=1234567890123456; while true; do x=$x$x; done", "timeout: 30s"),
    ];
    let dir = project(&site, "bounded", &steps.concat());
    let said = site.atoll(&["pipeline", "run", &dir]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let reasons = |step: &str| {
        let id = format!("task/bounded.1.{step}.0");
        (site.phase(&format!("bounded.1.{step}.0")), site.field(&id, "/status/reasons").to_string())
    };
    for (step, phase, reason) in [
        ("late", "timedOut", "time-limit"),
        ("fails", "failed", "exited with code 3"),
        ("fills", "overLimit", "disk-limit"),
        ("eats", "overLimit", "memory-limit"),
    ] {
        let found = reasons(step);
        assert!(found.0 == json!(phase) && found.1.contains(reason), "{step}: {found:?}");
    }
    assert_eq!(reasons("talks").0, json!("succeeded"));
    let log = site.task_log("bounded.1.talks.0");
    assert!(log.contains("bytes left out here"), "{log}");
    assert!(log.len() < 1500, "{}", log.len());
    nothing_is_left(&dock, "bounded.1.late.0");
}

#[test]
fn a_step_in_a_container_outlives_the_agent_and_is_not_begun_twice() {
    let dock = Dock::shared();
    dock.image("steps/adopted:1", "x");
    let mut site = site_on(&dock);
    let dir = project(
        &site,
        "adopted",
        &format!(
            "    - name: long
      image: steps/adopted:1
      services: [{{ name: web, image: \"steps/adopted:1\", ports: {{ http: 80 }} }}]
      run: |
        echo begun >> begun; echo started
        while [ ! -e go ]; do sleep 0.1; done
        echo \"begun $(cat begun)\"; wget -q -O - http://web/index.html
      limits: {{ {LIMITS} }}"
        ),
    );
    let mut run = site.begin(&["pipeline", "run", &dir]);
    site.says("adopted.1.long.0", "started");
    site.kill_up();
    let _ = run.kill();
    let _ = run.wait();
    site.start_up();
    let work = site.path("data/agent/tasks/adopted.1.long.0/work");
    std::fs::write(work.join("go"), "").expect("a file");
    eventually("the step ends well", || {
        (site.phase("adopted.1.long.0") == json!("succeeded")).then_some(())
    });
    let log = site.task_log("adopted.1.long.0");
    assert!(log.contains("begun begun\n") && log.trim_end().ends_with('x'), "{log}");
    assert_eq!(log.matches("started").count(), 1, "{log}");
    nothing_is_left(&dock, "adopted.1.long.0");
}

#[test]
fn a_step_whose_engine_is_restarted_is_lost_and_tried_again() {
    let dock = Dock::start();
    dock.image("steps/restarted:1", "x");
    let site = site_on(&dock);
    let dir = project(
        &site,
        "restarted",
        &format!(
            "    - name: long
      image: steps/restarted:1
      run: 'echo started; sleep 4; echo ended'
      limits: {{ {LIMITS} }}"
        ),
    );
    let mut run = site.begin(&["pipeline", "run", &dir]);
    site.says("restarted.1.long.0", "started");
    dock.stop_daemon(Signal::SIGTERM);
    dock.start_daemon();
    let status = run.wait().expect("it ends");
    assert!(status.success(), "{}", site.atoll(&["why", "run/restarted.1"]).out);
    let why = site.field("run/restarted.1", "/status").to_string();
    assert!(why.contains("restarted.1.long.0"), "{why}");
}

#[test]
fn an_image_that_is_nowhere_is_said_so() {
    let dock = Dock::shared();
    let site = site_on(&dock);
    let image = format!("{}/steps/nowhere:1", dock.registry());
    let dir = project(
        &site,
        "nowhere",
        &format!("    - {{ name: one, image: \"{image}\", run: 'true', limits: {{ {LIMITS} }} }}"),
    );
    let said = site.atoll(&["pipeline", "run", &dir]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let reasons = site.field("task/nowhere.1.one.0", "/status/reasons").to_string();
    assert!(reasons.contains("image-missing") && reasons.contains("docker push"), "{reasons}");
    // What runs beside a step in a container has to be one too.
    let dir = project(
        &site,
        "mixed",
        "    - name: one
      image: a:1
      services: [{ name: db, command: [db] }]
      run: 'true'",
    );
    let said = site.atoll(&["pipeline", "run", &dir]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("reaches only other containers"), "{}", said.err);
}

#[test]
fn a_registry_killed_under_a_push_is_sent_the_image_again() {
    let dock = Dock::shared();
    let mut registry = dock.further();
    let site = site_on(&dock);
    let dir = project(
        &site,
        "pushed",
        &format!(
            "    - name: image
      run: |
        head -c 60000000 /dev/urandom > blob
        printf 'FROM scratch\\nCOPY blob /blob\\n' > Dockerfile
      release: {{ image: {{ repository: \"{}/pushed\" }}, version: \"1\" }}
      limits: {{ {LIMITS} }}",
            registry.name()
        ),
    );
    let mut run = site.begin(&["pipeline", "run", &dir]);
    eventually("the image is on its way", || registry.is_sent_to("pushed").then_some(()));
    registry.kill();
    registry.start_again();
    let status = run.wait().expect("it ends");
    assert!(status.success(), "{}", site.atoll(&["why", "task/pushed.1.image.0"]).out);
    let made = site.field("run/pushed.1", "/status/made").to_string();
    assert!(made.contains("sha256:"), "{made}");
}
