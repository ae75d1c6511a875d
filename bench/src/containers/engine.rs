//! Debian's `dockerd` in a temporary directory, with an image made of BusyBox: started, asked by
//! Docker's own command line, and taken away with its mounts.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use nix::mount::{MntFlags, umount2};
use tokio::process::Command;

use crate::daemon::{self, Daemon, PATIENCE};

const DOCKERD: &str = "/usr/sbin/dockerd";
const DOCKER: &str = "/usr/bin/docker";
const BUSYBOX: &str = "/bin/busybox";

/// A running engine.
pub struct Engine {
    daemon: Daemon,
    home: PathBuf,
}

/// A port of loopback that is free now.
///
/// # Errors
/// The system's.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Engine {
    /// What it takes and is not there, if anything.
    pub fn missing() -> Option<&'static str> {
        [DOCKERD, DOCKER, BUSYBOX].into_iter().find(|path| !Path::new(path).exists())
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// It does not; the error carries what it said.
    pub async fn start() -> anyhow::Result<Engine> {
        let home = daemon::home()?;
        let path = |name: &str| home.path().join(name).display().to_string();
        let args = [
            format!("--data-root={}", path("data")),
            format!("--exec-root={}", path("run")),
            format!("--pidfile={}", path("pid")),
            format!("--host=unix://{}", path("docker.sock")),
            "--iptables=false".to_owned(),
            "--ip6tables=false".to_owned(),
            "--bridge=none".to_owned(),
            "--storage-driver=overlay2".to_owned(),
            "--log-level=error".to_owned(),
            "--default-address-pool=base=10.232.0.0/16,size=24".to_owned(),
        ];
        let daemon = Daemon::start(home, Path::new(DOCKERD), args)?;
        let engine = Engine { home: daemon.home(), daemon };
        let answers = async {
            while engine.docker(&["version"]).await.is_err() {
                tokio::time::sleep(super::LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, answers).await.is_err() {
            bail!("{DOCKERD} does not answer; it said: {}", engine.daemon.log());
        }
        Ok(engine)
    }

    /// Where it listens, as `DOCKER_HOST` says it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.home.join("docker.sock").display())
    }

    /// What Docker's command line says.
    ///
    /// # Errors
    /// It fails; the error carries why.
    pub async fn docker(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(DOCKER)
            .env("DOCKER_HOST", self.address())
            .env("HOME", &self.home)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .await?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "docker {}: {}", args.join(" "), error.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Makes an image whose web server answers on `$PORT_HTTP`.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn import(&self, name: &str) -> anyhow::Result<()> {
        let root = self.home.join("image");
        for part in ["bin", "www", "tmp"] {
            std::fs::create_dir_all(root.join(part))?;
        }
        std::fs::copy(BUSYBOX, root.join("bin/busybox"))?;
        for program in ["sh", "httpd", "wget"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(program))?;
        }
        std::fs::write(root.join("www/healthz"), "fine")?;
        let tar = self.home.join("image.tar");
        let mut pack = Command::new("tar");
        pack.arg("-cf").arg(&tar).arg("-C").arg(&root).arg(".");
        ensure!(pack.status().await?.success(), "the image could not be packed");
        let tar = tar.to_str().context("a path that is not text")?;
        let serve = "CMD [\"/bin/sh\", \"-c\", \"exec httpd -f -p $PORT_HTTP -h /www\"]";
        self.docker(&["import", "--change", serve, tar, name]).await.map(drop)
    }

    /// Ends it, and takes its networks and mounts away.
    ///
    /// # Errors
    /// It did not end by itself.
    pub async fn stop(self) -> anyhow::Result<()> {
        let networks = self.docker(&["network", "ls", "-q", "--filter", "driver=bridge"]).await;
        for network in networks.unwrap_or_default().split_whitespace() {
            // One that is in use goes with the engine's other leftovers.
            let _ = self.docker(&["network", "rm", network]).await;
        }
        let home = self.home.clone();
        let ended = self.daemon.leave().await;
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let ours = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let ours: Vec<&str> = ours.filter(|path| Path::new(path).starts_with(&home)).collect();
        for path in ours.into_iter().rev() {
            // What is still mounted would keep the directory.
            let _ = umount2(path, MntFlags::MNT_DETACH);
        }
        ended.map(drop)
    }
}
