//! Two replicas on PostgreSQL: the leader killed, PostgreSQL restarted, and work going on.

use std::collections::BTreeSet;
use std::process::Child;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::site::{Site, eventually, now, sample};

/// What a replica says of itself.
fn readiness(site: &Site, url: &str) -> Value {
    let address = url.trim_start_matches("http://");
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return Value::Null };
    use std::io::{Read, Write};
    let ask = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut text = String::new();
    let done = stream.write_all(ask.as_bytes()).and_then(|()| stream.read_to_string(&mut text));
    assert!(!site.token.is_empty());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    done.ok().and_then(|_| serde_json::from_str(body).ok()).unwrap_or(Value::Null)
}

/// Opens a log as a browser does, and reads until the other side is silent or has told enough.
fn handshake(site: &Site, url: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let address = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let patience = std::time::Duration::from_secs(10);
    stream.set_read_timeout(Some(patience)).expect("a time limit");
    let ask = "%7B%22type%22%3A%22logs%22%2C%22follow%22%3Atrue%7D";
    let head = format!(
        "GET {path}?ask={ask} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
        site.token
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let (mut told, mut piece) = (String::new(), [0; 4_096]);
    while !told.contains("listens on") {
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => told += &String::from_utf8_lossy(&piece[..read]),
            _ => break,
        }
    }
    told
}

/// What a search of logs finds at one replica.
fn search(site: &Site, url: &str, query: &str) -> Value {
    use std::io::{Read, Write};
    let address = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let ask = format!(
        "GET /v1/logs?{query} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        site.token
    );
    stream.write_all(ask.as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {text}"))
}

struct Replica {
    child: Child,
    url: String,
}

fn replica(site: &mut Site, store: &str, name: &str) -> Replica {
    site.url = String::new();
    let token = site.token.clone();
    let metrics = site.path(&format!("{name}.metrics"));
    let metrics = metrics.to_string_lossy();
    let flags = ["--store", store, "--listen", "127.0.0.1:0", "--metrics-dir", &metrics];
    let child = site.server(name, &flags);
    if site.token.is_empty() {
        site.token = token;
    }
    Replica { child, url: site.url.clone() }
}

impl Replica {
    fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

#[test]
fn a_killed_leader_is_followed_within_five_seconds() {
    let cluster = Cluster::start();
    let store = cluster.create_database();
    let mut site = Site::empty();
    let mut one = replica(&mut site, &store, "one.log");
    let mut two = replica(&mut site, &store, "two.log");
    eventually("one of them leads", || {
        let leads = |r: &Replica| readiness(&site, &r.url)["leads"] == json!(true);
        (leads(&one) != leads(&two)).then_some(())
    });
    let both = format!("{},{}", one.url, two.url);
    site.url = both.clone();
    site.agent("a", "zone=a", &both);
    site.agent("b", "zone=b", &both);
    let file = site.write("shop.yaml", &sample("shop", 3, "GREETING: one", "healthyFor: 200ms"));
    site.atoll(&["apply", "-f", &file, "--wait"]).ok();

    // Logs and commands find the replica that hears the host, whichever is asked.
    for url in [&one.url, &two.url] {
        for (name, _) in site.ready("shop.prod") {
            let said = site.atoll_at(url, &["logs", &format!("instance/{name}")]);
            assert!(said.out.contains("listens on"), "{url} {name}: {}", said.err);
            // As a browser opens them, which follows no redirect.
            let told = handshake(&site, url, &format!("/v1/instances/{name}/session"));
            assert!(told.starts_with("HTTP/1.1 101 "), "{url} {name}: {told}");
            assert!(told.contains("listens on"), "{url} {name}: {told}");
        }
        // So does a search: each replica answers for what the other one's hosts have written.
        let found = search(&site, url, "subject=deployment/shop.prod&contains=listens%20on");
        assert_eq!(found["problems"], json!([]), "{url}: {found}");
        let lines = found["lines"].as_array().expect("there are lines");
        let said: BTreeSet<&str> =
            lines.iter().filter_map(|line| line["instance"].as_str()).collect();
        assert_eq!(said.len(), 3, "{url}: {found}");
    }

    let one_leads = readiness(&site, &one.url)["leads"] == json!(true);
    let (leader, other) = if one_leads { (&mut one, &mut two) } else { (&mut two, &mut one) };
    leader.kill();
    let killed = now();
    site.url = other.url.clone();
    site.atoll(&["scale", "deployment/shop.prod", "5"]).ok();
    eventually("the other leads", || {
        (readiness(&site, &other.url)["leads"] == json!(true)).then_some(())
    });
    assert!(killed.elapsed().as_secs_f64() < 5.0, "it took {:?}", killed.elapsed());
    site.wait_ready("shop.prod", 5);

    // PostgreSQL restarts in the middle of a rollout; nothing is lost.
    let file = site.write("shop.yaml", &sample("shop", 3, "GREETING: two", "healthyFor: 200ms"));
    site.atoll(&["apply", "-f", &file]).ok();
    cluster.crash();
    cluster.resume();
    eventually("the rollout ends well", || {
        let release = site.field("deployment/shop.prod", "/status/release");
        let settled = site.field("deployment/shop.prod", "/status/phase") == json!("settled");
        (settled && release == json!("shop-2") && site.ready("shop.prod").len() == 5).then_some(())
    });
    other.kill();
}
