//! Collects blobs nobody refers to: pieces of packages, sources, artefacts, logs, and sealed
//! values. What is named anywhere in any object is kept, and all pieces of what is named; so a
//! field that is added later needs no word here. It runs on the replica that leads.

use std::collections::HashSet;
use std::time::Duration;

use atoll_model::delivery::{EntryContent, PackageIndex, is_digest};
use atoll_model::{Any, Kind, Object, Run, Snapshot, Task, Timestamp};

use crate::api::caches;
use crate::secrets::PREFIX;
use crate::{App, Server};

/// Between two passes.
const EVERY: Duration = Duration::from_secs(3_600);
/// What is younger may be part of something whose object is not there yet.
const AGE: Duration = Duration::from_secs(3_600);
/// Sealed values, and what others keep by name, are read up to this size to see what they name.
const LARGEST_NOTE: usize = 1 << 20;

/// What one pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Pieces that are referred to.
    pub kept: usize,
    /// Pieces that were cleared away.
    pub cleared: usize,
}

/// Sweeps until the server stops.
pub async fn run(app: App) {
    let mut every = tokio::time::interval(EVERY);
    every.tick().await;
    // What was not referred to in the pass before; a database does not say how old its rows are.
    let mut idle = HashSet::new();
    loop {
        every.tick().await;
        if app.epoch().is_none() {
            idle.clear();
            continue;
        }
        match app.sweep(AGE, &mut idle).await {
            Ok(swept) if swept.cleared > 0 => {
                tracing::info!("{} pieces that nobody refers to were cleared away", swept.cleared);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("could not clear old pieces away: {error}"),
        }
    }
}

impl Server {
    /// One pass: clears away what is older than `age` and not referred to, and, in a database, was
    /// not in the pass before either.
    ///
    /// **Invariant:** nothing is cleared away before everything that is referred to is known.
    ///
    /// # Errors
    /// What could not be read: nothing was cleared away then.
    pub async fn sweep(&self, age: Duration, idle: &mut HashSet<String>) -> Result<Swept, String> {
        let world = self.cache.world();
        let named = self.store.list_blobs().await.map_err(|e| e.to_string())?;
        let mut roots = roots(&world, self.clock.now());
        let mut unnamed = Vec::new();
        for name in named.iter().filter(|name| !is_digest(name)) {
            if let Some(id) = name.strip_prefix(PREFIX) {
                if !roots.contains(id) {
                    unnamed.push(name.clone());
                }
                continue;
            }
            let note = self.store.get_blob(name).await.map_err(|e| e.to_string())?;
            let note = note.filter(|note| note.len() <= LARGEST_NOTE).unwrap_or_default();
            if caches::is_forgotten(name, &note, self.clock.now()) {
                unnamed.push(name.clone());
                continue;
            }
            digests(&String::from_utf8_lossy(&note), &mut roots);
        }
        let marked = self.mark(roots).await?;
        let old = self.blobs.older_than(age).await.map_err(|e| e.to_string())?;
        let in_database = old.is_none();
        let all = old.unwrap_or_else(|| named.into_iter().filter(|n| is_digest(n)).collect());
        let mut unmarked: Vec<String> =
            all.into_iter().filter(|digest| !marked.contains(digest)).collect();
        unmarked.extend(unnamed);
        // A value or a piece of a moment ago may be about to be named.
        let second = |name: &String| idle.contains(name);
        let (clear, wait): (Vec<String>, Vec<String>) = unmarked
            .into_iter()
            .partition(|name| second(name) || (!in_database && is_digest(name)));
        *idle = wait.into_iter().collect();
        let cleared = clear.len();
        self.blobs.delete(clear, &self.store).await.map_err(|e| e.to_string())?;
        Ok(Swept { kept: marked.len(), cleared })
    }

    /// Everything that is named, with the pieces of what is an index.
    async fn mark(&self, roots: HashSet<String>) -> Result<HashSet<String>, String> {
        let mut marked = HashSet::with_capacity(roots.len());
        for root in roots {
            match self.blobs.get(&root).await {
                Ok(bytes) => {
                    if let Ok(index) = serde_json::from_slice::<PackageIndex>(&bytes) {
                        marked.extend(pieces(index));
                    }
                }
                // Hashes of tokens and commits look like digests, and are none.
                Err(crate::blobs::BlobError::NotFound(_)) => {}
                Err(error) => return Err(error.to_string()),
            }
            marked.insert(root);
        }
        Ok(marked)
    }
}

fn pieces(index: PackageIndex) -> impl Iterator<Item = String> {
    index.entries.into_iter().flat_map(|entry| match entry.content {
        EntryContent::File { chunks, .. } => {
            chunks.into_iter().map(|chunk| chunk.digest).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    })
}

/// Every digest that an object names, but for artefacts that were kept long enough.
fn roots(world: &Snapshot, now: Timestamp) -> HashSet<String> {
    let mut roots = HashSet::new();
    for kind in Kind::ALL {
        for any in world.after(*kind, "") {
            let any = match any {
                Any::Task(task) if task.status.phase.is_over() => {
                    Any::Task(still_kept(world, &task, now).into())
                }
                other => other,
            };
            digests(&any.to_json(), &mut roots);
        }
    }
    roots
}

/// A task that is over without what it was given, and without artefacts whose time is up.
fn still_kept(world: &Snapshot, task: &Object<Task>, now: Timestamp) -> Object<Task> {
    let mut left = task.clone();
    left.spec.work.inputs.clear();
    let ended = world.get::<Run>(&task.spec.run).and_then(|run| run.status.ended_at);
    for rule in &task.spec.work.artifacts {
        let until = rule.keep.zip(ended).map(|(keep, ended)| ended + keep);
        if until.is_some_and(|until| until <= now) {
            left.status.yields.artifacts.remove(&rule.name);
        }
    }
    left
}

/// Every run of 64 hexadecimal digits in a text.
fn digests(text: &str, into: &mut HashSet<String>) {
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let words = text.as_bytes().split(|byte| !is_hex(byte));
    for word in words.filter(|word| word.len() == 64) {
        into.insert(String::from_utf8_lossy(word).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_wherever_they_stand() {
        let (a, b) = ("a".repeat(64), "0123".repeat(16));
        let text =
            format!("{{\"digest\":\"{a}\",\"url\":\"x/{b}?y\",\"long\":\"{}\"}}", "c".repeat(65));
        let mut found = HashSet::new();
        digests(&text, &mut found);
        assert_eq!(found, [a, b].into());
    }
}
