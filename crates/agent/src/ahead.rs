//! What is fetched to this host before any instance of it is here, so that many can start at once.
//! Not how it is fetched, nor what is kept: the last assignment says what must not be thrown away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::Backoff;
use atoll_model::agent::Assignment;
use tokio::task::AbortHandle;

use crate::keeper::fetch_ahead;
use crate::machine::Machine;

/// Releases that are here or on the way.
#[derive(Default)]
pub struct Ahead(BTreeMap<String, AbortHandle>);

impl Ahead {
    /// Begins to fetch what an assignment wants, and leaves what it does not any more.
    pub fn want(&mut self, machine: &Arc<Machine>, assignment: &Assignment) {
        self.0.retain(|release, task| {
            let wanted = assignment.ahead.contains(release);
            if !wanted {
                task.abort();
                machine.board.post_ahead(release, false);
            }
            wanted
        });
        for name in &assignment.ahead {
            let wanted = assignment.releases.get(name).filter(|_| !self.0.contains_key(name));
            let Some(release) = wanted else { continue };
            let package = release.package.clone();
            let image = release.pinned.clone().or_else(|| release.image.clone());
            let (machine, release) = (Arc::clone(machine), name.clone());
            let task = tokio::spawn(async move {
                let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
                let (package, image) = (package.as_ref(), image.as_deref());
                while let Err(error) = fetch_ahead(&machine, package, image).await {
                    tracing::warn!(release, error, "fetching ahead failed");
                    tokio::time::sleep(backoff.next_wait()).await;
                }
                machine.board.post_ahead(&release, true);
            });
            self.0.insert(name.clone(), task.abort_handle());
        }
    }
}
