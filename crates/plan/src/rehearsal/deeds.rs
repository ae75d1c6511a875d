//! What planners did in a rehearsal, put together as it is done: a day of a large fleet is hundreds
//! of thousands of writes, and a person reads a page.

use std::collections::BTreeMap;

use atoll_model::access::Actor;
use atoll_model::cmdb::HostPhase;
use atoll_model::rehearsal::report::Decided;
use atoll_model::{Any, Reason, Timestamp};

use crate::Plan;

/// So many rows are kept; what else is done is counted.
const MOST: usize = 400;

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    from: Timestamp,
    rows: BTreeMap<(String, String, String), Deed>,
    /// What was not kept.
    pub left_out: u32,
}

#[derive(Debug, Default)]
struct Deed {
    first: Timestamp,
    last: Timestamp,
    times: u32,
    made: u32,
    gone: u32,
    changed: u32,
    range: Option<(u32, u32)>,
    why: String,
}

/// Of what a write is, for the row it is counted in.
enum Of {
    Made,
    Gone,
    Changed,
    Number(u32),
}

impl Deeds {
    pub fn new(from: Timestamp) -> Deeds {
        Deeds { from, ..Deeds::default() }
    }

    pub fn note(
        &mut self,
        now: Timestamp,
        actor: &Actor,
        plan: &Plan,
        (old, new): (Option<&Any>, Option<&Any>),
    ) {
        let Some(by) = actor.name.strip_prefix("controller/").filter(|_| now >= self.from) else {
            return;
        };
        let Some((what, subject, of)) = deed(plan, old, new) else { return };
        let key = (by.to_owned(), what, subject);
        if self.rows.len() >= MOST && !self.rows.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let deed = self.rows.entry(key).or_insert_with(|| Deed {
            first: now,
            why: why(plan, new),
            ..Deed::default()
        });
        if deed.last != now || deed.times == 0 {
            deed.times += 1;
        }
        deed.last = now;
        match of {
            Of::Made => deed.made += 1,
            Of::Gone => deed.gone += 1,
            Of::Changed => deed.changed += 1,
            Of::Number(number) => {
                let (least, most) = deed.range.unwrap_or((number, number));
                deed.range = Some((least.min(number), most.max(number)));
            }
        }
    }

    /// Notes what the gate refused of a planner.
    pub fn refused(&mut self, now: Timestamp, who: &str, reasons: &[Reason]) {
        let key = ("gate".to_owned(), "refuses".to_owned(), who.to_owned());
        let deed = self.rows.entry(key).or_insert_with(|| Deed {
            first: now,
            why: reasons.first().map(said).unwrap_or_default(),
            ..Deed::default()
        });
        (deed.times, deed.last) = (deed.times + 1, now);
    }

    /// The rows, the earliest first.
    pub fn told(&self) -> Vec<Decided> {
        let mut all: Vec<Decided> =
            self.rows.iter().map(|(key, deed)| row(self.from, key, deed)).collect();
        all.sort_by(|a, b| (a.first, &a.by, &a.what).cmp(&(b.first, &b.by, &b.what)));
        all
    }
}

fn row(from: Timestamp, (by, what, subject): &(String, String, String), deed: &Deed) -> Decided {
    let mut parts = Vec::new();
    let counts = [(deed.made, "made"), (deed.gone, "taken away"), (deed.changed, "changed")];
    for (count, word) in counts.into_iter().filter(|(count, _)| *count > 0) {
        parts.push(format!("{count} {word}"));
    }
    if let Some((least, most)) = deed.range {
        parts.push(if least == most { format!("{most}") } else { format!("{least} to {most}") });
    }
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    Decided {
        first: deed.first.since(from),
        last: deed.last.since(from),
        times: deed.times,
        by: by.clone(),
        what: format!("{what} {subject}{parts}"),
        why: deed.why.clone(),
    }
}

fn said(reason: &Reason) -> String {
    format!("{}: {}", reason.code, reason.message)
}

/// Why it is done: what the first reason of its plan says, or what a pool goes by.
fn why(plan: &Plan, new: Option<&Any>) -> String {
    let followed = match new {
        Some(Any::Pool(pool)) if pool.spec.acts() => pool.status.advice.as_ref(),
        _ => None,
    };
    match followed {
        Some(advice) => format!("follows: {}", advice.because),
        None => plan.reasons.first().map(said).unwrap_or_default(),
    }
}

/// What a write is of, if it does anything: how things are is not a deed.
fn deed(plan: &Plan, old: Option<&Any>, new: Option<&Any>) -> Option<(String, String, Of)> {
    let intent = || format!("{:?}", plan.intent).to_lowercase();
    match (old, new) {
        (None, Some(Any::Instance(new))) => Some((intent(), new.spec.deployment.clone(), Of::Made)),
        (Some(Any::Instance(old)), None) => Some((intent(), old.spec.deployment.clone(), Of::Gone)),
        (Some(Any::Instance(old)), Some(Any::Instance(new))) => {
            let changed = old.spec != new.spec;
            changed.then(|| (intent(), new.spec.deployment.clone(), Of::Changed))
        }
        (Some(Any::Autoscaler(old)), Some(Any::Autoscaler(new))) => {
            let number = new.status.desired.filter(|_| old.status.desired != new.status.desired);
            number.map(|number| ("number of".to_owned(), new.meta.name.clone(), Of::Number(number)))
        }
        (Some(Any::Host(old)), Some(Any::Host(new))) if old.status.phase != new.status.phase => {
            let phase = match new.status.phase {
                HostPhase::Unknown => "lost",
                HostPhase::Draining | HostPhase::Drained => "emptied",
                HostPhase::Cordoned => "closed",
                HostPhase::Ready => "open",
            };
            Some(("hosts".to_owned(), phase.to_owned(), Of::Changed))
        }
        (Some(Any::Deployment(old)), Some(Any::Deployment(new))) => {
            let rollout = |any: &atoll_model::deployment::DeploymentStatus| {
                any.rollout.as_ref().map(|rollout| (rollout.to.clone(), rollout.back))
            };
            let (before, after) = (rollout(&old.status), rollout(&new.status));
            match after.filter(|after| before.as_ref() != Some(after)) {
                Some((to, back)) => {
                    let what = if back { "goes back" } else { "rolls out" };
                    Some((what.to_owned(), format!("{} to {to}", new.name()), Of::Changed))
                }
                None => None,
            }
        }
        (Some(Any::Pool(old)), Some(Any::Pool(new))) if old.status.wanted != new.status.wanted => {
            // Each way has its own reason.
            let grows = new.status.wanted > old.status.wanted;
            let what = if grows { "grows pool" } else { "shrinks pool" };
            Some((what.to_owned(), new.meta.name.clone(), Of::Number(new.status.wanted)))
        }
        (Some(Any::Migration(old)), Some(Any::Migration(new)))
            if old.status.wave != new.status.wave =>
        {
            Some(("wave of".to_owned(), new.meta.name.clone(), Of::Number(new.status.wave)))
        }
        (Some(Any::Objective(old)), Some(Any::Objective(new)))
            if old.status.phase != new.status.phase =>
        {
            let phase = format!("{:?}", new.status.phase).to_lowercase();
            Some((format!("objective {phase}"), new.meta.name.clone(), Of::Changed))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::pool::Pool;
    use atoll_model::{Intent, Object, Span};

    use super::*;

    /// A pool that is to have so many hosts.
    fn pool(wanted: u32) -> Any {
        let spec = serde_json::json!({ "count": 1, "max": 9, "provider": { "docker": {} } });
        let mut pool = Object::new("web", serde_json::from_value::<Pool>(spec).unwrap());
        pool.status.wanted = wanted;
        Any::Pool(Arc::new(pool))
    }

    #[test]
    fn a_pool_that_grows_and_one_that_shrinks_are_told_apart() {
        let mut deeds = Deeds::new(Timestamp(0));
        let sizes = [2, 4, 6, 5, 3];
        for (i, (old, new)) in sizes.into_iter().zip(sizes.into_iter().skip(1)).enumerate() {
            let mut plan = Plan::new(Intent::Scale);
            plan.reasons.push(Reason::new("asked", format!("step {i}")));
            let at = Timestamp(0) + Span::seconds(60 * i as u64);
            let writes = (Some(&pool(old)), Some(&pool(new)));
            deeds.note(at, &Actor::controller("pool"), &plan, writes);
        }
        let told = deeds.told();
        let told: Vec<_> =
            told.iter().map(|row| (row.what.as_str(), row.times, row.why.as_str())).collect();
        assert_eq!(
            told,
            [
                ("grows pool web: 4 to 6", 2, "asked: step 0"),
                ("shrinks pool web: 3 to 5", 2, "asked: step 2"),
            ]
        );
    }
}
