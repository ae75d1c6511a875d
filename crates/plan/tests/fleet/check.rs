//! What is checked: of each commit, and of the world at peace.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::cmdb::HostPhase;
use atoll_model::decision::OVERRIDE_ANNOTATION;
use atoll_model::deployment::InstancePhase;
use atoll_model::rollout::Strategy;
use atoll_model::{Intent, Snapshot, Write};
use atoll_plan::sim::Entry;

use super::*;

/// Checks every commit since the last time, and forgets them.
pub fn entries(sim: &mut Sim) {
    let entries = std::mem::take(&mut sim.journal);
    for (at, entry) in entries.iter().enumerate() {
        let after = entries.get(at + 1).map_or(&sim.world, |next| &next.before);
        let check = Check { entry, before: &entry.before, after };
        check.floor();
        check.placed();
        check.room();
        check.frozen();
        check.canary();
        check.total();
        check.entered();
    }
}

struct Check<'a> {
    entry: &'a Entry,
    before: &'a Snapshot,
    after: &'a Snapshot,
}

/// Whether an instance serves, told independently of the planner.
fn serves(world: &Snapshot, instance: &Object<Instance>) -> bool {
    let host = world.get::<Host>(&instance.spec.host);
    instance.status.phase == InstancePhase::Ready
        && instance.status.release.as_ref() == Some(&instance.spec.release)
        && instance.status.observed_generation == instance.meta.generation
        && !instance.meta.deleting()
        && host.is_some_and(|host| host.status.phase != HostPhase::Unknown)
}

fn application<'a>(world: &'a Snapshot, deployment: &Deployment) -> Option<&'a Application> {
    world.get::<Application>(&deployment.application).map(|application| &application.spec)
}

impl Check<'_> {
    fn by_planner(&self) -> bool {
        self.entry.actor == "controller/deployment"
    }

    /// The instances created.
    fn created(&self) -> impl Iterator<Item = &Arc<Object<Instance>>> {
        self.entry.writes.iter().filter_map(|write| match write {
            Write::Put(Any::Instance(new)) if new.meta.revision == 0 => Some(new),
            _ => None,
        })
    }

    /// The deployments whose instances are written.
    fn deployments(&self) -> BTreeSet<String> {
        let of = |write: &Write| match write {
            Write::Put(Any::Instance(new)) => Some(new.spec.deployment.clone()),
            Write::Delete { kind: Kind::Instance, name, .. } => {
                self.before.get::<Instance>(name).map(|old| old.spec.deployment.clone())
            }
            _ => None,
        };
        self.entry.writes.iter().filter_map(of).collect()
    }

    /// Ready never falls below the floor by an action of ours.
    fn floor(&self) {
        if self.entry.intent == Intent::Report || self.entry.actor == "controller/cmdb" {
            return;
        }
        for name in self.deployments() {
            let Some(deployment) = self.before.get::<Deployment>(&name) else { continue };
            let Some(rules) = application(self.before, &deployment.spec) else { continue };
            if deployment.meta.deleting() {
                continue;
            }
            let ready = |world: &Snapshot| {
                world.derived::<Instance>(&name).filter(|i| serves(world, i)).count() as u32
            };
            let (was, is) = (ready(self.before), ready(self.after));
            let floor = rules.rollout.min_ready(deployment.spec.instances);
            assert!(is >= floor || is >= was, "{name}: {was} to {is}, floor {floor}: {self}");
        }
    }

    /// Nothing is placed where nothing may be placed.
    fn placed(&self) {
        for new in self.created() {
            let host = self.before.get::<Host>(&new.spec.host).expect("there is such a host");
            assert!(host.is_open(), "{} on a host that is not open: {self}", new.name());
            let environment = new.spec.deployment.split('.').next_back().unwrap_or_default();
            let environment = self.before.get::<Environment>(environment).expect("it is there");
            assert!(environment.spec.hosts.matches(&host.meta.labels), "not selected: {self}");
        }
    }

    /// No host gives more than it has, and no port twice.
    fn room(&self) {
        for host in self.created().map(|new| &new.spec.host).collect::<BTreeSet<_>>() {
            let capacity = self.after.get::<Host>(host).expect("it is there").status.capacity;
            let on_it: Vec<_> =
                self.after.all::<Instance>().filter(|i| i.spec.host == *host).collect();
            let cpu: u64 = on_it.iter().map(|i| i.spec.resources.cpu.0).sum();
            let memory: u64 = on_it.iter().map(|i| i.spec.resources.memory.0).sum();
            assert!(cpu <= capacity.cpu.0 && memory <= capacity.memory.0, "{host} full: {self}");
            let count = on_it.len() as u32;
            assert!(capacity.instances == 0 || count <= capacity.instances, "{host}: {self}");
            let ports: Vec<u16> =
                on_it.iter().flat_map(|i| i.spec.ports.values().copied()).collect();
            let distinct: BTreeSet<u16> = ports.iter().copied().collect();
            assert_eq!(ports.len(), distinct.len(), "a port twice on {host}: {self}");
        }
    }

    /// In a freeze no release gains ground and no number changes.
    fn frozen(&self) {
        if !self.by_planner() {
            return;
        }
        for name in self.deployments() {
            let Some(deployment) = self.before.get::<Deployment>(&name) else { continue };
            let covers = |freeze: &Freeze| {
                let environments = &freeze.environments;
                freeze.active(self.entry.at)
                    && (environments.is_empty()
                        || environments.contains(&deployment.spec.environment))
            };
            let frozen = self.before.all::<Freeze>().any(|freeze| covers(&freeze.spec));
            let overridden = deployment.meta.annotations.contains_key(OVERRIDE_ANNOTATION);
            if !frozen || overridden {
                continue;
            }
            assert!(
                !matches!(self.entry.intent, Intent::Rollout | Intent::Scale),
                "changed in a freeze: {self}"
            );
            let good = deployment.status.last_good.as_deref();
            let moved = deployment.status.rollout.as_ref().map_or(0, |r| r.moved);
            for new in self.created().filter(|new| Some(new.spec.release.as_str()) != good) {
                let release = &new.spec.release;
                let known = deployment.status.release.as_ref() == Some(release);
                let on = present(self.after, &name).filter(|i| i.spec.release == *release).count();
                let first = good.is_none() && deployment.status.release.is_none();
                assert!(known || first || on as u32 <= moved, "creeps in a freeze: {self}");
            }
        }
    }

    /// A canary never has more of the new release than its step allows.
    fn canary(&self) {
        if !self.by_planner() {
            return;
        }
        for name in self.deployments() {
            let Some(old) = self.before.get::<Deployment>(&name) else { continue };
            let Some(rules) = application(self.before, &old.spec) else { continue };
            let now = self.after.get::<Deployment>(&name).map(|d| d.status.clone());
            let Some(rollout) = now.and_then(|status| status.rollout) else { continue };
            let step = rules.rollout.steps.get(rollout.step as usize);
            let (Some(step), Some(good)) = (step, &old.status.last_good) else { continue };
            if rules.rollout.strategy != Strategy::Canary || *good == rollout.to {
                continue;
            }
            let count = |world: &Snapshot| {
                present(world, &name).filter(|i| i.spec.release == rollout.to).count() as u32
            };
            let wanted = old.spec.instances;
            let bound = step.instances.ceil_of(wanted).min(wanted).max(1);
            let (was, is) = (count(self.before), count(self.after));
            assert!(is <= bound || is <= was, "{is} of {bound} on the canary: {self}");
        }
    }

    /// Nothing is put on a release that is vetoed, or was not let in where something is asked.
    fn entered(&self) {
        for write in &self.entry.writes {
            let Write::Put(Any::Instance(new)) = write else { continue };
            let old = self.before.get::<Instance>(new.name()).map(|old| &old.spec.release);
            let (name, release) = (&new.spec.deployment, &new.spec.release);
            if old == Some(release) || new.meta.deleting() {
                continue;
            }
            let deployment = self.before.get::<Deployment>(name).expect("it is there");
            let (spec, status) = (&deployment.spec, &deployment.status);
            let is_good = status.last_good.as_ref() == Some(release);
            let stored = self.before.get::<Release>(release).expect("it is there");
            if let Some(veto) = &stored.spec.veto {
                let stays = is_good && (!veto.rollback || status.good_before.is_none());
                assert!(stays, "a vetoed release is deployed: {self}");
            }
            let environment = self.before.get::<Environment>(&spec.environment);
            if environment.is_none_or(|e| !e.spec.has_rules()) || is_good {
                continue;
            }
            let name = format!("{release}.{}", spec.environment);
            let let_in = self.before.get::<Promotion>(&name).is_some_and(|promotion| {
                promotion.status.admitted_at.is_some() || promotion.status.good_at.is_some()
            });
            let was_good = status.good_before.as_ref() == Some(release);
            assert!(let_in || was_good, "{release} was not let in: {self}");
        }
    }

    /// No more instances are created than the surplus allows.
    fn total(&self) {
        for name in self.created().map(|i| i.spec.deployment.clone()).collect::<BTreeSet<_>>() {
            let Some(deployment) = self.before.get::<Deployment>(&name) else { continue };
            let Some(rules) = application(self.before, &deployment.spec) else { continue };
            let wanted = deployment.spec.instances;
            let here = self.after.derived::<Instance>(&name).filter(|i| is_here(self.after, i));
            // One more while a host is emptied or a port is taken, where no surplus is allowed.
            let most = rules.rollout.max_total(wanted).max(wanted + 1);
            let total = here.count() as u32;
            assert!(total <= most, "{name}: {total} where {most} may be: {self}");
        }
    }
}

fn is_here(world: &Snapshot, instance: &Object<Instance>) -> bool {
    let host = world.get::<Host>(&instance.spec.host);
    host.is_some_and(|host| host.status.phase != HostPhase::Unknown)
}

/// Instances that are to go on living on hosts that are there.
fn present<'a>(
    world: &'a Snapshot,
    deployment: &str,
) -> impl Iterator<Item = &'a Arc<Object<Instance>>> {
    let all = world.derived::<Instance>(deployment);
    all.filter(move |i| !i.meta.deleting() && is_here(world, i))
}

impl std::fmt::Display for Check<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entry = self.entry;
        writeln!(f, "{} {} {}", entry.at, entry.actor, entry.intent.name())?;
        for write in &entry.writes {
            if let Some(line) = atoll_plan::explain::in_words(self.before, write) {
                writeln!(f, "  {line}")?;
            }
        }
        for name in self.deployments() {
            let Some(any) = self.before.find(Kind::Deployment, &name) else { continue };
            writeln!(f, "{}", any.to_json())?;
            for i in self.before.derived::<Instance>(&name) {
                let s = &i.status;
                let going = if i.meta.deleting() { " going" } else { "" };
                let (release, host) = (&i.spec.release, &i.spec.host);
                let host = self.before.get::<Host>(host).map(|h| (h.name(), h.status.phase));
                writeln!(f, "  {} {release} {:?} on {host:?}{going}", i.name(), s.phase)?;
            }
        }
        Ok(())
    }
}

/// The deployments that are not settled, in short.
pub fn unsettled(sim: &Sim) -> Vec<String> {
    let all = sim.world.all::<Deployment>().filter(|d| d.status.phase != Phase::Settled);
    all.map(|d| Any::Deployment(d.clone()).to_json()).collect()
}

/// What is true once nothing moves any more.
pub fn at_peace(sim: &Sim) {
    for controller in CONTROLLERS {
        for any in sim.world.after(controller.kind, "") {
            let plan = (controller.plan)(&sim.context(), any.name());
            let said: Vec<_> =
                plan.writes.iter().map(|w| atoll_plan::explain::in_words(&sim.world, w)).collect();
            assert!(said.is_empty(), "{}: a settled world plans {said:#?}", any.id());
        }
    }
    for deployment in sim.world.all::<Deployment>() {
        counts(&sim.world, deployment);
        end(&sim.world, deployment);
    }
    for host in sim.world.all::<Host>() {
        assert_ne!(host.status.phase, HostPhase::Unknown, "{} is not back", host.name());
        let left = sim.world.instances_on(host.name()).count();
        assert_eq!(host.status.phase == HostPhase::Drained, host.spec.drain && left == 0);
    }
}

/// The counts of a status are those of the world.
fn counts(world: &Snapshot, deployment: &Object<Deployment>) {
    let (name, status) = (deployment.name(), &deployment.status);
    let all: Vec<_> = world.derived::<Instance>(name).collect();
    let ready = all.iter().filter(|i| serves(world, i)).count() as u32;
    assert_eq!(status.instances, all.len() as u32, "{name}");
    assert_eq!(status.ready, ready, "{name}");
    assert_eq!(status.unavailable, deployment.spec.instances.saturating_sub(ready), "{name}");
    assert_eq!(status.observed_generation, deployment.meta.generation, "{name}");
}

/// Everything is settled but what says why it cannot be.
fn end(world: &Snapshot, deployment: &Object<Deployment>) {
    let (name, status, wanted) = (deployment.name(), &deployment.status, deployment.spec.instances);
    let json = || {
        let mut said = Any::Deployment(Arc::new(deployment.clone())).to_json();
        let all = world.derived::<Instance>(name).map(|i| Any::Instance(i.clone()).to_json());
        all.for_each(|instance| said.push_str(&format!("\n  {instance}")));
        said
    };
    let says = |codes: &[&str]| status.reasons.iter().any(|r| codes.contains(&r.code.as_str()));
    if status.phase != Phase::Settled {
        let why = [
            "unplaceable",
            "not-proven",
            "not-admitted",
            "vetoed",
            "needs",
            "release-missing",
            "stuck",
            "paused",
            "no-last-good",
            "environment-missing",
            "unready",
        ];
        assert!(says(&why), "{name} is not settled and does not say why: {}", json());
        return;
    }
    let live: Vec<_> = present(world, name).collect();
    assert_eq!(live.len() as u32, wanted, "{name} is settled with other than is wanted");
    if wanted > 0 {
        assert_eq!(status.release, status.last_good, "{name} is settled on what is not good");
        for instance in live {
            assert_eq!(Some(&instance.spec.release), status.release.as_ref(), "{name}");
        }
    }
    if let Some(failed) = status.failed.as_ref().filter(|_| wanted > 0) {
        assert!(says(&["rolled-back"]), "does not tell of {}: {}", failed.release, json());
        assert_ne!(status.last_good.as_ref(), Some(&failed.release), "{name}");
    }
}

/// What is looked up by agrees with the tables.
pub fn indexes(world: &Snapshot) {
    let mut anew = Snapshot::default();
    // The other way round than things came to be.
    for kind in Kind::ALL.iter().rev() {
        world.after(*kind, "").for_each(|any| drop(anew.put(any)));
    }
    let mut open: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (zone, hosts) in world.open_hosts() {
        open.insert(zone.clone(), hosts.iter().cloned().collect());
    }
    for (zone, hosts) in anew.open_hosts() {
        assert_eq!(open.remove(zone), Some(hosts.iter().cloned().collect()), "zone {zone}");
    }
    assert!(open.is_empty());
    for host in world.all::<Host>() {
        assert_eq!(world.usage(host.name()), anew.usage(host.name()));
    }
    for application in world.all::<Application>() {
        let names = |world: &Snapshot| -> Vec<String> {
            world.releases_of(application.name()).map(|r| r.meta.name.clone()).collect()
        };
        assert_eq!(names(world), names(&anew));
    }
    for code in ["unplaceable", "frozen", "needs", "rolled-back"] {
        let names = |world: &Snapshot| -> Vec<String> {
            world.deployments_with(code).map(|d| d.meta.name.clone()).collect()
        };
        assert_eq!(names(world), names(&anew));
    }
}
