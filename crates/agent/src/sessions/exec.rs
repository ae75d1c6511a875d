//! Running a person's command as an instance: its user, directory, environment and cgroup; over
//! pipes, or on a terminal.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use atoll_client::{Frame, Socket, SocketReceiver, SocketSender};
use atoll_model::agent::SessionNote;
use bytes::Bytes;
use nix::libc;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;

use super::refuse;
use crate::disk;
use crate::runtime::orders::Orders;
use crate::runtime::place::Place;

/// Bytes of one frame.
const PIECE: usize = 16 << 10;
/// Output of a command that has ended is waited for this long.
const LINGER: Duration = Duration::from_millis(300);

/// Runs the command and sends what it writes, then its exit code.
pub async fn answer(socket: Socket, place: &Place, command: Vec<String>, tty: Option<(u16, u16)>) {
    let started = disk::read::<Orders>(&place.orders())
        .ok_or_else(|| io::Error::other("the instance has never been started"))
        .and_then(|orders| {
            let mut launch = orders.launch.with_command(&command);
            let term = || ("TERM".to_owned(), "xterm-256color".to_owned());
            launch.env.extend(tty.map(|_| term()));
            start(launch.prepare(tty.is_some())?, tty)
        });
    match started {
        Ok(session) => session.run(socket).await,
        Err(error) => {
            let program = command.first().map(String::as_str).unwrap_or_default();
            refuse(socket, format!("cannot run {program:?}: {error}")).await;
        }
    }
}

struct Running {
    child: Child,
    input: Input,
    outputs: Vec<(u8, Box<dyn AsyncRead + Send + Unpin>)>,
}

enum Input {
    Pipe(Option<ChildStdin>),
    Terminal(tokio::fs::File),
}

fn start(mut command: Command, tty: Option<(u16, u16)>) -> io::Result<Running> {
    let Some((columns, rows)) = tty else {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tokio::process::Command::from(command).spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let output = child.stdout.take().ok_or_else(missing)?;
        let errors = child.stderr.take().ok_or_else(missing)?;
        let input = Input::Pipe(child.stdin.take());
        return Ok(Running {
            child,
            input,
            outputs: vec![(1, Box::new(output)), (2, Box::new(errors))],
        });
    };
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pair = openpty(&size, None)?;
    let slave = || pair.slave.try_clone().map(Stdio::from);
    command.stdin(slave()?).stdout(slave()?).stderr(slave()?);
    let mut command = tokio::process::Command::from(command);
    let child = command.spawn()?;
    // The command holds the slave open too; as long as it lives, the terminal has no end.
    drop(command);
    let output = terminal_output(pair.master.try_clone()?);
    let input = Input::Terminal(tokio::fs::File::from_std(File::from(pair.master)));
    Ok(Running { child, input, outputs: vec![(1, Box::new(output))] })
}

/// What is written to a terminal, read on a thread of its own, as a terminal cannot be waited on
/// like a pipe everywhere. The thread ends with the terminal.
fn terminal_output(master: OwnedFd) -> tokio::io::DuplexStream {
    let (mut near, far) = tokio::io::duplex(4 * PIECE);
    let handle = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        let mut master = File::from(master);
        let mut bytes = vec![0; PIECE];
        loop {
            match master.read(&mut bytes) {
                Ok(count) if count > 0 => {
                    if handle.block_on(near.write_all(&bytes[..count])).is_err() {
                        break;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // The last one that had it open has gone.
                _ => break,
            }
        }
    });
    far
}

impl Running {
    async fn run(self, socket: Socket) {
        let Running { mut child, input, outputs } = self;
        let group = child.id().and_then(|pid| i32::try_from(pid).ok());
        let (mut sender, receiver) = socket.split();
        let (frames, mut queue) = mpsc::channel(8);
        for (stream, output) in outputs {
            tokio::spawn(copy(stream, output, frames.clone()));
        }
        drop(frames);
        let work = async {
            let mut status = None;
            loop {
                let frame = tokio::select! {
                    frame = queue.recv() => frame,
                    ended = child.wait(), if status.is_none() => {
                        status = Some(ended.ok()?);
                        continue;
                    }
                    // What it left running in the background may hold its output open for ever.
                    () = tokio::time::sleep(LINGER), if status.is_some() => None,
                };
                match frame {
                    Some(frame) => sender.send(frame).await.ok()?,
                    None => break,
                }
            }
            match status {
                Some(status) => Some(status),
                None => child.wait().await.ok(),
            }
        };
        // The person going away ends the command; the end of their input does not.
        let status = tokio::select! {
            status = work => status,
            () = feed(receiver, input) => None,
        };
        match status {
            Some(status) => finish(&mut sender, status).await,
            None => {
                if let Some(group) = group.filter(|_| child.id().is_some()) {
                    // It has not been reaped, so that the number is still its own.
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                let _ = child.wait().await;
            }
        }
    }
}

async fn copy(
    stream: u8,
    mut output: Box<dyn AsyncRead + Send + Unpin>,
    frames: mpsc::Sender<Frame>,
) {
    let mut bytes = vec![0; PIECE];
    while let Ok(count) = output.read(&mut bytes).await {
        let frame = Frame::Data(stream, Bytes::copy_from_slice(&bytes[..count]));
        if count == 0 || frames.send(frame).await.is_err() {
            break;
        }
    }
}

/// Gives the command what the person sends, until they go.
async fn feed(mut receiver: SocketReceiver, mut input: Input) {
    while let Ok(Some(frame)) = receiver.next().await {
        // A command that reads no more is no reason to end it.
        let _ = match (frame, &mut input) {
            (Frame::Data(0, data), Input::Pipe(Some(pipe))) => pipe.write_all(&data).await,
            (Frame::Data(0, data), Input::Terminal(terminal)) => write(terminal, &data).await,
            (Frame::Note(SessionNote::InputEnd), Input::Pipe(pipe)) => {
                drop(pipe.take());
                Ok(())
            }
            // On a terminal, the end of input is a character.
            (Frame::Note(SessionNote::InputEnd), Input::Terminal(terminal)) => {
                write(terminal, &[4]).await
            }
            (Frame::Note(SessionNote::Resize { columns, rows }), Input::Terminal(terminal)) => {
                resize(terminal, columns, rows)
            }
            _ => Ok(()),
        };
    }
}

async fn write(terminal: &mut tokio::fs::File, data: &[u8]) -> io::Result<()> {
    terminal.write_all(data).await?;
    terminal.flush().await
}

fn resize(terminal: &tokio::fs::File, columns: u16, rows: u16) -> io::Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and the call only reads the size it is given.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

async fn finish(sender: &mut SocketSender, status: ExitStatus) {
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
    // Whoever has gone needs no answer.
    let _ = sender.send(Frame::Note(SessionNote::Exit { code })).await;
    sender.close().await;
}
