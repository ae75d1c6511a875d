//! A stage for agents: a small server that speaks the agents' part of the protocol from memory,
//! and an agent that runs in this process on a directory of its own.

mod caches;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atoll_agent::{AgentError, Options, run};
use atoll_model::agent::{
    Ask, AssignedInstance, AssignedRelease, AssignedTask, Assignment, InstanceReport, Join, Report,
    Session, TaskReport,
};
use atoll_model::api::Digests;
use atoll_model::delivery::{PackageRef, Runtime};
use atoll_model::deployment::InstancePhase;
use atoll_model::run::Run;
use atoll_model::{Span, Timestamp};
use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Everything a test waits for happens within this time, or the test fails.
pub const BOUND: Duration = Duration::from_secs(20);

/// What the server knows.
pub struct Held {
    pub assignment: watch::Sender<Assignment>,
    pub reports: watch::Sender<Vec<Report>>,
    pub latest: Mutex<BTreeMap<String, InstanceReport>>,
    pub tasks: Mutex<BTreeMap<String, TaskReport>>,
    pub blobs: Mutex<BTreeMap<String, Bytes>>,
    pub fetched: Mutex<Vec<String>>,
    /// Digests by the keys of caches.
    pub caches: Mutex<BTreeMap<String, String>>,
    /// While it is away it answers nothing but errors.
    pub away: watch::Sender<bool>,
    /// Bodies of remote write, in the order they came.
    pub written: watch::Sender<Vec<Bytes>>,
    /// Refuses what is written next, with this status.
    pub refuse_writes: Mutex<Option<StatusCode>>,
    sessions: Mutex<BTreeMap<String, mpsc::Sender<WebSocket>>>,
}

type Running = JoinHandle<Result<(), AgentError>>;

pub struct Stage {
    pub held: Arc<Held>,
    pub dir: TempDir,
    server: String,
    engine: Option<PathBuf>,
    agent: Option<(oneshot::Sender<()>, Running)>,
}

impl Stage {
    /// A server, and an agent that has joined it.
    pub async fn new() -> Stage {
        Stage::with(None).await
    }

    /// The same, where a container engine listens on that socket.
    pub async fn with(engine: Option<PathBuf>) -> Stage {
        let held = Arc::new(Held {
            assignment: watch::channel(Assignment { revision: 1, ..Assignment::default() }).0,
            reports: watch::channel(Vec::new()).0,
            latest: Mutex::default(),
            tasks: Mutex::default(),
            blobs: Mutex::default(),
            fetched: Mutex::default(),
            caches: Mutex::default(),
            away: watch::channel(false).0,
            written: watch::channel(Vec::new()).0,
            refuse_writes: Mutex::default(),
            sessions: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/agents/join", post(join))
            .route("/v1/agents/h1/assignment", get(assignment))
            .route("/v1/agents/h1/report", post(report))
            .route("/v1/agents/h1/sessions/{id}", get(session))
            .route("/v1/blobs/{digest}", get(blob).put(put_blob))
            .route("/v1/blobs/missing", post(missing))
            .route("/v1/caches/shop/{key}", get(caches::find).put(caches::keep))
            .route("/api/v1/write", post(write))
            .with_state(Arc::clone(&held));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let dir = TempDir::new().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut stage = Stage { held, dir, server, engine, agent: None };
        stage.start_agent();
        stage
    }

    pub fn options(&self) -> Options {
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("examples/shim");
        assert!(program.exists(), "{} is built by cargo test -p atoll-agent", program.display());
        Options {
            servers: vec![self.server.clone()],
            token: Some("join-token".to_owned()),
            name: "h1".to_owned(),
            labels: BTreeMap::from([("zone".to_owned(), "z1".to_owned())]),
            data: self.dir.path().join("agent"),
            address: None,
            ca_pem: None,
            program,
            cache_bytes: Options::CACHE_BYTES,
            engine: self.engine.clone(),
            collect_every: std::time::Duration::from_secs(1),
            bare_tasks: false,
            task_paths: Vec::new(),
        }
    }

    pub fn start_agent(&mut self) {
        let (sender, receiver) = oneshot::channel();
        let shutdown = async move { drop(receiver.await) };
        self.agent = Some((sender, tokio::spawn(run(self.options(), shutdown))));
    }

    pub async fn stop_agent(&mut self) {
        let (sender, task) = self.agent.take().unwrap();
        sender.send(()).unwrap();
        task.await.unwrap().unwrap();
    }

    /// Assigns these instances, each with its release, and nothing else.
    pub fn assign(&self, instances: &[(AssignedInstance, AssignedRelease)]) {
        self.held.assignment.send_modify(|assignment| {
            assignment.revision += 1;
            assignment.instances = instances.iter().map(|(i, _)| i.clone()).collect();
            let release =
                |(i, r): &(AssignedInstance, AssignedRelease)| (i.release.clone(), r.clone());
            assignment.releases.extend(instances.iter().map(release));
        });
    }

    /// Waits until the latest report of an instance is as wanted.
    pub async fn wait(
        &self,
        name: &str,
        wanted: impl Fn(&InstanceReport) -> bool,
    ) -> InstanceReport {
        let mut reports = self.held.reports.subscribe();
        let seen = async {
            loop {
                let latest = self.held.latest.lock().unwrap().get(name).cloned();
                if let Some(report) = latest.filter(|r| wanted(r)) {
                    return report;
                }
                reports.changed().await.unwrap();
            }
        };
        let seen = tokio::time::timeout(BOUND, seen).await;
        seen.unwrap_or_else(|_| panic!("{:#?}", self.held.latest.lock().unwrap().get(name)))
    }

    /// Assigns these tasks and nothing else.
    pub fn assign_tasks(&self, tasks: &[AssignedTask]) {
        self.held.assignment.send_modify(|assignment| {
            assignment.revision += 1;
            assignment.tasks = tasks.to_vec();
        });
    }

    /// Waits until the latest report of a task is as wanted.
    pub async fn wait_task(&self, name: &str, wanted: impl Fn(&TaskReport) -> bool) -> TaskReport {
        let mut reports = self.held.reports.subscribe();
        let seen = async {
            loop {
                let latest = self.held.tasks.lock().unwrap().get(name).cloned();
                if let Some(report) = latest.filter(|r| wanted(r)) {
                    return report;
                }
                reports.changed().await.unwrap();
            }
        };
        let seen = tokio::time::timeout(BOUND, seen).await;
        seen.unwrap_or_else(|_| panic!("{:#?}", self.held.tasks.lock().unwrap().get(name)))
    }

    /// Waits until a task is over.
    pub async fn over(&self, name: &str) -> TaskReport {
        self.wait_task(name, |r| r.phase.is_over()).await
    }

    /// Where a task is done.
    pub fn task_place(&self, name: &str) -> PathBuf {
        self.dir.path().join("agent/tasks").join(name)
    }

    /// What the shim of a task says, as JSON.
    pub fn task_state(&self, name: &str) -> Value {
        let text = fs::read(self.task_place(name).join("state.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or(Value::Null)
    }

    /// The text of a blob that was handed in.
    pub fn blob(&self, digest: &str) -> String {
        let blobs = self.held.blobs.lock().unwrap();
        String::from_utf8_lossy(blobs.get(digest).expect("it was handed in")).into_owned()
    }

    pub async fn ready(&self, name: &str) -> InstanceReport {
        self.wait(name, |r| r.phase == InstancePhase::Ready).await
    }

    pub fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join("agent/instances").join(name)
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.place(name).join("log/current")).unwrap_or_default()
    }

    /// What the shim says, as JSON.
    pub fn state(&self, name: &str) -> Value {
        let text = fs::read(self.place(name).join("state.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or(Value::Null)
    }

    /// Opens a session and gives the server's end of it.
    pub async fn session(&self, id: &str, instance: &str, ask: Ask) -> WebSocket {
        let (sender, mut receiver) = mpsc::channel(1);
        self.held.sessions.lock().unwrap().insert(id.to_owned(), sender);
        let session = Session { id: id.to_owned(), instance: instance.to_owned(), ask };
        self.held.assignment.send_modify(|assignment| {
            assignment.revision += 1;
            assignment.sessions.push(session);
        });
        tokio::time::timeout(BOUND, receiver.recv()).await.unwrap().unwrap()
    }

    /// Has everything stopped and cleared away, and checks that it is.
    pub async fn end(mut self) {
        self.assign(&[]);
        self.assign_tasks(&[]);
        for what in ["instances", "tasks"] {
            let all = self.dir.path().join("agent").join(what);
            until("everything is gone", || fs::read_dir(&all).unwrap().count() == 0).await;
        }
        self.stop_agent().await;
    }
}

impl Drop for Stage {
    /// A test that failed leaves nothing running either.
    fn drop(&mut self) {
        if let Some((_, task)) = &self.agent {
            task.abort();
        }
        let all = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().map(|e| e.unwrap().path());
        let agent = self.dir.path().join("agent");
        let mut places: Vec<PathBuf> = all(agent.join("instances")).collect();
        for task in all(agent.join("tasks")) {
            places.extend(all(task.join("beside")));
            places.push(task);
        }
        for place in places {
            let Ok(text) = fs::read(place.join("state.json")) else { continue };
            let state: Value = serde_json::from_slice(&text).unwrap_or(Value::Null);
            for process in ["shim", "app"] {
                let (pid, start) = (&state[process]["pid"], &state[process]["start"]);
                if pid.is_number() && started(pid.as_i64().unwrap()) == start.as_u64() {
                    let _ = kill(Pid::from_raw(pid.as_i64().unwrap() as i32), Signal::SIGKILL);
                }
            }
        }
    }
}

/// When a process was started, if it still runs.
pub fn started(pid: i64) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &text[text.rfind(')')? + 2..];
    if rest.starts_with('Z') {
        return None;
    }
    rest.split(' ').nth(19)?.parse().ok()
}

/// Waits until something is so.
pub async fn until(what: &str, so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(BOUND, wait).await.is_ok(), "not in time: {what}");
}

/// An instance of that name that runs as this section of a manifest says.
pub fn instance(name: &str, release: &str, run: Value) -> (AssignedInstance, AssignedRelease) {
    let run: Run = serde_json::from_value(run).unwrap();
    let ports = run.ports.keys().cloned().map(|name| (name, free_port())).collect();
    let instance = AssignedInstance {
        name: name.to_owned(),
        generation: 1,
        created_at: Timestamp(1),
        deployment: "web.prod".to_owned(),
        application: "web".to_owned(),
        environment: "prod".to_owned(),
        ordinal: 0,
        release: release.to_owned(),
        prefetch: None,
        ports,
        resources: run.resources,
        runtime: Runtime::Process,
        purge: false,
        stop: false,
        config: BTreeMap::new(),
    };
    (
        instance,
        AssignedRelease { run, config: BTreeMap::new(), package: None, image: None, pinned: None },
    )
}

/// A task of that name that does this work.
pub fn task(name: &str, work: Value) -> AssignedTask {
    let text = json!({ "name": name, "generation": 1, "createdAt": Timestamp(1), "work": work,
        "cancel": false });
    serde_json::from_value(text).unwrap()
}

/// A task that runs a script.
pub fn step(name: &str, text: &str) -> AssignedTask {
    task(name, json!({ "command": ["/bin/sh", "-e", "-c", text] }))
}

/// One that runs a script.
pub fn script(name: &str, release: &str, text: &str) -> (AssignedInstance, AssignedRelease) {
    instance(name, release, json!({ "command": ["sh", "-c", text] }))
}

/// A server that answers every path with 200.
pub fn web(name: &str, release: &str) -> (AssignedInstance, AssignedRelease) {
    let run = json!({
        "command": ["python3", "-u", "-m", "http.server", "{{ports.http}}"],
        "ports": { "http": 0 },
        "health": { "http": "/", "every": "1s", "startTimeout": "15s" },
    });
    instance(name, release, run)
}

/// A port nobody listens on, below those the kernel gives away by itself.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 21_000 + (std::process::id() % 80) as u16 * 100;
    (0..)
        .map(|_| start + NEXT.fetch_add(1, Ordering::SeqCst) % 100)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

impl Held {
    /// Stores a package of these files, all executable.
    pub fn package(&self, files: &[(&str, &str)]) -> PackageRef {
        let mut blobs = self.blobs.lock().unwrap();
        let mut add = |bytes: Vec<u8>| {
            let digest = blake3::hash(&bytes).to_hex().to_string();
            blobs.insert(digest.clone(), bytes.into());
            digest
        };
        let mut entries = Vec::new();
        for (path, text) in files {
            let digest = add(text.as_bytes().to_vec());
            entries.push(json!({
                "path": path, "type": "file", "executable": true, "size": text.len(),
                "chunks": [{ "digest": digest, "size": text.len() }],
            }));
        }
        let digest = add(serde_json::to_vec(&json!({ "entries": entries })).unwrap());
        PackageRef { name: "web".to_owned(), version: "1".to_owned(), digest }
    }
}

type Shared = State<Arc<Held>>;

async fn join(axum::Json(join): axum::Json<Join>) -> Response {
    assert_eq!(join.name, "h1");
    axum::Json(json!({ "host": "h1", "token": "host-token", "servers": [] })).into_response()
}

async fn assignment(
    State(held): Shared,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let after: u64 = query["after"].parse().unwrap();
    let wait: Span = query["wait"].parse().unwrap();
    let mut changes = held.assignment.subscribe();
    let mut away = held.away.subscribe();
    if *away.borrow_and_update() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let fresh = changes.wait_for(|a| a.revision != after);
    tokio::select! {
        fresh = tokio::time::timeout(wait.std(), fresh) => match fresh {
            Ok(Ok(assignment)) => axum::Json(assignment.clone()).into_response(),
            _ => StatusCode::NO_CONTENT.into_response(),
        },
        _ = away.wait_for(|away| *away) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn report(State(held): Shared, axum::Json(report): axum::Json<Report>) -> StatusCode {
    if *held.away.borrow() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let mut latest = held.latest.lock().unwrap();
    let mut tasks = held.tasks.lock().unwrap();
    if report.full {
        latest.clear();
        tasks.clear();
    }
    for task in &report.tasks {
        tasks.insert(task.name.clone(), task.clone());
    }
    drop(tasks);
    for instance in &report.instances {
        latest.insert(instance.name.clone(), instance.clone());
    }
    drop(latest);
    held.reports.send_modify(|reports| reports.push(report));
    StatusCode::NO_CONTENT
}

async fn write(State(held): Shared, headers: HeaderMap, body: Bytes) -> StatusCode {
    if *held.away.borrow() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    assert_eq!(headers["authorization"], "Bearer host-token");
    assert_eq!(headers["content-encoding"], "snappy");
    if let Some(status) = held.refuse_writes.lock().unwrap().take() {
        return status;
    }
    held.written.send_modify(|written| written.push(body));
    StatusCode::NO_CONTENT
}

async fn blob(State(held): Shared, Path(digest): Path<String>) -> Response {
    held.fetched.lock().unwrap().push(digest.clone());
    match held.blobs.lock().unwrap().get(&digest) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn put_blob(State(held): Shared, Path(digest): Path<String>, body: Bytes) -> StatusCode {
    if *held.away.borrow() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    assert_eq!(blake3::hash(&body).to_hex().as_str(), digest);
    held.blobs.lock().unwrap().insert(digest, body);
    StatusCode::NO_CONTENT
}

async fn missing(State(held): Shared, axum::Json(mut ask): axum::Json<Digests>) -> Response {
    if *held.away.borrow() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let blobs = held.blobs.lock().unwrap();
    ask.digests.retain(|digest| !blobs.contains_key(digest));
    axum::Json(ask).into_response()
}

async fn session(
    State(held): Shared,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let sender = held.sessions.lock().unwrap().remove(&id);
    match sender {
        Some(sender) => upgrade.on_upgrade(|socket| async move { drop(sender.send(socket).await) }),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
