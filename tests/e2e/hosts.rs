//! Several hosts: spread, loss and return, drain, cordon, and joining over TLS with a token that
//! carries the CA's fingerprint.

use std::collections::BTreeMap;

use serde_json::json;

use crate::site::{Site, alive, eventually, sample};

fn hosts_of(site: &Site, deployment: &str) -> BTreeMap<String, usize> {
    let mut hosts = BTreeMap::new();
    for instance in site.instances(deployment) {
        let host = instance["spec"]["host"].as_str().unwrap_or_default().to_owned();
        *hosts.entry(host).or_default() += 1;
    }
    hosts
}

#[test]
fn a_lost_host_is_replaced_and_its_return_leaves_no_surplus() {
    let mut site = Site::empty();
    let data = site.path("server").to_string_lossy().into_owned();
    let flags = ["--data", &data, "--listen", "127.0.0.1:0", "--host-timeout", "3s"];
    let mut server = site.server("server.log", &flags);
    let url = site.url.clone();
    site.agent("a", "zone=a", &url);
    let b = site.agent("b", "zone=b", &url);
    site.agent("c", "zone=b", &url);
    let file = site.write("shop.yaml", &sample("shop", 4, "GREETING: one", "healthyFor: 200ms"));
    site.atoll(&["apply", "-f", &file, "--wait"]).ok();
    let spread = hosts_of(&site, "shop.prod");
    assert_eq!(spread.get("a"), Some(&2), "two zones, two each: {spread:?}");

    let running: Vec<i64> = site.ready("shop.prod").iter().map(|(_, pid)| *pid).collect();
    site.kill_agent(b);
    eventually("the host is unknown", || {
        (site.field("host/b", "/status/phase") == json!("unknown")).then_some(())
    });
    eventually("its instance is replaced elsewhere", || {
        let ready = site.ready("shop.prod").len() == 4;
        ready.then_some(())
    });
    let why = site.atoll(&["why", "host/b"]).ok();
    assert!(why.contains("not heard"), "{why}");
    assert!(running.iter().all(|pid| alive(*pid)), "what ran on the lost host runs on");

    site.agent_with("b", "zone=b", &url, "");
    eventually("the surplus is gone", || {
        let all = site.instances("shop.prod");
        let settled = site.field("deployment/shop.prod", "/status/phase") == json!("settled");
        (all.len() == 4 && site.ready("shop.prod").len() == 4 && settled).then_some(())
    });

    // Drained, nothing is left on it and nothing new comes.
    site.atoll(&["drain", "host/a", "--wait"]).ok();
    assert_eq!(site.field("host/a", "/status/phase"), json!("drained"));
    assert_eq!(hosts_of(&site, "shop.prod").get("a"), None);
    assert_eq!(site.wait_ready("shop.prod", 4).len(), 4);
    let second = site.atoll(&["drain", "host/b"]);
    assert!(second.code == 0 || second.code == 3, "{}", second.err);
    site.atoll(&["uncordon", "host/a"]).ok();
    eventually("it is open again", || {
        (site.field("host/a", "/status/phase") == json!("ready")).then_some(())
    });
    server.kill().expect("it runs");
    server.wait().expect("it ends");
}

#[test]
fn an_agent_joins_over_tls_and_trusts_only_the_fingerprint() {
    let mut site = Site::empty();
    let data = site.path("server").to_string_lossy().into_owned();
    let mut server = site.server("server.log", &["--data", &data, "--listen", "0.0.0.0:0"]);
    let port = site.url.rsplit(':').next().expect("a port").to_owned();
    let url = format!("https://127.0.0.1:{port}");
    let said = site.atoll_at(&url, &["get", "hosts"]);
    assert_eq!(said.code, 4, "an unknown CA is not trusted: {}", said.err);
    let token = site.token.clone();
    site.atoll(&["login", "--server", &url, "--token", &token, "--insecure-fetch-ca"]).ok();
    site.url = String::new();
    let made = site.json(&["token", "create", "--role", "join", "-o", "json"]);
    let join = made["token"].as_str().expect("a token").to_owned();
    let (secret, fingerprint) = join.split_once('.').expect("it carries a fingerprint");
    let wrong = format!("{secret}.{}", fingerprint.replace(['a', 'b', 'c', '1', '2', '3'], "0"));
    site.agent_with("evil", "zone=a", &url, &wrong);
    site.agent_with("a", "zone=a", &url, &join);
    eventually("it has joined", || {
        (site.field("host/a", "/status/phase") == json!("ready")).then_some(())
    });
    assert_eq!(site.atoll(&["get", "host/evil"]).code, 5);
    server.kill().expect("it runs");
    server.wait().expect("it ends");
}
