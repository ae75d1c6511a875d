//! Making a release of what a task has left in its workspace: a package of files, with the list of
//! its parts. Container images are not made here.

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
        let Form::Package(path) = &making.form else {
            let message = "this agent makes no container images";
            return Err(Reason::new("no-container", message).hint("make a package instead"));
        };
        let what = format!("the package of release {}", making.version);
        let plan = self.package(&what, std::slice::from_ref(path), Some(path), notes).await?;
        let (application, version) = (making.application.clone(), making.version.clone());
        let (work, read) = (self.place.work(), Arc::clone(&plan));
        let list = blocking("list the parts of its release", move || {
            let files = digests(&read).map_err(io::Error::other)?;
            let locks: Vec<(&str, String)> =
                LOCKS.iter().filter_map(|name| Some((*name, lock(&work.join(name))?))).collect();
            Ok(sbom(&application, &version, &files, &locks))
        })
        .await?;
        let list = self.put(&list.to_string().into()).await;
        let list = list.map_err(|why| Reason::new("release-not-kept", why))?;
        let entries = plan.index.entries.len() as u64;
        let content = Content::Files { digest: plan.digest.clone(), size: plan.size, entries };
        Ok(Made { version: making.version.clone(), content, sbom: Some(list) })
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
