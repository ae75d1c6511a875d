//! Keeping what a task has left: all of it is with the server before its end is told.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use atoll_client::{Bounds, PackageError, PackagePlan, deposit, plan_package};
use atoll_model::Reason;
use atoll_model::ci::step::{Artifact, TestReport};
use atoll_model::ci::task::{Kept, TaskPhase, TestCase, TestCases, Yields};
use bytes::Bytes;

use super::cache::Caches;
use super::decide::{Conclusion, Record, Stage};
use super::junit;
use super::pick::{MOST, files, pick};
use super::place::remove;
use super::{Doer, blocking, patiently};
use crate::runtime::shim::log::file;

/// A log that is no longer than so many bytes goes with the report, where that is asked for.
const SHORT: usize = 4 << 10;
/// The most that is said of reports that cannot be read.
const MOST_NOTES: usize = 20;

impl Doer {
    /// Hands everything to the server, however long that takes, and then the task is over.
    pub(super) async fn keep(&mut self) {
        let Some(record) = self.record.clone() else { return };
        let Stage::Ended(mut end) = record.stage.clone() else { return };
        self.machine.board.post_task({
            let mut report = record.report_end(&end, Yields::default());
            report.phase = TaskPhase::Keeping;
            report
        });
        let yields = tokio::select! {
            yields = self.hand_in(&record, &mut end) => yields,
            () = Doer::forgotten(self.wanted.clone()) => return,
        };
        let report = record.report_end(&end, yields);
        self.enter(Stage::Over(Box::new(report)));
        let place = self.place.clone();
        let _ = tokio::task::spawn_blocking(move || place.empty()).await;
    }

    async fn hand_in(&self, record: &Record, end: &mut Conclusion) -> Yields {
        let mut yields = Yields { cache_hits: record.cache_hits.clone(), ..Yields::default() };
        let succeeded = end.phase == TaskPhase::Succeeded;
        let ran = succeeded || end.exit_code.is_some();
        for artifact in record.task.work.artifacts.iter().filter(|a| succeeded || a.always && ran) {
            match self.keep_artifact(artifact, &mut end.reasons).await {
                Ok(kept) => drop(yields.artifacts.insert(artifact.name.clone(), kept)),
                Err(reason) => {
                    end.reasons.push(reason);
                    if end.phase == TaskPhase::Succeeded {
                        end.phase = TaskPhase::Failed;
                    }
                }
            }
        }
        if ran && !record.task.work.tests.is_empty() {
            let notes = self.keep_tests(&record.task.work.tests, &mut yields).await;
            end.reasons.extend(notes);
        }
        if let (TaskPhase::Succeeded, Some(making)) = (end.phase, &record.task.work.release) {
            match self.make_release(making, &mut end.reasons).await {
                Ok(made) => yields.made = Some(made),
                Err(reason) => {
                    end.reasons.push(reason);
                    end.phase = TaskPhase::Failed;
                }
            }
        }
        if end.phase == TaskPhase::Succeeded {
            end.reasons.extend(self.keep_caches(record).await.err());
        }
        // Last, as it holds what was said while an image was built.
        let short = record.task.work.run_as.is_some().then_some(SHORT);
        if let Err(reason) = self.keep_log(end.exit_code.is_some(), short, &mut yields).await {
            end.reasons.push(reason);
        }
        yields
    }

    /// Keeps what was not found under its very key, for other hosts too.
    async fn keep_caches(&self, record: &Record) -> Result<(), Reason> {
        self.share_caches(record).await;
        let (record, work) = (record.clone(), self.place.work());
        let caches = Caches::of(&self.machine.data, &record.task.work.cache_scope);
        let bound = self.machine.packages.bound();
        blocking("keep its caches", move || {
            let pairs = record.caches.iter().zip(&record.task.work.caches);
            for (key, cached) in pairs.filter(|(key, _)| !record.cache_hits.contains(key)) {
                caches.keep(key, &cached.paths, &work, bound)?;
            }
            Ok(())
        })
        .await
    }

    /// Hands the same to the server. What holds nothing, or cannot be shared, is no loss.
    async fn share_caches(&self, record: &Record) {
        let scope = &record.task.work.cache_scope;
        let pairs = record.caches.iter().zip(&record.task.work.caches);
        for (key, cached) in pairs.filter(|(key, _)| !record.cache_hits.contains(key)) {
            let what = format!("cache {key}");
            let plan = match self.package(&what, &cached.paths, None, &mut Vec::new()).await {
                Ok(plan) => plan,
                Err(reason) => {
                    tracing::debug!(task = self.place.name(), %reason, "it is not shared");
                    continue;
                }
            };
            let kept = self.machine.client().keep_cache(scope, key, &plan.digest).await;
            if let Err(error) = kept {
                tracing::warn!(task = self.place.name(), key, %error, "a cache is not shared");
            }
        }
    }

    /// The tests it ran, by its reports; what is wrong with those is told and fails nothing.
    async fn keep_tests(&self, reports: &[TestReport], yields: &mut Yields) -> Vec<Reason> {
        let (work, reports) = (self.place.work(), reports.to_vec());
        let read = blocking("read its reports of tests", move || read_tests(&work, &reports));
        let (mut cases, mut notes) = match read.await {
            Ok(read) => read,
            Err(reason) => return vec![reason],
        };
        yields.tests = junit::totals(&cases);
        let truncated = cases.len() > junit::MOST_CASES;
        cases.truncate(junit::MOST_CASES);
        if cases.is_empty() {
            return notes;
        }
        match serde_json::to_vec(&TestCases { cases, truncated }) {
            Ok(text) => match self.put(&text.into()).await {
                Ok(digest) => yields.cases = Some(digest),
                Err(why) => notes.push(Reason::new("tests-not-kept", why)),
            },
            Err(error) => notes.push(Reason::new("tests-not-kept", error.to_string())),
        }
        notes
    }

    /// The whole log, as one blob, or with the report where it is no longer than `short`; nothing
    /// of what never ran.
    async fn keep_log(
        &self,
        ran: bool,
        short: Option<usize>,
        yields: &mut Yields,
    ) -> Result<(), Reason> {
        let path = file(&self.place.shim.log(), 0);
        let read = blocking("read its log", move || match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        });
        let log = Bytes::from(read.await?);
        if log.is_empty() && !ran {
            return Ok(());
        }
        if short.is_some_and(|short| log.len() <= short) {
            yields.output = Some(String::from_utf8_lossy(&log).into_owned());
            return Ok(());
        }
        let digest = self.put(&log).await.map_err(|why| Reason::new("log-not-kept", why))?;
        yields.log = Some(digest);
        Ok(())
    }

    /// An artefact, as the package of its files.
    async fn keep_artifact(
        &self,
        artifact: &Artifact,
        notes: &mut Vec<Reason>,
    ) -> Result<Kept, Reason> {
        let what = format!("artefact {}", artifact.name);
        let plan = self.package(&what, &artifact.paths, None, notes).await?;
        let entries = plan.index.entries.len() as u64;
        Ok(Kept { digest: plan.digest.clone(), size: plan.size, entries })
    }

    /// Makes a package of what patterns mean in the workspace, or of that path in it, and hands it
    /// in.
    pub(super) async fn package(
        &self,
        what: &str,
        patterns: &[String],
        path: Option<&str>,
        notes: &mut Vec<Reason>,
    ) -> Result<Arc<PackagePlan>, Reason> {
        let (work, stage) = (self.place.work(), self.place.transit().join("package"));
        let (into, paths) = (stage.clone(), patterns.to_vec());
        let picked = blocking("put a package together", move || {
            remove(&into)?;
            std::fs::create_dir_all(&into)?;
            match pick(&work, &paths, &into) {
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
                picked => picked.map(Some),
            }
        })
        .await?;
        let Some(picked) = picked else {
            let message = format!("{what} holds more than {MOST} files");
            let hint = "name fewer, or pack them into an archive in the script";
            return Err(Reason::new("artifact-refused", message).hint(hint));
        };
        if let Some(first) = picked.left_out.first() {
            let (count, first) = (picked.left_out.len(), first.display());
            let message = format!("{count} entries of {what} are no files: {first}, …");
            let hint = "links that lead out of the workspace, pipes and sockets are left out";
            notes.push(Reason::new("artifact-incomplete", message).hint(hint));
        }
        if picked.taken == 0 {
            let message = format!("it left nothing at {}, for {what}", patterns.join(", "));
            return Err(Reason::new("artifact-missing", message));
        }
        let refused = |error: PackageError| {
            Reason::new("artifact-refused", format!("{what} cannot be kept: {error}"))
        };
        let root = path.map_or(stage.clone(), |path| stage.join(path));
        let plan = tokio::task::spawn_blocking(move || plan_package(&root, &Bounds::default()));
        let plan = match plan.await {
            Ok(plan) => Arc::new(plan.map_err(refused)?),
            Err(error) => return Err(Reason::new("artifact-refused", error.to_string())),
        };
        let hand_in = || async {
            match deposit(&self.machine.client(), &plan).await {
                Err(PackageError::Client(error)) => Err(error),
                other => Ok(other),
            }
        };
        let sent = patiently("keep a package", hand_in).await;
        sent.map_err(PackageError::Client).and_then(|sent| sent).map_err(refused)?;
        Ok(plan)
    }

    /// Keeps a blob, and gives its digest.
    pub(super) async fn put(&self, content: &Bytes) -> Result<String, String> {
        let digest = blake3::hash(content).to_hex().to_string();
        let put = || {
            let (client, content, digest) = (self.machine.client(), content.clone(), &digest);
            async move { client.put_blob(digest, content).await }
        };
        patiently("keep what a task left", put).await.map_err(|e| e.to_string())?;
        Ok(digest)
    }
}

/// Every test of every report, and what is wrong with reports.
fn read_tests(work: &Path, reports: &[TestReport]) -> io::Result<(Vec<TestCase>, Vec<Reason>)> {
    let (mut cases, mut notes) = (Vec::new(), Vec::new());
    for report in reports {
        let found = files(work, &report.junit)?;
        if found.is_empty() {
            let message = format!("it left no report of tests at {}", report.junit);
            notes.push(Reason::new("report-missing", message));
        }
        for path in found {
            let read = read_report(&work.join(&path)).and_then(|t| junit::read(&t, report.suite));
            match read {
                Ok(more) => cases.extend(more),
                Err(why) => {
                    let message = format!("the report of tests {} {why}", path.display());
                    notes.push(Reason::new("report-broken", message));
                }
            }
        }
    }
    // Many reports may be broken in the same way.
    notes.truncate(MOST_NOTES);
    Ok((cases, notes))
}

fn read_report(path: &Path) -> Result<String, String> {
    let unreadable = |e: io::Error| format!("cannot be read: {e}");
    // Nothing runs any more that could put a link in its place; the flag costs nothing.
    let file = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path);
    let mut bytes = Vec::new();
    file.and_then(|file| file.take(junit::LARGEST + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > junit::LARGEST {
        return Err(format!("is larger than {} bytes", junit::LARGEST));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
