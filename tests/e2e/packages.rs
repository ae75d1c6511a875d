//! Packages from a directory to a running instance, and the logs and commands of what runs.

use serde_json::json;

use crate::site::{Site, eventually};

fn application(version: &str) -> String {
    format!(
        "apiVersion: atoll/v1
kind: Environment
metadata: {{ name: prod }}
spec: {{}}
---
apiVersion: atoll/v1
kind: Application
metadata: {{ name: site }}
spec:
  environments: [prod]
  package: site:{version}
  run:
    command: [./serve.sh, \"{{{{ports.http}}}}\"]
    env: {{ COLOUR: blue }}
    ports: {{ http: 0 }}
    resources: {{ cpu: 10m, memory: 64Mi }}
    health: {{ tcp: true, every: 200ms }}
  scaling: {{ min: 2, max: 4 }}
  rollout: {{ healthyFor: 200ms, deadline: 20s }}
"
    )
}

fn script(site: &Site, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let atoll = crate::site::ATOLL;
    let path = site.write(
        "pkg/serve.sh",
        &format!("#!/bin/sh\necho {text}\nexec \"{atoll}\" sample --listen \"127.0.0.1:$1\"\n"),
    );
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("the mode can be set");
}

#[test]
fn a_package_is_pushed_run_updated_and_looked_into() {
    let site = Site::up();
    let dir = site.path("pkg").to_string_lossy().into_owned();
    site.write("pkg/data/page.txt", "hello\n");
    script(&site, "version-one");

    let file = site.write("site.yaml", &application("1.0"));
    site.atoll(&["apply", "-f", &file]).ok();
    eventually("the missing package is told", || {
        let why = site.atoll(&["why", "application/site"]).out;
        why.contains("atoll package push").then_some(())
    });
    site.atoll(&["package", "push", "site:1.0", &dir]).ok();
    site.wait_ready("site.prod", 2);
    let gone = site.atoll(&["deploy", "site", "--env", "prod", "--package", "site:9"]);
    assert_eq!(gone.code, 5, "{}{}", gone.out, gone.err);
    assert!(gone.err.contains("there is no package site:9"), "{}", gone.err);
    let logs = site.atoll(&["logs", "deployment/site.prod"]).ok();
    assert_eq!(logs.matches("version-one").count(), 2, "{logs}");

    // The same content twice is one package; another content under one name is refused.
    site.atoll(&["package", "push", "site:1.0", &dir]).ok();
    script(&site, "version-two");
    let said = site.atoll(&["package", "push", "site:1.0", &dir]);
    assert_ne!(said.code, 0, "a version never changes");
    site.atoll(&["package", "push", "site:2.0", &dir]).ok();
    let file = site.write("site.yaml", &application("2.0"));
    site.atoll(&["apply", "-f", &file, "--wait"]).ok();
    let instance = site.ready("site.prod")[0].0.clone();
    let logs = site.atoll(&["logs", &format!("instance/{instance}"), "--tail", "200"]).ok();
    assert!(logs.contains("version-one") && logs.contains("version-two"), "{logs}");

    let id = format!("instance/{instance}");
    let said =
        site.atoll(&["exec", &id, "--", "sh", "-c", "cat data/page.txt; echo $COLOUR >&2; exit 7"]);
    assert_eq!((said.code, said.out.as_str()), (7, "hello\n"), "{}", said.err);
    assert!(said.err.contains("blue"), "{}", said.err);
    let audit = site.atoll(&["audit"]).ok();
    assert!(audit.contains("exec"), "{audit}");

    let list = site.json(&["get", "packages", "-o", "json"]);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2));
    let out = site.path("out").to_string_lossy().into_owned();
    site.atoll(&["package", "pull", "site:1.0", &out]).ok();
    assert_eq!(
        std::fs::read_to_string(site.path("out/data/page.txt")).expect("it is there"),
        "hello\n"
    );
    site.atoll(&["package", "verify", "site:1.0"]).ok();
}

#[test]
fn packages_that_reach_outside_are_refused() {
    let site = Site::up();
    let cases: [(&str, &str); 4] = [
        ("absolute", "/etc/passwd"),
        ("parent", "../evil"),
        ("link", "out -> /etc"),
        ("climb", "a/up -> ../../etc"),
    ];
    for (name, entry) in cases {
        let path = site.path(&format!("{name}.tar"));
        std::fs::write(&path, tar_with(entry)).expect("a file");
        let said = site.atoll(&["package", "push", &format!("{name}:1"), &path.to_string_lossy()]);
        assert_ne!(said.code, 0, "{name} was taken");
        assert!(!said.err.is_empty());
    }
    assert_eq!(site.json(&["get", "packages", "-o", "json"])["items"], json!([]));
}

/// A tar of one entry, `path` or `path -> target`, written without the checks of a library.
fn tar_with(entry: &str) -> Vec<u8> {
    let (path, target) = entry.split_once(" -> ").unwrap_or((entry, ""));
    let mut header = [0u8; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(b"00000000000");
    header[136..147].copy_from_slice(b"00000000000");
    header[156] = if target.is_empty() { b'0' } else { b'2' };
    header[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header[257..263].copy_from_slice(b"ustar\0");
    header[263..265].copy_from_slice(b"00");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend([0u8; 1024]);
    tar
}
