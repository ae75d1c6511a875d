//! Facts of a host's owner: executable files that print JSON, run by the agent; and their
//! counterparts that make a fact so. A plug-in that hangs, fails or prints no JSON is told of in
//! its place and keeps nobody else from being heard.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A plug-in is given so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of what it prints is taken.
const LARGEST: u64 = 64 << 10;
/// So many are run.
const MOST: usize = 64;

/// Where plug-ins lie: the agent's own directory, and the system's.
pub fn directories(data: &Path) -> [PathBuf; 2] {
    [PathBuf::from("/etc/atoll/facts.d"), data.join("facts.d")]
}

/// What all plug-ins say, by their names. The agent's own come after the system's.
pub fn custom(directories: &[PathBuf]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for directory in directories {
        for path in programs(directory) {
            let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default().to_owned();
            let said = run(Command::new(&path)).and_then(|out| {
                serde_json::from_slice(&out).map_err(|e| format!("printed no JSON: {e}"))
            });
            found.insert(stem, said.unwrap_or_else(|why| json!({ "error": why })));
        }
    }
    found
}

/// The executable files of a directory that only its owner can change: what others may write is
/// not run.
fn programs(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|p| runs(p)).collect();
    all.sort();
    all.truncate(MOST);
    all
}

fn runs(path: &Path) -> bool {
    let mode = fs::metadata(path).map(|m| (m.is_file(), m.permissions().mode()));
    mode.is_ok_and(|(file, mode)| file && mode & 0o111 != 0 && mode & 0o002 == 0)
}

/// Has the owner's program make a fact so: `mend.d/PATH` of the agent's directory or the system's,
/// with the value as its only argument.
///
/// # Errors
/// There is none, or it failed.
pub fn mend(data: &Path, fact: &str, value: &Value) -> Result<(), String> {
    let places = [PathBuf::from("/etc/atoll/mend.d"), data.join("mend.d")];
    let program = places.iter().map(|place| place.join(fact)).find(|path| runs(path));
    let program = program.ok_or_else(|| format!("there is no program mend.d/{fact} here"))?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut command = Command::new(program);
    command.arg(text);
    run(command).map(drop)
}

/// The last of what a program complains of that is looked at for its last line, in bytes.
const COMPLAINT: usize = 4 << 10;
/// So much of that line is told.
const TOLD: usize = 300;
/// What it takes to read the rest of what was complained of, once nobody can complain any more.
const REST: Duration = Duration::from_secs(1);

/// Reads to the end, and hands on the last line that is not empty.
fn last_line(mut complaints: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (done, line) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut tail, mut piece) = (Vec::new(), [0; COMPLAINT]);
        while let Ok(count @ 1..) = complaints.read(&mut piece) {
            tail.extend_from_slice(&piece[..count]);
            tail.drain(..tail.len().saturating_sub(COMPLAINT));
        }
        let text = String::from_utf8_lossy(&tail);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        // Nobody waits any more: then nobody is told.
        let _ = done.send(last.chars().take(TOLD).collect());
    });
    line
}

/// Runs a program to its end and returns what it printed.
fn run(mut command: Command) -> Result<Vec<u8>, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|e| format!("could not be started: {e}"))?;
    let group = Pid::from_raw(child.id() as i32);
    let complaint = child.stderr.take().map(last_line);
    let why = |what: String| {
        let line = complaint.as_ref().and_then(|line| line.recv_timeout(REST).ok());
        let line = line.filter(|line| !line.is_empty());
        line.map_or_else(|| what.clone(), |line| format!("{what}: {line}"))
    };
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(out) = child.stdout.take() {
            // One that prints without end is cut off here, and ends when nobody reads any more.
            let _ = out.take(LARGEST + 1).read_to_end(&mut text);
        }
        // Nobody waits any more: then nobody is told.
        let _ = done.send((text, child.wait()));
    });
    let Ok((text, status)) = ended.recv_timeout(PATIENCE) else {
        let _ = killpg(group, Signal::SIGKILL);
        return Err(why(format!("took longer than {} s", PATIENCE.as_secs())));
    };
    // What it has started and left behind goes with it.
    let _ = killpg(group, Signal::SIGKILL);
    if text.len() as u64 > LARGEST {
        return Err(format!("printed more than {LARGEST} bytes"));
    }
    match status.map_err(|e| e.to_string())? {
        status if status.success() => Ok(text),
        status => Err(why(format!("failed: {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plug_in(directory: &Path, name: &str, script: &str, mode: u32) {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn plug_ins_are_heard_and_bad_ones_told_of() {
        let dir = tempfile::tempdir().unwrap();
        plug_in(dir.path(), "rack.sh", "echo '{\"row\": 3}'", 0o755);
        plug_in(dir.path(), "garbage", "echo nonsense", 0o755);
        plug_in(dir.path(), "fails", "exit 3", 0o755);
        plug_in(dir.path(), "endless", "yes", 0o755);
        plug_in(dir.path(), "anybodys", "echo 1", 0o777);
        plug_in(dir.path(), "no-program", "echo 1", 0o644);
        let said = custom(&[dir.path().to_owned()]);
        let names: Vec<&str> = said.keys().map(String::as_str).collect();
        assert_eq!(names, ["endless", "fails", "garbage", "rack"]);
        assert_eq!(said["rack"]["row"], 3);
        let error = |name: &str| said[name]["error"].as_str().unwrap().to_owned();
        assert!(error("garbage").contains("no JSON") && error("fails").contains("exit status: 3"));
        assert!(error("endless").contains("more than") || error("endless").contains("failed"));
    }

    #[test]
    fn a_fact_is_made_so() {
        let dir = tempfile::tempdir().unwrap();
        let (mend_d, out) = (dir.path().join("mend.d"), dir.path().join("out"));
        fs::create_dir(&mend_d).unwrap();
        plug_in(&mend_d, "os.motd", &format!("echo \"$1\" > {}", out.display()), 0o755);
        mend(dir.path(), "os.motd", &json!("hello")).unwrap();
        assert_eq!(fs::read_to_string(out).unwrap(), "hello\n");
        plug_in(&mend_d, "os.bad", "yes >&2 & echo no such thing >&2; kill $!; exit 3", 0o755);
        let why = mend(dir.path(), "os.bad", &json!(1)).unwrap_err();
        assert!(why.starts_with("failed: exit status: 3: "), "{why}");
        plug_in(&mend_d, "os.says", "echo first >&2; echo 'no such thing' >&2; exit 3", 0o755);
        let why = mend(dir.path(), "os.says", &json!(1)).unwrap_err();
        assert_eq!(why, "failed: exit status: 3: no such thing");
        assert!(mend(dir.path(), "os.other", &json!(1)).unwrap_err().contains("no program"));
    }
}
