//! Real processes of the real binary, each with a directory of its own, on free ports of loopback;
//! stopped by process id at the end, with every instance they left running.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The program under test.
pub const ATOLL: &str = env!("CARGO_BIN_EXE_atoll");
/// What a test waits for at most.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A place with a server, and a command line that talks to it.
pub struct Site {
    pub dir: tempfile::TempDir,
    up: Option<Child>,
    agents: Vec<Child>,
    pub url: String,
    pub token: String,
    /// What its processes find in their environment besides.
    pub env: Vec<(String, String)>,
    port: u16,
}

/// What a command printed, and how it ended.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// What it printed, if it ended with 0.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "out: {}\nerr: {}", self.out, self.err);
        self.out
    }
}

/// Waits until something is so, looking again every few milliseconds.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < until, "not within {PATIENCE:?}: {what}");
        pause(Duration::from_millis(50));
    }
}

#[allow(clippy::disallowed_methods, reason = "a bound on waiting for real processes")]
pub fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "between two looks at real processes")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

impl Site {
    /// `atoll up` on a free port.
    pub fn up() -> Site {
        let mut site = Site::empty();
        site.start_up();
        site
    }

    /// A directory, and no process yet.
    pub fn empty() -> Site {
        let dir = tempfile::Builder::new().prefix("at").tempdir().expect("a directory");
        Site {
            dir,
            up: None,
            agents: Vec::new(),
            url: String::new(),
            token: String::new(),
            env: Vec::new(),
            port: 0,
        }
    }

    /// Starts `atoll up`, again on the port it had before.
    pub fn start_up(&mut self) {
        let mut child = self
            .command()
            .args(["up", "--name", "local", "--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--data")
            .arg(self.dir.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(self.log("up.log"))
            .spawn()
            .expect("it starts");
        let url = first_line_with(&mut child, "console");
        self.port = url.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        self.url = url;
        self.up = Some(child);
        let token = self.dir.path().join("data/admin.token");
        self.token = std::fs::read_to_string(token).expect("a token").trim().to_owned();
    }

    /// Starts `atoll server` without an agent; `more` are further flags.
    pub fn server(&mut self, name: &str, more: &[&str]) -> Child {
        let token = self.dir.path().join("admin");
        let mut child = self
            .command()
            .arg("server")
            .args(more)
            .arg("--admin-token-file")
            .arg(&token)
            .stdout(Stdio::piped())
            .stderr(self.log(name))
            .spawn()
            .expect("it starts");
        let url = first_line_with(&mut child, "serving on");
        if self.url.is_empty() {
            self.url = url;
        }
        self.token = std::fs::read_to_string(token).unwrap_or_default().trim().to_owned();
        child
    }

    /// Starts an agent as a host of its own.
    pub fn agent(&mut self, name: &str, labels: &str, servers: &str) -> u32 {
        let token = self.json(&["token", "create", "--role", "join", "-o", "json"]);
        let token = token["token"].as_str().expect("a token").to_owned();
        self.agent_with(name, labels, servers, &token)
    }

    /// Starts an agent with a token it has; joined agents need none.
    pub fn agent_with(&mut self, name: &str, labels: &str, servers: &str, token: &str) -> u32 {
        let mut command = self.command();
        command.args(["agent", "--server", servers, "--name", name, "--labels", labels]);
        command.arg("--data").arg(self.dir.path().join(name));
        if !token.is_empty() {
            command.args(["--token", token]);
        }
        let child = command
            .stdout(Stdio::null())
            .stderr(self.log(&format!("{name}.log")))
            .spawn()
            .expect("it starts");
        let pid = child.id();
        self.agents.push(child);
        pid
    }

    fn log(&self, name: &str) -> std::fs::File {
        let path = self.dir.path().join(name);
        std::fs::File::options().create(true).append(true).open(path).expect("a log file")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(ATOLL);
        command
            .env("XDG_CONFIG_HOME", self.dir.path().join("config"))
            .env("HOME", self.dir.path())
            .env_remove("ATOLL_SERVER")
            .env_remove("ATOLL_TOKEN")
            .env("NO_COLOR", "1")
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null());
        command
    }

    /// Kills `atoll up` with -9.
    pub fn kill_up(&mut self) {
        let mut child = self.up.take().expect("it is up");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Kills an agent with -9.
    pub fn kill_agent(&mut self, pid: u32) {
        let at = self.agents.iter().position(|a| a.id() == pid).expect("such an agent");
        let mut child = self.agents.swap_remove(at);
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Runs the command line.
    pub fn atoll(&self, args: &[&str]) -> Said {
        let mut command = self.command();
        if !self.url.is_empty() && !self.token.is_empty() {
            command.env("ATOLL_SERVER", &self.url).env("ATOLL_TOKEN", &self.token);
        }
        said(command.args(args).output().expect("it runs"))
    }

    /// Starts the command line and lets it run.
    pub fn begin(&self, args: &[&str]) -> Child {
        let mut command = self.command();
        command.env("ATOLL_SERVER", &self.url).env("ATOLL_TOKEN", &self.token).args(args);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
    }

    /// Runs the command line with something to read and more in its environment; where that names
    /// another home, what stands there says whom to talk to.
    pub fn with_input(&self, args: &[&str], input: &str, env: &[(&str, &str)]) -> Said {
        use std::io::Write as _;
        let mut command = self.command();
        if env.is_empty() {
            command.env("ATOLL_SERVER", &self.url).env("ATOLL_TOKEN", &self.token);
        }
        command.envs(env.iter().copied()).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.args(args).spawn().expect("it runs");
        let mut stdin = child.stdin.take().expect("it is piped");
        // It need not read all of it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        said(child.wait_with_output().expect("it ends"))
    }

    /// Runs the command line against other servers.
    pub fn atoll_at(&self, servers: &str, args: &[&str]) -> Said {
        let mut command = self.command();
        command.env("ATOLL_SERVER", servers).env("ATOLL_TOKEN", &self.token);
        said(command.args(args).output().expect("it runs"))
    }

    /// What the command line prints as JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.atoll(args).ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e} in {text}"))
    }

    /// The value at a pointer of an object; null if the object is not there.
    pub fn field(&self, id: &str, pointer: &str) -> Value {
        let said = self.atoll(&["get", id, "-o", "json"]);
        let value: Value = serde_json::from_str(&said.out).unwrap_or(Value::Null);
        value.pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    /// The instances of a deployment.
    pub fn instances(&self, deployment: &str) -> Vec<Value> {
        let list = self.json(&["get", "instances", "-o", "json"]);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().filter(|i| i["spec"]["deployment"] == deployment).collect()
    }

    /// Name and process of each ready instance of a deployment.
    pub fn ready(&self, deployment: &str) -> Vec<(String, i64)> {
        let ready = self.instances(deployment).into_iter();
        ready
            .filter(|i| i["status"]["phase"] == "ready")
            .map(|i| {
                let name = i["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                (name, i["status"]["pid"].as_i64().unwrap_or_default())
            })
            .collect()
    }

    /// Waits until so many instances are ready.
    pub fn wait_ready(&self, deployment: &str, count: usize) -> Vec<(String, i64)> {
        eventually(&format!("{count} ready of {deployment}"), || {
            Some(self.ready(deployment)).filter(|r| r.len() == count)
        })
    }

    /// Writes a file below the site's directory.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        std::fs::write(&path, text).expect("a file");
        path.to_string_lossy().into_owned()
    }

    /// A path below the site's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["up.log", "a.log", "b.log"] {
                if let Ok(text) = std::fs::read_to_string(self.path(name)) {
                    let tail: Vec<&str> = text.lines().rev().take(30).collect();
                    eprintln!("--- {name}, newest first\n{}", tail.join("\n"));
                }
            }
        }
        for child in self.up.iter_mut().chain(self.agents.iter_mut()) {
            // One that has ended by itself cannot be killed any more.
            let _ = child.kill();
            let _ = child.wait();
        }
        kill_below(self.dir.path());
    }
}

/// Kills every process that works below a directory: shims first, so that nothing comes back.
fn kill_below(dir: &Path) {
    let marker = dir.to_string_lossy().into_owned();
    for pass in 0..3 {
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).into_owned();
            let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let is_shim = command.contains("shim") && command.contains(&marker);
            let works_there = cwd.starts_with(dir) || command.contains(&marker);
            if is_shim || (pass > 0 && works_there && pid != std::process::id().cast_signed()) {
                // It may have ended meanwhile.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

fn first_line_with(child: &mut Child, word: &str) -> String {
    let out = child.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(out).lines();
    let line = loop {
        let line = lines.next().expect("it says where it serves").expect("text");
        if line.contains(word) {
            break line;
        }
    };
    // The rest must be read, or the process would block on a full pipe one day.
    std::thread::spawn(move || lines.for_each(drop));
    line.split_whitespace().last().expect("an address").to_owned()
}

fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Whether a process is there and is no zombie.
pub fn alive(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.starts_with(" Z"))
}

/// Sends SIGKILL.
pub fn kill_hard(pid: i64) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid is small"));
    kill(pid, Signal::SIGKILL).expect("the process is there");
}

/// The manifest of an application of so many instances whose `env` and `rollout` are given.
pub fn sample(name: &str, min: u32, env: &str, rollout: &str) -> String {
    format!(
        "apiVersion: atoll/v1
kind: Environment
metadata: {{ name: prod }}
spec: {{}}
---
apiVersion: atoll/v1
kind: Application
metadata: {{ name: {name} }}
spec:
  environments: [prod]
  run:
    command: [\"{ATOLL}\", sample, --listen, \"127.0.0.1:{{{{ports.http}}}}\"]
    env: {{ {env} }}
    ports: {{ http: 0 }}
    resources: {{ cpu: 10m, memory: 64Mi }}
    health: {{ http: /healthz, port: http, every: 200ms, startTimeout: 3s }}
    stop: {{ grace: 2s }}
  scaling: {{ min: {min}, max: 20 }}
  rollout: {{ {rollout} }}
"
    )
}
