//! The words of the text cases for the decision centre.
//!
//! `policy NAME of=KIND when=CEL action=… [for=] [mode=] [prod=MODE] [tier=MODE of the core tier]
//! [value=NAME:QUERY] [phases=] [hour=] [day=] [share=] [rest=] [requires=5:80%] [that=] [within=]
//! [hold=] [escalate=]` makes one; `built-in` makes those that come with the program, `mode NAME
//! MODE` sets a mode, `gauge QUERY LABEL=VALUE NUMBER|none [still]` says what is measured from now
//! on, `judge NAME approve|right|wrong` is what people say of a decision, `hold-decisions` and
//! `let-decisions` are the switch for all, `replay NAME …` decides again with another policy,
//! `switchable APP` gives it a switch, `decisions [all]` and `policies` print what there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::decision::Holds;
use atoll_model::{
    Any, Application, Approval, Config, Decision, Freeze, Kind, Object, Policy, Timestamp,
};
use atoll_plan::centre::{self, replay};
use atoll_plan::edit;
use atoll_plan::query::{Answer, Period, Series};
use serde_json::{Value, json};

use super::{Done, Script, word};

/// What each query says of each label: the value from a time on, and whether it stands still.
#[derive(Default)]
pub struct Gauges(BTreeMap<String, BTreeMap<String, Vec<Said>>>);

/// From when on a value is so, and whether it stands still.
type Said = (Timestamp, Option<f64>, bool);

impl Script {
    /// Commands of the decision centre; whether it was one.
    pub(super) fn centre(&mut self, words: &[String]) -> Result<bool, String> {
        let name = words.get(1).map_or("", String::as_str);
        let third = words.get(2).map_or("", String::as_str);
        match words[0].as_str() {
            "policy" => {
                let spec = self.policy_of(words)?;
                self.apply_policy(name, spec)?;
            }
            "built-in" => {
                for any in centre::built_in()? {
                    self.apply(any);
                }
            }
            "mode" => {
                let stored = self.sim.world.get::<Policy>(name).ok_or("no such policy")?;
                let mut new = Object::clone(stored);
                new.spec.requires = None;
                new.spec.mode = serde_json::from_value(third.into()).map_err(|e| e.to_string())?;
                self.apply(Any::Policy(Arc::new(new)));
            }
            "gauge" => self.gauge(words)?,
            "judge" => self.judge(name, third)?,
            "hold-decisions" => {
                let spec = json!({ "holds": "decisions", "reason": "we look into it" });
                let spec: Freeze = serde_json::from_value(spec).map_err(|e| e.to_string())?;
                assert_eq!(spec.holds, Holds::Decisions);
                self.apply(Any::Freeze(Arc::new(Object::new("decisions", spec))));
            }
            "let-decisions" => {
                let plan = edit::remove(&self.sim.context(), Kind::Freeze, "decisions");
                self.commit(plan);
            }
            "decisions" => self.decisions(name),
            "policies" => self.policies(),
            "switchable" => self.switchable(name)?,
            "replay" => {
                let spec = self.policy_of(words)?;
                self.replay(name, spec)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn policy_of(&self, words: &[String]) -> Result<Value, String> {
        // A condition has signs of equality of its own.
        let mut spec = match self.sim.world.get::<Policy>(&words[1]) {
            Some(policy) => serde_json::to_value(&policy.spec).map_err(|e| e.to_string())?,
            None => json!({ "subjects": { "kind": "Deployment" } }),
        };
        for word in &words[2..] {
            let (key, text) = word.split_once('=').ok_or_else(|| format!("{word}: KEY=VALUE"))?;
            let list = || json!(text.split(',').collect::<Vec<_>>());
            match key {
                "of" => spec["subjects"]["kind"] = json!(text),
                "phases" => spec["subjects"]["phases"] = list(),
                "labels" => spec["subjects"]["labels"] = json!(text),
                "environments" => spec["subjects"]["environments"] = list(),
                "applications" => spec["subjects"]["applications"] = list(),
                "action" => {
                    let text = text.replace('\'', "\"");
                    spec["action"] = serde_json::from_str(&text).unwrap_or(json!(text));
                }
                "value" => {
                    let (name, query) = text.split_once(':').ok_or("value=NAME:QUERY")?;
                    spec["values"] = json!([{ "name": name, "query": query }]);
                }
                "prod" => spec["modes"] = json!([{ "environments": ["prod"], "mode": text }]),
                "tier" => spec["modes"] = json!([{ "tiers": ["core"], "mode": text }]),
                "hour" => spec["limits"]["perHour"] = json!(number(text)?),
                "day" => spec["limits"]["perDay"] = json!(number(text)?),
                "share" => spec["limits"]["share"] = json!(text),
                "rest" => spec["limits"]["coolDown"] = json!(text),
                "requires" => {
                    let (count, right) = text.split_once(':').ok_or("requires=COUNT:SHARE")?;
                    spec["requires"] = json!({ "decisions": number(count)?, "right": right });
                }
                "that" => spec["expect"]["that"] = json!(text),
                "within" => spec["expect"]["within"] = json!(text),
                "hold" => spec["expect"]["for"] = json!(text),
                "escalate" => spec["escalateAfter"] = json!(number(text)?),
                "off" => spec["off"] = json!(text == "true"),
                key => spec[key] = json!(text),
            }
        }
        Ok(spec)
    }

    fn apply_policy(&mut self, name: &str, spec: Value) -> Done {
        let spec: Policy = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        self.apply(Any::Policy(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    fn gauge(&mut self, words: &[String]) -> Done {
        let [_, query, label, value, rest @ ..] = words else {
            return Err("gauge QUERY LABEL=VALUE NUMBER|none [still]".to_owned());
        };
        // The query of a policy may be long.
        let policy = query.strip_prefix("of:").map(|name| self.sim.world.get::<Policy>(name));
        let query = &match policy {
            Some(policy) => policy.ok_or("no such policy")?.spec.values[0].query.clone(),
            None => query.clone(),
        };
        let value: Option<f64> = match value.as_str() {
            "none" => None,
            number => Some(number.parse().map_err(|_| "a number, or none")?),
        };
        let still = rest.first().is_some_and(|word| word == "still");
        let of = self.gauges.0.entry(query.clone()).or_default();
        of.entry(label.clone()).or_default().push((self.sim.now(), value, still));
        let of = of.clone();
        let answer = move |period: Period| {
            let Period::Range { from, to, step } = period else { return Answer::default() };
            let times: Vec<Timestamp> =
                std::iter::successors(Some(from), |time| Some(*time + step))
                    .take_while(|time| *time <= to)
                    .collect();
            let series = of.iter().map(|(label, known)| {
                let (key, value) = label.split_once('=').unwrap_or((label, ""));
                let points = times.iter().filter_map(|time| {
                    let before = known.partition_point(|(from, ..)| from <= time);
                    let (_, value, still) = known[..before].last()?;
                    // What lives never stands quite still.
                    let moves = if *still { 0.0 } else { (time.0 % 7_919) as f64 * 1e-9 };
                    Some((*time, (*value)? + moves))
                });
                Series {
                    labels: [(key.into(), value.into())].into(),
                    points: points.collect(),
                    lag: None,
                }
            });
            Answer { series: series.collect(), ..Answer::default() }
        };
        self.sim.metrics.insert(query.clone(), Box::new(answer));
        Ok(())
    }

    fn judge(&mut self, name: &str, said: &str) -> Done {
        if said == "approve" {
            let spec = Approval {
                subject: format!("decision/{name}"),
                by: self.who.name.clone(),
                role: "admin".to_owned(),
                comment: String::new(),
            };
            self.apply(Any::Approval(Arc::new(Object::new(format!("{name}.local"), spec))));
            return Ok(());
        }
        let stored = self.sim.world.get::<Decision>(name).ok_or("no such decision")?;
        let mut new = Object::clone(stored);
        let feedback = json!({ "right": said == "right" });
        new.spec.feedback = serde_json::from_value(feedback).map_err(|e| e.to_string())?;
        self.apply(Any::Decision(Arc::new(new)));
        Ok(())
    }

    /// Each decision with what is worth knowing of it; `all`, with the votes.
    fn decisions(&mut self, how: &str) {
        let all: Vec<_> = self.sim.world.all::<Decision>().cloned().collect();
        if all.is_empty() {
            self.said.push("none".to_owned());
        }
        for decision in all {
            let status = &decision.status;
            let over = if status.ended_at.is_some() { ", over" } else { "" };
            let effect = status.effect.as_ref().map(|e| format!(", {}", word(&e.verdict)));
            self.said.push(format!(
                "{}: {}{over}, {} by {} in {}{}",
                decision.name(),
                word(&status.phase),
                status.action.as_ref().map_or("nothing", |action| action.word()),
                status.policy,
                word(&status.mode),
                effect.unwrap_or_default()
            ));
            self.said.extend(status.changes.iter().map(|change| format!("  {change}")));
            self.said.extend(status.reasons.iter().map(|reason| format!("  {reason}")));
            if how != "all" {
                continue;
            }
            for vote in &status.votes {
                let why = vote.not_followed.as_ref().map(|why| format!(" ({why})"));
                let (policy, action) = (&vote.policy, vote.action.word());
                let why = why.unwrap_or_default();
                self.said.push(format!("  vote {policy}: {action}: {}{why}", vote.message));
            }
            for suspect in &status.suspects {
                self.said.push(format!("  suspect {}: {}", suspect.object, suspect.change));
            }
            self.said.extend(status.effect.iter().map(|effect| format!("  {}", effect.message)));
        }
    }

    fn policies(&mut self) {
        for policy in self.sim.world.all::<Policy>() {
            let (status, record) = (&policy.status, &policy.status.record);
            self.said.push(format!(
                "{}: {}, {} decisions, {} acted, {} right, {} wrong, {} helped, {} did not, {} \
                 unknown",
                policy.name(),
                word(&status.phase),
                record.decisions,
                record.acted,
                record.right,
                record.wrong,
                record.helped,
                record.did_not,
                record.unknown
            ));
            self.said.extend(status.reasons.iter().map(|reason| format!("  {reason}")));
        }
    }

    /// Gives an application a configuration with the switch `degraded`.
    fn switchable(&mut self, name: &str) -> Done {
        let config = format!("{name}-switches");
        let spec = json!({
            "switches": { "degraded": { "type": "boolean", "default": false, "owner": "team/x" } },
        });
        let spec: Config = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        self.apply(Any::Config(Arc::new(Object::new(&*config, spec))));
        let stored = self.sim.world.get::<Application>(name).ok_or("no such application")?;
        let mut new = Object::clone(stored);
        if new.spec.config.dynamic.contains(&config) {
            return Ok(());
        }
        new.spec.config.dynamic.push(config);
        self.apply(Any::Application(Arc::new(new)));
        Ok(())
    }

    fn replay(&mut self, name: &str, spec: Value) -> Done {
        let spec: Policy = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        let told = replay::replay(&self.sim.context(), &[Object::new(name, spec)], None);
        let told = told.map_err(|reasons| format!("{reasons:?}"))?;
        let (all, same, unknown) = (told.decisions, told.same, told.unknown);
        self.said.extend(told.remarks.iter().map(|remark| format!("note: {remark}")));
        self.said.push(format!("{same} of {all} the same, {unknown} not known"));
        let untold = told.untold.iter();
        self.said.extend(untold.map(|one| format!("  {}: {}", one.decision, one.why)));
        for other in told.differences {
            self.said.push(format!("{}: {} -> {}", other.decision, other.was, other.would));
            self.said.push(format!("  {}", other.because));
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}
