//! The text of alerts: the part of Go's templates that rule files use. What is not known here is
//! left as it is written and said; nothing fails. Not the text of messages, which the server
//! writes.

use std::collections::BTreeMap;

use super::number;

/// What is filled in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The labels of the series.
    pub labels: &'a BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(f64),
    Text(String),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Value::Number(value) => number::as_go(*value),
            Value::Text(text) => text.clone(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Value::Number(value) => Some(*value),
            Value::Text(text) => text.parse().ok(),
        }
    }
}

/// Whether a text holds anything to be filled in.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Fills in a text; what is not understood stays and is returned as well.
pub(crate) fn expand(text: &str, facts: Facts) -> (String, Option<String>) {
    let (mut out, mut unknown, mut rest) = (String::new(), None, text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else {
            unknown = unknown.or_else(|| Some(format!("{{{{{after}")));
            out.push_str(rest);
            return (out, unknown);
        };
        rest = behind;
        let trimmed = inside.strip_prefix('-').unwrap_or(inside);
        let trims_before = trimmed.len() != inside.len();
        let action = trimmed.strip_suffix('-').unwrap_or(trimmed);
        let trims_behind = action.len() != trimmed.len();
        out.push_str(if trims_before { before.trim_end() } else { before });
        match evaluate(action, facts) {
            Some(value) => out.push_str(&value.text()),
            None => {
                let whole = format!("{{{{{inside}}}}}");
                out.push_str(&whole);
                unknown = unknown.or(Some(whole));
            }
        }
        rest = if trims_behind { rest.trim_start() } else { rest };
    }
    out.push_str(rest);
    (out, unknown)
}

/// A pipeline: each command's result is the last argument of the next.
fn evaluate(action: &str, facts: Facts) -> Option<Value> {
    let mut piped: Option<Value> = None;
    for command in split(action, '|')? {
        let words = split(command.trim(), ' ')?;
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let (first, arguments) = words.split_first()?;
        if *first == "index" && piped.is_none() {
            piped = Some(index(arguments, facts)?);
            continue;
        }
        let mut values: Vec<Value> = Vec::new();
        for word in arguments {
            values.push(operand(word, facts)?);
        }
        let value = match operand(first, facts) {
            Some(value) if values.is_empty() && piped.is_none() => value,
            Some(_) => return None,
            None => {
                values.extend(piped.take());
                call(first, &values)?
            }
        };
        piped = Some(value);
    }
    piped
}

/// Splits outside quotes.
fn split(text: &str, at: char) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut quote, mut escaped) = (Vec::new(), 0, None, false);
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            (None, '"' | '`') => quote = Some(c),
            (None, c) if c == at => {
                parts.push(&text[from..i]);
                from = i + c.len_utf8();
            }
            _ => {}
        }
        escaped = false;
    }
    parts.push(&text[from..]);
    quote.is_none().then_some(parts)
}

fn operand(word: &str, facts: Facts) -> Option<Value> {
    let label = word.strip_prefix("$labels.").or_else(|| word.strip_prefix(".Labels."));
    if let Some(label) = label {
        let good = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        return (good && !label.is_empty()).then(|| of_label(label, facts));
    }
    if matches!(word, "$value" | ".Value") {
        return Some(Value::Number(facts.value));
    }
    if let Some(raw) = word.strip_prefix('`').and_then(|word| word.strip_suffix('`')) {
        return Some(Value::Text(raw.to_owned()));
    }
    if word.starts_with('"') {
        return serde_json::from_str(word).ok().map(Value::Text);
    }
    let digits = word.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    digits.then(|| word.parse().ok().map(Value::Number)).flatten()
}

fn of_label(label: &str, facts: Facts) -> Value {
    Value::Text(facts.labels.get(label).cloned().unwrap_or_default())
}

/// `index $labels "name"`.
fn index(words: &[&str], facts: Facts) -> Option<Value> {
    match words {
        ["$labels" | ".Labels", name] => match operand(name, facts)? {
            Value::Text(name) => Some(of_label(&name, facts)),
            Value::Number(_) => None,
        },
        _ => None,
    }
}

fn call(function: &str, values: &[Value]) -> Option<Value> {
    let text = match (function, values) {
        ("humanize", [value]) => number::humanized(value.number()?, 1000.0),
        ("humanize1024", [value]) => number::humanized(value.number()?, 1024.0),
        ("humanizePercentage", [value]) => {
            format!("{}%", number::significant(value.number()? * 100.0, 4))
        }
        ("humanizeDuration", [value]) => number::duration(value.number()?),
        ("printf", [Value::Text(format), values @ ..]) => printf(format, values)?,
        ("print", values) => values.iter().map(Value::text).collect(),
        ("toUpper", [value]) => value.text().to_uppercase(),
        ("toLower", [value]) => value.text().to_lowercase(),
        ("title", [value]) => title(&value.text()),
        _ => return None,
    };
    Some(Value::Text(text))
}

fn title(text: &str) -> String {
    let mut begins = true;
    let each = |c: char| {
        let first = std::mem::replace(&mut begins, !c.is_alphanumeric());
        if first { c.to_ascii_uppercase() } else { c }
    };
    text.chars().map(each).collect()
}

/// `%f`, `%g`, `%e`, `%v`, `%s`, `%q` and `%%`, with a width and a precision.
fn printf(format: &str, values: &[Value]) -> Option<String> {
    let (mut out, mut rest, mut values) = (String::new(), format, values.iter());
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic() || c == '%')?;
        let (size, verb) = (&after[..end], &after[end..=end]);
        rest = &after[end + 1..];
        let (width, precision) = size.split_once('.').unwrap_or((size, ""));
        let precision = match (size.contains('.'), precision) {
            (false, _) => None,
            (true, "") => Some(0),
            (true, text) => Some(text.parse::<usize>().ok().filter(|p| *p <= 40)?),
        };
        let width = if width.is_empty() { 0 } else { width.parse::<usize>().ok()? };
        let said = match verb {
            "%" => "%".to_owned(),
            "f" => {
                let precision = precision.unwrap_or(6);
                number::fixed(values.next()?.number()?, precision)
            }
            "g" | "e" => {
                number::significant(values.next()?.number()?, precision.unwrap_or(6).max(1))
            }
            "v" | "s" => values.next()?.text(),
            "q" => format!("{:?}", values.next()?.text()),
            _ => return None,
        };
        out.push_str(&format!("{said:>width$}", width = width.min(200)));
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str, value: f64) -> (String, Option<String>) {
        let labels = [("instance", "web.prod.0"), ("job", "node")];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        expand(text, Facts { labels: &labels, value })
    }

    #[test]
    fn what_rule_files_use_is_filled_in() {
        for (text, value, said) in [
            ("plain", 1.0, "plain"),
            (
                "{{ $labels.instance }} of {{$labels.job}} is down",
                0.0,
                "web.prod.0 of node is down",
            ),
            ("{{ .Labels.none }}{{ .Value }}", 1e21, "1e+21"),
            ("{{ $value }}", 0.1, "0.1"),
            ("{{ $value | humanize }} and {{ humanize $value }}", 12_345.678, "12.35k and 12.35k"),
            ("{{ $value | humanize1024 }}B", 1_610_612_736.0, "1.5GiB"),
            ("{{ $value | humanizePercentage }}", 0.12345, "12.35%"),
            ("{{ humanizeDuration $value }}", 93_784.0, "1d 2h 3m 4s"),
            ("{{ $value | humanizeDuration }}", 0.0123, "12.3ms"),
            ("{{ printf \"%.2f\" $value }} %", 3.1372, "3.14 %"),
            ("{{ $value | printf \"%5.1f|\" }}", 2.25, "  2.2|"),
            ("a {{- $labels.job -}} b", 0.0, "anodeb"),
            ("{{ index $labels \"job\" | toUpper }}", 0.0, "NODE"),
            ("{{ \"a|b\" }}", 0.0, "a|b"),
        ] {
            assert_eq!(expanded(text, value), (said.to_owned(), None), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_stays_as_it_is() {
        for text in ["{{ if gt $value 1.0 }}", "{{ query \"up\" }}", "{{", "{{ }}", "{{ \"a }}"] {
            let (said, unknown) = expanded(text, 1.0);
            assert_eq!((said.as_str(), unknown.is_some()), (text, true));
        }
        let (said, unknown) = expanded("{{ $value }} {{ args }}", 2.0);
        assert_eq!((said.as_str(), unknown.as_deref()), ("2 {{ args }}", Some("{{ args }}")));
    }
}
