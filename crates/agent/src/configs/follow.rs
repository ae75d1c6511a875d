//! Which programs follow their configuration at the agent: those that wait there now, and those
//! that did a moment ago. In memory only; whether a version was taken up is judged elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atoll_model::config::ConfigAck;

use super::Acks;
use crate::clock;

/// A program that has not asked for so long follows no more: what counts is its file again.
const QUIET: Duration = Duration::from_secs(120);

/// An instance, and one of its configurations.
type Key = (String, String);

/// Who follows.
#[derive(Clone, Debug, Default)]
pub(super) struct Followers(Arc<Mutex<BTreeMap<Key, Follower>>>);

#[derive(Clone, Copy, Debug)]
struct Follower {
    /// So many requests of it are being answered.
    open: u32,
    /// When it last began or ended one.
    seen: Instant,
}

/// A request that is being answered; who made it follows for as long, and a while after.
pub(super) struct Following {
    followers: Followers,
    key: Key,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followers.count(&self.key, |open| open.saturating_sub(1));
    }
}

impl Followers {
    /// Counts a request as one of a program that follows, until what it gives is dropped.
    pub fn begin(&self, instance: &str, config: &str) -> Following {
        let key = (instance.to_owned(), config.to_owned());
        self.count(&key, |open| open + 1);
        Following { followers: self.clone(), key }
    }

    fn count(&self, key: &Key, change: impl FnOnce(u32) -> u32) {
        let now = clock::instant();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let follower = all.entry(key.clone()).or_insert(Follower { open: 0, seen: now });
        (follower.open, follower.seen) = (change(follower.open), now);
    }

    /// Those that are noted as followers and are so no more. One noted by an earlier agent is
    /// given as long to come back.
    pub fn quiet(&self, acks: &Acks, now: Instant) -> Vec<Key> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = acks.iter().flat_map(|(instance, acks)| {
            let follow = acks.iter().filter(|(_, ack)| ack.follows);
            follow.map(|(config, _)| (instance.clone(), config.clone()))
        });
        let noted: Vec<Key> = noted.collect();
        all.retain(|key, follower| follower.open > 0 || noted.contains(key));
        let quiet = |key: &Key| {
            let follower = all.entry(key.clone()).or_insert(Follower { open: 0, seen: now });
            follower.open == 0 && now.saturating_duration_since(follower.seen) > QUIET
        };
        noted.into_iter().filter(quiet).collect()
    }
}

/// What is noted of a program that follows no more.
pub(super) fn stopped(ack: &mut ConfigAck) {
    (ack.follows, ack.fetched) = (false, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_once_follows_for_a_while_only() {
        let followers = Followers::default();
        let follows = ConfigAck { version: 3, fetched: Some(2), follows: true, error: None };
        let mut acks = Acks::from([("shop.0".to_owned(), [("flags".to_owned(), follows)].into())]);
        let open = followers.begin("shop.0", "flags");
        let late = || clock::instant() + QUIET + Duration::from_secs(1);
        assert_eq!(followers.quiet(&acks, late()), [], "it waits now");
        drop(open);
        assert_eq!(followers.quiet(&acks, clock::instant()), [], "it waited a moment ago");
        let key = ("shop.0".to_owned(), "flags".to_owned());
        let found = followers.quiet(&acks, late());
        assert_eq!(found, std::slice::from_ref(&key));

        let ack = acks.get_mut("shop.0").and_then(|acks| acks.get_mut("flags")).unwrap();
        assert!(!ack.acknowledges(3), "what it follows with is older than its file");
        stopped(ack);
        assert!(ack.acknowledges(3));
        assert_eq!(followers.quiet(&acks, late()), []);

        // An agent that has just begun does not know of who waited at the one before.
        let (anew, now) = (Followers::default(), clock::instant());
        acks.get_mut("shop.0").and_then(|acks| acks.get_mut("flags")).unwrap().follows = true;
        assert_eq!(anew.quiet(&acks, now), []);
        assert_eq!(anew.quiet(&acks, now + QUIET + Duration::from_secs(1)), [key]);
    }
}
