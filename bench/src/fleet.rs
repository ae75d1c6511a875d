//! Hollow hosts: they join, poll and report as agents do, and have every instance ready at once.
//! They start no process, so what is measured is the control plane. One task a host, two
//! connections each.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use atoll_model::agent::{
    AssignedInstance, AssignedTask, Assignment, HostFacts, InstanceReport, Join, Report, TaskReport,
};
use atoll_model::ci::task::{TaskPhase, Yields};
use atoll_model::cmdb::{AgentStatus, Amount};
use atoll_model::deployment::InstancePhase;
use atoll_model::{Cpu, Memory};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::clock;
use crate::http::{Connection, Target};

/// So many hosts join at once.
const JOINING: usize = 16;
/// Hosts are spread over so many zones.
const ZONES: usize = 3;
/// So often the last answers are looked for.
const PATIENCE: usize = 400;

/// Hosts that run until this is dropped.
pub struct Fleet {
    hosts: JoinSet<()>,
    failures: mpsc::UnboundedReceiver<anyhow::Error>,
    running: Running,
}

/// How many instances run each release over all hosts, as far as the server has taken note.
type Running = Arc<Mutex<BTreeMap<String, usize>>>;

struct Host {
    name: String,
    poll: Connection,
    report: Connection,
    revision: u64,
    /// Whether it has told everything it has, as agents do first.
    introduced: bool,
    /// What was last reported of each instance: generation, release, whether it is stopped.
    known: HashMap<String, (u64, String, bool)>,
    /// Tasks that were reported as done.
    ended: HashSet<String>,
    /// Releases that one instance more or less will run once the report is taken.
    changes: Vec<(String, bool)>,
    running: Running,
}

impl Fleet {
    /// Lets so many hosts join; returns when all have.
    ///
    /// # Errors
    /// One of them could not.
    pub async fn join(target: &Target, count: usize) -> anyhow::Result<Fleet> {
        let (failed, failures) = mpsc::unbounded_channel();
        let (joined, mut told) = mpsc::unbounded_channel();
        let running = Running::default();
        let gate = Arc::new(Semaphore::new(JOINING));
        let mut hosts = JoinSet::new();
        for number in 0..count {
            let (target, running, gate) = (target.clone(), running.clone(), gate.clone());
            let (failed, joined) = (failed.clone(), joined.clone());
            hosts.spawn(async move {
                let life = async {
                    let permit = gate.acquire().await.context("the gate is closed")?;
                    let mut host = Host::join(&target, number, running).await?;
                    drop(permit);
                    // Whoever waits for it may have given up on another host's failure.
                    let _ = joined.send(());
                    host.live().await
                };
                if let Err(error) = life.await {
                    let _ = failed.send(error.context(format!("hollow host {number}")));
                }
            });
        }
        let mut fleet = Fleet { hosts, failures, running };
        for _ in 0..count {
            fleet.beside(async { told.recv().await.context("all hosts are gone") }).await?;
        }
        Ok(fleet)
    }

    /// Does something while the hosts live.
    ///
    /// # Errors
    /// Its own, or the first of a host.
    pub async fn beside<T>(
        &mut self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            done = work => done,
            Some(failure) = self.failures.recv() => Err(failure),
        }
    }

    /// Checks that so many instances run a release, by the reports the server has taken. It waits a
    /// moment for the last answers: they may come after word of what they brought about.
    ///
    /// # Errors
    /// It is another number.
    pub async fn agrees(&self, release: &str, wanted: usize) -> anyhow::Result<()> {
        let mut running = 0;
        for _ in 0..PATIENCE {
            running = self.running(release);
            if running == wanted {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!(
            "the server says all {wanted} run {release}; the {} hosts run {running}",
            self.hosts.len()
        )
    }

    fn running(&self, release: &str) -> usize {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(release).copied().unwrap_or_default()
    }
}

impl Host {
    async fn join(target: &Target, number: usize, running: Running) -> anyhow::Result<Host> {
        let name = format!("h{number:05}");
        let mut report = Connection::open(target).await?;
        let poll = Connection::open(target).await?;
        let join = Join {
            name: name.clone(),
            labels: [("zone".to_owned(), format!("z{}", number % ZONES))].into(),
            facts: HostFacts {
                capacity: Amount { cpu: Cpu(8_000), memory: Memory(16 << 30), instances: 0 },
                address: "127.0.0.1".to_owned(),
                agent: AgentStatus {
                    version: "bench".to_owned(),
                    system: "hollow".to_owned(),
                    ..AgentStatus::default()
                },
                taken_ports: std::collections::BTreeSet::new(),
            },
        };
        let body = serde_json::to_vec(&join)?;
        report.ask("POST", "/v1/agents/join", &body).await?.good()?;
        Ok(Host {
            name,
            poll,
            report,
            revision: 0,
            introduced: false,
            known: HashMap::new(),
            ended: HashSet::new(),
            changes: Vec::new(),
            running,
        })
    }

    /// Polls and reports until it is dropped: the next poll is on its way while a report is.
    async fn live(&mut self) -> anyhow::Result<()> {
        let report_path = format!("/v1/agents/{}/report", self.name);
        let mut to_report: Option<Vec<u8>> = None;
        loop {
            let poll_path =
                format!("/v1/agents/{}/assignment?after={}&wait=10s", self.name, self.revision);
            let polled = self.poll.ask("GET", &poll_path, b"");
            let answer = match to_report.take() {
                None => polled.await?,
                Some(body) => {
                    let reported = async {
                        let answer = self.report.ask("POST", &report_path, &body).await?;
                        answer.good()?;
                        count(&self.running, self.changes.drain(..));
                        Ok(())
                    };
                    let (answer, _) = tokio::try_join!(polled, reported)?;
                    answer
                }
            };
            if answer.status == 204 {
                continue;
            }
            let assignment: Assignment = serde_json::from_slice(answer.good()?)?;
            let report = self.act(assignment);
            if !report.instances.is_empty() || !report.tasks.is_empty() || report.full {
                to_report = Some(serde_json::to_vec(&report)?);
            }
        }
    }

    /// Does at once what it is told; returns what has changed.
    fn act(&mut self, assignment: Assignment) -> Report {
        self.revision = assignment.revision;
        let full = !std::mem::replace(&mut self.introduced, true);
        let mut report = Report { full, ..Report::default() };
        let listed: HashSet<&str> =
            assignment.instances.iter().map(|instance| instance.name.as_str()).collect();
        let changes = &mut self.changes;
        self.known.retain(|name, (_, release, stopped)| {
            let stays = listed.contains(name.as_str());
            if !stays && !*stopped {
                changes.push((release.clone(), false));
            }
            stays
        });
        for instance in assignment.instances {
            let now = (instance.generation, instance.release.clone(), instance.stop);
            let before = self.known.get(&instance.name);
            if before == Some(&now) {
                continue;
            }
            if let Some((_, release, false)) = before {
                changes.push((release.clone(), false));
            }
            if !instance.stop {
                changes.push((instance.release.clone(), true));
            }
            self.known.insert(instance.name.clone(), now);
            report.instances.push(told(instance));
        }
        self.ended.retain(|name| assignment.tasks.iter().any(|task| task.name == *name));
        for task in assignment.tasks {
            if self.ended.insert(task.name.clone()) {
                report.tasks.push(done(task));
            }
        }
        report
    }
}

fn count(running: &Running, changes: impl Iterator<Item = (String, bool)>) {
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    for (release, starts) in changes {
        let count = running.entry(release).or_default();
        *count = if starts { *count + 1 } else { count.saturating_sub(1) };
    }
}

/// A task that is done as soon as it is given.
fn done(task: AssignedTask) -> TaskReport {
    TaskReport {
        name: task.name,
        generation: task.generation,
        phase: TaskPhase::Succeeded,
        exit_code: Some(0),
        started_at: Some(clock::time_of_day()),
        ended_at: Some(clock::time_of_day()),
        yields: Yields::default(),
        reasons: Vec::new(),
    }
}

fn told(instance: AssignedInstance) -> InstanceReport {
    let phase = if instance.stop { InstancePhase::Stopped } else { InstancePhase::Ready };
    let runs = !instance.stop;
    InstanceReport {
        name: instance.name,
        created_at: Some(instance.created_at),
        generation: instance.generation,
        phase,
        release: Some(instance.release).filter(|_| runs),
        pid: Some(1_000 + instance.ordinal).filter(|_| runs),
        restarts: 0,
        started_at: Some(clock::time_of_day()).filter(|_| runs),
        prefetched: None,
        image: None,
        reasons: Vec::new(),
    }
}
