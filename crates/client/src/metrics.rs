//! Metrics over HTTP: a body of remote write to a server, questions in PromQL, and fetching what
//! an instance exposes. It reads neither remote write nor an exposition.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atoll_model::{Span, Timestamp};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ClientError;
use crate::pages::escape;
use crate::transport::{Ask, Client, chain};

/// Longer than the server takes before it says that it gives up.
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that takes no batch within this time is taken to be away.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a range query asks.
#[derive(Clone, Debug)]
pub struct RangeQuery {
    /// In PromQL.
    pub expression: String,
    /// The first point.
    pub start: Timestamp,
    /// The last point.
    pub end: Timestamp,
    /// From one point to the next.
    pub step: Span,
}

/// The answer to a query.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// What was found.
    pub data: QueryResult,
    /// What may make it wrong.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What is odd about the query.
    #[serde(default)]
    pub infos: Vec<String>,
    /// Freshness and completeness, as the server gives them; null where it gives none.
    #[serde(default)]
    pub atoll: Value,
    /// All of it as it was sent.
    #[serde(skip)]
    pub raw: Value,
}

/// What a query found.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", tag = "resultType", content = "result")]
pub enum QueryResult {
    /// Series at one time; each has one point.
    Vector(Vec<Series>),
    /// Series over a range of time.
    Matrix(Vec<Series>),
    /// One number.
    Scalar(Point),
    /// Seconds since 1970, and a text.
    String((f64, String)),
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Series {
    /// Its labels; `__name__` is the name of the metric, where it has one.
    pub metric: std::collections::BTreeMap<String, String>,
    /// Its points, oldest first.
    #[serde(alias = "value", deserialize_with = "points")]
    pub values: Vec<Point>,
}

/// One value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// What; may be NaN or infinite.
    pub value: f64,
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Point, D::Error> {
        let (seconds, text) = <(f64, String)>::deserialize(from)?;
        point(seconds, &text).map_err(de::Error::custom)
    }
}

fn point(seconds: f64, text: &str) -> Result<Point, String> {
    let value = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    // Rounded to what timestamps can hold; beyond their range it is cut.
    Ok(Point { at: Timestamp((seconds * 1000.0).round() as i64), value })
}

/// One point, as a vector has it, or several, as a matrix has them.
fn points<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Point>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Values {
        One((f64, String)),
        Many(Vec<(f64, String)>),
    }
    let all = match Values::deserialize(from)? {
        Values::One(one) => vec![one],
        Values::Many(many) => many,
    };
    all.iter().map(|(at, text)| point(*at, text).map_err(de::Error::custom)).collect()
}

impl Client {
    /// Hands over a message of remote write 1.0, compressed with snappy. Handed over twice, it is
    /// stored once.
    ///
    /// # Errors
    /// When no server is reached; a status of 429, or 500 and more, asks to try again later; any
    /// other says that this message is never taken.
    pub async fn write_metrics(&self, body: impl Into<Bytes>) -> Result<(), ClientError> {
        let mut ask = Ask::of(Method::POST, "/api/v1/write".to_owned())
            .bytes("application/x-protobuf", body.into())
            .timeout(Some(WRITE_TIMEOUT))
            .repeatable();
        ask.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        let version = HeaderValue::from_static("0.1.0");
        ask.headers.insert("X-Prometheus-Remote-Write-Version", version);
        self.send(ask).await.map(drop)
    }

    /// Asks in PromQL at one time, or now.
    ///
    /// # Errors
    /// `Invalid`, if the expression is not valid; a problem, if it asks for too much.
    pub async fn query(
        &self,
        expression: &str,
        at: Option<Timestamp>,
    ) -> Result<Answer, ClientError> {
        let form = [("query", Some(expression.to_owned())), ("time", at.map(seconds))];
        self.ask_metrics("/api/v1/query", &form).await
    }

    /// Asks in PromQL over a range of time.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn query_range(&self, query: &RangeQuery) -> Result<Answer, ClientError> {
        let form = [
            ("query", Some(query.expression.clone())),
            ("start", Some(seconds(query.start))),
            ("end", Some(seconds(query.end))),
            ("step", Some(seconds(Timestamp(i64::try_from(query.step.0).unwrap_or(i64::MAX))))),
        ];
        self.ask_metrics("/api/v1/query_range", &form).await
    }

    async fn ask_metrics(
        &self,
        path: &str,
        form: &[(&str, Option<String>)],
    ) -> Result<Answer, ClientError> {
        let pairs = form.iter().filter_map(|(k, v)| Some(format!("{k}={}", escape(v.as_ref()?))));
        let body = pairs.collect::<Vec<_>>().join("&");
        let ask = Ask::of(Method::POST, path.to_owned())
            .bytes("application/x-www-form-urlencoded", body.into())
            .timeout(Some(QUERY_TIMEOUT))
            .repeatable();
        let raw: Value = self.read(ask).await.map_err(told)?;
        let read = Answer::deserialize(&raw);
        let odd = |e| ClientError::local(502, "odd-answer", format!("the answer is odd: {e}"));
        Ok(Answer { raw, ..read.map_err(odd)? })
    }
}

/// Milliseconds as the API wants times: in seconds.
fn seconds(at: Timestamp) -> String {
    format!("{}{}.{:03}", if at.0 < 0 { "-" } else { "" }, at.0.abs() / 1000, at.0.abs() % 1000)
}

/// The sentence of an error, which this API does not tell as a problem.
fn told(error: ClientError) -> ClientError {
    let Some(problem) = error.problem() else { return error };
    let json = problem.title.find('{').and_then(|at| problem.title.get(at..));
    let told = json.and_then(|json| serde_json::from_str::<Value>(json).ok());
    let Some(told) = told else { return error };
    // A question that was understood and could not be answered is no mistake of who asked.
    let status = if told["errorType"] == "bad_data" { problem.status } else { 500 };
    match told["error"].as_str() {
        Some(text) => ClientError::local(status, "query-failed", text.to_owned()),
        None => error,
    }
}

/// A body from this size on is fetched while no other one is.
const LARGE: usize = 1 << 20;
/// Both texts are understood; the newer one is preferred, as it says more.
const ACCEPTED: &str = "application/openmetrics-text;version=1.0.0;q=0.5,\
                        text/plain;version=0.0.4;q=0.4,*/*;q=0.1";

/// Fetches what instances expose. Clones share connections, and the room for large bodies.
#[derive(Clone)]
pub struct Scraper {
    http: reqwest::Client,
    large: Arc<Semaphore>,
}

/// What an instance exposed.
#[derive(Debug)]
pub struct Scraped {
    /// The type it says it is of; empty, if it says none.
    pub content_type: String,
    /// The whole text, unpacked.
    pub body: Vec<u8>,
    /// Held while it is looked at, so that large ones do not meet in memory.
    _large: Option<OwnedSemaphorePermit>,
}

impl Scraper {
    /// Prepares for it; connects to nothing yet. [`crate::install_crypto`] must have been called.
    ///
    /// # Errors
    /// When this process can make no HTTP client.
    pub fn new() -> Result<Scraper, ClientError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(1)
            .user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| ClientError::local(500, "internal", format!("HTTP: {}", chain(&e))))?;
        Ok(Scraper { http, large: Arc::new(Semaphore::new(1)) })
    }

    /// Fetches one text of at most `limit` bytes, unpacked.
    ///
    /// # Errors
    /// One sentence for people.
    pub async fn fetch(
        &self,
        address: SocketAddr,
        path: &str,
        timeout: Duration,
        limit: usize,
    ) -> Result<Scraped, String> {
        let name = format!("GET {path} on port {}", address.port());
        let fetched = tokio::time::timeout(timeout, self.read(address, path, timeout, limit));
        match fetched.await {
            Ok(fetched) => fetched.map_err(|why| format!("{name} {why}")),
            Err(_) => Err(format!("{name} was not answered to its end within {timeout:?}")),
        }
    }

    async fn read(
        &self,
        address: SocketAddr,
        path: &str,
        timeout: Duration,
        limit: usize,
    ) -> Result<Scraped, String> {
        let failed = |e: reqwest::Error| format!("failed: {}", chain(&e));
        let slash = if path.starts_with('/') { "" } else { "/" };
        let mut response = self
            .http
            .get(format!("http://{address}{slash}{path}"))
            .header(ACCEPT, ACCEPTED)
            .header("X-Prometheus-Scrape-Timeout-Seconds", timeout.as_secs_f64().to_string())
            .send()
            .await
            .map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("answered {}", response.status()));
        }
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|t| t.to_str().ok()).unwrap_or_default();
        let mut scraped =
            Scraped { content_type: content_type.to_owned(), body: Vec::new(), _large: None };
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            let length = scraped.body.len() + piece.len();
            if length > limit {
                return Err(format!("answered with more than {limit} bytes"));
            }
            if length > LARGE && scraped._large.is_none() {
                scraped._large = Arc::clone(&self.large).acquire_owned().await.ok();
            }
            scraped.body.extend_from_slice(&piece);
        }
        Ok(scraped)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::{get, post};
    use serde_json::json;

    use super::*;
    use crate::Endpoint;

    #[test]
    fn answers_are_read_in_every_form() {
        let answer: Answer = serde_json::from_value(json!({
            "status": "success", "warnings": ["w"], "atoll": { "expected": 3 },
            "data": { "resultType": "vector", "result": [
                { "metric": { "a": "b" }, "value": [1.5, "NaN"] }] },
        }))
        .unwrap();
        let QueryResult::Vector(series) = answer.data else { panic!("{:?}", answer.data) };
        assert_eq!(series[0].values[0].at, Timestamp(1500));
        assert!(series[0].values[0].value.is_nan() && answer.atoll["expected"] == 3);
        let read = |value: Value| serde_json::from_value::<QueryResult>(value);
        let matrix = json!({ "resultType": "matrix", "result": [
            { "metric": {}, "values": [[1, "2"], [2, "+Inf"]] }] });
        let QueryResult::Matrix(series) = read(matrix).unwrap() else { panic!() };
        assert_eq!(series[0].values[1], Point { at: Timestamp(2000), value: f64::INFINITY });
        let scalar = json!({ "resultType": "scalar", "result": [1, "7"] });
        let seven = Point { at: Timestamp(1000), value: 7.0 };
        assert_eq!(read(scalar).unwrap(), QueryResult::Scalar(seven));
        assert!(read(json!({ "resultType": "scalar", "result": [1, "x"] })).is_err());
    }

    #[test]
    fn times_are_written_in_seconds() {
        let text = [1_234_567, -1, 5].map(|ms| seconds(Timestamp(ms)));
        assert_eq!(text, ["1234.567", "-0.001", "0.005"]);
    }

    async fn serve(router: Router) -> SocketAddr {
        crate::install_crypto();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn a_wrong_query_is_told_in_the_servers_words() {
        let body = json!({ "status": "error", "errorType": "bad_data", "error": "no such thing" });
        let answer = (StatusCode::BAD_REQUEST, body.to_string());
        let router = Router::new().route("/api/v1/query", post(async || answer));
        let server = format!("http://{}", serve(router).await);
        let endpoint = Endpoint { servers: vec![server], ..Endpoint::default() };
        let error = Client::new(&endpoint).unwrap().query("x{", None).await.unwrap_err();
        assert!(matches!(error, ClientError::Invalid(_)), "{error:?}");
        assert_eq!(error.to_string(), "no such thing");
    }

    #[tokio::test]
    async fn bodies_are_bounded_and_statuses_told() {
        let router = Router::new()
            .route("/ok", get(async || "up 1\n"))
            .route("/large", get(async || "x".repeat(3 << 20)))
            .route("/bad", get(async || StatusCode::INTERNAL_SERVER_ERROR))
            .route("/hangs", get(async || std::future::pending::<&'static str>().await));
        let address = serve(router).await;
        let scraper = Scraper::new().unwrap();
        let second = Duration::from_secs(1);
        let fetch = async |path, time, limit| scraper.fetch(address, path, time, limit).await;
        let scraped = fetch("ok", 20 * second, 100).await.unwrap();
        assert_eq!(scraped.body, b"up 1\n");
        assert!(scraped.content_type.starts_with("text/plain"));
        assert_eq!(fetch("/large", 20 * second, 4 << 20).await.unwrap().body.len(), 3 << 20);
        let why = fetch("/large", 20 * second, 1 << 20).await.unwrap_err();
        assert!(why.ends_with("answered with more than 1048576 bytes"), "{why}");
        assert!(fetch("/bad", 20 * second, 9).await.unwrap_err().contains("answered 500"));
        let why = fetch("/hangs", second / 20, 9).await.unwrap_err();
        assert!(why.ends_with("was not answered to its end within 50ms"), "{why}");
    }
}
