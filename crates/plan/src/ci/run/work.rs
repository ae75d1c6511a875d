//! A step's cell as a task: everything filled in, so that an agent needs nothing else but the
//! values of secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::ci::fill::Names;
use atoll_model::ci::pipeline::Pipeline;
use atoll_model::ci::run::Cell;
use atoll_model::ci::step::{Cached, Step};
use atoll_model::ci::task::{Form, Making, TaskPhase, Work};
use atoll_model::{Object, Task};

use super::{Turn, names};

impl Turn<'_> {
    /// The task that does a cell, at the given try.
    ///
    /// # Errors
    /// What cannot be filled in.
    pub(super) fn task(
        &self,
        definition: &Pipeline,
        step: &Step,
        at: usize,
        tried: usize,
    ) -> Result<Object<Task>, String> {
        let cell = &self.status.cells[at];
        let mut run = Object::clone(self.run);
        run.status.commit.clone_from(&self.status.commit);
        let names = Names {
            step: step.name.clone(),
            matrix: cell.values.clone(),
            ..names::names(&run, definition)
        };
        let spec = Task {
            run: self.run.meta.name.clone(),
            step: step.name.clone(),
            cell: u32::try_from(at).unwrap_or(u32::MAX),
            on: step.on.clone(),
            priority: definition.priority,
            host: None,
            cancelled: false,
            work: self.work(definition, step, &names)?,
        };
        let mut task = Object::new(self.task_name(cell, at, tried), spec);
        task.meta.generation = 1;
        task.meta.created_at = Some(self.cx.now);
        task.status.phase = TaskPhase::Pending;
        task.status.since = Some(self.cx.now);
        Ok(task)
    }

    /// `shop.12.unit.0`, and `shop.12.unit.0-1` for the first time it is tried again.
    pub(super) fn task_name(&self, cell: &Cell, at: usize, tried: usize) -> String {
        let first = self.status.cells.iter().position(|other| other.step == cell.step);
        let number = at - first.unwrap_or(at);
        let again = if tried == 0 { String::new() } else { format!("-{tried}") };
        format!("{}.{}.{number}{again}", self.run.name(), cell.step)
    }

    fn work(&self, definition: &Pipeline, step: &Step, names: &Names) -> Result<Work, String> {
        let mut command = Vec::new();
        if !step.run.trim().is_empty() {
            command.clone_from(&step.shell);
            command.push(names.fill(&step.run)?);
        }
        let fill_keys = |cache: &Cached| {
            let or: Result<Vec<String>, String> =
                cache.or.iter().map(|key| names.fill_key(key)).collect();
            Ok(Cached { key: names.fill_key(&cache.key)?, or: or?, paths: cache.paths.clone() })
        };
        let caches: Result<Vec<Cached>, String> = step.caches.iter().map(fill_keys).collect();
        let making = |rule: &atoll_model::ci::step::ReleaseRule| {
            let version = match &rule.version {
                Some(version) => names.fill(version)?,
                None => names.run.number.to_string(),
            };
            let form = match (&rule.package, &rule.image) {
                (_, Some(image)) => Form::Image(image.clone()),
                (package, None) => Form::Package(package.clone().unwrap_or_default()),
            };
            Ok(Making { application: names.application.clone(), version, form })
        };
        let release: Option<Result<Making, String>> = step.release.as_ref().map(making);
        Ok(Work {
            command,
            image: step.image.clone(),
            run_as: None,
            dir: step.dir.clone(),
            env: environment(step, names)?,
            secrets: step.secrets.clone(),
            services: step.services.clone(),
            limits: step.limits.clone(),
            source: self.status.source.clone(),
            inputs: self.inputs(definition, step),
            caches: caches?,
            cache_scope: self.run.spec.pipeline.clone(),
            artifacts: step.artifacts.clone(),
            tests: step.tests.clone(),
            release: release.transpose()?,
        })
    }

    /// What steps before left, by name; of a step with several cells, `NAME.0`, `NAME.1`, ….
    fn inputs(&self, definition: &Pipeline, step: &Step) -> BTreeMap<String, String> {
        let mut inputs = BTreeMap::new();
        for before in definition.before(step) {
            let cells = self.status.cells.iter().filter(|cell| cell.step == before.name);
            let cells: Vec<&Cell> = cells.collect();
            for (number, cell) in cells.iter().enumerate() {
                let Some(task) = self.newest(cell) else { continue };
                for (name, kept) in &task.status.yields.artifacts {
                    if step.inputs.contains(name) {
                        let one = cells.len() == 1;
                        let key = if one { name.clone() } else { format!("{name}.{number}") };
                        inputs.insert(key, kept.digest.clone());
                    }
                }
            }
        }
        inputs
    }

    /// The newest task of a cell.
    pub(super) fn newest(&self, cell: &Cell) -> Option<&Arc<Object<Task>>> {
        let name = cell.task.as_ref()?;
        self.tasks.iter().find(|task| task.meta.name == *name)
    }
}

/// What a step finds in its environment, besides what the agent adds.
fn environment(step: &Step, names: &Names) -> Result<BTreeMap<String, String>, String> {
    let number = names.run.number.to_string();
    let own = [
        ("CI", "true"),
        ("ATOLL_PIPELINE", &names.pipeline),
        ("ATOLL_RUN", &names.run.name),
        ("ATOLL_NUMBER", &number),
        ("ATOLL_STEP", &names.step),
        ("ATOLL_BRANCH", &names.branch),
        ("ATOLL_COMMIT", &names.commit),
    ];
    let mut env: BTreeMap<String, String> =
        own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in &step.env {
        env.insert(name.clone(), names.fill(value)?);
    }
    Ok(env)
}
