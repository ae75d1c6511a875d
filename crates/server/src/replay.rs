//! The replay bench over files: reads recorded changes from a directory, plays them, and reports;
//! and writes made ones. How a case is played and judged is the planner's.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use atoll_model::Span;
use atoll_plan::guard::case::{Case, Label};
use atoll_plan::guard::generate;
use atoll_plan::guard::replay::{Outcome, Score};
use serde::Serialize;

/// Why a directory could not be replayed or written.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file or directory could not be read or written.
    #[error("could not use {}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is not a case.
    #[error(
        "{} is not a recorded change: {why}; the format is in docs/guide/guard.md",
        path.display()
    )]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is nothing to replay.
    #[error("no .json files in {}; atoll guard generate makes some", .0.display())]
    Empty(PathBuf),
}

/// How good the guard was on a set of recorded changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Of all cases.
    pub score: Score,
    /// Of each kind of change.
    pub classes: BTreeMap<String, Score>,
    /// What came of each case, in the order of the files.
    pub outcomes: Vec<Played>,
    /// Files that are no cases, and what is wrong with them; they count nowhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// What came of the case in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Played {
    /// The file, below the directory that was replayed.
    pub file: PathBuf,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Report {
    /// Sums up outcomes.
    pub fn of(outcomes: Vec<Played>) -> Report {
        let mut by_class: BTreeMap<String, Vec<&Outcome>> = BTreeMap::new();
        for Played { outcome, .. } in &outcomes {
            by_class.entry(outcome.class.clone()).or_default().push(outcome);
        }
        let classes = by_class.into_iter().map(|(class, of)| (class, Score::of(of))).collect();
        let score = Score::of(outcomes.iter().map(|played| &played.outcome));
        Report { score, classes, outcomes, left_out: Vec::new() }
    }
}

/// Plays every `.json` file of a directory and of those below it. One that is no case is told of in
/// the report and does not keep the others from being played.
///
/// # Errors
/// That a directory cannot be read, or that no file is a case: what is wrong with the first.
pub fn replay(directory: &Path) -> Result<Report, ReplayError> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(ReplayError::Empty(directory.to_owned()));
    }
    let mut outcomes = Vec::with_capacity(files.len());
    let mut wrong = Vec::new();
    for path in files {
        match read(&path) {
            Ok(case) => outcomes.push(Played {
                file: path.strip_prefix(directory).unwrap_or(&path).to_owned(),
                outcome: atoll_plan::guard::replay::replay(&case),
            }),
            Err(error) => wrong.push(error),
        }
    }
    if outcomes.is_empty() && !wrong.is_empty() {
        return Err(wrong.swap_remove(0));
    }
    let left_out = wrong.iter().map(ToString::to_string).collect();
    Ok(Report { left_out, ..Report::of(outcomes) })
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), ReplayError> {
    let failed = |error| ReplayError::Io { path: directory.to_owned(), error };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        // Links are not followed into directories: they could lead round in a circle.
        if entry.file_type().map_err(failed)?.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads one case.
///
/// # Errors
/// That the file cannot be read, or what is wrong with it.
pub fn read(path: &Path) -> Result<Case, ReplayError> {
    let failed = |error| ReplayError::Io { path: path.to_owned(), error };
    // Reading a pipe or a device may never end.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a file")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let wrong = |why: String| ReplayError::Format { path: path.to_owned(), why };
    let case: Case = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    case.validate().map_err(wrong)?;
    Ok(case)
}

/// Writes made cases into a directory, which is made if it is not there; the same seed makes the
/// same files. Says how many were written.
///
/// # Errors
/// That a file could not be written.
pub fn generate(directory: &Path, seed: u64, count: usize) -> Result<usize, ReplayError> {
    let failed = |path: &Path, error| ReplayError::Io { path: path.to_owned(), error };
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for index in 0..count {
        let case = generate::case(seed, index, generate::USUAL_VALUES);
        let path = directory.join(format!("{}.json", case.name));
        let text = serde_json::to_string(&case).map_err(|error| failed(&path, error.into()))?;
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(count)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self.classes.keys().map(|class| class.chars().count()).max().unwrap_or(0).max(5);
        let columns = "cases    bad caught disturbed asked   median      p90";
        writeln!(f, "{:wide$}  {columns}", "class")?;
        let rows = self.classes.iter().map(|(class, score)| (class.as_str(), score));
        for (class, score) in rows.chain([("all", &self.score)]) {
            writeln!(
                f,
                "{class:wide$}  {:5}  {:5} {:6} {:9} {:5} {:>8} {:>8}",
                score.cases,
                score.bad,
                score.caught,
                score.disturbed,
                score.interrupted,
                time(score.median_time),
                time(score.slow_time),
            )?;
        }
        let score = &self.score;
        writeln!(f)?;
        let percent = |share: f64| format!("{:5.1} %", 100.0 * share);
        writeln!(f, "recall       {}  bad changes that were stopped", percent(score.recall))?;
        writeln!(f, "precision    {}  stopped changes that were bad", percent(score.precision))?;
        let disturbance = percent(score.disturbance);
        writeln!(f, "disturbance  {disturbance}  good changes stopped, of all changes")?;
        let asked = f64::from(score.interrupted) / f64::from(score.cases.max(1));
        writeln!(f, "asked        {}  good changes that lacked data, of all", percent(asked))?;
        let (half, slow) = (time(score.median_time), time(score.slow_time));
        writeln!(f, "time to verdict  {half} for half of the bad, {slow} for nine in ten")?;
        let wrong: Vec<&Played> = self.outcomes.iter().filter(|o| o.outcome.is_wrong()).collect();
        if !wrong.is_empty() {
            writeln!(f, "\nwrong:")?;
        }
        for Played { file, outcome } in wrong {
            let what = match outcome.label {
                Label::Bad => "missed",
                Label::Good => "stopped",
            };
            let verdict = outcome.verdict.words();
            let file = file.display();
            writeln!(f, "  {what:7}  {file} ({})  {verdict}: {}", outcome.name, outcome.message)?;
        }
        if !self.left_out.is_empty() {
            writeln!(f, "\nnot played:")?;
        }
        for why in &self.left_out {
            writeln!(f, "  {why}")?;
        }
        Ok(())
    }
}

fn time(span: Option<Span>) -> String {
    span.map_or("–".to_owned(), |span| Span::seconds(span.0 / 1000).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_replayed() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("a/b");
        assert_eq!(generate(&below, 5, 4).unwrap(), 4);
        let report = replay(directory.path()).unwrap();
        assert_eq!(report.score.cases, 4);
        assert_eq!(report.score.bad, 2);
        let shown = report.to_string();
        assert!(shown.contains("recall") && shown.contains("\nall "), "{shown}");
    }

    #[test]
    fn a_bad_file_is_named_with_what_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(replay(directory.path()), Err(ReplayError::Empty(_))));
        std::fs::write(directory.path().join("one.json"), "{\"format\": 1}").unwrap();
        let said = replay(directory.path()).unwrap_err().to_string();
        assert!(said.contains("one.json") && said.contains("name"), "{said}");
        let mut case = generate::case(1, 0, 2000);
        case.series[0].signal = "nosuch".to_owned();
        let text = serde_json::to_string(&case).unwrap();
        std::fs::write(directory.path().join("one.json"), text).unwrap();
        let said = replay(directory.path()).unwrap_err().to_string();
        assert!(said.contains("nosuch"), "{said}");
        // It does not keep others from being played.
        generate(&directory.path().join("good"), 5, 2).unwrap();
        let report = replay(directory.path()).unwrap();
        assert_eq!((report.score.cases, report.left_out.len()), (2, 1));
        assert!(report.to_string().contains("not played:"), "{report}");
        assert!(report.outcomes[0].file.starts_with("good"), "{:?}", report.outcomes[0]);
        // A pipe with nobody at its other end is not waited for.
        let pipe = directory.path().join("pipe.json");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let report = replay(directory.path()).unwrap();
        let told = report.left_out.iter().any(|why| why.contains("pipe.json: it is not a file"));
        assert!(told, "{:?}", report.left_out);
    }
}
