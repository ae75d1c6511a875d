//! The line of a dynamic configuration.

use atoll_model::config::ConfigPhase;
use atoll_model::{Config, Object, Timestamp};

use super::{Cell, aged, cell, name, phased, reason, text, word};
use crate::terminal::Tone;

pub(super) fn config(o: &Object<Config>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        ConfigPhase::Settled if status.failed.is_some() => Tone::Busy,
        ConfigPhase::Settled => Tone::Good,
        ConfigPhase::Paused => Tone::Bad,
        ConfigPhase::Waiting | ConfigPhase::Delivering | ConfigPhase::Gray => Tone::Busy,
    };
    let version = match &status.gray {
        Some(gray) => format!("{}->{}", status.version, gray.version),
        None => status.version.to_string(),
    };
    let gray =
        status.gray.as_ref().map(|gray| format!("{}/{}", gray.instances.len(), gray.affected));
    let behind = status.acknowledged < status.instances;
    let kind = if spec.switches.is_empty() { "values" } else { "switches" };
    vec![
        name(&o.meta),
        phased(&o.meta, word(&status.phase), tone),
        cell("VERSION", version),
        cell("TAKEN-UP", format!("{}/{}", status.acknowledged, status.instances)).tone(if behind {
            Tone::Busy
        } else {
            Tone::Plain
        }),
        cell("GRAY", text(&gray)),
        cell("DRAFT", if spec.draft.is_some() { "yes" } else { "" }),
        cell("KIND", kind).wide(),
        cell("KEYS", spec.content().values.len().to_string()).wide(),
        cell("OVERLAYS", spec.overlays.len().to_string()).wide(),
        cell("OWNER", text(&spec.owner)).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}
