//! A hundred thousand items of one class, applied, and filters asked of them over HTTP once the
//! server is at rest. What each filter should find is counted here too, so that a fast answer that
//! is wrong fails.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::path;
use crate::http::Connection;
use crate::interrupt::unless_interrupted;
use crate::program::Program;
use crate::table::median;
use crate::{Args, clock};

const ITEMS: usize = 100_000;
/// So many are applied with one request. They are not imported: why each record was matched is
/// kept with every record of the request.
const BATCH: usize = 1_000;
/// So often each filter is asked, each time with other values, after once that is not timed.
const ROUNDS: usize = 30;
/// The server is at rest when it uses less than this share of a core, this often in a row.
const REST: f64 = 0.05;
const RESTS: usize = 3;
const LOOK: Duration = Duration::from_millis(500);
/// What has not come to rest by then has failed.
const PATIENCE: Duration = Duration::from_secs(600);

const VENDORS: [&str; 5] = ["Dell", "HPE", "Lenovo", "Supermicro", "Fujitsu"];
const STATES: [&str; 4] = ["active", "spare", "retired", "ordered"];

/// What the filters took.
pub struct Found {
    /// The slowest but one in a hundred, in milliseconds.
    pub p99: f64,
    /// The one in the middle, in milliseconds.
    pub p50: f64,
    /// The one in the middle of the slowest filter, in milliseconds.
    pub slowest: f64,
    /// How many were timed.
    pub requests: usize,
    /// How many filters there are.
    pub filters: usize,
    /// Applying all items, in seconds.
    pub loading: f64,
}

/// One thing.
struct Thing {
    number: usize,
    vendor: &'static str,
    state: &'static str,
    site: usize,
    rack: usize,
    units: usize,
    memory: usize,
}

/// A filter, how many it may answer with, and what it should find.
type Asked = (String, Option<usize>, Box<dyn Fn(&Thing) -> bool>);

/// Loads, asks, and stops the server.
///
/// # Errors
/// Something does not work, or a filter finds what it should not.
pub async fn run(args: &Args) -> anyhow::Result<Found> {
    let server = unless_interrupted(Program::start(&args.program, "server")).await?;
    let outcome = unless_interrupted(measure(&server, args.runs)).await;
    let log = server.daemon.log();
    if !log.is_empty() {
        eprintln!("  the server logged:\n{log}");
    }
    server.stop().await?;
    outcome
}

async fn measure(server: &Program, runs: u32) -> anyhow::Result<Found> {
    let mut ask = Connection::open(&server.target).await?;
    let began = clock::now();
    load(&mut ask).await?;
    let loading = began.elapsed().as_secs_f64();
    at_rest(server).await?;
    eprintln!(
        "  loaded in {loading:.1} s, at rest after {:.1} s; {:.0} MB",
        began.elapsed().as_secs_f64(),
        server.daemon.memory()?
    );
    let (mut p99, mut p50) = (Vec::new(), Vec::new());
    let (mut each, mut requests) = (Vec::new(), 0);
    for run in 1..=runs {
        let took = ask_all(&mut ask).await?;
        let mut all: Vec<f64> = took.iter().flatten().copied().collect();
        all.sort_by(f64::total_cmp);
        let at = |share: usize| all[(all.len() * share / 100).min(all.len() - 1)];
        eprintln!("  run {run}: p50 {:.1}, p99 {:.1}, most {:.1} ms", at(50), at(99), at(100));
        p99.push(at(99));
        p50.push(at(50));
        requests += all.len();
        each.extend(took);
    }
    let filters = filters(0).len();
    let middles = each.into_iter().map(median);
    let slowest = middles.fold(0.0, f64::max);
    Ok(Found { p99: median(p99), p50: median(p50), slowest, requests, filters, loading })
}

async fn load(ask: &mut Connection) -> anyhow::Result<()> {
    let class = json!({
        "apiVersion": "atoll/v1", "kind": "ItemType", "metadata": { "name": "server" },
        "spec": {
            "owner": "team/dc",
            "schema": { "type": "object", "required": ["serial"], "properties": {
                "serial": { "type": "string" }, "units": { "type": "integer" },
                "state": { "enum": STATES },
            } },
            "identity": [{ "name": "serial", "attributes": ["serial"] }],
        },
    });
    let body = class.to_string();
    ask.ask("PUT", "/v1/itemtypes/server", body.as_bytes()).await?.good()?;
    for from in (0..ITEMS).step_by(BATCH) {
        let objects: Vec<Value> = (from..from + BATCH).map(|n| item(&Thing::of(n))).collect();
        let body = serde_json::to_vec(&json!({ "objects": objects }))?;
        ask.ask("POST", "/v1/apply", &body).await?.good()?;
    }
    Ok(())
}

/// Waits until the planners have looked at everything.
async fn at_rest(server: &Program) -> anyhow::Result<()> {
    let (until, mut rests) = (clock::now() + PATIENCE, 0);
    while rests < RESTS {
        ensure!(clock::now() < until, "the server did not come to rest");
        let before = server.daemon.cpu()?;
        tokio::time::sleep(LOOK).await;
        let share = (server.daemon.cpu()? - before) / LOOK.as_secs_f64();
        rests = if share < REST { rests + 1 } else { 0 };
    }
    Ok(())
}

/// The times of each filter, in milliseconds.
async fn ask_all(ask: &mut Connection) -> anyhow::Result<Vec<Vec<f64>>> {
    let things: Vec<Thing> = (0..ITEMS).map(Thing::of).collect();
    let mut took: Vec<Vec<f64>> = filters(0).iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        for ((filter, limit, holds), took) in filters(round).into_iter().zip(&mut took) {
            let path = path(&filter, limit);
            let began = clock::now();
            let answer = ask.ask("GET", &path, b"").await?;
            let time = began.elapsed().as_secs_f64() * 1e3;
            let found: Value = serde_json::from_slice(answer.good()?)?;
            let total = things.iter().filter(|thing| holds(thing)).count();
            ensure!(found["total"] == total, "{filter}: {} instead of {total}", found["total"]);
            let items = found["items"].as_array().context("no items in the answer")?;
            ensure!(items.len() == total.min(limit.unwrap_or(total)), "{filter}: some are missing");
            if round > 0 {
                took.push(time);
            } else {
                eprintln!("  {filter}: {total} found");
            }
        }
    }
    let middles: Vec<String> =
        took.iter().map(|took| format!("{:.1}", median(took.clone()))).collect();
    eprintln!("  p50 of each, in ms: {}", middles.join(", "));
    Ok(took)
}

/// The filters that are asked, with values that are others in every round.
fn filters(round: usize) -> Vec<Asked> {
    let (site, rack) = (round % 50, round * 61 % 2_000);
    let (vendor, number) = (VENDORS[round % VENDORS.len()], round * 3_163 % ITEMS);
    let units = round % 3 + 1;
    vec![
        ask(format!("type = server and site = site-{site:02}"), Some(100), move |t| t.site == site),
        ask(format!("type = server and serial = SN{number:08}"), None, move |t| t.number == number),
        ask(format!("type = server and units > {units}"), Some(100), move |t| t.units > units),
        ask("type = server and memory >= 512Gi and state = spare", Some(100), |t| {
            t.memory >= 512 && t.state == "spare"
        }),
        ask(format!("type = server and hostname ~ -{:05}.", number), None, move |t| {
            t.number == number
        }),
        ask(
            format!("type = server and hostname ~ srv-*{:03}.site-*", round),
            Some(100),
            move |t| t.number % 1_000 == round,
        ),
        ask(
            format!(
                "type = server and vendor = {vendor} and (site = site-{site:02} or rack = \
                 r{rack:04}) and not state = retired and memory > 128Gi"
            ),
            Some(100),
            move |t| {
                let place = t.site == site || t.rack == rack;
                t.vendor == vendor && place && t.state != "retired" && t.memory > 128
            },
        ),
        ask(format!("type = server and rack in (r{rack:04}, r1999)"), None, move |t| {
            t.rack == rack || t.rack == 1_999
        }),
    ]
}

fn ask(
    filter: impl Into<String>,
    limit: Option<usize>,
    holds: impl Fn(&Thing) -> bool + 'static,
) -> Asked {
    (filter.into(), limit, Box::new(holds))
}

impl Thing {
    fn of(number: usize) -> Thing {
        // Spread, so that what is alike does not stand together.
        let spread = number * 7_919 % ITEMS;
        Thing {
            number,
            vendor: VENDORS[spread % VENDORS.len()],
            state: STATES[spread / 7 % STATES.len()],
            site: spread / 3 % 50,
            rack: spread / 11 % 2_000,
            units: spread / 5 % 4 + 1,
            memory: 64 << (spread / 13 % 5),
        }
    }
}

fn item(thing: &Thing) -> Value {
    let Thing { number, vendor, state, site, rack, units, memory } = thing;
    json!({
        "apiVersion": "atoll/v1", "kind": "Item",
        "metadata": { "name": format!("srv-{number:05}") },
        "spec": { "type": "server", "attributes": {
            "vendor": vendor,
            "model": format!("{vendor} M{}", number % 40),
            "serial": format!("SN{number:08}"),
            "hostname": format!("srv-{number:05}.site-{site:02}.example.internal"),
            "site": format!("site-{site:02}"),
            "rack": format!("r{rack:04}"),
            "units": units,
            "memory": format!("{memory}Gi"),
            "firmware": format!("2.{}.{}", number % 20, number % 7),
            "state": state,
            "warranty": format!("20{}-{:02}-01", 26 + number % 6, number % 12 + 1),
            "tags": ["metal", format!("batch-{}", number / 500)],
        } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_finds_something_and_not_everything() {
        let things: Vec<Thing> = (0..ITEMS).map(Thing::of).collect();
        for round in 0..=ROUNDS {
            for (filter, limit, holds) in filters(round) {
                let total = things.iter().filter(|thing| holds(thing)).count();
                assert!(total > 0 && total < ITEMS, "{filter}: {total}");
                assert!(limit.is_some() || total < 500, "{filter}: {total} without a limit");
            }
        }
    }
}
