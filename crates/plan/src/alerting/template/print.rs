//! Values as Go prints them. Not as people read them, which is `number.rs`.
//!
//! The rules are those of <https://pkg.go.dev/fmt#hdr-Printing>. Where Go prints what is wrong, as
//! in `%!d(float64=1)`, nothing is printed here and the action is not understood.

use std::rc::Rc;

use super::value::Value;
use super::{LONGEST, Wrong, number};

/// No column of a text is wider.
const WIDEST: usize = 200;

/// Adds to a text, as far as one may be long.
pub(super) fn push(out: &mut String, text: &str) -> Result<(), Wrong> {
    if out.len().saturating_add(text.len()) > LONGEST {
        return Err(Wrong::TooMuch);
    }
    out.push_str(text);
    Ok(())
}

/// A value where no form is asked for.
pub(super) fn text(value: &Value) -> Result<Rc<str>, Wrong> {
    Ok(match value {
        Value::Truth(truth) => truth.to_string().into(),
        Value::Integer(number) => number.to_string().into(),
        Value::Number(number) => shortest(*number).into(),
        Value::Text(text) => Rc::clone(text),
        Value::Labels(labels) => {
            let mut out = "map[".to_owned();
            for (at, (name, value)) in labels.iter().enumerate() {
                push(&mut out, if at == 0 { "" } else { " " })?;
                push(&mut out, name)?;
                push(&mut out, ":")?;
                push(&mut out, value)?;
            }
            push(&mut out, "]")?;
            out.into()
        }
        Value::Root(_) | Value::Sample(_) | Value::Results(_) => return Err(Wrong::Unclear),
    })
}

/// "Spaces are added between operands when neither is a string."
pub(super) fn print(values: &[Value]) -> Result<String, Wrong> {
    let (mut out, mut after_text) = (String::new(), true);
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        push(&mut out, if is_text || after_text { "" } else { " " })?;
        push(&mut out, &text(value)?)?;
        after_text = is_text;
    }
    Ok(out)
}

/// "Spaces are always added between operands and a newline is appended."
pub(super) fn println(values: &[Value]) -> Result<String, Wrong> {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        push(&mut out, if at == 0 { "" } else { " " })?;
        push(&mut out, &text(value)?)?;
    }
    push(&mut out, "\n")?;
    Ok(out)
}

/// How one value is to be printed.
#[derive(Default)]
struct Form {
    left: bool,
    plus: bool,
    blank: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

/// `%v`, `%s`, `%q`, `%d`, `%t`, `%f`, `%e`, `%g` and `%%`, with flags, a width and a precision.
pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, Wrong> {
    let (mut out, mut rest, mut values) = (String::new(), format, values.iter());
    while let Some((before, after)) = rest.split_once('%') {
        push(&mut out, before)?;
        let (form, verb, behind) = form(after).ok_or(Wrong::Unclear)?;
        rest = behind;
        if verb == '%' {
            push(&mut out, "%")?;
            continue;
        }
        let value = values.next().ok_or(Wrong::Unclear)?;
        push(&mut out, &formatted(&form, verb, value)?)?;
    }
    push(&mut out, rest)?;
    if values.next().is_some() { Err(Wrong::Unclear) } else { Ok(out) }
}

/// A form and its verb, from behind `%`.
fn form(text: &str) -> Option<(Form, char, &str)> {
    let (mut form, mut rest) = (Form::default(), text);
    loop {
        let flag = match rest.chars().next()? {
            '-' => &mut form.left,
            '+' => &mut form.plus,
            ' ' => &mut form.blank,
            '0' => &mut form.zeros,
            _ => break,
        };
        *flag = true;
        rest = rest.get(1..)?;
    }
    let (width, behind) = digits(rest)?;
    (form.width, rest) = (width, behind);
    if let Some(behind) = rest.strip_prefix('.') {
        let (precision, behind) = digits(behind)?;
        (form.precision, rest) = (Some(precision), behind);
    }
    let verb = rest.chars().next()?;
    // `%+v` asks for the names of fields, and no value has any.
    form.plus &= verb != 'v';
    Some((form, verb, rest.strip_prefix(verb)?))
}

fn digits(text: &str) -> Option<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, behind) = text.split_at_checked(end)?;
    let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    (number <= WIDEST).then_some((number, behind))
}

fn formatted(form: &Form, verb: char, value: &Value) -> Result<String, Wrong> {
    let said = match (value, verb) {
        (Value::Number(number), _) => return in_digits(form, verb, *number),
        (Value::Integer(number), 'd' | 'v') if form.precision.is_none() => {
            return Ok(aligned(form, &number.to_string(), true));
        }
        (Value::Text(text), 's' | 'v' | 'q') => {
            let most = form.precision.unwrap_or(usize::MAX);
            let text: String = text.chars().take(most).collect();
            if verb == 'q' { quoted(&text)? } else { text }
        }
        (Value::Truth(truth), 't' | 'v') => truth.to_string(),
        (Value::Labels(_), 's' | 'v') if form.width == 0 && form.precision.is_none() => {
            return text(value).map(|text| text.to_string());
        }
        _ => return Err(Wrong::Unclear),
    };
    // What Go does here has changed.
    if form.zeros || form.plus || form.blank {
        Err(Wrong::Unclear)
    } else {
        Ok(aligned(form, &said, false))
    }
}

fn in_digits(form: &Form, verb: char, number: f64) -> Result<String, Wrong> {
    let said = match (verb, form.precision) {
        ('f' | 'F', precision) => number::fixed(number, precision.unwrap_or(6)),
        ('e' | 'E', precision) => scientific(number, Some(precision.unwrap_or(6))),
        ('g' | 'G' | 'v', Some(precision)) => number::significant(number, precision),
        ('g' | 'G' | 'v', None) => shortest(number),
        _ => return Err(Wrong::Unclear),
    };
    let upper = matches!(verb, 'E' | 'G') && number.is_finite();
    let said = if upper { said.to_ascii_uppercase() } else { said };
    Ok(aligned(form, &said, number.is_finite()))
}

/// A number, or a text, in its column. Only digits are filled up with zeros.
fn aligned(form: &Form, said: &str, digits: bool) -> String {
    let bare = said.strip_prefix(['+', '-']).unwrap_or(said);
    let is_number = digits || said.ends_with("Inf") || said == "NaN";
    let sign = match said.strip_suffix(bare).unwrap_or_default() {
        "-" => "-",
        _ if is_number && form.plus => "+",
        _ if is_number && form.blank => " ",
        sign => sign,
    };
    let width = form.width;
    if form.zeros && digits && !form.left {
        let width = width.saturating_sub(sign.len());
        return format!("{sign}{bare:0>width$}");
    }
    let said = format!("{sign}{bare}");
    if form.left { format!("{said:<width$}") } else { format!("{said:>width$}") }
}

/// With as many digits as tell a number apart, and an exponent where it is long: Go's `%v`.
fn shortest(number: f64) -> String {
    // From here on Go writes exponents; `number::as_go` does much later.
    let long = (1e6..1e21).contains(&number.abs());
    if long { scientific(number, None) } else { number::as_go(number) }
}

/// Go writes exponents with a sign and two digits at least.
fn scientific(number: f64, precision: Option<usize>) -> String {
    if !number.is_finite() {
        return number::fixed(number, 0);
    }
    let said = match precision {
        Some(precision) => format!("{number:.precision$e}"),
        None => format!("{number:e}"),
    };
    let (digits, power) = said.split_once('e').unwrap_or((&said, "0"));
    let (sign, size) = power.strip_prefix('-').map_or(('+', power), |size| ('-', size));
    format!("{digits}e{sign}{size:0>2}")
}

/// A text in quotes. Of characters that are neither ASCII nor printed as they are, Go's own list
/// would be needed.
fn quoted(text: &str) -> Result<String, Wrong> {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
            _ if c.is_ascii() || c.escape_debug().len() == 1 => out.push(c),
            _ => return Err(Wrong::Unclear),
        }
    }
    out.push('"');
    Ok(out)
}
