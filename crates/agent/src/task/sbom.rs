//! The parts list of a release, as CycloneDX in JSON, made from what can be known: the files, and
//! what the lock files of the workspace name. It runs no tool and looks nothing up. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Lock files that are understood, at the top of a workspace.
pub const LOCKS: [&str; 4] = ["Cargo.lock", "package-lock.json", "go.sum", "requirements.txt"];
/// Parts that are listed at most.
const MOST: usize = 100_000;

/// The list for a program of that name and version, of files with their BLAKE3 digests and of lock
/// files by name.
pub fn sbom(
    name: &str,
    version: &str,
    files: &[(String, String)],
    locks: &[(&str, String)],
) -> Value {
    let mut parts = BTreeSet::new();
    for (lock, text) in locks {
        match *lock {
            "Cargo.lock" => cargo(text, &mut parts),
            "package-lock.json" => npm(text, &mut parts),
            "go.sum" => go(text, &mut parts),
            "requirements.txt" => pip(text, &mut parts),
            _ => {}
        }
    }
    let libraries = parts.into_iter().map(|(kind, name, version)| {
        let purl = format!("pkg:{kind}/{}@{version}", name.replace('@', "%40"));
        json!({ "type": "library", "bom-ref": purl, "name": name, "version": version,
            "purl": purl })
    });
    let files = files.iter().map(|(path, digest)| {
        json!({ "type": "file", "bom-ref": format!("file:{path}"), "name": path,
            "hashes": [{ "alg": "BLAKE3", "content": digest }] })
    });
    let components: Vec<Value> = files.chain(libraries).take(MOST).collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": {
            "type": "application", "bom-ref": format!("{name}@{version}"), "name": name,
            "version": version,
        }},
        "components": components,
    })
}

type Parts = BTreeSet<(&'static str, String, String)>;

/// Every `[[package]]` with a name and a version.
fn cargo(text: &str, parts: &mut Parts) {
    for package in text.split("[[package]]").skip(1) {
        let field = |field: &str| {
            let line = package.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(" = "));
            line.map(|value| value.trim().trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version)) = (field("name"), field("version")) {
            parts.insert(("cargo", name, version));
        }
    }
}

fn npm(text: &str, parts: &mut Parts) {
    let lock: Value = serde_json::from_str(text).unwrap_or_default();
    for (path, package) in lock["packages"].as_object().into_iter().flatten() {
        let name = path.rsplit_once("node_modules/").map(|(_, name)| name);
        if let (Some(name), Some(version)) = (name, package["version"].as_str()) {
            parts.insert(("npm", name.to_owned(), version.to_owned()));
        }
    }
}

fn go(text: &str, parts: &mut Parts) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next())
            && !version.ends_with("/go.mod")
        {
            parts.insert(("golang", name.to_owned(), version.to_owned()));
        }
    }
}

fn pip(text: &str, parts: &mut Parts) {
    for line in text.lines() {
        let line = line.split(['#', ';', ' ']).next().unwrap_or_default();
        if let Some((name, version)) = line.split_once("==") {
            let name = name.split('[').next().unwrap_or_default().to_lowercase();
            parts.insert(("pypi", name, version.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lock_files_name_is_listed_once() {
        let cargo = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0\"\n\n[[package]]\n\
                     name = \"a\"\nversion = \"1.0\"\ndependencies = [\n \"b\",\n]\n";
        let npm = r#"{"packages":{"":{"version":"9"},"node_modules/@x/y":{"version":"2"}}}"#;
        let go = "m/n v1 h1:abc\nm/n v1/go.mod h1:def\n";
        let pip = "# all\nFlask[async]==3.0 ; python_version > '3'\nloose>=1\n";
        let locks = [
            ("Cargo.lock", cargo.to_owned()),
            ("package-lock.json", npm.to_owned()),
            ("go.sum", go.to_owned()),
            ("requirements.txt", pip.to_owned()),
        ];
        let list = sbom("shop", "1", &[("bin/shop".into(), "00".into())], &locks);
        let refs: Vec<&str> = list["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["bom-ref"].as_str().unwrap())
            .collect();
        let expected = [
            "file:bin/shop",
            "pkg:cargo/a@1.0",
            "pkg:golang/m/n@v1",
            "pkg:npm/%40x/y@2",
            "pkg:pypi/flask@3.0",
        ];
        assert_eq!(refs, expected);
        assert_eq!(list["components"][0]["hashes"][0]["alg"], "BLAKE3");
        let broken = [("package-lock.json", "{".to_owned()), ("Cargo.lock", String::new())];
        assert_eq!(sbom("shop", "1", &[], &broken)["components"], json!([]));
    }
}
