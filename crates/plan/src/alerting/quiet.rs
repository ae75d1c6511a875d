//! What keeps alerts quiet: silences, for a time or while another alert fires. Not who would be
//! told otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::alerting::AlertPhase;
use atoll_model::matcher::LabelMatcher;
use atoll_model::{Alert, Object, Silence, Snapshot, Timestamp};

use crate::sooner;

/// Matchers that were read; those that are not valid match nothing.
#[derive(Debug)]
pub(super) struct Matchers(Option<Vec<LabelMatcher>>);

impl Matchers {
    pub fn read(texts: &[String]) -> Matchers {
        Matchers(texts.iter().map(|text| LabelMatcher::parse(text).ok()).collect())
    }

    pub fn match_all(&self, alert: &Alert) -> bool {
        let all = |matchers: &Vec<LabelMatcher>| matchers.iter().all(|m| m.matches(&alert.labels));
        self.0.as_ref().is_some_and(all)
    }
}

struct Rule<'a> {
    name: &'a str,
    targets: Matchers,
    sources: Option<Sources<'a>>,
}

/// The alerts that keep others quiet while they fire.
struct Sources<'a> {
    matchers: Matchers,
    equal: &'a [String],
    /// The values of `equal` of those that fire.
    firing: BTreeSet<Vec<&'a str>>,
}

/// The silences in force.
pub struct Quiet<'a> {
    rules: Vec<Rule<'a>>,
    /// When the next silence begins or ends.
    pub changes_at: Option<Timestamp>,
}

impl<'a> Quiet<'a> {
    /// Reads the silences of a world.
    pub fn of(world: &'a Snapshot, now: Timestamp) -> Quiet<'a> {
        let mut quiet = Quiet { rules: Vec::new(), changes_at: None };
        for silence in world.all::<Silence>() {
            let spec = &silence.spec;
            let ahead = [spec.from, spec.until].into_iter().flatten().filter(|at| *at > now).min();
            quiet.changes_at = sooner(quiet.changes_at, ahead);
            if spec.active(now) {
                quiet.rules.push(read(world, silence));
            }
        }
        quiet
    }

    /// The silence that keeps an alert quiet, if one does.
    pub fn by(&self, alert: &Alert) -> Option<&'a str> {
        self.rules.iter().find(|rule| rule.holds(alert)).map(|rule| rule.name)
    }
}

fn read<'a>(world: &'a Snapshot, silence: &'a Arc<Object<Silence>>) -> Rule<'a> {
    let spec = &silence.spec;
    let sources = (!spec.while_firing.is_empty()).then(|| {
        let matchers = Matchers::read(&spec.while_firing);
        let fires = |alert: &&Arc<Object<Alert>>| alert.status.phase == AlertPhase::Firing;
        let firing = world.all::<Alert>().filter(fires);
        let firing = firing.filter(|alert| matchers.match_all(&alert.spec));
        let firing = firing.map(|alert| values(&spec.equal, &alert.spec)).collect();
        Sources { matchers, equal: &spec.equal, firing }
    });
    Rule { name: silence.name(), targets: Matchers::read(&spec.matchers), sources }
}

fn values<'a>(equal: &[String], alert: &'a Alert) -> Vec<&'a str> {
    let value = |label: &String| alert.labels.get(label).map_or("", String::as_str);
    equal.iter().map(value).collect()
}

impl Rule<'_> {
    fn holds(&self, alert: &Alert) -> bool {
        let now = match &self.sources {
            None => true,
            // One that would keep others quiet is not kept quiet by them: somebody has to speak.
            Some(sources) => {
                !sources.firing.is_empty()
                    && sources.firing.contains(&values(sources.equal, alert))
                    && !sources.matchers.match_all(alert)
            }
        };
        now && self.targets.match_all(alert)
    }
}
