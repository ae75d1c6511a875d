//! What a cgroup counts, and what is counted by looking at processes one by one.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::OnceLock;

use crate::collect::host::TICKS;
use crate::runtime::cgroup;
use crate::runtime::process::Stat;

/// Bytes of a page: what Linux has on all machines we build for.
const PAGE: u64 = 4096;

/// Memory in bytes.
pub struct Memory {
    /// All that is charged.
    pub usage: f64,
    /// Without what can be had back at once.
    pub working_set: f64,
    /// Without files.
    pub rss: f64,
    /// Of files.
    pub cache: Option<f64>,
}

/// What a cgroup counts itself; none, where it does not.
#[derive(Default)]
pub struct Group {
    /// Seconds of processor time: all, by the programs, by the kernel.
    pub cpu: Option<[f64; 3]>,
    /// Periods, throttled periods, throttled seconds.
    pub throttled: Option<[f64; 3]>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Resources, and the text of their pressure.
    pub pressure: Vec<(&'static str, String)>,
}

impl Group {
    /// Reads it.
    pub fn read(group: &cgroup::Group) -> Group {
        let mut counts = Group::default();
        for dir in &group.dirs {
            let text = |file: &str| fs::read_to_string(dir.join(file)).ok();
            let number = |file: &str| text(file)?.trim().parse::<f64>().ok();
            if let Some(stat) = text("cpu.stat") {
                counts.take_cpu(&stat);
            }
            let usage = number("memory.current").or_else(|| number("memory.usage_in_bytes"));
            if let (Some(usage), Some(stat)) = (usage, text("memory.stat")) {
                counts.memory = Some(memory(usage, &stat));
            }
            for resource in ["cpu", "io", "memory"] {
                let text = text(&format!("{resource}.pressure"));
                counts.pressure.extend(text.map(|text| (resource, text)));
            }
        }
        counts
    }

    /// `cpu.stat`: version 2 counts in microseconds and knows what was used; version 1 counts in
    /// nanoseconds and knows only what was withheld.
    fn take_cpu(&mut self, stat: &str) {
        let value = |key: &str| field(stat, key);
        if let Some(used) = value("usage_usec") {
            let part = |key| value(key).unwrap_or_default() / 1e6;
            self.cpu = Some([used / 1e6, part("user_usec"), part("system_usec")]);
        }
        if let (Some(periods), Some(throttled)) = (value("nr_periods"), value("nr_throttled")) {
            let seconds = value("throttled_usec").map(|t| t / 1e6);
            let seconds = seconds.or_else(|| value("throttled_time").map(|t| t / 1e9));
            self.throttled = Some([periods, throttled, seconds.unwrap_or_default()]);
        }
    }
}

fn memory(usage: f64, stat: &str) -> Memory {
    // In version 1 only the totals hold what is in groups below.
    let value = |names: [&str; 2]| names.iter().find_map(|name| field(stat, name));
    let inactive = value(["total_inactive_file", "inactive_file"]).unwrap_or_default();
    Memory {
        usage,
        working_set: (usage - inactive).max(0.0),
        rss: value(["total_rss", "anon"]).unwrap_or_default(),
        cache: value(["total_cache", "file"]),
    }
}

fn field(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// The processes in a group; none, where there is no group.
pub fn members(group: &cgroup::Group) -> Option<Vec<i32>> {
    let text = fs::read_to_string(group.dirs.first()?.join("cgroup.procs")).ok()?;
    Some(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// A process, those below it, and those of its process group.
pub fn tree(all: &[Stat], root: i32) -> Vec<i32> {
    let mut known = BTreeSet::from([root]);
    loop {
        let before = known.len();
        let ours = |s: &&Stat| known.contains(&s.parent) || s.group == root;
        let more: Vec<i32> = all.iter().filter(ours).map(|s| s.process.pid).collect();
        known.extend(more);
        if known.len() == before {
            return known.into_iter().collect();
        }
    }
}

/// What the processes of an instance have used. What those that ended had used stays counted as
/// far as it was seen, so that the sums never fall.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Seconds of processor time of the programs.
    pub user: f64,
    /// Seconds of processor time of the kernel for them.
    pub system: f64,
    /// Bytes in memory now.
    pub resident: f64,
    /// Processes now.
    pub processes: usize,
    /// Threads now.
    pub threads: u64,
    /// Open files now.
    pub descriptors: u64,
    read: f64,
    written: f64,
    knows_disk: bool,
    last: HashMap<(i32, u64), Counted>,
}

/// What one process has used up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counted {
    user: u64,
    system: u64,
    read: u64,
    written: u64,
}

impl Ledger {
    /// Looks at the processes.
    pub fn look(&mut self, pids: &[i32]) {
        let mut last = HashMap::with_capacity(pids.len());
        (self.resident, self.processes, self.threads, self.descriptors) = (0.0, 0, 0, 0);
        for pid in pids {
            let text = |file: &str| fs::read(format!("/proc/{pid}/{file}")).ok();
            let Some(stat) = text("stat").and_then(|text| parse(&text)) else { continue };
            let disk = text("io").map(|text| parse_io(&String::from_utf8_lossy(&text)));
            self.knows_disk |= disk.is_some();
            self.processes += 1;
            self.threads += stat.threads;
            self.resident += (stat.pages * PAGE) as f64;
            self.descriptors += open_files(*pid);
            let (read, written) = disk.unwrap_or_default();
            let now = Counted { user: stat.user, system: stat.system, read, written };
            let key = (*pid, stat.start);
            // What one used before this agent began an earlier agent has counted: as if it had
            // begun now, so that no rate shows it again.
            let unseen = || if stat.start < own_start() { now } else { Counted::default() };
            self.add(self.last.get(&key).copied().unwrap_or_else(unseen), now);
            last.insert(key, now);
        }
        self.last = last;
    }

    /// Bytes read from and written to disks, where the kernel lets us know.
    pub fn disk(&self) -> Option<(f64, f64)> {
        self.knows_disk.then_some((self.read, self.written))
    }

    fn add(&mut self, before: Counted, now: Counted) {
        let more = |now: u64, before: u64| now.saturating_sub(before) as f64;
        self.user += more(now.user, before.user) / TICKS;
        self.system += more(now.system, before.system) / TICKS;
        self.read += more(now.read, before.read);
        self.written += more(now.written, before.written);
    }
}

/// When this process started, in ticks since the boot.
fn own_start() -> u64 {
    static START: OnceLock<u64> = OnceLock::new();
    *START.get_or_init(|| {
        let own = fs::read("/proc/self/stat").ok().and_then(|text| parse(&text));
        own.map_or(0, |own| own.start)
    })
}

/// What `/proc/PID/stat` says of use.
#[derive(Debug, PartialEq)]
pub struct Use {
    /// Ticks of the program.
    pub user: u64,
    /// Ticks of the kernel for it.
    pub system: u64,
    /// Threads.
    pub threads: u64,
    /// When it started, in ticks since the boot.
    pub start: u64,
    /// Pages in memory.
    pub pages: u64,
}

/// Reads `/proc/PID/stat`.
pub fn parse(text: &[u8]) -> Option<Use> {
    // The name before the last bracket may hold anything.
    let rest = &text[text.iter().rposition(|b| *b == b')')? + 1..];
    let words: Vec<&str> = std::str::from_utf8(rest).ok()?.split_ascii_whitespace().collect();
    let number = |at: usize| words.get(at)?.parse().ok();
    Some(Use {
        user: number(11)?,
        system: number(12)?,
        threads: number(17)?,
        start: number(19)?,
        pages: number(21)?,
    })
}

/// Bytes read and written, of `/proc/PID/io`.
fn parse_io(text: &str) -> (u64, u64) {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
    };
    (value("read_bytes:"), value("write_bytes:"))
}

/// Open files of a process. Newer kernels tell the count as the size of the directory.
pub fn open_files(pid: i32) -> u64 {
    let dir = format!("/proc/{pid}/fd");
    match fs::metadata(&dir) {
        Ok(meta) if meta.len() > 0 => meta.len(),
        _ => fs::read_dir(&dir).map_or(0, |entries| entries.count() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::process::Process;

    #[test]
    fn use_is_read_whatever_the_name() {
        let text = b"42 (a) S (b) R 7 8 9 0 -1 4194304 1 0 0 0 20 30 0 0 20 0 4 0 12345 100 55";
        let found = parse(text).unwrap();
        assert_eq!(found, Use { user: 20, system: 30, threads: 4, start: 12345, pages: 55 });
        assert_eq!(parse(b"42 (x) S 7"), None);
        let text = "rchar: 9\nread_bytes: 4096\nwrite_bytes: 12\ncancelled_write_bytes: 5\n";
        assert_eq!(parse_io(text), (4096, 12));
    }

    #[test]
    fn sums_never_fall_when_processes_end() {
        let mut ledger = Ledger::default();
        let counted = |user| Counted { user, ..Counted::default() };
        ledger.add(counted(0), counted(150));
        ledger.add(counted(150), counted(250));
        ledger.add(counted(0), counted(50));
        assert_eq!(ledger.user, 3.0);
    }

    #[test]
    fn this_process_is_seen() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut ledger = Ledger::default();
        ledger.look(&[own, i32::MAX]);
        assert_eq!(ledger.processes, 1);
        assert!(ledger.resident > 0.0 && ledger.threads > 0 && ledger.descriptors > 2);
    }

    #[test]
    fn what_was_used_before_this_process_is_not_counted_again() {
        // Process 1 is older than any test, and has used some time.
        let first = parse(&fs::read("/proc/1/stat").unwrap()).unwrap();
        let mut ledger = Ledger::default();
        ledger.look(&[1]);
        assert!(first.user + first.system > 0 && ledger.processes == 1);
        assert!(ledger.user + ledger.system < (first.user + first.system) as f64 / TICKS);
    }

    #[test]
    fn both_versions_of_cgroups_are_understood() {
        let mut group = Group::default();
        group.take_cpu("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n");
        assert_eq!((group.cpu, group.throttled), (Some([2.5, 2.0, 0.5]), None));
        group.take_cpu("nr_periods 10\nnr_throttled 3\nthrottled_time 1500000000\n");
        assert_eq!(group.throttled, Some([10.0, 3.0, 1.5]));
        let v2 = memory(100.0, "anon 60\nfile 30\ninactive_file 20\n");
        assert_eq!((v2.working_set, v2.rss, v2.cache), (80.0, 60.0, Some(30.0)));
        let v1 = memory(
            100.0,
            "cache 1\nrss 2\ninactive_file 3\ntotal_rss 50\n\
                                total_cache 40\ntotal_inactive_file 10\n",
        );
        assert_eq!((v1.working_set, v1.rss, v1.cache), (90.0, 50.0, Some(40.0)));
    }

    #[test]
    fn a_tree_holds_children_and_the_group() {
        let stat = |pid, parent, group| Stat {
            process: Process { pid, start: 1 },
            parent,
            group,
            zombie: false,
        };
        let all = [stat(1, 0, 1), stat(5, 1, 5), stat(6, 5, 6), stat(7, 6, 7), stat(9, 1, 5)];
        assert_eq!(tree(&all, 5), [5, 6, 7, 9]);
        assert_eq!(tree(&all, 7), [7]);
    }
}
