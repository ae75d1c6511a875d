//! A load of which a part cannot be read looks like less, and is not.

use std::borrow::Cow;
use std::sync::Arc;

use atoll_model::agent::METRICS_FAILED;
use atoll_model::{Instance, Object, Reason, Snapshot, Timestamp};

use crate::cmdb::clock;

/// The instances of a deployment.
fn there<'a>(
    world: &'a Snapshot,
    deployment: &str,
) -> impl Iterator<Item = &'a Arc<Object<Instance>>> {
    world.derived::<Instance>(deployment).filter(|one| !one.meta.deleting())
}

/// The instances whose metrics cannot be read, or not before their time is over, and what is said
/// of it.
pub(crate) fn unread<'a>(
    world: &'a Snapshot,
    deployment: &str,
) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
    there(world, deployment).filter_map(|one| {
        let failed = one.status.reasons.iter().find(|reason| reason.code == METRICS_FAILED);
        let failed = failed.map(|reason| Cow::Borrowed(reason.message.as_str()));
        Some((one.name(), failed.or_else(|| behind(world, one).map(Cow::Owned))?))
    })
}

/// That the clock of its host is behind: what is measured there is of an earlier time, and of none
/// that counts where that is long ago.
fn behind(world: &Snapshot, one: &Object<Instance>) -> Option<String> {
    let host = world.host(&one.spec.host)?;
    let reason =
        clock::reason(host).filter(|_| host.status.clock_ahead.is_some_and(|by| by < 0))?;
    Some(format!("host/{}: {}", host.name(), reason.message))
}

/// Why nothing is taken away from a deployment: metrics of its instances cannot be read. What is
/// said of one of them is told along: mostly it is so of all.
pub(super) fn reason(world: &Snapshot, deployment: &str) -> Option<Reason> {
    let (first, why) = unread(world, deployment).next()?;
    let (missing, all) = (unread(world, deployment).count(), there(world, deployment).count());
    let message = format!(
        "the metrics of {missing} of {} cannot be read: nothing is taken away; {first} says: {why}",
        crate::instances(all),
    );
    let code = if missing < all { "partly-measured" } else { METRICS_FAILED };
    Some(Reason::new(code, message).hint(format!("see: atoll why instance/{first}")))
}

/// Why nothing is taken away until then, though all are read again.
pub(super) fn until(at: Timestamp) -> Reason {
    let message = format!(
        "the metrics of some of its instances could not be read: what was seen then was not all, \
         and nothing is taken away before {at}"
    );
    Reason::new("partly-measured", message)
}

#[cfg(test)]
mod tests {
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
        assert!(told.message.ends_with("web.prod.1 says: connection refused"), "{told}");
        assert_eq!(told.hint.as_deref(), Some("see: atoll why instance/web.prod.1"));
        assert_eq!(reason(&world, "pay.prod"), None);
    }
}
