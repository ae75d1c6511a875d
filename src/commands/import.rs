//! `atoll import` and `atoll observe`: records of items from CSV, JSON or YAML. An import is
//! planned first, and done only when that is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use atoll_client::Client;
use atoll_model::cmdb::view::{Record, Records};
use atoll_model::object::Meta;
use atoll_model::{Item, ItemType, Kind};
use serde_json::{Value, json};

use crate::args::Global;
use crate::change;
use crate::columns::inventory::said;
use crate::commands::plan;
use crate::commands::sheet::{self, Row, Types};
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
    let types = sheet::types(schema.as_ref());
    let rows = rows(&args.file, &text, &args.key, &types)
        .map_err(|why| Failure::usage(format!("{}: {why}", args.file.display())))?;
    let file = args.file.file_name().map_or("stdin".into(), |name| name.to_string_lossy());
    let source = args.source.clone().unwrap_or_else(|| format!("import/{file}"));
    let wrong = |at: usize, what: String| {
        Failure::usage(format!("{}: record {} {what}", args.file.display(), at + 1))
    };
    // What is in a column called so says which class only where it does so of one.
    let told = rows.iter().any(|row| row.of.as_ref() == Some(&args.of));
    let mut all = Vec::new();
    for (at, Row { record, of }) in rows.into_iter().enumerate() {
        if record.key.is_empty() {
            let key = &args.key;
            return Err(wrong(at, format!("has no {key:?}; name the column with --key")).into());
        }
        if let Some(other) = of.filter(|of| told && *of != args.of) {
            let how = format!("export what is of one class: type = {}", args.of);
            return Err(wrong(at, format!("is of the class {other}; {how}")).into());
        }
        all.push(record);
    }
    Ok(Records { of: args.of.clone(), source, records: all })
}

fn rows(file: &Path, text: &str, key: &str, types: &Types) -> Result<Vec<Row>, String> {
    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let values = match ending {
        "json" => listed(serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?)?,
        "yaml" | "yml" => documents(text)?,
        _ => return csv::read(text).map(|table| sheet::read(&table, key, types)),
    };
    let record = |(at, value): (usize, Value)| {
        of_value(value, key).map_err(|why| format!("record {}: {why}", at + 1))
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

/// A record by itself, or the target of an item.
fn of_value(value: Value, key: &str) -> Result<Row, String> {
    let Value::Object(mut map) = value else { return Err("is no object".to_owned()) };
    let Some(name) = map.get("metadata").and_then(|meta| meta["name"].as_str()) else {
        let mut attributes: BTreeMap<String, Value> = map.into_iter().collect();
        let mut word = |title: &str| attributes.remove(title).filter(|value| !value.is_null());
        let (key, of) = (word(key), word("type"));
        let key = key.as_ref().map(said).unwrap_or_default();
        let record = Record { key, attributes, ..Record::default() };
        return Ok(Row { record, of: of.as_ref().map(said) });
    };
    let (name, kind) = (name.to_owned(), map.get("kind").and_then(Value::as_str));
    if let Some(kind) = kind.filter(|kind| *kind != Kind::Item.name()) {
        return Err(format!("{name} is a {kind} and no Item: atoll apply reads it"));
    }
    let wrong = |e: serde_json::Error| format!("{name}: {e}");
    let spec = map.remove("spec").unwrap_or_else(|| json!({}));
    let meta = map.remove("metadata").unwrap_or_default();
    let spec: Item = serde_json::from_value(spec).map_err(wrong)?;
    let meta: Meta = serde_json::from_value(meta).map_err(wrong)?;
    let Item { of, owner, mut attributes, relations, .. } = spec;
    let key = match key == sheet::NAME {
        true => name,
        false => attributes.remove(key).as_ref().map(said).unwrap_or_default(),
    };
    let Meta { labels, annotations, .. } = meta;
    let record = Record { key, attributes, relations, owner, labels, annotations };
    Ok(Row { record, of: Some(of) })
}

#[cfg(test)]
mod tests {
    use atoll_model::{Any, Object, Timestamp};

    use super::*;
    use crate::output::Format;

    #[test]
    fn every_form_is_read_alike() {
        let types =
            sheet::types(Some(&json!({ "properties": { "serial": { "type": "string" } } })));
        let rows = |file: &str, text: &str| rows(Path::new(file), text, "name", &types);
        let csv = rows("a.csv", "name,serial,units\nr1,123,42\nr2,,1\n").unwrap();
        let json = r#"[{"name":"r1","serial":"123","units":42},{"name":"r2","units":1}]"#;
        assert_eq!(rows("a.json", json).unwrap(), csv);
        let yaml = "- {name: r1, serial: '123', units: 42}\n- {name: r2, units: 1}\n";
        assert_eq!(rows("a.yaml", yaml).unwrap(), csv);
        for (file, text) in
            [("a.json", "{"), ("a.json", "3"), ("a.csv", "a\n1,2"), ("a.yaml", "[1]")]
        {
            assert!(rows(file, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_exported_is_read_again() {
        let item = |name: &str, labels: Value, spec: Value| {
            let text = json!({
                "apiVersion": "atoll/v1", "kind": "Item",
                "metadata": { "name": name, "labels": labels, "annotations": { "by": "anna" } },
                "spec": spec,
            });
            Any::from_json(&text.to_string()).unwrap()
        };
        let full = json!({
            "type": "rack", "relations": { "in": ["zone/a", "zone/b"] }, "owner": "team/dc",
            "attributes": {
                "labels": { "a": "b" }, "units": 42, "phone": "+49", "all": [1, "x"],
                "type": "wide", "name": "", "load": 1e21, "on": "true", "row": "12",
            },
        });
        let items = [
            item("r1", json!({ "site": "" }), full),
            item("r2", json!({}), json!({ "type": "rack" })),
        ];
        let none = Types::default();
        let exported = |file: &str, format| {
            let text = output::list(items.to_vec(), 7, format, Timestamp(0)).unwrap();
            rows(Path::new(file), &text, "name", &none).unwrap()
        };
        let read = exported("a.json", Format::Json);
        assert_eq!(exported("a.yaml", Format::Yaml), read);
        assert_eq!((read.len(), read[1].record.key.as_str()), (2, "r2"));
        let first = &read[0].record;
        assert_eq!(first.relations["in"], ["zone/a", "zone/b"]);
        assert_eq!((first.owner.as_deref(), first.labels["site"].as_str()), (Some("team/dc"), ""));
        assert_eq!(first.annotations["by"], "anna");
        assert_eq!((first.attributes.len(), &first.attributes["type"]), (9, &json!("wide")));
        let one = output::list(items[..1].to_vec(), 7, Format::Yaml, Timestamp(0)).unwrap();
        assert_eq!(rows(Path::new("a.yml"), &one, "name", &none).unwrap(), read[..1]);
        let all: Vec<&Object<Item>> =
            items.iter().filter_map(Any::of::<Item>).map(|item| &**item).collect();
        let text = csv::write(&sheet::write(&all, &BTreeMap::new()));
        assert_eq!(rows(Path::new("a.csv"), &text, "name", &none).unwrap(), read);
        let text = Types::from([("labels".to_owned(), "string".to_owned())]);
        let text = rows(Path::new("a.csv"), "name,labels\nr1,[a]\n", "name", &text).unwrap();
        assert_eq!(text[0].record.attributes["labels"], json!("[a]"));
        let host = r#"{"items":[{"kind":"Host","metadata":{"name":"h1"},"spec":{}}]}"#;
        let why = rows(Path::new("a.json"), host, "name", &none).unwrap_err();
        assert_eq!(why, "record 1: h1 is a Host and no Item: atoll apply reads it");
    }
}
