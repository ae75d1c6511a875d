//! Follows a run: its steps as they begin and end, their logs as they grow. What was missed while a
//! log was followed is read from the whole log once its task has ended, so nothing is left out and
//! nothing is shown twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

use atoll_client::Client;
use atoll_model::ci::run::{CellPhase, RunPhase};
use atoll_model::ci::task::TaskPhase;
use atoll_model::{Any, Kind, Object, Run, Task};
use futures::StreamExt;
use tokio::task::JoinSet;

use crate::clock::{now, short};
use crate::columns::word;
use crate::exit::Exit;
use crate::output;
use crate::tasklog::{Shown, log};
use crate::terminal::{Paint, Tone};

/// Which logs.
#[derive(Clone, Debug)]
pub(super) struct Of {
    /// Of this run.
    pub run: String,
    /// Of this step only.
    pub step: Option<String>,
}

impl Of {
    fn wants(&self, task: &Task) -> bool {
        task.run == self.run && self.step.as_ref().is_none_or(|step| *step == task.step)
    }
}

/// Follows a run to its end. The exit says whether it succeeded.
///
/// # Errors
/// The client's.
pub(super) async fn follow(client: &Client, of: &Of) -> anyhow::Result<Exit> {
    client.get(Kind::Run, &of.run).await?;
    let mut watch = client.watch(&[Kind::Run, Kind::Task], None, None);
    let mut following = Following::new(client, of);
    while let Some(event) = watch.next().await {
        let event = event?;
        match event.object {
            Some(Any::Task(task)) if event.event == "put" && of.wants(&task.spec) => {
                following.task(&task);
            }
            Some(Any::Run(run)) if run.meta.name == of.run => {
                if event.event == "delete" {
                    output::say(&format!("run {} was deleted", of.run));
                    return Ok(Exit::NotFound);
                }
                following.run(&run);
                if run.status.phase.is_over() {
                    following.logs.join_all().await;
                    return Ok(end(&run));
                }
            }
            _ => {}
        }
    }
    Ok(Exit::Failed)
}

struct Following<'a> {
    client: &'a Client,
    of: &'a Of,
    phases: BTreeMap<String, TaskPhase>,
    /// Told when a task has ended.
    ended: BTreeMap<String, tokio::sync::watch::Sender<bool>>,
    left_out: BTreeSet<String>,
    reasons: Vec<String>,
    logs: JoinSet<()>,
}

impl<'a> Following<'a> {
    fn new(client: &'a Client, of: &'a Of) -> Following<'a> {
        Following {
            client,
            of,
            phases: BTreeMap::new(),
            ended: BTreeMap::new(),
            left_out: BTreeSet::new(),
            reasons: Vec::new(),
            logs: JoinSet::new(),
        }
    }

    fn task(&mut self, task: &Arc<Object<Task>>) {
        let phase = task.status.phase;
        let name = task.meta.name.clone();
        let before = self.phases.insert(name.clone(), phase);
        if before == Some(phase) {
            return;
        }
        if phase == TaskPhase::Running || phase.is_over() {
            say(&self.of.run, task);
        }
        let begun = phase >= TaskPhase::Running;
        if begun && !self.ended.contains_key(&name) {
            let (sender, ended) = tokio::sync::watch::channel(phase.is_over());
            self.ended.insert(name.clone(), sender);
            let label = label(&self.of.run, &name);
            self.logs.spawn(log(self.client.clone(), name.clone(), label, ended));
        }
        if phase.is_over()
            && let Some(sender) = self.ended.get(&name)
        {
            sender.send_replace(true);
        }
    }

    fn run(&mut self, run: &Object<Run>) {
        for cell in &run.status.cells {
            let skipped = cell.phase == CellPhase::Skipped;
            if skipped && self.of.step.is_none() && self.left_out.insert(cell.step.clone()) {
                output::say(&Paint::stderr().tone(Tone::Dim, &format!("{} skipped", cell.step)));
            }
        }
        let waits = matches!(run.status.phase, RunPhase::Pending | RunPhase::Waiting);
        let reasons: Vec<String> = run.status.reasons.iter().map(|r| r.message.clone()).collect();
        if waits && reasons != self.reasons {
            reasons.iter().for_each(|reason| output::say(reason));
        }
        self.reasons = reasons;
    }
}

/// `unit.0` of `shop.12.unit.0`.
fn label(run: &str, task: &str) -> String {
    task.strip_prefix(run).and_then(|rest| rest.strip_prefix('.')).unwrap_or(task).to_owned()
}

/// Says how a task is.
fn say(run: &str, task: &Object<Task>) {
    let status = &task.status;
    let tone = match status.phase {
        TaskPhase::Succeeded => Tone::Good,
        TaskPhase::Failed | TaskPhase::TimedOut | TaskPhase::OverLimit | TaskPhase::Lost => {
            Tone::Bad
        }
        TaskPhase::Cancelled => Tone::Dim,
        _ => Tone::Busy,
    };
    let mut text = format!("{} {}", label(run, task.name()), word(&status.phase));
    let late = status.phase == TaskPhase::TimedOut;
    if let (Some(from), Some(to), false) = (status.started_at, status.ended_at, late) {
        text.push_str(&format!(" after {}", short(to.since(from))));
    } else if let Some(host) = &task.spec.host {
        text.push_str(&format!(" on {host}"));
    }
    if let Some(code) = status.exit_code.filter(|code| *code != 0) {
        text.push_str(&format!(", exit code {code}"));
    }
    for reason in &status.reasons {
        text.push_str(&format!(": {}", reason.message));
    }
    output::say(&Paint::stderr().tone(tone, &text));
}

/// Says how a run ended.
fn end(run: &Object<Run>) -> Exit {
    let status = &run.status;
    let good = status.phase == RunPhase::Succeeded;
    let tone = if good { Tone::Good } else { Tone::Bad };
    let paint = Paint::stderr();
    let from = status.started_at.or(run.meta.created_at);
    let took = from.map(|from| short(status.ended_at.unwrap_or_else(now).since(from)));
    let mut text = format!("run {} {}", run.name(), word(&status.phase));
    text.push_str(&took.map(|took| format!(" after {took}")).unwrap_or_default());
    for (suite, totals) in &status.tests {
        let (passed, failed) = (totals.passed, totals.failed);
        text.push_str(&format!("; {} tests: {passed} passed, {failed} failed", word(suite)));
    }
    if let Some(made) = &status.made {
        text.push_str(&format!("; made {}", made.version));
    }
    match good {
        true => output::say(&paint.tone(tone, &text)),
        false => output::say(&output::problem(&paint.tone(tone, &text), &status.reasons, paint)),
    }
    if good { Exit::Done } else { Exit::Failed }
}

/// The logs of a run's tasks as far as they are there, one after another.
///
/// # Errors
/// The client's.
pub(super) async fn logs(client: &Client, of: &Of) -> anyhow::Result<Exit> {
    client.get(Kind::Run, &of.run).await?;
    let list = client.list_all(Kind::Task, None).await?;
    let mut tasks: Vec<_> = list.items.iter().filter_map(|any| any.of::<Task>()).collect();
    tasks.retain(|task| of.wants(&task.spec));
    tasks.sort_by_key(|task| (task.meta.created_at, task.spec.cell));
    let one = tasks.len() == 1;
    for task in tasks {
        if !task.status.phase.is_over() {
            output::say(&format!("task/{} goes on; follow it with -f", task.name()));
            continue;
        }
        if task.status.yields.log.is_none() {
            output::say(&format!("task/{} left no log", task.name()));
            continue;
        }
        let whole = client.task_log(task.name()).await?;
        if one {
            std::io::stdout().lock().write_all(&whole)?;
            continue;
        }
        let mut shown = Shown::of(label(&of.run, task.name()));
        shown.add(&whole);
        shown.end();
    }
    Ok(Exit::Done)
}
