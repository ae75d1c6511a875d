//! Installed packages: Debian's from the database itself, others by their own program. Read only
//! when the database has changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

const DPKG: &str = "/var/lib/dpkg/status";
const APK: &str = "/lib/apk/db/installed";
/// Where rpm keeps its database, old places and new.
const RPM: [&str; 4] = [
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages",
    "/var/lib/rpm/Packages.db",
];

/// Changes whenever packages may have.
pub fn stamp() -> String {
    let all = [DPKG, APK].into_iter().chain(RPM);
    let known = all.filter_map(|path| fs::metadata(path).ok().map(|m| (path, m)));
    let said =
        known.map(|(path, m)| format!("{path} {} {}.{}", m.len(), m.mtime(), m.mtime_nsec()));
    said.collect::<Vec<String>>().join("\n")
}

/// Versions by name.
pub fn packages() -> BTreeMap<String, String> {
    if let Ok(text) = fs::read_to_string(DPKG) {
        return dpkg(&text);
    }
    if let Ok(text) = fs::read_to_string(APK) {
        return apk(&text);
    }
    if RPM.iter().any(|path| fs::metadata(path).is_ok()) {
        return rpm();
    }
    BTreeMap::new()
}

fn dpkg(text: &str) -> BTreeMap<String, String> {
    let one = |entry: &str| {
        let field = |key: &str| {
            entry.lines().find_map(|l| l.strip_prefix(key)).map(|v| v.trim().to_owned())
        };
        let installed = field("Status:").is_some_and(|s| s.ends_with(" installed"));
        installed.then(|| Some((field("Package:")?, field("Version:")?)))?
    };
    text.split("\n\n").filter_map(one).collect()
}

fn apk(text: &str) -> BTreeMap<String, String> {
    let one = |entry: &str| {
        let field = |key: &str| entry.lines().find_map(|l| l.strip_prefix(key)).map(str::to_owned);
        Some((field("P:")?, field("V:")?))
    };
    text.split("\n\n").filter_map(one).collect()
}

fn rpm() -> BTreeMap<String, String> {
    let format = "%{NAME}\\t%{VERSION}-%{RELEASE}\\n";
    let Ok(output) = Command::new("rpm").args(["-qa", "--qf", format]).output() else {
        return BTreeMap::new();
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    pairs.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_read() {
        let text = "Package: bash\nStatus: install ok installed\nVersion: 5.2\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
        assert_eq!(dpkg(text), [("bash".to_owned(), "5.2".to_owned())].into());
        let text = "C:x\nP:musl\nV:1.2\n\nP:busybox\nV:1.36\n";
        assert_eq!(apk(text).len(), 2);
    }
}
