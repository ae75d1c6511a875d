//! Jobs: one command on many hosts, batch after batch, as far as they go well. Not what a host does
//! of it, which is its agent's, nor where a job comes from: see `job/begin.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::ci::step::Limits;
use atoll_model::ci::task::{HOST_LOST, TaskPhase, Work};
use atoll_model::cmdb::{HostPhase, ZONE_LABEL};
use atoll_model::job::{JobPhase, JobStatus};
use atoll_model::{
    Any, Host, Intent, Job, Kind, Memory, Object, Reason, Selector, Snapshot, Span, Task, Write,
};

use crate::{Context, Plan};

pub mod begin;
pub mod runbook;

/// A job that is over is forgotten after this time; one that is done once on each host never is.
const KEEP: Span = Span::seconds(30 * 24 * 3_600);
/// So many hosts that failed are named.
const NAMED: usize = 5;
/// What an ended command may take to end.
const GRACE: Span = Span::seconds(5);

/// Plans for one job.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(job) = cx.world.get::<Job>(name) else { return Plan::nothing() };
    let mut turn = Turn {
        cx,
        job,
        status: job.status.clone(),
        plan: Plan::new(Intent::Observe),
        unfinished: Vec::new(),
    };
    turn.take();
    turn.done()
}

/// The jobs a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Job(job)) => vec![job.meta.name.clone()],
        Some(Any::Task(task)) if task.spec.work.run_as.is_some() => vec![task.spec.run.clone()],
        Some(Any::Host(host)) => {
            let phase = |any: Option<&Any>| match any {
                Some(Any::Host(host)) => Some(host.status.phase),
                _ => None,
            };
            if phase(old) == phase(new) {
                return Vec::new();
            }
            let tasks = world.tasks_on(host.name());
            let ours = tasks.filter(|task| task.spec.work.run_as.is_some());
            ours.map(|task| task.spec.run.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// The hosts a selector and names stand for, in the order they have their turn. It is the same for
/// the same hosts and mixes zones: a first batch is no first zone.
fn chosen(world: &Snapshot, on: &Selector, named: &[String]) -> Vec<String> {
    let by_label = !on.0.is_empty() || named.is_empty();
    let fits = |host: &&Arc<Object<Host>>| {
        !host.meta.deleting() && (by_label && on.matches(&host.meta.labels))
    };
    let mut all: BTreeSet<&str> = world.all::<Host>().filter(fits).map(|h| h.name()).collect();
    all.extend(named.iter().map(String::as_str).filter(|name| world.get::<Host>(name).is_some()));
    let zone = |name: &str| world.get::<Host>(name)?.meta.labels.get(ZONE_LABEL);
    let mut seen: BTreeMap<_, usize> = BTreeMap::new();
    let mut order: Vec<(usize, &str)> = Vec::with_capacity(all.len());
    for name in all {
        let place = seen.entry(zone(name)).or_default();
        order.push((*place, name));
        *place += 1;
    }
    order.sort_unstable();
    order.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// One turn of one job.
struct Turn<'a> {
    cx: &'a Context<'a>,
    job: &'a Arc<Object<Job>>,
    status: JobStatus,
    plan: Plan,
    /// Its tasks of this round that are not over, as they are to be after the turn.
    unfinished: Vec<Arc<Object<Task>>>,
}

impl Turn<'_> {
    fn take(&mut self) {
        if self.job.meta.deleting() {
            return self.clear_away();
        }
        if self.status.round < self.job.spec.round {
            self.begin_round();
        }
        if self.status.phase.is_over() {
            return self.keep_or_forget();
        }
        self.count();
        if self.job.spec.cancelled {
            self.cancel();
        } else {
            self.go_on();
        }
    }

    /// Chooses the hosts of a round.
    fn begin_round(&mut self) {
        let spec = &self.job.spec;
        let found_none = self.status.targets.is_empty() && self.status.done.is_empty();
        let again = self.status.round > 0 && !spec.once && !found_none;
        let mut targets = match again {
            true => std::mem::take(&mut self.status.targets),
            false => chosen(self.cx.world, &spec.on, &spec.hosts),
        };
        targets.retain(|host| !self.status.done.contains(host));
        let known = self.cx.world;
        let missing: Vec<&String> =
            spec.hosts.iter().filter(|name| known.get::<Host>(name).is_none()).collect();
        let mut reasons = Vec::new();
        if let Some(first) = missing.first() {
            let message = format!("there is no host {first}");
            reasons.push(Reason::new("host-missing", message).hint("atoll get hosts"));
        }
        self.status = JobStatus {
            phase: JobPhase::Running,
            round: spec.round,
            targets,
            done: std::mem::take(&mut self.status.done),
            started_at: Some(self.cx.now),
            reasons,
            ..JobStatus::default()
        };
        if !missing.is_empty() {
            self.end(JobPhase::Failed);
        } else if self.status.targets.is_empty() {
            self.without_hosts();
        }
    }

    /// Ends a round that has no host: all have done it before, or there never was one.
    fn without_hosts(&mut self) {
        let spec = &self.job.spec;
        let (reason, phase) = match self.status.done.len() {
            0 => {
                let message = match spec.on.0.is_empty() {
                    true => "there is no host".to_owned(),
                    false => format!("no host has the labels {}", spec.on),
                };
                let hint = "see their labels: atoll get hosts -o wide";
                (Reason::new("no-hosts", message).hint(hint), JobPhase::Failed)
            }
            done => {
                let message = match done {
                    1 => "nothing is left to do: its one host has done it".to_owned(),
                    done => format!("nothing is left to do: all {done} hosts have done it"),
                };
                (Reason::new("nothing-left", message), JobPhase::Succeeded)
            }
        };
        self.status.reasons.push(reason);
        self.end(phase);
    }

    /// Counts what has become of those that were begun; one whose host is gone is lost.
    fn count(&mut self) {
        let (mut ok, mut failed, mut lost, mut cancelled) = (0, 0, 0, 0);
        let begun = self.status.begun as usize;
        for host in self.status.targets.iter().take(begun) {
            let name = Job::task(self.job.name(), self.status.round, host);
            let Some(task) = self.cx.world.get::<Task>(&name) else {
                lost += 1;
                continue;
            };
            match task.status.phase {
                TaskPhase::Succeeded => {
                    ok += 1;
                    self.status.done.insert(host.clone());
                }
                TaskPhase::Failed | TaskPhase::TimedOut | TaskPhase::OverLimit => failed += 1,
                TaskPhase::Lost => lost += 1,
                TaskPhase::Cancelled => cancelled += 1,
                _ if is_gone(self.cx.world, host) => {
                    lost += 1;
                    self.plan.writes.push(lose(self.cx, task, host));
                }
                _ => self.unfinished.push(task.clone()),
            }
        }
        let status = &mut self.status;
        (status.succeeded, status.failed) = (ok, failed);
        (status.lost, status.cancelled) = (lost, cancelled);
    }

    /// Asks those that go on to end, and ends with them.
    fn cancel(&mut self) {
        for task in self.unfinished.iter().filter(|task| !task.spec.cancelled) {
            let mut new = Object::clone(task);
            new.spec.cancelled = true;
            new.meta.generation += 1;
            self.plan.writes.push(Write::Put(Any::Task(Arc::new(new))));
        }
        if self.unfinished.is_empty() {
            self.status.reasons = vec![Reason::new("cancelled", "it was ended by a person")];
            self.end(JobPhase::Cancelled);
        }
    }

    /// Begins the next batch, waits, or ends.
    fn go_on(&mut self) {
        let hosts = self.status.targets.len() as u32;
        let most = self.job.spec.deed.max_errors.floor_of(hosts);
        if !self.unfinished.is_empty() {
            self.status.phase = JobPhase::Running;
            return;
        }
        if self.status.errors() > most {
            let reason = self.too_many(most);
            self.status.reasons = vec![reason];
            return self.end(JobPhase::Failed);
        }
        if self.status.begun == hosts {
            self.status.reasons.clear();
            return self.end(JobPhase::Succeeded);
        }
        let ends = self.job.spec.deed.ends(hosts);
        let batch = ends.iter().take_while(|end| **end <= self.status.begun).count() as u32;
        let pauses = (1..=batch).filter(|batch| self.job.spec.deed.pause.after(*batch)).count();
        if self.job.spec.resumed < pauses as u32 && batch > 0 {
            self.status.phase = JobPhase::Paused;
            let message = format!("it waits behind batch {batch} of {}", ends.len());
            let hint = format!("atoll resume job/{}, or atoll cancel job/{0}", self.job.name());
            self.status.reasons = vec![Reason::new("paused", message).hint(hint)];
            return;
        }
        let end = ends.get(batch as usize).copied().unwrap_or(hosts);
        self.begin_batch(end);
    }

    fn begin_batch(&mut self, end: u32) {
        self.status.phase = JobPhase::Running;
        self.status.reasons.clear();
        for at in self.status.begun..end {
            let host = self.status.targets[at as usize].clone();
            self.plan.writes.push(Write::Put(Any::Task(Arc::new(self.task(at, host)))));
        }
        self.status.begun = end;
    }

    fn task(&self, at: u32, host: String) -> Object<Task> {
        let deed = &self.job.spec.deed;
        let limits = Limits {
            resources: deed.resources,
            timeout: deed.timeout,
            grace: GRACE,
            log: deed.output,
            // Its files are the host's own.
            disk: Memory(u64::MAX >> 1),
            ..Limits::default()
        };
        let mut env = deed.env.clone();
        env.insert("ATOLL_JOB".to_owned(), self.job.meta.name.clone());
        let work = Work {
            command: deed.command.clone(),
            run_as: Some(deed.run_as.clone()),
            env,
            limits,
            ..Work::default()
        };
        let name = Job::task(self.job.name(), self.status.round, &host);
        let gone = is_gone(self.cx.world, &host);
        let spec = Task {
            run: self.job.meta.name.clone(),
            step: format!("r{}", self.status.round),
            cell: at,
            on: Selector::default(),
            priority: 0,
            host: Some(host.clone()),
            cancelled: false,
            work,
        };
        let mut task = Object::new(name, spec);
        task.meta.generation = 1;
        task.meta.created_at = Some(self.cx.now);
        task.status.since = Some(self.cx.now);
        if gone {
            task.status.phase = TaskPhase::Lost;
            task.status.reasons = vec![host_gone(&host)];
        }
        task
    }

    /// Why no further batch is begun.
    fn too_many(&self, most: u32) -> Reason {
        let mut named = Vec::new();
        for host in self.status.targets.iter().take(self.status.begun as usize) {
            let name = Job::task(self.job.name(), self.status.round, host);
            let task = self.cx.world.get::<Task>(&name);
            if task.is_none_or(|task| task.status.phase != TaskPhase::Succeeded) {
                named.push(host.as_str());
            }
        }
        let more = named.len().saturating_sub(NAMED);
        named.truncate(NAMED);
        let mut list = named.join(", ");
        if more > 0 {
            list = format!("{list} and {more} more");
        }
        let (errors, begun) = (self.status.errors(), self.status.begun);
        let allowed = match most {
            0 => String::new(),
            most => format!(", and {most} may"),
        };
        let left = self.status.targets.len() as u32 - begun;
        let rest = match left {
            0 => String::new(),
            left => format!("; {left} were not begun"),
        };
        let message = format!("{errors} of {begun} failed{allowed}: {list}{rest}");
        let hint = format!("atoll retry job/{} does it again where it has not", self.job.name());
        Reason::new("too-many-errors", message).hint(hint)
    }

    fn end(&mut self, phase: JobPhase) {
        self.status.phase = phase;
        self.status.ended_at = Some(self.cx.now);
        self.plan.again_at = Some(self.cx.now + KEEP);
    }

    fn keep_or_forget(&mut self) {
        let until = self.status.ended_at.unwrap_or(self.cx.now) + KEEP;
        if self.job.spec.once {
            return;
        }
        if self.cx.now < until {
            self.plan.again_at = Some(until);
            return;
        }
        self.clear_away();
    }

    /// Deletes it with its tasks, of every round; what still goes is ended first.
    fn clear_away(&mut self) {
        let tasks: Vec<&Arc<Object<Task>>> =
            self.cx.world.derived::<Task>(self.job.name()).collect();
        let is_going = |task: &&&Arc<Object<Task>>| {
            let host = task.spec.host.as_deref().unwrap_or_default();
            !task.status.phase.is_over() && !is_gone(self.cx.world, host)
        };
        self.unfinished = tasks.iter().filter(is_going).map(|task| Arc::clone(task)).collect();
        if !self.unfinished.is_empty() {
            return self.cancel();
        }
        self.plan = Plan::new(Intent::Remove);
        let delete = |kind, meta: &atoll_model::Meta| Write::Delete {
            kind,
            name: meta.name.clone(),
            revision: meta.revision,
        };
        self.plan.writes.extend(tasks.iter().map(|task| delete(Kind::Task, &task.meta)));
        self.plan.writes.push(delete(Kind::Job, &self.job.meta));
    }

    fn done(mut self) -> Plan {
        if self.plan.intent != Intent::Remove && self.status != self.job.status {
            let mut new = Object::clone(self.job);
            if new.status.phase != self.status.phase {
                self.plan.reasons.clone_from(&self.status.reasons);
            }
            new.status = self.status;
            self.plan.writes.push(Write::Put(Any::Job(Arc::new(new))));
        }
        self.plan
    }
}

/// Whether a host does nothing any more that it was given.
fn is_gone(world: &Snapshot, host: &str) -> bool {
    world.get::<Host>(host).is_none_or(|host| host.status.phase == HostPhase::Unknown)
}

fn host_gone(host: &str) -> Reason {
    let message = format!("{host} is not heard from: nobody knows how far it came");
    Reason::new(HOST_LOST, message).hint(format!("atoll why host/{host}"))
}

fn lose(cx: &Context, task: &Object<Task>, host: &str) -> Write {
    let mut new = task.clone();
    new.status.phase = TaskPhase::Lost;
    new.status.since = Some(cx.now);
    new.status.reasons = vec![host_gone(host)];
    Write::Put(Any::Task(Arc::new(new)))
}
