//! Which changes the decision centre made itself, of those that may be taken for the cause of
//! something: they follow what they were made for. Not whether they helped.

use atoll_model::centre::action::{Action, What};
use atoll_model::config::WentLive;
use atoll_model::{Config, Decision, Host, Object, Snapshot, Span, Timestamp};

use super::subject::root_of;

/// A rollout that a decision asked for begins so soon after it.
const SOON: Span = Span::seconds(60);

/// Whether a version of a configuration went live because a decision gave a value back.
pub(crate) fn gave_back(world: &Snapshot, config: &Object<Config>, step: &WentLive) -> bool {
    let mut decisions = world.all::<Decision>();
    decisions.any(|decision| {
        let returned = decision.status.taken.as_ref().and_then(|taken| taken.returned_at);
        is_value_of(decision, config) && returned.is_some_and(|at| is_next(config, at, step))
    })
}

/// Whether a version of a configuration went live because a decision set a value for what was so
/// of a deployment.
pub(crate) fn switched(
    world: &Snapshot,
    config: &Object<Config>,
    step: &WentLive,
    deployment: &str,
) -> bool {
    let root = format!("deployment/{deployment}");
    let mut decisions = world.all::<Decision>().filter(|d| root_of(&d.spec.subject) == root);
    decisions.any(|decision| {
        let acted = decision.status.acted_at;
        is_value_of(decision, config) && acted.is_some_and(|at| is_next(config, at, step))
    })
}

fn is_value_of(decision: &Object<Decision>, config: &Object<Config>) -> bool {
    let what = decision.status.taken.as_ref().map(|taken| &taken.what);
    matches!(what, Some(What::Value { config: of, .. }) if of == config.name())
}

/// Whether a version is the first that went live since a time.
fn is_next(config: &Object<Config>, since: Timestamp, step: &WentLive) -> bool {
    let mut others = config.status.lately.iter();
    since <= step.at && !others.any(|other| since <= other.at && other.at < step.at)
}

/// Whether what began to roll in a deployment at a time did so because a decision took it back.
pub(crate) fn took_back(world: &Snapshot, deployment: &str, began: Timestamp) -> bool {
    acted(world, &format!("deployment/{deployment}"), |action| matches!(action, Action::RollBack))
        .any(|at| at <= began && began.since(at) <= SOON)
}

/// Whether a host is closed since a time because a decision has it, or its zone, emptied.
pub(crate) fn emptied(world: &Snapshot, host: &Object<Host>, since: Timestamp) -> bool {
    let drained = acted(world, &format!("host/{}", host.name()), |it| matches!(it, Action::Drain));
    let zone = format!("zone/{}", host.zone());
    let evacuated = acted(world, &zone, |it| matches!(it, Action::Evacuate));
    drained.chain(evacuated).any(|at| at <= since)
}

/// When decisions about a thing were carried out that did such a thing.
fn acted<'a>(
    world: &'a Snapshot,
    subject: &str,
    is: fn(&Action) -> bool,
) -> impl Iterator<Item = Timestamp> + use<'a> {
    let subject = subject.to_owned();
    let about = world.all::<Decision>().filter(move |decision| decision.spec.subject == subject);
    about
        .filter(move |decision| decision.status.action.as_ref().is_some_and(is))
        .filter_map(|decision| decision.status.acted_at)
}
