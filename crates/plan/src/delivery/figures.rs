//! The figures of delivery, from the records of promotions alone: how long, how often, how badly,
//! how soon mended, and with how many hands.

use std::collections::BTreeMap;

use atoll_model::figures::{DeliveryFigure, DeliveryFigures};
use atoll_model::{Application, Object, Promotion, Span, Timestamp};

use super::journey::last_environments;
use crate::Context;

/// By what figures are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A row for each application.
    Application,
    /// A row for each owner of applications.
    Team,
}

/// What is gathered for one row.
#[derive(Default)]
struct Row {
    all: u32,
    good: u32,
    failed: u32,
    untouched: u32,
    emergencies: u32,
    lead: Vec<u64>,
    restore: Vec<u64>,
}

/// The figures of the time up to now.
pub fn delivery(cx: &Context, window: Span, by: By) -> DeliveryFigures {
    let mut last: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let name_of = |application: &Object<Application>| match by {
        By::Application => application.meta.name.clone(),
        By::Team => application.spec.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
    };
    for application in cx.world.all::<Application>() {
        last.insert(application.name(), last_environments(cx.world, application));
        rows.entry(name_of(application)).or_default();
    }
    let from = cx.now - window;
    for promotion in cx.world.all::<Promotion>() {
        let spec = &promotion.spec;
        let ends = last.get(spec.application.as_str());
        let counts = ends.is_some_and(|ends| ends.contains(&spec.environment.as_str()));
        let application = cx.world.get::<Application>(&spec.application).filter(|_| counts);
        if let Some(application) = application {
            rows.entry(name_of(application)).or_default().add(promotion, from);
        }
    }
    let days = window.0 as f64 / 86_400_000.0;
    let items = rows.into_iter().map(|(name, row)| row.figure(name, days)).collect();
    DeliveryFigures { window, items }
}

impl Row {
    fn add(&mut self, promotion: &Object<Promotion>, from: Timestamp) {
        let status = &promotion.status;
        let ended = |at: Option<Timestamp>| at.is_some_and(|at| at >= from);
        let (good, failed) = (ended(status.good_at), ended(status.failed_at));
        if !good && !failed {
            return;
        }
        self.all += 1;
        self.good += u32::from(good);
        self.failed += u32::from(failed);
        self.untouched += u32::from(!status.by_hand);
        self.emergencies += u32::from(promotion.spec.emergency.is_some());
        if let (Some(commit), Some(at), true) = (&status.commit, status.good_at, good) {
            self.lead.push(at.since(commit.at).0);
        }
        if let (Some(at), Some(restored), true) = (status.harmed_at(), status.restored_at, failed) {
            self.restore.push(restored.since(at).0);
        }
    }

    fn figure(mut self, name: String, days: f64) -> DeliveryFigure {
        // One that was good and then taken back is one change.
        let all = self.all;
        let share = |count: u32| (all > 0).then(|| f64::from(count) / f64::from(all));
        DeliveryFigure {
            name,
            changes: self.good,
            failures: self.failed,
            per_day: if days > 0.0 { f64::from(self.good) / days } else { 0.0 },
            lead_time: quantile(&mut self.lead, 0.5),
            lead_time_p90: quantile(&mut self.lead, 0.9),
            failure_rate: share(self.failed),
            time_to_restore: quantile(&mut self.restore, 0.5),
            untouched: share(self.untouched),
            emergencies: self.emergencies,
        }
    }
}

/// The smallest value that so large a share of all does not exceed.
fn quantile(all: &mut [u64], share: f64) -> Option<Span> {
    all.sort_unstable();
    let at = (all.len() as f64 * share).ceil() as usize;
    all.get(at.saturating_sub(1)).copied().map(Span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_there() {
        assert_eq!(quantile(&mut [], 0.5), None);
        assert_eq!(quantile(&mut [5], 0.9), Some(Span(5)));
        assert_eq!(quantile(&mut [4, 1, 3, 2], 0.5), Some(Span(2)));
        assert_eq!(quantile(&mut (1..=10).collect::<Vec<_>>(), 0.9), Some(Span(9)));
    }
}
