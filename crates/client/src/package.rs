//! Making a package of files and sending it to a server, which is only sent what it lacks. Not
//! unpacking, which is in `unpack.rs`.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_model::api::VerdictWord;
use atoll_model::delivery::{PackageIndex, check_package_name};
use atoll_model::{Any, Kind, Object, Package};
use bytes::Bytes;
use futures::{TryStreamExt, stream};

use crate::collect::{Collected, Place, collect};
use crate::error::{ClientError, PackageError};
use crate::transport::Client;
use crate::tree::{Bounds, check_index};

/// Pieces sent at once.
const UPLOADS: usize = 4;

/// A package made of files, ready to be sent.
pub struct PackagePlan {
    /// What it holds.
    pub index: PackageIndex,
    /// BLAKE3 of the index, in hex: equal for equal content, whatever it was packed in.
    pub digest: String,
    /// Bytes of all files together.
    pub size: u64,
    encoded: Bytes,
    places: HashMap<String, Place>,
    spool: Option<File>,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of all different pieces.
    pub total: u64,
    /// Bytes of those the server lacks.
    pub needed: u64,
    /// Bytes of those it has been sent.
    pub sent: u64,
}

/// What a push has done.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The package's object.
    pub object: Any,
    /// Its digest.
    pub digest: String,
    /// Bytes of all files together.
    pub size: u64,
    /// Bytes that had to be sent.
    pub sent: u64,
    /// Whether the same version with the same content was there before.
    pub existed: bool,
}

/// Makes a package of a directory, of a `.tar`, `.tar.gz` or `.tar.zst`, or of any other single
/// file. Blocks while it reads.
///
/// # Errors
/// `Refused`, if it holds what a package may not, or is larger than `bounds`; `Io`, if it cannot
/// be read; `Full`, if an archive cannot be unpacked to the directory for temporary files.
pub fn plan_package(path: &Path, bounds: &Bounds) -> Result<PackagePlan, PackageError> {
    let collected = collect(path, *bounds)?;
    let (index, size) = (collected.index(), collected.bytes());
    check_index(&index, bounds)?;
    let encoded: Bytes = serde_json::to_vec(&index).expect("an index has string keys only").into();
    let digest = blake3::hash(&encoded).to_hex().to_string();
    let Collected { places, spool, .. } = collected;
    Ok(PackagePlan { index, digest, size, encoded, places, spool })
}

impl PackagePlan {
    /// The digest and size of every different piece.
    pub fn chunks(&self) -> impl Iterator<Item = (&str, u32)> {
        self.places.iter().map(|(digest, place)| (digest.as_str(), place.size))
    }

    /// Reads a piece again, and checks that it is still what it was.
    ///
    /// # Errors
    /// `Corrupt`, if a file has changed since; `Io`.
    pub fn read_chunk(&self, digest: &str) -> Result<Bytes, PackageError> {
        let none = || PackageError::io("find the piece", digest, io::ErrorKind::NotFound.into());
        let place = self.places.get(digest).ok_or_else(none)?;
        let mut data = vec![0; place.size as usize];
        let path = place.file.as_deref().unwrap_or(Path::new("a spool"));
        let failed = |e| PackageError::io("read", path, e);
        match (&place.file, &self.spool) {
            (Some(file), _) => {
                let file = File::open(file).map_err(failed)?;
                file.read_exact_at(&mut data, place.offset).map_err(failed)?;
            }
            (None, Some(spool)) => {
                spool.read_exact_at(&mut data, place.offset).map_err(failed)?;
            }
            (None, None) => return Err(none()),
        }
        if blake3::hash(&data).to_hex().as_str() != digest {
            return Err(PackageError::Corrupt { path: path.to_owned() });
        }
        Ok(data.into())
    }
}

/// Makes a package of `path` and stores it on the server as `name:version`. Only pieces the
/// server lacks are sent, so that doing it again after a lost connection goes on where it was.
/// The object comes last: **Invariant:** a package that can be seen is whole.
///
/// # Errors
/// As [`plan_package`]; `Exists`, if the version is there with other content; as the server says.
pub async fn push(
    client: &Client,
    name: &str,
    version: &str,
    path: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Pushed, PackageError> {
    check_package_name(&format!("{name}:{version}"))
        .map_err(|e| ClientError::local(400, "invalid", e.to_string()))?;
    let path = path.to_owned();
    let plan = blocking(move || plan_package(&path, &Bounds::default())).await?;
    let plan = Arc::new(plan);
    let object_name = Package::object_name(name, version);
    if let Some(object) = existing(client, &object_name).await? {
        return existed(&plan, object, 0, true);
    }
    let sent = upload(client, &plan, progress).await?;
    let spec = Package {
        name: name.to_owned(),
        version: version.to_owned(),
        digest: plan.digest.clone(),
        size: plan.size,
        entries: plan.index.entries.len() as u64,
        image: None,
        built: None,
    };
    let object = Any::Package(Arc::new(Object::new(object_name.clone(), spec)));
    match client.put(&object, false).await {
        Ok(outcome) if outcome.verdict != VerdictWord::Commit => {
            return Err(PackageError::NotTaken(Box::new(outcome)));
        }
        Ok(_) | Err(ClientError::Conflict(_)) => {}
        Err(error) => return Err(error.into()),
    }
    // Somebody else may have pushed the same version meanwhile; what is stored decides.
    existed(&plan, client.get(Kind::Package, &object_name).await?, sent, false)
}

async fn existing(client: &Client, name: &str) -> Result<Option<Any>, ClientError> {
    match client.get(Kind::Package, name).await {
        Ok(object) => Ok(Some(object)),
        Err(ClientError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn existed(
    plan: &PackagePlan,
    object: Any,
    sent: u64,
    existed: bool,
) -> Result<Pushed, PackageError> {
    let Some(package) = object.of::<Package>() else {
        let what = format!("GET {}", object.id());
        return Err(ClientError::Strange { what, why: "it is no package".to_owned() }.into());
    };
    if package.spec.digest != plan.digest {
        return Err(PackageError::Exists {
            name: package.spec.name.clone(),
            version: package.spec.version.clone(),
            digest: package.spec.digest.clone(),
        });
    }
    Ok(Pushed { digest: plan.digest.clone(), size: plan.size, object, sent, existed })
}

async fn upload(
    client: &Client,
    plan: &Arc<PackagePlan>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<u64, PackageError> {
    let mut digests: Vec<String> = plan.places.keys().cloned().collect();
    digests.sort_unstable();
    let missing = client.missing_blobs(&digests).await?;
    let bytes = |digest: &String| plan.places.get(digest).map_or(0, |p| u64::from(p.size));
    let total = digests.iter().map(bytes).sum();
    let needed = missing.iter().map(bytes).sum();
    let sent = AtomicU64::new(0);
    progress(Progress { total, needed, sent: 0 });
    stream::iter(missing.iter().cloned().map(Ok::<String, PackageError>))
        .try_for_each_concurrent(UPLOADS, |digest| {
            let (plan, sent) = (Arc::clone(plan), &sent);
            async move {
                let wanted = digest.clone();
                let data = blocking(move || plan.read_chunk(&wanted)).await?;
                let size = data.len() as u64;
                client.put_blob(&digest, data).await?;
                let sent = sent.fetch_add(size, Ordering::Relaxed) + size;
                progress(Progress { total, needed, sent });
                Ok(())
            }
        })
        .await?;
    client.put_blob(&plan.digest, plan.encoded.clone()).await?;
    Ok(sent.into_inner())
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PackageError> + Send + 'static,
) -> Result<T, PackageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(PackageError::io("finish", "the work", io::Error::other(error))),
    }
}

#[cfg(test)]
mod tests;
