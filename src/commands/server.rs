//! `atoll server`: one replica of the control plane, without an agent.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use atoll_model::access::Actor;
use atoll_model::{Level, Span, Token};
use atoll_server::pool::Places;
use atoll_server::tls::Given;
use atoll_server::{Encryption, Keep, Options, Running};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Global, Metrics, Provider};
use crate::exit::Exit;

/// Flags of `server`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep everything in this directory, for a single server
    #[arg(long, value_name = "DIR", required_unless_present = "store", conflicts_with = "store")]
    pub data: Option<PathBuf>,
    /// Keep everything in PostgreSQL, for any number of replicas
    #[arg(long, value_name = "postgres://…")]
    pub store: Option<String>,
    /// The address to listen on; anything but loopback is encrypted
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7411")]
    pub listen: SocketAddr,
    /// The URL agents and people reach this replica at
    #[arg(long, value_name = "URL")]
    pub advertise: Option<String>,
    /// A certificate chain in PEM, instead of one of the own CA
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A host not heard from for this long is lost
    #[arg(long, value_name = "SPAN", default_value = "30s")]
    pub host_timeout: Span,
    /// Where to write the first admin token [default: standard output, on the very first start]
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Seal secrets with the key in this file: 64 hexadecimal digits, from openssl rand -hex 32
    /// [default: a key kept with the state]
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
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
    /// Keep what is measured in this directory, one for each replica [default: metrics below
    /// --data, else metrics-PORT where this machine's data is]
    #[arg(long, value_name = "DIR")]
    pub metrics_dir: Option<PathBuf>,
    /// How what is measured is kept
    #[command(flatten)]
    pub metrics: Metrics,
    /// Whom people may sign in through
    #[command(flatten)]
    pub provider: Provider,
}

/// Serves until told to stop.
///
/// # Errors
/// The address is taken, or the state cannot be opened.
pub async fn run(_: &Global, args: Args) -> anyhow::Result<Exit> {
    init_logging();
    let keep = match (&args.data, &args.store) {
        (Some(dir), _) => Keep::Directory(dir.clone()),
        (None, Some(url)) => Keep::Postgres(url.clone()),
        (None, None) => anyhow::bail!("give --data or --store"),
    };
    let metrics_dir = args.metrics_dir.clone().unwrap_or_else(|| match &args.data {
        Some(data) => data.join("metrics"),
        None => super::up::default_data().join(format!("metrics-{}", args.listen.port())),
    });
    let options = Options {
        keep,
        metrics: args.metrics.options(metrics_dir),
        listen: args.listen,
        advertise: args.advertise.clone(),
        encryption: encryption(&args)?,
        host_timeout: args.host_timeout,
        provider: args.provider.options(args.advertise.clone()),
        secret_key: args.secret_key_file.clone(),
        repositories: args.repositories.clone(),
        pools: Places {
            program: std::env::current_exe().ok().filter(|_| args.pool_containers),
            programs: args.pool_programs.clone(),
        },
    };
    let running = atoll_server::start(options).await?;
    first_admin(&running, &args).await?;
    if let Some(authority) = &running.server.authority {
        println!("CA fingerprint {}", authority.fingerprint());
    }
    println!("serving on {}", running.server.addresses()[0]);
    until_stopped().await;
    running.stop().await;
    Ok(Exit::Done)
}

fn encryption(args: &Args) -> anyhow::Result<Encryption> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
    };
    Ok(match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => {
            Encryption::Given(Given { chain: read(chain)?, key: read(key)? })
        }
        _ if args.listen.ip().is_loopback() => Encryption::Off,
        _ => Encryption::Own,
    })
}

/// Where nobody could do anything yet, makes a token for the first administrator.
async fn first_admin(running: &Running, args: &Args) -> anyhow::Result<()> {
    let world = running.server.cache.world();
    if world.all::<Token>().any(|t| t.spec.level == Level::Admin) {
        return Ok(());
    }
    let actor = Actor::local();
    let secret = atoll_server::auth::secret();
    let owner = Some("admin".to_owned());
    let made = running.server.keep_token(&actor, &secret, Level::Admin, owner, None).await;
    made.map_err(|e| anyhow::anyhow!("making a token: {}", e.0.title))?;
    match &args.admin_token_file {
        Some(path) => super::up::write_private(path, &secret)
            .with_context(|| format!("writing {}", path.display()))?,
        None => println!("admin token (shown once): {secret}"),
    }
    Ok(())
}

/// Waits for SIGINT or SIGTERM.
pub async fn until_stopped() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

/// Sends what the program says of itself to standard error; `RUST_LOG` chooses what.
pub fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(std::io::stderr);
    // A second start in one process keeps the first one's settings.
    let _ = format.with_target(false).try_init();
}
