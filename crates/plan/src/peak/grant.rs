//! What is let through for a peak: how many instances may be kept for it, and which budgets were
//! asked of that. What budgets say is in `cost.rs`, and whether they hold it is the gate's to say.

use atoll_model::peak::PeakStatus;
use atoll_model::{Object, Peak, Timestamp};

use super::{cost, keep, phase};
use crate::Context;

/// Whether instances are made for it by now: those are not taken away for money.
pub(super) fn is_begun(status: &PeakStatus) -> bool {
    status.applications.iter().any(|row| row.keep > 0)
}

/// Asks budgets. Until instances are made for it, what was let through is asked anew of those that
/// were made or edited since: nothing is kept while one does not let it. Others are not asked
/// twice, or what is spent meanwhile would take hosts away that were made long before.
pub(super) fn ask(cx: &Context, peak: &Object<Peak>, status: &mut PeakStatus, begun: bool) {
    let waits = status.raised_at.is_some() && !begun;
    if waits && cost::is_refused_since(cx, peak, status) {
        status.raised_at = None;
        status.granted.clear();
        status.asked.clear();
    }
    status.budgets = cost::budgets(cx, status, &status.times);
    if status.raised_at.is_some() && !begun {
        status.asked = cost::as_asked(cx, status);
    }
}

/// Whether hosts and instances are due and wanted.
pub(super) fn may_be_raised(cx: &Context, status: &PeakStatus) -> bool {
    let times = &status.times;
    let granted = |name: &String| status.granted.get(name).copied().unwrap_or(0);
    let mut rows = status.applications.iter();
    let more = rows.any(|row| row.needed.unwrap_or(0) > granted(&row.deployment));
    more && cx.now >= times.hosts && cx.now < times.ends
}

/// What is said of a budget that was made or edited when it was too late to ask it.
pub(super) fn too_late(cx: &Context, status: &PeakStatus) -> Option<String> {
    let mut budgets = status.budgets.iter().filter(|_| is_begun(status));
    let late = budgets.find(|one| !cost::was_asked(cx, status, &one.budget))?;
    let when = "was made or edited after instances were made for it";
    Some(format!("budget/{} {when}, and takes none of them away", late.budget))
}

/// All that it takes is let through, if the gate does not hold this.
pub(super) fn grant(cx: &Context, status: &mut PeakStatus) {
    status.asked = cost::as_asked(cx, status);
    for row in &status.applications {
        let granted = status.granted.entry(row.deployment.clone()).or_default();
        *granted = row.needed.unwrap_or(0).max(*granted);
    }
}

/// Whether more is to be kept for a peak than the gate has let through.
pub(crate) fn asks(old: Option<&PeakStatus>, new: &PeakStatus) -> bool {
    let granted = |name: &String| old.and_then(|old| old.granted.get(name)).copied().unwrap_or(0);
    new.granted.iter().any(|(name, count)| *count > granted(name))
}

/// A peak that is not let through: no more is kept for it than before.
pub(crate) fn held(now: Timestamp, status: &mut PeakStatus, old: &PeakStatus) {
    status.raised_at = old.raised_at;
    status.granted.clone_from(&old.granted);
    status.asked.clone_from(&old.asked);
    status.phase = phase(now, status);
    keep(now, status);
    status.seen_at = old.seen_at;
}
