//! Cgroups, written directly: version 2 where it is there with its controllers, version 1
//! otherwise, none where neither may be written. Not what is put into them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use atoll_model::run::Resources;
use serde::{Deserialize, Serialize};

use crate::runtime::process::Process;

const ROOT: &str = "/sys/fs/cgroup";
/// Processes and threads one instance may have: far more than any needs, and few enough that a
/// fork bomb harms nobody else.
const MOST_TASKS: u64 = 8192;
/// The period cpu quotas are counted in, in microseconds.
const PERIOD: u64 = 100_000;

/// Which cgroups this machine lets us use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One hierarchy: the directory instances get theirs in.
    V2(PathBuf),
    /// A directory in the hierarchy of each controller there is.
    V1(Vec<PathBuf>),
    /// None; the reason for people.
    None(String),
}

/// The cgroup of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its directories: one, or with version 1 one per controller; empty where there are none.
    pub dirs: Vec<PathBuf>,
}

impl Layout {
    /// Looks what is there, and makes the directory all instances' groups lie in.
    pub fn detect() -> Layout {
        Layout::detect_in(Path::new(ROOT))
    }

    fn detect_in(root: &Path) -> Layout {
        if root.join("cgroup.controllers").exists() {
            return match v2(root) {
                Ok(dir) => Layout::V2(dir),
                Err(why) => Layout::None(why),
            };
        }
        let make = |controller: &&str| {
            let dir = root.join(controller).join("atoll");
            let there = root.join(controller).join("cgroup.procs").exists();
            (there && open(&dir).is_ok()).then_some(dir)
        };
        let dirs: Vec<PathBuf> = ["memory", "cpu", "pids"].iter().filter_map(make).collect();
        if dirs.is_empty() {
            return Layout::None(format!("nothing below {} may be written", root.display()));
        }
        Layout::V1(dirs)
    }

    /// The word for it among the facts of a host.
    pub fn fact(&self) -> &'static str {
        match self {
            Layout::V2(_) => "cgroup-v2",
            Layout::V1(_) => "cgroup-v1",
            Layout::None(_) => "no-cgroup",
        }
    }

    /// The group of that name, which need not exist yet.
    pub fn group(&self, name: &str) -> Group {
        let dirs = match self {
            Layout::V2(dir) => vec![dir.join(name)],
            Layout::V1(dirs) => dirs.iter().map(|d| d.join(name)).collect(),
            Layout::None(_) => Vec::new(),
        };
        Group { dirs }
    }
}

/// Makes a directory for groups; one that was made by somebody else must be open to us too.
fn open(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    Ok(nix::unistd::access(dir, nix::unistd::AccessFlags::W_OK)?)
}

fn v2(root: &Path) -> Result<PathBuf, String> {
    let dir = root.join("atoll");
    let failed = |e: io::Error| format!("{}: {e}", dir.display());
    open(&dir).map_err(failed)?;
    for above in [root, &dir] {
        let path = above.join("cgroup.subtree_control");
        fs::write(&path, "+memory +cpu +pids").map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(dir)
}

/// How often bounds were met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Denied {
    /// Something was killed for want of memory.
    pub memory: u64,
    /// A process or a thread was not let begin.
    pub processes: u64,
}

impl Group {
    /// The group somebody else has put a process into.
    pub fn of(pid: i32) -> Group {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let dirs = text.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controller, path) = (fields.next()?, fields.next()?, fields.next()?);
            // The root is everybody's.
            let path = path.strip_prefix('/').filter(|path| !path.is_empty())?;
            let wanted = controller.is_empty()
                || controller.split(',').any(|c| ["memory", "cpu", "pids"].contains(&c));
            let dir = Path::new(ROOT).join(controller).join(path);
            (wanted && dir.join("cgroup.procs").exists()).then_some(dir)
        });
        Group { dirs: dirs.collect() }
    }

    /// Makes it, with the limits of an instance, or with so many processes and threads. Processor
    /// time is only weighed against others' so far; see [`Group::limit_cpu`].
    ///
    /// # Errors
    /// When it cannot be made or the memory cannot be limited.
    pub fn make(&self, resources: &Resources, processes: Option<u32>) -> io::Result<()> {
        let most = processes.map_or(MOST_TASKS, u64::from);
        for dir in &self.dirs {
            fs::create_dir_all(dir)?;
            let memory = resources.memory.0.to_string();
            first(dir, &["memory.max", "memory.limit_in_bytes"], &memory)?;
            first(dir, &["memory.swap.max"], "0")?;
            first(dir, &["pids.max"], &most.to_string())?;
            // 100 and 1024 stand for one whole core's worth of weight.
            let milli = resources.cpu.0;
            if dir.join("cpu.weight").exists() {
                let weight = (milli / 10).clamp(1, 10_000).to_string();
                fs::write(dir.join("cpu.weight"), weight)?;
            } else {
                let shares = (milli * 1024 / 1000).clamp(2, 262_144).to_string();
                first(dir, &["cpu.shares"], &shares)?;
            }
        }
        Ok(())
    }

    /// Bounds processor time to so many thousandths of a core, or not at all. A start costs far
    /// more than what follows, so the bound holds from when an instance has become ready.
    pub fn limit_cpu(&self, milli: Option<u64>) {
        let quota = milli.map(|m| (m * PERIOD / 1000).max(1000));
        for dir in &self.dirs {
            let v2 = quota.map_or("max".to_owned(), |q| q.to_string());
            let v1 = quota.map_or("-1".to_owned(), |q| q.to_string());
            // The group may have gone meanwhile, and the bound with it.
            let _ = first(dir, &["cpu.max"], &format!("{v2} {PERIOD}"));
            let _ = first(dir, &["cpu.cfs_quota_us"], &v1);
        }
    }

    /// The files through which a process joins it.
    pub fn entrances(&self) -> Vec<PathBuf> {
        self.dirs.iter().map(|d| d.join("cgroup.procs")).collect()
    }

    /// Everything in it.
    pub fn members(&self) -> Vec<Process> {
        let text = |dir: &PathBuf| fs::read_to_string(dir.join("cgroup.procs")).ok();
        let mut pids: Vec<i32> = self
            .dirs
            .iter()
            .filter_map(text)
            .flat_map(|t| t.lines().filter_map(|l| l.parse().ok()).collect::<Vec<i32>>())
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids.into_iter().filter_map(Process::of).collect()
    }

    /// What its bounds have kept from those in it until now.
    pub fn denied(&self) -> Denied {
        Denied {
            memory: self.counted(&["memory.events", "memory.oom_control"], "oom_kill "),
            processes: self.counted(&["pids.events"], "max "),
        }
    }

    fn counted(&self, files: &[&str], name: &str) -> u64 {
        let count = |dir: &PathBuf| {
            files.iter().find_map(|file| {
                let text = fs::read_to_string(dir.join(file)).ok()?;
                let line = text.lines().find_map(|l| l.strip_prefix(name))?;
                line.trim().parse::<u64>().ok()
            })
        };
        self.dirs.iter().filter_map(count).max().unwrap_or(0)
    }

    /// Kills everything in it at once, where the kernel can.
    pub fn kill(&self) {
        for dir in &self.dirs {
            // Older kernels have no such file; then each member is killed by itself.
            let _ = first(dir, &["cgroup.kill"], "1");
        }
    }

    /// Takes it away. It must be empty; what cannot be removed now is found again by its name.
    pub fn remove(&self) {
        for dir in &self.dirs {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Writes to the first of the files that exists; none is no error.
fn first(dir: &Path, files: &[&str], text: &str) -> io::Result<()> {
    match files.iter().map(|f| dir.join(f)).find(|p| p.exists()) {
        Some(path) => fs::write(path, text),
        None => Ok(()),
    }
}
