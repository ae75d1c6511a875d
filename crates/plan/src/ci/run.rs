//! One run: from its source to its last step, a turn at a time. Every state has a deadline and an
//! end that can be asked for, so that none is for ever. Not which host does a task, which is the
//! queue's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::ci::pipeline::Pipeline;
use atoll_model::ci::run::{Cell, CellPhase, Made, RunPhase, RunStatus};
use atoll_model::ci::step::Step;
use atoll_model::cmdb::HostPhase;
use atoll_model::{
    Any, Host, Intent, Kind, Object, Reason, Run, Secret, Snapshot, Span, Task, Timestamp, Write,
};

use crate::{Context, Plan, sooner};

mod cells;
pub(crate) mod names;
mod tend;
mod work;

/// The source has to be there within this time.
const SOURCE_DEADLINE: Span = Span::seconds(600);
/// A run without a definition, as it failed early, is kept so long.
const USUAL_KEEP: Span = Span::seconds(30 * 86_400);
/// Steps that are always done have so long when a run is ended early.
pub(crate) const LAST_STEPS: Span = Span::seconds(300);
/// The reason of a run that was ended by a newer one of its group.
const SUPERSEDED: &str = "superseded";
/// The reason of a run of which a task has no host.
pub(crate) const NO_HOST: &str = "waits-for-host";

/// Plans for one run.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(run) = cx.world.get::<Run>(name) else { return Plan::nothing() };
    let mut turn = Turn {
        cx,
        run,
        status: run.status.clone(),
        tasks: cx.world.derived::<Task>(name).cloned().collect(),
        plan: Plan::new(Intent::Observe),
    };
    turn.take();
    turn.done()
}

/// The runs a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Run(run)) => {
            let mut names = vec![run.meta.name.clone()];
            // Who is in its group may have its turn, or has to make room.
            if let Some(group) = &run.status.group {
                names.extend(in_group(world, group).map(|other| other.meta.name.clone()));
            }
            names
        }
        Some(Any::Task(task)) => vec![task.spec.run.clone()],
        Some(Any::Host(host)) => {
            let phase = |any: Option<&Any>| match any {
                Some(Any::Host(host)) => Some(host.status.phase),
                _ => None,
            };
            if phase(old) == phase(new) {
                return Vec::new();
            }
            world.tasks_on(host.name()).map(|task| task.spec.run.clone()).collect()
        }
        Some(Any::Pipeline(pipeline)) => {
            let waits = |run: &&Arc<Object<Run>>| run.status.phase == RunPhase::Pending;
            let runs = world.derived::<Run>(pipeline.name()).filter(waits);
            runs.map(|run| run.meta.name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// The runs of a group that are not over.
fn in_group<'a>(
    world: &'a Snapshot,
    group: &'a str,
) -> impl Iterator<Item = &'a Arc<Object<Run>>> + 'a {
    let ours = move |run: &&Arc<Object<Run>>| {
        run.status.group.as_deref() == Some(group) && !run.status.phase.is_over()
    };
    world.all::<Run>().filter(ours)
}

/// Why a run ends before its steps are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Asked,
    Superseded,
    Late,
}

/// Which steps are still done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// The run is being ended, and what is always done still is.
    Always,
    None,
}

impl Wanted {
    fn is(self, step: Option<&Step>) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Always => step.is_some_and(|step| step.always),
            Wanted::None => false,
        }
    }
}

/// One turn of one run: what is changed of it and of its tasks.
struct Turn<'a> {
    cx: &'a Context<'a>,
    run: &'a Arc<Object<Run>>,
    status: RunStatus,
    /// As they are to be after the turn, by name.
    tasks: Vec<Arc<Object<Task>>>,
    plan: Plan,
}

impl Turn<'_> {
    fn take(&mut self) {
        if self.status.phase.is_over() {
            return self.keep_or_forget();
        }
        self.status.reasons.retain(|reason| reason.code != NO_HOST);
        let ending = self.ending();
        if self.status.phase == RunPhase::Pending && ending.is_none() {
            self.begin();
        }
        if self.status.phase == RunPhase::Waiting && ending.is_none() {
            self.wait();
        }
        let wanted = self.wanted(ending);
        if self.status.phase == RunPhase::Running {
            self.tend(wanted);
            self.advance(wanted);
        }
        if wanted == Wanted::None {
            // What was not begun never will be.
            let waiting = self.status.cells.iter_mut().filter(|c| c.phase == CellPhase::Waiting);
            waiting.for_each(|cell| cell.phase = CellPhase::Cancelled);
        }
        let over = self.status.cells.iter().all(|cell| cell.phase.is_over());
        if let Some(ending) = ending {
            if over && self.is_idle() {
                self.end_early(ending);
            }
        } else if self.status.phase == RunPhase::Running && over && self.is_idle() {
            self.end();
        } else if self.status.phase == RunPhase::Running {
            self.tell_of_waiting();
        }
    }

    fn wanted(&mut self, ending: Option<Ending>) -> Wanted {
        if ending.is_none() {
            return Wanted::All;
        }
        let since = *self.status.ending_at.get_or_insert(self.cx.now);
        let until = since + LAST_STEPS;
        let begun = self.status.phase == RunPhase::Running;
        if !begun || self.run.meta.deleting() || self.cx.now >= until {
            return Wanted::None;
        }
        self.look_again(until);
        Wanted::Always
    }

    /// Whether no task is going any more.
    fn is_idle(&self) -> bool {
        self.tasks.iter().all(|task| task.status.phase.is_over())
    }

    fn ending(&mut self) -> Option<Ending> {
        let (now, status) = (self.cx.now, &self.status);
        if self.run.spec.cancelled || self.run.meta.deleting() {
            return Some(Ending::Asked);
        }
        if status.reasons.iter().any(|reason| reason.code == SUPERSEDED) {
            return Some(Ending::Superseded);
        }
        if let Some(newer) = self.newer() {
            let message = format!("{newer} of the same group is newer");
            self.status.reasons = vec![Reason::new(SUPERSEDED, message)];
            return Some(Ending::Superseded);
        }
        let timeout = status.definition.as_ref()?.timeout;
        let due = status.started_at? + timeout;
        if now >= due {
            return Some(Ending::Late);
        }
        self.look_again(due);
        None
    }

    /// A newer run of the group, where newer ones end older ones.
    fn newer(&self) -> Option<String> {
        let group = self.status.group.as_ref()?;
        let rule = self.status.definition.as_ref()?.concurrency.as_ref()?;
        let is_newer = |other: &&Arc<Object<Run>>| age(other) > age(self.run);
        let newer = in_group(self.cx.world, group).filter(|_| rule.cancel).find(is_newer)?;
        Some(newer.meta.name.clone())
    }

    fn look_again(&mut self, at: Timestamp) {
        self.plan.again_at = sooner(self.plan.again_at, Some(at));
    }

    fn fail(&mut self, reasons: Vec<Reason>) {
        self.status.phase = RunPhase::Failed;
        self.status.ended_at = Some(self.cx.now);
        self.status.reasons = reasons;
    }

    /// Takes what was handed in; what comes from a repository, the server brings.
    fn begin(&mut self) {
        let spec = &self.run.spec;
        if self.status.definition.is_none() {
            let stored = self.cx.world.get::<atoll_model::Pipeline>(&spec.pipeline);
            let declared = stored.map(|stored| &stored.spec);
            let fetched = declared.is_some_and(|declared| declared.source.is_some());
            if fetched && spec.source.is_none() && spec.definition.is_none() {
                return self.await_source();
            }
            let declared = declared.filter(|declared| !declared.steps.is_empty());
            let handed_in = spec.definition.clone();
            self.status.definition =
                handed_in.or_else(|| declared.map(|declared| Box::new(declared.clone())));
            self.status.source.clone_from(&spec.source);
        }
        let Some(definition) = self.status.definition.clone() else {
            let message = format!("there is nothing to do: {} has no steps", spec.pipeline);
            let hint = "write steps into the Pipeline of atoll.yaml";
            return self.fail(vec![Reason::new("no-steps", message).hint(hint)]);
        };
        let wrong = self.problems(&definition);
        if !wrong.is_empty() {
            return self.fail(wrong);
        }
        match self.lay_out(&definition) {
            Ok(()) => self.status.phase = RunPhase::Waiting,
            Err(reason) => self.fail(vec![reason]),
        }
    }

    fn await_source(&mut self) {
        let due = self.run.meta.created_at.unwrap_or(self.cx.now) + SOURCE_DEADLINE;
        if self.cx.now >= due {
            let mut reasons = self.status.reasons.clone();
            let message = format!("its source was not there within {SOURCE_DEADLINE}");
            reasons.push(Reason::new("source-late", message).hint("see whether git is reached"));
            return self.fail(reasons);
        }
        self.look_again(due);
    }

    /// What is wrong with a definition and with what was given to the run.
    fn problems(&self, definition: &Pipeline) -> Vec<Reason> {
        use atoll_model::Spec;
        let invalid = definition.validate().err().map(|invalid| invalid.0).unwrap_or_default();
        let said = invalid.into_iter().map(|problem| {
            Reason::new("definition-invalid", format!("{}: spec.{problem}", self.file()))
        });
        let mut wrong: Vec<Reason> = said.collect();
        wrong.extend(names::wrong_params(&definition.params, &self.run.spec.params));
        let secrets = definition.steps.iter().flat_map(|step| step.secrets.values());
        let named: BTreeSet<&String> = secrets.collect();
        let pipeline = &self.run.spec.pipeline;
        let secret = |name: &str| self.cx.world.get::<Secret>(name);
        let foreign = named.iter().filter(|n| secret(n).is_some_and(|s| !s.spec.is_for(pipeline)));
        wrong.extend(foreign.map(|name| {
            let message = format!("secret {name} is not for pipeline {pipeline}");
            let hint = format!("name the pipeline in spec.pipelines of secret/{name}");
            Reason::new("secret-foreign", message).hint(hint)
        }));
        let missing = named.into_iter().filter(|name| secret(name).is_none());
        wrong.extend(missing.map(|name| {
            Reason::new("secret-missing", format!("there is no secret {name}"))
                .hint(format!("set it: atoll secret set {name}"))
        }));
        wrong
    }

    /// The file the definition stands in.
    fn file(&self) -> String {
        let stored = self.cx.world.get::<atoll_model::Pipeline>(&self.run.spec.pipeline);
        let source = stored.and_then(|stored| stored.spec.source.as_ref());
        source.map_or("atoll.yaml", |source| &source.file).to_owned()
    }

    /// Waits for the others of its group that came before, or are going.
    fn wait(&mut self) {
        if let Some(group) = &self.status.group {
            let before = in_group(self.cx.world, group).find(|other| {
                let going = other.status.phase == RunPhase::Running;
                other.name() != self.run.name() && (going || age(other) < age(self.run))
            });
            if let Some(before) = before {
                let message = format!("waits for {}, of the same group {group}", before.name());
                self.status.reasons = vec![Reason::new("waits-in-group", message)];
                return;
            }
        }
        self.status.reasons.clear();
        self.status.phase = RunPhase::Running;
        self.status.started_at = Some(self.cx.now);
        if let Some(definition) = &self.status.definition {
            self.look_again(self.cx.now + definition.timeout);
        }
    }

    fn end_early(&mut self, ending: Ending) {
        let reason = match ending {
            Ending::Asked => Some(Reason::new("cancelled", "it was ended by a person")),
            Ending::Superseded => None,
            Ending::Late => {
                let timeout = self.status.definition.as_ref().map(|d| d.timeout);
                let message = format!("it took longer than {}", timeout.unwrap_or_default());
                Some(Reason::new("too-long", message).hint("raise the pipeline's timeout"))
            }
        };
        self.status.phase = match ending {
            Ending::Late => RunPhase::TimedOut,
            Ending::Asked | Ending::Superseded => RunPhase::Cancelled,
        };
        self.status.ended_at = Some(self.cx.now);
        self.status.reasons.extend(reason);
        self.sum_up();
        if self.run.meta.deleting() {
            self.keep_or_forget();
        }
    }

    fn end(&mut self) {
        let Some(definition) = self.status.definition.clone() else { return };
        let matters = |cell: &&Cell| {
            let may_fail = definition.step(&cell.step).is_some_and(|step| step.may_fail);
            matches!(cell.phase, CellPhase::Failed | CellPhase::Cancelled) && !may_fail
        };
        let failed: Vec<&Cell> = self.status.cells.iter().filter(matters).collect();
        let unfilled = self.status.reasons.iter().filter(|r| r.code == "definition-invalid");
        let mut reasons: Vec<Reason> = unfilled.cloned().collect();
        reasons.extend(self.why_failed(&failed));
        self.status.phase = if failed.is_empty() { RunPhase::Succeeded } else { RunPhase::Failed };
        self.status.ended_at = Some(self.cx.now);
        self.status.reasons = reasons;
        self.sum_up();
        self.tell_of_tests();
    }

    /// Says that tests failed: a step whose command takes that as success succeeds all the same.
    fn tell_of_tests(&mut self) {
        let passed = self.status.phase == RunPhase::Succeeded;
        let but = if passed { ", though no step failed" } else { "" };
        let name = self.run.name();
        let said = self.status.tests.iter().filter(|(_, totals)| totals.failed > 0);
        let said = said.map(|(suite, totals)| {
            let all = totals.passed + totals.failed;
            let message = format!("{} of {all} {suite} tests failed{but}", totals.failed);
            Reason::new("tests-failed", message).hint(format!("atoll pipeline tests {name}"))
        });
        let said: Vec<Reason> = said.collect();
        self.status.reasons.extend(said);
    }

    /// What failed, each cell with its own reason, before what was only ended because of it.
    fn why_failed(&self, cells: &[&Cell]) -> Vec<Reason> {
        let failed = cells.iter().filter(|cell| cell.phase == CellPhase::Failed);
        let mut reasons: Vec<Reason> = failed.map(|cell| self.why_one_failed(cell)).collect();
        let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
        for cell in cells.iter().filter(|cell| cell.phase == CellPhase::Cancelled) {
            *ended.entry(&cell.step).or_default() += 1;
        }
        reasons.extend(ended.into_iter().map(|(step, count)| {
            let were =
                if count == 1 { "1 cell was".to_owned() } else { format!("{count} cells were") };
            let another = cells.iter().any(|c| c.phase == CellPhase::Failed && c.step == step);
            let since = if another { ", as another failed" } else { "" };
            let message = format!("{were} ended of step {step}{since}");
            Reason::new("step-cancelled", message)
        }));
        reasons
    }

    fn why_one_failed(&self, cell: &Cell) -> Reason {
        let values: Vec<String> = cell.values.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let at =
            if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) };
        let name = cell.task.as_deref().unwrap_or_default();
        let task = self.tasks.iter().find(|task| task.name() == name);
        let why = match task.and_then(|task| task.status.reasons.first()) {
            Some(reason) => format!(": {}", reason.message),
            None => task
                .and_then(|task| task.status.exit_code)
                .map(|code| format!(" with exit code {code}"))
                .unwrap_or_default(),
        };
        let message = format!("step {}{at} failed{why}", cell.step);
        Reason::new("step-failed", message).hint(format!("atoll logs task/{name}"))
    }

    /// Sums of what the newest task of each cell has brought.
    fn sum_up(&mut self) {
        let mut tests = BTreeMap::new();
        let mut made: Option<Made> = None;
        for cell in &self.status.cells {
            let task = self.tasks.iter().find(|task| Some(&task.meta.name) == cell.task.as_ref());
            let Some(task) = task else { continue };
            for (suite, totals) in &task.status.yields.tests {
                let sum: &mut atoll_model::ci::task::TestTotals = tests.entry(*suite).or_default();
                sum.passed += totals.passed;
                sum.failed += totals.failed;
                sum.skipped += totals.skipped;
                sum.millis += totals.millis;
            }
            if cell.phase == CellPhase::Succeeded {
                made = task.status.yields.made.clone().or(made);
            }
        }
        self.status.tests = tests;
        self.status.made = made;
    }

    /// What is over stays as long as it is to be kept, with its tasks.
    fn keep_or_forget(&mut self) {
        let keep = self.status.definition.as_ref().map_or(USUAL_KEEP, |d| d.keep);
        let until = self.status.ended_at.unwrap_or(self.cx.now) + keep;
        if !self.run.meta.deleting() && self.cx.now < until {
            return self.look_again(until);
        }
        self.plan.intent = Intent::Remove;
        // Whatever else was planned for them in this turn is of no use any more.
        self.plan.writes.clear();
        let deletes = self.tasks.iter().map(|task| delete(Kind::Task, &task.meta));
        self.plan.writes.extend(deletes);
        self.plan.writes.push(delete(Kind::Run, &self.run.meta));
    }

    /// The plan of the turn.
    fn done(mut self) -> Plan {
        let removes = self.plan.intent == Intent::Remove;
        if !removes && self.status != self.run.status {
            let mut new = Object::clone(self.run);
            new.status = self.status;
            if new.status.phase != self.run.status.phase {
                self.plan.reasons.clone_from(&new.status.reasons);
            }
            self.plan.writes.push(Write::Put(Any::Run(Arc::new(new))));
        }
        self.plan
    }
}

/// Which of two runs came first.
fn age(run: &Object<Run>) -> (Option<Timestamp>, &str, u64) {
    (run.meta.created_at, &run.spec.pipeline, run.spec.number)
}

fn delete(kind: Kind, meta: &atoll_model::Meta) -> Write {
    Write::Delete { kind, name: meta.name.clone(), revision: meta.revision }
}

/// Whether a host does nothing any more that it was given.
fn is_gone(world: &Snapshot, host: &str) -> bool {
    world.get::<Host>(host).is_none_or(|host| host.status.phase == HostPhase::Unknown)
}
