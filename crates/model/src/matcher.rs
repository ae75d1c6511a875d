//! Conditions on the labels of alerts, as Alertmanager writes them. Not the selectors of objects,
//! which are in `selector.rs`.

use std::collections::BTreeMap;

use crate::name::Invalid;

/// One condition on a label, written as `name="value"`, `!=`, `=~` or `!~`.
#[derive(Clone, Debug)]
pub struct LabelMatcher {
    /// The label.
    pub name: String,
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Is(String),
    Like(Box<regex::Regex>),
}

impl LabelMatcher {
    /// Reads one; quotes may be left out where the value has no spaces.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<LabelMatcher, String> {
        let wrong = || format!("{text:?} is not a matcher like severity=\"page\"");
        let at = text.find(['=', '!']).ok_or_else(wrong)?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let operators = [("=~", true, false), ("!~", true, true), ("!=", false, true)];
        let operators = operators.iter().chain(&[("=", false, false)]);
        let (operator, like, negated) =
            operators.copied().find(|(o, ..)| rest.starts_with(o)).ok_or_else(wrong)?;
        let value = rest[operator.len()..].trim();
        let value = match value.strip_prefix('"') {
            Some(_) => serde_json::from_str::<String>(value).map_err(|_| wrong())?,
            None => value.to_owned(),
        };
        let named = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() || !named {
            return Err(wrong());
        }
        let test = if like {
            let regex = regex::RegexBuilder::new(&format!("^(?:{value})$"))
                .size_limit(1 << 20)
                .build()
                .map_err(|e| format!("{value:?} is not a regular expression: {e}"))?;
            Test::Like(Box::new(regex))
        } else {
            Test::Is(value)
        };
        Ok(LabelMatcher { name: name.to_owned(), negated, test })
    }

    /// Whether labels match; a label that is not there has the empty value.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        let is = match &self.test {
            Test::Is(wanted) => value == wanted,
            Test::Like(regex) => regex.is_match(value),
        };
        is != self.negated
    }
}

/// Whether labels match all of the matchers; one that is not valid matches nothing.
pub fn all_match(matchers: &[String], labels: &BTreeMap<String, String>) -> bool {
    matchers.iter().all(|text| LabelMatcher::parse(text).is_ok_and(|m| m.matches(labels)))
}

/// Checks matchers, their problems below `path`.
///
/// # Errors
/// Every one that is not valid.
pub(crate) fn check_matchers(path: &str, matchers: &[String]) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    for (i, text) in matchers.iter().enumerate() {
        if let Err(message) = LabelMatcher::parse(text) {
            invalid.add(&format!("{path}[{i}]"), message);
        }
    }
    invalid.into_result()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_read_as_alertmanager_writes_them() {
        let labels: BTreeMap<String, String> =
            [("severity", "page"), ("app", "shop")].map(|(k, v)| (k.into(), v.into())).into();
        let matches = |text: &str| LabelMatcher::parse(text).map(|m| m.matches(&labels));
        for text in ["severity=page", "severity = \"page\"", "app=~\"sh.*\"", "app!~x", "zone=\"\""]
        {
            assert_eq!(matches(text), Ok(true), "{text}");
        }
        for text in ["severity=pag", "app!=shop", "app=~ho", "zone!=\"\""] {
            assert_eq!(matches(text), Ok(false), "{text}");
        }
        for text in ["", "severity", "=x", "a b=c", "a=~(", "a=\"x"] {
            assert!(matches(text).is_err(), "{text}");
        }
    }
}
