//! A real agent with all its collectors and five instances whose metrics it reads, on a real
//! server: what the agent needs. Not what it collects, but for a check that it does.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::query::number;
use crate::clock;
use crate::control::Control;
use crate::daemon::{self, Daemon};
use crate::http::Connection;
use crate::interrupt::unless_interrupted;
use crate::program::Program;

const INSTANCES: u32 = 5;
/// The time over which the agent is looked at.
const WINDOW: Duration = Duration::from_secs(60);
/// Its memory is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// The agent has collected everything twice by then.
const WARM: Duration = Duration::from_secs(35);

/// What the agent needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// In percent of a core.
    pub cpu: f64,
    /// The most it had at any look, in MB.
    pub memory: f64,
}

/// Looks at an agent for a minute.
///
/// # Errors
/// It does not join, or nothing of it arrives.
pub async fn run(program: &Path) -> anyhow::Result<Found> {
    let program = std::path::absolute(program)?;
    let server = unless_interrupted(Program::start(&program, "server")).await?;
    let outcome = async {
        let agent = unless_interrupted(join(&server, &program)).await?;
        let mut control = Control::open(&server.target).await?;
        let measured = unless_interrupted(measure(&server, &agent, &mut control, &program)).await;
        // Instances outlive the agent, so they are stopped before it, whatever happened.
        let gone = async {
            control.scale(0).await?;
            control.settled(0, None).await.map(drop)
        };
        let cleared = gone.await.context("stopping the instances");
        let log = agent.log();
        if !log.is_empty() {
            eprintln!("  the agent logged:\n{log}");
        }
        agent.stop().await?;
        measured.and_then(|found| cleared.map(|()| found))
    }
    .await;
    let log = server.daemon.log();
    if !log.is_empty() {
        eprintln!("  the server logged:\n{log}");
    }
    server.stop().await?;
    outcome
}

async fn join(server: &Program, program: &Path) -> anyhow::Result<Daemon> {
    let mut connection = Connection::open(&server.target).await?;
    let body = serde_json::to_vec(&json!({ "role": "join" }))?;
    let made = connection.ask("POST", "/v1/tokens/create", &body).await?;
    let made: Value = serde_json::from_slice(made.good()?)?;
    let token = made["token"].as_str().context("the answer has no token")?;
    let home = daemon::home()?;
    let url = format!("http://{}", server.target.address);
    let data = home.path().join("data").into_os_string();
    let mut args = ["agent", "--name", "bench", "--address", "127.0.0.1", "--server", &url]
        .map(OsString::from)
        .to_vec();
    args.extend(["--token", token, "--data"].map(OsString::from));
    args.push(data);
    Daemon::start(home, program, args)
}

async fn measure(
    server: &Program,
    agent: &Daemon,
    control: &mut Control,
    program: &Path,
) -> anyhow::Result<Found> {
    control.hosts_ready(1).await?;
    let program = program.to_str().context("the program's path is not text")?;
    let run = json!({
        "command": [program, "sample", "--listen", "127.0.0.1:{{ports.http}}"],
        "ports": { "http": 0 },
        "resources": { "cpu": "10m", "memory": "64Mi" },
        "health": { "http": "/healthz", "port": "http" },
        "metrics": { "path": "/metrics", "port": "http" },
    });
    let rollout = json!({ "strategy": "rolling", "healthyFor": "0s" });
    control.apply(run, rollout).await?;
    control.scale(INSTANCES).await?;
    control.settled(INSTANCES, None).await?;
    tokio::time::sleep(WARM).await;
    let (began, before) = (clock::now(), agent.cpu()?);
    let mut memory: f64 = 0.0;
    while began.elapsed() < WINDOW {
        tokio::time::sleep(LOOK).await;
        memory = memory.max(agent.memory()?);
    }
    let cpu = (agent.cpu()? - before) / began.elapsed().as_secs_f64() * 100.0;
    eprintln!("  agent: {cpu:.2} % of a core, {memory:.1} MB, at most {:.1} MB", agent.peak()?);
    arrived(server).await?;
    Ok(Found { cpu, memory })
}

/// Checks that the server has what was collected of the host, and of each instance.
async fn arrived(server: &Program) -> anyhow::Result<()> {
    let mut connection = Connection::open(&server.target).await?;
    for (query, wanted) in [
        ("count(node_memory_MemTotal_bytes)", 1),
        ("count(count by (instance)(container_memory_rss))", INSTANCES),
        ("count(up == 1)", INSTANCES),
    ] {
        let found = number(&mut connection, query).await?;
        if found < f64::from(wanted) {
            bail!("{query} is {found} on the server, and should be {wanted} at least");
        }
    }
    let all = number(&mut connection, "count({__name__!=\"\"})").await?;
    eprintln!("  the server has {all} series");
    ensure!(all > 100.0, "the server has {all} series only");
    Ok(())
}
