//! `atoll top`: what hosts and instances use of their resources, as it was measured last, and what
//! is reserved of them. The measuring is the agents'.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use atoll_client::{Client, QueryResult};
use atoll_model::{Any, Cpu, Host, Instance, Kind, Memory};
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
    /// Hosts, the busiest first
    #[value(alias = "host")]
    Hosts,
    /// Instances, the busiest first
    #[value(aliases = ["instance", "inst"])]
    Instances,
}

impl What {
    /// What is asked of the metrics store: the label that names one, the cores and the bytes used.
    fn asks(self) -> [&'static str; 3] {
        match self {
            What::Hosts => [
                "host",
                "sum by (host) \
                 (rate(node_cpu_seconds_total{job=\"node\",mode!~\"idle|iowait\"}[1m]))",
                "sum by (host) (node_memory_MemTotal_bytes{job=\"node\"} \
                 - node_memory_MemAvailable_bytes{job=\"node\"})",
            ],
            What::Instances => [
                "instance",
                "sum by (instance) \
                 (rate(container_cpu_usage_seconds_total{job=\"instances\"}[1m]))",
                "sum by (instance) (container_memory_working_set_bytes{job=\"instances\"})",
            ],
        }
    }
}

/// What one uses; nothing where it is not measured.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    cpu: Option<Cpu>,
    memory: Option<Memory>,
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
    let client = global.client()?;
    let mut list = client.list_all(kind, selector.as_deref()).await?;
    let used = measured(&client, args.what).await;
    let of = |any: &Any| used.get(any.name()).copied().unwrap_or_default();
    list.items.sort_by_key(|any| Reverse((of(any).cpu, of(any).memory)));
    let format = args.output.output;
    let text = if format.is_table() {
        let lines = list.items.iter().filter_map(|any| line(any, of(any))).collect();
        output::table(lines, format == Format::Wide)
    } else {
        output::list(list.items, list.revision, format, crate::clock::now())?
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

/// What each uses. Where measuring is out of order, what is reserved is still worth showing.
async fn measured(client: &Client, what: What) -> BTreeMap<String, Used> {
    let [label, cpu, memory] = what.asks();
    let mut used: BTreeMap<String, Used> = BTreeMap::new();
    for (name, value) in ask(client, label, cpu).await {
        used.entry(name).or_default().cpu = Some(Cpu((value * 1000.0).round() as u64));
    }
    for (name, value) in ask(client, label, memory).await {
        used.entry(name).or_default().memory = Some(Memory(value as u64));
    }
    used
}

async fn ask(client: &Client, label: &str, expression: &str) -> Vec<(String, f64)> {
    let series = match client.query(expression, None).await.map(|answer| answer.data) {
        Ok(QueryResult::Vector(series)) => series,
        Ok(_) => Vec::new(),
        Err(error) => {
            output::say(&format!("what is used could not be found out: {error}"));
            Vec::new()
        }
    };
    let pair = |series: atoll_client::Series| {
        let name = series.metric.get(label)?.clone();
        Some((name, series.values.first()?.value))
    };
    series.into_iter().filter_map(pair).collect()
}

fn line(any: &Any, used: Used) -> Option<Vec<Cell>> {
    let cpu = used.cpu.map_or_else(|| "-".to_owned(), cores);
    let memory = used.memory.map_or_else(|| "-".to_owned(), size);
    if let Some(host) = any.of::<Host>() {
        let (reserved, all) = (host.status.allocated, host.status.capacity);
        let of = host.spec.usable(all);
        return Some(vec![
            cell("NAME", host.name()).tone(Tone::Strong),
            cell("CPU", format!("{cpu}/{}", cores(all.cpu))),
            share("CPU%", used.cpu.map(|cpu| cpu.0), all.cpu.0),
            cell("MEMORY", format!("{memory}/{}", size(all.memory))),
            share("MEMORY%", used.memory.map(|memory| memory.0), all.memory.0),
            cell("CPU-RESERVED", format!("{}/{}", cores(reserved.cpu), cores(of.cpu))),
            cell("MEMORY-RESERVED", format!("{}/{}", size(reserved.memory), size(of.memory))),
            cell("INSTANCES", reserved.instances.to_string()),
            cell("ZONE", host.zone()),
        ]);
    }
    any.of::<Instance>().map(|instance| {
        let reserved = instance.spec.resources;
        vec![
            cell("NAME", instance.name()).tone(Tone::Strong),
            cell("CPU", cpu),
            cell("MEMORY", memory),
            cell("CPU-RESERVED", cores(reserved.cpu)),
            cell("MEMORY-RESERVED", size(reserved.memory)),
            cell("HOST", instance.spec.host.clone()),
            cell("PHASE", word(&instance.status.phase)),
        ]
    })
}

fn share(title: &'static str, used: Option<u64>, of: u64) -> Cell {
    let Some(used) = used.filter(|_| of > 0) else { return cell(title, "-") };
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
    fn hosts_show_what_is_used_and_what_is_reserved() {
        let any = Any::from_json(
            r#"{"apiVersion":"atoll/v1","kind":"Host","metadata":{"name":"h1"},
            "spec":{"reserve":{"cpu":"500m","memory":"0"}},"status":{
            "capacity":{"cpu":"2","memory":"1Gi"},
            "allocated":{"cpu":"1.4","memory":"256Mi","instances":3}}}"#,
        );
        let any = any.unwrap();
        let shown = |used| {
            let lines = vec![line(&any, used).unwrap()];
            Layout::of(lines, false).render(false, Paint::OFF, None)
        };
        let used = Used { cpu: Some(Cpu(1_900)), memory: Some(Memory(512 << 20)) };
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&shown(used)), "h1 1.9/2 95% 512Mi/1Gi 50% 1.4/1.5 256Mi/1Gi 3 default");
        assert_eq!(words(&shown(Used::default())), "h1 -/2 - -/1Gi - 1.4/1.5 256Mi/1Gi 3 default");
    }
}
