//! How often hosts started instances again by themselves, as their reports tell: what died, and
//! what did not answer. No planner has a part in that, so that no commit is counted for it. What a
//! person has restarted is none of it: such an instance is made anew, and counts from 0.

use atoll_model::deployment::{InstancePhase, InstanceStatus};
use atoll_model::{Any, Instance, Snapshot, Write};
use atoll_plan::Plan;

use super::Figures;

const NAME: &str = "atoll_restarts_total";

/// So many of one report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    /// Of what dies again and again: nothing is mended by them.
    looping: u64,
    others: u64,
}

impl Restarts {
    /// Those that the plan of a report tells of.
    pub fn told(world: &Snapshot, plan: &Plan) -> Restarts {
        let mut restarts = Restarts::default();
        for write in &plan.writes {
            let Write::Put(Any::Instance(new)) = write else { continue };
            let Some(old) = world.get::<Instance>(new.name()) else { continue };
            restarts.add(&old.status, &new.status);
        }
        restarts
    }

    fn add(&mut self, old: &InstanceStatus, new: &InstanceStatus) {
        // What its host has forgotten, or not spoken of yet, it may have counted long ago.
        if old.phase == InstancePhase::Pending {
            return;
        }
        let more = u64::from(new.restarts.saturating_sub(old.restarts));
        let looping = [old.phase, new.phase].contains(&InstancePhase::CrashLoop);
        *if looping { &mut self.looping } else { &mut self.others } += more;
    }

    /// Counts them, also where there is none: a series has to stand at 0 to be seen to rise.
    pub fn count(self, figures: &Figures) {
        figures.add(NAME, &[("crash_loop", "true")], self.looping);
        figures.add(NAME, &[("crash_loop", "false")], self.others);
    }
}
