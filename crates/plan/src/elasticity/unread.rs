//! A load of which a part cannot be read looks like less, and is not.

use atoll_model::agent::METRICS_FAILED;
use atoll_model::{Instance, Reason, Snapshot};

/// Why nothing is taken away from a deployment: some of its instances' metrics cannot be read.
pub(super) fn reason(world: &Snapshot, deployment: &str) -> Option<Reason> {
    let there = world.derived::<Instance>(deployment).filter(|one| !one.meta.deleting());
    let (mut all, mut missing) = (0_usize, 0_usize);
    for instance in there {
        all += 1;
        let reasons = &instance.status.reasons;
        missing += usize::from(reasons.iter().any(|reason| reason.code == METRICS_FAILED));
    }
    let message = format!(
        "the metrics of {missing} of {} cannot be read: nothing is taken away",
        crate::instances(all)
    );
    let hint = "atoll get instances says why";
    (missing > 0).then(|| Reason::new("partly-measured", message).hint(hint))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::Any;

    use super::*;
    use crate::testing::{instance, world};

    #[test]
    fn what_cannot_be_read_of_one_instance_is_told() {
        let mut world = world([instance("web.prod.0", "h0"), instance("web.prod.1", "h0")]);
        assert_eq!(reason(&world, "web.prod"), None);
        let Any::Instance(mut failing) = instance("web.prod.1", "h0") else { unreachable!() };
        let status = &mut Arc::make_mut(&mut failing).status;
        status.reasons.push(Reason::new(METRICS_FAILED, "connection refused"));
        crate::follow::apply(&mut world, &atoll_model::Write::Put(Any::Instance(failing)));
        let told = reason(&world, "web.prod").unwrap();
        assert!(told.message.starts_with("the metrics of 1 of 2 instances"), "{told}");
        assert_eq!(reason(&world, "pay.prod"), None);
    }
}
