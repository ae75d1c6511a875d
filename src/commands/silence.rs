//! `atoll silence`: keeps alerts quiet for a time, and says until when.

use std::collections::BTreeMap;

use atoll_model::matcher::LabelMatcher;
use atoll_model::{Alert, Any, Kind, Object, Silence, Span};
use serde_json::Value;

use crate::args::Global;
use crate::change;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::subject::Subject;

/// What `atoll silence` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// alert/NAME, or matchers such as alertname=Down deployment=shop.prod, all of which must match
    #[arg(required = true, value_name = "ALERT|MATCHER")]
    what: Vec<String>,
    /// For how long
    #[arg(long = "for", value_name = "SPAN", default_value = "2h")]
    span: Span,
    /// Why; those who wonder are told
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The name of the silence [default: of the alert and the time]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Makes the silence.
///
/// # Errors
/// A matcher that is none; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let matchers = match args.what.as_slice() {
        [one] if one.starts_with("alert/") => {
            let subject: Subject = one.parse().map_err(Failure::usage)?;
            let any = client.get(Kind::Alert, &subject.name).await?;
            let alert = any.of::<Alert>().map(|alert| matchers_of(&alert.spec.labels));
            alert.unwrap_or_default()
        }
        given => given.to_vec(),
    };
    for text in &matchers {
        LabelMatcher::parse(text).map_err(Failure::usage)?;
    }
    let now = clock::now();
    let name = args.name.unwrap_or_else(|| name_of(&matchers, now.0));
    let until = Some(now + args.span);
    let spec = Silence { matchers, until, reason: args.reason, ..Silence::default() };
    let any = Any::Silence(Object::new(name, spec).into());
    let subject = Subject::is(&any);
    let outcome = client.apply(vec![any.to_value()], false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[subject])?;
    Ok(Exit::Done)
}

/// Matchers that match alerts of exactly these labels.
fn matchers_of(labels: &BTreeMap<String, String>) -> Vec<String> {
    labels.iter().map(|(name, value)| format!("{name}={}", Value::from(value.as_str()))).collect()
}

/// `down-1a2b3c`, of the alert's name where one is given, and the time.
fn name_of(matchers: &[String], now: i64) -> String {
    let alert = matchers.iter().find_map(|text| text.strip_prefix("alertname="));
    let letters = alert.unwrap_or("silence").chars().filter(char::is_ascii_alphanumeric);
    let word: String = letters.map(|c| c.to_ascii_lowercase()).take(40).collect();
    format!("{word}-{:x}", now / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_named_after_its_alert_and_matches_just_that() {
        let labels = [("alertname", "HighLatency"), ("path", "a\"b")];
        let labels: BTreeMap<String, String> =
            labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let matchers = matchers_of(&labels);
        assert_eq!(matchers, ["alertname=\"HighLatency\"", "path=\"a\\\"b\""]);
        assert!(matchers.iter().all(|m| LabelMatcher::parse(m).unwrap().matches(&labels)));
        assert_eq!(name_of(&matchers, 255_000), "highlatency-ff");
        assert_eq!(name_of(&["a=b".to_owned()], 255_000), "silence-ff");
    }
}
