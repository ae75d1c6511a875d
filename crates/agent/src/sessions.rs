//! Answering people: the log of an instance or a task, or a command run beside an instance. Whether
//! they may was decided by the server.

mod exec;
mod inside;
pub(crate) mod logs;
mod search;

use std::sync::Arc;

use atoll_client::{Frame, Socket};
use atoll_model::agent::{Ask, Session, SessionNote};

use crate::disk;
use crate::machine::Machine;
use crate::runtime::orders::Orders;
use crate::runtime::place::Place;
use crate::task::place::TaskPlace;

/// Answers one session, to its end.
pub async fn answer(machine: Arc<Machine>, session: Session) {
    let socket = match machine.client().answer_session(&machine.host, &session.id).await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(session = session.id, %error, "a session could not be answered");
            return;
        }
    };
    let place = Place::of(&machine.data, &session.instance);
    if !plain(&session.instance) || !place.record().exists() {
        answer_of_task(&machine, session, socket).await;
        return;
    }
    match session.ask {
        Ask::Logs { follow, tail, since, filter } => {
            logs::answer(socket, &place, logs::Wish { follow, tail, since, filter }).await;
        }
        Ask::Exec { command, tty } => match disk::read::<Orders>(&place.orders()) {
            Some(Orders { container: Some(container), .. }) => {
                inside::answer(socket, &machine.engine, &container.name, command, tty).await;
            }
            _ => exec::answer(socket, &place, command, tty).await,
        },
    }
}

/// The log of a task; nothing else can be asked of one.
async fn answer_of_task(machine: &Machine, session: Session, socket: Socket) {
    let place = TaskPlace::of(&machine.data, &session.instance);
    if !plain(&session.instance) || !place.record().exists() {
        let message = format!("{} is not on host {}", session.instance, machine.host);
        return refuse(socket, message).await;
    }
    match session.ask {
        Ask::Logs { follow, tail, since, filter } => {
            logs::answer(socket, &place.shim, logs::Wish { follow, tail, since, filter }).await;
        }
        Ask::Exec { .. } => {
            let message = "no command is run beside a task: it is kept apart from everything else";
            refuse(socket, message.to_owned()).await;
        }
    }
}

/// Whether a name is one part of a path.
fn plain(name: &str) -> bool {
    atoll_model::name::check_derived(name).is_ok()
}

async fn refuse(mut socket: Socket, message: String) {
    // Whoever has gone needs no answer.
    let _ = socket.send(Frame::Note(SessionNote::Failed { message })).await;
    socket.close().await;
}
