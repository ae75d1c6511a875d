//! One standard over one object. It refuses nothing; what follows is the asker's business.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use atoll_model::name::Problem;
use atoll_model::{Object, Standard};

use super::facts::{NAMES, Scene};
use crate::expression::{Expression, Failure, MOST_STEPS, Text, Value};

/// All standards together may take so many steps over one change.
const MOST_IN_ALL: u32 = 5_000_000;
/// So many standards are remembered as they were read.
const REMEMBERED: usize = 1_000;

/// What a standard says of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Judgement {
    /// It is not about it.
    NotMeant,
    /// The object keeps it.
    Kept,
    /// The object breaks it.
    Broken {
        /// What is wrong.
        message: String,
        /// What to do.
        fix: String,
        /// How far it is from it, where that is measured.
        measure: Option<f64>,
    },
    /// It cannot be told, and why.
    Unknown(String),
}

/// How many steps are left to all standards that look at one change.
pub(crate) struct Meter(u32);

impl Default for Meter {
    fn default() -> Meter {
        Meter(MOST_IN_ALL)
    }
}

impl Meter {
    fn run<T>(&mut self, evaluate: impl FnOnce(&mut u32) -> T) -> T {
        let given = self.0.min(MOST_STEPS);
        let mut left = given;
        let value = evaluate(&mut left);
        self.0 -= given - left;
        value
    }
}

/// A standard whose expressions have been read.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    when: Option<Expression>,
    require: Expression,
    measure: Option<Expression>,
    message: Text,
    fix: Text,
}

impl Ready {
    /// Reads all expressions of a standard.
    ///
    /// # Errors
    /// What is wrong with each, with its field below `spec`.
    pub fn read(spec: &Standard) -> Result<Ready, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut note = |path: &str, wrong: crate::expression::Wrong| {
            problems.push(Problem { path: path.to_owned(), message: wrong.to_string() });
        };
        let mut read = |path: &str, text: &str| match Expression::read(text, &NAMES) {
            Ok(expression) => Some(expression),
            Err(wrong) => {
                note(path, wrong);
                None
            }
        };
        let when = spec.when.as_deref().map(|text| read("when", text));
        let require = read("require", &spec.require);
        let measure = spec.measure.as_deref().map(|text| read("measure", text));
        let mut fill = |path: &str, text: &str| match Text::read(text, &NAMES) {
            Ok(text) => Some(text),
            Err(wrong) => {
                note(path, wrong);
                None
            }
        };
        let (message, fix) = (fill("message", &spec.message), fill("fix", &spec.fix));
        match (require, message, fix) {
            (Some(require), Some(message), Some(fix)) if problems.is_empty() => {
                let (when, measure) = (when.flatten(), measure.flatten());
                Ok(Ready { when, require, measure, message, fix })
            }
            _ => Err(problems),
        }
    }

    /// Judges an object that the standard's kinds, labels and environments mean.
    fn judge(&self, scene: &Scene, meter: &mut Meter) -> Judgement {
        let unknown = |field: &str, failure: Failure| {
            Judgement::Unknown(format!("{field} cannot be evaluated: {failure}"))
        };
        if let Some(when) = &self.when {
            match meter.run(|left| when.is_true(scene, left)) {
                Ok(true) => {}
                Ok(false) => return Judgement::NotMeant,
                Err(failure) => return unknown("when", failure),
            }
        }
        match meter.run(|left| self.require.is_true(scene, left)) {
            Ok(true) => return Judgement::Kept,
            Ok(false) => {}
            Err(failure) => return unknown("require", failure),
        }
        let measure = self.measure.as_ref();
        let measure = measure.and_then(|measure| {
            meter.run(|left| match measure.evaluate(scene, left) {
                Ok(Value::Int(value)) => Some(value as f64),
                Ok(Value::Double(value)) => Some(value),
                _ => None,
            })
        });
        let message = meter.run(|left| self.message.fill(scene, left));
        let fix = meter.run(|left| self.fix.fill(scene, left));
        Judgement::Broken { message, fix, measure }
    }
}

/// A standard as it was read, and the object it was read from.
type Known = (Arc<Object<Standard>>, Rc<Result<Ready, String>>);

thread_local! {
    /// Reading a text gives the same each time, so it is done once for each thread. Nothing else
    /// is remembered.
    static KNOWN: RefCell<HashMap<String, Known>> = RefCell::default();
}

fn ready(standard: &Arc<Object<Standard>>) -> Rc<Result<Ready, String>> {
    KNOWN.with_borrow_mut(|known| {
        if let Some((of, ready)) = known.get_mut(standard.name()) {
            if Arc::ptr_eq(of, standard) {
                return ready.clone();
            }
            if of.spec == standard.spec {
                *of = standard.clone();
                return ready.clone();
            }
        }
        let read = Ready::read(&standard.spec).map_err(|problems| {
            let all: Vec<String> = problems.iter().map(|p| format!("spec.{p}")).collect();
            all.join("; ")
        });
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let read = Rc::new(read);
        known.insert(standard.meta.name.clone(), (standard.clone(), read.clone()));
        read
    })
}

/// Judges an object by a standard.
pub(crate) fn judge(
    standard: &Arc<Object<Standard>>,
    scene: &Scene,
    meter: &mut Meter,
) -> Judgement {
    if !is_meant(&standard.spec, scene) {
        return Judgement::NotMeant;
    }
    match &*ready(standard) {
        Ok(ready) => ready.judge(scene, meter),
        Err(why) => Judgement::Unknown(why.clone()),
    }
}

/// Judges by what has just been read and is not stored.
pub(super) fn judge_new(
    spec: &Standard,
    ready: &Ready,
    scene: &Scene,
    meter: &mut Meter,
) -> Judgement {
    if is_meant(spec, scene) { ready.judge(scene, meter) } else { Judgement::NotMeant }
}

fn is_meant(spec: &Standard, scene: &Scene) -> bool {
    let here = |environment: &str| spec.environments.iter().any(|e| e == environment);
    spec.kinds.contains(&scene.subject.kind())
        && (spec.environments.is_empty() || scene.environment().is_some_and(here))
        && (spec.applications.0.is_empty() || spec.applications.matches(&scene.labels()))
}
