//! Days of a fleet that loses hosts and zones, is given bad releases and more load than was
//! thought, all at random, while it is scaled and released as on any day. What is not served
//! has to have a cause outside the platform, and when the faults are over everything is as it is
//! meant to be, with nobody having been asked. `ATOLL_DAYS=1000 cargo test -p atoll-plan --release
//! --test days` goes through a thousand.

use std::sync::Arc;

use atoll_model::manifest::read_scenario;
use atoll_model::rehearsal::Scenario;
use atoll_model::rehearsal::report::{Broken, RehearsalReport};
use atoll_plan::rehearsal::{Today, run};
use atoll_plan::sim::Random;
use serde_json::{Value, json};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// What a fault has done is mended so soon after it is over: instances are made elsewhere, and a
/// release is watched for as long before it is taken back.
const MENDED: u64 = 20 * MINUTE;
const APPLICATIONS: [&str; 3] = ["shop", "stock", "pay"];

/// One day, and when something was wrong with it from outside, in seconds.
struct Day {
    scenario: Scenario,
    faulty: Vec<(u64, u64)>,
}

impl Day {
    fn of(seed: u64) -> Day {
        let mut random = Random::new(seed);
        let mut faults = Vec::new();
        let mut faulty = Vec::new();
        // One after the other, so that each is mended before the next.
        let mut at = HOUR;
        while at < 20 * HOUR {
            let (fault, lasts) = fault(&mut random, at);
            faulty.push((at, at + lasts + MENDED));
            at += lasts + MENDED + MINUTE * (30 + random.below(120));
            faults.push(fault);
        }
        let changes: Vec<Value> = (0..3)
            .map(|_| {
                let at = HOUR + MINUTE * random.below(19 * 60);
                let of = APPLICATIONS[random.below(3) as usize];
                json!({ "change": "deploy", "at": format!("{at}s"), "of": format!("{of}.prod") })
            })
            .collect();
        let hosts = 4 + random.below(4);
        let application = |calls: Value| {
            json!({
                "capacity": 100, "min": 3, "max": 60, "promise": "99%", "critical": true,
                "calls": calls, "start": "30s",
                "rollout": { "strategy": "canary", "deadline": "5m",
                             "steps": [{ "instances": "1", "soak": "4m" },
                                       { "instances": "50%", "soak": "4m" }] },
            })
        };
        let level = 300 + random.below(500);
        // The same for the last hours, so that at the end no step of an autoscaler is under way.
        let day = [0.4, 0.4, 0.4, 0.7, 0.9, 1.0, 1.0, 0.9, 0.7, 0.5, 0.4, 0.4];
        let spec = json!({
            "seed": seed,
            "from": "2026-03-02T00:00:00Z",
            "lasts": "24h",
            "start": "30s",
            "fleet": {
                "zones": { "a": hosts, "b": hosts, "c": hosts },
                "host": { "cpu": 8, "memory": "32Gi" },
                "applications": {
                    "shop": application(json!({ "stock": 0.5, "pay": 0.2 })),
                    "stock": application(json!({})),
                    "pay": application(json!({})),
                },
            },
            "load": { "shop": { "level": level, "day": day, "noise": 0.02 } },
            "faults": faults,
            "changes": changes,
            "checks": [{ "check": "settled" }],
        });
        let text = json!({
            "apiVersion": "atoll/v1", "kind": "Rehearsal",
            "metadata": { "name": format!("day-{seed}") }, "spec": spec,
        });
        let read = read_scenario("day", text.to_string().as_bytes());
        let scenario = read.unwrap_or_else(|wrong| panic!("{wrong:?}"));
        Day { scenario, faulty }
    }

    /// Whether something was wrong from outside in some part of that time.
    fn explains(&self, broken: &Broken) -> bool {
        let (from, to) = (broken.from.0 / 1_000, broken.to.0 / 1_000);
        self.faulty.iter().any(|(begins, ends)| from <= *ends && to >= *begins && to <= *ends)
    }
}

/// A fault at a time, and how long it lasts.
fn fault(random: &mut Random, at: u64) -> (Value, u64) {
    let of = APPLICATIONS[random.below(3) as usize];
    let lasts = MINUTE * (5 + random.below(55));
    let (begins, ends) = (format!("{at}s"), format!("{lasts}s"));
    match random.below(7) {
        0 | 1 => {
            let zone = ["a", "b", "c"][random.below(3) as usize];
            let of = format!("host/{zone}-{:05}", random.below(4));
            (json!({ "fault": "loss", "at": begins, "of": of, "for": ends }), lasts)
        }
        2 => {
            let of = format!("zone/{}", ["a", "b", "c"][random.below(3) as usize]);
            (json!({ "fault": "loss", "at": begins, "of": of, "for": ends }), lasts)
        }
        3 => (json!({ "fault": "slow", "at": begins, "of": of, "by": "2m", "for": ends }), lasts),
        4 => {
            let times = 1.2 + random.below(18) as f64 / 10.0;
            let fault = json!({
                "fault": "load", "at": begins, "of": "shop", "times": times, "for": ends,
            });
            (fault, lasts)
        }
        _ => {
            let how = ["dies", "deaf", "fails"][random.below(3) as usize];
            (json!({ "fault": "release", "at": begins, "of": of, "how": how }), 10 * MINUTE)
        }
    }
}

/// What is wrong with how a day came out; nothing, where all is well.
fn wrong(day: &Day, report: &RehearsalReport) -> Vec<String> {
    let mut wrong = Vec::new();
    for one in &report.deployments {
        for broken in one.broken.iter().filter(|broken| !day.explains(broken)) {
            wrong.push(format!(
                "{} from {} to {}, {:.1} % at worst, and nothing outside was wrong: {}",
                one.deployment,
                broken.from,
                broken.to,
                broken.worst * 100.0,
                broken.why
            ));
        }
    }
    wrong.extend(report.checks.iter().filter(|check| !check.held).map(|c| c.found.clone()));
    wrong
}

#[test]
fn nothing_breaks_by_itself_and_everything_is_mended_by_itself() {
    let days = std::env::var("ATOLL_DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(6);
    let first = std::env::var("ATOLL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let (mut bad, mut broken) = (Vec::new(), 0);
    for seed in first..first + days {
        let day = Day::of(seed);
        let report = run(&day.scenario, &Today::default(), &(Arc::new(|| false) as _));
        let report = report.unwrap_or_else(|why| panic!("seed {seed}: {why:?}"));
        broken += report.deployments.iter().map(|one| one.broken.len()).sum::<usize>();
        let wrong = wrong(&day, &report);
        if !wrong.is_empty() {
            bad.push(format!("seed {seed}:\n  {}", wrong.join("\n  ")));
            if days == 1 {
                println!("{report}");
            }
        }
    }
    println!("{days} days, {broken} times something was not served, with a cause each");
    assert!(bad.is_empty(), "{} of {days} days:\n{}", bad.len(), bad.join("\n"));
}
