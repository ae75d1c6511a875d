//! Runs Prometheus' own PromQL tests, where their folder is, against the evaluator over a source in
//! memory. What needs native histograms or syntax the parser does not know is skipped by name and
//! counted; all the rest has to pass.

#[path = "promql/behaviour.rs"]
mod behaviour;
#[path = "promql/compare.rs"]
mod compare;
#[path = "promql/memory.rs"]
mod memory;
#[path = "promql/script.rs"]
mod script;
#[path = "promql/steps.rs"]
mod steps;

use std::collections::BTreeMap;
use std::path::PathBuf;

use atoll_metrics::promql::{self, QueryError, QueryOptions};
use atoll_metrics::{Labels, Sample};
use memory::Memory;
use script::{Command, Eval, Point, When};

/// So many evaluations passed when this was written. Fewer means that something is skipped which
/// was not before.
const PASSING: usize = 995;

/// Why an evaluation is skipped. There is no third reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Skip {
    Native,
    Syntax,
}

impl Skip {
    fn reason(self) -> &'static str {
        match self {
            Skip::Native => "native histogram",
            Skip::Syntax => "syntax the parser does not know",
        }
    }
}

enum Outcome {
    Passed,
    Failed(String),
    Skipped(Skip),
}

/// The series a script has loaded so far.
#[derive(Default)]
struct World {
    memory: Memory,
    /// Labels of series that have native points, of which the memory has none.
    native: Vec<Labels>,
}

fn folder() -> PathBuf {
    let root = std::env::var_os("ATOLL_CONFORMANCE").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    root.unwrap_or(beside).join("promql")
}

#[test]
fn conforms_to_prometheus() {
    let Ok(found) = std::fs::read_dir(folder()) else {
        println!("skipped: no conformance folder");
        return;
    };
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "test"));
    paths.sort();
    assert!(!paths.is_empty(), "the conformance folder has no tests");
    let (mut passed, mut failed) = (0, 0);
    let mut skipped: BTreeMap<Skip, usize> = BTreeMap::new();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut here: BTreeMap<Skip, usize> = BTreeMap::new();
        let (mut fine, mut wrong) = (0, 0);
        for (eval, outcome) in run(&std::fs::read_to_string(&path).unwrap()) {
            match outcome {
                Outcome::Passed => fine += 1,
                Outcome::Failed(why) => {
                    wrong += 1;
                    println!("FAILED {name}:{} {}\n    {why}", eval.line, eval.query);
                }
                Outcome::Skipped(skip) => {
                    println!("skipped {name}:{} {}: {}", eval.line, skip.reason(), eval.query);
                    *here.entry(skip).or_default() += 1;
                }
            }
        }
        println!("{name}: {fine} passed, {wrong} failed, skipped {}", listed(&here));
        passed += fine;
        failed += wrong;
        here.into_iter().for_each(|(skip, count)| *skipped.entry(skip).or_default() += count);
    }
    println!("skipped in all: {}", listed(&skipped));
    println!("{passed} passed, {failed} failed, {} skipped", skipped.values().sum::<usize>());
    assert_eq!(failed, 0, "evaluations failed; they are listed above");
    assert!(passed >= PASSING, "{passed} passed, and {PASSING} did before");
}

fn listed(skipped: &BTreeMap<Skip, usize>) -> String {
    let each: Vec<String> =
        skipped.iter().map(|(skip, count)| format!("{count} ({})", skip.reason())).collect();
    if each.is_empty() { "0".to_owned() } else { each.join(", ") }
}

fn run(text: &str) -> Vec<(Box<Eval>, Outcome)> {
    let mut world = World::default();
    let mut outcomes = Vec::new();
    for command in script::read(text) {
        match command {
            Command::Clear => world = World::default(),
            Command::Load { step, nhcb, series } => load(&mut world, step, nhcb, series),
            Command::Eval(eval) => {
                let outcome = judge(&world, &eval);
                outcomes.push((eval, outcome));
            }
        }
    }
    outcomes
}

fn load(world: &mut World, step: i64, nhcb: bool, series: Vec<script::Described>) {
    for one in series {
        let timed = one.points.iter().enumerate();
        let samples = timed.filter_map(|(index, point)| match point {
            Point::Float(value) => Some(Sample { at: step * index as i64, value: *value }),
            Point::Native | Point::Missing => None,
        });
        if one.points.contains(&Point::Native) {
            world.native.push(one.labels.clone());
        }
        if let (true, Some(base)) = (nhcb, one.labels.metric().strip_suffix("_bucket")) {
            world.native.push(one.labels.with("__name__", base).with("le", ""));
        }
        world.memory.add(&one.labels, samples.collect());
    }
}

fn judge(world: &World, eval: &Eval) -> Outcome {
    let why = match evaluate(world, eval) {
        Ok(()) => return Outcome::Passed,
        Err(why) => why,
    };
    if needs_native(world, eval) {
        return Outcome::Skipped(Skip::Native);
    }
    match promql::check(&eval.query) {
        Err(QueryError::Parse(_)) if eval.fail.is_none() => Outcome::Skipped(Skip::Syntax),
        _ => Outcome::Failed(why),
    }
}

/// Whether the query touches series with native points, expects such points, or asks of them.
fn needs_native(world: &World, eval: &Eval) -> bool {
    let of_native = [
        "histogram_count",
        "histogram_sum",
        "histogram_avg",
        "histogram_stddev",
        "histogram_stdvar",
    ];
    let touched = promql::selectors(&eval.query).is_ok_and(|all| {
        all.iter().any(|matchers| world.native.iter().any(|labels| labels.match_all(matchers)))
    });
    touched
        || of_native.iter().any(|name| eval.query.contains(name))
        || eval.series.iter().any(|one| one.points.contains(&Point::Native))
}

fn evaluate(world: &World, eval: &Eval) -> Result<(), String> {
    let options = QueryOptions::default();
    let answer = match eval.when {
        When::Instant(at) => promql::instant(&world.memory, &eval.query, at, &options),
        When::Range { start, end, step } => {
            promql::range(&world.memory, &eval.query, start, end, step, &options)
        }
    };
    compare::answer(eval, &answer)?;
    if let (When::Instant(at), Ok(_)) = (eval.when, &answer) {
        in_a_range(world, eval, at)?;
    }
    Ok(())
}

/// The middle step of a range has to give what the instant gives.
fn in_a_range(world: &World, eval: &Eval, at: i64) -> Result<(), String> {
    let of_query = ["start()", "end()", "step()", "range()"];
    let differs = of_query.iter().any(|word| eval.query.contains(word));
    if eval.ordered || eval.text.is_some() || eval.range_vector.is_some() || differs {
        return Ok(());
    }
    let options = QueryOptions::default();
    let (start, end) = (at - 60_000, at + 60_000);
    match promql::range(&world.memory, &eval.query, start, end, 60_000, &options) {
        Ok(answer) => {
            compare::middle(eval, &answer, at).map_err(|why| format!("in a range: {why}"))
        }
        // The other two steps may have duplicates of their own.
        Err(QueryError::Execution(_)) => Ok(()),
        Err(error) => Err(format!("in a range: {error}")),
    }
}
