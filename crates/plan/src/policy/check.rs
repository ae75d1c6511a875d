//! Whether a standard can be what it is meant to be: its expressions are read, and its examples are
//! tried. A standard that fails its own examples is not taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::name::Problem;
use atoll_model::object::API_VERSION;
use atoll_model::policy::{Example, Failing};
use atoll_model::{Any, Object, Snapshot, Standard};
use serde_json::{Value, json};

use super::facts::{NAMES, Scene};
use super::judge::{Judgement, Meter, Ready, judge_new};

/// What is wrong with the expressions and the examples of a standard, with fields below `spec`.
pub fn problems(spec: &Standard) -> Vec<Problem> {
    let ready = match Ready::read(spec) {
        Ok(ready) => ready,
        Err(problems) => return problems,
    };
    let tried = spec.examples.iter().enumerate().filter_map(|(i, example)| {
        let why = attempt(spec, &ready, example).err()?;
        let message = format!("{:?}: {why}", example.name);
        Some(Problem { path: format!("examples[{i}]"), message })
    });
    tried.collect()
}

fn attempt(spec: &Standard, ready: &Ready, example: &Example) -> Result<(), String> {
    if let Some(name) = example.given.keys().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(format!("given.{name} is nothing expressions see; {}", NAMES.join(", ")));
    }
    let subject = completed(spec, &example.object)?;
    let world = Snapshot::default();
    let given = with_null(&example.given);
    let scene = Scene::of(&world, &subject).given(&given);
    match judge_new(spec, ready, &scene, &mut Meter::default()) {
        Judgement::Kept | Judgement::NotMeant if example.passes => Ok(()),
        Judgement::Kept => Err("should break it, and keeps it".to_owned()),
        Judgement::NotMeant => Err("should break it, and is not meant by it".to_owned()),
        Judgement::Broken { .. } if !example.passes => Ok(()),
        Judgement::Broken { message, .. } => {
            Err(format!("should keep it, and breaks it: {message}"))
        }
        Judgement::Unknown(_) if !example.passes && spec.failure == Failing::Closed => Ok(()),
        Judgement::Unknown(why) => Err(why),
    }
}

/// Facts of the world are never taken for an example: it has to say all it is about.
fn with_null(given: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut all = given.clone();
    for name in ["instances", "zones"] {
        all.entry(name.to_owned()).or_insert_with(|| json!([]));
    }
    all
}

/// An example's object with what it may leave out.
fn completed(spec: &Standard, object: &Value) -> Result<Any, String> {
    let Value::Object(mut map) = object.clone() else {
        return Err("object is no manifest".to_owned());
    };
    map.entry("apiVersion").or_insert_with(|| json!(API_VERSION));
    if let [kind] = spec.kinds.as_slice() {
        map.entry("kind").or_insert_with(|| json!(kind.name()));
    }
    let meta = map.entry("metadata").or_insert_with(|| json!({}));
    if let Value::Object(meta) = meta {
        meta.entry("name").or_insert_with(|| json!("example"));
    }
    map.entry("spec").or_insert_with(|| json!({}));
    Any::from_value(Value::Object(map)).map_err(|invalid| format!("object: {invalid}"))
}

/// What a standard says of the objects there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// So many objects it means.
    pub meant: u32,
    /// So many of them break it; where it fails closed, those it cannot be told of among them.
    pub broken: u32,
    /// So many of those it means it cannot be told of.
    pub unknown: u32,
    /// Why not, of the first of them.
    pub why: Option<String>,
}

impl Survey {
    /// It can be told of no object there is.
    pub fn is_blind(&self) -> bool {
        self.meant > 0 && self.unknown == self.meant
    }
}

/// What a standard says of the objects there are, were it applied as it is here.
pub fn survey(world: &Snapshot, standard: &Arc<Object<Standard>>) -> Survey {
    let mut survey = Survey::default();
    let Ok(ready) = Ready::read(&standard.spec) else { return survey };
    for kind in &standard.spec.kinds {
        for subject in world.after(*kind, "") {
            let scene = Scene::of(world, &subject);
            // Each is an object of a change of its own.
            let judged = judge_new(&standard.spec, &ready, &scene, &mut Meter::default());
            survey.meant += u32::from(!matches!(judged, Judgement::NotMeant));
            match judged {
                Judgement::NotMeant | Judgement::Kept => {}
                Judgement::Unknown(why) => {
                    survey.unknown += 1;
                    survey.why.get_or_insert(why);
                    survey.broken += u32::from(standard.spec.failure == Failing::Closed);
                }
                Judgement::Broken { .. } => survey.broken += 1,
            }
        }
    }
    survey
}
