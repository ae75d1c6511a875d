//! Whether what a scenario says must hold did.

use atoll_model::deployment::Phase;
use atoll_model::rehearsal::page::percent;
use atoll_model::rehearsal::report::Checked;
use atoll_model::rehearsal::{Check, share};
use atoll_model::{Deployment, Migration, Object, Span};

use super::Rehearsal;
use super::load::is_of;

/// Looks at all checks, at the end, and at whether what people change was let through.
pub(super) fn checked(rehearsal: &Rehearsal) -> Vec<Checked> {
    let checks = &rehearsal.scenario.spec.checks;
    let told = checks.iter().map(|check| one(rehearsal, check));
    told.chain(unforeseen(rehearsal, checks)).collect()
}

/// What was refused though no check says that it is to be.
fn unforeseen(rehearsal: &Rehearsal, checks: &[Check]) -> Option<Checked> {
    let meant = |refused: &Option<String>| {
        checks.iter().any(|check| match check {
            Check::Refused { of } => of.is_none() || of == refused,
            _ => false,
        })
    };
    let mut others = rehearsal.stage.refused.iter().filter(|(of, _)| !meant(of));
    let (_, found) = others.next()?;
    let found = match others.count() {
        0 => found.clone(),
        more => format!("{found}; and {more} more"),
    };
    Some(Checked { what: "changes are let through".to_owned(), held: false, found })
}

fn one(rehearsal: &Rehearsal, check: &Check) -> Checked {
    let courses = &rehearsal.courses;
    let (what, verdict) = match check {
        Check::Served { of, at_least } => (
            format!("{} served in {at_least} of the minutes", of.as_deref().unwrap_or("all")),
            served(rehearsal, of.as_deref(), share(at_least).unwrap_or(1.0)),
        ),
        Check::Cost { at_most } => (
            format!("hosts cost no more than {at_most}"),
            match &courses.cost {
                Some(cost) => {
                    let told = format!("{:.2} {}", cost.amount, cost.currency);
                    if cost.amount <= *at_most { Ok(told) } else { Err(told) }
                }
                None => Err("there are no prices".to_owned()),
            },
        ),
        Check::Instances { of, at_least, at_most } => (
            format!("{of} has {} instances", bounds(*at_least, *at_most)),
            instances(rehearsal, of, *at_least, *at_most),
        ),
        Check::Hosts { at_least, at_most } => (
            format!("there are {} hosts", bounds(*at_least, *at_most)),
            within(courses.host_range.unwrap_or_default(), *at_least, *at_most),
        ),
        Check::Runs { of, release } => (
            format!("{of} runs {release} at the end"),
            at_end(rehearsal, Some(of), |deployment| {
                let runs = deployment.status.release.as_deref().unwrap_or("nothing");
                (runs == release).then_some(()).ok_or_else(|| format!("it runs {runs}"))
            }),
        ),
        Check::Settled { of } => (
            format!("{} settled at the end", of.as_deref().unwrap_or("all")),
            at_end(rehearsal, of.as_deref(), |deployment| {
                let status = &deployment.status;
                let why = status.reasons.first().map_or("", |reason| reason.message.as_str());
                let phase = format!("{:?}", status.phase).to_lowercase();
                (status.phase == Phase::Settled).then_some(()).ok_or(format!("{phase}: {why}"))
            }),
        ),
        Check::Moved { of, within } => {
            (words_of_moved(of.as_deref(), *within), moved(rehearsal, of.as_deref(), *within))
        }
        Check::Refused { of } => (
            match of {
                Some(of) => format!("a change of {of} is refused"),
                None => "a change is refused".to_owned(),
            },
            refused(rehearsal, of.as_deref()),
        ),
    };
    let held = verdict.is_ok();
    Checked { what, held, found: verdict.unwrap_or_else(|found| found) }
}

/// Of what nobody knows what it has to serve.
const NO_LOAD: &str = "no load of it is known; the scenario's load can say what it is";

type Verdict = Result<String, String>;

fn served(rehearsal: &Rehearsal, of: Option<&str>, least: f64) -> Verdict {
    let all = rehearsal.courses.all.iter();
    let meant = all.filter(|(name, _)| of.is_none_or(|of| is_of(name, of)));
    let worst = meant.min_by(|(_, a), (_, b)| a.served().total_cmp(&b.served()));
    let Some((name, worst)) = worst else { return Err(NO_LOAD.to_owned()) };
    let mut told = match of {
        Some(_) => percent(worst.served()),
        None => format!("{} of {name}", percent(worst.served())),
    };
    if let Some(best) = worst.at_best().filter(|best| best.served > worst.served()) {
        let best = percent(best.served);
        told += &format!(", {best} if an instance carries more than it was seen to");
    }
    if worst.served() + 1e-9 >= least { Ok(told) } else { Err(told) }
}

fn refused(rehearsal: &Rehearsal, meant: Option<&str>) -> Verdict {
    let mut all = rehearsal.stage.refused.iter();
    let first = all.find(|(of, _)| meant.is_none() || of.as_deref() == meant);
    first.map(|(_, why)| why.clone()).ok_or_else(|| "none was".to_owned())
}

fn instances(
    rehearsal: &Rehearsal,
    of: &str,
    at_least: Option<u32>,
    at_most: Option<u32>,
) -> Verdict {
    let counts = rehearsal.courses.counts().filter(|(name, _)| is_of(name, of));
    let mut counts: Vec<(&str, (u32, u32))> = counts.collect();
    if counts.is_empty() {
        // One that came later and never served.
        let mut later = rehearsal.sim.world.all::<Deployment>().filter(|d| is_of(d.name(), of));
        let name = later.next().ok_or("there is no such deployment")?.name();
        counts.push((name, (0, 0)));
    }
    if let [(_, count)] = counts[..] {
        return within(count, at_least, at_most);
    }
    counts.sort_unstable();
    let told = |verdict: &Verdict, name: &str| {
        let (Ok(told) | Err(told)) = verdict;
        format!("{told} of {name}")
    };
    let all = counts.iter().map(|(name, count)| (within(*count, at_least, at_most), *name));
    let (broken, held): (Vec<_>, Vec<_>) = all.partition(|(verdict, _)| verdict.is_err());
    let words = |all: &[(Verdict, &str)]| {
        all.iter().map(|(verdict, name)| told(verdict, name)).collect::<Vec<_>>().join(", ")
    };
    if broken.is_empty() { Ok(words(&held)) } else { Err(words(&broken)) }
}

fn within((least, most): (u32, u32), at_least: Option<u32>, at_most: Option<u32>) -> Verdict {
    let told = if least == most { format!("{most}") } else { format!("{least} to {most}") };
    let held =
        at_least.is_none_or(|bound| least >= bound) && at_most.is_none_or(|bound| most <= bound);
    if held { Ok(told) } else { Err(told) }
}

fn bounds(at_least: Option<u32>, at_most: Option<u32>) -> String {
    match (at_least, at_most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("{least} or more"),
        (None, Some(most)) => format!("{most} or fewer"),
        (None, None) => "any number of".to_owned(),
    }
}

fn at_end(
    rehearsal: &Rehearsal,
    of: Option<&str>,
    look: impl Fn(&Object<Deployment>) -> Result<(), String>,
) -> Verdict {
    let world = &rehearsal.sim.world;
    let all = world.all::<Deployment>();
    let meant: Vec<_> = all.filter(|d| of.is_none_or(|of| is_of(d.name(), of))).collect();
    if meant.is_empty() {
        return Err("there is no such deployment".to_owned());
    }
    let wrong = meant.iter().find_map(|d| look(d).err().map(|why| format!("{}: {why}", d.name())));
    wrong.map_or(Ok("so it is".to_owned()), Err)
}

/// What a check of migrations asks, in words.
pub(super) fn words_of_moved(of: Option<&str>, within: Option<Span>) -> String {
    let what = of.map_or("all is moved".to_owned(), |of| format!("all of {of} is moved"));
    within.map_or(what.clone(), |within| format!("{what} within {within}"))
}

fn moved(rehearsal: &Rehearsal, of: Option<&str>, within: Option<Span>) -> Verdict {
    let all = rehearsal.sim.world.all::<Migration>();
    let migrations: Vec<_> =
        all.filter(|migration| of.is_none_or(|of| migration.name() == of)).collect();
    if migrations.is_empty() {
        return Err("there is no migration".to_owned());
    }
    for migration in migrations {
        let status = &migration.status;
        let (name, left) = (migration.name(), status.left);
        let Some(ended) = status.ended_at else {
            let phase = format!("{:?}", status.phase).to_lowercase();
            return Err(format!(
                "{name} is {phase}, {} of {} moved",
                status.moved,
                status.moved + left
            ));
        };
        let took = ended.since(status.started_at.unwrap_or(ended)).rough();
        if within.is_some_and(|within| took > within) {
            return Err(format!("{name} took {took}"));
        }
    }
    Ok("so it is".to_owned())
}
