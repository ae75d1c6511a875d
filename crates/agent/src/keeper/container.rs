//! What is special about keeping a container: what it is given, where its image comes from, and
//! what becomes of its volumes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::Backoff;
use atoll_model::Reason;
use atoll_model::agent::FoundImage;
use atoll_model::delivery::Runtime;
use atoll_model::deployment::InstancePhase;

use super::Keeper;
use super::start::{fill, names};
use crate::configs::DIR_VARIABLE;
use crate::engine::{EngineError, Seen};
use crate::images::reason;
use crate::machine::Machine;
use crate::reconcile::Order;
use crate::runtime::cgroup::Group;
use crate::runtime::container::{
    AGENT_LABEL, CONFIG_DIR, Container, DATA_DIR, DEPLOYMENT_LABEL, INSTANCE_LABEL, PACKAGE_DIR,
    quota,
};
use crate::runtime::launch::{DATA_VARIABLE, Launch};
use crate::runtime::orders::Orders;
use crate::runtime::place::Place;

/// Codes of reasons that pass by themselves: nothing is held against a release for them.
const PASSING: [&str; 4] = ["fetch-failed", "docker-missing", "registry-down", LOST];
/// There is no supervisor to start it.
pub(super) const LOST: &str = "supervisor-lost";

/// Whether what is in the way passes by itself.
pub(super) fn passes(reason: &Reason) -> bool {
    PASSING.contains(&reason.code.as_str())
}

impl Keeper {
    /// Whether the image of an order is here; an order without one needs none.
    pub(super) fn has_image(&self, order: &Order) -> bool {
        match (order.instance.runtime, &order.release.pinned) {
            (Runtime::Process, _) => true,
            (Runtime::Docker, pinned) => {
                pinned.as_ref().is_some_and(|pinned| self.machine.images.has(pinned))
            }
        }
    }

    /// Sees to the image, while whatever runs goes on running. What a reference means is looked up
    /// by the first host and then told by the server: nothing is started before that.
    pub(super) async fn fetch_image(&mut self, order: &Arc<Order>) {
        let Some(reference) = order.release.image.clone() else {
            let reason = Reason::new("image-missing", "its release has no image");
            return self.in_trouble(order, reason).await;
        };
        if self.link.is_none() {
            self.post(order, InstancePhase::Fetching);
        }
        let machine = Arc::clone(&self.machine);
        let pinned = order.release.pinned.clone();
        let fetch = async {
            match &pinned {
                Some(pinned) => machine.images.fetch(pinned).await.map(|()| None),
                None => machine.images.resolve(&reference).await.map(Some),
            }
        };
        let fetched = tokio::select! {
            fetched = fetch => fetched,
            () = self.supervise_until_changed() => return,
        };
        match fetched {
            Ok(None) => self.out_of_trouble(),
            Ok(Some(image)) => {
                self.out_of_trouble();
                let release = order.instance.release.clone();
                self.found = Some(FoundImage { release, image });
                if self.link.is_none() {
                    self.post(order, InstancePhase::Fetching);
                }
                self.supervise_until_changed().await;
                self.found = None;
            }
            Err(error) => self.in_trouble(order, reason(&reference, &error)).await,
        }
    }

    /// Bounds the processor time of what runs, now that its start is over, or not any more.
    pub(super) fn limit_cpu(&self, milli: Option<u64>) {
        let Some(container) = &self.container else {
            return self.machine.group(&self.name).limit_cpu(milli);
        };
        // A warden lifts the bound itself before a start.
        let Some(milli) = milli else { return };
        let (engine, name) = (Arc::clone(&self.machine.engine), container.clone());
        tokio::spawn(async move {
            if let Err(error) = engine.limit_cpu(&name, quota(Some(milli))).await {
                tracing::debug!(name, %error, "its processor time is not bounded");
            }
        });
    }

    /// Removes what is left of the container. What a deployment that is being deleted has kept
    /// goes with it; otherwise volumes stay, whatever happens to the instance.
    pub(super) async fn clear_container(&self, container: &Container) {
        let instance = self.record.as_ref().map(|record| &record.order.instance);
        let purged = instance.filter(|instance| instance.purge).map(|i| &i.deployment);
        if let Err(error) = self.machine.engine.remove(&container.name).await {
            tracing::warn!(name = container.name, %error, "it is removed later");
        }
        let Some(deployment) = purged else { return };
        // Who comes later under the same name must not find them.
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        while let Err(error) = self.purge(deployment).await {
            tracing::warn!(deployment, %error, "its volumes are removed later");
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Removes the volumes of a deployment, and before them what was put aside of this instance
    /// and may hold them still.
    async fn purge(&self, deployment: &str) -> Result<(), EngineError> {
        let (engine, owner) = (&self.machine.engine, self.machine.owner());
        let ours = engine.containers(&format!("{INSTANCE_LABEL}={}", self.name)).await?;
        let is_ours = |seen: &Seen| seen.labels.get(AGENT_LABEL).is_some_and(|of| of == owner);
        for name in ours.into_iter().filter(|(_, seen)| is_ours(seen)).map(|(name, _)| name) {
            engine.remove(&name).await?;
        }
        let volumes = engine.volumes(&format!("{DEPLOYMENT_LABEL}={deployment}")).await?;
        for volume in volumes.into_iter().filter(|volume| volume.ends_with(owner)) {
            match engine.remove_volume(&volume).await {
                Ok(()) => tracing::info!(volume, "a volume goes with its deployment"),
                // One that another instance still uses goes with that.
                Err(EngineError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The orders of a warden, all templates filled in.
pub(super) fn draft(machine: &Machine, place: &Place, order: &Order) -> Result<Orders, Reason> {
    let names = names(machine, place, order);
    let run = &order.release.run;
    let fill = |text: &String| fill(text, &names);
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in &run.env {
        env.insert(key.clone(), fill(value)?);
    }
    env.extend(super::start::told(machine, order));
    env.insert(DATA_VARIABLE.to_owned(), DATA_DIR.to_owned());
    // The agent's own address is that of this host's loopback, which a container does not reach:
    // its configuration comes as files.
    env.insert(DIR_VARIABLE.to_owned(), CONFIG_DIR.to_owned());
    let launch = Launch {
        command: run.command.iter().map(fill).collect::<Result<_, _>>()?,
        env,
        dir: place.release(),
        user: None,
        groups: Vec::new(),
        cgroups: Vec::new(),
    };
    Ok(Orders {
        release: order.instance.release.clone(),
        launch,
        group: Group::default(),
        stop_signal: run.stop.signal.clone(),
        grace: run.stop.grace,
        backoff: run.restart.backoff.from,
        longest_backoff: run.restart.backoff.to,
        log_size: run.logs.size.0,
        log_files: run.logs.files,
        once: None,
        container: Some(container(machine, place, order)),
    })
}

fn container(machine: &Machine, place: &Place, order: &Order) -> Container {
    let (instance, release) = (&order.instance, &order.release);
    let inside = |name: &String, port: &u16| *release.run.container_ports.get(name).unwrap_or(port);
    let path = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let mut binds = vec![
        (path(place.data()), DATA_DIR.to_owned(), true),
        (path(place.config()), CONFIG_DIR.to_owned(), false),
    ];
    if release.package.is_some() {
        binds.push((path(place.release()), PACKAGE_DIR.to_owned(), false));
    }
    let volume = |name: &String| format!("{}.{name}.{}", instance.name, machine.owner());
    let volumes = release.run.volumes.iter().map(|v| (volume(&v.name), v.path.clone()));
    let labels = [
        (AGENT_LABEL, machine.owner()),
        (INSTANCE_LABEL, &instance.name),
        (DEPLOYMENT_LABEL, &instance.deployment),
    ];
    Container {
        name: machine.container_name(&instance.name),
        image: release.pinned.clone().unwrap_or_default(),
        dir: release.package.is_some().then(|| PACKAGE_DIR.to_owned()),
        network: machine.network_name(&instance.environment),
        aliases: [&instance.name, &instance.deployment, &instance.application]
            .map(Clone::clone)
            .into(),
        address: machine.published_on(),
        ports: instance.ports.iter().map(|(name, port)| (*port, inside(name, port))).collect(),
        binds,
        volumes: volumes.collect(),
        resources: instance.resources,
        processes: None,
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}
