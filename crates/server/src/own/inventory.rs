//! The figures of the inventory, of each class, as they are scraped.

use atoll_metrics::exposition::Kind;
use atoll_metrics::exposition::writer::Writer;
use atoll_model::cmdb::view::ClassFigures;

use crate::Server;

/// Writes how good the inventory is.
pub fn inventory(app: &Server, writer: &mut Writer) {
    // What is not known has no value.
    type Read = fn(&ClassFigures) -> Option<f64>;
    let all: [(&str, &str, Read); 5] = [
        ("atoll_inventory_things", "Things in the inventory.", |c| Some(c.things as f64)),
        ("atoll_inventory_coverage_ratio", "The share of them that was seen.", |c| {
            Some(c.coverage)
        }),
        ("atoll_inventory_freshness_ratio", "The share of what was seen that is not stale.", {
            |c| c.freshness
        }),
        ("atoll_inventory_correctness_ratio", "The share that is as it should be.", {
            |c| c.correctness
        }),
        ("atoll_inventory_drift", "Open findings.", |c| Some(c.drift as f64)),
    ];
    let told = app.inventory_figures(&app.cache.world());
    for (name, help, read) in all {
        let mut rows = writer.family(name, Kind::Gauge, help);
        for class in &told.classes {
            if let Some(value) = read(class) {
                rows.value(&[("class", &class.class)], value);
            }
        }
    }
}
