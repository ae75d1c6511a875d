//! Waits until a change has settled, by the watch and never by polling. What settled means stands
//! in `goal.rs`.

use std::collections::BTreeSet;

use atoll_client::Client;
use atoll_model::api::WatchEvent;
use atoll_model::{Any, Kind, Snapshot, Span};
use futures::StreamExt;

use crate::commands::why;
use crate::exit::Exit;
use crate::goal::{self, Goal, State};
use crate::output;
use crate::subject::Subject;
use crate::terminal::{Paint, Progress};

/// Waits until every goal is reached, or one cannot be, or the time is up, and says so.
///
/// # Errors
/// The client's.
pub async fn settle(client: &Client, goals: Vec<Goal>, timeout: Span) -> anyhow::Result<Exit> {
    if goals.is_empty() {
        return Ok(Exit::Done);
    }
    let (mut line, mut states) = (Progress::new(false), Vec::new());
    let in_time = tokio::select! {
        followed = follow(client, &goals, &mut states, &mut line) => {
            followed?;
            true
        }
        () = tokio::time::sleep(timeout.std()) => false,
    };
    line.clear();
    let mut exit = if in_time { Exit::Done } else { Exit::Failed };
    // Goals that share a deployment have the same to say of it.
    let mut said = BTreeSet::new();
    for state in &states {
        match state {
            State::Settled(text) => {
                text.lines().filter(|line| said.insert((*line).to_owned())).for_each(output::say);
            }
            State::Pending { .. } => {}
            State::Failed(text, reasons) => {
                if said.insert(text.clone()) {
                    output::say(&output::problem(text, reasons, Paint::stderr()));
                }
                exit = Exit::Failed;
            }
        }
    }
    if !in_time {
        say_late(client, &states, timeout).await;
    }
    Ok(exit)
}

/// Feeds the watch into a world, and the world into `states`, until every goal is decided or one
/// has failed.
async fn follow(
    client: &Client,
    goals: &[Goal],
    states: &mut Vec<State>,
    line: &mut Progress,
) -> anyhow::Result<()> {
    let kinds: BTreeSet<Kind> = goals.iter().flat_map(|g| g.kinds()).copied().collect();
    let kinds: Vec<Kind> = kinds.into_iter().collect();
    let name = match (goals, &kinds[..]) {
        ([goal], [_]) => Some(goal.subject().name),
        _ => None,
    };
    let mut watch = client.watch(&kinds, name.as_deref(), None);
    let mut world = World::default();
    while let Some(event) = watch.next().await {
        let Some(seen) = world.take(event?, goals) else { continue };
        *states = seen;
        let pending = pending(states);
        match pending[..] {
            [] => return Ok(()),
            _ if states.iter().any(State::failed) => return Ok(()),
            [(_, only)] => line.show(only),
            [(_, first), ..] => line.show(&format!("{first} (+{} more)", pending.len() - 1)),
        }
    }
    anyhow::bail!("the server ended the watch; ask again with `atoll why`")
}

/// What is still waited for, each thing once.
fn pending(states: &[State]) -> Vec<(&Subject, &str)> {
    let mut all: Vec<(&Subject, &str)> = Vec::new();
    for state in states {
        if let State::Pending { on, text } = state
            && !all.contains(&(on, text))
        {
            all.push((on, text));
        }
    }
    all
}

/// What the watch has told so far.
#[derive(Default)]
struct World {
    objects: Snapshot,
    complete: bool,
    /// What was told since the last `sync`. A server that cannot go on where it was tells
    /// everything again, and then `sync`: what it has not told is gone.
    told: BTreeSet<(Kind, String)>,
    deleted: BTreeSet<(Kind, String)>,
}

impl World {
    /// Takes an event and says how far the goals are; nothing until all there is has been seen.
    fn take(&mut self, event: WatchEvent, goals: &[Goal]) -> Option<Vec<State>> {
        match (event.event.as_str(), event.object) {
            ("sync", _) => self.sync(),
            ("delete", Some(any)) => self.remove(any.kind(), any.name()),
            (_, Some(any)) => {
                let key = (any.kind(), any.name().to_owned());
                self.deleted.remove(&key);
                self.told.insert(key);
                self.objects.put(any);
            }
            (_, None) => {}
        }
        self.complete.then(|| goals.iter().map(|goal| self.state(goal)).collect())
    }

    fn remove(&mut self, kind: Kind, name: &str) {
        if self.objects.remove(kind, name).is_some() {
            self.deleted.insert((kind, name.to_owned()));
        }
    }

    fn sync(&mut self) {
        let told = std::mem::take(&mut self.told);
        for kind in Kind::ALL {
            let there: Vec<Any> = self.objects.after(*kind, "").collect();
            for any in there.iter().filter(|any| !told.contains(&(*kind, any.name().to_owned()))) {
                self.remove(*kind, any.name());
            }
        }
        self.complete = true;
    }

    fn state(&self, goal: &Goal) -> State {
        let subject = goal.subject();
        let gone = !matches!(goal, Goal::Gone(_))
            && self.deleted.contains(&(subject.kind, subject.name.clone()));
        if gone {
            return State::Failed(format!("{subject} was deleted meanwhile"), Vec::new());
        }
        goal::state(&self.objects, goal)
    }
}

/// Says what is still waited for once the time is up, and why.
async fn say_late(client: &Client, states: &[State], timeout: Span) {
    if states.is_empty() {
        output::say(&format!("the server told nothing within {timeout}"));
    }
    for (subject, text) in pending(states) {
        output::say(&format!("not settled within {timeout}: {text}"));
        // Without an answer there is no more to say; that it is late has been said.
        if let Ok(explanation) = client.why(subject.kind, &subject.name).await {
            output::say(why::brief(&explanation, Paint::stderr()).trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_decided_until_all_there_is_has_been_seen() {
        let event = |word: &str, object: Option<Any>| WatchEvent {
            event: word.into(),
            revision: 1,
            object,
        };
        let settled = || {
            Any::from_json(
                r#"{"apiVersion":"atoll/v1","kind":"Deployment","metadata":{"name":"shop.prod",
                "generation":4},"spec":{"application":"shop","environment":"prod"},
                "status":{"observedGeneration":4,"phase":"settled","release":"shop-1"}}"#,
            )
            .ok()
        };
        let gone = Goal::Gone("deployment/shop.prod".parse().unwrap());
        let goal = Goal::Deployment { name: "shop.prod".into(), generation: 4, known: None };
        let goals = [goal, gone];
        let mut world = World::default();
        assert_eq!(world.take(event("put", settled()), &goals), None);
        let states = world.take(event("sync", None), &goals).unwrap();
        assert!(matches!(states[..], [State::Settled(_), State::Pending { .. }]), "{states:?}");
        let again = |world: &mut World| world.take(event("sync", None), &goals).unwrap();
        world.take(event("put", settled()), &goals);
        assert!(matches!(again(&mut world)[..], [State::Settled(_), State::Pending { .. }]));
        let states = again(&mut world);
        assert!(matches!(states[..], [State::Failed(..), State::Settled(_)]), "{states:?}");
    }
}
