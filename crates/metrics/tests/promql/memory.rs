//! Series in memory, as a source for queries. Not a store: nothing is indexed or compressed.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_metrics::{LabelQuery, Labels, Matcher, Sample, Selected, Source, SourceError};

/// Series by their labels.
#[derive(Default)]
pub struct Memory(BTreeMap<Labels, Arc<Kept>>);

struct Kept {
    labels: Labels,
    samples: Vec<Sample>,
}

impl Memory {
    /// Adds samples, in the order of time, to a series.
    pub fn add(&mut self, labels: &Labels, samples: Vec<Sample>) {
        let mut all = self.0.get(labels).map(|kept| kept.samples.clone()).unwrap_or_default();
        all.extend(samples);
        all.sort_by_key(|sample| sample.at);
        let kept = Kept { labels: labels.clone(), samples: all };
        self.0.insert(labels.clone(), Arc::new(kept));
    }
}

impl Kept {
    fn between(&self, from: i64, to: i64) -> &[Sample] {
        let low = self.samples.partition_point(|sample| sample.at < from);
        let high = self.samples.partition_point(|sample| sample.at <= to);
        &self.samples[low..high.max(low)]
    }
}

impl Selected for Kept {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, from: i64, to: i64, into: &mut Vec<Sample>) -> Result<(), SourceError> {
        into.extend(self.between(from, to));
        Ok(())
    }

    fn last(&self, to: i64) -> Option<Sample> {
        self.between(i64::MIN, to).last().copied()
    }
}

impl Source for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
    ) -> Result<Vec<Arc<dyn Selected>>, SourceError> {
        let found = self
            .0
            .values()
            .filter(|kept| kept.labels.match_all(matchers) && !kept.between(from, to).is_empty());
        Ok(found.map(|kept| kept.clone() as Arc<dyn Selected>).collect())
    }

    fn label_names(&self, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}
