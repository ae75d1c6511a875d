//! The rows about migrations: how long it takes to say what moving 10,000 instances would do and to
//! begin, be it off hosts or to balance them, and how near to the best it packs them. Moving itself
//! is what deployments do.

use std::sync::Arc;

use anyhow::ensure;
use atoll_model::cmdb::{Amount, HostPhase, ZONE_LABEL};
use atoll_model::deployment::InstancePhase;
use atoll_model::migration::MigrationForecast;
use atoll_model::run::Resources;
use atoll_model::{
    Any, Application, Cpu, Deployment, Environment, Host, Instance, Memory, Migration, Object,
    Release, Snapshot, Timestamp, Write,
};
use atoll_plan::{Context, Measurements, migration};
use serde_json::{Value, json};

use crate::table::{Goal, Row};
use crate::{Args, clock};

const TIME: &str = "planning a migration of 10,000 instances";
const BALANCE: &str = "planning the balance of 2,000 hosts";
const HOSTS: &str = "hosts it packs them on, beside what none can better";
const DEPLOYMENTS: u32 = 200;
const EACH: u32 = 50;
/// So many hosts in each of two zones, one full and one empty.
const EACH_ZONE: u32 = 1_000;
const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// What one run found.
struct Found {
    seconds: f64,
    balance: f64,
    ratio: f64,
}

/// Measures what is asked for of the rows about migrations.
///
/// # Errors
/// Something does not work; a missed goal is no error.
pub async fn rows(args: &Args) -> anyhow::Result<Vec<Row>> {
    if ![TIME, BALANCE, HOSTS].into_iter().any(|row| args.wants(row)) {
        return Ok(Vec::new());
    }
    let mut runs = Vec::new();
    for _ in 0..args.runs {
        runs.push(crate::apart(once).await?);
    }
    let how = "off one of two zones of 1,000 hosts; 200 deployments, each of another size of cpu \
               and memory: the dry run and the beginning";
    Ok(args.pick(vec![
        Row::new(TIME, crate::over(&runs, |run| run.seconds), "s", Goal::AtMost(2.0)).noted(how),
        Row::new(BALANCE, crate::over(&runs, |run| run.balance), "s", Goal::AtMost(2.0))
            .noted("the same hosts, of which half are empty: the dry run and the beginning"),
        Row::new(HOSTS, crate::over(&runs, |run| run.ratio), "×", Goal::AtMost(1.05))
            .noted("beside the fewest hosts that have as much cpu, or memory, together"),
    ]))
}

fn once() -> anyhow::Result<Found> {
    let world = world()?;
    let (off, began, seconds) = planned(&world, json!({ "off": "zone = \"a\"", "wave": "20%" }))?;
    let all = DEPLOYMENTS * EACH;
    ensure!(off.instances == all, "{} are to be moved", off.instances);
    ensure!(off.unplaced == 0, "{} find no room", off.unplaced);
    ensure!(began == EACH_ZONE as usize, "it begins with {began} hosts");
    let (even, began, balance) = planned(&world, json!({ "balance": true, "wave": "20%" }))?;
    ensure!(even.instances > all / 4 && began > 0, "{} of {began} are moved", even.instances);
    Ok(Found { seconds, balance, ratio: f64::from(off.packed) / f64::from(off.least) })
}

/// What a dry run says, how many hosts the migration begins with, and how long both took.
fn planned(world: &Snapshot, spec: Value) -> anyhow::Result<(MigrationForecast, usize, f64)> {
    let mut world = world.clone();
    let spec: Migration = serde_json::from_value(spec)?;
    let measured = Measurements::default();
    let began = clock::now();
    let forecast = migration::forecast::forecast(
        &Context { world: &world, measured: &measured, now: NOW },
        &spec,
    );
    world.put(Any::Migration(Arc::new(Object::new("bench", spec))));
    let cx = Context { world: &world, measured: &measured, now: NOW };
    let plan = migration::plan(&cx, "bench");
    let seconds = began.elapsed().as_secs_f64();
    let hosts = plan.writes.iter().find_map(|write| match write {
        Write::Put(Any::Migration(migration)) => Some(migration.status.hosts.len()),
        _ => None,
    });
    Ok((forecast, hosts.unwrap_or_default(), seconds))
}

fn world() -> anyhow::Result<Snapshot> {
    let mut world = Snapshot::default();
    world.put(Any::Environment(Arc::new(Object::new("bench", Environment::default()))));
    for zone in ["a", "b"] {
        for number in 0..EACH_ZONE {
            world.put(host(zone, number));
        }
    }
    let mut count = 0;
    for number in 0..DEPLOYMENTS {
        // Primes, so that cpu and memory are in all proportions.
        let cpu = 100 + u64::from(number * 37 % 41) * 50;
        let memory = 256 + u64::from(number * 53 % 59) * 128;
        let resources = Resources { cpu: Cpu(cpu), memory: Memory(memory << 20) };
        let name = format!("app{number:03}");
        let application: Application = serde_json::from_value(json!({
            "run": { "command": ["./app"], "resources": resources },
            "environments": ["bench"],
        }))?;
        let spec = json!({ "application": name, "number": 1, "run": application.run });
        world.put(Any::Application(Arc::new(Object::new(name.clone(), application))));
        let (release, deployment) = (format!("{name}-1"), format!("{name}.bench"));
        let spec: Release = serde_json::from_value(spec)?;
        world.put(Any::Release(Arc::new(Object::new(release.clone(), spec))));
        world.put(settled(&name, &deployment, &release)?);
        for ordinal in 0..EACH {
            let on = format!("a{:04}", count % EACH_ZONE);
            world.put(instance((&deployment, &release), ordinal, on, resources)?);
            count += 1;
        }
    }
    Ok(world)
}

fn host(zone: &str, number: u32) -> Any {
    let mut host = Object::new(format!("{zone}{number:04}"), Host::default());
    host.meta.labels.insert(ZONE_LABEL.to_owned(), zone.to_owned());
    host.status.phase = HostPhase::Ready;
    host.status.capacity = Amount { cpu: Cpu(16_000), memory: Memory(64 << 30), instances: 0 };
    Any::Host(Arc::new(host))
}

fn settled(application: &str, name: &str, release: &str) -> anyhow::Result<Any> {
    let spec: Deployment = serde_json::from_value(json!({
        "application": application, "environment": "bench", "instances": EACH,
    }))?;
    let mut deployment = Object::new(name, spec);
    deployment.status.phase = atoll_model::deployment::Phase::Settled;
    (deployment.status.instances, deployment.status.ready) = (EACH, EACH);
    deployment.status.release = Some(release.to_owned());
    Ok(Any::Deployment(Arc::new(deployment)))
}

fn instance(
    (of, release): (&str, &str),
    ordinal: u32,
    host: String,
    each: Resources,
) -> anyhow::Result<Any> {
    let spec: Instance = serde_json::from_value(json!({
        "deployment": of, "ordinal": ordinal, "release": release, "host": host, "resources": each,
    }))?;
    let mut instance = Object::new(format!("{of}.{ordinal}"), spec);
    instance.status.phase = InstancePhase::Ready;
    instance.status.release = Some(release.to_owned());
    Ok(Any::Instance(Arc::new(instance)))
}
