//! Tables of text as RFC 4180 has them: read for import, written for export. It knows no kind.

use serde_json::Value;

/// A table with its titles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The first row.
    pub titles: Vec<String>,
    /// All others, each as long as the first.
    pub rows: Vec<Vec<String>>,
}

/// Reads a table.
///
/// # Errors
/// The line that is wrong, and how.
pub fn read(text: &str) -> Result<Table, String> {
    let mut rows = split(text.trim_start_matches('\u{feff}'))?.into_iter();
    let Some((_, titles)) = rows.next() else {
        return Err("it is empty; its first line names the columns".to_owned());
    };
    let mut table = Table { titles, rows: Vec::new() };
    for (line, row) in rows {
        if row.len() != table.titles.len() {
            let (found, wanted) = (row.len(), table.titles.len());
            return Err(format!("line {line}: {found} fields, and {wanted} columns"));
        }
        table.rows.push(row);
    }
    Ok(table)
}

/// Rows of fields with the lines they begin on; empty lines are none.
fn split(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begun, mut quoted) = (1, 1, false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                line += 1;
                row.push(std::mem::take(&mut field));
                let row = std::mem::take(&mut row);
                if row.iter().any(|field| !field.is_empty()) {
                    rows.push((begun, row));
                }
                begun = line;
            }
            c => {
                line += usize::from(c == '\n');
                field.push(c);
            }
        }
    }
    if quoted {
        return Err(format!("line {begun}: a quote is not closed"));
    }
    row.push(field);
    if row.iter().any(|field| !field.is_empty()) {
        rows.push((begun, row));
    }
    Ok(rows)
}

/// Writes a table.
pub fn write(table: &Table) -> String {
    let line = |row: &Vec<String>| {
        let fields: Vec<String> = row.iter().map(|field| quote(field)).collect();
        format!("{}\r\n", fields.join(","))
    };
    [&table.titles].into_iter().chain(&table.rows).map(line).collect()
}

/// A field as it stands in a file. What a spreadsheet would take for a formula is quoted with a
/// leading apostrophe, as spreadsheets themselves do.
fn quote(field: &str) -> String {
    let field = if is_formula(field) { format!("'{field}") } else { field.to_owned() };
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

/// A value as a field that [`unfield`] reads as the same value: a text that would be taken for
/// something else stands as JSON has it, in quotes.
pub fn field(value: &Value, of: Option<&str>) -> String {
    match value {
        // It says nothing.
        Value::Null => String::new(),
        Value::String(text) if !text.is_empty() && unfield(text, of) == *value => text.clone(),
        Value::Number(number) => digits(number),
        other => other.to_string(),
    }
}

/// A number without an exponent, which would be taken for a name.
fn digits(number: &serde_json::Number) -> String {
    let text = number.to_string();
    match number.as_f64().filter(|_| text.contains('e')) {
        Some(float) if float.abs() >= 1.0 => format!("{float}.0"),
        Some(float) => float.to_string(),
        None => text,
    }
}

/// The value of a field as [`field`] has written it, or as people write it: objects, lists and
/// texts in quotes are JSON, and what a spreadsheet would take for a formula has an apostrophe
/// before it.
pub fn unfield(field: &str, of: Option<&str>) -> Value {
    let plain = field.strip_prefix('\'').filter(|rest| is_formula(rest));
    let field = plain.unwrap_or(field);
    let nested = field.starts_with(['{', '[']) && of != Some("string");
    let quoted = field.len() > 1 && field.starts_with('"') && field.ends_with('"');
    let read = (nested || quoted).then(|| serde_json::from_str(field).ok()).flatten();
    read.unwrap_or_else(|| value(field, of))
}

/// A number; of one with a fraction the very one that is closest.
fn number(field: &str) -> Option<Value> {
    let number: serde_json::Number = field.parse().ok()?;
    match number.is_f64() {
        true => serde_json::Number::from_f64(field.parse().ok()?).map(Value::Number),
        false => Some(Value::Number(number)),
    }
}

fn is_formula(field: &str) -> bool {
    field.starts_with(['=', '+', '@']) || field.starts_with("-=")
}

/// A field as a value: of the type the schema names, or else whatever it looks like.
pub fn value(field: &str, of: Option<&str>) -> Value {
    match of {
        Some("string") => Value::from(field),
        Some("number" | "integer") => number(field).unwrap_or_else(|| Value::from(field)),
        Some("array" | "object") => serde_json::from_str(field).unwrap_or_else(|_| {
            Value::from(field.split(';').map(str::trim).collect::<Vec<&str>>())
        }),
        _ => match field {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            // `007` and `1e9` are names more often than numbers.
            _ if field.starts_with('0') && field.len() > 1 && !field.starts_with("0.") => {
                Value::from(field)
            }
            _ if field.contains(['e', 'E']) => Value::from(field),
            _ => number(field).unwrap_or_else(|| Value::from(field)),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let table = Table {
            titles: vec!["a".into(), "b".into()],
            rows: vec![
                vec!["1,5".into(), "say \"x\"".into()],
                vec!["two\nlines".into(), String::new()],
            ],
        };
        assert_eq!(read(&write(&table)).unwrap(), table);
        assert_eq!(read("\u{feff}a,b\n1,2\n\n3,4").unwrap().rows.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_said_where() {
        assert_eq!(read("a,b\n1\n").unwrap_err(), "line 2: 1 fields, and 2 columns");
        assert_eq!(read("a\n\"x\n").unwrap_err(), "line 2: a quote is not closed");
        assert!(read("\n\n").unwrap_err().contains("empty"));
    }

    #[test]
    fn fields_become_what_they_look_like() {
        assert_eq!(value("12", None), json!(12));
        assert_eq!(value("12", Some("string")), json!("12"));
        assert_eq!(value("007", None), json!("007"));
        assert_eq!(value("0.5", None), json!(0.5));
        assert_eq!(value("true", None), json!(true));
        assert_eq!(value("a; b", Some("array")), json!(["a", "b"]));
        assert_eq!(quote("=cmd()"), "'=cmd()");
    }
}
