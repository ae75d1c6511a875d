//! To which of its earlier forms an object is taken back where nobody says to which revision: the
//! newest that was reached and was meant to be something else. Not how it is taken back.

use std::sync::Arc;

use atoll_model::config::Content;
use atoll_model::deployment::Phase;
use atoll_model::{Any, Config, Deployment, Object, Snapshot};

/// An earlier form of an object as it is gone back to; none where it was not reached, or was meant
/// to be what the present one is. `present` is none where the object is gone.
pub fn earlier(world: &Snapshot, present: Option<&Any>, past: &Any) -> Option<Any> {
    let Some(present) = present else { return reached(past) };
    let now = meant(present);
    let reached = reached(past).or_else(|| on_the_way(past, &now))?;
    let same_labels = now.meta().labels == reached.meta().labels;
    if now.same_spec(&reached) && same_labels {
        return None;
    }
    Some(match (present, &now, past, reached) {
        // It runs that release already: what holds for releases stays as it is.
        (Any::Deployment(is), Any::Deployment(now), _, Any::Deployment(reached))
            if now.spec.release == reached.spec.release =>
        {
            Any::Deployment(Arc::new(with_release_of(&reached, is)))
        }
        (_, _, Any::Deployment(then), Any::Deployment(reached)) => {
            Any::Deployment(Arc::new(led(world, then, Object::clone(&reached))))
        }
        (_, _, _, reached) => reached,
    })
}

/// An earlier form of an object that is asked for by its revision: as it is stored, but for a
/// deployment, which goes to the release it was at then. It follows releases, where it did then,
/// only if that leads there; else it is held at that release.
pub fn at_revision(world: &Snapshot, past: Any) -> Any {
    let Any::Deployment(then) = &past else { return past };
    let meant = then.with_target(then.heading_for());
    let Some(was) = &meant.spec.release else { return past };
    let present = world.get::<Deployment>(then.name());
    let same = present.filter(|present| {
        present.with_target(present.heading_for()).spec.release == meant.spec.release
    });
    let as_stored = same.is_some_and(|present| match &then.spec.release {
        Some(named) => named == was,
        // What follows releases by now is where it was led.
        None => present.spec.release.is_none() || leads(world, then, was),
    });
    if as_stored { past } else { Any::Deployment(Arc::new(led(world, then, meant))) }
}

/// Whether a deployment followed releases, and is led to this one where it does again.
fn leads(world: &Snapshot, then: &Object<Deployment>, release: &str) -> bool {
    let newest = world.newest_release(&then.spec.application);
    then.spec.release.is_none() && newest.is_some_and(|newest| newest.name() == release)
}

/// What names a release as it was then: it follows releases again, where that leads to the same.
fn led(
    world: &Snapshot,
    then: &Object<Deployment>,
    mut to: Object<Deployment>,
) -> Object<Deployment> {
    to.spec.release = to.spec.release.filter(|release| !leads(world, then, release));
    to
}

/// The target as it is meant now: a deployment that follows releases means the one it is at.
fn meant(any: &Any) -> Any {
    match any {
        Any::Deployment(d) => Any::Deployment(Arc::new(d.with_target(d.heading_for()))),
        Any::Config(c) => saying(c, &c.spec.content()),
        other => other.clone(),
    }
}

/// The target as it was once reached; none, where it was not.
fn reached(any: &Any) -> Option<Any> {
    match any {
        Any::Deployment(d) => {
            let reached = d.status.phase == Phase::Settled && d.status.last_good.is_some();
            let target = reached.then(|| d.with_target(d.status.release.clone()))?;
            Some(Any::Deployment(Arc::new(target)))
        }
        Any::Config(c) => (c.status.version > 0).then(|| saying(c, &c.status.live)),
        other => Some(other.clone()),
    }
}

/// The target as it was while a deployment was on its way to the release that is meant now: what
/// was edited then is taken back, and not that release.
fn on_the_way(past: &Any, now: &Any) -> Option<Any> {
    let (Any::Deployment(past), Any::Deployment(now)) = (past, now) else { return None };
    let to = past.heading_for();
    let same = past.status.rollout.is_some() && to == now.spec.release;
    same.then(|| Any::Deployment(Arc::new(past.with_target(to))))
}

/// A configuration with another content, and nothing under way.
fn saying(config: &Object<Config>, content: &Content) -> Any {
    let mut changed = config.clone();
    changed.spec = config.spec.with_content(content);
    Any::Config(Arc::new(changed))
}

/// A deployment that is told of releases what another form of it is.
fn with_release_of(past: &Object<Deployment>, is: &Object<Deployment>) -> Object<Deployment> {
    let (mut changed, is) = (past.clone(), is.spec.clone());
    changed.spec.release = is.release;
    changed.spec.pin = is.pin;
    changed.spec.paused = is.paused;
    changed.spec.promoted = is.promoted;
    changed.spec.aborted = is.aborted;
    changed
}

#[cfg(test)]
mod tests {
    use atoll_model::Write;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::world;

    fn object(kind: &str, labels: Value, spec: Value, status: Value) -> Any {
        let head = json!({
            "apiVersion": "atoll/v1", "kind": kind,
            "metadata": { "name": "web.lab", "labels": labels },
            "spec": spec, "status": status,
        });
        Any::from_json(&head.to_string()).unwrap()
    }

    /// A deployment that is settled, with this many instances of a release.
    fn settled(instances: u32, asked: Option<&str>, release: &str) -> Any {
        let mut spec =
            json!({ "application": "web", "environment": "lab", "instances": instances });
        if let Some(asked) = asked {
            spec["release"] = json!(asked);
        }
        let status = json!({ "phase": "settled", "release": release, "lastGood": release });
        object("Deployment", json!({}), spec, status)
    }

    /// Of an application with two releases, of which `web-2` is the newest.
    fn two_releases() -> Snapshot {
        let release = |number: u64| {
            let spec = json!({ "application": "web", "number": number, "image": "web", "run": {} });
            let mut any = object("Release", json!({}), spec, json!({}));
            any.meta_mut().name = format!("web-{number}");
            any
        };
        world([release(1), release(2)])
    }

    /// How many instances of which release are gone back to.
    fn target(any: Option<Any>) -> Option<(u32, Option<String>)> {
        match any? {
            Any::Deployment(d) => Some((d.spec.instances, d.spec.release.clone())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_where_the_release_goes_back_is_it_held_there() {
        let world = two_releases();
        let back = |present: &Any, past: &Any| target(earlier(&world, Some(present), past));
        let (two, four) = (settled(2, None, "web-1"), settled(4, None, "web-1"));
        assert_eq!(back(&four, &two), Some((2, None)), "it follows releases as before");
        assert_eq!(back(&four, &settled(4, Some("web-1"), "web-1")), None);
        let pinned = settled(4, Some("web-1"), "web-1");
        assert_eq!(back(&pinned, &two), Some((2, Some("web-1".to_owned()))));
        let newer = settled(4, None, "web-2");
        assert_eq!(back(&newer, &four), Some((4, Some("web-1".to_owned()))));
        assert_eq!(
            back(&pinned, &newer),
            Some((4, None)),
            "it was led to the newest, and is again"
        );
        assert_eq!(target(earlier(&world, None, &two)), Some((2, Some("web-1".to_owned()))));
    }

    #[test]
    fn a_revision_of_what_followed_releases_is_the_release_it_was_at() {
        let back = |present: Option<&Any>, past: &Any| {
            let mut world = two_releases();
            if let Some(present) = present {
                crate::follow::apply(&mut world, &Write::Put(present.clone()));
            }
            target(Some(at_revision(&world, past.clone())))
        };
        let held = |instances| Some((instances, Some("web-1".to_owned())));
        let (two, newer) = (settled(2, None, "web-1"), settled(4, None, "web-2"));
        assert_eq!(back(Some(&newer), &two), held(2));
        let four = settled(4, None, "web-1");
        assert_eq!(back(Some(&four), &two), Some((2, None)), "it follows as before");
        let pinned = settled(4, Some("web-1"), "web-1");
        assert_eq!(back(Some(&pinned), &two), held(2), "it would be led to another one");
        assert_eq!(back(Some(&pinned), &newer), Some((4, None)), "that is the newest");
        assert_eq!(back(Some(&newer), &pinned), held(4));
        assert_eq!(back(Some(&two), &pinned), held(4));
        assert_eq!(back(None, &two), held(2));
        let fresh = json!({ "application": "web", "environment": "lab", "instances": 1 });
        let fresh = object("Deployment", json!({}), fresh, json!({}));
        assert_eq!(back(Some(&pinned), &fresh), Some((1, None)), "there was no release then");
    }

    #[test]
    fn a_number_that_was_changed_in_a_rollout_goes_back_without_it() {
        let rolling = json!({
            "phase": "rolling", "release": "web-1", "lastGood": "web-1",
            "rollout": {
                "to": "web-2", "since": "1970-01-01T00:00:00Z",
                "progressAt": "1970-01-01T00:00:00Z",
            },
        });
        let spec = json!({ "application": "web", "environment": "lab", "instances": 5 });
        let rolling = object("Deployment", json!({}), spec, rolling);
        let back = |present: &Any| target(earlier(&two_releases(), Some(present), &rolling));
        assert_eq!(back(&settled(6, None, "web-2")), Some((5, None)));
        assert_eq!(back(&settled(5, None, "web-2")), None, "the rollout itself goes back further");
        assert_eq!(back(&settled(6, None, "web-3")), None);
    }

    #[test]
    fn why_a_release_stays_and_that_it_is_paused_are_kept_with_it() {
        let mut four = settled(4, Some("web-1"), "web-1");
        if let Any::Deployment(four) = &mut four {
            let spec = &mut Arc::make_mut(four).spec;
            (spec.pin, spec.paused) = (Some("the audit".to_owned()), true);
        }
        match earlier(&two_releases(), Some(&four), &settled(2, None, "web-1")) {
            Some(Any::Deployment(d)) => {
                assert_eq!((d.spec.instances, d.spec.paused), (2, true));
                assert_eq!(d.spec.pin.as_deref(), Some("the audit"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn other_labels_are_something_to_go_back_from() {
        let zone = |labels: Value| object("Zone", labels, json!({}), json!({}));
        let (plain, marked) = (zone(json!({})), zone(json!({ "tier": "core" })));
        let world = world([]);
        assert_eq!(earlier(&world, Some(&marked), &plain), Some(plain.clone()));
        assert_eq!(earlier(&world, Some(&marked), &marked), None);
    }
}
