//! Rehearsals: scenario files, each with the page that is told of it beside it. `UPDATE_EXPECT=1
//! cargo test -p atoll-plan --test rehearsal` writes the pages anew. And what holds of every
//! rehearsal: it comes out the same, and writes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_model::manifest::read_scenario;
use atoll_model::rehearsal::Fleet;
use atoll_model::rehearsal::Scenario;
use atoll_plan::rehearsal::{Stop, Today, run, sample};

fn never() -> Stop {
    Arc::new(|| false)
}

fn read(file: &Path) -> Scenario {
    let text = fs::read(file).unwrap();
    read_scenario(&file.display().to_string(), &text).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    all.sort();
    all
}

#[test]
fn scenarios_come_out_as_written() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsal");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let only = std::env::var("CASE").unwrap_or_default();
    let all = files(&here);
    assert!(all.len() >= 5, "no scenarios in {}", here.display());
    let mut wrong = Vec::new();
    for file in all.iter().filter(|file| file.to_string_lossy().contains(&only)) {
        let report = run(&read(file), &Today::default(), &never());
        let actual = report.map(|report| report.to_string()).unwrap_or_else(|e| format!("{e:?}\n"));
        let page = file.with_extension("txt");
        let expected = fs::read_to_string(&page).unwrap_or_default();
        if update {
            fs::write(&page, &actual).unwrap();
        } else if actual != expected {
            wrong.push(format!("{}:\n{actual}", page.display()));
        }
    }
    let again = "if this is right: UPDATE_EXPECT=1 cargo test -p atoll-plan --test rehearsal";
    assert!(wrong.is_empty(), "{}\n{again}", wrong.join("\n"));
}

/// `ATOLL_HOSTS=10000 cargo test -p atoll-plan --release --test rehearsal large -- --nocapture`
/// says how long it takes.
#[test]
fn a_day_of_a_large_fleet_is_rehearsed() {
    let hosts = std::env::var("ATOLL_HOSTS").ok().and_then(|hosts| hosts.parse().ok());
    let report = run(&sample::large(hosts.unwrap_or(20)), &Today::default(), &never()).unwrap();
    let counts = (report.hosts, report.instances, report.deployments.len());
    println!("{counts:?}, {} plans, {} writes", report.plans, report.writes);
    let steps: u32 =
        report.decisions.iter().filter(|d| d.by == "autoscaler").map(|d| d.times).sum();
    println!("{steps} decisions of autoscalers");
    let served: f64 = report.deployments.iter().map(|one| one.served).sum();
    let mean = served / report.deployments.len() as f64;
    assert!(mean > 0.95, "{mean}:\n{report}");
}

#[test]
fn the_same_scenario_comes_out_the_same() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsal/load-five-times.yaml");
    let mut scenario = read(&here);
    let told = |scenario: &Scenario| {
        let report = run(scenario, &Today::default(), &never()).unwrap();
        serde_json::to_string(&report).unwrap()
    };
    let first = told(&scenario);
    assert_eq!(first, told(&scenario));
    scenario.spec.seed += 1;
    assert_ne!(first, told(&scenario), "another seed is another noise");
}

#[test]
fn examples_come_out_as_they_say() {
    let all = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rehearsal"));
    assert!(all.len() >= 3, "{all:?}");
    for file in all {
        let scenario = read(&file);
        if scenario.spec.fleet == Fleet::Today {
            continue;
        }
        let report = run(&scenario, &Today::default(), &never()).unwrap();
        assert!(report.held, "{}:\n{report}", file.display());
        let wide = report.to_string().lines().map(|line| line.chars().count()).max();
        assert!(wide.is_some_and(|wide| wide <= 80), "{report}");
    }
}

#[test]
fn one_that_takes_too_long_is_ended() {
    let stop: Stop = Arc::new(|| true);
    let ended = run(&sample::large(20), &Today::default(), &stop).unwrap_err();
    assert_eq!(ended[0].code, "too-long");
}
