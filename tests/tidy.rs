//! Holds the layout of the house: floors, lengths, bans, headers, and one list of kinds. It reads
//! the tree as text; it does not judge what the code does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const LONGEST_FILE: usize = 500;
const LONGEST_LINE: usize = 100;
const LONGEST_FUNCTION: usize = 70;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of ours, with its path relative to the root.
fn sources() -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .expect("git is there");
    let mut all = Vec::new();
    for path in String::from_utf8(listed.stdout).expect("paths are UTF-8").lines() {
        if let Ok(text) = std::fs::read_to_string(root().join(path)) {
            all.push((path.to_owned(), text));
        }
    }
    assert!(all.len() > 50, "found {} files: is this a checkout?", all.len());
    all
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.starts_with("tests/")
}

/// The part of a file before its tests.
fn code(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap_or(text)
}

fn report(title: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{title}:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    report("files that do not open with //!", &wrong);
}

#[test]
fn files_lines_and_functions_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines = code(&text).lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!("{path}: {lines} lines without its tests"));
        }
        for (number, line) in text.lines().enumerate() {
            let long = line.chars().count() > LONGEST_LINE;
            let literal = line.contains('"') && is_test(&path);
            if long && !literal && code(&text).lines().count() > number {
                wrong.push(format!("{path}:{}: {} columns", number + 1, line.chars().count()));
            }
        }
        for (name, number, length) in functions(&text) {
            if length > LONGEST_FUNCTION {
                wrong.push(format!("{path}:{number}: fn {name} has {length} lines"));
            }
        }
    }
    report("too long", &wrong);
}

/// Functions with their first line and their length, by the indentation rustfmt gives.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let words = bare
            .trim_start_matches("pub ")
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub(super) ")
            .trim_start_matches("const ")
            .trim_start_matches("async ");
        let Some(rest) = words.strip_prefix("fn ") else { continue };
        let indent = &line[..line.len() - bare.len()];
        let close = format!("{indent}}}");
        let one_line = line.ends_with('}') || line.ends_with(';');
        if one_line {
            continue;
        }
        if let Some(end) = lines[at..].iter().position(|l| *l == close) {
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((name, at + 1, end + 1));
        }
    }
    found
}

#[test]
fn nothing_is_left_undone_or_hidden() {
    let banned = [
        (concat!("todo", "!("), "finish it"),
        (concat!("unimplemented", "!("), "finish it"),
        (concat!("#[", "ignore"), "make it run, or take it away"),
        (concat!("dbg", "!("), "use tracing, or take it away"),
        (concat!("unsafe", " impl"), "find a safe way"),
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (word, instead) in banned {
            for (number, _) in text.lines().enumerate().filter(|(_, l)| l.contains(word)) {
                wrong.push(format!("{path}:{}: {word} — {instead}", number + 1));
            }
        }
    }
    report("banned", &wrong);
}

#[test]
fn names_say_what_things_are() {
    let banned = ["Manager", "Service", "Helper", "Util", "Utils"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            for keyword in ["struct ", "enum ", "trait ", "type "] {
                let Some((_, rest)) = line.split_once(keyword) else { continue };
                if line.trim_start().starts_with("//") {
                    continue;
                }
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
                if banned.iter().any(|b| name.ends_with(b)) {
                    wrong.push(format!("{path}:{}: {name}", number + 1));
                }
            }
        }
        let stem = Path::new(&path).file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if ["util", "utils", "helper", "helpers", "common", "manager"].contains(&stem) {
            wrong.push(format!("{path}: a file of that name is a place for anything"));
        }
    }
    report("names that say nothing", &wrong);
}

#[test]
fn crates_stay_on_their_floors() {
    let allowed: BTreeMap<&str, &[&str]> = [
        ("atoll-memory", &[][..]),
        ("atoll-metrics", &[]),
        ("atoll-model", &[]),
        ("atoll-pack", &["atoll-model"]),
        ("atoll-plan", &["atoll-model"]),
        ("atoll-store", &["atoll-model"]),
        ("atoll-client", &["atoll-model", "atoll-pack"]),
        ("atoll-agent", &["atoll-model", "atoll-client", "atoll-metrics"]),
        (
            "atoll-server",
            &[
                "atoll-memory",
                "atoll-metrics",
                "atoll-model",
                "atoll-pack",
                "atoll-plan",
                "atoll-store",
            ],
        ),
        ("atoll", &["atoll-memory", "atoll-model", "atoll-client", "atoll-agent", "atoll-server"]),
    ]
    .into();
    let never: BTreeMap<&str, &[&str]> = [
        ("atoll-metrics", &["tokio", "reqwest", "axum", "rusqlite"][..]),
        ("atoll-model", &["tokio", "reqwest", "axum", "rusqlite"]),
        ("atoll-pack", &["tokio", "reqwest", "axum", "rusqlite"]),
        ("atoll-plan", &["tokio", "reqwest", "axum", "rusqlite", "rand", "getrandom"]),
    ]
    .into();
    let mut wrong = Vec::new();
    for (package, dependencies) in metadata() {
        let Some(allowed) = allowed.get(package.as_str()) else { continue };
        for dependency in &dependencies {
            if dependency.starts_with("atoll") && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{package} may not depend on {dependency}"));
            }
            if never.get(package.as_str()).is_some_and(|n| n.contains(&dependency.as_str())) {
                wrong.push(format!("{package} must never know {dependency}"));
            }
        }
    }
    report("floors", &wrong);
}

/// Packages of the workspace with their normal dependencies.
fn metadata() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo is there");
    let value: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = value["packages"].as_array().expect("a workspace has packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("a list");
            let normal = dependencies.iter().filter(|d| d["kind"].is_null());
            let names = normal.filter_map(|d| d["name"].as_str()).map(str::to_owned);
            (package["name"].as_str().unwrap_or_default().to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn there_is_one_list_of_kinds() {
    let lists: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| text.contains(concat!("kinds::", "kinds! {")))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(lists, ["crates/model/src/lib.rs"]);
}

#[test]
fn one_provider_of_cryptography_is_built() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--offline", "--edges", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .expect("cargo is there");
    let text = String::from_utf8_lossy(&tree.stdout);
    assert!(text.contains("aws-lc-rs"), "{}", String::from_utf8_lossy(&tree.stderr));
    assert!(!text.lines().any(|l| l.starts_with("ring ")), "ring is built as well");
}
