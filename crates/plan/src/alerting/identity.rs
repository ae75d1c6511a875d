//! What an alert is told apart by: its labels, made of its series' and its rule's. Not how it
//! changes, which is `evaluate.rs`.

use std::collections::BTreeMap;

use atoll_model::Alert;
use atoll_model::alerting::{RuleGroup, RuleItem};

use super::template::{Facts, expand, is_template};
use crate::checksum;

/// Names and values.
pub(super) type Labels = BTreeMap<String, String>;

/// The labels of the alert of a series. Without a value, those that are filled in are left out.
pub(super) fn labels(
    group: &RuleGroup,
    item: &RuleItem,
    series: &Labels,
    value: Option<f64>,
) -> Labels {
    let mut labels = series.clone();
    for (key, text) in group.labels.iter().chain(&item.labels) {
        let text = match value {
            _ if !is_template(text) => text.clone(),
            Some(value) => expand(text, Facts { labels: series, value }).0,
            None => String::new(),
        };
        labels.insert(key.clone(), text);
    }
    labels.insert("alertname".to_owned(), item.alert.clone().unwrap_or_default());
    labels.retain(|_, value| !value.is_empty());
    labels
}

/// A checksum of an alert's labels without those that were filled in, which change with the value.
pub(super) fn bare(item: &RuleItem, labels: &Labels) -> u64 {
    let filled = |key: &str| item.labels.get(key).is_some_and(|text| is_template(text));
    let kept = labels.iter().filter(|(key, _)| !filled(key));
    checksum(kept.flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]))
}

pub(super) fn sum(labels: &Labels) -> u64 {
    checksum(labels.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]))
}

/// Whether a rule may have raised an alert: it has its name, and its fixed labels are the alert's.
pub(super) fn may_raise(group: &RuleGroup, item: &RuleItem, alert: &Alert) -> bool {
    let fits = |key: &String, text: &String| {
        let own = item.labels.get(key).unwrap_or(text);
        is_template(own) || own.is_empty() || alert.labels.get(key) == Some(own)
    };
    item.alert.as_deref() == Some(alert.alertname())
        && group.labels.iter().chain(&item.labels).all(|(key, text)| fits(key, text))
}

/// Whether an expression compares, so that a series may be left out of its answer although it is
/// measured: outside quotes and selectors there is one of `<`, `>`, `==` and `!=`.
pub(super) fn compares(expression: &str) -> bool {
    let (mut quote, mut depth, mut before) = (None, 0u32, ' ');
    for c in expression.chars() {
        match (quote, c) {
            (Some(open), c) if c == open && before != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth = depth.saturating_sub(1),
            (None, '<' | '>') if depth == 0 => return true,
            (None, '=') if depth == 0 && matches!(before, '=' | '!') => return true,
            _ => {}
        }
        before = c;
    }
    false
}

/// An alert's labels besides its name, where no object is known that it is about; none, where it
/// has no others.
pub(super) fn sole(labels: &Labels) -> Option<String> {
    let own = labels.iter().filter(|(key, _)| *key != "alertname");
    let pairs: Vec<String> = own.map(|(k, v)| format!("{k}={v:?}")).collect();
    (!pairs.is_empty()).then(|| format!("{{{}}}", pairs.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::compares;

    #[test]
    fn comparisons_are_found_outside_quotes_and_selectors() {
        for text in ["up == 0", "a{x=\"<\"} != 1", "a >= bool 1", "rate(a[5m]) < 1"] {
            assert!(compares(text), "{text}");
        }
        for text in ["absent(up{job=\"a\"})", "a{x!=\"1\", y=~\"<>\"}", "'=='", "vector(1)"] {
            assert!(!compares(text), "{text}");
        }
    }
}
