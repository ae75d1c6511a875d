//! Whether expressions people write can be evaluated, looked at when they write them: the model
//! knows no PromQL, and a rule that can never be evaluated would only be noticed when it is needed.

use atoll_metrics::promql;
use atoll_model::monitoring::Promise;
use atoll_model::{Any, Intent, Reason, Write};
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
        let mut wrong = |path: String, error: promql::QueryError| {
            let message = format!("{}: spec.{path}: {error}", any.id());
            problems.push(Reason::new("invalid", message));
        };
        match any {
            Any::Rule(rule) => {
                for (i, group) in rule.spec.groups.iter().enumerate() {
                    for (j, item) in group.rules.iter().enumerate() {
                        if let Err(error) = promql::check(&item.expr) {
                            wrong(format!("groups[{i}].rules[{j}].expr"), error);
                        }
                    }
                }
            }
            Any::Application(application) => {
                for (i, promise) in application.spec.objectives.iter().enumerate() {
                    for (field, error) in of_promise(promise) {
                        wrong(format!("objectives[{i}].{field}"), error);
                    }
                }
                let signals = application.spec.rollout.guard.signals.iter();
                for (i, signal) in signals.enumerate() {
                    if let Err(error) = promql::check(&filled(&signal.query)) {
                        wrong(format!("rollout.guard.signals[{i}].query"), error);
                    }
                }
            }
            _ => {}
        }
    }
    problems
}

fn filled(query: &str) -> String {
    query.replace(WINDOW.0, WINDOW.1)
}

fn of_promise(promise: &Promise) -> Vec<(&'static str, promql::QueryError)> {
    let mut wrong = Vec::new();
    if !promise.query.is_empty()
        && let Err(error) = promql::check(&filled(&promise.query))
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
