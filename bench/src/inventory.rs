//! The rows about the inventory: hosts that hand in their first full facts, and filters asked of
//! very many items over HTTP. Not what the hosts or the items are like.

mod host;
mod items;

use std::path::Path;

use anyhow::{Context as _, ensure};
use atoll_model::cmdb::facts::{FactsData, FactsPart, FactsWanted};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::control::Control;
use crate::fleet::Fleet;
use crate::http::Connection;
use crate::interrupt::unless_interrupted;
use crate::program::Program;
use crate::table::{Goal, Row, median};
use crate::{Args, clock};

/// Hosts that hand in their facts at once.
const HOSTS: usize = 1_000;
const FACTS: &str = "first full facts of 1,000 hosts";
const TOLD: &str = "hollow hosts, each with its own connection, hand in all seven parts at once \
                    (400 packages, 30 listeners); from the first request until all are committed \
                    and the inventory finds every host by them; one server of bk-cmdb takes 40 a \
                    second as it is set up (its default, not measured here)";
const LIST: &str = "filtered list over 100,000 items, p99";

/// Measures what is asked for of the rows about the inventory.
///
/// # Errors
/// Something does not work; a missed goal is no error.
pub async fn rows(args: &Args) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    if args.wants(FACTS) {
        let mut runs = Vec::new();
        for run in 1..=args.runs {
            eprintln!("{FACTS}, run {run}:");
            runs.push(first_facts(&args.program).await?);
        }
        rows.push(Row::new(FACTS, median(runs), "hosts/s", Goal::AtLeast(500.0)).noted(TOLD));
    }
    if args.wants(LIST) {
        eprintln!("{LIST}:");
        let found = items::run(args).await?;
        let how = format!(
            "p50 {:.1} ms, the slowest filter's p50 {:.1} ms; {} requests of {} filters over HTTP, \
             one after the other, limit 100 or none; loading took {:.0} s",
            found.p50, found.slowest, found.requests, found.filters, found.loading
        );
        rows.push(Row::new(LIST, found.p99, "ms", Goal::AtMost(100.0)).noted(how));
    }
    Ok(rows)
}

/// Hosts a second, on a fresh server.
async fn first_facts(program: &Path) -> anyhow::Result<f64> {
    let server = unless_interrupted(Program::start(program, "server")).await?;
    let outcome = unless_interrupted(hand_in(&server)).await;
    let log = server.daemon.log();
    if !log.is_empty() {
        eprintln!("  the server logged:\n{log}");
    }
    server.stop().await?;
    outcome
}

async fn hand_in(server: &Program) -> anyhow::Result<f64> {
    let mut fleet = Fleet::join(&server.target, HOSTS).await?;
    let mut control = Control::open(&server.target).await?;
    fleet.beside(control.hosts_ready(HOSTS)).await?;
    let mut ask = Connection::open(&server.target).await?;
    let mut ready = Vec::with_capacity(HOSTS);
    let mut bytes = 0;
    for number in 0..HOSTS {
        let body = serde_json::to_vec(&host::report(number))?;
        bytes += body.len();
        ready.push((Connection::open(&server.target).await?, number, body));
    }
    let before = server.daemon.cpu()?;
    let began = clock::now();
    let taken = async {
        let mut telling = JoinSet::new();
        for (connection, number, body) in ready {
            telling.spawn(tell(connection, number, body));
        }
        while let Some(told) = telling.join_next().await {
            told??;
        }
        Ok(())
    };
    fleet.beside(taken).await?;
    let committed = began.elapsed().as_secs_f64();
    let total = fleet.beside(total(&mut ask, host::EVERY, 1)).await?;
    let took = began.elapsed().as_secs_f64();
    eprintln!(
        "  {:.1} kB a host; committed in {committed:.2} s, found in {took:.2} s; processor time of \
         the server {:.2} s; {:.0} MB",
        bytes as f64 / 1e3 / HOSTS as f64,
        server.daemon.cpu()? - before,
        server.daemon.memory()?
    );
    ensure!(total == HOSTS, "the inventory finds {total} of {HOSTS} hosts by their facts");
    fleet.beside(kept(&mut ask, HOSTS - 1)).await?;
    Ok(HOSTS as f64 / took)
}

async fn tell(mut connection: Connection, number: usize, body: Vec<u8>) -> anyhow::Result<()> {
    let path = format!("/v1/agents/{}/facts", host::name(number));
    let answer = connection.ask("POST", &path, &body).await?;
    let wanted: FactsWanted = serde_json::from_slice(answer.good()?)?;
    ensure!(wanted == FactsWanted::default(), "{path}: not all was taken: {wanted:?}");
    Ok(())
}

/// Checks that every part of a host is kept as it was handed in.
async fn kept(ask: &mut Connection, number: usize) -> anyhow::Result<()> {
    for part in host::report(number).parts {
        let name = FactsPart::of_host(part.data.part(), &host::name(number));
        let answer = ask.ask("GET", &format!("/v1/facts/{name}"), b"").await?;
        let object: Value = serde_json::from_slice(answer.good()?)?;
        let data = object["status"]["data"].clone();
        let data: FactsData = serde_json::from_value(data).context("reading facts")?;
        ensure!(data == part.data, "facts/{name} is not what was handed in");
    }
    Ok(())
}

/// How many things a filter finds.
async fn total(ask: &mut Connection, filter: &str, limit: usize) -> anyhow::Result<usize> {
    let answer = ask.ask("GET", &path(filter, Some(limit)), b"").await?;
    let found: Value = serde_json::from_slice(answer.good()?)?;
    let total = found["total"].as_u64().context("no total in the answer")?;
    Ok(usize::try_from(total)?)
}

/// Where a filter is asked.
fn path(filter: &str, limit: Option<usize>) -> String {
    let mut path = "/v1/inventory?filter=".to_owned();
    for byte in filter.bytes() {
        if byte.is_ascii_alphanumeric() {
            path.push(char::from(byte));
        } else {
            path += &format!("%{byte:02X}");
        }
    }
    if let Some(limit) = limit {
        path += &format!("&limit={limit}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_written_into_an_address() {
        assert_eq!(
            path("a = \"ü\"", Some(1)),
            "/v1/inventory?filter=a%20%3D%20%22%C3%BC%22&limit=1"
        );
        assert_eq!(path("", None), "/v1/inventory?filter=");
    }
}
