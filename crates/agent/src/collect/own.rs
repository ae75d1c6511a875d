//! What the agent says about itself: what its process uses, and what becomes of the metrics.

use std::fs;

use super::host::{Files, Put, TICKS};
use super::instance::usage::{open_files, parse};
use super::outbox::Figures;

/// Tells it all.
pub fn collect(files: &mut Files, figures: &Figures, queue_bytes: u64, put: &mut Put<'_>) {
    put("atoll_agent_samples_forwarded_total", &[], figures.forwarded as f64);
    // Those that matter are there from the start, so that a rate has where to begin.
    for reason in ["duplicate", "encoding", "future", "queue", "refused"] {
        let count = figures.dropped.get(reason).copied().unwrap_or_default();
        put("atoll_agent_samples_dropped_total", &[("reason", reason)], count as f64);
    }
    put("atoll_agent_queue_bytes", &[], queue_bytes as f64);
    put("atoll_agent_forward_retries_total", &[], figures.retries as f64);
    put("atoll_agent_scrapes_total", &[], figures.scrapes as f64);
    put("atoll_agent_scrape_failures_total", &[], figures.scrape_failures as f64);
    process(files, put);
}

fn process(files: &mut Files, put: &mut Put<'_>) {
    let booted = files.read("/proc/stat").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
        line.trim().parse::<f64>().ok()
    });
    let Some(own) = fs::read("/proc/self/stat").ok().and_then(|text| parse(&text)) else {
        return;
    };
    put("process_cpu_seconds_total", &[], (own.user + own.system) as f64 / TICKS);
    put("process_resident_memory_bytes", &[], (own.pages * 4096) as f64);
    put("process_threads", &[], own.threads as f64);
    if let Some(booted) = booted {
        put("process_start_time_seconds", &[], booted + own.start as f64 / TICKS);
    }
    if let Ok(pid) = i32::try_from(std::process::id()) {
        put("process_open_fds", &[], open_files(pid) as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::host::tests::told;

    #[test]
    fn the_agent_tells_of_itself() {
        let mut figures = Figures { forwarded: 7, ..Figures::default() };
        figures.drop_samples("queue", 3);
        let lines = told(|put| collect(&mut Files::default(), &figures, 11, put));
        for line in [
            "atoll_agent_samples_forwarded_total{} 7",
            "atoll_agent_samples_dropped_total{reason=queue} 3",
            "atoll_agent_queue_bytes{} 11",
        ] {
            assert!(lines.iter().any(|l| l == line), "no {line} in {lines:#?}");
        }
        assert!(lines.iter().any(|l| l.starts_with("process_resident_memory_bytes{}")));
    }
}
