//! Brings a person and an agent together for logs and commands: the person's WebSocket waits until
//! the agent, told of it by its long poll, opens its own; then frames pass both ways. The server
//! never dials a host, and does not read what passes.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_model::agent::{Ask, Session, SessionNote};
use axum::extract::ws::{Message, WebSocket};
use futures::{Sink, SinkExt, StreamExt};
use tokio::sync::oneshot;

/// An agent that is alive answers within this time.
const PATIENCE: Duration = Duration::from_secs(15);
/// So long somebody whose session ends may take to hear why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sessions that wait for their agent.
#[derive(Debug, Default)]
pub struct Relay {
    waiting: Mutex<HashMap<String, Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    host: String,
    session: Session,
    told: bool,
    answer: oneshot::Sender<WebSocket>,
}

impl Relay {
    /// Announces a session; the receiver gets the agent's socket.
    pub fn announce(
        &self,
        host: &str,
        instance: &str,
        ask: Ask,
    ) -> (String, oneshot::Receiver<WebSocket>) {
        let (answer, receiver) = oneshot::channel();
        let id = crate::auth::secret();
        let session = Session { id: id.clone(), instance: instance.to_owned(), ask };
        let waiting = Waiting { host: host.to_owned(), session, told: false, answer };
        self.lock().insert(id.clone(), waiting);
        (id, receiver)
    }

    /// The sessions of a host that its agent has not been told of yet.
    pub fn tell(&self, host: &str) -> Vec<Session> {
        let mut waiting = self.lock();
        let new = waiting.values_mut().filter(|w| w.host == host && !w.told);
        new.map(|w| {
            w.told = true;
            w.session.clone()
        })
        .collect()
    }

    /// Whether a host's agent has something to be told.
    pub fn has_news(&self, host: &str) -> bool {
        self.lock().values().any(|w| w.host == host && !w.told)
    }

    /// Whether the session waits for this host.
    pub fn expects(&self, host: &str, id: &str) -> bool {
        self.lock().get(id).is_some_and(|w| w.host == host)
    }

    /// Hands the agent's socket to the person who waits; false, if nobody does any more.
    pub fn answer(&self, id: &str, socket: WebSocket) -> bool {
        let waiting = self.lock().remove(id);
        waiting.is_some_and(|w| w.answer.send(socket).is_ok())
    }

    /// Nobody waits for the session any more.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the agent, then passes frames both ways until either side is done, or the access of
/// the person has `ended`, which says why.
pub async fn serve(
    relay: Arc<Relay>,
    id: String,
    host: String,
    (mut person, agent): (WebSocket, oneshot::Receiver<WebSocket>),
    ended: impl Future<Output = String>,
) {
    let mut ended = pin!(ended);
    let late = || {
        let seconds = PATIENCE.as_secs();
        format!("host {host} did not answer within {seconds} s; see `atoll why host/{host}`")
    };
    let answered = tokio::select! {
        answered = tokio::time::timeout(PATIENCE, agent) => {
            answered.ok().and_then(Result::ok).ok_or_else(late)
        }
        why = &mut ended => Err(why),
    };
    let agent = match answered {
        Ok(agent) => agent,
        Err(message) => {
            relay.forget(&id);
            return fail(&mut person, message).await;
        }
    };
    let (mut to_person, mut from_person) = person.split();
    let (mut to_agent, mut from_agent) = agent.split();
    let why = {
        let inward = async {
            while let Some(Ok(message)) = from_person.next().await {
                if matches!(message, Message::Close(_)) || to_agent.send(message).await.is_err() {
                    break;
                }
            }
            let _ = to_agent.close().await;
        };
        let outward = async {
            while let Some(Ok(message)) = from_agent.next().await {
                if matches!(message, Message::Close(_)) || to_person.send(message).await.is_err() {
                    break;
                }
            }
            let _ = to_person.close().await;
        };
        // Either direction ending ends the session; input may end long before the output does,
        // which is told by a note and not by closing.
        tokio::select! { () = inward => None, () = outward => None, why = ended => Some(why) }
    };
    if let Some(why) = why {
        let _ = to_agent.close().await;
        fail(&mut to_person, why).await;
    }
}

/// Says why it has failed, and closes. One who reads nothing any more is not waited for long.
async fn fail(person: &mut (impl Sink<Message> + Unpin), message: String) {
    let note = SessionNote::Failed { message };
    let text = serde_json::to_string(&note).expect("notes are plain text");
    let said = async {
        // The person may have gone; there is nobody else to tell.
        let _ = person.send(Message::Text(text.into())).await;
        let _ = person.send(Message::Close(None)).await;
        let _ = person.close().await;
    };
    let _ = tokio::time::timeout(LAST_WORDS, said).await;
}
