//! Tasks that are going: what is over for another reason than that their host said so. A host that
//! is lost, one that says nothing, and one that is asked to end something; and what those wait for
//! that have none.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::ci::task::{HOST_LOST, TaskPhase};
use atoll_model::{Any, Object, Reason, Span, Task, Write};

use super::{NO_HOST, Turn, Wanted, is_gone};

/// A host has begun a task it was given within this time.
const BEGIN_DEADLINE: Span = Span::seconds(120);
/// Source, inputs, caches and images are there, and what is left is kept, within this time.
const CARRY_DEADLINE: Span = Span::seconds(1_800);
/// A host has said that a task is over so long after it must be.
const SLACK: Span = Span::seconds(60);

impl Turn<'_> {
    /// Says of each step that has tasks without a host what they wait for.
    pub(super) fn tell_of_waiting(&mut self) {
        let waits =
            |task: &&Arc<Object<Task>>| task.spec.host.is_none() && !task.status.phase.is_over();
        let mut told: BTreeMap<&str, Reason> = BTreeMap::new();
        for task in self.tasks.iter().filter(waits) {
            let Some(why) = task.status.reasons.first() else { continue };
            told.entry(&task.spec.step).or_insert_with(|| {
                let message = format!("step {} has no host: {}", task.spec.step, why.message);
                Reason { hint: why.hint.clone(), ..Reason::new(NO_HOST, message) }
            });
        }
        self.status.reasons.extend(told.into_values());
    }

    /// Looks after every task that is not over, and asks for the end of those nobody wants.
    pub(super) fn tend(&mut self, wanted: Wanted) {
        let Some(definition) = self.status.definition.clone() else { return };
        for at in 0..self.tasks.len() {
            let task = self.tasks[at].clone();
            if task.status.phase.is_over() {
                continue;
            }
            let step = definition.step(&task.spec.step);
            let unwanted = !wanted.is(step) || self.is_failing_fast(&task.spec);
            if let Some(new) = self.tended(&task, unwanted) {
                let new = Arc::new(new);
                self.plan.writes.push(Write::Put(Any::Task(new.clone())));
                self.tasks[at] = new;
            }
        }
    }

    fn tended(&mut self, task: &Object<Task>, unwanted: bool) -> Option<Object<Task>> {
        let now = self.cx.now;
        let over = |phase: TaskPhase, code: &str, message: String| {
            let mut new = task.clone();
            // Its host, where there is one, is to end what it may still do of it.
            new.spec.cancelled = task.spec.host.is_some();
            new.status.phase = phase;
            new.status.since = Some(now);
            new.status.reasons = vec![Reason::new(code, message)];
            Some(new)
        };
        let Some(host) = &task.spec.host else {
            let message = "it was ended before it had a host".to_owned();
            return unwanted.then(|| over(TaskPhase::Cancelled, "cancelled", message)).flatten();
        };
        if is_gone(self.cx.world, host) {
            let message = format!("its host {host} is not heard from");
            return match unwanted || task.spec.cancelled {
                true => over(TaskPhase::Cancelled, HOST_LOST, message),
                false => over(TaskPhase::Lost, HOST_LOST, message),
            };
        }
        if unwanted && !task.spec.cancelled {
            let mut new = task.clone();
            new.meta.generation += 1;
            new.spec.cancelled = true;
            new.status.since = Some(now);
            self.look_again(now + deadline(&new));
            return Some(new);
        }
        let due = task.status.since.unwrap_or(now) + deadline(task);
        if now < due {
            self.look_again(due);
            return None;
        }
        let late = deadline(task);
        match task.status.phase {
            _ if task.spec.cancelled => {
                let message = format!("{host} did not say within {late} that it has ended");
                over(TaskPhase::Cancelled, "not-answered", message)
            }
            TaskPhase::Pending => {
                let message = format!("{host} has not begun it within {late}");
                over(TaskPhase::Lost, "not-begun", message)
            }
            TaskPhase::Running => {
                let message = format!("it ran for {late}, and {host} did not end it");
                over(TaskPhase::TimedOut, "too-long", message)
            }
            _ => {
                let said = task.status.reasons.first();
                let said = said.map(|why| format!(": {}", why.message)).unwrap_or_default();
                let message = format!("{host} did not get on with it within {late}{said}");
                over(TaskPhase::Lost, "stuck", message)
            }
        }
    }
}

/// How long a task may stay in its phase.
fn deadline(task: &Object<Task>) -> Span {
    let limits = &task.spec.work.limits;
    let plus = |a: Span, b: Span| Span(a.0.saturating_add(b.0));
    match task.status.phase {
        _ if task.spec.cancelled => plus(limits.grace, SLACK),
        TaskPhase::Pending => BEGIN_DEADLINE,
        TaskPhase::Running => plus(plus(limits.timeout, limits.grace), SLACK),
        _ => CARRY_DEADLINE,
    }
}
