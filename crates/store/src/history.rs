//! Reading and bounding the history: the watch feed, the audit log, the source of rollback.
//!
//! It is one table read three ways. Writing it is part of a commit and happens nowhere else.

use crate::database::Columns;
use crate::database::Value;
use crate::schema;
use crate::types::{AuditFilter, Entry, Error, Result, Retention, Row};
use crate::{Store, row_from};

/// How many entries one step of a compaction removes: few enough that writers do not notice.
const COMPACT_STEP: usize = 5_000;

impl Store {
    /// Up to `limit` entries after `revision`, in order and without a gap: no entry with a
    /// smaller revision can appear later.
    ///
    /// # Errors
    /// [`Error::Compacted`] when some of them are no longer kept.
    pub async fn since(&self, revision: u64, limit: usize) -> Result<Vec<Entry>> {
        fn decode(columns: &dyn Columns) -> Result<(u64, Option<Entry>)> {
            let compacted = columns.int(0)?.cast_unsigned();
            let entry = if columns.is_null(1)? { None } else { Some(entry_from(columns, 1)?) };
            Ok((compacted, entry))
        }
        let values = vec![revision.into(), limit.into()];
        let found = self.database.read(schema::SINCE, values, decode).await?;
        match found.first() {
            Some((oldest, _)) if revision < *oldest => {
                Err(Error::Compacted { asked: revision, oldest: *oldest })
            }
            _ => Ok(found.into_iter().filter_map(|(_, entry)| entry).collect()),
        }
    }

    /// Up to `limit` entries of one object, newest first, of those before the revision `before`.
    pub async fn history(
        &self,
        kind: &str,
        name: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let before = before.unwrap_or(u64::MAX);
        let values = vec![kind.into(), name.into(), before.into(), limit.into()];
        self.database.read(schema::HISTORY, values, entry).await
    }

    /// The newest entry of an object at or before `revision`: what the object was then.
    pub async fn at_revision(
        &self,
        kind: &str,
        name: &str,
        revision: u64,
    ) -> Result<Option<Entry>> {
        let before = revision.saturating_add(1);
        Ok(self.history(kind, name, Some(before), 1).await?.pop())
    }

    /// The entries a filter lets through, newest first by their times.
    pub async fn audit(&self, filter: AuditFilter) -> Result<Vec<Entry>> {
        let since = Value::from(filter.since_ms.unwrap_or(i64::MIN));
        let limit = Value::from(filter.limit);
        match (filter.actor, filter.kind) {
            (Some(actor), _) => {
                let values = vec![actor.as_str().into(), since, limit];
                self.database.read(schema::AUDIT_ACTOR, values, entry).await
            }
            (None, Some(kind)) => {
                let values = vec![kind.as_str().into(), since, limit];
                self.database.read(schema::AUDIT_KIND, values, entry).await
            }
            (None, None) => self.database.read(schema::AUDIT, vec![since, limit], entry).await,
        }
    }

    /// The objects as they were at a time, in milliseconds since 1970, in no order. As far back as
    /// history is kept: of what was compacted since, less is told.
    pub async fn as_of(&self, at_ms: i64) -> Result<Vec<Row>> {
        let values = vec![Value::from(at_ms)];
        self.database.read(schema::AS_OF, values, |c| row_from(c, 0)).await
    }

    /// The revision of the newest write, 0 in an empty store.
    pub async fn revision(&self) -> Result<u64> {
        let found = self.database.read(schema::REVISION, vec![], |c| c.int(0)).await?;
        Ok(found.first().map_or(0, |revision| revision.cast_unsigned()))
    }

    /// The time of the newest write, by its writer's clock in milliseconds since 1970.
    pub async fn last_at(&self) -> Result<Option<i64>> {
        Ok(self.database.read(schema::LAST_AT, vec![], |c| c.int(0)).await?.pop())
    }

    /// Removes entries that are too old: all of objects that are gone, and of those that live all
    /// but the newest. Their place in the chain of records is kept. Returns how many it removed.
    pub async fn compact_history(&self, keep: Retention) -> Result<u64> {
        let mut removed = 0;
        let mut after = 0;
        // What the pruning itself puts on record is not for this pass.
        let newest = self.revision().await?.cast_signed();
        loop {
            let values = vec![
                Value::Int(after),
                keep.after_ms.into(),
                i64::from(keep.per_object.max(1)).into(),
                keep.records_after_ms.into(),
                COMPACT_STEP.into(),
            ];
            let mut doomed = self.database.read(schema::DOOMED, values, |c| c.int(0)).await?;
            doomed.retain(|revision| *revision <= newest);
            let Some(last) = doomed.last().copied() else {
                return Ok(removed);
            };
            after = last;
            removed += self.database.prune(doomed, keep.now_ms).await?;
        }
    }
}

pub(crate) fn entry(columns: &dyn Columns) -> Result<Entry> {
    entry_from(columns, 0)
}

fn entry_from(columns: &dyn Columns, at: usize) -> Result<Entry> {
    Ok(Entry {
        revision: columns.int(at)?.cast_unsigned(),
        at: columns.int(at + 1)?,
        kind: columns.text(at + 2)?,
        name: columns.text(at + 3)?,
        deleted: columns.flag(at + 4)?,
        actor: columns.text(at + 5)?,
        intent: columns.text(at + 6)?,
        reasons: columns.text(at + 7)?,
        body: columns.text(at + 8)?,
        hash: columns.text(at + 9)?,
    })
}
