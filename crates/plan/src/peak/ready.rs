//! What must be ready for a peak and by when: its calendar. Each line says what is so and what to
//! do; what was ready when the peak began stays so.

use std::sync::Arc;

use atoll_model::capacity::Known;
use atoll_model::elasticity::AutoscalerPhase;
use atoll_model::peak::{Freezes, PeakCheck, PeakStatus, Ready, State, when};
use atoll_model::{
    Autoscaler, Budget, Config, Freeze, Object, Objective, Peak, Pool, Timestamp, many,
};

use super::rehearsed::basis;
use super::{cost, freeze_name, grant};
use crate::monitoring::promise::of_deployment;
use crate::{Context, elasticity};

/// So many are named in one line.
const NAMED: usize = 5;
/// Who needs so much more than was rehearsed has not been rehearsed.
const MORE: f64 = 1.1;

/// The calendar, in the order of what is due.
pub(super) fn checks(cx: &Context, peak: &Object<Peak>, status: &PeakStatus) -> Vec<PeakCheck> {
    let look = Look { cx, peak, status };
    let times = &status.times;
    let mut all = vec![
        look.line("plan", times.plan, look.plan()),
        look.line("objectives", times.plan, look.objectives()),
        look.line("autoscalers", times.hosts, look.autoscalers()),
        look.line("budgets", times.hosts, look.budgets()),
        look.line("pools", times.hosts, look.pools()),
        look.line("proven", times.rehearse, look.proven()),
        rehearsal(cx, peak, status),
        look.line("kill switch", times.rehearse, look.kill()),
        look.line("hosts", times.scale, look.hosts()),
        look.line("packages", times.scale, look.packages()),
        look.line("instances", times.starts, look.instances()),
    ];
    if !peak.spec.switches.is_empty() {
        all.push(look.line("switches", times.rehearse, look.switches()));
    }
    if !peak.spec.limits.is_empty() {
        all.push(look.line("limits", times.rehearse, look.limits()));
    }
    if peak.spec.freezes != Freezes::Nothing {
        all.push(look.line("freeze", times.freeze, look.freeze()));
    }
    all.sort_by_key(|check| check.due);
    all
}

/// The line of the rehearsal.
pub(super) fn rehearsal(cx: &Context, peak: &Object<Peak>, status: &PeakStatus) -> PeakCheck {
    let look = Look { cx, peak, status };
    look.line("rehearsed", status.times.rehearse, look.rehearsed())
}

/// The calendar of a peak that has begun: what was ready at its beginning stays so, what was not is
/// as it is now.
pub(super) fn caught_up(begun: &[PeakCheck], found: Vec<PeakCheck>) -> Vec<PeakCheck> {
    let mut all = begun.to_vec();
    for check in all.iter_mut().filter(|check| check.state != State::Done) {
        let now = found.iter().find(|now| now.name == check.name);
        now.into_iter().for_each(|now| check.clone_from(now));
    }
    all
}

/// What is so, or what is not and what to do about it.
type Found = Result<String, (String, String)>;

fn lacks(message: impl Into<String>, hint: impl Into<String>) -> Found {
    Err((message.into(), hint.into()))
}

/// The first few of some names.
fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

struct Look<'a> {
    cx: &'a Context<'a>,
    peak: &'a Object<Peak>,
    status: &'a PeakStatus,
}

impl Look<'_> {
    fn line(&self, name: &str, due: Timestamp, found: Found) -> PeakCheck {
        let (state, message, hint) = match found {
            Ok(message) => (State::Done, message, String::new()),
            Err((message, hint)) if self.cx.now < due => (State::Open, message, hint),
            Err((message, hint)) => (State::Late, message, hint),
        };
        PeakCheck { name: name.to_owned(), due, state, message, hint }
    }

    /// The deployments for which something is not so.
    fn those(&self, wrong: impl Fn(&str) -> bool) -> Vec<String> {
        let names = self.status.applications.iter().map(|row| &row.deployment);
        names.filter(|name| wrong(name)).cloned().collect()
    }

    /// The deployments nobody knows of how many they take.
    fn unplanned(&self) -> Vec<String> {
        let rows = self.status.applications.iter().filter(|row| row.needed.is_none());
        rows.map(|row| row.deployment.clone()).collect()
    }

    fn plan(&self) -> Found {
        let rows = &self.status.applications;
        let unknown = self.unplanned();
        let first = rows.iter().find(|row| row.needed.is_none());
        if let Some(reason) = first.and_then(|row| row.reasons.first()) {
            let hint = reason.hint.clone().unwrap_or_default();
            return lacks(format!("no plan for {}: {}", some(&unknown), reason.message), hint);
        }
        let needed: u32 = rows.iter().filter_map(|row| row.needed).sum();
        Ok(format!(
            "{} of {} {} it",
            crate::instances(needed as usize),
            many(rows.len(), "application"),
            if needed == 1 { "takes" } else { "take" }
        ))
    }

    /// What goes by numbers nobody knows is neither ready nor not.
    ///
    /// # Errors
    /// What stands in the calendar then.
    fn known(&self) -> Result<(), (String, String)> {
        let rows = &self.status.applications;
        match rows.iter().any(|row| row.needed.is_none()) {
            true => Err(("it is not known how many it takes".to_owned(), "see plan".to_owned())),
            false => Ok(()),
        }
    }

    fn objectives(&self) -> Found {
        let without = self.those(|name| of_deployment(self.cx.world, name).next().is_none());
        match without.is_empty() {
            true => Ok("all promise something, so what breaks is seen".to_owned()),
            false => lacks(
                format!("nothing is promised by {}: nobody sees what breaks", some(&without)),
                "declare objectives in the application",
            ),
        }
    }

    fn autoscalers(&self) -> Found {
        let world = self.cx.world;
        let phase = |name: &str| Some(world.get::<Autoscaler>(name)?.status.phase);
        // One that is to act does so by itself once it has been measured what it goes by.
        let waits = |name: &str| {
            phase(name) == Some(AutoscalerPhase::Waiting) && elasticity::acts(world, name)
        };
        let waiting = self.those(waits);
        let idle = self.those(|name| {
            let acts =
                matches!(phase(name), Some(AutoscalerPhase::Acting | AutoscalerPhase::Blind));
            !acts && !waits(name)
        });
        let (mut said, mut hints) = (Vec::new(), Vec::new());
        if let Some(first) = waiting.first() {
            let names = some(&waiting);
            said.push(format!(
                "no number is planned yet for {names}: what it goes by is not measured"
            ));
            hints.push(format!("atoll why autoscaler/{first}"));
        }
        if !idle.is_empty() {
            said.push(format!("no autoscaler acts for {}", some(&idle)));
            hints.push("scaling.mode: act and signals; without, scale them by hand".to_owned());
        }
        let reasons = self.status.applications.iter().flat_map(|row| &row.reasons);
        for reason in reasons.filter(|reason| reason.code == "max") {
            said.push(reason.message.clone());
            hints.extend(reason.hint.clone().filter(|hint| !hints.contains(hint)));
        }
        match said.is_empty() {
            true => Ok("all act, and their most is enough".to_owned()),
            false => lacks(said.join("; "), hints.join("; ")),
        }
    }

    fn budgets(&self) -> Found {
        let objections = cost::objections(self.cx, self.peak, self.status);
        if let Some(reason) = objections.first() {
            let hint = reason.hint.clone().unwrap_or_default();
            return lacks(reason.message.clone(), hint);
        }
        let limited = |name: &String| {
            let budget = self.cx.world.get::<Budget>(name);
            budget.is_some_and(|budget| budget.spec.month.is_some())
        };
        let names: Vec<String> = self.status.budgets.iter().map(|b| b.budget.clone()).collect();
        if let Some(late) = grant::too_late(self.cx, self.status) {
            return Ok(late);
        }
        let unpriced = self.status.cost.iter().find_map(|cost| cost.unpriced.first());
        let unpriced = unpriced.or_else(|| {
            let first = self.status.applications.first().map(|row| &row.deployment);
            first.filter(|_| self.status.cost.is_empty())
        });
        match unpriced.filter(|_| names.iter().any(limited)) {
            Some(name) => lacks(
                format!("what {name} costs is not known"),
                "apply a Price whose selector matches the hosts it may use",
            ),
            None if names.is_empty() => Ok("no budget is of it".to_owned()),
            None => match self.status.budgets.iter().find(|one| one.broken.is_some()) {
                Some(one) => {
                    let broken = one.broken.as_deref().unwrap_or_default();
                    let lets = format!("budget/{} lets it: {broken}", one.budget);
                    match self.known() {
                        Ok(()) => Ok(lets),
                        Err((unknown, hint)) => lacks(format!("{lets}; {unknown}"), hint),
                    }
                }
                None => {
                    self.known()?;
                    let leaves = if names.len() == 1 { "leaves" } else { "leave" };
                    Ok(format!("{} {leaves} room for it", some(&names)))
                }
            },
        }
    }

    fn pools(&self) -> Found {
        let hosts = &self.status.hosts;
        if hosts.beyond == 0 {
            self.known()?;
            return Ok(match hosts.unplaced {
                0 => "the hosts there are have room for all of it".to_owned(),
                _ => format!("pools may make {} more", many(hosts.pools, "host")),
            });
        }
        let beyond = crate::instances(hosts.beyond as usize);
        let message = match hosts.pools {
            0 => format!("{beyond} would find no room, and no pool may make a host"),
            may => {
                let may = many(may, "host");
                format!("{beyond} would find no room, if pools made the {may} they may")
            }
        };
        let labels_fit = |pool: &&Arc<Object<Pool>>| {
            crate::pool::serves(self.cx.world, pool, &self.peak.spec.environment)
        };
        let mut pools = self.cx.world.all::<Pool>().filter(labels_fit);
        let hint = match pools.next() {
            None => "add hosts, or apply a Pool whose hosts the environment may use".to_owned(),
            Some(pool) if !acts(pool) => {
                format!("let pool/{} follow: autoscale.mode: act; or raise count", pool.name())
            }
            Some(pool) => format!("raise max of pool/{}", pool.name()),
        };
        lacks(message, hint)
    }

    fn proven(&self) -> Found {
        let rows = self.status.applications.iter();
        let declared = rows.filter(|row| row.known == Known::Declared && row.needed.is_some());
        let declared: Vec<String> = declared.map(|row| row.deployment.clone()).collect();
        match declared.is_empty() {
            true => {
                self.known()?;
                Ok("what an instance carries is proven of all".to_owned())
            }
            false => lacks(
                format!("what an instance carries is only declared of {}", some(&declared)),
                "let one carry it under its objectives once, or set it: spec.each of its Capacity",
            ),
        }
    }

    fn rehearsed(&self) -> Found {
        let again = format!("atoll rehearse peak/{}", self.peak.name());
        let Some(last) = &self.status.rehearsed else {
            return lacks("it was never rehearsed", again);
        };
        let same = last.generation == self.peak.meta.generation
            || last.spec == Some(basis(&self.peak.spec));
        if !same {
            return lacks("it was changed since it was rehearsed", again);
        }
        let planned = self.status.applications.iter();
        let planned = planned.filter_map(|row| Some((&row.deployment, row.needed?)));
        let grown = planned.clone().find(|(of, now)| {
            let then = last.needed.get(*of);
            then.is_some_and(|then| f64::from(*now) > f64::from(*then) * MORE + 1.0)
        });
        let new = planned.filter(|(of, _)| !last.needed.contains_key(*of));
        let new: Vec<String> = new.map(|(of, _)| of.clone()).collect();
        let unplanned = self.unplanned();
        match grown {
            Some((of, _)) => lacks(format!("{of} takes more than was rehearsed"), again),
            None if !last.held => lacks(format!("it did not hold: {}", last.told), again),
            None if !unplanned.is_empty() => lacks(
                format!("it held without {}, of which there is no plan", some(&unplanned)),
                format!("see plan, then {again}"),
            ),
            None if !new.is_empty() => lacks(
                format!("it held without {}, of which there was no plan then", some(&new)),
                again,
            ),
            None => Ok(format!("it held at {}: {}", self.shown(last.at), last.told)),
        }
    }

    /// A time as the peak's own are shown.
    fn shown(&self, at: Timestamp) -> String {
        when::shown(at, self.peak.spec.time_zone.as_deref())
    }

    fn kill(&self) -> Found {
        let kill: Vec<&Ready> = self.peak.spec.switches.iter().filter(|ready| ready.kill).collect();
        if kill.is_empty() {
            let hint = "name what is switched off first: switches: [{config: …, kill: true}]";
            return lacks("no kill switch is named", hint);
        }
        let found: Result<Vec<String>, _> = kill.iter().map(|ready| self.switch(ready)).collect();
        found.map(|all| all.join("; "))
    }

    fn switches(&self) -> Found {
        let all = self.peak.spec.switches.iter();
        let found: Result<Vec<String>, _> = all.map(|ready| self.switch(ready)).collect();
        found.map(|all| all.join("; "))
    }

    /// Whether a switch is there, somebody answers for it, and all that have it hear of a change.
    fn switch(&self, ready: &Ready) -> Found {
        let name = &ready.config;
        let Some(config) = self.cx.world.get::<Config>(name) else {
            return lacks(format!("there is no config/{name}"), "apply it");
        };
        let owner = match &ready.switch {
            None => config.spec.owner.clone(),
            Some(key) => match config.spec.switches.get(key) {
                Some(switch) => Some(switch.owner.clone()),
                None if config.spec.values.contains_key(key) => config.spec.owner.clone(),
                None => {
                    let message = format!("config/{name} has no switch {key}");
                    return lacks(message, "add it to its switches");
                }
            },
        };
        let Some(owner) = owner else {
            return lacks(format!("nobody answers for config/{name}"), "write its owner");
        };
        let (reached, all) = (config.status.acknowledged, config.status.instances);
        if all == 0 {
            let hint = format!("name it in config.dynamic of an application: {name}");
            return lacks(format!("config/{name} reaches no instance"), hint);
        }
        if reached < all {
            let hint = format!("see atoll why config/{name}");
            return lacks(format!("config/{name} reaches {reached} of {all} instances"), hint);
        }
        let of = ready.switch.as_deref().unwrap_or("all");
        Ok(format!("{name}/{of} of {owner} reaches {}", crate::instances(all as usize)))
    }

    /// Limits stand where what is expected passes and what is not proven does not.
    fn limits(&self) -> Found {
        let mut said = Vec::new();
        for limit in &self.peak.spec.limits {
            let (name, key) = (&limit.config, &limit.key);
            let Some(config) = self.cx.world.get::<Config>(name) else {
                return lacks(format!("there is no config/{name}"), "apply it");
            };
            let content = config.spec.content();
            let Some(set) = content.values.get(key).and_then(serde_json::Value::as_f64) else {
                return lacks(format!("config/{name} has no number {key}"), "set it");
            };
            let of = format!("{}.{}", limit.application, self.peak.spec.environment);
            let row = self.status.applications.iter().find(|row| row.deployment == of);
            let known = row.and_then(|row| Some((row.expected?, row.each?, row.needed?)));
            let Some((expected, each, needed)) = known else {
                return lacks(format!("what {of} will have to carry is not known"), "see plan");
            };
            let most = each * f64::from(needed);
            if set < expected {
                let message = format!("{name}/{key} is {set}, and {expected} is expected of {of}");
                return lacks(message, format!("raise it to between {expected} and {most}"));
            }
            if set > most {
                let message =
                    format!("{name}/{key} is {set}; {of} is known to carry {most} with {needed}");
                return lacks(message, format!("lower it to between {expected} and {most}"));
            }
            said.push(format!("{name}/{key} is {set}"));
        }
        Ok(said.join("; "))
    }

    fn hosts(&self) -> Found {
        match self.status.hosts.unplaced {
            0 => {
                self.known()?;
                Ok(format!("room for it on {}", many(self.status.hosts.have, "host")))
            }
            unplaced => lacks(
                crate::instances_do(unplaced as usize, "finds no room yet", "find no room yet"),
                match self.status.raised_at {
                    Some(_) => "pools make hosts for it: atoll get pools",
                    None => "pools make hosts for it from then on",
                },
            ),
        }
    }

    fn packages(&self) -> Found {
        let hosts = &self.status.hosts;
        if !self.status.fetching {
            let at = self.shown(self.status.times.prefetch);
            return lacks(format!("hosts fetch them from {at} on"), "nothing is to be done");
        }
        match hosts.fetched >= hosts.have {
            true => Ok(format!("they are on {}", many(hosts.have, "host"))),
            false => lacks(
                format!("they are on {} of {}", hosts.fetched, many(hosts.have, "host")),
                "hosts fetch them by themselves",
            ),
        }
    }

    fn instances(&self) -> Found {
        let missing: u32 = self.status.applications.iter().map(|row| row.missing).sum();
        match missing {
            0 => {
                self.known()?;
                Ok("all that it takes serve".to_owned())
            }
            _ => lacks(
                crate::instances_do(missing as usize, "is lacking", "are lacking"),
                match self.status.raised_at {
                    Some(_) => "they are being made: atoll get autoscalers says how many",
                    None => "nothing is kept for it yet",
                },
            ),
        }
    }

    fn freeze(&self) -> Found {
        let name = freeze_name(self.peak.name());
        match self.cx.world.get::<Freeze>(&name) {
            Some(freeze) => Ok(match freeze.spec.active(self.cx.now) {
                true => format!("freeze/{name} holds releases"),
                false => format!("freeze/{name} will hold releases"),
            }),
            None => lacks("no freeze is there yet", "it is made with the plan"),
        }
    }
}

/// Whether a pool follows what is to run on its hosts.
pub(super) fn acts(pool: &Object<Pool>) -> bool {
    pool.spec.acts()
}

/// The objectives of all deployments of a peak.
pub(super) fn objectives<'a>(
    cx: &'a Context,
    status: &'a PeakStatus,
) -> impl Iterator<Item = &'a Arc<Object<Objective>>> {
    let rows = status.applications.iter();
    rows.flat_map(|row| of_deployment(cx.world, &row.deployment))
}
