//! Makes labelled changes for the replay bench: a small world with load, noise and surroundings,
//! and in every second case a harm that comes with the release. Only the seed decides. Not what
//! judges them; the two share nothing.

use atoll_model::guard::{Guard, Missing, SignalKind, Verdict, Worse};
use atoll_model::{Span, Timestamp};

use super::case::{Case, CaseSeries, CaseSignal, Change, ChangeStep, FORMAT, Label};
use chance::Chance;
use world::World;

mod chance;
mod world;

/// 2026-03-02T10:00:00Z, a Monday.
const EPOCH: i64 = 1_772_445_600_000;

/// What the release breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Harm {
    None,
    /// Latency is so many times what it was.
    Latency(f64),
    /// A share that grows to this much more, of memory or latency, by the end of the watch.
    Leak(f64),
    /// Such a share of requests more fails, from and until these shares of the watch.
    Errors(f64, f64, f64),
    /// One instance is so many times slower.
    OneSlow(f64),
    /// One instance fails such a share more.
    OneFailing(f64),
    /// Requests fall to this share on what was changed.
    Vanish(f64),
    /// So many restarts a minute and changed instance.
    Restarts(f64),
    /// So many error lines a minute and changed instance, more than before.
    Lines(f64),
}

/// What happens at the same time and is not the release's doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Around {
    Quiet,
    /// Load is so many times what it was from the change on, everywhere.
    Shift(f64),
    /// Load follows the time of day by so much.
    Daily(f64),
    /// A neighbour makes one instance so many times slower, from and for so many seconds.
    Neighbour(f64, f64, f64),
    /// Such a share of the values is missing, and one stretch of so many seconds.
    Gaps(f64, f64),
    /// Changed instances are so many times slower at first; that goes in so many seconds.
    WarmUp(f64, f64),
    /// Load falls to this share everywhere.
    Fall(f64),
    /// Such a share more fails everywhere for a while.
    Outage(f64),
    /// Load is so low that most intervals have few requests.
    Trickle,
}

/// The measures of a case, before its values are drawn.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub class: &'static str,
    pub harm: Harm,
    pub around: Around,
    pub instances: usize,
    pub changed: usize,
    /// Changed instances have no series from before.
    pub fresh: bool,
    /// Days of background.
    pub days: u32,
    pub step: f64,
    pub before: f64,
    pub soak: f64,
    /// Requests a second and instance.
    pub rate: f64,
    /// Deviation of the logarithm of latency.
    pub noise: f64,
    /// How much of the noise is left at the next value.
    pub memory: f64,
    pub heavy: bool,
}

/// So many values a case has at most, about.
pub const USUAL_VALUES: usize = 200_000;

/// Labelled changes of every class in turn, from 2 to 500 instances.
pub fn cases(seed: u64, count: usize) -> Vec<Case> {
    (0..count).map(|index| case(seed, index, USUAL_VALUES)).collect()
}

/// The same, each of at most about so many values: for files that are kept.
pub fn small_cases(seed: u64, count: usize, values: usize) -> Vec<Case> {
    (0..count).map(|index| case(seed, index, values)).collect()
}

/// One of [`cases`].
pub fn case(seed: u64, index: usize, values: usize) -> Case {
    let mut chance = Chance::new(seed.wrapping_mul(1_000_003).wrapping_add(index as u64));
    let mut plan = plan(&mut chance, index);
    let names = signals(&plan);
    let points = |plan: &Plan| {
        let days = f64::from(plan.days + 1);
        let a_series = (plan.before + plan.soak) / plan.step;
        (a_series * plan.instances as f64 * names.len() as f64 * days) as usize
    };
    while points(&plan) > values && plan.step < 30.0 {
        plan.step *= 2.0;
    }
    while points(&plan) > values && plan.instances > 6 {
        plan.changed = (plan.changed * 3 / 4).max(1);
        plan.instances = (plan.instances * 3 / 4).max(plan.changed);
        if plan.class != "last-step" && plan.changed == plan.instances {
            plan.instances += 1;
        }
    }
    let series = World::new(&plan, &mut chance).draw(&names, 0, &mut chance);
    let background = (1..=plan.days)
        .flat_map(|ago| World::new(&plan, &mut chance).draw(&names, ago, &mut chance))
        .collect();
    assemble(seed, index, &plan, names, series, background)
}

fn assemble(
    seed: u64,
    index: usize,
    plan: &Plan,
    signals: Vec<CaseSignal>,
    series: Vec<CaseSeries>,
    background: Vec<CaseSeries>,
) -> Case {
    let bad = plan.harm != Harm::None;
    let at = Timestamp(EPOCH);
    Case {
        format: FORMAT,
        name: format!("{}-{seed}-{index}", plan.class),
        label: if bad { Label::Bad } else { Label::Good },
        class: plan.class.to_owned(),
        expected: None::<Verdict>,
        change: Change {
            at,
            soak: Span((plan.soak * 1000.0) as u64),
            steps: vec![ChangeStep { at, instances: (0..plan.changed).map(instance).collect() }],
        },
        rules: Guard::default(),
        signals,
        series,
        background,
        history: Vec::new(),
    }
}

pub(super) fn instance(index: usize) -> String {
    format!("i{index}")
}

/// Classes in turn, so that each comes as often as the others.
fn plan(chance: &mut Chance, index: usize) -> Plan {
    let soak = chance.between(480.0, 1200.0).round();
    let mut plan = Plan {
        class: "quiet",
        harm: Harm::None,
        around: Around::Quiet,
        instances: match chance.whole(0, 9) {
            0 | 1 => 2,
            2 => 3,
            3..=5 => chance.whole(4, 10),
            6..=8 => chance.whole(10, 60),
            _ => chance.whole(60, 500),
        },
        changed: 1,
        fresh: false,
        days: 0,
        step: chance.one_of(&[5.0, 10.0, 15.0, 15.0, 30.0, 60.0]),
        before: chance.between(1000.0, 2000.0).round(),
        soak,
        rate: chance.scaled(2.0, 2000.0),
        noise: chance.scaled(0.02, 0.15),
        memory: chance.between(0.0, 0.7),
        heavy: chance.happens(0.3),
    };
    if plan.step > 30.0 {
        plan.soak = plan.soak.max(720.0);
    }
    harm(&mut plan, chance, index);
    plan.changed = match plan.harm {
        Harm::OneSlow(_) | Harm::OneFailing(_) => {
            plan.instances = plan.instances.max(8);
            chance.whole(4, plan.instances - 2)
        }
        _ if plan.class == "last-step" => plan.instances,
        _ if chance.happens(0.4) => 1,
        _ => chance.whole(1, plan.instances - 1),
    };
    plan.fresh |= plan.instances >= 6 && plan.class != "last-step" && chance.happens(0.1);
    if plan.fresh {
        plan.instances = plan.instances.max(plan.changed + 3);
    }
    plan
}

/// What is broken and what happens around it.
fn harm(plan: &mut Plan, chance: &mut Chance, index: usize) {
    let rate = plan.rate;
    let surroundings = around(plan, chance, index / 2);
    if index % 2 == 1 {
        (plan.class, plan.around) = surroundings;
        return;
    }
    (plan.class, plan.harm) = match (index / 2) % 10 {
        0 => ("latency-step", Harm::Latency(chance.between(1.3, 2.5))),
        1 => ("slow-leak", Harm::Leak(chance.between(0.25, 0.8))),
        2 => {
            let from = chance.between(0.0, 0.3);
            let until = (from + chance.between(0.4, 1.0)).min(1.0);
            ("error-burst", Harm::Errors(chance.scaled(0.02, 0.3), from, until))
        }
        3 if chance.happens(0.5) => ("one-bad", Harm::OneSlow(chance.between(1.8, 4.0))),
        3 => ("one-bad", Harm::OneFailing(chance.between(0.08, 0.6))),
        4 => ("load-shift", Harm::Latency(chance.between(1.3, 2.0))),
        5 => ("daily-pattern", Harm::Latency(chance.between(1.3, 2.0))),
        6 => ("traffic-fall", Harm::Vanish(chance.between(0.0, 0.5))),
        7 if chance.happens(0.5) => ("events", Harm::Restarts(chance.between(0.5, 2.0))),
        7 => ("events", Harm::Lines(chance.scaled(3.0, 60.0))),
        8 => ("last-step", Harm::Latency(chance.between(1.4, 2.5))),
        _ => ("mixed", Harm::Errors(chance.scaled(0.03, 0.2), 0.0, 1.0)),
    };
    match plan.class {
        "load-shift" => plan.around = Around::Shift(chance.between(0.6, 1.8)),
        "daily-pattern" => plan.around = Around::Daily(chance.between(0.2, 0.6)),
        "mixed" => plan.around = surroundings.1,
        "last-step" => plan.days = chance.one_of(&[0, 2, 3]),
        _ => {}
    }
    // Nobody can tell how slow requests are that are not made.
    let least = match plan.harm {
        Harm::Latency(_) => 60.0 / plan.soak,
        Harm::Leak(_) | Harm::Vanish(_) => rate,
        _ => 0.0,
    };
    plan.rate = plan.rate.max(least);
    if let Harm::Errors(share, from, until) = plan.harm {
        // A dozen failures at least: with less nobody could tell.
        let seconds = plan.soak * (until - from) * 0.7;
        plan.rate = plan.rate.max(12.0 / (share * seconds));
    }
    // A shift that drowns in the noise of the only instance is not a case to decide.
    plan.noise = plan.noise.min(0.12);
    plan.memory = plan.memory.min(0.6);
}

fn around(plan: &mut Plan, chance: &mut Chance, index: usize) -> (&'static str, Around) {
    match index % 11 {
        0 => ("quiet", Around::Quiet),
        1 => {
            let up = chance.happens(0.7);
            let times = if up { chance.between(1.2, 2.0) } else { chance.between(0.5, 0.8) };
            ("load-shift", Around::Shift(times))
        }
        2 => ("daily-pattern", Around::Daily(chance.between(0.2, 0.6))),
        3 => {
            let from = chance.between(-300.0, 0.6 * plan.soak);
            let long = chance.between(60.0, 180.0);
            ("noisy-neighbour", Around::Neighbour(chance.between(1.3, 2.5), from, long))
        }
        4 => {
            let share = chance.between(0.05, 0.4);
            ("gaps", Around::Gaps(share, chance.between(30.0, 180.0)))
        }
        5 => {
            let times = chance.between(1.5, 4.0);
            ("warm-up", Around::WarmUp(times, chance.between(20.0, 120.0)))
        }
        6 => ("traffic-fall", Around::Fall(chance.between(0.1, 0.6))),
        7 => ("outage", Around::Outage(chance.between(0.05, 0.4))),
        8 => {
            plan.rate = chance.scaled(0.01, 0.3);
            ("trickle", Around::Trickle)
        }
        9 => {
            plan.days = chance.one_of(&[0, 2, 3]);
            ("last-step", Around::Daily(chance.between(0.0, 0.4)))
        }
        _ => {
            plan.fresh = true;
            plan.instances = plan.instances.max(5);
            ("new-instances", Around::Quiet)
        }
    }
}

/// What is measured: latency, errors and requests always; more where the harm shows there.
fn signals(plan: &Plan) -> Vec<CaseSignal> {
    let one = |name: &str, measure, effect, least| CaseSignal {
        name: name.to_owned(),
        measure,
        worse: if measure == SignalKind::Traffic { Worse::Lower } else { Worse::Higher },
        critical: name == "errors",
        effect,
        least,
        missing: if matches!(name, "latency" | "errors") { Missing::Closed } else { Missing::Open },
    };
    let mut all = vec![
        one("latency", SignalKind::Latency, 0.1, 0.0),
        one("errors", SignalKind::Errors, 0.1, 0.005),
        one("requests", SignalKind::Traffic, 0.2, 0.0),
    ];
    if matches!(plan.harm, Harm::Leak(_)) || matches!(plan.around, Around::WarmUp(..)) {
        all.push(one("memory", SignalKind::Saturation, 0.1, 0.0));
    }
    let lines = matches!(plan.harm, Harm::Lines(_))
        || matches!(plan.around, Around::Outage(_) | Around::Quiet | Around::Gaps(..));
    if lines {
        all.push(one("error-lines", SignalKind::Events, 0.5, 0.0));
    }
    if matches!(plan.harm, Harm::Restarts(_)) || plan.class == "quiet" {
        all.push(one("restarts", SignalKind::Events, 0.5, 0.0));
    }
    all
}
