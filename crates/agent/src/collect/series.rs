//! The series of one target from one look to the next: which labels they have in the end, and
//! which of them have ended. Not where their values come from.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use atoll_metrics::labels::METRIC_NAME;
use atoll_metrics::{STALE, Sample};

use super::outbox::Outbox;

/// Labels of one row at most, with room for those of the target.
const MOST_LABELS: usize = 16;
/// The bytes of a value that are kept.
const LONGEST: usize = 4096;

/// The labels every series of a target has, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base(Vec<(String, String)>);

impl Base {
    /// Of these pairs; those without a value are left out.
    pub fn new(pairs: &[(&str, &str)]) -> Base {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut pairs: Vec<_> = pairs.iter().filter(|p| !p.1.is_empty()).map(owned).collect();
        pairs.sort();
        Base(pairs)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// The series of one target.
#[derive(Debug)]
pub struct Tracked {
    base: Base,
    series: HashMap<u64, Series>,
    turn: u32,
    added: usize,
}

#[derive(Debug)]
struct Series {
    /// Its own labels, each as two texts with their lengths before them.
    labels: Box<[u8]>,
    /// When it was seen last.
    turn: u32,
    /// Whether it has a value now that has to be ended once it is gone.
    live: bool,
}

impl Tracked {
    /// Nothing seen so far of the target of these labels.
    pub fn new(base: Base) -> Tracked {
        Tracked { base, series: HashMap::new(), turn: 0, added: 0 }
    }

    /// The labels of the target.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Another look begins.
    pub fn begin(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        self.added = 0;
    }

    /// Series seen in this look for the first time.
    pub fn added(&self) -> usize {
        self.added
    }

    /// Notes that the series of these labels, sorted by name, is there, and gives the key it has.
    pub fn see(&mut self, row: &[(&str, &str)]) -> u64 {
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        let key = hasher.finish();
        let turn = self.turn;
        if let Some(series) = self.series.get_mut(&key) {
            series.turn = turn;
            return key;
        }
        self.added += 1;
        let labels = encode(row, &self.base);
        self.series.insert(key, Series { labels, turn, live: false });
        key
    }

    /// Sends a value of a series that was seen.
    pub fn send(&mut self, outbox: &mut Outbox, key: u64, value: f64, at: i64) {
        if let Some(series) = self.series.get_mut(&key) {
            series.live = true;
            outbox.add(merged(&self.base, &series.labels), Sample { at, value });
        }
    }

    /// Sends a value that carries its own time. Such a series does not end by being absent, as
    /// Prometheus has it: nobody knows how seldom it is updated.
    pub fn send_dated(&mut self, outbox: &mut Outbox, key: u64, value: f64, at: i64) {
        if let Some(series) = self.series.get(&key) {
            outbox.add(merged(&self.base, &series.labels), Sample { at, value });
        }
    }

    /// Sees and sends a value of the metric of that name; the labels are sorted by name.
    pub fn put(
        &mut self,
        outbox: &mut Outbox,
        at: i64,
        name: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let mut row = [("", ""); MOST_LABELS];
        row[0] = (METRIC_NAME, name);
        let count = labels.len().min(MOST_LABELS - 1);
        row[1..=count].copy_from_slice(&labels[..count]);
        let key = self.see(&row[..=count]);
        self.send(outbox, key, value, at);
    }

    /// The look is over: what was not seen in it has ended.
    pub fn finish(&mut self, outbox: &mut Outbox, at: i64) {
        let (base, turn) = (&self.base, self.turn);
        self.series.retain(|_, series| {
            let here = series.turn == turn;
            if !here && series.live {
                outbox.add(merged(base, &series.labels), Sample { at, value: STALE });
            }
            here
        });
        if self.series.capacity() > 1024 && self.series.capacity() > 4 * self.series.len() {
            self.series.shrink_to_fit();
        }
    }

    /// The target is gone, or has not answered: all its series have ended.
    pub fn end_all(&mut self, outbox: &mut Outbox, at: i64) {
        self.begin();
        self.finish(outbox, at);
    }
}

/// The row's own labels. Those that the target has too are renamed, as Prometheus does. Only the
/// job may be the series' own, since exporters speak for others.
fn encode(row: &[(&str, &str)], base: &Base) -> Box<[u8]> {
    let renamed = |name: &str| {
        let mut name = name.to_owned();
        if name != "job" {
            while base.has(&name) || row.iter().any(|(n, _)| *n == name) {
                name.insert_str(0, "exported_");
            }
        }
        name
    };
    let mut pairs: Vec<(std::borrow::Cow<'_, str>, &str)> = row
        .iter()
        .map(|(name, value)| {
            let known = base.has(name);
            (if known { renamed(name).into() } else { (*name).into() }, *value)
        })
        .collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    let mut bytes = Vec::with_capacity(pairs.iter().map(|(n, v)| n.len() + v.len() + 4).sum());
    for (name, value) in &pairs {
        for text in [name.as_ref(), value] {
            let text = &text[..text.floor_char_boundary(LONGEST)];
            // Cut above to what fits.
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
    }
    bytes.into()
}

/// The labels of target and series, sorted by name.
fn merged<'a>(base: &'a Base, own: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut base = base.0.iter().map(|(n, v)| (n.as_str(), v.as_str())).peekable();
    let mut own = Pairs(own).peekable();
    std::iter::from_fn(move || match (base.peek(), own.peek()) {
        (Some(ours), Some(theirs)) => match ours.0.cmp(theirs.0) {
            std::cmp::Ordering::Less => base.next(),
            std::cmp::Ordering::Equal => {
                base.next();
                own.next()
            }
            std::cmp::Ordering::Greater => own.next(),
        },
        (Some(_), None) => base.next(),
        (None, _) => own.next(),
    })
}

struct Pairs<'a>(&'a [u8]);

impl<'a> Pairs<'a> {
    fn text(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);
    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        Some((self.text()?, self.text()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::outbox::tests::lines;

    fn target() -> Tracked {
        Tracked::new(Base::new(&[("job", "web"), ("host", "h1"), ("instance", "w.0"), ("x", "")]))
    }

    #[test]
    fn labels_of_the_target_win_and_others_are_renamed() {
        let (mut outbox, mut target) = (Outbox::default(), target());
        target.begin();
        let labels = [("exported_host", "c"), ("host", "b"), ("job", "own"), ("zone", "z")];
        target.put(&mut outbox, 7, "m", &labels, 1.5);
        assert_eq!(
            lines(&mut outbox),
            ["m{exported_exported_host=\"b\", exported_host=\"c\", host=\"h1\", \
              instance=\"w.0\", job=\"own\", zone=\"z\"} 1.5 @7"]
        );
    }

    #[test]
    fn what_is_gone_ends_once() {
        let (mut outbox, mut target) = (Outbox::default(), target());
        let mut look = |at: i64, names: &[&str]| {
            target.begin();
            for name in names {
                target.put(&mut outbox, at, name, &[], 1.0);
            }
            target.finish(&mut outbox, at);
            let short = |line: String| {
                let (name, rest) = line.split_once('{').unwrap();
                format!("{name} {}", rest.split_once("} ").unwrap().1)
            };
            let mut seen: Vec<String> = lines(&mut outbox).into_iter().map(short).collect();
            seen.sort();
            (target.added(), seen)
        };
        assert_eq!(look(1, &["a", "b"]), (2, vec!["a 1 @1".into(), "b 1 @1".into()]));
        assert_eq!(look(2, &["a"]), (0, vec!["a 1 @2".into(), "b stale @2".into()]));
        assert_eq!(look(3, &["a"]), (0, vec!["a 1 @3".into()]));
        assert_eq!(look(4, &["a", "b"]), (1, vec!["a 1 @4".into(), "b 1 @4".into()]));
        assert_eq!(look(5, &[]), (0, vec!["a stale @5".into(), "b stale @5".into()]));
        assert_eq!(look(6, &[]), (0, vec![]));
    }

    #[test]
    fn what_was_never_sent_or_has_its_own_time_does_not_end() {
        let (mut outbox, mut target) = (Outbox::default(), target());
        target.begin();
        target.see(&[("__name__", "seen")]);
        let key = target.see(&[("__name__", "dated")]);
        target.send_dated(&mut outbox, key, 1.0, 3);
        target.finish(&mut outbox, 4);
        assert_eq!(lines(&mut outbox).len(), 1);
        target.end_all(&mut outbox, 5);
        assert_eq!(lines(&mut outbox), Vec::<String>::new());
    }
}
