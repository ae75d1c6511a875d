//! Running a person's command inside a container, over pipes or on a terminal. How a process is
//! entered is in `exec.rs`.

use std::time::Duration;

use atoll_client::{Frame, Socket, SocketReceiver};
use atoll_model::agent::SessionNote;
use bollard::container::LogOutput;
use bytes::Bytes;
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::refuse;
use crate::engine::{Engine, ExecInput, Execution};

/// The exit code of a command is waited for this long after its output has ended.
const LINGER: Duration = Duration::from_secs(2);
/// It is looked for this often.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the command and sends what it writes, then its exit code.
pub async fn answer(
    socket: Socket,
    engine: &Engine,
    container: &str,
    command: Vec<String>,
    tty: Option<(u16, u16)>,
) {
    let run = match engine.exec(container, &command, tty.is_some()).await {
        Ok(run) => run,
        Err(error) => {
            let program = command.first().map(String::as_str).unwrap_or_default();
            return refuse(socket, format!("cannot run {program:?}: {error}")).await;
        }
    };
    let Execution { id, mut output, input } = run;
    if let Some((columns, rows)) = tty {
        // A command that has ended by now needs no size.
        let _ = engine.exec_resize(&id, columns, rows).await;
    }
    let (mut sender, receiver) = socket.split();
    let send = async {
        while let Some(piece) = output.next().await {
            let frame = match piece {
                Ok(LogOutput::StdErr { message }) => Frame::Data(2, message),
                Ok(piece) => Frame::Data(1, piece.into_bytes()),
                Err(_) => break,
            };
            if sender.send(frame).await.is_err() {
                return;
            }
        }
        let note = match exit_code(engine, &id).await {
            Some(code) => SessionNote::Exit { code },
            None => SessionNote::Failed { message: "docker does not tell how it ended".into() },
        };
        // Whoever has gone needs no answer.
        let _ = sender.send(Frame::Note(note)).await;
        sender.close().await;
    };
    tokio::select! {
        () = send => {}
        // The person going away closes the command's input and output, which ends most.
        () = feed(receiver, input, engine, &id) => {}
    }
}

async fn exit_code(engine: &Engine, id: &str) -> Option<i32> {
    let found = async {
        loop {
            match engine.exec_code(id).await {
                Ok(None) => tokio::time::sleep(LOOK).await,
                found => return found.ok().flatten(),
            }
        }
    };
    tokio::time::timeout(LINGER, found).await.ok().flatten()
}

/// Gives the command what the person sends, until they go.
async fn feed(mut receiver: SocketReceiver, input: ExecInput, engine: &Engine, id: &str) {
    let mut input = Some(input);
    while let Ok(Some(frame)) = receiver.next().await {
        // A command that reads no more is no reason to end it.
        match frame {
            Frame::Data(0, data) => write(input.as_mut(), data).await,
            Frame::Note(SessionNote::InputEnd) => {
                if let Some(mut input) = input.take() {
                    let _ = input.shutdown().await;
                }
            }
            Frame::Note(SessionNote::Resize { columns, rows }) => {
                let _ = engine.exec_resize(id, columns, rows).await;
            }
            _ => {}
        }
    }
}

async fn write(input: Option<&mut ExecInput>, data: Bytes) {
    if let Some(input) = input {
        let _ = input.write_all(&data).await;
        let _ = input.flush().await;
    }
}
