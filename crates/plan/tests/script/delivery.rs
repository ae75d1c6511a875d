//! What cases say of deliveries: environments with rules, runs that made something, and people who
//! promote, approve, veto and pin.

use std::sync::Arc;

use atoll_model::access::{Actor, Level};
use atoll_model::{
    Any, Approval, Deployment, Environment, Intent, Object, Package, Pipeline, Promotion, Release,
    Span, Write,
};
use atoll_plan::delivery::figures::{By, delivery};
use atoll_plan::delivery::journey;
use atoll_plan::{Plan, edit};
use serde_json::{Value, json};

use super::{Done, Options, Script, word};

impl Script {
    pub(super) fn environment(&mut self, name: &str, options: &mut Options) -> Done {
        let mut spec = json!({});
        for key in ["after", "hosts", "promotion", "runtime"] {
            if let Some(value) = options.take::<String>(key)? {
                spec[key] = value.into();
            }
        }
        let mut require = serde_json::Map::new();
        if let Some(soak) = options.take::<String>("soak")? {
            require.insert("soak".to_owned(), soak.into());
        }
        for key in ["signed", "objectives"] {
            if let Some(value) = options.take::<bool>(key)? {
                require.insert(key.to_owned(), value.into());
            }
        }
        if let Some(tests) = options.list("tests") {
            require.insert("tests".to_owned(), tests.into());
        }
        if let Some(window) = options.take::<String>("window")? {
            let (from, to) = window.split_once('-').ok_or("window=FROM-TO")?;
            require.insert("windows".to_owned(), json!([{ "from": from, "to": to }]));
        }
        if !require.is_empty() {
            spec["require"] = require.into();
        }
        if let Some(count) = options.take::<u32>("approvals")? {
            spec["approval"] = json!({ "roles": ["operator"], "count": count });
        }
        if let Some(branches) = options.list("branches") {
            let ttl: String = options.take("ttl")?.unwrap_or("1h".to_owned());
            spec["template"] = json!({ "branches": branches, "ttl": ttl });
        }
        let spec: Environment = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        self.apply(Any::Environment(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    /// `built web 2 commit=abc1234 tests=unit:10:0 branch=x`: a run of that number has made a
    /// package of that version.
    pub(super) fn built(&mut self, name: &str, number: &str, options: &mut Options) -> Done {
        let now = self.sim.now();
        let mut tests = serde_json::Map::new();
        for suite in options.list("tests").unwrap_or_default() {
            let mut parts = suite.split(':');
            let suite = parts.next().unwrap_or_default().to_owned();
            let mut count = || parts.next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
            let (passed, failed) = (count(), count());
            let totals = json!({ "passed": passed, "failed": failed, "skipped": 0, "millis": 1 });
            tests.insert(suite, totals);
        }
        let sum: u64 = number.bytes().fold(7, |sum, b| sum * 131 + u64::from(b));
        let commit: String = options.take("commit")?.unwrap_or(format!("{sum:07x}"));
        let cause = if options.take("manual")?.unwrap_or(false) { "manual" } else { "push" };
        let ago: Span = options.take("ago")?.unwrap_or(Span::seconds(60));
        let declared = self.sim.world.get::<atoll_model::Application>(name);
        let declared = declared.map(|application| {
            let mut spec = application.spec.clone();
            spec.config.fixed.insert("VERSION".to_owned(), number.to_owned());
            serde_json::to_value(spec).unwrap_or_default()
        });
        let mut content = json!({
            "type": "files", "digest": format!("{sum:064x}"), "size": 1, "entries": 1,
        });
        if let Some(repository) = options.take::<String>("image")? {
            let digest = format!("sha256:{sum:064x}");
            content = json!({ "type": "image", "repository": repository, "digest": digest });
        }
        let made = json!({ "version": number, "content": content });
        let commit = json!({
            "id": commit, "subject": "a change", "author": "anna", "at": (now - ago).to_string(),
        });
        let n: u64 = number.parse().map_err(|_| "built NAME NUMBER")?;
        let branch = options.take::<String>("branch")?;
        let run = json!({
            "apiVersion": "atoll/v1", "kind": "Run", "metadata": { "name": format!("{name}.{n}") },
            "spec": {
                "pipeline": name, "number": n, "cause": cause, "key": number, "branch": branch,
            },
            "status": {
                "phase": "succeeded", "commit": commit, "tests": tests, "made": made,
                "application": declared,
            },
        });
        let run = Any::from_value(run).map_err(|e| e.to_string())?;
        let mut writes = Vec::new();
        if self.sim.world.get::<Pipeline>(name).is_none() {
            let pipeline = json!({
                "apiVersion": "atoll/v1", "kind": "Pipeline", "metadata": { "name": name },
                "spec": { "source": { "git": "https://git.example/web.git" } },
            });
            writes.push(Write::Put(Any::from_value(pipeline).map_err(|e| e.to_string())?));
        }
        writes.push(Write::Put(run));
        let plan = Plan { writes, ..Plan::new(Intent::Observe) };
        self.sim.commit(&Actor::controller("ci"), plan).map_err(|e| format!("{e:?}"))?;
        Ok(())
    }

    /// What people do to releases on their way.
    pub(super) fn deliver(
        &mut self,
        verb: &str,
        name: &str,
        third: &str,
        options: &mut Options,
    ) -> Done {
        match verb {
            "enter" => self.enter(name, third, options),
            "approve" => self.approve(name, third, options),
            "veto" | "withdraw" => {
                let stored = self.sim.world.get::<Release>(name).ok_or("no such release")?;
                let mut new = Object::clone(stored);
                let rollback = options.take("rollback")?.unwrap_or(false);
                let veto = json!({ "reason": "it is bad", "rollback": rollback });
                let veto = if verb == "veto" { veto } else { Value::Null };
                new.spec.veto = serde_json::from_value(veto).map_err(|e| e.to_string())?;
                self.edit(Any::Release(Arc::new(new)));
                Ok(())
            }
            "tamper" => self.tamper(name),
            _ => {
                let stored = self.sim.world.get::<Deployment>(name).ok_or("no such deployment")?;
                let mut new = Object::clone(stored);
                new.spec.release = stored.status.last_good.clone().filter(|_| verb == "pin");
                new.spec.pin = (verb == "pin").then(|| "steady".to_owned());
                self.edit(Any::Deployment(Arc::new(new)));
                Ok(())
            }
        }
    }

    fn edit(&mut self, any: Any) {
        let plan = edit::apply(&self.sim.context(), vec![any]);
        self.commit(plan);
    }

    /// `enter web-2 prod emergency=fire`: somebody asks for it.
    fn enter(&mut self, release: &str, place: &str, options: &mut Options) -> Done {
        let application = match self.sim.world.get::<Release>(release) {
            Some(release) => release.spec.application.clone(),
            None => return Err("no such release".to_owned()),
        };
        let spec = Promotion {
            application,
            release: release.to_owned(),
            environment: place.to_owned(),
            asked: true,
            emergency: options.take("emergency")?,
        };
        self.edit(Any::Promotion(Arc::new(Object::new(format!("{release}.{place}"), spec))));
        Ok(())
    }

    /// `approve web-2.prod anna role=operator as=bob`: anna approves, or says she is bob.
    fn approve(&mut self, name: &str, who: &str, options: &mut Options) -> Done {
        let by = options.take::<String>("as")?.unwrap_or(who.to_owned());
        let spec = Approval {
            subject: format!("promotion/{name}"),
            by: format!("user/{by}"),
            role: "operator".to_owned(),
            comment: String::new(),
        };
        let any = Any::Approval(Arc::new(Object::new(format!("{name}.{who}"), spec)));
        let actor = Actor::new(format!("user/{who}"), Level::Operator);
        let plan = edit::apply(&self.sim.context(), vec![any]);
        if let Err(reasons) = plan.and_then(|plan| self.sim.commit(&actor, plan)) {
            self.said.extend(reasons.iter().map(|reason| format!("refused: {reason}")));
        }
        Ok(())
    }

    /// Somebody changes the record of a package behind the gate's back, in the store itself.
    fn tamper(&mut self, name: &str) -> Done {
        let stored = self.sim.world.get::<Package>(name).ok_or("no such package")?;
        let mut new = Object::clone(stored);
        if let Some(built) = &mut new.spec.built {
            built.commit = None;
        }
        self.sim.world.put(Any::Package(Arc::new(new)));
        Ok(())
    }

    pub(super) fn journey(&mut self, name: &str) -> Done {
        let told = journey::journey(&self.sim.context(), name).ok_or("no such release")?;
        for stop in told.stops {
            let after = stop.after.map(|after| format!(" after {after}")).unwrap_or_default();
            let checks: Vec<String> =
                stop.checks.iter().map(|c| format!("{} {}", c.name, word(&c.state))).collect();
            let (place, phase, count) = (stop.environment, word(&stop.phase), stop.instances);
            self.said.push(format!("{place}{after}: {phase}, {count} run; {}", checks.join(", ")));
        }
        Ok(())
    }

    pub(super) fn figures(&mut self, by: &str) {
        let by = if by == "team" { By::Team } else { By::Application };
        let told = delivery(&self.sim.context(), Span::seconds(30 * 86_400), by);
        for item in told.items {
            let text: Value = serde_json::to_value(item).unwrap_or_default();
            let fields = text.as_object().into_iter().flatten();
            let fields: Vec<String> =
                fields.map(|(key, value)| format!("{key}={value}").replace('"', "")).collect();
            self.said.push(fields.join(" "));
        }
    }
}
