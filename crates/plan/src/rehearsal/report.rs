//! What is told of a rehearsal once it is over.

use std::sync::Arc;

use atoll_model::rehearsal::report::{RehearsalReport, Served};
use atoll_model::{Object, Peak};

use super::course::One;
use super::{Rehearsal, checks};

/// The courses of so many deployments are told.
const COURSES: usize = 20;
/// So many times in which a deployment did not serve everything are told.
const BROKEN: usize = 20;
/// So many of what was taken for granted are told, and so many deeds.
const TOLD: usize = 200;

/// What the peaks of that time cost by their plans, which is not what hosts cost, and which of them
/// budgets have held.
fn peaks(rehearsal: &Rehearsal) -> Vec<String> {
    let all = rehearsal.sim.world.all::<Peak>().filter(|peak| {
        let times = &peak.status.times;
        times.starts < rehearsal.to && times.ends > rehearsal.from
    });
    let told = |peak: &Arc<Object<Peak>>| {
        let (name, status) = (peak.name(), &peak.status);
        let costs = status.cost.iter().map(|cost| {
            format!(
                "peak/{name} costs {} {} more than usual by its plan; the cost that is told here \
                 is that of all hosts",
                cost.total.rounded(),
                cost.currency
            )
        });
        let broken = status.budgets.iter().filter(|_| status.raised_at.is_none());
        let held = broken.filter_map(|one| {
            let why = one.broken.as_ref()?;
            Some(format!("nothing is kept for peak/{name}: budget/{} holds it, {why}", one.budget))
        });
        costs.chain(held).collect::<Vec<_>>()
    };
    all.flat_map(told).collect()
}

/// What is told.
pub(super) fn report(rehearsal: &mut Rehearsal) -> RehearsalReport {
    let checks = checks::checked(rehearsal);
    let courses = &rehearsal.courses;
    let mut all: Vec<(&String, &One)> = courses.all.iter().collect();
    all.sort_by(|(a, one), (b, other)| {
        let order = one.served().total_cmp(&other.served());
        order.then(other.lost.known.total_cmp(&one.lost.known)).then(a.cmp(b))
    });
    let deployments = all.iter().enumerate().map(|(i, (name, one))| Served {
        deployment: (*name).clone(),
        each: one.carries.each,
        served: one.served(),
        lost: one.share(one.lost.known),
        at_best: one.at_best(),
        least: one.least,
        most: one.most,
        broken: one.broken.iter().take(BROKEN).cloned().collect(),
        course: if i < COURSES { courses.course(one) } else { Default::default() },
    });
    let deployments = deployments.collect();
    let peaks = peaks(rehearsal);
    let mut assumed = std::mem::take(&mut rehearsal.assumed);
    assumed.extend(peaks);
    if courses.unpriced > 0 {
        assumed.push(match courses.unpriced {
            1 => "1 host has no price and costs nothing".to_owned(),
            count => format!("{count} hosts have no price and cost nothing"),
        });
    }
    if assumed.len() > TOLD {
        let more = assumed.len() - TOLD;
        assumed.truncate(TOLD);
        assumed.push(format!("and {more} more"));
    }
    assumed.push("rules are not evaluated, and nobody is told anything".to_owned());
    let (hosts, instances) = courses.begun;
    let (fleet, cost) = (courses.fleet(), courses.cost.clone());
    let scenario = rehearsal.scenario;
    let (mut decisions, mut plans, mut writes) = (Vec::new(), 0, 0);
    if let Some(twin) = rehearsal.sim.as_twin() {
        decisions = twin.deeds.told();
        decisions.truncate(TOLD);
        (plans, writes) = (twin.plans, twin.writes);
        if twin.deeds.left_out > 0 {
            assumed
                .push(format!("{} more writes are not among the decisions", twin.deeds.left_out));
        }
    }
    RehearsalReport {
        name: scenario.metadata.name.clone(),
        from: rehearsal.from,
        lasts: scenario.spec.lasts,
        held: checks.iter().all(|check| check.held),
        checks,
        hosts,
        instances,
        deployments,
        fleet,
        cost,
        events: rehearsal.stage.events.clone(),
        decisions,
        assumed,
        plans,
        writes,
        took: None,
    }
}
