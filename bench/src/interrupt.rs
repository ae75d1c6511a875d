//! Being told to end: what is under way is given up, so that whoever started a program stops it
//! and its instances before the bench ends.

use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};

/// Does some work, or fails as soon as the bench is told to end.
///
/// # Errors
/// The work's own, or that it was interrupted.
pub async fn unless_interrupted<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = work => done,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}
