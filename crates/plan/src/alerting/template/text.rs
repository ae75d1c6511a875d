//! What functions do with texts: letters, and the hosts and ports of targets. Not patterns, which
//! are `pattern.rs`.

use std::net::IpAddr;

/// Go changes a letter only where one letter takes its place.
pub(super) fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    if upper.len() == 1 { upper.next().unwrap_or(c) } else { c }
}

pub(super) fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// The first letter of each word is made great. An underscore does not end a word.
pub(super) fn title(text: &str) -> String {
    let mut begins = true;
    let each = |c: char| {
        let separates = match c.is_ascii() {
            true => !c.is_ascii_alphanumeric() && c != '_',
            false => c.is_whitespace(),
        };
        if std::mem::replace(&mut begins, separates) { upper(c) } else { c }
    };
    text.chars().map(each).collect()
}

/// `host:port` and `[host]:port` apart.
fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

/// The host of `host:port`; any other text as it is.
pub(super) fn strip_port(text: &str) -> &str {
    host_and_port(text).map_or(text, |(host, _)| host)
}

/// A host without its domain, and with its port. An address is left as it is.
pub(super) fn strip_domain(text: &str) -> String {
    let (host, port) = host_and_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let short = host.split('.').next().unwrap_or(host);
    match port {
        "" => short.to_owned(),
        _ if short.contains(':') => format!("[{short}]:{port}"),
        _ => format!("{short}:{port}"),
    }
}
