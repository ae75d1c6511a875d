//! What is measured and never stored: when each host was last heard. Replicas tell each other
//! through the store, so that the one that leads knows of hosts that talk to another.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use atoll_model::cmdb::HostPhase;
use atoll_model::{Host, Snapshot, Span, Timestamp};
use atoll_plan::Measurements;
use atoll_store::Store;

/// When each host was last heard, here or by another replica.
#[derive(Debug)]
pub struct Measure {
    inner: RwLock<Measurements>,
}

impl Measure {
    /// Nothing heard yet; a host counts as lost after `timeout`.
    pub fn new(timeout: Span) -> Measure {
        let measurements = Measurements { host_timeout: timeout, ..Measurements::default() };
        Measure { inner: RwLock::new(measurements) }
    }

    /// What planners are given; cheap.
    pub fn read(&self) -> Measurements {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a host was heard. True, if it had not been for longer than the time allowed.
    pub fn heard(&self, host: &str, now: Timestamp) -> bool {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let timeout = inner.host_timeout;
        match inner.last_heard.get_mut(host) {
            Some(at) => {
                let was_away = now.since(*at) > timeout;
                *at = now.max(*at);
                was_away
            }
            None => {
                inner.last_heard.insert(host.to_owned(), now);
                true
            }
        }
    }

    /// Gives every host that was present the full time again: nobody could have heard it while
    /// nobody led.
    pub fn grace(&self, world: &Snapshot, now: Timestamp) {
        for host in world.all::<Host>().filter(|h| h.status.phase != HostPhase::Unknown) {
            self.heard(host.name(), now);
        }
    }

    /// Tells the other replicas whom this one heard, and takes over whom they did. Returns the
    /// addresses of all, and the hosts that were away until now.
    ///
    /// # Errors
    /// What the store said.
    pub async fn exchange(
        &self,
        store: &Store,
        replica: &str,
        address: &str,
        now: Timestamp,
    ) -> Result<(Vec<String>, Vec<String>), String> {
        let ages: BTreeMap<String, u64> = {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            let ages = inner.last_heard.iter().map(|(h, at)| (h.clone(), now.since(*at).0));
            ages.filter(|(_, age)| *age < 600_000).collect()
        };
        let heard = serde_json::to_string(&ages).map_err(|e| e.to_string())?;
        store.check_in(replica, address, heard).await.map_err(|e| e.to_string())?;
        let replicas = store.replicas(10_000).await.map_err(|e| e.to_string())?;
        let mut returned = Vec::new();
        for other in replicas.iter().filter(|r| r.id != replica) {
            let ages: BTreeMap<String, u64> =
                serde_json::from_str(&other.heard).map_err(|e| e.to_string())?;
            let since = u64::try_from(other.age_ms).unwrap_or(0);
            for (host, age) in ages {
                if self.heard(&host, now - Span(age.saturating_add(since))) {
                    returned.push(host);
                }
            }
        }
        Ok((replicas.into_iter().map(|r| r.address).collect(), returned))
    }
}
