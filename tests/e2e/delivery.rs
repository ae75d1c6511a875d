//! A release on its way through environments that ask something of it: by itself, held, refused,
//! as an emergency, vetoed. What is judged, and how, is in the text cases of the planners.

use crate::site::{Site, eventually};

const FILES: &str = "apiVersion: atoll/v1
kind: Environment
metadata: { name: dev }
spec: {}
---
apiVersion: atoll/v1
kind: Environment
metadata: { name: staging }
spec: { after: dev, require: { soak: 2s } }
---
apiVersion: atoll/v1
kind: Environment
metadata: { name: prod }
spec: { after: staging, require: { soak: 1h }, approval: { roles: [operator], count: 1 } }
---
apiVersion: atoll/v1
kind: Environment
metadata: { name: safe }
spec: { after: dev, require: { signed: true } }
---
apiVersion: atoll/v1
kind: Application
metadata: { name: web }
spec:
  package: web:1
  run: { command: [sleep, infinity], resources: { cpu: 10m, memory: 16Mi } }
  config: { static: { COLOUR: blue }, environments: { staging: { COLOUR: green } } }
  rollout: { healthyFor: 100ms, deadline: 20s }
";

#[test]
fn a_release_goes_as_far_as_it_may() {
    let site = Site::up();
    site.write("pkg/page.txt", "hello\n");
    let dir = site.path("pkg").to_string_lossy().into_owned();
    site.atoll(&["package", "push", "web:1", &dir]).ok();
    let file = site.write("web.yaml", FILES);
    site.atoll(&["apply", "-f", &file]).ok();
    site.wait_ready("web.dev", 1);
    let instance = site.wait_ready("web.staging", 1)[0].0.clone();
    let id = format!("instance/{instance}");
    let colour = site.atoll(&["exec", &id, "--", "sh", "-c", "echo $COLOUR"]);
    assert_eq!(colour.out, "green\n", "{}", colour.err);

    // Prod waits for time and a person, and says so.
    let why = eventually("prod says what it waits for", || {
        let why = site.atoll(&["why", "release/web-1"]).out;
        let said = ["proved itself in staging", "approvals", "1h"];
        said.iter().all(|said| why.contains(said)).then_some(why)
    });
    assert!(why.contains("atoll approve promotion/web-1.prod"), "{why}");
    site.atoll(&["approve", "promotion/web-1.prod", "--comment", "fine"]).ok();
    assert!(site.ready("web.prod").is_empty());

    // What was pushed by hand is signed by nobody: no road leads in.
    let said = site.atoll(&["deploy", "web", "--env", "safe", "--release", "web-1"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert!(said.err.contains("unsigned"), "{}", said.err);
    let said = site.atoll(&["promote", "web-1", "--to", "safe", "--emergency", "--reason", "fire"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert_eq!(site.atoll(&["package", "verify", "web:1", "--signed"]).code, 1);
    assert!(site.atoll(&["package", "verify", "web:1"]).ok().contains("not signed"));

    // An emergency does not wait, and is on record.
    site.atoll(&["promote", "web-1", "--to", "prod", "--emergency", "--reason", "fire"]).ok();
    site.wait_ready("web.prod", 1);
    assert!(site.atoll(&["get", "promotions"]).ok().contains("fire"));
    assert!(site.atoll(&["audit"]).ok().contains("promotion"));
    // It counts once it is rolled out, which is a moment after all is ready.
    eventually("the emergency counts", || {
        let figures = site.json(&["delivery", "-o", "json"]);
        (figures["items"][0]["emergencies"] == 1).then_some(())
    });

    // A pin keeps, and a veto is not got round.
    site.atoll(&["pin", "deployment/web.dev", "--reason", "steady"]).ok();
    site.atoll(&["veto", "release/web-1", "--reason", "bad"]).ok();
    let said = site.atoll(&["deploy", "web", "--env", "safe", "--release", "web-1"]);
    assert!(said.code == 3 && said.err.contains("vetoed"), "{}", said.err);
}
