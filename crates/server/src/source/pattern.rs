//! Patterns of branches and paths: `*` is anything but a slash, `**` anything at all.

/// Whether a text is as the pattern says.
pub fn matches(pattern: &str, text: &str) -> bool {
    fits(pattern.as_bytes(), text.as_bytes())
}

/// Goes back to the last star of either kind where what follows it does not fit: the cost is the
/// product of the lengths, whatever the pattern.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let star = pattern[at] == b'*';
        let deep = star && pattern.get(at + 1) == Some(&b'*');
        if star {
            for i in 1..=text.len() {
                reached[i] |= reached[i - 1] && (deep || text[i - 1] != b'/');
            }
            at += if deep { 2 } else { 1 };
            // `a/**/b` holds `a/b` too.
            if deep && pattern.get(at) == Some(&b'/') {
                let ends = |i: usize| i == 0 || text[i - 1] == b'/';
                for (i, is) in reached.iter_mut().enumerate() {
                    *is &= ends(i);
                }
                at += 1;
            }
            continue;
        }
        for i in (1..=text.len()).rev() {
            reached[i] = reached[i - 1] && text[i - 1] == pattern[at];
        }
        reached[0] = false;
        at += 1;
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stop_at_slashes_unless_there_are_two() {
        for (pattern, text, expected) in [
            ("main", "main", true),
            ("main", "maine", false),
            ("release/*", "release/1.2", true),
            ("release/*", "release/1/2", false),
            ("release/**", "release/1/2", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("src/**/*.rs", "src/a/b/c.rs", true),
            ("src/**/*.rs", "src/c.rs", true),
            ("src/**/*.rs", "srcc.rs", false),
            ("docs/*.md", "docs/guide.md", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        let slow = "*a".repeat(60);
        assert!(!matches(&slow, &"a".repeat(5_000).replace('a', "b")));
    }
}
