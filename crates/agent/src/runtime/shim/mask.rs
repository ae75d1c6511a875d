//! Values of secrets taken out of a stream before it is written anywhere: as they are, and in
//! base64 wherever they stand in what was encoded, also over breaks of lines and over the ends of
//! pieces. It knows no other disguise: whoever has a secret can always print it in another form.

/// What is written in the place of a secret.
const STARS: &[u8] = b"***";
/// What is shorter is no secret, and would take half of every log with it.
const SHORTEST: usize = 4;

/// Takes secrets out of one stream.
pub struct Mask {
    /// What is looked for, the longest first; breaks of lines are left out of it.
    patterns: Vec<Vec<u8>>,
    /// The end of what was seen so far, which may be the beginning of a secret.
    held: Vec<u8>,
}

impl Mask {
    /// A mask of these values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Mask {
        let mut patterns = Vec::new();
        for value in values {
            patterns.extend(forms(value.trim().as_bytes()));
            // Programs print values of several lines line by line.
            if value.trim().contains('\n') {
                value
                    .lines()
                    .map(str::trim)
                    .for_each(|line| patterns.extend(forms(line.as_bytes())));
            }
        }
        patterns.retain(|pattern| pattern.len() >= SHORTEST);
        patterns.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        patterns.dedup();
        Mask { patterns, held: Vec::new() }
    }

    /// The next piece; what may be the beginning of a secret is kept back.
    pub fn take(&mut self, data: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(data);
        self.pass(false)
    }

    /// Whether nothing is kept back.
    pub fn is_clear(&self) -> bool {
        self.held.is_empty()
    }

    /// What is still kept back, at the end.
    pub fn finish(&mut self) -> Vec<u8> {
        self.pass(true)
    }

    fn pass(&mut self, end: bool) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        if self.patterns.is_empty() {
            return held;
        }
        // The places of all bytes that count.
        let places: Vec<usize> =
            (0..held.len()).filter(|at| !matches!(held[*at], b'\n' | b'\r')).collect();
        let text: Vec<u8> = places.iter().map(|at| held[*at]).collect();
        let mut firsts = [false; 256];
        self.patterns.iter().for_each(|p| firsts[usize::from(p[0])] = true);
        let (mut out, mut copied, mut at) = (Vec::with_capacity(held.len()), 0, 0);
        while at < text.len() {
            if !firsts[usize::from(text[at])] {
                at += 1;
                continue;
            }
            let rest = &text[at..];
            if !end && self.patterns.iter().any(|p| p.len() > rest.len() && p.starts_with(rest)) {
                break;
            }
            match self.patterns.iter().find(|p| rest.starts_with(p)) {
                Some(pattern) => {
                    out.extend_from_slice(&held[copied..places[at]]);
                    out.extend_from_slice(STARS);
                    at += pattern.len();
                    copied = places[at - 1] + 1;
                }
                None => at += 1,
            }
        }
        let until = places.get(at).copied().unwrap_or(held.len()).max(copied);
        out.extend_from_slice(&held[copied..until]);
        self.held = held[until..].to_vec();
        out
    }
}

/// A value as it is and in base64, at each of the three places it may have among groups of three.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let plain: Vec<u8> = value.iter().copied().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    if plain.len() < SHORTEST {
        return Vec::new();
    }
    let mut all = vec![plain];
    for alphabet in [b"+/", b"-_"] {
        for before in 0..3 {
            let mut padded = vec![0; before];
            padded.extend_from_slice(value);
            let text = base64(&padded, *alphabet);
            // The first and the last letters hold bits of others too.
            let from = [0, 2, 3][before];
            let to = padded.len() * 8 / 6;
            all.push(text[from..to.max(from)].to_vec());
        }
    }
    all
}

/// Without padding.
fn base64(bytes: &[u8], last: [u8; 2]) -> Vec<u8> {
    let letter = |six: u32| match six {
        0..=25 => b'A' + six as u8,
        26..=51 => b'a' + (six - 26) as u8,
        52..=61 => b'0' + (six - 52) as u8,
        62 => last[0],
        _ => last[1],
    };
    let mut text = Vec::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letters = (0..=group.len()).map(|at| letter(bits >> (18 - 6 * at) & 63));
        text.extend(letters);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t-of-the-house/42";

    fn masked(text: &str, piece: usize) -> String {
        let mut mask = Mask::new([SECRET, "other value"]);
        let mut out = Vec::new();
        for part in text.as_bytes().chunks(piece) {
            out.extend(mask.take(part));
        }
        out.extend(mask.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_not_seen_however_it_is_cut() {
        let text = format!("a {SECRET} b\nother value{SECRET}\n s3cr3t-of-the-garden s3c");
        for piece in 1..text.len() {
            let out = masked(&text, piece);
            assert_eq!(out, "a *** b\n******\n s3cr3t-of-the-garden s3c", "{piece}");
        }
    }

    #[test]
    fn a_secret_in_base64_is_not_seen() {
        for before in ["", "u", "us", "user:"] {
            let whole = format!("{before}{SECRET} and what follows it in the same breath");
            let text = String::from_utf8(base64(whole.as_bytes(), *b"+/")).unwrap();
            let lines: Vec<String> =
                text.as_bytes().chunks(19).map(|l| String::from_utf8_lossy(l).into()).collect();
            let out = masked(&lines.join("\n"), 7);
            assert!(out.contains("***"), "{out}");
            let middle = &text[(before.len() + 3) * 4 / 3..(before.len() + 14) * 4 / 3];
            assert!(!out.replace('\n', "").contains(middle), "{out}");
        }
    }

    #[test]
    fn nothing_is_held_that_cannot_be_a_secret() {
        let mut mask = Mask::new([SECRET, "abc", ""]);
        assert_eq!(mask.take(b"abc plain\n"), b"abc plain\n");
        assert_eq!(mask.take(b"so s3cr"), b"so ");
        assert_eq!(mask.take(b"et"), b"s3cret");
        assert_eq!(Mask::new([]).take(b"x"), b"x");
    }

    #[test]
    fn lines_of_a_value_are_secrets_too() {
        let mut mask = Mask::new(["BEGIN\nfirst line\nsecond line\nEND\n"]);
        let mut out = mask.take(b"> second line <");
        out.extend(mask.finish());
        assert_eq!(out, b"> *** <");
    }
}
