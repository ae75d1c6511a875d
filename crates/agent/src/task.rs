//! Doing one task, once, from its source to its last report. What comes next is decided in
//! `task/decide.rs`; how it is done stands here and in `task/`.
//!
//! **Invariant:** what a task has come to is on the disk before it is acted on or told: an agent
//! that comes later goes on there, begins nothing twice and forgets no end.

mod beside;
mod cache;
pub mod contain;
pub mod decide;
mod follow;
mod host;
mod image;
mod junit;
mod keep;
mod making;
mod pick;
pub mod place;
mod prepare;
mod sbom;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Backoff, ClientError};
use atoll_model::Reason;
use atoll_model::agent::AssignedTask;
use atoll_model::ci::task::{TaskPhase, Yields};
use nix::sys::signal::Signal;
use tokio::sync::watch as latest;

use crate::disk;
use crate::join::passing;
use crate::keeper::sweep;
use crate::machine::Machine;
use crate::runtime::link::Link;
use crate::runtime::orders::{Orders, State};
use crate::runtime::place::Place;
use decide::{Record, Stage, Step, cancelled, next_step};
use place::{TaskPlace, remove};

/// What is wanted of a task; nothing means that it is to be forgotten.
pub type Wanted = Option<Arc<AssignedTask>>;

/// Does one task.
pub struct Doer {
    machine: Arc<Machine>,
    place: TaskPlace,
    wanted: latest::Receiver<Wanted>,
    record: Option<Record>,
    /// What looks after the containers beside the step, for as long as they are wanted.
    beside: Vec<Link>,
}

/// Every task there is anything of.
pub fn records(data: &Path) -> BTreeMap<String, Record> {
    let mut records = BTreeMap::new();
    for entry in fs::read_dir(data.join("tasks")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match disk::read::<Record>(&TaskPlace::of(data, &name).record()) {
            Some(record) if record.task.name == name => {
                records.insert(name, record);
            }
            _ => tracing::warn!(name, "a directory of no known task is left alone"),
        }
    }
    records
}

impl Doer {
    /// For the task of that name, be there anything of it or not.
    pub fn new(machine: Arc<Machine>, name: &str, wanted: latest::Receiver<Wanted>) -> Doer {
        let place = TaskPlace::of(&machine.data, name);
        Doer { record: disk::read(&place.record()), machine, place, wanted, beside: Vec::new() }
    }

    /// Does the task, and speaks of it until nobody asks any more.
    pub async fn run(mut self) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            let step = next_step(self.record.as_ref(), wanted.as_deref());
            tracing::debug!(task = self.place.name(), ?step, "next step");
            let Some(task) = wanted else {
                self.clear().await;
                if self.wanted.has_changed().unwrap_or(false) {
                    continue;
                }
                return;
            };
            match step {
                Step::Prepare => self.prepare(&task).await,
                Step::GiveUp => self.give_up(&task),
                Step::Follow => self.follow(&task).await,
                Step::Keep => self.keep().await,
                Step::Clear => self.clear().await,
                Step::Say => {
                    self.say(&task);
                    self.changed().await;
                }
            }
        }
    }

    /// Takes the next stage, on the disk first.
    fn enter(&mut self, stage: Stage) {
        let Some(record) = &mut self.record else { return };
        record.stage = stage;
        self.write();
    }

    fn write(&self) {
        let Some(record) = &self.record else { return };
        if let Err(error) = disk::write(&self.place.record(), record, true) {
            tracing::error!(task = self.place.name(), %error, "its record could not be written");
        }
    }

    fn new_record(&self, task: &AssignedTask, user: Option<u32>) -> Record {
        let task = AssignedTask { secrets: BTreeMap::new(), ..task.clone() };
        let stage = Stage::Preparing;
        Record { task, user, stage, cause: None, caches: Vec::new(), cache_hits: Vec::new() }
    }

    fn post(&self, phase: TaskPhase, started_at: Option<atoll_model::Timestamp>) {
        if let Some(record) = &self.record {
            self.machine.board.post_task(record.report(phase, started_at));
        }
    }

    /// Says what it waits for; said again without, once that is there.
    fn post_waiting(&self, why: Option<Reason>) {
        if let Some(record) = &self.record {
            self.machine.board.post_task(record.report_waiting(why));
        }
    }

    /// It is to be ended before it has begun.
    fn give_up(&mut self, task: &AssignedTask) {
        let mut record = self.record.take().unwrap_or_else(|| self.new_record(task, None));
        record.stage = Stage::Over(Box::new(record.report_end(&cancelled(), Yields::default())));
        self.record = Some(record);
        let made = fs::create_dir_all(self.place.shim.dir());
        if let Err(error) = made {
            tracing::error!(task = self.place.name(), %error, "its directory cannot be made");
        }
        self.write();
        self.place.empty();
    }

    fn say(&self, task: &AssignedTask) {
        if let Some(Stage::Over(report)) = self.record.as_ref().map(|r| &r.stage) {
            let generation = report.generation.max(task.generation);
            let mut report = (**report).clone();
            report.generation = generation;
            self.machine.board.post_task(report);
        }
    }

    async fn changed(&mut self) {
        if self.wanted.changed().await.is_err() {
            // The agent ends; until it has, nothing is to be done.
            std::future::pending::<()>().await;
        }
    }

    /// Comes back once the task is not to go on: it is cancelled, forgotten, or another one.
    async fn unwanted(mut wanted: latest::Receiver<Wanted>, task: &AssignedTask) {
        let ends =
            |w: &Wanted| w.as_ref().is_none_or(|w| w.cancel || w.created_at != task.created_at);
        if wanted.wait_for(ends).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Comes back once nobody asks about the task any more.
    async fn forgotten(mut wanted: latest::Receiver<Wanted>) {
        if wanted.wait_for(Option::is_none).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Kills whatever runs there, its shim first.
    async fn end_at_once(&self, place: &Place) {
        let state: Option<State> = disk::read(&place.state());
        if let Some(state) = state.filter(|s| s.boot == self.machine.boot) {
            state.shim.signal(Signal::SIGKILL);
        }
        let Some(orders) = disk::read::<Orders>(&place.orders()) else { return };
        sweep(&orders).await;
        orders.group.remove();
        if let Some(container) = &orders.container {
            self.remove_container(&container.name).await;
        }
    }

    /// Ends whatever runs and removes everything of the task.
    async fn clear(&mut self) {
        self.beside.clear();
        for place in self.place.every_beside().iter().chain([&self.place]) {
            self.end_at_once(&place.shim).await;
        }
        self.remove_network().await;
        let (place, gone) = (self.place.clone(), self.machine.data.join("gone"));
        let removed = tokio::task::spawn_blocking(move || {
            // Moved first: half a directory is never taken for a task.
            fs::create_dir_all(&gone)?;
            let beside = gone.join(format!("task-{}", place.name()));
            remove(&beside)?;
            match fs::rename(place.shim.dir(), &beside) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(e) => Err(e),
                Ok(()) => remove(&beside),
            }
        });
        let removed = removed.await.map_err(io::Error::other).and_then(|r| r);
        if let Err(error) = removed {
            tracing::warn!(task = self.place.name(), %error, "not all was removed");
        }
        if let Some(user) = self.record.take().and_then(|r| r.user) {
            self.machine.free_user(user);
        }
        self.machine.board.forget_task(self.place.name());
    }
}

/// Tries something until it is done, or cannot be, through outages of the server.
async fn patiently<T, F>(what: &str, mut act: impl FnMut() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut told = false;
    loop {
        match act().await {
            Err(error) if passing(&error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(what, %error, "it is tried again");
                }
                tokio::time::sleep(backoff.next_wait()).await;
            }
            other => return other,
        }
    }
}

/// Runs what blocks where it may; what fails becomes a reason.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Reason> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.and_then(|done| done).map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
            _ => "disk-failed",
        };
        Reason::new(code, format!("cannot {what}: {error}"))
    })
}
