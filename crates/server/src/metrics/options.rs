//! How metrics are kept: where, how long, and whether another server has them too.

use std::path::PathBuf;

use atoll_metrics::promql;
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

/// Reads how the series of a selector are kept: `SELECTOR for SPAN[, RESOLUTION after AGE]…`, as
/// in `{__name__=~"node_.*"} for 90d, 5m after 1d, 1h after 30d`. Of samples older than an age the
/// last, the smallest and the largest of each interval of the resolution are kept.
///
/// # Errors
/// What cannot be read, and how it is written.
pub fn policy(text: &str) -> Result<Policy, String> {
    let how = |what: &str| {
        format!(
            "{what}; write it as 'SELECTOR for SPAN, RESOLUTION after AGE', as in \
                 '{{job=\"node\"}} for 90d, 5m after 1d'"
        )
    };
    let span = |text: &str| -> Result<i64, String> {
        let span: Span = text.trim().parse().map_err(|e: String| how(&e))?;
        i64::try_from(span.0).map_err(|_| how("the span is too long"))
    };
    let (selector, rest) = text.rsplit_once(" for ").ok_or_else(|| how("there is no \" for \""))?;
    let matchers = promql::matchers(selector.trim()).map_err(|e| how(&e.to_string()))?;
    let mut parts = rest.split(',');
    let retention = span(parts.next().unwrap_or_default())?;
    let mut downsample = Vec::new();
    for part in parts {
        let (resolution, age) =
            part.split_once(" after ").ok_or_else(|| how("there is no \" after \""))?;
        let (resolution, age) = (span(resolution)?, span(age)?);
        if resolution == 0 {
            return Err(how("a resolution of 0 keeps nothing apart"));
        }
        downsample.push((age, resolution));
    }
    downsample.sort_unstable();
    if downsample.windows(2).any(|pair| pair[0].1 >= pair[1].1) {
        return Err(how("what is older is kept no finer than what is younger"));
    }
    if let Some((age, _)) = downsample.iter().find(|(age, _)| *age >= retention) {
        let (age, kept) = (Span(age.unsigned_abs()), Span(retention.unsigned_abs()));
        return Err(how(&format!("nothing is thinned out after {age} that is gone after {kept}")));
    }
    Ok(Policy { matchers, retention, downsample })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_selector_is_kept_is_read_or_refused() {
        let day = 86_400_000;
        let read = policy("up{job=\"for a\"} for 90d, 1h after 30d, 5m after 1d").unwrap();
        assert_eq!(read.retention, 90 * day);
        assert_eq!(read.downsample, [(day, 300_000), (30 * day, 3_600_000)]);
        assert_eq!(read.matchers.len(), 2);
        for wrong in [
            "up",
            "up for",
            "up for ever",
            "up{ for 1d",
            "up for 1d, 5m",
            "up for 1d, 0s after 1h",
            "up for 9d, 5m after 2d, 1h after 1d",
            "up for 1d, 5m after 2d",
            "up for 1d, 5m after 1d",
        ] {
            assert!(policy(wrong).unwrap_err().contains("write it as"), "{wrong}");
        }
    }
}
