//! The decision centre in random worlds: people change modes and limits, approve, stop it and let
//! it go on; instances fade, and what is measured comes and goes. It never does more than its
//! limits say, nothing in a mode that does not act, nothing on what is not measured, nothing while
//! it is stopped; and once all is well it does nothing more.

use atoll_model::centre::ActMode;
use atoll_model::centre::decision::DecisionStatus;
use atoll_model::decision::Holds;
use atoll_model::{Approval, Decision, Policy};
use atoll_plan::query::{Answer, Period, Series};
use atoll_plan::sim::{Behaviour, Entry};
use serde_json::json;

use std::collections::BTreeMap;

use atoll_model::{Intent, Timestamp, Write};

use super::*;

const HOUR: Span = Span::seconds(3_600);
/// What was measured so long ago may still be acted on.
const TOLERATED: Span = Span::seconds(91);

/// What is measured of the load, by time: none, where nothing is.
type Load = Vec<(Timestamp, Option<f64>)>;

struct Play {
    sim: Sim,
    random: Random,
    load: Load,
    /// When each policy acted.
    acted: BTreeMap<String, Vec<Timestamp>>,
}

fn put(sim: &mut Sim, kind: &str, name: &str, spec: serde_json::Value) {
    let object = json!({
        "apiVersion": "atoll/v1", "kind": kind, "metadata": { "name": name }, "spec": spec,
    });
    let any = Any::from_value(object).expect("a manifest");
    sim.apply(vec![any]).expect("it is allowed");
}

impl Play {
    fn new(seed: u64) -> Play {
        let mut sim = Sim::new(seed);
        for host in ["h0", "h1", "h2"] {
            let capacity = Amount { cpu: Cpu(8_000), memory: Memory(16 << 30), instances: 0 };
            sim.join(host, &[], capacity);
        }
        put(&mut sim, "Environment", "prod", json!({}));
        let run = json!({ "command": ["x"], "resources": { "cpu": "100m", "memory": "16Mi" } });
        put(
            &mut sim,
            "Application",
            "web",
            json!({ "run": run, "scaling": { "min": 5, "max": 20 } }),
        );
        assert!(sim.settle(Span::seconds(3_600)));
        sim.journal.clear();
        let acted = BTreeMap::new();
        let mut play = Play { sim, random: Random::new(seed ^ 0xdec1), load: Vec::new(), acted };
        play.policies();
        play
    }

    fn policies(&mut self) {
        let mode = |random: &mut Random| {
            ["observe", "advise", "approve", "act", "act"][random.below(5) as usize]
        };
        let limits = |random: &mut Random| {
            json!({
                "perHour": 1 + random.below(4), "perDay": 2 + random.below(9),
                "share": format!("{}%", 10 + random.below(50)),
                "coolDown": format!("{}s", random.below(300)),
            })
        };
        let restart = json!({
            "subjects": { "kind": "Instance", "phases": ["unready"] }, "when": "true", "for": "20s",
            "action": "restart", "mode": mode(&mut self.random), "limits": limits(&mut self.random),
            "expect": { "that": "deployment.status.unavailable == 0", "within": "2m" },
            "escalateAfter": self.random.below(4),
        });
        put(&mut self.sim, "Policy", "again", restart);
        let up = self.random.below(2) == 0;
        let action = if up { json!({ "raise": {} }) } else { json!({ "lower": {} }) };
        for (name, action, when) in [
            ("more", action, "values.load > 100.0"),
            (
                "less",
                json!({ "lower": { "by": "1" } }),
                "values.load > 60.0 && values.load < 120.0 || values.load < 20.0",
            ),
        ] {
            let spec = json!({
                "subjects": { "kind": "Deployment" }, "when": when, "for": "30s",
                "values": [{ "name": "load", "query": "load" }],
                "action": action, "mode": mode(&mut self.random),
                "limits": limits(&mut self.random), "escalateAfter": 0,
                "expect": { "that": "values.load > 20.0 && values.load < 100.0", "within": "3m" },
            });
            put(&mut self.sim, "Policy", name, spec);
        }
    }

    fn measure(&mut self, load: Option<f64>) {
        self.load.push((self.sim.now(), load));
        let known = self.load.clone();
        let answer = move |period: Period| {
            let Period::Range { from, to, step } = period else { return Answer::default() };
            let times = std::iter::successors(Some(from), |time| Some(*time + step));
            let points = times.take_while(|time| *time <= to).filter_map(|time| {
                let before = known.partition_point(|(from, _)| *from <= time);
                let value = known[..before].last()?.1?;
                Some((time, value + (time.0 % 7_919) as f64 * 1e-9))
            });
            let labels = [("deployment".to_owned(), "web.prod".to_owned())].into();
            let series = vec![Series { labels, points: points.collect(), lag: None }];
            Answer { series, ..Answer::default() }
        };
        self.sim.metrics.insert("load".to_owned(), Box::new(answer));
    }

    fn happen(&mut self) {
        let which = self.random.below(9);
        match which {
            0 | 1 => {
                let load = [None, Some(5.0), Some(50.0), Some(110.0), Some(150.0)];
                let load = load[self.random.below(5) as usize];
                self.measure(load);
            }
            2 | 3 => {
                let name = format!("web.prod.{}", self.random.below(6));
                self.sim.behaviours.insert(name.clone(), Behaviour::Fades(Span::seconds(2)));
                self.sim.crash(&name);
            }
            4 => self.sim.behaviours.clear(),
            5 => self.policies(),
            6 => self.stop_or_go_on(),
            7 => self.approve(),
            _ => {}
        }
    }

    fn stop_or_go_on(&mut self) {
        if self.sim.world.get::<Freeze>("stop").is_some() {
            self.sim.remove(Kind::Freeze, "stop").expect("it is allowed");
        } else {
            let spec = json!({ "holds": "decisions", "reason": "a test" });
            put(&mut self.sim, "Freeze", "stop", spec);
        }
    }

    fn approve(&mut self) {
        let waits = self.sim.world.all::<Decision>().map(|decision| decision.meta.name.clone());
        for name in waits.collect::<Vec<_>>() {
            let spec = Approval {
                subject: format!("decision/{name}"),
                by: Sim::person().name,
                role: "admin".to_owned(),
                comment: String::new(),
            };
            let any = Any::Approval(Arc::new(Object::new(format!("{name}.local"), spec)));
            // Where nothing waits, it is refused.
            let _ = self.sim.apply(vec![any]);
        }
    }

    fn check(&mut self) {
        for entry in std::mem::take(&mut self.sim.journal) {
            if entry.actor == "controller/decision" && entry.intent == Intent::Edit {
                self.check_act(&entry);
            }
        }
        let flying = self.sim.world.all::<Decision>().filter(|d| d.status.is_in_flight());
        let mut subjects: Vec<&String> = flying.map(|decision| &decision.spec.subject).collect();
        let count = subjects.len();
        subjects.dedup();
        assert_eq!(subjects.len(), count, "two are under way about one thing");
    }

    fn check_act(&mut self, entry: &Entry) {
        let new = entry.writes.iter().find_map(|write| match write {
            Write::Put(Any::Decision(decision)) => Some(decision),
            _ => None,
        });
        let new = new.expect("every act is a decision's");
        let status: &DecisionStatus = &new.status;
        let said = entry.reasons.iter().any(|r| r.message.contains(new.name()));
        assert!(said, "the history does not name {}", new.name());
        let policy = entry.before.get::<Policy>(&status.policy).expect("its policy");
        match policy.spec.mode {
            ActMode::Act => {}
            ActMode::Approve => assert!(!status.approved_by.is_empty(), "nobody approved"),
            mode => panic!("{} acts in {mode:?}", policy.name()),
        }
        let stopped = entry.before.all::<Freeze>().any(|f| f.spec.holds == Holds::Decisions);
        assert!(!stopped, "{} acts while it is stopped", policy.name());
        let acted = self.acted.entry(status.policy.clone()).or_default();
        acted.push(entry.at);
        let limits = &policy.spec.limits;
        let hour = acted.iter().filter(|at| entry.at.since(**at) < HOUR).count() as u32;
        assert!(hour <= limits.per_hour, "{hour} within an hour, {} allowed", limits.per_hour);
        assert!(acted.len() as u32 <= limits.per_day, "more than {} a day", limits.per_day);
        if !policy.spec.values.is_empty() {
            let measured = self.load.iter().rev().find(|(from, _)| *from <= entry.at);
            let ended = measured.filter(|(_, load)| load.is_none());
            let lately = ended.is_none_or(|(from, _)| entry.at.since(*from) < TOLERATED);
            assert!(lately && measured.is_some(), "{} acts on no data", policy.name());
        }
        let up = |policy: &Policy| {
            policy.action.direction() == atoll_model::centre::action::Direction::Up
        };
        if policy.spec.action.direction() == atoll_model::centre::action::Direction::Down {
            let standing = entry.before.all::<Policy>().filter(|p| up(&p.spec));
            let more = standing.flat_map(|p| &p.status.standing);
            let more = more.filter(|one| one.subject == new.spec.subject).count();
            assert_eq!(more, 0, "less, while another asks for more or cannot tell");
        }
    }
}

/// Plays one seed.
pub fn play(seed: u64) {
    let mut play = Play::new(seed);
    for _ in 0..20 {
        play.happen();
        let until = play.sim.now() + play.random.span(Span(0), Span::seconds(200));
        while play.sim.turn(until) {
            play.check();
        }
    }
    // Once all is well, nothing is done any more.
    play.sim.behaviours.clear();
    let ill: Vec<String> = play.sim.world.all::<Instance>().map(|i| i.meta.name.clone()).collect();
    ill.iter().for_each(|name| play.sim.crash(name));
    play.measure(Some(50.0));
    play.sim.advance(Span::seconds(1_200));
    play.sim.journal.clear();
    play.sim.advance(Span::seconds(300));
    let by =
        play.sim.journal.iter().filter(|entry| {
            entry.actor == "controller/decision" || entry.actor == "controller/policy"
        });
    assert_eq!(by.count(), 0, "a settled world is written to");
}
