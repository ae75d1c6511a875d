//! `query`, `query_range` and what only looks at the text of an expression.

use atoll_metrics::promql::{self, Value};
use atoll_model::access::Actor;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::answer::{Result, Wrong, measured, success};
use super::limit::{limit, narrowed};
use super::params::Params;
use crate::App;
use crate::metrics::lanes::Lane;
use crate::metrics::{Ask, Period};

/// So many points of one series, as in Prometheus.
const MOST_POINTS: i64 = 11_000;

/// `/api/v1/query`.
pub async fn query(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result {
    let now = app.clock.now();
    let at = params.time("time")?.unwrap_or(now.0);
    answer(&app, &actor, &params, Period::At(at)).await
}

/// `/api/v1/query_range`.
pub async fn query_range(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result {
    params.needed("start")?;
    params.needed("end")?;
    params.needed("step")?;
    let start = params.time("start")?.unwrap_or_default();
    let end = params.time("end")?.unwrap_or_default();
    let step = params.span("step")?.unwrap_or_default();
    if end < start {
        let message = "invalid parameter \"end\": end timestamp must not be before start time";
        return Err(Wrong::bad_data(message));
    }
    if step <= 0 {
        let message = "invalid parameter \"step\": zero or negative query resolution step widths \
                       are not accepted. Try a positive integer";
        return Err(Wrong::bad_data(message));
    }
    if end.saturating_sub(start) / step > MOST_POINTS {
        let message = "exceeded maximum resolution of 11,000 points per timeseries. Try \
                       decreasing the query resolution (?step=XX)";
        return Err(Wrong::bad_data(message));
    }
    answer(&app, &actor, &params, Period::Range(start, end, step)).await
}

async fn answer(app: &App, actor: &Actor, params: &Params, period: Period) -> Result {
    let limited = limit(&app.cache.world(), actor);
    let ask = Ask {
        query: narrowed(params.needed("query")?, limited.as_deref())?,
        period,
        lookback: params.span("lookback_delta")?,
        patience: params.patience()?,
    };
    let limit = params.limit()?;
    let began = app.clock.elapsed();
    let found = app.metrics.ask(Lane::Person(&actor.name), ask).await;
    let took = app.clock.elapsed().saturating_sub(began);
    app.figures.observe("atoll_query_duration_seconds", &[("lane", "people")], took);
    let mut answer = found?;
    if let Some(limit) = limit {
        let cut = match &mut answer.value {
            Value::Vector(all) => cut(all, limit),
            Value::Matrix(all) => cut(all, limit),
            Value::Scalar(_) | Value::String { .. } => false,
        };
        if cut {
            answer.warnings.push("results truncated due to limit".to_owned());
        }
    }
    Ok(measured(&answer, app.clock.now()))
}

fn cut<T>(all: &mut Vec<T>, limit: usize) -> bool {
    let longer = all.len() > limit;
    all.truncate(limit);
    longer
}

/// `/api/v1/format_query`.
pub async fn format_query(params: Params) -> Result {
    let text = promql::format(params.needed("query")?)?;
    Ok(success(text))
}

/// `/api/v1/query_exemplars`: exemplars are not kept.
pub async fn exemplars(params: Params) -> Result<Response> {
    promql::check(params.needed("query")?)?;
    Ok(success(Vec::<()>::new()))
}
