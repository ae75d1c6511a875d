//! The words of the text cases for jobs. The rest of the language is in `mod.rs`.
//!
//! `job NAME on=k:v hosts=h0,h1 batches=1,50% max=1 pause=each once=true` begins one, `job NAME`
//! alone prints it; `retry-job NAME`, `resume-job NAME` and `end-job NAME` are what people say to
//! it. `runbook NAME CRON on=k:v about=TEXT` makes one whose
//! jobs begin by the clock.

use std::sync::Arc;

use atoll_model::{Any, Job, Object};
use serde_json::json;

use super::{Done, Options, Script, word};

impl Script {
    /// Commands of jobs.
    pub fn jobs(&mut self, words: &[String]) -> Done {
        let name = words.get(1).ok_or("job NAME")?;
        let known = self.sim.world.get::<Job>(name).cloned();
        let change = |change: &dyn Fn(&mut Job)| -> Result<Any, String> {
            let mut new = Object::clone(known.as_ref().ok_or("no such job")?);
            change(&mut new.spec);
            Ok(Any::Job(Arc::new(new)))
        };
        match (words[0].as_str(), &known) {
            ("job", Some(job)) if words.len() == 2 => {
                let status = &job.status;
                let done = format!(
                    "{name}: {}, {} of {} done, {} failed, {} lost, {} ended",
                    word(&status.phase),
                    status.succeeded,
                    status.targets.len(),
                    status.failed,
                    status.lost,
                    status.cancelled
                );
                self.said.push(done);
                self.said.extend(status.reasons.iter().map(|reason| format!("  {reason}")));
            }
            ("runbook", _) => {
                let book = runbook(name, words)?;
                self.apply(book);
            }
            ("job", _) => {
                let mut options = Options::of(&words[2..]);
                let on = options.take::<String>("on")?.unwrap_or_default().replace(':', "=");
                let list = |text: Option<String>| -> Vec<String> {
                    text.iter().flat_map(|t| t.split(',')).map(str::to_owned).collect()
                };
                let hosts = list(options.take("hosts")?);
                let batches = list(options.take("batches")?);
                let mut deed = json!({ "command": ["true"], "batches": batches });
                for (key, field) in [("max", "maxErrors"), ("pause", "pause")] {
                    if let Some(value) = options.take::<String>(key)? {
                        deed[field] = value.into();
                    }
                }
                let once = options.take::<bool>("once")?.unwrap_or(false);
                options.done()?;
                let spec = json!({ "on": on, "hosts": hosts, "do": deed, "once": once });
                let spec: Job = serde_json::from_value(spec).map_err(|e| e.to_string())?;
                self.apply(Any::Job(Arc::new(Object::new(name.clone(), spec))));
            }
            ("retry-job", _) => {
                let any = change(&|spec| {
                    spec.round += 1;
                    spec.cancelled = false;
                })?;
                self.apply(any);
            }
            ("resume-job", _) => {
                let any = change(&|spec| spec.resumed += 1)?;
                self.apply(any);
            }
            _ => {
                let any = change(&|spec| spec.cancelled = true)?;
                self.apply(any);
            }
        }
        Ok(())
    }
}

fn runbook(name: &str, words: &[String]) -> Result<Any, String> {
    let cron = words.get(2).ok_or("runbook NAME CRON")?;
    let mut options = Options::of(&words[3..]);
    let on = options.take::<String>("on")?.unwrap_or_default().replace(':', "=");
    let description = options.take::<String>("about")?.unwrap_or_default();
    options.done()?;
    let spec = json!({
        "do": { "command": ["true"] }, "schedules": [{ "cron": cron }],
        "on": on, "description": description,
    });
    let spec = serde_json::from_value(spec).map_err(|e| e.to_string())?;
    Ok(Any::Runbook(Arc::new(Object::new(name, spec))))
}
