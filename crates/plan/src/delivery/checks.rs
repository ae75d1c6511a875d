//! What an environment asks of a release, and how far that is given. It only looks; what follows
//! is decided in `promotion.rs`.

use std::collections::BTreeSet;

use atoll_model::promotion::{Check, CheckState, PromotionMode};
use atoll_model::{
    Approval, Deployment, Environment, Object, Objective, Promotion, Reason, Release, Timestamp,
};

use super::admission::{promotion_name, signed, tested, vetoed};
use crate::deployment::target;
use crate::{Context, policy};

/// A release before an environment.
pub(crate) struct Entry<'a> {
    pub cx: &'a Context<'a>,
    pub spec: &'a Promotion,
    pub release: &'a Object<Release>,
    pub environment: &'a Object<Environment>,
}

impl Entry<'_> {
    /// Everything asked, in the order people care: what cannot be had first.
    pub fn checks(&self) -> Vec<Check> {
        let rules = &self.environment.spec;
        let mut all = Vec::new();
        if let Some(reason) = vetoed(self.release) {
            all.push(check("veto", CheckState::Refused, reason.message));
        }
        if rules.require.signed {
            all.push(self.signed());
        }
        if !rules.require.tests.is_empty() {
            all.push(match tested(self.cx, rules, self.release) {
                Ok(()) => check("tests", CheckState::Passed, "its tests passed"),
                Err(reason) => check("tests", CheckState::Refused, reason.message),
            });
        }
        let mut soft = Vec::new();
        let world = self.cx.world;
        if let Some(before) = target::before(world, &self.spec.application, self.environment) {
            soft.extend(self.behind(before));
        }
        soft.extend(self.asked());
        soft.extend(self.approved());
        soft.extend(self.in_time());
        soft.extend(self.standards());
        if self.spec.emergency.is_some() {
            for one in soft.iter_mut().filter(|c| c.state != CheckState::Passed) {
                one.state = CheckState::Skipped;
                one.until = None;
            }
        }
        all.extend(soft);
        all
    }

    fn signed(&self) -> Check {
        match signed(self.cx, self.release) {
            Ok(()) => check("signed", CheckState::Passed, "its package is what was signed"),
            Err(reason) => {
                // A package of a pipeline is signed in a moment; nothing else ever is.
                let waits = reason.message.ends_with("not signed yet");
                let state = if waits { CheckState::Waiting } else { CheckState::Refused };
                check("signed", state, reason.message)
            }
        }
    }

    fn deployment(&self, environment: &str) -> Option<&Object<Deployment>> {
        let name = format!("{}.{environment}", self.spec.application);
        self.cx.world.get::<Deployment>(&name).map(AsRef::as_ref)
    }

    /// What the environment before has shown.
    fn behind(&self, before: &str) -> Vec<Check> {
        let (name, rules) = (self.release.name(), &self.environment.spec.require);
        let there = self.deployment(before);
        let good = there.and_then(|d| d.status.last_good.as_deref());
        let here = good == Some(name);
        let since = match here {
            true => there.and_then(|d| d.status.good_since).or(self.release.meta.created_at),
            false => self.good_at(before, name),
        };
        let failed = there.and_then(|d| d.status.failed.as_ref()).filter(|f| f.release == name);
        let Some(since) = since else {
            let message = match failed {
                Some(failed) => format!("it failed in {before}: {}", failed.reason.message),
                None => format!("it has not proved itself in {before} yet"),
            };
            return vec![check("before", CheckState::Waiting, message)];
        };
        let message = format!("it proved itself in {before} at {since}");
        let mut all = vec![check("before", CheckState::Passed, message)];
        if rules.soak.0 > 0 {
            all.push(self.soaked(before, since, here));
        }
        if rules.objectives {
            all.push(self.kept(before));
        }
        all
    }

    fn good_at(&self, environment: &str, release: &str) -> Option<Timestamp> {
        let name = promotion_name(release, environment);
        self.cx.world.get::<Promotion>(&name)?.status.good_at
    }

    /// When another release took its place in an environment.
    fn left_at(&self, environment: &str, since: Timestamp) -> Option<Timestamp> {
        let others = self.cx.world.mainline(&self.spec.application);
        let others = others.filter(|other| other.name() != self.release.name());
        let times = others.filter_map(|other| self.good_at(environment, other.name()));
        times.filter(|at| *at > since).min()
    }

    fn soaked(&self, before: &str, since: Timestamp, here: bool) -> Check {
        let wanted = self.environment.spec.require.soak;
        let left = if here { None } else { self.left_at(before, since).or(Some(since)) };
        let until = since + wanted;
        let lasted = left.unwrap_or(self.cx.now).since(since);
        if lasted >= wanted {
            return check("soak", CheckState::Passed, format!("it ran in {before} for {wanted}"));
        }
        match left {
            Some(_) => {
                let message =
                    format!("it ran in {before} for {lasted} of {wanted}, then another came");
                check("soak", CheckState::Refused, message)
            }
            None => {
                let message = format!("it is to run in {before} for {wanted}");
                Check { until: Some(until), ..check("soak", CheckState::Waiting, message) }
            }
        }
    }

    fn kept(&self, before: &str) -> Check {
        let name = format!("{}.{before}", self.spec.application);
        let all = self.cx.world.all::<Objective>().filter(|o| o.spec.deployment == name);
        let all: Vec<_> = all.collect();
        match all.iter().find(|objective| objective.status.is_spent()) {
            Some(spent) => {
                let message = format!("the error budget of {} is spent", spent.name());
                check("objectives", CheckState::Waiting, message)
            }
            None => {
                let message = match all.len() {
                    0 => format!("{name} promises nothing that could be broken"),
                    count => format!("{count} of {count} objectives of {name} are not spent"),
                };
                check("objectives", CheckState::Passed, message)
            }
        }
    }

    /// Whether somebody wants it, where that is asked.
    fn asked(&self) -> Option<Check> {
        let (rules, name) = (&self.environment.spec, self.release.name());
        if rules.promotion != PromotionMode::Manual {
            return None;
        }
        let place = &self.spec.environment;
        let named = self.deployment(place).and_then(|d| d.spec.release.as_deref()) == Some(name);
        Some(match self.spec.asked || named {
            true => check("asked", CheckState::Passed, "it was asked for"),
            false => {
                let message =
                    format!("somebody has to ask for it: atoll promote {name} --to {place}");
                check("asked", CheckState::Waiting, message)
            }
        })
    }

    /// Those who approved and count.
    pub fn approvers(&self) -> BTreeSet<&str> {
        let Some(rule) = &self.environment.spec.approval else { return BTreeSet::new() };
        let name = promotion_name(self.release.name(), &self.spec.environment);
        let counts = |approval: &Approval| {
            let by_name = rule.roles.contains(&approval.by);
            by_name || approval.role == "admin" || rule.roles.contains(&approval.role)
        };
        let all = self.cx.world.derived::<Approval>(&name);
        all.filter(|a| counts(&a.spec)).map(|a| a.spec.by.as_str()).collect()
    }

    fn approved(&self) -> Option<Check> {
        let rule = self.environment.spec.approval.as_ref()?;
        let by = self.approvers();
        let who: Vec<&str> = by.iter().copied().collect();
        if by.len() >= rule.count as usize {
            let message = format!("approved by {}", who.join(", "));
            return Some(check("approval", CheckState::Passed, message));
        }
        let name = promotion_name(self.release.name(), &self.spec.environment);
        let message = format!(
            "{} of {} approvals by {}: atoll approve promotion/{name}",
            by.len(),
            rule.count,
            rule.roles.join(" or ")
        );
        Some(check("approval", CheckState::Waiting, message))
    }

    /// What the company's standards say, where any look at what enters.
    fn standards(&self) -> Option<Check> {
        let said = policy::entry::ask(self.cx, self.release, &self.spec.environment);
        if said.asked == 0 {
            return None;
        }
        if !said.stops.is_empty() {
            let all: Vec<&str> = said.stops.iter().map(|reason| reason.message.as_str()).collect();
            return Some(check("standards", CheckState::Waiting, all.join("; ")));
        }
        let told = match said.warns.as_slice() {
            [] => format!("{} of {} standards are kept", said.asked, said.asked),
            warns => format!("no standard stops it; not kept: {}", warns.join("; ")),
        };
        Some(check("standards", CheckState::Passed, told))
    }

    fn in_time(&self) -> Option<Check> {
        let (windows, now) = (&self.environment.spec.require.windows, self.cx.now);
        if windows.is_empty() {
            return None;
        }
        if windows.iter().any(|window| window.is_open(now)) {
            return Some(check("window", CheckState::Passed, "it is a time releases may enter"));
        }
        let until = windows.iter().filter_map(|window| window.opens(now)).min();
        let message = match until {
            Some(_) => "it is no time releases may enter".to_owned(),
            None => "no time comes at which releases may enter".to_owned(),
        };
        Some(Check { until, ..check("window", CheckState::Waiting, message) })
    }
}

fn check(name: &str, state: CheckState, message: impl Into<String>) -> Check {
    Check { name: name.to_owned(), state, message: message.into(), until: None }
}

/// A check that is not passed, as a reason.
pub(crate) fn as_reason(check: &Check) -> Option<Reason> {
    let code = match check.name.as_str() {
        "veto" => "vetoed",
        "signed" => "unsigned",
        "tests" => "untested",
        "before" => "not-proven",
        "soak" => "soaking",
        "objectives" => "budget-spent",
        "approval" => "approval",
        "window" => "window",
        "standards" => "standard",
        _ => "not-asked",
    };
    let until = check.until.map(|until| format!(" until {until}")).unwrap_or_default();
    let open = matches!(check.state, CheckState::Waiting | CheckState::Refused);
    open.then(|| Reason::new(code, format!("{}{until}", check.message)))
}
