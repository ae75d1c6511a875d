//! What one replica was given, the others get too, so that each can answer. Messages wait in
//! memory for a replica that is away for a moment; one that is away for longer misses some.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_metrics::remote::{self, Version};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::metrics::write::Giver;

/// The header that carries the secret replicas share.
pub const SECRET_HEADER: &str = "x-atoll-replica";
/// The header that names the source of a message passed on.
pub const SOURCE_HEADER: &str = "x-atoll-source";
/// So many messages wait for one replica.
const MOST_WAITING: usize = 4_096;
/// So many bytes wait for all of them.
const MOST_BYTES: usize = 64 << 20;
/// A message is tried so often, with a pause between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// The other replicas.
pub struct Peers {
    shared: Arc<Shared>,
    queues: Mutex<HashMap<String, mpsc::Sender<Message>>>,
}

struct Shared {
    http: reqwest::Client,
    secret: String,
    waiting: AtomicUsize,
    lost: AtomicU64,
}

struct Message {
    source: String,
    body: Bytes,
}

impl Peers {
    /// Replicas that share a secret; `ca` is the certificate they are trusted by.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn new(secret: String, ca: Option<&str>) -> Result<Peers, String> {
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(10));
        if let Some(pem) = ca {
            let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
            http = http.tls_certs_only(roots.map_err(|e| e.to_string())?);
        }
        let http = http.build().map_err(|e| e.to_string())?;
        let (waiting, lost) = (AtomicUsize::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { http, secret, waiting, lost });
        Ok(Peers { shared, queues: Mutex::default() })
    }

    /// Whether somebody knows the secret.
    pub fn knows(&self, secret: &str) -> bool {
        // Hashes are compared, so that timing tells nothing of the secret.
        crate::auth::hash(secret) == crate::auth::hash(&self.shared.secret)
    }

    /// Queues a message for the replicas at these addresses.
    pub fn send(&self, addresses: &[String], giver: &Giver, body: &Bytes) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|address, _| addresses.contains(address));
        for address in addresses {
            let queue = queues.entry(address.clone()).or_insert_with(|| {
                let (sender, receiver) = mpsc::channel(MOST_WAITING);
                tokio::spawn(deliver(self.shared.clone(), address.clone(), receiver));
                sender
            });
            let full = self.shared.waiting.load(Ordering::Relaxed) + body.len() > MOST_BYTES;
            let message = Message { source: giver.source.clone(), body: body.clone() };
            self.shared.waiting.fetch_add(body.len(), Ordering::Relaxed);
            if full || queue.try_send(message).is_err() {
                self.shared.waiting.fetch_sub(body.len(), Ordering::Relaxed);
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Messages that did not get through to a replica.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }
}

/// Delivers what waits for one replica until nobody sends any more.
async fn deliver(shared: Arc<Shared>, address: String, mut queue: mpsc::Receiver<Message>) {
    let url = format!("{address}/api/v1/write");
    while let Some(message) = queue.recv().await {
        let mut done = false;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * attempt).await;
            }
            let mut request = shared
                .http
                .post(&url)
                .header(SECRET_HEADER, &shared.secret)
                .header(SOURCE_HEADER, &message.source);
            for (name, value) in remote::headers(Version::V1) {
                request = request.header(name, value);
            }
            let answer = request.body(message.body.clone()).send().await;
            // What it refuses it would refuse again.
            if answer.is_ok_and(|answer| !answer.status().is_server_error()) {
                done = true;
                break;
            }
        }
        shared.waiting.fetch_sub(message.body.len(), Ordering::Relaxed);
        if !done {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("could not pass metrics on to {address}; it misses some");
        }
    }
}
