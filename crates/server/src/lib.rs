//! The control plane's thin shell: it serves the API, keeps the objects in memory, and turns the
//! controllers' crank. What is decided is decided by the planners.

pub mod abroad;
pub mod api;
pub mod attest;
pub mod audit;
pub mod auth;
pub mod blobs;
pub mod cache;
pub mod clock;
pub mod commit;
pub mod console;
pub mod controller;
pub mod fan;
pub mod listen;
pub mod measure;
pub mod metrics;
pub mod monitor;
pub mod notify;
pub mod own;
pub mod passwords;
pub mod pool;
pub mod provider;
pub mod relay;
pub mod replay;
pub mod secrets;
pub mod source;
pub mod standards;
mod start;
pub mod sweep;
pub mod tls;

pub use atoll_metrics::storage::Policy as MetricsPolicy;
pub use metrics::options::{MetricsOptions, Remote, policy};
pub use provider::ProviderOptions;
pub use start::{Encryption, Keep, Options, Running, StartError, start};

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use atoll_model::access::Actor;
use atoll_model::agent::Ask;
use atoll_model::{Any, Snapshot};
use atoll_store::{Epoch, Store};

use crate::api::agents::Reports;
use crate::api::error::Answer;
use crate::api::prometheus::write::Door;
use crate::audit::Note;
use crate::blobs::Blobs;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::measure::Measure;
use crate::measure::asked::Asked;
use crate::metrics::Metrics;
use crate::own::Figures;
use crate::relay::Relay;
use crate::tls::Authority;

/// What handlers and loops share.
pub struct Server {
    /// The database.
    pub store: Store,
    /// All objects in memory.
    pub cache: Cache,
    /// The time.
    pub clock: Clock,
    /// When hosts were heard.
    pub measure: Measure,
    /// Pieces of packages.
    pub blobs: Blobs,
    /// Console sessions.
    pub sessions: auth::Sessions,
    /// Passwords, and who guesses at them.
    pub passwords: passwords::Passwords,
    /// The identity provider, if there is one.
    pub provider: Option<provider::Provider>,
    /// Refusals on their way to the records.
    pub auditor: audit::Auditor,
    /// Logs and commands on their way.
    pub relay: Arc<Relay>,
    /// Reports on their way to the store.
    pub reports: Reports,
    /// Everything measured.
    pub metrics: Arc<Metrics>,
    /// Turns of rehearsals.
    pub rehearsals: Arc<tokio::sync::Semaphore>,
    /// Who watches values of configurations.
    pub fan: fan::Fan,
    /// Messages of remote write on their way.
    pub door: Door,
    /// Planners' questions.
    pub asked: Asked,
    /// The own figures.
    pub figures: Figures,
    /// Seals and opens secrets.
    pub vault: secrets::Vault,
    /// Where sources are kept.
    pub places: source::Places,
    /// What providers of pools need of this machine.
    pub pool_places: pool::Places,
    /// The own CA, if there is one.
    pub authority: Option<Authority>,
    /// What packages are signed with.
    pub signing_key: attest::SigningKey,
    /// Whether connections are encrypted.
    pub secure: bool,
    /// The address listened on.
    pub listen: SocketAddr,
    /// The name of this replica.
    pub replica: String,
    turn: tokio::sync::Mutex<()>,
    returned: Mutex<BTreeSet<String>>,
    news: tokio::sync::Notify,
    to_tell: tokio::sync::Notify,
    /// Somebody has pushed to a repository that is served here.
    pub(crate) pushed: tokio::sync::Notify,
    has_replicas: bool,
    leading: Mutex<Option<(String, bool)>>,
    epoch: Mutex<Option<Epoch>>,
    address: String,
    others: RwLock<Vec<String>>,
    /// Keys that wait to be planned, and keys being measured.
    backlog: (AtomicUsize, AtomicUsize),
}

/// The server, shared.
pub type App = Arc<Server>;

impl Server {
    /// Addresses that agents and people may talk to, this replica's first.
    pub fn addresses(&self) -> Vec<String> {
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = vec![self.address.clone()];
        all.extend(others.iter().filter(|a| **a != self.address).cloned());
        all
    }

    /// Who leads, and whether that is this replica.
    pub fn leading(&self) -> Option<(String, bool)> {
        self.leading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many keys wait to be planned, and how many are being measured.
    pub fn backlog(&self) -> (usize, usize) {
        let load = |count: &AtomicUsize| count.load(std::sync::atomic::Ordering::Relaxed);
        (load(&self.backlog.0), load(&self.backlog.1))
    }

    pub(crate) fn set_leading(&self, leading: Option<(String, bool)>) {
        *self.leading.lock().unwrap_or_else(PoisonError::into_inner) = leading;
    }

    /// The number of the lease, while this replica holds it: what it writes as the leader is
    /// fenced by it.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_epoch(&self, epoch: Option<Epoch>) {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) = epoch;
    }

    fn leads_here(&self) -> bool {
        self.leading().is_some_and(|(_, ours)| ours)
    }

    /// Tells the other replicas whom this one heard, and learns whom they did.
    pub(crate) async fn exchange(&self) {
        if !self.has_replicas {
            return;
        }
        let now = self.clock.now();
        let (store, replica, guesses) = (&self.store, &self.replica, self.passwords.guesses(now));
        let found = self.measure.exchange(store, replica, &self.address, now, guesses).await;
        match found {
            Ok(found) => {
                self.passwords.learn(found.guesses);
                *self.others.write().unwrap_or_else(PoisonError::into_inner) = found.addresses;
                found.returned.iter().for_each(|host| self.host_returned(host));
            }
            Err(error) => tracing::warn!("could not check in with other replicas: {error}"),
        }
    }

    /// A host was heard again after it had been lost: its planner is to look at once.
    pub(crate) fn host_returned(&self, name: &str) {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        self.news.notify_one();
    }

    /// The other replicas are to know at once whom this one hears.
    pub(crate) fn tell_others(&self) {
        self.to_tell.notify_one();
    }

    /// Hosts heard again since the last call.
    pub(crate) fn take_returned(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The object with what is worked out when it is read.
    pub fn shown(&self, world: &Snapshot, any: Any) -> Any {
        match any {
            Any::Host(host) => {
                let mut host = (*host).clone();
                host.status.allocated =
                    world.usage(host.name()).map(|u| u.amount).unwrap_or_default();
                let measured = self.measure.read();
                let heard = measured.last_heard.get(host.name()).copied();
                host.status.last_seen = heard.max(host.status.last_seen);
                Any::Host(Arc::new(host))
            }
            other => other,
        }
    }

    /// Puts a command run on a host into the audit before it is run.
    pub(crate) async fn record_exec(
        &self,
        actor: &Actor,
        instance: &str,
        ask: &Ask,
        from: Option<String>,
    ) -> Answer<()> {
        let Ask::Exec { command, .. } = ask else { return Ok(()) };
        let note = Note::new(&actor.name, "exec", format!("instance/{instance}"));
        let note = note.because("exec", command.join(" ").replace('\0', "\\0"));
        self.put_on_record(vec![note.from(from)]).await?;
        Ok(())
    }
}
