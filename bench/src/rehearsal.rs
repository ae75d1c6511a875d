//! The row about rehearsals: a day of a large fleet, in the memory of this process. Not what a
//! server adds to it, which is reading the past of the load.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use atoll_plan::rehearsal::{Today, run, sample};

use crate::table::{Goal, Row, median};
use crate::{Args, clock};

const HOSTS: u32 = 10_000;
const NAME: &str = "rehearsing a day of 10,000 hosts and 100,000 instances";
const MEMORY: &str = "memory of that, at its highest";
/// One that takes longer is given up.
const LONGEST: Duration = Duration::from_secs(900);

/// Measures what is asked for of the rows about rehearsals.
///
/// # Errors
/// Something does not work; a missed goal is no error.
pub async fn rows(args: &Args) -> anyhow::Result<Vec<Row>> {
    if !args.wants(NAME) && !args.wants(MEMORY) {
        return Ok(Vec::new());
    }
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for run in 1..=args.runs {
        let (seconds, peak) = crate::apart(once).await?;
        eprintln!("{NAME}, run {run}: {seconds:.1} s, {peak:.2} GB");
        times.push(seconds);
        peaks.push(peak);
    }
    let how = "200 applications in four zones, instances 40 to 100 % of the most over the day, a \
               zone lost for an hour; planners, gate and agents in one thread";
    Ok(args.pick(vec![
        Row::new(NAME, median(times), "s", Goal::AtMost(60.0)).noted(how),
        Row::new(MEMORY, median(peaks), "GB", Goal::AtMost(2.0)),
    ]))
}

/// Seconds, and the most memory the process had meanwhile.
fn once() -> anyhow::Result<(f64, f64)> {
    // From here on the highest is counted anew.
    std::fs::write("/proc/self/clear_refs", "5").context("counting memory anew")?;
    let began = clock::now();
    let stop = Arc::new(move || began.elapsed() > LONGEST);
    let _huge = atoll_memory::huge_pages();
    let report = run(&sample::large(HOSTS), &Today::default(), &(stop as _))
        .map_err(|why| anyhow::anyhow!("the rehearsal ended: {why:?}"))?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(report.hosts == HOSTS, "{} hosts took part", report.hosts);
    let most: u32 = report.deployments.iter().map(|one| one.most).sum();
    ensure!(most >= HOSTS * 10, "there were {most} instances at most");
    let status = std::fs::read_to_string("/proc/self/status").context("reading the memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = kilobytes.context("the memory is not told")?.parse()?;
    Ok((seconds, kilobytes * 1024.0 / 1e9))
}
