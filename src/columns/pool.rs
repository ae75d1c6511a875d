//! The line of a pool of hosts.

use atoll_model::pool::{Pool, PoolPhase};
use atoll_model::{Object, Timestamp};

use super::{Cell, aged, cell, name, phased, reason, text, word};
use crate::terminal::Tone;

pub(super) fn pool(o: &Object<Pool>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        PoolPhase::Settled => Tone::Good,
        PoolPhase::Stuck => Tone::Bad,
        PoolPhase::Waiting | PoolPhase::Growing | PoolPhase::Shrinking => Tone::Busy,
    };
    let counts = &status.counts;
    let coming = counts.creating + counts.joining;
    let going = counts.draining + counts.deleting;
    let short = counts.ready < status.wanted;
    let advice = status.advice.as_ref().map(|advice| match advice.fewer {
        Some(fewer) => format!("{} ({fewer})", advice.count),
        None => advice.count.to_string(),
    });
    vec![
        name(&o.meta),
        phased(&o.meta, word(&status.phase), tone),
        cell("READY", format!("{}/{}", counts.ready, status.wanted)).tone(match short {
            true => Tone::Busy,
            false => Tone::Plain,
        }),
        cell("COMING", coming.to_string()),
        cell("GOING", going.to_string()),
        cell("LOST", counts.lost.to_string()),
        cell("BOUNDS", format!("{}-{}", spec.min, spec.max)),
        cell("PROVIDER", spec.provider.word()),
        cell("ZONE", text(&spec.zone)).wide(),
        cell("ADVICE", advice.unwrap_or_default()).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}
