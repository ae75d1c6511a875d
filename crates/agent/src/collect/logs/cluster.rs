//! Lines of errors that say the same, counted together, in a bounded number of kinds. Lines come
//! with what varies masked already.

/// Kinds told apart; the rest is counted as one.
const MOST: usize = 50;
/// Words compared.
const WORDS: usize = 32;
/// The characters of a template that are shown.
const SHOWN: usize = 120;

/// Kinds of errors and how often each came.
#[derive(Debug, Default)]
pub struct Clusters {
    kinds: Vec<Kind>,
    others: u64,
}

/// One kind. What it is called is fixed by its first line, or its series would change its name
/// with every line that is a little different.
#[derive(Debug)]
struct Kind {
    /// Words that all lines of this kind have in common; none where they differ.
    words: Vec<Option<Box<str>>>,
    text: Box<str>,
    id: Box<str>,
    count: u64,
}

impl Clusters {
    /// Counts a masked line.
    pub fn count(&mut self, masked: &str) {
        let words: Vec<&str> = masked.split_ascii_whitespace().take(WORDS).collect();
        if words.is_empty() {
            return;
        }
        if let Some(kind) = self.kinds.iter_mut().find(|kind| kind.is_of(&words)) {
            kind.count += 1;
            kind.generalise(&words);
        } else if self.kinds.len() < MOST {
            let hash = blake3::hash(words.join(" ").as_bytes());
            self.kinds.push(Kind {
                words: words.iter().map(|word| Some((*word).into())).collect(),
                text: masked.chars().take(SHOWN).collect::<String>().into(),
                id: hash.to_hex()[..8].into(),
                count: 1,
            });
        } else {
            self.others += 1;
        }
    }

    /// Template, id and count of each kind.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        let others = (self.others > 0).then_some(("other", "00000000", self.others));
        self.kinds.iter().map(|k| (&*k.text, &*k.id, k.count)).chain(others)
    }
}

impl Kind {
    /// As many words, the first the same, and of those that say something at least seven of ten.
    fn is_of(&self, words: &[&str]) -> bool {
        if self.words.len() != words.len() || self.words[0].as_deref() != Some(words[0]) {
            return false;
        }
        let (mut telling, mut same) = (0, 0);
        for (known, word) in self.words.iter().zip(words) {
            let Some(known) = known else { continue };
            if known.contains('<') {
                continue;
            }
            telling += 1;
            same += usize::from(**known == **word);
        }
        same * 10 >= telling * 7
    }

    fn generalise(&mut self, words: &[&str]) {
        for (known, word) in self.words.iter_mut().zip(words).skip(1) {
            if known.as_deref().is_some_and(|known| known != *word) {
                *known = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_lines_are_one_kind_and_others_are_not() {
        let mut clusters = Clusters::default();
        for line in [
            "cannot reach database at <ip> : timeout",
            "cannot reach database at <ip> : refused",
            "cannot write file <str> : full",
            "user <n> not found",
            "order <n> not found",
            "user <n> not found",
            " ",
        ] {
            clusters.count(line);
        }
        let counts: Vec<(&str, u64)> = clusters.all().map(|(text, _, n)| (text, n)).collect();
        assert_eq!(
            counts,
            [
                ("cannot reach database at <ip> : timeout", 2),
                ("cannot write file <str> : full", 1),
                ("user <n> not found", 2),
                ("order <n> not found", 1),
            ]
        );
        let mut again = Clusters::default();
        again.count("user <n> not found");
        let id = again.all().next().unwrap().1.to_owned();
        assert_eq!(clusters.all().nth(2).unwrap().1, id, "the same on every host");
    }

    #[test]
    fn kinds_and_their_texts_are_bounded() {
        let mut clusters = Clusters::default();
        for i in 0..1000_u32 {
            let word: String = i.to_string().bytes().map(|b| char::from(b + 49)).collect();
            clusters.count(&format!("{word} failed {}", "é".repeat(500)));
        }
        assert_eq!(clusters.all().count(), MOST + 1);
        let (text, id, count) = clusters.all().last().unwrap();
        assert_eq!((text, id, count), ("other", "00000000", 950));
        assert!(clusters.all().all(|(text, _, _)| text.chars().count() <= SHOWN));
    }
}
