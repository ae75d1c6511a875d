//! The words of the text cases for peaks. The rest of the language is in `mod.rs`.
//!
//! `peak NAME of=shop:5,pay:100/s starts=2h lasts=1h [lead=hosts:1h,scale:30m] [give=10m]
//! [freezes=environment] [switch=CONFIG] [kill=CONFIG] [limit=CONFIG/KEY:APP]` makes one in the
//! environment `prod`, with `began=2h` for `starts` one of two hours ago; `plan-of NAME` says what
//! it takes, `usual-of NAME` what is said of it, `calendar NAME` what must be ready, `report-of
//! NAME` what was seen, `rehearsed NAME yes|no` that it was rehearsed; `label-peak NAME KEY` gives
//! one a label.

use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::rehearsal::report::RehearsalReport;
use atoll_model::{Any, Kind, Object, Peak, Span};
use atoll_plan::{edit, peak};
use serde_json::{Map, Value, json};

use super::{Done, Options, Script};

impl Script {
    /// Commands of peaks; whether it was one.
    pub(super) fn peaks(&mut self, words: &[String]) -> Result<bool, String> {
        let name = words.get(1).map_or("", String::as_str);
        let mut options = Options::of(words.get(2..).unwrap_or_default());
        match words[0].as_str() {
            "peak" => self.peak(name, &mut options)?,
            "plan-of" => self.plan_of(name)?,
            "usual-of" => self.usual_of(name)?,
            "calendar" => self.calendar(name)?,
            "report-of" => self.report_of(name)?,
            "rehearsed" => self.rehearsed(name, words.get(2).is_some_and(|held| held == "yes"))?,
            "label-peak" => self.label_peak(name, words.get(2).ok_or("label-peak NAME KEY")?)?,
            "end-peak" => {
                let plan = edit::remove(&self.sim.context(), Kind::Peak, name);
                self.commit(plan);
            }
            _ => return Ok(false),
        }
        options.done()?;
        Ok(true)
    }

    fn peak(&mut self, name: &str, options: &mut Options) -> Done {
        let lasts: Span = options.take("lasts")?.unwrap_or(Span::seconds(3_600));
        let starts = match options.take::<Span>("began")? {
            Some(ago) => self.sim.now() - ago,
            None => self.sim.now() + options.take::<Span>("starts")?.ok_or("starts=SPAN")?,
        };
        let mut applications = Map::new();
        for one in options.list("of").ok_or("of=APP:TIMES")? {
            let (of, amount) = one.split_once(':').ok_or("of=APP:TIMES")?;
            let volume = amount.strip_suffix("/s");
            let number: f64 = volume.unwrap_or(amount).parse().map_err(|_| "of=APP:TIMES")?;
            let expected = if volume.is_some() { json!({"volume": number}) } else { json!(number) };
            applications.insert(of.to_owned(), expected);
        }
        let mut lead = Map::new();
        for one in options.list("lead").unwrap_or_default() {
            let (what, span) = one.split_once(':').ok_or("lead=WHAT:SPAN")?;
            lead.insert(what.to_owned(), span.into());
        }
        if let Some(give) = options.take::<String>("give")? {
            lead.insert("giveBack".to_owned(), give.into());
        }
        let mut switches: Vec<Value> = Vec::new();
        for (key, kill) in [("switch", false), ("kill", true)] {
            let named = options.list(key).unwrap_or_default().into_iter();
            switches.extend(named.map(|config| json!({"config": config, "kill": kill})));
        }
        let limits: Option<Vec<Value>> = options.take::<String>("limit")?.map(|limit| {
            let (at, of) = limit.split_once(':').unwrap_or((&limit, ""));
            let (config, key) = at.split_once('/').unwrap_or((at, ""));
            vec![json!({"config": config, "key": key, "application": of})]
        });
        let freezes = options.take::<String>("freezes")?.unwrap_or("applications".to_owned());
        let spec = json!({
            "starts": starts.to_string(), "ends": (starts + lasts).to_string(),
            "environment": "prod", "applications": applications, "lead": lead,
            "freezes": freezes, "switches": switches, "limits": limits.unwrap_or_default(),
        });
        let spec: Peak = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        self.apply(Any::Peak(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    fn stored(&self, name: &str) -> Result<Arc<Object<Peak>>, String> {
        self.sim.world.get::<Peak>(name).cloned().ok_or("no such peak".to_owned())
    }

    fn plan_of(&mut self, name: &str) -> Done {
        let peak = self.stored(name)?;
        for row in &peak.status.applications {
            let or = |number: Option<f64>| number.map_or("?".to_owned(), |n| n.to_string());
            let needed = row.needed.map_or("?".to_owned(), |n| n.to_string());
            let called = if row.called { ", called" } else { "" };
            let reasons: Vec<&str> = row.reasons.iter().map(|r| r.code.as_str()).collect();
            self.said.push(format!(
                "{}: usually {}, {} expected at {} each takes {needed}, {} there, {} lacking, {} \
                 kept, room for {}{called} ({})",
                row.deployment,
                or(row.usual),
                or(row.expected),
                or(row.each),
                row.have,
                row.missing,
                row.keep,
                row.room,
                reasons.join(", ")
            ));
        }
        let hosts = &peak.status.hosts;
        self.said.push(format!(
            "{} hosts, pools may make {}; {} without room, {} in any case; {} have fetched",
            hosts.have, hosts.pools, hosts.unplaced, hosts.beyond, hosts.fetched
        ));
        for cost in &peak.status.cost {
            self.said.push(format!(
                "costs {} {} an hour more, {} in all; without a price: {:?}",
                cost.rate.fine(),
                cost.currency,
                cost.total.rounded(),
                cost.unpriced
            ));
        }
        Ok(())
    }

    fn usual_of(&mut self, name: &str) -> Done {
        let peak = self.stored(name)?;
        for row in &peak.status.applications {
            let usual = row.usual.map_or("?".to_owned(), |usual| usual.to_string());
            let reasons = row.reasons.iter().map(|reason| format!("; {}", reason.message));
            let reasons: String = reasons.collect();
            self.said.push(format!("{}: usually {usual}{reasons}", row.deployment));
        }
        Ok(())
    }

    fn calendar(&mut self, name: &str) -> Done {
        let peak = self.stored(name)?;
        for check in &peak.status.checks {
            let due = if check.due.0 < self.begun.0 {
                format!("-{}", self.begun.since(check.due))
            } else {
                check.due.since(self.begun).to_string()
            };
            let state = format!("{:?}", check.state).to_lowercase();
            let hint = if check.hint.is_empty() { "" } else { " -> " };
            let (what, message) = (&check.name, &check.message);
            self.said.push(format!("{due} {what}: {state}: {message}{hint}{}", check.hint));
        }
        Ok(())
    }

    fn report_of(&mut self, name: &str) -> Done {
        let peak = self.stored(name)?;
        let Some(report) = &peak.status.report else {
            self.said.push("nothing was seen yet".to_owned());
            return Ok(());
        };
        for (of, one) in &report.applications {
            self.said.push(format!(
                "{of}: expected {:?}, highest {:?}, {} to {} served",
                one.expected, one.highest, one.least, one.most
            ));
        }
        for (objective, broken) in &report.broken {
            self.said.push(format!("{objective} was broken for {}", Span(*broken)));
        }
        let closed = if report.closed { "closed" } else { "open" };
        let spent = report.spent.iter().map(|(c, sum)| format!("{} {c}", sum.rounded()));
        let spent: Vec<String> = spent.collect();
        self.said.push(format!("{closed}; spent {spent:?}; {} hosts at most", report.hosts));
        Ok(())
    }

    fn label_peak(&mut self, name: &str, key: &str) -> Done {
        let mut peak = Object::clone(&*self.stored(name)?);
        peak.meta.labels.insert(key.to_owned(), "yes".to_owned());
        self.apply(Any::Peak(Arc::new(peak)));
        Ok(())
    }

    fn rehearsed(&mut self, name: &str, held: bool) -> Done {
        let report = RehearsalReport { held, ..RehearsalReport::default() };
        let cx = self.sim.context();
        let then = self.stored(name)?;
        let plan = peak::rehearsed(&cx, &then, &report);
        let done = self.sim.commit(&Actor::controller("peak"), plan);
        done.map(|_| ()).map_err(|reasons| format!("{reasons:?}"))
    }
}
