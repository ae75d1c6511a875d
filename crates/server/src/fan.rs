//! Values of configurations fanned out to many who watch them: worked out and written as text once
//! for all that see the same, whoever is how slow. It decides no values, and keeps nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atoll_model::config::Labels;
use atoll_model::{Any, Config, Snapshot};
use bytes::Bytes;
use tokio::sync::watch;

use crate::cache::Cache;

/// What is watched: a configuration, as it is for these labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// Its name.
    pub config: String,
    /// Whom for.
    pub labels: Labels,
}

/// Values as everybody in one seat is shown them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The version.
    pub version: u64,
    /// Changes whenever the values do, and the version.
    pub tag: Arc<str>,
    /// The values as JSON.
    pub body: Bytes,
    /// The same as a server-sent event.
    pub event: Bytes,
}

/// What is shown in a seat: nothing, while there is no such configuration.
pub type View = Option<Arc<Shown>>;

/// Everybody who watches, by what they see.
#[derive(Debug, Default)]
pub struct Fan {
    seats: Mutex<HashMap<Seat, watch::Sender<View>>>,
}

impl Fan {
    /// Takes a seat; what is shown there is there at once.
    pub fn watch(&self, cache: &Cache, seat: Seat) -> watch::Receiver<View> {
        let mut seats = self.seats();
        if let Some(sender) = seats.get(&seat) {
            return sender.subscribe();
        }
        // Read under the lock: a write that is not in this world is told after it.
        let view = show(&cache.world(), &seat);
        let (sender, receiver) = watch::channel(view);
        seats.insert(seat, sender);
        receiver
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.seats().values().map(watch::Sender::receiver_count).sum()
    }

    /// Shows what has changed in these configurations, and clears seats nobody is in.
    fn tell(&self, world: &Snapshot, changed: impl Fn(&str) -> bool) {
        let mut seats = self.seats();
        seats.retain(|_, sender| sender.receiver_count() > 0);
        for (seat, sender) in seats.iter().filter(|(seat, _)| changed(&seat.config)) {
            let view = show(world, seat);
            sender.send_if_modified(|old| {
                let news = *old != view;
                *old = view;
                news
            });
        }
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<Seat, watch::Sender<View>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works out what is shown in a seat.
fn show(world: &Snapshot, seat: &Seat) -> View {
    let config = world.get::<Config>(&seat.config)?;
    let status = &config.status;
    if status.version == 0 {
        return None;
    }
    let values = status.live.for_labels(&seat.labels);
    let text = serde_json::to_string(&values).ok()?;
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let tag = format!("{}-{}", status.version, &hash[..8]);
    // JSON as it is written here holds no line breaks, so it is one line of an event.
    let event = Bytes::from(format!("id: {tag}\ndata: {text}\n\n"));
    let body = Bytes::from(text);
    Some(Arc::new(Shown { version: status.version, tag: tag.into(), body, event }))
}

/// Follows the objects, for as long as the server runs.
pub async fn run(server: crate::App) {
    let mut follow = server.cache.follow();
    let mut seen = server.cache.revision();
    while follow.changed().await.is_ok() {
        follow.borrow_and_update();
        let Ok(events) = server.cache.since(seen) else {
            seen = server.cache.revision();
            server.fan.tell(&server.cache.world(), |_| true);
            continue;
        };
        let Some(last) = events.last() else { continue };
        seen = last.revision;
        let name = |any: Option<&Any>| match any {
            Some(Any::Config(config)) => Some(config.meta.name.clone()),
            _ => None,
        };
        let changed: Vec<String> = events.iter().filter_map(|e| name(e.object())).collect();
        if !changed.is_empty() {
            server.fan.tell(&server.cache.world(), |config| changed.iter().any(|c| c == config));
        }
    }
}
