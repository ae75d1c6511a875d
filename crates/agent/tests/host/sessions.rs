//! Logs and commands, from an agent to the person's end of a session.

use atoll_model::agent::{Ask, LogFilter, SessionNote};
use axum::extract::ws::{Message, WebSocket};
use serde_json::json;

use crate::stage::{Stage, instance, script, until};

/// Everything a session says until it closes: output, error output and the last note.
pub async fn all(socket: &mut WebSocket) -> (String, String, Option<SessionNote>) {
    let (mut output, mut errors, mut note) = (Vec::new(), Vec::new(), None);
    let read = async {
        while let Some(Ok(message)) = socket.recv().await {
            match message {
                Message::Binary(data) if data[0] == 1 => output.extend_from_slice(&data[1..]),
                Message::Binary(data) => errors.extend_from_slice(&data[1..]),
                Message::Text(text) => note = serde_json::from_str(&text).ok(),
                _ => {}
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("it ends");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output), text(errors), note)
}

async fn say(socket: &mut WebSocket, text: &str) {
    let data = [b"\0", text.as_bytes()].concat();
    socket.send(Message::Binary(data.into())).await.unwrap();
}

async fn note(socket: &mut WebSocket, note: &SessionNote) {
    let text = serde_json::to_string(note).unwrap();
    socket.send(Message::Text(text.into())).await.unwrap();
}

fn exec(words: &[&str], tty: Option<(u16, u16)>) -> Ask {
    Ask::Exec { command: words.iter().map(|w| (*w).to_owned()).collect(), tty }
}

#[tokio::test]
async fn a_log_is_read_and_followed() {
    let stage = Stage::new().await;
    let text = "seq 1 100; while ! test -e $HOME/go; do sleep 0.01; done; echo went; \
                exec sleep 1000";
    stage.assign(&[script("web.prod.0", "web-1", text)]);
    stage.ready("web.prod.0").await;
    until("its output is there", || stage.log("web.prod.0").ends_with("100\n")).await;
    let ask = Ask::Logs { follow: false, tail: Some(3), since: None, filter: LogFilter::default() };
    let mut socket = stage.session("s1", "web.prod.0", ask).await;
    assert_eq!(all(&mut socket).await.0, "98\n99\n100\n");

    let ask = Ask::Logs { follow: true, tail: Some(1), since: None, filter: LogFilter::default() };
    let mut socket = stage.session("s2", "web.prod.0", ask).await;
    let mut seen = String::new();
    while !seen.ends_with("went\n") {
        if let Message::Binary(data) = socket.recv().await.unwrap().unwrap() {
            seen += std::str::from_utf8(&data[1..]).unwrap();
        }
        if seen == "100\n" {
            std::fs::write(stage.place("web.prod.0").join("data/go"), "").unwrap();
        }
    }
    assert_eq!(seen, "100\nwent\n");
    drop(socket);

    let ask = Ask::Logs { follow: false, tail: None, since: None, filter: LogFilter::default() };
    let mut socket = stage.session("s3", "other.prod.0", ask).await;
    let failed = all(&mut socket).await.2;
    assert!(matches!(failed, Some(SessionNote::Failed { .. })), "{failed:?}");
    stage.end().await;
}

#[tokio::test]
async fn a_command_runs_as_the_instance_does() {
    let stage = Stage::new().await;
    let run = json!({ "command": ["sh", "-c", "id -u; exec sleep 1000"] });
    stage.assign(&[instance("web.prod.0", "web-1", run)]);
    stage.ready("web.prod.0").await;
    until("its output is there", || stage.log("web.prod.0").ends_with('\n')).await;
    let ask = exec(&["sh", "-c", "id -u; pwd; echo $ATOLL_INSTANCE; echo oh >&2; exit 3"], None);
    let mut socket = stage.session("s1", "web.prod.0", ask).await;
    let (output, errors, note) = all(&mut socket).await;
    let place = stage.place("web.prod.0");
    let user = stage.log("web.prod.0");
    assert_eq!(output, format!("{user}{}\nweb.prod.0\n", place.join("release").display()));
    assert_eq!((errors.as_str(), note), ("oh\n", Some(SessionNote::Exit { code: 3 })));

    let ask = exec(&["sh", "-c", "sleep 1000 & echo done"], None);
    let mut socket = stage.session("s2", "web.prod.0", ask).await;
    let (output, _, note) = all(&mut socket).await;
    assert_eq!((output.as_str(), note), ("done\n", Some(SessionNote::Exit { code: 0 })));

    let mut socket = stage.session("s3", "web.prod.0", exec(&["no-such-thing"], None)).await;
    let failed = all(&mut socket).await.2;
    assert!(matches!(failed, Some(SessionNote::Failed { .. })), "{failed:?}");
    stage.end().await;
}

#[tokio::test]
async fn a_command_reads_its_input_and_ends_with_the_person() {
    let stage = Stage::new().await;
    stage.assign(&[script("web.prod.0", "web-1", "exec sleep 1000")]);
    stage.ready("web.prod.0").await;
    let mut socket = stage.session("s1", "web.prod.0", exec(&["cat"], None)).await;
    say(&mut socket, "hello\n").await;
    note(&mut socket, &SessionNote::InputEnd).await;
    let (output, _, end) = all(&mut socket).await;
    assert_eq!((output.as_str(), end), ("hello\n", Some(SessionNote::Exit { code: 0 })));

    let ask = exec(&["sh", "-c", "echo $$ > $HOME/pid; exec sleep 1000"], None);
    let socket = stage.session("s2", "web.prod.0", ask).await;
    let path = stage.place("web.prod.0").join("data/pid");
    let pid = || std::fs::read_to_string(&path).ok()?.trim().parse::<i64>().ok();
    until("it runs", || pid().is_some()).await;
    drop(socket);
    until("it is killed", || crate::stage::started(pid().unwrap()).is_none()).await;
    stage.end().await;
}

#[tokio::test]
async fn a_terminal_has_a_size_and_controls_its_command() {
    let stage = Stage::new().await;
    stage.assign(&[script("web.prod.0", "web-1", "exec sleep 1000")]);
    stage.ready("web.prod.0").await;
    let text = "stty size; read line; echo got $line; stty size; trap 'exit 9' INT; \
                echo waiting; while :; do sleep 0.05; done";
    let ask = exec(&["sh", "-c", text], Some((120, 40)));
    let mut socket = stage.session("s1", "web.prod.0", ask).await;
    let mut seen = String::new();
    let mut step = 0;
    loop {
        match socket.recv().await.unwrap().unwrap() {
            Message::Binary(data) => seen += std::str::from_utf8(&data[1..]).unwrap(),
            Message::Text(text) => {
                let end = serde_json::from_str::<SessionNote>(&text).unwrap();
                assert_eq!(end, SessionNote::Exit { code: 9 });
                break;
            }
            _ => {}
        }
        if step == 0 && seen.contains("40 120") {
            step = 1;
            note(&mut socket, &SessionNote::Resize { columns: 100, rows: 30 }).await;
            say(&mut socket, "word\n").await;
        }
        if step == 1 && seen.contains("waiting") {
            step = 2;
            say(&mut socket, "\x03").await;
        }
    }
    assert!(seen.contains("got word") && seen.contains("30 100"), "{seen}");
    stage.end().await;
}
