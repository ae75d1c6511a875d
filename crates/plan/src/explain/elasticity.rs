//! Why a deployment is to have so many instances.

use std::sync::Arc;

use atoll_model::agent::METRICS_FAILED;
use atoll_model::elasticity::{AutoscalerPhase, AutoscalerStatus, Score};
use atoll_model::{Autoscaler, Deployment, Object, Reason, Span};

use super::{Told, ago};
use crate::Context;
use crate::elasticity::unread::unread;

pub(super) fn tell(cx: &Context, it: &Arc<Object<Autoscaler>>, told: &mut Told) {
    let (name, status) = (&it.spec.deployment, &it.status);
    let bounds = format!("between {} and {}", status.min, status.max);
    let since = ago(cx, status.since);
    let number = status.desired.unwrap_or_default();
    told.state = match status.phase {
        AutoscalerPhase::Waiting => {
            told.waiting_for.push("its signals to be measured".to_owned());
            format!("{name} keeps its own number: nothing it goes by has been measured yet.")
        }
        AutoscalerPhase::Acting => {
            format!("{name} is to have {}{since}, {bounds}.", instances(number))
        }
        AutoscalerPhase::Observing => {
            format!("{name} would have {}{since}, {bounds}; it only observes.", instances(number))
        }
        AutoscalerPhase::Blind => {
            told.waiting_for.push(awaited(status).to_owned());
            follow(cx, name, told);
            format!("{name} stays at {}: what it goes by is not measured.", instances(number))
        }
    };
    for signal in &status.signals {
        let message = match (signal.value, signal.wants) {
            (Some(value), Some(wants)) => {
                format!("{} is {value}, which takes {} as it is now", signal.name, instances(wants))
            }
            _ => format!("{} is not measured{}", signal.name, ago(cx, signal.measured_at)),
        };
        told.reasons.push(atoll_model::Reason::new("signal", message));
    }
    if let Some(forecast) = &status.forecast {
        let next = forecast.points.iter().map(|point| point.expected).max_by(f64::total_cmp);
        let message = match (next, forecast.error) {
            (Some(most), Some(error)) => format!(
                "in the next hour the load is expected to reach {most} ({}, usually {:.0} % wrong)",
                forecast.method,
                error * 100.0
            ),
            _ => format!("there is no forecast: {}", forecast.method.trim_start_matches("none: ")),
        };
        told.reasons.push(atoll_model::Reason::new("forecast", message));
    }
    told.reasons.extend(status.score.as_ref().map(score));
    if status.phase == AutoscalerPhase::Observing {
        let waits = status.reasons.iter().any(|reason| reason.code == "unproven");
        told.next.push(match waits {
            true => "it acts by itself once it has the score that is required".to_owned(),
            false => format!("nothing, until: atoll autoscale deployment/{name} --mode act"),
        });
    }
    super::centre::lent(cx, name, told);
    told.see(format!("deployment/{name}"));
    if let Some(deployment) = cx.world.get::<Deployment>(name) {
        told.see(format!("application/{}", deployment.spec.application));
    }
}

/// What one that goes by nothing waits for.
fn awaited(status: &AutoscalerStatus) -> &'static str {
    let has = |code: &str| status.reasons.iter().any(|reason| reason.code == code);
    match (has("absurd"), has("partly-measured") || has(METRICS_FAILED)) {
        // It is measured, so that nothing comes of waiting for that.
        (true, _) => "its signals to say what can be believed",
        (false, true) => "the metrics of its instances to be read",
        (false, false) => "fresh data",
    }
}

/// Names the first of the instances whose metrics cannot be read.
fn follow(cx: &Context, deployment: &str, told: &mut Told) {
    if let Some((instance, _)) = unread(cx.world, deployment).next() {
        told.see(format!("instance/{instance}"));
    }
}

/// Why the number of a deployment stays as it is, where its autoscaler goes by nothing.
pub(super) fn blind(cx: &Context, deployment: &str, told: &mut Told) {
    let autoscaler = cx.world.get::<Autoscaler>(deployment);
    let blind = autoscaler.filter(|it| it.status.phase == AutoscalerPhase::Blind);
    let Some(status) = blind.map(|it| &it.status) else { return };
    told.reasons.extend(status.reasons.iter().cloned());
    told.waiting_for.push(awaited(status).to_owned());
    follow(cx, deployment, told);
}

/// How it would have done while it only observed.
fn score(score: &Score) -> Reason {
    let known = Span((score.seconds * 1_000.0) as u64).rough();
    if score.seconds <= 0.0 {
        let message = format!("observed since {}: nothing was measured yet", score.since);
        return Reason::new("score", message);
    }
    let (would, was) = score.too_few();
    let message = format!(
        "observed for {known} from {}: too few {:.1} % of the time, where those there were too few \
         {:.1} % of it, with {:.2} times the instances there were, or were needed",
        score.since,
        would * 100.0,
        was * 100.0,
        score.times()
    );
    Reason::new("score", message)
}

fn instances(count: u32) -> String {
    crate::instances(count as usize)
}
