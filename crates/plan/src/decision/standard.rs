//! Standards over what people change: an enforced one refuses a change that breaks it, others only
//! tell. What broke a standard before may go on doing so, and standards themselves are under none,
//! so whatever a standard says, it can be mended and it can be lifted.

use atoll_model::policy::{
    BREAK_GLASS_ANNOTATION, Failing, Mode, Point, SUBJECTS, Standard as Spec,
};
use atoll_model::{Any, Deployment, Intent, Kind, Object, Reason, Snapshot};

use super::{Case, Opinion};
use crate::Context;
use crate::policy::check::Survey;
use crate::policy::replay::is_worse;
use crate::policy::{Judgement, Meter, Scene, check, judge, standards, waived};

/// **Invariant:** no change by a person makes an object break an enforced standard, unless it is
/// excused, or they broke the glass and said why.
pub(super) fn standard(case: &Case) -> Opinion {
    let mut opinion = Opinion::default();
    if !case.is_edit() && case.actor.name != "controller/package" {
        return opinion;
    }
    let changed: Vec<&Any> = case.puts().filter(|any| is_change(case, any)).collect();
    for any in &changed {
        survey(case, any, &mut opinion);
    }
    let all = standards(case.cx.world, Point::Commit);
    if all.is_empty() || changed.is_empty() {
        return opinion;
    }
    let (world, mut meter) = (case.after(), Meter::default());
    for any in changed {
        let stored = case.stored(any);
        let before = stored.as_ref().map(|old| Scene::of(case.cx.world, old));
        let scene = Scene::of(&world, any).changed(stored.as_ref(), case.actor);
        for standard in all.iter().filter(|standard| standard.spec.kinds.contains(&any.kind())) {
            let look =
                Look { case, any, world: &world, scene: &scene, before: before.as_ref(), standard };
            look.look(&mut meter, &mut opinion);
        }
    }
    opinion
}

/// Whether an object goes back to a target it has had, or to the last release that was good there:
/// who is in need of that must not be held up.
fn is_way_back(case: &Case, any: &Any) -> bool {
    if case.plan.intent == Intent::Revert {
        return true;
    }
    let (Any::Deployment(new), Some(Any::Deployment(old))) = (any, case.stored(any)) else {
        return false;
    };
    let back = Deployment { release: old.spec.release.clone(), ..new.spec.clone() };
    new.spec.release.is_some() && new.spec.release == old.status.last_good && back == old.spec
}

/// Something standards may be about, or a standard, whose target or labels change.
fn is_change(case: &Case, any: &Any) -> bool {
    let known = SUBJECTS.contains(&any.kind()) || any.kind() == Kind::Standard;
    let same = |stored: Any| stored.same_spec(any) && stored.meta().labels == any.meta().labels;
    known && !any.meta().deleting() && !case.stored(any).is_some_and(same)
}

/// Whoever enforces a standard is told what breaks it already; one that can be told of nothing
/// there is, is most likely a mistake.
fn survey(case: &Case, any: &Any, opinion: &mut Opinion) {
    let Any::Standard(new) = any else { return };
    let was = match case.stored(any) {
        Some(Any::Standard(old)) => old.spec.mode,
        _ => Mode::Off,
    };
    let name = new.name();
    if new.spec.mode == Mode::Off {
        return;
    }
    let looks = new.spec.looks_at(Point::Commit) || new.spec.looks_at(Point::Audit);
    let survey = if looks { check::survey(case.cx.world, new) } else { Survey::default() };
    if let Some(why) = survey.why.as_ref().filter(|_| survey.is_blind()) {
        let meant = survey.meant;
        let message = format!("{name} can be told of none of the {meant} objects it means: {why}");
        let hint = "correct it, or tell it apart with when";
        opinion.note(any, [Reason::new("standard-blind", message).hint(hint)]);
    }
    if new.spec.mode != Mode::Enforce || was == Mode::Enforce {
        return;
    }
    if !looks {
        let message = format!("{name} is enforced, where releases enter environments");
        return opinion.note(any, [Reason::new("standard-enforced", message)]);
    }
    let (meant, broken) = (survey.meant, survey.broken);
    let message = format!(
        "{name} is enforced; {broken} of the {meant} objects it means break it, and may go on so"
    );
    let hint = format!("which past changes it would have stopped: atoll standard replay {name}");
    opinion.note(any, [Reason::new("standard-enforced", message).hint(hint)]);
}

/// One standard over one changed object.
struct Look<'a> {
    case: &'a Case<'a>,
    any: &'a Any,
    /// The world as it would be.
    world: &'a Snapshot,
    /// The object as it would be, and as it is.
    scene: &'a Scene<'a>,
    before: Option<&'a Scene<'a>>,
    standard: &'a std::sync::Arc<Object<Spec>>,
}

impl Look<'_> {
    fn look(&self, meter: &mut Meter, opinion: &mut Opinion) {
        let (message, fix, measure, known) = match judge(self.standard, self.scene, meter) {
            Judgement::NotMeant | Judgement::Kept => return,
            Judgement::Broken { message, fix, measure } => (message, fix, measure, true),
            Judgement::Unknown(why) => (why, String::new(), None, false),
        };
        let (name, spec) = (self.standard.name(), &self.standard.spec);
        // What is excused together with what needs it counts as well.
        let cx = Context { world: self.world, ..*self.case.cx };
        if let Some(waiver) = waived(&cx, name, self.any) {
            let message = format!(
                "{} is excused from {name} until {}: {}",
                self.any.id(),
                waiver.spec.ends,
                waiver.spec.reason
            );
            opinion.note(self.any, [Reason::new("standard-waived", message)]);
            return;
        }
        let before = self.before.map(|old| judge(self.standard, old, meter));
        let new = is_worse(before.as_ref(), measure);
        let refuses = spec.mode == Mode::Enforce && (known || spec.failure == Failing::Closed);
        let what = self.sentence(&message, known);
        match spec.mode {
            Mode::Off => {}
            Mode::Trial if new => opinion.note(self.any, [Reason::new("standard-trial", what)]),
            _ if refuses && new => self.refuse(what, fix, opinion),
            Mode::Warn if new => opinion.note(self.any, [hinted("standard-warn", what, fix)]),
            Mode::Enforce => {
                let what = if new { what } else { format!("{what}; it did so before") };
                opinion.note(self.any, [hinted("standard-warn", what, fix)]);
            }
            Mode::Trial | Mode::Warn => {}
        }
    }

    fn sentence(&self, message: &str, known: bool) -> String {
        let (id, name, field) = (self.any.id(), self.standard.name(), &self.standard.spec.field);
        let at = if field.is_empty() { String::new() } else { format!(" ({field})") };
        match known {
            true => format!("{id} breaks standard {name}: {message}{at}"),
            false => format!("standard {name} cannot be told of {id}: {message}"),
        }
    }

    fn refuse(&self, what: String, fix: String, opinion: &mut Opinion) {
        let glass = |any: &Any| any.meta().annotations.get(BREAK_GLASS_ANNOTATION).cloned();
        let before = self.case.stored(self.any).as_ref().and_then(glass);
        let said = glass(self.any).filter(|said| !said.trim().is_empty());
        if let Some(why) = said.filter(|said| before.as_ref() != Some(said)) {
            let message = format!("{what}; the glass was broken: {why}");
            opinion.note(self.any, [Reason::new("standard-overridden", message)]);
            return;
        }
        if is_way_back(self.case, self.any) {
            let message = format!("{what}; the way back is never barred");
            opinion.note(self.any, [hinted("standard-warn", message, fix)]);
            return;
        }
        let name = self.standard.name();
        let ways = format!(
            "have it waived: atoll waive {name} {} --until 14d --reason WHY; or, to pass it over \
             once: --break-glass REASON",
            self.any.id()
        );
        let hint = if fix.is_empty() { ways } else { format!("{fix}; or {ways}") };
        opinion.objections.push(Reason::new("standard", what).hint(hint));
    }
}

fn hinted(code: &str, what: String, fix: String) -> Reason {
    let reason = Reason::new(code, what);
    if fix.is_empty() { reason } else { reason.hint(fix) }
}
