//! Watching an instance that runs: what its shim says, what its probes answer, and what follows
//! for its phase.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atoll_client::Backoff;
use atoll_model::agent::InstanceReport;
use atoll_model::delivery::PackageRef;
use atoll_model::deployment::InstancePhase;
use atoll_model::run;
use atoll_model::template::Names;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use super::start::{age_at, check_ports, fill, names};
use super::{Keeper, Record};
use crate::clock;
use crate::configs::deliver;
use crate::disk;
use crate::health::Health;
use crate::machine::Machine;
use crate::phase::phase;
use crate::probe::{Question, Questions, ask};
use crate::reconcile::Order;
use crate::runtime::orders::{Orders, Request, State};
use crate::runtime::process::Process;

/// Phases that depend on the time are looked at again this often.
const LOOK: Duration = Duration::from_secs(1);

/// What a keeper knows of the process it watches.
pub struct Watching {
    process: Option<Process>,
    health: Option<Health>,
    /// When its age was that.
    born: (Instant, Duration),
    questions: Option<Questions>,
    /// When it is asked next; none while an answer is out.
    due: Option<Instant>,
    /// The answer that is out. Asked by the keeper itself: a task of its own would cost a host of
    /// many instances more than all its questions. Never locked; so that others may look at a
    /// keeper.
    asking: Option<Mutex<BoxFuture<'static, Answer>>>,
    /// Whether it is marked as ready, for an agent that comes later.
    marked: bool,
    /// The release being fetched ahead of need.
    fetching: Option<(String, JoinHandle<()>)>,
    prefetched: Option<String>,
}

struct Answer {
    process: Process,
    ready: Result<(), String>,
    live: Option<Result<(), String>>,
}

enum Event {
    State(Option<Box<State>>),
    Answer(Answer),
    Prefetched,
    Time,
}

impl Default for Watching {
    fn default() -> Watching {
        Watching {
            process: None,
            health: None,
            born: (clock::instant(), Duration::ZERO),
            questions: None,
            due: None,
            asking: None,
            marked: false,
            fetching: None,
            prefetched: None,
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.fetching {
            task.abort();
        }
    }
}

impl Watching {
    /// Nothing runs any more.
    pub fn forget_process(&mut self) {
        self.process = None;
        self.health = None;
        self.due = None;
        self.asking = None;
        self.marked = false;
    }

    /// The release fetched ahead of need.
    pub fn prefetched(&self) -> Option<String> {
        self.prefetched.clone()
    }

    /// Begins to fetch what the order wants fetched ahead of need.
    pub fn prefetch(&mut self, machine: &Arc<Machine>, order: &Order) {
        let wanted = order.instance.prefetch.as_ref();
        if wanted.is_none() || self.prefetched.as_ref() != wanted {
            self.prefetched = None;
        }
        if self.prefetched.is_some() || self.fetching.as_ref().map(|(r, _)| r) == wanted {
            return;
        }
        if let Some((_, task)) = self.fetching.take() {
            task.abort();
        }
        let Some(release) = wanted.cloned() else { return };
        let (package, image) = (order.prefetch.clone(), order.prefetch_image.clone());
        if package.is_none() && image.is_none() {
            self.prefetched = Some(release);
            return;
        }
        let machine = Arc::clone(machine);
        let task = tokio::spawn(async move {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
            while let Err(error) = fetch_ahead(&machine, package.as_ref(), image.as_deref()).await {
                tracing::warn!(error, "fetching ahead failed");
                tokio::time::sleep(backoff.next_wait()).await;
            }
        });
        self.fetching = Some((release, task));
    }

    fn age(&self) -> Duration {
        self.born.1 + clock::instant().saturating_duration_since(self.born.0)
    }

    /// Asks, if it is time to.
    fn ask_if_due(&mut self, here: IpAddr) {
        if self.due.is_none_or(|due| due > clock::instant()) {
            return;
        }
        // Also where there is nothing to ask: what is due is woken for, again and again.
        self.due = None;
        let (Some(process), Some(health)) = (self.process, &self.health) else { return };
        let Some(questions) = self.questions.clone() else { return };
        let questions = questions.at(here);
        let live = questions.live.clone().filter(|_| health.asks_live(self.age()));
        let asked = async move {
            let ready = ask(&questions.ready, questions.timeout).await;
            let live = match live {
                Some(question) => Some(ask(&question, questions.timeout).await),
                None => None,
            };
            Answer { process, ready, live }
        };
        self.asking = Some(Mutex::new(Box::pin(asked)));
    }

    /// An answer, or what is fetched ahead of need, once it is there.
    async fn next(&mut self) -> Event {
        let Watching { asking, fetching, .. } = self;
        let answer = async {
            match asking {
                Some(asking) => asking.get_mut().unwrap_or_else(PoisonError::into_inner).await,
                None => std::future::pending().await,
            }
        };
        let fetched = async {
            match fetching {
                Some((_, task)) => drop(task.await),
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            answer = answer => Event::Answer(answer),
            () = fetched => Event::Prefetched,
        };
        if let Event::Answer(_) = event {
            self.asking = None;
        }
        event
    }

    /// Takes an answer. While its supervisor is cut off, as from an engine that is started anew,
    /// a bad one tells nothing of the instance.
    fn take_answer(&mut self, mut answer: Answer, cut_off: bool) -> Option<String> {
        let age = self.age();
        if cut_off && answer.ready.is_err() {
            self.due = Some(clock::instant() + LOOK / 4);
            return None;
        }
        answer.live = answer.live.filter(|_| !cut_off);
        let health = self.health.as_mut().filter(|_| self.process == Some(answer.process))?;
        health.answered(answer.ready);
        let restart = answer.live.and_then(|live| health.live_answered(live));
        self.due = health.wait(age).map(|wait| clock::instant() + wait);
        restart
    }

    /// When something is to be done even if nothing happens.
    fn wake(&self) -> Instant {
        let now = clock::instant();
        let age = self.health.as_ref().and_then(|h| h.next_age(self.age())).map(|a| now + a);
        [self.due, age].into_iter().flatten().fold(now + LOOK, Instant::min)
    }
}

impl Keeper {
    /// Watches what runs until something else is wanted or its shim is lost for good.
    pub(super) async fn supervise_until_changed(&mut self) {
        loop {
            if self.link.is_some() {
                self.publish();
            }
            let wake = tokio::time::Instant::from_std(self.watching.wake());
            let event = tokio::select! {
                changed = self.wanted.changed() => match changed {
                    Ok(()) => return,
                    Err(_) => std::future::pending().await,
                },
                state = async {
                    match &mut self.link {
                        Some(link) => link.next().await,
                        None => std::future::pending().await,
                    }
                } => Event::State(state.map(Box::new)),
                event = self.watching.next() => event,
                () = tokio::time::sleep_until(wake) => Event::Time,
            };
            match event {
                Event::State(Some(state)) => self.take_state(*state),
                Event::State(None) => {
                    self.attach().await;
                    if self.link.is_none() {
                        return;
                    }
                }
                Event::Answer(answer) => {
                    let cut_off = self.state.as_ref().is_some_and(|s| s.lacking.is_some());
                    if let Some(why) = self.watching.take_answer(answer, cut_off) {
                        self.restart(why).await;
                    }
                }
                Event::Prefetched => {
                    self.watching.prefetched = self.watching.fetching.take().map(|(r, _)| r);
                }
                Event::Time => self.watching.ask_if_due(self.machine.addresses.own()),
            }
        }
    }

    /// Takes what the shim says. Another process begins with a clean slate.
    pub(super) fn take_state(&mut self, state: State) {
        let before = self.state.replace(state);
        let Some(state) = &self.state else { return };
        if state.app != self.watching.process {
            if self.watching.process.is_some() {
                deliver::ended(&self.machine, &self.name);
            }
            self.watching.forget_process();
            self.watching.process = state.app;
            if let (Some(process), Some(record)) = (state.app, &self.record) {
                let rules = record.order.release.run.health.clone();
                let ready = disk::read::<Process>(&self.place.ready()) == Some(process);
                self.watching.health = Some(Health::new(rules, ready));
                self.watching.marked = ready;
                self.watching.born = (clock::instant(), age_at(state, clock::now()));
                self.watching.due = Some(clock::instant());
                if !ready {
                    self.limit_cpu(None);
                }
                let orders: Option<Orders> = disk::read(&self.place.orders());
                self.watching.questions =
                    orders.and_then(|o| questions(&self.machine, record, &self.place, &o));
            }
        }
        self.watching.ask_if_due(self.machine.addresses.own());
        let died = |s: &State| s.last.as_ref().map(|e| e.at);
        if before.as_ref().and_then(died) != died(state) && state.app.is_none() {
            let ports = self.record.as_ref().map(|r| &r.order.instance.ports);
            self.trouble = ports.and_then(|p| check_ports(p).err());
        }
    }

    async fn restart(&mut self, why: String) {
        tracing::warn!(instance = self.name, why, "it is restarted");
        if let Some(link) = &mut self.link {
            // A shim that has gone is noticed by its silence.
            let _ = link.ask(&Request::Restart { why }).await;
        }
    }

    /// Says how the instance is, and what follows from that on this host.
    fn publish(&mut self) {
        let (Some(record), Some(state)) = (&self.record, &self.state) else { return };
        let health = self.watching.health.as_ref();
        let (phase, mut reasons) = phase(state, health, self.watching.age(), clock::now());
        let ready = phase == InstancePhase::Ready;
        if ready && self.trouble.as_ref().is_some_and(|t| t.code == "port-taken") {
            self.trouble = None;
        }
        reasons.extend(self.trouble.iter().cloned());
        let app = state.app;
        self.machine.board.post(InstanceReport {
            name: self.name.clone(),
            created_at: Some(record.order.instance.created_at),
            generation: record.order.instance.generation,
            phase,
            release: Some(record.order.instance.release.clone()),
            pid: app.and_then(|p| u32::try_from(p.pid).ok()),
            restarts: state.restarts,
            started_at: state.started_at.filter(|_| app.is_some()),
            prefetched: self.watching.prefetched(),
            image: self.found.clone(),
            reasons,
        });
        if ready != self.watching.marked {
            self.watching.marked = ready;
            self.mark(ready);
        }
    }

    /// Notes on the disk that the process is ready, so that an agent that comes later need not
    /// doubt it, and bounds its processor time now that its start is over.
    fn mark(&self, ready: bool) {
        let (path, process) = (self.place.ready(), self.watching.process);
        let marked = match process.filter(|_| ready) {
            Some(process) => disk::write(&path, &process, false),
            None => match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            },
        };
        if let Err(error) = marked {
            tracing::warn!(instance = self.name, %error, "its readiness could not be noted");
        }
        if let (true, Some(record)) = (ready, &self.record) {
            self.limit_cpu(Some(record.order.instance.resources.cpu.0));
        }
    }
}

/// Fetches a package and an image that nothing here needs yet.
pub(crate) async fn fetch_ahead(
    machine: &Machine,
    package: Option<&PackageRef>,
    image: Option<&str>,
) -> Result<(), String> {
    if let Some(package) = package {
        let fetched = machine.packages.fetch(&machine.client(), &package.digest).await;
        fetched.map_err(|e| format!("package {}: {e}", package.name))?;
    }
    if let Some(image) = image {
        machine.images.fetch(image).await.map_err(|e| format!("image {image}: {e}"))?;
    }
    Ok(())
}

/// What an instance is asked.
fn questions(
    machine: &Machine,
    record: &Record,
    place: &crate::runtime::place::Place,
    orders: &Orders,
) -> Option<Questions> {
    let names = names(machine, place, &record.order);
    let health = record.order.release.run.health.as_ref()?;
    let ports = &record.order.instance.ports;
    let port = health.port.as_ref().map_or_else(|| ports.values().next(), |name| ports.get(name));
    let at = port.map(|port| SocketAddr::new(machine.addresses.own(), *port));
    let http = |path: &String| Some(Question::Http(at?, fill(path, &names).ok()?));
    let command = |words: &Vec<String>| command(words, &names, machine, orders);
    let ready = match health {
        run::Health { http: Some(path), .. } => http(path),
        run::Health { command: Some(words), .. } => command(words),
        _ if orders.container.is_some() => at.map(Question::Forwarded),
        _ => at.map(Question::Tcp),
    };
    let live = health.live.as_ref().and_then(|live| match (&live.http, &live.command) {
        (Some(path), _) => http(path),
        (_, Some(words)) => command(words),
        _ => None,
    });
    Some(Questions { ready: ready?, live, timeout: health.timeout.std() })
}

fn command(
    words: &[String],
    names: &Names,
    machine: &Machine,
    orders: &Orders,
) -> Option<Question> {
    let words: Result<Vec<String>, _> = words.iter().map(|w| fill(w, names)).collect();
    Some(match &orders.container {
        Some(container) => Question::Inside {
            engine: Arc::clone(&machine.engine),
            container: container.name.clone(),
            command: words.ok()?,
        },
        None => Question::Command(orders.launch.with_command(&words.ok()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_nothing_to_ask_is_not_woken_for_without_end() {
        let now = clock::instant();
        let mut watching = Watching::default();
        watching.due = Some(now);
        assert!(watching.wake() <= now);
        watching.ask_if_due(IpAddr::from([127, 0, 0, 1]));
        assert!(watching.wake() > now + LOOK / 2);
    }
}
