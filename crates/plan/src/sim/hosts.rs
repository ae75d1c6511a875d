//! The hosts' side of the simulated fleet: what befalls them, who asks and says what when, and what
//! of it arrives. What happens on a host is in `agent.rs`.

use atoll_model::access::Actor;
use atoll_model::agent::Report;
use atoll_model::{Host, Instance, Kind, Object, Span, Task};

use super::agent::Agent;
use super::process::{Behaviour, Due};
use super::{Event, Loss, Sim};
use crate::CONTROLLERS;
use crate::report::{assignment_since, report};

/// An agent asks for its assignment at least this often.
const HEARTBEAT: Span = Span::seconds(10);

impl Sim {
    /// Loses a host.
    pub fn lose(&mut self, host: &str, loss: Loss) {
        if let Some(agent) = self.agents.get_mut(host) {
            agent.linked = false;
            agent.say_all();
            if loss == Loss::Off {
                agent.power_off();
            }
            self.recount(host);
            self.last_word(host);
        }
    }

    /// The tasks that were begun on each host, as often as they were.
    pub fn begun(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_host().flat_map(|(host, agent)| {
            agent.jobs.begun.iter().map(move |task| (host, task.as_str()))
        })
    }

    /// Brings a lost host back.
    pub fn give_back(&mut self, host: &str) {
        // One that was given up meanwhile, as by its pool, does not come back.
        if self.world.get::<Host>(host).is_none() {
            return;
        }
        if let Some(agent) = self.agents.get_mut(host) {
            (agent.linked, agent.up) = (true, true);
            agent.say_all();
            self.wake(host, Span(1));
        }
    }

    /// The hosts that have an agent, and whether it is reached.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, bool)> {
        self.by_host().map(|(name, agent)| (name, agent.linked))
    }

    /// How many hosts are reached.
    pub(crate) fn reached(&self) -> u32 {
        self.agents.values().filter(|agent| agent.linked).count() as u32
    }

    fn by_host(&self) -> impl Iterator<Item = (&str, &Agent)> {
        let mut all: Vec<_> =
            self.agents.iter().map(|(host, agent)| (host.as_str(), agent)).collect();
        all.sort_by_key(|(host, _)| *host);
        all.into_iter()
    }

    /// Something else on a host listens on a port.
    pub fn occupy(&mut self, host: &str, port: u16) {
        if let Some(agent) = self.agents.get_mut(host) {
            agent.foreign.insert(port);
        }
    }

    /// What instances need is missing on a host from now on, or is there again.
    pub fn set_unfit(&mut self, host: &str, unfit: bool) {
        if let Some(agent) = self.agents.get_mut(host) {
            agent.unfit = unfit;
        }
    }

    /// Kills the process of an instance.
    pub fn crash(&mut self, instance: &str) {
        let Some(object) = self.world.get::<Instance>(instance) else { return };
        let host = object.spec.host.clone();
        let agent = self.agents.get_mut(&host).filter(|agent| agent.up);
        let due = agent.and_then(|agent| agent.crash(instance, &mut self.random));
        if let Some(due) = due {
            self.soon(&host, due);
        }
        self.say(&host);
    }

    /// The container engine of a host goes, or comes back.
    pub fn engine(&mut self, host: &str, answers: bool) {
        let Some(agent) = self.agents.get_mut(host) else { return };
        let due = match answers {
            true => agent.return_engine(&mut self.random),
            false => {
                agent.lose_engine();
                Vec::new()
            }
        };
        due.into_iter().for_each(|due| self.soon(host, due));
        self.say(host);
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Poll(host) => self.poll(&host),
            Event::Say(host) => self.hear(&host),
            Event::Arrive(host, said) => self.take_report(&host, &said),
            Event::Cloud(pool, what) => self.happen_in_cloud(pool, what),
            Event::Process(host, due) => {
                let agent = self.agents.get_mut(&host).filter(|agent| agent.up);
                let Some(agent) = agent else { return };
                let told = agent.told(&due.instance);
                let release = told.map(|told| told.release.clone());
                let application = told.map(|told| told.application.clone());
                // What a step does, it does on every host; what a job does, goes by the host.
                let of_task = |task: &Object<Task>| match task.spec.work.run_as {
                    Some(_) => task.spec.host.clone(),
                    None => Some(task.spec.step.clone()),
                };
                let step = self.world.get::<Task>(&due.instance).and_then(|task| of_task(task));
                let step = step.as_deref();
                let of = [Some(due.instance.as_str()), release.as_deref(), step];
                let mut behaviour = of
                    .into_iter()
                    .flatten()
                    .filter_map(|name| self.behaviours.get(name))
                    .next()
                    .copied()
                    .unwrap_or_default();
                if behaviour == Behaviour::Good && self.random.per_mille(self.faults.slow) {
                    behaviour = Behaviour::Slow(Span::seconds(30));
                }
                if let (Some(twin), Some(application)) = (&self.twin, application) {
                    behaviour = twin.start(&application, behaviour);
                }
                if let Some(next) = agent.step(&due, behaviour, self.now, &mut self.random) {
                    self.soon(&host, next);
                }
                self.recount(&host);
                self.say(&host);
            }
        }
    }

    fn poll(&mut self, host: &str) {
        if self.polls.get(host).is_some_and(|at| *at > self.now) {
            return;
        }
        self.polls.remove(host);
        if self.twin.is_none() {
            self.wake(host, HEARTBEAT);
        }
        let known = self.world.get::<Host>(host).is_some();
        let Some(agent) = self.agents.get_mut(host) else { return };
        if !agent.up || !agent.linked || !known {
            agent.say_all();
            return;
        }
        let acted_on = agent.acted_on();
        self.note_heard(host);
        // Most of what is on a host of a large fleet is as it was.
        let assigned = assignment_since(&self.world, host, acted_on);
        if let Some(agent) = self.agents.get_mut(host) {
            let usage = self.world.usage(host);
            let due = agent.take(assigned, usage, self.now, &mut self.random);
            due.into_iter().for_each(|due| self.soon(host, due));
        }
        self.recount(host);
        self.say(host);
    }

    fn note_heard(&mut self, host: &str) {
        // In a twin nobody falls silent without being told to, so nobody is waited for.
        let at = self.twin.as_ref().map_or(self.now, |twin| twin.end);
        if self.measured.last_heard.get(host) == Some(&at) {
            return;
        }
        let before = self.measured.last_heard.insert(host.to_owned(), at);
        let away = before.is_none_or(|at| self.now.since(at) >= self.measured.host_timeout);
        if away {
            let cmdb = CONTROLLERS.iter().position(|c| c.kind == Kind::Host);
            self.dirty.extend(cmdb.map(|at| (at, host.to_owned())));
        }
    }

    /// An agent says what is new, and it arrives, or not.
    fn hear(&mut self, host: &str) {
        self.says.remove(host);
        let Some(agent) = self.agents.get_mut(host).filter(|agent| agent.up) else { return };
        if !agent.linked || !agent.has_news() {
            return;
        }
        if self.now < agent.waits_until {
            let after = agent.waits_until.since(self.now);
            return self.enqueue(after, Event::Say(host.to_owned()));
        }
        let said = agent.report();
        let [lost, late, doubled] = [self.faults.lost, self.faults.late, self.faults.doubled]
            .map(|share| self.random.per_mille(share));
        if lost || late || doubled {
            // The agent waits for an answer, sees none, and says everything again.
            agent.say_all();
            agent.waits_until = self.now + Span::seconds(1);
            self.enqueue(Span::seconds(1), Event::Say(host.to_owned()));
            if late || doubled {
                let after = self.random.span(Span(100), Span(900));
                self.enqueue(after, Event::Arrive(host.to_owned(), Box::new(said.clone())));
            }
        }
        if lost || late {
            return;
        }
        self.take_report(host, &said);
    }

    fn take_report(&mut self, host: &str, said: &Report) {
        if self.world.get::<Host>(host).is_none() {
            return;
        }
        self.note_heard(host);
        let plan = report(&self.context(), host, said);
        let actor = Actor::host(host);
        if let Err(reasons) = self.commit(&actor, plan) {
            self.refused(&format!("a report of {host}"), reasons);
        }
    }

    pub(super) fn soon(&mut self, host: &str, due: Due) {
        self.enqueue(due.after, Event::Process(host.to_owned(), due));
    }

    pub(super) fn say(&mut self, host: &str) {
        let news = self.agents.get(host).is_some_and(|agent| agent.has_news());
        if news && self.says.insert(host.to_owned()) {
            let after = self.random.span(Span(1), Span(50));
            self.enqueue(after, Event::Say(host.to_owned()));
        }
    }

    /// Lets an agent ask after this time, or before.
    pub(super) fn wake(&mut self, host: &str, after: Span) {
        let at = self.now + after;
        if self.polls.get(host).is_none_or(|planned| *planned > at) {
            self.polls.insert(host.to_owned(), at);
            self.enqueue(after, Event::Poll(host.to_owned()));
        }
    }
}
