//! How far a pool is, in words.

use atoll_model::pool::{Machine, MachinePhase, Pool, PoolPhase};
use atoll_model::{Host, Object, many};

use super::{Told, ago};
use crate::Context;
use crate::pool::ask;

pub(super) fn tell(cx: &Context, it: &Object<Pool>, told: &mut Told) {
    let (name, status) = (it.name(), &it.status);
    let wanted = many(status.wanted as usize, "host");
    let ready = status.counts.ready;
    told.state = match status.phase {
        PoolPhase::Waiting => format!("{name} was not looked at yet."),
        PoolPhase::Settled => format!("{name} has the {wanted} it is to have."),
        PoolPhase::Growing => format!("{name} has {ready} of the {wanted} it is to have."),
        PoolPhase::Shrinking => format!(
            "{name} has {} and is to have {}; {} on the way out.",
            many(ready as usize, "host"),
            status.wanted,
            many((status.counts.draining + status.counts.deleting) as usize, "machine")
        ),
        PoolPhase::Stuck => {
            format!(
                "{name} has {ready} of the {wanted} it is to have, and something is in the way."
            )
        }
    };
    told.wait_each(
        status.machines.iter().filter_map(|(key, one)| waits_for(cx, it, key, one)).collect(),
    );
    let asked = status.provider.next.filter(|at| *at > cx.now);
    told.next.extend(asked.map(|at| format!("its provider is asked again at {at}")));
    if let Some(advice) = &status.advice {
        told.next.push(follows(it, advice));
    }
    let hosts = status.machines.iter().filter(|(key, one)| {
        one.phase != MachinePhase::Ready && cx.world.get::<Host>(key).is_some()
    });
    hosts.take(5).for_each(|(key, _)| told.see(format!("host/{key}")));
}

fn follows(it: &Object<Pool>, advice: &atoll_model::pool::Advice) -> String {
    let (hosts, because) = (many(advice.count as usize, "host"), &advice.because);
    let steady = it.spec.autoscale.as_ref().map(|autoscale| autoscale.steady);
    if let (Some(fewer), Some(since), Some(steady)) = (advice.fewer, advice.since, steady) {
        let (enough, until) = (many(fewer as usize, "host"), since + steady);
        return format!(
            "{enough} would have done since {since}, and now {because}; {hosts} are kept until \
             {until}"
        );
    }
    let word = if it.status.wanted == advice.count { "takes" } else { "would take" };
    format!("what is to run {word} {hosts}: {because}")
}

fn waits_for(cx: &Context, it: &Object<Pool>, key: &str, one: &Machine) -> Option<String> {
    let since = ago(cx, Some(one.since));
    // Nothing is asked for while it does not say which machines there are.
    let later = one.ask.as_ref().and_then(ask::again_at);
    let later = later.filter(|at| *at > cx.now && it.status.provider.is_none());
    let again = one.ask.as_ref().is_some_and(|ask| !ask.is_open());
    Some(match one.phase {
        MachinePhase::Ready => return None,
        MachinePhase::Creating | MachinePhase::Deleting if let Some(at) = later => {
            format!("{key}: the provider is asked again at {at}")
        }
        MachinePhase::Creating if again => {
            format!("the provider's list to show whether {key} was made{since}")
        }
        MachinePhase::Creating => format!("the provider to make {key}{since}"),
        MachinePhase::Joining => {
            format!("{key} to join{since}; it is given up at {}", one.since + it.spec.join_within)
        }
        MachinePhase::Lost => format!(
            "host/{key} to be heard{since}; it is replaced at {}",
            one.since + it.spec.replace_after
        ),
        MachinePhase::Draining => {
            let left = cx.world.usage(key).map_or(0, |usage| usage.instances.len());
            format!("{} to leave host/{key}{since}", crate::instances(left))
        }
        MachinePhase::Deleting if cx.world.get::<Host>(key).is_some() => {
            format!("host/{key} to be forgotten{since}")
        }
        MachinePhase::Deleting if again => {
            format!("the provider's list to show that {key} is gone{since}")
        }
        MachinePhase::Deleting => format!("the provider to delete {key}{since}"),
    })
}
