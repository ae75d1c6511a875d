//! Making a container image of a directory of the workspace: the engine of this host builds it and
//! sends it to its registry. Releases of files are made in `making.rs`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use atoll_client::Backoff;
use atoll_model::ci::run::Content;
use atoll_model::ci::step::ImageRule;
use atoll_model::image::Image;
use atoll_model::{Reason, Timestamp};
use bytes::Bytes;

use super::contain::tried_until;
use super::pick::pick;
use super::place::remove;
use super::{Doer, blocking};
use crate::clock;
use crate::engine::EngineError;
use crate::runtime::shim::log::file;
use crate::runtime::warden::docker_missing;

/// The most that is sent to the engine as what an image is built of: it passes through memory.
const LARGEST_CONTEXT: usize = 256 << 20;
/// The most that is kept of what a build says, in bytes.
const LONGEST_TALK: usize = 1 << 20;
/// Of what a build said before it failed, so many lines are told.
const LAST_LINES: usize = 5;

impl Doer {
    /// Builds an image, calls it `REPOSITORY:VERSION` and sends it there. A registry or an engine
    /// that goes away is waited for as long as the step may take in all.
    pub(super) async fn make_image(
        &self,
        rule: &ImageRule,
        version: &str,
        notes: &mut Vec<Reason>,
    ) -> Result<Content, Reason> {
        let limit = self.record.as_ref().map(|r| r.task.work.limits.timeout).unwrap_or_default();
        let (deadline, until) = (clock::instant() + limit.std(), clock::now() + limit);
        let reference = format!("{}:{version}", rule.repository);
        let refused = |e: &dyn std::fmt::Display| {
            let message = format!("{reference} is no name of an image: {e}");
            Reason::new("image-refused", message).hint("correct release.image.repository")
        };
        let named = Image::parse(&reference).map_err(|e| refused(&e))?;
        if named.tag != Some(version) || named.digest.is_some() {
            return Err(refused(&"the repository comes without a tag"));
        }
        let late = || {
            let message = format!("{reference} was not built within {limit}");
            Reason::new("time-limit", message).hint("raise limits.timeout")
        };
        let context = self.context(rule, notes).await?;
        let build = self.build(context, &rule.dockerfile, &reference);
        tokio::time::timeout_at(deadline.into(), build).await.map_err(|_| late())??;
        self.machine.images.own(&reference);
        let digest = self.push(&reference, deadline, until).await?;
        Ok(Content::Image { repository: rule.repository.clone(), digest })
    }

    /// The directory it is built of, as a tar. Links that lead out of the workspace are not in it.
    async fn context(&self, rule: &ImageRule, notes: &mut Vec<Reason>) -> Result<Bytes, Reason> {
        let (work, stage) = (self.place.work(), self.place.transit().join("context"));
        let inside = rule.context.clone();
        let (packed, left_out) = blocking("pack what its image is built of", move || {
            remove(&stage)?;
            std::fs::create_dir_all(&stage)?;
            let picked = pick(&work, std::slice::from_ref(&inside), &stage)?;
            let packed = match picked.taken {
                0 => Some(Bytes::new()),
                _ => pack(&stage.join(&inside))?,
            };
            Ok((packed, picked.left_out))
        })
        .await?;
        if let Some(first) = left_out.first() {
            let message = format!("{} is no file and not in the image", first.display());
            notes.push(Reason::new("context-incomplete", message));
        }
        match packed {
            Some(packed) if packed.is_empty() => {
                let message = format!("there is nothing at {} to build an image of", rule.context);
                Err(Reason::new("context-missing", message))
            }
            Some(packed) => Ok(packed),
            None => {
                let most = LARGEST_CONTEXT >> 20;
                let message = format!("{} holds more than {most} MiB", rule.context);
                let hint = "build of a directory that holds only what belongs in the image";
                Err(Reason::new("context-too-large", message).hint(hint))
            }
        }
    }

    /// Builds it. What the build says is a part of the step's log.
    async fn build(&self, context: Bytes, dockerfile: &str, tag: &str) -> Result<(), Reason> {
        let mut said = String::new();
        let tell = |text: &str| {
            if said.len() + text.len() <= LONGEST_TALK {
                said.push_str(text);
            }
        };
        let engine = &self.machine.engine;
        let built = engine.build(context, dockerfile, tag, HashMap::new(), tell).await;
        let log = File::options().create(true).append(true).open(file(&self.place.shim.log(), 0));
        if let Err(error) = log.and_then(|mut log| log.write_all(said.as_bytes())) {
            tracing::warn!(task = self.place.name(), %error, "what its build said is not kept");
        }
        built.map_err(|error| {
            if error.is_away() {
                return docker_missing(&error);
            }
            let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
            let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
            let message = format!("{tag} cannot be built: {error}; its last words: {last}");
            Reason::new("build-failed", message).hint("correct the Dockerfile, or what it copies")
        })
    }

    /// Sends it to its registry, again and again until the time is over, and gives its digest.
    async fn push(
        &self,
        reference: &str,
        deadline: Instant,
        until: Timestamp,
    ) -> Result<String, Reason> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        loop {
            let push = self.machine.engine.push(reference);
            let Ok(pushed) = tokio::time::timeout_at(deadline.into(), push).await else {
                return Err(not_pushed(reference, &EngineError::RegistryDown(SLOW.to_owned())));
            };
            let error = match pushed {
                Ok(digest) => return Ok(digest),
                Err(error) => error,
            };
            let passes = matches!(error, EngineError::RegistryDown(_) | EngineError::Away(_));
            let wait = backoff.next_wait();
            if !passes || clock::instant() + wait >= deadline {
                return Err(not_pushed(reference, &error));
            }
            tracing::warn!(task = self.place.name(), %error, "it is sent again");
            self.post_waiting(Some(tried_until(not_pushed(reference, &error), until)));
            tokio::time::sleep(wait).await;
        }
    }
}

/// What is said of a registry that took longer than there was time.
const SLOW: &str = "its registry has not taken all of it in time";

fn not_pushed(reference: &str, error: &EngineError) -> Reason {
    let message = format!("{reference} cannot be pushed: {error}");
    let registry = reference.split('/').next().unwrap_or_default();
    match error {
        EngineError::Missing { .. } | EngineError::Away(_) => docker_missing(error),
        EngineError::Unauthorised(_) => Reason::new("image-unauthorised", message)
            .hint(format!("on the host, as the agent's user: docker login {registry}")),
        EngineError::RegistryDown(_) => Reason::new("registry-down", message)
            .hint(format!("see whether {registry} is reached from the host, and run it again")),
        _ => Reason::new("image-refused", message),
    }
}

/// A tar of a directory, the same for the same content; none, if it is too large.
fn pack(dir: &Path) -> io::Result<Option<Bytes>> {
    let mut builder = tar::Builder::new(Bounded(Vec::new()));
    builder.follow_symlinks(false);
    builder.mode(tar::HeaderMode::Deterministic);
    let packed = builder.append_dir_all(".", dir).and_then(|()| builder.into_inner());
    match packed {
        Ok(Bounded(bytes)) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
        Err(error) => Err(error),
    }
}

/// Bytes in memory, which are not too many.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST_CONTEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
