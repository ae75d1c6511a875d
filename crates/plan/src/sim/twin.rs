//! What is different where the simulator is the twin of a fleet in a rehearsal: hosts say nothing
//! without news, nothing is kept of what was, and what planners ask is answered from the load that
//! is supposed. What is supposed is in `rehearsal/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::{Any, Deployment, Host, Intent, Kind, Reason, Snapshot, Span, Timestamp, Write};

use super::agent::Agent;
use super::process::{Behaviour, Change};
use super::{Loss, Sim};
use crate::query::{Answer, Query};
use crate::rehearsal::deeds::Deeds;
use crate::rehearsal::measures::Measures;
use crate::{CONTROLLERS, Controller, Measurements, Plan, sooner};

/// What happens within this time is planned for together, as a busy server does.
const TOGETHER: Span = Span::seconds(1);
/// A deployment is looked at again so much later at the latest, where only it itself was the cause.
const LATER: Span = Span::seconds(300);
/// Whether it is to stop is asked once for so many plans.
const ASK_AFTER: u64 = 256;
/// What these do reaches nobody, or needs what no twin has: rules are PromQL over series that are
/// not there, nobody is told anything, and no agent looks again because of a finding.
const LEFT_OUT: [&str; 9] = [
    "alerting",
    "notification",
    "facts",
    "evidence",
    "rollout-evidence",
    "task-evidence",
    "drift",
    "item-drift",
    "access",
];

/// What a simulator has beside, as the twin of a fleet.
pub(crate) struct Twin {
    /// Nothing is rehearsed after this time.
    pub end: Timestamp,
    /// An instance takes so long to serve, by its application, where that is known.
    pub starts: BTreeMap<String, Span>,
    /// The same of all others.
    pub usual_start: Span,
    /// So much longer, for an application or all.
    pub slower: Vec<(Option<String>, Span)>,
    /// What is measured.
    pub measures: Measures,
    /// What was done.
    pub deeds: Deeds,
    /// So many processes of each release of each deployment serve.
    pub serving: BTreeMap<String, BTreeMap<String, u32>>,
    /// So many plans were made.
    pub plans: u64,
    /// So many objects were written.
    pub writes: u64,
    /// Whether it is to stop, whatever is left.
    stop: Arc<dyn Fn() -> bool + Send + Sync>,
    stopped: bool,
    /// Whether each controller is [`LEFT_OUT`].
    left_out: Vec<bool>,
}

impl Twin {
    pub fn new(
        measures: Measures,
        deeds: Deeds,
        (end, usual_start): (Timestamp, Span),
        stop: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Twin {
        Twin {
            end,
            starts: BTreeMap::new(),
            usual_start,
            slower: Vec::new(),
            measures,
            deeds,
            serving: BTreeMap::new(),
            plans: 0,
            writes: 0,
            stop,
            stopped: false,
            left_out: CONTROLLERS.iter().map(|one| LEFT_OUT.contains(&one.name)).collect(),
        }
    }

    pub(super) fn note(
        &mut self,
        now: Timestamp,
        actor: &Actor,
        plan: &Plan,
        old: Option<&Any>,
        new: Option<&Any>,
    ) {
        self.writes += 1;
        self.deeds.note(now, actor, plan, (old, new));
    }

    pub(super) fn answer(
        &mut self,
        world: &Snapshot,
        controller: &str,
        subject: &str,
        query: Query,
    ) -> (String, Result<Arc<Answer>, Reason>) {
        let answer = self.measures.answer(world, controller, subject, &query);
        (query.name, answer.map(Arc::new))
    }

    /// How a process of an application behaves that is otherwise as told: it takes its time to
    /// start.
    pub(super) fn start(&self, application: &str, behaviour: Behaviour) -> Behaviour {
        let own = self.starts.get(application).copied().unwrap_or(self.usual_start);
        let of = |of: &Option<String>| of.as_deref().is_none_or(|of| of == application);
        let slower: u64 = self.slower.iter().filter(|(a, _)| of(a)).map(|(_, by)| by.0).sum();
        match behaviour {
            Behaviour::Good => Behaviour::Slow(Span(own.0 + slower)),
            Behaviour::Slow(more) => Behaviour::Slow(Span(own.0 + slower + more.0)),
            other => other,
        }
    }

    fn is_stopped(&mut self) -> bool {
        self.plans += 1;
        if self.plans.is_multiple_of(ASK_AFTER) && (self.stop)() {
            self.stopped = true;
        }
        self.stopped
    }
}

impl Sim {
    /// The twin of a fleet, at a time.
    pub(crate) fn twin(seed: u64, world: Snapshot, now: Timestamp, twin: Twin) -> Sim {
        let mut sim = Sim::new(seed);
        sim.now = now;
        sim.world = world;
        sim.measured = Measurements { host_timeout: Span::seconds(30), ..sim.measured };
        sim.twin = Some(Box::new(twin));
        let hosts: Vec<_> = sim.world.all::<Host>().cloned().collect();
        for host in hosts {
            let mut agent = Agent::of(&sim.world, &host);
            let known = host.status.phase != atoll_model::cmdb::HostPhase::Unknown;
            (agent.linked, agent.up, agent.terse) = (known, known, true);
            sim.agents.insert(host.meta.name.clone(), agent);
            if known {
                let end = sim.twin.as_ref().map_or(now, |twin| twin.end);
                sim.measured.last_heard.insert(host.meta.name.clone(), end);
                let delay = sim.random.span(Span(1), Span(1_000));
                sim.wake(host.name(), delay);
            }
            sim.recount(host.name());
        }
        sim.mark_all();
        sim
    }

    /// What the twin has beside; none in a simulator that is none.
    pub(crate) fn as_twin(&mut self) -> Option<&mut Twin> {
        self.twin.as_deref_mut()
    }

    /// Trusts whoever signs packages in the fleet this is the twin of.
    pub(crate) fn trust(&mut self, measured: &Measurements) {
        let signers = self.measured.signers.iter().chain(measured.signers.iter());
        self.measured.signers = Arc::new(signers.cloned().collect());
        self.measured.host_timeout = measured.host_timeout;
    }

    /// Whether a rehearsal was stopped before its end.
    pub(crate) fn was_stopped(&self) -> bool {
        self.twin.as_ref().is_some_and(|twin| twin.stopped)
    }

    pub(super) fn is_stopped(&mut self) -> bool {
        self.twin.as_mut().is_some_and(|twin| twin.is_stopped())
    }

    /// In a twin, when a deployment is looked at again that is about to be because of what is
    /// written of it now: when it wants to be. Outside rollouts nothing else comes of that, but the
    /// cost of looking; should something, it comes so much later.
    pub(super) fn looks_later(&self, controller: &Controller, plan: &Plan) -> Option<Timestamp> {
        if self.twin.is_none() || controller.name != "deployment" {
            return None;
        }
        let acts = |write: &Write| write.kind() == Kind::Instance;
        let looked = plan.intent == Intent::Observe || plan.writes.iter().any(acts);
        let calm = plan.writes.iter().all(|write| match write {
            Write::Put(Any::Deployment(new)) => {
                let status = &new.status;
                status.rollout.is_none() && status.failed.is_none() && !new.meta.deleting()
            }
            write => acts(write),
        });
        let later = (looked && calm && !plan.writes.is_empty()).then(|| self.now + LATER);
        later.and_then(|later| sooner(plan.again_at, Some(later)))
    }

    /// Makes the looks at deployments that were put off, so that each is told as it is.
    pub(crate) fn look_now(&mut self) {
        let deployment = CONTROLLERS.iter().position(|controller| controller.name == "deployment");
        let names = self.world.all::<Deployment>().map(|deployment| deployment.meta.name.clone());
        self.dirty.extend(names.filter_map(|name| Some((deployment?, name))));
        self.work();
    }

    /// Whether a controller, by its place among all, has nothing to do here.
    pub(super) fn leaves_out(&self, controller: usize) -> bool {
        self.twin.as_ref().is_some_and(|twin| twin.left_out[controller])
    }

    /// What the gate did not let pass of a planner's or a host's. In a test that is a defect.
    pub(super) fn refused(&mut self, who: &str, reasons: Vec<Reason>) {
        match &mut self.twin {
            Some(twin) => twin.deeds.refused(self.now, who, &reasons),
            None => unreachable!("{who} was refused: {reasons:?}"),
        }
    }

    /// In a twin, what happens a moment later is planned for together with what has happened.
    pub(super) fn happen_with_it(&mut self) {
        if self.twin.is_none() {
            return;
        }
        let until = self.now + TOGETHER;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(event);
        }
    }

    /// In a twin, a host is not heard any more from now on.
    pub(super) fn last_word(&mut self, host: &str) {
        if self.twin.is_some() {
            self.measured.last_heard.insert(host.to_owned(), self.now);
            let cmdb = CONTROLLERS.iter().position(|c| c.name == "cmdb");
            self.dirty.extend(cmdb.map(|at| (at, host.to_owned())));
        }
    }

    /// Counts what has begun to serve on a host and ceased to.
    pub(super) fn recount(&mut self, host: &str) {
        let Some(agent) = self.agents.get_mut(host) else { return };
        let changes = agent.changes();
        let Some(twin) = &mut self.twin else { return };
        for Change { deployment, release, serves } in changes {
            let all = twin.serving.entry(deployment).or_default();
            let count = all.entry(release).or_default();
            *count = if serves { *count + 1 } else { count.saturating_sub(1) };
        }
    }

    /// In a twin, the machine of a host that is on record no more is gone with all that runs on it.
    pub(super) fn scrap(&mut self, host: &str) {
        self.lose(host, Loss::Off);
        self.agents.remove(host);
    }

    /// Loses a host for good, as a machine that is switched off.
    pub(crate) fn switch_off(&mut self, host: &str) {
        self.lose(host, Loss::Off);
    }
}
