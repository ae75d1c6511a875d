//! `atoll top`: what hosts and instances take of their resources. It shows what is reserved, not
//! what is used at the moment.

use std::cmp::Reverse;

use atoll_model::snapshot::Load;
use atoll_model::{Any, Host, Instance, Kind, Object};
use clap::ValueEnum;

use crate::args::{Global, Output};
use crate::columns::{Cell, cell, cores, size, word};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::terminal::Tone;

/// What `atoll top` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of what
    #[arg(value_enum)]
    what: What,
    /// Only those whose labels this selects
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<atoll_model::Selector>,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Hosts, the fullest first
    #[value(alias = "host")]
    Hosts,
    /// Instances, the largest first
    #[value(aliases = ["instance", "inst"])]
    Instances,
}

/// Shows them.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let kind = match args.what {
        What::Hosts => Kind::Host,
        What::Instances => Kind::Instance,
    };
    let selector = args.selector.map(|s| s.to_string());
    let mut list = global.client()?.list_all(kind, selector.as_deref()).await?;
    list.items.sort_by_key(|any| Reverse(weight(any)));
    let format = args.output.output;
    let text = if format.is_table() {
        let lines = list.items.iter().filter_map(line).collect();
        output::table(lines, format == Format::Wide)
    } else {
        output::list(list.items, list.revision, format, crate::clock::now())?
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

fn weight(any: &Any) -> (u64, u64) {
    match (any.of::<Host>(), any.of::<Instance>()) {
        (Some(host), _) => (u64::from(load(host).share), u64::from(load(host).instances)),
        (_, Some(instance)) => (instance.spec.resources.cpu.0, instance.spec.resources.memory.0),
        (None, None) => (0, 0),
    }
}

fn load(host: &Object<Host>) -> Load {
    Load::of(host.status.allocated, host.spec.usable(host.status.capacity))
}

fn line(any: &Any) -> Option<Vec<Cell>> {
    if let Some(host) = any.of::<Host>() {
        let (used, of) = (host.status.allocated, host.spec.usable(host.status.capacity));
        return Some(vec![
            cell("NAME", host.name()).tone(Tone::Strong),
            cell("CPU", format!("{}/{}", cores(used.cpu), cores(of.cpu))),
            share("CPU%", used.cpu.0, of.cpu.0),
            cell("MEMORY", format!("{}/{}", size(used.memory), size(of.memory))),
            share("MEMORY%", used.memory.0, of.memory.0),
            cell("INSTANCES", used.instances.to_string()),
            cell("ZONE", host.zone()),
        ]);
    }
    any.of::<Instance>().map(|instance| {
        vec![
            cell("NAME", instance.name()).tone(Tone::Strong),
            cell("CPU", cores(instance.spec.resources.cpu)),
            cell("MEMORY", size(instance.spec.resources.memory)),
            cell("HOST", instance.spec.host.clone()),
            cell("PHASE", word(&instance.status.phase)),
        ]
    })
}

fn share(title: &'static str, used: u64, of: u64) -> Cell {
    if of == 0 {
        return cell(title, "");
    }
    let percent = u128::from(used) * 100 / u128::from(of);
    let tone = if percent >= 90 { Tone::Bad } else { Tone::Plain };
    cell(title, format!("{percent}%")).tone(tone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Layout;
    use crate::terminal::Paint;

    #[test]
    fn hosts_show_how_full_they_are() {
        let any = Any::from_json(
            r#"{"apiVersion":"atoll/v1","kind":"Host","metadata":{"name":"h1"},
            "spec":{"reserve":{"cpu":"500m","memory":"0"}},"status":{
            "capacity":{"cpu":"2","memory":"1Gi"},
            "allocated":{"cpu":"1.4","memory":"256Mi","instances":3}}}"#,
        );
        let any = any.unwrap();
        assert_eq!(weight(&any), (9_333, 3));
        let wanted = "\
NAME   CPU       CPU%   MEMORY      MEMORY%   INSTANCES   ZONE
h1     1.4/1.5   93%    256Mi/1Gi   25%       3           default
";
        let lines = vec![line(&any).unwrap()];
        assert_eq!(Layout::of(lines, false).render(true, Paint::OFF, None), wanted);
    }
}
