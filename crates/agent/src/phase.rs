//! How an instance is in one word, and why, for people at three in the morning. Pure.

use std::time::Duration;

use atoll_model::deployment::InstancePhase;
use atoll_model::{Reason, Span, Timestamp};

use crate::health::{Health, View};
use crate::runtime::orders::{Ended, How, Phase, State};

/// So many deaths within [`LATELY`], or in a row at the start, are a crash loop.
const MANY: usize = 3;
const LATELY: Span = Span::seconds(60);
/// A process that has run this long has broken the loop, until it dies again.
const BROKEN: Duration = Duration::from_secs(10);

/// The phase of an instance that has a shim, and the reasons for it.
pub fn phase(
    state: &State,
    health: Option<&Health>,
    age: Duration,
    now: Timestamp,
) -> (InstancePhase, Vec<Reason>) {
    let mut reasons = Vec::new();
    let looping = looping(state, now);
    let phase = match (state.phase, health) {
        (Phase::Stopping, _) => return (InstancePhase::Stopping, reasons),
        (Phase::Stopped, _) => return (InstancePhase::Stopped, reasons),
        (Phase::Running, Some(health)) => {
            let phase = match health.view(age) {
                View::Ready if looping && age < BROKEN => InstancePhase::CrashLoop,
                View::Ready => InstancePhase::Ready,
                View::Unready => InstancePhase::Unready,
                View::TimedOut => InstancePhase::CrashLoop,
                View::Starting if looping => InstancePhase::CrashLoop,
                View::Starting => InstancePhase::Starting,
            };
            let failure = health.failure().filter(|_| phase != InstancePhase::Ready);
            match (health.view(age), health.start_timeout(), failure) {
                (View::TimedOut, Some(time), failure) => {
                    let last = failure.map(|f| format!(": {f}")).unwrap_or_default();
                    let why = format!("was not ready within {time} of its start{last}");
                    reasons.push(Reason::new("start-timeout", why));
                }
                (_, _, Some(failure)) => reasons.push(Reason::new("probe-failed", failure)),
                _ => {}
            }
            phase
        }
        (Phase::Running | Phase::Waiting, _) if looping => InstancePhase::CrashLoop,
        (Phase::Running | Phase::Waiting, _) => InstancePhase::Starting,
    };
    reasons.extend(state.lacking.clone());
    if let Some(ended) = &state.last {
        if looping && phase == InstancePhase::CrashLoop {
            let message = match &ended.how {
                How::NotStarted(..) => ended.to_string(),
                _ => format!("died {} times, the last time it {ended}", times(state, now)),
            };
            reasons.insert(0, Reason::new("crash-loop", message).hint(hint(ended)));
        }
        if ended.code() != "exited" || phase != InstancePhase::CrashLoop {
            reasons.push(Reason::new(ended.code(), ended.to_string()));
        }
    }
    (phase, reasons)
}

fn looping(state: &State, now: Timestamp) -> bool {
    let never = state.last.as_ref().is_some_and(|e| matches!(e.how, How::NotStarted(..)));
    times(state, now) >= MANY || (never && state.app.is_none())
}

/// How often it has died lately, or in a row.
fn times(state: &State, now: Timestamp) -> usize {
    let lately = state.deaths.iter().filter(|at| now.since(**at) < LATELY).count();
    lately.max(state.streak as usize)
}

fn hint(ended: &Ended) -> &'static str {
    match ended.code() {
        "no-such-program" | "not-executable" | "not-started" => {
            "correct run.command, the package or the image"
        }
        "out-of-memory" => "raise run.resources.memory, or find out what uses it",
        _ => "see its log with atoll logs",
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::run;

    use super::*;
    use crate::runtime::process::Process;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn state(phase: Phase, deaths: &[i64], streak: u32, how: How) -> State {
        let process = Process { pid: 1, start: 1 };
        let ended =
            Ended { at: NOW, ran: Span(200), how, line: Some("bang".to_owned()), why: None };
        State {
            boot: String::new(),
            shim: process,
            release: "web-1".to_owned(),
            phase,
            app: (phase == Phase::Running).then_some(process),
            started_at: Some(NOW),
            restarts: 0,
            last: (!deaths.is_empty()).then_some(ended),
            deaths: deaths.iter().map(|ago| Timestamp(NOW.0 - ago)).collect(),
            streak,
            late: false,
            lacking: None,
        }
    }

    fn check(state: &State, health: &Health, age: u64) -> (InstancePhase, Vec<&'static str>) {
        let (phase, reasons) = phase(state, Some(health), Duration::from_secs(age), NOW);
        let known = [
            "crash-loop",
            "exited",
            "start-timeout",
            "probe-failed",
            "no-such-program",
            "out-of-memory",
        ];
        let code = |r: &Reason| *known.iter().find(|k| **k == r.code).unwrap();
        (phase, reasons.iter().map(code).collect())
    }

    fn probed(answers: &[bool]) -> Health {
        let rules: run::Health =
            serde_json::from_value(serde_json::json!({ "tcp": true, "unhealthyAfter": 1 }))
                .unwrap();
        let mut health = Health::new(Some(rules), false);
        for good in answers {
            health.answered(if *good { Ok(()) } else { Err("refused".to_owned()) });
        }
        health
    }

    #[test]
    fn phases_follow_from_process_and_probes() {
        use InstancePhase::*;
        let never = state(Phase::Running, &[], 0, How::Exited(1));
        assert_eq!(check(&never, &probed(&[]), 1), (Starting, vec![]));
        assert_eq!(check(&never, &probed(&[false]), 1), (Starting, vec!["probe-failed"]));
        assert_eq!(check(&never, &probed(&[true]), 1), (Ready, vec![]));
        assert_eq!(check(&never, &probed(&[true, false]), 1), (Unready, vec!["probe-failed"]));
        let late = (CrashLoop, vec!["start-timeout"]);
        assert_eq!(check(&never, &probed(&[false]), 61), late);
        let once = state(Phase::Running, &[500], 1, How::Exited(1));
        assert_eq!(check(&once, &probed(&[true]), 1), (Ready, vec!["exited"]));
        let stopping = state(Phase::Stopping, &[500], 1, How::Exited(1));
        assert_eq!(check(&stopping, &probed(&[true]), 1), (Stopping, vec![]));
    }

    #[test]
    fn a_crash_loop_is_told_and_ends() {
        use InstancePhase::*;
        let fast = state(Phase::Waiting, &[3000, 2000, 1000], 3, How::Exited(1));
        assert_eq!(check(&fast, &probed(&[]), 0), (CrashLoop, vec!["crash-loop"]));
        let slow = state(Phase::Running, &[50_000, 30_000, 10_000], 1, How::Exited(1));
        assert_eq!(check(&slow, &probed(&[true]), 1), (CrashLoop, vec!["crash-loop"]));
        assert_eq!(check(&slow, &probed(&[true]), 10), (Ready, vec!["exited"]));
        let past = state(Phase::Running, &[90_000, 80_000, 70_000], 1, How::Exited(1));
        assert_eq!(check(&past, &probed(&[true]), 1), (Ready, vec!["exited"]));
        let (_, reasons) = phase(&fast, None, Duration::ZERO, NOW);
        let told = "died 3 times, the last time it exited with code 1 after 0.2s: \"bang\"";
        assert_eq!(reasons[0].message, told);
    }

    #[test]
    fn what_cannot_be_started_needs_no_second_try_to_be_told() {
        let none = state(Phase::Waiting, &[1], 1, How::NotStarted(2, "no such file".into()));
        let (phase, codes) = check(&none, &probed(&[]), 0);
        assert_eq!(phase, InstancePhase::CrashLoop);
        assert_eq!(codes, ["crash-loop", "no-such-program"]);
        let starved = state(Phase::Waiting, &[1, 2, 3], 3, How::OutOfMemory);
        assert_eq!(check(&starved, &probed(&[]), 0).1, ["crash-loop", "out-of-memory"]);
    }
}
