//! The words of the text cases for pools. The rest of the language is in `mod.rs`.
//!
//! `pool NAME count=3 max=10 [min=] [surge=] [at-once=] [join=] [replace=] [zone=]
//! [static=h0,h1] [headroom=20 [act=true] [steady=10m]]` makes one, `resize NAME COUNT` changes how
//! many hosts there are to be, `cloud NAME [down=true] [unstarted=true] [hangs=1000] [short=]
//! [refuses=] [deaf=] [lag=30s] [boot=20s] [cpu=] [account=]` says how its provider fares,
//! `stray NAME KEY` puts a machine there that nobody asked for, `vanish NAME KEY` takes one away,
//! `machines NAME` lists the provider's.

use std::sync::Arc;

use atoll_model::{Any, Object, Pool};
use atoll_plan::sim::Made;

use super::{Done, Options, Script};

impl Script {
    /// Commands of pools; whether it was one.
    pub(super) fn pools(&mut self, words: &[String]) -> Result<bool, String> {
        let name = words.get(1).map_or("", String::as_str);
        let third = words.get(2).map_or("", String::as_str);
        let mut options = Options::of(words.get(2..).unwrap_or_default());
        match words[0].as_str() {
            "pool" => {
                self.pool(name, &mut options)?;
                options.done()?;
            }
            "cloud" => {
                self.cloud(name, &mut options)?;
                options.done()?;
            }
            "resize" => {
                let stored = self.sim.world.get::<Pool>(name).ok_or("no such pool")?;
                let mut new = Object::clone(stored);
                new.spec.count = third.parse().map_err(|_| "resize NAME COUNT")?;
                let any = Any::Pool(Arc::new(new));
                let plan = atoll_plan::edit::apply(&self.sim.context(), vec![any]);
                self.commit(plan);
            }
            "stray" => {
                let at = self.sim.now();
                let cloud = self.sim.clouds.entry(name.to_owned()).or_default();
                let id = format!("x-{}", cloud.machines.len());
                cloud.machines.insert(id, Made { key: third.to_owned(), at });
            }
            "vanish" => {
                let cloud = self.sim.clouds.entry(name.to_owned()).or_default();
                cloud.machines.retain(|_, made| made.key != third);
            }
            "machines" => {
                let cloud = self.sim.clouds.entry(name.to_owned()).or_default();
                let tell = cloud.machines.iter().map(|(id, made)| format!("{id} {}", made.key));
                let mut said: Vec<String> = tell.collect();
                if said.is_empty() {
                    said.push("none".to_owned());
                }
                self.said.extend(said);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn pool(&mut self, name: &str, options: &mut Options) -> Done {
        let mut spec = serde_json::json!({ "count": 1, "max": 100 });
        for (key, field) in [
            ("count", "count"),
            ("min", "min"),
            ("max", "max"),
            ("surge", "surge"),
            ("at-once", "atOnce"),
        ] {
            if let Some(number) = options.take::<u32>(key)? {
                spec[field] = number.into();
            }
        }
        for (key, field) in [("join", "joinWithin"), ("replace", "replaceAfter"), ("zone", "zone")]
        {
            if let Some(text) = options.take::<String>(key)? {
                spec[field] = text.into();
            }
        }
        spec["provider"] = match options.list("static") {
            Some(hosts) => serde_json::json!({ "static": { "hosts": hosts } }),
            None => {
                serde_json::json!({ "exec": { "create": ["x"], "list": ["x"], "delete": ["x"] } })
            }
        };
        if let Some(headroom) = options.take::<u32>("headroom")? {
            spec["autoscale"] = serde_json::json!({ "headroom": headroom });
            if options.take::<bool>("act")? == Some(true) {
                spec["autoscale"]["mode"] = "act".into();
            }
            if let Some(steady) = options.take::<String>("steady")? {
                spec["autoscale"]["steady"] = steady.into();
            }
        }
        let spec: Pool = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        self.apply(Any::Pool(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    fn cloud(&mut self, name: &str, options: &mut Options) -> Done {
        let cloud = self.sim.clouds.entry(name.to_owned()).or_default();
        cloud.down = options.take("down")?.unwrap_or(cloud.down);
        cloud.unstarted = options.take("unstarted")?.unwrap_or(cloud.unstarted);
        cloud.hangs = options.take("hangs")?.unwrap_or(cloud.hangs);
        cloud.short = options.take("short")?.unwrap_or(cloud.short);
        cloud.refuses = options.take("refuses")?.unwrap_or(cloud.refuses);
        cloud.deaf = options.take("deaf")?.unwrap_or(cloud.deaf);
        cloud.account = options.take("account")?.unwrap_or(cloud.account.clone());
        cloud.lag = options.take("lag")?.unwrap_or(cloud.lag);
        cloud.boot = options.take("boot")?.unwrap_or(cloud.boot);
        cloud.size.cpu = options.take("cpu")?.unwrap_or(cloud.size.cpu);
        Ok(())
    }
}
