//! What two lines of the same cause have in common: whatever differs from one to the next is
//! replaced by what it is.

/// What is looked at of a line, in bytes.
const LONGEST: usize = 512;

/// Replaces times, addresses, ids, numbers and quoted texts.
pub fn mask(line: &str) -> String {
    let line = &line[..line.floor_char_boundary(LONGEST)];
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = skip_quoted(rest, first, out.chars().next_back()) {
            out.push_str("<str>");
            rest = after;
        } else if is_gap(first) {
            let gap = if first.is_whitespace() || first.is_control() { ' ' } else { first };
            if gap != ' ' || !(out.ends_with(' ') || out.is_empty()) {
                out.push(gap);
            }
            rest = &rest[first.len_utf8()..];
        } else {
            let end = rest.find(is_gap).unwrap_or(rest.len());
            word(&rest[..end], &mut out);
            rest = &rest[end..];
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`()[]{}<>,;=|".contains(c)
}

/// What follows a quoted text that begins here. An apostrophe within a word begins none.
fn skip_quoted(rest: &str, quote: char, before: Option<char>) -> Option<&str> {
    if !matches!(quote, '"' | '\'' | '`') || before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let inner = &rest[1..];
    Some(&inner[inner.find(quote)? + 1..])
}

fn word(word: &str, out: &mut String) {
    let body = word.trim_end_matches([':', '.', '!', '?']);
    let tail = &word[body.len()..];
    if let Some(kind) = whole(body) {
        out.push_str(kind);
    } else {
        let mut start = 0;
        // Parts of paths and names are judged one by one.
        for (at, c) in body.char_indices().filter(|(_, c)| "/-:@#_.".contains(*c)) {
            part(&body[start..at], out);
            out.push(c);
            start = at + 1;
        }
        part(&body[start..], out);
    }
    out.push_str(tail);
}

/// What a word is as a whole, if it is one of those that vary.
fn whole(word: &str) -> Option<&'static str> {
    let bytes = word.as_bytes();
    if !bytes.iter().any(u8::is_ascii_digit) && bytes.len() < 36 {
        return None;
    }
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let is_uuid = bytes.len() == 36
        && bytes.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    if is_uuid {
        return Some("<uuid>");
    }
    let dated = digits(0..4) && digits(5..7) && digits(8..10);
    if dated && matches!(bytes[4], b'-' | b'/') && bytes[7] == bytes[4] {
        return Some("<time>");
    }
    if digits(0..2) && digits(3..5) && digits(6..8) && bytes[2] == b':' && bytes[5] == b':' {
        return Some("<time>");
    }
    let (address, port) = word.rsplit_once(':').unwrap_or((word, "0"));
    let is_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if (is_port && address.parse::<std::net::IpAddr>().is_ok())
        || word.parse::<std::net::IpAddr>().is_ok()
    {
        return Some("<ip>");
    }
    if word.strip_prefix('-').unwrap_or(word).parse::<f64>().is_ok() {
        return Some("<n>");
    }
    None
}

/// A part of a word: ids in hexadecimal as a whole, other digits one run after the other.
fn part(text: &str, out: &mut String) {
    let bare = text.strip_prefix("0x").filter(|bare| !bare.is_empty());
    let all_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    let mixed =
        text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().any(|b| b.is_ascii_alphabetic());
    if bare.is_some_and(all_hex) || (text.len() >= 8 && mixed && all_hex(text)) {
        out.push_str("<hex>");
        return;
    }
    let mut digits = false;
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !digits {
            out.push_str("<n>");
        }
        digits = c.is_ascii_digit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_replaced() {
        for (line, masked) in [
            ("took 15ms, 3.5 tries of -4", "took <n>ms,<n> tries of <n>"),
            ("2026-01-02T03:04:05.678Z ERROR no", "<time> ERROR no"),
            ("2026/01/02 03:04:05 [error] 7#7: *12 x", "<time> <time> [error] <n>#<n>: *<n> x"),
            ("dial tcp 10.0.0.1:8080: refused", "dial tcp <ip>: refused"),
            ("peer fe80::1 left", "peer <ip> left"),
            ("id 123e4567-e89b-12d3-a456-426614174000!", "id <uuid>!"),
            ("at 0x7ffe12 commit 9df94df1", "at <hex> commit <hex>"),
            ("open \"/tmp/a b\" can't 'x y'", "open <str> can't <str>"),
            ("file /var/lib/app-17/data/9/x.log", "file /var/lib/app-<n>/data/<n>/x.log"),
            ("user=42 left\tafter  5", "user=<n> left after <n>"),
            ("deadbeef is a word, feed too", "deadbeef is a word,feed too"),
            ("\u{1b}ünï 5€", "ünï <n>€"),
            ("quote \" alone", "quote \" alone"),
        ] {
            let got = mask(line).replace(", ", ",");
            assert_eq!(got, masked.replace(", ", ","), "{line}");
        }
        assert!(mask(&"é".repeat(600)).len() <= LONGEST);
    }
}
