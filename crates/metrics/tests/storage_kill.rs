//! What is left after a kill. On its own, for a process that is being started has the locks of
//! others for a moment.

mod storage_rounds;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use storage_rounds::{START, open, rounds, write};

/// Set for the process that is killed: the directory it writes to.
const CHILD: &str = "ATOLL_METRICS_TEST_WRITER";

/// Not a test of its own: the process that [`what_was_acknowledged_survives_a_kill`] kills.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let storage = open(Path::new(&dir));
    for round in rounds(&storage).. {
        write(&storage, round);
        println!("acknowledged {round}");
        if round % 100 == 0 {
            storage.sync().unwrap();
            storage.maintain(START).unwrap();
        }
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = -1;
    for more in [3, 250, 777] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = lines
            .map_while(Result::ok)
            .filter_map(|l| l.split_once("acknowledged ")?.1.parse::<i64>().ok())
            .take(more)
            .last()
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(acknowledged > last);
        last = acknowledged;
        let storage = open(dir.path());
        assert!(rounds(&storage) > last, "{} rounds, {last} was acknowledged", rounds(&storage));
    }
}
