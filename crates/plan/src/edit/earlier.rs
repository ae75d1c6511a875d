//! To which of its earlier forms an object is taken back where nobody says to which revision: the
//! newest that was reached and was meant to be something else. Not how it is taken back.

use std::sync::Arc;

use atoll_model::config::Content;
use atoll_model::deployment::Phase;
use atoll_model::{Any, Config, Deployment, Object};

/// An earlier form of an object as it is gone back to; none where it was not reached, or was meant
/// to be what the present one is. `present` is none where the object is gone.
pub fn earlier(present: Option<&Any>, past: &Any) -> Option<Any> {
    let Some(present) = present else { return reached(past) };
    let now = meant(present);
    let reached = reached(past).or_else(|| on_the_way(past, &now))?;
    let same_labels = now.meta().labels == reached.meta().labels;
    if now.same_spec(&reached) && same_labels {
        return None;
    }
    Some(match (present, &now, reached) {
        // It runs that release already: what holds for releases stays as it is.
        (Any::Deployment(is), Any::Deployment(now), Any::Deployment(past))
            if now.spec.release == past.spec.release =>
        {
            Any::Deployment(Arc::new(with_release_of(&past, is)))
        }
        (_, _, reached) => reached,
    })
}

/// An earlier form of an object that is asked for by its revision: as it is stored, but for a
/// deployment that followed releases and was at another one than is meant now. That it goes to.
pub fn at_revision(present: Option<&Any>, past: Any) -> Any {
    let release = |any: &Any| match meant(any) {
        Any::Deployment(deployment) => deployment.spec.release.clone(),
        _ => None,
    };
    let was = release(&past);
    let same = present.is_some_and(|present| release(present) == was);
    if was.is_none() || same { past } else { meant(&past) }
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
    use serde_json::{Value, json};

    use super::*;

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

    /// How many instances of which release are gone back to.
    fn target(any: Option<Any>) -> Option<(u32, Option<String>)> {
        match any? {
            Any::Deployment(d) => Some((d.spec.instances, d.spec.release.clone())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_where_the_release_goes_back_is_it_held_there() {
        let back = |present: &Any, past: &Any| target(earlier(Some(present), past));
        let (two, four) = (settled(2, None, "web-1"), settled(4, None, "web-1"));
        assert_eq!(back(&four, &two), Some((2, None)), "it follows releases as before");
        assert_eq!(back(&four, &settled(4, Some("web-1"), "web-1")), None);
        let pinned = settled(4, Some("web-1"), "web-1");
        assert_eq!(back(&pinned, &two), Some((2, Some("web-1".to_owned()))));
        let newer = settled(4, None, "web-2");
        assert_eq!(back(&newer, &four), Some((4, Some("web-1".to_owned()))));
        assert_eq!(target(earlier(None, &two)), Some((2, Some("web-1".to_owned()))));
    }

    #[test]
    fn a_revision_of_what_followed_releases_is_the_release_it_was_at() {
        let back =
            |present: &Any, past: &Any| target(Some(at_revision(Some(present), past.clone())));
        let (two, newer) = (settled(2, None, "web-1"), settled(4, None, "web-2"));
        assert_eq!(back(&newer, &two), Some((2, Some("web-1".to_owned()))));
        assert_eq!(back(&settled(4, None, "web-1"), &two), Some((2, None)), "it follows as before");
        let pinned = settled(4, Some("web-1"), "web-1");
        assert_eq!(back(&pinned, &two), Some((2, None)), "it followed then");
        assert_eq!(back(&newer, &pinned), Some((4, Some("web-1".to_owned()))));
        assert_eq!(target(Some(at_revision(None, two))), Some((2, Some("web-1".to_owned()))));
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
        let back = |present: &Any| target(earlier(Some(present), &rolling));
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
        match earlier(Some(&four), &settled(2, None, "web-1")) {
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
        assert_eq!(earlier(Some(&marked), &plain), Some(plain.clone()));
        assert_eq!(earlier(Some(&marked), &marked), None);
    }
}
