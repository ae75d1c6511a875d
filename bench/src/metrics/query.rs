//! One query over everything, put to two stores: how long each takes, and whether they agree. Not
//! a test of PromQL: that is the conformance suite's.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

use super::set::NAME;
use crate::clock;
use crate::http::{Connection, Target};
use crate::table::median;

/// Runs that count, after one that does not.
const RUNS: usize = 5;
/// Answers may differ by this part.
const TOLERANCE: f64 = 1e-9;

/// For each application, value by time in seconds.
type Answer = BTreeMap<String, BTreeMap<u64, f64>>;

/// What a store said, and how long it took in the middle.
pub struct Asked {
    /// In seconds.
    pub seconds: f64,
    answer: Answer,
}

/// Asks for `sum by (app)(rate(…[5m]))` over a time in milliseconds, every minute.
///
/// # Errors
/// The store did not answer.
pub async fn ask(name: &str, target: &Target, start: i64, end: i64) -> anyhow::Result<Asked> {
    let mut connection = Connection::open(target).await?;
    let query = escape(&format!("sum by (app)(rate({NAME}[5m]))"));
    // On two things versions of PromQL do not agree: whether a range holds its first instant, and
    // how far back a counter goes that begins within it. So not at the times of samples, and not
    // before a range is full.
    let (start, end) = (start / 1000 + 307, end / 1000);
    let path = format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=60");
    let mut times = Vec::new();
    let mut answer = Answer::new();
    for run in 0..=RUNS {
        let began = clock::now();
        let body = connection.ask("GET", &path, b"").await?;
        let took = began.elapsed().as_secs_f64();
        if run == 0 {
            answer = read(body.good()?)?;
        } else {
            body.good()?;
            times.push(took);
        }
    }
    let shown: Vec<String> = times.iter().map(|time| format!("{time:.2}")).collect();
    eprintln!("  {name}: query took {} s", shown.join(", "));
    Ok(Asked { seconds: median(times), answer })
}

fn read(body: &[u8]) -> anyhow::Result<Answer> {
    let body: Value = serde_json::from_slice(body)?;
    let result = body["data"]["result"].as_array().context("the answer has no result")?;
    let mut answer = Answer::new();
    for series in result {
        let app = series["metric"]["app"].as_str().unwrap_or_default().to_owned();
        let mut values = BTreeMap::new();
        for pair in series["values"].as_array().context("a series has no values")? {
            let at = pair[0].as_f64().context("a value has no time")?;
            let value = pair[1].as_str().and_then(|text| text.parse().ok());
            values.insert(at as u64, value.context("a value is no number")?);
        }
        answer.insert(app, values);
    }
    Ok(answer)
}

impl Asked {
    /// In what the answers differ; nothing if they agree.
    pub fn differs(&self, other: &Asked) -> String {
        differs(&self.answer, &other.answer)
    }
}

fn differs(ours: &Answer, theirs: &Answer) -> String {
    if ours.is_empty() || !ours.keys().eq(theirs.keys()) {
        return format!("the answers have {} and {} series", ours.len(), theirs.len());
    }
    for (app, values) in ours {
        let others = &theirs[app];
        if !values.keys().eq(others.keys()) {
            let (ours, theirs) = (values.len(), others.len());
            return format!("the answers for {app} have {ours} and {theirs} points");
        }
        for (at, value) in values {
            let other = others[at];
            let near = (value - other).abs() <= TOLERANCE * value.abs().max(other.abs());
            let both_nan = value.is_nan() && other.is_nan();
            if !near && !both_nan {
                return format!("the answers for {app} at {at} are {value} and {other}");
            }
        }
    }
    String::new()
}

/// Text as it stands in the query of a URL.
pub fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Asks an instant query for one number; 0 of none.
///
/// # Errors
/// The store did not answer.
pub async fn number(connection: &mut Connection, query: &str) -> anyhow::Result<f64> {
    let path = format!("/api/v1/query?query={}", escape(query));
    let body = connection.ask("GET", &path, b"").await?;
    let body: Value = serde_json::from_slice(body.good()?)?;
    let text = body["data"]["result"][0]["value"][1].as_str().unwrap_or("0");
    text.parse().with_context(|| format!("{query} gave {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: &str) -> Answer {
        let text = format!(
            r#"{{"data":{{"result":[{{"metric":{{"app":"a"}},"values":[[60,"{value}"]]}}]}}}}"#
        );
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn answers_agree_but_for_rounding() {
        assert_eq!(differs(&answer("1.5"), &answer("1.5000000001")), "");
        let wrong = differs(&answer("1.5"), &answer("1.50001"));
        assert_eq!(wrong, "the answers for a at 60 are 1.5 and 1.50001");
        assert_ne!(differs(&answer("NaN"), &answer("1")), "");
        assert_eq!(differs(&answer("NaN"), &answer("NaN")), "");
        assert_eq!(differs(&answer("1"), &Answer::new()), "the answers have 1 and 0 series");
        assert_eq!(differs(&Answer::new(), &Answer::new()), "the answers have 0 and 0 series");
    }

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(escape("a{b=\"c\"}[5m]"), "a%7Bb%3D%22c%22%7D%5B5m%5D");
    }
}
