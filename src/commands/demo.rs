//! `atoll demo`: applies an example and drives it live through what makes Atoll worth having:
//! started, killed and healed, scaled, a good release, a bad one taken back by itself.

use std::time::Duration;

use anyhow::Context as _;
use atoll_client::{Client, ClientError};
use atoll_model::deployment::{InstancePhase, Phase};
use atoll_model::{Any, Deployment, Instance, Kind, Object};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::args::Global;
use crate::exit::{Exit, Failure};

/// The name of the application.
const APPLICATION: &str = "hello";
/// The name of the environment.
const ENVIRONMENT: &str = "demo";
/// The name of the deployment they make.
const DEPLOYMENT: &str = "hello.demo";
/// A step of the demo that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove what the demo made, and end
    #[arg(long)]
    pub clean: bool,
}

/// Plays the demo against the server of the context, or one it starts for the time.
///
/// # Errors
/// A step did not come out as it should; the message says which.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    match client.whoami().await {
        Err(ClientError::Unreachable { .. }) => alone(args).await,
        Err(other) => Err(other.into()),
        Ok(_) => play(&Demo { client, alone: false }, &args).await,
    }
}

/// Starts server and agent in this process, and stops them at the end.
async fn alone(args: Args) -> anyhow::Result<Exit> {
    eprintln!("no server answers: starting one for the time of the demo");
    let program = std::env::current_exe().context("finding this program")?;
    let mut up = tokio::process::Command::new(program)
        .arg("up")
        .env("RUST_LOG", "warn")
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting `atoll up`")?;
    let client = wait_for_server(&mut up).await?;
    let demo = Demo { client, alone: true };
    let outcome = play(&demo, &args).await;
    if let Some(pid) = up.id() {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).context("a pid is small")?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).context("stopping it")?;
        up.wait().await.context("waiting for it to stop")?;
    }
    outcome
}

async fn wait_for_server(up: &mut tokio::process::Child) -> anyhow::Result<Client> {
    let tries = 200;
    for _ in 0..tries {
        if let Some(status) = up.try_wait().context("looking after `atoll up`")? {
            return Err(Failure::failed(format!("`atoll up` ended with {status}")).into());
        }
        // The context is written by `up`, so it is read anew each time.
        let client = Global::default().client()?;
        if client.whoami().await.is_ok() {
            return Ok(client);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::failed("`atoll up` did not answer within 10 s").into())
}

struct Demo {
    client: Client,
    /// Whether the server was started for the time of the demo only.
    alone: bool,
}

async fn play(demo: &Demo, args: &Args) -> anyhow::Result<Exit> {
    if args.clean {
        demo.clean().await?;
        return Ok(Exit::Done);
    }
    let steps = 6;
    say(1, steps, "three instances of an application, from one manifest");
    look("atoll get instances", "the console shows them appear");
    demo.apply("Hello", false).await?;
    demo.scale(3).await?;
    demo.settled("three ready", |d| d.status.ready == 3).await?;

    say(2, steps, "one is killed with -9; it is started again within a second");
    look("atoll why instance/hello.demo.0", "restarts says 1");
    demo.kill_one().await?;

    say(3, steps, "an operator edits the target: five instances");
    look("atoll history deployment/hello.demo", "who changed what, and why");
    demo.scale(5).await?;
    demo.settled("five ready", |d| d.status.ready == 5).await?;

    say(4, steps, "a good release is rolled out, never below what must be ready");
    look("atoll get deployments --watch", "updated grows, ready stays");
    demo.apply("Good day", false).await?;
    let good = demo.newest().await?;
    demo.settled(&format!("{good} everywhere"), |d| {
        d.status.release.as_deref() == Some(good.as_str())
    })
    .await?;

    say(5, steps, "a bad release fails its health check, and is taken back by itself");
    look("atoll why deployment/hello.demo", "which release failed, and why");
    demo.apply("Good day", true).await?;
    let bad = demo.newest_after(&good).await?;
    let back = demo
        .settled(&format!("{bad} given up, back on {good}"), |d| {
            d.status.failed.as_ref().is_some_and(|f| f.release == bad)
                && d.status.release.as_deref() == Some(good.as_str())
        })
        .await?;
    for reason in &back.status.reasons {
        println!("      {reason}");
    }

    say(6, steps, "the application is set right again");
    demo.apply("Good day", false).await?;
    let right = demo.newest_after(&bad).await?;
    demo.settled(&format!("{right} everywhere"), |d| {
        d.status.release.as_deref() == Some(right.as_str()) && d.status.ready == 5
    })
    .await?;
    println!();
    if demo.alone {
        println!("Done. The server of the demo stops now; what it started runs on, and `atoll up`");
        println!("takes it over again. Then `atoll demo --clean` removes it.");
    } else {
        println!("Done. It keeps running: `atoll get all`, `atoll why deployment/hello.demo`,");
        println!("`atoll logs -f deployment/hello.demo`; `atoll demo --clean` removes it.");
    }
    Ok(Exit::Done)
}

fn say(step: u32, of: u32, what: &str) {
    println!();
    println!("[{step}/{of}] {what}");
}

fn look(command: &str, what: &str) {
    println!("      look: {command}   ({what})");
}

fn manifests(greeting: &str, broken: bool) -> anyhow::Result<Vec<Value>> {
    let program = std::env::current_exe().context("finding this program")?;
    let program = program.to_string_lossy().into_owned();
    let broken = if broken { "yes" } else { "no" };
    Ok(vec![
        json!({
            "apiVersion": "atoll/v1", "kind": "Environment",
            "metadata": { "name": ENVIRONMENT }, "spec": {},
        }),
        json!({
            "apiVersion": "atoll/v1", "kind": "Application",
            "metadata": { "name": APPLICATION, "labels": { "demo": "yes" } },
            "spec": {
                "owner": "team/demo",
                "environments": [ENVIRONMENT],
                "run": {
                    "command": [program, "sample", "--listen", "127.0.0.1:{{ports.http}}"],
                    "env": { "GREETING": greeting, "SAMPLE_BROKEN": broken },
                    "ports": { "http": 0 },
                    "resources": { "cpu": "50m", "memory": "64Mi" },
                    "health": {
                        "http": "/healthz", "port": "http", "every": "500ms",
                        "startTimeout": "5s",
                    },
                    "stop": { "grace": "2s" },
                },
                "rollout": { "healthyFor": "1s", "deadline": "30s" },
            },
        }),
    ])
}

impl Demo {
    async fn apply(&self, greeting: &str, broken: bool) -> anyhow::Result<()> {
        self.client.apply(manifests(greeting, broken)?, false).await?;
        Ok(())
    }

    async fn scale(&self, instances: u32) -> anyhow::Result<()> {
        self.settled("the deployment is there", |_| true).await?;
        let patch = json!({ "spec": { "instances": instances } });
        self.client.patch(Kind::Deployment, DEPLOYMENT, patch, None, false).await?;
        Ok(())
    }

    /// Waits until the deployment has settled on its present target and `wanted` holds.
    async fn settled(
        &self,
        what: &str,
        wanted: impl Fn(&Object<Deployment>) -> bool,
    ) -> anyhow::Result<Object<Deployment>> {
        let any_phase = what == "the deployment is there";
        let found = self
            .watch(Kind::Deployment, DEPLOYMENT, |any| {
                let Any::Deployment(d) = any else { return false };
                let settled = d.status.phase == Phase::Settled
                    && d.status.observed_generation == d.meta.generation;
                (any_phase || settled) && wanted(d)
            })
            .await
            .with_context(|| format!("waiting for: {what}"))?;
        if !any_phase {
            println!("      ok: {what}");
        }
        match found {
            Any::Deployment(d) => Ok((*d).clone()),
            other => Err(anyhow::anyhow!("asked for a deployment, got {}", other.id())),
        }
    }

    async fn watch(
        &self,
        kind: Kind,
        name: &str,
        wanted: impl Fn(&Any) -> bool,
    ) -> anyhow::Result<Any> {
        let search = async {
            let mut events = Box::pin(self.client.watch(&[kind], Some(name), None));
            while let Some(event) = events.next().await {
                if let Some(object) = event?.object
                    && wanted(&object)
                {
                    return Ok(object);
                }
            }
            Err(anyhow::anyhow!("the watch ended"))
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => {
                let hint = format!(
                    "not within {} s; ask `atoll why {}/{name}`",
                    PATIENCE.as_secs(),
                    kind.lower()
                );
                Err(Failure::failed(hint).into())
            }
        }
    }

    async fn kill_one(&self) -> anyhow::Result<()> {
        let name = format!("{DEPLOYMENT}.0");
        let Any::Instance(before) = self.client.get(Kind::Instance, &name).await? else {
            anyhow::bail!("asked for an instance, got something else");
        };
        let pid = before.status.pid.context("a ready instance has a process")?;
        let process = nix::unistd::Pid::from_raw(i32::try_from(pid).context("a pid is small")?);
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL)
            .with_context(|| format!("killing {name}, pid {pid}"))?;
        println!("      killed {name}, pid {pid}");
        let healed = self
            .watch(Kind::Instance, &name, |any| is_back(any, pid))
            .await
            .context("waiting for the killed instance to be ready again")?;
        if let Any::Instance(i) = healed {
            let pid = i.status.pid.unwrap_or_default();
            println!("      ok: ready again as pid {pid}, restarts {}", i.status.restarts);
        }
        Ok(())
    }

    async fn newest(&self) -> anyhow::Result<String> {
        self.newest_after("").await
    }

    /// The newest release of the application, once it is another than `old`.
    async fn newest_after(&self, old: &str) -> anyhow::Result<String> {
        let found = self
            .watch(Kind::Application, APPLICATION, |any| {
                let Any::Application(a) = any else { return false };
                a.status.observed_generation == a.meta.generation
                    && a.status.release.as_deref().is_some_and(|r| r != old)
            })
            .await
            .context("waiting for the release")?;
        match found {
            Any::Application(a) => a.status.release.clone().context("it has a release"),
            other => Err(anyhow::anyhow!("asked for an application, got {}", other.id())),
        }
    }

    async fn clean(&self) -> anyhow::Result<()> {
        for (kind, name) in [(Kind::Application, APPLICATION), (Kind::Environment, ENVIRONMENT)] {
            match self.client.delete(kind, name, false).await {
                Ok(_) => println!("deleted {}/{name}", kind.lower()),
                Err(error) if error.exit_code() == 5 => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn is_back(any: &Any, old_pid: u32) -> bool {
    let instance: Option<&std::sync::Arc<Object<Instance>>> = any.of();
    instance.is_some_and(|i| {
        i.status.phase == InstancePhase::Ready && i.status.pid.is_some_and(|pid| pid != old_pid)
    })
}
