//! Pools with providers that hang, lie, refuse, forget and go away, and people who change their
//! minds: there are never more machines than asked for and the surge allows, and none is left over.

use atoll_model::Pool;
use atoll_model::pool::PoolPhase;
use atoll_model::pool::provider::Provider;
use atoll_plan::sim::Cloud;

use super::*;

/// A provider that is away is asked again within five minutes; what did not join waits for longer.
const ENOUGH: Span = Span::seconds(6 * 3600);

fn pool(random: &mut Random) -> Any {
    let count = random.below(5);
    let surge = random.below(3);
    let at_once = 1 + random.below(4);
    Any::from_value(serde_json::json!({
        "apiVersion": "atoll/v1", "kind": "Pool", "metadata": { "name": "web" },
        "spec": {
            "count": count, "max": 6, "surge": surge, "atOnce": at_once,
            "joinWithin": "3m", "replaceAfter": "2m",
            "provider": { "exec": { "create": ["x"], "list": ["x"], "delete": ["x"] } },
        },
    }))
    .expect("a pool")
}

/// The most machines there may be: those that were wanted once are there until they are gone.
struct Bound {
    most: usize,
}

impl Bound {
    fn check(&mut self, sim: &Sim) {
        let cloud = &sim.clouds["web"];
        let wanted = sim.world.get::<Pool>("web").map_or(0, |pool| {
            assert!(matches!(pool.spec.provider, Provider::Exec(_)));
            (pool.spec.count + pool.spec.surge) as usize
        });
        self.most = self.most.max(wanted);
        let there = cloud.machines.len();
        assert!(there <= self.most, "{there} machines, and at most {} may be", self.most);
        self.most = wanted.max(there);
        let mut keys: Vec<&String> = cloud.machines.values().map(|made| &made.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), there, "a machine was made twice");
    }
}

/// Plays one seed.
pub fn play(seed: u64) {
    let mut sim = Sim::new(seed);
    let mut random = Random::new(seed ^ 0x9001);
    sim.clouds.insert("web".to_owned(), Cloud::default());
    let must = |sim: &mut Sim, any: Any| sim.apply(vec![any]).expect("it is allowed");
    must(&mut sim, Any::Environment(Arc::new(Object::new("prod", Environment::default()))));
    let application = serde_json::json!({
        "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": "shop" },
        "spec": { "run": { "command": ["x"], "resources": { "cpu": "500m", "memory": "64Mi" } },
            "scaling": { "min": 3, "max": 9 } },
    });
    must(&mut sim, Any::from_value(application).expect("an application"));
    let any = pool(&mut random);
    must(&mut sim, any);
    let mut bound = Bound { most: 0 };
    for _ in 0..40 {
        act(&mut sim, &mut random);
        let until = sim.now() + random.span(Span(0), Span::seconds(120));
        while sim.turn(until) {
            bound.check(&sim);
        }
    }
    let cloud = sim.clouds.get_mut("web").expect("it is there");
    (cloud.down, cloud.lag, cloud.boot) = (false, Span(0), Span::seconds(20));
    (cloud.hangs, cloud.short, cloud.refuses, cloud.deaf) = (0, 0, 0, 0);
    for host in there(&sim) {
        sim.give_back(&host);
    }
    // What serves needs one to serve on: the last host is not emptied before there is nothing.
    let mut new = Object::clone(sim.world.get::<Pool>("web").expect("it is there"));
    new.spec.count = new.spec.count.max(1);
    must(&mut sim, Any::Pool(Arc::new(new)));
    settle(&mut sim, &mut bound);
    let stored = sim.world.get::<Pool>("web").expect("it is there").clone();
    assert_eq!(stored.status.phase, PoolPhase::Settled, "{:#?}", stored.status);
    assert_eq!(sim.clouds["web"].machines.len(), stored.spec.count as usize);
    assert!(stored.status.orphans.is_empty(), "{:#?}", stored.status);
    sim.remove(Kind::Pool, "web").expect("it is allowed");
    // What still serves has nowhere to go.
    let shop = sim.world.get::<Application>("shop").expect("it is there").meta.name.clone();
    sim.remove(Kind::Application, &shop).expect("it is allowed");
    settle(&mut sim, &mut bound);
    assert!(sim.world.get::<Pool>("web").is_none(), "{:#?}", sim.world.get::<Pool>("web"));
    assert!(sim.clouds["web"].machines.is_empty(), "{:#?}", sim.clouds["web"].machines);
}

fn settle(sim: &mut Sim, bound: &mut Bound) {
    let until = sim.now() + ENOUGH;
    while sim.now() < until && !sim.settle(Span::seconds(1)) {
        // What is on its way may be further off than that.
        sim.turn(until);
        bound.check(sim);
    }
}

/// The hosts whose machines there are.
fn there(sim: &Sim) -> Vec<String> {
    let machines = &sim.clouds["web"].machines;
    let made = |host: &str| machines.values().any(|made| made.key == host);
    sim.hosts().map(|(name, _)| name.to_owned()).filter(|name| made(name)).collect()
}

/// Something a person, the provider or a machine might do.
fn act(sim: &mut Sim, random: &mut Random) {
    let share = |random: &mut Random| if random_half(random) { random.below(400) } else { 0 };
    match random.below(10) {
        0..=2 => {
            let mut new = Object::clone(sim.world.get::<Pool>("web").expect("it is there"));
            new.spec.count = random.below(6) as u32;
            sim.apply(vec![Any::Pool(Arc::new(new))]).expect("it is allowed");
        }
        3 => {
            let [hangs, short, refuses, deaf] = [(); 4].map(|()| share(random));
            let cloud = sim.clouds.get_mut("web").expect("it is there");
            (cloud.hangs, cloud.short, cloud.refuses, cloud.deaf) = (hangs, short, refuses, deaf);
            cloud.lag = random.span(Span(0), Span::seconds(20));
            cloud.boot = random.span(Span::seconds(1), Span::seconds(200));
        }
        4 => {
            let cloud = sim.clouds.get_mut("web").expect("it is there");
            cloud.down = !cloud.down;
        }
        5 => {
            let cloud = sim.clouds.get_mut("web").expect("it is there");
            let ids: Vec<String> = cloud.machines.keys().cloned().collect();
            let gone = random.pick(&ids).and_then(|id| cloud.machines.remove(id));
            gone.into_iter().for_each(|made| sim.lose(&made.key, Loss::Off));
        }
        6 | 7 => {
            let hosts: Vec<String> = sim.hosts().map(|(name, _)| name.to_owned()).collect();
            if let Some(host) = random.pick(&hosts) {
                let loss = if random_half(random) { Loss::Cut } else { Loss::Off };
                sim.lose(host, loss);
            }
        }
        8 => {
            let hosts = there(sim);
            if let Some(host) = random.pick(&hosts) {
                sim.give_back(host);
            }
        }
        _ => sim.restart_server(Span::seconds(random.below(30))),
    }
}
