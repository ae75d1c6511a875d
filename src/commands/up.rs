//! `atoll up`: server, agent and console in one process. What it serves outlives it: instances run
//! on when it stops, and are adopted when it starts again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use atoll_model::access::Actor;
use atoll_model::{Level, Span, Timestamp};
use atoll_server::pool::Places;
use atoll_server::{Encryption, Keep, Options, Running};

use super::server::{init_logging, until_stopped};
use crate::args::{Cached, Global, Metrics, Provider, Steps};
use crate::context::{self, ContextFile};
use crate::exit::Exit;

/// Flags of `up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where everything is kept [default: /var/lib/atoll, or below ~/.local/share]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The address to listen on; anything but loopback is encrypted
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7411")]
    pub listen: SocketAddr,
    /// The name of this host [default: the machine's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A host not heard from for this long is lost
    #[arg(long, value_name = "SPAN", default_value = "30s")]
    pub host_timeout: Span,
    /// Let pipelines fetch file:// addresses below this directory (repeatable); none otherwise
    #[arg(long, value_name = "DIR")]
    pub repositories: Vec<PathBuf>,
    /// Let pools run programs below this directory to make machines (repeatable); none otherwise
    #[arg(long, value_name = "DIR")]
    pub pool_programs: Vec<PathBuf>,
    /// Let pools make hosts that are containers of this machine's engine: whoever may write a pool
    /// may then run any image here
    #[arg(long, env = "ATOLL_POOL_CONTAINERS")]
    pub pool_containers: bool,
    /// How what is measured is kept
    #[command(flatten)]
    pub metrics: Metrics,
    /// Whom people may sign in through
    #[command(flatten)]
    pub provider: Provider,
    /// How its agent does the steps of pipelines
    #[command(flatten)]
    pub steps: Steps,
    /// What it keeps though nobody needs it
    #[command(flatten)]
    pub cached: Cached,
}

/// Serves until told to stop.
///
/// # Errors
/// The address is taken, or the data cannot be opened.
pub async fn run(_: &Global, args: Args) -> anyhow::Result<Exit> {
    init_logging();
    let up = start(&args).await?;
    up.greet();
    let agent = up.agent.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let agent = tokio::spawn(atoll_agent::run(agent, async move {
        // Ends also when the sender is dropped: there is nothing left to run for.
        let _ = stopped.await;
    }));
    until_stopped().await;
    eprintln!("stopping; instances run on");
    drop(stop);
    agent.await.context("the agent's task broke")??;
    up.running.stop().await;
    Ok(Exit::Done)
}

/// A server that is up, and how its agent is to run.
struct Up {
    running: Running,
    agent: atoll_agent::Options,
    url: String,
    data: PathBuf,
    context: Option<PathBuf>,
}

/// Starts the server and prepares the agent.
async fn start(args: &Args) -> anyhow::Result<Up> {
    let data = args.data.clone().unwrap_or_else(default_data);
    let local = args.listen.ip().is_loopback();
    let options = Options {
        keep: Keep::Directory(data.join("server")),
        listen: args.listen,
        advertise: None,
        encryption: if local { Encryption::Off } else { Encryption::Own },
        host_timeout: args.host_timeout,
        provider: args.provider.options(None),
        secret_key: None,
        repositories: args.repositories.clone(),
        pools: Places {
            program: std::env::current_exe().ok().filter(|_| args.pool_containers),
            programs: args.pool_programs.clone(),
        },
        metrics: args.metrics.options(data.join("server/metrics")),
    };
    let running = atoll_server::start(options).await?;
    let ca = running.server.authority.as_ref().map(|a| a.certificate.clone());
    let listen = running.server.listen;
    let everywhere = listen.ip().is_unspecified();
    let host = if everywhere { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
    let scheme = if local { "http" } else { "https" };
    let url = format!("{scheme}://{host}:{}", listen.port());
    let admin = admin_token(&running, &data).await?;
    let context = context::path();
    if let Some(path) = &context {
        let file = ContextFile { servers: vec![url.clone()], token: Some(admin), ca: ca.clone() };
        context::write(path, &file)?;
    }
    let agent = atoll_agent::Options {
        servers: vec![url.clone()],
        token: Some(join_token(&running).await?),
        name: args.name.clone().unwrap_or_else(atoll_agent::default_name),
        labels: std::collections::BTreeMap::new(),
        data: data.join("agent"),
        address: None,
        ca_pem: ca,
        program: std::env::current_exe().context("finding this program")?,
        cache_bytes: args.cached.bytes.0,
        engine: None,
        collect_every: atoll_agent::Options::COLLECT_EVERY,
        bare_tasks: args.steps.bare,
        task_paths: args.steps.paths.clone(),
    };
    Ok(Up { running, agent, url, data, context })
}

impl Up {
    fn greet(&self) {
        println!("atoll {} is serving", env!("CARGO_PKG_VERSION"));
        println!();
        println!("  console  {}", self.url);
        println!("  host     {}", self.agent.name);
        println!("  data     {}", self.data.display());
        if let Some(path) = &self.context {
            println!("  context  {}", path.display());
        }
        println!();
        // As it was typed: it need not be on the path.
        let program = std::env::args().next().unwrap_or_else(|| "atoll".to_owned());
        println!("In another terminal: `{program} demo`, or `{program} apply -f FILE`.");
    }
}

/// The token of the local user, made once and kept beside the data.
async fn admin_token(running: &Running, data: &Path) -> anyhow::Result<String> {
    let path = data.join("admin.token");
    let kept = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
    let world = running.server.cache.world();
    let now = running.server.clock.now();
    if !kept.is_empty() && atoll_server::auth::bearer(&world, &kept, now).is_some() {
        return Ok(kept);
    }
    let secret = make_token(running, Level::Admin, None).await?;
    write_private(&path, &secret).with_context(|| format!("writing {}", path.display()))?;
    Ok(secret)
}

/// A token the agent joins with, should it not have joined yet; it ends soon.
async fn join_token(running: &Running) -> anyhow::Result<String> {
    let end = running.server.clock.now() + Span::seconds(600);
    make_token(running, Level::Join, Some(end)).await
}

async fn make_token(
    running: &Running,
    level: Level,
    end: Option<Timestamp>,
) -> anyhow::Result<String> {
    let actor = Actor::local();
    let secret = atoll_server::auth::secret();
    let owner = (level == Level::Admin).then(|| "local".to_owned());
    let made = running.server.keep_token(&actor, &secret, level, owner, end).await;
    made.map_err(|e| anyhow::anyhow!("making a token: {}", e.0.title))?;
    Ok(secret)
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// The file system's.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// Where a machine's own data is: the system's place for root, the user's otherwise.
pub fn default_data() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/atoll");
    }
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("."))
        .join("atoll")
}
