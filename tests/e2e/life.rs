//! The life of an application: declared, placed, run, healed, scaled, updated, rolled back and
//! removed.

use serde_json::json;

use crate::site::{Site, alive, eventually, kill_hard, now, sample};

const QUICK: &str = "healthyFor: 300ms, deadline: 20s";

#[test]
fn an_application_lives_its_whole_life() {
    let site = Site::up();
    let file = site.write("shop.yaml", &sample("shop", 3, "GREETING: one", QUICK));
    site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "60s"]).ok();
    let first = site.wait_ready("shop.prod", 3);

    // A process that dies is started again, quickly.
    let (name, pid) = first[0].clone();
    let killed = now();
    kill_hard(pid);
    eventually("it is started again", || {
        let is = site.ready("shop.prod");
        is.into_iter().find(|(n, p)| *n == name && *p != pid)
    });
    assert!(killed.elapsed().as_secs() < 5, "it took {:?}", killed.elapsed());
    assert_eq!(site.field(&format!("instance/{name}"), "/status/restarts"), json!(1));

    site.atoll(&["scale", "deployment/shop.prod", "5", "--wait"]).ok();
    assert_eq!(site.ready("shop.prod").len(), 5);

    // A good release, in place: same hosts, same ports.
    let ports = |site: &Site| -> Vec<(String, String)> {
        let all = site.instances("shop.prod").into_iter();
        let mut all: Vec<_> = all
            .map(|i| (i["metadata"]["name"].to_string(), i["status"]["ports"].to_string()))
            .collect();
        all.sort();
        all
    };
    let before = ports(&site);
    let in_place = format!("{QUICK}, maxUnavailable: 2, maxSurge: 0");
    let file = site.write("shop.yaml", &sample("shop", 3, "GREETING: two", &in_place));
    site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "60s"]).ok();
    assert_eq!(site.field("deployment/shop.prod", "/status/release"), json!("shop-2"));
    assert_eq!(ports(&site), before);

    a_bad_release_is_taken_back(&site);

    let history = site.atoll(&["history", "deployment/shop.prod"]).ok();
    assert!(history.contains("rollback") && history.contains("user/local"), "{history}");

    let pids: Vec<i64> = site.ready("shop.prod").into_iter().map(|(_, pid)| pid).collect();
    site.atoll(&["delete", "application/shop"]).ok();
    eventually("everything of it is gone", || {
        let gone = site.atoll(&["get", "application/shop"]).code == 5
            && site.instances("shop.prod").is_empty()
            && pids.iter().all(|pid| !alive(*pid));
        gone.then_some(())
    });
}

fn a_bad_release_is_taken_back(site: &Site) {
    // A bad one is taken back by itself, and whoever waits is told.
    let bad = sample("shop", 3, "GREETING: three, SAMPLE_BROKEN: \"yes\"", QUICK);
    let file = site.write("shop.yaml", &bad);
    let said = site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "60s"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert_eq!(site.field("deployment/shop.prod", "/status/release"), json!("shop-2"));
    assert_eq!(site.field("deployment/shop.prod", "/status/failed/release"), json!("shop-3"));
    let why = site.atoll(&["why", "deployment/shop.prod"]).ok();
    assert!(why.contains("shop-3") && why.contains("500"), "{why}");
    assert_eq!(site.ready("shop.prod").len(), 5);

    // By hand, to the target before: five instances of shop-1.
    site.atoll(&["deploy", "shop", "--env", "prod", "--release", "shop-1", "--wait"]).ok();
    assert_eq!(site.field("deployment/shop.prod", "/status/release"), json!("shop-1"));
    site.atoll(&["rollback", "deployment/shop.prod", "--wait"]).ok();
    assert_eq!(site.field("deployment/shop.prod", "/status/release"), json!("shop-2"));

    // A release that failed may be asked for again, and fails again.
    let again = ["deploy", "shop", "--env", "prod", "--release", "shop-3", "--wait"];
    for _ in 0..2 {
        assert_eq!(site.atoll(&again).code, 1, "it is tried, and taken back");
    }
    assert_eq!(site.field("deployment/shop.prod", "/status/release"), json!("shop-2"));
}

#[test]
fn what_runs_outlives_server_agent_and_shim() {
    let mut site = Site::up();
    let file = site.write("shop.yaml", &sample("shop", 3, "GREETING: one", QUICK));
    site.atoll(&["apply", "-f", &file, "--wait"]).ok();
    let before = site.wait_ready("shop.prod", 3);

    site.kill_up();
    assert!(before.iter().all(|(_, pid)| alive(*pid)), "instances outlive the server and agent");
    site.start_up();
    assert_eq!(site.wait_ready("shop.prod", 3), before, "they are adopted, not started again");

    // The parent of an instance is its shim.
    let (name, pid) = before[0].clone();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let parent =
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).expect("a parent");
    let parent = parent.parse().expect("a pid");
    assert_eq!([parent, pid].map(may_have_huge_pages), [false, true], "its memory is its own");
    kill_hard(parent);
    assert!(alive(pid), "an instance outlives its shim");
    // Adopted anew, it is still restarted when it dies.
    kill_hard(pid);
    eventually("a new shim starts it again", || {
        site.ready("shop.prod").into_iter().find(|(n, p)| *n == name && *p != pid)
    });

    // What changed while nobody looked is done when somebody does.
    let pids: Vec<i64> = site.ready("shop.prod").iter().map(|(_, pid)| *pid).collect();
    site.atoll(&["scale", "deployment/shop.prod", "1"]).ok();
    site.kill_up();
    site.start_up();
    site.wait_ready("shop.prod", 1);
    eventually("two of three have stopped", || {
        (pids.iter().filter(|pid| alive(**pid)).count() == 1).then_some(())
    });
}

fn may_have_huge_pages(pid: i64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
    line.expect("a kernel that tells").trim() == "1"
}
