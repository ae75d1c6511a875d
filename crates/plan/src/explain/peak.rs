//! How far a peak is, in words.

use atoll_model::peak::{PeakApplication, PeakPhase, PeakReport, State, when};
use atoll_model::{Object, Peak, many};

use super::{Told, word};
use crate::Context;

/// What changed of a peak's status, if it is worth a line.
pub(super) fn words(old: &Object<Peak>, new: &Object<Peak>) -> Option<String> {
    let told = |of: &Object<Peak>| {
        let status = &of.status;
        let kept: u32 = status.applications.iter().map(|row| row.keep).sum();
        let room: u32 = status.applications.iter().map(|row| row.room).sum();
        let kept = match (room, kept) {
            (0, 0) => String::new(),
            (room, 0) => format!(", room for {room}"),
            (_, kept) => format!(", {kept} kept"),
        };
        let late = status.checks.iter().filter(|check| check.state == State::Late).count();
        let late = if late == 0 || status.phase >= PeakPhase::GivingBack {
            String::new()
        } else {
            format!(", {late} late")
        };
        let rehearsed = match &status.rehearsed {
            None => "",
            Some(last) if last.held => ", rehearsed",
            Some(_) => ", rehearsed in vain",
        };
        format!("peak/{} is {}{kept}{late}{rehearsed}", of.name(), word(&status.phase))
    };
    let (was, is) = (told(old), told(new));
    (was != is).then_some(is)
}

fn are(count: u32) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

pub(super) fn tell(cx: &Context, it: &Object<Peak>, told: &mut Told) {
    let (name, status, zone) = (it.name(), &it.status, it.spec.time_zone.as_deref());
    let Some((starts, ends)) = it.spec.window().ok() else {
        told.state = format!("{name} is no time.");
        return;
    };
    let when = format!("{} to {}", when::shown(starts, zone), when::shown(ends, zone));
    let needed: u32 = status.applications.iter().filter_map(|row| row.needed).sum();
    let known = status.applications.iter().filter(|row| row.needed.is_some()).count();
    let have = status.there();
    let kept: u32 = status.applications.iter().map(|row| row.keep).sum();
    let takes = format!("{} of {needed} there", crate::instances(have as usize));
    let place = &it.spec.environment;
    told.state = match status.phase {
        PeakPhase::Planned if cx.now < starts && known == 0 => {
            format!("{name} is planned for {when} in {place}: what it takes is not known.")
        }
        PeakPhase::Planned if cx.now < starts => {
            format!(
                "{name} is planned for {when} in {place}: it takes {needed}, {have} {} there.",
                are(have)
            )
        }
        PeakPhase::Planned => format!("{name} was to be {when} in {place}."),
        PeakPhase::Procuring | PeakPhase::Fetching | PeakPhase::Scaling | PeakPhase::Frozen => {
            format!("{name} is made ready for {when} in {place}: {takes}, {kept} kept.")
        }
        PeakPhase::Live => format!("{name} is there, {when} in {place}: {takes}."),
        PeakPhase::GivingBack if kept > 0 => {
            format!("{name} was {when} in {place}: {kept} {} still kept.", are(kept))
        }
        PeakPhase::GivingBack | PeakPhase::Over => format!("{name} was {when} in {place}."),
    };
    if cx.now < starts {
        let open = status.checks.iter().filter(|check| check.state == State::Open);
        told.wait_each(
            open.map(|check| {
                let due = when::due(check.due, starts, zone);
                format!("{} by {due}: {}", check.name, check.message)
            })
            .collect(),
        );
    }
    let missing = |row: &&PeakApplication| row.missing > 0 && cx.now < ends;
    for row in status.applications.iter().filter(missing).take(5) {
        told.see(format!("autoscaler/{}", row.deployment));
    }
    if let Some(report) = &status.report {
        if report.applications.is_empty() && cx.now >= ends {
            told.next.push("nothing was seen of it while it was there".to_owned());
            return;
        }
        let seen = if cx.now < ends { "seen so far" } else { "seen while it was there" };
        told.next.push(format!(
            "{seen}: {}, {} and {}",
            promised(report),
            many(report.alerts.len(), "alert"),
            many(report.decisions.len(), "decision")
        ));
    }
}

/// How what was promised was kept, as far as anything was.
fn promised(report: &PeakReport) -> String {
    let broken = report.broken.values().filter(|time| **time > 0).count();
    let broken = format!("{} broken", many(broken, "objective"));
    let (without, all) = (report.unpromised().len(), report.applications.len());
    match without {
        0 => broken,
        _ if without == all => "nothing is promised".to_owned(),
        _ => {
            let all = many(all, "application");
            format!("{broken} (nothing is promised by {without} of {all})")
        }
    }
}
