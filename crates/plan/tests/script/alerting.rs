//! The words of the text cases for monitoring: what is measured, rules, silences, receivers, and
//! what is told. The rest of the language is in `mod.rs`.
//!
//! `measure EXPR true|false|gone LABEL=VALUE… [value=N]` says of one series whether the condition
//! of a rule holds for it, does not although it is measured, or is not known.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::alerting::{RuleGroup, RuleItem};
use atoll_model::monitoring::Completeness;
use atoll_model::{Alert, Any, Application, Notification, Object, Rule, Span};
use atoll_plan::alerting;
use atoll_plan::query::{Answer, Period, Series};

use super::{Done, Options, Script, word};

type Labels = BTreeMap<String, String>;

/// What is measured of each expression: the value of a series for which its condition holds,
/// `None` where it does not, and how many there should be.
#[derive(Default)]
pub struct Measured(BTreeMap<String, (BTreeMap<Labels, Option<f64>>, u64)>);

impl Script {
    /// Commands of monitoring.
    pub fn watch(&mut self, words: &[String]) -> Done {
        let name = words.get(1).map_or("", String::as_str);
        let mut options = Options::of(words.get(2..).unwrap_or_default());
        match words[0].as_str() {
            "measure" => return self.measure(words),
            "budget" => self.budget(name, &mut options)?,
            "burning" => self.burning(name, words.get(2).map_or("true", String::as_str))?,
            "rule" => self.rule(name, &mut options)?,
            "name-group" => {
                let stored = self.sim.world.get::<Rule>(name).ok_or("no such rule")?;
                let mut new = Object::clone(stored);
                new.spec.groups[0].name = options.take("as")?.ok_or("as= is missing")?;
                self.apply(Any::Rule(Arc::new(new)));
            }
            "promise" => self.promise(name, &mut options)?,
            "silence" => self.silence(name, &mut options)?,
            "receiver" => self.receiver(name, &mut options)?,
            "owner" => {
                let stored = self.sim.world.get::<Application>(name).ok_or("no application")?;
                let mut new = Object::clone(stored);
                new.spec.owner = words.get(2).cloned();
                self.apply(Any::Application(Arc::new(new)));
            }
            "override-budget" => {
                let key = atoll_model::monitoring::OVERRIDE_BUDGET_ANNOTATION.to_owned();
                let why = words.get(2).cloned().unwrap_or_default();
                self.edit_deployment(name, None, |d| drop(d.meta.annotations.insert(key, why)))?;
            }
            "tell" => self.tell(words)?,
            "alerts" => self.alerts(),
            "again" => {
                self.sim.advance(Span(0));
                self.tell_journal();
                self.sim.restart_server(Span::default());
                self.sim.advance(Span(0));
                let writes: usize = self.sim.journal.iter().map(|entry| entry.writes.len()).sum();
                self.said.push(format!("{writes} writes"));
            }
            other => return Err(format!("no command {other:?}")),
        }
        options.done()
    }

    fn measure(&mut self, words: &[String]) -> Done {
        let [_, expression, state, labels @ ..] = words else {
            return Err("measure EXPR true|false|gone LABEL=VALUE…".to_owned());
        };
        let mut labels: Labels = labels
            .iter()
            .filter_map(|label| label.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let value = labels.remove("value").map_or(Ok(1.0), |value| value.parse());
        let value: f64 = value.map_err(|_| "value=NUMBER")?;
        let (series, missing) = self.measured.0.entry(expression.clone()).or_default();
        match state.as_str() {
            "true" => drop(series.insert(labels, Some(value))),
            "false" => drop(series.insert(labels, None)),
            "gone" => {
                series.remove(&labels);
                *missing += 1;
            }
            "all" => *missing = 0,
            other => return Err(format!("{other:?} is neither true, false, gone nor all")),
        }
        let (all, missing) = (series.clone(), *missing);
        let holds = all.iter().filter_map(|(labels, value)| Some((labels.clone(), (*value)?)));
        let said = all.iter().map(|(labels, value)| (labels.clone(), f64::from(value.is_some())));
        let metrics = &mut self.sim.metrics;
        metrics.insert(expression.clone(), answers(holds.collect(), missing));
        metrics.insert(format!("unfiltered {expression}"), answers(said.collect(), missing));
        Ok(())
    }

    /// What the recorded series of an objective say.
    fn budget(&mut self, name: &str, options: &mut Options) -> Done {
        let (deployment, promise) = name.rsplit_once('.').ok_or("budget APP.ENV.PROMISE")?;
        let of = format!("{{deployment=\"{deployment}\",objective=\"{promise}\"}}");
        for (key, metric) in [
            ("fresh", "objective:events:increase5m"),
            ("bad", "objective:bad:window"),
            ("events", "objective:events:window"),
            ("expected", "objective:events:expected"),
            ("burn", "objective:bad:ratio_rate1h"),
            ("share", "objective:bad:ratio_rate5m"),
        ] {
            let expression = format!("{metric}{of}");
            match options.take::<f64>(key)? {
                Some(value) => {
                    let series = vec![(Labels::new(), value)];
                    self.sim.metrics.insert(expression, answers(series, 0));
                }
                None => drop(self.sim.metrics.remove(&expression)),
            }
        }
        Ok(())
    }

    /// Whether the condition of an objective's first alert holds.
    fn burning(&mut self, name: &str, state: &str) -> Done {
        let (deployment, promise) = name.rsplit_once('.').ok_or("burning APP.ENV.PROMISE")?;
        let rule = self.sim.world.get::<Rule>(deployment).ok_or("no such rule")?;
        let mut items = rule.spec.groups.iter().flat_map(|group| &group.rules);
        let own = |item: &&RuleItem| {
            item.alert.is_some() && item.labels.get("objective").is_some_and(|o| o == promise)
        };
        let expression = items.find(own).ok_or("no such alert")?.expr.clone();
        let labels = [format!("deployment={deployment}"), format!("objective={promise}")];
        let words = ["measure".to_owned(), expression, state.to_owned()];
        self.measure(&words.into_iter().chain(labels).collect::<Vec<_>>())
    }

    /// Adds one rule to a rule object.
    fn rule(&mut self, name: &str, options: &mut Options) -> Done {
        let mut new = match self.sim.world.get::<Rule>(name) {
            Some(stored) => Object::clone(stored),
            None => Object::new(name, Rule::default()),
        };
        new.spec.owner = options.take("owner")?.or(new.spec.owner);
        let group: String = options.take("group")?.unwrap_or("main".to_owned());
        let interval = options.take("interval")?.unwrap_or(Span::seconds(15));
        let limit = options.take("limit")?.unwrap_or(0);
        let mut annotations = BTreeMap::new();
        if let Some(summary) = options.take::<String>("summary")? {
            annotations.insert("summary".to_owned(), summary);
        }
        let item = RuleItem {
            record: options.take("record")?,
            alert: options.take("alert")?,
            expr: options.take("expr")?.ok_or("expr= is missing")?,
            hold: options.take("for")?,
            keep_firing_for: options.take("keep")?,
            annotations,
            labels: std::mem::take(&mut options.0)
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        };
        match new.spec.groups.iter_mut().find(|known| known.name == group) {
            Some(group) => group.rules.push(item),
            None => new.spec.groups.push(RuleGroup {
                name: group,
                interval,
                limit,
                query_offset: None,
                labels: BTreeMap::new(),
                narrow: None,
                rules: vec![item],
            }),
        }
        self.apply(Any::Rule(Arc::new(new)));
        Ok(())
    }

    fn promise(&mut self, name: &str, options: &mut Options) -> Done {
        let stored = self.sim.world.get::<Application>(name).ok_or("no such application")?;
        let mut new = Object::clone(stored);
        let mut promise = serde_json::Map::new();
        for key in ["name", "query", "good", "total", "target", "below", "window"] {
            if let Some(text) = options.take::<String>(key)? {
                promise.insert(key.to_owned(), text.into());
            }
        }
        let promise = serde_json::from_value(promise.into()).map_err(|e| e.to_string())?;
        new.spec.objectives.push(promise);
        // What the guard makes of promises has cases of its own.
        new.spec.rollout.guard.mode = atoll_model::guard::GuardMode::Off;
        self.apply(Any::Application(Arc::new(new)));
        Ok(())
    }

    fn silence(&mut self, name: &str, options: &mut Options) -> Done {
        let until = options.take::<Span>("for")?.map(|span| (self.sim.now() + span).to_string());
        let spec = serde_json::json!({
            "matchers": options.list("match").unwrap_or_default(), "until": until,
            "whileFiring": options.list("while").unwrap_or_default(),
            "equal": options.list("equal").unwrap_or_default(),
            "reason": options.take::<String>("reason")?.unwrap_or("it is known".to_owned()),
        });
        self.manifest("Silence", name, spec)
    }

    fn receiver(&mut self, name: &str, options: &mut Options) -> Done {
        let mut route = serde_json::json!({
            "matchers": options.list("match").unwrap_or_default(),
            "otherwise": options.take::<bool>("otherwise")?.unwrap_or(false),
        });
        if let Some(group) = options.list("group") {
            route["groupBy"] = group.into();
        }
        for (key, field) in
            [("wait", "groupWait"), ("interval", "groupInterval"), ("repeat", "repeatInterval")]
        {
            if let Some(span) = options.take::<String>(key)? {
                route[field] = span.into();
            }
        }
        let spec = serde_json::json!({
            "channel": { "webhook": { "url": "http://x" } }, "routes": [route],
            "sendResolved": options.take::<bool>("resolved")?.unwrap_or(true),
            "heartbeat": options.take::<String>("heartbeat")?,
        });
        self.manifest("Receiver", name, spec)
    }

    fn manifest(&mut self, kind: &str, name: &str, spec: serde_json::Value) -> Done {
        let object = serde_json::json!({
            "apiVersion": "atoll/v1", "kind": kind, "metadata": { "name": name }, "spec": spec,
        });
        self.apply(Any::from_value(object).map_err(|e| e.to_string())?);
        Ok(())
    }

    /// Sends what is to be sent: `tell`, or `tell fails WHY`.
    fn tell(&mut self, words: &[String]) -> Done {
        for name in alerting::to_send(&self.sim.world, self.sim.now()) {
            let message = self.sim.world.get::<Notification>(&name).ok_or("it is gone")?.clone();
            let how = words.get(1).map_or("", String::as_str);
            let fails = words.get(2).cloned().filter(|_| how == "fails" || how == "refused");
            let outcome = fails.map_or(Ok(()), Err);
            let verb = if outcome.is_ok() { "told" } else { "not told" };
            let listed = |firing: bool| -> Vec<String> {
                let notes = message.spec.alerts.iter().filter(|note| note.firing == firing);
                notes.map(|note| title(&note.alert)).collect()
            };
            let (firing, ended) = (listed(true).join(" "), listed(false).join(" "));
            let (to, number, cause) =
                (&message.spec.receiver, message.spec.number, word(&message.spec.cause));
            self.said.push(format!("{to} {verb}, {number}, {cause}: [{firing}] ended [{ended}]"));
            let plan = alerting::sent(&self.sim.context(), &name, outcome, how == "refused");
            let actor = atoll_model::access::Actor::controller("notification");
            self.sim.commit(&actor, plan).map_err(|reasons| format!("{reasons:?}"))?;
        }
        Ok(())
    }

    fn alerts(&mut self) {
        let alerts: Vec<_> = self.sim.world.all::<Alert>().cloned().collect();
        if alerts.is_empty() {
            self.said.push("none".to_owned());
        }
        for alert in alerts {
            let (spec, status) = (&alert.spec, &alert.status);
            let active = status.active_at.since(self.begun).0 / 1000;
            let mut said = format!("{} {}, since {active}s", title(spec), word(&status.phase));
            for (key, value) in [("about", &spec.subject), ("of", &spec.owner)] {
                said.extend(value.as_ref().map(|value| format!(", {key} {value}")));
            }
            said.extend(status.blind_since.map(|_| ", blind"));
            said.extend(status.quiet_since.map(|_| ", quiet"));
            said.extend(spec.annotations.values().map(|text| format!(": {text}")));
            self.said.push(said);
            self.said.extend(spec.suspect.iter().map(|s| format!("  suspect {}", s.change)));
            self.said.extend(status.reasons.iter().map(|reason| format!("  {reason}")));
        }
    }
}

fn title(alert: &Alert) -> String {
    let labels = alert.labels.iter().filter(|(key, _)| *key != "alertname");
    let labels: Vec<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
    format!("{}{{{}}}", alert.alertname(), labels.join(","))
}

fn answers(series: Vec<(Labels, f64)>, missing: u64) -> Box<dyn Fn(Period) -> Answer> {
    Box::new(move |period| {
        let Period::At(at) = period else { return Answer::default() };
        let count = series.len() as u64;
        let one = |(labels, value): &(Labels, f64)| Series {
            labels: labels.clone(),
            points: vec![(at, *value)],
            lag: None,
        };
        let completeness = Completeness {
            series: count,
            // A store that is asked for something not there has still been asked.
            expected: count.max(1) + missing,
            seen: if missing == 0 { count.max(1) } else { count },
            ..Completeness::default()
        };
        Answer { series: series.iter().map(one).collect(), completeness }
    })
}
