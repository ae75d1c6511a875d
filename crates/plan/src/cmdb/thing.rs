//! One thing of the inventory in full: its attributes, who it is, what it has to do with others,
//! and its findings. Put together when it is asked for.

use atoll_model::cmdb::facts::FactsPart;
use atoll_model::cmdb::item::Observed;
use atoll_model::cmdb::view::{Attribute, Standing, ThingView};
use atoll_model::{Any, Drift, Host, Kind, Object};

use super::graph::{Graph, id};
use super::{attribute, facts, identity};
use crate::Context;

/// What is shown of every host, whether anybody expects something of it or not.
const SHOWN: [&str; 14] = [
    "address",
    "zone",
    "hostname",
    "os.name",
    "os.version",
    "kernel",
    "architecture",
    "cpu.model",
    "cpu.cores",
    "memory",
    "virtualization",
    "hardware.serial",
    "hardware.uuid",
    "cloud.instance",
];

/// Everything about one thing. `None`, if there is none.
pub fn view(cx: &Context, kind: Kind, name: &str) -> Option<ThingView> {
    let any = cx.world.find(kind, name)?;
    let subject = id(kind, name);
    let (attributes, known) = match &any {
        Any::Host(host) => (of_host(cx, host), identity::of_host(cx.world, host)),
        Any::Item(item) => {
            let said = item.status.matches.iter();
            let said =
                said.map(|m| format!("{} calls it {:?}: {}", m.source, m.key, m.explanation));
            (attribute::of_item(cx, item), said.collect())
        }
        _ => (Vec::new(), Vec::new()),
    };
    let prefix = Drift::prefix(&subject);
    let drift = cx.world.derived::<Drift>(&prefix);
    Some(ThingView {
        attributes,
        identity: known,
        relations: Graph::of(cx.world).around(&subject),
        drift: drift.map(|drift| drift.meta.name.clone()).collect(),
        subject,
    })
}

fn of_host(cx: &Context, host: &Object<Host>) -> Vec<Attribute> {
    let mut all = attribute::of_host(cx, host);
    for path in SHOWN {
        if all.iter().any(|attribute| attribute.name == path) {
            continue;
        }
        let Some((value, at)) = facts::lookup(cx.world, host.name(), path) else { continue };
        if value.as_str() == Some("") {
            continue;
        }
        let source = format!("agent/{}", host.name());
        all.push(Attribute {
            name: path.to_owned(),
            should: None,
            is: vec![Observed { value, source, at }],
            seen: facts::part(cx.world, host.name(), FactsPart::System).map(|(_, at)| at),
            used: None,
            standing: Standing::Undeclared,
        });
    }
    all
}
