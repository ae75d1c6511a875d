//! Whether instances ask for as much as they use: right-sizing. It advises, and changes nothing:
//! what an instance asks for stands in its release, and is its developers'.
//!
//! As Kubernetes' vertical autoscaler recommends: of cpu a high percentile over time, for a peak of
//! it only makes slower; of memory the most, for too little of it kills; and a margin on both.

use std::collections::BTreeMap;

use atoll_model::budget::money::Money;
use atoll_model::capacity::size::{SizeReport, SizeRow, SizeVerdict};
use atoll_model::run::Resources;
use atoll_model::{
    Cpu, Deployment, Host, Instance, Kind, Memory, Object, Reason, Release, Span, Timestamp,
};

use crate::Context;
use crate::budget::book::{self, Book};
use crate::budget::cost::Tariff;
use crate::query::{Answers, Period, Query, Series};

/// The share of the time for which a cpu should suffice.
const CPU_SHARE: f64 = 0.95;
/// What is advised is so many times what is used.
const MARGIN: f64 = 1.15;
/// Where use ends at what is asked for, nobody knows how much it would be: so many times that.
const GROWN: f64 = 1.5;
/// Cpu beyond this share of what is asked for is bounded by it.
const BOUNDED: f64 = 0.9;
/// Kept from running for this share of the time, and the cpu is too little.
const THROTTLED: f64 = 0.25;
/// What differs by less than this share of what is asked for, fits.
const TELLING: f64 = 0.1;
/// Nor does less than so much count, of cpu and of memory; it is also the least that is advised.
const LEAST: Resources = Resources { cpu: Cpu(10), memory: Memory(8 << 20) };
/// So many values of a series at most.
const POINTS: u64 = 1_000;
/// From one value to the next.
const STEP: (Span, Span) = (Span::seconds(60), Span::seconds(3_600));
/// Advice takes a day that was measured, or half of the time that was asked for.
const DAY: Span = Span::seconds(86_400);

/// So far back is looked, where nobody says.
pub const USUAL: Span = Span::seconds(7 * 86_400);
/// So far back may be looked.
pub const WITHIN: std::ops::RangeInclusive<Span> = Span::seconds(3_600)..=Span::seconds(7_776_000);

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Only of this deployment or application.
    pub of: Option<(Kind, String)>,
    /// So far back; at least an hour.
    pub over: Span,
    /// Money in this currency; in that of the widest price, if absent.
    pub currency: Option<String>,
}

/// What has to be measured for it.
pub fn queries(ask: &Ask, now: Timestamp) -> Vec<Query> {
    let step = step(ask.over);
    let range = Period::Range { from: now - ask.over, to: now, step };
    let (step, over) = (format!("{}s", step.0 / 1_000), format!("{}s", ask.over.0 / 1_000));
    let each = "deployment, release, instance";
    let cpu = format!(r#"rate(container_cpu_usage_seconds_total{{cpu="total"}}[{step}])"#);
    let periods = |which: &str| format!("rate(container_cpu_cfs_{which}_total[{step}])");
    let all = [
        ("cpu", range, format!("max by (deployment) (sum by ({each}) ({cpu}))")),
        (
            "memory",
            range,
            format!(
                "max by (deployment) (max_over_time(container_memory_working_set_bytes[{step}]))"
            ),
        ),
        (
            "throttled",
            range,
            format!(
                "max by (deployment, release) ({} / ({} > 0))",
                periods("throttled_periods"),
                periods("periods")
            ),
        ),
        (
            "killed",
            Period::At(now),
            format!(
                "sum by (deployment, release) (increase(container_oom_events_total[{over}])) > 0"
            ),
        ),
    ];
    let narrowed = ask.of.as_ref().map(|(kind, name)| {
        let label = if *kind == Kind::Application { "application" } else { "deployment" };
        (label.to_owned(), name.clone())
    });
    let query = |(name, period, expression): (&str, Period, String)| Query {
        period,
        narrowed: narrowed.clone(),
        ..Query::at(name, expression, now)
    };
    all.into_iter().map(query).collect()
}

fn step(over: Span) -> Span {
    Span((over.0 / POINTS).clamp(STEP.0.0, STEP.1.0) / 1_000 * 1_000)
}

/// Advises, by the answers to [`queries`].
///
/// # Errors
/// Why nothing could be measured.
pub fn sizes(cx: &Context, ask: &Ask, answers: &Answers) -> Result<SizeReport, Reason> {
    let usual = || book::usual(cx.world, cx.now).map(str::to_owned);
    let currency = ask.currency.clone().or_else(usual);
    let prices = Prices::of(cx, currency.as_deref());
    let measured = Measured::read(answers)?;
    let mut rows: Vec<SizeRow> = cx
        .world
        .all::<Deployment>()
        .filter(|deployment| match &ask.of {
            None => true,
            Some((Kind::Application, name)) => deployment.spec.application == *name,
            Some((_, name)) => deployment.name() == name,
        })
        .filter_map(|deployment| row(cx, deployment, ask, &measured, &prices))
        .collect();
    let order = |row: &SizeRow| {
        let saves = row.saves.unwrap_or_default();
        (row.verdict != SizeVerdict::TooLittle, std::cmp::Reverse(saves), row.deployment.clone())
    };
    rows.sort_by_cached_key(order);
    let saves = currency.is_some().then(|| rows.iter().filter_map(|row| row.saves).sum());
    Ok(SizeReport { over: ask.over, currency, rows, saves })
}

/// What was measured, by deployment, and what a release suffered from, by both.
struct Measured<'a> {
    cpu: BTreeMap<&'a str, &'a Series>,
    memory: BTreeMap<&'a str, &'a Series>,
    throttled: BTreeMap<(&'a str, &'a str), &'a Series>,
    killed: BTreeMap<(&'a str, &'a str), f64>,
}

impl<'a> Measured<'a> {
    fn read(answers: &'a Answers) -> Result<Measured<'a>, Reason> {
        let series = |name: &str| match answers.get(name) {
            Some(Ok(answer)) => Ok(answer.series.as_slice()),
            Some(Err(reason)) => Err(reason.clone()),
            None => Ok(&[][..]),
        };
        let label = |series: &'a Series, name: &str| series.labels.get(name).map(String::as_str);
        let plain = |series: &'a [Series]| {
            series.iter().filter_map(|s| Some((label(s, "deployment")?, s))).collect()
        };
        let both = |s: &'a Series| Some((label(s, "deployment")?, label(s, "release")?));
        Ok(Measured {
            cpu: plain(series("cpu")?),
            memory: plain(series("memory")?),
            throttled: series("throttled")?.iter().filter_map(|s| Some((both(s)?, s))).collect(),
            killed: series("killed")?
                .iter()
                .filter_map(|s| Some((both(s)?, s.points.last()?.1)))
                .collect(),
        })
    }
}

fn row(
    cx: &Context,
    deployment: &Object<Deployment>,
    ask: &Ask,
    measured: &Measured,
    prices: &Prices,
) -> Option<SizeRow> {
    let name = deployment.name();
    let instances: Vec<&Object<Instance>> =
        cx.world.derived::<Instance>(name).map(|instance| &**instance).collect();
    let newest = instances.iter().map(|instance| instance.spec.release.as_str());
    let release = deployment.status.release.as_deref().or_else(|| newest.max())?.to_owned();
    let spec = cx.world.get::<Release>(&release).map(|release| release.spec.run.resources);
    let asked = spec.or_else(|| instances.first().map(|instance| instance.spec.resources))?;
    let mut row = SizeRow {
        deployment: name.to_owned(),
        instances: instances.len() as u32,
        asked,
        release,
        ..SizeRow::default()
    };
    if instances.is_empty() {
        return None;
    }
    let (cpu, memory) = (measured.cpu.get(name), measured.memory.get(name));
    let (Some(cpu), Some(memory)) = (cpu, memory) else {
        row.notes.push("its use is not measured".to_owned());
        return Some(row);
    };
    // A value is of what was there of its step, which is little of the first.
    let steps = Span(step(ask.over).0 * cpu.points.len().min(memory.points.len()) as u64);
    let age = deployment.meta.created_at.map(|at| cx.now.since(at));
    let seen = age.map_or(steps, |age| steps.min(age));
    if seen < DAY.min(Span(ask.over.0 / 2)) {
        row.notes.push(format!("only {} of {} is measured", seen.rough(), ask.over));
        return Some(row);
    }
    let used = Resources {
        cpu: Cpu((quantile(cpu, CPU_SHARE) * 1_000.0).ceil() as u64),
        memory: Memory(quantile(memory, 1.0).ceil() as u64),
    };
    let of_release = (name, row.release.as_str());
    let throttled = measured.throttled.get(&of_release).map_or(0.0, |s| quantile(s, CPU_SHARE));
    let killed = measured.killed.get(&of_release).copied().unwrap_or_default();
    let advised = advise(asked, used, throttled, killed, &mut row.notes);
    row.verdict = if advised.cpu > asked.cpu || advised.memory > asked.memory {
        SizeVerdict::TooLittle
    } else if advised == asked {
        SizeVerdict::Fits
    } else {
        SizeVerdict::TooMuch
    };
    row.saves = prices.saves(&instances, asked, advised);
    (row.used, row.advised) = (Some(used), Some(advised));
    Some(row)
}

/// What to ask for, and why it is more than what is used would say.
fn advise(
    asked: Resources,
    used: Resources,
    throttled: f64,
    killed: f64,
    notes: &mut Vec<String>,
) -> Resources {
    let mut cpu = used.cpu.0 as f64 * MARGIN;
    if throttled >= THROTTLED {
        let share = throttled * 100.0;
        notes.push(format!("was kept from running for {share:.0} % of the time it wanted to"));
        cpu = cpu.max(asked.cpu.0 as f64 * GROWN);
    } else if used.cpu.0 as f64 > asked.cpu.0 as f64 * BOUNDED {
        notes.push("uses all the cpu it may: how much more it would is not seen".to_owned());
        cpu = cpu.max(asked.cpu.0 as f64 * GROWN);
    }
    let mut memory = used.memory.0 as f64 * MARGIN;
    if killed > 0.0 {
        let times = killed.ceil();
        notes.push(format!("was killed {times} times for want of memory"));
        memory = memory.max(asked.memory.0 as f64 * GROWN);
    }
    Resources {
        cpu: Cpu(fitting(asked.cpu.0, cpu, LEAST.cpu.0)),
        memory: Memory(fitting(asked.memory.0, memory, LEAST.memory.0)),
    }
}

/// What is asked for, where that is near enough; else a whole multiple of the least.
fn fitting(asked: u64, wanted: f64, least: u64) -> u64 {
    let steps = (wanted / least as f64).ceil().max(1.0) as u64;
    let advised = steps.saturating_mul(least);
    let off = advised.abs_diff(asked);
    if off < least || (off as f64) < asked as f64 * TELLING { asked } else { advised }
}

/// The value that a share of all are at most.
fn quantile(series: &Series, share: f64) -> f64 {
    let finite = series.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
    let mut values: Vec<f64> = finite.collect();
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().unwrap_or_default().max(0.0)
}

/// What hosts of instances cost.
struct Prices(BTreeMap<String, Tariff>);

impl Prices {
    fn of(cx: &Context, currency: Option<&str>) -> Prices {
        let Some(currency) = currency else { return Prices(BTreeMap::new()) };
        let book = Book::of(cx.world, currency, cx.now);
        let tariff = |host: &Object<Host>| Tariff::of(cx.world, &book, host).ok();
        let all = cx.world.all::<Host>();
        Prices(all.filter_map(|host| Some((host.name().to_owned(), tariff(host)?))).collect())
    }

    /// What instances would cost less an hour, if all of them are on hosts that have a price.
    fn saves(
        &self,
        instances: &[&Object<Instance>],
        asked: Resources,
        advised: Resources,
    ) -> Option<Money> {
        let each = |instance: &&Object<Instance>| {
            let tariff = self.0.get(&instance.spec.host)?;
            Some(tariff.share(asked) - tariff.share(advised))
        };
        instances.iter().map(each).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::query::Answer;
    use crate::testing;
    use atoll_model::Any;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const ASKED: Resources = Resources { cpu: Cpu(1_000), memory: Memory(512 << 20) };

    fn series(values: &[f64]) -> Series {
        let labels = [("deployment", "shop.prod"), ("release", "shop-1")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Series { labels, points: values.iter().map(|value| (NOW, *value)).collect(), lag: None }
    }

    /// What is said where an instance used these, once every ten minutes for a week.
    fn told(cpu: &[f64], memory: f64, more: &[(&str, f64)]) -> SizeRow {
        told_of(USUAL, cpu, memory, more)
    }

    /// The same of a deployment that is so old.
    fn told_of(age: Span, cpu: &[f64], memory: f64, more: &[(&str, f64)]) -> SizeRow {
        let mut answers = Answers::new();
        let mut answer = |name: &str, series: Vec<Series>| {
            let answer = Arc::new(Answer { series, ..Answer::default() });
            answers.insert(name.to_owned(), Ok(answer));
        };
        answer("cpu", vec![series(cpu)]);
        answer("memory", vec![series(&vec![memory * f64::from(1 << 20); cpu.len()])]);
        more.iter().for_each(|(name, value)| answer(name, vec![series(&[*value])]));
        let spec = serde_json::json!({ "application": "shop", "environment": "prod" });
        let mut deployment: Object<Deployment> =
            Object::new("shop.prod", serde_json::from_value(spec).unwrap());
        deployment.meta.created_at = Some(NOW - age);
        deployment.status.release = Some("shop-1".to_owned());
        let instance = |name: &str| match testing::instance(name, "a") {
            Any::Instance(mut it) => {
                Arc::make_mut(&mut it).spec.resources = ASKED;
                Any::Instance(it)
            }
            other => other,
        };
        let deployment = Any::Deployment(Arc::new(deployment));
        let [one, other] = ["shop.prod.0", "shop.prod.1"].map(instance);
        let world = testing::world([deployment, one, other]);
        let measured = crate::Measurements::default();
        let ask = Ask { of: None, over: USUAL, currency: None };
        let cx = Context { world: &world, measured: &measured, now: NOW };
        sizes(&cx, &ask, &answers).unwrap().rows.remove(0)
    }

    #[test]
    fn what_is_asked_for_is_what_is_used_and_a_margin() {
        let mut week = vec![0.2; 1_000];
        week[0..40].fill(0.9);
        let row = told(&week, 100.0, &[]);
        assert_eq!((row.verdict, row.instances), (SizeVerdict::TooMuch, 2));
        let advised = row.advised.unwrap();
        assert_eq!((advised.cpu, advised.memory), (Cpu(230), Memory(120 << 20)));
        // More than a twentieth of the time.
        week[0..60].fill(0.8);
        assert_eq!(told(&week, 450.0, &[]).verdict, SizeVerdict::Fits);
        let row = told(&week, 500.0, &[]);
        assert_eq!(row.verdict, SizeVerdict::TooLittle);
        assert_eq!(row.advised.unwrap().memory, Memory(576 << 20));
    }

    #[test]
    fn where_use_ends_at_what_is_asked_for_more_is_advised() {
        let week = vec![0.95; 1_000];
        let row = told(&week, 450.0, &[]);
        assert_eq!(row.advised.unwrap().cpu, Cpu(1_500));
        let idle = vec![0.3; 1_000];
        let row = told(&idle, 450.0, &[("throttled", 0.4)]);
        assert_eq!((row.verdict, row.advised.unwrap().cpu), (SizeVerdict::TooLittle, Cpu(1_500)));
        assert!(row.notes[0].contains("kept from running for 40 %"), "{:?}", row.notes);
        // However little it asks for.
        assert_eq!(fitting(20, 20.0 * GROWN, LEAST.cpu.0), 30);
        let row = told(&idle, 100.0, &[("killed", 2.0)]);
        assert_eq!((row.verdict, row.advised.unwrap().memory), {
            (SizeVerdict::TooLittle, Memory(768 << 20))
        });
    }

    #[test]
    fn too_little_is_no_ground_for_advice() {
        let row = told(&[0.2; 100], 100.0, &[]);
        assert_eq!((row.verdict, row.advised), (SizeVerdict::Unknown, None));
        assert!(row.notes[0].contains("only 16h"), "{:?}", row.notes);
        let young = told_of(Span::seconds(300), &[0.2], 100.0, &[]);
        assert_eq!(young.notes, ["only 5m of 7d is measured"], "no longer than it is there");
    }
}
