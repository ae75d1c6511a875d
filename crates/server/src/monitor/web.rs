//! Fetching a page of somebody we do not trust: bounded in bytes, in redirects and in how many
//! large answers are held at once. The time is bounded by whoever calls.

use std::sync::Arc;

use atoll_metrics::exposition::Format;
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::tls::TlsInfo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::tls::{self, Trust};
use crate::abroad;
use crate::metrics::remote;

/// So many redirects are followed.
const REDIRECTS: usize = 10;
/// What a text of metrics may hold.
const LONGEST_TEXT: usize = 16 << 20;
/// How far a page is looked at.
const LONGEST_PAGE: usize = 4 << 20;
/// An answer longer than this waits until there is a place for it,
const LARGE: usize = 1 << 20;
/// of which there are so many.
const LARGE_AT_ONCE: usize = 6;
/// What we can read, best first.
const READS: &str = "application/openmetrics-text;version=1.0.0;q=0.9,\
                     text/plain;version=0.0.4;q=0.8,*/*;q=0.1";

/// Fetches pages.
pub(super) struct Web {
    /// Keeps connections, as it comes back to each target soon.
    scrape: reqwest::Client,
    /// Connects anew each time, as that is part of what is measured.
    page: reqwest::Client,
    large: Arc<Semaphore>,
}

/// A text of metrics.
pub(super) struct Exposed {
    pub(super) text: String,
    pub(super) format: Format,
    /// Held until the text has been read.
    _place: Option<OwnedSemaphorePermit>,
}

/// A page, as far as it was looked at.
pub(super) struct Page {
    pub(super) status: u16,
    /// As its header says.
    pub(super) length: Option<u64>,
    pub(super) body: Vec<u8>,
    /// Whether the body ended before our bound.
    pub(super) whole: bool,
    /// When the server's certificate ends, in seconds since 1970.
    pub(super) certificate_end: Option<i64>,
}

/// The beginning of a body.
struct Body {
    bytes: Vec<u8>,
    whole: bool,
    place: Option<OwnedSemaphorePermit>,
}

impl Web {
    /// Clients that trust as told.
    pub(super) fn new(trust: &Trust) -> Result<Web, String> {
        let builder = || {
            let config = tls::config(trust.clone())?;
            let builder = reqwest::Client::builder()
                .tls_backend_preconfigured(config)
                .no_proxy()
                .user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")));
            Ok::<_, String>(abroad::guarded(builder, REDIRECTS))
        };
        let page = builder()?.pool_max_idle_per_host(0).no_gzip().no_zstd().tls_info(true);
        Ok(Web {
            scrape: builder()?.build().map_err(|e| e.to_string())?,
            page: page.build().map_err(|e| e.to_string())?,
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
        })
    }

    /// Fetches a text of metrics; one that is too long is refused.
    pub(super) async fn exposed(&self, url: &str) -> Result<Exposed, String> {
        let url = address(url)?;
        let response = self.scrape.get(url).header(ACCEPT, READS).send().await.map_err(chain)?;
        if !response.status().is_success() {
            return Err(format!("was answered {}", response.status()));
        }
        let kind = text(response.headers(), &CONTENT_TYPE).unwrap_or_default();
        let format = Format::from_content_type(&kind);
        let body = self.read(response, LONGEST_TEXT).await?;
        if !body.whole {
            return Err(format!("answered with more than {} MiB", LONGEST_TEXT >> 20));
        }
        let text = String::from_utf8(body.bytes);
        let text = text.map_err(|_| "answered with what is not text in UTF-8".to_owned())?;
        Ok(Exposed { text, format, _place: body.place })
    }

    /// Fetches the beginning of a page, whatever its status.
    pub(super) async fn page(&self, url: &str) -> Result<Page, String> {
        let url = address(url)?;
        let response = self.page.get(url).send().await.map_err(chain)?;
        let certificate = response.extensions().get::<TlsInfo>();
        let certificate_end = certificate.and_then(|c| tls::end(c.peer_certificate()?));
        let status = response.status().as_u16();
        let length = text(response.headers(), &CONTENT_LENGTH).and_then(|l| l.parse().ok());
        let Body { bytes, whole, .. } = self.read(response, LONGEST_PAGE).await?;
        Ok(Page { status, length, body: bytes, whole, certificate_end })
    }

    async fn read(&self, mut response: reqwest::Response, longest: usize) -> Result<Body, String> {
        let mut body = Body { bytes: Vec::new(), whole: true, place: None };
        while let Some(piece) = response.chunk().await.map_err(chain)? {
            if body.bytes.len() + piece.len() > longest {
                body.whole = false;
                body.bytes.extend_from_slice(&piece[..longest - body.bytes.len()]);
                break;
            }
            if body.place.is_none() && body.bytes.len() + piece.len() > LARGE {
                body.place = self.large.clone().acquire_owned().await.ok();
            }
            body.bytes.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

/// An address that may be asked.
fn address(url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|e| format!("is no address: {e}"))?;
    abroad::check(&url)?;
    Ok(url)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// An error with all its causes in one line, without the address, which may hold a password.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    tls::in_words(&error).unwrap_or_else(|| remote::chain(&error))
}
