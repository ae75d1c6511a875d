//! The labels of a series as bytes: each name and value with its length before it, sorted by name.
//! Equal labels have equal bytes, so series are compared, hashed and sorted by them.

use super::bits::{put_varint, take_bytes, take_varint};

/// What a label may be at most; see [`super::Options`].
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Labels of a series.
    pub labels: usize,
    /// Bytes of a name.
    pub name: usize,
    /// Bytes of a value.
    pub value: usize,
}

/// Writes the key of labels in any order into `key`; those with an empty value are left out.
/// `order` is memory that is used again.
///
/// # Errors
/// Why there is no such series.
pub fn write(
    labels: &[(&str, &str)],
    bounds: Bounds,
    order: &mut Vec<u32>,
    key: &mut Vec<u8>,
) -> Result<(), String> {
    key.clear();
    let mut count = 0;
    let mut before: Option<&str> = None;
    let mut sorted = true;
    for &(name, value) in labels {
        if value.is_empty() {
            continue;
        }
        if before.is_some_and(|b| b >= name) {
            sorted = false;
            break;
        }
        put(name, value, bounds, key)?;
        before = Some(name);
        count += 1;
    }
    if !sorted {
        count = write_sorted(labels, bounds, order, key)?;
    }
    if count == 0 {
        return Err("a series has no labels".to_owned());
    }
    if count > bounds.labels {
        return Err(format!("a series has {count} labels, more than {}", bounds.labels));
    }
    Ok(())
}

fn write_sorted(
    labels: &[(&str, &str)],
    bounds: Bounds,
    order: &mut Vec<u32>,
    key: &mut Vec<u8>,
) -> Result<usize, String> {
    key.clear();
    order.clear();
    order.extend((0..labels.len() as u32).filter(|i| !labels[*i as usize].1.is_empty()));
    order.sort_unstable_by_key(|i| labels[*i as usize].0);
    for (i, at) in order.iter().enumerate() {
        let (name, value) = labels[*at as usize];
        if i > 0 && labels[order[i - 1] as usize].0 == name {
            return Err(format!("a series has the label {:?} twice", cut(name)));
        }
        put(name, value, bounds, key)?;
    }
    Ok(order.len())
}

fn put(name: &str, value: &str, bounds: Bounds, key: &mut Vec<u8>) -> Result<(), String> {
    if name.is_empty() {
        return Err("a label has no name".to_owned());
    }
    if name.len() > bounds.name {
        let (have, most) = (name.len(), bounds.name);
        return Err(format!("a label's name {:?} has {have} bytes, more than {most}", cut(name)));
    }
    if value.len() > bounds.value {
        let (have, most) = (value.len(), bounds.value);
        return Err(format!("the label {name:?} has {have} bytes, more than {most}"));
    }
    put_varint(key, name.len() as u64);
    key.extend_from_slice(name.as_bytes());
    put_varint(key, value.len() as u64);
    key.extend_from_slice(value.as_bytes());
    Ok(())
}

/// What is only asked of new series: the index of a block ends names with a zero.
///
/// # Errors
/// Why there is no such series.
pub fn check(key: &[u8]) -> Result<(), String> {
    match pairs(key).find(|(name, _)| name.contains('\0')) {
        Some((name, _)) => Err(format!("the name of the label {:?} has a zero in it", cut(name))),
        None => Ok(()),
    }
}

/// The start of a text, for a message.
fn cut(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(at, _)| &text[..at])
}

/// The names and values of a key; it ends early where the bytes are no key.
pub fn pairs(mut key: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let mut part = || {
            let length = take_varint(&mut key)? as usize;
            std::str::from_utf8(take_bytes(&mut key, length)?).ok()
        };
        Some((part()?, part()?))
    })
}

/// Whether bytes are a key from the first to the last.
pub fn is_valid(key: &[u8]) -> bool {
    let mut length = 0;
    let varint = |n: usize| if n < 0x80 { 1 } else { 1 + (n.ilog2() as usize) / 7 };
    for (name, value) in pairs(key) {
        length += varint(name.len()) + name.len() + varint(value.len()) + value.len();
    }
    length == key.len() && length > 0
}

/// The value of one label; empty where there is none.
pub fn value<'a>(key: &'a [u8], name: &str) -> &'a str {
    pairs(key).find(|(n, _)| *n == name).map_or("", |(_, value)| value)
}

/// A key as it is shown: `name{label="value"}`, cut where it is long.
pub fn display(key: &[u8]) -> String {
    let text = crate::labels::Labels::new(pairs(key)).to_string();
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A quick hash of bytes. Two keys of one hash are told apart by their bytes, and `seed` differs
/// from process to process, so nobody can choose labels that all meet in one place.
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = seed ^ bytes.len() as u64;
    let (words, tail) = bytes.as_chunks::<16>();
    for word in words {
        let low = u64::from_le_bytes(word[..8].try_into().unwrap_or_default());
        let high = u64::from_le_bytes(word[8..].try_into().unwrap_or_default());
        state = fold(low ^ state, high ^ FACTOR).rotate_left(23) ^ state;
    }
    let mut last = [0; 16];
    last[..tail.len()].copy_from_slice(tail);
    let last = u128::from_le_bytes(last);
    state = fold(last as u64 ^ state, (last >> 64) as u64 ^ FACTOR) ^ state.rotate_left(29);
    fold(state ^ seed.rotate_left(32), FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { labels: 3, name: 5, value: 200 };

    fn written(labels: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        let mut key = Vec::new();
        write(labels, BOUNDS, &mut Vec::new(), &mut key).map(|()| key)
    }

    #[test]
    fn the_order_does_not_matter() {
        let key = written(&[("b", "1"), ("a", "2"), ("c", "")]).unwrap();
        assert_eq!(key, written(&[("a", "2"), ("b", "1")]).unwrap());
        assert_eq!(pairs(&key).collect::<Vec<_>>(), [("a", "2"), ("b", "1")]);
        assert!(is_valid(&key) && !is_valid(&key[..3]) && !is_valid(b""));
        let long = written(&[("a", &"x".repeat(130))]).unwrap();
        assert!(is_valid(&long));
        assert_eq!(value(&key, "b"), "1");
        assert_eq!(value(&key, "z"), "");
    }

    #[test]
    fn bad_labels_are_refused() {
        for bad in [
            &[][..],
            &[("a", "")],
            &[("", "x")],
            &[("a", "1"), ("a", "2")],
            &[("toolong", "1")],
            &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")],
        ] {
            assert!(written(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn near_keys_have_far_hashes() {
        let mut seen = std::collections::HashSet::new();
        for i in 0..20_000_u32 {
            let key = format!("instance{i:08}job");
            let hash = hash(7, key.as_bytes());
            assert!(seen.insert(hash as u32 as u64 | hash >> 63 << 32));
            assert_ne!(hash, super::hash(8, key.as_bytes()));
        }
    }
}
