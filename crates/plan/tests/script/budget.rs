//! The words of the text cases for money: the price book, budgets, and what the fleet costs. The
//! rest of the language is in `mod.rs`.
//!
//! `price list cpu=0.02 memory=0.0025 [host=0.1] [hosts=size:big] [from=…] [until=…]` is in EUR,
//! `limit trade team=trade month=100 cpu=2..4 [exceed=refuse]` too; `allow BUDGET WHO` approves
//! that it is broken, `costs team` says what the fleet costs an hour, `noted` what the gate
//! noted of the last change.

use std::sync::Arc;

use atoll_model::access::{Actor, Level};
use atoll_model::{Any, Approval, Object, Team};
use atoll_plan::budget::showback::{By, costs};
use atoll_plan::edit;
use serde_json::{Value, json};

use super::{Done, Options, Script};

impl Script {
    /// Commands of money; whether it was one.
    pub(super) fn budgets(&mut self, words: &[String]) -> Result<bool, String> {
        let name = words.get(1).map_or("", String::as_str);
        let mut options = Options::of(words.get(2..).unwrap_or_default());
        match words[0].as_str() {
            "price" => self.price(name, &mut options)?,
            "limit" => self.limit(name, &mut options)?,
            "allow" => self.allow(name, words.get(2).map_or("", String::as_str)),
            "costs" => self.costs(name, words.get(2).map(String::as_str))?,
            "noted" => {
                // What the gate keeps of the last change.
                let last = self.sim.journal.last().into_iter().flat_map(|entry| &entry.reasons);
                self.said.extend(last.map(|reason| format!("noted: {reason}")));
            }
            _ => return Ok(false),
        }
        options.done()?;
        Ok(true)
    }

    fn price(&mut self, name: &str, options: &mut Options) -> Done {
        let mut spec = json!({
            "from": options.take::<String>("from")?.unwrap_or("2023-01-01T00:00:00Z".to_owned()),
            "currency": options.take::<String>("currency")?.unwrap_or("EUR".to_owned()),
            "hosts": options.take::<String>("hosts")?.unwrap_or_default().replace(':', "="),
        });
        let fields = [
            ("host", "hostHour"),
            ("cpu", "cpuHour"),
            ("memory", "memoryGiBHour"),
            ("until", "until"),
        ];
        for (key, field) in fields {
            if let Some(value) = options.take::<String>(key)? {
                spec[field] = value.into();
            }
        }
        self.made("Price", name, &spec)
    }

    fn limit(&mut self, name: &str, options: &mut Options) -> Done {
        let mut spec = json!({});
        for key in ["team", "application", "environment", "exceed"] {
            if let Some(value) = options.take::<String>(key)? {
                spec[key] = value.into();
            }
        }
        if let Some(limit) = options.take::<String>("month")? {
            spec["month"] = json!({ "limit": limit, "currency": "EUR" });
        }
        for key in ["cpu", "memory"] {
            if let Some(bounds) = options.take::<String>(key)? {
                let (least, most) = bounds.split_once("..").ok_or("cpu=GUARANTEED..CEILING")?;
                spec["resources"][key] = json!({ "guaranteed": least, "ceiling": most });
            }
        }
        for key in ["weight", "tier"] {
            if let Some(value) = options.take::<String>(key)? {
                let value = value.parse::<u32>().map_or(Value::from(value), Value::from);
                spec["resources"][key] = value;
            }
        }
        if let Some(team) = spec["team"].as_str() {
            self.apply(Any::Team(Arc::new(Object::new(team, Team::default()))));
        }
        self.made("Budget", name, &spec)
    }

    fn made(&mut self, kind: &str, name: &str, spec: &Value) -> Done {
        let object = json!({
            "apiVersion": "atoll/v1", "kind": kind, "metadata": { "name": name }, "spec": spec,
        });
        let any = Any::from_value(object).map_err(|e| e.to_string())?;
        let plan = edit::apply(&self.sim.context(), vec![any]);
        self.commit(plan);
        Ok(())
    }

    fn allow(&mut self, budget: &str, who: &str) {
        let spec = Approval {
            subject: format!("budget/{budget}"),
            by: format!("user/{who}"),
            role: "operator".to_owned(),
            comment: String::new(),
        };
        let any = Any::Approval(Arc::new(Object::new(format!("{budget}.{who}"), spec)));
        let before =
            std::mem::replace(&mut self.who, Actor::new(format!("user/{who}"), Level::Operator));
        let plan = edit::apply(&self.sim.context(), vec![any]);
        self.commit(plan);
        self.who = before;
    }

    fn costs(&mut self, by: &str, currency: Option<&str>) -> Done {
        let by = By::parse(by).ok_or("costs team|application|environment|host")?;
        let report = costs(&self.sim.context(), by, currency);
        for row in report.rows.iter().chain([&report.total]) {
            let name = if row.name.is_empty() { "total" } else { &row.name };
            self.said.push(format!(
                "{name}: {} used, {} shared, {} idle, {} in all, {} instances",
                row.used, row.shared, row.idle, row.total, row.instances
            ));
        }
        for (other, hosts) in &report.elsewhere {
            self.said.push(format!("{hosts} paid in {other}"));
        }
        for host in &report.unpriced {
            self.said.push(format!("{} has no {}", host.host, host.missing.join(", ")));
        }
        Ok(())
    }
}
