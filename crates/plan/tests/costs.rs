//! What the fleet costs, over random worlds: whatever it is put together by, what is used, shared
//! and idle is all there is, to the last millionth. Not examples, which are the text cases.

use std::sync::Arc;

use atoll_model::budget::Money;
use atoll_model::cmdb::{Amount, HostPhase};
use atoll_model::run::Resources;
use atoll_model::{
    Any, Application, Cpu, Host, Instance, Memory, Object, Price, Snapshot, Timestamp,
};
use atoll_plan::budget::book::Book;
use atoll_plan::budget::cost::Tariff;
use atoll_plan::budget::showback::{By, costs};
use atoll_plan::sim::Random;
use atoll_plan::{Context, Measurements};

const WORLDS: u64 = 2_000;
const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn money(random: &mut Random, most: u64) -> Option<Money> {
    (random.below(3) > 0).then(|| Money(random.below(most) as i64))
}

fn world(random: &mut Random) -> Snapshot {
    let mut world = Snapshot::default();
    for i in 0..1 + random.below(3) {
        let price = Price {
            from: Timestamp(0),
            until: None,
            currency: "EUR".to_owned(),
            hosts: if i == 0 { String::new() } else { format!("size=s{i}") }.parse().unwrap(),
            host_hour: money(random, 5_000_000),
            cpu_hour: money(random, 50_000),
            memory_hour: money(random, 9_000),
            disk_hour: None,
        };
        world.put(Any::Price(Arc::new(Object::new(format!("p{i}"), price))));
    }
    let hosts = 1 + random.below(6);
    for i in 0..hosts {
        let mut host = Object::new(format!("h{i}"), Host::default());
        host.meta.labels.insert("size".to_owned(), format!("s{}", random.below(3)));
        host.status.phase = HostPhase::Ready;
        host.status.capacity = Amount {
            cpu: Cpu(random.below(64_000)),
            memory: Memory(random.below(1 << 38)),
            instances: 0,
        };
        host.spec.reserve = (random.below(2) == 0).then(|| resources(random));
        world.put(Any::Host(Arc::new(host)));
    }
    for app in 0..4 {
        let owner = ["team/a", "team/b", "user/c"].get(random.below(4) as usize);
        let spec: Application = serde_json::from_value(serde_json::json!({
            "owner": owner, "run": { "command": ["x"] },
        }))
        .unwrap();
        world.put(Any::Application(Arc::new(Object::new(format!("app{app}"), spec))));
    }
    for i in 0..random.below(40) {
        // Some of applications that are gone.
        let deployment = format!("app{}.env{}", random.below(5), random.below(3));
        let spec = Instance {
            deployment: deployment.clone(),
            ordinal: i as u32,
            release: "r".to_owned(),
            host: format!("h{}", random.below(hosts)),
            ports: Default::default(),
            resources: resources(random),
            prefetch: None,
            runtime: Default::default(),
            replaces: None,
        };
        world.put(Any::Instance(Arc::new(Object::new(format!("{deployment}.{i}"), spec))));
    }
    world
}

fn resources(random: &mut Random) -> Resources {
    Resources { cpu: Cpu(random.below(8_000)), memory: Memory(random.below(1 << 34)) }
}

#[test]
fn what_is_allocated_and_idle_is_all_there_is() {
    for seed in 0..WORLDS {
        let world = world(&mut Random::new(seed));
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: NOW };
        let book = Book::of(&world, "EUR", NOW);
        let tariffs: Vec<_> =
            world.all::<Host>().filter_map(|host| Tariff::of(&world, &book, host).ok()).collect();
        let bill: Money = tariffs.iter().map(|tariff| tariff.total).sum();
        for by in [By::Team, By::Application, By::Environment, By::Host] {
            let report = costs(&cx, by, Some("EUR"));
            let rows: Money = report.rows.iter().map(|row| row.total).sum();
            assert_eq!((rows, report.total.total), (bill, bill), "seed {seed} by {}", by.name());
            let unpriced = world.all::<Host>().count() - tariffs.len();
            assert_eq!(report.unpriced.len(), unpriced, "seed {seed}");
            for row in &report.rows {
                let parts = [row.used, row.shared, row.idle];
                assert!(parts.iter().all(|part| *part >= Money(0)), "seed {seed}: {row:?}");
                assert_eq!(parts.into_iter().sum::<Money>(), row.total, "seed {seed}");
            }
        }
    }
}
