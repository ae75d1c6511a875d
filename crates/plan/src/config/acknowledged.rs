//! Who has taken up what is meant for them, and why the others have not.

use atoll_model::Timestamp;
use atoll_model::cmdb::HostPhase;
use atoll_model::config::{ConfigAck, ConfigStatus, Laggard};
use atoll_model::deployment::InstancePhase;

use super::delivery::{Member, version_for};
use super::{GATHER, Subject};

/// So many laggards are named.
const NAMED: usize = 20;

/// Counts who has taken it up; returns when to count again.
pub(super) fn count(subject: &Subject, status: &mut ConfigStatus) -> Option<Timestamp> {
    let name = subject.object.name();
    let mut laggards = Vec::new();
    let mut acknowledged = 0;
    for member in &subject.members {
        let (wanted, _) = version_for(status, member.name());
        let ack = member.ack(name);
        if wanted == 0 || ack.is_some_and(|ack| ack.acknowledges(wanted)) {
            acknowledged += 1;
        } else {
            laggards.push((wanted, ack, member));
        }
    }
    let old = &subject.object.status;
    let same = (old.version, version_of(old)) == (status.version, version_of(status))
        && old.instances == subject.members.len() as u32;
    let began = status.gray.as_ref().map(|gray| gray.since).or(status.since);
    let settles_at = began.map(|since| since + GATHER).filter(|at| *at > subject.cx.now);
    if same && !laggards.is_empty() && settles_at.is_some() {
        // They come in one after the other, and each is not worth a write.
        return settles_at;
    }
    status.instances = subject.members.len() as u32;
    status.acknowledged = acknowledged;
    let named = laggards.iter().take(NAMED);
    status.laggards = named.map(|(wanted, ack, member)| laggard(*wanted, *ack, member)).collect();
    settles_at.filter(|_| !laggards.is_empty())
}

fn version_of(status: &ConfigStatus) -> Option<(u64, usize)> {
    status.gray.as_ref().map(|gray| (gray.version, gray.instances.len()))
}

fn laggard(wanted: u64, ack: Option<&ConfigAck>, member: &Member) -> Laggard {
    Laggard {
        instance: member.name().to_owned(),
        host: member.instance.spec.host.clone(),
        wanted,
        has: ack.map(|ack| if ack.follows { ack.fetched.unwrap_or(0) } else { ack.version }),
        why: why(wanted, ack, member),
    }
}

fn why(wanted: u64, ack: Option<&ConfigAck>, member: &Member) -> String {
    let host = &member.instance.spec.host;
    match member.host.map(|host| host.status.phase) {
        None => return format!("its host {host} is not there"),
        Some(HostPhase::Unknown) => return format!("its host {host} is not heard from"),
        Some(_) => {}
    }
    if let Some(error) = ack.and_then(|ack| ack.error.clone()) {
        return error;
    }
    match member.instance.status.phase {
        InstancePhase::Pending | InstancePhase::Fetching => "it has not started yet".to_owned(),
        InstancePhase::CrashLoop => "its process does not stay up".to_owned(),
        _ if ack.is_some_and(|ack| ack.version == wanted) => {
            "its program has not fetched it yet".to_owned()
        }
        _ => format!("the agent of {host} has not reported it yet"),
    }
}

/// Whether everybody who has the newer version has taken it up.
pub(super) fn all_of_gray(subject: &Subject, status: &ConfigStatus) -> bool {
    let Some(gray) = &status.gray else { return true };
    let config = subject.object.name();
    let mut members =
        subject.members.iter().filter(|member| gray.instances.contains_key(member.name()));
    members.all(|member| member.ack(config).is_some_and(|ack| ack.acknowledges(gray.version)))
}
