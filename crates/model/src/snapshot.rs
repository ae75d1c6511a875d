//! All objects at one revision, with what planners look up by. Cheap to clone: a clone shares
//! everything until one side changes. Not a cache: it never reads a store.

use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};
use keys::{keys, merged, signs, told_by};
use line::Lines;
pub use line::{Cell, Line};
use seat::Seats;
pub use seat::{Seat, Standing};
pub use usage::{Load, Usage};

use crate::object::{Object, Stored};
use crate::run::Resources;
use crate::{
    Any, Deployment, Host, Instance, Item, ItemType, Kind, Release, Scorecard, Tables, Task,
};

mod keys;
mod line;
mod seat;
mod usage;

/// Objects of one kind by name.
pub type Table<S> = OrdMap<String, Arc<Object<S>>>;

/// All objects at one revision.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The revision this is true of.
    pub revision: u64,
    tables: Tables,
    /// The hosts, for whoever looks one up for each of many instances: several times as fast as by
    /// order. So is what is placed on each.
    hosts: HashMap<String, Arc<Object<Host>>>,
    seats: Seats,
    lines: Lines,
    usage: HashMap<String, Usage>,
    open: OrdMap<String, OrdSet<(Load, String)>>,
    releases: OrdMap<String, OrdSet<(u64, String)>>,
    waiting: OrdSet<(String, String)>,
    findings: OrdSet<(String, String)>,
    queued: OrdSet<String>,
    /// Hosts by what their machines are told by: the sign and its value, and the host.
    signs: OrdSet<(String, String)>,
    /// Items that were merged into another: the other, and the item.
    merged: OrdSet<(String, String)>,
    /// Items by what the rules of their class tell them by, and the item.
    told: OrdSet<(String, String)>,
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
        // Found by deployment and number: of large fleets by far most is asked of instances.
        let seat = (kind == Kind::Instance).then(|| self.seats.find(name)).flatten();
        match seat {
            Some(seat) => Some(Any::Instance(seat.instance.clone())),
            None => self.tables.find(kind, name),
        }
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

    /// The instances of a deployment, by ordinal, with what is looked at of all of them.
    pub fn seats(&self, deployment: &str) -> impl Iterator<Item = &Seat> {
        self.seats.of(deployment).into_iter().flat_map(|seats| seats.values())
    }

    /// How many instances of a deployment go on living in each zone, where any do: counted as they
    /// come and go, whatever their number.
    pub fn in_zones(&self, deployment: &str) -> impl Iterator<Item = (&str, u32)> {
        let zones = self.seats.zones(deployment).into_iter().flat_map(|zones| zones.iter());
        zones.map(|(zone, count)| (&**zone, *count))
    }

    /// What is placed on a host.
    pub fn usage(&self, host: &str) -> Option<&Usage> {
        self.usage.get(host)
    }

    /// The instances on a host.
    pub fn instances_on(&self, host: &str) -> impl Iterator<Item = &Arc<Object<Instance>>> {
        self.usage.get(host).into_iter().flat_map(|usage| usage.instances.values())
    }

    /// The instance of that name, if it is on that host: found faster than by [`Snapshot::get`].
    pub fn instance_on(&self, host: &str, name: &str) -> Option<&Arc<Object<Instance>>> {
        self.usage.get(host)?.instances.get(name)
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

    /// The items of a class for which a rule, by its place among those of the class, looks at these
    /// values, whether they say anything or not.
    pub fn items_with(
        &self,
        class: &str,
        rule: usize,
        values: &[String],
    ) -> impl Iterator<Item = &str> {
        let key = told_by(class, rule, values);
        let (from, to) = ((key.clone(), String::new()), (format!("{key}\0"), String::new()));
        self.told.range(from..to).map(|(_, item)| item.as_str())
    }

    /// Whether anything was merged into an item. Where nothing was merged at all, that is known at
    /// once.
    pub fn stands_for_others(&self, item: &str) -> bool {
        !self.merged.is_empty() && self.merged_into(item).next().is_some()
    }

    /// Puts an object in; returns what stood there.
    pub fn put(&mut self, any: Any) -> Option<Any> {
        let old = self.find(any.kind(), any.name());
        if let (Some(Any::Instance(old)), Any::Instance(new)) = (&old, &any)
            && old.spec == new.spec
        {
            self.replace(new);
            self.tables.insert(any);
        } else {
            if let Some(old) = &old {
                self.unindex(old);
            }
            self.tables.insert(any.clone());
            self.index(&any);
        }
        old
    }

    /// An instance that is as it was but for what is said of it: it is where it was. Most writes
    /// of large fleets are of that kind.
    fn replace(&mut self, instance: &Arc<Object<Instance>>) {
        if let Some(usage) = self.usage.get_mut(&instance.spec.host) {
            usage.instances.insert(instance.meta.name.clone(), instance.clone());
        }
        self.seats.put(instance, self.hosts.get(&instance.spec.host));
    }

    /// Takes an object out; returns it.
    pub fn remove(&mut self, kind: Kind, name: &str) -> Option<Any> {
        let old = self.find(kind, name)?;
        self.unindex(&old);
        self.tables.remove(kind, name)
    }

    /// **Invariant:** `index` and `unindex` are inverse, and every change of a table is between
    /// them, so what is looked up by always agrees with the tables.
    fn index(&mut self, any: &Any) {
        match any {
            Any::Facts(facts) => self.signs.extend(signs(facts)),
            Any::Item(item) => {
                self.lines.put(item);
                self.merged.extend(merged(item));
                let keys = self.keys_of(item);
                self.told.extend(keys);
            }
            Any::ItemType(class) => {
                let keys = self.keys_of_all(class);
                self.told.extend(keys);
            }
            Any::Instance(instance) => {
                self.count_instance(instance, true);
                self.seats.put(instance, self.hosts.get(&instance.spec.host));
            }
            Any::Host(host) => {
                self.hosts.insert(host.meta.name.clone(), host.clone());
                self.seat_anew(host.name());
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
            Any::Item(item) => {
                self.lines.remove(item.name());
                merged(item).for_each(|key| drop(self.merged.remove(&key)));
                for key in self.keys_of(item) {
                    self.told.remove(&key);
                }
            }
            Any::ItemType(class) => {
                for key in self.keys_of_all(class) {
                    self.told.remove(&key);
                }
            }
            Any::Instance(instance) => {
                self.count_instance(instance, false);
                self.seats.remove(instance);
            }
            Any::Host(host) => {
                self.close_host(host);
                self.hosts.remove(&host.meta.name);
                self.seat_anew(host.name());
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

    /// What is on a host is seen with it as it is now.
    fn seat_anew(&mut self, host: &str) {
        let on_it: Vec<_> = self.instances_on(host).cloned().collect();
        for instance in on_it {
            self.seats.put(&instance, self.hosts.get(host));
        }
    }

    /// What an item is looked up by according to the rules its class has now.
    fn keys_of(&self, item: &Object<Item>) -> Vec<(String, String)> {
        self.get::<ItemType>(&item.spec.of).map(|class| keys(class, item)).unwrap_or_default()
    }

    fn keys_of_all(&self, class: &Object<ItemType>) -> Vec<(String, String)> {
        if class.spec.identity.is_empty() {
            return Vec::new();
        }
        let of = self.all::<Item>().filter(|item| item.spec.of == class.meta.name);
        of.flat_map(|item| keys(class, item)).collect()
    }

    fn count_instance(&mut self, instance: &Arc<Object<Instance>>, added: bool) {
        let spec = &instance.spec;
        self.reserve(&spec.host, spec.resources, added, |usage| {
            let name = &instance.meta.name;
            if added {
                usage.instances.insert(name.clone(), instance.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmdb::item::IdentityRule;
    use crate::cmdb::{Amount, DEFAULT_ZONE, HostPhase};
    use crate::{Cpu, Memory};

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
                replaces: None,
            },
        )))
    }

    fn order(snapshot: &Snapshot) -> Vec<String> {
        snapshot.open_hosts().flat_map(|(_, set)| set.iter().map(|(_, n)| n.clone())).collect()
    }

    #[test]
    fn items_are_looked_up_by_the_rules_their_class_has_now() {
        let class = |attribute: &str| {
            let attributes = vec![attribute.to_owned()];
            let rule = IdentityRule { name: "one".into(), attributes, weak: false };
            let spec = ItemType { identity: vec![rule], ..ItemType::default() };
            Any::ItemType(Arc::new(Object::new("disk", spec)))
        };
        let disk = |name: &str, serial: &str| {
            let mut disk = Object::new(name, Item { of: "disk".into(), ..Item::default() });
            disk.spec.attributes = [
                ("serial".to_owned(), serial.into()),
                ("mac".to_owned(), "AA-BB-CC-00-00-01".into()),
            ]
            .into();
            Any::Item(Arc::new(disk))
        };
        let mut snapshot = Snapshot::default();
        let with = |snapshot: &Snapshot, value: &str| {
            let values = [value.to_owned()];
            snapshot.items_with("disk", 0, &values).map(str::to_owned).collect::<Vec<_>>()
        };
        snapshot.put(disk("a", "S1"));
        snapshot.put(class("serial"));
        snapshot.put(disk("b", "s1"));
        assert_eq!(with(&snapshot, "s1"), ["a", "b"], "whichever was there first");
        snapshot.put(disk("a", "S2"));
        assert_eq!(with(&snapshot, "s1"), ["b"]);
        snapshot.put(class("mac"));
        assert_eq!(with(&snapshot, "s1"), [""; 0]);
        assert_eq!(with(&snapshot, "aabbcc000001"), ["a", "b"]);
        snapshot.remove(Kind::Item, "b");
        assert_eq!(with(&snapshot, "aabbcc000001"), ["a"]);
        snapshot.remove(Kind::ItemType, "disk");
        assert!(snapshot.told.is_empty());
    }

    #[test]
    fn what_is_looked_at_of_instances_follows_them_and_their_hosts() {
        let mut snapshot = Snapshot::default();
        let seen = |snapshot: &Snapshot| {
            let mut zones: std::collections::BTreeMap<&str, u32> = Default::default();
            let lives = |seat: &&Seat| !seat.deleting && seat.standing == Standing::Staying;
            for seat in snapshot.seats("web.prod").filter(lives) {
                *zones.entry(&seat.zone).or_default() += 1;
            }
            assert!(zones.into_iter().eq(snapshot.in_zones("web.prod")), "zones are counted");
            let all = snapshot.seats("web.prod");
            all.map(|seat| (seat.ordinal, seat.standing, seat.ready, seat.zone.to_string()))
                .collect::<Vec<_>>()
        };
        snapshot.put(instance(10, "a"));
        snapshot.put(instance(9, "a"));
        assert_eq!(
            seen(&snapshot),
            [(9, Standing::Gone, false, String::new()), (10, Standing::Gone, false, String::new())]
        );
        snapshot.put(host("a"));
        let zone = DEFAULT_ZONE.to_owned();
        assert_eq!(seen(&snapshot)[0], (9, Standing::Staying, false, zone.clone()));

        // Only what is said of it is another: it stays where it is, and is seen as it is now.
        let mut ready = Object::clone(snapshot.get::<Instance>("web.prod.9").unwrap());
        ready.status.phase = crate::deployment::InstancePhase::Ready;
        ready.status.release = Some(ready.spec.release.clone());
        snapshot.put(Any::Instance(Arc::new(ready)));
        assert_eq!(seen(&snapshot)[0], (9, Standing::Staying, true, zone.clone()));
        let on_it = snapshot.instances_on("a").find(|i| i.spec.ordinal == 9).unwrap();
        assert!(on_it.is_ready());
        assert_eq!(snapshot.usage("a").unwrap().amount.cpu, Cpu(200), "it is counted once");

        let mut lost = Object::new("a", Host::default());
        lost.status.phase = HostPhase::Unknown;
        snapshot.put(Any::Host(Arc::new(lost)));
        assert_eq!(seen(&snapshot)[0], (9, Standing::Lost, true, zone));
        snapshot.remove(Kind::Host, "a");
        assert_eq!(seen(&snapshot)[0], (9, Standing::Gone, true, String::new()));
        snapshot.remove(Kind::Instance, "web.prod.9");
        snapshot.remove(Kind::Instance, "web.prod.10");
        assert!(seen(&snapshot).is_empty());
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
