//! Pruning in PostgreSQL: entries go, their place in the chain of records stays. Which entries go
//! is decided by whoever asks.

use deadpool_postgres::Object;

use crate::chain::{self, Record, gap_from};
use crate::database::Columns;
use crate::schema;
use crate::types::{RECORD, Result};

/// One transaction, behind the same lock as every commit: nobody else adds to the chain or prunes
/// it meanwhile, and no second lock is taken that could be waited for in a circle.
pub(super) async fn prune(client: &mut Object, doomed: &[i64], at: i64) -> Result<u64> {
    let transaction = client.transaction().await?;
    let head = transaction.query_one(schema::LOCK_COUNTER, &[]).await?;
    let rows = transaction.query(schema::LINKS.postgres, &[&doomed]).await?;
    let mut links = Vec::with_capacity(rows.len());
    for row in &rows {
        links.push((row.int(0)?.cast_unsigned(), row.text(1)?, row.text(2)?));
    }
    let mut before = Vec::new();
    for row in transaction.query(schema::GAPS, &[]).await? {
        before.push(gap_from(&row, 0)?);
    }
    let removed = links.len();
    if removed == 0 {
        return Ok(0);
    }
    let after = chain::widened(&before, links);
    let last = doomed.last().copied().unwrap_or_default();
    transaction.execute(schema::RAISE_COMPACTED.postgres, &[&last]).await?;
    transaction.execute(schema::REMOVE_ENTRIES.postgres, &[&doomed]).await?;
    let (gone, new) = chain::changes(&before, &after);
    let remove = transaction.prepare(schema::REMOVE_GAP).await?;
    for gap in gone {
        transaction.execute(&remove, &[&gap.first.cast_signed()]).await?;
    }
    let add = transaction.prepare(schema::ADD_GAP).await?;
    for gap in new {
        let (first, last) = (gap.first.cast_signed(), gap.last.cast_signed());
        transaction.execute(&add, &[&first, &last, &gap.before, &gap.after]).await?;
    }
    let (newest, hash) = (head.int(0)?.cast_unsigned(), head.text(1)?);
    let body = chain::statement(&after, removed);
    let record = chain::pruning(newest + 1, at, &body);
    let hash = chain::link(&hash, &record);
    let revision = record.revision.cast_signed();
    let Record { name, actor, intent, reasons, .. } = record;
    transaction
        .execute(
            schema::ENTER_ONE,
            &[&revision, &at, &RECORD, &name, &false, &actor, &intent, &reasons, &body, &hash],
        )
        .await?;
    transaction.execute(schema::SET_REVISION, &[&revision, &hash]).await?;
    transaction.commit().await?;
    Ok(removed as u64)
}
