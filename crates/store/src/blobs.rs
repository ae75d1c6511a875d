//! Bytes by their digest, for replicas that share no disk.
//!
//! The digest is a name here: nobody computes or checks it. Blobs are no objects; they have no
//! history and no revisions.

use std::collections::HashSet;

use crate::Store;
use crate::database::Value;
use crate::schema;
use crate::types::Result;

impl Store {
    /// Keeps `bytes` under `digest`; does nothing if there are already some.
    pub async fn put_blob(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        let values = vec![digest.into(), Value::Bytes(bytes.to_vec())];
        self.database.execute(schema::PUT_BLOB, values).await
    }

    /// The bytes kept under `digest`.
    pub async fn get_blob(&self, digest: &str) -> Result<Option<Vec<u8>>> {
        let values = vec![digest.into()];
        Ok(self.database.read(schema::GET_BLOB, values, |c| c.bytes(0)).await?.pop())
    }

    /// Those of `digests` under which nothing is kept, in the order given.
    pub async fn has_blobs(&self, digests: Vec<String>) -> Result<Vec<String>> {
        let values = vec![Value::Texts(digests.clone())];
        let kept = self.database.read(schema::HAS_BLOBS, values, |c| c.text(0)).await?;
        let kept: HashSet<String> = kept.into_iter().collect();
        Ok(digests.into_iter().filter(|digest| !kept.contains(digest)).collect())
    }

    /// Forgets what is kept under `digests`.
    pub async fn delete_blobs(&self, digests: Vec<String>) -> Result<()> {
        self.database.execute(schema::DELETE_BLOBS, vec![Value::Texts(digests)]).await
    }

    /// All digests under which something is kept, in byte order.
    pub async fn list_blobs(&self) -> Result<Vec<String>> {
        self.database.read(schema::LIST_BLOBS, vec![], |c| c.text(0)).await
    }
}
