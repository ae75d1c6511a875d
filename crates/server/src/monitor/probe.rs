//! One look at one target: what is measured, and what is wrong with it. Not when, and not what
//! follows from it. Figures are named as blackbox_exporter names them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use atoll_metrics::exposition::Family;
use atoll_model::Monitor;
use atoll_model::monitoring::MonitorProbe;
use tokio::net::TcpStream;

use super::dns;
use super::series::Rows;
use super::tls::{self, Trust};
use super::web::{Exposed, Web};
use crate::clock::Clock;

/// A target of a monitor, with all that is needed to look at it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    /// The monitor's name.
    pub(super) monitor: String,
    /// As it stands in the monitor.
    pub(super) target: String,
    /// The monitor.
    pub(super) spec: Monitor,
    /// The labels of everything measured.
    pub(super) labels: Vec<(String, String)>,
}

/// What all looks share.
pub(super) struct Eyes {
    trust: Trust,
    web: Web,
}

/// What a look has brought.
pub(super) struct Looked {
    pub(super) rows: Rows,
    /// What the target says of its metrics.
    pub(super) families: Vec<Family>,
    /// What is wrong, if anything is.
    pub(super) problem: Option<String>,
}

/// Figures of a probe, by name.
type Figures = Vec<(&'static str, f64)>;

impl Job {
    /// Of one target. The monitor's own labels may say another job, but not another monitor or
    /// target.
    pub(super) fn new(monitor: &str, spec: &Monitor, target: &str) -> Job {
        let mut labels = BTreeMap::from([("job".to_owned(), monitor.to_owned())]);
        let named = spec.labels.iter().filter(|(name, _)| !name.starts_with("__"));
        labels.extend(named.map(|(name, value)| (name.clone(), value.clone())));
        labels.insert("monitor".to_owned(), monitor.to_owned());
        labels.insert("instance".to_owned(), without_password(target));
        labels.retain(|_, value| !value.is_empty());
        Job {
            monitor: monitor.to_owned(),
            target: target.to_owned(),
            spec: spec.clone(),
            labels: labels.into_iter().collect(),
        }
    }
}

/// An address without the user and the password in it.
fn without_password(target: &str) -> String {
    let Some((scheme, rest)) = target.split_once("://") else { return target.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{}", &rest[end..]),
        None => target.to_owned(),
    }
}

impl Eyes {
    /// Eyes that trust what the machine trusts, and our own CA where there is one.
    pub(super) fn new(own: Option<&str>) -> Result<Eyes, String> {
        let trust = tls::trust(own)?;
        Ok(Eyes { web: Web::new(&trust)?, trust })
    }

    /// Looks at a target once, for no longer than the monitor allows.
    pub(super) async fn look(&self, job: &Job, clock: Clock) -> Looked {
        let (at, began) = (clock.now(), clock.elapsed());
        let timeout = job.spec.patience();
        let late = || format!("no answer within {timeout}");
        let mut rows = Rows::new(&job.labels, at);
        if matches!(job.spec.probe, MonitorProbe::Scrape { .. }) {
            let got = tokio::time::timeout(timeout.std(), self.web.exposed(&job.target)).await;
            let got = got.unwrap_or_else(|_| Err(late()));
            let took = clock.elapsed().saturating_sub(began);
            // Reading a large text is work of the processor.
            let read = tokio::task::spawn_blocking(move || scraped(rows, got, took)).await;
            return read.unwrap_or_else(|error| {
                scraped(Rows::new(&job.labels, at), Err(error.to_string()), took)
            });
        }
        let mut figures = Figures::new();
        let probed = self.probe(job, clock, &mut figures);
        let outcome = tokio::time::timeout(timeout.std(), probed).await;
        let outcome = outcome.unwrap_or_else(|_| Err(late()));
        let took = clock.elapsed().saturating_sub(began).as_secs_f64();
        rows.figure("probe_success", f64::from(u8::from(outcome.is_ok())));
        rows.figure("probe_duration_seconds", took);
        if matches!(job.spec.probe, MonitorProbe::Dns { .. }) {
            rows.figure("probe_dns_lookup_time_seconds", took);
        }
        for (name, value) in figures {
            rows.figure(name, value);
        }
        Looked { rows, families: Vec::new(), problem: outcome.err() }
    }

    async fn probe(&self, job: &Job, clock: Clock, figures: &mut Figures) -> Result<(), String> {
        match &job.spec.probe {
            // Is looked at by itself.
            MonitorProbe::Scrape { .. } => Ok(()),
            MonitorProbe::Http { url, status, contains } => {
                self.http(url, *status, contains.as_deref(), figures).await
            }
            MonitorProbe::Tcp { address } => {
                let connected = TcpStream::connect(address).await;
                connected.map(drop).map_err(|e| format!("connecting: {e}"))
            }
            MonitorProbe::Tls { address, server_name, valid_for } => {
                let name = server_name.as_deref();
                let looked = tls::look(&self.trust, address, name, *valid_for, clock.now());
                let (ends, outcome) = looked.await;
                figures.extend(ends.map(|at| ("probe_ssl_earliest_cert_expiry", at as f64)));
                outcome
            }
            MonitorProbe::Dns { name, server, expect } => {
                let found = match server {
                    Some(server) => dns::resolve(name, server).await?,
                    None => {
                        let found = tokio::net::lookup_host((name.as_str(), 0)).await;
                        let found = found.map_err(|e| format!("resolving {name}: {e}"))?;
                        found.map(|address| address.ip()).collect()
                    }
                };
                figures.push(("probe_dns_answers", found.len() as f64));
                resolved(name, &found, expect)
            }
        }
    }

    async fn http(
        &self,
        url: &str,
        status: Option<u16>,
        contains: Option<&str>,
        figures: &mut Figures,
    ) -> Result<(), String> {
        // What is said if nothing is answered.
        figures.push(("probe_http_status_code", 0.0));
        let page = self.web.page(url).await?;
        figures.clear();
        figures.push(("probe_http_status_code", f64::from(page.status)));
        let length = page.length.map_or(-1.0, |length| length as f64);
        figures.push(("probe_http_content_length", length));
        figures.push(("probe_http_uncompressed_body_length", page.body.len() as f64));
        let ends = page.certificate_end.map(|at| ("probe_ssl_earliest_cert_expiry", at as f64));
        figures.push(("probe_http_ssl", f64::from(u8::from(ends.is_some()))));
        figures.extend(ends);
        let good = match status {
            Some(status) => page.status == status,
            None => (200..300).contains(&page.status),
        };
        if !good {
            let wanted = status.map_or("2xx".to_owned(), |status| status.to_string());
            return Err(format!("was answered {}, not {wanted}", page.status));
        }
        match contains {
            Some(text) if !holds(&page.body, text.as_bytes()) => {
                let part = if page.whole { "the answer" } else { "the beginning of the answer" };
                Err(format!("{part} does not hold {text:?}"))
            }
            _ => Ok(()),
        }
    }
}

fn holds(body: &[u8], text: &[u8]) -> bool {
    let Some(first) = text.first() else { return true };
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(text) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

fn resolved(name: &str, found: &BTreeSet<IpAddr>, expect: &[String]) -> Result<(), String> {
    if found.is_empty() {
        return Err(format!("{name} has no address"));
    }
    let is_found = |text: &String| text.parse().is_ok_and(|address| found.contains(&address));
    if expect.is_empty() || expect.iter().any(is_found) {
        return Ok(());
    }
    let all: Vec<String> = found.iter().take(5).map(IpAddr::to_string).collect();
    Err(format!("{name} is {}, not {}", all.join(", "), expect.join(" or ")))
}

/// What a scrape gives.
fn scraped(mut rows: Rows, got: Result<Exposed, String>, took: Duration) -> Looked {
    let read = got.and_then(|got| {
        let parsed = rows.text(&got.text, got.format);
        parsed.map_err(|e| format!("exposes what cannot be read: {e}"))
    });
    let (count, families, problem) = match read {
        Ok(parsed) => (parsed.rows, parsed.families, None),
        Err(problem) => (0, Vec::new(), Some(problem)),
    };
    rows.figure("up", f64::from(u8::from(problem.is_none())));
    rows.figure("scrape_duration_seconds", took.as_secs_f64());
    rows.figure("scrape_samples_scraped", count as f64);
    Looked { rows, families, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_password() {
        for (target, shown) in [
            ("http://u:p@h:1/m?a=b@c", "http://h:1/m?a=b@c"),
            ("http://h/x@y", "http://h/x@y"),
            ("h:5432", "h:5432"),
        ] {
            assert_eq!(without_password(target), shown);
        }
    }

    #[test]
    fn one_expected_address_is_enough() {
        let found = ["10.0.0.1", "::1"].map(|a| a.parse().unwrap()).into();
        let expect = |all: &[&str]| {
            let all: Vec<String> = all.iter().map(|a| (*a).to_owned()).collect();
            resolved("x", &found, &all)
        };
        assert!(expect(&[]).is_ok() && expect(&["10.0.0.9", "0:0::1"]).is_ok());
        assert_eq!(expect(&["10.0.0.9"]).unwrap_err(), "x is 10.0.0.1, ::1, not 10.0.0.9");
        assert!(resolved("x", &BTreeSet::new(), &[]).is_err());
    }

    #[test]
    fn text_is_found_in_bytes() {
        assert!(holds(b"aab\xff", b"ab") && holds(b"", b"") && !holds(b"aa", b"ab"));
    }
}
