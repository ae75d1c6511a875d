//! `atoll peak`: peaks, what each takes and has, what must be ready by when, and in it, what is
//! seen. It changes nothing: a peak is applied like everything else.

use std::collections::BTreeSet;

use atoll_client::Client;
use atoll_model::alerting::AlertPhase;
use atoll_model::monitoring::ObjectivePhase;
use atoll_model::peak::{
    PeakApplication, PeakCheck, PeakCost, PeakPhase, PeakReport, PeakStatus, State, when,
};
use atoll_model::{Alert, Any, Decision, Kind, Object, Objective, Peak, Span, Timestamp, many};

use crate::args::{Global, Output};
use crate::clock::{self, short};
use crate::columns::{Cell, cell, word};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::terminal::Tone;

/// What `atoll peak` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All there are
    List(Of),
    /// What one takes and has, and in it, what is seen
    Show(One),
    /// What must be ready for one, and by when
    Calendar(One),
}

#[derive(Debug, clap::Args)]
struct Of {
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct One {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Shows it. The calendar fails where something is late, until the peak is over.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::List(of) => list(global, of.output.output).await,
        What::Show(one) => show(global, &one).await,
        What::Calendar(one) => calendar(global, &one).await,
    }
}

async fn list(global: &Global, format: Format) -> anyhow::Result<Exit> {
    let list = global.client()?.list_all(Kind::Peak, None).await?;
    let none = list.items.is_empty();
    output::print(&output::list(list.items, list.revision, format, clock::now())?)?;
    if none && format.is_table() {
        output::say("there is no peak; see docs/guide/peaks.md");
    }
    Ok(Exit::Done)
}

/// The peak that is meant.
async fn named(client: &Client, name: &str) -> anyhow::Result<Any> {
    let name = name.strip_prefix("peak/").unwrap_or(name);
    Ok(client.get(Kind::Peak, name).await?)
}

async fn calendar(global: &Global, one: &One) -> anyhow::Result<Exit> {
    let (client, format) = (global.client()?, one.output.output);
    let any = named(&client, &one.name).await?;
    let Any::Peak(peak) = &any else { return Ok(Exit::Failed) };
    let checks = &peak.status.checks;
    let (zone, times) = (peak.spec.time_zone.as_deref(), peak.spec.times().unwrap_or_default());
    output::print(&output::value(checks, format, || {
        let lines = checks.iter().map(|check| entry(check, times.starts, zone)).collect();
        output::table(lines, format == Format::Wide)
    })?)?;
    let late = checks.iter().filter(|check| check.state == State::Late).count();
    if format.is_table() {
        output::say(&when_it_is(peak, clock::now()));
    }
    let ahead = clock::now() < times.ends;
    // What was not looked at yet is not ready.
    let not_ready = late > 0 || !is_planned(peak);
    Ok(if not_ready && ahead { Exit::Failed } else { Exit::Done })
}

fn entry(check: &PeakCheck, starts: Timestamp, zone: Option<&str>) -> Vec<Cell> {
    let (tone, state) = match check.state {
        State::Done => (Tone::Good, "done"),
        State::Open => (Tone::Plain, "open"),
        State::Late => (Tone::Bad, "late"),
    };
    vec![
        cell("T", counted(starts.since(check.due))).tone(Tone::Strong),
        cell("DUE", when::due(check.due, starts, zone)),
        cell("WHAT", check.name.clone()),
        cell("STATE", state).tone(tone),
        cell("IS", check.message.clone()),
        cell("DO", check.hint.clone()),
    ]
}

/// So long before it starts, to the second: what is due is no matter of about.
fn counted(before: Span) -> String {
    if before.0 == 0 { "T".to_owned() } else { format!("T-{}", before.rough()) }
}

/// Whether its status is of the peak as it is now.
fn is_planned(peak: &Object<Peak>) -> bool {
    peak.status.observed_generation >= peak.meta.generation
}

/// What a peak costs in one currency, and what of it is not in there.
fn costs(status: &PeakStatus, cost: &PeakCost) -> String {
    let (rate, total) = (cost.rate.fine(), cost.total.rounded());
    let unknown = status.applications.iter().filter(|row| row.needed.is_none());
    let left_out = unknown.map(|row| &row.deployment).chain(&cost.unpriced);
    let names: Vec<&str> = left_out.map(String::as_str).collect();
    let without = match names.is_empty() {
        true => String::new(),
        false => format!(", without {} of which that is not known", names.join(", ")),
    };
    format!("costs {total} {} more: {rate} an hour at its most{without}", cost.currency)
}

/// When a peak is, in one sentence.
fn when_it_is(peak: &Object<Peak>, now: Timestamp) -> String {
    let (zone, times) = (peak.spec.time_zone.as_deref(), peak.spec.times().unwrap_or_default());
    let phase = match is_planned(peak) {
        true => word(&peak.status.phase),
        false => "being planned, ask again".to_owned(),
    };
    let window =
        format!("{} to {}", when::shown(times.starts, zone), when::shown(times.ends, zone));
    let far = match now {
        _ if now < times.starts => format!("starts in {}", short(times.starts.since(now))),
        _ if now < times.ends => format!("ends in {}", short(times.ends.since(now))),
        _ => format!("ended {} ago", short(now.since(times.ends))),
    };
    format!("{} is {phase}: {window} in {}; {far}", peak.name(), peak.spec.environment)
}

async fn show(global: &Global, one: &One) -> anyhow::Result<Exit> {
    let (client, format, now) = (global.client()?, one.output.output, clock::now());
    let any = named(&client, &one.name).await?;
    let Any::Peak(peak) = &any else { return Ok(Exit::Failed) };
    if !format.is_table() {
        output::print(&output::object(&any, format, now)?)?;
        return Ok(Exit::Done);
    }
    let status = &peak.status;
    output::print_line(&when_it_is(peak, now))?;
    let live = status.phase == PeakPhase::Live;
    let lines = status.applications.iter().map(|row| line(row, now, live)).collect();
    output::print(&output::table(lines, format == Format::Wide))?;
    if let Some(hosts) = hosts(peak) {
        output::print_line(&hosts)?;
    }
    for cost in &status.cost {
        output::print_line(&costs(status, cost))?;
    }
    for budget in status.budgets.iter().filter(|budget| budget.broken.is_some()) {
        let broken = budget.broken.as_deref().unwrap_or_default();
        output::print_line(&format!("budget/{}: {broken}", budget.budget))?;
    }
    if status.phase.is_under_way() {
        room(&client, peak, format).await?;
    }
    if let Some(report) = &status.report {
        output::print_line("")?;
        output::print(&told(peak, report, format))?;
    }
    for reason in &status.reasons {
        output::say(&reason.to_string());
    }
    Ok(Exit::Done)
}

fn line(row: &PeakApplication, now: Timestamp, live: bool) -> Vec<Cell> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let tone = if row.missing > 0 || row.needed.is_none() { Tone::Bad } else { Tone::Good };
    let next = row.course.partition_point(|slot| slot.at <= now);
    let slot = next.checked_sub(1).map(|last| row.course[last].expected);
    let mut cells = vec![cell("DEPLOYMENT", row.deployment.clone()).tone(Tone::Strong)];
    cells.push(cell("USUAL", number(row.usual)));
    cells.push(cell("EXPECTED", number(row.expected)));
    if live {
        cells.push(cell("EXPECTED NOW", number(slot)));
    }
    cells.push(cell("LOAD", number(row.load)));
    cells.push(cell("EACH", number(row.each)));
    cells.push(cell("KNOWN", if row.each.is_some() { word(&row.known) } else { String::new() }));
    let needed = row.needed.map_or("?".to_owned(), |needed| needed.to_string());
    cells.push(cell("NEEDED", needed));
    cells.push(cell("HAVE", row.have.to_string()).tone(tone));
    cells.push(cell("KEPT", row.keep.to_string()));
    let notes: Vec<String> = row.reasons.iter().map(|reason| reason.message.clone()).collect();
    cells.push(cell("NOTES", notes.join("; ")));
    cells
}

/// The hosts there are for a peak, or were; nothing of one nobody planned for before its end.
fn hosts(peak: &Object<Peak>) -> Option<String> {
    let (hosts, over) = (&peak.status.hosts, peak.status.phase >= PeakPhase::GivingBack);
    let rows = &peak.status.applications;
    let known = rows.iter().any(|row| row.needed.is_some());
    let all = rows.iter().all(|row| row.needed.is_some());
    let room = match (hosts.unplaced, hosts.beyond) {
        _ if !known && over => return None,
        _ if !known => "nobody knows what it takes yet".to_owned(),
        (0, _) if all => "with room for all of it".to_owned(),
        (0, _) => "with room for what is known of it".to_owned(),
        (some, _) if over => format!("{} found no room", many(some, "instance")),
        (some, 0) => format!("{} no room yet", finding(some)),
        (_, none) => format!("{} no room, whatever pools make", finding(none)),
    };
    let pools = match hosts.pools {
        0 => String::new(),
        _ if over => String::new(),
        more => format!(", {more} more from pools"),
    };
    Some(format!("{}{pools}: {room}", many(hosts.have, "host")))
}

fn finding(instances: u32) -> String {
    format!("{} {}", many(instances, "instance"), if instances == 1 { "finds" } else { "find" })
}

/// The watch room: what is promised, what fires, what is decided about it.
async fn room(client: &Client, peak: &Object<Peak>, format: Format) -> anyhow::Result<()> {
    let names: BTreeSet<&str> =
        peak.status.applications.iter().map(|row| row.deployment.as_str()).collect();
    let of = |name: &str| {
        names.contains(name) || name.rsplit_once('.').is_some_and(|(of, _)| names.contains(of))
    };
    let promised = client.list_all(Kind::Objective, None).await?.items;
    let promised: Vec<Vec<Cell>> = promised
        .iter()
        .filter_map(|any| any.of::<Objective>())
        .filter(|objective| names.contains(objective.spec.deployment.as_str()))
        .map(|objective| objective_line(objective))
        .collect();
    let alerts = client.list_all(Kind::Alert, None).await?.items;
    let alerts: Vec<Vec<Cell>> = alerts
        .iter()
        .filter_map(|any| any.of::<Alert>())
        .filter(|alert| alert.status.phase == AlertPhase::Firing)
        .filter(|alert| alert.spec.labels.get("deployment").is_some_and(|name| of(name)))
        .map(|alert| {
            vec![
                cell("ALERT", alert.meta.name.clone()).tone(Tone::Bad),
                cell("ABOUT", alert.spec.subject.clone().unwrap_or_default()),
            ]
        })
        .collect();
    let decisions = client.list_all(Kind::Decision, None).await?.items;
    let decisions: Vec<Vec<Cell>> = decisions
        .iter()
        .filter_map(|any| any.of::<Decision>())
        .filter(|decision| decision.meta.created_at >= Some(peak.status.times.scale))
        .filter(|decision| decision.spec.subject.split_once('/').is_some_and(|(_, n)| of(n)))
        .map(|decision| {
            vec![
                cell("DECISION", decision.meta.name.clone()).tone(Tone::Strong),
                cell("ABOUT", decision.spec.subject.clone()),
                cell("PHASE", word(&decision.status.phase)),
            ]
        })
        .collect();
    for lines in [promised, alerts, decisions].into_iter().filter(|lines| !lines.is_empty()) {
        output::print_line("")?;
        output::print(&output::table(lines, format == Format::Wide))?;
    }
    Ok(())
}

fn objective_line(objective: &Object<Objective>) -> Vec<Cell> {
    let tone = match objective.status.phase {
        ObjectivePhase::Kept => Tone::Good,
        ObjectivePhase::NoData => Tone::Plain,
        ObjectivePhase::Burning => Tone::Busy,
        ObjectivePhase::Spent => Tone::Bad,
    };
    vec![
        cell("OBJECTIVE", objective.meta.name.clone()).tone(Tone::Strong),
        cell("PHASE", word(&objective.status.phase)).tone(tone),
    ]
}

/// What was expected and what came.
fn told(peak: &Object<Peak>, report: &PeakReport, format: Format) -> String {
    if report.applications.is_empty() {
        return "nothing was seen of it while it was there\n".to_owned();
    }
    let zone = peak.spec.time_zone.as_deref();
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let lines = report.applications.iter().map(|(of, one)| {
        vec![
            cell("SEEN", of.clone()).tone(Tone::Strong),
            cell("EXPECTED", number(one.expected)),
            cell("HIGHEST", number(one.highest)),
            cell("AT", one.at.map(|at| when::shown(at, zone)).unwrap_or_default()),
            cell("SERVED BY", format!("{} to {}", one.least, one.most)),
        ]
    });
    let mut text = output::table(lines.collect(), format == Format::Wide);
    let broken = broken(report);
    let spent = report.spent.iter().map(|(currency, sum)| format!("{} {currency}", sum.rounded()));
    let spent: Vec<String> = spent.collect();
    let spent = if spent.is_empty() { "without prices".to_owned() } else { spent.join(", ") };
    text.push_str(&format!(
        "{broken}; {} and {}; {} at most; spent {spent}\n",
        many(report.alerts.len(), "alert"),
        many(report.decisions.len(), "decision"),
        many(report.hosts, "host")
    ));
    text
}

/// Which objectives were broken; and who promised nothing, of whom nobody saw what broke.
fn broken(report: &PeakReport) -> String {
    let (without, all) = (report.unpromised().len(), report.applications.len());
    if without == all {
        return "nothing is promised: nobody sees what breaks".to_owned();
    }
    let broken = report.broken.iter().filter(|(_, time)| **time > 0);
    let mut said: Vec<String> = broken
        .map(|(name, time)| format!("{name} was broken for {}", Span(*time).rough()))
        .collect();
    if said.is_empty() {
        said.push("no objective was broken".to_owned());
    }
    if without > 0 {
        said.push(format!("nothing is promised by {without} of {}", many(all, "application")));
    }
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_promised_nobody_says_that_nothing_broke() {
        let of = |applications: &[&str], objectives: &[(&str, u64)]| {
            let applications = applications.iter().map(|of| ((*of).to_owned(), Default::default()));
            let objectives = objectives.iter().map(|(name, time)| ((*name).to_owned(), *time));
            broken(&PeakReport {
                applications: applications.collect(),
                broken: objectives.collect(),
                ..PeakReport::default()
            })
        };
        let nothing = "nothing is promised: nobody sees what breaks";
        assert_eq!(of(&["shop.prod"], &[]), nothing);
        assert_eq!(of(&["shop.prod"], &[("shop.production.success", 0)]), nothing);
        assert_eq!(of(&["shop.prod"], &[("shop.prod.success", 0)]), "no objective was broken");
        let both = of(&["pay.prod", "shop.prod"], &[("shop.prod.success", 60_000)]);
        let told =
            "shop.prod.success was broken for 1m; nothing is promised by 1 of 2 applications";
        assert_eq!(both, told);
    }

    #[test]
    fn times_before_a_peak_are_told_to_the_second() {
        let told = [0, 175_500, 750_000, 1_800_000, 1_209_600_000].map(|ms| counted(Span(ms)));
        assert_eq!(told, ["T", "T-2m55s", "T-12m30s", "T-30m", "T-14d"]);
    }

    #[test]
    fn what_is_due_shortly_before_a_peak_is_told_to_the_second() {
        let due = "2026-11-10T15:58:30Z".parse().unwrap();
        let (name, message, hint) = ("freeze".to_owned(), String::new(), String::new());
        let check = PeakCheck { name, due, state: State::Open, message, hint };
        let line = entry(&check, due + Span::seconds(90), Some("Asia/Shanghai"));
        let shown = output::table(vec![line], false);
        assert!(shown.contains("T-1m30s") && shown.contains("2026-11-10 23:58:30"), "{shown}");
    }
}
