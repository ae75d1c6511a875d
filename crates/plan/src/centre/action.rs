//! What an action changes: targets that a person could edit by hand, as that edit would. It
//! decides nothing; whether it may be done is said by limits and by the gate.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::centre::action::{Action, Change, Setting, Taken, What};
use atoll_model::config::Content;
use atoll_model::{
    Any, Application, Config, Deployment, Host, Kind, Migration, Object, Reason, Release, Selector,
    Snapshot, Write,
};

use serde_json::Value;

use super::subject::Subject;
use super::{back, borrow};
use crate::capacity::ask::unplaced;
use crate::{Context, edit};

/// An action worked out: what is written, and that in words.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub writes: Vec<Write>,
    pub words: Vec<String>,
    /// What is to be given back later.
    pub taken: Option<Taken>,
}

impl Deed {
    pub fn takes(mut self, what: What) -> Deed {
        self.taken = Some(Taken { what, returned_at: None });
        self
    }
}

/// Works an action out.
///
/// # Errors
/// Why there is nothing to be done.
pub(super) fn make(cx: &Context, subject: &Subject, action: &Action) -> Result<Deed, Reason> {
    let gone = || Reason::new("gone", format!("{} is no more", subject.id()));
    match (action, &subject.any) {
        (Action::Restart, Some(Any::Instance(instance))) => {
            if instance.meta.deleting() {
                let message = format!("{} is being replaced already", subject.id());
                return Err(Reason::new("nothing-to-do", message));
            }
            let words = format!("{} is made anew", subject.id());
            deed(edit::remove(cx, Kind::Instance, instance.name()), words)
        }
        (Action::Drain, Some(Any::Host(host))) => drain(cx, host),
        (Action::RollBack, _) => roll_back(cx, subject.deployment.ok_or_else(gone)?),
        (Action::Raise(by), _) => raise(cx, subject.deployment.ok_or_else(gone)?, by),
        (Action::Lower(by), _) => lower(cx, subject.deployment.ok_or_else(gone)?, by),
        (Action::Switch(to), _) => switch(cx, subject.application.ok_or_else(gone)?, subject, to),
        (Action::Borrow(by), _) => borrow::make(cx, subject.deployment.ok_or_else(gone)?, by),
        (Action::Evacuate, _) => evacuate(cx, &subject.name),
        (Action::GiveBack(of), _) => back::make(cx, of),
        _ => Err(gone()),
    }
}

pub(super) fn deed(
    plan: Result<crate::Plan, Vec<Reason>>,
    words: impl Into<String>,
) -> Result<Deed, Reason> {
    match plan {
        Ok(plan) if plan.writes.is_empty() => {
            Err(Reason::new("nothing-to-do", "it is as it is to be already"))
        }
        Ok(plan) => Ok(Deed { writes: plan.writes, words: vec![words.into()], taken: None }),
        Err(mut reasons) => Err(match reasons.is_empty() {
            true => Reason::new("nothing-to-do", "it cannot be done"),
            false => reasons.swap_remove(0),
        }),
    }
}

fn drain(cx: &Context, host: &Object<Host>) -> Result<Deed, Reason> {
    let left = homeless(cx.world, |other| other.name() == host.name())?;
    let mut new = host.clone();
    new.spec.drain = true;
    let words = format!("host/{} is to be emptied{left}", host.name());
    deed(edit::apply(cx, vec![Any::Host(Arc::new(new))]), words)
}

/// How many of the instances on some hosts find no room on others, in words; nothing, if all do.
///
/// # Errors
/// That none of them does: emptying those hosts would take them out of service for nothing.
pub(super) fn homeless(
    world: &Snapshot,
    is_of: impl Fn(&Object<Host>) -> bool,
) -> Result<String, Reason> {
    let mut without = world.clone();
    let mut there: BTreeMap<String, u32> = BTreeMap::new();
    for host in world.all::<Host>().filter(|host| is_of(host)) {
        for instance in world.instances_on(host.name()) {
            *there.entry(instance.spec.deployment.clone()).or_default() += 1;
        }
        let mut closed = Object::clone(host);
        closed.spec.drain = true;
        without.put(Any::Host(Arc::new(closed)));
    }
    let all: u32 = there.values().sum();
    let there: Vec<(String, u32)> = there.into_iter().collect();
    match unplaced(&without, &there, &[]) {
        0 => Ok(String::new()),
        left if left == all => {
            let message = format!("none of the {} there would find room elsewhere", instances(all));
            Err(Reason::new("no-room", message).hint("add hosts, or free some"))
        }
        left => Ok(format!(", and {left} of {} there find no room elsewhere yet", instances(all))),
    }
}

fn instances(count: u32) -> String {
    crate::instances(count as usize)
}

/// A rollout is given up; otherwise it goes to what was good before.
fn roll_back(cx: &Context, deployment: &Object<Deployment>) -> Result<Deed, Reason> {
    let (name, status) = (deployment.name(), &deployment.status);
    if let Some(rollout) = status.rollout.as_ref().filter(|rollout| !rollout.back) {
        let mut new = deployment.clone();
        new.spec.aborted = Some(rollout.to.clone());
        let words = format!("the rollout of {} in deployment/{name} is given up", rollout.to);
        return deed(edit::apply(cx, vec![Any::Deployment(Arc::new(new))]), words);
    }
    let present = status.release.as_ref();
    let known = [&status.last_good, &status.good_before].into_iter().flatten();
    // Back is to what is older: what was good before a way back is what it came from.
    let number = |name: &String| cx.world.get::<Release>(name).map(|release| release.spec.number);
    let newest = present.and_then(number);
    let vetoed = |name: &String| {
        cx.world.get::<Release>(name).is_none_or(|release| release.spec.veto.is_some())
    };
    let failed = status.failed.as_ref();
    let gave_up = |good: &String| failed.is_some_and(|failed| failed.release == *good);
    let mut older = known.into_iter().filter(|good| number(good) < newest && !vetoed(good));
    let Some(good) = older.find(|good| !gave_up(good)) else {
        let why = failed.map(|failed| {
            let (release, at) = (&failed.release, failed.at);
            format!(" any more: {release} was given up at {at}, {}", failed.reason.message)
        });
        let why = why.unwrap_or_default();
        let message = format!("deployment/{name} has no release to go back to{why}");
        return Err(Reason::new("nothing-to-do", message));
    };
    let words = format!(
        "deployment/{name} goes back from {} to {good}",
        present.map_or("nothing", String::as_str)
    );
    let new = deployment.with_target(Some(good.clone()));
    deed(edit::apply(cx, vec![Any::Deployment(Arc::new(new))]), words)
}

fn counted(cx: &Context, deployment: &Object<Deployment>, count: u32) -> Result<Deed, Reason> {
    let was = deployment.wanted();
    let mut new = deployment.clone();
    new.spec.instances = count;
    let words = format!("deployment/{} goes from {was} to {count} instances", deployment.name());
    deed(edit::apply(cx, vec![Any::Deployment(Arc::new(new))]), words)
}

fn raise(cx: &Context, deployment: &Object<Deployment>, by: &Change) -> Result<Deed, Reason> {
    let was = deployment.wanted();
    let declared = application(cx.world, deployment).and_then(|a| a.spec.scaling.as_ref());
    let most = by.bound.unwrap_or(u32::MAX).min(declared.map_or(u32::MAX, |s| s.max));
    let count = was.saturating_add(by.by.ceil_of(was).max(1)).min(most);
    if count <= was {
        let message = format!("deployment/{} has the most it may, {was}", deployment.name());
        return Err(Reason::new("nothing-to-do", message));
    }
    counted(cx, deployment, count)
}

pub(super) fn lower(
    cx: &Context,
    deployment: &Object<Deployment>,
    by: &Change,
) -> Result<Deed, Reason> {
    let was = deployment.wanted();
    let declared = application(cx.world, deployment).and_then(|a| a.spec.scaling.as_ref());
    let least = by.bound.unwrap_or(1).max(1).max(declared.map_or(1, |scaling| scaling.min));
    let count = was.saturating_sub(by.by.floor_of(was).max(1)).max(least);
    if count >= was {
        let message = format!("deployment/{} has the least it may, {was}", deployment.name());
        return Err(Reason::new("nothing-to-do", message));
    }
    counted(cx, deployment, count)
}

pub(super) fn application<'a>(
    world: &'a Snapshot,
    deployment: &Object<Deployment>,
) -> Option<&'a Arc<Object<Application>>> {
    world.get::<Application>(&deployment.spec.application)
}

fn switch(
    cx: &Context,
    application: &Object<Application>,
    subject: &Subject,
    to: &Setting,
) -> Result<Deed, Reason> {
    let name = to.config.as_ref().or(application.spec.config.dynamic.first());
    let config = name.and_then(|name| cx.world.get::<Config>(name));
    let Some(config) = config else {
        let message = format!("{} has no configuration to switch", subject.id());
        return Err(Reason::new("nothing-to-do", message));
    };
    let known = config.spec.switches.contains_key(&to.key)
        || config.spec.values.contains_key(&to.key)
        || to.config.is_some();
    if !known {
        let message = format!("config/{} has no switch {}", config.name(), to.key);
        return Err(Reason::new("nothing-to-do", message));
    }
    let (of, place) = (application.name(), subject.environment());
    let mut seen = application.meta.labels.clone();
    seen.insert("application".to_owned(), of.to_owned());
    seen.extend(place.map(|place| ("environment".to_owned(), place.to_owned())));
    seen.insert("deployment".to_owned(), subject.name.clone());
    let was = config.spec.content().for_labels(&seen).remove(&to.key);
    if was.as_ref() == Some(&to.value) {
        let message = format!("{} of config/{} is {} already", to.key, config.name(), to.value);
        return Err(Reason::new("nothing-to-do", message));
    }
    // Nobody else is to be touched: other environments, and what else reads the same.
    let environments: Vec<String> = place.map(str::to_owned).into_iter().collect();
    let own = application.spec.config.dynamic.iter().any(|name| name == config.name());
    let labels = if own { Selector::one("application", of) } else { Selector::default() };
    let before = config.spec.value_for(&environments, &labels, &to.key).cloned();
    let mut new = Object::clone(config);
    set(&mut new.spec, &environments, &labels, (&to.key, Some(&to.value)));
    let words = format!(
        "{} of config/{} goes from {} to {} for {}",
        to.key,
        config.name(),
        was.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string),
        to.value,
        whom(&environments, &labels)
    );
    let done = deed(edit::apply(cx, vec![Any::Config(Arc::new(new))]), words)?;
    let (config, key, is) = (config.name().to_owned(), to.key.clone(), to.value.clone());
    Ok(done.takes(What::Value { config, key, environments, labels, was: before, is }))
}

/// Sets a value for some, or takes it away.
pub(crate) fn set(
    config: &mut Config,
    environments: &[String],
    labels: &Selector,
    (key, value): (&str, Option<&Value>),
) {
    let (values, overlays) =
        (std::mem::take(&mut config.values), std::mem::take(&mut config.overlays));
    let mut content = Content { values, overlays };
    content.edit_for(environments, labels, |values| match value {
        Some(value) => drop(values.insert(key.to_owned(), value.clone())),
        None => drop(values.remove(key)),
    });
    (config.values, config.overlays) = (content.values, content.overlays);
}

/// For whom a value is set, in words.
pub(crate) fn whom(environments: &[String], labels: &Selector) -> String {
    match (environments, labels.0.is_empty()) {
        ([], true) => "all".to_owned(),
        ([], false) => labels.to_string(),
        (some, true) => some.join(", "),
        (some, false) => format!("{labels} in {}", some.join(", ")),
    }
}

fn evacuate(cx: &Context, zone: &str) -> Result<Deed, Reason> {
    let number = cx.world.all::<Migration>().count() + 1;
    let free = |name: &String| cx.world.get::<Migration>(name).is_none();
    let names = (number..).map(|number| format!("evacuate-{zone}-{number}"));
    let name = names.into_iter().find(free).unwrap_or_default();
    let manifest = serde_json::json!({ "off": format!("zone = {zone}") });
    let Ok(spec) = serde_json::from_value::<Migration>(manifest) else {
        return Err(Reason::new("nothing-to-do", "a migration cannot be written"));
    };
    let left = homeless(cx.world, |host| host.zone() == zone)?;
    let words = format!("migration/{name} moves what runs in zone {zone} to others{left}");
    let any = Any::Migration(Arc::new(Object::new(name, spec)));
    deed(edit::apply(cx, vec![any]), words)
}
