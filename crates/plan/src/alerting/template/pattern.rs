//! The patterns of Go, which are those of <https://github.com/google/re2/wiki/Syntax>, as those of
//! the crate `regex`. What can't be written there the same way is not understood.

use regex::{Regex, RegexBuilder};

use super::{LONGEST, Wrong, print};

/// The most bytes of a pattern that is made ready.
const LARGEST: usize = 64 * 1024;

/// Whether a part of a text is as a pattern says.
pub(super) fn matches(pattern: &str, text: &str) -> Result<bool, Wrong> {
    Ok(ready(pattern)?.is_match(text))
}

/// A text with all that is as a pattern says replaced. `$1` and `${name}` stand for its groups.
pub(super) fn replaced(pattern: &str, by: &str, text: &str) -> Result<String, Wrong> {
    let pattern = ready(pattern)?;
    let groups = by.matches('$').count();
    let (mut out, mut from) = (String::new(), 0);
    for found in pattern.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        print::push(&mut out, text.get(from..whole.start()).unwrap_or_default())?;
        // A group is no longer than the whole.
        if out.len() + by.len() + groups.saturating_mul(whole.len()) > LONGEST {
            return Err(Wrong::TooMuch);
        }
        found.expand(by, &mut out);
        from = whole.end();
    }
    print::push(&mut out, text.get(from..).unwrap_or_default())?;
    Ok(out)
}

fn ready(pattern: &str) -> Result<Regex, Wrong> {
    let translated = translated(pattern).ok_or(Wrong::Unclear)?;
    let mut builder = RegexBuilder::new(&translated);
    builder.size_limit(LARGEST).dfa_size_limit(LARGEST).nest_limit(50);
    builder.build().map_err(|_| Wrong::Unclear)
}

/// `\d`, `\w`, `\s` and `\b` are about ASCII in Go, and a bracket has no brackets inside.
fn translated(pattern: &str) -> Option<String> {
    let (mut out, mut rest, mut bracket) = (String::new(), pattern, false);
    while let Some(c) = rest.chars().next() {
        let behind = rest.strip_prefix(c)?;
        rest = behind;
        match c {
            '\\' => {
                let next = behind.chars().next()?;
                rest = behind.strip_prefix(next)?;
                out.push_str(&escape(next, bracket)?);
                let is_class = matches!(next, 'd' | 'D' | 'w' | 'W' | 's' | 'S');
                if bracket && is_class && rest.starts_with('-') && !rest.starts_with("-]") {
                    return None;
                }
            }
            '[' if bracket && behind.starts_with(':') => {
                let (name, after) = behind.split_once(":]")?;
                out.push_str(&format!("[{name}:]"));
                rest = after;
            }
            '[' if bracket => out.push_str("\\["),
            '[' => {
                bracket = true;
                out.push('[');
                for first in ['^', ']'] {
                    if let Some(after) = rest.strip_prefix(first) {
                        out.push_str(if first == ']' { "\\]" } else { "^" });
                        rest = after;
                    }
                }
            }
            ']' if bracket => {
                bracket = false;
                out.push(']');
            }
            '-' if bracket && behind.starts_with('-') => return None,
            '&' | '~' if bracket => out.extend(['\\', c]),
            '{' if !bracket && behind.starts_with(',') => return None,
            '(' if behind.starts_with('?') && !has_known_flags(behind) => return None,
            _ => out.push(c),
        }
    }
    Some(out)
}

/// What a backslash and a character are in the other syntax.
fn escape(c: char, bracket: bool) -> Option<String> {
    Some(match c {
        'd' => "[0-9]".to_owned(),
        'D' => "[^0-9]".to_owned(),
        'w' => "[0-9A-Za-z_]".to_owned(),
        'W' => "[^0-9A-Za-z_]".to_owned(),
        's' => r"[\t\n\f\r ]".to_owned(),
        'S' => r"[^\t\n\f\r ]".to_owned(),
        'b' if !bracket => r"(?-u:\b)".to_owned(),
        'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => format!("\\{c}"),
        'A' | 'z' if !bracket => format!("\\{c}"),
        _ if c.is_ascii_punctuation() => regex::escape(c.encode_utf8(&mut [0; 4])),
        _ => return None,
    })
}

/// The flags Go knows, or the name of a group.
fn has_known_flags(behind: &str) -> bool {
    let flags = behind.trim_start_matches('?');
    flags.starts_with("P<")
        || flags.starts_with('<')
        || flags.split([':', ')']).next().is_some_and(|f| f.chars().all(|c| "imsU-".contains(c)))
}
