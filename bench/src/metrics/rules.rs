//! A thousand rules every fifteen seconds over live series: what they cost beyond taking the
//! series in. Atoll's rules and Prometheus' are the same, and work in the same minute. Not what
//! the rules say.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::feed::post;
use super::query::number;
use super::set::{HANDLERS, NAME, Set, handler, instance};
use crate::clock;
use crate::daemon::Daemon;
use crate::http::{Connection, Target};
use crate::peers::Running;
use crate::program::Program;

/// Rules of one kind: half record, half alert.
const EACH: usize = 500;
/// Rules of one group.
const GROUP: usize = 25;
/// Groups of one object.
const GROUPS: usize = 5;
/// The time over which processor time is taken.
const WINDOW: Duration = Duration::from_secs(60);
/// The time rules have to begin, before it is.
const WARM: Duration = Duration::from_secs(20);
/// Messages of live series in each step of 15 s.
const PORTIONS: usize = 10;

/// What the rules cost each, in percent of a core.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Atoll.
    pub ours: f64,
    /// Prometheus, if it is there.
    pub theirs: Option<f64>,
}

/// Applies the rules to Atoll, and to Prometheus if there is one; both have the set.
///
/// # Errors
/// The rules are refused, or do not work.
pub async fn run(atoll: &Program, peer: Option<&Running>, set: &mut Set) -> anyhow::Result<Share> {
    let mut live = Live::open(atoll, peer, set).await?;
    live.go_on(WARM / 4).await?;
    let idle = live.cost_over(WINDOW).await?;
    apply(&atoll.target).await?;
    if let Some(peer) = peer {
        std::fs::write(peer.daemon.home().join("rules.json"), rule_file()?)?;
        let mut connection = Connection::open(&peer.target).await?;
        connection.ask("POST", "/-/reload", b"").await?.good()?;
    }
    live.go_on(WARM).await?;
    let busy = live.cost_over(WINDOW).await?;
    eprintln!("  live series alone: {idle:.1?} % of a core; with the rules: {busy:.1?} %");
    work("atoll", &atoll.target).await?;
    let theirs = match peer {
        Some(peer) => {
            work("prometheus", &peer.target).await?;
            Some(busy[1] - idle[1])
        }
        None => None,
    };
    Ok(Share { ours: busy[0] - idle[0], theirs })
}

/// Series that go on being sent to whoever has rules.
struct Live<'a> {
    set: &'a mut Set,
    daemons: Vec<&'a Daemon>,
    connections: Vec<Connection>,
    portion: usize,
}

impl<'a> Live<'a> {
    async fn open(
        atoll: &'a Program,
        peer: Option<&'a Running>,
        set: &'a mut Set,
    ) -> anyhow::Result<Live<'a>> {
        let mut connections = vec![Connection::open(&atoll.target).await?];
        let mut daemons = vec![&atoll.daemon];
        if let Some(peer) = peer {
            connections.push(Connection::open(&peer.target).await?);
            daemons.push(&peer.daemon);
        }
        Ok(Live { set, daemons, connections, portion: 0 })
    }

    async fn go_on(&mut self, time: Duration) -> anyhow::Result<()> {
        let began = clock::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(1500));
        let part = self.set.series() / PORTIONS;
        while began.elapsed() < time {
            ticks.tick().await;
            let from = self.portion % PORTIONS * part;
            let message = self.set.message(from..from + part, clock::time_of_day().0)?;
            for connection in &mut self.connections {
                post(connection, &message).await?;
            }
            self.portion += 1;
        }
        Ok(())
    }

    /// Goes on; gives the processor time of each store meanwhile, in percent of a core.
    async fn cost_over(&mut self, time: Duration) -> anyhow::Result<Vec<f64>> {
        let cpu = |daemons: &[&Daemon]| {
            daemons.iter().map(|daemon| daemon.cpu()).collect::<anyhow::Result<Vec<f64>>>()
        };
        let (before, began) = (cpu(&self.daemons)?, clock::now());
        self.go_on(time).await?;
        let seconds = began.elapsed().as_secs_f64();
        let after = cpu(&self.daemons)?;
        Ok(after.iter().zip(before).map(|(after, b)| (after - b) / seconds * 100.0).collect())
    }
}

/// All groups, in the form of Prometheus' rule files.
fn groups() -> Vec<Value> {
    let rules: Vec<Value> = (0..EACH).map(recording).chain((0..EACH).map(alerting)).collect();
    let group = |(number, rules): (usize, &[Value])| {
        let name = format!("group-{number}");
        json!({ "name": name, "interval": "15s", "rules": rules })
    };
    rules.chunks(GROUP).enumerate().map(group).collect()
}

/// Each of these is over the hundred series of one handler.
fn recording(number: usize) -> Value {
    let handler = handler(number % HANDLERS);
    let of = format!("{NAME}{{handler=\"{handler}\"}}");
    let (record, expression) = match number / HANDLERS {
        0 => ("bench:app:rate5m", format!("sum by (app)(rate({of}[5m]))")),
        1 => ("bench:zone:avg", format!("avg by (zone)({of})")),
        2 => ("bench:team:max5m", format!("max by (team)(max_over_time({of}[5m]))")),
        3 => ("bench:zone:p90", format!("quantile by (zone)(0.9, {of})")),
        _ => ("bench:zone:share", format!("sum by (zone)({of}) / scalar(sum({of}))")),
    };
    json!({ "record": record, "expr": expression, "labels": { "handler": handler } })
}

/// Each of these is over the hundred series of one instance; they watch, and hardly ever fire.
fn alerting(number: usize) -> Value {
    let instance = instance(number % HANDLERS);
    let of = format!("{NAME}{{instance=\"{instance}\"}}");
    let expression = match number / HANDLERS {
        0 => format!("sum by (instance)(rate({of}[5m])) > 1e12"),
        1 => format!("max by (instance)({of}) > 1e15"),
        2 => format!("absent({of})"),
        3 => format!("{of} > 1e15"),
        _ => format!("avg by (instance)(avg_over_time({of}[5m])) > 1e15"),
    };
    json!({
        "alert": format!("Bench{}", number / HANDLERS),
        "expr": expression,
        "for": "1m",
        "labels": { "severity": "page", "of": instance },
        "annotations": { "summary": "{{ $labels.instance }} is at {{ $value }}" },
    })
}

fn rule_file() -> anyhow::Result<String> {
    // JSON is YAML.
    Ok(serde_json::to_string(&json!({ "groups": groups() }))?)
}

async fn apply(target: &Target) -> anyhow::Result<()> {
    let object = |(number, groups): (usize, &[Value])| {
        json!({
            "apiVersion": "atoll/v1", "kind": "Rule",
            "metadata": { "name": format!("bench-{number}") },
            "spec": { "groups": groups },
        })
    };
    let objects: Vec<Value> = groups().chunks(GROUPS).enumerate().map(object).collect();
    let body = serde_json::to_vec(&json!({ "objects": objects }))?;
    Connection::open(target).await?.ask("POST", "/v1/apply", &body).await?.good()?;
    Ok(())
}

/// Checks that every rule is worked out: each is listed as well, and records what it should.
async fn work(name: &str, target: &Target) -> anyhow::Result<()> {
    let mut connection = Connection::open(target).await?;
    let answer = connection.ask("GET", "/api/v1/rules", b"").await?;
    let answer: Value = serde_json::from_slice(answer.good()?)?;
    let groups = answer["data"]["groups"].as_array().context("there are no groups")?;
    let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    let (mut well, mut ill) = (0, None);
    for rule in rules {
        if rule["health"] == "ok" {
            well += 1;
        } else {
            ill = Some(rule.to_string());
        }
    }
    ensure!(well == 2 * EACH, "{name}: {well} of {} rules are well; one: {ill:?}", 2 * EACH);
    let each = number(&mut connection, "count({__name__=~\"bench:.*\"})").await?;
    let wanted = HANDLERS * (20 + 3 + 7 + 3 + 3);
    ensure!(each == wanted as f64, "{name} recorded {each} series, not {wanted}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_thousand_rules_each_told_apart() {
        let groups = groups();
        let rules: Vec<String> = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap())
            .map(ToString::to_string)
            .collect();
        let different: std::collections::BTreeSet<&String> = rules.iter().collect();
        assert_eq!((rules.len(), different.len()), (1000, 1000));
    }
}
