//! The keeper of one instance: a task that brings what is here to what is wanted, one step after
//! another, and watches it. What the next step is, `reconcile.rs` decides; how it is done stands
//! here and in `keeper/`.

mod container;
mod start;
mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Backoff, ClientError, PackageError};
use atoll_model::Reason;
use atoll_model::agent::{FoundImage, InstanceReport};
use atoll_model::deployment::InstancePhase;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::sync::watch as latest;

use crate::disk;
use crate::machine::Machine;
use crate::reconcile::{Here, Order, Step, next_step};
use crate::runtime::link::{Link, start_shim};
use crate::runtime::orders::{Orders, Phase, Request, State};
use crate::runtime::place::Place;
use crate::runtime::process::Process;
use crate::runtime::warden::leash::Leash;
use watch::Watching;
pub(crate) use watch::fetch_ahead;

/// What a shim may take beyond the grace of its application before it is done without.
const STOP_SLACK: Duration = Duration::from_secs(8);
/// What a shim may take to say how things are.
const GREETING: Duration = Duration::from_secs(5);

/// What was last started here, as it is found again by an agent that comes later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was to be run.
    pub order: Order,
    /// The user it has.
    pub user: Option<u32>,
}

/// What is wanted of an instance; nothing means that it is to be forgotten.
pub type Wanted = Option<Arc<Order>>;

/// Keeps one instance.
pub struct Keeper {
    machine: Arc<Machine>,
    name: String,
    place: Place,
    wanted: latest::Receiver<Wanted>,
    record: Option<Record>,
    /// **Invariant:** while there is a link, there is a state, and the shim lives.
    link: Option<Link>,
    state: Option<State>,
    watching: Watching,
    /// What its container is called, if it is one.
    container: Option<String>,
    /// What the image of its release was found to be, until the server has heard.
    found: Option<FoundImage>,
    /// What stands in the way of the next step.
    trouble: Option<Reason>,
    backoff: Backoff,
}

impl Keeper {
    /// The keeper of the instance of that name, be there anything of it or not.
    pub fn new(machine: Arc<Machine>, name: &str, wanted: latest::Receiver<Wanted>) -> Keeper {
        let place = Place::of(&machine.data, name);
        Keeper {
            record: disk::read(&place.record()),
            machine,
            name: name.to_owned(),
            place,
            wanted,
            link: None,
            state: None,
            watching: Watching::default(),
            container: None,
            found: None,
            trouble: None,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(10)),
        }
    }

    /// Keeps the instance until nobody wants anything of it any more.
    pub async fn run(mut self) {
        self.attach().await;
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            let step = next_step(self.here(wanted.as_deref()), wanted.as_deref());
            tracing::debug!(instance = self.name, ?step, "next step");
            let Some(order) = wanted else {
                match step {
                    Step::Stop => self.stop().await,
                    _ => {
                        self.clear().await;
                        // Another instance of the same name may come.
                        if self.wanted.changed().await.is_err() {
                            return;
                        }
                    }
                }
                continue;
            };
            self.watching.prefetch(&self.machine, &order);
            match step {
                Step::Stop => self.stop().await,
                Step::Clear => self.clear().await,
                Step::Fetch => self.fetch(&order).await,
                Step::Start => self.start(&order).await,
                Step::Rest => self.rest(&order).await,
                Step::Supervise => {
                    self.note(&order);
                    self.supervise_until_changed().await;
                }
            }
        }
    }

    fn here(&self, wanted: Option<&Order>) -> Here<'_> {
        let fetched = wanted.and_then(Order::digest).is_none_or(|digest| {
            self.activated().as_deref() == Some(digest) || self.machine.packages.has(digest)
        });
        let fetched = fetched && wanted.is_none_or(|order| self.has_image(order));
        let record = self.record.as_ref().map(|r| &r.order);
        Here { record, alive: self.link.is_some(), fetched }
    }

    /// The digest of the package in the instance's directory, if there is a whole one.
    fn activated(&self) -> Option<String> {
        disk::read(&self.place.activated())
    }

    /// Finds the shim that runs, or gives a process that lost its shim another.
    async fn attach(&mut self) {
        self.link = None;
        self.state = None;
        let orders: Option<Orders> = disk::read(&self.place.orders());
        if let Some(orders) = orders.filter(|orders| orders.container.is_some()) {
            let state: Option<State> = disk::read(&self.place.state());
            let here = |s: &State| s.boot == self.machine.boot && s.phase != Phase::Stopped;
            if state.is_some_and(|state| here(&state)) {
                self.leash(orders).await;
            }
            return;
        }
        let alive = || {
            let state: Option<State> = disk::read(&self.place.state());
            state.is_some_and(|s| s.app_alive(&self.machine.boot))
        };
        let link = match Link::connect(&self.place) {
            Ok(link) => link,
            Err(_) if alive() => {
                tracing::warn!(instance = self.name, "its supervisor died; it gets another");
                match self.new_shim().await {
                    Ok(link) => link,
                    Err(error) => {
                        tracing::error!(instance = self.name, %error, "it stays without");
                        return;
                    }
                }
            }
            Err(_) => return,
        };
        self.greet(link).await;
    }

    /// Lets a warden look after the container of these orders.
    async fn leash(&mut self, orders: Orders) {
        self.container = orders.container.as_ref().map(|container| container.name.clone());
        let engine = Arc::clone(&self.machine.engine);
        if let Some(leash) = Leash::new(engine, self.place.clone(), orders, BTreeMap::new()) {
            self.greet(Link::Warden(leash)).await;
        }
    }

    async fn new_shim(&self) -> io::Result<Link> {
        start_shim(&self.machine.program, &self.place, None).await?;
        Link::connect(&self.place)
    }

    /// Takes the first state, without which a link is of no use.
    async fn greet(&mut self, mut link: Link) {
        if let Ok(Some(state)) = tokio::time::timeout(GREETING, link.next()).await
            && state.phase != Phase::Stopped
        {
            self.link = Some(link);
            self.take_state(state);
        }
    }

    /// Sees to the package, while whatever runs goes on running.
    async fn fetch(&mut self, order: &Arc<Order>) {
        if !self.has_image(order) {
            return self.fetch_image(order).await;
        }
        let Some(digest) = order.digest().map(str::to_owned) else { return };
        let (machine, client) = (Arc::clone(&self.machine), self.machine.client());
        let fetch = async { machine.packages.fetch(&client, &digest).await };
        if self.link.is_none() {
            self.post(order, InstancePhase::Fetching);
        }
        let fetched = tokio::select! {
            fetched = fetch => fetched,
            () = self.supervise_until_changed() => return,
        };
        match fetched {
            Ok(()) => self.out_of_trouble(),
            Err(error) => self.in_trouble(order, package_reason(order, &error)).await,
        }
    }

    async fn stop(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        if let Some(record) = &self.record {
            self.post(&record.order, InstancePhase::Stopping);
        }
        let orders: Option<Orders> = disk::read(&self.place.orders());
        let grace = orders.as_ref().map_or(Duration::ZERO, |o| o.grace.std());
        self.container = None;
        let stopped = tokio::time::timeout(grace + STOP_SLACK, async {
            loop {
                if link.ask(&Request::Stop).await.is_ok() {
                    while let Some(state) = link.next().await {
                        if state.phase == Phase::Stopped {
                            return;
                        }
                    }
                }
                // The shim died over it; its application, should it live, gets another.
                self.attach().await;
                match self.link.take() {
                    Some(next) => link = next,
                    None => return,
                }
            }
        });
        if stopped.await.is_err() {
            tracing::error!(instance = self.name, "its supervisor does not answer; it is killed");
            self.state.take().inspect(|s| s.shim.signal(Signal::SIGKILL));
        }
        if let Some(orders) = orders {
            sweep(&orders).await;
        }
        self.link = None;
        self.state = None;
        self.watching.forget_process();
    }

    /// Nothing is to run here, and nothing does.
    async fn rest(&mut self, order: &Arc<Order>) {
        self.note(order);
        self.post(order, InstancePhase::Stopped);
        self.changed().await;
    }

    /// Removes everything of the instance.
    async fn clear(&mut self) {
        let orders: Option<Orders> = disk::read(&self.place.orders());
        if let Some(orders) = orders {
            match &orders.container {
                Some(container) => self.clear_container(container).await,
                None => sweep(&orders).await,
            }
        }
        self.container = None;
        let group = self.machine.group(&self.name);
        let (place, gone) = (self.place.clone(), self.machine.data.join("gone"));
        let removed = tokio::task::spawn_blocking(move || {
            group.remove();
            // Moved first: half a directory is never taken for an instance.
            fs::create_dir_all(&gone)?;
            let beside = gone.join(place.name());
            let _ = fs::remove_dir_all(&beside);
            match fs::rename(place.dir(), &beside) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(e) => Err(e),
                Ok(()) => fs::remove_dir_all(&beside),
            }
        });
        match removed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(instance = self.name, %error, "not all was removed"),
            Err(error) => tracing::warn!(instance = self.name, %error, "not all was removed"),
        }
        if let Some(user) = self.record.take().and_then(|r| r.user) {
            self.machine.free_user(user);
        }
        self.out_of_trouble();
        self.watching.forget_process();
        self.machine.board.forget(&self.name);
    }

    /// Writes down what is now known to be wanted of what runs, or rests.
    fn note(&mut self, order: &Order) {
        let Some(record) = &mut self.record else { return };
        if record.order == *order {
            return;
        }
        record.order = order.clone();
        if let Err(error) = disk::write(&self.place.record(), record, true) {
            tracing::warn!(instance = self.name, %error, "its record could not be written");
        }
    }

    async fn in_trouble(&mut self, order: &Arc<Order>, reason: Reason) {
        if self.trouble.as_ref() != Some(&reason) {
            tracing::warn!(instance = self.name, reason = %reason, "it cannot go on");
        }
        let waiting = container::passes(&reason);
        self.trouble = Some(reason);
        if self.link.is_none() {
            let failed = InstancePhase::CrashLoop;
            self.post(order, if waiting { InstancePhase::Fetching } else { failed });
        }
        let wait = self.backoff.next_wait();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.supervise_until_changed() => {}
        }
    }

    fn out_of_trouble(&mut self) {
        self.trouble = None;
        self.backoff.reset();
    }

    /// Says how an instance is of which nothing runs.
    fn post(&self, order: &Order, phase: InstancePhase) {
        self.machine.board.post(InstanceReport {
            name: self.name.clone(),
            created_at: Some(order.instance.created_at),
            generation: order.instance.generation,
            phase,
            release: None,
            pid: None,
            restarts: self.state.as_ref().map_or(0, |s| s.restarts),
            started_at: None,
            prefetched: self.watching.prefetched(),
            image: self.found.clone(),
            reasons: self.trouble.iter().cloned().collect(),
        });
    }

    async fn changed(&mut self) {
        if self.wanted.changed().await.is_err() {
            // The agent ends; until it has, nothing is to be done.
            std::future::pending::<()>().await;
        }
    }
}

/// Kills whatever is left of an instance that should have ended. A container is not killed: its
/// warden knows what to do with it.
pub(crate) async fn sweep(orders: &Orders) {
    if orders.container.is_some() {
        return;
    }
    for _ in 0..100 {
        let (launch, group) = (orders.launch.clone(), orders.group.clone());
        let look = tokio::task::spawn_blocking(move || launch.members(&group)).await;
        let members: Vec<Process> = look.unwrap_or_default();
        if members.is_empty() {
            return;
        }
        orders.group.kill();
        for process in members {
            process.signal(Signal::SIGKILL);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn package_reason(order: &Order, error: &PackageError) -> Reason {
    let package = order.release.package.as_ref();
    let name = package.map_or_else(String::new, |p| format!("{}:{}", p.name, p.version));
    let message = |text: &str| format!("package {name}: {text}");
    match error {
        PackageError::Client(ClientError::NotFound(_)) => {
            Reason::new("package-missing", message("the server does not have all of it"))
                .hint(format!("push it again: atoll package push {name} PATH"))
        }
        PackageError::Client(client) if client.code() == "damaged" => {
            Reason::new("package-damaged", message(&error.to_string()))
                .hint(format!("push the same files again: atoll package push {name} PATH"))
        }
        PackageError::Full { .. } => Reason::new("disk-full", message(&error.to_string())),
        PackageError::Refused(_) => Reason::new("package-refused", message(&error.to_string())),
        PackageError::Corrupt { .. } => {
            let hint = "it is fetched anew; if this comes again, look at the disk of the host";
            Reason::new("package-corrupt", message(&error.to_string())).hint(hint)
        }
        _ => Reason::new("fetch-failed", message(&error.to_string())),
    }
}
