//! Which batches of a group may go ahead, and what they write: pure, and so the same for both
//! databases.
//!
//! It reads and writes no database. The caller holds the right to write, passes what is stored,
//! and then does what comes back.

use std::collections::HashMap;

use crate::types::{Batch, Change, CommitError, Epoch, Expect, Write};

/// The identity of an object: kind and name.
pub(crate) type Key<'a> = (&'a str, &'a str);

/// What is stored: the revision of each object named by the group, `None` if it is absent.
pub(crate) type Stored<'a> = HashMap<Key<'a>, Option<u64>>;

/// What became of a group.
pub(crate) struct Admitted<'a> {
    /// For each batch its revisions, or why it is refused.
    pub outcomes: Vec<Outcome>,
    /// The writes to make, in order, with their revisions.
    pub effects: Vec<Effect<'a>>,
    /// The newest revision once they are made.
    pub revision: u64,
}

/// The revisions of a batch, or why it is refused.
pub(crate) type Outcome = Result<Vec<u64>, CommitError>;

/// One write to make.
pub(crate) struct Effect<'a> {
    pub revision: u64,
    /// The place of its batch in the group.
    pub batch: usize,
    pub write: &'a Write,
}

/// Judges each batch in turn, as if those admitted before it were already written.
///
/// **Invariant:** the effects hold all writes of a batch or none.
pub(crate) fn admit<'a>(
    batches: &'a [Batch],
    newest: u64,
    epoch: Epoch,
    mut stored: Stored<'a>,
) -> Admitted<'a> {
    let mut admitted =
        Admitted { outcomes: Vec::with_capacity(batches.len()), effects: vec![], revision: newest };
    for (place, batch) in batches.iter().enumerate() {
        let outcome = check_texts(batch)
            .and_then(|()| check_fence(batch, epoch))
            .and_then(|()| apply(batch, admitted.revision, &mut stored));
        if outcome.is_ok() {
            for write in &batch.writes {
                admitted.revision += 1;
                let revision = admitted.revision;
                admitted.effects.push(Effect { revision, batch: place, write });
            }
        }
        admitted.outcomes.push(outcome);
    }
    admitted
}

fn check_fence(batch: &Batch, current: Epoch) -> Result<(), CommitError> {
    match batch.fence {
        Some(held) if held != current => Err(CommitError::Fenced { held, current }),
        _ => Ok(()),
    }
}

/// PostgreSQL has no text with a zero byte in it, so neither has the store.
fn check_texts(batch: &Batch) -> Result<(), CommitError> {
    let ours = [&batch.actor, &batch.intent, &batch.reasons];
    let theirs = batch.writes.iter().flat_map(|write| {
        let body = match &write.change {
            Change::Put(body) | Change::Record(body) => body.as_str(),
            Change::Delete => "",
        };
        let reasons = write.reasons.as_deref().unwrap_or_default();
        [write.kind.as_str(), write.name.as_str(), reasons, body]
    });
    if ours.into_iter().map(String::as_str).chain(theirs).any(|text| text.contains('\0')) {
        let message = format!("cannot store {}: a text holds a zero byte", batch.intent);
        return Err(CommitError::Other(message.replace('\0', "\\0")));
    }
    Ok(())
}

/// Brings `stored` to what it is after the batch, or leaves it as it was.
fn apply<'a>(
    batch: &'a Batch,
    newest: u64,
    stored: &mut Stored<'a>,
) -> Result<Vec<u64>, CommitError> {
    let mut before: Vec<(Key<'a>, Option<u64>)> = Vec::with_capacity(batch.writes.len());
    let mut revisions = Vec::with_capacity(batch.writes.len());
    for (revision, write) in (newest + 1..).zip(&batch.writes) {
        revisions.push(revision);
        if matches!(write.change, Change::Record(_)) {
            continue;
        }
        let key = (write.kind.as_str(), write.name.as_str());
        let actual = stored.get(&key).copied().flatten();
        if !holds(write, actual) {
            stored.extend(before.into_iter().rev());
            return Err(CommitError::Conflict {
                kind: write.kind.clone(),
                name: write.name.clone(),
                expected: write.expect,
                actual,
            });
        }
        before.push((key, actual));
        stored.insert(key, matches!(write.change, Change::Put(_)).then_some(revision));
    }
    Ok(revisions)
}

fn holds(write: &Write, actual: Option<u64>) -> bool {
    let expected = match write.expect {
        Expect::Any => true,
        Expect::Absent => actual.is_none(),
        Expect::Revision(revision) => actual == Some(revision),
    };
    let deletable = matches!(write.change, Change::Put(_)) || actual.is_some();
    expected && deletable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(writes: &[(&str, Expect, Option<&str>)]) -> Batch {
        let writes = writes.iter().map(|(name, expect, body)| Write {
            kind: "Host".to_owned(),
            name: (*name).to_owned(),
            expect: *expect,
            reasons: None,
            change: body.map_or(Change::Delete, |body| Change::Put(body.to_owned())),
        });
        Batch {
            writes: writes.collect(),
            actor: "user/ann".to_owned(),
            intent: "test".to_owned(),
            reasons: "[]".to_owned(),
            at: 0,
            fence: None,
        }
    }

    #[test]
    fn a_refused_batch_leaves_nothing_for_the_next_to_see() {
        let batches = [
            batch(&[("a", Expect::Absent, Some("{}")), ("a", Expect::Any, Some("{}"))]),
            batch(&[
                ("a", Expect::Any, None),
                ("a", Expect::Absent, Some("{}")),
                ("b", Expect::Revision(7), Some("{}")),
            ]),
            batch(&[("a", Expect::Revision(12), Some("{}")), ("b", Expect::Absent, Some("{}"))]),
        ];
        let admitted = admit(&batches, 10, Epoch(0), Stored::new());
        assert_eq!(admitted.outcomes[0].as_deref().unwrap(), [11, 12]);
        let refused = admitted.outcomes[1].as_ref().unwrap_err();
        assert!(matches!(refused, CommitError::Conflict { name, actual: None, .. } if name == "b"));
        assert_eq!(admitted.outcomes[2].as_deref().unwrap(), [13, 14]);
        let written: Vec<_> = admitted.effects.iter().map(|e| (e.revision, e.batch)).collect();
        assert_eq!(written, [(11, 0), (12, 0), (13, 2), (14, 2)]);
        assert_eq!(admitted.revision, 14);
    }

    #[test]
    fn deleting_needs_something_to_delete() {
        let batches = [batch(&[("a", Expect::Any, None)])];
        let admitted = admit(&batches, 0, Epoch(0), Stored::new());
        assert!(matches!(admitted.outcomes[0], Err(CommitError::Conflict { actual: None, .. })));
    }

    #[test]
    fn a_zero_byte_is_refused_wherever_it_hides() {
        let mut batches = [batch(&[("a", Expect::Any, Some("\0"))]), batch(&[])];
        batches[1].reasons = "\0".to_owned();
        let admitted = admit(&batches, 0, Epoch(0), Stored::new());
        assert!(admitted.outcomes.iter().all(|o| matches!(o, Err(CommitError::Other(_)))));
    }
}
