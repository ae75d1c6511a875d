//! Watching objects as they change, across lost connections and servers.

use std::collections::VecDeque;
use std::time::Duration;

use atoll_model::Kind;
use atoll_model::api::WatchEvent;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use reqwest::header::{ACCEPT, HeaderValue};

use crate::backoff::Backoff;
use crate::error::ClientError;
use crate::pages::with_query;
use crate::sse::Parser;
use crate::transport::{Ask, Client};

impl Client {
    /// Every write of objects of these kinds, or of the one named: from after revision `from`, or,
    /// without one, first all there are, then `sync`, then what changes.
    ///
    /// Once it has begun, it outlives lost connections and goes on after the last revision seen;
    /// what was there at the start is sent again if the connection is lost before `sync`. It ends
    /// after the first error.
    pub fn watch(
        &self,
        kinds: &[Kind],
        name: Option<&str>,
        from: Option<u64>,
    ) -> BoxStream<'static, Result<WatchEvent, ClientError>> {
        let kinds: Vec<&str> = kinds.iter().map(|k| k.plural()).collect();
        let watch = Watch {
            client: self.clone(),
            kinds: kinds.join(","),
            name: name.map(str::to_owned),
            from,
            body: None,
            parser: Parser::default(),
            ready: VecDeque::new(),
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(5)),
            begun: false,
            done: false,
        };
        stream::unfold(
            watch,
            |mut watch| async move { watch.next().await.map(|event| (event, watch)) },
        )
        .boxed()
    }
}

struct Watch {
    client: Client,
    kinds: String,
    name: Option<String>,
    /// Where to go on; none until all that was there at the start has been seen.
    from: Option<u64>,
    body: Option<BoxStream<'static, reqwest::Result<Bytes>>>,
    parser: Parser,
    ready: VecDeque<WatchEvent>,
    backoff: Backoff,
    begun: bool,
    done: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<WatchEvent, ClientError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if self.from.is_some() || event.event == "sync" {
                    self.from = Some(event.revision);
                }
                return Some(Ok(event));
            }
            if self.done {
                return None;
            }
            let Some(body) = &mut self.body else {
                if let Err(error) = self.open().await {
                    if !self.begun || !passing(&error) {
                        self.done = true;
                        return Some(Err(error));
                    }
                    tokio::time::sleep(self.backoff.next_wait()).await;
                }
                continue;
            };
            match body.next().await {
                Some(Ok(bytes)) => {
                    if let Err(error) = self.take(&bytes) {
                        self.done = true;
                        return Some(Err(error));
                    }
                }
                Some(Err(_)) | None => {
                    self.body = None;
                    tokio::time::sleep(self.backoff.next_wait()).await;
                }
            }
        }
    }

    fn path(&self) -> String {
        with_query(
            "/v1/watch",
            &[
                ("kinds", Some(self.kinds.clone())),
                ("name", self.name.clone()),
                ("from", self.from.map(|r| r.to_string())),
            ],
        )
    }

    async fn open(&mut self) -> Result<(), ClientError> {
        let mut ask = Ask::get(self.path()).timeout(None);
        ask.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let response = self.client.open(ask).await?.stream.ok_or_else(|| self.strange("empty"))?;
        self.parser = Parser::default();
        self.body = Some(response.bytes_stream().boxed());
        self.begun = true;
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.backoff.reset();
        for event in self.parser.push(bytes) {
            let event: WatchEvent =
                serde_json::from_str(&event.data).map_err(|e| self.strange(&e.to_string()))?;
            self.ready.push_back(event);
        }
        Ok(())
    }

    fn strange(&self, why: &str) -> ClientError {
        ClientError::Strange { what: format!("GET {}", self.path()), why: why.to_owned() }
    }
}

/// Whether another attempt may fare better.
fn passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Problem(problem) => problem.status >= 500 || problem.status == 429,
        _ => false,
    }
}
