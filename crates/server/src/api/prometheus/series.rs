//! `series`, `labels`, `label/…/values` and `metadata`.

use std::collections::{BTreeMap, BTreeSet};

use atoll_metrics::promql::QueryError;
use atoll_metrics::{LabelQuery, Labels, Source, SourceError};
use atoll_model::access::Actor;
use axum::Extension;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::answer::{Result, Wrong, json_text, limited, success};
use super::limit::{limit, narrowed_sets, whole};
use super::params::Params;
use crate::App;
use crate::metrics::lanes::Lane;

/// So many series are listed at most.
const MOST_SERIES: usize = 200_000;

/// `/api/v1/series`.
pub async fn series(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result {
    let sets = params.sets()?;
    if sets.is_empty() {
        return Err(Wrong::bad_data("no match[] parameter provided"));
    }
    let seen = limit(&app.cache.world(), &actor);
    let sets = narrowed_sets(sets, seen.as_deref())?;
    let from = params.time("start")?.unwrap_or(i64::MIN);
    let to = params.time("end")?.unwrap_or(i64::MAX);
    let limit = params.limit()?;
    if let Some(answer) = asked_elsewhere(&app, "series", &params, seen.as_deref()).await? {
        return Ok(answer);
    }
    let work = move |storage: &atoll_metrics::storage::Storage| {
        let mut found: BTreeSet<Labels> = BTreeSet::new();
        for matchers in &sets {
            for selected in storage.select(matchers, from, to)? {
                found.insert(selected.labels().clone());
                if found.len() > MOST_SERIES {
                    let message = format!("more than {MOST_SERIES} series; narrow match[]");
                    return Err(QueryError::Limit(message));
                }
            }
        }
        Ok(found.into_iter().collect::<Vec<Labels>>())
    };
    let lane = Lane::Person(&actor.name);
    let found = app.metrics.look(lane, params.patience()?, work).await?;
    Ok(limited(found, limit))
}

fn question(params: &Params, seen: Option<&[String]>) -> Result<LabelQuery> {
    let limit = params.limit()?.map(|limit| limit.saturating_add(1));
    let (from, to) = (params.time("start")?, params.time("end")?);
    Ok(LabelQuery { sets: narrowed_sets(params.sets()?, seen)?, from, to, limit })
}

/// `/api/v1/labels`.
pub async fn labels(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result {
    let seen = limit(&app.cache.world(), &actor);
    let question = question(&params, seen.as_deref())?;
    if let Some(answer) = asked_elsewhere(&app, "labels", &params, seen.as_deref()).await? {
        return Ok(answer);
    }
    let lane = Lane::Person(&actor.name);
    let work = move |storage: &atoll_metrics::storage::Storage| {
        storage.label_names(&question).map_err(QueryError::from)
    };
    let names = app.metrics.look(lane, params.patience()?, work).await?;
    Ok(limited(names, params.limit()?))
}

/// `/api/v1/label/{name}/values`.
pub async fn values(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    params: Params,
) -> Result {
    let seen = limit(&app.cache.world(), &actor);
    let question = question(&params, seen.as_deref())?;
    // Names that are not plain words come as U__ with their odd characters in hex.
    let name = unescape(&name);
    if name.is_empty() {
        return Err(Wrong::bad_data("invalid label name: \"\""));
    }
    let path = format!("label/{name}/values");
    if let Some(answer) = asked_elsewhere(&app, &path, &params, seen.as_deref()).await? {
        return Ok(answer);
    }
    let work = move |storage: &atoll_metrics::storage::Storage| {
        storage.label_values(&name, &question).map_err(QueryError::from)
    };
    let lane = Lane::Person(&actor.name);
    let found = app.metrics.look(lane, params.patience()?, work).await?;
    Ok(limited(found, params.limit()?))
}

/// The name behind its escaped form; another is left as it is.
fn unescape(name: &str) -> String {
    let Some(rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut text = String::new();
    let mut parts = rest.split('_');
    text.push_str(parts.next().unwrap_or_default());
    let mut is_code = true;
    for part in parts {
        let code = u32::from_str_radix(part, 16).ok().and_then(char::from_u32);
        match (is_code, part, code) {
            (true, "", _) => text.push('_'),
            (true, _, Some(character)) => text.push(character),
            (true, _, None) => return name.to_owned(),
            (false, _, _) => text.push_str(part),
        }
        is_code = !is_code;
    }
    text
}

/// The answer of the other server, where there is one: it has what this one has, and more.
async fn asked_elsewhere(
    app: &App,
    path: &str,
    params: &Params,
    seen: Option<&[String]>,
) -> Result<Option<axum::response::Response>> {
    let Some(remote) = &app.metrics.remote else { return Ok(None) };
    whole(seen)?;
    let form: Vec<(&str, String)> =
        params.pairs().map(|(name, value)| (name, value.to_owned())).collect();
    let text = remote.get(path, &form).await?;
    if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
        let why = SourceError::Broken(format!("the answer of the remote server to {path}"));
        return Err(QueryError::from(why).into());
    }
    Ok(Some(json_text(text)))
}

/// `/api/v1/metadata`.
pub async fn metadata(State(app): State<App>, params: Params) -> Result {
    let limit = params.limit()?.unwrap_or(usize::MAX);
    let metric = params.get("metric");
    let families = app.metrics.families();
    let wanted = families.iter().filter(|f| metric.is_none_or(|name| f.name == name));
    let found: BTreeMap<&str, Value> = wanted
        .take(limit)
        .map(|f| {
            let one = json!([{ "type": f.kind.as_str(), "help": f.help, "unit": f.unit }]);
            (f.name.as_str(), one)
        })
        .collect();
    Ok(success(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_labels_are_unescaped() {
        assert_eq!(unescape("job"), "job");
        assert_eq!(unescape("U__a_2e_b"), "a.b");
        assert_eq!(unescape("U__a__b"), "a_b");
    }
}
