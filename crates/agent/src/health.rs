//! Whether an instance is well, from the answers to its probes and the age of its process. Pure:
//! the probes themselves are in `probe.rs`.

use std::time::Duration;

use atoll_model::{Span, run};

/// Without probes, a process that has run this long is taken to be well.
const ENOUGH: Duration = Duration::from_millis(200);
/// The first waits between probes; they grow with the age of the process.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// How one process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// It has not been well yet.
    Starting,
    /// It has not been well within the time it had.
    TimedOut,
    /// It is well.
    Ready,
    /// It was well and is not now.
    Unready,
}

/// What is known of the health of one process.
#[derive(Clone, Debug)]
pub struct Health {
    rules: Option<run::Health>,
    /// Good or bad answers in a row.
    good: u32,
    bad: u32,
    live_bad: u32,
    ready: bool,
    was_ready: bool,
    failure: Option<String>,
}

impl Health {
    /// A process just started, or one that is known to have been ready a moment ago.
    pub fn new(rules: Option<run::Health>, known_ready: bool) -> Health {
        Health {
            rules,
            good: 0,
            bad: 0,
            live_bad: 0,
            ready: known_ready,
            was_ready: known_ready,
            failure: None,
        }
    }

    /// Takes the answer to the question whether it serves.
    pub fn answered(&mut self, answer: Result<(), String>) {
        let Some(rules) = &self.rules else { return };
        match answer {
            Ok(()) => {
                self.good = self.good.saturating_add(1);
                self.bad = 0;
                if self.good >= rules.healthy_after {
                    self.ready = true;
                    self.was_ready = true;
                    self.failure = None;
                }
            }
            Err(why) => {
                self.bad = self.bad.saturating_add(1);
                self.good = 0;
                self.failure = Some(why);
                if self.bad >= rules.unhealthy_after {
                    self.ready = false;
                }
            }
        }
    }

    /// Takes the answer to the question whether only a restart helps; why, if so.
    pub fn live_answered(&mut self, answer: Result<(), String>) -> Option<String> {
        let live = self.rules.as_ref()?.live.as_ref()?;
        match answer {
            Ok(()) => {
                self.live_bad = 0;
                None
            }
            Err(why) => {
                self.live_bad += 1;
                (self.live_bad >= live.unhealthy_after).then_some(why)
            }
        }
    }

    /// Whether the second question is asked of a process of that age: not before it has started.
    pub fn asks_live(&self, age: Duration) -> bool {
        self.was_ready || self.view(age) == View::TimedOut
    }

    /// How it is.
    pub fn view(&self, age: Duration) -> View {
        match &self.rules {
            None if self.ready || age >= ENOUGH => View::Ready,
            None => View::Starting,
            Some(_) if self.ready => View::Ready,
            Some(_) if self.was_ready => View::Unready,
            Some(rules) if age >= rules.start_timeout.std() => View::TimedOut,
            Some(_) => View::Starting,
        }
    }

    /// The last bad answer, while it counts.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The time a start may take.
    pub fn start_timeout(&self) -> Option<Span> {
        self.rules.as_ref().map(|rules| rules.start_timeout)
    }

    /// The wait from one answer to the next question. Until it has been well, it is asked often,
    /// the more so the younger it is, so that little time is lost.
    pub fn wait(&self, age: Duration) -> Option<Duration> {
        let every = self.rules.as_ref()?.every.std();
        if self.was_ready {
            return Some(every);
        }
        Some((age / 6).clamp(SHORTEST_WAIT.min(every), every))
    }

    /// When its age alone makes a difference.
    pub fn next_age(&self, age: Duration) -> Option<Duration> {
        let mark = self.rules.as_ref().map_or(ENOUGH, |rules| rules.start_timeout.std());
        (age < mark && self.view(age) == View::Starting).then(|| mark - age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn health(text: serde_json::Value) -> Health {
        Health::new(Some(serde_json::from_value(text).unwrap()), false)
    }

    fn bad() -> Result<(), String> {
        Err("answered 500".to_owned())
    }

    #[test]
    fn without_probes_running_is_enough() {
        let health = Health::new(None, false);
        assert_eq!(health.view(Duration::ZERO), View::Starting);
        assert_eq!(health.next_age(Duration::ZERO), Some(ENOUGH));
        assert_eq!(health.view(ENOUGH), View::Ready);
        assert_eq!(health.next_age(ENOUGH), None);
        assert_eq!(health.wait(S), None);
    }

    #[test]
    fn answers_in_a_row_count() {
        let mut health = health(serde_json::json!({
            "tcp": true, "healthyAfter": 2, "unhealthyAfter": 2, "startTimeout": "10s" }));
        let steps = [
            (bad(), View::Starting),
            (Ok(()), View::Starting),
            (bad(), View::Starting),
            (Ok(()), View::Starting),
            (Ok(()), View::Ready),
            (bad(), View::Ready),
            (Ok(()), View::Ready),
            (bad(), View::Ready),
            (bad(), View::Unready),
            (Ok(()), View::Unready),
            (Ok(()), View::Ready),
        ];
        for (i, (answer, view)) in steps.into_iter().enumerate() {
            health.answered(answer);
            assert_eq!(health.view(S), view, "step {i}");
        }
        assert_eq!(health.failure(), None);
    }

    #[test]
    fn a_start_may_take_only_so_long() {
        let mut health = health(serde_json::json!({ "tcp": true, "startTimeout": "5s" }));
        health.answered(bad());
        assert_eq!(health.view(4 * S), View::Starting);
        assert_eq!(health.next_age(4 * S), Some(S));
        assert_eq!(health.view(5 * S), View::TimedOut);
        assert!(health.failure().is_some());
        health.answered(Ok(()));
        assert_eq!(health.view(6 * S), View::Ready, "late is better than never");
    }

    #[test]
    fn the_young_are_asked_often() {
        let mut health = health(serde_json::json!({ "tcp": true, "every": "1s" }));
        assert_eq!(health.wait(Duration::ZERO), Some(SHORTEST_WAIT));
        assert_eq!(health.wait(S * 3 / 5), Some(S / 10));
        assert_eq!(health.wait(60 * S), Some(S));
        health.answered(Ok(()));
        assert_eq!(health.wait(Duration::ZERO), Some(S), "once well, as seldom as it should be");
    }

    #[test]
    fn the_second_question_restarts_but_not_during_the_start() {
        let mut health = health(serde_json::json!({
            "tcp": true, "live": { "http": "/live", "unhealthyAfter": 2 } }));
        assert!(!health.asks_live(S));
        assert!(health.asks_live(61 * S), "a start that hangs may need it too");
        health.answered(Ok(()));
        assert!(health.asks_live(S));
        assert_eq!(health.live_answered(bad()), None);
        assert_eq!(health.live_answered(Ok(())), None);
        assert_eq!(health.live_answered(bad()), None);
        assert_eq!(health.live_answered(bad()), Some("answered 500".to_owned()));
    }

    #[test]
    fn a_process_known_to_be_well_stays_so_until_it_is_not() {
        let rules = serde_json::from_value(serde_json::json!({ "tcp": true })).unwrap();
        let mut health = Health::new(Some(rules), true);
        assert_eq!(health.view(Duration::ZERO), View::Ready);
        for _ in 0..3 {
            health.answered(bad());
        }
        assert_eq!(health.view(S), View::Unready);
    }
}
