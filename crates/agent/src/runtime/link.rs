//! The agent's end of the control socket, and the start of shims.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;

use crate::runtime::orders::{Request, State};
use crate::runtime::place::Place;
use crate::runtime::warden::leash::Leash;

/// The way to whatever supervises one instance.
pub enum Link {
    /// A connection to a shim.
    Shim(Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf),
    /// The warden of a container.
    Warden(Leash),
}

impl Link {
    /// Connects to the shim that lives there. It says its state at once.
    ///
    /// # Errors
    /// When none does.
    pub fn connect(place: &Place) -> io::Result<Link> {
        let stream = place.with_socket(|path| StdStream::connect(path))?;
        stream.set_nonblocking(true)?;
        let (reader, writer) = UnixStream::from_std(stream)?.into_split();
        Ok(Link::Shim(BufReader::new(reader).lines(), writer))
    }

    /// The next state; none, once the supervisor has gone. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<State> {
        match self {
            Link::Shim(lines, _) => {
                let line = lines.next_line().await.ok()??;
                serde_json::from_str(&line).ok()
            }
            Link::Warden(leash) => leash.next().await,
        }
    }

    /// Asks the supervisor for something.
    ///
    /// # Errors
    /// When it has gone.
    pub async fn ask(&mut self, request: &Request) -> io::Result<()> {
        match self {
            Link::Shim(_, writer) => {
                let mut line = serde_json::to_vec(request).map_err(io::Error::other)?;
                line.push(b'\n');
                writer.write_all(&line).await
            }
            Link::Warden(leash) if leash.ask(request.clone()) => Ok(()),
            Link::Warden(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Starts a shim with the orders that are there, and hands it what must not be written to a disk.
/// When this returns, it listens.
///
/// # Errors
/// When it could not begin; the text says what it complained of.
pub async fn start_shim(program: &Path, place: &Place, input: Option<&[u8]>) -> io::Result<()> {
    let complaints = place.complaints();
    let stderr =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&complaints)?;
    let mut child = Command::new(program)
        .arg("shim")
        .arg(place.dir())
        .env_clear()
        // There is one for each instance: it takes memory as it needs it and not by the huge page,
        // which is 4 MB. Nothing of its environment reaches what it starts.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .current_dir("/")
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()?;
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        // If it ends before it has read all, its status says so.
        let _ = pipe.write_all(input).await;
    }
    let status = child.wait().await?;
    if status.success() {
        return Ok(());
    }
    let why = tokio::fs::read_to_string(&complaints).await.unwrap_or_default();
    let why = why.lines().last().unwrap_or("it said nothing");
    Err(io::Error::other(format!("its supervisor {} ended: {why}", program.display())))
}
