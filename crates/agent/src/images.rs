//! The images on this host: what a reference means, which are here, and which of those we fetched
//! may go. Images that others brought are never touched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atoll_model::image::{Image, is_digest};
use atoll_model::{Reason, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::disk;
use crate::engine::{Engine, EngineError, Found};
use crate::runtime::warden::docker_missing;

/// What Podman puts before the names of images that came from no registry.
const OF_THE_HOST: &str = "localhost";

/// The images of one engine.
pub struct Images {
    engine: Arc<Engine>,
    /// Where it is written down which ones are ours.
    file: PathBuf,
    /// Bytes that may be kept of what nobody needs.
    bound: u64,
    inner: Mutex<Inner>,
    /// One fetch at a time of each.
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

#[derive(Default)]
struct Inner {
    /// Those seen here since the agent began.
    here: BTreeSet<String>,
    needed: BTreeSet<String>,
    ours: Ours,
}

/// References we fetched, and when each was needed last.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Ours(BTreeMap<String, Timestamp>);

impl Images {
    /// The images of an engine; what was fetched earlier is written down in `data`.
    pub fn open(engine: Arc<Engine>, data: &Path, bound: u64) -> Images {
        let file = data.join("images.json");
        let ours = disk::read(&file).unwrap_or_default();
        let inner = Inner { ours, ..Inner::default() };
        Images { engine, file, bound, inner: Mutex::new(inner), locks: Mutex::default() }
    }

    /// Whether an image is here, as far as is known.
    pub fn has(&self, pinned: &str) -> bool {
        self.inner().here.contains(pinned)
    }

    /// Says which must not be thrown away.
    pub fn hold(&self, needed: BTreeSet<String>) {
        let now = clock::now();
        let mut inner = self.inner();
        let Inner { ours, .. } = &mut *inner;
        for (_, at) in ours.0.iter_mut().filter(|(name, _)| needed.contains(*name)) {
            *at = now;
        }
        inner.needed = needed;
    }

    /// Finds out what a reference means now, by its content; the image is here afterwards. A
    /// registry that is named decides; without one, what is on this host comes first.
    ///
    /// # Errors
    /// What engine or registry say.
    pub async fn resolve(&self, reference: &str) -> Result<String, EngineError> {
        let image = Image::parse(reference).map_err(|e| EngineError::Refused(e.to_string()))?;
        let lock = self.lock(reference);
        let _guard = lock.lock().await;
        let before = self.engine.image(reference).await?;
        let found = match before {
            Some(found) if image.registry.is_none_or(|it| it == OF_THE_HOST) => found,
            before => {
                self.engine.pull(reference).await?;
                let found = self.engine.image(reference).await?;
                let found = found.ok_or_else(|| missing(reference))?;
                if before.is_none() {
                    self.note(reference);
                }
                found
            }
        };
        let pinned = pinned(&image, &found);
        self.inner().here.insert(pinned.clone());
        Ok(pinned)
    }

    /// Sees to it that an image is here.
    ///
    /// # Errors
    /// What engine or registry say.
    pub async fn fetch(&self, pinned: &str) -> Result<(), EngineError> {
        let lock = self.lock(pinned);
        let _guard = lock.lock().await;
        if self.engine.image(pinned).await?.is_none() {
            if is_digest(pinned) {
                return Err(missing(pinned));
            }
            self.engine.pull(pinned).await?;
            self.note(pinned);
            tracing::info!(image = pinned, "image fetched");
        }
        self.inner().here.insert(pinned.to_owned());
        Ok(())
    }

    /// The user an image runs its programs as, where that is a number.
    pub async fn user(&self, pinned: &str) -> Option<u32> {
        let found = self.engine.image(pinned).await.ok()??;
        found.user.split(':').next()?.parse().ok()
    }

    /// Throws away what we fetched and nobody needs, the longest unused first, until what is left
    /// is within the bound.
    pub async fn collect(&self) {
        let (ours, needed) = {
            let inner = self.inner();
            (inner.ours.clone(), inner.needed.clone())
        };
        let mut unused = Vec::new();
        for (name, at) in ours.0.into_iter().filter(|(name, _)| !needed.contains(name)) {
            match self.engine.image(&name).await {
                Ok(Some(found)) => unused.push((at, name, found.size)),
                Ok(None) => self.forget(&name),
                Err(_) => return,
            }
        }
        unused.sort();
        let mut total: u64 = unused.iter().map(|(_, _, size)| size).sum();
        for (_, name, size) in unused {
            if total <= self.bound {
                return;
            }
            let lock = self.lock(&name);
            // Whoever holds the lock is about to use it.
            let Ok(_guard) = lock.try_lock() else { continue };
            // One that a container uses is refused, and tried again another time.
            if self.engine.remove_image(&name).await.is_ok() {
                tracing::info!(image = name, "image thrown away");
                self.forget(&name);
                total = total.saturating_sub(size);
            }
        }
    }

    /// Says that we made an image: it goes as those that were fetched do.
    pub fn own(&self, reference: &str) {
        self.note(reference);
    }

    fn note(&self, name: &str) {
        let mut inner = self.inner();
        inner.ours.0.insert(name.to_owned(), clock::now());
        self.write(&inner.ours);
    }

    fn forget(&self, name: &str) {
        let mut inner = self.inner();
        inner.here.remove(name);
        inner.ours.0.remove(name);
        self.write(&inner.ours);
    }

    fn write(&self, ours: &Ours) {
        if let Err(error) = disk::write(&self.file, ours, true) {
            tracing::warn!(%error, "which images were fetched could not be written down");
        }
    }

    fn lock(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(name.to_owned()).or_default())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an image is by its content: its name and digest in the registry it is from; where it is
/// from none, what it is on this host.
fn pinned(image: &Image, found: &Found) -> String {
    if image.registry == Some(OF_THE_HOST) {
        return found.id.clone();
    }
    let name = image.name();
    let usual = [format!("docker.io/{name}"), format!("docker.io/library/{name}")];
    let same = |digest: &&String| {
        let of = digest.split('@').next().unwrap_or_default();
        of == name || usual.iter().any(|usual| usual == of)
    };
    found.digests.iter().find(same).unwrap_or(&found.id).clone()
}

fn missing(reference: &str) -> EngineError {
    let why = if is_digest(reference) {
        "it was found on another host and is in no registry; push it to one that all hosts reach"
    } else {
        "it is not there after it was fetched"
    };
    EngineError::ImageMissing(why.to_owned())
}

/// Why an image is not here.
pub fn reason(reference: &str, error: &EngineError) -> Reason {
    let message = format!("image {reference}: {error}");
    let registry = Image::parse(reference).ok().and_then(|image| image.registry.map(str::to_owned));
    let registry = registry.unwrap_or_else(|| "docker.io".to_owned());
    match error {
        EngineError::ImageMissing(_) | EngineError::NotFound(_) => {
            Reason::new("image-missing", message).hint(format!("push it: docker push {reference}"))
        }
        EngineError::Unauthorised(_) => Reason::new("image-unauthorised", message)
            .hint(format!("on the host, as the agent's user: docker login {registry}")),
        EngineError::RegistryDown(_) => Reason::new("registry-down", message)
            .hint(format!("it is tried again; see whether {registry} is reached from the host")),
        EngineError::Missing { .. } | EngineError::Away(_) => docker_missing(error),
        _ if message.contains("no space left") => Reason::new("disk-full", message),
        _ => Reason::new("image-refused", message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_named_by_its_registry_or_else_by_itself() {
        let sum = format!("sha256:{}", "a".repeat(64));
        let digests =
            ["elsewhere", "localhost", "r:5"].map(|of| format!("{of}/shop@{sum}")).to_vec();
        let found = Found { id: "sha256:id".to_owned(), digests, ..Found::default() };
        let of = |text| pinned(&Image::parse(text).unwrap(), &found);
        assert_eq!(of("r:5/shop:1"), format!("r:5/shop@{sum}"));
        assert_eq!(of("shop:1"), "sha256:id", "built here, whatever else it is called");
        assert_eq!(of("localhost/shop:1"), "sha256:id", "as Podman calls it");
    }
}
