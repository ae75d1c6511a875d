//! Parameters as Prometheus reads them: from the address, and from the body of a form; times and
//! spans in both of their forms.

use std::time::Duration;

use atoll_metrics::Matcher;
use atoll_metrics::promql;
use atoll_model::{Span, Timestamp};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::answer::{Result, Wrong};

/// An answer takes at most this long, whatever is asked for.
const LONGEST: Duration = Duration::from_secs(55);
/// And this long, if nothing is.
const USUAL: Duration = Duration::from_secs(30);
/// What clients send for "from the beginning" and "to the end".
const BEGINNING: &str = "-292273086-05-16T16:47:06Z";
const END: &str = "292277025-08-18T07:12:54.999999999Z";

/// The parameters of a request, in order.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Response> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let form = kind.is_some_and(|k| k.starts_with("application/x-www-form-urlencoded"));
        let mut all = Params::read(query.as_bytes());
        if form {
            let body = Bytes::from_request(request, state).await;
            // As in Prometheus, the body comes first.
            let mut both = Params::read(&body.map_err(IntoResponse::into_response)?);
            both.0.append(&mut all.0);
            all = both;
        }
        Ok(all)
    }
}

impl Params {
    fn read(text: &[u8]) -> Params {
        Params(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first of a name that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter().filter(|(n, _)| n == name);
        all.find_map(|(_, value)| Some(value.as_str()).filter(|value| !value.is_empty()))
    }

    /// All of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// One that must be there.
    ///
    /// # Errors
    /// That it is missing.
    pub fn needed(&self, name: &str) -> Result<&str> {
        let missing = || Wrong::bad_data(format!("invalid parameter {name:?}: it is missing"));
        self.get(name).ok_or_else(missing)
    }

    /// A time in milliseconds, if it is given.
    ///
    /// # Errors
    /// That it is not a time.
    pub fn time(&self, name: &str) -> Result<Option<i64>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        read_time(text).map(Some).ok_or_else(|| {
            let message = format!("invalid parameter {name:?}: cannot parse {text:?} to a valid");
            Wrong::bad_data(format!("{message} timestamp"))
        })
    }

    /// A span in milliseconds, if it is given.
    ///
    /// # Errors
    /// That it is not a span.
    pub fn span(&self, name: &str) -> Result<Option<i64>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        read_span(text).map(Some).ok_or_else(|| {
            let message = format!("invalid parameter {name:?}: cannot parse {text:?} to a valid");
            Wrong::bad_data(format!("{message} duration"))
        })
    }

    /// How many are wanted at most; 0 means all.
    ///
    /// # Errors
    /// That it is not a number.
    pub fn limit(&self) -> Result<Option<usize>> {
        let Some(text) = self.get("limit") else { return Ok(None) };
        let limit: usize = text.parse().map_err(|_| {
            Wrong::bad_data(format!("invalid parameter \"limit\": {text:?} is not a number"))
        })?;
        Ok((limit > 0).then_some(limit))
    }

    /// How long the answer may take.
    ///
    /// # Errors
    /// That it is not a span.
    pub fn patience(&self) -> Result<Duration> {
        let given = self.span("timeout")?;
        let given = given.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs()));
        Ok(given.unwrap_or(USUAL).min(LONGEST))
    }

    /// The sets of matchers given as `match[]`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn sets(&self) -> Result<Vec<Vec<Matcher>>> {
        let read = |text: &str| {
            promql::matchers(text)
                .map_err(|e| Wrong::bad_data(format!("invalid parameter \"match[]\": {e}")))
        };
        self.all("match[]").map(read).collect()
    }
}

fn read_time(text: &str) -> Option<i64> {
    match text {
        BEGINNING => return Some(i64::MIN),
        END => return Some(i64::MAX),
        _ => {}
    }
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => Some((seconds * 1000.0).round() as i64),
        Ok(_) => None,
        Err(_) => text.parse::<Timestamp>().ok().map(|at| at.0),
    }
}

fn read_span(text: &str) -> Option<i64> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds.abs() < 9.2e15 => {
            Some((seconds * 1000.0).round() as i64)
        }
        Ok(_) => None,
        Err(_) => i64::try_from(text.parse::<Span>().ok()?.0).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_are_read_in_both_forms() {
        let params = Params::read(b"a=1.5&b=2026-11-11T00%3A00%3A00%2B01%3A00&c=5m&d=x&e=&m=1&m=2");
        assert_eq!(params.time("a").unwrap(), Some(1500));
        assert_eq!(params.time("b").unwrap(), Some(1_794_351_600_000));
        assert_eq!(params.span("c").unwrap(), Some(300_000));
        assert_eq!(params.span("a").unwrap(), Some(1500));
        assert!(params.time("d").is_err() && params.span("d").is_err());
        assert!(params.needed("e").is_err() && params.time("e").unwrap().is_none());
        assert_eq!(params.all("m").count(), 2);
        assert_eq!(read_time(END), Some(i64::MAX));
    }
}
