//! The shim's end of the control socket: requests in, the state out, one JSON object a line.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use crate::runtime::orders::{Request, State};
use crate::runtime::place::Place;

/// Connections at once; an agent needs one.
const MOST: usize = 16;
/// The longest request, in bytes.
const LONGEST: usize = 16 << 10;

/// The socket and who is connected to it.
pub struct Control {
    listener: UnixListener,
    connections: Vec<Connection>,
}

struct Connection {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Control {
    /// Listens. Whoever calls holds the lock, so that a socket found there is a dead one's.
    pub fn listen(place: &Place) -> io::Result<Control> {
        let listener = place.with_socket(|path| {
            let _ = fs::remove_file(path);
            UnixListener::bind(path)
        })?;
        listener.set_nonblocking(true)?;
        Ok(Control { listener, connections: Vec::new() })
    }

    /// What to wait on: the listener first, then every connection.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let connections = self.connections.iter().map(|c| c.stream.as_fd());
        std::iter::once(self.listener.as_fd()).chain(connections)
    }

    /// Takes new connections, greeting each with the state, and reads what was asked.
    pub fn turn(&mut self, state: &State) -> Vec<Request> {
        while let Ok((stream, _)) = self.listener.accept() {
            let mut connection = Connection { stream, buffer: Vec::new() };
            let ready = connection.stream.set_nonblocking(true).is_ok();
            if ready && self.connections.len() < MOST && connection.tell(&line(state)) {
                self.connections.push(connection);
            }
        }
        let mut requests = Vec::new();
        self.connections.retain_mut(|connection| connection.read(&mut requests));
        requests
    }

    /// Tells everybody. Who does not listen is hung up on, and may come again.
    pub fn tell(&mut self, state: &State) {
        let line = line(state);
        self.connections.retain_mut(|connection| connection.tell(&line));
    }
}

impl Connection {
    fn tell(&mut self, line: &[u8]) -> bool {
        self.stream.write_all(line).is_ok()
    }

    /// Reads what is there; whether the connection is still good.
    fn read(&mut self, requests: &mut Vec<Request>) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
            if self.buffer.len() > LONGEST {
                return false;
            }
        }
        while let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(request) => requests.push(request),
                Err(_) => return false,
            }
        }
        true
    }
}

fn line(state: &State) -> Vec<u8> {
    let mut line = serde_json::to_vec(state).expect("a state has string keys only");
    line.push(b'\n');
    line
}
