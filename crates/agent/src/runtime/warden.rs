//! The warden of one container: a task of the agent that starts it, starts it again when it dies,
//! keeps its log, and says how it is, as a shim does for a process. The container outlives it; the
//! warden of a later agent finds it again by its name.

pub mod leash;
mod log;
mod once;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_model::Reason;
use nix::libc;
use nix::sys::signal::Signal;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::clock;
use crate::disk;
use crate::engine::{Engine, EngineError, Seen};
use crate::runtime::container::{Container, ORDERS_LABEL, checksum, quota};
use crate::runtime::orders::{Ended, How, Orders, Phase, Request, State};
use crate::runtime::place::Place;
use crate::runtime::process::Process;
use log::Tail;

/// An engine that has gone is looked for this often.
const LOOK: Duration = Duration::from_millis(100);
/// What is left of a log is waited for this long after the end.
const LINGER: Duration = Duration::from_secs(1);
/// The wait before something is tried again that the engine would not do.
const AGAIN: Duration = Duration::from_millis(500);

struct Warden {
    engine: Arc<Engine>,
    place: Place,
    orders: Orders,
    container: Container,
    secrets: BTreeMap<String, String>,
    state: State,
    tail: Tail,
    tell: UnboundedSender<State>,
    asked: UnboundedReceiver<Request>,
    aim: Aim,
    /// When patience with a stop ends.
    kill_at: Option<Instant>,
    /// When the time of work that is done once is over.
    late_at: Option<Instant>,
    /// The engine has gone since it was last looked at: what it did to the container on its way
    /// says nothing of the container.
    was_away: bool,
    /// There was no container when it was last looked for.
    absent: bool,
}

/// What the container's next end is followed by.
#[derive(Clone, Debug, PartialEq)]
enum Aim {
    Run,
    Restart { why: String },
    Stop,
}

/// What comes next.
enum Next {
    /// To look how the container is.
    Look,
    /// To start it.
    Start,
    /// To wait until then before that.
    Rest(Instant),
    /// To watch it run.
    Watch,
    /// To wait for the engine.
    Away(EngineError),
    /// Nothing.
    End,
}

enum Event {
    Ended(Result<(), EngineError>),
    Asked(Option<Request>),
    Due,
}

impl Warden {
    async fn run(mut self) {
        self.bound_time();
        self.publish();
        let mut next = Next::Look;
        loop {
            next = match next {
                Next::Look => self.look().await,
                Next::Start => self.start().await,
                Next::Rest(until) => self.rest(until).await,
                Next::Watch => self.watch().await,
                Next::Away(error) => self.away(error).await,
                Next::End => return,
            }
        }
    }

    /// Looks how the container is, and what follows from it.
    async fn look(&mut self) -> Next {
        let seen = match self.engine.inspect(&self.container.name).await {
            Ok(seen) => seen,
            Err(error) => return Next::Away(error),
        };
        let was_away = std::mem::take(&mut self.was_away);
        self.absent = seen.is_none();
        match seen {
            Some(seen) if seen.running && self.is_ours(&seen) => {
                self.runs(&seen);
                Next::Watch
            }
            _ if self.is_over() => self.stopped().await,
            seen if self.state.app.is_some() || self.has_begun(seen.as_ref()) => {
                let how = seen.as_ref().map_or(How::Unknown, how);
                self.ended(how, was_away).await
            }
            _ if self.aim == Aim::Stop => self.stopped().await,
            _ => Next::Start,
        }
    }

    fn is_ours(&self, seen: &Seen) -> bool {
        seen.labels.get(ORDERS_LABEL) == Some(&checksum(&self.orders))
    }

    /// Takes note of a container that runs.
    fn runs(&mut self, seen: &Seen) {
        let process = Process::of(seen.pid).unwrap_or(Process { pid: seen.pid, start: 0 });
        if self.state.app != Some(process) {
            self.state.started_at = Some(clock::now());
        }
        self.state.app = Some(process);
        self.state.lacking = None;
        if self.aim != Aim::Stop {
            self.state.phase = Phase::Running;
        }
        self.publish();
    }

    async fn start(&mut self) -> Next {
        self.tail.forget_line();
        let first = self.state.last.is_none() && self.state.started_at.is_none();
        match self.bring_up().await {
            Ok(Some(seen)) => {
                self.state.restarts += u32::from(!first);
                self.runs(&seen);
                Next::Watch
            }
            Ok(None) => Next::Look,
            Err(error) if error.is_away() => Next::Away(error),
            Err(error) => {
                self.state.started_at = Some(clock::now());
                let (code, why) = not_started(&error);
                self.ended(How::NotStarted(code, why), false).await
            }
        }
    }

    /// Starts the container: the same again where it was made by the same orders, so that it finds
    /// what it has written, another one otherwise.
    async fn bring_up(&mut self) -> Result<Option<Seen>, EngineError> {
        let name = &self.container.name.clone();
        if !std::mem::take(&mut self.absent)
            && let Some(seen) = self.engine.inspect(name).await?
        {
            if self.has_begun(Some(&seen)) {
                return Ok(None);
            }
            if self.is_ours(&seen) && self.orders.once.is_none() {
                // A start costs more than what follows; see `Keeper::limit_cpu`.
                let _ = self.engine.limit_cpu(name, quota(None)).await;
                match self.engine.start(name).await {
                    Ok(()) => return self.engine.inspect(name).await,
                    Err(error) if error.is_away() => return Err(error),
                    // Whatever is wrong with it, another one may be better.
                    Err(error) => tracing::debug!(name, %error, "it is made anew"),
                }
            }
            self.engine.remove(name).await?;
        }
        self.make().await?;
        self.note_begin();
        self.engine.start(name).await?;
        self.engine.inspect(name).await
    }

    async fn make(&mut self) -> Result<(), EngineError> {
        let Container { name, network, volumes, image, .. } = &self.container;
        let labels = &self.container.labels();
        if !network.is_empty() {
            self.engine.ensure_network(network, labels).await?;
        }
        for volume in volumes.keys() {
            self.engine.ensure_volume(volume, labels).await?;
        }
        let ways = self.engine.ways().await?;
        let body = || self.container.body(&self.orders, &self.secrets, &ways);
        match self.engine.create(name, body()).await {
            // Somebody removed the image since it was fetched.
            Err(EngineError::NotFound(text)) if text.to_lowercase().contains("image") => {
                self.engine.pull(image).await?;
                self.engine.create(name, body()).await.map(drop)
            }
            made => made.map(drop),
        }
    }

    /// Watches it until it ends, or the engine goes.
    async fn watch(&mut self) -> Next {
        let engine = Arc::clone(&self.engine);
        let name = self.container.name.clone();
        let wait = engine.wait(&name);
        tokio::pin!(wait);
        loop {
            let due = [self.kill_at, self.late_at].into_iter().flatten().min();
            let due = due.unwrap_or_else(|| clock::instant() + LINGER * 3600);
            let event = tokio::select! {
                ended = &mut wait => Event::Ended(ended),
                request = self.asked.recv() => Event::Asked(request),
                () = self.tail.follow(&self.engine, &name) => continue,
                () = tokio::time::sleep_until(due.into()) => Event::Due,
            };
            match event {
                Event::Ended(Ok(())) => {
                    let rest = self.tail.drain(&self.engine, &name);
                    let _ = tokio::time::timeout(LINGER, rest).await;
                    return Next::Look;
                }
                Event::Ended(Err(error)) if error.is_away() => return Next::Away(error),
                Event::Ended(Err(_)) => {
                    tokio::time::sleep(AGAIN).await;
                    return Next::Look;
                }
                Event::Asked(None) => return Next::End,
                Event::Asked(Some(request)) => self.answer(request).await,
                Event::Due => self.on_time().await,
            }
        }
    }

    /// Does what is due: to ask what has had its time to stop, and to kill what was asked in vain.
    async fn on_time(&mut self) {
        let now = clock::instant();
        if self.late_at.is_some_and(|at| at <= now) {
            self.late_at = None;
            self.state.late = self.aim == Aim::Run;
            self.answer(Request::Stop).await;
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.signal("SIGKILL").await;
        }
    }

    async fn answer(&mut self, request: Request) {
        match request {
            Request::Status => self.publish(),
            Request::Stop if self.aim != Aim::Stop => {
                self.aim = Aim::Stop;
                self.state.phase = Phase::Stopping;
                self.publish();
                self.ask_to_stop().await;
            }
            Request::Restart { why } if self.aim == Aim::Run && self.state.app.is_some() => {
                self.aim = Aim::Restart { why };
                self.ask_to_stop().await;
            }
            Request::Kill => {
                self.aim = Aim::Stop;
                self.state.phase = Phase::Stopping;
                self.publish();
                self.signal("SIGKILL").await;
            }
            Request::Stop | Request::Restart { .. } => {}
        }
    }

    async fn ask_to_stop(&mut self) {
        if self.state.app.is_some() {
            self.kill_at = Some(clock::instant() + self.orders.grace.std());
            let signal = format!("SIG{}", self.orders.stop_signal);
            self.signal(&signal).await;
        }
    }

    /// Signals the container's first process; by its number, where the engine does not answer.
    async fn signal(&mut self, signal: &str) {
        if self.engine.kill(&self.container.name, signal).await.is_err()
            && let (Some(process), Ok(signal)) = (self.state.app, signal.parse::<Signal>())
        {
            process.signal(signal);
        }
    }

    /// It has ended; what follows depends on what was aimed at.
    async fn ended(&mut self, how: How, was_away: bool) -> Next {
        let (at, began) = (clock::now(), self.state.started_at);
        let ran = at.since(began.unwrap_or(at));
        let asked = self.aim != Aim::Run;
        let why = match std::mem::replace(&mut self.aim, Aim::Run) {
            Aim::Restart { why } => Some(why),
            Aim::Stop => {
                self.aim = Aim::Stop;
                None
            }
            Aim::Run => None,
        };
        self.kill_at = None;
        self.state.app = None;
        let not_started = matches!(how, How::NotStarted(..));
        // An engine that ends takes its containers with it, before it stops answering for good.
        let with_engine = !asked && !not_started && (was_away || !self.engine.answers().await);
        let how = if with_engine { How::WithEngine } else { how };
        self.end_once().await;
        self.state.last = Some(Ended { at, ran, how, line: self.tail.last_line(), why });
        if self.aim == Aim::Stop {
            return self.stopped().await;
        }
        self.state.phase = Phase::Waiting;
        if with_engine {
            self.publish();
            return Next::Look;
        }
        let wait = self.state.note_death(at, ran, &self.orders);
        self.publish();
        Next::Rest(clock::instant() + wait.std())
    }

    /// Waits before the next start.
    async fn rest(&mut self, until: Instant) -> Next {
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => return Next::Start,
                request = self.asked.recv() => match request {
                    None => return Next::End,
                    Some(request) => self.answer(request).await,
                },
            }
            if self.aim == Aim::Stop {
                return self.stopped().await;
            }
        }
    }

    /// Waits for an engine that does not answer. A container may well run on without it, but
    /// nothing bad that is seen meanwhile counts against it.
    async fn away(&mut self, error: EngineError) -> Next {
        self.was_away = true;
        tracing::warn!(container = self.container.name, %error, "its engine is waited for");
        loop {
            if self.state.app.is_some_and(|app| !app.alive()) && self.aim == Aim::Stop {
                self.state.app = None;
                return self.stopped().await;
            }
            let runs = self.state.app.is_some_and(Process::alive);
            if self.aim != Aim::Stop {
                self.state.phase = if runs { Phase::Running } else { Phase::Waiting };
            }
            self.state.lacking = Some(docker_missing(&error));
            self.publish();
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                request = self.asked.recv() => match request {
                    None => return Next::End,
                    Some(request) => self.answer(request).await,
                },
            }
            self.on_time().await;
            if self.engine.answers().await {
                return Next::Look;
            }
            if self.aim == Aim::Stop && self.state.app.is_none() {
                return self.stopped().await;
            }
        }
    }

    /// It does not run and is not to: what is left of the container goes. Where the engine is
    /// away, it goes when that is back; see `sweep.rs`.
    async fn stopped(&mut self) -> Next {
        if let Err(error) = self.engine.discard(&self.container.name).await
            && !error.is_away()
        {
            tracing::warn!(container = self.container.name, %error, "it is not removed yet");
            tokio::time::sleep(AGAIN).await;
            return Next::Look;
        }
        self.state.app = None;
        self.state.lacking = None;
        self.state.phase = Phase::Stopped;
        self.publish();
        Next::End
    }

    /// Says how things are: to the disk, for an agent that comes later, and to the keeper.
    fn publish(&self) {
        let path = self.place.state();
        if disk::read::<State>(&path).as_ref() != Some(&self.state)
            && let Err(error) = disk::write(&path, &self.state, false)
        {
            tracing::warn!(container = self.container.name, %error, "its state is not noted");
        }
        // A keeper that has gone takes its warden with it.
        let _ = self.tell.send(self.state.clone());
    }
}

/// The reason for everything that waits for an engine.
pub fn docker_missing(error: &EngineError) -> Reason {
    let hint = "start it, as with systemctl start docker, or name its socket in DOCKER_HOST";
    Reason::new("docker-missing", error.to_string()).hint(hint)
}

fn how(seen: &Seen) -> How {
    match seen.ended.code {
        137 if seen.ended.starved => How::OutOfMemory,
        code @ 129..=159 => How::Signalled(code - 128),
        code => How::Exited(code),
    }
}

/// The error of the system, as far as the engine's words tell, and a sentence for people.
fn not_started(error: &EngineError) -> (i32, String) {
    let text = error.to_string();
    let code = if text.contains("permission denied") {
        libc::EACCES
    } else if text.contains("no such file") || text.contains("not found") {
        libc::ENOENT
    } else {
        0
    };
    (code, format!("cannot start the container: {text}"))
}
