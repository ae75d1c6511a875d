//! The shim: a small program without threads that is the parent of one application. It outlives
//! the agent, starts the application again when it dies, keeps its log, and says how it is. It
//! knows nothing of releases, health or servers, and does only what its orders say.

mod app;
mod control;
pub mod log;
mod mask;
mod once;
pub mod tap;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, chown};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, chdir, dup2_stdin, dup2_stdout, fork, mkfifo, setsid};

use crate::clock;
use crate::disk;
use crate::runtime::cgroup::Denied;
use crate::runtime::orders::{Orders, Phase, Request, State};
use crate::runtime::place::Place;
use crate::runtime::process::{self, Process};
use app::App;
use control::Control;
use log::Log;
use tap::Tap;

/// What a stopping shim waits at most between two looks at what is left.
const TICK: Duration = Duration::from_millis(10);
/// The longest it waits for what was killed to be gone; longer only where the kernel hangs.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// Reads of the pipe in a row, so that an application that floods its log can still be stopped.
const READS: usize = 64;

/// Runs the shim of the instance in `dir`. The call returns at once with success, while a child
/// goes on by itself; another code means that nothing was started. It must be called before the
/// process has started any thread.
pub fn shim_main(dir: &Path) -> ExitCode {
    match begin(dir) {
        Ok(Some(shim)) => shim.run(),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot begin in {}: {error}", dir.display());
            ExitCode::FAILURE
        }
    }
}

struct Shim {
    place: Place,
    orders: Orders,
    state: State,
    log: Log,
    control: Control,
    signals: SignalFd,
    pipe: File,
    app: Option<App>,
    aim: Aim,
    /// When the application is started again.
    start_at: Option<Instant>,
    /// When patience with a stop ends.
    kill_at: Option<Instant>,
    /// What the cgroup had denied before the start.
    denied_before: Denied,
    /// Values of secrets, by the names of environment variables.
    secrets: BTreeMap<String, String>,
    /// What stands before the log of work that is done once.
    tap: Option<Tap>,
    /// When the time of such work is over.
    late_at: Option<Instant>,
    /// Held for as long as this lives: **Invariant:** an instance has one shim.
    _lock: Flock<File>,
}

/// What the application's next end is followed by.
#[derive(Clone, Debug, PartialEq)]
enum Aim {
    Run,
    Restart { why: String },
    Stop,
}

fn begin(dir: &Path) -> io::Result<Option<Shim>> {
    let place = Place::at(dir);
    let orders: Orders = disk::read(&place.orders())
        .ok_or_else(|| io::Error::other("there are no orders that can be read"))?;
    let lock = File::options().create(true).append(true).mode(0o600).open(place.lock())?;
    let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, error)| io::Error::other(format!("another shim lives here: {error}")))?;
    let secrets = once::secrets(&orders)?;
    let pipe = open_pipe(&place, &orders)?;
    let control = Control::listen(&place)?;
    // SAFETY: this process has no other thread that could hold a lock.
    if let ForkResult::Parent { .. } = unsafe { fork() }? {
        return Ok(None);
    }
    setsid()?;
    prctl::set_child_subreaper(true)?;
    prctl::set_name(c"atoll-shim")?;
    chdir("/")?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    let mut watched = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        watched.add(signal);
    }
    watched.thread_block()?;
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let own = Process::own().ok_or_else(|| io::Error::other("/proc is not mounted"))?;
    let state = first_state(&place, &orders, own);
    let log = Log::open(&place.log(), orders.log_size, orders.log_files);
    let tap = tap::before(&orders, &secrets, &place);
    Ok(Some(Shim {
        place,
        orders,
        state,
        log,
        control,
        signals,
        pipe,
        app: None,
        aim: Aim::Run,
        start_at: None,
        kill_at: None,
        denied_before: Denied::default(),
        secrets,
        tap,
        late_at: None,
        _lock: lock,
    }))
}

/// Opens the pipe for reading and for writing, as the application does too: so there is always
/// somebody at the other end, and neither the shim's death nor the agent's is a broken pipe.
fn open_pipe(place: &Place, orders: &Orders) -> io::Result<File> {
    let path = place.pipe();
    if !fs::symlink_metadata(&path).is_ok_and(|m| m.file_type().is_fifo()) {
        let _ = fs::remove_file(&path);
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        if let Some(user) = orders.launch.user {
            chown(&path, Some(user), Some(user))?;
        }
    }
    File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Takes over what the shim before knew of this release in this boot.
fn first_state(place: &Place, orders: &Orders, own: Process) -> State {
    let boot = process::boot_id();
    let before: Option<State> = disk::read(&place.state());
    let before = before.filter(|s| s.boot == boot && s.release == orders.release);
    match before.filter(|s| s.phase != Phase::Stopped) {
        Some(state) => State { shim: own, ..state },
        None => State::waiting(boot, own, orders.release.clone()),
    }
}

impl Shim {
    fn run(mut self) -> ExitCode {
        self.adopt_or_start();
        while self.state.phase != Phase::Stopped {
            self.wait();
            // Read before children are looked for: one that ends later is told of again.
            let asked = self.read_signals();
            self.drain(READS);
            self.reap();
            for request in self.control.turn(&self.state).into_iter().chain(asked) {
                self.answer(request);
            }
            self.on_time();
        }
        ExitCode::SUCCESS
    }

    /// Asked by the system to end, as at a shutdown, it lets the application end first.
    fn read_signals(&mut self) -> Option<Request> {
        let mut asked = None;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
            if number == Signal::SIGTERM as i32 || number == Signal::SIGINT as i32 {
                asked = Some(Request::Stop);
            }
        }
        asked
    }

    /// Waits until something happens, or the next thing is due.
    fn wait(&self) {
        let tick = (self.aim != Aim::Run && self.app.is_none()).then(|| clock::instant() + TICK);
        let due = [self.start_at, self.kill_at, self.late_at, tick].into_iter().flatten().min();
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            let left = due.saturating_duration_since(clock::instant()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let input = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = vec![input(self.signals.as_fd()), input(self.pipe.as_fd())];
        fds.extend(self.control.fds().map(input));
        fds.extend(self.app.iter().filter_map(App::wake).map(input));
        // An interrupted wait is only a shorter one.
        let _ = poll(&mut fds, timeout);
    }

    /// Moves what the application wrote into the log; whether there may be more.
    fn drain(&mut self, reads: usize) -> bool {
        let mut bytes = [0; 64 << 10];
        for _ in 0..reads {
            match self.pipe.read(&mut bytes) {
                Ok(count) if count > 0 => match &mut self.tap {
                    Some(tap) => self.log.write(&tap.take(&bytes[..count]), clock::now()),
                    None => self.log.write(&bytes[..count], clock::now()),
                },
                _ => return false,
            }
        }
        true
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Status => self.control.tell(&self.state),
            Request::Stop if self.aim != Aim::Stop => {
                self.aim = Aim::Stop;
                self.start_at = None;
                self.state.phase = Phase::Stopping;
                self.ask_to_stop();
                self.publish();
            }
            Request::Kill => {
                self.answer(Request::Stop);
                self.kill_at = Some(clock::instant());
            }
            Request::Restart { why } if self.aim == Aim::Run && self.app.is_some() => {
                self.aim = Aim::Restart { why };
                self.ask_to_stop();
            }
            Request::Stop | Request::Restart { .. } => {}
        }
    }

    fn on_time(&mut self) {
        let now = clock::instant();
        if self.start_at.is_some_and(|at| at <= now) {
            self.start_at = None;
            self.start();
        }
        if self.late_at.is_some_and(|at| at <= now) {
            self.late_at = None;
            self.state.late = self.aim == Aim::Run;
            self.answer(Request::Stop);
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.kill_everything();
        }
        // What it left behind has the same grace as itself.
        if self.aim == Aim::Stop && self.app.is_none() {
            let patience = self.kill_at.is_some();
            if !patience || self.members().is_empty() {
                self.kill_everything();
                self.drain(READS);
                self.finish_log();
                // Made again with every start.
                self.orders.group.remove();
                self.state.phase = Phase::Stopped;
                self.publish();
            }
        }
    }

    /// Says how things are: to the disk, for an agent that comes later, and to those connected.
    fn publish(&mut self) {
        if let Err(error) = disk::write(&self.place.state(), &self.state, false) {
            eprintln!("cannot write {}: {error}", self.place.state().display());
        }
        self.control.tell(&self.state);
    }
}
