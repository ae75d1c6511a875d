//! Sends the messages planners made, on the replica that leads. A receiver that hangs keeps no
//! other waiting: a few messages at a time go to each, of one group never two, and a bounded
//! number to all. What is said, and when, is the planners' business.

pub mod channel;
pub mod email;
pub mod message;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::{Notification, Reason, Receiver};
use atoll_plan::{Context, alerting};
use atoll_store::Epoch;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::commit::Refusal;
use crate::{App, Server};

/// So many messages are on their way at a time.
const AT_A_TIME: usize = 64;
/// And so many to one receiver.
const TO_ONE: usize = 4;
/// What is due is looked for at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An outcome that could not be committed is tried so often.
const ATTEMPTS: usize = 20;
/// With a pause between.
const PAUSE: Duration = Duration::from_millis(250);

/// Why a message did not get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSent {
    /// What happened.
    pub why: String,
    /// Whether trying again is of no use.
    pub permanent: bool,
}

impl NotSent {
    /// It may get through later.
    pub fn later(why: impl Into<String>) -> NotSent {
        NotSent { why: why.into(), permanent: false }
    }

    /// It never will.
    pub fn never(why: impl Into<String>) -> NotSent {
        NotSent { why: why.into(), permanent: true }
    }
}

/// What is on its way.
#[derive(Debug, Default)]
struct OnItsWay {
    /// By receiver, the groups of which a message is on its way.
    groups: HashMap<String, HashSet<String>>,
}

impl OnItsWay {
    fn end(&mut self, receiver: &str, group: &str) {
        if let Some(groups) = self.groups.get_mut(receiver) {
            groups.remove(group);
        }
    }
}

/// Sends until the server stops.
pub async fn run(app: App) {
    let sender = channel::Sender::new();
    let sender = match sender {
        Ok(sender) => Arc::new(sender),
        Err(error) => return tracing::error!("no message can be sent: {error}"),
    };
    let busy = Arc::new(Mutex::new(OnItsWay::default()));
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut follow = app.cache.follow();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            _ = follow.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            // One that ended makes room for the next of its receiver.
            Some(_) = tasks.join_next() => {}
        }
        let Some(epoch) = app.epoch() else {
            // Whoever leads now sends; what is on its way here ends without a word.
            tasks.abort_all();
            *busy.lock().unwrap_or_else(PoisonError::into_inner) = OnItsWay::default();
            continue;
        };
        for name in alerting::to_send(&app.cache.world(), app.clock.now()) {
            let Ok(place) = places.clone().try_acquire_owned() else { break };
            let Some((receiver, group)) = begin(&app, &busy, &name) else { continue };
            let (app, busy, sender) = (app.clone(), busy.clone(), sender.clone());
            tasks.spawn(async move {
                app.deliver(&sender, epoch, &name).await;
                busy.lock().unwrap_or_else(PoisonError::into_inner).end(&receiver, &group);
                drop(place);
            });
        }
    }
}

/// Marks a message as on its way; returns its receiver and group, unless the receiver has as many
/// as it may, one of the group is on its way already, or it was sent meanwhile.
///
/// **Invariant:** what became of a message is in the world before its name is let go, so whoever
/// looks at the world under the lock sends none twice.
fn begin(app: &Server, busy: &Mutex<OnItsWay>, name: &str) -> Option<(String, String)> {
    let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
    let world = app.cache.world();
    let notification = world.get::<Notification>(name)?;
    if !alerting::is_to_be_sent(notification, app.clock.now()) {
        return None;
    }
    let (receiver, group) = (&notification.spec.receiver, &notification.spec.key);
    let groups = busy.groups.entry(receiver.clone()).or_default();
    if groups.len() >= TO_ONE || !groups.insert(group.clone()) {
        return None;
    }
    Some((receiver.clone(), group.clone()))
}

impl Server {
    /// Sends one message and notes what became of it.
    async fn deliver(&self, sender: &channel::Sender, epoch: Epoch, name: &str) {
        let world = self.cache.world();
        let Some(notification) = world.get::<Notification>(name) else { return };
        let began = self.clock.elapsed();
        let (kind, outcome) = match world.get::<Receiver>(&notification.spec.receiver) {
            None => {
                let why = format!("there is no receiver {}", notification.spec.receiver);
                ("none", Err(NotSent::never(why)))
            }
            Some(receiver) => {
                let patience = receiver.spec.timeout.std();
                let address = self.addresses().into_iter().next().unwrap_or_default();
                let sending = sender.send(receiver, notification, &address);
                let outcome = tokio::time::timeout(patience, sending).await;
                let late = || NotSent::later(format!("no answer within {}", receiver.spec.timeout));
                (receiver.spec.channel.word(), outcome.unwrap_or_else(|_| Err(late())))
            }
        };
        let took = self.clock.elapsed().saturating_sub(began);
        let channel = ("channel", kind);
        self.figures.observe("atoll_notification_duration_seconds", &[channel], took);
        let word = match &outcome {
            Ok(()) => "sent",
            Err(NotSent { permanent: true, .. }) => "given_up",
            Err(_) => "failed",
        };
        self.figures.count("atoll_notifications_sent_total", &[channel, ("outcome", word)]);
        self.note(epoch, name, outcome).await;
    }

    /// Commits what became of a message. A message whose outcome is lost would be sent twice.
    async fn note(&self, epoch: Epoch, name: &str, outcome: Result<(), NotSent>) {
        let permanent = outcome.as_ref().is_err_and(|not| not.permanent);
        let outcome = outcome.map_err(|not| not.why);
        let actor = Actor::controller("notification");
        for _ in 0..ATTEMPTS {
            let make = |cx: &Context| {
                Ok::<_, Vec<Reason>>(alerting::sent(cx, name, outcome.clone(), permanent))
            };
            match self.commit(&actor, Some(epoch), make).await {
                Ok(_) | Err(Refusal::Invalid(_)) => return,
                Err(Refusal::Store(atoll_store::CommitError::Fenced { .. })) => return,
                Err(error) => tracing::warn!("could not note that {name} was sent: {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
