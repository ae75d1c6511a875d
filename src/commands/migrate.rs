//! `atoll migrate`: moves what runs on some hosts to others, in waves; or says what that would
//! take.

use atoll_client::{Client, Search};
use atoll_model::migration::{HostsToMake, MigrationForecast};
use atoll_model::{Any, Kind, Migration, Object, Portion, Selector, Span, many, name};
use serde_json::json;

use crate::args::{Global, Output, Override, Wait};
use crate::change;
use crate::clock;
use crate::columns::cell;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::subject::Subject;
use crate::terminal::Tone;

/// What `atoll migrate` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Empty hosts
    Off(Off),
    /// Move from hosts that are fuller than the others
    Balance(How),
    /// Take waves back
    Back(Back),
}

/// Which hosts are emptied.
#[derive(Debug, clap::Args)]
struct Off {
    /// host/NAME, zone/NAME or pool/NAME, one or several
    #[arg(value_name = "host/NAME|zone/NAME|pool/NAME", value_parser = source)]
    of: Vec<Subject>,
    /// Instead: the hosts that pass a filter, as `atoll find` takes it
    #[arg(long, value_name = "FILTER", conflicts_with = "of")]
    hosts: Option<String>,
    /// Keep the hosts closed afterwards
    #[arg(long)]
    retire: bool,
    #[command(flatten)]
    how: How,
}

/// How it goes on.
#[derive(Debug, clap::Args)]
struct How {
    /// Only instances of applications with these labels
    #[arg(long, value_name = "SELECTOR", default_value = "")]
    applications: Selector,
    /// To hosts with these labels
    #[arg(long, value_name = "SELECTOR", default_value = "")]
    to: Selector,
    /// So many instances at a time, or that share of all
    #[arg(long, value_name = "N|P%", default_value = "10%")]
    wave: Portion,
    /// Wait so long between two waves
    #[arg(long, value_name = "SPAN", default_value = "0s")]
    pause: Span,
    /// Its name [default: of the hosts and the time]
    #[arg(long, value_name = "NAME", value_parser = good_name)]
    name: Option<String>,
    /// Only say what it would do
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Back {
    /// migration/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// The last so many waves
    #[arg(long, value_name = "N", default_value_t = 1)]
    waves: u32,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

/// Makes a migration, or says what it would do.
///
/// # Errors
/// What is wrong with what was asked; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::Off(off) => {
            let filter = filter(&off)?;
            are_there(&global.client()?, &off.of).await?;
            let named = off.of.first().map_or("hosts", |subject| &subject.name).to_owned();
            make(global, off.how, &named, json!({ "off": filter, "retire": off.retire })).await
        }
        What::Balance(how) => make(global, how, "balance", json!({ "balance": true })).await,
        What::Back(back) => take_back(global, back).await,
    }
}

/// Reads what hosts are meant by.
fn source(text: &str) -> Result<Subject, String> {
    if text.contains('/') {
        return text.parse();
    }
    Err(match name::check_derived(text) {
        Ok(()) => format!("{text:?}: write it as host/{text}, zone/{text} or pool/{text}"),
        Err(_) => {
            format!(
                "{text:?}: write it as host/NAME, zone/NAME or pool/NAME, a filter after --hosts"
            )
        }
    })
}

/// Reads the name a migration is given: also where nothing is made yet.
fn good_name(text: &str) -> Result<String, String> {
    name::check_simple(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

fn filter(off: &Off) -> Result<String, Failure> {
    if let Some(filter) = &off.hosts {
        return Ok(filter.clone());
    }
    let terms: Result<Vec<String>, Failure> = off.of.iter().map(term).collect();
    let terms = terms?;
    if terms.is_empty() {
        return Err(Failure::usage("name hosts or zones, or give --hosts FILTER"));
    }
    Ok(terms.join(" or "))
}

/// The filter that only the hosts of one source pass.
fn term(subject: &Subject) -> Result<String, Failure> {
    match subject.kind {
        Kind::Host => Ok(format!("name = {:?}", subject.name)),
        Kind::Zone => Ok(format!("zone = {:?}", subject.name)),
        // Its provider makes hosts with this label.
        Kind::Pool => Ok(format!("labels.pool = {:?}", subject.name)),
        _ => {
            let message = format!("{subject} is no host/NAME, zone/NAME or pool/NAME");
            Err(Failure::usage(message))
        }
    }
}

/// Whoever names several sources is told of each that has no host: what is misspelt would not be
/// emptied.
async fn are_there(client: &Client, of: &[Subject]) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for subject in of {
        let filter = format!("kind = host and {}", term(subject)?);
        let found = client.find(&Search { filter, limit: Some(0), ..Search::default() }).await?;
        if found.total == 0 {
            missing.push(subject.to_string());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    let look = "atoll get hosts -o wide shows names, zones and labels";
    Err(Failure::not_found(format!("there is no host for {missing}: {look}")).into())
}

async fn make(
    global: &Global,
    how: How,
    named: &str,
    mut spec: serde_json::Value,
) -> anyhow::Result<Exit> {
    for (field, value) in [
        ("applications", json!(how.applications)),
        ("to", json!(how.to)),
        ("wave", json!(how.wave)),
        ("pause", json!(how.pause)),
    ] {
        spec[field] = value;
    }
    let spec: Migration = serde_json::from_value(spec)
        .map_err(|error| Failure::usage(format!("this makes no migration: {error}")))?;
    let client = global.client()?;
    let told = client.migration_forecast(&spec).await?;
    if told.hosts.is_empty() && !spec.balance {
        return Err(no_host(&client, &spec.off).await?.into());
    }
    if how.dry_run {
        let format = how.output.output;
        output::print(&output::value(&told, format, || text(&told, format))?)?;
        return Ok(if told.unplaced > 0 { Exit::Failed } else { Exit::Done });
    }
    let others = client.list_all(Kind::Migration, None).await?.items;
    let taken = |name: &str| others.iter().any(|any| any.name() == name);
    let name = match how.name {
        // A manifest may edit one; this verb makes one.
        Some(name) if taken(&name) => {
            let message = format!("there is a migration/{name}: choose another --name");
            return Err(Failure::failed(message).into());
        }
        Some(name) => name,
        None => free(&format!("{named}-{}", clock::now().0 / 1000), taken),
    };
    let any = Any::Migration(Object::new(name, spec).into());
    let subject = Subject::is(&any);
    let outcome = client.apply(vec![any.to_value()], false).await?;
    change::judge(&outcome)?;
    change::conclude(&client, &subject, &outcome, None, how.wait).await
}

/// The name itself, or with the first number from 2 that makes it one nothing has: several may be
/// made in one second.
fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or_else(|| name.to_owned())
}

/// That no host passes a filter, with what is wrong with it or where that is seen.
async fn no_host(client: &Client, off: &str) -> anyhow::Result<Failure> {
    let filter = format!("kind = host and ({off})");
    let found = client.find(&Search { filter, limit: Some(0), ..Search::default() }).await?;
    let look = match found.notes.into_iter().next() {
        Some(unknown) => unknown.message,
        None => "atoll get hosts -o wide shows names, zones and labels, atoll facts host/NAME all \
                 else of one"
            .to_owned(),
    };
    Ok(Failure::not_found(format!("no host passes {off}: {look}")))
}

async fn take_back(global: &Global, back: Back) -> anyhow::Result<Exit> {
    let what = back.what.of(&[Kind::Migration])?;
    let client = global.client()?;
    let any = client.get(what.kind, &what.name).await?;
    let migration = any.of::<Migration>();
    let to_come = |it: &Object<Migration>| it.spec.back.saturating_sub(it.status.back) as usize;
    if migration.is_some_and(|it| it.status.forth() <= to_come(it)) {
        let message = format!("{what} has moved nothing that could be taken back");
        return Err(Failure::failed(message).into());
    }
    let already = migration.map_or(0, |migration| migration.spec.back);
    let spec = json!({ "back": already + back.waves });
    let revision = Some(any.meta().revision);
    let outcome = change::patch_spec(&client, &what, spec, revision, &back.over).await?;
    change::conclude(&client, &what, &outcome, Some(&any), back.wait).await
}

fn text(told: &MigrationForecast, format: Format) -> String {
    let lines = told.deployments.iter().map(|one| {
        vec![
            cell("DEPLOYMENT", one.deployment.clone()).tone(Tone::Strong),
            cell("INSTANCES", one.instances.to_string()),
            cell("AT ONCE", one.at_once.to_string()),
        ]
    });
    if told.instances == 0 {
        let off = match told.hosts.len() {
            0 => String::new(),
            hosts => format!(" off {}", many(hosts, "host")),
        };
        return format!("Nothing is to be moved{off}: {}.\n", told.nothing);
    }
    let mut text = output::table(lines.collect(), format == Format::Wide);
    let packed = match told.packed {
        // Where not all find room, the others are all there is.
        packed if packed == 0 || told.unplaced > 0 => String::new(),
        packed => format!(
            "; packed closely they take {} (no fewer than {})",
            many(packed, "host"),
            told.least
        ),
    };
    let what = many(told.instances, "instance");
    let how = match told.unplaced {
        0 => format!("in {}, in about {}", many(told.waves, "wave"), told.takes.rough()),
        none if none >= told.instances => "cannot be moved: none finds room".to_owned(),
        1 => "cannot all be moved: one finds no room".to_owned(),
        some => format!("cannot all be moved: {some} find no room"),
    };
    text.push_str(&format!("\n{what} off {} {how}{packed}.\n", many(told.hosts.len(), "host")));
    if let Some(hosts) = &told.to_make {
        text.push_str(&to_make(hosts));
    }
    for cost in &told.costs {
        let (was, is, currency) = (cost.was.fine(), cost.is.fine(), &cost.currency);
        text.push_str(&format!("cost: {was} -> {is} {currency} an hour, of what is moved\n"));
    }
    for risk in &told.risks {
        text.push_str(&format!("risk: {risk}\n"));
    }
    text
}

/// What goes on hosts that pools are still to make.
fn to_make(hosts: &HostsToMake) -> String {
    let pools: Vec<String> = hosts.pools.iter().map(|pool| format!("pool/{pool}")).collect();
    let goes = if hosts.instances == 1 { "goes" } else { "go" };
    let joins = hosts.join_in.map(|span| format!("; a host takes about {} to join", span.rough()));
    format!(
        "{} {goes} on hosts still to be made, by {}{}\n",
        many(hosts.instances, "instance"),
        pools.join(" and "),
        joins.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_source_is_told_how_it_is_written() {
        assert_eq!(source("zone/a").unwrap().to_string(), "zone/a");
        let told = source("h1").unwrap_err();
        assert_eq!(told, "\"h1\": write it as host/h1, zone/h1 or pool/h1");
        assert!(source("zone = \"a\"").unwrap_err().ends_with("a filter after --hosts"));
        assert!(good_name("Bad Name").is_err());
        assert_eq!(good_name("old-kernels").unwrap(), "old-kernels");
    }

    #[test]
    fn a_name_nobody_gave_is_free() {
        let free = |taken: &[&str]| free("balance-17", |name| taken.contains(&name));
        assert_eq!(free(&["balance-16"]), "balance-17");
        assert_eq!(free(&["balance-17"]), "balance-17-2");
        assert_eq!(free(&["balance-17-2", "balance-17"]), "balance-17-3");
    }

    #[test]
    fn how_long_it_takes_is_told_where_all_find_room() {
        let told = |unplaced| {
            let hosts = vec!["h0".to_owned()];
            let takes = Span::seconds(60);
            let told = MigrationForecast {
                hosts,
                instances: 3,
                waves: 2,
                takes,
                unplaced,
                packed: 1,
                least: 1,
                ..MigrationForecast::default()
            };
            text(&told, Format::Table)
        };
        assert!(told(0).contains("3 instances off 1 host in 2 waves, in about 1m; packed"));
        assert!(
            told(1).contains("3 instances off 1 host cannot all be moved: one finds no room.\n")
        );
        assert!(told(3).contains("3 instances off 1 host cannot be moved: none finds room.\n"));
    }

    #[test]
    fn what_pools_make_for_it_is_told() {
        let told = |instances, join_in| {
            let pools = vec!["a".to_owned(), "b".to_owned()];
            let to_make = Some(HostsToMake { instances, pools, join_in });
            text(
                &MigrationForecast { instances: 3, to_make, ..MigrationForecast::default() },
                Format::Table,
            )
        };
        let known = told(2, Some(Span::seconds(40)));
        assert!(known.ends_with(
            "\n2 instances go on hosts still to be made, by pool/a and pool/b; a host takes about 40s \
             to join\n"
        ));
        let unknown = told(1, None);
        assert!(
            unknown
                .ends_with("\n1 instance goes on hosts still to be made, by pool/a and pool/b\n")
        );
    }

    #[test]
    fn why_nothing_is_to_be_moved_is_told() {
        let told = |hosts: &[&str], why: &str| {
            let told = MigrationForecast {
                hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
                nothing: why.to_owned(),
                ..MigrationForecast::default()
            };
            text(&told, Format::Table)
        };
        assert_eq!(
            told(&[], "the hosts are balanced"),
            "Nothing is to be moved: the hosts are balanced.\n"
        );
        let empty = told(&["h0"], "nothing runs there");
        assert_eq!(empty, "Nothing is to be moved off 1 host: nothing runs there.\n");
    }
}
