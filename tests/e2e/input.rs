//! What people get wrong, and how they are told: exit codes, messages with places, freezes.

use serde_json::json;

use crate::site::{Site, sample};

const ENV: &str = "apiVersion: atoll/v1\nkind: Environment\nmetadata: { name: NAME }\nspec: {}\n";

fn environment(name: &str) -> String {
    ENV.replace("NAME", name)
}

#[test]
fn exit_codes_are_what_scripts_rely_on() {
    let site = Site::up();
    assert_eq!(site.atoll(&["get", "deployments"]).code, 0);
    assert_eq!(site.atoll(&["get", "nonsense"]).code, 2);
    assert_eq!(site.atoll(&["frobnicate"]).code, 2);
    assert_eq!(site.atoll(&["get", "deployment/none.none"]).code, 5);
    assert_eq!(site.atoll(&["why", "host/none"]).code, 5);
    assert_eq!(site.atoll_at("http://127.0.0.1:1", &["get", "hosts"]).code, 4);
    let viewer = site.json(&["token", "create", "--role", "viewer", "-o", "json"]);
    let viewer = viewer["token"].as_str().expect("a token").to_owned();
    let denied = site.atoll(&["--token", &viewer, "cordon", "host/local"]);
    assert_eq!(denied.code, 3, "{}{}", denied.out, denied.err);

    let file = site.write("dev.yaml", &environment("dev"));
    site.atoll(&["apply", "-f", &file]).ok();
    let stale = environment("dev").replace("name: dev", "name: dev, revision: 1, labels: { a: b }");
    let file = site.write("stale.yaml", &stale);
    let said = site.atoll(&["apply", "-f", &file]);
    assert_eq!(said.code, 6, "{}{}", said.out, said.err);
}

#[test]
fn one_bad_manifest_of_ten_stops_all_and_all_errors_are_told() {
    let site = Site::up();
    for i in 0..10 {
        site.write(&format!("m/{i}.yaml"), &environment(&format!("e{i}")));
    }
    let good = site.path("m").to_string_lossy().into_owned();
    site.write("m/4.yaml", &environment("e4").replace("spec: {}", "spec: { afer: x }"));
    site.write("m/7.yaml", &environment("Up-Per"));
    let said = site.atoll(&["apply", "-f", &good]);
    assert_eq!(said.code, 2);
    for part in ["4.yaml:4:", "did you mean \"after\"?", "7.yaml:3:", "\"Up-Per\""] {
        assert!(said.err.contains(part), "{part:?} is not in {}", said.err);
    }
    assert_eq!(site.json(&["get", "environments", "-o", "json"])["items"], json!([]));
}

#[test]
fn manifests_nobody_should_send_are_refused_with_a_place() {
    let site = Site::up();
    let app = sample("shop", 1, "A: b", "");
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("malformed", b"a: [".to_vec(), "malformed.yaml:1:"),
        ("kind", environment("x").replace("Environment", "Enviroment").into(), "Environment"),
        ("missing", environment("x").replace("kind: Environment\n", "").into(), "kind"),
        ("type", app.replace("min: 1", "min: one").into(), "spec.scaling.min"),
        ("field", app.replace("command:", "comand:").into(), "did you mean \"command\"?"),
        ("twice", environment("x").replace("spec: {}", "spec: {}\nspec: {}").into(), "duplicate"),
        ("dots", environment("../../etc").into(), "metadata.name"),
        ("bytes", vec![0x66, 0xff, 0xfe, 0x0a], "UTF-8"),
        ("large", vec![b'#'; 5 << 20], "larger"),
    ];
    for (name, text, part) in cases {
        let path = site.path(&format!("{name}.yaml"));
        std::fs::write(&path, text).expect("a file");
        let said = site.atoll(&["apply", "-f", &path.to_string_lossy()]);
        assert_eq!(said.code, 2, "{name}: {}{}", said.out, said.err);
        assert!(said.err.contains(part), "{name}: {part:?} is not in {}", said.err);
    }
    // Two applications that need each other: only the server can see that.
    let needs = |name: &str, other: &str| {
        let app = sample(name, 1, "A: b", "");
        app.replace("  rollout:", &format!("  needs: [application/{other}]\n  rollout:"))
    };
    let two = needs("two", "one");
    let two = two.split_once("---\n").map_or(two.as_str(), |(_, application)| application);
    let both = format!("{}---\n{two}", needs("one", "two"));
    let file = site.write("cycle.yaml", &both);
    let said = site.atoll(&["apply", "-f", &file]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(said.err.contains("one") && said.err.contains("two"), "{}", said.err);
    assert_eq!(site.json(&["get", "applications", "-o", "json"])["items"], json!([]));
}

#[test]
fn a_freeze_holds_changes_and_an_override_is_audited() {
    let site = Site::up();
    let file = site.write("shop.yaml", &sample("shop", 1, "GREETING: one", "healthyFor: 200ms"));
    site.atoll(&["apply", "-f", &file, "--wait"]).ok();
    let freeze = "apiVersion: atoll/v1\nkind: Freeze\nmetadata: { name: sale }\n\
                  spec: { environments: [prod], reason: the big sale }\n";
    let freeze = site.write("freeze.yaml", freeze);
    site.atoll(&["apply", "-f", &freeze]).ok();
    let said = site.atoll(&["scale", "deployment/shop.prod", "2"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert!(said.err.contains("the big sale"), "{}", said.err);
    let args = ["scale", "deployment/shop.prod", "2", "--wait", "--override-freeze", "on fire"];
    site.atoll(&args).ok();
    let audit = site.atoll(&["audit"]).ok();
    assert!(audit.contains("freeze-overridden") && audit.contains("on fire"), "{audit}");
    let pid = site.wait_ready("shop.prod", 2)[0].1;
    crate::site::kill_hard(pid);
    crate::site::eventually("healing passes a freeze", || {
        let ready = site.ready("shop.prod");
        (ready.len() == 2 && ready.iter().all(|(_, p)| *p != pid)).then_some(())
    });
    site.atoll(&["delete", "freeze/sale"]).ok();
    site.atoll(&["scale", "deployment/shop.prod", "1", "--wait"]).ok();
}

#[test]
fn a_dry_run_says_what_would_follow_and_does_nothing() {
    let site = Site::up();
    let file = site.write("shop.yaml", &sample("shop", 2, "GREETING: one", ""));
    let plan = site.json(&["plan", "-f", &file, "-o", "json"]);
    assert_eq!(plan["verdict"], json!("commit"));
    let writes = plan["writes"].to_string();
    for part in ["shop-1", "shop.prod"] {
        assert!(writes.contains(part), "{part} is not in {writes}");
    }
    assert_eq!(site.json(&["get", "applications", "-o", "json"])["items"], json!([]));
}
