//! What runs beside a step: a process in a sandbox of its own, or a container, which is well before
//! the step begins and ends with it. It shares the step's workspace and limits, a process the user
//! too, and nothing else. Not the step itself.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use atoll_model::agent::AssignedTask;
use atoll_model::ci::step::Beside;
use atoll_model::ci::task::{TaskPhase, Work};
use atoll_model::run::Health;
use atoll_model::{Reason, Span};
use futures::future::{join_all, try_join_all};

use super::Doer;
use super::contain::{Contained, Images};
use super::decide::{Conclusion, cancelled, lost};
use super::place::TaskPlace;
use super::prepare::{Program, draft as draft_program};
use crate::clock;
use crate::disk;
use crate::facts;
use crate::machine::Machine;
use crate::probe::{self, Question};
use crate::runtime::launch::Launch;
use crate::runtime::link::{Link, start_shim};
use crate::runtime::orders::{Orders, Phase, Request, State};
use crate::runtime::process::Process;
use crate::runtime::shim::log::file;

/// The pause between two questions, where the health section does not want a shorter one.
const PAUSE: Duration = Duration::from_millis(200);
/// What a shim may take to end what it was asked to, besides the time that has to do so.
const SLACK: Duration = Duration::from_secs(2);
/// It ends by itself so long after its step could have, should nobody be there to end it.
const LEFT_ALONE: Span = Span::seconds(60);
/// Of the log of what died, so many lines are told, each of at most so many letters.
const LAST: (usize, usize) = (5, 200);

/// Where something listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Door {
    /// On the loopback of this host.
    pub outside: u16,
    /// In its container; the same, where it is none.
    pub inside: u16,
}

/// Ports by their names, of everything by its name.
pub(super) type Ports = BTreeMap<String, BTreeMap<String, Door>>;

/// What became of everything beside a step.
pub(super) enum Begun {
    /// It is well: the step may begin.
    Well,
    /// The step does not begin.
    Ended(Conclusion),
    /// The task is another's now.
    Unwanted,
}

/// The ports each listens on: those it names, and free ones. What a container listens on is seen
/// at a free port of the host.
///
/// # Errors
/// When there is none, or one that is named is taken.
pub(super) fn ports(services: &[Beside]) -> Result<Ports, Reason> {
    let (taken, mut held) = (facts::listening(), Vec::new());
    let mut all = Ports::new();
    for beside in services {
        let ports = all.entry(beside.name.clone()).or_default();
        for (name, port) in &beside.ports {
            let contained = beside.image.is_some();
            if !contained && taken.contains(port) {
                let message = format!("port {port} of {} is taken by another", beside.name);
                let hint = "let it choose a free one: write 0, and use the variable of the port";
                return Err(Reason::new("port-taken", message).hint(hint));
            }
            let mut free = || {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let port = listener.local_addr()?.port();
                // Held until all are chosen, so that no two are the same.
                held.push(listener);
                Ok(port)
            };
            let none = |e: io::Error| Reason::new("no-free-port", format!("no port is free: {e}"));
            let outside = if *port == 0 || contained { free().map_err(none)? } else { *port };
            let inside = if *port == 0 { outside } else { *port };
            ports.insert(name.clone(), Door { outside, inside });
        }
    }
    Ok(all)
}

/// The environment variables that tell a step where everything is: by name, where it is a container
/// among others.
pub(super) fn told(work: &Work, ports: &Ports) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let contained = work.image.is_some();
    for (name, ports) in ports {
        let host = if contained { name.clone() } else { Ipv4Addr::LOCALHOST.to_string() };
        env.insert(format!("{}_HOST", variable(name)), host);
        for (port, door) in ports {
            let key = format!("{}_PORT_{}", variable(name), variable(port));
            let number = if contained { door.inside } else { door.outside };
            env.insert(key, number.to_string());
        }
    }
    env
}

fn variable(name: &str) -> String {
    name.to_uppercase().replace(['-', '.'], "_")
}

/// What a program is told of its own port.
fn own_port(name: &str) -> String {
    format!("PORT_{}", variable(name))
}

/// The orders of everything that runs beside a step.
pub(super) fn draft(
    machine: &Machine,
    place: &TaskPlace,
    task: &AssignedTask,
    user: Option<u32>,
    images: &Images,
    ports: &Ports,
) -> Vec<(TaskPlace, Orders)> {
    let each = task.work.services.iter().map(|beside| {
        let own = place.beside(&beside.name);
        let doors = ports.get(&beside.name).into_iter().flatten();
        let ports = doors.clone().map(|(_, door)| (door.outside, door.inside)).collect();
        let told = doors.map(|(name, door)| (own_port(name), door.inside.to_string()));
        let image = beside.image.as_ref().and_then(|image| images.get(image));
        let contained = image.map(|image| Contained { image, alias: Some(&beside.name), ports });
        let start = beside.health.as_ref().map_or(Span(0), |health| health.start_timeout);
        let program = Program {
            place: &own,
            work: place.work(),
            group: format!("task-{}+{}", task.name, beside.name),
            host: &beside.name,
            command: &beside.command,
            env: told.chain(beside.env.clone()).collect(),
            dir: None,
            timeout: Span(start.0 + task.work.limits.timeout.0 + LEFT_ALONE.0),
            secrets: false,
        };
        let orders = draft_program(machine, task, user, program, contained);
        (own, orders)
    });
    each.collect()
}

impl Doer {
    /// Starts everything beside the step, or finds it running, and waits until all of it is well.
    /// A step that has begun is not waited for again.
    pub(super) async fn begin_beside(&mut self, task: &Arc<AssignedTask>) -> Begun {
        let services = &task.work.services;
        if task.work.command.is_empty() || services.is_empty() {
            return Begun::Well;
        }
        if self.place.shim.state().exists() {
            let contained = services.iter().filter(|beside| beside.image.is_some());
            let places = contained.map(|beside| self.place.beside(&beside.name));
            // What cannot be looked after any more has ended, which is found out at the end.
            let links = places.filter_map(|place| self.leash(&place, BTreeMap::new()).ok());
            self.beside = links.collect();
            return Begun::Well;
        }
        let all = try_join_all(task.work.services.iter().map(|beside| self.well(beside)));
        tokio::select! {
            all = all => match all {
                Ok(links) => {
                    // Shims look after themselves, and are found again.
                    let wardens = links.into_iter().filter(|link| matches!(link, Link::Warden(_)));
                    self.beside = wardens.collect();
                    Begun::Well
                }
                Err(reason) => {
                    let phase = TaskPhase::Failed;
                    Begun::Ended(Conclusion { phase, reasons: vec![reason], ..lost("", "") })
                }
            },
            () = Doer::unwanted(self.wanted.clone(), task) => {
                let wanted = self.wanted.borrow();
                match wanted.as_ref().filter(|w| w.created_at == task.created_at) {
                    Some(_) => Begun::Ended(cancelled()),
                    None => Begun::Unwanted,
                }
            }
        }
    }

    /// Waits until one of them is well, and gives the way to what supervises it.
    async fn well(&self, beside: &Beside) -> Result<Link, Reason> {
        let place = self.place.beside(&beside.name);
        let failed = |e: io::Error| {
            let message = format!("{} cannot be started: {e}", beside.name);
            Reason::new("service-not-started", message)
        };
        let found = match beside.image {
            Some(_) => self.leash(&place, BTreeMap::new()),
            None => Link::connect(&place.shim),
        };
        let mut link = match found {
            Ok(link) => link,
            Err(_) if stopped(&place).is_some() => return Err(ended_early(&place)),
            Err(error) if beside.image.is_some() => return Err(failed(error)),
            Err(_) => {
                let started = start_shim(&self.machine.program, &place.shim, None).await;
                started.map_err(failed)?;
                match Link::connect(&place.shim) {
                    Ok(link) => link,
                    Err(_) if stopped(&place).is_some() => return Err(ended_early(&place)),
                    Err(error) => return Err(failed(error)),
                }
            }
        };
        let app = loop {
            match link.next().await {
                Some(State { phase: Phase::Running, app: Some(app), .. }) => break app,
                Some(State { phase: Phase::Stopped, .. }) | None => {
                    return Err(ended_early(&place));
                }
                Some(_) => {}
            }
        };
        let Some((health, question)) = self.question(beside, &place, app) else {
            return Ok(link);
        };
        tokio::select! {
            () = ended(&mut link) => Err(ended_early(&place)),
            well = until_well(health, &question) => well.map(|()| link).map_err(|why| {
                let after = health.start_timeout;
                let message = format!("{} was not well after {after}: {why}", beside.name);
                let message = message + &last_lines(&place);
                let hint = "see what it says above, or raise its health.startTimeout";
                Reason::new("service-not-well", message).hint(hint)
            }),
        }
    }

    /// What it is asked; nothing, if there is nothing to ask.
    fn question<'a>(
        &self,
        beside: &'a Beside,
        place: &TaskPlace,
        app: Process,
    ) -> Option<(&'a Health, Question)> {
        let health = beside.health.as_ref()?;
        let orders: Orders = disk::read(&place.shim.orders())?;
        let name = health.port.as_ref().or_else(|| beside.ports.keys().next());
        let port = name.and_then(|name| orders.launch.env.get(&own_port(name))?.parse().ok());
        let outside = |inside: u16| match &orders.container {
            Some(container) => {
                let mut ports = container.ports.iter();
                ports.find(|(_, to)| **to == inside).map(|(outside, _)| *outside)
            }
            None => Some(inside),
        };
        let at = port.and_then(outside);
        let at = at.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let question = match (health, &orders.container) {
            (Health { http: Some(path), .. }, _) => Question::Http(at?, path.clone()),
            (Health { command: Some(words), .. }, Some(container)) => Question::Inside {
                engine: Arc::clone(&self.machine.engine),
                container: container.name.clone(),
                command: words.clone(),
            },
            (Health { command: Some(words), .. }, None) => {
                Question::Command(inside(words, &orders, app))
            }
            (_, Some(_)) => Question::Forwarded(at?),
            (_, None) => Question::Tcp(at?),
        };
        Some((health, question))
    }

    /// Ends everything beside the step, and tells what had ended before it was asked to.
    pub(super) async fn end_beside(&mut self) -> Vec<Reason> {
        let places = self.place.every_beside();
        let early: Vec<Reason> =
            places.iter().filter(|place| stopped(place).is_some()).map(ended_early).collect();
        let mut held = std::mem::take(&mut self.beside);
        held.extend(places.iter().filter_map(|place| Link::connect(&place.shim).ok()));
        let grace = self.record.as_ref().map_or(Span(0), |r| r.task.work.limits.grace);
        let asked = held.iter_mut().map(|link| async move {
            if link.ask(&Request::Stop).await.is_ok() {
                // What does not end in time is killed below.
                let _ = tokio::time::timeout(grace.std() + SLACK, ended(link)).await;
            }
        });
        join_all(asked).await;
        join_all(places.iter().map(|place| self.end_at_once(&place.shim))).await;
        early
    }
}

/// Comes back once it does not run any more, as far as anybody can tell.
async fn ended(link: &mut Link) {
    while link.next().await.is_some_and(|state| state.phase != Phase::Stopped) {}
}

/// The last word of its shim, if it was said.
fn stopped(place: &TaskPlace) -> Option<State> {
    disk::read::<State>(&place.shim.state()).filter(|state| state.phase == Phase::Stopped)
}

/// That it ended by itself, and the end of its log.
fn ended_early(place: &TaskPlace) -> Reason {
    let how = stopped(place).and_then(|state| state.last);
    let how = how.map_or_else(|| "ended with its supervisor".to_owned(), |how| how.to_string());
    let message = format!("{} {how}{}", place.name(), last_lines(place));
    Reason::new("service-ended", message).hint("correct its command, or what it needs to run")
}

/// The end of its log, behind a colon, if there is any.
fn last_lines(place: &TaskPlace) -> String {
    let log = std::fs::read(file(&place.shim.log(), 0)).unwrap_or_default();
    let tail = log.len().saturating_sub(LAST.0 * LAST.1 * 4);
    let text = String::from_utf8_lossy(&log[tail..]);
    let lines: Vec<String> =
        text.lines().rev().take(LAST.0).map(|line| line.chars().take(LAST.1).collect()).collect();
    let lines: Vec<&str> = lines.iter().rev().map(String::as_str).collect();
    if lines.is_empty() { String::new() } else { format!("; its last words: {}", lines.join("\n")) }
}

/// A command that runs where the program does: in its sandbox, as its user.
fn inside(words: &[String], orders: &Orders, app: Process) -> Launch {
    let apart = orders.once.as_ref().is_some_and(|once| once.sandbox.is_some());
    let Some(user) = orders.launch.user.filter(|_| apart) else {
        return orders.launch.with_command(words);
    };
    let mut command: Vec<String> =
        ["nsenter", "--mount", "--pid", "--ipc", "--uts"].map(str::to_owned).into();
    command.extend([format!("--target={}", app.pid), format!("--setgid={user}")]);
    command.extend([format!("--setuid={user}"), "--".to_owned()]);
    let there = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\""].map(str::to_owned);
    command.extend(there);
    command.push(orders.launch.dir.to_string_lossy().into_owned());
    command.extend(words.iter().cloned());
    Launch { command, dir: "/".into(), user: None, ..orders.launch.clone() }
}

/// Asks until the answers are good, or the time is over.
async fn until_well(health: &Health, question: &Question) -> Result<(), String> {
    let deadline = clock::instant() + health.start_timeout.std();
    let mut good = 0;
    loop {
        match probe::ask(question, health.timeout.std()).await {
            Ok(()) => good += 1,
            Err(why) if clock::instant() >= deadline => return Err(why),
            Err(_) => good = 0,
        }
        if good >= health.healthy_after {
            return Ok(());
        }
        tokio::time::sleep(PAUSE.min(health.every.std())).await;
    }
}
