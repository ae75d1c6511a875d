//! Blobs: pieces of content addressed by their BLAKE3 digest.

use std::time::Duration;

use atoll_model::api::{CacheFound, CacheKept, Digests};
use bytes::Bytes;
use reqwest::Method;

use crate::error::ClientError;
use crate::pages::escape;
use crate::transport::{Ask, Client};

/// The most digests asked about at once.
const DIGESTS: usize = 1000;
const TIMEOUT: Duration = Duration::from_secs(120);

impl Client {
    /// Which of these the server lacks.
    ///
    /// # Errors
    /// When no server is reached, or one may not ask.
    pub async fn missing_blobs(&self, digests: &[String]) -> Result<Vec<String>, ClientError> {
        let mut missing = Vec::new();
        for part in digests.chunks(DIGESTS) {
            let ask = Ask::of(Method::POST, "/v1/blobs/missing".to_owned())
                .json(&Digests { digests: part.to_vec() })
                .repeatable();
            missing.extend(self.read::<Digests>(ask).await?.digests);
        }
        Ok(missing)
    }

    /// Stores a blob under its digest.
    ///
    /// # Errors
    /// `Invalid`, if the digest is not the content's; when no server is reached.
    pub async fn put_blob(&self, digest: &str, content: Bytes) -> Result<(), ClientError> {
        let ask = Ask::of(Method::PUT, format!("/v1/blobs/{}", escape(digest)))
            .bytes("application/octet-stream", content)
            .timeout(Some(TIMEOUT));
        self.send(ask).await.map(drop)
    }

    /// Reads a blob and checks that it is what its digest says.
    ///
    /// # Errors
    /// `NotFound`; `Strange`, if the server sends something else.
    pub async fn get_blob(&self, digest: &str) -> Result<Bytes, ClientError> {
        let path = format!("/v1/blobs/{}", escape(digest));
        let what = format!("GET {path}");
        let body = self.send(Ask::get(path).timeout(Some(TIMEOUT))).await?.body;
        if blake3::hash(&body).to_hex().as_str() != digest {
            let why = "the content is not what its digest says".to_owned();
            return Err(ClientError::Strange { what, why });
        }
        Ok(body)
    }

    /// What steps of a pipeline have left under a key, or, newest first, under one that begins with
    /// one of `or`.
    ///
    /// # Errors
    /// `NotFound`; when no server is reached.
    pub async fn find_cache(
        &self,
        scope: &str,
        key: &str,
        or: &[String],
    ) -> Result<CacheFound, ClientError> {
        let (scope, key) = (escape(scope), escape(key));
        let or = escape(&or.join("\n"));
        self.read(Ask::get(format!("/v1/caches/{scope}/{key}?or={or}"))).await
    }

    /// Keeps a package, whose pieces are there, under a key, unless something is there already.
    ///
    /// # Errors
    /// `Invalid`, if the package is not there; when no server is reached.
    pub async fn keep_cache(
        &self,
        scope: &str,
        key: &str,
        digest: &str,
    ) -> Result<(), ClientError> {
        let path = format!("/v1/caches/{}/{}", escape(scope), escape(key));
        let kept = CacheKept { digest: digest.to_owned() };
        self.send(Ask::of(Method::PUT, path).json(&kept).repeatable()).await.map(drop)
    }
}
