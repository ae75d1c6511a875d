//! Ten real containers under the real agent, and the same ten under Docker Swarm on the same
//! engine in the same run: how long until they are up and healthy, and how long a rolling update
//! takes. The engine itself is started in `containers/engine.rs`.

mod engine;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::clock;
use crate::control::Control;
use crate::http::{Connection, Target};
use crate::interrupt::unless_interrupted;
use crate::program::Program;
use engine::Engine;

const INSTANCES: u32 = 10;
const IMAGE: &str = "bench:1";
const NETWORK: &str = "bench";
const SERVICE: &str = "app";
/// Swarm is asked how far it is this often.
const LOOK: Duration = Duration::from_millis(100);
/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(180);

/// What one run found, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// From asking for the instances until all were healthy.
    pub start: f64,
    /// From the change until all ran the new release.
    pub update: f64,
    /// The same of Swarm.
    pub swarm_start: f64,
    /// The same of Swarm.
    pub swarm_update: f64,
}

/// What a row says where there is no engine to be measured with.
pub fn absence() -> Option<String> {
    Engine::missing().map(|path| format!("{path} is not installed, so the goal is not known"))
}

/// Makes one run on a fresh engine, first with Atoll, then with Swarm.
///
/// # Errors
/// What went wrong, with what the program logged.
pub async fn run(program: &Path) -> anyhow::Result<Found> {
    let engine = Engine::start().await?;
    let outcome = async {
        engine.import(IMAGE).await?;
        let (start, update) = ours(program, &engine).await?;
        let (swarm_start, swarm_update) = unless_interrupted(swarm(&engine)).await?;
        eprintln!(
            "  10 containers: healthy after {start:.2} s, updated after {update:.2} s; Swarm: \
             {swarm_start:.2} s and {swarm_update:.2} s"
        );
        Ok(Found { start, update, swarm_start, swarm_update })
    }
    .await;
    engine.stop().await?;
    outcome
}

async fn ours(program: &Path, engine: &Engine) -> anyhow::Result<(f64, f64)> {
    let up = Program::start_with(program, "up", &[("DOCKER_HOST", engine.address())]).await?;
    let outcome = async {
        let mut control = Control::open(&up.target).await?;
        let measured = unless_interrupted(measure(&mut control)).await;
        // Containers outlive the agent, so they are stopped before it, whatever happened.
        let cleared = async {
            control.scale(0).await?;
            control.settled(0, None).await.map(drop)
        };
        let cleared = cleared.await.context("stopping the containers");
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

async fn measure(control: &mut Control) -> anyhow::Result<(f64, f64)> {
    control.hosts_ready(1).await?;
    let run = json!({
        "env": { "VERSION": "1" },
        "ports": { "http": 0 },
        "resources": { "cpu": "10m", "memory": "64Mi" },
        "health": { "http": "/healthz", "port": "http" },
        "stop": { "grace": "1s" },
    });
    let rollout = json!({
        "strategy": "rolling", "maxUnavailable": "25%", "maxSurge": "25%", "healthyFor": "0s",
    });
    let application = json!({ "image": IMAGE, "run": run, "rollout": rollout });
    control.declare(json!({ "runtime": "docker" }), application).await?;
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
        let port = running.port.context("an instance has no port")?;
        let target = Target { address: ([127, 0, 0, 1], port).into(), token: String::new() };
        Connection::open(&target).await?.ask("GET", "/healthz", b"").await?.good()?;
    }
    Ok((start, update))
}

/// The same image, checked as often, on a network of its own, with three beyond those wanted while
/// it is updated, as ours has; ours may have two missing besides, which Swarm cannot do at once. It
/// publishes no ports, which is less work than ours.
async fn swarm(engine: &Engine) -> anyhow::Result<(f64, f64)> {
    let listen = format!("127.0.0.1:{}", engine::free_port()?);
    let join = ["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", listen.as_str()];
    engine.docker(&join).await?;
    engine.docker(&["network", "create", "--driver", "overlay", NETWORK]).await?;
    let replicas = INSTANCES.to_string();
    let began = clock::now();
    let create = format!(
        "service create --detach --no-resolve-image --name {SERVICE} --replicas {replicas} \
         --network {NETWORK} --env VERSION=1 --env PORT_HTTP=8080 --limit-memory 64M \
         --stop-grace-period 1s --health-interval 1s --update-parallelism 3 \
         --update-order start-first --update-monitor 0s"
    );
    let mut words: Vec<&str> = create.split_whitespace().collect();
    words.extend(["--health-cmd", "wget -q -O /dev/null http://127.0.0.1:8080/healthz", IMAGE]);
    engine.docker(&words).await?;
    until(engine, &["service", "ls", "--format", "{{.Replicas}}"], "10/10").await?;
    let start = began.elapsed().as_secs_f64();
    let began = clock::now();
    let change = ["service", "update", "--detach", "--no-resolve-image", "--env-add", "VERSION=2"];
    engine.docker(&[&change[..], &[SERVICE]].concat()).await?;
    let state = "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}";
    until(engine, &["service", "inspect", SERVICE, "--format", state], "completed").await?;
    let update = began.elapsed().as_secs_f64();
    engine.docker(&["service", "rm", SERVICE]).await?;
    engine.docker(&["swarm", "leave", "--force"]).await?;
    Ok((start, update))
}

/// Waits until a command says that.
async fn until(engine: &Engine, command: &[&str], wanted: &str) -> anyhow::Result<()> {
    let search = async {
        while engine.docker(command).await? != wanted {
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(PATIENCE, search).await {
        Ok(found) => found,
        Err(_) => bail!("swarm was not {wanted} within {} s", PATIENCE.as_secs()),
    }
}
