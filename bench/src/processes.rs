//! Ten real processes under the real agent: how long until they are up and healthy, and how long
//! a rolling update takes. Not a load test: the control plane idles.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::clock;
use crate::control::{Control, Running};
use crate::http::{Connection, Target};
use crate::interrupt::unless_interrupted;
use crate::program::Program;

const INSTANCES: u32 = 10;

/// What one run found, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// From asking for the instances until all were healthy.
    pub start: f64,
    /// From the change until all ran the new release.
    pub update: f64,
}

/// Makes one run on a fresh server with an agent.
///
/// # Errors
/// What went wrong, with what the program logged.
pub async fn run(program: &Path) -> anyhow::Result<Found> {
    let program = std::path::absolute(program)?;
    let up = unless_interrupted(Program::start(&program, "up")).await?;
    let outcome = async {
        let mut control = Control::open(&up.target).await?;
        let measured = unless_interrupted(measure(&mut control, &program)).await;
        // Instances outlive the agent, so they are stopped before it, whatever happened.
        let cleared = clear(&mut control).await;
        measured.and_then(|found| cleared.map(|()| found))
    }
    .await;
    let log = up.daemon.log();
    if !log.is_empty() {
        eprintln!("  the program logged:\n{log}");
    }
    up.stop().await?;
    outcome
}

async fn measure(control: &mut Control, program: &Path) -> anyhow::Result<Found> {
    control.hosts_ready(1).await?;
    let program = program.to_str().context("the program's path is not text")?;
    let run = json!({
        "command": [program, "sample", "--listen", "127.0.0.1:{{ports.http}}"],
        "env": { "VERSION": "1" },
        "ports": { "http": 0 },
        "resources": { "cpu": "10m", "memory": "64Mi" },
        "health": { "http": "/healthz", "port": "http" },
    });
    let rollout = json!({
        "strategy": "rolling", "maxUnavailable": "25%", "maxSurge": "25%", "healthyFor": "0s",
    });
    control.apply(run, rollout).await?;
    let began = clock::now();
    control.scale(INSTANCES).await?;
    let first = control.settled(INSTANCES, None).await?;
    let start = began.elapsed().as_secs_f64();
    let began = clock::now();
    control.change("2").await?;
    let second = control.settled(INSTANCES, Some(&first)).await?;
    let update = began.elapsed().as_secs_f64();
    control.kept_up(INSTANCES)?;
    for running in control.listed(INSTANCES, &second).await? {
        serves(running).await?;
    }
    eprintln!("  10 processes: healthy after {start:.2} s, updated after {update:.2} s");
    Ok(Found { start, update })
}

/// Checks that an instance answers, and that its process was started with what was changed.
async fn serves(running: Running) -> anyhow::Result<()> {
    let pid = running.pid.context("an instance has no pid")?;
    let port = running.port.context("an instance has no port")?;
    let environment = std::fs::read(format!("/proc/{pid}/environ"))?;
    let changed = environment.split(|byte| *byte == 0).any(|variable| variable == b"VERSION=2");
    ensure!(changed, "process {pid} runs without the changed environment");
    let target = Target { address: ([127, 0, 0, 1], port).into(), token: String::new() };
    Connection::open(&target).await?.ask("GET", "/healthz", b"").await?.good()?;
    Ok(())
}

/// Stops the instances, and waits until they have.
async fn clear(control: &mut Control) -> anyhow::Result<()> {
    let gone = async {
        control.scale(0).await?;
        control.settled(0, None).await.map(drop)
    };
    gone.await.context("stopping the instances")
}
