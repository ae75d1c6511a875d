//! Dynamic configuration: a switch that reaches running programs, by file and by HTTP, with and
//! without a server, at once and gray.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::site::{Site, eventually, now};

/// An application whose only business is its configuration: told by HUP, it looks at the file,
/// keeps what it saw, and dies of level 13, as it does when it starts with that. It looks outside
/// of its trap: a shell that is told again while it is in one takes a condition for another.
const LOOK: &str = r#"look() { f=$ATOLL_CONFIG_DIR/switches.json; cat $f >> $ATOLL_DATA_DIR/seen;
        if grep -q 'level": 13' $f; then echo cannot bear 13; exit 1; fi; };
        trap told=1 HUP; look;
        while :; do if [ "$told" ]; then told=; look; fi; sleep 0.05; done"#;

fn manifest(instances: u32) -> String {
    let script = LOOK.replace('\n', " ");
    let script = serde_json::to_string(&script).expect("text");
    format!(
        "apiVersion: atoll/v1
kind: Environment
metadata: {{ name: prod }}
spec: {{}}
---
apiVersion: atoll/v1
kind: Config
metadata: {{ name: switches }}
spec:
  switches:
    checkout: {{ default: true, owner: team/trade, description: orders can be placed }}
    level: {{ type: integer, default: 1, owner: team/trade }}
  then: {{ signal: HUP }}
---
apiVersion: atoll/v1
kind: Application
metadata: {{ name: shop }}
spec:
  environments: [prod]
  config: {{ dynamic: [switches] }}
  run:
    command: [sh, -c, {script}]
    env: {{ WHERE: '{{{{dirs.config}}}}/switches.json' }}
    resources: {{ cpu: 100m, memory: 32Mi }}
    restart: {{ backoff: 100ms..500ms }}
    stop: {{ grace: 1s }}
  scaling: {{ min: {instances}, max: 10 }}
  rollout: {{ healthyFor: 200ms }}
"
    )
}

/// What a process was given.
fn environment(pid: i64) -> BTreeMap<String, String> {
    let text = std::fs::read(format!("/proc/{pid}/environ")).expect("it runs");
    let pairs = text.split(|b| *b == 0).map(|pair| String::from_utf8_lossy(pair).into_owned());
    pairs.filter_map(|p| p.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))).collect()
}

fn file_of(pid: i64) -> Value {
    let path = environment(pid)["WHERE"].clone();
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// Status, tag and body of what the agent answers to the program of an instance.
fn ask(env: &BTreeMap<String, String>, path: &str, tag: &str) -> Option<(u16, String, String)> {
    let url = env["ATOLL_CONFIG_URL"].strip_prefix("http://").expect("an address").to_owned();
    let (address, base) = url.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let token = &env["ATOLL_CONFIG_TOKEN"];
    write!(
        stream,
        "GET /{base}{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         If-None-Match: {tag}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default();
    Some((status, tag.to_owned(), body.to_owned()))
}

#[test]
fn a_switch_reaches_all_instances_by_file_and_signal() {
    let site = Site::up();
    let file = site.write("shop.yaml", &manifest(2));
    site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "60s"]).ok();
    let ready = site.wait_ready("shop.prod", 2);
    for (_, pid) in &ready {
        assert_eq!(file_of(*pid), json!({ "checkout": true, "level": 1 }));
    }
    let began = now();
    let set = ["config", "set", "switches", "checkout=false", "--env", "prod", "--wait"];
    let said = site.atoll(&set).ok();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}: {said}");
    for (name, pid) in &ready {
        assert_eq!(file_of(*pid)["checkout"], json!(false));
        let data = environment(*pid)["ATOLL_DATA_DIR"].clone();
        eventually("the program has looked", || {
            let seen = std::fs::read_to_string(format!("{data}/seen")).unwrap_or_default();
            seen.contains("\"checkout\": false").then_some(())
        });
        let acks = site.field(&format!("instance/{name}"), "/status/configs/switches/version");
        assert_eq!(acks, site.field("config/switches", "/status/version"));
    }
    assert_eq!(site.ready("shop.prod"), ready, "nothing was started again");

    let wrong = site.atoll(&["config", "set", "switches", "checkout=off", "--env", "prod"]);
    assert_ne!(wrong.code, 0);
    assert!(wrong.err.contains("overlays[0].values.checkout"), "{}", wrong.err);
    let typo = site.atoll(&["config", "set", "switches", "chekout=false"]);
    assert!(typo.err.contains("did you mean \"checkout\"?"), "{}", typo.err);
    let status = site.atoll(&["config", "status", "switches"]).ok();
    assert!(status.contains("settled") && status.contains("shop.prod.1"), "{status}");
    let got = site.atoll(&["config", "get", "switches", "checkout", "--env", "prod"]).ok();
    assert_eq!(got, "false\n");

    // A draft is not live; pushed, it is.
    site.atoll(&["config", "set", "switches", "level=7", "--draft", "--note", "later"]).ok();
    let diff = site.atoll(&["config", "diff", "switches"]).ok();
    assert!(diff.contains("level") && diff.contains('7'), "{diff}");
    assert_eq!(file_of(ready[0].1)["level"], json!(1));
    site.atoll(&["config", "push", "switches", "--wait"]).ok();
    assert_eq!(file_of(ready[0].1)["level"], json!(7));
    site.atoll(&["config", "rollback", "switches", "--wait"]).ok();
    assert_eq!(file_of(ready[0].1), json!({ "checkout": false, "level": 1 }));
    let refused = site.atoll(&["delete", "config/switches"]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("is used by application/shop"), "{}", refused.err);
}

#[test]
fn programs_are_answered_by_their_agent_with_and_without_a_server() {
    let mut site = Site::empty();
    let data = site.path("server").to_string_lossy().into_owned();
    let mut server = site.server("server.log", &["--data", &data, "--listen", "127.0.0.1:0"]);
    let url = site.url.clone();
    let agent = site.agent("a", "zone=a", &url);
    let file = site.write("shop.yaml", &manifest(2));
    site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "60s"]).ok();
    let ready = site.wait_ready("shop.prod", 2);
    let env = environment(ready[0].1);
    let (status, tag, body) = ask(&env, "/switches", "").expect("an answer");
    assert_eq!((status, body.as_str()), (200, r#"{"checkout":true,"level":1}"#));
    assert_eq!(ask(&env, "/switches", &tag).expect("an answer").0, 304);
    assert_eq!(ask(&env, "/others", "").expect("an answer").0, 404);
    let mut stranger = env.clone();
    let other = environment(ready[1].1)["ATOLL_INSTANCE"].clone();
    let seal = env["ATOLL_CONFIG_TOKEN"].split_once(':').expect("a seal").1.to_owned();
    stranger.insert("ATOLL_CONFIG_TOKEN".to_owned(), format!("{other}:{seal}"));
    assert_eq!(ask(&stranger, "/switches", "").expect("an answer").0, 401);

    // One that has nothing yet is answered at once, and follows nothing by that look.
    let (name, env1) = (&ready[1].0, environment(ready[1].1));
    assert_eq!(ask(&env1, "/switches?wait=60s", "").expect("an answer").0, 200);
    let look = eventually("its look is known", || {
        let ack = site.field(&format!("instance/{name}"), "/status/configs/switches");
        ack["fetched"].is_u64().then_some(ack)
    });
    assert_ne!(look["follows"], json!(true), "{look}");

    // A program that waits is answered as soon as there is something else.
    let waiting = {
        let (env, tag) = (env.clone(), tag.clone());
        std::thread::spawn(move || ask(&env, "/switches?wait=60s", &tag))
    };
    let name = ready[0].0.clone();
    eventually("the agent knows that it waits", || {
        let follows = site.field(&format!("instance/{name}"), "/status/configs/switches/follows");
        (follows == json!(true)).then_some(())
    });
    site.atoll(&["config", "set", "switches", "level=2", "--wait"]).ok();
    let (status, newer, body) = waiting.join().expect("no panic").expect("an answer");
    assert_eq!((status, body.as_str()), (200, r#"{"checkout":true,"level":2}"#));
    assert_ne!(newer, tag);

    // Without a server, and after a restart of the agent, it is answered as before.
    server.kill().expect("it runs");
    server.wait().expect("it ends");
    assert_eq!(ask(&env, "/switches", "").expect("an answer").1, newer);
    site.kill_agent(agent);
    assert_eq!(ask(&env, "/switches", ""), None, "nobody answers now");
    site.agent_with("a", "zone=a", &url, "");
    let answer = eventually("the agent answers again", || ask(&env, "/switches", ""));
    assert_eq!((answer.0, answer.1), (200, newer));
}

#[test]
fn a_gray_release_is_promoted_and_a_bad_one_taken_back() {
    let site = Site::up();
    let file = site.write("shop.yaml", &manifest(3));
    site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "60s"]).ok();
    let ready = site.wait_ready("shop.prod", 3);
    let levels = || -> Vec<i64> {
        let mut all: Vec<i64> =
            ready.iter().filter_map(|(_, pid)| file_of(*pid)["level"].as_i64()).collect();
        all.sort_unstable();
        all
    };
    // To one of three, until somebody says more.
    site.atoll(&["config", "set", "switches", "level=2", "--gray", "1", "--soak", "1h"]).ok();
    eventually("one has it", || (levels() == [1, 1, 2]).then_some(()));
    let why = site.atoll(&["why", "config/switches"]).ok();
    assert!(why.contains("gray on 1 of the 3") && why.contains("atoll config promote"), "{why}");
    site.atoll(&["config", "promote", "switches", "--wait"]).ok();
    assert_eq!(levels(), [2, 2, 2]);

    // By itself, where nothing breaks.
    let quick = ["--gray", "1", "--soak", "1s", "--wait"];
    site.atoll(&[&["config", "set", "switches", "level=3"], &quick[..]].concat()).ok();
    assert_eq!(levels(), [3, 3, 3]);

    // One that breaks the instance that has it is taken back, and the others never see it.
    let bad = ["config", "set", "switches", "level=13", "--gray", "1", "--soak", "1h", "--wait"];
    let said = site.atoll(&bad);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.err.contains("taken back"), "{}", said.err);
    let well = site.wait_ready("shop.prod", 3);
    assert_eq!(well.iter().filter(|one| !ready.contains(one)).count(), 1, "only one was hurt");
    assert!(well.iter().all(|(_, pid)| file_of(*pid)["level"] == json!(3)));
    let list = site.atoll(&["get", "configs"]).ok();
    assert!(list.contains("rolled-back") || list.contains("taken back"), "{list}");
}
