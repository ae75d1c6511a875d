//! Rehearsals: scenario files, each with the page that is told of it beside it. `UPDATE_EXPECT=1
//! cargo test -p atoll-plan --test rehearsal` writes the pages anew. And what holds of every
//! rehearsal: it comes out the same, and writes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_model::manifest::read_scenario;
use atoll_model::rehearsal::Scenario;
use atoll_plan::rehearsal::{Stop, Today, run};

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

/// A fleet of so many hosts with ten times as many instances, at its busiest.
fn large(hosts: u32) -> Scenario {
    let applications = (hosts / 50).max(2);
    let each = hosts * 10 / applications;
    let day: Vec<f64> = (0..24)
        .map(|hour| 0.7 + 0.3 * (f64::from(hour - 14) / 24.0 * std::f64::consts::TAU).cos())
        .collect();
    let mut fleet = serde_json::json!({
        "zones": { "a": hosts / 4, "b": hosts / 4, "c": hosts / 4, "d": hosts - hosts / 4 * 3 },
        "host": { "cpu": "8", "memory": "16Gi" },
        "applications": {},
    });
    let mut load = serde_json::json!({});
    for i in 0..applications {
        fleet["applications"][format!("app-{i:03}")] = serde_json::json!({
            "capacity": 100, "min": 2, "max": each * 2,
            "resources": { "cpu": "500m", "memory": "512Mi" },
        });
        let level = f64::from(each) * 80.0;
        load[format!("app-{i:03}")] =
            serde_json::json!({ "level": level, "day": day, "noise": 0.02 });
    }
    let spec = serde_json::json!({
        "lasts": "24h", "fleet": fleet, "load": load,
        "faults": [{ "fault": "loss", "at": "13h", "of": "zone/a", "for": "1h" }],
    });
    Scenario::new("large", serde_json::from_value(spec).expect("a good scenario"))
}

/// `ATOLL_HOSTS=10000 cargo test -p atoll-plan --release --test rehearsal large -- --nocapture`
/// says how long it takes.
#[test]
fn a_day_of_a_large_fleet_is_rehearsed() {
    let hosts = std::env::var("ATOLL_HOSTS").ok().and_then(|hosts| hosts.parse().ok());
    let report = run(&large(hosts.unwrap_or(20)), &Today::default(), &never()).unwrap();
    let counts = (report.hosts, report.instances, report.deployments.len());
    println!("{counts:?}, {} plans, {} writes", report.plans, report.writes);
    let served: f64 = report.deployments.iter().map(|one| one.served).sum();
    let mean = served / report.deployments.len() as f64;
    assert!(mean > 0.95, "{mean}:\n{report}");
}
