//! What a change is to lead to, and how far it is: pure functions over objects. It neither waits
//! nor decides how anything gets there.

use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::deployment::{Failed, Phase};
use atoll_model::{
    Any, Application, Deployment, Environment, Host, Instance, Kind, Object, Reason, Snapshot,
};

use crate::columns::word;
use crate::subject::Subject;

mod back;
mod config;
mod migration;
mod pool;

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// A deployment is as this generation of its target wants it.
    Deployment {
        /// Its name.
        name: String,
        /// The generation written.
        generation: u64,
        /// A failure from before the write, which is not one of this write.
        known: Option<Failed>,
    },
    /// A deployment is back from a release whose rollout this generation of its target gives up.
    Back {
        /// Its name.
        name: String,
        /// The generation written.
        generation: u64,
        /// The release that is given up.
        from: String,
    },
    /// Every deployment of an application runs the release this generation makes.
    Application {
        /// Its name.
        name: String,
        /// The generation written.
        generation: u64,
        /// Only the deployment in this environment.
        environment: Option<String>,
    },
    /// A release has been made of this generation of an application.
    Released {
        /// Its name.
        name: String,
        /// The generation written.
        generation: u64,
    },
    /// Every deployment in an environment has settled.
    Environment {
        /// Its name.
        name: String,
    },
    /// A host is closed, emptied or open, as its target says.
    Host {
        /// Its name.
        name: String,
        /// The generation written.
        generation: u64,
    },
    /// Every instance has taken up what this generation of a configuration says.
    Config {
        /// Its name.
        name: String,
        /// The generation written.
        generation: u64,
    },
    /// A migration has come to its end.
    Migration {
        /// Its name.
        name: String,
        /// The generation written.
        generation: u64,
    },
    /// A pool has the hosts it is to have.
    Pool {
        /// Its name.
        name: String,
        /// The generation written.
        generation: u64,
    },
    /// There is no such object any more.
    Gone(Subject),
}

impl Goal {
    /// What is to be waited for after an object was written; nothing for kinds that are all done
    /// once they are stored.
    pub fn of(any: &Any) -> Option<Goal> {
        let (name, generation) = (any.name().to_owned(), any.meta().generation);
        match any.kind() {
            Kind::Deployment => Some(Goal::Deployment { name, generation, known: None }),
            Kind::Application => Some(Goal::Application { name, generation, environment: None }),
            Kind::Environment => Some(Goal::Environment { name }),
            Kind::Host => Some(Goal::Host { name, generation }),
            Kind::Config => Some(Goal::Config { name, generation }),
            Kind::Migration => Some(Goal::Migration { name, generation }),
            Kind::Pool => Some(Goal::Pool { name, generation }),
            _ => None,
        }
    }

    /// What is to be waited for after an object that was like `before` was written. A failure
    /// from then is not one of this write, unless the write asks for what failed.
    pub fn of_change(stored: &Any, before: Option<&Any>) -> Option<Goal> {
        let goal = Goal::of(stored)?;
        let both = before.and_then(Any::of::<Deployment>).zip(stored.of::<Deployment>());
        let Some((before, stored)) = both else { return Some(goal) };
        let old = before.status.failed.clone().filter(|failed| {
            before.spec.release == stored.spec.release
                || stored.spec.release.as_ref() != Some(&failed.release)
        });
        Some(match goal {
            Goal::Deployment { name, generation, .. } => {
                Goal::Deployment { name, generation, known: old }
            }
            other => other,
        })
    }

    /// The object it is about.
    pub fn subject(&self) -> Subject {
        let (kind, name) = match self {
            Goal::Deployment { name, .. } | Goal::Back { name, .. } => (Kind::Deployment, name),
            Goal::Application { name, .. } | Goal::Released { name, .. } => {
                (Kind::Application, name)
            }
            Goal::Environment { name } => (Kind::Environment, name),
            Goal::Host { name, .. } => (Kind::Host, name),
            Goal::Config { name, .. } => (Kind::Config, name),
            Goal::Migration { name, .. } => (Kind::Migration, name),
            Goal::Pool { name, .. } => (Kind::Pool, name),
            Goal::Gone(subject) => return subject.clone(),
        };
        Subject { kind, name: name.clone() }
    }

    /// The kinds that tell whether it is reached.
    pub fn kinds(&self) -> &[Kind] {
        match self {
            Goal::Deployment { .. } | Goal::Back { .. } => &[Kind::Deployment],
            Goal::Released { .. } => &[Kind::Application],
            Goal::Application { .. } | Goal::Environment { .. } => {
                &[Kind::Application, Kind::Environment, Kind::Deployment]
            }
            Goal::Host { .. } => &[Kind::Host, Kind::Instance],
            Goal::Config { .. } => &[Kind::Config],
            Goal::Migration { .. } => &[Kind::Migration],
            Goal::Pool { .. } => &[Kind::Pool],
            Goal::Gone(subject) => std::slice::from_ref(&subject.kind),
        }
    }
}

/// How far a goal is.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Not there yet.
    Pending {
        /// What is to be asked why.
        on: Subject,
        /// How it is.
        text: String,
    },
    /// There; how it is.
    Settled(String),
    /// It will not get there; what happened, and why.
    Failed(String, Vec<Reason>),
}

impl State {
    /// Whether it will not get there.
    pub fn failed(&self) -> bool {
        matches!(self, State::Failed(..))
    }
}

/// How far a goal is in a world.
pub fn state(world: &Snapshot, goal: &Goal) -> State {
    match goal {
        Goal::Deployment { name, generation, known } => match world.get::<Deployment>(name) {
            Some(object) => deployment(object, *generation, None, known.as_ref()),
            None => absent(goal),
        },
        Goal::Back { name, generation, from } => match world.get::<Deployment>(name) {
            Some(object) => back::back(object, *generation, from),
            None => absent(goal),
        },
        Goal::Application { name, generation, environment } => {
            application(world, name, *generation, environment.as_deref())
        }
        Goal::Released { name, generation } => {
            match released(world.get::<Application>(name), name, *generation) {
                Ok((_, release)) => {
                    State::Settled(format!("{release} was made of application/{name}"))
                }
                Err(pending) => pending,
            }
        }
        Goal::Environment { name } => environment(world, name),
        Goal::Host { name, generation } => host(world, name, *generation),
        Goal::Config { name, generation } => config::config(world, name, *generation),
        Goal::Migration { name, generation } => migration::migration(world, name, *generation),
        Goal::Pool { name, generation } => pool::pool(world, name, *generation),
        Goal::Gone(subject) => match world.find(subject.kind, &subject.name) {
            Some(any) => {
                let because = because(any.reasons(), ": ");
                pending(subject.clone(), format!("{subject} is being cleared away{because}"))
            }
            None => State::Settled(format!("{subject} is gone")),
        },
    }
}

/// Not there: a replica may not have seen it yet. That it was deleted is seen by the loop.
fn absent(goal: &Goal) -> State {
    let subject = goal.subject();
    let text = format!("{subject} is not there yet");
    pending(subject, text)
}

fn pending(on: Subject, text: String) -> State {
    State::Pending { on, text }
}

/// The most telling reason, if there is one.
fn because(reasons: &[Reason], between: &str) -> String {
    reasons.first().map(|r| format!("{between}{}", r.message)).unwrap_or_default()
}

/// `wanted` is the release an application's newest generation made, for deployments that follow.
fn deployment(
    object: &Object<Deployment>,
    generation: u64,
    wanted: Option<&str>,
    known: Option<&Failed>,
) -> State {
    let (spec, status) = (&object.spec, &object.status);
    let id = Subject { kind: Kind::Deployment, name: object.name().to_owned() };
    if status.observed_generation < generation.max(object.meta.generation) {
        let text = format!("{id} waits for the server to act on the change");
        return pending(id, text);
    }
    let wanted = spec.release.as_deref().or(wanted);
    let failed = status.failed.as_ref().filter(|failed| {
        Some(*failed) != known && wanted.is_none_or(|wanted| wanted == failed.release)
    });
    let reasons = || {
        let mut all: Vec<Reason> = failed.iter().map(|f| f.reason.clone()).collect();
        all.extend(status.reasons.iter().filter(|r| !all.contains(r)).cloned().collect::<Vec<_>>());
        all
    };
    let on = status.release.as_deref().unwrap_or("no release");
    let there = object.wanted() == 0
        || wanted.is_none_or(|w| status.release.as_deref() == Some(w))
        || known.is_some_and(|known| Some(known.release.as_str()) == wanted);
    // What it says of another release than the one wanted was so before the change.
    let of_another = |reason: &Reason| {
        let failed = status.failed.as_ref();
        reason.code == "rolled-back"
            && failed.is_some_and(|f| wanted.is_some_and(|w| w != f.release))
    };
    let told = status.reasons.iter().any(|r| r.code == "rolled-back" && !of_another(r));
    let rolled_back = failed.is_some() || (told && !there);
    let of_wanted =
        |release: Option<&str>| release.is_none() || wanted.is_none() || release == wanted;
    let last = status.failed.as_ref().map(|f| f.release.as_str());
    let rolling = status.rollout.as_ref().map(|r| r.to.as_str());
    match status.phase {
        Phase::Failed if of_wanted(last) => {
            State::Failed(format!("{id} failed, and stays on {on}"), reasons())
        }
        Phase::Paused if !spec.paused && of_wanted(rolling) => {
            let hint = format!("`atoll resume {id}` or `atoll abort {id}`");
            State::Failed(format!("{id} has stopped on its way; decide with {hint}"), reasons())
        }
        Phase::Settled if rolled_back => {
            let what = failed.map(|f| f.release.as_str()).or(wanted).unwrap_or("the change");
            State::Failed(format!("{id} rolled back from {what} to {on}"), reasons())
        }
        Phase::Settled if there => State::Settled(format!(
            "{id} is settled: {} of {} ready on {on}",
            status.ready,
            object.wanted()
        )),
        _ => pending(id, progress(object, wanted)),
    }
}

/// How far a deployment is, in a line.
fn progress(object: &Object<Deployment>, wanted: Option<&str>) -> String {
    let status = &object.status;
    let mut text = format!("deployment/{} {}", object.name(), word(&status.phase));
    let on = status.release.as_deref().unwrap_or("no release");
    match (&status.rollout, wanted) {
        (Some(rollout), _) => text.push_str(&format!(
            ": ready {}/{}, {} on {}",
            status.ready,
            object.wanted(),
            status.updated,
            rollout.to
        )),
        (None, Some(wanted)) if status.phase == Phase::Settled => {
            text.push_str(&format!(" on {on}, {wanted} has not begun"));
        }
        (None, _) => text.push_str(&format!(": ready {}/{}", status.ready, object.wanted())),
    }
    text.push_str(&because(&status.reasons, "; "));
    text
}

type App = Arc<Object<Application>>;

/// The application and the release made of a generation, or what that waits for.
fn released<'a>(
    object: Option<&'a App>,
    name: &str,
    generation: u64,
) -> Result<(&'a App, &'a str), State> {
    let id = Subject { kind: Kind::Application, name: name.to_owned() };
    let wait = |text: String| pending(id.clone(), format!("{id} {text}"));
    let object = object.ok_or_else(|| wait("is not there yet".to_owned()))?;
    let status = &object.status;
    if status.observed_generation < generation.max(object.meta.generation) {
        return Err(wait("waits for the server to act on the change".to_owned()));
    }
    let release = status.release.as_deref().map(|release| (object, release));
    let because = because(&status.reasons, ": ");
    release.ok_or_else(|| wait(format!("has no release yet{because}")))
}

fn application(world: &Snapshot, name: &str, generation: u64, only: Option<&str>) -> State {
    let object = match released(world.get::<Application>(name), name, generation) {
        Ok((object, _)) => object,
        Err(pending) => return pending,
    };
    let environments = world.all::<Environment>().map(|e| e.name());
    let each = environments
        .filter(|environment| only.is_none_or(|only| only == *environment))
        .filter(|environment| lives_in(&object.spec, environment))
        .map(|environment| follower(world, object, environment));
    together(&format!("application/{name}"), each.collect())
}

fn lives_in(application: &Application, environment: &str) -> bool {
    application.environments.as_ref().is_none_or(|all| all.iter().any(|e| e == environment))
}

fn environment(world: &Snapshot, name: &str) -> State {
    let applications = world.all::<Application>().filter(|a| lives_in(&a.spec, name));
    let each = applications.map(|application| follower(world, application, name));
    together(&format!("environment/{name}"), each.collect())
}

/// How far the deployment of an application in an environment is.
fn follower(world: &Snapshot, application: &Object<Application>, environment: &str) -> State {
    let name = format!("{}.{environment}", application.name());
    match world.get::<Deployment>(&name) {
        Some(object) => deployment(object, 0, application.status.release.as_deref(), None),
        None => {
            let application = Subject { kind: Kind::Application, name: application.name().into() };
            pending(application, format!("deployment/{name} is not there yet"))
        }
    }
}

/// The first failure, else the first that is pending, else all of them.
fn together(id: &str, states: Vec<State>) -> State {
    if let Some(failed) = states.iter().find(|s| matches!(s, State::Failed(..))) {
        return failed.clone();
    }
    if let Some(pending) = states.iter().find(|s| matches!(s, State::Pending { .. })) {
        return pending.clone();
    }
    let settled: Vec<&str> = states
        .iter()
        .filter_map(|s| match s {
            State::Settled(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    match settled[..] {
        [] => State::Settled(format!("{id} is settled: it is deployed nowhere yet")),
        _ => State::Settled(settled.join("\n")),
    }
}

fn host(world: &Snapshot, name: &str, generation: u64) -> State {
    let id = Subject { kind: Kind::Host, name: name.to_owned() };
    let Some(object) = world.get::<Host>(name).filter(|o| o.meta.generation >= generation) else {
        let text = format!("{id}: the change is not seen yet");
        return pending(id, text);
    };
    let phase = object.status.phase;
    let wanted = match (object.spec.drain, object.spec.cordon) {
        (true, _) => phase == HostPhase::Drained,
        (false, true) => phase == HostPhase::Cordoned,
        (false, false) => phase == HostPhase::Ready,
    };
    if wanted {
        return State::Settled(format!("{id} is {}", word(&phase)));
    }
    let left = world.all::<Instance>().filter(|i| i.spec.host == name).count();
    let left = match left {
        0 => String::new(),
        1 => ", 1 instance is on it".to_owned(),
        _ => format!(", {left} instances are on it"),
    };
    let because = because(&object.status.reasons, "; ");
    let text = format!("{id} is {}{left}{because}", word(&phase));
    pending(id, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: &str = r#"{"apiVersion":"atoll/v1","kind":"Deployment",
        "metadata":{"name":"shop.prod","generation":4},
        "spec":{"application":"shop","environment":"prod","instances":3SPEC},
        "status":{"observedGeneration":4,"ready":2,"updated":1STATUS}}"#;

    fn read(text: &str) -> Any {
        Any::from_json(text).unwrap()
    }

    fn shop(spec: &str, status: &str) -> Any {
        read(&DEPLOYMENT.replace("SPEC", spec).replace("STATUS", status))
    }

    fn world(objects: impl IntoIterator<Item = Any>) -> Snapshot {
        let mut world = Snapshot::default();
        for any in objects {
            world.put(any);
        }
        world
    }

    fn goal(generation: u64) -> Goal {
        Goal::Deployment { name: "shop.prod".into(), generation, known: None }
    }

    fn failed() -> &'static str {
        r#","failed":{"release":"shop-2","at":"2026-01-01T00:00:00Z",
        "reason":{"code":"unhealthy","message":"answers 500"}}"#
    }

    #[test]
    fn a_deployment_has_settled_once_its_server_says_so_of_this_generation() {
        let settled = world([shop("", r#","phase":"settled","release":"shop-1""#)]);
        let wanted = "deployment/shop.prod is settled: 2 of 3 ready on shop-1";
        assert_eq!(state(&settled, &goal(4)), State::Settled(wanted.into()));
        assert!(matches!(state(&settled, &goal(5)), State::Pending { .. }));
        let rolling = world([shop(
            "",
            r#","phase":"rolling","release":"shop-1","rollout":{"to":"shop-2",
            "since":"2026-01-01T00:00:00Z","progressAt":"2026-01-01T00:00:00Z"},
            "reasons":[{"code":"starting","message":"shop.prod.3 is starting"}]"#,
        )]);
        let wanted = "deployment/shop.prod rolling: ready 2/3, 1 on shop-2; \
                      shop.prod.3 is starting";
        assert!(matches!(state(&rolling, &goal(4)), State::Pending { text, .. } if text == wanted));
        assert!(matches!(state(&world([]), &goal(1)), State::Pending { .. }));
    }

    #[test]
    fn what_was_taken_back_before_the_change_is_no_failure_of_it() {
        let back = format!(
            r#","phase":"settled","release":"shop-1"{},
            "reasons":[{{"code":"rolled-back","message":"shop-2 was taken back"}}]"#,
            failed()
        );
        let world = world([shop(r#","release":"shop-3""#, &back)]);
        assert!(matches!(state(&world, &goal(4)), State::Pending { .. }));
    }

    #[test]
    fn a_release_that_was_taken_back_is_a_failure_with_its_reasons() {
        let spec = r#","release":"shop-2""#;
        let back = format!(r#","phase":"settled","release":"shop-1"{}"#, failed());
        let State::Failed(text, reasons) = state(&world([shop(spec, &back)]), &goal(4)) else {
            panic!("it was not seen");
        };
        assert_eq!(text, "deployment/shop.prod rolled back from shop-2 to shop-1");
        assert_eq!(reasons[0].message, "answers 500");
        let going = back.replace("settled", "rollingBack");
        assert!(matches!(state(&world([shop(spec, &going)]), &goal(4)), State::Pending { .. }));
        let told = r#","phase":"settled","release":"shop-1",
            "reasons":[{"code":"rolled-back","message":"shop-2 failed"}]"#;
        assert!(matches!(state(&world([shop(spec, told)]), &goal(4)), State::Failed(..)));
        let other = r#","release":"shop-1""#;
        assert!(matches!(state(&world([shop(other, told)]), &goal(4)), State::Settled(_)));
    }

    #[test]
    fn a_failure_from_before_is_not_one_of_this_write() {
        let status = format!(r#","phase":"settled","release":"shop-1"{}"#, failed());
        let any = shop(r#","release":"shop-2""#, &status);
        let scaled = Goal::of_change(&any, Some(&any)).unwrap();
        assert!(matches!(state(&world([any.clone()]), &scaled), State::Settled(_)));
        let before = shop(r#","release":"shop-1""#, &status);
        let asked_again = Goal::of_change(&any, Some(&before)).unwrap();
        assert!(matches!(state(&world([any.clone()]), &asked_again), State::Failed(..)));
        let away = Goal::of_change(&before, Some(&any)).unwrap();
        assert!(matches!(state(&world([before]), &away), State::Settled(_)));
    }

    #[test]
    fn a_rollout_that_stops_by_itself_is_a_failure_and_one_that_was_stopped_is_not() {
        let stopped = world([shop("", r#","phase":"paused""#)]);
        assert!(matches!(state(&stopped, &goal(4)), State::Failed(..)));
        let paused = world([shop(r#","paused":true"#, r#","phase":"paused""#)]);
        assert!(matches!(state(&paused, &goal(4)), State::Pending { .. }));
        let dead = world([shop("", r#","phase":"failed""#)]);
        assert!(matches!(state(&dead, &goal(4)), State::Failed(..)));
    }

    #[test]
    fn what_became_of_another_release_says_nothing() {
        let status = format!(r#","phase":"failed"{}"#, failed());
        let newer = world([shop(r#","release":"shop-3""#, &status)]);
        assert!(matches!(state(&newer, &goal(4)), State::Pending { .. }));
        let same = world([shop(r#","release":"shop-2""#, &status)]);
        assert!(matches!(state(&same, &goal(4)), State::Failed(..)));
    }

    fn application(release: &str) -> Any {
        read(&format!(
            r#"{{"apiVersion":"atoll/v1","kind":"Application",
            "metadata":{{"name":"shop","generation":2}},"spec":{{"run":{{"command":["x"]}}}},
            "status":{{"observedGeneration":2{release}}}}}"#
        ))
    }

    fn prod() -> Any {
        read(
            r#"{"apiVersion":"atoll/v1","kind":"Environment","metadata":{"name":"prod"},
            "spec":{}}"#,
        )
    }

    #[test]
    fn an_application_has_settled_once_its_deployments_run_the_new_release() {
        let goal =
            |generation| Goal::Application { name: "shop".into(), generation, environment: None };
        let new = || application(r#","release":"shop-2""#);
        let on = |release: &str| shop("", &format!(r#","phase":"settled","release":"{release}""#));
        let pending = |world: &Snapshot, generation| match state(world, &goal(generation)) {
            State::Pending { text, .. } => text,
            other => panic!("{other:?}"),
        };
        assert!(pending(&world([application("")]), 2).contains("no release yet"));
        assert!(pending(&world([new()]), 3).contains("waits for the server"));
        assert!(pending(&world([new(), prod()]), 2).contains("shop.prod is not there yet"));
        let old = world([new(), prod(), on("shop-1")]);
        assert!(pending(&old, 2).contains("settled on shop-1, shop-2 has not begun"));
        let there = world([new(), prod(), on("shop-2")]);
        assert!(matches!(state(&there, &goal(2)), State::Settled(_)));
        let nowhere = world([new()]);
        assert!(matches!(state(&nowhere, &goal(2)), State::Settled(_)));
        let environment = Goal::Environment { name: "prod".into() };
        assert!(matches!(state(&old, &environment), State::Pending { .. }));
        assert!(matches!(state(&there, &environment), State::Settled(_)));
    }

    #[test]
    fn a_host_has_settled_once_it_is_as_its_target_says() {
        let host = |spec: &str, phase: &str| {
            world([read(&format!(
                r#"{{"apiVersion":"atoll/v1","kind":"Host","metadata":{{"name":"h1",
                "generation":2}},"spec":{spec},"status":{{"phase":"{phase}"}}}}"#
            ))])
        };
        let goal = Goal::Host { name: "h1".into(), generation: 2 };
        let drain = r#"{"drain":true}"#;
        assert!(matches!(state(&host(drain, "draining"), &goal), State::Pending { .. }));
        assert!(matches!(state(&host(drain, "drained"), &goal), State::Settled(_)));
        assert!(matches!(state(&host("{}", "drained"), &goal), State::Pending { .. }));
        assert!(matches!(state(&host("{}", "ready"), &goal), State::Settled(_)));
        let later = Goal::Host { name: "h1".into(), generation: 3 };
        assert!(matches!(state(&host("{}", "ready"), &later), State::Pending { .. }));
    }
}
