//! Paths and queries of the API, with everything in them escaped.

use std::fmt::Write as _;

use atoll_model::Kind;

use crate::error::ClientError;

/// `/v1/{prefix}{plural}/{name}`.
pub(crate) fn object(prefix: &str, kind: Kind, name: &str) -> Result<String, ClientError> {
    Ok(format!("/v1/{prefix}{}/{}", kind.plural(), segment(kind, name)?))
}

/// A part of a path that came from outside. Dots alone would be resolved by whoever reads the
/// address, so that another path would be asked for.
fn segment(kind: Kind, name: &str) -> Result<String, ClientError> {
    if matches!(name, "" | "." | "..") {
        let title = format!("there is no {} named {name:?}", kind.lower());
        return Err(ClientError::local(404, "not-found", title));
    }
    Ok(escape(name))
}

/// Percent-encodes all but what may stand anywhere in an address.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Adds a query of those parameters that have a value.
pub(crate) fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut out = path.to_owned();
    let mut gap = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(out, "{gap}{name}={}", escape(value));
            gap = '&';
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_reaches_another_path() {
        assert_eq!(object("", Kind::Host, "h1").unwrap(), "/v1/hosts/h1");
        assert_eq!(object("why/", Kind::Host, "a/b?c").unwrap(), "/v1/why/hosts/a%2Fb%3Fc");
        for bad in ["", ".", ".."] {
            assert_eq!(object("", Kind::Host, bad).unwrap_err().exit_code(), 5);
        }
        let query = with_query("/x", &[("a", None), ("b", Some("é &".into())), ("c", None)]);
        assert_eq!(query, "/x?b=%C3%A9%20%26");
    }
}
