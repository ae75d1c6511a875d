//! Why an object is as it is, what is waited for, and what happens next: written for somebody who
//! was woken up by it. It plans, to tell what would be done, but writes nothing.

use atoll_model::access::Actor;
use atoll_model::api::Explanation;
use atoll_model::{Any, Application, Config, Deployment, Freeze, Kind, Object, Timestamp};

use crate::alerting::next_try;
use crate::decision::{Verdict, decide};
use crate::{CONTROLLERS, Context, Plan};

mod access;
mod budget;
mod capacity;
mod centre;
mod ci;
mod config;
mod delivery;
mod deployment;
mod elasticity;
mod host;
mod inventory;
mod job;
mod migration;
mod monitoring;
mod peak;
mod policy;
mod pool;
mod words;

pub use words::in_words;

/// So many of a kind are named; the rest is counted.
const NAMED: usize = 5;

/// Why an object is as it is. `None` if there is no such object; `lately` is left empty.
pub fn explain(cx: &Context, kind: Kind, name: &str) -> Option<Explanation> {
    let any = cx.world.find(kind, name)?;
    let mut told = Told { reasons: any.reasons().to_vec(), ..Told::default() };
    match &any {
        Any::Deployment(it) => deployment::tell(cx, it, &mut told),
        Any::Instance(it) => deployment::tell_instance(cx, it, &mut told),
        Any::Autoscaler(it) => elasticity::tell(cx, it, &mut told),
        Any::Capacity(it) => capacity::tell(cx, it, &mut told),
        Any::Migration(it) => migration::tell(cx, it, &mut told),
        Any::Peak(it) => peak::tell(cx, it, &mut told),
        Any::Pool(it) => pool::tell(cx, it, &mut told),
        Any::Budget(it) => budget::tell(cx, it, &mut told),
        Any::Price(it) => budget::tell_price(cx, it, &mut told),
        Any::Host(it) => host::tell(cx, it, &mut told),
        Any::Zone(it) => host::tell_zone(cx, it, &mut told),
        Any::Application(it) => application(cx, it, &mut told),
        Any::Environment(it) => delivery::environment(cx, it, &mut told),
        Any::Release(it) => delivery::release(cx, it, &mut told),
        Any::Package(it) => delivery::package(cx, it, &mut told),
        Any::Promotion(it) => delivery::promotion(cx, it, &mut told),
        Any::Approval(it) => delivery::approval(it, &mut told),
        Any::Freeze(it) => freeze(cx, it, &mut told),
        Any::Token(it) => access::token(cx, it, &mut told),
        Any::User(it) => access::user(cx, it, &mut told),
        Any::Team(it) => access::team(cx, it, &mut told),
        Any::Role(it) => access::role(it, &mut told),
        Any::Pipeline(it) => ci::tell_pipeline(cx, it, &mut told),
        Any::Run(it) => ci::tell_run(cx, it, &mut told),
        Any::Task(it) => ci::tell_task(cx, it, &mut told),
        Any::Job(it) => job::tell(cx, it, &mut told),
        Any::Runbook(it) => job::tell_runbook(cx, it, &mut told),
        Any::Config(it) => config::tell(cx, it, &mut told),
        Any::Standard(it) => policy::standard(cx, it, &mut told),
        Any::Waiver(it) => policy::waiver(cx, it, &mut told),
        Any::Scorecard(it) => policy::scorecard(it, &mut told),
        Any::Policy(it) => centre::policy(cx, it, &mut told),
        Any::Decision(it) => centre::decision(cx, it, &mut told),
        other if inventory::tell(cx, other, &mut told) => {}
        other => monitoring::tell(cx, other, &mut told),
    }
    policy::against(cx, &any, &mut told);
    if let Some(at) = any.meta().deleted_at {
        told.state = format!("{} Its deletion was asked for at {at}.", told.state);
    }
    let over = match &any {
        Any::Run(run) => run.status.phase.is_over(),
        Any::Decision(decision) => decision.status.ended_at.is_some(),
        _ => false,
    };
    next(cx, kind, name, over, &mut told);
    Some(Explanation {
        subject: any.id(),
        state: told.state,
        reasons: told.reasons,
        waiting_for: told.waiting_for,
        next: told.next,
        lately: Vec::new(),
        see: told.see,
    })
}

/// What is told, while it is put together.
#[derive(Default)]
struct Told {
    state: String,
    reasons: Vec<atoll_model::Reason>,
    waiting_for: Vec<String>,
    next: Vec<String>,
    see: Vec<String>,
}

impl Told {
    fn see(&mut self, id: String) {
        if !self.see.contains(&id) {
            self.see.push(id);
        }
    }

    /// Waits for each of these, naming the first few.
    fn wait_each(&mut self, all: Vec<String>) {
        let more = all.len().saturating_sub(NAMED);
        self.waiting_for.extend(all.into_iter().take(NAMED));
        if more > 0 {
            self.waiting_for.push(format!("{more} more like these"));
        }
    }
}

/// Asks the subject's own planner and the gate what would be done now.
fn next(cx: &Context, kind: Kind, name: &str, over: bool, told: &mut Told) {
    let Some(controller) = CONTROLLERS.iter().find(|controller| controller.kind == kind) else {
        return;
    };
    let planned = (controller.plan)(cx, name);
    let (plan, held) = match decide(cx, &Actor::controller(controller.name), planned.clone()) {
        Verdict::Commit(plan) => (plan, Vec::new()),
        Verdict::Hold(plan, reasons) => (Plan { writes: planned.writes, ..plan }, reasons),
        Verdict::Deny(reasons) => (planned, reasons),
    };
    let said = plan.writes.iter().filter_map(|write| in_words(cx.world, write));
    let said: Vec<String> = said.filter(|line| !line.contains(&format!("{name} is "))).collect();
    let would = if held.is_empty() { "" } else { "held: " };
    let more = said.len().saturating_sub(NAMED);
    told.next.extend(said.into_iter().take(NAMED).map(|line| format!("{would}{line}")));
    if more > 0 {
        told.next.push(format!("{more} more writes like these"));
    }
    for reason in held {
        if !told.reasons.contains(&reason) {
            told.reasons.push(reason);
        }
    }
    // Sending what waits is not the planner's, and comes before it looks again.
    let sends = kind == Kind::Receiver && next_try(cx.world, name).is_some();
    if let Some(at) = plan.again_at.filter(|at| *at > cx.now && !sends) {
        let within = at.since(cx.now).rough();
        told.next.push(match over {
            // Nothing is left to be looked at but when it is to go.
            true => format!("is forgotten at {at}, in {within}"),
            false => format!("looks again at {at}, in {within}, or when something changes"),
        });
    }
}

/// The word of a phase as users know it.
fn word(value: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(value).ok();
    word.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn ago(cx: &Context, at: Option<Timestamp>) -> String {
    at.map(|at| format!(" since {at}, for {}", cx.now.since(at).rough())).unwrap_or_default()
}

fn application(cx: &Context, it: &Object<Application>, told: &mut Told) {
    let name = it.name();
    let release = match cx.world.newest_release(name) {
        Some(newest) => format!("its newest release is {}", newest.name()),
        None => "it has no release".to_owned(),
    };
    let mut places = Vec::new();
    for deployment in cx.world.derived::<Deployment>(name) {
        let status = &deployment.status;
        let runs = status.release.as_deref().unwrap_or("nothing yet");
        let phase = word(&status.phase);
        places.push(format!("{} ({phase}, {runs})", deployment.spec.environment));
        told.see(Any::Deployment(deployment.clone()).id());
    }
    let places = if places.is_empty() { "nowhere".to_owned() } else { places.join(", ") };
    told.state = format!("{name}: {release}; it is deployed to {places}.");
    for config in &it.spec.config.dynamic {
        match cx.world.get::<Config>(config) {
            Some(_) => told.see(format!("config/{config}")),
            None => told.waiting_for.push(format!("config/{config}, which is not there")),
        }
    }
    let waits = it.status.reasons.iter().filter(|reason| reason.code.ends_with("-missing"));
    told.waiting_for.extend(waits.map(|reason| reason.message.replacen("there is no", "the", 1)));
}

fn freeze(cx: &Context, it: &Object<Freeze>, told: &mut Told) {
    let environments = match it.spec.environments.as_slice() {
        [] => "all environments".to_owned(),
        some => some.join(", "),
    };
    let which = it.spec.applications.to_string();
    let applications = match (it.spec.named.as_slice(), which.is_empty()) {
        ([], true) => "all applications".into(),
        ([], false) => format!("{which:?}"),
        (named, true) => named.join(", "),
        (named, false) => format!("{} with {which:?}", named.join(", ")),
    };
    let when = match (it.spec.active(cx.now), it.spec.from, it.spec.until) {
        (true, _, Some(until)) => format!("is in force until {until}"),
        (true, _, None) => "is in force until it is deleted".to_owned(),
        (false, Some(from), _) if from > cx.now => format!("begins at {from}"),
        _ => "is over".to_owned(),
    };
    let why = &it.spec.reason;
    let name = it.name();
    told.state = format!("{name} {when}, for {applications} in {environments}: {why}.");
    for deployment in cx.world.deployments_with("frozen") {
        told.see(Any::Deployment(deployment.clone()).id());
    }
}
