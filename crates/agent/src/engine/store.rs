//! Networks and volumes: made where they are missing, removed by name or by label.

use std::collections::HashMap;

use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    InspectNetworkOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions,
};

use super::container::filter;
use super::{Engine, EngineError};

impl Engine {
    /// Sees to it that there is a network of its own for containers, in which they know each
    /// other by name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn ensure_network(
        &self,
        name: &str,
        labels: &HashMap<String, String>,
    ) -> Result<(), EngineError> {
        let _one = self.making.lock().await;
        let docker = self.docker().await?;
        let found = docker.inspect_network(name, None::<InspectNetworkOptions>).await;
        match found.map_err(EngineError::from) {
            Ok(_) => return Ok(()),
            Err(EngineError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let wanted = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            labels: Some(labels.clone()),
            ..NetworkCreateRequest::default()
        };
        match docker.create_network(wanted).await.map_err(EngineError::from) {
            // Another keeper was faster.
            Ok(_) | Err(EngineError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The networks with that label.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn networks(&self, label: &str) -> Result<Vec<String>, EngineError> {
        let options = ListNetworksOptions { filters: Some(filter(label)) };
        let all = self.docker().await?.list_networks(Some(options)).await?;
        Ok(all.into_iter().filter_map(|network| network.name).collect())
    }

    /// Removes a network that nothing is in.
    ///
    /// # Errors
    /// When something is.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        match self.docker().await?.remove_network(name).await.map_err(EngineError::from) {
            Ok(()) | Err(EngineError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sees to it that there is a volume. One that is there stays as it is.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn ensure_volume(
        &self,
        name: &str,
        labels: &HashMap<String, String>,
    ) -> Result<(), EngineError> {
        let wanted = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone()),
            ..VolumeCreateRequest::default()
        };
        self.docker().await?.create_volume(wanted).await?;
        Ok(())
    }

    /// The volumes with that label.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn volumes(&self, label: &str) -> Result<Vec<String>, EngineError> {
        let options = ListVolumesOptions { filters: Some(filter(label)) };
        let all = self.docker().await?.list_volumes(Some(options)).await?;
        Ok(all.volumes.into_iter().flatten().map(|volume| volume.name).collect())
    }

    /// Removes a volume with all that is in it.
    ///
    /// # Errors
    /// When a container uses it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let options = None::<RemoveVolumeOptions>;
        match self.docker().await?.remove_volume(name, options).await.map_err(EngineError::from) {
            Ok(()) | Err(EngineError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
