//! How an autoscaler that only observes would have done, beside how its deployment did: what people
//! look at before they let it act.

use atoll_model::elasticity::{AutoscalerPhase, AutoscalerStatus, Score, Wanted};
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

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of {
    /// See [`Score::basis`].
    pub basis: u32,
    /// See [`Score::let_act`].
    pub let_act: bool,
    pub there: There,
}

/// The score with one look more; each counts for the time since the one before. It begins anew
/// when something else is gone by, and when an autoscaler is set back to observing.
pub(super) fn look(
    stored: &AutoscalerStatus,
    needs: &[Needs],
    of: Of,
    now: Timestamp,
) -> Option<Score> {
    let desired = stored.desired?;
    let goes_on = |score: &&Score| {
        let observes = stored.phase == AutoscalerPhase::Observing;
        observes && score.basis == of.basis && (of.let_act || !score.let_act)
    };
    let wanted = Wanted { at: stored.since.unwrap_or(now), instances: desired };
    let Some(mut score) = stored.score.as_ref().filter(goes_on).cloned() else {
        let (basis, let_act, wanted) = (of.basis, of.let_act, vec![wanted]);
        return Some(Score { since: now, at: now, basis, let_act, wanted, ..Score::default() });
    };
    score.let_act = of.let_act;
    if score.wanted.last().is_none_or(|last| last.instances != desired) {
        score.wanted.push(wanted);
    }
    // What it would have begun serves after a start; what it would have taken away is gone at once.
    let begun = score.wanted.iter().rposition(|wanted| now.since(wanted.at) >= START);
    score.wanted.drain(..begun.unwrap_or(0));
    let serving = score.wanted.iter().map(|wanted| wanted.instances).min().unwrap_or(desired);
    let passed = now.since(score.at);
    score.at = now;
    let need = needs.iter().filter_map(|signal| signal.now(now)).max_by(f64::total_cmp);
    let Some(need) = need.map(whole).filter(|_| passed <= LONGEST) else { return Some(score) };
    let seconds = passed.0 as f64 / 1_000.0;
    let if_short = |count: u32| if need > count { seconds } else { 0.0 };
    score.seconds += seconds;
    score.short += if_short(serving);
    score.was_short += if_short(of.there.ready);
    score.instances += seconds * f64::from(desired);
    score.were += seconds * f64::from(of.there.wanted.max(need));
    Some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Of = Of { basis: 7, let_act: false, there: There { ready: 3, wanted: 3 } };

    fn second(at: u64) -> Timestamp {
        Timestamp(0) + Span::seconds(at)
    }

    fn observing(desired: u32, since: u64, score: Score) -> AutoscalerStatus {
        AutoscalerStatus {
            phase: AutoscalerPhase::Observing,
            desired: Some(desired),
            since: Some(second(since)),
            score: Some(Score { basis: 7, ..score }),
            ..AutoscalerStatus::default()
        }
    }

    fn with(status: &AutoscalerStatus, need: f64, of: Of, at: u64) -> Option<Score> {
        let points = [(second(at), need)];
        look(status, &[Needs { name: "load", points: &points, old: None }], of, second(at))
    }

    #[test]
    fn what_would_have_been_begun_serves_after_a_start() {
        let two = Wanted { at: second(0) - START, instances: 2 };
        let mut status = observing(5, 0, Score { wanted: vec![two], ..Score::default() });
        for at in [30, 60, 90, 500] {
            status.score = with(&status, 4.2, OF, at);
        }
        let score = status.score.clone().unwrap();
        // Of the time until 500 nobody knows anything. Five were needed, and there were three.
        assert_eq!((score.seconds, score.short, score.was_short), (90.0, 30.0, 90.0));
        assert_eq!((score.instances, score.were), (450.0, 450.0));
        status.score = look(&status, &[], OF, second(510));
        assert_eq!(status.score.as_ref().unwrap().seconds, 90.0, "nothing was measured");
        status.phase = AutoscalerPhase::Acting;
        let anew = look(&status, &[], OF, second(520)).unwrap();
        assert_eq!((anew.since, anew.seconds), (second(520), 0.0));
    }

    #[test]
    fn each_step_of_a_load_that_grows_serves_after_a_start_of_its_own() {
        let mut status = observing(3, 0, Score::default());
        for step in 1..=12_u32 {
            let at = u64::from(step) * 15;
            // One more each 15 s, five ahead of what is needed.
            status.desired = Some(step + 5);
            status.since = Some(second(at));
            status.score = with(&status, f64::from(step), OF, at);
        }
        let score = status.score.unwrap();
        assert_eq!((score.seconds, score.short), (180.0, 0.0), "{score:?}");
        assert_eq!(score.wanted.len(), 5, "those of a minute, and the one before");
    }

    #[test]
    fn it_begins_anew_with_another_scaling_and_once_it_may_not_act_any_more() {
        let status = observing(5, 0, Score { seconds: 80.0, let_act: true, ..Score::default() });
        let seconds = |of| with(&status, 4.2, of, 10).unwrap().seconds;
        assert_eq!(seconds(Of { let_act: true, ..OF }), 90.0);
        assert_eq!(seconds(OF), 0.0, "set back to observing");
        assert_eq!(seconds(Of { let_act: true, basis: 8, ..OF }), 0.0, "other bounds");
    }
}
