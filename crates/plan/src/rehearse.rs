//! What would follow a change: the planners' next round, on a copy of the world. Nothing is
//! written, and nothing further ahead is guessed.

use std::collections::BTreeSet;

use atoll_model::access::Actor;
use atoll_model::{Snapshot, Write};

use crate::decision::{Verdict, decide};
use crate::{CONTROLLERS, Context, Plan};

/// The writes that would follow a plan, each with the name of the controller that would make it.
/// None do, where the gate would not let the plan of this actor pass.
pub fn rehearse(cx: &Context, actor: &Actor, plan: &Plan) -> Vec<(&'static str, Write)> {
    if !matches!(decide(cx, actor, plan.clone()), Verdict::Commit(_)) {
        return Vec::new();
    }
    let mut world = cx.world.clone();
    let mut keys: BTreeSet<(usize, String)> = BTreeSet::new();
    for write in &plan.writes {
        let (old, new) = apply(&mut world, write);
        for (at, controller) in CONTROLLERS.iter().enumerate() {
            let touched = (controller.touched)(&world, old.as_ref(), new.as_ref());
            keys.extend(touched.into_iter().map(|name| (at, name)));
        }
    }
    let cx = Context { world: &world, ..*cx };
    let mut follow = Vec::new();
    for (at, name) in keys {
        let controller = &CONTROLLERS[at];
        let planned = (controller.plan)(&cx, &name);
        let writes = match decide(&cx, &Actor::controller(controller.name), planned) {
            Verdict::Commit(plan) | Verdict::Hold(plan, _) => plan.writes,
            Verdict::Deny(_) => Vec::new(),
        };
        follow.extend(writes.into_iter().map(|write| (controller.name, write)));
    }
    follow
}

/// Applies a write to a copy of the world as the next revision; returns what was and what is.
pub(crate) fn apply(
    world: &mut Snapshot,
    write: &Write,
) -> (Option<atoll_model::Any>, Option<atoll_model::Any>) {
    world.revision += 1;
    match write {
        Write::Put(any) => {
            let mut new = any.clone();
            new.meta_mut().revision = world.revision;
            (world.put(new.clone()), Some(new))
        }
        Write::Delete { kind, name, .. } => (world.remove(*kind, name), None),
    }
}
