//! What planners ask in a rehearsal, answered as the metrics store would if the load were what is
//! supposed: for each deployment and not for each instance. It evaluates no PromQL: what a query is
//! for follows from who asks it.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::{
    Application, Autoscaler, Deployment, Objective, Reason, Snapshot, Span, Timestamp,
};

use super::load::Loads;
use super::watched;
use crate::elasticity::ahead::{self, HISTORY};
use crate::monitoring::series::{BAD_1H, BAD_SO_FAR, EVENTS, EVENTS_EXPECTED, EVENTS_SO_FAR};
use crate::query::{Answer, Period, Query, Series};

/// A forecast reaches an hour ahead and is used for half of one; it is not made oftener than this.
const FORECAST_EVERY: u64 = 25 * 60_000;

/// What is measured.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    /// The load that is supposed.
    pub loads: Loads,
    /// Whose load nobody measures, whatever it is.
    pub unmeasured: BTreeSet<String>,
    /// What one instance of each deployment carries.
    pub each: BTreeMap<String, Carries>,
    /// What failed, in one step after the other.
    failed: BTreeMap<String, Failed>,
    /// Releases of which so large a share of requests fails.
    pub failing: BTreeMap<String, f64>,
    /// Of what was promised before, the share of each budget that was spent, and until when.
    spent: BTreeMap<String, f64>,
    from: Timestamp,
    recent: BTreeMap<String, Vec<(Timestamp, f64)>>,
    forecast: BTreeMap<String, Timestamp>,
}

/// What one instance of a deployment carries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Carries {
    /// The load it is known to carry.
    pub each: f64,
    /// The load that was too much for one; none where nobody has seen that yet.
    pub breaks: Option<f64>,
}

impl Carries {
    /// It carries that and no more.
    pub fn exactly(each: f64) -> Carries {
        Carries { each, breaks: Some(each) }
    }
}

/// Requests of a deployment since the beginning, and those of them that failed, at the end of each
/// minute.
#[derive(Debug, Default)]
struct Failed {
    at: Vec<Timestamp>,
    sums: Vec<(f64, f64)>,
}

impl Failed {
    fn until(&self, at: Timestamp) -> (f64, f64) {
        match self.at.partition_point(|time| *time <= at) {
            0 => (0.0, 0.0),
            next => self.sums[next - 1],
        }
    }

    /// All and bad of the time between.
    fn between(&self, from: Timestamp, to: Timestamp) -> (f64, f64) {
        let (a, b) = (self.until(from), self.until(to));
        (b.0 - a.0, b.1 - a.1)
    }
}

impl Measures {
    pub fn new(loads: Loads, each: BTreeMap<String, Carries>) -> Measures {
        Measures { loads, each, ..Measures::default() }
    }

    /// Goes on from what the fleet has spent of its error budgets. Whether anything is known of
    /// that.
    pub fn go_on(&mut self, world: &Snapshot, from: Timestamp) -> bool {
        let known = world.all::<Objective>().filter_map(|objective| {
            let left = objective.status.budget_left.filter(|left| left.is_finite())?;
            Some((objective.meta.name.clone(), 1.0 - left))
        });
        (self.spent, self.from) = (known.collect(), from);
        !self.spent.is_empty()
    }

    /// Notes so many requests of a step that ends then, and the share of them that failed. Only
    /// of what promises something is it asked.
    pub fn note(&mut self, deployment: &str, at: Timestamp, requests: f64, share: f64) {
        if !self.failed.contains_key(deployment) {
            self.failed.insert(deployment.to_owned(), Failed::default());
        }
        let Some(failed) = self.failed.get_mut(deployment) else { return };
        let last = failed.sums.last().copied().unwrap_or_default();
        let sums = (last.0 + requests, last.1 + requests * share);
        let minute = |at: Timestamp| (at.0 - 1).div_euclid(60_000);
        match failed.at.last_mut().filter(|last| minute(**last) == minute(at)) {
            Some(last) => {
                *last = at;
                failed.sums.pop();
            }
            None => failed.at.push(at),
        }
        failed.sums.push(sums);
    }

    /// The load of a deployment at a time, where it is measured.
    fn load(&self, deployment: &str, at: Timestamp) -> Option<f64> {
        let load = self.loads.at(deployment, at).filter(|load| load.is_finite());
        load.filter(|_| !self.unmeasured.contains(deployment))
    }

    /// The answer to a planner.
    pub fn answer(
        &mut self,
        world: &Snapshot,
        controller: &str,
        subject: &str,
        query: &Query,
    ) -> Result<Answer, Reason> {
        match controller {
            "autoscaler" => self.signal(world, subject, query),
            "capacity" => self.carried(world, subject, query),
            "objective" => Ok(self.promise(world, subject, query).map_or_else(nothing, one)),
            "peak" => Ok(self.of_peak(query)),
            "deployment" => Ok(watched::answer(self, world, subject, query)),
            _ => Ok(nothing()),
        }
    }

    /// What the autoscaler of a deployment asks.
    fn signal(
        &mut self,
        world: &Snapshot,
        deployment: &str,
        query: &Query,
    ) -> Result<Answer, Reason> {
        let Period::Range { from, to, step } = query.period else {
            // It is kept as a series, which is what is asked for next.
            return Ok(nothing());
        };
        let name = query.name.strip_prefix("recent ");
        let Some(signal) = name else {
            let last = self.forecast.get(deployment);
            // The days before belong to the forecast that was asked for just now.
            if query.name != HISTORY {
                return match last.is_some_and(|last| ahead::is_day_before(query, *last)) {
                    true => Ok(self.history(deployment, query)),
                    false => {
                        Err(Reason::new("not-yet", "there is a forecast that is young enough"))
                    }
                };
            }
            if last.is_some_and(|last| to.since(*last).0 < FORECAST_EVERY) {
                return Err(Reason::new("not-yet", "there is a forecast that is young enough"));
            }
            self.forecast.insert(deployment.to_owned(), to);
            return Ok(self.history(deployment, query));
        };
        let mut kept = self.recent.remove(deployment).unwrap_or_default();
        kept.drain(..kept.partition_point(|(at, _)| *at < from));
        let mut at = kept.last().map_or(from, |(at, _)| *at + step);
        while at <= to {
            kept.extend(self.load(deployment, at).map(|load| (at, load)));
            at = at + step;
        }
        let mut points = kept.clone();
        self.recent.insert(deployment.to_owned(), kept);
        if let Some(factor) = self.as_signal(world, deployment, signal) {
            points.iter_mut().for_each(|(_, value)| *value *= factor);
        }
        Ok(Answer { series: vec![Series { points, ..Series::default() }], ..Answer::default() })
    }

    /// By how much the load is multiplied to be what a signal says; none where the load is that.
    /// What is not the load is taken to ask for as many instances as the load does.
    fn as_signal(&self, world: &Snapshot, deployment: &str, signal: &str) -> Option<f64> {
        if signal == atoll_model::elasticity::LOAD {
            return None;
        }
        let of = world.get::<Deployment>(deployment)?;
        let scaler = world.get::<Autoscaler>(deployment)?;
        let application = world.get::<Application>(&of.spec.application)?;
        let scaling = application.spec.scaling.as_ref()?;
        let each = match &scaling.per_instance {
            Some(load) => crate::capacity::target(world, scaler.name(), load.target),
            None => self.each.get(deployment)?.each,
        };
        let asked = scaling.all_signals().find(|one| one.name == signal)?;
        match (asked.per_instance, asked.below) {
            (Some(own), _) => Some(own / each),
            (None, Some(below)) => Some(below / each / f64::from(of.status.ready.max(1))),
            (None, None) => None,
        }
    }

    fn history(&self, deployment: &str, query: &Query) -> Answer {
        let Period::Range { from, to, step } = query.period else { return nothing() };
        let times = std::iter::successors(Some(from), |at| Some(*at + step));
        // The highest of each step, of a look each minute.
        let known = |at: Timestamp| {
            let looks = (0..(step.0 / 60_000).max(1)).map(|i| at - Span(i * 60_000));
            let loads = looks.filter_map(|at| self.load(deployment, at));
            Some((at, loads.max_by(f64::total_cmp)?))
        };
        let points = times.take_while(|at| *at <= to).filter_map(known).collect();
        Answer { series: vec![Series { points, ..Series::default() }], ..Answer::default() }
    }

    /// What the planner of peaks asks: of the past, and of now, each of one deployment.
    fn of_peak(&self, query: &Query) -> Answer {
        let Some((what, deployment)) = query.name.split_once(' ') else { return nothing() };
        match query.period {
            Period::At(at) if what == "now" => {
                let load = self.load(deployment, at);
                load.map_or_else(nothing, |load| one((at, load)))
            }
            Period::At(_) => nothing(),
            Period::Range { .. } => self.history(deployment, query),
        }
    }

    /// What the planner of capacities asks.
    fn carried(&self, world: &Snapshot, deployment: &str, query: &Query) -> Result<Answer, Reason> {
        let Period::At(at) = query.period else {
            // The days to come are told of today, and a rehearsal decides nothing by them.
            return Err(Reason::new("rehearsal", "the days to come are not forecast anew"));
        };
        if query.name == "load" {
            let times = (0..10).map(|i| at - Span::seconds(i * 30));
            let loads: Vec<f64> = times.filter_map(|at| self.load(deployment, at)).collect();
            let mean = loads.iter().sum::<f64>() / loads.len().max(1) as f64;
            return Ok(if loads.is_empty() { nothing() } else { one((at, mean)) });
        }
        if query.name == "load now" {
            let load = self.load(deployment, at);
            return Ok(load.map_or_else(nothing, |load| one((at, load))));
        }
        let Some((what, promise)) = query.name.split_once(' ') else { return Ok(nothing()) };
        let objective = format!("{deployment}.{promise}");
        let Some((all, bad)) = self.lately(world, &objective, at, 300) else {
            return Ok(nothing());
        };
        let value = if what == "bad" { bad / all.max(1e-9) } else { all };
        Ok(one((at, value)))
    }

    /// All and bad requests of an objective's deployment in the last so many seconds.
    fn lately(
        &self,
        world: &Snapshot,
        objective: &str,
        at: Timestamp,
        seconds: u64,
    ) -> Option<(f64, f64)> {
        let objective = world.get::<Objective>(objective)?;
        let failed = self.failed.get(&objective.spec.deployment)?;
        let sums = failed.between(at - Span::seconds(seconds), at);
        (sums.0 > 0.0).then_some(sums)
    }

    /// What the planner of objectives asks. What was before the beginning is as much as there is
    /// now, with as much bad among it as the budget says; it goes out of the window evenly.
    fn promise(
        &self,
        world: &Snapshot,
        objective: &str,
        query: &Query,
    ) -> Option<(Timestamp, f64)> {
        let Period::At(at) = query.period else { return None };
        let object = world.get::<Objective>(objective)?;
        let window = object.spec.promise.window.0 / 1_000;
        let metric = query.expression.split('{').next()?;
        let spent = self.spent.get(objective);
        let passed = at.since(self.from).0 as f64 / 1_000.0;
        let left = spent.map_or(0.0, |_| (1.0 - passed / window as f64).max(0.0));
        let expected = || {
            let seconds = passed.clamp(60.0, 3_600.0);
            Some(self.lately(world, objective, at, 3_600)?.0 / seconds * window as f64)
        };
        let value = match metric {
            EVENTS => self.lately(world, objective, at, 300)?.0,
            BAD_SO_FAR => {
                let allowed = object.spec.promise.allowed();
                let before = spent.map_or(0.0, |spent| spent * allowed * left);
                self.lately(world, objective, at, window)?.1 + before * expected()?
            }
            EVENTS_SO_FAR => self.lately(world, objective, at, window)?.0 + left * expected()?,
            EVENTS_EXPECTED => expected()?,
            BAD_1H => {
                let (all, bad) = self.lately(world, objective, at, 3_600)?;
                bad / all
            }
            _ => return None,
        };
        Some((at, value))
    }
}

fn nothing() -> Answer {
    Answer::default()
}

fn one(point: (Timestamp, f64)) -> Answer {
    let series = vec![Series { points: vec![point], ..Series::default() }];
    Answer { series, ..Answer::default() }
}
