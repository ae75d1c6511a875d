//! tmp
use atoll_model::cmdb::*;
use atoll_model::deployment::*;
use atoll_model::{
    Any, Cpu, Deployment, Host, Instance, Memory, Object, Selector, Snapshot, Timestamp, Write,
};
use atoll_plan::{Context, Measurements, Plan};
use std::sync::Arc;
use std::time::Instant;
#[test]
fn perf() {
    let mut world = Snapshot::default();
    let now = Timestamp(1_000_000_000);
    for n in 0..10_000 {
        let mut h = Object::new(format!("h{n:05}"), Host::default());
        h.meta.labels.insert("zone".into(), format!("z{}", n % 10));
        h.status.phase = HostPhase::Ready;
        h.status.capacity = Amount { cpu: Cpu(64000), memory: Memory(256 << 30), instances: 0 };
        world.put(Any::Host(Arc::new(h)));
    }
    world.put(Any::from_value(serde_json::json!({"apiVersion":"atoll/v1","kind":"Environment","metadata":{"name":"prod"},"spec":{}})).unwrap());
    world.put(Any::from_value(serde_json::json!({"apiVersion":"atoll/v1","kind":"Application","metadata":{"name":"web","generation":1},"spec":{"run":{"command":["x"],"ports":{"http":0}}}})).unwrap());
    let measured = Measurements::default();
    let commit = |world: &mut Snapshot, plan: Plan| {
        for w in plan.writes {
            world.revision += 1;
            match w {
                Write::Put(mut a) => {
                    a.meta_mut().revision = world.revision;
                    world.put(a);
                }
                Write::Delete { kind, name, .. } => {
                    world.remove(kind, &name);
                }
            }
        }
    };
    let p = atoll_plan::delivery::plan(&Context { world: &world, measured: &measured, now }, "web");
    commit(&mut world, p);
    let mut d = Object::clone(world.get::<Deployment>("web.prod").unwrap());
    d.spec.instances = 3000;
    world.put(Any::Deployment(Arc::new(d)));
    for round in 0..3 {
        let t = Instant::now();
        let plan = atoll_plan::deployment::plan(
            &Context { world: &world, measured: &measured, now },
            "web.prod",
        );
        let took = t.elapsed();
        let t = Instant::now();
        let v = atoll_plan::decision::decide(
            &Context { world: &world, measured: &measured, now },
            &atoll_model::access::Actor::controller("deployment"),
            plan,
        );
        let gate = t.elapsed();
        let atoll_plan::decision::Verdict::Commit(plan) = v else { panic!() };
        eprintln!("round {round}: plan {took:?} gate {gate:?} writes {}", plan.writes.len());
        let t = Instant::now();
        commit(&mut world, plan);
        eprintln!("  put {:?}", t.elapsed());
    }
    // all ready
    let all: Vec<_> = world.all::<Instance>().cloned().collect();
    for i in all {
        let mut n = Object::clone(&i);
        n.status.phase = InstancePhase::Ready;
        n.status.release = Some(n.spec.release.clone());
        n.status.observed_generation = 1;
        n.status.since = Some(Timestamp(0));
        world.put(Any::Instance(Arc::new(n)));
    }
    for round in 0..4 {
        let t = Instant::now();
        let plan = atoll_plan::deployment::plan(
            &Context { world: &world, measured: &measured, now },
            "web.prod",
        );
        eprintln!("steady {round}: {:?} writes {}", t.elapsed(), plan.writes.len());
        commit(&mut world, plan);
    }
    let t = Instant::now();
    let places = atoll_plan::placement::place_all(
        &world,
        atoll_plan::placement::Need {
            resources: Default::default(),
            ports: &[("http".to_owned(), 0)].into(),
            hosts: &Selector::default(),
            spread: &[Spread::Zone, Spread::Host],
        },
        std::iter::empty(),
        0..20_000,
    );
    eprintln!("place {} in {:?}", places.len(), t.elapsed());
}
