//! The number of instances of deployments whose applications say what it goes by: what is asked of
//! the metrics, the decision, and what is said of it. It writes an autoscaler's own status and
//! nothing else; the deployment's planner reads that. The arithmetic is in `decide.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::elasticity::{
    Asked, AutoscalerPhase, AutoscalerStatus, ForecastStatus, LOAD, Scaling, ScalingMode, Score,
};
use atoll_model::object::Stored;
use atoll_model::{
    Any, Application, Autoscaler, Deployment, Intent, Object, Reason, Snapshot, Span, Timestamp,
    Write,
};

use crate::query::{Answer, Answers, Period, Query, Recording, Series};
use crate::{Context, Plan, budget, capacity, checksum, peak, sooner};
use decide::{EVERY, Foreseen, Needs, Question};

pub mod ahead;
pub mod decide;
pub mod derive;
mod score;
mod seen;
mod told;
pub(crate) mod unread;

/// The series that keeps what signals say.
pub const SIGNAL: &str = "scaling:signal";
/// So much of it is looked at for a decision.
const RECENT: Span = Span::seconds(2_400);
/// A signal that asks for more than so many times as many instances as there may be is not
/// believed, as if nothing had been measured.
const ABSURD: f64 = 1_000.0;
/// So long an instance takes to serve, where nothing else is known.
const START: Span = Span::seconds(60);

/// An autoscaler with what it is of.
struct Subject<'a> {
    object: &'a Arc<Object<Autoscaler>>,
    deployment: &'a Arc<Object<Deployment>>,
    scaling: &'a Scaling,
    signals: Vec<Asked<'a>>,
}

impl<'a> Subject<'a> {
    fn of(world: &'a Snapshot, name: &str) -> Option<Subject<'a>> {
        let object = world.get::<Autoscaler>(name)?;
        let deployment = world.get::<Deployment>(&object.spec.deployment)?;
        let application = world.get::<Application>(&deployment.spec.application)?;
        let scaling = application.spec.scaling.as_ref()?;
        Some(Subject { object, deployment, scaling, signals: scaling.all_signals().collect() })
    }

    /// The load one instance is to have goes by what it has been seen to carry.
    fn with_capacity(mut self, world: &Snapshot) -> Subject<'a> {
        for signal in self.signals.iter_mut().filter(|signal| signal.name == LOAD) {
            let declared = signal.per_instance;
            let target = |each| capacity::target(world, self.object.name(), each);
            signal.per_instance = declared.map(target);
        }
        self
    }

    /// Whether it acts. One that has to have shown first that it would do well only observes until
    /// it has.
    fn mode(&self) -> ScalingMode {
        match self.asked_mode() {
            ScalingMode::Act if self.lacks().is_empty() => ScalingMode::Act,
            _ => ScalingMode::Observe,
        }
    }

    fn asked_mode(&self) -> ScalingMode {
        self.object.spec.mode.unwrap_or(self.scaling.mode)
    }

    /// What its score lacks of what is asked for before it may act.
    fn lacks(&self) -> Vec<String> {
        self.lacks_with(self.object.status.score.as_ref())
    }

    /// What that score lacks.
    fn lacks_with(&self, score: Option<&Score>) -> Vec<String> {
        let asked = self.object.spec.requires.as_ref().or(self.scaling.requires.as_ref());
        asked.map_or_else(Vec::new, |asked| match score {
            Some(score) => score.lacks(asked),
            None => Score::default().lacks(asked),
        })
    }

    /// What its score is counted of.
    fn scored(&self) -> score::Of {
        let rules = Scaling { mode: ScalingMode::Observe, requires: None, ..self.scaling.clone() };
        let basis = serde_json::to_vec(&(rules, self.bounds())).unwrap_or_default();
        let sum = checksum([basis.as_slice()]);
        score::Of {
            basis: (sum ^ (sum >> 32)) as u32,
            let_act: self.asked_mode() == ScalingMode::Act,
            there: score::There {
                ready: self.deployment.status.ready,
                wanted: self.deployment.wanted(),
            },
        }
    }

    /// What a forecast may be made of is declared, and one is wanted.
    fn is_forecast(&self) -> bool {
        self.scaling.predict && self.scaling.per_instance.is_some()
    }

    /// How long is waited before anything is taken away of a load that is as it was foreseen. What
    /// was taken away too soon is there again after the time to start, so that is enough, where
    /// nothing else is said.
    fn foreseen_after(&self) -> Span {
        self.scaling.down_after.unwrap_or(START)
    }

    /// It shrinks once all signals have asked for fewer for so long.
    fn down_after(&self) -> Span {
        self.scaling.down_after.unwrap_or(Scaling::DOWN_AFTER)
    }

    /// What its schedules ask for at least.
    fn floor(&self, now: Timestamp) -> u32 {
        let floors = self.scaling.schedules.iter().filter(|floor| floor.until(now).is_some());
        floors.map(|floor| floor.at_least).max().unwrap_or(0)
    }

    fn bounds(&self) -> (u32, u32) {
        let spec = &self.object.spec;
        let max = spec.max.unwrap_or(self.scaling.max);
        let min = spec.min.unwrap_or(self.scaling.min);
        (min.min(max), max)
    }
}

/// What is asked for one autoscaler: each signal, which is kept as a series, and that series.
pub fn queries(cx: &Context, name: &str) -> Vec<Query> {
    let Some(subject) = Subject::of(cx.world, name) else { return Vec::new() };
    let at = due_at(name, cx.now);
    let mut all = Vec::new();
    for signal in &subject.signals {
        let mut now = Query::at(format!("now {}", signal.name), signal.query, at);
        now.narrowed = Some(("deployment".to_owned(), name.to_owned()));
        let labels = [("deployment", name), ("signal", signal.name)];
        let labels: BTreeMap<String, String> =
            labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        now.record = Some(Recording {
            metric: SIGNAL.to_owned(),
            labels,
            limit: 0,
            alone: true,
            fresh: true,
        });
        all.push(now);
        let kept = format!("{SIGNAL}{{deployment=\"{name}\",signal=\"{}\"}}", signal.name);
        let mut recent = Query::at(format!("recent {}", signal.name), kept, at);
        recent.period = Period::Range { from: at - RECENT, to: at, step: EVERY };
        all.push(recent);
    }
    if subject.is_forecast() {
        all.extend(ahead::queries(name, subject.object.status.forecast.as_ref(), at));
    }
    all
}

/// Spread over the time from one decision to the next.
fn due_at(name: &str, now: Timestamp) -> Timestamp {
    let every = EVERY.0 as i64;
    let offset = (checksum([name.as_bytes()]) % EVERY.0) as i64;
    Timestamp((now.0 - offset).div_euclid(every) * every + offset)
}

/// Plans for one autoscaler.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(subject) = Subject::of(cx.world, name) else { return Plan::nothing() };
    let subject = subject.with_capacity(cx.world);
    let mut plan = Plan::nothing();
    plan.again_at = Some(due_at(name, cx.now) + EVERY);
    let schedules = &subject.scaling.schedules;
    for change in schedules.iter().filter_map(|floor| floor.until(cx.now)) {
        plan.again_at = sooner(plan.again_at, Some(change));
    }
    if cx.measured.answers.is_empty() && !subject.signals.is_empty() {
        return plan;
    }
    let status = decided(cx, &subject);
    if told::is_news(&subject.object.status, &status) {
        plan.intent = Intent::Observe;
        plan.reasons.clone_from(&status.reasons);
        let mut new = Object::clone(subject.object);
        new.status = status;
        plan.writes.push(Write::Put(Any::Autoscaler(Arc::new(new))));
    }
    plan
}

fn decided(cx: &Context, subject: &Subject) -> AutoscalerStatus {
    let stored = &subject.object.status;
    let (min, max) = subject.bounds();
    let most = f64::from(max.max(1)) * ABSURD;
    let points = points(subject, &cx.measured.answers, most);
    let needs = needs(subject, &cx.measured.answers, &points);
    let current = stored.desired.unwrap_or_else(|| subject.deployment.wanted());
    let forecast = forecast(cx, subject);
    let bound = budget::bound::bound(cx, subject.deployment, max);
    let peak = peak::kept(cx.world, subject.object.name()).map_or(0, |(keep, _)| keep);
    // What a peak takes, the gate has asked budgets for already.
    let max = bound.as_ref().map_or(max, |bound| bound.most.max(min).max(peak.min(max)));
    let decision = decide::decide(&Question {
        now: cx.now,
        current,
        since: stored.since,
        min,
        max,
        floor: subject.floor(cx.now),
        peak,
        before: before(cx, subject, &needs, current),
        expected: expected(subject, forecast.as_ref(), cx.now),
        signals: &needs,
        down_after: subject.down_after(),
        foreseen_after: subject.foreseen_after(),
        start: START,
    });
    // What a schedule or a peak asks for needs nothing measured.
    let asked = subject.floor(cx.now).max(peak) > 0;
    let began = stored.phase != AutoscalerPhase::Waiting || !decision.blind || asked;
    let (mut reasons, mut wanted) = (decision.reasons, decision.desired);
    let odd = absurd(subject, &cx.measured.answers, most);
    let shrinks = wanted < current.min(max);
    let (unread, unread_at) = unread(cx, subject, shrinks, &reasons);
    if shrinks && (unread.is_some() || !odd.is_empty()) {
        (wanted, reasons) = (current.min(max), Vec::new());
    }
    reasons.extend(unread);
    let full = current > max || reasons.iter().any(|reason| reason.code == "at-max");
    let bound = bound.filter(|_| full || max < subject.bounds().1).map(|bound| bound.reason);
    reasons.retain(|reason| bound.is_none() || reason.code != "at-max");
    // Who looks for the bounds that are declared is told why they are others.
    reasons.extend(bound);
    reasons.extend(failures(subject, &cx.measured.answers));
    reasons.extend(odd);
    let score = match subject.mode() {
        ScalingMode::Observe => score::look(stored, &needs, subject.scored(), cx.now),
        ScalingMode::Act => stored.score.clone(),
    };
    reasons.extend(unproven(subject, score.as_ref()));
    let desired = began.then_some(wanted);
    AutoscalerStatus {
        phase: match subject.mode() {
            _ if !began => AutoscalerPhase::Waiting,
            ScalingMode::Observe => AutoscalerPhase::Observing,
            ScalingMode::Act if decision.blind => AutoscalerPhase::Blind,
            ScalingMode::Act => AutoscalerPhase::Acting,
        },
        desired,
        since: if desired == stored.desired { stored.since } else { Some(cx.now) },
        min,
        max,
        signals: told::signals(subject, &needs, cx.now),
        forecast,
        score,
        unread_at,
        seen_at: Some(cx.now),
        reasons,
    }
}

/// So many there were before a peak raised them, where no signal has said anything since and none
/// fails: what is there for a load that is only not measured any more stays.
fn before(cx: &Context, subject: &Subject, needs: &[Needs], current: u32) -> Option<u32> {
    let (name, stored) = (subject.object.name(), &subject.object.status);
    let silent = needs.iter().all(|needs| needs.points.is_empty() && needs.old.is_none());
    if !silent || !failures(subject, &cx.measured.answers).is_empty() {
        return None;
    }
    let measured_at = stored.signals.iter().filter_map(|signal| signal.measured_at).max();
    let number = peak::Number { current, since: stored.since, measured_at };
    peak::unmeasured(cx.world, name, number)
}

/// That metrics of its instances cannot be read, where it has no data or would shrink: every
/// instance is looked at for it; and when that was so last, as long as what was seen then is looked
/// back over.
fn unread(
    cx: &Context,
    subject: &Subject,
    shrinks: bool,
    told: &[Reason],
) -> (Option<Reason>, Option<Timestamp>) {
    let asked = shrinks || told.iter().any(|reason| reason.code == "no-data");
    let reason = asked.then(|| unread::reason(cx.world, subject.object.name())).flatten();
    if reason.is_some() {
        return (reason, Some(cx.now));
    }
    // It is written that seldom.
    let holds = Span(subject.down_after().0 + told::SHOWN.0);
    let at = subject.object.status.unread_at.filter(|at| cx.now < *at + holds);
    (at.filter(|_| shrinks).map(|at| unread::until(at + holds)), at)
}

/// The forecast that holds: a new one, if one was asked for.
fn forecast(cx: &Context, subject: &Subject) -> Option<ForecastStatus> {
    let stored = subject.object.status.forecast.clone().filter(|_| subject.is_forecast());
    match cx.measured.answers.get(ahead::HISTORY) {
        Some(Ok(history)) => {
            let events = ahead::events(cx.world, subject.object.name(), cx.now);
            let days = ahead::days(&cx.measured.answers);
            Some(ahead::made(history, &days, cx.now, &events))
        }
        Some(Err(_)) | None => stored,
    }
}

/// How many instances are expected to be needed by the time a new one serves.
fn expected(
    subject: &Subject,
    forecast: Option<&ForecastStatus>,
    now: Timestamp,
) -> Option<Foreseen> {
    let first = subject.signals.first().filter(|signal| signal.name == LOAD)?;
    ahead::need(forecast?, first.per_instance?, now, START)
}

/// The series a signal is kept as: what an older query left in it has labels of its own.
fn plainest(answer: &Answer) -> Option<&Series> {
    answer.series.iter().min_by_key(|series| series.labels.len())
}

/// How many instances each signal asked for, over the last while.
/// What asks for more than `most` is not believed.
fn points(subject: &Subject, answers: &Answers, most: f64) -> Vec<Vec<(Timestamp, f64)>> {
    let of = |signal: &Asked| {
        let answer = answers.get(&format!("recent {}", signal.name))?.as_ref().ok()?;
        let points = &plainest(answer)?.points;
        let sound = points.iter().filter(|(_, value)| value.is_finite() && *value >= 0.0);
        let all = sound.map(|(at, value)| (*at, need(subject, signal, *value)));
        let mut needs = Vec::with_capacity(points.len());
        needs.extend(all.filter(|(_, need)| *need <= most));
        Some(needs)
    };
    subject.signals.iter().map(|signal| of(signal).unwrap_or_default()).collect()
}

/// What each signal asks for. What was kept of one that is only carried on now may be no older than
/// a moment all the same.
fn needs<'a>(
    subject: &Subject<'a>,
    answers: &Answers,
    points: &'a [Vec<(Timestamp, f64)>],
) -> Vec<Needs<'a>> {
    let old = |signal: &Asked| {
        let answer = answers.get(&format!("now {}", signal.name))?.as_ref().ok()?;
        answer.completeness.carried_on()
    };
    let each = subject.signals.iter().zip(points);
    each.map(|(signal, points)| Needs { name: signal.name, points, old: old(signal) }).collect()
}

/// How many instances a signal of that value asks for.
fn need(subject: &Subject, signal: &Asked, value: f64) -> f64 {
    let serving = f64::from(subject.deployment.status.ready.max(1));
    match (signal.per_instance, signal.below) {
        (Some(each), _) => value / each,
        (None, Some(below)) => serving * value / below,
        (None, None) => 0.0,
    }
}

/// Why it only observes, though it is let act.
fn unproven(subject: &Subject, score: Option<&Score>) -> Option<Reason> {
    let lacks = subject.lacks_with(score);
    if subject.asked_mode() == ScalingMode::Observe || lacks.is_empty() {
        return None;
    }
    let message = format!("it observes until its score is what is required: {}", lacks.join("; "));
    let place = match subject.object.spec.requires {
        Some(_) => format!("requires of autoscaler/{}", subject.object.name()),
        None => format!("scaling.requires of application/{}", subject.deployment.spec.application),
    };
    let hint = format!("what is required stands in {place}");
    Some(Reason::new("unproven", message).hint(hint))
}

/// The highest load that is believed where one instance bears so much.
pub(crate) fn most_believed(each: f64, max: u32) -> f64 {
    f64::from(max.max(1)) * each * ABSURD
}

/// Which signals say now what is not believed.
fn absurd(subject: &Subject, answers: &Answers, most: f64) -> Vec<Reason> {
    let of = |signal: &Asked| {
        let answer = answers.get(&format!("recent {}", signal.name))?.as_ref().ok()?;
        let (_, value) = *plainest(answer)?.points.last()?;
        let name = signal.name;
        if !value.is_finite() || value < 0.0 {
            let message = format!("{name} is said to be {value}, which no load is");
            return Some(Reason::new("absurd", message).hint("mend its query"));
        }
        let asked = need(subject, signal, value);
        (asked > most).then(|| {
            let message = format!("{name} is said to be {value:.3e}, which nobody believes");
            let hint =
                format!("more than {ABSURD} times max would be needed for it; mend its query");
            Reason::new("absurd", message).hint(hint)
        })
    };
    subject.signals.iter().filter_map(of).collect()
}

/// Why signals could not be worked out.
fn failures(subject: &Subject, answers: &Answers) -> Vec<Reason> {
    let failed = |signal: &Asked| {
        let answer = answers.get(&format!("now {}", signal.name))?;
        match answer {
            Err(reason) => Some(reason.clone()),
            Ok(answer) if answer.series.len() > 1 => {
                let message = format!(
                    "{} gives {} series and not one number",
                    signal.name,
                    answer.series.len()
                );
                Some(Reason::new("many-series", message).hint("sum or average them in its query"))
            }
            Ok(_) => None,
        }
    };
    subject.signals.iter().filter_map(failed).collect()
}

/// The least an autoscaler keeps a deployment at; 0 where there is none.
pub(crate) fn least(world: &Snapshot, deployment: &str) -> u32 {
    Subject::of(world, deployment).map_or(0, |subject| subject.bounds().0)
}

/// The number an autoscaler keeps a deployment at, within its bounds; none where none acts.
pub(crate) fn kept(world: &Snapshot, deployment: &str) -> Option<u32> {
    let autoscaler = world.get::<Autoscaler>(deployment)?;
    let subject = Subject::of(world, deployment)?;
    if subject.mode() == ScalingMode::Observe {
        return None;
    }
    let (min, max) = subject.bounds();
    autoscaler.keeps().map(|desired| desired.clamp(min, max))
}

/// The most an acting autoscaler may keep a deployment at, as far as budgets let it; none where
/// none acts.
pub(crate) fn most(world: &Snapshot, deployment: &str) -> Option<u32> {
    let subject = Subject::of(world, deployment).filter(|s| s.mode() == ScalingMode::Act)?;
    let (status, (_, max)) = (&subject.object.status, subject.bounds());
    Some(if status.desired.is_some() { max.min(status.max) } else { max })
}

/// Whether the number of a deployment follows its autoscaler.
pub(crate) fn acts(world: &Snapshot, deployment: &str) -> bool {
    Subject::of(world, deployment).is_some_and(|subject| subject.mode() == ScalingMode::Act)
}

/// The autoscalers a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (Some(Any::Autoscaler(old)), Some(Any::Autoscaler(new))) if old.spec == new.spec => {
            Vec::new()
        }
        (_, Some(Any::Autoscaler(autoscaler))) => vec![autoscaler.meta.name.clone()],
        (old, new) => {
            let mut names = rescaled::<Autoscaler>(world, old, new);
            names.extend(peak::kept_changed(old, new));
            names
        }
    }
}

/// The objects of one kind of an application's deployments, where its `scaling` has changed.
pub(crate) fn rescaled<S: Stored>(
    world: &Snapshot,
    old: Option<&Any>,
    new: Option<&Any>,
) -> Vec<String> {
    match (old, new) {
        (Some(Any::Application(old)), Some(Any::Application(new)))
            if old.spec.scaling == new.spec.scaling =>
        {
            Vec::new()
        }
        (_, Some(Any::Application(application))) => {
            let all = world.derived::<S>(application.name());
            all.map(|object| object.meta.name.clone()).collect()
        }
        _ => Vec::new(),
    }
}
