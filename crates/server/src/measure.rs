//! What is measured: here when each host was last heard, which is never stored, and below what
//! planners ask of the metrics. Replicas tell each other through the store whom they heard, so
//! that the one that leads knows of hosts that talk to another.

pub mod alerts;
pub mod asked;
pub mod expression;
pub mod validity;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use atoll_model::cmdb::HostPhase;
use atoll_model::{Host, Snapshot, Span, Timestamp};
use atoll_plan::Measurements;
use atoll_store::Store;

/// A host not heard here for so long is no longer told of.
const FORGOTTEN: Span = Span::seconds(600);
/// What is told beside hosts begins so.
const GUESS: char = '!';

/// When each host was last heard, here or by another replica.
#[derive(Debug)]
pub struct Measure {
    /// What planners are given: the latest of both.
    inner: RwLock<Measurements>,
    /// Hosts that poll this replica, and when they last did: what the others are told.
    here: RwLock<BTreeMap<String, Timestamp>>,
    /// How many milliseconds ahead the clocks of hosts that poll this replica last were.
    clocks: RwLock<HashMap<String, i64>>,
    /// Hosts that poll another replica: its address, and when they last did.
    elsewhere: RwLock<HashMap<String, (String, Timestamp)>>,
}

/// What an exchange with the other replicas has brought.
#[derive(Debug, Default)]
pub struct Exchanged {
    /// The addresses of all replicas.
    pub addresses: Vec<String>,
    /// Hosts that had been away until another replica heard them.
    pub returned: Vec<String>,
    /// Wrong passwords counted elsewhere: by which replica, of what, and when last.
    pub guesses: Vec<(String, String, Timestamp)>,
}

impl Measure {
    /// Nothing heard yet; a host counts as lost after `timeout`.
    pub fn new(timeout: Span) -> Measure {
        let measurements = Measurements { host_timeout: timeout, ..Measurements::default() };
        Measure {
            inner: RwLock::new(measurements),
            here: RwLock::default(),
            clocks: RwLock::default(),
            elsewhere: RwLock::default(),
        }
    }

    /// What planners are given; cheap.
    pub fn read(&self) -> Measurements {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on packages signed with this key are trusted.
    pub fn trust(&self, key: String) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.signers = Arc::new(vec![key]);
    }

    /// Notes that a host polls here. True, if it did not before.
    pub fn polled(&self, host: &str, now: Timestamp) -> bool {
        let mut here = self.here.write().unwrap_or_else(PoisonError::into_inner);
        here.insert(host.to_owned(), now).is_none()
    }

    /// Notes how many milliseconds ahead a host's clock is, and says how many are to be believed: a
    /// question may have been long on its way, so only as many as the last two agree on. None
    /// before there are two.
    pub fn clock(&self, host: &str, ahead: i64) -> Option<i64> {
        let mut clocks = self.clocks.write().unwrap_or_else(PoisonError::into_inner);
        let before = clocks.insert(host.to_owned(), ahead)?;
        let agree = before.signum() == ahead.signum();
        Some(if agree { before.abs().min(ahead.abs()) * ahead.signum() } else { 0 })
    }

    /// Notes that a host was heard. True, if it had not been heard anywhere for longer than the
    /// time allowed.
    pub fn heard(&self, host: &str, at: Timestamp) -> bool {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let timeout = inner.host_timeout;
        match inner.last_heard.get_mut(host) {
            Some(last) => {
                let was_away = at.since(*last) > timeout;
                *last = at.max(*last);
                was_away
            }
            None => {
                inner.last_heard.insert(host.to_owned(), at);
                true
            }
        }
    }

    /// The address of the replica that a host polls, if that is another one.
    pub fn polled_at(&self, host: &str) -> Option<String> {
        let here = self.here.read().unwrap_or_else(PoisonError::into_inner).get(host).copied();
        let elsewhere = self.elsewhere.read().unwrap_or_else(PoisonError::into_inner);
        let (address, at) = elsewhere.get(host)?;
        here.is_none_or(|here| here < *at).then(|| address.clone())
    }

    /// Gives every host that was present the full time again: nobody could have heard it while
    /// nobody led.
    pub fn grace(&self, world: &Snapshot, now: Timestamp) {
        for host in world.all::<Host>().filter(|h| h.status.phase != HostPhase::Unknown) {
            self.heard(host.name(), now);
        }
    }

    /// Tells the other replicas whom this one heard, and takes over whom they did. `guesses` are
    /// wrong passwords, of which nothing is known here but how long ago they were, in milliseconds.
    ///
    /// # Errors
    /// What the store said.
    pub async fn exchange(
        &self,
        store: &Store,
        replica: &str,
        address: &str,
        now: Timestamp,
        guesses: BTreeMap<String, u64>,
    ) -> Result<Exchanged, String> {
        let mut ages: BTreeMap<String, u64> = {
            let mut here = self.here.write().unwrap_or_else(PoisonError::into_inner);
            here.retain(|_, at| now.since(*at) < FORGOTTEN);
            here.iter().map(|(host, at)| (host.clone(), now.since(*at).0)).collect()
        };
        // They stand among the hosts, whose names begin with no such sign, so that a replica of an
        // older version reads on.
        ages.extend(guesses.into_iter().map(|(guess, age)| (format!("{GUESS}{guess}"), age)));
        let heard = serde_json::to_string(&ages).map_err(|e| e.to_string())?;
        store.check_in(replica, address, heard).await.map_err(|e| e.to_string())?;
        let replicas = store.replicas(10_000).await.map_err(|e| e.to_string())?;
        let mut exchanged = Exchanged::default();
        for other in replicas.iter().filter(|r| r.id != replica) {
            let ages: BTreeMap<String, u64> =
                serde_json::from_str(&other.heard).map_err(|e| e.to_string())?;
            let since = u64::try_from(other.age_ms).unwrap_or(0);
            for (host, age) in ages {
                let at = now - Span(age.saturating_add(since));
                if let Some(guess) = host.strip_prefix(GUESS) {
                    exchanged.guesses.push((other.id.clone(), guess.to_owned(), at));
                    continue;
                }
                let mut elsewhere = self.elsewhere.write().unwrap_or_else(PoisonError::into_inner);
                elsewhere.insert(host.clone(), (other.address.clone(), at));
                drop(elsewhere);
                if self.heard(&host, at) {
                    exchanged.returned.push(host);
                }
            }
        }
        exchanged.addresses = replicas.into_iter().map(|r| r.address).collect();
        Ok(exchanged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_what_two_questions_agree_on() {
        let measure = Measure::new(Span::seconds(30));
        let told = [-3_600_000, -3_640_000, -3_600_100, 40, 90_000].map(|a| measure.clock("h1", a));
        assert_eq!(told, [None, Some(-3_600_000), Some(-3_600_100), Some(0), Some(40)]);
        assert_eq!(measure.clock("h2", 5), None);
    }

    #[tokio::test]
    async fn replicas_tell_each_other_whom_they_heard() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(dir.path()).await.unwrap();
        let (a, b) = (Measure::new(Span::seconds(30)), Measure::new(Span::seconds(30)));
        let now = Timestamp(1_000_000);
        assert!(a.heard("h1", now) && a.polled("h1", now));
        let none = BTreeMap::new;
        let guesses = [("3:x".to_owned(), 5)].into();
        a.exchange(&store, "a", "http://a", now, guesses).await.unwrap();
        let told = b.exchange(&store, "b", "http://b", now, none()).await.unwrap();
        let [(replica, guess, at)] = &told.guesses[..] else { panic!("{:?}", told.guesses) };
        assert_eq!((replica.as_str(), guess.as_str()), ("a", "3:x"));
        assert!(now.since(*at) >= Span(5), "{at:?}");
        assert_eq!((told.returned, told.addresses.len()), (vec!["h1".to_owned()], 2));
        assert_eq!(b.polled_at("h1").as_deref(), Some("http://a"));
        // What was only learned is not passed on, or the dead would live by rumour.
        a.exchange(&store, "a", "http://a", now, none()).await.unwrap();
        assert_eq!(a.polled_at("h1"), None);
        // The host moves: whoever it polled last is asked.
        b.polled("h1", now + Span(5));
        assert_eq!(b.polled_at("h1"), None);
    }
}
