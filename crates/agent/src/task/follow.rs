//! Following a task that has begun to its end: its shim, its workspace, and whoever wants it ended.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_model::agent::AssignedTask;
use atoll_model::ci::task::TaskPhase;

use super::Doer;
use super::beside::Begun;
use super::decide::{Cause, Conclusion, Stage, conclude, lost, succeeded};
use super::prepare::has_secrets;
use crate::clock;
use crate::disk;
use crate::runtime::link::{Link, start_shim};
use crate::runtime::orders::{Ended, Phase, Request, State};
use crate::runtime::sandbox;

/// A workspace is looked at this often, and not more often than a share of the time that takes.
const LOOK: Duration = Duration::from_millis(500);
const SHARE: u32 = 20;
/// So often a shim that cannot be reached is started again.
const TRIES: u32 = 5;

impl Doer {
    /// Follows it to its end, which is on the disk when this returns.
    pub(super) async fn follow(&mut self, task: &Arc<AssignedTask>) {
        self.post_begun();
        let end = match self.begin_beside(task).await {
            Begun::Well => self.follow_step(task).await,
            Begun::Ended(end) => Some(end),
            Begun::Unwanted => None,
        };
        // Whoever clears away what is not wanted any more ends it.
        let Some(mut end) = end else { return };
        // Nothing runs beside a step that has ended, whatever becomes of this agent.
        let early = self.end_beside().await;
        self.remove_network().await;
        if end.phase != TaskPhase::Succeeded && end.exit_code.is_some() {
            end.reasons.extend(early);
        }
        self.enter(Stage::Ended(end));
    }

    /// Follows the step itself; nothing, if the task is not wanted any more.
    async fn follow_step(&mut self, task: &Arc<AssignedTask>) -> Option<Conclusion> {
        let mut task = Arc::clone(task);
        let (mut tries, mut asked) = (0, false);
        let mut link = None;
        let mut look = clock::instant() + LOOK;
        loop {
            let Some(open) = &mut link else {
                if let Some(end) = self.known_end() {
                    return Some(end);
                }
                if task.work.command.is_empty() {
                    return Some(succeeded(clock::now()));
                }
                asked = false;
                match self.attach(&task).await {
                    Ok(found) => link = found,
                    Err(error) if tries < TRIES => {
                        tries += 1;
                        tracing::warn!(task = self.place.name(), %error, "it is tried again");
                        tokio::time::sleep(LOOK).await;
                        continue;
                    }
                    Err(error) => {
                        return Some(lost("not-begun", format!("cannot supervise it: {error}")));
                    }
                }
                if link.is_none() {
                    match self.still_wanted().await {
                        Some(wanted) => task = wanted,
                        None => return None,
                    }
                }
                continue;
            };
            let wake = tokio::time::sleep_until(look.into());
            tokio::select! {
                state = open.next() => match state {
                    Some(state) if state.phase == Phase::Stopped => link = None,
                    Some(state) => self.post(TaskPhase::Running, state.started_at),
                    None => link = None,
                },
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                    let wanted = self.wanted.borrow_and_update().clone();
                    match wanted.filter(|w| w.created_at == task.created_at) {
                        Some(wanted) => task = wanted,
                        None => return None,
                    }
                }
                () = wake => look = self.look(open).await,
            }
            if let Some(open) = &mut link
                && task.cancel
                && !std::mem::replace(&mut asked, true)
            {
                self.end(open, Cause::Cancelled, Request::Stop).await;
            }
        }
    }

    /// Says what is known without its shim, which may not be reached before a server is.
    fn post_begun(&self) {
        match disk::read::<State>(&self.place.shim.state()) {
            Some(state) => self.post(TaskPhase::Running, state.started_at),
            None => self.post(TaskPhase::Preparing, None),
        }
    }

    /// What the shim, or the first process of the sandbox, has left as the last word.
    fn known_end(&self) -> Option<Conclusion> {
        let record = self.record.as_ref()?;
        let state: State = disk::read(&self.place.shim.state())?;
        let cause = record.cause;
        if state.phase == Phase::Stopped {
            let ended = state.last.as_ref();
            return Some(match ended {
                Some(ended) => conclude(ended, state.late, cause, &record.task),
                None => lost("end-unknown", "its supervisor was ended before it had begun"),
            });
        }
        if state.boot == self.machine.boot {
            return None;
        }
        // The host was restarted meanwhile; it may have come to its end before.
        let verdict = sandbox::verdict(&self.place.shim.verdict());
        Some(match verdict {
            Some(how) => {
                let at = clock::now();
                let ran = at.since(state.started_at.unwrap_or(at));
                let ended = Ended { at, ran, how, line: None, why: None };
                conclude(&ended, state.late, cause, &record.task)
            }
            None => lost("host-restarted", "its host was restarted under it"),
        })
    }

    /// Finds its shim, or starts one, which begins the work or goes on with it. None, where it
    /// must be waited for secrets.
    async fn attach(&self, task: &AssignedTask) -> io::Result<Option<Link>> {
        let Some(record) = &self.record else { return Ok(None) };
        if task.work.image.is_none()
            && let Ok(link) = Link::connect(&self.place.shim)
        {
            return Ok(Some(link));
        }
        if !has_secrets(record, task) {
            return Ok(None);
        }
        if task.work.image.is_some() {
            return self.leash(&self.place, task.secrets.clone()).map(Some);
        }
        let input = match task.work.secrets.is_empty() {
            true => None,
            false => Some(serde_json::to_vec(&task.secrets).map_err(io::Error::other)?),
        };
        start_shim(&self.machine.program, &self.place.shim, input.as_deref()).await?;
        match Link::connect(&self.place.shim) {
            Ok(link) => Ok(Some(link)),
            // What is over so soon has left its word on the disk.
            Err(_) if self.known_end().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the next word of the server, unless the end is known; nothing, if the task is not
    /// wanted any more.
    async fn still_wanted(&mut self) -> Option<Arc<AssignedTask>> {
        let created_at = self.record.as_ref().map(|r| r.task.created_at);
        if self.known_end().is_none() {
            self.changed().await;
        }
        let wanted = self.wanted.borrow_and_update().clone();
        wanted.filter(|w| Some(w.created_at) == created_at)
    }

    /// Looks whether the workspace has become too large, and says when to look again.
    async fn look(&mut self, link: &mut Link) -> Instant {
        let Some(record) = &self.record else { return clock::instant() + LOOK };
        let limit = record.task.work.limits.disk.0;
        let place = self.place.clone();
        let began = clock::instant();
        let used = tokio::task::spawn_blocking(move || place.used()).await.unwrap_or(0);
        if used + self.written().await > limit {
            // It is given no time: what it writes meanwhile is everybody's disk.
            self.end(link, Cause::Disk, Request::Kill).await;
        }
        let now = clock::instant();
        now + LOOK.max(now.saturating_duration_since(began) * SHARE)
    }

    /// Has it ended, for the first cause there is.
    async fn end(&mut self, link: &mut Link, cause: Cause, request: Request) {
        let Some(record) = &mut self.record else { return };
        if record.cause.is_none() {
            record.cause = Some(cause);
            self.write();
        }
        // A shim that has gone meanwhile is found out by its silence.
        let _ = link.ask(&request).await;
    }
}
