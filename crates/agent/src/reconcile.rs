//! What is to be done, by comparing what should be here with what is. Pure: it does none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::agent::{AssignedInstance, AssignedRelease, Assignment};
use atoll_model::delivery::{PackageRef, Runtime};
use serde::{Deserialize, Serialize};

/// One instance with all that is needed to run it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The instance.
    pub instance: AssignedInstance,
    /// The release it names.
    pub release: AssignedRelease,
    /// The package of the release it names for prefetching, if that has one.
    #[serde(default)]
    pub prefetch: Option<PackageRef>,
    /// The image of that release, by its content.
    #[serde(default)]
    pub prefetch_image: Option<String>,
}

/// What an assignment means for the instances here.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// One not known so far.
    Start(Arc<Order>),
    /// One whose order is another than before; what that takes, [`next_step`] says.
    Change(Arc<Order>),
    /// One that is no longer wanted here: stopped and cleared away.
    Forget(String),
    /// One to be stopped that is not here anyway.
    Absent(Box<AssignedInstance>),
    /// One whose release was not sent along: left as it is.
    Lacking(String),
}

/// What one instance needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing but to be watched.
    Supervise,
    /// Its package, while whatever runs goes on running.
    Fetch,
    /// What runs to be stopped.
    Stop,
    /// To be started.
    Start,
    /// Its directory to be removed.
    Clear,
    /// Nothing: it is stopped and is to be.
    Rest,
}

/// How one instance is here.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// What was last started here.
    pub record: Option<&'a Order>,
    /// Whether it, or what supervises it, still runs.
    pub alive: bool,
    /// Whether the files of what is wanted are on this host.
    pub fetched: bool,
}

/// Whether an assignment may be acted on.
///
/// **Invariant:** a host is never moved back to a revision before one it has acted on.
pub fn admits(highest: u64, assignment: &Assignment) -> bool {
    assignment.revision >= highest
}

/// What an assignment changes, given the orders in force.
pub fn reconcile(assignment: &Assignment, known: &BTreeMap<String, Arc<Order>>) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut listed = BTreeSet::new();
    for instance in &assignment.instances {
        listed.insert(instance.name.as_str());
        let before = known.get(&instance.name);
        let release = assignment.releases.get(&instance.release).or_else(|| {
            // To stop what runs, what it runs is known well enough.
            let same = |o: &&Arc<Order>| instance.stop || o.instance.release == instance.release;
            before.filter(same).map(|o| &o.release)
        });
        let Some(release) = release else {
            actions.push(if instance.stop {
                Action::Absent(Box::new(instance.clone()))
            } else {
                Action::Lacking(instance.name.clone())
            });
            continue;
        };
        if instance.stop && before.is_none() {
            actions.push(Action::Absent(Box::new(instance.clone())));
            continue;
        }
        let prefetch = instance.prefetch.as_ref().and_then(|r| assignment.releases.get(r));
        let image = prefetch.filter(|_| instance.runtime == Runtime::Docker);
        let order = Order {
            instance: instance.clone(),
            release: release.clone(),
            prefetch: prefetch.and_then(|r| r.package.clone()),
            prefetch_image: image.and_then(|r| r.pinned.clone()),
        };
        match before {
            None => actions.push(Action::Start(Arc::new(order))),
            Some(before) if **before != order => actions.push(Action::Change(Arc::new(order))),
            Some(_) => {}
        }
    }
    let gone = known.keys().filter(|name| !listed.contains(name.as_str()));
    actions.extend(gone.cloned().map(Action::Forget));
    actions
}

/// What an instance needs next on its way from what is here to what is wanted; nothing wanted
/// means that it is to be forgotten.
pub fn next_step(here: Here, wanted: Option<&Order>) -> Step {
    let stop_or = |otherwise| if here.alive { Step::Stop } else { otherwise };
    let Some(wanted) = wanted else {
        return stop_or(Step::Clear);
    };
    if here.record.is_some_and(|r| r.instance.created_at != wanted.instance.created_at) {
        // Another instance that has the name of one before; nothing of that may be left.
        return stop_or(Step::Clear);
    }
    if wanted.instance.stop {
        return stop_or(Step::Rest);
    }
    if here.alive && here.record.is_some_and(|r| r.runs_as(wanted)) {
        return Step::Supervise;
    }
    if !here.fetched {
        return Step::Fetch;
    }
    stop_or(Step::Start)
}

impl Order {
    /// Whether both run the same way, so that a process of one can stand for the other.
    pub fn runs_as(&self, other: &Order) -> bool {
        let (a, b) = (&self.instance, &other.instance);
        a.release == b.release
            && a.runtime == b.runtime
            && a.ports == b.ports
            && a.resources == b.resources
            && self.release == other.release
    }

    /// The digest of its package, if it has one.
    pub fn digest(&self) -> Option<&str> {
        self.release.package.as_ref().map(|p| p.digest.as_str())
    }
}

#[cfg(test)]
mod tests;
