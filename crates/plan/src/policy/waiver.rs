//! Who is excused from which standard. Not what that is worth, which is the asker's business.

use std::sync::Arc;

use atoll_model::{Any, Application, Kind, Object, Waiver};

use super::facts::application_of;
use super::waivers_of;
use crate::Context;

/// The waiver that excuses an object from a standard, if one does: of several, the one that ends
/// last.
pub(crate) fn waived<'a>(
    cx: &'a Context,
    standard: &'a str,
    subject: &Any,
) -> Option<&'a Arc<Object<Waiver>>> {
    let excuses = |waiver: &&Arc<Object<Waiver>>| covers(cx, &waiver.spec, subject);
    waivers_of(cx, standard).filter(excuses).max_by_key(|waiver| waiver.spec.ends)
}

/// Whether a waiver is about an object.
pub(super) fn covers(cx: &Context, waiver: &Waiver, subject: &Any) -> bool {
    let application = application_of(subject);
    if let Some(named) = waiver.subject.as_deref().and_then(|named| named.split_once('/')) {
        let kind = Kind::parse(named.0);
        let own = kind == Some(subject.kind()) && named.1 == subject.name();
        return own || (kind == Some(Kind::Application) && application == Some(named.1));
    }
    let Some(selector) = &waiver.applications else { return false };
    match (subject, application) {
        (Any::Application(application), _) => selector.matches(&application.meta.labels),
        (_, Some(name)) => {
            let application = cx.world.get::<Application>(name);
            application.is_some_and(|application| selector.matches(&application.meta.labels))
        }
        _ => false,
    }
}
