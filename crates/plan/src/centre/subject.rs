//! What a policy is about: one instance, host, deployment or zone, with what it belongs to. It
//! reads; it judges nothing.

use std::collections::BTreeSet;

use atoll_model::cmdb::{DEFAULT_ZONE, HostPhase};
use atoll_model::deployment::{InstancePhase, Phase};
use atoll_model::{Any, Application, Deployment, Host, Instance, Kind, Object, Policy, Snapshot};
use serde_json::{Value, json};

/// The label of applications that names their tier.
pub(super) const TIER: &str = "tier";

/// One thing a decision may be about.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The instance, host or deployment; zones need no object.
    pub any: Option<Any>,
    /// The deployment it is, or is of.
    pub deployment: Option<&'a std::sync::Arc<atoll_model::Object<Deployment>>>,
    /// The application it is of.
    pub application: Option<&'a std::sync::Arc<atoll_model::Object<Application>>>,
}

impl<'a> Subject<'a> {
    /// One by its name, if it is there.
    pub fn find(world: &'a Snapshot, id: &str) -> Option<Subject<'a>> {
        let (kind, name) = id.split_once('/')?;
        let kind = Kind::parse(kind)?;
        if kind == Kind::Zone {
            return zones(world).contains(name).then(|| Subject::zone(name));
        }
        Some(Subject::of(world, world.find(kind, name)?))
    }

    /// One that may be gone meanwhile, with what is left of what it was of.
    pub fn left(world: &'a Snapshot, id: &str) -> Option<Subject<'a>> {
        if let Some(found) = Subject::find(world, id) {
            return Some(found);
        }
        let (kind, name) = id.split_once('/')?;
        let (kind, name) = (Kind::parse(kind)?, name.to_owned());
        let of = root_of(id);
        let deployment = world.get::<Deployment>(of.strip_prefix("deployment/")?)?;
        let application = world.get::<Application>(&deployment.spec.application);
        Some(Subject { kind, name, any: None, deployment: Some(deployment), application })
    }

    fn zone(name: &str) -> Subject<'a> {
        let (kind, name) = (Kind::Zone, name.to_owned());
        Subject { kind, name, any: None, deployment: None, application: None }
    }

    fn of(world: &'a Snapshot, any: Any) -> Subject<'a> {
        let deployment = match &any {
            Any::Instance(instance) => world.get::<Deployment>(&instance.spec.deployment),
            Any::Deployment(deployment) => world.get::<Deployment>(deployment.name()),
            _ => None,
        };
        let application = deployment.map(|d| d.spec.application.as_str());
        let application = application.and_then(|name| world.get::<Application>(name));
        let (kind, name) = (any.kind(), any.name().to_owned());
        Subject { kind, name, any: Some(any), deployment, application }
    }

    /// What expressions see of it.
    pub fn value(&self) -> Value {
        match &self.any {
            Some(any) => any.to_value(),
            None => json!({ "metadata": { "name": self.name } }),
        }
    }

    /// All that a policy is about.
    pub fn all(world: &'a Snapshot, policy: &Policy) -> Vec<Subject<'a>> {
        let of = &policy.subjects;
        if of.kind == Kind::Zone {
            return zones(world).into_iter().map(|name| Subject::zone(&name)).collect();
        }
        let there = world.after(of.kind, "").filter(|any| !any.meta().deleting());
        let in_phase = there.filter(|any| is_in_phase(any, policy));
        let all = in_phase.map(|any| Subject::of(world, any));
        all.filter(|subject| subject.is_meant(policy)).collect()
    }

    /// Whether it is in a phase that a policy looks at.
    pub fn is_in_phase(&self, policy: &Policy) -> bool {
        self.any.as_ref().is_none_or(|any| is_in_phase(any, policy))
    }

    /// Whether it is in the phase in which all is as it should be.
    pub fn is_well(&self) -> bool {
        match &self.any {
            Some(Any::Instance(it)) => it.status.phase == InstancePhase::Ready,
            Some(Any::Host(it)) => it.status.phase == HostPhase::Ready,
            Some(Any::Deployment(it)) => it.status.phase == Phase::Settled,
            _ => false,
        }
    }

    fn is_meant(&self, policy: &Policy) -> bool {
        let of = &policy.subjects;
        let here = of.environments.is_empty()
            || self.environment().is_some_and(|name| of.environments.iter().any(|e| e == name));
        let application = self.deployment.map(|deployment| &deployment.spec.application);
        let named = of.applications.is_empty()
            || application.is_some_and(|name| of.applications.contains(name));
        let labels = match (&self.any, self.application) {
            (Some(Any::Host(host)), _) => Some(&host.meta.labels),
            (_, application) => application.map(|application| &application.meta.labels),
        };
        let labelled =
            of.labels.0.is_empty() || labels.is_some_and(|labels| of.labels.matches(labels));
        here && named && labelled
    }

    /// `kind/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind.lower(), self.name)
    }

    /// The environment it is in, if it is in one.
    pub fn environment(&self) -> Option<&'a str> {
        self.deployment.map(|deployment| deployment.spec.environment.as_str())
    }

    /// The tier of its application; none, where that says nothing.
    pub fn tier(&self) -> &'a str {
        let labels = self.application.map(|application| &application.meta.labels);
        labels.and_then(|labels| labels.get(TIER)).map_or("", String::as_str)
    }

    /// What it hangs together with.
    pub fn root(&self) -> String {
        root_of(&self.id())
    }

    /// How many there are of what is like it, itself among them, and how many of these are well.
    pub fn peers(&self, world: &Snapshot) -> (u32, u32) {
        let (mut all, mut well) = (0, 0);
        let mut count = |is_well: bool| {
            all += 1;
            well += u32::from(is_well);
        };
        match (&self.any, self.deployment) {
            (Some(Any::Instance(_)) | None, Some(deployment)) => {
                for other in world.derived::<Instance>(deployment.name()) {
                    count(crate::deployment::serves(world, other));
                }
            }
            (Some(Any::Deployment(own)), _) => {
                let here = world.all::<Deployment>();
                for other in here.filter(|d| d.spec.environment == own.spec.environment) {
                    count(other.status.ready >= other.wanted());
                }
            }
            (Some(Any::Host(own)), _) => {
                for other in world.all::<Host>().filter(|host| host.zone() == own.zone()) {
                    count(other.status.phase == HostPhase::Ready && !is_sick(world, other));
                }
            }
            _ => {
                for zone in zones(world) {
                    let of = world.all::<Host>().filter(|host| host.zone() == zone);
                    count(of.into_iter().any(|host| host.status.phase == HostPhase::Ready));
                }
            }
        }
        (all, well)
    }

    /// Whether another is like it.
    pub fn is_peer(&self, other: &Subject) -> bool {
        self.kind == other.kind
            && match (&self.any, &other.any) {
                (Some(Any::Instance(a)), Some(Any::Instance(b))) => {
                    a.spec.deployment == b.spec.deployment
                }
                (Some(Any::Host(a)), Some(Any::Host(b))) => a.zone() == b.zone(),
                _ => self.environment() == other.environment(),
            }
    }
}

/// What a subject hangs together with: what is done to instances of one deployment concerns that.
pub(super) fn root_of(id: &str) -> String {
    let instance = id.strip_prefix("instance/").and_then(|name| name.rsplit_once('.'));
    match instance {
        Some((deployment, _)) => format!("deployment/{deployment}"),
        None => id.to_owned(),
    }
}

fn is_in_phase(any: &Any, policy: &Policy) -> bool {
    let phases = &policy.subjects.phases;
    phases.is_empty() || phase(any).is_some_and(|phase| phases.contains(&phase))
}

/// The phase of an object in one word.
pub(super) fn phase(any: &Any) -> Option<String> {
    let word = match any {
        Any::Instance(it) => serde_json::to_value(it.status.phase),
        Any::Host(it) => serde_json::to_value(it.status.phase),
        Any::Deployment(it) => serde_json::to_value(it.status.phase),
        _ => return None,
    };
    word.ok()?.as_str().map(str::to_owned)
}

/// The zones there are hosts in.
/// Whether most of what runs on a host is not well.
fn is_sick(world: &Snapshot, host: &Object<Host>) -> bool {
    let (mut all, mut sick) = (0, 0);
    for instance in world.instances_on(host.name()) {
        let phase = instance.status.phase;
        all += 1;
        sick += u32::from(matches!(phase, InstancePhase::Unready | InstancePhase::CrashLoop));
    }
    2 * sick > all
}

fn zones(world: &Snapshot) -> BTreeSet<String> {
    world.all::<Host>().map(|host| host.zone().to_owned()).collect()
}

/// The hosts of a zone by how they are.
pub(crate) fn zone(world: &Snapshot, name: &str) -> Value {
    let of = || world.all::<Host>().filter(|host| host.zone() == name);
    let unknown = of().filter(|host| host.status.phase == HostPhase::Unknown).count();
    let ready = of().filter(|host| host.status.phase == HostPhase::Ready).count();
    // What was on a host that is lost is replaced elsewhere.
    let heard = of().filter(|host| host.status.phase != HostPhase::Unknown);
    let instances: usize = heard.map(|host| world.instances_on(host.name()).count()).sum();
    json!({
        "name": name, "hosts": of().count(), "ready": ready, "unknown": unknown,
        "instances": instances,
    })
}

/// The zone a thing is in.
pub(crate) fn zone_of(world: &Snapshot, subject: &Subject) -> Option<String> {
    let host = match &subject.any {
        Some(Any::Host(host)) => host.name().to_owned(),
        Some(Any::Instance(instance)) => instance.spec.host.clone(),
        None => return (subject.kind == Kind::Zone).then(|| subject.name.clone()),
        _ => return None,
    };
    Some(world.get::<Host>(&host).map_or(DEFAULT_ZONE, |host| host.zone()).to_owned())
}
