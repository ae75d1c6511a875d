//! Alerts as series, as Prometheus writes them: `ALERTS` and `ALERTS_FOR_STATE`, so that charts
//! and expressions can use them. Written by the replica that leads.

use std::collections::{BTreeMap, HashSet};

use atoll_metrics::Labels;
use atoll_metrics::labels::METRIC_NAME;
use atoll_model::Alert;
use atoll_model::alerting::AlertPhase;

use crate::Server;

const SOURCE: &str = "alerts";

/// The series written last.
#[derive(Debug, Default)]
pub struct Written(HashSet<Labels>);

impl Server {
    /// Writes the alerts that wait or fire, and ends the series of those that no longer do.
    pub(crate) fn write_alerts(&self, written: &mut Written) {
        let mut rows: Vec<(Labels, f64)> = Vec::new();
        for alert in self.cache.world().all::<Alert>() {
            let state = match alert.status.phase {
                AlertPhase::Pending => "pending",
                AlertPhase::Firing => "firing",
                AlertPhase::Resolved => continue,
            };
            let mut pairs: BTreeMap<&str, &str> =
                alert.spec.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            pairs.insert(METRIC_NAME, "ALERTS_FOR_STATE");
            let since = alert.status.active_at.0 as f64 / 1000.0;
            rows.push((Labels::new(pairs.clone()), since));
            pairs.insert(METRIC_NAME, "ALERTS");
            pairs.insert("alertstate", state);
            rows.push((Labels::new(pairs), 1.0));
        }
        let now = self.clock.now();
        let present: HashSet<Labels> = rows.iter().map(|(labels, _)| labels.clone()).collect();
        if rows.is_empty() && written.0.is_empty() {
            return;
        }
        let done = self.append(SOURCE, |intake| {
            for (labels, value) in &rows {
                intake.value(&labels.iter().collect::<Vec<_>>(), *value, now);
            }
            for labels in written.0.difference(&present) {
                intake.end(&labels.iter().collect::<Vec<_>>(), now);
            }
        });
        match done {
            Ok(_) => written.0 = present,
            Err(error) => tracing::warn!("could not write alerts as series: {error}"),
        }
    }
}
