//! What the server is told: the latest of each instance and each task, changes at once and
//! together, everything after a start or an outage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atoll_client::Backoff;
use atoll_model::Reason;
use atoll_model::agent::{HostFacts, InstanceReport, Report, TaskReport};
use atoll_model::config::ConfigAck;
use tokio::sync::Notify;

use crate::configs::Acks;
use crate::machine::Machine;

/// Changes that come within this time travel together.
const GATHER: Duration = Duration::from_millis(10);
/// Everything is told again this often, should something have been lost.
const AGAIN: Duration = Duration::from_secs(60);
/// What is waited at most until every instance found on the disk has been looked at.
const PATIENCE: Duration = Duration::from_secs(5);

/// The latest of each instance, and what of it is not told yet.
#[derive(Default)]
pub struct Board {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    instances: BTreeMap<String, InstanceReport>,
    /// What others than its keeper have to say of an instance.
    remarks: BTreeMap<String, Reason>,
    tasks: BTreeMap<String, TaskReport>,
    facts: Option<HostFacts>,
    configs: Acks,
    dirty: BTreeSet<String>,
    dirty_configs: BTreeSet<String>,
    dirty_tasks: BTreeSet<String>,
    dirty_facts: bool,
    /// Releases that were fetched before any instance of them is here.
    ahead: BTreeSet<String>,
    dirty_ahead: bool,
    full: bool,
    /// Those of which nothing has been heard since the start.
    awaited: BTreeSet<String>,
    awaited_tasks: BTreeSet<String>,
}

impl Board {
    /// A board on which everything has still to be told, once these instances and tasks have been
    /// heard of.
    pub fn awaiting(
        instances: impl IntoIterator<Item = String>,
        tasks: impl IntoIterator<Item = String>,
    ) -> Board {
        let (awaited, awaited_tasks) =
            (instances.into_iter().collect(), tasks.into_iter().collect());
        let inner = Inner { full: true, awaited, awaited_tasks, ..Inner::default() };
        Board { inner: Mutex::new(inner), changed: Notify::new() }
    }

    /// Notes how an instance is.
    pub fn post(&self, report: InstanceReport) {
        let mut inner = self.inner();
        let awaited = inner.awaited.remove(&report.name);
        let news = inner.instances.get(&report.name) != Some(&report);
        if news {
            inner.dirty.insert(report.name.clone());
            inner.instances.insert(report.name.clone(), report);
        }
        drop(inner);
        // Nobody is woken each second to hear that nothing has changed.
        if news || awaited {
            self.changed.notify_one();
        }
    }

    /// Forgets an instance that is no longer here.
    pub fn forget(&self, name: &str) {
        let mut inner = self.inner();
        inner.awaited.remove(name);
        inner.instances.remove(name);
        inner.remarks.remove(name);
        inner.configs.remove(name);
        inner.dirty.remove(name);
        inner.dirty_configs.remove(name);
        drop(inner);
        self.changed.notify_one();
    }

    /// Notes what is to be said of an instance besides how it is, or that nothing is any more.
    pub fn remark(&self, instance: &str, remark: Option<Reason>) {
        let mut inner = self.inner();
        let remark = remark.filter(|_| inner.instances.contains_key(instance));
        if inner.remarks.get(instance) == remark.as_ref() {
            return;
        }
        match remark {
            Some(remark) => inner.remarks.insert(instance.to_owned(), remark),
            None => inner.remarks.remove(instance),
        };
        inner.dirty.insert(instance.to_owned());
        drop(inner);
        self.changed.notify_one();
    }

    /// Notes what an instance has of its configuration.
    pub fn post_configs(&self, instance: &str, acks: BTreeMap<String, ConfigAck>) {
        let mut inner = self.inner();
        if inner.configs.get(instance) != Some(&acks) {
            inner.configs.insert(instance.to_owned(), acks);
            inner.dirty_configs.insert(instance.to_owned());
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Notes how a task is.
    pub fn post_task(&self, report: TaskReport) {
        let mut inner = self.inner();
        let awaited = inner.awaited_tasks.remove(&report.name);
        let news = inner.tasks.get(&report.name) != Some(&report);
        if news {
            inner.dirty_tasks.insert(report.name.clone());
            inner.tasks.insert(report.name.clone(), report);
        }
        drop(inner);
        if news || awaited {
            self.changed.notify_one();
        }
    }

    /// Forgets a task nobody asks about any more.
    pub fn forget_task(&self, name: &str) {
        let mut inner = self.inner();
        inner.awaited_tasks.remove(name);
        inner.tasks.remove(name);
        inner.dirty_tasks.remove(name);
        drop(inner);
        self.changed.notify_one();
    }

    /// Notes what the machine is.
    pub fn post_facts(&self, facts: HostFacts) {
        let mut inner = self.inner();
        if inner.facts.as_ref() != Some(&facts) {
            inner.facts = Some(facts);
            inner.dirty_facts = true;
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Notes that what was fetched ahead of a release is here, or is not needed any more.
    pub fn post_ahead(&self, release: &str, here: bool) {
        let mut inner = self.inner();
        let changed = match here {
            true => inner.ahead.insert(release.to_owned()),
            false => inner.ahead.remove(release),
        };
        if changed {
            inner.dirty_ahead = true;
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// The instances that have a process, with its number.
    pub fn processes(&self) -> Vec<(String, u32)> {
        let inner = self.inner();
        let of = |(name, report): (&String, &InstanceReport)| Some((name.clone(), report.pid?));
        inner.instances.iter().filter_map(of).collect()
    }

    /// The instances there are.
    pub fn names(&self) -> BTreeSet<String> {
        self.inner().instances.keys().cloned().collect()
    }

    /// Has everything told again.
    pub fn tell_all(&self) {
        self.inner().full = true;
        self.changed.notify_one();
    }

    /// What is to be told now. It counts as told; see [`Board::tell_all`] for when it was not.
    fn take(&self) -> Option<Report> {
        let mut inner = self.inner();
        let full = inner.full && !inner.waits();
        let wanted = |name: &String| full || inner.dirty.contains(name);
        let instances =
            inner.instances.values().filter(|r| wanted(&r.name)).map(|r| inner.remarked(r));
        let instances: Vec<InstanceReport> = instances.collect();
        let wanted = |name: &String| full || inner.dirty_configs.contains(name);
        let configs: Acks = inner
            .configs
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, acks)| (name.clone(), acks.clone()))
            .collect();
        let wanted = |name: &String| full || inner.dirty_tasks.contains(name);
        let tasks: Vec<TaskReport> =
            inner.tasks.iter().filter(|(n, _)| wanted(n)).map(|(_, r)| r.clone()).collect();
        let facts = inner.facts.clone().filter(|_| full || inner.dirty_facts);
        let ahead = (full || inner.dirty_ahead).then(|| inner.ahead.clone());
        if full {
            inner.full = false;
        }
        inner.dirty.clear();
        inner.dirty_configs.clear();
        inner.dirty_tasks.clear();
        inner.dirty_facts = false;
        inner.dirty_ahead = false;
        let quiet = instances.is_empty() && tasks.is_empty() && configs.is_empty();
        let news = full || facts.is_some() || ahead.is_some() || !quiet;
        let found = Vec::new();
        news.then_some(Report {
            full,
            facts,
            instances,
            tasks,
            configs,
            found,
            ahead,
            clock_ahead: None,
        })
    }

    fn give_up_waiting(&self) {
        let mut inner = self.inner();
        for name in std::mem::take(&mut inner.awaited) {
            tracing::warn!(instance = name, "nothing is known of it yet");
        }
        for name in std::mem::take(&mut inner.awaited_tasks) {
            tracing::warn!(task = name, "nothing is known of it yet");
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remarked(&self, report: &InstanceReport) -> InstanceReport {
        let mut report = report.clone();
        report.reasons.extend(self.remarks.get(&report.name).cloned());
        report
    }

    fn waits(&self) -> bool {
        !self.awaited.is_empty() || !self.awaited_tasks.is_empty()
    }
}

/// Tells the server whatever changes, for ever.
pub async fn tell(machine: &Machine) {
    let board = &machine.board;
    let patience = tokio::time::timeout(PATIENCE, async {
        while board.inner().waits() {
            board.changed.notified().await;
        }
    });
    if patience.await.is_err() {
        board.give_up_waiting();
    }
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut failing = false;
    loop {
        let Some(report) = board.take() else {
            if tokio::time::timeout(AGAIN, board.changed.notified()).await.is_err() {
                board.tell_all();
            } else {
                tokio::time::sleep(GATHER).await;
            }
            continue;
        };
        match machine.client().report(&machine.host, &report).await {
            Ok(()) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("reports reach a server again");
                }
                backoff.reset();
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "a report did not arrive; it is tried again");
                }
                board.tell_all();
                tokio::time::sleep(backoff.next_wait()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::Timestamp;
    use atoll_model::deployment::InstancePhase;

    use super::*;

    fn report(name: &str, restarts: u32) -> InstanceReport {
        InstanceReport {
            name: name.to_owned(),
            created_at: None,
            generation: 1,
            phase: InstancePhase::Ready,
            release: None,
            pid: None,
            restarts,
            started_at: None,
            prefetched: None,
            image: None,
            reasons: Vec::new(),
        }
    }

    fn told(board: &Board) -> Option<(bool, Vec<String>)> {
        let report = board.take()?;
        Some((report.full, report.instances.into_iter().map(|i| i.name).collect()))
    }

    #[test]
    fn only_changes_are_told_and_together() {
        let board = Board::awaiting([], []);
        board.post(report("a", 0));
        assert_eq!(told(&board), Some((true, vec!["a".into()])));
        assert_eq!(told(&board), None);
        board.post(report("a", 0));
        assert_eq!(told(&board), None, "nothing has changed");
        board.post(report("a", 1));
        board.post(report("b", 0));
        assert_eq!(told(&board), Some((false, vec!["a".into(), "b".into()])));
        board.forget("b");
        board.tell_all();
        assert_eq!(told(&board), Some((true, vec!["a".into()])));
    }

    #[test]
    fn another_of_the_same_name_is_news_though_it_is_as_the_one_before() {
        let board = Board::awaiting([], []);
        let of = |made| InstanceReport { created_at: Some(Timestamp(made)), ..report("a", 0) };
        board.post(of(1));
        assert!(told(&board).is_some());
        board.post(of(1));
        assert_eq!(told(&board), None);
        board.post(of(2));
        assert_eq!(told(&board), Some((false, vec!["a".into()])));
    }

    #[test]
    fn what_was_fetched_ahead_is_told_once() {
        let board = Board::awaiting([], []);
        assert_eq!(board.take().and_then(|report| report.ahead), Some(BTreeSet::new()));
        board.post_ahead("shop-1", true);
        let told = board.take().and_then(|report| report.ahead);
        assert_eq!(told, Some(["shop-1".to_owned()].into()));
        board.post_ahead("shop-1", true);
        assert!(board.take().is_none(), "it was told");
        board.post_ahead("shop-1", false);
        assert_eq!(board.take().and_then(|report| report.ahead), Some(BTreeSet::new()));
    }

    #[test]
    fn everything_is_not_told_before_everything_is_known() {
        let board = Board::awaiting(["a".to_owned(), "b".to_owned()], []);
        board.post(report("a", 0));
        assert_eq!(told(&board), Some((false, vec!["a".into()])));
        board.post(report("b", 0));
        assert_eq!(told(&board), Some((true, vec!["a".into(), "b".into()])));
        let empty = Board::awaiting([], []);
        assert_eq!(told(&empty), Some((true, vec![])), "to have nothing is news too");
    }
}
