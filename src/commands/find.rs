//! `atoll find` and `atoll export`: what a filter lets through, as it is or as it was, to read or
//! for other programs.

use atoll_client::Search;
use atoll_model::{Any, Span, Timestamp};
use clap::ValueEnum;
use serde_json::Value;

use crate::args::{Global, Output};
use crate::clock::now;
use crate::columns::inventory::said;
use crate::columns::{Cell, cell};
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
    if items.is_empty() && format.is_table() {
        output::say("nothing passes the filter");
        return Ok(Exit::Done);
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
    /// The columns of a CSV [default: the name, the type, and every attribute]
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
    let (items, revision) = global.client()?.find_all(&search).await?;
    let text = match args.form {
        Form::Csv => csv::write(&table(&items, &args.columns)),
        Form::Json => output::list(items, revision, Format::Json, now())?,
        Form::Yaml => output::list(items, revision, Format::Yaml, now())?,
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

fn table(items: &[Any], columns: &[String]) -> Table {
    let rows: Vec<Value> = items.iter().map(Any::to_value).collect();
    let titles = match columns.is_empty() {
        false => columns.to_vec(),
        true => usual(items, &rows),
    };
    let row = |value: &Value| titles.iter().map(|path| field(value, path)).collect();
    Table { rows: rows.iter().map(row).collect(), titles: titles.clone() }
}

/// The columns of items are their attributes; of anything else, what everything has.
fn usual(items: &[Any], rows: &[Value]) -> Vec<String> {
    if !items.iter().all(|any| matches!(any, Any::Item(_))) {
        return ["kind", "name", "labels"].map(str::to_owned).into();
    }
    let mut attributes: Vec<String> = rows
        .iter()
        .filter_map(|row| row["spec"]["attributes"].as_object())
        .flat_map(|map| map.keys().cloned())
        .collect();
    attributes.sort();
    attributes.dedup();
    ["name", "type"].into_iter().map(str::to_owned).chain(attributes).collect()
}

/// What stands in a column: an attribute, or a path below the object, its target or its status.
fn field(value: &Value, path: &str) -> String {
    let attribute = value["spec"]["attributes"].get(path);
    let found = attribute.or_else(|| {
        let pointer = format!("/{}", path.replace('.', "/"));
        let parts = ["", "/metadata", "/spec", "/status"];
        parts.iter().find_map(|part| value.pointer(&format!("{part}{pointer}")))
    });
    found.map(said).unwrap_or_default()
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
        let text = csv::write(&table(&items, &[]));
        assert_eq!(text, "name,type,site,units\r\nr1,rack,,42\r\nr2,rack,\"fra, 1\",\r\n");
        let text = csv::write(&table(&items, &["name".into(), "spec.type".into()]));
        assert_eq!(text, "name,spec.type\r\nr1,rack\r\nr2,rack\r\n");
    }
}
