//! What is measured of a rollout: the built-in signals, the application's promises and the signals
//! it declares, and what to ask the metrics store for them. Answers are read in `observe.rs`.

use atoll_model::deployment::RolloutStatus;
use atoll_model::guard::{Guard, Missing, Signal, SignalKind, Worse};
use atoll_model::monitoring::Promise;
use atoll_model::{Application, Deployment, Instance, Object, Snapshot, Span, Timestamp};

use crate::query::{Period, Query};

/// Which part of a signal a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The deployment, by instance where there are series by instance.
    All,
    /// What runs the new release, for what has no series by instance.
    New,
    /// What runs the old one.
    Old,
    /// The deployment, so many days earlier.
    Day(u32),
}

/// A signal and the PromQL for it.
pub(super) struct Source {
    pub signal: Signal,
    pub expression: String,
    /// Its query may give one series for the whole.
    pub whole: bool,
}

/// Earlier days that are asked for.
pub(super) const DAYS: u32 = 3;
/// With so many unchanged instances earlier days add nothing.
const ENOUGH_UNCHANGED: usize = 2;
/// Rates are taken over this long.
const WINDOW: &str = "1m";

/// The name of the query that tells which instance ran which release when.
pub(super) const RELEASES: &str = "guard:releases";

pub(super) fn name_of(signal: &str, part: Part) -> String {
    match part {
        Part::All => format!("guard:{signal}"),
        Part::New => format!("guard:{signal}:new"),
        Part::Old => format!("guard:{signal}:old"),
        Part::Day(ago) => format!("guard:{signal}:day-{ago}"),
    }
}

/// What to ask the metrics store before a deployment in a rollout is judged; nothing where none is
/// under way, where it goes back, or where the guard is off. The answers go to
/// [`observe`](super::observe()).
pub fn queries(world: &Snapshot, deployment: &Object<Deployment>, now: Timestamp) -> Vec<Query> {
    let Some((application, rollout)) = subject(world, deployment) else { return Vec::new() };
    let rules = &application.spec.rollout.guard;
    let from = rollout.since - rules.before;
    let mut all = vec![ask(
        RELEASES.to_owned(),
        "count by (instance, release) (container_memory_working_set_bytes)".to_owned(),
        ("deployment", deployment.name()),
        window(from, now, Span::seconds(15)),
    )];
    let unchanged = world
        .derived::<Instance>(deployment.name())
        .filter(|instance| instance.spec.release != rollout.to)
        .count();
    for source in sources(&application.spec) {
        let step = step_of(source.signal.measure, rules);
        let mut add = |part, narrowed: (&str, &str), period| {
            let name = name_of(&source.signal.name, part);
            all.push(ask(name, source.expression.clone(), narrowed, period));
        };
        let here = ("deployment", deployment.name());
        add(Part::All, here, window(from, now, step));
        if source.whole {
            add(Part::New, ("release", &rollout.to), window(from, now, step));
            if let Some(old) = &deployment.status.release {
                add(Part::Old, ("release", old), window(from, now, step));
            }
        }
        if unchanged < ENOUGH_UNCHANGED && source.signal.measure != SignalKind::Events {
            for ago in 1..=DAYS {
                let day = Span::seconds(86_400 * u64::from(ago));
                add(Part::Day(ago), here, window(from - day, now - day, step));
            }
        }
    }
    all
}

/// What is judged: the application and the rollout on its way out, if one is watched.
pub(super) fn subject<'a>(
    world: &'a Snapshot,
    deployment: &'a Object<Deployment>,
) -> Option<(&'a Object<Application>, &'a RolloutStatus)> {
    let application = world.get::<Application>(&deployment.spec.application)?;
    let rollout = deployment.status.rollout.as_ref().filter(|rollout| !rollout.back)?;
    super::is_watching(&application.spec.rollout.guard).then_some((application, rollout))
}

fn ask(name: String, expression: String, narrowed: (&str, &str), period: Period) -> Query {
    let narrowed = Some((narrowed.0.to_owned(), narrowed.1.to_owned()));
    Query { name, expression, narrowed, unfiltered: false, period, record: None }
}

/// Times are multiples of the step, so that the same points are asked for again and again.
fn window(from: Timestamp, to: Timestamp, step: Span) -> Period {
    let size = i64::try_from(step.0).unwrap_or(i64::MAX).max(1);
    let aligned = |at: Timestamp| Timestamp(at.0.div_euclid(size) * size);
    Period::Range { from: aligned(from), to: aligned(to), step }
}

/// Counts are taken once a minute, so that none counts twice; values oftener, but not more than
/// a few hundred times.
fn step_of(measure: SignalKind, rules: &Guard) -> Span {
    let fine = match measure {
        SignalKind::Events => 60,
        SignalKind::Saturation | SignalKind::Value => 15,
        SignalKind::Latency | SignalKind::Errors | SignalKind::Traffic => 30,
    };
    let coarse = (rules.before.0 + rules.after.0) / 1000 / 300;
    Span::seconds(fine.max(coarse.div_ceil(15) * 15))
}

/// Everything that is measured of an application's rollouts.
pub(super) fn sources(application: &Application) -> Vec<Source> {
    let rules = &application.rollout.guard;
    let mut all: Vec<Source> = application.objectives.iter().map(promised).collect();
    all.extend(rules.signals.iter().map(|signal| Source {
        signal: signal.clone(),
        expression: signal.query.replace("{{window}}", WINDOW),
        whole: false,
    }));
    let taken = |all: &[Source], name: &str| all.iter().any(|s| s.signal.name == name);
    for source in built_in() {
        let name = &source.signal.name;
        if !rules.without.contains(name) && !taken(&all, name) {
            all.push(source);
        }
    }
    all
}

/// A promise as a signal: fail-closed, and critical where the promise is.
fn promised(promise: &Promise) -> Source {
    let counted = promise.good.as_deref().zip(promise.total.as_deref());
    let (measure, worse, expression) = match counted {
        Some((good, total)) => {
            let rate = |what: &str| format!("sum by (instance) (rate({what}[{WINDOW}]))");
            let share = format!("1 - ({} / {})", rate(good), rate(total));
            (SignalKind::Errors, Worse::Higher, share)
        }
        None => {
            let expression = promise.query.replace("{{window}}", WINDOW);
            match promise.bound() {
                Some(_) => (SignalKind::Latency, Worse::Higher, expression),
                None => (SignalKind::Errors, Worse::Lower, expression),
            }
        }
    };
    let signal = Signal {
        name: promise.name.clone(),
        query: expression.clone(),
        worse,
        measure,
        critical: promise.critical,
        missing: Missing::Closed,
        effect: 0.1,
        least: 0.0,
    };
    Source { signal, expression, whole: true }
}

/// Signals every application has. They are left out where there are no data: nobody asked for
/// them.
fn built_in() -> Vec<Source> {
    let by = |what: &str| format!("sum by (instance) ({what})");
    let rate = |what: &str| by(&format!("rate({what}[{WINDOW}])"));
    let failed = format!(
        "(sum by (instance) (rate(http_requests_total{{code=~\"5..\"}}[{WINDOW}]) or \
         rate(http_requests_total{{status=~\"5..\"}}[{WINDOW}])) or 0 * {all}) / {all}",
        all = rate("http_requests_total"),
    );
    let errors = "increase(atoll_instance_log_lines_total{level=\"error\"}[1m])";
    let rows = [
        ("restarts", SignalKind::Events, 0.5, by("increase(atoll_instance_restarts_total[1m])")),
        ("error-lines", SignalKind::Events, 1.0, by(errors)),
        ("cpu", SignalKind::Saturation, 0.5, rate("container_cpu_usage_seconds_total")),
        ("memory", SignalKind::Saturation, 0.3, by("container_memory_working_set_bytes")),
        ("requests", SignalKind::Traffic, 0.3, rate("http_requests_total")),
        ("errors", SignalKind::Errors, 0.1, failed),
        (
            "latency",
            SignalKind::Latency,
            0.2,
            format!(
                "{} / {}",
                rate("http_request_duration_seconds_sum"),
                rate("http_request_duration_seconds_count")
            ),
        ),
    ];
    let mut all = Vec::new();
    for (name, measure, effect, expression) in rows {
        let least = match name {
            "cpu" => 0.05,
            "memory" => 16e6,
            "errors" => 0.005,
            _ => 0.0,
        };
        let signal = Signal {
            name: name.to_owned(),
            query: expression.clone(),
            worse: if measure == SignalKind::Traffic { Worse::Lower } else { Worse::Higher },
            measure,
            critical: false,
            missing: Missing::Open,
            effect,
            least,
        };
        all.push(Source { signal, expression, whole: false });
    }
    all
}
