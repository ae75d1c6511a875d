//! What a scenario names and is not there: told before anything is played, and all of it at once.

use atoll_model::name::nearest;
use atoll_model::rehearsal::{Change, Check, Fault, Rehearsal as Scenario};
use atoll_model::{
    Any, Application, Deployment, Host, Kind, Migration, Object, Pool, Reason, Release, Snapshot,
    Timestamp,
};

use super::fleet::parse;
use super::load::is_of;
use super::stage::{self, patched};
use crate::cmdb::filter::{Filter, Search};
use crate::{Context, Measurements};

/// All that faults, changes and checks name and is not there, nor could become so by a manifest
/// that is applied.
pub(super) fn unknown(spec: &Scenario, world: &Snapshot, now: Timestamp) -> Vec<Reason> {
    let applies = spec.changes.iter().any(|change| matches!(change, Change::Apply { .. }));
    let mut all = Vec::new();
    for (i, fault) in spec.faults.iter().enumerate() {
        all.extend(of_fault(fault, world).map(|wrong| at(&format!("faults[{i}]"), wrong)));
    }
    for (i, change) in spec.changes.iter().enumerate() {
        all.extend(wrong_filter(change).map(|wrong| at(&format!("changes[{i}]"), wrong)));
    }
    all.extend(unreadable(&spec.changes, world));
    if applies {
        return all;
    }
    let named = Named { spec, world, now };
    for (i, change) in spec.changes.iter().enumerate() {
        all.extend(named.by_change(change).map(|wrong| at(&format!("changes[{i}]"), wrong)));
    }
    for (i, check) in spec.checks.iter().enumerate() {
        all.extend(named.by_check(check).map(|wrong| at(&format!("checks[{i}]"), wrong)));
    }
    all
}

/// Where in the scenario what is wrong stands: below this path of its spec.
pub(super) fn at(path: &str, wrong: Reason) -> Reason {
    Reason { message: format!("spec.{path}.{}", wrong.message), ..wrong }
}

/// What a field names and is not there.
fn missing(field: &str, message: String) -> Reason {
    Reason::new("not-found", format!("{field}: {message}"))
}

/// As [`missing`], with what may be meant of what there is.
fn misspelt<'a>(
    field: &str,
    message: String,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Reason {
    hinted(missing(field, message), nearest(name, known))
}

fn hinted(wrong: Reason, near: Option<impl AsRef<str>>) -> Reason {
    match near {
        Some(near) => wrong.hint(format!("did you mean {:?}?", near.as_ref())),
        None => wrong,
    }
}

/// That there is no such object, and which may be meant.
pub(super) fn no_such(world: &Snapshot, kind: Kind, name: &str) -> Reason {
    let known: Vec<Any> = world.after(kind, "").collect();
    let near = nearest(name, known.iter().map(Any::name));
    let message = format!("there is no {}/{name}", kind.lower());
    hinted(Reason::new("not-found", message), near.map(|near| format!("{}/{near}", kind.lower())))
}

/// The names of all applications and deployments.
fn served(world: &Snapshot) -> impl Iterator<Item = &str> {
    let applications = world.all::<Application>().map(|application| application.name());
    applications.chain(world.all::<Deployment>().map(|deployment| deployment.name()))
}

/// As [`misspelt`], of what is written with its kind before it: that is meant too.
fn of_kind<'a>(message: String, of: &str, known: impl Iterator<Item = &'a str>) -> Reason {
    let (kind, name) = of.split_once('/').unwrap_or(("", of));
    let near = nearest(name, known).map(|near| format!("{kind}/{near}"));
    hinted(missing("of", message), near)
}

/// What the load of a name is refused for, where no deployment of it says what it carries.
pub(super) fn load(name: &str, world: &Snapshot) -> Reason {
    let field = format!("spec.load.{name}");
    if world.get::<Application>(name).is_some() || world.get::<Deployment>(name).is_some() {
        let wrong = missing(&field, "it does not say what an instance carries".to_owned());
        return wrong.hint("see scaling.perInstance in docs/guide/scaling.md");
    }
    let message = "there is no such application or deployment".to_owned();
    misspelt(&field, message, name, served(world))
}

fn is_there(world: &Snapshot, of: &str) -> bool {
    world.all::<Deployment>().any(|deployment| is_of(deployment.name(), of))
}

fn of_fault(fault: &Fault, world: &Snapshot) -> Option<Reason> {
    let gone = |what: &str, of: &str| format!("there is no {what} {of}");
    match fault {
        Fault::Loss { of, .. } => {
            let any = world.all::<Host>().any(|host| is_host_of(host, of));
            let zones = of.starts_with("zone/");
            let hosts =
                world.all::<Host>().map(|host| if zones { host.zone() } else { host.name() });
            (!any).then(|| of_kind(gone("host of", of), of, hosts))
        }
        Fault::Slow { of, .. } | Fault::Load { of, .. } => {
            let of = of.as_ref().filter(|of| !is_there(world, of))?;
            Some(misspelt("of", gone("application or deployment", of), of, served(world)))
        }
        Fault::Release { of, .. } => {
            let known = world.all::<Application>().map(|application| application.name());
            let there = world.get::<Application>(of).is_some();
            (!there).then(|| misspelt("of", gone("application", of), of, known))
        }
        Fault::Provider { of, .. } => {
            let known = world.all::<Pool>().map(|pool| pool.name());
            let there = world.get::<Pool>(of).is_some();
            (!there).then(|| misspelt("of", gone("pool", of), of, known))
        }
    }
}

/// Whether a host is what a loss is of: one of a zone, or itself.
pub(super) fn is_host_of(host: &Object<Host>, of: &str) -> bool {
    match of.split_once('/') {
        Some(("zone", zone)) => host.zone() == zone,
        Some(("host", name)) => host.name() == name,
        _ => false,
    }
}

/// A filter of hosts nobody can read.
fn wrong_filter(change: &Change) -> Option<Reason> {
    let Change::Migrate { off, .. } = change else { return None };
    let wrong = Filter::parse(off).err()?;
    let message = format!("off: {}", wrong.message);
    Some(Reason { message, ..wrong })
}

/// What would be applied or edited so that nobody could read it.
fn unreadable(changes: &[Change], world: &Snapshot) -> Vec<Reason> {
    let mut all = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        let path = format!("changes[{i}]");
        match change {
            Change::Apply { objects, .. } => {
                let wrong = parse(objects).err().into_iter().flatten();
                all.extend(wrong.map(|wrong| at(&path, wrong)));
            }
            Change::Edit { of, patch, .. } => {
                let may_be_other = changes[..i].iter().any(|before| {
                    before.of() == Some(of) || matches!(before, Change::Apply { .. })
                });
                let there = of
                    .split_once('/')
                    .and_then(|(kind, name)| world.find(Kind::parse(kind)?, name));
                let Some(stored) = there.filter(|_| !may_be_other) else { continue };
                let wrong = patched(&stored, patch).err().into_iter().flat_map(|all| all.0);
                all.extend(wrong.map(|problem| {
                    let between = if problem.path.is_empty() { ": " } else { "." };
                    at(&path, Reason::new("invalid", format!("patch{between}{problem}")))
                }));
            }
            _ => {}
        }
    }
    all
}

struct Named<'a> {
    spec: &'a Scenario,
    world: &'a Snapshot,
    now: Timestamp,
}

impl Named<'_> {
    fn by_change(&self, change: &Change) -> Option<Reason> {
        let (kind, name) = match change {
            Change::Deploy { of, release: None, .. } if self.application(of).is_some() => {
                return None;
            }
            Change::Deploy { of, .. } => (Kind::Deployment, of.as_str()),
            Change::Scale { of, .. } | Change::Edit { of, .. } => {
                let (kind, name) = of.split_once('/')?;
                (Kind::parse(kind)?, name)
            }
            Change::Migrate { off, .. } => return self.no_host(off),
            Change::Apply { .. } => return None,
        };
        if self.world.find(kind, name).is_none() {
            return Some(self.no_object(change, kind, name));
        }
        let Change::Deploy { of, release: Some(release), .. } = change else { return None };
        self.release(of, release)
    }

    /// That what a change is of is not there, and what may be meant.
    fn no_object(&self, change: &Change, kind: Kind, name: &str) -> Reason {
        let message = format!("there is no {}/{name}", kind.lower());
        let deployments = self.world.all::<Deployment>().map(|deployment| deployment.name());
        match change {
            Change::Deploy { release: None, .. } => {
                misspelt("of", message, name, served(self.world))
            }
            Change::Scale { of, .. } | Change::Edit { of, .. } => {
                let known: Vec<Any> = self.world.after(kind, "").collect();
                of_kind(message, of, known.iter().map(Any::name))
            }
            _ => misspelt("of", message, name, deployments),
        }
    }

    fn by_check(&self, check: &Check) -> Option<Reason> {
        if let Check::Refused { of: Some(of) } = check {
            let changes = &self.spec.changes;
            let there = changes.iter().filter_map(Change::of).any(|other| other == of);
            // What is itself of nothing is not what is meant.
            let sound = changes.iter().filter(|change| self.by_change(change).is_none());
            let message = || format!("there is no change of {of}");
            return (!there).then(|| misspelt("of", message(), of, sound.filter_map(Change::of)));
        }
        if let Check::Moved { of: Some(of), .. } = check {
            let made = self.moves();
            let stored = self.world.all::<Migration>().map(|migration| migration.name());
            let known = stored.chain(made.iter().map(String::as_str));
            let message = || format!("there is no migration/{of}");
            let there = self.world.get::<Migration>(of).is_some() || made.contains(of);
            return (!there).then(|| misspelt("of", message(), of, known));
        }
        let of = check.of()?;
        if !is_there(self.world, of) {
            let message = format!("there is no application or deployment {of}");
            return Some(misspelt("of", message, of, served(self.world)));
        }
        let Check::Runs { of, release } = check else { return None };
        self.release(of, release)
    }

    /// A filter that no host passes: nothing would be moved.
    fn no_host(&self, off: &str) -> Option<Reason> {
        let filter = Filter::parse(&format!("kind = host and ({off})")).ok()?;
        let measured = Measurements::default();
        let cx = Context { world: self.world, measured: &measured, now: self.now };
        let none = Search::new(cx).find(&filter).is_empty();
        none.then(|| missing("off", format!("no host passes {off}")))
    }

    /// The names of the migrations that changes of the scenario make.
    fn moves(&self) -> Vec<String> {
        let made = self.spec.changes.iter().filter(|c| matches!(c, Change::Migrate { .. })).count();
        (0..made).map(stage::migration).collect()
    }

    /// The application that is named, or that of the deployment that is.
    fn application(&self, of: &str) -> Option<&str> {
        let deployment = self.world.get::<Deployment>(of);
        let name = deployment.map_or(of, |deployment| &deployment.spec.application);
        self.world.get::<Application>(name).map(|application| application.name())
    }

    /// A release that is not there, and that nothing of the scenario makes.
    fn release(&self, of: &str, release: &str) -> Option<Reason> {
        let application = self.application(of)?;
        let stored = self.world.get::<Release>(release);
        if stored.is_some_and(|stored| stored.spec.application == application) {
            return None;
        }
        let made = release.strip_prefix(application).and_then(|rest| rest.strip_prefix('-'));
        let made = made.and_then(|number| number.parse::<u64>().ok());
        let last = self.world.last_number(application);
        let to_come = self.makes(application);
        if made.is_some_and(|number| (last + 1..=last + to_come).contains(&number)) {
            return None;
        }
        let message = format!("there is no release {release} of {application}");
        let hint = match to_come {
            0 => format!("the last of {application} is {application}-{last}"),
            _ => format!("the last of {application} will be {application}-{}", last + to_come),
        };
        Some(missing("release", message).hint(hint))
    }

    /// So many releases of an application come in the scenario at most.
    fn makes(&self, application: &str) -> u64 {
        let edits = |of: &str| of == format!("application/{application}");
        let changes = self.spec.changes.iter().filter(|change| match change {
            Change::Deploy { of, release: None, .. } => self.application(of) == Some(application),
            Change::Edit { of, .. } => edits(of),
            _ => false,
        });
        let faults = self.spec.faults.iter();
        let bad = faults.filter(|f| matches!(f, Fault::Release { of, .. } if of == application));
        (changes.count() + bad.count()) as u64
    }
}
