//! `atoll package`: pushes, lists, shows, fetches and checks packages. How a package is made and
//! sent is the client's.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use atoll_client::{
    Bounds, Client, ClientError, Progress, Seeds, fetch_index, plan_package, push, unpack,
};
use atoll_model::delivery::{EntryContent, PackageEntry, PackageIndex, check_package_name};
use atoll_model::{Any, Kind, Memory, Object, Package, provenance};

use crate::args::{Global, Output};
use crate::clock::now;
use crate::columns::{Cell, cell, size};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::terminal;

/// What `atoll package` does.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a package of a directory, an archive or a file, and send what the server lacks
    Push(Push),
    /// List packages
    List(List),
    /// What a package holds
    Show(Show),
    /// Fetch a package into a directory
    Pull(Pull),
    /// Check a package on the server, or a directory against it, byte by byte, and its signature
    Verify(Verify),
    /// The parts a package was made of, as CycloneDX
    Sbom(Show),
    /// The signed statement of how a package was made
    Provenance(Show),
}

/// What `atoll package push` takes.
#[derive(Debug, clap::Args)]
pub struct Push {
    /// NAME:VERSION
    #[arg(value_name = "NAME:VERSION")]
    package: Reference,
    /// A directory, a .tar, .tar.gz or .tar.zst, or a single file
    path: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// What `atoll package list` takes.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only the versions of this one
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// What `atoll package show` takes.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// NAME:VERSION
    #[arg(value_name = "NAME:VERSION")]
    package: Reference,
    #[command(flatten)]
    output: Output,
}

/// What `atoll package pull` takes.
#[derive(Debug, clap::Args)]
pub struct Pull {
    /// NAME:VERSION
    #[arg(value_name = "NAME:VERSION")]
    package: Reference,
    /// A directory that is empty or not there; named as the package, if absent
    path: Option<PathBuf>,
}

/// What `atoll package verify` takes.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// NAME:VERSION
    #[arg(value_name = "NAME:VERSION")]
    package: Reference,
    /// A directory it was unpacked to; what the server has is checked, if absent
    path: Option<PathBuf>,
    /// Fail where it is not signed
    #[arg(long)]
    signed: bool,
}

/// A version of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reference {
    name: String,
    version: String,
}

impl std::str::FromStr for Reference {
    type Err = String;
    fn from_str(text: &str) -> Result<Reference, String> {
        check_package_name(text).map_err(|e| e.to_string())?;
        let (name, version) = text.split_once(':').unwrap_or((text, ""));
        Ok(Reference { name: name.to_owned(), version: version.to_owned() })
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.name, self.version)
    }
}

/// Does it.
///
/// # Errors
/// The client's; a package that is none.
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    let client = global.client()?;
    match command {
        Command::Push(args) => push_one(&client, args).await,
        Command::List(args) => list(&client, args).await,
        Command::Show(args) => show(&client, args).await,
        Command::Pull(args) => pull(&client, args).await,
        Command::Verify(args) => verify(&client, args).await,
        Command::Sbom(args) => sbom(&client, args).await,
        Command::Provenance(args) => provenance(&client, args).await,
    }
}

async fn push_one(client: &Client, args: Push) -> anyhow::Result<Exit> {
    std::fs::metadata(&args.path)
        .map_err(|e| Failure::usage(format!("reading {}: {e}", args.path.display())))?;
    let line = Mutex::new(terminal::Progress::new(!args.output.output.is_table()));
    let progress = |p: Progress| {
        // On a terminal the last word is what was sent; elsewhere a line a piece would be noise.
        let share = (p.sent * 100).checked_div(p.needed).unwrap_or(100) / 10 * 10;
        let (needed, total) = (size(Memory(p.needed)), size(Memory(p.total)));
        if let Ok(mut line) = line.lock() {
            line.show(&format!("sending {needed} of {total}: {share}%"));
        }
    };
    let Reference { name, version } = &args.package;
    let pushed = push(client, name, version, &args.path, &progress).await;
    if let Ok(mut line) = line.lock() {
        line.clear();
    }
    let pushed = pushed?;
    if !args.output.output.is_table() {
        output::print(&output::object(&pushed.object, args.output.output, now())?)?;
        return Ok(Exit::Done);
    }
    output::print_line(&match pushed.existed {
        true => format!("package {} unchanged", args.package),
        false => format!("package {} pushed", args.package),
    })?;
    let (all, sent) = (size(Memory(pushed.size)), size(Memory(pushed.sent)));
    output::say(&format!("{all}, of which {sent} had to be sent; digest {}", pushed.digest));
    Ok(Exit::Done)
}

async fn list(client: &Client, args: List) -> anyhow::Result<Exit> {
    let mut list = client.list_all(Kind::Package, None).await?;
    if let Some(name) = &args.name {
        list.items.retain(|any| any.of::<Package>().is_some_and(|p| p.spec.name == *name));
    }
    let format = args.output.output;
    if list.items.is_empty() && format.is_table() {
        output::say("there are no packages");
        return Ok(Exit::Done);
    }
    output::print(&output::list(list.items, list.revision, format, now())?)?;
    Ok(Exit::Done)
}

async fn find(client: &Client, package: &Reference) -> anyhow::Result<(Any, Object<Package>)> {
    let name = Package::object_name(&package.name, &package.version);
    let any = client.get(Kind::Package, &name).await?;
    let object = any.of::<Package>().map(|p| Object::clone(p));
    let object = object.ok_or_else(|| Failure::failed(format!("{} is no package", any.id())))?;
    Ok((any, object))
}

async fn index(client: &Client, object: &Object<Package>) -> anyhow::Result<PackageIndex> {
    Ok(fetch_index(client, &object.spec.digest, &Bounds::default()).await?)
}

async fn show(client: &Client, args: Show) -> anyhow::Result<Exit> {
    let (any, object) = find(client, &args.package).await?;
    let format = args.output.output;
    if !format.is_table() {
        output::print(&output::object(&any, format, now())?)?;
        return Ok(Exit::Done);
    }
    let index = index(client, &object).await?;
    output::print(&output::object(&any, Format::Wide, now())?)?;
    let lines = index.entries.iter().map(entry).collect();
    output::print(&format!("\n{}", output::table(lines, format == Format::Wide)))?;
    Ok(Exit::Done)
}

fn entry(entry: &PackageEntry) -> Vec<Cell> {
    let (mode, bytes, path) = match &entry.content {
        EntryContent::Directory => ("directory", String::new(), format!("{}/", entry.path)),
        EntryContent::Link { target } => {
            ("link", String::new(), format!("{} -> {target}", entry.path))
        }
        EntryContent::File { executable, size: bytes, .. } => {
            let mode = if *executable { "program" } else { "file" };
            (mode, size(Memory(*bytes)), entry.path.clone())
        }
    };
    vec![cell("TYPE", mode), cell("SIZE", bytes), cell("PATH", path)]
}

async fn pull(client: &Client, args: Pull) -> anyhow::Result<Exit> {
    let path = args.path.unwrap_or_else(|| PathBuf::from(&args.package.name));
    let (_, object) = find(client, &args.package).await?;
    let index = index(client, &object).await?;
    unpack(client, &index, &path, Seeds::default()).await?;
    output::print_line(&path.display().to_string())?;
    let (files, bytes) = (index.entries.len(), size(Memory(object.spec.size)));
    output::say(&format!("{}: {files} entries, {bytes}", args.package));
    Ok(Exit::Done)
}

async fn verify(client: &Client, args: Verify) -> anyhow::Result<Exit> {
    let (_, object) = find(client, &args.package).await?;
    let signature = signature(client, &object, args.signed).await?;
    let spec = &object.spec;
    if let Some(image) = spec.image_reference() {
        // Its content is its address: who pulls it checks it.
        output::print_line(&format!("package {} is {image}; {signature}", args.package))?;
        return Ok(Exit::Done);
    }
    let index = index(client, &object).await?;
    let found = match args.path {
        Some(path) => digest(path).await?,
        None => {
            // Every piece is checked on its way; what comes out is packed again and compared.
            let directory = tempfile::tempdir()?;
            let path = directory.path().join("package");
            if let Err(error) = unpack(client, &index, &path, Seeds::default()).await {
                let damaged = damaged(client, &index).await?;
                return Err(damaged.map_or_else(
                    || error.into(),
                    |wrong| {
                        let message = format!("{} cannot be put together: {wrong}", args.package);
                        Failure::failed(message).into()
                    },
                ));
            }
            digest(path).await?
        }
    };
    if found != spec.digest {
        let message = format!(
            "{} is not what was pushed: its digest is {}, found was {found}",
            args.package, spec.digest
        );
        return Err(Failure::failed(message).into());
    }
    output::print_line(&format!("package {} is good: {found}; {signature}", args.package))?;
    Ok(Exit::Done)
}

/// Names every piece the server does not have as it was handed in, with a file it is of; none, if
/// all are good.
async fn damaged(client: &Client, index: &PackageIndex) -> anyhow::Result<Option<String>> {
    let mut pieces = std::collections::BTreeMap::new();
    for entry in &index.entries {
        if let EntryContent::File { chunks, .. } = &entry.content {
            for chunk in chunks {
                pieces.entry(chunk.digest.as_str()).or_insert(entry.path.as_str());
            }
        }
    }
    let mut wrong = Vec::new();
    for (digest, path) in &pieces {
        match client.get_blob(digest).await {
            Ok(_) => {}
            Err(ClientError::NotFound(_) | ClientError::Strange { .. }) => {
                wrong.push(format!("{digest} of {path}"));
            }
            Err(ClientError::Problem(problem)) if problem.code == "damaged" => {
                wrong.push(format!("{digest} of {path}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let (bad, all) = (wrong.len(), pieces.len());
    Ok((bad > 0).then(|| {
        let each = wrong.join(", ");
        format!("{bad} of {all} pieces are damaged or missing: {each}; push the same again")
    }))
}

/// What is to be said of the signature of a package. One that is not there is a failure only where
/// it is asked for; one that does not fit always is.
async fn signature(
    client: &Client,
    object: &Object<Package>,
    asked: bool,
) -> anyhow::Result<String> {
    let key = client.provenance_key().await?;
    let envelope = object.status.provenance.as_ref();
    let keys = std::slice::from_ref(&key.key);
    match provenance::verify(&object.spec, envelope, keys) {
        Ok(()) => Ok(format!("signed with key {}", key.keyid)),
        Err(reason) if reason.code == "unsigned" && !asked => {
            Ok(format!("not signed: {}", reason.message))
        }
        Err(reason) => {
            let message = format!("{} is not to be trusted", object.name());
            Err(Failure { exit: Exit::Failed, message, reasons: vec![reason] }.into())
        }
    }
}

async fn sbom(client: &Client, args: Show) -> anyhow::Result<Exit> {
    let (_, object) = find(client, &args.package).await?;
    let digest = object.spec.built.as_ref().and_then(|built| built.sbom.as_ref());
    let missing = || Failure::failed(format!("{} came without a list of its parts", args.package));
    let bytes = client.get_blob(digest.ok_or_else(missing)?).await?;
    output::print(&String::from_utf8_lossy(&bytes))?;
    Ok(Exit::Done)
}

/// The envelope as `-o json` or `-o yaml`; for people, what it says.
async fn provenance(client: &Client, args: Show) -> anyhow::Result<Exit> {
    let (_, object) = find(client, &args.package).await?;
    let missing = || Failure::failed(format!("{} is not signed", args.package));
    let envelope = object.status.provenance.as_ref().ok_or_else(missing)?;
    let text = output::value(envelope, args.output.output, || {
        let said = provenance::said(envelope);
        format!("{}\n", serde_json::to_string_pretty(&said).unwrap_or_default())
    })?;
    output::print(&text)?;
    let signature = signature(client, &object, true).await?;
    output::say(&signature);
    Ok(Exit::Done)
}

/// The digest of what is there, extra files included.
async fn digest(path: PathBuf) -> anyhow::Result<String> {
    let plan = move || plan_package(Path::new(&path), &Bounds::default()).map(|p| p.digest);
    Ok(tokio::task::spawn_blocking(plan).await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_with_their_version() {
        let reference: Reference = "shop:1.2.3-rc1".parse().unwrap();
        assert_eq!(reference.to_string(), "shop:1.2.3-rc1");
        for bad in ["shop", "shop:", ":1", "Shop:1", "shop:../x"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?} was taken");
        }
    }
}
