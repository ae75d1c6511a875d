//! What would follow a change: the planners' next round, on a copy of the world. Nothing is
//! written, and nothing further ahead is guessed.

use std::collections::BTreeSet;

use atoll_model::access::Actor;
use atoll_model::{Any, Snapshot, Write};

use crate::decision::{Verdict, decide};
use crate::{CONTROLLERS, Context, Plan};

/// The writes that would follow a plan, each with the name of the controller that would make it.
/// None do, where the gate would not let the plan of this actor pass.
pub fn follow(cx: &Context, actor: &Actor, plan: &Plan) -> Vec<(&'static str, Write)> {
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
pub(crate) fn apply(world: &mut Snapshot, write: &Write) -> (Option<Any>, Option<Any>) {
    put(world, write.clone())
}

/// The same with a write nobody needs any more: what it puts is not copied.
pub(crate) fn put(world: &mut Snapshot, write: Write) -> (Option<Any>, Option<Any>) {
    world.revision += 1;
    match write {
        Write::Put(mut new) => {
            new.meta_mut().revision = world.revision;
            (world.put(new.clone()), Some(new))
        }
        Write::Delete { kind, name, .. } => (world.remove(kind, &name), None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::cmdb::Amount;
    use atoll_model::{
        Cpu, Deployment, Environment, Freeze, Memory, Object, Release, Selector, Span,
    };

    use super::*;
    use crate::explain::in_words;
    use crate::sim::Sim;

    fn fleet() -> Sim {
        let mut sim = Sim::new(3);
        let capacity = Amount { cpu: Cpu(4000), memory: Memory(4 << 30), instances: 0 };
        sim.join("h0", &[], capacity);
        let application = serde_json::json!({
            "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": "web" },
            "spec": { "run": { "command": ["x"] } },
        });
        let environment = Any::Environment(Arc::new(Object::new("prod", Environment::default())));
        sim.apply(vec![environment, Any::from_value(application).unwrap()]).unwrap();
        assert!(sim.settle(Span::seconds(600)));
        sim
    }

    fn scaled(sim: &Sim, instances: u32) -> Plan {
        let mut new = Object::clone(sim.world.get::<Deployment>("web.prod").unwrap());
        new.spec.instances = instances;
        let any = Any::Deployment(Arc::new(new));
        crate::edit::apply(&sim.context(), vec![any]).unwrap()
    }

    #[test]
    fn what_would_follow_is_told_and_nothing_is_done() {
        let mut sim = fleet();
        let plan = scaled(&sim, 3);
        let then = follow(&sim.context(), &Sim::person(), &plan);
        let said: Vec<_> = then.iter().filter_map(|(_, w)| in_words(&sim.world, w)).collect();
        let expected = [
            "create instance/web.prod.1 of web-1 on h0",
            "create instance/web.prod.2 of web-1 on h0",
        ];
        assert_eq!(said[..2], expected);
        assert!(then.iter().all(|(by, _)| *by == "deployment"));
        assert_eq!(sim.world.count(atoll_model::Kind::Instance), 1);
        // What is refused has no consequences.
        let freeze = Freeze {
            from: None,
            until: None,
            environments: Vec::new(),
            applications: Selector::default(),
            named: Vec::new(),
            holds: Default::default(),
            reason: "so".to_owned(),
        };
        sim.apply(vec![Any::Freeze(Arc::new(Object::new("f", freeze)))]).unwrap();
        assert_eq!(follow(&sim.context(), &Sim::person(), &scaled(&sim, 3)), []);
        assert!(sim.world.get::<Release>("web-1").is_some());
    }
}
