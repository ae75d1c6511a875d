//! What expressions of a run may name, and the parameters it was given.

use std::collections::BTreeMap;

use atoll_model::ci::fill::{Names, RunName};
use atoll_model::ci::pipeline::{Param, Pipeline};
use atoll_model::ci::run::Cause;
use atoll_model::{Object, Reason, Run, name};
use serde_json::Value;

/// The names that hold for the whole run.
pub(super) fn names(run: &Object<Run>, definition: &Pipeline) -> Names {
    let (spec, status) = (&run.spec, &run.status);
    let commit = status.commit.as_ref().map(|commit| &commit.id).or(spec.commit.as_ref());
    let own = definition.source.as_ref().map(|source| &source.branch);
    let branch = spec.branch.as_ref().or(own.filter(|_| commit.is_some()));
    let cause = match spec.cause {
        Cause::Webhook => "webhook",
        Cause::Poll => "poll",
        Cause::Push => "push",
        Cause::Schedule => "schedule",
        Cause::Manual => "manual",
    };
    let params = filled_params(&definition.params, &spec.params);
    Names {
        pipeline: spec.pipeline.clone(),
        application: application(spec, definition),
        branch: branch.cloned().unwrap_or_default(),
        commit: commit.cloned().unwrap_or_default(),
        cause: cause.to_owned(),
        step: String::new(),
        run: RunName { name: run.meta.name.clone(), number: spec.number },
        params,
        matrix: BTreeMap::new(),
    }
}

/// The application its releases are of.
pub(super) fn application(run: &Run, definition: &Pipeline) -> String {
    definition.application.clone().unwrap_or_else(|| run.pipeline.clone())
}

/// What was given, and for the rest the defaults.
pub(crate) fn filled_params(
    rules: &BTreeMap<String, Param>,
    given: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    let value = |(param, rule): (&String, &Param)| {
        let value = given.get(param).or(rule.default.as_ref());
        value.map(|value| (param.clone(), value.clone()))
    };
    rules.iter().filter_map(value).collect()
}

/// What is wrong with what was given to a run, or a job.
pub(crate) fn wrong_params(
    rules: &BTreeMap<String, Param>,
    given: &BTreeMap<String, Value>,
) -> Vec<Reason> {
    let unknown = given.keys().filter(|param| !rules.contains_key(*param));
    let mut wrong: Vec<Reason> = unknown
        .map(|param| {
            let near = name::nearest(param, rules.keys().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            Reason::new("param-unknown", format!("there is no parameter {param:?}{hint}"))
        })
        .collect();
    for (param, rule) in rules {
        match given.get(param) {
            Some(value) => wrong.extend(wrong_value(param, rule, value)),
            None if rule.default.is_none() => {
                let message = format!("parameter {param:?} was not given and has no default");
                wrong.push(Reason::new("param-missing", message));
            }
            None => {}
        }
    }
    wrong
}

fn wrong_value(param: &str, rule: &Param, value: &Value) -> Option<Reason> {
    if !rule.kind.admits(value) {
        let message = format!("parameter {param:?} is {value}, and is to be {}", rule.kind.words());
        return Some(Reason::new("param-invalid", message));
    }
    if rule.one_of.is_empty() || rule.one_of.contains(value) {
        return None;
    }
    let known: Vec<String> = rule.one_of.iter().map(Value::to_string).collect();
    let message = format!("parameter {param:?} is {value}, and not one of {}", known.join(", "));
    Some(Reason::new("param-invalid", message))
}
