//! What came of runs: steps, tests and artefacts.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use atoll_client::Client;
use atoll_model::ci::run::CellPhase;
use atoll_model::ci::task::TestOutcome;
use atoll_model::{Any, Kind, Memory, Object, Run, Task};

use super::Artifacts;
use crate::clock::now;
use crate::columns::{Cell, cell, size, word};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::terminal::Tone;

/// Shows the newest runs of a pipeline, or the steps of one run.
///
/// # Errors
/// The client's.
pub(super) async fn show(client: &Client, name: &str, format: Format) -> anyhow::Result<Exit> {
    if name.contains('.') {
        let run = super::find(client, name).await?;
        if !format.is_table() {
            output::print(&output::object(&Any::Run(run.into()), format, now())?)?;
            return Ok(Exit::Done);
        }
        let any = Any::Run(std::sync::Arc::new(run.clone()));
        output::print(&output::object(&any, format, now())?)?;
        let list = client.list_all(Kind::Task, None).await?;
        let tasks = list.items.iter().filter_map(|any| any.of::<Task>());
        let tasks: BTreeMap<&str, &Object<Task>> =
            tasks.filter(|t| t.spec.run == name).map(|t| (t.name(), &**t)).collect();
        let lines = steps(&run, &tasks);
        output::print(&format!("\n{}", output::table(lines, format == Format::Wide)))?;
        if !run.status.phase.is_over() {
            for waits in client.why(Kind::Run, name).await?.waiting_for {
                output::say(&format!("waits for: {waits}"));
            }
        }
        return Ok(Exit::Done);
    }
    let mut list = client.list_all(Kind::Run, None).await?;
    list.items.retain(|any| any.of::<Run>().is_some_and(|run| run.spec.pipeline == name));
    if list.items.is_empty() {
        client.get(Kind::Pipeline, name).await?;
        output::say(&format!("{name} was never run; begin: atoll pipeline run {name}"));
        return Ok(Exit::Done);
    }
    let number = |any: &Any| any.of::<Run>().map(|run| run.spec.number);
    list.items.sort_by_key(|any| std::cmp::Reverse(number(any)));
    output::print(&output::list(list.items, list.revision, format, now())?)?;
    Ok(Exit::Done)
}

/// The word for a cell: for one that failed, that of how its task ended.
fn phase(it: &atoll_model::ci::run::Cell, tasks: &BTreeMap<&str, &Object<Task>>) -> String {
    let task = it.task.as_deref().and_then(|task| tasks.get(task)).map(|task| task.status.phase);
    match task.filter(|ended| it.phase == CellPhase::Failed && ended.is_over()) {
        Some(ended) => word(&ended),
        None => word(&it.phase),
    }
}

fn steps(run: &Object<Run>, tasks: &BTreeMap<&str, &Object<Task>>) -> Vec<Vec<Cell>> {
    let line = |it: &atoll_model::ci::run::Cell| {
        let values: Vec<String> = it.values.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let tone = match it.phase {
            CellPhase::Succeeded => Tone::Good,
            CellPhase::Failed => Tone::Bad,
            CellPhase::Going => Tone::Busy,
            CellPhase::Waiting | CellPhase::Skipped | CellPhase::Cancelled => Tone::Dim,
        };
        vec![
            cell("STEP", &it.step),
            cell("MATRIX", values.join(",")),
            cell("PHASE", phase(it, tasks)).tone(tone),
            cell("RETRIES", it.retries.to_string()),
            cell("TASK", it.task.as_deref().unwrap_or_default()),
        ]
    };
    run.status.cells.iter().map(line).collect()
}

/// Shows the tests of a run, or those of a pipeline that were not always as they should.
///
/// # Errors
/// The client's.
pub(super) async fn tests(client: &Client, name: &str, format: Format) -> anyhow::Result<Exit> {
    if name.contains('.') {
        let told = client.run_tests(name).await?;
        if !format.is_table() {
            return value(&told, format);
        }
        for (suite, totals) in &told.totals {
            output::say(&format!(
                "{}: {} passed, {} failed, {} skipped, in {} ms",
                word(suite),
                totals.passed,
                totals.failed,
                totals.skipped,
                totals.millis
            ));
        }
        let lines: Vec<Vec<Cell>> = told
            .tests
            .iter()
            .map(|test| {
                let tone = match test.case.outcome {
                    TestOutcome::Passed => Tone::Good,
                    TestOutcome::Failed => Tone::Bad,
                    TestOutcome::Skipped => Tone::Dim,
                };
                vec![
                    cell("SUITE", word(&test.case.suite)),
                    cell("GROUP", &test.case.group),
                    cell("TEST", &test.case.name),
                    cell("OUTCOME", word(&test.case.outcome)).tone(tone),
                    cell("FLAKY", if test.flaky { "flaky" } else { "" }),
                    cell("MS", test.case.millis.to_string()),
                    cell("MESSAGE", first_line(test.case.message.as_deref())),
                ]
            })
            .collect();
        return table(lines, format, "it reported no tests");
    }
    let told = client.pipeline_tests(name).await?;
    if !format.is_table() {
        return value(&told, format);
    }
    let lines = told.tests.iter().map(|test| {
        vec![
            cell("SUITE", word(&test.suite)),
            cell("GROUP", &test.group),
            cell("TEST", &test.name),
            cell("PASSED", test.passed.to_string()),
            cell("FAILED", test.failed.to_string()),
            cell("FLAKY", if test.flaky > 0 { test.flaky.to_string() } else { String::new() })
                .tone(Tone::Busy),
            cell("LAST-FAILED", test.last_failed.as_deref().unwrap_or_default()),
        ]
    });
    let none = match told.runs.len() {
        1 => "no test failed in the newest run".to_owned(),
        count => format!("no test failed in the newest {count} runs"),
    };
    table(lines.collect(), format, &none)
}

fn first_line(message: Option<&str>) -> String {
    message.and_then(|text| text.lines().next()).unwrap_or_default().to_owned()
}

fn value<T: serde::Serialize>(of: &T, format: Format) -> anyhow::Result<Exit> {
    let text = if format == Format::Yaml { output::yaml(of)? } else { output::json(of)? };
    output::print(&text)?;
    Ok(Exit::Done)
}

fn table(lines: Vec<Vec<Cell>>, format: Format, none: &str) -> anyhow::Result<Exit> {
    match lines.is_empty() {
        true => output::say(none),
        false => output::print(&output::table(lines, format == Format::Wide))?,
    }
    Ok(Exit::Done)
}

/// Lists what a run left, or fetches one thing of it.
///
/// # Errors
/// The client's; there is no such artefact.
pub(super) async fn artifacts(client: &Client, args: Artifacts) -> anyhow::Result<Exit> {
    super::find(client, &args.run).await?;
    let list = client.list_all(Kind::Task, None).await?;
    let tasks = list.items.iter().filter_map(|any| any.of::<Task>());
    let mut tasks: Vec<_> = tasks.filter(|task| task.spec.run == args.run).collect();
    tasks.sort_by_key(|task| task.meta.created_at);
    let Some(artifact) = args.artifact else {
        let lines = tasks.iter().flat_map(|task| {
            task.status.yields.artifacts.iter().map(move |(name, kept)| {
                vec![
                    cell("ARTIFACT", name),
                    cell("SIZE", size(Memory(kept.size))),
                    cell("ENTRIES", kept.entries.to_string()),
                    cell("TASK", task.name()),
                    cell("DIGEST", &kept.digest).wide(),
                ]
            })
        });
        return table(lines.collect(), Format::Table, "it left nothing");
    };
    // The newest try is the one that counts.
    let found =
        tasks.iter().rev().find(|task| task.status.yields.artifacts.contains_key(&artifact));
    let Some(task) = found else {
        return Err(Failure::not_found(format!("{} left no {artifact}", args.run)).into());
    };
    let archive = client.task_artifact(task.name(), &artifact).await?;
    let to = args.to.unwrap_or_else(|| format!("{artifact}.tar").into());
    if to == Path::new("-") {
        std::io::stdout().lock().write_all(&archive)?;
        return Ok(Exit::Done);
    }
    std::fs::write(&to, &archive).with_context(|| format!("writing {}", to.display()))?;
    output::print_line(&to.display().to_string())?;
    Ok(Exit::Done)
}
