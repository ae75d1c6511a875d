//! Pipelines on hollow hosts, which end every task at once: what is left is the time the control
//! plane takes of its own. Not the running of scripts, which is the hosts'.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use atoll_model::api::{List, RunBegun, WatchEvent};
use atoll_model::ci::run::RunPhase;
use atoll_model::{Any, Kind, Run};
use serde_json::{Value, json};

use crate::Args;
use crate::clock;
use crate::fleet::Fleet;
use crate::http::Connection;
use crate::interrupt::unless_interrupted;
use crate::program::Program;
use crate::table::{Goal, Row, median};

/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(180);
/// So many hosts do the tasks.
const HOSTS: usize = 10;
/// So many steps, one after another.
const STEPS: usize = 20;
/// So many runs are queued.
const RUNS: usize = 1_000;

/// The rows that are asked for.
pub async fn rows(args: &Args) -> anyhow::Result<Vec<Row>> {
    let names = ["pipeline of 20 trivial steps, overhead", "1,000 queued one-step runs drained"];
    if !names.iter().any(|name| args.wants(name)) {
        return Ok(Vec::new());
    }
    let (mut overheads, mut rates) = (Vec::new(), Vec::new());
    for run in 1..=args.runs {
        eprintln!("pipelines on {HOSTS} hosts, run {run}:");
        let server = unless_interrupted(Program::start(&args.program, "server")).await?;
        let found = unless_interrupted(measure(&server)).await;
        let log = server.daemon.log();
        if !log.is_empty() {
            eprintln!("  the server logged:\n{log}");
        }
        server.stop().await?;
        let (overhead, rate) = found?;
        eprintln!("  {STEPS} steps: {overhead:.3} s; {RUNS} runs: {rate:.0}/s");
        overheads.push(overhead);
        rates.push(rate);
    }
    Ok(args.pick(vec![
        Row::new(names[0], median(overheads), "s", Goal::AtMost(1.0)),
        Row::new(names[1], median(rates), "/s", Goal::AtLeast(20.0)),
    ]))
}

/// Seconds of a pipeline of steps one after another, and runs a second of a queue.
async fn measure(server: &Program) -> anyhow::Result<(f64, f64)> {
    let mut fleet = Fleet::join(&server.target, HOSTS).await?;
    let mut ask = Connection::open(&server.target).await?;
    let mut watch = Connection::open(&server.target).await?;
    watch.listen("/v1/watch?kinds=runs").await?;
    let mut over = Over { watch, partial: Vec::new(), ended: 0, bad: Vec::new() };
    let began = clock::now();
    fleet
        .beside(async {
            begin(&mut ask, "chain", &chain()).await?;
            over.wait(1).await
        })
        .await?;
    let overhead = began.elapsed().as_secs_f64();
    let one = json!({ "steps": [step("do", &[])] });
    let began = clock::now();
    fleet
        .beside(async {
            for number in 0..RUNS {
                begin(&mut ask, &format!("p{}", number % 10), &one).await?;
            }
            over.wait(RUNS + 1).await
        })
        .await?;
    let rate = RUNS as f64 / began.elapsed().as_secs_f64();
    let answer = ask.ask("GET", "/v1/runs?limit=1", b"").await?;
    let list: List = serde_json::from_slice(answer.good()?)?;
    ensure!(list.items.iter().all(|any| any.kind() == Kind::Run), "no runs are listed");
    Ok((overhead, rate))
}

fn step(name: &str, needs: &[String]) -> Value {
    let resources = json!({ "cpu": "100m", "memory": "64Mi" });
    json!({ "name": name, "needs": needs, "run": "true", "limits": { "resources": resources } })
}

fn chain() -> Value {
    let name = |number: usize| format!("s{number}");
    let one = |number: usize| {
        let needs: Vec<String> = number.checked_sub(1).map(name).into_iter().collect();
        step(&name(number), &needs)
    };
    json!({ "steps": (0..STEPS).map(one).collect::<Vec<_>>() })
}

async fn begin(ask: &mut Connection, name: &str, definition: &Value) -> anyhow::Result<()> {
    let body = serde_json::to_vec(&json!({ "definition": definition }))?;
    let path = format!("/v1/pipelines/{name}/runs");
    let answer = ask.ask("POST", &path, &body).await?;
    let _: RunBegun = serde_json::from_slice(answer.good()?)?;
    Ok(())
}

/// Counts the runs that are over.
struct Over {
    watch: Connection,
    partial: Vec<u8>,
    ended: usize,
    bad: Vec<String>,
}

impl Over {
    /// Waits until so many runs are over, all of them well.
    async fn wait(&mut self, wanted: usize) -> anyhow::Result<()> {
        let all = async {
            while self.ended < wanted {
                self.next().await?;
            }
            anyhow::Ok(())
        };
        let done = tokio::time::timeout(PATIENCE, all).await;
        done.with_context(|| format!("{} of {wanted} runs were over in time", self.ended))??;
        ensure!(self.bad.is_empty(), "runs that did not succeed: {}", self.bad.join(", "));
        Ok(())
    }

    async fn next(&mut self) -> anyhow::Result<()> {
        let chunk = self.watch.chunk().await.context("watching")?;
        self.partial.extend_from_slice(chunk);
        while let Some(end) = self.partial.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = self.partial.drain(..end + 2).collect();
            for line in String::from_utf8(event)?.lines() {
                let Some(data) = line.strip_prefix("data:") else { continue };
                let event: WatchEvent = serde_json::from_str(data.trim_start())?;
                let run = event.object.as_ref().and_then(Any::of::<Run>);
                // What is written of a run that is over is that it was told, and that only once.
                if let Some(run) = run.filter(|run| run.status.phase.is_over()) {
                    self.ended += 1;
                    if run.status.phase != RunPhase::Succeeded {
                        self.bad.push(run.meta.name.clone());
                    }
                }
            }
        }
        Ok(())
    }
}
