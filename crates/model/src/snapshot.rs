//! All objects at one revision, with what planners look up by. Cheap to clone: a clone shares
//! everything until one side changes. Not a cache: it never reads a store.

use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};

use crate::cmdb::facts::FactsData;
use crate::cmdb::{Amount, DEFAULT_ZONE, HostPhase, ZONE_LABEL};
use crate::object::{Object, Stored};
use crate::quantity::{Cpu, Memory};
use crate::run::Resources;
use crate::{Any, Deployment, Facts, Host, Instance, Item, Kind, Release, Scorecard, Tables, Task};

/// Objects of one kind by name.
pub type Table<S> = OrdMap<String, Arc<Object<S>>>;

/// All objects at one revision.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The revision this is true of.
    pub revision: u64,
    tables: Tables,
    /// The hosts, for whoever looks one up for each of many instances: several times as fast as by
    /// order.
    hosts: HashMap<String, Arc<Object<Host>>>,
    usage: OrdMap<String, Usage>,
    open: OrdMap<String, OrdSet<(Load, String)>>,
    releases: OrdMap<String, OrdSet<(u64, String)>>,
    waiting: OrdSet<(String, String)>,
    findings: OrdSet<(String, String)>,
    queued: OrdSet<String>,
    /// Hosts by what their machines are told by: the sign and its value, and the host.
    signs: OrdSet<(String, String)>,
    /// Items that were merged into another: the other, and the item.
    merged: OrdSet<(String, String)>,
}

/// What is placed on one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Reserved in all.
    pub amount: Amount,
    /// The instances, by name.
    pub instances: OrdSet<String>,
    /// The ports given out.
    pub ports: OrdSet<u16>,
    /// The tasks that are not over, by name.
    pub tasks: OrdSet<String>,
}

impl Usage {
    fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.tasks.is_empty()
    }
}

/// How full a host is: the fuller of cpu and memory, in 1/10,000, then the number of instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// The share that is reserved.
    pub share: u32,
    /// How many instances there are.
    pub instances: u32,
}

impl Load {
    /// The load of `used` on a machine of `capacity`.
    pub fn of(used: Amount, capacity: Amount) -> Load {
        let share = |used: u64, of: u64| {
            if of == 0 { u32::MAX } else { (u128::from(used) * 10_000 / u128::from(of)) as u32 }
        };
        Load {
            share: share(used.cpu.0, capacity.cpu.0).max(share(used.memory.0, capacity.memory.0)),
            instances: used.instances,
        }
    }
}

impl Host {
    /// What instances may use of a machine: its capacity less the reserve.
    pub fn usable(&self, capacity: Amount) -> Amount {
        let reserve = self.reserve.map_or((0, 0), |r| (r.cpu.0, r.memory.0));
        Amount {
            cpu: Cpu(capacity.cpu.0.saturating_sub(reserve.0)),
            memory: Memory(capacity.memory.0.saturating_sub(reserve.1)),
            instances: capacity.instances,
        }
    }
}

impl Object<Host> {
    /// Whether new instances may be placed here.
    pub fn is_open(&self) -> bool {
        self.status.phase == HostPhase::Ready
            && !self.spec.cordon
            && !self.spec.drain
            && !self.meta.deleting()
    }

    /// The zone it is in.
    pub fn zone(&self) -> &str {
        self.meta.labels.get(ZONE_LABEL).map_or(DEFAULT_ZONE, String::as_str)
    }
}

impl Snapshot {
    /// The object of that name.
    pub fn get<S: Stored>(&self, name: &str) -> Option<&Arc<Object<S>>> {
        S::table(&self.tables).get(name)
    }

    /// All objects of a kind, by name.
    pub fn all<S: Stored>(&self) -> impl Iterator<Item = &Arc<Object<S>>> {
        S::table(&self.tables).values()
    }

    /// The object of a kind known at run time only.
    pub fn find(&self, kind: Kind, name: &str) -> Option<Any> {
        self.tables.find(kind, name)
    }

    /// The objects of a kind known at run time only whose names come after `after`, by name.
    pub fn after(&self, kind: Kind, after: &str) -> impl Iterator<Item = Any> + '_ {
        self.tables.after(kind, after)
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.tables.count(kind)
    }

    /// The objects of a kind whose names start with `parent` and a dot: those derived from it.
    pub fn derived<S: Stored>(&self, parent: &str) -> impl Iterator<Item = &Arc<Object<S>>> {
        // '/' is the character after '.', so the range holds what starts with `parent.`.
        let (from, to) = (format!("{parent}."), format!("{parent}/"));
        S::table(&self.tables).range(from..to).map(|(_, object)| object)
    }

    /// The host of that name, found faster than by [`Snapshot::get`].
    pub fn host(&self, name: &str) -> Option<&Arc<Object<Host>>> {
        self.hosts.get(name)
    }

    /// What is placed on a host.
    pub fn usage(&self, host: &str) -> Option<&Usage> {
        self.usage.get(host)
    }

    /// The instances on a host.
    pub fn instances_on(&self, host: &str) -> impl Iterator<Item = &Arc<Object<Instance>>> {
        let names = self.usage.get(host).into_iter().flat_map(|usage| usage.instances.iter());
        names.filter_map(|name| self.get::<Instance>(name))
    }

    /// The tasks on a host that are not over.
    pub fn tasks_on(&self, host: &str) -> impl Iterator<Item = &Arc<Object<Task>>> {
        let names = self.usage.get(host).into_iter().flat_map(|usage| usage.tasks.iter());
        names.filter_map(|name| self.get::<Task>(name))
    }

    /// The tasks that have no host yet, by name.
    pub fn queued_tasks(&self) -> impl Iterator<Item = &Arc<Object<Task>>> {
        self.queued.iter().filter_map(|name| self.get::<Task>(name))
    }

    /// For each zone, its hosts open to new instances, the emptiest first.
    pub fn open_hosts(&self) -> impl Iterator<Item = (&String, &OrdSet<(Load, String)>)> {
        self.open.iter()
    }

    /// The releases of an application, by number.
    pub fn releases_of(&self, application: &str) -> impl Iterator<Item = &Arc<Object<Release>>> {
        let names = self.releases.get(application).into_iter().flat_map(|set| set.iter());
        names.filter_map(|(_, name)| self.get::<Release>(name))
    }

    /// The releases of an application that are meant for environments, the newest first: those of
    /// other branches are left out.
    pub fn mainline(&self, application: &str) -> impl Iterator<Item = &Arc<Object<Release>>> {
        let names = self.releases.get(application).into_iter().flat_map(|set| set.iter().rev());
        let all = names.filter_map(|(_, name)| self.get::<Release>(name));
        all.filter(|release| release.spec.branch.is_none())
    }

    /// The newest of them.
    pub fn newest_release(&self, application: &str) -> Option<&Arc<Object<Release>>> {
        self.mainline(application).next()
    }

    /// The number of the newest release of an application, whatever its branch; 0, if none.
    pub fn last_number(&self, application: &str) -> u64 {
        let last = self.releases.get(application).and_then(|set| set.get_max());
        last.map_or(0, |(number, _)| *number)
    }

    /// The deployments that have a reason of this code in their status, by name.
    pub fn deployments_with(&self, code: &str) -> impl Iterator<Item = &Arc<Object<Deployment>>> {
        let (from, to) = ((code.to_owned(), String::new()), (format!("{code}\0"), String::new()));
        self.waiting.range(from..to).filter_map(|(_, name)| self.get::<Deployment>(name))
    }

    /// The scorecards that list a finding of a standard, by name.
    pub fn scorecards_with(&self, standard: &str) -> impl Iterator<Item = &Arc<Object<Scorecard>>> {
        let (from, to) =
            ((standard.to_owned(), String::new()), (format!("{standard}\0"), String::new()));
        self.findings.range(from..to).filter_map(|(_, name)| self.get::<Scorecard>(name))
    }

    /// The hosts whose machines show a sign of this value.
    pub fn hosts_with(&self, sign: &str, value: &str) -> impl Iterator<Item = &str> {
        let key = format!("{sign}={value}");
        let (from, to) = ((key.clone(), String::new()), (format!("{key}\0"), String::new()));
        self.signs.range(from..to).map(|(_, host)| host.as_str())
    }

    /// The items that were merged into another.
    pub fn merged_into(&self, item: &str) -> impl Iterator<Item = &Arc<Object<Item>>> {
        let (from, to) = ((item.to_owned(), String::new()), (format!("{item}\0"), String::new()));
        self.merged.range(from..to).filter_map(|(_, name)| self.get::<Item>(name))
    }

    /// Puts an object in; returns what stood there.
    pub fn put(&mut self, any: Any) -> Option<Any> {
        let (kind, name) = (any.kind(), any.name().to_owned());
        let old = self.tables.find(kind, &name);
        if let Some(old) = &old {
            self.unindex(old);
        }
        self.tables.insert(any.clone());
        self.index(&any);
        old
    }

    /// Takes an object out; returns it.
    pub fn remove(&mut self, kind: Kind, name: &str) -> Option<Any> {
        let old = self.tables.find(kind, name)?;
        self.unindex(&old);
        self.tables.remove(kind, name)
    }

    /// **Invariant:** `index` and `unindex` are inverse, and every change of a table is between
    /// them, so what is looked up by always agrees with the tables.
    fn index(&mut self, any: &Any) {
        match any {
            Any::Facts(facts) => self.signs.extend(signs(facts)),
            Any::Item(item) => self.merged.extend(merged(item)),
            Any::Instance(instance) => self.count_instance(instance, true),
            Any::Host(host) => {
                self.hosts.insert(host.meta.name.clone(), host.clone());
                self.open_host(host);
            }
            Any::Release(release) => {
                let key = (release.spec.number, release.meta.name.clone());
                self.releases.entry(release.spec.application.clone()).or_default().insert(key);
            }
            Any::Task(task) => match &task.spec.host {
                _ if task.status.phase.is_over() => {}
                Some(host) => self.count_task(host, task, true),
                None => drop(self.queued.insert(task.meta.name.clone())),
            },
            Any::Deployment(deployment) => {
                for reason in &deployment.status.reasons {
                    self.waiting.insert((reason.code.clone(), deployment.meta.name.clone()));
                }
            }
            Any::Scorecard(card) => {
                for finding in &card.status.findings {
                    self.findings.insert((finding.standard.clone(), card.meta.name.clone()));
                }
            }
            _ => {}
        }
    }

    fn unindex(&mut self, any: &Any) {
        match any {
            Any::Facts(facts) => signs(facts).for_each(|key| drop(self.signs.remove(&key))),
            Any::Item(item) => merged(item).for_each(|key| drop(self.merged.remove(&key))),
            Any::Instance(instance) => self.count_instance(instance, false),
            Any::Host(host) => {
                self.close_host(host);
                self.hosts.remove(&host.meta.name);
            }
            Any::Release(release) => {
                let key = (release.spec.number, release.meta.name.clone());
                let application = &release.spec.application;
                if let Some(set) = self.releases.get_mut(application) {
                    set.remove(&key);
                    if set.is_empty() {
                        self.releases.remove(application);
                    }
                }
            }
            Any::Task(task) => match &task.spec.host {
                _ if task.status.phase.is_over() => {}
                Some(host) => self.count_task(host, task, false),
                None => drop(self.queued.remove(&task.meta.name)),
            },
            Any::Deployment(deployment) => {
                for reason in &deployment.status.reasons {
                    self.waiting.remove(&(reason.code.clone(), deployment.meta.name.clone()));
                }
            }
            Any::Scorecard(card) => {
                for finding in &card.status.findings {
                    self.findings.remove(&(finding.standard.clone(), card.meta.name.clone()));
                }
            }
            _ => {}
        }
    }

    fn count_instance(&mut self, instance: &Object<Instance>, added: bool) {
        let spec = &instance.spec;
        self.reserve(&spec.host, spec.resources, added, |usage| {
            let name = &instance.meta.name;
            if added {
                usage.instances.insert(name.clone());
                usage.ports.extend(spec.ports.values().copied());
            } else {
                usage.instances.remove(name);
                for port in spec.ports.values() {
                    usage.ports.remove(port);
                }
            }
        });
    }

    /// A task takes its share of a host as an instance does, so that neither overbooks it.
    fn count_task(&mut self, host: &str, task: &Object<Task>, added: bool) {
        self.reserve(host, task.spec.work.reserves(), added, |usage| {
            let name = &task.meta.name;
            if added {
                usage.tasks.insert(name.clone());
            } else {
                usage.tasks.remove(name);
            }
        });
    }

    fn reserve(&mut self, name: &str, need: Resources, added: bool, note: impl FnOnce(&mut Usage)) {
        let host = self.host(name).cloned();
        if let Some(host) = &host {
            self.close_host(host);
        }
        let usage = self.usage.entry(name.to_owned()).or_default();
        if added {
            usage.amount.cpu.0 += need.cpu.0;
            usage.amount.memory.0 += need.memory.0;
        } else {
            usage.amount.cpu.0 -= need.cpu.0;
            usage.amount.memory.0 -= need.memory.0;
        }
        note(usage);
        usage.amount.instances = usage.instances.len() as u32;
        if usage.is_empty() {
            self.usage.remove(name);
        }
        if let Some(host) = &host {
            self.open_host(host);
        }
    }

    fn open_key(&self, host: &Object<Host>) -> (Load, String) {
        let used = self.usage.get(&host.meta.name).map(|u| u.amount).unwrap_or_default();
        (Load::of(used, host.spec.usable(host.status.capacity)), host.meta.name.clone())
    }

    fn open_host(&mut self, host: &Object<Host>) {
        if host.is_open() {
            let key = self.open_key(host);
            self.open.entry(host.zone().to_owned()).or_default().insert(key);
        }
    }

    fn close_host(&mut self, host: &Object<Host>) {
        if host.is_open() {
            let key = self.open_key(host);
            if let Some(set) = self.open.get_mut(host.zone()) {
                set.remove(&key);
                if set.is_empty() {
                    self.open.remove(host.zone());
                }
            }
        }
    }
}

/// What the machine of a host is told by, as it is looked up.
fn signs(facts: &Object<Facts>) -> impl Iterator<Item = (String, String)> {
    let system = match &facts.status.data {
        Some(FactsData::System(system)) => Some(system),
        _ => None,
    };
    let all = system.into_iter().flat_map(|system| system.signs());
    let known = all.filter(|(_, parts)| parts.iter().all(|part| !part.is_empty()));
    let host = facts.spec.host.clone();
    known.map(move |(sign, parts)| (format!("{sign}={}", parts.join("/")), host.clone()))
}

fn merged(item: &Object<Item>) -> impl Iterator<Item = (String, String)> {
    let into = item.spec.merged_into.clone();
    let name = item.meta.name.clone();
    into.into_iter().map(move |into| (into, name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Any {
        let mut host = Object::new(name, Host::default());
        host.status.phase = HostPhase::Ready;
        host.status.capacity = Amount { cpu: Cpu(1000), memory: Memory(1 << 30), instances: 0 };
        Any::Host(Arc::new(host))
    }

    fn instance(ordinal: u32, on: &str) -> Any {
        Any::Instance(Arc::new(Object::new(
            format!("web.prod.{ordinal}"),
            Instance {
                deployment: "web.prod".into(),
                ordinal,
                release: "web-1".into(),
                host: on.into(),
                ports: [("http".to_owned(), 20_000 + ordinal as u16)].into(),
                resources: Resources { cpu: Cpu(100), memory: Memory(1 << 20) },
                prefetch: None,
                runtime: crate::delivery::Runtime::Process,
            },
        )))
    }

    fn order(snapshot: &Snapshot) -> Vec<String> {
        snapshot.open_hosts().flat_map(|(_, set)| set.iter().map(|(_, n)| n.clone())).collect()
    }

    #[test]
    fn hosts_are_ordered_by_load_whatever_comes_first() {
        let mut snapshot = Snapshot::default();
        snapshot.put(instance(0, "a"));
        snapshot.put(host("a"));
        snapshot.put(host("b"));
        assert_eq!(order(&snapshot), ["b", "a"]);
        snapshot.put(instance(1, "b"));
        snapshot.put(instance(2, "b"));
        assert_eq!(order(&snapshot), ["a", "b"]);
        assert_eq!(snapshot.derived::<Instance>("web.prod").count(), 3);
        assert_eq!(snapshot.instances_on("b").count(), 2);

        let before = snapshot.clone();
        for name in ["web.prod.0", "web.prod.1", "web.prod.2"] {
            snapshot.remove(Kind::Instance, name);
        }
        assert!(snapshot.usage("b").is_none());
        assert_eq!(order(&snapshot), ["a", "b"]);
        assert_eq!(before.instances_on("b").count(), 2, "a clone is not changed");
        snapshot.remove(Kind::Host, "a");
        assert_eq!(order(&snapshot), ["b"]);
    }
}
