//! `targets`: whatever has an `up` series, which agents and the prober write.

use std::time::Duration;

use atoll_metrics::Labels;
use atoll_metrics::promql::Value as Found;
use atoll_model::access::Actor;
use atoll_model::{Monitor, Snapshot, Timestamp};
use axum::Extension;
use axum::extract::State;
use serde_json::{Value, json};

use super::answer::{Result, success};
use super::params::Params;
use crate::App;
use crate::metrics::lanes::Lane;
use crate::metrics::{Ask, Period};

/// `/api/v1/targets`.
pub async fn targets(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result {
    let active = matches!(params.get("state"), None | Some("any" | "active"));
    let pool = params.get("scrapePool");
    let mut found = Vec::new();
    if active {
        let ask = |query: &str| Ask {
            query: query.to_owned(),
            period: Period::At(app.clock.now().0),
            lookback: None,
            patience: Duration::from_secs(10),
        };
        let lane = Lane::Person(&actor.name);
        let up = app.metrics.ask(lane, ask("up")).await?.value;
        let times = app.metrics.ask(lane, ask("timestamp(up)")).await?.value;
        let world = app.cache.world();
        if let (Found::Vector(up), Found::Vector(times)) = (up, times) {
            for (labels, sample) in up {
                let bare = labels.with("__name__", "");
                let at = times.iter().find(|(labels, _)| *labels == bare);
                let at = at.map(|(_, sample)| Timestamp((sample.value * 1000.0) as i64));
                found.push(view(&world, &labels, sample.value, at));
            }
        }
    }
    found.retain(|target| pool.is_none_or(|pool| target["scrapePool"] == pool));
    let counts = json!({});
    Ok(success(json!({
        "activeTargets": found,
        "droppedTargets": [],
        "droppedTargetCounts": counts,
    })))
}

fn view(world: &Snapshot, labels: &Labels, up: f64, at: Option<Timestamp>) -> Value {
    let (job, instance) = (labels.get("job"), labels.get("instance"));
    let monitor = world.get::<Monitor>(labels.get("monitor"));
    let every = monitor.map_or(15_000, |m| m.spec.every.0);
    let timeout = monitor.map_or(every, |m| m.spec.timeout.0);
    let problem = monitor
        .and_then(|m| m.status.reasons.iter().find(|reason| reason.message.starts_with(instance)));
    let url = match instance.contains("://") {
        true => instance.to_owned(),
        false => format!("http://{instance}/"),
    };
    json!({
        "discoveredLabels": { "__address__": instance, "job": job },
        "labels": labels.with("__name__", ""),
        "scrapePool": job,
        "scrapeUrl": url,
        "globalUrl": url,
        "lastError": match problem {
            Some(reason) => reason.message.as_str(),
            None if up > 0.0 => "",
            None => "it did not answer as it should",
        },
        "lastScrape": at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string()),
        "lastScrapeDuration": 0.0,
        "health": if up > 0.0 { "up" } else { "down" },
        "scrapeInterval": atoll_model::Span(every).to_string(),
        "scrapeTimeout": atoll_model::Span(timeout).to_string(),
    })
}
