//! Dynamic configuration: which version is live, how far a gray release of another is, and who has
//! taken it up. Who gets what is worked out in `config/delivery.rs`, the steps of a gray release in
//! `config/gray.rs`. It delivers nothing; agents do.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::config::{ConfigPhase, ConfigStatus, Content, FailedVersion, WentLive};
use atoll_model::decision::OVERRIDE_ANNOTATION;
use atoll_model::{
    Any, Application, Config, Intent, Object, Reason, Snapshot, Span, Timestamp, Write,
};

use crate::{Context, Plan, sooner};

mod acknowledged;
mod delivery;
mod gray;
mod watch;

pub use delivery::{assigned, hosts_to_wake, instances_of, version_for};
pub use watch::queries;

pub(crate) use delivery::{Member, believed, members};

/// Which versions went live is kept so long, and of so many of them.
const LATELY: Span = Span::seconds(2 * 3_600);
const MOST_LATELY: usize = 5;
/// How many have taken a version up is not written oftener than this at its beginning.
const GATHER: Span = Span::seconds(1);

/// A configuration with everything its planning looks at.
struct Subject<'a> {
    cx: &'a Context<'a>,
    object: &'a Arc<Object<Config>>,
    /// What is wanted.
    target: Content,
    members: Vec<Member<'a>>,
}

/// What becomes of the content.
struct Move {
    intent: Intent,
    reasons: Vec<Reason>,
    again_at: Option<Timestamp>,
    /// A person is asked.
    asks: bool,
}

impl Move {
    fn new(intent: Intent) -> Move {
        Move { intent, reasons: Vec::new(), again_at: None, asks: false }
    }
}

/// Plans for one configuration.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(object) = cx.world.get::<Config>(name) else { return Plan::nothing() };
    let target = object.spec.content();
    let members = delivery::members(cx.world, name);
    let subject = Subject { cx, object, target, members };
    let mut status = object.status.clone();
    status.observed_generation = object.meta.generation;
    let done = subject.advance(&mut status);
    status.reasons.clone_from(&done.reasons);
    let looked = acknowledged::count(&subject, &mut status);
    let all = status.acknowledged == status.instances;
    status.phase = match &status.gray {
        Some(_) if done.asks => ConfigPhase::Paused,
        Some(_) => ConfigPhase::Gray,
        None if status.version == 0 => ConfigPhase::Waiting,
        None if all => ConfigPhase::Settled,
        None => ConfigPhase::Delivering,
    };
    let mut plan = Plan::new(done.intent);
    plan.again_at = sooner(done.again_at, looked);
    plan.reasons = done.reasons;
    subject.put(status, &mut plan);
    plan
}

impl Subject<'_> {
    /// Brings the status nearer to the target, one step at most.
    fn advance(&self, status: &mut ConfigStatus) -> Move {
        let spec = &self.object.spec;
        // Whoever says so of a newer version means the same content, asked for again.
        let promotes = |version| spec.promoted.is_some_and(|promoted| promoted >= version);
        let given_up =
            |failed: &FailedVersion| failed.content == self.target && !promotes(failed.version);
        if status.version > 0 && status.live == self.target {
            let back = status.gray.take().is_some();
            status.failed = None;
            return Move::new(if back { Intent::Rollback } else { Intent::Observe });
        }
        if let Some(failed) = status.failed.clone().filter(given_up) {
            status.gray = None;
            return self.taken_back(&failed, status, Intent::Observe);
        }
        let under_way = status.gray.as_ref().filter(|gray| gray.content == self.target);
        let version = under_way.map_or(self.object.meta.generation, |gray| gray.version);
        if spec.aborted == Some(version) {
            let why = Reason::new("aborted", "somebody gave it up");
            return self.give_up(version, why, status);
        }
        let back = status.previous.as_ref() == Some(&self.target);
        let steps = spec
            .gray
            .as_ref()
            .filter(|_| status.version > 0 && !back && !promotes(version) && self.is_felt(status));
        let Some(rules) = steps else {
            self.make_live(version, status);
            return Move::new(if back { Intent::Rollback } else { Intent::Rollout });
        };
        gray::step(self, rules, version, status)
    }

    /// Whether the change makes a difference to anybody there is.
    fn is_felt(&self, status: &ConfigStatus) -> bool {
        self.members.iter().any(|member| member.feels(&status.live, &self.target))
    }

    /// Gives everybody the target.
    fn make_live(&self, version: u64, status: &mut ConfigStatus) {
        let before = std::mem::replace(&mut status.live, self.target.clone());
        let (all, some) = self.target.whom(&before);
        status.lately.retain(|old| self.cx.now.since(old.at) < LATELY);
        status.lately.insert(0, WentLive { version, at: self.cx.now, all, some });
        status.lately.truncate(MOST_LATELY);
        status.previous = (status.version > 0).then_some(before);
        status.version = version;
        status.since = Some(self.cx.now);
        (status.gray, status.failed) = (None, None);
    }

    /// Gives a version up: whoever has it goes back to the live one at once.
    fn give_up(&self, version: u64, reason: Reason, status: &mut ConfigStatus) -> Move {
        status.gray = None;
        // Those that had it are to take the live one up again, from now on.
        status.since = Some(self.cx.now);
        let (content, at) = (self.target.clone(), self.cx.now);
        let failed = FailedVersion { version, content, at, reason };
        status.failed = Some(failed.clone());
        self.taken_back(&failed, status, Intent::Rollback)
    }

    fn taken_back(&self, failed: &FailedVersion, status: &ConfigStatus, intent: Intent) -> Move {
        let message = format!(
            "version {} was taken back, and version {} is live: {}",
            failed.version, status.version, failed.reason.message
        );
        let name = self.object.name();
        let hint = format!(
            "correct it with atoll config set {name}, or atoll config promote {name} to have it \
             all the same"
        );
        let reasons = vec![Reason::new("rolled-back", message).hint(hint)];
        Move { reasons, ..Move::new(intent) }
    }

    /// Adds the status to a plan, if it changed. An override of a freeze is for one change: once
    /// that is live it is taken off.
    fn put(&self, status: ConfigStatus, plan: &mut Plan) {
        let overridden = self.object.meta.annotations.contains_key(OVERRIDE_ANNOTATION);
        let over = plan.intent == Intent::Observe && status.gray.is_none();
        let spent = overridden && over;
        if status == self.object.status && !spent {
            return;
        }
        let mut new = Object::clone(self.object);
        new.status = status;
        if spent {
            new.meta.annotations.remove(OVERRIDE_ANNOTATION);
        }
        plan.writes.push(Write::Put(Any::Config(Arc::new(new))));
    }
}

/// A step that is not taken gives nobody another version.
pub(crate) fn keep_content(new: &mut ConfigStatus, old: &ConfigStatus) {
    let reasons = std::mem::take(&mut new.reasons);
    *new = ConfigStatus { observed_generation: new.observed_generation, reasons, ..old.clone() };
}

/// The configurations a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    match (old, new) {
        (_, Some(Any::Config(config))) | (Some(Any::Config(config)), None) => {
            names.insert(config.meta.name.clone());
        }
        (Some(Any::Instance(old)), Some(Any::Instance(new)))
            if old.status.configs == new.status.configs
                && old.status.phase == new.status.phase
                && old.meta.deleted_at == new.meta.deleted_at => {}
        (_, Some(Any::Instance(instance))) | (Some(Any::Instance(instance)), None) => {
            names.extend(named_by(world, &instance.spec.deployment));
        }
        (Some(Any::Host(old)), Some(Any::Host(new)))
            if old.status.phase == new.status.phase && old.meta.labels == new.meta.labels => {}
        (_, Some(Any::Host(host))) => {
            for instance in world.instances_on(host.name()) {
                names.extend(named_by(world, &instance.spec.deployment));
            }
        }
        (_, Some(Any::Freeze(_))) | (Some(Any::Freeze(_)), None) => {
            let frozen = |config: &&Arc<Object<Config>>| {
                config.status.reasons.iter().any(|reason| reason.code == "frozen")
            };
            names.extend(world.all::<Config>().filter(frozen).map(|c| c.meta.name.clone()));
        }
        (Some(Any::Deployment(old)), Some(Any::Deployment(new)))
            if old.status.rollout.is_some() && new.status.rollout.is_none() =>
        {
            names.extend(named_by(world, new.name()));
        }
        _ => {
            for any in [old, new].into_iter().flatten() {
                if let Any::Application(application) = any {
                    names.extend(application.spec.config.dynamic.iter().cloned());
                }
            }
        }
    }
    names.into_iter().filter(|name| world.get::<Config>(name).is_some()).collect()
}

fn named_by<'a>(world: &'a Snapshot, deployment: &str) -> impl Iterator<Item = String> + 'a {
    let application = deployment.split_once('.').map_or(deployment, |(name, _)| name);
    let application = world.get::<Application>(application);
    application.into_iter().flat_map(|a| a.spec.config.dynamic.iter().cloned())
}
