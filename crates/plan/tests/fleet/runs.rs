//! Random runs on a fleet with faults: every one ends, no task is begun twice, and no host is given
//! more than it has.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::ci::run::Cause;
use atoll_model::cmdb::Amount;
use atoll_model::{Cpu, Host, Memory, Object, Pipeline, Run, Span, Task};
use atoll_plan::ci::begin::{Ask, begin};
use atoll_plan::sim::{Behaviour, Faults, Loss, Random, Sim};
use serde_json::{Value, json};

const HOSTS: u64 = 3;
const TURNS: u64 = 40;

/// Plays one world to its end.
pub fn play(seed: u64) {
    let mut random = Random::new(seed ^ 0x5eed);
    let mut sim = Sim::new(seed);
    sim.faults = Faults { lost: 60, doubled: 60, late: 60, slow: 0 };
    for host in 0..HOSTS {
        let capacity = Amount { cpu: Cpu(2_000), memory: Memory(8 << 30), instances: 0 };
        sim.join(&format!("h{host}"), &[], capacity);
    }
    for step in ["s0", "s1", "s2", "s3"] {
        let all = [
            Behaviour::Good,
            Behaviour::Good,
            Behaviour::Dies,
            Behaviour::Deaf,
            Behaviour::Slow(Span::seconds(40)),
        ];
        if let Some(behaviour) = random.pick(&all) {
            sim.behaviours.insert(step.to_owned(), *behaviour);
        }
    }
    for _ in 0..TURNS {
        turn(&mut sim, &mut random);
        sim.advance(random.span(Span(100), Span(20_000)));
        stays_within_bounds(&sim, seed);
    }
    for host in 0..HOSTS {
        sim.give_back(&format!("h{host}"));
    }
    sim.faults = Faults::default();
    // Scripts that never end are ended by their deadlines; retries come after each other.
    sim.advance(Span::seconds(3 * 3_600));
    let going: Vec<String> = sim
        .world
        .all::<Run>()
        .filter(|run| !run.status.phase.is_over())
        .map(|run| format!("{} {:?}", run.name(), run.status))
        .collect();
    assert_eq!(going, [""; 0], "seed {seed}: runs without an end");
    let mut seen = BTreeSet::new();
    for (host, task) in sim.begun() {
        assert!(seen.insert(task.to_owned()), "seed {seed}: {task} was begun again on {host}");
    }
}

fn turn(sim: &mut Sim, random: &mut Random) {
    let host = format!("h{}", random.below(HOSTS));
    match random.below(8) {
        0 => sim.lose(&host, Loss::Cut),
        1 => sim.give_back(&host),
        2 => sim.restart_server(Span::default()),
        3 => cancel(sim, random),
        _ => run(sim, random),
    }
}

fn cancel(sim: &mut Sim, random: &mut Random) {
    let going: Vec<_> = sim.world.all::<Run>().filter(|r| !r.status.phase.is_over()).collect();
    let Some(run) = random.pick(&going) else { return };
    let mut new = Object::clone(run);
    new.spec.cancelled = true;
    // A run that has ended meanwhile needs no end.
    let _ = sim.apply(vec![atoll_model::Any::Run(new.into())]);
}

fn run(sim: &mut Sim, random: &mut Random) {
    let steps: Vec<Value> = (0..1 + random.below(4)).map(|at| step(at, random)).collect();
    let mut spec = json!({ "steps": steps, "timeout": "40m" });
    if random.per_mille(300) {
        spec["concurrency"] = json!({ "group": "g", "cancel": random.per_mille(500) });
    }
    let definition: Pipeline = serde_json::from_value(spec).expect("a pipeline");
    let ask = Ask {
        pipeline: format!("p{}", random.below(3)),
        cause: Cause::Manual,
        key: random.number().to_string(),
        branch: None,
        commit: None,
        source: None,
        definition: Some(Box::new(definition)),
        params: BTreeMap::new(),
    };
    let (plan, _) = begin(&sim.context(), &ask).expect("it may begin");
    sim.commit(&Sim::person(), plan).expect("the gate lets it");
}

fn step(at: u64, random: &mut Random) -> Value {
    let needs: Vec<String> =
        (0..at).filter(|_| random.per_mille(400)).map(|n| format!("s{n}")).collect();
    let mut step = json!({
        "name": format!("s{at}"), "needs": needs, "run": "do",
        "always": random.per_mille(150), "mayFail": random.per_mille(150),
        "retry": { "lost": random.below(3), "failed": random.below(2) },
        "limits": { "timeout": "5m", "resources": { "cpu": "700m", "memory": "100Mi" } },
    });
    if random.per_mille(300) {
        step["matrix"] = json!({ "axes": { "n": ["0", "1", "2"] } });
        step["matrix"]["failFast"] = random.per_mille(300).into();
    }
    step
}

fn stays_within_bounds(sim: &Sim, seed: u64) {
    for host in sim.world.all::<Host>() {
        let used: u64 = sim
            .world
            .all::<Task>()
            .filter(|task| task.spec.host.as_deref() == Some(host.name()))
            .filter(|task| !task.status.phase.is_over())
            .map(|task| task.spec.work.limits.resources.cpu.0)
            .sum();
        let usage = sim.world.usage(host.name()).map_or(0, |usage| usage.amount.cpu.0);
        assert_eq!(used, usage, "seed {seed}: the index of {} is wrong", host.name());
        let capacity = host.status.capacity.cpu.0;
        assert!(used <= capacity, "seed {seed}: {} is given {used} of {capacity}", host.name());
    }
    for run in sim.world.all::<Run>() {
        let tasks: Vec<_> = sim.world.derived::<Task>(run.name()).collect();
        for at in 0..run.status.cells.len() {
            let ours = tasks.iter().filter(|task| task.spec.cell as usize == at);
            let going = ours.filter(|task| !task.status.phase.is_over()).count();
            assert!(going <= 1, "seed {seed}: {going} tasks of cell {at} of {}", run.name());
        }
    }
}
