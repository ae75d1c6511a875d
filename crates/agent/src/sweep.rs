//! Putting away what is left with the container engine: containers of instances and tasks that are
//! gone, networks nothing is in, images nobody needs. Only what carries this agent's label is
//! touched, and volumes never.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::disk;
use crate::engine::EngineError;
use crate::keeper::Record;
use crate::machine::Machine;
use crate::runtime::container::AGENT_LABEL;
use crate::task::contain::label;
use crate::task::place::TaskPlace;

/// It is looked for this often.
const EVERY: Duration = Duration::from_secs(30);

/// Sweeps for ever.
pub async fn sweep(machine: &Arc<Machine>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = once(machine).await
            && !error.is_away()
        {
            tracing::warn!(%error, "what is left of containers is not put away");
        }
        machine.images.collect().await;
    }
}

async fn once(machine: &Machine) -> Result<(), EngineError> {
    let label = format!("{AGENT_LABEL}={}", machine.owner());
    // Whoever comes while we look has a directory before a container.
    let containers = machine.engine.containers(&label).await?;
    let networks = machine.engine.networks(&label).await?;
    let (names, environments) = known(machine);
    for name in containers.into_keys().filter(|name| !names.contains(name)) {
        tracing::info!(name, "a container of what is gone is removed");
        machine.engine.remove(&name).await?;
    }
    for name in networks.into_iter().filter(|name| !environments.contains(name)) {
        // One that somebody else's container is in stays.
        let _ = machine.engine.remove_network(&name).await;
    }
    Ok(())
}

/// Names of the containers and networks of the instances and tasks here.
fn known(machine: &Machine) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut names, mut networks) = (BTreeSet::new(), BTreeSet::new());
    let dirs = std::fs::read_dir(machine.data.join("instances"));
    for entry in dirs.into_iter().flatten().flatten() {
        names.insert(machine.container_name(&entry.file_name().to_string_lossy()));
        let record: Option<Record> = disk::read(&entry.path().join("instance.json"));
        networks.extend(record.map(|r| machine.network_name(&r.order.instance.environment)));
    }
    let dirs = std::fs::read_dir(machine.data.join("tasks"));
    for task in dirs.into_iter().flatten().flatten() {
        let name = task.file_name().to_string_lossy().into_owned();
        let place = TaskPlace::of(&machine.data, &name);
        names.insert(machine.container_name(&label(&name, None)));
        networks.insert(machine.network_name(&label(&name, None)));
        let beside = place.every_beside();
        let beside = beside.iter().map(|beside| label(&name, Some(beside.name())));
        names.extend(beside.map(|label| machine.container_name(&label)));
    }
    (names, networks)
}
