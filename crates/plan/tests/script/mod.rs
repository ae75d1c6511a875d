//! The language of the text cases. A line is a command, `> ` begins a line of output, `#` a
//! comment. It parses and prints; everything that happens, happens in the simulator.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::cmdb::Amount;
use atoll_model::{
    Any, Application, Deployment, Freeze, Host, Instance, Intent, Kind, Object, Package, Reason,
    Span, Timestamp, Zone,
};
use atoll_plan::decision::{Verdict, decide};
use atoll_plan::sim::{Behaviour, Entry, Loss, Sim};
use atoll_plan::{Plan, edit, explain};

mod access;
mod alerting;
mod application;
mod budget;
mod centre;
mod ci;
mod config;
mod delivery;
mod elasticity;
mod inventory;
mod job;
mod migration;
mod peak;
mod policy;
mod pool;
mod show;

/// Runs a script and returns it with its output in place.
pub fn run(name: &str, text: &str) -> String {
    let seed = name.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    let sim = Sim::new(seed);
    let (content, said, measured) = Default::default();
    let who = Sim::person();
    let (loads, gauges) = Default::default();
    let mut script = Script { begun: sim.now(), sim, who, content, said, measured, loads, gauges };
    let mut output = String::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('>') {
            continue;
        }
        output.push_str(line);
        output.push('\n');
        let words = words(line);
        if words.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Err(wrong) = script.command(&words) {
            panic!("{name}:{}: {line}: {wrong}", number + 1);
        }
        for said in script.said.drain(..) {
            output.push_str(format!("> {said}").trim_end());
            output.push('\n');
        }
    }
    output
}

/// Splits at blanks outside quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The `key=value` words of a command.
struct Options<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Options<'a> {
    fn of(words: &'a [String]) -> Options<'a> {
        Options(words.iter().filter_map(|word| word.split_once('=')).collect())
    }

    fn take<T>(&mut self, key: &str) -> Result<Option<T>, String>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Debug,
    {
        let text = self.0.remove(key);
        text.map(|t| t.parse().map_err(|e| format!("{key}: {e:?}"))).transpose()
    }

    fn list(&mut self, key: &str) -> Option<Vec<String>> {
        self.0.remove(key).map(|list| list.split(',').map(str::to_owned).collect())
    }

    fn done(self) -> Result<(), String> {
        match self.0.into_keys().next() {
            Some(key) => Err(format!("{key}= is not known here")),
            None => Ok(()),
        }
    }
}

pub struct Script {
    sim: Sim,
    /// Who edits.
    who: Actor,
    begun: Timestamp,
    /// How often the content of an application was changed.
    content: BTreeMap<String, u32>,
    said: Vec<String>,
    measured: alerting::Measured,
    loads: elasticity::Loads,
    gauges: centre::Gauges,
}

type Done = Result<(), String>;

impl Script {
    fn command(&mut self, words: &[String]) -> Done {
        let name = words.get(1).map_or("", String::as_str);
        let third = words.get(2).map_or("", String::as_str);
        let mut options = Options::of(&words[1..]);
        if self.grant(words)? || self.configure(words)? {
            return Ok(());
        }
        if self.govern(words)?
            || self.inventory(words)?
            || self.elastic(words)?
            || self.migrations(words)?
            || self.peaks(words)?
            || self.pools(words)?
            || self.centre(words)?
        {
            return Ok(());
        }
        if self.budgets(words)? {
            return Ok(());
        }
        match words[0].as_str() {
            "host" => self.host(name, &mut options)?,
            "zone" => {
                let max_disturbed = options.take("disturbed")?.unwrap_or(Zone::usual_disturbed());
                let spec = Zone { description: String::new(), max_disturbed };
                self.apply(Any::Zone(Arc::new(Object::new(name, spec))));
            }
            "environment" => self.environment(name, &mut options)?,
            "package" => self.package(name)?,
            "application" => self.application(name, &mut options)?,
            "release" => self.release(name)?,
            "deployment" => self.deployment(name, &mut options)?,
            "scale" => {
                let count = third.parse().map_err(|_| "scale NAME COUNT")?;
                let why = options.take::<String>("override")?;
                self.edit_deployment(name, why, |new| new.spec.instances = count)?;
            }
            "deploy" => {
                let why = options.take::<String>("override")?;
                self.edit_deployment(name, why, |new| new.spec.release = Some(third.to_owned()))?;
            }
            "retry" => {
                let key = atoll_model::deployment::RETRY_ANNOTATION.to_owned();
                let now = self.sim.now().to_string();
                self.edit_deployment(name, None, |new| {
                    drop(new.meta.annotations.insert(key, now))
                })?;
            }
            "follow" => self.edit_deployment(name, None, |new| new.spec.release = None)?,
            "pause" => self.edit_deployment(name, None, |new| new.spec.paused = true)?,
            "resume" => self.edit_deployment(name, None, |new| new.spec.paused = false)?,
            "promote" | "abort" => self.promote_or_abort(&words[0], name, third)?,
            "freeze" => self.freeze(name, &mut options)?,
            "drain" | "undrain" | "cordon" | "uncordon" => self.edit_host(&words[0], name)?,
            "delete" => self.delete(name)?,
            "enter" | "approve" | "veto" | "withdraw" | "pin" | "unpin" | "tamper" => {
                self.deliver(&words[0], name, third, &mut options)?;
            }
            "built" => self.built(name, third, &mut options)?,
            _ => return self.happen(words),
        }
        options.done()
    }

    /// What is not an edit.
    fn happen(&mut self, words: &[String]) -> Done {
        let name = words.get(1).map_or("", String::as_str);
        let third = words.get(2).map_or("", String::as_str);
        match words[0].as_str() {
            "settle" => {
                let limit = if name.is_empty() { Span::seconds(7200) } else { name.parse()? };
                let settled = self.sim.settle(limit);
                self.tell_journal();
                if !settled {
                    self.said.push(format!("not settled after {limit}"));
                }
            }
            "quietly" => {
                // For the usual beginning of a case: nobody has to read it again.
                let settled = self.sim.settle(Span::seconds(7200));
                self.sim.journal.clear();
                assert!(settled, "not settled");
            }
            "advance" => {
                self.sim.advance(name.parse()?);
                self.tell_journal();
            }
            "plan" => self.plan(name),
            "behaviour" => {
                self.sim.behaviours.insert(name.to_owned(), behaviour(third)?);
            }
            "lose" => {
                self.sim.lose(name, if third == "off" { Loss::Off } else { Loss::Cut });
            }
            "engine" => self.sim.engine(name, third == "back"),
            "return" => self.sim.give_back(name),
            "crash" => self.sim.crash(name),
            "unfit" => self.sim.set_unfit(name, third != "no"),
            "occupy" => self.sim.occupy(name, third.parse().map_err(|_| "occupy HOST PORT")?),
            "restart" => {
                let away = if name.is_empty() { Span::default() } else { name.parse()? };
                self.sim.restart_server(away);
            }
            "show" => self.said.extend(show::one(&self.sim.world, name)?),
            "instances" => self.said.extend(show::instances(&self.sim.world, name)),
            "why" => self.why(name)?,
            "run" | "cancel" | "steps" | "schedule" | "pipeline" => self.pipelines(words)?,
            "job" | "runbook" | "retry-job" | "resume-job" | "end-job" => self.jobs(words)?,
            "journey" => self.journey(name)?,
            "figures" => self.figures(name),
            _ => return self.watch(words),
        }
        Ok(())
    }

    fn tell_journal(&mut self) {
        for entry in std::mem::take(&mut self.sim.journal) {
            let at = entry.at.since(self.begun).0 / 1000;
            let intent = entry.intent.name();
            for line in show::writes(&entry.before, &entry.writes) {
                let word = if entry.intent == Intent::Report { "report" } else { intent };
                self.said.push(format!("{at}s {word}: {line}"));
            }
        }
    }

    fn plan(&mut self, name: &str) {
        let cx = self.sim.context();
        let plan = atoll_plan::deployment::plan(&cx, name);
        let intent = plan.intent.name();
        let actor = Actor::controller("deployment");
        let (verdict, writes, reasons) = match decide(&cx, &actor, plan) {
            Verdict::Commit(plan) => ("commit", plan.writes, plan.reasons),
            Verdict::Hold(plan, reasons) => ("hold", plan.writes, reasons),
            Verdict::Deny(reasons) => ("deny", Vec::new(), reasons),
        };
        let mut said = vec![format!("{intent}, {verdict}")];
        said.extend(reasons.iter().map(Reason::to_string));
        said.extend(show::writes(&self.sim.world, &writes));
        self.said.extend(said);
    }

    fn why(&mut self, id: &str) -> Done {
        let (kind, name) = id.split_once('/').ok_or("why KIND/NAME")?;
        let told = explain::explain(&self.sim.context(), kind.parse::<Kind>()?, name)
            .ok_or("no such object")?;
        self.said.push(told.state);
        self.said.extend(told.reasons.iter().map(|reason| format!("  {reason}")));
        self.said.extend(told.waiting_for.iter().map(|wait| format!("  waits for {wait}")));
        self.said.extend(told.next.iter().map(|next| format!("  next: {next}")));
        if !told.see.is_empty() {
            self.said.push(format!("  see {}", told.see.join(", ")));
        }
        Ok(())
    }

    fn apply(&mut self, any: Any) {
        let plan = edit::apply(&self.sim.context(), vec![any]);
        let notes = plan.as_ref().map_or_else(|_| Vec::new(), |plan| self.notes(plan));
        self.said.extend(notes);
        if let Err(reasons) = plan.and_then(|plan| self.sim.commit(&self.who, plan)) {
            self.said.extend(reasons.iter().map(|reason| format!("refused: {reason}")));
        }
    }

    /// What the gate remarks on an edit it lets through.
    fn notes(&self, plan: &Plan) -> Vec<String> {
        let Verdict::Commit(passed) = decide(&self.sim.context(), &self.who, plan.clone()) else {
            return Vec::new();
        };
        let own = passed.reasons.iter().filter(|reason| !plan.reasons.contains(reason));
        own.map(|reason| format!("note: {reason}")).collect()
    }

    fn commit(&mut self, plan: Result<Plan, Vec<Reason>>) {
        let done = plan.and_then(|plan| {
            let reasons = plan.reasons.clone();
            self.sim.commit(&self.who, plan).map(|_| reasons)
        });
        match done {
            Ok(reasons) => self.said.extend(reasons.iter().map(|reason| format!("note: {reason}"))),
            Err(reasons) => {
                self.said.extend(reasons.iter().map(|reason| format!("refused: {reason}")));
            }
        }
    }

    fn host(&mut self, name: &str, options: &mut Options) -> Done {
        let capacity = Amount {
            cpu: options.take("cpu")?.unwrap_or("4".parse()?),
            memory: options.take("memory")?.unwrap_or("8Gi".parse()?),
            instances: options.take("instances")?.unwrap_or(0),
        };
        let labels: Vec<(&str, &str)> = std::mem::take(&mut options.0).into_iter().collect();
        self.sim.join(name, &labels, capacity);
        // What it takes to join is not what cases are about.
        let before = self.sim.journal.len();
        for _ in 0..1000 {
            let host = self.sim.world.get::<Host>(name);
            if host.is_some_and(|host| host.status.capacity.cpu.0 > 0) {
                break;
            }
            self.sim.turn(self.sim.now() + Span::seconds(1));
        }
        let about_hosts = |entry: &Entry| entry.writes.iter().all(|w| w.kind() == Kind::Host);
        let mut at = 0;
        self.sim.journal.retain(|entry| {
            at += 1;
            at < before || !about_hosts(entry)
        });
        Ok(())
    }

    fn package(&mut self, name: &str) -> Done {
        let (name, version) = name.split_once(':').ok_or("package NAME:VERSION")?;
        let sum = version.bytes().fold(1u64, |sum, b| sum.wrapping_mul(131) + u64::from(b));
        let spec = Package {
            name: name.to_owned(),
            version: version.to_owned(),
            digest: format!("{sum:064x}"),
            size: 1,
            entries: 1,
            image: None,
            built: None,
        };
        let object = Package::object_name(name, version);
        self.apply(Any::Package(Arc::new(Object::new(object, spec))));
        Ok(())
    }

    /// Changes the content of an application, which makes a release.
    fn release(&mut self, name: &str) -> Done {
        let stored = self.sim.world.get::<Application>(name).ok_or("no such application")?;
        let version = self.content.entry(name.to_owned()).or_insert(1);
        *version += 1;
        let mut new = Object::clone(stored);
        new.spec.config.fixed.insert("VERSION".to_owned(), version.to_string());
        self.apply(Any::Application(Arc::new(new)));
        Ok(())
    }

    fn deployment(&mut self, name: &str, options: &mut Options) -> Done {
        let (application, environment) = name.split_once('.').ok_or("deployment APP.ENV")?;
        let spec = Deployment {
            application: application.to_owned(),
            environment: environment.to_owned(),
            release: options.take("release")?,
            pin: None,
            instances: options.take("instances")?.unwrap_or(1),
            paused: options.take("paused")?.unwrap_or(false),
            promoted: None,
            aborted: None,
        };
        self.apply(Any::Deployment(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    fn edit_deployment(
        &mut self,
        name: &str,
        overrides: Option<String>,
        edit: impl FnOnce(&mut Object<Deployment>),
    ) -> Done {
        let stored = self.sim.world.get::<Deployment>(name).ok_or("no such deployment")?;
        let mut new = Object::clone(stored);
        edit(&mut new);
        if let Some(why) = overrides {
            let key = atoll_model::decision::OVERRIDE_ANNOTATION.to_owned();
            new.meta.annotations.insert(key, why);
        }
        let plan = edit::apply(&self.sim.context(), vec![Any::Deployment(Arc::new(new))]);
        self.commit(plan);
        Ok(())
    }

    fn promote_or_abort(&mut self, verb: &str, name: &str, release: &str) -> Done {
        let release = Some(release.to_owned()).filter(|release| release != "none");
        self.edit_deployment(name, None, |new| match verb {
            "promote" => new.spec.promoted = release,
            _ => new.spec.aborted = release,
        })
    }

    fn freeze(&mut self, name: &str, options: &mut Options) -> Done {
        let until = options.take::<Span>("for")?.map(|span| self.sim.now() + span);
        let spec = Freeze {
            from: None,
            until,
            environments: options.list("environments").unwrap_or_default(),
            applications: options.take("applications")?.unwrap_or_default(),
            named: Vec::new(),
            holds: Default::default(),
            reason: options.take("reason")?.unwrap_or("peak".to_owned()),
        };
        self.apply(Any::Freeze(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    fn edit_host(&mut self, verb: &str, name: &str) -> Done {
        let mut new = Object::clone(self.sim.world.get::<Host>(name).ok_or("no such host")?);
        match verb {
            "drain" => new.spec.drain = true,
            "undrain" => new.spec.drain = false,
            "cordon" => new.spec.cordon = true,
            _ => new.spec.cordon = false,
        }
        self.apply(Any::Host(Arc::new(new)));
        Ok(())
    }

    fn delete(&mut self, id: &str) -> Done {
        let (kind, name) = id.split_once('/').ok_or("delete KIND/NAME")?;
        let plan = edit::remove(&self.sim.context(), kind.parse()?, name);
        self.commit(plan);
        Ok(())
    }
}

fn behaviour(text: &str) -> Result<Behaviour, String> {
    let (word, span) = text.split_once(':').unwrap_or((text, "30s"));
    Ok(match word {
        "good" => Behaviour::Good,
        "dies" => Behaviour::Dies,
        "deaf" => Behaviour::Deaf,
        "slow" => Behaviour::Slow(span.parse()?),
        "fades" => Behaviour::Fades(span.parse()?),
        _ => return Err(format!("no behaviour {text:?}")),
    })
}

/// The instances of a deployment, by ordinal.
fn instances_of<'a>(
    world: &'a atoll_model::Snapshot,
    deployment: &str,
) -> Vec<&'a Arc<Object<Instance>>> {
    let mut all: Vec<_> = world.derived::<Instance>(deployment).collect();
    all.sort_by_key(|instance| instance.spec.ordinal);
    all
}

/// The name of a value's variant as it is written on the wire.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
