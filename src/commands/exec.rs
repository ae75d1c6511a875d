//! `atoll exec`: runs a command beside an instance, as its user and in its directory. Input,
//! output and the exit code are passed through.

use std::io::{IsTerminal, Read, Write};

use atoll_client::{Frame, SocketReceiver, SocketSender};
use atoll_model::Kind;
use atoll_model::agent::{Ask, SessionNote};
use nix::sys::termios::{self, SetArg, Termios};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::subject::Subject;
use crate::terminal;

/// What `atoll exec` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// instance/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// On a terminal, as for a shell
    #[arg(short = 't', long)]
    tty: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Runs the command, and ends with its exit code.
///
/// # Errors
/// The client's; the command could not be started.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let what = args.what.of(&[Kind::Instance])?;
    let stdin = std::io::stdin();
    if args.tty && !stdin.is_terminal() {
        return Err(Failure::usage("-t needs a terminal on standard input").into());
    }
    let client = global.client()?;
    let tty = args.tty.then(terminal::size);
    let ask = Ask::Exec { command: args.command, tty };
    let socket = client.open_session(&what.name, &ask).await?;
    let _raw = if args.tty { Some(Raw::enter()?) } else { None };
    let (sender, receiver) = socket.split();
    // A terminal that was not asked for is left to the shell.
    let input = if args.tty || !stdin.is_terminal() { input() } else { closed() };
    let resized = if args.tty { Some(signal(SignalKind::window_change())?) } else { None };
    let sending = tokio::spawn(send(sender, input, resized));
    let exit = receive(receiver).await;
    sending.abort();
    exit
}

/// What standard input holds, read by a thread that nobody waits for.
fn input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = vec![0; 16 << 10];
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                        return;
                    }
                }
            }
        }
    });
    receiver
}

fn closed() -> mpsc::Receiver<Vec<u8>> {
    mpsc::channel(1).1
}

/// Sends input and sizes of the terminal, until the other side has gone.
async fn send(
    mut sender: SocketSender,
    mut input: mpsc::Receiver<Vec<u8>>,
    mut resized: Option<Signal>,
) {
    let mut open = true;
    loop {
        let frame = tokio::select! {
            data = input.recv(), if open => match data {
                Some(data) => Frame::Data(0, data.into()),
                None => {
                    open = false;
                    Frame::Note(SessionNote::InputEnd)
                }
            },
            Some(()) = next(&mut resized) => {
                let (columns, rows) = terminal::size();
                Frame::Note(SessionNote::Resize { columns, rows })
            }
            else => return,
        };
        // The receiving half tells why the connection has gone.
        if sender.send(frame).await.is_err() {
            return;
        }
        if !open && resized.is_none() {
            // The sender lives on: dropping it would close the session.
            std::future::pending::<()>().await;
        }
    }
}

async fn next(resized: &mut Option<Signal>) -> Option<()> {
    match resized {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

async fn receive(mut receiver: SocketReceiver) -> anyhow::Result<Exit> {
    while let Some(frame) = receiver.next().await? {
        match frame {
            Frame::Data(2, data) => {
                let mut err = std::io::stderr().lock();
                err.write_all(&data)?;
                err.flush()?;
            }
            Frame::Data(_, data) => {
                let mut out = std::io::stdout().lock();
                out.write_all(&data)?;
                out.flush()?;
            }
            Frame::Note(SessionNote::Exit { code }) => {
                // Codes are 0 to 255; anything else is a failure of some kind.
                return Ok(Exit::Code(u8::try_from(code).unwrap_or(255)));
            }
            Frame::Note(SessionNote::Failed { message }) => {
                return Err(Failure::failed(message).into());
            }
            Frame::Note(_) => {}
        }
    }
    Err(Failure::failed("the session ended before the command did; is its host well?").into())
}

/// The terminal without line editing, put back as it was at the end.
struct Raw(Termios);

impl Raw {
    fn enter() -> anyhow::Result<Raw> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin)?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw)?;
        Ok(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nothing left to do where this fails.
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}
