//! The programs Atoll's metrics are measured against, as Debian installs them: found, started and
//! made ready. Not what is asked of them.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;

use crate::daemon::{self, Daemon, PATIENCE};
use crate::http::{Connection, Target};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Compared in the time of a query.
    Prometheus,
    /// Compared in what it costs to take samples in and to keep them.
    VictoriaMetrics,
}

impl Peer {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Prometheus => "prometheus",
            Peer::VictoriaMetrics => "victoria-metrics",
        }
    }

    fn path(self) -> &'static Path {
        Path::new(match self {
            Peer::Prometheus => "/usr/bin/prometheus",
            Peer::VictoriaMetrics => "/usr/bin/victoria-metrics",
        })
    }

    /// Whether it is there to be measured against.
    pub fn is_installed(self) -> bool {
        self.path().exists()
    }

    /// What a row says without it.
    pub fn absence(self) -> String {
        format!("{} is not installed, so the goal is not known", self.path().display())
    }

    fn args(self, home: &Path, port: u16) -> Vec<OsString> {
        let data = home.join("data");
        let data = data.display();
        let args = match self {
            Peer::Prometheus => vec![
                format!("--config.file={}", home.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={data}"),
                "--storage.tsdb.retention.time=15d".to_owned(),
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--web.enable-remote-write-receiver".to_owned(),
                "--web.enable-lifecycle".to_owned(),
                "--log.level=warn".to_owned(),
            ],
            Peer::VictoriaMetrics => vec![
                format!("-storageDataPath={data}"),
                "-retentionPeriod=1".to_owned(),
                format!("-httpListenAddr=127.0.0.1:{port}"),
                "-loggerLevel=WARN".to_owned(),
            ],
        };
        args.into_iter().map(OsString::from).collect()
    }

    fn ready(self) -> &'static str {
        match self {
            Peer::Prometheus => "/-/ready",
            Peer::VictoriaMetrics => "/health",
        }
    }
}

/// One of them, running.
pub struct Running {
    /// Its process.
    pub daemon: Daemon,
    /// Where it serves.
    pub target: Target,
}

impl Running {
    /// Starts it on an empty store, and waits until it serves.
    ///
    /// # Errors
    /// It does not; the error carries what it said.
    pub async fn start(peer: Peer) -> anyhow::Result<Running> {
        let home = daemon::home()?;
        std::fs::write(home.path().join("prometheus.yml"), "rule_files: [rules.json]\n")?;
        // It is told a port that is free now, as neither says which one it took for 0.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let args = peer.args(home.path(), port);
        let daemon = Daemon::start(home, peer.path(), args)?;
        let target = Target { address: ([127, 0, 0, 1], port).into(), token: String::new() };
        let ready = async {
            loop {
                if let Ok(mut connection) = Connection::open(&target).await
                    && let Ok(answer) = connection.ask("GET", peer.ready(), b"").await
                    && answer.good().is_ok()
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            bail!("{} did not start; it said: {}", peer.name(), daemon.log());
        }
        Ok(Running { daemon, target })
    }

    /// Where it keeps its samples.
    pub fn data(&self) -> PathBuf {
        self.daemon.home().join("data")
    }
}
