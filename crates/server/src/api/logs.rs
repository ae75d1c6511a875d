//! Searching logs: a question about a deployment, an application, a host or an instance is put to
//! the agents of all hosts concerned, and what they find is put in order. What a line says of its
//! time and level is read in `logs/line.rs`; the agents are asked in `logs/gather.rs`.

mod gather;
mod line;

use std::collections::BTreeMap;

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::agent::{Ask, LogFilter};
use atoll_model::{Deployment, Host, Instance, Kind, Snapshot, Span, Timestamp};
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{Answer, ApiError};
use super::sight::Sight;
use crate::App;
use gather::{Found, Place, Question};

/// So many lines are given, if nothing else is asked for, and at most.
const USUAL_LINES: usize = 500;
const MOST_LINES: usize = 5_000;
/// So many bytes of lines are given at most.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// So many instances are asked.
const MOST_INSTANCES: usize = 512;

/// Parameters of a search of logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogQuery {
    /// Whose logs: `deployment/NAME`, `application/NAME`, `host/NAME` or `instance/NAME`.
    pub subject: String,
    /// Only what is younger than this: a span of time, or a point in time.
    #[serde(default)]
    pub since: Option<String>,
    /// Only what is at least so old: a span of time, or a point in time.
    #[serde(default)]
    pub until: Option<String>,
    /// Only lines that hold this text.
    #[serde(default)]
    pub contains: Option<String>,
    /// The text is a regular expression.
    #[serde(default)]
    pub regex: bool,
    /// Only lines of this level: trace, debug, info, warn, error or fatal.
    #[serde(default)]
    pub level: Option<String>,
    /// Only lines in which a field has a value, as `KEY=VALUE`; may be given several times.
    #[serde(default)]
    pub field: Vec<String>,
    /// The last so many lines; 500, if absent, and at most 5,000.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// What a search of logs has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLines {
    /// In the order of their times, as far as they tell them; those of one instance in the order
    /// they were written.
    pub lines: Vec<LogLine>,
    /// There are more lines than are given.
    pub truncated: bool,
    /// Whose logs could not be read, and why: what was found is then not all there is.
    pub problems: Vec<String>,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// When it was written, as far as it says so itself; in UTC, where it names no zone.
    pub at: Option<Timestamp>,
    /// Whose it is.
    pub instance: String,
    /// How grave it is, as far as it says so.
    pub level: Option<String>,
    /// What it says.
    pub line: String,
}

/// `GET /v1/logs`.
pub async fn search(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    RawQuery(text): RawQuery,
) -> Answer<Json<LogLines>> {
    let text = text.unwrap_or_default();
    let query = LogQuery::read(&text)?;
    let limit = query.limit.unwrap_or(USUAL_LINES).clamp(1, MOST_LINES);
    let question = Question {
        ask: query.ask(limit, app.clock.now())?,
        query: without_subject(&text),
        who: actor.name.clone(),
        passed_on: app.passed_on(&headers).is_some(),
        limit,
    };
    let sight = app.sight(&actor);
    let mut places = places(&sight.world, &query.subject)?;
    keep_permitted(&sight, &query.subject, &mut places)?;
    let mut problems = Vec::new();
    if places.len() > MOST_INSTANCES {
        let left = places.len() - MOST_INSTANCES;
        problems.push(format!("{left} more instances were not asked; ask of fewer at a time"));
        places.truncate(MOST_INSTANCES);
    }
    if !question.passed_on {
        app.figures.count("atoll_log_searches_total", &[]);
    }
    let found = gather::gather(&app, places, &question, &mut problems).await;
    let (lines, truncated) = in_order(found, limit);
    Ok(Json(LogLines { lines, truncated, problems }))
}

/// The parameters of an address but whose logs are meant.
fn without_subject(text: &str) -> String {
    let pairs = form_urlencoded::parse(text.as_bytes()).filter(|(name, _)| name != "subject");
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl LogQuery {
    /// Reads the parameters of an address.
    fn read(text: &str) -> Answer<LogQuery> {
        let mut query = LogQuery::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "subject" => query.subject = value,
                "since" => query.since = Some(value),
                "until" => query.until = Some(value),
                "contains" => query.contains = Some(value).filter(|text| !text.is_empty()),
                "level" => query.level = Some(value).filter(|level| !level.is_empty()),
                "field" => query.field.push(value),
                "regex" => {
                    let wrong = || invalid(format!("regex: {value:?} is not true or false"));
                    query.regex = value.parse().map_err(|_| wrong())?;
                }
                "limit" => {
                    let wrong = || invalid(format!("limit: {value:?} is not a number of lines"));
                    query.limit = Some(value.parse().map_err(|_| wrong())?);
                }
                // A filter with a wrong name would let everything through.
                other => return Err(invalid(format!("{other}: there is no such parameter"))),
            }
        }
        Ok(query)
    }

    /// What the agents are asked: one line more than is wanted, so that it shows if there are more.
    fn ask(&self, limit: usize, now: Timestamp) -> Answer<Ask> {
        let age = |name: &str, text: &Option<String>| match text.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => {
                let at = text.parse::<Timestamp>().map(|at| now.since(at));
                let age = text.parse::<Span>().or(at).map(Some);
                age.map_err(|_| invalid(format!("{name}: {text:?} is neither 1h nor a time")))
            }
        };
        let mut fields = BTreeMap::new();
        for field in &self.field {
            let wrong = || invalid(format!("field: {field:?} is not KEY=VALUE"));
            let (name, value) = field.split_once('=').ok_or_else(wrong)?;
            fields.insert(name.to_owned(), value.to_owned());
        }
        let filter = LogFilter {
            until: age("until", &self.until)?,
            contains: self.contains.clone(),
            regex: self.regex,
            fields,
            level: self.level.clone(),
        };
        let tail = u32::try_from(limit + 1).ok();
        Ok(Ask::Logs { follow: false, tail, since: age("since", &self.since)?, filter })
    }
}

fn invalid(title: String) -> ApiError {
    ApiError::invalid(title, Vec::new())
}

/// Leaves out instances whose logs are not for whoever asks; if none is left, says so.
fn keep_permitted(sight: &Sight, subject: &str, places: &mut Vec<Place>) -> Answer<()> {
    let all = places.len();
    let mut refusal = None;
    places.retain(|place| {
        let found = sight.get::<Instance>(Verb::Logs, &place.instance);
        found.map_err(|refused| refusal = Some(refused)).is_ok()
    });
    match refusal {
        Some(refused) if places.is_empty() && all > 0 => Err(refused),
        _ => {
            let (kind, name) = subject.split_once('/').unwrap_or_default();
            let Some(kind) = Kind::parse(kind).filter(|_| all == 0) else { return Ok(()) };
            sight.find(Verb::Read, kind, name).map(drop)
        }
    }
}

/// The instances a subject is about.
fn places(world: &Snapshot, subject: &str) -> Answer<Vec<Place>> {
    let wrong = || {
        let title = "subject: give deployment/NAME, application/NAME, host/NAME or instance/NAME";
        invalid(title.to_owned())
    };
    let (kind, name) = subject.split_once('/').ok_or_else(wrong)?;
    let missing = || ApiError::not_found(subject);
    let place = |instance: &std::sync::Arc<atoll_model::Object<Instance>>| Place {
        instance: instance.name().to_owned(),
        host: instance.spec.host.clone(),
    };
    let of = |deployment: &str| -> Vec<Place> {
        world.derived::<Instance>(deployment).map(place).collect()
    };
    match Kind::parse(kind) {
        Some(Kind::Instance) => Ok(vec![place(world.get::<Instance>(name).ok_or_else(missing)?)]),
        Some(Kind::Deployment) => {
            world.get::<Deployment>(name).ok_or_else(missing)?;
            Ok(of(name))
        }
        Some(Kind::Host) => {
            world.get::<Host>(name).ok_or_else(missing)?;
            Ok(world.instances_on(name).map(place).collect())
        }
        Some(Kind::Application) => {
            world.find(Kind::Application, name).ok_or_else(missing)?;
            let deployments = world.derived::<Deployment>(name);
            Ok(deployments.flat_map(|deployment| of(deployment.name())).collect())
        }
        _ => Err(wrong()),
    }
}

/// The last lines of all in the order of their times, and whether any were left out.
///
/// A line without a time goes with the one before it. An instance that tells no times at all
/// stands first, with its fair share of the lines: nobody can say where they belong.
fn in_order(found: Vec<Found>, limit: usize) -> (Vec<LogLine>, bool) {
    let mut truncated = found.iter().any(|one| one.more);
    let share = (limit / found.len().max(1)).max(1);
    let (mut untimed, mut timed) = (Vec::new(), Vec::new());
    for (number, one) in found.into_iter().enumerate() {
        let mut lines: Vec<LogLine> = Vec::with_capacity(one.lines.len());
        for text in one.lines {
            let told = line::read(&text);
            let (at, level) = (told.at, told.level.map(str::to_owned));
            lines.push(LogLine { at, instance: one.instance.clone(), level, line: text });
        }
        let Some(mut last) = lines.iter().find_map(|line| line.at) else {
            truncated |= lines.len() > share;
            let from = lines.len().saturating_sub(share);
            untimed.extend(lines.drain(from..));
            continue;
        };
        for (place, line) in lines.into_iter().enumerate() {
            // Never back, so that the order they were written in stays.
            last = line.at.unwrap_or(last).max(last);
            timed.push((last, number, place, line));
        }
    }
    timed.sort_unstable_by_key(|(at, number, place, _)| (*at, *number, *place));
    let mut all = untimed;
    all.extend(timed.into_iter().map(|(_, _, _, line)| line));
    // The newest stand last, so what is too much is cut off at the front.
    let mut bytes = 0;
    let fits = all.iter().rev().take(limit).take_while(|line| {
        bytes += line.line.len() + line.instance.len();
        bytes <= MOST_BYTES
    });
    let kept = fits.count();
    truncated |= kept < all.len();
    all.drain(..all.len() - kept);
    (all, truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(instance: &str, lines: &[&str], more: bool) -> Found {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Found { instance: instance.to_owned(), lines, more }
    }

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.line.as_str()).collect()
    }

    #[test]
    fn lines_of_many_instances_are_put_in_order() {
        let a = ["2026-01-01T00:00:01Z a1", "  at x", "2026-01-01T00:00:05Z a5"];
        let b = ["2026-01-01T00:00:02Z b2", "2026-01-01T00:00:09Z b9"];
        let (lines, truncated) = in_order(vec![found("a", &a, false), found("b", &b, false)], 100);
        assert_eq!(texts(&lines), [a[0], a[1], b[0], a[2], b[1]]);
        assert!(!truncated && lines[1].at.is_none() && lines[0].at.is_some());
        let (lines, truncated) = in_order(vec![found("a", &a, false), found("b", &b, false)], 2);
        assert_eq!((texts(&lines), truncated), (vec![a[2], b[1]], true));
    }

    #[test]
    fn instances_that_tell_no_times_have_their_share() {
        let lines: Vec<String> = (0..9).map(|i| format!("line {i}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let all = ["a", "b", "c"].map(|name| found(name, &lines, false)).to_vec();
        let (kept, truncated) = in_order(all, 6);
        assert_eq!((kept.len(), truncated), (6, true));
        assert_eq!(texts(&kept[..2]), ["line 7", "line 8"]);
        assert_eq!(kept[5].instance, "c");
    }

    #[test]
    fn an_answer_is_bounded_in_bytes() {
        let long = "x".repeat(MOST_BYTES / 3);
        let lines = [long.as_str(); 5];
        let (kept, truncated) = in_order(vec![found("a", &lines, false)], 100);
        assert_eq!((kept.len(), truncated), (2, true));
    }

    #[test]
    fn parameters_are_read() {
        let text = "subject=host%2Fh&since=1h&contains=a%20b&regex=true&level=error\
                    &field=a=b&field=c.d=x%3Dy&limit=7";
        let query = LogQuery::read(text).unwrap();
        let rest = LogQuery { subject: String::new(), ..query.clone() };
        assert_eq!(LogQuery::read(&without_subject(text)).unwrap(), rest);
        let Ask::Logs { follow, tail, since, filter } = query.ask(7, Timestamp(0)).unwrap() else {
            panic!("not logs")
        };
        assert_eq!((follow, tail, since), (false, Some(8), Some(Span::seconds(3600))));
        assert_eq!((filter.contains.as_deref(), filter.regex), (Some("a b"), true));
        assert_eq!(filter.fields.get("c.d").map(String::as_str), Some("x=y"));
        let since = |text: &str| {
            let query = LogQuery { since: Some(text.to_owned()), ..LogQuery::default() };
            match query.ask(1, Timestamp(90_000)).ok()? {
                Ask::Logs { since, .. } => since,
                Ask::Exec { .. } => None,
            }
        };
        assert_eq!(since("1970-01-01T00:01:00Z"), Some(Span::seconds(30)));
        assert_eq!(since("soon"), None);
        for wrong in ["contain=x", "limit=many", "regex=maybe"] {
            assert!(LogQuery::read(wrong).is_err(), "{wrong}");
        }
    }
}
