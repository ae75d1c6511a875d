//! The log of a task on a terminal: as it grows, then what is left of it, so that nothing is left
//! out and nothing is shown twice. Not which tasks.

use std::io::Write as _;

use atoll_client::{Client, Frame};
use atoll_model::agent::{Ask, LogFilter};

use crate::terminal::{Paint, Tone};

/// Shows the log of a task: as it grows, then what is left of it.
pub async fn log(
    client: Client,
    task: String,
    label: String,
    mut ended: tokio::sync::watch::Receiver<bool>,
) {
    let mut shown = Shown::of(label);
    if !*ended.borrow() {
        // What breaks off, or is cut off by its end, is made up for by the whole log.
        tokio::select! {
            // The sender goes with the command.
            _ = ended.wait_for(|ended| *ended) => {}
            () = grow(&client, &task, &mut shown) => {}
        }
        let _ = ended.wait_for(|ended| *ended).await;
    }
    if let Ok(whole) = client.task_log(&task).await {
        let from = shown.bytes.min(whole.len());
        shown.add(&whole[from..]);
    }
    shown.end();
}

/// Shows a log as it grows, as long as its host sends it.
async fn grow(client: &Client, task: &str, shown: &mut Shown) {
    let ask = Ask::Logs { follow: true, tail: None, since: None, filter: LogFilter::default() };
    let Ok(mut socket) = client.open_task_session(task, &ask).await else { return };
    while let Ok(Some(frame)) = socket.next().await {
        if let Frame::Data(_, data) = frame {
            shown.add(&data);
        }
    }
}

/// What was shown of a log.
pub struct Shown {
    label: String,
    bytes: usize,
    rest: Vec<u8>,
}

impl Shown {
    /// Of a log whose lines begin with a word.
    pub fn of(label: String) -> Shown {
        Shown { label, bytes: 0, rest: Vec::new() }
    }

    /// Shows more of it, line by line.
    pub fn add(&mut self, data: &[u8]) {
        self.bytes += data.len();
        self.rest.extend_from_slice(data);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n');
        if let Some(end) = end {
            let after = self.rest.split_off(end + 1);
            let lines = std::mem::replace(&mut self.rest, after);
            self.print(&lines);
        }
    }

    /// Shows what is left of it.
    pub fn end(&mut self) {
        if !self.rest.is_empty() {
            let mut line = std::mem::take(&mut self.rest);
            line.push(b'\n');
            self.print(&line);
        }
    }

    fn print(&self, lines: &[u8]) {
        let prefix = Paint::stdout().tone(Tone::Dim, &format!("{} | ", self.label));
        let mut text = Vec::with_capacity(lines.len() + 32);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            text.extend_from_slice(prefix.as_bytes());
            text.extend_from_slice(line);
        }
        let mut out = std::io::stdout().lock();
        // An output that was closed ends the command elsewhere.
        let _ = out.write_all(&text).and_then(|()| out.flush());
    }
}
