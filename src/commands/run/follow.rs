//! Follows a job: what each host said, as it is done or, where few hosts do it, as it is said; and
//! how it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_client::Client;
use atoll_model::ci::task::TaskPhase;
use atoll_model::job::JobPhase;
use atoll_model::{Any, Job, Kind, Object, Task};
use futures::StreamExt;
use serde_json::json;
use tokio::sync::watch as latest;
use tokio::task::JoinSet;

use super::shows;
use crate::clock::{now, short};
use crate::columns::word;
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::tasklog::{Shown, log};
use crate::terminal::{Paint, Tone};

/// Of so many hosts the words are shown as they are said.
const LIVE: usize = 16;

/// Follows a round of a job to its end. The exit says whether it succeeded.
///
/// # Errors
/// The client's.
pub(super) async fn follow(
    client: &Client,
    name: &str,
    round: u32,
    format: Format,
) -> anyhow::Result<Exit> {
    client.get(Kind::Job, name).await?;
    let mut watch = client.watch(&[Kind::Job, Kind::Task], None, None);
    let mut seen = Seen::new(client, format);
    while let Some(event) = watch.next().await {
        let event = event?;
        match event.object {
            Some(Any::Task(task)) if event.event == "put" && of(&task.spec, name, round) => {
                seen.task(&task).await;
            }
            Some(Any::Job(job)) if job.meta.name == name => {
                if event.event == "delete" {
                    output::say(&format!("job {name} was deleted"));
                    return Ok(Exit::NotFound);
                }
                let ours = job.status.round >= round;
                if ours && job.status.phase == JobPhase::Paused {
                    seen.paused(&job);
                }
                if ours && job.status.phase.is_over() {
                    return seen.end(&job).await;
                }
            }
            _ => {}
        }
    }
    Ok(Exit::Failed)
}

fn of(task: &Task, job: &str, round: u32) -> bool {
    task.run == job && task.step == format!("r{round}")
}

struct Seen<'a> {
    client: &'a Client,
    format: Format,
    over: BTreeMap<String, Arc<Object<Task>>>,
    following: BTreeMap<String, latest::Sender<bool>>,
    logs: JoinSet<()>,
    pauses: BTreeSet<u32>,
}

impl<'a> Seen<'a> {
    fn new(client: &'a Client, format: Format) -> Seen<'a> {
        Seen {
            client,
            format,
            over: BTreeMap::new(),
            following: BTreeMap::new(),
            logs: JoinSet::new(),
            pauses: BTreeSet::new(),
        }
    }

    async fn task(&mut self, task: &Arc<Object<Task>>) {
        let Some(host) = task.spec.host.clone() else { return };
        let phase = task.status.phase;
        if phase == TaskPhase::Running && self.following.len() < LIVE && shows(self.format) {
            let (client, name) = (self.client.clone(), task.meta.name.clone());
            self.following.entry(host.clone()).or_insert_with(|| {
                let (sender, ended) = latest::channel(false);
                self.logs.spawn(log(client, name, host.clone(), ended));
                sender
            });
        }
        if !phase.is_over() || self.over.insert(host.clone(), task.clone()).is_some() {
            return;
        }
        if !shows(self.format) {
            return;
        }
        match self.following.get(&host) {
            // Whoever follows its log shows the rest of it.
            Some(sender) => {
                sender.send_replace(true);
            }
            None => {
                let mut shown = Shown::of(host.clone());
                shown.add(self.said(task).await.as_bytes());
                shown.end();
            }
        }
        if phase != TaskPhase::Succeeded {
            tell(&host, task);
        }
    }

    /// All a task has said.
    async fn said(&self, task: &Object<Task>) -> String {
        let yields = &task.status.yields;
        if let Some(output) = &yields.output {
            return output.clone();
        }
        if yields.log.is_none() {
            return String::new();
        }
        match self.client.task_log(task.name()).await {
            Ok(log) => String::from_utf8_lossy(&log).into_owned(),
            Err(error) => {
                output::say(&format!("the log of task/{} cannot be read: {error}", task.name()));
                String::new()
            }
        }
    }

    fn paused(&mut self, job: &Object<Job>) {
        if self.pauses.insert(job.status.begun) {
            let reasons = &job.status.reasons;
            reasons.iter().for_each(|reason| output::say(&reason.to_string()));
        }
    }

    async fn end(mut self, job: &Object<Job>) -> anyhow::Result<Exit> {
        for sender in self.following.values() {
            sender.send_replace(true);
        }
        std::mem::take(&mut self.logs).join_all().await;
        if !shows(self.format) {
            self.print(job).await?;
        }
        let status = &job.status;
        let good = status.phase == JobPhase::Succeeded;
        let mut text = format!("job {} {}", job.name(), word(&status.phase));
        let took = status.started_at.map(|from| status.ended_at.unwrap_or_else(now).since(from));
        text.push_str(&took.map(|took| format!(" after {}", short(took))).unwrap_or_default());
        let (all, left) =
            (status.targets.len(), status.targets.len().saturating_sub(status.over() as usize));
        match (good, all) {
            (true, 0) => text.push_str(": every host has done it before"),
            _ => text.push_str(&format!(": {} of {all} hosts have done it", status.succeeded)),
        }
        for (count, what) in [
            (status.failed as usize, "failed"),
            (status.lost as usize, "lost"),
            (status.cancelled as usize, "ended"),
            (left, "not begun"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        let paint = Paint::stderr();
        let tone = if good { Tone::Good } else { Tone::Bad };
        match good {
            true => output::say(&paint.tone(tone, &text)),
            false => {
                output::say(&output::problem(&paint.tone(tone, &text), &status.reasons, paint));
            }
        }
        let missing = status.reasons.iter().any(|reason| reason.code == "host-missing");
        Ok(match good {
            true => Exit::Done,
            false if missing => Exit::NotFound,
            false => Exit::Failed,
        })
    }

    /// Everything at once, for programs.
    async fn print(&self, job: &Object<Job>) -> anyhow::Result<()> {
        let mut hosts = BTreeMap::new();
        for (host, task) in &self.over {
            let status = &task.status;
            hosts.insert(
                host,
                json!({
                    "phase": status.phase,
                    "exitCode": status.exit_code,
                    "startedAt": status.started_at,
                    "endedAt": status.ended_at,
                    "output": self.said(task).await,
                    "reasons": status.reasons,
                }),
            );
        }
        let all = json!({ "job": job.name(), "phase": job.status.phase, "hosts": hosts });
        match self.format {
            Format::Yaml => print!("{}", output::yaml(&all)?),
            _ => println!("{}", serde_json::to_string_pretty(&all)?),
        }
        Ok(())
    }
}

/// Says how a host did not do it.
fn tell(host: &str, task: &Object<Task>) {
    let status = &task.status;
    let mut text = format!("{host} {}", word(&status.phase));
    if let (Some(from), Some(to)) = (status.started_at, status.ended_at) {
        text.push_str(&format!(" after {}", short(to.since(from))));
    }
    for reason in &status.reasons {
        text.push_str(&format!(": {}", reason.message));
    }
    output::say(&Paint::stderr().tone(Tone::Bad, &text));
}
