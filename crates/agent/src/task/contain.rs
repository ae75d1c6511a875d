//! A step, or what runs beside it, as a container: its image, what it is given, and what is taken
//! away with it. How a container is kept stands in `runtime/warden.rs`.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::Backoff;
use atoll_model::agent::AssignedTask;
use atoll_model::{Reason, Timestamp};

use super::Doer;
use super::place::TaskPlace;
use super::prepare::{Program, orders};
use crate::clock;
use crate::disk;
use crate::engine::EngineError;
use crate::images;
use crate::machine::Machine;
use crate::runtime::cgroup::Group;
use crate::runtime::container::{AGENT_LABEL, Container, TASK_LABEL};
use crate::runtime::launch::Launch;
use crate::runtime::link::Link;
use crate::runtime::orders::Orders;
use crate::runtime::warden::leash::Leash;

/// Where a program of a task finds the workspace in its container.
pub(super) const WORKSPACE: &str = "/workspace";

/// An image that is here.
#[derive(Clone, Debug)]
pub(super) struct Here {
    /// The image by its content.
    pub pinned: String,
    /// The user its programs run as, where that is a number.
    pub user: Option<u32>,
}

/// The images of a task, by their references.
pub(super) type Images = BTreeMap<String, Here>;

/// What is said inside of a container, and what it stands for on the host.
pub(super) struct Contained<'a> {
    /// Its image.
    pub image: &'a Here,
    /// What others in the task's network call it; nothing, if nobody does.
    pub alias: Option<&'a str>,
    /// Ports of the host, and where the container listens for each.
    pub ports: BTreeMap<u16, u16>,
}

/// The name of what is made for a task, or for something beside it. It is nobody else's: names of
/// instances hold no underscore.
pub fn label(task: &str, beside: Option<&str>) -> String {
    let beside = beside.map(|name| format!("_{name}")).unwrap_or_default();
    format!("task_{task}{beside}")
}

/// The network of a task: one of its own, where containers are to find each other.
fn network(machine: &Machine, task: &AssignedTask) -> String {
    let together = task.work.services.iter().any(|beside| beside.image.is_some());
    if together { machine.network_name(&label(&task.name, None)) } else { String::new() }
}

/// The orders of a warden.
pub(super) fn draft(
    machine: &Machine,
    task: &AssignedTask,
    program: Program<'_>,
    contained: Contained<'_>,
) -> Orders {
    let limits = &task.work.limits;
    let own = program.place.name() == task.name;
    let beside = (!own).then(|| program.place.name());
    let facts = [
        ("CI", "true"),
        ("ATOLL_WORKSPACE", WORKSPACE),
        ("ATOLL_TASK", &task.name),
        ("ATOLL_HOST", &machine.host),
    ];
    let mut env: BTreeMap<String, String> =
        facts.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    env.extend(program.env.clone());
    // What runs beside a step starts where its image says.
    let dir = own.then(|| Path::new(WORKSPACE).join(program.dir.unwrap_or_default()));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let labels = [(AGENT_LABEL, machine.owner()), (TASK_LABEL, &task.name)];
    let container = Container {
        name: machine.container_name(&label(&task.name, beside)),
        image: contained.image.pinned.clone(),
        dir: dir.as_deref().map(text),
        network: network(machine, task),
        aliases: contained.alias.map(str::to_owned).into_iter().collect(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ports: contained.ports,
        binds: vec![(text(&program.work), WORKSPACE.to_owned(), true)],
        volumes: BTreeMap::new(),
        resources: limits.resources,
        processes: Some(limits.processes),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    };
    let launch = Launch {
        command: program.command.to_vec(),
        env,
        dir: program.work.clone(),
        user: contained.image.user.filter(|_| own),
        groups: Vec::new(),
        cgroups: Vec::new(),
    };
    Orders { container: Some(container), ..orders(task, launch, Group::default(), None, &program) }
}

/// What is in the way and may pass by itself, with until when that is waited for.
pub(super) fn tried_until(why: Reason, until: Timestamp) -> Reason {
    let message = format!("{}; tried again until {until}", why.message);
    Reason { message, ..why }
}

impl Doer {
    /// Sees to it that all images of a task are here, waiting for a registry or an engine that is
    /// away for as long as the step may take.
    pub(super) async fn bring_images(&self, task: &AssignedTask) -> Result<Images, Reason> {
        let mut here = Images::new();
        let timeout = task.work.limits.timeout;
        let (deadline, until) = (clock::instant() + timeout.std(), clock::now() + timeout);
        for reference in task.work.images() {
            let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
            let mut waited = false;
            let pinned = loop {
                let error = match self.machine.images.resolve(reference).await {
                    Ok(pinned) => break pinned,
                    Err(error) => error,
                };
                let passes = matches!(error, EngineError::RegistryDown(_) | EngineError::Away(_));
                let wait = backoff.next_wait();
                if !passes || clock::instant() + wait >= deadline {
                    return Err(images::reason(reference, &error));
                }
                tracing::warn!(task = self.place.name(), reference, %error, "it is tried again");
                waited = true;
                self.post_waiting(Some(tried_until(images::reason(reference, &error), until)));
                tokio::time::sleep(wait).await;
            };
            if waited {
                self.post_waiting(None);
            }
            let user = self.machine.images.user(&pinned).await;
            here.insert(reference.to_owned(), Here { pinned, user });
        }
        Ok(here)
    }

    /// What the containers of the step and beside it have written besides its workspace, in bytes.
    pub(super) async fn written(&self) -> u64 {
        let mut written = 0;
        for place in self.place.every_beside().iter().chain([&self.place]) {
            let orders: Option<Orders> = disk::read(&place.shim.orders());
            let Some(container) = orders.and_then(|orders| orders.container) else { continue };
            // What is not known now is asked again soon.
            written += self.machine.engine.written(&container.name).await.unwrap_or(0);
        }
        written
    }

    /// Begins to look after the container whose orders lie there.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn leash(
        &self,
        place: &TaskPlace,
        secrets: BTreeMap<String, String>,
    ) -> io::Result<Link> {
        let orders: Option<Orders> = disk::read(&place.shim.orders());
        let engine = Arc::clone(&self.machine.engine);
        orders
            .and_then(|orders| Leash::new(engine, place.shim.clone(), orders, secrets))
            .map(Link::Warden)
            .ok_or_else(|| io::Error::other("there are no orders that can be read"))
    }

    pub(super) async fn remove_container(&self, name: &str) {
        // Without its engine it is removed when that is back; see `sweep.rs`.
        if let Err(error) = self.machine.engine.remove(name).await
            && !error.is_away()
        {
            tracing::warn!(name, %error, "it is removed later");
        }
    }

    /// Removes the network of the task, if it had one.
    pub(super) async fn remove_network(&self) {
        let Some(record) = &self.record else { return };
        let network = network(&self.machine, &record.task);
        if !network.is_empty()
            && let Err(error) = self.machine.engine.remove_network(&network).await
        {
            tracing::debug!(network, %error, "it is removed later");
        }
    }
}
