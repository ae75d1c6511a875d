//! Should, is and used: for each attribute of a host or an item what it should be, what sources say
//! it is, which of them is believed, and what consumers met who relied on it.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::cmdb::HostPhase;
use atoll_model::cmdb::item::{Authority, Observed, Used};
use atoll_model::cmdb::view::{Attribute, Standing};
use atoll_model::{Host, Item, ItemType, Object, Snapshot, Span, Timestamp};
use serde_json::Value;

use super::identity::says_nothing;
use super::{compare, facts};
use crate::Context;

/// A failure nobody has met again for this long is over.
pub(crate) const EVIDENCE_LIFE: Span = Span::seconds(900);
/// What a host that is not heard from said last is stale after this time.
const HOST_STALE: Span = Span::seconds(3_600);

/// The attributes of a host that somebody expects something of, or relied on.
pub fn of_host(cx: &Context, host: &Object<Host>) -> Vec<Attribute> {
    let used = &host.status.used;
    let names: BTreeSet<&String> = host.spec.expect.keys().chain(used.keys()).collect();
    let heard = cx.measured.last_heard.get(host.name()).copied().or(host.status.last_seen);
    let lost = host.status.phase == HostPhase::Unknown;
    let silent = lost && heard.is_none_or(|at| cx.now.since(at) >= HOST_STALE);
    let one = |name: &String| {
        let found = facts::lookup(cx.world, host.name(), name);
        let is = found.map(|(value, at)| {
            let seen = if lost { heard.unwrap_or(at) } else { cx.now };
            let source = format!("agent/{}", host.name());
            (Observed { value, source, at }, silent, seen)
        });
        let used = used.get(name).filter(|used| counts(used, cx.now));
        judged(name, host.spec.expect.get(name), is.into_iter().collect(), used)
    };
    names.into_iter().map(one).collect()
}

/// The attributes of an item: of those that were merged into it as well.
pub fn of_item(cx: &Context, item: &Object<Item>) -> Vec<Attribute> {
    let class = cx.world.get::<ItemType>(&item.spec.of);
    let all = records(cx.world, item);
    let mut names: BTreeSet<&String> = BTreeSet::new();
    for record in &all {
        names.extend(record.spec.attributes.keys());
        names.extend(record.status.seen.keys().chain(record.status.used.keys()));
    }
    let one = |name: &String| {
        let seen = all.iter().filter_map(|record| record.status.seen.get(name)).flatten();
        let authority = class.and_then(|class| class.spec.authority.get(name));
        let usual = class.map_or(Span::seconds(7 * 86_400), |class| class.spec.stale_after);
        let junk = class.map_or(&[][..], |class| class.spec.junk.as_slice());
        let is = ranked(seen.cloned().collect(), authority, usual, junk, cx.now);
        let should = all.iter().find_map(|record| record.spec.attributes.get(name));
        let used = all.iter().filter_map(|record| record.status.used.get(name));
        let used = used.filter(|used| counts(used, cx.now));
        judged(name, should, is, used.max_by_key(|used| used.at))
    };
    names.into_iter().map(one).collect()
}

/// An item, and those that were merged into it.
pub(crate) fn records<'a>(world: &'a Snapshot, item: &'a Object<Item>) -> Vec<&'a Object<Item>> {
    let merged = world.merged_into(item.name()).map(|other| &**other);
    [item].into_iter().chain(merged).collect()
}

/// What sources say, the one that is believed first.
///
/// **Invariant:** what says nothing, and a source that has gone stale, are believed only where no
/// other is left, whatever their authority; of two with the same authority, and of two that are
/// stale, the later word counts.
fn ranked(
    seen: Vec<Observed>,
    authority: Option<&Authority>,
    usual: Span,
    junk: &[String],
    now: Timestamp,
) -> Vec<(Observed, bool, Timestamp)> {
    let stale_after = authority.and_then(|a| a.stale_after).unwrap_or(usual);
    let rank = |source: &str| {
        let sources = authority.map_or(&[][..], |a| a.sources.as_slice());
        sources.iter().position(|known| is_of(source, known)).unwrap_or(sources.len())
    };
    let mut all: Vec<(Observed, bool, Timestamp)> = seen
        .into_iter()
        .map(|said| {
            let stale = now.since(said.at) >= stale_after;
            let at = said.at;
            (said, stale, at)
        })
        .collect();
    all.sort_by(|(a, a_stale, _), (b, b_stale, _)| {
        let key = |said: &Observed, stale: bool| {
            let empty = said.value.as_str().is_some_and(|text| says_nothing(text, junk));
            // Once a word is old its source vouches for nothing: what was taken up from the next
            // when the first went stale is not given up again when that one does.
            let rank = if stale { 0 } else { rank(&said.source) };
            (empty, stale, rank, -said.at.0)
        };
        key(a, *a_stale).cmp(&key(b, *b_stale))
    });
    all
}

/// Whether what a consumer met still says something.
fn counts(used: &Used, now: Timestamp) -> bool {
    used.works || now.since(used.at) < EVIDENCE_LIFE
}

/// `import` names every import, `import/dc.csv` one.
fn is_of(source: &str, known: &str) -> bool {
    source.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn judged(
    name: &str,
    should: Option<&Value>,
    is: Vec<(Observed, bool, Timestamp)>,
    used: Option<&Used>,
) -> Attribute {
    let believed = is.first().cloned();
    let recorded = should.or(believed.as_ref().map(|(said, _, _)| &said.value));
    // What was met with another value says nothing of the one that is recorded now; and what was
    // looked at again since then and found to be another is no longer what failed.
    let used = used.filter(|used| recorded.is_some_and(|now| compare::satisfies(&used.value, now)));
    let standing = match (should, &believed) {
        _ if used.is_some_and(|used| !used.works) => Standing::Unusable,
        (Some(_), None) => Standing::Unseen,
        (_, Some((_, true, _))) => Standing::Stale,
        (Some(should), Some((said, ..))) if !compare::satisfies(&said.value, should) => {
            Standing::Differs
        }
        (None, _) => Standing::Undeclared,
        _ => Standing::Agrees,
    };
    Attribute {
        name: name.to_owned(),
        should: should.cloned(),
        is: is.iter().map(|(said, ..)| said.clone()).collect(),
        seen: believed.map(|(.., seen)| seen),
        used: used.cloned(),
        standing,
    }
}

/// What each attribute of an item is taken to be: what it should be, or else what is believed.
pub fn effective(cx: &Context, item: &Object<Item>) -> BTreeMap<String, Value> {
    let value = |attribute: Attribute| {
        let believed = attribute.is.into_iter().next().map(|said| said.value);
        Some((attribute.name, attribute.should.or(believed)?))
    };
    of_item(cx, item).into_iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(value: &str, source: &str, at: i64) -> Observed {
        Observed { value: json!(value), source: source.to_owned(), at: Timestamp(at) }
    }

    #[test]
    fn a_stale_source_hands_over_to_the_next() {
        let sources = vec!["agent".to_owned(), "import".to_owned()];
        let authority = Authority { sources, stale_after: Some(Span::seconds(10)) };
        let believed = |now: i64| {
            let seen = vec![said("old", "import/a.csv", 5_000), said("new", "agent/h1", 1_000)];
            let all = ranked(seen, Some(&authority), Span::seconds(60), &[], Timestamp(now));
            let (first, stale, _) = all[0].clone();
            (first.value, stale)
        };
        assert_eq!(believed(6_000), (json!("new"), false), "the agent is believed");
        assert_eq!(believed(12_000), (json!("old"), false), "the agent has gone stale");
        assert_eq!(believed(30_000), (json!("old"), true), "both have; the later word stays");
    }

    #[test]
    fn what_makers_leave_in_is_passed_over() {
        let sources = vec!["agent".to_owned(), "import".to_owned()];
        let authority = Authority { sources, stale_after: None };
        let first = |agent: &str, import: &str| {
            let seen = vec![said(agent, "agent/h1", 1), said(import, "import/a.csv", 0)];
            let junk = ["tbd".to_owned()];
            let now = Timestamp(2);
            ranked(seen, Some(&authority), Span::seconds(60), &junk, now)[0].0.value.clone()
        };
        assert_eq!(first("Default string", "R740"), json!("R740"));
        assert_eq!(first("TBD", "R740"), json!("R740"), "junk of the class");
        assert_eq!(first("7", "12"), json!("7"), "short is not empty");
        assert_eq!(first("none", "unknown"), json!("none"), "nothing else is left");
    }

    #[test]
    fn standings_are_judged_from_the_three_columns() {
        let now = || vec![(said("a", "scan", 0), false, Timestamp(0))];
        let standing = |should: Option<&str>, used: Option<bool>| {
            let used = used.map(|works| Used {
                value: json!("a"),
                consumer: "monitor/m".to_owned(),
                works,
                message: String::new(),
                at: Timestamp(1),
            });
            judged("x", should.map(|s| json!(s)).as_ref(), now(), used.as_ref()).standing
        };
        assert_eq!(standing(Some("a"), None), Standing::Agrees);
        assert_eq!(standing(Some("b"), None), Standing::Differs);
        assert_eq!(standing(None, None), Standing::Undeclared);
        assert_eq!(standing(Some("a"), Some(false)), Standing::Unusable);
        assert_eq!(standing(None, Some(false)), Standing::Unusable, "what is seen was relied on");
        assert_eq!(standing(Some("b"), Some(false)), Standing::Differs, "it met another value");
        let unseen = judged("x", Some(&json!("a")), Vec::new(), None);
        assert_eq!(unseen.standing, Standing::Unseen);
    }
}
