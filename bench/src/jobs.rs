//! A command on many hollow hosts, which end every task at once: from typing `atoll run` until it
//! has said how it ended. Not the running of the command, which is the hosts'.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::Args;
use crate::clock;
use crate::fleet::Fleet;
use crate::interrupt::unless_interrupted;
use crate::program::Program;
use crate::table::{Goal, Row, median};

/// Hosts, and the seconds they may take.
const SIZES: [(usize, f64); 2] = [(100, 0.3), (1_000, 2.0)];
/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const HOW: &str = "hollow hosts; Ansible takes 16.5 s for 100 local hosts, Salt 1.4 s for 5";

/// The rows that are asked for.
pub async fn rows(args: &Args) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (hosts, most) in SIZES {
        let name = format!("atoll run -- true, on {hosts} hosts");
        if !args.wants(&name) {
            continue;
        }
        let mut all = Vec::new();
        for run in 1..=args.runs {
            let server = unless_interrupted(Program::start(&args.program, "server")).await?;
            let took = unless_interrupted(measure(args, &server, hosts)).await;
            server.stop().await?;
            let took = took?;
            eprintln!("{name}, run {run}: {took:.3} s");
            all.push(took);
        }
        rows.push(Row::new(name, median(all), "s", Goal::AtMost(most)).noted(HOW));
    }
    Ok(rows)
}

async fn measure(args: &Args, server: &Program, hosts: usize) -> anyhow::Result<f64> {
    let mut fleet = Fleet::join(&server.target, hosts).await?;
    let mut command = Command::new(&args.program);
    command
        .args(["run", "--", "true"])
        .env("ATOLL_SERVER", format!("http://{}", server.target.address))
        .env("ATOLL_TOKEN", &server.target.token)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let began = clock::now();
    let output = fleet
        .beside(async {
            let ended = tokio::time::timeout(PATIENCE, command.output()).await;
            Ok(ended.context("it did not end in time")??)
        })
        .await?;
    let took = began.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    let all = format!("{hosts} of {hosts} hosts have done it");
    ensure!(output.status.success() && said.contains(&all), "it ended otherwise: {said}");
    Ok(took)
}
