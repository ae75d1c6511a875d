//! How metrics are kept: where, how long, and whether another server has them too.

use std::path::PathBuf;

use atoll_metrics::storage::Policy;
use atoll_model::Span;

/// How metrics are kept.
#[derive(Clone, Debug)]
pub struct MetricsOptions {
    /// The directory of the embedded store; one for each replica.
    pub dir: PathBuf,
    /// Another server that everything is sent to and asked of.
    pub remote: Option<Remote>,
    /// How long samples are kept that no policy is for.
    pub retention: Span,
    /// How series are kept and thinned out; the first that matches decides.
    pub policies: Vec<Policy>,
    /// How many series one source may have at a time.
    pub series_per_source: usize,
}

impl MetricsOptions {
    /// In a directory, for 15 days, without another server.
    pub fn new(dir: PathBuf) -> MetricsOptions {
        MetricsOptions {
            dir,
            remote: None,
            retention: Span::seconds(15 * 86_400),
            policies: Vec::new(),
            series_per_source: 200_000,
        }
    }
}

/// A server that speaks Prometheus' remote write and its HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where samples are sent, usually ending in `/api/v1/write`.
    pub write_url: String,
    /// What `/api/v1/query` is added to.
    pub query_url: String,
    /// A file with a bearer token for both.
    pub token_file: Option<PathBuf>,
}

impl Remote {
    /// A server with both below one address.
    pub fn at(url: &str) -> Remote {
        let base = url.trim_end_matches('/');
        Remote {
            write_url: format!("{base}/api/v1/write"),
            query_url: base.to_owned(),
            token_file: None,
        }
    }
}
