//! Making a task's workspace, and the orders its shim is started with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Backoff, ClientError, PackageError};
use atoll_model::agent::AssignedTask;
use atoll_model::ci::step::Limits;
use atoll_model::ci::task::TaskPhase;
use atoll_model::{Reason, Span};

use super::beside;
use super::cache::{self, Caches};
use super::contain::{self, Contained};
use super::decide::{Conclusion, Record, Stage, lost};
use super::host::{self, Person};
use super::place::{TaskPlace, remove};
use super::{Doer, blocking};
use crate::disk;
use crate::join::passing;
use crate::machine::Machine;
use crate::runtime::cgroup::Group;
use crate::runtime::launch::{DATA_VARIABLE, Launch, PATH};
use crate::runtime::orders::{Once, Orders};
use crate::runtime::sandbox::{self, Sandbox};

/// Where the task finds its workspace, its home and its temporary files in a sandbox.
const INSIDE: [&str; 3] = ["/workspace", "/home", "/tmp"];
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
                let phase = match reason.code.as_str() {
                    // It would be so again; nothing was lost.
                    "no-such-user" | "not-root" => TaskPhase::Failed,
                    _ => TaskPhase::Lost,
                };
                let end = Conclusion { phase, reasons: vec![reason], ..lost("", "") };
                self.enter(Stage::Ended(end));
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
        let images = self.bring_images(task).await?;
        let ports = beside::ports(&task.work.services)?;
        let told = beside::told(&task.work, &ports);
        let image = task.work.image.as_ref().and_then(|image| images.get(image));
        let program = Program {
            place: &self.place,
            work: self.place.work(),
            group: format!("task-{}", task.name),
            host: &task.name,
            command: &task.work.command,
            env: [told, task.work.env.clone()].into_iter().flatten().collect(),
            dir: task.work.dir.as_deref(),
            timeout: task.work.limits.timeout,
            secrets: !task.work.secrets.is_empty(),
        };
        let person = task.work.run_as.as_deref().map(Person::of).transpose()?;
        let contained = image.map(|image| Contained { image, alias: None, ports: BTreeMap::new() });
        let closed = contained.is_some();
        let step = match &person {
            Some(person) => host::draft(&self.machine, task, &program, person),
            None => draft(&self.machine, task, user, program, contained),
        };
        let step = (self.place.clone(), step);
        let others = beside::draft(&self.machine, &self.place, task, user, &images, &ports);
        let limits = task.work.limits.clone();
        blocking("hand its workspace over", move || {
            if closed {
                // A container may be root's own: what it leaves in there is nobody's on this host.
                step.0.close()?;
            }
            for (place, _) in &others {
                place.make()?;
            }
            for (place, orders) in others.iter().chain([&step]) {
                hand_over(place, orders, &limits)?;
            }
            Ok(())
        })
        .await?;
        Ok(caches)
    }

    async fn bring_caches(
        &self,
        task: &Arc<AssignedTask>,
    ) -> Result<(Vec<String>, Vec<String>), Reason> {
        let (same, work) = (Arc::clone(task), self.place.work());
        // All keys first: what one cache brings does not count in another's.
        let keys = blocking("work out the keys of its caches", move || {
            same.work.caches.iter().map(|c| cache::keys(c, &work)).collect::<io::Result<Vec<_>>>()
        });
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        for (key, or) in keys.await? {
            found.extend(self.bring_cache(&task.work.cache_scope, &key, or).await?);
            wanted.push(key);
        }
        Ok((wanted, found))
    }

    /// Brings one cache: from this host, unless the server has what was asked for and this host
    /// only something that begins like it.
    async fn bring_cache(
        &self,
        scope: &str,
        key: &str,
        or: Vec<String>,
    ) -> Result<Option<String>, Reason> {
        let caches = Caches::of(&self.machine.data, scope);
        let (transit, work) = (self.place.transit().join("cache"), self.place.work());
        let here = caches.find(key, &or);
        if here.as_deref() != Some(key)
            && let Ok(there) = self.machine.client().find_cache(scope, key, &or).await
            && (there.key == key || here.is_none())
        {
            match self.bring(&there.digest, &format!("cache {key}"), transit.clone()).await {
                Ok(()) => {
                    let what = "put a cache into the workspace";
                    blocking(what, move || merge(&transit, &work)).await?;
                    return Ok(Some(there.key));
                }
                // A step does without.
                Err(reason) => tracing::warn!(task = self.place.name(), %reason, "it is left out"),
            }
        }
        let key = key.to_owned();
        blocking("bring its caches", move || {
            let found = caches.bring(&key, &or, &transit)?;
            if found.is_some() {
                merge(&transit, &work)?;
            }
            Ok(found)
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
        PackageError::Client(client) if client.code() == "damaged" => "package-damaged",
        PackageError::Full { .. } => "disk-full",
        PackageError::Refused(_) => "package-refused",
        PackageError::Corrupt { .. } => "package-corrupt",
        _ => "fetch-failed",
    };
    Reason::new(code, format!("{what}: {error}"))
}

/// Gives directories to their user, and writes the orders down.
fn hand_over(place: &TaskPlace, orders: &Orders, limits: &Limits) -> io::Result<()> {
    let own = orders.launch.groups.is_empty();
    if let Some(user) = orders.launch.user.filter(|_| own) {
        place.hand_over(user)?;
    }
    for file in [place.shim.state(), place.shim.verdict()] {
        let _ = fs::remove_file(file);
    }
    orders.group.make(&limits.resources, Some(limits.processes))?;
    orders.group.limit_cpu(Some(limits.resources.cpu.0));
    disk::write(&place.shim.orders(), orders, true)
}

/// Whether the work can be kept apart from everything else, or need not be.
fn may_begin(machine: &Machine, task: &AssignedTask) -> Result<(), Reason> {
    let mut beside = task.work.services.iter().map(|beside| &beside.image);
    let on_host = task.work.run_as.is_some();
    let apart = !on_host && task.work.image.is_none() || beside.any(Option::is_none);
    let runs = !task.work.command.is_empty() && apart;
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

/// A program of a task: the step itself, or something beside it.
pub(super) struct Program<'a> {
    /// Where its shim lives, and its home and temporary files are.
    pub place: &'a TaskPlace,
    /// The workspace it sees.
    pub work: PathBuf,
    /// What its cgroup is called.
    pub group: String,
    /// The name of the host it sees.
    pub host: &'a str,
    /// The program and its arguments.
    pub command: &'a [String],
    /// What it is told besides what every program of a task is.
    pub env: BTreeMap<String, String>,
    /// The directory in the workspace it starts in.
    pub dir: Option<&'a str>,
    /// It may take so long.
    pub timeout: Span,
    /// Whether values of secrets come later.
    pub secrets: bool,
}

/// The orders of whatever supervises a program.
pub(super) fn draft(
    machine: &Machine,
    task: &AssignedTask,
    user: Option<u32>,
    program: Program<'_>,
    contained: Option<Contained<'_>>,
) -> Orders {
    if let Some(contained) = contained {
        return contain::draft(machine, task, program, contained);
    }
    let apart = sandbox::possible(&machine.data).is_ok();
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let place = program.place;
    let dirs = if apart {
        INSIDE.map(str::to_owned)
    } else {
        [text(program.work.clone()), text(place.home()), text(place.tmp())]
    };
    let group = machine.group(&program.group);
    let mut env = environment(machine, task, &dirs);
    env.extend(program.env.clone());
    env.extend(mark(&group, place));
    let sandbox = apart.then(|| view(machine, place, program.work.clone(), program.host));
    let launch = Launch {
        command: program.command.to_vec(),
        env,
        dir: Path::new(&dirs[0]).join(program.dir.unwrap_or_default()),
        user,
        groups: Vec::new(),
        cgroups: group.entrances(),
    };
    orders(task, launch, group, sandbox, &program)
}

/// What all orders of the programs of a task have in common.
pub(super) fn orders(
    task: &AssignedTask,
    launch: Launch,
    group: Group,
    sandbox: Option<Sandbox>,
    program: &Program<'_>,
) -> Orders {
    let limits = &task.work.limits;
    Orders {
        release: task.name.clone(),
        launch,
        group,
        stop_signal: "TERM".to_owned(),
        grace: limits.grace,
        backoff: Span(0),
        longest_backoff: Span(0),
        // It is bounded before it is written, and never turned.
        log_size: u64::MAX,
        log_files: 1,
        once: Some(Once {
            sandbox,
            timeout: program.timeout,
            log_bound: limits.log.0.min(LONGEST_LOG),
            secrets: program.secrets,
        }),
        container: None,
    }
}

/// What every program of a task is told, with its workspace, home and temporary files.
fn environment(
    machine: &Machine,
    task: &AssignedTask,
    [workspace, home, tmp]: &[String; 3],
) -> BTreeMap<String, String> {
    let facts = [
        ("HOME", home.as_str()),
        ("TMPDIR", tmp),
        ("USER", "step"),
        ("CI", "true"),
        ("ATOLL_WORKSPACE", workspace),
        ("ATOLL_TASK", &task.name),
        ("ATOLL_HOST", &machine.host),
    ];
    let facts = facts.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let (name, path) = own_variable("PATH", PATH);
    let usual = [(name, seen_there(&path, &machine.task_paths)), own_variable("LANG", "C.UTF-8")];
    usual.into_iter().chain(facts).collect()
}

/// Of the directories programs are looked for in, those a step sees; the usual ones, if it sees
/// none. What comes of a step then does not depend on who started the agent.
fn seen_there(path: &str, visible: &[PathBuf]) -> String {
    let seen = |dir: &&str| visible.iter().any(|root| Path::new(dir).starts_with(root));
    let seen: Vec<&str> = path.split(':').filter(seen).collect();
    if seen.is_empty() { PATH.to_owned() } else { seen.join(":") }
}

/// Tells whose a process is where there are no cgroups.
pub(super) fn mark(group: &Group, place: &TaskPlace) -> Option<(String, String)> {
    let home = place.home().to_string_lossy().into_owned();
    group.dirs.is_empty().then(|| (DATA_VARIABLE.to_owned(), home))
}

/// A variable as the agent itself has it, or what it usually is.
pub(super) fn own_variable(name: &str, usual: &str) -> (String, String) {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    (name.to_owned(), value.unwrap_or_else(|| usual.to_owned()))
}

fn view(machine: &Machine, place: &TaskPlace, work: PathBuf, name: &str) -> Sandbox {
    let [workspace, home, tmp] = INSIDE.map(PathBuf::from);
    let (passwd, group) = place.accounts();
    let mut visible = machine.task_paths.clone();
    // A link alone is of no use without what it leads to.
    let led_to = |path: &PathBuf| fs::canonicalize(path).ok().filter(|to| to != path);
    visible.extend(machine.task_paths.iter().filter_map(led_to));
    // Where names are looked up may be written down elsewhere.
    visible.extend(fs::canonicalize("/etc/resolv.conf").ok());
    let host: String = name.chars().map(|c| if c == '.' { '-' } else { c }).take(63).collect();
    Sandbox {
        root: place.root(),
        name: host,
        visible,
        hidden: vec![machine.data.clone()],
        replaced: vec![(passwd, "/etc/passwd".into()), (group, "/etc/group".into())],
        writable: vec![(work, workspace), (place.home(), home), (place.tmp(), tmp)],
    }
}

/// Whether the values of all secrets are at hand. Those of a task found on the disk are not, until
/// a server is heard.
pub(super) fn has_secrets(record: &Record, task: &AssignedTask) -> bool {
    record.task.work.secrets.keys().all(|name| task.secrets.contains_key(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_looks_for_programs_where_it_sees_any() {
        let visible = ["/usr", "/bin", "/opt/rust"].map(PathBuf::from);
        let path = "/root/.cargo/bin:/usr/bin:/bin:/opt/rust/bin:/usrlocal";
        assert_eq!(seen_there(path, &visible), "/usr/bin:/bin:/opt/rust/bin");
        assert_eq!(seen_there("/root/bin", &visible), PATH);
    }
}
