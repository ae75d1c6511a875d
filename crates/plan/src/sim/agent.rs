//! A host of the simulated fleet: an agent that acts on assignments and reports, and the
//! processes it keeps. What these are is in `process.rs`.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::agent::{
    AssignedInstance, Assignment, FoundImage, HostFacts, InstanceReport, Report,
};
use atoll_model::cmdb::{AgentStatus, Amount};
use atoll_model::config::{AssignedConfig, ConfigAck};
use atoll_model::deployment::InstancePhase;
use atoll_model::snapshot::Usage;
use atoll_model::{Host, Instance, Object, Reason, Snapshot, Span, Timestamp};

use super::jobs::Jobs;
use super::process::{Behaviour, Change, Due, Process, Step};
use super::random::Random;

/// Ports from here on are lent by the system for a moment: an agent does not tell who has them.
const LENT: u16 = 32_768;

/// A simulated host.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    /// What the machine has.
    pub capacity: Amount,
    /// The machine runs.
    pub up: bool,
    /// It reaches a server.
    pub linked: bool,
    /// The container engine it has.
    pub engine: String,
    /// Ports something else listens on.
    pub foreign: BTreeSet<u16>,
    /// What instances need is missing there: they die as soon as they are started.
    pub unfit: bool,
    /// Its tasks.
    pub jobs: Jobs,
    /// It says what comes of a process that is started for the first time, or stopped, and not on
    /// the way.
    pub terse: bool,
    /// It says nothing before: what it said last was not answered yet.
    pub waits_until: Timestamp,
    acted_on: u64,
    processes: BTreeMap<String, Process>,
    configs: BTreeMap<String, BTreeMap<String, ConfigAck>>,
    unsaid: BTreeSet<String>,
    ahead: BTreeSet<String>,
    ahead_unsaid: bool,
    say_all: bool,
    /// What has begun to serve and ceased to since [`Agent::changes`] was asked last.
    changes: Vec<Change>,
    lives: u64,
}

impl Agent {
    pub fn new(capacity: Amount) -> Agent {
        Agent {
            capacity,
            up: true,
            linked: true,
            engine: String::new(),
            foreign: BTreeSet::new(),
            unfit: false,
            jobs: Jobs::default(),
            terse: false,
            waits_until: Timestamp(0),
            acted_on: 0,
            processes: BTreeMap::new(),
            configs: BTreeMap::new(),
            unsaid: BTreeSet::new(),
            ahead: BTreeSet::new(),
            ahead_unsaid: false,
            say_all: true,
            changes: Vec::new(),
            lives: 0,
        }
    }

    /// The agent of a host as a world knows it: what is up and ready there runs, and is not news.
    /// What is under way begins anew.
    pub fn of(world: &Snapshot, host: &Object<Host>) -> Agent {
        let mut agent = Agent::new(host.status.capacity);
        agent.engine.clone_from(&host.status.agent.engine);
        agent.foreign.clone_from(&host.status.taken_ports);
        agent.say_all = false;
        for assigned in crate::report::assignment(world, host.name()).instances {
            let Some(instance) = world.get::<Instance>(&assigned.name) else { continue };
            let status = &instance.status;
            let serves = matches!(status.phase, InstancePhase::Ready | InstancePhase::Unready);
            let same = status.observed_generation == assigned.generation && !assigned.stop;
            if !serves || !same {
                continue;
            }
            agent.lives += 1;
            let said = InstanceReport {
                name: assigned.name.clone(),
                created_at: Some(assigned.created_at),
                generation: assigned.generation,
                phase: status.phase,
                release: status.release.clone(),
                pid: status.pid,
                restarts: status.restarts,
                started_at: status.started_at,
                prefetched: status.prefetched.clone(),
                image: None,
                reasons: status.reasons.clone(),
            };
            agent.configs.insert(assigned.name.clone(), status.configs.clone());
            let name = assigned.name.clone();
            let process = Process { assigned, said, life: agent.lives, deaths: 0 };
            agent.changes.extend(process.serves().then(|| process.change(true)));
            agent.processes.insert(name, process);
        }
        agent
    }

    /// What has begun to serve and ceased to since this was asked last.
    pub fn changes(&mut self) -> std::vec::Drain<'_, Change> {
        self.changes.drain(..)
    }

    /// Notes that what serves ceases to.
    fn cease(changes: &mut Vec<Change>, process: &Process) {
        changes.extend(process.serves().then(|| process.change(false)));
    }

    /// Up to which revision it knows what it is to do.
    pub fn acted_on(&self) -> u64 {
        self.acted_on
    }

    /// It has to be told everything anew.
    pub fn forget_told(&mut self) {
        self.acted_on = 0;
    }

    /// Acts on an assignment, unless it has acted on a newer one. What is on the host by its
    /// `usage` and not in the assignment goes on as it was.
    pub fn take(
        &mut self,
        assignment: Assignment,
        usage: Option<&Usage>,
        now: Timestamp,
        random: &mut Random,
    ) -> Vec<Due> {
        if assignment.revision < self.acted_on {
            return Vec::new();
        }
        self.acted_on = assignment.revision;
        let kept = |name: &str| usage.is_some_and(|usage| usage.instances.contains_key(name));
        for name in self.gone(&assignment.instances, usage, kept) {
            let process = self.processes.remove(&name);
            process.iter().for_each(|process| Agent::cease(&mut self.changes, process));
            self.unsaid.remove(&name);
        }
        self.configs.retain(|instance, _| {
            let told = assignment.instances.iter().any(|assigned| assigned.name == *instance);
            kept(instance) && (!told || assignment.configs.contains_key(instance))
        });
        let mut due = self.jobs.take(assignment.tasks, now, random);
        for assigned in assignment.instances {
            let release = assignment.releases.get(&assigned.release);
            let image = release.filter(|r| r.pinned.is_none()).and_then(|r| r.image.clone());
            let (name, release) = (assigned.name.clone(), assigned.release.clone());
            due.extend(self.take_one(assigned, random));
            if let (Some(image), Some(process)) = (image, self.processes.get_mut(&name)) {
                let image = format!("{image}@sha256:{:064x}", crate::checksum([image.as_bytes()]));
                process.said.image = Some(FoundImage { release, image });
            }
        }
        self.take_configs(&assignment.configs);
        self.ahead_unsaid |= self.ahead != assignment.ahead;
        self.ahead = assignment.ahead;
        due
    }

    /// What is there and is to be on the host no more. That is looked for only where there is more
    /// than is to be: all that is to be on it is there once the assignment is taken.
    fn gone(
        &self,
        assigned: &[AssignedInstance],
        usage: Option<&Usage>,
        kept: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let is_new = |one: &&AssignedInstance| !self.processes.contains_key(&one.name);
        let new = assigned.iter().filter(is_new).count();
        if self.processes.len() + new == usage.map_or(0, |usage| usage.instances.len()) {
            return Vec::new();
        }
        self.processes.keys().filter(|name| !kept(name)).cloned().collect()
    }

    /// Delivers configuration: its processes have it at once.
    fn take_configs(&mut self, assigned: &BTreeMap<String, Vec<AssignedConfig>>) {
        let ack = |c: &AssignedConfig| {
            (c.name.clone(), ConfigAck { version: c.version, ..ConfigAck::default() })
        };
        for (instance, configs) in assigned {
            let acks: BTreeMap<String, ConfigAck> = configs.iter().map(ack).collect();
            let versions = |acks: &BTreeMap<String, ConfigAck>| {
                acks.iter().map(|(name, ack)| (name.clone(), ack.version)).collect::<Vec<_>>()
            };
            if self.configs.get(instance).map(versions) != Some(versions(&acks)) {
                self.configs.insert(instance.clone(), acks);
                self.unsaid.insert(instance.clone());
            }
        }
    }

    fn take_one(&mut self, assigned: AssignedInstance, random: &mut Random) -> Option<Due> {
        let name = assigned.name.clone();
        let known = self.processes.get(&name).filter(|p| {
            // Another object of the same name is another instance.
            p.assigned.created_at == assigned.created_at
        });
        if let Some(process) = known {
            let same = process.assigned.generation == assigned.generation
                && process.assigned.stop == assigned.stop;
            if same {
                return self.fetch_ahead(&name, assigned);
            }
        }
        self.lives += 1;
        let fetched = known.and_then(|p| p.said.prefetched.clone());
        let ran = known.filter(|p| p.said.phase != InstancePhase::Stopped);
        let (ran, release) = (ran.is_some(), ran.and_then(|p| p.said.release.clone()));
        let is_new = known.is_none();
        let is_fetched = fetched.as_ref() == Some(&assigned.release);
        let (phase, step) = match (assigned.stop, is_fetched) {
            (true, _) if !ran => (InstancePhase::Stopped, None),
            (true, _) => (InstancePhase::Stopping, Some(Step::Stopped)),
            (false, true) => (InstancePhase::Starting, Some(Step::Started)),
            (false, false) => (InstancePhase::Fetching, Some(Step::Fetched)),
        };
        let process = Process {
            said: InstanceReport {
                name: name.clone(),
                created_at: Some(assigned.created_at),
                generation: assigned.generation,
                phase,
                release: if assigned.stop { release } else { None },
                pid: None,
                restarts: 0,
                started_at: None,
                prefetched: None,
                image: None,
                reasons: Vec::new(),
            },
            assigned,
            life: self.lives,
            deaths: 0,
        };
        known.into_iter().for_each(|known| Agent::cease(&mut self.changes, known));
        let on_the_way = process.said.phase != InstancePhase::Stopped;
        if !(self.terse && on_the_way && (is_new || process.assigned.stop)) {
            self.unsaid.insert(name.clone());
        }
        self.processes.insert(name.clone(), process);
        let after = random.span(Span(50), Span(500));
        step.map(|step| Due { after, instance: name, life: self.lives, step })
    }

    fn fetch_ahead(&mut self, name: &str, assigned: AssignedInstance) -> Option<Due> {
        let process = self.processes.get_mut(name)?;
        if process.said.prefetched != assigned.prefetch && assigned.prefetch.is_some() {
            process.said.prefetched = assigned.prefetch.clone();
            self.unsaid.insert(name.to_owned());
        }
        process.assigned = assigned;
        None
    }

    /// Lets something happen to a process; returns what will happen next.
    pub fn step(
        &mut self,
        due: &Due,
        behaviour: Behaviour,
        now: Timestamp,
        random: &mut Random,
    ) -> Option<Due> {
        if due.step == Step::Ended {
            return self.jobs.end(due, behaviour, now);
        }
        let behaviour = if self.unfit { Behaviour::Dies } else { behaviour };
        let foreign = &self.foreign;
        let process = self.processes.get_mut(&due.instance).filter(|p| p.life == due.life)?;
        let taken = process.assigned.ports.values().find(|p| foreign.contains(p)).copied();
        let first = due.step == Step::Fetched && process.said.started_at.is_none();
        if !(self.terse && first && process.deaths == 0 && process.said.restarts == 0) {
            self.unsaid.insert(due.instance.clone());
        }
        let served = process.serves().then(|| process.change(false));
        let said = &mut process.said;
        let next = match due.step {
            Step::Ended => None,
            Step::Stopped => {
                (said.phase, said.pid, said.release) = (InstancePhase::Stopped, None, None);
                None
            }
            Step::Fetched | Step::Retry => {
                if due.step == Step::Fetched {
                    said.phase = InstancePhase::Starting;
                }
                let slow = match behaviour {
                    Behaviour::Slow(more) => more,
                    _ => Span(0),
                };
                let after = random.span(Span(100), Span(1500));
                Some((Span(after.0 + slow.0), Step::Started))
            }
            Step::Started if let Some(port) = taken => {
                said.phase = InstancePhase::CrashLoop;
                let message = format!("port {port} is in use by something else");
                let hint = format!("stop what uses port {port} there");
                said.reasons = vec![Reason::new("port-taken", message).hint(hint)];
                Some((Span::seconds(10), Step::Retry))
            }
            Step::Started => process.start(behaviour, now),
            Step::Faded => {
                said.phase = InstancePhase::Unready;
                said.reasons = vec![Reason::new("probe-failed", "no answer in 1s")];
                None
            }
            Step::TimedOut => {
                said.phase = InstancePhase::CrashLoop;
                said.reasons = vec![Reason::new("start-timeout", "not ready after 1m")];
                None
            }
        };
        let serves = self.processes.get(&due.instance).filter(|process| process.serves());
        self.changes.extend(served.into_iter().chain(serves.map(|process| process.change(true))));
        let (after, step) = next?;
        Some(Due { after, instance: due.instance.clone(), life: due.life, step })
    }

    /// Kills a process as a crash would; it is started again.
    pub fn crash(&mut self, instance: &str, random: &mut Random) -> Option<Due> {
        let process = self.processes.get_mut(instance)?;
        let alive = matches!(process.said.phase, InstancePhase::Ready | InstancePhase::Unready);
        if !alive {
            return None;
        }
        Agent::cease(&mut self.changes, process);
        self.lives += 1;
        process.life = self.lives;
        process.said.restarts += 1;
        process.said.phase = InstancePhase::Starting;
        process.said.pid = None;
        process.said.reasons = vec![Reason::new("exited", "was killed by signal 9")];
        self.unsaid.insert(instance.to_owned());
        let after = random.span(Span(100), Span(1500));
        Some(Due { after, instance: instance.to_owned(), life: self.lives, step: Step::Started })
    }

    /// The container engine stops answering, and takes its containers with it.
    pub fn lose_engine(&mut self) {
        self.engine.clear();
        for (name, process) in &mut self.processes {
            Agent::cease(&mut self.changes, process);
            self.lives += 1;
            process.life = self.lives;
            process.said.pid = None;
            process.said.phase = InstancePhase::Starting;
            let message = "docker at /var/run/docker.sock does not answer: connection refused";
            process.said.reasons = vec![Reason::new("docker-missing", message)];
            self.unsaid.insert(name.clone());
        }
        self.say_all = true;
    }

    /// The container engine answers again; what it ran is started.
    pub fn return_engine(&mut self, random: &mut Random) -> Vec<Due> {
        self.engine = "docker 20.10.24".to_owned();
        for process in self.processes.values_mut() {
            process.said.reasons = vec![Reason::new("docker-ended", "ended with docker itself")];
        }
        self.say_all = true;
        let starts = self.processes.iter().map(|(name, process)| Due {
            after: random.span(Span(100), Span(1500)),
            instance: name.clone(),
            life: process.life,
            step: Step::Started,
        });
        starts.collect()
    }

    /// The machine goes off: what ran on it is gone when it comes back.
    pub fn power_off(&mut self) {
        self.up = false;
        for process in self.processes.values() {
            Agent::cease(&mut self.changes, process);
        }
        self.processes.clear();
        self.jobs.clear();
        self.configs.clear();
        self.unsaid.clear();
        self.say_all = true;
        self.forget_told();
    }

    /// What an instance was told to be, if it is one of this host.
    pub fn told(&self, instance: &str) -> Option<&AssignedInstance> {
        self.processes.get(instance).map(|process| &process.assigned)
    }

    /// What it says next time must be everything: something it said was not heard.
    pub fn say_all(&mut self) {
        self.say_all = true;
    }

    /// Whether it has something to say.
    pub fn has_news(&self) -> bool {
        self.say_all || !self.unsaid.is_empty() || self.ahead_unsaid || self.jobs.has_news()
    }

    /// What it says now.
    pub fn report(&mut self) -> Report {
        let full = std::mem::take(&mut self.say_all);
        let unsaid = std::mem::take(&mut self.unsaid);
        let said = self.processes.iter().filter(|(name, _)| full || unsaid.contains(*name));
        let told = self.configs.iter().filter(|(name, _)| full || unsaid.contains(*name));
        let configs = told.map(|(name, acks)| (name.clone(), acks.clone())).collect();
        let instances: Vec<InstanceReport> = said.map(|(_, p)| p.said.clone()).collect();
        let clashes = instances.iter().any(|i| i.reasons.iter().any(|r| r.code == "port-taken"));
        let facts = (full || clashes).then(|| HostFacts {
            capacity: self.capacity,
            address: "127.0.0.1".to_owned(),
            agent: AgentStatus { engine: self.engine.clone(), ..AgentStatus::default() },
            taken_ports: self.foreign.range(..LENT).copied().collect(),
        });
        let (tasks, found) = (self.jobs.report(full), Vec::new());
        let ahead = (full || std::mem::take(&mut self.ahead_unsaid)).then(|| self.ahead.clone());
        Report { full, facts, instances, tasks, configs, found, ahead, clock_ahead: None }
    }
}
