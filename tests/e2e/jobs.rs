//! One command on many hosts, with real agents: results by host, retries, users, bounds, once for a
//! key, an agent that is killed on the way, and runbooks.

use serde_json::json;

use crate::site::{Site, eventually};

impl Site {
    fn has_hosts(&self, count: usize) {
        eventually("all hosts are ready", || {
            let hosts = self.json(&["get", "hosts", "-o", "json"]);
            let ready = |host: &&serde_json::Value| host["status"]["phase"] == json!("ready");
            (hosts["items"].as_array()?.iter().filter(ready).count() == count).then_some(())
        });
    }
}

#[test]
fn a_command_is_done_on_many_hosts_and_again_where_it_failed() {
    let mut site = Site::up();
    let url = site.url.clone();
    site.agent("a", "zone=a", &url);
    site.agent("b", "zone=b", &url);
    site.has_hosts(3);
    let flag = site.path("flag");
    let script = format!(
        "echo hi from $ATOLL_HOST; [ $ATOLL_HOST != b ] || [ -e {} ] || exit 3",
        flag.display()
    );
    let said = site.atoll(&["run", "--", "sh", "-c", &script]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    for host in ["a", "b", "local"] {
        assert!(said.out.contains(&format!("{host} | hi from {host}\n")), "{}", said.out);
    }
    assert!(said.err.contains("b failed") && said.err.contains("2 of 3 hosts"), "{}", said.err);
    let job = site.atoll(&["get", "jobs", "-o", "name"]).ok().trim().to_owned();
    std::fs::write(&flag, "").expect("a file");
    let said = site.atoll(&["retry", &job]);
    assert_eq!((said.code, said.out.as_str()), (0, "b | hi from b\n"), "{}", said.err);
    assert!(site.atoll(&["why", &job]).ok().contains("succeeded"));

    let all = site.json(&["run", "--on", "zone=a", "--run-as", "nobody", "-o", "json", "--", "id"]);
    let of_a = all["hosts"]["a"]["output"].as_str().expect("an output");
    assert!(of_a.starts_with("uid=65534(nobody)"), "{all}");
    assert_eq!(all["hosts"].as_object().map(serde_json::Map::len), Some(1));

    let once = ["run", "--once", "key", "--", "sh", "-c", "echo x >> $HOME/once-$ATOLL_HOST"];
    assert_eq!(site.atoll(&once).code, 0);
    let said = site.atoll(&once);
    assert!(said.code == 0 && said.err.contains("every host has done it before"), "{}", said.err);
    let said = site.atoll(&["run", "--once", "key", "--", "true"]);
    assert!(said.code == 6 && said.err.contains("another command"), "{}", said.err);
    let said = site.atoll(&["retry", "job/once-key"]);
    assert!(said.code == 0 && said.err.contains("done it before"), "{}", said.err);
    let begun = site.atoll(&["run", "--no-follow", "--host", "a", "--", "true"]).ok();
    assert!(begun.starts_with("job/true-"), "{begun}");
    site.atoll(&["why", begun.trim()]).ok();
    for (args, code, says) in [
        (vec!["run", "--on", "zone=nowhere", "--", "true"], 1, "no host has the labels"),
        (vec!["run", "--host", "ghost", "--", "true"], 5, "there is no host ghost"),
        (vec!["run", "--host", "a", "--run-as", "ghost", "--", "true"], 1, "no user ghost"),
        (vec!["run", "--host", "a", "--", "no-such-program"], 1, "it is nowhere in"),
        (vec!["run", "--host", "a", "--timeout", "1s", "--", "sleep", "60"], 1, "longer than 1s"),
        (vec!["run", "--host", "a"], 2, "after --"),
        (vec!["run", "--batch", "0", "--", "true"], 2, "batches[0]"),
    ] {
        let said = site.atoll(&args);
        assert!(
            said.code == code && said.err.contains(says),
            "{args:?}: {}{}",
            said.code,
            said.err
        );
    }
}

#[test]
fn a_job_outlives_an_agent_that_is_killed_and_begins_nothing_twice() {
    let mut site = Site::up();
    let url = site.url.clone();
    let pid = site.agent("a", "zone=a", &url);
    site.has_hosts(2);
    let (count, go) = (site.path("count"), site.path("go"));
    let script = format!(
        "echo begun >> {}; while [ ! -e {} ]; do sleep 0.1; done; head -c 3000000 /dev/zero; echo end",
        count.display(),
        go.display()
    );
    let mut following = site.begin(&["run", "--host", "a", "--", "sh", "-c", &script]);
    eventually("it has begun", || count.exists().then_some(()));
    site.kill_agent(pid);
    site.agent_with("a", "zone=a", &url, "");
    std::fs::write(&go, "").expect("a file");
    assert!(following.wait().expect("it ends").success());
    assert_eq!(std::fs::read_to_string(&count).expect("a file"), "begun\n");
    let job = site.atoll(&["get", "jobs", "-o", "name"]).ok();
    let name = job.trim().trim_start_matches("job/");
    let log = site.atoll(&["logs", &format!("task/{name}.r1.a")]).ok();
    assert!(log.len() < 1_100_000 && log.contains("bytes left out here"), "{}", log.len());
    assert!(log.trim_end().ends_with("end"), "what it said last is kept");
}

#[test]
fn a_runbook_checks_what_it_is_given_and_keeps_it_out_of_scripts() {
    let site = Site::up();
    let book = "apiVersion: atoll/v1
kind: Runbook
metadata: { name: greet }
spec:
  params: { who: {}, times: { type: number, default: 1, oneOf: [1, 2] } }
  do: { command: [sh, -c, 'echo \"hello $PARAM_WHO\" {{params.times}}'], batches: [\"1\"] }
";
    let file = site.write("greet.yaml", book);
    site.atoll(&["apply", "-f", &file]).ok();
    site.has_hosts(1);
    let run = |more: &[&str]| site.atoll(&[&["run", "runbook/greet"], more].concat());
    let said = run(&["-p", "who=$(id)\"; id", "-p", "times=2"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "local | hello $(id)\"; id 2\n"),
        "{}",
        said.err
    );
    for (given, says) in [
        (vec![], "\"who\" was not given"),
        (vec!["-p", "who=x", "-p", "tims=1"], "did you mean \"times\""),
        (vec!["-p", "who=x", "-p", "times=3"], "not one of 1, 2"),
        (vec!["-p", "who=x", "-p", "times=many"], "is to be a number"),
    ] {
        let said = run(&given);
        assert!(said.code != 0 && said.err.contains(says), "{}: {}", said.code, said.err);
    }
    assert!(site.atoll(&["why", "runbook/greet"]).ok().contains("greet.1"));
}
