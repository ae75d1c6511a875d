//! `atoll capacity`: what the fleet can carry, as it is and as it would be.

use std::collections::BTreeMap;

use atoll_model::Timestamp;
use atoll_model::capacity::{CapacityReport, CapacityRow, GroupRow, LossRow, ZoneRoom};
use atoll_model::many;

use crate::args::{Global, Output};
use crate::columns::{Cell, cell, size, word};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::terminal::Tone;

/// What `atoll capacity` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Suppose it of this deployment, or of this application's, and of what they call
    #[arg(value_name = "NAME")]
    of: Option<String>,
    /// Suppose so many times the load; beside --demand, so many times what is demanded
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    times: f64,
    /// Suppose so much a second of what the business counts; may be repeated
    #[arg(long, value_name = "NAME=N", value_parser = demand)]
    demand: Vec<(String, f64)>,
    /// Suppose that a zone or a host is lost
    #[arg(long, value_name = "zone/NAME|host/NAME")]
    without: Option<String>,
    /// The highest load expected in the next days or in a declared peak, and not that of now
    #[arg(long)]
    peak: bool,
    #[command(flatten)]
    output: Output,
}

fn demand(text: &str) -> Result<(String, f64), String> {
    let wrong = || format!("{text:?} is not NAME=NUMBER");
    let (name, number) = text.split_once('=').ok_or_else(wrong)?;
    let number = number.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
    Ok((name.to_owned(), number.ok_or_else(wrong)?))
}

/// Shows it. It fails where instances would be lacking that no host has room for.
///
/// # Errors
/// The client's; a wrong number.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    if !(args.times.is_finite() && args.times >= 0.0) {
        return Err(Failure::usage("--times takes a number from 0 to a million").into());
    }
    let of = args.of.as_deref().map(|of| of.rsplit('/').next().unwrap_or(of).to_owned());
    let mut demand = BTreeMap::new();
    for (name, number) in args.demand {
        if demand.insert(name.clone(), number).is_some() {
            return Err(Failure::usage(format!("--demand names {name} more than once")).into());
        }
    }
    let asked = [
        ("times", Some(args.times.to_string())),
        ("of", of),
        ("without", args.without),
        ("peak", args.peak.then(|| "true".to_owned())),
        ("demand", (!demand.is_empty()).then(|| pairs(&demand))),
    ];
    let report = global.client()?.capacity(&asked).await?;
    let format = args.output.output;
    output::print(&output::value(&report, format, || text(&report, format))?)?;
    if report.deployments.is_empty() && format.is_table() {
        output::say("no application says what an instance carries: scaling.perInstance");
    } else if let Some(first) = report.undeclared.first().filter(|_| format.is_table()) {
        let more = match report.undeclared.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        output::say(&format!(
            "nothing is known of {first}{more}: what an instance carries is not declared, see \
             scaling.perInstance"
        ));
    }
    Ok(if report.unplaced > 0 { Exit::Failed } else { Exit::Done })
}

fn pairs(demand: &BTreeMap<String, f64>) -> String {
    let all = demand.iter().map(|(name, each)| format!("{name}:{each}"));
    all.collect::<Vec<String>>().join(",")
}

fn text(report: &CapacityReport, format: Format) -> String {
    let wide = format == Format::Wide;
    let mut text = output::table(report.deployments.iter().map(line).collect(), wide);
    if !report.deployments.is_empty() {
        text.push('\n');
        let groups = report.environments.iter().chain([&report.fleet]);
        text.push_str(&output::table(groups.map(group).collect(), wide));
    }
    if !report.zones.is_empty() {
        text.push('\n');
        text.push_str(&output::table(report.zones.iter().map(zone).collect(), wide));
    }
    if report.lose.iter().any(|row| row.placed < row.lost) {
        text.push('\n');
        text.extend(report.lose.iter().filter(|row| row.placed < row.lost).map(loses));
    }
    if report.unplaced > 0 {
        let unplaced = many(report.unplaced, "instance");
        text.push_str(&format!("\nNo host has room for {unplaced} that would be lacking.\n"));
    }
    text
}

/// What one would lose of which nobody knows how many it needs.
fn loses(row: &LossRow) -> String {
    let (name, lost) = (&row.deployment, many(row.lost, "instance"));
    let without = row.lost - row.placed;
    let left = match row.left + row.placed {
        0 => "none would be left".to_owned(),
        left => format!("{left} would be left"),
    };
    format!("{name} would lose {lost}, {without} without room: {left}.\n")
}

fn line(row: &CapacityRow) -> Vec<Cell> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let tone = tone(row.missing, row.placed);
    vec![
        cell("DEPLOYMENT", row.deployment.clone()).tone(Tone::Strong),
        cell("LOAD", number(row.load)),
        cell("EACH", row.each.to_string()),
        cell("KNOWN", word(&row.known)),
        cell("SERVE", row.left.to_string()),
        // What is not measured needs nobody knows how many.
        cell("NEEDED", row.load.map(|_| needs(row.needed, row.spare)).unwrap_or_default())
            .tone(tone),
        cell("HEADROOM", headroom(row.headroom)).tone(tone),
        cell("LACKING", lacks(row.missing, row.placed)).tone(tone),
        cell("ROOM", row.room.to_string()),
        cell("RUNS OUT", row.runs_out.map(|at: Timestamp| at.to_string()).unwrap_or_default()),
        cell("NOTES", row.notes.join("; ")),
    ]
}

/// An environment, or the whole fleet.
fn group(of: &GroupRow) -> Vec<Cell> {
    let tone = tone(of.missing, of.placed);
    let name = if of.name.is_empty() { "all".to_owned() } else { of.name.clone() };
    let unmeasured = match of.unmeasured {
        0 => String::new(),
        some => format!("{some} not measured"),
    };
    vec![
        cell("ENVIRONMENT", name).tone(Tone::Strong),
        cell("DEPLOYMENTS", of.deployments.to_string()),
        cell("SERVE", of.left.to_string()),
        cell("NEEDED", needs(of.needed, of.spare)).tone(tone),
        cell("HEADROOM", headroom(of.headroom)).tone(tone),
        cell("LEAST IN", of.tightest.clone().unwrap_or_default()),
        cell("LACKING", lacks(of.missing, of.placed)).tone(tone),
        cell("NOTES", unmeasured),
    ]
}

fn tone(missing: u32, placed: u32) -> Tone {
    match (missing, placed) {
        (0, _) => Tone::Good,
        (missing, placed) if missing == placed => Tone::Busy,
        _ => Tone::Bad,
    }
}

fn headroom(share: Option<f64>) -> String {
    // Half a hundredth goes up, as in the console.
    share.map(|share| format!("{:.0}%", (share * 100.0 + 0.5).floor())).unwrap_or_default()
}

/// What the load takes, and what is planned for beside that.
fn needs(needed: u32, spare: u32) -> String {
    match spare {
        0 => needed.to_string(),
        spare => format!("{} + {spare} spare", needed - spare),
    }
}

fn lacks(missing: u32, placed: u32) -> String {
    match (missing, missing - placed) {
        (0, _) => String::new(),
        (missing, 0) => missing.to_string(),
        (missing, without) => format!("{missing}, {without} without room"),
    }
}

fn zone(of: &ZoneRoom) -> Vec<Cell> {
    let share = |used: u64, of: u64| match of {
        0 => String::new(),
        of => format!("{:.0}%", used as f64 / of as f64 * 100.0),
    };
    let (used, all) = (of.used, of.capacity);
    vec![
        cell("ZONE", of.zone.clone()).tone(Tone::Strong),
        cell("HOSTS", of.hosts.to_string()),
        cell("CPU", format!("{} of {}", used.cpu, all.cpu)),
        cell("", share(used.cpu.0, all.cpu.0)),
        cell("MEMORY", format!("{} of {}", size(used.memory), size(all.memory))),
        cell("", share(used.memory.0, all.memory.0)),
        cell("STATE", state(of)).tone(Tone::Bad),
    ]
}

/// What is not so well with a zone.
fn state(of: &ZoneRoom) -> String {
    if of.lost {
        return "lost".to_owned();
    }
    let told = [(of.silent, "not heard from"), (of.closed, "closed")];
    let told = told.iter().filter(|(hosts, _)| *hosts > 0);
    told.map(|(hosts, word)| format!("{hosts} {word}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_percent_of_headroom_goes_up() {
        let told = [0.125, 0.135, -0.105, -0.004].map(|share| headroom(Some(share)));
        assert_eq!(told, ["13%", "14%", "-10%", "0%"]);
    }

    #[test]
    fn the_spare_is_told_beside_what_is_needed_and_is_not_lacking() {
        let row = CapacityRow {
            deployment: "shop.prod".to_owned(),
            load: Some(900.0),
            each: 100.0,
            left: 9,
            needed: 10,
            spare: 1,
            ..CapacityRow::default()
        };
        let told = |row: &CapacityRow| -> Vec<String> {
            let cells = line(row).into_iter();
            cells.filter(|c| ["NEEDED", "LACKING"].contains(&c.title)).map(|c| c.text).collect()
        };
        assert_eq!(told(&row), ["9 + 1 spare", ""]);
        assert_eq!(
            told(&CapacityRow { left: 8, missing: 1, ..row }),
            ["9 + 1 spare", "1, 1 without room"]
        );
    }
}
