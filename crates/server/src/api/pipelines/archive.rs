//! A package as an archive of tar, made while it is sent: no more than a few pieces are in memory.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Read, Write};

use atoll_model::ci::task::Kept;
use atoll_model::delivery::{Chunk, EntryContent, PackageIndex};
use axum::body::Body;
use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::App;
use crate::api::error::{Answer, ApiError};

/// So much of the archive is sent at a time.
const PART: usize = 64 << 10;
/// So many parts wait for a slow reader.
const AHEAD: usize = 8;

/// The archive of what is kept.
pub(super) async fn stream(app: App, kept: &Kept) -> Answer<Body> {
    let encoded = app.blobs.get(&kept.digest).await?;
    let index: PackageIndex = serde_json::from_slice(&encoded)
        .map_err(|e| ApiError::internal(format!("the index of the artefact: {e}")))?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let out = BufWriter::with_capacity(PART, Parts(sender.clone()));
        if let Err(error) = write(&app, &index, out) {
            // Whoever reads sees the archive break off.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let parts = futures::stream::unfold(
        receiver,
        |mut receiver: mpsc::Receiver<io::Result<Bytes>>| async move {
            receiver.recv().await.map(|part| (part, receiver))
        },
    );
    Ok(Body::from_stream(parts.fuse()))
}

fn write(app: &App, index: &PackageIndex, out: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    for entry in &index.entries {
        let mut header = tar::Header::new_gnu();
        match &entry.content {
            EntryContent::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                archive.append_data(&mut header, &entry.path, io::empty())?;
            }
            EntryContent::Link { target } => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                archive.append_link(&mut header, &entry.path, target)?;
            }
            EntryContent::File { executable, size, chunks } => {
                header.set_mode(if *executable { 0o755 } else { 0o644 });
                header.set_size(*size);
                let left = chunks.iter().cloned().collect();
                let pieces = Pieces { app, runtime: Handle::current(), left, piece: Bytes::new() };
                archive.append_data(&mut header, &entry.path, pieces)?;
            }
        }
    }
    archive.into_inner()?.flush()
}

/// Parts of the archive on their way.
struct Parts(mpsc::Sender<io::Result<Bytes>>);

impl Write for Parts {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(data))).map_err(gone)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file, read piece by piece.
struct Pieces<'a> {
    app: &'a App,
    runtime: Handle,
    left: VecDeque<Chunk>,
    piece: Bytes,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(next) = self.left.pop_front() else { return Ok(0) };
            let read = self.runtime.block_on(self.app.blobs.get(&next.digest));
            self.piece = read.map_err(io::Error::other)?;
        }
        let length = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}
