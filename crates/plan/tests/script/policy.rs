//! The commands of the text cases about standards.

use std::sync::Arc;

use atoll_model::policy::BREAK_GLASS_ANNOTATION;
use atoll_model::{Any, Kind, Object, Scorecard, Span, Standard, Waiver};
use atoll_plan::edit;
use atoll_plan::policy::score::{By, scores};
use serde_json::{Value, json};

use super::{Done, Options, Script, word};

impl Script {
    /// `standard NAME about=KIND,… require=CEL [field=value…] [good=JSON] [bad=JSON]`,
    /// `waive STANDARD SUBJECT [for=SPAN]`, `patch KIND/NAME path=value… [glass=REASON]`,
    /// `card KIND/NAME`, `scores`; false, where it is something else.
    pub(super) fn govern(&mut self, words: &[String]) -> Result<bool, String> {
        let name = words.get(1).map_or("", String::as_str);
        let mut options = Options::of(&words[1..]);
        match words[0].as_str() {
            "standard" => self.standard(name, &mut options)?,
            "waive" => {
                let subject = words.get(2).map_or("", String::as_str);
                self.waive(name, subject, &mut options)?;
            }
            "patch" => self.patch(name, options)?,
            "card" => self.card(name)?,
            "scores" => self.scores(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn standard(&mut self, name: &str, options: &mut Options) -> Done {
        let mut spec = json!({ "message": "it is not so", "examples": [] });
        for (key, text) in std::mem::take(&mut options.0) {
            match key {
                "about" => spec["kinds"] = json!(text.split(',').collect::<Vec<_>>()),
                "environments" | "points" => {
                    spec[key] = json!(text.split(',').collect::<Vec<_>>());
                }
                "good" | "bad" => {
                    let object: Value = serde_json::from_str(&text.replace('\'', "\""))
                        .map_err(|e| e.to_string())?;
                    let example = json!({ "name": key, "passes": key == "good", "object": object });
                    let all = spec["examples"].as_array_mut().ok_or("examples")?;
                    all.push(example);
                }
                "weight" => spec[key] = json!(text.parse::<u32>().map_err(|e| e.to_string())?),
                key => spec[key] = json!(text),
            }
        }
        let spec: Standard = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        self.govern_edit(Any::Standard(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    fn waive(&mut self, standard: &str, subject: &str, options: &mut Options) -> Done {
        let span: Span = options.take("for")?.unwrap_or(Span::seconds(86_400));
        let spec = Waiver {
            standard: standard.to_owned(),
            subject: Some(subject.to_owned()),
            applications: None,
            owner: "team/web".to_owned(),
            reason: options.take("reason")?.unwrap_or("it is being mended".to_owned()),
            ends: self.sim.now() + span,
        };
        let name = format!("{standard}-{}", subject.replace(['/', '.'], "-"));
        self.govern_edit(Any::Waiver(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    /// Sets fields of an object as a person would; `none` takes one out.
    fn patch(&mut self, id: &str, options: Options) -> Done {
        let (kind, name) = id.split_once('/').ok_or("patch KIND/NAME path=value")?;
        let stored = self.sim.world.find(kind.parse()?, name).ok_or("no such object")?;
        let mut value = stored.to_value();
        for (path, text) in options.0 {
            if path == "glass" {
                value["metadata"]["annotations"][BREAK_GLASS_ANNOTATION] = json!(text);
                continue;
            }
            let (above, field) = path.rsplit_once('.').ok_or("path=value")?;
            let mut at = &mut value;
            for part in above.split('.') {
                at = &mut at[part];
            }
            if text == "none" {
                at.as_object_mut().map(|map| map.remove(field));
                continue;
            }
            let read = serde_json::from_str(&text.replace('\'', "\""));
            at[field] = read.unwrap_or_else(|_| json!(text));
        }
        self.govern_edit(Any::from_value(value).map_err(|e| e.to_string())?);
        Ok(())
    }

    fn govern_edit(&mut self, any: Any) {
        let before = self.sim.journal.len();
        let plan = edit::apply(&self.sim.context(), vec![any]);
        self.commit(plan);
        let notes = self.sim.journal[before..].iter().flat_map(|entry| entry.reasons.iter());
        self.said.extend(notes.map(|reason| format!("note: {reason}")));
    }

    fn card(&mut self, id: &str) -> Done {
        let (kind, name) = id.split_once('/').ok_or("card KIND/NAME")?;
        let name = atoll_plan::policy::card_name(kind.parse::<Kind>()?, name);
        let Some(card) = self.sim.world.get::<Scorecard>(&name) else {
            self.said.push(format!("{id} has no scorecard"));
            return Ok(());
        };
        let status = &card.status;
        let score = status.score.map_or("none".to_owned(), |score| score.to_string());
        let (broken, checks) = (status.broken, status.checks);
        self.said.push(format!("score {score}, {broken} of {checks} broken"));
        for finding in &status.findings {
            let (state, mode) = (word(&finding.state), word(&finding.mode));
            let (standard, subject) = (&finding.standard, &finding.subject);
            let since = finding.since.since(self.begun).0 / 1000;
            let message = &finding.message;
            let said = format!("  {state} {standard} ({mode}) {subject} since {since}s: {message}");
            self.said.push(said);
        }
        Ok(())
    }

    fn scores(&mut self) {
        let cx = self.sim.context();
        let mut said = Vec::new();
        for by in [By::Application, By::Team, By::Fleet] {
            for row in scores(&cx, by, 3).items {
                let show = |score: Option<u32>| score.map_or("-".to_owned(), |s| s.to_string());
                let days: Vec<String> = row.trend.iter().map(|point| show(point.score)).collect();
                let (name, score, broken) = (&row.name, show(row.score), row.broken);
                let (checks, waived, days) = (row.checks, row.waived, days.join(" "));
                said.push(format!(
                    "{} {name}: {score}, {broken} of {checks} broken, {waived} waived; {days}",
                    by.name()
                ));
            }
        }
        self.said.extend(said);
    }
}
