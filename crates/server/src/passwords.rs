//! Passwords: hashing, comparing, and slowing down whoever guesses. Argon2id with the parameters
//! OWASP recommends: 19 MiB, two passes, one lane; each hash names its own, so that they may be
//! raised later. Where hashes are kept is not known here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use atoll_model::{Span, Timestamp};
use aws_lc_rs::constant_time;
use tokio::sync::Semaphore;

/// Memory in KiB, passes, lanes.
const COST: (u32, u32, u32) = (19_456, 2, 1);
const SALT: usize = 16;
const HASH: usize = 32;
/// The shortest and the longest password, in bytes.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 10..=1_024;
/// So many are hashed at a time: each takes memory and a processor.
const PLACES: usize = 2;
/// So many failures are free: of one user from one place, from one place, of one user.
const FREE: [u32; 3] = [5, 20, 100];
/// The longest wait after a failure.
const LONGEST_WAIT: Span = Span::seconds(300);
/// Failures are forgotten after this time without another.
const FORGOTTEN: Span = Span::seconds(900);
/// So many places and users are remembered.
const MOST: usize = 20_000;
/// So many of them, those with most failures, are told to other replicas.
const MOST_TOLD: usize = 200;

/// Hashes passwords, and remembers who failed.
#[derive(Debug)]
pub struct Passwords {
    places: Semaphore,
    failed: Mutex<HashMap<String, Failed>>,
    /// What other replicas have counted, by who has.
    elsewhere: Mutex<HashMap<(String, String), Failed>>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    count: u32,
    at: Timestamp,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords {
            places: Semaphore::new(PLACES),
            failed: Mutex::default(),
            elsewhere: Mutex::default(),
        }
    }
}

impl Passwords {
    /// What is kept of a password.
    ///
    /// # Errors
    /// When it could not be worked out.
    pub async fn hash(&self, password: &str) -> Result<String, String> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|e| e.to_string())?;
        let hash = self.work(password, salt.to_vec(), COST).await?;
        let (memory, passes, lanes) = COST;
        Ok(format!("argon2id${memory},{passes},{lanes}${}${}", hex(&salt), hex(&hash)))
    }

    /// Whether a password is the one that was kept. Takes as long where nothing was.
    pub async fn fits(&self, kept: Option<&str>, password: &str) -> bool {
        let read = kept.and_then(read);
        let (cost, salt, wanted) = read.clone().unwrap_or((COST, vec![0; SALT], Vec::new()));
        let found = self.work(password, salt, cost).await;
        let same = |found: Vec<u8>| constant_time::verify_slices_are_equal(&found, &wanted).is_ok();
        read.is_some() && found.is_ok_and(same)
    }

    async fn work(
        &self,
        password: &str,
        salt: Vec<u8>,
        (memory, passes, lanes): (u32, u32, u32),
    ) -> Result<Vec<u8>, String> {
        let _place = self.places.acquire().await.map_err(|e| e.to_string())?;
        let password = password.as_bytes().to_vec();
        let done = tokio::task::spawn_blocking(move || {
            let params = Params::new(memory, passes, lanes, Some(HASH));
            let params = params.map_err(|e| e.to_string())?;
            let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let mut hash = vec![0; HASH];
            argon.hash_password_into(&password, &salt, &mut hash).map_err(|e| e.to_string())?;
            Ok(hash)
        });
        done.await.map_err(|e| e.to_string())?
    }

    /// How long somebody has to wait before they may try again.
    pub fn wait(&self, user: &str, from: &str, now: Timestamp) -> Option<Span> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = keys(user, from).into_iter().zip(FREE).filter_map(|(key, free)| {
            let others = elsewhere.iter().filter(|((_, other), _)| *other == key);
            let others = others.map(|(_, found)| found);
            let others = others.filter(|found| now.since(found.at) < FORGOTTEN);
            let all = failed.get(&key).into_iter().chain(others);
            let found = all.copied().reduce(|one, other| Failed {
                count: one.count.saturating_add(other.count),
                at: one.at.max(other.at),
            })?;
            let over = found.count.checked_sub(free)?;
            let wait = Span(1_000_u64 << over.min(20)).min(LONGEST_WAIT);
            let until = found.at + wait;
            (until > now).then(|| until.since(now))
        });
        waits.max()
    }

    /// Somebody has failed.
    pub fn note_failure(&self, user: &str, from: &str, now: Timestamp) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= MOST {
            failed.retain(|_, found| now.since(found.at) < FORGOTTEN);
        }
        for key in keys(user, from) {
            if failed.len() < MOST || failed.contains_key(&key) {
                let found = failed.entry(key).or_insert(Failed { count: 0, at: now });
                let stale = now.since(found.at) >= FORGOTTEN;
                found.count = if stale { 1 } else { found.count.saturating_add(1) };
                found.at = now;
            }
        }
    }

    /// Somebody has succeeded: their own failures are forgotten, those of the place are not.
    pub fn note_success(&self, user: &str, from: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let [both, _, of_user] = keys(user, from);
        failed.remove(&both);
        failed.remove(&of_user);
        drop(failed);
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.retain(|(_, key), _| *key != both && *key != of_user);
    }

    /// What was counted here, for the other replicas: how many of what, and how long ago, in
    /// milliseconds. Who it is about cannot be read from it.
    pub fn guesses(&self, now: Timestamp) -> BTreeMap<String, u64> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = failed.iter().filter(|(_, found)| now.since(found.at) < FORGOTTEN);
        let mut all: Vec<(&String, &Failed)> = fresh.collect();
        all.sort_by_key(|(key, found)| (std::cmp::Reverse(found.count), *key));
        let told = all.into_iter().take(MOST_TOLD);
        told.map(|(key, found)| (format!("{}:{key}", found.count), now.since(found.at).0)).collect()
    }

    /// What other replicas have counted, as [`Passwords::guesses`] tells it: who, what and when.
    pub fn learn(&self, told: Vec<(String, String, Timestamp)>) {
        let read = |(replica, guess, at): (String, String, Timestamp)| {
            let (count, key) = guess.split_once(':')?;
            Some(((replica, key.to_owned()), Failed { count: count.parse().ok()?, at }))
        };
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        *elsewhere = told.into_iter().filter_map(read).collect();
    }
}

fn keys(user: &str, from: &str) -> [String; 3] {
    // No name is longer; what is typed may be.
    let user: String = user.chars().take(128).collect();
    let all = [format!("{user} {from}"), format!(" {from}"), format!("{user} ")];
    // What is typed for a name may be a password, and counts are told to others.
    all.map(|key| blake3::hash(key.as_bytes()).to_hex()[..32].to_owned())
}

type Kept = ((u32, u32, u32), Vec<u8>, Vec<u8>);

fn read(kept: &str) -> Option<Kept> {
    let mut parts = kept.split('$');
    if parts.next() != Some("argon2id") {
        return None;
    }
    let mut cost = parts.next()?.split(',').map(str::parse::<u32>);
    let cost = (cost.next()?.ok()?, cost.next()?.ok()?, cost.next()?.ok()?);
    Some((cost, unhex(parts.next()?)?, unhex(parts.next()?)?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    (0..text.len() / 2).map(|i| byte(2 * i)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::default();
        let kept = passwords.hash("correct horse").await.unwrap();
        assert!(kept.starts_with("argon2id$19456,2,1$") && !kept.contains("horse"));
        assert_ne!(kept, passwords.hash("correct horse").await.unwrap(), "each has its own salt");
        assert!(passwords.fits(Some(&kept), "correct horse").await);
        assert!(!passwords.fits(Some(&kept), "correct horsf").await);
        for nothing in [None, Some(""), Some("argon2id$1,1$00$00"), Some("plain$x$y$z")] {
            assert!(!passwords.fits(nothing, "").await, "{nothing:?}");
        }
    }

    #[test]
    fn whoever_guesses_waits() {
        let passwords = Passwords::default();
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        for _ in 0..4 {
            passwords.note_failure("anna", "1.2.3.4", at(0));
            assert_eq!(passwords.wait("anna", "1.2.3.4", at(0)), None);
        }
        passwords.note_failure("anna", "1.2.3.4", at(0));
        assert_eq!(passwords.wait("anna", "1.2.3.4", at(0)), Some(Span::seconds(1)));
        passwords.note_failure("anna", "1.2.3.4", at(1));
        assert_eq!(passwords.wait("anna", "1.2.3.4", at(1)), Some(Span::seconds(2)));
        // Anna herself, elsewhere, is not locked out by it; others from there are, in the end.
        assert_eq!(passwords.wait("anna", "5.6.7.8", at(1)), None);
        assert_eq!(passwords.wait("bo", "1.2.3.4", at(1)), None);
        for _ in 0..14 {
            passwords.note_failure("bo", "1.2.3.4", at(2));
        }
        assert!(passwords.wait("cy", "1.2.3.4", at(2)).is_some());
        for _ in 0..40 {
            passwords.note_failure("anna", "1.2.3.4", at(3));
        }
        assert_eq!(passwords.wait("anna", "1.2.3.4", at(3)), Some(LONGEST_WAIT));
        passwords.note_success("anna", "1.2.3.4");
        assert!(passwords.wait("anna", "9.9.9.9", at(3)).is_none());
        assert!(passwords.wait("anna", "1.2.3.4", at(1_000)).is_none());
    }

    #[test]
    fn whoever_guesses_at_one_replica_waits_at_the_other() {
        let (here, there) = (Passwords::default(), Passwords::default());
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        let tell = |from: &Passwords, to: &Passwords, now: Timestamp| {
            let told = from.guesses(now);
            assert!(!format!("{told:?}").contains("anna"), "nobody is named");
            let told =
                told.into_iter().map(|(guess, age)| ("a".to_owned(), guess, now - Span(age)));
            to.learn(told.collect());
        };
        for _ in 0..3 {
            here.note_failure("anna", "1.2.3.4", at(0));
            there.note_failure("anna", "1.2.3.4", at(1));
        }
        assert_eq!(there.wait("anna", "1.2.3.4", at(1)), None, "three are free");
        tell(&here, &there, at(1));
        assert_eq!(there.wait("anna", "1.2.3.4", at(1)), Some(Span::seconds(2)), "six are not");
        tell(&here, &there, at(1));
        assert_eq!(there.wait("anna", "1.2.3.4", at(1)), Some(Span::seconds(2)), "counted once");
        assert_eq!(there.wait("anna", "1.2.3.4", at(1_000)), None, "and forgotten");
        there.note_success("anna", "1.2.3.4");
        assert_eq!(there.wait("anna", "1.2.3.4", at(1)), None);
    }
}
