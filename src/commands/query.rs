//! `atoll query`: asks what was measured, in PromQL, and says how complete the answer is.

use atoll_client::{Answer, QueryResult, RangeQuery, Series};
use atoll_model::{Span, Timestamp};

use crate::args::{Global, Output};
use crate::clock;
use crate::columns::{Cell, cell, figure};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::terminal::Tone;

/// What `atoll query` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The expression
    #[arg(value_name = "PROMQL")]
    expression: String,
    /// At this time, as 2026-11-11T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME", conflicts_with = "range")]
    at: Option<Timestamp>,
    /// Over the last so long
    #[arg(long, value_name = "SPAN")]
    range: Option<Span>,
    /// From one value to the next, with --range [default: what fits 120 values]
    #[arg(long, value_name = "SPAN", requires = "range")]
    step: Option<Span>,
    #[command(flatten)]
    output: Output,
}

/// So many values a series, where no step is given.
const VALUES: u64 = 120;
/// Less than this share of the samples, and it is said.
const COMPLETE: f64 = 0.95;

/// Asks and shows.
///
/// # Errors
/// The expression is not valid, or too much; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    let answer = match args.range {
        None => client.query(&args.expression, args.at).await?,
        Some(range) => {
            let end = clock::now();
            let step = args.step.unwrap_or(Span((range.0 / VALUES).max(1_000)));
            if step.0 == 0 {
                return Err(Failure::usage("--step is 0; give a span like 15s").into());
            }
            let expression = args.expression;
            client.query_range(&RangeQuery { expression, start: end - range, end, step }).await?
        }
    };
    let format = args.output.output;
    let wide = format == Format::Wide;
    output::print(&output::value(&answer.raw, format, || table(&answer.data, wide))?)?;
    if format.is_table() {
        said(&answer).iter().for_each(|line| output::say(line));
    }
    Ok(Exit::Done)
}

/// What is to be known of the answer besides its values.
fn said(answer: &Answer) -> Vec<String> {
    let mut lines: Vec<String> = answer.warnings.iter().chain(&answer.infos).cloned().collect();
    let found = match &answer.data {
        QueryResult::Vector(all) | QueryResult::Matrix(all) => !all.is_empty(),
        QueryResult::Scalar(_) | QueryResult::String(_) => return lines,
    };
    let share = answer.atoll["completeness"].as_f64();
    let age = answer.atoll["freshness_seconds"].as_f64();
    let age = age.map(|seconds| clock::short(Span((seconds * 1000.0).max(0.0) as u64)));
    lines.push(match (share, age) {
        _ if !found => "no data: nothing was measured that this selects".to_owned(),
        (Some(share), Some(age)) if share < COMPLETE => {
            format!("incomplete: {:.0} % of samples, the newest {age} old", share * 100.0)
        }
        (_, Some(age)) => format!("complete, the newest sample {age} old"),
        (_, None) => return lines,
    });
    lines
}

fn table(result: &QueryResult, wide: bool) -> String {
    let lines: Vec<Vec<Cell>> = match result {
        QueryResult::Vector(all) => all.iter().map(vector_line).collect(),
        QueryResult::Matrix(all) => all.iter().map(matrix_line).collect(),
        QueryResult::Scalar(point) => vec![vec![cell("VALUE", figure(point.value))]],
        QueryResult::String((_, text)) => vec![vec![cell("VALUE", text.clone())]],
    };
    if lines.is_empty() { String::new() } else { output::table(lines, wide) }
}

fn vector_line(series: &Series) -> Vec<Cell> {
    let value = series.values.first().map(|point| figure(point.value));
    vec![cell("SERIES", name(series)).tone(Tone::Strong), cell("VALUE", value.unwrap_or_default())]
}

fn matrix_line(series: &Series) -> Vec<Cell> {
    let values: Vec<f64> = series.values.iter().map(|point| point.value).collect();
    let told = values.iter().copied().filter(|value| !value.is_nan());
    let least = told.clone().fold(f64::INFINITY, f64::min);
    let most = told.fold(f64::NEG_INFINITY, f64::max);
    vec![
        cell("SERIES", name(series)).tone(Tone::Strong),
        cell("LAST", values.last().copied().map(figure).unwrap_or_default()),
        cell("MIN", figure(least)),
        cell("MAX", figure(most)),
        cell("COURSE", course(&values, least, most)),
    ]
}

/// `name{label="value"}`.
fn name(series: &Series) -> String {
    let name = series.metric.get("__name__").cloned().unwrap_or_default();
    let rest = series.metric.iter().filter(|(label, _)| *label != "__name__");
    let rest: Vec<String> = rest.map(|(label, value)| format!("{label}={value:?}")).collect();
    if rest.is_empty() && !name.is_empty() {
        return name;
    }
    format!("{name}{{{}}}", rest.join(", "))
}

/// The course of values in one line of at most forty characters.
fn course(values: &[f64], least: f64, most: f64) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const WIDTH: usize = 40;
    let each = values.len().div_ceil(WIDTH).max(1);
    let bar = |part: &[f64]| {
        let top = part.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let share = if most > least { (top - least) / (most - least) } else { 0.0 };
        BARS[((share * 7.0).round().clamp(0.0, 7.0)) as usize]
    };
    values.chunks(each).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn values_are_short_and_courses_fit_a_line() {
        let cases = [
            (0.123_456_789, "0.123457"),
            (12_345.678_9, "12345.7"),
            (3.0, "3"),
            (0.000_000_12, "0.00000012"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ];
        for (value, wanted) in cases {
            assert_eq!(figure(value), wanted);
        }
        let values: Vec<f64> = (0..400).map(f64::from).collect();
        let line = course(&values, 0.0, 399.0);
        assert_eq!((line.chars().count(), line.chars().last()), (40, Some('█')));
        assert_eq!(course(&[1.0, 1.0], 1.0, 1.0), "▁▁");
    }

    #[test]
    fn what_is_missing_is_said() {
        let answer = |result: Value, share: f64| -> Answer {
            let answer = json!({ "data": { "resultType": "vector", "result": result },
                "atoll": { "completeness": share, "freshness_seconds": 4.2 } });
            serde_json::from_value(answer).unwrap()
        };
        let one = json!([{ "metric": { "__name__": "up", "host": "h1" }, "value": [1.5, "1"] }]);
        assert_eq!(said(&answer(one.clone(), 1.0)), ["complete, the newest sample 4s old"]);
        let half = answer(one, 0.5);
        assert_eq!(said(&half), ["incomplete: 50 % of samples, the newest 4s old"]);
        assert!(said(&answer(json!([]), 1.0))[0].starts_with("no data"));
        assert!(table(&half.data, true).contains("up{host=\"h1\"}"));
    }
}
