//! Standards: a hundred over ten thousand objects in full, and over one changed object; in one
//! thread, without server, store or network.

use std::sync::Arc;

use anyhow::ensure;
use atoll_model::Level;
use atoll_model::access::Actor;
use atoll_model::policy::Mode;
use atoll_model::{
    Any, Application, Deployment, Environment, Object, Snapshot, Standard, Timestamp, Write,
};
use atoll_plan::decision::{Verdict, decide};
use atoll_plan::{Context, Measurements, edit, policy};
use serde_json::json;

use crate::Args;
use crate::clock;
use crate::table::{Goal, Row, median};

const STANDARDS: usize = 100;
/// Applications, each with this many deployments.
const APPLICATIONS: usize = 2_000;
const DEPLOYMENTS: usize = 4;
/// Changes that are timed.
const SAMPLES: usize = 200;
/// Full passes over which memory is watched.
const PASSES: usize = 5;

/// What conditions are made of: each is one of these, over a field that nothing else looks at.
const CONDITIONS: [&str; 5] = [
    "object.spec.run.command.size() > 0 || has(object.spec.application)",
    "!has(object.spec.run) || object.spec.run.env.all(k, !k.contains('SECRET'))",
    "object.kind == 'Deployment' ? object.spec.instances >= 1 : has(object.spec.owner)",
    "has(application.spec.owner) && application.spec.owner.startsWith('team/')",
    "object.metadata.name.matches('^[a-z0-9.-]+$') && application != null",
];

#[derive(Clone, Copy, Default)]
struct Found {
    full: f64,
    one: f64,
    grown: f64,
}

fn rows_of(found: Found) -> Vec<Row> {
    let objects = APPLICATIONS * (1 + DEPLOYMENTS);
    let what = format!("{STANDARDS} standards over {objects} objects");
    vec![
        Row::new(format!("{what}, in full"), found.full, "s", Goal::AtMost(2.0))
            .noted("every standard is about every object; one thread"),
        Row::new(format!("{what}, one changed"), found.one, "ms", Goal::AtMost(5.0))
            .noted("the gate, and its scorecard with five objects; the median"),
        Row::new(format!("{what}, memory grown by {PASSES} passes"), found.grown, "MB", {
            Goal::AtMost(5.0)
        }),
    ]
}

/// The rows that are asked for.
///
/// # Errors
/// The gate refuses what it should not, or finds nothing.
pub async fn rows(args: &Args) -> anyhow::Result<Vec<Row>> {
    if args.pick(rows_of(Found::default())).is_empty() {
        return Ok(Vec::new());
    }
    let found = tokio::task::spawn_blocking(measure).await??;
    Ok(args.pick(rows_of(found)))
}

fn measure() -> anyhow::Result<Found> {
    let mut world = Snapshot::default();
    world.put(Any::Environment(Arc::new(Object::new("env-0", Environment::default()))));
    for number in 0..APPLICATIONS {
        let name = format!("app-{number}");
        world.put(application(&name)?);
        for environment in 0..DEPLOYMENTS {
            world.put(deployment(&name, environment)?);
        }
    }
    for number in 0..STANDARDS {
        world.put(standard(number)?);
    }
    let began = clock::now();
    ensure!(audit(&mut world) == APPLICATIONS, "not every application has a scorecard");
    let full = began.elapsed().as_secs_f64();
    audit(&mut world);
    let before = resident()?;
    for _ in 0..PASSES {
        ensure!(audit(&mut world) == 0, "a second pass finds something else");
    }
    let grown = (resident()? - before).max(0.0);
    let mut times = Vec::new();
    for sample in 0..SAMPLES {
        times.push(change(&mut world, &format!("app-{}", sample * 7919 % APPLICATIONS), sample)?);
    }
    Ok(Found { full, one: median(times), grown })
}

/// The memory of this process, in megabytes.
fn resident() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
    let kilobytes: f64 = kilobytes.ok_or_else(|| anyhow::anyhow!("no VmRSS"))?;
    Ok(kilobytes / 1e3)
}

fn audit(world: &mut Snapshot) -> usize {
    let names: Vec<String> = world.all::<Application>().map(|a| a.meta.name.clone()).collect();
    names.iter().map(|name| look(world, name)).sum()
}

/// Plans the scorecard of an application; how many were written.
fn look(world: &mut Snapshot, name: &str) -> usize {
    let measured = Measurements::default();
    let cx = Context { world, measured: &measured, now: Timestamp(1_800_000_000_000) };
    let plan = policy::of_application(&cx, name);
    let writes = plan.writes.len();
    for write in plan.writes {
        if let Write::Put(any) = write {
            world.put(any);
        }
    }
    writes
}

/// Changes one application, through the gate and onto its scorecard, in milliseconds.
fn change(world: &mut Snapshot, name: &str, sample: usize) -> anyhow::Result<f64> {
    let stored = world.get::<Application>(name).cloned();
    let mut new = Object::clone(&*stored.ok_or_else(|| anyhow::anyhow!("no {name}"))?);
    new.spec.run.env.insert("SAMPLE".to_owned(), sample.to_string());
    let actor = Actor::new("local", Level::Admin);
    let began = clock::now();
    let measured = Measurements::default();
    let cx = Context { world, measured: &measured, now: Timestamp(1_800_000_000_000) };
    let plan = edit::apply(&cx, vec![Any::Application(Arc::new(new))]);
    let plan = plan.map_err(|reasons| anyhow::anyhow!("{reasons:?}"))?;
    let writes = match decide(&cx, &actor, plan) {
        Verdict::Commit(plan) => plan.writes,
        other => anyhow::bail!("{other:?}"),
    };
    for write in writes {
        if let Write::Put(any) = write {
            world.put(any);
        }
    }
    look(world, name);
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn application(name: &str) -> anyhow::Result<Any> {
    let env: serde_json::Map<String, serde_json::Value> =
        (0..10).map(|n| (format!("VARIABLE_{n}"), json!("value"))).collect();
    Ok(Any::from_value(json!({
        "apiVersion": "atoll/v1", "kind": "Application",
        "metadata": { "name": name, "labels": { "tier": "core" } },
        "spec": {
            "owner": "team/bench",
            "run": { "command": ["./program", "--serve"], "env": env, "ports": { "http": 0 },
                "health": { "http": "/healthz" } },
        },
    }))?)
}

fn deployment(application: &str, environment: usize) -> anyhow::Result<Any> {
    let (name, environment) = (format!("{application}.env-{environment}"), environment);
    let spec: Deployment = serde_json::from_value(json!({
        "application": application, "environment": format!("env-{environment}"), "instances": 3,
    }))?;
    Ok(Any::Deployment(Arc::new(Object::new(name, spec))))
}

fn standard(number: usize) -> anyhow::Result<Any> {
    let condition = CONDITIONS[number % CONDITIONS.len()];
    let mut spec: Standard = serde_json::from_value(json!({
        "kinds": ["Application", "Deployment"],
        "require": format!("({condition}) && !has(object.metadata.annotations)"),
        "message": "{{object.metadata.name}} does not keep it",
    }))?;
    spec.mode = if number.is_multiple_of(2) { Mode::Enforce } else { Mode::Warn };
    Ok(Any::Standard(Arc::new(Object::new(format!("standard-{number}"), spec))))
}
