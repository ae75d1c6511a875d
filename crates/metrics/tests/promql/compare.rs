//! Compares an answer with what a script expects of it.

use atoll_metrics::promql::{Answer, QueryError, Series, Value};
use atoll_metrics::{Labels, Sample};

use crate::script::{Described, Eval, Point, When, Wording};

/// What is wrong with an answer.
pub fn answer(eval: &Eval, answer: &Result<Answer, QueryError>) -> Result<(), String> {
    let answer = match (answer, &eval.fail) {
        (Err(error), Some(wording)) => return worded(wording, &[error.to_string()], "error"),
        (Err(error), None) => return Err(error.to_string()),
        (Ok(answer), Some(_)) => return Err(format!("should fail, gave {:?}", answer.value)),
        (Ok(answer), None) => answer,
    };
    annotations(eval, answer)?;
    if let Some(text) = &eval.text {
        return match &answer.value {
            Value::String { text: found, .. } if found == text => Ok(()),
            other => Err(format!("expected the text {text:?}, got {other:?}")),
        };
    }
    match (&answer.value, eval.when) {
        (Value::Scalar(sample), _) => scalar(eval, sample.value),
        (Value::Vector(found), _) => vector(eval, found),
        (Value::Matrix(found), When::Range { start, step, .. }) => {
            matrix(&eval.series, found, (start, step))
        }
        (Value::Matrix(found), When::Instant(_)) => {
            let (start, _, step) = eval.range_vector.ok_or("a range vector was not expected")?;
            matrix(&eval.series, found, (start, step))
        }
        (other, _) => Err(format!("unexpected {other:?}")),
    }
}

/// What is wrong with the step at `at` of a range.
pub fn middle(eval: &Eval, answer: &Answer, at: i64) -> Result<(), String> {
    let Value::Matrix(series) = &answer.value else { return Err("no matrix".to_owned()) };
    let at_step = series.iter().filter_map(|one| {
        let sample = one.samples.iter().find(|sample| sample.at == at)?;
        Some((one.labels.clone(), *sample))
    });
    let found: Vec<(Labels, Sample)> = at_step.collect();
    if eval.scalar.is_some() {
        return scalar(eval, found.first().map_or(f64::NAN, |(_, sample)| sample.value));
    }
    vector(eval, &found)
}

fn annotations(eval: &Eval, answer: &Answer) -> Result<(), String> {
    let checks = [
        (&eval.warn, eval.no_warn, &answer.warnings, "warning"),
        (&eval.info, eval.no_info, &answer.infos, "info"),
    ];
    for (wanted, none, found, what) in checks {
        if none && !found.is_empty() {
            return Err(format!("unexpected {what}: {found:?}"));
        }
        if let Some(wording) = wanted {
            worded(wording, found, what)?;
        }
    }
    Ok(())
}

fn worded(wording: &Wording, found: &[String], what: &str) -> Result<(), String> {
    let fits = found.iter().any(|text| match wording {
        Wording::Any => true,
        Wording::Message(message) => text.contains(message.as_str()),
        Wording::Regex(regex) => regex::Regex::new(regex).unwrap().is_match(text),
    });
    if fits { Ok(()) } else { Err(format!("expected {what} {wording:?}, got {found:?}")) }
}

fn scalar(eval: &Eval, found: f64) -> Result<(), String> {
    let expected = eval.scalar.ok_or("a scalar was not expected")?;
    if close(expected, found) { Ok(()) } else { Err(format!("expected {expected}, got {found}")) }
}

fn vector(eval: &Eval, found: &[(Labels, Sample)]) -> Result<(), String> {
    let shown =
        || found.iter().map(|(l, s)| format!("\n      {l} {}", s.value)).collect::<String>();
    if eval.scalar.is_some() {
        return Err(format!("expected a scalar, got {}", shown()));
    }
    if found.len() != eval.series.len() {
        return Err(format!(
            "expected {} series, got {}{}",
            eval.series.len(),
            found.len(),
            shown()
        ));
    }
    for (place, expected) in eval.series.iter().enumerate() {
        let Some(at) = found.iter().position(|(labels, _)| *labels == expected.labels) else {
            return Err(format!("{} is missing in{}", expected.labels, shown()));
        };
        if eval.ordered && at != place {
            return Err(format!("{} is at {at} and not at {place} of{}", expected.labels, shown()));
        }
        match expected.points.first() {
            Some(Point::Float(value)) if close(*value, found[at].1.value) => {}
            other => return Err(format!("expected {} {other:?}{}", expected.labels, shown())),
        }
    }
    Ok(())
}

fn matrix(
    expected: &[Described],
    found: &[Series],
    (start, step): (i64, i64),
) -> Result<(), String> {
    let shown = || format!("got {found:?}");
    let floats = |one: &Described| -> Vec<Sample> {
        let timed = one.points.iter().enumerate();
        let present = timed.filter_map(|(index, point)| match point {
            Point::Float(value) => Some(Sample { at: start + step * index as i64, value: *value }),
            Point::Native => Some(Sample { at: i64::MIN, value: f64::NAN }),
            Point::Missing => None,
        });
        present.collect()
    };
    let expected: Vec<_> = expected.iter().map(|one| (one.labels.clone(), floats(one))).collect();
    let filled = expected.iter().filter(|(_, samples)| !samples.is_empty()).count();
    if filled != found.len() {
        return Err(format!("expected {filled} series, {}", shown()));
    }
    for (labels, samples) in expected.iter().filter(|(_, samples)| !samples.is_empty()) {
        let Some(one) = found.iter().find(|one| one.labels == *labels) else {
            return Err(format!("{labels} is missing, {}", shown()));
        };
        let same = one.samples.len() == samples.len()
            && one
                .samples
                .iter()
                .zip(samples)
                .all(|(a, b)| a.at == b.at && close(b.value, a.value));
        if !same {
            return Err(format!("expected {labels} {samples:?}, got {:?}", one.samples));
        }
    }
    Ok(())
}

/// Equal within a relative tolerance of a millionth.
fn close(expected: f64, found: f64) -> bool {
    if expected.is_nan() || found.is_nan() {
        return expected.is_nan() && found.is_nan();
    }
    if expected == found {
        return true;
    }
    let (sum, apart) = (expected.abs() + found.abs(), (expected - found).abs());
    if expected == 0.0 || found == 0.0 || sum < f64::MIN_POSITIVE {
        return apart < 1e-6 * f64::MIN_POSITIVE;
    }
    apart / sum.min(f64::MAX) < 1e-6
}
