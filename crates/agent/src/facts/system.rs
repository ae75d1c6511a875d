//! The parts of the facts that hardly ever change: system and storage, read from `/proc`, `/sys`
//! and `/etc`. Nothing is run and nobody is asked.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use atoll_model::cmdb::facts::{
    CloudFacts, CpuFacts, Disk, Filesystem, HardwareFacts, OsFacts, StorageFacts, SystemFacts,
};
use atoll_model::{Memory, Timestamp};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::sys::utsname::uname;

/// A file's text without blanks around it; empty, where it cannot be read.
pub fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// What kind of machine it is.
pub fn system() -> SystemFacts {
    let uname = uname().ok();
    let of = |pick: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        uname.as_ref().map(|u| pick(u).to_string_lossy().into_owned()).unwrap_or_default()
    };
    let memory = text("/proc/meminfo");
    let hardware = hardware();
    SystemFacts {
        hostname: of(|u| u.nodename()),
        os: os(&text("/etc/os-release")),
        kernel: of(|u| u.release()),
        architecture: of(|u| u.machine()),
        cpu: cpu(&text("/proc/cpuinfo")),
        memory: kib(&memory, "MemTotal:"),
        swap: kib(&memory, "SwapTotal:"),
        virtualization: virtualization(&hardware),
        cloud: cloud(&hardware),
        hardware,
        booted_at: booted(&text("/proc/stat")),
    }
}

fn os(text: &str) -> OsFacts {
    let field = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    OsFacts { name: field("ID"), version: field("VERSION_ID"), pretty: field("PRETTY_NAME") }
}

fn cpu(text: &str) -> CpuFacts {
    let values = |key: &str| -> Vec<&str> {
        let of = |line: &'_ str| -> bool { line.starts_with(key) };
        let lines = text.lines().filter(|line| of(line));
        lines.filter_map(|line| line.split_once(':')).map(|(_, v)| v.trim()).collect()
    };
    let sockets: BTreeSet<&str> = values("physical id").into_iter().collect();
    let model = ["model name", "Hardware", "cpu model"]
        .iter()
        .find_map(|key| values(key).first().map(|model| (*model).to_owned()));
    CpuFacts {
        model: model.unwrap_or_default(),
        cores: values("processor").len() as u32,
        sockets: sockets.len().max(1) as u32,
    }
}

fn kib(text: &str, key: &str) -> Memory {
    let line = text.lines().find_map(|l| l.strip_prefix(key));
    let kib = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Memory(kib.unwrap_or(0) << 10)
}

fn booted(stat: &str) -> Option<Timestamp> {
    let line = stat.lines().find_map(|l| l.strip_prefix("btime "))?;
    Some(Timestamp(line.trim().parse::<i64>().ok()? * 1000))
}

fn hardware() -> HardwareFacts {
    let dmi = |name: &str| text(format!("/sys/class/dmi/id/{name}"));
    HardwareFacts {
        vendor: dmi("sys_vendor"),
        product: dmi("product_name"),
        serial: dmi("product_serial"),
        uuid: dmi("product_uuid").to_lowercase(),
        machine_id: text("/etc/machine-id"),
    }
}

fn virtualization(hardware: &HardwareFacts) -> String {
    if Path::new("/.dockerenv").exists() {
        return "docker".to_owned();
    }
    if Path::new("/run/.containerenv").exists() {
        return "podman".to_owned();
    }
    let said = format!("{} {}", hardware.vendor, hardware.product).to_lowercase();
    let known = [
        ("kvm", "kvm"),
        ("qemu", "kvm"),
        ("google compute", "kvm"),
        ("amazon ec2", "kvm"),
        ("vmware", "vmware"),
        ("virtualbox", "virtualbox"),
        ("xen", "xen"),
        ("microsoft", "hyper-v"),
        ("firecracker", "firecracker"),
    ];
    let found = known.iter().find(|(word, _)| said.contains(word)).map(|(_, name)| *name);
    let virtual_cpu = text("/proc/cpuinfo").contains(" hypervisor ");
    found.unwrap_or(if virtual_cpu { "vm" } else { "none" }).to_owned()
}

/// Who lends the machine, as its firmware says; the provider's own service is not asked, because
/// elsewhere nobody answers there and somebody else might.
fn cloud(hardware: &HardwareFacts) -> CloudFacts {
    let asset = text("/sys/class/dmi/id/chassis_asset_tag");
    let provider = if hardware.vendor == "Amazon EC2" || hardware.uuid.starts_with("ec2") {
        "aws"
    } else if hardware.vendor == "Google" {
        "gcp"
    } else if asset == "7783-7084-3265-9085-8269-3286-77" {
        "azure"
    } else if hardware.vendor == "DigitalOcean" {
        "digitalocean"
    } else if hardware.vendor == "Hetzner" {
        "hetzner"
    } else {
        ""
    };
    // What cloud-init has been told by the provider, where it has run.
    let told = text("/run/cloud-init/instance-data.json");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
    let said = |key: &str| told["v1"][key].as_str().unwrap_or_default().to_owned();
    let from_board = text("/sys/class/dmi/id/board_asset_tag");
    let board = from_board.starts_with("i-").then_some(from_board);
    let instance = Some(said("instance_id")).filter(|id| !id.is_empty()).or(board);
    let named = Some(said("cloud_name")).filter(|n| !matches!(n.as_str(), "" | "none" | "nocloud"));
    CloudFacts {
        provider: if provider.is_empty() { named.unwrap_or_default() } else { provider.into() },
        instance: instance.unwrap_or_default(),
        zone: said("availability_zone"),
    }
}

/// Disks and what is mounted.
pub fn storage() -> StorageFacts {
    StorageFacts { disks: disks(), filesystems: filesystems(&text("/proc/self/mounts")) }
}

/// Changes whenever storage may have.
pub fn storage_stamp() -> String {
    format!("{}{}", text("/proc/self/mounts"), text("/proc/partitions"))
}

fn disks() -> Vec<Disk> {
    let mut disks = Vec::new();
    for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let sectors = text(path.join("size")).parse::<u64>().unwrap_or(0);
        let made_up = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"];
        if sectors == 0 || made_up.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        disks.push(Disk {
            name,
            size: Memory(sectors << 9),
            model: text(path.join("device/model")),
            serial: text(path.join("device/serial")),
            rotational: text(path.join("queue/rotational")) == "1",
        });
    }
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    disks
}

/// Filesystems that keep something; one mounted in several places is told of once.
fn filesystems(mounts: &str) -> Vec<Filesystem> {
    const KEPT: [&str; 12] = [
        "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "vfat", "nfs", "nfs4", "cifs", "overlay",
        "f2fs",
    ];
    let (mut found, mut devices) = (Vec::new(), BTreeSet::new());
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [device, mount, of, ..] = fields[..] else { continue };
        // Layers of containers come and go with them and are no disks of the host's.
        let layer = of == "overlay" && mount != "/";
        if !KEPT.contains(&of) || layer || !devices.insert(device) {
            continue;
        }
        let mount = mount.replace("\\040", " ");
        let Ok(stat) = statvfs(mount.as_str()) else { continue };
        found.push(Filesystem {
            size: Memory(stat.blocks() * stat.fragment_size()),
            read_only: stat.flags().contains(FsFlags::ST_RDONLY),
            device: device.to_owned(),
            of: of.to_owned(),
            mount,
        });
    }
    found.sort_by(|a, b| a.mount.cmp(&b.mount));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_say_is_read() {
        let os = os("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\n");
        assert_eq!((os.name.as_str(), os.version.as_str()), ("debian", "12"));
        let two = "processor\t: 0\nmodel name\t: Fast\nphysical id\t: 0\n\nprocessor\t: 1\n";
        let cpu = cpu(two);
        assert_eq!((cpu.model.as_str(), cpu.cores, cpu.sockets), ("Fast", 2, 1));
        assert_eq!(kib("MemTotal:  2048 kB\n", "MemTotal:"), Memory(2 << 20));
        assert_eq!(booted("cpu 1\nbtime 1700000000\n"), Some(Timestamp(1_700_000_000_000)));
    }

    #[test]
    fn this_machine_has_a_system() {
        let system = system();
        assert!(!system.kernel.is_empty() && system.cpu.cores > 0 && system.memory.0 > 0);
        assert!(!system.virtualization.is_empty());
    }
}
