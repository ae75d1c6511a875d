//! Who suffers when something is lost: a host, a zone, a network, an application, an item. Not
//! whether it will be; what is replaced elsewhere is the deployments' business.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::cmdb::view::{Impact, Loss, LossWord, Relation};
use atoll_model::deployment::InstancePhase;
use atoll_model::{Deployment, Instance, Kind, Snapshot};

use super::graph::{Graph, id};

/// What is lost with a thing. `None`, if nothing is known of it.
pub fn impact(world: &Snapshot, subject: &str) -> Option<Impact> {
    let graph = Graph::of(world);
    let (kind, name) = subject.split_once('/')?;
    let known = Kind::parse(kind).is_some_and(|kind| world.find(kind, name).is_some());
    if !known && !graph.knows(subject) {
        return None;
    }
    let ways = graph.suffering(subject);
    let lost: BTreeSet<&str> =
        ways.iter().filter_map(|way| Some(way.last()?.from.as_str())).collect();
    let mut losses: Vec<Loss> = Vec::new();
    let why = |way: &[Relation]| {
        let steps = way.iter().rev().map(|r| format!("{} {} {}", r.from, r.relation, r.to));
        steps.collect::<Vec<String>>().join(", ")
    };
    for way in &ways {
        let Some(last) = way.last() else { continue };
        let word = match last.from.split_once('/').map_or("", |(kind, _)| kind) {
            "application" => LossWord::Degraded,
            _ => LossWord::Lost,
        };
        losses.push(Loss { subject: last.from.clone(), word, why: why(way), left: None });
    }
    losses.extend(deployments(world, &lost));
    let applications = downstream(world, &graph, &losses);
    losses.extend(applications);
    losses.sort_by(|a, b| (a.word, kind_of(a), &a.subject).cmp(&(b.word, kind_of(b), &b.subject)));
    losses.dedup_by(|a, b| a.subject == b.subject);
    Some(Impact { subject: subject.to_owned(), losses, hidden: false })
}

fn kind_of(loss: &Loss) -> usize {
    const ORDER: [&str; 4] = ["application", "deployment", "instance", "host"];
    let kind = loss.subject.split_once('/').map_or("", |(kind, _)| kind);
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

/// Deployments that lose instances, and what is left of them.
fn deployments(world: &Snapshot, lost: &BTreeSet<&str>) -> Vec<Loss> {
    let mut by: BTreeMap<&str, u32> = BTreeMap::new();
    for instance in world.all::<Instance>() {
        let gone = lost.contains(id(Kind::Instance, instance.name()).as_str());
        if gone && instance.status.phase == InstancePhase::Ready {
            *by.entry(instance.spec.deployment.as_str()).or_default() += 1;
        }
    }
    let loss = |(name, count): (&str, u32)| {
        let deployment = world.get::<Deployment>(name)?;
        let left = deployment.status.ready.saturating_sub(count);
        let word = if left == 0 { LossWord::Lost } else { LossWord::Degraded };
        let why = format!("loses {count} of {} ready instances", deployment.status.ready);
        Some(Loss { subject: id(Kind::Deployment, name), word, why, left: Some(left) })
    };
    by.into_iter().filter_map(loss).collect()
}

/// Applications whose deployments are lost, and those that need them or talk to them.
fn downstream(world: &Snapshot, graph: &Graph, losses: &[Loss]) -> Vec<Loss> {
    let mut found = Vec::new();
    for loss in losses.iter().filter(|loss| loss.subject.starts_with("deployment/")) {
        let name = loss.subject.trim_start_matches("deployment/");
        let Some(deployment) = world.get::<Deployment>(name) else { continue };
        let application = id(Kind::Application, &deployment.spec.application);
        let environment = &deployment.spec.environment;
        let what = if loss.word == LossWord::Lost { "nothing" } else { "less" };
        let why = format!("{what} is left of it in {environment}");
        found.push(Loss { subject: application.clone(), word: loss.word, why, left: None });
        if loss.word != LossWord::Lost {
            continue;
        }
        for way in graph.suffering(&application) {
            let Some(last) = way.last() else { continue };
            let why = format!("{} {} {}", last.from, last.relation, last.to);
            let word = LossWord::Degraded;
            found.push(Loss { subject: last.from.clone(), word, why, left: None });
        }
    }
    found
}
