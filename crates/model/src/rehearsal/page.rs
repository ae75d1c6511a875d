//! The report of a rehearsal as a page of text of 80 columns, with charts.

use std::fmt::{self, Write as _};

use super::report::{Course, Decided, RehearsalReport, Served};
use crate::quantity::many;
use crate::time::Span;

/// No line is longer.
const WIDE: usize = 80;
/// So many columns a chart has.
const CHART: usize = 60;
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// So many deployments are drawn, and so many of each list are shown.
const DRAWN: usize = 4;
const SHOWN: usize = 12;
const DECISIONS: usize = 24;

impl fmt::Display for RehearsalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self))
    }
}

fn text(report: &RehearsalReport) -> String {
    let mut page = String::new();
    let out = &mut page;
    let played = report.lasts > Span(0);
    let when = match played {
        true => format!("{} from", report.lasts),
        false => "nothing is played, at".to_owned(),
    };
    let speed = report.took.map(|took| {
        let times = report.lasts.0 / took.0.max(1);
        format!(", rehearsed in {took}: {times} times as fast")
    });
    line(
        out,
        0,
        &format!(
            "{}: {when} {}, {}, {}{}",
            report.name,
            report.from,
            many(report.hosts, "host"),
            many(report.instances, "instance"),
            speed.unwrap_or_default()
        ),
    );
    if !report.checks.is_empty() {
        let broken = report.checks.iter().filter(|check| !check.held).count();
        let verdict = match broken {
            0 => "held: every check".to_owned(),
            broken => format!("broken: {broken} of {} checks", report.checks.len()),
        };
        heading(out, &verdict);
        for check in &report.checks {
            let sign = if check.held { "✓" } else { "✗" };
            line(out, 2, &format!("{sign} {}: {}", check.what, check.found));
        }
    }
    if played {
        served(out, report);
        charted(out, "the fleet");
        chart(out, "hosts", &report.fleet.hosts, false);
        chart(out, "instances", &report.fleet.instances, false);
        chart(out, "not served", &report.fleet.errors, true);
        axis(out, report.lasts);
    }
    for one in report.deployments.iter().take(DRAWN) {
        draw(out, one, report.lasts);
    }
    if let Some(cost) = &report.cost {
        heading(out, "cost");
        line(out, 2, &format!("{:.2} {} for all hosts", cost.amount, cost.currency));
    }
    if !report.events.is_empty() {
        heading(out, "what happened");
        let each = report.events.iter().take(SHOWN * 2);
        each.for_each(|event| line(out, 2, &format!("{:>9}  {}", clock(event.at), event.what)));
        more(out, report.events.len(), SHOWN * 2);
    }
    decisions(out, &report.decisions);
    heading(out, "taken for granted");
    report.assumed.iter().take(SHOWN).for_each(|what| line(out, 2, what));
    more(out, report.assumed.len(), SHOWN);
    page
}

fn served(out: &mut String, report: &RehearsalReport) {
    heading(out, "served");
    let _ = writeln!(
        out,
        "  {:30} {:>8} {:>8} {:>12} {:>9}",
        "DEPLOYMENT", "MINUTES", "LOST", "INSTANCES", "EACH"
    );
    for one in report.deployments.iter().take(SHOWN) {
        let range = if one.least == one.most {
            one.most.to_string()
        } else {
            format!("{}..{}", one.least, one.most)
        };
        let _ = writeln!(
            out,
            "  {:30} {:>8} {:>8} {:>12} {:>9}",
            cut(&one.deployment, 30),
            percent(one.served),
            percent(one.lost),
            range,
            short(one.each)
        );
    }
    more(out, report.deployments.len(), SHOWN);
    for one in report.deployments.iter().take(SHOWN) {
        let Some(best) = one.at_best else { continue };
        let (served, lost) = (percent(best.served), percent(best.lost));
        let (name, each, asked) = (&one.deployment, short(one.each), short(best.asked));
        let known = match best.breaks {
            Some(breaks) => {
                format!("one is known to carry {each} and to break with {}", short(breaks))
            }
            None => format!("nobody has seen one break with more than {each}"),
        };
        let told = format!(
            "? {name}: at best {served} of the minutes, and {lost} lost; up to {asked} is asked \
             of an instance, and {known}"
        );
        line(out, 2, &told);
    }
    let broken = report
        .deployments
        .iter()
        .flat_map(|one| one.broken.iter().map(move |broken| (&one.deployment, broken)));
    let mut broken: Vec<_> = broken.collect();
    broken.sort_by_key(|(name, broken)| (broken.from, (*name).clone()));
    for (name, broken) in broken.iter().take(SHOWN) {
        let (from, to) = (clock(broken.from), clock(broken.to));
        let (worst, at) = (percent(broken.worst), clock(broken.worst_at));
        let why = &broken.why;
        line(out, 2, &format!("✗ {from} to {to}  {name} lost up to {worst}, at {at}: {why}"));
    }
    more(out, broken.len(), SHOWN);
}

fn draw(out: &mut String, one: &Served, lasts: Span) {
    let Course { instances, load, capacity, errors, .. } = &one.course;
    if load.is_empty() {
        return;
    }
    charted(out, &one.deployment);
    let top = load.iter().chain(capacity).copied().fold(0.0, f64::max);
    bars(out, "load", load, top, false);
    bars(out, "can carry", capacity, top, false);
    chart(out, "instances", instances, false);
    if errors.iter().any(|share| *share > 0.0) {
        chart(out, "not served", errors, true);
    }
    axis(out, lasts);
}

fn decisions(out: &mut String, all: &[Decided]) {
    if all.is_empty() {
        return;
    }
    heading(out, "decisions");
    let mut shown: Vec<&Decided> = all.iter().collect();
    // What was done most often is left out last.
    shown.sort_by_key(|decided| std::cmp::Reverse(decided.times));
    shown.truncate(DECISIONS);
    shown.sort_by(|a, b| (a.first, &a.by, &a.what).cmp(&(b.first, &b.by, &b.what)));
    for decided in shown {
        let Decided { first, last, times, by, what, why } = decided;
        let when = match times {
            1 => clock(*first),
            times => format!("{} to {}, {times} times", clock(*first), clock(*last)),
        };
        line(out, 2, &format!("{when}  {by}: {what}"));
        if !why.is_empty() {
            line(out, 6, why);
        }
    }
    more(out, all.len(), DECISIONS);
}

/// A chart from zero to its highest value.
fn chart(out: &mut String, name: &str, values: &[f64], share: bool) {
    bars(out, name, values, values.iter().copied().fold(0.0, f64::max), share);
}

fn bars(out: &mut String, name: &str, values: &[f64], top: f64, share: bool) {
    if values.is_empty() {
        return;
    }
    let drawn: String = columns(values, ["can carry", "hosts", "instances"].contains(&name))
        .into_iter()
        .map(|value| {
            let level = if top > 0.0 { (value / top * 8.0).ceil() as usize } else { 0 };
            BARS[level.min(8)]
        })
        .collect();
    // Its own highest, whatever it is drawn beside.
    let most = values.iter().copied().fold(0.0, f64::max);
    let label = if share { percent(most) } else { short(most) };
    let _ = writeln!(out, "  {name:>10} {drawn} {label}");
}

/// As many values as a chart has columns; of several, the highest, or the lowest.
fn columns(values: &[f64], lowest: bool) -> Vec<f64> {
    (0..CHART)
        .map(|column| {
            let from = column * values.len() / CHART;
            let to = ((column + 1) * values.len() / CHART).max(from + 1).min(values.len());
            let part = values[from.min(values.len() - 1)..to].iter().copied();
            if lowest { part.fold(f64::INFINITY, f64::min) } else { part.fold(0.0, f64::max) }
        })
        .collect()
}

fn axis(out: &mut String, lasts: Span) {
    let quarter = |part: u64| clock(Span(lasts.0 * part / 4));
    let each = CHART / 4;
    // The last one has only what is left of the line.
    let end = match quarter(4) {
        short if short.len() <= 7 => short,
        _ => lasts.rough().to_string(),
    };
    let _ = writeln!(
        out,
        "  {:>10} {:each$}{:each$}{:each$}{:each$}{}",
        "",
        quarter(0),
        quarter(1),
        quarter(2),
        quarter(3),
        end
    );
}

fn heading(out: &mut String, text: &str) {
    out.push('\n');
    line(out, 0, text);
}

/// The heading of charts: what stands at their right is the highest value of each.
fn charted(out: &mut String, text: &str) {
    let room = 2 + 10 + 1 + CHART + 1;
    let _ = writeln!(out, "\n{text:<room$}most");
}

fn more(out: &mut String, all: usize, shown: usize) {
    if all > shown {
        line(out, 2, &format!("and {} more", all - shown));
    }
}

/// A line that goes on below where it is too long.
fn line(out: &mut String, indent: usize, text: &str) {
    let (mut column, mut first) = (indent, true);
    out.push_str(&" ".repeat(indent));
    let lead = text.len() - text.trim_start().len();
    out.push_str(&" ".repeat(lead));
    column += lead;
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if !first && column + 1 + long > WIDE {
            out.push('\n');
            column = indent + 2;
            out.push_str(&" ".repeat(column));
        } else if !first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += long;
        first = false;
    }
    out.push('\n');
}

/// A time after the beginning: `14:05`, or `1d 02:30`.
fn clock(at: Span) -> String {
    let minutes = at.0 / 60_000;
    let seconds = at.0 % 60_000 / 1_000;
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    let days = if days > 0 { format!("{days}d ") } else { String::new() };
    let seconds = if seconds > 0 { format!(":{seconds:02}") } else { String::new() };
    format!("{days}{hours:02}:{minutes:02}{seconds}")
}

/// A share in percent, never rounded to all.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let rounded = (percent * 100.0).round() / 100.0;
    match rounded {
        100.0 if share < 1.0 => "99.99 %".to_owned(),
        0.0 if share > 0.0 => "0.01 %".to_owned(),
        rounded => format!("{rounded} %"),
    }
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.1}M", value / 1e6),
        value if value >= 1e4 => format!("{:.0}k", value / 1e3),
        value if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
