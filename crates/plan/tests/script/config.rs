//! The commands of the text cases about dynamic configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::config::{Draft, Gray, Overlay, Values};
use atoll_model::{Any, Config, Object};
use atoll_plan::{config, edit};
use serde_json::{Value, json};

use super::{Done, Script};

impl Script {
    /// `config NAME key=value… steps=1:1m,50%:30s`, `draft NAME key=value…`, `push NAME`,
    /// `set NAME [env=E] [now] [why=TEXT] key=value…`, `decide NAME promote|abort`, `taken NAME`;
    /// false, where it is something else.
    pub(super) fn configure(&mut self, words: &[String]) -> Result<bool, String> {
        let name = words.get(1).map_or("", String::as_str);
        match words[0].as_str() {
            "config" => self.new_config(name, &words[2..])?,
            "set" => self.set(name, &words[2..])?,
            "draft" => self.draft(name, &words[2..])?,
            "push" => self.push(name)?,
            "decide" => self.decide(name, words.get(2).map_or("", String::as_str))?,
            "taken" => self.taken(name),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn new_config(&mut self, name: &str, words: &[String]) -> Done {
        let mut spec = Config::default();
        for (key, text) in pairs(words)? {
            match key {
                "steps" => spec.gray = Some(steps(text)?),
                "schema" => {
                    let of = json!({ "type": text });
                    spec.schema = Some(json!({ "additionalProperties": of }));
                }
                key => drop(spec.values.insert(key.to_owned(), value(text))),
            }
        }
        self.apply(Any::Config(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    fn draft(&mut self, name: &str, words: &[String]) -> Done {
        let stored = self.sim.world.get::<Config>(name).ok_or("no such config")?;
        let mut new = Object::clone(stored);
        let spec = &mut new.spec;
        let mut draft = spec.draft.take().unwrap_or_else(|| Draft {
            values: spec.values.clone(),
            overlays: spec.overlays.clone(),
            ..Draft::default()
        });
        draft
            .values
            .extend(pairs(words)?.into_iter().map(|(key, text)| (key.to_owned(), value(text))));
        spec.draft = Some(draft);
        self.edit_config(new);
        Ok(())
    }

    fn push(&mut self, name: &str) -> Done {
        let stored = self.sim.world.get::<Config>(name).ok_or("no such config")?;
        let mut new = Object::clone(stored);
        let draft = new.spec.draft.take().ok_or("no draft")?;
        (new.spec.values, new.spec.overlays) = (draft.values, draft.overlays);
        self.edit_config(new);
        Ok(())
    }

    fn set(&mut self, name: &str, words: &[String]) -> Done {
        let stored = self.sim.world.get::<Config>(name).ok_or("no such config")?;
        let mut new = Object::clone(stored);
        let now = words.iter().any(|word| word == "now");
        let words: Vec<String> = words.iter().filter(|word| *word != "now").cloned().collect();
        let mut values = Values::new();
        let mut environment = None;
        for (key, text) in pairs(&words)? {
            match key {
                "env" => environment = Some(text.to_owned()),
                "why" => {
                    let key = atoll_model::decision::OVERRIDE_ANNOTATION.to_owned();
                    new.meta.annotations.insert(key, text.to_owned());
                }
                key => drop(values.insert(key.to_owned(), value(text))),
            }
        }
        match environment {
            None => new.spec.values.extend(values),
            Some(here) => {
                let environments = vec![here];
                new.spec.overlays.retain(|overlay| overlay.environments != environments);
                let overlay = Overlay { environments, values, ..Overlay::default() };
                new.spec.overlays.push(overlay);
            }
        }
        new.spec.promoted = now.then_some(new.meta.generation + 1);
        self.edit_config(new);
        Ok(())
    }

    fn decide(&mut self, name: &str, word: &str) -> Done {
        let stored = self.sim.world.get::<Config>(name).ok_or("no such config")?;
        let mut new = Object::clone(stored);
        let gray = new.status.gray.as_ref().map(|gray| gray.version);
        let failed = new.status.failed.as_ref().map(|failed| failed.version);
        match word {
            "promote" => new.spec.promoted = gray.or(failed),
            "abort" => new.spec.aborted = gray,
            _ => return Err("decide NAME promote|abort".to_owned()),
        }
        self.edit_config(new);
        Ok(())
    }

    fn edit_config(&mut self, new: Object<Config>) {
        let plan = edit::apply(&self.sim.context(), vec![Any::Config(Arc::new(new))]);
        self.commit(plan);
    }

    /// Which version each instance is to have and has, and what it says there.
    fn taken(&mut self, name: &str) {
        let world = &self.sim.world;
        let mut said = Vec::new();
        for instance in config::instances_of(world, name) {
            let assigned = config::assigned(world, instance);
            let Some(wanted) = assigned.iter().find(|config| config.name == name) else {
                continue;
            };
            let has = instance.status.configs.get(name).map_or(0, |ack| ack.version);
            let values = json!(wanted.values);
            let behind = if has == wanted.version { String::new() } else { format!(", has {has}") };
            said.push(format!("{}: version {}{behind} {values}", instance.name(), wanted.version));
        }
        self.said.extend(said);
    }
}

fn pairs(words: &[String]) -> Result<BTreeMap<&str, &str>, String> {
    let pair = |word: &'_ String| word.contains('=');
    if let Some(wrong) = words.iter().find(|word| !pair(word)) {
        return Err(format!("{wrong:?} is no KEY=VALUE"));
    }
    Ok(words.iter().filter_map(|word| word.split_once('=')).collect())
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn steps(text: &str) -> Result<Gray, String> {
    let one = |step: &str| {
        let (who, soak) = step.split_once(':').unwrap_or((step, "0s"));
        match who.split_once('~') {
            Some((label, value)) => json!({ "where": format!("{label}={value}"), "soak": soak }),
            None => json!({ "instances": who, "soak": soak }),
        }
    };
    let steps: Vec<Value> = text.split(',').map(one).collect();
    serde_json::from_value(json!({ "steps": steps })).map_err(|e| e.to_string())
}
