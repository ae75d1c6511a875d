//! Records of things that come from elsewhere: imported as what should be, or noted as what a
//! source has seen. Each is matched with what is known by the rules of its class, and why is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::cmdb::item::{MOST_SOURCES, Match, Observed};
use atoll_model::cmdb::view::{Record, Records};
use atoll_model::{Any, Intent, Item, ItemType, Object, Reason, Span, Write, name};
use serde_json::Value;

use super::identity::{Found, Index};
use crate::{Context, Plan};

/// So many records are taken at once.
pub const MOST_RECORDS: usize = 20_000;
/// So many reasons are told of one import.
const TOLD: usize = 20;
/// So many matches of one item are kept.
const MOST_MATCHES: usize = 32;

/// A record, and the item it is of: one that is known, or a new one of this name.
struct Placed<'r> {
    record: &'r Record,
    item: String,
    is_new: bool,
    reason: Match,
}

/// What should be, from a table: one item for each record, created or changed. Attributes a record
/// does not have stay as they are.
///
/// # Errors
/// There is no such class, too many records, or two of one item.
pub fn import(cx: &Context, records: &Records) -> Result<Plan, Vec<Reason>> {
    let mut plan = Plan::new(Intent::Edit);
    for placed in all_placed(cx, records)? {
        let mut new = known_or_new(cx, records, &placed);
        let before = (new.spec.clone(), new.meta.clone());
        new.spec.attributes.extend(placed.record.attributes.clone());
        new.spec.attributes.retain(|_, value| !value.is_null());
        new.spec.relations.extend(placed.record.relations.clone());
        new.meta.labels.extend(placed.record.labels.clone());
        new.meta.annotations.extend(placed.record.annotations.clone());
        new.spec.owner = placed.record.owner.clone().or(new.spec.owner);
        let Match { key, explanation, .. } = &placed.reason;
        if placed.is_new || (&new.spec, &new.meta) != (&before.0, &before.1) {
            new.meta.generation += u64::from(!placed.is_new);
            let message = format!("{key:?} is item/{}: {explanation}", placed.item);
            plan.reasons.push(Reason::new("matched", message));
            plan.writes.push(Write::Put(Any::Item(Arc::new(new))));
        }
    }
    // They are kept with every item that is written.
    let more = plan.reasons.len().saturating_sub(TOLD);
    if more > 0 {
        plan.reasons.truncate(TOLD);
        let message = format!("and {more} more, of which each item says how it was found");
        plan.reasons.push(Reason::new("matched", message));
    }
    Ok(plan)
}

/// What a source has seen. Only words that are new, or renewed after a good part of the time after
/// which they would be stale, are written.
///
/// # Errors
/// As [`import`].
pub fn observe(cx: &Context, records: &Records) -> Result<Plan, Vec<Reason>> {
    let mut plan = Plan::new(Intent::Observe);
    let class = class(cx, records)?;
    let renew = Span(class.spec.stale_after.0 / 4);
    for placed in all_placed(cx, records)? {
        let mut new = known_or_new(cx, records, &placed);
        let mut changed = placed.is_new;
        for (key, value) in &placed.record.attributes {
            let seen = new.status.seen.entry(key.clone()).or_default();
            let said = seen.iter().position(|said| said.source == records.source);
            let word =
                Observed { value: value.clone(), source: records.source.clone(), at: cx.now };
            match said {
                Some(at) if !is_news(cx, &seen[at], value, renew) => continue,
                Some(at) => seen[at] = word,
                None if seen.len() < MOST_SOURCES => seen.push(word),
                None => {
                    let message = format!("item/{}: {key} has {MOST_SOURCES} sources", placed.item);
                    plan.reasons.push(Reason::new("too-many-sources", message));
                    continue;
                }
            }
            changed = true;
        }
        changed |= keep(&mut new.status.matches, placed.reason);
        if changed {
            plan.writes.push(Write::Put(Any::Item(Arc::new(new))));
        }
    }
    Ok(plan)
}

/// Whether a word of a source says more than it did, or is to be renewed.
fn is_news(cx: &Context, said: &Observed, value: &Value, renew: Span) -> bool {
    said.value != *value || cx.now.since(said.at) >= renew
}

/// Only why records were matched, kept in the items after an import. What cannot be told any more
/// is left out: the import is done.
///
/// # Errors
/// There is no such class, or too many records.
pub fn remember(cx: &Context, records: &Records) -> Result<Plan, Vec<Reason>> {
    let mut plan = Plan::new(Intent::Observe);
    let (placed, _) = place(cx, records, true)?;
    for placed in placed.into_iter().filter(|placed| !placed.is_new) {
        let mut new = known_or_new(cx, records, &placed);
        if keep(&mut new.status.matches, placed.reason) {
            plan.writes.push(Write::Put(Any::Item(Arc::new(new))));
        }
    }
    Ok(plan)
}

/// Keeps a match; the first of a key stays, whatever is found later.
fn keep(matches: &mut Vec<Match>, found: Match) -> bool {
    let same = |known: &Match| (&known.source, &known.key) == (&found.source, &found.key);
    if matches.iter().any(same) || matches.len() >= MOST_MATCHES {
        return false;
    }
    matches.push(found);
    true
}

fn class<'a>(
    cx: &Context<'a>,
    records: &Records,
) -> Result<&'a Arc<Object<ItemType>>, Vec<Reason>> {
    let missing = || {
        let reason = Reason::new("missing", format!("there is no itemtype/{}", records.of));
        vec![reason.hint("apply it first; see atoll schema ItemType")]
    };
    cx.world.get::<ItemType>(&records.of).ok_or_else(missing)
}

/// Every record with its item; none, where two are of one.
fn all_placed<'r>(cx: &Context, records: &'r Records) -> Result<Vec<Placed<'r>>, Vec<Reason>> {
    let (placed, wrong) = place(cx, records, false)?;
    if wrong.is_empty() { Ok(placed) } else { Err(wrong) }
}

/// Each record with the item it is of, and those that are of the item of another record. A record
/// is compared with those before it as with what is known. `again`, the records were imported just
/// now: those whose names became one have taken the numbered names one after the other.
fn place<'r>(
    cx: &Context,
    records: &'r Records,
    again: bool,
) -> Result<(Vec<Placed<'r>>, Vec<Reason>), Vec<Reason>> {
    let class = class(cx, records)?;
    let mut wrong = Vec::new();
    if records.records.len() > MOST_RECORDS {
        let message =
            format!("{} records; at most {MOST_RECORDS} are taken at once", records.records.len());
        return Err(vec![Reason::new("too-many", message).hint("hand them in in parts")]);
    }
    if records.source.is_empty() {
        return Err(vec![Reason::new("invalid", "source: is empty; say who says so")]);
    }
    let (mut index, none) = (Index::of(cx.world, class), BTreeMap::new());
    let mut placed: Vec<Placed> = Vec::new();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for record in &records.records {
        let Found { item, mut reason } =
            index.resolve(&records.source, &record.key, &record.attributes, cx.now);
        let by_name = || named(cx, records, record, if again { &taken } else { &none });
        let known = item.or_else(by_name);
        if let Some((item, other)) = known.as_ref().and_then(|item| taken.get_key_value(item)) {
            wrong.push(twice(&placed[*other], record, item));
            continue;
        }
        let (item, is_new) = match known {
            Some(item) => (item, false),
            None => (free_name(cx, &record.key, &taken), true),
        };
        if reason.rule == "new" && !is_new {
            reason.rule = "name".to_owned();
            reason.explanation = format!("it is called so here as well; {}", reason.explanation);
        }
        taken.insert(item.clone(), placed.len());
        let merged = cx.world.get::<Item>(&item).and_then(|item| item.spec.merged_into.as_deref());
        index.take(&item, merged, &records.source, record);
        placed.push(Placed { record, item, is_new, reason });
    }
    Ok((placed, wrong))
}

/// Two records of one item.
fn twice(other: &Placed, record: &Record, item: &str) -> Reason {
    let are = if other.is_new { "would both be" } else { "are both of" };
    let message = format!("records {:?} and {:?} {are} item/{item}", other.record.key, record.key);
    Reason::new("duplicate", message).hint(
        "two things with one identity: correct the source, or add what tells them apart to the \
         class's rules",
    )
}

/// The item of this very name, or of the next numbered one that is not taken, should it be of the
/// class.
fn named(
    cx: &Context,
    records: &Records,
    record: &Record,
    taken: &BTreeMap<String, usize>,
) -> Option<String> {
    let name = names(&record.key).find(|name| !taken.contains_key(name))?;
    let item = cx.world.get::<Item>(&name)?;
    (item.spec.of == records.of).then_some(name)
}

/// A name made of what the source calls it, that nobody has.
fn free_name(cx: &Context, key: &str, taken: &BTreeMap<String, usize>) -> String {
    let free = |name: &String| cx.world.get::<Item>(name).is_none() && !taken.contains_key(name);
    names(key).find(free).unwrap_or_else(|| slug(key))
}

/// The names something may have here that its source calls so: the plain one, then numbered ones.
fn names(key: &str) -> impl Iterator<Item = String> {
    let numbered = slug(key);
    let same = name::check_simple(key).is_ok().then(|| key.to_owned());
    [same.unwrap_or_else(|| numbered.clone())]
        .into_iter()
        .chain((2..).map(move |n: u32| format!("{numbered}-{n}")))
}

fn slug(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let word: String = key.chars().map(plain).take(name::LONGEST - 8).collect();
    let word = word.trim_matches('-');
    if word.is_empty() { "item".to_owned() } else { word.to_owned() }
}

fn known_or_new(cx: &Context, records: &Records, placed: &Placed) -> Object<Item> {
    match cx.world.get::<Item>(&placed.item) {
        Some(item) => Object::clone(item),
        None => {
            let spec = Item { of: records.of.clone(), ..Item::default() };
            let mut new = Object::new(placed.item.as_str(), spec);
            (new.meta.generation, new.meta.created_at) = (1, Some(cx.now));
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::cmdb::item::IdentityRule;
    use atoll_model::{Snapshot, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::testing::world;
    use crate::{Measurements, follow};

    fn start() -> Snapshot {
        let serial = IdentityRule {
            name: "serial".to_owned(),
            attributes: vec!["serial".to_owned()],
            weak: false,
        };
        let spec = ItemType {
            identity: vec![serial],
            stale_after: atoll_model::Span::seconds(40),
            ..ItemType::default()
        };
        world([Any::ItemType(Arc::new(Object::new("disk", spec)))])
    }

    fn records(source: &str, rows: &[(&str, Value)]) -> Records {
        let record = |(key, attributes): &(&str, Value)| Record {
            key: (*key).to_owned(),
            attributes: serde_json::from_value(attributes.clone()).unwrap(),
            ..Record::default()
        };
        let records = rows.iter().map(record).collect();
        Records { of: "disk".to_owned(), source: source.to_owned(), records }
    }

    type Planner = fn(&Context, &Records) -> Result<Plan, Vec<Reason>>;

    fn run(world: &mut Snapshot, planner: Planner, at: i64, records: &Records) -> Vec<String> {
        let measured = Measurements::default();
        let cx = Context { world, measured: &measured, now: Timestamp(at) };
        match planner(&cx, records) {
            Ok(plan) => {
                plan.writes.iter().for_each(|write| drop(follow::apply(world, write)));
                plan.writes.iter().map(|write| write.name().to_owned()).collect()
            }
            Err(reasons) => reasons.into_iter().map(|reason| reason.message).collect(),
        }
    }

    #[test]
    fn what_is_known_is_changed_and_what_is_not_is_made() {
        let mut world = start();
        let first = records("import/a", &[("Disk 1", json!({ "serial": "S1", "size": 1 }))]);
        assert_eq!(run(&mut world, import, 0, &first), ["disk-1"]);
        assert_eq!(run(&mut world, import, 0, &first), Vec::<String>::new(), "nothing new");
        let other = records("import/b", &[("other", json!({ "serial": "s1", "size": 2 }))]);
        assert_eq!(run(&mut world, import, 0, &other), ["disk-1"], "it has the same serial");
        let none = records("import/c", &[("third", json!({ "serial": "n/a" }))]);
        assert_eq!(run(&mut world, import, 0, &none), ["third"]);
        assert_eq!(run(&mut world, remember, 0, &none), ["third"]);
        let both = records(
            "import/d",
            &[("x", json!({ "serial": "S1" })), ("y", json!({ "serial": "S1" }))],
        );
        let said = run(&mut world, import, 0, &both);
        assert_eq!(said, ["records \"x\" and \"y\" are both of item/disk-1"]);
    }

    #[test]
    fn records_of_one_thing_are_told_before_anything_is_written() {
        let mut world = start();
        let key = records("import/a", &[("X", json!({ "site": 1 })), ("X", json!({ "site": 2 }))]);
        let said = ["records \"X\" and \"X\" would both be item/x"];
        assert_eq!(run(&mut world, import, 0, &key), said);
        let rows = [("a", json!({ "serial": "S1" })), ("b", json!({ "serial": "s1" }))];
        let said = ["records \"a\" and \"b\" would both be item/a"];
        for planner in [import as Planner, observe] {
            assert_eq!(run(&mut world, planner, 0, &records("scan", &rows)), said);
        }
        assert_eq!(world.all::<Item>().count(), 0);
        // One that is known by its name, and a new one that shows the serial number it gets.
        run(&mut world, import, 0, &records("import/b", &[("a", json!({ "serial": "n/a" }))]));
        let said = run(&mut world, import, 0, &records("import/c", &rows));
        assert_eq!(said, ["records \"a\" and \"b\" are both of item/a"]);
    }

    #[test]
    fn a_record_of_an_item_that_was_brings_it_back_whole() {
        let mut world = start();
        let name = "a".repeat(name::LONGEST);
        let told = |word: &str| BTreeMap::from([("site".to_owned(), word.to_owned())]);
        let record = Record {
            key: name.clone(),
            owner: Some("team/dc".to_owned()),
            labels: told("fra"),
            annotations: told("row 3"),
            relations: BTreeMap::from([("in".to_owned(), vec!["zone/a".to_owned()])]),
            ..Record::default()
        };
        let (of, source) = ("disk".to_owned(), "import/a".to_owned());
        let mut all = Records { of, source, records: vec![record] };
        assert_eq!(run(&mut world, import, 0, &all), [name.as_str()], "it keeps its name");
        let item = world.get::<Item>(&name).unwrap();
        assert_eq!(item.spec.owner.as_deref(), Some("team/dc"));
        assert_eq!((&item.meta.labels, &item.meta.annotations), (&told("fra"), &told("row 3")));
        assert_eq!(item.spec.relations["in"], ["zone/a"]);
        assert_eq!(run(&mut world, import, 0, &all), Vec::<String>::new(), "nothing new");
        all.records[0].labels = told("muc");
        assert_eq!(run(&mut world, import, 0, &all), [name.as_str()]);
        (all.records[0].owner, all.records[0].labels) = (None, BTreeMap::new());
        assert_eq!(
            run(&mut world, import, 0, &all),
            Vec::<String>::new(),
            "silence changes nothing"
        );
    }

    #[test]
    fn names_that_become_one_are_remembered_each_for_itself() {
        let mut world = start();
        let rows = records("import/a", &[("Rack 1", json!({})), ("rack/1", json!({}))]);
        assert_eq!(run(&mut world, import, 0, &rows), ["rack-1", "rack-1-2"]);
        assert_eq!(run(&mut world, remember, 0, &rows), ["rack-1", "rack-1-2"]);
        let moved = records("import/a", &[("rack/1", json!({ "row": 2 }))]);
        assert_eq!(run(&mut world, import, 0, &moved), ["rack-1-2"], "it is known by its name");
        assert_eq!(run(&mut world, import, 0, &rows), Vec::<String>::new());
    }

    #[test]
    fn a_source_that_says_the_same_again_writes_seldom() {
        let mut world = start();
        let seen = records("scan", &[("sda", json!({ "serial": "S1", "size": 1 }))]);
        assert_eq!(run(&mut world, observe, 0, &seen), ["sda"]);
        assert_eq!(run(&mut world, observe, 5_000, &seen), Vec::<String>::new());
        assert_eq!(run(&mut world, observe, 10_000, &seen), ["sda"], "a quarter has passed");
        let moved = records("scan", &[("sda", json!({ "serial": "S1", "size": 2 }))]);
        assert_eq!(run(&mut world, observe, 11_000, &moved), ["sda"]);
        let item = world.get::<Item>("sda").unwrap();
        assert_eq!(item.status.seen["size"][0].value, json!(2));
        assert!(item.spec.attributes.is_empty(), "what is seen is not what should be");
        assert_eq!(item.status.matches.len(), 1);
    }
}
