//! The chain of records: what a hash covers, what stands for records that are no longer kept, and
//! the walk that finds the first that does not fit.
//!
//! A record's hash covers the record and the hash of the one before it, so none can be changed,
//! taken out or put elsewhere without all that follow being made anew; the hash of the newest
//! stands for all of them, and whoever has noted it elsewhere would see even that. Records that
//! are pruned leave a gap that keeps the hashes at its two ends. All gaps together are named by
//! the record of the pruning itself, which stands in the chain like any other.
//!
//! It signs nothing: whoever can write the whole database can write a whole new chain.

use std::collections::BTreeMap;

use crate::Store;
use crate::database::Columns;
use crate::history::entry;
use crate::schema;
use crate::types::{Entry, Fault, RECORD, Result, Verified};

/// What the first record of a chain covers in place of one before it.
pub(crate) const START: &str = "";
/// The name of the record that names the gaps.
pub(crate) const PRUNED: &str = "pruned";
/// So many records are read at a time.
const PAGE: usize = 1_000;
/// A walk during which records were pruned is walked again this often.
const ATTEMPTS: usize = 3;

/// What a hash covers besides the hash before it.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub revision: u64,
    pub at: i64,
    pub kind: &'a str,
    pub name: &'a str,
    pub deleted: bool,
    pub actor: &'a str,
    pub intent: &'a str,
    pub reasons: &'a str,
    pub body: &'a str,
}

/// The hash of a record that follows `before`.
pub(crate) fn link(before: &str, record: &Record) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        // With their lengths, so that no two records read the same.
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(before.as_bytes());
    part(&record.revision.to_le_bytes());
    part(&record.at.to_le_bytes());
    part(&[u8::from(record.deleted)]);
    let texts = [record.kind, record.name, record.actor, record.intent, record.reasons];
    texts.iter().for_each(|text| part(text.as_bytes()));
    part(record.body.as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// Records that are no longer kept, from the first to the last, and what leads in and out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub first: u64,
    pub last: u64,
    /// The hash of the record before the first.
    pub before: String,
    /// The hash of the last.
    pub after: String,
}

/// A record that is about to go: its revision, its hash, and that of the one before where that is
/// kept.
pub(crate) type Doomed = (u64, String, String);

/// The gaps there are once more records are gone. Those from before there was a chain leave none.
pub(crate) fn widened(gaps: &[Gap], doomed: Vec<Doomed>) -> Vec<Gap> {
    let mut all = gaps.to_vec();
    all.extend(
        doomed.into_iter().filter(|(_, hash, _)| !hash.is_empty()).map(
            |(revision, after, before)| Gap { first: revision, last: revision, before, after },
        ),
    );
    all.sort_by_key(|gap| gap.first);
    let mut merged: Vec<Gap> = Vec::new();
    for gap in all {
        match merged.last_mut() {
            Some(last) if last.last + 1 == gap.first => {
                (last.last, last.after) = (gap.last, gap.after);
            }
            _ => merged.push(gap),
        }
    }
    merged
}

/// What the record of a pruning says of all gaps.
pub(crate) fn statement(gaps: &[Gap], removed: usize) -> String {
    format!("{{\"removed\":{removed},\"gaps\":{},\"digest\":\"{}\"}}", gaps.len(), digest(gaps))
}

/// The record of a pruning.
pub(crate) fn pruning(revision: u64, at: i64, body: &str) -> Record<'_> {
    Record {
        revision,
        at,
        kind: RECORD,
        name: PRUNED,
        deleted: false,
        actor: "server",
        intent: "prune",
        reasons: "[]",
        body,
    }
}

/// The gaps that go and those that come between two lists, both in order.
pub(crate) fn changes<'a>(before: &'a [Gap], after: &'a [Gap]) -> (Vec<&'a Gap>, Vec<&'a Gap>) {
    let old: BTreeMap<u64, &Gap> = before.iter().map(|gap| (gap.first, gap)).collect();
    let new: BTreeMap<u64, &Gap> = after.iter().map(|gap| (gap.first, gap)).collect();
    let gone = before.iter().filter(|gap| new.get(&gap.first) != Some(gap)).collect();
    let come = after.iter().filter(|gap| old.get(&gap.first) != Some(gap)).collect();
    (gone, come)
}

fn digest(gaps: &[Gap]) -> String {
    let mut hasher = blake3::Hasher::new();
    for gap in gaps {
        let line = format!("{} {} {} {}\n", gap.first, gap.last, gap.before, gap.after);
        hasher.update(line.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

impl Store {
    /// Walks along the chain of records and finds the first that does not fit; then looks whether
    /// every object is as its last record left it.
    ///
    /// # Errors
    /// The database's; what does not fit is no error of the walk.
    pub async fn verify(&self) -> Result<Verified> {
        let mut attempt = 1;
        loop {
            let (head, gaps) = self.chain().await?;
            let mut walk = Walk::new(head, gaps);
            self.follow(&mut walk).await?;
            let (_, gaps) = self.chain().await?;
            if walk.found.fault.is_some() && gaps != walk.all && attempt < ATTEMPTS {
                attempt += 1;
                continue;
            }
            if walk.found.fault.is_none() {
                walk.found.fault = self.stray().await?;
            }
            return Ok(walk.found);
        }
    }

    /// The hash of one record, where it is known: of one that is kept, or the last of a gap.
    ///
    /// # Errors
    /// The database's.
    pub async fn hash_at(&self, revision: u64) -> Result<Option<String>> {
        let before = revision.saturating_sub(1);
        let values = vec![before.into(), revision.into(), 1_usize.into()];
        let kept = self.database.read(schema::WALK, values, entry).await?.pop();
        let (_, gaps) = self.chain().await?;
        let gap = || gaps.into_iter().find(|gap| gap.last == revision).map(|gap| gap.after);
        Ok(kept.map(|entry| entry.hash).or_else(gap))
    }

    async fn follow(&self, walk: &mut Walk) -> Result<()> {
        let mut at = walk.expected - 1;
        loop {
            let values = vec![at.into(), walk.found.revision.into(), PAGE.into()];
            let page = self.database.read(schema::WALK, values, entry).await?;
            for one in &page {
                walk.step(one);
                if walk.found.fault.is_some() {
                    return Ok(());
                }
            }
            match page.last() {
                Some(last) => at = last.revision,
                None => {
                    walk.end();
                    return Ok(());
                }
            }
        }
    }

    async fn chain(&self) -> Result<(Head, Vec<Gap>)> {
        fn decode(columns: &dyn Columns) -> Result<(Head, Option<Gap>)> {
            let head = Head {
                revision: columns.int(0)?.cast_unsigned(),
                hash: columns.text(1)?,
                chained: columns.int(2)?.cast_unsigned(),
            };
            let gap = if columns.is_null(3)? { None } else { Some(gap_from(columns, 3)?) };
            Ok((head, gap))
        }
        let found = self.database.read(schema::CHAIN, vec![], decode).await?;
        let head = found.first().map(|(head, _)| head.clone()).unwrap_or_default();
        Ok((head, found.into_iter().filter_map(|(_, gap)| gap).collect()))
    }

    async fn stray(&self) -> Result<Option<Fault>> {
        fn decode(columns: &dyn Columns) -> Result<Fault> {
            let (kind, name) = (columns.text(0)?, columns.text(1)?);
            let what = format!("{kind}/{name} is not as this record left it");
            Ok(Fault { revision: columns.int(2)?.cast_unsigned(), what })
        }
        Ok(self.database.read(schema::STRAY, vec![], decode).await?.pop())
    }
}

/// Reads a gap from its columns.
pub(crate) fn gap_from(columns: &dyn Columns, at: usize) -> Result<Gap> {
    Ok(Gap {
        first: columns.int(at)?.cast_unsigned(),
        last: columns.int(at + 1)?.cast_unsigned(),
        before: columns.text(at + 2)?,
        after: columns.text(at + 3)?,
    })
}

#[derive(Clone, Default)]
struct Head {
    revision: u64,
    hash: String,
    /// The last revision from before there was a chain.
    chained: u64,
}

/// A walk along the chain.
struct Walk {
    all: Vec<Gap>,
    gaps: BTreeMap<u64, Gap>,
    head: Head,
    expected: u64,
    before: String,
    /// The newest record that names the gaps.
    named: Option<(u64, String)>,
    found: Verified,
}

impl Walk {
    fn new(head: Head, gaps: Vec<Gap>) -> Walk {
        let found = Verified {
            unchained: head.chained,
            revision: head.revision,
            head: head.hash.clone(),
            ..Verified::default()
        };
        Walk {
            gaps: gaps.iter().map(|gap| (gap.first, gap.clone())).collect(),
            all: gaps,
            expected: head.chained + 1,
            before: START.to_owned(),
            named: None,
            head,
            found,
        }
    }

    fn wrong(&mut self, revision: u64, what: &str) {
        self.found.fault.get_or_insert(Fault { revision, what: what.to_owned() });
    }

    /// Passes over what is no longer kept.
    fn leap(&mut self) {
        while let Some(gap) = self.gaps.remove(&self.expected) {
            if gap.before != self.before {
                self.wrong(gap.first, "what was pruned from here on does not follow");
                return;
            }
            self.found.pruned += (gap.last + 1).saturating_sub(gap.first);
            self.expected = gap.last + 1;
            self.before = gap.after;
        }
    }

    fn step(&mut self, one: &Entry) {
        self.leap();
        if self.found.fault.is_some() {
            return;
        }
        if one.revision < self.expected {
            return self.wrong(one.revision, "it stands where records were pruned");
        }
        if one.revision > self.expected {
            return self.wrong(self.expected, "it is missing");
        }
        let hash = link(&self.before, &record(one));
        if hash != one.hash {
            return self.wrong(one.revision, "it, or the record before it, was changed");
        }
        if one.kind == RECORD && one.name == PRUNED {
            self.named = Some((one.revision, one.body.clone()));
        }
        self.found.records += 1;
        self.expected += 1;
        self.before = hash;
    }

    fn end(&mut self) {
        self.leap();
        if self.expected != self.head.revision + 1 {
            self.wrong(self.expected, "it is missing, and all that follow");
        } else if self.before != self.head.hash {
            self.wrong(self.head.revision, "it is not the one the store knows as its newest");
        }
        if let Some(gap) = self.gaps.values().next() {
            let first = gap.first;
            self.wrong(first, "nothing was pruned here");
        }
        let digest = format!("\"{}\"", digest(&self.all));
        let (revision, body) = self.named.clone().unwrap_or_default();
        if !body.contains(&digest) && !self.all.is_empty() {
            self.wrong(revision, "it names other gaps than there are");
        }
    }
}

fn record(one: &Entry) -> Record<'_> {
    Record {
        revision: one.revision,
        at: one.at,
        kind: &one.kind,
        name: &one.name,
        deleted: one.deleted,
        actor: &one.actor,
        intent: &one.intent,
        reasons: &one.reasons,
        body: &one.body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doomed(revision: u64, before: &str) -> Doomed {
        (revision, format!("h{revision}"), before.to_owned())
    }

    #[test]
    fn gaps_that_touch_are_one() {
        let one = widened(&[], vec![doomed(3, "h2"), doomed(4, "h3"), doomed(7, "h6")]);
        let ends: Vec<(u64, u64)> = one.iter().map(|gap| (gap.first, gap.last)).collect();
        assert_eq!(ends, [(3, 4), (7, 7)]);
        assert_eq!((one[0].before.as_str(), one[0].after.as_str()), ("h2", "h4"));
        let all = widened(&one, vec![doomed(5, ""), doomed(6, "h5")]);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].first, all[0].last, all[0].after.as_str()), (3, 7, "h7"));
        assert_eq!(all[0].before, "h2");
        let old = widened(&[], vec![(1, String::new(), String::new())]);
        assert!(old.is_empty(), "what was never chained leaves no gap");
    }

    #[test]
    fn no_two_records_read_the_same() {
        let record = |kind, name| Record {
            revision: 1,
            at: 0,
            kind,
            name,
            deleted: false,
            actor: "a",
            intent: "b",
            reasons: "[]",
            body: "{}",
        };
        assert_ne!(link(START, &record("ab", "c")), link(START, &record("a", "bc")));
        assert_ne!(link(START, &record("a", "b")), link("0", &record("a", "b")));
    }
}
