//! A container engine of the tests' own: Debian's `dockerd` on a socket in a temporary directory,
//! with a registry beside it. Tests that run at the same time share it; the last one stops it and
//! takes away its mounts and networks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::site::{alive, eventually};

const DOCKERD: &str = "/usr/sbin/dockerd";
const DOCKER: &str = "/usr/bin/docker";
const REGISTRY: &str = "/usr/bin/docker-registry";
const BUSYBOX: &str = "/bin/busybox";

static SHARED: Mutex<Weak<Dock>> = Mutex::new(Weak::new());

/// An engine, and a registry.
pub struct Dock {
    dir: tempfile::TempDir,
    daemon: Mutex<Option<Child>>,
    registry: Registry,
}

/// A registry of images on a free port.
pub struct Registry {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Dock {
    /// The engine all tests of this program share.
    pub fn shared() -> Arc<Dock> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let dock = Arc::new(Dock::start());
            *shared = Arc::downgrade(&dock);
            dock
        })
    }

    /// One of its own, for a test that stops it.
    pub fn start() -> Dock {
        for path in [DOCKERD, DOCKER, REGISTRY, BUSYBOX] {
            assert!(Path::new(path).exists(), "{path} is missing: make packages");
        }
        assert!(nix::unistd::geteuid().is_root(), "dockerd needs root: run the tests as root");
        let dir = tempfile::Builder::new().prefix("dk").tempdir().expect("a directory");
        let registry = Registry::start(dir.path(), "");
        let dock = Dock { dir, daemon: Mutex::new(None), registry };
        dock.start_daemon();
        dock
    }

    /// Where the engine listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// Starts `dockerd`, again on what it had before.
    pub fn start_daemon(&self) {
        let path = |name: &str| self.dir.path().join(name);
        let log = std::fs::File::options().create(true).append(true).open(path("dockerd.log"));
        let log = log.expect("a log file");
        let child = Command::new(DOCKERD)
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("run"))
            .arg("--pidfile")
            .arg(path("dockerd.pid"))
            .arg(format!("--host=unix://{}", self.socket().display()))
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .args(["--storage-driver=overlay2", "--shutdown-timeout=5"])
            .args(["--default-address-pool", "base=10.231.0.0/16,size=24"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dockerd starts");
        *self.daemon() = Some(child);
        eventually(&format!("dockerd answers; see {}", path("dockerd.log").display()), || {
            let ended = self.daemon().as_mut().and_then(|c| c.try_wait().ok().flatten());
            if let Some(status) = ended {
                let said = std::fs::read_to_string(path("dockerd.log")).unwrap_or_default();
                let said: Vec<&str> = said.lines().rev().take(5).collect();
                panic!("dockerd does not run on this machine: {status}: {}", said.join("\n"));
            }
            self.answers().then_some(())
        });
    }

    /// Ends `dockerd`, as a shutdown of its service does, or with -9.
    pub fn stop_daemon(&self, signal: Signal) {
        let Some(mut child) = self.daemon().take() else { return };
        // One that has ended by itself cannot be signalled any more.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
        child.wait().expect("dockerd ends");
        if signal == Signal::SIGKILL {
            // What it had started for itself would stand in the way of the next one.
            let file = self.dir.path().join("run/containerd/containerd.pid");
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Ok(pid) = text.trim().parse::<i32>() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                eventually("its containerd ends", || (!alive(i64::from(pid))).then_some(()));
                let _ = std::fs::remove_file(file);
            }
        }
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = UnixStream::connect(self.socket()) else { return false };
        let mut answer = String::new();
        let asked = stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n");
        asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains("200")
    }

    fn daemon(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `docker login` has written down.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config/config.json")
    }

    /// What Docker's own command line says.
    pub fn docker(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("docker runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {args:?}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(DOCKER);
        command.env("DOCKER_HOST", format!("unix://{}", self.socket().display()));
        command.env("DOCKER_CONFIG", self.dir.path().join("config")).args(args);
        command
    }

    /// Makes an image of BusyBox whose web server says `greeting`, and calls it so on this host.
    pub fn image(&self, name: &str, greeting: &str) {
        let root = tempfile::tempdir().expect("a directory");
        let path = |part: &str| root.path().join(part);
        for part in ["bin", "www", "tmp", "etc"] {
            std::fs::create_dir(path(part)).expect("a directory");
        }
        std::fs::copy(BUSYBOX, path("bin/busybox")).expect("busybox-static is installed");
        for program in ["sh", "httpd", "sleep", "cat", "echo", "kill", "wget", "id", "touch"] {
            std::os::unix::fs::symlink("busybox", path("bin").join(program)).expect("a link");
        }
        std::fs::write(path("www/index.html"), greeting).expect("a file");
        std::fs::write(path("www/healthz"), "fine").expect("a file");
        let serve = "echo says $GREETING; exec httpd -f -p ${LISTEN:-$PORT_HTTP} -h /www";
        let tar = path("image.tar");
        let mut pack = Command::new("tar");
        pack.args(["-cf", "image.tar", "bin", "www", "tmp", "etc"]).current_dir(root.path());
        assert!(pack.status().expect("tar runs").success(), "the image is not packed");
        let change = format!("CMD [\"/bin/sh\", \"-c\", {serve:?}]");
        let said = format!("ENV GREETING={greeting}");
        let tar = tar.to_string_lossy();
        self.docker(&["import", "--change", &change, "--change", &said, &tar, name]);
    }

    /// Makes such an image, and has it in the registry only. Gives its name there.
    pub fn pushed(&self, name: &str, greeting: &str) -> String {
        let full = format!("{}/{name}", self.registry.name());
        self.image(&full, greeting);
        self.docker(&["push", "-q", &full]);
        self.docker(&["rmi", &full]);
        full
    }

    /// Where the registry listens.
    pub fn registry(&self) -> String {
        self.registry.name()
    }

    /// A further registry, for a test that kills it.
    pub fn further(&self) -> Registry {
        let dir = self.dir.path().join("further");
        std::fs::create_dir_all(&dir).expect("a directory");
        Registry::start(&dir, "")
    }

    /// A further registry that wants the user `me` with the password `secret`.
    pub fn guarded(&self) -> Registry {
        let dir = self.dir.path().join("guarded");
        std::fs::create_dir_all(&dir).expect("a directory");
        let users = dir.join("users");
        let hash = "$2y$04$8QO2yC/XH/lncF.tDO6dW.IaOEhEzxn773QDcmaxhl6dLWqgI7FsW";
        std::fs::write(&users, format!("me:{hash}\n")).expect("a file");
        let auth = format!("auth: {{ htpasswd: {{ realm: r, path: {} }} }}\n", users.display());
        Registry::start(&dir, &auth)
    }
}

impl Registry {
    fn start(dir: &Path, more: &str) -> Registry {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let port = port.expect("a free port").port();
        let config = dir.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{ level: error }}\nhttp: {{ addr: \"127.0.0.1:{port}\" }}\n\
             storage: {{ filesystem: {{ rootdirectory: {} }} }}\n{more}",
            dir.join("images").display()
        );
        std::fs::write(&config, text).expect("a file");
        let registry = Registry { child: serve(dir), port, dir: dir.to_owned() };
        registry.wait();
        registry
    }

    fn wait(&self) {
        eventually("the registry answers", || TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    /// Whether somebody is sending it a layer just now.
    pub fn is_sent_to(&self, repository: &str) -> bool {
        let uploads = format!("images/docker/registry/v2/repositories/{repository}/_uploads");
        std::fs::read_dir(self.dir.join(uploads)).is_ok_and(|mut all| all.next().is_some())
    }

    /// Kills it with -9.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Starts it again on the port it had.
    pub fn start_again(&mut self) {
        self.child = serve(&self.dir);
        self.wait();
    }

    /// How references to its images begin.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn serve(dir: &Path) -> Child {
    Command::new(REGISTRY)
        .arg("serve")
        .arg(dir.join("registry.yml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("docker-registry starts")
}

impl Drop for Registry {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Dock {
    fn drop(&mut self) {
        if self.daemon().is_none() && !std::thread::panicking() {
            self.start_daemon();
        }
        let list = |args: &[&str]| -> Vec<String> {
            let output = self.command(args).output();
            let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
            text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        for id in list(&["ps", "-aq"]) {
            let _ = self.command(&["rm", "-f", &id]).output();
        }
        for id in list(&["network", "ls", "-q", "--filter", "driver=bridge"]) {
            let _ = self.command(&["network", "rm", &id]).output();
        }
        if self.daemon().is_some() {
            self.stop_daemon(Signal::SIGTERM);
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let ours = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let ours: Vec<&str> =
            ours.filter(|path| Path::new(path).starts_with(self.dir.path())).collect();
        for path in ours.into_iter().rev() {
            // The directory goes next; what is still mounted there would keep it.
            let _ = umount2(path, MntFlags::MNT_DETACH);
        }
    }
}
