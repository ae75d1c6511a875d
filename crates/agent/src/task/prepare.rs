//! Making a task's workspace, and the orders its shim is started with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Backoff, ClientError, PackageError};
use atoll_model::agent::AssignedTask;
use atoll_model::ci::task::TaskPhase;
use atoll_model::{Reason, Span};

use super::cache::{self, Caches};
use super::decide::{Conclusion, Record, Stage, lost};
use super::place::{TaskPlace, remove};
use super::{Doer, blocking};
use crate::disk;
use crate::join::passing;
use crate::machine::Machine;
use crate::runtime::launch::{DATA_VARIABLE, Launch, PATH};
use crate::runtime::orders::{Once, Orders};
use crate::runtime::sandbox::{self, Sandbox};

/// Where the task finds its workspace, its home and its temporary files in a sandbox.
const INSIDE: [&str; 3] = ["/work", "/home", "/tmp"];
/// The most of a log that is kept, whatever the limit: it travels as one blob.
const LONGEST_LOG: u64 = 31 << 20;

impl Doer {
    /// Makes the workspace and writes the orders; then the task has begun, as far as anybody who
    /// comes later can know.
    pub(super) async fn prepare(&mut self, task: &Arc<AssignedTask>) {
        let before = self.record.as_ref().and_then(|r| r.user);
        let user = self.machine.user(self.place.name(), before);
        self.record = Some(self.new_record(task, user));
        let made = tokio::select! {
            made = self.make(task, user) => made,
            () = Doer::unwanted(self.wanted.clone(), task) => return,
        };
        match made {
            Ok((caches, cache_hits)) => {
                if let Some(record) = &mut self.record {
                    (record.caches, record.cache_hits) = (caches, cache_hits);
                }
                self.enter(Stage::Begun);
            }
            Err(reason) => {
                tracing::warn!(task = self.place.name(), %reason, "it cannot begin");
                self.enter(Stage::Ended(Conclusion { reasons: vec![reason], ..lost("", "") }));
            }
        }
    }

    /// Makes it, and gives the keys of its caches and those that were found.
    async fn make(
        &self,
        task: &Arc<AssignedTask>,
        user: Option<u32>,
    ) -> Result<(Vec<String>, Vec<String>), Reason> {
        let place = self.place.clone();
        let record = self.record.clone();
        blocking("make its directory", move || {
            place.make()?;
            disk::write(&place.record(), &record, true)
        })
        .await?;
        self.post(TaskPhase::Preparing, None);
        may_begin(&self.machine, task)?;
        if let Some(digest) = &task.work.source {
            self.bring(digest, "its source", self.place.work()).await?;
        }
        for (name, digest) in &task.work.inputs {
            let transit = self.place.transit().join("input");
            self.bring(digest, &format!("artefact {name}"), transit.clone()).await?;
            let work = self.place.work();
            blocking("put its artefacts into the workspace", move || merge(&transit, &work))
                .await?;
        }
        let caches = self.bring_caches(task).await?;
        let orders = draft(&self.machine, &self.place, task, user);
        let (place, limits) = (self.place.clone(), task.work.limits.clone());
        blocking("hand its workspace over", move || {
            if let Some(user) = user {
                place.hand_over(user)?;
            }
            for file in [place.shim.state(), place.shim.verdict()] {
                let _ = fs::remove_file(file);
            }
            orders.group.make(&limits.resources, Some(limits.processes))?;
            orders.group.limit_cpu(Some(limits.resources.cpu.0));
            disk::write(&place.shim.orders(), &orders, true)
        })
        .await?;
        Ok(caches)
    }

    async fn bring_caches(
        &self,
        task: &Arc<AssignedTask>,
    ) -> Result<(Vec<String>, Vec<String>), Reason> {
        let (task, place) = (Arc::clone(task), self.place.clone());
        let caches = Caches::of(&self.machine.data, &task.work.cache_scope);
        blocking("bring its caches", move || {
            let (mut wanted, mut found) = (Vec::new(), Vec::new());
            // All keys first: what one cache brings does not count in another's.
            let keys = task.work.caches.iter().map(|c| cache::keys(c, &place.work()));
            for (key, or) in keys.collect::<io::Result<Vec<_>>>()? {
                let transit = place.transit().join("cache");
                if let Some(key) = caches.bring(&key, &or, &transit)? {
                    merge(&transit, &place.work())?;
                    found.push(key);
                }
                wanted.push(key);
            }
            Ok((wanted, found))
        })
        .await
    }

    /// Fetches a package and unpacks it, waiting for a server that is away.
    async fn bring(&self, digest: &str, what: &str, into: PathBuf) -> Result<(), Reason> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let packages = &self.machine.packages;
        loop {
            let fetched = packages.fetch(&self.machine.client(), digest).await;
            let done = match fetched {
                Ok(()) => packages.activate(digest, &into, false).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => return Ok(()),
                Err(PackageError::Client(error)) if passing(&error) => {
                    tracing::warn!(task = self.place.name(), what, %error, "it is tried again");
                    tokio::time::sleep(backoff.next_wait()).await;
                }
                Err(error) => return Err(not_fetched(what, &error)),
            }
        }
    }
}

fn not_fetched(what: &str, error: &PackageError) -> Reason {
    let code = match error {
        PackageError::Client(ClientError::NotFound(_)) => "package-missing",
        PackageError::Full { .. } => "disk-full",
        PackageError::Refused(_) => "package-refused",
        PackageError::Corrupt { .. } => "package-corrupt",
        _ => "fetch-failed",
    };
    Reason::new(code, format!("{what}: {error}"))
}

/// Whether the work can be kept apart from everything else, or need not be.
fn may_begin(machine: &Machine, task: &AssignedTask) -> Result<(), Reason> {
    let runs = !task.work.command.is_empty();
    if let Some(beside) = task.work.services.first() {
        let message = format!("this agent runs nothing beside a step: {}", beside.name);
        return Err(Reason::new("no-services", message).hint("start it in the script"));
    }
    if task.work.image.is_some() {
        let message = "this agent does no steps in containers";
        return Err(Reason::new("no-container", message).hint("leave image out"));
    }
    match sandbox::possible(&machine.data) {
        Err(why) if runs && !machine.bare_tasks => {
            let hint = "run the agent as root, or with --bare-steps where every step is trusted";
            Err(Reason::new("no-sandbox", format!("there can be no sandbox: {why}")).hint(hint))
        }
        _ => Ok(()),
    }
}

/// Puts what is in one directory into another. What is in its way goes; a link is never followed.
pub(super) fn merge(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let there = fs::symlink_metadata(&target).ok();
        if entry.file_type()?.is_dir() {
            if !there.as_ref().is_some_and(fs::Metadata::is_dir) {
                if there.is_some() {
                    fs::remove_file(&target)?;
                }
                fs::rename(entry.path(), &target)?;
                continue;
            }
            merge(&entry.path(), &target)?;
        } else {
            if there.is_some_and(|meta| meta.is_dir()) {
                remove(&target)?;
            }
            fs::rename(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The orders of the shim.
fn draft(machine: &Machine, place: &TaskPlace, task: &AssignedTask, user: Option<u32>) -> Orders {
    let work = &task.work;
    let apart = sandbox::possible(&machine.data).is_ok();
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let [workspace, home, tmp] = if apart {
        INSIDE.map(str::to_owned)
    } else {
        [text(place.work()), text(place.home()), text(place.tmp())]
    };
    let group = machine.group(&format!("task-{}", task.name));
    let mut env = BTreeMap::new();
    let own = |name: &str, usual: &str| {
        let value = std::env::var(name).ok().filter(|v| !v.is_empty());
        (name.to_owned(), value.unwrap_or_else(|| usual.to_owned()))
    };
    env.extend([own("PATH", PATH), own("LANG", "C.UTF-8")]);
    let facts = [
        ("HOME", home.as_str()),
        ("TMPDIR", &tmp),
        ("USER", "step"),
        ("CI", "true"),
        ("ATOLL_WORKSPACE", &workspace),
        ("ATOLL_TASK", &task.name),
        ("ATOLL_HOST", &machine.host),
    ];
    env.extend(facts.map(|(k, v)| (k.to_owned(), v.to_owned())));
    env.extend(work.env.clone());
    if group.dirs.is_empty() {
        // Tells whose a process is where there are no cgroups.
        env.insert(DATA_VARIABLE.to_owned(), text(place.home()));
    }
    let sandbox = apart.then(|| view(machine, place, &task.name));
    let dir = Path::new(&workspace).join(work.dir.as_deref().unwrap_or_default());
    Orders {
        release: task.name.clone(),
        launch: Launch {
            command: work.command.clone(),
            env,
            dir,
            user,
            cgroups: group.entrances(),
        },
        group,
        stop_signal: "TERM".to_owned(),
        grace: work.limits.grace,
        backoff: Span(0),
        longest_backoff: Span(0),
        // It is bounded before it is written, and never turned.
        log_size: u64::MAX,
        log_files: 1,
        once: Some(Once {
            sandbox,
            timeout: work.limits.timeout,
            log_bound: work.limits.log.0.min(LONGEST_LOG),
            secrets: !work.secrets.is_empty(),
        }),
        container: None,
    }
}

fn view(machine: &Machine, place: &TaskPlace, name: &str) -> Sandbox {
    let [workspace, home, tmp] = INSIDE.map(PathBuf::from);
    let (passwd, group) = place.accounts();
    let mut visible = machine.task_paths.clone();
    // Where names are looked up may be written down elsewhere.
    visible.extend(fs::canonicalize("/etc/resolv.conf").ok());
    let host: String = name.chars().map(|c| if c == '.' { '-' } else { c }).take(63).collect();
    Sandbox {
        root: place.root(),
        name: host,
        visible,
        hidden: vec![machine.data.clone()],
        replaced: vec![(passwd, "/etc/passwd".into()), (group, "/etc/group".into())],
        writable: vec![(place.work(), workspace), (place.home(), home), (place.tmp(), tmp)],
    }
}

/// Whether the values of all secrets are at hand. Those of a task found on the disk are not, until
/// a server is heard.
pub(super) fn has_secrets(record: &Record, task: &AssignedTask) -> bool {
    record.task.work.secrets.keys().all(|name| task.secrets.contains_key(name))
}
