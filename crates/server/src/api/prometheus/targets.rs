//! `targets` and what goes with it: whatever has an `up` series, which agents and the prober write,
//! and where alerts are sent.

use std::collections::BTreeSet;
use std::time::Duration;

use atoll_metrics::promql::Value as Found;
use atoll_metrics::{Labels, Sample};
use atoll_model::access::Actor;
use atoll_model::agent::METRICS_FAILED;
use atoll_model::notification::Channel;
use atoll_model::{Instance, Monitor, Receiver, Release, Snapshot, Span, Timestamp};
use axum::Extension;
use axum::extract::State;
use serde_json::{Value, json};

use super::answer::{Result, success};
use super::limit::{limit, narrowed};
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
    let mut found = if active { measured(&app, &actor).await? } else { Vec::new() };
    found.retain(|target| pool.is_none_or(|pool| target["scrapePool"] == pool));
    let counts = json!({});
    Ok(success(json!({
        "activeTargets": found,
        "droppedTargets": [],
        "droppedTargetCounts": counts,
    })))
}

/// `/api/v1/scrape_pools`.
pub async fn pools(State(app): State<App>, Extension(actor): Extension<Actor>) -> Result {
    let found = measured(&app, &actor).await?;
    let names: BTreeSet<&str> =
        found.iter().filter_map(|target| target["scrapePool"].as_str()).collect();
    Ok(success(json!({ "scrapePools": names })))
}

/// `/api/v1/alertmanagers`: those that notifications go to.
pub async fn alertmanagers(State(app): State<App>, Extension(actor): Extension<Actor>) -> Result {
    let world = app.seen(&actor);
    let urls = world.all::<Receiver>().flat_map(|receiver| match &receiver.spec.channel {
        Channel::Alertmanager { urls } => urls.clone(),
        _ => Vec::new(),
    });
    let active: Vec<Value> = urls.map(|url| json!({ "url": url })).collect();
    Ok(success(json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] })))
}

/// Everything that is measured, as Prometheus shows a target.
async fn measured(app: &App, actor: &Actor) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let seen = limit(&app.cache.world(), actor);
    let ask = |query: &str| Ask {
        query: narrowed(query, seen.as_deref()).unwrap_or_default(),
        period: Period::At(app.clock.now().0),
        lookback: None,
        patience: Duration::from_secs(10),
    };
    let lane = Lane::Person(&actor.name);
    let up = app.metrics.ask(lane, ask("up")).await?.value;
    let times = app.metrics.ask(lane, ask("timestamp(up)")).await?.value;
    let took = app.metrics.ask(lane, ask("scrape_duration_seconds + 0")).await?.value;
    let world = app.cache.world();
    if let (Found::Vector(up), Found::Vector(times), Found::Vector(took)) = (up, times, took) {
        for (labels, sample) in up {
            let bare = labels.with("__name__", "");
            let of = |all: &[(Labels, Sample)]| {
                let found = all.iter().find(|(labels, _)| *labels == bare);
                found.map(|(_, sample)| sample.value)
            };
            let seen = Seen {
                up: sample.value,
                at: of(&times).map(|at| Timestamp((at * 1000.0) as i64)),
                took: of(&took).unwrap_or(0.0),
            };
            found.push(view(&world, &labels, seen));
        }
    }
    Ok(found)
}

/// What the last look at a target gave.
struct Seen {
    up: f64,
    at: Option<Timestamp>,
    took: f64,
}

/// Where a target is asked, how often, and how long it may take.
struct Asked {
    url: String,
    every: Span,
    timeout: Span,
}

/// An agent gives an instance so long.
const AGENT_TIMEOUT: Span = Span::seconds(5);

impl Asked {
    fn of(world: &Snapshot, labels: &Labels) -> Asked {
        let instance = labels.get("instance");
        if let Some(monitor) = world.get::<Monitor>(labels.get("monitor")) {
            let (every, timeout) = (monitor.spec.every, monitor.spec.patience());
            return Asked { url: web(instance), every, timeout };
        }
        let endpoint = world
            .get::<Release>(labels.get("release"))
            .and_then(|release| release.spec.run.metrics.as_ref());
        let every = endpoint.map_or(Span::seconds(15), |endpoint| endpoint.every);
        let place = endpoint.zip(world.get::<Instance>(instance));
        let url = place.and_then(|(endpoint, instance)| {
            let port = instance.status.ports.get(&endpoint.port)?;
            Some(format!("http://{}:{port}{}", instance.status.address, endpoint.path))
        });
        let timeout = AGENT_TIMEOUT.min(every);
        Asked { url: url.unwrap_or_else(|| web(instance)), every, timeout }
    }
}

fn web(instance: &str) -> String {
    match instance.contains("://") {
        true => instance.to_owned(),
        false => format!("http://{instance}/"),
    }
}

fn view(world: &Snapshot, labels: &Labels, seen: Seen) -> Value {
    let (job, instance) = (labels.get("job"), labels.get("instance"));
    let Asked { url, every, timeout } = Asked::of(world, labels);
    let monitor = world.get::<Monitor>(labels.get("monitor"));
    let problem = monitor
        .and_then(|m| m.status.reasons.iter().find(|reason| reason.message.starts_with(instance)));
    let scraped = || world.get::<Instance>(instance);
    let problem = problem
        .or_else(|| scraped()?.status.reasons.iter().find(|reason| reason.code == METRICS_FAILED));
    let at = seen.at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string());
    json!({
        "discoveredLabels": { "__address__": instance, "job": job },
        "labels": labels.with("__name__", ""),
        "scrapePool": job,
        "scrapeUrl": url,
        "globalUrl": url,
        "lastError": match problem {
            Some(reason) => reason.message.as_str(),
            None if seen.up > 0.0 => "",
            None => "it did not answer as it should",
        },
        "lastScrape": at,
        "lastScrapeDuration": seen.took,
        "health": if seen.up > 0.0 { "up" } else { "down" },
        "scrapeInterval": every.to_string(),
        "scrapeTimeout": timeout.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use atoll_model::Any;

    use super::*;

    #[test]
    fn an_instance_is_asked_where_and_as_often_as_its_release_says() {
        let mut world = Snapshot::default();
        for (kind, name, spec, status) in [
            (
                "Release",
                "shop-1",
                json!({ "application": "shop", "number": 1, "run": { "command": ["true"],
                    "ports": { "http": 0 },
                    "metrics": { "path": "/m", "port": "http", "every": "3s" } } }),
                json!({}),
            ),
            (
                "Instance",
                "shop.prod.0",
                json!({ "deployment": "shop.prod", "ordinal": 0, "release": "shop-1",
                    "host": "h" }),
                json!({ "address": "10.0.0.7", "ports": { "http": 8080 } }),
            ),
        ] {
            let object = json!({ "apiVersion": "atoll/v1", "kind": kind,
                "metadata": { "name": name }, "spec": spec, "status": status });
            world.put(Any::from_value(object).expect("it is valid"));
        }
        let labels = Labels::new([("instance", "shop.prod.0"), ("release", "shop-1")]);
        let found = view(&world, &labels, Seen { up: 1.0, at: None, took: 0.25 });
        assert_eq!(found["scrapeUrl"], json!("http://10.0.0.7:8080/m"));
        assert_eq!(
            (&found["scrapeInterval"], &found["scrapeTimeout"]),
            (&json!("3s"), &json!("3s"))
        );
        assert_eq!(found["lastScrapeDuration"], json!(0.25));
    }
}
