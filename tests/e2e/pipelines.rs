//! Pipelines: a directory is run as it is, with a sandbox for each step, and what comes out is a
//! package; a failed step is told and ends with 1.

use std::path::Path;

use serde_json::json;

use crate::site::Site;

/// Copies the example, changed by `change`.
fn example(site: &Site, name: &str, change: impl Fn(String) -> String) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipeline/atoll.yaml");
    let text = std::fs::read_to_string(example).expect("the example");
    std::fs::create_dir_all(site.path(name)).expect("a directory");
    site.write(&format!("{name}/atoll.yaml"), &change(text));
    site.path(name).to_string_lossy().into_owned()
}

#[test]
fn a_directory_is_run_and_becomes_a_package() {
    let site = Site::up();
    let dir = example(&site, "hello", |text| text);
    let said = site.atoll(&["pipeline", "run", &dir]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.err.contains("unit tests: 2 passed, 0 failed; made 1.1"), "{}", said.err);
    let package = site.json(&["get", "package/hello.1-1-457d3c18", "-o", "json"]);
    assert_eq!(package["spec"]["version"], json!("1.1"));

    let broken = example(&site, "broken", |text| {
        text.replace("grep -q \"{{params.greeting}}\" out/hello", "echo it breaks; exit 3")
    });
    let said = site.atoll(&["pipeline", "run", &broken]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.contains("it breaks"), "the log is shown: {}", said.out);
    assert!(said.err.contains("test.0 failed") && said.err.contains("exit code 3"), "{}", said.err);
    let log = site.atoll(&["logs", "task/hello.2.test.0"]).ok();
    assert!(log.contains("it breaks"), "{log}");
    assert_eq!(site.field("run/hello.2", "/status/phase"), json!("failed"));
    let why = site.atoll(&["why", "run/hello.2"]).ok();
    assert!(why.contains("atoll logs task/hello.2.test.0"), "{why}");
}
