//! What the engine of the tests needs of its surroundings.

use std::time::Duration;

use crate::stage::BOUND;

/// Whether a process is there and is no zombie.
pub fn alive(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.starts_with(" Z"))
}

/// Waits until something is so, looking again every few milliseconds.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    const PAUSE: Duration = Duration::from_millis(20);
    let looks = 2 * BOUND.as_millis() / PAUSE.as_millis();
    for _ in 0..looks {
        if let Some(found) = look() {
            return found;
        }
        pause(PAUSE);
    }
    panic!("not within {:?}: {what}", 2 * BOUND);
}

#[allow(clippy::disallowed_methods, reason = "between two looks at real processes")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
