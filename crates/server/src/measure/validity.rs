//! Whether expressions people write can be evaluated, looked at when they write them: the model
//! knows no PromQL, and a rule that can never be evaluated would only be noticed when it is needed.

use atoll_metrics::promql;
use atoll_model::monitoring::Promise;
use atoll_model::{Any, Application, Intent, Reason, Rule, Write};
use atoll_plan::Plan;

/// What stands for the window in a promise, where it is checked.
const WINDOW: (&str, &str) = ("{{window}}", "5m");

/// What is wrong with the expressions of an edit, with their places.
pub fn problems(plan: &Plan) -> Vec<Reason> {
    if plan.intent != Intent::Edit {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for write in &plan.writes {
        let Write::Put(any) = write else { continue };
        let wrong = match any {
            Any::Rule(rule) => of_rule(&rule.spec),
            Any::Application(application) => of_application(&application.spec),
            Any::Policy(policy) => {
                let values = policy.spec.values.iter().enumerate();
                let each = values.map(|(i, value)| (format!("values[{i}].query"), &value.query));
                each.filter_map(|(path, query)| Some((path, promql::check_numbers(query).err()?)))
                    .collect()
            }
            _ => Vec::new(),
        };
        problems.extend(wrong.into_iter().map(|(path, error)| {
            Reason::new("invalid", format!("{}: spec.{path}: {error}", any.id()))
        }));
    }
    problems
}

/// Places of expressions that are wrong, with what is wrong with them.
type Wrong = Vec<(String, promql::QueryError)>;

fn of_rule(rule: &Rule) -> Wrong {
    let mut wrong = Vec::new();
    for (i, group) in rule.groups.iter().enumerate() {
        for (j, item) in group.rules.iter().enumerate() {
            if let Err(error) = promql::check_numbers(&item.expr) {
                wrong.push((format!("groups[{i}].rules[{j}].expr"), error));
            }
        }
    }
    wrong
}

fn of_application(application: &Application) -> Wrong {
    let mut wrong = Vec::new();
    for (i, promise) in application.objectives.iter().enumerate() {
        let of = of_promise(promise).into_iter();
        wrong.extend(of.map(|(field, error)| (format!("objectives[{i}].{field}"), error)));
    }
    let mut queries: Vec<(String, String)> = Vec::new();
    for (i, signal) in application.rollout.guard.signals.iter().enumerate() {
        queries.push((format!("rollout.guard.signals[{i}].query"), filled(&signal.query)));
    }
    if let Some(scaling) = &application.scaling {
        let load = scaling.per_instance.iter();
        queries.extend(load.map(|load| ("scaling.perInstance.query".into(), load.query.clone())));
        for (i, signal) in scaling.signals.iter().enumerate() {
            queries.push((format!("scaling.signals[{i}].query"), signal.query.clone()));
        }
    }
    let check =
        |(path, query): (String, String)| Some((path, promql::check_numbers(&query).err()?));
    wrong.extend(queries.into_iter().filter_map(check));
    wrong
}

fn filled(query: &str) -> String {
    query.replace(WINDOW.0, WINDOW.1)
}

fn of_promise(promise: &Promise) -> Vec<(&'static str, promql::QueryError)> {
    let mut wrong = Vec::new();
    if !promise.query.is_empty()
        && let Err(error) = promql::check_numbers(&filled(&promise.query))
    {
        wrong.push(("query", error));
    }
    for (field, selector) in [("good", &promise.good), ("total", &promise.total)] {
        if let Some(selector) = selector
            && let Err(error) = promql::matchers(selector)
        {
            wrong.push((field, error));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_no_number_is_found_where_it_stands() {
        let wrong = |query: &str| {
            let application: Application = serde_json::from_value(serde_json::json!({
                "run": { "command": ["x"] },
                "scaling": { "min": 1, "max": 3, "perInstance": { "query": query, "target": 10 } },
            }))
            .unwrap();
            of_application(&application).into_iter().map(|(path, _)| path).collect::<Vec<_>>()
        };
        for sound in ["load", "sum(rate(load[5m]))", "3", "scalar(load) * 2"] {
            assert_eq!(wrong(sound), [""; 0], "{sound}");
        }
        for odd in ["load[5m]", "\"three\"", "load[", "rate(load)"] {
            assert_eq!(wrong(odd), ["scaling.perInstance.query"], "{odd}");
        }
    }
}
