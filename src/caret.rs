//! Errors of manifests as a compiler prints them: place, message, the line, a caret. Not the
//! finding of errors, which is the model's.

use std::collections::BTreeMap;

use atoll_model::manifest::ManifestError;
use atoll_model::name::Problem;

use crate::terminal::{self, Paint, Tone};

/// Every error with its line of the source; `sources` holds the texts by file name. An error at
/// line 0 is one of the whole file.
pub fn render(
    errors: &[ManifestError],
    sources: &BTreeMap<String, String>,
    paint: Paint,
) -> String {
    let mut text = String::new();
    for error in errors {
        let source = sources.get(&error.file).map_or("", String::as_str);
        let line = error.line.checked_sub(1).and_then(|n| source.lines().nth(n));
        let (column, length) = line.map_or((error.column, 1), |line| {
            let column = named(line, error.column, &error.problem.message).unwrap_or(error.column);
            span(line, column)
        });
        let place = match error.line {
            0 => format!("{}:", error.file),
            line => format!("{}:{line}:{column}:", error.file),
        };
        let message = terminal::plain(&message(&error.problem));
        text.push_str(&format!("{} {message}\n", paint.tone(Tone::Strong, &place)));
        if let Some(line) = line.filter(|l| !l.trim().is_empty()) {
            text.push_str(&excerpt(error.line, line, column, length, paint));
        }
    }
    text
}

/// The message, with the path in front where it does not name it itself.
fn message(problem: &Problem) -> String {
    if problem.message.contains(&format!(" at {}", problem.path)) {
        problem.message.clone()
    } else {
        problem.to_string()
    }
}

fn excerpt(number: usize, line: &str, column: usize, length: usize, paint: Paint) -> String {
    const WIDEST: usize = 160;
    let number = number.to_string();
    // A tab is as wide as the terminal likes; a space is not.
    let shown = terminal::cut(&terminal::plain(line).replace('\t', " "), WIDEST);
    let gutter = " ".repeat(number.len());
    let before = " ".repeat(column.saturating_sub(1).min(WIDEST));
    let caret = paint.tone(Tone::Bad, &"^".repeat(length.clamp(1, WIDEST)));
    format!(
        "  {} {shown}\n  {gutter} {} {before}{caret}\n",
        paint.tone(Tone::Dim, &format!("{number} |")),
        paint.tone(Tone::Dim, "|")
    )
}

/// Where the field stands that the message says is unknown; the place told may be that of the
/// whole it stands in.
fn named(line: &str, column: usize, message: &str) -> Option<usize> {
    let word = message.strip_prefix("unknown field \"")?.split('"').next()?;
    let start = line.char_indices().nth(column.saturating_sub(1))?.0;
    let at = start + line[start..].find(&format!("{word}:"))?;
    Some(line[..at].chars().count() + 1)
}

/// Where the word at a column begins, and its length; a place in the indentation means the first
/// word of the line.
fn span(line: &str, column: usize) -> (usize, usize) {
    let characters: Vec<char> = line.chars().collect();
    let indentation = characters.iter().take_while(|c| c.is_whitespace() || **c == '-').count();
    let start = column.saturating_sub(1).max(indentation.min(characters.len().saturating_sub(1)));
    let word = |c: &&char| !c.is_whitespace() && !":,{}[]\"'#".contains(**c);
    let length = characters.iter().skip(start).take_while(word).count();
    (start + 1, length.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_and_the_word_are_shown() {
        let text = "\
apiVersion: atoll/v1
kind: Deployment
metadata: { name: shop.prod }
spec:
  application: shop
  environment: prod
  replica: 3
";
        let errors = atoll_model::manifest::read("shop.yaml", text.as_bytes()).unwrap_err();
        let sources = [("shop.yaml".to_owned(), text.to_owned())].into();
        let wanted = "\
shop.yaml:7:3: unknown field \"replica\" at spec; did you mean \"instances\"?
  7 |   replica: 3
    |   ^^^^^^^
";
        assert_eq!(render(&errors, &sources, Paint::OFF), wanted);
    }

    #[test]
    fn an_unknown_field_is_pointed_at_within_its_line() {
        let text = "apiVersion: atoll/v1\nkind: Zone\nmetadata: { name: a }\n\
                    spec: { description: x, maxx: 1 }\n";
        let errors = atoll_model::manifest::read("z.yaml", text.as_bytes()).unwrap_err();
        let sources = [("z.yaml".to_owned(), text.to_owned())].into();
        let wanted =
            "  4 | spec: { description: x, maxx: 1 }\n    |                         ^^^^\n";
        let shown = render(&errors, &sources, Paint::OFF);
        assert!(shown.starts_with("z.yaml:4:25: ") && shown.ends_with(wanted), "{shown}");
    }

    #[test]
    fn a_place_outside_the_text_is_still_told() {
        let problem = Problem { path: String::new(), message: "bad".into() };
        let error = ManifestError { file: "-".into(), line: 9, column: 4, problem };
        assert_eq!(render(&[error], &BTreeMap::new(), Paint::OFF), "-:9:4: bad\n");
    }
}
