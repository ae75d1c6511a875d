//! The rows about metrics: what taking in, keeping and asking for samples costs, beside Debian's
//! prometheus and victoria-metrics given the same messages in the same run. Each store is fed
//! once, alone, so these are figures of one run. Not the table.

mod collecting;
mod feed;
mod query;
mod rules;
mod set;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use self::feed::{Cost, feed, tidied};
use self::query::Asked;
use self::rules::Share;
use self::set::{Bodies, STEP, Set};
use crate::http::Connection;
use crate::interrupt::unless_interrupted;
use crate::peers::{Peer, Running};
use crate::program::Program;
use crate::table::{Goal, Row};
use crate::{Args, apart, clock};

const INGEST: &str = "metrics over HTTP, 10,000 series, 6 h at 15 s";
const PEAK: &str = "server memory, peak, taking in those metrics";
const SIZE: &str = "metrics on disk, 10,000 series, 6 h at 15 s";
const LONG: &str = "metrics on disk, 2,000 series, 24 h at 15 s";
const QUERY: &str = "query, sum by (app)(rate) over 10,000 series, 6 h";
const RULES: &str = "1,000 metrics rules every 15 s, cpu";
const AGENT_CPU: &str = "agent with all metrics collectors, cpu";
const AGENT_MEMORY: &str = "agent with all metrics collectors, memory";

/// Steps of 15 s in six hours, and in a day.
const SIX_HOURS: usize = 1_440;
const DAY: usize = 5_760;
/// Atoll's store may be so much larger than the peer's.
const LARGER: f64 = 1.5;

const TIDY: &str = "bytes of the directory by du, after a restart of atoll with its maintenance \
                    done, and a flush and forced merge of victoria-metrics";
const RULED: &str = "processor time over 60 s with live ingestion of 10,000 series every 15 s, \
                     less the same without rules; each rule is over 100 series; half record";
const COLLECTED: &str = "the agent's process over 60 s, every 15 s the host and 5 instances \
                         with a metrics endpoint; the instances not counted";

/// Measures what is asked for of the rows about metrics.
///
/// # Errors
/// Something does not work; a missed goal is no error.
pub async fn rows(args: &Args) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    if [INGEST, PEAK, SIZE, QUERY, RULES].iter().any(|name| args.wants(name)) {
        rows.extend(Stage::prepare(args, 10_000, SIX_HOURS).await?.compare().await?);
    }
    if args.wants(LONG) {
        rows.extend(Stage::prepare(args, 2_000, DAY).await?.compare_size().await?);
    }
    if args.wants(AGENT_CPU) || args.wants(AGENT_MEMORY) {
        eprintln!("agent with all collectors:");
        let found = collecting::run(&args.program).await?;
        let cpu = Row::new(AGENT_CPU, found.cpu, "% of a core", Goal::AtMost(1.0));
        rows.push(cpu.noted(COLLECTED));
        rows.push(Row::new(AGENT_MEMORY, found.memory, "MB", Goal::AtMost(40.0)));
    }
    Ok(args.pick(rows))
}

/// One set, and what is done with it.
struct Stage<'a> {
    args: &'a Args,
    set: Set,
    bodies: Arc<Bodies>,
}

/// What Atoll did.
struct Ours {
    cost: Cost,
    asked: Option<Asked>,
    size: f64,
}

/// What VictoriaMetrics did.
struct Theirs {
    cost: Cost,
    size: f64,
}

impl Stage<'_> {
    async fn prepare(args: &Args, series: usize, steps: usize) -> anyhow::Result<Stage<'_>> {
        let end = clock::time_of_day().0 / STEP * STEP;
        let made = apart(move || {
            let mut set = Set::new(series);
            Bodies::make(&mut set, steps, end).map(|bodies| (set, bodies))
        });
        let (set, bodies) = made.await.context("making the set")?;
        eprintln!(
            "metrics of {series} series, {:.1} M rows in messages of {} MB in all:",
            bodies.samples / 1e6,
            bodies.bytes() / 1_000_000
        );
        Ok(Stage { args, set, bodies: Arc::new(bodies) })
    }

    /// All rows of the larger set.
    async fn compare(mut self) -> anyhow::Result<Vec<Row>> {
        let wants = |names: &[&str]| names.iter().any(|name| self.args.wants(name));
        let (costs, sizes) = (wants(&[INGEST, PEAK, SIZE]), wants(&[SIZE]));
        let (asks, rules) = (wants(&[QUERY]), wants(&[RULES]));
        let theirs = if costs { self.victoria(sizes).await? } else { None };
        let peer = if asks || rules { self.prometheus().await? } else { None };
        let outcome = unless_interrupted(async {
            let asked = match &peer {
                Some(peer) if asks => {
                    let Bodies { start, end, .. } = *self.bodies;
                    Some(query::ask("prometheus", &peer.target, start, end).await?)
                }
                _ => None,
            };
            let ours = match costs || asks {
                true => Some(self.atoll(asks, sizes).await?),
                false => None,
            };
            let share = if rules { Some(self.ruled(peer.as_ref()).await?) } else { None };
            Ok((asked, ours, share))
        })
        .await;
        if let Some(peer) = peer {
            peer.daemon.stop().await?;
        }
        let (asked, ours, share) = outcome?;
        let mut rows = Vec::new();
        if let Some(ours) = ours {
            rows.extend(cost_rows(ours.cost, theirs.as_ref().map(|theirs| theirs.cost)));
            rows.push(self.size_row(SIZE, ours.size, theirs.map(|theirs| theirs.size)));
            rows.extend(ours.asked.map(|ours| query_row(&ours, asked.as_ref())));
        }
        rows.extend(share.map(rule_row));
        Ok(self.args.pick(rows))
    }

    /// The row of the longer set.
    async fn compare_size(self) -> anyhow::Result<Vec<Row>> {
        let theirs = self.victoria(true).await?;
        let ours = unless_interrupted(self.atoll(false, true)).await?;
        Ok(vec![self.size_row(LONG, ours.size, theirs.map(|theirs| theirs.size))])
    }

    fn size_row(&self, name: &str, ours: f64, theirs: Option<f64>) -> Row {
        let each = |bytes: f64| bytes / self.bodies.samples;
        let goal = match theirs {
            Some(theirs) => Goal::AtMost(LARGER * each(theirs)),
            None => Goal::Absent,
        };
        let row = Row::new(name, each(ours), "B/sample", goal);
        beside(row, TIDY, Peer::VictoriaMetrics, theirs.map(each))
    }

    async fn victoria(&self, sizes: bool) -> anyhow::Result<Option<Theirs>> {
        let peer = Peer::VictoriaMetrics;
        if !peer.is_installed() {
            return Ok(None);
        }
        let running = unless_interrupted(Running::start(peer)).await?;
        let outcome = unless_interrupted(async {
            let Running { daemon, target } = &running;
            let cost = feed(peer.name(), daemon, target, &self.bodies).await?;
            let mut size = 0.0;
            if sizes {
                let mut connection = Connection::open(target).await?;
                for path in ["/internal/force_flush", "/internal/force_merge"] {
                    connection.ask("GET", path, b"").await?.good()?;
                }
                size = self.size(peer.name(), running.data()).await?;
            }
            Ok(Theirs { cost, size })
        })
        .await;
        running.daemon.stop().await?;
        outcome.map(Some)
    }

    async fn prometheus(&self) -> anyhow::Result<Option<Running>> {
        let peer = Peer::Prometheus;
        if !peer.is_installed() {
            return Ok(None);
        }
        let running = unless_interrupted(Running::start(peer)).await?;
        let fed = feed(peer.name(), &running.daemon, &running.target, &self.bodies);
        match unless_interrupted(fed).await {
            Ok(_) => Ok(Some(running)),
            Err(error) => {
                let log = running.daemon.log();
                running.daemon.stop().await?;
                Err(error.context(format!("feeding prometheus; it said: {log}")))
            }
        }
    }

    /// Everything that is done with the set alone, on one server.
    async fn atoll(&self, asks: bool, sizes: bool) -> anyhow::Result<Ours> {
        let mut server = Program::start(&self.args.program, "server").await?;
        let target = &server.target;
        let cost = feed("atoll", &server.daemon, target, &self.bodies).await?;
        let Bodies { start, end, .. } = *self.bodies;
        let asked = match asks {
            true => Some(query::ask("atoll", target, start, end).await?),
            false => None,
        };
        tell(&server);
        let mut size = 0.0;
        if sizes {
            server = server.restart().await?;
            size = self.size("atoll", server.daemon.home().join("data/metrics")).await?;
            tell(&server);
        }
        server.stop().await?;
        Ok(Ours { cost, asked, size })
    }

    /// What rules cost a server that has the set, and the peer, if there is one.
    async fn ruled(&mut self, peer: Option<&Running>) -> anyhow::Result<Share> {
        let server = Program::start(&self.args.program, "server").await?;
        feed("atoll, for rules", &server.daemon, &server.target, &self.bodies).await?;
        let share = rules::run(&server, peer, &mut self.set).await?;
        tell(&server);
        server.stop().await?;
        Ok(share)
    }

    async fn size(&self, name: &str, dir: PathBuf) -> anyhow::Result<f64> {
        let size = tidied(&dir, Duration::from_secs(8)).await?;
        let each = size / self.bodies.samples;
        eprintln!("  {name}: {:.1} MB on disk, {each:.3} B/sample", size / 1e6);
        Ok(size)
    }
}

fn tell(server: &Program) {
    let log = server.daemon.log();
    if !log.is_empty() {
        eprintln!("  the server logged:\n{log}");
    }
}

/// The row beside the peer's figure, or with what is to be said of its absence.
fn beside(row: Row, note: &str, peer: Peer, value: Option<f64>) -> Row {
    match value {
        Some(value) => row.noted(note).beside(peer.name(), value),
        None if note.is_empty() => row.noted(peer.absence()),
        None => row.noted(format!("{note}; {}", peer.absence())),
    }
}

fn cost_rows(ours: Cost, theirs: Option<Cost>) -> Vec<Row> {
    let peer = Peer::VictoriaMetrics;
    let least = theirs.map_or(Goal::Absent, |theirs| Goal::AtLeast(theirs.rate));
    let most = theirs.map_or(Goal::Absent, |theirs| Goal::AtMost(theirs.peak));
    let rate = Row::new(INGEST, ours.rate, "rows/cpu s", least);
    let peak = Row::new(PEAK, ours.peak, "MB", most);
    let note = "remote write of 5,000 rows a message over two connections, until the last answer";
    vec![
        beside(rate, note, peer, theirs.map(|theirs| theirs.rate)),
        beside(peak, "", peer, theirs.map(|theirs| theirs.peak)),
    ]
}

fn query_row(ours: &Asked, theirs: Option<&Asked>) -> Row {
    let goal = theirs.map_or(Goal::Absent, |theirs| Goal::AtMost(theirs.seconds));
    let wrong = theirs.map(|theirs| ours.differs(theirs)).unwrap_or_default();
    let row = Row::new(QUERY, ours.seconds, "s", goal).unless(wrong);
    let note = "a range with a step of 60 s; the middle of five, after one that is not counted";
    beside(row, note, Peer::Prometheus, theirs.map(|theirs| theirs.seconds))
}

fn rule_row(share: Share) -> Row {
    let row = Row::new(RULES, share.ours, "% of a core", Goal::AtMost(10.0)).noted(RULED);
    match share.theirs {
        Some(theirs) => row.beside(Peer::Prometheus.name(), theirs),
        None => row,
    }
}
