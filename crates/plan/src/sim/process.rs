//! What runs on a simulated host: how it behaves, what it says of itself, and what will happen to
//! it. Who starts and stops it is in `agent.rs`.

use atoll_model::agent::{AssignedInstance, InstanceReport};
use atoll_model::deployment::InstancePhase;
use atoll_model::{Reason, Span, Timestamp};

/// How the processes of a release behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// They start and serve.
    #[default]
    Good,
    /// They start and serve, but take this much longer to start.
    Slow(Span),
    /// They die as soon as they are started.
    Dies,
    /// They start and never become ready.
    Deaf,
    /// They serve for this long, and then no more; tasks succeed though a test of theirs failed.
    Fades(Span),
}

/// Something that will happen to a process, if it is still in the same life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Fetched,
    Started,
    Faded,
    Retry,
    TimedOut,
    Stopped,
    /// The command of a task ends.
    Ended,
}

/// What is to happen, to whom, and when.
pub(super) struct Due {
    pub after: Span,
    pub instance: String,
    pub life: u64,
    pub step: Step,
}

/// A process of an instance.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// What it was told to be.
    pub assigned: AssignedInstance,
    /// What its agent says of it.
    pub said: InstanceReport,
    /// What was to happen to it in another life does not.
    pub life: u64,
    /// So often it died by itself.
    pub deaths: u32,
}

impl Process {
    /// It serves, or has ceased to: of which deployment and release.
    pub fn change(&self, serves: bool) -> Change {
        let release = self.said.release.as_ref().unwrap_or(&self.assigned.release);
        let deployment = self.assigned.deployment.clone();
        Change { deployment, release: release.clone(), serves }
    }

    pub fn serves(&self) -> bool {
        self.said.phase == InstancePhase::Ready
    }

    /// It has been started; returns what will happen to it next.
    pub fn start(&mut self, behaviour: Behaviour, now: Timestamp) -> Option<(Span, Step)> {
        let said = &mut self.said;
        said.release = Some(self.assigned.release.clone());
        said.started_at = Some(now);
        said.pid = Some(1000 + self.life as u32);
        said.reasons.clear();
        match behaviour {
            Behaviour::Good | Behaviour::Slow(_) => {
                said.phase = InstancePhase::Ready;
                None
            }
            Behaviour::Fades(after) => {
                said.phase = InstancePhase::Ready;
                Some((after, Step::Faded))
            }
            Behaviour::Deaf => {
                said.phase = InstancePhase::Starting;
                Some((Span::seconds(60), Step::TimedOut))
            }
            Behaviour::Dies => {
                self.deaths += 1;
                said.restarts += 1;
                said.pid = None;
                said.reasons = vec![Reason::new("exited", "exited with code 1")];
                // The first restarts are quick, and nobody is told of a crash loop yet.
                let (phase, step) = match self.deaths {
                    0..=2 => (InstancePhase::Starting, Step::Fetched),
                    _ => (InstancePhase::CrashLoop, Step::Retry),
                };
                said.phase = phase;
                Some((Span::seconds(u64::from(self.deaths.min(6)) * 5), step))
            }
        }
    }
}

/// A process has begun to serve, or ceased to.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub deployment: String,
    pub release: String,
    pub serves: bool,
}
