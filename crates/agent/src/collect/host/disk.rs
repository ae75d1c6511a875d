//! Block devices and filesystems. Those that only the kernel knows, and those that may hang
//! because they are far away, are left out.

use std::collections::BTreeSet;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::Put;

const SECTOR: f64 = 512.0;

/// `/proc/diskstats`: the columns after the name of the device, and what they are divided by.
const COLUMNS: [(&str, f64); 11] = [
    ("node_disk_reads_completed_total", 1.0),
    ("node_disk_reads_merged_total", 1.0),
    ("node_disk_read_bytes_total", 1.0 / SECTOR),
    ("node_disk_read_time_seconds_total", 1000.0),
    ("node_disk_writes_completed_total", 1.0),
    ("node_disk_writes_merged_total", 1.0),
    ("node_disk_written_bytes_total", 1.0 / SECTOR),
    ("node_disk_write_time_seconds_total", 1000.0),
    ("node_disk_io_now", 1.0),
    ("node_disk_io_time_seconds_total", 1000.0),
    ("node_disk_io_time_weighted_seconds_total", 1000.0),
];

/// `/proc/diskstats`.
pub fn devices(text: &str, put: &mut Put<'_>) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(2);
        let Some(device) = words.next().filter(|device| whole(device)) else { continue };
        for ((name, divisor), word) in COLUMNS.into_iter().zip(words) {
            if let Ok(value) = word.parse::<f64>() {
                put(name, &[("device", device)], value / divisor);
            }
        }
    }
}

/// Whether it is a whole disk: partitions tell the same again, and memory is no disk.
fn whole(device: &str) -> bool {
    let stem = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == device.len() {
        return true;
    }
    let disk = |rest: Option<&str>| rest.is_some_and(|r| r.len() == 1);
    let partition = ["sd", "hd", "vd"].iter().any(|kind| disk(stem.strip_prefix(kind)))
        || disk(stem.strip_prefix("xvd"))
        || (stem.ends_with('p') && (stem.starts_with("nvme") || stem.starts_with("mmcblk")));
    !partition && !matches!(stem, "ram" | "zram" | "loop" | "fd")
}

/// Kinds of filesystems that hold nobody's data.
const PSEUDO: [&str; 32] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "ramfs",
    "erofs",
    "rootfs",
    "fuse.lxcfs",
    "fuse.portal",
    "none",
    "swap",
    "nfsd",
];

/// Kinds whose server may not answer, and with it everybody who asks.
fn remote(kind: &str) -> bool {
    matches!(kind, "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "ceph" | "afs" | "ncpfs" | "gfs2")
        || kind.starts_with("fuse")
}

/// `/proc/self/mounts`.
pub fn filesystems(text: &str, put: &mut Put<'_>) {
    let mut seen = BTreeSet::new();
    for (device, mountpoint, kind) in mounts(text) {
        if !seen.insert(mountpoint.clone()) {
            continue;
        }
        let Ok(stat) = statvfs(mountpoint.as_str()) else { continue };
        // Of what is all zero, nobody can be short.
        if stat.blocks() == 0 {
            continue;
        }
        let size = stat.fragment_size() as f64;
        let read_only = f64::from(u8::from(stat.flags().contains(FsFlags::ST_RDONLY)));
        let labels = [("device", device.as_str()), ("fstype", kind), ("mountpoint", &mountpoint)];
        put("node_filesystem_size_bytes", &labels, stat.blocks() as f64 * size);
        put("node_filesystem_free_bytes", &labels, stat.blocks_free() as f64 * size);
        put("node_filesystem_avail_bytes", &labels, stat.blocks_available() as f64 * size);
        put("node_filesystem_files", &labels, stat.files() as f64);
        put("node_filesystem_files_free", &labels, stat.files_free() as f64);
        put("node_filesystem_readonly", &labels, read_only);
    }
}

/// Device, place and kind of each mount that is told of.
fn mounts(text: &str) -> impl Iterator<Item = (String, String, &str)> {
    text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, place, kind) = (words.next()?, words.next()?, words.next()?);
        let place = unescape(place);
        let below =
            |dir: &str| place.strip_prefix(dir).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        // The root is told of whatever it is: in a container it is an overlay.
        let root = place == "/" && !matches!(kind, "rootfs");
        let hidden =
            ["/dev", "/proc", "/sys", "/run/credentials", "/var/lib/docker", "/var/lib/containers"]
                .iter()
                .any(|dir| below(dir));
        if !root && (PSEUDO.contains(&kind) || remote(kind) || hidden) {
            return None;
        }
        Some((unescape(device), place, kind))
    })
}

/// Blanks stand as `\040` in a table of mounts.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let code = rest.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                out.push(byte);
                bytes = &rest[3..];
            }
            _ => {
                out.push(*first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::host::tests::told;

    #[test]
    fn whole_disks_are_told() {
        for (device, is_whole) in [
            ("sda", true),
            ("sda1", false),
            ("nvme0n1", true),
            ("nvme0n1p2", false),
            ("loop3", false),
            ("dm-0", true),
            ("md127", true),
            ("vdb2", false),
            ("sr0", true),
        ] {
            assert_eq!(whole(device), is_whole, "{device}");
        }
        let text = "   8 0 sda 10 1 4 2000 20 2 8 3000 1 4000 5000 0 0\n 8 1 sda1 1 1 1 1\n";
        let lines = told(|put| devices(text, put));
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[2], "node_disk_read_bytes_total{device=sda} 2048");
        assert_eq!(lines[6], "node_disk_written_bytes_total{device=sda} 4096");
        assert_eq!(lines[9], "node_disk_io_time_seconds_total{device=sda} 4");
    }

    #[test]
    fn only_filesystems_that_hold_data_are_asked() {
        let text = "overlay / overlay rw 0 0\nproc /proc proc rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n\
                    server:/x /mnt/far nfs4 rw 0 0\n/dev/sdb1 /mnt/my\\040disk ext4 rw 0 0\n\
                    tmpfs /dev/shm tmpfs rw 0 0\nsshfs /mnt/s fuse.sshfs rw 0 0\nbad\n";
        let places: Vec<String> = mounts(text).map(|(_, place, _)| place).collect();
        assert_eq!(places, ["/", "/tmp", "/mnt/my disk"]);
    }
}
