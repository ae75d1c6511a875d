//! The words of the text cases for pipelines. The rest of the language is in `mod.rs`.
//!
//! `run PIPELINE STEP… key=value…` begins a run of steps written `NAME<NEED<NEED/CELLS+FLAG+FLAG`;
//! flags are `always`, `mayFail`, `failFast`, `retry`, `one` (a cell at a time) and `image`.
//! `steps RUN` prints its cells, `cancel RUN` asks for its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::ci::run::Cause;
use atoll_model::{Any, Object, Pipeline, Run};
use atoll_plan::ci::begin::{Ask, begin};
use serde_json::{Value, json};

use super::{Done, Options, Script, word};

impl Script {
    /// Commands of pipelines.
    pub fn pipelines(&mut self, words: &[String]) -> Done {
        let name = words.get(1).map_or("", String::as_str);
        match words[0].as_str() {
            "run" => self.begin(name, words.get(2..).unwrap_or_default()),
            "schedule" => {
                let cron = words.get(2).ok_or("schedule PIPELINE CRON")?;
                let spec = json!({
                    "triggers": { "schedules": [{ "cron": cron }] },
                    "steps": [{ "name": "do", "run": "do" }],
                });
                let spec: Pipeline = serde_json::from_value(spec).map_err(|e| e.to_string())?;
                self.apply(Any::Pipeline(Arc::new(Object::new(name, spec))));
                Ok(())
            }
            "pipeline" => {
                let release = json!({ "package": "out" });
                let spec = json!({ "steps": [{ "name": "do", "run": "do", "release": release }] });
                let spec: Pipeline = serde_json::from_value(spec).map_err(|e| e.to_string())?;
                self.apply(Any::Pipeline(Arc::new(Object::new(name, spec))));
                Ok(())
            }
            "cancel" => {
                let run = self.sim.world.get::<Run>(name).ok_or("no such run")?;
                let mut new = Object::clone(run);
                new.spec.cancelled = true;
                self.apply(Any::Run(Arc::new(new)));
                Ok(())
            }
            _ => {
                let run = self.sim.world.get::<Run>(name).ok_or("no such run")?;
                let mut said = vec![format!("{name}: {}", word(&run.status.phase))];
                said.extend(run.status.reasons.iter().map(|reason| format!("  {reason}")));
                for cell in &run.status.cells {
                    let task = cell.task.as_deref().unwrap_or("no task");
                    said.push(format!("  {} {}: {task}", cell.step, word(&cell.phase)));
                }
                self.said.extend(said);
                Ok(())
            }
        }
    }

    fn begin(&mut self, name: &str, words: &[String]) -> Done {
        let mut options = Options::of(words);
        let steps = words.iter().filter(|word| !word.contains('='));
        let on = options.take::<String>("on")?.map(|label| label.replace(':', "="));
        let cpu = options.take::<String>("cpu")?.unwrap_or("1".to_owned());
        let steps: Vec<Value> =
            steps.map(|text| step(text, &cpu, on.as_deref())).collect::<Result<_, _>>()?;
        let mut spec = json!({ "steps": steps });
        if let Some(group) = options.take::<String>("group")? {
            let cancel = options.take::<bool>("cancel")?.unwrap_or(false);
            spec["concurrency"] = json!({ "group": group, "cancel": cancel });
        }
        for key in ["timeout", "keep"] {
            if let Some(value) = options.take::<String>(key)? {
                spec[key] = value.into();
            }
        }
        if let Some(priority) = options.take::<i32>("priority")? {
            spec["priority"] = priority.into();
        }
        let definition: Pipeline = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        let given = options.take::<String>("given")?;
        let ask = Ask {
            pipeline: name.to_owned(),
            cause: Cause::Manual,
            key: options.take("key")?.unwrap_or_else(|| self.sim.now().to_string()),
            branch: None,
            commit: None,
            source: None,
            definition: Some(Box::new(definition)),
            params: given.into_iter().map(|name| (name, json!(1))).collect::<BTreeMap<_, _>>(),
        };
        options.done()?;
        let plan = begin(&self.sim.context(), &ask).map(|(plan, _)| plan);
        self.commit(plan);
        Ok(())
    }
}

fn step(text: &str, cpu: &str, on: Option<&str>) -> Result<Value, String> {
    let mut flags = text.split('+');
    let (graph, flags) = (flags.next().unwrap_or_default(), flags.collect::<Vec<_>>());
    let (graph, cells) = match graph.split_once('/') {
        Some((graph, cells)) => (graph, cells.parse().map_err(|_| "NAME/CELLS")?),
        None => (graph, 1),
    };
    let mut names = graph.split('<');
    let mut step = json!({
        "name": names.next(), "needs": names.collect::<Vec<_>>(), "run": "do",
        "limits": { "resources": { "cpu": cpu, "memory": "100Mi" } },
    });
    if let Some(on) = on {
        step["on"] = on.into();
    }
    if cells > 1 {
        let values: Vec<String> = (0..cells).map(|n: u32| n.to_string()).collect();
        step["matrix"] = json!({ "axes": { "n": values } });
    }
    for flag in flags {
        match flag {
            "always" | "mayFail" => step[flag] = true.into(),
            "failFast" => step["matrix"][flag] = true.into(),
            "one" => step["matrix"]["parallel"] = 1.into(),
            "retry" => step["retry"] = json!({ "failed": 1 }),
            "image" => step["image"] = "debian:12".into(),
            "broken" => step["run"] = "{{nonsense}}".into(),
            other => return Err(format!("no flag {other}")),
        }
    }
    Ok(step)
}
