//! Fleets under a budget that refuses, with loads that come and go and people who scale: nothing
//! that grows takes what is meant to run past what the month has left.

use std::cell::RefCell;
use std::rc::Rc;

use atoll_model::{Autoscaler, Budget, Snapshot, Write};
use atoll_plan::budget::book::Book;
use atoll_plan::budget::bound::allowed_rate;
use atoll_plan::budget::scope;
use atoll_plan::elasticity::SIGNAL;
use atoll_plan::query::{Answer, Period, Series};
use atoll_plan::sim::Entry;

use super::*;

/// Three applications of a team: two follow a load of their own, one is scaled by people.
fn fleet(seed: u64, loads: &[Rc<RefCell<f64>>; 2]) -> Sim {
    let mut sim = Sim::new(seed);
    let capacity = Amount { cpu: Cpu(64_000), memory: Memory(1 << 38), instances: 0 };
    sim.join("h0", &[], capacity);
    let object = |kind: &str, name: &str, spec: serde_json::Value| {
        Any::from_value(serde_json::json!({
            "apiVersion": "atoll/v1", "kind": kind, "metadata": { "name": name }, "spec": spec,
        }))
        .unwrap()
    };
    let application = |name: &str| {
        object(
            "Application",
            name,
            serde_json::json!({
                "owner": "team/trade",
                "run": { "command": ["x"], "resources": { "cpu": "500m", "memory": "1Gi" } },
                "scaling": { "min": 1, "max": 60, "downAfter": "1m",
                    "perInstance": { "query": "load", "target": 100 } },
            }),
        )
    };
    let objects = vec![
        object(
            "Price",
            "list",
            serde_json::json!({
                "from": "2023-01-01T00:00:00Z", "currency": "EUR",
                "cpuHour": "0.02", "memoryGiBHour": "0.0025",
            }),
        ),
        object("Environment", "prod", serde_json::json!({})),
        application("web"),
        application("api"),
        object(
            "Application",
            "job",
            serde_json::json!({
                "owner": "team/trade",
                "run": { "command": ["x"], "resources": { "cpu": "250m", "memory": "1Gi" } },
            }),
        ),
        object(
            "Budget",
            "trade",
            serde_json::json!({
                "team": "trade", "exceed": "refuse",
                "month": { "limit": 30 + Random::new(seed).below(90), "currency": "EUR" },
            }),
        ),
    ];
    sim.apply(objects).unwrap();
    for (name, load) in ["web.prod", "api.prod"].into_iter().zip(loads) {
        let kept = format!("{SIGNAL}{{deployment=\"{name}\",signal=\"load\"}}");
        let load = load.clone();
        sim.metrics.insert(kept, Box::new(move |period| constant(*load.borrow(), period)));
    }
    sim
}

fn constant(load: f64, period: Period) -> Answer {
    let points = match period {
        Period::At(at) => vec![(at, load)],
        Period::Range { from, to, step } => {
            let times = std::iter::successors(Some(from), |at| Some(*at + step));
            times.take_while(|at| *at <= to).map(|at| (at, load)).collect()
        }
    };
    Answer { series: vec![Series { points, ..Series::default() }], ..Answer::default() }
}

/// **Property:** whatever the loads, whoever scales, and whenever the server is restarted.
pub fn stays_within(seed: u64) {
    let loads = [Rc::new(RefCell::new(100.0)), Rc::new(RefCell::new(100.0))];
    let (mut sim, mut random) = (fleet(seed, &loads), Random::new(seed + 1));
    for _ in 0..4 {
        for load in &loads {
            *load.borrow_mut() = random.below(3_000) as f64;
        }
        sim.advance(random.span(Span(0), Span::seconds(200)));
        let Some(stored) = sim.world.get::<Deployment>("job.prod") else { continue };
        let mut new = Object::clone(stored);
        new.spec.instances = random.below(60) as u32;
        let _ = sim.apply(vec![Any::Deployment(Arc::new(new))]);
        if random_half(&mut random) {
            sim.restart_server(Span::default());
        }
    }
    // More than any limit pays for.
    loads.iter().for_each(|load| *load.borrow_mut() = 6_000.0);
    sim.advance(Span::seconds(240));
    let journal = std::mem::take(&mut sim.journal);
    for (at, entry) in journal.iter().enumerate() {
        within(seed, entry, journal.get(at + 1).map_or(&sim.world, |next| &next.before));
    }
    let held = sim
        .world
        .all::<Autoscaler>()
        .any(|autoscaler| autoscaler.status.reasons.iter().any(|reason| reason.code == "budget"));
    assert!(held, "seed {seed}: no budget held anything");
}

/// Checks one commit: where more is wanted after it, there is money for that.
fn within(seed: u64, entry: &Entry, after: &Snapshot) {
    let wanted = |world: &Snapshot| -> u32 {
        world.all::<Deployment>().map(|deployment| deployment.wanted()).sum()
    };
    let Some(budget) = entry.before.get::<Budget>("trade") else { return };
    let edits = entry.writes.iter().any(|w| matches!(w, Write::Put(Any::Deployment(_))));
    if !edits || wanted(after) <= wanted(&entry.before) {
        return;
    }
    let book = Book::of(&entry.before, "EUR", entry.at);
    let rate = scope::meant_rate(after, &book, &budget.spec);
    let allowed = allowed_rate(budget, entry.at);
    // What an application is given to begin with was allowed when it was applied.
    assert!(
        rate <= allowed || wanted(after) <= 3,
        "seed {seed} at {}: {} made it {rate} an hour of {allowed}",
        entry.at,
        entry.actor
    );
}
