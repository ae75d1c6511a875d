//! What each instance uses, under the names cAdvisor has made usual: from its cgroup where there
//! is one that counts, from its processes otherwise. Its log is counted in `logs.rs`.

pub mod usage;

use std::collections::BTreeMap;

use atoll_model::delivery::Runtime;
use atoll_model::run::Resources;

use super::host::{Put, pressure};
use super::logs::Logs;
use super::outbox::Outbox;
use super::roster::{Roster, Seen};
use super::series::{Base, Tracked};
use crate::machine::Machine;
use crate::runtime::cgroup::Group;
use crate::runtime::process::{self, Stat};
use usage::{Group as Counts, Ledger};

/// The period quotas of processor time are told in, in microseconds, as cAdvisor does.
const PERIOD: f64 = 100_000.0;

/// All instances, from one look to the next.
#[derive(Default)]
pub struct Instances {
    known: BTreeMap<String, Kept>,
}

struct Kept {
    tracked: Tracked,
    ledger: Ledger,
}

/// The labels of everything about an instance, for that job.
pub fn labels(seen: &Seen, host: &str, job: &str) -> Base {
    let instance = &seen.record.order.instance;
    Base::new(&[
        ("application", &instance.application),
        ("deployment", &instance.deployment),
        ("environment", &instance.environment),
        ("host", host),
        ("instance", &instance.name),
        ("job", job),
        ("release", seen.release()),
    ])
}

impl Instances {
    /// Looks at every instance. Series of those that are gone end.
    pub fn collect(
        &mut self,
        roster: &Roster,
        machine: &Machine,
        logs: &Logs,
        outbox: &mut Outbox,
        at: i64,
    ) {
        self.known.retain(|name, kept| {
            let here = roster.instances.contains_key(name);
            if !here {
                kept.tracked.end_all(outbox, at);
            }
            here
        });
        let mut all: Option<Vec<Stat>> = None;
        for (name, seen) in &roster.instances {
            let base = labels(seen, &machine.host, "instances");
            let kept = self.known.entry(name.clone()).or_insert_with(|| Kept {
                tracked: Tracked::new(base.clone()),
                ledger: Ledger::default(),
            });
            if *kept.tracked.base() != base {
                kept.tracked.end_all(outbox, at);
                kept.tracked = Tracked::new(base);
            }
            let (tracked, ledger) = (&mut kept.tracked, &mut kept.ledger);
            tracked.begin();
            let mut put = |name: &str, labels: &[(&str, &str)], value: f64| {
                tracked.put(outbox, at, name, labels, value);
            };
            state(seen, &mut put);
            logs.put(name, &mut put);
            if let Some(app) = seen.app() {
                let group = match seen.record.order.instance.runtime {
                    Runtime::Process => machine.group(name),
                    Runtime::Docker => Group::of(app.pid),
                };
                let pids = match usage::members(&group) {
                    Some(pids) => pids,
                    None => usage::tree(all.get_or_insert_with(process::all), app.pid),
                };
                limits(&seen.record.order.instance.resources, &mut put);
                ledger.look(&pids);
                used(&group, ledger, &mut put);
            }
            kept.tracked.finish(outbox, at);
        }
    }
}

fn state(seen: &Seen, put: &mut Put<'_>) {
    // One that is to be stopped is not missed when it is down.
    if !seen.record.order.instance.stop {
        put("atoll_instance_up", &[], f64::from(u8::from(seen.is_up())));
    }
    let Some(state) = &seen.state else { return };
    put("atoll_instance_restarts_total", &[], f64::from(state.restarts));
    if let (Some(started), Some(_)) = (state.started_at, seen.app()) {
        put("container_start_time_seconds", &[], started.0 as f64 / 1000.0);
    }
}

fn limits(resources: &Resources, put: &mut Put<'_>) {
    put("container_spec_memory_limit_bytes", &[], resources.memory.0 as f64);
    put("container_spec_cpu_period", &[], PERIOD);
    put("container_spec_cpu_quota", &[], resources.cpu.0 as f64 * PERIOD / 1000.0);
}

/// What it uses. The group's own counts come first: they know of processes that have ended too.
fn used(group: &Group, ledger: &Ledger, put: &mut Put<'_>) {
    let counts = Counts::read(group);
    let total = [("cpu", "total")];
    let cpu = counts.cpu.unwrap_or([ledger.user + ledger.system, ledger.user, ledger.system]);
    put("container_cpu_usage_seconds_total", &total, cpu[0]);
    put("container_cpu_user_seconds_total", &[], cpu[1]);
    put("container_cpu_system_seconds_total", &[], cpu[2]);
    if let Some([periods, throttled, seconds]) = counts.throttled {
        put("container_cpu_cfs_periods_total", &[], periods);
        put("container_cpu_cfs_throttled_periods_total", &[], throttled);
        put("container_cpu_cfs_throttled_seconds_total", &[], seconds);
    }
    let memory = counts.memory.unwrap_or(usage::Memory {
        usage: ledger.resident,
        working_set: ledger.resident,
        rss: ledger.resident,
        cache: None,
    });
    put("container_memory_usage_bytes", &[], memory.usage);
    put("container_memory_working_set_bytes", &[], memory.working_set);
    put("container_memory_rss", &[], memory.rss);
    if let Some(cache) = memory.cache {
        put("container_memory_cache", &[], cache);
    }
    if !group.dirs.is_empty() {
        put("container_oom_events_total", &[], group.denied().memory as f64);
    }
    for (resource, text) in &counts.pressure {
        pressure("container_pressure", resource, text, put);
    }
    if let Some((reads, writes)) = ledger.disk() {
        put("container_fs_reads_bytes_total", &[], reads);
        put("container_fs_writes_bytes_total", &[], writes);
    }
    put("container_processes", &[], ledger.processes as f64);
    put("container_threads", &[], ledger.threads as f64);
    put("container_file_descriptors", &[], ledger.descriptors as f64);
}
