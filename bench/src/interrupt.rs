//! Being told to end: what is under way is given up, so that whoever started a program stops it
//! and its instances before the bench ends.

use std::sync::LazyLock;

use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

static INTERRUPTED: LazyLock<watch::Sender<bool>> = LazyLock::new(watch::Sender::default);

/// Listens from now on, until the runtime ends.
///
/// # Errors
/// The system does not let it.
pub fn listen() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        INTERRUPTED.send_replace(true);
    });
    Ok(())
}

/// Does some work, or fails as soon as the bench is or has been told to end.
///
/// # Errors
/// The work's own, or that it was interrupted.
pub async fn unless_interrupted<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let mut told = INTERRUPTED.subscribe();
    tokio::select! {
        biased;
        _ = told.wait_for(|told| *told) => bail!("interrupted"),
        done = work => done,
    }
}
