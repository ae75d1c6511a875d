//! What the fleet costs and whose that is, with what is idle and shared apportioned. It stores
//! nothing and charges nobody.

use std::collections::BTreeMap;

use atoll_model::budget::Money;
use atoll_model::budget::report::{CostReport, CostRow, NOBODY, Unpriced};
use atoll_model::{Application, Host, Kind, Snapshot};

use super::book::{self, Book};
use super::cost::{Tariff, apportion, split};
use super::scope::{parts, team_of};
use crate::Context;

/// By what costs are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A row for each team.
    Team,
    /// A row for each application.
    Application,
    /// A row for each environment.
    Environment,
    /// A row for each host, with what is idle on it.
    Host,
}

impl By {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            By::Team => "team",
            By::Application => "application",
            By::Environment => "environment",
            By::Host => "host",
        }
    }

    /// The kind of what rows are named by.
    pub fn kind(self) -> Kind {
        match self {
            By::Team => Kind::Team,
            By::Application => Kind::Application,
            By::Environment => Kind::Environment,
            By::Host => Kind::Host,
        }
    }

    /// What people wrote.
    pub fn parse(text: &str) -> Option<By> {
        let all = [By::Team, By::Application, By::Environment, By::Host];
        all.into_iter().find(|by| by.name() == text)
    }

    /// Whose an instance is.
    fn of(self, world: &Snapshot, host: &str, instance: &str) -> String {
        let (application, environment) = parts(parts(instance).0);
        match self {
            By::Host => host.to_owned(),
            By::Application => application.to_owned(),
            By::Environment => environment.to_owned(),
            By::Team => {
                let found = world.get::<Application>(application);
                found.and_then(|a| team_of(a)).unwrap_or(NOBODY).to_owned()
            }
        }
    }
}

/// What the fleet costs an hour in a currency; in that of the widest price, if none is named.
///
/// **Invariant:** the rows are together what priced hosts cost, whatever they are put together by.
pub fn costs(cx: &Context, by: By, currency: Option<&str>) -> CostReport {
    let (world, now) = (cx.world, cx.now);
    let named = currency.map(str::to_owned);
    let currency = named.or_else(|| book::usual(world, now).map(str::to_owned));
    let mut rows: BTreeMap<String, CostRow> = BTreeMap::new();
    let (mut total, mut unpriced) = (CostRow::default(), Vec::new());
    let mut elsewhere: BTreeMap<String, u32> = BTreeMap::new();
    let book = Book::of(world, currency.as_deref().unwrap_or_default(), now);
    for host in world.all::<Host>() {
        let tariff = match Tariff::of(world, &book, host) {
            Ok(tariff) => tariff,
            Err(_) if let Some(other) = book.paid_elsewhere(host) => {
                *elsewhere.entry(other.to_owned()).or_default() += 1;
                continue;
            }
            Err(missing) => {
                let missing = missing.into_iter().map(str::to_owned).collect();
                unpriced.push(Unpriced { host: host.name().to_owned(), missing });
                continue;
            }
        };
        let split = split(world, host, &tariff);
        for (instance, cost) in &split.instances {
            let row = rows.entry(by.of(world, host.name(), instance)).or_default();
            row.instances += 1;
            row.used = row.used + *cost;
        }
        if by == By::Host {
            let row = rows.entry(host.name().to_owned()).or_default();
            (row.shared, row.idle) = (split.shared, split.idle);
        }
        total.instances += split.instances.len() as u32;
        total.used = total.used + split.used();
        total.shared = total.shared + split.shared;
        total.idle = total.idle + split.idle;
    }
    let mut rows: Vec<CostRow> =
        rows.into_iter().map(|(name, row)| CostRow { name, ..row }).collect();
    if by != By::Host {
        spread(&mut rows, &total);
    }
    for row in rows.iter_mut().chain([&mut total]) {
        row.total = row.used + row.shared + row.idle;
    }
    rows.sort_by(|a, b| b.total.cmp(&a.total).then(a.name.cmp(&b.name)));
    CostReport { currency, at: now, by: by.name().to_owned(), rows, total, unpriced, elsewhere }
}

/// Gives each its part of what is shared and idle, by what it uses; to nobody, where nobody uses
/// anything that costs.
fn spread(rows: &mut Vec<CostRow>, total: &CostRow) {
    if total.used == Money(0) && total.shared + total.idle != Money(0) {
        match rows.iter_mut().find(|row| row.name == NOBODY) {
            Some(row) => (row.shared, row.idle) = (total.shared, total.idle),
            None => rows.push(CostRow {
                name: NOBODY.to_owned(),
                shared: total.shared,
                idle: total.idle,
                ..CostRow::default()
            }),
        }
        return;
    }
    let weights: Vec<u64> = rows.iter().map(|row| row.used.0.max(0).unsigned_abs()).collect();
    let (shared, idle) = (apportion(total.shared, &weights), apportion(total.idle, &weights));
    for (row, (shared, idle)) in rows.iter_mut().zip(shared.into_iter().zip(idle)) {
        (row.shared, row.idle) = (shared, idle);
    }
}
