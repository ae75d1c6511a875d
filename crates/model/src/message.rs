//! The templates of messages to people: how they are filled in, and what is wrong with one before
//! anything is sent. Not what a message says where a receiver has no template, which is the
//! server's `notify/message.rs`.

use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind};
use serde_json::{Value, json};

/// A template may do so much work, in instructions of the engine; a usual one does some hundreds
/// for each alert.
const MOST_WORK: u64 = 2_000_000;

/// Fills in a template.
///
/// # Errors
/// What is wrong with it, or that it works for too long.
pub fn render(template: &str, names: &Value) -> Result<String, String> {
    fill(template, names).map_err(|error| said(&error))
}

/// What is wrong with a template whatever the message: its syntax, or a filter, test or function
/// that there is none of.
pub fn check(template: &str) -> Result<(), String> {
    match fill(template, &example()) {
        Err(error) if always_wrong(error.kind()) => Err(said(&error)),
        // Another message may have what the example has not.
        _ => Ok(()),
    }
}

fn fill(template: &str, names: &Value) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_recursion_limit(64);
    environment.set_fuel(Some(MOST_WORK));
    environment.render_str(template, Serde(names))
}

fn always_wrong(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::OutOfFuel
    )
}

fn said(error: &Error) -> String {
    let at = error.line().map_or(String::new(), |line| format!("line {line}: "));
    let kind = error.kind().to_string();
    error.detail().map_or_else(|| format!("{at}{kind}"), |detail| format!("{at}{kind}: {detail}"))
}

/// The names of a message, with values for all of them.
pub fn example() -> Value {
    let labels = json!({ "alertname": "Slow", "deployment": "shop.prod" });
    let annotations = json!({ "summary": "it is slow" });
    json!({
        "status": "firing",
        "cause": "new",
        "receiver": "ops",
        "group": labels,
        "labels": labels,
        "annotations": annotations,
        "firing": 1,
        "resolved": 0,
        "alerts": [{
            "name": "Slow",
            "status": "firing",
            "labels": labels,
            "annotations": annotations,
            "summary": "it is slow",
            "since": "2026-11-11T00:00:00.000Z",
            "ended": "2026-11-11T00:00:00.000Z",
            "subject": "deployment/shop.prod",
            "owner": "team/shop",
            "suspect": "release/shop-2: rolled out",
        }],
        "more": 0,
        "moreResolved": 0,
        "address": "http://atoll.example",
        "notification": "ops.slow.1",
        "heading": "[FIRING:1] Slow",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_filled_in_is_told_beforehand() {
        for good in ["", "{{ heading }}", "{% for a in alerts %}{{ a.labels.pod.x }}{% endfor %}"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let cases = [
            ("{{ alerts | nix(  T", "line 1: syntax error"),
            ("a\n{{ alerts | nix }}", "line 2: unknown filter: filter nix is unknown"),
            ("{% include 'x' %}", "unknown statement include"),
            ("{% for a in alerts %}", "syntax error"),
            (endless, "fuel"),
        ];
        for (template, wanted) in cases {
            let wrong = check(template).unwrap_err();
            assert!(wrong.contains(wanted), "{wanted:?} is not in {wrong:?}");
        }
    }
}
