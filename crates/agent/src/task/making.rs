//! Making a release of what a task has left in its workspace: a package of files, with the list of
//! its parts. Container images are made in `image.rs`.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use atoll_client::{PackageError, PackagePlan};
use atoll_model::Reason;
use atoll_model::ci::run::{Content, Made};
use atoll_model::ci::task::{Form, Making};
use atoll_model::delivery::EntryContent;

use super::sbom::{LOCKS, sbom};
use super::{Doer, blocking};

/// The largest lock file that is read, in bytes.
const LARGEST_LOCK: u64 = 16 << 20;

impl Doer {
    /// Makes a release and hands it in.
    pub(super) async fn make_release(
        &self,
        making: &Making,
        notes: &mut Vec<Reason>,
    ) -> Result<Made, Reason> {
        let (content, plan) = match &making.form {
            Form::Package(path) => {
                let what = format!("the package of release {}", making.version);
                let paths = std::slice::from_ref(path);
                let plan = self.package(&what, paths, Some(path), notes).await?;
                let (digest, size) = (plan.digest.clone(), plan.size);
                let entries = plan.index.entries.len() as u64;
                (Content::Files { digest, size, entries }, Some(plan))
            }
            Form::Image(rule) => (self.make_image(rule, &making.version, notes).await?, None),
        };
        let list = self.list(making, plan).await?;
        Ok(Made { version: making.version.clone(), content, sbom: Some(list) })
    }

    /// Hands in the list of its parts: what lock files name, and the files of a package. What is in
    /// an image besides, nobody but its registry looks at.
    async fn list(
        &self,
        making: &Making,
        plan: Option<Arc<PackagePlan>>,
    ) -> Result<String, Reason> {
        let (application, version) = (making.application.clone(), making.version.clone());
        let work = self.place.work();
        let list = blocking("list the parts of its release", move || {
            let files = plan.map(|plan| digests(&plan)).transpose().map_err(io::Error::other)?;
            let files = files.unwrap_or_default();
            let locks: Vec<(&str, String)> =
                LOCKS.iter().filter_map(|name| Some((*name, lock(&work.join(name))?))).collect();
            Ok(sbom(&application, &version, &files, &locks))
        })
        .await?;
        let list = self.put(&list.to_string().into()).await;
        list.map_err(|why| Reason::new("release-not-kept", why))
    }
}

/// Every file of a package with the digest of its content.
fn digests(plan: &PackagePlan) -> Result<Vec<(String, String)>, PackageError> {
    let mut all = Vec::new();
    for entry in &plan.index.entries {
        let EntryContent::File { chunks, .. } = &entry.content else { continue };
        let mut hasher = blake3::Hasher::new();
        for chunk in chunks {
            hasher.update(&plan.read_chunk(&chunk.digest)?);
        }
        all.push((entry.path.clone(), hasher.finalize().to_hex().to_string()));
    }
    Ok(all)
}

/// A lock file, if it is a file, of ordinary size, and text.
fn lock(path: &Path) -> Option<String> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    let mut text = String::new();
    file.metadata().ok().filter(|meta| meta.is_file() && meta.len() <= LARGEST_LOCK)?;
    file.take(LARGEST_LOCK).read_to_string(&mut text).ok()?;
    Some(text)
}
