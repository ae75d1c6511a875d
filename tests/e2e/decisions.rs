//! What is done by itself: a process that answers wrongly is made anew by a policy, and that it
//! helped is measured; a switch stops all of it.

use serde_json::json;

use crate::site::{Site, eventually};

/// A web server that answers well until there is a file of the number of its process.
const PROGRAM: &str = r#"
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ill = os.path.exists(os.path.join(sys.argv[2], str(os.getpid())))
        self.send_response(500 if ill else 200)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

fn manifest(program: &str, ill: &str) -> String {
    format!(
        r#"
apiVersion: atoll/v1
kind: Environment
metadata: {{ name: prod }}
spec: {{}}
---
apiVersion: atoll/v1
kind: Application
metadata: {{ name: web }}
spec:
  run:
    command: [python3, "{program}", "{{{{ports.http}}}}", "{ill}"]
    ports: {{ http: 0 }}
    health: {{ http: /, port: http, every: 200ms, timeout: 2s, unhealthyAfter: 2 }}
  scaling: {{ min: 3, max: 5 }}
  rollout: {{ healthyFor: 300ms }}
---
apiVersion: atoll/v1
kind: Policy
metadata: {{ name: unhealthy-instance }}
spec:
  subjects: {{ kind: Instance, phases: [unready] }}
  when: peers.ready * 2 >= peers.count
  message: "{{{{subject.metadata.name}}}} does not answer"
  for: 1s
  action: restart
  mode: act
  expect: {{ that: deployment.status.unavailable == 0, within: 1m, for: 1s }}
"#
    )
}

#[test]
fn an_instance_that_does_not_answer_is_made_anew_and_that_helps() {
    let site = Site::up();
    let program = site.write("web.py", PROGRAM);
    let ill = site.path("ill");
    std::fs::create_dir_all(&ill).unwrap();
    let file = site.write("web.yaml", &manifest(&program, &ill.display().to_string()));
    site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "60s"]).ok();
    let all = site.wait_ready("web.prod", 3);

    // While it is stopped, it is said and not done.
    site.atoll(&["decisions", "pause", "--because", "a test"]).ok();
    let (name, pid) = all[1].clone();
    std::fs::write(ill.join(pid.to_string()), "").unwrap();
    let decision = format!("decision/instance.{name}.1");
    let phase = |wanted: &str| {
        let said = site.atoll(&["get", &decision, "-o", "json"]);
        (said.code == 0 && site.field(&decision, "/status/phase") == json!(wanted)).then_some(())
    };
    eventually("it is decided, and not done", || phase("skipped"));
    assert_eq!(site.field(&decision, "/status/reasons/0/code"), json!("stopped"));
    assert!(site.ready("web.prod").len() < 3);

    site.atoll(&["decisions", "resume"]).ok();
    eventually("it is measured", || phase("measured"));
    assert_eq!(site.field(&decision, "/status/effect/verdict"), json!("helped"));
    assert_eq!(site.ready("web.prod").len(), 3);
    assert!(site.ready("web.prod").iter().all(|(_, other)| *other != pid), "the same process");

    // What was done names the decision, and people say whether it was right.
    let history = site.atoll(&["history", &format!("instance/{name}")]).ok();
    assert!(history.contains("controller/decision") && history.contains(&decision), "{history}");
    site.atoll(&["decisions", "right", &decision, "--because", "it hung"]).ok();
    eventually("it counts in the record", || {
        let record = site.field("policy/unhealthy-instance", "/status/record");
        (record["right"] == 1 && record["helped"] == 1 && record["acted"] == 1).then_some(())
    });

    // A policy that had waited for longer would have decided otherwise.
    let other = manifest("x", "y")
        .replace("when: peers.ready * 2 >= peers.count", "when: seconds.phase > 3600");
    let policy = other.split("---").last().unwrap_or_default().to_owned();
    let file = site.write("other.yaml", &policy);
    let told = site.json(&["decisions", "replay", "--policy", &file, "-o", "json"]);
    assert_eq!(told["differences"][0]["would"], json!("nothing"), "{told}");
    let said = site.atoll(&["approve", &decision]);
    assert_eq!(said.code, 3, "nothing waits");
}
