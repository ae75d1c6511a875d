//! The cells of a run: laid out at its beginning, and brought on as far as their tasks and the
//! steps before them allow.

use std::sync::Arc;

use atoll_model::ci::fill::Names;
use atoll_model::ci::pipeline::Pipeline;
use atoll_model::ci::run::{Cell, CellPhase};
use atoll_model::ci::step::Step;
use atoll_model::ci::task::TaskPhase;
use atoll_model::name::LONGEST;
use atoll_model::{Any, Reason, Task, Write};

use super::{Turn, Wanted, names};

/// What a cell that waits may do.
enum Gate {
    Wait,
    Begin,
    LeaveOut(CellPhase),
}

impl Turn<'_> {
    /// Makes the cells, and fills in the group.
    pub(super) fn lay_out(&mut self, definition: &Pipeline) -> Result<(), Reason> {
        let names = names::names(self.run, definition);
        let names = Names {
            commit: self.status.commit.as_ref().map_or(names.commit.clone(), |c| c.id.clone()),
            ..names
        };
        let wrong = |at: &str, why: String| {
            Reason::new("definition-invalid", format!("{}: spec.{at}: {why}", self.file()))
        };
        let mut cells = Vec::new();
        for (i, step) in definition.steps.iter().enumerate() {
            for values in step.matrix.cells() {
                let names =
                    Names { step: step.name.clone(), matrix: values.clone(), ..names.clone() };
                let wanted = step.when.as_ref().map_or(Ok(true), |when| names.is_true(when));
                let wanted = wanted.map_err(|why| wrong(&format!("steps[{i}].when"), why))?;
                let phase = if wanted { CellPhase::Waiting } else { CellPhase::Skipped };
                cells.push(Cell { step: step.name.clone(), values, phase, task: None, retries: 0 });
            }
            // The names of tasks hold those of pipeline, run and step, and a number or two.
            if self.run.name().len() + step.name.len() + 12 > LONGEST {
                let why = "its name and the pipeline's are too long together".to_owned();
                return Err(wrong(&format!("steps[{i}].name"), why));
            }
        }
        let group = definition.concurrency.as_ref().map(|rule| names.fill(&rule.group));
        let group = group.transpose().map_err(|why| wrong("concurrency.group", why))?;
        (self.status.cells, self.status.group) = (cells, group);
        Ok(())
    }

    /// Brings every cell on as far as it goes.
    ///
    /// **Invariant:** a cell has at most one task that is not over.
    pub(super) fn advance(&mut self, wanted: Wanted) {
        let Some(definition) = self.status.definition.clone() else { return };
        for at in 0..self.status.cells.len() {
            if self.status.cells[at].phase == CellPhase::Going {
                self.follow(&definition, at, wanted);
            }
        }
        // What is left out lets others go on, or be left out, in the same turn.
        loop {
            let mut moved = false;
            for at in 0..self.status.cells.len() {
                if self.status.cells[at].phase == CellPhase::Waiting {
                    moved |= self.try_begin(&definition, at, wanted);
                }
            }
            if !moved {
                break;
            }
        }
    }

    /// Takes over what has become of a cell's newest task; tries again where that is the rule.
    fn follow(&mut self, definition: &Pipeline, at: usize, wanted: Wanted) {
        let cell = self.status.cells[at].clone();
        let Some(step) = definition.step(&cell.step) else { return };
        let Some(task) = self.newest(&cell).cloned() else {
            // Its task was never stored: the whole turn is, or nothing of it.
            self.status.cells[at].phase = CellPhase::Failed;
            return;
        };
        let phase = task.status.phase;
        if !phase.is_over() {
            return;
        }
        let ended = |phases: &[TaskPhase]| {
            let ours = self.tasks.iter().filter(|task| task.spec.cell as usize == at);
            ours.filter(|task| phases.contains(&task.status.phase)).count()
        };
        let again = match phase {
            TaskPhase::Lost => ended(&[TaskPhase::Lost]) <= step.retry.lost as usize,
            TaskPhase::Failed | TaskPhase::TimedOut | TaskPhase::OverLimit => {
                let all = [TaskPhase::Failed, TaskPhase::TimedOut, TaskPhase::OverLimit];
                ended(&all) <= step.retry.failed as usize
            }
            _ => false,
        };
        if again && wanted.is(Some(step)) && !self.is_failing_fast(&task.spec) {
            let cell = &mut self.status.cells[at];
            cell.retries += 1;
            self.make_task(definition, step, at);
            return;
        }
        self.status.cells[at].phase = match phase {
            TaskPhase::Succeeded => CellPhase::Succeeded,
            TaskPhase::Cancelled => CellPhase::Cancelled,
            _ => CellPhase::Failed,
        };
    }

    /// Whether another cell of its step has failed, and that ends all of them.
    pub(super) fn is_failing_fast(&self, task: &Task) -> bool {
        let rule = self.status.definition.as_ref().and_then(|d| d.step(&task.step));
        rule.is_some_and(|step| step.matrix.fail_fast) && {
            let mut cells = self.status.cells.iter().filter(|cell| cell.step == task.step);
            cells.any(|cell| cell.phase == CellPhase::Failed)
        }
    }

    fn try_begin(&mut self, definition: &Pipeline, at: usize, wanted: Wanted) -> bool {
        let Some(step) = definition.step(&self.status.cells[at].step) else { return false };
        match self.gate(definition, step, wanted) {
            Gate::Wait => return false,
            Gate::LeaveOut(phase) => self.status.cells[at].phase = phase,
            Gate::Begin => self.make_task(definition, step, at),
        }
        true
    }

    fn gate(&self, definition: &Pipeline, step: &Step, wanted: Wanted) -> Gate {
        if !wanted.is(Some(step)) {
            return Gate::LeaveOut(CellPhase::Cancelled);
        }
        let of = |name: &str| {
            let name = name.to_owned();
            self.status.cells.iter().filter(move |cell| cell.step == name)
        };
        let before = self.before(definition, step, |_| true);
        if before.iter().any(|need| of(&need.name).any(|cell| !cell.phase.is_over())) {
            return Gate::Wait;
        }
        let before = self.before(definition, step, |need| !need.always);
        if !step.always && before.iter().any(|need| self.is_broken(need)) {
            return Gate::LeaveOut(CellPhase::Skipped);
        }
        if step.matrix.fail_fast && of(&step.name).any(|cell| cell.phase == CellPhase::Failed) {
            return Gate::LeaveOut(CellPhase::Cancelled);
        }
        let going = of(&step.name).filter(|cell| cell.phase == CellPhase::Going).count();
        match step.matrix.parallel {
            Some(most) if going >= most.max(1) as usize => Gate::Wait,
            _ => Gate::Begin,
        }
    }

    /// The steps a step needs and, where one of them is left out and is one to look `through`,
    /// those it needs in turn.
    fn before<'a>(
        &self,
        definition: &'a Pipeline,
        step: &'a Step,
        through: impl Fn(&Step) -> bool,
    ) -> Vec<&'a Step> {
        let is_left_out = |name: &str| {
            let mut cells = self.status.cells.iter().filter(|cell| cell.step == name);
            cells.any(|cell| cell.phase == CellPhase::Skipped)
        };
        let mut found: Vec<&Step> = Vec::new();
        let mut next: Vec<&String> = step.needs.iter().collect();
        while let Some(name) = next.pop() {
            let Some(need) = definition.step(name) else { continue };
            if found.iter().any(|known| known.name == need.name) {
                continue;
            }
            found.push(need);
            if through(need) && is_left_out(&need.name) {
                next.extend(&need.needs);
            }
        }
        found
    }

    /// Whether a step has failed, and that matters.
    fn is_broken(&self, step: &Step) -> bool {
        let mut cells = self.status.cells.iter().filter(|cell| cell.step == step.name);
        let failed = |cell: &Cell| matches!(cell.phase, CellPhase::Failed | CellPhase::Cancelled);
        !step.may_fail && cells.any(failed)
    }

    /// Gives a cell its next task.
    fn make_task(&mut self, definition: &Pipeline, step: &Step, at: usize) {
        let ours = self.tasks.iter().filter(|task| task.spec.cell as usize == at);
        let tried = ours.count();
        match self.task(definition, step, at, tried) {
            Ok(task) => {
                let task = Arc::new(task);
                self.status.cells[at].task = Some(task.meta.name.clone());
                self.status.cells[at].phase = CellPhase::Going;
                self.plan.writes.push(Write::Put(Any::Task(task.clone())));
                self.tasks.push(task);
            }
            Err(why) => {
                let message = format!("step {} cannot be begun: {why}", step.name);
                self.status.reasons.push(Reason::new("definition-invalid", message));
                self.status.cells[at].phase = CellPhase::Failed;
            }
        }
    }
}
