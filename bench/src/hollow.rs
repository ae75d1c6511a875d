//! Fleets of hollow hosts: how long a start and a rolling update take, and what the server needs
//! meanwhile and at rest. One run on a fresh server at a time; medians are taken elsewhere.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clock;
use crate::control::Control;
use crate::daemon::cpu_of;
use crate::fleet::Fleet;
use crate::interrupt::unless_interrupted;
use crate::program::Program;

/// The window over which processor time at rest is taken.
const WINDOW: Duration = Duration::from_secs(20);

/// What one run is to do.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Hosts.
    pub hosts: usize,
    /// Instances on them.
    pub instances: u32,
    /// Whether the time at rest is measured too, which takes a while.
    pub rest: bool,
}

/// What one run found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// From asking for the instances until all were ready, in seconds.
    pub start: f64,
    /// From the change until all ran the new release, in seconds.
    pub update: f64,
    /// The most memory the server had, in MB.
    pub peak: f64,
    /// Processor time of the server at rest, in percent of a core.
    pub rest_cpu: f64,
    /// Memory of the server at rest, in MB.
    pub rest_memory: f64,
}

/// Makes one run on a fresh server.
///
/// # Errors
/// What went wrong, with what the server logged.
pub async fn run(program: &Path, size: Size) -> anyhow::Result<Found> {
    let server = unless_interrupted(Program::start(program, "server")).await?;
    let outcome = unless_interrupted(measure(&server, size)).await;
    let log = server.daemon.log();
    if !log.is_empty() {
        eprintln!("  the server logged:\n{log}");
    }
    server.stop().await?;
    outcome
}

async fn measure(server: &Program, size: Size) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let lap = Lap::begin(server)?;
    let mut control = Control::open(&server.target).await?;
    let mut fleet = Fleet::join(&server.target, size.hosts).await?;
    fleet.beside(control.hosts_ready(size.hosts)).await?;
    fleet.beside(control.apply(manifest(), rollout())).await?;
    lap.end(server, "joined")?;

    let lap = Lap::begin(server)?;
    let first = fleet
        .beside(async {
            control.scale(size.instances).await?;
            control.settled(size.instances, None).await
        })
        .await?;
    found.start = lap.end(server, "started")?;
    fleet.agrees(&first, size.instances as usize).await?;

    let lap = Lap::begin(server)?;
    let second = fleet
        .beside(async {
            control.change("2").await?;
            control.settled(size.instances, Some(&first)).await
        })
        .await?;
    found.update = lap.end(server, "updated")?;
    fleet.agrees(&second, size.instances as usize).await?;
    control.kept_up(size.instances)?;
    found.peak = server.daemon.peak()?;

    if size.rest {
        let lap = Lap::begin(server)?;
        fleet
            .beside(async {
                tokio::time::sleep(WINDOW).await;
                Ok(())
            })
            .await?;
        found.rest_memory = server.daemon.memory()?;
        found.rest_cpu = (server.daemon.cpu()? - lap.server) / WINDOW.as_secs_f64() * 100.0;
        lap.end(server, "at rest")?;
    }
    fleet.beside(control.listed(size.instances, &second)).await?;
    Ok(found)
}

fn manifest() -> Value {
    json!({
        "command": ["./app", "--port", "{{ports.http}}"],
        "env": { "VERSION": "1" },
        "ports": { "http": 0 },
        "resources": { "cpu": "50m", "memory": "64Mi" },
    })
}

fn rollout() -> Value {
    json!({
        "strategy": "rolling", "maxUnavailable": "25%", "maxSurge": 0, "healthyFor": "0s",
    })
}

/// A stretch of time, and who used the processors in it.
struct Lap {
    began: Instant,
    server: f64,
    own: f64,
}

impl Lap {
    fn begin(server: &Program) -> anyhow::Result<Lap> {
        Ok(Lap { began: clock::now(), server: server.daemon.cpu()?, own: cpu_of("self")? })
    }

    /// Seconds since it began; says so on the error output, with the shares of both sides.
    fn end(&self, server: &Program, what: &str) -> anyhow::Result<f64> {
        let seconds = self.began.elapsed().as_secs_f64();
        eprintln!(
            "  {what}: {seconds:.2} s; processor time: server {:.2} s, hosts {:.2} s; {:.0} MB",
            server.daemon.cpu()? - self.server,
            cpu_of("self")? - self.own,
            server.daemon.memory()?
        );
        Ok(seconds)
    }
}
