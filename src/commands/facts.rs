//! `atoll facts`: what a host is in full, as its agent finds it.

use std::collections::BTreeMap;

use atoll_client::ClientError;
use atoll_model::cmdb::facts::{FactsData, FactsPart};
use atoll_model::{Facts, Kind};
use serde_json::Value;

use crate::args::{Global, Output};
use crate::clock::{now, short};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::subject::Subject;
use crate::terminal::{Paint, Tone, plain};

/// What `atoll facts` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// host/NAME
    #[arg(value_name = "host/NAME")]
    what: Subject,
    /// Only this part: system, storage, network, listeners, links, packages, custom
    #[arg(value_name = "PART", value_parser = part)]
    part: Option<FactsPart>,
    #[command(flatten)]
    output: Output,
}

fn part(text: &str) -> Result<FactsPart, String> {
    let found = FactsPart::ALL.into_iter().find(|part| part.name() == text);
    let all = || FactsPart::ALL.map(FactsPart::name).join(", ");
    found.ok_or_else(|| format!("there is no part {text:?}; there are {}", all()))
}

/// So many entries of a long list are shown to people who ask for everything.
const SHOWN: usize = 12;

/// Shows them.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let host = args.what.of(&[Kind::Host])?;
    let client = global.client()?;
    client.get(Kind::Host, &host.name).await?;
    let parts = args.part.map_or(FactsPart::ALL.to_vec(), |part| vec![part]);
    let mut found: BTreeMap<&str, FactsData> = BTreeMap::new();
    let mut text = String::new();
    let (paint, whole) = (Paint::stdout(), args.part.is_some());
    for part in parts {
        let any = match client.get(Kind::Facts, &part.of_host(&host.name)).await {
            Ok(any) => any,
            // A part nobody has found yet.
            Err(error) if is_missing(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        let Some(facts) = any.of::<Facts>() else { continue };
        let Some(data) = facts.status.data.clone() else { continue };
        let age = facts.status.since.map(|at| format!("so for {}", short(now().since(at))));
        let age = paint.tone(Tone::Dim, &age.unwrap_or_default());
        text.push_str(&format!("{}  {age}\n", paint.tone(Tone::Strong, part.name())));
        text.push_str(&lines(&data, whole));
        found.insert(part.name(), data);
    }
    if found.is_empty() {
        let message = format!("nothing is known of {host} yet; its agent tells within seconds");
        return Err(Failure::failed(message).into());
    }
    let format = args.output.output;
    let values: BTreeMap<&str, Value> = found.iter().map(|(k, data)| (*k, inner(data))).collect();
    let shown = match (format, whole) {
        (Format::Json | Format::Yaml, true) => {
            let one = values.into_values().next().unwrap_or_default();
            output::value(&one, format, String::new)?
        }
        _ => output::value(&values, format, || text)?,
    };
    output::print(&shown)?;
    Ok(Exit::Done)
}

fn is_missing(error: &ClientError) -> bool {
    error.status() == Some(404)
}

/// The content without the name of its part.
fn inner(data: &FactsData) -> Value {
    let value = serde_json::to_value(data).unwrap_or_default();
    value.as_object().and_then(|map| map.values().next().cloned()).unwrap_or_default()
}

/// A part to be read: a line each, lists cut short unless the part was asked for.
fn lines(data: &FactsData, whole: bool) -> String {
    let all: Vec<String> = match data {
        FactsData::System(_) | FactsData::Custom(_) | FactsData::Mends(_) => flat("", &inner(data)),
        FactsData::Storage(all) => {
            let disks = all.disks.iter().map(|d| {
                let of = if d.rotational { "disk" } else { "flash" };
                format!("{:<14} {} {of} {} {}", d.name, d.size, d.model, d.serial)
            });
            let mounted = all
                .filesystems
                .iter()
                .map(|f| format!("{:<14} {} {} on {}", f.mount, f.size, f.of, f.device));
            disks.chain(mounted).collect()
        }
        FactsData::Network(all) => {
            let interfaces = all.interfaces.iter().map(|i| {
                let state = if i.up { "up" } else { "down" };
                format!("{:<14} {state} {} {}", i.name, i.mac, i.addresses.join(" "))
            });
            let routes = all.routes.iter().map(|r| match r.via.is_empty() {
                true => format!("{:<14} over {}", r.to, r.interface),
                false => format!("{:<14} via {} over {}", r.to, r.via, r.interface),
            });
            interfaces.chain(routes).collect()
        }
        FactsData::Listeners(all) => {
            let line = |l: &atoll_model::cmdb::facts::Listener| {
                format!("{:>5}/{} on {:<16} {}", l.port, l.protocol, l.address, l.process)
            };
            all.iter().map(line).collect()
        }
        FactsData::Links(all) => {
            all.iter().map(|l| format!("{} -> {}:{}", l.instance, l.address, l.port)).collect()
        }
        FactsData::Packages(all) => all.iter().map(|(n, v)| format!("{n} {v}")).collect(),
    };
    let long = !whole && all.len() > SHOWN && !matches!(data, FactsData::System(_));
    let more = if long { all.len() - SHOWN } else { 0 };
    let mut text: String = all
        .iter()
        .take(all.len() - more)
        .map(|line| format!("  {}\n", plain(line.trim_end())))
        .collect();
    if more > 0 {
        let part = data.part().name();
        text.push_str(&format!("  … {more} more: atoll facts host/NAME {part}\n"));
    }
    if all.is_empty() {
        text.push_str("  none\n");
    }
    text
}

/// Every value with its path, as filters name it.
fn flat(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let below = |(key, value): (&String, &Value)| match path {
                "" => flat(key, value),
                path => flat(&format!("{path}.{key}"), value),
            };
            map.iter().flat_map(below).collect()
        }
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::Object(_) if path.is_empty() => Vec::new(),
        Value::String(text) => vec![format!("{path:<20} {text}")],
        other => vec![format!("{path:<20} {other}")],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_are_shown_by_their_paths() {
        let said = flat("", &json!({ "os": { "name": "debian", "version": "" }, "memory": 1 }));
        assert_eq!(said, ["memory               1", "os.name              debian"]);
        let many = (0..20).map(|i| (format!("p{i:02}"), "1".to_owned())).collect();
        let shown = lines(&FactsData::Packages(many), false);
        assert!(shown.ends_with("  … 8 more: atoll facts host/NAME packages\n"), "{shown}");
        assert!(part("nonsense").unwrap_err().contains("there are system, storage"));
    }
}
