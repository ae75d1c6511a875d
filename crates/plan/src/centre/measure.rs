//! What is measured of each subject of a policy, and whether it can be relied on: what is missing,
//! old, impossible or has not moved at all is no value.

use std::collections::BTreeMap;

use atoll_model::centre::Measured;
use atoll_model::monitoring::Completeness;
use atoll_model::{Policy, Reason, Span, Timestamp};

use crate::query::{Answer, Answers, Period, Query, Series};

/// So much of each value is looked at.
const LOOKED_AT: Span = Span::seconds(600);
/// What is older is not what is.
const FRESH: Span = Span::seconds(60);
/// What did not move over so many points, of those of the whole time, is frozen.
const STILL: usize = 30;
/// What did not move over so many points, and did from each to the next of at least as many before
/// them, stopped, and is frozen too.
const STOPPED: (usize, usize) = (12, 16);
/// What did not move over so many points, and may be old, is old.
const STALE: usize = 5;

/// The questions of a policy, one for each value.
pub(super) fn queries(policy: &Policy, at: Timestamp) -> Vec<Query> {
    let ask = |signal: &Measured| {
        let mut query = Query::at(&signal.name, &signal.query, at);
        query.period = Period::Range { from: at - LOOKED_AT, to: at, step: super::EVERY };
        query
    };
    policy.values.iter().map(ask).collect()
}

/// What was answered to the questions of a policy.
pub(super) struct Values<'a> {
    signals: Vec<(&'a Measured, Answered<'a>)>,
    now: Timestamp,
}

/// The series of one value by subject; the empty name stands for all.
type Answered<'a> = Result<(&'a Answer, BTreeMap<&'a str, &'a Series>), String>;

impl<'a> Values<'a> {
    pub fn of(policy: &'a Policy, answers: &'a Answers, now: Timestamp) -> Values<'a> {
        let kind = policy.subjects.kind.lower();
        let signals = policy.values.iter().map(|signal| {
            let by = signal.by.as_deref().unwrap_or(&kind);
            (signal, answered(signal, by, answers))
        });
        Values { signals: signals.collect(), now }
    }

    /// The values of one subject.
    ///
    /// # Errors
    /// Which cannot be relied on, and why.
    pub fn about(&self, subject: &str) -> Result<BTreeMap<String, f64>, String> {
        let mut all = BTreeMap::new();
        for (signal, answered) in &self.signals {
            let name = &signal.name;
            let value = answered.as_ref().map_err(Clone::clone).and_then(|(answer, series)| {
                let series = series.get(subject).or(series.get(""));
                let series = series.ok_or_else(|| "is not measured".to_owned())?;
                sound(signal, answer, series, self.now)
            });
            all.insert(name.clone(), value.map_err(|why| format!("{name} {why}"))?);
        }
        Ok(all)
    }
}

fn answered<'a>(signal: &Measured, by: &str, answers: &'a Answers) -> Answered<'a> {
    let answer = match answers.get(&signal.name) {
        Some(Ok(answer)) => answer,
        Some(Err(Reason { message, .. })) => return Err(format!("was not answered: {message}")),
        None => return Err("was not asked for".to_owned()),
    };
    let mut by_subject = BTreeMap::new();
    for series in &answer.series {
        let subject = if by.is_empty() { "" } else { series.labels.get(by).map_or("", |s| s) };
        if subject.is_empty() && !by.is_empty() {
            continue;
        }
        if by_subject.insert(subject, series).is_some() {
            let of = if subject.is_empty() { "all" } else { subject };
            return Err(format!("has more than one series of {of}; sum or average them"));
        }
    }
    if by_subject.is_empty() && !answer.series.is_empty() {
        let hint = "write by: '' where one value is of all";
        return Err(format!("has no label {by}: sum or average by ({by}); {hint}"));
    }
    Ok((answer, by_subject))
}

/// The last value of a series, if it can be relied on.
fn sound(
    signal: &Measured,
    answer: &Answer,
    series: &Series,
    now: Timestamp,
) -> Result<f64, String> {
    let (at, value) = *series.points.last().ok_or("is not measured")?;
    if now.since(at) > FRESH {
        return Err(format!("was last measured {} ago", now.since(at).rough()));
    }
    let late = |lag: &Span| *lag > FRESH;
    let carried_on = carried_on(&answer.completeness, now).filter(late);
    // What fell silent may be no part of this value.
    if let Some(lag) = carried_on.filter(|_| series.lag.as_ref().is_none_or(late)) {
        return Err(format!("was last measured {} ago", lag.rough()));
    }
    let last = series.points.iter().rev();
    let same = last.take_while(|(_, other)| other.to_bits() == value.to_bits()).count();
    let old = series.lag.as_ref().is_some_and(late);
    if old && same >= STALE {
        return Err("may be old: some of what it is made of is measured no more".to_owned());
    }
    if !value.is_finite() {
        return Err(format!("is {value}, which is no number"));
    }
    let (least, most) = (signal.least, signal.most);
    if least.is_some_and(|least| value < least) || most.is_some_and(|most| value > most) {
        return Err(format!("is {value}, which cannot be"));
    }
    let rests = signal.rests && least == Some(value);
    // What ends at its least may just have nothing more to tell.
    let stopped = least != Some(value) && stopped(&series.points, same);
    if !signal.steady && !rests && (same >= STILL || stopped) {
        let still = super::EVERY.0 * same as u64;
        return Err(format!("has stood still for {}: it may be frozen", Span(still)));
    }
    Ok(value)
}

/// How old what is only carried on is, at the time that the expression asks about. Of what another
/// server answers only the time of the newest sample is known.
fn carried_on(of: &Completeness, now: Timestamp) -> Option<Span> {
    match of.lag {
        Some(_) => of.carried_on(),
        None => of.newest.map(|newest| now.since(newest)),
    }
}

/// Whether what moved all the time does so no more, by how many points at the end are the same.
fn stopped(points: &[(Timestamp, f64)], same: usize) -> bool {
    let (still, moving) = STOPPED;
    let before = points.get(..points.len() - same).unwrap_or_default();
    let moved = before.windows(2).all(|pair| match pair {
        [(_, one), (_, next)] => one.to_bits() != next.to_bits(),
        _ => false,
    });
    same >= still && before.len() >= moving && moved
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn signal() -> Measured {
        serde_json::from_str(r#"{"name":"cpu","query":"x","least":0}"#).unwrap()
    }

    fn series(values: impl DoubleEndedIterator<Item = f64>) -> Series {
        let at = |i: usize| NOW - Span(super::super::EVERY.0 * i as u64);
        let mut points: Vec<_> = values.rev().enumerate().map(|(i, v)| (at(i), v)).collect();
        points.reverse();
        Series { points, ..Series::default() }
    }

    fn told(series: &Series, answer: &Answer) -> Result<f64, String> {
        sound(&signal(), answer, series, NOW)
    }

    #[test]
    fn what_cannot_be_relied_on_is_no_value() {
        let fresh = Answer::default();
        let moving = series((0..40).map(f64::from));
        assert_eq!(told(&moving, &fresh), Ok(39.0));
        assert!(told(&Series::default(), &fresh).unwrap_err().contains("not measured"));
        let mut late = moving.clone();
        late.points.truncate(35);
        assert!(told(&late, &fresh).unwrap_err().contains("1m15s ago"));
        let still = series((0..40).map(|_| 7.0));
        assert!(told(&still, &fresh).unwrap_err().contains("frozen"));
        let steady = Measured { steady: true, ..signal() };
        assert_eq!(sound(&steady, &fresh, &still, NOW), Ok(7.0));
        let rests = Measured { rests: true, ..signal() };
        assert!(sound(&rests, &fresh, &still, NOW).unwrap_err().contains("frozen"));
        let resting = series((0..40).map(|_| 0.0));
        assert_eq!(sound(&rests, &fresh, &resting, NOW), Ok(0.0));
        assert!(told(&resting, &fresh).unwrap_err().contains("frozen"));
        let stopped = |at: f64| series((0..40).map(move |i| f64::from(i).min(27.0) - 27.0 + at));
        assert!(told(&stopped(27.0), &fresh).unwrap_err().contains("stood still for 3m15s"));
        assert_eq!(told(&series((0..40).map(|i| f64::from(27 - i.min(27)))), &fresh), Ok(0.0));
        let seldom = series((0..40).map(|i| f64::from(i / 3).min(9.0)));
        assert_eq!(told(&seldom, &fresh), Ok(9.0), "it moves seldom");
        let absurd = series([1.0, -4.0].into_iter());
        assert!(told(&absurd, &fresh).unwrap_err().contains("cannot be"));
        let none = series([1.0, f64::NAN].into_iter());
        assert!(told(&none, &fresh).is_err());
    }

    #[test]
    fn what_a_query_only_carries_on_is_old() {
        let moving = series((0..40).map(f64::from));
        let mut old = Answer::default();
        old.completeness.newest = Some(NOW - Span::seconds(120));
        assert!(told(&moving, &old).unwrap_err().contains("2m ago"));
        let lag = Some(Span::seconds(120));
        let fresh = Answer::default();
        assert_eq!(told(&Series { lag, ..moving.clone() }, &fresh), Ok(39.0));
        let carried = series((0..40).map(|i| f64::from(i.min(30))));
        assert!(told(&Series { lag, ..carried.clone() }, &fresh).unwrap_err().contains("old"));
        assert_eq!(told(&carried, &fresh), Ok(30.0));
    }

    #[test]
    fn what_is_asked_of_the_past_is_as_old_as_it_was_then() {
        let moving = series((0..40).map(f64::from));
        let of = |lag, interval| {
            let mut answer = Answer::default();
            answer.completeness.newest = Some(NOW - Span::seconds(3_600));
            answer.completeness.lag = Some(Span::seconds(lag));
            answer.completeness.interval = Some(Span::seconds(interval));
            told(&moving, &answer)
        };
        assert_eq!(of(2, 15), Ok(39.0), "offset 1h");
        assert!(of(62, 15).unwrap_err().contains("1m2s ago"));
        assert_eq!(of(62, 60), Ok(39.0), "it comes no more often");
        let mut answer = Answer::default();
        answer.completeness.lag = Some(Span::seconds(720));
        let own = |lag| Series { lag: Some(Span::seconds(lag)), ..moving.clone() };
        assert_eq!(told(&own(2), &answer), Ok(39.0), "of `a or b`, b fell silent");
        assert!(told(&own(720), &answer).unwrap_err().contains("12m ago"));
    }

    #[test]
    fn what_died_of_one_says_nothing_of_another() {
        let policy: Policy = serde_json::from_value(serde_json::json!({
            "subjects": { "kind": "Deployment" },
            "values": [{ "name": "l", "query": "x", "steady": true }],
            "when": "values.l > 1",
            "action": "rollBack",
        }))
        .unwrap();
        let of = |name: &str, lag: u64| Series {
            labels: [("deployment".to_owned(), name.to_owned())].into(),
            lag: Some(Span::seconds(lag)),
            ..series((0..40).map(|_| 7.0))
        };
        let answer = Answer { series: vec![of("solo", 2), of("web", 120)], ..Answer::default() };
        let answers: Answers = [("l".to_owned(), Ok(std::sync::Arc::new(answer)))].into();
        let values = Values::of(&policy, &answers, NOW);
        assert_eq!(values.about("solo").unwrap()["l"], 7.0);
        assert!(values.about("web").unwrap_err().contains("may be old"));
    }
}
