//! New commits: a repository is asked for the heads of its branches, and each that is new begins a
//! run. Served or not, a head is noted only once its run is in the store, so that none is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_model::access::{Actor, Level};
use atoll_model::ci::pipeline::Repository;
use atoll_model::ci::run::Cause;
use atoll_model::{Object, Pipeline, Reason};
use atoll_plan::ci::begin::Ask;
use atoll_plan::ci::sourced::{self, NotSourced};

use super::fetch::{LOCAL, Repo};
use super::pattern::matches;
use crate::Server;

/// A repository says within this time which branches it has.
const ASK: Duration = Duration::from_secs(60);
/// A push of more branches than this at once begins runs for these only.
const MOST_BRANCHES: usize = 100;

/// The key of a commit of a branch: whoever tells of it, it is run once.
pub fn key(branch: &str, commit: &str) -> String {
    format!("refs/heads/{branch}@{commit}")
}

/// Whether commits of a branch begin runs.
pub fn is_wanted(pipeline: &Pipeline, branch: &str) -> bool {
    let own = pipeline.source.as_ref().map(|source| source.branch.as_str());
    match &pipeline.triggers.branches {
        Some(patterns) => patterns.iter().any(|pattern| matches(pattern, branch)),
        None => own == Some(branch),
    }
}

/// Whether a change of these paths begins a run.
pub fn concerns(pipeline: &Pipeline, mut paths: impl Iterator<Item = String>) -> bool {
    let patterns = &pipeline.triggers.paths;
    patterns.is_empty() || paths.any(|path| patterns.iter().any(|p| matches(p, &path)))
}

impl Server {
    /// Looks for new commits of a pipeline; false, if that is to be tried again.
    pub(super) async fn look_for_commits(&self, name: &str) -> bool {
        let world = self.cache.world();
        let Some(pipeline) = world.get::<Pipeline>(name).cloned() else { return true };
        let Some(source) = &pipeline.spec.source else { return true };
        let polled = source.git.is_some();
        match self.new_heads(&pipeline, source).await {
            Ok(heads) => self.note_source(|cx| sourced::seen(cx, name, &heads, Ok(polled))).await,
            Err(not) => {
                let why = not.reasons.into_iter().next();
                let why = why.unwrap_or_else(|| Reason::new("git-failed", "it cannot be asked"));
                let none = BTreeMap::new();
                // The next look is when it is due again.
                self.note_source(|cx| sourced::seen(cx, name, &none, Err(why))).await
            }
        }
    }

    /// The heads that are new, each with its run begun.
    async fn new_heads(
        &self,
        pipeline: &Object<Pipeline>,
        source: &Repository,
    ) -> Result<BTreeMap<String, String>, NotSourced> {
        let repo = self.repository(pipeline.name(), source).await?;
        let cause = if source.git.is_some() { Cause::Poll } else { Cause::Push };
        let mut begun = BTreeMap::new();
        let known = &pipeline.status.heads;
        let heads = repo.heads().await?;
        let wanted = heads.into_iter().filter(|(branch, _)| is_wanted(&pipeline.spec, branch));
        for (branch, commit) in wanted.take(MOST_BRANCHES) {
            let old = known.get(&branch);
            if old == Some(&commit) {
                continue;
            }
            let concerns = match old.filter(|_| !pipeline.spec.triggers.paths.is_empty()) {
                Some(old) => {
                    let changed = repo.changed(&branch, old, &commit).await?;
                    changed.is_none_or(|paths| concerns(&pipeline.spec, paths.into_iter()))
                }
                None => true,
            };
            if concerns && !self.begin_commit(pipeline.name(), cause, &branch, &commit).await {
                continue;
            }
            begun.insert(branch, commit);
        }
        Ok(begun)
    }

    async fn begin_commit(&self, pipeline: &str, cause: Cause, branch: &str, commit: &str) -> bool {
        let ask = Ask {
            pipeline: pipeline.to_owned(),
            cause,
            key: key(branch, commit),
            branch: Some(branch.to_owned()),
            commit: Some(commit.to_owned()),
            source: None,
            definition: None,
            params: BTreeMap::new(),
        };
        let actor = Actor::new("source", Level::Admin);
        match self.begin(&actor, &ask).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!("could not begin a run of {pipeline}: {}", error.0.title);
                false
            }
        }
    }
}

impl Repo {
    /// The head of every branch.
    async fn heads(&self) -> Result<BTreeMap<String, String>, NotSourced> {
        let out = if self.is_here {
            let format = "--format=%(objectname)\t%(refname)";
            self.git.run(&["for-each-ref", format, "refs/heads"], LOCAL).await?
        } else {
            self.git.run(&["ls-remote", "--heads", &self.address.url], ASK).await?
        };
        let text = String::from_utf8_lossy(&out);
        let line = |line: &str| {
            let (commit, name) = line.split_once('\t')?;
            Some((name.strip_prefix("refs/heads/")?.to_owned(), commit.to_owned()))
        };
        Ok(text.lines().filter_map(line).collect())
    }

    /// The paths that differ between two commits; none, where that cannot be known.
    async fn changed(
        &self,
        branch: &str,
        old: &str,
        new: &str,
    ) -> Result<Option<Vec<String>>, NotSourced> {
        self.fetch(branch).await?;
        let args = ["diff-tree", "-r", "-z", "--name-only", "--end-of-options", old, new];
        let Ok(out) = self.git.run(&args, LOCAL).await else { return Ok(None) };
        let text = String::from_utf8_lossy(&out);
        Ok(Some(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()))
    }
}
