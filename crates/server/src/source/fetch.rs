//! The source of a run: the commit is fetched, its files become a package, and its manifest is
//! read.

use std::path::Path;
use std::time::Duration;

use atoll_model::ci::pipeline::Repository;
use atoll_model::ci::run::Commit;
use atoll_model::{Pipeline, Reason, Run, Timestamp};
use atoll_pack::{Bounds, PackError, plan_package};
use atoll_plan::ci::sourced::{self, NotSourced, Sourced};

use super::address::{Address, AddressError};
use super::git::{Git, GitError};
use super::read;
use crate::Server;

/// A fetch is done within this time.
pub(super) const FETCH: Duration = Duration::from_secs(240);
/// Whatever needs no network is done within this time.
pub(super) const LOCAL: Duration = Duration::from_secs(60);
/// So many commits of each branch are fetched.
const DEPTH: &str = "--depth=50";

/// Trying again is of no use.
pub(super) fn never(code: &str, message: impl Into<String>, hint: &str) -> NotSourced {
    NotSourced { reasons: vec![Reason::new(code, message).hint(hint)], permanent: true }
}

/// It may be there later.
fn later(code: &str, message: impl Into<String>) -> NotSourced {
    let reason = Reason::new(code, message).hint("it is tried again; see whether git is reached");
    NotSourced { reasons: vec![reason], permanent: false }
}

impl From<AddressError> for NotSourced {
    fn from(error: AddressError) -> NotSourced {
        let hint = "change spec.source.git of the pipeline";
        match error {
            AddressError::Refused(why) => never("address-refused", why, hint),
            AddressError::Unreachable(why) => later("not-reached", why),
        }
    }
}

impl From<GitError> for NotSourced {
    fn from(error: GitError) -> NotSourced {
        later("git-failed", error.to_string())
    }
}

/// A repository that can be asked.
pub(super) struct Repo {
    pub git: Git,
    pub address: Address,
    /// It is served here: nothing has to be fetched.
    pub is_here: bool,
}

impl Server {
    /// Fetches the source of a run; false, if it is to be tried again.
    pub(super) async fn fetch_source(&self, name: &str) -> bool {
        let found = self.source_of(name).await;
        let done = found.as_ref().map_or_else(|not| not.permanent, |_| true);
        if let Err(not) = &found {
            let why: Vec<String> = not.reasons.iter().map(|r| r.message.clone()).collect();
            tracing::info!("run {name} has no source: {}", why.join("; "));
        }
        self.note_source(|cx| sourced::sourced(cx, name, found)).await && done
    }

    async fn source_of(&self, name: &str) -> Result<Sourced, NotSourced> {
        let world = self.cache.world();
        let gone = |what: &str| never("gone", format!("there is no {what} any more"), "");
        let run = world.get::<Run>(name).ok_or_else(|| gone("run"))?;
        let pipeline = world.get::<Pipeline>(&run.spec.pipeline).ok_or_else(|| gone("pipeline"))?;
        let source = pipeline.spec.source.as_ref().ok_or_else(|| gone("source"))?;
        let repo = self.repository(&run.spec.pipeline, source).await?;
        let branch = run.spec.branch.as_deref().unwrap_or(&source.branch);
        let id = repo.commit(branch, run.spec.commit.as_deref()).await?;
        let commit = repo.describe(&id).await?;
        let declared = read::declared(&repo, &id, source, &run.spec.pipeline).await?;
        let source = self.keep_tree(&repo, &id).await?;
        Ok(Sourced {
            commit,
            source,
            definition: declared.definition,
            application: declared.application,
        })
    }

    /// The repository of a pipeline, made here if it is the first time.
    pub(super) async fn repository(
        &self,
        pipeline: &str,
        source: &Repository,
    ) -> Result<Repo, NotSourced> {
        let Some(git) = &source.git else {
            let Some(served) = &self.places.served else {
                let message = "repositories are served only by a server with --data";
                return Err(never("not-served", message, "give spec.source.git"));
            };
            let dir = served.join(format!("{pipeline}.git"));
            prepare(&dir, &source.branch).await?;
            let address = Address::here(&dir);
            return Ok(Repo { git: Git::at(&dir), address, is_here: true });
        };
        let credential = match &source.credential {
            Some(name) => {
                let value = self.secret_text(&self.cache.world(), pipeline, name).await;
                Some(value.ok_or_else(|| {
                    let message = format!("there is no secret {name} to fetch with");
                    later("secret-missing", message)
                })?)
            }
            None => None,
        };
        let address = Address::find(git, credential, &self.places.local).await?;
        let dir = self.places.copies.join(format!("{pipeline}.git"));
        prepare(&dir, &source.branch).await?;
        Ok(Repo { git: Git::at(&dir).speaking_to(&address), address, is_here: false })
    }

    /// Keeps the files of a commit as a package without a name; returns its digest.
    async fn keep_tree(&self, repo: &Repo, commit: &str) -> Result<String, NotSourced> {
        let failed = |e: std::io::Error| later("disk-failed", format!("unpacking {commit}: {e}"));
        let beside = self.places.copies.clone();
        std::fs::create_dir_all(&beside).map_err(failed)?;
        let temp = tempfile::Builder::new().prefix("tree-").tempdir_in(beside).map_err(failed)?;
        let tree = temp.path().join("tree");
        std::fs::create_dir(&tree).map_err(failed)?;
        let git = repo.git.clone().with("GIT_INDEX_FILE", &temp.path().join("index"));
        let git = git.with("GIT_WORK_TREE", &tree);
        git.run(&["read-tree", commit], LOCAL).await?;
        git.run(&["checkout-index", "--all", "--quiet"], LOCAL).await?;
        let plan = tokio::task::spawn_blocking(move || plan_package(&tree, &Bounds::default()));
        let refused = |e: PackError| match e {
            PackError::Refused(why) => never("source-refused", why.to_string(), "change the tree"),
            other => later("disk-failed", other.to_string()),
        };
        let plan = plan.await.map_err(|e| later("failed", e.to_string()))?.map_err(refused)?;
        let kept = |e: crate::blobs::BlobError| later("not-kept", e.to_string());
        let digests = plan.chunks().map(|(digest, _)| digest.to_owned()).collect();
        for digest in self.blobs.missing(digests).await.map_err(kept)? {
            let piece = plan.read_chunk(&digest).map_err(refused)?;
            self.blobs.put(&digest, piece).await.map_err(kept)?;
        }
        self.blobs.put(&plan.digest, plan.encoded.clone()).await.map_err(kept)?;
        drop(temp);
        Ok(plan.digest)
    }
}

/// Makes a bare repository, where there is none yet.
pub(crate) async fn prepare(dir: &Path, branch: &str) -> Result<(), NotSourced> {
    if dir.join("HEAD").is_file() {
        return Ok(());
    }
    let failed = |e: std::io::Error| later("disk-failed", format!("{}: {e}", dir.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let git = Git::at(dir);
    git.run(&["init", "--bare", "--quiet"], LOCAL).await?;
    git.run(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")], LOCAL).await?;
    git.run(&["config", "http.receivepack", "true"], LOCAL).await?;
    Ok(())
}

impl Repo {
    /// The full hash of the commit that is wanted, and its files in the repository here.
    async fn commit(&self, branch: &str, commit: Option<&str>) -> Result<String, NotSourced> {
        let missing = |what: String| {
            never("commit-missing", format!("the repository has no {what}"), "look at its name")
        };
        if let Some(commit) = commit {
            if let Some(id) = self.find(commit).await {
                return Ok(id);
            }
            if commit.len() == 40 && !self.is_here {
                let args = ["fetch", "--no-tags", "--quiet", DEPTH, &self.address.url, commit];
                if self.git.run(&args, FETCH).await.is_ok()
                    && let Some(id) = self.find(commit).await
                {
                    return Ok(id);
                }
            }
        }
        self.fetch(branch).await?;
        let wanted = match commit {
            Some(commit) => commit.to_owned(),
            None => format!("refs/heads/{branch}"),
        };
        let what =
            if commit.is_some() { format!("commit {wanted}") } else { format!("branch {branch}") };
        self.find(&wanted).await.ok_or_else(|| missing(what))
    }

    /// Brings a branch here.
    pub(super) async fn fetch(&self, branch: &str) -> Result<(), NotSourced> {
        if self.is_here {
            return Ok(());
        }
        let refs = format!("+refs/heads/{branch}:refs/heads/{branch}");
        let args = ["fetch", "--no-tags", "--quiet", DEPTH, &self.address.url, &refs];
        match self.git.run(&args, FETCH).await {
            Ok(_) => Ok(()),
            Err(GitError::Failed { why, .. }) if why.contains("couldn't find remote ref") => {
                let message = format!("the repository has no branch {branch}");
                Err(never("branch-missing", message, "look at its name"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The full hash of what names a commit that is here.
    async fn find(&self, name: &str) -> Option<String> {
        let name = format!("{name}^{{commit}}");
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
        let out = self.git.run(&args, LOCAL).await.ok()?;
        let id = String::from_utf8(out).ok()?.trim().to_owned();
        (id.len() >= 40).then_some(id)
    }

    async fn describe(&self, id: &str) -> Result<Commit, NotSourced> {
        let format = "--format=%s%x00%an%x00%ct";
        let out = self.git.run(&["log", "-1", "--no-show-signature", format, id], LOCAL).await?;
        let text = String::from_utf8_lossy(&out);
        let mut parts = text.trim_end().split('\0').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        let (subject, author, at) = (next(), next(), next());
        let at = Timestamp(at.parse::<i64>().unwrap_or_default() * 1000);
        let cut = |text: String| text.chars().take(200).collect();
        Ok(Commit { id: id.to_owned(), subject: cut(subject), author: cut(author), at })
    }

    /// A file of a commit, if it is there and not too large.
    pub(super) async fn file(&self, commit: &str, path: &str) -> Option<Vec<u8>> {
        let named = format!("{commit}:{path}");
        self.git.run(&["cat-file", "blob", &named], LOCAL).await.ok()
    }
}
