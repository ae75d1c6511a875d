//! Which target is looked at when, and how it was last. Pure: the time is an argument, and what
//! follows from a change is told, not done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use atoll_model::{Monitor, Object, Timestamp};
use atoll_plan::monitoring::TargetResult;

use super::probe::Job;
use super::series::Series;
use super::{failed_before, next_on_grid, spread};

/// A new target is looked at for the first time within so many milliseconds.
const FIRST_WITHIN: u64 = 10_000;

/// A monitor, and a target as it stands there.
pub(super) type Key = (String, String);

/// All targets.
#[derive(Default)]
pub(super) struct Schedule {
    monitors: BTreeMap<String, Arc<Object<Monitor>>>,
    targets: BTreeMap<Key, Target>,
    due: BTreeSet<(Timestamp, Key)>,
    turns: u64,
}

struct Target {
    job: Arc<Job>,
    turn: u64,
    next: Timestamp,
    /// Those of the last look; with the look that is under way, while one is.
    series: State,
    failures: u32,
    /// What the last look saw, once it was looked at.
    last: Option<Seen>,
}

/// What a look saw of a target.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What was wrong, if it did not answer as it should.
    pub(super) problem: Option<String>,
    /// Why samples of it were not kept, if some were not.
    pub(super) refused: Option<String>,
}

enum State {
    Waits(Series),
    LookedAt,
}

/// A target that is no longer looked at, with its series, which have ended.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) job: Arc<Job>,
    pub(super) series: Series,
}

impl Schedule {
    /// Forgets everything; what looks still under way bring is not taken for anything that comes.
    pub(super) fn clear(&mut self) {
        *self = Schedule { turns: self.turns, ..Schedule::default() };
    }

    /// Takes up monitors that have come or changed, and gives up those that have gone.
    pub(super) fn refresh<'a>(
        &mut self,
        monitors: impl Iterator<Item = &'a Arc<Object<Monitor>>>,
        now: Timestamp,
    ) -> Vec<Gone> {
        let mut known = std::mem::take(&mut self.monitors);
        let mut changes = Vec::new();
        for monitor in monitors {
            let name = monitor.name().to_owned();
            let old = known.remove(&name);
            let same = |old: &Arc<Object<Monitor>>| {
                Arc::ptr_eq(old, monitor)
                    || (old.spec == monitor.spec && old.meta.created_at == monitor.meta.created_at)
            };
            if !old.as_ref().is_some_and(same) {
                if old.is_some() {
                    self.forget(&name, &mut changes);
                }
                self.take_up(monitor, now);
            }
            self.monitors.insert(name, monitor.clone());
        }
        for name in known.keys() {
            self.forget(name, &mut changes);
        }
        changes
    }

    fn take_up(&mut self, monitor: &Object<Monitor>, now: Timestamp) {
        let name = monitor.name();
        let every = monitor.spec.every.0;
        for target in monitor.spec.probe.targets() {
            let key = (name.to_owned(), target.to_owned());
            let first = spread(name, target) % every.clamp(1, FIRST_WITHIN);
            let next = Timestamp(now.0.saturating_add_unsigned(first));
            self.turns += 1;
            let target = Target {
                job: Arc::new(Job::new(name, &monitor.spec, target)),
                turn: self.turns,
                next,
                series: State::Waits(Series::default()),
                failures: failed_before(monitor, target),
                last: None,
            };
            self.due.insert((next, key.clone()));
            // The same target named twice is one.
            if let Some(twin) = self.targets.insert(key.clone(), target)
                && twin.next != next
            {
                self.due.remove(&(twin.next, key));
            }
        }
    }

    fn forget(&mut self, monitor: &str, changes: &mut Vec<Gone>) {
        for key in self.keys(monitor) {
            let Some(target) = self.targets.remove(&key) else { continue };
            self.due.remove(&(target.next, key));
            // Of one that is being looked at, the look tells when it is done.
            if let State::Waits(series) = target.series {
                changes.push(Gone { job: target.job, series });
            }
        }
    }

    fn keys(&self, monitor: &str) -> Vec<Key> {
        self.of(monitor).map(|(key, _)| key.clone()).collect()
    }

    fn of(&self, monitor: &str) -> impl Iterator<Item = (&Key, &Target)> {
        let from = (monitor.to_owned(), String::new());
        self.targets.range(from..).take_while(move |(key, _)| key.0 == monitor)
    }

    /// A target that is due, with its series; it is being looked at until [`Schedule::done`].
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Key, u64, Arc<Job>, Series)> {
        loop {
            let (at, key) = self.due.first().filter(|(at, _)| *at <= now)?.clone();
            self.due.remove(&(at, key.clone()));
            let Some(target) = self.targets.get_mut(&key) else { continue };
            let every = i64::try_from(target.job.spec.every.0).unwrap_or(i64::MAX);
            target.next = next_on_grid(now, every, spread(&key.0, &key.1));
            self.due.insert((target.next, key.clone()));
            // Never two looks at one target at once.
            if let State::Waits(series) = std::mem::replace(&mut target.series, State::LookedAt) {
                return Some((key, target.turn, target.job.clone(), series));
            }
        }
    }

    /// Takes over what a look has brought.
    ///
    /// # Errors
    /// The series, if the target has gone meanwhile.
    pub(super) fn done(
        &mut self,
        key: &Key,
        turn: u64,
        series: Series,
        seen: Seen,
    ) -> Result<(), Series> {
        let Some(target) = self.targets.get_mut(key).filter(|target| target.turn == turn) else {
            return Err(series);
        };
        target.series = State::Waits(series);
        target.failures = match seen.problem {
            None => 0,
            Some(_) => target.failures.saturating_add(1),
        };
        target.last = Some(seen);
        Ok(())
    }

    /// How the targets of a monitor are; nothing before each was looked at once.
    pub(super) fn results(&self, monitor: &str) -> Vec<TargetResult> {
        let result = |(key, target): (&Key, &Target)| {
            let Seen { problem, refused } = target.last.clone()?;
            let up = problem.is_none();
            let (target, failures) = (key.1.clone(), target.failures);
            Some(TargetResult { target, up, problem, failures, refused })
        };
        self.of(monitor).map(result).collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    /// How long until a target is due.
    pub(super) fn next_due(&self, now: Timestamp) -> Duration {
        self.due.first().map_or(Duration::MAX, |(at, _)| at.since(now).std())
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::Span;
    use atoll_model::monitoring::{MonitorPhase, MonitorProbe};

    use super::*;

    fn monitor(name: &str, urls: &[&str]) -> Arc<Object<Monitor>> {
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        let spec = Monitor {
            probe: MonitorProbe::Scrape { urls },
            every: Span::seconds(15),
            timeout: None,
            labels: BTreeMap::new(),
            owner: None,
            failures: 2,
        };
        Arc::new(Object::new(name, spec))
    }

    fn refresh(schedule: &mut Schedule, all: &[Arc<Object<Monitor>>], now: i64) -> usize {
        schedule.refresh(all.iter(), Timestamp(now)).len()
    }

    fn seen(problem: &str) -> Seen {
        Seen { problem: Some(problem.to_owned()), refused: None }
    }

    #[test]
    fn each_target_is_looked_at_once_in_its_interval_and_they_are_spread() {
        let names: Vec<String> = (0..100).map(|i| format!("m{i}")).collect();
        let all: Vec<_> = names.iter().map(|name| monitor(name, &["http://a/"])).collect();
        let mut schedule = Schedule::default();
        refresh(&mut schedule, &all, 0);
        let mut looks: BTreeMap<Key, Vec<i64>> = BTreeMap::new();
        let mut most = 0;
        for now in (0..120_000).step_by(100) {
            let mut count = 0;
            while let Some((key, turn, _, series)) = schedule.pop_due(Timestamp(now)) {
                looks.entry(key.clone()).or_default().push(now);
                assert!(schedule.done(&key, turn, series, Seen::default()).is_ok());
                count += 1;
            }
            most = most.max(count);
        }
        assert_eq!(looks.len(), 100);
        for (key, times) in looks {
            assert!((8..=9).contains(&times.len()), "{key:?} {times:?}");
            assert!(times[0] <= 10_100);
            for pair in times[1..].windows(2) {
                assert_eq!(pair[1] - pair[0], 15_000, "{key:?} {times:?}");
            }
        }
        assert!(most < 20, "{most} at the same moment");
    }

    #[test]
    fn a_target_is_never_looked_at_twice_at_once() {
        let mut schedule = Schedule::default();
        refresh(&mut schedule, &[monitor("m", &["http://a/", "http://a/"])], 0);
        let late = Timestamp(20_000);
        let (key, turn, _, series) = schedule.pop_due(late).unwrap();
        assert!(schedule.pop_due(late).is_none());
        assert!(schedule.pop_due(Timestamp(60_000)).is_none(), "it has not come to an end");
        schedule.done(&key, turn, series, seen("late")).unwrap();
        assert_eq!(schedule.results("m")[0].failures, 1);
        assert!(schedule.pop_due(Timestamp(100_000)).is_some());
    }

    #[test]
    fn how_a_monitor_is_is_told_once_all_targets_were_looked_at() {
        let mut schedule = Schedule::default();
        refresh(&mut schedule, &[monitor("m", &["http://a/", "http://b/"])], 0);
        let late = Timestamp(20_000);
        let (key, turn, _, series) = schedule.pop_due(late).unwrap();
        schedule.done(&key, turn, series, Seen::default()).unwrap();
        assert_eq!(schedule.results("m"), []);
        let (key, turn, _, series) = schedule.pop_due(late).unwrap();
        schedule.done(&key, turn, series, seen("no")).unwrap();
        let results = schedule.results("m");
        assert_eq!((results.len(), results.iter().filter(|r| r.up).count()), (2, 1));
    }

    #[test]
    fn what_has_gone_is_told_even_while_it_is_looked_at() {
        let mut schedule = Schedule::default();
        let (a, b) = (monitor("a", &["http://a/"]), monitor("b", &["http://b/"]));
        refresh(&mut schedule, &[a.clone(), b.clone()], 0);
        let late = Timestamp(20_000);
        let looks: Vec<_> = std::iter::from_fn(|| schedule.pop_due(late)).collect();
        assert_eq!(looks.len(), 2);
        // Both are being looked at; one goes, one is replaced by another of the same name.
        let other =
            Arc::new(Object { spec: Monitor { failures: 5, ..b.spec.clone() }, ..(*b).clone() });
        assert_eq!(refresh(&mut schedule, &[other], 20_000), 0);
        for (key, turn, _, series) in looks {
            assert!(schedule.done(&key, turn, series, Seen::default()).is_err(), "{key:?}");
        }
        assert_eq!(refresh(&mut schedule, &[], 20_000), 1);
        assert!(schedule.due.is_empty() && schedule.targets.is_empty());
        // A change of the status alone is none.
        refresh(&mut schedule, std::slice::from_ref(&a), 20_000);
        let mut status = (*a).clone();
        status.status.phase = MonitorPhase::Up;
        assert_eq!(refresh(&mut schedule, &[Arc::new(status)], 20_000), 0);
    }

    #[test]
    fn what_was_down_is_down_until_it_answers() {
        let mut down = (*monitor("m", &["http://a/"])).clone();
        down.status.phase = MonitorPhase::Down;
        let mut schedule = Schedule::default();
        refresh(&mut schedule, &[Arc::new(down)], 0);
        let (key, turn, _, series) = schedule.pop_due(Timestamp(20_000)).unwrap();
        schedule.done(&key, turn, series, seen("no")).unwrap();
        assert!(schedule.results("m")[0].failures >= 2);
    }
}
