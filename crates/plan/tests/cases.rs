//! Text cases: scripts in the domain's language, run against the simulated fleet, with what came
//! of them written under each line. `UPDATE_EXPECT=1 cargo test -p atoll-plan --test cases`
//! writes the outputs anew; the language is in `script/`. Not where properties are tested.

use std::fs;
use std::path::{Path, PathBuf};

mod script;

#[test]
fn cases_turn_out_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let only = std::env::var("CASE").unwrap_or_default();
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 10, "no cases found in {}", root.display());
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| file.to_string_lossy().contains(&only)) {
        let expected = fs::read_to_string(file).unwrap();
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let actual = script::run(&name, &expected);
        if actual == expected {
            continue;
        }
        if update {
            fs::write(file, actual).unwrap();
        } else {
            wrong.push(format!("{name}:\n{}", difference(&expected, &actual)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nif this is right: UPDATE_EXPECT=1 cargo test -p atoll-plan --test cases",
        wrong.join("\n")
    );
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "txt") {
            files.push(path);
        }
    }
}

/// The first lines that differ, with those before them.
fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<&str>, Vec<&str>) =
        (expected.lines().collect(), actual.lines().collect());
    let same = expected.iter().zip(&actual).take_while(|(a, b)| a == b).count();
    let mut said = Vec::new();
    said.extend(actual[same.saturating_sub(6)..same].iter().map(|line| format!("  {line}")));
    said.extend(expected[same..].iter().take(12).map(|line| format!("- {line}")));
    said.extend(actual[same..].iter().take(12).map(|line| format!("+ {line}")));
    said.join("\n")
}
