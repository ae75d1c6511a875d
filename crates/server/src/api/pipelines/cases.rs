//! Tests: those of one run, and how those of a pipeline went over its newest runs. A test is flaky
//! that both passed and failed on one commit, in one run or in several.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::api::{PipelineTests, RunTests, TestRecord, TestRun};
use atoll_model::ci::step::Suite;
use atoll_model::ci::task::{TestCase, TestCases, TestOutcome};
use atoll_model::{Any, Object, Pipeline, Run, Snapshot, Task};
use axum::extract::{Path, State};
use axum::{Extension, Json};

use crate::api::error::Answer;
use crate::{App, Server};

/// So many runs of a pipeline are looked at.
const RUNS: usize = 50;
/// So many tests of a run are given.
const MOST: usize = 20_000;

/// A test by suite, group and name.
type Id = (Suite, String, String);

fn id(case: &TestCase) -> Id {
    (case.suite, case.group.clone(), case.name.clone())
}

/// `GET /v1/runs/{name}/tests`.
pub async fn of_run(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Answer<Json<RunTests>> {
    let sight = app.sight(&actor);
    let run = sight.get::<Run>(Verb::Read, &name)?;
    let world = sight.world;
    let flaky = app.flaky(&world, &run).await;
    let mut told = RunTests { totals: run.status.tests.clone(), ..RunTests::default() };
    for task in world.derived::<Task>(&name) {
        let Some(cases) = app.cases(task).await else { continue };
        told.truncated |= cases.truncated;
        told.tests.extend(cases.cases.into_iter().map(|case| TestRun {
            task: task.meta.name.clone(),
            flaky: flaky.contains(&id(&case)),
            case,
        }));
    }
    let rank = |test: &TestRun| match test.case.outcome {
        TestOutcome::Failed => 0,
        _ if test.flaky => 1,
        TestOutcome::Passed => 2,
        TestOutcome::Skipped => 3,
    };
    told.tests.sort_by_key(|test| (rank(test), id(&test.case)));
    told.truncated |= told.tests.len() > MOST;
    told.tests.truncate(MOST);
    Ok(Json(told))
}

/// `GET /v1/pipelines/{name}/tests`.
pub async fn of_pipeline(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Answer<Json<PipelineTests>> {
    let sight = app.sight(&actor);
    let all = sight.world.derived::<Run>(&name).cloned();
    let mut runs: Vec<Arc<Object<Run>>> =
        all.filter(|run| sight.sees(&Any::Run(run.clone()))).collect();
    if runs.is_empty() {
        sight.get::<Pipeline>(Verb::Read, &name)?;
    }
    let world = sight.world;
    runs.sort_by_key(|run| std::cmp::Reverse(run.spec.number));
    runs.truncate(RUNS);
    let mut records: BTreeMap<Id, TestRecord> = BTreeMap::new();
    let mut seen: BTreeMap<(String, Id), (bool, bool)> = BTreeMap::new();
    for run in &runs {
        let commit = commit(run);
        for task in world.derived::<Task>(run.name()) {
            for case in app.cases(task).await.unwrap_or_default().cases {
                let record = records.entry(id(&case)).or_insert_with(|| record(&case));
                let seen = seen.entry((commit.clone(), id(&case))).or_default();
                match case.outcome {
                    TestOutcome::Passed => (record.passed, seen.0) = (record.passed + 1, true),
                    TestOutcome::Failed => {
                        (record.failed, seen.1) = (record.failed + 1, true);
                        record.last_failed.get_or_insert_with(|| run.meta.name.clone());
                    }
                    TestOutcome::Skipped => {}
                }
            }
        }
    }
    for ((_, id), (passed, failed)) in seen {
        if let Some(record) = records.get_mut(&id).filter(|_| passed && failed) {
            record.flaky += 1;
        }
    }
    let mut tests: Vec<TestRecord> = records.into_values().filter(|r| r.failed > 0).collect();
    tests.sort_by_key(|record| std::cmp::Reverse((record.flaky, record.failed)));
    let runs = runs.iter().map(|run| run.meta.name.clone()).collect();
    Ok(Json(PipelineTests { runs, tests }))
}

fn record(case: &TestCase) -> TestRecord {
    let (suite, group, name) = id(case);
    TestRecord { suite, group, name, passed: 0, failed: 0, flaky: 0, last_failed: None }
}

/// What a run is of; one without a commit is of its source, or of itself.
fn commit(run: &Object<Run>) -> String {
    let commit = run.status.commit.as_ref().map(|commit| commit.id.clone());
    commit.or_else(|| run.spec.source.clone()).unwrap_or_else(|| run.meta.name.clone())
}

impl Server {
    /// Every test of a task, where it kept them.
    async fn cases(&self, task: &Object<Task>) -> Option<TestCases> {
        let digest = task.status.yields.cases.as_ref()?;
        let bytes = self.blobs.get(digest).await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The tests that both passed and failed on the commit of a run.
    async fn flaky(&self, world: &Snapshot, run: &Object<Run>) -> BTreeSet<Id> {
        let of = commit(run);
        let (mut passed, mut failed) = (BTreeSet::new(), BTreeSet::new());
        let same = world.derived::<Run>(&run.spec.pipeline).filter(|other| commit(other) == of);
        for other in same.take(RUNS) {
            for task in world.derived::<Task>(other.name()) {
                for case in self.cases(task).await.unwrap_or_default().cases {
                    match case.outcome {
                        TestOutcome::Passed => passed.insert(id(&case)),
                        TestOutcome::Failed => failed.insert(id(&case)),
                        TestOutcome::Skipped => false,
                    };
                }
            }
        }
        passed.intersection(&failed).cloned().collect()
    }
}
