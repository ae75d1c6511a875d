//! Images: looked up, pulled, pushed, built, imported and removed.

use std::collections::HashMap;

use atoll_model::image::{Image, is_digest};
use bollard::query_parameters::{
    BuildImageOptions, CreateImageOptions, PushImageOptions, RemoveImageOptions, TagImageOptions,
};
use bollard::{body_full, models::CreateImageInfo};
use bytes::Bytes;
use futures::StreamExt;

use super::credentials::{all, credentials};
use super::{Engine, EngineError};

/// An image on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// `sha256:…` of its configuration: what it is here.
    pub id: String,
    /// `NAME@sha256:…`: what it is in registries.
    pub digests: Vec<String>,
    /// Bytes.
    pub size: u64,
    /// The user its programs run as, as it says.
    pub user: String,
}

impl Engine {
    /// An image that is here.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn image(&self, reference: &str) -> Result<Option<Found>, EngineError> {
        match self.docker().await?.inspect_image(reference).await.map_err(EngineError::from) {
            Ok(image) => Ok(Some(Found {
                id: image.id.unwrap_or_default(),
                digests: image.repo_digests.unwrap_or_default(),
                size: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                user: image.config.and_then(|config| config.user).unwrap_or_default(),
            })),
            Err(EngineError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fetches an image, from the registry it names or the engine's usual one.
    ///
    /// # Errors
    /// What the registry says.
    pub async fn pull(&self, reference: &str) -> Result<(), EngineError> {
        let image = Image::parse(reference).map_err(|e| EngineError::Refused(e.to_string()))?;
        let tag = image.digest.or(image.tag).unwrap_or("latest");
        let options = CreateImageOptions {
            from_image: Some(image.name()),
            tag: Some(tag.to_owned()),
            ..CreateImageOptions::default()
        };
        let who = credentials(image.registry);
        let docker = self.docker().await?;
        let mut said = docker.create_image(Some(options), None, who);
        while let Some(line) = said.next().await {
            check(line.map_err(EngineError::from)).map_err(EngineError::of_registry)?;
        }
        Ok(())
    }

    /// Sends an image to the registry it names, and gives its digest there.
    ///
    /// # Errors
    /// What the registry says.
    pub async fn push(&self, reference: &str) -> Result<String, EngineError> {
        let image = Image::parse(reference).map_err(|e| EngineError::Refused(e.to_string()))?;
        let options =
            PushImageOptions { tag: image.tag.map(str::to_owned), ..PushImageOptions::default() };
        let docker = self.docker().await?;
        let who = credentials(image.registry);
        let mut said = docker.push_image(&image.name(), Some(options), who);
        let mut digest = None;
        while let Some(line) = said.next().await {
            let line = line.map_err(|e| EngineError::from(e).of_registry())?;
            if let Some(message) = line.error_detail.and_then(|detail| detail.message) {
                return Err(EngineError::Refused(message).of_registry());
            }
            digest = line.status.as_deref().and_then(told_digest).or(digest);
        }
        let told = || EngineError::Refused(format!("no digest was told of {reference}"));
        digest.ok_or_else(told)
    }

    /// Builds an image from a directory packed as a tar, and calls it `tag`. What the build says
    /// goes to `tell`.
    ///
    /// # Errors
    /// What the build says last.
    pub async fn build(
        &self,
        context: Bytes,
        dockerfile: &str,
        tag: &str,
        arguments: HashMap<String, String>,
        mut tell: impl FnMut(&str),
    ) -> Result<(), EngineError> {
        let options = BuildImageOptions {
            dockerfile: dockerfile.to_owned(),
            t: Some(tag.to_owned()),
            buildargs: Some(arguments),
            rm: true,
            forcerm: true,
            ..BuildImageOptions::default()
        };
        let docker = self.docker().await?;
        let mut said = docker.build_image(options, Some(all()), Some(body_full(context)));
        while let Some(line) = said.next().await {
            let line = line.map_err(EngineError::from)?;
            if let Some(message) = line.error_detail.and_then(|detail| detail.message) {
                return Err(EngineError::Refused(message).of_registry());
            }
            if let Some(text) = &line.stream {
                tell(text);
            }
        }
        Ok(())
    }

    /// Makes an image of one layer, which is the tar, with changes in the words of a Dockerfile.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn import(
        &self,
        layer: Bytes,
        tag: &str,
        changes: &[&str],
    ) -> Result<(), EngineError> {
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(tag.to_owned()),
            changes: changes.iter().map(|&change| change.to_owned()).collect(),
            ..CreateImageOptions::default()
        };
        let docker = self.docker().await?;
        let mut said = docker.create_image(Some(options), Some(body_full(layer)), None);
        while let Some(line) = said.next().await {
            check(line.map_err(EngineError::from))?;
        }
        Ok(())
    }

    /// Gives an image a further name.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn tag(&self, image: &str, reference: &str) -> Result<(), EngineError> {
        let parts = Image::parse(reference).map_err(|e| EngineError::Refused(e.to_string()))?;
        let options = TagImageOptions {
            repo: Some(parts.name()),
            tag: Some(parts.tag.unwrap_or("latest").to_owned()),
        };
        Ok(self.docker().await?.tag_image(image, Some(options)).await?)
    }

    /// Takes a name from an image, and the image away when it has no other and nothing uses it.
    ///
    /// # Errors
    /// When it is in use.
    pub async fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        let options = RemoveImageOptions::default();
        let removed = self.docker().await?.remove_image(reference, Some(options), None).await;
        match removed.map_err(EngineError::from) {
            Ok(_) | Err(EngineError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The digest in the last line of a push: `1.0: digest: sha256:… size: 528`.
fn told_digest(status: &str) -> Option<String> {
    let (_, told) = status.split_once("digest: ")?;
    told.split_whitespace().next().filter(|word| is_digest(word)).map(str::to_owned)
}

/// What is said in the middle of a pull may be that it failed.
fn check(line: Result<CreateImageInfo, EngineError>) -> Result<(), EngineError> {
    match line?.error_detail.and_then(|detail| detail.message) {
        Some(message) => Err(EngineError::Refused(message)),
        None => Ok(()),
    }
}
