//! What is to be known and is no write: refusals, sign-ins, commands, prunings. Records of it enter
//! the same chain as every write. What was permitted is recorded before it is done; refusals are
//! recorded soon after, and the same one again within a minute is counted and not repeated, so
//! that nobody can fill the store with them.

use std::collections::HashMap;
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::access::wire::AuditNote;
use atoll_model::{Reason, Span, Timestamp};
use atoll_store::{Batch, Change, CommitError, Expect, RECORD};
use axum::extract::{ConnectInfo, Request};
use tokio::sync::mpsc;

use crate::cache::Applied;
use crate::listen::PeerAddress;
use crate::{App, Server};

/// So many refusals may wait to be recorded; what comes faster is counted in one of them.
const QUEUE: usize = 1_024;
/// The same refusal is recorded once in this time, and then how often it came.
const WINDOW: Span = Span::seconds(60);
/// So many different ones are told apart in that time; the rest is one.
const MOST: usize = 512;
/// The longest text of a request that is put on record, in characters.
const LONGEST: usize = 300;

/// Something to be recorded.
#[derive(Clone, Debug)]
pub struct Note {
    /// Who.
    pub actor: String,
    /// In one word: `refused`, `login`, …
    pub op: &'static str,
    /// What or whom it is about.
    pub about: String,
    /// Why.
    pub reasons: Vec<Reason>,
    /// From where.
    pub from: Option<String>,
    /// So often.
    pub times: u64,
}

impl Note {
    /// Something that happened once.
    pub fn new(actor: &str, op: &'static str, about: impl Into<String>) -> Note {
        let about: String = about.into().chars().take(LONGEST).collect();
        Note {
            actor: actor.to_owned(),
            op,
            about: about.replace('\0', "\\0"),
            reasons: Vec::new(),
            from: None,
            times: 1,
        }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, code: &str, message: impl Into<String>) -> Note {
        self.reasons.push(Reason::new(code, message));
        self
    }

    /// The same with where it came from.
    #[must_use]
    pub fn from(mut self, from: Option<String>) -> Note {
        self.from = from;
        self
    }
}

/// Takes refusals that are to be recorded.
#[derive(Debug)]
pub struct Auditor {
    queue: mpsc::Sender<Note>,
}

impl Auditor {
    /// The queue and its far end.
    pub fn new() -> (Auditor, mpsc::Receiver<Note>) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        (Auditor { queue }, receiver)
    }

    /// Somebody may not do what they wanted.
    pub fn refused(&self, actor: &Actor, what: &str, from: Option<String>, why: Vec<Reason>) {
        let note = Note { reasons: why, ..Note::new(&actor.name, "refused", what) };
        self.put(note.from(from));
    }

    /// Somebody whom nobody knows asked for something.
    pub fn unknown(&self, path: &str, from: Option<&str>) {
        let note = Note::new("unknown", "refused", path);
        let note = note.because("unauthorized", "no valid credential was shown");
        self.put(note.from(from.map(str::to_owned)));
    }

    /// Something that need not be waited for.
    pub fn put(&self, note: Note) {
        // Where so many wait, those that wait say enough.
        let _ = self.queue.try_send(note);
    }
}

/// Where a request comes from, without its port.
pub fn origin(request: &Request) -> Option<String> {
    let peer = request.extensions().get::<ConnectInfo<PeerAddress>>();
    peer.map(|ConnectInfo(PeerAddress(address))| address.ip().to_string())
}

/// The same refusals of one minute.
struct Repeated {
    note: Note,
    until: Timestamp,
}

/// Records refusals until the server stops.
pub async fn run(app: App, mut queue: mpsc::Receiver<Note>) {
    let mut seen: HashMap<(String, &'static str, String), Repeated> = HashMap::new();
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        let mut waiting = Vec::new();
        let found = tokio::select! {
            found = queue.recv_many(&mut waiting, QUEUE) => found,
            _ = every.tick() => usize::MAX,
        };
        if found == 0 {
            return;
        }
        let now = app.clock.now();
        let mut due: Vec<Note> = Vec::new();
        seen.retain(|_, repeated| {
            let over = repeated.until <= now;
            if over && repeated.note.times > 0 {
                due.push(repeated.note.clone());
            }
            !over
        });
        for note in waiting {
            let mut key = (note.actor.clone(), note.op, note.about.clone());
            if seen.len() >= MOST && !seen.contains_key(&key) {
                key = (String::new(), note.op, String::new());
            }
            match seen.get_mut(&key) {
                Some(repeated) => repeated.note.times += 1,
                None => {
                    due.push(note.clone());
                    let note = Note { times: 0, ..note };
                    seen.insert(key, Repeated { note, until: now + WINDOW });
                }
            }
        }
        if let Err(error) = app.put_on_record(due).await {
            tracing::warn!("could not record what was refused: {error}");
        }
    }
}

impl Server {
    /// Records what is to be known; it is on record when this returns.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn put_on_record(&self, notes: Vec<Note>) -> Result<(), CommitError> {
        if notes.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let batches = notes.iter().map(|note| batch(note, now)).collect();
        let mut behind = false;
        for outcome in self.store.commit_all(batches).await {
            let revisions = outcome?;
            self.cache.apply(revisions.into_iter().map(Applied::record).collect());
            behind = true;
        }
        if behind {
            self.catch_up().await;
        }
        Ok(())
    }
}

fn batch(note: &Note, now: Timestamp) -> Batch {
    let times = (note.times > 1).then_some(note.times);
    let body = AuditNote { times, from: note.from.clone() };
    let text = serde_json::to_string(&body).expect("a note is plain text");
    let write = atoll_store::Write {
        kind: RECORD.to_owned(),
        name: note.about.clone(),
        expect: Expect::Any,
        reasons: None,
        change: Change::Record(text),
    };
    let reasons = serde_json::to_string(&note.reasons).expect("reasons are plain text");
    Batch {
        writes: vec![write],
        actor: note.actor.clone(),
        intent: note.op.to_owned(),
        reasons: reasons.replace('\0', "\\0"),
        at: now.0,
        fence: None,
    }
}
