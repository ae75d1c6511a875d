//! Why configurations are as they are: what is live, how far a newer version is, who lags.

use std::sync::Arc;

use atoll_model::config::{ConfigPhase, ConfigStatus};
use atoll_model::{Config, Object, Timestamp};

use super::{NAMED, Told, ago};
use crate::Context;

pub(super) fn tell(cx: &Context, it: &Arc<Object<Config>>, told: &mut Told) {
    let status = &it.status;
    told.state = sentence(cx, it);
    if status.observed_generation < it.meta.generation {
        told.waiting_for.push("its planner to take up the last edit".to_owned());
    }
    if it.spec.draft.is_some() {
        let name = it.name();
        told.next
            .push(format!("a draft waits: atoll config diff {name}, atoll config push {name}"));
    }
    tell_gray(it, cx.now, told);
    let each = status.laggards.iter().map(|laggard| {
        let has = laggard.has.map_or("nothing".to_owned(), |v| format!("version {v}"));
        format!(
            "{} on {} to take up version {}; it has {has}: {}",
            laggard.instance, laggard.host, laggard.wanted, laggard.why
        )
    });
    told.wait_each(each.collect());
    for laggard in status.laggards.iter().take(NAMED) {
        told.see(format!("instance/{}", laggard.instance));
    }
    let mut applications: Vec<String> = crate::config::instances_of(cx.world, it.name())
        .map(|instance| instance.spec.deployment.clone())
        .collect();
    applications.sort();
    applications.dedup();
    for deployment in applications.iter().take(NAMED) {
        told.see(format!("deployment/{deployment}"));
    }
}

fn sentence(cx: &Context, it: &Object<Config>) -> String {
    let (name, status) = (it.name(), &it.status);
    let taken = taken(status);
    let (version, since) = (status.version, ago(cx, status.since));
    match (status.phase, &status.gray) {
        (ConfigPhase::Waiting, _) => format!("{name} has no version that is live yet."),
        (ConfigPhase::Settled, _) => {
            format!("{name} is settled on version {version}{since}; {taken}.")
        }
        (_, Some(gray)) => format!(
            "{name} has version {version}, and version {} is gray on {} of the {} instances it \
             makes a difference to; {taken}.",
            gray.version,
            gray.instances.len(),
            gray.affected
        ),
        (_, None) => format!("{name} delivers version {version}{since}; {taken}."),
    }
}

fn taken(status: &ConfigStatus) -> String {
    match status.instances {
        0 => "no instance takes it".to_owned(),
        all => format!("{} of {all} instances have taken up what is theirs", status.acknowledged),
    }
}

fn tell_gray(it: &Object<Config>, now: Timestamp, told: &mut Told) {
    let (Some(gray), Some(rules)) = (&it.status.gray, &it.spec.gray) else { return };
    let name = it.name();
    let (step, steps) = (gray.step + 1, rules.steps.len());
    let soak = rules.steps.get(gray.step as usize).map(|rule| rule.soak);
    match gray.soaking_since.zip(soak) {
        Some((since, soak)) => {
            let until = since + soak;
            told.waiting_for.push(match until > now {
                true => format!("the soak of step {step} of {steps} until {until}"),
                false => format!("what is said of step {step} of {steps}, its soak being over"),
            });
        }
        None => told.waiting_for.push(format!("step {step} of {steps} to be taken up")),
    }
    for (deployment, said) in &gray.guard {
        let (verdict, message) = (said.verdict.words(), &said.message);
        told.next.push(format!("the guard of {deployment} says {verdict}: {message}"));
    }
    let both = format!("atoll config promote {name}, atoll config abort {name}");
    told.next.push(format!("decide yourself with: {both}"));
}
