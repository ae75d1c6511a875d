//! Runs the programs that make machines: one question as JSON on standard input, one answer as JSON
//! on standard output. The contract stands in the guide to pools. It knows no cloud.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use atoll_model::pool::provider::{Containers, Programs};
use atoll_model::pool::{Given, Pool};
use atoll_model::{Object, Span};
use atoll_plan::pool::ask::Unanswered;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// The version of the contract.
const VERSION: u32 = 1;
/// No answer is longer.
const LONGEST_ANSWER: u64 = 8 << 20;
/// So much of what a program complains of is told.
const LONGEST_COMPLAINT: usize = 300;

/// What a program is told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The version of the contract.
    pub version: u32,
    /// `create`, `list` or `delete`.
    pub action: String,
    /// The pool, by which machines are told from others.
    pub pool: String,
    /// The key of the machine, with `create` and `delete`: asked twice with one key, one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the provider calls it, with `delete`, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the machine joins with, once, under its key, with `create`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Where it joins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// The labels its host is given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The zone it is to be in, with `create`: others of the pool may be elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What containers are to be, for the program that makes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containers: Option<Containers>,
}

/// What a program says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Where its machines are: an account, a region, an engine.
    #[serde(default)]
    pub account: String,
    /// The machines of the pool, with `list`; the one that was made, with `create`.
    #[serde(default)]
    pub machines: Vec<Given>,
}

impl Request {
    /// A question about a pool.
    pub fn new(pool: &Object<Pool>, action: &str) -> Request {
        Request {
            version: VERSION,
            action: action.to_owned(),
            pool: pool.meta.name.clone(),
            ..Request::default()
        }
    }

    fn variables(&self) -> BTreeMap<&'static str, String> {
        let given = |value: &Option<String>| value.clone().unwrap_or_default();
        BTreeMap::from([
            ("ATOLL_ACTION", self.action.clone()),
            ("ATOLL_POOL", self.pool.clone()),
            ("ATOLL_KEY", given(&self.key)),
            ("ATOLL_ID", given(&self.id)),
            ("ATOLL_ZONE", given(&self.zone)),
            ("ATOLL_SERVER", self.servers.first().cloned().unwrap_or_default()),
        ])
    }
}

/// Asks the programs of a pool.
///
/// # Errors
/// What went wrong, in words: nothing is known then of what the program has done.
pub async fn programs(
    directories: &[PathBuf],
    programs: &Programs,
    request: &Request,
) -> Result<Said, Unanswered> {
    let line = match request.action.as_str() {
        "create" => &programs.create,
        "list" => &programs.list,
        _ => &programs.delete,
    };
    let (program, arguments) =
        line.split_first().ok_or_else(|| Unanswered::unasked("no program is named"))?;
    // What is listed first tells of the others too, and not only once a machine is to be made.
    for first in [&programs.create, &programs.delete].into_iter().filter_map(|line| line.first()) {
        allowed(directories, first).map_err(Unanswered::unasked)?;
    }
    let program = allowed(directories, program).map_err(Unanswered::unasked)?;
    let mut command = Command::new(program);
    command.args(arguments);
    for (key, value) in &programs.env {
        if Programs::is_kept_back(key) {
            let why = format!("the variable {key} is not given to programs; leave it out");
            return Err(Unanswered::unasked(why));
        }
        command.env(key, value);
    }
    run(command, request, programs.timeout).await
}

/// What is known to be wrong with the programs of a pool before one is run: each that is not where
/// one may be, or that nobody could run.
pub fn unusable(directories: &[PathBuf], programs: &Programs) -> Vec<String> {
    let all =
        [("create", &programs.create), ("list", &programs.list), ("delete", &programs.delete)];
    let named = all.into_iter().filter_map(|(action, line)| Some((action, line.first()?)));
    let wrong = named.filter_map(|(action, program)| {
        let why = match allowed(directories, program) {
            Err(why) => why,
            Ok(path) if is_program(&path) => return None,
            Ok(_) => format!("{program} is no program that may be run"),
        };
        Some(format!("{action}: {why}"))
    });
    wrong.collect()
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// Asks this program, which speaks to container engines.
///
/// # Errors
/// As [`programs`].
pub async fn containers(
    program: &Path,
    containers: &Containers,
    request: &Request,
    timeout: Span,
) -> Result<Said, Unanswered> {
    let mut command = Command::new(program);
    command.args(["provider", "docker"]);
    let request = Request { containers: Some(containers.clone()), ..request.clone() };
    run(command, &request, timeout).await
}

/// A program, where it may be one: below a directory the server was given, wherever links lead.
fn allowed(directories: &[PathBuf], program: &str) -> Result<PathBuf, String> {
    let real = |path: &Path| path.canonicalize().ok();
    let path = Path::new(program);
    let candidates = match path.is_absolute() {
        true => vec![path.to_owned()],
        false => directories.iter().map(|dir| dir.join(path)).collect(),
    };
    let found = candidates.iter().filter_map(|path| real(path)).find(|path| {
        directories.iter().filter_map(|dir| real(dir)).any(|dir| path.starts_with(dir))
    });
    found.ok_or_else(|| {
        format!("{program} is not below a directory the server was given with --pool-programs")
    })
}

/// Runs a command with everything it starts, and ends all of that when its time is over.
async fn run(mut command: Command, request: &Request, timeout: Span) -> Result<Said, Unanswered> {
    command
        .envs(request.variables())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let unrun = |error| Unanswered::unasked(format!("could not run {name}: {error}"));
    let child = command.spawn().map_err(unrun)?;
    let group = Group(child.id());
    let input = serde_json::to_vec(request).map_err(|e| e.to_string())?;
    let talked = tokio::time::timeout(timeout.std(), talk(child, &input)).await;
    drop(group);
    let (status, output, complaint) =
        talked.map_err(|_| format!("no answer within {timeout}"))??;
    if !status.success() {
        let text = String::from_utf8_lossy(&complaint);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        let told = last.map(|line| line.trim().trim_start_matches("error: "));
        let told = told.map(|line| line.chars().take(LONGEST_COMPLAINT).collect());
        return Err(told.unwrap_or_else(|| format!("it said nothing ({status})")).into());
    }
    if output.iter().all(u8::is_ascii_whitespace) && request.action == "delete" {
        return Ok(Said::default());
    }
    serde_json::from_slice(&output).map_err(|error| {
        let text = String::from_utf8_lossy(&output);
        let said: String = text.trim().chars().take(LONGEST_COMPLAINT).collect();
        let said = if said.is_empty() { "nothing".to_owned() } else { format!("{said:?}") };
        format!("its answer is not as agreed: it said {said} ({error})").into()
    })
}

async fn talk(mut child: Child, input: &[u8]) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), String> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err("it has no pipes".to_owned());
    };
    let write = async {
        // One that does not read what it is told may still answer.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (stdout.take(LONGEST_ANSWER), stderr.take(LONGEST_ANSWER));
    let read = stdout.read_to_end(&mut output);
    let hear = stderr.read_to_end(&mut complaint);
    let ((), read, hear) = tokio::join!(write, read, hear);
    read.and(hear).map_err(|e| format!("reading its answer: {e}"))?;
    let status = child.wait().await.map_err(|e| e.to_string())?;
    Ok((status, output, complaint))
}

/// The processes of one command; they end with it.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()) else { return };
        // Where all have ended by themselves there is nobody left to signal.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(dir: &Path, text: &str) -> Programs {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.join("cloud");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        let line = vec!["cloud".to_owned()];
        let (create, list, delete) = (line.clone(), line.clone(), line);
        Programs { create, list, delete, timeout: Span::seconds(5), ..Programs::default() }
    }

    fn list() -> Request {
        Request { action: "list".to_owned(), pool: "web".to_owned(), ..Request::default() }
    }

    #[tokio::test]
    async fn a_program_is_told_and_says() {
        let dir = tempfile::tempdir().unwrap();
        let here = [dir.path().to_owned()];
        let good = script(
            dir.path(),
            "grep -q '\"pool\":\"web\"' || exit 3\n\
             echo '{\"account\":\"a\",\"machines\":[{\"key\":\"k\",\"id\":\"'$ATOLL_ACTION'\"}]}'",
        );
        let said = programs(&here, &good, &list()).await.unwrap();
        assert_eq!((said.account.as_str(), said.machines[0].id.as_str()), ("a", "list"));
        let bad = script(dir.path(), "echo first >&2; echo 'no quota' >&2; exit 1");
        let refused = programs(&here, &bad, &list()).await.unwrap_err();
        assert_eq!(refused, Unanswered::from("no quota".to_owned()));
        let silent = script(dir.path(), "exit 7");
        let why = programs(&here, &silent, &list()).await.unwrap_err();
        assert_eq!(why.why, "it said nothing (exit status: 7)");
        let odd = script(dir.path(), "echo fine");
        let why = programs(&here, &odd, &list()).await.unwrap_err();
        assert!(why.why.contains("not as agreed: it said \"fine\"") && !why.unasked, "{why:?}");
    }

    #[tokio::test]
    async fn what_takes_too_long_ends_with_all_it_began() {
        let dir = tempfile::tempdir().unwrap();
        let here = [dir.path().to_owned()];
        let mut slow = script(dir.path(), "sleep 60 & echo $! > \"$0.pid\"; wait");
        slow.timeout = Span(1_000);
        let why = programs(&here, &slow, &list()).await.unwrap_err();
        assert!(why.why.contains("no answer within 1s") && !why.unasked, "{why:?}");
        let pid = std::fs::read_to_string(dir.path().join("cloud.pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap());
        let ended = async {
            while nix::sys::signal::kill(pid, None).is_ok() {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                if stat.is_ok_and(|stat| stat.contains(") Z")) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), ended).await.unwrap();
    }

    #[test]
    fn programs_that_cannot_be_run_are_known_before() {
        let dir = tempfile::tempdir().unwrap();
        let here = [dir.path().to_owned()];
        let good = script(dir.path(), "echo");
        assert!(unusable(&here, &good).is_empty());
        std::fs::write(dir.path().join("text"), "no program").unwrap();
        let line = |program: &str| vec![program.to_owned()];
        let wrong = Programs { create: line("text"), delete: line("gone"), ..good };
        let told = unusable(&here, &wrong);
        assert_eq!(told[0], "create: text is no program that may be run");
        assert!(told[1].starts_with("delete: gone is not below a directory"), "{told:?}");
        assert_eq!(told.len(), 2);
    }

    #[tokio::test]
    async fn only_what_the_server_was_given_is_run() {
        let dir = tempfile::tempdir().unwrap();
        let here = [dir.path().to_owned()];
        let mut foreign = script(dir.path(), "echo '{}'");
        foreign.list = vec!["/bin/echo".to_owned(), "{}".to_owned()];
        let why = programs(&here, &foreign, &list()).await.unwrap_err();
        assert!(why.why.contains("--pool-programs") && why.unasked, "{why:?}");
        let mut later = script(dir.path(), "echo '{}'");
        later.create = vec!["/bin/echo".to_owned()];
        let why = programs(&here, &later, &list()).await.unwrap_err();
        assert!(why.why.contains("/bin/echo") && why.unasked, "{why:?}");
        std::os::unix::fs::symlink("/bin/echo", dir.path().join("link")).unwrap();
        foreign.list = vec!["link".to_owned(), "{}".to_owned()];
        assert!(programs(&here, &foreign, &list()).await.is_err());
        let mut loaded = script(dir.path(), "echo '{}'");
        loaded.env.insert("LD_PRELOAD".to_owned(), "x".to_owned());
        let why = programs(&here, &loaded, &list()).await.unwrap_err();
        assert!(why.why.contains("LD_PRELOAD") && why.unasked, "{why:?}");
    }
}
