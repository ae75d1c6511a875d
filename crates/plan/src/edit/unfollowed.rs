//! Deployments that were told which release to run, and take no newer one by themselves: who goes
//! back to an earlier release or makes a new one is told.

use atoll_model::{Any, Application, Deployment, Reason, Release, Snapshot, Write};

/// So many are named; the rest is counted.
const NAMED: usize = 3;

/// That a deployment takes no newer release by itself.
pub(crate) fn release_named(deployment: &str, release: &str) -> Reason {
    let message =
        format!("{deployment} was told to run {release}, and takes no newer one by itself");
    Reason::new("release-named", message).hint(follow(deployment))
}

fn follow(deployment: &str) -> String {
    format!("let it follow again: atoll unpin deployment/{deployment}")
}

/// That a deployment stays at the release it is taken back to.
pub(super) fn held(present: Option<&Any>, writes: &[Write]) -> Option<Reason> {
    let told = |any: &Any| any.of::<Deployment>().and_then(|d| d.spec.release.clone());
    let before = present.and_then(told);
    writes.iter().find_map(|write| {
        let Write::Put(new) = write else { return None };
        let release = told(new).filter(|release| before.as_ref() != Some(release))?;
        Some(release_named(new.name(), &release))
    })
}

/// That a deployment that was held at a release is taken back to where it followed them.
pub(super) fn freed(world: &Snapshot, present: Option<&Any>, writes: &[Write]) -> Option<Reason> {
    present?.of::<Deployment>()?.spec.release.as_ref()?;
    let mut all = writes.iter().filter_map(|write| match write {
        Write::Put(new) => new.of::<Deployment>(),
        Write::Delete { .. } => None,
    });
    let new = all.find(|new| new.spec.release.is_none())?;
    let newest = world.newest_release(&new.spec.application)?;
    let message = format!("{} follows releases: {} is the newest", new.name(), newest.name());
    Some(Reason::new("follows", message))
}

/// Which deployments do not take a release that is written, or comes of an application that is.
pub(super) fn unfollowed(world: &Snapshot, writes: &[Write]) -> Vec<Reason> {
    writes.iter().filter_map(|write| of(world, released(world, write)?)).collect()
}

/// The application of which there will be a new release.
fn released<'a>(world: &Snapshot, write: &'a Write) -> Option<&'a str> {
    match write {
        Write::Put(Any::Release(new)) if world.get::<Release>(new.name()).is_none() => {
            Some(&new.spec.application)
        }
        Write::Put(Any::Application(new)) => {
            let old = &world.get::<Application>(new.name())?.spec;
            let of = |spec: &Application| {
                (spec.package.clone(), spec.image.clone(), spec.run.clone(), spec.config.clone())
            };
            (of(old) != of(&new.spec)).then(|| new.name())
        }
        _ => None,
    }
}

/// Which deployments of an application take no newer release.
fn of(world: &Snapshot, application: &str) -> Option<Reason> {
    let all = world.derived::<Deployment>(application);
    let stay = all.filter_map(|d| Some((d.name(), d.spec.release.as_deref()?)));
    let stay: Vec<(&str, &str)> = stay.collect();
    match stay[..] {
        [] => None,
        [(deployment, release)] => Some(release_named(deployment, release)),
        [(first, _), ..] => {
            let named = stay.iter().take(NAMED).map(|(name, at)| format!("{name} ({at})"));
            let more = match stay.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!(
                "{}{more} were told which release to run, and take no newer one by themselves",
                named.collect::<Vec<_>>().join(", ")
            );
            Some(Reason::new("release-named", message).hint(follow(first)))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::world;
    use crate::{Context, Measurements, edit};

    fn read(kind: &str, name: &str, spec: Value) -> Any {
        let head = json!({
            "apiVersion": "atoll/v1", "kind": kind, "metadata": { "name": name }, "spec": spec,
        });
        Any::from_json(&head.to_string()).unwrap()
    }

    fn application(image: &str, owner: &str) -> Any {
        read("Application", "web", json!({ "image": image, "run": {}, "owner": owner }))
    }

    fn deployment(environment: &str, release: Option<&str>) -> Any {
        let spec = json!({ "application": "web", "environment": environment, "release": release });
        read("Deployment", &format!("web.{environment}"), spec)
    }

    /// What is told where this is applied.
    fn told(pinned: &[&str], applied: Any) -> Vec<String> {
        let mut world = world([application("web:1", "team/a"), deployment("free", None)]);
        for place in pinned {
            let write = Write::Put(deployment(place, Some("web-1")));
            crate::follow::apply(&mut world, &write);
        }
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: atoll_model::Timestamp(1) };
        let plan = edit::apply(&cx, vec![applied]).unwrap();
        plan.reasons.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_makes_a_new_release_is_told_which_deployments_do_not_take_it() {
        let next = || application("web:2", "team/a");
        assert_eq!(told(&[], next()), [""; 0]);
        let one = told(&["prod"], next()).concat();
        assert!(one.contains("web.prod was told to run web-1"), "{one}");
        assert!(one.contains("atoll unpin deployment/web.prod"), "{one}");
        let many = told(&["a", "b", "c", "d"], next()).concat();
        assert!(many.contains("web.a (web-1), web.b (web-1), web.c (web-1) and 1 more"), "{many}");
        let release = json!({ "application": "web", "image": "web:2", "run": {} });
        assert_eq!(told(&["prod"], read("Release", "web-2", release)), [one]);
        // Of what changes nothing that runs there is no release.
        assert_eq!(told(&["prod"], application("web:1", "team/b")), [""; 0]);
    }
}
