//! Which receiver is told of an alert, by which of its routes. Not when.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::notification::AlertRoute;
use atoll_model::{Alert, Object, Receiver, Snapshot};

use super::quiet::Matchers;

/// The routes of one receiver, read.
pub(super) struct Routes<'a> {
    routes: Vec<(&'a AlertRoute, Matchers)>,
    /// The plain routes of all others, where one of ours takes what they leave.
    others: Vec<Matchers>,
}

impl<'a> Routes<'a> {
    pub fn of(world: &'a Snapshot, receiver: &'a Arc<Object<Receiver>>) -> Routes<'a> {
        let read = |route: &'a AlertRoute| (route, Matchers::read(&route.matchers));
        let routes: Vec<_> = receiver.spec.routes.iter().map(read).collect();
        let mut others = Vec::new();
        if routes.iter().any(|(route, _)| route.otherwise) {
            let all = world.all::<Receiver>().filter(|r| r.name() != receiver.name());
            let plain = all.filter(|r| !r.meta.deleting()).flat_map(|r| &r.spec.routes);
            let plain = plain.filter(|route| !route.otherwise);
            others.extend(plain.map(|route| Matchers::read(&route.matchers)));
        }
        Routes { routes, others }
    }

    /// The first route that takes the alert.
    pub fn take(&self, alert: &Alert) -> Option<&'a AlertRoute> {
        let (route, _) = self.routes.iter().find(|(route, matchers)| {
            matchers.match_all(alert)
                && !(route.otherwise && self.others.iter().any(|other| other.match_all(alert)))
        })?;
        Some(route)
    }
}

/// The labels by which an alert is put into a group of a route, and the group's key.
pub(super) fn group(route: &AlertRoute, alert: &Alert) -> (String, BTreeMap<String, String>) {
    let value = |label: &String| Some((label.clone(), alert.labels.get(label)?.clone()));
    let group: BTreeMap<String, String> = route.group_by.iter().filter_map(value).collect();
    let pairs: Vec<String> = group.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    let otherwise = if route.otherwise { "otherwise" } else { "" };
    let matchers = route.matchers.join(",");
    (format!("{otherwise}{{{matchers}}}:{{{}}}", pairs.join(",")), group)
}

/// Whether any receiver's plain route takes the alert: for those who ask why nobody was told.
pub(crate) fn receivers_of<'a>(world: &'a Snapshot, alert: &Alert) -> Vec<&'a str> {
    let takes = |r: &&Arc<Object<Receiver>>| Routes::of(world, r).take(alert).is_some();
    world.all::<Receiver>().filter(takes).map(|r| r.name()).collect()
}
