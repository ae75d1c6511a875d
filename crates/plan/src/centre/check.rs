//! Whether a policy can be what it is meant to be: its expressions are read before it is taken.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::centre::ActMode;
use atoll_model::centre::action::Action;
use atoll_model::name::Problem;
use atoll_model::quantity::Portion;
use atoll_model::{Application, Config, Object, Policy, Reason, Snapshot};
use serde_json::Value;

use super::declared;
use super::facts::{BEFORE, Firing, NAMES, Scene, VALUES};
use super::subject::{Subject, TIER};
use super::vote::Ready;
use crate::Context;
use crate::expression::{Comparison, ELEMENT, Expression, Facts, Literal};

/// The facts whose fields are numbers, and those of their fields that are none.
const NUMBERS: [(&str, &[&str]); 5] = [
    ("values", &[]),
    ("peers", &[]),
    ("seconds", &[]),
    ("zone", &["name"]),
    ("capacity", &["phase"]),
];

/// The facts that are lists.
const LISTS: [&str; 2] = ["alerts", "instances"];

/// So many subjects are looked at for whether they have a field.
const LOOKED_AT: usize = 50;

/// What is wrong with the expressions of a policy, with fields below `spec`.
pub(crate) fn problems(policy: &Policy) -> Vec<Problem> {
    let problem = |path: &str, message: String| Problem { path: path.to_owned(), message };
    let ready = match Ready::read(policy) {
        Ok(ready) => ready,
        Err((path, message)) => return vec![problem(path, message)],
    };
    let conditions = [("when", Some(&ready.when)), ("expect.that", ready.that.as_ref())];
    let mut problems = Vec::new();
    let mut read = vec![("message", ready.message.fields_of(VALUES))];
    for (path, condition) in conditions {
        let Some(condition) = condition else { continue };
        if !condition.is_condition(&|fact, path| may_be_true(policy, fact, path)) {
            problems.push(problem(path, "is never true or false".to_owned()));
        }
        problems.extend(
            condition.fails().map(|why| problem(path, format!("can never be told: {why}"))),
        );
        let odd = NUMBERS.iter().filter_map(|(fact, but)| {
            let at = NAMES.iter().position(|name| name == fact)?;
            let field = condition.no_number_beside(at, but)?;
            let message = format!("{fact}.{field} is a number, and set beside what is none");
            Some(problem(path, message))
        });
        problems.extend(odd);
        let never = condition.comparisons().into_iter().filter_map(|one| never_so(&one));
        problems.extend(never.map(|message| problem(path, message)));
        read.push((path, condition.fields_of(VALUES)));
    }
    problems.dedup();
    if ready.when.uses(BEFORE) {
        let message = "reads before, which is known only in expect.that".to_owned();
        problems.push(problem("when", message));
    }
    problems.extend(no_change(&policy.action).map(|(path, message)| problem(path, message)));
    let measured = |name: &str| policy.values.iter().any(|value| value.name == name);
    let before = ready.that.as_ref().and_then(|that| unknown_before(that, measured));
    problems.extend(before.map(|message| problem("expect.that", message)));
    for (path, names) in read {
        let unknown = names.into_iter().filter(|name| !measured(name));
        problems.extend(unknown.map(|name| {
            problem(path, format!("reads values.{name}, and no value of that name is measured"))
        }));
    }
    problems
}

/// Whether what subjects of a policy have at a path below a fact may be true or false.
fn may_be_true(policy: &Policy, fact: usize, path: &[&str]) -> bool {
    match then_or_now(fact, path) {
        // What was before is an object too; of what is not known, that is told.
        (fact, _) if !NAMES[..BEFORE].contains(&fact) => fact != NAMES[BEFORE],
        // Facts are objects and lists, and what is measured are numbers.
        (_, []) | ("values", _) => false,
        (fact, path) => declared::of(fact, policy.subjects.kind)
            .is_none_or(|declared| !declared.has(path) || declared.may_be_true(path)),
    }
}

/// The fact that is read, be it of how it was before, which is of the same form; and the path.
fn then_or_now<'p>(fact: usize, path: &'p [&'p str]) -> (&'p str, &'p [&'p str]) {
    match path {
        [before, path @ ..] if fact == BEFORE => (*before, path),
        _ => (NAMES[fact], path),
    }
}

/// Why an action asks for no change.
fn no_change(action: &Action) -> Option<(&'static str, String)> {
    let (path, by) = match action {
        Action::Raise(change) => ("action.raise.by", change.by),
        Action::Lower(change) => ("action.lower.by", change.by),
        Action::Borrow(change) => ("action.borrow.by", change.by),
        _ => return None,
    };
    is_none(by).then(|| (path, "is nothing; it is one at least".to_owned()))
}

fn is_none(portion: Portion) -> bool {
    matches!(portion, Portion::Count(0) | Portion::Percent(0))
}

/// Why what is read of how it was before is never there.
fn unknown_before(that: &Expression, measured: impl Fn(&str) -> bool) -> Option<String> {
    let (read, asked) = that.paths_of(BEFORE);
    read.into_iter().chain(asked).find_map(|path| match path.as_slice() {
        ["values", name, ..] if !measured(name) => {
            Some(format!("reads before.values.{name}, and no value of that name is measured"))
        }
        [name, ..] if !NAMES[..BEFORE].contains(name) => {
            let known = NAMES[..BEFORE].join(", ");
            Some(format!("reads before.{name}, which is not known; there are {known}"))
        }
        _ => None,
    })
}

/// Why something is never what it is compared with, whatever there is.
fn never_so(one: &Comparison) -> Option<String> {
    let fact = NAMES[one.fact];
    let but = NUMBERS.iter().find(|(name, _)| *name == fact).map(|(_, but)| *but);
    match (one.path.as_slice(), but) {
        ([], None) if LISTS.contains(&fact) => {
            Some(format!("{fact} is a list, and set beside what is none: ask {fact}.exists(…)"))
        }
        ([], None) => {
            let of = if fact == "budget" { "name" } else { "metadata.name" };
            Some(format!("{fact} is an object, and set beside what is none: ask {fact}.{of}"))
        }
        ([], Some(_)) => Some(format!("{fact} is an object, and set beside what is none")),
        ([field], Some(but)) if one.with != Literal::Number && !but.contains(field) => {
            Some(format!("{fact}.{field} is a number, and set beside what is none"))
        }
        _ => None,
    }
}

/// What can be written and is hardly meant, by what there is: it is told, not refused.
pub(crate) fn remarks(cx: &Context, policy: &Object<Policy>) -> Vec<Reason> {
    let (id, spec) = (format!("policy/{}", policy.name()), &policy.spec);
    let kind = spec.subjects.kind.lower();
    let unknown = |(field, places): (String, Vec<&str>), whose: &str, hint: &str| {
        let read = if places.len() == 1 { "reads" } else { "read" };
        let places = places.join(" and ");
        let message = format!("{id}: {places} {read} {field}, which no {kind}{whose} has");
        Reason::new("unknown-field", message).hint(hint)
    };
    let never = undeclared_fields(spec);
    let mut absent = unknown_fields(cx, spec);
    absent.retain(|field| !never.iter().any(|(known, _)| known == field));
    let hint = "what expressions see stands in docs/guide/decisions.md";
    let never = never.into_iter().map(|read| unknown(read, "", hint));
    let hint = "if it is not misspelt, has(…) asks whether it is there";
    let absent = absent.into_iter().map(|field| unknown((field, vec!["when"]), " there is", hint));
    let compared = odd_comparison(cx, spec).map(|odd| {
        let message = format!("{id}: when compares {odd}");
        Reason::new("odd-comparison", message).hint("what is of another kind is never equal")
    });
    let switch = odd_switch(cx.world, spec).map(|odd| {
        let hint = "it would be told only once it is to be set";
        Reason::new("odd-switch", format!("{id}: {odd}")).hint(hint)
    });
    let inert = inert(spec).into_iter();
    let inert = inert.map(|(why, hint)| Reason::new("inert", format!("{id}: {why}")).hint(hint));
    let tiers = nobodys_tiers(cx.world, spec).into_iter().map(|tier| {
        let message = format!("no application has tier {tier} yet; {id} is for when one has");
        Reason::new("not-there-yet", message)
    });
    never.chain(absent).chain(compared).chain(switch).chain(inert).chain(tiers).collect()
}

/// What of a policy that may act keeps it, or does nothing, and what to write instead.
fn inert(policy: &Policy) -> Vec<(&'static str, &'static str)> {
    let mut modes = policy.modes.iter().map(|rule| rule.mode).chain([policy.mode]);
    if !modes.any(|mode| mode >= ActMode::Approve) {
        return Vec::new();
    }
    let limits = &policy.limits;
    let all = [
        (
            limits.per_hour == 0,
            "limits.perHour is 0: it never acts",
            "to have it only said, mode: advise",
        ),
        (
            limits.per_day == 0,
            "limits.perDay is 0: it never acts",
            "to have it only said, mode: advise",
        ),
        (
            is_none(limits.share),
            "limits.share is 0: one may be under way all the same",
            "to have it only said, mode: advise",
        ),
        (
            policy.escalate_after == 0,
            "escalateAfter is 0: nobody is called, however often it does not help",
            "2 is usual",
        ),
    ];
    all.into_iter().filter(|(is, ..)| *is).map(|(_, why, hint)| (why, hint)).collect()
}

/// The tiers a policy has modes for and no application has.
fn nobodys_tiers<'a>(world: &Snapshot, policy: &'a Policy) -> BTreeSet<&'a str> {
    let named = policy.modes.iter().flat_map(|rule| &rule.tiers).map(String::as_str);
    let has = |application: &Object<Application>, tier: &str| {
        application.meta.labels.get(TIER).is_some_and(|own| own == tier)
    };
    named.filter(|tier| !world.all::<Application>().any(|it| has(it, tier))).collect()
}

/// What a condition compares with something it never is, by what there is: a number with a text.
fn odd_comparison(cx: &Context, policy: &Policy) -> Option<String> {
    with_scenes(cx, policy, odd_among)
}

/// Looks at the condition of a policy over some of its subjects, with nothing measured.
fn with_scenes<T: Default>(cx: &Context, policy: &Policy, look: fn(&Ready, &[Scene]) -> T) -> T {
    let Ok(ready) = Ready::read(policy) else { return T::default() };
    let subjects = Subject::all(cx.world, policy);
    let (firing, values) = (Firing::of(cx.world), BTreeMap::new());
    let some = subjects.iter().take(LOOKED_AT);
    let scenes: Vec<Scene> = some.map(|one| Scene::new(cx, one, &firing, &values)).collect();
    look(&ready, &scenes)
}

fn odd_among(ready: &Ready, scenes: &[Scene]) -> Option<String> {
    ready.when.comparisons().into_iter().find_map(|one| {
        if [VALUES, BEFORE].contains(&one.fact) || one.path.is_empty() {
            return None;
        }
        let of = |scene: &Scene| {
            let whole = Some(scene.fact(one.fact));
            one.path.iter().fold(whole, |at, name| at?.get(name)).and_then(kind)
        };
        let known: Vec<(&str, Option<Literal>)> = scenes.iter().filter_map(of).collect();
        let (is, _) = known.first()?;
        let never = known.iter().all(|(_, kind)| *kind != Some(one.with));
        let with = match one.with {
            Literal::Number => "a number",
            Literal::Text => "a text",
            Literal::Bool => "true or false",
        };
        never.then(|| {
            format!("{}.{} with {with}, and it is {is}", NAMES[one.fact], one.path.join("."))
        })
    })
}

/// What is odd about the value a policy would set, where the configuration is there.
fn odd_switch(world: &Snapshot, policy: &Policy) -> Option<String> {
    let Action::Switch(to) = &policy.action else { return None };
    let config = world.get::<Config>(to.config.as_ref()?)?;
    let spec = &config.spec;
    let default = spec.switches.get(&to.key).map(|switch| &switch.default);
    let (id, key) = (format!("config/{}", config.name()), &to.key);
    let Some(known) = default.or_else(|| spec.values.get(key)) else {
        return Some(format!("{id} has no {key}"));
    };
    let ((is, _), (would, _)) = (kind(known)?, kind(&to.value)?);
    (is != would).then(|| format!("{key} of {id} is {is}, and would be {would}"))
}

/// What a value is, in words; nothing, where it is not there.
fn kind(value: &Value) -> Option<(&'static str, Option<Literal>)> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(("true or false", Some(Literal::Bool))),
        Value::Number(_) => Some(("a number", Some(Literal::Number))),
        Value::String(_) => Some(("a text", Some(Literal::Text))),
        Value::Array(_) => Some(("a list", None)),
        Value::Object(_) => Some(("an object", None)),
    }
}

/// The fields that an expression reads, by the place of their fact and their path below that. What
/// it asks for with `has` may be missing.
fn reads(expression: &Expression) -> impl Iterator<Item = (usize, Vec<&str>)> {
    (0..NAMES.len()).filter(|at| *at != VALUES).flat_map(|at| {
        let (mut read, asked) = expression.paths_of(at);
        read.retain(|path| !asked.iter().any(|asked| path.starts_with(asked)));
        read.into_iter().map(move |path| (at, path))
    })
}

fn named(fact: usize, path: &[&str]) -> String {
    format!("{}.{}", NAMES[fact], path.join(".")).replace(&format!(".{ELEMENT}"), ELEMENT)
}

/// The fields that a policy reads and that nothing its subjects have of the kind ever has, whatever
/// there is, each with where it is read.
fn undeclared_fields(policy: &Policy) -> Vec<(String, Vec<&'static str>)> {
    let Ok(ready) = Ready::read(policy) else { return Vec::new() };
    let may_be = |fact: usize, path: &[&str]| {
        let (fact, path) = then_or_now(fact, path);
        declared::of(fact, policy.subjects.kind).is_none_or(|declared| declared.has(path))
    };
    let mut all: Vec<(String, Vec<&'static str>)> = Vec::new();
    for (place, expression) in ready.each() {
        for (fact, path) in reads(expression).filter(|(fact, path)| !may_be(*fact, path)) {
            let name = named(fact, &path);
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, places)) if places.contains(&place) => {}
                Some((_, places)) => places.push(place),
                None => all.push((name, vec![place])),
            }
        }
    }
    all
}

/// The fields that the condition of a policy reads and that are there for none of the subjects
/// there are: they may not be there yet. What else it reads is read only once the condition holds,
/// or something was done.
fn unknown_fields(cx: &Context, policy: &Policy) -> Vec<String> {
    with_scenes(cx, policy, unknown_among)
}

fn unknown_among(ready: &Ready, scenes: &[Scene]) -> Vec<String> {
    let has = |value: &Value, path: &[&str]| {
        path.iter().try_fold(value, |value, name| value.get(name)).is_some()
    };
    // Whether a list has elements now says nothing of what these have.
    let read = reads(&ready.when).map(|(at, mut path)| {
        path.truncate(path.iter().position(|name| *name == ELEMENT).unwrap_or(path.len()));
        (at, path)
    });
    let unknown = read.filter(|(at, path)| {
        let known = scenes.iter().map(|scene| scene.fact(*at)).filter(|value| !value.is_null());
        let known: Vec<&Value> = known.collect();
        !known.is_empty() && !known.iter().any(|value| has(value, path))
    });
    let mut all: Vec<String> = unknown.map(|(at, path)| named(at, &path)).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(when: &str) -> Policy {
        serde_json::from_value(serde_json::json!({
            "subjects": { "kind": "Deployment" },
            "values": [{ "name": "cpu", "query": "x" }],
            "when": when,
            "message": "{{values.cpu}} of {{subject.metadata.name}}",
            "action": "rollBack",
        }))
        .unwrap()
    }

    fn told(when: &str) -> String {
        let problems = problems(&policy(when));
        problems.iter().map(ToString::to_string).collect::<Vec<String>>().join("; ")
    }

    #[test]
    fn what_is_nonsense_as_it_is_written_out_is_refused() {
        assert!(told("1 + 'a' > 2").contains("can never be told: "));
        assert!(told("size(5) > 1 || values.cpu > 0.5").contains("size of"));
        assert!(told("values.cpu > double(int('abc'))").contains("\"abc\" is no whole number"));
        assert!(told("[1, 2][5] == 1").contains("can never be told: "));
        assert!(told("seconds.phase > 1 && duration('x') > duration('1m')").contains("told: "));
        assert_eq!(told("[1, 2].exists(x, x + 1 > peers.ready) && size('ab') == 2"), "");
    }

    #[test]
    fn what_can_never_be_told_is_refused() {
        assert_eq!(told("values.cpu > 0.9 && has(subject.status)"), "");
        assert_eq!(told("values.cpu > 0.9 ? true : peers.well > 1"), "");
        assert!(told("values.cpu * 2.0").contains("when: is never true or false"));
        assert!(told("alerts.map(a, a.severity)").contains("never true or false"));
        assert!(told("values.cpu > 0.9 || values.memory > 1.0").contains("reads values.memory,"));
        assert!(told("values['memory'] > 1.0").contains("values.memory"));
        assert!(told("values.cpu >").contains("when: column"));
        assert!(told("values.cpu > '0.9'").contains("when: values.cpu is a number"));
        assert!(told("has(subject.spec) && true == values['cpu']").contains("values.cpu is a"));
        assert_eq!(told("subject.spec.application == 'web' && values.cpu > 0.5"), "");
        assert!(told("peers.ready > 'three'").contains("peers.ready is a number"));
        assert!(told("capacity.phase == 'short' && capacity.load > '9'").contains("capacity.load"));
        assert_eq!(told("zone.name == 'a' && capacity.phase == 'short'"), "");
        assert!(told("environment != 'prod'").contains("ask environment.metadata.name"));
        assert!(told("alerts == 'x' || peers.ready in ['3']").contains("alerts is a list"));
        assert!(told("peers.ready in ['3']").contains("peers.ready is a number"));
        assert_eq!(told("environment.metadata.name != 'prod' && capacity != null"), "");
        assert!(told("before.cpu > values.cpu").contains("when: reads before"));
        assert!(told("deployment.status.ready").contains("never true or false"));
        assert!(told("!deployment['status'].phase").contains("never true or false"));
        assert!(told("values.cpu && peers.ready > 1").contains("never true or false"));
        assert!(told("deployment").contains("never true or false"));
        assert_eq!(told("deployment.status.rady || values.cpu > 1.0"), "");
        assert_eq!(
            told("application.spec.scaling.predict && deployment.spec[subject.metadata.name]"),
            ""
        );
        assert!(told("5 > 'a' || values.cpu > 1.0").contains("compares what is written out"));
        assert!(told("-1 == true").contains("compares what is written out"));
        assert!(told("1/0 > 1").contains("divides by nothing"));
        let then = |that: &str| {
            let mut policy = policy("values.cpu > 0.9");
            policy.expect.that = that.to_owned();
            let problems = problems(&policy);
            problems.iter().map(ToString::to_string).collect::<Vec<String>>().join("; ")
        };
        assert_eq!(then("values.cpu < before.values.cpu || has(before.host)"), "");
        assert!(then("before.x > 1").contains("expect.that: reads before.x, which is not known"));
        assert!(then("deployment.status.ready").contains("expect.that: is never true or false"));
        assert!(then("values.cpu").contains("expect.that: is never true or false"));
        assert!(then("before.values.cpu").contains("expect.that: is never true or false"));
        assert!(then("before.before.x > 1").contains("reads before.before"));
        assert!(then("has(before.values.x)").contains("reads before.values.x, and no value"));
        let raise = |by: &str| {
            let action = serde_json::from_value(serde_json::json!({ "raise": { "by": by } }));
            problems(&Policy { action: action.unwrap(), ..policy("true") }).len()
        };
        assert_eq!([raise("0"), raise("0%"), raise("1"), raise("1%")], [1, 1, 0, 0]);
        let told = problems(&Policy { message: "{{values.nope}}".to_owned(), ..policy("true") });
        assert!(told[0].to_string().contains("message: reads values.nope"), "{told:?}");
    }
}
