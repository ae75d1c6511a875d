//! The filter language: one for command line, API and console, over attributes and relations, and,
//! since it is asked of a world, over time. `kind = host and os.name = debian and memory > 8Gi and
//! runs(application/shop)`. It is not CEL: what operators ask is a list of conditions, and these
//! read as they are said; amounts, versions and relations mean here what people mean by them.

mod candidate;
pub mod names;
mod parse;

use std::num::NonZero;
use std::sync::OnceLock;

use atoll_model::snapshot::Line;
use atoll_model::{Any, Drift, Kind, Reason, Span, Timestamp};
use serde_json::Value;

pub use candidate::{Candidate, Told};

use super::compare::Comparison;
use super::graph::{Graph, id};
use crate::Context;

/// The longest filter, in bytes.
const LONGEST: usize = 4_096;

/// So many objects one thread looks through before another is worth its beginning.
const FEW: usize = 5_000;
/// So many threads look through them at most: others want to be answered too.
const MOST_AT_ONCE: usize = 4;

/// Kinds that are looked through where none is named.
pub const USUAL: [Kind; 8] = [
    Kind::Host,
    Kind::Item,
    Kind::Network,
    Kind::Zone,
    Kind::Application,
    Kind::Environment,
    Kind::Deployment,
    Kind::Instance,
];

/// A filter that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Term);

#[derive(Clone, Debug, PartialEq)]
enum Term {
    All(Vec<Term>),
    Any(Vec<Term>),
    Not(Box<Term>),
    Compare(String, Comparison, Value),
    In(String, Vec<Value>),
    Exists(String),
    Age(String, Comparison, Span),
    Related(String, String),
}

/// What a filter is asked in.
pub struct Search<'a> {
    cx: Context<'a>,
    graph: OnceLock<Graph>,
}

impl<'a> Search<'a> {
    /// Searches of one world. Relations are worked out once, when the first filter asks for them.
    pub fn new(cx: Context<'a>) -> Search<'a> {
        Search { cx, graph: OnceLock::new() }
    }

    fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| Graph::of(self.cx.world))
    }

    /// Everything a filter lets through, by kind and name.
    pub fn find(&self, filter: &Filter) -> Vec<Candidate<'a>> {
        let passes = |candidate: &Candidate| filter.0.holds(self, candidate);
        let mut found = Vec::new();
        for kind in filter.kinds() {
            if kind == Kind::Item {
                // What was merged into another is found as the other.
                let stand = self.cx.world.lines().filter(|(_, line)| line.stands);
                let lines: Vec<(&'a String, &'a Line)> = stand.collect();
                let line = |(name, line): &(&'a String, &'a Line)| Candidate::Line(name, line);
                found.extend(sift(&lines, |one| Some(line(one)).filter(passes)));
            } else {
                let all: Vec<Any> = self.cx.world.after(kind, "").collect();
                let whole = |any: &Any| Candidate::Whole(any.clone());
                found.extend(sift(&all, |any| Some(whole(any)).filter(passes)));
            }
        }
        found
    }

    fn related(&self, any: &Any, relation: &str, to: &str) -> bool {
        let own = id(any.kind(), any.name());
        match relation {
            "drifts" => {
                let prefix = Drift::prefix(&own);
                let mut all = self.cx.world.derived::<Drift>(&prefix);
                all.any(|drift| to.is_empty() || drift.spec.attribute == to)
            }
            "runs" => self.runs(any, to),
            _ => self.graph().leads(&own, relation).any(|end| end == to),
        }
    }

    /// Whether something of an application, a deployment, an environment or a release runs there.
    fn runs(&self, any: &Any, what: &str) -> bool {
        let world = self.cx.world;
        let Any::Host(host) = any else { return false };
        world.instances_on(host.name()).any(|instance| {
            let spec = &instance.spec;
            let (application, environment) =
                spec.deployment.split_once('.').unwrap_or((&spec.deployment, ""));
            match what.split_once('/') {
                Some(("application" | "app", name)) => name == application,
                Some(("environment" | "env", name)) => name == environment,
                Some(("deployment" | "deploy", name)) => name == spec.deployment,
                Some(("release" | "rel", name)) => name == spec.release,
                Some(("instance" | "inst", name)) => name == instance.name(),
                _ => false,
            }
        })
    }
}

/// What of a list passes, in its order.
fn sift<T: Sync, F: Send>(all: &[T], passes: impl Fn(&T) -> Option<F> + Sync) -> Vec<F> {
    // What takes the time is to fetch the objects from memory, which two can do at once.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_AT_ONCE);
    let part = all.len().div_ceil(threads).max(FEW);
    let passes = &passes;
    let sift = move |part: &[T]| part.iter().filter_map(passes).collect::<Vec<F>>();
    std::thread::scope(|scope| {
        let mut parts = all.chunks(part);
        let own = parts.next().unwrap_or_default();
        let others: Vec<_> = parts.map(|part| scope.spawn(move || sift(part))).collect();
        let mut found = sift(own);
        for other in others {
            match other.join() {
                Ok(more) => found.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    })
}

impl Filter {
    /// Reads a filter. An empty one lets everything through.
    ///
    /// # Errors
    /// Where it is wrong, and what was expected.
    pub fn parse(text: &str) -> Result<Filter, Reason> {
        let wrong = |(at, message): (usize, String)| {
            let at = text[..at.min(text.len())].chars().count() + 1;
            Reason::new("filter", format!("at character {at}: {message}"))
                .hint("write it like: kind = host and memory > 8Gi and runs(application/shop)")
        };
        if text.len() > LONGEST {
            return Err(wrong((LONGEST, format!("a filter has at most {LONGEST} characters"))));
        }
        let term = parse::term(text).map_err(wrong)?;
        match term.unknown_kind() {
            Some(kind) => {
                let hint = "the kinds there are: atoll get --help; an item's own is its type";
                Err(Reason::new("filter", format!("there is no kind {kind}")).hint(hint))
            }
            None => Ok(Filter(term)),
        }
    }

    /// The kinds that can pass: those it names, or the usual ones. Secrets and tokens never do.
    pub fn kinds(&self) -> Vec<Kind> {
        let named = self.0.kinds();
        let all = named.unwrap_or_else(|| USUAL.to_vec()).into_iter();
        all.filter(|kind| !matches!(kind, Kind::Token | Kind::Secret)).collect()
    }

    /// Whether an object passes. What is not there is not equal to anything, nor more or less.
    pub fn matches(&self, search: &Search, any: &Any) -> bool {
        self.0.holds(search, &Candidate::Whole(any.clone()))
    }
}

impl Term {
    /// What is named as a kind, and is none.
    fn unknown_kind(&self) -> Option<String> {
        let unknown = |value: &Value| match value.as_str() {
            Some(text) => Kind::parse(text).is_none().then(|| text.to_owned()),
            None => Some(value.to_string()),
        };
        match self {
            Term::All(terms) | Term::Any(terms) => terms.iter().find_map(Term::unknown_kind),
            Term::Not(term) => term.unknown_kind(),
            Term::Compare(path, Comparison::Is | Comparison::IsNot, value) if path == "kind" => {
                unknown(value)
            }
            Term::In(path, values) if path == "kind" => values.iter().find_map(unknown),
            _ => None,
        }
    }

    fn kinds(&self) -> Option<Vec<Kind>> {
        let read = |value: &Value| value.as_str().and_then(Kind::parse);
        match self {
            Term::Compare(path, Comparison::Is, value) if path == "kind" => {
                Some(read(value).into_iter().collect())
            }
            Term::In(path, values) if path == "kind" => {
                Some(values.iter().filter_map(read).collect())
            }
            Term::Compare(path, Comparison::Is, _) if path == "type" => Some(vec![Kind::Item]),
            Term::All(terms) => terms.iter().find_map(Term::kinds),
            Term::Any(terms) => {
                let each: Option<Vec<Vec<Kind>>> = terms.iter().map(Term::kinds).collect();
                let mut all: Vec<Kind> = each?.into_iter().flatten().collect();
                all.sort();
                all.dedup();
                Some(all)
            }
            _ => None,
        }
    }

    fn holds(&self, search: &Search, thing: &Candidate) -> bool {
        match self {
            Term::All(terms) => terms.iter().all(|term| term.holds(search, thing)),
            Term::Any(terms) => terms.iter().any(|term| term.holds(search, thing)),
            Term::Not(term) => !term.holds(search, thing),
            Term::Compare(path, how, wanted) if path == "kind" => {
                let same = wanted.as_str().and_then(Kind::parse) == Some(thing.kind());
                same != (*how == Comparison::IsNot)
            }
            Term::Compare(path, how, wanted) => match search.told(thing, path) {
                Some(told) => told.is(*how, wanted),
                None => *how == Comparison::IsNot,
            },
            Term::In(path, values) if path == "kind" => {
                let kinds = values.iter().map(|wanted| wanted.as_str().and_then(Kind::parse));
                kinds.flatten().any(|kind| kind == thing.kind())
            }
            Term::In(path, values) => search
                .told(thing, path)
                .is_some_and(|told| values.iter().any(|wanted| told.is(Comparison::Is, wanted))),
            Term::Exists(path) => {
                let no = |told: &Told| matches!(told, Told::Value(value) if **value == false);
                search.told(thing, path).is_some_and(|told| !no(&told))
            }
            Term::Age(path, how, span) => {
                let told = search.told(thing, path);
                let at = told.as_ref().and_then(Told::as_str);
                let at = at.and_then(|text| text.parse::<Timestamp>().ok());
                at.is_some_and(|at| {
                    let age = Value::from(search.cx.now.since(at).0);
                    how.holds(&age, &Value::from(span.0))
                })
            }
            Term::Related(relation, to) => search.related(&thing.whole(), relation, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::{Host, Item, Object};
    use serde_json::json;

    use super::*;
    use crate::Measurements;
    use crate::testing::{instance, world};

    fn names(filter: &str) -> Vec<String> {
        let mut a = Object::new("a", Host::default());
        a.meta.labels.insert("zone".to_owned(), "east".to_owned());
        let b = Object::new("b", Host { cordon: true, ..Host::default() });
        let item = |name: &str, attributes: Value| {
            let attributes = serde_json::from_value(attributes).unwrap();
            let of = "rack".to_owned();
            Any::Item(Arc::new(Object::new(name, Item { of, attributes, ..Item::default() })))
        };
        let world = world([
            Any::Host(Arc::new(a)),
            Any::Host(Arc::new(b)),
            instance("shop.prod.0", "a"),
            item("r1", json!({ "units": 42, "site": "fra", "power": "2Ki" })),
            item("r2", json!({ "units": 12, "site": "muc", "tags": ["x", "y"] })),
        ]);
        let measured = Measurements::default();
        let search =
            Search::new(Context { world: &world, measured: &measured, now: Timestamp(60_000) });
        let filter = Filter::parse(filter).unwrap();
        search.find(&filter).iter().map(|found| found.name().to_owned()).collect()
    }

    #[test]
    fn filters_find_what_they_say() {
        let cases: [(&str, &[&str]); 16] = [
            ("kind = host", &["a", "b"]),
            ("kind = hosts and zone = east", &["a"]),
            ("kind = host and not cordon", &["a"]),
            ("kind = host and spec.cordon = true", &["b"]),
            ("runs(application/shop)", &["a"]),
            ("type = rack and units > 20", &["r1"]),
            ("type = rack and (site = muc or power >= 2Ki)", &["r1", "r2"]),
            ("type=rack and site in (muc, \"ber\")", &["r2"]),
            ("type = rack and tags = y", &["r2"]),
            ("type = rack and power exists", &["r1"]),
            ("type = rack and site != fra", &["r2"]),
            ("kind = instance and in(zone/east)", &[]),
            ("kind = host and in(zone/east)", &["a"]),
            ("kind = instance and runs-on(host/a)", &["shop.prod.0"]),
            ("name ~ r* and units < 20", &["r2"]),
            ("kind = token", &[]),
        ];
        for (filter, expected) in cases {
            assert_eq!(names(filter), expected, "{filter}");
        }
    }

    #[test]
    fn of_very_many_all_are_found_in_their_order() {
        let name = |number: usize| format!("r{number:05}");
        let item = |number: usize| {
            let attributes = [("units".to_owned(), json!(number % 2))].into();
            let spec = Item { of: "rack".to_owned(), attributes, ..Item::default() };
            Any::Item(Arc::new(Object::new(name(number), spec)))
        };
        // More than one thread looks through, the last of them through fewer.
        let all = 2 * FEW + 3;
        let mut world = world([]);
        for number in 0..all {
            world.put(item(number));
        }
        let measured = Measurements::default();
        let search = Search::new(Context { world: &world, measured: &measured, now: Timestamp(0) });
        let found = search.find(&Filter::parse("type = rack and units = 1").unwrap());
        let names: Vec<&str> = found.iter().map(Candidate::name).collect();
        let expected: Vec<String> = (0..all).filter(|n| n % 2 == 1).map(name).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn what_is_merged_is_found_as_the_other() {
        let item = |name: &str, attributes: Value, merged_into: Option<&str>| {
            let attributes = serde_json::from_value(attributes).unwrap();
            let merged_into = merged_into.map(str::to_owned);
            let of = "rack".to_owned();
            let spec = Item { of, attributes, merged_into, ..Item::default() };
            Any::Item(Arc::new(Object::new(name, spec)))
        };
        let world = world([
            item("r1", json!({ "units": 42 }), None),
            item("r2", json!({ "room": "fra" }), Some("r1")),
        ]);
        let measured = Measurements::default();
        let search = Search::new(Context { world: &world, measured: &measured, now: Timestamp(0) });
        let filter = Filter::parse("type = rack and room = fra").unwrap();
        let found: Vec<String> =
            search.find(&filter).iter().map(|found| found.name().to_owned()).collect();
        assert_eq!(found, ["r1"]);
    }

    #[test]
    fn what_is_wrong_is_said_where() {
        let cases = [
            ("kind =", "at character 7: expected a value, found the end"),
            ("kind = hots or name = a", "there is no kind hots"),
            ("not kind in (host, rack)", "there is no kind rack"),
            ("(kind = host", "at character 13: expected ), found the end"),
            (
                "kind = host memory > 1",
                "at character 13: expected and, or, or the end, found \"memory\"",
            ),
            ("name = \"x", "at character 8: a quote is not closed"),
            ("a && b", "at character 3: '&' is not known; write and, or, not, !="),
            ("runs(shop)", "at character 6: runs(…) takes KIND/NAME, as in runs(application/shop)"),
            ("age(status.since) > soon", "at character 21: expected a span like 5m"),
            ("and", "at character 1: expected a path like os.name, found \"and\""),
        ];
        for (filter, expected) in cases {
            assert_eq!(Filter::parse(filter).unwrap_err().message, expected, "{filter}");
        }
        let deep = format!("{}a{}", "(".repeat(100), ")".repeat(100));
        assert!(Filter::parse(&deep).unwrap_err().message.contains("deeper"));
        assert!(Filter::parse(&"x".repeat(5_000)).is_err());
        assert!(Filter::parse("").is_ok());
    }
}
