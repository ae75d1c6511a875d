//! How data is written to standard output: tables, JSON, YAML or names. Not what a kind shows
//! in a table, which is `columns.rs`.

use std::io::Write;

use anyhow::Context as _;
use atoll_model::api::List;
use atoll_model::object::API_VERSION;
use atoll_model::{Any, Reason, Timestamp};
use clap::ValueEnum;
use serde::Serialize;

use crate::columns::{self, Cell};
use crate::terminal::{self, Paint, Tone};

/// How objects are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line an object.
    #[default]
    Table,
    /// A line an object, with more columns.
    Wide,
    /// As the API gives it.
    Json,
    /// As a manifest.
    Yaml,
    /// KIND/NAME only.
    Name,
}

impl Format {
    /// Whether people read it.
    pub fn is_table(self) -> bool {
        matches!(self, Format::Table | Format::Wide)
    }
}

/// Writes text to standard output as it is.
///
/// # Errors
/// Standard output's.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("writing the output")
}

/// Writes one line to standard output.
///
/// # Errors
/// Standard output's.
pub fn print_line(text: &str) -> anyhow::Result<()> {
    print(&format!("{text}\n"))
}

/// Says something to the person on standard error.
pub fn say(text: &str) {
    // Talk that cannot be shown is no reason to fail.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What went wrong, with each single reason and what to do about it below.
pub fn problem(message: &str, reasons: &[Reason], paint: Paint) -> String {
    let mut text = message.to_owned();
    for reason in reasons {
        let code = paint.tone(Tone::Busy, &reason.code);
        text.push_str(&match reason.message == message {
            // What has been said above is not said again.
            true => format!("\n  {code}"),
            false => format!("\n  {code}: {}", terminal::plain(&reason.message)),
        });
        if let Some(hint) = &reason.hint {
            text.push_str(&format!(
                "\n    {} {}",
                paint.tone(Tone::Dim, "->"),
                terminal::plain(hint)
            ));
        }
    }
    text
}

/// A value as JSON for people and programs.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn json<T: Serialize>(value: &T) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("writing JSON")?;
    text.push('\n');
    Ok(text)
}

/// A value as YAML.
///
/// # Errors
/// The value cannot be written as YAML.
pub fn yaml<T: Serialize>(value: &T) -> anyhow::Result<String> {
    let mut text = serde_saphyr::to_string(value).context("writing YAML")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// A value in the format asked for, where it is not an object of a kind: a table is the caller's.
///
/// # Errors
/// The value cannot be written so.
pub fn value<T: Serialize>(
    value: &T,
    format: Format,
    table: impl FnOnce() -> String,
) -> anyhow::Result<String> {
    match format {
        Format::Json => json(value),
        Format::Yaml => yaml(value),
        Format::Table | Format::Wide | Format::Name => Ok(table()),
    }
}

/// One object.
///
/// # Errors
/// It cannot be written so.
pub fn object(any: &Any, format: Format, now: Timestamp) -> anyhow::Result<String> {
    match format {
        Format::Json => json(any),
        Format::Yaml => yaml(any),
        _ => Ok(objects(std::slice::from_ref(any), format, now)),
    }
}

/// A list of objects as the API gives it, at a revision.
///
/// # Errors
/// It cannot be written so.
pub fn list(
    items: Vec<Any>,
    revision: u64,
    format: Format,
    now: Timestamp,
) -> anyhow::Result<String> {
    match format {
        Format::Json => json(&List {
            api_version: API_VERSION.to_owned(),
            kind: "List".to_owned(),
            items,
            revision,
            next: None,
        }),
        Format::Yaml => {
            let documents: anyhow::Result<Vec<String>> = items.iter().map(yaml).collect();
            Ok(documents?.join("---\n"))
        }
        _ => Ok(objects(&items, format, now)),
    }
}

/// Objects as lines; kinds that differ get tables of their own.
fn objects(items: &[Any], format: Format, now: Timestamp) -> String {
    if format == Format::Name {
        return items.iter().map(|any| format!("{}\n", any.id())).collect();
    }
    let kinds: Vec<&[Any]> = items.chunk_by(|a, b| a.kind() == b.kind()).collect();
    let several = kinds.len() > 1;
    let line = |any: &Any| {
        let mut cells = columns::line(any, now);
        if let Some(first) = cells.first_mut().filter(|_| several) {
            first.text = any.id();
        }
        cells
    };
    let table = |same: &[Any]| table(same.iter().map(line).collect(), format == Format::Wide);
    kinds.into_iter().map(table).collect::<Vec<String>>().join("\n")
}

/// Lines of cells under their titles, as the terminal has it.
pub fn table(lines: Vec<Vec<Cell>>, wide: bool) -> String {
    let limit = if wide { None } else { terminal::width() };
    Layout::of(lines, wide).render(true, Paint::stdout(), limit)
}

/// Cells in columns of their widths.
pub struct Layout {
    lines: Vec<Vec<Cell>>,
    widths: Vec<usize>,
}

const GAP: usize = 3;

impl Layout {
    /// Works out the widths.
    pub fn of(mut lines: Vec<Vec<Cell>>, wide: bool) -> Layout {
        let mut widths: Vec<usize> = Vec::new();
        for line in &mut lines {
            line.retain(|cell| wide || !cell.wide);
            for (i, cell) in line.iter_mut().enumerate() {
                if cell.text.is_empty() {
                    cell.text.push('-');
                }
                cell.text = terminal::plain(&cell.text).replace(['\n', '\t'], " ");
                let needed = cell.text.chars().count().max(cell.title.len());
                match widths.get_mut(i) {
                    Some(width) => *width = needed.max(*width),
                    None => widths.push(needed),
                }
            }
        }
        Layout { lines, widths }
    }

    /// Makes columns at least as wide as those of lines shown before, and remembers the widths.
    pub fn widen(&mut self, before: &mut Vec<usize>) {
        for (width, old) in self.widths.iter_mut().zip(before.iter()) {
            *width = (*width).max(*old);
        }
        before.clone_from(&self.widths);
    }

    /// Makes a column at least so wide, for lines still to come.
    pub fn at_least(&mut self, title: &str, width: usize) {
        let titles = self.lines.first().into_iter().flatten();
        for (cell, now) in titles.zip(&mut self.widths) {
            if cell.title == title {
                *now = (*now).max(width);
            }
        }
    }

    /// The text, each line cut at `limit` columns where there is one.
    pub fn render(&self, titles: bool, paint: Paint, limit: Option<usize>) -> String {
        let mut text = String::new();
        let first = self.lines.first().filter(|_| titles);
        if let Some(first) = first {
            let cells = first.iter().map(|c| (c.title, Tone::Dim));
            text.push_str(&self.row(cells, paint, limit));
        }
        for line in &self.lines {
            let cells = line.iter().map(|c| (c.text.as_str(), c.tone));
            text.push_str(&self.row(cells, paint, limit));
        }
        text
    }

    fn row<'a>(
        &self,
        cells: impl Iterator<Item = (&'a str, Tone)>,
        paint: Paint,
        limit: Option<usize>,
    ) -> String {
        let (mut row, mut used) = (String::new(), 0);
        for (i, (text, tone)) in cells.enumerate() {
            let last = i + 1 == self.widths.len();
            let room = limit.map_or(usize::MAX, |limit| limit.saturating_sub(used));
            let shown = terminal::cut(text, room.max(1));
            let length = shown.chars().count();
            row.push_str(&paint.tone(tone, &shown));
            if !last {
                let padding = self.widths[i] + GAP - length;
                row.push_str(&" ".repeat(padding));
                used += length + padding;
            }
            if limit.is_some_and(|limit| used >= limit) {
                break;
            }
        }
        let mut row = row.trim_end().to_owned();
        row.push('\n');
        row
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::time::Timestamp;

    use super::*;

    fn deployment(name: &str, status: &str) -> Any {
        let (application, environment) = name.split_once('.').unwrap();
        Any::from_json(&format!(
            r#"{{"apiVersion":"atoll/v1","kind":"Deployment",
                "metadata":{{"name":"{name}","createdAt":"2026-01-01T00:00:00Z"}},
                "spec":{{"application":"{application}","environment":"{environment}",
                "instances":3}},"status":{status}}}"#
        ))
        .unwrap()
    }

    fn now() -> Timestamp {
        "2026-01-01T03:20:00Z".parse().unwrap()
    }

    fn two() -> Vec<Any> {
        vec![
            deployment(
                "shop.prod",
                r#"{"phase":"rolling","ready":3,"updated":1,"release":"shop-1","rollout":{
                    "to":"shop-2","since":0,"progressAt":0},"reasons":[
                    {"code":"rolling","message":"1 of 3 updated"},{"code":"x","message":"y"}]}"#
                    .replace(":0,", ":\"2026-01-01T00:00:00Z\",")
                    .replace(":0}", ":\"2026-01-01T00:00:00Z\"}")
                    .as_str(),
            ),
            deployment(
                "stock.staging",
                r#"{"phase":"settled","ready":3,"updated":3,"release":"stock-7"}"#,
            ),
        ]
    }

    #[test]
    fn tables_are_aligned() {
        let text = list(two(), 9, Format::Table, now()).unwrap();
        let wanted = "\
NAME            PHASE     READY   UPDATED   RELEASE          AGE     REASON
shop.prod       rolling   3/3     1         shop-1->shop-2   3h20m   1 of 3 updated (+1 more)
stock.staging   settled   3/3     3         stock-7          3h20m   -
";
        assert_eq!(text, wanted);
        assert_eq!(
            list(two(), 9, Format::Name, now()).unwrap(),
            "deployment/shop.prod\ndeployment/stock.staging\n"
        );
    }

    #[test]
    fn lines_are_cut_at_the_width_of_a_terminal() {
        let lines = two().iter().map(|o| columns::line(o, now())).collect();
        let text = Layout::of(lines, false).render(true, Paint::OFF, Some(40));
        assert!(text.lines().all(|l| l.chars().count() <= 40), "{text}");
        assert!(text.contains('…'), "{text}");
    }

    #[test]
    fn json_lists_are_as_the_api_gives_them() {
        let text = list(two(), 9, Format::Json, now()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["apiVersion"], "atoll/v1");
        assert_eq!(value["kind"], "List");
        assert_eq!(value["revision"], 9);
        assert_eq!(value["items"][1], two()[1].to_value());
        assert!(value.get("continue").is_none());
    }

    #[test]
    fn yaml_can_be_applied_again() {
        let text = list(two(), 9, Format::Yaml, now()).unwrap();
        assert_eq!(atoll_model::manifest::read("x.yaml", text.as_bytes()).unwrap(), two());
    }
}
