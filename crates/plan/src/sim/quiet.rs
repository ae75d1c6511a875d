//! When nothing moves any more in the simulated fleet.

use atoll_model::config::ConfigPhase;
use atoll_model::deployment::Phase;
use atoll_model::pool::{Pool, PoolPhase};
use atoll_model::{Config, Deployment, Kind, Promotion, Span};

use super::clouds::Happening;
use super::process::Step;
use super::{Event, Sim};
use crate::CONTROLLERS;

impl Sim {
    /// Nothing is planned, on its way or awaited but heartbeats, and silence from hosts.
    pub(super) fn is_quiet(&self) -> bool {
        let events = self.queue.values().all(|event| match event {
            Event::Poll(host) => {
                self.polls.get(host).is_some_and(|at| *at > self.now + Span::seconds(1))
                    || !self.agents.get(host).is_some_and(|agent| agent.linked)
            }
            Event::Process(_, due) => due.step == Step::Retry,
            Event::Say(_) | Event::Arrive(..) => false,
            Event::Cloud(_, Happening::List | Happening::Listed(..)) => self.pools_are_settled(),
            Event::Cloud(..) => false,
        });
        let silent = |host: &str| !self.agents.get(host).is_some_and(|agent| agent.linked);
        let due = self.due.keys().all(|(at, name)| match CONTROLLERS[*at].kind {
            // Until a waiver ends.
            _ if CONTROLLERS[*at].name == "standards" => true,
            // The queue waits for room, and that is told.
            Kind::Host if CONTROLLERS[*at].name == "queue" => true,
            Kind::Host => !silent(name),
            // Deadlines, and the time until they are forgotten.
            Kind::Run | Kind::Pipeline | Kind::Job | Kind::Runbook => true,
            // Evaluated for ever, whether anything moves or not.
            Kind::Rule | Kind::Objective | Kind::Receiver => true,
            Kind::Autoscaler | Kind::Capacity | Kind::Budget | Kind::Policy => true,
            Kind::Decision => true,
            Kind::Pool => self.pools_are_settled(),
            Kind::Promotion => self.is_frozen(name),
            _ => self.waits_for_people(name),
        });
        events && due && self.dirty.is_empty()
    }

    /// A promotion that is held until a freeze ends.
    fn is_frozen(&self, promotion: &str) -> bool {
        let promotion = self.world.get::<Promotion>(promotion);
        promotion.is_some_and(|p| p.status.reasons.iter().any(|reason| reason.code == "frozen"))
    }

    /// A deployment or configuration that moves no further by itself, though it may be watched.
    fn waits_for_people(&self, deployment: &str) -> bool {
        if let Some(config) = self.world.get::<Config>(deployment) {
            let frozen = config.status.reasons.iter().any(|reason| reason.code == "frozen");
            return frozen || config.status.phase == ConfigPhase::Paused;
        }
        self.world.get::<Deployment>(deployment).is_some_and(|deployment| {
            let mut reasons = deployment.status.reasons.iter();
            let waits = reasons
                .any(|reason| matches!(reason.code.as_str(), "frozen" | "budget-spent" | "stuck"));
            let uneven = deployment.status.uneven.as_ref();
            // What lies unevenly is left as it is for minutes.
            let lies = deployment.status.phase == Phase::Settled
                && uneven.is_some_and(|uneven| uneven.moving.is_none());
            waits || lies || deployment.status.phase == Phase::Paused
        })
    }

    /// Every pool has the hosts it is to have.
    fn pools_are_settled(&self) -> bool {
        self.world.all::<Pool>().all(|pool| {
            let status = &pool.status;
            let seen = status.observed_generation == pool.meta.generation;
            seen && status.phase == PoolPhase::Settled && status.orphans.is_empty()
        })
    }
}
