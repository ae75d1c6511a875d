//! `atoll inventory`, `atoll merge` and `atoll split`: how good the inventory is, the inventory as
//! Ansible wants it, and saying by hand that two things are one.

use anyhow::Context as _;
use atoll_model::Kind;
use atoll_model::cmdb::view::ClassFigures;
use serde_json::Value;

use crate::args::{Global, Output};
use crate::change;
use crate::columns::{Cell, cell};
use crate::commands::drift::would;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::subject::Subject;
use crate::terminal::Tone;

/// What `atoll inventory` takes: nothing shows how good it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print hosts as an Ansible dynamic inventory; so does --list
    #[arg(long, alias = "list")]
    ansible: bool,
    /// Print the variables of one host, as Ansible asks for them
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Only hosts that pass this filter, for Ansible
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Shows it.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let client = global.client()?;
    if args.ansible || args.host.is_some() {
        let all = client.ansible(args.filter.as_deref()).await?;
        let shown = match &args.host {
            // Ansible expects an empty object for hosts that are not there.
            Some(host) => match all["_meta"]["hostvars"].get(host) {
                Some(own) => own.clone(),
                None => Value::Object(serde_json::Map::new()),
            },
            None => all,
        };
        output::print(&output::json(&shown)?)?;
        return Ok(Exit::Done);
    }
    let told = client.inventory_figures().await.context("asking how good the inventory is")?;
    let format = args.output.output;
    let text = output::value(&told, format, || {
        let lines = told.classes.iter().map(line).collect();
        output::table(lines, format == Format::Wide)
    })?;
    output::print(&text)?;
    Ok(Exit::Done)
}

fn line(of: &ClassFigures) -> Vec<Cell> {
    let share = |share: f64| format!("{:.0}%", share * 100.0);
    let known = |part: Option<f64>| part.map_or_else(|| "-".to_owned(), share);
    vec![
        cell("CLASS", of.class.clone()).tone(Tone::Strong),
        cell("THINGS", of.things.to_string()),
        cell("COVERAGE", share(of.coverage)),
        cell("FRESHNESS", known(of.freshness)),
        cell("CORRECTNESS", known(of.correctness)),
        cell("DRIFT", of.drift.to_string()).tone(if of.drift > 0 {
            Tone::Busy
        } else {
            Tone::Plain
        }),
    ]
}

/// What `atoll merge` takes.
#[derive(Debug, clap::Args)]
pub struct Merge {
    /// item/NAME, which the other is to stand for as well
    #[arg(value_name = "item/NAME")]
    what: Subject,
    /// The other
    #[arg(long, value_name = "item/NAME")]
    into: Subject,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
}

/// An item; of a host it is said why there is nothing to merge.
fn item(what: Subject) -> Result<Subject, Failure> {
    if what.kind == Kind::Host {
        let why = "a host is its agent, and what runs on it; two agents never become one";
        let how =
            format!("atoll drain {what} and then atoll delete {what} lets the one that has gone");
        return Err(Failure::usage(format!("{what} cannot be merged or split: {why}; {how}")));
    }
    what.of(&[Kind::Item])
}

/// Merges; nothing is lost, so `atoll split` undoes it.
///
/// # Errors
/// The client's.
pub async fn merge(global: &Global, args: Merge) -> anyhow::Result<Exit> {
    let (what, into) = (item(args.what)?, item(args.into)?);
    let outcome = global.client()?.merge(&what.name, &into.name, args.dry_run).await?;
    change::judge(&outcome)?;
    if args.dry_run {
        return would(&outcome);
    }
    change::tell(&outcome, &[what])?;
    Ok(Exit::Done)
}

/// What `atoll split` takes.
#[derive(Debug, clap::Args)]
pub struct Split {
    /// item/NAME, which is to stand for itself again
    #[arg(value_name = "item/NAME")]
    what: Subject,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
}

/// Undoes a merge.
///
/// # Errors
/// The client's.
pub async fn split(global: &Global, args: Split) -> anyhow::Result<Exit> {
    let what = item(args.what)?;
    let outcome = global.client()?.split(&what.name, args.dry_run).await?;
    change::judge(&outcome)?;
    if args.dry_run {
        return would(&outcome);
    }
    change::tell(&outcome, &[what])?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_host_it_is_said_why_it_is_not_merged() {
        assert_eq!(item("item/a".parse().unwrap()).unwrap().name, "a");
        let why = item("host/a".parse().unwrap()).unwrap_err().message;
        assert!(why.starts_with("host/a cannot be merged or split: a host is its agent"), "{why}");
        assert!(why.contains("atoll drain host/a"), "{why}");
    }
}
