//! Why hosts and zones are as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::{Drift, Host, Object, Reason, Zone, many};

use super::{NAMED, Told, ago, word};
use crate::decision::is_disturbed;
use crate::{Context, migration, pool};

pub(super) fn tell(cx: &Context, it: &Object<Host>, told: &mut Told) {
    let name = it.name();
    let usage = cx.world.usage(name).cloned().unwrap_or_default();
    let usable = it.spec.usable(it.status.capacity);
    let since = ago(cx, it.status.since);
    told.state = format!(
        "{name} in zone {} is {}{since}; {} {} {} of {} cpu and {} of {} memory.",
        it.zone(),
        word(&it.status.phase),
        many(usage.instances.len(), "instance"),
        if usage.instances.len() == 1 { "takes" } else { "take" },
        usage.amount.cpu,
        usable.cpu,
        usage.amount.memory,
        usable.memory,
    );
    if let Some(at) = cx.measured.last_heard.get(name) {
        told.state.push_str(&format!(" Last heard {} ago.", cx.now.since(*at).rough()));
    }
    let mut by: BTreeMap<&str, usize> = BTreeMap::new();
    for instance in cx.world.instances_on(name) {
        *by.entry(instance.spec.deployment.as_str()).or_default() += 1;
    }
    for deployment in by.keys() {
        told.see(format!("deployment/{deployment}"));
    }
    findings(cx, name, told);
    let left = |verb: &str| {
        by.iter().map(|(d, n)| format!("{} of {d} to {verb}", many(*n, "instance"))).collect()
    };
    if it.status.phase == HostPhase::Unknown {
        told.waiting_for.push("its agent to be heard".to_owned());
    } else if it.status.phase == HostPhase::Draining || it.spec.drain || it.meta.deleting() {
        told.wait_each(left("move away"));
    }
    let emptied = usage.instances.is_empty() && it.spec.drain;
    let kept = pool::reserving(cx.world, name).or_else(|| pool::emptying(cx.world, name));
    if let Some(kept) = kept.filter(|_| it.status.phase != HostPhase::Unknown) {
        let id = format!("pool/{}", kept.name());
        told.next.push(format!("gets nothing new: {id} keeps it empty"));
        return told.see(id);
    }
    let closing = migration::closing(cx.world, name);
    if let Some(closing) = closing.filter(|_| it.status.phase != HostPhase::Unknown) {
        let id = format!("migration/{}", closing.name());
        let until = match (closing.status.phase.is_over(), closing.spec.retire) {
            (true, _) => format!("until: atoll delete {id}"),
            (false, true) => "also once that is over".to_owned(),
            (false, false) => "until that is over".to_owned(),
        };
        told.next.push(format!("gets nothing new, for {id} keeps it closed {until}"));
        told.see(id);
        if !it.spec.cordon && !it.spec.drain {
            return;
        }
    }
    match it.status.phase {
        HostPhase::Drained if emptied => {
            told.next.push(format!("stays empty until: atoll uncordon host/{name}"));
        }
        HostPhase::Cordoned => {
            told.next.push(format!("gets nothing new until: atoll uncordon host/{name}"));
        }
        HostPhase::Unknown if it.meta.deleting() => {}
        HostPhase::Unknown => {
            told.next.push("when it is heard again it is ready, and what is surplus goes".into());
        }
        _ => {}
    }
}

/// What is not so of a host, the first few in words; each is to be seen by itself.
fn findings(cx: &Context, host: &str, told: &mut Told) {
    let open: Vec<_> = cx.world.derived::<Drift>(&Drift::prefix(&format!("host/{host}"))).collect();
    let said = open.iter().flat_map(|drift| &drift.status.reasons);
    told.reasons.extend(said.take(NAMED).cloned());
    open.iter().take(NAMED).for_each(|drift| told.see(format!("drift/{}", drift.name())));
    if open.len() > NAMED {
        let message = format!("{} findings are open in all", open.len());
        let reason = Reason::new("findings", message);
        told.reasons.push(reason.hint(format!("atoll drift --of host/{host}")));
    }
}

pub(super) fn tell_zone(cx: &Context, it: &Object<Zone>, told: &mut Told) {
    let hosts: Vec<&Arc<Object<Host>>> =
        cx.world.all::<Host>().filter(|host| host.zone() == it.name()).collect();
    let disturbed: Vec<_> = hosts.iter().filter(|host| is_disturbed(host)).collect();
    let most = it.spec.max_disturbed.floor_of(hosts.len() as u32).max(1);
    told.state = format!(
        "{} has {}, of which {} draining or unknown; {most} may be before drains are refused.",
        it.name(),
        many(hosts.len(), "host"),
        disturbed.len()
    );
    for host in disturbed {
        told.see(format!("host/{}", host.name()));
    }
}
