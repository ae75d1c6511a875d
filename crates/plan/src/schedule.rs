//! Times at which something begins by itself, whatever it is: which has come, and when to look
//! again. Not what begins then.

use atoll_model::ci::pipeline::Schedule;
use atoll_model::{Span, Timestamp};

use crate::sooner;

/// A time that was missed by more than this, because no server ran, is let pass.
const LATEST: Span = Span::seconds(3_600);

/// Calls `begin` for the first schedule whose time has come, of several times that were missed with
/// the newest, and notes the time in `seen`. Gives when to look again: at once where another has
/// come too, since what begins is numbered, one after another.
pub(crate) fn turn(
    now: Timestamp,
    all: &[Schedule],
    seen: &mut Vec<Timestamp>,
    mut begin: impl FnMut(&Schedule, Timestamp),
) -> Option<Timestamp> {
    if seen.len() != all.len() {
        // A schedule that is new, or has another place, begins with the next of its times.
        *seen = vec![now; all.len()];
    }
    let (mut begun, mut again_at) = (false, None);
    for (schedule, seen) in all.iter().zip(seen) {
        if let Some(due) = due(now, schedule, *seen) {
            if std::mem::replace(&mut begun, true) {
                again_at = Some(now);
                continue;
            }
            *seen = due;
            begin(schedule, due);
        }
        again_at = sooner(again_at, schedule.next_after((*seen).max(now)));
    }
    again_at
}

/// The newest time of a schedule that has come since another, unless that is long ago.
fn due(now: Timestamp, schedule: &Schedule, last: Timestamp) -> Option<Timestamp> {
    let since = last.max(now - LATEST);
    let times = std::iter::successors(schedule.next_after(since), |t| schedule.next_after(*t));
    times.take_while(|time| *time <= now).last()
}
