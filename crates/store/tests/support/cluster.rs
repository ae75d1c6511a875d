//! A PostgreSQL cluster of a test's own: in a temporary directory, on a free loopback port.
//!
//! It needs Debian's `postgresql-15` and nothing running. It is no way to run a database that
//! anybody relies on: nothing is flushed to disk and everybody may log in. Other crates' tests
//! include this file by its path.

#![allow(dead_code, reason = "not every crate that includes it crashes its server")]

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

const BINARIES: &str = "/usr/lib/postgresql/15/bin";
/// How often, and with what pause, a condition is looked at before it is given up: 30 s.
const LOOKS: (usize, Duration) = (3_000, Duration::from_millis(10));

/// A cluster: stopped and removed when it is dropped.
pub struct Cluster {
    dir: PathBuf,
    port: u16,
    server: Mutex<Option<Server>>,
    databases: AtomicUsize,
    /// Last, so that it is removed after the server has stopped.
    _root: tempfile::TempDir,
}

struct Server {
    child: Child,
    /// Lets go of the thread that started the server.
    _keeper: mpsc::Sender<()>,
}

impl Cluster {
    /// Makes and starts one.
    ///
    /// # Panics
    /// When PostgreSQL is not installed, or does not start.
    pub fn start() -> Cluster {
        assert!(
            Path::new(BINARIES).join("initdb").exists(),
            "{BINARIES}/initdb is missing: run `apt-get install postgresql-15`"
        );
        let root = tempfile::tempdir().expect("a temporary directory");
        if let Some(user) = runs_as() {
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            chown(root.path(), Some(uid), Some(gid)).expect("the directory is ours");
        }
        let dir = root.path().join("data");
        run(command("initdb").arg("-D").arg(&dir).args([
            "--no-sync",
            "--auth=trust",
            "--username=atoll",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]));
        let (port, server) = (0..5)
            .find_map(|_| {
                let port = free_port();
                Some((port, launch(&dir, port)?))
            })
            .unwrap_or_else(|| panic!("the server does not start:\n{}", log(&dir)));
        let (server, databases) = (Mutex::new(Some(server)), AtomicUsize::new(0));
        Cluster { dir, port, server, databases, _root: root }
    }

    /// One for all tests that run at the same time; the last of them stops it.
    pub fn shared() -> Arc<Cluster> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let cluster = Arc::new(Cluster::start());
        *shared = Arc::downgrade(&cluster);
        cluster
    }

    /// Makes an empty database and returns its address. It sorts text as people do, not as
    /// bytes, so that a store that relies on the cluster's order is found out.
    pub fn create_database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        run(command("createdb").args([
            "--host=127.0.0.1",
            "--port",
            &port,
            "--username=atoll",
            "--template=template0",
            "--locale-provider=icu",
            "--icu-locale=en",
            &name,
        ]));
        format!("postgres://atoll@127.0.0.1:{port}/{name}")
    }

    /// Stops the server as a crash does: at once, every connection cut.
    pub fn crash(&self) {
        self.stop(Signal::SIGQUIT);
    }

    /// Starts the server again, on the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub fn resume(&self) {
        let server = launch(&self.dir, self.port);
        assert!(server.is_some(), "the server does not start again:\n{}", log(&self.dir));
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    fn stop(&self, signal: Signal) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut server) = server else { return };
        let pid = Pid::from_raw(server.child.id().cast_signed());
        kill(pid, signal).expect("the server is our child");
        if !look(|| matches!(server.child.try_wait(), Ok(Some(_)))) {
            server.child.kill().expect("the server is our child");
            server.child.wait().expect("the server is our child");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop(Signal::SIGINT);
    }
}

/// PostgreSQL refuses to run as root.
fn runs_as() -> Option<User> {
    if !geteuid().is_root() {
        return None;
    }
    let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
    Some(user.expect("root needs a user `postgres` or `nobody` to run PostgreSQL as"))
}

fn command(program: &str) -> Command {
    let mut command = Command::new(Path::new(BINARIES).join(program));
    if let Some(user) = runs_as() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command.current_dir("/");
    command
}

fn run(command: &mut Command) {
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Starts the server and waits until it serves; nothing if it stops instead.
fn launch(dir: &Path, port: u16) -> Option<Server> {
    let log = File::options().create(true).append(true).open(dir.with_extension("log"));
    let mut command = command("postgres");
    command.arg("-D").arg(dir).arg("-p").arg(port.to_string());
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "max_connections=100",
        "shared_buffers=64MB",
    ] {
        command.arg("-c").arg(setting);
    }
    command.stderr(log.expect("the directory is ours"));
    // SAFETY: it is one system call, and touches nothing of the parent's.
    unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGINT).map_err(io::Error::from)) };
    let mut server = keep(command);
    let ready = || {
        let lines = std::fs::read_to_string(dir.join("postmaster.pid")).unwrap_or_default();
        lines.lines().nth(7).is_some_and(|state| state.trim() == "ready")
    };
    let mut stopped = false;
    look(|| {
        stopped = !matches!(server.child.try_wait(), Ok(None));
        stopped || ready()
    });
    if !stopped && ready() {
        return Some(server);
    }
    // It may be gone already, and then there is nothing to stop.
    let _ = server.child.kill();
    let _ = server.child.wait();
    None
}

/// Starts it from a thread that lasts as long as the server is wanted: the server is told to stop
/// when its starting thread ends, and a test's own thread ends with the test.
fn keep(mut command: Command) -> Server {
    let (keeper, wanted) = mpsc::channel::<()>();
    let (started, child) = mpsc::channel();
    thread::spawn(move || {
        started.send(command.spawn()).expect("it is waited for");
        // Nothing is ever sent: this ends when the sender is dropped.
        let _ = wanted.recv();
    });
    let child = child.recv().expect("the thread sends before it ends").expect("postgres starts");
    Server { child, _keeper: keeper }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
fn look(mut condition: impl FnMut() -> bool) -> bool {
    (0..LOOKS.0).any(|_| {
        let met = condition();
        if !met {
            thread::sleep(LOOKS.1);
        }
        met
    })
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.with_extension("log")).unwrap_or_default()
}
