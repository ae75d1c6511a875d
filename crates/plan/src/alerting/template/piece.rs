//! A text cut into its actions and what is between them. Not what actions mean.
//!
//! The rules are those of <https://pkg.go.dev/text/template#hdr-Text_and_spaces>.

/// What `-` next to a delimiter takes away, and what stands between words.
pub(super) const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// No action of a rule is longer. What is longer is not searched for its end over and over.
const LONGEST_ACTION: usize = 4096;

/// A part of a text, and where it is.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub kind: Kind<'a>,
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'a> {
    Text(&'a str),
    /// What is between the delimiters.
    Action(&'a str),
    /// An action without an end.
    Unclosed,
}

/// All pieces in order. Comments are left out.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut trims) = (text, false);
    while let Some((before, after)) = rest.split_once("{{") {
        let start = text.len() - after.len() - 2;
        let opening = after.strip_prefix('-').filter(|body| body.starts_with(BLANK));
        let from = text.len() - rest.len();
        let before = if trims { before.trim_start_matches(BLANK) } else { before };
        let before = if opening.is_some() { before.trim_end_matches(BLANK) } else { before };
        if !before.is_empty() {
            pieces.push(Piece { kind: Kind::Text(before), start: from, end: start });
        }
        let body = opening.unwrap_or(after);
        let Some(cut) = comment(body, opening.is_some()).or_else(|| action(body)) else {
            pieces.push(Piece { kind: Kind::Unclosed, start, end: text.len() });
            return pieces;
        };
        (rest, trims) = (cut.rest, cut.trims);
        if let Some(inside) = cut.inside {
            let end = text.len() - rest.len();
            pieces.push(Piece { kind: Kind::Action(inside), start, end });
        }
    }
    let from = text.len() - rest.len();
    let rest = if trims { rest.trim_start_matches(BLANK) } else { rest };
    if !rest.is_empty() {
        pieces.push(Piece { kind: Kind::Text(rest), start: from, end: text.len() });
    }
    pieces
}

/// An action cut off from what is behind it.
struct Cut<'a> {
    /// Nothing for a comment.
    inside: Option<&'a str>,
    trims: bool,
    rest: &'a str,
}

/// A comment touches its delimiters, or their trim markers' blanks.
fn comment(body: &str, trimming: bool) -> Option<Cut<'_>> {
    let body = if trimming { body.strip_prefix(BLANK)? } else { body };
    let (_, behind) = body.strip_prefix("/*")?.split_once("*/")?;
    if let Some(rest) = behind.strip_prefix("}}") {
        return Some(Cut { inside: None, trims: false, rest });
    }
    let rest = behind.strip_prefix(BLANK)?.strip_prefix("-}}")?;
    Some(Cut { inside: None, trims: true, rest })
}

fn action(body: &str) -> Option<Cut<'_>> {
    let at = closing(body).or_else(|| body.find("}}"))?;
    let (inside, rest) = (body.get(..at)?, body.get(at + 2..)?);
    let bare = inside.strip_suffix('-').filter(|bare| bare.ends_with(BLANK));
    Some(Cut { inside: Some(bare.unwrap_or(inside)), trims: bare.is_some(), rest })
}

/// Where the delimiter is that is not inside quotes.
fn closing(body: &str) -> Option<usize> {
    let (mut quote, mut escaped, mut before) = (None, false, ' ');
    for (at, c) in body.char_indices().take_while(|(at, _)| *at < LONGEST_ACTION) {
        match (quote, c) {
            (Some('"' | '\''), '\n') => return None,
            (Some(_), _) if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`' | '\'') => quote = Some(c),
            (None, '}') if before == '}' => return at.checked_sub(1),
            (None, _) => {}
        }
        before = if quote.is_none() { c } else { ' ' };
    }
    None
}
