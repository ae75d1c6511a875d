//! One trial: a random fleet, a random schedule of edits and faults, and at its end peace, in
//! which everything has to settle.

use std::sync::Arc;

use atoll_model::cmdb::Amount;
use atoll_model::delivery::{Environment, Veto};
use atoll_model::deployment::Phase;
use atoll_model::promotion::Require;
use atoll_model::{
    Any, Application, Cpu, Deployment, Freeze, Host, Instance, Kind, Memory, Object, Promotion,
    Release, Span,
};
use atoll_plan::sim::{Behaviour, Faults, Loss, Random, Sim};
use atoll_plan::{CONTROLLERS, edit};

pub mod budgets;
pub mod centre;
mod check;
pub mod pools;
pub mod runs;
pub mod twins;

/// After peace has come, everything is settled within this time.
const PEACE: Span = Span::seconds(4 * 3600);

pub struct Trial {
    sim: Sim,
    random: Random,
    /// How often the content of an application was changed.
    versions: u32,
}

impl Trial {
    pub fn new(seed: u64) -> Trial {
        let mut trial =
            Trial { sim: Sim::new(seed), random: Random::new(seed ^ 0x5eed), versions: 0 };
        trial.build();
        trial
    }

    pub fn run(mut self) {
        self.advance(Span::seconds(20));
        for _ in 0..30 {
            self.act();
            let span = self.random.span(Span(0), Span::seconds(25));
            self.advance(span);
        }
        self.make_peace();
        self.settle();
        check::at_peace(&self.sim);
        check::indexes(&self.sim.world);
    }

    fn build(&mut self) {
        let random = &mut self.random;
        let zones = 1 + random.below(3);
        for n in 0..3 + random.below(6) {
            let zone = ["a", "b", "c"][(n % zones) as usize];
            let capacity = Amount {
                cpu: Cpu(1000 + 1000 * random.below(4)),
                memory: Memory(4 << 30),
                instances: if random.per_mille(200) { 4 } else { 0 },
            };
            self.sim.join(&format!("h{n}"), &[("zone", zone)], capacity);
        }
        let after = random.per_mille(300).then(|| "one".to_owned());
        let hosts = if random.per_mille(200) { "zone in (a, b)" } else { "" };
        let asks = after.is_some() && random_half(random);
        let soak = if asks { Span::seconds(20) } else { Span(0) };
        let two = Environment {
            after,
            require: Require { soak, ..Require::default() },
            hosts: hosts.parse().expect("a selector"),
            ..Environment::default()
        };
        self.must(Any::Environment(Arc::new(Object::new("one", Environment::default()))));
        if random_half(&mut self.random) {
            self.must(Any::Environment(Arc::new(Object::new("two", two))));
        }
        for name in ["app", "bus", "cup"].into_iter().take(1 + self.random.below(3) as usize) {
            let any = self.application(name);
            self.must(any);
        }
        let random = &mut self.random;
        let share = |random: &mut Random| if random.per_mille(500) { random.below(120) } else { 0 };
        self.sim.faults = Faults {
            lost: share(random),
            doubled: share(random),
            late: share(random),
            slow: share(random) / 2,
        };
    }

    fn application(&mut self, name: &str) -> Any {
        self.versions += 1;
        let random = &mut self.random;
        let strategies = ["rolling", "canary", "blue-green", "recreate"];
        let strategy = *random.pick(&strategies).expect("there are some");
        let mut rollout = serde_json::json!({
            "strategy": strategy,
            "maxUnavailable": random.pick(&["0", "0", "1", "25%"]),
            "maxSurge": random.pick(&["0", "1", "25%", "50%"]),
            "healthyFor": random.pick(&["0s", "5s"]),
            "deadline": random.pick(&["45s", "2m"]),
            "failureRatio": random.pick(&["0", "5%", "30%"]),
            "onFailure": random.pick(&["rollback", "rollback", "pause"]),
        });
        if strategy == "canary" && random_half(random) {
            rollout["steps"] = serde_json::json!([
                { "instances": "1", "soak": "10s" }, { "instances": "50%", "soak": "20s" },
            ]);
        }
        let port = *random.pick(&[0, 0, 8080]).expect("there are some");
        let mut ports = serde_json::json!({});
        if random_half(random) {
            ports = serde_json::json!({ "http": port });
        }
        let object = serde_json::json!({
            "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": name },
            "spec": {
                "run": {
                    "command": ["x"], "ports": ports,
                    "resources": { "cpu": random.pick(&["100m", "300m"]), "memory": "64Mi" },
                },
                "config": { "static": { "V": self.versions.to_string() } },
                "scaling": { "min": random.below(6), "max": 100 },
                "rollout": rollout,
                "spread": random.pick(&[&["zone", "host"][..], &["host"], &[]]),
                "needs": if name == "cup" { vec!["application/app"] } else { vec![] },
            },
        });
        Any::from_value(object).expect("a good application")
    }

    /// Applies what cannot be refused.
    fn must(&mut self, any: Any) {
        let id = any.id();
        self.sim.apply(vec![any]).unwrap_or_else(|why| panic!("{id} was refused: {why:?}"));
    }

    fn advance(&mut self, span: Span) {
        let until = self.sim.now() + span;
        while self.sim.turn(until) {
            check::entries(&mut self.sim);
        }
        self.sim.advance(until.since(self.sim.now()));
        check::entries(&mut self.sim);
        for controller in CONTROLLERS {
            let names: Vec<String> =
                self.sim.world.after(controller.kind, "").map(|a| a.name().to_owned()).collect();
            if let Some(name) = self.random.pick(&names) {
                let cx = self.sim.context();
                let (one, two) = ((controller.plan)(&cx, name), (controller.plan)(&cx, name));
                assert_eq!(one, two, "a plan made twice is the same");
            }
        }
    }

    fn any_name(&mut self, kind: Kind) -> Option<String> {
        let names: Vec<String> =
            self.sim.world.after(kind, "").map(|any| any.name().to_owned()).collect();
        self.random.pick(&names).cloned()
    }

    /// Does one thing a person or the world might do. What is refused is refused.
    fn act(&mut self) {
        match self.random.below(25) {
            0..=3 => self.release(),
            4..=6 => {
                let count = self.random.below(8) as u32;
                self.edit_deployment(|spec| spec.instances = count);
            }
            7 => self.edit_deployment(|spec| spec.paused = !spec.paused),
            8 => self.promote_or_abort(),
            9 => self.deploy(),
            10 | 11 => self.edit_host(),
            12 => self.freeze(),
            13 => {
                if let Some(name) = self.any_name(Kind::Instance) {
                    let _ = self.sim.remove(Kind::Instance, &name);
                }
            }
            14 => self.remove_something(),
            15 | 16 => {
                if let Some(name) = self.any_name(Kind::Instance) {
                    self.sim.crash(&name);
                }
            }
            17..=19 => {
                if let Some(name) = self.any_name(Kind::Host) {
                    let loss = if random_half(&mut self.random) { Loss::Cut } else { Loss::Off };
                    self.sim.lose(&name, loss);
                }
            }
            20 | 21 => self.give_back_one(),
            22 => self.sim.restart_server(Span::default()),
            23 => self.veto(),
            _ => {
                if let Some(name) = self.any_name(Kind::Host) {
                    let port = if random_half(&mut self.random) { 8080 } else { 20_001 };
                    self.sim.occupy(&name, port);
                }
            }
        }
    }

    /// Changes the content of an application, or how it is rolled out.
    fn release(&mut self) {
        let Some(name) = self.any_name(Kind::Application) else { return };
        let Some(stored) = self.sim.world.get::<Application>(&name).cloned() else { return };
        self.versions += 1;
        let mut new = Object::clone(&stored);
        new.spec.config.fixed.insert("V".to_owned(), self.versions.to_string());
        if self.random.per_mille(150) {
            new.spec.run.resources.cpu = Cpu(200 + 100 * self.random.below(3));
        }
        if self.random.per_mille(100) {
            let Any::Application(other) = self.application(&name) else { return };
            new.spec.rollout = other.spec.rollout.clone();
        }
        let number = self.sim.world.newest_release(&name).map_or(0, |r| r.spec.number) + 1;
        let fades = Behaviour::Fades(self.random.span(Span(0), Span::seconds(40)));
        let choice = [
            Behaviour::Good,
            Behaviour::Good,
            Behaviour::Dies,
            Behaviour::Deaf,
            Behaviour::Slow(Span::seconds(20)),
            fades,
        ];
        let behaviour = *self.random.pick(&choice).expect("there are some");
        self.sim.behaviours.insert(format!("{name}-{number}"), behaviour);
        let _ = self.sim.apply(vec![Any::Application(Arc::new(new))]);
    }

    fn edit_deployment(&mut self, edit: impl FnOnce(&mut Deployment)) {
        let Some(name) = self.any_name(Kind::Deployment) else { return };
        let Some(stored) = self.sim.world.get::<Deployment>(&name) else { return };
        let mut new = Object::clone(stored);
        edit(&mut new.spec);
        if self.random.per_mille(100) {
            let key = atoll_model::decision::OVERRIDE_ANNOTATION.to_owned();
            new.meta.annotations.insert(key, "it must be".to_owned());
        }
        let _ = self.sim.apply(vec![Any::Deployment(Arc::new(new))]);
    }

    fn promote_or_abort(&mut self) {
        let Some(name) = self.any_name(Kind::Deployment) else { return };
        let Some(stored) = self.sim.world.get::<Deployment>(&name) else { return };
        let Some(rollout) = stored.status.rollout.clone() else { return };
        let mut new = Object::clone(stored);
        if random_half(&mut self.random) {
            new.spec.promoted = Some(rollout.to);
        } else {
            new.spec.aborted = Some(rollout.to);
        }
        let _ = self.sim.apply(vec![Any::Deployment(Arc::new(new))]);
    }

    fn deploy(&mut self) {
        let Some(name) = self.any_name(Kind::Deployment) else { return };
        let application = name.split('.').next().unwrap_or_default();
        let releases: Vec<String> =
            self.sim.world.releases_of(application).map(|r| r.meta.name.clone()).collect();
        let release = self.random.pick(&releases).cloned().filter(|_| self.random.per_mille(600));
        let Some(stored) = self.sim.world.get::<Deployment>(&name) else { return };
        let mut new = Object::clone(stored);
        new.spec.release = release;
        let _ = self.sim.apply(vec![Any::Deployment(Arc::new(new))]);
    }

    /// Says that a release is to run nowhere, or takes that back.
    fn veto(&mut self) {
        let Some(name) = self.any_name(Kind::Release) else { return };
        let Some(stored) = self.sim.world.get::<Release>(&name).cloned() else { return };
        let mut new = Object::clone(&stored);
        let rollback = random_half(&mut self.random);
        new.spec.veto = match stored.spec.veto {
            Some(_) => None,
            None => Some(Veto { reason: "it is bad".to_owned(), rollback }),
        };
        let _ = self.sim.apply(vec![Any::Release(Arc::new(new))]);
    }

    fn edit_host(&mut self) {
        let Some(name) = self.any_name(Kind::Host) else { return };
        let Some(stored) = self.sim.world.get::<Host>(&name) else { return };
        let mut new = Object::clone(stored);
        if random_half(&mut self.random) {
            new.spec.drain = !new.spec.drain;
        } else {
            new.spec.cordon = !new.spec.cordon;
        }
        let _ = self.sim.apply(vec![Any::Host(Arc::new(new))]);
    }

    fn freeze(&mut self) {
        if self.sim.world.count(Kind::Freeze) > 0 && random_half(&mut self.random) {
            let name = self.any_name(Kind::Freeze).expect("there is one");
            self.sim.remove(Kind::Freeze, &name).expect("a freeze is deleted");
            return;
        }
        let spec = Freeze {
            from: None,
            until: random_half(&mut self.random).then(|| self.sim.now() + Span::seconds(60)),
            environments: if random_half(&mut self.random) { vec![] } else { vec!["one".into()] },
            applications: Default::default(),
            named: Vec::new(),
            holds: Default::default(),
            reason: "so".to_owned(),
        };
        let name = format!("f{}", self.random.below(3));
        self.must(Any::Freeze(Arc::new(Object::new(name, spec))));
    }

    fn remove_something(&mut self) {
        let kinds = [Kind::Deployment, Kind::Host, Kind::Environment, Kind::Release];
        let kind = *self.random.pick(&kinds).expect("there are some");
        if kind == Kind::Environment && self.sim.world.count(kind) < 2 {
            return;
        }
        if let Some(name) = self.any_name(kind) {
            let _ = self.sim.remove(kind, &name);
        }
    }

    fn give_back_one(&mut self) {
        let lost: Vec<String> =
            self.sim.hosts().filter(|(_, here)| !here).map(|(name, _)| name.to_owned()).collect();
        if let Some(name) = self.random.pick(&lost).cloned() {
            self.sim.give_back(&name);
        }
    }

    /// Ends all faults and everything that holds changes back.
    fn make_peace(&mut self) {
        self.sim.faults = Faults::default();
        self.sim.behaviours.clear();
        let hosts: Vec<String> = self.sim.hosts().map(|(name, _)| name.to_owned()).collect();
        hosts.iter().for_each(|host| self.sim.give_back(host));
        while let Some(name) = self.any_name(Kind::Freeze) {
            self.sim.remove(Kind::Freeze, &name).expect("a freeze is deleted");
        }
        let deployments: Vec<_> = self.sim.world.all::<Deployment>().cloned().collect();
        for deployment in deployments.iter().filter(|d| !d.meta.deleting()) {
            let mut new = Object::clone(deployment);
            new.spec.paused = false;
            new.spec.promoted = None;
            if random_half(&mut self.random) {
                new.spec.aborted = None;
                new.spec.release = None;
            }
            let plan = edit::apply(&self.sim.context(), vec![Any::Deployment(Arc::new(new))]);
            let plan = plan.expect("it is not being deleted");
            self.sim.commit(&Sim::person(), plan).expect("it is allowed");
        }
    }

    fn settle(&mut self) {
        // Twice: what is retried in the background may start things anew.
        for _ in 0..2 {
            self.advance(Span::seconds(120));
            let settled = self.sim.settle(PEACE);
            check::entries(&mut self.sim);
            assert!(settled, "not settled: {:#?}", check::unsettled(&self.sim));
        }
    }
}

fn random_half(random: &mut Random) -> bool {
    random.per_mille(500)
}
