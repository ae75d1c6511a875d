//! Values that must not be seen, sealed with AES-256-GCM by a key kept with the state or in a file
//! of its own. A sealed value is bound to the name of its secret, so that no other object can show
//! it. Who may set and use one is decided elsewhere.

use std::path::Path;

use atoll_model::{Secret, Snapshot};
use atoll_store::Store;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use crate::Server;

/// The largest value, in bytes.
pub const LARGEST: usize = 64 << 10;
/// Where the key is kept, where no file is given.
const KEY: &str = "pki/secrets.key";
/// Sealed values are kept under names that begin so.
pub const PREFIX: &str = "secrets/";
const KEY_BYTES: usize = 32;

/// Seals and opens.
pub struct Vault {
    key: RandomizedNonceKey,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Opens the vault with the key of a file, or with that kept with the state, which is made on
    /// first use. Replicas agree on one: who comes second reads what came first.
    ///
    /// # Errors
    /// The file cannot be read or holds no key, or the store's error.
    pub async fn open(store: &Store, file: Option<&Path>) -> Result<Vault, String> {
        let bytes = match file {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|e| format!("reading the key of secrets {}: {e}", file.display()))?;
                from_hex(text.trim()).ok_or_else(|| {
                    format!(
                        "{} is no key: write 64 hexadecimal digits, from openssl rand -hex 32",
                        file.display()
                    )
                })?
            }
            None => {
                let kept = |e: atoll_store::Error| format!("keeping the key of secrets: {e}");
                if store.get_blob(KEY).await.map_err(kept)?.is_none() {
                    let made = crate::auth::secret();
                    store.put_blob(KEY, made.as_bytes()).await.map_err(kept)?;
                }
                let bytes = store.get_blob(KEY).await.map_err(kept)?.unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                from_hex(&text).ok_or("the kept key of secrets is damaged")?
            }
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes);
        Ok(Vault { key: key.map_err(|_| "the key of secrets has a wrong length")? })
    }

    /// The value, sealed for a secret of this name.
    pub(crate) fn seal(&self, name: &str, value: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = value.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(name), &mut sealed).ok()?;
        let mut all = nonce.as_ref().to_vec();
        all.append(&mut sealed);
        Some(all)
    }

    /// The value that was sealed for a secret of this name.
    pub(crate) fn unseal(&self, name: &str, all: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = all.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let value = self.key.open_in_place(nonce, Aad::from(name), &mut sealed).ok()?;
        Some(value.to_vec())
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    (0..KEY_BYTES).map(|i| byte(2 * i)).collect()
}

impl Server {
    /// Keeps the sealed value of a secret; returns what its object names it by.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn keep_sealed(&self, name: &str, value: &[u8]) -> Result<String, String> {
        let sealed = self.vault.seal(name, value).ok_or("the value could not be sealed")?;
        let id = crate::auth::secret();
        let kept = self.store.put_blob(&format!("{PREFIX}{id}"), &sealed).await;
        kept.map_err(|e| e.to_string())?;
        Ok(id)
    }

    /// The value of a secret for a pipeline that may use it, where it has one that can be opened.
    pub(crate) async fn secret(
        &self,
        world: &Snapshot,
        pipeline: &str,
        name: &str,
    ) -> Option<Vec<u8>> {
        let secret = world.get::<Secret>(name)?;
        if !secret.spec.is_for(pipeline) {
            tracing::warn!("secret {name} is not for pipeline {pipeline}");
            return None;
        }
        self.unsealed(name, secret.spec.sealed.as_ref()?).await
    }

    /// What was sealed for a name, by what its object names it by.
    pub(crate) async fn unsealed(&self, name: &str, id: &str) -> Option<Vec<u8>> {
        let sealed = self.store.get_blob(&format!("{PREFIX}{id}")).await;
        let value = match sealed {
            Ok(sealed) => self.vault.unseal(name, &sealed?),
            Err(error) => {
                tracing::warn!("could not read secret {name}: {error}");
                return None;
            }
        };
        if value.is_none() {
            tracing::warn!("could not open secret {name}: was the key changed? set it again");
        }
        value
    }

    /// The same as text.
    pub(crate) async fn secret_text(
        &self,
        world: &Snapshot,
        pipeline: &str,
        name: &str,
    ) -> Option<String> {
        String::from_utf8(self.secret(world, pipeline, name).await?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_is_opened_under_its_own_name_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(dir.path()).await.unwrap();
        let vault = Vault::open(&store, None).await.unwrap();
        let sealed = vault.seal("token", b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_ne!(vault.seal("token", b"hunter2").unwrap(), sealed);
        let again = Vault::open(&store, None).await.unwrap();
        assert_eq!(again.unseal("token", &sealed).unwrap(), b"hunter2");
        assert_eq!(again.unseal("other", &sealed), None);
        assert_eq!(again.unseal("token", &sealed[..5]), None);
        let file = dir.path().join("key");
        std::fs::write(&file, "short").unwrap();
        assert!(Vault::open(&store, Some(&file)).await.unwrap_err().contains("openssl"));
        std::fs::write(&file, format!("{}\n", "ab".repeat(32))).unwrap();
        let other = Vault::open(&store, Some(&file)).await.unwrap();
        assert_eq!(other.unseal("token", &sealed), None);
    }
}
