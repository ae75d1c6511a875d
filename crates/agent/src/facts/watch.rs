//! Which parts of the facts have changed, and telling the server: only what has changed, and now
//! and then the digest of everything, so that what got lost is found out. It finds nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atoll_client::{Backoff, ClientError};
use atoll_model::Timestamp;
use atoll_model::cmdb::facts::{FactsData, FactsPart, FactsReport, FactsWanted, FoundFacts, Link};
use serde_json::Value;
use tokio::sync::watch;

use super::sockets::{Listening, Tables};
use super::{custom, network, packages, sockets, system};
use crate::clock::instant;
use crate::machine::Machine;

/// Stamps are looked at this often; they cost a few small files.
const LOOK: Duration = Duration::from_secs(10);
/// What has no stamp is looked at this often.
const SELDOM: Duration = Duration::from_secs(600);
/// Plug-ins are run this often.
const PLUG_INS: Duration = Duration::from_secs(300);
/// The digest of everything is told this often, whatever happens.
const DIGEST: Duration = Duration::from_secs(300);
/// A connection that is not seen any more is forgotten after this time.
const LINK_LIFE: Duration = Duration::from_secs(600);

/// What the server wants to be looked at, besides the usual.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// Somebody failed with a recorded fact at this time: everything is looked at again.
    pub look: Option<Timestamp>,
    /// Facts to be made so: those that are not.
    pub mend: BTreeMap<String, Value>,
    /// Which time that is asked: with another number what failed is tried again.
    pub round: u32,
}

/// What was found, and what the server knows of it.
#[derive(Default)]
struct Findings {
    parts: BTreeMap<FactsPart, FoundFacts>,
    /// What must have changed before a part is looked at again.
    stamps: BTreeMap<FactsPart, String>,
    looked: BTreeMap<FactsPart, Instant>,
    links: BTreeMap<Link, Instant>,
    /// The digests the server is known to have.
    told: BTreeMap<FactsPart, String>,
    mended: BTreeMap<String, Value>,
    round: u32,
    /// Why what could not be mended could not.
    failed: BTreeMap<String, String>,
}

/// Finds facts and tells the server, for ever.
pub async fn watch(machine: &Arc<Machine>, mut wish: watch::Receiver<Wish>) {
    let findings = Arc::new(Mutex::new(Findings::default()));
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let mut digest_at: Option<Instant> = None;
    let mut looked_for = None;
    loop {
        let wanted = wish.borrow_and_update().clone();
        let anew = wanted.look != looked_for;
        look(machine, &findings, anew, &wanted).await;
        let due = digest_at.is_none_or(|at: Instant| at.elapsed() >= DIGEST);
        match tell(machine, &findings, due || anew).await {
            Ok(()) => {
                looked_for = wanted.look;
                backoff.reset();
                digest_at = if due || anew { Some(instant()) } else { digest_at };
            }
            Err(error) => {
                tracing::debug!(%error, "facts did not arrive; they are told again");
                tokio::time::sleep(backoff.next_wait()).await;
            }
        }
        // Woken early where somebody failed with what we said.
        let _ = tokio::time::timeout(LOOK, wish.changed()).await;
    }
}

/// Looks at what may have changed, on a thread that may wait for disks.
async fn look(machine: &Arc<Machine>, findings: &Arc<Mutex<Findings>>, anew: bool, wish: &Wish) {
    let (machine, findings) = (Arc::clone(machine), Arc::clone(findings));
    let wish = wish.clone();
    let done = tokio::task::spawn_blocking(move || {
        let mut findings = findings.lock().unwrap_or_else(PoisonError::into_inner);
        let mended = findings.mend(&machine.data, wish);
        findings.look(&machine, anew || mended);
    });
    if let Err(error) = done.await {
        tracing::warn!(%error, "looking at this machine failed");
    }
}

/// Tells what has changed, and what the server then says it lacks.
async fn tell(
    machine: &Machine,
    findings: &Mutex<Findings>,
    digest: bool,
) -> Result<(), ClientError> {
    let lock = || findings.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wanted: Vec<FactsPart> = lock().untold();
    let mut first = digest;
    while first || !wanted.is_empty() {
        first = false;
        let report = lock().report(&wanted);
        let answer: FactsWanted = machine.client().facts(&machine.host, &report).await?;
        for refused in &answer.refused {
            tracing::warn!(%refused, "a part of the facts was not taken");
        }
        let mut findings = lock();
        // A part that was just handed in and is still wanted was refused; it is not sent again
        // until it changes.
        findings.told.extend(report.digests);
        let handed: BTreeSet<FactsPart> = wanted.drain(..).collect();
        wanted = answer.parts.into_iter().filter(|part| !handed.contains(part)).collect();
    }
    Ok(())
}

impl Findings {
    /// Parts the server does not have as they are now.
    fn untold(&self) -> Vec<FactsPart> {
        let new = |(part, found): (&FactsPart, &FoundFacts)| {
            (self.told.get(part) != Some(&found.digest)).then_some(*part)
        };
        self.parts.iter().filter_map(new).collect()
    }

    fn report(&self, parts: &[FactsPart]) -> FactsReport {
        let digests = self.parts.iter().map(|(part, found)| (*part, found.digest.clone()));
        let parts = parts.iter().filter_map(|part| self.parts.get(part).cloned());
        FactsReport { digests: digests.collect(), parts: parts.collect() }
    }

    /// Makes facts so that are not yet; each value is tried once in a round. True, where anything
    /// was done.
    fn mend(&mut self, data: &Path, wish: Wish) -> bool {
        let (mut done, wanted) = (false, wish.mend);
        if std::mem::replace(&mut self.round, wish.round) != wish.round {
            self.mended.clear();
        }
        self.mended.retain(|fact, value| wanted.get(fact) == Some(value));
        self.failed.retain(|fact, _| self.mended.contains_key(fact));
        for (fact, value) in wanted {
            if self.mended.contains_key(&fact) {
                continue;
            }
            match custom::mend(data, &fact, &value) {
                Ok(()) => tracing::info!(fact, %value, "made so"),
                Err(why) => {
                    tracing::warn!(fact, %value, why, "could not be made so");
                    self.failed.insert(fact.clone(), why);
                }
            }
            self.mended.insert(fact, value);
            done = true;
        }
        done
    }

    fn look(&mut self, machine: &Machine, anew: bool) {
        if anew {
            self.stamps.clear();
            self.looked.clear();
        }
        self.every(FactsPart::System, SELDOM, || FactsData::System(Box::new(system::system())));
        self.on(FactsPart::Storage, system::storage_stamp(), || {
            FactsData::Storage(system::storage())
        });
        self.on(FactsPart::Network, network::stamp(), || FactsData::Network(network::network()));
        let mut tables = Tables::default();
        let listening = Listening::look(&mut tables);
        self.on(FactsPart::Listeners, format!("{:?}", listening.inodes()), || {
            FactsData::Listeners(sockets::listeners(listening))
        });
        self.on(FactsPart::Packages, packages::stamp(), || {
            FactsData::Packages(packages::packages())
        });
        let plug_ins = custom::directories(&machine.data);
        self.every(FactsPart::Custom, PLUG_INS, || FactsData::Custom(custom::custom(&plug_ins)));
        let links = self.links(machine, &mut tables);
        self.take(FactsData::Links(links));
        self.tell_failed();
    }

    /// A host on which nothing ever failed has no such part.
    fn tell_failed(&mut self) {
        if !self.failed.is_empty() || self.parts.contains_key(&FactsPart::Mends) {
            self.take(FactsData::Mends(self.failed.clone()));
        }
    }

    /// Looks at a part where its stamp has changed.
    fn on(&mut self, part: FactsPart, stamp: String, find: impl FnOnce() -> FactsData) {
        if self.stamps.get(&part) != Some(&stamp) {
            self.stamps.insert(part, stamp);
            self.take(find());
        }
    }

    /// Looks at a part where it was not for some time.
    fn every(&mut self, part: FactsPart, time: Duration, find: impl FnOnce() -> FactsData) {
        if self.looked.get(&part).is_none_or(|at| at.elapsed() >= time) {
            self.looked.insert(part, instant());
            self.take(find());
        }
    }

    /// Whom instances talk to, or have talked to lately.
    fn links(&mut self, machine: &Machine, tables: &mut Tables) -> Vec<Link> {
        let now = instant();
        for (instance, pid) in machine.board.processes() {
            let seen = sockets::links(tables, &instance, pid);
            self.links.extend(seen.into_iter().map(|link| (link, now)));
        }
        let there: BTreeSet<String> = machine.board.names();
        self.links.retain(|link, at| at.elapsed() < LINK_LIFE && there.contains(&link.instance));
        self.links.keys().cloned().collect()
    }

    fn take(&mut self, data: FactsData) {
        let part = data.part();
        let text = serde_json::to_vec(&data).unwrap_or_default();
        let digest = blake3::hash(&text).to_hex()[..32].to_owned();
        self.parts.insert(part, FoundFacts { digest, data });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_told_and_the_digest_of_all() {
        let mut findings = Findings::default();
        findings.on(FactsPart::Packages, "1".into(), || {
            FactsData::Packages([("bash".to_owned(), "5".to_owned())].into())
        });
        findings.take(FactsData::Links(Vec::new()));
        assert_eq!(findings.untold(), [FactsPart::Links, FactsPart::Packages]);
        let report = findings.report(&findings.untold());
        assert_eq!((report.parts.len(), report.digests.len()), (2, 2));
        findings.told.extend(report.digests);
        assert_eq!(findings.untold(), []);
        findings.on(FactsPart::Packages, "1".into(), || unreachable!("the stamp is the same"));
        findings.on(FactsPart::Packages, "2".into(), || FactsData::Packages(BTreeMap::new()));
        assert_eq!(findings.untold(), [FactsPart::Packages]);
        let report = findings.report(&findings.untold());
        assert_eq!((report.parts.len(), report.digests.len()), (1, 2));
    }

    #[test]
    fn what_could_not_be_mended_is_told_until_it_is_wanted_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let mut findings = Findings::default();
        findings.tell_failed();
        assert_eq!(findings.untold(), []);
        let wish = |round: u32| {
            let mend = [("os.motd".to_owned(), "hello".into())].into();
            Wish { mend, round, ..Wish::default() }
        };
        assert!(findings.mend(dir.path(), wish(0)));
        findings.tell_failed();
        let report = findings.report(&findings.untold());
        let FactsData::Mends(failed) = &report.parts[0].data else { panic!("{report:?}") };
        assert!(failed["os.motd"].contains("no program"), "{failed:?}");
        assert!(!findings.mend(dir.path(), wish(0)), "it is tried once");
        assert!(findings.mend(dir.path(), wish(1)), "and again when that is asked for");
        assert!(!findings.mend(dir.path(), wish(1)));
        findings.mend(dir.path(), Wish { round: 1, ..Wish::default() });
        findings.tell_failed();
        let report = findings.report(&findings.untold());
        assert_eq!(report.parts[0].data, FactsData::Mends(BTreeMap::new()));
    }
}
