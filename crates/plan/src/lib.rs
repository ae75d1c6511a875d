//! The verbs: pure planners, the gate and the simulator. Nothing here reads a clock, a network, a
//! disk or chance; all of it is called with the world as an argument, so that it can be tested,
//! replayed and rehearsed.

use std::sync::Arc;

use atoll_model::{Any, Intent, Kind, Reason, Snapshot, Span, Timestamp, Write};
use imbl::OrdMap;

pub mod access;
pub mod alerting;
pub mod budget;
pub mod capacity;
pub mod centre;
pub mod ci;
pub mod cmdb;
pub mod config;
pub mod decision;
pub mod delivery;
pub mod deployment;
pub mod edit;
pub mod elasticity;
pub mod explain;
pub mod expression;
pub mod follow;
pub mod forecast;
pub mod guard;
pub mod job;
pub mod migration;
pub mod monitoring;
pub mod peak;
pub mod permission;
pub mod placement;
pub mod policy;
pub mod pool;
pub mod query;
pub mod rehearsal;
pub mod report;
mod schedule;
pub mod sim;
#[cfg(test)]
mod testing;

/// What a planner is given: everything it may know.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// All objects at one revision.
    pub world: &'a Snapshot,
    /// What is measured and never stored.
    pub measured: &'a Measurements,
    /// The time.
    pub now: Timestamp,
}

/// What is measured and never stored.
#[derive(Clone, Debug)]
pub struct Measurements {
    /// When each host's agent was last heard. A server that begins to lead puts the time it
    /// began for every host that was not unknown: nobody could have heard them before.
    pub last_heard: OrdMap<String, Timestamp>,
    /// A host not heard for this long is unknown.
    pub host_timeout: Span,
    /// The public keys whose signatures of packages are trusted, in hex.
    pub signers: Arc<Vec<String>>,
    /// The answers to the planner's own queries, if it was called with any: see
    /// [`Controller::queries`]. A planner called without them keeps what it knew.
    pub answers: query::Answers,
}

impl Default for Measurements {
    fn default() -> Measurements {
        Measurements {
            last_heard: OrdMap::new(),
            host_timeout: Span::seconds(30),
            signers: Arc::default(),
            answers: query::Answers::new(),
        }
    }
}

/// A transaction: what is written, why, and when to look again. It has no other effect.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it is for.
    pub intent: Intent,
    /// What is written, all or none.
    pub writes: Vec<Write>,
    /// Why; kept in the history of each object written.
    pub reasons: Vec<Reason>,
    /// Those of the reasons that are about one of the objects, by its id: they are kept in the
    /// history of no other.
    pub about: Vec<(String, Reason)>,
    /// When the planner wants to look again, if nothing happens before.
    pub again_at: Option<Timestamp>,
}

impl Plan {
    /// A plan that writes nothing yet.
    pub fn new(intent: Intent) -> Plan {
        let (writes, reasons, about) = (Vec::new(), Vec::new(), Vec::new());
        Plan { intent, writes, reasons, about, again_at: None }
    }

    /// The reasons one write is made for, where some are about others of the objects.
    pub fn reasons_of(&self, write: &Write) -> Option<Vec<&Reason>> {
        if self.about.is_empty() {
            return None;
        }
        let id = format!("{}/{}", write.kind().lower(), write.name());
        let of_others: Vec<&Reason> =
            self.about.iter().filter(|(of, _)| *of != id).map(|(_, reason)| reason).collect();
        let own = self.reasons.iter().filter(|reason| !of_others.contains(reason));
        Some(own.collect())
    }

    /// A plan that does nothing.
    pub fn nothing() -> Plan {
        Plan::new(Intent::Observe)
    }
}

/// A planner: total, synchronous and pure. Inability is a reason, never an error.
pub type Planner = fn(&Context, &str) -> Plan;

/// A planner and what it is called for.
pub struct Controller {
    /// Names the actor: `controller/NAME`.
    pub name: &'static str,
    /// The kind of its subjects.
    pub kind: Kind,
    /// Plans for one subject.
    pub plan: Planner,
    /// What it wants measured before it plans for a subject, in the order it is to be asked;
    /// nothing for most.
    pub queries: fn(&Context, &str) -> Vec<query::Query>,
    /// The names of the subjects that a changed object may concern, in the world after the
    /// change. Costs what is touched, not the fleet; what it leaves out, a periodic pass finds.
    pub touched: fn(&Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String>,
}

/// For planners that go by the objects alone.
pub(crate) fn nothing_measured(_: &Context, _: &str) -> Vec<query::Query> {
    Vec::new()
}

/// All planners.
pub const CONTROLLERS: &[Controller] = &[
    Controller {
        name: "access",
        kind: Kind::Token,
        plan: access::plan,
        queries: nothing_measured,
        touched: access::touched,
    },
    Controller {
        name: "cmdb",
        kind: Kind::Host,
        plan: cmdb::plan,
        queries: nothing_measured,
        touched: cmdb::touched,
    },
    Controller {
        name: "facts",
        kind: Kind::Facts,
        plan: cmdb::facts::plan,
        queries: nothing_measured,
        touched: cmdb::facts::touched,
    },
    Controller {
        name: "drift",
        kind: Kind::Host,
        plan: cmdb::drift::plan_host,
        queries: nothing_measured,
        touched: cmdb::drift::touched_hosts,
    },
    Controller {
        name: "item-drift",
        kind: Kind::Item,
        plan: cmdb::drift::plan_item,
        queries: nothing_measured,
        touched: cmdb::drift::touched_items,
    },
    Controller {
        name: "evidence",
        kind: Kind::Monitor,
        plan: cmdb::evidence::plan,
        queries: nothing_measured,
        touched: cmdb::evidence::touched,
    },
    Controller {
        name: "rollout-evidence",
        kind: Kind::Instance,
        plan: cmdb::evidence::work::plan_instance,
        queries: nothing_measured,
        touched: cmdb::evidence::work::touched_instances,
    },
    Controller {
        name: "task-evidence",
        kind: Kind::Task,
        plan: cmdb::evidence::work::plan_task,
        queries: nothing_measured,
        touched: cmdb::evidence::work::touched_tasks,
    },
    Controller {
        name: "delivery",
        kind: Kind::Application,
        plan: delivery::plan,
        queries: nothing_measured,
        touched: delivery::touched,
    },
    Controller {
        name: "deployment",
        kind: Kind::Deployment,
        plan: deployment::plan,
        queries: deployment::queries,
        touched: deployment::touched,
    },
    Controller {
        name: "monitoring",
        kind: Kind::Deployment,
        plan: monitoring::promise::plan,
        queries: nothing_measured,
        touched: monitoring::promise::touched,
    },
    Controller {
        name: "elasticity",
        kind: Kind::Deployment,
        plan: elasticity::derive::plan,
        queries: nothing_measured,
        touched: elasticity::derive::touched,
    },
    Controller {
        name: "autoscaler",
        kind: Kind::Autoscaler,
        plan: elasticity::plan,
        queries: elasticity::queries,
        touched: elasticity::touched,
    },
    Controller {
        name: "migration",
        kind: Kind::Migration,
        plan: migration::plan,
        queries: nothing_measured,
        touched: migration::touched,
    },
    Controller {
        name: "peak",
        kind: Kind::Peak,
        plan: peak::plan,
        queries: peak::queries,
        touched: peak::touched,
    },
    Controller {
        name: "pool",
        kind: Kind::Pool,
        plan: pool::plan,
        queries: nothing_measured,
        touched: pool::touched,
    },
    Controller {
        name: "capacity",
        kind: Kind::Capacity,
        plan: capacity::plan,
        queries: capacity::queries,
        touched: capacity::touched,
    },
    Controller {
        name: "budget",
        kind: Kind::Budget,
        plan: budget::plan,
        queries: nothing_measured,
        touched: budget::touched,
    },
    Controller {
        name: "objective",
        kind: Kind::Objective,
        plan: monitoring::objective::plan,
        queries: monitoring::objective::queries,
        touched: monitoring::objective::touched,
    },
    Controller {
        name: "alerting",
        kind: Kind::Rule,
        plan: alerting::rule::plan,
        queries: alerting::rule::queries,
        touched: alerting::rule::touched,
    },
    Controller {
        name: "notification",
        kind: Kind::Receiver,
        plan: alerting::receiver::plan,
        queries: nothing_measured,
        touched: alerting::receiver::touched,
    },
    Controller {
        name: "policy",
        kind: Kind::Policy,
        plan: centre::plan,
        queries: centre::queries,
        touched: centre::touched,
    },
    Controller {
        name: centre::decision::NAME,
        kind: Kind::Decision,
        plan: centre::decision::plan,
        queries: centre::decision::queries,
        touched: centre::decision::touched,
    },
    Controller {
        name: "job",
        kind: Kind::Job,
        plan: job::plan,
        queries: nothing_measured,
        touched: job::touched,
    },
    Controller {
        name: "runbook",
        kind: Kind::Runbook,
        plan: job::runbook::plan,
        queries: nothing_measured,
        touched: job::runbook::touched,
    },
    Controller {
        name: "pipeline",
        kind: Kind::Pipeline,
        plan: ci::pipeline::plan,
        queries: nothing_measured,
        touched: ci::pipeline::touched,
    },
    Controller {
        name: "run",
        kind: Kind::Run,
        plan: ci::run::plan,
        queries: nothing_measured,
        touched: ci::run::touched,
    },
    Controller {
        name: "queue",
        kind: Kind::Host,
        plan: ci::queue::plan,
        queries: nothing_measured,
        touched: ci::queue::touched,
    },
    Controller {
        name: "config",
        kind: Kind::Config,
        plan: config::plan,
        queries: config::queries,
        touched: config::touched,
    },
    Controller {
        name: "package",
        kind: Kind::Run,
        plan: delivery::package::plan,
        queries: nothing_measured,
        touched: delivery::package::touched,
    },
    Controller {
        name: "promotion",
        kind: Kind::Promotion,
        plan: delivery::promotion::plan,
        queries: nothing_measured,
        touched: delivery::promotion::touched,
    },
    Controller {
        name: "standards",
        kind: Kind::Application,
        plan: policy::of_application,
        queries: nothing_measured,
        touched: policy::touched_application,
    },
    Controller {
        name: "standards",
        kind: Kind::Environment,
        plan: policy::of_environment,
        queries: nothing_measured,
        touched: policy::touched_environment,
    },
    Controller {
        name: "standards",
        kind: Kind::Host,
        plan: policy::of_host,
        queries: nothing_measured,
        touched: policy::touched_host,
    },
    Controller {
        name: "standards",
        kind: Kind::Config,
        plan: policy::of_config,
        queries: nothing_measured,
        touched: policy::touched_config,
    },
    Controller {
        name: "standards",
        kind: Kind::Pipeline,
        plan: policy::of_pipeline,
        queries: nothing_measured,
        touched: policy::touched_pipeline,
    },
    Controller {
        name: "standard",
        kind: Kind::Standard,
        plan: policy::standard::plan,
        queries: nothing_measured,
        touched: policy::standard::touched,
    },
];

/// So many instances, in words.
pub(crate) fn instances(count: usize) -> String {
    match count {
        1 => "1 instance".to_owned(),
        count => format!("{count} instances"),
    }
}

/// So many instances and what they do, as it is said of one and of more.
pub(crate) fn instances_do(count: usize, one: &str, more: &str) -> String {
    format!("{} {}", instances(count), if count == 1 { one } else { more })
}

/// So many are named where there are many; the rest is counted.
const NAMED: usize = 3;

/// The first of some by name, and how many more; nothing where there are none.
pub(crate) fn named<S: AsRef<str>>(all: impl Iterator<Item = S>) -> Option<String> {
    let all: Vec<S> = all.collect();
    let first: Vec<&str> = all.iter().take(NAMED).map(AsRef::as_ref).collect();
    let (first, more) = (first.join(", "), all.len().saturating_sub(NAMED));
    match (all.len(), more) {
        (0, _) => None,
        (_, 0) => Some(first),
        _ => Some(format!("{first} and {more} more")),
    }
}

/// The earlier of two times to look again.
pub(crate) fn sooner(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// FNV-1a: the same on every machine and in every version, unlike the standard library's hash.
pub(crate) fn checksum<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    parts.into_iter().fold(0xcbf2_9ce4_8422_2325, |sum, part| {
        part.iter()
            .chain(&[0xff])
            .fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    })
}
