//! How well applications, teams and the fleet keep the standards, now and day by day, from the
//! scorecards alone. Nothing of it is stored.

use std::collections::BTreeMap;

use atoll_model::policy::{DayScore, FindingState, KEPT_DAYS, ScoreRow, Scores};
use atoll_model::{Object, Scorecard, Timestamp};

use super::{DAY, day_of};
use crate::Context;

/// By what scores are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A row for each application.
    Application,
    /// A row for each owner.
    Team,
    /// One row.
    Fleet,
}

impl By {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            By::Application => "application",
            By::Team => "team",
            By::Fleet => "fleet",
        }
    }
}

/// The scores of so many days, today last, the lowest first.
pub fn scores(cx: &Context, by: By, days: usize) -> Scores {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for card in cx.world.all::<Scorecard>() {
        let owner = card.status.owner.as_deref();
        let name = match by {
            By::Application => match card.spec.subject.strip_prefix("application/") {
                Some(name) => name,
                None => continue,
            },
            By::Team => owner.unwrap_or("nobody"),
            By::Fleet => "fleet",
        };
        rows.entry(name).or_default().add(card, cx.now, days.clamp(1, KEPT_DAYS));
    }
    let mut items: Vec<ScoreRow> = rows.into_iter().map(|(name, row)| row.row(name, by)).collect();
    items.sort_by_key(|row| row.score.map_or(u32::MAX, |score| score));
    Scores { by: by.name().to_owned(), items }
}

/// What is gathered for one row.
#[derive(Default)]
struct Row {
    owner: Option<String>,
    cards: u32,
    checks: u32,
    broken: u32,
    waived: u32,
    /// The sum of scores, and how many there are.
    now: (u64, u64),
    days: BTreeMap<Timestamp, (u64, u64)>,
}

impl Row {
    fn add(&mut self, card: &Object<Scorecard>, now: Timestamp, days: usize) {
        let status = &card.status;
        self.owner.clone_from(&status.owner);
        self.cards += 1;
        self.checks += status.checks;
        self.broken += status.broken;
        let waived = status.findings.iter().filter(|f| f.state == FindingState::Waived);
        self.waived += waived.count() as u32;
        if let Some(score) = status.score {
            self.now = (self.now.0 + u64::from(score), self.now.1 + 1);
        }
        let today = day_of(now);
        for back in 0..days as i64 {
            let day = Timestamp(today.0 - back * DAY);
            let known = status.trend.iter().rev().find(|point| point.day <= day);
            let sum = self.days.entry(day).or_default();
            if let Some(score) = known.and_then(|point| point.score) {
                *sum = (sum.0 + u64::from(score), sum.1 + 1);
            }
        }
    }

    fn row(self, name: &str, by: By) -> ScoreRow {
        let middle = |(sum, count): (u64, u64)| (count > 0).then(|| (sum / count) as u32);
        ScoreRow {
            name: name.to_owned(),
            owner: self.owner.filter(|_| by == By::Application),
            score: middle(self.now),
            cards: self.cards,
            checks: self.checks,
            broken: self.broken,
            waived: self.waived,
            trend: self
                .days
                .into_iter()
                .map(|(day, sum)| DayScore { day, score: middle(sum) })
                .collect(),
        }
    }
}
