//! `atoll silence`: keeps alerts quiet for a time, and says until when.

use std::collections::BTreeMap;

use atoll_client::Client;
use atoll_model::alerting::AlertPhase;
use atoll_model::matcher::LabelMatcher;
use atoll_model::{Alert, Any, Kind, Object, Silence, Span, Timestamp};
use serde_json::Value;

use crate::args::Global;
use crate::change;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::subject::Subject;

/// What `atoll silence` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// alert/NAME, or matchers such as alertname=Down deployment=shop.prod, all of which must match
    #[arg(required = true, value_name = "ALERT|MATCHER")]
    what: Vec<String>,
    /// For how long [default: 2h]
    #[arg(long = "for", value_name = "SPAN", value_parser = some_time)]
    span: Option<Span>,
    /// Why; those who wonder are told
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The name of the silence [default: of the alert and the time]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// How long a silence is where nobody says so.
const USUAL: Span = Span::seconds(2 * 3600);

fn some_time(text: &str) -> Result<Span, String> {
    match text.parse::<Span>()? {
        Span(0) => Err("a silence of no time keeps nothing quiet; say for how long".to_owned()),
        span => Ok(span),
    }
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
    let before = match &args.name {
        Some(name) => client.get(Kind::Silence, name).await.ok(),
        None => None,
    };
    let before = before.as_ref().and_then(|any| any.of::<Silence>());
    let name = args.name.unwrap_or_else(|| name_of(&matchers, now.0));
    let until = Some(now + args.span.unwrap_or(USUAL));
    let matched = matched(&client, &matchers).await;
    let spec = Silence { matchers, until, reason: args.reason, ..Silence::default() };
    let any = Any::Silence(Object::new(name, spec).into());
    let subject = Subject::is(&any);
    let outcome = client.apply(vec![any.to_value()], false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[subject])?;
    if let Some(changed) = before.and_then(|before| changed(before.spec.until, until)) {
        output::say(&changed);
    }
    if matched == Some(0) {
        output::say("no alert matches it now; it keeps quiet those that come (atoll get alerts)");
    }
    Ok(Exit::Done)
}

/// How many alerts there are that have not ended and that all matchers match; none where they
/// cannot be asked for.
async fn matched(client: &Client, matchers: &[String]) -> Option<usize> {
    let matchers: Vec<LabelMatcher> =
        matchers.iter().filter_map(|text| LabelMatcher::parse(text).ok()).collect();
    let list = client.list_all(Kind::Alert, None).await.ok()?;
    let alerts = list.items.iter().filter_map(|any| any.of::<Alert>());
    let live = alerts.filter(|alert| alert.status.phase != AlertPhase::Resolved);
    Some(live.filter(|alert| matchers.iter().all(|m| m.matches(&alert.spec.labels))).count())
}

/// What is said where a silence of that name was there and ended at another time.
fn changed(was: Option<Timestamp>, is: Option<Timestamp>) -> Option<String> {
    let until =
        |at: Option<Timestamp>| at.map_or_else(|| "it is deleted".to_owned(), |at| at.to_string());
    (was != is).then(|| format!("it was until {}, and is until {} now", until(was), until(is)))
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
    format!("{word}-{now:x}")
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
        assert_eq!(name_of(&matchers, 255), "highlatency-ff");
        assert_eq!(name_of(&["a=b".to_owned()], 255), "silence-ff");
    }

    #[test]
    fn a_silence_takes_some_time_and_another_end_is_said() {
        assert_eq!(some_time("2m"), Ok(Span::seconds(120)));
        assert!(some_time("0s").unwrap_err().contains("say for how long"));
        let (one, other) = (Some(Timestamp(0)), Some(Timestamp(60_000)));
        assert_eq!(changed(one, one), None);
        let said = "it was until 1970-01-01T00:00:00.000Z, and is until 1970-01-01T00:01:00.000Z \
                    now";
        assert_eq!(changed(one, other).as_deref(), Some(said));
    }
}
