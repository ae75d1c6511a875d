//! Who leads, and who else is there: leases with epochs, and the replicas that checked in.
//!
//! All times are the database's, so the clocks of the replicas need not agree. What a leader
//! does with its lease is not known here; that it cannot write without it is seen to by a fence.

use crate::Store;
use crate::schema;
use crate::types::{Epoch, Lease, Replica, Result};

impl Store {
    /// Takes the lease if it is free or has run out, under the next epoch; renews it if `holder`
    /// has it, under the same; and tells who holds it now.
    pub async fn acquire_lease(&self, name: &str, holder: &str, ttl_ms: i64) -> Result<Lease> {
        let values = vec![name.into(), holder.into(), ttl_ms.into()];
        let taken = self.database.write(schema::ACQUIRE_LEASE, values, |c| c.int(0)).await?.pop();
        if let Some(epoch) = taken {
            return Ok(Lease {
                epoch: Epoch(epoch.cast_unsigned()),
                holder: holder.to_owned(),
                held_by_us: true,
                expires_in_ms: ttl_ms,
            });
        }
        let holding = self.database.read(schema::LEASE, vec![name.into()], |c| {
            Ok(Lease {
                epoch: Epoch(c.int(0)?.cast_unsigned()),
                holder: c.text(1)?,
                held_by_us: false,
                expires_in_ms: c.int(2)?.max(0),
            })
        });
        let absent =
            Lease { epoch: Epoch(0), holder: String::new(), held_by_us: false, expires_in_ms: 0 };
        Ok(holding.await?.pop().unwrap_or(absent))
    }

    /// Frees the lease if `holder` has it. Its epoch stays until somebody takes it.
    pub async fn release_lease(&self, name: &str, holder: &str) -> Result<()> {
        self.database.execute(schema::RELEASE_LEASE, vec![name.into(), holder.into()]).await
    }

    /// Tells the other replicas that this one lives, where it is, and whom it heard from (`heard`
    /// is JSON: host to milliseconds ago).
    pub async fn check_in(&self, replica: &str, address: &str, heard: String) -> Result<()> {
        let values = vec![replica.into(), address.into(), heard.as_str().into()];
        self.database.execute(schema::CHECK_IN, values).await?;
        self.database.execute(schema::FORGET_REPLICAS, vec![]).await
    }

    /// The replicas that checked in within the last `within_ms`, by name.
    pub async fn replicas(&self, within_ms: i64) -> Result<Vec<Replica>> {
        let found = self.database.read(schema::REPLICAS, vec![within_ms.into()], |c| {
            Ok(Replica {
                id: c.text(0)?,
                address: c.text(1)?,
                age_ms: c.int(2)?.max(0),
                heard: c.text(3)?,
            })
        });
        found.await
    }
}
