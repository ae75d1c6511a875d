//! The agent's end of a warden: what it says, and what it is asked. Not what it does.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::log::Tail;
use super::{Aim, Warden};
use crate::disk;
use crate::engine::Engine;
use crate::runtime::orders::{Orders, Phase, Request, State};
use crate::runtime::place::Place;
use crate::runtime::process::{Process, boot_id};

/// The agent's end of a warden.
pub struct Leash {
    states: UnboundedReceiver<State>,
    requests: UnboundedSender<Request>,
    task: JoinHandle<()>,
}

impl Leash {
    /// Begins to look after the container of these orders. Its state comes at once. `secrets` are
    /// environment variables that are written down nowhere.
    pub fn new(
        engine: Arc<Engine>,
        place: Place,
        orders: Orders,
        secrets: BTreeMap<String, String>,
    ) -> Option<Leash> {
        let container = orders.container.clone()?;
        let (tell, states) = unbounded_channel();
        let (requests, asked) = unbounded_channel();
        let state = first_state(&place, &orders);
        let tail = Tail::open(&place, &orders, &secrets);
        let warden = Warden {
            engine,
            place,
            orders,
            container,
            secrets,
            state,
            tail,
            tell,
            asked,
            aim: Aim::Run,
            kill_at: None,
            late_at: None,
            was_away: false,
            absent: false,
        };
        Some(Leash { states, requests, task: tokio::spawn(warden.run()) })
    }

    /// The next state; none, once the warden has ended. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<State> {
        self.states.recv().await
    }

    /// Asks for something; whether somebody listens.
    pub fn ask(&self, request: Request) -> bool {
        self.requests.send(request).is_ok()
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes over what the warden before knew of this release in this boot.
fn first_state(place: &Place, orders: &Orders) -> State {
    let boot = boot_id();
    let before: Option<State> = disk::read(&place.state());
    let before = before.filter(|s| s.boot == boot && s.release == orders.release);
    before.filter(|s| s.phase != Phase::Stopped).unwrap_or_else(|| {
        // There is no process of its own that could be signalled.
        State::waiting(boot, Process { pid: 0, start: 0 }, orders.release.clone())
    })
}
