//! Measures how fast Atoll is, and prints it beside its goals and its peers' figures. Not a test:
//! a missed goal is reported, and only what does not work fails.

mod audit;
mod clock;
mod containers;
mod control;
mod daemon;
mod fleet;
mod hollow;
mod http;
mod interrupt;
mod inventory;
mod jobs;
mod metrics;
mod migration;
mod peers;
mod pipelines;
mod planning;
mod processes;
mod program;
mod rehearsal;
mod standards;
mod table;
mod watchers;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

use crate::hollow::Size;
use crate::interrupt::unless_interrupted;
use crate::table::{Goal, Row, median};

const KUBERNETES: &str = "Kubernetes 1.20, tuned";
const SWARM: &str = "Swarm containers";
/// The fleets whose planning is compared.
const FLEETS: [usize; 3] = [100, 1_000, 10_000];

/// Measures how fast Atoll is, and writes target/bench.json
#[derive(Debug, Parser)]
struct Args {
    /// The program measured
    #[arg(long, value_name = "PATH", default_value = "target/release/atoll")]
    program: PathBuf,
    /// Only rows whose name holds this
    #[arg(long, value_name = "SUBSTRING", default_value = "")]
    only: String,
    /// Medians are taken over so many runs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // As a server does.
    atoll_memory::small_pages();
    // One thread for all hosts: the server is to have the rest of the machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rows = runtime.block_on(measure(&args));
    // The planners do not hear of an interrupt; the bench does not wait for them.
    runtime.shutdown_background();
    let rows = rows?;
    anyhow::ensure!(!rows.is_empty(), "no row's name holds {:?}", args.only);
    print!("{}", table::text(&rows));
    std::fs::create_dir_all("target").context("making target")?;
    let text = serde_json::to_string_pretty(&table::json(&rows))?;
    std::fs::write("target/bench.json", text + "\n").context("writing target/bench.json")?;
    let wrong: Vec<&str> =
        rows.iter().filter(|row| !row.wrong.is_empty()).map(|row| row.name.as_str()).collect();
    anyhow::ensure!(wrong.is_empty(), "wrong answers: {}", wrong.join(", "));
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Vec<Row>> {
    interrupt::listen()?;
    let mut rows = small(args).await?;
    let (busy, rest) = large(args).await?;
    rows.extend(busy);
    rows.extend(placement(args).await?);
    rows.extend(real(args).await?);
    rows.extend(contained(args).await?);
    rows.extend(rest);
    rows.extend(planning(args).await?);
    rows.extend(rehearsal::rows(args).await?);
    rows.extend(migration::rows(args).await?);
    rows.extend(standards::rows(args).await?);
    rows.extend(pipelines::rows(args).await?);
    rows.extend(jobs::rows(args).await?);
    rows.extend(metrics::rows(args).await?);
    rows.extend(watchers::rows(args).await?);
    rows.extend(inventory::rows(args).await?);
    rows.extend(audit::rows(args).await?);
    Ok(rows)
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.only.to_lowercase())
    }

    /// The rows that are asked for; their values are measured only if one is.
    fn pick(&self, rows: Vec<Row>) -> Vec<Row> {
        rows.into_iter().filter(|row| self.wants(&row.name)).collect()
    }
}

/// The medians of one figure over the runs.
fn over<T>(runs: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(runs.iter().map(figure).collect())
}

/// The rows of the smaller fleet.
fn small_rows(runs: &[hollow::Found]) -> Vec<Row> {
    vec![
        Row::new(
            "500 instances on 100 hosts, all ready",
            over(runs, |r| r.start),
            "s",
            Goal::AtMost(0.5),
        )
        .beside(KUBERNETES, 4.3),
        Row::new(
            "rolling update of 500 on 100 hosts, 25 %",
            over(runs, |r| r.update),
            "s",
            Goal::AtMost(1.5),
        )
        .beside(KUBERNETES, 6.2),
    ]
}

async fn small(args: &Args) -> anyhow::Result<Vec<Row>> {
    if args.pick(small_rows(&[])).is_empty() {
        return Ok(Vec::new());
    }
    let size = Size { hosts: 100, instances: 500, rest: false };
    let runs = hollow_runs(args, size).await?;
    Ok(args.pick(small_rows(&runs)))
}

/// The rows of the larger fleet: at work, and at rest.
fn large_rows(runs: &[hollow::Found]) -> (Vec<Row>, Vec<Row>) {
    let busy = vec![
        Row::new(
            "3,000 instances on 1,000 hosts, all ready",
            over(runs, |r| r.start),
            "s",
            Goal::AtMost(3.0),
        )
        .beside(KUBERNETES, 25.2),
        Row::new(
            "rolling update of 3,000 on 1,000 hosts, 25 %",
            over(runs, |r| r.update),
            "s",
            Goal::AtMost(6.0),
        )
        .beside(KUBERNETES, 38.7),
        Row::new(
            "server memory, peak, updating 3,000 on 1,000 hosts",
            over(runs, |r| r.peak),
            "MB",
            Goal::AtMost(200.0),
        )
        .beside(KUBERNETES, 1_800.0),
    ];
    let rest = vec![
        Row::new(
            "idle with 1,000 hosts, cpu",
            over(runs, |r| r.rest_cpu),
            "% of a core",
            Goal::AtMost(3.0),
        ),
        Row::new(
            "idle with 1,000 hosts, memory",
            over(runs, |r| r.rest_memory),
            "MB",
            Goal::AtMost(120.0),
        ),
    ];
    (busy, rest)
}

async fn large(args: &Args) -> anyhow::Result<(Vec<Row>, Vec<Row>)> {
    let (busy, rest) = large_rows(&[]);
    let (busy, rest) = (args.pick(busy), args.pick(rest));
    if busy.is_empty() && rest.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let size = Size { hosts: 1_000, instances: 3_000, rest: !rest.is_empty() };
    let (busy, rest) = large_rows(&hollow_runs(args, size).await?);
    Ok((args.pick(busy), args.pick(rest)))
}

async fn hollow_runs(args: &Args, size: Size) -> anyhow::Result<Vec<hollow::Found>> {
    let mut runs = Vec::new();
    for run in 1..=args.runs {
        eprintln!("{} instances on {} hosts, run {run}:", size.instances, size.hosts);
        runs.push(hollow::run(&args.program, size).await?);
    }
    Ok(runs)
}

async fn placement(args: &Args) -> anyhow::Result<Vec<Row>> {
    let name = "placement alone, 100,000 instances on 10,000 hosts";
    if !args.wants(name) {
        return Ok(Vec::new());
    }
    let mut runs = Vec::new();
    for run in 1..=args.runs {
        runs.push(apart(|| planning::placement(10_000, 100_000)).await?);
        eprintln!("placement, run {run}: {:.0}/s", runs[runs.len() - 1]);
    }
    Ok(vec![Row::new(name, median(runs), "/s", Goal::AtLeast(100_000.0))])
}

fn real_rows(runs: &[processes::Found]) -> Vec<Row> {
    vec![
        Row::new(
            "10 real processes up and healthy",
            over(runs, |r| r.start),
            "s",
            Goal::AtMost(1.5),
        )
        .beside(SWARM, 7.5),
        Row::new(
            "rolling update of 10 real processes",
            over(runs, |r| r.update),
            "s",
            Goal::AtMost(6.0),
        )
        .beside(SWARM, 26.0),
    ]
}

async fn real(args: &Args) -> anyhow::Result<Vec<Row>> {
    if args.pick(real_rows(&[])).is_empty() {
        return Ok(Vec::new());
    }
    let mut runs = Vec::new();
    for run in 1..=args.runs {
        eprintln!("10 real processes, run {run}:");
        runs.push(processes::run(&args.program).await?);
    }
    Ok(args.pick(real_rows(&runs)))
}

fn contained_rows(runs: &[containers::Found]) -> Vec<Row> {
    let rows = [
        Row::new(
            "10 real containers up and healthy",
            over(runs, |r| r.start),
            "s",
            Goal::AtMost(3.0),
        )
        .beside(SWARM, over(runs, |r| r.swarm_start)),
        Row::new(
            "rolling update of 10 real containers",
            over(runs, |r| r.update),
            "s",
            Goal::AtMost(8.0),
        )
        .beside(SWARM, over(runs, |r| r.swarm_update)),
    ];
    rows.into()
}

async fn contained(args: &Args) -> anyhow::Result<Vec<Row>> {
    let rows = args.pick(contained_rows(&[]));
    if rows.is_empty() {
        return Ok(rows);
    }
    if let Some(absence) = containers::absence() {
        let absent = |row: Row| Row::new(row.name, 0.0, row.unit, Goal::Absent).noted(&absence);
        return Ok(rows.into_iter().map(absent).collect());
    }
    let mut runs = Vec::new();
    for run in 1..=args.runs {
        eprintln!("10 real containers, run {run}:");
        runs.push(containers::run(&args.program).await?);
    }
    Ok(args.pick(contained_rows(&runs)))
}

/// Does what needs the processor only where an interrupt is still heard.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let work = async { tokio::task::spawn_blocking(work).await? };
    unless_interrupted(work).await
}

/// What a change costs must not grow with the fleet.
async fn planning(args: &Args) -> anyhow::Result<Vec<Row>> {
    let name = |change: &str, hosts: usize| {
        format!("planning one change, {change}, {} hosts", table::plain(hosts as f64))
    };
    let names = FLEETS.map(|hosts| [name("scale by one", hosts), name("heal one", hosts)]);
    if !names.iter().flatten().any(|name| args.wants(name)) {
        return Ok(Vec::new());
    }
    let mut costs = Vec::new();
    for hosts in FLEETS {
        let mut runs = Vec::new();
        for run in 1..=args.runs {
            let cost = apart(move || planning::change(hosts)).await?;
            eprintln!(
                "planning for {hosts} hosts, run {run}: scale {:.1} µs, heal {:.1} µs",
                cost.scale, cost.heal
            );
            runs.push(cost);
        }
        costs.push([over(&runs, |c| c.scale), over(&runs, |c| c.heal)]);
    }
    let mut rows = Vec::new();
    for change in 0..2 {
        for (fleet, cost) in costs.iter().enumerate() {
            let goal = match fleet {
                0 => Goal::None,
                _ => Goal::AtMost(2.0 * costs[0][change]),
            };
            rows.push(Row::new(&names[fleet][change], cost[change], "µs", goal));
        }
    }
    Ok(args.pick(rows))
}
