//! `atoll find` and `atoll export`: what a filter lets through, as it is or as it was, to read or
//! for other programs.

use std::collections::{BTreeMap, BTreeSet};

use atoll_client::{Client, Search};
use atoll_model::cmdb::facts::FactsPart;
use atoll_model::{Any, Item, ItemType, Kind, Object, Span, Timestamp};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::args::{Global, Output};
use crate::clock::now;
use crate::columns::inventory::said;
use crate::columns::{Cell, cell};
use crate::commands::sheet;
use crate::csv::{self, Table};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// What `atoll find` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A filter: 'kind = host and os.name = debian and memory > 8Gi and runs(application/shop)'
    #[arg(value_name = "FILTER", default_value = "")]
    filter: String,
    /// As it was then: a time, or a span ago
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Count the values of these paths instead
    #[arg(long, value_name = "PATH,…", value_delimiter = ',')]
    facets: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// Finds.
///
/// # Errors
/// A wrong filter; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let at = args.at.as_deref().map(|text| time(text, now())).transpose()?;
    let search = Search { filter: args.filter, at, ..Search::default() };
    let (client, format) = (global.client()?, args.output.output);
    if !args.facets.is_empty() {
        let search = Search { facets: args.facets, limit: Some(0), ..search };
        let found = client.find(&search).await?;
        let text = output::value(&found.facets, format, || {
            let lines = found.facets.iter().flat_map(|facet| {
                facet.values.iter().map(|value| line(&facet.path, &value.value, value.count))
            });
            output::table(lines.collect(), format == Format::Wide)
        })?;
        output::print(&text)?;
        return Ok(Exit::Done);
    }
    let (items, revision) = client.find_all(&search).await?;
    if items.is_empty() {
        // A name that nothing has is told of, whoever reads the list.
        let notes = client.find(&Search { limit: Some(0), ..search }).await?.notes;
        notes.iter().for_each(|note| output::say(&note.message));
        if format.is_table() {
            output::say("nothing passes the filter");
            return Ok(Exit::Done);
        }
    }
    output::print(&output::list(items, revision, format, now())?)?;
    Ok(Exit::Done)
}

fn line(path: &str, value: &str, count: usize) -> Vec<Cell> {
    vec![cell("PATH", path), cell("VALUE", value), cell("COUNT", count.to_string())]
}

/// A time, or a span before now.
pub fn time(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(span) = text.parse::<Span>() {
        return Ok(now - span);
    }
    text.parse().map_err(|_| {
        Failure::usage(format!(
            "{text:?} is neither a span like 10m nor a time like 2026-11-11T00:00:00Z"
        ))
    })
}

/// How things are written for other programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A table of text
    #[default]
    Csv,
    /// A list of JSON
    Json,
    /// Manifests, to be applied again
    Yaml,
}

/// What `atoll export` takes.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// A filter, as atoll find takes
    #[arg(value_name = "FILTER", default_value = "")]
    filter: String,
    /// As it was then: a time, or a span ago
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// How it is written
    #[arg(short = 'o', long = "output", value_enum, default_value_t, value_name = "FORM")]
    form: Form,
    /// The columns of a CSV [default: of items all there is, as atoll import takes it]
    #[arg(long, value_name = "PATH,…", value_delimiter = ',')]
    columns: Vec<String>,
}

/// Writes.
///
/// # Errors
/// A wrong filter; the client's.
pub async fn export(global: &Global, args: Export) -> anyhow::Result<Exit> {
    let at = args.at.as_deref().map(|text| time(text, now())).transpose()?;
    let search = Search { filter: args.filter, at, ..Search::default() };
    let client = global.client()?;
    let (items, revision) = client.find_all(&search).await?;
    let text = match args.form {
        Form::Csv => csv::write(&sheet_or_table(&client, &items, &args.columns, at).await?),
        Form::Json => output::list(items, revision, Format::Json, now())?,
        Form::Yaml => output::list(items, revision, Format::Yaml, now())?,
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

/// Items whole, as an import takes them again; of anything else, and of columns somebody chose, a
/// table.
async fn sheet_or_table(
    client: &Client,
    items: &[Any],
    columns: &[String],
    at: Option<Timestamp>,
) -> anyhow::Result<Table> {
    let of_items = |any: &Any| match any {
        Any::Item(item) => Some(item.clone()),
        _ => None,
    };
    let all: Option<Vec<_>> = items.iter().map(of_items).collect();
    let Some(all) = all.filter(|_| columns.is_empty()) else {
        let facts = Facts::read(client, items, columns, at).await?;
        return Ok(table(items, columns, &facts));
    };
    let mut types = BTreeMap::new();
    for class in all.iter().map(|item| &item.spec.of).collect::<BTreeSet<_>>() {
        // A class that has gone, or may not be read, has no types: its texts are told by quotes.
        let any = client.get(Kind::ItemType, class).await.ok();
        let schema = any.as_ref().and_then(Any::of::<ItemType>);
        let schema = schema.and_then(|class| class.spec.schema.as_ref());
        types.insert(class.clone(), sheet::types(schema));
    }
    let all: Vec<&Object<Item>> = all.iter().map(|item| &**item).collect();
    Ok(sheet::write(&all, &types))
}

/// What agents have found of hosts: for each host its parts, by their names.
#[derive(Default)]
struct Facts(BTreeMap<String, BTreeMap<String, Value>>);

impl Facts {
    /// The parts of facts the columns of hosts are found in, as they were at a time.
    async fn read(
        client: &Client,
        items: &[Any],
        columns: &[String],
        at: Option<Timestamp>,
    ) -> anyhow::Result<Facts> {
        let mut facts = Facts::default();
        let hosts = items.iter().any(|any| any.kind() == Kind::Host);
        let parts: BTreeSet<&str> = columns.iter().filter_map(|path| part(path)).collect();
        if !hosts || parts.is_empty() {
            return Ok(facts);
        }
        let parts: Vec<&str> = parts.into_iter().collect();
        let filter = format!("kind = facts and part in ({})", parts.join(", "));
        let (found, _) = client.find_all(&Search { filter, at, ..Search::default() }).await?;
        for any in &found {
            facts.take(any);
        }
        Ok(facts)
    }

    fn take(&mut self, any: &Any) {
        let Any::Facts(of) = any else { return };
        let name = of.spec.part.name();
        let data = of.status.data.as_ref().map(|data| json!(data)[name].take());
        let parts = self.0.entry(of.spec.host.clone()).or_default();
        parts.extend(data.map(|data| (name.to_owned(), data)));
    }

    /// The fact at a path, as filters see it.
    fn of(&self, host: &str, path: &str) -> Option<&Value> {
        let name = part(path)?;
        let data = self.0.get(host)?.get(name)?;
        let path = path.strip_prefix("facts.").unwrap_or(path);
        let path = path.strip_prefix("custom.").or(path.strip_prefix("packages.")).unwrap_or(path);
        walk(data, path)
    }
}

/// The part of a host's facts a path leads into; none, where that stands in the host itself.
fn part(path: &str) -> Option<&'static str> {
    let path = path.strip_prefix("facts.").unwrap_or(path);
    let part = match path.split('.').next().unwrap_or_default() {
        "packages" => FactsPart::Packages,
        "disks" | "filesystems" => FactsPart::Storage,
        "interfaces" | "routes" | "resolvers" => FactsPart::Network,
        "custom" => FactsPart::Custom,
        "kind" | "name" | "labels" | "address" | "zone" => return None,
        "metadata" | "spec" | "status" => return None,
        _ => FactsPart::System,
    };
    Some(part.name())
}

/// What stands at a path of keys and numbers of lists; of keys with dots the longest counts.
fn walk<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    let mut ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]).rev();
    ends.find_map(|end| {
        let below = match value {
            Value::Object(map) => map.get(&path[..end])?,
            Value::Array(list) => list.get(path[..end].parse::<usize>().ok()?)?,
            _ => return None,
        };
        walk(below, path[end..].strip_prefix('.').unwrap_or_default())
    })
}

fn table(items: &[Any], columns: &[String], facts: &Facts) -> Table {
    let rows: Vec<Value> = items.iter().map(Any::to_value).collect();
    let titles = match columns.is_empty() {
        false => columns.to_vec(),
        true => ["kind", "name", "labels"].map(str::to_owned).into(),
    };
    let row = |(any, value): (&Any, &Value)| {
        let fact = |path: &str| match any {
            Any::Host(host) if path == "zone" => Some(Value::from(host.zone())),
            Any::Host(host) => facts.of(host.name(), path).cloned(),
            _ => None,
        };
        titles.iter().map(|path| field(value, fact(path).as_ref(), path)).collect()
    };
    Table { rows: items.iter().zip(&rows).map(row).collect(), titles: titles.clone() }
}

/// What stands in a column: an attribute, a fact, or a path below the object, its target or its
/// status.
fn field(value: &Value, fact: Option<&Value>, path: &str) -> String {
    let attribute = value["spec"]["attributes"].get(path);
    let below = || {
        let parts = ["", "/metadata", "/spec", "/status"];
        parts.iter().find_map(|part| walk(value.pointer(part)?, path))
    };
    attribute.or(fact).or_else(below).map(said).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_become_a_table_of_their_attributes() {
        let item = |name: &str, attributes: &str| {
            Any::from_json(&format!(
                r#"{{"apiVersion":"atoll/v1","kind":"Item","metadata":{{"name":"{name}"}},
                "spec":{{"type":"rack","attributes":{attributes}}}}}"#
            ))
            .unwrap()
        };
        let items = [item("r1", r#"{"units":42}"#), item("r2", r#"{"site":"fra, 1"}"#)];
        let none = Facts::default();
        let all: Vec<&Object<Item>> =
            items.iter().filter_map(Any::of::<Item>).map(|item| &**item).collect();
        let text = csv::write(&sheet::write(&all, &BTreeMap::new()));
        assert_eq!(text, "name,type,site,units\r\nr1,rack,,42\r\nr2,rack,\"fra, 1\",\r\n");
        let text = csv::write(&table(&items, &["name".into(), "spec.type".into()], &none));
        assert_eq!(text, "name,spec.type\r\nr1,rack\r\nr2,rack\r\n");
    }

    #[test]
    fn facts_are_columns_of_hosts() {
        let any = |value: Value| Any::from_json(&value.to_string()).unwrap();
        let host = |name: &str| {
            any(json!({
                "apiVersion": "atoll/v1", "kind": "Host", "spec": {},
                "metadata": { "name": name, "labels": { "zone": "a", "team.io/x": "y" } },
            }))
        };
        let found = |part: &str, data: Value| {
            any(json!({
                "apiVersion": "atoll/v1", "kind": "Facts",
                "metadata": { "name": format!("h1.{part}") },
                "spec": { "host": "h1", "part": part }, "status": { "data": { part: data } },
            }))
        };
        let mut facts = Facts::default();
        let system = json!({ "os": { "name": "debian", "version": "12" }, "memory": "4Gi" });
        facts.take(&found("system", system));
        facts.take(&found("packages", json!({ "libc6.1": "2" })));
        facts.take(&found("custom", json!({ "rack": { "rows": [1, { "a.b": 2 }] } })));
        facts.take(&found("network", json!({ "interfaces": [{ "name": "eth0" }] })));
        let columns = [
            "name",
            "kind",
            "zone",
            "labels.team.io/x",
            "os.name",
            "facts.os.version",
            "memory",
            "packages.libc6.1",
            "custom.rack.rows.1.a.b",
            "interfaces.0.name",
            "os.nothing",
        ];
        let columns = columns.map(str::to_owned);
        let text = csv::write(&table(&[host("h1"), host("h2")], &columns, &facts));
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines, ["h1,Host,a,y,debian,12,4Gi,2,2,eth0,", "h2,Host,a,y,,,,,,,"]);
        assert_eq!(part("os.name"), Some("system"));
        assert_eq!(part("labels.zone"), None, "nothing is read for what the host itself has");
    }
}
