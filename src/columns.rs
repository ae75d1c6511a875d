//! What an operator wants to see of each kind in one line: one function a kind. Not how lines
//! are laid out, which is `output.rs`.

use std::collections::BTreeMap;

use atoll_model::cmdb::HostPhase;
use atoll_model::deployment::{InstancePhase, Phase};
use atoll_model::{
    Any, Application, Cpu, Deployment, Environment, Freeze, Host, Instance, Memory, Meta, Object,
    Package, Reason, Release, Timestamp, Zone,
};
use serde::Serialize;

use crate::clock::{age, short};
use crate::terminal::Tone;

mod access;
mod budget;
pub mod centre;
mod ci;
mod config;
mod delivery;
mod elasticity;
pub mod inventory;
mod job;
pub mod policy;
mod pool;
mod watching;

/// One cell of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The title of its column.
    pub title: &'static str,
    /// What it shows; empty is shown as `-`.
    pub text: String,
    /// How it looks.
    pub tone: Tone,
    /// Shown with `-o wide` only.
    pub wide: bool,
}

/// A cell in the plain tone.
pub fn cell(title: &'static str, text: impl Into<String>) -> Cell {
    Cell { title, text: text.into(), tone: Tone::Plain, wide: false }
}

impl Cell {
    /// The same in another tone.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Cell {
        self.tone = tone;
        self
    }

    /// The same for `-o wide` only.
    #[must_use]
    pub fn wide(mut self) -> Cell {
        self.wide = true;
        self
    }
}

/// The line of an object. All lines of a kind have the same titles.
pub fn line(any: &Any, now: Timestamp) -> Vec<Cell> {
    match any {
        Any::Application(o) => application(o, now),
        Any::Environment(o) => environment(o, now),
        Any::Package(o) => package(o, now),
        Any::Release(o) => release(o, now),
        Any::Deployment(o) => deployment(o, now),
        Any::Autoscaler(o) => elasticity::autoscaler(o, now),
        Any::Capacity(o) => elasticity::capacity(o, now),
        Any::Migration(o) => elasticity::migration(o, now),
        Any::Peak(o) => elasticity::peak(o, now),
        Any::Pool(o) => pool::pool(o, now),
        Any::Budget(o) => budget::budget(o, now),
        Any::Price(o) => budget::price(o, now),
        Any::Instance(o) => instance(o, now),
        Any::Host(o) => host(o, now),
        Any::Zone(o) => zone(o, now),
        Any::Freeze(o) => freeze(o, now),
        Any::Token(o) => access::token(o, now),
        Any::User(o) => access::user(o, now),
        Any::Team(o) => access::team(o, now),
        Any::Role(o) => access::role(o, now),
        Any::Monitor(o) => watching::monitor(o, now),
        Any::Objective(o) => watching::objective(o, now),
        Any::Rule(o) => watching::rule(o, now),
        Any::Alert(o) => watching::alert(o, now),
        Any::Silence(o) => watching::silence(o, now),
        Any::Receiver(o) => watching::receiver(o, now),
        Any::Notification(o) => watching::notification(o, now),
        Any::Analysis(o) => watching::analysis(o, now),
        Any::Pipeline(o) => ci::pipeline(o, now),
        Any::Run(o) => ci::run(o, now),
        Any::Task(o) => ci::task(o, now),
        Any::Job(o) => job::job(o, now),
        Any::Runbook(o) => job::runbook(o, now),
        Any::Secret(o) => ci::secret(o, now),
        Any::Config(o) => config::config(o, now),
        Any::Facts(o) => inventory::facts(o, now),
        Any::Network(o) => inventory::network(o, now),
        Any::ItemType(o) => inventory::class(o, now),
        Any::Item(o) => inventory::item(o, now),
        Any::Drift(o) => inventory::drift(o, now),
        Any::Promotion(o) => delivery::promotion(o, now),
        Any::Approval(o) => delivery::approval(o, now),
        Any::Standard(o) => policy::standard(o, now),
        Any::Waiver(o) => policy::waiver(o, now),
        Any::Scorecard(o) => policy::scorecard(o, now),
        Any::Policy(o) => centre::policy(o, now),
        Any::Decision(o) => centre::decision(o, now),
    }
}

fn application(o: &Object<Application>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let environments = spec.environments.as_ref().map_or("all".to_owned(), |e| e.join(","));
    let scaling = spec.scaling.as_ref().map(|s| format!("{}-{}", s.min, s.max));
    vec![
        name(&o.meta),
        cell("RELEASE", text(&o.status.release)),
        cell("PACKAGE", text(&spec.package)),
        cell("IMAGE", text(&spec.image)).wide(),
        cell("STRATEGY", word(&spec.rollout.strategy)),
        cell("OWNER", text(&spec.owner)).wide(),
        cell("ENVIRONMENTS", environments).wide(),
        cell("SCALING", text(&scaling)).wide(),
        aged(&o.meta, now),
        reason(&o.status.reasons),
    ]
}

fn environment(o: &Object<Environment>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let hosts = spec.hosts.to_string();
    let approval = spec.approval.as_ref().map(|a| format!("{} of {}", a.count, a.roles.join(",")));
    vec![
        name(&o.meta),
        cell("AFTER", text(&spec.after)),
        cell("HOSTS", if hosts.is_empty() { "all".to_owned() } else { hosts }),
        cell("RUNTIME", word(&spec.runtime)),
        cell("APPROVAL", text(&approval)),
        cell("PROMOTION", word(&spec.promotion)),
        cell("ENGINE", word(&spec.engine)).wide(),
        aged(&o.meta, now),
    ]
}

fn package(o: &Object<Package>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let commit = spec.built.as_ref().and_then(|built| built.commit.as_ref());
    let signed = o.status.provenance.is_some();
    vec![
        cell("PACKAGE", format!("{}:{}", spec.name, spec.version)).tone(Tone::Strong),
        cell("SIZE", size(Memory(spec.size))),
        cell("ENTRIES", spec.entries.to_string()),
        cell("DIGEST", spec.digest.trim_start_matches("sha256:").get(..12).unwrap_or_default()),
        cell("COMMIT", commit.map(|c| c.id.get(..12).unwrap_or(&c.id)).unwrap_or_default()),
        cell("SIGNED", if signed { "yes" } else { "no" }),
        cell("NAME", o.name()).wide(),
        aged(&o.meta, now),
    ]
}

fn release(o: &Object<Release>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let package = spec.package.as_ref().map(|p| format!("{}:{}", p.name, p.version));
    let config: Vec<String> = spec.config.iter().map(|(k, v)| format!("{k}={v}")).collect();
    vec![
        name(&o.meta),
        cell("APPLICATION", spec.application.clone()),
        cell("NUMBER", spec.number.to_string()),
        cell("PACKAGE", text(&package)),
        cell("IMAGE", o.pinned_image().map_or_else(|| text(&spec.image), str::to_owned)).wide(),
        cell("BRANCH", text(&spec.branch)),
        cell("VETO", spec.veto.as_ref().map(|v| v.reason.clone()).unwrap_or_default()),
        cell("CONFIG", config.join(",")).wide(),
        cell("COMMAND", spec.run.command.join(" ")).wide(),
        aged(&o.meta, now),
        cell("NOTES", spec.notes.clone()),
    ]
}

fn deployment(o: &Object<Deployment>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let tone = match status.phase {
        Phase::Settled if status.failed.is_some() => Tone::Busy,
        Phase::Settled => Tone::Good,
        Phase::Failed | Phase::RollingBack => Tone::Bad,
        Phase::Waiting | Phase::Rolling | Phase::Soaking | Phase::Paused => Tone::Busy,
    };
    let ready = format!("{}/{}", status.ready, o.wanted());
    let short_of = if status.ready < o.wanted() { Tone::Busy } else { Tone::Plain };
    vec![
        name(&o.meta),
        phased(&o.meta, word(&status.phase), tone),
        cell("READY", ready).tone(short_of),
        cell("UPDATED", status.updated.to_string()),
        cell("RELEASE", releases(o)),
        cell("LAST-GOOD", text(&status.last_good)).wide(),
        cell("UNAVAILABLE", status.unavailable.to_string()).wide(),
        cell("WANTED", o.spec.release.clone().unwrap_or_else(|| "newest".to_owned())).wide(),
        cell("PINNED", text(&o.spec.pin)).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

/// What it runs, and what it is on the way to.
fn releases(o: &Object<Deployment>) -> String {
    let from = text(&o.status.release);
    match o.status.rollout.as_ref().map(|r| r.to.as_str()) {
        Some(to) if to != from && from.is_empty() => format!("->{to}"),
        Some(to) if to != from => format!("{from}->{to}"),
        _ => from,
    }
}

fn instance(o: &Object<Instance>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        InstancePhase::Ready => Tone::Good,
        InstancePhase::Unready | InstancePhase::CrashLoop | InstancePhase::Unknown => Tone::Bad,
        InstancePhase::Stopped => Tone::Dim,
        InstancePhase::Pending
        | InstancePhase::Fetching
        | InstancePhase::Starting
        | InstancePhase::Stopping => Tone::Busy,
    };
    let ports = if status.ports.is_empty() { &spec.ports } else { &status.ports };
    let restarts = status.restarts.to_string();
    vec![
        name(&o.meta),
        phased(&o.meta, word(&status.phase), tone),
        cell("HOST", spec.host.clone()),
        cell("RELEASE", status.release.clone().unwrap_or_else(|| spec.release.clone())),
        cell("RESTARTS", restarts).tone(if status.restarts > 0 { Tone::Busy } else { Tone::Plain }),
        cell("PORTS", pairs(ports, ":")),
        cell("ADDRESS", status.address.clone()).wide(),
        cell("PID", status.pid.map(|p| p.to_string()).unwrap_or_default()).wide(),
        cell("STARTED", status.started_at.map(|at| short(now.since(at))).unwrap_or_default())
            .wide(),
        cell("CPU", spec.resources.cpu.to_string()).wide(),
        cell("MEMORY", size(spec.resources.memory)).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

fn host(o: &Object<Host>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let tone = match status.phase {
        HostPhase::Ready => Tone::Good,
        HostPhase::Unknown => Tone::Bad,
        HostPhase::Draining | HostPhase::Drained | HostPhase::Cordoned => Tone::Busy,
    };
    let usable = o.spec.usable(status.capacity);
    let used = &status.allocated;
    vec![
        name(&o.meta),
        phased(&o.meta, word(&status.phase), tone),
        cell("ZONE", o.zone()),
        cell("CPU", format!("{}/{}", cores(used.cpu), cores(usable.cpu))),
        cell("MEMORY", format!("{}/{}", size(used.memory), size(usable.memory))),
        cell("INSTANCES", used.instances.to_string()),
        cell("ADDRESS", status.address.clone()).wide(),
        cell("AGENT", status.agent.version.clone()).wide(),
        cell("SEEN", status.last_seen.map(|at| short(now.since(at))).unwrap_or_default()).wide(),
        cell("ENGINE", status.agent.engine.clone()).wide(),
        cell("ISOLATION", status.agent.isolation.join(",")).wide(),
        cell("LABELS", pairs(&o.meta.labels, "=")).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

fn zone(o: &Object<Zone>, now: Timestamp) -> Vec<Cell> {
    vec![
        name(&o.meta),
        cell("MAX-DISTURBED", o.spec.max_disturbed.to_string()),
        aged(&o.meta, now),
        cell("DESCRIPTION", o.spec.description.clone()),
    ]
}

fn freeze(o: &Object<Freeze>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let (state, tone) = match (spec.active(now), spec.from) {
        (true, _) => ("active", Tone::Busy),
        (false, Some(from)) if from > now => ("ahead", Tone::Plain),
        (false, _) => ("over", Tone::Dim),
    };
    let all = |list: String| if list.is_empty() { "all".to_owned() } else { list };
    let labels = Some(spec.applications.to_string()).filter(|labels| !labels.is_empty());
    let which: Vec<String> = spec.named.iter().cloned().chain(labels).collect();
    let which = which.join(",");
    vec![
        name(&o.meta),
        cell("STATE", state).tone(tone),
        cell("FROM", spec.from.map(|t| t.to_string()).unwrap_or_default()),
        cell("UNTIL", spec.until.map(|t| t.to_string()).unwrap_or_default()),
        cell("HOLDS", word(&spec.holds)),
        cell("ENVIRONMENTS", all(spec.environments.join(","))),
        cell("APPLICATIONS", all(which)),
        aged(&o.meta, now),
        cell("REASON", spec.reason.clone()),
    ]
}

fn name(meta: &Meta) -> Cell {
    cell("NAME", meta.name.clone()).tone(Tone::Strong)
}

fn phased(meta: &Meta, phase: String, tone: Tone) -> Cell {
    if meta.deleting() {
        cell("PHASE", "deleting").tone(Tone::Busy)
    } else {
        cell("PHASE", phase).tone(tone)
    }
}

fn aged(meta: &Meta, now: Timestamp) -> Cell {
    cell("AGE", age(meta.created_at, now))
}

/// The most telling reason; where there are more, how many.
fn reason(reasons: &[Reason]) -> Cell {
    let text = match reasons {
        [] => String::new(),
        [only] => only.message.clone(),
        [first, rest @ ..] => format!("{} (+{} more)", first.message, rest.len()),
    };
    cell("REASON", text.replace('\n', " "))
}

fn text(value: &Option<String>) -> String {
    value.clone().unwrap_or_default()
}

fn pairs<V: ToString>(map: &BTreeMap<String, V>, between: &str) -> String {
    let all: Vec<String> =
        map.iter().map(|(k, v)| format!("{k}{between}{}", v.to_string())).collect();
    all.join(",")
}

/// The word an enum is written as in manifests.
pub fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Cores with at most one decimal; less than one in thousandths.
pub fn cores(cpu: Cpu) -> String {
    if cpu.0 < 1000 && !cpu.0.is_multiple_of(100) {
        return format!("{}m", cpu.0);
    }
    decimal(cpu.0 as f64 / 1000.0)
}

/// At most six significant digits; what is no number is said as PromQL does.
pub fn figure(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value.is_nan() || value.fract() == 0.0 {
        return value.to_string();
    }
    let digits = 5 - value.abs().log10().floor().clamp(-12.0, 5.0) as i32;
    let text = format!("{value:.*}", digits.max(0) as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes in the largest unit that leaves a whole number, with at most one decimal.
pub fn size(memory: Memory) -> String {
    const UNITS: [(&str, u64); 4] =
        [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    match UNITS.into_iter().find(|(_, size)| memory.0 >= *size) {
        Some((unit, size)) => format!("{}{unit}", decimal(memory.0 as f64 / size as f64)),
        None => memory.0.to_string(),
    }
}

fn decimal(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(size(Memory(256 << 20)), "256Mi");
        assert_eq!(size(Memory(16_000_000_000)), "14.9Gi");
        assert_eq!(size(Memory(12)), "12");
        assert_eq!(cores(Cpu(1500)), "1.5");
        assert_eq!(cores(Cpu(2000)), "2");
        assert_eq!((cores(Cpu(500)), cores(Cpu(40))), ("0.5".into(), "40m".into()));
    }

    #[test]
    fn lines_of_a_kind_have_the_same_titles() {
        let bare = r#"{"apiVersion":"atoll/v1","kind":"Host","metadata":{"name":"h1"},"spec":{}}"#;
        let full = r#"{"apiVersion":"atoll/v1","kind":"Host","metadata":{"name":"h2",
            "labels":{"zone":"a"}},"spec":{"drain":true},"status":{"phase":"draining",
            "reasons":[{"code":"drain","message":"2 instances left"}]}}"#;
        let titles = |text: &str| -> Vec<&str> {
            let any = Any::from_json(text).unwrap();
            line(&any, Timestamp(0)).iter().map(|c| c.title).collect()
        };
        assert_eq!(titles(bare), titles(full));
    }
}
