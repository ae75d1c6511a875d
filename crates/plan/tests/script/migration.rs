//! The words of the text cases for migrations. The rest of the language is in `mod.rs`.
//!
//! `migrate NAME off="name = h0" [wave=1] [pause=30s] [timeout=10m] [to=LABELS] [of=LABELS]
//! [retire=true] [balance=true] [paused=true]` makes one, `halt NAME [off]` stops it and lets it go
//! on, `slow NAME SPAN` has it wait so long between waves, `end-migration NAME` ends it,
//! `back NAME WAVES` takes waves back, `taken-back NAME` says how many of them are dealt with,
//! which is what is waited for, `ended NAME` when it ended.
//! `migrate NAME … dry=true` only says what it would do.

use std::sync::Arc;

use atoll_model::{Any, Migration, Object};
use atoll_plan::migration::forecast::forecast;

use super::{Done, Options, Script};

impl Script {
    /// Commands of migrations; whether it was one.
    pub(super) fn migrations(&mut self, words: &[String]) -> Result<bool, String> {
        let name = words.get(1).map_or("", String::as_str);
        let third = words.get(2).map_or("", String::as_str);
        match words[0].as_str() {
            "migrate" => {
                let mut options = Options::of(words.get(2..).unwrap_or_default());
                self.migrate(name, &mut options)?;
                options.done()?;
            }
            "halt" => self.edit_migration(name, |spec| spec.paused = third != "off")?,
            "slow" => {
                let pause = third.parse().map_err(|_| "slow NAME SPAN")?;
                self.edit_migration(name, |spec| spec.pause = pause)?;
            }
            "end-migration" => self.edit_migration(name, |spec| spec.cancelled = true)?,
            "back" => {
                let waves: u32 = third.parse().map_err(|_| "back NAME WAVES")?;
                self.edit_migration(name, |spec| spec.back += waves)?;
            }
            "taken-back" => {
                let it = self.sim.world.get::<Migration>(name).ok_or("no such migration")?;
                self.said.push(format!("{} of {}", it.status.back, it.spec.back));
            }
            "ended" => {
                let it = self.sim.world.get::<Migration>(name).ok_or("no such migration")?;
                let ended = it.status.ended_at.ok_or("it is not over")?;
                self.said.push(format!("after {}", ended.since(self.begun).rough()));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn migrate(&mut self, name: &str, options: &mut Options) -> Done {
        let mut spec = serde_json::Map::new();
        for (key, field) in [
            ("off", "off"),
            ("to", "to"),
            ("of", "applications"),
            ("wave", "wave"),
            ("pause", "pause"),
            ("timeout", "waveTimeout"),
        ] {
            if let Some(text) = options.take::<String>(key)? {
                let number = text.parse::<u32>().ok().map(serde_json::Value::from);
                spec.insert(field.to_owned(), number.unwrap_or(text.into()));
            }
        }
        for key in ["retire", "balance", "paused"] {
            if let Some(said) = options.take::<bool>(key)? {
                spec.insert(key.to_owned(), said.into());
            }
        }
        let spec: Migration = serde_json::from_value(spec.into()).map_err(|e| e.to_string())?;
        if options.take::<bool>("dry")? == Some(true) {
            let told = forecast(&self.sim.context(), &spec);
            let (count, waves, takes) = (told.instances, told.waves, told.takes.rough());
            let costs = told.costs.len();
            let said = format!("moves {count} in {waves} waves and {takes}, {costs} costs");
            self.said.push(said);
            self.said.extend(told.costs.iter().filter(|_| told.to_make.is_some()).map(|cost| {
                format!("cost: {} -> {} {}", cost.was.fine(), cost.is.fine(), cost.currency)
            }));
            self.said.extend(told.to_make.map(|hosts| {
                let (count, pools) = (hosts.instances, hosts.pools.join(" and "));
                let joins =
                    hosts.join_in.map_or("an unknown time".to_owned(), |it| it.rough().to_string());
                format!("{count} on hosts to be made by {pools}, which join in {joins}")
            }));
            self.said.extend(Some(told.nothing).filter(|why| !why.is_empty()));
            self.said.extend(told.risks.into_iter().map(|risk| format!("risk: {risk}")));
            return Ok(());
        }
        self.apply(Any::Migration(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    fn edit_migration(&mut self, name: &str, edit: impl FnOnce(&mut Migration)) -> Done {
        let stored = self.sim.world.get::<Migration>(name).ok_or("no such migration")?;
        let mut new = Object::clone(stored);
        edit(&mut new.spec);
        self.apply(Any::Migration(Arc::new(new)));
        Ok(())
    }
}
