//! Asking the agents: a session for each instance, told to its agent by its long poll and answered
//! over a WebSocket. Where the agent polls another replica, that one is asked for the instance.
//! Bounded in hosts at once, in time and in bytes, whatever comes back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use atoll_model::Host;
use atoll_model::agent::{Ask, SessionNote};
use atoll_model::cmdb::HostPhase;
use axum::extract::ws::{Message, WebSocket};
use futures::StreamExt;
use futures::stream;
use tokio::time::Instant;

use super::MOST_BYTES;
use crate::App;
use crate::api::onward;

/// So many hosts are asked at once, and so many instances of one host.
const HOSTS_AT_ONCE: usize = 32;
const INSTANCES_AT_ONCE: usize = 8;
/// A search ends after this time with what was found.
const PATIENCE: Duration = Duration::from_secs(20);
/// An agent that is alive answers within this time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// So many bytes of one instance are read: an agent sends no more than the lines asked for, if it
/// knows how to.
const MOST_READ: usize = 32 << 20;
/// Of the lines of one instance at least so many bytes are kept.
const LEAST_SHARE: usize = 64 << 10;
/// A line is kept up to here.
const LONGEST_LINE: usize = 64 << 10;

/// An instance and its host.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) instance: String,
    pub(super) host: String,
}

/// The lines of one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) instance: String,
    pub(super) lines: Vec<String>,
    /// There were more.
    pub(super) more: bool,
}

/// What is asked of each instance.
#[derive(Debug)]
pub(super) struct Question {
    /// Of its agent.
    pub(super) ask: Ask,
    /// Of another replica: the parameters, but for whose logs.
    pub(super) query: String,
    /// Who asks.
    pub(super) who: String,
    /// Another replica does, for somebody it has let: nobody else is asked again.
    pub(super) passed_on: bool,
    /// So many lines are wanted.
    pub(super) limit: usize,
}

impl Question {
    /// The parameters for one instance.
    fn of(&self, instance: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(self.query.clone());
        query.append_pair("subject", &format!("instance/{instance}")).finish()
    }
}

/// Where a host can be asked.
#[derive(Clone, Debug, PartialEq)]
enum Reach {
    Here,
    /// At another replica, of this address.
    There(String),
}

/// Asks for the last lines of all instances; adds whose could not be read.
pub(super) async fn gather(
    app: &App,
    places: Vec<Place>,
    question: &Question,
    problems: &mut Vec<String>,
) -> Vec<Found> {
    let share = (MOST_BYTES / places.len().max(1)).max(LEAST_SHARE);
    let mut by_host: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Place { instance, host } in places {
        by_host.entry(host).or_default().push(instance);
    }
    if !question.passed_on {
        app.exchange().await;
    }
    let mut reached = Vec::new();
    for (host, instances) in by_host {
        match reach(app, &host, question.passed_on) {
            Ok(reach) => reached.push((host, instances, reach)),
            Err(problem) => problems.push(problem),
        }
    }
    let deadline = Instant::now() + PATIENCE;
    let hosts = stream::iter(reached).map(|(host, instances, reach)| async move {
        let one = |instance: String| {
            let (host, reach) = (&host, &reach);
            let kept = Kept::new(question.limit, share);
            async move {
                match reach {
                    Reach::Here => session(app, host, instance, question, kept, deadline).await,
                    Reach::There(at) => elsewhere(app, at, instance, question, deadline).await,
                }
            }
        };
        stream::iter(instances).map(one).buffered(INSTANCES_AT_ONCE).collect::<Vec<_>>().await
    });
    let all: Vec<_> = hosts.buffered(HOSTS_AT_ONCE).collect().await;
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for (one, problem) in all.into_iter().flatten() {
        found.extend(Some(one).filter(|one| !one.lines.is_empty()));
        failed.extend(problem);
    }
    problems.append(&mut failed);
    found
}

/// Where a host can be asked, or why it cannot be.
fn reach(app: &App, host: &str, passed_on: bool) -> Result<Reach, String> {
    if let Some(address) = app.measure.polled_at(host) {
        // The one that asks had it from an exchange that is older.
        let moved = || format!("host {host} has moved to another replica; search again");
        return if passed_on { Err(moved()) } else { Ok(Reach::There(address)) };
    }
    let world = app.cache.world();
    let known = world.get::<Host>(host);
    let lost = known.is_some_and(|host| host.status.phase == HostPhase::Unknown);
    let silent = || format!("host {host} is not heard; see `atoll why host/{host}`");
    if lost { Err(silent()) } else { Ok(Reach::Here) }
}

/// The lines of one instance from the replica its host polls, and what went wrong.
async fn elsewhere(
    app: &App,
    address: &str,
    instance: String,
    question: &Question,
    deadline: Instant,
) -> (Found, Option<String>) {
    let query = question.of(&instance);
    let within = deadline.saturating_duration_since(Instant::now());
    match onward::search(app, address, &query, &question.who, within).await {
        Ok(found) => {
            let lines = found.lines.into_iter().map(|line| line.line).collect();
            let problem = found.problems.into_iter().next();
            (Found { instance, lines, more: found.truncated }, problem)
        }
        Err(why) => {
            let problem = format!("instance {instance}: {why}");
            (Found { instance, ..Found::default() }, Some(problem))
        }
    }
}

/// Forgets a session nobody waits for any more.
struct Waiting<'a>(&'a App, String);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.relay.forget(&self.1);
    }
}

/// The lines of one instance, as far as they came, and what went wrong.
async fn session(
    app: &App,
    host: &str,
    instance: String,
    question: &Question,
    mut kept: Kept,
    deadline: Instant,
) -> (Found, Option<String>) {
    let talk = async {
        if Instant::now() >= deadline {
            return Err("was not asked: the search takes too long".to_owned());
        }
        let (id, answer) = app.relay.announce(host, &instance, question.ask.clone());
        let waiting = Waiting(app, id);
        app.cache.host(host).changed.notify_waiters();
        let late = || {
            let seconds = ANSWERS_WITHIN.as_secs();
            format!(
                "its host {host} did not answer within {seconds} s; see `atoll why host/{host}`"
            )
        };
        let answered = tokio::time::timeout(ANSWERS_WITHIN, answer).await;
        let socket = answered.ok().and_then(Result::ok).ok_or_else(late)?;
        drop(waiting);
        receive(socket, &mut kept).await
    };
    let outcome = tokio::time::timeout_at(deadline, talk).await;
    let outcome = outcome.unwrap_or_else(|_| Err("did not send all in time".to_owned()));
    let problem = outcome.err().map(|why| format!("instance {instance}: {why}"));
    let (lines, more) = kept.lines();
    (Found { instance, lines, more }, problem)
}

async fn receive(mut socket: WebSocket, kept: &mut Kept) -> Result<(), String> {
    let mut read = 0;
    while let Some(message) = socket.next().await {
        match message.map_err(|e| format!("its host broke off: {e}"))? {
            Message::Binary(frame) => {
                // The first byte tells the stream.
                let data = frame.get(1..).unwrap_or_default();
                read += data.len();
                kept.take(data);
                if read > MOST_READ {
                    return Err(format!("sent more than {} MiB", MOST_READ >> 20));
                }
            }
            Message::Text(text) => {
                if let Ok(SessionNote::Failed { message }) = serde_json::from_str(&text) {
                    return Err(message);
                }
            }
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
    kept.end();
    Ok(())
}

/// The last lines of what is received.
#[derive(Debug)]
struct Kept {
    most: usize,
    most_bytes: usize,
    lines: VecDeque<String>,
    bytes: usize,
    rest: Vec<u8>,
    more: bool,
}

impl Kept {
    fn new(most: usize, most_bytes: usize) -> Kept {
        let (lines, rest) = (VecDeque::new(), Vec::new());
        Kept { most, most_bytes, lines, bytes: 0, rest, more: false }
    }

    fn take(&mut self, data: &[u8]) {
        let mut data = data;
        while let Some(end) = data.iter().position(|byte| *byte == b'\n') {
            self.keep(&data[..end]);
            self.end();
            data = &data[end + 1..];
        }
        self.keep(data);
    }

    fn keep(&mut self, part: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.rest.len());
        self.rest.extend_from_slice(&part[..part.len().min(room)]);
    }

    /// The line is complete.
    fn end(&mut self) {
        let line = String::from_utf8_lossy(self.rest.trim_ascii_end()).into_owned();
        self.rest.clear();
        if line.is_empty() {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > self.most || self.bytes > self.most_bytes {
            let Some(first) = self.lines.pop_front() else { break };
            self.bytes -= first.len();
            self.more = true;
        }
    }

    fn lines(self) -> (Vec<String>, bool) {
        (self.lines.into(), self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_complete_lines_are_kept() {
        let mut kept = Kept::new(2, 100);
        for piece in ["on", "e\r\ntw", "o\n\nthree\nfou"] {
            kept.take(piece.as_bytes());
        }
        assert_eq!(kept.lines(), (vec!["two".to_owned(), "three".to_owned()], true));
        let mut kept = Kept::new(9, 100);
        kept.take(b"one\ntwo");
        kept.end();
        assert_eq!(kept.lines(), (vec!["one".to_owned(), "two".to_owned()], false));
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let mut kept = Kept::new(9, 1 << 20);
        for _ in 0..100 {
            kept.take(&[b'x'; 4096]);
        }
        assert_eq!(kept.rest.len(), LONGEST_LINE);
        let mut kept = Kept::new(9, 10);
        kept.take(b"0123456789\nabc\n\xff\n");
        assert_eq!(kept.lines(), (vec!["abc".to_owned(), "\u{fffd}".to_owned()], true));
    }
}
