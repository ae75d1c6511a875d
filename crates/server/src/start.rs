//! How a server starts and stops: options, the state opened, the address taken, the loops running.
//! Not what they do.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use atoll_model::Span;
use atoll_store::{Retention, Store};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::api::agents::{Reports, take_reports};
use crate::attest::SigningKey;
use crate::audit::Auditor;
use crate::blobs::Blobs;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::measure::Measure;
use crate::measure::asked::Asked;
use crate::metrics::Metrics;
use crate::metrics::forward::Peers;
use crate::metrics::options::MetricsOptions;
use crate::provider::{Provider, ProviderOptions};
use crate::secrets::Vault;
use crate::tls::{Authority, Given};
use crate::{
    App, Server, attest, audit, auth, controller, fan, listen, metrics, monitor, notify, own, pool,
    source, standards, sweep, tls,
};

/// What other replicas wrote is read at least this often.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// Replicas tell each other whom they heard this often.
const EXCHANGE_EVERY: Duration = Duration::from_secs(2);
/// Old history is cleared away this often.
const COMPACT_EVERY: Duration = Duration::from_secs(600);
/// A process that was killed lets go of what it had locked within this time.
const LAST_BREATH: Duration = Duration::from_secs(2);
/// History is kept this long, and beyond that so many writes of each object.
const HISTORY_KEPT: Span = Span::seconds(30 * 86_400);
const HISTORY_KEPT_EACH: u32 = 200;
/// Records of what is no write are kept this long.
const RECORDS_KEPT: Span = Span::seconds(400 * 86_400);

/// Where state is kept.
#[derive(Clone, Debug)]
pub enum Keep {
    /// In a directory of this machine.
    Directory(PathBuf),
    /// In PostgreSQL, shared by replicas.
    Postgres(String),
}

/// Whether connections are encrypted.
#[derive(Clone, Debug)]
pub enum Encryption {
    /// Not: for loopback only.
    Off,
    /// By certificates of an own CA, made on first start and kept with the state.
    Own,
    /// By certificates an operator gives.
    Given(Given),
}

/// How a server runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where state is kept.
    pub keep: Keep,
    /// The address to listen on; port 0 picks one.
    pub listen: SocketAddr,
    /// The URL agents and people reach this replica at, where that is not the address.
    pub advertise: Option<String>,
    /// Whether connections are encrypted.
    pub encryption: Encryption,
    /// A host not heard from for this long is lost.
    pub host_timeout: Span,
    /// How metrics are kept.
    pub metrics: MetricsOptions,
    /// The identity provider people may sign in through.
    pub provider: Option<ProviderOptions>,
    /// A file with the key secrets are sealed with; one kept with the state, if absent.
    pub secret_key: Option<PathBuf>,
    /// Directories below which `file://` addresses of pipelines may be: whoever may write a
    /// pipeline would otherwise read every repository of this machine.
    pub repositories: Vec<PathBuf>,
    /// What makes the machines of pools.
    pub pools: pool::Places,
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("could not listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said, and what to do.
        why: String,
    },
    /// The state cannot be opened.
    #[error("could not open the store: {0}")]
    Store(String),
    /// The metrics cannot be opened.
    #[error("could not open the metrics: {0}")]
    Metrics(String),
    /// Secrets cannot be opened.
    #[error("could not open secrets: {0}")]
    Secrets(String),
    /// The identity provider cannot be what was given.
    #[error("could not use the identity provider: {0}")]
    Provider(String),
    /// There are no certificates.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// Another server works in the directory.
    #[error("another server works in {0}; stop it first, or give another --data")]
    Taken(PathBuf),
}

/// A server that runs.
pub struct Running {
    /// What handlers and loops share.
    pub server: App,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    _lock: Option<std::fs::File>,
}

/// Opens the state, listens and starts the loops.
///
/// # Errors
/// See [`StartError`].
pub async fn start(options: Options) -> Result<Running, StartError> {
    // Who starts it may have installed the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let lock = match &options.keep {
        Keep::Directory(dir) => Some(lock(dir).await?),
        Keep::Postgres(_) => None,
    };
    let (store, blobs) = open(&options.keep).await?;
    let clock = Clock::start(store.last_at().await.map_err(in_store)?);
    let cache = Cache::load(&store).await.map_err(StartError::Store)?;
    let measure = Measure::new(options.host_timeout);
    measure.grace(&cache.world(), clock.now());
    let signing_key = SigningKey::kept(&store).await.map_err(StartError::Store)?;
    measure.trust(signing_key.public());
    let (listener, listen) = bind(options.listen).await?;
    let (authority, given) = certificates(&options, &store, listen).await?;
    let config = given.as_ref().map(tls::server_config).transpose()?;
    let scheme = if given.is_some() { "https" } else { "http" };
    let address = options.advertise.clone().unwrap_or_else(|| format!("{scheme}://{listen}"));
    let metrics = open_metrics(&options, &store, authority.as_ref(), clock).await?;
    let vault = open_vault(&options, &store).await?;
    let provider = options.provider.clone().map(Provider::new).transpose();
    let provider = provider.map_err(StartError::Provider)?;
    let (reports, queue) = Reports::new();
    let (auditor, refusals) = Auditor::new();
    let server = Arc::new(Server {
        store,
        cache,
        clock,
        measure,
        blobs,
        sessions: auth::Sessions::default(),
        passwords: Default::default(),
        rehearsals: Arc::new(tokio::sync::Semaphore::new(crate::api::rehearsal::AT_ONCE)),
        provider,
        auditor,
        relay: Arc::default(),
        reports,
        metrics: Arc::new(metrics),
        door: Default::default(),
        asked: Asked::default(),
        figures: own::Figures::default(),
        vault,
        places: source::Places::of(&options.keep, listen.port(), &options.repositories),
        pool_places: options.pools.clone(),
        authority,
        signing_key,
        secure: given.is_some(),
        listen,
        replica: replica_name(&options.keep),
        turn: tokio::sync::Mutex::new(()),
        returned: Mutex::default(),
        fan: fan::Fan::default(),
        news: tokio::sync::Notify::new(),
        to_tell: tokio::sync::Notify::new(),
        pushed: tokio::sync::Notify::new(),
        has_replicas: matches!(options.keep, Keep::Postgres(_)),
        leading: Mutex::new(None),
        epoch: Mutex::new(None),
        address,
        others: RwLock::default(),
        backlog: Default::default(),
    });
    standards::install(&server).await;
    let (stop, stopped) = watch::channel(false);
    let mut tasks = loops(&server, stopped.clone(), refusals);
    tasks.spawn(take_reports(server.clone(), queue));
    tasks.spawn(listen::serve(server.clone(), listener, config, stopped));
    Ok(Running { server, stop, tasks, _lock: lock })
}

async fn open_vault(options: &Options, store: &Store) -> Result<Vault, StartError> {
    let vault = Vault::open(store, options.secret_key.as_deref()).await;
    vault.map_err(StartError::Secrets)
}

/// Everything that goes on by itself in a server.
fn loops(
    server: &App,
    stopped: watch::Receiver<bool>,
    refusals: mpsc::Receiver<audit::Note>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(audit::run(server.clone(), refusals));
    tasks.spawn(controller::run(server.clone(), stopped));
    tasks.spawn(keep_current(server.clone(), server.has_replicas));
    tasks.spawn(metrics::keep(server.metrics.clone(), server.clock));
    tasks.spawn(metrics::ended::run(server.clone()));
    tasks.spawn(monitor::run(server.clone()));
    tasks.spawn(notify::run(server.clone()));
    tasks.spawn(source::run(server.clone()));
    tasks.spawn(pool::run(server.clone()));
    tasks.spawn(sweep::run(server.clone()));
    tasks.spawn(attest::run(server.clone()));
    tasks.spawn(own::keep(server.clone()));
    tasks.spawn(fan::run(server.clone()));
    tasks
}

fn in_store(error: atoll_store::Error) -> StartError {
    StartError::Store(error.to_string())
}

async fn open(keep: &Keep) -> Result<(Store, Blobs), StartError> {
    match keep {
        Keep::Directory(dir) => {
            let store = Store::open_sqlite(dir).await.map_err(in_store)?;
            Ok((store, Blobs::Directory(dir.join("blobs"))))
        }
        Keep::Postgres(url) => {
            let store = Store::open_postgres(url).await.map_err(in_store)?;
            Ok((store.clone(), Blobs::Database(store)))
        }
    }
}

/// Opens the store of metrics. Replicas without another server in common pass on to each other
/// what they are given.
async fn open_metrics(
    options: &Options,
    store: &Store,
    authority: Option<&Authority>,
    clock: Clock,
) -> Result<Metrics, StartError> {
    let kept = options.metrics.clone();
    let opened = tokio::task::spawn_blocking(move || Metrics::open(&kept, clock.now())).await;
    let mut metrics =
        opened.map_err(|e| StartError::Metrics(e.to_string()))?.map_err(StartError::Metrics)?;
    if matches!(options.keep, Keep::Postgres(_)) && metrics.remote.is_none() {
        let secret = shared_secret(store).await?;
        let ca = authority.map(|authority| authority.certificate.as_str());
        metrics.peers = Some(Peers::new(secret, ca).map_err(StartError::Metrics)?);
    }
    Ok(metrics)
}

/// The secret by which replicas know each other; who comes second reads what came first.
async fn shared_secret(store: &Store) -> Result<String, StartError> {
    const NAME: &str = "pki/replicas";
    if store.get_blob(NAME).await.map_err(in_store)?.is_none() {
        store.put_blob(NAME, auth::secret().as_bytes()).await.map_err(in_store)?;
    }
    let bytes = store.get_blob(NAME).await.map_err(in_store)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |e: std::io::Error| StartError::Listen {
        address,
        why: match e.kind() {
            std::io::ErrorKind::AddrInUse => {
                "something listens there already; stop it, or give another --listen".to_owned()
            }
            _ => e.to_string(),
        },
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let listen = listener.local_addr().map_err(refused)?;
    Ok((listener, listen))
}

/// The own CA, if there is to be one, and what the server shows.
async fn certificates(
    options: &Options,
    store: &Store,
    listen: SocketAddr,
) -> Result<(Option<Authority>, Option<Given>), StartError> {
    match &options.encryption {
        Encryption::Off => Ok((None, None)),
        Encryption::Given(given) => Ok((None, Some(given.clone()))),
        Encryption::Own => {
            let authority = own_authority(store).await?;
            let names = tls::names(listen.ip(), options.advertise.as_deref());
            let given = authority.issue(&names)?;
            Ok((Some(authority), Some(given)))
        }
    }
}

/// One process at a time works in a directory.
async fn lock(dir: &Path) -> Result<std::fs::File, StartError> {
    let wrong =
        |e: std::io::Error| StartError::Store(format!("could not write to {}: {e}", dir.display()));
    // Keys are kept in it; what it is in may have to be passed through by others.
    dir.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(wrong)?;
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(wrong)?;
    let file = std::fs::File::create(dir.join("lock")).map_err(wrong)?;
    // One that was killed just now is not quite gone yet.
    let locked = async {
        while file.try_lock().is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let late = tokio::time::timeout(LAST_BREATH, locked).await.is_err();
    if late { Err(StartError::Taken(dir.to_path_buf())) } else { Ok(file) }
}

/// A single server keeps its name, so that it need not wait for its own lease after a restart.
fn replica_name(keep: &Keep) -> String {
    match keep {
        Keep::Directory(_) => "local".to_owned(),
        Keep::Postgres(_) => format!("replica-{}", &auth::secret()[..12]),
    }
}

/// Reads the CA kept with the state, or makes it. Replicas that start at once agree on one: the
/// name is given once, and who comes second reads what came first.
async fn own_authority(store: &Store) -> Result<Authority, StartError> {
    const NAME: &str = "pki/ca.pem";
    if store.get_blob(NAME).await.map_err(in_store)?.is_none() {
        let made = Authority::create()?;
        let text = format!("{}{}", made.certificate, made.key);
        store.put_blob(NAME, text.as_bytes()).await.map_err(in_store)?;
    }
    let bytes = store.get_blob(NAME).await.map_err(in_store)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (certificate, key) = text
        .split_once("-----BEGIN PRIVATE KEY-----")
        .ok_or_else(|| StartError::Store("the kept CA is damaged".to_owned()))?;
    let key = format!("-----BEGIN PRIVATE KEY-----{key}");
    Ok(Authority { certificate: certificate.to_owned(), key })
}

/// Follows other replicas, tells them whom this one heard, and clears old history away.
async fn keep_current(server: App, replicas: bool) {
    let mut exchange = tokio::time::interval(EXCHANGE_EVERY);
    let mut compact = tokio::time::interval(COMPACT_EVERY);
    let mut changed = Box::pin(server.store.changed());
    loop {
        tokio::select! {
            () = &mut changed, if replicas => {
                changed = Box::pin(server.store.changed());
                server.catch_up().await;
            }
            () = tokio::time::sleep(FOLLOW_EVERY), if replicas => server.catch_up().await,
            _ = exchange.tick(), if replicas => server.exchange().await,
            () = server.to_tell.notified(), if replicas => server.exchange().await,
            _ = compact.tick() => {
                let now = server.clock.now();
                let keep = Retention {
                    after_ms: (now - HISTORY_KEPT).0,
                    per_object: HISTORY_KEPT_EACH,
                    records_after_ms: (now - RECORDS_KEPT).0,
                    now_ms: now.0,
                };
                match server.store.compact_history(keep).await {
                    Ok(0) => {}
                    Ok(_) => server.catch_up().await,
                    Err(e) => tracing::warn!("could not clear old history away: {e}"),
                }
            }
        }
    }
}

impl Running {
    /// Stops listening and working, and gives the lease back. Instances run on.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Open watches and polls would keep it for ever; they come back elsewhere.
        let _ = tokio::time::timeout(Duration::from_secs(2), async {
            while !*self.stop.borrow() || self.server.leads_here() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        self.tasks.shutdown().await;
        self.server.metrics.close().await;
    }
}
