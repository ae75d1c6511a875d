//! Dynamic configuration on this host: what is assigned to each instance, what it has taken up,
//! and the copy on the disk that answers while no server does. Files are written in
//! `configs/deliver.rs`, programs answered in `configs/serve.rs`. It decides no values.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use atoll_model::config::{AssignedConfig, ConfigAck};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::disk;

pub mod deliver;
mod follow;
pub mod serve;

/// The variable that names the directory of the files.
pub const DIR_VARIABLE: &str = "ATOLL_CONFIG_DIR";
/// The variable that names where a program may ask.
pub const URL_VARIABLE: &str = "ATOLL_CONFIG_URL";
/// The variable with the secret it shows then.
pub const TOKEN_VARIABLE: &str = "ATOLL_CONFIG_TOKEN";

/// What instances have of their configurations, by instance and configuration.
pub type Acks = BTreeMap<String, BTreeMap<String, ConfigAck>>;

/// Everything that outlives the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Kept {
    /// Where programs ask; instances were told so when they were started.
    port: u16,
    assigned: BTreeMap<String, Vec<AssignedConfig>>,
    acks: Acks,
}

/// The configurations of all instances here.
pub struct Configs {
    file: PathBuf,
    /// What tokens of instances are made with.
    key: [u8; 32],
    kept: Mutex<Kept>,
    /// Instances that are being delivered to.
    busy: Mutex<BTreeSet<String>>,
    /// Counts changes of what is assigned.
    changes: watch::Sender<u64>,
    /// Whose programs wait for newer versions.
    followers: follow::Followers,
}

impl Configs {
    /// What is left of an earlier agent in `data`.
    ///
    /// # Errors
    /// When the key can be neither read nor made.
    pub fn open(data: &Path) -> io::Result<Configs> {
        let file = data.join("configs.json");
        let kept: Kept = disk::read(&file).unwrap_or_default();
        Ok(Configs {
            file,
            key: key(&data.join("configs.key"))?,
            kept: Mutex::new(kept),
            busy: Mutex::default(),
            changes: watch::channel(0).0,
            followers: follow::Followers::default(),
        })
    }

    /// Takes what is assigned now.
    pub fn take(&self, assigned: &BTreeMap<String, Vec<AssignedConfig>>) {
        let mut kept = self.kept();
        if kept.assigned == *assigned {
            return;
        }
        let before = std::mem::replace(&mut kept.assigned, assigned.clone());
        kept.acks.retain(|instance, _| assigned.contains_key(instance));
        for (instance, acks) in &mut kept.acks {
            let (old, new) = (before.get(instance), assigned.get(instance));
            for config in new.into_iter().flatten() {
                let was = old.into_iter().flatten().find(|old| old.name == config.name);
                let another = was.is_some_and(|was| was != config);
                if let Some(ack) = acks.get_mut(&config.name).filter(|_| another) {
                    // The same version may say something else here now, or be written otherwise.
                    ack.version = ack.version.min(config.version.saturating_sub(1));
                }
            }
        }
        self.keep(&kept);
        drop(kept);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Told whenever something else is assigned.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What is assigned to an instance.
    pub fn of(&self, instance: &str) -> Vec<AssignedConfig> {
        self.kept().assigned.get(instance).cloned().unwrap_or_default()
    }

    /// What all instances have.
    pub fn acks(&self) -> Acks {
        self.kept().acks.clone()
    }

    /// What one instance has.
    pub fn acks_of(&self, instance: &str) -> BTreeMap<String, ConfigAck> {
        self.kept().acks.get(instance).cloned().unwrap_or_default()
    }

    /// Instances that do not have everything assigned to them.
    fn behind(&self) -> Vec<String> {
        let kept = self.kept();
        let none = BTreeMap::new();
        let behind = |(instance, assigned): &(&String, &Vec<AssignedConfig>)| {
            let acks = kept.acks.get(*instance).unwrap_or(&none);
            let has = |c: &AssignedConfig| {
                acks.get(&c.name).is_some_and(|a| a.version == c.version && a.error.is_none())
            };
            acks.len() != assigned.len() || !assigned.iter().all(has)
        };
        kept.assigned.iter().filter(behind).map(|(instance, _)| instance.clone()).collect()
    }

    /// Notes what an instance has; true, if that is news.
    fn note(&self, instance: &str, change: impl FnOnce(&mut BTreeMap<String, ConfigAck>)) -> bool {
        let mut kept = self.kept();
        if !kept.assigned.contains_key(instance) {
            return false;
        }
        let acks = kept.acks.entry(instance.to_owned()).or_default();
        let before = acks.clone();
        change(acks);
        if *acks == before {
            return false;
        }
        self.keep(&kept);
        true
    }

    /// Writes the copy on the disk.
    fn keep(&self, kept: &Kept) {
        if let Err(error) = disk::write(&self.file, kept, false) {
            tracing::warn!(%error, "configuration could not be kept for a restart");
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the programs of this host ask.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/configs", self.kept().port)
    }

    /// The secret of an instance: it reads its own configuration with it, and nothing else.
    pub fn token(&self, instance: &str) -> String {
        format!("{instance}:{}", self.seal(instance).to_hex())
    }

    fn seal(&self, instance: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key, instance.as_bytes())
    }

    /// The instance that bears a token.
    fn bearer(&self, token: &str) -> Option<String> {
        let (instance, seal) = token.split_once(':')?;
        // Hashes are compared in the same time whether they are near or far.
        let good = blake3::Hash::from_hex(seal).is_ok_and(|seal| seal == self.seal(instance));
        good.then(|| instance.to_owned())
    }
}

/// Reads the key, or makes one.
fn key(path: &Path) -> io::Result<[u8; 32]> {
    if let Some(key) = disk::read(path) {
        return Ok(key);
    }
    let mut key = [0; 32];
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut key)?;
    disk::write(path, &key, true)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(instance: &str, version: u64) -> BTreeMap<String, Vec<AssignedConfig>> {
        let one = AssignedConfig {
            name: "switches".to_owned(),
            version,
            values: [("checkout".to_owned(), true.into())].into(),
            file: Default::default(),
            then: None,
        };
        [(instance.to_owned(), vec![one])].into()
    }

    #[test]
    fn an_instance_is_known_by_its_own_token_only_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let configs = Configs::open(dir.path()).unwrap();
        let token = configs.token("shop.prod.0");
        configs.take(&assigned("shop.prod.0", 3));
        assert_eq!(configs.behind(), ["shop.prod.0"]);
        let ack = ConfigAck { version: 3, ..ConfigAck::default() };
        assert!(configs.note("shop.prod.0", |acks| drop(acks.insert("switches".into(), ack))));
        assert_eq!(configs.behind(), [""; 0]);

        let again = Configs::open(dir.path()).unwrap();
        assert_eq!(again.bearer(&token).as_deref(), Some("shop.prod.0"));
        let (_, seal) = token.split_once(':').unwrap();
        assert_eq!(again.bearer(&format!("shop.prod.1:{seal}")), None);
        assert_eq!(again.bearer("shop.prod.0:"), None);
        assert_eq!(again.of("shop.prod.0")[0].version, 3);
        assert_eq!(again.acks_of("shop.prod.0")["switches"].version, 3);
    }
}
