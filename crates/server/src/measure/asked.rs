//! Planners' questions, asked one after the other of the metrics store, and their answers kept as
//! series where they are to be. Which questions there are is the planners' business.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_metrics::labels::METRIC_NAME;
use atoll_metrics::promql::{self, QueryError, Value};
use atoll_metrics::{Labels, Sample};
use atoll_model::monitoring::Completeness;
use atoll_model::{Kind, Reason, Snapshot, Span, Timestamp};
use atoll_plan::query::{self, Answers, Query, Recording};

use crate::Server;
use crate::metrics::lanes::Lane;
use crate::metrics::{Ask, Period};

/// An answer to a planner takes at most this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Recorded series are counted together under this name.
const SOURCE: &str = "rules";
/// An answer of at most so many series is kept until the same rule is asked about again.
const KEPT: usize = 1000;

/// What was asked last, for those who look at it.
#[derive(Debug, Default)]
pub struct Asked {
    recorded: Mutex<HashMap<Recorded, HashSet<Labels>>>,
    last: Mutex<HashMap<String, LastAsked>>,
    answered: Mutex<HashMap<String, Answered>>,
}

/// The answers to a rule object's questions, by their names. Each of its groups has a time of its
/// own, and whoever plans for one is asked for all: what was asked for that very time before is not
/// asked again.
type Answered = HashMap<String, (Query, Arc<query::Answer>)>;

/// One answer that is recorded, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Recorded {
    kind: Kind,
    subject: String,
    metric: String,
    labels: BTreeMap<String, String>,
    expression: String,
}

/// When and for how long the questions of a rule object were asked.
#[derive(Clone, Copy, Debug)]
pub struct LastAsked {
    /// When.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

impl Asked {
    /// When the questions of a rule object were last asked here.
    pub fn last(&self, rule: &str) -> Option<LastAsked> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(rule).copied()
    }

    /// Takes the series of what is gone.
    fn gone(&self, world: &Snapshot) -> Vec<Labels> {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        recorded.retain(|key, series| {
            let stays = world.find(key.kind, &key.subject).is_some();
            if !stays {
                ended.extend(series.drain());
            }
            stays
        });
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|rule, _| world.find(Kind::Rule, rule).is_some());
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.retain(|rule, _| world.find(Kind::Rule, rule).is_some());
        ended
    }

    /// Takes the answers last given to a rule.
    fn take_answered(&self, rule: &str) -> Answered {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.remove(rule).unwrap_or_default()
    }

    /// Keeps the answers given to a rule, and how long they took, if any was asked for.
    fn keep_answered(&self, rule: &str, answers: Answered, last: Option<LastAsked>) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.insert(rule.to_owned(), answers);
        if let Some(last) = last {
            let mut all = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(rule.to_owned(), last);
        }
    }
}

impl Server {
    /// Asks a planner's questions in order.
    pub(crate) async fn ask_all(&self, kind: Kind, subject: &str, all: Vec<Query>) -> Answers {
        let mut answers = Answers::new();
        if kind != Kind::Rule {
            for query in all {
                let answer = self.ask_timed(kind, subject, &query).await;
                answers.insert(query.name, answer);
            }
            return answers;
        }
        let mut known = self.asked.take_answered(subject);
        let (mut kept, mut anew) = (Answered::new(), false);
        let began = self.clock.elapsed();
        for query in all {
            let answer = match known.remove(&query.name).filter(|(asked, _)| *asked == query) {
                Some((_, answer)) => Ok(answer),
                None => {
                    anew = true;
                    self.ask_timed(kind, subject, &query).await
                }
            };
            answers.insert(query.name.clone(), answer.clone());
            if let Some(answer) = answer.ok().filter(|answer| answer.series.len() <= KEPT) {
                kept.insert(query.name.clone(), (query, answer));
            }
        }
        let took = self.clock.elapsed().saturating_sub(began);
        let last = anew.then(|| LastAsked { at: self.clock.now(), took });
        self.asked.keep_answered(subject, kept, last);
        answers
    }

    /// Asks what a planner needs to answer a person, in that person's turn; nothing is recorded.
    pub(crate) async fn ask_for(&self, person: &str, all: Vec<Query>) -> Answers {
        let mut answers = Answers::new();
        for query in all {
            let began = self.clock.elapsed();
            let found = self.find(Lane::Person(person), &query).await;
            let took = self.clock.elapsed().saturating_sub(began);
            self.figures.observe("atoll_query_duration_seconds", &[("lane", "people")], took);
            answers.insert(query.name, found.map(|found| Arc::new(answer_of(found))));
        }
        answers
    }

    /// Asks one question and counts what it took.
    async fn ask_timed(
        &self,
        kind: Kind,
        subject: &str,
        query: &Query,
    ) -> Result<Arc<query::Answer>, Reason> {
        let began = self.clock.elapsed();
        let answer = self.ask_one(kind, subject, query).await;
        let took = self.clock.elapsed().saturating_sub(began);
        self.figures.observe("atoll_query_duration_seconds", &[("lane", "planners")], took);
        answer.map(Arc::new)
    }

    async fn ask_one(
        &self,
        kind: Kind,
        subject: &str,
        query: &Query,
    ) -> Result<query::Answer, Reason> {
        let found = self.find(Lane::Planner, query).await?;
        if let (Some(record), query::Period::At(at)) = (&query.record, query.period) {
            let series = recorded(&found, record).map_err(|message| {
                Reason::new("query-failed", format!("could not record: {message}"))
            })?;
            let key = Recorded {
                kind,
                subject: subject.to_owned(),
                metric: record.metric.clone(),
                labels: record.labels.clone(),
                expression: query.expression.clone(),
            };
            self.record(key, series, at);
        }
        Ok(answer_of(found))
    }

    async fn find(&self, lane: Lane<'_>, query: &Query) -> Result<promql::Answer, Reason> {
        let failed = |error: QueryError| {
            let message = format!("could not work out {}: {error}", query.expression);
            Reason::new("query-failed", message)
        };
        let expression = expression(query).map_err(failed)?;
        let period = match query.period {
            query::Period::At(at) => Period::At(at.0),
            query::Period::Range { from, to, step } => {
                Period::Range(from.0, to.0, i64::try_from(step.0).unwrap_or(i64::MAX))
            }
        };
        let ask = Ask { query: expression, period, lookback: None, patience: PATIENCE };
        self.metrics.ask(lane, ask).await.map_err(failed)
    }

    /// Keeps an answer as series, and ends those that were in the last answer and are not in this.
    fn record(&self, key: Recorded, series: Vec<(Labels, f64)>, at: Timestamp) {
        let now: HashSet<Labels> = series.iter().map(|(labels, _)| labels.clone()).collect();
        let before = {
            let mut recorded = self.asked.recorded.lock().unwrap_or_else(PoisonError::into_inner);
            recorded.insert(key, now.clone()).unwrap_or_default()
        };
        if series.is_empty() && before.is_empty() {
            return;
        }
        let done = self.append(SOURCE, |intake| {
            for (labels, value) in &series {
                let pairs: Vec<(&str, &str)> = labels.iter().collect();
                intake.add(&pairs, &[Sample { at: at.0, value: *value }]);
            }
            for labels in before.difference(&now) {
                let pairs: Vec<(&str, &str)> = labels.iter().collect();
                intake.end(&pairs, at);
            }
        });
        if let Err(error) = done {
            tracing::warn!("could not record the answer of a rule: {error}");
        }
    }

    /// Ends the series of rules that are gone.
    pub(crate) fn end_series_of_gone_rules(&self) {
        let ended = self.asked.gone(&self.cache.world());
        if ended.is_empty() {
            return;
        }
        let now = self.clock.now();
        let done = self.append(SOURCE, |intake| {
            for labels in &ended {
                let pairs: Vec<(&str, &str)> = labels.iter().collect();
                intake.end(&pairs, now);
            }
        });
        if let Err(error) = done {
            tracing::warn!("could not end the series of a rule: {error}");
        }
    }
}

/// What was found, as planners read it.
fn answer_of(found: promql::Answer) -> query::Answer {
    let completeness = completeness(&found.coverage);
    query::Answer { series: series_of(found.value), completeness }
}

fn span(long: i64) -> Span {
    Span(u64::try_from(long).unwrap_or(0))
}

fn completeness(of: &promql::Coverage) -> Completeness {
    Completeness {
        series: of.series,
        expected: of.expected,
        seen: of.seen,
        newest: of.newest.map(Timestamp),
        lag: of.lag.map(span),
        interval: of.interval.map(span),
    }
}

/// What is asked of the store for a planner's question.
fn expression(query: &Query) -> Result<String, QueryError> {
    let mut expression = query.expression.clone();
    if let Some((name, value)) = &query.narrowed {
        expression = promql::with_matcher(&expression, name, value)?;
    }
    if query.unfiltered {
        expression = super::expression::unfiltered(&expression)?;
    }
    Ok(expression)
}

/// What is kept of what was found.
fn recorded(found: &promql::Answer, record: &Recording) -> Result<Vec<(Labels, f64)>, String> {
    if record.fresh && completeness(&found.coverage).carried_on().is_some() {
        return Ok(Vec::new());
    }
    recorded_series(&found.value, record)
}

/// The series an answer is kept as.
fn recorded_series(value: &Value, record: &Recording) -> Result<Vec<(Labels, f64)>, String> {
    let rows: Vec<(Labels, f64)> = match value {
        Value::Vector(all) => all.iter().map(|(labels, s)| (labels.clone(), s.value)).collect(),
        Value::Scalar(sample) => vec![(Labels::default(), sample.value)],
        Value::String { .. } | Value::Matrix(_) => {
            return Err(format!("{} is neither a number nor a vector", record.metric));
        }
    };
    let limit = record.limit as usize;
    if limit > 0 && rows.len() > limit {
        let (count, metric) = (rows.len(), &record.metric);
        return Err(format!("{count} series of {metric} are more than the group's limit, {limit}"));
    }
    // Whoever asked is told that there are several, and which one is meant nobody knows.
    if record.alone && rows.len() > 1 {
        return Ok(Vec::new());
    }
    let mut seen = HashSet::new();
    let mut series = Vec::with_capacity(rows.len());
    for (labels, value) in rows {
        let own = labels.iter().filter(|_| !record.alone);
        let mut pairs: BTreeMap<&str, &str> = own.collect();
        pairs.extend(record.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        pairs.insert(METRIC_NAME, &record.metric);
        let labels = Labels::new(pairs);
        if !seen.insert(labels.clone()) {
            return Err(format!("two series of the answer would both be {labels}"));
        }
        series.push((labels, value));
    }
    Ok(series)
}

fn series_of(value: Value) -> Vec<query::Series> {
    let pairs = |labels: &Labels| {
        labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    match value {
        Value::Scalar(sample) => {
            let points = vec![(Timestamp(sample.at), sample.value)];
            vec![query::Series { points, ..query::Series::default() }]
        }
        Value::String { .. } => Vec::new(),
        Value::Vector(all) => all
            .iter()
            .map(|(labels, sample)| query::Series {
                labels: pairs(labels),
                points: vec![(Timestamp(sample.at), sample.value)],
                lag: None,
            })
            .collect(),
        Value::Matrix(all) => all
            .iter()
            .map(|series| query::Series {
                labels: pairs(&series.labels),
                points: series.samples.iter().map(|s| (Timestamp(s.at), s.value)).collect(),
                lag: series.lag.map(span),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        let (metric, labels) = ("m:n".to_owned(), BTreeMap::new());
        Recording { metric, labels, limit: 0, alone: false, fresh: false }
    }

    #[test]
    fn one_number_is_kept_with_its_own_labels_only_and_several_are_not_kept() {
        let labels: BTreeMap<String, String> = [("of".to_owned(), "x".to_owned())].into();
        let record = Recording { alone: true, labels, ..recording() };
        let one = |host: &str| (Labels::new([("host", host)]), Sample { at: 1, value: 2.0 });
        let keep = |all: Vec<_>| recorded_series(&Value::Vector(all), &record).unwrap();
        let kept = keep(vec![one("a")]);
        assert_eq!(kept, [(Labels::new([("__name__", "m:n"), ("of", "x")]), 2.0)]);
        assert!(keep(vec![one("a"), one("b")]).is_empty());
    }

    #[test]
    fn what_is_only_carried_on_is_not_kept_where_it_is_to_be_fresh() {
        let kept = |lag: i64, fresh: bool| {
            let coverage =
                promql::Coverage { lag: Some(lag), interval: Some(2_000), ..Default::default() };
            let value = Value::Scalar(Sample { at: 1, value: 2.0 });
            let found = promql::Answer { value, coverage, warnings: vec![], infos: vec![] };
            recorded(&found, &Recording { fresh, ..recording() }).unwrap().len()
        };
        assert_eq!([kept(30_000, true), kept(30_001, true), kept(300_000, false)], [1, 0, 1]);
    }

    #[test]
    fn an_answer_beyond_the_limit_of_its_group_is_not_kept() {
        let one = |host: &str| (Labels::new([("host", host)]), Sample { at: 1, value: 2.0 });
        let answer = Value::Vector(vec![one("a"), one("b")]);
        let keep = |limit: u32| {
            let record = Recording { limit, ..recording() };
            recorded_series(&answer, &record).map(|series| series.len())
        };
        assert_eq!((keep(0), keep(2)), (Ok(2), Ok(2)));
        assert!(keep(1).unwrap_err().contains("2 series of m:n"));
    }
}
