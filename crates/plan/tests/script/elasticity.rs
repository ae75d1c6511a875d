//! The words of the text cases for the number of instances: what an application's load is, and what
//! its number goes by. The rest of the language is in `mod.rs`.
//!
//! `scaling APP min=2 max=20 target=100` aims at a load of 100 for each instance; `load APP.ENV N`
//! says what the whole load is from now on, `none` that it is not measured any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::{Any, Application, Autoscaler, Object, Timestamp};
use atoll_plan::elasticity::SIGNAL;
use atoll_plan::query::{Answer, Period, Series};

use super::{Done, Options, Script};

/// What the load of each deployment was from what time on.
#[derive(Default)]
pub struct Loads(BTreeMap<String, Vec<(Timestamp, Option<f64>)>>);

impl Script {
    /// Commands of elasticity; whether it was one.
    pub(super) fn elastic(&mut self, words: &[String]) -> Result<bool, String> {
        let name = words.get(1).map_or("", String::as_str);
        let mut options = Options::of(words.get(2..).unwrap_or_default());
        match words[0].as_str() {
            "scaling" => self.scaling(name, &mut options)?,
            "load" => self.load(name, words.get(2).map_or("", String::as_str))?,
            "autoscale" => self.autoscale(name, &mut options)?,
            _ => return Ok(false),
        }
        options.done()?;
        Ok(true)
    }

    fn scaling(&mut self, name: &str, options: &mut Options) -> Done {
        let stored = self.sim.world.get::<Application>(name).ok_or("no such application")?;
        let mut new = Object::clone(stored);
        let mut scaling = serde_json::json!({
            "min": options.take::<u32>("min")?.unwrap_or(1),
            "max": options.take::<u32>("max")?.unwrap_or(100),
            "downAfter": options.take::<String>("down")?.unwrap_or("5m".to_owned()),
            "mode": options.take::<String>("mode")?.unwrap_or("act".to_owned()),
        });
        if let Some(target) = options.take::<f64>("target")? {
            scaling["perInstance"] = serde_json::json!({ "query": "load", "target": target });
        }
        if let Some(cron) = options.take::<String>("cron")? {
            let lasts = options.take::<String>("lasts")?;
            let least = options.take::<u32>("least")?;
            scaling["schedules"] =
                serde_json::json!([{ "cron": cron, "lasts": lasts, "atLeast": least }]);
        }
        let scaling = serde_json::from_value(scaling).map_err(|e| e.to_string())?;
        new.spec.scaling = Some(scaling);
        self.apply(Any::Application(Arc::new(new)));
        Ok(())
    }

    fn autoscale(&mut self, name: &str, options: &mut Options) -> Done {
        let stored = self.sim.world.get::<Autoscaler>(name).ok_or("no such autoscaler")?;
        let mut new = Object::clone(stored);
        new.spec.min = options.take("min")?.or(new.spec.min);
        new.spec.max = options.take("max")?.or(new.spec.max);
        if let Some(mode) = options.take::<String>("mode")? {
            new.spec.mode = serde_json::from_value(mode.into()).map_err(|e| e.to_string())?;
        }
        self.apply(Any::Autoscaler(Arc::new(new)));
        Ok(())
    }

    fn load(&mut self, name: &str, load: &str) -> Done {
        let load: Option<f64> = match load {
            "none" => None,
            number => Some(number.parse().map_err(|_| "load APP.ENV NUMBER|none")?),
        };
        let known = self.loads.0.entry(name.to_owned()).or_default();
        known.push((self.sim.now(), load));
        let known = known.clone();
        let kept = format!("{SIGNAL}{{deployment=\"{name}\",signal=\"load\"}}");
        self.sim.metrics.insert(kept, Box::new(move |period| answer(&known, period)));
        Ok(())
    }
}

fn answer(known: &[(Timestamp, Option<f64>)], period: Period) -> Answer {
    let at = |time: Timestamp| {
        let before = known.partition_point(|(from, _)| *from <= time);
        let (_, load) = known[..before].last()?;
        Some((time, (*load)?))
    };
    let points = match period {
        Period::At(time) => at(time).into_iter().collect(),
        Period::Range { from, to, step } => {
            let times = std::iter::successors(Some(from), |time| Some(*time + step));
            times.take_while(|time| *time <= to).filter_map(at).collect()
        }
    };
    Answer { series: vec![Series { labels: BTreeMap::new(), points }], ..Answer::default() }
}
