//! The tasks of a simulated host: each runs for a while and ends, or does not, as it was said to
//! behave. What instances do is in `agent.rs`.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::agent::{AssignedTask, TaskReport};
use atoll_model::ci::step::Suite;
use atoll_model::ci::task::{TaskPhase, TestTotals, Yields};
use atoll_model::{Reason, Span, Timestamp};

use super::process::{Behaviour, Due, Step};
use super::random::Random;

/// The tasks of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs {
    /// Every task that was begun on this host.
    pub begun: Vec<String>,
    jobs: BTreeMap<String, TaskReport>,
    unsaid: BTreeSet<String>,
}

impl Jobs {
    /// Begins what is new, ends what is not wanted any more, forgets what is not listed.
    pub fn take(
        &mut self,
        assigned: Vec<AssignedTask>,
        now: Timestamp,
        random: &mut Random,
    ) -> Vec<Due> {
        let listed: BTreeSet<&String> = assigned.iter().map(|task| &task.name).collect();
        self.jobs.retain(|name, _| listed.contains(name));
        self.unsaid.retain(|name| listed.contains(name));
        let mut due = Vec::new();
        for task in assigned {
            let known = self.jobs.contains_key(&task.name);
            if !known && self.begun.contains(&task.name) {
                // What was going when the machine went off is not begun again, and not reported.
                continue;
            }
            let said = self.jobs.entry(task.name.clone()).or_insert_with(|| TaskReport {
                name: task.name.clone(),
                generation: task.generation,
                phase: TaskPhase::Running,
                exit_code: None,
                started_at: Some(now),
                ended_at: None,
                yields: Yields::default(),
                reasons: Vec::new(),
            });
            said.generation = task.generation;
            if !known {
                self.begun.push(task.name.clone());
                self.unsaid.insert(task.name.clone());
                let after = random.span(Span(2_000), Span(4_000));
                due.push(Due { after, instance: task.name.clone(), life: 0, step: Step::Ended });
            }
            if task.cancel && !said.phase.is_over() {
                said.phase = TaskPhase::Cancelled;
                said.ended_at = Some(now);
                self.unsaid.insert(task.name);
            }
        }
        due
    }

    /// A task ends, or goes on, as it behaves.
    pub fn end(&mut self, due: &Due, behaviour: Behaviour, now: Timestamp) -> Option<Due> {
        let said = self.jobs.get_mut(&due.instance).filter(|said| !said.phase.is_over())?;
        match behaviour {
            Behaviour::Deaf => return None,
            Behaviour::Slow(more) if due.life == 0 => {
                let (instance, step) = (due.instance.clone(), Step::Ended);
                return Some(Due { after: more, instance, life: 1, step });
            }
            Behaviour::Dies => {
                said.phase = TaskPhase::Failed;
                said.exit_code = Some(1);
                said.reasons = vec![Reason::new("exited", "its command exited with 1")];
            }
            Behaviour::Good | Behaviour::Slow(_) | Behaviour::Fades(_) => {
                said.phase = TaskPhase::Succeeded;
                said.exit_code = Some(0);
                if matches!(behaviour, Behaviour::Fades(_)) {
                    let totals = TestTotals { passed: 2, failed: 1, ..TestTotals::default() };
                    said.yields.tests = [(Suite::Unit, totals)].into();
                }
            }
        }
        said.ended_at = Some(now);
        self.unsaid.insert(due.instance.clone());
        None
    }

    /// The machine went off.
    pub fn clear(&mut self) {
        self.jobs.clear();
        self.unsaid.clear();
    }

    /// Whether there is something to say.
    pub fn has_news(&self) -> bool {
        !self.unsaid.is_empty()
    }

    /// What is said of tasks: everything, or what is new.
    pub fn report(&mut self, full: bool) -> Vec<TaskReport> {
        let unsaid = std::mem::take(&mut self.unsaid);
        let said = self.jobs.values().filter(|said| full || unsaid.contains(&said.name));
        said.cloned().collect()
    }
}
