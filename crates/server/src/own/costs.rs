//! What the fleet costs, as it is scraped, so that there is a record of it.

use atoll_metrics::exposition::Kind;
use atoll_metrics::exposition::writer::Writer;
use atoll_plan::Context;
use atoll_plan::budget::book::currencies;
use atoll_plan::budget::showback::{By, costs as work_out};

use crate::Server;

/// Writes what the fleet costs an hour, in each currency there are prices of.
pub fn costs(app: &Server, writer: &mut Writer) {
    let (world, measured, now) = (app.cache.world(), app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    let known = currencies(&world, now);
    if known.is_empty() {
        return;
    }
    let help = "What priced hosts cost an hour: what instances use, what all share, what is idle.";
    let mut rows = writer.family("atoll_cost_per_hour", Kind::Gauge, help);
    for currency in known {
        let total = work_out(&cx, By::Host, Some(currency)).total;
        let parts = [("used", total.used), ("shared", total.shared), ("idle", total.idle)];
        for (part, money) in parts {
            rows.value(&[("currency", currency), ("part", part)], money.0 as f64 / 1e6);
        }
    }
}
