//! Making a package of files and sending it to a server, which is only sent what it lacks. Not
//! unpacking, which is in `unpack.rs`.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_model::api::VerdictWord;
use atoll_model::delivery::check_package_name;
use atoll_model::{Any, Kind, Object, Package};
use atoll_pack::{Bounds, PackagePlan};
use futures::{TryStreamExt, stream};

use crate::error::{ClientError, PackageError};
use crate::transport::Client;

/// Pieces sent at once.
const UPLOADS: usize = 4;

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
/// As [`atoll_pack::plan_package`].
pub fn plan_package(path: &Path, bounds: &Bounds) -> Result<PackagePlan, PackageError> {
    Ok(atoll_pack::plan_package(path, bounds)?)
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
        // Pieces of it may have been damaged or lost since: they are sent anew.
        let known = existed(&plan, object, 0, true)?;
        let sent = upload(client, &plan, progress).await?;
        return Ok(Pushed { sent, ..known });
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

/// Hands the pieces and the index of a package in, without an object that names it. Only pieces the
/// server lacks are sent, so that doing it again goes on where it was. Gives the bytes sent.
///
/// # Errors
/// `Corrupt`, if a file has changed since; as the server says.
pub async fn deposit(client: &Client, plan: &Arc<PackagePlan>) -> Result<u64, PackageError> {
    upload(client, plan, &|_| {}).await
}

async fn upload(
    client: &Client,
    plan: &Arc<PackagePlan>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<u64, PackageError> {
    let sizes: HashMap<String, u64> =
        plan.chunks().map(|(digest, size)| (digest.to_owned(), u64::from(size))).collect();
    let mut digests: Vec<String> = sizes.keys().cloned().collect();
    digests.sort_unstable();
    let missing = client.missing_blobs(&digests).await?;
    let bytes = |digest: &String| sizes.get(digest).copied().unwrap_or(0);
    let total = digests.iter().map(bytes).sum();
    let needed = missing.iter().map(bytes).sum();
    let sent = AtomicU64::new(0);
    progress(Progress { total, needed, sent: 0 });
    stream::iter(missing.iter().cloned().map(Ok::<String, PackageError>))
        .try_for_each_concurrent(UPLOADS, |digest| {
            let (plan, sent) = (Arc::clone(plan), &sent);
            async move {
                let wanted = digest.clone();
                let data = blocking(move || Ok(plan.read_chunk(&wanted)?)).await?;
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
