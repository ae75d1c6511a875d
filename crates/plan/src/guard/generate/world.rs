//! The world values are drawn from: load that moves, instances that differ, noise that lasts, and
//! counts that are counts. What happens in it is the plan of `generate.rs`.

use atoll_model::{Span, Timestamp};

use super::super::case::{CaseSeries, CaseSignal};
use super::{Around, EPOCH, Harm, Plan, instance};
use crate::guard::generate::chance::Chance;

const DAY: f64 = 86_400.0;

/// One application on one day.
pub(super) struct World<'a> {
    plan: &'a Plan,
    /// Milliseconds; a second for the slow.
    latency: f64,
    /// The share that always fails.
    failing: f64,
    /// How much load slows.
    strain: f64,
    /// Where in the daily wave the change lies, 0 to 1.
    hour: f64,
    /// The instance that is broken or has a neighbour.
    odd: usize,
    /// How each instance differs: speed and share of the load.
    speed: Vec<f64>,
    share: Vec<f64>,
    /// Error lines a minute.
    lines: f64,
    memory: f64,
    leaks_memory: bool,
    /// When gaps begin.
    gap_from: f64,
}

/// One instance at one time.
struct Moment {
    at: f64,
    changed: bool,
    index: usize,
    today: bool,
}

impl<'a> World<'a> {
    pub fn new(plan: &'a Plan, chance: &mut Chance) -> World<'a> {
        // The same for all days of a case: drawn from its measures, not from the running stream.
        let mut fixed = Chance::new((plan.rate * 1e6) as u64 ^ (plan.noise * 1e9) as u64);
        let odd = match plan.around {
            Around::Neighbour(..) if fixed.happens(0.5) => fixed.whole(0, plan.instances - 1),
            _ => fixed.whole(0, plan.changed - 1),
        };
        let mut differ = |deviation: f64| -> Vec<f64> {
            (0..plan.instances).map(|_| (deviation * fixed.normal()).exp()).collect()
        };
        let (speed, share) = (differ(0.04), differ(0.05));
        World {
            latency: fixed.scaled(3.0, 800.0),
            failing: if fixed.happens(0.3) { 0.0 } else { fixed.scaled(0.0003, 0.01) },
            strain: fixed.between(0.0, 0.5),
            hour: fixed.unit(),
            odd,
            speed,
            share,
            lines: if fixed.happens(0.4) { 0.0 } else { fixed.scaled(0.1, 5.0) },
            memory: fixed.scaled(30.0, 4000.0),
            leaks_memory: fixed.happens(0.6),
            gap_from: chance.between(-0.5, 0.7) * plan.soak,
            plan,
        }
    }

    /// All series of one day; day 0 is the one of the change.
    pub fn draw(&self, signals: &[CaseSignal], ago: u32, chance: &mut Chance) -> Vec<CaseSeries> {
        let plan = self.plan;
        let count = ((plan.before + plan.soak) / plan.step).floor() as usize;
        let common: Vec<f64> = waves(count, 0.02, 0.9, chance);
        let mut all = Vec::new();
        for index in 0..plan.instances {
            let noise = waves(count, plan.noise, plan.memory, chance);
            let mut columns: Vec<Vec<Option<f64>>> = vec![Vec::new(); signals.len()];
            for i in 0..count {
                let at = (i + 1) as f64 * plan.step - plan.before;
                let changed = index < plan.changed;
                let moment = Moment { at, changed, index, today: ago == 0 };
                let lost = self.is_lost(&moment, chance);
                let values = self.values(&moment, noise[i] + common[i], common[i], chance);
                for (column, signal) in columns.iter_mut().zip(signals) {
                    let value = values.iter().find(|v| v.0 == signal.name).and_then(|v| v.1);
                    column.push(value.filter(|_| !lost).map(rounded));
                }
            }
            for (signal, values) in signals.iter().zip(columns) {
                let from = -plan.before + plan.step - DAY * f64::from(ago);
                all.push(CaseSeries {
                    signal: signal.name.clone(),
                    instance: instance(index),
                    day: -(ago as i32),
                    start: Timestamp(EPOCH + (from * 1000.0) as i64),
                    step: Span((plan.step * 1000.0) as u64),
                    values,
                });
            }
        }
        all
    }

    fn is_lost(&self, moment: &Moment, chance: &mut Chance) -> bool {
        if self.plan.fresh && moment.changed && moment.at <= 0.0 && moment.today {
            return true;
        }
        match self.plan.around {
            Around::Gaps(share, long) => {
                let in_gap = moment.at > self.gap_from && moment.at < self.gap_from + long;
                chance.happens(share) || in_gap
            }
            _ => false,
        }
    }

    /// Load relative to the usual.
    fn load(&self, moment: &Moment) -> f64 {
        let after = moment.at > 0.0 && moment.today;
        match self.plan.around {
            Around::Shift(times) if after => times,
            Around::Fall(share) if after => share,
            Around::Daily(by) => {
                let wave = std::f64::consts::TAU * (moment.at / DAY * 2.0 + self.hour);
                1.0 + by * wave.sin()
            }
            _ => 1.0,
        }
    }

    fn slower(&self, moment: &Moment) -> f64 {
        let Moment { at, changed, index, today } = *moment;
        let harmed = today && changed && at > 0.0;
        let mut times = match self.plan.harm {
            Harm::Latency(times) if harmed => times,
            Harm::OneSlow(times) if harmed && index == self.odd => times,
            Harm::Leak(share) if harmed && !self.leaks_memory => 1.0 + share * at / self.plan.soak,
            _ => 1.0,
        };
        times *= match self.plan.around {
            Around::Neighbour(times, from, long) => {
                let now = today && index == self.odd && at > from && at < from + long;
                if now { times } else { 1.0 }
            }
            Around::WarmUp(times, long) if harmed => 1.0 + (times - 1.0) * (-at / long).exp(),
            _ => 1.0,
        };
        times
    }

    fn failing(&self, moment: &Moment) -> f64 {
        let Moment { at, changed, index, today } = *moment;
        let (harmed, part) = (today && changed && at > 0.0, at / self.plan.soak);
        let mut share = self.failing;
        share += match self.plan.harm {
            Harm::Errors(more, from, until) if harmed && part > from && part <= until => more,
            Harm::OneFailing(more) if harmed && index == self.odd => more,
            _ => 0.0,
        };
        if let Around::Outage(more) = self.plan.around
            && today
            && part > 0.1
            && part < 0.5
        {
            share += more;
        }
        share.min(1.0)
    }

    fn values(
        &self,
        moment: &Moment,
        noise: f64,
        common: f64,
        chance: &mut Chance,
    ) -> [(&'static str, Option<f64>); 6] {
        let plan = self.plan;
        let harmed = moment.today && moment.changed && moment.at > 0.0;
        let minutes = plan.step / 60.0;
        let load = self.load(moment);
        let left = match plan.harm {
            Harm::Vanish(share) if harmed => share,
            _ => 1.0,
        };
        let rate = plan.rate * load * left * self.share[moment.index] * (common).exp();
        let requests = chance.events(rate * plan.step);
        let failed = chance.successes(requests, self.failing(moment));
        let mut latency = self.latency * self.speed[moment.index] * load.powf(self.strain);
        latency *= self.slower(moment) * noise.exp();
        if requests > 0.0 {
            // A mean of few is less certain.
            latency *= (0.3 / requests.sqrt() * chance.normal()).exp();
        }
        if plan.heavy && chance.happens(0.03) {
            latency *= chance.between(1.5, 5.0);
        }
        let mut memory = self.memory * self.speed[moment.index] * (0.02 * noise).exp();
        memory *= 1.0 + 0.005 * chance.normal();
        if let Harm::Leak(share) = plan.harm
            && harmed
            && self.leaks_memory
        {
            memory *= 1.0 + share * moment.at / plan.soak;
        }
        if matches!(plan.around, Around::WarmUp(..)) && harmed {
            memory *= 1.0 - 0.3 * (-moment.at / 200.0).exp();
        }
        let mut lines =
            self.lines + 0.5 * rate.min(20.0) * 60.0 * (self.failing(moment) - self.failing);
        let mut restarts = 0.0005;
        match plan.harm {
            Harm::Lines(more) if harmed => lines += more,
            Harm::Restarts(more) if harmed => restarts += more,
            _ => {}
        }
        let any = requests > 0.0;
        [
            ("latency", any.then_some(latency)),
            ("errors", any.then_some(failed / requests.max(1.0))),
            ("requests", Some(requests / plan.step)),
            ("memory", Some(memory)),
            ("error-lines", Some(chance.events(lines * minutes))),
            ("restarts", Some(chance.events(restarts * minutes))),
        ]
    }
}

/// Noise that lasts: each value keeps a share of the one before.
fn waves(count: usize, deviation: f64, memory: f64, chance: &mut Chance) -> Vec<f64> {
    let fresh = (1.0 - memory * memory).sqrt();
    let mut last = chance.normal();
    (0..count)
        .map(|_| {
            last = memory * last + fresh * chance.normal();
            deviation * last
        })
        .collect()
}

/// Four digits: files stay small, and no judge needs more.
fn rounded(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let size = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * size).round() / size
}
