//! Whether a policy can be what it is meant to be: its expressions are read before it is taken.

use atoll_model::Policy;
use atoll_model::name::Problem;

use super::facts::VALUES;
use super::vote::Ready;
use crate::expression::Expression;

/// What is wrong with the expressions of a policy, with fields below `spec`.
pub(crate) fn problems(policy: &Policy) -> Vec<Problem> {
    let problem = |path: &str, message: String| Problem { path: path.to_owned(), message };
    let ready = match Ready::read(policy) {
        Ok(ready) => ready,
        Err((path, message)) => return vec![problem(path, message)],
    };
    let conditions = [("when", Some(&ready.when)), ("expect.that", ready.that.as_ref())];
    let mut problems = Vec::new();
    for (path, condition) in conditions {
        let Some(condition) = condition else { continue };
        if !condition.is_condition() {
            problems.push(problem(path, "is never true or false".to_owned()));
        }
        let unknown = undeclared(policy, condition).into_iter();
        problems.extend(unknown.map(|name| {
            problem(path, format!("reads values.{name}, and no value of that name is measured"))
        }));
    }
    problems
}

/// The values a condition reads that are not measured.
fn undeclared<'a>(policy: &Policy, condition: &'a Expression) -> Vec<&'a str> {
    let read = condition.fields_of(VALUES).into_iter();
    read.filter(|name| !policy.values.iter().any(|value| value.name == *name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_told_is_refused() {
        let told = |when: &str| {
            let policy: Policy = serde_json::from_value(serde_json::json!({
                "subjects": { "kind": "Deployment" },
                "values": [{ "name": "cpu", "query": "x" }],
                "when": when,
                "action": "rollBack",
            }))
            .unwrap();
            let problems = problems(&policy);
            problems.iter().map(ToString::to_string).collect::<Vec<String>>().join("; ")
        };
        assert_eq!(told("values.cpu > 0.9 && has(subject.status)"), "");
        assert_eq!(told("values.cpu > 0.9 ? true : peers.well > 1"), "");
        assert!(told("values.cpu * 2.0").contains("when: is never true or false"));
        assert!(told("alerts.map(a, a.severity)").contains("never true or false"));
        assert!(told("values.cpu > 0.9 || values.memory > 1.0").contains("reads values.memory,"));
        assert!(told("values['memory'] > 1.0").contains("values.memory"));
        assert!(told("values.cpu >").contains("when: column"));
    }
}
