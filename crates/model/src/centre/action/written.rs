//! How an action is written: a word, or where it takes fields, the word with these. Who leaves the
//! fields out, or gives some to a word that takes none, is told what to write.

use std::fmt;

use serde::Deserialize;
use serde::de::{EnumAccess, Error, VariantAccess, Visitor};

use super::Action;

/// The words.
pub(super) const WORDS: [&str; 9] =
    ["restart", "drain", "rollBack", "raise", "lower", "switch", "borrow", "evacuate", "giveBack"];

/// Reads an action.
pub(super) struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Action;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an action: a word, as restart, or one with fields, as raise: { by: 25% }")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<Action, A::Error> {
        let (word, of) = from.variant::<String>()?;
        match word.as_str() {
            "restart" => bare(of, &word).map(|()| Action::Restart),
            "drain" => bare(of, &word).map(|()| Action::Drain),
            "rollBack" => bare(of, &word).map(|()| Action::RollBack),
            "evacuate" => bare(of, &word).map(|()| Action::Evacuate),
            "raise" => fields(of, "raise: { by: 25%, bound: 20 }").map(Action::Raise),
            "lower" => fields(of, "lower: { by: 1, bound: 2 }").map(Action::Lower),
            "borrow" => fields(of, "borrow: {}, or borrow: { by: 25% }").map(Action::Borrow),
            "switch" => fields(of, "switch: { key: degraded, value: true }").map(Action::Switch),
            "giveBack" => fields(of, "giveBack: { decision: NAME }").map(Action::GiveBack),
            other => Err(Error::unknown_variant(other, &WORDS)),
        }
    }
}

/// What follows a word that takes none.
fn bare<'de, V: VariantAccess<'de>>(of: V, word: &str) -> Result<(), V::Error> {
    let none = |_| Error::custom(format!("{word} takes no fields: write action: {word}"));
    of.unit_variant().map_err(none)
}

/// The fields of a word; `example` is how it is written.
fn fields<'de, V: VariantAccess<'de>, T: Deserialize<'de>>(
    of: V,
    example: &str,
) -> Result<T, V::Error> {
    of.newtype_variant().map_err(|wrong: V::Error| {
        // Readers have no other sign that nothing was given.
        match wrong.to_string().contains("unit variant") {
            true => Error::custom(format!("takes fields: write action: {{ {example} }}")),
            false => wrong,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_leaves_the_fields_out_is_told_what_to_write() {
        let wrong = |value| serde_json::from_value::<Action>(value).unwrap_err().to_string();
        for word in ["raise", "lower", "borrow", "switch"] {
            let told = wrong(json!(word));
            assert!(told.contains(&format!("takes fields: write action: {{ {word}: {{")), "{told}");
        }
        assert!(wrong(json!("borrow")).contains("borrow: {}"));
        assert_eq!(wrong(json!({ "drain": {} })), "drain takes no fields: write action: drain");
        assert!(wrong(json!("lend")).contains("unknown variant `lend`, expected one of `restart`"));
        assert!(wrong(json!({ "raise": { "of": 1 } })).contains("unknown field `of`"));
        assert!(wrong(json!({ "switch": { "value": 1 } })).contains("missing field `key`"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for written in [
            json!("restart"),
            json!("drain"),
            json!("rollBack"),
            json!("evacuate"),
            json!({ "raise": { "by": "25%", "bound": 20 } }),
            json!({ "lower": { "by": "1" } }),
            json!({ "borrow": { "by": "10%" } }),
            json!({ "switch": { "key": "degraded", "value": true } }),
            json!({ "giveBack": { "decision": "deployment.web.prod.1" } }),
        ] {
            let read: Action = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), written);
        }
    }
}
