//! What happens from outside in a rehearsal, at its times: faults, and what people do. What is
//! refused of that is told as any refusal is.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::rehearsal::report::Event;
use atoll_model::rehearsal::{Bad, Change, Fault, Rehearsal};
use atoll_model::{
    Any, Application, Deployment, Host, Invalid, Kind, Migration, Object, Pool, Reason, Snapshot,
    Span, Timestamp, manifest, many,
};
use serde_json::Value;

use super::fleet::parse;
use super::load::is_of;
use super::unknown::{at, is_host_of};
use crate::sim::{Behaviour, Sim};

/// The share of requests that fail of a release that fails.
const FAILS: f64 = 0.2;

/// One thing that is done at a time.
#[derive(Clone, Debug)]
enum Act {
    Lose(String, Vec<String>),
    GiveBack(String, Vec<String>),
    Slower(Option<String>, Span),
    AsBefore(Option<String>, Span),
    Release(String, Option<Bad>),
    /// The load is another from the beginning on, as a function of time: only said.
    Say(String),
    Provider(String, bool),
    Change(Change),
}

/// What is to be done, and what was.
pub(super) struct Stage {
    due: BTreeMap<(Timestamp, usize), Act>,
    /// What happened.
    pub events: Vec<Event>,
    /// What is wrong now, and from when.
    wrong: Vec<(String, Option<String>)>,
    /// Releases that carry half.
    pub weak: Vec<String>,
    /// What people would have changed and was refused: of what, and in words.
    pub refused: Vec<(Option<String>, String)>,
    migrations: usize,
}

impl Stage {
    pub fn new(spec: &Rehearsal, from: Timestamp, sim: &mut Sim) -> Result<Stage, Vec<Reason>> {
        let mut acts: Vec<(Timestamp, Act)> = Vec::new();
        let mut missing = Vec::new();
        for (i, fault) in spec.faults.iter().enumerate() {
            match fault_acts(fault, from, sim) {
                Ok(all) => acts.extend(all),
                Err(reason) => missing.push(at(&format!("faults[{i}]"), reason)),
            }
        }
        for change in &spec.changes {
            acts.push((from + change.at(), Act::Change(change.clone())));
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        let due = acts.into_iter().enumerate().map(|(i, (at, act))| ((at, i), act)).collect();
        let (events, wrong, weak, refused) = Default::default();
        Ok(Stage { due, events, wrong, weak, refused, migrations: 0 })
    }

    /// When something is done next.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// What is wrong with a deployment's surroundings now, in words.
    pub fn wrong(&self, deployment: &str) -> Option<String> {
        let meant = |of: &Option<String>| of.as_deref().is_none_or(|of| is_of(deployment, of));
        let all: Vec<&str> =
            self.wrong.iter().filter(|(_, of)| meant(of)).map(|(what, _)| what.as_str()).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// Does what is due first.
    pub fn act(&mut self, sim: &mut Sim, from: Timestamp) {
        let Some(((at, _), act)) = self.due.pop_first() else { return };
        let what = self.done(sim, act);
        self.events.push(Event { at: at.since(from), what });
    }

    fn done(&mut self, sim: &mut Sim, act: Act) -> String {
        match act {
            Act::Lose(of, hosts) => {
                hosts.iter().for_each(|host| sim.switch_off(host));
                pools_in(sim, &of).iter().for_each(|pool| sim.cloud(pool).down = true);
                self.wrong.push((format!("{of} is lost"), None));
                format!("{of} is lost: {}", many(hosts.len(), "host"))
            }
            Act::GiveBack(of, hosts) => {
                hosts.iter().for_each(|host| sim.give_back(host));
                for pool in pools_in(sim, &of) {
                    let still = unanswered(&pool);
                    sim.cloud(&pool).down = self.wrong.iter().any(|(wrong, _)| *wrong == still);
                }
                self.end(&format!("{of} is lost"));
                format!("{of} is back")
            }
            Act::Slower(of, by) => {
                let what = slow(of.as_deref(), by);
                self.wrong.push((what.clone(), of.clone()));
                if let Some(twin) = sim.as_twin() {
                    twin.slower.push((of, by));
                }
                what
            }
            Act::AsBefore(of, by) => {
                if let Some(twin) = sim.as_twin() {
                    twin.slower.retain(|one| *one != (of.clone(), by));
                }
                let what = slow(of.as_deref(), by);
                self.end(&what);
                format!("no more: {what}")
            }
            Act::Say(what) => match what.strip_prefix("no more: ") {
                Some(over) => {
                    self.end(over);
                    what
                }
                None => {
                    let of = what.strip_prefix("the load of ").and_then(|w| w.split(' ').next());
                    self.wrong
                        .push((what.clone(), of.filter(|of| *of != "all").map(str::to_owned)));
                    what
                }
            },
            Act::Provider(pool, down) => {
                sim.cloud(&pool).down = down;
                let what = unanswered(&pool);
                if down {
                    self.wrong.push((what.clone(), None));
                    what
                } else {
                    self.end(&what);
                    format!("the provider of pool/{pool} answers again")
                }
            }
            Act::Release(application, how) => match self.release(sim, &application, how) {
                Ok(told) | Err(told) => told,
            },
            Act::Change(change) => {
                let of = change.of().map(str::to_owned);
                self.change(sim, change).unwrap_or_else(|why| {
                    self.refused.push((of, why.clone()));
                    why
                })
            }
        }
    }

    fn end(&mut self, what: &str) {
        self.wrong.retain(|(wrong, _)| wrong != what);
    }

    /// Makes a new release of an application, as its team would, and says so, or that it is
    /// refused.
    fn release(
        &mut self,
        sim: &mut Sim,
        application: &str,
        how: Option<Bad>,
    ) -> Result<String, String> {
        let stored = sim.world.get::<Application>(application);
        let stored = stored.ok_or_else(|| format!("there is no application {application}"))?;
        let mut new = Object::clone(stored);
        let number = sim.world.last_number(application) + 1;
        let name = format!("{application}-{number}");
        new.spec.config.fixed.insert("REHEARSED".to_owned(), number.to_string());
        match how {
            None => {}
            Some(Bad::Dies) => drop(sim.behaviours.insert(name.clone(), Behaviour::Dies)),
            Some(Bad::Deaf) => drop(sim.behaviours.insert(name.clone(), Behaviour::Deaf)),
            Some(Bad::Weak) => self.weak.push(name.clone()),
            Some(Bad::Fails) => {
                if let Some(twin) = sim.as_twin() {
                    twin.measures.failing.insert(name.clone(), FAILS);
                }
            }
        }
        let bad = match how {
            None => "comes",
            Some(Bad::Dies) => "comes, and its processes end at once",
            Some(Bad::Deaf) => "comes, and never becomes ready",
            Some(Bad::Fails) => "comes, and one request in five to it fails",
            Some(Bad::Weak) => "comes, and carries half",
        };
        match sim.apply(vec![Any::Application(Arc::new(new))]) {
            Ok(()) => Ok(format!("release {name} {bad}")),
            Err(reasons) => Err(format!("release {name} is refused: {}", said(&reasons))),
        }
    }

    /// Does what a person would, and says so, or that it is refused.
    fn change(&mut self, sim: &mut Sim, change: Change) -> Result<String, String> {
        let (what, objects) = match change {
            Change::Deploy { of, release: None, .. } => {
                let application = sim.world.get::<Deployment>(&of);
                let name = application.map_or(of.clone(), |d| d.spec.application.clone());
                return self.release(sim, &name, None);
            }
            Change::Deploy { of, release: Some(release), .. } => {
                let what = format!("{release} is deployed to {of}");
                (
                    what,
                    edited::<Deployment>(sim, &of, |spec| {
                        spec.release = Some(release);
                        spec.paused = false;
                    }),
                )
            }
            Change::Scale { of, to, .. } => {
                let field = if of.starts_with("pool/") { "count" } else { "instances" };
                let patch = serde_json::json!({ "spec": { field: to } });
                return patch_as(sim, &of, &patch, format!("{of} is set to {to}"));
            }
            Change::Edit { of, patch, .. } => {
                return patch_as(sim, &of, &patch, format!("{of} is edited"));
            }
            Change::Migrate { off, wave, .. } => {
                let name = migration(self.migrations);
                self.migrations += 1;
                let mut spec = serde_json::json!({ "off": off });
                if let Some(wave) = wave {
                    spec["wave"] = serde_json::json!(wave);
                }
                let what = format!("migration/{name} moves what is on hosts with {off}");
                let made = serde_json::from_value::<Migration>(spec).map_err(|e| e.to_string());
                (what, made.map(|m| vec![Any::Migration(Arc::new(Object::new(name, m)))]))
            }
            Change::Apply { objects, .. } => {
                let read = parse(&objects).map_err(|reasons| said(&reasons));
                let ids =
                    |all: &Vec<Any>| all.iter().map(Any::id).collect::<Vec<String>>().join(", ");
                let what = read.as_ref().map(ids).unwrap_or_default();
                (format!("applied: {what}"), read)
            }
        };
        let done = objects.and_then(|all| sim.apply(all).map_err(|reasons| said(&reasons)));
        match done {
            Ok(()) => Ok(what),
            Err(why) => Err(format!("{what}: refused, {why}")),
        }
    }
}

/// What the migrations are called that scenarios make.
pub(super) fn migration(number: usize) -> String {
    format!("rehearsed-{number}")
}

/// The pools whose machines are made in a zone, which nobody makes while that is lost.
fn pools_in(sim: &Sim, of: &str) -> Vec<String> {
    let zone = of.strip_prefix("zone/");
    let pools =
        sim.world.all::<Pool>().filter(|p| zone.is_some() && p.spec.zone.as_deref() == zone);
    pools.map(|pool| pool.meta.name.clone()).collect()
}

fn unanswered(pool: &str) -> String {
    format!("the provider of pool/{pool} does not answer")
}

fn fault_acts(
    fault: &Fault,
    from: Timestamp,
    sim: &mut Sim,
) -> Result<Vec<(Timestamp, Act)>, Reason> {
    let at = from + fault.at();
    let ends = |lasts: &Option<Span>| lasts.map(|lasts| at + lasts);
    Ok(match fault {
        Fault::Loss { of, lasts, .. } => {
            let hosts = hosts_of(sim, of);
            let back = ends(lasts).map(|at| (at, Act::GiveBack(of.clone(), hosts.clone())));
            [(at, Act::Lose(of.clone(), hosts))].into_iter().chain(back).collect()
        }
        Fault::Slow { of, by, lasts, .. } => {
            let back = ends(lasts).map(|at| (at, Act::AsBefore(of.clone(), *by)));
            [(at, Act::Slower(of.clone(), *by))].into_iter().chain(back).collect()
        }
        Fault::Release { of, how, .. } => vec![(at, Act::Release(of.clone(), Some(*how)))],
        Fault::Load { of, times, lasts, .. } => {
            let end = ends(lasts).unwrap_or(Timestamp(i64::MAX));
            let twin = sim.as_twin();
            let any = twin
                .is_some_and(|twin| twin.measures.loads.multiply(of.as_deref(), (at, end), *times));
            let name = of.as_deref().unwrap_or("all");
            if !any {
                let message = format!("of: nothing is known of the load of {name}");
                let hint = "say in a scenario what it is: load, with a level";
                return Err(Reason::new("no-data", message).hint(hint));
            }
            let what = format!("the load of {name} is {times} times what was thought");
            let over = Act::Say(format!("no more: {what}"));
            let back = ends(lasts).map(|at| (at, over));
            [(at, Act::Say(what))].into_iter().chain(back).collect()
        }
        Fault::Provider { of, lasts, .. } => {
            let back = ends(lasts).map(|at| (at, Act::Provider(of.clone(), false)));
            [(at, Act::Provider(of.clone(), true))].into_iter().chain(back).collect()
        }
    })
}

fn hosts_of(sim: &Sim, of: &str) -> Vec<String> {
    let all = sim.world.all::<Host>().filter(|host| is_host_of(host, of));
    all.map(|host| host.meta.name.clone()).collect()
}

fn edited<S: atoll_model::object::Stored>(
    sim: &Sim,
    name: &str,
    edit: impl FnOnce(&mut S),
) -> Result<Vec<Any>, String> {
    let missing = || format!("there is no {}/{name}", S::KIND.lower());
    let stored = sim.world.get::<S>(name).ok_or_else(missing)?;
    let mut new = Object::clone(stored);
    edit(&mut new.spec);
    Ok(vec![S::wrap(Arc::new(new))])
}

/// Patches an object as a person would, and says so, or that it is refused.
fn patch_as(sim: &mut Sim, of: &str, patch: &Value, what: String) -> Result<String, String> {
    let both = there(&sim.world, of).and_then(|stored| {
        let new = patched(&stored, patch).map_err(|invalid| invalid.to_string())?;
        Ok((stored, new))
    });
    let done = both
        .and_then(|(stored, new)| sim.patch(&stored, new, patch).map_err(|reasons| said(&reasons)));
    done.map_err(|why| format!("{what}: refused, {why}")).map(|()| what)
}

/// The object that is meant by `KIND/NAME`.
fn there(world: &Snapshot, of: &str) -> Result<Any, String> {
    let missing = || format!("there is no {of}");
    let (kind, name) = of.split_once('/').ok_or_else(missing)?;
    let kind: Kind = kind.parse().map_err(|_| missing())?;
    world.find(kind, name).ok_or_else(missing)
}

/// An object as it is once it was patched.
///
/// # Errors
/// All for which nobody could read it then.
pub(super) fn patched(stored: &Any, patch: &Value) -> Result<Any, Invalid> {
    let mut value = stored.to_value();
    merge(&mut value, patch.clone());
    manifest::read_value(&value)
}

/// RFC 7386.
fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Default::default());
    }
    let Value::Object(fields) = into else { return };
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn slow(of: Option<&str>, by: Span) -> String {
    format!("instances of {} take {by} longer to serve", of.unwrap_or("all"))
}

fn said(reasons: &[Reason]) -> String {
    let all: Vec<String> = reasons.iter().map(|r| format!("{} ({})", r.message, r.code)).collect();
    all.join("; ")
}
