//! From the answers to a rule's questions to its alerts: raised, firing, ended. Not which questions
//! are asked, which is `rule.rs`.
//!
//! **Invariant:** an alert that fires ends only by what is known: its condition was measured and
//! is not true, what it is about is gone, or its rule is. Where there is no data it fires on, and
//! says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::alerting::{
    Alert, AlertPhase, AlertStatus, RuleGroup, RuleItem, RuleStatus, Suspect,
};
use atoll_model::{Any, Object, Reason, Rule, Span, Timestamp, Write};

use super::identity::{Labels, bare, compares, labels, may_raise, sole, sum};
use super::rule::{MOST_WRITES, alerts_of, delete, forgotten_at, key};
use super::template::{Facts, expand};
use super::{number, short, subject, suspect};
use crate::query::{Answer, Answers};
use crate::{Context, Plan, sooner};

/// After so long without data an alert's reason says how long it has been, and one that was not
/// firing yet is dropped.
const LONG_BLIND: Span = Span::seconds(24 * 3600);

/// Of many alerts that begin to fire at once so many are named.
const NAMED: usize = 5;

/// While alerts wait for their time, a rule notes so often that it is evaluated.
const NOTED: Span = Span::seconds(60);

/// The rules of one object being turned into writes.
pub(super) struct Evaluation<'a> {
    cx: &'a Context<'a>,
    rule: &'a Object<Rule>,
    stored: BTreeMap<&'a str, &'a Arc<Object<Alert>>>,
    by_group: BTreeMap<&'a str, Vec<&'a Arc<Object<Alert>>>>,
    phases: BTreeMap<String, Option<AlertPhase>>,
    suspects: BTreeMap<(String, Timestamp), Option<Suspect>>,
    reasons: Vec<Reason>,
    evaluated: BTreeSet<&'a str>,
    full: bool,
    /// Which alerts begin to fire, in words.
    fired: Vec<String>,
    /// What is written so far.
    pub plan: Plan,
    /// When an alert is to be forgotten.
    pub again_at: Option<Timestamp>,
}

/// A series for which a rule's condition holds.
struct Held<'a> {
    item: &'a RuleItem,
    series: Labels,
    labels: Labels,
    value: f64,
}

/// What became of the question of one alerting rule.
enum Said {
    /// It has no answer.
    Unknown,
    /// It has one.
    Known {
        /// The label sets, by [`bare`], that were measured, whether or not the condition holds.
        measured: BTreeSet<u64>,
        /// What is not in the answer does not hold.
        whole: bool,
    },
}

impl<'a> Evaluation<'a> {
    pub fn new(cx: &'a Context<'a>, rule: &'a Object<Rule>) -> Evaluation<'a> {
        let mut by_group: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        let mut stored = BTreeMap::new();
        for alert in alerts_of(cx.world, rule.name()) {
            stored.insert(alert.name(), alert);
            by_group.entry(&alert.spec.group).or_default().push(alert);
        }
        Evaluation {
            cx,
            rule,
            stored,
            by_group,
            phases: BTreeMap::new(),
            suspects: BTreeMap::new(),
            reasons: Vec::new(),
            evaluated: BTreeSet::new(),
            full: false,
            fired: Vec::new(),
            plan: Plan::nothing(),
            again_at: None,
        }
    }

    /// There is more to write than one plan may.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Brings the alerts of a group in line with the answers at `at`.
    pub fn group(&mut self, group: &'a RuleGroup, at: Timestamp) {
        self.evaluated.insert(&group.name);
        let answers = &self.cx.measured.answers;
        let mut held: BTreeMap<String, Held> = BTreeMap::new();
        let mut said = Vec::new();
        for (index, item) in group.rules.iter().enumerate() {
            self.check_templates(group, item);
            match answer(answers, &key(group, item, index, at, false)) {
                Some(answer) if item.alert.is_some() => {
                    let over = group.limit > 0 && answer.series.len() > group.limit as usize;
                    if over {
                        self.over_limit(group, item, answer.series.len());
                        said.push(Said::Unknown);
                        continue;
                    }
                    self.collect(group, item, answer, &mut held);
                    let unfiltered = key(group, item, index, at, true);
                    said.push(told(answer, answers.get(&unfiltered), group, item));
                }
                Some(_) => said.push(Said::Unknown),
                None => {
                    let reason = answers.get(&key(group, item, index, at, false));
                    self.failed(group, item, reason.and_then(|answer| answer.as_ref().err()));
                    said.push(Said::Unknown);
                }
            }
        }
        for (name, held) in &held {
            self.holds(group, name, held, at);
        }
        for alert in self.by_group.remove(group.name.as_str()).unwrap_or_default() {
            if !held.contains_key(alert.name()) {
                self.missing(group, alert, &said, at);
            }
        }
    }

    fn failed(&mut self, group: &RuleGroup, item: &RuleItem, reason: Option<&Reason>) {
        let why = reason.map_or("it was not asked", |reason| reason.message.as_str());
        let hint = reason.and_then(|reason| reason.hint.clone());
        let message = format!("{}, {}: {why}", group.name, title(item));
        let hint =
            hint.unwrap_or_else(|| "its alerts stay as they are; try it in atoll query".into());
        self.reasons.push(Reason::new("rule-failed", message).hint(hint));
    }

    fn over_limit(&mut self, group: &RuleGroup, item: &RuleItem, count: usize) {
        let (name, limit) = (&group.name, group.limit);
        let message = format!("{name}, {}: {count} series are more than {limit}", title(item));
        let hint = "its alerts stay as they are; narrow the expression, or raise the group's limit";
        self.reasons.push(Reason::new("rule-limit", message).hint(hint));
    }

    /// The series of an answer as the alerts they stand for.
    fn collect(
        &self,
        group: &RuleGroup,
        item: &'a RuleItem,
        answer: &Answer,
        held: &mut BTreeMap<String, Held<'a>>,
    ) {
        for series in &answer.series {
            let Some((_, value)) = series.points.last() else { continue };
            let mut of_series = series.labels.clone();
            of_series.remove("__name__");
            let labels = labels(group, item, &of_series, Some(*value));
            let name = format!("{}.{}", self.rule.name(), short(sum(&labels)));
            held.entry(name).or_insert(Held { item, series: of_series, labels, value: *value });
        }
    }

    /// What is not understood is said as long as it stands there, and not only when it is used.
    fn check_templates(&mut self, group: &RuleGroup, item: &RuleItem) {
        let facts = Facts { labels: &Labels::new(), value: 0.0 };
        let texts = item.labels.values().chain(item.annotations.values());
        let unknown = texts.filter_map(|text| expand(text, facts).1).next();
        if let Some(text) = unknown {
            let message = format!("{}, {}: {text} is left as it is", group.name, title(item));
            let hint = "only $value, $labels and the usual functions are filled in";
            self.reasons.push(Reason::new("rule-template", message).hint(hint));
        }
    }

    /// The condition of an alert holds.
    fn holds(&mut self, group: &RuleGroup, name: &str, held: &Held, at: Timestamp) {
        let hold = held.item.hold.unwrap_or_default();
        let stored = self.stored.get(name).copied();
        let live = stored.filter(|alert| alert.status.phase != AlertPhase::Resolved);
        let Some(alert) = live else {
            let mut new = match stored {
                Some(old) => Object::clone(old),
                None => self.new_alert(group, name, held),
            };
            new.status = AlertStatus { active_at: at, ..AlertStatus::default() };
            if hold.0 == 0 {
                self.fire(&mut new, group, held, at);
            } else {
                self.fill(&mut new, group, held, at);
            }
            new.status.value = number::as_prometheus(held.value);
            return self.put(new);
        };
        let status = &alert.status;
        let pending = status.phase == AlertPhase::Pending;
        let seen_again = status.blind_since.is_some() || status.quiet_since.is_some();
        let mut active_at = status.active_at;
        // What nobody saw does not count.
        if let (true, Some(blind)) = (pending, status.blind_since.or(self.away_since(group, at))) {
            active_at = active_at + at.since(blind.max(active_at));
        }
        let fires = pending && at.since(active_at) >= hold;
        if !fires && !seen_again && active_at == status.active_at {
            return;
        }
        let mut new = Object::clone(alert);
        new.status.active_at = active_at;
        new.status.blind_since = None;
        new.status.quiet_since = None;
        new.status.reasons.clear();
        if fires {
            self.fire(&mut new, group, held, at);
            new.status.value = number::as_prometheus(held.value);
        }
        self.put(new);
    }

    /// When the rule was last evaluated, if that is so long ago that nobody can have been there.
    /// Alerts that are too many for one plan may be put off twice, and never fire too early.
    fn away_since(&self, group: &RuleGroup, at: Timestamp) -> Option<Timestamp> {
        let there = Span(2 * NOTED.0.max(group.interval.0));
        self.rule.status.pending_at.filter(|seen| at.since(*seen) > there)
    }

    fn new_alert(&self, group: &RuleGroup, name: &str, held: &Held) -> Object<Alert> {
        let spec = Alert {
            rule: self.rule.meta.name.clone(),
            group: group.name.clone(),
            labels: held.labels.clone(),
            ..Alert::default()
        };
        let mut new = Object::new(name, spec);
        new.meta.generation = 1;
        new.meta.created_at = Some(self.cx.now);
        new
    }

    fn fire(&mut self, new: &mut Object<Alert>, group: &RuleGroup, held: &Held, at: Timestamp) {
        self.fill(new, group, held, new.status.active_at);
        new.status.phase = AlertPhase::Firing;
        new.status.fired_at = Some(at);
        let about = new.spec.subject.clone().or_else(|| sole(&new.spec.labels));
        let about = about.map(|about| format!(" for {about}")).unwrap_or_default();
        self.fired.push(format!("{}{about}", new.spec.alertname()));
    }

    /// Says which alerts have begun to fire. All that is written together has one history, so what
    /// is said of many is said as of many.
    pub fn tell(&mut self) {
        let message = match self.fired.as_slice() {
            [] => return,
            [one] => format!("it began to fire: {one}"),
            all => {
                let named = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>();
                let more = if all.len() > NAMED { ", …" } else { "" };
                format!("{} alerts began to fire together: {}{more}", all.len(), named.join(", "))
            }
        };
        self.plan.reasons.push(Reason::new("firing", message));
    }

    /// What is told of an alert besides its labels.
    fn fill(&mut self, new: &mut Object<Alert>, group: &RuleGroup, held: &Held, at: Timestamp) {
        let world = self.cx.world;
        let facts = Facts { labels: &held.series, value: held.value };
        new.spec.group.clone_from(&group.name);
        new.spec.annotations.clear();
        for (key, text) in &held.item.annotations {
            new.spec.annotations.insert(key.clone(), expand(text, facts).0);
        }
        let about = subject::subject(world, &held.labels);
        let owner = about.as_deref().and_then(|about| subject::owner(world, about));
        new.spec.owner = owner.or_else(|| self.rule.spec.owner.clone());
        new.spec.suspect = about.as_ref().and_then(|about| {
            let known = self.suspects.entry((about.clone(), at));
            known.or_insert_with(|| suspect::suspect(world, about, at)).clone()
        });
        new.spec.subject = about;
    }

    /// An alert is not among those whose condition holds.
    fn missing(&mut self, group: &RuleGroup, alert: &Object<Alert>, said: &[Said], at: Timestamp) {
        if alert.status.phase == AlertPhase::Resolved {
            return;
        }
        let gone = alert.spec.subject.as_ref().filter(|s| !subject::exists(self.cx.world, s));
        if let Some(gone) = gone {
            let reason = Reason::new("subject-gone", format!("{gone} is no more"));
            return self.end(alert, at, Some(reason));
        }
        let own = group.rules.iter().zip(said);
        let own: Vec<_> = own.filter(|(item, _)| may_raise(group, item, &alert.spec)).collect();
        if own.is_empty() {
            return self.end(alert, at, Some(rule_changed(self.rule.name())));
        }
        if own.iter().any(|(_, said)| matches!(said, Said::Unknown)) {
            return;
        }
        let denies = |(item, said): &(&RuleItem, &Said)| match said {
            Said::Unknown => false,
            Said::Known { measured, whole } => {
                *whole || measured.contains(&bare(item, &alert.spec.labels))
            }
        };
        if !own.iter().all(denies) {
            return self.blind(alert, at);
        }
        let keep = own.iter().filter_map(|(item, _)| item.keep_firing_for).max();
        let since = alert.status.quiet_since.unwrap_or(at);
        let keeps =
            alert.status.phase == AlertPhase::Firing && at.since(since) < keep.unwrap_or_default();
        if !keeps {
            return self.end(alert, at, None);
        }
        if alert.status.quiet_since.is_none() || alert.status.blind_since.is_some() {
            let mut new = Object::clone(alert);
            new.status.quiet_since = Some(since);
            new.status.blind_since = None;
            new.status.reasons.clear();
            self.put(new);
        }
    }

    /// An alert that fired is kept as one that has ended; one that did not was nothing.
    fn end(&mut self, alert: &Object<Alert>, at: Timestamp, why: Option<Reason>) {
        if alert.status.phase == AlertPhase::Pending {
            return self.drop(alert);
        }
        let mut new = Object::clone(alert);
        new.status.phase = AlertPhase::Resolved;
        new.status.quiet_since = new.status.quiet_since.or(Some(at));
        new.status.blind_since = None;
        new.status.resolved_at = Some(at);
        new.status.reasons = why.into_iter().collect();
        self.again_at = sooner(self.again_at, forgotten_at(&new));
        self.put(new);
    }

    fn blind(&mut self, alert: &Object<Alert>, at: Timestamp) {
        let since = alert.status.blind_since.unwrap_or(at);
        let long = at.since(since) >= LONG_BLIND;
        let pending = alert.status.phase == AlertPhase::Pending;
        if pending && long {
            return self.drop(alert);
        }
        let message = match long {
            true => format!("there has been no data for more than {LONG_BLIND} to tell whether"),
            false => "there is no data to tell whether".to_owned(),
        };
        let message = format!("{message} it still holds");
        let name = alert.name();
        let hint = match pending {
            true => "it is waited for data".to_owned(),
            false => format!(
                "it fires until data says otherwise; if none will come: atoll delete alert/{name}"
            ),
        };
        let reasons = vec![Reason::new("no-data", message).hint(hint)];
        if alert.status.blind_since.is_none() || alert.status.reasons != reasons {
            let mut new = Object::clone(alert);
            new.status.blind_since = Some(since);
            new.status.reasons = reasons;
            self.put(new);
        }
    }

    /// Alerts of groups the rule no longer has: they go over to a group that asks the same, as one
    /// that has got another name does.
    pub fn left_over(&mut self) {
        let known: BTreeSet<&str> = self.rule.spec.groups.iter().map(|g| g.name.as_str()).collect();
        let gone: Vec<_> = self.by_group.keys().copied().filter(|g| !known.contains(g)).collect();
        for group in gone {
            for alert in self.by_group.remove(group).unwrap_or_default() {
                if alert.status.phase == AlertPhase::Resolved
                    || self.phases.contains_key(alert.name())
                {
                    continue;
                }
                let asks = |group: &&RuleGroup| {
                    group.rules.iter().any(|item| may_raise(group, item, &alert.spec))
                };
                let Some(heir) = self.rule.spec.groups.iter().find(asks) else {
                    self.end(alert, self.cx.now, Some(rule_changed(self.rule.name())));
                    continue;
                };
                let mut new = Object::clone(alert);
                new.spec.group.clone_from(&heir.name);
                self.put(new);
            }
        }
    }

    /// Deletes alerts that ended long enough ago.
    pub fn forget_old(&mut self) {
        let stored: Vec<_> = self.stored.values().copied().collect();
        for alert in stored {
            match forgotten_at(alert) {
                Some(at) if self.phases.contains_key(alert.name()) || at > self.cx.now => {
                    self.again_at = sooner(self.again_at, Some(at).filter(|at| *at > self.cx.now));
                }
                Some(_) => self.drop(alert),
                None => {}
            }
        }
    }

    /// What the rule says of itself; groups that were not evaluated keep their reasons.
    pub fn status(&mut self) -> RuleStatus {
        let mut phases: BTreeMap<&str, Option<AlertPhase>> =
            self.stored.values().map(|alert| (alert.name(), Some(alert.status.phase))).collect();
        phases.extend(self.phases.iter().map(|(name, phase)| (name.as_str(), *phase)));
        let count = |wanted| phases.values().filter(|phase| **phase == Some(wanted)).count() as u32;
        let waiting = self.rule.spec.groups.iter().map(|group| group.name.as_str());
        let waiting: Vec<String> = waiting
            .filter(|group| !self.evaluated.contains(group))
            .map(|group| format!("{group}, "))
            .collect();
        let old = self.rule.status.reasons.iter();
        let of_waiting = |r: &&Reason| waiting.iter().any(|group| r.message.starts_with(group));
        let mut reasons: Vec<Reason> = old.filter(of_waiting).cloned().collect();
        reasons.append(&mut self.reasons);
        let pending = count(AlertPhase::Pending);
        let noted = self.rule.status.pending_at;
        let now = self.cx.now;
        let fresh = noted.filter(|at| now.since(*at) < NOTED || self.evaluated.is_empty());
        RuleStatus {
            firing: count(AlertPhase::Firing),
            pending,
            pending_at: (pending > 0).then(|| fresh.unwrap_or(now)),
            reasons,
        }
    }

    fn put(&mut self, new: Object<Alert>) {
        if self.has_room() {
            self.phases.insert(new.meta.name.clone(), Some(new.status.phase));
            self.plan.writes.push(Write::Put(Any::Alert(Arc::new(new))));
        }
    }

    fn drop(&mut self, alert: &Object<Alert>) {
        if self.has_room() {
            self.phases.insert(alert.meta.name.clone(), None);
            self.plan.writes.push(delete(alert));
        }
    }

    fn has_room(&mut self) -> bool {
        self.full |= self.plan.writes.len() >= MOST_WRITES;
        !self.full
    }
}

fn answer<'a>(answers: &'a Answers, name: &str) -> Option<&'a Answer> {
    answers.get(name)?.as_ref().ok().map(|answer| &**answer)
}

/// What the answers say of series whose condition does not hold.
fn told(
    answer: &Answer,
    unfiltered: Option<&Result<Arc<Answer>, Reason>>,
    group: &RuleGroup,
    item: &RuleItem,
) -> Said {
    let complete = answer.completeness;
    let all = complete.expected > 0 && complete.seen >= complete.expected;
    let whole = all && !compares(&item.expr);
    let measured = match unfiltered {
        Some(Err(_)) => return Said::Unknown,
        Some(Ok(unfiltered)) => {
            let bare_labels = |series: &crate::query::Series| {
                let mut of_series = series.labels.clone();
                of_series.remove("__name__");
                bare(item, &labels(group, item, &of_series, None))
            };
            unfiltered.series.iter().map(bare_labels).collect()
        }
        None => BTreeSet::new(),
    };
    Said::Known { measured, whole }
}

fn title(item: &RuleItem) -> &str {
    item.alert.as_deref().or(item.record.as_deref()).unwrap_or_default()
}

fn rule_changed(rule: &str) -> Reason {
    Reason::new("rule-changed", format!("rule/{rule} no longer asks for it"))
}
