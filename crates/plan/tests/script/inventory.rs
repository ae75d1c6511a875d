//! The inventory in scripts: facts that agents hand in, classes, items, networks, evidence,
//! findings and filters. `@RELATION=kind/name` is a relation of an item.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::Level;
use atoll_model::access::Actor;
use atoll_model::agent::Report;
use atoll_model::cmdb::facts::{FactsData, FoundFacts, Link, SystemFacts};
use atoll_model::cmdb::item::{Authority, IdentityRule, RelationRule};
use atoll_model::cmdb::view::{Record, Records, UseReport};
use atoll_model::{Any, Drift, Facts, Host, Instance, Item, ItemType, Network, Object, Reason};
use atoll_plan::cmdb::filter::{Filter, Search};
use atoll_plan::cmdb::graph::Graph;
use atoll_plan::cmdb::{clock, evidence, impact, mend, network, record, thing};
use atoll_plan::{Plan, report};
use serde_json::{Value, json};

use super::{Done, Options, Script};

/// A word as a value: a number where it looks like one.
fn value(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from)
}

/// The `key=value` words of a record, and its `@relation=kind/name` words.
fn record(key: &str, words: &[String]) -> Record {
    let mut record = Record { key: key.to_owned(), ..Record::default() };
    for (name, text) in words.iter().filter_map(|word| word.split_once('=')) {
        match name.strip_prefix('@') {
            Some(relation) => {
                let all = text.split(',').map(str::to_owned).collect();
                record.relations.insert(relation.to_owned(), all);
            }
            None => drop(record.attributes.insert(name.to_owned(), value(text))),
        }
    }
    record
}

impl Script {
    /// Does a command of the inventory; false, if it is none.
    pub(super) fn inventory(&mut self, words: &[String]) -> Result<bool, String> {
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let (name, third) = (word(1), word(2));
        match word(0) {
            "class" => self.class(name, &mut Options::of(&words[1..]))?,
            "item" => self.item(name, third, &words[3..]),
            "network" => self.network(name, third, &mut Options::of(&words[1..]))?,
            "facts" => self.facts(name, &words[2..]),
            "expect" => self.expect(name, &words[2..])?,
            "link" => self.link(name, third)?,
            "clock" => self.clock(name, third)?,
            "import" | "observe" => self.records(words)?,
            "used" => self.used(words),
            "merge" => {
                let plan = mend::merge(&self.sim.context(), name, third);
                self.commit(plan);
            }
            "split" => {
                let plan = mend::split(&self.sim.context(), name);
                self.commit(plan);
            }
            "accept" => {
                let plan = mend::accept(&self.sim.context(), name);
                self.commit(plan);
            }
            "mend" => {
                let plan = mend::mend(&self.sim.context(), name);
                self.commit(plan);
            }
            "drifts" => self.drifts(),
            "find" => self.find(&words[1..].join(" ")),
            "next" => self.next(name, third)?,
            "impact" => self.impact(name),
            "path" => self.path(name, third),
            "thing" => self.thing(name)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn class(&mut self, name: &str, options: &mut Options) -> Done {
        let rule = |text: String| IdentityRule {
            weak: text.ends_with('?'),
            name: text.trim_end_matches('?').to_owned(),
            attributes: text.trim_end_matches('?').split('+').map(str::to_owned).collect(),
        };
        let identity = options.list("identity").unwrap_or_default();
        let mut properties = serde_json::Map::new();
        for field in options.list("schema").unwrap_or_default() {
            let (key, of) = field.split_once(':').ok_or("schema=KEY:TYPE,…")?;
            properties.insert(key.to_owned(), json!({ "type": of }));
        }
        let schema = json!({ "type": "object", "properties": properties });
        let relation = |text: String| {
            let depends = text.ends_with('!');
            let rule = RelationRule { depends, many: true, to: Vec::new() };
            (text.trim_end_matches('!').to_owned(), rule)
        };
        let mut authority = BTreeMap::new();
        if let Some(sources) = options.list("believe") {
            authority.insert("size".to_owned(), Authority { sources, stale_after: None });
        }
        let spec = ItemType {
            owner: options.take("owner")?,
            schema: (!properties_empty(&schema)).then_some(schema),
            relations: options.list("relations").into_iter().flatten().map(relation).collect(),
            identity: identity.into_iter().map(rule).collect(),
            authority,
            stale_after: options.take("stale")?.unwrap_or("7d".parse()?),
            ..ItemType::default()
        };
        self.apply(Any::ItemType(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    fn item(&mut self, name: &str, of: &str, words: &[String]) {
        let Record { attributes, relations, .. } = record(name, words);
        let spec = Item { of: of.to_owned(), attributes, relations, ..Item::default() };
        self.apply(Any::Item(Arc::new(Object::new(name, spec))));
    }

    fn network(&mut self, name: &str, prefixes: &str, options: &mut Options) -> Done {
        let prefixes: Result<Vec<_>, String> = prefixes.split(',').map(str::parse).collect();
        let spec = Network {
            prefixes: prefixes?,
            parent: options.take("parent")?,
            domain: options.take("domain")?,
            ..Network::default()
        };
        self.apply(Any::Network(Arc::new(Object::new(name, spec))));
        Ok(())
    }

    /// What an agent hands in, through the gate as agents' reports go.
    fn hand_in(&mut self, host: &str, data: FactsData) {
        let digest = format!("{data:?}");
        let found = vec![FoundFacts { digest, data }];
        let plan =
            report::report(&self.sim.context(), host, &Report { found, ..Report::default() });
        let name = format!("host/{host}");
        let actor = Actor { host: Some(host.to_owned()), ..Actor::new(name, Level::Host) };
        self.through(&actor, Ok(plan));
    }

    /// How many seconds ahead the clock of a host is found to be, by which it is told of or not.
    fn clock(&mut self, name: &str, ahead: &str) -> Done {
        let seconds: i64 = ahead.parse().map_err(|_| "clock HOST SECONDS")?;
        let host = self.sim.world.get::<Host>(name).ok_or("no such host")?;
        let Some(report) = clock::news(host, seconds * 1_000) else { return Ok(()) };
        let plan = report::report(&self.sim.context(), name, &report);
        self.through(&Actor::host(name), Ok(plan));
        Ok(())
    }

    fn through(&mut self, actor: &Actor, plan: Result<Plan, Vec<Reason>>) {
        let done = plan.and_then(|plan| {
            let said = plan.reasons.clone();
            self.sim.commit(actor, plan).map(|_| said)
        });
        let line = |word: &str, reason: &Reason| format!("{word}: {reason}");
        match done {
            Ok(said) => self.said.extend(said.iter().map(|reason| line("note", reason))),
            Err(why) => self.said.extend(why.iter().map(|reason| line("refused", reason))),
        }
    }

    fn facts(&mut self, host: &str, words: &[String]) {
        let mut system = SystemFacts::default();
        for (key, text) in words.iter().filter_map(|word| word.split_once('=')) {
            let text = text.to_owned();
            match key {
                "os" => system.os.name = text,
                "version" => system.os.version = text,
                "kernel" => system.kernel = text,
                "uuid" => system.hardware.uuid = text,
                "serial" => system.hardware.serial = text,
                "memory" => system.memory = text.parse().unwrap_or_default(),
                _ => self.said.push(format!("no fact {key:?} here")),
            }
        }
        self.hand_in(host, FactsData::System(Box::new(system)));
    }

    fn expect(&mut self, host: &str, words: &[String]) -> Done {
        let stored = self.sim.world.get::<Host>(host).ok_or("no such host")?;
        let mut new = Object::clone(stored);
        new.spec.expect = record(host, words).attributes;
        self.apply(Any::Host(Arc::new(new)));
        Ok(())
    }

    fn link(&mut self, instance: &str, to: &str) -> Done {
        let object = self.sim.world.get::<Instance>(instance).ok_or("no such instance")?;
        let host = object.spec.host.clone();
        let name = atoll_model::cmdb::facts::FactsPart::Links.of_host(&host);
        let known = self.sim.world.get::<Facts>(&name).and_then(|f| f.status.data.clone());
        let mut links = match known {
            Some(FactsData::Links(links)) => links,
            _ => Vec::new(),
        };
        // An instance by its name is reached where it is.
        let (address, port) = match self.sim.world.get::<Instance>(to) {
            Some(other) => {
                let port = other.spec.ports.values().next().copied().unwrap_or(0);
                (other.status.address.clone(), port)
            }
            None => {
                let (address, port) = to.rsplit_once(':').ok_or("link INSTANCE ADDRESS:PORT")?;
                (address.to_owned(), port.parse().map_err(|_| "no port")?)
            }
        };
        links.push(Link { instance: instance.to_owned(), address, port });
        self.hand_in(&host, FactsData::Links(links));
        Ok(())
    }

    fn records(&mut self, words: &[String]) -> Done {
        let [verb, source, of, key, rest @ ..] = words else {
            return Err("import SOURCE CLASS KEY …".to_owned());
        };
        let records =
            Records { of: of.clone(), source: source.clone(), records: vec![record(key, rest)] };
        let platform = Actor::controller("inventory");
        if verb == "observe" {
            let plan = record::observe(&self.sim.context(), &records);
            self.through(&platform, plan);
            return Ok(());
        }
        let plan = record::import(&self.sim.context(), &records);
        self.commit(plan);
        if let Ok(plan) = record::remember(&self.sim.context(), &records) {
            self.through(&platform, Ok(plan));
        }
        Ok(())
    }

    fn used(&mut self, words: &[String]) {
        let word = |at: usize| words.get(at).cloned().unwrap_or_default();
        let told = UseReport {
            subject: word(1),
            attribute: word(2),
            value: value(&word(3)),
            works: word(4) == "works",
            consumer: Some(word(5)),
            message: words.get(6..).unwrap_or_default().join(" "),
        };
        let plan = evidence::note(&self.sim.context(), "user/test", &told);
        self.through(&Actor::controller("inventory"), plan);
    }

    fn drifts(&mut self) {
        let now = self.sim.now();
        for drift in self.sim.world.all::<Drift>() {
            let status = &drift.status;
            let open = status.since.map(|at| now.since(at).to_string()).unwrap_or_default();
            let owner = status.owner.as_deref().unwrap_or("nobody");
            let why: Vec<String> = status.reasons.iter().map(|r| r.message.clone()).collect();
            let cause = super::word(&status.cause);
            let line = format!("{}: {cause} for {open}, {owner}: {}", drift.name(), why.join("; "));
            self.said.push(line);
        }
        if self.sim.world.all::<Drift>().next().is_none() {
            self.said.push("none".to_owned());
        }
    }

    fn find(&mut self, filter: &str) {
        let cx = self.sim.context();
        let lines: Vec<String> = match Filter::parse(filter) {
            Ok(filter) => {
                let search = Search::new(cx);
                search.find(&filter).iter().map(|found| found.whole().id()).collect()
            }
            Err(reason) => vec![format!("refused: {reason}")],
        };
        self.said.push(if lines.is_empty() { "nothing".to_owned() } else { lines.join(" ") });
    }

    fn next(&mut self, name: &str, length: &str) -> Done {
        let world = &self.sim.world;
        let found = match length {
            "" => network::free_address(world, name).map(|address| address.to_string()),
            length => {
                let length = length.parse().map_err(|_| "no length")?;
                network::free_prefix(world, name, length).map(|prefix| prefix.to_string())
            }
        };
        self.said.push(found.unwrap_or_else(|reason| format!("refused: {reason}")));
        Ok(())
    }

    fn impact(&mut self, subject: &str) {
        let Some(told) = impact::impact(&self.sim.world, subject) else {
            return self.said.push("no such thing".to_owned());
        };
        for loss in told.losses {
            let left = loss.left.map(|left| format!(", {left} left")).unwrap_or_default();
            let word = super::word(&loss.word);
            self.said.push(format!("{} is {word}{left}: {}", loss.subject, loss.why));
        }
    }

    fn path(&mut self, from: &str, to: &str) {
        match Graph::of(&self.sim.world).path(from, to) {
            Some(way) => {
                for step in way {
                    self.said.push(format!("{} {} {}", step.from, step.relation, step.to));
                }
            }
            None => self.said.push("no way".to_owned()),
        }
    }

    fn thing(&mut self, id: &str) -> Done {
        let (kind, name) = id.split_once('/').ok_or("thing KIND/NAME")?;
        let view = thing::view(&self.sim.context(), kind.parse()?, name).ok_or("no such thing")?;
        for attribute in view.attributes {
            let should = attribute.should.map(|v| v.to_string()).unwrap_or("-".to_owned());
            let is: Vec<String> = attribute
                .is
                .iter()
                .map(|said| format!("{} ({})", said.value, said.source))
                .collect();
            let is = if is.is_empty() { "-".to_owned() } else { is.join(", ") };
            let used = attribute.used.map(|used| {
                let how = if used.works { "works" } else { "failed" };
                format!(", used by {}: {how}", used.consumer)
            });
            let standing = super::word(&attribute.standing);
            let used = used.unwrap_or_default();
            self.said
                .push(format!("{}: {standing}: should {should}, is {is}{used}", attribute.name));
        }
        self.said.extend(view.identity.into_iter().map(|line| format!("identity: {line}")));
        let related = view.relations.into_iter().filter(|r| !r.relation.is_empty());
        self.said.extend(related.map(|r| format!("{} {} {}", r.from, r.relation, r.to)));
        Ok(())
    }
}

fn properties_empty(schema: &Value) -> bool {
    schema["properties"].as_object().is_none_or(serde_json::Map::is_empty)
}
