//! Giving a secret its value. No route gives one back.

use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::{Any, Object, Reason, Secret};
use atoll_plan::edit;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;

use super::error::{Answer, ApiError};
use crate::{App, secrets};

/// `PUT /v1/secrets/{name}/value`.
pub async fn set(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    value: Bytes,
) -> Answer<StatusCode> {
    atoll_model::name::check_simple(&name)
        .map_err(|e| ApiError::invalid(format!("secret {e}"), Vec::new()))?;
    if value.is_empty() || value.len() > secrets::LARGEST {
        let title = format!("a value has 1 to {} bytes, not {}", secrets::LARGEST, value.len());
        return Err(ApiError::invalid(title, Vec::new()));
    }
    let id = app.keep_sealed(&name, &value).await.map_err(ApiError::internal)?;
    app.commit(&actor, None, |cx| {
        let stored = cx.world.get::<Secret>(&name).map(|stored| Object::clone(stored));
        let mut secret = stored.unwrap_or_else(|| Object::new(name.clone(), Secret::default()));
        secret.spec.sealed = Some(id.clone());
        let mut plan = edit::apply(cx, vec![Any::Secret(Arc::new(secret))])?;
        plan.reasons.push(Reason::new("secret-set", format!("the value of {name} was set")));
        Ok(plan)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
