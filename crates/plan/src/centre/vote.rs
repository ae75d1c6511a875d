//! How one policy votes: its condition over each of its subjects. Not what follows from votes.

use std::collections::BTreeMap;

use atoll_model::{Any, Policy};

use super::facts::{Firing, Scene, VALUES};
use super::measure::Values;
use super::subject::Subject;
use crate::Context;
use crate::expression::{Expression, Facts, MOST_STEPS, Text};

/// What a policy says of one subject.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// Nothing is to be done.
    No,
    /// Something is.
    Yes {
        /// What was measured.
        values: BTreeMap<String, f64>,
        /// What is so.
        message: String,
    },
    /// It cannot be told, and why.
    Unknown(String),
}

/// The expressions of a policy, read.
pub(super) struct Ready {
    pub when: Expression,
    pub message: Text,
    pub that: Option<Expression>,
}

impl Ready {
    /// Reads them.
    ///
    /// # Errors
    /// The first that cannot be read, and why.
    pub fn read(policy: &Policy) -> Result<Ready, (&'static str, String)> {
        let read = |path: &'static str, text: &str| {
            Expression::read(text, &super::NAMES).map_err(|wrong| (path, wrong.to_string()))
        };
        let that = &policy.expect.that;
        let message = Text::read(&policy.message, &super::NAMES);
        Ok(Ready {
            when: read("when", &policy.when)?,
            message: message.map_err(|wrong| ("message", wrong.to_string()))?,
            that: (!that.trim().is_empty()).then(|| read("expect.that", that)).transpose()?,
        })
    }

    /// All of them, each with the field it stands in.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &Expression)> {
        let that = self.that.iter().map(|that| ("expect.that", that));
        let message = self.message.expressions().map(|filled| ("message", filled));
        std::iter::once(("when", &self.when)).chain(that).chain(message)
    }

    /// Whether the condition holds over facts.
    pub fn judge(&self, facts: &dyn Facts) -> Result<bool, String> {
        holds(&self.when, facts)
    }

    /// What is so where the condition holds, in the words of its policy.
    pub fn told(&self, policy: &Policy, facts: &dyn Facts) -> String {
        let message = self.message.fill(facts, &mut MOST_STEPS.clone());
        if message.is_empty() { policy.when.clone() } else { message }
    }
}

/// Whether an expression is true over facts.
///
/// # Errors
/// Why it cannot be told.
pub(super) fn holds(expression: &Expression, facts: &dyn Facts) -> Result<bool, String> {
    expression.is_true(facts, &mut MOST_STEPS.clone()).map_err(|failure| failure.to_string())
}

/// How a policy votes about each of its subjects, by their ids.
pub(super) fn all(cx: &Context, policy: &Policy) -> Vec<(String, Told)> {
    let subjects = Subject::all(cx.world, policy);
    let ready = match Ready::read(policy) {
        Ok(ready) => ready,
        Err((path, wrong)) => {
            // The gate takes no such policy; one may be left from before.
            let why = format!("{path}: {wrong}");
            return subjects.into_iter().map(|s| (s.id(), Told::Unknown(why.clone()))).collect();
        }
    };
    let values = Values::of(policy, &cx.measured.answers, cx.now);
    let firing = Firing::of(cx.world);
    let each = subjects.iter().map(|subject| {
        let told = one(cx, policy, &ready, &values, &firing, subject);
        (subject.id(), told)
    });
    each.filter(|(_, told)| *told != Told::No).collect()
}

/// How a policy would vote about a subject, whatever phase that is in.
pub(super) fn about(cx: &Context, policy: &Policy, subject: &Subject) -> Told {
    let ready = match Ready::read(policy) {
        Ok(ready) => ready,
        Err((path, wrong)) => return Told::Unknown(format!("{path}: {wrong}")),
    };
    let values = Values::of(policy, &cx.measured.answers, cx.now);
    one(cx, policy, &ready, &values, &Firing::of(cx.world), subject)
}

fn one(
    cx: &Context,
    policy: &Policy,
    ready: &Ready,
    values: &Values,
    firing: &Firing,
    subject: &Subject,
) -> Told {
    let measured = match values.about(&subject.name) {
        Ok(measured) => measured,
        Err(why) if ready.when.uses(VALUES) => {
            // What is not running cannot be measured, and is nothing to be told of.
            let idle = matches!(&subject.any, Some(Any::Deployment(d)) if d.status.ready == 0);
            return if idle { Told::No } else { Told::Unknown(why) };
        }
        Err(_) => BTreeMap::new(),
    };
    let scene = Scene::new(cx, subject, firing, &measured);
    match ready.judge(&scene) {
        Ok(false) => Told::No,
        Err(why) => Told::Unknown(why),
        Ok(true) => {
            let message = ready.told(policy, &scene);
            Told::Yes { values: measured, message }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::deployment::DeploymentStatus;
    use atoll_model::{Application, Deployment, Object, Snapshot, Timestamp};
    use serde_json::{Value, json};

    use super::*;
    use crate::Measurements;
    use crate::centre::limit::somebody_else;

    /// What the policy against bad releases says of a deployment that stands so, and who acts.
    fn told(status: Value) -> (String, Option<String>) {
        let application: Application =
            serde_json::from_value(json!({ "run": { "command": ["x"] } })).unwrap();
        let spec: Deployment =
            serde_json::from_value(json!({ "application": "shop", "environment": "prod" }))
                .unwrap();
        let mut shop = Object::new("shop.prod", spec);
        shop.status = serde_json::from_value::<DeploymentStatus>(status).unwrap();
        let world: Snapshot = crate::testing::world([
            Any::Application(Arc::new(Object::new("shop", application))),
            Any::Deployment(Arc::new(shop)),
        ]);
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: Timestamp(520_000) };
        let all = crate::centre::built_in().unwrap();
        let bad = all.iter().find(|any| any.name() == "bad-release").unwrap();
        let bad = &bad.of::<Policy>().unwrap().spec;
        let subject = Subject::find(&world, "deployment/shop.prod").unwrap();
        let (firing, values) = (Firing::of(&world), BTreeMap::new());
        let scene = Scene::new(&cx, &subject, &firing, &values);
        let message = Ready::read(bad).unwrap().message.fill(&scene, &mut MOST_STEPS.clone());
        (message, somebody_else(&cx, &subject, &bad.action).map(|reason| reason.message))
    }

    #[test]
    fn a_bad_release_is_told_as_it_stands() {
        let since = Timestamp(1_000);
        let rollout = json!({ "to": "shop-2", "since": since, "progressAt": since });
        let runs = json!({ "release": "shop-1", "rollout": rollout.clone() });
        let (message, who) = told(runs);
        assert_eq!(message, "shop.prod is on the way to shop-2 for 519s, and  fire since");
        assert_eq!(who.unwrap(), "the guard acts: it watches the rollout of shop-2");
        let (_, who) = told(json!({
            "phase": "paused", "release": "shop-1", "rollout": rollout,
            "reasons": [{ "code": "guard-stop", "message": "errors got worse" }],
        }));
        let asks = "the guard has stopped the rollout of shop-2 and asks somebody: atoll abort \
                    deployment/shop.prod goes back, atoll promote deployment/shop.prod goes on";
        assert_eq!(who.unwrap(), asks);
        let (message, who) = told(json!({ "release": "shop-2", "goodSince": since }));
        assert_eq!(message, "shop.prod runs shop-2 for 519s, and  fire since");
        assert_eq!(who, None);
    }
}
