//! Scraping instances: who is asked when, and what follows from each answer. The asking itself is
//! the client's; reading the text is the metrics crate's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use atoll_client::{Scraped, Scraper};
use atoll_metrics::exposition::{Format, Limits, parse};
use atoll_model::Reason;
use atoll_model::agent::METRICS_FAILED;
use tokio::task::JoinSet;

use super::instance::labels;
use super::outbox::Outbox;
use super::roster::{Roster, Seen};
use super::series::{Base, Tracked};
use crate::clock;
use crate::machine::Machine;

/// What an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest time between two scrapes, in milliseconds.
const SHORTEST: i64 = 1000;
/// What metrics measure is told again after so many milliseconds,
const DESCRIBED: i64 = 10 * 60 * 1000;
/// of at most so many of them.
const MOST_FAMILIES: usize = 1000;
/// Samples that are so many milliseconds ahead of our clock are not taken.
const AHEAD: i64 = 10 * 60 * 1000;

/// Everything that is scraped.
pub struct Scrapes {
    scraper: Scraper,
    limits: Limits,
    targets: BTreeMap<String, Target>,
    fetches: JoinSet<Fetched>,
}

struct Target {
    tracked: Tracked,
    address: SocketAddr,
    path: String,
    every: i64,
    /// When it is scraped next, in milliseconds since 1970.
    due: i64,
    fetching: bool,
    /// Why the last scrape failed; empty, if it did not.
    failure: String,
    /// So many have failed in a row.
    failures: u32,
    /// When it was told last what its metrics measure.
    described: i64,
}

/// One scrape that has come to an end.
pub struct Fetched {
    name: String,
    /// Of what it was asked, should that have changed.
    address: SocketAddr,
    at: i64,
    took: Duration,
    result: Result<Scraped, String>,
}

impl Scrapes {
    /// Nothing to scrape yet.
    pub fn new(scraper: Scraper) -> Scrapes {
        let limits = Limits::default();
        Scrapes { scraper, limits, targets: BTreeMap::new(), fetches: JoinSet::new() }
    }

    /// Takes up those that have come, and ends the series of those that have gone.
    pub fn refresh(&mut self, roster: &Roster, machine: &Machine, outbox: &mut Outbox, now: i64) {
        let wanted = |name: &String| {
            let seen = roster.instances.get(name)?;
            wish(seen, machine)
        };
        self.targets.retain(|name, target| {
            let same = wanted(name).is_some_and(|(address, path, every, base)| {
                let (was, now) = (&*target, (address, path, every));
                (was.address, was.path.as_str(), was.every) == now && *was.tracked.base() == base
            });
            if !same {
                target.tracked.end_all(outbox, now);
            }
            same
        });
        for name in roster.instances.keys() {
            if self.targets.contains_key(name) {
                continue;
            }
            let Some((address, path, every, base)) = wanted(name) else { continue };
            self.targets.insert(
                name.clone(),
                Target {
                    tracked: Tracked::new(base),
                    address,
                    path: path.to_owned(),
                    every,
                    due: first_due(&machine.host, name, every, now),
                    fetching: false,
                    failure: String::new(),
                    failures: 0,
                    described: 0,
                },
            );
        }
    }

    /// Begins the scrapes that are due.
    pub fn start_due(&mut self, now: i64) {
        for (name, target) in &mut self.targets {
            // Where the clock was set back, the due time lies too far ahead.
            target.due = target.due.min(now + target.every);
            if target.fetching || target.due > now {
                continue;
            }
            // On the grid of its own, without those that were missed.
            target.due += ((now - target.due) / target.every + 1) * target.every;
            target.fetching = true;
            let (name, address, path) = (name.clone(), target.address, target.path.clone());
            let timeout = TIMEOUT.min(Duration::from_millis(target.every.unsigned_abs()));
            let (scraper, limit) = (self.scraper.clone(), self.limits.bytes);
            self.fetches.spawn(async move {
                let begun = clock::instant();
                let result = scraper.fetch(address, &path, timeout, limit).await;
                let took = clock::instant().saturating_duration_since(begun);
                Fetched { name, address, at: now, took, result }
            });
        }
    }

    /// What is left until one is due; none while there is nothing to scrape.
    pub fn wait(&self, now: i64) -> Option<Duration> {
        let due = self.targets.values().filter(|target| !target.fetching).map(|target| target.due);
        due.min().map(|due| Duration::from_millis(u64::try_from(due - now).unwrap_or(0)))
    }

    /// The next scrape that comes to an end. Waits for ever while none is under way.
    pub async fn fetched(&mut self) -> Fetched {
        loop {
            match self.fetches.join_next().await {
                Some(Ok(fetched)) => return fetched,
                Some(Err(error)) => tracing::error!(%error, "a scrape broke off"),
                None => std::future::pending().await,
            }
        }
    }

    /// Takes what was scraped, and tells what is to be said of the instance for it.
    pub fn take(&mut self, fetched: Fetched, outbox: &mut Outbox) -> (String, Option<Reason>) {
        let Fetched { name, address, at, took, result } = fetched;
        let Some(target) = self.targets.get_mut(&name) else { return (name, None) };
        target.fetching = false;
        if target.address != address {
            return (name, None);
        }
        outbox.figures.scrapes += 1;
        let limits = &self.limits;
        let tracked = &mut target.tracked;
        tracked.begin();
        let read = result.and_then(|scraped| {
            let format = Format::from_content_type(&scraped.content_type);
            let text = std::str::from_utf8(&scraped.body)
                .map_err(|_| "answered with what is not text in UTF-8".to_owned())?;
            let describe = (at - target.described).abs() >= DESCRIBED;
            let counts = read(tracked, text, format, limits, outbox, (at, describe))?;
            if describe {
                target.described = at;
            }
            Ok(counts)
        });
        let counts = match read {
            Ok(counts) => {
                target.failures = 0;
                if !std::mem::take(&mut target.failure).is_empty() {
                    tracing::info!(instance = name, "its metrics are scraped again");
                }
                counts
            }
            Err(why) => {
                outbox.figures.scrape_failures += 1;
                target.failures = target.failures.saturating_add(1);
                if target.failure != why {
                    tracing::warn!(instance = name, why, "its metrics could not be scraped");
                    target.failure = why;
                }
                // What was seen of it counts for nothing.
                tracked.begin();
                Counts::default()
            }
        };
        let up = f64::from(u8::from(target.failure.is_empty()));
        for (metric, value) in [
            ("up", up),
            ("scrape_duration_seconds", took.as_secs_f64()),
            ("scrape_samples_scraped", counts.scraped as f64),
            ("scrape_samples_post_metric_relabeling", counts.kept as f64),
            ("scrape_series_added", counts.added as f64),
        ] {
            tracked.put(outbox, at, metric, &[], value);
        }
        tracked.finish(outbox, at);
        // One that has just begun may not be there yet.
        let remark = (target.failures > 1).then(|| failed(target));
        (name, remark)
    }
}

fn failed(target: &Target) -> Reason {
    let message = format!("{}: {}", target.path, target.failure);
    let hint = "correct what it exposes, or metrics in its application";
    Reason::new(METRICS_FAILED, message).hint(hint)
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    scraped: usize,
    kept: usize,
    added: usize,
}

/// Reads a text and sends what it holds, all or nothing.
fn read(
    tracked: &mut Tracked,
    text: &str,
    format: Format,
    limits: &Limits,
    outbox: &mut Outbox,
    (at, describe): (i64, bool),
) -> Result<Counts, String> {
    let mut rows: Vec<(u64, f64, Option<i64>)> = Vec::new();
    let parsed = parse(text, format, limits, |row| {
        rows.push((tracked.see(row.labels), row.value, row.at));
    });
    let parsed = parsed.map_err(|error| format!("what it exposes cannot be read: {error}"))?;
    for family in parsed.families.iter().filter(|_| describe).take(MOST_FAMILIES) {
        outbox.describe(family);
    }
    let mut kept = 0;
    for (key, value, own) in &rows {
        match own {
            None => tracked.send(outbox, *key, *value, at),
            Some(own) if *own > at + AHEAD => continue,
            Some(own) => tracked.send_dated(outbox, *key, *value, *own),
        }
        kept += 1;
    }
    let lost = [("duplicate", parsed.duplicates), ("future", rows.len() - kept)];
    for (reason, count) in lost.into_iter().filter(|(_, count)| *count > 0) {
        outbox.figures.drop_samples(reason, count as u64);
    }
    Ok(Counts { scraped: parsed.rows + parsed.duplicates, kept, added: tracked.added() })
}

/// Where, and how often in milliseconds, an instance is to be scraped, and the labels it has;
/// none, if it exposes nothing or does not run.
fn wish<'a>(seen: &'a Seen, machine: &Machine) -> Option<(SocketAddr, &'a str, i64, Base)> {
    let order = &seen.record.order;
    seen.app()?;
    let endpoint = order.release.run.metrics.as_ref()?;
    let port = *order.instance.ports.get(&endpoint.port)?;
    let every = i64::try_from(endpoint.every.0).unwrap_or(i64::MAX / 2).max(SHORTEST);
    let address = SocketAddr::new(machine.addresses.own(), port);
    let base = labels(seen, &machine.host, &order.instance.application);
    Some((address, &endpoint.path, every, base))
}

/// The first time after now on a grid that is the instance's own, so that the work of all is
/// spread over time, and an agent that is started again keeps to it.
fn first_due(host: &str, name: &str, every: i64, now: i64) -> i64 {
    let hash = blake3::hash(format!("{host}/{name}").as_bytes());
    let share = u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap_or(&[0; 8]));
    let offset = (share % every.unsigned_abs()).cast_signed();
    now + (offset - now).rem_euclid(every)
}

#[cfg(test)]
mod tests {
    use atoll_metrics::exposition::Kind;
    use atoll_metrics::remote::{self, Version};

    use super::*;
    use crate::collect::outbox::tests::lines;

    fn target() -> Tracked {
        let mut tracked = Tracked::new(Base::new(&[("instance", "w.0")]));
        tracked.begin();
        tracked
    }

    fn take(text: &str, at: i64) -> (Result<Counts, String>, Vec<String>, Outbox) {
        let mut outbox = Outbox::default();
        let limits = Limits { series: 3, ..Limits::default() };
        let counts =
            read(&mut target(), text, Format::Prometheus, &limits, &mut outbox, (at, true));
        let lines = lines(&mut outbox);
        (counts, lines, outbox)
    }

    #[test]
    fn all_of_a_text_is_taken_or_nothing() {
        let (counts, sent, _) = take("a 1\nb{x=\"y\"} 2\n", 5);
        assert_eq!(counts.unwrap(), Counts { scraped: 2, kept: 2, added: 2 });
        assert_eq!(sent, ["a{instance=\"w.0\"} 1 @5", "b{instance=\"w.0\", x=\"y\"} 2 @5"]);
        let (counts, sent, _) = take("a 1\nb 2\nbad line here\n", 5);
        assert!(counts.unwrap_err().contains("line 3") && sent.is_empty());
        let (counts, sent, _) = take("a 1\nb 2\nc 3\nd 4\n", 5);
        assert!(counts.unwrap_err().contains("more than 3 series") && sent.is_empty());
        let long = format!("a{{x=\"{}\"}} 1\n", "y".repeat(1 << 20));
        assert!(take(&long, 5).0.unwrap_err().contains("a label value"));
    }

    #[test]
    fn clocks_ahead_and_duplicates_are_left_out_and_counted() {
        let now = 1_000_000_000_000;
        let day = 24 * 3600 * 1000;
        let text = format!("a 1 {}\nb 2 {}\nc 3\nc 3\n", now + day, now + 1000);
        let (counts, sent, outbox) = take(&text, now);
        assert_eq!(counts.unwrap(), Counts { scraped: 4, kept: 2, added: 3 });
        assert_eq!(sent.len(), 2);
        assert!(sent[0].starts_with('b') && sent[0].ends_with(&format!("@{}", now + 1000)));
        assert_eq!(outbox.figures.dropped.get("future"), Some(&1));
        assert_eq!(outbox.figures.dropped.get("duplicate"), Some(&1));
    }

    #[test]
    fn what_metrics_measure_is_told_along() {
        let mut outbox = Outbox::default();
        let text = "# TYPE a counter\n# HELP a Of all.\na 1\n";
        let limits = Limits::default();
        for describe in [true, false] {
            read(&mut target(), text, Format::Prometheus, &limits, &mut outbox, (5, describe))
                .unwrap();
            outbox.close();
            let body = outbox.take().unwrap().body;
            let message = remote::decompress(&body, 1 << 20).unwrap();
            let families = remote::decode(Version::V1, &message, |_, _| {}).unwrap().families;
            let told: Vec<_> = families.iter().map(|f| (f.name.as_str(), f.kind)).collect();
            assert_eq!(told, if describe { vec![("a", Kind::Counter)] } else { vec![] });
        }
    }

    #[test]
    fn scrapes_are_spread_and_keep_to_their_grid() {
        let dues: Vec<i64> =
            (0..100).map(|i| first_due("h", &format!("web.{i}"), 15_000, 1_000_000)).collect();
        assert!(dues.iter().all(|due| (1_000_000..1_015_000).contains(due)));
        let early = dues.iter().filter(|due| **due < 1_007_500).count();
        assert!((30..70).contains(&early), "{early} of 100 in the first half");
        let later = first_due("h", "web.0", 15_000, 1_000_000 + 4 * 15_000);
        assert_eq!(later, dues[0] + 4 * 15_000);
    }
}
