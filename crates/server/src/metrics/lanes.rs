//! Who may ask the store at the same time: people take turns, each in the order they asked, and
//! none takes every place, so that one who asks a lot does not starve others; a question that takes
//! long moves aside, so that it does not starve the short ones behind it; planners have a lane of
//! their own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// So many questions of people are worked on at a time,
const PEOPLE: usize = 3;
/// of them so many of one person.
const EACH: usize = PEOPLE - 1;
/// So many questions that take long are worked on aside, of all people,
const ASIDE: usize = 3;
/// and of one person.
const ASIDE_EACH: usize = ASIDE - 1;
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
    aside: Arc<Queue>,
    planners: Arc<Queue>,
}

/// A turn; dropping it lets the next one in.
#[derive(Debug)]
pub struct Turn {
    queue: Arc<Queue>,
    name: String,
}

#[derive(Debug)]
struct Queue {
    places: usize,
    /// At most so many of one name.
    each: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many places each name has; none has 0.
    taken: BTreeMap<String, usize>,
    waiting: BTreeMap<String, VecDeque<oneshot::Sender<Turn>>>,
    /// Whose turn is next.
    order: VecDeque<String>,
}

impl Lanes {
    /// Nobody asks yet.
    pub fn new() -> Lanes {
        let queue = |places, each| Arc::new(Queue { places, each, state: Mutex::default() });
        Lanes {
            people: queue(PEOPLE, EACH),
            aside: queue(ASIDE, ASIDE_EACH),
            planners: queue(PLANNERS, PLANNERS),
        }
    }

    /// A place for a question that has taken long, in exchange for its turn; none where too many
    /// take long, or where it is a planner's.
    pub fn aside(&self, lane: Lane<'_>) -> Option<Turn> {
        match lane {
            Lane::Person(name) => Queue::take(&self.aside, name),
            Lane::Planner => None,
        }
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
    /// A place, if one is free.
    fn take(queue: &Arc<Queue>, name: &str) -> Option<Turn> {
        let mut state = queue.state.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = queue.admits(&mut state, name);
        admitted.then(|| Turn { queue: queue.clone(), name: name.to_owned() })
    }

    /// Takes a place, if one is free.
    fn admits(&self, state: &mut State, name: &str) -> bool {
        let free = state.taken.values().sum::<usize>() < self.places;
        let admitted = free && state.has(name) < self.each;
        if admitted {
            state.take(name);
        }
        admitted
    }

    async fn wait(queue: &Arc<Queue>, name: &str) -> Turn {
        let turn = || Turn { queue: queue.clone(), name: name.to_owned() };
        let receiver = {
            let mut state = queue.state.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.admits(&mut state, name) {
                return turn();
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
        receiver.await.unwrap_or_else(|_| turn())
    }

    /// Who takes the place that is left: one of each name after the other, passing over those
    /// that have as many places as one may have.
    fn next(&self, left_by: &str) -> Option<(oneshot::Sender<Turn>, String)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.leave(left_by);
        let mut passed = 0;
        while let Some(name) = state.order.get(passed).cloned() {
            if state.has(&name) >= self.each {
                passed += 1;
                continue;
            }
            state.order.remove(passed);
            let Some(line) = state.waiting.get_mut(&name) else { continue };
            let next = line.pop_front();
            if line.is_empty() {
                state.waiting.remove(&name);
            } else {
                state.order.push_back(name.clone());
            }
            // Who has gone meanwhile takes no turn.
            if let Some(sender) = next.filter(|sender| !sender.is_closed()) {
                state.take(&name);
                return Some((sender, name));
            }
        }
        None
    }
}

impl State {
    fn has(&self, name: &str) -> usize {
        self.taken.get(name).copied().unwrap_or(0)
    }

    fn take(&mut self, name: &str) {
        *self.taken.entry(name.to_owned()).or_default() += 1;
    }

    fn leave(&mut self, name: &str) {
        match self.taken.get_mut(name) {
            Some(places) if *places > 1 => *places -= 1,
            _ => drop(self.taken.remove(name)),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((sender, name)) = self.queue.next(&self.name) {
            // If its owner goes at this moment, the turn comes back and is dropped again.
            let _ = sender.send(Turn { queue: self.queue.clone(), name });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_does_not_take_every_place() {
        let lanes = Lanes::new();
        let mut held = Vec::new();
        for _ in 0..EACH {
            held.push(lanes.turn(Lane::Person("a")).await);
        }
        let mut more = Box::pin(lanes.turn(Lane::Person("a")));
        assert!(futures::poll!(&mut more).is_pending());
        let other = lanes.turn(Lane::Person("b")).await;
        drop(other);
        assert!(futures::poll!(&mut more).is_pending(), "the place that b left is not for a");
        held.pop();
        drop(more.await);
        drop(held);
        assert!(lanes.people.state.lock().unwrap().taken.is_empty());
    }

    #[tokio::test]
    async fn what_takes_long_moves_aside_for_what_is_short() {
        let lanes = Lanes::new();
        let ann = Lane::Person("ann");
        let mut long = Vec::new();
        for _ in 0..ASIDE_EACH {
            let turn = lanes.turn(ann).await;
            long.push(lanes.aside(ann).expect("there is a place"));
            drop(turn);
        }
        assert!(lanes.aside(ann).is_none(), "one takes not every place there either");
        let short = [lanes.turn(ann).await, lanes.turn(ann).await];
        assert!(lanes.aside(Lane::Person("bob")).is_some());
        assert!(lanes.aside(Lane::Planner).is_none());
        drop((short, long));
        assert!(lanes.aside.state.lock().unwrap().taken.is_empty());
    }

    #[tokio::test]
    async fn one_who_asks_a_lot_does_not_starve_another() {
        let lanes = Arc::new(Lanes::new());
        let other = lanes.turn(Lane::Person("c")).await;
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
        drop(other);
        assert!(lanes.people.state.lock().unwrap().taken.is_empty());
    }

    #[tokio::test]
    async fn who_has_gone_takes_no_turn() {
        let lanes = Lanes::new();
        let other = lanes.turn(Lane::Person("c")).await;
        let held = [lanes.turn(Lane::Person("a")).await, lanes.turn(Lane::Person("a")).await];
        let mut gone = Box::pin(lanes.turn(Lane::Person("b")));
        assert!(futures::poll!(&mut gone).is_pending());
        drop(gone);
        drop(held);
        drop(other);
        assert!(lanes.people.state.lock().unwrap().taken.is_empty());
        drop(lanes.turn(Lane::Person("c")).await);
    }
}
