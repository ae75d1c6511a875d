//! `atoll budget`: what is spent of each budget, and what the fleet costs whom, with what is idle
//! and shared apportioned.

use atoll_model::Kind;
use atoll_model::budget::MONTH_HOURS;
use atoll_model::budget::report::{CostReport, CostRow};

use crate::args::{Global, Output};
use crate::clock;
use crate::columns::{Cell, cell};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::terminal::Tone;

/// What `atoll budget` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this one
    #[arg(value_name = "NAME", conflicts_with = "by")]
    name: Option<String>,
    /// What everything costs now, by whose it is
    #[arg(long, value_parser = ["team", "application", "environment", "host"])]
    by: Option<String>,
    /// What everything costs in this currency; by application, if nothing else is said
    #[arg(long, value_name = "EUR", conflicts_with = "name")]
    currency: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Shows it.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let format = args.output.output;
    match (args.by, args.currency) {
        (Some(by), currency) => costs(global, &by, currency, format).await,
        (None, Some(currency)) => costs(global, "application", Some(currency), format).await,
        (None, None) => budgets(global, args.name, format).await,
    }
}

async fn budgets(global: &Global, name: Option<String>, format: Format) -> anyhow::Result<Exit> {
    let (client, now) = (global.client()?, clock::now());
    if let Some(name) = name {
        let name = name.strip_prefix("budget/").unwrap_or(&name);
        let any = client.get(Kind::Budget, name).await?;
        output::print(&output::object(&any, format, now)?)?;
        return Ok(Exit::Done);
    }
    let list = client.list_all(Kind::Budget, None).await?;
    let none = list.items.is_empty();
    output::print(&output::list(list.items, list.revision, format, now)?)?;
    if none && format.is_table() {
        output::say("there is no budget; what everything costs: atoll budget --by application");
    }
    Ok(Exit::Done)
}

async fn costs(
    global: &Global,
    by: &str,
    currency: Option<String>,
    format: Format,
) -> anyhow::Result<Exit> {
    let report = global.client()?.costs(by, currency).await?;
    output::print(&output::value(&report, format, || text(&report, format))?)?;
    if format.is_table() {
        tell(&report);
    }
    Ok(Exit::Done)
}

/// Says what the table does not hold.
fn tell(report: &CostReport) {
    let Some(currency) = &report.currency else {
        return output::say("there are no prices: apply a Price; see docs/guide/budgets.md");
    };
    output::say(&format!("in {currency}; a month is {MONTH_HOURS} hours at this rate"));
    for (currency, hosts) in &report.elsewhere {
        let what = match hosts {
            1 => "1 host is".to_owned(),
            many => format!("{many} hosts are"),
        };
        output::say(&format!("{what} paid in {currency}: see --currency {currency}"));
    }
    for host in &report.unpriced {
        output::say(&format!(
            "price-missing: host/{} has no {} and is not counted",
            host.host,
            host.missing.join(" and no ")
        ));
    }
}

fn text(report: &CostReport, format: Format) -> String {
    let mut lines: Vec<Vec<Cell>> = report.rows.iter().map(line).collect();
    if report.currency.is_some() {
        let total = CostRow { name: "total".to_owned(), ..report.total.clone() };
        lines.push(line(&total));
    }
    output::table(lines, format == Format::Wide)
}

fn line(row: &CostRow) -> Vec<Cell> {
    let month = row.total.times(MONTH_HOURS);
    vec![
        cell("NAME", row.name.clone()).tone(Tone::Strong),
        cell("INSTANCES", row.instances.to_string()),
        cell("USED/H", row.used.fine()),
        cell("SHARED/H", row.shared.fine()),
        cell("IDLE/H", row.idle.fine()),
        cell("TOTAL/H", row.total.fine()),
        cell("MONTH", month.rounded()),
    ]
}
