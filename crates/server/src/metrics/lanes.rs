//! Who may ask the store at the same time: people take turns, each in the order they asked, so
//! that one who asks a lot does not starve others; planners have a lane of their own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// So many questions of people are worked on at a time.
const PEOPLE: usize = 2;
/// So many questions of planners.
const PLANNERS: usize = 2;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Lane<'a> {
    /// A person or program, by the name of its token.
    Person(&'a str),
    /// A planner.
    Planner,
}

/// The lanes.
#[derive(Debug)]
pub struct Lanes {
    people: Arc<Queue>,
    planners: Arc<Queue>,
}

/// A turn; dropping it lets the next one in.
#[derive(Debug)]
pub struct Turn(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    places: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    waiting: BTreeMap<String, VecDeque<oneshot::Sender<Turn>>>,
    /// Whose turn is next.
    order: VecDeque<String>,
}

impl Lanes {
    /// Nobody asks yet.
    pub fn new() -> Lanes {
        let queue = |places| Arc::new(Queue { places, state: Mutex::default() });
        Lanes { people: queue(PEOPLE), planners: queue(PLANNERS) }
    }

    /// Waits for a turn.
    pub async fn turn(&self, lane: Lane<'_>) -> Turn {
        match lane {
            Lane::Person(name) => Queue::wait(&self.people, name).await,
            Lane::Planner => Queue::wait(&self.planners, "").await,
        }
    }

    /// How many people's questions wait.
    pub fn waiting(&self) -> usize {
        let state = self.people.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.values().map(VecDeque::len).sum()
    }
}

impl Default for Lanes {
    fn default() -> Lanes {
        Lanes::new()
    }
}

impl Queue {
    async fn wait(queue: &Arc<Queue>, name: &str) -> Turn {
        let receiver = {
            let mut state = queue.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.taken < queue.places {
                state.taken += 1;
                return Turn(queue.clone());
            }
            let (sender, receiver) = oneshot::channel();
            let line = state.waiting.entry(name.to_owned()).or_default();
            line.push_back(sender);
            if line.len() == 1 {
                state.order.push_back(name.to_owned());
            }
            receiver
        };
        // The sender lives in the queue, which is borrowed, until it is used.
        receiver.await.unwrap_or_else(|_| Turn(queue.clone()))
    }

    /// The next of those that wait, one of each name after the other.
    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some(name) = state.order.pop_front() else {
                state.taken -= 1;
                return None;
            };
            let Some(line) = state.waiting.get_mut(&name) else { continue };
            let next = line.pop_front();
            if line.is_empty() {
                state.waiting.remove(&name);
            } else {
                state.order.push_back(name);
            }
            // Who has gone meanwhile takes no turn.
            if let Some(sender) = next.filter(|sender| !sender.is_closed()) {
                return Some(sender);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(sender) = self.0.next() {
            // If its owner goes at this moment, the turn comes back and is dropped again.
            let _ = sender.send(Turn(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_who_asks_a_lot_does_not_starve_another() {
        let lanes = Arc::new(Lanes::new());
        let held = [lanes.turn(Lane::Person("a")).await, lanes.turn(Lane::Person("a")).await];
        let (sender, mut done) = tokio::sync::mpsc::unbounded_channel();
        let ask = |name: &'static str| {
            let (lanes, sender) = (lanes.clone(), sender.clone());
            tokio::spawn(async move {
                let turn = lanes.turn(Lane::Person(name)).await;
                let _ = sender.send(name);
                drop(turn);
            })
        };
        let asked: Vec<_> = (0..5).map(|_| ask("a")).chain([ask("b")]).collect();
        while lanes.waiting() < asked.len() {
            tokio::task::yield_now().await;
        }
        // Planners are let in meanwhile.
        drop(lanes.turn(Lane::Planner).await);
        let [first, second] = held;
        drop(first);
        let order = [done.recv().await, done.recv().await];
        assert!(order.contains(&Some("b")), "{order:?}");
        drop(second);
        for task in asked {
            task.await.unwrap();
        }
        assert_eq!(lanes.people.state.lock().unwrap().taken, 0);
    }

    #[tokio::test]
    async fn who_has_gone_takes_no_turn() {
        let lanes = Lanes::new();
        let held = [lanes.turn(Lane::Person("a")).await, lanes.turn(Lane::Person("a")).await];
        let mut gone = Box::pin(lanes.turn(Lane::Person("b")));
        assert!(futures::poll!(&mut gone).is_pending());
        drop(gone);
        drop(held);
        assert_eq!(lanes.people.state.lock().unwrap().taken, 0);
        drop(lanes.turn(Lane::Person("c")).await);
    }
}
