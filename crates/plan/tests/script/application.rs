//! The word of the text cases that declares an application. The rest of the language is in
//! `mod.rs`.

use std::collections::BTreeMap;

use atoll_model::Any;

use super::{Done, Options, Script};

impl Script {
    pub(super) fn application(&mut self, name: &str, options: &mut Options) -> Done {
        let run = serde_json::json!({
            "command": [options.take::<String>("run")?.unwrap_or("sleep".to_owned())],
            "ports": ports(options.list("ports"))?,
            "resources": {
                "cpu": options.take::<String>("cpu")?.unwrap_or("500m".to_owned()),
                "memory": options.take::<String>("memory")?.unwrap_or("256Mi".to_owned()),
            },
        });
        let mut spec = serde_json::json!({ "run": run, "rollout": rollout(options)? });
        if let Some(names) = options.list("volumes") {
            let volume = |n: &String| serde_json::json!({ "name": n, "path": format!("/{n}") });
            spec["run"]["volumes"] = names.iter().map(volume).collect();
        }
        if let Some(needs) = options.list("needs") {
            let needs: Vec<String> = needs.iter().map(|n| format!("application/{n}")).collect();
            spec["needs"] = needs.into();
        }
        for key in ["spread", "environments"] {
            if let Some(list) = options.list(key) {
                spec[key] = list.into();
            }
        }
        if let Some(min) = options.take::<u32>("min")? {
            spec["scaling"] = serde_json::json!({ "min": min, "max": 1000 });
        }
        for key in ["package", "image", "owner"] {
            if let Some(value) = options.take::<String>(key)? {
                spec[key] = value.into();
            }
        }
        let labels: BTreeMap<String, String> = options
            .list("labels")
            .unwrap_or_default()
            .iter()
            .filter_map(|label| label.split_once(':'))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let version = self.content.entry(name.to_owned()).or_insert(1);
        spec["config"] = serde_json::json!({ "static": { "VERSION": version.to_string() } });
        if let Some(names) = options.list("dynamic") {
            spec["config"]["dynamic"] = names.into();
        }
        let object = serde_json::json!({
            "apiVersion": "atoll/v1", "kind": "Application",
            "metadata": { "name": name, "labels": labels }, "spec": spec,
        });
        let any = Any::from_value(object).map_err(|e| e.to_string())?;
        self.apply(any);
        Ok(())
    }
}

fn ports(list: Option<Vec<String>>) -> Result<serde_json::Value, String> {
    let mut ports = serde_json::Map::new();
    for port in list.unwrap_or_default() {
        let (name, number) = port.split_once(':').ok_or("ports=NAME:NUMBER,…")?;
        let number: u16 = number.parse().map_err(|_| "ports=NAME:NUMBER,…")?;
        ports.insert(name.to_owned(), number.into());
    }
    Ok(ports.into())
}

fn rollout(options: &mut Options) -> Result<serde_json::Value, String> {
    let mut rollout = serde_json::Map::new();
    let keys = [
        ("rollout", "strategy"),
        ("unavailable", "maxUnavailable"),
        ("surge", "maxSurge"),
        ("healthy", "healthyFor"),
        ("deadline", "deadline"),
        ("failures", "failureRatio"),
        ("onfailure", "onFailure"),
    ];
    for (key, field) in keys {
        if let Some(value) = options.take::<String>(key)? {
            rollout.insert(field.to_owned(), value.into());
        }
    }
    if let Some(steps) = options.list("steps") {
        let steps: Vec<serde_json::Value> = steps
            .iter()
            .map(|step| {
                let (instances, soak) = step.split_once(':').unwrap_or((step, "0s"));
                serde_json::json!({ "instances": instances, "soak": soak })
            })
            .collect();
        rollout.insert("steps".to_owned(), steps.into());
    }
    Ok(rollout.into())
}
