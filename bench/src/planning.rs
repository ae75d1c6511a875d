//! The planners alone, without server, store or network: how fast instances are placed, and what
//! one change costs in a small and in a large fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use atoll_model::access::Actor;
use atoll_model::agent::{InstanceReport, Report};
use atoll_model::cmdb::{Amount, HostPhase, Spread};
use atoll_model::deployment::{InstancePhase, Phase};
use atoll_model::run::Resources;
use atoll_model::{
    Any, Application, Cpu, Deployment, Environment, Host, Instance, Kind, Memory, Object, Selector,
    Snapshot, Timestamp, Write,
};
use atoll_plan::decision::{Verdict, decide};
use atoll_plan::placement::{Need, place_all};
use atoll_plan::{CONTROLLERS, Context, Measurements, report};
use serde_json::json;

use crate::clock;
use crate::table::median;

/// Instances of each deployment.
const EACH: u32 = 30;
/// Changes of each sort that are timed.
const SAMPLES: usize = 300;
/// So much memory is gone through before each change that is timed. A server has served thousands
/// of polls between two changes: whatever a small world would keep in the processor's caches, and a
/// large one would not, is gone in both.
const BETWEEN: usize = 32 << 20;
/// A world that has not come to rest after so many rounds never will.
const ROUNDS: usize = 50;

/// Places so many instances of one deployment on so many empty hosts; returns how many a second.
///
/// # Errors
/// Not all found a place.
pub fn placement(hosts: usize, instances: usize) -> anyhow::Result<f64> {
    let mut world = Snapshot::default();
    for number in 0..hosts {
        world.put(host(number));
    }
    let need = Need {
        resources: Resources { cpu: Cpu(100), memory: Memory(128 << 20) },
        ports: &[("http".to_owned(), 0)].into(),
        hosts: &Selector::default(),
        to: None,
        dear: None,
        misfits: None,
        spread: &[Spread::Zone, Spread::Host],
        runtime: atoll_model::delivery::Runtime::Process,
    };
    let began = clock::now();
    let places = place_all(&world, need, std::iter::empty(), 0..instances as u64);
    let seconds = began.elapsed().as_secs_f64();
    ensure!(places.len() == instances, "{} of {instances} found a place", places.len());
    Ok(instances as f64 / seconds)
}

/// What one change costs, in microseconds: planned, judged and put into the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// A deployment is scaled by one.
    pub scale: f64,
    /// An instance is gone and is replaced.
    pub heal: f64,
}

/// Measures what a change costs in a settled world of so many hosts.
///
/// # Errors
/// The world does not settle, or a change brings no instance.
pub fn change(hosts: usize) -> anyhow::Result<Cost> {
    let mut world = World::new(hosts)?;
    let names: Vec<String> =
        world.snapshot.all::<Deployment>().map(|d| d.meta.name.clone()).collect();
    let (mut scale, mut heal) = (Vec::new(), Vec::new());
    for sample in 0..SAMPLES {
        // A prime step, so that one change does not follow another in the same corner.
        let name = &names[sample * 7919 % names.len()];
        scale.push(world.timed(|world| world.scale(name, EACH + 1))?);
        world.settle()?;
        world.scale(name, EACH)?;
        world.settle()?;
        let lost = format!("{name}.{}", sample as u32 % EACH);
        heal.push(world.timed(|world| {
            world.take(Kind::Instance, &lost);
            Ok(())
        })?);
        world.settle()?;
    }
    Ok(Cost { scale: median(scale), heal: median(heal) })
}

/// A fleet in memory: the server's loop without a server, and agents without hosts.
struct World {
    snapshot: Snapshot,
    measured: Measurements,
    now: Timestamp,
    dirty: BTreeSet<(usize, String)>,
    /// Instances whose hosts have something new to say of them.
    unheard: BTreeSet<String>,
    /// See [`BETWEEN`].
    elsewhere: Vec<u64>,
}

impl World {
    /// A settled world: a deployment for every ten hosts.
    fn new(hosts: usize) -> anyhow::Result<World> {
        let mut world = World {
            snapshot: Snapshot::default(),
            measured: Measurements::default(),
            now: Timestamp(1_800_000_000_000),
            dirty: BTreeSet::new(),
            unheard: BTreeSet::new(),
            elsewhere: vec![0; BETWEEN / size_of::<u64>()],
        };
        world.put(Any::Environment(Arc::new(stamped("bench", Environment::default()))));
        for number in 0..hosts {
            let host = host(number);
            world.measured.last_heard.insert(host.name().to_owned(), world.now);
            world.put(host);
        }
        for number in 0..hosts / 10 {
            let name = format!("app{number:04}");
            world.put(Any::Application(Arc::new(stamped(&name, application()?))));
        }
        world.settle()?;
        let settled = |d: &&Arc<Object<Deployment>>| {
            d.status.phase == Phase::Settled && d.status.ready == EACH
        };
        let count = world.snapshot.all::<Deployment>().filter(settled).count();
        ensure!(count == hosts / 10, "{count} of {} deployments settled", hosts / 10);
        Ok(world)
    }

    /// Microseconds from a change until the planners have nothing more to write; no agent has
    /// spoken then.
    fn timed(
        &mut self,
        change: impl FnOnce(&mut World) -> anyhow::Result<()>,
    ) -> anyhow::Result<f64> {
        let before = self.snapshot.count(Kind::Instance);
        self.now.0 += 1;
        self.elsewhere.iter_mut().for_each(|word| *word = word.wrapping_add(1));
        std::hint::black_box(&self.elsewhere);
        let began = clock::now();
        change(self)?;
        let changed = self.snapshot.count(Kind::Instance);
        self.plan()?;
        let micros = began.elapsed().as_secs_f64() * 1e6;
        let after = self.snapshot.count(Kind::Instance);
        ensure!(after == changed + 1, "{before} instances became {changed} and then {after}");
        Ok(micros)
    }

    fn scale(&mut self, name: &str, instances: u32) -> anyhow::Result<()> {
        let found = self.snapshot.get::<Deployment>(name);
        let mut changed = (**found.context("the deployment is gone")?).clone();
        changed.spec.instances = instances;
        changed.meta.generation += 1;
        self.put(Any::Deployment(Arc::new(changed)));
        Ok(())
    }

    /// Plans and reports until nothing changes any more.
    fn settle(&mut self) -> anyhow::Result<()> {
        for _ in 0..ROUNDS {
            self.now.0 += 1;
            self.plan()?;
            if self.unheard.is_empty() {
                return Ok(());
            }
            self.report();
        }
        anyhow::bail!("the world of the planners did not come to rest in {ROUNDS} rounds")
    }

    /// Turns the controllers' crank until nothing is dirty.
    fn plan(&mut self) -> anyhow::Result<()> {
        while let Some((index, name)) = self.dirty.pop_first() {
            let controller = &CONTROLLERS[index];
            let cx = Context { world: &self.snapshot, measured: &self.measured, now: self.now };
            let plan = (controller.plan)(&cx, &name);
            if plan.writes.is_empty() {
                continue;
            }
            let plan = match decide(&cx, &Actor::controller(controller.name), plan) {
                Verdict::Commit(plan) => plan,
                other => anyhow::bail!("the gate refuses {}/{name}: {other:?}", controller.name),
            };
            self.commit(plan.writes);
        }
        Ok(())
    }

    /// Hosts do what they are told and say so.
    fn report(&mut self) {
        let mut by_host: BTreeMap<String, Vec<InstanceReport>> = BTreeMap::new();
        for name in std::mem::take(&mut self.unheard) {
            let Some(instance) = self.snapshot.get::<Instance>(&name) else { continue };
            let told = told_of(instance);
            by_host.entry(instance.spec.host.clone()).or_default().push(told);
        }
        for (host, instances) in by_host {
            let told = Report { instances, ..Report::default() };
            let cx = Context { world: &self.snapshot, measured: &self.measured, now: self.now };
            let plan = report::report(&cx, &host, &told);
            self.commit(plan.writes);
        }
    }

    fn commit(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Put(any) => self.put(any),
                Write::Delete { kind, name, .. } => self.take(kind, &name),
            }
        }
    }

    fn put(&mut self, mut any: Any) {
        self.snapshot.revision += 1;
        any.meta_mut().revision = self.snapshot.revision;
        if let Any::Instance(instance) = &any
            && has_news(instance)
        {
            self.unheard.insert(instance.meta.name.clone());
        }
        let old = self.snapshot.put(any.clone());
        self.touch(old.as_ref(), Some(&any));
    }

    fn take(&mut self, kind: Kind, name: &str) {
        self.snapshot.revision += 1;
        let old = self.snapshot.remove(kind, name);
        self.touch(old.as_ref(), None);
    }

    fn touch(&mut self, old: Option<&Any>, new: Option<&Any>) {
        for (index, controller) in CONTROLLERS.iter().enumerate() {
            let touched = (controller.touched)(&self.snapshot, old, new);
            self.dirty.extend(touched.into_iter().map(|name| (index, name)));
        }
    }
}

fn stamped<S: atoll_model::Spec>(name: &str, spec: S) -> Object<S> {
    let mut object = Object::new(name, spec);
    object.meta.generation = 1;
    object.meta.created_at = Some(Timestamp(1_800_000_000_000));
    object
}

fn host(number: usize) -> Any {
    let mut host = stamped(&format!("h{number:05}"), Host::default());
    host.meta.labels.insert("zone".to_owned(), format!("z{}", number % 10));
    host.status.phase = HostPhase::Ready;
    host.status.address = "127.0.0.1".to_owned();
    host.status.capacity = Amount { cpu: Cpu(16_000), memory: Memory(64 << 30), instances: 0 };
    Any::Host(Arc::new(host))
}

fn application() -> anyhow::Result<Application> {
    Ok(serde_json::from_value(json!({
        "run": {
            "command": ["./app", "--port", "{{ports.http}}"],
            "ports": { "http": 0 },
            "resources": { "cpu": "100m", "memory": "128Mi" },
        },
        "rollout": { "healthyFor": "0s" },
        "scaling": { "min": EACH, "max": 1000 },
        "environments": ["bench"],
    }))?)
}

/// Whether its host has not yet said what it has to say.
fn has_news(instance: &Object<Instance>) -> bool {
    let status = &instance.status;
    let stopped = status.phase == InstancePhase::Stopped;
    status.observed_generation < instance.meta.generation || (instance.meta.deleting() && !stopped)
}

fn told_of(instance: &Object<Instance>) -> InstanceReport {
    let runs = !instance.meta.deleting();
    InstanceReport {
        name: instance.meta.name.clone(),
        created_at: instance.meta.created_at,
        generation: instance.meta.generation,
        phase: if runs { InstancePhase::Ready } else { InstancePhase::Stopped },
        release: Some(instance.spec.release.clone()).filter(|_| runs),
        pid: Some(1).filter(|_| runs),
        restarts: 0,
        started_at: instance.meta.created_at,
        prefetched: None,
        image: None,
        reasons: Vec::new(),
    }
}
