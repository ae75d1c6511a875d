//! Asking an instance how it is: over HTTP, by connecting, or by a command. It judges a single
//! answer only; what follows from several is in `health.rs`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::engine::{Engine, EngineError};
use crate::runtime::launch::Launch;

/// The most that is read of an answer. All of it is read where it is shorter, so that a program
/// does not find its answers cut off.
const LONGEST: usize = 256 << 10;
/// The rest of an answer comes without such a pause, or is not waited for: its status is known.
const REST: Duration = Duration::from_millis(100);

/// Who forwards connections closes one within this time when nobody listens behind.
const MOMENT: Duration = Duration::from_millis(100);

/// One question.
#[derive(Clone, Debug)]
pub enum Question {
    /// Does this path answer with a status from 200 to 399?
    Http(SocketAddr, String),
    /// Does it accept a connection?
    Tcp(SocketAddr),
    /// The same where somebody in between, as a container engine does, accepts every connection and
    /// closes it when nobody listens behind.
    Forwarded(SocketAddr),
    /// Does this command exit with 0?
    Command(Launch),
    /// Does this command exit with 0, inside that container?
    Inside {
        /// The engine it is of.
        engine: Arc<Engine>,
        /// Its name there.
        container: String,
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// What is asked of one instance.
#[derive(Clone, Debug)]
pub struct Questions {
    /// Whether it serves.
    pub ready: Question,
    /// Whether it needs a restart.
    pub live: Option<Question>,
    /// The time each answer may take.
    pub timeout: Duration,
}

impl Question {
    /// The same at another address of this host: it may have changed since it was thought of.
    fn at(self, here: IpAddr) -> Question {
        let moved = |at: SocketAddr| SocketAddr::new(here, at.port());
        match self {
            Question::Http(at, path) => Question::Http(moved(at), path),
            Question::Tcp(at) => Question::Tcp(moved(at)),
            Question::Forwarded(at) => Question::Forwarded(moved(at)),
            other => other,
        }
    }
}

impl Questions {
    /// The same, asked at this address of the host.
    pub fn at(self, here: IpAddr) -> Questions {
        let live = self.live.map(|question| question.at(here));
        Questions { ready: self.ready.at(here), live, ..self }
    }
}

/// The address of this host that instances are asked at: the one others reach them by, where it
/// is one of this machine's own.
pub fn own_address(advertised: IpAddr) -> IpAddr {
    match std::net::TcpListener::bind((advertised, 0)) {
        Ok(_) if !advertised.is_unspecified() => advertised,
        _ => IpAddr::from([127, 0, 0, 1]),
    }
}

/// Asks, and says why the answer is bad where it is.
///
/// # Errors
/// One sentence for people.
pub async fn ask(question: &Question, timeout: Duration) -> Result<(), String> {
    let answer = async {
        match question {
            Question::Http(address, path) => http(*address, path).await,
            Question::Tcp(address) => tcp(*address).await,
            Question::Forwarded(address) => forwarded(*address).await,
            Question::Command(launch) => command(launch).await,
            Question::Inside { engine, container, command } => {
                inside(engine, container, command).await
            }
        }
    };
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("{}: no answer within {timeout:?}", name(question))),
    }
}

fn name(question: &Question) -> String {
    match question {
        Question::Http(address, path) => format!("GET {path} on port {}", address.port()),
        Question::Tcp(address) | Question::Forwarded(address) => format!("port {}", address.port()),
        Question::Command(Launch { command, .. }) | Question::Inside { command, .. } => {
            format!("probe {:?}", command.join(" "))
        }
    }
}

async fn tcp(address: SocketAddr) -> Result<(), String> {
    let failed = |e| format!("port {} {}", address.port(), plain(&e, address));
    TcpStream::connect(address).await.map(drop).map_err(failed)
}

/// Whether a connection is kept for a moment, or something is said on it.
async fn forwarded(address: SocketAddr) -> Result<(), String> {
    let failed = |e| format!("port {} {}", address.port(), plain(&e, address));
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    match tokio::time::timeout(MOMENT, stream.read(&mut [0])).await {
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err(format!("port {} closes every connection at once", address.port())),
        Ok(Err(error)) => Err(failed(error)),
    }
}

async fn http(address: SocketAddr, path: &str) -> Result<(), String> {
    let name = format!("GET {path} on port {}", address.port());
    let failed = |e: io::Error| format!("{name} {}", plain(&e, address));
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: atoll\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    let mut bytes = [0; 4096];
    let status = loop {
        if let Some(status) = status(&answer) {
            break status;
        }
        match stream.read(&mut bytes).await.map_err(failed)? {
            0 => return Err(format!("{name} was not answered in HTTP")),
            count => answer.extend_from_slice(&bytes[..count]),
        }
        if answer.len() > LONGEST {
            return Err(format!("{name} was not answered in HTTP"));
        }
    };
    let mut read = answer.len();
    while read < LONGEST {
        match tokio::time::timeout(REST, stream.read(&mut bytes)).await {
            Ok(Ok(count)) if count > 0 => read += count,
            // Whatever ends it, the status is what counts; some keep connections open.
            _ => break,
        }
    }
    match status {
        Ok(200..=399) => Ok(()),
        Ok(status) => Err(format!("{name} answered {status}")),
        Err(()) => Err(format!("{name} was not answered in HTTP")),
    }
}

/// The status, once its line is there.
fn status(answer: &[u8]) -> Option<Result<u16, ()>> {
    let end = answer.iter().position(|b| *b == b'\n')?;
    let line = String::from_utf8_lossy(&answer[..end]);
    let mut words = line.split_ascii_whitespace();
    let version = words.next().is_some_and(|w| w.starts_with("HTTP/1."));
    let status = words.next().and_then(|w| w.parse().ok()).filter(|s| (100..600).contains(s));
    Some(status.filter(|_| version).ok_or(()))
}

fn plain(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused if address.ip().is_loopback() => {
            "refused the connection: nothing listens there".to_owned()
        }
        io::ErrorKind::ConnectionRefused => {
            format!("refused the connection: nothing listens on {}", address.ip())
        }
        io::ErrorKind::ConnectionReset => "broke off the connection".to_owned(),
        _ => format!("failed: {error}"),
    }
}

async fn command(launch: &Launch) -> Result<(), String> {
    let name = format!("probe {:?}", launch.command.join(" "));
    let mut command = launch.prepare(false).map_err(|e| format!("{name} failed: {e}"))?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = tokio::process::Command::from(command).spawn();
    let child = child.map_err(|e| format!("{name} could not be started: {e}"))?;
    // Dropped before its end, because of the timeout, it is killed with all it started.
    let _group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Group);
    let output = child.wait_with_output().await.map_err(|e| format!("{name} failed: {e}"))?;
    std::mem::forget(_group);
    if output.status.success() {
        return Ok(());
    }
    let line = last_line(&[output.stderr, output.stdout].concat());
    Err(match output.status.code() {
        Some(code) => format!("{name} exited with code {code}: {line:?}"),
        None => format!("{name} was killed: {line:?}"),
    })
}

/// The last line that is not empty, cut to what a reason can hold.
fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
    line.chars().take(200).collect()
}

async fn inside(engine: &Engine, container: &str, command: &[String]) -> Result<(), String> {
    let name = format!("probe {:?}", command.join(" "));
    let failed = |e: EngineError| format!("{name} could not be started: {e}");
    let mut run = engine.exec(container, command, false).await.map_err(failed)?;
    let mut text = Vec::new();
    while let Some(Ok(piece)) = run.output.next().await {
        if text.len() < LONGEST {
            text.extend_from_slice(&piece.into_bytes());
        }
    }
    match engine.exec_code(&run.id).await.map_err(failed)? {
        Some(0) => Ok(()),
        Some(code) => Err(format!("{name} exited with code {code}: {:?}", last_line(&text))),
        None => Err(format!("{name} closed its output and runs on")),
    }
}

/// A process group that dies with this.
struct Group(i32);

impl Drop for Group {
    fn drop(&mut self) {
        // The child is not reaped yet, so that the number is still its own.
        let _ = killpg(Pid::from_raw(self.0), Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::net::TcpListener;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A server that gives that answer once.
    async fn server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 1024];
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        address
    }

    #[tokio::test]
    async fn http_answers_are_judged_by_their_status() {
        let ask = async |answer| {
            let address = server(answer).await;
            let why = ask(&Question::Http(address, "/healthz".to_owned()), SECOND).await;
            why.map_err(|w| w.replace(&address.port().to_string(), "P"))
        };
        assert_eq!(ask("HTTP/1.1 200 OK\r\n\r\nfine").await, Ok(()));
        assert_eq!(ask("HTTP/1.0 302 Found\r\n\r\n").await, Ok(()));
        let told = "GET /healthz on port P answered 500".to_owned();
        assert_eq!(ask("HTTP/1.1 500 Oh\r\n\r\n").await, Err(told));
        let told = "GET /healthz on port P was not answered in HTTP".to_owned();
        assert_eq!(ask("SSH-2.0-x\r\n").await, Err(told.clone()));
        assert_eq!(ask("").await, Err(told));
    }

    #[tokio::test]
    async fn an_answer_counts_though_the_connection_stays_open() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
            std::future::pending::<()>().await;
        });
        let question = Question::Http(address, "/healthz".to_owned());
        assert_eq!(ask(&question, Duration::from_secs(10)).await, Ok(()));
        kept.abort();
    }

    #[tokio::test]
    async fn nobody_there_and_nobody_answering_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(ask(&Question::Tcp(address), SECOND).await, Ok(()));
        let silent = Question::Http(address, "/".to_owned());
        let why = ask(&silent, Duration::from_millis(50)).await.unwrap_err();
        assert!(why.ends_with("no answer within 50ms"), "{why}");
        drop(listener);
        let why = ask(&Question::Tcp(address), SECOND).await.unwrap_err();
        assert!(why.contains("nothing listens there"), "{why}");
    }

    #[tokio::test]
    async fn commands_are_judged_by_their_exit() {
        let launch = |script: &str| Launch {
            command: ["sh", "-c", script].map(String::from).into(),
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            dir: "/".into(),
            user: None,
            groups: Vec::new(),
            cgroups: Vec::new(),
        };
        let ask = async |script, timeout| ask(&Question::Command(launch(script)), timeout).await;
        assert_eq!(ask("true", SECOND).await, Ok(()));
        let why = ask("echo no database >&2; exit 3", SECOND).await.unwrap_err();
        assert!(why.ends_with("exited with code 3: \"no database\""), "{why}");
        let why = ask("sleep 60", Duration::from_millis(100)).await.unwrap_err();
        assert!(why.ends_with("no answer within 100ms"), "{why}");
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_at_once_was_only_forwarded() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closing = tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        let second = Duration::from_secs(1);
        assert_eq!(ask(&Question::Tcp(address), second).await, Ok(()));
        let why = ask(&Question::Forwarded(address), second).await.unwrap_err();
        assert!(why.contains("closes every connection") || why.contains("reset"), "{why}");
        closing.abort();
        let kept = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = kept.local_addr().unwrap();
        assert_eq!(ask(&Question::Forwarded(address), second).await, Ok(()));
    }
}
