//! Weighs the evidence of all signals into one verdict. How one signal is judged is in `level.rs`,
//! `events.rs`, `leak.rs` and `outlier.rs`.

use atoll_model::guard::{Evidence, Guard, Missing, Signal, SignalKind, Verdict, Worse};
use atoll_model::{Span, Timestamp};

use super::contrast::{Against, Contrast, Together, contrast};
use super::grid::{Frame, Rows, Scale};
use super::level::{Finding, Measure, least_points, level};
use super::sentence::{self, Summaries, finite};
use super::statistics::{deviation, median, median_of, spread};
use super::{Judgement, Observation, Observed, events, history, leak, outlier};

/// Judges a change by what was measured until now. Called again as time goes on; that is allowed
/// for: what is said early has to be clearer. Insufficient data is never a pass and never a breach.
pub fn judge(observation: &Observation, rules: &Guard) -> Judgement {
    let traffic = observation.signals.iter().find(|o| o.signal.measure == SignalKind::Traffic);
    let mut evidence: Vec<Evidence> = observation
        .signals
        .iter()
        .map(|observed| one(observation, observed, traffic, rules))
        .collect();
    excuse_by_load(observation, rules, &mut evidence);
    let clear = |a: &Evidence| if a.verdict >= Verdict::Stop { -a.chance } else { a.effect };
    evidence.sort_by(|a, b| {
        b.verdict
            .cmp(&a.verdict)
            .then(b.critical.cmp(&a.critical))
            .then_with(|| clear(b).total_cmp(&clear(a)))
    });
    let verdict = evidence.first().map_or(Verdict::InsufficientData, |worst| worst.verdict);
    let message = match (verdict, evidence.first()) {
        (_, None) => "nothing is measured of this application".to_owned(),
        (Verdict::Pass, _) => passed(&evidence),
        (_, Some(worst)) => worst.message.clone(),
    };
    let every = Span::seconds(15);
    let again = observation.now + every;
    let more = verdict < Verdict::Stop || observation.soak_until.is_some_and(|end| again < end);
    Judgement { verdict, evidence, message, again_at: more.then_some(again) }
}

/// Where there is nothing unchanged to compare with, a rise of load at the same time explains what
/// load can do: earlier days did not have it. It does not explain failures.
fn excuse_by_load(observation: &Observation, rules: &Guard, evidence: &mut [Evidence]) {
    let alone = |observed: &Observed| observed.unchanged.is_empty();
    let load = observation
        .signals
        .iter()
        .find(|observed| observed.signal.measure == SignalKind::Traffic && alone(observed));
    let Some(moved) = load.and_then(|load| risen(observation, load, rules)) else { return };
    for (observed, evidence) in observation.signals.iter().zip(evidence) {
        let by_load = matches!(
            observed.signal.measure,
            SignalKind::Latency | SignalKind::Saturation | SignalKind::Value
        );
        let explained = moved > 0.15 && evidence.effect < 1.5 * moved;
        if by_load && alone(observed) && explained && evidence.verdict >= Verdict::Stop {
            evidence.verdict = Verdict::Warn;
            evidence.message += &format!("; load rose by {:.0} % at the same time", 100.0 * moved);
        }
    }
}

/// How much more load there is than usual, since the update or in the newest part of it: a level is
/// looked at over both, and load may still be rising.
fn risen(observation: &Observation, load: &Observed, rules: &Guard) -> Option<f64> {
    let frame = Frame::of(observation, load, rules);
    let scale = Scale::of(load);
    let contrast = contrast(&Rows::of(load, &frame, scale), &frame, scale, Together::Middle)?;
    let usual = median(&mut contrast.before.clone()).unwrap_or(0.0);
    let after: Vec<f64> = contrast.after.iter().map(|point| point.1 - usual).collect();
    let newest = &after[after.len() - (after.len() / 4).max(4).min(after.len())..];
    let moved = median_of(&after)?.max(median_of(newest)?);
    Some(scale.relative(contrast.base, moved, 1e-9))
}

/// Judges one signal.
fn one(
    observation: &Observation,
    observed: &Observed,
    traffic: Option<&Observed>,
    rules: &Guard,
) -> Evidence {
    let signal = &observed.signal;
    if let Some(why) = &observed.failed {
        return lacking(signal, format!("could not be measured: {why}"));
    }
    let frame = Frame::of(observation, observed, rules);
    let scale = Scale::of(observed);
    let rows = Rows::of(observed, &frame, scale);
    if rows.changed.is_empty() {
        return lacking(signal, "no values of updated instances".to_owned());
    }
    if let Some(why) = too_little(&rows, &frame, signal) {
        return lacking(signal, why);
    }
    let loaded = traffic.is_some_and(|traffic| load_moved(traffic, observation.since));
    let effect = history::effect(signal.effect, &signal.name, &observation.history);
    let measure = |sign: f64, tolerance: f64| Measure {
        kind: signal.measure,
        sign,
        tolerance,
        least: signal.least,
        scale,
        signals: observation.signals.len(),
        loaded,
    };
    if signal.measure == SignalKind::Events {
        let found = events::events(&rows, &frame, &measure(1.0, effect));
        let message = sentence::events(signal, &found, &rows, &frame);
        let sums = Summaries::of(&rows, &frame, scale, found.instance.as_deref());
        return evidence(signal, &found, message, sums, found.shift, None);
    }
    let errors = signal.measure == SignalKind::Errors;
    let together = if errors { Together::Mean } else { Together::Middle };
    let Some(contrast) = contrast(&rows, &frame, scale, together) else {
        return lacking(signal, "nothing to compare updated instances with".to_owned());
    };
    if let Some(why) = incomparable(&contrast, &rows, &frame, signal) {
        return lacking(signal, why);
    }
    let requests =
        traffic.filter(|_| errors).map(|traffic| Rows::of(traffic, &frame, Scale::Plain));
    let measures = signs(signal)
        .into_iter()
        .map(|sign| measure(sign, tolerance(signal, effect, &contrast, scale)));
    let worst = worst(measures, &contrast, &rows, &frame, requests.as_ref());
    let Some((mut found, measure)) = worst else { return lacking(signal, String::new()) };
    if found.verdict == Verdict::InsufficientData && signal.missing == Missing::Open {
        found.verdict = Verdict::Warn;
    }
    let few = requests.as_ref().and_then(|requests| too_few(requests, &frame));
    if let Some(few) = few.filter(|_| found.verdict < Verdict::Stop) {
        return lacking(signal, few);
    }
    if signal.measure == SignalKind::Traffic {
        hold_traffic(&mut found, &contrast);
    }
    let shift = measure.sign * found.shift;
    let relative = scale.relative(contrast.base, shift, measure.tolerance);
    let sums = Summaries::of(&rows, &frame, scale, found.instance.as_deref());
    let message = sentence::level(signal, &found, &sums, &contrast, relative);
    let band = band(&contrast, &measure, scale);
    evidence(signal, &found, message, sums, relative, band)
}

/// The gravest that any way of looking at one signal finds; of equals, the first.
fn worst(
    measures: impl Iterator<Item = Measure>,
    contrast: &Contrast,
    rows: &Rows,
    frame: &Frame,
    requests: Option<&Rows>,
) -> Option<(Finding, Measure)> {
    let mut worst: Option<(Finding, Measure)> = None;
    for measure in measures {
        let found = [
            level(contrast, rows, frame, &measure, requests),
            leak::leak(contrast, frame, &measure),
            outlier::outlier(rows, frame, &measure, requests),
        ];
        for found in found {
            if worst.as_ref().is_none_or(|(known, _)| found.verdict > known.verdict) {
                worst = Some((found, measure));
            }
        }
    }
    worst
}

/// Whether unchanged instances have clearly more or fewer requests than before.
fn load_moved(traffic: &Observed, since: Timestamp) -> bool {
    let of = |track: &super::Track| {
        let at = track.points.partition_point(|point| point.0 <= since);
        let middle = |points: &[(Timestamp, f64)]| {
            median(&mut points.iter().map(|point| point.1).collect::<Vec<_>>())
        };
        let (before, after) = (middle(&track.points[..at])?, middle(&track.points[at..])?);
        (before > 0.0).then_some(after / before)
    };
    // A few tell for all.
    let mut moved: Vec<f64> = traffic.unchanged.iter().take(20).filter_map(of).collect();
    median(&mut moved).is_some_and(|moved| !(0.85..1.18).contains(&moved))
}

/// Fewer requests are a breach where others keep theirs. Where there are no others, only if next to
/// none are left, or less than half of what earlier days make expected: load alone rarely does that
/// at the very moment of an update.
fn hold_traffic(found: &mut Finding, contrast: &Contrast) {
    let most = match contrast.against {
        Against::Unchanged(_) => 0.0,
        Against::Days => std::f64::consts::LN_2,
        Against::Past => 1.2,
    };
    if found.verdict == Verdict::Stop && found.shift <= most {
        found.verdict = Verdict::Warn;
        "there are no unchanged instances to tell whether load fell".clone_into(&mut found.note);
    }
}

fn signs(signal: &Signal) -> Vec<f64> {
    match (signal.measure, signal.worse) {
        (SignalKind::Traffic, _) | (_, Worse::Lower) => vec![-1.0],
        (_, Worse::Higher) => vec![1.0],
        (_, Worse::Either) => vec![1.0, -1.0],
    }
}

/// The smallest shift that matters, on the signal's scale.
fn tolerance(signal: &Signal, effect: f64, contrast: &Contrast, scale: Scale) -> f64 {
    let level = scale.back(contrast.base).abs();
    let least = signal.least.max(0.0);
    match (signal.measure, scale) {
        // A share of failures matters by itself, not only by how much it grew.
        (SignalKind::Errors, _) => {
            let bad = if signal.worse == Worse::Lower { 1.0 - level } else { level };
            let own = if least > 0.0 { least } else { 0.003 };
            own.max((effect.max(0.3) * bad).min(0.02))
        }
        (SignalKind::Traffic, Scale::Factor(_)) => (1.0 + effect.max(0.25)).ln(),
        (_, Scale::Factor(_)) => (1.0 + effect.max(least / level.max(1e-300)).max(0.02)).ln(),
        (_, Scale::Plain) => {
            let usual = spread(&contrast.before).max(0.3 * deviation(&contrast.before));
            least.max(effect * level).max(if level > 0.0 { 0.0 } else { usual }).max(1e-9)
        }
    }
}

/// Whether what is measured is enough to judge by, and why not.
fn too_little(rows: &Rows, frame: &Frame, signal: &Signal) -> Option<String> {
    let after = |row: &super::grid::Row| row.known(row.after, frame.count).len();
    let known = rows.changed.iter().map(after).max().unwrap_or(0);
    let least = if signal.measure == SignalKind::Events { 2 } else { least_points(signal.measure) };
    let least = least.min((frame.watch / frame.width / 3).max(2) as usize);
    if known < least {
        return Some(format!("{} since the update, {least} are needed", points(known)));
    }
    let newest = rows
        .changed
        .iter()
        .filter_map(|row| row.values.iter().rposition(|value| !value.is_nan()))
        .max()?;
    let silent = (frame.count - 1 - newest) as i64 * frame.width;
    let stale = silent > (5 * frame.width).max(frame.watch * 2 / 5);
    stale.then(|| format!("updated instances have not been measured for {} s", silent / 1000))
}

/// Whether what there is to compare is enough to judge by, and why not.
fn incomparable(
    contrast: &Contrast,
    rows: &Rows,
    frame: &Frame,
    signal: &Signal,
) -> Option<String> {
    let (known, least) = (contrast.after.len(), least_points(signal.measure));
    if known >= least {
        let alone = contrast.crossed && rows.unchanged.is_empty();
        return alone.then(|| "nothing from before and nothing unchanged".to_owned());
    }
    let longer = frame.watch_for(least);
    let longer = match (longer.0 as i64) > frame.watch {
        true => format!(": a soak of {longer} or more lets it be judged"),
        false => String::new(),
    };
    Some(format!("{} since the update, {least} are needed{longer}", points(known)))
}

fn points(count: usize) -> String {
    if count == 1 { "1 point".to_owned() } else { format!("{count} points") }
}

/// A share of next to no requests is a value and still says nothing, neither good nor bad: all of
/// so many may succeed where every seventh fails.
fn too_few(requests: &Rows, frame: &Frame) -> Option<String> {
    const LEAST: f64 = 20.0;
    let seconds = frame.width as f64 / 1000.0;
    let of = |row: &super::grid::Row| row.known(row.after, frame.count).iter().sum::<f64>();
    let all: f64 = requests.changed.iter().map(of).sum::<f64>() * seconds;
    let known = requests.changed.iter().any(|row| !row.known(row.after, frame.count).is_empty());
    let few = known && all < LEAST;
    few.then(|| format!("{all:.0} requests since the update, {LEAST:.0} are needed"))
}

/// What counts as usual for the changed instances now.
fn band(contrast: &Contrast, measure: &Measure, scale: Scale) -> Option<(f64, f64)> {
    let wide = (2.0 * spread(&contrast.before)).max(measure.tolerance);
    let now = contrast.after.last().zip(contrast.own.last());
    let other = now.map_or(0.0, |(after, own)| own - after.1);
    let other = if contrast.crossed { 0.0 } else { other };
    let at = |off: f64| scale.back(contrast.base + other + off);
    let band = (at(-wide), at(wide));
    (band.0.is_finite() && band.1.is_finite()).then_some(band)
}

/// What is said where nothing got worse, of what was measured.
fn passed(evidence: &[Evidence]) -> String {
    let missing = evidence.iter().filter(|evidence| evidence.after.is_none()).count();
    let said = match evidence.len() - missing {
        1 => "nothing got worse in 1 signal".to_owned(),
        known => format!("nothing got worse in {known} signals"),
    };
    match missing {
        0 => said,
        _ => format!("{said}; {missing} could not be measured"),
    }
}

/// Evidence that there are too few data: it counts where the rule is fail-closed.
fn lacking(signal: &Signal, why: String) -> Evidence {
    let (verdict, so) = match signal.missing {
        Missing::Open => (Verdict::Pass, "; left out, it is fail-open"),
        Missing::Closed => (Verdict::InsufficientData, ""),
    };
    let found = Finding { verdict, ..Finding::pass() };
    let none = Summaries { before: None, after: None, unchanged: None };
    evidence(signal, &found, format!("{}: {why}{so}", signal.name), none, 0.0, None)
}

fn evidence(
    signal: &Signal,
    found: &Finding,
    message: String,
    sums: Summaries,
    effect: f64,
    band: Option<(f64, f64)>,
) -> Evidence {
    let breach = found.verdict == Verdict::Stop;
    Evidence {
        signal: signal.name.clone(),
        verdict: if breach && signal.critical { Verdict::RollBack } else { found.verdict },
        critical: signal.critical,
        message,
        before: sums.before,
        after: sums.after,
        unchanged: sums.unchanged,
        effect: finite(effect).clamp(-1e6, 1e6),
        chance: finite(found.chance).clamp(0.0, 1.0),
        points: found.points,
        band,
    }
}
