//! A person at the API: applies, patches, and watches until things are as they should be. Not the
//! hosts, and not the clock: who calls takes the time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use atoll_model::api::{List, WatchEvent};
use atoll_model::cmdb::HostPhase;
use atoll_model::deployment::{InstancePhase, Phase};
use atoll_model::{Any, Application, Deployment, Object};
use serde_json::{Value, json};

use crate::http::{Connection, Target};

/// The name of the application.
pub const APPLICATION: &str = "app";
/// The name of the deployment it makes.
pub const DEPLOYMENT: &str = "app.bench";
const ENVIRONMENT: &str = "bench";
/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the server says of an instance that runs.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// Its process.
    pub pid: Option<u32>,
    /// Where it listens.
    pub port: Option<u16>,
}

/// A person with a connection to ask on and one to watch.
pub struct Control {
    ask: Connection,
    watch: Connection,
    /// What has come of an event that is not whole yet.
    partial: Vec<u8>,
    application: Option<Object<Application>>,
    deployment: Option<Object<Deployment>>,
    /// The fewest ready instances the deployment spoke of since this was last asked.
    fewest: u32,
}

impl Control {
    /// Connects and begins to watch.
    ///
    /// # Errors
    /// The server does not answer as it should.
    pub async fn open(target: &Target) -> anyhow::Result<Control> {
        let ask = Connection::open(target).await?;
        let mut watch = Connection::open(target).await?;
        watch.listen("/v1/watch?kinds=applications,deployments").await?;
        Ok(Control {
            ask,
            watch,
            partial: Vec::new(),
            application: None,
            deployment: None,
            fewest: 0,
        })
    }

    /// Applies an environment, and the application with this `run` and `rollout`; waits until
    /// their deployment has settled at no instances.
    ///
    /// # Errors
    /// It was refused, or does not settle.
    pub async fn apply(&mut self, run: Value, rollout: Value) -> anyhow::Result<()> {
        self.declare(json!({}), json!({ "run": run, "rollout": rollout })).await
    }

    /// Applies an environment and an application of these specs; waits until their deployment has
    /// settled at no instances.
    ///
    /// # Errors
    /// It was refused, or does not settle.
    pub async fn declare(&mut self, place: Value, mut application: Value) -> anyhow::Result<()> {
        application["scaling"] = json!({ "min": 0, "max": 200_000 });
        application["environments"] = json!([ENVIRONMENT]);
        let objects = json!([
            {
                "apiVersion": "atoll/v1", "kind": "Environment",
                "metadata": { "name": ENVIRONMENT }, "spec": place,
            },
            {
                "apiVersion": "atoll/v1", "kind": "Application",
                "metadata": { "name": APPLICATION },
                "spec": application,
            },
        ]);
        let body = serde_json::to_vec(&json!({ "objects": objects }))?;
        self.ask.ask("POST", "/v1/apply", &body).await?.good()?;
        self.settled(0, None).await.map(drop)
    }

    /// Asks for so many instances.
    ///
    /// # Errors
    /// It was refused.
    pub async fn scale(&mut self, instances: u32) -> anyhow::Result<()> {
        let path = format!("/v1/deployments/{DEPLOYMENT}");
        let patch = json!({ "spec": { "instances": instances } });
        self.ask.ask("PATCH", &path, &serde_json::to_vec(&patch)?).await?.good()?;
        Ok(())
    }

    /// Changes the application's environment variables, which makes a new release.
    ///
    /// # Errors
    /// It was refused.
    pub async fn change(&mut self, value: &str) -> anyhow::Result<()> {
        self.fewest = u32::MAX;
        let path = format!("/v1/applications/{APPLICATION}");
        let patch = json!({ "spec": { "run": { "env": { "VERSION": value } } } });
        self.ask.ask("PATCH", &path, &serde_json::to_vec(&patch)?).await?.good()?;
        Ok(())
    }

    /// Waits until the deployment has settled at so many ready instances on the newest release,
    /// which is another than `old`; returns that release.
    ///
    /// # Errors
    /// It does not.
    pub async fn settled(&mut self, wanted: u32, old: Option<&str>) -> anyhow::Result<String> {
        let search = async {
            loop {
                if let Some(release) = self.is_settled(wanted, old) {
                    return Ok(release);
                }
                self.next().await?;
            }
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => bail!(
                "{DEPLOYMENT} did not settle at {wanted} ready within {} s; it is {:?}",
                PATIENCE.as_secs(),
                self.deployment.as_ref().map(|d| (&d.meta.generation, &d.status))
            ),
        }
    }

    fn is_settled(&self, wanted: u32, old: Option<&str>) -> Option<String> {
        let (deployment, application) = (self.deployment.as_ref()?, self.application.as_ref()?);
        let status = &deployment.status;
        let release = status.release.as_deref().unwrap_or_default();
        let settled = status.phase == Phase::Settled
            && status.observed_generation == deployment.meta.generation
            && deployment.spec.instances == wanted
            && status.ready == wanted
            && status.instances == wanted;
        let newest = application.status.observed_generation == application.meta.generation
            && application.status.release.is_some()
            && (wanted == 0 || application.status.release.as_deref() == Some(release));
        (settled && newest && old != Some(release)).then(|| release.to_owned())
    }

    /// Takes in the next events of the watch.
    async fn next(&mut self) -> anyhow::Result<()> {
        let chunk = self.watch.chunk().await.context("watching")?;
        self.partial.extend_from_slice(chunk);
        while let Some(end) = self.partial.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = self.partial.drain(..end + 2).collect();
            for line in String::from_utf8(event)?.lines() {
                let Some(data) = line.strip_prefix("data:") else { continue };
                let event: WatchEvent = serde_json::from_str(data.trim_start())?;
                match event.object {
                    Some(Any::Deployment(new)) => {
                        self.fewest = self.fewest.min(new.status.ready);
                        self.deployment = Some((*new).clone());
                    }
                    Some(Any::Application(new)) => self.application = Some((*new).clone()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Waits until so many hosts are open to instances.
    ///
    /// # Errors
    /// They do not become so.
    pub async fn hosts_ready(&mut self, wanted: usize) -> anyhow::Result<()> {
        let search = async {
            loop {
                let ready = self.count_hosts().await?;
                if ready == wanted {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => bail!("{wanted} hosts were not ready within {} s", PATIENCE.as_secs()),
        }
    }

    async fn count_hosts(&mut self) -> anyhow::Result<usize> {
        let list: List = self.list("hosts").await?;
        let ready =
            |any: &&Any| matches!(any, Any::Host(host) if host.status.phase == HostPhase::Ready);
        Ok(list.items.iter().filter(ready).count())
    }

    /// Checks that since the last change never more than a quarter of the wanted was missing.
    ///
    /// # Errors
    /// More was.
    pub fn kept_up(&self, wanted: u32) -> anyhow::Result<()> {
        let least = wanted - wanted / 4;
        eprintln!("  at least {} of {wanted} were ready all the time", self.fewest);
        ensure!(self.fewest >= least, "{} were ready, fewer than {least}", self.fewest);
        Ok(())
    }

    /// Checks that what the server lists is what it said: so many instances, each ready on the
    /// release; returns them.
    ///
    /// # Errors
    /// It is not.
    pub async fn listed(&mut self, wanted: u32, release: &str) -> anyhow::Result<Vec<Running>> {
        let list = self.list("instances").await?;
        let mut each: BTreeMap<&str, u32> = BTreeMap::new();
        let mut found = Vec::new();
        for any in &list.items {
            let Any::Instance(instance) = any else { bail!("{} among the instances", any.id()) };
            let status = &instance.status;
            let runs = status.release.as_deref() == Some(release);
            ensure!(status.phase == InstancePhase::Ready && runs, "{} is not ready", any.id());
            *each.entry(&status.host).or_default() += 1;
            found.push(Running { pid: status.pid, port: status.ports.get("http").copied() });
        }
        ensure!(found.len() == wanted as usize, "{} instances are listed", found.len());
        let (least, most) = (each.values().min(), each.values().max());
        let (least, most) = (least.copied().unwrap_or_default(), most.copied().unwrap_or_default());
        eprintln!("  listed: {wanted} ready on {} hosts, {least} to {most} each", each.len());
        Ok(found)
    }

    async fn list(&mut self, plural: &str) -> anyhow::Result<List> {
        let answer = self.ask.ask("GET", &format!("/v1/{plural}"), b"").await?;
        Ok(serde_json::from_slice(answer.good()?)?)
    }
}
