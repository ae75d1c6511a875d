//! Processor time, memory, load and pressure, from the texts of the kernel. It opens no file.

use super::{Put, TICKS};

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// `/proc/stat`.
pub fn stat(text: &str, put: &mut Put<'_>) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(key) = words.next() else { continue };
        if let Some(cpu) = key.strip_prefix("cpu").filter(|cpu| !cpu.is_empty()) {
            for (mode, ticks) in MODES.iter().zip(words) {
                let Ok(ticks) = ticks.parse::<f64>() else { continue };
                let labels = [("cpu", cpu), ("mode", *mode)];
                put("node_cpu_seconds_total", &labels, ticks / TICKS);
            }
            continue;
        }
        let name = match key {
            "intr" => "node_intr_total",
            "ctxt" => "node_context_switches_total",
            "btime" => "node_boot_time_seconds",
            "processes" => "node_forks_total",
            "procs_running" => "node_procs_running",
            "procs_blocked" => "node_procs_blocked",
            _ => continue,
        };
        if let Some(value) = words.next().and_then(|w| w.parse().ok()) {
            put(name, &[], value);
        }
    }
}

/// `/proc/meminfo`.
pub fn memory(text: &str, put: &mut Put<'_>) {
    let mut name = String::new();
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        let Some(value) = words.next().and_then(|w| w.parse::<f64>().ok()) else { continue };
        let in_kib = words.next() == Some("kB");
        name.clear();
        name.push_str("node_memory_");
        // `Active(anon)` is `Active_anon`.
        name.extend(key.chars().filter(|c| *c != ')').map(|c| if c == '(' { '_' } else { c }));
        if in_kib {
            name.push_str("_bytes");
        }
        put(&name, &[], if in_kib { value * 1024.0 } else { value });
    }
}

/// `/proc/loadavg`.
pub fn load(text: &str, put: &mut Put<'_>) {
    let names = ["node_load1", "node_load5", "node_load15"];
    for (name, word) in names.into_iter().zip(text.split_ascii_whitespace()) {
        if let Ok(value) = word.parse() {
            put(name, &[], value);
        }
    }
}

/// `/proc/vmstat`, of which paging, swapping, faults and kills for want of memory are told.
pub fn vmstat(text: &str, put: &mut Put<'_>) {
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else { continue };
        let name = match key {
            "oom_kill" => "node_vmstat_oom_kill",
            "pgpgin" => "node_vmstat_pgpgin",
            "pgpgout" => "node_vmstat_pgpgout",
            "pswpin" => "node_vmstat_pswpin",
            "pswpout" => "node_vmstat_pswpout",
            "pgfault" => "node_vmstat_pgfault",
            "pgmajfault" => "node_vmstat_pgmajfault",
            _ => continue,
        };
        if let Ok(value) = value.trim().parse() {
            put(name, &[], value);
        }
    }
}

/// `/proc/sys/fs/file-nr`.
pub fn open_files(text: &str, put: &mut Put<'_>) {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    if let (Some(Ok(open)), _, Some(Ok(most))) = (numbers.next(), numbers.next(), numbers.next()) {
        put("node_filefd_allocated", &[], open);
        put("node_filefd_maximum", &[], most);
    }
}

/// A file of pressure, of the host or of a cgroup: how long some, or all, waited for a resource.
/// A whole host cannot want for processor time, so there is no such series.
pub fn pressure(prefix: &str, resource: &str, text: &str, put: &mut Put<'_>) {
    for line in text.lines() {
        let what = match line.split(' ').next() {
            Some("some") => "waiting",
            Some("full") if resource != "cpu" || prefix != "node_pressure" => "stalled",
            _ => continue,
        };
        let total = line.rsplit_once("total=").and_then(|(_, total)| total.trim().parse().ok());
        let Some(microseconds) = total else { continue };
        let seconds: f64 = microseconds;
        put(&format!("{prefix}_{resource}_{what}_seconds_total"), &[], seconds / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::host::tests::told;

    #[test]
    fn processors_are_told_one_by_one() {
        let text = "cpu  9 9 9 9\ncpu0 100 2 3 4 5 6 7 8 9 10\ncpu12 1 0 0 50\nintr 7 1 2\n\
                    ctxt 11\nbtime 1700000000\nprocesses 13\nprocs_running 2\nprocs_blocked 0\n";
        let lines = told(|put| stat(text, put));
        assert_eq!(lines[0], "node_cpu_seconds_total{cpu=0,mode=user} 1");
        assert_eq!(lines[7], "node_cpu_seconds_total{cpu=0,mode=steal} 0.08");
        assert_eq!(lines[11], "node_cpu_seconds_total{cpu=12,mode=idle} 0.5");
        assert_eq!(lines[12..14], ["node_intr_total{} 7", "node_context_switches_total{} 11"]);
        assert_eq!(lines.last().unwrap(), "node_procs_blocked{} 0");
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let text = "MemTotal:  16 kB\nActive(anon): 1 kB\nHugePages_Total:   5\nbad\nX: y kB\n";
        assert_eq!(
            told(|put| memory(text, put)),
            [
                "node_memory_MemTotal_bytes{} 16384",
                "node_memory_Active_anon_bytes{} 1024",
                "node_memory_HugePages_Total{} 5",
            ]
        );
    }

    #[test]
    fn load_pressure_and_files_are_told() {
        let lines = told(|put| load("0.50 1.25 2.00 1/300 4242\n", put));
        assert_eq!(lines, ["node_load1{} 0.5", "node_load5{} 1.25", "node_load15{} 2"]);
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n";
        assert_eq!(
            told(|put| pressure("node_pressure", "io", text, put)),
            [
                "node_pressure_io_waiting_seconds_total{} 2.5",
                "node_pressure_io_stalled_seconds_total{} 0.5",
            ]
        );
        assert_eq!(told(|put| pressure("node_pressure", "cpu", text, put)).len(), 1);
        let lines = told(|put| open_files("1024\t0\t9223\n", put));
        assert_eq!(lines, ["node_filefd_allocated{} 1024", "node_filefd_maximum{} 9223"]);
        let text = "pgpgin 3\npgsteal 4\noom_kill 1\n";
        let lines = told(|put| vmstat(text, put));
        assert_eq!(lines, ["node_vmstat_pgpgin{} 3", "node_vmstat_oom_kill{} 1"]);
    }
}
