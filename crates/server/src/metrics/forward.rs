//! What one replica was given, the others get too, so that each can answer. Messages wait in
//! memory for a replica that is away, as many as there is room for; one that is away for longer, or
//! is given up for gone, misses the newest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_metrics::remote::{self, Version};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::sync::mpsc;

use crate::metrics::write::Giver;

/// The header that carries the secret replicas share.
pub const SECRET_HEADER: &str = "x-atoll-replica";
/// The header that names the source of a message passed on.
pub const SOURCE_HEADER: &str = "x-atoll-source";
/// So many messages wait for one replica.
const MOST_WAITING: usize = 4_096;
/// So many bytes wait for one.
const MOST_BYTES: usize = 32 << 20;
/// And so many for all that are away: a replica that comes back under another address each time
/// leaves one behind.
const MOST_AWAY: usize = 64 << 20;
/// What one misses that is away is kept for it so long.
const AWAY: Duration = Duration::from_secs(3_600);
/// The pauses between two attempts of a message: the first, and the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The other replicas.
pub struct Peers {
    shared: Arc<Shared>,
    queues: Mutex<HashMap<String, Queue>>,
}

/// What waits for one replica.
struct Queue {
    sender: mpsc::Sender<Message>,
    /// Bytes.
    waiting: Arc<AtomicUsize>,
    /// When it was last among the replicas.
    seen: Duration,
}

struct Shared {
    http: reqwest::Client,
    secret: String,
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
        let shared = Arc::new(Shared { http, secret, lost: AtomicU64::new(0) });
        Ok(Peers { shared, queues: Mutex::default() })
    }

    /// Whether somebody knows the secret.
    pub fn knows(&self, secret: &str) -> bool {
        // Hashes are compared, so that timing tells nothing of the secret.
        crate::auth::hash(secret) == crate::auth::hash(&self.shared.secret)
    }

    /// Asks another replica, in the name of somebody it need not know. An answer that has not come
    /// in full `within` this time is none, but for one that stays open.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn ask(
        &self,
        url: &str,
        name: &str,
        headers: HeaderMap,
        within: Duration,
    ) -> Result<reqwest::Response, String> {
        let asked = self.shared.http.get(url).headers(headers).timeout(within);
        let asked = asked.header(SECRET_HEADER, &self.shared.secret);
        // Whoever has a name that fits in no header is told of as another replica.
        let name = HeaderValue::from_str(name);
        let name = name.unwrap_or_else(|_| HeaderValue::from_static("replica"));
        asked.header(SOURCE_HEADER, name).send().await.map_err(|e| e.to_string())
    }

    /// Queues a message for the replicas at these addresses, which are those there are at `now` on
    /// a clock that only counts, and for those that were there within the last hour.
    pub fn send(&self, addresses: &[String], giver: &Giver, body: &Bytes, now: Duration) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            let queue = queues.entry(address.clone()).or_insert_with(|| {
                let (sender, receiver) = mpsc::channel(MOST_WAITING);
                let waiting = Arc::new(AtomicUsize::new(0));
                let task = deliver(self.shared.clone(), address.clone(), receiver, waiting.clone());
                tokio::spawn(task);
                Queue { sender, waiting, seen: now }
            });
            queue.seen = now;
        }
        queues.retain(|_, queue| now.saturating_sub(queue.seen) < AWAY);
        let bytes = |queue: &Queue| queue.waiting.load(Ordering::Relaxed);
        let mut away: usize = queues.values().filter(|q| q.seen < now).map(bytes).sum();
        for queue in queues.values() {
            let Queue { sender, waiting, seen } = queue;
            let mut full = bytes(queue) + body.len() > MOST_BYTES;
            if *seen < now && !full {
                full = away + body.len() > MOST_AWAY;
                away += body.len();
            }
            let message = Message { source: giver.source.clone(), body: body.clone() };
            waiting.fetch_add(body.len(), Ordering::Relaxed);
            if full || sender.try_send(message).is_err() {
                waiting.fetch_sub(body.len(), Ordering::Relaxed);
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
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.values().map(|queue| queue.waiting.load(Ordering::Relaxed)).sum()
    }
}

/// Delivers what waits for one replica until nobody sends any more.
async fn deliver(
    shared: Arc<Shared>,
    address: String,
    mut queue: mpsc::Receiver<Message>,
    waiting: Arc<AtomicUsize>,
) {
    let url = format!("{address}/api/v1/write");
    while let Some(message) = queue.recv().await {
        let mut pause = PAUSE;
        let done = loop {
            if shared.hand_over(&url, &message).await {
                break true;
            }
            // Who is no replica any more needs nothing.
            if queue.is_closed() {
                break false;
            }
            if pause == PAUSE {
                tracing::warn!("metrics for {address} wait: it takes none");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        waiting.fetch_sub(message.body.len(), Ordering::Relaxed);
        if !done {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// False, where the message is worth another attempt.
    async fn hand_over(&self, url: &str, message: &Message) -> bool {
        let mut request = self
            .http
            .post(url)
            .header(SECRET_HEADER, &self.secret)
            .header(SOURCE_HEADER, &message.source);
        for (name, value) in remote::headers(Version::V1) {
            request = request.header(name, value);
        }
        let answer = request.body(message.body.clone()).send().await;
        // What it refuses it would refuse again, unless it is only in haste.
        answer.is_ok_and(|answer| !answer.status().is_server_error() && answer.status() != 429)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;

    use super::*;

    #[tokio::test]
    async fn what_a_replica_misses_it_gets_when_it_is_back() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let peers = Peers::new("secret".to_owned(), None).unwrap();
        let addresses = [format!("http://{at}")];
        let send = |addresses: &[String], now| {
            let body = Bytes::from_static(b"rows");
            peers.send(addresses, &Giver::server("h1"), &body, Duration::from_secs(now));
        };
        send(&addresses, 0);
        // It is among the replicas no more, and not gone for long.
        send(&[], 60);
        assert_eq!(peers.waiting(), 8);
        let (told, mut came) = mpsc::unbounded_channel();
        let take = post(move |body: Bytes| async move { drop(told.send(body)) });
        let listener = tokio::net::TcpListener::bind(at).await.unwrap();
        let router = Router::new().route("/api/v1/write", take);
        tokio::spawn(async move { axum::serve(listener, router).await });
        for _ in 0..2 {
            assert_eq!(came.recv().await.unwrap(), "rows");
        }
        send(&[], 3_700);
        assert_eq!((peers.waiting(), peers.lost()), (0, 0), "given up for gone");
    }

    #[tokio::test]
    async fn what_waits_for_all_that_are_away_is_bounded() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let peers = Peers::new("secret".to_owned(), None).unwrap();
        let gone: Vec<String> = (1..=4).map(|port| format!("http://127.0.0.1:{port}")).collect();
        let giver = Giver::server("h1");
        peers.send(&gone, &giver, &Bytes::new(), Duration::ZERO);
        let large = Bytes::from(vec![0; 30 << 20]);
        peers.send(&[], &giver, &large, Duration::from_secs(60));
        assert_eq!((peers.waiting(), peers.lost()), (60 << 20, 2));
        // Whoever is there has room of its own.
        peers.send(&["http://127.0.0.1:5".to_owned()], &giver, &large, Duration::from_secs(61));
        assert_eq!((peers.waiting(), peers.lost()), (90 << 20, 6));
    }
}
