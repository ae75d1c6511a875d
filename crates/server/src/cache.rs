//! All objects in memory, kept true by applying every committed write in order, and the feed that
//! watchers, agents and the controller read from. It never writes to the store.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use atoll_model::api::WatchEvent;
use atoll_model::upgrade::upgrade;
use atoll_model::{Any, Deployment, Host, Instance, Kind, Snapshot};
use atoll_plan::{cmdb, config};
use atoll_store::{Entry, RECORD, Row, Store};
use tokio::sync::{Notify, watch};

/// So many events are kept in memory for watchers that resume; one that is further behind is sent
/// everything anew.
const KEPT: usize = 5_000;

/// One committed write, as watchers see it.
#[derive(Debug)]
pub struct Event {
    /// Its revision.
    pub revision: u64,
    /// What stood there before.
    pub old: Option<Any>,
    /// What stands there now; none, if it was deleted.
    pub new: Option<Any>,
    text: OnceLock<String>,
}

impl Event {
    /// The object: the new one or, if it was deleted, the old.
    pub fn object(&self) -> Option<&Any> {
        self.new.as_ref().or(self.old.as_ref())
    }

    /// The event as JSON; worked out once, however many watch.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let event = WatchEvent {
                event: if self.new.is_some() { "put" } else { "delete" }.to_owned(),
                revision: self.revision,
                object: self.object().cloned(),
            };
            serde_json::to_string(&event).expect("objects have string keys")
        })
    }
}

/// A write whose revision is known and which is to be applied.
#[derive(Debug)]
pub struct Applied {
    /// Its revision.
    pub revision: u64,
    /// Of this kind.
    pub kind: Kind,
    /// Of this name.
    pub name: String,
    /// What stands there now.
    pub new: Option<Any>,
}

impl Applied {
    /// A record that is of no object: nothing stands there, and nothing did. It is applied all the
    /// same, so that no revision is left out.
    pub fn record(revision: u64) -> Applied {
        Applied { revision, kind: Kind::Token, name: String::new(), new: None }
    }
}

/// What wakes the long poll of one host's agent.
#[derive(Debug, Default)]
pub struct HostSlot {
    /// The revision of the last write that concerns the host.
    pub revision: AtomicU64,
    /// Woken after the revision rose, or when a session waits.
    pub changed: Notify,
}

/// All objects in memory.
#[derive(Debug)]
pub struct Cache {
    inner: RwLock<Inner>,
    hosts: Mutex<HashMap<String, Arc<HostSlot>>>,
    revision: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    world: Snapshot,
    events: VecDeque<Arc<Event>>,
    early: BTreeMap<u64, Applied>,
}

/// Why the feed cannot be read from a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld;

impl Cache {
    /// Reads everything from the store.
    ///
    /// # Errors
    /// What the store said, or which row cannot be read.
    pub async fn load(store: &Store) -> Result<Cache, String> {
        let (revision, rows) = store.snapshot().await.map_err(|e| e.to_string())?;
        let mut world = Snapshot::default();
        world.revision = revision;
        for row in rows {
            world.put(read_row(&row)?);
        }
        let inner = Inner { world, ..Inner::default() };
        let (sender, _) = watch::channel(revision);
        Ok(Cache { inner: RwLock::new(inner), hosts: Mutex::default(), revision: sender })
    }

    /// Everything at one revision; shares with the cache until either changes.
    pub fn world(&self) -> Snapshot {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).world.clone()
    }

    /// The revision that is true here.
    pub fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Told of every new revision.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// The events after a revision.
    ///
    /// # Errors
    /// [`TooOld`], where memory does not reach back that far.
    pub fn since(&self, revision: u64) -> Result<Vec<Arc<Event>>, TooOld> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        if revision >= inner.world.revision {
            return Ok(Vec::new());
        }
        match inner.events.front() {
            Some(first) if first.revision <= revision + 1 => {
                let skip = usize::try_from(revision + 1 - first.revision).unwrap_or(usize::MAX);
                Ok(inner.events.iter().skip(skip).cloned().collect())
            }
            _ => Err(TooOld),
        }
    }

    /// Applies committed writes.
    ///
    /// **Invariant:** writes are applied in the order of their revisions without a gap; what
    /// comes early waits until the gap is filled, by another commit or by [`Cache::catch_up`].
    pub fn apply(&self, writes: Vec<Applied>) {
        let mut applied = Vec::new();
        {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            let at = inner.world.revision;
            inner
                .early
                .extend(writes.into_iter().filter(|w| w.revision > at).map(|w| (w.revision, w)));
            loop {
                let next = inner.world.revision + 1;
                let Some(write) = inner.early.remove(&next) else { break };
                applied.push(inner.take(write));
            }
        }
        if let Some(last) = applied.last() {
            self.wake_hosts(&applied);
            self.revision.send_replace(last.revision);
        }
    }

    /// Reads from the store what other replicas have written.
    ///
    /// # Errors
    /// What the store said.
    pub async fn catch_up(&self, store: &Store) -> Result<(), String> {
        loop {
            let entries = store.since(self.revision(), 1_000).await.map_err(|e| e.to_string())?;
            if entries.is_empty() {
                return Ok(());
            }
            let writes = entries.iter().map(read_entry).collect::<Result<Vec<_>, _>>()?;
            self.apply(writes);
        }
    }

    /// Waits until a revision is true here.
    pub async fn reaches(&self, revision: u64) {
        let mut follow = self.follow();
        // The sender lives as long as the cache that is borrowed here.
        let _ = follow.wait_for(|at| *at >= revision).await;
    }

    /// What wakes the agent of a host.
    pub fn host(&self, name: &str) -> Arc<HostSlot> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.revision();
        let slot = || Arc::new(HostSlot { revision: AtomicU64::new(at), ..HostSlot::default() });
        hosts.entry(name.to_owned()).or_insert_with(slot).clone()
    }

    fn wake_hosts(&self, events: &[Arc<Event>]) {
        let world = self.world();
        let pinned: Vec<(String, u64)> = events.iter().flat_map(|e| self.waiting_for(e)).collect();
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut woken: HashMap<String, u64> = HashMap::new();
        for event in events {
            let of_config =
                config::hosts_to_wake(&world, event.old.as_ref(), event.new.as_ref()).into_iter();
            woken.extend(of_config.map(|host| (host, event.revision)));
            if atoll_plan::peak::wakes_hosts(event.old.as_ref(), event.new.as_ref()) {
                woken.extend(world.all::<Host>().map(|h| (h.meta.name.clone(), event.revision)));
            }
            for any in [&event.old, &event.new].into_iter().flatten() {
                let host = match any {
                    Any::Instance(instance) => Some(instance.spec.host.as_str()),
                    Any::Task(task) => task.spec.host.as_deref(),
                    Any::Host(host) => Some(host.name()),
                    Any::Facts(facts) => cmdb::asked_by_facts(&world, facts),
                    _ => None,
                };
                if let Some(host) = host
                    && concerns_agent(&world, event)
                {
                    woken.insert(host.to_owned(), event.revision);
                }
            }
        }
        woken.extend(pinned);
        for (name, revision) in woken {
            if let Some(slot) = hosts.get(&name) {
                slot.revision.fetch_max(revision, Ordering::SeqCst);
                slot.changed.notify_waiters();
            }
        }
    }

    /// The hosts that wait for the image of a release to be fixed, if this write fixes it.
    fn waiting_for(&self, event: &Event) -> Vec<(String, u64)> {
        let (Some(Any::Release(old)), Some(Any::Release(new))) = (&event.old, &event.new) else {
            return Vec::new();
        };
        if old.pinned_image() == new.pinned_image() {
            return Vec::new();
        }
        let world = self.world();
        let deployments = world.derived::<Deployment>(&new.spec.application);
        let instances = deployments.flat_map(|d| world.derived::<Instance>(d.name()));
        let ours = instances.filter(|i| i.spec.release == *new.name());
        ours.map(|i| (i.spec.host.clone(), event.revision)).collect()
    }
}

/// Whether a write of an instance, a task or a host changes what its agent is to do: its own
/// reports do not.
fn concerns_agent(world: &Snapshot, event: &Event) -> bool {
    match (&event.old, &event.new) {
        (Some(Any::Host(old)), Some(Any::Host(new))) => cmdb::asks_anew(world, old, new),
        (Some(Any::Facts(_)), _) | (_, Some(Any::Facts(_))) => true,
        (_, Some(Any::Host(_))) | (Some(Any::Host(_)), None) => false,
        (Some(old), Some(new)) => {
            !old.same_spec(new) || old.meta().deleted_at != new.meta().deleted_at
        }
        _ => true,
    }
}

impl Inner {
    fn take(&mut self, write: Applied) -> Arc<Event> {
        let old = match &write.new {
            Some(any) => self.world.put(any.clone()),
            None => self.world.remove(write.kind, &write.name),
        };
        self.world.revision = write.revision;
        let event = Event { revision: write.revision, old, new: write.new, text: OnceLock::new() };
        let event = Arc::new(event);
        self.events.push_back(event.clone());
        if self.events.len() > KEPT {
            self.events.pop_front();
        }
        event
    }
}

/// Reads a stored row.
///
/// # Errors
/// Which row cannot be read, and why.
pub fn read_row(row: &Row) -> Result<Any, String> {
    read_body(&row.kind, &row.name, row.revision, &row.body)
}

/// Reads a stored body as the object it was at a revision.
///
/// # Errors
/// Which one cannot be read, and why.
pub fn read_body(kind: &str, name: &str, revision: u64, body: &str) -> Result<Any, String> {
    let wrong = |e: String| format!("stored {kind}/{name} at revision {revision}: {e}");
    let value = serde_json::from_str(body).map_err(|e| wrong(e.to_string()))?;
    let mut any = Any::from_value(upgrade(value)).map_err(|e| wrong(e.to_string()))?;
    any.meta_mut().revision = revision;
    Ok(any)
}

fn read_entry(entry: &Entry) -> Result<Applied, String> {
    if entry.kind == RECORD {
        return Ok(Applied::record(entry.revision));
    }
    let kind: Kind = entry.kind.parse()?;
    let new = if entry.deleted {
        None
    } else {
        Some(read_body(&entry.kind, &entry.name, entry.revision, &entry.body)?)
    };
    Ok(Applied { revision: entry.revision, kind, name: entry.name.clone(), new })
}
