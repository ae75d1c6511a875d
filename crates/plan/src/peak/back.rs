//! What is given back of a peak where nothing is measured: nobody but the peak asked for what it
//! raised, so that goes down again to what there was to be before, as what is kept for it does.

use atoll_model::peak::{PeakApplication, PeakStatus};
use atoll_model::{Deployment, Object, Peak, Snapshot, Timestamp};

use super::{report, rows};
use crate::Context;

/// Remembers of each deployment how many there were to be before any was made for a peak.
pub(super) fn remember(cx: &Context, peak: &Object<Peak>, status: &mut PeakStatus) {
    let over = cx.now >= status.times.ends;
    for row in &mut status.applications {
        let mut stored = peak.status.applications.iter();
        let stored = stored.find(|stored| stored.deployment == row.deployment);
        let known = stored.filter(|stored| over || stored.keep > 0);
        row.before = match (known, row.keep) {
            (Some(stored), _) if over || row.keep > 0 => stored.before,
            (None, 1..) if !over => there(cx.world, peak.name(), &row.deployment),
            _ => None,
        };
    }
}

/// How many there are to be of a deployment; before another peak raised them, where one did.
fn there(world: &Snapshot, peak: &str, deployment: &str) -> Option<u32> {
    let others =
        rows(world, deployment).filter(|(other, row)| other.name() != peak && row.keep > 0);
    let before = others.filter_map(|(_, row)| row.before).min();
    before.or_else(|| Some(world.get::<Deployment>(deployment)?.wanted()))
}

/// A number nobody can say anything of: how many there are to be, since when, and when anything
/// was measured of it last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    pub current: u32,
    pub since: Option<Timestamp>,
    pub measured_at: Option<Timestamp>,
}

/// So many there were to be of a deployment before a peak raised them above that, where nothing
/// else asks for what there is: no load that was measured since, and no alert about it.
pub(crate) fn unmeasured(world: &Snapshot, deployment: &str, number: Number) -> Option<u32> {
    let raised = |peak: &Object<Peak>, row: &PeakApplication| {
        let (status, times) = (&peak.status, &peak.status.times);
        let granted = status.granted.get(deployment).copied().unwrap_or(0);
        let seen = row.load.is_some() || number.measured_at.is_some_and(|at| at >= times.scale);
        // What was changed after all was given back is none of the peak's.
        let its_own = number.since.is_some_and(|since| since <= times.back);
        !seen && its_own && number.current <= granted
    };
    let all = rows(world, deployment).filter(|(peak, row)| raised(peak, row));
    let before = all.filter_map(|(_, row)| row.before).max();
    let before = before.filter(|before| *before < number.current)?;
    let of = |name: &str| report::is_of(name, deployment);
    report::firing(world, of).next().is_none().then_some(before)
}
