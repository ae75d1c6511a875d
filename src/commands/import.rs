//! `atoll import` and `atoll observe`: records of items from CSV, JSON or YAML. An import is
//! planned first, and done only when that is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use atoll_client::Client;
use atoll_model::cmdb::view::{Record, Records};
use atoll_model::{ItemType, Kind};
use serde_json::Value;

use crate::args::Global;
use crate::change;
use crate::columns::inventory::said;
use crate::commands::plan;
use crate::csv;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::terminal::Paint;

/// What `atoll import` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Source,
    /// Do it; without, only what would be done is shown
    #[arg(long)]
    apply: bool,
}

/// Where records come from, which is all that `atoll observe` takes.
#[derive(Debug, clap::Args)]
pub struct Source {
    /// A file of CSV, JSON or YAML, by its ending; - for CSV from standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// The class of the items
    #[arg(long = "type", value_name = "CLASS")]
    of: String,
    /// The column that says what the source calls each
    #[arg(long, value_name = "COLUMN", default_value = "name")]
    key: String,
    /// Who says so [default: import/FILE]
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
}

/// Shows what an import would do, or does it.
///
/// # Errors
/// A wrong file; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let records = records(&client, &args.from).await?;
    let outcome = client.import(&records, !args.apply).await?;
    if !args.apply {
        output::print(&plan::render(&outcome, Paint::stdout()))?;
        output::say("nothing was imported yet; add --apply");
        return Ok(Exit::Done);
    }
    change::judge(&outcome)?;
    let count = outcome.writes.len();
    output::print_line(&format!("{count} of {} records made a change", records.records.len()))?;
    Ok(Exit::Done)
}

/// Notes what was seen.
///
/// # Errors
/// As [`run`].
pub async fn observe(global: &Global, from: Source) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let records = records(&client, &from).await?;
    let outcome = client.observe(&records).await?;
    change::judge(&outcome)?;
    let count = outcome.writes.len();
    output::print_line(&format!(
        "{count} of {} records said something new",
        records.records.len()
    ))?;
    Ok(Exit::Done)
}

async fn records(client: &Client, args: &Source) -> anyhow::Result<Records> {
    let any = client.get(Kind::ItemType, &args.of).await?;
    let schema = any.of::<ItemType>().and_then(|class| class.spec.schema.clone());
    let text = match args.file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()).context("reading standard input")?,
        false => std::fs::read_to_string(&args.file)
            .with_context(|| format!("reading {}", args.file.display()))?,
    };
    let types = types(schema.as_ref());
    let rows = rows(&args.file, &text, &types)
        .map_err(|why| Failure::usage(format!("{}: {why}", args.file.display())))?;
    let file = args.file.file_name().map_or("stdin".into(), |name| name.to_string_lossy());
    let source = args.source.clone().unwrap_or_else(|| format!("import/{file}"));
    let mut all = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let Row { name, mut attributes, relations } = row;
        let key = match name.filter(|_| args.key == NAME) {
            Some(name) => Some(name),
            None => attributes.remove(&args.key).filter(|key| !key.is_null()).map(|key| said(&key)),
        };
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            let message = format!(
                "{}: record {} has no {:?}; name the column with --key",
                args.file.display(),
                at + 1,
                args.key
            );
            return Err(Failure::usage(message).into());
        };
        attributes.remove("type");
        all.push(Record { key, attributes, relations });
    }
    Ok(Records { of: args.of.clone(), source, records: all })
}

/// The column records are called by where nobody says otherwise.
const NAME: &str = "name";

/// A record as it stands in a file. Of an object its name is no attribute.
#[derive(Debug, Default, PartialEq)]
struct Row {
    name: Option<String>,
    attributes: BTreeMap<String, Value>,
    relations: BTreeMap<String, Vec<String>>,
}

/// The types a schema gives its properties.
fn types(schema: Option<&Value>) -> BTreeMap<String, String> {
    let properties = schema.and_then(|schema| schema["properties"].as_object());
    let of = |(name, property): (&String, &Value)| {
        Some((name.clone(), property["type"].as_str()?.to_owned()))
    };
    properties.into_iter().flatten().filter_map(of).collect()
}

fn rows(file: &Path, text: &str, types: &BTreeMap<String, String>) -> Result<Vec<Row>, String> {
    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let values = match ending {
        "json" => listed(serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?)?,
        "yaml" | "yml" => documents(text)?,
        _ => return csv::read(text).map(|table| of_table(&table, types)),
    };
    let record = |(at, value): (usize, Value)| {
        of_value(value).map_err(|why| format!("record {}: {why}", at + 1))
    };
    values.into_iter().enumerate().map(record).collect()
}

/// The records of every document of a file of YAML, as `atoll export -o yaml` writes one for each
/// item.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    let all: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|e| format!("not YAML: {e}"))?;
    match all.len() {
        1 => all.into_iter().next().map_or_else(|| Ok(Vec::new()), listed),
        _ => Ok(all.into_iter().flat_map(|one| listed(one.clone()).unwrap_or(vec![one])).collect()),
    }
}

/// The records of a list, of what `atoll export -o json` has written, or of one object.
fn listed(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(list) => Ok(list),
        Value::Object(mut map) => match map.remove("items") {
            Some(Value::Array(list)) => Ok(list),
            None if map.contains_key("kind") && map.contains_key("metadata") => {
                Ok(vec![Value::Object(map)])
            }
            _ => Err("is no list of records".to_owned()),
        },
        _ => Err("is no list of records".to_owned()),
    }
}

fn of_table(table: &csv::Table, types: &BTreeMap<String, String>) -> Vec<Row> {
    let row = |fields: &Vec<String>| {
        let cells = table.titles.iter().zip(fields);
        // An empty field says nothing.
        let told = cells.filter(|(_, field)| !field.is_empty());
        let value = |(title, field): (&String, &String)| {
            (title.clone(), of_field(field, types.get(title).map(String::as_str)))
        };
        Row { attributes: told.map(value).collect(), ..Row::default() }
    };
    table.rows.iter().map(row).collect()
}

/// A field as an export has written it: objects and lists are JSON, and what a spreadsheet would
/// take for a formula has an apostrophe before it.
fn of_field(field: &str, of: Option<&str>) -> Value {
    let formula = |rest: &&str| rest.starts_with(['=', '+', '@']) || rest.starts_with("-=");
    let plain = field.strip_prefix('\'').filter(formula);
    let field = plain.unwrap_or(field);
    let nested = field.starts_with(['{', '[']) && of != Some("string");
    let nested = nested.then(|| serde_json::from_str(field).ok()).flatten();
    nested.unwrap_or_else(|| csv::value(field, of))
}

/// A record by itself, or the target of an item.
fn of_value(value: Value) -> Result<Row, String> {
    let Value::Object(mut map) = value else { return Err("is no object".to_owned()) };
    let Some(name) = map.get("metadata").and_then(|meta| meta["name"].as_str()) else {
        return Ok(Row { attributes: map.into_iter().collect(), ..Row::default() });
    };
    let (name, kind) = (name.to_owned(), map.get("kind").and_then(Value::as_str));
    if let Some(kind) = kind.filter(|kind| *kind != Kind::Item.name()) {
        return Err(format!("{name} is a {kind} and no Item: atoll apply reads it"));
    }
    let mut spec = map.remove("spec").unwrap_or_default();
    let mut part = |key: &str| spec.get_mut(key).map(Value::take).filter(|part| !part.is_null());
    let wrong = |e: serde_json::Error| format!("{name}: {e}");
    let (attributes, relations) = (part("attributes"), part("relations"));
    Ok(Row {
        attributes: attributes
            .map_or(Ok(BTreeMap::new()), serde_json::from_value)
            .map_err(wrong)?,
        relations: relations.map_or(Ok(BTreeMap::new()), serde_json::from_value).map_err(wrong)?,
        name: Some(name),
    })
}

#[cfg(test)]
mod tests {
    use atoll_model::{Any, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::commands::find;
    use crate::output::Format;

    #[test]
    fn every_form_is_read_alike() {
        let types = types(Some(&json!({ "properties": { "serial": { "type": "string" } } })));
        let csv = "name,serial,units\nr1,123,42\nr2,,1\n";
        let csv = rows(Path::new("a.csv"), csv, &types).unwrap();
        let json = r#"[{"name":"r1","serial":"123","units":42},{"name":"r2","units":1}]"#;
        assert_eq!(rows(Path::new("a.json"), json, &types).unwrap(), csv);
        let yaml = "- {name: r1, serial: '123', units: 42}\n- {name: r2, units: 1}\n";
        assert_eq!(rows(Path::new("a.yaml"), yaml, &types).unwrap(), csv);
        for (file, text) in
            [("a.json", "{"), ("a.json", "3"), ("a.csv", "a\n1,2"), ("a.yaml", "[1]")]
        {
            assert!(rows(Path::new(file), text, &types).is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_exported_is_read_again() {
        let item = |name: &str, spec: Value| {
            let text = json!({
                "apiVersion": "atoll/v1", "kind": "Item", "metadata": { "name": name },
                "spec": spec,
            });
            Any::from_json(&text.to_string()).unwrap()
        };
        let full = json!({
            "type": "rack", "relations": { "in": ["zone/a", "zone/b"] },
            "attributes": { "labels": { "a": "b" }, "units": 42, "phone": "+49", "all": [1, "x"] },
        });
        let items = [item("r1", full), item("r2", json!({ "type": "rack" }))];
        let none = BTreeMap::new();
        let exported = |file: &str, format| {
            let text = output::list(items.to_vec(), 7, format, Timestamp(0)).unwrap();
            rows(Path::new(file), &text, &none).unwrap()
        };
        let read = exported("a.json", Format::Json);
        assert_eq!(exported("a.yaml", Format::Yaml), read);
        assert_eq!((read.len(), read[1].name.as_deref()), (2, Some("r2")));
        assert_eq!(read[0].relations["in"], ["zone/a", "zone/b"]);
        assert_eq!(read[0].attributes["labels"], json!({ "a": "b" }));
        let one = output::list(items[..1].to_vec(), 7, Format::Yaml, Timestamp(0)).unwrap();
        assert_eq!(rows(Path::new("a.yml"), &one, &none).unwrap(), read[..1]);
        let text = csv::write(&find::table(&items, &[], &find::Facts::default()));
        let mut table = rows(Path::new("a.csv"), &text, &none).unwrap();
        for key in [NAME, "type"] {
            table.iter_mut().for_each(|row| drop(row.attributes.remove(key)));
        }
        assert_eq!(table[0].attributes, read[0].attributes);
        let text = BTreeMap::from([("labels".to_owned(), "string".to_owned())]);
        let text = rows(Path::new("a.csv"), "name,labels\nr1,[a]\n", &text).unwrap();
        assert_eq!(text[0].attributes["labels"], json!("[a]"));
        let host = r#"{"items":[{"kind":"Host","metadata":{"name":"h1"},"spec":{}}]}"#;
        let why = rows(Path::new("a.json"), host, &none).unwrap_err();
        assert_eq!(why, "record 1: h1 is a Host and no Item: atoll apply reads it");
    }
}
