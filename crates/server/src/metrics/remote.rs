//! Another server that has all metrics too: everything accepted is sent to it through a queue on
//! disk, and questions are put to it. What it cannot be told, it misses; nothing here waits for it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_metrics::exposition::json::read_value;
use atoll_metrics::labels::{METRIC_NAME, Matcher, Operator};
use atoll_metrics::promql::{self, Answer, Coverage, QueryError, Value};
use atoll_metrics::remote::{self as wire, Version};
use bytes::Bytes;
use tokio::sync::Notify;

use crate::metrics::options;
use crate::metrics::spool::Spool;
use crate::metrics::{Ask, Period};

/// So many bytes wait on disk at most: hours of a large fleet.
const MOST_ON_DISK: u64 = 2 << 30;
/// So many bytes wait to be written there.
const MOST_PENDING: usize = 64 << 20;
/// Messages are put together up to this size, before compression.
const TOGETHER: usize = 4 << 20;
/// Messages that come within this time are put together.
const GATHER: Duration = Duration::from_secs(1);
/// A refused message is sent in so many pieces at most.
const MOST_POSTS: usize = 64;
/// An answer is read up to this size.
const MOST_ANSWERED: usize = 256 << 20;
/// Between two attempts, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A series not seen for this long is no longer expected to be there.
const EXPECTED_WITHIN: &str = "15m";

/// The other server.
pub struct Remote {
    to: options::Remote,
    http: reqwest::Client,
    pending: Mutex<Vec<Bytes>>,
    news: Notify,
    spool: Arc<Mutex<Spool>>,
    lost: AtomicU64,
    sent: AtomicU64,
    away: AtomicBool,
    refuses: AtomicBool,
}

/// How sending is getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Messages that got through.
    pub sent: u64,
    /// Messages that were given up, or the parts of them that were.
    pub lost: u64,
    /// Bytes that wait.
    pub waiting: u64,
    /// Whether the other server took anything of the last message that was sent: it was reached,
    /// and did not refuse all.
    pub up: bool,
}

/// What became of an attempt to send.
enum Sent {
    Through,
    /// Some of it got through.
    Partly(String),
    Refused(String),
    Away(String),
}

impl Remote {
    /// Prepares to send; connects to nothing yet.
    ///
    /// # Errors
    /// The directory of the queue cannot be used, or an address is none of a server.
    pub fn new(to: &options::Remote, dir: &Path) -> Result<Remote, String> {
        for url in [&to.write_url, &to.query_url] {
            check_address(url)?;
        }
        let wrong = |e: std::io::Error| format!("could not use {}: {e}", dir.display());
        let spool = Spool::open(dir, MOST_ON_DISK).map_err(wrong)?;
        let mut http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5));
        if to.write_url.starts_with("http://") && to.query_url.starts_with("http://") {
            // A machine without any certificates can still speak plain HTTP.
            http = http.tls_certs_only([]);
        }
        Ok(Remote {
            to: to.clone(),
            http: http.build().map_err(|e| e.to_string())?,
            pending: Mutex::default(),
            news: Notify::new(),
            spool: Arc::new(Mutex::new(spool)),
            lost: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            away: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
        })
    }

    /// Queues a compressed message of version 1.
    pub fn send(&self, message: &Bytes) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting: usize = pending.iter().map(Bytes::len).sum();
        if waiting + message.len() > MOST_PENDING {
            self.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            pending.push(message.clone());
            drop(pending);
            self.news.notify_one();
        }
    }

    /// How sending is getting on.
    pub fn progress(&self) -> Progress {
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        Progress {
            sent: self.sent.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed) + spool.lost(),
            waiting: spool.bytes(),
            up: !self.away.load(Ordering::Relaxed) && !self.refuses.load(Ordering::Relaxed),
        }
    }

    /// Sends until the server stops.
    pub async fn run(&self) {
        tokio::join!(self.gather(), self.deliver());
    }

    /// Puts what has come to the end of the queue on disk.
    async fn gather(&self) {
        loop {
            tokio::time::sleep(GATHER).await;
            let messages = self.take_pending();
            if messages.is_empty() {
                continue;
            }
            let spool = self.spool.clone();
            let write = move || {
                let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
                put_together(&messages).iter().try_for_each(|message| spool.push(message))
            };
            match tokio::task::spawn_blocking(write).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("could not queue metrics on disk: {error}"),
                Err(error) => tracing::warn!("could not queue metrics on disk: {error}"),
            }
            self.news.notify_one();
        }
    }

    fn take_pending(&self) -> Vec<Bytes> {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn first(&self) -> Option<(u64, Vec<u8>)> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner).first()
    }

    async fn deliver(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some((number, message)) = self.first() else {
                self.news.notified().await;
                continue;
            };
            let sent = self.post_all(message).await;
            self.refuses.store(matches!(sent, Sent::Refused(_)), Ordering::Relaxed);
            match sent {
                Sent::Through => {
                    self.sent.fetch_add(1, Ordering::Relaxed);
                    if self.away.swap(false, Ordering::Relaxed) {
                        tracing::info!("{} takes metrics again", self.to.write_url);
                    }
                }
                Sent::Partly(why) | Sent::Refused(why) => {
                    tracing::warn!("{} refused some metrics: {why}", self.to.write_url);
                }
                Sent::Away(why) => {
                    if !self.away.swap(true, Ordering::Relaxed) {
                        let url = &self.to.write_url;
                        tracing::warn!("could not send metrics to {url}: {why}; they wait on disk");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            }
            pause = FIRST_PAUSE;
            self.spool.lock().unwrap_or_else(PoisonError::into_inner).done(number);
        }
    }

    /// Sends a message. One that is refused is sent again in halves, so that what cannot be taken,
    /// such as one sample that is too late, takes little else with it.
    async fn post_all(&self, message: Vec<u8>) -> Sent {
        let mut left = vec![message];
        let (mut posts, mut refused, mut taken) = (0, None, false);
        while let Some(message) = left.pop() {
            posts += 1;
            let halves = if posts <= MOST_POSTS { wire::halves(&message) } else { None };
            match self.post(message).await {
                Sent::Through => taken = true,
                Sent::Away(why) => return Sent::Away(why),
                Sent::Partly(why) | Sent::Refused(why) => {
                    match halves {
                        Some([first, second]) => left.extend([second, first]),
                        None => drop(self.lost.fetch_add(1, Ordering::Relaxed)),
                    }
                    refused.get_or_insert(why);
                }
            }
        }
        let refusal = if taken { Sent::Partly } else { Sent::Refused };
        refused.map_or(Sent::Through, refusal)
    }

    async fn post(&self, message: Vec<u8>) -> Sent {
        let mut request = self.http.post(&self.to.write_url).timeout(Duration::from_secs(30));
        for (name, value) in wire::headers(Version::V1) {
            request = request.header(name, value);
        }
        let answer = match self.signed(request).await {
            Ok(request) => request.body(message).send().await,
            Err(why) => return Sent::Away(why),
        };
        match answer {
            Ok(answer) if answer.status().is_success() => Sent::Through,
            Ok(answer) if answer.status().as_u16() == 429 || answer.status().is_server_error() => {
                Sent::Away(format!("status {}", answer.status()))
            }
            Ok(answer) => {
                let status = answer.status();
                let text = answer.text().await.unwrap_or_default();
                // A wrong token or address is mended by a person; the data can wait.
                if matches!(status.as_u16(), 401 | 403 | 404) {
                    return Sent::Away(format!("status {status}"));
                }
                Sent::Refused(format!("status {status}: {}", text.trim()))
            }
            Err(error) => Sent::Away(chain(&error)),
        }
    }

    async fn signed(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::RequestBuilder, String> {
        let Some(file) = &self.to.token_file else { return Ok(request) };
        let token = read_secret(file).await?;
        Ok(request.bearer_auth(token))
    }

    /// What is said where the other server has not answered in time.
    pub fn late(&self, patience: Duration) -> QueryError {
        let (url, seconds) = (&self.to.query_url, patience.as_secs_f32());
        QueryError::Execution(format!(
            "could not ask {url}: it has not answered within {seconds:.0} s; see whether it \
             works, or ask for less"
        ))
    }

    /// Puts a question to the other server.
    ///
    /// # Errors
    /// What it said, or that it cannot be reached.
    pub async fn ask(&self, ask: &Ask) -> Result<Answer, QueryError> {
        let mut form = vec![("query", ask.query.clone())];
        let path = match ask.period {
            Period::At(at) => {
                form.push(("time", seconds(at)));
                "query"
            }
            Period::Range(from, to, step) => {
                let (from, to, step) = (seconds(from), seconds(to), seconds(step));
                form.extend([("start", from), ("end", to), ("step", step)]);
                "query_range"
            }
        };
        promql::check(&ask.query)?;
        let mut value = self.fetch(path, &form).await?;
        let at = match ask.period {
            Period::At(at) | Period::Range(_, at, _) => at,
        };
        let coverage = self.coverage(&ask.query, at).await?;
        if let Value::Matrix(all) = &mut value {
            // Which of them that is made of which series, the other server does not say.
            all.iter_mut().for_each(|one| one.lag = coverage.stalest.map(|newest| at - newest));
        }
        Ok(Answer { value, coverage, warnings: Vec::new(), infos: Vec::new() })
    }

    /// How many of the series a query selects are fresh, of those that were there lately. How old
    /// the samples are is asked of one name only: `timestamp` drops names, and a server refuses
    /// what then looks the same.
    async fn coverage(&self, query: &str, at: i64) -> Result<Coverage, QueryError> {
        let mut all = Coverage::default();
        for matchers in promql::selectors(query)? {
            let of: Vec<String> = matchers.iter().map(ToString::to_string).collect();
            let of = format!("{{{}}}", of.join(","));
            let part = |name: &str, of: String| {
                format!("label_replace({of}, \"part\", \"{name}\", \"\", \"\")")
            };
            let mut question = vec![
                part("expected", format!("count(last_over_time({of}[{EXPECTED_WITHIN}]))")),
                part("seen", format!("count({of})")),
            ];
            let is_name =
                |m: &Matcher| m.name == METRIC_NAME && matches!(m.operator, Operator::Equal);
            if matchers.iter().any(is_name) {
                question.push(part("newest", format!("max(timestamp({of}))")));
                question.push(part("stalest", format!("min(timestamp({of}))")));
            }
            let form = [("query", question.join(" or ")), ("time", seconds(at))];
            let Value::Vector(found) = self.fetch("query", &form).await? else { continue };
            let figure = |name: &str| {
                let found = found.iter().find(|(labels, _)| labels.get("part") == name);
                found.map(|(_, sample)| sample.value)
            };
            let count = |name: &str| figure(name).map_or(0, |value| value as u64);
            let time = |name: &str| figure(name).map(|value| (value * 1000.0) as i64);
            all.series += count("expected");
            all.expected += count("expected");
            all.seen += count("seen").min(count("expected"));
            all.newest = all.newest.max(time("newest"));
            all.stalest = match (all.stalest, time("stalest")) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(all)
    }

    async fn fetch(&self, path: &str, form: &[(&str, String)]) -> Result<Value, QueryError> {
        let body = self.text(path, form).await?;
        read_value(&body).map_err(QueryError::Execution)
    }

    /// The answer of `/api/v1/PATH` to parameters in its address, as it is.
    ///
    /// # Errors
    /// That it cannot be reached.
    pub async fn get(&self, path: &str, form: &[(&str, String)]) -> Result<String, QueryError> {
        let url = format!("{}/api/v1/{path}?{}", self.to.query_url, encoded(form));
        self.read(self.http.get(url)).await
    }

    async fn text(&self, path: &str, form: &[(&str, String)]) -> Result<String, QueryError> {
        let url = format!("{}/api/v1/{path}", self.to.query_url);
        let request = self.http.post(url).header("Content-Type", FORM).body(encoded(form));
        self.read(request).await
    }

    async fn read(&self, request: reqwest::RequestBuilder) -> Result<String, QueryError> {
        let away = |why: String| {
            let url = &self.to.query_url;
            QueryError::Execution(format!("could not ask {url}: {why}"))
        };
        let request = self.signed(request).await.map_err(away)?;
        let mut answer = request.send().await.map_err(|e| away(chain(&e)))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|e| away(chain(&e)))? {
            if body.len() + piece.len() > MOST_ANSWERED {
                let most = MOST_ANSWERED >> 20;
                return Err(away(format!("it answers with more than {most} MiB; ask for less")));
            }
            body.extend_from_slice(&piece);
        }
        // A refusal of a question is an answer; a page of a proxy is none.
        if !status.is_success() && body.first() != Some(&b'{') {
            return Err(away(format!("status {status}")));
        }
        String::from_utf8(body).map_err(|_| away("its answer is no text".to_owned()))
    }
}

/// An address a server can have.
fn check_address(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|e| format!("{url:?} is no address: {e}"))?;
    match parsed.scheme() {
        "http" | "https" if parsed.has_host() => Ok(()),
        _ => Err(format!("{url:?} is not an http or https address")),
    }
}

/// Parameters as text.
fn encoded(form: &[(&str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// The media type of parameters in a body.
const FORM: &str = "application/x-www-form-urlencoded";

/// A secret from a file.
///
/// # Errors
/// The file cannot be read.
pub async fn read_secret(file: &PathBuf) -> Result<String, String> {
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|e| format!("could not read {}: {e}", file.display()))?;
    Ok(text.trim().to_owned())
}

fn seconds(at: i64) -> String {
    format!("{}.{:03}", at.div_euclid(1000), at.rem_euclid(1000))
}

/// An error with what caused it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Messages of version 1, one after the other, are one message.
fn put_together(messages: &[Bytes]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    let compress = |open: &[u8]| snap::raw::Encoder::new().compress_vec(open).ok();
    for message in messages {
        let Ok(plain) = wire::decompress(message, usize::MAX) else { continue };
        if !open.is_empty() && open.len() + plain.len() > TOGETHER {
            all.extend(compress(&open));
            open.clear();
        }
        open.extend_from_slice(&plain);
    }
    if !open.is_empty() {
        all.extend(compress(&open));
    }
    all
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn addresses_are_of_servers() {
        assert!(check_address("http://10.0.0.1:8428/api/v1/write").is_ok());
        for wrong in ["", "metrics", "ftp://h/", "http://"] {
            assert!(check_address(wrong).is_err(), "{wrong}");
        }
    }

    /// A server that says this to every request, or nothing, and its address.
    async fn that_says(answer: &'static str) -> String {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                open.push(stream);
            }
        });
        address
    }

    #[tokio::test]
    async fn one_that_refuses_all_is_not_up() {
        let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let to = options::Remote::at(&that_says(refusal).await);
        let dir = tempfile::tempdir().unwrap();
        let remote = Remote::new(&to, dir.path()).unwrap();
        remote.spool.lock().unwrap().push(b"a message").unwrap();
        assert!(remote.progress().up, "nothing is known yet");
        let dealt_with = async {
            while remote.progress().waiting > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = remote.deliver() => {}
            () = dealt_with => {}
        }
        let progress = remote.progress();
        assert_eq!((progress.sent, progress.lost, progress.up), (0, 1, false));
    }

    #[tokio::test]
    async fn one_that_does_not_answer_is_named() {
        let address = that_says("").await;
        let dir = tempfile::tempdir().unwrap();
        let mut options = options::MetricsOptions::new(dir.path().to_owned());
        options.remote = Some(options::Remote::at(&address));
        let metrics = crate::metrics::Metrics::open(&options, atoll_model::Timestamp(0)).unwrap();
        let patience = Duration::from_millis(50);
        let ask = Ask { query: "up".to_owned(), period: Period::At(0), lookback: None, patience };
        let lane = crate::metrics::lanes::Lane::Person("ann");
        let said = metrics.ask(lane, ask).await.unwrap_err().to_string();
        assert!(said.contains(&address) && said.contains("has not answered"), "{said}");
    }
}
