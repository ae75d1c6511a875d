//! The loop of an agent: who am I, what is here, what should be, and what has become of it. It
//! runs until it is told to end, and leaves everything running then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use atoll_client::{Backoff, ClientError};
use atoll_model::Span;
use atoll_model::agent::{AssignedInstance, Assignment, InstanceReport};
use atoll_model::cmdb::{DEFAULT_ZONE, ZONE_LABEL};
use atoll_model::deployment::InstancePhase;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ahead::Ahead;
use crate::collect::Collector;
use crate::configs::{Configs, deliver, serve};
use crate::engine::Engine;
use crate::facts::watch::{Wish, watch as watch_facts};
use crate::facts::{facts, way};
use crate::files::Packages;
use crate::images::Images;
use crate::join::{address, authority, client, join, passing};
use crate::keeper::{Keeper, Record, Wanted};
use crate::machine::{Addresses, Machine};
use crate::reconcile::{Action, Order, admits, reconcile};
use crate::report::{Board, tell};
use crate::runtime::cgroup::Layout;
use crate::runtime::process::boot_id;
use crate::state::StateFile;
use crate::sweep::sweep;
use crate::task::decide::Record as TaskRecord;
use crate::task::{self, Doer};
use crate::{AgentError, Options, clock, disk, sessions};

/// How long a question for the assignment may wait for an answer; asking is the heartbeat.
const WAIT: Span = Span::seconds(10);
/// What the machine is is looked at this often.
const LOOK: Duration = Duration::from_secs(10);

/// Runs an agent until `shutdown` is done. What it runs goes on running without it, and is found
/// again by the next.
///
/// # Errors
/// When it cannot begin; see [`AgentError`].
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
    atoll_client::install_crypto();
    tokio::select! {
        result = begin(options) => result,
        () = shutdown => Ok(()),
    }
}

async fn begin(mut options: Options) -> Result<(), AgentError> {
    // Everything below is handed to programs with another current directory.
    let data = std::path::absolute(&options.data).and_then(|data| open_data(&data).map(|()| data));
    let failed = |source| AgentError::Data { path: options.data.clone(), source };
    let data = data.map_err(failed)?;
    let mut state = StateFile::open(&data).map_err(failed)?;
    let packages = Packages::open(&data.join("packages"), options.cache_bytes).map_err(failed)?;
    let configs = Configs::open(&data).map_err(failed)?;
    let programs = serve::listen(&configs).await.map_err(failed)?;
    options.data = data.clone();
    authority(&mut options, &state).await?;
    let mut client = client(&options, &state)?;
    let layout = Layout::detect();
    if let Layout::None(why) = &layout {
        tracing::warn!(why, "instances have no cgroups of their own");
    }
    let address = address(&options, &client);
    let engine = Arc::new(options.engine.as_deref().map_or_else(Engine::of_this_host, Engine::at));
    if state.memory.token.is_none() || state.memory.host.is_none() {
        let mut facts = facts(address, &layout, &data, &BTreeSet::new());
        engine.introduce(&mut facts.agent).await;
        client = join(&options, &facts, &client, &mut state).await?;
    }
    let (records, tasks) = (records(&data), task::records(&data));
    let machine = Arc::new(Machine {
        images: Images::open(Arc::clone(&engine), &data, options.cache_bytes),
        engine,
        owner: blake3::hash(data.as_os_str().as_encoded_bytes()).to_hex()[..8].to_owned(),
        host: state.memory.host.clone().unwrap_or_default(),
        zone: zone_of(&options),
        addresses: Addresses::new(address, options.address.is_some()),
        program: options.program.clone(),
        packages: Arc::new(packages),
        configs,
        board: Board::awaiting(records.keys().cloned(), tasks.keys().cloned()),
        layout,
        boot: boot_id(),
        client: RwLock::new(client),
        users: Mutex::new(users_of(&records, &tasks)),
        bare_tasks: options.bare_tasks,
        task_paths: options.task_paths.clone(),
        data,
    });
    let mut agent = Agent {
        machine: Arc::clone(&machine),
        options,
        state,
        instances: BTreeMap::new(),
        doers: BTreeMap::new(),
        answered: BTreeSet::new(),
        refusing: false,
        tasks: JoinSet::new(),
        ports: Arc::default(),
        wish: watch::Sender::default(),
        ahead: Ahead::default(),
    };
    agent.take_up(records, tasks);
    let _collector = Collector::start(&machine, agent.options.collect_every);
    let (ports, wish) = (Arc::clone(&agent.ports), agent.wish.subscribe());
    tokio::join!(
        watch_facts(&machine, wish),
        agent.follow(),
        tell(&machine),
        look(&machine, &ports),
        deliver::deliver(&machine),
        serve::serve(&machine, programs),
        sweep(&machine),
    );
    Ok(())
}

fn zone_of(options: &Options) -> String {
    options.labels.get(ZONE_LABEL).map_or(DEFAULT_ZONE, String::as_str).to_owned()
}

/// Every user that was given away before.
fn users_of(
    records: &BTreeMap<String, Record>,
    tasks: &BTreeMap<String, TaskRecord>,
) -> BTreeSet<u32> {
    let instances = records.values().filter_map(|r| r.user);
    instances.chain(tasks.values().filter_map(|r| r.user)).collect()
}

/// Makes the agent's directory, through which instances' users must be able to pass, and throws
/// away what was only half removed.
fn open_data(data: &Path) -> io::Result<()> {
    let below = ["instances", "tasks"].map(|name| data.join(name));
    for dir in &below {
        fs::create_dir_all(dir)?;
    }
    for dir in std::iter::once(data).chain(below.iter().map(|dir| dir.as_path())) {
        let mode = fs::metadata(dir)?.permissions().mode();
        // Another owner's directory stays as it is.
        let _ = fs::set_permissions(dir, Permissions::from_mode(mode | 0o711));
    }
    match fs::remove_dir_all(data.join("gone")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Every instance there is anything of.
fn records(data: &Path) -> BTreeMap<String, Record> {
    let mut records = BTreeMap::new();
    for entry in fs::read_dir(data.join("instances")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match disk::read::<Record>(&entry.path().join("instance.json")) {
            Some(record) if record.order.instance.name == name => {
                records.insert(name, record);
            }
            _ => tracing::warn!(name, "a directory of no known instance is left alone"),
        }
    }
    records
}

/// Notes what the machine is, for ever.
async fn look(machine: &Arc<Machine>, ports: &Mutex<BTreeSet<u16>>) {
    loop {
        let ours = ports.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let machine_here = Arc::clone(machine);
        let found = tokio::task::spawn_blocking(move || {
            let here = &machine_here.addresses;
            here.look_again(|| way(&machine_here.client().servers()));
            facts(here.outer(), &machine_here.layout, &machine_here.data, &ours)
        });
        if let Ok(mut facts) = found.await {
            machine.engine.introduce(&mut facts.agent).await;
            machine.board.post_facts(facts);
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Agent {
    machine: Arc<Machine>,
    options: Options,
    state: StateFile,
    /// What was last wanted of each instance, and how to tell its keeper.
    instances: BTreeMap<String, (Wanted, watch::Sender<Wanted>)>,
    /// What was last wanted of each task.
    doers: BTreeMap<String, watch::Sender<task::Wanted>>,
    /// Sessions that have been answered and are still listed.
    answered: BTreeSet<String>,
    /// Whether the last assignment was refused.
    refusing: bool,
    /// Keepers, doers and sessions.
    tasks: JoinSet<()>,
    /// Ports of our instances.
    ports: Arc<Mutex<BTreeSet<u16>>>,
    /// What is wanted of the facts.
    wish: watch::Sender<Wish>,
    /// What is fetched before it is needed.
    ahead: Ahead,
}

impl Agent {
    /// Goes on with what an agent before this one has begun.
    fn take_up(&mut self, records: BTreeMap<String, Record>, tasks: BTreeMap<String, TaskRecord>) {
        for (_, record) in records {
            self.order(Arc::new(record.order));
        }
        for (name, record) in tasks {
            self.task(&name, Some(Arc::new(record.task)));
        }
    }

    /// Asks for the assignment and acts on it, for ever. An answer that fails, or none, changes
    /// nothing: **Invariant:** nothing is stopped but on a valid assignment's word.
    async fn follow(&mut self) {
        let mut after = 0;
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let mut failing = false;
        let mut known = false;
        loop {
            let client = self.machine.client();
            match client.assignment(&self.machine.host, after, WAIT, clock::now()).await {
                Ok(answer) => {
                    known = true;
                    if std::mem::take(&mut failing) {
                        tracing::info!("a server answers again");
                        self.machine.board.tell_all();
                    }
                    backoff.reset();
                    if let Some(assignment) = answer {
                        after = assignment.revision;
                        if !self.act(&assignment) {
                            tokio::time::sleep(backoff.next_wait()).await;
                        }
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tell_failure(&error);
                    }
                    tokio::time::sleep(backoff.next_wait()).await;
                    // A host that is removed while it runs does not put itself back; one that is
                    // started anew with a join token does.
                    if !known && matches!(error.status(), Some(401 | 404 | 410)) {
                        self.join_again().await;
                    }
                }
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    /// Acts on an assignment, unless it is older than one acted on before.
    fn act(&mut self, assignment: &Assignment) -> bool {
        let highest = self.state.memory.revision;
        if !admits(highest, assignment) {
            if !std::mem::replace(&mut self.refusing, true) {
                let revision = assignment.revision;
                tracing::error!(
                    revision,
                    highest,
                    "an assignment is older than one acted on, and refused; if the server's store \
                     was restored from a copy, remove \"revision\" from agent.json and restart"
                );
            }
            return false;
        }
        self.refusing = false;
        let kept = self.state.change(|memory| {
            memory.revision = assignment.revision;
            if !assignment.servers.is_empty() {
                memory.servers = assignment.servers.clone();
            }
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "the agent's state could not be written");
        }
        self.machine.client().learn_servers(&assignment.servers);
        self.machine.configs.take(&assignment.configs);
        for action in reconcile(assignment, &self.known()) {
            match action {
                Action::Start(order) | Action::Change(order) => self.order(order),
                Action::Forget(name) => self.forget(&name),
                Action::Absent(instance) => self.absent(&instance),
                Action::Lacking(name) => {
                    tracing::error!(name, "its release was not sent along; it is left as it is");
                }
            }
        }
        self.order_tasks(assignment);
        let mend = assignment.mend.clone();
        let wish = Wish { look: assignment.look, mend, round: assignment.mend_round };
        self.wish.send_if_modified(|known| {
            let changed = *known != wish;
            *known = wish;
            changed
        });
        self.hold_packages(assignment);
        self.ahead.want(&self.machine, assignment);
        self.answer_sessions(assignment);
        true
    }

    fn known(&self) -> BTreeMap<String, Arc<Order>> {
        let order = |(name, (order, _)): (&String, &(Wanted, watch::Sender<Wanted>))| {
            order.clone().map(|order| (name.clone(), order))
        };
        self.instances.iter().filter_map(order).collect()
    }

    fn order(&mut self, order: Arc<Order>) {
        let name = order.instance.name.clone();
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.extend(order.instance.ports.values());
        drop(ports);
        let wanted = Some(order);
        match self.instances.get_mut(&name) {
            Some((known, sender)) => {
                known.clone_from(&wanted);
                sender.send_replace(wanted);
            }
            None => {
                let (sender, receiver) = watch::channel(wanted.clone());
                let keeper = Keeper::new(Arc::clone(&self.machine), &name, receiver);
                self.tasks.spawn(keeper.run());
                self.instances.insert(name, (wanted, sender));
            }
        }
    }

    fn order_tasks(&mut self, assignment: &Assignment) {
        let listed: BTreeSet<&str> = assignment.tasks.iter().map(|t| t.name.as_str()).collect();
        let gone = self.doers.keys().filter(|name| !listed.contains(name.as_str()));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.task(&name, None);
        }
        for task in &assignment.tasks {
            self.task(&task.name, Some(Arc::new(task.clone())));
        }
    }

    /// Tells whoever does a task what is wanted of it now.
    fn task(&mut self, name: &str, wanted: task::Wanted) {
        if let Some(sender) = self.doers.get(name) {
            let changes = |known: &mut task::Wanted| {
                let changed = *known != wanted;
                known.clone_from(&wanted);
                changed
            };
            sender.send_if_modified(changes);
            if !sender.is_closed() {
                return;
            }
            self.doers.remove(name);
        }
        if wanted.is_none() {
            return;
        }
        let (sender, receiver) = watch::channel(wanted);
        self.tasks.spawn(Doer::new(Arc::clone(&self.machine), name, receiver).run());
        self.doers.insert(name.to_owned(), sender);
    }

    fn forget(&mut self, name: &str) {
        let Some((known, sender)) = self.instances.get_mut(name) else { return };
        if let Some(order) = known.take() {
            let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
            for port in order.instance.ports.values() {
                ports.remove(port);
            }
        }
        sender.send_replace(None);
    }

    /// Says of an instance that it has stopped of which nothing was ever here.
    fn absent(&self, instance: &AssignedInstance) {
        self.machine.board.post(InstanceReport {
            name: instance.name.clone(),
            created_at: Some(instance.created_at),
            generation: instance.generation,
            phase: InstancePhase::Stopped,
            release: None,
            pid: None,
            restarts: 0,
            started_at: None,
            prefetched: None,
            image: None,
            reasons: Vec::new(),
        });
    }

    fn hold_packages(&self, assignment: &Assignment) {
        let assigned = assignment.releases.values().filter_map(|r| r.package.as_ref());
        let mut digests: BTreeSet<String> = assigned.map(|p| p.digest.clone()).collect();
        let known = self.known();
        digests.extend(known.values().filter_map(|o| o.digest().map(str::to_owned)));
        let tasks = assignment.tasks.iter().map(|task| &task.work);
        digests.extend(tasks.flat_map(|w| w.source.iter().chain(w.inputs.values())).cloned());
        self.machine.packages.hold(digests);
        let assigned = assignment.releases.values();
        let mut images: BTreeSet<String> =
            assigned.flat_map(|r| [r.pinned.clone(), r.image.clone()]).flatten().collect();
        let running = known.values().map(|order| &order.release);
        images.extend(running.flat_map(|r| [r.pinned.clone(), r.image.clone()]).flatten());
        self.machine.images.hold(images);
    }

    fn answer_sessions(&mut self, assignment: &Assignment) {
        let listed: BTreeSet<String> = assignment.sessions.iter().map(|s| s.id.clone()).collect();
        self.answered.retain(|id| listed.contains(id));
        for session in &assignment.sessions {
            if self.answered.insert(session.id.clone()) {
                let machine = Arc::clone(&self.machine);
                self.tasks.spawn(sessions::answer(machine, session.clone()));
            }
        }
    }

    /// The host is not known any more; with a join token at hand it becomes one again.
    async fn join_again(&mut self) {
        let token = self.options.token.clone();
        if token.is_none() || token == self.state.memory.token {
            return;
        }
        let Some(client) = token.and_then(|t| self.machine.client().with_token(&t).ok()) else {
            return;
        };
        let ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (machine, options) = (&self.machine, &self.options);
        let mut facts = facts(machine.addresses.outer(), &machine.layout, &machine.data, &ports);
        machine.engine.introduce(&mut facts.agent).await;
        match join(options, &facts, &client, &mut self.state).await {
            Ok(client) => {
                *machine.client.write().unwrap_or_else(PoisonError::into_inner) = client;
            }
            Err(error) => tracing::debug!(%error, "joining again failed"),
        }
    }
}

fn tell_failure(error: &ClientError) {
    match error.status() {
        Some(404 | 410) => tracing::error!(
            %error,
            "the server knows no such host; what runs here goes on running"
        ),
        _ if passing(error) => tracing::warn!(%error, "it is tried again"),
        _ => tracing::error!(%error, "it is tried again"),
    }
}
