//! The words of the text cases for the number of instances: what an application's load is, and what
//! its number goes by. The rest of the language is in `mod.rs`.
//!
//! `scaling APP min=2 max=20 target=100` aims at a load of 100 for each instance; `load APP.ENV N`
//! says what the whole load is from now on, `none` that it is not measured any more, `silent` that
//! no samples come any more, each 15 s as before, and looking back finds the last; `since=2d` hands
//! in what it was from then on. `unread INSTANCE` has its metrics not be read. `autoscale APP.ENV
//! max=5` sets bounds of one deployment, `reset=true` takes its own away. `carry APP.ENV each=50`
//! says what one instance carries, `capacity all|APP [times=2] [demand=orders:20]
//! [without=zone/a]` what the fleet could carry.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::agent::METRICS_FAILED;
use atoll_model::monitoring::Completeness;
use atoll_model::{
    Any, Application, Autoscaler, Capacity, Instance, Intent, Object, Reason, Span, Timestamp,
    Write,
};
use atoll_plan::Plan;
use atoll_plan::capacity::ask::{Ask, ask};
use atoll_plan::elasticity::SIGNAL;
use atoll_plan::elasticity::decide::EVERY;
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
            "load" => {
                let ago = options.take::<Span>("since")?.unwrap_or(Span(0));
                self.load(name, words.get(2).map_or("", String::as_str), ago)?;
            }
            "unread" => self.unread(name)?,
            "autoscale" => self.autoscale(name, &mut options)?,
            "carry" => self.carry(name, &mut options)?,
            "capacity" => self.capacity(name, &mut options)?,
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
            "downAfter": options.take::<String>("down")?,
            "mode": options.take::<String>("mode")?.unwrap_or("act".to_owned()),
        });
        if let Some(target) = options.take::<f64>("target")? {
            scaling["perInstance"] = serde_json::json!({ "query": "load", "target": target });
        }
        if let Some(calls) = options.take::<String>("calls")? {
            let (name, each) = calls.split_once(':').ok_or("calls=APP:RATIO")?;
            let each: f64 = each.parse().map_err(|_| "calls=APP:RATIO")?;
            scaling["calls"] = serde_json::json!({ name: each });
        }
        if let Some(observed) = options.take::<String>("observed")? {
            let few = options.take::<f64>("few")?.unwrap_or(0.01);
            scaling["requires"] = serde_json::json!({ "observed": observed, "tooFew": few });
        }
        if let Some(orders) = options.take::<f64>("orders")? {
            scaling["demand"] = serde_json::json!({ "orders": orders });
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

    /// The agent of an instance cannot read its metrics any more.
    fn unread(&mut self, name: &str) -> Done {
        let stored = self.sim.world.get::<Instance>(name).ok_or("no such instance")?;
        let (mut new, actor) = (Object::clone(stored), Actor::host(&stored.spec.host));
        let why = Reason::new(METRICS_FAILED, "/metrics: it answers 500");
        new.status.reasons.push(why.hint("correct what it exposes"));
        let mut plan = Plan::new(Intent::Report);
        plan.writes.push(Write::Put(Any::Instance(Arc::new(new))));
        self.sim.commit(&actor, plan).map_err(|why| format!("{why:?}"))?;
        Ok(())
    }

    fn autoscale(&mut self, name: &str, options: &mut Options) -> Done {
        let stored = self.sim.world.get::<Autoscaler>(name).ok_or("no such autoscaler")?;
        let mut new = Object::clone(stored);
        if options.take("reset")?.unwrap_or(false) {
            let deployment = new.spec.deployment;
            new.spec = Autoscaler { deployment, ..Autoscaler::default() };
        }
        new.spec.min = options.take("min")?.or(new.spec.min);
        new.spec.max = options.take("max")?.or(new.spec.max);
        if let Some(mode) = options.take::<String>("mode")? {
            new.spec.mode = serde_json::from_value(mode.into()).map_err(|e| e.to_string())?;
        }
        self.apply(Any::Autoscaler(Arc::new(new)));
        Ok(())
    }

    fn carry(&mut self, name: &str, options: &mut Options) -> Done {
        let stored = self.sim.world.get::<Capacity>(name).ok_or("no such capacity")?;
        let mut new = Object::clone(stored);
        new.spec.each = options.take("each")?.or(new.spec.each);
        new.spec.buffer = options.take("buffer")?.unwrap_or(new.spec.buffer);
        self.apply(Any::Capacity(Arc::new(new)));
        Ok(())
    }

    /// What the fleet could carry if; `all` names nobody in particular.
    fn capacity(&mut self, name: &str, options: &mut Options) -> Done {
        let demand = options.take::<String>("demand")?;
        let demand = demand.iter().filter_map(|pair| pair.split_once(':'));
        let supposed = Ask {
            times: options.take("times")?.unwrap_or(1.0),
            of: Some(name.to_owned()).filter(|name| name != "all"),
            demand: demand.filter_map(|(k, v)| Some((k.to_owned(), v.parse().ok()?))).collect(),
            without: options.take("without")?,
            peak: options.take("peak")?.unwrap_or(false),
        };
        let report = ask(&self.sim.context(), &supposed);
        for row in &report.deployments {
            let load = row.load.map_or("no load".to_owned(), |load| format!("load {load}"));
            let (of, each, left, needed) = (&row.deployment, row.each, row.left, row.needed);
            let (spare, missing, placed, room) = (row.spare, row.missing, row.placed, row.room);
            self.said.push(format!(
                "{of}: {load} at {each} takes {needed}, {spare} of them spare, {left} serve, \
                 {missing} lacking, {placed} of them placed, room for {room} more"
            ));
        }
        for group in report.environments.iter().chain([&report.fleet]) {
            let name = if group.name.is_empty() { "the fleet" } else { &group.name };
            let share = group
                .headroom
                .map_or("not known".to_owned(), |share| format!("{:.1}%", share * 100.0));
            let tightest = group.tightest.as_deref().unwrap_or("none");
            let (of, left, needed) = (group.deployments, group.left, group.needed);
            let (missing, placed, blind) = (group.missing, group.placed, group.unmeasured);
            let spare = group.spare;
            self.said.push(format!(
                "{name}: headroom {share}, least in {tightest}; {of} deployments, {blind} not \
                 measured, {left} serve, {needed} needed, {spare} of them spare, \
                 {missing} lacking, {placed} of them placed"
            ));
        }
        for row in &report.lose {
            let (of, lost, left, placed) = (&row.deployment, row.lost, row.left, row.placed);
            self.said.push(format!("{of}: loses {lost}, {placed} of them placed, {left} left"));
        }
        if report.unplaced > 0 {
            self.said.push(format!("{} without room", report.unplaced));
        }
        for zone in &report.zones {
            let lost = if zone.lost { ", lost" } else { "" };
            let (used, of) = (zone.used.cpu, zone.capacity.cpu);
            self.said.push(format!(
                "zone {}: {} hosts, {used} of {of} cpu{lost}",
                zone.zone, zone.hosts
            ));
        }
        Ok(())
    }

    fn load(&mut self, name: &str, load: &str, ago: Span) -> Done {
        let silent = (load == "silent").then(|| self.sim.now());
        let now = move |period| Answer { completeness: told(silent, period), ..Answer::default() };
        self.sim.metrics.insert("load".to_owned(), Box::new(now));
        // What is only carried on is kept no more.
        let from = silent.map_or(self.sim.now() - ago, |ended| ended + Span(3 * EVERY.0));
        let load: Option<f64> = match load {
            "none" | "silent" => None,
            number => Some(number.parse().map_err(|_| "load APP.ENV NUMBER|none")?),
        };
        let known = self.loads.0.entry(name.to_owned()).or_default();
        known.push((from, load));
        known.sort_by_key(|(from, _)| *from);
        let known = known.clone();
        let kept = format!("{SIGNAL}{{deployment=\"{name}\",signal=\"load\"}}");
        // What is the most over a time stands still in cases.
        let of = |what: &str, over: &str| format!("{what}_over_time({kept}[{over}])");
        let asked = [
            (kept.clone(), None),
            (of("avg", "5m"), Some(Span::seconds(300))),
            (of("avg", "1m"), Some(Span::seconds(60))),
            (of("max", "5m"), None),
            (of("max", "1m"), None),
            (of("max", "1h"), None),
        ];
        for (expression, mean) in asked {
            let known = known.clone();
            let answer = move |period| answer(&known, mean, period);
            self.sim.metrics.insert(expression, Box::new(answer));
        }
        Ok(())
    }
}

/// What is told of the samples of a load, where those have ended.
fn told(ended: Option<Timestamp>, period: Period) -> Completeness {
    let (Some(ended), Period::At(at)) = (ended, period) else { return Completeness::default() };
    Completeness { lag: Some(at.since(ended)), interval: Some(EVERY), ..Completeness::default() }
}

fn answer(known: &[(Timestamp, Option<f64>)], mean: Option<Span>, period: Period) -> Answer {
    let exact = |time: Timestamp| {
        let before = known.partition_point(|(from, _)| *from <= time);
        known[..before].last()?.1
    };
    let at = |time: Timestamp| {
        let back = (0..mean.map_or(1, |over| over.0 / EVERY.0)).map(|i| time - Span(i * EVERY.0));
        let loads: Vec<f64> = back.filter_map(exact).collect();
        (!loads.is_empty()).then(|| (time, loads.iter().sum::<f64>() / loads.len() as f64))
    };
    let points = match period {
        Period::At(time) => at(time).into_iter().collect(),
        Period::Range { from, to, step } => {
            let times = std::iter::successors(Some(from), |time| Some(*time + step));
            times.take_while(|time| *time <= to).filter_map(at).collect()
        }
    };
    Answer { series: vec![Series { points, ..Series::default() }], ..Answer::default() }
}
