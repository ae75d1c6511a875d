//! How an autoscaler that only observes would have done, beside how its deployment did: what people
//! look at before they let it act.

use atoll_model::elasticity::{AutoscalerPhase, AutoscalerStatus, Score};
use atoll_model::{Span, Timestamp};

use super::START;
use super::decide::{Needs, whole};

/// Nobody looked for longer than this: nothing is known of the time between.
const LONGEST: Span = Span::seconds(120);

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct There {
    /// So many serve.
    pub ready: u32,
    /// So many there are to be.
    pub wanted: u32,
}

/// The score with one look more; each counts for the time since the one before.
pub(super) fn look(
    stored: &AutoscalerStatus,
    needs: &[Needs],
    there: There,
    now: Timestamp,
) -> Option<Score> {
    let desired = stored.desired?;
    let known = stored.score.filter(|_| stored.phase == AutoscalerPhase::Observing);
    let Some(mut score) = known else {
        return Some(Score { since: now, at: now, serving: desired, ..Score::default() });
    };
    // What it would have begun serves after a start; what it would have taken away is gone at once.
    let started = stored.since.is_none_or(|since| now.since(since) >= START);
    score.serving = if started { desired } else { score.serving.min(desired) };
    let passed = now.since(score.at);
    score.at = now;
    let need = needs.iter().filter_map(|signal| signal.now(now)).max_by(f64::total_cmp);
    let Some(need) = need.map(whole).filter(|_| passed <= LONGEST) else { return Some(score) };
    let seconds = passed.0 as f64 / 1_000.0;
    let if_short = |count: u32| if need > count { seconds } else { 0.0 };
    score.seconds += seconds;
    score.short += if_short(score.serving);
    score.was_short += if_short(there.ready);
    score.instances += seconds * f64::from(desired);
    score.were += seconds * f64::from(there.wanted);
    Some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_been_begun_serves_after_a_start() {
        let second = |at: u64| Timestamp(0) + Span::seconds(at);
        let mut status = AutoscalerStatus {
            phase: AutoscalerPhase::Observing,
            desired: Some(5),
            since: Some(second(0)),
            score: Some(Score { serving: 2, ..Score::default() }),
            ..AutoscalerStatus::default()
        };
        let there = There { ready: 3, wanted: 3 };
        for at in [30, 60, 90, 500] {
            let points = [(second(at), 4.2)];
            let needs = [Needs { name: "load", points: &points }];
            status.score = look(&status, &needs, there, second(at));
        }
        let score = status.score.unwrap();
        // Of the time until 500 nobody knows anything.
        assert_eq!((score.seconds, score.short, score.was_short), (90.0, 30.0, 90.0));
        assert_eq!((score.instances, score.were, score.serving), (450.0, 270.0, 5));
        status.score = look(&status, &[], there, second(510));
        assert_eq!(status.score.unwrap().seconds, 90.0, "nothing was measured");
        status.phase = AutoscalerPhase::Acting;
        let anew = look(&status, &[], there, second(520)).unwrap();
        assert_eq!((anew.since, anew.seconds), (second(520), 0.0));
    }
}
