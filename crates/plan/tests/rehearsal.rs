//! Rehearsals: scenario files, each with the page that is told of it beside it. `UPDATE_EXPECT=1
//! cargo test -p atoll-plan --test rehearsal` writes the pages anew. And what holds of every
//! rehearsal: it comes out the same, and writes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_model::capacity::{Capacity, Carried, Known};
use atoll_model::cmdb::Amount;
use atoll_model::deployment::Scaled;
use atoll_model::elasticity::{AutoscalerPhase, ScalingMode};
use atoll_model::manifest::read_scenario;
use atoll_model::pool::LeftAt;
use atoll_model::rehearsal::{Change, Check, Fault, Fleet, Load, Rehearsal, Scenario};
use atoll_model::{
    Any, Application, Autoscaler, Cpu, Deployment, Environment, Host, Memory, Object, Objective,
    Pool, Span,
};
use atoll_plan::rehearsal::{Stop, Today, run, sample};
use atoll_plan::sim::Sim;

#[path = "rehearsal/peak.rs"]
mod peak;

fn never() -> Stop {
    Arc::new(|| false)
}

fn read(file: &Path) -> Scenario {
    let text = fs::read(file).unwrap();
    read_scenario(&file.display().to_string(), &text).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    all.sort();
    all
}

#[test]
fn scenarios_come_out_as_written() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsal");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let only = std::env::var("CASE").unwrap_or_default();
    let all = files(&here);
    assert!(all.len() >= 5, "no scenarios in {}", here.display());
    let mut wrong = Vec::new();
    for file in all.iter().filter(|file| file.to_string_lossy().contains(&only)) {
        let report = run(&read(file), &Today::default(), &never());
        let actual = report.map(|report| report.to_string()).unwrap_or_else(|e| format!("{e:?}\n"));
        let page = file.with_extension("txt");
        let expected = fs::read_to_string(&page).unwrap_or_default();
        if update {
            fs::write(&page, &actual).unwrap();
        } else if actual != expected {
            wrong.push(format!("{}:\n{actual}", page.display()));
        }
    }
    let again = "if this is right: UPDATE_EXPECT=1 cargo test -p atoll-plan --test rehearsal";
    assert!(wrong.is_empty(), "{}\n{again}", wrong.join("\n"));
}

/// `ATOLL_HOSTS=10000 cargo test -p atoll-plan --release --test rehearsal large -- --nocapture`
/// says how long it takes.
#[test]
fn a_day_of_a_large_fleet_is_rehearsed() {
    let hosts = std::env::var("ATOLL_HOSTS").ok().and_then(|hosts| hosts.parse().ok());
    let report = run(&sample::large(hosts.unwrap_or(20)), &Today::default(), &never()).unwrap();
    let counts = (report.hosts, report.instances, report.deployments.len());
    println!("{counts:?}, {} plans, {} writes", report.plans, report.writes);
    let steps: u32 =
        report.decisions.iter().filter(|d| d.by == "autoscaler").map(|d| d.times).sum();
    println!("{steps} decisions of autoscalers");
    let served: f64 = report.deployments.iter().map(|one| one.served).sum();
    let mean = served / report.deployments.len() as f64;
    assert!(mean > 0.95, "{mean}:\n{report}");
}

#[test]
fn the_same_scenario_comes_out_the_same() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsal/load-five-times.yaml");
    let mut scenario = read(&here);
    let told = |scenario: &Scenario| {
        let report = run(scenario, &Today::default(), &never()).unwrap();
        serde_json::to_string(&report).unwrap()
    };
    let first = told(&scenario);
    assert_eq!(first, told(&scenario));
    scenario.spec.seed += 1;
    assert_ne!(first, told(&scenario), "another seed is another noise");
}

#[test]
fn examples_come_out_as_they_say() {
    let all = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rehearsal"));
    assert!(all.len() >= 3, "{all:?}");
    for file in all {
        let scenario = read(&file);
        if scenario.spec.fleet == Fleet::Today {
            continue;
        }
        let report = run(&scenario, &Today::default(), &never()).unwrap();
        assert!(report.held, "{}:\n{report}", file.display());
        let wide = report.to_string().lines().map(|line| line.chars().count()).max();
        assert!(wide.is_some_and(|wide| wide <= 80), "{report}");
    }
}

#[test]
fn what_is_not_there_is_told_before_and_all_at_once() {
    const MADE: &str = "
apiVersion: atoll/v1
kind: Rehearsal
metadata: { name: x }
spec:
  lasts: 1h
  fleet: { zones: { a: 2 }, applications: { shop: { capacity: 100 } } }
  load: { shop: { level: 50 } }
";
    let told = |more: &str| -> Vec<String> {
        let scenario = read_scenario("x.yaml", format!("{MADE}{more}").as_bytes()).unwrap();
        let told = run(&scenario, &Today::default(), &never()).err().unwrap_or_default();
        told.into_iter().map(|reason| reason.message).collect()
    };
    let wrong = told(
        "
  faults:
  - { fault: loss, at: 5m, of: zone/b }
  - { fault: load, at: 5m, of: stock, times: 2 }
  changes:
  - { change: deploy, at: 5m, of: shop.prod, release: shop-7 }
  - { change: scale, at: 5m, of: pool/own, to: 3 }
  - { change: migrate, at: 5m, off: 'zone =' }
  - { change: edit, at: 5m, of: deployment/shop.prod,
      patch: { spec: { instances: many, paused: 3 } } }
  checks:
  - { check: runs, of: shop, release: shop-9 }
",
    );
    let begins = [
        "spec.faults[0].of: there is no host of zone/b",
        "spec.faults[1].of: there is no application or deployment stock",
        "spec.changes[2].off: ",
        "spec.changes[3].patch.spec.instances: ",
        "spec.changes[3].patch.spec.paused: ",
        "spec.changes[0].release: there is no release shop-7 of shop",
        "spec.changes[1].of: there is no pool/own",
        "spec.checks[0].release: there is no release shop-9 of shop",
    ];
    assert_eq!(wrong.len(), begins.len(), "{wrong:#?}");
    for (told, begin) in wrong.iter().zip(begins) {
        assert!(told.starts_with(begin), "{told}");
    }
    let made = told(
        "
  changes:
  - { change: deploy, at: 5m, of: shop }
  checks:
  - { check: runs, of: shop, release: shop-2 }
",
    );
    assert_eq!(made, [""; 0], "it comes in the scenario");
    let applied = told(
        "
  changes:
  - change: apply
    at: 5m
    objects:
    - { apiVersion: atoll/v1, kind: Zone, metadata: { name: Z }, spec: {} }
    - { apiVersion: atoll/v1, kind: Team, metadata: { name: t }, spec: { colour: red } }
",
    );
    assert_eq!(applied.len(), 2, "{applied:#?}");
}

#[test]
fn what_is_misspelt_is_told_with_what_may_be_meant() {
    let scenario = read_scenario(
        "x.yaml",
        b"
apiVersion: atoll/v1
kind: Rehearsal
metadata: { name: x }
spec:
  lasts: 1h
  fleet: { zones: { north: 1, south: 1 }, applications: { shop: { capacity: 100 } } }
  load: { shop: { level: 50 } }
  faults:
  - { fault: loss, at: 5m, of: zone/nort }
  - { fault: loss, at: 5m, of: host/elsewhere }
  - { fault: slow, at: 5m, of: shp, by: 2m }
  - { fault: release, at: 5m, of: shopp, how: dies }
  changes:
  - { change: deploy, at: 5m, of: shop.prd }
  - { change: deploy, at: 5m, of: shop, release: shop-1 }
  - { change: scale, at: 5m, of: deployment/shop.prd, to: 3 }
  - { change: edit, at: 5m, of: application/shoop, patch: {} }
  - { change: migrate, at: 5m, off: zone = south }
  checks:
  - { check: refused, of: deployment/shop.prod }
  - { check: refused, of: zone = sout }
  - { check: moved, of: rehearsed-1 }
  - { check: settled, of: shp }
",
    );
    let told = run(&scenario.unwrap(), &Today::default(), &never()).unwrap_err();
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    let expected = [
        "faults[0].of: there is no host of zone/nort (did you mean \"zone/north\"?)",
        "faults[1].of: there is no host of host/elsewhere",
        "faults[2].of: there is no application or deployment shp (did you mean \"shop\"?)",
        "faults[3].of: there is no application shopp (did you mean \"shop\"?)",
        "changes[0].of: there is no deployment/shop.prd (did you mean \"shop.prod\"?)",
        "changes[1].of: there is no deployment/shop",
        "changes[2].of: there is no deployment/shop.prd (did you mean \"deployment/shop.prod\"?)",
        "changes[3].of: there is no application/shoop (did you mean \"application/shop\"?)",
        "checks[0].of: there is no change of deployment/shop.prod",
        "checks[1].of: there is no change of zone = sout (did you mean \"zone = south\"?)",
        "checks[2].of: there is no migration/rehearsed-1 (did you mean \"rehearsed-0\"?)",
        "checks[3].of: there is no application or deployment shp (did you mean \"shop\"?)",
    ];
    assert_eq!(told, expected.map(|wrong| format!("not-found: spec.{wrong}")));
}

#[test]
fn a_load_of_what_is_misspelt_is_told_what_may_be_meant() {
    let mut today = with_budget_left(1.0);
    let mut plain = Object::clone(today.world.get::<Application>("shop").unwrap());
    plain.meta.name = "plain".to_owned();
    plain.spec.scaling = None;
    today.world.put(Any::Application(Arc::new(plain)));
    let told = |name: &str| {
        let load = Load { level: Some(200.0), ..Load::default() };
        let spec = Rehearsal { load: [(name.to_owned(), load)].into(), ..Rehearsal::default() };
        let told = run(&Scenario::new("misspelt", spec), &today, &never()).unwrap_err();
        assert_eq!(told.len(), 1, "{told:?}");
        told[0].to_string()
    };
    let gone = |name: &str| {
        format!("not-found: spec.load.{name}: there is no such application or deployment")
    };
    assert_eq!(told("shoop"), format!("{} (did you mean \"shop\"?)", gone("shoop")));
    assert_eq!(told("billing"), gone("billing"));
    assert_eq!(
        told("plain"),
        "not-found: spec.load.plain: it does not say what an instance carries \
         (see scaling.perInstance in docs/guide/scaling.md)"
    );
}

#[test]
fn one_that_takes_too_long_is_ended() {
    let stop: Stop = Arc::new(|| true);
    let ended = run(&sample::large(20), &Today::default(), &stop).unwrap_err();
    assert_eq!(ended[0].code, "too-long");
}

/// Two hosts that a provider made, and says where; they joined so long after they were asked for.
fn made_by_a_provider(boot: Span) -> Today {
    let mut sim = Sim::new(7);
    let size = Amount { cpu: Cpu(1_000), memory: Memory(1 << 30), instances: 0 };
    let cloud = sim.clouds.entry("web".to_owned()).or_default();
    (cloud.size, cloud.boot) = (size, boot);
    let pool = serde_json::json!({
        "apiVersion": "atoll/v1", "kind": "Pool", "metadata": { "name": "web" },
        "spec": {
            "count": 2, "max": 6, "replaceAfter": "1m",
            "provider": { "exec": { "create": ["x"], "list": ["x"], "delete": ["x"] } },
        },
    });
    let application = serde_json::json!({
        "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": "shop" },
        "spec": {
            "run": { "command": ["x"], "resources": { "cpu": "500m", "memory": "64Mi" } },
            "scaling": { "min": 4, "max": 9 },
        },
    });
    let environment = Any::Environment(Arc::new(Object::new("prod", Environment::default())));
    let [pool, application] = [pool, application].map(|value| Any::from_value(value).unwrap());
    sim.apply(vec![environment, pool, application]).unwrap();
    assert!(sim.settle(Span::seconds(600)));
    let mut world = sim.world.clone();
    let mut elsewhere = Object::clone(world.get::<Pool>("web").unwrap());
    elsewhere.status.account = "123/eu-west-1".to_owned();
    world.put(Any::Pool(Arc::new(elsewhere)));
    let cx = sim.context();
    Today { world, measured: cx.measured.clone(), now: cx.now, ..Today::default() }
}

#[test]
fn hosts_a_provider_has_made_are_replaced_and_others_like_them_come() {
    let today = made_by_a_provider(Span::seconds(20));
    let lost = today.world.all::<Host>().next().unwrap().meta.name.clone();
    let at = Span::seconds(300);
    let spec = Rehearsal {
        lasts: Span::seconds(1_800),
        faults: vec![Fault::Loss { at, of: format!("host/{lost}"), lasts: None }],
        checks: vec![Check::Settled { of: None }],
        ..Rehearsal::default()
    };
    let report = run(&Scenario::new("lost", spec), &today, &never()).unwrap();
    assert!(report.held, "{report}");
    assert_eq!(report.fleet.hosts.last(), Some(&2.0), "{report}");
    // Two instances fit on a host like those there are; on larger ones all nine would.
    let scale = |of: &str, to| Change::Scale { at, of: of.to_owned(), to };
    let changes = vec![scale("pool/web", 4), scale("deployment/shop.prod", 9)];
    let spec = Rehearsal { lasts: Span::seconds(1_800), changes, ..Rehearsal::default() };
    let report = run(&Scenario::new("more", spec), &today, &never()).unwrap();
    assert_eq!(report.fleet.hosts.last(), Some(&4.0), "{report}");
    assert!(report.to_string().contains("4 of 5 missing instances"), "{report}");
}

#[test]
fn hosts_join_as_late_as_the_last_of_their_pool_did() {
    let today = made_by_a_provider(Span::seconds(200));
    let at = Span::seconds(600);
    let changes = vec![Change::Scale { at, of: "pool/web".to_owned(), to: 4 }];
    let spec = Rehearsal { lasts: Span::seconds(2_400), changes, ..Rehearsal::default() };
    let report = run(&Scenario::new("late", spec), &today, &never()).unwrap();
    let step = report.fleet.step.0 / 1_000;
    let hosts = |second: u64| report.fleet.hosts[(second / step) as usize];
    assert_eq!((hosts(600 + 150), hosts(600 + 300)), (2.0, 4.0), "{report}");
    assert!(report.to_string().contains("of web after 3m"), "{report}");
}

/// A fleet with an application that promises something and has so much of its budget left.
fn with_budget_left(left: f64) -> Today {
    let mut sim = Sim::new(11);
    let size = Amount { cpu: Cpu(4_000), memory: Memory(8 << 30), instances: 0 };
    sim.join("h0", &[], size);
    let application = serde_json::json!({
        "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": "shop" },
        "spec": {
            "run": { "command": ["x"], "resources": { "cpu": "100m", "memory": "64Mi" } },
            "scaling": {
                "min": 4, "max": 9, "perInstance": { "query": "load", "target": 100 },
            },
            "objectives": [{ "name": "success", "good": "g", "total": "t", "target": "99%" }],
        },
    });
    let environment = Any::Environment(Arc::new(Object::new("prod", Environment::default())));
    sim.apply(vec![environment, Any::from_value(application).unwrap()]).unwrap();
    assert!(sim.settle(Span::seconds(600)));
    let mut world = sim.world.clone();
    let objective = world.get::<Objective>("shop.prod.success").unwrap();
    let mut objective = Object::clone(objective);
    objective.status.budget_left = Some(left);
    world.put(Any::Objective(Arc::new(objective)));
    let cx = sim.context();
    Today { world, measured: cx.measured.clone(), now: cx.now, ..Today::default() }
}

/// What is only called and not measured today keeps its number on the twin as it does outside.
#[test]
fn what_nobody_measures_today_is_not_measured_on_a_twin() {
    let mut sim = Sim::new(11);
    let size = Amount { cpu: Cpu(4_000), memory: Memory(8 << 30), instances: 0 };
    sim.join("h0", &[], size);
    let application = |name: &str, calls: serde_json::Value| {
        Any::from_value(serde_json::json!({
            "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": name },
            "spec": {
                "run": { "command": ["x"], "resources": { "cpu": "100m", "memory": "64Mi" } },
                "scaling": {
                    "min": 2, "max": 9, "calls": calls,
                    "perInstance": { "query": "load", "target": 50 },
                },
            },
        }))
    };
    let environment = Any::Environment(Arc::new(Object::new("prod", Environment::default())));
    let shop = application("shop", serde_json::json!({ "stock": 0.5 })).unwrap();
    let stock = application("stock", serde_json::json!({})).unwrap();
    sim.apply(vec![environment, stock, shop]).unwrap();
    assert!(sim.settle(Span::seconds(600)));
    let mut world = sim.world.clone();
    let mut blind = Object::clone(world.get::<Autoscaler>("stock.prod").unwrap());
    (blind.status.phase, blind.status.desired) = (AutoscalerPhase::Blind, Some(6));
    world.put(Any::Autoscaler(Arc::new(blind)));
    let cx = sim.context();
    let today = Today { world, measured: cx.measured.clone(), now: cx.now, ..Today::default() };
    let level = |level: f64| Load { level: Some(level), ..Load::default() };
    let last = |load: &[(&str, f64)]| {
        let load = load.iter().map(|(name, load)| ((*name).to_owned(), level(*load))).collect();
        let spec = Rehearsal { lasts: Span::seconds(3_600), load, ..Rehearsal::default() };
        let report = run(&Scenario::new("called", spec), &today, &never()).unwrap();
        let supposed = report.assumed.iter().any(|it| it.contains("nobody measures it today"));
        assert!(supposed, "{report}");
        report.fleet.instances.last().copied()
    };
    assert_eq!(last(&[("shop", 80.0)]), Some(2.0 + 6.0));
    assert_eq!(last(&[("shop", 80.0), ("stock", 10.0)]), Some(2.0 + 2.0), "it is supposed");
}

#[test]
fn error_budgets_are_left_as_they_are() {
    let load = Load { level: Some(200.0), ..Load::default() };
    let at = Span::seconds(600);
    let deploy = Change::Deploy { at, of: "shop.prod".to_owned(), release: None };
    let spec = Rehearsal {
        lasts: Span::seconds(3_600),
        load: [("shop".to_owned(), load)].into(),
        changes: vec![deploy],
        checks: vec![Check::Runs { of: "shop".to_owned(), release: "shop-2".to_owned() }],
        ..Rehearsal::default()
    };
    let scenario = Scenario::new("deploy", spec);
    let with = |left: f64| run(&scenario, &with_budget_left(left), &never()).unwrap();
    let (whole, some, spent) = (with(1.0), with(0.05), with(-0.2));
    assert!(whole.held && some.held, "{whole}{some}");
    assert!(!spent.held, "releases are held: {spent}");
    assert!(spent.to_string().contains("error budgets are left as they are"), "{spent}");
}

/// What nobody has seen an instance break with, it may carry; what one broke with, it does not.
#[test]
fn what_may_be_carried_is_told_beside_what_is_known_to_be() {
    let with = |level: f64, each: f64, broke: Option<f64>| {
        let mut today = with_budget_left(1.0);
        let mut capacity = Object::new("shop.prod", Capacity::default());
        capacity.spec.deployment = "shop.prod".to_owned();
        let known = if broke.is_some() { Known::Bounded } else { Known::Proven };
        (capacity.status.known, capacity.status.each) = (known, Some(each));
        let shown = Carried { most: Some(each), broke, ..Carried::default() };
        capacity.status.releases = vec![shown];
        today.world.put(Any::Capacity(Arc::new(capacity)));
        let load = Load { level: Some(level), ..Load::default() };
        let spec = Rehearsal {
            lasts: Span::seconds(3_600),
            load: [("shop".to_owned(), load)].into(),
            checks: vec![Check::Served { of: None, at_least: "99%".to_owned() }],
            ..Rehearsal::default()
        };
        run(&Scenario::new("short", spec), &today, &never()).unwrap()
    };
    // Nine instances at the most: 200 are asked of each, once all are there.
    let (unseen, seen) = (with(1_800.0, 150.0, None), with(1_800.0, 150.0, Some(180.0)));
    let (may, does) =
        (unseen.deployments[0].at_best.unwrap(), seen.deployments[0].at_best.unwrap());
    assert_eq!(unseen.deployments[0].lost, seen.deployments[0].lost);
    assert_eq!((may.served, may.lost), (1.0, 0.0), "{unseen}");
    assert!(unseen.checks[0].found.contains("100 % if an instance carries more"), "{unseen}");
    assert!(!unseen.held, "checks go by what is known: {unseen}");
    assert!((0.09..seen.deployments[0].lost).contains(&does.lost), "{seen}");
    assert_eq!(does.served, 0.0, "{seen}");
    assert_eq!(with(400.0, 150.0, None).deployments[0].at_best.map(|best| best.served), None);
}

/// What autoscalers and what ran have left stays, until somebody names a number, be it the same.
#[test]
fn a_number_that_is_named_counts_as_it_does_outside() {
    let at = Span::seconds(900);
    let mut today = with_budget_left(1.0);
    let mut shop = Object::clone(today.world.get::<Application>("shop").unwrap());
    shop.spec.scaling.as_mut().unwrap().mode = ScalingMode::Observe;
    today.world.put(Any::Application(Arc::new(shop)));
    let mut left = Object::clone(today.world.get::<Deployment>("shop.prod").unwrap());
    assert_eq!(left.spec.instances, 4);
    left.status.scaled = Some(Scaled { instances: 6, declared: 4 });
    today.world.put(Any::Deployment(Arc::new(left)));
    let of = || "deployment/shop.prod".to_owned();
    let patch = serde_json::json!({ "spec": { "instances": 4 } });
    let scaled = [
        (vec![], 6.0),
        (vec![Change::Scale { at, of: of(), to: 4 }], 4.0),
        (vec![Change::Edit { at, of: of(), patch }], 4.0),
    ];
    for (changes, last) in scaled {
        let load = [("shop".to_owned(), Load { level: Some(100.0), ..Load::default() })].into();
        let spec = Rehearsal { lasts: Span::seconds(1_800), load, changes, ..Rehearsal::default() };
        let report = run(&Scenario::new("named", spec), &today, &never()).unwrap();
        assert_eq!(report.fleet.instances.last(), Some(&last), "{report}");
    }

    let mut today = made_by_a_provider(Span::seconds(20));
    let mut left = Object::clone(today.world.get::<Pool>("web").unwrap());
    left.status.left_at = Some(LeftAt { count: 2, wanted: 3 });
    today.world.put(Any::Pool(Arc::new(left)));
    let scaled = vec![Change::Scale { at, of: "pool/web".to_owned(), to: 2 }];
    for (changes, last) in [(vec![], 3.0), (scaled, 2.0)] {
        let spec = Rehearsal { lasts: Span::seconds(1_800), changes, ..Rehearsal::default() };
        let report = run(&Scenario::new("named", spec), &today, &never()).unwrap();
        assert_eq!(report.fleet.hosts.last(), Some(&last), "{report}");
        let emptied = report.decisions.iter().any(|one| one.what.contains("emptied"));
        assert_eq!(emptied, last < 3.0, "{report}");
    }
}
