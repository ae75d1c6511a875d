//! The rows about many who watch one configuration: from sending the write until each of them has
//! read the new value from its own connection. The watchers share the cores with the server.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::http::{Connection, Target};
use crate::interrupt::unless_interrupted;
use crate::program::Program;
use crate::table::{Goal, Row};
use crate::{Args, clock};

/// How many watch, how long the slowest but one in a hundred may take, and who took how long.
const SIZES: [Size; 2] = [(1_000, 20.0, Some(("Consul", 139.0))), (10_000, 150.0, None)];

/// A count of watchers, a goal in milliseconds, and a peer's figure.
type Size = (usize, f64, Option<(&'static str, f64)>);
/// So many writes are timed, after some that are not.
const WRITES: usize = 20;
const WARM: usize = 3;
/// Connections besides those of watchers.
const SPARE: u64 = 500;
/// A write that has not reached everybody by then has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const HOW: &str = "from sending the write over HTTP until the value was read from a watcher's own \
                   stream; 20 writes, one after the other";

/// Measures what is asked for of the rows about watchers.
///
/// # Errors
/// Something does not work; a missed goal is no error.
pub async fn rows(args: &Args) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (watchers, most, peer) in SIZES {
        let name = format!("one key to {} watchers, p99", crate::table::plain(watchers as f64));
        if !args.wants(&name) {
            continue;
        }
        eprintln!("{watchers} watchers:");
        let value = run(&args.program, watchers).await?;
        let row = Row::new(name, value, "ms", Goal::AtMost(most)).noted(HOW);
        rows.push(match peer {
            Some((name, value)) => row.beside(name, value),
            None => row,
        });
    }
    Ok(rows)
}

async fn run(program: &Path, watchers: usize) -> anyhow::Result<f64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let needed = watchers as u64 + SPARE;
    ensure!(needed <= hard, "{needed} open files are needed and {hard} allowed: ulimit -Hn");
    // The server is started with the same bound.
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(needed), hard)?;
    let server = unless_interrupted(Program::start(program, "server")).await?;
    let local = LocalSet::new();
    let measured = local.run_until(measure(&server.target, watchers));
    let outcome = unless_interrupted(measured).await;
    server.stop().await?;
    outcome
}

/// The time of the slowest but one in a hundred, in milliseconds.
async fn measure(target: &Target, watchers: usize) -> anyhow::Result<f64> {
    let mut control = Connection::open(target).await?;
    let config = json!({
        "apiVersion": "atoll/v1", "kind": "Config", "metadata": { "name": "fan" },
        "spec": { "schema": { "properties": { "key": { "type": "integer" } } },
                  "values": { "key": 0 } },
    });
    let body = config.to_string();
    control.ask("PUT", "/v1/configs/fan", body.as_bytes()).await?.good()?;
    live(&mut control).await?;
    let (received, mut arrivals) = mpsc::unbounded_channel();
    let began = clock::now();
    for _ in 0..watchers {
        let mut stream = Connection::open(target).await?;
        stream.listen("/v1/configs/fan/watch").await?;
        stream.chunk().await?;
        let received = received.clone();
        tokio::task::spawn_local(watch(stream, received));
    }
    eprintln!("  connected in {:.1} s", began.elapsed().as_secs_f64());
    let mut times: Vec<f64> = Vec::with_capacity(watchers * WRITES);
    for key in 1..=WARM + WRITES {
        let sent = clock::now();
        write(&mut control, key).await?;
        let all = async {
            let mut left = watchers;
            while left > 0 {
                let (got, at): (usize, Instant) = arrivals.recv().await.context("a watcher")?;
                if got != key {
                    continue;
                }
                left -= 1;
                if key > WARM {
                    times.push(at.duration_since(sent).as_secs_f64() * 1e3);
                }
            }
            anyhow::Ok(())
        };
        let arrived = tokio::time::timeout(PATIENCE, all).await;
        arrived.with_context(|| format!("write {key} did not reach everybody"))??;
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    eprintln!("  p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", at(50), at(99), at(100));
    Ok(at(99))
}

async fn live(control: &mut Connection) -> anyhow::Result<()> {
    let until = clock::now() + PATIENCE;
    while control.ask("GET", "/v1/configs/fan/values", b"").await?.status != 200 {
        ensure!(clock::now() < until, "the configuration did not become live");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn write(control: &mut Connection, key: usize) -> anyhow::Result<()> {
    let body = json!({ "spec": { "values": { "key": key } } }).to_string();
    let kind = [("content-type", "application/merge-patch+json")];
    control.ask_with("PATCH", "/v1/configs/fan", &kind, body.as_bytes()).await?.good()?;
    Ok(())
}

/// Reads one stream for ever, and says when each value came.
async fn watch(mut stream: Connection, received: mpsc::UnboundedSender<(usize, Instant)>) {
    while let Ok(chunk) = stream.chunk().await {
        let at = clock::now();
        let chunk = String::from_utf8_lossy(chunk);
        let value = chunk.split_once("{\"key\":").and_then(|(_, rest)| rest.split_once('}'));
        if let Some(key) = value.and_then(|(key, _)| key.parse().ok())
            && received.send((key, at)).is_err()
        {
            return;
        }
    }
}
