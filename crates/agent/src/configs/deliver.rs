//! Writes the files of instances and tells their programs: whole files under their final names
//! only, and a program is told after its file is there. What is in them is not decided here.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use atoll_model::config::{AssignedConfig, ConfigAck, Notice};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Configs, follow};
use crate::keeper::Record;
use crate::machine::Machine;
use crate::runtime::orders::{Orders, State};
use crate::runtime::place::Place;
use crate::{clock, disk};

/// What could not be delivered is tried again this often.
const AGAIN: Duration = Duration::from_secs(5);
/// A command that tells a program of its file is ended after this time.
const LONGEST: Duration = Duration::from_secs(30);

/// Delivers whatever changes, for ever.
pub async fn deliver(machine: &Arc<Machine>) {
    let configs = &machine.configs;
    for (instance, acks) in configs.acks() {
        machine.board.post_configs(&instance, acks);
    }
    let mut news = configs.follow();
    loop {
        news.borrow_and_update();
        for (instance, config) in configs.followers.quiet(&configs.acks(), clock::instant()) {
            note(machine, &instance, |acks| {
                acks.get_mut(&config).into_iter().for_each(follow::stopped);
            });
        }
        for instance in configs.behind() {
            if configs.begin(&instance) {
                let machine = Arc::clone(machine);
                tokio::spawn(async move {
                    let assigned = machine.configs.of(&instance);
                    deliver_to(&machine, &instance, &assigned).await;
                    machine.configs.end(&instance, &assigned);
                });
            }
        }
        // The sender lives as long as the machine.
        let _ = tokio::time::timeout(AGAIN, news.changed()).await;
    }
}

impl Configs {
    /// One instance is delivered to by one at a time.
    fn begin(&self, instance: &str) -> bool {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(instance.to_owned())
    }

    fn end(&self, instance: &str, delivered: &[AssignedConfig]) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(instance);
        if self.of(instance) != delivered {
            // Something else was assigned meanwhile.
            self.changes.send_modify(|count| *count += 1);
        }
    }
}

/// Brings a running instance to what is assigned to it.
async fn deliver_to(machine: &Arc<Machine>, instance: &str, assigned: &[AssignedConfig]) {
    let place = Place::of(&machine.data, instance);
    let Some(record) = disk::read::<Record>(&place.record()) else {
        // It has not been started yet; its files are written when it is.
        return;
    };
    let has = machine.configs.acks_of(instance);
    let (there, wanted) = (place.clone(), assigned.to_vec());
    let cleared = tokio::task::spawn_blocking(move || {
        make(&there, record.user)?;
        clear(&there, &wanted)
    });
    if let Ok(Err(error)) = cleared.await {
        tracing::warn!(instance, %error, "its configuration could not be cleared");
    }
    for config in assigned {
        let old = has.get(&config.name);
        if old.is_some_and(|ack| ack.version == config.version && ack.error.is_none()) {
            continue;
        }
        let retry = old.is_some_and(|ack| ack.error.is_some());
        let done = one(&place, record.user, config, retry).await;
        if let Err(error) = &done {
            tracing::warn!(instance, config = config.name, %error, "it could not be delivered");
        }
        note(machine, instance, |acks| {
            let ack = acks.entry(config.name.clone()).or_default();
            ack.error = done.as_ref().err().map(ToString::to_string);
            if done.is_ok() {
                ack.version = config.version;
            }
        });
    }
    let stays: BTreeSet<String> =
        machine.configs.of(instance).into_iter().map(|config| config.name).collect();
    note(machine, instance, |acks| acks.retain(|name, _| stays.contains(name)));
}

/// Writes the files of an instance that is about to be started.
///
/// # Errors
/// As the disk says, or what a format has no way to say.
pub async fn place(machine: &Machine, place: &Place, user: Option<u32>) -> io::Result<()> {
    let assigned = machine.configs.of(place.name());
    let (there, wanted) = (place.clone(), assigned.clone());
    let written = tokio::task::spawn_blocking(move || {
        make(&there, user)?;
        clear(&there, &wanted)?;
        wanted.iter().try_for_each(|config| write(&there, user, config).map(drop))
    });
    written.await.map_err(io::Error::other)??;
    note(machine, place.name(), |acks| {
        let ack =
            |c: AssignedConfig| (c.name, ConfigAck { version: c.version, ..ConfigAck::default() });
        *acks = assigned.into_iter().map(ack).collect();
    });
    Ok(())
}

/// The program of an instance has ended: the next one has fetched nothing yet.
pub fn ended(machine: &Machine, instance: &str) {
    note(machine, instance, |acks| acks.values_mut().for_each(follow::stopped));
}

/// Notes what an instance has, and has the server told.
pub(super) fn note(
    machine: &Machine,
    instance: &str,
    change: impl FnOnce(&mut std::collections::BTreeMap<String, ConfigAck>),
) {
    if machine.configs.note(instance, change) {
        machine.board.post_configs(instance, machine.configs.acks_of(instance));
    }
}

async fn one(
    place: &Place,
    user: Option<u32>,
    config: &AssignedConfig,
    retry: bool,
) -> io::Result<()> {
    let (there, wanted) = (place.clone(), config.clone());
    let written = tokio::task::spawn_blocking(move || write(&there, user, &wanted));
    let changed = written.await.map_err(io::Error::other)??;
    match &config.then {
        Some(notice) if changed || retry => tell(place, notice).await,
        _ => Ok(()),
    }
}

/// Makes the directory: its instance may read it, nobody else may look in.
fn make(place: &Place, user: Option<u32>) -> io::Result<()> {
    let dir = place.config();
    fs::create_dir_all(&dir)?;
    fs::set_permissions(&dir, Permissions::from_mode(if user.is_some() { 0o750 } else { 0o700 }))?;
    match user {
        Some(user) => chown(&dir, None, Some(user)),
        None => Ok(()),
    }
}

/// Removes files of what is no longer assigned.
fn clear(place: &Place, assigned: &[AssignedConfig]) -> io::Result<()> {
    let stays: BTreeSet<String> =
        assigned.iter().map(|config| config.file.file_name(&config.name)).collect();
    for entry in fs::read_dir(place.config())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What begins with a dot is on its way to its final name.
        if !name.starts_with('.') && !stays.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes one file, whole or not at all; true, if it is another than before.
fn write(place: &Place, user: Option<u32>, config: &AssignedConfig) -> io::Result<bool> {
    let text = config.file.format.write(&config.values).map_err(io::Error::other)?;
    let path = place.config().join(config.file.file_name(&config.name));
    if fs::read(&path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(false);
    }
    // An instance may be started while it is delivered to: each writes a file of its own.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temp = place.config().join(format!(".{}.{count}", config.name));
    let mode = if user.is_some() { 0o640 } else { 0o600 };
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(mode).open(&temp)?;
    file.write_all(text.as_bytes())?;
    if let Some(user) = user {
        chown(&temp, None, Some(user))?;
    }
    fs::rename(&temp, &path)?;
    Ok(true)
}

/// Tells the program of its new file.
async fn tell(place: &Place, notice: &Notice) -> io::Result<()> {
    match notice {
        Notice::Signal(name) => {
            let signal = format!("SIG{name}").parse::<Signal>().map_err(io::Error::other)?;
            let state: Option<State> = disk::read(&place.state());
            // One that does not run reads its file when it starts.
            if let Some(process) = state.and_then(|state| state.app) {
                process.signal(signal);
            }
            Ok(())
        }
        Notice::Command(words) => run(place, words).await,
    }
}

/// Runs a command as the instance.
async fn run(place: &Place, words: &[String]) -> io::Result<()> {
    let told = |what: String| io::Error::other(format!("its command {:?} {what}", words[0]));
    let orders = disk::read::<Orders>(&place.orders());
    let orders = orders.ok_or_else(|| told("waits for its first start".to_owned()))?;
    let mut command = orders.launch.with_command(words).prepare(false)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = tokio::process::Command::from(command).kill_on_drop(true).spawn();
    let child = child.map_err(|e| told(format!("could not be run: {e}")))?;
    let group = child.id().and_then(|pid| i32::try_from(pid).ok());
    let Ok(output) = tokio::time::timeout(LONGEST, child.wait_with_output()).await else {
        if let Some(group) = group {
            // It leads a session of its own, so nobody else is hit.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        return Err(told(format!("did not end within {}s", LONGEST.as_secs())));
    };
    let output = output?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().last().unwrap_or("it said nothing");
    let said: String = said.chars().take(200).collect();
    Err(told(format!("failed with {}: {said}", output.status)))
}
