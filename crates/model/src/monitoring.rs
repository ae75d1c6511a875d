//! What is watched: monitors of things outside the fleet's own agents, and the promises of an
//! application in one environment. Rules and alerts are in `alerting.rs`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::explained;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::quantity::Portion;
use crate::time::{Span, Timestamp};

/// One promise of an application, as its developers write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Promise {
    /// Unique within the application.
    pub name: String,
    /// PromQL over the application's metrics. With `target`, the share that is good, 0 to 1; with
    /// `below`, the value that is bounded. It is narrowed to one deployment by itself;
    /// `{{window}}` stands for the time it is taken over.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// Instead of `query`: a counter of what was good, as a selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<String>,
    /// With `good`: a counter of everything, as a selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// The share that must be good, as `99.9%`; 99 % of the time, where only `below` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The bound the value stays below: a number, or a span of time such as `300ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<String>,
    /// The time the share is taken over.
    #[serde(default = "Promise::usual_window")]
    pub window: Span,
    /// With `good` and `total`: below so many events in the short window nothing is said.
    #[serde(default = "Promise::usual_traffic")]
    pub least_events: f64,
    /// A breach takes a rollout back at once.
    #[serde(default)]
    pub critical: bool,
}

impl Promise {
    fn usual_window() -> Span {
        Span::seconds(30 * 86_400)
    }
    fn usual_traffic() -> f64 {
        10.0
    }

    /// The share that may be bad, 0 to 1.
    pub fn allowed(&self) -> f64 {
        let target = self.target.as_deref().and_then(share).unwrap_or(0.99);
        1.0 - target
    }

    /// The bound, in seconds where it is a span of time.
    pub fn bound(&self) -> Option<f64> {
        let text = self.below.as_deref()?;
        let span = || text.parse::<Span>().ok().map(|span| span.0 as f64 / 1000.0);
        text.parse().ok().or_else(span).filter(|bound: &f64| bound.is_finite())
    }

    /// Checks one promise.
    ///
    /// # Errors
    /// Every problem found.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("name", name::check_simple(&self.name));
        let counted = self.good.is_some() || self.total.is_some();
        invalid.add_if(
            counted && (self.good.is_none() || self.total.is_none()),
            "good",
            "good and total go together",
        );
        invalid.add_if(
            counted != self.query.is_empty(),
            "query",
            "give either query, or good and total",
        );
        if let Some(target) = &self.target {
            let good = share(target).is_some_and(|share| share > 0.0 && share < 1.0);
            invalid.add_if(!good, "target", format!("{target:?} is not a share like 99.9%"));
        }
        if let Some(below) = &self.below {
            let wrong = format!("{below:?} is not a number or a span of time like 300ms");
            invalid.add_if(self.bound().is_none(), "below", wrong);
            invalid.add_if(counted, "below", "goes with query only");
        }
        let neither = self.target.is_none() && self.below.is_none();
        invalid.add_if(neither, "target", "is missing; give target, below or both");
        let short = self.window.0 < 3_600_000;
        invalid.add_if(short, "window", "is less than 1h; a promise is kept over a longer time");
        invalid.into_result()
    }
}

fn share(text: &str) -> Option<f64> {
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.trim().parse().ok()?,
    };
    share.is_finite().then_some(share)
}

/// A promise of one deployment, made by the planner from its application. Its object is named
/// `DEPLOYMENT.PROMISE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objective {
    /// The deployment it is kept by.
    pub deployment: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What is promised.
    pub promise: Promise,
}

/// How well a promise is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectiveStatus {
    /// In one word.
    #[serde(default)]
    pub phase: ObjectivePhase,
    /// Since when `phase` is what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The share that was good over the window, 0 to 1, to four digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<f64>,
    /// How much of the error budget is left, 1 to 0 and below where it is overspent, to two
    /// digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_left: Option<f64>,
    /// The budget was spent when data was last there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spent_before: bool,
    /// How fast it is spent over the last hour: 1 spends it exactly over the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn_rate: Option<f64>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The state of a promise in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ObjectivePhase {
    /// There is no fresh data, which is neither good nor bad.
    #[default]
    NoData,
    /// It is kept.
    Kept,
    /// The budget is being spent too fast.
    Burning,
    /// The budget is spent: releases are held.
    Spent,
}

/// The annotation of a deployment by which a person lets one release through although its error
/// budget is spent; its value says why, and the audit keeps it.
pub const OVERRIDE_BUDGET_ANNOTATION: &str = "atoll/override-budget";

impl ObjectiveStatus {
    /// The budget is spent, as far as is known: where data is missing since, what was last known
    /// counts.
    pub fn is_spent(&self) -> bool {
        let blind = self.phase == ObjectivePhase::NoData && self.spent_before;
        self.phase == ObjectivePhase::Spent || blind
    }
}

impl Spec for Objective {
    const KIND: Kind = Kind::Objective;
    type Status = ObjectiveStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("deployment", name::check_derived(&self.deployment));
        invalid.nest("promise", self.promise.validate());
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Objective) -> Result<(), Invalid> {
        let right = format!("{}.{}", spec.deployment, spec.promise.name);
        if name == right {
            return name::check_derived(name);
        }
        Err(Invalid::one("", format!("this objective is named {right}")))
    }
}

/// Something outside the agents' own collection that is looked at from the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Monitor {
    /// What is looked at, and how.
    pub probe: MonitorProbe,
    /// How often.
    #[serde(default = "Monitor::usual_every")]
    pub every: Span,
    /// How long an answer may take; 5 s, or `every` where that is less, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Labels added to everything it measures.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Who answers for it, as `team/NAME` or `user/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// So many failures in a row, and it is down.
    #[serde(default = "Monitor::usual_failures")]
    pub failures: u32,
}

impl Monitor {
    fn usual_every() -> Span {
        Span::seconds(15)
    }
    fn usual_failures() -> u32 {
        2
    }

    /// How long an answer is waited for: a look is over before the next begins.
    pub fn patience(&self) -> Span {
        self.timeout.unwrap_or(Span::seconds(5)).min(self.every)
    }
}

/// What a monitor looks at, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum MonitorProbe {
    /// Reads metrics that are exposed as text.
    Scrape {
        /// Where, `http://…/metrics`.
        urls: Vec<String>,
    },
    /// Asks for a page.
    #[serde(rename_all = "camelCase")]
    Http {
        /// Which.
        url: String,
        /// The status that is good; any of 200 to 299 without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Text the answer must hold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contains: Option<String>,
    },
    /// Opens a connection.
    Tcp {
        /// `HOST:PORT`.
        address: String,
    },
    /// Opens an encrypted connection and looks at the certificate.
    #[serde(rename_all = "camelCase")]
    Tls {
        /// `HOST:PORT`.
        address: String,
        /// The name the certificate must be good for; the host's, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server_name: Option<String>,
        /// It is down when the certificate ends sooner than this.
        #[serde(default = "a_week")]
        valid_for: Span,
    },
    /// Resolves a name.
    Dns {
        /// Which.
        name: String,
        /// The server asked, `HOST` or `HOST:PORT`; the system's, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        /// Addresses of which one must be among the answers; any, if absent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        expect: Vec<String>,
    },
}

fn a_week() -> Span {
    Span::seconds(7 * 86_400)
}

impl MonitorProbe {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            MonitorProbe::Scrape { .. } => "scrape",
            MonitorProbe::Http { .. } => "http",
            MonitorProbe::Tcp { .. } => "tcp",
            MonitorProbe::Tls { .. } => "tls",
            MonitorProbe::Dns { .. } => "dns",
        }
    }

    /// What is looked at: one target, or several for a scrape.
    pub fn targets(&self) -> Vec<&str> {
        match self {
            MonitorProbe::Scrape { urls } => urls.iter().map(String::as_str).collect(),
            MonitorProbe::Http { url, .. } => vec![url],
            MonitorProbe::Tcp { address } | MonitorProbe::Tls { address, .. } => vec![address],
            MonitorProbe::Dns { name, .. } => vec![name],
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let web = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        let needs_port = |address: &str| {
            address.rsplit_once(':').is_some_and(|(h, p)| !h.is_empty() && p.parse::<u16>().is_ok())
        };
        match self {
            MonitorProbe::Scrape { urls } => {
                invalid.add_if(urls.is_empty(), "scrape.urls", "is empty; name one at least");
                for (i, url) in urls.iter().enumerate() {
                    let path = format!("scrape.urls[{i}]");
                    invalid.add_if(!web(url), &path, format!("{url:?} is not an http address"));
                }
            }
            MonitorProbe::Http { url, status, .. } => {
                invalid.add_if(!web(url), "http.url", format!("{url:?} is not an http address"));
                let wrong = status.filter(|status| !(100..=599).contains(status));
                let message = wrong.map(|status| format!("{status} is not a status of 100 to 599"));
                invalid.add_if(wrong.is_some(), "http.status", message.unwrap_or_default());
            }
            MonitorProbe::Tcp { address } | MonitorProbe::Tls { address, .. } => {
                let path = format!("{}.address", self.word());
                let message = format!("{address:?} is not HOST:PORT");
                invalid.add_if(!needs_port(address), &path, message);
            }
            MonitorProbe::Dns { name, server, .. } => {
                let wrong = format!("{name:?} is not a name that can be resolved");
                invalid.add_if(!is_host_name(name), "dns.name", wrong);
                let bad = server.as_deref().filter(|server| !is_name_server(server));
                let wrong = bad.map(|server| format!("{server:?} is not HOST:PORT"));
                invalid.add_if(bad.is_some(), "dns.server", wrong.unwrap_or_default());
            }
        }
        invalid.into_result()
    }
}

/// A name as the DNS has them, with underscores, which services use.
fn is_host_name(name: &str) -> bool {
    let part = |part: &str| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !part.is_empty() && part.len() <= 63 && part.chars().all(good)
    };
    name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(part)
}

/// `HOST`, `HOST:PORT`, or an address of either family.
fn is_name_server(server: &str) -> bool {
    if server.parse::<IpAddr>().is_ok() || server.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let (host, port) = server.split_once(':').unwrap_or((server, "53"));
    is_host_name(host) && port.parse::<u16>().is_ok()
}

/// How a monitor's targets are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorStatus {
    /// In one word.
    #[serde(default)]
    pub phase: MonitorPhase,
    /// Since when `phase` is what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many of its targets are up.
    #[serde(default)]
    pub up: u32,
    /// How many are down.
    #[serde(default)]
    pub down: u32,
    /// What is wrong with those that are down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The state of a monitor in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MonitorPhase {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// All targets answer as they should.
    Up,
    /// Some do not.
    Degraded,
    /// None does.
    Down,
}

explained!(ObjectiveStatus, MonitorStatus);

impl Spec for Monitor {
    const KIND: Kind = Kind::Monitor;
    type Status = MonitorStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("probe", self.probe.validate());
        invalid.add_if(self.every.0 < 1000, "every", "is less than 1s");
        let seldom = self.every.0 > 86_400_000;
        invalid.add_if(seldom, "every", "is more than 1d; what is seen less often is not watched");
        let long = self.timeout.is_some_and(|timeout| timeout > self.every);
        invalid.add_if(long, "timeout", "is longer than every");
        invalid.add_if(self.timeout == Some(Span(0)), "timeout", "is 0");
        invalid.into_result()
    }
}

/// How much of what should have been measured was: with every answer of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Completeness {
    /// Series the answer is made of.
    pub series: u64,
    /// Samples there should be.
    pub expected: u64,
    /// Samples there are, at most as many as expected.
    pub seen: u64,
    /// The time of the newest sample used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// How old the newest sample was at the time that was asked about: of whatever the expression
    /// names, what is furthest behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Span>,
    /// How far apart samples usually are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
}

/// Samples that come as usual are never so old, however often they come: they wait for each other
/// on a host, and for a server that is started again.
const LATE: Span = Span::seconds(30);
/// So many usual intervals without a sample are no accident.
const MISSED: u64 = 3;

impl Completeness {
    /// How old the newest sample is, where samples should have come since: the answer is what
    /// looking back still finds, and not what is. That is 30 s, or three of the intervals they
    /// come in where those are longer.
    pub fn carried_on(&self) -> Option<Span> {
        let usual = self.interval.map_or(0, |interval| interval.0.saturating_mul(MISSED));
        self.lag.filter(|lag| lag.0 > usual.max(LATE.0))
    }

    /// Nothing was measured of what was asked for.
    pub fn is_no_data(&self) -> bool {
        self.seen == 0
    }

    /// Something is missing: more than `tolerated` of what there should be.
    pub fn lacks(&self, tolerated: Portion) -> bool {
        let expected = u32::try_from(self.expected).unwrap_or(u32::MAX);
        self.expected - self.seen.min(self.expected) > u64::from(tolerated.floor_of(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_carried_on_where_samples_should_have_come() {
        let told = |lag: u64, interval: Option<u64>| {
            let (lag, interval) = (Some(Span::seconds(lag)), interval.map(Span::seconds));
            Completeness { lag, interval, ..Completeness::default() }.carried_on()
        };
        assert_eq!(told(30, Some(2)), None);
        assert_eq!(told(31, Some(2)), Some(Span::seconds(31)));
        assert_eq!((told(45, Some(15)), told(180, Some(60))), (None, None));
        assert_eq!(told(46, Some(15)), Some(Span::seconds(46)));
        assert_eq!(told(31, None), Some(Span::seconds(31)));
        assert_eq!(Completeness::default().carried_on(), None);
    }

    fn wrong(monitor: serde_json::Value) -> String {
        let monitor: Monitor = serde_json::from_value(monitor).unwrap();
        monitor.validate().map_or_else(|wrong| wrong.to_string(), |()| String::new())
    }

    #[test]
    fn a_monitor_that_can_never_be_up_is_refused() {
        let dns = |name: &str, server: &str| {
            wrong(serde_json::json!({ "probe": { "dns": { "name": name, "server": server } } }))
        };
        for server in ["10.0.0.1", "10.0.0.1:53", "::1", "[::1]:53", "ns.example", "ns:5353"] {
            assert_eq!(dns("_ldap._tcp.example.", server), "", "{server}");
        }
        assert!(dns("a b", "ns").contains("dns.name"));
        for server in ["", "n s", "ns:dns", "http://ns", "[::1"] {
            assert!(dns("a", server).contains("dns.server"), "{server}");
        }
        let http = |status: u16| {
            let http = serde_json::json!({ "url": "http://x", "status": status });
            wrong(serde_json::json!({ "probe": { "http": http } }))
        };
        assert_eq!(http(503), "");
        assert!(http(7).contains("http.status: 7 is not"), "{}", http(7));
        let tcp = serde_json::json!({ "tcp": { "address": "x:1" } });
        let often = |more: serde_json::Value| {
            let mut monitor = serde_json::json!({ "probe": tcp, "every": "3s" });
            monitor.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            wrong(monitor)
        };
        assert_eq!(often(serde_json::json!({})), "", "the usual time-out is no mistake");
        assert!(often(serde_json::json!({ "timeout": "5s" })).contains("longer than every"));
        let seldom = wrong(serde_json::json!({ "probe": tcp, "every": "100000d" }));
        assert!(seldom.contains("every: is more than 1d"), "{seldom}");
    }
}
