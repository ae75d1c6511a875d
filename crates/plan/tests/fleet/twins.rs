//! The twin of a fleet at rest: with no load and no faults supposed it stays at rest, and the
//! fleet itself is not touched.

use std::sync::Arc;

use atoll_model::deployment::Uneven;
use atoll_model::rehearsal::{Rehearsal, Scenario};
use atoll_model::{Deployment, Object, Span};
use atoll_plan::rehearsal::{Stop, Today, run};

use super::Trial;

/// Rehearses some hours of a fleet that has come to rest after a schedule of edits and faults.
pub fn stays_at_rest(seed: u64) {
    let mut trial = Trial::new(seed);
    trial.advance(Span::seconds(20));
    for _ in 0..15 {
        trial.act();
        let span = trial.random.span(Span(0), Span::seconds(25));
        trial.advance(span);
    }
    trial.make_peace();
    trial.settle();
    // What lies unevenly over zones is evened out once that has lasted.
    trial.advance(Span::seconds(2 * 3_600));
    let waits = |deployment: &Arc<Object<Deployment>>| {
        let status = &deployment.status;
        let tried = |uneven: &Uneven| uneven.moving.is_some() || uneven.failed > 0;
        status.rollout.is_some() || status.uneven.as_ref().is_some_and(tried)
    };
    if trial.sim.world.all::<Deployment>().any(waits) {
        // A rollout that waits for a person is watched for ever, which is no rest; nor is what is
        // tried again and does not get ready.
        return;
    }
    let cx = trial.sim.context();
    let today = Today {
        world: cx.world.clone(),
        measured: cx.measured.clone(),
        now: cx.now,
        ..Today::default()
    };
    let spec = Rehearsal { lasts: Span::seconds(3 * 3_600), ..Rehearsal::default() };
    let never: Stop = Arc::new(|| false);
    let report = run(&Scenario::new("rest", spec), &today, &never).expect("nothing is missing");
    assert_eq!(report.decisions, [], "{report}");
    assert_eq!(report.writes, 0, "seed {seed}:\n{report}");
    assert!(report.held && report.plans > 0);
    assert_eq!(today.world.revision, trial.sim.world.revision);
}
