//! A scenario of any size to measure with, a day of a busy fleet. Not a test of anything.

use std::f64::consts::TAU;

use atoll_model::Span;
use atoll_model::cmdb::ZONE_LABEL;
use atoll_model::rehearsal::{Fault, Fleet, Load, MadeApplication, MadeFleet, Rehearsal, Scenario};
use atoll_model::run::Resources;
use atoll_model::{Cpu, Memory};

const ZONES: [&str; 4] = ["a", "b", "c", "d"];
const HOUR: u64 = 3_600;

/// So many hosts in four zones, ten times as many instances of an application for each 50 of them
/// at the peak of the day and four tenths of that at night, and a zone that is lost for an hour
/// near the peak.
pub fn large(hosts: u32) -> Scenario {
    let applications = (hosts / 50).max(2);
    let each = hosts * 10 / applications;
    let day: Vec<f64> =
        (0..24).map(|hour| 0.7 + 0.3 * (f64::from(hour - 14) / 24.0 * TAU).cos()).collect();
    let mut spec = Rehearsal { lasts: Span::seconds(24 * HOUR), ..Rehearsal::default() };
    let mut fleet = MadeFleet {
        zones: (0..4).map(|i| (ZONES[i as usize].to_owned(), (hosts + 3 - i) / 4)).collect(),
        host: Resources { cpu: Cpu(8_000), memory: Memory(16 << 30) },
        applications: Default::default(),
        objects: Vec::new(),
    };
    for i in 0..applications {
        let name = format!("app-{i:03}");
        let made = MadeApplication {
            instances: None,
            min: 2,
            max: each * 2,
            capacity: 100.0,
            target: None,
            predict: false,
            calls: Default::default(),
            resources: Resources { cpu: Cpu(500), memory: Memory(512 << 20) },
            start: None,
            promise: None,
            critical: false,
            rollout: None,
        };
        let load = Load {
            level: Some(f64::from(each) * made.aim()),
            day: day.clone(),
            noise: Some(0.005),
            ..Load::default()
        };
        spec.load.insert(name.clone(), load);
        fleet.applications.insert(name, made);
    }
    spec.fleet = Fleet::Made(Box::new(fleet));
    let (at, lasts) = (Span::seconds(13 * HOUR), Some(Span::seconds(HOUR)));
    spec.faults.push(Fault::Loss { at, of: format!("{ZONE_LABEL}/a"), lasts });
    Scenario::new("large", spec)
}
