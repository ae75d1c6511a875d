//! What a deployment can carry, in words.

use atoll_model::capacity::{CapacityPhase, Known};
use atoll_model::{Capacity, Deployment, Object, Reason, Timestamp};

use super::Told;
use crate::Context;

pub(super) fn tell(cx: &Context, it: &Object<Capacity>, told: &mut Told) {
    let (name, status) = (&it.spec.deployment, &it.status);
    let each = status.each.unwrap_or_default();
    let known = match status.known {
        Known::Declared => "as its developers declare",
        Known::Set => "as was set here",
        Known::Proven => "as was seen with all objectives held",
        Known::Bounded => "beyond which an objective broke",
    };
    let (ready, needed) = (status.ready, status.needed);
    let stands = match (status.phase, status.load) {
        (CapacityPhase::Unknown, _) | (_, None) => {
            told.waiting_for.push("its load to be measured".to_owned());
            "its load is not measured".to_owned()
        }
        (_, Some(load)) => {
            let buffer = it.spec.buffer * 100.0;
            let spare =
                if buffer > 0.0 { format!(", {buffer} % spare among them") } else { String::new() };
            let takes = crate::instances(needed as usize);
            format!("the load is {load}, which takes {takes}{spare}; {ready} serve")
        }
    };
    told.state = format!("An instance of {name} carries {each}, {known}; {stands}.");
    for carried in &status.releases {
        let most = carried.most.map(|most| {
            format!("carried {most} an instance with all objectives held{}", when(cx, carried.at))
        });
        let broke = carried.broke.map(|broke| {
            format!("broke an objective with {broke} an instance{}", when(cx, carried.broke_at))
        });
        let all: Vec<String> = most.into_iter().chain(broke).collect();
        if !all.is_empty() {
            let message = format!("{} {}", carried.release, all.join(", and "));
            told.reasons.push(Reason::new("carried", message));
        }
    }
    let highest = status.days.iter().max_by(|a, b| a.high.total_cmp(&b.high));
    let message = match highest {
        Some(day) => format!(
            "in the next {} days the load is expected to be highest at {}: {}, one time in ten \
             above {}, which takes {} ({})",
            status.days.len(),
            day.at,
            day.expected,
            day.high,
            crate::instances(day.instances as usize),
            status.method
        ),
        None if status.method.is_empty() => "no forecast was made yet".to_owned(),
        None => format!("there is no forecast: {}", status.method.trim_start_matches("none: ")),
    };
    told.reasons.push(Reason::new("forecast", message));
    told.see(format!("autoscaler/{name}"));
    if let Some(deployment) = cx.world.get::<Deployment>(name) {
        told.see(format!("application/{}", deployment.spec.application));
    }
}

fn when(cx: &Context, at: Option<Timestamp>) -> String {
    at.map(|at| format!(" {} ago", cx.now.since(at).rough())).unwrap_or_default()
}
