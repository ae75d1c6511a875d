//! Sends a set to a store over HTTP as remote write, and says what that cost the store; and what
//! the store then keeps on disk. Not which store it is.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::set::{Bodies, LANES};
use crate::clock;
use crate::daemon::Daemon;
use crate::http::{Connection, Target};

/// The headers of a message.
const FIELDS: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];
/// Lanes wait for one another after so many messages, as none may fall behind by an hour.
const TOGETHER: usize = 32;
/// The store has tidied up once its size has stood still this long, looked at so often.
const STILL: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(500);
const TIDIED: Duration = Duration::from_secs(120);

/// What taking a set in has cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Rows for each second of the store's processor time.
    pub rate: f64,
    /// The most memory the store had, in MB.
    pub peak: f64,
}

/// Sends one message.
///
/// # Errors
/// The store did not take it.
pub async fn post(connection: &mut Connection, body: &[u8]) -> anyhow::Result<()> {
    connection.ask_with("POST", "/api/v1/write", &FIELDS, body).await?.good()?;
    Ok(())
}

/// Sends all, each lane over its own connection; the lanes in step.
///
/// # Errors
/// The store refused a message.
pub async fn feed(
    name: &str,
    daemon: &Daemon,
    target: &Target,
    bodies: &Bodies,
) -> anyhow::Result<Cost> {
    let mut connections = Vec::new();
    for _ in 0..LANES {
        connections.push(Connection::open(target).await?);
    }
    let [first, second] = connections.as_mut_slice() else { bail!("there are two lanes") };
    let (began, before) = (clock::now(), daemon.cpu()?);
    let [one, other] = &bodies.lanes;
    for (one, other) in one.chunks(TOGETHER).zip(other.chunks(TOGETHER)) {
        tokio::try_join!(post_all(first, one), post_all(second, other))?;
    }
    let (cpu, wall) = (daemon.cpu()? - before, began.elapsed().as_secs_f64());
    let cost = Cost { rate: bodies.samples / cpu, peak: daemon.peak()? };
    eprintln!(
        "  {name}: {:.1} M rows in {wall:.1} s, processor time {cpu:.1} s, {:.0} rows/cpu s, \
         peak {:.0} MB",
        bodies.samples / 1e6,
        cost.rate,
        cost.peak
    );
    Ok(cost)
}

async fn post_all(connection: &mut Connection, bodies: &[Vec<u8>]) -> anyhow::Result<()> {
    for body in bodies {
        post(connection, body).await?;
    }
    Ok(())
}

/// Bytes a directory takes on disk.
///
/// # Errors
/// It cannot be read.
pub fn disk_use(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        // What is gone since it was listed takes nothing.
        let Ok(meta) = entry.metadata() else { continue };
        bytes += meta.blocks() * 512;
        if meta.is_dir() {
            bytes += disk_use(&entry.path()).unwrap_or_default();
        }
    }
    Ok(bytes)
}

/// Waits until a directory's size stands still, at least so long; gives the size.
///
/// # Errors
/// It goes on changing, or cannot be read.
pub async fn tidied(dir: &Path, at_least: Duration) -> anyhow::Result<f64> {
    let (began, mut since) = (clock::now(), clock::now());
    let mut size = disk_use(dir)?;
    while since.elapsed() < STILL || began.elapsed() < at_least {
        if began.elapsed() > TIDIED {
            bail!("{} still changes after {} s", dir.display(), TIDIED.as_secs());
        }
        tokio::time::sleep(LOOK).await;
        let now = disk_use(dir)?;
        if now != size {
            (size, since) = (now, clock::now());
        }
    }
    Ok(size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_directory_is_what_its_files_take() {
        let dir = tempfile::tempdir().unwrap();
        let empty = disk_use(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/file"), vec![1; 100_000]).unwrap();
        let full = disk_use(dir.path()).unwrap();
        assert!(full >= empty + 100_000 && full < empty + 150_000, "{empty} then {full}");
    }
}
