//! References to images of containers: `registry:5000/team/shop:1.2`, with a digest where the
//! content is fixed. Not how they are fetched.

use crate::name::Invalid;

/// A reference taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// The registry it names itself; none, where the engine's own rules say which is meant.
    pub registry: Option<&'a str>,
    /// The name in the registry.
    pub repository: &'a str,
    /// The tag.
    pub tag: Option<&'a str>,
    /// `sha256:…`: exactly this content.
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Takes a reference apart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'a str) -> Result<Image<'a>, Invalid> {
        let wrong = |why: &str| Err(Invalid::one("", format!("{text:?}: {why}")));
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return wrong("what follows @ is no digest; write sha256: and 64 hexadecimal digits");
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if names_registry(first) => (Some(first), rest),
            _ => (None, name),
        };
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return wrong("what follows : is no tag; write letters, digits, '.', '_' and '-'");
        }
        if repository.is_empty() || !repository.split('/').all(is_part) {
            return wrong("write it as [REGISTRY/]NAME[:TAG] or [REGISTRY/]NAME@sha256:DIGEST");
        }
        Ok(Image { registry, repository, tag, digest })
    }

    /// Its name with the registry, without tag and digest.
    pub fn name(&self) -> String {
        match self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None => self.repository.to_owned(),
        }
    }
}

/// Whether a reference means one content for ever: it carries a digest, or is one.
pub fn is_pinned(text: &str) -> bool {
    is_digest(text) || Image::parse(text).is_ok_and(|image| image.digest.is_some())
}

/// Whether the text is `sha256:` and 64 hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.strip_prefix("sha256:").is_some_and(|sum| sum.len() == 64 && sum.bytes().all(hex))
}

/// What comes before the first slash is a registry where it could not be a part of a name.
fn names_registry(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    (text.contains(['.', ':']) || text == "localhost") && text.chars().all(plain)
}

fn is_tag(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with(['.', '-'])
}

fn is_part(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.bytes().all(plain) && edge(text.chars().next()) && edge(text.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let parts = |text| {
            let image = Image::parse(text).unwrap();
            (image.registry, image.repository, image.tag, image.digest.is_some())
        };
        let sum = "a".repeat(64);
        assert_eq!(parts("shop"), (None, "shop", None, false));
        assert_eq!(parts("team/shop:1.2"), (None, "team/shop", Some("1.2"), false));
        let full = "registry:5000/team/shop:1.2";
        assert_eq!(parts(full), (Some("registry:5000"), "team/shop", Some("1.2"), false));
        assert_eq!(parts("localhost/shop"), (Some("localhost"), "shop", None, false));
        let pinned = format!("ghcr.io/a/b@sha256:{sum}");
        assert_eq!(parts(&pinned), (Some("ghcr.io"), "a/b", None, true));
        assert_eq!(Image::parse(full).unwrap().name(), "registry:5000/team/shop");
        assert!(is_pinned(&pinned) && is_pinned(&format!("sha256:{sum}")) && !is_pinned("a:1"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", ":1", "Shop", "a b", "a@sha256:12", "a:", "a//b", "a:.x", "-a", "a/../b"] {
            assert!(Image::parse(text).is_err(), "{text:?}");
        }
    }
}
