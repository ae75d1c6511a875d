//! What earlier changes of the same application teach: how much a signal moves although nothing is
//! wrong. It only ever makes the guard more patient, and within bounds.

use atoll_model::guard::Verdict;

use super::Past;

/// The smallest relative change that matters for a signal, given what earlier changes showed:
/// what passed, and what was stopped and called wrong by a person, is not worth a stop again.
pub(super) fn effect(own: f64, signal: &str, history: &[Past]) -> f64 {
    let of = || history.iter().filter(|past| past.signal == signal && past.effect.is_finite());
    let forgiven = of()
        .filter(|past| past.right == Some(false) && past.verdict >= Verdict::Stop)
        .map(|past| 1.1 * past.effect.abs())
        .fold(0.0, f64::max);
    let mut harmless: Vec<f64> = of()
        .filter(|past| past.verdict <= Verdict::Warn && past.right != Some(false))
        .map(|past| past.effect.abs())
        .collect();
    harmless.sort_unstable_by(f64::total_cmp);
    // The tenth that moved most may be chance.
    let usual = match harmless.len() {
        0..5 => 0.0,
        many => harmless[many * 9 / 10 - usize::from(many * 9 / 10 == many)],
    };
    own.max(usual.max(forgiven).min(3.0 * own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(effect: f64, verdict: Verdict, right: Option<bool>) -> Past {
        Past { signal: "latency".to_owned(), effect, verdict, right }
    }

    #[test]
    fn a_stop_that_was_wrong_is_forgiven_next_time() {
        let wrong = [past(0.2, Verdict::Stop, Some(false))];
        assert!((effect(0.1, "latency", &wrong) - 0.22).abs() < 1e-9);
        assert!((effect(0.1, "errors", &wrong) - 0.1).abs() < 1e-9);
        let right = [past(0.2, Verdict::Stop, Some(true))];
        assert!((effect(0.1, "latency", &right) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn patience_has_a_bound() {
        let wild = [past(9.0, Verdict::RollBack, Some(false))];
        assert!((effect(0.1, "latency", &wild) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn one_calm_change_teaches_nothing_and_many_do() {
        let calm: Vec<Past> = (0..10).map(|_| past(0.15, Verdict::Pass, None)).collect();
        assert!((effect(0.1, "latency", &calm[..3]) - 0.1).abs() < 1e-9);
        assert!((effect(0.1, "latency", &calm) - 0.15).abs() < 1e-9);
    }
}
