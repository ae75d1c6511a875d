//! `atoll pipeline run`: begins a run of a pipeline of the server, or of a directory here, whose
//! files are sent as they are, committed or not.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use atoll_client::{Bounds, Client, PackagePlan, deposit, plan_package};
use atoll_model::api::RunRequest;
use atoll_model::ci::pipeline::ParamKind;
use atoll_model::{Kind, Memory, Object, Pipeline};
use serde_json::Value;

use super::{as_pipeline, follow};
use crate::columns::size;
use crate::exit::{Exit, Failure};
use crate::{files, output};

/// The manifest of a directory.
const MANIFEST: &str = "atoll.yaml";

/// What `atoll pipeline run` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A pipeline of the server, or a directory with an atoll.yaml [default: this directory]
    #[arg(value_name = "NAME|DIR")]
    what: Option<String>,
    /// Which pipeline of the directory, where it holds several
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// The branch; the pipeline's own, if absent
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// The commit; the newest of the branch, if absent
    #[arg(long, value_name = "HASH")]
    commit: Option<String>,
    /// A parameter; may be repeated
    #[arg(short = 'p', long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// The same key begins one run, however often this is called
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Begin it only, and print its name
    #[arg(long)]
    no_follow: bool,
}

/// `KEY=VALUE`.
///
/// # Errors
/// It is not written so.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| format!("{text:?}: write it as KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Begins the run, and follows it to its end.
///
/// # Errors
/// The client's; a directory without a pipeline.
pub(super) async fn run(client: &Client, args: Args) -> anyhow::Result<Exit> {
    let what = args.what.clone().unwrap_or_else(|| ".".to_owned());
    let is_path = what.contains(['/', '.']) || Path::new(&what).join(MANIFEST).is_file();
    let (name, request) = match is_path {
        true => of_directory(client, &args, Path::new(&what)).await?,
        false => of_server(client, &args, what).await?,
    };
    let begun = client.begin_run(&name, &request).await?;
    let word = if begun.existed { "was begun before" } else { "begins" };
    output::say(&format!("run {} {word}", begun.run));
    if args.no_follow {
        output::print_line(&begun.run)?;
        return Ok(Exit::Done);
    }
    follow::follow(client, &follow::Of { run: begun.run, step: None }).await
}

async fn of_server(
    client: &Client,
    args: &Args,
    name: String,
) -> anyhow::Result<(String, RunRequest)> {
    let any = client.get(Kind::Pipeline, &name).await?;
    // Parameters may be declared in the repository only: values are then read as they look.
    let known = as_pipeline(&any).map(|pipeline| &pipeline.spec);
    let request = RunRequest {
        key: args.key.clone(),
        branch: args.branch.clone(),
        commit: args.commit.clone(),
        params: params(args, known),
        ..RunRequest::default()
    };
    Ok((name, request))
}

async fn of_directory(
    client: &Client,
    args: &Args,
    dir: &Path,
) -> anyhow::Result<(String, RunRequest)> {
    if args.branch.is_some() || args.commit.is_some() {
        let message = "--branch and --commit are for pipelines of the server; a directory is \
                       run as it is";
        return Err(Failure::usage(message).into());
    }
    let found = files::read(&[dir.join(MANIFEST)])?;
    let mut all = found.iter().filter_map(as_pipeline);
    let wanted = |pipeline: &&Object<Pipeline>| {
        args.pipeline.as_ref().is_none_or(|name| pipeline.meta.name == *name)
    };
    let names: Vec<&str> = all.clone().map(|pipeline| pipeline.name()).collect();
    let chosen = match (all.clone().filter(wanted).count(), all.find(wanted)) {
        (1, Some(pipeline)) => pipeline,
        (0, _) | (_, None) => {
            let message = format!("{} holds no such Pipeline", dir.join(MANIFEST).display());
            return Err(Failure::usage(message).into());
        }
        _ => {
            let message = format!("choose with --pipeline: {}", names.join(", "));
            return Err(Failure::usage(message).into());
        }
    };
    let source = send(client, dir).await?;
    let request = RunRequest {
        key: args.key.clone(),
        source: Some(source),
        definition: Some(Box::new(chosen.spec.clone())),
        params: params(args, Some(&chosen.spec)),
        ..RunRequest::default()
    };
    Ok((chosen.meta.name.clone(), request))
}

/// Parameters of the types they are declared with.
fn params(args: &Args, known: Option<&Pipeline>) -> std::collections::BTreeMap<String, Value> {
    let read = |text: &str| serde_json::from_str(text).ok();
    let typed = |key: &str, text: &str| {
        let rule = known.and_then(|pipeline| pipeline.params.get(key)).map(|rule| rule.kind);
        let value: Option<Value> = match rule {
            Some(ParamKind::String) => None,
            Some(kind) => read(text).filter(|value| kind.admits(value)),
            None => read(text).filter(|value: &Value| value.is_number() || value.is_boolean()),
        };
        value.unwrap_or_else(|| Value::String(text.to_owned()))
    };
    args.params.iter().map(|(key, text)| (key.clone(), typed(key, text))).collect()
}

/// Sends the files of a directory that the server lacks; returns the digest of their index.
async fn send(client: &Client, dir: &Path) -> anyhow::Result<String> {
    let from = dir.to_owned();
    let plan = tokio::task::spawn_blocking(move || pack(&from)).await??;
    let plan = Arc::new(plan);
    let sent = deposit(client, &plan).await?;
    let (all, sent) = (size(Memory(plan.size)), size(Memory(sent)));
    output::say(&format!("{}: {all}, of which {sent} had to be sent", dir.display()));
    Ok(plan.digest.clone())
}

/// The files of a directory: in a work tree of git, those that git does not ignore.
fn pack(dir: &Path) -> anyhow::Result<PackagePlan> {
    let bounds = Bounds::default();
    let Some(files) = known_to_git(dir) else {
        return Ok(plan_package(dir, &bounds)?);
    };
    let archive = tempfile::Builder::new().suffix(".tar").tempfile()?;
    let mut tar = Command::new("tar")
        .arg("--create")
        .arg("--file")
        .arg(archive.path())
        .arg("--directory")
        .arg(dir)
        .args(["--null", "--no-recursion", "--files-from=-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("running tar to pack the directory")?;
    let mut input = tar.stdin.take().context("writing to tar")?;
    for file in &files {
        input.write_all(file.as_os_str().as_encoded_bytes())?;
        input.write_all(b"\0")?;
    }
    drop(input);
    if !tar.wait()?.success() {
        return Err(Failure::failed(format!("tar could not pack {}", dir.display())).into());
    }
    Ok(plan_package(archive.path(), &bounds)?)
}

/// Files that git tracks, or would; none where there is no git or no work tree.
fn known_to_git(dir: &Path) -> Option<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(dir)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !listed.status.success() || listed.stdout.is_empty() {
        return None;
    }
    let text = String::from_utf8(listed.stdout).ok()?;
    let mut files: Vec<PathBuf> = text.split('\0').map(PathBuf::from).collect();
    // One that was deleted and not yet taken out of the index is listed too.
    files.retain(|file| {
        !file.as_os_str().is_empty() && std::fs::symlink_metadata(dir.join(file)).is_ok()
    });
    files.sort();
    files.dedup();
    Some(files)
}
