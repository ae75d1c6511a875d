//! Writes the own figures in the text applications expose. What is counted during work comes from
//! `own.rs`; what simply is, is read here.

use atoll_metrics::exposition::writer::{Histogram, Writer};
use atoll_metrics::exposition::{Format, Kind};
use atoll_model::figures::DeliveryFigure;
use atoll_model::notification::NotificationPhase;
use atoll_model::{Monitor, Notification, Span};
use atoll_plan::Context;
use atoll_plan::delivery::figures;
use atoll_plan::policy;
use atoll_plan::policy::score::{By, scores};

use super::costs::costs;
use super::inventory::inventory;
use super::{BOUNDS, process};
use crate::Server;
use crate::api::delivery::USUAL_WINDOW;

/// What counters and times are for.
const HELP: &[(&str, &str)] = &[
    ("atoll_http_requests_total", "Requests answered."),
    ("atoll_http_request_duration_seconds", "How long answers took, those that wait apart."),
    ("atoll_commits_total", "Plans by what they were for and what became of them."),
    ("atoll_restarts_total", "Times hosts started an instance again by themselves."),
    ("atoll_plans_total", "Plans made by controllers, and whether they wrote."),
    ("atoll_plan_duration_seconds", "How long controllers took to plan and commit."),
    ("atoll_store_duration_seconds", "How long the store took to commit."),
    ("atoll_query_duration_seconds", "How long questions to the metrics store took."),
    ("atoll_metrics_received_samples_total", "Samples handed in, by what became of them."),
    ("atoll_notifications_sent_total", "Attempts to send a message, by what became of them."),
    ("atoll_notification_duration_seconds", "How long sending a message took."),
    ("atoll_probes_total", "Probes of monitors, by what they found."),
    ("atoll_log_searches_total", "Searches of logs over the agents."),
];

fn help(name: &str) -> &'static str {
    HELP.iter().find(|(known, _)| *known == name).map_or("", |(_, help)| help)
}

/// All own figures.
pub fn text(app: &Server, format: Format) -> String {
    let mut writer = Writer::new(format);
    state(app, &mut writer);
    counted(app, &mut writer);
    metrics(app, &mut writer);
    monitoring(app, &mut writer);
    delivery(app, &mut writer);
    standards(app, &mut writer);
    inventory(app, &mut writer);
    costs(app, &mut writer);
    of_process(app, &mut writer);
    writer.finish()
}

fn gauge(writer: &mut Writer, name: &str, help: &str, value: f64) {
    writer.family(name, Kind::Gauge, help).value(&[], value);
}

fn state(app: &Server, writer: &mut Writer) {
    let world = app.cache.world();
    let leads = f64::from(u8::from(app.leads_here()));
    gauge(writer, "atoll_revision", "Revision of the newest write known here.", {
        world.revision as f64
    });
    gauge(writer, "atoll_leads", "Whether the controllers of this replica act.", leads);
    let mut objects = writer.family("atoll_objects", Kind::Gauge, "Objects stored.");
    for kind in atoll_model::Kind::ALL {
        objects.value(&[("kind", &kind.to_string())], world.count(*kind) as f64);
    }
    let (due, measured) = app.backlog();
    gauge(writer, "atoll_controller_queue", "Keys that wait to be planned.", due as f64);
    gauge(writer, "atoll_controller_measuring", "Keys being measured.", measured as f64);
    let info = [("version", env!("CARGO_PKG_VERSION"))];
    writer.family("atoll_build_info", Kind::Gauge, "What runs.").value(&info, 1.0);
}

fn counted(app: &Server, writer: &mut Writer) {
    let inner = {
        let inner = app.figures.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.clone()
    };
    let mut names: Vec<&str> = inner.counters.keys().map(|(name, _)| *name).collect();
    names.dedup();
    for name in names {
        let mut rows = writer.family(name, Kind::Counter, help(name));
        for ((_, labels), value) in inner.counters.iter().filter(|((n, _), _)| *n == name) {
            rows.value(&borrowed(labels), *value as f64);
        }
    }
    let mut names: Vec<&str> = inner.times.keys().map(|(name, _)| *name).collect();
    names.dedup();
    for name in names {
        let mut rows = writer.family(name, Kind::Histogram, help(name));
        for ((_, labels), times) in inner.times.iter().filter(|((n, _), _)| *n == name) {
            let seen = Histogram { bounds: &BOUNDS, counts: &times.counts, sum: times.sum };
            rows.histogram(&borrowed(labels), seen);
        }
    }
}

fn borrowed<'a>(labels: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    labels.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn metrics(app: &Server, writer: &mut Writer) {
    let status = app.metrics.storage.status();
    let all = [
        ("atoll_metrics_series", "Series in memory.", status.series),
        ("atoll_metrics_samples", "Samples in memory and in blocks.", status.samples),
        ("atoll_metrics_head_bytes", "Bytes of samples in memory.", status.head_bytes),
        ("atoll_metrics_log_bytes", "Bytes of the log.", status.log_bytes),
        ("atoll_metrics_blocks", "Blocks on disk.", status.blocks.count),
        ("atoll_metrics_block_bytes", "Bytes of blocks on disk.", status.blocks.bytes),
        ("atoll_queries_waiting", "People's questions that wait.", {
            app.metrics.lanes.waiting() as u64
        }),
    ];
    for (name, help, value) in all {
        gauge(writer, name, help, value as f64);
    }
    let mut rows =
        writer.family("atoll_metrics_source_series", Kind::Gauge, "Series of the largest sources.");
    for source in status.sources.iter().take(10) {
        rows.value(&[("source", &source.name)], source.series as f64);
    }
    let refused: u64 = status.sources.iter().map(|source| source.refused).sum();
    let name = "atoll_metrics_refused_samples_total";
    writer
        .family(name, Kind::Counter, "Samples refused because of a limit of series.")
        .value(&[], refused as f64);
    if let Some(remote) = &app.metrics.remote {
        let progress = remote.progress();
        let up = f64::from(u8::from(progress.up));
        gauge(writer, "atoll_remote_up", "Whether the remote server takes metrics.", up);
        gauge(writer, "atoll_remote_waiting_bytes", "Bytes that wait for it.", {
            progress.waiting as f64
        });
        let counters = [
            ("atoll_remote_sent_total", "Messages it took.", progress.sent),
            ("atoll_remote_lost_total", "Messages it never got.", progress.lost),
        ];
        for (name, help, value) in counters {
            writer.family(name, Kind::Counter, help).value(&[], value as f64);
        }
    }
    if let Some(peers) = &app.metrics.peers {
        gauge(writer, "atoll_replication_waiting_bytes", "Metrics that wait for replicas.", {
            peers.waiting() as f64
        });
        let name = "atoll_replication_lost_total";
        let help = "Messages of metrics a replica never got.";
        writer.family(name, Kind::Counter, help).value(&[], peers.lost() as f64);
    }
}

fn monitoring(app: &Server, writer: &mut Writer) {
    let world = app.cache.world();
    let pending = world
        .all::<Notification>()
        .filter(|n| n.status.phase == NotificationPhase::Pending)
        .count();
    gauge(writer, "atoll_notifications_pending", "Messages to be sent.", pending as f64);
    let down: u32 = world.all::<Monitor>().map(|monitor| monitor.status.down).sum();
    gauge(writer, "atoll_monitor_targets_down", "Targets of monitors that are down.", {
        f64::from(down)
    });
}

/// The figures of delivery, of each application; what cannot be told is left out.
fn delivery(app: &Server, writer: &mut Writer) {
    let (world, measured, now) = (app.cache.world(), app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    let told = figures::delivery(&cx, USUAL_WINDOW, figures::By::Application);
    type Read = fn(&DeliveryFigure) -> Option<f64>;
    let all: [(&str, &str, Read); 5] = [
        ("atoll_delivery_lead_time_seconds", "From commit to running, the middle of 30 days.", {
            |figure| figure.lead_time.map(seconds)
        }),
        ("atoll_delivery_changes_per_day", "Changes that ended well a day, of 30 days.", {
            |figure| Some(figure.per_day)
        }),
        ("atoll_delivery_failure_ratio", "The share of changes that failed, of 30 days.", {
            |figure| figure.failure_rate
        }),
        ("atoll_delivery_restore_seconds", "From failure to whole, the middle of 30 days.", {
            |figure| figure.time_to_restore.map(seconds)
        }),
        ("atoll_delivery_untouched_ratio", "The share of changes without a person.", {
            |figure| figure.untouched
        }),
    ];
    for (name, help, read) in all {
        let mut rows = writer.family(name, Kind::Gauge, help);
        for figure in &told.items {
            if let Some(value) = read(figure) {
                rows.value(&[("application", &figure.name)], value);
            }
        }
    }
}

/// How well standards are kept: scores of applications, of teams and of the fleet, and what is not
/// kept of each standard.
fn standards(app: &Server, writer: &mut Writer) {
    let (world, measured, now) = (app.cache.world(), app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    let help = "How well standards are kept, 0 to 100.";
    let mut rows = writer.family("atoll_standards_score", Kind::Gauge, help);
    for by in [By::Application, By::Team, By::Fleet] {
        for row in scores(&cx, by, 1).items {
            if let Some(score) = row.score {
                rows.value(&[("by", by.name()), ("name", &row.name)], f64::from(score));
            }
        }
    }
    let help = "Objects that do not keep a standard.";
    let mut rows = writer.family("atoll_standards_findings", Kind::Gauge, help);
    for ((standard, mode, state), count) in policy::counts(&world) {
        let (mode, state) = (word(&mode), word(&state));
        let labels = [("standard", standard), ("mode", &mode), ("state", &state)];
        rows.value(&labels, count as f64);
    }
}

/// The word of a value as users know it.
fn word(value: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(value).ok();
    word.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn seconds(span: Span) -> f64 {
    span.0 as f64 / 1000.0
}

fn of_process(app: &Server, writer: &mut Writer) {
    let process = process::read();
    let started = app.clock.started().0 as f64 / 1000.0;
    if let Some(seconds) = process.cpu_seconds {
        let help = "Processor time used.";
        writer.family("process_cpu_seconds_total", Kind::Counter, help).value(&[], seconds);
    }
    let all = [
        ("process_resident_memory_bytes", "Memory in use.", process.resident),
        ("process_virtual_memory_bytes", "Address space.", process.virtual_memory),
        ("process_open_fds", "Open files.", process.open_files),
        ("process_max_fds", "How many there may be.", process.most_files),
        ("process_threads", "Threads.", process.threads),
        ("process_start_time_seconds", "When it was started.", Some(started)),
    ];
    for (name, help, value) in all {
        if let Some(value) = value {
            gauge(writer, name, help, value);
        }
    }
}
