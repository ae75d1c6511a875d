//! What holds of dynamic configuration in every world: checked on seeded random schedules of
//! edits, crashes and lost hosts. Examples are the text cases in `cases/config/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::cmdb::Amount;
use atoll_model::config::{ConfigPhase, Gray};
use atoll_model::{Any, Config, Cpu, Environment, Instance, Memory, Object, Snapshot, Span};
use atoll_plan::edit;
use atoll_plan::sim::{Faults, Loss, Random, Sim};
use serde_json::json;

const SEEDS: u64 = 60;
const STEPS: [(&str, &str); 3] = [("1", "5s"), ("34%", "10s"), ("60%", "5s")];

#[test]
fn no_version_reaches_more_than_its_step_or_comes_back_from_the_past() {
    let seeds = match std::env::var("ATOLL_SEED") {
        Ok(seed) => vec![seed.parse().expect("a whole number")],
        Err(_) => (0..SEEDS).collect::<Vec<u64>>(),
    };
    for seed in seeds {
        let done = std::panic::catch_unwind(|| Trial::new(seed).run());
        assert!(done.is_ok(), "again: ATOLL_SEED={seed} cargo test -p atoll-plan --test configs");
    }
}

struct Trial {
    sim: Sim,
    random: Random,
    /// The version each instance has acknowledged, by the time its object was made.
    acknowledged: BTreeMap<String, u64>,
    /// Versions taken back from an instance: given up, overtaken while they were gray, or because
    /// there are fewer instances to have a share of.
    withdrawn: BTreeSet<(String, u64)>,
}

impl Trial {
    fn new(seed: u64) -> Trial {
        let mut sim = Sim::new(seed);
        let capacity = Amount { cpu: Cpu(64_000), memory: Memory(64 << 30), instances: 0 };
        for host in ["h0", "h1", "h2"] {
            sim.join(host, &[("zone", host)], capacity);
        }
        let application = json!({
            "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": "web" },
            "spec": { "run": { "command": ["x"] }, "config": { "dynamic": ["c"] },
                      "scaling": { "min": 7, "max": 100 } },
        });
        let steps = STEPS.map(|(instances, soak)| json!({ "instances": instances, "soak": soak }));
        let gray: Gray = serde_json::from_value(json!({ "steps": steps })).expect("steps");
        let spec = Config {
            values: [("level".to_owned(), json!(0))].into(),
            gray: Some(gray),
            ..Config::default()
        };
        let objects = vec![
            Any::Environment(Arc::new(Object::new("prod", Environment::default()))),
            Any::Config(Arc::new(Object::new("c", spec))),
            Any::from_value(application).expect("it is valid"),
        ];
        sim.apply(objects).expect("nothing is wrong with it");
        assert!(sim.settle(Span::seconds(600)), "it settles at first");
        let random = Random::new(seed ^ 0x5eed);
        let (acknowledged, withdrawn) = Default::default();
        Trial { sim, random, acknowledged, withdrawn }
    }

    fn run(mut self) {
        self.sim.faults = Faults { lost: 50, doubled: 50, late: 50, slow: 50 };
        for _ in 0..25 {
            self.disturb();
            let until = self.sim.now() + self.random.span(Span(500), Span::seconds(20));
            while self.sim.turn(until) {
                self.check();
            }
        }
        self.sim.faults = Faults::default();
        for host in ["h0", "h1", "h2"] {
            self.sim.give_back(host);
        }
        let until = self.sim.now() + Span::seconds(900);
        while self.sim.turn(until) {
            self.check();
        }
        let config = self.sim.world.get::<Config>("c").expect("it is there");
        let status = &config.status;
        assert_eq!(status.phase, ConfigPhase::Settled, "{status:?}");
        assert_eq!((status.acknowledged, status.laggards.len()), (status.instances, 0));
        let failed = status.failed.as_ref().map(|failed| &failed.content);
        let target = config.spec.content();
        assert!(status.live == target || failed == Some(&target), "{status:?}");
    }

    fn disturb(&mut self) {
        let instances: Vec<String> =
            self.sim.world.derived::<Instance>("web.prod").map(|i| i.meta.name.clone()).collect();
        match self.random.below(8) {
            0..3 => {
                let level = self.random.below(5);
                self.edit(|new| drop(new.spec.values.insert("level".into(), json!(level))));
            }
            3 => self.edit(|new| {
                new.spec.promoted = new.status.gray.as_ref().map(|gray| gray.version);
            }),
            4 => self.edit(|new| {
                new.spec.aborted = new.status.gray.as_ref().map(|gray| gray.version);
            }),
            5 => {
                if let Some(name) = self.random.pick(&instances) {
                    self.sim.crash(name);
                }
            }
            6 => self.sim.lose("h1", Loss::Cut),
            _ => self.sim.give_back("h1"),
        }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Object<Config>)) {
        let mut new = Object::clone(self.sim.world.get::<Config>("c").expect("it is there"));
        edit(&mut new);
        let plan = edit::apply(&self.sim.context(), vec![Any::Config(Arc::new(new))]);
        let plan = plan.expect("a valid edit");
        self.sim.commit(&Sim::person(), plan).expect("nothing forbids it");
    }

    fn check(&mut self) {
        for entry in std::mem::take(&mut self.sim.journal) {
            for write in &entry.writes {
                let atoll_model::Write::Put(any) = write else { continue };
                match any {
                    Any::Config(config) => self.check_share(&entry.before, config),
                    Any::Instance(instance) => self.check_ack(instance),
                    _ => {}
                }
            }
        }
    }

    fn check_share(&mut self, before: &Snapshot, config: &Object<Config>) {
        let old = before.get::<Config>("c").and_then(|old| old.status.gray.clone());
        if let Some(old) = old {
            let has = |name: &str| {
                let gray = config.status.gray.as_ref().filter(|gray| gray.version == old.version);
                gray.is_some_and(|gray| gray.instances.contains_key(name))
                    || config.status.version == old.version
            };
            let lost = old.instances.keys().filter(|name| !has(name)).cloned();
            self.withdrawn.extend(lost.map(|name| (name, old.version)));
        }
        let Some(gray) = &config.status.gray else { return };
        let rules = config.spec.gray.as_ref().expect("it is released by steps");
        let portion = rules.steps[gray.step as usize].instances.expect("a portion");
        let most = portion.ceil_of(gray.affected).max(1) as usize;
        assert!(gray.instances.len() <= most, "{} of {most}: {gray:?}", gray.instances.len());
        assert!(gray.version > config.status.version, "{gray:?} is not newer");
    }

    /// What an instance acknowledges is newer than what it had, unless that was withdrawn.
    fn check_ack(&mut self, instance: &Object<Instance>) {
        let Some(ack) = instance.status.configs.get("c") else { return };
        let made = instance.meta.created_at.unwrap_or_default();
        let key = format!("{} {made}", instance.name());
        let had = self.acknowledged.insert(key, ack.version).unwrap_or(0);
        let withdrawn = self.withdrawn.contains(&(instance.name().to_owned(), had));
        let back = ack.version < had && !withdrawn;
        assert!(!back, "{} went from {had} to {}", instance.name(), ack.version);
    }
}
