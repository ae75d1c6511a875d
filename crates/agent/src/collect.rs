//! Metrics without set-up: what host and instances use, what instances expose and what they log,
//! gathered here and forwarded to a server. It watches; it decides nothing about instances.
//!
//! All of it runs on one thread of its own, so that a text of a million lines or a slow disk never
//! stands in the way of a keeper. Only messages on their way to a server share the agent's
//! connections.

mod forward;
mod host;
mod instance;
pub(crate) mod logs;
mod outbox;
mod own;
mod queue;
mod roster;
mod scrape;
mod series;

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use atoll_client::{ClientError, Scraper};
use atoll_model::Reason;
use atoll_model::agent::METRICS_FAILED;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock;
use crate::machine::Machine;
use forward::{Fate, Forwarder};
use host::Files;
use instance::Instances;
use logs::Logs;
use outbox::Outbox;
use queue::Queue;
use roster::Roster;
use scrape::Scrapes;
use series::{Base, Tracked};

/// Bytes kept on the disk while no server takes them.
const QUEUE: u64 = 256 << 20;
/// Instances and logs are looked at this often, and samples are sent.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest time between two looks at host and instances.
const SHORTEST: Duration = Duration::from_millis(250);
/// The wait before it is begun anew, should it ever break.
const ANEW: Duration = Duration::from_secs(10);
/// What its end may take, when the agent ends.
const END: Duration = Duration::from_secs(2);

/// The collector of an agent. Dropped, it keeps what has not been forwarded, and ends.
pub struct Collector {
    stop: Option<watch::Sender<()>>,
    ended: mpsc::Receiver<()>,
}

impl Collector {
    /// Starts it. `every` is the time between two looks at host and instances. Where it cannot be
    /// started, the agent works without.
    pub fn start(machine: &Arc<Machine>, every: Duration) -> Collector {
        let (stop, stopped) = watch::channel(());
        let (ending, ended) = mpsc::channel();
        let (machine, main) = (Arc::clone(machine), Handle::current());
        let spawned = std::thread::Builder::new().name("collect".to_owned()).spawn(move || {
            if let Err(error) = collect(&machine, every, &main, stopped) {
                tracing::error!(%error, "no metrics are collected");
            }
            drop(ending);
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "no metrics are collected");
        }
        Collector { stop: Some(stop), ended }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop = None;
        // Nothing is ever sent: it ends when the thread does.
        let _ = self.ended.recv_timeout(END);
    }
}

fn collect(
    machine: &Arc<Machine>,
    every: Duration,
    main: &Handle,
    mut stopped: watch::Receiver<()>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        loop {
            let work = Work::new(machine, every, main.clone()).map_err(std::io::Error::other)?;
            match tokio::spawn(work.run(stopped.clone())).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::error!(%error, "collecting broke, and begins anew"),
            }
            tokio::select! {
                () = tokio::time::sleep(ANEW) => {}
                _ = stopped.changed() => return Ok(()),
            }
        }
    });
    runtime.shutdown_background();
    done
}

type Sending = JoinHandle<Result<(), ClientError>>;

struct Work {
    machine: Arc<Machine>,
    every: Duration,
    /// Where messages are sent from: connections belong to the loop they were made in.
    main: Handle,
    roster: Roster,
    host: Tracked,
    own: Tracked,
    instances: Instances,
    logs: Logs,
    scrapes: Scrapes,
    files: Files,
    outbox: Outbox,
    forwarder: Forwarder,
    sending: Option<Sending>,
    /// What was said last of all instances, where no server takes what is measured of them.
    untaken: Option<Reason>,
    look_due: Instant,
    collect_due: Instant,
}

impl Work {
    fn new(machine: &Arc<Machine>, every: Duration, main: Handle) -> Result<Work, ClientError> {
        let host = machine.host.as_str();
        let base = |job| Tracked::new(Base::new(&[("host", host), ("instance", host), job]));
        let hash = blake3::hash(host.as_bytes());
        let seed = u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap_or(&[0; 8]));
        let now = clock::instant();
        Ok(Work {
            machine: Arc::clone(machine),
            every: every.max(SHORTEST),
            main,
            roster: Roster::new(&machine.data, &machine.boot),
            host: base(("job", "node")),
            own: base(("job", "atoll-agent")),
            instances: Instances::default(),
            logs: Logs::default(),
            scrapes: Scrapes::new(Scraper::new()?),
            files: Files::default(),
            outbox: Outbox::default(),
            forwarder: Forwarder::new(Queue::open(&machine.data.join("metrics"), QUEUE), seed),
            sending: None,
            untaken: None,
            look_due: now,
            collect_due: now,
        })
    }

    /// Works until it is told to end.
    async fn run(mut self, mut stopped: watch::Receiver<()>) {
        loop {
            self.act();
            self.forward();
            let wake = self.wake();
            tokio::select! {
                _ = stopped.changed() => break,
                fetched = self.scrapes.fetched() => {
                    let (name, remark) = self.scrapes.take(fetched, &mut self.outbox);
                    self.machine.board.remark(&name, remark.or_else(|| self.untaken.clone()));
                }
                result = answer(&mut self.sending) => self.sent(result),
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        self.forwarder.keep(&mut self.outbox);
    }

    /// When something is due next, should nothing happen before.
    fn wake(&self) -> Instant {
        let scrape = self.scrapes.wait(clock::now().0).map(|wait| clock::instant() + wait);
        let due = [scrape, self.forwarder.wake()].into_iter().flatten();
        due.fold(self.look_due.min(self.collect_due), Instant::min)
    }

    /// Does what is due.
    fn act(&mut self) {
        let (now, at) = (clock::instant(), clock::now().0);
        if now >= self.look_due {
            self.look_due = now + LOOK;
            self.roster.refresh();
            self.remark_untaken(now);
            self.logs.look(&self.roster);
            self.scrapes.refresh(&self.roster, &self.machine, &mut self.outbox, at);
        }
        self.scrapes.start_due(at);
        if now >= self.collect_due {
            self.collect_due = (self.collect_due + self.every).max(now);
            self.collect(at);
        }
        if self.look_due == now + LOOK {
            self.outbox.close();
        }
    }

    /// Says of all instances that no server takes what is measured of them, once that is so, and
    /// once it is so no more. What is wrong with the metrics of one is said again when it is
    /// scraped.
    fn remark_untaken(&mut self, now: Instant) {
        let untaken = self.forwarder.untaken(now).map(|why| {
            let message = format!("no server takes what is measured of it: {why}");
            Reason::new(METRICS_FAILED, message).hint("see the log of the agent of its host")
        });
        if untaken == self.untaken {
            return;
        }
        for name in self.roster.instances.keys() {
            self.machine.board.remark(name, untaken.clone());
        }
        self.untaken = untaken;
    }

    fn collect(&mut self, at: i64) {
        let Work { outbox, files, host, own, .. } = self;
        host.begin();
        let mut put = |name: &str, labels: &[(&str, &str)], value: f64| {
            host.put(outbox, at, name, labels, value);
        };
        put("node_time_seconds", &[], at as f64 / 1000.0);
        host::collect(files, &mut put);
        host.finish(outbox, at);
        let (figures, queued) = (outbox.figures.clone(), self.forwarder.queue_bytes());
        own.begin();
        own::collect(files, &figures, queued, &mut |name, labels, value| {
            own.put(outbox, at, name, labels, value);
        });
        own.finish(outbox, at);
        self.instances.collect(&self.roster, &self.machine, &self.logs, &mut self.outbox, at);
    }

    /// Begins to send what is to be sent, if nothing is on its way.
    fn forward(&mut self) {
        self.forwarder.take(&mut self.outbox);
        if self.sending.is_none()
            && let Some(batch) = self.forwarder.next(clock::instant())
        {
            let client = self.machine.client();
            let send = async move { client.write_metrics(batch.body).await };
            self.sending = Some(self.main.spawn(send));
        }
    }

    fn sent(&mut self, fate: Fate) {
        self.sending = None;
        self.forwarder.sent(fate, clock::instant(), &mut self.outbox.figures);
    }
}

/// What has become of the message on its way; waits for ever while there is none.
async fn answer(sending: &mut Option<Sending>) -> Fate {
    match sending {
        Some(task) => match task.await {
            Ok(result) => Fate::of(result),
            // The agent is about to end.
            Err(error) => Fate::Again(error.to_string()),
        },
        None => std::future::pending().await,
    }
}
