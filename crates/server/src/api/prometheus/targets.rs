//! `targets` and what goes with it: whatever has an `up` series, which agents and the prober write,
//! and where alerts are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atoll_metrics::exposition::Family;
use atoll_metrics::promql::{self, Value as Found};
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

/// What a metric's series may have behind its name.
const ENDINGS: [&str; 5] = ["_bucket", "_count", "_sum", "_total", "_created"];

/// `/api/v1/targets/metadata`: what is known of metrics, for each target that has series of them.
pub async fn metadata(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result {
    let mut matchers: Vec<String> = match params.get("match_target") {
        Some(selector) => promql::matchers(selector)?.iter().map(ToString::to_string).collect(),
        None => Vec::new(),
    };
    let metric = params.get("metric");
    matchers.push(match metric {
        Some(name) => {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
            let escaped =
                name.chars().flat_map(|c| (!plain(c)).then_some('\\').into_iter().chain([c]));
            let pattern = format!("{}({})?", escaped.collect::<String>(), ENDINGS.join("|"));
            format!("__name__=~{}", json!(pattern))
        }
        None => "__name__!=\"\"".to_owned(),
    });
    let query = format!("group by (__name__, job, instance) ({{{}}})", matchers.join(","));
    let seen = limit(&app.cache.world(), &actor);
    let ask = Ask {
        query: narrowed(&query, seen.as_deref())?,
        period: Period::At(app.clock.now().0),
        lookback: None,
        patience: params.patience()?,
    };
    let found = app.metrics.ask(Lane::Person(&actor.name), ask).await?.value;
    let mut all = of_targets(&found, &app.metrics.families(), metric);
    all.truncate(params.limit()?.unwrap_or(usize::MAX));
    Ok(success(all))
}

/// The families the series belong to, once for each target.
fn of_targets(found: &Found, families: &[Family], metric: Option<&str>) -> Vec<Value> {
    let Found::Vector(series) = found else { return Vec::new() };
    let families: BTreeMap<&str, &Family> = families.iter().map(|f| (f.name.as_str(), f)).collect();
    let family = |name: &str| {
        let bare = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
        families.get(name).or_else(|| families.get(bare?)).copied()
    };
    let mut told = BTreeSet::new();
    let mut all = Vec::new();
    for (labels, _) in series {
        let Some(family) = family(labels.get("__name__")) else { continue };
        let (job, instance) = (labels.get("job"), labels.get("instance"));
        let wanted = metric.is_none_or(|name| name == family.name);
        if !wanted || !told.insert((job, instance, family.name.as_str())) {
            continue;
        }
        let mut one = json!({
            "target": { "instance": instance, "job": job },
            "type": family.kind.as_str(),
            "help": family.help,
            "unit": family.unit,
        });
        if metric.is_none() {
            one["metric"] = json!(family.name);
        }
        all.push(one);
    }
    all
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
    use atoll_metrics::exposition::Kind;
    use atoll_model::Any;

    use super::*;

    #[test]
    fn what_is_known_of_a_metric_is_told_of_each_target_that_has_it() {
        let family = |name: &str, kind| Family {
            name: name.to_owned(),
            kind,
            help: "of it".to_owned(),
            unit: String::new(),
        };
        let families = [family("took", Kind::Histogram), family("up", Kind::Gauge)];
        let one = |name: &str, instance: &str| {
            let labels = [("__name__", name), ("job", "j"), ("instance", instance)];
            (Labels::new(labels), Sample { at: 0, value: 1.0 })
        };
        let series = Found::Vector(vec![
            one("took_bucket", "a"),
            one("took_count", "a"),
            one("took_sum", "b"),
            one("unknown", "a"),
            one("up", "a"),
        ]);
        let all = of_targets(&series, &families, None);
        let names = all.iter().map(|one| (&one["metric"], &one["target"]["instance"]));
        let told = [("took", "a"), ("took", "b"), ("up", "a")].map(|(m, i)| (json!(m), json!(i)));
        assert!(names.eq(told.iter().map(|(m, i)| (m, i))), "{all:?}");
        let took = of_targets(&series, &families, Some("took"));
        assert_eq!(
            took[0],
            json!({ "target": { "instance": "a", "job": "j" },
            "type": "histogram", "help": "of it", "unit": "" })
        );
    }

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
