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

    /// Whether the condition holds over facts.
    pub fn judge(&self, facts: &dyn Facts) -> Result<bool, String> {
        holds(&self.when, facts)
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
            let message = ready.message.fill(&scene, &mut MOST_STEPS.clone());
            let message = if message.is_empty() { policy.when.clone() } else { message };
            Told::Yes { values: measured, message }
        }
    }
}
