//! Rehearsals: scenario files, each with the page that is told of it beside it. `UPDATE_EXPECT=1
//! cargo test -p atoll-plan --test rehearsal` writes the pages anew. And what holds of every
//! rehearsal: it comes out the same, and writes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_model::manifest::read_scenario;
use atoll_model::rehearsal::Scenario;
use atoll_plan::rehearsal::{Stop, Today, run, show};

fn never() -> Stop {
    Arc::new(|| false)
}

fn read(file: &Path) -> Scenario {
    let text = fs::read(file).unwrap();
    read_scenario(&file.display().to_string(), &text).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    all.sort();
    all
}

#[test]
fn scenarios_come_out_as_written() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsal");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let only = std::env::var("CASE").unwrap_or_default();
    let all = files(&here);
    assert!(all.len() >= 5, "no scenarios in {}", here.display());
    let mut wrong = Vec::new();
    for file in all.iter().filter(|file| file.to_string_lossy().contains(&only)) {
        let report = run(&read(file), &Today::default(), &never());
        let actual = report.map(|report| show::text(&report)).unwrap_or_else(|e| format!("{e:?}\n"));
        let page = file.with_extension("txt");
        let expected = fs::read_to_string(&page).unwrap_or_default();
        if update {
            fs::write(&page, &actual).unwrap();
        } else if actual != expected {
            wrong.push(format!("{}:\n{actual}", page.display()));
        }
    }
    let again = "if this is right: UPDATE_EXPECT=1 cargo test -p atoll-plan --test rehearsal";
    assert!(wrong.is_empty(), "{}\n{again}", wrong.join("\n"));
}
