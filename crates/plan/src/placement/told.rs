//! Why instances found no host, in words, and what would give them one. It places nothing.

use std::collections::BTreeMap;

use atoll_model::{Host, Object, Reason, Snapshot};

use super::{Exclusion, Need, exclusions, fits};

/// What the agent of the first such host says of its engine that does not answer, in brackets.
pub(crate) fn no_engine(world: &Snapshot, is: impl Fn(&Object<Host>) -> bool) -> String {
    let mut hosts = world.all::<Host>().filter(|host| !host.status.agent.no_engine.is_empty());
    let host = hosts.find(|host| is(host));
    host.map(|host| format!(" ({}: {})", host.name(), host.status.agent.no_engine))
        .unwrap_or_default()
}

/// Says why `count` instances found no host.
pub fn unplaceable(world: &Snapshot, need: &Need, count: u32) -> Reason {
    let (all, causes) = exclusions(world, need);
    let what = if count == 1 { "1 instance has".into() } else { format!("{count} instances have") };
    if all == 0 {
        return Reason::new("unplaceable", format!("{what} no host: there are no hosts"))
            .hint("join a machine with `atoll agent`");
    }
    let said = causes.iter().map(|(cause, n)| {
        let (is, lack, has) =
            if *n == 1 { ("is", "lacks", "has") } else { ("are", "lack", "have") };
        match cause {
            Exclusion::NotSelected => format!("{n} {is} not selected by \"{}\"", need.hosts),
            Exclusion::NotMeant => {
                let to = need.to.map(ToString::to_string).unwrap_or_default();
                format!("{n} {is} not among \"{to}\", where a migration moves what it moves")
            }
            Exclusion::Dear => {
                let budget = need.dear.map(|dear| dear.budget.as_str()).unwrap_or_default();
                format!("{n} {is} dearer than budget/{budget} leaves it")
            }
            Exclusion::Misfit => format!("on {n} it does not come up"),
            Exclusion::Unknown => format!("{n} {is} not heard from"),
            Exclusion::Draining => format!("{n} {is} draining"),
            Exclusion::Cordoned => format!("{n} {is} cordoned"),
            Exclusion::Engine => {
                let why = no_engine(world, |host| fits(world, host, need) == Err(*cause));
                format!("{n} {has} no docker that answers{why}")
            }
            Exclusion::Cpu => format!("{n} {lack} cpu"),
            Exclusion::Memory => format!("{n} {lack} memory"),
            Exclusion::Instances => {
                let it = if *n == 1 { "it" } else { "they" };
                format!("{n} {has} as many instances as {it} may")
            }
            Exclusion::Port => format!("{n} {has} port {} taken", fixed_ports(need)),
        }
    });
    let said: Vec<String> = said.collect();
    let hosts = if all == 1 { "host" } else { "hosts" };
    let why = if said.is_empty() {
        "what there was is given away by this very plan".to_owned()
    } else {
        said.join(", ")
    };
    Reason::new("unplaceable", format!("{what} no host: of {all} {hosts}: {why}"))
        .hint(remedies(need, &causes))
}

/// What would give an instance a host, by what keeps it off those there are.
fn remedies(need: &Need, causes: &BTreeMap<Exclusion, u32>) -> String {
    use Exclusion::{Cordoned, Cpu, Dear, Draining, Engine, Instances, Memory, Port};
    let any = |of: &[Exclusion]| of.iter().any(|cause| causes.contains_key(cause));
    let mut told = Vec::new();
    if causes.is_empty() || any(&[Cpu, Memory]) {
        let (cpu, memory) = (need.resources.cpu, need.resources.memory);
        let what = "add hosts, free some, or ask for less";
        told.push(format!("each needs {cpu} cpu and {memory} memory: {what}"));
    } else if any(&[Instances]) {
        told.push("add hosts, or free some".to_owned());
    }
    if any(&[Port]) {
        let port = fixed_ports(need);
        let free = format!("free port {port} where something else has it");
        told.push(format!("add hosts, {free}, or write 0 for any free port"));
    }
    if any(&[Engine]) {
        told.push("have docker answer there, or add hosts where it does".to_owned());
    }
    if told.is_empty() {
        let closed = any(&[Cordoned, Draining]);
        let open = if closed { ", or open one that is closed" } else { "" };
        told.push(format!("add hosts it may be on{open}"));
    }
    if let Some(dear) = need.dear.filter(|_| any(&[Dear])) {
        told.push(format!("what it leaves: atoll why budget/{}", dear.budget));
    }
    told.join("; ")
}

/// The ports that are asked for by number, in words.
fn fixed_ports(need: &Need) -> String {
    let fixed = need.ports.values().filter(|port| **port != 0).map(u16::to_string);
    fixed.collect::<Vec<_>>().join(" or ")
}
