//! What is remarked on a number of instances that is set by hand: that all of it stops, and that it
//! is outside of what its application says it scales to. Nothing is refused here.

use atoll_model::elasticity::ScalingMode;
use atoll_model::{Any, Application, Autoscaler, Deployment, Object, Reason, Snapshot};

use crate::{Context, budget};

/// The remarks on a change of the number of a deployment.
pub(super) fn remarks(world: &Snapshot, stored: Option<&Any>, any: &Any) -> Vec<Reason> {
    let (Some(Any::Deployment(old)), Any::Deployment(new)) = (stored, any) else {
        return Vec::new();
    };
    if old.spec.instances == new.spec.instances {
        return Vec::new();
    }
    all_stops(old, new).into_iter().chain(outside(world, new)).collect()
}

/// That budgets leave an autoscaler less than it is now let have.
pub(super) fn budgeted(cx: &Context, stored: Option<&Any>, any: &Any) -> Option<Reason> {
    let Any::Autoscaler(new) = any else { return None };
    let before = stored.and_then(|stored| stored.of::<Autoscaler>());
    let was = before.and_then(|before| before.spec.max);
    let deployment = cx.world.get::<Deployment>(&new.spec.deployment)?;
    // Without one of its own it may have what its application declares.
    let declared = || {
        let application = cx.world.get::<Application>(&deployment.spec.application)?;
        Some(application.spec.scaling.as_ref()?.max)
    };
    let most = new.spec.max.or_else(declared)?;
    if was == new.spec.max || was.is_some_and(|was| was >= most) {
        return None;
    }
    Some(budget::bound::bound(cx, deployment, most)?.reason)
}

fn all_stops(old: &Object<Deployment>, new: &Object<Deployment>) -> Option<Reason> {
    let was = old.wanted();
    if new.spec.instances > 0 || was == 0 {
        return None;
    }
    let (name, all) = (new.name(), crate::instances(was as usize));
    let message = format!("all of deployment/{name} stops: its {all}, and nothing serves then");
    let hint = format!("to have as many again: atoll scale deployment/{name} {was}");
    Some(Reason::new("all-stops", message).hint(hint))
}

fn outside(world: &Snapshot, new: &Object<Deployment>) -> Option<Reason> {
    let (name, count) = (new.name(), new.spec.instances);
    let application = world.get::<Application>(&new.spec.application)?;
    let scaling = application.spec.scaling.as_ref()?;
    let autoscaler = world.get::<Autoscaler>(name);
    let own = autoscaler.map(|autoscaler| &autoscaler.spec);
    let most = own.and_then(|own| own.max).unwrap_or(scaling.max);
    let least = own.and_then(|own| own.min).unwrap_or(scaling.min).min(most);
    let (bound, word, bounds) = match count {
        _ if count > most => ("max", "beyond-max", format!("{most} at most")),
        // Without one the least is only what it began with.
        1.. if count < least && own.is_some() => ("min", "below-min", format!("{least} at least")),
        _ => return None,
    };
    let (then, hint) = match own.map(|own| own.mode.unwrap_or(scaling.mode)) {
        Some(ScalingMode::Act) => (
            format!("autoscaler/{name} brings it back to that once it acts"),
            format!("to let it have so many: atoll autoscale deployment/{name} --{bound} {count}"),
        ),
        Some(ScalingMode::Observe) => (
            format!("it stays so, as autoscaler/{name} only observes"),
            format!("should it act later, that holds: atoll why autoscaler/{name}"),
        ),
        None => (
            "it stays so, as nothing scales it by itself".to_owned(),
            format!("to have it declared: scaling.{bound} of application/{}", application.name()),
        ),
    };
    let message = format!("deployment/{name} is to have {count}, and scales to {bounds}: {then}");
    Some(Reason::new(word, message).hint(hint))
}
