//! What the kernel says about this host, under the names node_exporter has made usual. Files are
//! read here into one buffer; what they say is understood in `host/`.

mod disk;
mod kernel;
mod network;

use std::fs::File;
use std::io::Read;

use nix::sys::utsname::uname;

/// Takes one value: the name of the metric, its labels sorted by name, the value.
pub type Put<'a> = dyn FnMut(&str, &[(&str, &str)], f64) + 'a;

/// Ticks of a second, as Linux counts processor time for programs.
pub const TICKS: f64 = 100.0;

/// Understands the text of one file.
type Reader = fn(&str, &mut Put<'_>);

/// Reads files into memory that is used again.
#[derive(Default)]
pub struct Files {
    bytes: Vec<u8>,
}

impl Files {
    /// The text of a file; none, if it is not there or not text.
    pub fn read(&mut self, path: &str) -> Option<&str> {
        self.bytes.clear();
        File::open(path).ok()?.read_to_end(&mut self.bytes).ok()?;
        std::str::from_utf8(&self.bytes).ok()
    }
}

/// Tells all of this host. Whatever the kernel does not say is left out.
pub fn collect(files: &mut Files, put: &mut Put<'_>) {
    let parts: [(&str, Reader); 8] = [
        ("/proc/stat", kernel::stat),
        ("/proc/meminfo", kernel::memory),
        ("/proc/loadavg", kernel::load),
        ("/proc/vmstat", kernel::vmstat),
        ("/proc/sys/fs/file-nr", kernel::open_files),
        ("/proc/diskstats", disk::devices),
        ("/proc/net/dev", network::devices),
        ("/proc/net/sockstat", network::sockets),
    ];
    for (path, read) in parts {
        if let Some(text) = files.read(path) {
            read(text, put);
        }
    }
    for resource in ["cpu", "io", "memory"] {
        if let Some(text) = files.read(&format!("/proc/pressure/{resource}")) {
            kernel::pressure("node_pressure", resource, text, put);
        }
    }
    if let Some(text) = files.read("/proc/self/mounts") {
        disk::filesystems(text, put);
    }
    if let Ok(name) = uname() {
        let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        let labels = [
            ("domainname", text(name.domainname())),
            ("machine", text(name.machine())),
            ("nodename", text(name.nodename())),
            ("release", text(name.release())),
            ("sysname", text(name.sysname())),
            ("version", text(name.version())),
        ];
        put("node_uname_info", &labels.each_ref().map(|(n, v)| (*n, v.as_str())), 1.0);
    }
}

pub use kernel::pressure;

#[cfg(test)]
pub mod tests {
    use super::*;

    /// What a reader puts, one line each.
    pub fn told(read: impl FnOnce(&mut Put<'_>)) -> Vec<String> {
        let mut lines = Vec::new();
        read(&mut |name: &str, labels: &[(&str, &str)], value: f64| {
            assert!(labels.is_sorted(), "{name}: {labels:?}");
            let labels: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
            lines.push(format!("{name}{{{}}} {value}", labels.join(",")));
        });
        lines
    }

    #[test]
    fn a_real_machine_tells_what_dashboards_need() {
        let lines = told(|put| collect(&mut Files::default(), put));
        for name in [
            "node_cpu_seconds_total{cpu=0,mode=idle}",
            "node_memory_MemTotal_bytes{}",
            "node_memory_MemAvailable_bytes{}",
            "node_load1{}",
            "node_boot_time_seconds{}",
            "node_network_receive_bytes_total{device=lo}",
            "node_filefd_allocated{}",
            "node_sockstat_TCP_inuse{}",
            "node_uname_info{",
            "node_vmstat_pgfault{}",
        ] {
            assert!(lines.iter().any(|line| line.starts_with(name)), "no {name} in {lines:#?}");
        }
        let mut names: Vec<&str> = lines.iter().map(|l| l.rsplit_once(' ').unwrap().0).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "no series twice");
    }
}
