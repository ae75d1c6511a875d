//! Hosts that are containers: made, listed and deleted with the engine of the server's machine.
//! Each runs this program as an agent. It decides nothing of how many there are.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use atoll_model::pool::Given;
use atoll_model::pool::provider::Containers;
use bollard::models::{ContainerCreateBody, HostConfig, RestartPolicy, RestartPolicyNameEnum};
use bytes::Bytes;

use crate::engine::{Engine, EngineError};
use crate::runtime::container::quota;

/// The label that names the pool of a container.
const POOL_LABEL: &str = "io.atoll.pool";
/// The label that names its machine.
const KEY_LABEL: &str = "io.atoll.machine";
/// Where the program is in a container.
const PROGRAM: &str = "/bin/atoll";
/// Where the agent keeps everything in it.
const DATA: &str = "/var/lib/atoll/agent";
/// A shell and the usual programs, where they are installed in one file.
const BUSYBOX: &str = "/bin/busybox";
/// What of it goes by its own name.
const PROGRAMS: [&str; 14] = [
    "sh", "cat", "ls", "ps", "sleep", "echo", "kill", "wget", "httpd", "id", "env", "mkdir", "rm",
    "touch",
];
/// Certificates of authorities, where Debian and others keep them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// One machine that is to be made.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Its pool.
    pub pool: String,
    /// Its key, which is the name of its host.
    pub key: String,
    /// Where it joins.
    pub servers: Vec<String>,
    /// What it joins with.
    pub token: String,
    /// The labels of its host.
    pub labels: BTreeMap<String, String>,
}

/// The engine that holds them.
#[derive(Debug)]
pub struct Hosts {
    engine: Engine,
    kind: Containers,
}

impl Hosts {
    /// Hosts of one kind.
    pub fn new(kind: Containers) -> Hosts {
        let engine = match &kind.socket {
            Some(socket) => Engine::at(Path::new(socket)),
            None => Engine::of_this_host(),
        };
        Hosts { engine, kind }
    }

    /// What tells this engine from others.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn account(&self) -> Result<String, EngineError> {
        Ok(self.engine.docker().await?.info().await?.id.unwrap_or_default())
    }

    /// Makes one, unless it is there already.
    ///
    /// # Errors
    /// When there is no image and none can be made, or the engine refuses.
    pub async fn make(&self, wanted: &Wanted) -> Result<Given, EngineError> {
        let given = |id: String| Given { key: wanted.key.clone(), id };
        if let Some(seen) = self.engine.inspect(&wanted.key).await? {
            if seen.labels.get(KEY_LABEL) != Some(&wanted.key) {
                let taken = format!("there is another container named {}", wanted.key);
                return Err(EngineError::Refused(taken));
            }
            self.engine.start(&wanted.key).await?;
            return Ok(given(seen.id));
        }
        let image = self.image().await?;
        let id = self.engine.create(&wanted.key, self.body(image, wanted)).await?;
        self.engine.start(&wanted.key).await?;
        Ok(given(id))
    }

    /// Those of a pool, whether they run or not.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn list(&self, pool: &str) -> Result<Vec<Given>, EngineError> {
        let all = self.engine.containers(&format!("{POOL_LABEL}={pool}")).await?;
        // An engine that was killed does not start again what ended with it.
        for seen in all.values().filter(|seen| seen.begun && !seen.running) {
            if let Err(error) = self.engine.start(&seen.id).await {
                tracing::warn!("could not start container {} again: {error}", seen.id);
            }
        }
        let given = all.into_values().filter_map(|seen| {
            Some(Given { key: seen.labels.get(KEY_LABEL)?.clone(), id: seen.id })
        });
        Ok(given.collect())
    }

    /// Deletes one of a pool, by its number or its key; one that is not there is gone.
    ///
    /// # Errors
    /// When the engine does not answer, or cannot.
    pub async fn delete(&self, pool: &str, key: &str, id: Option<&str>) -> Result<(), EngineError> {
        let name = id.unwrap_or(key);
        let Some(seen) = self.engine.inspect(name).await? else { return Ok(()) };
        if seen.labels.get(POOL_LABEL).map(String::as_str) != Some(pool) {
            let foreign = format!("container {name} is not of pool {pool}");
            return Err(EngineError::Refused(foreign));
        }
        self.engine.remove(name).await
    }

    fn body(&self, image: String, wanted: &Wanted) -> ContainerCreateBody {
        let pairs = wanted.labels.iter().map(|(key, value)| format!("{key}={value}"));
        let mut command: Vec<String> =
            [PROGRAM, "agent", "--name", &wanted.key, "--data", DATA].map(str::to_owned).into();
        command.extend(["--labels".to_owned(), pairs.collect::<Vec<_>>().join(",")]);
        if let Some(server) = wanted.servers.first() {
            command.extend(["--server".to_owned(), server.clone()]);
        }
        let labels = HashMap::from([
            (POOL_LABEL.to_owned(), wanted.pool.clone()),
            (KEY_LABEL.to_owned(), wanted.key.clone()),
        ]);
        let cpu = self.kind.cpu.map(|cpu| quota(Some(cpu.0)));
        let memory = self.kind.memory.and_then(|memory| i64::try_from(memory.0).ok());
        ContainerCreateBody {
            image: Some(image),
            hostname: (self.kind.network != "host").then(|| wanted.key.clone()),
            entrypoint: Some(command),
            // It is good for this machine only, and once.
            env: Some(vec![format!("ATOLL_TOKEN={}", wanted.token)]),
            labels: Some(labels),
            host_config: Some(HostConfig {
                network_mode: Some(self.kind.network.clone()),
                cpu_quota: cpu.map(|(quota, _)| quota),
                cpu_period: cpu.map(|(_, period)| period),
                memory,
                memory_swap: memory,
                // Whoever falls asks again with what it remembers.
                restart_policy: Some(RestartPolicy {
                    name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
                    maximum_retry_count: None,
                }),
                init: Some(true),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// The image that is named, fetched if need be, or one made of this program.
    async fn image(&self) -> Result<String, EngineError> {
        if let Some(named) = &self.kind.image {
            if self.engine.image(named).await?.is_none() {
                self.engine.pull(named).await?;
            }
            return Ok(named.clone());
        }
        let refused = |e: std::io::Error| EngineError::Refused(format!("packing an image: {e}"));
        let program = std::env::current_exe().map_err(refused)?;
        let hash = tokio::task::spawn_blocking({
            let program = program.clone();
            move || {
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(std::fs::File::open(program)?)?;
                Ok::<_, std::io::Error>(hasher.finalize().to_hex()[..16].to_owned())
            }
        });
        let hash = hash.await.map_err(|e| refused(e.into()))?.map_err(refused)?;
        let name = format!("atoll-host:{hash}");
        // Several are made at once, and one of them makes the image.
        let lock = std::env::temp_dir().join(format!("atoll-host-{hash}.lock"));
        let lock = tokio::task::spawn_blocking(move || {
            let file = std::fs::File::create(lock)?;
            file.lock()?;
            Ok::<_, std::io::Error>(file)
        });
        let _lock = lock.await.map_err(|e| refused(e.into()))?.map_err(refused)?;
        if self.engine.image(&name).await?.is_none() {
            let packed = tokio::task::spawn_blocking(move || pack(&program)).await;
            let layer = packed.map_err(|e| refused(e.into()))?.map_err(refused)?;
            self.engine.import(Bytes::from(layer), &name, &[]).await?;
        }
        Ok(name)
    }
}

/// A root file system with this program, what it has loaded, and a shell where there is one.
fn pack(program: &Path) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.follow_symlinks(true);
    // Engines do not know holes.
    tar.sparse(false);
    tar.append_path_with_name(program, inner(Path::new(PROGRAM)))?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    for library in libraries(&maps) {
        tar.append_path_with_name(&library, inner(&library))?;
        for place in loader_places(&library) {
            link(&mut tar, &place, &library)?;
        }
    }
    if Path::new(BUSYBOX).exists() {
        tar.append_path_with_name(BUSYBOX, inner(Path::new(BUSYBOX)))?;
        for name in PROGRAMS {
            link(&mut tar, &Path::new("/bin").join(name), Path::new("busybox"))?;
        }
    }
    if Path::new(AUTHORITIES).exists() {
        tar.append_path_with_name(AUTHORITIES, inner(Path::new(AUTHORITIES)))?;
    }
    let users = "root:x:0:0:root:/root:/bin/sh\n";
    for (path, text) in [("etc/passwd", users), ("etc/group", "root:x:0:\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes())?;
    }
    for (path, mode) in [("tmp", 0o1777), ("var/lib/atoll", 0o755), ("root", 0o755)] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(mode);
        tar.append_data(&mut header, path, std::io::empty())?;
    }
    tar.into_inner()
}

fn inner(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn link(tar: &mut tar::Builder<Vec<u8>>, at: &Path, to: &Path) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    tar.append_link(&mut header, inner(at), to)
}

/// The shared libraries a process has loaded, the loader among them, by the kernel's map of it.
fn libraries(maps: &str) -> Vec<PathBuf> {
    let paths = maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5));
    let mut all: Vec<PathBuf> = paths
        .filter(|path| path.starts_with('/') && path.contains(".so"))
        .map(PathBuf::from)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Where programs look for the loader, by what the architectures' rules say.
fn loader_places(library: &Path) -> Vec<PathBuf> {
    let name = library.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.starts_with("ld-linux") && !name.starts_with("ld-musl") {
        return Vec::new();
    }
    let places = ["/lib64", "/lib"].map(|dir| Path::new(dir).join(name));
    places.into_iter().filter(|place| place != library).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_this_program_holds_what_it_has_loaded() {
        let maps = "7f0-7f1 r--p 00000000 fe:00 1  /usr/lib/x/libc.so.6\n\
                    7f1-7f2 r-xp 00000000 fe:00 1  /usr/lib/x/libc.so.6\n\
                    7f2-7f3 r--p 00000000 fe:00 2  /usr/lib/x/ld-linux-x86-64.so.2\n\
                    7f3-7f4 rw-p 00000000 00:00 0  [heap]\n";
        let found = libraries(maps);
        assert_eq!(found.len(), 2);
        assert_eq!(loader_places(&found[0])[0], Path::new("/lib64/ld-linux-x86-64.so.2"));
        let packed = pack(&std::env::current_exe().unwrap()).unwrap();
        let mut archive = tar::Archive::new(&packed[..]);
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert!(names.iter().any(|name| name == "bin/atoll"), "{names:?}");
        assert!(names.iter().any(|name| name.contains("libc.so")), "{names:?}");
    }
}
