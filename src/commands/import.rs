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
use crate::commands::plan;
use crate::csv;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::terminal::Paint;

/// What `atoll import` and `atoll observe` take.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file of CSV, JSON or YAML, by its ending; - for CSV from standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// The class of the items
    #[arg(long = "type", value_name = "CLASS")]
    of: String,
    /// The column that says what the source calls each [default: name]
    #[arg(long, value_name = "COLUMN", default_value = "name")]
    key: String,
    /// Who says so [default: import/FILE]
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Do it; without, only what would be done is shown
    #[arg(long)]
    apply: bool,
}

/// Shows what an import would do, or does it.
///
/// # Errors
/// A wrong file; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let records = records(&client, &args).await?;
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
pub async fn observe(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let records = records(&client, &args).await?;
    let outcome = client.observe(&records).await?;
    change::judge(&outcome)?;
    let count = outcome.writes.len();
    output::print_line(&format!(
        "{count} of {} records said something new",
        records.records.len()
    ))?;
    Ok(Exit::Done)
}

async fn records(client: &Client, args: &Args) -> anyhow::Result<Records> {
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
    for (at, mut row) in rows.into_iter().enumerate() {
        let key = row.remove(&args.key).filter(|key| !key.is_null());
        let key = key.as_ref().map(crate::columns::inventory::said);
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            let message = format!(
                "{}: record {} has no {:?}; name the column with --key",
                args.file.display(),
                at + 1,
                args.key
            );
            return Err(Failure::usage(message).into());
        };
        row.remove("type");
        all.push(Record { key, attributes: row, relations: BTreeMap::new() });
    }
    Ok(Records { of: args.of.clone(), source, records: all })
}

type Row = BTreeMap<String, Value>;

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
    let values: Value = match ending {
        "json" => serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?,
        "yaml" | "yml" => serde_saphyr::from_str(text).map_err(|e| format!("not YAML: {e}"))?,
        _ => return csv::read(text).map(|table| of_table(&table, types)),
    };
    let list = match values {
        Value::Array(list) => list,
        // What `atoll export -o json` has written.
        Value::Object(mut map) => match map.remove("items") {
            Some(Value::Array(list)) => list,
            _ => return Err("is no list of records".to_owned()),
        },
        _ => return Err("is no list of records".to_owned()),
    };
    let record = |(at, value): (usize, Value)| of_value(value).ok_or(at + 1);
    let all: Result<Vec<Row>, usize> = list.into_iter().enumerate().map(record).collect();
    all.map_err(|at| format!("record {at} is no object"))
}

fn of_table(table: &csv::Table, types: &BTreeMap<String, String>) -> Vec<Row> {
    let row = |fields: &Vec<String>| {
        let cells = table.titles.iter().zip(fields);
        // An empty field says nothing.
        let told = cells.filter(|(_, field)| !field.is_empty());
        let value = |(title, field): (&String, &String)| {
            (title.clone(), csv::value(field, types.get(title).map(String::as_str)))
        };
        told.map(value).collect()
    };
    table.rows.iter().map(row).collect()
}

/// A record by itself, or the attributes of an item.
fn of_value(value: Value) -> Option<Row> {
    let attributes = value["spec"]["attributes"].as_object().cloned();
    let name = value["metadata"]["name"].clone();
    match (attributes, value) {
        (Some(attributes), _) => {
            Some(attributes.into_iter().chain([("name".to_owned(), name)]).collect())
        }
        (None, Value::Object(map)) => Some(map.into_iter().collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_is_read_alike() {
        let types = types(Some(&json!({ "properties": { "serial": { "type": "string" } } })));
        let csv = "name,serial,units\nr1,123,42\nr2,,1\n";
        let csv = rows(Path::new("a.csv"), csv, &types).unwrap();
        let json = r#"[{"name":"r1","serial":"123","units":42},{"name":"r2","units":1}]"#;
        assert_eq!(rows(Path::new("a.json"), json, &types).unwrap(), csv);
        let yaml = "- {name: r1, serial: '123', units: 42}\n- {name: r2, units: 1}\n";
        assert_eq!(rows(Path::new("a.yaml"), yaml, &types).unwrap(), csv);
        let exported = r#"{"items":[{"metadata":{"name":"r1"},
            "spec":{"attributes":{"serial":"123","units":42}}}]}"#;
        assert_eq!(rows(Path::new("b.json"), exported, &types).unwrap(), csv[..1]);
        for (file, text) in
            [("a.json", "{"), ("a.json", "3"), ("a.csv", "a\n1,2"), ("a.yaml", "[1]")]
        {
            assert!(rows(Path::new(file), text, &types).is_err(), "{text}");
        }
    }
}
